//! Calls of cosign as public Tasks have them (`tests/data/cosign/calls.tsv`), with Stepseal in cosign's place, on docker-registry and a
//! real API server. What they leave behind is looked at with cosign 3.1.2 itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::command::Ran;
use crate::kit::images::{Image, Kind};
use crate::kit::scene::{KEY_PASSWORD, Place, binary};
use crate::kit::{Namespace, Registry, Scene, peer, run};

/// The rows, by number: what becomes of each, and the call.
fn rows() -> BTreeMap<u32, (String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cosign/calls.tsv"));
    let text = text.unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [number, verdict, call] = fields[..] else { panic!("{line}") };
        (number.parse().unwrap(), (verdict.to_owned(), call.to_owned()))
    };
    text.lines().map(row).collect()
}

/// A Task's surroundings, where `cosign` is Stepseal.
struct Task {
    namespace: Namespace,
    scene: Scene,
    registry: Registry,
    image: Image,
    bin: PathBuf,
    rows: BTreeMap<u32, (String, String)>,
}

impl Task {
    fn new() -> Self {
        let (namespace, scene) = (Namespace::new(), Scene::new());
        let registry = Registry::docker(scene.home());
        scene.allow(&[registry.host()]);
        let image = scene.crane_pushes_as(
            Kind::Oci,
            &format!("{}/team/app", registry.host()),
            "1.0",
            "as in a public Task",
        );
        let bin = scene.folder("bin");
        symlink(binary(), bin.join("cosign")).unwrap();
        let work = scene.home().join("work");
        let sbom = json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": []});
        fs::remove_file(work.join("cosign.pub")).unwrap();
        fs::write(work.join("sbom.json"), sbom.to_string()).unwrap();
        fs::write(work.join("predicate.json"), json!({"passed": true}).to_string()).unwrap();
        fs::write(work.join("spdx.json"), json!({"spdxVersion": "SPDX-2.3", "name": "app"}).to_string())
            .unwrap();
        fs::write(work.join("release.tar"), "a release").unwrap();
        Self { namespace, scene, registry, image, bin, rows: rows() }
    }

    /// The call of a row, with this Task's values in place of the words in capitals.
    fn call(&self, row: u32, values: &[(&str, &str)]) -> String {
        let key = self.scene.keys().join("cosign.key").display().to_string();
        let tagged = format!("{}:1.0", self.image.repository);
        let secret = format!("k8s://{}", self.namespace.named("signing"));
        let always = [
            ("k8s://NS/NAME", secret.as_str()),
            ("/keys/cosign.key", &key),
            ("IMAGE@DIGEST", &self.image.reference()),
            ("IMAGE:TAG", &tagged),
            ("IMAGE", &tagged),
        ];
        let mut words: Vec<String> = self.rows[&row].1.split(' ').map(str::to_owned).collect();
        for word in &mut words {
            let value = values.iter().chain(&always).find(|(name, _)| name == word);
            if let Some((_, value)) = value {
                (*value).clone_into(word);
            }
        }
        words.join(" ")
    }

