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
//! A timestamp is by an authority of the trusted root if it names that authority's certificate as its signer (issuer and serial number, or
//! the key's id), or, where the trusted root has none, if it brings a certificate that leads to the authority's root. It must be good then: it is
//! false if another key signed it, whoever's name it bears. Any other one is by an authority that isn't known. It proves nothing; what can be
//! checked of it still must be right: its form, that it is of this signature, and that the certificate that it brings signed it.

use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_EC_PUBLIC_KEY, RSA_ENCRYPTION,
    SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
};
use const_oid::db::rfc8410::ID_ED_25519;
use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::certificate::{self, TIME_STAMPING};
use super::error::TimestampError;
use super::log::signed_by;
use super::token::Token;
use super::trust::{Authority, TrustMaterial};
use super::verified::UnknownTimestamp;
use crate::sign::{Hash, PublicKey};

/// The most certificates of a timestamp that may stand between its signer's and a root.
const CERTIFICATES: usize = 16;

/// What a timestamp is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamped {
    /// A time that an authority of the trusted root vouches for.
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
) -> Result<Stamped, TimestampError> {
    let token = Token::parse(timestamp)?;
    let (hash, digest) = &token.imprint;
    if hash.digest(signature) != *digest {
        return Err(TimestampError::Imprint);
    }
    let mut failed = TimestampError::UnknownAuthority;
    for authority in &trust.timestamp_authorities {
        match token.by(authority) {
            Ok(()) => return Ok(Stamped::By { at: token.time, authority: authority.name.clone() }),
            // What another authority says of it is more than that it isn't this one's.
            Err(TimestampError::UnknownAuthority) => {}
            Err(error) => failed = error,
        }
    }
    match failed {
        TimestampError::UnknownAuthority => token.by_itself(),
        known => return Err(known),
    }?;
    Ok(Stamped::Unknown(UnknownTimestamp { at: token.time, by: token.claimed() }))
}

impl Token {
    /// Whether `authority` made it, in its time.
    fn by(&self, authority: &Authority) -> Result<(), TimestampError> {
        let named;
        let (der, leaf) = match &authority.leaf {
            Some(der) => {
                named = certificate::parse(der).ok().filter(|leaf| self.signer.is(leaf));
                (der, named.as_ref().ok_or(TimestampError::UnknownAuthority)?)
            }
            None => {
                let own = self.own().ok_or(TimestampError::UnknownAuthority)?;
                (&own.der, &own.parsed)
            }
        };
        let name = || authority.name.clone();
        // RFC 3161 §2.4.1: a timestamp that brings certificates brings its signer's.
        if !self.certificates.is_empty() && !self.certificates.iter().any(|one| one.der == *der) {
            return Err(TimestampError::Certificate { authority: name() });
        }
        self.path(der, leaf, authority)?;
        self.signed_by(leaf, name)?;
        if !authority.valid_at(self.time) {
            return Err(TimestampError::Window { at: self.time, authority: name() });
        }
        Ok(())
    }

    /// Checks what a timestamp by nobody known says of itself, as far as its algorithms are known.
    fn by_itself(&self) -> Result<(), TimestampError> {
        let checked = match self.own() {
            Some(own) => self.signed_by(&own.parsed, || self.claimed()),
            None if self.certificates.is_empty() => self.signer.is_of(&self.info).map(drop),
            // Some of what names the signer is signed by nobody, and may have been changed.
            None => Err(TimestampError::Malformed("its certificates lack its signer's")),
        };
        match checked {
            Err(TimestampError::Algorithm(_)) => Ok(()),
            checked => checked,
        }
    }

    fn path(&self, der: &[u8], leaf: &Certificate, authority: &Authority) -> Result<(), TimestampError> {
        let at = self.time;
        let refused =
            |reason: String| TimestampError::Chain { authority: authority.name.clone(), at, reason };
        // RFC 3161 §2.3: for timestamps and nothing else, and whoever doesn't know that may not go on.
        let usage = leaf.tbs_certificate.get::<ExtendedKeyUsage>().ok().flatten();
        let only = usage.is_some_and(|(critical, usage)| critical && usage.0 == [TIME_STAMPING]);
        // Of a self-signed certificate in the trusted root nothing leads further.
        if only && authority.root == der {
            return certificate::valid_at(leaf, at).map_err(|error| refused(error.to_string()));
        }
        let brought = self.certificates.iter().map(|one| one.der.as_slice()).take(CERTIFICATES);
        let brought = brought.filter(|_| authority.leaf.is_none());
        let between: Vec<&[u8]> = authority.intermediates.iter().map(Vec::as_slice).chain(brought).collect();
        match certificate::path(der, &between, authority, at, &TIME_STAMPING) {
            // Somebody else's root: the timestamp brought its own certificate, and it isn't this authority's.
            Err(_) if authority.leaf.is_none() => Err(TimestampError::UnknownAuthority),
            _ if !only => Err(refused("it may be used for other things as well".to_owned())),
            Ok(_) => Ok(()),
            Err(error) => Err(refused(error.to_string())),
        }
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
