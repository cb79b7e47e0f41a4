//! Stage report: the outcome of each subject, for people, for programs, and as the exit code.

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
use crate::foreign::{self, UntrustedText};
use crate::object_name::Uid;
use crate::oci::{ImageRef, TagRef};
use crate::place::{Encoding, StoreKind};
use crate::process::Protection;
use crate::redact;
use crate::registry::client::Stats;
use crate::run::RunName;

pub use recorder::{RunEvent, RunRecorder};

/// The details of a successful outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOutcome {
    /// The location of its signatures.
    pub location: String,
    /// How many signatures this run added.
    pub added: usize,
    /// How many of the wanted signatures by this key already existed.
    pub present: usize,
    /// How many earlier attestations by this key with the same predicate types this run removed.
    pub replaced: usize,
    /// The fingerprint of the key.
    pub key_id: String,
}

/// The artifact, format, store and encoding of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutcomeLabel {
    /// `oci` for an image's signature, `taskrun` or `pipelinerun` for a run's, `attestation` for any other predicate.
    pub artifact: &'static str,
    /// The format of the payload.
    pub format: &'static str,
    /// The name of the store.
    pub store: &'static str,
    /// The encoding in the store `oci`, where each encoding has an outcome of its own; `None` for other stores.
    pub encoding: Option<Encoding>,
}

impl OutcomeLabel {
    /// The label of an image's signature under a cosign tag.
    pub const IMAGE: Self =
        Self { artifact: "oci", format: "simplesigning", store: "oci", encoding: Some(Encoding::Dsse) };

    /// The labels of an artifact in `store`: a label for each of `encodings` in registries, a single label elsewhere.
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

/// The subject of an outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportSubject {
    /// An image, by its digest.
    Image(ImageRef),
    /// An image that an argument names by a tag that is not resolved yet.
    Tag(TagRef),
    /// An index entry that can't be signed.
    Entry {
        /// The repository of the index.
        repository: String,
        /// The digest as the index has it; `None` if the entry has no digest.
        digest: Option<UntrustedText>,
    },
    /// A TaskRun or PipelineRun.
    Run {
        /// The run's full name.
        name: RunName,
        /// The run's UID, if its object has a UID.
        uid: Option<Uid>,
    },
}

impl fmt::Display for ReportSubject {
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

/// The outcome of one subject in one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectOutcome {
    /// What was to be signed, and where it was to be stored.
    pub label: OutcomeLabel,
    /// The image or run that was to be signed.
    pub subject: ReportSubject,
    /// The sources that named the subject.
    pub from: Vec<String>,
    /// The result: signed, or why not.
    pub result: Result<SignedOutcome, Explanation>,
}

impl SubjectOutcome {
    /// Creates the outcome of an image, with an explanation of the error if there is an error.
    pub(crate) fn of_image(
        label: OutcomeLabel,
        image: ImageRef,
        from: Vec<String>,
        result: Result<SignedOutcome, impl Explain>,
    ) -> Self {
        let result = result.map_err(|error| Explanation::of(&error));
        Self { label, subject: ReportSubject::Image(image), from, result }
    }

    /// The image, if this is the outcome of an image's own signature.
    pub(crate) fn image_signature(&self) -> Option<&ImageRef> {
        match &self.subject {
            ReportSubject::Image(image) if self.label.artifact == OutcomeLabel::IMAGE.artifact => Some(image),
            _ => None,
        }
    }

    /// A prefix that says what is signed; empty for an image's own signature.
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

    /// The lines for the step log. `shown` collects the explanations, so that each is printed in full only once.
    pub fn lines(&self, shown: &mut HashSet<String>) -> Vec<String> {
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
                if shown.insert(error.to_string()) {
                    lines.extend(error.lines());
                } else {
                    lines.push(format!("           as before: {}", error.error));
                }
                lines
            }
        }
    }
}

/// An outcome that a run has to produce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedOutcome {
    /// What is to be signed, and where it is to be stored.
    pub label: OutcomeLabel,
    /// The image or run that was to be signed.
    pub subject: ReportSubject,
    /// The sources that named the subject.
    pub from: Vec<String>,
}

