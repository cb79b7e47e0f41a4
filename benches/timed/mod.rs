//! What a process takes, for the measurements beside cosign.
//!
//! Wall time is taken around the process; CPU time (user and system) and the highest resident size are what the kernel counted for
//! it, read by GNU time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::kit::run;

/// What one run of a program took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Wall-clock time in seconds.
    pub(crate) wall: f64,
    /// Seconds, to a hundredth.
    pub(crate) cpu: f64,
    /// The highest of all runs.
    pub(crate) peak_mib: f64,
    /// Not a number where nothing counted them.
    pub(crate) requests: f64,
}

impl Cost {
    /// The median of each figure.
    pub(crate) fn median(costs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            wall: of(|cost| cost.wall),
            cpu: of(|cost| cost.cpu),
            peak_mib: of(|cost| cost.peak_mib),
            requests: of(|cost| cost.requests),
        }
    }
}

/// Runs `command` so often below GNU time, with the environment that it was given, and gives the mean; it must succeed.
///
/// The kernel's times come in hundredths of a second, so what takes less is run many times.
pub(crate) fn timed(command: &Command, times: usize) -> Cost {
    const LOOP: &str = "n=$1; shift; while [ $n -gt 0 ]; do \"$@\" >/dev/null || exit 1; n=$((n - 1)); done";
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut time = Command::new(which("time"));
    time.args(["-f", "%U %S %M", "-o"]).arg(report.path());
    time.args(["/bin/sh", "-c", LOOP, "sh", &times.to_string()]);
    time.arg(which(command.get_program())).args(command.get_args()).env_clear();
    time.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        time.current_dir(folder);
    }
    let begun = Instant::now();
    run(&mut time).ok();
    let times = times as f64;
    let wall = begun.elapsed().as_secs_f64() / times;
    let report = std::fs::read_to_string(report.path()).unwrap();
    let numbers: Vec<f64> = report.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let [user, system, kib] = numbers[..] else { panic!("GNU time said {report:?}") };
    Cost { wall, cpu: (user + system) / times, peak_mib: kib / 1024.0, requests: f64::NAN }
}

/// A program's path: a cleared environment leaves none to search.
fn which(name: impl AsRef<Path>) -> PathBuf {
    let name = name.as_ref();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file()).unwrap()
}
