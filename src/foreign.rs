//! Untrusted text, escaped for printing.
//!
//! Results, registry responses and file names reach the step log. They must not move the cursor, forge
//! a line of Stepseal's, hide text by changing its direction, or fill the log.
//!
//! Two measures prevent that. A field with untrusted text has the type [`UntrustedText`], which only prints escaped. And all output for
//! people passes through [`line()`], so that an overlooked `String` can't forge a line either.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::mask::Mask;
use crate::{blank, redact};

/// How many bytes of a [`UntrustedText`] are shown by default.
const SHOWN_BYTES: usize = 512;

/// How many bytes of a [`UntrustedText`] are kept when secrets in it are hidden: several times what is shown.
const MASKED_BYTES: usize = 4096;

/// How many bytes beyond the shown part are searched for secrets: a secret may begin in the shown part and end there.
const SEARCHED_BYTES: usize = 8 * 1024;

/// How many bytes are shown of a file's content that was given in place of its name.
const CONTENT_BYTES: usize = 40;

/// The longest line that is printed for people, in bytes.
const LINE_BYTES: usize = 16 * 1024;

/// Text from outside: stored as received, printed escaped and truncated.
///
/// It doesn't convert to `str` implicitly; [`raw`](Self::raw) makes each use explicit. `{}` shows 512 bytes of it, `{:.80}` shows 80, and
/// `{:?}` adds quotes. JSON output contains the raw text, because JSON escapes it.
///
/// ```
/// use stepseal::foreign::UntrustedText;
/// let name = UntrustedText::from("a\nsigned   b\u{1b}[2J");
/// assert_eq!(name.to_string(), "a\\nsigned   b\\u{1b}[2J");
/// assert_eq!(format!("{name:.3}"), "a\\n…");
/// assert_eq!(format!("{name:.1?}"), "\"a…\"");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UntrustedText(String);

impl UntrustedText {
    /// Truncates the text and hides the secrets that `mask` knows.
    pub(crate) fn hide(&mut self, mask: &Mask) {
        if self.0.len() > MASKED_BYTES {
            self.0.truncate(self.0.floor_char_boundary(MASKED_BYTES));
            self.0.push('…');
        }
        mask.hide(&mut self.0);
    }

    /// The text as received. Never print it: it may contain control characters.
    pub(crate) fn raw(&self) -> &str {
        &self.0
    }
}

impl From<String> for UntrustedText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for UntrustedText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&Path> for UntrustedText {
    fn from(path: &Path) -> Self {
        Self(path.to_string_lossy().into_owned())
    }
}

impl PartialEq<str> for UntrustedText {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for UntrustedText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0, f.precision().unwrap_or(SHOWN_BYTES)))
    }
}

impl fmt::Debug for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", escape(&self.0, f.precision().unwrap_or(SHOWN_BYTES)))
    }
}

/// `text` as one printable line: escaped as by [`escape`], and truncated to 16 KiB.
///
/// Text that is already escaped doesn't change.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE_BYTES && !text.chars().any(deceives) {
        return redact::text(text);
    }
    Cow::Owned(escape(text, LINE_BYTES))
}

