//! One signing step's surroundings: the Secrets mounted into it, its results, and what its user has at home.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::command::{Ran, peer, run};
use super::token::REFRESH_TOKEN;

/// The user that the registries know.
pub(crate) const USER: &str = "robot";
/// The password of that registry user.
pub(crate) const PASSWORD: &str = "registry-passw0rd-KEEP-ME-OUT";
/// What the signing key is encrypted with.
pub(crate) const KEY_PASSWORD: &str = "key-passw0rd-KEEP-ME-OUT";

/// Where a signature goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// As cosign's tag: `sha256-<hex>.sig`.
    Tag,
    /// A Sigstore bundle among the image's referrers, or under the fallback tag.
    Referrers,
}

impl Place {
    /// `storage.oci.encoding-format` for this place.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Tag => "dsse",
            Self::Referrers => "sigstore-bundle",
        }
    }

    /// What makes cosign write to, and look at, this place only.
    pub(crate) fn cosign_flag(self) -> &'static str {
        match self {
            Self::Tag => "--new-bundle-format=false",
            Self::Referrers => "--new-bundle-format=true",
        }
    }
}

/// The folders of one step.
#[derive(Debug)]
pub(crate) struct Scene {
    home: TempDir,
}

impl Scene {
    /// A step with a key pair that cosign made, and no credentials.
    pub(crate) fn new() -> Self {
        let scene = Self { home: tempfile::tempdir().unwrap() };
        for name in ["docker", "results", "steps", "work"] {
            fs::create_dir(scene.home().join(name)).unwrap();
        }
        let work = scene.home().join("work");
        run(scene.cosign(&["generate-key-pair"]).current_dir(&work)).ok();
        let [key, public] = ["cosign.key", "cosign.pub"].map(|name| fs::read(work.join(name)).unwrap());
        scene.mount_key(&[
            ("cosign.key", &key),
            ("cosign.pub", &public),
            ("cosign.password", KEY_PASSWORD.as_bytes()),
        ]);
        scene
    }

    /// The same with a key that has no password, so that opening it takes no time. cosign verifies with it, and does not sign.
    pub(crate) fn quick() -> Self {
        let scene = Self { home: tempfile::tempdir().unwrap() };
        for name in ["docker", "results", "steps", "work"] {
            fs::create_dir(scene.home().join(name)).unwrap();
        }
        let pair = rcgen::KeyPair::generate().unwrap();
        let (key, public) = (pair.serialize_pem(), pair.public_key_pem());
        scene.mount_key(&[("cosign.key", key.as_bytes()), ("cosign.pub", public.as_bytes())]);
        scene
    }

    /// The folder that everything lies in.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Creates a folder in the scene.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// Returns the folder with the mounted `signing-secrets`.
    pub(crate) fn keys(&self) -> PathBuf {
        self.home().join("signing-secrets")
    }

    /// The public key, as cosign wants it.
    pub(crate) fn public_key(&self) -> PathBuf {
        self.keys().join("cosign.pub")
    }

