//! Hides secrets that were sent to a server in the text that the server returns.
//!
//! A [`Mask`] knows the secrets that were sent, and hides every occurrence in a text: unchanged, with ASCII letters in another
//! case, in base64 (both alphabets, padded or not), percent-encoded, escaped as in JSON or HTML, and in any mix of these. A truncated text ends
//! with `…` and may end within a secret, so the beginning of a secret is hidden there too.
//!
//! Secrets shorter than 4 bytes are not searched for, because ordinary words contain them. Neither are secrets in another encoding, reversed
//! or in pieces: a server that wants to publish a secret can always do so.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use zeroize::Zeroizing;

/// The prefix of an `Authorization` header with a user and password.
const BASIC: &[u8] = b"Basic ";

/// The text that replaces a secret.
pub(crate) const HIDDEN: &str = "[hidden]";

/// The shortest secret that is searched for, in bytes, and the shortest beginning of a secret at the end of a truncated text.
const MIN_BYTES: usize = 4;

/// The deepest nesting of escapes that is decoded, as for JSON in JSON in JSON.
const MAX_NESTED: usize = 8;

/// The longest escape of a single character: a surrogate pair, percent-encoded twice.
const LONGEST_ESCAPE_BYTES: usize = 120;

/// Characters with their HTML entities.
const ENTITIES: [(char, &str); 7] = [
    ('"', "&quot;"),
    ('"', "&#34;"),
    ('&', "&amp;"),
    ('<', "&lt;"),
    ('>', "&gt;"),
    ('\'', "&#39;"),
    ('\'', "&#x27;"),
];

/// The most search steps for a text, because a server chooses both its tokens and its texts. A text that needs more is hidden completely.
const MAX_STEPS: usize = 1 << 18;

/// The secrets that a server may repeat. They are wiped on drop, so a mask should live only while a text is searched.
#[derive(Default)]
pub(crate) struct Mask {
    secrets: Vec<Zeroizing<String>>,
    /// Tokens in their `Authorization` headers. Cloning a header doesn't copy the memory.
    tokens: Vec<HeaderValue>,
}

impl Mask {
    /// Adds a password or a token, to be hidden also in base64.
    pub(crate) fn secret(&mut self, secret: &[u8]) {
        if secret.len() < MIN_BYTES {
            return;
        }
        if let Ok(text) = std::str::from_utf8(secret) {
            self.secrets.push(Zeroizing::new(text.to_owned()));
        }
        for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            self.secrets.push(Zeroizing::new(alphabet.encode(secret)));
        }
    }

    /// Adds a password, to be hidden alone and with the user name, as in `Basic` logins.
    pub(crate) fn login(&mut self, user: &str, password: &[u8]) {
        self.secret(password);
        self.secret(&Zeroizing::new([user.as_bytes(), b":", password].concat()));
    }

    /// Adds the credentials in an `Authorization` header.
    pub(crate) fn authorization(&mut self, value: &HeaderValue) {
        let Some(credentials) = value.as_bytes().strip_prefix(BASIC) else {
            return self.secret(token_of(value));
        };
        let Ok(plain) = STANDARD.decode(credentials).map(Zeroizing::new) else { return };
        let (user, password) = plain.split_at(plain.iter().position(|b| *b == b':').unwrap_or(0));
        self.login(&String::from_utf8_lossy(user), password.strip_prefix(b":").unwrap_or(password));
    }

    /// Adds the token in an `Authorization` header without copying it. Its base64 is not hidden. There may be a thousand tokens.
    pub(crate) fn token(&mut self, value: &HeaderValue) {
        self.tokens.push(value.clone());
    }

    /// Replaces each secret in `text` with [`HIDDEN`].
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let (whole, cut) = text.strip_suffix('…').map_or((text, false), |whole| (whole, true));
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        let mut steps = 0;
        while let Some(next) = whole.get(at..).and_then(|rest| rest.chars().next()) {
            let end = self.end(whole, at, cut, &mut steps);
            if steps > MAX_STEPS {
                return Cow::Borrowed(HIDDEN);
            }
            let Some(end) = end else {
                at += next.len_utf8();
                continue;
            };
            out.push_str(whole.get(copied..at).unwrap_or_default());
            out.push_str(HIDDEN);
            // Base64 padding is part of the secret.
            let rest = whole.get(end..).unwrap_or_default();
            at = whole.len() - rest.trim_start_matches('=').len();
            copied = at;
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Replaces each secret with [`HIDDEN`] in place.
    pub(crate) fn hide(&self, text: &mut String) {
        let hidden = self.text(text).into_owned();
        *text = hidden;
    }

    /// The end of the longest secret that begins at `at`.
    fn end(&self, text: &str, at: usize, cut: bool, steps: &mut usize) -> Option<usize> {
        let head = text.as_bytes().get(at..)?;
        let tokens = self.tokens.iter().map(token_of);
        let secrets = self.secrets.iter().map(|secret| secret.as_bytes()).chain(tokens);
        let likely = secrets.filter(|secret| secret.len() >= MIN_BYTES && may_begin(secret, head));
        let likely = likely.filter_map(|secret| std::str::from_utf8(secret).ok());
        likely.filter_map(|secret| end_of(secret, text, at, cut, steps)).max()
    }
}

