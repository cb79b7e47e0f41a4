//! A child process that ends with its test, whatever becomes of the test.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::peak::peak_kib;

/// No command takes so long, on whatever machine: it hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(300);

/// A child process; it is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    begun: Instant,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        // A child that fills a pipe that nobody reads never ends.
        let (stdout, stderr) = (child.stdout.take().map(read), child.stderr.take().map(read));
        Self { child, stdout, stderr, begun: Instant::now() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its process id.
    pub(crate) fn id(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_nonzero().get()
    }

    /// How it ended; `None`: it runs.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The most memory that it has had so far, in KiB; `None`: it has ended.
    pub(crate) fn peak_kib(&self) -> Option<u64> {
        peak_kib(self.child.id())
    }

    pub(crate) fn hangs(&self) -> bool {
        self.begun.elapsed() > HANGS
    }

    /// What it printed to pipes, once it has ended; `None`: it hangs.
    pub(crate) fn output(mut self) -> Option<Output> {
        loop {
            let readers = [&self.stdout, &self.stderr];
            let read = readers.iter().all(|reader| reader.as_ref().is_none_or(JoinHandle::is_finished));
            if let Some(status) = self.try_wait().filter(|_| read) {
                let text =
                    |reader: Option<JoinHandle<_>>| reader.map_or_else(Vec::new, |r| r.join().unwrap());
                let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
                return Some(Output { status, stdout, stderr });
            }
            if self.hangs() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
