//! Where two JSON documents differ, by path.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::foreign;

/// More differences than these are told by their number.
pub(super) const TOLD: usize = 40;
/// The longest piece of a value that is told, in bytes.
const SHOWN_BYTES: usize = 160;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, as `predicate.buildDefinition.externalParameters.runSpec.params[name=x].value`.
    pub path: String,
    /// What is signed; `None`: nothing.
    pub signed: Option<String>,
    /// What the run says now; `None`: nothing.
    pub now: Option<String>,
}

/// Every difference between what is `signed` and what the run says `now`. The order of lists doesn't count: Chains
/// itself varies in it.
pub(super) fn differences(signed: &Value, now: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(signed), Some(now), &mut found);
    found
}

fn walk(path: &str, signed: Option<&Value>, now: Option<&Value>, found: &mut Vec<Difference>) {
    if signed == now {
        return;
    }
    // A PipelineRun's provenance repeats its TaskRuns, which may have been signed before it or after it.
    let signed = signed.filter(|value| path.is_empty() || !is_chains(value));
    let now = now.filter(|value| path.is_empty() || !is_chains(value));
    if signed.is_none() && now.is_none() {
        return;
    }
    match (signed, now) {
        (Some(Value::Object(one)), Some(Value::Object(two))) => {
            let keys: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
            for key in keys.into_iter().filter(|key| !key.starts_with(super::PREFIX)) {
                let key_shown = foreign::shown(key, 120);
                let below = if path.is_empty() { key_shown } else { format!("{path}.{key_shown}") };
                let (one, two) = (one.get(key), two.get(key));
                match (key == "content").then(|| Some((decoded(one?)?, decoded(two?)?))).flatten() {
                    // A result's value stands in the provenance as base64 of its JSON.
                    Some((one, two)) => walk(&below, Some(&one), Some(&two), found),
                    None => walk(&below, one, two, found),
                }
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(two))) => lists(path, one, two, found),
        // What a list lacks counts for each item, also where all of them, and the list with them, are missing.
        (Some(Value::Array(one)), None) if !one.is_empty() => lists(path, one, &[], found),
        (None, Some(Value::Array(two))) if !two.is_empty() => lists(path, &[], two, found),
        _ => found.push(Difference {
            path: foreign::shown(path, 600),
            signed: signed.map(shown),
            now: now.map(shown),
        }),
    }
}

/// Annotations of Chains' alone.
fn is_chains(value: &Value) -> bool {
    let annotations = value.as_object().filter(|all| !all.is_empty());
    annotations.is_some_and(|all| all.keys().all(|key| key.starts_with(super::PREFIX)))
}

fn lists(path: &str, one: &[Value], two: &[Value], found: &mut Vec<Difference>) {
    let sorted = |list: &[Value]| {
        let mut texts: Vec<String> = list.iter().map(Value::to_string).collect();
        texts.sort();
        texts
    };
    if one.len() == two.len() && sorted(one) == sorted(two) {
        return;
    }
    for field in ["name", "uri"] {
        let (Some(names_one), Some(names_two)) = (names(one, field), names(two, field)) else { continue };
        let names: BTreeSet<&str> = names_one.iter().chain(&names_two).copied().collect();
        for name in names {
            let of = |list: &[Value], names: &[&str]| {
                names.iter().position(|have| *have == name).and_then(|at| list.get(at).cloned())
            };
            let below = format!("{path}[{field}={}]", foreign::shown(name, 120));
            walk(&below, of(one, &names_one).as_ref(), of(two, &names_two).as_ref(), found);
        }
        return;
    }
    for at in 0..one.len().max(two.len()) {
        walk(&format!("{path}[{at}]"), one.get(at), two.get(at), found);
    }
}

/// The names of a list's items, if each has one of its own.
fn names<'a>(list: &'a [Value], field: &str) -> Option<Vec<&'a str>> {
    let names: Option<Vec<&str>> = list.iter().map(|item| item.get(field)?.as_str()).collect();
    names.filter(|names| names.iter().collect::<BTreeSet<_>>().len() == names.len())
}

fn decoded(value: &Value) -> Option<Value> {
    serde_json::from_slice(&STANDARD.decode(value.as_str()?).ok()?).ok()
}

fn shown(value: &Value) -> String {
    foreign::shown(&value.to_string(), SHOWN_BYTES)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_changed_is_named_by_its_path() {
        let signed = json!({
            "spec": { "params": [{ "name": "b", "value": "1" }, { "name": "a", "value": "2" }] },
            "results": [{ "name": "r", "content": STANDARD.encode(r#"{"type":"string","value":"x"}"#) }],
            "plain": [1, 2],
        });
        let mut now = signed.clone();
        now["spec"]["params"] =
            json!([{ "name": "a", "value": "3" }, { "name": "b", "value": "1" }, { "name": "c" }]);
        now["results"][0]["content"] = STANDARD.encode(r#"{"type":"string","value":"y"}"#).into();
        now["plain"] = json!([2, 1]);
        let found = differences(&signed, &now);
        let told: Vec<(&str, Option<&str>, Option<&str>)> =
            found.iter().map(|one| (one.path.as_str(), one.signed.as_deref(), one.now.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("results[name=r].content.value", Some("\"x\""), Some("\"y\"")),
                ("spec.params[name=a].value", Some("\"2\""), Some("\"3\"")),
                ("spec.params[name=c]", None, Some("{\"name\":\"c\"}")),
            ]
        );
        assert_eq!(differences(&signed, &signed), []);
        let lost = differences(&signed, &json!({"spec": {}, "results": signed["results"], "plain": []}));
        let paths: Vec<&str> = lost.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["plain[0]", "plain[1]", "spec.params[name=a]", "spec.params[name=b]"]);
        assert_eq!(differences(&json!({"a": []}), &json!({})).len(), 1);
    }
}
