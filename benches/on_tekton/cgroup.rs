//! What the kernel counted for each container below Kubernetes' cgroups, looked at again and again, because the
//! counters go when the container ends.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the counters are read.
const EVERY: Duration = Duration::from_millis(10);

/// The last that was seen of one container.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// The first reading of the CPU time, in seconds.
    pub(crate) cpu_at_first: f64,
    /// The CPU time when the last signature was there.
    pub(crate) cpu_at_last: f64,
    /// The most memory at any reading, in MiB.
    pub(crate) most_mib: f64,
    /// The kernel's own high-water mark, in MiB, since the container began.
    pub(crate) peak_mib: f64,
}

/// Reads in the background until it is asked for the result.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<HashMap<String, Usage>>>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(HashMap::new())));
        let (stopped, found) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                look(&mut found.lock().unwrap());
                std::thread::sleep(EVERY);
            }
        });
        Self { stop, seen, thread }
    }

    /// What was seen, by container id.
    pub(crate) fn end(self) -> HashMap<String, Usage> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn look(seen: &mut HashMap<String, Usage>) {
    // Version 1 has a tree for each controller, version 2 one for all.
    let one = Path::new("/sys/fs/cgroup/memory/kubepods");
    let two = Path::new("/sys/fs/cgroup/kubepods");
    for container in containers(if one.is_dir() { one } else { two }) {
        let id = container.file_name().unwrap().to_string_lossy().into_owned();
        let Some(now) = read(&container) else { continue };
        let usage = seen.entry(id).or_insert(Usage { cpu_at_first: now.cpu_at_last, ..now });
        usage.cpu_at_last = now.cpu_at_last;
        usage.most_mib = usage.most_mib.max(now.most_mib);
        usage.peak_mib = usage.peak_mib.max(now.peak_mib);
    }
}

/// The folders whose name is a container's id.
fn containers(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    folders
        .flat_map(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            if name.len() == 64 { vec![path] } else { containers(&path) }
        })
        .collect()
}

fn read(container: &Path) -> Option<Usage> {
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<f64>().ok();
    let mib = |bytes: f64| bytes / 1024.0 / 1024.0;
    let path = container.to_string_lossy();
    if path.starts_with("/sys/fs/cgroup/memory/") {
        let cpu = PathBuf::from(path.replacen("/memory/", "/cpuacct/", 1));
        return Some(Usage {
            cpu_at_first: 0.0,
            cpu_at_last: number(cpu.join("cpuacct.usage"))? / 1e9,
            most_mib: mib(number(container.join("memory.usage_in_bytes"))?),
            peak_mib: mib(number(container.join("memory.max_usage_in_bytes"))?),
        });
    }
    let stat = fs::read_to_string(container.join("cpu.stat")).ok()?;
    let micros = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse::<f64>().ok())?;
    Some(Usage {
        cpu_at_first: 0.0,
        cpu_at_last: micros / 1e6,
        most_mib: mib(number(container.join("memory.current"))?),
        peak_mib: mib(number(container.join("memory.peak"))?),
    })
}
