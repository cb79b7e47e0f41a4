//! What ends a command before its work is over: a signal, and the time limit.

use std::pin::Pin;
use std::time::{Duration, Instant};

/// How long after the time limit the run is ended from outside: requests keep to the limit by themselves, and say
/// more.
const GRACE: Duration = Duration::from_millis(500);

/// Waits for whatever ends work early, and says what it was. Signals are caught from this call on.
pub(super) struct Interruption(Pin<Box<dyn Future<Output = String>>>);

impl Interruption {
    /// Begins to wait; must be called inside a runtime.
    pub(super) fn new(deadline: Instant) -> Self {
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
    pub(super) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        tokio::select! {
            biased;
            output = work => Ok(output),
            why = &mut self.0 => Err(why),
        }
    }
}

/// Waits for the signals that end a step. They are caught from this call on, which must be inside a runtime.
pub(super) fn interrupted() -> impl Future<Output = &'static str> {
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
