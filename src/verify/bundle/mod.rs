//! Sigstore bundles: who signed what, and when, proven offline.
//!
//! Spec: <https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_bundle.proto>,
//! <https://github.com/sigstore/architecture-docs/blob/main/client-spec.md>.
//!
//! | file | it answers |
//! |---|---|
//! | `format.rs` | is this a bundle, and whole for its version? |
//! | `signature.rs`, `dsse.rs`, `artifact.rs` | is this the key's signature, and of this artifact? |
//! | `body.rs` | is what is logged this very signature? |
//! | `log.rs`, `checkpoint.rs`, `merkle.rs` | does the log have the entry, by its promise or its proof? |
//! | `timestamp.rs`, `token.rs`, `names.rs` | does an authority attest a time? |
//! | `certificate.rs`, `path.rs`, `sct.rs` | was the certificate good at every such time, and logged? |
//! | `policy.rs` | may this signer sign? |
//! | `trust.rs` | which logs and authorities are believed, and in which times? |
//! | `roots.rs` | which of several trusted roots verifies all of it? |
//! | `several.rs` | which of several bundles in a file count? |
//!
//! # What must hold
//!
//! Every log entry and every timestamp of a bundle must be good, not only one of them: a bundle that holds something false was tampered with.
//! A timestamp by an authority that the trusted root doesn't have is neither good nor false: it is passed over and named, unless a
//! timestamp is asked for, or nothing else proves a time that a certificate needs.
//! Every time they prove must lie within the certificate's validity and that of its authority, so that one early time can't hide a late
//! one. The windows of the trusted root are closed on both ends; a member without a window is believed always, one whose window
//! lacks its beginning makes the whole trusted root unusable. A signature by a key needs no time: where
//! none is proven, its log's key must have begun to be valid.
//!
//! With `ignore_tlog` entries aren't looked at.
//!
//! The certificates that come with the signer's may stand between it and an authority of the trusted root. Those that vouch for themselves are
//! passed over: a path ends in the trusted root or nowhere.
//!
//! # What is taken from sigstore-rs, and what isn't
//!
//! `sigstore-types` gives DSSE's encoding, `sigstore-trust-root` the trusted root's format and the public-good one. `sigstore-verify`
//! 0.15 isn't used. Read in its source: without `aws-lc-rs` all its hashing panics until a provider is installed for
//! the whole process (`sigstore-crypto/provider.rs`); a checkpoint may be signed by any log of the trusted root that has begun, under any
//! name, whether or not it is the entry's (`tlog.rs`, `verify_checkpoint`), and its size isn't compared with the proof's; Rekor's keys are not
//! held to their windows in Rekor 2; a trusted root's intermediates are roots of paths and their own validity isn't looked at (`verify.rs`,
//! `Verifier::new`; webpki leaves that of anchors to its caller); an intermediate must name the extended key usage (webpki's
//! `KeyUsage::required`), which RFC 5280 doesn't ask of authorities; several SCTs are refused, where one good one is enough; identities can't be
//! regular expressions; unknown fields and two of a kind (`certificate` beside `publicKey`) are passed over (`bundle.rs`, flattened enums);
//! entries of Rekor 2 with kind `dsse` and keys on P-521 are not known. The verdict is made here, so each check is written where it can be
//! read, and each refusal says which check it is.

mod artifact;
mod body;
mod certificate;
mod checkpoint;
pub mod dsse;
mod error;
mod expression;
mod expressions;
mod field;
mod format;
mod log;
mod merkle;
mod names;
mod path;
mod policy;
mod roots;
mod sct;
mod several;
mod signature;
mod timestamp;
mod token;
mod trust;
mod verified;

use std::sync::Arc;

use jiff::Timestamp;

pub use artifact::{Artifact, Digests, WHOLE_BYTES, Wanted};
pub use body::Stored;
pub use certificate::{Identity, SignerCertificate, WORKFLOW_CLAIMS};
pub use checkpoint::Checkpoint;
pub(super) use field::base64;

