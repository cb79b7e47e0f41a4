//! Images as other tools push them, in both manifest kinds, and a look at what a registry holds.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::command::{peer, run};
use super::scene::Scene;

/// The media types a manifest can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Docker's image manifest schema 2.
    Docker,
    /// The OCI image manifest.
    Oci,
}

/// An image in a registry.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Host, port and path.
    pub(crate) repository: String,
    /// The digest in the form `sha256:…`.
    pub(crate) digest: String,
}

impl Image {
    /// The reference that is signed.
    pub(crate) fn reference(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// A tag that is derived from the digest: `sha256-<hex>` and `suffix`.
    pub(crate) fn tag(&self, suffix: &str) -> String {
        format!("{}:{}{suffix}", self.repository, self.digest.replace(':', "-"))
    }
}

impl Scene {
    /// Pushes an image whose only file says `content`, with crane.
    pub(crate) fn crane_pushes(&self, kind: Kind, host: &str, name: &str, content: &str) -> Image {
        self.crane_pushes_as(kind, &format!("{host}/{name}"), "latest", content)
    }

    /// The same under a tag.
    pub(crate) fn crane_pushes_as(&self, kind: Kind, repository: &str, tag: &str, content: &str) -> Image {
        let layer = self.layer(content);
        let mut command = peer("crane", self.home());
        command.args(["append", "--insecure", "-t", &format!("{repository}:{tag}"), "-f"]).arg(layer);
        if kind == Kind::Oci {
            command.arg("--oci-empty-base");
        }
        let ran = run(&mut command).ok();
        self.pushed(kind, "image", &ran.stdout)
    }

    /// Pushes an index of `members`, with crane.
    pub(crate) fn crane_pushes_index(&self, kind: Kind, repository: &str, members: &[Image]) -> Image {
        let mut command = peer("crane", self.home());
        command.args(["index", "append", "--insecure", "-t", &format!("{repository}:latest")]);
        for member in members {
            command.args(["-m", &member.reference()]);
        }
        if kind == Kind::Docker {
            command.arg("--docker-empty-base");
        }
        let ran = run(&mut command).ok();
        self.pushed(kind, "index", &ran.stdout)
    }

    /// Copies `image` to another name, with skopeo, as `kind`.
    pub(crate) fn skopeo_copies(&self, image: &Image, kind: Kind, host: &str, name: &str) -> Image {
        let repository = format!("{host}/{name}");
        let format = if kind == Kind::Oci { "oci" } else { "v2s2" };
        let mut command = peer("skopeo", self.home());
        command.args(["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        command.args(["--format", format, "--authfile"]).arg(self.home().join("docker/config.json"));
        command.arg(format!("docker://{}", image.reference()));
        run(command.arg(format!("docker://{repository}:latest"))).ok();
        let latest = format!("{repository}:latest");
        let digest = run(peer("crane", self.home()).args(["digest", "--insecure", &latest])).ok().stdout;
        self.pushed(kind, "image", &format!("{repository}@{digest}"))
    }

    /// A manifest that a registry holds; `None` when it says that there is none.
    pub(crate) fn manifest(&self, reference: &str) -> Option<Value> {
        let ran = run(peer("crane", self.home()).args(["manifest", "--insecure", reference]));
        if ran.code != 0 {
            assert!(ran.stderr.contains("UNKNOWN") || ran.stderr.contains("NOT_FOUND"), "{ran}");
            return None;
        }
        Some(serde_json::from_str(&ran.stdout).unwrap())
    }

    /// The signatures under cosign's tag of `image`, by layer digest.
    pub(crate) fn tag_signatures(&self, image: &Image) -> Vec<String> {
        digests(self.manifest(&image.tag(".sig")), "layers")
    }

    /// What the fallback tag of `image` lists.
    pub(crate) fn fallback_referrers(&self, image: &Image) -> Vec<String> {
        digests(self.manifest(&image.tag("")), "manifests")
    }

    fn layer(&self, content: &str) -> PathBuf {
        let folder = tempfile::tempdir_in(self.home()).unwrap().keep();
        fs::write(folder.join("app"), content).unwrap();
        let mut tar = peer("tar", &folder);
        run(tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-cf", "layer.tar", "app"]))
            .ok();
        folder.join("layer.tar")
    }

    /// The image `reference`, if it is of the kind that was asked for.
    fn pushed(&self, kind: Kind, what: &str, reference: &str) -> Image {
        let reference = reference.trim();
        let manifest = self.manifest(reference).unwrap();
        let wanted = match (kind, what) {
            (Kind::Docker, "index") => "application/vnd.docker.distribution.manifest.list.v2+json",
            (Kind::Docker, _) => "application/vnd.docker.distribution.manifest.v2+json",
            (Kind::Oci, "index") => "application/vnd.oci.image.index.v1+json",
            (Kind::Oci, _) => "application/vnd.oci.image.manifest.v1+json",
        };
        // The media type is optional in an OCI manifest, and skopeo leaves it out.
        let media_type = manifest.get("mediaType");
        assert!(
            media_type.is_some_and(|media_type| media_type == wanted)
                || (media_type.is_none() && kind == Kind::Oci),
            "{manifest}"
        );
        let (repository, digest) = reference.split_once('@').unwrap();
        Image { repository: repository.to_owned(), digest: digest.to_owned() }
    }
}

fn digests(manifest: Option<Value>, list: &str) -> Vec<String> {
    let Some(manifest) = manifest else { return Vec::new() };
    let entries = manifest[list].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
}
