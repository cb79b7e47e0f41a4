//! A timestamp token as it is encoded: CMS signed data over a TSTInfo.
//!
//! Specs: <https://www.rfc-editor.org/rfc/rfc3161#section-2.4.2>, <https://www.rfc-editor.org/rfc/rfc5652#section-5>.
//!
//! Read by hand, as authorities write more than the `cms` crate reads: a set may have a member twice (timestamp-authority brings its signer's
//! certificate twice if its chain has it too) and its members in any order; versions and the list of digests, which nothing depends on,
//! may be any. What is signed of the attributes is their DER, in which they are sorted. Every length is definite and as short as can be.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode as _, Header, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};
use jiff::Timestamp;
use jiff::civil::DateTime;
use x509_cert::Certificate;
use x509_cert::der::oid::db::rfc5911::{ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use x509_cert::der::oid::db::rfc5912::{ID_SHA_256, ID_SHA_384, ID_SHA_512};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierRef;

use super::error::TimestampError;
use super::names::same;
use super::path::X509;
use crate::foreign;
use crate::key::Hash;

const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// The most attributes of a signer: they have six at most.
const ATTRIBUTES: usize = 64;

/// A timestamp, taken apart; nothing of it is verified.
#[derive(Debug)]
pub struct Token {
    /// The time in it.
    pub time: Timestamp,
    pub(super) imprint: (Hash, Vec<u8>),
    /// The DER of the TSTInfo: what the signed attributes hold the digest of.
    pub(super) info: Vec<u8>,
    pub(super) signer: SignerInfo,
    /// The certificates in it, each of them once.
    pub(super) certificates: Vec<X509>,
}

/// The signer's certificate, its key and the signature algorithm.
#[derive(Debug)]
pub(super) struct SignerInfo {
    id: SignerId,
    pub(super) digest: ObjectIdentifier,
    /// The DER of the signed attributes: what the signature covers.
    pub(super) signed: Vec<u8>,
    /// The values of the signed attributes of each kind.
    attributes: Vec<(ObjectIdentifier, Vec<u8>)>,
    pub(super) algorithm: ObjectIdentifier,
    pub(super) signature: Vec<u8>,
}

/// Which certificate signed.
#[derive(Debug)]
enum SignerId {
    Issued(Name, SerialNumber),
    Key(Vec<u8>),
}

impl Token {
    /// Reads a timestamp: an authority's whole response, or the token in it.
    ///
    /// # Errors
    ///
    /// It is none, a refusal, or of algorithms that aren't known.
    pub fn parse(der: &[u8]) -> Result<Self, TimestampError> {
        let wrong = |what| move |_: der::Error| TimestampError::Malformed(what);
        let mut outer = whole(token(der)?).map_err(wrong("its CMS"))?;
        if ObjectIdentifier::decode(&mut outer).map_err(wrong("its CMS"))? != ID_SIGNED_DATA {
            return Err(TimestampError::Malformed("it is not signed"));
        }
        let data = last(&mut outer, context(0)).map_err(wrong("its CMS"))?;
        let mut data = whole(data).map_err(wrong("its signed data"))?;
        let data = &mut data;
        for tag in [Tag::Integer, Tag::Set] {
            value(data, tag).map_err(wrong("its signed data"))?;
        }
        let info = content(value(data, Tag::Sequence).map_err(wrong("its signed data"))?)?.to_vec();
        let certificates = optional(data, 0).map_err(wrong("its signed data"))?;
        let certificates = brought(certificates.unwrap_or_default()).map_err(wrong("its certificates"))?;
        // Lists of revoked certificates.
        optional(data, 1).map_err(wrong("its signed data"))?;
        let signers = last(data, Tag::Set).map_err(wrong("its signed data"))?;
        let one = whole(signers).ok().filter(|_| !signers.is_empty());
        let signer = one.ok_or(TimestampError::Malformed("it has no signer, or several"))?;
        let signer = SignerInfo::read(signer).map_err(wrong("its signer"))?;
        let (imprint, time) = tst_info(&info)?;
        Ok(Self { time, imprint, info, signer, certificates })
    }

    /// The certificates in it that its signer names: one, unless another certificate with the same name and number was added.
    pub(super) fn own(&self) -> impl Iterator<Item = &X509> {
        self.certificates.iter().filter(|one| self.signer.is(&one.parsed))
    }

    /// The authority that the token itself names, if any.
    pub(super) fn claimed(&self) -> String {
        let name = match (self.own().next(), &self.signer.id) {
            (Some(own), _) => own.parsed.tbs_certificate.subject.to_string(),
            (None, SignerId::Issued(issuer, _)) => format!("a certificate of {issuer}"),
            (None, SignerId::Key(id)) => format!("the key {}", super::artifact::hex(id)),
        };
        foreign::escape(&name, 200)
    }
}

impl SignerInfo {
    fn read(mut parts: SliceReader<'_>) -> der::Result<Self> {
        let parts = &mut parts;
        value(parts, Tag::Integer)?;
        let id = AnyRef::decode(parts)?;
        let id = match id.tag() {
            Tag::Sequence => {
                let mut id = SliceReader::new(id.value())?;
                let (issuer, serial) = (Name::decode(&mut id)?, SerialNumber::decode(&mut id)?);
                id.finish(SignerId::Issued(issuer, serial))?
            }
            Tag::ContextSpecific { constructed: false, number: TagNumber::N0 } => {
                SignerId::Key(id.value().to_vec())
            }
            other => return Err(other.unexpected_error(Some(Tag::Sequence))),
        };
        let digest = AlgorithmIdentifierRef::decode(parts)?.oid;
        let mut all = Vec::new();
        let mut attributes = Vec::new();
        let mut list = SliceReader::new(optional(parts, 0)?.unwrap_or_default())?;
        while !list.is_finished() && all.len() < ATTRIBUTES {
            let attribute = list.tlv_bytes()?;
            let mut fields = whole(attribute)?;
            attributes.push((ObjectIdentifier::decode(&mut fields)?, last(&mut fields, Tag::Set)?.to_vec()));
            all.push(attribute);
        }
        list.finish(())?;
        // DER: the members of a set are sorted.
        all.sort_unstable();
        let signed = AnyRef::new(Tag::Set, &all.concat())?.to_der()?;
        let algorithm = AlgorithmIdentifierRef::decode(parts)?.oid;
        let signature = value(parts, Tag::OctetString)?.to_vec();
        // What anyone may have added.
        optional(parts, 1)?;
        if !parts.is_finished() {
            return Err(Tag::Sequence.value_error());
        }
        Ok(Self { id, digest, signed, attributes, algorithm, signature })
    }

    /// Returns whether the token names `certificate`.
    pub(super) fn is(&self, certificate: &Certificate) -> bool {
        let tbs = &certificate.tbs_certificate;
        match &self.id {
            SignerId::Issued(issuer, serial) => *serial == tbs.serial_number && same(issuer, &tbs.issuer),
            SignerId::Key(id) => {
                let known = tbs.get::<SubjectKeyIdentifier>();
                matches!(known, Ok(Some((_, known))) if known.0.as_bytes() == id)
            }
        }
    }

    /// Checks that the attributes that are signed are of this TSTInfo.
    pub(super) fn is_of(&self, info: &[u8]) -> Result<Hash, TimestampError> {
        let differs = TimestampError::Attribute;
        if self.attributes.is_empty() {
            return Err(differs("list of attributes"));
        }
        let hash = hash(self.digest).ok_or(TimestampError::Algorithm("digest"))?;
        let digest = self.attribute(ID_MESSAGE_DIGEST).and_then(|der| OctetStringRef::from_der(der).ok());
        if digest.is_none_or(|digest| digest.as_bytes() != hash.digest(info)) {
            return Err(differs("digest"));
        }
        let content = self.attribute(ID_CONTENT_TYPE).and_then(|der| ObjectIdentifier::from_der(der).ok());
        if content != Some(TST_INFO) {
            return Err(differs("content type"));
        }
        Ok(hash)
    }

    /// The values of an attribute that is there once.
    fn attribute(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        let mut found = self.attributes.iter().filter(|(kind, _)| *kind == oid);
        let ((_, values), None) = (found.next()?, found.next()) else { return None };
        Some(values)
    }
}

fn context(number: u8) -> Tag {
    let number = if number == 0 { TagNumber::N0 } else { TagNumber::N1 };
    Tag::ContextSpecific { constructed: true, number }
}

/// The content of a sequence that is all there is.
fn whole(der: &[u8]) -> der::Result<SliceReader<'_>> {
    SliceReader::new(last(&mut SliceReader::new(der)?, Tag::Sequence)?)
}

