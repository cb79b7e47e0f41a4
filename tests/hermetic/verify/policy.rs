//! `verify --policy`: the gate.

use crate::kit::step::{Ended, Step};
use crate::verify::kit::{
    ENVELOPE, envelope, fails, name, other, passes, payload, provenance, signed, signer, step, tag,
};

fn gate(step: &Step, policy: &str, args: &[&str]) -> Ended {
    std::fs::write(step.path("other.pub"), other().public_key().to_pem()).unwrap();
    let file = step.path("policy.yaml");
    std::fs::write(&file, policy).unwrap();
    let mut command = step.command(&[&["verify", "--policy", file.to_str().unwrap()], args].concat());
    crate::kit::step::ended(command.env_remove("STEPSEAL_KEY").output().unwrap())
}

const SIGNERS: &str = "version: 1\nsigners:\n  ci: { key: keys }\n  review: { key: other.pub }\nrules:\n";

fn policy(rules: &str) -> String {
    format!("{SIGNERS}{rules}")
}

#[test]
fn only_what_passes_every_matching_rule_passes() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let bytes = payload(&step, "team/app", &digest);
    let both = policy(
        "  - { name: any signer, images: ['**'], signature: { by: [ci, review] } }\n  - { name: two of them, images: ['*/team/*'], signature: { by: [ci, review], atLeast: 2 } }\n",
    );
    fails(gate(&step, &both, &[&image]), &["any signer", "two of them", "there is none at"]);
    tag(&step, "team/app", &digest, "sig", &[signed(signer(), &bytes), signed(signer(), &bytes)]);
    let ended = fails(
        gate(&step, &both, &[&image]),
        &["does not pass the rule \"two of them\"", "by 2 different ones of ci, review; 1 made one"],
    );
    assert!(!ended.stderr.contains("any signer"), "{}", ended.stderr);
    tag(&step, "team/app", &digest, "sig", &[signed(signer(), &bytes), signed(other(), &bytes)]);
    passes(gate(&step, &both, &[&image]));
    passes(gate(&step, &both, &[]));
}

#[test]
fn an_image_that_no_rule_matches_fails() {
    let step = step();
    let digest = step.built("team/app");
    step.sign(&[]);
    let rules = policy("  - { name: others, images: ['*/other/*'], signature: { by: [ci] } }\n");
    let image = name(&step, "team/app", &digest);
    fails(gate(&step, &rules, &[&image]), &["passes no rule"]);
}

#[test]
fn attestations_are_demanded_with_what_they_say_and_their_age() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let rules = |more: &str| {
        policy(&format!(
            "  - name: provenance\n    images: ['**']\n    attestations:\n      - {{ type: slsaprovenance1, by: [ci], {more} }}\n"
        ))
    };
    let required = rules("require: ['$.predicate.runDetails.builder.id=https://tekton.dev/chains/v2']");
    fails(gate(&step, &required, &[&image]), &["the rule \"provenance\"", "there is none at"]);
    let bytes = envelope(signer(), &provenance(&digest, "2020-01-01T00:00:00Z"));
    tag(&step, "team/app", &digest, "att", &[(ENVELOPE, &bytes, String::new())]);
    passes(gate(&step, &required, &[&image]));
    let other = rules("require: ['$.predicate.runDetails.builder.id=https://elsewhere']");
    fails(gate(&step, &other, &[&image]), &["it says \"https://tekton.dev/chains/v2\""]);
    fails(
        gate(&step, &rules("maxAge: 30d"), &[&image]),
        &["2020-01-01T00:00:00Z, and may be 30 days old at most"],
    );
    passes(gate(&step, &rules("maxAge: 100years"), &[&image]));
    fails(gate(&step, &rules("log: true"), &[&image]), &["no entry in a transparency log"]);
    fails(gate(&step, &rules("timestamp: true"), &[&image]), &["no timestamp of an authority"]);
}

#[test]
fn a_policy_that_is_wrong_or_contradicted_begins_nothing() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let rules = policy("  - { name: a, images: ['**'], signature: { by: [ci], treshold: 2 } }\n");
    let ended = gate(&step, &rules, &[&image]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(r#"rules[0].signature: the key "treshold" is unknown"#),
        "{}",
        ended.stderr
    );
    let rules = policy("  - { name: a, images: ['**'], signature: { by: [ci] } }\n");
    let ended = gate(&step, &rules, &["--key", "x", &image]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("--policy cannot be combined"), "{}", ended.stderr);
    assert!(step.registry.requests().iter().all(|request| request.method != "GET"), "a request was made");
}

