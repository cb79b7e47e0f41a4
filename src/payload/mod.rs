//! Stage payload: a subject in, the exact bytes to sign out.
//!
//! The bytes are made once and never serialized again: what is signed here is what a store keeps.

pub mod attestations;
pub(crate) mod predicate_shape;
pub mod provenance;

use crate::formats::{Claims, Payload, PayloadError, cosign_statement, simple_signing};
use crate::oci::ImageRef;

pub use attestations::{Attestation, Attestations, GivenStatement};

/// A payload format: one member a file.
pub trait Format: Send + Sync {
    /// Its name in configuration, plan and report.
    fn name(&self) -> &'static str;

    /// The payloads that sign `image` with `claims`, in a stable order.
    ///
    /// # Errors
    ///
    /// A claim that the format has no place for.
    fn payloads(&self, image: &ImageRef, claims: &Claims) -> Result<Vec<Payload>, PayloadError>;
}

/// The format `simplesigning`: one payload an identity.
#[derive(Clone, Copy, Debug)]
pub struct SimpleSigning;

impl Format for SimpleSigning {
    fn name(&self) -> &'static str {
        simple_signing::NAME
    }

    fn payloads(&self, image: &ImageRef, claims: &Claims) -> Result<Vec<Payload>, PayloadError> {
        simple_signing::payloads(image, claims)
    }
}

/// The format of image signatures in bundles: one statement an image, without the image's name.
#[derive(Clone, Copy, Debug)]
pub struct CosignStatement;

impl Format for CosignStatement {
    fn name(&self) -> &'static str {
        cosign_statement::NAME
    }

    fn payloads(&self, image: &ImageRef, claims: &Claims) -> Result<Vec<Payload>, PayloadError> {
        Ok(vec![cosign_statement::payload(image, claims)?])
    }
}
