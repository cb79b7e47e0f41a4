//! Stage report: how each subject ended, for people, for programs, and as the exit code.

pub mod own_results;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::foreign;
use crate::plan::PlannedImage;
use crate::registry::ImageRef;
use crate::registry::client::Stats;

/// How a subject that is signed got there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Where its signatures lie.
    pub location: String,
    /// How many this run added.
    pub added: usize,
    /// How many of those wanted were there already, by this key.
    pub present: usize,
    /// The key's fingerprint.
    pub key_id: String,
}

/// How one subject ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The subject.
    pub image: ImageRef,
    /// What named it.
    pub from: Vec<String>,
    /// What became of it.
    pub result: Result<Done, Explanation>,
}

impl Outcome {
    /// An outcome; an error is turned into what is shown of it.
    pub fn new(image: ImageRef, from: Vec<String>, result: Result<Done, impl Explain>) -> Self {
        Self { image, from, result: result.map_err(|error| Explanation::of(&error)) }
    }

    /// `signed`, `unchanged` or `failed`.
    pub fn status(&self) -> &'static str {
        match &self.result {
            Ok(done) if done.added > 0 => "signed",
            Ok(_) => "unchanged",
            Err(_) => "failed",
        }
    }

    /// What a step log shows of it; `told` holds the explanations that were shown before.
    pub fn lines(&self, told: &mut HashSet<String>) -> String {
        let from = self.from.join(", ");
        match &self.result {
            Ok(done) if done.added > 0 => {
                format!("signed     {} ({from})\n           at {}", self.image, done.location)
            }
            Ok(done) => format!(
                "unchanged  {} ({from})\n           already signed by this key at {}",
                self.image, done.location
            ),
            Err(error) => {
                let explained = error.to_string();
                let again = format!("           as before: {}", error.error);
                let what = if told.insert(explained.clone()) { explained } else { again };
                format!("failed     {} ({from})\n{what}", self.image)
            }
        }
    }
}

/// How the run ended.
#[derive(Clone, Debug)]
pub struct Report {
    outcomes: Vec<Outcome>,
    elapsed: Duration,
    requests: u64,
}

/// One subject in the JSON report.
#[derive(Serialize)]
struct Entry<'a> {
    uri: String,
    digest: &'a str,
    from: &'a [String],
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<usize>,
    #[serde(rename = "keyId", skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
    causes: &'a [String],
    used: Option<&'a str>,
    #[serde(rename = "do")]
    hint: Option<&'a str>,
}

impl<'a> From<&'a Outcome> for Entry<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let done = outcome.result.as_ref().ok();
        let error = outcome.result.as_ref().err();
        Self {
            uri: outcome.image.repository.to_string(),
            digest: outcome.image.digest.as_str(),
            from: &outcome.from,
            status: outcome.status(),
            location: done.map(|done| done.location.as_str()),
            added: done.map(|done| done.added),
            present: done.map(|done| done.present),
            key_id: done.map(|done| done.key_id.as_str()),
            error: error.map(|error| Problem {
                error: &error.error,
                causes: &error.causes,
                used: error.used.as_deref(),
                hint: error.hint.as_deref(),
            }),
        }
    }
}

/// Why the report can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file can't be written.
    #[error("cannot write the report {}", foreign::shown(&path.display().to_string(), 512))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It can't be written as JSON.
    #[error("cannot write the report as JSON")]
    Json(#[from] serde_json::Error),
}

impl Explain for ReportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Write { .. } => {
                Some("name a file in a folder that this step's user may write, such as a workspace".into())
            }
            Self::Json(_) => None,
        }
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl Report {
    /// The report of a run.
    pub fn new(mut outcomes: Vec<Outcome>, elapsed: Duration, stats: Stats) -> Self {
        // They end in any order; the report has one.
        outcomes.sort_by(|one, two| one.image.cmp(&two.image));
        Self { outcomes, elapsed, requests: stats.requests }
    }

    /// The report of a run that refused to begin: every subject failed of the same.
    pub fn refused(images: &[PlannedImage], why: &Explanation) -> Self {
        let outcomes = images.iter().map(|planned| Outcome {
            image: planned.image.clone(),
            from: planned.from.clone(),
            result: Err(why.clone()),
        });
        Self::new(outcomes.collect(), Duration::ZERO, Stats::default())
    }

    /// The report of a run that was ended from outside: what hadn't ended by then failed, of `why`.
    pub fn interrupted(
        mut outcomes: Vec<Outcome>,
        images: &[PlannedImage],
        why: &str,
        elapsed: Duration,
        stats: Stats,
    ) -> Self {
        let why = Explanation {
            error: why.to_owned(),
            causes: Vec::new(),
            used: None,
            hint: Some("run again; what is signed stays signed".into()),
            exit: ExitCode::Failed,
        };
        let missing: Vec<Outcome> = images
            .iter()
            .filter(|planned| !outcomes.iter().any(|outcome| outcome.image == planned.image))
            .map(|planned| Outcome {
                image: planned.image.clone(),
                from: planned.from.clone(),
                result: Err(why.clone()),
            })
            .collect();
        outcomes.extend(missing);
        Self::new(outcomes, elapsed, stats)
    }

    /// How each subject ended.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The exit code that the subjects lead to.
    pub fn exit(&self) -> ExitCode {
        let codes = self.outcomes.iter().map(|outcome| match &outcome.result {
            Ok(_) => ExitCode::Done,
            Err(error) => error.exit,
        });
        codes.reduce(ExitCode::and).unwrap_or(ExitCode::Results)
    }

    /// The report as JSON: an array with one object a subject.
    ///
    /// # Errors
    ///
    /// When it can't be written as JSON, which would be a fault of ours.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let entries: Vec<Entry<'_>> = self.outcomes.iter().map(Entry::from).collect();
        Ok(serde_json::to_string_pretty(&entries)? + "\n")
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
        let nothing = if added == 0 && count("failed") == 0 { "; nothing was added" } else { "" };
        let seconds = self.elapsed.as_secs_f64();
        format!("{text}{nothing} ({seconds:.2} s, {} requests)", self.requests)
    }
}

/// A file that will be written: its place is taken before the work begins, so that a run doesn't end
/// with everything done and nothing told.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    file: NamedTempFile,
}

impl Pending {
    /// Makes a file beside `path`, which shows that `path` can be written.
    ///
    /// # Errors
    ///
    /// When the folder can't be written.
    pub fn new(path: &Path) -> Result<Self, ReportError> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.permissions(PermissionsExt::from_mode(0o644));
        let file = builder.prefix(".stepseal-").tempfile_in(dir);
        let path = path.to_owned();
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(ReportError::Write { path, source }),
        }
    }

    /// Writes `bytes`: whole or not at all, and never through a link that lies there.
    ///
    /// # Errors
    ///
    /// When the file can't be written after all.
    pub fn write(mut self, bytes: &[u8]) -> Result<(), ReportError> {
        let written = self.file.write_all(bytes);
        let kept = written.and_then(|()| self.file.persist(&self.path).map_err(|failed| failed.error));
        kept.map(|_| ()).map_err(|source| ReportError::Write { path: self.path, source })
    }
}
