//! DSSE envelopes as Tekton Chains and cosign write them into `.att` tags and annotations.
//!
//! One payload, one signature, compact JSON, no newline. An envelope that is read may have several signatures,
//! and either alphabet of base64; nothing of it is verified here.
//!
//! Spec: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md>

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD as STANDARD_ALPHABET, URL_SAFE as URL_SAFE_ALPHABET};
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::Deserialize;

use super::Payload;
use crate::json::{self, MemoryLimit};
use crate::key::Signature;

/// The media type of an envelope.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";

/// The largest envelope that is read, also in a bundle: that of a payload of 64 MiB in base64, and room around it.
pub(crate) const MAX_BYTES: u64 = 90 * 1024 * 1024;

/// An envelope with more signatures than this is rejected as hostile.
const MAX_SIGNATURES: usize = 64;

/// What the values of an envelope may take in memory beside its texts, which together are no longer than the envelope: it has a
/// few hundred values.
const VALUES_BYTES: usize = 1024 * 1024;

/// An envelope as it was read; nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is: `application/vnd.in-toto+json` for statements.
    pub payload_type: String,
    /// The bytes of the payload, decoded.
    pub payload: Bytes,
    /// The signatures in the order of the envelope.
    pub signatures: Vec<KeyedSignature>,
}

/// A signature in an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedSignature {
    /// What the signer says of its key: a hint, no proof. Empty where it says nothing.
    pub key_id: String,
    /// The signature over the PAE, decoded.
    pub signature: Vec<u8>,
}

/// Why bytes are not a DSSE envelope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DsseError {
    /// They are not JSON of that shape.
    #[error("it is not a DSSE envelope")]
    Json(#[source] serde_json::Error),
    /// A field isn't base64.
    #[error("the field {0} of the DSSE envelope is not base64")]
    Base64(&'static str),
    /// It has no signature, or too many to be meant well.
    #[error("the DSSE envelope has {0} signatures; from 1 to {MAX_SIGNATURES} are read")]
    Signatures(usize),
}

/// The envelope of `payload` with one signature, exactly as Chains writes it; `key_id` is the key's
/// [fingerprint](crate::key::PublicKey::key_id).
///
/// Nothing in it needs escaping in JSON: the type is known, the rest is base64.
pub fn envelope(payload: &Payload, signature: &Signature, key_id: &str) -> Bytes {
    let head = [r#"{"payloadType":""#, payload.media_type, r#"","payload":""#].concat();
    let sig = signature.base64();
    let tail = [r#"","signatures":[{"keyid":""#, key_id, r#"","sig":""#, &sig, r#""}]}"#].concat();
    let length = head.len() + payload.bytes.len().div_ceil(3) * 4 + tail.len();
    // One allocation of the right size: a payload may have 64 MiB.
    let mut text = String::with_capacity(length);
    text.push_str(&head);
    STANDARD.encode_string(&payload.bytes, &mut text);
    text.push_str(&tail);
    Bytes::from(text)
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "payloadType", borrow)]
    payload_type: Cow<'a, str>,
    #[serde(borrow)]
    payload: Cow<'a, str>,
    #[serde(borrow)]
    signatures: Vec<Sig<'a>>,
}

#[derive(Deserialize)]
struct Sig<'a> {
    #[serde(default, borrow)]
    keyid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sig: Cow<'a, str>,
}

/// Reads an envelope. Fields that the specification doesn't know are ignored; a key that appears twice is refused, wherever it is.
///
/// # Errors
///
/// If the bytes are not an envelope.
pub fn read(bytes: &[u8]) -> Result<Envelope, DsseError> {
    let limit = MemoryLimit::memory(bytes.len().saturating_add(VALUES_BYTES));
    let document: Document<'_> = json::typed(bytes, limit).map_err(DsseError::Json)?;
    let count = document.signatures.len();
    if !(1..=MAX_SIGNATURES).contains(&count) {
        return Err(DsseError::Signatures(count));
    }
    let payload = decode(&document.payload).ok_or(DsseError::Base64("payload"))?;
    let signatures = document.signatures.into_iter().map(|one| {
        Ok(KeyedSignature {
            key_id: one.keyid.unwrap_or_default().into_owned(),
            signature: decode(&one.sig).ok_or(DsseError::Base64("sig"))?,
        })
    });
    Ok(Envelope {
        payload_type: document.payload_type.into_owned(),
        payload: payload.into(),
        signatures: signatures.collect::<Result<_, _>>()?,
    })
}

