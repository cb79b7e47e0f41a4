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
mod images;
mod results;
mod standing;
mod steps;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use images::{from_arguments, from_file};
pub use results::texts;
pub use standing::Standing;

use crate::explain::explain;
use crate::hint::Discovered;
use crate::input::InputError;
use folder::{Budget, MAX_ENTRIES};

/// Where a step finds what the steps before it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The Task's results, a file each.
    pub results_dir: PathBuf,
    /// The steps: Tekton's links into the sibling folder `run`, each with a folder `results`.
    pub steps_dir: PathBuf,
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

explain! { TektonError,
    Self::NoResults { .. } => ["results-folder-absent", Usage,
        "not in a TaskRun? name the folder with --results-dir, or name the images as arguments"],
    Self::NotAFolder { .. } => ["results-folder-link", Usage, "name the folder itself; a link to it is not followed"],
    Self::List { source: InputError::TooLarge { .. }, .. } | Self::ListTooLong { .. } => ["list-large", Usage,
        "split it: each run signs one list"],
    Self::Folder { source: InputError::Io(_), .. } => ["results-folder-unreadable", Failed,
        "make it readable for the user that the signing step runs as"],
    Self::Folder { source, .. } => [of source, or "results-folder-unreadable", Usage,
        "make it readable for the user that the signing step runs as"],
    Self::TooMany { .. } => ["results-folder-large", Results, "find the step that fills the folder; a Task's results are a few files"],
    Self::List { source, .. } => [of source, or "list-unreadable", Usage,
        "check the path, and that the user of the signing step may read it"],
    Self::ListNotText { .. } => ["list-not-text", Usage, "write one NAME@sha256:… a line"],
}

/// Reads the type hints of the Task's results and of the results of its steps.
///
/// The Task's come first, then the steps' in their order; in each place they are sorted by name.
///
/// # Errors
///
/// When the results folder is missing or either folder can't be read. A missing steps folder is none: not
/// every place that has results has steps. A single result that can't be read is a hint without a value.
pub(crate) fn discover(places: &Places) -> Result<Discovered, TektonError> {
    let mut budget = Budget::default();
    let mut found = Discovered::default();
    results::read(&places.results_dir, &mut budget, &mut found)?;
    steps::read(&places.steps_dir, &mut budget, &mut found)?;
    Ok(found)
}
