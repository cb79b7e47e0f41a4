//! Where signatures are kept: the stores and encodings that a run may name, and what a signature is kept under.

use crate::chains::ShortKey;
use crate::oci::{Digest, ImageRef};

/// A store, as the configuration names it; in the order in which a run writes to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreKind {
    /// What it needs.
    pub holder: Holder,
    /// Its name in the configuration.
    pub name: &'static str,
}

/// What holds the signatures of a store, and has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The registries of the images that the signatures are about, in all encodings.
    Images,
    /// The folder for signatures.
    Folder,
    /// The object of the run, in the cluster.
    Run,
}

impl StoreKind {
    /// Whether signatures lie beside images: a run without images has no place there.
    pub(crate) fn is_beside_images(self) -> bool {
        self.holder == Holder::Images
    }

    /// Whether it needs the folder for signatures.
    pub(crate) fn needs_folder(self) -> bool {
        self.holder == Holder::Folder
    }

    /// Whether it needs a run, and the cluster.
    pub(crate) fn needs_run(self) -> bool {
        self.holder == Holder::Run
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
    pub(crate) fn is_run(&self) -> bool {
        self.image.is_none()
    }
}
