//! What `download` prints of a signature or an attestation: one JSON object a line, as cosign 3.1.2 prints it.
//!
//! A layer is written anew from what was read of it. A bundle is checked, and keeps its own words: only the blanks between them go.
//!
//! Code: <https://github.com/sigstore/cosign/blob/v3.1.2/pkg/cosign/fetch.go>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::certificate::{self, Certificate};
use crate::formats::{cosign_statement, dsse, statement};
use crate::found::{LayerAnnotations, SignatureContent};
use crate::verify::bundle::{Bundle, Content as Signed};

/// Which of what lies beside an image is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Signatures of the image.
    Signatures,
    /// Attestations: all, or those of this predicate type.
    Attestations(Option<String>),
}

/// A signature of an image, as cosign prints it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Signature {
    base64_signature: String,
    /// The payload, encoded in base64.
    payload: String,
    cert: Option<Certificate>,
    chain: Option<Vec<Certificate>>,
    bundle: Option<LogEntry>,
    #[serde(rename = "RFC3161Timestamp")]
    rfc3161_timestamp: Option<Timestamp>,
}

/// What an annotation says of an entry in a transparency log.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogEntry {
    signed_entry_timestamp: String,
    payload: LogPayload,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: Value,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize, Serialize)]
struct Timestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    token: String,
}

/// An envelope, as cosign prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    /// The payload, encoded in base64.
    payload: String,
    signatures: Vec<Keyed>,
}

#[derive(Serialize)]
struct Keyed {
    keyid: String,
    sig: String,
}

impl Wanted {
    /// Whether a predicate type is asked for.
    fn takes(&self, predicate_type: Option<&str>) -> bool {
        match self {
            Self::Signatures => predicate_type.is_none_or(cosign_statement::is_signature),
            Self::Attestations(Some(wanted)) => predicate_type == Some(wanted),
            Self::Attestations(None) => {
                predicate_type.is_some_and(|kind| !cosign_statement::is_signature(kind))
            }
        }
    }

    /// The line for `content`; `None`: it is something else than is asked for.
    ///
    /// # Errors
    ///
    /// Why it can't be read for what it should be.
    pub(super) fn line(&self, content: &SignatureContent) -> Result<Option<String>, String> {
        match content {
            SignatureContent::Simple { payload, signature, attached } => {
                Ok(Some(simple(payload, signature, attached)?).filter(|_| *self == Self::Signatures))
            }
            SignatureContent::Envelope(bytes, _) => {
                let envelope = dsse::read(bytes).map_err(|error| error.to_string())?;
                if self.takes(predicate_type(&envelope.payload).as_deref()) {
                    write(&printed(envelope))
                } else {
                    Ok(None)
                }
            }
            SignatureContent::Bundle(bytes) => {
                let bundle = Bundle::parse(bytes).map_err(|error| error.to_string())?;
                let kind = match &bundle.content {
                    Signed::Message { .. } => None,
                    Signed::Dsse(envelope) => Some(predicate_type(envelope.payload()).unwrap_or_default()),
                };
                if !self.takes(kind.as_deref()) {
                    return Ok(None);
                }
                let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
                Ok(Some(compact(text)))
            }
        }
    }
}

/// The predicate type of a statement; `None`: it is not a statement.
fn predicate_type(payload: &[u8]) -> Option<String> {
    statement::head(payload).map(|head| head.predicate_type)
}

fn write(value: &impl Serialize) -> Result<Option<String>, String> {
    serde_json::to_string(value).map(Some).map_err(|error| error.to_string())
}

fn printed(envelope: dsse::Envelope) -> Envelope {
    let keyed = |one: dsse::KeyedSignature| Keyed { keyid: one.key_id, sig: STANDARD.encode(one.signature) };
    Envelope {
        payload_type: envelope.payload_type,
        payload: STANDARD.encode(&envelope.payload),
        signatures: envelope.signatures.into_iter().map(keyed).collect(),
    }
}

