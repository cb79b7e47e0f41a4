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
        by(key, bundle, &another(&digest)).ended(1);
    }
}

/// The same digest but for its last digit.
fn another(digest: &str) -> String {
    let (rest, last) = digest.split_at(digest.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

/// A bundle that sigstore-go has for its own tests, who signed it, and whether both accept it.
struct Stored {
    name: &'static str,
    identity: &'static str,
    issuer: &'static str,
    accepted: bool,
}

const SIGSTORE_JS: &str =
    "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main";
const ACTIONS: &str = "https://token.actions.githubusercontent.com";
const BRIAN: &str = "brian@dehamer.com";
const GITHUB: &str = "https://github.com/login/oauth";

/// All of them but `bundle-publish.json`, which is by a key, and `public-key-validity.sigstore.json`, which no log knows.
const STORED: [Stored; 5] = [
    Stored { name: "bundle-provenance.json", identity: SIGSTORE_JS, issuer: ACTIONS, accepted: true },
    Stored {
        name: "sigstore.js@2.0.0-provenance.sigstore.json",
        identity: SIGSTORE_JS,
        issuer: ACTIONS,
        accepted: true,
    },
    Stored { name: "dsse.sigstore.json", identity: BRIAN, issuer: GITHUB, accepted: true },
    // Two signatures on one envelope.
    Stored { name: "dsse-2sigs.sigstore.json", identity: BRIAN, issuer: GITHUB, accepted: false },
    // Of a private Sigstore.
    Stored {
        name: "othername.sigstore.json",
        identity: "foo!oidc.local",
        issuer: "http://oidc.local:8080",
        accepted: false,
    },
];

/// The digest that a bundle's statement, or its message, is about.
fn digest_of(bundle: &Value) -> String {
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

/// Both verifiers and the trusted root of the public-good Sigstore: inside our binary, and as a file for the other.
struct Public {
    scene: Scene,
    stored: PathBuf,
    root: PathBuf,
}

impl Public {
    fn new() -> Self {
        let scene = Scene::new();
        let path = std::env::var_os("PATH").unwrap();
        let mut folders = std::env::split_paths(&path).map(|folder| folder.join("bundles"));
        let stored = folders.find(|folder| folder.is_dir());
        let stored = stored.expect("tests/peers/install.sh puts the bundles beside sigstore-go");
        let root = scene.home().join("trusted_root.json");
        fs::write(&root, sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
        Self { scene, stored, root }
    }

    fn bundle(&self, name: &str) -> (PathBuf, Value) {
        let file = self.stored.join(name);
        let bundle = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        (file, bundle)
    }

    fn stepseal(&self, bundle: &Path, digest: &str, flags: &[&str]) -> Ran {
        let mut stepseal = self.scene.stepseal(&[], &["verify-blob", "--bundle"]);
        run(stepseal.env_remove("STEPSEAL_KEY").arg(bundle).args(flags).arg(digest))
    }

    fn sigstore_go(&self, bundle: &Path, digest: &str, flags: &[&str]) -> Ran {
        let root = ["--trusted-root", self.root.to_str().unwrap()];
        sigstore_go(&self.scene, bundle, digest, &[flags, &root].concat())
    }

    /// Both end with `code`.
    #[track_caller]
    fn both(&self, code: i32, bundle: &Path, digest: &str, flags: &[&str]) {
        self.stepseal(bundle, digest, flags).ended(code);
        self.sigstore_go(bundle, digest, flags).ended(code);
    }

    /// Both refuse a bundle when another digest, identity or issuer is given.
    #[track_caller]
    fn both_refuse_another(&self, bundle: &Path, digest: &str, flags: &[&str]) {
        self.both(1, bundle, &another(digest), flags);
        for (flag, other) in [
            ("--certificate-identity", "nobody@example.com"),
            ("--certificate-oidc-issuer", "https://issuer.example"),
        ] {
            let Some(at) = flags.iter().position(|one| *one == flag) else { continue };
            let mut flags = flags.to_vec();
            flags[at + 1] = other;
            self.both(1, bundle, digest, &flags);
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn both_say_the_same_of_bundles_from_the_public_good_sigstore() {
    let public = Public::new();
    for Stored { name, identity, issuer, accepted } in STORED {
        let (file, bundle) = public.bundle(name);
        let digest = digest_of(&bundle);
        let flags = ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer];
        public.both_refuse_another(&file, &digest, &flags);
        public.both(if accepted { 0 } else { 1 }, &file, &digest, &flags);
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn both_accept_what_npm_signed_with_its_key_in_the_public_good_log() {
    let public = Public::new();
    let (file, bundle) = public.bundle("bundle-publish.json");
    let digest = digest_of(&bundle);
    let key = public.stored.join("publish_key.pub");
    let flags = ["--key", key.to_str().unwrap()];
    public.both(0, &file, &digest, &flags);
    public.both_refuse_another(&file, &digest, &flags);
    let other = public.scene.public_key();
    public.both(1, &file, &digest, &["--key", other.to_str().unwrap()]);
    // A key proves no identity.
    let identity = ["--certificate-identity", SIGSTORE_JS, "--certificate-oidc-issuer", ACTIONS];
    public.both(1, &file, &digest, &identity);
}
