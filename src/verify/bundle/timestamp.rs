//! RFC 3161 timestamps: an authority's word that a signature was there at a time.
//!
//! Specs: <https://www.rfc-editor.org/rfc/rfc3161>, <https://www.rfc-editor.org/rfc/rfc5652>, <https://www.rfc-editor.org/rfc/rfc5816>.
//!
//! The certificate that signs is the one the trusted root names, whatever the timestamp brings; where the trusted root names none,
//! it may come with the timestamp, if it leads to the authority's root. `sigstore-tsa` 0.15 does about the same; it takes authorities
//! with ECDSA keys alone, times without fractions of a second alone, one refusal text for all, and doesn't look at the content
//! type among the signed attributes, nor that a timestamp has one signer.
//!
//! # By a known authority, or not
//!
//! Where the trusted root has the authority's certificate, a timestamp is by that authority if it names that certificate as its signer (issuer, in any spelling, and serial
//! number; or the key's id), or if the certificate's key signed it, whatever it says of its signer. Where the trusted root has none, it is by that authority if it brings a
//! certificate that the authority issued, valid or not. It must be good then: it is false if another key signed it, whatever name it has.
//! Any other one is by an authority that isn't known. It proves nothing, whatever it is of; its form must be right nevertheless, and the certificate that it
//! brings must have signed it. What can't be told: without certificates in the timestamp, a timestamp by an authority of which the
//! trusted root has no certificate; and one whose certificates between are left out.

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_EC_PUBLIC_KEY, RSA_ENCRYPTION,
    SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
};
use x509_cert::der::oid::db::rfc8410::ID_ED_25519;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::certificate::{self, TIME_STAMPING};
use super::error::TimestampError;
use super::log::signed_by;
use super::path::{Effort, Search, X509};
use super::token::Token;
use super::trust::{Authority, TrustMaterial};
use super::verified::UnknownTimestamp;
use crate::key::{Hash, PublicKey};

/// What a timestamp is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamped {
    /// A time that an authority of the trusted root attests.
    By {
        /// The time.
        at: Timestamp,
        /// The authority's name.
        authority: String,
    },
    /// Nothing: the trusted root doesn't have the authority.
    Unknown(UnknownTimestamp),
}

/// Checks a timestamp of `signature`.
pub(super) fn verify(
    timestamp: &[u8],
    signature: &[u8],
    trust: &TrustMaterial,
    effort: &Effort,
) -> Result<Stamped, TimestampError> {
    let token = Token::parse(timestamp)?;
    let (hash, digest) = &token.imprint;
    let is_of_signature = hash.digest(signature) == *digest;
    let mut failed = TimestampError::UnknownAuthority;
    for authority in &trust.timestamp_authorities {
        match token.by(authority, effort) {
            Ok(()) if is_of_signature => {
                return Ok(Stamped::By { at: token.time, authority: authority.name.clone() });
            }
            Ok(()) => return Err(TimestampError::Imprint),
            // The verdict of another authority says more than that this authority didn't make it.
            Err(TimestampError::UnknownAuthority) => {}
            Err(error) => failed = error,
        }
    }
    match failed {
        TimestampError::UnknownAuthority => token.by_itself(effort),
        known => return Err(known),
    }?;
    Ok(Stamped::Unknown(UnknownTimestamp { at: token.time, by: token.claimed() }))
}

impl Token {
    /// Whether `authority` made it, in its time.
    fn by(&self, authority: &Authority, effort: &Effort) -> Result<(), TimestampError> {
        match &authority.leaf {
            Some(leaf) => self.by_leaf(leaf, authority, effort),
            None => self.by_root(authority, effort),
        }
    }

    /// The same for an authority of which the trusted root has the certificate that signs.
    fn by_leaf(&self, leaf: &X509, authority: &Authority, effort: &Effort) -> Result<(), TimestampError> {
        let other = || TimestampError::Certificate { authority: authority.name.clone() };
        if !self.signer.is(&leaf.parsed) {
            // The key decides, whatever signer the timestamp names.
            return Err(match self.signed_by(&leaf.parsed, String::new) {
                Ok(()) => other(),
                Err(_) => TimestampError::UnknownAuthority,
            });
        }
        // RFC 3161 §2.4.1: a timestamp that brings certificates brings its signer's.
        if !self.certificates.is_empty() && !self.certificates.iter().any(|one| one.der == leaf.der) {
            return Err(other());
        }
        self.good(leaf, authority, &[], effort)
    }

