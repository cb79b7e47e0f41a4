//! What cosign logs in a transparency log (Rekor 2) and has timestamped (RFC 3161), verified by us against the same
//! trusted root, offline.

use std::fs;
use std::path::PathBuf;

use crate::kit::command::Ran;
use crate::kit::images::Kind;
use crate::kit::service::{Service, folder, free_address};
use crate::kit::{Registry, Scene, peer, run};

/// The log's name, which its checkpoints carry.
const LOG: &str = "rekor.local";
const SINCE: &str = "start-time=2024-01-01T00:00:00Z";

/// A log, a timestamp authority, and the files that name them to cosign and Stepseal.
struct Sigstore {
    _log: Service,
    _authority: Service,
    signing_config: PathBuf,
    trusted_root: PathBuf,
    /// The same with another key for the log.
    other_root: PathBuf,
}

impl Sigstore {
    fn start(scene: &Scene) -> Self {
        let place = folder(scene.home(), "sigstore-");
        let [key, other] = ["rekor", "other"].map(|name| {
            let (key, public) = (place.join(format!("{name}.key")), place.join(format!("{name}.pub")));
            run(peer("openssl", &place).args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&key)).ok();
            run(peer("openssl", &place)
                .arg("pkey")
                .arg("-in")
                .arg(&key)
                .args(["-pubout", "-out"])
                .arg(&public))
            .ok();
            (key, public)
        });
        let log = Service::start(&place, |address| {
            let mut command = peer("posix", &place);
            command.args(["serve", "--hostname", LOG, "--checkpoint-interval", "1s", "--http-port"]);
            command.arg(address.port().to_string()).arg("--grpc-port").arg(free_address().port().to_string());
            command.arg("--http-metrics-port").arg(free_address().port().to_string());
            command.arg("--signer-filepath").arg(&key.0);
            command.arg("--storage-dir").arg(folder(&place, "log-"));
            command
        });
        let authority = Service::start(&place, |address| {
            let mut command = peer("timestamp-server", &place);
            command.args([
                "serve",
                "--timestamp-signer",
                "memory",
                "--disable-ntp-monitoring",
                "--host",
                "127.0.0.1",
            ]);
            command.arg("--port").arg(address.port().to_string());
            command
        });
        let timestamps = format!("http://{}/api/v1/timestamp", authority.address());
        let chain = place.join("chain.pem");
        run(peer("curl", &place).args(["-sSf", "-o"]).arg(&chain).arg(format!("{timestamps}/certchain")))
            .ok();
        let signing_config = place.join("signing-config.json");
        let logs = format!("url=http://{},api-version=2,{SINCE},operator=local", log.address());
        let authorities = format!("url={timestamps},api-version=1,{SINCE},operator=local");
        let mut command =
            scene.cosign(&["signing-config", "create", "--rekor-config=ANY", "--tsa-config=ANY"]);
        command.args(["--rekor", &logs, "--tsa", &authorities, "--out"]).arg(&signing_config);
        run(&mut command).ok();
        let root = |name: &str, public: &PathBuf| {
            let root = place.join(name);
            let log = format!("url=https://{LOG},public-key={},{SINCE},origin={LOG}", public.display());
            let authority = format!("url={timestamps},certificate-chain={}", chain.display());
            let mut command =
                scene.cosign(&["trusted-root", "create", "--rekor", &log, "--tsa", &authority, "--out"]);
            run(command.arg(&root)).ok();
            root
        };
        let (trusted_root, other_root) =
            (root("trusted-root.json", &key.1), root("other-root.json", &other.1));
        Self { _log: log, _authority: authority, signing_config, trusted_root, other_root }
    }

    /// cosign's `command` with the key, the log and the authority.
    fn cosign(&self, scene: &Scene, command: &str, more: &[&str]) {
        let mut cosign = scene.cosign(&[command, "-y", "--key"]);
        cosign.arg(scene.keys().join("cosign.key")).arg("--signing-config").arg(&self.signing_config);
        run(cosign.arg("--trusted-root").arg(&self.trusted_root).args(more)).ok();
    }
}

/// Our `command` with the public key and `root`; a log entry is asked for, as it is by default.
fn verify(scene: &Scene, hosts: &[String], root: &PathBuf, command: &str, more: &[&str]) -> Ran {
    let mut stepseal = scene.stepseal(hosts, &[command, "--key"]);
    stepseal.env_remove("STEPSEAL_KEY").arg(scene.public_key()).arg("--trusted-root").arg(root);
    run(stepseal.args(more))
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn what_cosign_logged_and_had_timestamped_verifies_offline() {
    let scene = Scene::new();
    let registry = Registry::with_referrers(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one").reference();
    let unlogged = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "two").reference();
    let files = ["artifact", "other", "bundle", "predicate", "policy"].map(|name| scene.home().join(name));
    let [artifact, other, bundle, predicate, policy] = files.each_ref().map(|path| path.to_str().unwrap());
    fs::write(artifact, "what is signed").unwrap();
    fs::write(other, "something else").unwrap();
    fs::write(predicate, r#"{"tests":"passed"}"#).unwrap();
    let (root, other_root) = {
        let sigstore = Sigstore::start(&scene);
        sigstore.cosign(&scene, "sign-blob", &["--bundle", bundle, artifact]);
        sigstore.cosign(&scene, "sign", &["--allow-http-registry", &image]);
        let attest =
            ["--allow-http-registry", "--type", "https://ci.example/tests", "--predicate", predicate];
        sigstore.cosign(&scene, "attest", &[&attest[..], &[&image]].concat());
        // Neither of them runs any more when it is verified.
        (sigstore.trusted_root.clone(), sigstore.other_root.clone())
    };
    let stepseal = |root, command: &str, more: &[&str]| verify(&scene, &hosts, root, command, more);

    stepseal(&root, "verify-blob", &["--bundle", bundle, artifact])
        .ok()
        .says("logged in rekor.local as entry 0");
    stepseal(&root, "verify-blob", &["--bundle", bundle, other]).ended(1).says("(check: artifact)");
    stepseal(&other_root, "verify-blob", &["--bundle", bundle, artifact]).ended(1).says("(check: log)");

    stepseal(&root, "verify", &[&image]).ok().says("verified   1 image");
    stepseal(&other_root, "verify", &[&image]).ended(1).says("the trusted root does not have this log");
    let of_tests = ["--type", "https://ci.example/tests", "--require", "$.predicate.tests=passed", &image];
    stepseal(&root, "verify-attestation", &of_tests).ok();
    stepseal(&other_root, "verify-attestation", &of_tests).ended(1);

    // A signature without an entry, of the same key: good for whoever doesn't ask for one.
    scene.cosign_signs(crate::kit::scene::Place::Referrers, &unlogged, &[]);
    stepseal(&root, "verify", &[&unlogged]).ended(1).says("has no entry in a transparency log");
    stepseal(&root, "verify", &["--insecure-ignore-tlog", &unlogged]).ok();
    let text = format!(
        "version: 1\ntrustedRoot: {}\nsigners: {{ stepseal: {{ key: {} }} }}\nrules:\n- name: logged\n  images: [\"**\"]\n  \
         signature: {{ by: [stepseal], log: true, timestamp: true, maxAge: 1h }}\n",
        root.display(),
        scene.public_key().display(),
    );
    fs::write(policy, text).unwrap();
    let gate = |image: &str| {
        let mut stepseal = scene.stepseal(&hosts, &["verify", "--policy", policy, image]);
        run(stepseal.env_remove("STEPSEAL_KEY"))
    };
    gate(&image).ok();
    gate(&unlogged).ended(1).says("logged");
}
