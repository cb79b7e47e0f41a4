//! Pairs: whole, half, and of arrays.

use super::*;
use crate::hint::Value;

#[test]
fn half_a_pair_says_what_is_missing_and_where_it_may_be() {
    let plan = task(&[("app-IMAGE_URL", "registry.example/a")]);
    assert_eq!(
        problems(&plan),
        [
            "result app-IMAGE_URL: half a pair: there is no app-IMAGE_DIGEST beside it, and an image is named by both"
        ]
    );
    let plan = task(&[("IMAGE_DIGEST", A), ("IMAGE_URL", " \n")]);
    assert_eq!(problems(&plan), ["result IMAGE_DIGEST: half a pair: IMAGE_URL is blank"]);
    assert_eq!(notes(&plan), ["result IMAGE_URL: it is blank, so it is no hint"]);

    let plan = task(&[("IMAGE_DIGEST", ""), ("IMAGE_URL", "")]);
    assert_eq!((plan.problems.len(), plan.notes.len()), (0, 2));

    let step = Scope::Step("build".into());
    let plan = planned(
        vec![hint(&Scope::Task, "IMAGE_URL", "registry.example/a"), hint(&step, "IMAGE_DIGEST", A)],
        &[],
    );
    assert_eq!(
        problems(&plan),
        [
            "result IMAGE_URL: half a pair: IMAGE_DIGEST stands elsewhere (step build result IMAGE_DIGEST), and a pair \
             must be written by one step, or both as Task results",
            "step build result IMAGE_DIGEST: half a pair: IMAGE_URL stands elsewhere (result IMAGE_URL), and a pair \
             must be written by one step, or both as Task results",
        ]
    );
    assert!(plan.subjects.is_empty());
}

#[test]
fn a_half_that_could_not_be_read_takes_the_other_with_it() {
    let mut hints = vec![hint(&Scope::Task, "IMAGE_DIGEST", A), hint(&Scope::Task, "IMAGE_URL", "x")];
    hints[0].value = Err(ValueError::Link);
    let plan = planned(hints, &[]);
    assert_eq!(plan.problems.len(), 2);
    assert!(plan.problems[1].what.contains("symbolic link") || plan.problems[0].what.contains("half a pair"));
    assert!(plan.subjects.is_empty());
}

/// What Chains v0.29 drops without a word to the user, from its own corpus of cases.
/// Results of a PipelineRun: its own, and its TaskRuns' by the TaskRun's name and, if it is a step's, the step's.
fn of_pipeline_run(results: &[(&str, &str, &str, &str)]) -> Plan {
    let hints = results.iter().map(|(run, step, name, value)| {
        let scope = match (run.is_empty(), step.is_empty()) {
            (true, _) => Scope::Pipeline,
            (false, true) => Scope::TaskRun((*run).into()),
            (false, false) => Scope::TaskRunStep((*run).into(), (*step).into()),
        };
        hint(&scope, name, value)
    });
    planned(hints.collect(), &[])
}

const HALF: &str = "half a pair: there is no IMAGE_URL beside it, and an image is named by both";

