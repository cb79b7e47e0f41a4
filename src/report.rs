//! Stage report: how each subject ended, for people, for programs, and as the exit code.

pub mod own_results;
mod recorder;

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation, explain};
use crate::foreign::{self, Text};
use crate::object_name::Uid;
use crate::oci::{ImageRef, TagRef};
use crate::place::{Encoding, StoreKind};
use crate::process::Protection;
use crate::redact;
use crate::registry::client::Stats;
use crate::run::RunName;

pub use recorder::{Event, Recorder};

/// How a subject that is signed got there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Where its signatures lie.
    pub location: String,
    /// How many this run added.
    pub added: usize,
    /// How many of those wanted were there already, by this key.
    pub present: usize,
    /// How many earlier attestations of the same predicate types, by this key, it removed.
    pub replaced: usize,
    /// The key's fingerprint.
    pub key_id: String,
}

/// What was to be signed, and where it was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// `oci` for an image's signature, `taskrun` or `pipelinerun` for a run's, `attestation` for any other predicate.
    pub artifact: &'static str,
    /// The payload's format.
    pub format: &'static str,
    /// The store.
    pub store: &'static str,
    /// How it lies there, in the store `oci`: each encoding has an outcome of its own. `None`: another store.
    pub encoding: Option<Encoding>,
}

impl Label {
    /// An image's signature by tag.
    pub const IMAGE: Self =
        Self { artifact: "oci", format: "simplesigning", store: "oci", encoding: Some(Encoding::Dsse) };

    /// How something that is the same in all `encodings` is named in `store`: a label each in registries, one elsewhere.
    pub(crate) fn each(
        artifact: &'static str,
        format: &'static str,
        store: StoreKind,
        encodings: &[Encoding],
    ) -> Vec<Self> {
        let label = |encoding| Self { artifact, format, store: store.name, encoding };
        match store.is_beside_images() {
            true => encodings.iter().map(|encoding| label(Some(*encoding))).collect(),
            false => vec![label(None)],
        }
    }
}

/// What a signature is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// An image.
    Image(ImageRef),
    /// An image that an argument names by a tag, as long as nobody knows which one that is.
    Tag(TagRef),
    /// An entry of an index that names no manifest that can be signed.
    Entry {
        /// The index's repository.
        repository: String,
        /// The digest as the index has it; `None`: there is none.
        digest: Option<Text>,
    },
    /// A run, by its full name.
    Run {
        /// Its name.
        name: RunName,
        /// Its UID, if its object has one.
        uid: Option<Uid>,
    },
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => image.fmt(f),
            Self::Tag(tag) => tag.fmt(f),
            Self::Entry { repository, digest: Some(digest) } => write!(f, "{repository}@{digest:.200}"),
            Self::Entry { repository, digest: None } => {
                write!(f, "an entry without a digest in {repository}")
            }
            Self::Run { name, .. } => name.fmt(f),
        }
    }
}

/// How one subject ended, in one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was to be signed.
    pub label: Label,
    /// The subject.
    pub subject: About,
    /// What named it.
    pub from: Vec<String>,
    /// What became of it.
    pub result: Result<Done, Explanation>,
}

impl Outcome {
    /// An image's outcome; an error is turned into what is shown of it.
    pub(crate) fn of_image(
        label: Label,
        image: ImageRef,
        from: Vec<String>,
        result: Result<Done, impl Explain>,
    ) -> Self {
        let result = result.map_err(|error| Explanation::of(&error));
        Self { label, subject: About::Image(image), from, result }
    }

    /// The image whose own signature this is; `None`: it is something else.
    pub(crate) fn image_signature(&self) -> Option<&ImageRef> {
        match &self.subject {
            About::Image(image) if self.label.artifact == Label::IMAGE.artifact => Some(image),
            _ => None,
        }
    }

    /// What is signed, in words, where it isn't an image's own signature.
    fn what(&self) -> String {
        match self.label.artifact {
            "oci" => String::new(),
            artifact => format!("{artifact} {} of ", self.label.format),
        }
    }

    /// `signed`, `unchanged` or `failed`.
    pub fn status(&self) -> &'static str {
        match &self.result {
            Ok(done) if done.added > 0 || done.replaced > 0 => "signed",
            Ok(_) => "unchanged",
            Err(_) => "failed",
        }
    }

    /// The lines that a step log shows of it; `told` holds the explanations that were shown before.
    pub fn lines(&self, told: &mut HashSet<String>) -> Vec<String> {
        let from = self.from.join(", ");
        let (what, subject) = (self.what(), &self.subject);
        match &self.result {
            Ok(done) if done.added > 0 || done.replaced > 0 => {
                let mut lines = vec![
                    format!("signed     {what}{subject} ({from})"),
                    format!("           at {}", done.location),
                ];
                if done.replaced > 0 {
                    lines.push(format!(
                        "           replaced {} of the same type by this key",
                        match done.replaced {
                            1 => "1 earlier attestation".to_owned(),
                            number => format!("{number} earlier attestations"),
                        }
                    ));
                }
                lines
            }
            Ok(done) => vec![
                format!("unchanged  {what}{subject} ({from})"),
                format!("           already signed by this key at {}", done.location),
            ],
            Err(error) => {
                let mut lines = vec![format!("failed     {what}{subject} ({from})")];
                if told.insert(error.to_string()) {
                    lines.extend(error.lines());
                } else {
                    lines.push(format!("           as before: {}", error.error));
                }
                lines
            }
        }
    }
}

