//! Redacts secrets that are recognizable by their form: private keys, logins in URLs, and registry credentials.
//!
//! [`Mask`](crate::mask::Mask) hides known secrets. This module hides secrets in the wrong place, such as a key given as the name
//! of its file. [`text`] looks for
//!
//! - a private key's PEM block, complete or truncated, on any number of lines, with plain or escaped line breaks;
//! - base64 (both alphabets, once or twice) of such a block, of a private key's DER (PKCS#8, SEC1, PKCS#1), of the content of cosign's encrypted keys, or
//!   of a dockerconfigjson;
//! - the login in `scheme://user:password@host`;
//! - the members of a dockerconfigjson that contain logins.
//!
//! It doesn't find passwords or tokens that look like ordinary words, or user names without a password. It takes time linear in the text's length.

use std::borrow::Cow;
use std::ops::Range;

use crate::mask::HIDDEN;

mod encoded;
mod logins;
mod pem;

/// Replaces each recognizable secret in `text` with [`HIDDEN`]. JSON stays valid: no redaction crosses the end of a string.
///
/// ```
/// use stepseal::redact;
/// assert_eq!(redact::text("GET https://ci:pass@registry.example/v2/"), "GET https://[hidden]@registry.example/v2/");
/// assert_eq!(redact::text("registry.example:5000/app:1@sha256:00"), "registry.example:5000/app:1@sha256:00");
/// ```
pub fn text(text: &str) -> Cow<'_, str> {
    let mut found = Vec::new();
    pem::find(text, &mut found);
    encoded::find(text.as_bytes(), &mut found);
    logins::in_addresses(text, &mut found);
    logins::in_members(text, &mut found);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
    for range in found {
        if range.start >= copied {
            out.push_str(text.get(copied..range.start).unwrap_or_default());
            out.push_str(HIDDEN);
        }
        copied = copied.max(range.end);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether `text` contains a private key, as PEM or in base64.
pub(crate) fn holds_private_key(text: &str) -> bool {
    let mut found = Vec::new();
    pem::find(text, &mut found);
    encoded::find(text.as_bytes(), &mut found);
    !found.is_empty()
}

/// The part of `bytes` from `at` to the end.
fn from(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// Whether a byte belongs to either base64 alphabet, without padding.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The end of the line breaks and blanks at `at`, plain or escaped: `\n`, `\\n`, `\u000a`, `\u{a}`, `%0A`, `%250A`.
fn after_blanks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(length) = blank_length(from(bytes, at)) {
        at += length;
    }
    at
}

fn blank_length(bytes: &[u8]) -> Option<usize> {
    const ESCAPES: [&[u8]; 9] = [b"n", b"r", b"t", b"u000a", b"u000d", b"u000A", b"u000D", b"u{a}", b"u{d}"];
    const PERCENT: [&[u8]; 6] = [b"0A", b"0D", b"0a", b"0d", b"20", b"09"];
    let rest_after = |mark: u8| {
        let rest = from(bytes, bytes.iter().take(8).take_while(|byte| **byte == mark).count());
        Some(rest).filter(|rest| rest.len() < bytes.len())
    };
    let end = |rest: &[u8], names: &[&[u8]]| {
        let name = names.iter().find(|name| rest.starts_with(name))?;
        Some(bytes.len() - rest.len() + name.len())
    };
    match bytes.first()? {
        byte if byte.is_ascii_whitespace() => Some(1),
        b'\\' => end(rest_after(b'\\')?, &ESCAPES),
        b'%' => {
            let rest = from(bytes, 1);
            end(rest.strip_prefix(b"25").unwrap_or(rest), &PERCENT)
        }
        _ => None,
    }
}

/// The byte ranges of a text to hide.
type ByteRanges = Vec<Range<usize>>;

#[cfg(test)]
mod tests;
