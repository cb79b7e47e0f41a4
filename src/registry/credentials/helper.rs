//! Credential helpers: the programs `docker-credential-NAME`.
//!
//! A helper is run as `docker-credential-NAME get`, with the registry's name on its standard input. Its
//! exact answer "credentials not found in native keychain" is an answer, no failure. Everything else that
//! isn't a credential is a failure and never anonymous access: a helper that isn't there, an exit code, an
//! answer that makes no sense, or none in time. What a helper wrote to its standard output is never shown,
//! since secrets are written there.
//!
//! Refused: names that are not plain file names (a configuration may choose a helper, not a program
//! anywhere on disk), and relative parts of the search path, which other steps may be able to write to.
//!
//! A helper gets the environment that [`ProgramEnvironment`] says: without our own variables and without our secrets.
//!
//! Each helper is asked once a run for each registry, also when it failed.
//!
//! Spec: <https://github.com/docker/docker-credential-helpers/blob/v0.9.3/README.md#development>

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Deserializer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::foreign;
use crate::mask::Mask;
use crate::process::ProgramEnvironment;
use crate::recent::LruCache;
use crate::registry::keychain::Login;
use crate::secret::Secret;

/// How long a helper may take: those of clouds ask a token service first, and may retry.
pub(super) const HELPER_LIMIT: Duration = Duration::from_secs(30);

/// What the names of all helpers begin with.
const PROGRAM: &str = "docker-credential-";

/// The longest answer: a token of a cloud has a few KiB.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// How much of a helper's standard error is kept, and how much of that is shown.
const MAX_STDERR_BYTES: usize = 4096;
const SHOWN_STDERR_BYTES: usize = 500;

/// What helpers print, and exit with 1, when they know no credential.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// The user name in an answer whose secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// The `NAME` of `docker-credential-NAME`: a plain file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HelperName(String);