fn simple(payload: &[u8], signature: &[u8], attached: &LayerAnnotations) -> Result<String, String> {
    let not = |what: &str| format!("its {what} can't be read");
    let certificates = |pem: &Option<String>, what| match pem {
        Some(pem) => certificate::read(pem).ok_or_else(|| not(what)).map(Some),
        None => Ok(None),
    };
    let cert = certificates(&attached.certificate, "certificate")?;
    let signature = Signature {
        base64_signature: STANDARD.encode(signature),
        payload: STANDARD.encode(payload),
        cert: cert.and_then(|all| all.into_iter().next()),
        chain: certificates(&attached.chain, "certificate chain")?,
        bundle: annotated(attached.log.as_deref()).map_err(|_| not("log entry"))?,
        rfc3161_timestamp: annotated(attached.timestamp.as_deref()).map_err(|_| not("timestamp"))?,
    };
    write(&signature).map(Option::unwrap_or_default)
}

/// What an annotation holds.
fn annotated<T: for<'a> Deserialize<'a>>(text: Option<&str>) -> Result<Option<T>, serde_json::Error> {
    text.map(serde_json::from_str).transpose()
}

/// JSON without the blanks between its parts, so that it is one line. `json` is known to be JSON.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keeps = |c: &char| {
        if in_string {
            (in_string, escaped) = (escaped || *c != '"', !escaped && *c == '\\');
            return true;
        }
        in_string = *c == '"';
        !matches!(c, ' ' | '\t' | '\n' | '\r')
    };
    json.chars().filter(keeps).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn compact_json_says_the_same_on_one_line(text in any::<String>(), number in any::<i64>()) {
            let value = serde_json::json!({ "a": [text, {}, { &text: number, " \" ": null }], "\\": "\\\"" });
            let printed = compact(&serde_json::to_string_pretty(&value).unwrap());
            prop_assert_eq!(&printed, &value.to_string());
        }
    }

    /// What cosign 3.1.2 printed for the annotations beside a certificate.
    #[test]
    fn what_is_annotated_is_printed_as_cosign_does() {
        let attached = LayerAnnotations {
            log: Some(r#"{"SignedEntryTimestamp":"AQID","Payload":{"body":"Ym9keQ==","integratedTime":12,"logIndex":3,"logID":"ab"}}"#.into()),
            timestamp: Some(r#"{"SignedRFC3161Timestamp":"eA=="}"#.into()),
            ..LayerAnnotations::default()
        };
        let line = simple(b"payload", &[0x30, 0x45, 2, 0x21], &attached).unwrap();
        let want = r#"{"Base64Signature":"MEUCIQ==","Payload":"cGF5bG9hZA==","Cert":null,"Chain":null,"Bundle":{"SignedEntryTimestamp":"AQID","Payload":{"body":"Ym9keQ==","integratedTime":12,"logIndex":3,"logID":"ab"}},"RFC3161Timestamp":{"SignedRFC3161Timestamp":"eA=="}}"#;
        assert_eq!(line, want);
        for (broken, what) in [
            (LayerAnnotations { log: Some("{}".into()), ..LayerAnnotations::default() }, "log entry"),
            (LayerAnnotations { timestamp: Some("x".into()), ..LayerAnnotations::default() }, "timestamp"),
            (
                LayerAnnotations { certificate: Some("x".into()), ..LayerAnnotations::default() },
                "certificate",
            ),
            (
                LayerAnnotations { chain: Some("x".into()), ..LayerAnnotations::default() },
                "certificate chain",
            ),
        ] {
            assert_eq!(simple(b"", b"", &broken).unwrap_err(), format!("its {what} can't be read"));
        }
    }

    #[test]
    fn a_predicate_type_chooses() {
        let (sign, other) = ("https://sigstore.dev/cosign/sign/v1", "https://x.example/t");
        for (wanted, takes) in [
            (Wanted::Signatures, [true, true, false]),
            (Wanted::Attestations(None), [false, false, true]),
            (Wanted::Attestations(Some(other.into())), [false, false, true]),
            (Wanted::Attestations(Some(sign.into())), [false, true, false]),
        ] {
            assert_eq!([None, Some(sign), Some(other)].map(|kind| wanted.takes(kind)), takes, "{wanted:?}");
        }
    }
}
