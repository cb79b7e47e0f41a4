//! The secrets in the environment: gone from `/proc/PID/environ` and from what programs inherit, while everything else stays.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::step::{KEY_PASSWORD, Step, pair};

/// The longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// What no environment and no memory may hold.
const MARK: &str = "hunter2-0123456789-marked";

/// A way in which a secret comes in by the environment.
struct Kind {
    name: &'static str,
    arguments: &'static [&'static str],
    variables: Vec<(&'static str, OsString)>,
    /// A part of the secret.
    mark: String,
    /// Whether credential helpers and plugins get it all the same.
    passed_on: bool,
}

fn kinds() -> Vec<Kind> {
    let variable = |name: &'static str, value: &[u8]| (name, OsString::from_vec(value.to_vec()));
    let kind = |name, variable, passed_on| Kind {
        name,
        arguments: &[],
        variables: vec![variable],
        mark: MARK.to_owned(),
        passed_on,
    };
    // A key that can be used, and a line of its text.
    let pem = || {
        [
            variable("PEM_1", pair().private_pem.as_bytes()),
            variable("COSIGN_PASSWORD", KEY_PASSWORD.as_bytes()),
        ]
    };
    let mark = pair().private_pem.lines().nth(2).unwrap().to_owned();
    let named = |name, arguments, by: Option<&'static str>| {
        let by = by.map(|by| variable(by, b"env://PEM_1"));
        let variables = pem().into_iter().chain(by).collect();
        Kind { name, arguments, variables, mark: mark.clone(), passed_on: false }
    };
    let marked = MARK.as_bytes();
    let url = format!("http://ci:{MARK}@127.0.0.1:1");
    vec![
        kind("the password", variable("COSIGN_PASSWORD", marked), false),
        kind(
            "a password that is not UTF-8",
            variable("COSIGN_PASSWORD", &[marked, b"\xff\xfe"].concat()),
            false,
        ),
        kind("the token of a key service", variable("STEPSEAL_SIGNERS_KMS_AUTH_TOKEN", marked), false),
        Kind {
            arguments: &["--registry-username=ci"],
            ..kind("a registry's password", variable("STEPSEAL_REGISTRY_PASSWORD", marked), false)
        },
        kind("a registry's token", variable("COSIGN_REGISTRY_TOKEN", marked), false),
        Kind {
            arguments: &["--registry-username=ci", "--registry-password", MARK],
            variables: Vec::new(),
            ..kind("a registry's password by a flag", variable("COSIGN_PASSWORD", marked), false)
        },
        Kind {
            arguments: &["--registry-token=hunter2-0123456789-marked"],
            variables: Vec::new(),
            ..kind("a registry's token by a flag with =", variable("COSIGN_PASSWORD", marked), false)
        },
        named("named by a flag", &["--key", "env://PEM_1"], None),
        named("named by a flag with =", &["--key=env://PEM_1"], None),
        named("named by a variable", &[], Some("STEPSEAL_KEY")),
        named("named by cosign's variable", &[], Some("COSIGN_KEY")),
        kind("a proxy", variable("HTTPS_PROXY", url.as_bytes()), true),
        kind("a proxy in small letters", variable("all_proxy", url.as_bytes()), true),
    ]
}

/// A process that is killed in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(format!("/proc/{}/{name}", self.0.id())).unwrap()
    }

    /// The value of a line of `/proc/PID/NAME`.
    fn line(&self, name: &str, begins: &str) -> String {
        let text = String::from_utf8(self.file(name)).unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix(begins)).unwrap_or_else(|| panic!("{text}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        // Only root may read a process that isn't dumpable.
        println!("not root: what only root can see is not checked");
    }
    root
}

/// Waits until `done`, and fails after a long time.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A registry that takes connections and never answers, and its address.
fn silent_registry() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// `sign` of an image in a registry that never answers. The process is as far as asking the registry.
fn hanging_sign(step: &Step, kind: &Kind) -> (Running, TcpListener) {
    let (listener, host) = silent_registry();
    let image = format!("{host}/team/app@sha256:{}", "0".repeat(64));
    let mut command = step.command(&["sign", "--insecure-registry", &host]);
    command.args(kind.arguments).arg(image).envs(kind.variables.iter().cloned());
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    listener.set_nonblocking(true).unwrap();
    until(kind.name, || {
        if running.0.try_wait().unwrap().is_some() {
            let mut text = String::new();
            let _ = std::io::Read::read_to_string(running.0.stderr.as_mut().unwrap(), &mut text);
            panic!("{}: it ended: {text}", kind.name);
        }
        listener.accept().is_ok()
    });
    (running, listener)
}

