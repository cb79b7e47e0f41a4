//! The runtime that a command's requests run in.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Starts a runtime of one thread, which starts others for what blocks.
///
/// # Errors
///
/// When the system refuses what it needs, such as a thread: without any, tokio would panic when the first work that blocks comes.
pub(super) fn start() -> io::Result<Runtime> {
    start_with(&mut Builder::new_current_thread())
}

/// The same with settings of its own.
///
/// # Errors
///
/// As [`start`].
pub(super) fn start_with(builder: &mut Builder) -> io::Result<Runtime> {
    let trial = std::thread::Builder::new().spawn(|| {})?;
    // It does nothing that could fail.
    let _ = trial.join();
    builder.enable_all().build()
}
