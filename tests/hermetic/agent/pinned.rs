//! The key that an agent must have, and whose socket it is: what keeps a process that makes the socket first from being believed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::key::PublicKey;
use stepseal::sign::{MemoryKey, ParsedKey, Signer as _, parse_private};

use crate::agent::kit::{Running, agent, named, spawn, spawn_with, without_key};
use crate::kit::step::{Ended, Step, ended, pair, public_key};

/// A key that is not the agent's, of the same kind.
const OTHER_KEY: &str = include_str!("../../data/keys/p256.pkcs8.pem");
/// Public keys that are not the agent's, of each kind.
const OTHER_PUBLIC_KEYS: [&str; 5] = [
    include_str!("../../data/keys/p256.pub"),
    include_str!("../../data/keys/p384.pub"),
    include_str!("../../data/keys/p521.pub"),
    include_str!("../../data/keys/ed25519.pub"),
    include_str!("../../data/keys/rsa2048.pub"),
];

/// A step with an image in its results, and everything that [`commands`] name; `pinned/cosign.pub` is the agent's key.
fn site() -> Step {
    let step = Step::new();
    let digest = step.built("team/app");
    fs::create_dir(step.path("pinned")).unwrap();
    fs::write(step.path("pinned/cosign.pub"), &pair().public_pem).unwrap();
    fs::write(step.path("predicate.json"), "{}").unwrap();
    let task_run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": "build", "namespace": "team", "uid": "2b3e8a52-3ca3-4b43-8e5c-5e3a4f3c0c11"},
        "spec": {"taskSpec": {"steps": []}},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
            "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z",
            "results": [
                {"name": "IMAGE_URL", "type": "string", "value": format!("{}/team/app:1", step.host())},
                {"name": "IMAGE_DIGEST", "type": "string", "value": digest.as_str()},
            ],
        },
    });
    fs::write(step.path("run.json"), task_run.to_string()).unwrap();
    step
}

/// Each way in which a command signs through an agent.
fn commands(step: &Step) -> [Vec<String>; 3] {
    let path = |name: &str| step.path(name).display().to_string();
    let digest = fs::read_to_string(step.path("results/IMAGE_DIGEST")).unwrap();
    let image = named(step, "team/app", &digest.parse().unwrap());
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    [
        words(&["sign"]),
        words(&["sign", "--run", &path("run.json"), "--config", "artifacts.taskrun.storage=oci"]),
        words(&[
            "attest",
            &image,
            "--predicate",
            &path("predicate.json"),
            "--type",
            "https://spdx.dev/Document",
        ]),
    ]
}

/// Runs a command with neither a key nor anything but these variables besides.
fn run(step: &Step, args: &[String], more: &[&str], variables: &[(&str, &str)]) -> Ended {
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let mut command = step.command(&args);
    command.env_remove("STEPSEAL_KEY").env("STEPSEAL_TIMEOUT", "30s").envs(variables.iter().copied());
    ended(command.output().unwrap())
}

/// Nothing was written to the registry.
#[track_caller]
fn nothing_pushed(step: &Step) {
    let written = step
        .registry
        .requests()
        .into_iter()
        .filter(|request| !["GET", "HEAD"].contains(&request.method.as_str()));
    let written: Vec<_> = written.map(|request| request.path_and_query).collect();
    assert!(written.is_empty(), "{written:?}");
}

fn file(step: &Step, name: &str) -> String {
    step.path(name).display().to_string()
}

/// An agent that made the socket first, with a key of its own.
#[test]
fn an_impostor_is_refused_before_anything_is_pushed() {
    let step = site();
    step.key(OTHER_KEY, "");
    let impostor = agent(&step, &["--kind", "image", "--kind", "attestation"]);
    let address = impostor.address();
    let given = PublicKey::from_pem(OTHER_PUBLIC_KEYS[0]).unwrap().key_id();
    for args in commands(&step) {
        for (key, variable) in [("pinned/cosign.pub", false), ("pinned", false), ("pinned/cosign.pub", true)]
        {
            let key = file(&step, key);
            let refused = if variable {
                run(&step, &args, &["--agent", &address], &[("STEPSEAL_AGENT_KEY", &key)])
            } else {
                run(&step, &args, &["--agent", &address, "--agent-key", &key], &[])
            };
            assert_eq!(refused.code, 1, "{args:?}: {}", refused.stderr);
            let expected = public_key().key_id();
            for word in
                [&*given, &*expected, &*key, "must have", "do:", "another process made the socket first"]
            {
                assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
            }
            assert!(!refused.stderr.contains("not pinned"), "{}", refused.stderr);
            nothing_pushed(&step);
        }
    }
    let by_variable = run(
        &step,
        &commands(&step)[0],
        &["--agent", &address, "--agent-key", "env://AGENT_PUB"],
        &[("AGENT_PUB", &pair().public_pem)],
    );
    assert_eq!(by_variable.code, 1, "{}", by_variable.stderr);
    assert!(by_variable.stderr.contains("of env://AGENT_PUB"), "{}", by_variable.stderr);
    nothing_pushed(&step);
    assert!(impostor.decisions().is_empty());
}