/// Something that a run sets out to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What is to be signed.
    pub label: Label,
    /// The subject.
    pub subject: About,
    /// What named it.
    pub from: Vec<String>,
}

impl Expected {
    /// The outcome of what was not done, for the reason `why`.
    pub(crate) fn failed(&self, why: &Explanation) -> Outcome {
        Outcome {
            label: self.label,
            subject: self.subject.clone(),
            from: self.from.clone(),
            result: Err(why.clone()),
        }
    }
}

/// How the run ended.
#[derive(Clone, Debug)]
pub struct Report {
    outcomes: Vec<Outcome>,
    /// What is to be known of runs, by the names that outcomes give as where they come from.
    notes: Vec<(String, Vec<String>)>,
    elapsed: Duration,
    requests: u64,
    /// Whether the run was ended before its work was over.
    interrupted: bool,
    /// What protected the process; `None`: it is left out.
    protection: Option<Protection>,
}

/// One subject in the JSON report.
#[derive(Serialize)]
struct Entry<'a> {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    from: &'a [String],
    artifact: &'static str,
    format: &'static str,
    store: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<usize>,
    #[serde(rename = "keyId", skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protection: Option<&'a Protection>,
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
    causes: &'a [String],
    used: Option<&'a str>,
    #[serde(rename = "do")]
    hint: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn new(outcome: &'a Outcome, report: &'a Report) -> Self {
        let done = outcome.result.as_ref().ok();
        let error = outcome.result.as_ref().err();
        let (uri, digest, uid) = match &outcome.subject {
            About::Image(image) => (image.repository.to_string(), Some(image.digest.as_str()), None),
            About::Tag(tag) => (tag.repository.to_string(), None, None),
            About::Entry { repository, digest } => (repository.clone(), digest.as_ref().map(Text::raw), None),
            About::Run { name, uid } => (name.to_string(), None, Some(uid.as_ref().map_or("", Uid::as_str))),
        };
        let tag = match &outcome.subject {
            About::Tag(tag) => Some(tag.tag.as_str()),
            _ => None,
        };
        Self {
            uri,
            digest,
            tag,
            uid,
            from: &outcome.from,
            artifact: outcome.label.artifact,
            format: outcome.label.format,
            store: outcome.label.store,
            encoding: outcome.label.encoding.map(Encoding::name),
            status: outcome.status(),
            notes: report
                .notes
                .iter()
                .filter(|(from, _)| outcome.from.contains(from))
                .flat_map(|(_, notes)| notes.iter().map(String::as_str))
                .collect(),
            location: done.map(|done| done.location.as_str()),
            added: done.map(|done| done.added),
            present: done.map(|done| done.present),
            replaced: done.map(|done| done.replaced).filter(|replaced| *replaced > 0),
            key_id: done.map(|done| done.key_id.as_str()),
            error: error.map(|error| Problem {
                error: &error.error,
                causes: &error.causes,
                used: error.used.as_deref(),
                hint: error.hint.as_deref(),
            }),
            protection: report.protection.as_ref(),
        }
    }
}

/// Why the report can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReportError {
    /// The file can't be written.
    #[error("cannot write the report {}", foreign::shown(&path.display().to_string(), 512))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another file can't be written, which is no report.
    #[error("cannot write {}", foreign::shown(&path.display().to_string(), 512))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It can't be written as JSON.
    #[error("cannot write the report as JSON")]
    Json(#[from] serde_json::Error),
}

impl ReportError {
    /// The same about a file that is no report.
    #[must_use]
    pub(crate) fn of_file(self) -> Self {
        match self {
            Self::Write { path, source } => Self::File { path, source },
            other => other,
        }
    }
}

explain! { ReportError,
    Self::Write { .. } | Self::File { .. } => ["output-unwritable", Usage,
        "name a file in a folder that this step's user may write, such as a workspace"],
    Self::Json(_) => ["fault-report", Usage],
}

impl Report {
    /// The report of a run.
    pub fn new(mut outcomes: Vec<Outcome>, elapsed: Duration, stats: Stats) -> Self {
        // They end in any order; the report has one: registries, in the order of their encodings, before other stores.
        let key = |outcome: &Outcome| {
            let Label { artifact, encoding, .. } = outcome.label;
            (artifact != Label::IMAGE.artifact, outcome.subject.clone(), encoding.is_none(), encoding)
        };
        outcomes.sort_by_cached_key(key);
        let (notes, requests) = (Vec::new(), stats.requests);
        Self { outcomes, notes, elapsed, requests, interrupted: false, protection: None }
    }

