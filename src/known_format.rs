//! Recognizes files of the wrong format, given in place of a bundle, a trusted root or a run. The message then names the format and
//! the command that converts it.
//!
//! Recognition looks at a few keys only. It verifies nothing, and a recognized file is still rejected. Each row of [`ROWS`] is a
//! format; the first match wins.

mod rows;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use crate::foreign;
use crate::json::{self, MemoryLimit};
use crate::json_lines::without_mark;

pub(crate) use rows::{NO_RUN, ROWS};

/// The largest file that is examined, in bytes. Larger files are not metadata, and the message isn't worth the memory.
const LOOKED_BYTES: usize = 16 * 1024 * 1024;

/// The memory limit for the parsed values of a file.
const VALUES: MemoryLimit = MemoryLimit::memory(48 * 1024 * 1024);

/// The format that the command expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedFormat {
    /// A Sigstore bundle, of any version.
    Bundle,
    /// A Sigstore trusted root.
    TrustedRoot,
    /// A TaskRun or a PipelineRun.
    Run,
}

/// A format, and how to get from it to the expected formats.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// The format's name with its article.
    pub name: &'static str,
    /// Whether a file has this format.
    is: fn(&ParsedFile<'_>) -> bool,
    /// How to get a bundle; `None` if only [`WantedFormat::hint`] applies.
    pub to_bundle: Option<&'static str>,
    /// How to get a trusted root.
    pub to_trusted_root: Option<&'static str>,
    /// How to get a TaskRun or PipelineRun.
    pub to_run: Option<&'static str>,
}

/// A file's bytes, with its text and JSON if it has them.
struct ParsedFile<'a> {
    bytes: &'a [u8],
    text: &'a str,
    json: Cow<'a, Value>,
}

/// The recognized format of a file.
#[derive(Clone)]
pub struct KnownFormat {
    row: &'static Row,
    /// A detail from the file: the kind of a Kubernetes object, or an error message.
    says: Option<String>,
}

impl KnownFormat {
    /// Recognizes a file; `None` if no format matches.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let bytes = without_mark(bytes);
        if bytes.len() > LOOKED_BYTES {
            return None;
        }
        let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
        let json =
            if text.starts_with(['{', '[']) { json::value(text.as_bytes(), VALUES).ok() } else { None };
        Self::seen(&ParsedFile { bytes, text, json: Cow::Owned(json.unwrap_or_default()) })
    }

    /// Recognizes a document that is already parsed.
    pub(crate) fn of_document(json: &Value) -> Option<Self> {
        // Only a whole file can be "an empty file".
        if json.is_null() {
            return None;
        }
        Self::seen(&ParsedFile { bytes: &[], text: "", json: Cow::Borrowed(json) })
    }

    fn seen(seen: &ParsedFile<'_>) -> Option<Self> {
        let row = ROWS.iter().find(|row| (row.is)(seen))?;
        Some(Self { row, says: says(seen) })
    }

    /// Recognizes a file that isn't `wanted`; `None` if no format matches, or if the file is `wanted` but has another error.
    pub(crate) fn other_than(wanted: WantedFormat, bytes: &[u8]) -> Option<Self> {
        Self::of(bytes).filter(|known| known.row.name != wanted.name())
    }

    /// Whether the file is a Kubernetes object.
    pub(crate) fn is_kubernetes(&self) -> bool {
        matches!(self.row.name, rows::RUN | rows::OBJECT)
    }

    /// The format's name with its article, and the detail from the file.
    pub fn name(&self) -> String {
        match &self.says {
            Some(says) => format!("{} ({})", self.row.name, foreign::escape(says, 200)),
            None => self.row.name.to_owned(),
        }
    }

    /// How to get the `wanted` format. `FILE` in the text stands for the file.
    pub fn hint(&self, wanted: WantedFormat) -> &'static str {
        let own = match wanted {
            WantedFormat::Bundle => self.row.to_bundle,
            WantedFormat::TrustedRoot => self.row.to_trusted_root,
            WantedFormat::Run => self.row.to_run,
        };
        own.unwrap_or(wanted.hint())
    }
}

impl std::fmt::Debug for KnownFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl WantedFormat {
    /// The name of the format's row.
    const fn name(self) -> &'static str {
        match self {
            Self::Bundle => rows::BUNDLE,
            Self::TrustedRoot => rows::TRUSTED_ROOT,
            Self::Run => rows::RUN,
        }
    }

    /// The advice for files from which no command gets the wanted format.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Bundle => "give the artifact's Sigstore bundle, often named ARTIFACT.sigstore.json",
            Self::TrustedRoot => {
                "give a trusted_root.json from Sigstore's TUF repository, or as `cosign trusted-root create` or \
                 `gh attestation trusted-root` prints it"
            }
            Self::Run => "give one TaskRun, or one PipelineRun followed by its own TaskRuns",
        }
    }
}

impl<'a> ParsedFile<'a> {
    /// The string at a JSON pointer; empty if there is none.
    fn string(&self, path: &str) -> &str {
        self.json.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn has(&self, path: &str) -> bool {
        self.json.pointer(path).is_some_and(|value| !value.is_null())
    }

    fn has_all(&self, paths: &[&str]) -> bool {
        paths.iter().all(|path| self.has(path))
    }

    fn is_object(&self, path: &str) -> bool {
        self.json.pointer(path).is_some_and(Value::is_object)
    }

    /// The value of an unindented YAML line `KEY: VALUE`.
    fn yaml(&self, key: &str) -> &'a str {
        let values = self.text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        values.map(|value| value.trim().trim_matches(['"', '\''])).next().unwrap_or_default()
    }

    /// Whether the file is a Kubernetes object of one of these kinds.
    fn is_kind(&self, kinds: &[&str]) -> bool {
        self.kubernetes().is_some_and(|(_, kind)| kinds.contains(&kind))
    }

    /// The `apiVersion` and the `kind` of a Kubernetes object, in JSON or YAML.
    fn kubernetes(&self) -> Option<(&str, &str)> {
        let (version, kind) = match self.json.is_object() {
            true => (self.string("/apiVersion"), self.string("/kind")),
            false => (self.yaml("apiVersion"), self.yaml("kind")),
        };
        (!version.is_empty() && !kind.is_empty()).then_some((version, kind))
    }
}

/// A detail from the file that the format's name doesn't include.
fn says(seen: &ParsedFile<'_>) -> Option<String> {
    if let Some((version, kind)) = seen.kubernetes()
        && !(kind == "Status" && seen.has("/message"))
    {
        return Some(format!("{version} {kind}"));
    }
    if rows::is_tuf(seen) {
        return Some(seen.string("/signed/_type").to_owned());
    }
    ["/predicateType", "/message"]
        .iter()
        .map(|path| seen.string(path))
        .find(|text| !text.is_empty())
        .map(str::to_owned)
}
