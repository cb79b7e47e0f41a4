//! The main job, as users run it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use stepseal::demo::registry::{Auth, Options, TokenService};

use crate::kit::step::{INDEX, Step, bare, ended};

#[test]
fn what_the_results_name_is_signed_and_again_adds_nothing() {
    let step = Step::new();
    let app = step.built("team/app");
    let tools = step.image("team/tools", "tools");
    let base = step.image("team/base", "base");
    step.result("IMAGES", &format!("{0}/team/tools@{tools},\n{0}/team/base@{base}\n", step.host()));
    let ended = step.sign(&[]);
    assert!(ended.stderr.contains("3 signed"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    for (repository, digest) in [("team/app", &app), ("team/tools", &tools), ("team/base", &base)] {
        let payloads = step.payloads(repository, digest);
        assert_eq!(payloads.len(), 1);
        let reference = format!("{}/{repository}", step.host());
        assert_eq!(payloads[0]["critical"]["identity"]["docker-reference"], reference.as_str());
        assert_eq!(payloads[0]["critical"]["image"]["docker-manifest-digest"], digest.as_str());
    }
    let before = step.layers("team/app", &app);
    step.registry.clear_requests();
    let ended = step.sign(&[]);
    assert!(ended.stderr.contains("3 unchanged; nothing was added"), "{}", ended.stderr);
    assert_eq!(step.layers("team/app", &app), before);
    assert!(step.registry.requests().iter().all(|request| request.method == "GET"), "the second run wrote");
}

/// `verify` has to fetch a payload that it can't make itself, so `sign` looks at it too.
#[test]
fn a_payload_with_annotations_that_is_gone_is_pushed_again() {
    for flag in ["--annotation=a=b", "--identity=registry.example/other"] {
        let step = Step::new();
        let digest = step.built("team/app");
        step.sign(&[flag]);
        let layers = step.layers("team/app", &digest);
        let payload = layers[0]["digest"].as_str().unwrap().parse().unwrap();
        assert!(step.sign(&[flag]).stderr.contains("nothing was added"));
        assert!(step.registry.content().remove_blob("team/app", &payload));
        assert!(step.sign(&[flag]).stderr.contains("1 signed"));
        assert!(step.registry.content().blob("team/app", &payload).is_some());
        assert_eq!(step.layers("team/app", &digest), layers);
        assert!(step.sign(&[flag]).stderr.contains("nothing was added"));
    }
}

#[test]
fn nine_requests_an_image_by_tag() {
    let step = Step::with(Options { monolithic_post: false, ..Options::default() });
    let images: Vec<String> = (0..10)
        .map(|number| {
            let repository = format!("team/app{number}");
            format!("{}/{repository}@{}", step.host(), step.image(&repository, &repository))
        })
        .collect();
    step.result("IMAGES", &images.join(","));
    step.registry.clear_requests();
    step.sign(&[]);
    let requests = step.registry.requests().len();
    assert!(requests <= 90, "{requests} requests for 10 images");
}

#[test]
fn a_run_that_expects_no_signature_still_finds_one() {
    let step = Step::with(Options { monolithic_post: false, ..Options::default() });
    let images: Vec<(String, _)> = (0..40)
        .map(|number| format!("team/app{number}"))
        .map(|repository| (repository.clone(), step.image(&repository, &repository)))
        .collect();
    let name = |(repository, digest): &(String, _)| format!("{}/{repository}@{digest}", step.host());
    step.sign(&[&name(&images[30])]);
    step.result("IMAGES", &images.iter().map(name).collect::<Vec<_>>().join(","));
    step.registry.clear_requests();
    let ended = step.sign(&["--jobs=2"]);
    assert!(ended.stderr.contains("39 signed, 1 unchanged"), "{}", ended.stderr);
    assert!(images.iter().all(|(repository, digest)| step.payloads(repository, digest).len() == 1));
    // A late look saves one of nine requests, and the signed image needs no write and no confirmation. How many looks are late depends
    // on how near the registry is, and so on the load of this machine: `answer_times` has the tests of that.
    let requests = step.registry.requests().len();
    assert!((8 * 39 + 6..=9 * 39 + 6).contains(&requests), "{requests} requests for 40 images");
}

#[test]
fn bearer_tokens_are_asked_for_once_a_repository() {
    let options =
        Options { auth: Auth::Bearer, token_service: TokenService::OwnListener, ..Options::default() };
    let step = Step::with(options);
    let digest = step.built("team/app");
    step.sign(&[]);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
    let requests = step.registry.requests();
    let tokens = requests.iter().filter(|request| request.path_and_query.starts_with("/token")).count();
    assert_eq!(tokens, 1, "{requests:#?}");
}

#[test]
fn the_most_talkative_log_holds_no_secret() {
    for auth in [Auth::Basic, Auth::Bearer] {
        let step = Step::with(Options { auth, ..Options::default() });
        step.built("team/app");
        // What it printed is searched for secrets by `ended`.
        let ended = ended(step.command(&["sign"]).env("STEPSEAL_LOG", "trace").output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("TRACE"), "{}", ended.stderr);
    }
}

#[test]
fn identities_and_annotations_are_signed_beside_each_other() {
    let step = Step::new();
    let digest = step.built("team/app");
    let args = [
        "--identity",
        "registry.example/one",
        "--identity=registry.example/two:1",
        "--annotation=commit=abc",
        "--annotation=a=b=c",
    ];
    step.sign(&args);
    let payloads = step.payloads("team/app", &digest);
    let names: Vec<&Value> =
        payloads.iter().map(|p| &p["critical"]["identity"]["docker-reference"]).collect();
    assert_eq!(names, ["registry.example/one", "registry.example/two:1"]);
    assert!(payloads.iter().all(|payload| payload["optional"] == json!({"a": "b=c", "commit": "abc"})));
    // Another annotation is another signature; the first two stay.
    step.sign(&["--annotation=commit=def"]);
    assert_eq!(step.payloads("team/app", &digest).len(), 3);
}

#[test]
fn an_index_is_signed_with_each_of_its_manifests_when_asked() {
    let step = Step::new();
    let children = [step.image("team/multi", "amd64"), step.image("team/multi", "arm64")];
    let entries: Vec<Value> = children
        .iter()
        .map(
            |digest| json!({ "mediaType": crate::kit::step::MANIFEST, "size": 1, "digest": digest.as_str() }),
        )
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    let index = step.registry.content().put_manifest("team/multi", None, INDEX, index).unwrap();
    let image = format!("{}/team/multi@{index}", step.host());
    step.sign(&[&image]);
    assert_eq!(step.payloads("team/multi", &index).len(), 1);
    assert!(step.layers("team/multi", &children[0]).is_empty());
    let ended = step.sign(&[&image, "--recursive"]);
    assert!(ended.stderr.contains("2 signed, 1 unchanged"), "{}", ended.stderr);
    for child in &children {
        assert_eq!(step.payloads("team/multi", child).len(), 1);
    }
}

#[test]
fn signatures_can_go_to_a_repository_of_their_own() {
    let step = Step::new();
    let digest = step.built("team/app");
    let repository = format!("{}/signatures/all", step.host());
    let output = step.command(&["sign"]).env("STEPSEAL_STORAGE_OCI_REPOSITORY", repository).output().unwrap();
    assert_eq!(ended(output).code, 0);
    assert!(step.layers("team/app", &digest).is_empty());
    assert_eq!(step.payloads("signatures/all", &digest).len(), 1);
}

#[test]
fn referrers_hold_a_bundle_with_and_without_the_api() {
    for referrers in [true, false] {
        let step = Step::with(Options { referrers, ..Options::default() });
        let digest = step.built("team/app");
        let sign = || {
            let mut command = step.command(&["sign"]);
            ended(command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle").output().unwrap())
        };
        let first = sign();
        assert_eq!(first.code, 0, "{}", first.stderr);
        let content = step.registry.content();
        let found = content.referrers("team/app", &digest);
        assert_eq!(found.len(), 1);
        let fallback = content.manifest("team/app", &format!("sha256-{}", digest.hex()));
        assert_eq!(fallback.is_some(), !referrers);
        let again = sign();
        assert!(again.stderr.contains("nothing was added"), "{}", again.stderr);
        assert_eq!(content.referrers("team/app", &digest).len(), 1);
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let sign = |encoding: &str| {
        let step = Step::with(Options { port: 0, ..Options::default() });
        let digest = step.image("team/app", "the same");
        let repository = "registry.example/team/app";
        let image = format!("{}/team/app@{digest}", step.host());
        let mut command = step.command(&["sign", &image]);
        if encoding == "dsse" {
            command.args(["--identity", repository]);
        }
        command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", encoding);
        let ended = ended(command.output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let content = step.registry.content();
        match encoding {
            "dsse" => content.manifest("team/app", &format!("sha256-{}.sig", digest.hex())).unwrap(),
            _ => content.referrers("team/app", &digest).remove(0),
        }
    };
    for encoding in ["dsse", "sigstore-bundle"] {
        assert_eq!(sign(encoding), sign(encoding), "{encoding}");
    }
}

#[test]
fn plan_shows_what_sign_would_do_and_touches_no_registry() {
    let step = Step::new();
    let digest = step.built("team/app");
    std::fs::remove_dir_all(step.path("keys")).unwrap();
    step.registry.clear_requests();
    let payloads = step.path("payloads");
    let ended = step.run(&["plan", "--output", "json", "--payloads", payloads.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    let uri = format!("{}/team/app", step.host());
    assert_eq!(plan["subjects"][0]["uri"], uri.as_str());
    assert_eq!(plan["subjects"][0]["digest"], digest.as_str());
    assert_eq!(plan["payloads"][0]["artifact"], "oci");
    assert_eq!(plan["payloads"][0]["stores"], json!(["oci"]));
    assert_eq!(plan["problems"], json!([]));
    let file = std::fs::read_dir(&payloads).unwrap().next().unwrap().unwrap().path();
    let written: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(written, plan["payloads"][0]["statement"]);
    assert_eq!(step.registry.requests().len(), 0);
    let human = step.run(&["plan"]);
    assert!(human.stdout.contains("would sign") && human.stdout.contains("IMAGE_URL"), "{}", human.stdout);
}

#[test]
fn the_report_has_one_object_a_subject() {
    let step = Step::new();
    let digest = step.built("team/app");
    let report = step.path("report.json");
    let ended = step.sign(&["--output=json", "--report", report.to_str().unwrap()]);
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(printed, written);
    assert_eq!(written.as_array().unwrap().len(), 1);
    assert_eq!(written[0]["digest"], digest.as_str());
    assert_eq!(written[0]["status"], "signed");
    assert_eq!(written[0]["keyId"], crate::kit::step::public_key().key_id().as_str());
}

#[test]
fn a_report_that_cannot_be_written_stops_the_run_before_it_begins() {
    let step = Step::new();
    let digest = step.built("team/app");
    let ended = step.run(&["sign", "--report", "/nonexistent/report.json"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("/nonexistent/report.json"), "{}", ended.stderr);
    assert!(step.layers("team/app", &digest).is_empty());
}

#[test]
fn images_come_from_a_file_too() {
    let step = Step::new();
    let digest = step.image("team/app", "app");
    let list = step.path("images.txt");
    std::fs::write(&list, format!("# ours\n\n{}/team/app:v1@{digest}\n", step.host())).unwrap();
    step.sign(&["--images-file", list.to_str().unwrap()]);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}

/// Also while it runs: another user of the machine may read neither its key nor its passwords.
#[test]
fn the_demo_keeps_its_secrets_to_its_user() {
    let sample = stepseal::demo::Sample::start(0).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(sample.folder()), 0o700);
    for folder in [sample.keys(), sample.credentials(), sample.results()] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty());
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

#[test]
fn the_demo_does_the_whole_job() {
    for args in [&["demo"][..], &["demo", "--referrers"]] {
        let ended = ended(bare(args).output().unwrap());
        assert_eq!(ended.code, 0, "{}\n{}", ended.stdout, ended.stderr);
        assert_eq!(ended.stdout.matches("verified   ").count(), 4, "{}", ended.stdout);
        assert!(ended.stdout.contains("cosign verify --key"), "{}", ended.stdout);
        assert!(ended.stderr.contains("4 signed"), "{}", ended.stderr);
        assert!(ended.stderr.contains("nothing was added"), "{}", ended.stderr);
    }
}

#[test]
fn every_command_has_help_that_fits_a_screen() {
    for command in ["sign", "plan", "attest", "demo", "generate-key-pair", "completions", "man"] {
        let ended = ended(bare(&[command, "--help"]).output().unwrap());
        assert_eq!(ended.code, 0);
        let lines = ended.stdout.lines().count();
        assert!(lines <= 50, "{command}: {lines} lines\n{}", ended.stdout);
        assert!(ended.stdout.lines().all(|line| line.chars().count() <= 110), "{}", ended.stdout);
    }
}

#[test]
fn completions_and_the_manual_are_made() {
    for (args, holds) in [
        (&["completions", "bash"][..], "generate-key-pair"),
        (&["completions", "zsh"], "insecure-registry"),
        (&["completions", "fish"], "insecure-registry"),
        (&["man"], "STEPSEAL_ALLOW"),
    ] {
        let ended = ended(bare(args).output().unwrap());
        assert_eq!(ended.code, 0);
        assert!(ended.stdout.contains(holds), "{args:?}");
    }
}
