//! What a registry says when it does not do what it was asked: its codes and messages, or, where it
//! doesn't speak the specification's language, what can be told of its answer.
//!
//! Everything here was written by somebody else: it is kept as [`Text`], and shown cut and escaped.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use oci_client::errors::{OciEnvelope, OciErrorCode};
use serde_json::Value;

use crate::foreign::Text;

/// How much of an error answer is read. Error pages are smaller; what is more is not worth waiting for.
pub(super) const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

const MAX_ERRORS: usize = 4;
const MAX_CODE_BYTES: usize = 64;
const MAX_MESSAGE_BYTES: usize = 300;

/// A refusing answer: its status and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// What the body says.
    pub said: Said,
    /// How long the registry wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// The body of a refusing answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// The specification's error list: codes and messages.
    Errors(Vec<(Text, Text)>),
    /// A web page: most often a proxy's, a login form, or a host that is no registry.
    Html {
        /// The page's title, if it has one.
        title: Option<Text>,
    },
    /// Other text.
    Text(Text),
    /// Nothing.
    Nothing,
}

impl Refusal {
    /// What its texts have in memory.
    pub(super) fn bytes(&self) -> usize {
        match &self.said {
            Said::Errors(errors) => {
                errors.iter().map(|(code, message)| code.raw().len() + message.raw().len()).sum()
            }
            Said::Html { title: Some(text) } | Said::Text(text) => text.raw().len(),
            Said::Html { title: None } | Said::Nothing => 0,
        }
    }

    /// Whether the list has an error with this code (`MANIFEST_UNKNOWN`).
    pub fn has_code(&self, code: &str) -> bool {
        self.codes().any(|have| have == code)
    }

    /// The codes of the specification's error list.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        let errors = match &self.said {
            Said::Errors(errors) => errors.as_slice(),
            _ => &[],
        };
        errors.iter().map(|(code, _)| code.raw())
    }
}

impl fmt::Display for Refusal {
    /// `403 DENIED: push access refused`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        let reason = self.status.canonical_reason().unwrap_or("(a status no specification knows)");
        match &self.said {
            Said::Errors(errors) => {
                for (at, (code, message)) in errors.iter().enumerate() {
                    f.write_str(if at == 0 { " " } else { "; " })?;
                    write!(f, "{code:.MAX_CODE_BYTES$}")?;
                    if !message.raw().is_empty() {
                        write!(f, ": {message:.MAX_MESSAGE_BYTES$}")?;
                    }
                }
                Ok(())
            }
            Said::Html { title: Some(title) } => {
                write!(f, " {reason}: it answered with an HTML page, {title:.MAX_MESSAGE_BYTES$?}")
            }
            Said::Html { title: None } => write!(f, " {reason}: it answered with an HTML page"),
            Said::Text(text) => write!(f, " {reason}: {text:.MAX_MESSAGE_BYTES$}"),
            Said::Nothing => write!(f, " {reason}"),
        }
    }
}

/// What the body of a refusing answer says.
pub fn read(content_type: Option<&str>, body: &[u8]) -> Said {
    if is_html(content_type, body) {
        return Said::Html { title: title(body) };
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Said::Nothing;
    }
    if let Some(errors) = envelope(body) {
        return Said::Errors(errors);
    }
    let value = serde_json::from_slice::<Value>(body).ok();
    match value.as_ref().and_then(other_json) {
        Some(text) => Said::Text(text),
        None if value.as_ref().is_some_and(gives_token) => Said::Nothing,
        None => {
            let text = String::from_utf8_lossy(body);
            Said::Text(text.trim().into())
        }
    }
}

/// Whether an answer is a web page.
pub(super) fn is_html(content_type: Option<&str>, body: &[u8]) -> bool {
    if content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html")) {
        return true;
    }
    // Some proxies send their page under the type that was asked for.
    let start = body.trim_ascii_start();
    ["<!doctype html", "<html"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes())))
}

/// The text between `<title>` and `</title>`.
pub(super) fn title(body: &[u8]) -> Option<Text> {
    let text = String::from_utf8_lossy(body);
    // Only ASCII changes its case, so the places found fit the text itself.
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower.get(start..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    let words: Vec<&str> = text.get(start..end)?.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" ").into())
}

