//! One thread that reads and signs long payloads, one at a time.
//!
//! An allocator keeps what each thread has freed for that thread. Spread over the threads of a pool, long payloads would leave
//! their memory in each of them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use super::Refusal;

type Job = Box<dyn FnOnce() + Send>;

/// The thread, which starts with its first work and ends with this.
#[derive(Debug)]
pub(super) struct Worker {
    turns: Arc<Semaphore>,
    jobs: Mutex<Option<Sender<Job>>>,
}

impl Worker {
    /// Without its thread yet.
    pub(super) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(1)), jobs: Mutex::default() }
    }

    /// What `work` returns. Work that has begun is finished before the next begins, even if nothing waits for it any more.
    ///
    /// # Errors
    ///
    /// The thread can't be started, or the work panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Refusal::Internal)?;
        let (done, result) = oneshot::channel();
        let job = move || {
            // The thread outlives a panic.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
                let _ = done.send(result);
            }
            drop(turn);
        };
        self.begin(Box::new(job)).map_err(|_| Refusal::Internal)?;
        result.await.map_err(|_| Refusal::Internal)
    }

    /// Gives `job` to the thread, which is started where there is none.
    fn begin(&self, job: Job) -> io::Result<()> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.is_none() {
            let (thread, work) = channel::<Job>();
            std::thread::Builder::new()
                .name("long payloads".to_owned())
                .spawn(move || work.into_iter().for_each(|job| job()))?;
            *jobs = Some(thread);
        }
        let sent = jobs.as_ref().is_some_and(|thread| thread.send(job).is_ok());
        sent.then_some(()).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_one_thread_also_after_a_panic() {
        let worker = Worker::new();
        let name = || std::thread::current().id();
        let first = worker.run(name).await.unwrap();
        assert_eq!(worker.run(name).await.unwrap(), first);
        assert!(matches!(worker.run(|| panic!("as the test asks")).await, Err::<(), _>(Refusal::Internal)));
        assert_eq!(worker.run(name).await.unwrap(), first);
    }
}
