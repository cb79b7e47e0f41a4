//! Where signatures are kept: the stores and encodings that a run may name, and what a signature is kept under.

use crate::chains::ShortKey;
use crate::oci::{Digest, ImageRef};

/// A place for signatures, as the configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreKind {
    /// Beside the images, in their registries.
    Oci,
    /// A folder.
    Directory,
    /// The run's annotations.
    Tekton,
}

impl StoreKind {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Directory => "directory",
            Self::Tekton => "tekton",
        }
    }
}

/// How signatures lie in registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// cosign's `.sig` and `.att` tags.
    Dsse,
    /// OCI 1.1 referrers with a Sigstore bundle.
    SigstoreBundle,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Dsse, Self::SigstoreBundle];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dsse => "dsse",
            Self::SigstoreBundle => "sigstore-bundle",
        }
    }
}

/// The names under which a signature is kept where each has its own: Tekton Chains' keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptUnder {
    /// `taskrun-UID`, `pipelinerun-UID`, or the first twelve digits of an image's digest.
    pub short: String,
    /// `tekton.dev-v1-TaskRun-UID`, or an image's whole name.
    pub full: String,
    /// The image; `None`: it is a run's.
    pub image: Option<Digest>,
}

impl KeptUnder {
    /// The keys of an image's signature.
    pub fn image(image: &ImageRef) -> Self {
        let short = ShortKey::Image(image.digest.clone()).name();
        Self { short, full: image.to_string(), image: Some(image.digest.clone()) }
    }

    /// Whether it is a run's.
    pub fn is_run(&self) -> bool {
        self.image.is_none()
    }
}
