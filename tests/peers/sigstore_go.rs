//! The Sigstore Go verifier beside us: it accepts what we write, and both say the same of bundles that the public-good
//! Sigstore stands behind.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::kit::command::Ran;
use crate::kit::images::Kind;
use crate::kit::scene::Place;
use crate::kit::{Registry, Scene, peer, run};

fn sigstore_go(scene: &Scene, bundle: &Path, artifact: &str, more: &[&str]) -> Ran {
    let mut command = peer("sigstore-go", scene.home());
    run(command.arg("--bundle").arg(bundle).args(more).arg(artifact))
}

/// What a registry without a password answers.
fn get(scene: &Scene, url: &str) -> String {
    let accept =
        "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
    run(peer("curl", scene.home()).args(["-sSfL", "-H", accept, url])).ok().stdout
}

/// The bundles among an image's referrers, each a file.
fn bundles(scene: &Scene, host: &str, name: &str, digest: &str) -> Vec<PathBuf> {
    let base = format!("http://{host}/v2/{name}");
    let json =
        |path: String| -> Value { serde_json::from_str(&get(scene, &format!("{base}/{path}"))).unwrap() };
    let list = json(format!("referrers/{digest}"));
    let digests = list["manifests"].as_array().unwrap().iter().map(|one| one["digest"].as_str().unwrap());
    let folder = crate::kit::service::folder(scene.home(), "bundles-");
    let files = digests.enumerate().map(|(number, digest)| {
        let layer = json(format!("manifests/{digest}"))["layers"][0]["digest"].as_str().unwrap().to_owned();
        let file = folder.join(number.to_string());
        fs::write(&file, get(scene, &format!("{base}/blobs/{layer}"))).unwrap();
        file
    });
    files.collect()
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn it_accepts_the_bundles_that_we_write() {
    let scene = Scene::new();
    let registry = Registry::with_referrers(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let digest = image.digest.clone();
    let reference = image.reference();
    scene.sign(Place::Referrers, &hosts, &[&reference]).ok();
    let predicate = scene.home().join("predicate");
    fs::write(&predicate, r#"{"tests":"passed"}"#).unwrap();
    let mut attest = scene.stepseal(&hosts, &["attest", &reference, "--type", "https://ci.example/tests"]);
    attest.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", Place::Referrers.setting());
    run(attest.arg("--predicate").arg(&predicate)).ok();

    let other = scene.folder("other");
    run(scene.cosign(&["generate-key-pair"]).current_dir(&other)).ok();
    let (key, other) = (scene.public_key(), other.join("cosign.pub"));
    let (key, other) = (key.to_str().unwrap(), other.to_str().unwrap());
    let bundles = bundles(&scene, &hosts[0], "app", &digest);
    assert_eq!(bundles.len(), 2);
    let by = |key, bundle, digest: &str| {
        sigstore_go(&scene, bundle, digest, &["--insecure-ignore-tlog", "--key", key])
    };
    for bundle in &bundles {
        by(key, bundle, &digest).ok();
        by(other, bundle, &digest).ended(1);
        by(key, bundle, &format!("sha256:{}", "0".repeat(64))).ended(1);
    }
}

/// Bundles of the public-good Sigstore that sigstore-go has for its own tests, and who signed them.
const PUBLIC: [(&str, &str, &str); 4] = [
    (
        "bundle-provenance.json",
        "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
        "https://token.actions.githubusercontent.com",
    ),
    (
        "sigstore.js@2.0.0-provenance.sigstore.json",
        "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
        "https://token.actions.githubusercontent.com",
    ),
    ("dsse.sigstore.json", "brian@dehamer.com", "https://github.com/login/oauth"),
    ("othername.sigstore.json", "foo!oidc.local", "http://oidc.local:8080"),
];

/// The digest that a bundle's statement, or its message, is about.
fn digest_of(bundle: &Path) -> String {
    let bundle: Value = serde_json::from_slice(&fs::read(bundle).unwrap()).unwrap();
    if let Some(digest) = bundle["messageSignature"]["messageDigest"]["digest"].as_str() {
        let bytes = STANDARD.decode(digest).unwrap();
        return format!("sha256:{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    let digests = statement["subject"][0]["digest"].as_object().unwrap();
    let (algorithm, hex) = digests.iter().next().unwrap();
    format!("{algorithm}:{}", hex.as_str().unwrap())
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn both_say_the_same_of_bundles_from_the_public_good_sigstore() {
    let scene = Scene::new();
    let path = std::env::var_os("PATH").unwrap();
    let stored =
        std::env::split_paths(&path).map(|folder| folder.join("bundles")).find(|folder| folder.is_dir());
    let stored = stored.expect("tests/peers/install.sh puts the bundles beside sigstore-go");
    let root = stored.join("trusted-root-public-good.json");
    // The trusted root is the one inside the binary.
    let ours = |bundle: &Path, digest: &str, identity: &str, issuer: &str| {
        let mut ours = scene.stepseal(&[], &["verify-blob", "--certificate-identity", identity]);
        ours.env_remove("STEPSEAL_KEY").args(["--certificate-oidc-issuer", issuer, "--bundle"]);
        run(ours.arg(bundle).arg(digest))
    };
    let (mut accepted, mut roots) = (0, 0);
    for (name, identity, issuer) in PUBLIC {
        let mut bundle: Value = serde_json::from_slice(&fs::read(stored.join(name)).unwrap()).unwrap();
        let file = scene.home().join(name);
        // Those of version 0.1 bring their root along. sigstore-conformance wants that refused (bundle-with-root-cert_fail),
        // and sigstore-go passes it over. Nothing signs the chain: what is left without the root is as good.
        let chain = &mut bundle["verificationMaterial"]["x509CertificateChain"]["certificates"];
        if let Some(chain) = chain.as_array_mut().filter(|chain| chain.len() == 3) {
            let whole = stored.join(name);
            ours(&whole, &digest_of(&whole), identity, issuer)
                .ended(1)
                .says("the bundle brings a root certificate");
            chain.pop();
            roots += 1;
        }
        fs::write(&file, bundle.to_string()).unwrap();
        let digest = digest_of(&file);
        // The last digit is another.
        let (rest, last) = digest.split_at(digest.len() - 1);
        let other = format!("{rest}{}", if last == "0" { "1" } else { "0" });
        let cases = [
            (digest.as_str(), identity, issuer),
            (other.as_str(), identity, issuer),
            (digest.as_str(), "nobody@example.com", issuer),
            (digest.as_str(), identity, "https://issuer.example"),
        ];
        for (at, (digest, identity, issuer)) in cases.into_iter().enumerate() {
            let flags = ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer];
            let flags = [&flags[..], &["--trusted-root", root.to_str().unwrap()]].concat();
            let theirs = sigstore_go(&scene, &file, digest, &flags);
            let ours = ours(&file, digest, identity, issuer);
            assert_eq!(ours.code, theirs.code, "{name} {at}: {ours} {theirs}");
            assert!(at == 0 || ours.code == 1, "{name} {at}: {ours}");
            accepted += usize::from(ours.code == 0);
        }
    }
    assert_eq!((accepted, roots), (3, 2), "all but the one of a private Sigstore");
}