/// JSON `text` that is safe to print on a terminal: deceptive characters become `\uXXXX`, which JSON reads the same.
///
/// Line breaks and tabs stay: JSON strings can't contain them unescaped.
pub fn json(text: &str) -> Cow<'_, str> {
    let escaped = |c: char| deceives(c) && !matches!(c, '\n' | '\r' | '\t');
    if !text.chars().any(escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Escapes control, invisible and direction-changing characters in `text`, hides secrets ([`redact`]), and truncates it to `limit` bytes.
///
/// A truncated text ends with `…`, which doesn't count for `limit`.
///
/// ```
/// assert_eq!(stepseal::foreign::escape("a\nb", 80), "a\\nb");
/// assert_eq!(stepseal::foreign::escape("abcdef", 3), "abc…");
/// ```
pub fn escape(text: &str, limit: usize) -> String {
    let searched = text.get(..text.floor_char_boundary(limit.saturating_add(SEARCHED_BYTES))).unwrap_or(text);
    let mut out = String::with_capacity(text.len().min(limit) + 4);
    for c in redact::text(searched).chars() {
        let before = out.len();
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if deceives(c) => {
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
        if out.len() > limit {
            out.truncate(before);
            out.push('…');
            return out;
        }
    }
    if searched.len() < text.len() {
        out.push('…');
    }
    out
}

/// The value of an argument as [`escape`] text. A value with several lines, or in PEM, is a file's content rather than its name; only its
/// beginning is shown.
pub(crate) fn escape_value(text: &str, limit: usize) -> String {
    let is_content = text.contains('\n') || text.contains("-----BEGIN ");
    escape(text, if is_content { limit.min(CONTENT_BYTES) } else { limit })
}

/// Bytes as [`escape`] text; invalid UTF-8 becomes U+FFFD.
pub(crate) fn escape_bytes(bytes: &[u8], limit: usize) -> String {
    // The searched part, plus a character that the limit may split.
    let most = limit.saturating_add(SEARCHED_BYTES + 4);
    let head = bytes.get(..bytes.len().min(most)).unwrap_or(bytes);
    let text = escape(&String::from_utf8_lossy(head), limit);
    if head.len() < bytes.len() && !text.ends_with('…') { text + "…" } else { text }
}

/// Whether a character does something other than display a glyph: C0 and C1 controls, zero-width and
/// bidirectional formatting (Unicode TR9, TR36), line separators, fillers, tags, and ideographic variation selectors.
fn deceives(c: char) -> bool {
    // Blanks are visible, and emoji variation selectors are common in ordinary text.
    let shows = c.is_whitespace() || matches!(c, '\u{fe00}'..='\u{fe0f}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || (blank::is_invisible_char(c) && !shows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_becomes_one_line_and_is_escaped_only_once(text in any::<String>()) {
            for shown in [line(&text).into_owned(), UntrustedText::from(&*text).to_string(), format!("{:.20?}", UntrustedText::from(&*text))] {
                prop_assert!(!shown.chars().any(deceives), "{shown:?}");
            }
            let once = line(&text);
            prop_assert_eq!(line(&once), once.as_ref());
        }

        #[test]
        fn escaped_json_has_the_same_value_and_no_deceptive_characters(text in any::<String>()) {
            let plain = serde_json::to_string_pretty(&[&text]).unwrap();
            let escaped = json(&plain);
            prop_assert!(!escaped.chars().any(|c| deceives(c) && c != '\n'), "{escaped:?}");
            prop_assert_eq!(serde_json::from_str::<[String; 1]>(&escaped).unwrap(), [text]);
        }
    }

    #[test]
    fn a_long_line_is_truncated() {
        assert!(line(&"a".repeat(100_000)).len() < LINE_BYTES + 4);
        assert_eq!(json("\"\u{202e}\u{e0001}\""), "\"\\u202e\\udb40\\udc01\"");
    }

    #[test]
    fn characters_that_move_the_cursor_or_change_direction_are_escaped() {
        assert_eq!(escape("\u{1b}[2Jx\u{202e}y\u{9b}", 80), "\\u{1b}[2Jx\\u{202e}y\\u{9b}");
    }

    #[test]
    fn only_the_beginning_of_a_files_content_is_shown() {
        let pem =
            "-----BEGIN CERTIFICATE-----\nMIICiTCCAi+gAwIBAgIUeAyfKJO+S2KuEYF36WilSAU1HecwCgYIKoZIzj0E\n";
        for text in
            [pem.to_owned(), pem.replace('\n', " "), pem.replace('\n', "\\n"), format!("--certificate={pem}")]
        {
            let shown = escape_value(&text, 512);
            assert!(
                shown.contains("-----BEGIN") && shown.ends_with('…') && shown.len() <= CONTENT_BYTES + 3,
                "{shown}"
            );
        }
        assert_eq!(escape_value("/long/name/of/a/file/that/has/more/than/forty/bytes", 512).len(), 51);
    }

    #[test]
    fn invisible_characters_are_escaped_and_other_characters_stay() {
        assert_eq!(escape("a\u{1bca0}b\u{2800}c\u{200b}", 80), "a\\u{1bca0}b\\u{2800}c\\u{200b}");
        let text = "é 日本語 ❤\u{fe0f} a\u{a0}b\u{3000}c";
        assert_eq!(escape(text, 80), text);
    }

    #[test]
    fn truncation_respects_characters_and_adds_an_ellipsis() {
        assert_eq!(escape("ééé", 3), "é…");
        assert_eq!(escape("abc", 3), "abc");
        assert_eq!(escape_bytes(&[b'a'; 100], 3), "aaa…");
        assert_eq!(escape_bytes(b"\xff\xfe", 80), "\u{fffd}\u{fffd}");
    }
}
