//! Finds base64-encoded private keys and dockerconfigjson.

use super::{ByteRanges, after_blanks, from, is_base64};

/// The shortest run that can be a secret, in characters.
const MIN_CHARS: usize = 24;

/// How many characters at the start of a secret's base64 are never percent-encoded, because they contain no `+` and no `/`.
const BEGINNING_CHARS: usize = 16;

/// How many characters of base64 are decoded when its first bytes are enough.
const HEAD_CHARS: usize = 24;

/// The shortest line that continues base64 without padding, in characters.
const LINE_CHARS: usize = 12;

/// Base64 of dashes and `BEGIN`, from the first dash that starts a group of three bytes, for each alignment.
const BEGIN: [&[u8]; 3] = [b"LS0tLS1CRUdJ", b"LS0tQkVH", b"LS0tLUJFR0lO"];

/// The word in the label of every private key's PEM block.
const PRIVATE: &[u8] = b"PRIVATE";

/// JSON members by which a dockerconfigjson and the content of cosign's encrypted keys are recognized.
const MEMBERS: [&[u8]; 2] = [b"\"auths\"", b"\"kdf\""];

/// The prefixes of object identifiers in encrypted PKCS#8: PKCS#5, and the key derivations of PKCS#12.
const ENCRYPTION: [&[u8]; 2] = [b"\x2a\x86\x48\x86\xf7\x0d\x01\x05", b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01"];

/// Adds each secret in base64, from its start to the end of its run. If it is encoded twice, the whole run is added.
pub(super) fn find(bytes: &[u8], found: &mut ByteRanges) {
    for range in runs(bytes) {
        let run = bytes.get(range.clone()).unwrap_or_default();
        if let Some(at) = secret_in(run) {
            found.push(range.start + at..range.end);
        } else if is_secret_twice(run) {
            found.push(range);
        }
    }
}

/// Every base64 run that is long enough for a secret.
fn runs(bytes: &[u8]) -> ByteRanges {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        if !is_base64(*byte) {
            // Skips whole escapes, so that their letters don't start a run.
            at = after_blanks(bytes, at).max(at + 1);
            continue;
        }
        let end = at + run(from(bytes, at));
        if end - at >= MIN_CHARS {
            all.push(at..end);
        }
        at = end;
    }
    all
}

/// The start of a secret in a run.
fn secret_in(run: &[u8]) -> Option<usize> {
    let mut place = 0;
    while place < run.len() {
        match secret(from(run, place)) {
            Base64Start::Secret => return Some(place),
            Base64Start::Ordinary(chars) => place += chars,
        }
    }
    None
}

/// Whether a run is base64 of base64 of a secret, at any of the four alignments.
fn is_secret_twice(run: &[u8]) -> bool {
    (0..4).any(|skipped| {
        let inner = decoded(from(run, skipped), |_| true).0;
        runs(&inner).into_iter().any(|range| inner.get(range).and_then(secret_in).is_some())
    })
}

/// The kind of content at the start of base64.
enum Base64Start {
    Secret,
    /// No secret begins within this many characters.
    Ordinary(usize),
}

