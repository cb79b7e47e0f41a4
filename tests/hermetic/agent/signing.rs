//! What is signed through the agent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::agent::kit::{agent, image_request, named, spawn, without_key};
use crate::kit::personality::Rules;
use crate::kit::step::{INDEX, Step, ended, public_key};
use crate::registries::personalities::harbor;

#[test]
fn sign_needs_no_key() {
    let step = Step::new();
    let digest = step.built("team/app");
    let running = agent(&step, &[]);
    without_key(&step);
    let mut sign = step.command(&["sign", "--agent", &running.address()]);
    let signed = ended(sign.env_remove("STEPSEAL_KEY").output().unwrap());
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
    let [decision] = &running.decided(1)[..] else { panic!("{:?}", running.lines()) };
    assert_eq!(decision["verdict"], "signed");
    assert_eq!(decision["kind"], "image");
    assert_eq!(decision["images"], json!([named(&step, "team/app", &digest)]));
    assert_eq!(decision["peer"]["uid"], rustix::process::getuid().as_raw());
    assert!(decision["peer"]["pid"].as_u64().unwrap() > 0);
    // The second run finds it there: the agent is not even asked.
    let again = ended(sign.output().unwrap());
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(running.decisions().len(), 1);
}

/// The agent asks for tokens that may pull, until the registry wants one that may push.
#[test]
fn point_5_an_image_under_harbors_policy_is_signed() {
    let step = Step::with((harbor::PERSONALITY.options)());
    (harbor::PERSONALITY.install)(&step.registry, Rules::default());
    let digest = step.built("team/app");
    let running = agent(&step, &[]);
    let mut sign = step.command(&["sign", "--agent", &running.address()]);
    let signed = ended(sign.env_remove("STEPSEAL_KEY").output().unwrap());
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}

#[test]
fn bundles_identities_annotations_and_an_index() {
    let step = Step::new();
    let digest = step.built("team/app");
    let running = agent(&step, &[]);
    let address = running.address();
    let run = |more: &[&str]| {
        let mut command = step.command(&[&["sign", "--agent", &address], more].concat());
        let done = ended(command.env_remove("STEPSEAL_KEY").output().unwrap());
        assert_eq!(done.code, 0, "{}", done.stderr);
    };
    run(&["--config", "storage.oci.encoding-format=sigstore-bundle", "--annotation", "team=blue"]);
    run(&["--identity", "prod.example/app", "--identity", "other.example/app:1", "--annotation", "a=<b>"]);
    assert_eq!(step.payloads("team/app", &digest).len(), 2);
    let child = step.image("team/index", "child");
    let size = step.registry.content().manifest("team/index", child.as_str()).unwrap().1.len();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": crate::kit::step::MANIFEST, "size": size, "digest": child.as_str()}]});
    let index = step.registry.content().put_manifest("team/index", None, INDEX, index.to_string()).unwrap();
    run(&["--recursive", &named(&step, "team/index", &index)]);
    for digest in [&index, &child] {
        assert_eq!(step.payloads("team/index", digest).len(), 1);
    }
}

/// An image's signature is two payloads, both of the kind `image`; an attestation is one, which is stored twice.
#[test]
fn both_encodings_are_two_signatures_of_an_image_and_one_of_an_attestation() {
    let step = Step::new();
    let digest = step.built("team/app");
    let running = agent(&step, &["--kind", "image", "--kind", "attestation"]);
    let address = running.address();
    let (image, predicate) = (named(&step, "team/app", &digest), step.path("predicate"));
    fs::write(&predicate, "{}").unwrap();
    let attest =
        ["attest", &image, "--type=https://e.x/t", "--predicate", predicate.to_str().unwrap(), "--agent"];
    for (args, kinds) in [
        (vec!["sign", "--agent"], vec!["image", "image"]),
        (attest.to_vec(), vec!["image", "image", "attestation"]),
    ] {
        let mut command = step.command(&[&args[..], &[&address]].concat());
        command.env_remove("STEPSEAL_KEY");
        command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "dsse,sigstore-bundle");
        let done = ended(command.output().unwrap());
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains("2 signed"), "{}", done.stderr);
        let decided = running.decided(kinds.len());
        let signed = |decision: &Value| decision["verdict"] == "signed";
        assert!(decided.iter().all(signed), "{decided:?}");
        assert_eq!(
            decided.iter().map(|decision| decision["kind"].as_str().unwrap()).collect::<Vec<_>>(),
            kinds
        );
    }
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
    assert_eq!(step.registry.content().referrers("team/app", &digest).len(), 2);
}

