//! What an in-toto statement says, as far as it has to be known to believe it.
//!
//! Spec: <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md>,
//! <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v0.1/statement.md>

use serde_json::{Map, Value};

use super::require::Require;
use crate::formats::statement::STATEMENT_TYPES;
use crate::json::{self, MemoryLimit};
use crate::oci::Digest;

/// What a statement without its predicate may take in memory: tens of thousands of subjects.
const HEAD: MemoryLimit = MemoryLimit::memory(32 * 1024 * 1024);
/// What the required parts of a statement may take in memory, of one whose signature counts. With paths of names that is little;
/// a filter or `..` needs all that it is about. With this, a hostile statement in an envelope of 16 MB stays below 128 MiB.
const PARTS_BYTES: usize = 72 * 1024 * 1024;
/// Longer statements than this, in bytes, may take memory in proportion to their length.
const LONG_BYTES: usize = 12 * 1024 * 1024;
/// How many times its length a long statement may take: an SBOM takes 8 to 12 times.
const LONG_TIMES: usize = 16;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What is said of the subjects.
    pub predicate_type: String,
    /// The document without the predicate, which may be large: [`required`] reads of it what is needed.
    pub head: Value,
}

/// Why bytes are not a statement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The bytes are not JSON that can be trusted.
    #[error("the statement is not JSON that says each thing once")]
    Json(#[source] serde_json::Error),
    /// What is required of it can't be read.
    #[error(
        "the parts of the statement that are required can't be read; a path of names alone needs the least"
    )]
    Required(#[source] serde_json::Error),
    /// Something is missing or of another kind.
    #[error("the payload is no in-toto statement: {0}")]
    Shape(&'static str),
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub fn read(bytes: &[u8]) -> Result<Self, StatementError> {
        let statement = Self::read_any(bytes)?;
        if statement.head.get("subject").is_none() {
            return Err(StatementError::Shape("it has no list of subjects"));
        }
        Ok(statement)
    }

    /// The same where it need not be about anything: a run that built nothing has a provenance too.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub fn read_any(bytes: &[u8]) -> Result<Self, StatementError> {
        let document = json::value_without(bytes, "predicate", HEAD).map_err(StatementError::Json)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if !text("_type").is_some_and(|kind| STATEMENT_TYPES.contains(&kind)) {
            return Err(StatementError::Shape("its _type is none of in-toto's"));
        }
        let predicate_type = text("predicateType")
            .filter(|kind| !kind.is_empty())
            .ok_or(StatementError::Shape("it has no predicateType"))?
            .to_owned();
        let subjects = match document.get("subject") {
            None => &[][..],
            Some(Value::Array(subjects)) => subjects,
            Some(_) => return Err(StatementError::Shape("it has no list of subjects")),
        };
        if !subjects.iter().all(|subject| subject.get("digest").is_some_and(Value::is_object)) {
            return Err(StatementError::Shape("a subject has no digest"));
        }
        Ok(Self { predicate_type, head: document })
    }

    /// The first subject with this digest; `None`: the statement is about something else.
    pub(crate) fn subject(&self, digest: &Digest) -> Option<&Map<String, Value>> {
        let subjects = self.head.get("subject")?.as_array()?;
        let found = subjects.iter().find(|subject| {
            let sha256 = subject.get("digest").and_then(|set| set.get("sha256")).and_then(Value::as_str);
            sha256 == Some(digest.hex())
        });
        found?.as_object()
    }
}

/// As much of the document as is needed to check `requires`.
///
/// # Errors
///
/// If the bytes are not JSON with unique keys, or these parts take too much memory.
pub(crate) fn required(bytes: &[u8], requires: &[Require]) -> Result<Value, StatementError> {
    let limit = match bytes.len() {
        long @ LONG_BYTES.. => MemoryLimit::memory(long.saturating_mul(LONG_TIMES)),
        _ => MemoryLimit::memory(PARTS_BYTES),
    };
    json::value_with(bytes, &Require::parts(requires), limit).map_err(StatementError::Required)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::of(b"x")
    }

    #[test]
    fn a_subject_is_found_by_its_digest() {
        let text = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"t","subject":[{{"name":"a","digest":{{"sha512":"00"}}}},{{"name":"b","digest":{{"sha256":"{}"}}}}],"predicate":{{}}}}"#,
            digest().hex()
        );
        let statement = Statement::read(text.as_bytes()).unwrap();
        assert_eq!(statement.predicate_type, "t");
        assert_eq!(statement.subject(&digest()).unwrap()["name"], "b");
        assert_eq!(statement.subject(&Digest::of(b"y")), None);
    }

    #[test]
    fn what_is_no_statement_says_why() {
        for (text, want) in [
            ("{", "not JSON"),
            (r#"{"_type":"x"}"#, "_type"),
            (r#"{"_type":"https://in-toto.io/Statement/v1","subject":[]}"#, "predicateType"),
            (r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"t"}"#, "list of subjects"),
            (r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"t","subject":[null]}"#, "digest"),
            (
                r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"t","predicateType":"u"}"#,
                "not JSON",
            ),
        ] {
            let error = Statement::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    /// A hostile predicate is refused where a path needs all of it, and passed over where it doesn't; a long one may take more.
    #[test]
    fn what_is_required_is_read_within_limits() {
        let statement = |predicate: &str| {
            format!(
                r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"t","subject":[],"predicate":{predicate}}}"#
            )
        };
        let requires = |path: &str| vec![format!("{path}=1").parse::<Require>().unwrap()];
        let hostile = statement(&format!(r#"{{"a":1,"b":[{}0]}}"#, "[[]],".repeat(1_500_000)));
        assert!(required(hostile.as_bytes(), &requires("$.predicate.a")).is_ok());
        assert!(required(hostile.as_bytes(), &requires("$.predicate.b[*].c")).is_err());
        let refused = required(hostile.as_bytes(), &requires("$..a")).unwrap_err();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains("more than 73728 KiB"), "{cause}");
        let package = format!(
            r#"{{"SPDXID":"SPDXRef-1","versionInfo":"1.2.3","licenseConcluded":"MIT","checksums":[{{"algorithm":"SHA256","checksumValue":"{}"}}],"a":1}}"#,
            "0".repeat(64)
        );
        let long = statement(&format!("[{}0]", format!("{package},").repeat(100_000)));
        assert!(long.len() > LONG_BYTES);
        assert!(required(long.as_bytes(), &requires("$..a")).is_ok());
    }
}
