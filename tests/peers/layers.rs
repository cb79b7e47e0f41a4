//! Does cosign judge every attestation of `tests/data/layers` as we do? They are what it stored and logged until July 2023. Where it doesn't, the
//! difference is listed there in `DIFFERENCES`, with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::kit::command::Ran;
use crate::kit::{Registry, Scene, peer, run};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn corpus(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

fn digest(scene: &Scene, file: &Path) -> String {
    let sum = run(peer("sha256sum", scene.home()).arg(file)).ok().stdout;
    format!("sha256:{}", sum.split_whitespace().next().unwrap())
}

/// Uploads a file as a blob, and gives its digest.
fn blob(scene: &Scene, repository: &str, file: &Path) -> String {
    let digest = digest(scene, file);
    let head = run(peer("curl", scene.home())
        .args(["-sSf", "-D-", "-o/dev/null", "-XPOST"])
        .arg(format!("http://{repository}/blobs/uploads/")))
    .ok()
    .stdout;
    let place = head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")));
    let place = place.unwrap().1.trim();
    let place = if place.starts_with('/') {
        format!("http://{}{place}", repository.split('/').next().unwrap())
    } else {
        place.to_owned()
    };
    let sign = if place.contains('?') { '&' } else { '?' };
    let mut put = peer("curl", scene.home());
    put.args(["-sSf", "-XPUT", "-H", "Content-Type: application/octet-stream", "--data-binary"]);
    run(put.arg(format!("@{}", file.display())).arg(format!("{place}{sign}digest={digest}"))).ok();
    digest
}

fn manifest(scene: &Scene, repository: &str, tag: &str, file: &Path) {
    let mut put = peer("curl", scene.home());
    put.args(["-sSf", "-XPUT", "-H", &format!("Content-Type: {MANIFEST}"), "--data-binary"]);
    run(put.arg(format!("@{}", file.display())).arg(format!("http://{repository}/manifests/{tag}"))).ok();
}

/// Puts a case at its image in a repository of its own; gives the image.
fn stored(scene: &Scene, host: &str, case: &Path, number: usize) -> String {
    let name = format!("case{number}");
    let repository = format!("{host}/v2/{name}");
    let scratch = crate::kit::service::folder(scene.home(), "layer-");
    let config = scratch.join("config");
    fs::write(&config, "{}").unwrap();
    let config = blob(scene, &repository, &config);
    let image = digest(scene, &corpus("layers/manifest"));
    manifest(scene, &repository, &image, &corpus("layers/manifest"));
    let bytes = case.join("layer");
    let annotations: Value =
        serde_json::from_slice(&fs::read(case.join("annotations.json")).unwrap()).unwrap();
    let text = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config },
        "layers": [{
            "mediaType": "application/vnd.dsse.envelope.v1+json", "size": fs::metadata(&bytes).unwrap().len(),
            "digest": blob(scene, &repository, &bytes), "annotations": annotations,
        }],
    });
    let file = scratch.join("manifest");
    fs::write(&file, text.to_string()).unwrap();
    manifest(scene, &repository, &format!("{}.att", image.replace(':', "-")), &file);
    format!("{host}/{name}@{image}")
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_and_we_give_one_verdict_on_what_it_logged_before_2023() {
    let scene = Scene::new();
    let registry = Registry::with_referrers(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let listed = fs::read_to_string(corpus("layers/DIFFERENCES")).unwrap();
    let mut listed: BTreeMap<&str, &str> = listed.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut cases: Vec<PathBuf> =
        fs::read_dir(corpus("layers")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    let mut unlisted = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let image = stored(&scene, &hosts[0], case, number);
        let root = corpus("bundles/trusted_root.json").display().to_string();
        let mut flags = vec!["--type=slsaprovenance1".to_owned(), format!("--trusted-root={root}")];
        match case.join("key.pub") {
            key if key.exists() => flags.push(format!("--key={}", key.display())),
            _ => flags.extend([
                "--certificate-identity=https://ci.example/team/app/build.yaml@refs/heads/main".to_owned(),
                "--certificate-oidc-issuer=https://issuer.example".to_owned(),
            ]),
        }
        let mut stepseal = scene.stepseal(&hosts, &["verify-attestation"]);
        let stepseal = run(stepseal.env_remove("STEPSEAL_KEY").args(&flags).arg(&image));
        let cosigns: Ran = run(scene
            .cosign(&[
                "verify-attestation",
                "--offline",
                "--new-bundle-format=false",
                "--allow-http-registry",
            ])
            .args(&flags)
            .arg(&image));
        let name = case.file_name().unwrap().to_str().unwrap();
        let differ = (stepseal.code == 0) != (cosigns.code == 0);
        if differ != listed.remove(name).is_some() {
            unlisted
                .push(format!("{name}: stepseal {}\n{}\n{}", stepseal.code, stepseal.stderr, cosigns.stderr));
        }
        assert_eq!(stepseal.code != 0, name.ends_with("_fail"), "{name}: {}", stepseal.stderr);
    }
    assert!(unlisted.is_empty(), "{}", unlisted.join("\n\n"));
    assert!(listed.is_empty(), "no longer different, or no longer there: {listed:?}");
}
