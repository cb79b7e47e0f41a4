//! The binary, and how it ended.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use stepseal::demo::registry::EmbeddedRegistry;
use tempfile::TempDir;

use crate::exits::trouble::{Sent, When};
use crate::kit::running::{HANGS, Running};

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The number of the signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// Runs the binary, with an empty environment, to its end; on the way it gets a signal, or none.
pub(crate) fn stepseal(
    folder: &TempDir,
    args: &[String],
    registry: &EmbeddedRegistry,
    sent: Option<Sent>,
) -> Result<Ended, String> {
    let log = folder.path().join("stderr");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(&log).unwrap());
    let (begun, before) = (Instant::now(), registry.requests().len() as u64);
    let mut child = Running::start(&mut command);
    let mut left = sent;
    let status = loop {
        if let Some(status) = child.try_wait() {
            break status;
        }
        let due = left.is_some_and(|sent| match sent.when {
            When::After(time) => begun.elapsed() >= time,
            When::Request(number) => registry.requests().len() as u64 >= before + number,
        });
        if let Some(sent) = left.filter(|_| due) {
            child.signal(sent.signal);
            left = None;
        }
        if child.hangs() {
            return Err(format!("it had not ended after {HANGS:?}"));
        }
        let waiting = left.is_some() || begun.elapsed() < Duration::from_millis(100);
        std::thread::sleep(Duration::from_millis(if waiting { 1 } else { 5 }));
    };
    Ok(Ended { status, stderr: std::fs::read_to_string(&log).unwrap() })
}
