//! Signatures that don't come as a Sigstore bundle: bare, beside a certificate, or in cosign's old bundle.
//!
//! cosign wrote the old bundle before it knew Sigstore's (`--new-bundle-format=false`): a signature or envelope in base64, the certificate or key in
//! PEM, and Rekor's promise. All parts together are the [`Bundle`] that they would be today, so that there is one verifier.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/pkg/cosign/fetch.go> (`LocalSignedPayload`)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pem_rfc7468::LineEnding;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;

use super::bundle::dsse::Envelope;
use super::bundle::{
    BUNDLE_BYTES, Bundle, BundleError, Content, FormatError, Signer, SignerMismatch, Stored, base64,
};
use super::statement::Statement;
use super::trust::{self, Distrust};
use crate::explain::explain;
use crate::formats::dsse::DsseError;
use crate::found::LayerAnnotations;
use crate::json::{self, MemoryLimit};
use crate::key::PublicKey;

/// The largest file with one signature, timestamp or list of certificates.
pub(crate) const PART_BYTES: u64 = 1024 * 1024;
/// The most certificates in one file.
const CERTIFICATES: usize = 32;
/// What the values of an old bundle may take in memory beside its texts: it has a dozen.
const VALUES_BYTES: usize = 4 * 1024 * 1024;

/// Why one of these can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetachedError {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// Something else that is known.
    #[error("it is {what}")]
    Other {
        /// What it is.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// An envelope that can't be used.
    #[error(transparent)]
    Envelope(DsseError),
    /// Text, and not base64.
    #[error("it is text, and not base64")]
    Text,
    /// Not the JSON of an old bundle.
    #[error("its JSON is not that of a bundle of cosign's old format: {0}")]
    Json(serde_json::Error),
    /// A field that isn't base64.
    #[error("its {0} is not base64")]
    Base64(&'static str),
    /// A field that can't be read.
    #[error("its {0} cannot be read")]
    Field(&'static str),
    /// No certificate where one must be.
    #[error("there is no certificate in it, in PEM, base64 of PEM, or DER")]
    NoCertificate,
    /// More than any chain has.
    #[error("it has more than {CERTIFICATES} certificates")]
    Certificates,
    /// No timestamp.
    #[error("it is not an RFC 3161 timestamp as cosign writes it, in base64, or in DER")]
    Timestamp,
}

explain! { DetachedError,
    Self::Empty => ["signature-empty", Failed, "see why the program that should have written it wrote nothing"],
    Self::Envelope(DsseError::Signatures(0)) => ["envelope-unsigned", Failed, "sign it: an envelope without a signature proves nothing"],
    Self::Envelope(_) => ["envelope-malformed", Failed, "get the envelope again from where it was made"],
    Self::Other { hint, .. } => ["signature-other-format", Failed, text *hint],
    Self::Text => ["signature-not-base64", Failed, "give the signature as base64, or its bytes"],
    Self::Json(_) | Self::Base64(_) | Self::Field(_) => ["bundle-malformed", Failed, "get the bundle again from where it was made"],
    Self::NoCertificate => ["certificate-form", Failed,
        "give a certificate in PEM, as cosign sign-blob --output-certificate writes the signer's"],
    Self::Certificates => ["certificate-form", Failed, "give the certificates of one chain alone"],
    Self::Timestamp => ["timestamp-form", Failed, "give what cosign sign-blob --rfc3161-timestamp wrote"],
}

/// The beginnings of texts that are not a signature: what the text is, and what to do.
const FORMS: [(&str, &str, &str); 8] = [
    ("-----BEGIN PGP", "an OpenPGP signature, which is not verified here", "verify it with gpg --verify"),
    (
        "-----BEGIN SSH SIGNATURE",
        "an SSH signature, which is not verified here",
        "verify it with ssh-keygen -Y verify",
    ),
    (
        "-----BEGIN PKCS7",
        "a PKCS #7 signature, which is not verified here",
        "verify it with openssl cms -verify",
    ),
    ("-----BEGIN CMS", "a CMS signature, which is not verified here", "verify it with openssl cms -verify"),
    (
        "-----BEGIN CERTIFICATE",
        "a certificate, not a signature",
        "give it with --certificate, and the signature with --signature",
    ),
    ("-----BEGIN ", "PEM, not a signature", "give the signature as base64, or its bytes"),
    (
        "untrusted comment:",
        "a signature of minisign or signify, which is not verified here",
        "verify it with minisign -V",
    ),
    ("{", "JSON, not a signature", "give a bundle with --bundle"),
];

/// The signature in a file or a value: base64, in one line or several, or the bytes.
///
/// # Errors
///
/// There is none.
pub fn signature(bytes: &[u8]) -> Result<Vec<u8>, DetachedError> {
    let trimmed = bytes.trim_ascii();
    let text = std::str::from_utf8(trimmed).ok();
    let decoded = text.and_then(base64);
    // Of 64 random bytes all are printable in one case of 10^27.
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let is_text = decoded.is_none() && bytes.len() > 8 && bytes.iter().all(is_text);
    let signature = decoded.unwrap_or_else(|| bytes.to_vec());
    let begins = signature.trim_ascii_start();
    if begins.is_empty() {
        return Err(DetachedError::Empty);
    }
    if Statement::read_any(begins).is_ok() {
        return Err(DetachedError::Other {
            what: "an in-toto statement that nobody signed",
            hint: "give the envelope or the bundle that holds it, signed: a statement alone proves nothing",
        });
    }
    // These are all text. The bytes of a signature begin with a brace in one case of 256.
    let is_utf8 = std::str::from_utf8(begins).is_ok();
    for (start, what, hint) in FORMS.iter().filter(|_| is_utf8).copied() {
        if begins.starts_with(start.as_bytes()) {
            return Err(DetachedError::Other { what, hint });
        }
    }
    if is_text { Err(DetachedError::Text) } else { Ok(signature) }
}

/// The JSON, or the bytes in base64, that may be an envelope; `None`: it is something else.
fn maybe_envelope(bytes: &[u8]) -> Option<Vec<u8>> {
    let trimmed = bytes.trim_ascii();
    let decoded = match trimmed.first() {
        // As it is: an entry of the log may be of all of its bytes.
        Some(b'{') => bytes.to_vec(),
        _ => std::str::from_utf8(trimmed).ok().and_then(base64)?,
    };
    decoded.trim_ascii_start().starts_with(b"{").then_some(decoded)
}

/// The certificates in PEM, in base64 of PEM, or one in DER.
///
/// # Errors
///
/// There is none, or there are too many.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, DetachedError> {
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return Err(DetachedError::Empty);
    }
    let decoded = std::str::from_utf8(trimmed).ok().and_then(base64);
    let pem = decoded.as_deref().unwrap_or(trimmed);
    // DER begins with a SEQUENCE of a long length, PEM never does.
    if bytes.starts_with(&[0x30, 0x82]) || bytes.starts_with(&[0x30, 0x81]) {
        return Ok(vec![bytes.to_vec()]);
    }
    if pem.starts_with(&[0x30, 0x82]) || pem.starts_with(&[0x30, 0x81]) {
        return Ok(vec![pem.to_vec()]);
    }
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        if found.len() == CERTIFICATES {
            return Err(DetachedError::Certificates);
        }
        found.push(certificate.map_err(|_| DetachedError::NoCertificate)?.to_vec());
    }
    if found.is_empty() { Err(DetachedError::NoCertificate) } else { Ok(found) }
}

