//! What an agent signs, as its settings and its log name it.

use std::fmt;
use std::str::FromStr;

/// A kind of artifact, by what a verifier takes the signature for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An image signature: simple signing, or cosign's statement in a Sigstore bundle.
    Image,
    /// Any other in-toto statement about images, in a DSSE envelope.
    Attestation,
    /// The status of a TaskRun or PipelineRun, as it is.
    Run,
}

/// A word that names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of image, attestation and run")]
pub struct UnknownKind;

impl Kind {
    /// Every kind of signature that an agent makes.
    pub const ALL: [Self; 3] = [Self::Image, Self::Attestation, Self::Run];

    /// Its name in settings, log and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Attestation => "attestation",
            Self::Run => "run",
        }
    }

    /// The longest payload of this kind, in bytes, decoded.
    pub(crate) const fn max_payload_bytes(self) -> usize {
        match self {
            // A name, a digest, and annotations that people write.
            Self::Image => 64 * 1024,
            // An SBOM of a large image.
            Self::Attestation => 6 * 1024 * 1024,
            // etcd takes no larger request, so no run has a larger status.
            Self::Run => 3 * 512 * 1024,
        }
    }

    /// The longest body of a request for one of this kind, in bytes.
    pub(crate) const fn max_body_bytes(self) -> usize {
        self.max_payload_bytes().div_ceil(3) * 4 + BESIDE_PAYLOAD_BYTES
    }
}

/// What a request has beside its payload: the names of 256 images, of 255 bytes and a digest each.
const BESIDE_PAYLOAD_BYTES: usize = 96 * 1024;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(UnknownKind)
    }
}