/// The content of the next value, of that tag.
fn value<'a>(parts: &mut SliceReader<'a>, tag: Tag) -> der::Result<&'a [u8]> {
    let found = AnyRef::decode(parts)?;
    found.tag().assert_eq(tag)?;
    Ok(found.value())
}

/// The same where nothing follows.
fn last<'a>(parts: &mut SliceReader<'a>, tag: Tag) -> der::Result<&'a [u8]> {
    let found = value(parts, tag)?;
    if parts.is_finished() { Ok(found) } else { Err(tag.value_error()) }
}

/// The content of the next value if it is the optional one of that number.
fn optional<'a>(parts: &mut SliceReader<'a>, number: u8) -> der::Result<Option<&'a [u8]>> {
    if parts.is_finished() || parts.peek_tag()? != context(number) {
        return Ok(None);
    }
    value(parts, context(number)).map(Some)
}

/// What is signed, by the part of the signed data that holds it.
fn content(encapsulated: &[u8]) -> Result<&[u8], TimestampError> {
    let wrong = |_| TimestampError::Malformed("its content");
    let mut parts = SliceReader::new(encapsulated).map_err(wrong)?;
    if ObjectIdentifier::decode(&mut parts).map_err(wrong)? != TST_INFO {
        return Err(TimestampError::Malformed("something else than a time is signed"));
    }
    if parts.is_finished() {
        return Err(TimestampError::Malformed("nothing is in it"));
    }
    let mut octets = SliceReader::new(last(&mut parts, context(0)).map_err(wrong)?).map_err(wrong)?;
    last(&mut octets, Tag::OctetString).map_err(wrong)
}

/// The certificates of a set, each once; what is of another kind is passed over.
fn brought(set: &[u8]) -> der::Result<Vec<X509>> {
    let mut all: Vec<X509> = Vec::new();
    let mut members = SliceReader::new(set)?;
    while !members.is_finished() {
        let der = members.tlv_bytes()?;
        let is_certificate = SliceReader::new(der)?.peek_tag()? == Tag::Sequence;
        if is_certificate && !all.iter().any(|one| one.der == der) {
            all.push(X509 { der: der.to_vec(), parsed: Certificate::from_der(der)? });
        }
    }
    Ok(all)
}

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
    let algorithm = AlgorithmIdentifierRef::decode(&mut imprint).map_err(wrong)?;
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