#[test]
fn sign_waits_for_an_agent_that_comes_later() {
    let step = Step::new();
    step.built("team/app");
    let socket = format!("unix://{}", step.path("agent.sock").display());
    let mut command = step.command(&["sign", "--agent", &socket]);
    command.env_remove("STEPSEAL_KEY").stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let running = spawn(&step, &[]);
    let signed = ended(child.wait_with_output().unwrap());
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    drop(running);
}

#[test]
fn without_an_agent_it_says_so_in_time() {
    let step = Step::new();
    step.built("team/app");
    let socket = format!("unix://{}", step.path("agent.sock").display());
    let mut command = step.command(&["sign", "--timeout", "1s", "--agent", &socket]);
    let failed = ended(command.env_remove("STEPSEAL_KEY").output().unwrap());
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert!(failed.stderr.contains("no agent listens at unix:///"), "{}", failed.stderr);
    let both = step.run(&["sign", "--agent", &socket]);
    assert_eq!(both.code, 2, "{}", both.stderr);
    assert!(both.stderr.contains("contradict"), "{}", both.stderr);
}

#[test]
fn any_client_gets_payload_and_signature() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &[]);
    let reply = running.post("/v1/sign-image", &image_request(&named(&step, "team/app", &digest)));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    let bytes = |field: &str| STANDARD.decode(answer[field].as_str().unwrap()).unwrap();
    public_key().verify(&bytes("payload"), &bytes("signature")).unwrap();
    let said: Value = serde_json::from_slice(&bytes("payload")).unwrap();
    assert_eq!(said["critical"]["image"]["docker-manifest-digest"], digest.as_str());
}

#[test]
fn attestations_and_runs_where_they_are_allowed() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &["--kind", "attestation", "--kind", "run"]);
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": format!("{}/team/app", step.host()), "digest": {"sha256": digest.hex()}}],
        "predicateType": "https://spdx.dev/Document", "predicate": {},
    })
    .to_string();
    let status = json!({"conditions": [{"type": "Succeeded", "status": "True"}], "results": []}).to_string();
    let ask = |payload_type: &str, payload: &str| {
        let body = json!({"payloadType": payload_type, "payload": STANDARD.encode(payload)});
        let reply = running.post("/v1/sign", &body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        STANDARD.decode(reply.json()["signature"].as_str().unwrap()).unwrap()
    };
    let signature = ask("application/vnd.in-toto+json", &statement);
    let length = statement.len();
    let pae = format!("DSSEv1 28 application/vnd.in-toto+json {length} {statement}");
    public_key().verify(pae.as_bytes(), &signature).unwrap();
    let signature = ask("application/json", &status);
    public_key().verify(status.as_bytes(), &signature).unwrap();
    let image = running.post("/v1/sign-image", &image_request(&named(&step, "team/app", &digest)));
    assert_eq!((image.status, image.code().as_str()), (403, "kind_not_allowed"));
}