/// What `/proc` says of a process that is protected.
#[track_caller]
fn protected(running: &Running, what: &str, mark: &str) {
    assert_eq!(running.line("status", "NoNewPrivs:"), "1", "{what}");
    assert_eq!(running.line("limits", "Max core file size"), "0 0 bytes", "{what}");
    let arguments = running.file("cmdline");
    assert!(!holds(&arguments, mark), "{what}: {}", String::from_utf8_lossy(&arguments));
    assert!(holds(&arguments, "stepseal"), "{what}");
    if is_root() {
        let environment = running.file("environ");
        assert!(!holds(&environment, mark), "{what}: {}", String::from_utf8_lossy(&environment));
        assert!(
            holds(&environment, "STEPSEAL_RESULTS_DIR=") || holds(&environment, "STEPSEAL_AGENT_SOCKET=")
        );
    }
}

#[test]
fn a_running_sign_shows_no_secret_of_its_environment() {
    for kind in kinds() {
        let step = Step::new();
        let (running, _listener) = hanging_sign(&step, &kind);
        protected(&running, kind.name, &kind.mark);
    }
}

/// The value of a variable that is there twice: a shell can't make that, a container runtime can.
#[test]
fn a_name_that_is_there_twice_is_overwritten_twice() {
    let step = Step::new();
    let (listener, host) = silent_registry();
    let image = format!("{host}/team/app@sha256:{}", "0".repeat(64));
    let program = "import os,sys,ctypes
c = ctypes.CDLL(None)
def array(texts): return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)
arguments = [a.encode() for a in sys.argv[1:]]
c.execve(arguments[0], array(arguments), array([k + b'=' + v for k, v in os.environb.items()] + [b'no equals sign', b'COSIGN_PASSWORD=' + os.environb[b'COSIGN_PASSWORD'], b'COSIGN_PASSWORD=']))";
    let Ok(_) = Command::new("python3").arg("--version").output() else {
        println!("no python3: an environment with a name twice can't be made");
        return;
    };
    let mut command = Command::new("python3");
    command
        .args(["-c", program, env!("CARGO_BIN_EXE_stepseal"), "sign", "--insecure-registry", &host, &image])
        .env("STEPSEAL_RESULTS_DIR", step.path("results"))
        .env("STEPSEAL_KEY", step.path("keys"))
        .env("STEPSEAL_REGISTRY_CONFIG", step.path("credentials"))
        .env("COSIGN_PASSWORD", MARK)
        .stdin(Stdio::null());
    let running = Running(command.spawn().unwrap());
    listener.set_nonblocking(true).unwrap();
    until("asking the registry", || listener.accept().is_ok());
    protected(&running, "twice", MARK);
}

