//! A certificate as JSON, with the fields of Go's `x509.Certificate` that hold all the others: the DER and its parts, and the times.
//!
//! Go: <https://pkg.go.dev/crypto/x509#Certificate>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Encode as _};
use serde::Serialize;

use crate::verify::detached;

/// A certificate. The `raw` fields are DER in base64.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Certificate {
    raw: String,
    #[serde(rename = "RawTBSCertificate")]
    raw_tbs_certificate: String,
    raw_subject_public_key_info: String,
    raw_subject: String,
    raw_issuer: String,
    /// The start of the validity, in RFC 3339.
    not_before: String,
    not_after: String,
}

/// The certificates in `pem`; `None`: there is none, or one can't be read.
pub(super) fn read(pem: &str) -> Option<Vec<Certificate>> {
    let all = detached::certificates(pem.as_bytes()).ok()?;
    all.iter().map(|der| one(der)).collect()
}

fn one(der: &[u8]) -> Option<Certificate> {
    let tbs = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate;
    Some(Certificate {
        raw: STANDARD.encode(der),
        raw_tbs_certificate: STANDARD.encode(tbs.to_der().ok()?),
        raw_subject_public_key_info: STANDARD.encode(tbs.subject_public_key_info.to_der().ok()?),
        raw_subject: STANDARD.encode(tbs.subject.to_der().ok()?),
        raw_issuer: STANDARD.encode(tbs.issuer.to_der().ok()?),
        not_before: tbs.validity.not_before.to_date_time().to_string(),
        not_after: tbs.validity.not_after.to_date_time().to_string(),
    })
}