pub use error::{
    BundleError, CertificateError, ContentError, FormatError, LogError, SctError, SignerMismatch,
    TimestampError,
};
pub use expressions::{EXPRESSION_BYTES, ExpressionError, Expressions};
pub use format::{BUNDLE_BYTES, Bundle, Content, Entry, Material, Proof, Version};
pub use policy::{IdentityPolicy, Match, Policy, Signer};
pub use roots::{Waived, Waivers};
pub use several::{BUNDLES, Bundles, Counted, TOLD};
pub use signature::Tried;
pub use token::Token;
pub use trust::{ROOTS, TRUST_BYTES, TrustError, TrustMaterial};
pub use verified::{LogEntry, Signed, TimeSource, UnknownTimestamp, Verified, VerifiedTime, Who};

use body::{By, Logged};
use log::Generation;
use path::Effort;
use timestamp::Stamped;

/// Verifies bundles by one policy and one trusted root.
#[derive(Clone, Debug)]
pub struct Verifier {
    trust: Arc<TrustMaterial>,
    policy: Policy,
    now: Option<Timestamp>,
}

/// The key that a bundle is signed with, and the certificate it is from.
struct SignedWith<'a> {
    key: &'a crate::key::PublicKey,
    certificate: Option<&'a SignerCertificate>,
}

impl Verifier {
    /// A verifier.
    pub fn new(trust: Arc<TrustMaterial>, policy: Policy) -> Self {
        Self { trust, policy, now: None }
    }

    /// A verifier for which it is another time: nothing that a log says may lie behind it.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Reads and verifies a bundle: that its signature is of `artifact`, by whom the policy accepts.
    ///
    /// # Errors
    ///
    /// The first check that failed.
    pub fn verify_bundle(&self, bytes: &[u8], artifact: &Artifact) -> Result<Verified, BundleError> {
        self.verify(&Bundle::parse(bytes)?, artifact)
    }

    /// Verifies a bare signature: that `key` made it over `artifact`, and by the hash `only`, if there is one.
    ///
    /// # Errors
    ///
    /// [`BundleError::Content`]: it did not.
    pub(crate) fn verify_signature(
        key: &crate::key::PublicKey,
        artifact: &Artifact,
        signature: &[u8],
        only: Option<crate::key::Hash>,
    ) -> Result<(), BundleError> {
        signature::verify(key, artifact, signature, only)
    }

    /// What must be read of the artifact, for [`verify`](Self::verify) to have all it needs.
    ///
    /// # Errors
    ///
    /// The bundle is not of the policy's kind, or its certificate can't be read.
    pub fn wanted(&self, bundle: &Bundle) -> Result<Wanted, BundleError> {
        let certificate = self.certificate(bundle)?;
        let key = self.signed_with(certificate.as_ref())?.key;
        Ok(signature::wanted(bundle, key, self.policy.hash))
    }

    /// Verifies a bundle that has been read, by any of the trusted roots.
    ///
    /// # Errors
    ///
    /// The first check that failed.
    pub fn verify(&self, bundle: &Bundle, artifact: &Artifact) -> Result<Verified, BundleError> {
        self.by_roots(bundle, artifact)
    }