fn token_of(value: &HeaderValue) -> &[u8] {
    let value = value.as_bytes();
    // Searching from the start is faster, because tokens are long.
    value.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or(value)
}

/// Whether the first two bytes match the secret or may be escaped. This quick check rules out most positions.
fn may_begin(secret: &[u8], text: &[u8]) -> bool {
    for (want, have) in secret.iter().zip(text).take(2) {
        if begins_escape(*have) {
            return true;
        }
        if !want.eq_ignore_ascii_case(have) {
            return false;
        }
    }
    true
}

fn begins_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'+')
}

/// The end of `secret` in `text` if it begins at `at`, in any mix of spellings.
fn end_of(secret: &str, text: &str, at: usize, cut: bool, steps: &mut usize) -> Option<usize> {
    let mut places = vec![at];
    for (matched, want) in secret.char_indices() {
        // A text may be truncated within an escape, too.
        let is_cut = |place: &usize| {
            let rest = text.as_bytes().get(*place..).unwrap_or_default();
            rest.first().is_none_or(|byte| begins_escape(*byte) && rest.len() < LONGEST_ESCAPE_BYTES)
        };
        if cut && matched >= MIN_BYTES && places.iter().any(is_cut) {
            return Some(text.len());
        }
        *steps += places.len();
        if *steps > MAX_STEPS {
            return None;
        }
        let mut next = Vec::with_capacity(places.len());
        for place in places {
            for reading in READINGS {
                spellings(want, text, place, reading, &mut next);
            }
        }
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return None;
        }
        places = next;
    }
    places.last().copied()
}

/// How many times URL and HTML encoding is decoded.
#[derive(Clone, Copy)]
struct DecodeDepth(u8);

/// The depths to try: not encoded, encoded once, and encoded twice.
const READINGS: [DecodeDepth; 3] = [DecodeDepth(0), DecodeDepth(1), DecodeDepth(2)];

impl DecodeDepth {
    /// The decoded character at `at`, and its end.
    fn next(self, text: &str, at: usize) -> Option<(char, usize)> {
        let Some(below) = self.0.checked_sub(1).map(Self) else {
            let next = text.get(at..)?.chars().next()?;
            return Some((next, at + next.len_utf8()));
        };
        let plain = below.next(text, at)?;
        let decoded = match plain.0 {
            '%' => below.percent(text, at),
            '&' => {
                let entity =
                    text.get(at..).and_then(|rest| ENTITIES.iter().find(|(_, name)| rest.starts_with(name)));
                entity.map(|(decoded, name)| (*decoded, at + name.len()))
            }
            _ => None,
        };
        Some(decoded.unwrap_or(plain))
    }

    /// Decodes the percent-encoded UTF-8 character at `at`.
    fn percent(self, text: &str, mut at: usize) -> Option<(char, usize)> {
        let mut bytes = [0; 4];
        for count in 1..=bytes.len() {
            let (_, digits) = self.next(text, at).filter(|(next, _)| *next == '%')?;
            let (value, end) = self.hex(text, digits, 2)?;
            *bytes.get_mut(count - 1)? = u8::try_from(value).ok()?;
            at = end;
            if let Some(decoded) = bytes.get(..count).and_then(|bytes| std::str::from_utf8(bytes).ok()) {
                return Some((decoded.chars().next()?, at));
            }
        }
        None
    }

