mod identities;
mod pairs;
mod tags;

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::hint::{Hint, Scope, ValueError, classify, parse_value};
use crate::tekton::{Places, discover, from_arguments};

const A: &str = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
const B: &str = "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d";

fn hint(scope: &Scope, name: &str, value: &str) -> Hint {
    let kind = classify(name.as_bytes());
    let value = parse_value(&kind, value.as_bytes());
    Hint { scope: scope.clone(), name: name.into(), kind, value }
}

fn planned(hints: Vec<Hint>, allow: &[&str]) -> Plan {
    let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    plan(&Discovered { hints, ..Discovered::default() }, &PlanOptions { allow, ..PlanOptions::default() })
}

/// A plan of Task results, given in the order of their names as `discover` gives them.
fn task(results: &[(&str, &str)]) -> Plan {
    planned(results.iter().map(|(name, value)| hint(&Scope::Task, name, value)).collect(), &[])
}

fn images(plan: &Plan) -> Vec<String> {
    plan.images.iter().map(|planned| planned.image.to_string()).collect()
}

fn problems(plan: &Plan) -> Vec<String> {
    plan.problems.iter().map(|problem| format!("{}: {}", problem.place, problem.what)).collect()
}

fn notes(plan: &Plan) -> Vec<String> {
    plan.notes.iter().map(|note| format!("{}: {}", note.place, note.what)).collect()
}

#[test]
fn a_pair_is_one_image_without_its_tag() {
    let plan = task(&[("app-IMAGE_DIGEST", A), ("app-IMAGE_URL", "registry.example/team/app:v1\n")]);
    assert_eq!(images(&plan), [format!("registry.example/team/app@{A}")]);
    assert_eq!(
        plan.subjects,
        [Subject {
            uri: "registry.example/team/app".into(),
            digest: A.into(),
            from: vec!["result app-IMAGE_URL".into(), "result app-IMAGE_DIGEST".into()],
        }]
    );
    assert!(plan.problems.is_empty() && plan.notes.is_empty());
    assert_eq!(plan.nothing_to_sign(), None);
}

#[test]
fn prefixes_keep_pairs_apart() {
    let plan = task(&[
        ("IMAGE_DIGEST", A),
        ("IMAGE_URL", "registry.example/a"),
        ("MYIMAGE_DIGEST", B),
        ("MYIMAGE_URL", "registry.example/b"),
    ]);
    assert_eq!(images(&plan), [format!("registry.example/a@{A}"), format!("registry.example/b@{B}")]);
}

#[test]
fn a_digest_in_the_url_must_be_the_same() {
    let plan = task(&[("IMAGE_DIGEST", A), ("IMAGE_URL", &format!("registry.example/a:v1@{A}"))]);
    assert_eq!(images(&plan), [format!("registry.example/a@{A}")]);
    let plan = task(&[("IMAGE_DIGEST", A), ("IMAGE_URL", &format!("registry.example/a@{B}"))]);
    assert_eq!(
        problems(&plan),
        [format!(
            "result IMAGE_URL: it holds the digest {B}, and result IMAGE_DIGEST says {A}; write the name without a \
             digest"
        )]
    );
    assert!(plan.subjects.is_empty());
}

#[test]
fn malformed_digests_have_their_reason() {
    let z = format!("sha256:{}", "z".repeat(64));
    for (digest, want) in [
        ("sha256:abc123", "must be followed by exactly 64 hex digits"),
        (&format!("{A}ff"), "exactly 64 hex digits"),
        (&z, "exactly 64 hex digits"),
        (&format!("sha256:{A}"), "\"sha256:\" stands there twice"),
        (&A.replace(':', ": "), "without blanks"),
        (&format!("@{A}"), "leave out the \"@\""),
        (&A.replace("sha256:", ""), "it has no algorithm: \"sha256:\" must stand before the hex digits"),
        (&A.to_uppercase().replace("SHA", "sha"), "must be lower-case"),
        (&A.replace("sha", "SHA"), "write \"sha256:\" in lower case"),
        (&format!("sha512:{}", "a".repeat(128)), "its algorithm is not sha256"),
    ] {
        let plan = task(&[("F-IMAGE_DIGEST", digest), ("F-IMAGE_URL", "registry.example/a")]);
        let told = problems(&plan);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("result F-IMAGE_DIGEST: \""), "{told:?}");
        assert!(told[0].contains(want), "{told:?}");
        assert!(plan.images.is_empty());
    }
    let plan =
        task(&[("E-IMAGE_DIGEST", &format!("\n{A}\n")), ("E-IMAGE_URL", "  registry.example/trimmed\n")]);
    assert_eq!(images(&plan), [format!("registry.example/trimmed@{A}")]);
}

