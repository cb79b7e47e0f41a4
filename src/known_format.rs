//! Formats that people give where a bundle, a trusted root or a run belongs: recognized, so that the message says what the file is and
//! which command makes the right one of it.
//!
//! Only the shape is looked at: a few keys. Nothing is verified, and nothing is accepted because of it: a recognized file is refused all
//! the same. A row of [`ROWS`] is a format; the first one that fits is named.

mod rows;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use crate::foreign;
use crate::json::{self, Limit};
use crate::json_lines::without_mark;

pub(crate) use rows::{NO_RUN, ROWS};

/// The largest file that is looked into: larger ones are no metadata, and the message isn't worth the memory.
const LOOKED_BYTES: usize = 16 * 1024 * 1024;

/// What the values of such a file may take in memory.
const VALUES: Limit = Limit::memory(48 * 1024 * 1024);

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A Sigstore bundle.
    Bundle,
    /// A trusted root.
    TrustedRoot,
    /// A TaskRun or PipelineRun.
    Run,
}

/// One format.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// What it is, with its article.
    pub name: &'static str,
    /// Whether a file is it.
    is: fn(&Seen<'_>) -> bool,
    /// What the reader does to get a bundle; `None`: nothing but [`Wanted::hint`] helps.
    pub to_bundle: Option<&'static str>,
    /// What the reader does to get a trusted root.
    pub to_trusted_root: Option<&'static str>,
    /// What the reader does to get a run.
    pub to_run: Option<&'static str>,
}

/// A file, as far as it could be read.
struct Seen<'a> {
    bytes: &'a [u8],
    text: &'a str,
    json: Cow<'a, Value>,
}

/// A format that a file was recognized as.
#[derive(Clone)]
pub struct Known {
    row: &'static Row,
    /// What the file says that it is: the kind of a Kubernetes object, the message of an error.
    says: Option<String>,
}

impl Known {
    /// The format of a file; `None`: it isn't known.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let bytes = without_mark(bytes);
        if bytes.len() > LOOKED_BYTES {
            return None;
        }
        let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
        let json =
            if text.starts_with(['{', '[']) { json::value(text.as_bytes(), VALUES).ok() } else { None };
        Self::seen(&Seen { bytes, text, json: Cow::Owned(json.unwrap_or_default()) })
    }

    /// The format of one document of a file, which was read already.
    pub(crate) fn of_document(json: &Value) -> Option<Self> {
        // That nothing was written is said of files.
        if json.is_null() {
            return None;
        }
        Self::seen(&Seen { bytes: &[], text: "", json: Cow::Borrowed(json) })
    }

    fn seen(seen: &Seen<'_>) -> Option<Self> {
        let row = ROWS.iter().find(|row| (row.is)(seen))?;
        Some(Self { row, says: says(seen) })
    }

    /// The format of a file that isn't `wanted`; `None`: it isn't known, or it is just that, and something else is wrong with it.
    pub(crate) fn other_than(wanted: Wanted, bytes: &[u8]) -> Option<Self> {
        Self::of(bytes).filter(|known| known.row.name != wanted.name())
    }

    /// Whether it is an object of a cluster.
    pub(crate) fn is_kubernetes(&self) -> bool {
        matches!(self.row.name, rows::RUN | rows::OBJECT)
    }

    /// What it is, with its article.
    pub fn name(&self) -> String {
        match &self.says {
            Some(says) => format!("{} ({})", self.row.name, foreign::shown(says, 200)),
            None => self.row.name.to_owned(),
        }
    }

    /// What the reader does to get what is `wanted`. `FILE` in it stands for the file.
    pub fn hint(&self, wanted: Wanted) -> &'static str {
        let own = match wanted {
            Wanted::Bundle => self.row.to_bundle,
            Wanted::TrustedRoot => self.row.to_trusted_root,
            Wanted::Run => self.row.to_run,
        };
        own.unwrap_or(wanted.hint())
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Wanted {
    /// The name of its row.
    const fn name(self) -> &'static str {
        match self {
            Self::Bundle => rows::BUNDLE,
            Self::TrustedRoot => rows::TRUSTED_ROOT,
            Self::Run => rows::RUN,
        }
    }

    /// What the reader does where the format has no way to it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Bundle => {
                "give the Sigstore bundle that was made with the artifact, often named ARTIFACT.sigstore.json"
            }
            Self::TrustedRoot => {
                "give a trusted_root.json, as Sigstore's TUF repository has it, or as `cosign trusted-root create` or \
                 `gh attestation trusted-root` prints it"
            }
            Self::Run => "give one TaskRun, or one PipelineRun followed by its own TaskRuns",
        }
    }
}

impl<'a> Seen<'a> {
    /// The text at a path of keys; empty where there is none.
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

    /// The value at one of the lines `KEY: VALUE` of YAML that aren't indented.
    fn yaml(&self, key: &str) -> &'a str {
        let values = self.text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        values.map(|value| value.trim().trim_matches(['"', '\''])).next().unwrap_or_default()
    }

    /// Whether it is a Kubernetes object of one of these kinds.
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

/// What a file says that it is, beyond its format.
fn says(seen: &Seen<'_>) -> Option<String> {
    if let Some((version, kind)) = seen.kubernetes()
        && !(kind == "Status" && seen.has("/message"))
    {
        return Some(format!("{kind} of {version}"));
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
