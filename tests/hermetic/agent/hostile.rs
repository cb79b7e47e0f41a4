//! Clients that want no signature.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::agent::kit::{PATIENCE, agent, image_request, named, reply, spawn_with};
use crate::kit::echo::{Echo, Kind, PASSWORD, Place};
use crate::kit::step::Step;

#[test]
fn wrong_paths_methods_and_bodies_are_told_what_is_right() {
    let step = Step::new();
    let running = agent(&step, &[]);
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "a".repeat(8000));
    for (request, status, code) in [
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 404, "not_found"),
        ("GET /v1/sign HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 405, "method_not_allowed"),
        ("DELETE /v1/public-key HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 405, "method_not_allowed"),
        ("GET /v1/../v1/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 404, "not_found"),
        ("GET /v1/health/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 404, "not_found"),
        (long.as_str(), 404, "not_found"),
        ("POST /v1/sign HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 411, "length_required"),
        (
            "POST /v1/sign HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            411,
            "length_required",
        ),
        (
            "POST /v1/sign HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 8388609\r\n\r\n",
            413,
            "too_large",
        ),
        (
            "POST /v1/sign HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
            400,
            "bad_request",
        ),
        (
            "POST /v1/sign-image HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\n\u{1b}[2J",
            400,
            "bad_request",
        ),
    ] {
        let reply = running.send(request);
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{request}");
    }
    for line in running.lines() {
        assert!(!line.contains('\u{1b}') && line.len() < 4096, "{line}");
    }
}

#[test]
fn a_client_is_not_told_the_login_that_a_registry_repeats() {
    for place in [Place::Message, Place::Denied, Place::UnusableRedirect] {
        let echo = Echo::start(Kind::Token, place);
        let step = Step::new();
        step.login(&echo.host, "ci-bot", PASSWORD);
        let variables = [("STEPSEAL_INSECURE_REGISTRIES", echo.host.as_str()), ("STEPSEAL_LOG", "trace")];
        let running = spawn_with(&step, &[], &variables);
        running.line("listening");
        let reply = running.post("/v1/sign-image", &image_request(&echo.image));
        assert!(reply.status >= 400, "{place:?}: {}", reply.status);
        let answer = reply.json().to_string();
        assert!(answer.contains("[hidden]"), "{place:?}: {answer}");
        echo.is_hidden_in(&answer, "the answer");
        echo.is_hidden_in(&running.lines().join("\n"), "the log");
    }
}

#[test]
fn garbage_and_huge_heads_end_the_connection() {
    let step = Step::new();
    let running = agent(&step, &[]);
    let huge = format!("GET /v1/health HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    let many = format!("GET /v1/health HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\r\n\r\n",
        huge.as_bytes(),
        many.as_bytes(),
    ] {
        let mut stream = running.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(running.get("/v1/health").status, 200);
}

#[test]
fn a_body_without_end_is_cut_off() {
    let step = Step::new();
    let running = agent(&step, &["--kind", "attestation"]);
    // It says that it is long, and goes on whatever is answered.
    let mut stream = running.connect();
    stream.write_all(b"POST /v1/sign HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n").unwrap();
    let begun = Instant::now();
    while stream.write_all(&[b'a'; 65536]).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is still read");
    }
    // One that is as long as a body may be, and no JSON.
    let mut stream = running.connect();
    let head = "POST /v1/sign HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 8388608\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'['; 8_388_608]).unwrap();
    assert_eq!(reply(stream).status, 400);
    // And ten of those at once, which are a statement each.
    let payload = "A".repeat(8_000_000);
    let body = json!({"payloadType": "application/vnd.in-toto+json", "payload": payload}).to_string();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        // On a busy machine one that falls behind is turned away, and asks again as clients do.
        let send = || {
            let begun = Instant::now();
            loop {
                let status = running.status_of("/v1/sign", &body);
                if ![0, 408, 503].contains(&status) || begun.elapsed() > PATIENCE {
                    return status;
                }
            }
        };
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [400; 10]);
    assert!(running.peak_kib() < 128 * 1024, "{} KiB", running.peak_kib());
}

/// Whoever sends slowly, or not at all, waits by himself.
#[test]
fn slow_clients_keep_nobody_waiting() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &["--request-timeout", "2s", "--kind", "image", "--kind", "attestation"]);
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut stream = running.connect();
        match number % 3 {
            0 => stream.write_all(b"GET /v1/he").unwrap(),
            1 => stream
                .write_all(b"POST /v1/sign HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n\r\n{")
                .unwrap(),
            _ => {}
        }
        slow.push(stream);
    }
    let begun = Instant::now();
    let image = named(&step, "team/app", &digest);
    let reply = running.post("/v1/sign-image", &image_request(&image));
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // Each of them is ended.
    for mut stream in slow {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408"), "{rest}");
    }
}

#[test]
fn a_client_that_goes_away_changes_nothing() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &[]);
    let body = image_request(&named(&step, "team/app", &digest)).to_string();
    for _ in 0..20 {
        let mut stream = running.connect();
        stream.write_all(crate::agent::kit::request("/v1/sign-image", &body).as_bytes()).unwrap();
    }
    assert_eq!(
        running.post("/v1/sign-image", &json!({"image": named(&step, "team/app", &digest)})).status,
        200
    );
    // What was begun is finished and written down, all of it.
    let begun = Instant::now();
    let given = || usize::try_from(running.get("/v1/health").json()["signatures"].as_u64().unwrap()).unwrap();
    while given() < 21 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let signed = running.decided(given()).iter().filter(|line| line["verdict"] == "signed").count();
    assert_eq!(given(), signed);
}