#[test]
fn half_a_pair_in_a_child_is_a_note_and_in_the_runs_own_results_a_problem() {
    let values = [
        ("IMAGE_DIGEST", A),
        ("IMAGE_DIGEST", "not a digest"),
        ("IMAGE_URL", "registry.example/a"),
        ("IMAGE_URL", "https://registry.example/a"),
        ("app-IMAGE_DIGEST", A),
        ("ARTIFACT_DIGEST", A),
        ("ARTIFACT_URI", "pkg:a"),
        // Malformed, and half too: nothing would be signed for it either way.
        ("IMAGE_DIGEST", "{\"a\":1}"),
        ("IMAGE_URL", "[1]"),
        ("IMAGE_DIGEST", "[\"x\"]"),
    ];
    for (name, value) in values {
        for step in ["", "build"] {
            let child = of_pipeline_run(&[("release-jib", step, name, value)]);
            assert!(child.problems.is_empty(), "{name} {value}: {child:?}");
            assert_eq!(child.notes.len(), 1, "{name} {value}: {child:?}");
            assert_eq!(child.notes[0].kind, NoteKind::HalfPair);
            assert!(child.notes[0].place.contains("release-jib") && child.notes[0].place.ends_with(name));
            assert!(child.notes[0].what.ends_with("; nothing is signed for it"));
            assert!(child.subjects.is_empty());
        }
        let step = planned(vec![hint(&Scope::Step("build".into()), name, value)], &[]);
        for own in [task(&[(name, value)]), of_pipeline_run(&[("", "", name, value)]), step] {
            assert_eq!((own.problems.len(), own.notes.len()), (1, 0), "{name} {value}: {own:?}");
        }
    }
    let blank = [("c", "", "IMAGE_DIGEST", A), ("c", "", "IMAGE_URL", " ")];
    assert_eq!(
        notes(&of_pipeline_run(&blank)),
        [
            "TaskRun c result IMAGE_URL: it is blank, so it is no hint",
            "TaskRun c result IMAGE_DIGEST: half a pair: IMAGE_URL is blank; nothing is signed for it",
        ]
    );
}

#[test]
fn a_pair_that_is_whole_and_wrong_is_a_problem_in_a_child_too() {
    for (url, digest) in [
        ("registry.example/a", "sha256:1"),
        ("https://registry.example/a", A),
        ("registry.example/a", "{\"a\":1}"),
        ("[1]", A),
        ("[\"registry.example/a\"]", A),
        ("[\"registry.example/a\"]", "[\"x\",\"y\"]"),
        ("[\"registry.example/a\",\"registry.example/b\"]", &format!("[\"{A}\",\"sha256:1\"]")),
    ] {
        let plan = of_pipeline_run(&[("c", "", "IMAGE_URL", url), ("c", "", "IMAGE_DIGEST", digest)]);
        assert!(!plan.problems.is_empty(), "{url} {digest}: {plan:?}");
    }
    let other = [("c", "", "IMAGES", "registry.example/a:1"), ("c", "", "ARTIFACT_OUTPUTS", "x")];
    assert_eq!(of_pipeline_run(&other).problems.len(), 2);
}

#[test]
fn halves_of_two_children_are_not_a_pair() {
    let plan = of_pipeline_run(&[
        ("one", "", "IMAGE_DIGEST", A),
        ("two", "", "IMAGE_URL", "registry.example/a"),
        ("three", "", "IMAGE_DIGEST", B),
        ("three", "", "IMAGE_URL", "registry.example/b"),
        ("one", "build", "IMAGE_URL", "registry.example/c"),
    ]);
    assert_eq!(images(&plan), [format!("registry.example/b@{B}")]);
    assert!(plan.problems.is_empty());
    assert_eq!(plan.notes.len(), 3, "{plan:?}");
    let elsewhere = "IMAGE_URL stands elsewhere (TaskRun one step build result IMAGE_URL)";
    assert!(plan.notes[0].what.contains(elsewhere), "{plan:?}");
    assert!(plan.notes[1].what.contains("there is no IMAGE_DIGEST beside it"), "{plan:?}");
    // What is the PipelineRun's own is not its TaskRun's.
    let plan = of_pipeline_run(&[("", "", "IMAGE_DIGEST", A), ("c", "", "IMAGE_URL", "registry.example/a")]);
    assert_eq!(problems(&plan), [format!("PipelineRun result IMAGE_DIGEST: {HALF}")]);
    assert_eq!(plan.notes.len(), 1);
}