/// Classifies the content at the start of `text`.
fn secret(text: &[u8]) -> Base64Start {
    let of = |is_secret, chars: usize| {
        if is_secret { Base64Start::Secret } else { Base64Start::Ordinary(chars.max(1)) }
    };
    // The first base64 characters of a SEQUENCE's tag, of dashes and of `{`.
    if !matches!(text.first(), Some(b'M' | b'L' | b'e')) || !is_long(text) {
        return Base64Start::Ordinary(1);
    }
    if BEGIN.iter().any(|begin| text.starts_with(begin)) {
        let (pem, chars) = decoded(text, |_| true);
        return of(contains(&pem, PRIVATE), chars);
    }
    let head = decoded(text.get(..HEAD_CHARS).unwrap_or(text), |_| true).0;
    match head.first() {
        Some(0x30) => of(is_private_der(&head), 1),
        Some(b'{') => {
            let (json, chars) = decoded(text, |byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
            of(MEMBERS.iter().any(|member| contains(&json, member)), chars)
        }
        _ => Base64Start::Ordinary(1),
    }
}

fn is_long(text: &[u8]) -> bool {
    text.get(..BEGINNING_CHARS).is_some_and(|head| head.iter().all(|byte| is_base64(*byte)))
}

/// Whether DER begins like a private key: PKCS#8 (<https://www.rfc-editor.org/rfc/rfc5958#section-2>, encrypted too), SEC1
/// (<https://www.rfc-editor.org/rfc/rfc5915#section-3>) or PKCS#1 (<https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.2>).
fn is_private_der(der: &[u8]) -> bool {
    let Some(content) = content(der, 0x30) else { return false };
    match content {
        // A version, then the algorithm, the key itself, or the modulus. PKCS#1 has the version 0, SEC1 has 1.
        [0x02, 0x01, 0x00 | 0x01, 0x30, ..] => {
            self::content(from(content, 3), 0x30).is_some_and(|algorithm| algorithm.first() == Some(&0x06))
        }
        [0x02, 0x01, 0x01, 0x04, length, ..] => (16..=66).contains(length),
        [0x02, 0x01, 0x00, 0x02, length, ..] => *length > 0x40,
        [0x30, ..] => self::content(content, 0x30)
            .and_then(|algorithm| self::content(algorithm, 0x06))
            .is_some_and(|identifier| ENCRYPTION.iter().any(|prefix| identifier.starts_with(prefix))),
        _ => false,
    }
}

/// The bytes after the tag and length of a DER value.
fn content(der: &[u8], tag: u8) -> Option<&[u8]> {
    let [first, length, rest @ ..] = der else { return None };
    (*first == tag).then_some(())?;
    match length {
        ..=0x7f => Some(rest),
        0x81..=0x83 => rest.get(usize::from(length - 0x80)..),
        _ => None,
    }
}

/// Decodes base64, ignoring blanks, until `keep` rejects a byte. Returns the bytes and the number of characters read.
fn decoded(text: &[u8], keep: impl Fn(u8) -> bool) -> (Vec<u8>, usize) {
    let (mut out, mut bits, mut count, mut at) = (Vec::new(), 0_u32, 0, 0);
    while let Some(byte) = text.get(at) {
        let Some(value) = value(*byte) else {
            let after = after_blanks(text, at);
            if after == at {
                break;
            }
            at = after;
            continue;
        };
        at += 1;
        bits = ((bits << 6) | value) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            let Some(byte) = u8::try_from((bits >> count) & 0xff).ok().filter(|byte| keep(*byte)) else {
                break;
            };
            out.push(byte);
        }
    }
    (out, at)
}

fn value(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// The length of the base64 at the start of `text`, with padding and continuation lines.
fn run(text: &[u8]) -> usize {
    let mut end = line(text);
    loop {
        let next = after_blanks(text, end);
        let rest = from(text, next);
        let length = rest.iter().take(LINE_CHARS).take_while(|byte| is_base64(**byte)).count();
        let is_last = length > 0 && rest.get(length) == Some(&b'=');
        if next == end || (length < LINE_CHARS && !is_last) {
            return end;
        }
        end = next + line(rest);
    }
}

/// The length of a base64 line with its padding. `+`, `/` and `=` may be percent-encoded, and `/` escaped as in JSON.
fn line(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = from(text, at);
        at += match rest {
            [byte, ..] if is_base64(*byte) || *byte == b'=' => 1,
            [b'\\', b'/', ..] => 2,
            [b'%', b'2', b'B' | b'b' | b'F' | b'f', ..] | [b'%', b'3', b'D' | b'd', ..] => 3,
            _ => return at,
        };
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
