//! Decides whether a text counts as a value. Blanks and list separators alone don't.
//!
//! The command line and the parsers of variables, `chains-config`, policies and expressions use it. The file
//! imports nothing, so the build script can include it too.

/// How many characters of a blank text an error repeats.
const SHOWN_CHARS: usize = 16;

/// Whether `text` consists only of blanks and list separators. An empty text is blank too.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ',' | ':') || is_invisible_char(c))
}

/// Whether every character of `text` is invisible. A separator is visible.
pub(crate) fn is_invisible(text: &str) -> bool {
    text.chars().all(is_invisible_char)
}

/// Describes a blank `text`: it is empty, or it contains only these characters.
pub(crate) fn described(text: &str) -> String {
    if text.is_empty() {
        return "is empty".to_owned();
    }
    // Debug escapes invisible characters.
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    format!("contains only blanks and separators: {start:?}")
}

/// White space, control characters, Unicode's `Default_Ignorable_Code_Point`, and the empty Braille pattern.
///
/// Spec: <https://www.unicode.org/reports/tr44/tr44-34.html#Default_Ignorable_Code_Point>
pub(crate) fn is_invisible_char(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_of_every_kind_are_blank_and_visible_text_is_not() {
        for text in ["", " ", ",", " , ", ":", "\n", "\t", "\r\n,\u{b}", "\u{a0}", "\u{85}", "\u{3000}"] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["\u{200b}", "\u{feff}", "\u{2060}", "\u{3164}", "\u{2028}", "\u{e0020}", "\u{0}"] {
            assert!(is_blank(text) && is_invisible(text), "{text:?}");
        }
        for text in ["-", "*", ".", "/", ";", "=", "|", "a", " a ", ",a", "é", "、", "\u{1f600}"] {
            assert!(!is_blank(text), "{text:?}");
        }
        assert!(!is_invisible(",") && !is_invisible(":"));
    }

    #[test]
    fn the_description_of_a_blank_is_short_and_visible() {
        assert_eq!(described(""), "is empty");
        assert!(described(" \n\u{3000}").ends_with(r#": " \n\u{3000}""#), "{}", described(" \n\u{3000}"));
        assert!(described(&" ".repeat(100_000)).len() < 100);
    }
}
