//! Images that arguments name by a tag.

use super::*;

/// The plan of arguments that may be tags.
fn arguments(texts: &[&str]) -> Plan {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    plan(&from_arguments(&texts), &PlanOptions { tags: true, ..PlanOptions::default() })
}

fn tags(plan: &Plan) -> Vec<String> {
    plan.tags.iter().map(|planned| format!("{} ({})", planned.tag, planned.from.join(", "))).collect()
}

#[test]
fn a_tag_is_no_subject_until_it_is_resolved() {
    let by_digest = format!("registry.example/a:v1@{A}");
    let mut plan = arguments(&[
        "registry.example/a:v1",
        &by_digest,
        "registry.example/a",
        "registry.example/a:v1",
        "registry.example/b:v1",
    ]);
    assert_eq!(
        tags(&plan),
        [
            "registry.example/a:v1 (argument 1 tag v1, argument 4 tag v1)",
            "registry.example/a:latest (argument 3 tag latest)",
            "registry.example/b:v1 (argument 5 tag v1)",
        ]
    );
    assert!(plan.problems.is_empty() && plan.notes.is_empty());
    assert_eq!(images(&plan), [format!("registry.example/a@{A}")]);
    let image = |name: &str| format!("registry.example/{name}").parse().ok();
    plan.resolve([image(&format!("a@{A}")), image(&format!("a@{B}")), None]);
    assert_eq!(images(&plan), [format!("registry.example/a@{A}"), format!("registry.example/a@{B}")]);
    assert_eq!(plan.images[0].from, ["argument 2", "argument 1 tag v1", "argument 4 tag v1"]);
    assert_eq!(plan.subjects.len(), 2);
    assert_eq!(plan.subjects[0].from, plan.images[0].from);
    assert_eq!(tags(&plan), ["registry.example/b:v1 (argument 5 tag v1)"]);
}

#[test]
fn a_tag_alone_is_something_to_sign() {
    let plan = arguments(&["registry.example/a:v1"]);
    assert_eq!(plan.nothing_to_sign(), None);
    assert_eq!(
        describe(&plan),
        [
            "1 image by a tag, which sign resolves when it runs:",
            "  registry.example/a:v1",
            "    from argument 1 tag v1",
        ]
    );
    let json =
        r#"{"subjects":[],"tags":[{"uri":"registry.example/a","tag":"v1","from":["argument 1 tag v1"]}],"#;
    assert!(serde_json::to_string(&plan).unwrap().starts_with(json));
}

/// Everything but an argument, and an argument too where the user wants digests.
#[test]
fn a_tag_elsewhere_says_why_it_is_not_signed() {
    let why = "can't be signed: it names a tag and no digest; a tag can be moved between the build and the signature, \
               so only NAME@sha256:… is signed";
    let options = PlanOptions { tags: true, ..PlanOptions::default() };
    let arguments = from_arguments(&["registry.example/a:v1".into()]);
    assert_eq!(
        problems(&plan(&arguments, &PlanOptions::default())),
        [format!("argument 1: \"registry.example/a:v1\" {why}")]
    );
    for scope in [Scope::Task, Scope::Step("build".into()), Scope::Pipeline, Scope::File] {
        let hints = vec![hint(&scope, "IMAGES", "registry.example/a:v1")];
        let plan = plan(&Discovered { hints, ..Discovered::default() }, &options);
        assert!(problems(&plan)[0].ends_with(why), "{:?}", plan.problems);
        assert!(plan.tags.is_empty() && plan.nothing_to_sign().is_some());
    }
}

#[test]
fn only_what_is_allowed_and_well_named_is_a_tag() {
    let allow = vec!["registry.example/a".parse().unwrap()];
    let options = PlanOptions { tags: true, allow, ..PlanOptions::default() };
    let texts =
        ["registry.example/a:v1", "registry.example/b:v1", "registry.example/a:v 1", "https://x/a:1", " "];
    let plan = plan(&from_arguments(&texts.map(str::to_owned)), &options);
    assert_eq!(tags(&plan), ["registry.example/a:v1 (argument 1 tag v1)"]);
    let told = problems(&plan);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("argument 2: registry.example/b may not be signed"), "{told:?}");
    assert!(told[1].starts_with("argument 3: ") && told[2].contains("without \"https://\""), "{told:?}");
}
