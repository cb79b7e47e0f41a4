//! RFC 3161 timestamps: an authority's word that a signature was there at a time.
//!
//! Specs: <https://www.rfc-editor.org/rfc/rfc3161>, <https://www.rfc-editor.org/rfc/rfc5652>, <https://www.rfc-editor.org/rfc/rfc5816>.
//!
//! The certificate that signs is the one the trusted root names, whatever the timestamp brings; where the trusted root names none,
//! it may come with the timestamp, if it leads to the authority's root. `sigstore-tsa` 0.15 does about the same; it takes authorities
//! with ECDSA keys alone, times without fractions of a second alone, one refusal text for all, and doesn't look at the content
//! type among the signed attributes, nor that a timestamp has one signer.

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_EC_PUBLIC_KEY, ID_SHA_256, ID_SHA_384,
    ID_SHA_512, RSA_ENCRYPTION, SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION,
    SHA_512_WITH_RSA_ENCRYPTION,
};
use const_oid::db::rfc8410::ID_ED_25519;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode as _, Header, Reader as _, SliceReader, Tag, Tagged as _};
use jiff::Timestamp;
use jiff::civil::DateTime;
use x509_cert::Certificate;
use x509_cert::attr::Attributes;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectKeyIdentifier};

use super::certificate::{self, TIME_STAMPING};
use super::error::TimestampError;
use super::log::signed_by;
use super::trust::{Authority, TrustMaterial};
use crate::sign::{Hash, PublicKey};

const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// A time that an authority vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamped {
    pub(super) at: Timestamp,
    pub(super) authority: String,
}

