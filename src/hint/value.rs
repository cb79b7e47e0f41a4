//! What the value of a hint says: bytes in, texts out.
//!
//! Tekton writes string results as they are, and array and object results as JSON; a JSON string is a string
//! too. Values are trimmed, and a blank one is no hint. What is neither the text nor the JSON that its
//! hint needs is refused with the reason, where Chains passes over it in silence.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md#type-hinting>

use std::io;

use serde_json::Value as Json;

use super::kind::ResultKind;
use super::{MAX_ALL_BYTES, MAX_FILE_BYTES};

/// A hint's value, as its kind has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: the result was left empty, so it is not a hint.
    Blank,
    /// The text of a URL, URI or digest; trimmed, not empty.
    Text(String),
    /// The texts of an array of URLs, URIs or digests, as a matrix leaves them: each trimmed, in their order, with a blank one as an
    /// empty text, since a name and a digest belong together by their positions. It may be empty, or blank all through.
    List(Vec<String>),
    /// The names in `IMAGES`, one a line; trimmed, none empty, at least one. (One text and not many, so that a
    /// list of half a million commas costs no more memory than its file.)
    Names(String),
    /// An image in a list, with the identities behind it. No result has one.
    Named {
        /// The image's name with its digest; without blanks, not empty.
        name: String,
        /// The names to sign it under; each without blanks, not empty.
        identities: Vec<String>,
    },
    /// The objects in `ARTIFACT_OUTPUTS`, each with its own error; at least one.
    Outputs(Vec<Result<Output, OutputError>>),
}

impl Value {
    /// Whether it names nothing: it is blank, or an array without a text.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Blank => true,
            Self::List(texts) => texts.iter().all(String::is_empty),
            Self::Text(_) | Self::Names(_) | Self::Named { .. } | Self::Outputs(_) => false,
        }
    }
}

/// One object of `ARTIFACT_OUTPUTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where it lies; trimmed, not empty.
    pub uri: String,
    /// Its digest; trimmed, not empty.
    pub digest: String,
    /// `isBuildArtifact` as it was written; only `true` counts as such.
    pub is_build_artifact: Option<String>,
}

/// Why a hint's value can't be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Links would let one step read through another's eyes.
    #[error("it is a symbolic link, and none is followed here; write the value itself into the file")]
    Link,
    /// A FIFO would block us, a device might do worse.
    #[error("it is {0}, and only regular files are read; write the value into a file")]
    NotAFile(&'static str),
    /// More than a result can hold.
    #[error("it is larger than {} KiB, more than any result holds", MAX_FILE_BYTES / 1024)]
    TooBig,
    /// The results before it used up what is read in one run.
    #[error("the results before it filled the {} MiB that are read in all", MAX_ALL_BYTES / 1024 / 1024)]
    AllTooBig,
    /// The system refused to read the result.
    #[error("it can't be read; make it readable for the user that the signing step runs as")]
    Unreadable(#[source] io::Error),
    /// The result is not text in UTF-8.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// JSON of another type where one text belongs.
    #[error("it is a JSON {0}, and a string or an array of strings is needed")]
    NotText(&'static str),
    /// An array of something else.
    #[error("its entry {at} is a JSON {kind}, and a string is needed")]
    EntryNotText {
        /// Its number in the list; the first is 1.
        at: usize,
        /// The kind of value that was expected.
        kind: &'static str,
    },
    /// More than a matrix has TaskRuns.
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    /// JSON that is not a list of names.
    #[error(
        "it is a JSON {0}; write NAME@sha256:… entries separated by commas or newlines, or an array of them"
    )]
    NotNames(&'static str),
    /// Not what `ARTIFACT_OUTPUTS` holds.
    #[error("it is not a JSON object with \"uri\", \"digest\" and \"isBuildArtifact\", nor an array of such")]
    NotOutputs,
    /// More than a step builds.
    #[error("it has more than {MAX_OUTPUTS} objects")]
    TooManyOutputs,
}

/// The most objects in one `ARTIFACT_OUTPUTS`: each is reported on its own.
const MAX_OUTPUTS: usize = 1024;

/// The most entries in one array of URLs, URIs or digests: as many as a PipelineRun has TaskRuns.
const MAX_ENTRIES: usize = 4096;

/// Why one object of `ARTIFACT_OUTPUTS` can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// Another value is in the place of an object.
    #[error("it is not a JSON object with \"uri\", \"digest\" and \"isBuildArtifact\"")]
    NotAnObject,
    /// A field that must be there.
    #[error("its \"{0}\" is missing or blank")]
    Missing(&'static str),
    /// A field of another type: Tekton's object results hold strings only.
    #[error("its \"{0}\" is not a string")]
    NotText(&'static str),
}

/// Reads the value of a hint of this kind.
///
/// Total over all bytes; a kind that [names no subject](ResultKind::names_a_subject) gives [`Value::Blank`].
///
/// # Errors
///
/// When the bytes are not what such a hint holds.
pub fn parse_value(kind: &ResultKind, bytes: &[u8]) -> Result<Value, ValueError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ValueError::NotUtf8)?.trim();
    match kind {
        ResultKind::ImageUrl(_)
        | ResultKind::ImageDigest(_)
        | ResultKind::ArtifactUri(_)
        | ResultKind::ArtifactDigest(_) => texts(text),
        ResultKind::Images => names(text),
        ResultKind::ArtifactOutputs => outputs(text),
        ResultKind::Material | ResultKind::NearMiss { .. } | ResultKind::NoResultName | ResultKind::Other => {
            Ok(Value::Blank)
        }
    }
}

