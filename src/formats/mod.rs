//! The formats of what is signed, and of what surrounds it: bytes in, bytes out.
//!
//! A [`Payload`] is the exact bytes that are signed. Makers and readers of a format stand in one file, for the stages that make
//! payloads, store them and check them.

pub mod cosign_statement;
pub mod dsse;
pub(crate) mod simple_signing;
pub mod statement;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::oci::Digest;

/// What a payload says of an image, beside its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The names signed as `docker-reference`; empty: the image's own repository.
    pub identities: Vec<String>,
    /// Annotations that `cosign verify -a KEY=VALUE` compares.
    pub annotations: BTreeMap<String, String>,
}

impl Claims {
    /// What is said of one image, whose own `identities` take the place of those of all.
    pub fn with(&self, identities: &[String]) -> Cow<'_, Self> {
        if identities.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self { identities: identities.to_vec(), annotations: self.annotations.clone() })
    }
}

/// Bytes to sign, and how the signature covers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The bytes, exactly as they are stored.
    pub bytes: Bytes,
    /// Their media type; for DSSE, the envelope's `payloadType`.
    pub media_type: &'static str,
    /// What is around them.
    pub envelope: Envelope,
}

/// What a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// The bytes of the payload are signed as they are.
    Bare,
    /// The DSSE pre-authentication encoding of the payload.
    ///
    /// Spec: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md>
    Dsse,
}

/// Why a payload can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// A Sigstore bundle of an image signature has no `docker-reference`.
    #[error("a Sigstore bundle has no place for an identity")]
    Identity,
    /// The payload can't be written as JSON.
    #[error("cannot write the payload as JSON")]
    Json,
    /// A statement that was given is about something else.
    #[error("none of the subjects of the statement {place} has this image's digest")]
    OtherSubject {
        /// Where the statement comes from, for people.
        place: String,
    },
}

crate::explain::explain! { PayloadError,
    Self::Identity => ["payload-identity", Usage, "leave --identity out, or set storage.oci.encoding-format to dsse"],
    Self::Json => ["fault-payload", Usage, "this is a fault of Stepseal's: report it with the configuration used"],
    Self::OtherSubject { .. } => ["statement-names-others", Usage,
        "give a statement that names each image by its sha256 digest, or the predicate alone: --predicate FILE --type TYPE"],
}

impl Payload {
    /// The digest of the payload's own bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// The bytes that the signature covers.
    pub fn to_be_signed(&self) -> Cow<'_, [u8]> {
        match self.envelope {
            Envelope::Bare => Cow::Borrowed(&self.bytes),
            Envelope::Dsse => Cow::Owned(sigstore_types::pae(self.media_type, &self.bytes)),
        }
    }
}
