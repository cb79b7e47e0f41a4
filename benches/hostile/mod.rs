//! A corpus of hostile inputs, and what the binary takes to refuse each of them.
//!
//! To add a case, push a [`Case`] to the list of a file here (or add a file, and a line in [`cases`]). Its name is
//! `COMMAND: what is hostile`; its `make` writes the input below `scene.folder()`, starts what it needs (which lives in `Job::keep` as
//! long as the command runs), and returns the command, from [`Scene::command`]. Each input has at most [`INPUT_BYTES`] in all, and is made
//! anew each time: nothing large is committed.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod files;
#[path = "../../tests/hermetic/kit/peak.rs"]
mod peak;
mod registry;
mod shapes;

/// The largest input, in bytes.
pub(crate) const INPUT_BYTES: usize = 16_000_000;
/// The bar: the most memory that the command may have at once, in KiB.
pub(crate) const MAX_MEMORY_KIB: u64 = 128 * 1024;
/// What each command gets as `--timeout`, where it takes that.
pub(crate) const TIMEOUT: &str = "3s";
/// The bar: the most seconds that the command may run, two more than `TIMEOUT`.
pub(crate) const MAX_SECONDS: f64 = 5.0;
/// A command that still runs after this is ended.
const LOST: Duration = Duration::from_secs(60);
/// How often the peak is looked at.
const POLL: Duration = Duration::from_micros(500);

/// A hostile input and how to run it.
pub(crate) struct Case {
    /// `COMMAND: what is hostile`.
    pub(crate) name: String,
    /// Makes the input and the command that reads it.
    pub(crate) make: Box<dyn FnOnce(&Scene) -> Job>,
}

impl Case {
    /// Makes a case of a name and its input.
    pub(crate) fn new(name: impl Into<String>, make: impl FnOnce(&Scene) -> Job + 'static) -> Self {
        Self { name: name.into(), make: Box::new(make) }
    }
}

/// A command and what it reads.
pub(crate) struct Job {
    /// The command that reads the input.
    pub(crate) command: Command,
    /// How many bytes the input has.
    pub(crate) bytes: u64,
    /// What must live as long as the command runs, such as a registry.
    pub(crate) keep: Option<Box<dyn Any>>,
}

impl Job {
    /// A command that reads a file of `bytes`.
    pub(crate) fn new(command: Command, bytes: usize) -> Self {
        Self { command, bytes: bytes as u64, keep: None }
    }
}

/// A folder of its own for one case.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// Makes a scene without files.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Returns the folder of the scene.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and gives its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary with `arguments`, without anything of the environment, in a home of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let binary = std::env::var_os("STEPSEAL_BINARY");
        let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_stepseal").into()));
        command.args(arguments).env_clear().env("HOME", self.folder()).current_dir(self.folder());
        command
    }
}

/// What a command took.
pub(crate) struct Measured {
    /// Its exit code; `None`: a signal ended it.
    pub(crate) code: Option<i32>,
    /// The most memory that it had, in KiB.
    pub(crate) peak_kib: u64,
    /// How long it ran.
    pub(crate) seconds: f64,
    /// The beginning of what it said.
    pub(crate) stderr: String,
}

impl Measured {
    /// Whether it is above a bar, or did not end by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.is_too_large() || self.seconds > MAX_SECONDS
    }

    /// Whether it took too much memory, or did not end by itself: what doesn't depend on what else the machine does.
    pub(crate) fn is_too_large(&self) -> bool {
        self.code.is_none() || self.peak_kib > MAX_MEMORY_KIB
    }
}

/// Every case of the corpus.
pub(crate) fn cases() -> Vec<Case> {
    files::cases().into_iter().chain(registry::cases()).collect()
}

/// Runs a command to its end.
pub(crate) fn measure(job: Job) -> Measured {
    let Job { mut command, keep, .. } = job;
    let said = tempfile::NamedTempFile::new().unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.reopen().unwrap());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut peak_kib = 0;
    let status = loop {
        // A process that has ended has no peak any more.
        peak_kib = peak::peak_kib(child.id()).unwrap_or(0).max(peak_kib);
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > LOST => child.kill().unwrap(),
            None => std::thread::sleep(POLL),
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    drop(keep);
    let stderr = std::fs::read_to_string(said.path()).unwrap_or_default();
    Measured { code: status.code(), peak_kib, seconds, stderr: stderr.chars().take(2000).collect() }
}
