//! Signed certificate timestamps: a certificate transparency log's promise that it has the signer's certificate.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc6962#section-3.2>, <https://www.rfc-editor.org/rfc/rfc6962#section-3.3>. One good SCT by a log that
//! the trusted root has is enough; others may be of logs that it doesn't have.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use x509_cert::der::Decode as _;
use x509_cert::der::Encode as _;
use x509_cert::der::asn1::OctetStringRef;
use x509_cert::der::oid::ObjectIdentifier as Oid;

use super::artifact::hex;
use super::certificate::SignerCertificate;
use super::error::SctError;
use super::log::signed_by;
use super::trust::TrustMaterial;

const SCT_LIST: Oid = Oid::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// One SCT.
struct Sct<'a> {
    log: &'a [u8],
    time: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

/// Checks that a log of the trusted root has promised `certificate`, whose issuer has the key `issuer` (DER of its SubjectPublicKeyInfo).
pub(super) fn verify(
    certificate: &SignerCertificate,
    issuer: &[u8],
    trust: &TrustMaterial,
) -> Result<(), SctError> {
    let mut extensions = certificate.own.parsed.tbs_certificate.extensions.iter().flatten();
    let list = extensions.find(|extension| extension.extn_id == SCT_LIST).ok_or(SctError::Missing)?;
    let list = OctetStringRef::from_der(list.extn_value.as_bytes()).map_err(|_| SctError::Malformed)?;
    let scts = read(list.as_bytes()).ok_or(SctError::Malformed)?;
    // What the log signed is the certificate as it was before it had an SCT.
    let mut before = certificate.own.parsed.tbs_certificate.clone();
    if let Some(extensions) = &mut before.extensions {
        extensions.retain(|extension| extension.extn_id != SCT_LIST);
    }
    let before = before.to_der().map_err(|_| SctError::Malformed)?;
    let mut failed = SctError::Missing;
    for sct in &scts {
        match one(sct, &before, issuer, trust) {
            Ok(()) => return Ok(()),
            // A false SCT of a known log says more than an unknown log: the latter may be waived.
            Err(SctError::UnknownLog { .. }) if !matches!(failed, SctError::Missing) => {}
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn one(sct: &Sct<'_>, certificate: &[u8], issuer: &[u8], trust: &TrustMaterial) -> Result<(), SctError> {
    let log = trust.ct_log(sct.log).ok_or_else(|| SctError::UnknownLog { log: hex(sct.log) })?;
    let at = i64::try_from(sct.time).ok().and_then(|time| Timestamp::from_millisecond(time).ok());
    let at = at.ok_or(SctError::Malformed)?;
    if !log.valid_at(at) {
        return Err(SctError::Window { at });
    }
    // Version 1, a certificate's timestamp, of a precertificate.
    let mut signed = vec![0, 0];
    signed.extend(sct.time.to_be_bytes());
    signed.extend([0, 1]);
    signed.extend(Sha256::digest(issuer));
    let length = u32::try_from(certificate.len()).map_err(|_| SctError::Malformed)?.to_be_bytes();
    signed.extend(length.get(1..).unwrap_or_default());
    signed.extend(certificate);
    let length = u16::try_from(sct.extensions.len()).map_err(|_| SctError::Malformed)?;
    signed.extend(length.to_be_bytes());
    signed.extend(sct.extensions);
    if signed_by(&log.key, log.hash, &signed, sct.signature) { Ok(()) } else { Err(SctError::Signature) }
}

/// The list in TLS's own encoding: lengths before parts.
fn read(bytes: &[u8]) -> Option<Vec<Sct<'_>>> {
    let mut list = Reader(bytes);
    let mut scts = Vec::new();
    let mut entries = Reader(list.sized()?);
    while !entries.0.is_empty() {
        let mut entry = Reader(entries.sized()?);
        let version = entry.take(1)?;
        let log = entry.take(32)?;
        let time = u64::from_be_bytes(entry.take(8)?.try_into().ok()?);
        let extensions = entry.sized()?;
        // The algorithm: what it is follows from the log's key.
        entry.take(2)?;
        let signature = entry.sized()?;
        if version != [0] || !entry.0.is_empty() {
            return None;
        }
        scts.push(Sct { log, time, extensions, signature });
    }
    list.0.is_empty().then_some(scts)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    /// A part after its length in two bytes.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(usize::from(length))
    }
}
