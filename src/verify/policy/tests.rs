use super::*;
use crate::secret::Secret;
use crate::sign;
use crate::verify::Said;

fn pem() -> String {
    static PEM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PEM.get_or_init(|| sign::generate(&Secret::new(*b"x")).unwrap().public_pem).clone()
}

fn read(text: &str) -> Result<Policy, PolicyError> {
    Policy::read(text.as_bytes(), &|place| match place {
        "cosign.pub" => PublicKey::from_pem(&pem()).map_err(|error| error.to_string()),
        _ => Err("there is no such file".to_owned()),
    })
}

const GOOD: &str = r#"
version: 1
signers:
  ci: { key: cosign.pub }
rules:
  - name: team
    images: ["registry.example/team/**"]
    signature: { by: [ci], annotations: { env: prod }, maxAge: 30d }
    attestations:
      - type: slsaprovenance1
        by: [ci]
        require: ["$.predicate.runDetails.builder.id=https://tekton.dev/chains/v2"]
  - name: all
    images: ["**"]
    signature: { by: [ci] }
"#;

#[test]
fn a_rule_counts_for_the_images_that_its_patterns_match() {
    let policy = read(GOOD).unwrap();
    let names = |repository: &str| -> Vec<String> {
        policy.rules_for(&repository.parse().unwrap(), false).map(|rule| rule.name.clone()).collect()
    };
    assert_eq!(names("registry.example/team/app"), ["team", "all"]);
    assert_eq!(names("registry.example/other"), ["all"]);
    let need = &policy.rules[0].needs[0];
    assert_eq!(need.max_age, Some(MaxAge::new("30d", Duration::from_secs(30 * 24 * 3600))));
    assert_eq!(need.check.demands.annotations["env"], "prod");
    assert_eq!(policy.rules[0].needs[1].check.demands.requires.len(), 1);
}

/// The strict rule is about an image whatever its name's spelling is, in the rule and in the question.
#[test]
fn no_spelling_of_a_name_escapes_a_rule() {
    let all = crate::oci::spelling::spelled();
    for one in &all {
        for spelling in &one.spellings {
            let text = GOOD.replace("registry.example/team/**", spelling);
            let policy = read(&text).unwrap();
            for name in &one.spellings {
                assert_eq!(policy.rules_for(&name.parse().unwrap(), false).count(), 2, "{spelling} {name}");
            }
        }
    }
}