    /// Verifies what the first trusted root has a say in, by it alone.
    fn by_one(
        &self,
        bundle: &Bundle,
        signed: &Artifact,
        with: &SignedWith<'_>,
        effort: &Effort,
    ) -> Result<Verified, BundleError> {
        let waivers = self.waivers();
        let log_entries = self.log_entries(bundle, signed, with)?;
        let logged: Vec<VerifiedTime> = log_entries.iter().filter_map(LogEntry::time).collect();
        // A root that doesn't demand the log proves the time by its timestamps.
        let unlogged = waivers.log && log_entries.is_empty();
        let (mut times, unknown_timestamps) = self.timestamps(bundle, &logged, unlogged, effort)?;
        times.extend(logged);
        self.log_windows(bundle, &times, with)?;
        times.sort_by_key(|time| time.at);
        let mut what = Waivers { log: unlogged && !self.policy.ignore_tlog, sct: false };
        let who = match with.certificate {
            Some(certificate) => {
                what.sct = self.chain(certificate, bundle, &mut times, effort)?;
                self.identity(certificate)?
            }
            None => Who::Key { key_id: with.key.key_id(), hint: with.key.hint() },
        };
        let content = verified::signed(bundle);
        let waived = (what != Waivers::default()).then(|| Waived { root: self.trust.name(), what });
        Ok(Verified { who, times, log_entries, unknown_timestamps, content, waived })
    }

    /// The certificate that the bundle is signed with; `None` if it is signed with a key.
    fn certificate(&self, bundle: &Bundle) -> Result<Option<SignerCertificate>, BundleError> {
        if matches!(bundle.material, Material::Certificate { chained: true, .. })
            && !self.policy.allow_certificate_chain
        {
            return Err(BundleError::Format(FormatError::Chain));
        }
        match (&bundle.material, &self.policy.signer) {
            (Material::Certificate { .. }, Signer::Key(_)) => {
                Err(BundleError::Signer(SignerMismatch::Certificate))
            }
            (Material::PublicKey { .. }, Signer::Identity(_)) => {
                Err(BundleError::Signer(SignerMismatch::Key))
            }
            (Material::Certificate { leaf, others, .. }, Signer::Identity(_)) => {
                SignerCertificate::parse(leaf, others).map(Some).map_err(BundleError::Certificate)
            }
            (Material::PublicKey { .. }, Signer::Key(_)) => Ok(None),
        }
    }