#[test]
fn malformed_names_say_what_to_write() {
    for (name, want) in [
        ("https://registry.example/a", "write it without \"https://\", as registry.example/team/app"),
        ("oci://registry.example/a", "write it without \"oci://\""),
        ("docker://registry.example/a", "write it without \"docker://\""),
        ("registry.example/App", "lower-case letters"),
        ("registry.example/a registry.example/b", "several images go into IMAGES"),
        ("{\"a\":1}", "it is a JSON object, and a string or an array of strings is needed"),
        ("[\"registry.example/a\"]", "it is an array of 1, and result IMAGE_DIGEST is a string"),
    ] {
        let told = problems(&task(&[("IMAGE_DIGEST", A), ("IMAGE_URL", name)]));
        assert!(
            told.iter().any(|told| told.starts_with("result IMAGE_URL: ") && told.contains(want)),
            "{told:?}"
        );
    }
    // Docker Hub's one-letter repositories and `localhost` are names like any other.
    let plan = task(&[("IMAGES", &format!("localhost/x@{A},registry.example/a@{B}"))]);
    assert_eq!(images(&plan), [format!("localhost/x@{A}"), format!("registry.example/a@{B}")]);
}

#[test]
fn images_are_each_taken_or_refused_and_named_once() {
    let text = format!(
        "registry.example/aa@{A},registry.example/bb@{B}\n  registry.example/cc:v3@{A}  ,\n\nregistry.example/aa@{A},\
         registry.example/tag:v1,x;y@{A}"
    );
    let plan = task(&[("IMAGES", &text)]);
    assert_eq!(
        images(&plan),
        [
            format!("registry.example/aa@{A}"),
            format!("registry.example/bb@{B}"),
            format!("registry.example/cc@{A}")
        ]
    );
    assert_eq!(plan.subjects[0].from, ["result IMAGES"]);
    let told = problems(&plan);
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with(
            "result IMAGES: \"registry.example/tag:v1\" can't be signed: it names a tag and no digest"
        ),
        "{told:?}"
    );
    assert!(told[1].contains("semicolons don't"), "{told:?}");
}

#[test]
fn a_list_of_very_many_wrong_names_is_told_in_a_few_lines() {
    let many: String = (0..100_000).map(|at| format!("x{at}\n")).collect();
    let plan = task(&[("IMAGES", &many)]);
    assert_eq!(plan.problems.len(), 17);
    assert_eq!(problems(&plan)[16], "result IMAGES: 99984 more entries are no image names");
}

#[test]
fn values_are_cut_and_escaped() {
    let plan = task(&[("IMAGES", &format!("\u{1b}[2J{}", "x".repeat(5000)))]);
    let told = &plan.problems[0].what;
    assert!(told.starts_with("\"\\u{1b}[2Jxxx") && told.len() < 500, "{told}");
}

#[test]
fn artifacts_are_subjects_and_no_images() {
    let sha512 = format!("sha512:{}", "9".repeat(128));
    let plan = task(&[("A-ARTIFACT_DIGEST", &sha512), ("A-ARTIFACT_URI", "pkg:generic/p")]);
    assert_eq!(plan.subjects[0].uri, "pkg:generic/p");
    assert_eq!(plan.subjects[0].digest, sha512);
    assert!(plan.images.is_empty() && plan.problems.is_empty());
    assert_eq!(
        notes(&plan),
        [
            "result A-ARTIFACT_URI: an artifact, which gets no image signature (IMAGE_URL and IMAGE_DIGEST name images)"
        ]
    );
    let told = plan.nothing_to_sign().unwrap();
    assert!(told.starts_with("no image to sign among 1 other artifact(s)"), "{told}");

    let plan = task(&[("A-ARTIFACT_DIGEST", "sha1:00"), ("A-ARTIFACT_URI", "a\nb")]);
    assert_eq!(
        problems(&plan),
        [
            "result A-ARTIFACT_URI: \"a\\nb\" has control or invisible characters in it, which no URI has",
            "result A-ARTIFACT_DIGEST: \"sha1:00\" is no artifact's digest: its algorithm takes exactly 40 hex digits",
        ]
    );
    assert!(plan.subjects.is_empty());
}

