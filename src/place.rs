//! Where signatures are stored: the stores and encodings that the configuration can name, and a signature's storage key.

use crate::chains::ShortKey;
use crate::oci::{Digest, ImageRef};

/// A store as the configuration names it. Stores are ordered as a run writes to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreKind {
    /// The object that holds its signatures.
    pub holder: StoreHolder,
    /// The store's name in the configuration.
    pub name: &'static str,
}

/// The object that holds a store's signatures and has to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreHolder {
    /// The registries of the signed images, in all encodings.
    Images,
    /// The directory for signatures.
    Folder,
    /// The run's object in the cluster.
    Run,
}

impl StoreKind {
    /// Whether the store keeps signatures beside images. A run without images can't use it.
    pub(crate) fn is_beside_images(self) -> bool {
        self.holder == StoreHolder::Images
    }

    /// Whether the store needs the directory for signatures.
    pub(crate) fn needs_folder(self) -> bool {
        self.holder == StoreHolder::Folder
    }

    /// Whether the store needs a run in the cluster.
    pub(crate) fn needs_run(self) -> bool {
        self.holder == StoreHolder::Run
    }
}

/// The format of signatures in registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// cosign's `.sig` and `.att` tags.
    Dsse,
    /// OCI 1.1 referrers with a Sigstore bundle.
    SigstoreBundle,
}

impl Encoding {
    /// Every encoding, in canonical order.
    pub const ALL: [Self; 2] = [Self::Dsse, Self::SigstoreBundle];

    /// The encoding's name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dsse => "dsse",
            Self::SigstoreBundle => "sigstore-bundle",
        }
    }
}

/// Tekton Chains' keys for one signature, used by stores that keep each signature under a key of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageKey {
    /// `taskrun-UID`, `pipelinerun-UID`, or the first twelve digits of an image's digest.
    pub short: String,
    /// `tekton.dev-v1-TaskRun-UID`, or an image's full name.
    pub full: String,
    /// The signed image; `None` for a run's signature.
    pub image: Option<Digest>,
}

impl StorageKey {
    /// The storage key of an image's signature.
    pub fn image(image: &ImageRef) -> Self {
        let short = ShortKey::Image(image.digest.clone()).name();
        Self { short, full: image.to_string(), image: Some(image.digest.clone()) }
    }

    /// Whether the signature is a run's.
    pub(crate) fn is_run(&self) -> bool {
        self.image.is_none()
    }
}
