//! A process of a container, as the node sees it: the pods of the cluster run on this machine.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::place::PATIENCE;
use super::{output, succeed};

/// A process of a pod.
pub(crate) struct Process {
    /// Its id on the node.
    pub(crate) id: String,
}

impl Process {
    /// The process of `pod` whose command line, joined by blanks, starts like this; waits until it runs.
    pub(crate) fn of(pod: &Value, command: &str) -> Self {
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        let begun = Instant::now();
        loop {
            let entries = fs::read_dir("/proc").unwrap().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            let mut processes = names.filter(|name| name.parse::<u32>().is_ok()).map(|id| Self { id });
            // A process that ends meanwhile reads as empty.
            let found = processes.find(|process| {
                process.command().starts_with(command)
                    && fs::read_to_string(process.path("cgroup")).is_ok_and(|text| text.contains(uid))
            });
            if let Some(process) = found {
                return process;
            }
            assert!(begun.elapsed() < PATIENCE, "no process {command:?} in the pod {uid}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(&self.id).join(file)
    }

    fn command(&self) -> String {
        fs::read_to_string(self.path("cmdline")).unwrap_or_default().replace('\0', " ")
    }

    /// A file of `/proc/PID`, with the bytes that aren't UTF-8 replaced.
    pub(crate) fn read(&self, file: &str) -> String {
        let path = self.path(file);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A field of `/proc/PID/status`, its values separated by a blank.
    pub(crate) fn status(&self, field: &str) -> String {
        let status = self.read("status");
        let mut lines = status.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let values = lines.next().unwrap_or_else(|| panic!("no field {field}: {status}"));
        values.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The user that owns `/proc/PID/environ`: of a process that isn't dumpable, root.
    pub(crate) fn owner(&self) -> u32 {
        fs::metadata(self.path("environ")).unwrap().uid()
    }

    /// Waits until a path exists in its root file system.
    pub(crate) fn has(&self, path: &str) {
        let path = self.path("root").join(path.trim_start_matches('/'));
        let begun = Instant::now();
        while !path.exists() {
            assert!(begun.elapsed() < PATIENCE, "{} is not there", path.display());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What opening a path for reading gives in this process: `ok`, or the error; `None` where that can't be asked.
    ///
    /// The call is made in the process itself (`tests/cluster/go/opens`), so whatever restricts it there has its say.
    pub(crate) fn opening(&self, path: &str) -> Option<String> {
        cfg!(target_arch = "x86_64").then(|| {
            let line = succeed(Command::new("opens").args([&self.id, path]));
            line.trim().strip_prefix(path).unwrap().trim().to_owned()
        })
    }

    /// What an unprivileged process on the node with the same user and group can open of it.
    pub(crate) fn open_to_its_user(&self) -> Vec<String> {
        let first = |field: &str| self.status(field).split(' ').next().unwrap().to_owned();
        let (user, group) = (first("Uid"), first("Gid"));
        let opens = |what: &&str| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
            match *what {
                // Opening is what the kernel checks; the first page of the memory is never there.
                "environ" | "maps" | "mem" => {
                    command.args(["sh", "-c", "exec 3<\"$1\"", "sh"]).arg(self.path(what));
                }
                "exe" => {
                    command.arg("readlink").arg(self.path(what));
                }
                folder => {
                    command.arg("ls").arg(self.path(folder)).arg(self.path(&format!("{folder}/.")));
                }
            }
            output(&mut command).status.success()
        };
        ["environ", "maps", "mem", "exe", "fd", "root", "cwd"]
            .iter()
            .filter(|what| opens(what))
            .map(|what| (*what).to_owned())
            .collect()
    }
}
