//! Runs a program to its end and keeps what it said.

use std::path::Path;
use std::process::Command;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// What was run, for messages.
    pub(crate) line: String,
    /// Its exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// What it printed for machines.
    pub(crate) stdout: String,
    /// What it printed for people.
    pub(crate) stderr: String,
}

impl Ran {
    /// The same, when it ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.ended(0)
    }

    /// The same, when it ended with `code`.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Returns the same if the output for people contains `what`.
    #[track_caller]
    pub(crate) fn says(self, what: &str) -> Self {
        assert!(self.stderr.contains(what) || self.stdout.contains(what), "no {what:?} in: {self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nexit code {}\n{}\n{}", self.line, self.code, self.stdout, self.stderr)
    }
}

/// Runs `command` to its end, without standard input.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    let output = match command.stdin(std::process::Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("cannot run {line}: {error}; tests/peers/run installs what is missing"),
    };
    Ran {
        line,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Another project's program, with nothing of this environment but `PATH`, and `home` as its home.
pub(crate) fn peer(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(home).env("HOME", home).env("DOCKER_CONFIG", home.join("docker"));
    for name in ["PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The same for a server: it ends with the thread that starts it, also where that is killed.
pub(crate) fn mortal(program: &str, home: &Path) -> Command {
    let mut command = peer("setpriv", home);
    command.args(["--pdeathsig", "KILL", program]);
    command
}