    /// Parses `count` hexadecimal digits at `at`.
    fn hex(self, text: &str, mut at: usize, count: usize) -> Option<(u32, usize)> {
        let mut value = 0;
        for _ in 0..count {
            let (digit, end) = self.next(text, at)?;
            value = value * 16 + digit.to_digit(16)?;
            at = end;
        }
        Some((value, at))
    }
}

/// Adds the end of `want` to `ends` for each spelling that matches at `at`.
fn spellings(want: char, text: &str, at: usize, reading: DecodeDepth, ends: &mut Vec<usize>) {
    let Some((first, mut end)) = reading.next(text, at) else { return };
    if first.eq_ignore_ascii_case(&want) || (want == ' ' && first == '+') {
        ends.push(end);
    }
    if first != '\\' {
        return;
    }
    for _ in 0..MAX_NESTED {
        ends.extend(escape(want, text, end, reading));
        let Some((next, after)) = reading.next(text, end) else { return };
        if next == want && !want.is_alphanumeric() {
            ends.push(after);
        }
        if next != '\\' {
            return;
        }
        end = after;
    }
}

/// The end of a backslash escape for `want`, after the backslash: `n`, `u000a`, a surrogate pair, `u{a}`, or `x0a`.
fn escape(want: char, text: &str, at: usize, reading: DecodeDepth) -> Option<usize> {
    let (first, after) = reading.next(text, at)?;
    let is_want = |(value, end)| (value == u32::from(want)).then_some(end);
    match (first, want) {
        ('n', '\n') | ('r', '\r') | ('t', '\t') | ('b', '\u{8}') | ('f', '\u{c}') => Some(after),
        ('x', _) => is_want(reading.hex(text, after, 2)?),
        ('u', _) => match reading.next(text, after)? {
            ('{', digits) => {
                let count = format!("{:x}", u32::from(want)).len();
                let end = is_want(reading.hex(text, digits, count)?)?;
                reading.next(text, end).filter(|(brace, _)| *brace == '}').map(|(_, end)| end)
            }
            _ => utf16(want, text, after, reading),
        },
        _ => None,
    }
}

