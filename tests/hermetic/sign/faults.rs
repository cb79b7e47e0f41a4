//! Registries that fail, and writers that come between.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use stepseal::demo::registry::{Answer, Effect, ErrorCode, Fault, Options, Page};

use crate::kit::step::{MANIFEST, Step, ended};

#[test]
fn one_request_in_five_fails_and_all_forty_are_signed() {
    let step = Step::new();
    let images: Vec<_> = (0..40).map(|n| (format!("team/app{n}"), format!("layer {n}"))).collect();
    let digests: Vec<_> = images.iter().map(|(repository, text)| step.image(repository, text)).collect();
    let names: Vec<String> =
        images.iter().zip(&digests).map(|((r, _), digest)| format!("{}/{r}@{digest}", step.host())).collect();
    step.result("IMAGES", &names.join("\n"));
    step.registry.faults().add(Fault::one_in(5));
    let ended = step.sign(&["--timeout=2m"]);
    assert!(ended.stderr.contains("40 signed"), "{}", ended.stderr);
    for ((repository, _), digest) in images.iter().zip(&digests) {
        assert_eq!(step.payloads(repository, digest).len(), 1);
    }
}

/// Another signer's signature, as a layer of the `.sig` manifest.
fn theirs(number: u32) -> Value {
    json!({
        "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "size": 2,
        "digest": format!("sha256:{number:064x}"),
        "annotations": { "dev.cosignproject.cosign/signature": "AAAA", "x-theirs": "kept" },
    })
}

fn sig_manifest(layers: &[Value]) -> String {
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": layers }).to_string()
}

#[test]
fn signatures_of_others_stay() {
    let step = Step::new();
    let digest = step.built("team/app");
    let tag = format!("sha256-{}.sig", digest.hex());
    step.registry
        .content()
        .put_manifest("team/app", Some(&tag), MANIFEST, sig_manifest(&[theirs(1)]))
        .unwrap();
    // Their layer's blob isn't there, and the registry checks that it is when the manifest is pushed: no list with it can be written.
    let ended = step.sign(&[]);
    assert!(ended.stderr.contains(theirs(1)["digest"].as_str().unwrap()), "{}", ended.stderr);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
    let blob = step.registry.content().put_blob("team/app", "{}").unwrap();
    let mut layer = theirs(1);
    layer["digest"] = blob.as_str().into();
    step.registry
        .content()
        .put_manifest("team/app", Some(&tag), MANIFEST, sig_manifest(&[layer.clone()]))
        .unwrap();
    step.sign(&[]);
    let layers = step.layers("team/app", &digest);
    assert_eq!(layers.len(), 2);
    assert_eq!(layers[0], layer);
}

/// Another writer replaces the tag at `moment`, once, without our signature.
fn another_writer_comes(after: bool) {
    let step = Step::new();
    let digest = step.built("team/app");
    let tag = format!("sha256-{}.sig", digest.hex());
    let blob = step.registry.content().put_blob("team/app", "{}").unwrap();
    let mut layer = theirs(7);
    layer["digest"] = blob.as_str().into();
    let manifest = sig_manifest(&[layer.clone()]);
    let done = AtomicBool::new(false);
    let put = move |content: &stepseal::demo::registry::Content, tag: &str| {
        if !done.swap(true, Ordering::SeqCst) {
            content.put_manifest("team/app", Some(tag), MANIFEST, manifest.clone()).unwrap();
        }
    };
    let faults = step.registry.faults();
    if after {
        faults.after_manifest_put(move |content, _| put(content, &tag));
    } else {
        faults.before_manifest_put(move |content, _| put(content, &tag));
    }
    step.sign(&[]);
    let layers = step.layers("team/app", &digest);
    assert_eq!(layers.len(), 2, "{layers:#?}");
    assert!(layers.contains(&layer));
}

#[test]
fn a_signature_that_overwrote_ours_is_merged() {
    another_writer_comes(true);
}

