//! Whatever clients send: the agent stays small, and answers others.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::agent::kit::{PATIENCE, Running, agent, image_request, named, reply, request};
use crate::kit::step::{MANIFEST, Step};

/// What the catalog gives it, in KiB.
const CONTAINER_KIB: u64 = 128 * 1024;

/// Nearly the longest body.
const LONG: usize = 8_300_000;
/// Nearly the longest payload in one.
const LONG_PAYLOAD: usize = 6_200_000;

fn repeated(item: &str, bytes: usize) -> String {
    let mut text = item.repeat(bytes / item.len());
    text.pop();
    text
}

fn keys(bytes: usize) -> String {
    let mut text = String::new();
    for number in 0.. {
        if text.len() > bytes {
            break;
        }
        text.push_str(&format!("\"{number:x}\":0,"));
    }
    text.pop();
    text
}

/// Requests of many shapes that make much of little, each about as long as one may be.
fn hostile(image: &str) -> Vec<(&'static str, String)> {
    let (name, digest) = image.split_once("@sha256:").unwrap();
    let statement = |subject: &str, predicate: &str| {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://e.example/x","subject":[{subject}],"predicate":{predicate}}}"#
        )
    };
    let good = format!(r#"{{"name":"{name}","digest":{{"sha256":"{digest}"}}}}"#);
    let lists = repeated("[],", LONG_PAYLOAD);
    let signed = |payload_type: &str, payload: &str| {
        let payload = STANDARD.encode(payload);
        format!(r#"{{"payloadType":"{payload_type}","payload":"{payload}"}}"#)
    };
    let (in_toto, run) = ("application/vnd.in-toto+json", "application/json");
    vec![
        ("lists", signed(in_toto, &format!("[{lists}]"))),
        ("lists in a predicate", signed(in_toto, &statement(&good, &format!("[{lists}]")))),
        (
            "texts in a predicate",
            signed(in_toto, &statement(&good, &format!("[{}]", repeated("\"\",", LONG_PAYLOAD)))),
        ),
        ("keys in a predicate", signed(in_toto, &statement(&good, &format!("{{{}}}", keys(LONG_PAYLOAD))))),
        ("subjects", signed(in_toto, &statement(&repeated("{},", LONG_PAYLOAD), "{}"))),
        (
            "digests",
            signed(in_toto, &statement(&format!(r#"{{"digest":{{{}}}}}"#, keys(LONG_PAYLOAD)), "{}")),
        ),
        ("fields of a status", signed(run, &format!(r#"{{"conditions":[{}]}}"#, repeated("[],", 1_500_000)))),
        ("a long status", signed(run, &format!(r#"{{"conditions":[{lists}]}}"#))),
        ("a long image", signed("application/vnd.dev.cosign.simplesigning.v1+json", &lists)),
        (
            "images",
            format!(r#"{{"payloadType":"{in_toto}","payload":"","images":[{}]}}"#, repeated("\"\",", LONG)),
        ),
        ("escapes", format!(r#"{{"payloadType":"{in_toto}","payload":"{}"}}"#, "\\u0041".repeat(LONG / 6))),
        ("keys", format!("{{{}}}", keys(LONG))),
        ("nothing of JSON", "[".repeat(LONG)),
    ]
}

#[test]
fn whatever_is_sent_it_fits_its_container_and_answers_others() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let image = named(&step, "team/app", &digest);
    let kinds = ["--kind", "image", "--kind", "attestation", "--kind", "run", "--request-timeout", "60s"];
    let running = agent(&step, &kinds);
    let all = hostile(&image);
    let (running, image, over) = (&running, &image, &AtomicBool::new(false));
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            let mut answered = 0;
            while !over.load(Ordering::Relaxed) {
                let reply = running.post("/v1/sign-image", &image_request(image));
                assert_eq!(reply.status, 200, "{}", reply.body);
                answered += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            answered
        });
        let senders: Vec<_> = all
            .iter()
            .flat_map(|(what, body)| ["/v1/sign", "/v1/sign-image"].map(|path| (*what, path, body)))
            .map(|(what, path, body)| scope.spawn(move || (what, path, running.status_of(path, body))))
            .collect();
        for sender in senders {
            let (what, path, status) = sender.join().unwrap();
            // Free text in a predicate may be signed; all else is refused. What is cut off has come too slowly.
            let signed =
                path == "/v1/sign" && (what.ends_with("in a predicate") || what == "fields of a status");
            let wanted: &[u16] = if signed { &[200, 400, 408, 503] } else { &[0, 400, 408, 413, 503] };
            assert!(wanted.contains(&status), "{what} to {path}: {status}");
        }
        over.store(true, Ordering::Relaxed);
        assert!(other.join().unwrap() > 0);
    });
    eprintln!("hostile requests: {} KiB at most", running.peak_kib());
    assert!(running.peak_kib() < CONTAINER_KIB, "{} KiB", running.peak_kib());
}

/// Each of a kind of connections that want nothing, and whether one more is served while they are there.
fn crowd(begin: impl Fn(&mut UnixStream, usize), drip: &[u8]) {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &["--kind", "image", "--kind", "attestation"]);
    let mut all: Vec<UnixStream> = (0..600)
        .map(|number| {
            let mut stream = running.connect();
            begin(&mut stream, number);
            stream
        })
        .collect();
    let begun = Instant::now();
    for _ in 0..5 {
        let reply = running.post("/v1/sign-image", &image_request(&named(&step, "team/app", &digest)));
        assert_eq!(reply.status, 200, "{}", reply.body);
        for stream in &mut all {
            // Those that had to make way are closed.
            let _ = stream.write_all(drip);
        }
    }
    // A fraction of what those that hang may take; the places are free only after that.
    assert!(begun.elapsed() < PATIENCE);
    assert!(running.peak_kib() < CONTAINER_KIB, "{} KiB", running.peak_kib());
}

#[test]
fn idle_connections_make_way() {
    crowd(|_, _| {}, b"");
}

#[test]
fn connections_that_trickle_make_way() {
    crowd(|stream, _| stream.write_all(b"GET /v1/he").unwrap(), b"a");
    let head = "POST /v1/sign HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n\r\n";
    crowd(
        |stream, number| {
            let _ = stream.write_all(head.as_bytes());
            // Some of them so much that it needs room.
            let _ = stream.write_all(&vec![b' '; if number % 10 == 0 { 40_000 } else { 10 }]);
        },
        b" ",
    );
}

#[test]
fn a_connection_that_was_answered_is_kept_before_idle_ones() {
    let step = Step::new();
    let running = agent(&step, &[]);
    let mut kept = running.connect();
    let mut idle: Vec<UnixStream> = (0..200).map(|_| running.connect()).collect();
    let mut answer = [0; 4096];
    for _ in 0..3 {
        kept.write_all(b"GET /v1/health HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let length = kept.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
        idle.extend((0..100).map(|_| running.connect()));
        // The newest of them is connected for sure when the one after it is answered.
        assert_eq!(running.get("/v1/health").status, 200);
    }
}

#[test]
fn an_agent_for_images_takes_no_long_bodies() {
    let step = Step::new();
    let running = agent(&step, &[]);
    let body = json!({"payloadType": "application/vnd.in-toto+json", "payload": "A".repeat(400_000)});
    let refused = running.post("/v1/sign", &body);
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"), "{}", refused.body);
    // Also of what no agent takes the client reads why.
    let longer = json!({"payloadType": "application/vnd.in-toto+json", "payload": "A".repeat(9_400_000)});
    let refused = running.post("/v1/sign", &longer);
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"), "{}", refused.body);
    let other = Step::new();
    let running = agent(&other, &["--kind", "run"]);
    // Shorter than a run's status may be, and longer than an image's payload.
    let refused = running.post("/v1/sign", &body);
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"), "{}", refused.body);
}

#[test]
fn bodies_that_stall_give_their_room_to_others_and_their_clients_are_told_when_to_come_again() {
    let step = Step::new();
    let running = agent(&step, &["--kind", "attestation"]);
    let head = "POST /v1/sign HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 8000000\r\n\r\n";
    // The first of them have all the room, the others none.
    let stalled: Vec<UnixStream> = (0..40)
        .map(|_| {
            let mut stream = running.connect();
            stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let _ = stream.write_all(&vec![b' '; 1_500_000]);
            stream
        })
        .collect();
    let body = json!({"payloadType": "x", "payload": "A".repeat(300_000)});
    let begun = Instant::now();
    // What is refused for its content has been read whole.
    while running.post("/v1/sign", &body).status != 400 {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(reply(send_small(&running)).status, 400);
    let statuses = stalled.into_iter().map(|mut stream| {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let status = text.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).unwrap_or_default();
        assert_eq!(status == 503, text.to_lowercase().contains("\r\nretry-after: 1\r\n"), "{text}");
        status
    });
    let statuses: Vec<u16> = statuses.collect();
    assert!(
        statuses.contains(&503) && statuses.iter().all(|status| [0, 408, 503].contains(status)),
        "{statuses:?}"
    );
    assert!(running.peak_kib() < CONTAINER_KIB, "{} KiB", running.peak_kib());
}

/// What needs no room is answered all the same.
fn send_small(running: &Running) -> UnixStream {
    let mut stream = running.connect();
    stream.write_all(request("/v1/sign", "{}").as_bytes()).unwrap();
    stream
}

/// A manifest of nearly the 4 MiB that one may have.
fn large_manifest(number: usize) -> String {
    let layer = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":1,"digest":"sha256:{}"}}"#,
        "0".repeat(64)
    );
    let layers = vec![layer.as_str(); 4_000_000 / (layer.len() + 1)].join(",");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","annotations":{{"n":"{number}"}},"layers":[{layers}]}}"#
    )
}

#[test]
fn large_manifests_beside_long_bodies_fit_its_container_too() {
    let step = Step::new();
    let small = named(&step, "team/app", &step.image("team/app", "x"));
    // Several repositories, as each has a share of the look-ups.
    let manifests: Vec<String> = (0..8)
        .map(|number| {
            let repository = format!("team/large{number}");
            let content = step.registry.content();
            let digest = content.put_manifest(&repository, None, MANIFEST, large_manifest(number)).unwrap();
            named(&step, &repository, &digest)
        })
        .collect();
    let kinds = ["--kind", "image", "--kind", "attestation", "--kind", "run", "--request-timeout", "60s"];
    let running = &agent(&step, &kinds);
    let bodies: Vec<String> = hostile(&small)
        .into_iter()
        .filter(|(what, _)| what.ends_with("in a predicate"))
        .map(|(_, body)| body)
        .collect();
    let (bodies, manifests, small) = (&bodies, &manifests, &small);
    std::thread::scope(|scope| {
        for sender in 0..24 {
            scope.spawn(move || {
                for turn in 0..4 {
                    let body = &bodies[(sender + turn) % bodies.len()];
                    assert!([0, 200, 400, 408, 503].contains(&running.status_of("/v1/sign", body)));
                }
            });
            scope.spawn(move || {
                for turn in 0..4 {
                    let image = image_request(&manifests[(sender + turn) % manifests.len()]);
                    assert_eq!(running.status_of("/v1/sign-image", &image.to_string()), 200);
                }
            });
        }
        for _ in 0..10 {
            assert_eq!(running.post("/v1/sign-image", &image_request(small)).status, 200);
        }
    });
    eprintln!("large manifests beside long bodies: {} KiB at most", running.peak_kib());
    // What registries and other clients do besides needs the rest.
    assert!(running.peak_kib() < CONTAINER_KIB / 8 * 7, "{} KiB", running.peak_kib());
}

#[test]
fn a_request_that_names_an_image_is_no_longer_than_one_that_brings_its_payload() {
    let step = Step::new();
    let image = named(&step, "team/app", &step.image("team/app", "x"));
    let running = agent(&step, &["--kind", "image", "--kind", "attestation"]);
    let with = |count: usize| {
        let annotations: serde_json::Map<_, _> =
            (0..count).map(|number| (format!("key-{number}"), json!("x"))).collect();
        running.post("/v1/sign-image", &json!({ "image": image, "annotations": annotations }))
    };
    assert_eq!(with(1000).status, 200);
    let refused = with(80_000);
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"), "{}", refused.body);
}