#[test]
fn a_process_of_another_user_belongs_to_root_in_proc() {
    if !is_root() {
        return;
    }
    let step = Step::new();
    for folder in
        [step.folder.path().to_owned(), step.path("keys"), step.path("credentials"), step.path("results")]
    {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_stepseal"));
    let kind = &kinds()[0];
    // Where the binary can't be read, the process isn't dumpable from the start and can't open its own memory.
    for mode in [0o755, 0o711, 0o111] {
        let copy = step.path(&format!("stepseal-{mode:o}"));
        fs::copy(binary, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).unwrap();
        let (listener, host) = silent_registry();
        let image = format!("{host}/team/app@sha256:{}", "0".repeat(64));
        let mut command = Command::new(&copy);
        let ordinary = step.command(&[]);
        command.args(["sign", "--insecure-registry", &host, &image]).env_clear();
        command.envs(ordinary.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.envs(kind.variables.iter().cloned()).env("STEPSEAL_LOG", "debug").uid(65534).gid(65534);
        let log = fs::File::create(step.path("log")).unwrap();
        let running = Running(command.stdin(Stdio::null()).stderr(log).spawn().unwrap());
        listener.set_nonblocking(true).unwrap();
        until("asking the registry", || listener.accept().is_ok());
        let owner = fs::metadata(format!("/proc/{}/environ", running.0.id())).unwrap().uid();
        assert_eq!(owner, 0, "{mode:o}");
        let reader = Command::new("cat")
            .arg(format!("/proc/{}/environ", running.0.id()))
            .uid(65534)
            .gid(65534)
            .output();
        assert!(!reader.unwrap().status.success(), "{mode:o}: another process of the user reads it");
        let log = fs::read_to_string(step.path("log")).unwrap();
        assert!(!holds(&running.file("environ"), MARK), "{mode:o}");
        assert!(log.contains("environment=overwritten"), "{mode:o}: {log}");
    }
}

/// An agent whose password came by the environment; it listens.
fn agent(step: &Step) -> Running {
    fs::remove_file(step.path("keys/cosign.password")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
    command
        .arg("agent")
        .env_clear()
        .env("STEPSEAL_AGENT_SOCKET", format!("unix://{}", step.path("agent.sock").display()))
        .env("STEPSEAL_KEY", step.path("keys"))
        .env("STEPSEAL_REGISTRY_CONFIG", step.path("credentials"))
        .env("COSIGN_PASSWORD", KEY_PASSWORD)
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let stderr = BufReader::new(running.0.stderr.take().unwrap());
    let listening = stderr.lines().map_while(Result::ok).any(|line| line.contains("\"listening\""));
    assert!(listening, "the agent doesn't listen");
    running
}

/// The strongest form: not only the environment, the whole memory that the process can write to.
#[test]
fn the_memory_of_an_agent_with_an_open_key_holds_no_password() {
    let step = Step::new();
    let running = agent(&step);
    assert_eq!(running.line("status", "NoNewPrivs:"), "1");
    assert_eq!(running.line("limits", "Max core file size"), "0 0 bytes");
    if !is_root() {
        return;
    }
    assert!(!holds(&running.file("environ"), KEY_PASSWORD));
    let maps = String::from_utf8(running.file("maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{}/mem", running.0.id())).unwrap();
    let (mut seen, mut found) = (0, Vec::new());
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (number(start), number(end));
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if rights.starts_with("rw") && memory.read_exact_at(&mut bytes, start).is_ok() {
            seen += bytes.len();
            let at = bytes.windows(KEY_PASSWORD.len()).position(|window| window == KEY_PASSWORD.as_bytes());
            found.extend(at.map(|at| format!("{line}, at {at}")));
        }
    }
    assert!(seen > 100_000, "the memory was read: {seen} bytes");
    assert!(found.is_empty(), "{found:#?}");
}

/// A program that writes its environment and its open files to `trace`.
fn program(path: &Path, trace: &Path, then: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = format!("#!/bin/sh\nls -l /proc/$$/fd >'{0}.fd'\nenv >'{0}'\n{then}\n", trace.display());
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a program must have got of the environment in `variables`, and what not.
#[track_caller]
fn inherited(trace: &Path, kind: &Kind) {
    let bytes = fs::read(trace).unwrap_or_else(|error| panic!("{}: it didn't run: {error}", kind.name));
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(holds(&bytes, &kind.mark), kind.passed_on, "{}: {text}", kind.name);
    for line in text.lines().filter(|_| !kind.passed_on) {
        assert!(!line.starts_with("STEPSEAL_") && !line.starts_with("COSIGN_"), "{}: {line}", kind.name);
        assert!(!line.starts_with("PEM_1="), "{}: {line}", kind.name);
    }
    for there in [
        "PATH=",
        "AWS_PROFILE=ci",
        "GOOGLE_APPLICATION_CREDENTIALS=/g",
        "AZURE_CLIENT_ID=a",
        "NO_PROXY=127.0.0.1",
    ] {
        assert!(text.lines().any(|line| line.starts_with(there)), "{}: {there}: {text}", kind.name);
    }
    let files = fs::read_to_string(trace.with_extension("fd")).unwrap();
    // Standard input, output and error; a shell keeps its own from 10 on. Ours would have the numbers between.
    let extra = files.lines().filter_map(|line| line.split_once(" -> ")).filter(|(left, _)| {
        let number: u32 = left.rsplit(' ').next().unwrap().parse().unwrap();
        (3..10).contains(&number)
    });
    assert_eq!(extra.count(), 0, "{}: {files}", kind.name);
}

fn with_others(command: &mut Command, path: &Path) {
    let path = format!("{}:/usr/bin:/bin", path.display());
    command.env("PATH", path).env("AWS_PROFILE", "ci").env("GOOGLE_APPLICATION_CREDENTIALS", "/g");
    command.env("AZURE_CLIENT_ID", "a").env("NO_PROXY", "127.0.0.1").env("HTTP_PROXY", "http://127.0.0.1:1");
}

/// A built image whose registry's login a helper gives: the helper's folder, and where it writes its environment.
fn with_helper(step: &Step) -> (PathBuf, PathBuf) {
    let (bin, trace) = (step.path("bin"), step.path("helper"));
    program(&bin.join("docker-credential-x"), &trace, "echo '{\"Username\":\"ci\",\"Secret\":\"pw\"}'");
    let config = json!({"credHelpers": {step.host(): "x"}}).to_string();
    fs::write(step.path("credentials/.dockerconfigjson"), config).unwrap();
    step.built("team/app");
    (bin, trace)
}

#[test]
fn a_credential_helper_gets_no_secret_of_ours_and_all_else() {
    for kind in kinds() {
        let step = Step::new();
        let (bin, trace) = with_helper(&step);
        let mut command = step.command(&["sign"]);
        run_with(&step, &mut command, &kind, &bin);
        inherited(&trace, &kind);
    }
}

/// Runs `command` with the variables of `kind` and a key that can be used.
fn run_with(step: &Step, command: &mut Command, kind: &Kind, bin: &Path) {
    with_others(command, bin);
    command.args(kind.arguments).envs(kind.variables.iter().cloned());
    command.env("STEPSEAL_TIMEOUT", "20s").current_dir(step.folder.path());
    let _ = command.stdin(Stdio::null()).output().unwrap();
}

#[test]
fn a_plugin_of_a_kubeconfig_gets_no_secret_of_ours_and_all_else() {
    for kind in kinds() {
        let step = Step::new();
        let (plugin, trace) = (step.path("plugin"), step.path("plugin-trace"));
        program(&plugin, &trace, "exit 1");
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never",
            "env": [{"name": "ADDED", "value": "yes"}],
        });
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "me", "user": {"exec": exec}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "me"}}],
        });
        fs::write(step.path("kubeconfig"), kubeconfig.to_string()).unwrap();
        step.built("team/app");
        let mut command = step.command(&["sign", "--taskrun", "ci/build"]);
        command.env("KUBECONFIG", step.path("kubeconfig")).env("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "oci");
        run_with(&step, &mut command, &kind, &step.path("bin"));
        inherited(&trace, &kind);
        assert!(fs::read_to_string(&trace).unwrap().contains("ADDED=yes"));
    }
}