/// Base64 in either alphabet, as the specification allows.
fn decode(text: &str) -> Option<Vec<u8>> {
    let url_safe = text.as_bytes().contains(&b'-') || text.as_bytes().contains(&b'_');
    let engine = |alphabet: &Alphabet| {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        GeneralPurpose::new(alphabet, config)
    };
    engine(if url_safe { &URL_SAFE_ALPHABET } else { &STANDARD_ALPHABET }).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::cosign_statement::PAYLOAD_TYPE;

    fn payload(text: &'static str) -> Payload {
        Payload {
            bytes: Bytes::from_static(text.as_bytes()),
            media_type: PAYLOAD_TYPE,
            envelope: crate::formats::Envelope::Dsse,
        }
    }

    #[test]
    fn the_bytes_are_those_of_chains() {
        let made = envelope(&payload(r#"{"_type":1}"#), &Signature(vec![1, 2, 3]), "SHA256:abc/+");
        let want = r#"{"payloadType":"application/vnd.in-toto+json","payload":"eyJfdHlwZSI6MX0=","signatures":[{"keyid":"SHA256:abc/+","sig":"AQID"}]}"#;
        assert_eq!(made, want.as_bytes());
        assert_eq!(made.len(), made.try_into_mut().unwrap().capacity());
    }

    #[test]
    fn what_is_written_is_read() {
        for text in ["", "{}", r#"{"a":"b"}"#, "four"] {
            let read = read(&envelope(&payload(text), &Signature(vec![7]), "SHA256:x")).unwrap();
            assert_eq!(read.payload_type, PAYLOAD_TYPE);
            assert_eq!(read.payload, text.as_bytes());
            let signature = KeyedSignature { key_id: "SHA256:x".into(), signature: vec![7] };
            assert_eq!(read.signatures, [signature]);
        }
    }

    #[test]
    fn either_alphabet_is_read_and_a_key_id_may_lack() {
        let text = r#"{"payload":"-_-_","payloadType":"x/y","extra":1,"signatures":[{"sig":"AQI"},{"keyid":null,"sig":"AQI="}]}"#;
        let read = read(text.as_bytes()).unwrap();
        assert_eq!(read.payload, [0xfb, 0xff, 0xbf].as_slice());
        assert!(read.signatures.iter().all(|one| one.key_id.is_empty() && one.signature == [1, 2]));
    }

    #[test]
    fn many_values_end_the_reading() {
        let list = |item: &str| vec![item; 100_000].join(",");
        for (fields, item) in [("", r#"{"sig":""}"#), ("", "{}"), (r#""extra":[[[["#, "[]")] {
            let (open, close) = if fields.is_empty() { (r#""signatures":["#, "]") } else { (fields, "]]]]") };
            let text = format!(r#"{{"payload":"","payloadType":"",{open}{}{close}}}"#, list(item));
            let error = read(text.as_bytes()).unwrap_err();
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(cause.contains("takes more than"), "{item}: {error}: {cause}");
        }
        let large = envelope(
            &payload(Box::leak("x".repeat(16 * 1024 * 1024).into_boxed_str())),
            &Signature(vec![7]),
            "SHA256:x",
        );
        assert_eq!(read(&large).unwrap().payload.len(), 16 * 1024 * 1024);
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        let many = format!(
            r#"{{"payload":"","payloadType":"","signatures":[{}{{"sig":""}}]}}"#,
            r#"{"sig":""},"#.repeat(64)
        );
        for (text, want) in [
            ("", "not a DSSE envelope"),
            ("[]", "not a DSSE envelope"),
            (r#"{"payload":"","payload":"","payloadType":"","signatures":[]}"#, "not a DSSE envelope"),
            (r#"{"payload":"","payloadType":"","signatures":[]}"#, "has 0 signatures"),
            (r#"{"payload":"?","payloadType":"","signatures":[{"sig":""}]}"#, "payload"),
            (r#"{"payload":"","payloadType":"","signatures":[{"sig":"A"}]}"#, "sig"),
            (&many, "has 65 signatures"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
