//! The images among a statement's subjects are those that are signed, whatever the results hold.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::arrays::{FORMATS, runs, sha256};
use super::*;
use crate::oci::ImageRef;

/// The images that are signed for `run`, those that an attestation goes beside, and the artifacts that have an image's name: Chains'
/// statements don't distinguish them.
fn signed_and_attested(
    run: &Run,
    format: RunFormat,
) -> (BTreeSet<String>, BTreeSet<String>, BTreeSet<String>) {
    let options = ProvenanceOptions { deep_inspection: true, ..ProvenanceOptions::default() };
    let hints = hints(run, &HintOptions { deep: true, steps: format.reads_step_results() });
    let plan = plan(&hints, &PlanOptions::default());
    let signed = plan.images.iter().map(|planned| planned.image.to_string()).collect();
    let attested = image_subjects(run, format, &options).iter().map(ToString::to_string).collect();
    let named = plan.subjects.iter().filter_map(|subject| {
        let (repository, digest) = (subject.uri.parse().ok()?, subject.digest.parse().ok()?);
        Some(ImageRef { repository, digest }.to_string())
    });
    (signed, attested, named.collect())
}

fn check(results: &Value) -> Result<(), TestCaseError> {
    for (run, of_step) in runs(results) {
        for format in FORMATS.into_iter().filter(|format| !of_step || format.reads_step_results()) {
            let (signed, attested, named) = signed_and_attested(&run, format);
            prop_assert!(signed.is_subset(&attested), "{format} {results}: {signed:?} not in {attested:?}");
            prop_assert!(attested.is_subset(&named), "{format} {results}: {attested:?} not in {named:?}");
            let artifacts = results.as_array().unwrap().iter();
            let mut names = artifacts.map(|result| result["name"].as_str().unwrap());
            if !names.any(|name| name.contains("ARTIFACT")) {
                prop_assert_eq!(signed, attested, "{} {}", format, results);
            }
        }
    }
    Ok(())
}

/// A text of a name or a digest: good, blank, or neither.
fn texts() -> impl Strategy<Value = String> {
    let texts = [
        "reg.example/a",
        "reg.example/b",
        "alpine",
        "null",
        "",
        " ",
        "\"",
        "https://reg.example/a",
        "pkg:npm/x@1",
        "[",
        "7",
    ];
    let digests = [sha256("5e"), sha256("6f"), sha256("5E"), format!("SHA256: {}", "5e".repeat(32))];
    let both = [format!("reg.example/a@{}", sha256("5e")), format!(" reg.example/b@{},\n", sha256("6f"))];
    let plain = texts.map(str::to_owned).into_iter().chain(digests).chain(both).collect::<Vec<_>>();
    (proptest::sample::select(plain), 0..4_u8).prop_map(|(text, form)| match form {
        0 => format!(" {text}\n"),
        _ => text,
    })
}

/// An object as `ARTIFACT_OUTPUTS` has them.
fn outputs() -> impl Strategy<Value = Value> {
    let flag =
        proptest::sample::select(vec![json!("true"), json!(" true"), json!("false"), json!(""), Value::Null]);
    (texts(), texts(), flag)
        .prop_map(|(uri, digest, flag)| json!({"uri": uri, "digest": digest, "isBuildArtifact": flag}))
}

/// A value as it is, as the text of its JSON, and as the text of that.
fn values() -> impl Strategy<Value = Value> {
    let item = prop_oneof![4 => texts().prop_map(Value::String), 1 => Just(Value::Null), 2 => outputs()];
    let list = proptest::collection::vec(texts(), 0..4).prop_map(|texts| json!(texts));
    let plain = prop_oneof![6 => item.clone(), 3 => list, 1 => proptest::collection::vec(item, 0..3).prop_map(Value::Array)];
    (plain, 0..6_u8).prop_map(|(value, form)| match form {
        0 => Value::String(value.to_string()),
        1 => Value::String(Value::String(value.to_string()).to_string()),
        _ => value,
    })
}

