//! Runs a command's work in an async runtime until it is done, its deadline is reached, or a signal arrives.

use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::explain::explain;

/// How long after the time limit the run is aborted. Requests obey the limit themselves and give better
/// errors.
const GRACE: Duration = Duration::from_millis(500);

/// The system refuses a resource that the runtime needs, such as a thread.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the runtime")]
pub(crate) struct RuntimeError(#[source] pub io::Error);

explain! { RuntimeError,
    _ => ["runtime-not-started", Failed, "give the step more memory and processes"],
}

/// A single-threaded runtime that starts further threads only for blocking work.
pub(crate) struct JobRuntime(Runtime);

impl JobRuntime {
    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// The system refuses to start a thread.
    pub(crate) fn start() -> Result<Self, RuntimeError> {
        Self::start_with(&mut Builder::new_current_thread())
    }

    /// Starts the runtime with at most `threads` threads for blocking work.
    ///
    /// # Errors
    ///
    /// The same as for [`start`](Self::start).
    pub(crate) fn with_threads(threads: usize) -> Result<Self, RuntimeError> {
        Self::start_with(Builder::new_current_thread().max_blocking_threads(threads))
    }

    fn start_with(builder: &mut Builder) -> Result<Self, RuntimeError> {
        // If no thread can start, tokio panics at the first blocking work.
        let trial = std::thread::Builder::new().spawn(|| {}).map_err(RuntimeError)?;
        // The thread does nothing, so it can't panic.
        let _ = trial.join();
        builder.enable_all().build().map(Self).map_err(RuntimeError)
    }

    /// Runs a part of the work to completion.
    pub(crate) fn part<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }

    /// Runs a part of the work until the deadline or a signal.
    ///
    /// # Errors
    ///
    /// The deadline or the signal that interrupted the work.
    pub(crate) fn part_until<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, String> {
        self.0.block_on(async { Interruption::new(deadline).or(work).await })
    }

    /// Runs the whole work to completion and shuts the runtime down.
    pub(crate) fn run<T>(self, work: impl Future<Output = T>) -> T {
        let output = self.part(work);
        self.end();
        output
    }

    /// Runs the whole work until the deadline or a signal, and shuts the runtime down.
    ///
    /// # Errors
    ///
    /// The deadline or the signal that interrupted the work.
    pub(crate) fn run_until<T>(self, deadline: Instant, work: impl Future<Output = T>) -> Result<T, String> {
        let output = self.part_until(deadline, work);
        self.end();
        output
    }

    /// Shuts the runtime down. A hanging credential helper, name lookup or file doesn't keep the step from ending.
    pub(crate) fn end(self) {
        self.0.shutdown_background();
    }
}

/// Waits for the deadline or a signal. It catches signals from its creation on.
pub(crate) struct Interruption(Pin<Box<dyn Future<Output = String>>>);

impl Interruption {
    /// Starts to wait. Must be called inside a runtime.
    pub(crate) fn new(deadline: Instant) -> Self {
        let signal = interrupted();
        Self(Box::pin(async move {
            tokio::select! {
                signal = signal => format!("{signal} interrupted the run"),
                () = tokio::time::sleep_until((deadline + GRACE).into()) => {
                    "the time limit of the run was reached".to_owned()
                }
            }
        }))
    }

    /// The output of `work`, or why it was interrupted. Finished work never counts as interrupted.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        tokio::select! {
            biased;
            output = work => Ok(output),
            why = &mut self.0 => Err(why),
        }
    }
}

/// Waits for a signal that ends a step. Catches signals from this call on. Must be called inside a runtime.
pub(crate) fn interrupted() -> impl Future<Output = &'static str> {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_unfinished_work_is_interrupted() {
        let past = Instant::now();
        let mut late = Interruption::new(past);
        tokio::time::sleep(GRACE * 2).await;
        assert_eq!(late.or(std::future::ready(1)).await, Ok(1));
        let why = late.or(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(why, "the time limit of the run was reached");
    }
}
