//! That a transparency log has an entry: its promise, or its proof.
//!
//! Rekor 1 signs a promise (signed entry timestamp) over body, index and time, and later a checkpoint to which a proof of inclusion leads; the
//! promise alone makes its time trustworthy. Rekor 2 (tiles) has no promise and no time.
//!
//! Specs: <https://github.com/sigstore/rekor/blob/v1.5.3/types.md>, <https://github.com/sigstore/rekor-tiles/blob/v2.2.1/CLIENTS.md>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::artifact::hex;
use super::checkpoint::Checkpoint;
use super::error::LogError;
use super::format::{Entry, Proof};
use super::merkle;
use super::trust::Log;
use crate::foreign;
use crate::key::{Hash, PublicKey};

/// The two generations of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    V1,
    V2,
}

/// Which generation's an entry is, by its kind.
pub(super) fn generation(entry: &Entry) -> Result<Generation, LogError> {
    match (entry.kind.as_str(), entry.version.as_str()) {
        ("hashedrekord" | "dsse" | "intoto", "0.0.1") | ("intoto", "0.0.2") => Ok(Generation::V1),
        ("hashedrekord" | "dsse", "0.0.2") => Ok(Generation::V2),
        (kind, version) => {
            Err(LogError::Kind { kind: foreign::escape(kind, 40), version: foreign::escape(version, 40) })
        }
    }
}

/// Whether `key` made `signature` over `message`, hashed first unless it is Ed25519.
pub(super) fn signed_by(key: &PublicKey, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
    match key.ed25519_bytes() {
        Some(_) => key.verify(message, signature).is_ok(),
        None => key.verify_digest(hash, &hash.digest(message), signature).is_ok(),
    }
}

/// Checks that `log` has `entry`; returns the time that the log attests.
pub(super) fn verify(entry: &Entry, log: &Log, now: Timestamp) -> Result<Option<Timestamp>, LogError> {
    let generation = generation(entry)?;
    if generation == Generation::V2 && (entry.promise.is_some() || entry.integrated_time.is_some()) {
        return Err(LogError::PromiseInV2);
    }
    if entry.promise.is_none() && entry.proof.is_none() {
        return Err(LogError::Unproven);
    }
    let time = entry.promise.as_ref().map(|promise| promised(entry, promise, log, now)).transpose()?;
    if let Some(proof) = &entry.proof {
        proven(entry, proof, log, generation)?;
    }
    Ok(time)
}

/// The time in an entry, whether attested or not.
pub(super) fn integrated(entry: &Entry) -> Option<Timestamp> {
    entry.integrated_time.and_then(|time| Timestamp::from_second(i64::try_from(time).ok()?).ok())
}

fn promised(entry: &Entry, promise: &[u8], log: &Log, now: Timestamp) -> Result<Timestamp, LogError> {
    let at = integrated(entry).ok_or(LogError::Promise)?;
    // Canonical JSON (RFC 8785): the names in order, no blanks; nothing in the values needs an escape.
    let signed = format!(
        r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
        STANDARD.encode(&entry.body),
        at.as_second(),
        hex(&entry.log_id),
        entry.log_index,
    );
    if !signed_by(&log.key, log.hash, signed.as_bytes(), promise) {
        return Err(LogError::Promise);
    }
    if at > now {
        return Err(LogError::Future { at });
    }
    if !log.valid_at(at) {
        return Err(LogError::Window { at });
    }
    Ok(at)
}

fn proven(entry: &Entry, proof: &Proof, log: &Log, generation: Generation) -> Result<(), LogError> {
    // Rekor 2 has one tree, in which the entry's index is the proof's; Rekor 1 has shards.
    let index = match generation {
        Generation::V1 => proof.log_index,
        Generation::V2 => entry.log_index,
    };
    if generation == Generation::V2 && proof.log_index != index {
        return Err(LogError::ProofIndex { index: proof.log_index, size: proof.tree_size });
    }
    let leaf = merkle::leaf(&entry.body);
    let root = merkle::root(leaf, index, proof.tree_size, &proof.hashes)?;
    if root.as_slice() != proof.root {
        return Err(LogError::Proof);
    }
    // Bundles 0.1 may have a proof without a checkpoint; the promise is what counts there.
    if proof.checkpoint.is_empty() {
        return if entry.promise.is_some() { Ok(()) } else { Err(LogError::Unproven) };
    }
    let checkpoint = Checkpoint::parse(&proof.checkpoint)?;
    if checkpoint.root != root {
        return Err(LogError::CheckpointMismatch("root"));
    }
    if checkpoint.tree_size != proof.tree_size {
        return Err(LogError::CheckpointMismatch("size"));
    }
    signed_by_log(&checkpoint, log, generation)
}

/// Checks that the log itself signed the checkpoint, under the name that the checkpoint begins with.
fn signed_by_log(checkpoint: &Checkpoint<'_>, log: &Log, generation: Generation) -> Result<(), LogError> {
    let name = match generation {
        // The name that a Rekor 1 signs with is its own, and need not be the host it is reached at.
        Generation::V1 => checkpoint.name(),
        Generation::V2 => log.name.as_str(),
    };
    if generation == Generation::V2 && checkpoint.origin != name {
        return Err(LogError::CheckpointOrigin { found: foreign::escape(checkpoint.origin, 200) });
    }
    let mut failed = LogError::CheckpointSigner;
    for signature in &checkpoint.signatures {
        // Four bytes don't identify a key: others may have the same, so every key that fits is tried.
        if !log.id.starts_with(&signature.hint) || signature.name != name {
            continue;
        }
        if signed_by(&log.key, log.hash, checkpoint.text.as_bytes(), &signature.signature) {
            return Ok(());
        }
        failed = LogError::CheckpointSignature;
    }
    Err(failed)
}
