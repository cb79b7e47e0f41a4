//! Text that somebody else wrote, made fit to be shown.
//!
//! Results, registry answers and file names reach the step log; none of them may move the cursor, forge
//! a line of ours, hide text by changing its direction, or fill the log.
//!
//! Two things see to that. A field that keeps such text has the type [`Text`], which can only be printed escaped. And whatever prints
//! for people passes each line through [`line()`], so that a `String` that nobody thought of can't forge one either.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::mask::Mask;
use crate::{blank, redact};

/// How much of a [`Text`] is shown where nothing else is asked for, in bytes.
const SHOWN_BYTES: usize = 512;

/// How much of a [`Text`] is kept where secrets are hidden in it, in bytes: several times what is shown.
const MASKED_BYTES: usize = 4096;

/// How much of a text is searched for secrets beyond what is shown of it, in bytes: a secret that begins in what is shown may end there.
const SEARCHED_BYTES: usize = 8 * 1024;

/// How much is shown of the content of a file that was given in place of its name, in bytes.
const CONTENT_BYTES: usize = 40;

/// The longest line that is printed for people, in bytes.
const LINE_BYTES: usize = 16 * 1024;

/// Text from outside: kept as it came, shown escaped and cut.
///
/// It is no `str` and doesn't become one by itself: [`raw`](Self::raw) says that it is asked for. `{}` shows 512 bytes of it, `{:.80}` shows 80, and
/// `{:?}` puts it in quotes. As JSON it is what it is, because JSON escapes it.
///
/// ```
/// use stepseal::foreign::Text;
/// let name = Text::from("a\nsigned   b\u{1b}[2J");
/// assert_eq!(name.to_string(), "a\\nsigned   b\\u{1b}[2J");
/// assert_eq!(format!("{name:.3}"), "a\\n…");
/// assert_eq!(format!("{name:.1?}"), "\"a…\"");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The text without the secrets that `mask` hides, and no longer than is ever shown.
    pub(crate) fn hide(&mut self, mask: &Mask) {
        if self.0.len() > MASKED_BYTES {
            self.0.truncate(self.0.floor_char_boundary(MASKED_BYTES));
            self.0.push('…');
        }
        mask.hide(&mut self.0);
    }

    /// The text as it came. Not for people: whoever prints it prints whatever its writer wanted.
    pub(crate) fn raw(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&Path> for Text {
    fn from(path: &Path) -> Self {
        Self(path.to_string_lossy().into_owned())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0, f.precision().unwrap_or(SHOWN_BYTES)))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", shown(&self.0, f.precision().unwrap_or(SHOWN_BYTES)))
    }
}

/// `text` as one line that can be printed: everything that [`shown`] escapes is escaped, and it is cut at 16 KiB.
///
/// What is escaped already stays as it is.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE_BYTES && !text.chars().any(deceives) {
        return redact::text(text);
    }
    Cow::Owned(shown(text, LINE_BYTES))
}

/// JSON `text` that may be printed on a terminal: what deceives stands in it as `\uXXXX`, which says the same.
///
/// Line breaks and tabs stay: within a string, JSON has none.
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

