//! Several trusted roots: a signature is verified by each of them, until one vouches for all of it.
//!
//! A certificate, its proof of logging, the log entries and the timestamps must be vouched for by **one** root. sigstore-go's
//! `TrustedMaterialCollection` puts the members of all roots together, so that a timestamp of one Sigstore makes a certificate of another
//! good; `gh attestation verify` takes one root for each signature, by the certificate's issuer, as it is done here. Who needs members of two
//! Sigstores together writes them into one trusted root.
//!
//! A root may say that it demands no log entry, or no proof that certificates were logged: GitHub's has neither for private
//! repositories. That holds for certificates of its own authorities alone. A key is no authority's, so nothing is waived for it. What is
//! there must be good nevertheless: only what is missing, or of a log that the root doesn't have, is passed over. Without the log
//! a timestamp of the same root must prove the time.

use std::fmt;
use std::sync::Arc;

use super::error::{BundleError, LogError, SctError};
use super::format::{Bundle, Material};
use super::policy::Signer;
use super::trust::TrustMaterial;
use super::verified::Verified;
use super::{Artifact, SignerCertificate, Verifier};

/// What isn't demanded of signatures that a trusted root vouches for. By default all is demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waivers {
    /// A proof that the certificate was logged (SCT).
    pub sct: bool,
    /// An entry in a transparency log; a timestamp must be there then.
    pub log: bool,
}

/// What a verified signature lacks, and which root doesn't demand it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waived {
    /// The host of the root's certificate authority.
    pub root: String,
    /// What is lacking.
    pub what: Waivers,
}

impl Waivers {
    /// What it is that isn't demanded, in words for programs.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [(self.log, "log"), (self.sct, "sct")].into_iter().filter(|(waived, _)| *waived).map(|(_, name)| name)
    }

    /// Waives what an error is about, too; `None`: the root demands it, or it was waived already.
    fn and(self, allowed: Self, error: &BundleError) -> Option<Self> {
        match error {
            BundleError::Sct(SctError::Missing | SctError::UnknownLog { .. }) if allowed.sct && !self.sct => {
                Some(Self { sct: true, ..self })
            }
            BundleError::NoLogEntry | BundleError::Log { source: LogError::UnknownLog, .. }
                if allowed.log && !self.log =>
            {
                Some(Self { log: true, ..self })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Waived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self
            .what
            .names()
            .map(|name| match name {
                "log" => "a log entry",
                _ => "a proof that the certificate was logged (SCT)",
            })
            .collect();
        write!(
            f,
            "without {}, which the policy does not demand of {}",
            words.join(" and without "),
            self.root
        )
    }
}

impl Verifier {
    /// Verifies a bundle by the first root that vouches for all of it.
    pub(super) fn by_roots(&self, bundle: &Bundle, artifact: &Artifact) -> Result<Verified, BundleError> {
        let first = self.by_root(&self.trust, bundle, artifact);
        if self.trust.others.is_empty() || first.is_ok() {
            return first;
        }
        let mut reason = first;
        let mut leads = self.leads_to(&self.trust, bundle);
        for root in &self.trust.others {
            let verified = self.by_root(root, bundle, artifact);
            if verified.is_ok() {
                return verified;
            }
            // The reason of the root that the signature is from says most.
            if !leads && self.leads_to(root, bundle) {
                (reason, leads) = (verified, true);
            }
        }
        reason
    }

    /// Verifies a bundle by one root, with what that doesn't demand.
    fn by_root(
        &self,
        root: &Arc<TrustMaterial>,
        bundle: &Bundle,
        artifact: &Artifact,
    ) -> Result<Verified, BundleError> {
        let allowed = match self.policy.signer {
            Signer::Identity(_) => root.waivers,
            Signer::Key(_) => Waivers::default(),
        };
        let mut what = Waivers::default();
        let mut verifier = Self { trust: Arc::clone(root), ..self.clone() };
        loop {
            let error = match verifier.by_one(bundle, artifact) {
                Ok(verified) if what == Waivers::default() => return Ok(verified),
                Ok(verified) => {
                    let waived = Some(Waived { root: root.name(), what });
                    return Ok(Verified { waived, ..verified });
                }
                Err(error) => error,
            };
            let Some(next) = what.and(allowed, &error) else { return Err(error) };
            what = next;
            verifier.policy.ignore_sct |= what.sct;
            verifier.policy.ignore_tlog |= what.log;
            verifier.policy.signed_timestamps |= what.log;
        }
    }

    /// Whether a bundle's certificate is of an authority of `root`, or its log entries of the root's logs, whatever else is wrong.
    fn leads_to(&self, root: &TrustMaterial, bundle: &Bundle) -> bool {
        match &bundle.material {
            Material::Certificate { leaf, others, .. } => {
                let leads = |certificate: SignerCertificate| {
                    let issued = certificate.not_before();
                    certificate.verify_at(issued, root).map(drop)
                };
                SignerCertificate::parse(leaf, others).and_then(leads).is_ok()
            }
            Material::PublicKey { .. } => {
                bundle.entries.iter().any(|entry| root.log(&entry.log_id).is_some())
            }
        }
    }
}
