//! Registries as they are: products that answer otherwise than the specification has it. What is signed there verifies there, by tag and as
//! a bundle; and what can't be looked up is never taken for what isn't there.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stepseal::demo::registry::{Answer, Auth, Fault, Options};
use stepseal::oci::Digest;

use crate::kit::step::{Ended, INDEX, MANIFEST, Step};
use crate::verify::kit::{
    ENVELOPE, SIGNATURE, SIMPLE, envelope, fails, name, other, passes, payload, provenance, signed, signer,
    step, tag, verify, with_public_key,
};

const REPOSITORY: &str = "team/app";
const BUNDLE: &str = "--config=storage.oci.encoding-format=sigstore-bundle";
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY_LIST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// A status, a media type and a body.
type Says = (u16, &'static str, &'static str);

/// What registries without a referrers API answer a request for it.
const NO_API: [Says; 21] = [
    (404, "text/plain", "404 page not found\n"),
    (404, "application/json", r#"{"errors":[{"code":"METHOD_UNKNOWN","message":"no such method + url"}]}"#),
    (404, "application/json", r#"{"errors":[{"code":"DENIED"}]}"#),
    (404, "text/html", "<html><title>Not found</title></html>"),
    (405, "application/json", r#"{"errors":[{"code":"UNSUPPORTED"}]}"#),
    (400, "application/json", r#"{"errors":[{"code":"NAME_INVALID"}]}"#),
    (406, "application/json", r#"{"errors":[{"status":406,"message":"Not Acceptable"}]}"#),
    (501, "text/plain", "not implemented"),
    (401, "application/json", r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#),
    (403, "application/json", r#"{"errors":[{"code":"DENIED"}]}"#),
    (403, "text/html", "<html><title>Forbidden</title></html>"),
    (200, "text/html", "<!DOCTYPE html><html><title>Repositories</title></html>"),
    (200, "application/json", "[]"),
    (200, "application/json", r#"{"status":"ok"}"#),
    (200, MANIFEST, r#"{"schemaVersion":2,"config":{},"layers":[]}"#),
    (200, INDEX, EMPTY_LIST),
    (200, "application/json", r#"{"manifests":null}"#),
    (200, INDEX, ""),
    (204, "", ""),
    (410, "text/html", "<html><title>Gone</title></html>"),
    (422, "application/json", r#"{"errors":[{"code":"UNSUPPORTED"}]}"#),
];

/// What registries, and what stands before them, say of something that isn't there.
const ABSENT: [Says; 8] = [
    (
        404,
        "application/json",
        r#"{"errors":[{"code":"TAG_EXPIRED","message":"Tag was deleted or has expired","detail":{}}]}"#,
    ),
    (404, "application/json", r#"{"errors":[{"status":404,"message":"Not Found"}]}"#),
    (404, "application/json", r#"{"errors":[{"code":"DENIED"}]}"#),
    (404, "application/xml", "<Error><Code>NoSuchKey</Code></Error>"),
    (404, "text/plain", "404 page not found\n"),
    (404, "text/html", "<html><title>Not found</title></html>"),
    (404, "text/plain", "\u{0}\u{1}"),
    (404, "", ""),
];

fn answer((status, kind, body): Says) -> Response<Bytes> {
    let answer = Response::builder().status(status).header("content-type", kind);
    answer.body(Bytes::from_static(body.as_bytes())).unwrap()
}

fn fallback(digest: &Digest) -> String {
    format!("sha256-{}", digest.hex())
}

/// What the index under the fallback tag lists.
fn listed(step: &Step, digest: &Digest) -> Vec<Value> {
    let Some((_, index)) = step.registry.content().manifest(REPOSITORY, &fallback(digest)) else {
        return Vec::new();
    };
    let index: Value = serde_json::from_slice(&index).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

/// A registry that doesn't know subjects.
fn old() -> Step {
    with_public_key(Step::with(Options { referrers: false, ..Options::default() }))
}

/// Answers the referrers API in this way.
fn api_says(step: &Step, says: Says) {
    step.registry
        .faults()
        .answer_instead(move |asked| asked.path_and_query.contains("/referrers/").then(|| answer(says)));
}

#[test]
fn without_a_referrers_api_both_places_work_whatever_it_answers() {
    for says in NO_API {
        let step = old();
        api_says(&step, says);
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        fails(verify(&step, &[&image]), &["has no signature that counts", "there is none at"]);
        step.sign(&[]);
        let ended = passes(verify(&step, &[&image]));
        assert!(!ended.stderr.contains("warning"), "{says:?}: {}", ended.stderr);
        // The bundle alone, too.
        assert!(step.registry.content().remove_tag(REPOSITORY, &format!("{}.sig", fallback(&digest))));
        step.registry.clear_requests();
        step.sign(&[BUNDLE]);
        let requests = step.registry.requests().len();
        assert!(requests < 30, "{says:?}: {requests}");
        let kinds: Vec<_> = listed(&step, &digest).iter().map(|one| one["artifactType"].clone()).collect();
        assert_eq!(kinds, [json!(BUNDLE_TYPE)], "{says:?}");
        passes(verify(&step, &[&image]));
        let again = step.sign(&[BUNDLE]);
        assert!(again.stderr.contains("nothing was added"), "{says:?}: {}", again.stderr);
        assert_eq!(listed(&step, &digest).len(), 1, "{says:?}");
    }
}

/// Nor does such a refusal spoil the login for the rest.
#[test]
fn a_token_that_the_api_refuses_is_good_for_the_rest() {
    for status in [401, 403] {
        let options = Options { auth: Auth::Bearer, referrers: false, ..Options::default() };
        let step = with_public_key(Step::with(options));
        api_says(&step, (status, "application/json", r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#));
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        step.sign(&["--annotation=by=tag"]);
        step.sign(&[BUNDLE, "--annotation=by=bundle"]);
        assert_eq!(listed(&step, &digest).len(), 1);
        passes(verify(&step, &["-a=by=tag", &image]));
        passes(verify(&step, &["-a=by=bundle", &image]));
    }
}

/// It may hold something all the same, which is told where nothing else counts.
#[test]
fn a_refused_referrers_api_is_told_where_nothing_counts() {
    let step = old();
    api_says(&step, (403, "application/json", r#"{"errors":[{"code":"DENIED","message":"list refused"}]}"#));
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    fails(
        verify(&step, &[&image]),
        &["there is none at", "refuses its referrers API", "403 DENIED: list refused"],
    );
    // A login that may read nothing there can't tell.
    step.registry.faults().answer_instead(|asked| {
        let says = (403, "application/json", r#"{"errors":[{"code":"DENIED"}]}"#);
        asked.path_and_query.starts_with("/v2/team/").then(|| answer(says))
    });
    let ended = verify(&step, &[&image]);
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot determine whether"), "{}", ended.stderr);
}

/// The registry says that it took note of the subject, and never lists it.
#[test]
fn a_bundle_that_the_api_never_lists_gets_the_fallback_tag() {
    for says in [(200, INDEX, EMPTY_LIST), (404, "text/plain", "404 page not found\n")] {
        let step = step();
        api_says(&step, says);
        let digest = step.built(REPOSITORY);
        step.sign(&[BUNDLE, "--timeout=60s"]);
        assert_eq!(listed(&step, &digest).len(), 1, "{says:?}");
        passes(verify(&step, &[&name(&step, REPOSITORY, &digest)]));
        let again = step.sign(&[BUNDLE]);
        assert!(again.stderr.contains("nothing was added"), "{says:?}: {}", again.stderr);
    }
}

/// A proxy that drops the header: the API lists the bundles, and those of others, and the tag is kept beside it.
#[test]
fn without_the_header_the_fallback_tag_is_written_also_where_the_api_lists_something() {
    let step = step();
    let digest = step.built(REPOSITORY);
    step.sign(&[BUNDLE, "--annotation=n=1"]);
    assert!(listed(&step, &digest).is_empty());
    // Somebody's bundle of long ago, which only the tag lists.
    let old = json!({ "mediaType": MANIFEST, "size": 2, "digest": Digest::of(b"old").as_str(), "artifactType": BUNDLE_TYPE });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [old] }).to_string();
    let content = step.registry.content();
    content.put_blob(REPOSITORY, "old").unwrap();
    let step = step_with_unchecked(step, &digest, index);
    step.registry.faults().change_answers(|_, answer| {
        answer.headers_mut().remove("oci-subject");
    });
    step.sign(&[BUNDLE, "--annotation=n=2"]);
    let digests: Vec<_> = listed(&step, &digest).iter().map(|one| one["digest"].clone()).collect();
    assert!(digests.contains(&old["digest"]), "what was listed stays: {digests:?}");
    let ours = step.registry.content().referrers(REPOSITORY, &digest);
    assert_eq!(ours.len(), 2);
    passes(verify(&step, &["-a=n=2", &name(&step, REPOSITORY, &digest)]));
}

/// The same step, where this index lies under the image's fallback tag.
fn step_with_unchecked(step: Step, digest: &Digest, index: String) -> Step {
    step.registry.content().put_manifest(REPOSITORY, Some(&fallback(digest)), INDEX, index).unwrap();
    step
}

/// Some registries know nothing of a repository before something is in it, not even that they have the API.
#[test]
fn a_new_repository_of_a_registry_with_the_api_gets_no_fallback_tag() {
    let step = step();
    let digest = step.built(REPOSITORY);
    step.registry.faults().answer_instead(|asked| {
        let unknown = (404, "application/json", r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#);
        let is_there = asked.content.repositories().iter().any(|name| name == "signatures/all");
        let reads = *asked.method == Method::GET && asked.path_and_query.starts_with("/v2/signatures/all/");
        (reads && !is_there).then(|| answer(unknown))
    });
    let repository = format!("--config=storage.oci.repository={}/signatures/all", step.host());
    step.sign(&[BUNDLE, &repository]);
    let content = step.registry.content();
    assert_eq!(content.referrers("signatures/all", &digest).len(), 1);
    assert!(content.tags("signatures/all").is_empty(), "{:?}", content.tags("signatures/all"));
}

/// Old lists stay under the fallback tag when a registry gets the API.
#[test]
fn an_old_fallback_list_is_looked_at_where_the_api_lists_nothing() {
    let step = old();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    step.sign(&[BUNDLE]);
    let sbom = r#"{"manifests":[{"artifactType":"application/spdx+json","digest":"sha256:x","size":1}]}"#;
    for list in [EMPTY_LIST, sbom] {
        api_says(&step, (200, INDEX, list));
        passes(verify(&step, &[&image]));
        assert!(step.sign(&[BUNDLE]).stderr.contains("nothing was added"));
    }
}

/// A list of others stays listed, and is read back, though from then on the API lists ours.
#[test]
fn a_bundle_beside_an_old_fallback_list_is_read_back_with_it() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let old = json!({ "mediaType": MANIFEST, "size": 2, "digest": Digest::of(b"old").as_str(), "artifactType": BUNDLE_TYPE });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [old] }).to_string();
    let step = step_with_unchecked(step, &digest, index);
    step.sign(&[BUNDLE, "--timeout=60s"]);
    assert_eq!(listed(&step, &digest), [old]);
    assert_eq!(step.registry.content().referrers(REPOSITORY, &digest).len(), 1);
}

/// GitLab: the tag `sha256-HEX` is the manifest `sha256:HEX`, unless it was pushed.
fn gitlab(step: &Step, by_redirect: bool) {
    step.registry.faults().answer_instead(move |asked| {
        let (repository, reference) =
            asked.path_and_query.strip_prefix("/v2/")?.split_once("/manifests/sha256-")?;
        let of_tag = asked.content.manifest(repository, &format!("sha256-{reference}"));
        let (kind, bytes) = asked.content.manifest(repository, &format!("sha256:{reference}"))?;
        if *asked.method != Method::GET || of_tag.is_some() {
            return None;
        }
        let answer = Response::builder();
        Some(match by_redirect {
            true => {
                let location = format!("/v2/{repository}/manifests/sha256:{reference}");
                answer.status(307).header("location", location).body(Bytes::new()).unwrap()
            }
            false => answer.status(200).header("content-type", kind).body(bytes).unwrap(),
        })
    });
}

#[test]
fn a_fallback_tag_that_is_the_subject_itself_is_no_list() {
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    for by_redirect in [false, true] {
        for kind in [MANIFEST, docker, INDEX] {
            let step = old();
            gitlab(&step, by_redirect);
            let content = step.registry.content();
            let child = step.image(REPOSITORY, "child");
            let digest = match kind {
                INDEX => {
                    let entry = json!({ "mediaType": MANIFEST, "size": 1, "digest": child.as_str() });
                    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
                    content.put_manifest(REPOSITORY, None, INDEX, index.to_string()).unwrap()
                }
                _ => {
                    let manifest = step.manifest(REPOSITORY, "app").replace(MANIFEST, kind);
                    content.put_manifest(REPOSITORY, None, kind, manifest).unwrap()
                }
            };
            let image = name(&step, REPOSITORY, &digest);
            fails(verify(&step, &[&image]), &["has no signature that counts"]);
            step.sign(&[&image]);
            passes(verify(&step, &[&image]));
            assert!(content.remove_tag(REPOSITORY, &format!("{}.sig", fallback(&digest))));
            step.sign(&[BUNDLE, &image]);
            passes(verify(&step, &[&image]));
            let listed = listed(&step, &digest);
            assert_eq!(listed.len(), 1, "{kind} {by_redirect}: {listed:?}");
            assert_ne!(listed[0]["digest"], child.as_str());
        }
    }
}

#[test]
fn something_else_under_the_fallback_tag_is_told_and_never_overwritten() {
    let step = old();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let content = step.registry.content();
    let docker = "application/vnd.docker.distribution.manifest.list.v2+json";
    let platforms = json!({ "schemaVersion": 2, "mediaType": docker, "manifests": [] }).to_string();
    for (kind, theirs) in [(docker, platforms), (MANIFEST, step.manifest(REPOSITORY, "theirs"))] {
        content.put_manifest(REPOSITORY, Some(&fallback(&digest)), kind, theirs.clone()).unwrap();
        fails(verify(&step, &[&image]), &["cannot determine whether", "is not a list of signatures"]);
        let ended = step.run(&["sign", BUNDLE]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert_eq!(content.manifest(REPOSITORY, &fallback(&digest)).unwrap().1, theirs);
    }
    step.sign(&[]);
    let ended = passes(verify(&step, &[&image]));
    assert!(ended.stderr.contains("warning: what is at"), "{}", ended.stderr);
}

#[test]
fn absent_is_absent_whatever_the_body_says() {
    for says in ABSENT {
        for encoding in ["--config=storage.oci.encoding-format=dsse", BUNDLE] {
            let step = old();
            let digest = step.built(REPOSITORY);
            let image = name(&step, REPOSITORY, &digest);
            step.registry.faults().change_answers(move |asked, given| {
                let of_list = asked.path_and_query.contains("/manifests/sha256-");
                if given.status() == StatusCode::NOT_FOUND
                    && (of_list || asked.path_and_query.contains("/blobs/sha256"))
                {
                    *given = answer(says);
                }
            });
            fails(verify(&step, &[&image]), &["has no signature that counts"]);
            let args = ["verify-attestation", "--insecure-ignore-tlog", "--type=slsaprovenance1", &image];
            fails(step.run(&args), &["has no attestation"]);
            step.sign(&[encoding]);
            passes(verify(&step, &[&image]));
        }
    }
}

#[test]
fn a_missing_part_is_told_beside_the_rest_whatever_the_404_says() {
    for says in ABSENT {
        let step = step();
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        let missing = payload(&step, REPOSITORY, &Digest::of(b"other"));
        let ours = payload(&step, REPOSITORY, &digest);
        tag(&step, REPOSITORY, &digest, "sig", &[signed(signer(), &missing), signed(signer(), &ours)]);
        step.sign(&[BUNDLE, "--annotation=n=1"]);
        step.registry.content().remove_blob(REPOSITORY, &Digest::of(&missing));
        step.registry.faults().change_answers(move |asked, given| {
            if given.status() == StatusCode::NOT_FOUND && asked.path_and_query.contains("/blobs/") {
                *given = answer(says);
            }
        });
        passes(verify(&step, &[&image]));
        // Nothing but the missing one.
        tag(&step, REPOSITORY, &digest, "sig", &[signed(signer(), &missing)]);
        step.registry.content().remove_blob(REPOSITORY, &Digest::of(&missing));
        fails(verify(&step, &["-a=n=2", &image]), &["layer 1: the registry doesn't hold the layer"]);
    }
}

#[test]
fn an_image_that_is_not_there_is_told_with_what_the_registry_said() {
    let step = step();
    let digest = Digest::of(b"nothing");
    let image = name(&step, REPOSITORY, &digest);
    step.result("IMAGE_URL", &format!("{}/{REPOSITORY}:1", step.host()));
    step.result("IMAGE_DIGEST", digest.as_str());
    step.registry.faults().change_answers(|_, given| {
        if given.status() == StatusCode::NOT_FOUND {
            *given = answer(ABSENT[0]);
        }
    });
    let said = ["is not in the registry", "404 TAG_EXPIRED: Tag was deleted or has expired"];
    fails(verify(&step, &[&image]), &said);
    fails(step.run(&["sign"]), &said);
}

/// A place that can be looked up or not, and what is signed there.
struct Places {
    step: Step,
    digest: Digest,
    image: String,
}

impl Places {
    /// Signatures with an annotation each: under the tag, and as a bundle.
    fn new(tagged: bool, bundled: bool) -> Self {
        let step = step();
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        if tagged {
            step.sign(&["--annotation=by=tag"]);
        }
        if bundled {
            step.sign(&[BUNDLE, "--annotation=by=bundle"]);
        }
        Self { step, digest, image }
    }

    /// The parts of a request's path, each of which one look-up has.
    fn parts(&self) -> [(&'static str, bool, String); 5] {
        let content = self.step.registry.content();
        let layer = |manifest: &[u8]| -> String {
            let manifest: Value = serde_json::from_slice(manifest).unwrap();
            manifest["layers"][0]["digest"].as_str().unwrap().to_owned()
        };
        let tagged = content.manifest(REPOSITORY, &format!("{}.sig", fallback(&self.digest)));
        let bundle = content.referrers(REPOSITORY, &self.digest).pop();
        let none = || "nothing".to_owned();
        [
            ("tag", true, ".sig".to_owned()),
            ("payload", true, tagged.map_or_else(none, |(_, bytes)| layer(&bytes))),
            ("API", false, "/referrers/".to_owned()),
            (
                "referrer",
                false,
                bundle.as_ref().map_or_else(none, |(_, bytes)| Digest::of(bytes).to_string()),
            ),
            ("bundle", false, bundle.as_ref().map_or_else(none, |(_, bytes)| layer(bytes))),
        ]
    }

    fn fail(&self, status: u16, part: &str) {
        let answer = Answer::new(StatusCode::from_u16(status).unwrap()).retry_after("3600");
        self.step.registry.faults().clear();
        self.step.registry.faults().add(Fault::answer(answer).path(part));
    }
}

#[test]
fn a_look_up_that_fails_is_a_note_where_what_was_found_is_enough() {
    let both = Places::new(true, true);
    for (what, of_tag, part) in both.parts() {
        for status in [412, 500, 502] {
            both.fail(status, &part);
            let ended = passes(verify(&both.step, &[&both.image]));
            assert!(
                ended.stderr.contains("warning: cannot read the signatures at"),
                "{what}: {}",
                ended.stderr
            );
            assert!(ended.stderr.contains(&status.to_string()), "{what}: {}", ended.stderr);
            assert_eq!(ended.stderr.matches("stored at").count(), 1, "{what}: {}", ended.stderr);
            // What is asked for lies where the look-up fails.
            let wanted = if of_tag { "-a=by=tag" } else { "-a=by=bundle" };
            let ended = verify(&both.step, &[wanted, &both.image]);
            fails(ended, &["cannot determine whether", &status.to_string()]);
        }
    }
    for (place, of_tag) in [(Places::new(true, false), true), (Places::new(false, true), false)] {
        for (what, _, part) in place.parts().into_iter().filter(|(_, tagged, _)| *tagged == of_tag) {
            for status in [412, 500, 502] {
                place.fail(status, &part);
                let ended = fails(verify(&place.step, &[&place.image]), &["cannot determine whether"]);
                assert!(!ended.stderr.contains("there is none"), "{what}: {}", ended.stderr);
            }
        }
    }
    // A refusal of what is listed is no absence either, and has the exit code of one.
    let tagged = Places::new(true, false);
    for (_, _, part) in tagged.parts().into_iter().take(2) {
        tagged.fail(403, &part);
        let ended = verify(&tagged.step, &[&tagged.image]);
        assert_eq!(ended.code, 4, "{}", ended.stderr);
        assert!(ended.stderr.contains("cannot determine whether"), "{}", ended.stderr);
    }
}

#[test]
fn a_throttled_look_up_is_a_note_where_what_was_found_is_enough() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    step.sign(&[]);
    let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS).retry_after("3600");
    step.registry.faults().add(Fault::answer(answer).path("/referrers/"));
    step.registry.clear_requests();
    let ended = passes(verify(&step, &[&image]));
    assert!(ended.stderr.contains("warning: ") && ended.stderr.contains("429 TOO"), "{}", ended.stderr);
    // A registry that throttles is asked nothing more.
    assert_eq!(step.registry.requests().len(), 2, "{:#?}", step.registry.requests());
    let ended = verify(&step, &["-a=n=2", &image]);
    fails(ended, &["cannot determine whether", "429 TOO"]);
}

#[test]
fn a_fallback_tag_that_fails_is_a_note_where_what_was_found_is_enough() {
    let step = old();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    step.sign(&["--annotation=by=tag"]);
    step.sign(&[BUNDLE, "--annotation=by=bundle"]);
    let end = format!("/manifests/{}", fallback(&digest));
    let failing = AtomicBool::new(true);
    step.registry.faults().answer_instead(move |asked| {
        let is_it = failing.load(Ordering::SeqCst) && asked.path_and_query.ends_with(&end);
        let unavailable = Response::builder().status(503).header("retry-after", "3600");
        is_it.then(|| unavailable.body(Bytes::new()).unwrap())
    });
    let ended = passes(verify(&step, &[&image]));
    assert!(ended.stderr.contains("warning: cannot read the signatures at"), "{}", ended.stderr);
    fails(verify(&step, &["-a=by=bundle", &image]), &["cannot determine whether", "503"]);
}

#[test]
fn a_page_that_fails_takes_nothing_from_the_pages_before_it() {
    let options = Options { page_size: std::num::NonZeroUsize::new(1), ..Options::default() };
    let step = with_public_key(Step::with(options));
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    step.sign(&[BUNDLE, "--annotation=n=1"]);
    step.sign(&[BUNDLE, "--annotation=n=2"]);
    let found = |text: &str| passes(verify(&step, &[text, &image]));
    let all = [found("-a=n=1"), found("-a=n=2")];
    assert!(all.iter().all(|ended| !ended.stderr.contains("warning")));
    step.registry.faults().answer_instead(|asked| {
        let later = asked.path_and_query.contains("/referrers/") && asked.path_and_query.contains('?');
        later.then(|| answer((404, "text/plain", "404 page not found\n")))
    });
    let ended = passes(verify(&step, &[&image]));
    assert!(ended.stderr.contains("warning: ") && ended.stderr.contains("404 Not Found"), "{}", ended.stderr);
    let codes: Vec<i32> = ["-a=n=1", "-a=n=2"].map(|text| verify(&step, &[text, &image]).code).into();
    assert!(codes.contains(&0) && codes.contains(&1), "{codes:?}");
    // A writer must know the whole list.
    let ended = step.run(&["sign", BUNDLE, "--annotation=n=3"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
}

#[test]
fn attestations_policies_and_indexes_keep_to_the_same_rule() {
    let step = step();
    let child = step.image(REPOSITORY, "child");
    let entry = json!({ "mediaType": MANIFEST, "size": 1, "digest": child.as_str() });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] }).to_string();
    let digest = step.registry.content().put_manifest(REPOSITORY, None, INDEX, index).unwrap();
    let image = name(&step, REPOSITORY, &digest);
    step.sign(&["--recursive", &image]);
    let statement = envelope(signer(), &provenance(&digest, "2026-01-01T00:00:00Z"));
    tag(&step, REPOSITORY, &digest, "att", &[(ENVELOPE, &statement, String::new())]);
    let policy = |needs: &str| {
        let other = step.path("other.pub");
        std::fs::write(&other, other_pem()).unwrap();
        let text = format!(
            "version: 1\nsigners:\n  ci: {{ key: keys }}\n  review: {{ key: other.pub }}\nrules:\n  - {{ name: all, images: ['**'], {needs} }}\n"
        );
        std::fs::write(step.path("policy.yaml"), text).unwrap();
        let file = step.path("policy.yaml");
        let mut command = step.command(&["verify", "--policy", file.to_str().unwrap(), &image]);
        crate::kit::step::ended(command.env_remove("STEPSEAL_KEY").output().unwrap())
    };
    let attested =
        || step.run(&["verify-attestation", "--insecure-ignore-tlog", "--type=slsaprovenance1", &image]);
    let one = "signature: { by: [ci], log: false }";
    let both = "signature: { by: [ci, review], atLeast: 2, log: false }";
    let attestation = "attestations: [{ type: slsaprovenance1, by: [ci], log: false }]";
    let fail = |part: &str| {
        let answer = Answer::new(StatusCode::BAD_GATEWAY).retry_after("3600");
        step.registry.faults().clear();
        step.registry.faults().add(Fault::answer(answer).path(part));
    };
    let noted = |ended: Ended| {
        let ended = passes(ended);
        assert!(ended.stderr.contains("warning: cannot read"), "{}", ended.stderr);
    };
    let unknown = |ended: Ended| {
        let ended = fails(ended, &["cannot determine whether", "502"]);
        assert!(!ended.stderr.contains("there is none"), "{}", ended.stderr);
    };
    fail("/referrers/");
    noted(verify(&step, &["--recursive", &image]));
    noted(attested());
    noted(policy(one));
    noted(policy(attestation));
    unknown(policy(both));
    fail(".att");
    unknown(attested());
    unknown(policy(attestation));
    fail(&format!("{}.sig", fallback(&child)));
    // The index itself is good, and printed.
    let ended = verify(&step, &["--recursive", &image]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("cannot determine whether") && ended.stderr.contains("502"),
        "{}",
        ended.stderr
    );
}

fn other_pem() -> String {
    other().public_key().to_pem()
}

/// What cosign wrote, in a registry with or without the API: the name of the image.
fn signed_by_cosign(step: &Step, api: bool) -> (String, Digest) {
    let file = |name: &str| std::fs::read(format!("tests/data/oci-1-1/{name}")).unwrap();
    let content = step.registry.content();
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let digest = content.put_manifest(REPOSITORY, None, docker, file("image.json")).unwrap();
    content.put_blob(REPOSITORY, file("payload.json")).unwrap();
    content.put_manifest(REPOSITORY, None, MANIFEST, file("manifest.json")).unwrap();
    if !api {
        content.put_manifest(REPOSITORY, Some(&fallback(&digest)), INDEX, file("list.json")).unwrap();
    }
    std::fs::write(step.path("keys/cosign.pub"), file("cosign.pub")).unwrap();
    (name(step, REPOSITORY, &digest), digest)
}

fn unchecked(api: bool) -> Step {
    Step::with(Options { referrers: api, unchecked_manifests: true, ..Options::default() })
}

#[test]
fn a_signature_that_cosign_stored_as_a_referrer_counts() {
    for api in [true, false] {
        let step = unchecked(api);
        let (image, _) = signed_by_cosign(&step, api);
        step.registry.clear_requests();
        let ended = passes(verify(&step, &[&image]));
        assert!(ended.stderr.contains("layer 1"), "{}", ended.stderr);
        let printed: Value = serde_json::from_str(ended.stdout.trim()).unwrap();
        assert_eq!(printed[0]["critical"]["type"], "cosign container image signature");
        // Tag, list, referrer, payload; without the API the fallback tag too.
        let requests = step.registry.requests();
        assert_eq!(requests.len(), if api { 4 } else { 5 }, "{requests:#?}");
        // By another key it doesn't.
        let step = with_public_key(step);
        fails(verify(&step, &[&image]), &["has no signature that counts", "layer 1"]);
    }
}

/// Several layers, some of them bad; listed with and without the artifact type; and about another image.
#[test]
fn layers_of_a_referrer_are_judged_one_by_one() {
    let step = with_public_key(unchecked(false));
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let content = step.registry.content();
    let ours = payload(&step, REPOSITORY, &digest);
    content.put_blob(REPOSITORY, ours.clone()).unwrap();
    let layer = |signature: String| {
        json!({
            "mediaType": SIMPLE, "size": ours.len(), "digest": Digest::of(&ours).as_str(),
            "annotations": { SIGNATURE: signature },
        })
    };
    let good = layer(signed(signer(), &ours).2);
    let bad = layer(signed(other(), &ours).2);
    let list = |layers: &[&Value], subject: &Digest, kind: Option<&str>| {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": { "mediaType": "application/vnd.dev.cosign.artifact.sig.v1+json", "size": 2, "digest": Digest::of(b"{}").as_str() },
            "subject": { "mediaType": MANIFEST, "size": 1, "digest": subject.as_str() },
        });
        let manifest = content.put_manifest(REPOSITORY, None, MANIFEST, manifest.to_string()).unwrap();
        let mut entry = json!({ "mediaType": MANIFEST, "size": 1, "digest": manifest.as_str() });
        if let Some(kind) = kind {
            entry["artifactType"] = kind.into();
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry, entry] });
        content.put_manifest(REPOSITORY, Some(&fallback(&digest)), INDEX, index.to_string()).unwrap();
    };
    let kind = "application/vnd.dev.cosign.artifact.sig.v1+json";
    for kind in [Some(kind), Some("application/vnd.oci.empty.v1+json"), None] {
        list(&[&bad, &good, &json!({})], &digest, kind);
        let ended = passes(verify(&step, &[&image]));
        assert_eq!(ended.stderr.matches("stored at").count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(" layer 2\n"), "{kind:?}: {}", ended.stderr);
        list(&[&bad], &digest, kind);
        fails(verify(&step, &[&image]), &["has no signature that counts", "layer 1"]);
        list(&[&good], &Digest::of(b"other"), kind);
        fails(verify(&step, &[&image]), &["its manifest names another subject"]);
    }
    // Of a kind that is something else, it isn't looked at.
    list(&[&good], &digest, Some("application/spdx+json"));
    fails(verify(&step, &[&image]), &["there is none at"]);
}