/// Results, of which some have a name that another has too.
fn results() -> impl Strategy<Value = Value> {
    let names = [
        "IMAGE_URL",
        "IMAGE_DIGEST",
        "a-IMAGE_URL",
        "a-IMAGE_DIGEST",
        "-IMAGE_URL",
        "-IMAGE_DIGEST",
        "IMAGES",
        "my-IMAGES",
        "ARTIFACT_URI",
        "ARTIFACT_DIGEST",
        "ARTIFACT_OUTPUTS",
        "x-ARTIFACT_OUTPUTS",
        "ARTIFACT_INPUTS",
    ];
    let result = (proptest::sample::select(names.to_vec()), values())
        .prop_map(|(name, value)| json!({"name": name, "value": value}));
    let pair =
        (proptest::sample::select(vec!["", "a-"]), values(), values()).prop_map(|(prefix, url, digest)| {
            vec![
                json!({"name": format!("{prefix}IMAGE_URL"), "value": url}),
                json!({"name": format!("{prefix}IMAGE_DIGEST"), "value": digest}),
            ]
        });
    (pair, proptest::collection::vec(result, 0..5)).prop_map(|(mut pair, more)| {
        pair.extend(more);
        Value::Array(pair)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_images_of_a_statement_are_those_that_are_signed(results in results()) {
        check(&results)?;
    }
}

#[test]
fn what_the_plan_calls_blank_is_no_subject_and_what_it_signs_is_one() {
    let (good, image) = (sha256("5e"), format!("reg.example/a@{}", sha256("5e")));
    let quoted = |text: &str| Value::String(Value::from(text).to_string());
    let output = json!({"uri": " reg.example/a", "digest": format!("SHA256: {}", "5e".repeat(32)), "isBuildArtifact": "true"});
    let pair = |url: Value, digest: Value| json!([{"name": "IMAGE_URL", "value": url}, {"name": "IMAGE_DIGEST", "value": digest}]);
    let with = |mut results: Value, name: &str, value: Value| {
        results.as_array_mut().unwrap().push(json!({"name": name, "value": value}));
        results
    };
    let plain = pair("reg.example/a".into(), good.as_str().into());
    for (results, want) in [
        (pair("null".into(), good.as_str().into()), false),
        (pair(Value::Null, good.as_str().into()), false),
        (pair(quoted("null"), good.as_str().into()), false),
        (pair("\"\"".into(), good.as_str().into()), false),
        (with(plain.clone(), "IMAGE_URL", "".into()), false),
        (with(plain.clone(), "IMAGE_DIGEST", "null".into()), false),
        (with(plain.clone(), "IMAGE_DIGEST", json!({})), false),
        (with(plain.clone(), "IMAGE_URL", "reg.example/a".into()), true),
        (pair(quoted("reg.example/a"), quoted(&good)), true),
        (
            json!([{"name": "-IMAGE_URL", "value": "reg.example/a"}, {"name": "-IMAGE_DIGEST", "value": good}]),
            false,
        ),
        (
            json!([{"name": "ARTIFACT_URI", "value": "null"}, {"name": "ARTIFACT_DIGEST", "value": good}]),
            false,
        ),
        (json!([{"name": "ARTIFACT_OUTPUTS", "value": output}]), true),
        (json!([{"name": "ARTIFACT_OUTPUTS", "value": [output.to_string(), output.to_string()]}]), true),
        (json!([{"name": "ARTIFACT_OUTPUTS", "value": output.to_string()}]), true),
    ] {
        for (run, of_step) in runs(&results) {
            for format in FORMATS.into_iter().filter(|format| !of_step || format.reads_step_results()) {
                let (signed, attested, _) = signed_and_attested(&run, format);
                let want: BTreeSet<String> = want.then(|| image.clone()).into_iter().collect();
                // The name "null" in JSON's quotes is a name.
                if results[0]["value"] != quoted("null") {
                    assert_eq!(signed, want, "{format} {results}");
                }
                assert_eq!(signed, attested, "{format} {results}");
            }
        }
    }
}

#[test]
fn halves_in_two_steps_of_one_name_are_no_pair() {
    let (run, _) = runs(&json!([])).swap_remove(0);
    let mut object = run.object().clone();
    let step = |name: &str, value: &str| json!({"name": "make", "results": [{"name": name, "value": value}]});
    object["status"]["steps"] =
        json!([step("IMAGE_URL", "reg.example/a"), step("IMAGE_DIGEST", &sha256("5e"))]);
    let run = Run::from_objects(object, vec![]).unwrap();
    let (signed, attested, _) = signed_and_attested(&run, RunFormat::SlsaV2Alpha4);
    assert!(signed.is_empty() && attested.is_empty(), "{signed:?} {attested:?}");
}