/// The shapes of Chains' case `tr-artifact-outputs`.
#[test]
fn only_a_true_build_artifact_with_an_images_name_is_an_image() {
    let object = |uri: &str, digest: &str, flag: Option<&str>| {
        let flag = flag.map(|flag| format!(",\"isBuildArtifact\":\"{flag}\"")).unwrap_or_default();
        format!("{{\"uri\":\"{uri}\",\"digest\":\"{digest}\"{flag}}}")
    };
    let sha512 = format!("sha512:{}", "9".repeat(128));
    let plan = task(&[
        ("A-ARTIFACT_OUTPUTS", &object("reg.example.com/true:v1", A, Some("true"))),
        ("ARTIFACT_OUTPUTS", &object("reg.example.com/bare", A, Some("true"))),
        ("B-ARTIFACT_OUTPUTS", &object("reg.example.com/false", A, Some("false"))),
        ("C-ARTIFACT_OUTPUTS", &object("reg.example.com/maybe", A, Some("maybe"))),
        ("D-ARTIFACT_OUTPUTS", &object("reg.example.com/missing", A, None)),
        ("E-ARTIFACT_OUTPUTS", &object("reg.example.com/TRUE", B, Some("TRUE"))),
        ("F-ARTIFACT_OUTPUTS", &object("s3://bucket/not-an-image.tar", &sha512, Some("true"))),
        ("G-ARTIFACT_OUTPUTS", &object("s3://bucket/sha256.tar", A, Some("true"))),
        ("GARTIFACT_OUTPUTS", &object("reg.example.com/glued", B, Some("true"))),
        ("H-ARTIFACT_OUTPUTS", &object("reg.example.com/Upper", B, Some("true"))),
        ("I-ARTIFACT_OUTPUTS", &object("pkg:npm/left-pad@1.3.0", B, Some("true"))),
        ("J-ARTIFACT_OUTPUTS", &object("reg.example.com/other-digest", &sha512, Some("true"))),
    ]);
    assert_eq!(
        images(&plan),
        [
            format!("reg.example.com/true@{A}"),
            format!("reg.example.com/bare@{A}"),
            format!("reg.example.com/glued@{B}")
        ]
    );
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    assert_eq!(plan.subjects.len(), 12);
    let noted: String = plan.notes.iter().map(|note| note.place.replace("-ARTIFACT_OUTPUTS", "")).collect();
    assert_eq!(noted.replace("result ", ""), "BCDEFGHIJ");
}

#[test]
fn outputs_that_mean_an_image_but_name_it_wrongly_are_problems() {
    let object =
        format!("{{\"uri\":\"oci://reg.example.com/a\",\"digest\":\"{A}\",\"isBuildArtifact\":\"true\"}}");
    let plan = task(&[("ARTIFACT_OUTPUTS", &object)]);
    assert!(problems(&plan)[0].contains("write it without \"oci://\""));
    let object =
        format!("{{\"uri\":\"reg.example.com/a@{B}\",\"digest\":\"{A}\",\"isBuildArtifact\":\"true\"}}");
    let plan = task(&[("ARTIFACT_OUTPUTS", &object)]);
    assert!(problems(&plan)[0].contains("its URI holds the digest"));
    assert!(plan.subjects.is_empty());
    let plan = task(&[("ARTIFACT_OUTPUTS", "[{\"uri\":\"a\"}, 7]")]);
    assert_eq!(
        problems(&plan),
        [
            "result ARTIFACT_OUTPUTS entry 1: its \"digest\" is missing or blank",
            "result ARTIFACT_OUTPUTS entry 2: it is not a JSON object with \"uri\", \"digest\" and \
             \"isBuildArtifact\"",
        ]
    );
}

#[test]
fn one_image_named_in_many_places_is_one_subject_with_all_its_sources() {
    let step = Scope::Step("build".into());
    let artifact = format!("{{\"uri\":\"registry.example/a\",\"digest\":\"{A}\"}}");
    let plan = planned(
        vec![
            hint(&Scope::Task, "X-ARTIFACT_OUTPUTS", &artifact),
            hint(&Scope::Task, "IMAGES", &format!("registry.example/a@{A}")),
            hint(&step, "IMAGE_DIGEST", A),
            hint(&step, "IMAGE_URL", "registry.example/a:latest"),
        ],
        &[],
    );
    assert_eq!(plan.subjects.len(), 1);
    assert_eq!(
        plan.subjects[0].from,
        [
            "result X-ARTIFACT_OUTPUTS",
            "result IMAGES",
            "step build result IMAGE_URL",
            "step build result IMAGE_DIGEST"
        ]
    );
    assert_eq!(plan.images[0].from.len(), 3);
    // It is signed, so nothing needs to be said about the artifact.
    assert!(plan.notes.is_empty());
}

