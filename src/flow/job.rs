//! Runs a job: the runtime that its requests need, and what ends it early, which is its deadline or a signal.

use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::explain::explain;

/// How long after the time limit the run is ended from outside: requests keep to the limit by themselves, and say
/// more.
const GRACE: Duration = Duration::from_millis(500);

/// The system refuses what a runtime needs, such as a thread.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the runtime")]
pub(crate) struct NoRuntime(#[source] pub io::Error);

explain! { NoRuntime,
    _ => ["runtime-not-started", Failed, "give the step more memory and processes"],
}

/// A job that can begin: it has a runtime of one thread, which starts others for what blocks.
pub(crate) struct Job(Runtime);

impl Job {
    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// The system has no thread for it.
    pub(crate) fn start() -> Result<Self, NoRuntime> {
        Self::start_with(&mut Builder::new_current_thread())
    }

    /// Starts the runtime of a job that has at most `threads` for what blocks.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) fn with_threads(threads: usize) -> Result<Self, NoRuntime> {
        Self::start_with(Builder::new_current_thread().max_blocking_threads(threads))
    }

    fn start_with(builder: &mut Builder) -> Result<Self, NoRuntime> {
        // Without any thread, tokio would panic when the first work that blocks comes.
        let trial = std::thread::Builder::new().spawn(|| {}).map_err(NoRuntime)?;
        // It does nothing that could fail.
        let _ = trial.join();
        builder.enable_all().build().map(Self).map_err(NoRuntime)
    }

    /// Does a part of the job.
    pub(crate) fn part<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }

    /// Does a part of the job, unless the deadline or a signal comes first: then the error says which.
    ///
    /// # Errors
    ///
    /// The work was ended early.
    pub(crate) fn part_until<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, String> {
        self.0.block_on(async { Interruption::new(deadline).or(work).await })
    }

    /// Does the whole job.
    pub(crate) fn run<T>(self, work: impl Future<Output = T>) -> T {
        let output = self.part(work);
        self.end();
        output
    }

    /// Does the whole job, unless the deadline or a signal comes first: then the error says which.
    ///
    /// # Errors
    ///
    /// The work was ended early.
    pub(crate) fn run_until<T>(self, deadline: Instant, work: impl Future<Output = T>) -> Result<T, String> {
        let output = self.part_until(deadline, work);
        self.end();
        output
    }

    /// Ends the job. A credential helper, a name look-up or a file that hangs does not keep the step from ending.
    pub(crate) fn end(self) {
        self.0.shutdown_background();
    }
}

/// Waits for whatever ends work early, and says what it was. Signals are caught from this call on.
pub(crate) struct Interruption(Pin<Box<dyn Future<Output = String>>>);

impl Interruption {
    /// Begins to wait; must be called inside a runtime.
    pub(crate) fn new(deadline: Instant) -> Self {
        let signal = interrupted();
        Self(Box::pin(async move {
            tokio::select! {
                signal = signal => format!("{signal} came before the end"),
                () = tokio::time::sleep_until((deadline + GRACE).into()) => {
                    "the time limit of the run is over".to_owned()
                }
            }
        }))
    }

    /// The output of `work`, or why it was ended early. Work that is over is never called interrupted.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        tokio::select! {
            biased;
            output = work => Ok(output),
            why = &mut self.0 => Err(why),
        }
    }
}

/// Waits for the signals that end a step. They are caught from this call on, which must be inside a runtime.
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
    async fn work_that_is_over_is_not_interrupted_and_other_work_is() {
        let past = Instant::now();
        let mut late = Interruption::new(past);
        tokio::time::sleep(GRACE * 2).await;
        assert_eq!(late.or(std::future::ready(1)).await, Ok(1));
        let why = late.or(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(why, "the time limit of the run is over");
    }
}
