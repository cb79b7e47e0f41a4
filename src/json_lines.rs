//! Several JSON documents in one file: one for each line (JSON lines), or formatted over several lines.
//!
//! Blank lines, Windows line ends and a byte order mark are ignored. Each document has the number of its first line, for
//! messages. Documents are only located here; their parser limits the memory that they take.
//!
//! Spec: <https://jsonlines.org/>

use serde_json::value::RawValue;

/// The mark that Windows programs write before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One JSON document in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonDocument<'a> {
    /// The number of its first line, counted from 1.
    pub line: usize,
    /// Its bytes, without surrounding white space.
    pub bytes: &'a [u8],
}

/// Why a file can't be read as documents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinesError {
    /// A document is not JSON, or is incomplete.
    #[error("the document on line {line} is not JSON: {source}")]
    Json {
        /// The number of its first line.
        line: usize,
        /// The error. Its line number counts from the beginning of the file.
        source: serde_json::Error,
    },
    /// The file has too many documents.
    #[error("it has more than {limit} documents")]
    TooMany {
        /// The most documents that a file may have.
        limit: usize,
    },
}

/// Splits `bytes` into documents. A file without documents gives an empty list.
///
/// # Errors
///
/// A document is not JSON, or there are more than `limit`.
pub(crate) fn documents(bytes: &[u8], limit: usize) -> Result<Vec<JsonDocument<'_>>, LinesError> {
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
        documents.push(JsonDocument { line, bytes: document.get().as_bytes() });
        at = stream.byte_offset();
        line += newlines(bytes, begin, at);
    }
}

/// `bytes` without a leading byte order mark.
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
        let shown = |document: &JsonDocument<'_>| {
            (document.line, String::from_utf8(document.bytes.to_vec()).unwrap())
        };
        documents.iter().map(shown).collect()
    }

    #[test]
    fn documents_are_found_in_every_layout() {
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
    fn an_invalid_document_is_reported_with_its_line() {
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
    fn too_many_documents_are_an_error() {
        assert_eq!(documents("{}\n".repeat(3).as_bytes(), 3).unwrap().len(), 3);
        let error = documents("{}\n".repeat(4).as_bytes(), 3).unwrap_err();
        assert!(matches!(error, LinesError::TooMany { limit: 3 }), "{error}");
    }
}
