//! Which time counts.

use serde_json::{Value, json};

use super::*;
use crate::payload::dsse;
use crate::payload::{Claims, Format as _, SimpleSigning};
use crate::registry::ImageRef;
use crate::verify::bundle::VerifiedTime;
use crate::verify::claim::Claim;
use crate::verify::statement::Statement;
use crate::verify::{By, Verdict};

const NOW: &str = "2026-03-01T00:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn good(said: Said, times: &[(&str, TimeSource)]) -> Good {
    let times = times.iter().map(|(at, by)| VerifiedTime { at: time(at), by: by.clone() }).collect();
    let by =
        By { name: "ci".into(), who: "key".into(), identity: None, times, logged: false, timestamped: false };
    Good { place: "here".into(), by, said }
}

fn claim() -> Said {
    let image: ImageRef = format!("a.example/x@sha256:{}", "a".repeat(64)).parse().unwrap();
    let payload = SimpleSigning.payloads(&image, &Claims::default()).unwrap().remove(0);
    Said::Claim(Box::new(Claim::read(&payload.bytes).unwrap()))
}

fn statement(predicate: &Value) -> Said {
    let bytes = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "x", "digest": { "sha256": "a".repeat(64) } }],
        "predicateType": "https://example.com/any/v1",
        "predicate": predicate,
    })
    .to_string();
    let statement = Statement::read(bytes.as_bytes()).unwrap();
    let envelope = json!({
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes),
        "signatures": [{ "sig": "AA==" }],
    });
    let envelope = dsse::read(envelope.to_string().as_bytes()).unwrap();
    Said::Statement { statement: Box::new(statement), envelope: Box::new(envelope) }
}

/// The predicate in which `field` is `value`.
fn with(field: &str, value: Value) -> Value {
    field.split('.').rev().fold(value, |below, key| json!({ key: below }))["predicate"].clone()
}

fn log() -> TimeSource {
    TimeSource::Log("rekor".into())
}

fn authority() -> TimeSource {
    TimeSource::Authority("tsa".into())
}

#[test]
fn each_field_of_the_table_counts_and_the_end_before_the_start() {
    for row in STATED {
        for (at, field) in row.fields.iter().enumerate() {
            let mut predicate = with(field, "2026-01-02T00:00:00+01:00".into());
            let found = age(&good(statement(&predicate), &[]), time(NOW)).unwrap();
            let want = Age { since: time("2026-01-01T23:00:00Z"), from: Origin::Statement(field) };
            assert_eq!(found, want);
            // Of one row the first that is there counts, also where a later one is older.
            if at > 0 {
                merge(&mut predicate, with(row.fields[0], "2026-02-01T00:00:00Z".into()));
                let found = age(&good(statement(&predicate), &[]), time(NOW)).unwrap();
                assert_eq!(found.from, Origin::Statement(row.fields[0]));
            }
        }
    }
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else {
        *into = from;
        return;
    };
    for (key, value) in from {
        merge(&mut into[key], value);
    }
}

/// The times that a log, an authority and the statement give, in any order: the oldest counts, and is named.
#[test]
fn the_oldest_counts_whoever_says_it() {
    let (old, middle, new) = ("2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z", "2026-02-28T00:00:00Z");
    let field = STATED[0].fields[0];
    for (logged, stamped, stated, want) in [
        (old, middle, new, Origin::Log),
        (new, old, middle, Origin::Authority),
        (middle, new, old, Origin::Statement(field)),
        (new, new, old, Origin::Statement(field)),
    ] {
        let said = statement(&with(field, stated.into()));
        let found = age(&good(said, &[(logged, log()), (stamped, authority())]), time(NOW)).unwrap();
        assert_eq!(found, Age { since: time(old), from: want });
    }
    let mut two = with(field, new.into());
    merge(&mut two, with("predicate.metadata.timestamp", old.into()));
    let found = age(&good(statement(&two), &[]), time(NOW)).unwrap();
    assert_eq!(found.from, Origin::Statement("predicate.metadata.timestamp"));
}

#[test]
fn what_says_nothing_or_nothing_sensible_is_refused() {
    let field = STATED[0].fields[0];
    let ago = "2026-02-28T00:00:00Z";
    for value in [
        json!(""),
        json!("yesterday"),
        json!("2026-02-28"),
        json!("2026-02-28T00:00:00"),
        json!(1_700_000_000),
        json!(1.5),
        json!(true),
        json!({ "seconds": 1 }),
        json!([ago]),
        json!(" ".repeat(TIME_BYTES) + ago),
    ] {
        // Also where somebody else vouches for a good time.
        let said = statement(&with(field, value.clone()));
        let error = age(&good(said, &[(ago, log())]), time(NOW)).unwrap_err();
        assert!(error.contains(field) && error.contains("not a time"), "{value}: {error}");
    }
    for said in [
        claim(),
        statement(&json!({})),
        statement(&Value::Null),
        statement(&json!("text")),
        statement(&with(field, Value::Null)),
    ] {
        assert!(age(&good(said.clone(), &[]), time(NOW)).unwrap_err().contains("nobody vouches"));
        assert!(
            age(&good(said.clone(), &[(NOW, TimeSource::Now)]), time(NOW)).is_err(),
            "the time of the check"
        );
        assert_eq!(age(&good(said, &[(ago, log())]), time(NOW)).unwrap().from, Origin::Log);
    }
    // A key that only looks like a path.
    let odd = json!({ "runDetails.metadata.finishedOn": ago, "runDetails.metadata": { "finishedOn": ago } });
    assert!(age(&good(statement(&odd), &[]), time(NOW)).is_err());
}

#[test]
fn a_time_that_is_not_yet_is_refused_beyond_the_skew() {
    let field = STATED[0].fields[0];
    let (near, far, ago) = ("2026-03-01T00:05:00Z", "2026-03-01T00:05:01Z", "2026-01-01T00:00:00Z");
    let at = |stated: &str, logged: &str| {
        age(&good(statement(&with(field, stated.into())), &[(logged, log())]), time(NOW))
    };
    assert_eq!(at(near, ago).unwrap().from, Origin::Log);
    assert_eq!(at(near, near).unwrap().since, time(near));
    assert!(at(far, ago).unwrap_err().contains("not yet"));
    assert!(at(ago, far).unwrap_err().contains("not yet"));
}

#[test]
fn a_need_says_how_old_it_may_be() {
    let key = crate::verify::trust::Trust {
        signers: Vec::new(),
        material: std::sync::Arc::new(crate::verify::bundle::TrustMaterial::none()),
    };
    let check = crate::verify::Check { trust: key, demands: crate::verify::Demands::default() };
    let days = |days: u64| Some(Duration::from_secs(days * 24 * 3600));
    let mut need = super::super::Need { check, at_least: 1, max_age: days(30) };
    let verdict = |at: &str| Verdict { good: vec![good(claim(), &[(at, log())])], ..Verdict::default() };
    let unmet = |at: &str| need.unmet(&verdict(at), time(NOW));
    assert_eq!(unmet("2026-02-28T00:00:00Z"), None);
    assert_eq!(unmet("2026-01-30T00:00:00Z"), None);
    assert_eq!(unmet("2026-03-01T00:04:00Z"), None);
    let reason = unmet("2026-01-29T23:59:59Z").unwrap().reasons.remove(0);
    assert!(reason.contains("30days old at most (the transparency log says so)"), "{reason}");
    assert!(unmet("2026-03-01T00:06:00Z").unwrap().reasons[0].contains("not yet"));
    need.max_age = None;
    assert_eq!(need.age(&good(claim(), &[]), time(NOW)), Ok(None));
}