#[test]
fn the_agents_own_key_is_accepted_from_every_place() {
    for (key, variables) in [
        ("pinned/cosign.pub", &[][..]),
        ("pinned", &[]),
        ("env://AGENT_PUB", &[("AGENT_PUB", pair().public_pem.as_str())]),
    ] {
        let step = site();
        let running = agent(&step, &["--kind", "image", "--kind", "attestation"]);
        without_key(&step);
        let key = if key.contains("://") { key.to_owned() } else { file(&step, key) };
        for args in commands(&step) {
            let signed = run(&step, &args, &["--agent", &running.address(), "--agent-key", &key], variables);
            assert_eq!(signed.code, 0, "{args:?}: {}", signed.stderr);
            assert!(!signed.stderr.contains("warning"), "{}", signed.stderr);
        }
        assert_eq!(running.decided(3).len(), 3);
    }
}

#[test]
fn without_a_pin_each_run_warns() {
    let step = site();
    let running = agent(&step, &["--kind", "image", "--kind", "attestation"]);
    without_key(&step);
    let address = running.address();
    for args in commands(&step).iter().chain([&vec!["plan".to_owned()], &commands(&step)[0]]) {
        // An empty variable is one that is not set.
        for variables in [&[][..], &[("STEPSEAL_AGENT_KEY", "")]] {
            let warned = run(&step, args, &["--agent", &address, "--output", "json"], variables);
            assert_eq!(warned.code, 0, "{args:?}: {}", warned.stderr);
            let warnings: Vec<&str> = warned
                .stderr
                .lines()
                .filter(|line| line.starts_with("warning: the agent's key is not pinned"))
                .collect();
            let [warning] = warnings[..] else { panic!("{args:?}: {}", warned.stderr) };
            assert!(
                warning.contains("--agent-key") && warning.contains("/etc/signing-secrets/cosign.pub"),
                "{warning}"
            );
            serde_json::from_str::<Value>(&warned.stdout).unwrap();
        }
    }
}

/// A pin that can't be read is not "no pin": the agent isn't asked for a signature.
#[test]
fn a_key_that_can_not_be_read_is_an_error() {
    let step = site();
    let running = agent(&step, &["--kind", "image", "--kind", "attestation"]);
    without_key(&step);
    let address = running.address();
    let write = |name: &str, text: &str| fs::write(step.path(name), text).unwrap();
    let good = &pair().public_pem;
    fs::create_dir(step.path("empty-folder")).unwrap();
    write("empty", "");
    write("text", "not a key");
    write("cut", &good[..good.len() / 2]);
    write("private", OTHER_KEY);
    write("two", &format!("{good}{}", OTHER_PUBLIC_KEYS[0]));
    write("long", &format!("{}{good}", " ".repeat(1 << 20)));
    std::os::unix::fs::symlink("/nowhere", step.path("dangling")).unwrap();
    let folder = file(&step, "empty-folder");
    let files = ["absent", "empty", "text", "cut", "private", "two", "long", "dangling"]
        .map(|name| file(&step, name));
    let places =
        files.iter().map(String::as_str).chain([&*folder, "env://UNSET", "k8s://ci/signing-secrets"]);
    for key in places {
        for args in commands(&step) {
            let failed = run(&step, &args, &["--agent", &address, "--agent-key", key], &[]);
            assert_ne!(failed.code, 0, "{key} {args:?}: {}", failed.stderr);
            for word in ["error: ", "do:    "] {
                assert!(failed.stderr.contains(word), "{key} {args:?}: {}", failed.stderr);
            }
            assert!(key.contains("k8s:") || failed.stderr.contains("(--agent-key)"), "{}", failed.stderr);
            assert!(!failed.stderr.contains("take it out"), "{}", failed.stderr);
        }
    }
    nothing_pushed(&step);
    assert!(running.decisions().is_empty());
}