#[test]
fn the_same_pair_in_two_places_is_two_pairs() {
    let step = Scope::Step("build".into());
    let plan = planned(
        vec![
            hint(&Scope::Task, "IMAGE_DIGEST", A),
            hint(&Scope::Task, "IMAGE_URL", "registry.example/a"),
            hint(&step, "IMAGE_DIGEST", B),
            hint(&step, "IMAGE_URL", "registry.example/a"),
        ],
        &[],
    );
    assert_eq!(images(&plan), [format!("registry.example/a@{A}"), format!("registry.example/a@{B}")]);
}

#[test]
fn what_is_not_allowed_is_a_problem_that_names_the_patterns() {
    let hints = vec![hint(
        &Scope::Task,
        "IMAGES",
        &format!("registry.example/team/a@{A},registry.example/team-b/a@{A}"),
    )];
    let plan = planned(hints, &["registry.example/team/*", "org/x"]);
    assert_eq!(images(&plan), [format!("registry.example/team/a@{A}")]);
    assert_eq!(
        problems(&plan),
        [
            "result IMAGES: registry.example/team-b/a may not be signed: --allow has only \"registry.example/team/*\", \
             \"org/x\""
        ]
    );
    assert_eq!(plan.subjects.len(), 1);
}

#[test]
fn a_wrong_line_of_a_file_is_not_shown() {
    // A build step may have made the list a link to a key.
    for secret in ["s3cret line", "s3cret://x", "s3cret@sha256:x", "s3cret:s3cret", "s3cret;s3cret@sha256:1"]
    {
        let list = Hint {
            scope: Scope::File,
            name: "images.txt line 1".into(),
            kind: crate::hint::ResultKind::Images,
            value: Ok(crate::hint::Value::Text(secret.into())),
        };
        let plan = planned(vec![list], &[]);
        assert_eq!(plan.problems.len(), 1, "{secret}");
        assert!(!describe(&plan).join("\n").contains("s3cret"), "{:?}", describe(&plan));
    }
}

#[test]
fn json_has_the_documented_names_and_order() {
    let mut plan = task(&[("IMAGE_DIGEST", A), ("IMAGE_URL", "registry.example/a"), ("x-IMAGE_URL", "y")]);
    plan.notes.push(Note { place: "result image_url".into(), what: "no".into(), kind: NoteKind::Result });
    assert_eq!(
        serde_json::to_string(&plan).unwrap(),
        format!(
            "{{\"subjects\":[{{\"uri\":\"registry.example/a\",\"digest\":\"{A}\",\"from\":[\"result IMAGE_URL\",\
             \"result IMAGE_DIGEST\"]}}],\"problems\":[{{\"where\":\"result x-IMAGE_URL\",\"what\":\"half a pair: there \
             is no x-IMAGE_DIGEST beside it, and an image is named by both\"}}],\"notes\":[{{\"where\":\"result \
             image_url\",\"what\":\"no\"}}]}}"
        )
    );
}

#[test]
fn people_read_subjects_then_problems_then_notes() {
    let sha1 = format!("sha1:{}", "1".repeat(40));
    let plan = task(&[
        ("IMAGES", &format!("registry.example/a@{A}")),
        ("jar-ARTIFACT_DIGEST", &sha1),
        ("jar-ARTIFACT_URI", "pkg:maven/a"),
        ("x-IMAGE_URL", "registry.example/x"),
    ]);
    assert_eq!(
        describe(&plan).join("\n"),
        format!(
            "1 image to sign:\n  registry.example/a@{A}\n    from result IMAGES\n\
             1 other artifact, without an image signature:\n  pkg:maven/a@{sha1}\n    \
             from result jar-ARTIFACT_URI, result jar-ARTIFACT_DIGEST\n\
             1 problem:\n  result x-IMAGE_URL: half a pair: there is no x-IMAGE_DIGEST beside it, and an image is named \
             by both\n\
             1 note:\n  result jar-ARTIFACT_URI: an artifact, which gets no image signature (IMAGE_URL and \
             IMAGE_DIGEST name images)"
        )
    );
}