/// `HOME` on a volume of a pod is not passed on: another step may have written `.aws/config` there.
#[test]
fn a_helper_gets_home_unless_it_lies_on_a_volume_of_a_pod() {
    let shm = tempfile::Builder::new().tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(shm.path()) == device(Path::new("/")) {
        println!("/dev/shm is no mount of its own here");
        return;
    }
    for (home, pod, passed_on) in
        [(shm.path(), true, false), (shm.path(), false, true), (Path::new("/etc"), true, true)]
    {
        if !pod && Path::new("/tekton").exists() {
            continue;
        }
        let step = Step::new();
        let (bin, trace) = with_helper(&step);
        let mut command = step.command(&["sign"]);
        with_others(&mut command, &bin);
        command.env("HOME", home).env("XDG_CONFIG_HOME", "/xdg").env("STEPSEAL_LOG", "debug");
        if pod {
            command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "1");
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let (environment, log) =
            (fs::read_to_string(&trace).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(environment.lines().any(|line| line.starts_with("HOME=")), passed_on, "{home:?} {pod}");
        assert!(environment.contains("XDG_CONFIG_HOME=/xdg"), "the Task named it itself");
        assert_eq!(log.contains("HOME is not passed on"), !passed_on, "{log}");
    }
}

/// An argument that somebody else chose must not hide a restriction.
#[test]
fn an_env_reference_to_a_setting_takes_nothing_away() {
    let step = Step::new();
    step.built("team/app");
    let mut command = step.command(&["sign", "--annotation", "x=env://STEPSEAL_ALLOW"]);
    command.env("STEPSEAL_ALLOW", "registry.example/other/**");
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_ne!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A password of bytes that are no text opens what it closed.
#[test]
fn a_password_that_is_not_text_makes_and_opens_a_key() {
    let step = Step::new();
    let password = OsStr::from_bytes(b"pa\xff\xfess");
    let generate = |command: &mut Command| command.env("COSIGN_PASSWORD", password).output().unwrap();
    let made = generate(
        Command::new(env!("CARGO_BIN_EXE_stepseal"))
            .arg("generate-key-pair")
            .current_dir(step.path("keys"))
            .env_clear(),
    );
    assert!(!made.status.success(), "cosign.key is there already");
    fs::remove_file(step.path("keys/cosign.key")).unwrap();
    fs::remove_file(step.path("keys/cosign.password")).unwrap();
    let made = generate(
        Command::new(env!("CARGO_BIN_EXE_stepseal"))
            .arg("generate-key-pair")
            .current_dir(step.path("keys"))
            .env_clear(),
    );
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    step.built("team/app");
    let signed = step.command(&["sign"]).env("COSIGN_PASSWORD", password).output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
}