#[test]
fn the_agents_key_without_an_agent_is_bad_usage() {
    let step = site();
    let key = file(&step, "pinned/cosign.pub");
    let plan = vec!["plan".to_owned()];
    for args in commands(&step).iter().chain([&plan]) {
        for own in [&[][..], &[("STEPSEAL_KEY", file(&step, "keys"))]] {
            let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let by_flag = run(&step, args, &["--agent-key", &key], &own);
            let by_variable = run(&step, args, &[], &[&own[..], &[("STEPSEAL_AGENT_KEY", &key)]].concat());
            for (refused, name) in [(by_flag, "--agent-key"), (by_variable, "STEPSEAL_AGENT_KEY")] {
                assert_eq!(refused.code, 2, "{args:?}: {}", refused.stderr);
                let line = format!("error: {name} is given without --agent");
                assert!(refused.stderr.starts_with(&line), "{args:?}: {}", refused.stderr);
            }
        }
    }
    nothing_pushed(&step);
}

/// What answers on a socket in an agent's place: it gives `keys`, the last one for ever, and signs with `signer`.
fn impostor(socket: &Path, keys: &[&str], signer: MemoryKey) {
    let listener = UnixListener::bind(socket).unwrap();
    let mut keys: Vec<String> = keys.iter().rev().map(ToString::to_string).collect();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = answer(stream.unwrap(), &mut keys, &signer);
        }
    });
}

fn answer(mut stream: UnixStream, keys: &mut Vec<String>, signer: &MemoryKey) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    reader.read_line(&mut head)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let said = if head.starts_with("GET") {
        let pem = if keys.len() > 1 { keys.pop().unwrap() } else { keys[0].clone() };
        json!({"pem": pem, "algorithm": "ECDSA P-256", "keyId": public_key().key_id(), "hint": public_key().hint()})
    } else {
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let payload = STANDARD.decode(asked["payload"].as_str().unwrap()).unwrap();
        let signature = signer.sign(&payload).unwrap().base64();
        json!({"signature": signature, "keyId": public_key().key_id(), "payloadType": asked["payloadType"]})
    };
    let said = said.to_string();
    let length = said.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{said}"
    )
}

fn other_key() -> MemoryKey {
    match parse_private(OTHER_KEY.as_bytes()).unwrap() {
        ParsedKey::Open(key) => *key,
        ParsedKey::Sealed(_) => panic!("it has no password"),
    }
}

/// The key that an agent gives first is the one that counts, whatever it gives or signs with later.
#[test]
fn an_agent_that_names_a_key_and_signs_with_another_is_refused() {
    let own = pair().public_pem.as_str();
    let other = OTHER_PUBLIC_KEYS[0];
    // What it gives; whether the key is pinned.
    for (keys, pinned) in [(&[own][..], true), (&[own], false), (&[own, other], true), (&[own, other], false)]
    {
        let step = site();
        let digest = fs::read_to_string(step.path("results/IMAGE_DIGEST")).unwrap().parse().unwrap();
        impostor(&step.path("agent.sock"), keys, other_key());
        let address = format!("unix://{}", step.path("agent.sock").display());
        let key = file(&step, "pinned/cosign.pub");
        let pin: &[&str] = if pinned { &["--agent-key", &key] } else { &[] };
        let refused = run(&step, &commands(&step)[0], &[&["--agent", address.as_str()], pin].concat(), &[]);
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert!(refused.stderr.contains("is not one of this payload by the key"), "{}", refused.stderr);
        assert!(step.layers("team/app", &digest).is_empty());
    }
}

/// Whatever key an impostor gives, of whatever kind, it is not the pinned one; nor is what isn't a key.
#[test]
fn no_other_key_is_the_pinned_one() {
    let malformed = ["", "x", "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", OTHER_KEY];
    let own = pair().public_pem.as_str();
    let twice = format!("{own}{own}");
    for given in OTHER_PUBLIC_KEYS.iter().chain(&malformed).copied().chain([twice.as_str()]) {
        let step = site();
        impostor(&step.path("agent.sock"), &[given], other_key());
        let address = format!("unix://{}", step.path("agent.sock").display());
        let key = file(&step, "pinned");
        let refused = run(&step, &commands(&step)[0], &["--agent", &address, "--agent-key", &key], &[]);
        assert_eq!(refused.code, 1, "{given}: {}", refused.stderr);
        let known = refused.stderr.contains("and must have SHA256:");
        assert!(known || refused.stderr.contains("it gives no public key"), "{given}: {}", refused.stderr);
        nothing_pushed(&step);
    }
}

/// Whether these tests themselves run in a step of Tekton's: then nothing is outside a pod.
fn in_tekton() -> bool {
    Path::new("/tekton").exists()
}

