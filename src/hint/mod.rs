//! Type hints: what results, runs and arguments say that was built, with where each comes from.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md#type-hinting>

mod kind;
mod take;
mod value;

use serde::Serialize;

pub use kind::{ResultKind, SIGNED_IMAGES, Sign, classify};
pub(crate) use take::take;
pub use value::{Output, OutputError, Value, ValueError, parse_value};

use crate::foreign::{self, UntrustedText};

/// The most that is read of one file. Results share 4 KiB through the termination message, and about
/// 1.5 MB (what etcd stores in one object) with sidecar logs; 1 MiB names more than 8,000 images.
pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The most that is read of all results in one run: several times what a TaskRun can report.
pub(crate) const MAX_ALL_BYTES: u64 = 8 * 1024 * 1024;

/// The longest part of a name that is shown; Tekton's own names are shorter.
pub(crate) const NAME_SHOWN_BYTES: usize = 100;

/// The most identities of one image. Each is a signature of its own; a release has a dozen names with a few tags each.
pub(crate) const MAX_IDENTITIES: usize = 256;

/// What was found, in a stable order; nothing is judged yet.
#[derive(Debug, Default)]
pub struct Discovered {
    /// Every hint that names something built, whether or not its value could be read.
    pub hints: Vec<Hint>,
    /// What kept results from being looked at.
    pub problems: Vec<Problem>,
    /// Results that look like hints and are none.
    pub notes: Vec<Note>,
    /// The places that were searched, for the report.
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
    /// The name of the result, or the number of the argument or line.
    pub name: String,
    /// What its name says that it is.
    pub kind: ResultKind,
    /// Its value, or why it has none.
    pub value: Result<Value, ValueError>,
}

impl Hint {
    /// Its location, for people: `step build result IMAGES`.
    pub fn place(&self) -> String {
        self.scope.place(&self.name)
    }
}

/// The place a hint belongs to. The halves of a pair must share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The results of the Task.
    Task,
    /// The results of the step with this name (or number, if it has no name).
    Step(UntrustedText),
    /// The results of a PipelineRun.
    Pipeline,
    /// The results of the TaskRun with this name, a PipelineRun's child.
    TaskRun(UntrustedText),
    /// The results of a step (the second name) of the TaskRun with the first name.
    TaskRunStep(UntrustedText, UntrustedText),
    /// The arguments on the command line.
    Arguments,
    /// A file that lists images. Its text is never shown: who wrote the file may have made it a link to
    /// something that isn't theirs.
    File,
}

impl Scope {
    /// The location of the result, argument or line `name`, for people.
    pub fn place(&self, name: &str) -> String {
        let name = foreign::escape(name, NAME_SHOWN_BYTES);
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
    pub(crate) fn is_of_a_child(&self) -> bool {
        matches!(self, Self::TaskRun(_) | Self::TaskRunStep(..))
    }

    /// Whether both belong to one TaskRun, or to a PipelineRun itself.
    pub(crate) fn shares_run_with(&self, other: &Self) -> bool {
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
    pub(crate) fn has_results(&self) -> bool {
        !matches!(self, Self::Arguments | Self::File)
    }

    /// Whether a wrong value may be shown to the user.
    pub(crate) fn shows_values(&self) -> bool {
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
