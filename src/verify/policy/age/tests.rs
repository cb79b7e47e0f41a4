//! Which time counts.

use serde_json::{Value, json};

use super::*;
use crate::formats::{Claims, dsse};
use crate::oci::ImageRef;
use crate::payload::{Format as _, SimpleSigning};
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
    let by = By {
        name: "ci".into(),
        who: "key".into(),
        identity: None,
        times,
        logged: false,
        timestamped: false,
        unknown_timestamps: Vec::new(),
        waived: None,
    };
    Good { place: "here".into(), by, said }
}

fn claim() -> Said {
    let image: ImageRef = format!("a.example/x@sha256:{}", "a".repeat(64)).parse().unwrap();
    let payload = SimpleSigning.payloads(&image, &Claims::default()).unwrap().remove(0);
    Said::Claim(Box::new(Claim::read(&payload.bytes).unwrap()))
}

fn statement(predicate: &Value) -> Said {
    statement_of("https://example.com/any/v1", predicate)
}

fn statement_of(predicate_type: &str, predicate: &Value) -> Said {
    let bytes = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "x", "digest": { "sha256": "a".repeat(64) } }],
        "predicateType": predicate_type,
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
        json!("2026-02-28 00:00:00Z"),
        json!("20260228T000000Z"),
        json!("2026-02-28T00:00Z"),
        json!("2026-02-28T00:00:00+00:00[UTC]"),
        json!("2026-02-28T00:00:00Z[UTC]"),
        json!("-002026-02-28T00:00:00Z"),
        json!("-000001-01-01T00:00:00Z"),
        json!("+002026-02-28T00:00:00Z"),
        json!("2026-02-28T00:00:00.Z"),
        json!("2026-02-28T00:00:00,5Z"),
        json!("2026-02-28T00:00:00+01"),
        json!("2026-02-28T00:00:00+0100"),
        json!("2026-02-28T00:00:00+24:00"),
        json!("2026-02-28T00:00:00+01:60"),
        json!("2026-02-28T00:00:00 +01:00"),
        json!("2026-02-28T24:00:00Z"),
        json!("2026-02-30T00:00:00Z"),
        json!("9999-12-32T00:00:00Z"),
        json!("2026-W09-6T00:00:00Z"),
        json!(1_700_000_000),
        json!(1.5),
        json!(true),
        json!({ "seconds": 1 }),
        json!([ago]),
        json!(" ".repeat(TIME_BYTES) + ago),
    ] {
        // Also where somebody else vouches for a good time.
        let predicate = with(field, value.clone());
        let said = statement_of("https://slsa.dev/provenance/v1", &predicate);
        let error = age(&good(said, &[(ago, log())]), time(NOW)).unwrap_err();
        assert!(error.contains(field) && error.contains("not a time"), "{value}: {error}");
        assert_eq!(error.ends_with(": it is empty"), value == "", "{error}");
        // In a type that is not known it may be something else.
        let found = age(&good(statement(&predicate), &[(ago, log())]), time(NOW)).unwrap();
        assert_eq!(found.from, Origin::Log, "{value}");
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
    use super::super::MaxAge;
    let days = |days: u64| Some(MaxAge::new(&format!("{days}d"), Duration::from_secs(days * 24 * 3600)));
    let mut need = super::super::Need { check, at_least: 1, max_age: days(30), log_always: false };
    let verdict = |at: &str| Verdict { good: vec![good(claim(), &[(at, log())])], ..Verdict::default() };
    let unmet = |at: &str| need.unmet(&verdict(at), time(NOW));
    assert_eq!(unmet("2026-02-28T00:00:00Z"), None);
    assert_eq!(unmet("2026-01-30T00:00:00Z"), None);
    assert_eq!(unmet("2026-03-01T00:04:00Z"), None);
    let reason = unmet("2026-01-29T23:59:59Z").unwrap().reasons.remove(0);
    assert!(reason.contains("30 days old at most (the transparency log says so)"), "{reason}");
    assert!(unmet("2026-03-01T00:06:00Z").unwrap().reasons[0].contains("not yet"));
    need.max_age = None;
    assert_eq!(need.age(&good(claim(), &[]), time(NOW)), Ok(None));
}

#[test]
fn every_time_of_rfc_3339_is_read() {
    let field = STATED[0].fields[0];
    for (text, want) in [
        ("2026-02-28T12:00:00Z", "2026-02-28T12:00:00Z"),
        ("2026-02-28t12:00:00z", "2026-02-28T12:00:00Z"),
        ("2026-02-28T12:00:00.5Z", "2026-02-28T12:00:00.5Z"),
        ("2026-02-28T12:00:00.123456789Z", "2026-02-28T12:00:00.123456789Z"),
        ("2026-02-28T12:00:00.123456789987Z", "2026-02-28T12:00:00.123456789Z"),
        ("2026-02-28T12:00:00.000000000000000000000000000000001+02:00", "2026-02-28T10:00:00Z"),
        ("2026-02-28T12:00:00-05:30", "2026-02-28T17:30:00Z"),
        ("2026-02-28T12:00:00-00:00", "2026-02-28T12:00:00Z"),
        ("2026-02-28T23:59:59+23:59", "2026-02-28T00:00:59Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
    ] {
        let said = statement_of("https://slsa.dev/provenance/v1", &with(field, text.into()));
        assert_eq!(age(&good(said, &[]), time(NOW)).unwrap().since, time(want), "{text}");
    }
    for text in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999-23:59", "2026-03-01T00:00:00-12:00"] {
        let error = age(&good(statement(&with(field, text.into())), &[]), time(NOW)).unwrap_err();
        assert!(error.contains("not yet"), "{text}: {error}");
    }
}

/// A statement's type says where its time is; what other types have in their fields says nothing of it.
#[test]
fn a_known_type_has_its_own_fields_alone() {
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-02-28T00:00:00Z");
    for row in STATED {
        for other in STATED.iter().filter(|other| other.kind != row.kind) {
            for value in [old, "none"] {
                let mut predicate = with(other.fields[0], value.into());
                merge(&mut predicate, with(row.fields[0], new.into()));
                for end in ["", "/v1", ".1", "@v1"] {
                    let said = statement_of(&format!("{}{end}", row.types[0]), &predicate);
                    let found = age(&good(said, &[]), time(NOW)).unwrap();
                    assert_eq!(found.from, Origin::Statement(row.fields[0]), "{} {}", row.kind, other.kind);
                }
                // To a type that only begins alike, nothing is known of.
                let said = statement_of(&format!("{}x", row.types[0]), &predicate);
                let found = age(&good(said, &[]), time(NOW)).unwrap();
                let want = if value == old { other.fields[0] } else { row.fields[0] };
                assert_eq!(found.from, Origin::Statement(want), "{} {}", row.kind, other.kind);
            }
        }
    }
}

/// Go writes the zero time where none is set.
#[test]
fn the_zero_time_of_go_is_not_set() {
    let zero = "0001-01-01T00:00:00Z";
    for row in STATED {
        let mut predicate = with(row.fields[0], zero.into());
        let at = |predicate: &Value| age(&good(statement_of(row.types[0], predicate), &[]), time(NOW));
        assert!(at(&predicate).unwrap_err().contains("nobody vouches"), "{}", row.kind);
        if let Some(next) = row.fields.get(1) {
            merge(&mut predicate, with(next, "2026-01-01T00:00:00Z".into()));
            assert_eq!(at(&predicate).unwrap().from, Origin::Statement(next));
        }
    }
}
