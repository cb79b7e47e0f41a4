//! Several JSON documents in one file: one on each line (JSON lines), or laid out over many lines, one after the other.
//!
//! Blank lines, Windows' line ends and a byte order mark mean nothing. Each document keeps the number of the line that it begins
//! on, for messages. Nothing of a document is kept but where it is: how much memory it may take is its reader's to limit.
//!
//! Spec: <https://jsonlines.org/>

use serde_json::value::RawValue;

/// What Windows' programs write before text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Its bytes, without space around them.
    pub bytes: &'a [u8],
}

/// Why a file can't be read as documents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinesError {
    /// One of them is not JSON, or ends too early.
    #[error("what begins on line {line} is not JSON: {source}")]
    Json {
        /// The line that it begins on.
        line: usize,
        /// What is wrong with it. A line in it is counted from the beginning of the file.
        source: serde_json::Error,
    },
    /// There are too many.
    #[error("it has more than {limit} documents")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// The documents in `bytes`, at most `limit`. A file without any is an empty list.
///
/// # Errors
///
/// One of them is not JSON, or there are too many.
pub(crate) fn documents(bytes: &[u8], limit: usize) -> Result<Vec<Document<'_>>, LinesError> {
    let bytes = without_mark(bytes);
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    let mut documents = Vec::new();
    let (mut at, mut line) = (0, 1);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let space = rest.len() - rest.trim_ascii_start().len();
        let begin = at + space;
        line += newlines(bytes, at, begin);
        let document = match stream.next() {
            None => return Ok(documents),
            Some(document) => document.map_err(|source| LinesError::Json { line, source })?,
        };
        if documents.len() >= limit {
            return Err(LinesError::TooMany { limit });
        }
        documents.push(Document { line, bytes: document.get().as_bytes() });
        at = stream.byte_offset();
        line += newlines(bytes, begin, at);
    }
}

/// `bytes` without a byte order mark before them.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

fn newlines(bytes: &[u8], from: usize, to: usize) -> usize {
    bytes.get(from..to).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, String)> {
        let documents = documents(text.as_bytes(), 100).unwrap();
        let shown = |one: &Document<'_>| (one.line, String::from_utf8(one.bytes.to_vec()).unwrap());
        documents.iter().map(shown).collect()
    }

    #[test]
    fn documents_are_found_however_they_are_laid_out() {
        let two = |first, second| vec![(first, "{\"a\":1}".to_owned()), (second, "[2]".to_owned())];
        for (text, found) in [
            ("{\"a\":1}\n[2]\n", two(1, 2)),
            ("{\"a\":1}\r\n[2]\r\n", two(1, 2)),
            ("\u{feff}{\"a\":1}\n[2]", two(1, 2)),
            ("\n \t\n{\"a\":1}\n\n\n[2]\n\n", two(3, 6)),
            ("{\"a\":1}[2]", two(1, 1)),
        ] {
            assert_eq!(lines(text), found, "{text:?}");
        }
        assert_eq!(lines("{\n\"a\":\n1}\n{\n}"), [(1, "{\n\"a\":\n1}".to_owned()), (4, "{\n}".to_owned())]);
        assert_eq!(lines(""), []);
        assert_eq!(lines("\u{feff}\r\n \n"), []);
    }

    #[test]
    fn a_bad_document_is_named_by_its_line() {
        for (text, line) in [
            ("{}\n{\n", 2),
            ("{}\n\n{} rest\n", 3),
            ("nothing", 1),
            ("{}\n{\"a\":}\n{}\n", 2),
            ("{}\n\n\n{\n\n\n\"a\"", 4),
        ] {
            let error = documents(text.as_bytes(), 100).unwrap_err();
            assert!(
                matches!(error, LinesError::Json { line: found, .. } if found == line),
                "{text:?}: {error}"
            );
        }
        let error = documents(b"{}\n\"\xff\"", 100).unwrap_err();
        assert!(matches!(error, LinesError::Json { line: 2, .. }), "{error}");
    }

    #[test]
    fn more_documents_than_the_limit_are_an_error() {
        assert_eq!(documents("{}\n".repeat(3).as_bytes(), 3).unwrap().len(), 3);
        let error = documents("{}\n".repeat(4).as_bytes(), 3).unwrap_err();
        assert!(matches!(error, LinesError::TooMany { limit: 3 }), "{error}");
    }
}
