//! SIGTERM: what was begun is finished, and nothing is left behind.

use std::io::Write as _;
use std::time::{Duration, Instant};

use stepseal::demo::registry::{Effect, Fault};

use crate::agent::kit::{agent, image_request, named, reply, request};
use crate::kit::step::{Step, ended};

#[test]
fn in_the_middle_of_requests_it_loses_none() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &[]);
    step.registry.faults().add(Fault::new(Effect::Delay(Duration::from_secs(2))));
    let body = image_request(&named(&step, "team/app", &digest)).to_string();
    let begun = Instant::now();
    let mut streams: Vec<_> = (0..20).map(|_| running.connect()).collect();
    for stream in &mut streams {
        stream.write_all(request("/v1/sign-image", &body).as_bytes()).unwrap();
    }
    // One whose head has come and whose body hasn't, and one that has only connected.
    let whole = request("/v1/sign-image", &body);
    let (head, tail) = whole.split_at(whole.len() - 10);
    let mut slow = running.connect();
    slow.write_all(head.as_bytes()).unwrap();
    let mut silent = running.connect();
    running.signal("TERM");
    running.line("ending");
    slow.write_all(tail.as_bytes()).unwrap();
    silent.write_all(whole.as_bytes()).unwrap();
    for stream in streams.into_iter().chain([slow, silent]) {
        let reply = reply(stream);
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert!(begun.elapsed() > Duration::from_secs(2), "the signal came before the answers");
    let socket = running.socket.clone();
    let (code, lines) = running.ended();
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(!socket.exists());
    assert_eq!(lines.iter().filter(|line| line.contains("\"verdict\":\"signed\"")).count(), 22);
}

#[test]
fn sign_is_done_by_an_agent_that_is_ending() {
    let step = Step::new();
    let digest = step.built("team/app");
    let running = agent(&step, &[]);
    // The step's own requests are as slow: the signal comes while the agent looks the image up.
    step.registry.faults().add(Fault::new(Effect::Delay(Duration::from_millis(700))));
    let mut command = step.command(&["sign", "--agent", &running.address()]);
    command.env_remove("STEPSEAL_KEY").stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let begun = Instant::now();
    // The third manifest that is read is the agent's.
    while step
        .registry
        .requests()
        .iter()
        .filter(|r| r.method == "GET" && r.path_and_query.contains(digest.as_str()))
        .count()
        < 2
    {
        assert!(begun.elapsed() < crate::agent::kit::PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal("TERM");
    let signed = ended(child.wait_with_output().unwrap());
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
    assert_eq!(running.ended().0, Some(0));
}

#[test]
fn a_client_that_says_nothing_does_not_keep_it() {
    let step = Step::new();
    let running = agent(&step, &[]);
    let mut begun = running.connect();
    begun.write_all(b"POST /v1/si").unwrap();
    let silent = running.connect();
    assert_eq!(running.get("/v1/health").status, 200);
    let since = Instant::now();
    running.signal("TERM");
    assert_eq!(running.ended().0, Some(0));
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    drop((begun, silent));
}

#[test]
fn what_was_begun_for_a_client_that_has_gone_is_finished_and_told() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &[]);
    step.registry.faults().add(Fault::new(Effect::Delay(Duration::from_secs(2))));
    let body = image_request(&named(&step, "team/app", &digest)).to_string();
    let mut stream = running.connect();
    stream.write_all(request("/v1/sign-image", &body).as_bytes()).unwrap();
    let begun = Instant::now();
    while step.registry.requests().is_empty() {
        assert!(begun.elapsed() < crate::agent::kit::PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(stream);
    running.signal("TERM");
    let (code, lines) = running.ended();
    assert_eq!(code, Some(0), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("\"verdict\":\"signed\"")).count(), 1, "{lines:?}");
}