    fn signed_with<'a>(
        &'a self,
        certificate: Option<&'a SignerCertificate>,
    ) -> Result<SignedWith<'a>, BundleError> {
        match (certificate, &self.policy.signer) {
            (Some(certificate), _) => {
                Ok(SignedWith { key: &certificate.key, certificate: Some(certificate) })
            }
            (None, Signer::Key(key)) => Ok(SignedWith { key, certificate: None }),
            (None, Signer::Identity(_)) => Err(BundleError::Signer(SignerMismatch::Key)),
        }
    }

    /// The entries, each of them good, and at least one, unless the root doesn't demand it: then those of logs that it has, each of them good.
    fn log_entries(
        &self,
        bundle: &Bundle,
        signed: &Artifact,
        with: &SignedWith<'_>,
    ) -> Result<Vec<LogEntry>, BundleError> {
        if self.policy.ignore_tlog {
            return Ok(Vec::new());
        }
        let waived = self.waivers().log;
        if bundle.entries.is_empty() && !waived {
            return Err(BundleError::NoLogEntry);
        }
        let by = match with.certificate {
            Some(certificate) => By::Certificate(&certificate.own.der),
            None => By::Key(with.key),
        };
        let logged = Logged { content: &bundle.content, stored: &bundle.stored, signed, by };
        let known = |entry: &&Entry| !waived || self.trust.log(&entry.log_id).is_some();
        bundle.entries.iter().filter(known).map(|entry| self.log_entry(entry, &logged, with)).collect()
    }

    fn log_entry(
        &self,
        entry: &Entry,
        logged: &Logged<'_>,
        with: &SignedWith<'_>,
    ) -> Result<LogEntry, BundleError> {
        let known = self.trust.log(&entry.log_id);
        let name = known.map_or_else(|| artifact::hex(&entry.log_id), |log| log.name.clone());
        let refused = |source| BundleError::Log { log: name.clone(), index: entry.log_index, source };
        let now = self.now.unwrap_or_else(Timestamp::now);
        let generation = log::generation(entry).map_err(refused)?;
        body::matches(entry, logged).map_err(refused)?;
        let log = known.ok_or(LogError::UnknownLog).map_err(refused)?;
        let integrated = log::verify(entry, log, now).map_err(refused)?;
        // A time that is not attested proves nothing, but it must not contradict the certificate either.
        if let (Some(certificate), Some(at)) = (with.certificate, log::integrated(entry)) {
            certificate.valid_at(at).map_err(BundleError::Certificate)?;
        }
        Ok(LogEntry {
            log: log.name.clone(),
            index: entry.log_index,
            kind: format!("{} {}", entry.kind, entry.version),
            rekor: if generation == Generation::V1 { 1 } else { 2 },
            integrated,
            proven: entry.proof.is_some(),
        })
    }

    /// The times of the timestamps, each of them good, and those by unknown authorities. `logged` are the times of the log;
    /// where it is `unlogged`, a timestamp must be there.
    fn timestamps(
        &self,
        bundle: &Bundle,
        logged: &[VerifiedTime],
        unlogged: bool,
        effort: &Effort,
    ) -> Result<(Vec<VerifiedTime>, Vec<UnknownTimestamp>), BundleError> {
        let (mut times, mut unknown) = (Vec::new(), Vec::new());
        for stamp in &bundle.timestamps {
            let stamped = timestamp::verify(stamp, bundle.content.signature(), &self.trust, effort);
            match stamped.map_err(BundleError::Timestamp)? {
                Stamped::By { at, authority } => {
                    times.push(VerifiedTime { at, by: TimeSource::Authority(authority) });
                }
                Stamped::Unknown(stamp) => unknown.push(stamp),
            }
        }
        let demanded = self.policy.signed_timestamps || unlogged;
        // A key's trust hangs on no time.
        let needed = match self.policy.signer {
            Signer::Key(_) => demanded,
            Signer::Identity(_) => demanded || logged.is_empty(),
        };
        match (times.is_empty() && needed, unknown.is_empty()) {
            (true, false) => Err(BundleError::Timestamp(TimestampError::UnknownAuthority)),
            (true, true) if demanded => Err(BundleError::NoTime { timestamp: true }),
            _ => Ok((times, unknown)),
        }
    }

    /// An entry without a time of its own was made about when the timestamp was: then the log's key must have been valid.
    fn log_windows(
        &self,
        bundle: &Bundle,
        proven: &[VerifiedTime],
        with: &SignedWith<'_>,
    ) -> Result<(), BundleError> {
        let entries: &[Entry] = if self.policy.ignore_tlog { &[] } else { &bundle.entries };
        for entry in entries.iter().filter(|entry| entry.promise.is_none()) {
            let Some(log) = self.trust.log(&entry.log_id) else { continue };
            // For a key, Rekor 1's time is enough, although it is not attested.
            let own = log::integrated(entry).filter(|_| proven.is_empty());
            let mut times = proven.iter().map(|time| time.at).chain(own);
            let now = self.now.unwrap_or_else(Timestamp::now);
            let (valid, at) = match times.clone().next() {
                Some(first) => (times.any(|at| log.valid_at(at)), first),
                None if with.certificate.is_some() => return Err(BundleError::NoTime { timestamp: true }),
                None => (log.begun_by(now), now),
            };
            if !valid {
                let source = LogError::Window { at };
                return Err(BundleError::Log { log: log.name.clone(), index: entry.log_index, source });
            }
        }
        Ok(())
    }

    /// The certificate, at every time, and its SCT; gives whether it has none that counts, which the root doesn't demand.
    fn chain(
        &self,
        certificate: &SignerCertificate,
        bundle: &Bundle,
        times: &mut Vec<VerifiedTime>,
        effort: &Effort,
    ) -> Result<bool, BundleError> {
        // Without log and timestamp a certificate proves what it says while it is valid: now.
        if times.is_empty() && self.policy.ignore_tlog && bundle.timestamps.is_empty() {
            let at = self.now.unwrap_or_else(Timestamp::now);
            times.push(VerifiedTime { at, by: TimeSource::Now });
        }
        let mut issuer = Err(BundleError::NoTime { timestamp: false });
        for time in times.iter() {
            let checked = certificate.verify_at(time.at, &self.trust, effort);
            issuer = Ok(checked.map_err(|error| {
                BundleError::Certificate(match (error, &time.by) {
                    (CertificateError::Validity { at, from, to }, TimeSource::Now) => {
                        CertificateError::NotNow { at, from, to, logged: !bundle.entries.is_empty() }
                    }
                    (error, _) => error,
                })
            })?);
        }
        let issuer = issuer?;
        if self.policy.ignore_sct {
            return Ok(false);
        }
        match sct::verify(certificate, &issuer, &self.trust) {
            Ok(()) => Ok(false),
            Err(SctError::Missing | SctError::UnknownLog { .. }) if self.waivers().sct => Ok(true),
            Err(error) => Err(BundleError::Sct(error)),
        }
    }

    fn identity(&self, certificate: &SignerCertificate) -> Result<Who, BundleError> {
        let Signer::Identity(wanted) = &self.policy.signer else {
            return Err(BundleError::Signer(SignerMismatch::Certificate));
        };
        let identity = certificate.identity().map_err(BundleError::Certificate)?;
        let issuer = identity.issuer.clone().unwrap_or_default();
        if !wanted.issuer.accepts(&issuer) {
            let found = format!("\"{}\"", crate::foreign::escape(&issuer, 300));
            return Err(BundleError::Identity {
                what: "the issuer",
                found,
                wanted: wanted.issuer.to_string(),
            });
        }
        for (claim, wanted) in &wanted.claims {
            let found = identity.claims.get(claim);
            if found != Some(wanted) {
                let found = found.map_or_else(
                    || "not there".to_owned(),
                    |found| format!("\"{}\"", crate::foreign::escape(found, 300)),
                );
                let wanted = format!("\"{}\"", crate::foreign::escape(wanted, 300));
                return Err(BundleError::Identity { what: claim, found, wanted });
            }
        }
        match identity.names.iter().find(|(_, name)| wanted.identity.accepts(name)) {
            Some((kind, name)) => Ok(Who::Identity {
                kind,
                name: name.clone(),
                issuer: identity.issuer,
                claims: identity.claims,
            }),
            None => Err(BundleError::Identity {
                what: "the identity",
                found: identity.shown(),
                wanted: wanted.identity.to_string(),
            }),
        }
    }

    /// Checks the signature, and that it is of the artifact; gives what the signature covers.
    fn content(
        &self,
        bundle: &Bundle,
        artifact: &Artifact,
        with: &SignedWith<'_>,
    ) -> Result<Artifact, BundleError> {
        match &bundle.content {
            Content::Message { digest, signature } => {
                if matches!(artifact, Artifact::Unchecked) {
                    return Err(BundleError::Content(ContentError::NoArtifact));
                }
                if let Some((hash, claimed)) = digest
                    && let Some(actual) = artifact.by(*hash)
                    && actual != *claimed
                {
                    let shown = |digest: &[u8]| format!("{hash}:{}", artifact::hex(digest));
                    let (claimed, actual) = (shown(claimed), shown(&actual));
                    return Err(BundleError::Content(ContentError::Digest { claimed, actual }));
                }
                signature::verify(with.key, artifact, signature, self.policy.hash)?;
                Ok(artifact.clone())
            }
            Content::Dsse(envelope) => {
                let signed = Artifact::of(envelope.signed_bytes());
                signature::verify(with.key, &signed, envelope.signature(), self.policy.hash)?;
                envelope.is_about(artifact).map_err(BundleError::Content)?;
                Ok(signed)
            }
        }
    }
}
