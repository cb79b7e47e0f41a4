//! Finds PEM blocks of private keys (<https://www.rfc-editor.org/rfc/rfc7468#section-2>), complete or truncated.

use super::{ByteRanges, after_blanks, from, is_base64};

const BEGIN: &str = "BEGIN";
const PRIVATE: &str = "PRIVATE";
/// The fewest dashes that end a label, so that truncated dashes match too.
const DASHES: &str = "--";
const END: &[u8] = b"--END";

/// The longest label, in bytes. Real labels have fewer than 40.
const LABEL_BYTES: usize = 96;

/// The shortest body of a block, in characters, so that prose with a BEGIN line isn't taken for a key.
const BODY_CHARS: usize = 12;

/// The first header of RFC 1421, as `openssl ec -aes256` writes it.
const HEADERS: &[u8] = b"Proc-Type";

/// Adds each private key block to `found`. A block without an END line ends with its string, or with the text.
pub(super) fn find(text: &str, found: &mut ByteRanges) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, _) in text.match_indices(BEGIN) {
        if at < done {
            continue;
        }
        let Some(body) = body(text, at + BEGIN.len()) else { continue };
        let dashes = from(bytes, done).get(..at - done).unwrap_or_default();
        let start = at - dashes.iter().rev().take_while(|byte| **byte == b'-').count();
        done = end(bytes, body);
        found.push(start..done);
    }
}

/// The start of the body, if a private key's label and a body follow `BEGIN`.
fn body(text: &str, label: usize) -> Option<usize> {
    let rest = text.get(label..)?;
    let head = rest.get(..rest.floor_char_boundary(LABEL_BYTES))?;
    let end = head.find(DASHES)?;
    head.get(..end)?.contains(PRIVATE).then_some(())?;
    let bytes = text.as_bytes();
    let dashes = from(bytes, label + end).iter().take_while(|byte| **byte == b'-').count();
    let body = after_blanks(bytes, label + end + dashes);
    let rest = from(bytes, body);
    let is_key = rest.iter().take(BODY_CHARS).filter(|byte| is_base64(**byte)).count() == BODY_CHARS;
    (is_key || rest.starts_with(HEADERS)).then_some(body)
}

/// The end of the block whose body begins at `at`: after its END line, or before a quote, which no block contains.
fn end(bytes: &[u8], at: usize) -> usize {
    let mut place = at;
    while let Some(byte) = bytes.get(place) {
        if matches!(byte, b'"' | b'\'' | b'`') {
            // The backslashes that escape the quote belong to the string.
            let body = bytes.get(at..place).unwrap_or_default();
            return place - body.iter().rev().take_while(|byte| **byte == b'\\').count();
        }
        if from(bytes, place).starts_with(END) {
            return end_line(bytes, place + END.len());
        }
        place += 1;
    }
    place
}

/// The end of the END line whose label begins at `at`.
fn end_line(bytes: &[u8], at: usize) -> usize {
    let label = from(bytes, at).iter().take(LABEL_BYTES);
    let label = label
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'+' | b'%' | b'_'))
        .count();
    at + label + from(bytes, at + label).iter().take_while(|byte| **byte == b'-').count()
}