#[test]
fn an_old_copy_is_waited_for() {
    let step = Step::new();
    let digest = step.built("team/app");
    step.registry.faults().add(Fault::new(Effect::Stale(2)));
    step.sign(&[]);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}

#[test]
fn answers_that_are_lost_are_not_done_twice() {
    let step = Step::new();
    let digest = step.built("team/app");
    step.registry.faults().add(Fault::new(Effect::AnswerLost).method(Method::PUT).every(2));
    step.sign(&[]);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}

#[test]
fn a_blob_that_the_registry_does_not_find_for_a_moment_is_no_failure() {
    for encoding in ["dsse", "sigstore-bundle"] {
        let step = Step::new();
        step.built("team/app");
        // docker-registry says it while another signer uploads the same blob.
        let page = Page::Json(ErrorCode::ManifestBlobUnknown, "blob unknown to registry".into());
        let answer = Answer::new(StatusCode::BAD_REQUEST).page(page);
        step.registry.faults().add(Fault::answer(answer).method(Method::PUT).path("/manifests/").first(2));
        let config = format!("--config=storage.oci.encoding-format={encoding}");
        assert!(step.sign(&[&config]).stderr.contains("1 signed"), "{encoding}");
        assert!(step.sign(&[&config]).stderr.contains("already"), "{encoding}");
    }
}

/// Twelve others, each replacing the list that we have just written, and among them the moment in which a blob is not found.
#[test]
fn such_a_moment_late_in_a_crowd_is_no_failure_either() {
    let step = Step::new();
    let digest = step.built("team/app");
    let tag = format!("sha256-{}.sig", digest.hex());
    let blob = step.registry.content().put_blob("team/app", "{}").unwrap();
    let number = AtomicU32::new(0);
    step.registry.faults().after_manifest_put(move |content, _| {
        let number = number.fetch_add(1, Ordering::SeqCst);
        if number < 12 {
            let mut layer = theirs(number);
            layer["digest"] = blob.as_str().into();
            layer["annotations"]["x-number"] = number.to_string().into();
            content.put_manifest("team/app", Some(&tag), MANIFEST, sig_manifest(&[layer])).unwrap();
        }
    });
    let page = Page::Json(ErrorCode::ManifestBlobUnknown, "blob unknown to registry".into());
    let answer = Answer::new(StatusCode::BAD_REQUEST).page(page);
    step.registry.faults().add(Fault::answer(answer).method(Method::PUT).path("/manifests/").nth(11));
    step.sign(&[]);
    assert_eq!(step.layers("team/app", &digest).len(), 13);
}

#[test]
fn a_registry_that_throttles_is_waited_for() {
    let step = Step::new();
    let digest = step.built("team/app");
    let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS).retry_after("1");
    step.registry.faults().add(Fault::answer(answer).first(2));
    step.sign(&[]);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}

#[test]
fn the_time_limit_ends_the_run() {
    let step = Step::new();
    step.built("team/app");
    step.registry.faults().add(Fault::answer(Answer::new(StatusCode::SERVICE_UNAVAILABLE)));
    let ended = step.run(&["sign", "--timeout=1s"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("503"), "{}", ended.stderr);
}

#[test]
fn a_registry_without_location_or_digest_headers_will_do() {
    let step = Step::with(Options { referrers: false, ..Options::default() });
    let digest = step.built("team/app");
    step.registry.faults().add(Fault::new(Effect::NoLocation).method(Method::PUT));
    step.registry.faults().add(Fault::new(Effect::NoDigestHeader));
    step.sign(&[]);
    assert_eq!(step.payloads("team/app", &digest).len(), 1);
}

#[test]
fn a_signal_ends_the_run_and_says_so() {
    let step = Step::new();
    step.built("team/app");
    step.registry.faults().add(Fault::new(Effect::Stall(std::time::Duration::from_secs(60))));
    let mut command = step.command(&["sign"]);
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGTERM"), "{}", ended.stderr);
}