fn mode(step: &Step, mode: u32) {
    fs::set_permissions(step.folder.path(), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn outside_a_pod_an_agent_listens_only_where_no_other_user_can_make_a_socket() {
    if in_tekton() {
        return;
    }
    let step = Step::new();
    for (bits, listens) in
        [(0o700, true), (0o755, true), (0o770, false), (0o702, false), (0o777, false), (0o1777, false)]
    {
        mode(&step, bits);
        let in_pod = spawn_with(&step, &[], &[("KUBERNETES_SERVICE_HOST", "127.0.0.1")]);
        in_pod.line("listening");
        in_pod.kill();
        if listens {
            agent(&step, &[]).kill();
            continue;
        }
        let (code, lines) = spawn(&step, &[]).ended();
        let text = lines.join("\n");
        assert_eq!(code, Some(2), "{bits:o}: {text}");
        for word in ["other users could replace the socket", "other users can write to the folder", "do:"] {
            assert!(text.contains(word), "{bits:o} {word}: {text}");
        }
    }
    // It makes a folder that others can't write to.
    mode(&step, 0o755);
    let socket = format!("unix://{}", step.path("new/folder/agent.sock").display());
    let running = spawn(&step, &["--socket", &socket]);
    running.line("listening");
    assert_eq!(fs::metadata(step.path("new/folder")).unwrap().permissions().mode() & 0o022, 0);
}

/// Changes the owner of a folder and of everything in it; only root can.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), user));
    }
}

#[test]
fn an_agent_does_not_listen_in_another_users_folder() {
    if in_tekton() || !rustix::process::geteuid().is_root() {
        return;
    }
    let step = Step::new();
    give(step.folder.path(), 4000);
    let (code, lines) = spawn(&step, &[]).ended();
    let text = lines.join("\n");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("belongs to the user 4000, not to the agent's user 0"), "{text}");
}

/// Outside a pod a client without the agent's key looks at the socket's folder; with it the key counts.
#[test]
fn a_client_without_a_pin_does_not_believe_a_socket_that_others_could_have_made() {
    if in_tekton() {
        return;
    }
    let step = site();
    let running = agent(&step, &[]);
    without_key(&step);
    let (address, key) = (running.address(), file(&step, "pinned"));
    let sign = &commands(&step)[0];
    for bits in [0o777, 0o1777, 0o770] {
        mode(&step, bits);
        let refused = run(&step, sign, &["--agent", &address], &[]);
        assert_eq!(refused.code, 1, "{bits:o}: {}", refused.stderr);
        for word in ["another process could have made the socket", "other users can write to", "--agent-key"]
        {
            assert!(refused.stderr.contains(word), "{bits:o} {word}: {}", refused.stderr);
        }
        nothing_pushed(&step);
    }
    let pinned = run(&step, sign, &["--agent", &address, "--agent-key", &key], &[]);
    assert_eq!(pinned.code, 0, "{}", pinned.stderr);
    assert!(pinned.stderr.contains("another process can replace the agent's socket"), "{}", pinned.stderr);
    // In a pod the volume is everybody's, and its mount is what counts.
    let in_pod = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "1")];
    let signed = run(&step, sign, &["--agent", &address, "--annotation", "a=b"], &in_pod);
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert!(!signed.stderr.contains("can replace the agent's socket"), "{}", signed.stderr);
}

#[test]
fn a_client_without_a_pin_does_not_believe_another_users_agent() {
    use std::os::unix::process::CommandExt as _;
    if in_tekton() || !rustix::process::geteuid().is_root() {
        return;
    }
    let step = site();
    let socket = file(&step, "socket-folder/agent.sock");
    for name in ["socket-folder", "agent-keys"] {
        fs::create_dir(step.path(name)).unwrap();
    }
    fs::write(step.path("agent-keys/x509.pem"), OTHER_KEY).unwrap();
    mode(&step, 0o755);
    for name in ["socket-folder", "agent-keys"] {
        give(&step.path(name), 4000);
    }
    let program = step.path("stepseal");
    fs::copy(env!("CARGO_BIN_EXE_stepseal"), &program).unwrap();
    let mut command = Command::new(program);
    command
        .args(["agent", "--key", &file(&step, "agent-keys"), "--insecure-registry", &step.host()])
        .env_clear()
        .env("STEPSEAL_AGENT_SOCKET", &socket)
        .uid(4000)
        .gid(4000);
    let running = Running::of(command, socket.clone().into());
    running.line("listening");
    let sign = &commands(&step)[0];
    let refused = run(&step, sign, &["--agent", &socket], &[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("belongs to the user 4000"), "{}", refused.stderr);
    nothing_pushed(&step);
    // With the key it is the agent, and its folder is as it has to be.
    fs::write(step.path("pinned/cosign.pub"), OTHER_PUBLIC_KEYS[0]).unwrap();
    let pinned = run(&step, sign, &["--agent", &socket, "--agent-key", &file(&step, "pinned")], &[]);
    assert!(!pinned.stderr.contains("warning") && !pinned.stderr.contains("WARN"), "{}", pinned.stderr);
    assert_eq!(running.decided(1).len(), 1, "{}", pinned.stderr);
}