/// A timestamp, taken apart; nothing of it is verified.
#[derive(Debug)]
pub struct Token {
    /// The time in it.
    pub time: Timestamp,
    imprint: (Hash, Vec<u8>),
    /// The DER of the TSTInfo: what the signed attributes hold the digest of.
    info: Vec<u8>,
    signer: SignerInfo,
    certificates: Vec<Certificate>,
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
            Ok(()) => {
                return Ok(Stamped { at: token.time, authority: authority.name.clone() });
            }
            // What another authority says of it is more than that it isn't this one's.
            Err(TimestampError::UnknownAuthority) => {}
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

impl Token {
    /// Reads a timestamp: an authority's whole response, or the token in it.
    ///
    /// # Errors
    ///
    /// It is none, a refusal, or of algorithms that aren't known.
    pub fn parse(der: &[u8]) -> Result<Self, TimestampError> {
        let wrong = TimestampError::Malformed;
        let content = ContentInfo::from_der(token(der)?).map_err(|_| wrong("its CMS"))?;
        if content.content_type != ID_SIGNED_DATA {
            return Err(wrong("it is not signed"));
        }
        let data: SignedData = content.content.decode_as().map_err(|_| wrong("its signed data"))?;
        if data.encap_content_info.econtent_type != TST_INFO {
            return Err(wrong("something else than a time is signed"));
        }
        let info = data.encap_content_info.econtent.as_ref().ok_or(wrong("nothing is in it"))?;
        let info =
            info.decode_as::<OctetStringRef<'_>>().map_err(|_| wrong("its content"))?.as_bytes().to_vec();
        let signers = data.signer_infos.0.as_slice();
        let [signer] = signers else { return Err(wrong("it has no signer, or several")) };
        if data.digest_algorithms.iter().all(|algorithm| algorithm.oid != signer.digest_alg.oid) {
            return Err(wrong("its list of digests lacks the signer's"));
        }
        if data.version != CmsVersion::V3 || !matches!(signer.version, CmsVersion::V1 | CmsVersion::V3) {
            return Err(wrong("its version"));
        }
        let certificates = data.certificates.iter().flat_map(|set| set.0.as_slice());
        let certificates = certificates.filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate.clone()),
            CertificateChoices::Other(_) => None,
        });
        let (imprint, time) = tst_info(&info)?;
        Ok(Self {
            time,
            imprint,
            signer: signer.clone(),
            certificates: certificates.take(CERTIFICATES).collect(),
            info,
        })
    }

    /// Whether `authority` made it, in its time.
    fn by(&self, authority: &Authority) -> Result<(), TimestampError> {
        let leaf = match &authority.leaf {
            Some(der) => certificate::parse(der).ok().filter(|leaf| is_signer(&self.signer.sid, leaf)),
            None => self.certificates.iter().find(|leaf| is_signer(&self.signer.sid, leaf)).cloned(),
        };
        let leaf = leaf.ok_or(TimestampError::UnknownAuthority)?;
        // RFC 3161 §2.4.1: a timestamp that brings certificates brings its signer's.
        if !self.certificates.is_empty() && !self.certificates.contains(&leaf) {
            return Err(TimestampError::Certificate { authority: authority.name.clone() });
        }
        self.path(&leaf, authority)?;
        self.signed_by(&leaf, authority)?;
        if !authority.valid_at(self.time) {
            return Err(TimestampError::Window { at: self.time, authority: authority.name.clone() });
        }
        Ok(())
    }

    fn path(&self, leaf: &Certificate, authority: &Authority) -> Result<(), TimestampError> {
        let at = self.time;
        let refused =
            |reason: String| TimestampError::Chain { authority: authority.name.clone(), at, reason };
        let der = leaf.to_der().map_err(|_| TimestampError::Malformed("its certificate"))?;
        // RFC 3161 §2.3: for timestamps and nothing else, and whoever doesn't know that may not go on.
        let usage = leaf.tbs_certificate.get::<ExtendedKeyUsage>().ok().flatten();
        let only = usage.is_some_and(|(critical, usage)| critical && usage.0 == [TIME_STAMPING]);
        if !only {
            return Err(refused("it may be used for other things as well".to_owned()));
        }
        // Of a self-signed certificate in the trusted root nothing leads further.
        if authority.root == der {
            return certificate::valid_at(leaf, at).map_err(|error| refused(error.to_string()));
        }
        let brought: Vec<Vec<u8>> = match authority.leaf {
            Some(_) => Vec::new(),
            None => self.certificates.iter().filter_map(|one| one.to_der().ok()).collect(),
        };
        let between: Vec<&[u8]> = authority.intermediates.iter().chain(&brought).map(Vec::as_slice).collect();
        let path = certificate::path(&der, &between, authority, at, &TIME_STAMPING);
        match path {
            Ok(_) => Ok(()),
            // Somebody else's root: the timestamp brought its own certificate, and it isn't this authority's.
            Err(_) if authority.leaf.is_none() => Err(TimestampError::UnknownAuthority),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    fn signed_by(&self, leaf: &Certificate, authority: &Authority) -> Result<(), TimestampError> {
        let signer = &self.signer;
        let attributes =
            signer.signed_attrs.as_ref().ok_or(TimestampError::Attribute("list of attributes"))?;
        let hash = hash(signer.digest_alg.oid).ok_or(TimestampError::Algorithm("digest"))?;
        let digest = attribute(attributes, ID_MESSAGE_DIGEST).ok_or(TimestampError::Attribute("digest"))?;
        let digest = OctetStringRef::from_der(&digest).map_err(|_| TimestampError::Attribute("digest"))?;
        if digest.as_bytes() != hash.digest(&self.info) {
            return Err(TimestampError::Attribute("digest"));
        }
        let content =
            attribute(attributes, ID_CONTENT_TYPE).and_then(|der| ObjectIdentifier::from_der(&der).ok());
        if content != Some(TST_INFO) {
            return Err(TimestampError::Attribute("content type"));
        }
        let signed = attributes.to_der().map_err(|_| TimestampError::Attribute("encoding"))?;
        let key = certificate::spki(leaf).ok().and_then(|der| PublicKey::from_der(&der).ok());
        let key = key.ok_or(TimestampError::Algorithm("key"))?;
        // The algorithm of the signature may name another hash than the digest's, or none.
        let hash = match signer.signature_algorithm.oid {
            ECDSA_WITH_SHA_256 | SHA_256_WITH_RSA_ENCRYPTION => Hash::Sha256,
            ECDSA_WITH_SHA_384 | SHA_384_WITH_RSA_ENCRYPTION => Hash::Sha384,
            ECDSA_WITH_SHA_512 | SHA_512_WITH_RSA_ENCRYPTION => Hash::Sha512,
            ID_EC_PUBLIC_KEY | RSA_ENCRYPTION | ID_ED_25519 => hash,
            _ => return Err(TimestampError::Algorithm("signature")),
        };
        if signed_by(&key, hash, &signed, signer.signature.as_bytes()) {
            Ok(())
        } else {
            Err(TimestampError::Signature { authority: authority.name.clone() })
        }
    }
}

/// The most certificates of a timestamp that are looked at.
const CERTIFICATES: usize = 16;

/// The token in a response (RFC 3161 §2.4.2), or the token that it is already.
fn token(der: &[u8]) -> Result<&[u8], TimestampError> {
    let wrong = |_| TimestampError::Malformed("it is not DER");
    let mut outer = SliceReader::new(der).map_err(wrong)?;
    let header = Header::decode(&mut outer).map_err(wrong)?;
    let body = outer.read_slice(header.length).map_err(wrong)?;
    if header.tag != Tag::Sequence || !outer.is_finished() {
        return Err(TimestampError::Malformed("it is not one sequence"));
    }
    let mut parts = SliceReader::new(body).map_err(wrong)?;
    let first = AnyRef::decode(&mut parts).map_err(wrong)?;
    if first.tag() != Tag::Sequence {
        return Ok(der);
    }
    let mut status = SliceReader::new(first.value()).map_err(wrong)?;
    let status = u8::decode(&mut status).map_err(|_| TimestampError::Malformed("its status"))?;
    // 0: granted; 1: granted with modifications.
    if status > 1 {
        return Err(TimestampError::Refused { status });
    }
    let rest = parts.remaining_len();
    let token = parts.read_slice(rest).map_err(wrong)?;
    if token.is_empty() { Err(TimestampError::Malformed("its token is missing")) } else { Ok(token) }
}

/// The imprint and the time of a TSTInfo; what follows them is signed, and of no consequence here.
fn tst_info(der: &[u8]) -> Result<((Hash, Vec<u8>), Timestamp), TimestampError> {
    let wrong = |_: der::Error| TimestampError::Malformed("its TSTInfo");
    let info = AnyRef::from_der(der).map_err(wrong)?;
    if info.tag() != Tag::Sequence {
        return Err(TimestampError::Malformed("its TSTInfo"));
    }
    let mut info = SliceReader::new(info.value()).map_err(wrong)?;
    if u8::decode(&mut info).map_err(wrong)? != 1 {
        return Err(TimestampError::Malformed("its version"));
    }
    ObjectIdentifier::decode(&mut info).map_err(wrong)?;
    let imprint = AnyRef::decode(&mut info).map_err(wrong)?;
    let mut imprint = SliceReader::new(imprint.value()).map_err(wrong)?;
    let algorithm = x509_cert::spki::AlgorithmIdentifierRef::decode(&mut imprint).map_err(wrong)?;
    let digest = OctetStringRef::decode(&mut imprint).map_err(wrong)?.as_bytes().to_vec();
    let hash = hash(algorithm.oid).ok_or(TimestampError::Algorithm("hash"))?;
    let serial = AnyRef::decode(&mut info).map_err(wrong)?;
    let time = AnyRef::decode(&mut info).map_err(wrong)?;
    if serial.tag() != Tag::Integer || time.tag() != Tag::GeneralizedTime {
        return Err(TimestampError::Malformed("its TSTInfo"));
    }
    while !info.is_finished() {
        AnyRef::decode(&mut info).map_err(wrong)?;
    }
    let time = generalized(time.value()).ok_or(TimestampError::Malformed("its time"))?;
    Ok(((hash, digest), time))
}

/// `YYYYMMDDhhmmss[.f]Z`: RFC 3161 allows fractions of a second where X.509 doesn't.
fn generalized(bytes: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) {
        return None;
    }
    let nanoseconds = match fraction {
        None => 0,
        // DER: no zeros at the end.
        Some(fraction) if digits(fraction) && fraction.len() <= 9 && !fraction.ends_with('0') => {
            format!("{fraction:0<9}").parse().ok()?
        }
        Some(_) => return None,
    };
    let part = |from: usize, to: usize| whole.get(from..to)?.parse::<i8>().ok();
    let year = whole.get(..4)?.parse().ok()?;
    let time = DateTime::new(
        year,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
        nanoseconds,
    );
    let time = time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    (time >= Timestamp::UNIX_EPOCH).then_some(time)
}