/// `text` with control, invisible and direction-changing characters escaped and secrets hidden ([`redact`]), cut to `limit` bytes.
///
/// A cut is marked with `…`, which comes on top of `limit`.
///
/// ```
/// assert_eq!(stepseal::foreign::shown("a\nb", 80), "a\\nb");
/// assert_eq!(stepseal::foreign::shown("abcdef", 3), "abc…");
/// ```
pub fn shown(text: &str, limit: usize) -> String {
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

/// The value of an argument as [`shown`] text. Of one with several lines, or in PEM, which is what a file holds rather than its name, the beginning
/// alone is shown.
pub(crate) fn shown_value(text: &str, limit: usize) -> String {
    let is_content = text.contains('\n') || text.contains("-----BEGIN ");
    shown(text, if is_content { limit.min(CONTENT_BYTES) } else { limit })
}

/// Bytes as [`shown`] text; what isn't UTF-8 becomes U+FFFD.
pub(crate) fn shown_bytes(bytes: &[u8], limit: usize) -> String {
    // What is searched, and a character that is cut.
    let most = limit.saturating_add(SEARCHED_BYTES + 4);
    let head = bytes.get(..bytes.len().min(most)).unwrap_or(bytes);
    let text = shown(&String::from_utf8_lossy(head), limit);
    if head.len() < bytes.len() && !text.ends_with('…') { text + "…" } else { text }
}

/// Whether a character does something other than show a glyph: C0 and C1 controls, zero-width and
/// bidirectional formatting (Unicode TR9, TR36), line separators, fillers, tags, variation selectors of ideographs.
fn deceives(c: char) -> bool {
    // A blank shows as one, and what chooses the form of an emoji is a part of many a text.
    let shows = c.is_whitespace() || matches!(c, '\u{fe00}'..='\u{fe0f}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || (blank::is_invisible_char(c) && !shows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_is_more_than_one_line_and_none_is_escaped_twice(text in any::<String>()) {
            for shown in [line(&text).into_owned(), Text::from(&*text).to_string(), format!("{:.20?}", Text::from(&*text))] {
                prop_assert!(!shown.chars().any(deceives), "{shown:?}");
            }
            let once = line(&text);
            prop_assert_eq!(line(&once), once.as_ref());
        }

        #[test]
        fn json_says_the_same_and_shows_nothing_that_deceives(text in any::<String>()) {
            let plain = serde_json::to_string_pretty(&[&text]).unwrap();
            let escaped = json(&plain);
            prop_assert!(!escaped.chars().any(|c| deceives(c) && c != '\n'), "{escaped:?}");
            prop_assert_eq!(serde_json::from_str::<[String; 1]>(&escaped).unwrap(), [text]);
        }
    }

    #[test]
    fn a_long_line_is_cut() {
        assert!(line(&"a".repeat(100_000)).len() < LINE_BYTES + 4);
        assert_eq!(json("\"\u{202e}\u{e0001}\""), "\"\\u202e\\udb40\\udc01\"");
    }

    #[test]
    fn escapes_what_would_move_the_cursor_or_turn_the_text() {
        assert_eq!(shown("\u{1b}[2Jx\u{202e}y\u{9b}", 80), "\\u{1b}[2Jx\\u{202e}y\\u{9b}");
    }

    #[test]
    fn the_content_of_a_file_is_not_shown_whole() {
        let pem =
            "-----BEGIN CERTIFICATE-----\nMIICiTCCAi+gAwIBAgIUeAyfKJO+S2KuEYF36WilSAU1HecwCgYIKoZIzj0E\n";
        for text in
            [pem.to_owned(), pem.replace('\n', " "), pem.replace('\n', "\\n"), format!("--certificate={pem}")]
        {
            let shown = shown_value(&text, 512);
            assert!(
                shown.contains("-----BEGIN") && shown.ends_with('…') && shown.len() <= CONTENT_BYTES + 3,
                "{shown}"
            );
        }
        assert_eq!(shown_value("/long/name/of/a/file/that/has/more/than/forty/bytes", 512).len(), 51);
    }

    #[test]
    fn what_cannot_be_seen_is_escaped_and_what_shows_stays() {
        assert_eq!(shown("a\u{1bca0}b\u{2800}c\u{200b}", 80), "a\\u{1bca0}b\\u{2800}c\\u{200b}");
        let text = "é 日本語 ❤\u{fe0f} a\u{a0}b\u{3000}c";
        assert_eq!(shown(text, 80), text);
    }

    #[test]
    fn cuts_between_characters_and_says_so() {
        assert_eq!(shown("ééé", 3), "é…");
        assert_eq!(shown("abc", 3), "abc");
        assert_eq!(shown_bytes(&[b'a'; 100], 3), "aaa…");
        assert_eq!(shown_bytes(b"\xff\xfe", 80), "\u{fffd}\u{fffd}");
    }
}