impl HelperName {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (!text.is_empty() && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The program's file name.
    pub(super) fn program(&self) -> String {
        format!("{PROGRAM}{}", self.0)
    }
}

/// Why a helper gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelperError {
    /// There is no such program.
    #[error("there is no such program on the PATH")]
    Absent,
    /// It could not be started, or talked to.
    #[error("it could not be run")]
    Run(#[source] io::Error),
    /// It said that it failed.
    #[error("it ended with {status}, and {}", .stderr.as_ref().map_or("said nothing".to_owned(), |said| format!("said: {said}")))]
    Exit {
        /// The HTTP status of the answer.
        status: std::process::ExitStatus,
        /// What it wrote to standard error, cut and escaped.
        stderr: Option<String>,
    },
    /// The answer of the helper is not a credential.
    #[error("its answer is not {{\"Username\": …, \"Secret\": …}}")]
    Answer,
    /// It didn't answer in time, and was killed.
    #[error("it gave no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

/// Answers that are kept; a helper says a login, of a few kilobytes, about registries that clients of the agent name.
const MAX_ANSWERS: usize = 256;

/// Which helper, and the server it is asked for.
type Question = (HelperName, String);

/// What a helper said: a login, or that it has none.
type Said = Result<Option<Login>, Arc<HelperError>>;

/// Every helper that was asked, with its answers.
pub(super) struct Helpers {
    path: Vec<PathBuf>,
    environment: ProgramEnvironment,
    limit: Duration,
    answers: Mutex<LruCache<Question, OnceCell<Said>>>,
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers")
            .field("path", &self.path)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Helpers {
    /// Helpers that are looked for in the `PATH` of `environment`, and get it.
    pub(super) fn new(environment: ProgramEnvironment, limit: Duration) -> Self {
        let path = environment.get("PATH").unwrap_or_default();
        let path = std::env::split_paths(path).filter(|folder| folder.is_absolute()).collect();
        Self { path, environment, limit, answers: Mutex::new(LruCache::new(MAX_ANSWERS, usize::MAX, |_| 0)) }
    }

    /// Asks `helper` for `server`, unless it was asked before; whoever comes meanwhile waits for that answer.
    pub(super) async fn ask(&self, helper: &HelperName, server: &str) -> Said {
        let answer = {
            // A poisoned lock only means that another task panicked; the map is whole.
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.get(&(helper.clone(), server.to_owned()), OnceCell::new)
        };
        answer.get_or_init(|| async { self.run(helper, server).await.map_err(Arc::new) }).await.clone()
    }

    /// Where the program of `helper` is; `None`: it can't run.
    pub(super) fn find(&self, helper: &HelperName) -> Option<PathBuf> {
        let program = helper.program();
        self.path.iter().map(|folder| folder.join(&program)).find(|path| is_program(path))
    }

    /// A program that a credentials file could name; `None`: there is none.
    pub(super) fn any(&self) -> Option<PathBuf> {
        let entries =
            self.path.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let mut helpers = entries.filter(|entry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| name.strip_prefix(PROGRAM).and_then(HelperName::parse).is_some())
        });
        helpers.find_map(|entry| Some(entry.path()).filter(|path| is_program(path)))
    }

    async fn run(&self, helper: &HelperName, server: &str) -> Result<Option<Login>, HelperError> {
        let program = self.find(helper).ok_or(HelperError::Absent)?;
        tracing::debug!(helper = helper.as_str(), server, "asking a credential helper");
        let mut running = Running::start(&program, &self.environment).map_err(HelperError::Run)?;
        let told = tokio::time::timeout(self.limit, running.talk(server)).await;
        let Ok(told) = told else {
            running.kill().await;
            return Err(HelperError::TimedOut(self.limit));
        };
        let told = told.map_err(HelperError::Run)?;
        let login = understand(&told)?;
        if login.is_none() {
            // Some helpers answer so when they failed, and say why on standard error only.
            let said = foreign::escape_bytes(told.stderr.trim_ascii(), SHOWN_STDERR_BYTES);
            tracing::warn!(
                helper = helper.program(),
                server,
                said,
                "the helper has no credentials for this registry"
            );
        }
        Ok(login)
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A helper at work. Dropped before its end, when the run is given up, it is killed with all that it started.
struct Running {
    child: Child,
    /// The process group it leads; `None` once it has ended by itself.
    group: Option<Pid>,
}

/// What a helper left behind.
struct Told {
    status: std::process::ExitStatus,
    /// `None` if it is too long.
    stdout: Option<Zeroizing<Vec<u8>>>,
    stderr: Zeroizing<Vec<u8>>,
}

impl Running {
    fn start(program: &Path, environment: &ProgramEnvironment) -> io::Result<Self> {
        let child = Command::new(program)
            .arg("get")
            .env_clear()
            .envs(environment.variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what a script started can be killed with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, group })
    }

    async fn talk(&mut self, server: &str) -> io::Result<Told> {
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
        else {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        };
        let ask = async move {
            match stdin.write_all(server.as_bytes()).await {
                // It answered without reading the question: its answer counts.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => other,
            }
            // Here `stdin` is dropped: the end of the question.
        };
        let (asked, stdout, stderr) =
            tokio::join!(ask, read(stdout, MAX_ANSWER_BYTES), read(stderr, MAX_STDERR_BYTES));
        asked?;
        let ((stdout, fits), (stderr, _)) = (stdout?, stderr?);
        // Only now: until it is waited for, its process id, and so the group's, can't become another's.
        let status = self.child.wait().await?;
        self.group = None;
        Ok(Told { status, stdout: fits.then_some(stdout), stderr })
    }

    /// Ends it and waits for its end, so that no zombie stays.
    async fn kill(&mut self) {
        self.kill_group();
        // The signal is already there; what fails here can only be that it has ended.
        let _ = self.child.kill().await;
    }

    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            // It may just have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Reads to the end and keeps the first `limit` bytes; whether that was all.
///
/// The rest is read too, and thrown away: a helper that can't write would wait for ever.
async fn read(mut from: impl AsyncRead + Unpin, limit: usize) -> io::Result<(Zeroizing<Vec<u8>>, bool)> {
    // All at once, so that no outgrown copy stays behind unwiped.
    let mut kept = Zeroizing::new(Vec::with_capacity(limit));
    let mut buffer = Zeroizing::new([0; 4096]);
    let mut all = true;
    loop {
        let count = from.read(buffer.as_mut_slice()).await?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok((kept, all));
        };
        let room = bytes.get(..bytes.len().min(limit - kept.len())).unwrap_or_default();
        all &= room.len() == bytes.len();
        kept.extend_from_slice(room);
    }
}

/// A helper's answer. Docker's helpers are Go, so further fields may be there.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret", deserialize_with = "secret")]
    secret: Secret,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

/// Hides what a helper printed as its answer in what it says besides, even if it then failed.
fn printed(told: &Told) -> Mask {
    let mut mask = Mask::default();
    let stdout = told.stdout.as_ref().map_or(&[][..], |stdout| stdout.trim_ascii());
    match serde_json::from_slice::<Answer>(stdout) {
        Ok(Answer { user, secret }) => mask.login(&user, secret.expose()),
        Err(_) => stdout.split(|byte| *byte == b'\n').for_each(|line| mask.secret(line.trim_ascii())),
    }
    mask
}

fn understand(told: &Told) -> Result<Option<Login>, HelperError> {
    if !told.status.success() {
        let not_found = told.stdout.as_ref().is_some_and(|said| said.trim_ascii() == NOT_FOUND.as_bytes());
        if not_found {
            return Ok(None);
        }
        let said = foreign::escape_bytes(told.stderr.trim_ascii(), SHOWN_STDERR_BYTES);
        let said = printed(told).text(&said).into_owned();
        return Err(HelperError::Exit { status: told.status, stderr: (!said.is_empty()).then_some(said) });
    }
    // The JSON error would quote what it found.
    let answer: Answer = told
        .stdout
        .as_ref()
        .and_then(|stdout| serde_json::from_slice(stdout).ok())
        .ok_or(HelperError::Answer)?;
    match answer {
        Answer { user, secret } if user.is_empty() || secret.is_empty() => Err(HelperError::Answer),
        Answer { user, secret } if user == TOKEN_USER => Ok(Some(Login::IdentityToken(secret))),
        Answer { user, secret } => Ok(Some(Login::Basic { user, password: secret })),
    }
}

#[cfg(test)]
pub(super) mod tests;
