//! Gitea: a registry that deletes what an overwritten tag pointed to, with a database on disk.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{mortal, peer, run};
use super::scene::{PASSWORD, USER};
use super::service::{Service, folder};

/// The name of the settings in Gitea's folder.
const SETTINGS: &str = "app.ini";

/// Starts Gitea with [`USER`] as its only user, whose images have names that begin with that.
pub(crate) fn start(home: &Path) -> (Service, PathBuf) {
    let place = folder(home, "gitea-");
    let settings = place.join(SETTINGS);
    configure(&place, SocketAddr::from(([127, 0, 0, 1], 0)));
    run(gitea(peer("gitea", home), &settings).arg("migrate")).ok();
    let user = ["admin", "user", "create", "--must-change-password=false"];
    let user =
        [&user[..], &["--username", USER, "--password", PASSWORD, "--email", "robot@e.example"]].concat();
    run(gitea(peer("gitea", home), &settings).args(user)).ok();
    let service = Service::start(home, |address| {
        configure(&place, address);
        let mut command = gitea(mortal("gitea", home), &settings);
        command.arg("web");
        command
    });
    (service, place)
}

fn gitea(mut command: Command, settings: &Path) -> Command {
    command.arg("--config").arg(settings);
    command
}

/// Its settings. The password is hashed for each request, which is not what is looked at here: a little is enough.
fn configure(place: &Path, address: SocketAddr) {
    let (files, port) = (installed().display().to_string(), address.port());
    let work = place.display();
    let text = format!(
        "RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {work}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://{address}/
PUBLIC_URL_DETECTION = auto
STATIC_ROOT_PATH = {files}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {work}/gitea.db
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$1000$50
[actions]
ENABLED = false
[log]
LEVEL = Error
MODE = console
"
    );
    fs::write(place.join(SETTINGS), text).unwrap();
}

/// The folder of the program, beside which its templates lie.
fn installed() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    folders.find(|folder| folder.join("gitea").is_file()).expect("tests/peers/run installs gitea")
}
