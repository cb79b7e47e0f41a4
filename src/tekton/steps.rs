//! Step results: below the steps folder, once for each step.
//!
//! Tekton's entrypoint makes `steps/step-NAME` and `steps/N` links to `run/N/status`; a step's results are
//! regular files in `results` below that. A step can't change `steps`, but all of its own `run/N` is its own to
//! replace. So a link in `steps` is read, not followed: it must lead below the folder `run` beside `steps`, and the
//! way there is walked name by name without following any link. A plain folder in `steps` is taken as it is.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.0.0/docs/stepactions.md#emitting-results>

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::TektonError;
use super::folder::Budget;
use super::results::{folder_error, read_folder, words};
use crate::foreign;
use crate::hint::{Discovered, Problem, Scope};
use crate::input::{Entry, Folder, InputError, normal};

/// A step's folder: names to walk from a folder that is trusted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    below: Below,
    names: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Below {
    Run,
    Steps,
}

/// What a step is called, best name first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Name(String),
    Number(String),
}

impl Label {
    fn of(entry: &OsStr) -> Self {
        let entry = entry.to_string_lossy();
        match entry.strip_prefix("step-") {
            Some(name) => Self::Name(name.to_owned()),
            None => Self::Number(entry.into_owned()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Number(text) => text,
        }
    }
}

/// Reads the results of every step in `path`; a missing folder has none.
pub(super) fn read(path: &Path, budget: &mut Budget, found: &mut Discovered) -> Result<(), TektonError> {
    let steps = match Folder::open_named(path) {
        Ok(folder) => folder,
        Err(error) if error.is_missing() => return Ok(()),
        Err(error) => return Err(folder_error(path, error)),
    };
    let roots = Roots::beside(path, &steps);
    let mut ways: BTreeMap<Way, Vec<Label>> = BTreeMap::new();
    for entry in budget.names(&steps).map_err(|error| folder_error(path, error))? {
        match way(&steps, &roots, &entry) {
            Ok(Some(way)) => ways.entry(way).or_default().push(Label::of(&entry)),
            Ok(None) => {}
            Err(what) => found.problems.push(Problem { place: place(&Label::of(&entry)), what }),
        }
    }
    let mut ways: Vec<(Way, Vec<Label>)> = ways.into_iter().collect();
    for (_, labels) in &mut ways {
        labels.sort();
    }
    ways.sort_by_cached_key(|(way, labels)| (number(way, labels), labels.clone()));

    let mut seen = HashSet::new();
    for (way, labels) in &ways {
        let Some(label) = labels.first() else { continue };
        let root = match way.below {
            Below::Run => &roots.run,
            Below::Steps => &roots.steps,
        };
        match walk(&steps, way, &roots) {
            Ok(Some(results)) => {
                let identity = results.identity();
                if identity.is_ok_and(|identity| !seen.insert(identity)) {
                    continue;
                }
                let shown: PathBuf = root.join(way.names.iter().collect::<PathBuf>()).join("results");
                let scope = Scope::Step(label.text().into());
                match read_folder(&results, &scope, &shown, budget, found) {
                    Err(InputError::TooManyEntries { .. }) => {
                        return Err(TektonError::TooMany { path: shown });
                    }
                    Err(error) => found.problems.push(refused(label, "results", &error)),
                    Ok(()) => {}
                }
            }
            Ok(None) => {}
            Err((name, error)) => found.problems.push(refused(label, &name, &error)),
        }
    }
    Ok(())
}

/// The place in the Task: the number that Tekton gave the step, and then the steps without a number.
fn number(way: &Way, labels: &[Label]) -> u64 {
    let of_way = way.names.first().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    of_way.or_else(|| labels.iter().find_map(|label| label.text().parse().ok())).unwrap_or(u64::MAX)
}

/// The folders that a step's results may lie below.
struct Roots {
    steps: PathBuf,
    run: PathBuf,
    /// `run` without links on the way to it, which may be how a link in `steps` names it.
    run_resolved: Option<PathBuf>,
}

impl Roots {
    fn beside(path: &Path, steps: &Folder) -> Self {
        let run_resolved = steps.path().parent().map(|parent| parent.join("run"));
        let steps = normal(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let run = steps.parent().unwrap_or(Path::new("/")).join("run");
        Self { run_resolved, steps, run }
    }
}

/// Where the entry of the steps folder leads; `None` if it is neither a link nor a folder.
fn way(steps: &Folder, roots: &Roots, entry: &OsStr) -> Result<Option<Way>, String> {
    let unreadable = |error: std::io::Error| format!("its folder can't be read: {}", words(&error));
    match steps.entry(entry).map_err(unreadable)? {
        Entry::Other => Ok(None),
        Entry::Folder => Ok(Some(Way { below: Below::Steps, names: vec![entry.to_owned()] })),
        Entry::Link => {
            let target = steps.link_target(entry).map_err(unreadable)?;
            let target = normal(&roots.steps.join(target));
            let below = |root: &Path| target.strip_prefix(root).ok().map(Path::to_owned);
            let rest = below(&roots.run).or_else(|| roots.run_resolved.as_deref().and_then(below));
            let names: Vec<OsString> = rest
                .map(|rest| rest.components().map(|part| part.as_os_str().to_owned()).collect())
                .unwrap_or_default();
            if names.is_empty() {
                let run = foreign::escape(&roots.run.to_string_lossy(), 200);
                return Err(format!("its folder is a link that leads out of {run}, and is not followed"));
            }
            Ok(Some(Way { below: Below::Run, names }))
        }
    }
}

/// Opens a step's results folder, name by name; `None` if the step has none (yet). An error names the part
/// that was refused.
fn walk(steps: &Folder, way: &Way, roots: &Roots) -> Result<Option<Folder>, (String, InputError)> {
    let mut folder = match way.below {
        Below::Steps => None,
        Below::Run => match Folder::open_named(&roots.run) {
            Ok(folder) => Some(folder),
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(("run".to_owned(), error)),
        },
    };
    for name in way.names.iter().map(OsString::as_os_str).chain([OsStr::new("results")]) {
        match folder.as_ref().unwrap_or(steps).below(name) {
            Ok(next) => folder = Some(next),
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err((name.to_string_lossy().into_owned(), error)),
        }
    }
    Ok(folder)
}

fn place(label: &Label) -> String {
    format!("step {}", foreign::escape(label.text(), crate::hint::NAME_SHOWN_BYTES))
}

fn refused(label: &Label, name: &str, error: &InputError) -> Problem {
    let name = foreign::escape(name, crate::hint::NAME_SHOWN_BYTES);
    let what = match error {
        InputError::Link => format!("its folder \"{name}\" is a symbolic link, and none is followed here"),
        InputError::NotAFolder => format!("its \"{name}\" is not a folder"),
        missing if missing.is_missing() => format!("its folder \"{name}\" went away while it was read"),
        other => format!("its folder \"{name}\" can't be read: {}", words(other)),
    };
    Problem { place: place(label), what }
}