#[test]
fn nothing_to_sign_says_what_was_looked_at() {
    let root = tempfile::tempdir().unwrap();
    let places = Places { results_dir: root.path().join("results"), steps_dir: root.path().join("steps") };
    fs::create_dir(&places.results_dir).unwrap();
    let told = || plan(&discover(&places).unwrap(), &PlanOptions::default()).nothing_to_sign().unwrap();
    assert!(told().contains("/results (empty); a build names what it pushed in"), "{}", told());
    fs::write(places.results_dir.join("commit"), "x").unwrap();
    fs::write(places.results_dir.join("log"), "x").unwrap();
    assert!(told().contains("/results (2 files: commit, log);"), "{}", told());
    assert!(
        describe(&plan(&discover(&places).unwrap(), &PlanOptions::default()))
            .iter()
            .any(|line| line.contains("no image to sign"))
    );
}

/// What a step can leave behind: names that are hints, nearly hints or anything; values good and bad.
fn results() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        3 => "[ab]?-?(IMAGE_URL|IMAGE_DIGEST|ARTIFACT_URI|ARTIFACT_DIGEST|ARTIFACT_OUTPUTS)",
        1 => Just("IMAGES".to_owned()),
        1 => "[A-Za-z_.-]{1,12}",
    ];
    let value = prop_oneof![
        Just(A.as_bytes().to_vec()),
        Just(B.as_bytes().to_vec()),
        Just(b"registry.example/a".to_vec()),
        Just(format!("registry.example/a@{A},registry.example/b@{B}").into_bytes()),
        Just(
            format!("{{\"uri\":\"registry.example/a\",\"digest\":\"{A}\",\"isBuildArtifact\":\"true\"}}")
                .into_bytes()
        ),
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec((name, value), 0..10)
}

fn write(results: &[(String, Vec<u8>)]) -> (tempfile::TempDir, Places) {
    let root = tempfile::tempdir().unwrap();
    let places = Places { results_dir: root.path().join("results"), steps_dir: root.path().join("steps") };
    fs::create_dir(&places.results_dir).unwrap();
    for (name, value) in results {
        if !matches!(name.as_str(), "." | "..") {
            fs::write(places.results_dir.join(name), value).unwrap();
        }
    }
    (root, places)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_hint_is_accounted_for_in_a_stable_order(mut results in results()) {
        results.sort();
        results.dedup_by(|one, other| one.0 == other.0);
        let judge = |results: &[(String, Vec<u8>)]| {
            let (_root, places) = write(results);
            let mut found = discover(&places).unwrap();
            found.looked.clear();
            plan(&found, &PlanOptions::default())
        };
        let forward = judge(&results);
        let backward = judge(&results.iter().rev().cloned().collect::<Vec<_>>());
        prop_assert_eq!(&forward, &backward);

        for (name, _) in &results {
            if !classify(name.as_bytes()).names_a_subject() {
                continue;
            }
            let place = format!("result {name}");
            let taken = forward.subjects.iter().any(|subject| subject.from.contains(&place));
            let wrong = forward.problems.iter().any(|problem| problem.place.starts_with(&place));
            let noted = forward.notes.iter().any(|note| note.place.starts_with(&place));
            // The other half of a wrong pair is reported with it.
            let pair_wrong = ["IMAGE_URL", "IMAGE_DIGEST", "ARTIFACT_URI", "ARTIFACT_DIGEST"].iter().any(|suffix| {
                name.strip_suffix(suffix).is_some_and(|prefix| {
                    forward.problems.iter().any(|problem| {
                        problem.place.strip_prefix("result ").is_some_and(|other| other.starts_with(prefix))
                    })
                })
            });
            prop_assert!(taken || wrong || noted || pair_wrong, "{} in {:?}", name, forward);
        }
        describe(&forward);
    }

    #[test]
    fn any_name_and_value_can_be_judged(
        name in "\\PC{0,20}(IMAGE_URL|IMAGES|ARTIFACT_OUTPUTS|ARTIFACT_URI)?",
        value in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let kind = classify(name.as_bytes());
        let value = parse_value(&kind, &value);
        let found = Discovered {
            hints: vec![Hint { scope: Scope::Task, name, kind, value }],
            ..Discovered::default()
        };
        describe(&plan(&found, &PlanOptions::default()));
    }
}
