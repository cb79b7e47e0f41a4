//! Lists of referrers that are absent for some images, late or not whole: they hide no signature, neither from `verify` nor from `sign`.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Response};
use serde_json::{Value, json};
use stepseal::demo::registry::{Asked, Options};
use stepseal::oci::Digest;

use crate::kit::step::{INDEX, Step};
use crate::verify::kit::{fails, name, passes, step, verify, with_public_key};

const REPOSITORY: &str = "team/app";
const BUNDLE: &str = "--config=storage.oci.encoding-format=sigstore-bundle";

fn answer(status: u16, kind: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}

/// The repository and the subject of a request for referrers.
fn referrers_of(asked: &Asked<'_>) -> Option<(String, Digest)> {
    let (repository, subject) = asked.path_and_query.strip_prefix("/v2/")?.split_once("/referrers/")?;
    let subject = subject.split('?').next()?;
    Some((repository.to_owned(), subject.parse().ok()?))
}

/// What the index under the fallback tag lists.
fn tagged(step: &Step, digest: &Digest) -> usize {
    let tag = format!("sha256-{}", digest.hex());
    let Some((_, index)) = step.registry.content().manifest(REPOSITORY, &tag) else { return 0 };
    let index: Value = serde_json::from_slice(&index).unwrap();
    index["manifests"].as_array().unwrap().len()
}

/// The list of the API as the registry holds it now.
fn list(step: &Step, digest: &Digest) -> String {
    let one = |(kind, bytes): (String, Bytes)| {
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let kinds = (&manifest["artifactType"], &manifest["annotations"]);
        json!({
            "mediaType": kind, "size": bytes.len(), "digest": Digest::of(&bytes).as_str(),
            "artifactType": kinds.0, "annotations": kinds.1,
        })
    };
    let all: Vec<_> = step.registry.content().referrers(REPOSITORY, digest).into_iter().map(one).collect();
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": all }).to_string()
}

/// From now on the API answers with this list.
fn api_lists(step: &Step, list: String) {
    step.registry
        .faults()
        .answer_instead(move |asked| referrers_of(asked).map(|_| answer(200, INDEX, list.clone())));
}