#[test]
fn over_plain_http_no_port_and_port_80_are_one_registry() {
    for (pattern, name, https, http) in [
        ("registry.example/team/**", "registry.example:080/team/app", 1, 2),
        ("registry.example:80/team/**", "registry.example/team/app", 1, 2),
        ("registry.example:80/team/**", "registry.example:80/team/app", 2, 2),
        ("registry.example:5000/team/**", "registry.example/team/app", 1, 1),
        ("docker.io/library/*", "docker.io:80/library/app", 1, 2),
        ("docker.io/library/*", "registry-1.docker.io:080/app", 1, 2),
        ("docker.io:80/library/*", "app", 1, 2),
    ] {
        let policy = read(&GOOD.replace("registry.example/team/**", pattern)).unwrap();
        let rules = |plain| policy.rules_for(&name.parse().unwrap(), plain).count();
        assert_eq!((rules(false), rules(true)), (https, http), "{pattern} {name}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let long = format!("identity: x, issuerRegexp: '<{}'", "{".repeat(62_500));
    let same = format!(
        "ci: {{ key: cosign.pub }}\n  two:\n    publicKey: |\n      {}",
        pem().trim().replace('\n', "\n      ")
    );
    for (from, to, want) in [
        ("version: 1", "version: 2", "version: this version reads"),
        ("version: 1", "versoin: 1", r#"the file: the key "versoin" is unknown"#),
        ("version: 1", "", "the file: version is missing"),
        ("version: 1", "version: 1\nversion: 1", "not YAML"),
        ("key: cosign.pub", "kee: cosign.pub", r#"signers.ci: the key "kee" is unknown"#),
        ("key: cosign.pub", "key: other.pub", "signers.ci.key: there is no such file"),
        ("key: cosign.pub", "publicKey: x", "signers.ci.publicKey: cannot use the public key"),
        ("key: cosign.pub", "key: cosign.pub, publicKey: x", "signers.ci: a signer is one of"),
        ("key: cosign.pub", "key: cosign.pub, issuer: x", "signers.ci: a signer is one of"),
        ("{ key: cosign.pub }", "{}", "signers.ci: a signer is one of"),
        ("{ key: cosign.pub }", "cosign.pub", "signers.ci: \"cosign.pub\" is no object"),
        ("ci: { key: cosign.pub }", &same, "signers.two: it is the same signer as \"ci\""),
        ("- name: all", "- name: team", "rules: two rules have the name"),
        ("  - name: all\n    images: [\"**\"]", "  - images: [\"**\"]", "rules[1]: name is missing"),
        ("images: [\"**\"]", "images: []", "rules[1].images: the list is empty"),
        ("images: [\"**\"]", "images: [\"*\"]", "rules[1].images[0]: it matches no repository"),
        ("images: [\"**\"]", "images: [\"r.example/Team\"]", "rules[1].images[0]: it may hold lower-case"),
        ("images: [\"**\"]", "images: [\"*:443/x\"]", "rules[1].images[0]: names are compared without :443"),
        (
            "images: [\"**\"]",
            "images: [\"docker.io:*/x\"]",
            "rules[1].images[0]: it has another name of Docker Hub",
        ),
        ("images: [\"**\"]", "images: \"**\"", "rules[1].images: \"**\" is no list"),
        ("    signature: { by: [ci] }", "", "rules[1]: it demands nothing"),
        ("signature: { by: [ci] }", "signature: { by: [cd] }", "rules[1].signature.by[0]: \"cd\" is no name"),
        (
            "signature: { by: [ci] }",
            "signature: { by: [ci, ci] }",
            "rules[1].signature.by[1]: \"ci\" stands twice",
        ),
        ("signature: { by: [ci] }", "signature: {}", "rules[1].signature: by is missing"),
        (
            "signature: { by: [ci] }",
            "signature: { by: [ci], treshold: 2 }",
            "\"treshold\" is unknown; known are by, atLeast",
        ),
        (
            "signature: { by: [ci] }",
            "signature: { by: [ci], atLeast: 2 }",
            "rules[1].signature.atLeast: there are only 1",
        ),
        (
            "signature: { by: [ci] }",
            "signature: { by: [ci], atLeast: 0 }",
            "atLeast: 0 is no whole number from 1",
        ),
        (
            "signature: { by: [ci] }",
            "signature: { by: [ci], log: \"yes\" }",
            "log: \"yes\" is no true or false",
        ),
        ("maxAge: 30d", "maxAge: 30", "maxAge: 30 is no duration"),
        ("maxAge: 30d", "maxAge: soon", "maxAge: \"soon\" is no duration"),
        ("env: prod", "env: 1", "rules[0].signature.annotations.env: 1 is no text"),
        ("env: prod", "env: \" \"", "rules[0].signature.annotations.env: \" \" is no text"),
        ("env: prod", "\"\": prod", "rules[0].signature.annotations: the name \"\" is blank"),
        ("{ env: prod }", "{}", "rules[0].signature.annotations: it is empty"),
        ("{ env: prod }", "", "rules[0].signature.annotations: null is no object"),
        (
            "ci: { key: cosign.pub }",
            "\"\\u3000\": { key: cosign.pub }",
            "signers: the name \"\\u{3000}\" is blank",
        ),
        ("\n  ci: { key: cosign.pub }", " {}", "signers: it is empty"),
        ("key: cosign.pub", "key: \"\\t\"", "signers.ci.key: "),
        ("key: cosign.pub", "publicKey: \"\\n\"", "signers.ci.publicKey: "),
        ("key: cosign.pub", "identity: \" \", issuer: x", "signers.ci.identity: \" \" is no text"),
        ("key: cosign.pub", "identityRegexp: \"\", issuer: x", "signers.ci.identityRegexp: \"\" is no text"),
        (
            "key: cosign.pub",
            "identityRegexp: \"|\", issuer: x",
            "signers.ci.identityRegexp: it is no regular expression: there is nothing to match in it",
        ),
        (
            "key: cosign.pub",
            "identityRegexp: '(?x)a', issuer: x",
            "signers.ci.identityRegexp: it is no regular expression: a group has flags",
        ),
        ("key: cosign.pub", "identity: x, issuerRegexp: \"\\u200b\"", "signers.ci.issuerRegexp: "),
        (
            "key: cosign.pub",
            long.as_str(),
            "signers.ci.issuerRegexp: it has 62501 bytes, and an expression has at most 8192",
        ),
        ("key: cosign.pub", "identity: x", "signers.ci: an identity needs one of issuer and issuerRegexp"),
        ("key: cosign.pub", "issuer: x", "signers.ci: an identity needs one of identity and identityRegexp"),
        ("name: all", "name: \" \"", "rules[1].name: \" \" is no text"),
        ("images: [\"**\"]", "images: [\"\"]", "rules[1].images[0]: \"\" is no text"),
        ("images: [\"**\"]", "images: [\",\"]", "rules[1].images[0]: \",\" is no text"),
        ("images: [\"**\"]", "images: [\"**\", \" \"]", "rules[1].images[1]: \" \" is no text"),
        ("signature: { by: [ci] }", "signature: { by: [] }", "rules[1].signature.by: the list is empty"),
        (
            "signature: { by: [ci] }",
            "signature: { by: [ci, \" \"] }",
            "rules[1].signature.by[1]: \" \" is no text",
        ),
        ("signature: { by: [ci] }", "signature:", "rules[1].signature: null is no object"),
        ("type: slsaprovenance1", "type: \" \"", "rules[0].attestations[0].type: \" \" is no text"),
        (
            "require: [\"$.predicate.runDetails.builder.id=https://tekton.dev/chains/v2\"]",
            "require: []",
            "rules[0].attestations[0].require: the list is empty",
        ),
        (
            "require: [\"$.predicate.runDetails.builder.id=https://tekton.dev/chains/v2\"]",
            "require: [\" \"]",
            "rules[0].attestations[0].require[0]: \" \" is no text",
        ),
        (
            "require: [\"$.predicate.runDetails.builder.id=https://tekton.dev/chains/v2\"]",
            "require: [\"=v\"]",
            "rules[0].attestations[0].require[0]: ",
        ),
        ("maxAge: 30d", "maxAge: \"\"", "maxAge: \"\" is no duration"),
        ("version: 1", "version: 1\ntrustedRoot: \" \"", "trustedRoot: \" \" is no text"),
        (
            "type: slsaprovenance1",
            "type: provenance",
            "rules[0].attestations[0].type: \"provenance\" is no predicate type",
        ),
        ("type: slsaprovenance1", "tpye: x", "rules[0].attestations[0]: the key \"tpye\" is unknown"),
        ("$.predicate.runDetails", "predicate.runDetails", "rules[0].attestations[0].require[0]"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = read(&GOOD.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.contains(want), "{to}: {error}");
    }
}

/// Each text, list and object of the table, emptied in a policy that has them all.
#[test]
fn nothing_of_a_policy_may_be_empty() {
    let full = r#"{"version": 1, "trustedRoot": "r", "signers": {"ci": {"key": "cosign.pub"}}, "rules": [{"name": "n", "images": ["**"],
        "signature": {"by": ["ci"], "annotations": {"k": "v"}, "maxAge": "1d"},
        "attestations": [{"type": "vuln", "by": ["ci"], "require": ["$.a=b"], "maxAge": "1d"}]}]}"#;
    read(full).unwrap();
    let full: Value = serde_json::from_str(full).unwrap();
    let mut emptied = 0;
    for at in pointers(&full, "") {
        let empties: &[Value] = match full.pointer(&at).unwrap() {
            // An annotation may have to be a separator.
            Value::String(_) if at.ends_with("/annotations/k") => &["".into(), " ".into(), Value::Null],
            Value::String(_) => &[
                "".into(),
                " ".into(),
                "\n".into(),
                "\u{2003}".into(),
                ",".into(),
                " : ".into(),
                Value::Null,
            ],
            Value::Array(_) => &[Value::Array(vec![]), Value::Null],
            Value::Object(_) => &[Value::Object(serde_json::Map::new()), Value::Null],
            _ => &[Value::Null],
        };
        for empty in empties {
            let mut policy = full.clone();
            *policy.pointer_mut(&at).unwrap() = empty.clone();
            assert!(read(&policy.to_string()).is_err(), "{at}: {empty}");
            emptied += 1;
        }
    }
    assert!(emptied > 50, "{emptied}");
}

/// The places below a value.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(entries) => entries.iter().map(|(key, value)| (format!("{at}/{key}"), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(n, value)| (format!("{at}/{n}"), value)).collect()
        }
        _ => Vec::new(),
    };
    below.into_iter().flat_map(|(at, value)| [vec![at.clone()], pointers(value, &at)].concat()).collect()
}