/// The end of JSON's four hexadecimal digits for `want`, or of a surrogate pair with `\u` in between.
fn utf16(want: char, text: &str, mut at: usize, reading: DecodeDepth) -> Option<usize> {
    let mut units = [0; 2];
    for (index, unit) in want.encode_utf16(&mut units).iter().enumerate() {
        for between in ['\\', 'u'].into_iter().filter(|_| index > 0) {
            at = reading.next(text, at).filter(|(next, _)| *next == between)?.1;
        }
        let (value, end) = reading.hex(text, at, 4)?;
        (value == u32::from(*unit)).then_some(())?;
        at = end;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(secrets: &[&str]) -> Mask {
        let mut mask = Mask::default();
        secrets.iter().for_each(|secret| mask.secret(secret.as_bytes()));
        mask
    }

    #[test]
    fn a_secret_is_hidden_in_every_spelling() {
        let mask = mask(&["pä\"s/ w\n😀+%d"]);
        for spelling in [
            "pä\"s/ w\n😀+%d",
            "PÄ\"S/ W\n😀+%D".replace('Ä', "ä").as_str(),
            "p%C3%a4%22s%2F+w%0A%F0%9F%98%80%2b%25d",
            "p%25C3%25A4%2522s%252F%2520w%250A%25F0%259F%2598%2580%252B%2525d",
            r#"p\u00e4\"s\/ w\n\ud83d\ude00+%d"#,
            "%25%37%30%25C3%25a4%22s/ w%0A%F0%9F%98%80+%d",
            r#"p%5Cu00e4%5C%22s%5c/ w%5Cn%5Cud83d%5Cude00%2B%25d"#,
            r#"p\u00e4\&quot;s/ w\n😀+%d"#,
            r#"p\\u00e4\\\"s/ w\\n\\uD83D\uDE00+%d"#,
            r#"pä"s/ w\u{a}😀+%d"#,
            "pä&quot;s/ w\n😀+%d",
            "cMOkInMvIHcK8J+YgCslZA==",
            "cMOkInMvIHcK8J+YgCslZA",
            "cMOkInMvIHcK8J-YgCslZA%3D%3D".trim_end_matches("%3D"),
        ] {
            assert_eq!(mask.text(&format!("say {spelling}.")), "say [hidden].", "{spelling}");
        }
        for other in ["pä\"s/ w\n😀+%", "nothing", "", "%", "\\", "%C3", "\\u00", "&quot", "p%C3"] {
            assert_eq!(mask.text(other), other);
        }
    }

    #[test]
    fn logins_are_hidden_in_the_form_that_headers_use() {
        let mut mask = Mask::default();
        mask.authorization(&HeaderValue::from_static("Basic Y2ktYm90Omh1bnRlcjI=")); // ci-bot:hunter2
        mask.authorization(&HeaderValue::from_static("Bearer abc.def"));
        mask.token(&HeaderValue::from_static("Bearer ghi.jkl"));
        let text = "Y2ktYm90Omh1bnRlcjI=, ci-bot:hunter2, hunter2, aHVudGVyMg==, abc.def, YWJjLmRlZg, ghi.jkl, ci-bot";
        assert_eq!(
            mask.text(text),
            "[hidden], [hidden], [hidden], [hidden], [hidden], [hidden], [hidden], ci-bot"
        );
        for odd in ["", "Basic", "Basic ???", "Basic Og==", "Bearer "] {
            mask.authorization(&HeaderValue::from_static(odd));
        }
        assert_eq!(mask.text("a: b"), "a: b");
    }

    #[test]
    fn a_short_secret_is_hidden_only_with_its_user() {
        let mut mask = Mask::default();
        mask.login("ci", b"abc");
        assert_eq!(mask.text("abc ci:abc Y2k6YWJj"), "abc [hidden] [hidden]");
        mask.secret(b"");
        assert_eq!(mask.text("nothing"), "nothing");
    }

    #[test]
    fn the_beginning_of_a_secret_is_hidden_at_the_end_of_a_truncated_text() {
        let mask = mask(&["hunter2-hunter2"]);
        assert_eq!(mask.text("is hunter2-hu…"), "is [hidden]…");
        assert_eq!(mask.text("is hunter2%2…"), "is [hidden]…");
        assert_eq!(mask.text("is hun…"), "is hun…");
        assert_eq!(mask.text("hunter2 is…"), "hunter2 is…");
        assert_eq!(mask.text("is hunter2-hu"), "is hunter2-hu");
    }

    #[test]
    fn the_longest_secret_and_every_occurrence_are_hidden() {
        let mask = mask(&["abcd", "abcdef", "abcd"]);
        assert_eq!(mask.text("abcdefg abcde abcdabcd"), "[hidden]g [hidden]e [hidden][hidden]");
    }

    #[test]
    fn a_text_that_takes_too_long_is_hidden_completely() {
        let tokens: Vec<String> = (0..200).map(|number| "e".repeat(4000) + &number.to_string()).collect();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let start = std::time::Instant::now();
        assert_eq!(mask(&tokens).text(&"e".repeat(4096)), HIDDEN);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn any_secret_is_found_in_any_text(secret in "\\PC{4,40}", before in "[a-f%\\\\&+]{0,40}", after in any::<String>()) {
            let mask = mask(&[&secret]);
            let json = serde_json::to_string(&secret).unwrap();
            let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let json = json.get(1..json.len() - 1).unwrap_or_default();
            for spelling in [secret.as_str(), json, url.as_str(), &STANDARD.encode(&secret)] {
                let text = format!("{before} {spelling}{after}");
                let hidden = mask.text(&text);
                prop_assert!(hidden.contains(HIDDEN), "{text:?} {hidden:?}");
            }
        }

        #[test]
        fn a_text_without_the_secret_is_unchanged(text in "[a-y%\\\\&+{}0-9…]{0,80}") {
            prop_assert_eq!(mask(&["zzzzzzzz"]).text(&text), text.as_str());
        }
    }
}