/// Some registries have the API in some repositories, others say so of each image without referrers.
#[test]
fn that_one_image_has_no_api_hides_no_bundle_of_another() {
    let by_repository = |asked: &Asked<'_>| Some(referrers_of(asked)?.0.starts_with("old/"));
    let by_image = |asked: &Asked<'_>| {
        let (repository, subject) = referrers_of(asked)?;
        Some(asked.content.referrers(&repository, &subject).is_empty())
    };
    let products: [fn(&Asked<'_>) -> Option<bool>; 2] = [by_repository, by_image];
    for lacks in products {
        for (status, body) in [(404, "<html>"), (404, r#"{"errors":[{"code":"NOT_FOUND"}]}"#), (501, "")] {
            let step = step();
            step.registry.faults().answer_instead(move |asked| {
                (lacks(asked) == Some(true)).then(|| answer(status, "text/plain", body))
            });
            let image = |repository: &str| {
                let digest = step.image(repository, repository);
                name(&step, repository, &digest)
            };
            let [first, second, bundled] = ["old/app", "old/other", "new/app"].map(image);
            step.sign(&[&first, &second]);
            step.sign(&[BUNDLE, &bundled]);
            for jobs in ["--jobs=1", "--jobs=10"] {
                passes(verify(&step, &[jobs, &first, &second, &bundled]));
            }
            let unsigned = image("new/unsigned");
            let ended = verify(&step, &[&first, &second, &unsigned]);
            assert!(ended.code == 1 && ended.stderr.contains("there is none at"), "{}", ended.stderr);
        }
    }
}

/// A database that is late, and a proxy that keeps answers.
#[test]
fn a_list_that_lacks_ours_hides_it_neither_from_verify_nor_from_sign() {
    for has_header in [true, false] {
        let step = step();
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        step.sign(&[BUNDLE, "--annotation=n=1"]);
        api_lists(&step, list(&step, &digest));
        if !has_header {
            step.registry.faults().change_answers(|_, answer| {
                answer.headers_mut().remove("oci-subject");
            });
        }
        step.sign(&[BUNDLE, "--annotation=n=2", "--timeout=60s"]);
        for n in ["-a=n=1", "-a=n=2"] {
            passes(verify(&step, &[n, &image]));
        }
        for n in ["--annotation=n=1", "--annotation=n=2"] {
            let again = step.sign(&[BUNDLE, n]);
            assert!(again.stderr.contains("nothing was added"), "{has_header} {n}: {}", again.stderr);
        }
        fails(verify(&step, &["-a=n=3", &image]), &["has no signature that counts"]);
    }
}

/// Attestations are looked for by the same rule.
#[test]
fn a_list_that_lacks_our_attestation_does_not_hide_it() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let predicate = step.path("predicate.json");
    let attest = |kind: &str| {
        std::fs::write(&predicate, "{}").unwrap();
        let predicate = predicate.to_str().unwrap();
        passes(step.run(&["attest", "--predicate", predicate, kind, BUNDLE, &image]))
    };
    attest("--type=https://one.example/v1");
    api_lists(&step, list(&step, &digest));
    attest("--type=https://two.example/v1");
    for kind in ["--type=https://one.example/v1", "--type=https://two.example/v1"] {
        passes(step.run(&["verify-attestation", "--insecure-ignore-tlog", kind, &image]));
        assert!(attest(kind).stderr.contains("nothing was added"));
    }
}

/// What the tag has listed since before there was the API stays there.
#[test]
fn an_old_fallback_list_is_looked_at_where_the_api_lists_only_others() {
    let step = with_public_key(Step::with(Options { referrers: false, ..Options::default() }));
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    step.sign(&[BUNDLE, "--annotation=n=1"]);
    assert_eq!(tagged(&step, &digest), 1);
    let old = Digest::of(&step.registry.content().referrers(REPOSITORY, &digest)[0].1);
    step.registry.faults().answer_instead(move |asked| {
        let (repository, subject) = referrers_of(asked)?;
        let all = asked.content.referrers(&repository, &subject);
        let all = all.iter().filter(|(_, bytes)| Digest::of(bytes) != old);
        let all: Vec<_> = all
            .map(|(kind, bytes)| json!({ "mediaType": kind, "size": bytes.len(), "digest": Digest::of(bytes).as_str() }))
            .collect();
        Some(answer(200, INDEX, json!({ "mediaType": INDEX, "manifests": all }).to_string()))
    });
    step.registry.faults().change_answers(|asked, answer| {
        if *asked.method == Method::PUT {
            answer.headers_mut().insert("oci-subject", http::HeaderValue::from_static("sha256:x"));
        }
    });
    step.sign(&[BUNDLE, "--annotation=n=2"]);
    for n in ["-a=n=1", "-a=n=2"] {
        passes(verify(&step, &[n, &image]));
    }
    for n in ["--annotation=n=1", "--annotation=n=2"] {
        assert!(step.sign(&[BUNDLE, n]).stderr.contains("nothing was added"));
    }
}

/// One request more, and only where what the API lists isn't enough.
#[test]
fn the_fallback_tag_is_asked_for_only_where_the_api_lists_nothing_good() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    step.sign(&[BUNDLE, "--annotation=n=1"]);
    let tag = format!("/v2/{REPOSITORY}/manifests/sha256-{}", digest.hex());
    let asked = |ended: &dyn Fn()| {
        step.registry.clear_requests();
        ended();
        step.registry.requests().iter().filter(|request| request.path_and_query == tag).count()
    };
    for (n, times) in [("1", 0), ("2", 1)] {
        let verified = asked(&|| drop(verify(&step, &[&format!("-a=n={n}"), &image])));
        let signed = asked(&|| drop(step.sign(&[BUNDLE, &format!("--annotation=n={n}")])));
        assert_eq!((verified, signed), (times, times), "{n}");
    }
}

/// A proxy drops `OCI-Subject`, and tags can't be written as we like: what the API lists is enough.
#[test]
fn a_bundle_that_the_api_lists_needs_no_fallback_tag_where_that_is_refused() {
    for (status, code) in [
        (400, "TAG_INVALID"),
        (403, "DENIED"),
        (405, "UNSUPPORTED"),
        (409, "TAG_IMMUTABLE"),
        (412, "PRECONDITION"),
    ] {
        let refuses_tags = move |asked: &Asked<'_>| {
            let is_tag = asked.path_and_query.contains("/manifests/sha256-");
            let body = json!({ "errors": [{ "code": code }] }).to_string();
            (*asked.method == Method::PUT && is_tag).then(|| answer(status, "application/json", body))
        };
        let step = step();
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        step.registry.faults().answer_instead(refuses_tags);
        step.registry.faults().change_answers(|_, answer| {
            answer.headers_mut().remove("oci-subject");
        });
        step.registry.clear_requests();
        let ended = step.sign(&[BUNDLE]);
        assert!(ended.stderr.contains("the referrers API lists the signature"), "{}", ended.stderr);
        assert!(step.registry.requests().len() < 25, "{}", step.registry.requests().len());
        passes(verify(&step, &[&image]));
        assert!(step.sign(&[BUNDLE]).stderr.contains("nothing was added"));
        // Without the API nothing would show it.
        step.registry.faults().answer_instead(move |asked| {
            let unknown = || answer(404, "text/plain", "404 page not found");
            refuses_tags(asked).or_else(|| referrers_of(asked).map(|_| unknown()))
        });
        let ended = step.run(&["sign", BUNDLE, "--annotation=n=2", "--timeout=60s"]);
        assert_ne!(ended.code, 0, "{status}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("{status} {code}")), "{}", ended.stderr);
    }
}

