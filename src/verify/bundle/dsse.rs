//! DSSE envelopes: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md>.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::artifact::Artifact;
use super::error::{BundleError, ContentError, FormatError};
use super::signature;
use crate::formats::cosign_statement::PAYLOAD_TYPE;
use crate::formats::dsse::{self, KeyedSignature};
use crate::formats::statement::STATEMENT_TYPES;
use crate::json::{self, MemoryLimit};
use crate::key::PublicKey;

/// An envelope with one signature, which may or may not be right.
#[derive(Clone, Debug)]
pub struct Envelope {
    payload_type: Arc<str>,
    payload: Bytes,
    signature: Vec<u8>,
}

impl Envelope {
    pub(super) fn new(payload_type: Arc<str>, payload: Bytes, signature: Vec<u8>) -> Self {
        Self { payload_type, payload, signature }
    }

    /// Reads an envelope outside a bundle, as in `.att` layers and annotations, and returns one for each of its signatures.
    ///
    /// # Errors
    ///
    /// [`BundleError::Format`]: it is not an envelope, has no signature, or has more signatures than any honest signer makes.
    pub fn parse(bytes: &[u8]) -> Result<Vec<Self>, BundleError> {
        let read = dsse::read(bytes).map_err(|e| BundleError::Format(FormatError::Envelope(e)))?;
        Ok(Self::each(&read).collect())
    }

    /// An envelope that was read: one for each of its signatures.
    pub(crate) fn each(read: &dsse::Envelope) -> impl Iterator<Item = Self> {
        let payload_type: Arc<str> = read.payload_type.as_str().into();
        // A payload may have many megabytes, and is shared by all of them.
        let one = move |signature: &KeyedSignature| {
            Self::new(Arc::clone(&payload_type), read.payload.clone(), signature.signature.clone())
        };
        read.signatures.iter().map(one)
    }

    /// The payload's type; not verified.
    pub(crate) fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The payload; not verified.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload, which clones share; not verified.
    pub(crate) fn shared_payload(&self) -> &Bytes {
        &self.payload
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The bytes that the signature covers.
    pub fn signed_bytes(&self) -> Vec<u8> {
        sigstore_types::pae(&self.payload_type, &self.payload)
    }

    /// The payload, if `key` signed it.
    ///
    /// # Errors
    ///
    /// [`BundleError::Content`]: it did not.
    pub fn verify(&self, key: &PublicKey) -> Result<&[u8], BundleError> {
        let signed = Artifact::of(self.signed_bytes());
        signature::verify(key, &signed, &self.signature, None)?;
        Ok(&self.payload)
    }

    /// Checks that the payload is an in-toto statement about `artifact`.
    pub(super) fn is_about(&self, artifact: &Artifact) -> Result<(), ContentError> {
        if matches!(artifact, Artifact::Unchecked) {
            return Ok(());
        }
        if *self.payload_type != *PAYLOAD_TYPE {
            return Err(ContentError::PayloadType { found: crate::foreign::escape(&self.payload_type, 120) });
        }
        let head = json::value_without(&self.payload, "predicate", HEAD).map_err(ContentError::Statement)?;
        let statement: Statement = serde_json::from_value(head).map_err(ContentError::Statement)?;
        if !STATEMENT_TYPES.contains(&statement._type.as_str()) {
            return Err(ContentError::StatementType { found: crate::foreign::escape(&statement._type, 120) });
        }
        let digests = statement.subject.iter().flat_map(|subject| subject.digest.iter().flatten());
        if digests.clone().count() > SUBJECTS {
            return Err(ContentError::TooManySubjects { limit: SUBJECTS });
        }
        if digests.clone().any(|(name, hex)| artifact.has_digest(name, hex)) {
            return Ok(());
        }
        let found = digests.map(|(name, hex)| crate::foreign::escape(&format!("{name}:{hex}"), 140));
        Err(ContentError::Subject { wanted: artifact.to_string(), found: found.take(3).collect() })
    }
}

/// The most digests that a statement is searched for.
const SUBJECTS: usize = 32 * 1024;
/// What a statement without its predicate may take in memory: so many subjects fit.
const HEAD: MemoryLimit = MemoryLimit::memory(64 * 1024 * 1024);

#[derive(Deserialize)]
struct Statement {
    _type: String,
    #[serde(default)]
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: Option<std::collections::BTreeMap<String, String>>,
}