    /// Runs a line of shell as a Task's script does, `cosign` being Stepseal.
    fn shell(&self, line: &str) -> Ran {
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        let mut command: Command = peer("sh", self.scene.home());
        command.current_dir(self.scene.home().join("work")).args(["-euc", line]).env("PATH", path);
        command.env("COSIGN_PASSWORD", KEY_PASSWORD).env("KUBECONFIG", self.namespace.kube.kubeconfig());
        // go-containerregistry takes plain HTTP for whatever is on loopback; here each host is named.
        command.env("STEPSEAL_INSECURE_REGISTRIES", self.registry.host());
        let ran = run(&mut command);
        for secret in [KEY_PASSWORD, crate::kit::scene::PASSWORD, "PRIVATE KEY"] {
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret} in: {ran}");
        }
        ran
    }

    #[track_caller]
    fn runs(&self, row: u32, values: &[(&str, &str)]) -> Ran {
        assert!(self.rows[&row].0.starts_with("runs"), "row {row}");
        self.shell(&self.call(row, values)).ok()
    }

    /// How many signatures of `key` real cosign finds.
    fn verified_by_cosign(&self, key: &str) -> usize {
        let mut command =
            self.scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
        command.args([Place::Tag.cosign_flag(), "--key", key, &self.image.reference()]);
        command.env("KUBECONFIG", self.namespace.kube.kubeconfig());
        let found: Vec<Value> = serde_json::from_str(&run(&mut command).ok().stdout).unwrap();
        found.len()
    }

    fn attested_for_cosign(&self, key: &str, kind: &str) {
        let mut command = self.scene.cosign(&["verify-attestation", "--insecure-ignore-tlog=true"]);
        command.args(["--allow-http-registry", Place::Tag.cosign_flag(), "--type", kind, "--key", key]);
        command.arg(self.image.reference()).env("KUBECONFIG", self.namespace.kube.kubeconfig());
        run(&mut command).ok();
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_calls_of_public_tasks_run_as_they_are_written() {
    let task = Task::new();
    let secret = format!("k8s://{}", task.namespace.named("signing"));
    let key = task.scene.keys().join("cosign.key").display().to_string();
    let public = task.scene.public_key().display().to_string();

    task.runs(18, &[]);
    task.runs(2, &[]);
    assert_eq!(task.verified_by_cosign(&secret), 1);

    let ran = task.runs(3, &[]);
    assert!(ran.stderr.contains(&task.image.digest), "the digest that was signed isn't printed: {ran}");
    assert_eq!(task.verified_by_cosign(&public), 1);
    let ran = task.runs(8, &[("K", &public)]);
    let verified: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(verified[0]["critical"]["image"]["docker-manifest-digest"], task.image.digest.as_str());

    // The same with the key by its variable: signed already.
    task.shell(&format!("export COSIGN_KEY={key}; {}", task.call(1, &[]))).ok();
    assert_eq!(task.verified_by_cosign(&public), 1);

    let kind = "https://example.com/test-report/v1";
    task.runs(13, &[("FILE", "predicate.json"), ("URI", kind)]);
    task.attested_for_cosign(&secret, kind);
    task.shell(&format!("export COSIGN_KEY={key}; {}", task.call(14, &[("FILE", "spdx.json")]))).ok();
    task.attested_for_cosign(&public, "spdxjson");

    let line = format!("{} | jq -r .payload | base64 -d | jq -r .predicateType", task.call(17, &[]));
    let mut kinds: Vec<String> = task.shell(&line).ok().stdout.lines().map(str::to_owned).collect();
    kinds.sort();
    assert_eq!(kinds, [kind, "https://spdx.dev/Document"]);

    task.runs(15, &[("FILE", "sbom.json")]);
    let stepseal = task.runs(16, &[]).stdout;
    assert_eq!(stepseal, fs::read_to_string(task.scene.home().join("work/sbom.json")).unwrap());
    let cosigns =
        run(&mut task.scene.cosign(&["download", "sbom", "--allow-http-registry", &task.image.reference()]));
    assert_eq!(cosigns.ok().stdout.trim_end(), stepseal.trim_end(), "what cosign reads of it");

    let mut sign =
        task.scene.cosign(&["sign-blob", "--yes", "--use-signing-config=false", "--tlog-upload=false"]);
    sign.args([
        "--new-bundle-format=false",
        "--key",
        &secret,
        "--output-signature",
        "release.sig",
        "release.tar",
    ]);
    sign.current_dir(task.scene.home().join("work")).env("KUBECONFIG", task.namespace.kube.kubeconfig());
    run(&mut sign).ok();
    let call = task.call(19, &[]).replacen("FILE", "release.sig", 1).replacen("FILE", "release.tar", 1);
    task.shell(&call).ok();
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_calls_that_wait_for_what_is_not_there_are_refused_with_the_reason() {
    let task = Task::new();
    let work = task.scene.home().join("work");
    fs::write(work.join("token"), "a.b.c").unwrap();
    let values = [
        ("URL", "https://sigstore.example"),
        ("URL/root.json", "https://sigstore.example/root.json"),
        ("awskms:///ARN", "awskms:///arn:aws:kms:us-east-1:123456789012:key/1"),
        ("NAME:TAG", "registry.example/app:1.0"),
        ("FILE", "token"),
        ("URI", "https://slsa.dev/provenance/v1"),
        ("ID", "builder@example.com"),
    ];
    for (row, word) in
        [(4, "--rekor-url"), (5, "--fulcio-url"), (6, "--fulcio-url"), (7, "initialize"), (10, "awskms")]
    {
        assert!(task.rows[&row].0.starts_with("waits"), "row {row}");
        task.shell(&task.call(row, &values)).ended(2).says(word).says("do:");
    }
    // In place of a flag, the variable: nothing is signed that a log was to know of.
    for variable in ["COSIGN_FULCIO_URL", "COSIGN_REKOR_URL"] {
        let call = format!("export {variable}=https://sigstore.example; {}", task.call(3, &[]));
        task.shell(&call).ended(2).says(variable).says("do:");
    }
    assert!(task.scene.tag_signatures(&task.image).is_empty(), "something was signed");
    // They verify what there will be; until then they find nothing, and say so.
    for row in [9, 11, 12] {
        let call = task.call(row, &[&values[..], &[("RE", "'.*'")]].concat());
        let call = call.replace(
            &format!("k8s://{}", task.namespace.named("signing")),
            &task.scene.public_key().display().to_string(),
        );
        task.shell(&call).ended(1).says("do:");
    }
}

/// The block of shell in the guide that is marked with `name`.
fn guide(name: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-a-cosign-script.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("<!-- tried: {name} -->\n```bash\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_loop_of_a_release_pipeline_is_one_call() {
    let task = Task::new();
    let host = task.registry.host();
    let parts = ["amd64", "arm64"]
        .map(|part| task.scene.crane_pushes_as(Kind::Oci, &format!("{host}/built/web"), part, part));
    let index = task.scene.crane_pushes_index(Kind::Oci, &format!("{host}/built/web"), &parts);
    let component = |repository: &str, image: &Image, name: &str| {
        json!({
            "repository": repository, "containerImage": image.reference(), "tags": ["1.0", "latest"],
            "rh-registry-repo": format!("registry.one.example/{name}"),
            "registry-access-repo": format!("registry.two.example/{name}"),
        })
    };
    let snapshot = json!({"components": [
        component(&index.repository, &index, "team/web"), component(&task.image.repository, &task.image, "team/app"),
    ]});
    let work = task.scene.home().join("work");
    fs::write(work.join("snapshot.json"), snapshot.to_string()).unwrap();
    fs::write(work.join("sign-registry-access.txt"), "team/web\n").unwrap();
    symlink(binary(), task.bin.join("stepseal")).unwrap();
    let key = task.scene.keys().join("cosign.key");
    task.shell(&format!("export SIGN_KEY={}; {}", key.display(), guide("one call"))).ok();

    let both = ["registry.one.example/team/web", "registry.two.example/team/web"];
    for (image, names) in [
        (&index, &both[..]),
        (&parts[0], &both),
        (&parts[1], &both),
        (&task.image, &["registry.one.example/team/app"]),
    ] {
        let mut expected: Vec<String> =
            names.iter().flat_map(|name| ["1.0", "latest"].map(|tag| format!("{name}:{tag}"))).collect();
        expected.sort();
        let signed = task.scene.verified(Place::Tag, &image.reference());
        let mut found: Vec<&str> = signed
            .iter()
            .map(|payload| payload["critical"]["identity"]["docker-reference"].as_str().unwrap())
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", image.reference());
    }
}