/// The timestamp in a file: cosign's JSON, base64, or DER.
///
/// # Errors
///
/// There is none.
pub fn timestamp(bytes: &[u8]) -> Result<Vec<u8>, DetachedError> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(rename = "SignedRFC3161Timestamp")]
        signed: String,
    }
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return Err(DetachedError::Empty);
    }
    let found = match trimmed.first() {
        Some(b'{') => {
            let limit = MemoryLimit::memory(bytes.len().saturating_add(VALUES_BYTES));
            let wire: Option<Wire> = json::typed(trimmed, limit).ok();
            wire.and_then(|wire| base64(&wire.signed))
        }
        _ if bytes.first() == Some(&0x30) => Some(bytes.to_vec()),
        _ => std::str::from_utf8(trimmed).ok().and_then(base64),
    };
    found.filter(|der| der.first() == Some(&0x30)).ok_or(DetachedError::Timestamp)
}

/// Who signed, as cosign's old bundle has it.
#[derive(Clone, Debug)]
pub enum By {
    /// A certificate, in DER.
    Certificate(Vec<u8>),
    /// A key.
    Key(Box<PublicKey>),
}

/// cosign's old bundle. Well-formed, nothing more.
#[derive(Clone, Debug)]
pub struct OldBundle {
    /// The signature, or an envelope; `None`: it holds none.
    pub signature: Option<Vec<u8>>,
    /// Who signed; `None`: it doesn't say.
    pub by: Option<By>,
    /// The entry of the transparency log, JSON; `None`: it was not logged.
    pub log: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireOld<'a> {
    #[serde(rename = "base64Signature")]
    signature: Option<String>,
    cert: Option<String>,
    #[serde(rename = "rekorBundle", borrow)]
    log: Option<&'a RawValue>,
}

