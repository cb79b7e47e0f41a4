//! Images that arguments name by a tag: resolved once, through the registry, before anything is signed.

use http::{Method, StatusCode};
use serde_json::Value;
use stepseal::demo::registry::{Answer, Effect, Fault, Options, Page};
use stepseal::oci::Digest;

use crate::kit::step::{Ended, MANIFEST, Step};

/// Pushes an image under a tag; returns its digest.
fn tagged(step: &Step, repository: &str, tag: &str, text: &str) -> Digest {
    let manifest = step.manifest(repository, text);
    step.registry.content().put_manifest(repository, Some(tag), MANIFEST, manifest).unwrap()
}

/// Whether something in the registry is signed.
fn signed(step: &Step) -> bool {
    let content = step.registry.content();
    content.repositories().iter().any(|name| content.tags(name).iter().any(|tag| tag.ends_with(".sig")))
}

/// How often a tag was asked for.
fn asked(step: &Step, tag: &str) -> usize {
    let end = format!("/manifests/{tag}");
    step.registry.requests().iter().filter(|request| request.path_and_query.ends_with(&end)).count()
}

/// Runs `sign`, which must end with `code`, say each of `wanted`, and sign nothing.
fn refused(step: &Step, args: &[&str], code: i32, wanted: &[&str]) -> Ended {
    let ended = step.run(&[&["sign"], args].concat());
    assert_eq!(ended.code, code, "{}", ended.stderr);
    for want in wanted {
        assert!(ended.stderr.contains(want), "{want:?} is missing:\n{}", ended.stderr);
    }
    assert!(!signed(step), "something was signed");
    ended
}

#[test]
fn a_tag_is_resolved_once_and_its_digest_is_signed_and_printed() {
    for (written, tag) in [("team/app:1.0", "1.0"), ("team/app", "latest")] {
        let step = Step::new();
        let digest = tagged(&step, "team/app", tag, "x");
        let image = format!("{}/{written}", step.host());
        let report = step.path("report");
        let own = step.path("own");
        std::fs::create_dir(&own).unwrap();
        let ended = step.sign(&[
            &image,
            "--report",
            report.to_str().unwrap(),
            "--own-results",
            own.to_str().unwrap(),
        ]);
        let whole = format!("{}/team/app@{digest}", step.host());
        let resolved = format!("{}/team/app:{tag} is {whole} (argument 1 tag {tag})", step.host());
        assert!(ended.stderr.contains(&resolved), "{}", ended.stderr);
        assert!(ended.stderr.contains("warning: a tag can move"), "{}", ended.stderr);
        assert!(ended.stderr.contains("NAME@sha256:"), "{}", ended.stderr);
        assert_eq!(asked(&step, tag), 1);
        // As cosign: the docker-reference has no tag.
        let payloads = step.payloads("team/app", &digest);
        assert_eq!(payloads.len(), 1);
        let reference = format!("{}/team/app", step.host());
        assert_eq!(payloads[0]["critical"]["identity"]["docker-reference"], reference.as_str());
        let entries: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        assert_eq!(entries[0]["digest"], digest.as_str());
        assert_eq!(entries[0]["from"][0], format!("argument 1 tag {tag}"));
        let own: Vec<String> =
            serde_json::from_slice(&std::fs::read(own.join("SIGNED_IMAGES")).unwrap()).unwrap();
        assert_eq!(own, [whole]);
        assert!(step.sign(&[&image]).stderr.contains("nothing was added"));
    }
}

#[test]
fn two_tags_of_one_image_are_one_subject_named_by_both() {
    let step = Step::new();
    let digest = tagged(&step, "team/app", "1.0", "x");
    tagged(&step, "team/app", "latest", "x");
    let name = format!("{}/team/app", step.host());
    let by_digest = format!("{name}:1.0@{digest}");
    let ended = step.sign(&[&format!("{name}:1.0"), &name, &by_digest, &format!("{name}:1.0")]);
    assert!(ended.stderr.contains("1 signed"), "{}", ended.stderr);
    let from = "(argument 3, argument 1 tag 1.0, argument 4 tag 1.0, argument 2 tag latest)";
    assert!(ended.stderr.contains(from), "{}", ended.stderr);
    assert_eq!((asked(&step, "1.0"), asked(&step, "latest")), (1, 1));
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}

