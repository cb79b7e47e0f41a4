//! Many images in one run: how many requests they take, and that no registry has to bear, or wait for, more than it must.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use stepseal::demo::registry::{Answer, Effect, Fault, Options};
use stepseal::registry::Digest;

use crate::step::{Step, ended};

/// What every bundle names as its config.
const EMPTY: &[u8] = b"{}";

/// Pushes so many images to one repository, and names them in a result.
fn built(step: &Step, repository: &str, images: usize) -> Vec<Digest> {
    let digests: Vec<Digest> =
        (0..images).map(|number| step.image(repository, &format!("{repository} {number}"))).collect();
    let names: Vec<String> =
        digests.iter().map(|digest| format!("{}/{repository}@{digest}", step.host())).collect();
    step.result("IMAGES", &names.join(","));
    digests
}

/// How many bundles the registry holds for each image, by its API or by the fallback tag.
fn bundles(step: &Step, repository: &str, digest: &Digest) -> usize {
    let tag = format!("sha256-{}", digest.hex());
    let content = step.registry.content();
    let tagged = content.manifest(repository, &tag).map_or(0, |(_, index)| {
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        index["manifests"].as_array().unwrap().len()
    });
    tagged.max(content.referrers(repository, digest).len())
}

#[test]
fn a_bundle_takes_at_most_eleven_requests_an_image() {
    for referrers in [false, true] {
        let step = Step::with(Options { referrers, monolithic_post: false, ..Options::default() });
        let digests = built(&step, "team/app", 100);
        step.registry.clear_requests();
        let ended = ended(
            step.command(&["sign"])
                .env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle")
                .output()
                .unwrap(),
        );
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let mut kinds: HashMap<String, usize> = HashMap::new();
        for request in step.registry.requests() {
            let part = request.path_and_query.split('/').nth(4).unwrap_or_default().to_owned();
            *kinds.entry(format!("{} {part}", request.method)).or_default() += 1;
        }
        let requests: usize = kinds.values().sum();
        assert!(
            requests <= 11 * 100,
            "referrers {referrers}: {requests} requests for 100 bundles: {kinds:?}"
        );
        assert!(digests.iter().all(|digest| bundles(&step, "team/app", digest) == 1));
    }
}

/// The uploads of the config that every bundle names.
fn uploads_of_empty(step: &Step) -> usize {
    let empty = Digest::of(EMPTY).as_str().replace(':', "%3A");
    let requests = step.registry.requests();
    let ends = |request: &&stepseal::demo::registry::Request| {
        request.method == Method::PUT && request.path_and_query.contains(&format!("digest={empty}"))
    };
    requests.iter().filter(ends).count()
}

#[test]
fn images_that_are_signed_at_once_share_one_upload_and_not_its_failure() {
    let slow = || Fault::new(Effect::Delay(Duration::from_millis(300))).method(Method::PUT).path("44136fa3");
    for fails in [false, true] {
        let step = Step::with(Options { referrers: false, monolithic_post: false, ..Options::default() });
        let digests = built(&step, "team/app", 16);
        step.registry.faults().add(slow());
        if fails {
            let refusal = Answer::new(http::StatusCode::FORBIDDEN);
            step.registry.faults().add(Fault::answer(refusal).method(Method::PUT).path("44136fa3").first(1));
        }
        let mut command = step.command(&["sign"]);
        command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle");
        let ended = ended(command.output().unwrap());
        let signed = digests.iter().filter(|digest| bundles(&step, "team/app", digest) == 1).count();
        // The image that began the upload has its error; the others do without it.
        let expected = if fails { (5, 15) } else { (0, 16) };
        assert_eq!((ended.code, signed), expected, "{}", ended.stderr);
        if !fails {
            assert_eq!(uploads_of_empty(&step), 1);
        }
    }
}

/// A registry that has no referrers API at first: for so many requests to it, it answers 404 and takes no note of subjects.
#[test]
fn an_api_that_comes_later_costs_no_signature_and_adds_none() {
    for hidden in [1, 7, 30, 1000] {
        let step = Step::with(Options { monolithic_post: false, ..Options::default() });
        let digests = built(&step, "team/app", 20);
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, is_hidden) = (Arc::clone(&asked), move || asked.load(Ordering::Relaxed) < hidden);
        let faults = step.registry.faults();
        let hides = is_hidden.clone();
        faults.answer_instead(move |asked| {
            count.fetch_add(1, Ordering::Relaxed);
            let answer = http::Response::builder().status(404).body(bytes::Bytes::new()).unwrap();
            (asked.path_and_query.contains("/referrers/") && hides()).then_some(answer)
        });
        faults.change_answers(move |_, answer| {
            if is_hidden() {
                answer.headers_mut().remove("oci-subject");
            }
        });
        for expected in ["20 signed", "20 unchanged"] {
            let mut command = step.command(&["sign", "--jobs=2"]);
            command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle");
            let ended = ended(command.output().unwrap());
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            assert!(ended.stderr.contains(expected), "hidden for {hidden}: {}", ended.stderr);
        }
        assert!(digests.iter().all(|digest| bundles(&step, "team/app", digest) == 1), "hidden for {hidden}");
    }
}