    /// The mounted registry credentials.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.home().join("registry-credentials")
    }

    /// Mounts `files` as the key Secret.
    pub(crate) fn mount_key(&self, files: &[(&str, &[u8])]) {
        mount(&self.keys(), files);
    }

    /// Gives everyone in the scene [`USER`]'s password for `hosts`.
    pub(crate) fn allow(&self, hosts: &[String]) {
        self.credentials_are(hosts, &json!({ "auth": STANDARD.encode(format!("{USER}:{PASSWORD}")) }));
    }

    /// The same as an identity token.
    pub(crate) fn allow_by_identity_token(&self, hosts: &[String]) {
        let auth = STANDARD.encode("00000000-0000-0000-0000-000000000000:");
        self.credentials_are(hosts, &json!({ "auth": auth, "identitytoken": REFRESH_TOKEN }));
    }

    /// Gives everyone in the scene `entry` for `hosts`.
    pub(crate) fn credentials_are(&self, hosts: &[String], entry: &Value) {
        let auths: serde_json::Map<_, _> = hosts.iter().map(|host| (host.clone(), entry.clone())).collect();
        let config = json!({ "auths": auths }).to_string();
        mount(&self.credentials(), &[(".dockerconfigjson", config.as_bytes())]);
        fs::write(self.home().join("docker/config.json"), config).unwrap();
    }

    /// Writes a result as a build step does: with a newline at its end.
    pub(crate) fn result(&self, name: &str, value: &str) {
        fs::write(self.home().join("results").join(name), format!("{value}\n")).unwrap();
    }

    /// Stepseal with the mounted files, `STEPSEAL_*` set, plain HTTP for `hosts`, and nothing else: no `HOME`.
    pub(crate) fn stepseal(&self, hosts: &[String], arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .env_clear()
            .current_dir(self.home().join("work"))
            .env("STEPSEAL_KEY", self.keys())
            .env("STEPSEAL_REGISTRY_CONFIG", self.credentials())
            .env("STEPSEAL_RESULTS_DIR", self.home().join("results"))
            .env("STEPSEAL_STEPS_DIR", self.home().join("steps"))
            .env("STEPSEAL_INSECURE_REGISTRIES", hosts.join(","))
            .args(arguments);
        command
    }

    /// Runs `stepseal sign` for `place` and checks that nothing it says holds a secret.
    #[track_caller]
    pub(crate) fn sign(&self, place: Place, hosts: &[String], arguments: &[&str]) -> Ran {
        let mut command = self.stepseal(hosts, &["sign"]);
        command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting()).args(arguments);
        run_quietly(&mut command)
    }

    /// cosign, with the key's password and the credentials.
    pub(crate) fn cosign(&self, arguments: &[&str]) -> Command {
        let mut command = peer("cosign", self.home());
        command.env("COSIGN_PASSWORD", KEY_PASSWORD).args(arguments);
        command
    }

    /// `cosign sign` for `place` with the scene's key, still without a reference.
    pub(crate) fn cosign_sign(&self, place: Place) -> Command {
        let mut command = self.cosign(&["sign", "-y", "--use-signing-config=false", "--tlog-upload=false"]);
        command.args(["--allow-http-registry", place.cosign_flag(), "--key"]);
        command.arg(self.keys().join("cosign.key"));
        command
    }

    /// cosign's own signature on `reference`, by the same key.
    pub(crate) fn cosign_signs(&self, place: Place, reference: &str, more: &[&str]) {
        run(self.cosign_sign(place).args(more).arg(reference)).ok();
    }

    /// `cosign verify` of `reference` at `place`.
    pub(crate) fn cosign_verify(&self, place: Place, reference: &str, more: &[&str]) -> Ran {
        let mut command = self.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
        command.args([place.cosign_flag(), "--key"]).arg(self.public_key()).args(more).arg(reference);
        run(&mut command)
    }

    /// What cosign verified of `reference` at `place`, one value a signature; it must be some.
    #[track_caller]
    pub(crate) fn verified(&self, place: Place, reference: &str) -> Vec<Value> {
        let ran = self.cosign_verify(place, reference, &[]).ok();
        let values: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        assert!(!values.is_empty(), "{ran}");
        values
    }
}

/// The program under test: the binary that `STEPSEAL_BINARY` names (tests/peers/run: the static release build), or
/// Cargo's.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("STEPSEAL_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_stepseal").into(), PathBuf::from)
}

/// The static release build, which `cargo test` alone doesn't make.
pub(crate) fn static_binary() -> PathBuf {
    let path = std::env::var_os("STEPSEAL_BINARY");
    PathBuf::from(path.expect("STEPSEAL_BINARY names the static build: tests/peers/run makes it"))
}

/// Runs `command` and checks that none of the secrets of a scene, in no form, is in what it says.
#[track_caller]
pub(crate) fn run_quietly(command: &mut Command) -> Ran {
    let ran = run(command);
    let basic = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    for secret in [PASSWORD, KEY_PASSWORD, REFRESH_TOKEN, &basic, "PRIVATE KEY", "eyJ0eXAi"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret} in: {ran}");
    }
    ran
}

/// Makes `folder` as Kubernetes mounts a Secret: each entry a link into `..data`, itself a link.
fn mount(folder: &Path, files: &[(&str, &[u8])]) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    let data = folder.join("..2026_01_01_00_00_00.1");
    fs::create_dir_all(&data).unwrap();
    symlink("..2026_01_01_00_00_00.1", folder.join("..data")).unwrap();
    for (name, bytes) in files {
        fs::write(data.join(name), bytes).unwrap();
        symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
    }
}