#[test]
fn half_pairs_are_listed_for_the_report() {
    let plan = of_pipeline_run(&[("c", "", "IMAGE_DIGEST", A), ("c", "", "jar-ARTIFACT_URI", "")]);
    assert_eq!(
        plan.half_pairs(),
        [format!("TaskRun c result IMAGE_DIGEST: {HALF}; nothing is signed for it")]
    );
    let many = (0..70).map(|at| hint(&Scope::TaskRun(format!("c{at}").as_str().into()), "IMAGE_DIGEST", A));
    let listed = planned(many.collect(), &[]).half_pairs();
    assert_eq!(listed.len(), 65);
    assert_eq!(listed[64], "6 more half pairs, which stepseal plan shows");

    let plan =
        task(&[("IMAGE_DIGEST", "sha256:1"), ("IMAGE_URL", "registry.example/a"), ("jar-ARTIFACT_URI", "x")]);
    assert_eq!(plan.left_out().len(), 2);
    assert!(plan.left_out()[0].starts_with("not among its subjects: result IMAGE_DIGEST: "), "{plan:?}");
}

fn array(texts: &[&str]) -> String {
    serde_json::to_string(texts).unwrap()
}

#[test]
fn arrays_are_pairs_by_position() {
    let names = array(&["registry.example/a", " registry.example/b:1\n", "registry.example/a"]);
    let digests = array(&[A, B, A]);
    for (url, digest) in [("IMAGE_URL", "IMAGE_DIGEST"), ("app-IMAGE_URL", "app-IMAGE_DIGEST")] {
        let results = [("c", "", digest, digests.as_str()), ("c", "", url, names.as_str())];
        let own = results.map(|(_, _, name, value)| ("", "", name, value));
        let step = results.map(|(run, _, name, value)| (run, "build", name, value));
        let of_task: Vec<_> = results.iter().map(|(_, _, name, value)| (*name, *value)).collect();
        let plans =
            [task(&of_task), of_pipeline_run(&results), of_pipeline_run(&own), of_pipeline_run(&step)];
        for plan in plans {
            assert!(plan.problems.is_empty() && plan.notes.is_empty(), "{plan:?}");
            let want = [format!("registry.example/a@{A}"), format!("registry.example/b@{B}")];
            assert_eq!(images(&plan), want);
            assert_eq!(plan.images[0].from.len(), 2, "{plan:?}");
            assert!(plan.images[1].from[0].ends_with(&format!("result {url}")), "{plan:?}");
        }
    }
    let sha512 = format!("sha512:{}", "a".repeat(128));
    let plan = task(&[
        ("ARTIFACT_DIGEST", &array(&[A, &sha512])),
        ("ARTIFACT_URI", &array(&["pkg:maven/a", "pkg:maven/b"])),
    ]);
    let subjects: Vec<_> = plan.subjects.iter().map(|one| (one.uri.as_str(), one.digest.as_str())).collect();
    assert_eq!(subjects, [("pkg:maven/a", A), ("pkg:maven/b", sha512.as_str())]);
    assert_eq!((plan.problems.len(), plan.notes.len()), (0, 2));
}

#[test]
fn arrays_that_are_not_pairs_are_named_with_what_to_do() {
    let two = array(&["registry.example/a", "registry.example/b"]);
    for (url, digest, want) in [
        (
            two.as_str(),
            array(&[A]),
            vec![
                "result IMAGE_URL: it has 2 entries, and result IMAGE_DIGEST has 1 entry: the first name belongs to the \
                 first digest, and so on, so both need as many entries; gather them from the same tasks, each of which \
                 writes both",
            ],
        ),
        (
            &two,
            A.to_owned(),
            vec![
                "result IMAGE_URL: it is an array of 2, and result IMAGE_DIGEST is a string: write two strings, or two \
                 arrays with as many entries",
            ],
        ),
        (
            "registry.example/a",
            array(&[A]),
            vec![
                "result IMAGE_URL: it is a string, and result IMAGE_DIGEST is an array of 1: write two strings, or two \
                 arrays with as many entries",
            ],
        ),
        (
            &two,
            array(&[A, ""]),
            vec!["result IMAGE_URL entry 2: half a pair: result IMAGE_DIGEST entry 2 is blank"],
        ),
        (
            &two,
            array(&["", A]),
            vec!["result IMAGE_URL entry 1: half a pair: result IMAGE_DIGEST entry 1 is blank"],
        ),
        (
            &two,
            array(&["", ""]),
            vec![
                "result IMAGE_URL entry 1: half a pair: result IMAGE_DIGEST entry 1 is blank",
                "result IMAGE_URL entry 2: half a pair: result IMAGE_DIGEST entry 2 is blank",
            ],
        ),
        (
            &two,
            format!("[\"{A}\", 7]"),
            vec![
                "result IMAGE_DIGEST: its entry 2 is a JSON number, and a string is needed",
                "result IMAGE_URL: half a pair: IMAGE_DIGEST can't be taken",
            ],
        ),
    ] {
        let plan = task(&[("IMAGE_DIGEST", &digest), ("IMAGE_URL", url)]);
        let mut found = problems(&plan);
        found.sort();
        assert_eq!(found, want, "{url} {digest}");
    }
    let plan = task(&[("IMAGE_DIGEST", &array(&[A, "sha256:1"])), ("IMAGE_URL", &two)]);
    assert_eq!(images(&plan), [format!("registry.example/a@{A}")], "which --lenient signs");
    assert!(
        problems(&plan)[0].starts_with("result IMAGE_DIGEST entry 2: \"sha256:1\" is no digest"),
        "{plan:?}"
    );
}