impl ExpectedOutcome {
    /// The failed outcome for the reason `why`.
    pub(crate) fn failed(&self, why: &Explanation) -> SubjectOutcome {
        SubjectOutcome {
            label: self.label,
            subject: self.subject.clone(),
            from: self.from.clone(),
            result: Err(why.clone()),
        }
    }
}

/// The outcomes of a run, with notes and statistics.
#[derive(Clone, Debug)]
pub struct Report {
    outcomes: Vec<SubjectOutcome>,
    /// Notes about runs, by the name that outcomes give in `from`.
    notes: Vec<(String, Vec<String>)>,
    elapsed: Duration,
    requests: u64,
    /// Whether the run was interrupted.
    interrupted: bool,
    /// How the process was protected; `None` if the report omits it.
    protection: Option<Protection>,
}

/// One outcome in the JSON report.
#[derive(Serialize)]
struct ReportEntry<'a> {
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
    error: Option<ReportProblem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protection: Option<&'a Protection>,
}

#[derive(Serialize)]
struct ReportProblem<'a> {
    error: &'a str,
    causes: &'a [String],
    used: Option<&'a str>,
    #[serde(rename = "do")]
    hint: Option<&'a str>,
}

impl<'a> ReportEntry<'a> {
    fn new(outcome: &'a SubjectOutcome, report: &'a Report) -> Self {
        let done = outcome.result.as_ref().ok();
        let error = outcome.result.as_ref().err();
        let (uri, digest, uid) = match &outcome.subject {
            ReportSubject::Image(image) => (image.repository.to_string(), Some(image.digest.as_str()), None),
            ReportSubject::Tag(tag) => (tag.repository.to_string(), None, None),
            ReportSubject::Entry { repository, digest } => {
                (repository.clone(), digest.as_ref().map(UntrustedText::raw), None)
            }
            ReportSubject::Run { name, uid } => {
                (name.to_string(), None, Some(uid.as_ref().map_or("", Uid::as_str)))
            }
        };
        let tag = match &outcome.subject {
            ReportSubject::Tag(tag) => Some(tag.tag.as_str()),
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
            error: error.map(|error| ReportProblem {
                error: &error.error,
                causes: &error.causes,
                used: error.used.as_deref(),
                hint: error.hint.as_deref(),
            }),
            protection: report.protection.as_ref(),
        }
    }
}

/// Why the report, or another output file, can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReportError {
    /// The report's file can't be written.
    #[error("cannot write the report {}", foreign::escape(&path.display().to_string(), 512))]
    Write {
        /// The path of the file.
        path: PathBuf,
        /// The error that the system returned.
        source: std::io::Error,
    },
    /// A file other than the report can't be written.
    #[error("cannot write {}", foreign::escape(&path.display().to_string(), 512))]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error that the system returned.
        source: std::io::Error,
    },
    /// The report can't be serialized as JSON.
    #[error("cannot write the report as JSON")]
    Json(#[from] serde_json::Error),
}

impl ReportError {
    /// Changes the message to one about a file other than the report.
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
        "name a file in a directory that this step's user can write to, such as a workspace"],
    Self::Json(_) => ["fault-report", Usage],
}

impl Report {
    /// Creates the report of a run.
    pub fn new(mut outcomes: Vec<SubjectOutcome>, elapsed: Duration, stats: Stats) -> Self {
        // Outcomes arrive in any order. The report sorts registries, by encoding, before other stores.
        let key = |outcome: &SubjectOutcome| {
            let OutcomeLabel { artifact, encoding, .. } = outcome.label;
            (artifact != OutcomeLabel::IMAGE.artifact, outcome.subject.clone(), encoding.is_none(), encoding)
        };
        outcomes.sort_by_cached_key(key);
        let (notes, requests) = (Vec::new(), stats.requests);
        Self { outcomes, notes, elapsed, requests, interrupted: false, protection: None }
    }

    /// The report of a run that refused to start: every subject failed for the same reason.
    pub fn refused(expected: &[ExpectedOutcome], why: &Explanation) -> Self {
        let outcomes = expected.iter().map(|expected| expected.failed(why)).collect();
        Self::new(outcomes, Duration::ZERO, Stats::default())
    }

