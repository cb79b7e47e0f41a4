//! The position of this step in its Task: its name, the later steps, and the directory of its own results.
//!
//! A pod has a folder `run/N` for each of its steps, beside the steps' folder, and a container can write to no other
//! than its own: the others are mounted read-only, for root too. The names are those of the links `step-NAME`, which
//! lead to `run/N/status`; no link in these folders is followed. The folders are Tekton's own mounts, and only their names
//! and flags are looked at, so that they are listed here and not by [`input`](crate::input).
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.0.0/docs/developers/pipelineruns-and-taskruns.md>

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::foreign;
use crate::hint::NAME_SHOWN_BYTES;

/// No pod has more steps than this.
const MAX_STEPS: usize = 4096;

/// This step's place in its Task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The folder of this step's own results, which no later step can write to.
    pub results: PathBuf,
    /// The later steps in their order, escaped for display.
    pub later: Vec<String>,
}

impl Standing {
    /// Finds the step whose folder can be written; `None` outside a pod of Tekton's, and where that is not exactly one.
    pub fn find(steps_dir: &Path) -> Option<Self> {
        Self::among(steps_dir, |folder| {
            statvfs(folder).is_ok_and(|found| !found.f_flag.contains(StatVfsMountFlags::RDONLY))
        })
    }

    fn among(steps_dir: &Path, writable: impl Fn(&Path) -> bool) -> Option<Self> {
        let run = steps_dir.parent()?.join("run");
        let mut numbers: Vec<u64> = entries(&run).filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        let mut own = numbers.iter().filter(|number| writable(&run.join(number.to_string())));
        let (Some(own), None) = (own.next(), own.next()) else { return None };
        let names = names(steps_dir);
        let shown = |number: &u64| names.get(number).cloned().unwrap_or_else(|| number.to_string());
        Some(Self {
            results: run.join(own.to_string()).join("status").join("results"),
            later: numbers.iter().filter(|number| *number > own).map(shown).collect(),
        })
    }
}

/// The steps' names by their numbers, as the links say.
fn names(steps_dir: &Path) -> BTreeMap<u64, String> {
    let named = entries(steps_dir).filter_map(|entry| {
        let name = entry.strip_prefix("step-")?;
        let link = std::fs::read_link(steps_dir.join(&entry)).ok()?;
        let number = link.parent()?.file_name()?.to_str()?.parse().ok()?;
        Some((number, foreign::escape(name, NAME_SHOWN_BYTES)))
    });
    named.collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().take(MAX_STEPS).flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A pod with these steps; as in a real one, the links are there before the first runs.
    fn pod(names: &[&str]) -> tempfile::TempDir {
        let pod = tempfile::tempdir().unwrap();
        fs::create_dir(pod.path().join("steps")).unwrap();
        for (number, name) in names.iter().enumerate() {
            let status = pod.path().join(format!("run/{number}/status"));
            fs::create_dir_all(&status).unwrap();
            for link in [format!("steps/step-{name}"), format!("steps/{number}")] {
                symlink(&status, pod.path().join(link)).unwrap();
            }
        }
        pod
    }

    fn standing(pod: &tempfile::TempDir, own: &[&str]) -> Option<Standing> {
        let own: Vec<PathBuf> = own.iter().map(|own| pod.path().join("run").join(own)).collect();
        Standing::among(&pod.path().join("steps"), |folder| own.contains(&folder.to_owned()))
    }

    #[test]
    fn the_steps_behind_are_named_in_their_order() {
        let names: Vec<String> = (0..12).map(|number| format!("s{number}")).collect();
        let pod = pod(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let found = standing(&pod, &["8"]).unwrap();
        assert_eq!(found.later, ["s9", "s10", "s11"]);
        assert_eq!(found.results, pod.path().join("run/8/status/results"));
        assert!(standing(&pod, &["11"]).unwrap().later.is_empty());
    }

    #[test]
    fn where_it_is_not_clear_nothing_is_said() {
        let pod = pod(&["build", "sign"]);
        assert_eq!(standing(&pod, &[]), None);
        assert_eq!(standing(&pod, &["0", "1"]), None);
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(Standing::find(&empty.path().join("steps")), None);
    }

    #[test]
    fn a_name_can_not_forge_a_line_of_the_log() {
        let pod = pod(&["sign", "x\nerror: all is lost"]);
        let found = standing(&pod, &["0"]).unwrap();
        assert!(!found.later[0].contains('\n'), "{found:?}");
    }
}