#[test]
fn entries_that_are_blank_in_both_name_nothing() {
    let plan = task(&[
        ("IMAGE_DIGEST", &array(&["", A, ""])),
        ("IMAGE_URL", &array(&[" ", "registry.example/a", ""])),
    ]);
    assert_eq!(images(&plan), [format!("registry.example/a@{A}")]);
    let want = "result IMAGE_URL: 2 entries of it and of result IMAGE_DIGEST are blank, so they name nothing";
    assert_eq!((problems(&plan), notes(&plan)), (vec![], vec![want.to_owned()]));
    for blank in ["[]", "[\"\"]", "[\" \", null]"] {
        let plan = task(&[("IMAGE_DIGEST", blank), ("IMAGE_URL", blank)]);
        assert_eq!((plan.problems.len(), plan.notes.len()), (0, 2), "{blank}");
    }
}

/// In a child the halves are notes. However many there are, and wherever the wrong entry is, it is a problem.
#[test]
fn a_long_array_is_told_in_part_and_hides_nothing() {
    let count = 4096;
    for wrong in [0, 20, count - 1] {
        let names: Vec<&str> = (0..count).map(|at| if at == wrong { "A B" } else { "" }).collect();
        let digests = vec![A; count];
        let results = [("c", "", "IMAGE_URL", &*array(&names)), ("c", "", "IMAGE_DIGEST", &*array(&digests))];
        let plan = of_pipeline_run(&results);
        assert_eq!(plan.problems.len(), 1, "{wrong}");
        assert_eq!(plan.notes.len(), 17, "{wrong}");
        assert_eq!(plan.notes[16].what, "4079 more entries are half a pair");
        assert_eq!(plan.notes[16].kind, NoteKind::HalfPair);
    }
    let (names, digests) = (vec!["A B"; count], vec![A; count]);
    let plan = task(&[("IMAGE_URL", &array(&names)), ("IMAGE_DIGEST", &array(&digests))]);
    assert_eq!((plan.problems.len(), plan.problems[16].what.as_str()), (17, "4080 more entries are wrong"));
    let long = array(&vec![A; count + 1]);
    let plan = task(&[("IMAGE_URL", &long), ("IMAGE_DIGEST", &long)]);
    assert!(problems(&plan)[0].contains("it has more than 4096 entries"), "{plan:?}");
}

#[test]
fn what_is_allowed_holds_for_each_entry() {
    let hints = vec![
        hint(&Scope::Pipeline, "IMAGE_URL", &array(&["registry.example/a", "evil.example/b"])),
        hint(&Scope::Pipeline, "IMAGE_DIGEST", &array(&[A, B])),
    ];
    let plan = planned(hints, &["registry.example/*"]);
    assert_eq!(images(&plan), [format!("registry.example/a@{A}")]);
    assert_eq!(plan.problems.len(), 1);
    assert_eq!(plan.problems[0].place, "PipelineRun result IMAGE_URL");
}

