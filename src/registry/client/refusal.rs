//! What a registry says when it does not do what it was asked: its codes and messages, or, where it
//! doesn't follow the specification, what can be derived from its answer.
//!
//! Everything here comes from outside: it is kept as [`UntrustedText`], and shown cut and escaped.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::detail;
use crate::foreign::UntrustedText;

/// How much of an error answer is read. Error pages are smaller; what is more is not worth waiting for.
pub(super) const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

const MAX_ERRORS: usize = 4;
const MAX_CODE_BYTES: usize = 64;
const MAX_MESSAGE_BYTES: usize = 300;
const MAX_DETAIL_BYTES: usize = 200;

/// How much of an answer is searched for what a server with TLS says to plain HTTP, in bytes: it is a line or a short page.
const MAX_SEARCHED_BYTES: usize = 4096;

/// A refusing answer: its status and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status of the answer.
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
    /// The specification's error list.
    Errors(Vec<ListedError>),
    /// A web page: most often a proxy's, a login form, or a host that isn't a registry.
    Html {
        /// The page's title, if it has one.
        title: Option<UntrustedText>,
    },
    /// Other text.
    Text(UntrustedText),
    /// Nothing.
    Nothing,
}

/// One error of the specification's list. Registries leave out any part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedError {
    /// The code, such as `MANIFEST_UNKNOWN`.
    pub code: UntrustedText,
    /// The message.
    pub message: UntrustedText,
    /// What the detail says that the message doesn't.
    pub detail: UntrustedText,
}

impl ListedError {
    fn texts(&self) -> [&UntrustedText; 3] {
        [&self.code, &self.message, &self.detail]
    }
}

impl Refusal {
    /// What its texts have in memory.
    pub(super) fn bytes(&self) -> usize {
        match &self.said {
            Said::Errors(errors) => {
                errors.iter().flat_map(ListedError::texts).map(|text| text.raw().len()).sum()
            }
            Said::Html { title: Some(text) } | Said::Text(text) => text.raw().len(),
            Said::Html { title: None } | Said::Nothing => 0,
        }
    }

    /// Whether the list has an error with this code (`MANIFEST_UNKNOWN`).
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.codes().any(|have| have == code)
    }

    /// The codes of the specification's error list; none of an error that has only a message, or its status for a code.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &str> {
        let errors = match &self.said {
            Said::Errors(errors) => errors.as_slice(),
            _ => &[],
        };
        let status = self.status;
        errors
            .iter()
            .map(|error| error.code.raw())
            .filter(move |code| !code.is_empty() && *code != status.as_str())
    }

    /// All its words in lower case, to look for what products say.
    pub(super) fn words(&self) -> String {
        let texts: Vec<&str> = match &self.said {
            Said::Errors(errors) => {
                errors.iter().flat_map(ListedError::texts).map(UntrustedText::raw).collect()
            }
            Said::Html { title: Some(text) } | Said::Text(text) => vec![text.raw()],
            Said::Html { title: None } | Said::Nothing => Vec::new(),
        };
        texts.join("\n").to_ascii_lowercase()
    }

    /// What is shown of one listed error; `None`: nothing that the status doesn't say.
    fn listed(&self, error: &ListedError) -> Option<String> {
        let code = error.code.raw();
        let code = (!code.is_empty() && code != self.status.as_str())
            .then(|| format!("{:.MAX_CODE_BYTES$}", error.code));
        let message = (!error.message.raw().is_empty()
            && (code.is_some() || !self.is_reason(&error.message)))
        .then(|| format!("{:.MAX_MESSAGE_BYTES$}", error.message));
        let detail = (!error.detail.raw().is_empty()).then(|| format!("{:.MAX_DETAIL_BYTES$}", error.detail));
        let said = match (message, detail) {
            (Some(message), Some(detail)) => Some(format!("{message} ({detail})")),
            (message, detail) => message.or(detail),
        };
        match (code, said) {
            (Some(code), Some(said)) => Some(format!("{code}: {said}")),
            (code, said) => code.or(said),
        }
    }

    /// Whether a text only says what the status is: `Not Found`, `404 Not Found`.
    fn is_reason(&self, text: &UntrustedText) -> bool {
        let text =
            text.raw().trim_start_matches(self.status.as_str()).trim_matches(|c: char| !c.is_alphanumeric());
        self.status.canonical_reason().is_some_and(|reason| text.eq_ignore_ascii_case(reason))
    }
}