#[test]
fn every_field_of_the_table_is_read_and_every_list_has_its_items() {
    for field in schema::FIELDS {
        let parent = field.path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let is_known = parent.is_empty()
            || parent.ends_with("[]")
            || schema::FIELDS.iter().any(|other| other.path == parent);
        assert!(is_known, "{} hangs in the air", field.path);
    }
}

#[test]
fn different_signers_are_counted_and_not_signatures() {
    let policy = read(&GOOD.replace("maxAge: 30d", "log: false")).unwrap();
    let mut need = policy.rules[1].needs[0].clone();
    need.at_least = 2;
    let image: crate::oci::ImageRef = format!("a.example/x@sha256:{}", "a".repeat(64)).parse().unwrap();
    let good = |who: &str| {
        use crate::formats::Claims;
        use crate::payload::{Format as _, SimpleSigning};
        let payload = SimpleSigning.payloads(&image, &Claims::default()).unwrap().remove(0);
        let claim = crate::verify::claim::Claim::read(&payload.bytes).unwrap();
        let by = crate::verify::By {
            name: "ci".into(),
            who: who.into(),
            identity: None,
            times: Vec::new(),
            logged: false,
            timestamped: false,
            unknown_timestamps: Vec::new(),
            waived: None,
        };
        Good { place: "here".into(), by, said: Said::Claim(Box::new(claim)) }
    };
    let verdict =
        |who: &[&str]| Verdict { good: who.iter().map(|who| good(who)).collect(), ..Verdict::default() };
    let now = jiff::Timestamp::UNIX_EPOCH;
    assert!(
        need.unmet(&verdict(&["a", "a"]), now).unwrap().needed.contains("by 2 different ones of ci; 1 made")
    );
    assert_eq!(need.unmet(&verdict(&["a", "b"]), now), None);
}