/// The specification's error list. Registries that bend it (a code that is a number, a message that is
/// null) are read as far as they go.
fn envelope(body: &[u8]) -> Option<Vec<(Text, Text)>> {
    let errors: Vec<(String, String)> = match serde_json::from_slice::<OciEnvelope>(body) {
        Ok(envelope) => {
            let one = |error: oci_client::errors::OciError| (code_text(&error.code), error.message);
            envelope.errors.into_iter().map(one).collect()
        }
        Err(_) => {
            let value: Value = serde_json::from_slice(body).ok()?;
            let one = |error: &Value| {
                let text = |name: &str| match error.get(name) {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Null) | None => String::new(),
                    Some(other) => other.to_string(),
                };
                (text("code"), text("message"))
            };
            value.get("errors")?.as_array()?.iter().map(one).collect()
        }
    };
    let errors: Vec<_> = errors
        .into_iter()
        .filter(|(code, message)| !(code.is_empty() && message.is_empty()))
        .take(MAX_ERRORS)
        .map(|(code, message)| (code.into(), message.trim().into()))
        .collect();
    (!errors.is_empty()).then_some(errors)
}

/// The code as it is written: `MANIFEST_UNKNOWN`.
fn code_text(code: &OciErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

/// Whether it is a token service's answer with a token: nothing to show, whatever its status is.
fn gives_token(value: &Value) -> bool {
    ["token", "access_token", "refresh_token", "id_token"].iter().any(|name| value.get(name).is_some())
}

/// What other JSON says: OAuth2's `error`, and the names that token services and proxies use.
fn other_json(value: &Value) -> Option<Text> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let code = text("error").or_else(|| text("code"));
    let message = ["error_description", "message", "details", "detail"].into_iter().find_map(text);
    let whole = match (code, message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => return None,
    };
    Some(whole.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(status: u16, content_type: Option<&str>, body: &[u8]) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        Refusal { status, said: read(content_type, body), retry_after: None }.to_string()
    }

    #[test]
    fn the_registrys_own_code_and_message_are_kept() {
        let body = br#"{"errors":[{"code":"DENIED","message":"push access refused","detail":[1]}]}"#;
        assert_eq!(line(403, Some("application/json"), body), "403 DENIED: push access refused");
        // oci-client's own error prints only the message, and nothing at all of this one.
        let body = br#"{"errors":[{"code":"UNAUTHORIZED"},{"code":"ARTIFACT_LOCKED","message":"locked"}]}"#;
        assert_eq!(line(401, None, body), "401 UNAUTHORIZED; ARTIFACT_LOCKED: locked");
    }

    #[test]
    fn bent_lists_are_read_as_far_as_they_go() {
        assert_eq!(line(400, None, br#"{"errors":[{"code":7,"message":null}]}"#), "400 7");
        assert_eq!(line(400, None, br#"{"errors":[]}"#), "400 Bad Request: {\"errors\":[]}");
        let many = format!(r#"{{"errors":[{}]}}"#, vec![r#"{"code":"X"}"#; 50].join(","));
        assert_eq!(line(400, None, many.as_bytes()), "400 X; X; X; X");
    }

    #[test]
    fn pages_and_texts_are_told_in_a_line() {
        let page = b"<!DOCTYPE html><html><head><TITLE>\n Sign  in\x1b[31m</TITLE></head><body>long</body>";
        assert_eq!(
            line(404, Some("application/json"), page),
            "404 Not Found: it answered with an HTML page, \"Sign in\\u{1b}[31m\""
        );
        assert_eq!(
            line(502, Some("Text/HTML; charset=utf-8"), b""),
            "502 Bad Gateway: it answered with an HTML page"
        );
        assert_eq!(line(404, None, b"404 page not found\n"), "404 Not Found: 404 page not found");
        assert_eq!(line(503, None, b" \n"), "503 Service Unavailable");
        assert_eq!(line(500, None, b"\xff\xfe"), "500 Internal Server Error: \u{fffd}\u{fffd}");
        assert_eq!(line(599, None, b""), "599 (a status no specification knows)");
    }

    #[test]
    fn token_services_answer_in_their_own_ways() {
        for (body, want) in [
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, "invalid_grant: expired"),
            (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
            (r#"{"message":"no"}"#, "no"),
        ] {
            assert_eq!(line(401, None, body.as_bytes()), format!("401 Unauthorized: {want}"));
        }
        // A token in an answer that refuses is a token all the same.
        for body in [r#"{"token":"hunter2"}"#, r#"{"access_token":"hunter2","expires_in":60}"#] {
            assert_eq!(line(401, None, body.as_bytes()), "401 Unauthorized");
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        let body = format!(r#"{{"errors":[{{"code":"{0}","message":"{0}"}}]}}"#, "x".repeat(5000));
        assert!(line(400, None, body.as_bytes()).len() < 400);
        assert!(line(400, None, &vec![b'y'; 60_000]).len() < 400);
    }

    proptest! {
        #[test]
        fn any_body_is_one_short_line(body in proptest::collection::vec(any::<u8>(), 0..600)) {
            let line = line(500, None, &body);
            prop_assert!(!line.contains('\n') && line.len() < 2000);
        }
    }
}
