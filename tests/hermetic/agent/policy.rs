//! What the agent refuses, and how the step is told.

use serde_json::json;
use stepseal::demo::registry::{Effect, Fault};
use stepseal::oci::Digest;

use crate::agent::kit::{Running, agent, image_request, named};
use crate::kit::step::{Ended, Step, ended};

fn sign(step: &Step, running: &Running, args: &[&str]) -> Ended {
    let address = running.address();
    let mut command = step.command(&[&["sign", "--agent", &address], args].concat());
    ended(command.env_remove("STEPSEAL_KEY").output().unwrap())
}

#[test]
fn a_repository_that_is_not_allowed() {
    let step = Step::new();
    let allowed = format!("{}/team/*", step.host());
    let running = agent(&step, &["--allow", &allowed]);
    let digest = step.image("other/app", "x");
    let refused = sign(&step, &running, &[&named(&step, "other/app", &digest)]);
    assert_eq!(refused.code, 1);
    for word in ["refuses to sign (repository_not_allowed)", "other/app", "do:", "--allow"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    assert!(step.layers("other/app", &digest).is_empty());
    // An allowed image under a name that isn't.
    let digest = step.image("team/app", "x");
    let refused =
        sign(&step, &running, &["--identity", "prod.example/app", &named(&step, "team/app", &digest)]);
    assert!(refused.stderr.contains("signs nothing for prod.example/app"), "{}", refused.stderr);
    assert_eq!(sign(&step, &running, &[&named(&step, "team/app", &digest)]).code, 0);
    let verdicts: Vec<_> = running.decided(3).iter().map(|line| line["verdict"].clone()).collect();
    assert_eq!(verdicts, ["refused", "refused", "signed"]);
    assert_eq!(running.decisions()[0]["code"], "repository_not_allowed");
}

/// Names that a list gives to an image are among those that `--allow` is about; a tag is signed as the image that it names.
#[test]
fn an_identity_behind_an_image_is_a_name_that_the_policy_sees() {
    let step = Step::new();
    let running =
        agent(&step, &["--allow", &format!("{}/team/*", step.host()), "--allow=prod.example/team/*"]);
    let manifest = step.manifest("team/app", "x");
    let digest = step
        .registry
        .content()
        .put_manifest("team/app", Some("1.0"), crate::kit::step::MANIFEST, manifest)
        .unwrap();
    let list = step.path("list");
    let line = |identity: &str| {
        std::fs::write(&list, format!("{} {identity}\n", named(&step, "team/app", &digest))).unwrap();
        sign(&step, &running, &["--images-file", list.to_str().unwrap()])
    };
    let refused = line("prod.example/other/app");
    assert!(refused.stderr.contains("signs nothing for prod.example/other/app"), "{}", refused.stderr);
    assert_eq!((refused.code, step.layers("team/app", &digest).len()), (1, 0));
    assert_eq!(line("prod.example/team/app:1.0").code, 0);
    assert_eq!(sign(&step, &running, &[&format!("{}/team/app:1.0", step.host())]).code, 0);
    let reference = |payload: &serde_json::Value| payload["critical"]["identity"]["docker-reference"].clone();
    let signed: Vec<_> = step.payloads("team/app", &digest).iter().map(reference).collect();
    assert_eq!(signed, ["prod.example/team/app:1.0".to_owned(), format!("{}/team/app", step.host())]);
}

/// The agent's rule is about a registry, however the rule or the request spells it.
#[test]
fn no_spelling_of_a_name_changes_what_is_allowed() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let port = step.host().rsplit_once(':').unwrap().1.to_owned();
    let spellings = ["127.0.0.1:", "127.1:0", "0X7f.1:", "2130706433:"].map(|start| format!("{start}{port}"));
    for pattern in &spellings {
        let mut args = vec!["--allow".to_owned(), format!("{pattern}/team/*")];
        args.extend(spellings.iter().flat_map(|host| ["--insecure-registry".to_owned(), host.clone()]));
        let running = agent(&step, &args.iter().map(String::as_str).collect::<Vec<_>>());
        for host in &spellings {
            let ask = |path: &str| {
                running.post("/v1/sign-image", &image_request(&format!("{host}/{path}@{digest}")))
            };
            let reply = ask("team/app");
            assert_eq!(reply.status, 200, "{pattern} {host}: {}", reply.body);
            let reply = ask("other/app");
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (403, "repository_not_allowed"),
                "{pattern} {host}"
            );
        }
    }
}

