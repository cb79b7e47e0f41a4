//! Several trusted roots: a signature is verified by each of them, until one verifies all of it.
//!
//! A certificate, its proof of logging, the log entries and the timestamps must verify with **the same** root. sigstore-go's
//! `TrustedMaterialCollection` puts the members of all roots together, so that a timestamp of one Sigstore makes a certificate of another
//! good; `gh attestation verify` takes one root for each signature, by the certificate's issuer, as it is done here. Who needs members of two
//! Sigstores together writes them into one trusted root.
//!
//! A root may say that it demands no log entry, or no proof that certificates were logged: GitHub's has neither for private
//! repositories. That holds for certificates of its own authorities alone. A key belongs to no authority, so nothing is waived for it. What is
//! there must be good nevertheless: only what is missing, or of a log that the root doesn't have, is passed over, each entry by itself. Without
//! an entry that counts, a timestamp of the same root must prove the time, whoever else doesn't demand the log either.

use std::fmt;
use std::sync::Arc;

use super::error::BundleError;
use super::format::Bundle;
use super::path::{self, Effort};
use super::policy::Signer;
use super::verified::Verified;
use super::{Artifact, SignedWith, Verifier};

/// What isn't demanded of signatures that a trusted root verifies. By default all is demanded.
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

/// How many signatures of certificates may be checked to find out which root a signature is from, so that the reported reason is right.
const CHECKS: usize = 16;

impl Verifier {
    /// Verifies a bundle with the first root that verifies all of it.
    ///
    /// What no root has a say in is verified once. Beside that a bundle costs, for each root, what its log entries, timestamps and SCTs cost, of which
    /// a bundle has a limited number; and for all roots together the signature checks of certificates that [`path::CHECKS`] allows, and [`CHECKS`].
    pub(super) fn by_roots(&self, bundle: &Bundle, artifact: &Artifact) -> Result<Verified, BundleError> {
        let certificate = self.certificate(bundle)?;
        let with = self.signed_with(certificate.as_ref())?;
        let signed = self.content(bundle, artifact, &with)?;
        let (effort, reasons) = (Effort::new(path::CHECKS), Effort::new(CHECKS));
        let mut reason = None;
        let mut leads = false;
        for root in std::iter::once(&self.trust).chain(&self.trust.others) {
            let verifier = Self { trust: Arc::clone(root), ..self.clone() };
            let error = match verifier.by_one(bundle, &signed, &with, &effort) {
                Ok(verified) => return Ok(verified),
                Err(error) => error,
            };
            // The reason of the root that the signature is from says most.
            let says_most =
                !leads && !self.trust.others.is_empty() && verifier.leads_to(bundle, &with, &error, &reasons);
            leads |= says_most;
            if says_most || reason.is_none() {
                reason = Some(error);
            }
        }
        Err(reason.unwrap_or(BundleError::NoLogEntry))
    }

    /// What the root doesn't demand of this bundle: nothing is waived for a key.
    pub(super) fn waivers(&self) -> Waivers {
        match self.policy.signer {
            Signer::Identity(_) => self.trust.waivers,
            Signer::Key(_) => Waivers::default(),
        }
    }

    /// Whether a bundle's certificate is of an authority of the root, or its log entries of the root's logs, whatever else is wrong.
    fn leads_to(&self, bundle: &Bundle, with: &SignedWith<'_>, error: &BundleError, effort: &Effort) -> bool {
        match (with.certificate, error) {
            // What is looked at after the path.
            (Some(_), BundleError::Sct(_) | BundleError::Identity { .. }) => true,
            (Some(certificate), _) => {
                certificate.verify_at(certificate.not_before(), &self.trust, effort).is_ok()
            }
            (None, _) => bundle.entries.iter().any(|entry| self.trust.log(&entry.log_id).is_some()),
        }
    }
}