proptest! {
    /// Two arrays of one length name what their entries name one by one.
    #[test]
    fn arrays_name_what_their_entries_name(
        pairs in proptest::collection::vec(
            (prop_oneof!["registry[.]example/[a-c]", "[A-Z ]{0,3}"], prop_oneof![Just(A), Just(B), Just(""), Just("x")]),
            1..8,
        ),
    ) {
        let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        let digests: Vec<&str> = pairs.iter().map(|(_, digest)| *digest).collect();
        let arrays = task(&[("IMAGE_DIGEST", &array(&digests)), ("IMAGE_URL", &array(&names))]);
        let one_by_one: Vec<Hint> = pairs.iter().enumerate().flat_map(|(at, (name, digest))| {
            let hint = |end: &str, value: &str| {
                let name = format!("{at}-{end}");
                let kind = classify(name.as_bytes());
                let text = value.trim();
                let value = Ok(if text.is_empty() { Value::Blank } else { Value::Text(text.into()) });
                Hint { scope: Scope::Task, name, kind, value }
            };
            [hint("IMAGE_URL", name), hint("IMAGE_DIGEST", digest)]
        }).collect();
        let single = planned(one_by_one, &[]);
        prop_assert_eq!(images(&arrays), images(&single));
        prop_assert_eq!(arrays.problems.is_empty(), single.problems.is_empty());
    }
}

/// An empty array beside a filled array is a wrong length, not a missing half: in a child too.
#[test]
fn an_empty_array_has_a_length() {
    let place = |name: &str| format!("TaskRun t result {name}");
    for (urls, digests, lengths) in [
        (array(&[]), array(&[A, B]), Some((0, 2))),
        (array(&["registry.example/a"]), array(&[]), Some((1, 0))),
        (array(&["", " "]), array(&[A]), Some((2, 1))),
        (array(&[""]), array(&[A]), None),
    ] {
        let plan = of_pipeline_run(&[("t", "", "IMAGE_URL", &urls), ("t", "", "IMAGE_DIGEST", &digests)]);
        assert!(plan.subjects.is_empty(), "{urls}");
        let Some((names, hexes)) = lengths else {
            assert_eq!((plan.problems.len(), plan.half_pairs().len()), (0, 1), "{urls} {:?}", plan.problems);
            continue;
        };
        let said = |count: usize| format!("{count} {}", if count == 1 { "entry" } else { "entries" });
        let want = format!(
            "{}: it has {}, and {} has {}:",
            place("IMAGE_URL"),
            said(names),
            place("IMAGE_DIGEST"),
            said(hexes)
        );
        assert!(problems(&plan)[0].starts_with(&want), "{:?}", problems(&plan));
        assert_eq!(plan.problems.len(), 1, "{urls}");
    }
    for (url, digest) in [(array(&[]), A.to_owned()), ("registry.example/a".to_owned(), array(&[""]))] {
        let plan = task(&[("IMAGE_URL", &url), ("IMAGE_DIGEST", &digest)]);
        assert!(problems(&plan)[0].contains("is blank"), "{:?}", problems(&plan));
    }
    let plan = task(&[("IMAGE_URL", "[]"), ("IMAGE_DIGEST", "[\"\"]")]);
    assert_eq!((plan.problems.len(), plan.notes.len()), (0, 2));
}

/// Each artifact of an array has its number, and of very many only the first few are reported.
#[test]
fn artifacts_of_an_array_are_noted_by_their_numbers() {
    let uris: Vec<String> = (0..4096).map(|at| format!("pkg:npm/x@{at}")).collect();
    let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
    let plan = task(&[("ARTIFACT_URI", &array(&uris)), ("ARTIFACT_DIGEST", &array(&[A; 4096]))]);
    assert_eq!((plan.subjects.len(), plan.notes.len()), (4096, 17));
    assert_eq!(plan.notes[1].place, "result ARTIFACT_URI entry 2");
    let last = &plan.notes[16];
    assert_eq!(last.place, "result ARTIFACT_URI");
    assert_eq!(last.what, "4080 more entries are artifacts, which get no image signature");
}
