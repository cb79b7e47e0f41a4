//! What a signing step has mounted, and the binary run with nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options, User};
use stepseal::key::PublicKey;
use stepseal::oci::Digest;
use tempfile::TempDir;

/// The password of the registry's user: no output may hold it.
pub(crate) const REGISTRY_PASSWORD: &str = "registry-pa55word-Zz";
/// The password of the key: no output may hold it.
pub(crate) const KEY_PASSWORD: &str = "key-pa55word-Qq";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry and the folder of a step.
pub(crate) struct Step {
    pub(crate) registry: EmbeddedRegistry,
    pub(crate) folder: TempDir,
}

/// How the binary ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Step {
    /// A step before a registry with a password, an encrypted key and credentials.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    /// The same with other options of the registry; its users are set here.
    pub(crate) fn with(options: Options) -> Self {
        let user = User::new("ci-bot", REGISTRY_PASSWORD).may_pull("**").may_push("**");
        let auth = if options.auth == Auth::None { Auth::Basic } else { options.auth };
        let registry =
            EmbeddedRegistry::start_blocking(Options { auth, users: vec![user], ..options }).unwrap();
        let step = Self { registry, folder: tempfile::tempdir().unwrap() };
        for dir in ["results", "keys", "credentials"] {
            fs::create_dir(step.path(dir)).unwrap();
        }
        step.key(&pair().private_pem, KEY_PASSWORD);
        step.login(&step.host(), "ci-bot", REGISTRY_PASSWORD);
        step
    }

    pub(crate) fn host(&self) -> String {
        self.registry.host().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn key(&self, pem: &str, password: &str) {
        fs::write(self.path("keys/cosign.key"), pem).unwrap();
        fs::write(self.path("keys/cosign.password"), password).unwrap();
    }

    pub(crate) fn login(&self, entry: &str, user: &str, password: &str) {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        let text = json!({ "auths": { entry: { "auth": auth } } }).to_string();
        fs::write(self.path("credentials/.dockerconfigjson"), text).unwrap();
    }

    pub(crate) fn result(&self, name: &str, value: &str) {
        fs::write(self.path("results").join(name), value).unwrap();
    }

    /// Pushes an image whose layer is `text`; returns its digest.
    pub(crate) fn image(&self, repository: &str, text: &str) -> Digest {
        self.registry
            .content()
            .put_manifest(repository, None, MANIFEST, self.manifest(repository, text))
            .unwrap()
    }

    /// The manifest of an image whose layer is `text`; its blobs are pushed.
    pub(crate) fn manifest(&self, repository: &str, text: &str) -> String {
        let content = self.registry.content();
        let layer = content.put_blob(repository, text.to_owned()).unwrap();
        let config = content.put_blob(repository, "{}").unwrap();
        json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config.as_str() },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "size": text.len(), "digest": layer.as_str(),
            }],
        })
        .to_string()
    }

    /// Pushes an image and writes the results that name it; returns its digest.
    pub(crate) fn built(&self, repository: &str) -> Digest {
        let digest = self.image(repository, repository);
        self.result("IMAGE_URL", &format!("{}/{repository}:1", self.host()));
        self.result("IMAGE_DIGEST", digest.as_str());
        digest
    }

    /// The binary with what is mounted and nothing else: no HOME, no PATH.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command
            .env("STEPSEAL_RESULTS_DIR", self.path("results"))
            .env("STEPSEAL_STEPS_DIR", self.path("steps"))
            .env("STEPSEAL_KEY", self.path("keys"))
            .env("STEPSEAL_REGISTRY_CONFIG", self.path("credentials"))
            .env("STEPSEAL_INSECURE_REGISTRIES", self.host());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        ended(self.command(args).output().unwrap())
    }

    /// Runs the binary, which must end well.
    pub(crate) fn sign(&self, args: &[&str]) -> Ended {
        let ended = self.run(&[&["sign"], args].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended
    }

    /// The layers of an image's `.sig` manifest.
    pub(crate) fn layers(&self, repository: &str, digest: &Digest) -> Vec<Value> {
        let tag = format!("sha256-{}.sig", digest.hex());
        let Some((media_type, bytes)) = self.registry.content().manifest(repository, &tag) else {
            return Vec::new();
        };
        assert_eq!(media_type, MANIFEST);
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        manifest["layers"].as_array().unwrap().clone()
    }

    /// The payloads of an image's signatures, each verified with the key's public half.
    pub(crate) fn payloads(&self, repository: &str, digest: &Digest) -> Vec<Value> {
        let key = public_key();
        let payload = |layer: &Value| {
            let blob = layer["digest"].as_str().unwrap().parse().unwrap();
            let bytes = self.registry.content().blob(repository, &blob).unwrap();
            let text = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
            key.verify(&bytes, &STANDARD.decode(text).unwrap()).expect("our signature");
            serde_json::from_slice(&bytes).unwrap()
        };
        self.layers(repository, digest).iter().map(payload).collect()
    }
}

/// The binary with an empty environment.
pub(crate) fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
    command.args(args).env_clear();
    command
}

/// How a command ended. Nothing that it printed may hold a secret.
pub(crate) fn ended(output: Output) -> Ended {
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let login = STANDARD.encode(format!("ci-bot:{REGISTRY_PASSWORD}"));
    for secret in [REGISTRY_PASSWORD, KEY_PASSWORD, "PRIVATE KEY", login.as_str()] {
        assert!(
            !stdout.contains(secret) && !stderr.contains(secret),
            "a secret was shown:\n{stdout}\n{stderr}"
        );
    }
    harmless(&stdout);
    harmless(&stderr);
    Ended { code: output.status.code().expect("an exit code"), stdout, stderr }
}

/// Nothing that is printed moves the cursor, turns the text or hides in it, whoever wrote it.
#[track_caller]
pub(crate) fn harmless(text: &str) {
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    assert!(!text.contains(bad), "printed as it came: {text:?}");
}

/// A key pair, made once by `stepseal generate-key-pair`.
pub(crate) struct Pair {
    pub(crate) private_pem: String,
    pub(crate) public_pem: String,
}

pub(crate) fn pair() -> &'static Pair {
    static PAIR: std::sync::OnceLock<Pair> = std::sync::OnceLock::new();
    PAIR.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("cosign");
        let prefix = prefix.to_str().unwrap();
        let args = ["generate-key-pair", "--output-key-prefix", prefix];
        let output = bare(&args).env("COSIGN_PASSWORD", KEY_PASSWORD).output().unwrap();
        assert_eq!(ended(output).code, 0);
        let read = |end| fs::read_to_string(Path::new(&format!("{prefix}.{end}"))).unwrap();
        Pair { private_pem: read("key"), public_pem: read("pub") }
    })
}

pub(crate) fn public_key() -> PublicKey {
    PublicKey::from_pem(&pair().public_pem).unwrap()
}
