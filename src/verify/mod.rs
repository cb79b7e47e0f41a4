//! Stage check: what was read back, verified with the public key.
//!
//! A signature counts only if it is over the very payload and by the very key; that something lies in the
//! right place says nothing.
//!
//! The `verify` commands go through the same stage: [`Search`](crate::store::Search) finds what lies at an image, a
//! [`Verdict`] says what of it counts, by whom of the [`Trust`]ed it was made, and why the rest doesn't.

pub mod attestation_type;
pub mod claim;
pub mod images;
pub mod judge;
pub mod policy;
pub mod require;
pub mod run;
pub mod statement;
pub mod strict;
pub mod trust;

pub mod bundle;

use std::borrow::Cow;

use serde_json::Value;

use crate::payload::{Envelope, Payload};
use crate::sign::PublicKey;
use crate::store::{Kept, Shelf};

pub use images::{Asked, Check, Looker, Seen, VerifyError};
pub use judge::{Demands, Good, Said, Verdict};
pub use require::{Require, RequireError};
pub use trust::{Accepted, By, Signer, Trust};

/// The payloads that have no signature by `key` on `shelf`.
pub fn missing<'a>(shelf: &Shelf, payloads: &'a [Payload], key: &PublicKey) -> Vec<&'a Payload> {
    payloads.iter().filter(|payload| !holds(shelf, payload, key)).collect()
}

/// Whether `shelf` holds a signature of `payload` by `key`.
pub fn holds(shelf: &Shelf, payload: &Payload, key: &PublicKey) -> bool {
    shelf.kept().any(|kept| is_signature(kept, payload, key))
}

/// Whether `shelf` has something over this payload, by whatever key: worth waiting for the key to see.
pub fn may_hold(shelf: &Shelf, payload: &Payload) -> bool {
    shelf.kept().any(|kept| signed_bytes(kept, payload).is_some())
}

fn is_signature(kept: &Kept, payload: &Payload, key: &PublicKey) -> bool {
    signed_bytes(kept, payload).is_some_and(|bytes| key.verify(&bytes, &kept.signature).is_ok())
}

/// The bytes that `kept` covers, if what it says is what `payload` says.
fn signed_bytes<'a>(kept: &'a Kept, payload: &'a Payload) -> Option<Cow<'a, [u8]>> {
    if kept.payload == payload.digest() {
        return Some(payload.to_be_signed());
    }
    // cosign puts blanks at random into the statements of its bundles: they say the same in other bytes,
    // and its signature covers those.
    let bytes = kept.bytes.as_ref().filter(|_| payload.envelope == Envelope::Dsse)?;
    let theirs: Value = serde_json::from_slice(bytes).ok()?;
    let ours: Value = serde_json::from_slice(&payload.bytes).ok()?;
    (theirs == ours).then(|| Cow::Owned(sigstore_types::pae(payload.media_type, bytes)))
}
