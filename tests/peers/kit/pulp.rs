//! Pulp with its container plugin: two servers, a worker and PostgreSQL. It has no referrers API.
//!
//! `tests/peers/install.sh` makes the database once; each Pulp gets a copy of it. What it keeps is not in the scene's folder, which
//! PostgreSQL's user could not enter.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::command::{mortal, peer, run};
use super::scene::{PASSWORD, USER};
use super::service::Service;

/// How long PostgreSQL may take until it has its socket.
const START: Duration = Duration::from_secs(60);

/// What runs beside the server that speaks to clients. All of it ends with this.
#[derive(Debug)]
pub(crate) struct Beside {
    _content: Service,
    _worker: Mortal,
    _postgres: Mortal,
    /// Ended last, because the others use it.
    _folder: TempDir,
}

/// A process without a port, which is killed when this is dropped.
#[derive(Debug)]
struct Mortal(Child);

impl Mortal {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // PostgreSQL ends its own processes at this; to the others it is an end too.
        let _ = kill_process(Pid::from_child(&self.0), Signal::QUIT);
        let _ = self.0.wait();
    }
}

/// Starts Pulp with [`USER`], who may do everything; a repository is made by the first push to it.
pub(crate) fn start(home: &Path) -> (Service, PathBuf, Beside) {
    let folder = tempfile::Builder::new().prefix("pulp-").tempdir().unwrap();
    // PostgreSQL's user passes through it; the database itself is for that user alone.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    run(peer("cp", home).arg("-a").arg(template().join(".")).arg(folder.path())).ok();
    let postgres = Mortal::start(pulp(mortal("pulp", home), folder.path()).arg("postgres"));
    await_socket(folder.path());
    let worker = Mortal::start(pulp(mortal("pulp", home), folder.path()).arg("worker"));
    let script = format!(
        "from django.contrib.auth import get_user_model as m; m().objects.create_superuser('{USER}', password='{PASSWORD}')"
    );
    run(pulp(peer("pulp", home), folder.path()).args(["manager", "shell", "-c", &script])).ok();
    let serve = |program: &str, address: SocketAddr| {
        let mut command = pulp(mortal("pulp", home), folder.path());
        command.args([program, "--no-control-socket", "-w", "2", "-b", &address.to_string()]);
        command
    };
    let content = Service::start(home, |address| serve("content", address));
    let blobs = content.address().to_string();
    let api = Service::start(home, |address| {
        let mut command = serve("api", address);
        command.env("PULP_CONTENT_ADDRESS", &blobs).env("PULP_API_ADDRESS", address.to_string());
        command
    });
    let storage = folder.path().join("state");
    (api, storage, Beside { _content: content, _worker: worker, _postgres: postgres, _folder: folder })
}

fn pulp(mut command: Command, folder: &Path) -> Command {
    command.env("PULP_FOLDER", folder);
    command
}

fn await_socket(folder: &Path) {
    let begun = Instant::now();
    // PostgreSQL writes the last line once it takes connections.
    let is_ready = || {
        fs::read_to_string(folder.join("database/postmaster.pid")).is_ok_and(|text| text.contains("ready"))
    };
    while !is_ready() {
        assert!(begun.elapsed() < START, "PostgreSQL did not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The prepared database and keys, which lie beside the program.
fn template() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    let folder = folders.find(|folder| folder.join("pulp").is_file()).expect("tests/peers/run installs pulp");
    folder.join("template")
}
