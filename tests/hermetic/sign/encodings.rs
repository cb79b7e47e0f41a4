//! Both encodings in one run: cosign's tags and referrers, side by side.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use stepseal::demo::registry::{Answer, Fault, Options};
use stepseal::oci::Digest;

use crate::kit::step::{Ended, INDEX, MANIFEST, Step, pair};

const BOTH: &str = "--config=storage.oci.encoding-format=sigstore-bundle,dsse";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

fn report(ended: &Ended) -> Vec<Value> {
    serde_json::from_str(&ended.stdout).expect(&ended.stderr)
}

/// What tells the outcomes apart: the encoding, the format and the status.
fn told(report: &[Value]) -> Vec<[&str; 3]> {
    report
        .iter()
        .map(|outcome| ["encoding", "format", "status"].map(|name| outcome[name].as_str().unwrap_or("")))
        .collect()
}

fn statuses(report: &[Value]) -> Vec<&str> {
    told(report).iter().map(|[_, _, status]| *status).collect()
}

/// Whether `verify` accepts the image with our key.
fn verifies(step: &Step, repository: &str, digest: &Digest) -> bool {
    let public = step.path("cosign.pub");
    std::fs::write(&public, &pair().public_pem).unwrap();
    let image = format!("{}/{repository}@{digest}", step.host());
    let args = ["verify", &image, "--key", public.to_str().unwrap(), "--insecure-ignore-tlog"];
    step.run(&args).code == 0
}

/// How many requests read the manifest of `digest` itself.
fn looks(step: &Step, digest: &Digest) -> usize {
    let end = format!("/manifests/{digest}");
    let requests = step.registry.requests();
    requests
        .iter()
        .filter(|request| request.method == Method::GET && request.path_and_query.ends_with(&end))
        .count()
}

fn writes(step: &Step) -> usize {
    step.registry.requests().iter().filter(|request| request.method != Method::GET).count()
}

#[test]
fn one_run_writes_both_each_verifies_alone_and_a_second_run_adds_nothing() {
    for referrers in [true, false] {
        let step = Step::with(Options { referrers, ..Options::default() });
        let digest = step.built("team/app");
        step.registry.clear_requests();
        let outcomes = report(&step.sign(&[BOTH, "--output=json"]));
        let want = [["dsse", "simplesigning", "signed"], ["sigstore-bundle", "cosign-sign-v1", "signed"]];
        assert_eq!(told(&outcomes), want);
        assert_eq!(looks(&step, &digest), 1, "the image is looked up once");
        let tag = format!("sha256-{}", digest.hex());
        assert!(outcomes[0]["location"].as_str().unwrap().ends_with(&format!("{tag}.sig")), "{outcomes:?}");
        assert_ne!(outcomes[0]["location"], outcomes[1]["location"]);
        assert_eq!(step.payloads("team/app", &digest).len(), 1);
        let content = step.registry.content();
        assert_eq!(content.referrers("team/app", &digest).len(), 1);
        assert_eq!(content.manifest("team/app", &tag).is_some(), !referrers, "the fallback tag beside .sig");
        let before = content.tags("team/app");
        step.registry.clear_requests();
        let again = step.sign(&[BOTH]);
        assert!(again.stderr.contains("2 unchanged; nothing was added"), "{}", again.stderr);
        assert_eq!((writes(&step), content.tags("team/app")), (0, before));
        // Of each alone `verify` takes what `sign` counts.
        assert!(verifies(&step, "team/app", &digest));
        assert!(content.remove_tag("team/app", &format!("{tag}.sig")));
        assert!(verifies(&step, "team/app", &digest), "by the bundle");
        let outcomes = report(&step.sign(&[BOTH, "--output=json"]));
        assert_eq!(statuses(&outcomes), ["signed", "unchanged"]);
        for (_, manifest) in content.referrers("team/app", &digest) {
            assert!(content.remove_manifest("team/app", &Digest::of(&manifest)));
        }
        content.remove_tag("team/app", &tag);
        assert!(verifies(&step, "team/app", &digest), "by the tag");
    }
}