    /// The same for an authority of which it has none: the timestamp brings it.
    fn by_root(&self, authority: &Authority, effort: &Effort) -> Result<(), TimestampError> {
        let own = || authority.intermediates.iter().chain([&authority.root]);
        // What can't be decided any more counts as the authority's, and must be good.
        let issued = |one: &X509| {
            own().any(|issuer| issuer.is_named_by(one) && (!effort.spend() || issuer.issued(one)))
        };
        effort.on(|| {
            if !self.certificates.iter().any(|one| !one.is_self_issued() && issued(one)) {
                return Err(TimestampError::UnknownAuthority);
            }
            let none = TimestampError::Certificate { authority: authority.name.clone() };
            self.by_own(none, effort, |leaf| self.good(leaf, authority, &self.certificates, effort))
        })
    }

    /// Checks that `leaf` is a certificate of `authority`, and signed it in their time.
    fn good(
        &self,
        leaf: &X509,
        authority: &Authority,
        between: &[X509],
        effort: &Effort,
    ) -> Result<(), TimestampError> {
        let name = || authority.name.clone();
        self.path(leaf, authority, between, effort)?;
        self.signed_by(&leaf.parsed, name)?;
        if !authority.valid_at(self.time) {
            return Err(TimestampError::Window { at: self.time, authority: name() });
        }
        Ok(())
    }

    /// Checks what a timestamp of an unknown authority says of itself, as far as its algorithms are supported.
    fn by_itself(&self, effort: &Effort) -> Result<(), TimestampError> {
        if self.certificates.is_empty() {
            return if_supported(self.signer.is_of(&self.info).map(drop));
        }
        // No signature covers what names the signer, so that it may have been changed.
        let none = TimestampError::Malformed("its certificates lack its signer's");
        effort.on(|| {
            self.by_own(none, effort, |own| if_supported(self.signed_by(&own.parsed, || self.claimed())))
        })
    }

    /// Checks its certificates under the signer's name until `check` accepts one.
    ///
    /// # Errors
    ///
    /// What is wrong with the last of them; `none`, if there is none.
    fn by_own(
        &self,
        none: TimestampError,
        effort: &Effort,
        check: impl Fn(&X509) -> Result<(), TimestampError>,
    ) -> Result<(), TimestampError> {
        let mut failed = none;
        for own in self.own().take_while(|_| effort.spend()) {
            match check(own) {
                Ok(()) => return Ok(()),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn path(
        &self,
        leaf: &X509,
        authority: &Authority,
        between: &[X509],
        effort: &Effort,
    ) -> Result<(), TimestampError> {
        let at = self.time;
        let refused =
            |reason: String| TimestampError::Chain { authority: authority.name.clone(), at, reason };
        // RFC 3161 §2.3: only for timestamps, and a verifier that doesn't know that must stop.
        let usage = leaf.parsed.tbs_certificate.get::<ExtendedKeyUsage>().ok().flatten();
        if !usage.is_some_and(|(critical, usage)| critical && usage.0 == [TIME_STAMPING]) {
            return Err(refused("it may be used for other things as well".to_owned()));
        }
        // Of a self-signed certificate in the trusted root nothing leads further.
        let led = match authority.root.der == leaf.der {
            true => certificate::valid_at(&leaf.parsed, at),
            false => Search { between, at, usage: &TIME_STAMPING, effort }.path(leaf, authority).map(drop),
        };
        led.map_err(|error| refused(error.to_string()))
    }

    fn signed_by(
        &self,
        leaf: &Certificate,
        authority: impl FnOnce() -> String,
    ) -> Result<(), TimestampError> {
        let signer = &self.signer;
        let hash = signer.is_of(&self.info)?;
        let key = certificate::spki(leaf).ok().and_then(|der| PublicKey::from_der(&der).ok());
        let key = key.ok_or(TimestampError::Algorithm("key"))?;
        // The algorithm of the signature may name another hash than the digest's, or none.
        let hash = match signer.algorithm {
            ECDSA_WITH_SHA_256 | SHA_256_WITH_RSA_ENCRYPTION => Hash::Sha256,
            ECDSA_WITH_SHA_384 | SHA_384_WITH_RSA_ENCRYPTION => Hash::Sha384,
            ECDSA_WITH_SHA_512 | SHA_512_WITH_RSA_ENCRYPTION => Hash::Sha512,
            ID_EC_PUBLIC_KEY | RSA_ENCRYPTION | ID_ED_25519 => hash,
            _ => return Err(TimestampError::Algorithm("signature")),
        };
        if signed_by(&key, hash, &signer.signed, &signer.signature) {
            Ok(())
        } else {
            Err(TimestampError::Signature { authority: authority() })
        }
    }
}

/// Accepts a timestamp of an unknown authority whose algorithms are not supported: it can't be checked, and counts for nothing.
fn if_supported(checked: Result<(), TimestampError>) -> Result<(), TimestampError> {
    match checked {
        Err(TimestampError::Algorithm(_)) => Ok(()),
        checked => checked,
    }
}
