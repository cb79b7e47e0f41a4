//! An agent that runs, and what speaks to it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::oci::Digest;

use crate::kit::peak::peak_kib;
use crate::kit::step::{KEY_PASSWORD, REGISTRY_PASSWORD, Step};

/// The longest that anything here may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An agent, and the log that it has written so far.
pub(crate) struct Running {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    pub(crate) socket: PathBuf,
}

/// What came back on a connection.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {:?}", self.status, self.body))
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// Starts an agent with the key and credentials of `step`, and waits until it listens.
pub(crate) fn agent(step: &Step, args: &[&str]) -> Running {
    let running = spawn(step, args);
    let line = running.line("listening");
    assert!(line["keyId"].as_str().unwrap().starts_with("SHA256:"), "{line}");
    running
}

/// The same without waiting.
pub(crate) fn spawn(step: &Step, args: &[&str]) -> Running {
    spawn_with(step, args, &[])
}

/// The same with more variables.
pub(crate) fn spawn_with(step: &Step, args: &[&str], variables: &[(&str, &str)]) -> Running {
    let socket = step.path("agent.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
    command
        .arg("agent")
        .args(args)
        .env_clear()
        .env("STEPSEAL_AGENT_SOCKET", format!("unix://{}", socket.display()))
        .env("STEPSEAL_KEY", step.path("keys"))
        .env("STEPSEAL_REGISTRY_CONFIG", step.path("credentials"))
        .env("STEPSEAL_INSECURE_REGISTRIES", step.host())
        .envs(variables.iter().copied());
    Running::of(command, socket)
}

impl Running {
    /// The agent that `command` starts.
    pub(crate) fn of(mut command: Command, socket: PathBuf) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, into) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                into.lock().unwrap().push(line.unwrap());
            }
        });
        Self { child, log, reader: Some(reader), socket }
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The lines so far. None of them may hold a secret.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.log.lock().unwrap().clone();
        for line in &lines {
            no_secret(line);
        }
        lines
    }

    /// The decisions so far.
    pub(crate) fn decisions(&self) -> Vec<Value> {
        let lines = self.lines();
        let events = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        events.filter(|event| event["event"] == "decision").collect()
    }

    /// Waits for `count` decisions, and gives those that there are: a line may come later than its answer.
    pub(crate) fn decided(&self, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        while self.decisions().len() < count && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.decisions()
    }

    /// Waits for a line about `event`.
    pub(crate) fn line(&self, event: &str) -> Value {
        let begun = Instant::now();
        loop {
            let lines = self.lines();
            let found = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = found.into_iter().find(|line| line["event"] == event) {
                return line;
            }
            assert!(begun.elapsed() < PATIENCE, "no {event}: {lines:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        peak_kib(self.child.id()).unwrap()
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n"))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(&request(path, &body.to_string()))
    }

    /// The status of the answer to a body that may be refused before it is read; 0 where there was no answer.
    pub(crate) fn status_of(&self, path: &str, body: &str) -> u16 {
        let mut stream = self.connect();
        let _ = stream.write_all(request(path, body).as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn send(&self, request: &str) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        reply(stream)
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end; the exit code and the whole log.
    pub(crate) fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {:?}", self.lines());
            std::thread::sleep(Duration::from_millis(10));
        };
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.lines())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request with a body.
pub(crate) fn request(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Reads the answer to its end.
pub(crate) fn reply(mut stream: UnixStream) -> Reply {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    assert!(read.is_ok() || !text.is_empty(), "{read:?}");
    no_secret(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, body: body.to_owned() }
}

/// Nothing of the key, its password or the registry's.
fn no_secret(text: &str) {
    let login = STANDARD.encode(format!("ci-bot:{REGISTRY_PASSWORD}"));
    for secret in [REGISTRY_PASSWORD, KEY_PASSWORD, "PRIVATE KEY", login.as_str()] {
        assert!(!text.contains(secret), "a secret was shown: {text}");
    }
}

/// `REPOSITORY@DIGEST` in the step's registry.
pub(crate) fn named(step: &Step, repository: &str, digest: &Digest) -> String {
    format!("{}/{repository}@{digest}", step.host())
}

pub(crate) fn image_request(image: &str) -> Value {
    json!({ "image": image })
}

/// A step that has neither key nor password.
pub(crate) fn without_key(step: &Step) {
    fs::remove_dir_all(step.path("keys")).unwrap();
}
