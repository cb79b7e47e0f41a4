//! The count of signatures outlives the agent, where it has a folder for it.

use std::fs;

use crate::agent::kit::{agent, image_request, named, spawn};
use crate::kit::step::Step;

#[test]
fn a_killed_agent_goes_on_with_its_count() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let image = image_request(&named(&step, "team/app", &digest));
    // Beside the socket's folder, not in it.
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("agent");
    let args = ["--max-signatures", "3", "--state-dir", state.to_str().unwrap()];
    let first = agent(&step, &args);
    for _ in 0..2 {
        assert_eq!(first.post("/v1/sign-image", &image).status, 200);
    }
    assert!(!first.lines().iter().any(|line| line.contains("begins it anew")));
    first.kill();
    let second = agent(&step, &args);
    assert_eq!(second.get("/v1/health").json()["signatures"], 2);
    assert_eq!(second.line("listening")["signatures"], 2);
    assert_eq!(second.post("/v1/sign-image", &image).status, 200);
    let refused = second.post("/v1/sign-image", &image);
    assert_eq!((refused.status, refused.code().as_str()), (403, "limit_reached"));
    second.kill();
    assert_eq!(agent(&step, &args).post("/v1/sign-image", &image).status, 403);
}

#[test]
fn a_count_that_can_not_be_trusted_ends_it() {
    let step = Step::new();
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("agent");
    let args = ["--state-dir", state.to_str().unwrap()];
    let refused = |args: &[&str], word: &str| {
        let (code, lines) = spawn(&step, args).ended();
        assert_eq!(code, Some(2), "{lines:?}");
        assert!(lines.join("\n").contains(word), "{word}: {lines:?}");
    };
    let first = agent(&step, &args);
    let socket = first.socket.with_file_name("other.sock");
    let socket = format!("unix://{}", socket.display());
    refused(&[&args[..], &["--socket", &socket]].concat(), "another agent keeps its count of signatures in");
    first.kill();
    fs::write(state.join("signatures.json"), "").unwrap();
    refused(&args, "is damaged: it holds no count of signatures");
    fs::remove_file(state.join("signatures.json")).unwrap();
    fs::create_dir(state.join("signatures.json")).unwrap();
    refused(&args, "cannot read the count of signatures");
    let sockets = step.path("");
    refused(&["--state-dir", sockets.to_str().unwrap()], "is the socket's");
    refused(&["--state-dir", sockets.join("state").to_str().unwrap()], "one of them lies in the other");
}

/// What can't be counted isn't signed.
#[test]
fn a_count_that_can_not_be_written_refuses() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let image = image_request(&named(&step, "team/app", &digest));
    let state = tempfile::tempdir().unwrap();
    let running = agent(&step, &["--state-dir", state.path().to_str().unwrap()]);
    assert_eq!(running.post("/v1/sign-image", &image).status, 200);
    fs::remove_dir_all(state.path()).unwrap();
    let refused = running.post("/v1/sign-image", &image);
    assert_eq!((refused.status, refused.code().as_str()), (500, "count_not_kept"), "{}", refused.body);
    assert_eq!(running.get("/v1/health").json()["signatures"], 1);
}

#[test]
fn without_a_folder_the_log_says_that_a_restart_forgets() {
    let step = Step::new();
    let running = agent(&step, &[]);
    let warning = running.line("warning");
    assert!(warning["warning"].as_str().unwrap().contains("--state-dir"), "{warning}");
}
