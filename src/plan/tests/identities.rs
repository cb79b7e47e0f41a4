//! Lines of a list that give their image identities of its own.

use super::*;
use crate::hint::MAX_IDENTITIES;
use crate::tekton::from_file;

fn listed(text: &str, identities: Identities) -> Plan {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let mut found = from_file(file.path()).unwrap();
    for hint in &mut found.hints {
        let (_, line) = hint.name.split_once(' ').unwrap();
        hint.name = line.to_owned();
    }
    plan(&found, &PlanOptions { identities, ..PlanOptions::default() })
}

fn identities(plan: &Plan) -> Vec<Vec<&str>> {
    plan.images.iter().map(|planned| planned.identities.iter().map(String::as_str).collect()).collect()
}

#[test]
fn the_identities_of_all_lines_of_an_image_are_united_in_their_order() {
    let text = format!(
        "registry.example/a@{A} z.example/a:1  b.example/a\t# first\nregistry.example/b@{A}, registry.example/c:1@{B} c\n\
         registry.example/a:2@{A}\nregistry.example/a@{A} b.example/a z.example/a:2 b.example/a\n"
    );
    let plan = listed(&text, Identities::Signed);
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    assert_eq!(identities(&plan), [vec!["z.example/a:1", "b.example/a", "z.example/a:2"], vec![], vec!["c"]]);
    assert_eq!(plan.images[0].from, ["line 1", "line 3", "line 4"]);
    assert_eq!(
        describe(&plan)[..4],
        [
            "3 images to sign:".to_owned(),
            format!("  registry.example/a@{A}"),
            "    from line 1, line 3, line 4".to_owned(),
            "    as z.example/a:1, b.example/a, z.example/a:2".to_owned(),
        ]
    );
    assert!(describe(&plan)[6].starts_with("  registry.example/c@"));
}

/// The same check as of `--identity`. The content of the file is never shown.
#[test]
fn a_wrong_identity_is_a_problem_and_its_image_is_not_signed() {
    let wrong = [
        ("s3cret@sha256:1".to_owned(), "identity 1 in it is not an image name"),
        (format!("s3cret@{B}"), "between images stand commas or line breaks"),
        ("ok.example/a https://s3cret/a".to_owned(), "identity 2 in it is not an image name"),
        ("S3cret".to_owned(), "identity 1 in it is not an image name"),
        ("s3cret;x".to_owned(), "identity 1 in it is not an image name"),
    ];
    for (text, want) in wrong {
        let plan =
            listed(&format!("registry.example/b@{B}\nregistry.example/a@{A} {text}\n"), Identities::Signed);
        let told = problems(&plan);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("line 2: ") && told[0].contains(want), "{text}: {told:?}");
        assert!(!told[0].to_lowercase().contains("s3cret"), "{told:?}");
        assert_eq!(images(&plan), [format!("registry.example/b@{B}")]);
    }
    // Both halves of a line are reported.
    assert_eq!(problems(&listed("registry.example/a:1 UP\n", Identities::Signed)).len(), 2);
}

#[test]
fn identities_that_are_not_signed_are_a_problem() {
    let text = format!("registry.example/b@{B}\nregistry.example/a@{A} b.example/a\n");
    for (what, want) in [
        (Identities::Unused, "for stepseal sign alone"),
        (Identities::NoPlace, "a Sigstore bundle has no place"),
    ] {
        let plan = listed(&text, what);
        let told = problems(&plan);
        assert!(told.len() == 1 && told[0].starts_with("line 2: ") && told[0].contains(want), "{told:?}");
        assert_eq!(images(&plan), [format!("registry.example/b@{B}")]);
    }
}

#[test]
fn an_image_has_so_many_identities_and_no_more() {
    let line = |from: usize, to: usize| {
        let names: Vec<String> = (from..to).map(|at| format!("x.example/a:{at}")).collect();
        format!("registry.example/a@{A} {}\n", names.join(" "))
    };
    let most = MAX_IDENTITIES;
    let plan = listed(&(line(0, most) + &line(0, most)), Identities::Signed);
    assert!(plan.problems.is_empty() && identities(&plan)[0].len() == most);
    let other = format!("registry.example/b@{B}\n");
    for text in [line(0, most + 1), line(0, most) + &line(most, most + 1) + &line(most + 1, most + 3)] {
        let plan = listed(&(text + &other), Identities::Signed);
        let told = problems(&plan);
        assert!(told.len() == 1 && told[0].contains("more than 256 identities"), "{told:?}");
        assert_eq!(images(&plan), [format!("registry.example/b@{B}")], "not even leniently");
        assert_eq!(plan.subjects.len(), 1);
    }
    // As large as a list may be: it takes no longer than others.
    let crowd: Vec<String> = (0..130_000).map(|at| format!("x{at}")).collect();
    let plan = listed(&format!("registry.example/a@{A} {}\n", crowd.join(" ")), Identities::Signed);
    assert_eq!(plan.problems.len(), 1);
}