/// One text, or an array of them.
fn texts(text: &str) -> Result<Value, ValueError> {
    let text = match structure(text) {
        Some(Json::String(inner)) => inner,
        Some(Json::Null) => String::new(),
        Some(Json::Array(items)) => return list(items),
        Some(json) => return Err(ValueError::NotText(type_name(&json))),
        None => text.to_owned(),
    };
    let text = text.trim();
    Ok(if text.is_empty() { Value::Blank } else { Value::Text(text.to_owned()) })
}

fn list(items: Vec<Json>) -> Result<Value, ValueError> {
    if items.len() > MAX_ENTRIES {
        return Err(ValueError::TooManyEntries);
    }
    let text = |(at, item)| match item {
        Json::String(text) => Ok(text.trim().to_owned()),
        // Tekton reads it as an empty text.
        Json::Null => Ok(String::new()),
        other => Err(ValueError::EntryNotText { at: at + 1, kind: type_name(&other) }),
    };
    items.into_iter().enumerate().map(text).collect::<Result<Vec<_>, _>>().map(Value::List)
}

fn names(text: &str) -> Result<Value, ValueError> {
    let mut found = String::new();
    let mut add = |text: &str| {
        for name in split_names(text) {
            if !found.is_empty() {
                found.push('\n');
            }
            found.push_str(name);
        }
    };
    match structure(text) {
        Some(Json::String(inner)) => add(&inner),
        Some(Json::Array(items)) => {
            for item in items {
                match item {
                    Json::String(inner) => add(&inner),
                    _ => return Err(ValueError::NotNames("array with other things than strings")),
                }
            }
        }
        Some(Json::Null) => {}
        Some(json) => return Err(ValueError::NotNames(type_name(&json))),
        None => add(text),
    }
    Ok(if found.is_empty() { Value::Blank } else { Value::Names(found) })
}

/// The names in `text`: separated by commas and newlines, trimmed, without blank names.
fn split_names(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty())
}

fn outputs(text: &str) -> Result<Value, ValueError> {
    if text.is_empty() {
        return Ok(Value::Blank);
    }
    let found: Vec<_> = match structure(text) {
        Some(Json::Null) => return Ok(Value::Blank),
        Some(Json::String(inner)) if inner.trim().is_empty() => return Ok(Value::Blank),
        Some(Json::Array(items)) if items.len() > MAX_OUTPUTS => return Err(ValueError::TooManyOutputs),
        Some(Json::Array(items)) => items.iter().filter_map(|item| output(item).transpose()).collect(),
        Some(json @ Json::Object(_)) => output(&json).transpose().into_iter().collect(),
        _ => return Err(ValueError::NotOutputs),
    };
    Ok(if found.is_empty() { Value::Blank } else { Value::Outputs(found) })
}

