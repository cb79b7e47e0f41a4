//! The path from a certificate to an authority of the trusted root.
//!
//! `rustls-webpki` judges a path; which certificates are one is found here, since whoever makes a bundle also chooses the certificates in it: among
//! thirty whose names lead round in circles webpki looks for 0.2 s. A certificate is part of a path only if its name is that of the issuer below it **and** its
//! key made the signature below it; at most [`BETWEEN`] stand between; and all that a bundle brings may cost [`CHECKS`] signature
//! checks that lead nowhere, over all trusted roots. What comes first is not preferred: certificates whose key id fits are tried first.

use std::cell::Cell;
use std::time::Duration;

use der::asn1::AnyRef;
use der::{Decode as _, Encode as _, Reader as _, SliceReader};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier as Oid;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};

use super::certificate::{parse, spki, valid_at};
use super::error::CertificateError;
use super::trust::Authority;

/// The most certificates between a signer's and a root: Sigstore's have one, private authorities up to three.
const BETWEEN: usize = 4;

/// The most signature checks of certificates that lead nowhere, for one bundle. What leads to an authority isn't counted.
pub(super) const CHECKS: usize = 64;

/// A certificate, as bytes and as what they say.
#[derive(Clone, Debug)]
pub(super) struct X509 {
    pub(super) der: Vec<u8>,
    pub(super) parsed: Certificate,
}

/// How many signature checks are left.
#[derive(Debug)]
pub(super) struct Effort(Cell<usize>);

impl Effort {
    pub(super) fn new(checks: usize) -> Self {
        Self(Cell::new(checks))
    }

    /// Returns whether another check is allowed, and counts it.
    pub(super) fn spend(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }

    /// Counts what `work` cost only if it came to nothing.
    pub(super) fn on<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let before = self.0.get();
        let done = work();
        if done.is_ok() {
            self.0.set(before);
        }
        done
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

impl X509 {
    pub(super) fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self { der: der.to_vec(), parsed: parse(der)? })
    }

    /// Whether it names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.parsed.tbs_certificate.issuer == self.parsed.tbs_certificate.subject
    }

    /// Whether `other` names it as its issuer.
    pub(super) fn is_named_by(&self, other: &Self) -> bool {
        self.parsed.tbs_certificate.subject == other.parsed.tbs_certificate.issuer
    }

    /// Whether its key signed `other`.
    pub(super) fn issued(&self, other: &Self) -> bool {
        self.signed(other).unwrap_or(false)
    }

    fn signed(&self, other: &Self) -> der::Result<bool> {
        let mut outer = SliceReader::new(AnyRef::from_der(&other.der)?.value())?;
        let tbs = outer.tlv_bytes()?;
        let algorithm = AnyRef::decode(&mut outer)?.value();
        let key = &self.parsed.tbs_certificate.subject_public_key_info;
        let kind = key.algorithm.to_der()?;
        let kind = AnyRef::from_der(&kind)?.value();
        let (key, signature) = (key.subject_public_key.raw_bytes(), other.parsed.signature.raw_bytes());
        let mut fit = ALGORITHMS.iter().filter(|known| {
            *known.signature_alg_id().as_ref() == *algorithm && *known.public_key_alg_id().as_ref() == *kind
        });
        Ok(fit.any(|known| known.verify_signature(key, tbs, signature).is_ok()))
    }

    /// Whether `other` names its key as its issuer's.
    fn is_key_of(&self, other: &Self) -> bool {
        let own = self.parsed.tbs_certificate.get::<SubjectKeyIdentifier>();
        let named = other.parsed.tbs_certificate.get::<AuthorityKeyIdentifier>();
        match (own, named) {
            (Ok(Some((_, own))), Ok(Some((_, named)))) => named.key_identifier.as_ref() == Some(&own.0),
            _ => false,
        }
    }

    /// Whether both are certificates of one key under one name, which a path holds once.
    fn is_same(&self, other: &Self) -> bool {
        let (own, other) = (&self.parsed.tbs_certificate, &other.parsed.tbs_certificate);
        own.subject == other.subject && own.subject_public_key_info == other.subject_public_key_info
    }
}

/// What a path is looked for in.
pub(super) struct Search<'a> {
    /// The intermediate certificates in any order, besides the authority's own.
    pub(super) between: &'a [X509],
    pub(super) at: Timestamp,
    pub(super) usage: &'static Oid,
    pub(super) effort: &'a Effort,
}

