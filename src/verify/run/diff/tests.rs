//! What is a difference and what isn't, and what it costs to see it.

use std::time::Instant;

use serde_json::json;

use super::*;

fn differences(signed: &Value, now: &Value) -> Vec<Difference> {
    super::differences(signed, now, &Clock::until(None)).unwrap()
}

fn paths(signed: &Value, now: &Value) -> Vec<String> {
    differences(signed, now).into_iter().map(|one| one.path).collect()
}

/// A document with `value` at a path of keys and `[]`.
fn at(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |value, part| match part {
        "[]" => json!([value]),
        key => json!({ key: value }),
    })
}

#[test]
fn what_changed_is_named_by_its_path() {
    let content = |text: &str| STANDARD.encode(text);
    let byproducts = "predicate.runDetails.byproducts";
    let result = |text: &str| at(byproducts, json!([{ "name": "r", "content": content(text) }]));
    let signed = json!({
        "spec": { "params": [{ "name": "a", "value": "2" }, { "name": "b", "value": "1" }] },
        "predicate": result(r#"{"type":"string","value":"x"}"#)["predicate"],
        "plain": [1, 2],
    });
    let mut now = signed.clone();
    now["spec"]["params"] =
        json!([{ "name": "a", "value": "3" }, { "name": "b", "value": "1" }, { "name": "c" }]);
    now["predicate"] = result(r#"{"value": "y", "type": "string"}"#)["predicate"].clone();
    now["plain"] = json!([1, 3]);
    let found = differences(&signed, &now);
    let told: Vec<(&str, Option<&str>, Option<&str>)> =
        found.iter().map(|one| (one.path.as_str(), one.signed.as_deref(), one.now.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("plain[1]", Some("2"), Some("3")),
            ("predicate.runDetails.byproducts[name=r].content.value", Some("\"x\""), Some("\"y\"")),
            ("spec.params[name=a].value", Some("\"2\""), Some("\"3\"")),
            ("spec.params[name=c]", None, Some("{\"name\":\"c\"}")),
        ]
    );
    assert_eq!(differences(&signed, &signed), []);
    let lost = json!({"spec": {}, "predicate": signed["predicate"], "plain": []});
    assert_eq!(paths(&signed, &lost), ["plain[0]", "plain[1]", "spec.params[name=a]", "spec.params[name=b]"]);
    assert_eq!(differences(&json!({"a": []}), &json!({})).len(), 1);
}

#[test]
fn another_order_is_a_difference_that_says_so() {
    let named = |names: [&str; 3]| json!({ "l": names.map(|name| json!({ "name": name })) });
    let rows = [
        (
            json!({ "l": ["--deny", "critical", "--allow", "low"] }),
            json!({ "l": ["--allow", "critical", "--deny", "low"] }),
        ),
        (json!({ "l": [["a", "b"], ["c"]] }), json!({ "l": [["c"], ["a", "b"]] })),
        (
            json!({ "l": [{ "name": "" }, { "name": "", "x": 1 }] }),
            json!({ "l": [{ "name": "", "x": 1 }, { "name": "" }] }),
        ),
        (json!({ "l": [1, 1, 2] }), json!({ "l": [1, 2, 1] })),
        (named(["a", "b", "c"]), named(["a", "c", "b"])),
    ];
    for (signed, now) in rows {
        let found = differences(&signed, &now);
        let [one] = found.as_slice() else { panic!("{signed} {now}: {found:?}") };
        assert!(one.reordered && one.path == "l" && one.signed != one.now, "{one:?}");
    }
    // With items that changed besides, both are named.
    let found = differences(&named(["a", "b", "c"]), &named(["c", "b", "d"]));
    let told: Vec<(&str, bool)> = found.iter().map(|one| (one.path.as_str(), one.reordered)).collect();
    assert_eq!(told, [("l[name=a]", false), ("l[name=d]", false), ("l", true)]);
    // As often as it was there.
    assert!(!differences(&json!([1, 1, 2]), &json!([1, 2, 2])).is_empty());
}

#[test]
fn only_the_lists_of_the_table_are_sets() {
    let (one, two) = (
        json!({ "name": "a", "digest": { "sha256": "1" } }),
        json!({ "digest": { "sha256": "2" }, "name": "a" }),
    );
    for (path, _) in order::SETS {
        assert_eq!(differences(&at(path, json!([one, two])), &at(path, json!([two, one]))), []);
        assert_eq!(differences(&at(path, json!(["a", "b", "a"])), &at(path, json!(["a", "a", "b"]))), []);
        assert_ne!(differences(&at(path, json!(["a", "b", "a"])), &at(path, json!(["a", "b", "b"]))), []);
        assert_ne!(differences(&at(path, json!([one, two])), &at(path, json!([one, two, two]))), []);
        let elsewhere = format!("predicate.{path}");
        assert_ne!(differences(&at(&elsewhere, json!(["a", "b"])), &at(&elsewhere, json!(["b", "a"]))), []);
    }
}

#[test]
fn what_chains_adds_later_counts_where_chains_does_not_add_it() {
    let ours = json!({ "a": "1" });
    let later = json!({ "a": "1", "chains.tekton.dev/signed": "true" });
    let content = |object: &Value| Value::from(STANDARD.encode(object.to_string()));
    for path in order::ANNOTATIONS {
        let of = |annotations: &Value| match path.split_once(".content.") {
            Some((above, below)) => at(&format!("{above}.content"), content(&at(below, annotations.clone()))),
            None => at(path, annotations.clone()),
        };
        assert_eq!(differences(&of(&ours), &of(&later)), [], "{path}");
        assert_eq!(differences(&of(&Value::Null), &of(&json!({ "chains.tekton.dev/signed": "true" }))), []);
        assert_eq!(differences(&of(&ours), &of(&json!({ "a": "2" }))).len(), 1);
    }
    for path in [
        "predicate.invocation.environment.labels",
        "predicate.buildDefinition.internalParameters.labels",
        "spec.annotations",
    ] {
        assert_eq!(differences(&at(path, ours.clone()), &at(path, later.clone())).len(), 1, "{path}");
    }
    // Nor is a text decoded that a parameter calls its content.
    let parameter =
        |text: &str| at("predicate.invocation.parameters.p.content", STANDARD.encode(text).into());
    assert_eq!(differences(&parameter("[1]"), &parameter("[ 1 ]")).len(), 1);
}

/// Each of these took a time that grows with the square of the length, or with the depth.
#[test]
fn hostile_documents_are_compared_in_bounded_time_and_memory() {
    let names = |from: usize| {
        json!((from..from + 60_000).map(|at| json!({ "name": at.to_string() })).collect::<Vec<_>>())
    };
    let nested = |leaf: i32| (0..120).fold(json!([leaf]), |inner, _| json!([inner, [leaf]]));
    let texts = |last: &str| {
        json!(
            (0..200_000).map(|at| if at == 0 { last.to_owned() } else { at.to_string() }).collect::<Vec<_>>()
        )
    };
    for (signed, now) in [
        (names(0), names(30_000)),
        (names(0), json!([])),
        (nested(1), nested(2)),
        (texts("a"), texts("b")),
        (json!({ "subject": texts("a") }), json!({ "subject": texts("b") })),
    ] {
        let found = differences(&signed, &now);
        assert!((1..=GATHERED).contains(&found.len()), "{}", found.len());
    }
    // And whatever is left to do, it ends with the time.
    let over = Clock::until(Some(Instant::now()));
    let refused = super::differences(&names(0), &names(1), &over);
    assert!(matches!(refused, Err(RunRefusal::Time)), "{refused:?}");
    let long = "x".repeat(1 << 20);
    let found = differences(&json!([long]), &json!([[long]]));
    assert!(found[0].signed.as_ref().unwrap().len() < 2 * SHOWN_BYTES);
}