/// One object; `None` when both its URI and its digest are blank, as a step leaves it that built nothing.
fn output(json: &Json) -> Result<Option<Output>, OutputError> {
    let parsed;
    let fields = match json {
        Json::Object(fields) => fields,
        // The elements of Tekton's array results are strings, so an object in one is JSON within JSON.
        Json::String(inner) => {
            parsed = structure(inner.trim());
            parsed.as_ref().and_then(Json::as_object).ok_or(OutputError::NotAnObject)?
        }
        _ => return Err(OutputError::NotAnObject),
    };
    let field = |name: &'static str| match fields.get(name) {
        None | Some(Json::Null) => Ok(""),
        Some(Json::String(text)) => Ok(text.trim()),
        Some(_) => Err(OutputError::NotText(name)),
    };
    let (uri, digest) = (field("uri")?, field("digest")?);
    let is_build_artifact = field("isBuildArtifact")?;
    match (uri.is_empty(), digest.is_empty()) {
        (true, true) if fields.contains_key("uri") || fields.contains_key("digest") => Ok(None),
        (true, _) => Err(OutputError::Missing("uri")),
        (_, true) => Err(OutputError::Missing("digest")),
        (false, false) => Ok(Some(Output {
            uri: uri.to_owned(),
            digest: digest.to_owned(),
            is_build_artifact: (!is_build_artifact.is_empty()).then(|| is_build_artifact.to_owned()),
        })),
    }
}

/// The JSON in `text` if Tekton would take it for such: a number or a boolean alone is plain text.
fn structure(text: &str) -> Option<Json> {
    if !text.starts_with(['[', '{', '"']) && text != "null" {
        return None;
    }
    // serde_json refuses what is nested deeper than 128; it is then no structure, only odd text.
    serde_json::from_str(text).ok()
}

