//! Registries that want logins as products do, registries that have had enough, and credentials files as they are found.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use stepseal::demo::registry::{Answer, Auth, Fault, Options};

use crate::kit::answers::authorization;
use crate::kit::step::{Ended, REGISTRY_PASSWORD, Step, pair};

fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<Bytes> {
    let mut answer = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Bytes::from_static(body.as_bytes())).unwrap()
}

fn verify(step: &Step, image: &str) -> Ended {
    fs::write(step.path("cosign.pub"), &pair().public_pem).unwrap();
    let key = step.path("cosign.pub");
    step.run(&["verify", "--insecure-ignore-tlog", "--key", key.to_str().unwrap(), image])
}

#[test]
fn point_5_a_registry_that_refuses_the_login_as_basic_and_takes_tokens_is_worked_with() {
    for (status, headers, body) in [
        (401, &[("www-authenticate", "Basic realm=\"harbor\"")][..], "{}"),
        (403, &[], "{}"),
        (400, &[], r#"{"errors":[{"code":"DENIED","message":"Your Authorization Token is invalid."}]}"#),
    ] {
        let step = Step::with(Options { auth: Auth::Bearer, ..Options::default() });
        step.registry.faults().answer_instead(move |asked| {
            let basic = authorization(asked).starts_with("Basic ");
            (basic && asked.path_and_query.starts_with("/v2/")).then(|| answer(status, headers, body))
        });
        let digest = step.built("team/app");
        step.sign(&[]);
        assert_eq!(step.payloads("team/app", &digest).len(), 1, "{status}");
    }
}

#[test]
fn point_9_more_time_than_there_is_ends_it_at_once_and_says_until_when() {
    let in_an_hour = httpdate(Duration::from_secs(3600));
    for (auth, status, path, value) in [
        (Auth::Basic, 429, "/v2/", "3600"),
        (Auth::Basic, 429, "/v2/", in_an_hour.as_str()),
        (Auth::Basic, 503, "/v2/", "3600"),
        (Auth::Bearer, 429, "/token", "3600"),
        (Auth::Bearer, 503, "/token", in_an_hour.as_str()),
        (Auth::Basic, 429, "/v2/", "18446744073709551615"),
        (Auth::Basic, 429, "/v2/", "99999999999999999999999999"),
    ] {
        let step = Step::with(Options { auth, ..Options::default() });
        let names =
            ["team/a", "team/b"].map(|name| format!("{}/{name}@{}", step.host(), step.image(name, name)));
        step.result("IMAGES", &names.join("\n"));
        let refusal = Answer::new(http::StatusCode::from_u16(status).unwrap()).retry_after(value);
        step.registry.faults().add(Fault::answer(refusal).path(path));
        let begun = Instant::now();
        let ended = step.run(&["sign", "--timeout=2m"]);
        assert!(begun.elapsed() < Duration::from_secs(60), "{status} {path} {value}");
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        let until = if value.len() > 10 && !value.ends_with("GMT") {
            "for more than 1000 years"
        } else {
            " UTC (in "
        };
        assert!(ended.stderr.contains("asks to be left alone"), "{status} {path}: {}", ended.stderr);
        assert!(ended.stderr.contains(until), "{status} {path} {value}: {}", ended.stderr);
    }
}

fn httpdate(later: Duration) -> String {
    httpdate::fmt_http_date(SystemTime::now() + later)
}

fn auths(step: &Step, entries: &Value) {
    let text = json!({ "auths": entries }).to_string();
    fs::write(step.path("credentials/.dockerconfigjson"), text).unwrap();
}

#[test]
fn point_10_entries_that_nobody_uses_do_not_stop_the_run() {
    let step = Step::new();
    let digest = step.built("team/app");
    let good = STANDARD.encode(format!("ci-bot:{REGISTRY_PASSWORD}"));
    let mut entries = json!({
        "a.example": { "auth": "Og==" },
        "b.example": { "username": "ci" },
        "c.example": { "password": "pw" },
        "d.example": { "auth": "not base64!" },
        "e.example": { "auth": STANDARD.encode(b"ci:\xff") },
        "f.example": { "auth": 7, "username": ["ci"] },
        "g.example": "text",
        "git:https://github.com": { "auth": "Og==" },
        "": { "auth": "Og==" },
    });
    entries[format!("evil@{}", step.host())] = json!({ "auth": "ZXZpbDpwdw==" });
    entries[step.host()] = json!({ "auth": good });
    auths(&step, &entries);
    step.sign(&[]);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
    // Only the login of the registry's own entry was sent.
    let sent: HashSet<_> =
        step.registry.requests().into_iter().map(|request| format!("{:?}", request.authorization)).collect();
    assert!(!sent.iter().any(|sent| sent.contains("evil")), "{sent:?}");
}

#[test]
fn point_10_an_entry_of_the_runs_registry_is_an_error_with_file_and_entry() {
    for entry in [
        json!({ "auth": "Og==" }),
        json!({ "username": "ci" }),
        json!({ "password": "pw" }),
        json!({ "auth": "not base64!" }),
        json!({ "auth": 7 }),
        json!("text"),
    ] {
        let step = Step::new();
        step.built("team/app");
        auths(&step, &json!({ step.host(): entry }));
        let ended = step.run(&["sign"]);
        assert_eq!(ended.code, 2, "{entry}: {}", ended.stderr);
        let file = step.path("credentials/.dockerconfigjson");
        let wants = [file.to_str().unwrap().to_owned(), format!("entry \"{}\"", step.host())];
        assert!(wants.iter().all(|want| ended.stderr.contains(want)), "{entry}: {}", ended.stderr);
        let digest = "0".repeat(64);
        let ended = verify(&step, &format!("{}/team/app@sha256:{digest}", step.host()));
        assert_eq!(ended.code, 2, "{entry}: {}", ended.stderr);
        assert!(wants.iter().all(|want| ended.stderr.contains(want)), "{entry}: {}", ended.stderr);
        assert!(step.registry.requests().is_empty(), "nothing is asked as nobody");
    }
}

#[test]
fn point_10_a_password_with_a_line_break_works_without_it_and_that_is_told() {
    for end in ["\n", "\r\n"] {
        let step = Step::new();
        let digest = step.built("team/app");
        step.login(&step.host(), "ci-bot", &format!("{REGISTRY_PASSWORD}{end}"));
        let ended = step.sign(&[]);
        assert_eq!(step.payloads("team/app", &digest).len(), 1);
        assert_eq!(ended.stderr.matches("ends with a line break").count(), 1, "{}", ended.stderr);
    }
    let step = Step::new();
    step.built("team/app");
    assert!(!step.sign(&[]).stderr.contains("line break"));
}