fn hash(oid: ObjectIdentifier) -> Option<Hash> {
    match oid {
        ID_SHA_256 => Some(Hash::Sha256),
        ID_SHA_384 => Some(Hash::Sha384),
        ID_SHA_512 => Some(Hash::Sha512),
        _ => None,
    }
}

/// The DER of the one value of an attribute that is there once.
fn attribute(attributes: &Attributes, oid: ObjectIdentifier) -> Option<Vec<u8>> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
    let (attribute, None) = (found.next()?, found.next()) else { return None };
    match attribute.values.as_slice() {
        [value] => value.to_der().ok(),
        _ => None,
    }
}

fn is_signer(id: &SignerIdentifier, certificate: &Certificate) -> bool {
    let tbs = &certificate.tbs_certificate;
    match id {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == tbs.issuer && id.serial_number == tbs.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            matches!(tbs.get::<SubjectKeyIdentifier>(), Ok(Some((_, known))) if known == *id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_have_a_fraction_and_nothing_that_der_does_not_have() {
        let at = |text: &str| generalized(text.as_bytes()).map(|time| time.to_string());
        assert_eq!(at("20250612120220Z").as_deref(), Some("2025-06-12T12:02:20Z"));
        assert_eq!(at("20250612120220.05Z").as_deref(), Some("2025-06-12T12:02:20.05Z"));
        for wrong in [
            "20250612120220",
            "20250612120220.Z",
            "20250612120220.50Z",
            "20250612120220+0000Z",
            "2025061212022Z",
            "20251312120220Z",
            "+0250612120220Z",
            "19690101000000Z",
            "20250612120220.1234567891Z",
        ] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}