#[test]
fn a_digest_that_the_registry_does_not_hold() {
    let step = Step::new();
    step.image("team/app", "x");
    let running = agent(&step, &[]);
    let absent = Digest::of(b"never pushed");
    let reply = running.post("/v1/sign-image", &image_request(&named(&step, "team/app", &absent)));
    assert_eq!((reply.status, reply.code().as_str()), (422, "not_in_registry"));
    assert!(reply.json()["error"]["causes"][0].as_str().unwrap().contains("is not in the registry"));
    // A blob is no image, even if its digest is there.
    let blob = step.registry.content().put_blob("team/app", "a blob").unwrap();
    let reply = running
        .post("/v1/sign-image", &image_request(&format!("{}/team/app@{}", step.host(), blob.as_str())));
    assert_eq!(reply.status, 422, "{}", reply.body);
    // Nor is a digest that is elsewhere in the registry.
    let other = step.image("other/app", "y");
    let reply = running.post("/v1/sign-image", &image_request(&named(&step, "team/app", &other)));
    assert_eq!(reply.status, 422, "{}", reply.body);
    assert_eq!(running.get("/v1/health").json()["signatures"], 0);
}

#[test]
fn each_subject_of_a_statement_is_looked_up() {
    use base64::Engine as _;
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &["--kind", "attestation"]);
    let name = format!("{}/team/app", step.host());
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [
            {"name": name, "digest": {"sha256": digest.hex()}},
            {"name": name, "digest": {"sha256": Digest::of(b"never pushed").hex()}},
        ],
        "predicateType": "https://slsa.dev/provenance/v0.2", "predicate": {},
    });
    let payload = base64::engine::general_purpose::STANDARD.encode(statement.to_string());
    let body = json!({"payloadType": "application/vnd.in-toto+json", "payload": payload});
    let reply = running.post("/v1/sign", &body);
    assert_eq!((reply.status, reply.code().as_str()), (422, "not_in_registry"), "{}", reply.body);
}

#[test]
fn the_eleventh_where_ten_are_allowed() {
    let step = Step::new();
    let running = agent(&step, &["--max-signatures", "10"]);
    let digest = step.image("team/app", "x");
    let image = image_request(&named(&step, "team/app", &digest));
    let absent = image_request(&named(&step, "team/app", &Digest::of(b"never pushed")));
    for _ in 0..10 {
        // What is refused doesn't count.
        assert_eq!(running.post("/v1/sign-image", &absent).status, 422);
        assert_eq!(running.post("/v1/sign-image", &image).status, 200);
    }
    let reply = running.post("/v1/sign-image", &image);
    assert_eq!((reply.status, reply.code().as_str()), (403, "limit_reached"));
    let refused = sign(&step, &running, &[&named(&step, "team/app", &digest)]);
    assert!(refused.stderr.contains("has given all of its 10 signatures"), "{}", refused.stderr);
}

#[test]
fn the_agent_uses_its_own_credentials_and_tells_them_to_its_own_log_alone() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    step.login(&step.host(), "ci-bot", "wrong-pa55word");
    let running = agent(&step, &[]);
    // The step's login is right; the agent's isn't.
    step.login(&step.host(), "ci-bot", crate::kit::step::REGISTRY_PASSWORD);
    let refused = sign(&step, &running, &[&named(&step, "team/app", &digest)]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("401"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("user \"ci-bot\""), "{}", refused.stderr);
    assert_eq!(running.decided(1)[0]["code"], "registry_failed");
    assert!(running.decisions()[0]["reason"]["used"].as_str().unwrap().contains("user \"ci-bot\""));
}

#[test]
fn a_registry_that_does_not_answer_in_time() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &["--request-timeout", "1s"]);
    step.registry.faults().add(Fault::new(Effect::Delay(std::time::Duration::from_secs(30))));
    let reply = running.post("/v1/sign-image", &image_request(&named(&step, "team/app", &digest)));
    assert_eq!((reply.status, reply.code().as_str()), (504, "timed_out"), "{}", reply.body);
}
