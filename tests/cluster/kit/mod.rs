//! What the scenarios share: programs, a namespace each, a registry, and the parts of a TaskRun.

pub(crate) mod gate;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod registry;
pub(crate) mod steps;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output, Stdio};
use std::sync::RwLock;
use std::time::Instant;

pub(crate) use place::Place;

/// Tekton's feature flags: who changes them writes, and who has them in what is signed reads.
pub(crate) static FEATURE_FLAGS: RwLock<()> = RwLock::new(());

/// Prints a line into the log, also of a test that passes: libtest doesn't capture what is written to standard error itself.
#[expect(clippy::disallowed_methods, reason = "libtest captures the other ways")]
pub(crate) fn log(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Runs a scenario in a namespace of its own, and says how long it took.
pub(crate) fn scenario(name: &str, body: impl FnOnce(&Place)) {
    let begun = Instant::now();
    let place = Place::new(name);
    let ended = catch_unwind(AssertUnwindSafe(|| body(&place)));
    let how = if ended.is_ok() { "" } else { "  FAILED" };
    log(&format!("scenario {name:<40} {:>6.1} s{how}", begun.elapsed().as_secs_f64()));
    if let Err(panic) = ended {
        log(&place.describe());
        resume_unwind(panic);
    }
}

/// What `tests/cluster/run` says in the environment.
pub(crate) fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run tests/cluster/run"))
}

/// Runs a command that must succeed; its standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command that must succeed with something on its standard input.
pub(crate) fn feed(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}