    /// The outcome of each subject in each store.
    pub(crate) fn outcomes(&self) -> &[SubjectOutcome] {
        &self.outcomes
    }

    /// The exit code for these outcomes. An interrupted run is never [`SignedOutcome`](ExitCode::Done).
    pub fn exit(&self) -> ExitCode {
        let codes = self.outcomes.iter().map(|outcome| match &outcome.result {
            Ok(_) => ExitCode::Done,
            // An error is a failure, whatever its own exit code.
            Err(error) if error.exit == ExitCode::Done => ExitCode::Failed,
            Err(error) => error.exit,
        });
        let interrupted = self.interrupted.then_some(ExitCode::Failed);
        codes.chain(interrupted).reduce(ExitCode::and).unwrap_or(ExitCode::Results)
    }

    /// The report as JSON: an array with an object for each subject and store. Secrets in it are hidden ([`redact`]).
    ///
    /// # Errors
    ///
    /// The report can't be serialized, which is a bug.
    pub(crate) fn to_json(&self) -> Result<String, ReportError> {
        let entries: Vec<ReportEntry<'_>> =
            self.outcomes.iter().map(|outcome| ReportEntry::new(outcome, self)).collect();
        Ok(redact::text(&serde_json::to_string_pretty(&entries)?).into_owned() + "\n")
    }

    /// Adds notes about runs, by the name that outcomes give in `from`: unchecked facts, and missing data.
    #[must_use]
    pub(crate) fn noting(mut self, notes: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Adds how the signing process was protected.
    #[must_use]
    pub(crate) fn protected_by(self, protection: Protection) -> Self {
        Self { protection: Some(protection), ..self }
    }

    /// The summary line at the end of the step log.
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

/// An output file that is created before the work begins, so that a run doesn't finish its work and then
/// fail to write the report.
#[derive(Debug)]
pub(crate) struct PendingFile {
    path: PathBuf,
    target: PendingTarget,
}

/// The file that [`PendingFile::write`] writes to.
#[derive(Debug)]
enum PendingTarget {
    /// A new file, which then replaces the file at the path.
    New(NamedTempFile),
    /// The existing device, opened for writing.
    Device(File),
}

/// Whether a report is written to the existing file at `path` instead of replacing it. That applies to devices and to links in `/dev` such as
/// `/dev/stdout`.
pub(crate) fn is_device(path: &Path) -> bool {
    let Ok(found) = path.symlink_metadata() else { return false };
    found.file_type().is_char_device() || found.is_symlink() && path.starts_with("/dev")
}

impl PendingFile {
    /// Creates a temporary file beside `path`, which proves that `path` can be written. A device is opened instead.
    ///
    /// # Errors
    ///
    /// The directory or the device can't be written to.
    pub(crate) fn new(path: &Path) -> Result<Self, ReportError> {
        let target = if is_device(path) {
            // If standard output is a file, the report is appended to it.
            OpenOptions::new().append(true).open(path).map(PendingTarget::Device)
        } else {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // The file is opened for writing only, so that Landlock rules needn't make its directory readable.
            let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
            tempfile::Builder::new().prefix(".stepseal-").make_in(dir, create).map(PendingTarget::New)
        };
        let path = path.to_owned();
        match target {
            Ok(target) => Ok(Self { path, target }),
            Err(source) => Err(ReportError::Write { path, source }),
        }
    }

    /// Writes `bytes` atomically, and replaces a link rather than following it. Writes to a device are not atomic.
    ///
    /// # Errors
    ///
    /// The file can't be written, although it was created.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<(), ReportError> {
        let written = match self.target {
            PendingTarget::Device(mut device) => device.write_all(bytes),
            PendingTarget::New(mut file) => {
                let written = file.write_all(bytes);
                written.and_then(|()| file.persist(&self.path).map(|_| ()).map_err(|failed| failed.error))
            }
        };
        written.map_err(|source| {
            // Landlock refuses to replace a directory before the kernel reports that it is a directory.
            let source = if self.path.is_dir() { Errno::ISDIR.into() } else { source };
            ReportError::Write { path: self.path, source }
        })
    }
}
