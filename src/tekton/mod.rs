//! Stage discover: what Tekton left in this step's pod, as type hints.
//!
//! Results are untrusted: other steps wrote them. Only files whose name is a hint are opened, no link out
//! of the place they belong to is followed, nothing blocks, and everything has an upper limit. What can't
//! be taken stays in the answer with its reason; nothing is dropped.
//!
//! Nothing here knows a default path or decides what is signed: that is `config` and [`plan`](crate::plan).
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md#type-hinting>,
//! <https://github.com/tektoncd/pipeline/blob/v1.0.0/docs/tasks.md#emitting-results>

mod folder;
pub mod go_types;
mod hints;
mod images;
mod results;
pub mod run;
mod standing;
mod steps;
mod value;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::Serialize;

pub use hints::{ResultKind, SIGNED_IMAGES, Sign, classify};
pub use images::{MAX_IDENTITIES, from_arguments, from_file};
pub use results::texts;
pub use standing::Standing;
pub use value::{Output, OutputError, Value, ValueError, parse_value};

use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign::{self, Text};
use crate::input::InputError;
use folder::{Budget, MAX_ENTRIES};

/// The longest part of a name that is shown; Tekton's own names are shorter.
pub(crate) const NAME_SHOWN_BYTES: usize = 100;

/// Where a step finds what the steps before it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The Task's results, a file each.
    pub results_dir: PathBuf,
    /// The steps: Tekton's links into the folder `run` beside this one, each with a folder `results`.
    pub steps_dir: PathBuf,
}

/// What was found, in a stable order; nothing is judged yet.
#[derive(Debug, Default)]
pub struct Discovered {
    /// Every hint that names something built, whether or not its value could be read.
    pub hints: Vec<Hint>,
    /// What kept results from being looked at.
    pub problems: Vec<Problem>,
    /// Results that look like hints and are none.
    pub notes: Vec<Note>,
    /// Where was looked.
    pub looked: Vec<Looked>,
}

impl Discovered {
    /// Adds what was found elsewhere, behind what is there.
    pub fn extend(&mut self, other: Self) {
        self.hints.extend(other.hints);
        self.problems.extend(other.problems);
        self.notes.extend(other.notes);
        self.looked.extend(other.looked);
    }
}

/// One hint, as it was found.
#[derive(Debug)]
pub struct Hint {
    /// The place that pairs must share.
    pub scope: Scope,
    /// The result's name; of an argument or a line, which one it is.
    pub name: String,
    /// What its name says that it is.
    pub kind: ResultKind,
    /// Its value, or why it has none.
    pub value: Result<Value, ValueError>,
}

impl Hint {
    /// Where it stands, for people: `step build result IMAGES`.
    pub fn place(&self) -> String {
        self.scope.place(&self.name)
    }
}

/// The place a hint belongs to. The halves of a pair must share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The Task's results.
    Task,
    /// The results of the step with this name (or number, if it has no name).
    Step(Text),
    /// The results of a PipelineRun.
    Pipeline,
    /// The results of the TaskRun with this name, a PipelineRun's child.
    TaskRun(Text),
    /// The results of a step (the second name) of the TaskRun with the first name.
    TaskRunStep(Text, Text),
    /// The command line.
    Arguments,
    /// A file that lists images. Its text is never shown: who wrote the file may have made it a link to
    /// something that isn't theirs.
    File,
}

impl Scope {
    /// Where the result, argument or line `name` stands, for people.
    pub fn place(&self, name: &str) -> String {
        let name = foreign::shown(name, NAME_SHOWN_BYTES);
        match self {
            Self::Task => format!("result {name}"),
            Self::Step(step) => format!("step {step:.NAME_SHOWN_BYTES$} result {name}"),
            Self::Pipeline => format!("PipelineRun result {name}"),
            Self::TaskRun(run) => format!("TaskRun {run:.NAME_SHOWN_BYTES$} result {name}"),
            Self::TaskRunStep(run, step) => {
                format!("TaskRun {run:.NAME_SHOWN_BYTES$} step {step:.NAME_SHOWN_BYTES$} result {name}")
            }
            Self::Arguments | Self::File => name,
        }
    }

    /// Whether it belongs to a TaskRun of a PipelineRun, whose Task may be anyone's.
    pub fn is_of_a_child(&self) -> bool {
        matches!(self, Self::TaskRun(_) | Self::TaskRunStep(..))
    }