/// A registry has many names; the rule that was written for one of them is about all.
#[test]
fn no_spelling_of_a_registry_escapes_the_strict_rule() {
    let step = step();
    let digest = step.built("team/production/app");
    let bytes = payload(&step, "team/production/app", &digest);
    tag(&step, "team/production/app", &digest, "sig", &[signed(signer(), &bytes)]);
    let port = step.host().rsplit_once(':').unwrap().1.to_owned();
    let spellings = ["127.0.0.1:", "127.0.0.1:0", "127.1:", "0x7F.1:", "0177.0.0.1:0", "2130706433:"]
        .map(|start| format!("{start}{port}"));
    for pattern in &spellings {
        let rules = |by: &str| {
            policy(&format!(
                "  - {{ name: signed, images: ['**'], signature: {{ by: [ci] }} }}\n  - name: reviewed\n    images: ['{pattern}/team/production/*']\n    signature: {{ by: [{by}] }}\n"
            ))
        };
        for host in &spellings {
            let image = format!("{host}/team/production/app@{digest}");
            let args = ["--allow-http-registry", image.as_str()];
            fails(gate(&step, &rules("review"), &args), &["does not pass the rule \"reviewed\""]);
            let ended = passes(gate(&step, &rules("ci"), &args));
            assert!(
                ended.stderr.contains(&format!("good       {image}")),
                "the spelling stays: {}",
                ended.stderr
            );
        }
    }
}

#[test]
fn a_pattern_that_could_never_match_begins_nothing() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    for pattern in ["registry.example/Team/*", "*:0443/x", "docker.io:*/x", "REG*/x", "docker.io/*"] {
        let rules = policy(&format!("  - {{ name: a, images: ['{pattern}'], signature: {{ by: [ci] }} }}\n"));
        let ended = gate(&step, &rules, &[&image]);
        assert_eq!(ended.code, 2, "{pattern}: {}", ended.stderr);
        assert!(ended.stderr.contains("rules[0].images[0]"), "{}", ended.stderr);
    }
    assert!(step.registry.requests().iter().all(|request| request.method != "GET"), "a request was made");
}

/// An old statement in an envelope of today is as old as it says; and what says nothing has no age.
#[test]
fn stamping_old_provenance_anew_does_not_make_it_young() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let rules = |age: &str| {
        policy(&format!(
            "  - name: fresh\n    images: ['**']\n    attestations: [{{ type: slsaprovenance1, by: [ci], maxAge: {age} }}]\n"
        ))
    };
    let attested = |statement: &serde_json::Value| {
        let bytes = envelope(signer(), statement);
        tag(&step, "team/app", &digest, "att", &[(ENVELOPE, &bytes, String::new())]);
    };
    attested(&provenance(&digest, "2020-01-01T00:00:00Z"));
    fails(
        gate(&step, &rules("30d"), &[&image]),
        &["30 days old at most (predicate.runDetails.metadata.finishedOn says so)"],
    );
    let ended = passes(gate(&step, &rules("100years"), &[&image]));
    let counted = "its age counts from 2020-01-01T00:00:00Z, from predicate.runDetails.metadata.finishedOn";
    assert!(ended.stderr.contains(counted), "{}", ended.stderr);
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        told[0]["age"],
        serde_json::json!({ "since": "2020-01-01T00:00:00Z", "from": "predicate.runDetails.metadata.finishedOn" })
    );
    attested(&provenance(&digest, "2999-01-01T00:00:00Z"));
    fails(gate(&step, &rules("100years"), &[&image]), &["which is not yet"]);
    attested(&provenance(&digest, "lately"));
    fails(gate(&step, &rules("100years"), &[&image]), &["finishedOn is not a time in RFC 3339: lately"]);
    let mut silent = provenance(&digest, "");
    silent["predicate"]["runDetails"]["metadata"] = serde_json::json!({});
    attested(&silent);
    fails(gate(&step, &rules("100years"), &[&image]), &["nobody vouches for the time"]);
}
