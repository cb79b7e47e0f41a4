//! What a signing step finds: a registry with images, a key, credentials, and a Task's results.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::registry::{Auth, Content, ContentError, EmbeddedRegistry, Options, Rights, User};
use crate::explain::explain;
use crate::oci::media_type::{OCI_CONFIG, OCI_IMAGE, OCI_INDEX};
use crate::oci::{Digest, ImageRef};
use crate::secret::Secret;
use crate::sign::{self, KeyError};

const USER: &str = "demo";

/// A running registry and the folder that a step would have mounted.
pub struct Sample {
    /// The registry; it ends with this value.
    pub registry: EmbeddedRegistry,
    folder: TempDir,
}

/// Why the sample can't be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The registry can't be started.
    #[error("cannot start the demo's registry on 127.0.0.1")]
    Start(#[source] io::Error),
    /// An image can't be put into it.
    #[error("cannot push the demo's images")]
    Push(#[source] ContentError),
    /// A file can't be written.
    #[error("cannot write the demo's files")]
    Write(#[source] io::Error),
    /// The key can't be made.
    #[error("cannot make the demo's key")]
    Key(#[source] KeyError),
    /// A password can't be made.
    #[error("the system gives no random numbers")]
    Random,
}

explain! { SampleError,
    Self::Start(_) => ["demo-failed", Failed, "choose another port with --port"],
    Self::Write(_) => ["demo-failed", Failed, "set TMPDIR to a folder that can be written"],
    Self::Push(_) | Self::Key(_) | Self::Random => ["demo-failed", Failed],
}

impl Sample {
    /// Starts the registry on `port` (0: a free one) and writes everything into a temporary folder.
    ///
    /// # Errors
    ///
    /// When the port is taken or the folder can't be written.
    pub fn start(port: u16) -> Result<Self, SampleError> {
        let password = random_text()?;
        let user = User::new(USER, &password).may_pull("**").may_push("**");
        let options = Options {
            port,
            auth: Auth::Basic,
            users: vec![user],
            anonymous: Rights::default(),
            ..Options::default()
        };
        let registry = EmbeddedRegistry::start_blocking(options).map_err(SampleError::Start)?;
        let folder = tempfile::Builder::new()
            .prefix("stepseal-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let folder = folder.map_err(SampleError::Write)?;
        let sample = Self { registry, folder };
        sample.fill(&password)?;
        Ok(sample)
    }

    fn fill(&self, password: &str) -> Result<(), SampleError> {
        let host = self.registry.host();
        let content = self.registry.content();
        let app = image(content, "team/app", "amd64", Some("1.0")).map_err(SampleError::Push)?;
        let index = index(content, "team/tools").map_err(SampleError::Push)?;
        let login = STANDARD.encode(format!("{USER}:{password}"));
        let auths = json!({ "auths": { host: { "auth": login } } });
        let key_password = random_text()?;
        let pair = sign::generate(&Secret::from(key_password.clone())).map_err(SampleError::Key)?;
        let private = Secret::new(pair.private_pem.expose());
        let files = [
            (self.results().join("IMAGE_URL"), format!("{host}/team/app:1.0\n").into()),
            (self.results().join("IMAGE_DIGEST"), app.to_string().into()),
            (self.results().join("IMAGES"), format!("{host}/team/tools@{index}\n").into()),
            (self.keys().join("cosign.key"), private),
            (self.keys().join("cosign.password"), key_password.into()),
            (self.keys().join("cosign.pub"), pair.public_pem.into()),
            (self.credentials().join("config.json"), auths.to_string().into()),
        ];
        files.iter().try_for_each(|(path, bytes)| write(path, bytes)).map_err(SampleError::Write)
    }

    /// What would be mounted as `/tekton/results`.
    pub fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    /// What would be mounted as `/etc/signing-secrets`.
    pub fn keys(&self) -> PathBuf {
        self.folder.path().join("signing-secrets")
    }

    /// What would be mounted as `/etc/registry-credentials`.
    pub fn credentials(&self) -> PathBuf {
        self.folder.path().join("registry-credentials")
    }

    /// The folder of all this.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything in the registry that `sign --recursive` signs.
    pub fn images(&self) -> Vec<ImageRef> {
        let host = self.registry.host();
        let digests = |repository: &str| {
            let tags = self.registry.content().tags(repository);
            let tag = tags.iter().find(|tag| !tag.ends_with(".sig")).cloned().unwrap_or_default();
            let Some((_, bytes)) = self.registry.content().manifest(repository, &tag) else {
                return Vec::new();
            };
            let mut digests = vec![Digest::of(&bytes)];
            let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let listed = manifest.get("manifests").and_then(Value::as_array).into_iter().flatten();
            digests.extend(listed.filter_map(|entry| entry.get("digest")?.as_str()?.parse::<Digest>().ok()));
            digests
        };
        let named = ["team/app", "team/tools"].into_iter().flat_map(|repository| {
            digests(repository).into_iter().filter_map(move |digest| {
                Some(ImageRef { repository: format!("{host}/{repository}").parse().ok()?, digest })
            })
        });
        named.collect()
    }
}

/// Writes a file that its user alone can read: most of them are secret.
fn write(path: &Path, bytes: &Secret) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes.expose())
}

/// 128 random bits in hex.
fn random_text() -> Result<String, SampleError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| SampleError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Pushes an image with one small layer; returns its digest.
fn image(
    content: &Content,
    repository: &str,
    architecture: &str,
    tag: Option<&str>,
) -> Result<Digest, ContentError> {
    let layer = Bytes::from(format!("the layer of {repository} for {architecture}\n"));
    let layer_digest = content.put_blob(repository, layer.clone())?;
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [layer_digest.as_str()] },
    });
    let config = config.to_string();
    let config_digest = content.put_blob(repository, config.clone())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": {
            "mediaType": OCI_CONFIG,
            "size": config.len(),
            "digest": config_digest.as_str(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "size": layer.len(),
            "digest": layer_digest.as_str(),
        }],
    });
    content.put_manifest(repository, tag, OCI_IMAGE, manifest.to_string())
}

/// Pushes an index of two images; returns its digest.
fn index(content: &Content, repository: &str) -> Result<Digest, ContentError> {
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let digest = image(content, repository, architecture, None)?;
        let size = content.manifest(repository, digest.as_str()).map_or(0, |(_, bytes)| bytes.len());
        entries.push(json!({
            "mediaType": OCI_IMAGE,
            "size": size,
            "digest": digest.as_str(),
            "platform": { "architecture": architecture, "os": "linux" },
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    content.put_manifest(repository, Some("latest"), OCI_INDEX, index.to_string())
}