fn type_name(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url() -> ResultKind {
        ResultKind::ImageUrl(String::new())
    }

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    fn parsed_names(bytes: &str) -> Vec<String> {
        match parse_value(&ResultKind::Images, bytes.as_bytes()).unwrap() {
            Value::Names(names) => names.lines().map(str::to_owned).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_are_trimmed_and_json_strings_unquoted() {
        for (bytes, want) in [
            ("registry.example/a\n", text("registry.example/a")),
            ("  \n x \t\n", text("x")),
            ("\"registry.example/a\\n\"", text("registry.example/a")),
            ("\"half a quote", text("\"half a quote")),
            ("true", text("true")),
            ("12", text("12")),
            ("[::1]:5000/a", text("[::1]:5000/a")),
            ("", Value::Blank),
            (" \n\t", Value::Blank),
            ("\"\"", Value::Blank),
            ("null", Value::Blank),
        ] {
            assert_eq!(parse_value(&url(), bytes.as_bytes()).unwrap(), want, "{bytes:?}");
        }
    }

    #[test]
    fn other_types_are_refused_where_one_text_belongs() {
        assert!(matches!(parse_value(&url(), b"{\"a\":1}"), Err(ValueError::NotText("object"))));
        assert!(matches!(parse_value(&url(), b"\xff"), Err(ValueError::NotUtf8)));
        assert!(matches!(parse_value(&ResultKind::Images, b"{}"), Err(ValueError::NotNames("object"))));
        assert!(matches!(parse_value(&ResultKind::Images, b"[1]"), Err(ValueError::NotNames(_))));
        assert!(matches!(parse_value(&ResultKind::ArtifactOutputs, b"a@b"), Err(ValueError::NotOutputs)));
    }

    #[test]
    fn arrays_of_texts_keep_each_position() {
        let list = |texts: &[&str]| Value::List(texts.iter().map(|text| (*text).to_owned()).collect());
        for (bytes, want) in [
            ("[\"a\"]", list(&["a"])),
            (" [\"a\\n\", \"\", \"b\"]\n", list(&["a", "", "b"])),
            ("[null, \"b\"]", list(&["", "b"])),
            ("[]", list(&[])),
            ("[\"\", \" \", null]", list(&["", "", ""])),
            ("[\"a\"", text("[\"a\"")),
        ] {
            assert_eq!(parse_value(&url(), bytes.as_bytes()).unwrap(), want, "{bytes:?}");
        }
        for (bytes, want) in
            [("[\"a\", 1]", (2, "number")), ("[[\"a\"]]", (1, "array")), ("[{}]", (1, "object"))]
        {
            let Err(ValueError::EntryNotText { at, kind }) = parse_value(&url(), bytes.as_bytes()) else {
                panic!("{bytes}");
            };
            assert_eq!((at, kind), want, "{bytes}");
        }
        let long = |count| format!("[{}\"a\"]", "\"a\",".repeat(count - 1));
        assert!(parse_value(&url(), long(MAX_ENTRIES).as_bytes()).is_ok());
        assert!(matches!(
            parse_value(&url(), long(MAX_ENTRIES + 1).as_bytes()),
            Err(ValueError::TooManyEntries)
        ));
    }

    #[test]
    fn images_split_on_commas_and_newlines_only() {
        assert_eq!(parsed_names("a,b\r\n  c  ,\n\nd,"), ["a", "b", "c", "d"]);
        assert_eq!(parsed_names("a;b c"), ["a;b c"]);
        assert_eq!(parsed_names(r#"["a", "b,c", " "]"#), ["a", "b", "c"]);
        assert_eq!(parsed_names(r#""a\nb""#), ["a", "b"]);
        for blank in ["", " , \n", "[]", "[\"\"]"] {
            assert_eq!(parse_value(&ResultKind::Images, blank.as_bytes()).unwrap(), Value::Blank, "{blank}");
        }
    }

    #[test]
    fn outputs_are_an_object_or_an_array_of_them() {
        let output = |flag: Option<&str>| {
            Ok(Output {
                uri: "reg.example/a".into(),
                digest: "sha256:1".into(),
                is_build_artifact: flag.map(str::to_owned),
            })
        };
        let parse = |text: &str| parse_value(&ResultKind::ArtifactOutputs, text.as_bytes()).unwrap();
        let object = r#"{"uri":" reg.example/a","digest":"sha256:1\n","isBuildArtifact":"true"}"#;
        assert_eq!(parse(object), Value::Outputs(vec![output(Some("true"))]));
        assert_eq!(
            parse(r#"{"uri":"reg.example/a","digest":"sha256:1"}"#),
            Value::Outputs(vec![output(None)])
        );
        let quoted = serde_json::to_string(object).unwrap();
        assert_eq!(
            parse(&format!("[{object}, {quoted}, 7, {{}}]")),
            Value::Outputs(vec![
                output(Some("true")),
                output(Some("true")),
                Err(OutputError::NotAnObject),
                Err(OutputError::Missing("uri")),
            ])
        );
        assert_eq!(parse(r#"{"uri":"","digest":" "}"#), Value::Blank);
        assert_eq!(parse("[]"), Value::Blank);
        assert_eq!(parse(r#"{"uri":"a"}"#), Value::Outputs(vec![Err(OutputError::Missing("digest"))]));
        assert_eq!(
            parse(r#"{"uri":"a","digest":"b","isBuildArtifact":true}"#),
            Value::Outputs(vec![Err(OutputError::NotText("isBuildArtifact"))])
        );
    }

    #[test]
    fn json_nested_without_end_is_only_odd_text() {
        let deep = "[".repeat(500_000);
        assert!(matches!(
            parse_value(&ResultKind::ArtifactOutputs, deep.as_bytes()),
            Err(ValueError::NotOutputs)
        ));
        let closed = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(parse_value(&url(), closed.as_bytes()).unwrap(), Value::Text(closed));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_value_or_a_reason(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            json in r#"[\[\]{}",:a-z0-9 \\n]{0,60}"#,
        ) {
            for kind in [url(), ResultKind::Images, ResultKind::ArtifactOutputs] {
                for bytes in [&bytes[..], json.as_bytes()] {
                    if let Ok(Value::Text(text)) = parse_value(&kind, bytes) {
                        prop_assert_eq!(text.trim(), text.as_str());
                        prop_assert!(!text.is_empty());
                    }
                }
            }
        }
    }
}