impl<'a> Search<'a> {
    /// Finds a path from `leaf` to the root of `authority` and gives the key, in DER, of the leaf's issuer.
    ///
    /// That the leaf itself is for `usage` is the caller's to check: webpki demands it either of every authority as well, or of no certificate.
    pub(super) fn path(&self, leaf: &'a X509, authority: &'a Authority) -> Result<Vec<u8>, CertificateError> {
        valid_at(&authority.root.parsed, self.at)?;
        let mut failed = chain(authority.of, &webpki::Error::UnknownIssuer);
        self.effort.on(|| {
            let found = self.climb(leaf, &mut Vec::new(), authority, &mut failed);
            found.ok_or(())
        })
        .map_err(|()| match self.effort.is_spent() {
            true => CertificateError::Chain {
                of: authority.of,
                reason: format!("after {CHECKS} signatures of certificates that do not lead there, the rest is not tried"),
            },
            false => failed,
        })
    }

    fn climb(
        &self,
        leaf: &'a X509,
        below: &mut Vec<&'a X509>,
        authority: &'a Authority,
        failed: &mut CertificateError,
    ) -> Option<Vec<u8>> {
        let top = below.last().copied().unwrap_or(leaf);
        let root = &authority.root;
        if root.is_named_by(top) && self.effort.spend() && root.issued(top) {
            match self.judged(leaf, below, authority) {
                Ok(issuer) => return Some(issuer),
                Err(error) => *failed = error,
            }
        }
        if below.len() == BETWEEN {
            return None;
        }
        let between = authority.intermediates.iter().chain(self.between);
        let mut issuers: Vec<&X509> = between
            .filter(|one| {
                one.is_named_by(top) && !below.iter().chain([&leaf]).any(|other| other.is_same(one))
            })
            .collect();
        issuers.sort_by_key(|one| !one.is_key_of(top));
        for issuer in issuers {
            if !self.effort.spend() {
                break;
            }
            if issuer.issued(top) {
                below.push(issuer);
                let found = self.climb(leaf, below, authority, failed);
                if found.is_some() {
                    return found;
                }
                below.pop();
            }
        }
        None
    }

    /// What webpki says of one path.
    fn judged(
        &self,
        leaf: &X509,
        between: &[&X509],
        authority: &Authority,
    ) -> Result<Vec<u8>, CertificateError> {
        let (root, chain) = (&authority.root, |error| chain(authority.of, &error));
        let root_der = CertificateDer::from(root.der.as_slice());
        let anchors = [anchor_from_trusted_cert(&root_der).map_err(chain)?];
        let all: Vec<CertificateDer<'_>> =
            between.iter().map(|one| CertificateDer::from(one.der.as_slice())).collect();
        let leaf = CertificateDer::from(leaf.der.as_slice());
        let leaf = EndEntityCert::try_from(&leaf).map_err(chain)?;
        let seconds = u64::try_from(self.at.as_second()).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let usage = KeyUsage::required_if_present(self.usage.as_bytes());
        leaf.verify_for_usage(ALGORITHMS, &anchors, &all, at, usage, None, None).map_err(chain)?;
        spki(&between.first().copied().unwrap_or(root).parsed)
    }
}

/// Why something doesn't lead to the authorities of `of`.
fn chain(of: &'static str, error: &webpki::Error) -> CertificateError {
    CertificateError::Chain { of, reason: lacks(error).to_owned() }
}

/// What a path lacks, in words.
fn lacks(error: &webpki::Error) -> &'static str {
    use webpki::Error;
    match error {
        Error::UnknownIssuer => "none of them issued it, and the certificates between them may be missing",
        Error::InvalidSignatureForPublicKey => {
            "an authority of the same name has another key than the one that issued it"
        }
        Error::CertExpired { .. } => "a certificate on the way had expired",
        Error::CertNotValidYet { .. } => "a certificate on the way was not valid yet",
        Error::CaUsedAsEndEntity => {
            "it is the certificate of an authority, which signs nothing but certificates"
        }
        Error::EndEntityUsedAsCa => "a certificate on the way is not that of an authority",
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => {
            "there are more certificates on the way than an authority allows"
        }
        Error::NameConstraintViolation => "an authority on the way may not issue certificates for this name",
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            "an authority on the way may not issue certificates for this use (extended key usage)"
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => {
            "a certificate on the way is signed with an algorithm that is not supported"
        }
        Error::UnsupportedCriticalExtension => {
            "a certificate on the way has a critical extension that is not supported"
        }
        Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => "there are too many ways to try",
        _ => "a certificate on the way is malformed, or has a part that is not supported",
    }
}

/// What certificates may be signed with.
static ALGORITHMS: &[&dyn rustls::pki_types::SignatureVerificationAlgorithm] = &[
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::ED25519,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
];