/// Two servers behind one address, one of them without the API.
#[test]
fn an_api_that_is_there_now_and_then_gets_the_fallback_tag() {
    for first in [0, 1] {
        let step = step();
        let digest = step.built(REPOSITORY);
        let asked_times = AtomicUsize::new(first);
        step.registry.faults().answer_instead(move |asked| {
            referrers_of(asked)?;
            let is_odd = asked_times.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            is_odd.then(|| answer(404, "text/plain", "404 page not found"))
        });
        for n in ["n=1", "n=2"] {
            step.registry.clear_requests();
            step.sign(&[BUNDLE, &format!("--annotation={n}"), "--timeout=60s"]);
            assert!(step.registry.requests().len() < 90, "{}", step.registry.requests().len());
            for _ in 0..2 {
                passes(verify(&step, &[&format!("-a={n}"), &name(&step, REPOSITORY, &digest)]));
            }
            assert!(step.sign(&[BUNDLE, &format!("--annotation={n}")]).stderr.contains("nothing was added"));
        }
    }
}

#[test]
fn a_bundle_that_is_refused_for_its_subject_is_not_pushed_for_ever() {
    for (status, code) in
        [(404, "MANIFEST_UNKNOWN"), (404, "MANIFEST_BLOB_UNKNOWN"), (400, "MANIFEST_UNKNOWN")]
    {
        let step = step();
        step.built(REPOSITORY);
        step.registry.faults().answer_instead(move |asked| {
            let is_bundle = asked.path_and_query.starts_with("/v2/team/signatures/manifests/sha256:");
            let body = json!({ "errors": [{ "code": code }] }).to_string();
            (*asked.method == Method::PUT && is_bundle).then(|| answer(status, "application/json", body))
        });
        let elsewhere = format!("--config=storage.oci.repository={}/team/signatures", step.host());
        let ended = step.run(&["sign", BUNDLE, &elsewhere]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        for what in ["a repository without this image", code, "leave storage.oci.repository"] {
            assert!(ended.stderr.contains(what), "no {what:?} in: {}", ended.stderr);
        }
        let puts = step.registry.requests();
        let puts =
            puts.iter().filter(|one| one.method == "PUT" && one.path_and_query.contains("/manifests/"));
        assert_eq!(puts.count(), 5);
    }
}

#[test]
fn pages_without_end_are_called_that() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    step.registry.faults().change_answers(|asked, answer| {
        if referrers_of(asked).is_some() {
            let link = format!("<{}>; rel=\"next\"", asked.path_and_query);
            answer.headers_mut().insert("link", link.parse().unwrap());
        }
    });
    fails(verify(&step, &[&image]), &["cannot determine whether", "its list of referrers doesn't end"]);
    let ended = step.run(&["sign", BUNDLE]);
    assert!(
        ended.code == 1 && ended.stderr.contains("its list of referrers doesn't end"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("20,000"), "{}", ended.stderr);
    step.sign(&[]);
    let ended = passes(verify(&step, &[&image]));
    assert!(ended.stderr.contains("warning: "), "{}", ended.stderr);
}

#[test]
fn a_bundle_that_is_listed_and_lost_is_signed_again() {
    for by_manifest in [true, false] {
        let step = step();
        let digest = step.built(REPOSITORY);
        step.sign(&[BUNDLE]);
        let (_, manifest) = step.registry.content().referrers(REPOSITORY, &digest).remove(0);
        let manifest_json: Value = serde_json::from_slice(&manifest).unwrap();
        let bundle = manifest_json["layers"][0]["digest"].as_str().unwrap().to_owned();
        let lost = if by_manifest { Digest::of(&manifest).to_string() } else { bundle };
        step.registry.faults().answer_instead(move |asked| {
            let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#;
            let is_lost = *asked.method == Method::GET && asked.path_and_query.ends_with(&lost);
            is_lost.then(|| answer(404, "application/json", unknown))
        });
        let ended = fails(verify(&step, &[&name(&step, REPOSITORY, &digest)]), &["has lost what it lists"]);
        assert!(!ended.stderr.contains("name the key"), "{}", ended.stderr);
    }
}