#[test]
fn an_index_is_read_once_for_both() {
    let step = Step::new();
    let children = ["one", "two"].map(|text| step.image("team/app", text));
    let entries: Vec<Value> = children
        .iter()
        .map(|child| {
            let size = step.registry.content().manifest("team/app", child.as_str()).unwrap().1.len();
            json!({ "mediaType": MANIFEST, "size": size, "digest": child.as_str() })
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    let index = step.registry.content().put_manifest("team/app", None, INDEX, index).unwrap();
    let name = format!("{}/team/app@{index}", step.host());
    step.registry.clear_requests();
    let outcomes = report(&step.sign(&[&name, "--recursive", "--output=json", BOTH]));
    assert_eq!(outcomes.len(), 6);
    for digest in [&index, &children[0], &children[1]] {
        assert_eq!(looks(&step, digest), 1, "{digest}");
        assert_eq!(step.payloads("team/app", digest).len(), 1);
        assert_eq!(step.registry.content().referrers("team/app", digest).len(), 1);
        let of_it = outcomes.iter().filter(|outcome| outcome["digest"] == digest.as_str());
        let of_it: Vec<&str> = of_it.map(|outcome| outcome["encoding"].as_str().unwrap()).collect();
        assert_eq!(of_it, ["dsse", "sigstore-bundle"], "the order is the same, whichever ended first");
    }
}

#[test]
fn one_that_fails_does_not_stop_the_other_and_the_next_run_does_the_rest() {
    for (path, failed) in [(".sig", 0), ("/manifests/sha256:", 1)] {
        let step = Step::new();
        let digest = step.built("team/app");
        let faults = step.registry.faults();
        faults.add(Fault::answer(Answer::new(StatusCode::FORBIDDEN)).method(Method::PUT).path(path));
        let ended = step.run(&["sign", "--output=json", BOTH]);
        assert_eq!(ended.code, 5, "{}", ended.stderr);
        let mut want = ["signed", "signed"];
        want[failed] = "failed";
        let outcomes = report(&ended);
        assert_eq!(statuses(&outcomes), want, "{path}");
        assert!(ended.stderr.contains("1 signed, 1 failed"), "{}", ended.stderr);
        assert!(verifies(&step, "team/app", &digest), "by the other one");
        faults.clear();
        want = ["unchanged", "unchanged"];
        want[failed] = "signed";
        assert_eq!(statuses(&report(&step.sign(&["--output=json", BOTH]))), want, "{path}");
    }
}

/// A referrers API that never answers well costs the run its time, and not the tags.
#[test]
fn one_that_never_gets_an_answer_does_not_stop_the_other() {
    let step = Step::new();
    let digest = step.built("team/app");
    let unavailable = Answer::new(StatusCode::SERVICE_UNAVAILABLE);
    step.registry.faults().add(Fault::answer(unavailable).path("/referrers/"));
    let ended = step.run(&["sign", "--output=json", "--timeout=3s", BOTH]);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert_eq!(statuses(&report(&ended)), ["signed", "failed"]);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}

#[test]
fn an_image_that_is_not_there_fails_in_both_and_is_asked_for_once() {
    let step = Step::new();
    let good = step.built("team/app");
    let absent = Digest::of(b"absent");
    step.result("IMAGES", &format!("{}/team/app@{absent}", step.host()));
    step.registry.clear_requests();
    let ended = step.run(&["sign", "--output=json", BOTH]);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    let outcomes = report(&ended);
    for (digest, status) in [(&good, "signed"), (&absent, "failed")] {
        let of_it = outcomes.iter().filter(|outcome| outcome["digest"] == digest.as_str());
        assert!(of_it.clone().all(|outcome| outcome["status"] == status), "{outcomes:?}");
        assert_eq!(of_it.count(), 2);
        assert_eq!(looks(&step, digest), 1);
    }
}

#[test]
fn one_run_takes_fewer_requests_than_two() {
    const IMAGES: usize = 20;
    for referrers in [true, false] {
        // How many requests there are, and how many of them read the images.
        let requests = |runs: &[&str]| {
            let step = Step::with(Options { referrers, ..Options::default() });
            let digests: Vec<Digest> =
                (0..IMAGES).map(|number| step.image("team/app", &number.to_string())).collect();
            let names: Vec<String> =
                digests.iter().map(|digest| format!("{}/team/app@{digest}", step.host())).collect();
            step.result("IMAGES", &names.join("\n"));
            step.registry.clear_requests();
            for encodings in runs {
                step.sign(&["--config", &format!("storage.oci.encoding-format={encodings}")]);
            }
            let images = digests.iter().map(|digest| looks(&step, digest)).sum::<usize>();
            (step.registry.requests().len(), images)
        };
        let (one, two) = (requests(&["dsse,sigstore-bundle"]), requests(&["dsse", "sigstore-bundle"]));
        assert_eq!((one.1, two.1), (IMAGES, 2 * IMAGES), "each image is looked up once in a run");
        assert!(one.0 < two.0, "{} requests in one run, {} in two", one.0, two.0);
    }
}

#[test]
fn what_one_of_them_has_no_place_for_is_refused_before_anything_is_pushed() {
    let step = Step::new();
    step.built("team/app");
    let folder = step.path("signatures");
    let folder = ["--signatures-dir", folder.to_str().unwrap()];
    step.registry.clear_requests();
    for stores in ["oci", "oci,directory"] {
        let stores = format!("--config=artifacts.oci.storage={stores}");
        for command in ["sign", "plan"] {
            let ended =
                step.run(&[&[command, BOTH, &stores, "--identity=registry.example/x"][..], &folder].concat());
            assert_eq!(ended.code, 2, "{command}: {}", ended.stderr);
            assert!(ended.stderr.contains("no place for an identity"), "{}", ended.stderr);
        }
    }
    assert_eq!(step.registry.requests().len(), 0);
    assert!(!step.path("signatures").exists());
}

#[test]
fn plan_shows_both_and_writes_both() {
    let step = Step::new();
    let digest = step.built("team/app");
    let (payloads, folder) = (step.path("payloads"), step.path("signatures"));
    let args = [
        "plan",
        "--output=json",
        BOTH,
        "--config=artifacts.oci.storage=oci,directory",
        "--signatures-dir",
        folder.to_str().unwrap(),
        "--payloads",
        payloads.to_str().unwrap(),
    ];
    let ended = step.run(&args);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    let (repository, hex) = (format!("{}/team/app", step.host()), digest.hex());
    let planned: Vec<[&Value; 3]> = plan["payloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|payload| [&payload["format"], &payload["stores"], &payload["keys"]["signature"]])
        .collect();
    let tag = json!(format!("{repository}:sha256-{hex}.sig"));
    let referrer = json!(format!("{repository}@{digest}"));
    let want = [
        [&json!("simplesigning"), &json!(["oci", "directory"]), &tag],
        [&json!("cosign-sign-v1"), &json!(["oci"]), &referrer],
    ];
    assert_eq!(planned, want);
    let mut files: Vec<_> = std::fs::read_dir(&payloads).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file| serde_json::from_slice::<Value>(&std::fs::read(file).unwrap()).unwrap();
    let written: Vec<Value> = files.iter().map(read).collect();
    let statements: Vec<Value> =
        plan["payloads"].as_array().unwrap().iter().map(|payload| payload["statement"].clone()).collect();
    assert_eq!(written, statements);
    let human = step.run(&["plan", BOTH]);
    for place in [tag.as_str().unwrap(), referrer.as_str().unwrap()] {
        assert!(human.stdout.contains(&format!("at  {place}\n")), "{}", human.stdout);
    }
    // What is signed is what was planned; other stores get what Tekton Chains has in them.
    let signed = step.sign(&[&args[2..6], &["--output=json"]].concat());
    let outcomes = report(&signed);
    let want = [
        ["dsse", "simplesigning", "signed"],
        ["sigstore-bundle", "cosign-sign-v1", "signed"],
        ["", "simplesigning", "signed"],
    ];
    assert_eq!(told(&outcomes), want);
    assert_eq!(step.payloads("team/app", &digest), statements[..1]);
    assert_eq!(step.layers("team/app", &digest)[0]["mediaType"], SIMPLE);
}