#[test]
fn every_user_may_connect_and_a_killed_agent_leaves_no_trouble() {
    let step = Step::new();
    let first = agent(&step, &[]);
    let mode = fs::metadata(&first.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let second = spawn(&step, &[]);
    let (code, lines) = second.ended();
    assert_eq!(code, Some(2));
    assert!(lines.join("\n").contains("another process listens at"), "{lines:?}");
    first.kill();
    assert!(step.path("agent.sock").exists());
    let third = agent(&step, &[]);
    assert_eq!(third.get("/v1/health").status, 200);
    third.kill();
    fs::remove_file(step.path("agent.sock")).unwrap();
    fs::write(step.path("agent.sock"), "mine").unwrap();
    let (code, lines) = spawn(&step, &[]).ended();
    assert_eq!(code, Some(2));
    assert!(lines.join("\n").contains("is not a socket; it was not touched"), "{lines:?}");
}

#[test]
fn two_hundred_requests_at_once() {
    let step = Step::new();
    let digests: Vec<_> = (0..8).map(|number| step.image("team/app", &number.to_string())).collect();
    let running = agent(&step, &["--max-signatures", "200"]);
    let (running, step) = (&running, &step);
    let all: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..201)
            .map(|number: usize| {
                let image = named(step, "team/app", &digests[number % digests.len()]);
                scope.spawn(move || running.post("/v1/sign-image", &image_request(&image)).status)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // The limit holds exactly, however they meet.
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 200);
    assert_eq!(all.iter().filter(|status| **status == 403).count(), 1);
    assert_eq!(running.get("/v1/health").json()["signatures"], 200);
    assert_eq!(running.decided(201).len(), 201);
    // What the catalog gives it. Most of it is the key's derivation.
    assert!(running.peak_kib() < 128 * 1024, "{} KiB", running.peak_kib());
    eprintln!("two hundred at once: {} KiB at most", running.peak_kib());
}

#[test]
fn attest_and_the_provenance_of_a_run() {
    let step = Step::new();
    let digest = step.built("team/app");
    let running = agent(&step, &["--kind", "image", "--kind", "attestation"]);
    without_key(&step);
    let run = |args: &[&str]| {
        let mut command = step.command(&[args, &["--agent", &running.address()]].concat());
        let done = ended(command.env_remove("STEPSEAL_KEY").output().unwrap());
        assert_eq!(done.code, 0, "{}", done.stderr);
    };
    fs::write(step.path("predicate.json"), r#"{"packages":[]}"#).unwrap();
    let predicate = step.path("predicate.json").display().to_string();
    let image = named(&step, "team/app", &digest);
    run(&["attest", &image, "--predicate", &predicate, "--type", "https://spdx.dev/Document"]);
    // Many images and predicates, and a whole statement about all of them.
    let other = step.image("team/other", "other");
    let images = [image.clone(), named(&step, "team/other", &other)];
    let subjects: Vec<Value> = images
        .iter()
        .map(|image| {
            let (name, digest) = image.split_once("@sha256:").unwrap();
            json!({"name": name, "digest": {"sha256": digest}})
        })
        .collect();
    let whole = json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": "https://e.x/s", "predicate": {},
    });
    fs::write(step.path("whole.json"), whole.to_string()).unwrap();
    let whole = step.path("whole.json").display().to_string();
    let said = ["--predicate", &predicate, "--type", "vuln", "--predicate", &predicate, "--type", "openvex"];
    run(&[&["attest", &images[0], &images[1], "--statement", &whole], &said[..]].concat());
    let task_run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": "build", "namespace": "team", "uid": "2b3e8a52-3ca3-4b43-8e5c-5e3a4f3c0c11"},
        "spec": {"taskSpec": {"steps": []}},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
            "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z",
            "results": [
                {"name": "IMAGE_URL", "type": "string", "value": format!("{}/team/app:1", step.host())},
                {"name": "IMAGE_DIGEST", "type": "string", "value": digest.as_str()},
            ],
        },
    });
    fs::write(step.path("run.json"), task_run.to_string()).unwrap();
    let file = step.path("run.json").display().to_string();
    run(&["sign", "--run", &file, "--config", "artifacts.taskrun.storage=oci"]);
    let tag = format!("sha256-{}.att", digest.hex());
    let (_, bytes) = step.registry.content().manifest("team/app", &tag).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 5, "{manifest:#}");
    let kinds: Vec<Value> = running.decided(9).iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "attestation").count(), 8, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "image").count(), 1, "{kinds:?}");
}
