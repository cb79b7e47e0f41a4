//! Text that somebody else wrote, made fit to be shown.
//!
//! Results, registry answers and file names reach the step log; none of them may move the cursor, forge
//! a line of ours, hide text by changing its direction, or fill the log.

use std::fmt::Write as _;

/// `text` with control, invisible and direction-changing characters escaped, cut to `limit` bytes.
///
/// A cut is marked with `…`, which comes on top of `limit`.
///
/// ```
/// assert_eq!(stepseal::foreign::shown("a\nb", 80), "a\\nb");
/// assert_eq!(stepseal::foreign::shown("abcdef", 3), "abc…");
/// ```
pub fn shown(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit) + 4);
    for c in text.chars() {
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
            break;
        }
    }
    out
}

/// Bytes as [`shown`] text; what isn't UTF-8 becomes U+FFFD.
pub fn shown_bytes(bytes: &[u8], limit: usize) -> String {
    // A character has at most four bytes, and the escape only makes text longer.
    let head = bytes.get(..bytes.len().min(limit.saturating_add(4))).unwrap_or(bytes);
    let text = shown(&String::from_utf8_lossy(head), limit);
    if head.len() < bytes.len() && !text.ends_with('…') { text + "…" } else { text }
}

/// Whether a character does something other than show a glyph: C0 and C1 controls, zero-width and
/// bidirectional formatting (Unicode TR9, TR36), line separators, tags.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_would_move_the_cursor_or_turn_the_text() {
        assert_eq!(shown("\u{1b}[2Jx\u{202e}y\u{9b}", 80), "\\u{1b}[2Jx\\u{202e}y\\u{9b}");
    }

    #[test]
    fn cuts_between_characters_and_says_so() {
        assert_eq!(shown("ééé", 3), "é…");
        assert_eq!(shown("abc", 3), "abc");
        assert_eq!(shown_bytes(&[b'a'; 100], 3), "aaa…");
        assert_eq!(shown_bytes(b"\xff\xfe", 80), "\u{fffd}\u{fffd}");
    }
}