    /// The report of a run that refused to begin: every subject failed of the same.
    pub fn refused(expected: &[Expected], why: &Explanation) -> Self {
        let outcomes = expected.iter().map(|expected| expected.failed(why)).collect();
        Self::new(outcomes, Duration::ZERO, Stats::default())
    }

    /// How each subject ended.
    pub(crate) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The exit code that the subjects lead to. An interrupted run is never done, whatever its subjects are.
    pub fn exit(&self) -> ExitCode {
        let codes = self.outcomes.iter().map(|outcome| match &outcome.result {
            Ok(_) => ExitCode::Done,
            // Whatever the error says of itself, it is one.
            Err(error) if error.exit == ExitCode::Done => ExitCode::Failed,
            Err(error) => error.exit,
        });
        let interrupted = self.interrupted.then_some(ExitCode::Failed);
        codes.chain(interrupted).reduce(ExitCode::and).unwrap_or(ExitCode::Results)
    }

    /// The report as JSON: an array with one object a subject and store. Secrets in it are hidden ([`redact`]).
    ///
    /// # Errors
    ///
    /// When it can't be written as JSON, which would be a fault of ours.
    pub(crate) fn to_json(&self) -> Result<String, ReportError> {
        let entries: Vec<Entry<'_>> = self.outcomes.iter().map(|outcome| Entry::new(outcome, self)).collect();
        Ok(redact::text(&serde_json::to_string_pretty(&entries)?).into_owned() + "\n")
    }

    /// With what is to be known of runs, by the names that outcomes give as where they come from: what was not checked, what is missing.
    #[must_use]
    pub(crate) fn noting(mut self, notes: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// With what protected the process that signed.
    #[must_use]
    pub(crate) fn protected_by(self, protection: Protection) -> Self {
        Self { protection: Some(protection), ..self }
    }

    /// The last line of the step log.
    pub fn summary(&self) -> String {
        let count = |status| self.outcomes.iter().filter(|outcome| outcome.status() == status).count();
        let mut text = String::new();
        for (status, words) in [("signed", "signed"), ("unchanged", "unchanged"), ("failed", "failed")] {
            let number = count(status);
            if number > 0 || status == "signed" {
                // Writing to a String can't fail.
                let _ = write!(text, "{}{number} {words}", if text.is_empty() { "" } else { ", " });
            }
        }
        let added: usize = self.outcomes.iter().filter_map(|o| o.result.as_ref().ok()).map(|d| d.added).sum();
        let nothing = if added == 0 && count("failed") == 0 && count("signed") == 0 {
            "; nothing was added"
        } else {
            ""
        };
        let seconds = self.elapsed.as_secs_f64();
        format!("{text}{nothing} ({seconds:.2} s, {} requests)", self.requests)
    }
}

/// A file that will be written: its place is taken before the work begins, so that a run doesn't end
/// with everything done and nothing told.
#[derive(Debug)]
pub(crate) struct Pending {
    path: PathBuf,
    target: Target,
}

/// What is written.
#[derive(Debug)]
enum Target {
    /// A new file, which then takes the place of what lies there.
    New(NamedTempFile),
    /// What is there.
    Device(File),
}

/// Whether a report is written to what is at `path` instead of replacing it: to a device, and to a link in `/dev`, as `/dev/stdout` is one.
pub(crate) fn is_device(path: &Path) -> bool {
    let Ok(found) = path.symlink_metadata() else { return false };
    found.file_type().is_char_device() || found.is_symlink() && path.starts_with("/dev")
}

impl Pending {
    /// Makes a file beside `path`, which shows that `path` can be written; a device is opened.
    ///
    /// # Errors
    ///
    /// When the folder, or the device, can't be written.
    pub(crate) fn new(path: &Path) -> Result<Self, ReportError> {
        let target = if is_device(path) {
            // Where standard output is a file, the report comes behind what is in it.
            OpenOptions::new().append(true).open(path).map(Target::Device)
        } else {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // It is never read, so that where Landlock is in force nothing in its folder has to be readable.
            let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
            tempfile::Builder::new().prefix(".stepseal-").make_in(dir, create).map(Target::New)
        };
        let path = path.to_owned();
        match target {
            Ok(target) => Ok(Self { path, target }),
            Err(source) => Err(ReportError::Write { path, source }),
        }
    }

    /// Writes `bytes`: whole or not at all, and never through a link that lies there. A device gets them as they are.
    ///
    /// # Errors
    ///
    /// When the file can't be written after all.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<(), ReportError> {
        let written = match self.target {
            Target::Device(mut device) => device.write_all(bytes),
            Target::New(mut file) => {
                let written = file.write_all(bytes);
                written.and_then(|()| file.persist(&self.path).map(|_| ()).map_err(|failed| failed.error))
            }
        };
        written.map_err(|source| {
            // Landlock refuses to replace a folder before the kernel says that it is one.
            let source = if self.path.is_dir() { Errno::ISDIR.into() } else { source };
            ReportError::Write { path: self.path, source }
        })
    }
}
