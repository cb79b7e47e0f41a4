//! What `sign` and `attest` count as there already, and as there after a write: what `verify` accepts, no more and no less.
//!
//! It is the verdict of `verify --key KEY --insecure-ignore-tlog`: signatures of ours need no log.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::bundle::{Signer, TrustMaterial};
use super::evidence::Evidence;
use super::judge::{self, Asking, Demands, Said};
use super::trust::{Accepted, Trust};
use crate::formats::cosign_statement::PREDICATE_TYPE;
use crate::formats::{Envelope, Payload, statement};
use crate::found::{EntryJudge, EntryStatus, EntryStatusFuture, SignatureContent, UnreadableEntry};
use crate::key::{AwaitedKey, PublicKey};
use crate::oci::{Digest, ImageRef};

/// Statements up to this size that differ from ours in nothing but their blanks are the same.
const MAX_COMPARED_BYTES: usize = 1024 * 1024;

/// Judges what lies at one image: is it our signature of one of these payloads?
pub struct Own<'a> {
    key: &'a dyn AwaitedKey,
    image: &'a ImageRef,
    payloads: Vec<(&'a Payload, Demands)>,
    digests: Vec<Digest>,
}

impl<'a> Own<'a> {
    /// Looks for signatures of `payloads`, which are about `image`, by `key`.
    pub fn new(key: &'a dyn AwaitedKey, image: &'a ImageRef, payloads: &'a [Payload]) -> Self {
        let digests = payloads.iter().map(Payload::digest).collect();
        let payloads = payloads.iter().map(|payload| (payload, demands(payload))).collect();
        Self { key, image, payloads, digests }
    }

    /// Checks that `verify` would accept what is to be signed, once it is.
    ///
    /// # Errors
    ///
    /// Why it would not.
    pub(crate) fn acceptable(&self) -> Result<(), String> {
        self.payloads.iter().try_for_each(|(payload, demands)| {
            let said = match payload.envelope {
                Envelope::Bare => judge::claimed(self.image, &payload.bytes, demands).map(|_| ()),
                Envelope::Dsse => {
                    judge::statement_of(self.image, payload.media_type, &payload.bytes, demands).map(|_| ())
                }
            };
            said.map_err(|refusal| judge::told(&refusal))
        })
    }

    /// The payloads that have no signature that counts, as `counts` says of their digests.
    pub(crate) fn missing(&self, counts: impl Fn(&Digest) -> bool) -> Vec<Payload> {
        let missing = self.payloads.iter().zip(&self.digests).filter(|(_, digest)| !counts(digest));
        missing.map(|((payload, _), _)| (*payload).clone()).collect()
    }

    /// Waits for the key only where something may be by it.
    async fn standing(&self, content: SignatureContent) -> EntryStatus {
        if let SignatureContent::Simple { payload, .. } = &content
            && !self.payloads.iter().any(|(ours, _)| ours.bytes == *payload)
        {
            return EntryStatus::Unread;
        }
        // A key that can't be used is told when it is to sign.
        let Some(key) = self.key.public().await else { return EntryStatus::Unread };
        let trust = trust(&key);
        let (mut why, mut is_other) = (String::new(), false);
        let evidence = Evidence::new(content);
        for ((payload, demands), digest) in self.payloads.iter().zip(&self.digests) {
            match says(self.image, payload, demands, &evidence, &trust) {
                Ok(true) => return EntryStatus::Counts(digest.clone()),
                Ok(false) => is_other = true,
                Err(refusal) => why = refusal,
            }
        }
        if is_other { EntryStatus::OtherStatement } else { EntryStatus::Refused(why) }
    }
}

impl EntryJudge for Own<'_> {
    fn payloads(&self) -> &[Digest] {
        &self.digests
    }

    fn judge(&self, content: Result<SignatureContent, UnreadableEntry>) -> EntryStatusFuture<'_> {
        Box::pin(async move {
            match content {
                Ok(content) => self.standing(content).await,
                Err(unreadable) if unreadable.absent => EntryStatus::Absent,
                Err(unreadable) => EntryStatus::Refused(unreadable.why),
            }
        })
    }
}

/// Trust in signatures by `key`, with or without an entry in a log.
pub fn trust(key: &PublicKey) -> Trust {
    let accepted = Accepted {
        name: "this key".to_owned(),
        signer: Signer::Key(Box::new(key.clone())),
        log_required: false,
        timestamp_required: false,
        ignore_sct: false,
        allow_certificate_chain: false,
        hash: None,
    };
    Trust { signers: vec![accepted], material: Arc::new(TrustMaterial::none()) }
}

/// What `verify` or `verify-attestation` is asked to find `payload`.
fn demands(payload: &Payload) -> Demands {
    let head = (payload.envelope == Envelope::Dsse).then(|| statement::head(&payload.bytes)).flatten();
    let predicate_type = head.map(|head| head.predicate_type).filter(|kind| kind != PREDICATE_TYPE);
    Demands { predicate_type, ..Demands::default() }
}

/// Whether `evidence` is a good signature or attestation of `image`, and says what `payload` says.
///
/// # Errors
///
/// Why it doesn't count.
fn says(
    image: &ImageRef,
    payload: &Payload,
    demands: &Demands,
    evidence: &Evidence,
    trust: &Trust,
) -> Result<bool, String> {
    // There is one signer.
    let asking = Asking { trust, numbers: &[0], demands };
    let (_, said) = judge::judged(image, evidence, asking).map_err(|refusal| judge::told(&refusal))?;
    Ok(match (said, evidence.simple()) {
        (Said::Statement { envelope, .. }, _) => {
            envelope.payload_type == payload.media_type && is_same(&envelope.payload, &payload.bytes)
        }
        (Said::Claim(_), Some((signed, _))) => *signed == payload.bytes,
        (Said::Claim(_), None) => false,
    })
}

/// Whether two statements are the same: cosign puts blanks at random into those of its bundles.
fn is_same(one: &Bytes, other: &Bytes) -> bool {
    if one == other {
        return true;
    }
    if one.len().max(other.len()) > MAX_COMPARED_BYTES {
        return false;
    }
    let read = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).ok().filter(is_exact);
    read(one).is_some_and(|one| read(other).is_some_and(|other| one == other))
}

/// Whether nothing in it was rounded when it was read.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(fields) => fields.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_make_no_difference_and_digits_do() {
        let same = |one: &'static str, other: &'static str| is_same(&one.into(), &other.into());
        assert!(same(r#"{"a":[1,"x"]}"#, r#"{ "a": [1, "x"]}"#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":2}"#));
        // Read as numbers, these are the same.
        assert!(!same(r#"{"a":12345678901234567890123}"#, r#"{"a":12345678901234567890124}"#));
        assert!(!same(r#"{"a":1.0}"#, r#"{"a":1.00}"#));
        assert!(!same("{", "{ "));
    }
}