impl OldBundle {
    /// Whether these bytes are cosign's old bundle, well-formed or not, rather than Sigstore's.
    pub fn is_one(bytes: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Keys {
            #[serde(rename = "base64Signature")]
            signature: Option<IgnoredAny>,
            #[serde(rename = "rekorBundle")]
            log: Option<IgnoredAny>,
            #[serde(rename = "mediaType")]
            media_type: Option<IgnoredAny>,
        }
        let keys: Option<Keys> = serde_json::from_slice(bytes).ok();
        keys.is_some_and(|keys| keys.media_type.is_none() && (keys.signature.is_some() || keys.log.is_some()))
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// It is none, or a part of it can't be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, DetachedError> {
        let limit = MemoryLimit::memory(bytes.len().saturating_add(VALUES_BYTES));
        let wire: WireOld<'_> = json::typed(bytes, limit).map_err(DetachedError::Json)?;
        let signature = wire.signature.filter(|text| !text.is_empty());
        let signature = signature.map(|text| base64(&text).ok_or(DetachedError::Base64("base64Signature")));
        let by = wire.cert.filter(|text| !text.is_empty()).map(|text| by(&text)).transpose()?;
        Ok(Self { signature: signature.transpose()?, by, log: wire.log.map(|log| log.get().to_owned()) })
    }
}

/// Whether a signature may look like this: DER of ECDSA, or as long as those of Ed25519 and RSA are. What is no longer than a name of a file isn't.
pub(crate) fn is_plausible(signature: &[u8]) -> bool {
    match signature.len() {
        ..64 => false,
        64 | 96 | 132 | 256.. => true,
        _ => signature.first() == Some(&0x30),
    }
}

/// A certificate, which its chain may follow, or a public key; in PEM or in base64 of PEM.
fn by(text: &str) -> Result<By, DetachedError> {
    let decoded = base64(text.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
    let pem = decoded.as_deref().unwrap_or(text);
    if let Ok(key) = PublicKey::from_pem(pem) {
        return Ok(By::Key(Box::new(key)));
    }
    let certificates = certificates(pem.as_bytes()).ok();
    let first = certificates.and_then(|certificates| certificates.into_iter().next());
    first.map(By::Certificate).ok_or(DetachedError::Field("cert"))
}

/// What is put together to a bundle.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The signer's certificate, in DER; `None`: a key signed.
    pub certificate: Option<Vec<u8>>,
    /// The entry of the transparency log, JSON.
    pub log: Option<String>,
    /// An RFC 3161 timestamp, in DER.
    pub timestamp: Option<Vec<u8>>,
}

impl Parts {
    /// The bundle of these parts and each of `contents`, which a signer like `signer` made.
    ///
    /// # Errors
    ///
    /// A part can't be read, or there is no certificate where an identity is asked for.
    pub fn bundles(self, signer: &Signer, contents: Contents) -> Result<Vec<Bundle>, PartsError> {
        if matches!(signer, Signer::Identity(_)) && self.certificate.is_none() {
            return Err(BundleError::Signer(SignerMismatch::NoCertificate).into());
        }
        let pem = |der: Vec<u8>| {
            pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, &der).unwrap_or_default()
        };
        let stamp = |der: Vec<u8>| json!({ "SignedRFC3161Timestamp": STANDARD.encode(der) }).to_string();
        let attached = LayerAnnotations {
            certificate: self.certificate.map(pem),
            chain: None,
            log: self.log,
            timestamp: self.timestamp.map(stamp),
        };
        let bundle = trust::without_content(signer, &attached).map_err(|error| match error {
            Distrust::Bundle(error) => PartsError::Bundle(error),
            _ => PartsError::Log,
        })?;
        let Contents { each, stored } = contents;
        let of = |content| Bundle { content, stored: stored.clone(), ..bundle.clone() };
        Ok(each.into_iter().map(of).collect())
    }
}

/// Why separate parts don't make a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// The log's entry can't be read.
    #[error("the entry of the transparency log (rekorBundle) cannot be read")]
    Log,
    /// Something else.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// What is signed, once for each signature.
#[derive(Clone, Debug)]
pub struct Contents {
    /// A signature of the file itself, or each signature of an envelope.
    pub each: Vec<Content>,
    /// An envelope's bytes, of which a log entry may be.
    stored: Stored,
}

/// What an old bundle or a file holds in a signature's place: a signature of the file itself, or each signature of an envelope.
///
/// # Errors
///
/// It is neither.
pub fn contents(bytes: &[u8]) -> Result<Contents, DetachedError> {
    if bytes.len() as u64 <= BUNDLE_BYTES
        && let Some(envelope) = maybe_envelope(bytes)
    {
        match Envelope::parse(&envelope) {
            Ok(envelopes) => {
                let stored = Stored::of(&envelope, envelopes.len());
                return Ok(Contents { each: envelopes.into_iter().map(Content::Dsse).collect(), stored });
            }
            // It is one, and something is wrong with it.
            Err(BundleError::Format(FormatError::Envelope(
                error @ (DsseError::Signatures(_) | DsseError::Base64(_)),
            ))) => return Err(DetachedError::Envelope(error)),
            Err(_) => {}
        }
    }
    let message = Content::Message { digest: None, signature: signature(bytes)? };
    Ok(Contents { each: vec![message], stored: Stored::Parts })
}

#[cfg(test)]
mod tests;