impl fmt::Display for Refusal {
    /// `403 DENIED: push access refused`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        let reason = self.status.canonical_reason().unwrap_or("(a status no specification knows)");
        match &self.said {
            Said::Errors(errors) => {
                let listed: Vec<String> = errors.iter().filter_map(|error| self.listed(error)).collect();
                // Without a code, a number alone says little.
                match errors.iter().find(|error| self.listed(error).is_some()) {
                    Some(first)
                        if !first.code.raw().is_empty() && first.code.raw() != self.status.as_str() =>
                    {
                        write!(f, " {}", listed.join("; "))
                    }
                    Some(_) => write!(f, " {reason}: {}", listed.join("; ")),
                    None => write!(f, " {reason}"),
                }
            }
            Said::Html { title: Some(title) } => {
                write!(f, " {reason}: it answered with an HTML page, {title:.MAX_MESSAGE_BYTES$?}")
            }
            Said::Html { title: None } => write!(f, " {reason}: it answered with an HTML page"),
            Said::Text(text) if self.is_reason(text) => write!(f, " {reason}"),
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
    let value = serde_json::from_slice::<Value>(body).ok();
    if let Some(errors) = value.as_ref().and_then(listed) {
        return Said::Errors(errors);
    }
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
pub(super) fn title(body: &[u8]) -> Option<UntrustedText> {
    let text = String::from_utf8_lossy(body);
    // Only ASCII changes its case, so the places found fit the text itself.
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower.get(start..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    let words: Vec<&str> = text.get(start..end)?.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" ").into())
}

/// Whether it is what a server that expects TLS says to plain HTTP: Go's, nginx, Apache, Tomcat, and what is made of them.
pub(super) fn wants_https(body: &[u8]) -> bool {
    const WORDS: [&str; 4] = [
        "http request to an https server",
        "http request was sent to https port",
        "speaking plain http to an ssl-enabled server",
        "combination of host and port requires tls",
    ];
    let head = body.get(..body.len().min(MAX_SEARCHED_BYTES)).unwrap_or(body);
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    WORDS.iter().any(|words| text.contains(words))
}

/// The specification's error list. Registries that bend it (a code that is a number, a message that is null, a status in the code's
/// place, one error without a list around it) are read as far as they go.
fn listed(value: &Value) -> Option<Vec<ListedError>> {
    let errors = match value.get("errors")? {
        Value::Array(errors) => errors.as_slice(),
        one @ (Value::Object(_) | Value::String(_)) => std::slice::from_ref(one),
        _ => return None,
    };
    let errors: Vec<_> = errors.iter().filter_map(listed_error).take(MAX_ERRORS).collect();
    (!errors.is_empty()).then_some(errors)
}

fn listed_error(error: &Value) -> Option<ListedError> {
    let text = |name: &str| match error.get(name) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let (mut code, message) = match error {
        Value::String(message) => (String::new(), message.trim().to_owned()),
        _ => (text("code"), text("message")),
    };
    if code.is_empty() {
        code = text("status");
    }
    let detail = error.get("detail").map(|detail| detail::read(detail, &message)).unwrap_or_default();
    let is_empty = code.is_empty() && message.is_empty() && detail.is_empty();
    (!is_empty).then(|| ListedError { code: code.into(), message: message.into(), detail: detail.into() })
}

/// Whether it is a token service's answer with a token: nothing to show, whatever its status is.
fn gives_token(value: &Value) -> bool {
    ["token", "access_token", "refresh_token", "id_token"].iter().any(|name| value.get(name).is_some())
}

/// What other JSON says: OAuth2's `error`, the names that token services and proxies use, RFC 9457's `title` and `detail`, and an object
/// as `error`, as Google's services have it.
fn other_json(value: &Value) -> Option<UntrustedText> {
    if let Some(inner @ Value::Object(_)) = value.get("error") {
        return other_json(inner);
    }
    let text =
        |name: &str| value.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let code = ["error", "code", "status", "title"].into_iter().find_map(text);
    let message = ["error_description", "message", "details", "detail"].into_iter().find_map(text);
    let whole = match (code, message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => return None,
    };
    Some(whole.into())
}

#[cfg(test)]
mod tests;