/// Every way in which a tag names no image stops everything, is told with the others, and `--lenient` signs the rest.
#[test]
fn a_tag_that_names_nothing_stops_all_and_is_told_with_the_others() {
    type Prepare = fn(&Step);
    let cases: [(&str, Prepare, i32, &[&str]); 6] = [
        ("absent", |_| {}, 1, &["app:odd is not in the registry", "404", "check the name and the tag"]),
        (
            "not a manifest",
            |step| {
                step.registry
                    .content()
                    .put_manifest("team/app", Some("odd"), "text/plain", "a note")
                    .unwrap();
            },
            1,
            &["app:odd is not an image manifest"],
        ),
        (
            "other bytes than announced",
            |step| {
                tagged(step, "team/app", "odd", "y");
                let fault = Fault::new(Effect::WrongBytes).method(Method::GET).path("/manifests/odd");
                step.registry.faults().add(fault);
            },
            1,
            &["cannot look up", "app:odd"],
        ),
        (
            "a page",
            |step| {
                let page = Answer::new(StatusCode::OK).page(Page::Html);
                step.registry.faults().add(Fault::answer(page).method(Method::GET).path("/manifests/odd"));
            },
            1,
            &["cannot look up", "HTML"],
        ),
        (
            "refused",
            |step| {
                let answer = Answer::new(StatusCode::FORBIDDEN);
                step.registry.faults().add(Fault::answer(answer).method(Method::GET).path("/manifests/odd"));
            },
            4,
            &["cannot look up", "403"],
        ),
        ("moved away", |step| step.registry.faults().add(gone()), 1, &["404"]),
    ];
    for (name, prepare, code, wanted) in cases {
        let step = Step::new();
        let good = tagged(&step, "team/app", "1.0", "x");
        prepare(&step);
        let app = format!("{}/team/app", step.host());
        let other = format!("{}/team/other:2", step.host());
        let by_digest = format!("{app}@{good}");
        let args = [format!("{app}:1.0"), by_digest, format!("{app}:odd"), other];
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let code_of_all = if code == 4 { 1 } else { code };
        let ended = refused(&step, &args, code_of_all, wanted);
        for want in
            ["other:2 is not in the registry", "2 of 3 tags name no image", "nothing was signed", "--lenient"]
        {
            assert!(ended.stderr.contains(want), "{name}: {want:?} is missing:\n{}", ended.stderr);
        }
        assert!(ended.stderr.contains("0 signed, 3 failed"), "{name}: {}", ended.stderr);
        refused(&step, &[args[2]], code, wanted);
        let ended = step.run(&[&["sign", "--lenient"], &args[..]].concat());
        assert_eq!(ended.code, 5, "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("1 signed, 2 failed"), "{name}: {}", ended.stderr);
        assert_eq!(step.payloads("team/app", &good).len(), 1);
    }
}

fn gone() -> Fault {
    Fault::answer(Answer::new(StatusCode::NOT_FOUND)).method(Method::GET).path("/manifests/odd")
}

#[test]
fn the_report_of_a_tag_that_names_nothing_has_the_tag_and_no_digest() {
    let step = Step::new();
    let name = format!("{}/team/app", step.host());
    let ended = step.run(&["sign", "--output=json", &format!("{name}:1.0")]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let entries: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(entries[0]["uri"], name.as_str());
    assert_eq!((&entries[0]["tag"], &entries[0]["digest"]), (&Value::from("1.0"), &Value::Null));
    assert_eq!(
        (&entries[0]["status"], &entries[0]["from"][0]),
        (&"failed".into(), &"argument 1 tag 1.0".into())
    );
}

#[test]
fn what_is_not_allowed_or_not_wanted_is_refused_before_the_registry_is_asked() {
    let step = Step::new();
    tagged(&step, "team/app", "1.0", "x");
    let image = format!("{}/team/app:1.0", step.host());
    step.registry.clear_requests();
    refused(
        &step,
        &["--allow", "registry.example/**", &image],
        3,
        &["argument 1", "registry.example/**", "team/app"],
    );
    refused(&step, &["--require-digest", &image], 3, &["argument 1", "a tag can be moved"]);
    let mut command = step.command(&["sign", &image]);
    let ended = crate::kit::step::ended(command.env("STEPSEAL_REQUIRE_DIGEST", "true").output().unwrap());
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    // A problem elsewhere keeps the tags from being asked for.
    refused(&step, &[&image, "registry.example/App@x"], 3, &["argument 2"]);
    assert!(step.registry.requests().is_empty());
}

#[test]
fn a_tag_in_a_result_or_a_list_stays_an_error() {
    let step = Step::new();
    tagged(&step, "team/app", "1.0", "x");
    let image = format!("{}/team/app:1.0", step.host());
    step.registry.clear_requests();
    step.result("IMAGES", &image);
    refused(&step, &[], 3, &["result IMAGES", "a tag can be moved"]);
    let list = step.path("list");
    std::fs::write(&list, &image).unwrap();
    refused(&step, &["--images-file", list.to_str().unwrap()], 3, &["list line 1", "a tag can be moved"]);
    assert!(step.registry.requests().is_empty());
}

#[test]
fn plan_asks_no_registry_and_shows_the_tag() {
    let step = Step::new();
    let digest = tagged(&step, "team/app", "1.0", "x");
    let name = format!("{}/team/app", step.host());
    let (by_tag, by_digest) = (format!("{name}:1.0"), format!("{name}@{digest}"));
    step.registry.clear_requests();
    let ended = step.run(&["plan", &by_tag]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("1 image by a tag, which sign resolves when it runs"), "{}", ended.stdout);
    assert!(ended.stdout.contains(&by_tag) && !ended.stdout.contains("no image"), "{}", ended.stdout);
    let ended = step.run(&["plan", "--output=json", &by_tag, &by_digest]);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(plan["subjects"].as_array().unwrap().len(), 1);
    let tag = serde_json::json!([{ "uri": name, "tag": "1.0", "from": ["argument 1 tag 1.0"] }]);
    assert_eq!(plan["tags"], tag);
    let ended = step.run(&["plan", "--output=json", &by_digest]);
    assert!(!ended.stdout.contains("\"tags\""), "{}", ended.stdout);
    assert!(step.registry.requests().is_empty());
}

/// `storage.oci.repository.insecure` gives plain HTTP to the registries of tags as to those of digests.
#[test]
fn the_registry_of_a_tag_gets_plain_http_as_that_of_a_digest() {
    let step = Step::with(Options::default());
    let digest = tagged(&step, "team/app", "1.0", "x");
    let mut command = step.command(&["sign", "--config=storage.oci.repository.insecure=true"]);
    command.arg(format!("{}/team/app:1.0", step.host())).env_remove("STEPSEAL_INSECURE_REGISTRIES");
    let ended = crate::kit::step::ended(command.output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}