    /// Whether both belong to one TaskRun, or to a PipelineRun itself.
    pub fn shares_run_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Task | Self::Step(_), Self::Task | Self::Step(_)) => true,
            (
                Self::TaskRun(one) | Self::TaskRunStep(one, _),
                Self::TaskRun(two) | Self::TaskRunStep(two, _),
            ) => one == two,
            _ => self == other,
        }
    }

    /// Whether what belongs to it are results.
    pub fn has_results(&self) -> bool {
        !matches!(self, Self::Arguments | Self::File)
    }

    /// Whether a wrong value may be shown to the user.
    pub fn shows_values(&self) -> bool {
        !matches!(self, Self::File)
    }
}

/// Something that is wrong: nothing is signed unless the user asks to sign the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where: a result, an argument, a line of a file.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong with it, and what to write instead.
    pub what: String,
}

/// Something that the user should know, and that keeps nothing from being signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Where: a result, an argument, a line of a file, a run.
    #[serde(rename = "where")]
    pub place: String,
    /// Why it is not signed, or what is not known.
    pub what: String,
    /// What it is about.
    #[serde(skip)]
    pub kind: NoteKind,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A result that is not a hint.
    Result,
    /// Half a pair among the results of a PipelineRun's TaskRun.
    HalfPair,
    /// Something else: a run, an artifact, an argument.
    Other,
}

/// One place that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The folder or file, or `the command line`.
    pub place: String,
    /// How many results, lines or arguments it has.
    pub count: usize,
    /// The first few of their names.
    pub names: Vec<String>,
}

/// Why the results, or the list of images, can't be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TektonError {
    /// There is no such folder.
    #[error("there is no results folder {}", .path.display())]
    NoResults {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is a link or no folder.
    #[error("{} is {what}, and a folder is needed", .path.display())]
    NotAFolder {
        /// The folder.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The system refused.
    #[error("cannot read the folder {}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: InputError,
    },
    /// Too much to look at.
    #[error("the results below {} are more than {MAX_ENTRIES} files", .path.display())]
    TooMany {
        /// The folder in which it became too much.
        path: PathBuf,
    },
    /// The list can't be read.
    #[error("cannot read the list of images {}", .path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: InputError,
    },
    /// The list has too many names.
    #[error("the list of images {} has more than {} names", .path.display(), images::MAX_LISTED)]
    ListTooLong {
        /// The file.
        path: PathBuf,
    },
    /// The list is something else.
    #[error("the list of images {} is not UTF-8 text", .path.display())]
    ListNotText {
        /// The file.
        path: PathBuf,
    },
}

impl Explain for TektonError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoResults { .. } => {
                "not in a TaskRun? name the folder with --results-dir, or name the images as arguments"
            }
            Self::NotAFolder { .. } => "name the folder itself; a link to it is not followed",
            Self::List { source: InputError::TooLarge { .. }, .. } => "split it: each run signs one list",
            Self::Folder { source, .. } | Self::List { source, .. } if source.hint().is_some() => {
                return source.hint();
            }
            Self::Folder { .. } => "make it readable for the user that the signing step runs as",
            Self::TooMany { .. } => "find the step that fills the folder; a Task's results are a few files",
            Self::List { .. } => "check the path, and that the user of the signing step may read it",
            Self::ListTooLong { .. } => "split it: each run signs one list",
            Self::ListNotText { .. } => "write one NAME@sha256:… a line",
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Folder { source: InputError::Io(_), .. } => ExitCode::Failed,
            Self::TooMany { .. } => ExitCode::Results,
            _ => ExitCode::Usage,
        }
    }
}

/// Reads the type hints of the Task's results and of the results of its steps.
///
/// The Task's come first, then the steps' in their order; in each place they are sorted by name.
///
/// # Errors
///
/// When the results folder is missing or either folder can't be read. A missing steps folder is none: not
/// every place that has results has steps. A single result that can't be read is a hint without a value.
pub fn discover(places: &Places) -> Result<Discovered, TektonError> {
    let mut budget = Budget::default();
    let mut found = Discovered::default();
    results::read(&places.results_dir, &mut budget, &mut found)?;
    steps::read(&places.steps_dir, &mut budget, &mut found)?;
    Ok(found)
}
