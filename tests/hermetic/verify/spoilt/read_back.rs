//! What was just written and comes back spoilt is an error; what another writer's list lacks is written again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use stepseal::demo::registry::{Effect, Fault};

use super::law::Piece;
use super::scene::{REPOSITORY, Scene, Way, run};
use crate::kit::step::{INDEX, MANIFEST};

/// What becomes of an entry.
type Change = fn(&mut Value);

/// Lets the registry change the newest entry of each list that is written; counts how often one was.
fn changing(scene: &Scene, change: impl Fn(&mut Value) + Send + 'static) -> Arc<AtomicU32> {
    let (tag, times) = (scene.tag().unwrap(), Arc::new(AtomicU32::new(0)));
    let (field, kind) = if scene.way.is_tag() { ("layers", MANIFEST) } else { ("manifests", INDEX) };
    let counted = Arc::clone(&times);
    scene.registry.faults().after_manifest_put(move |content, put| {
        if put.reference != tag {
            return;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        let (_, bytes) = content.manifest(REPOSITORY, &tag).unwrap();
        let mut list: Value = serde_json::from_slice(&bytes).unwrap();
        change(list[field].as_array_mut().unwrap().last_mut().unwrap());
        content.put_manifest(REPOSITORY, Some(&tag), kind, list.to_string()).unwrap();
    });
    times
}

#[test]
fn what_comes_back_spoilt_is_an_error_and_not_written_again() {
    run(async {
        let rows: [(Way, &str, Change); 9] = [
            (Way::SignatureTag, "media type", |entry| entry["mediaType"] = "application/x".into()),
            (Way::SignatureTag, "as long as its descriptor", |entry| entry["size"] = 1.into()),
            (Way::SignatureTag, "bundle", |entry| {
                entry["annotations"]["dev.sigstore.cosign/bundle"] = "x".into();
            }),
            (Way::SignatureTag, "no signature", |entry| entry["annotations"] = json!({})),
            (Way::SignatureTag, "other content", |entry| {
                entry["digest"] = format!("sha256:{}", "ab".repeat(32)).into();
            }),
            (Way::AttestationTag, "media type", |entry| entry["mediaType"] = "application/x".into()),
            (Way::AttestationTag, "no size", |entry| {
                entry.as_object_mut().unwrap().remove("size");
            }),
            (Way::SignatureFallback, "not listed as a bundle", |entry| {
                entry["artifactType"] = "application/x".into();
            }),
            (Way::AttestationFallback, "not listed as a bundle", |entry| {
                entry["annotations"]["dev.sigstore.bundle.predicateType"] =
                    "https://sigstore.dev/cosign/sign/v1".into();
            }),
        ];
        for (way, why, change) in rows {
            let scene = Scene::new(way).await;
            let times = changing(&scene, change);
            let error = scene.sign().await.unwrap_err();
            assert!(error.contains("does not verify when it is read back"), "{way:?}: {error}");
            assert!(error.contains(why) && error.contains("pushed: {"), "{way:?}: no {why:?} in: {error}");
            assert_eq!(times.load(Ordering::SeqCst), 1, "{way:?}: it was written once");
            assert_eq!(scene.verify().await, Ok(false));
            // With the registry in order again, a good one is put beside it.
            scene.registry.faults().clear();
            assert_eq!(scene.sign().await, Ok((1, 0)), "{way:?}");
            assert_eq!(scene.verify().await, Ok(true));
        }
    });
}

#[test]
fn bytes_that_come_back_changed_are_an_error() {
    run(async {
        for way in Way::ALL.into_iter().filter(|way| *way != Way::SignatureTag) {
            let scene = Scene::new(way).await;
            scene.registry.faults().add(Fault::new(Effect::WrongBytes).method(Method::GET).path("/blobs/"));
            let error = scene.sign().await.unwrap_err();
            assert!(error.contains("its bytes are not what its digest names"), "{way:?}: {error}");
        }
    });
}

#[test]
fn a_signature_that_another_writer_overwrites_is_written_again() {
    run(async {
        for way in Way::ALL.into_iter().filter(|way| way.is_tag() || way.is_fallback()) {
            // Another signer's entry for the same image, in place of ours.
            let scene = Scene::new(way).await;
            assert_eq!(scene.sign().await, Ok((1, 0)));
            let mut theirs = scene.list();
            let field = if way.is_tag() { "layers" } else { "manifests" };
            theirs[field][0]["annotations"]["dev.cosignproject.cosign/signature"] = "MEQCIAAA".into();
            let tag = scene.tag().unwrap();
            scene.registry.content().remove_tag(REPOSITORY, &tag);
            let kind = if way.is_tag() { MANIFEST } else { INDEX };
            let left = AtomicU32::new(1);
            let (list, place) = (theirs.to_string(), tag.clone());
            let is_signature = way == Way::SignatureTag;
            scene.registry.faults().after_manifest_put(move |content, put| {
                if put.reference == place && left.swap(0, Ordering::SeqCst) == 1 {
                    content.put_manifest(REPOSITORY, Some(&place), kind, list.clone()).unwrap();
                }
            });
            let added = scene.sign().await;
            // Of an attestation or a bundle, such a copy is as good as ours.
            let want = if is_signature { 2 } else { 1 };
            assert_eq!(added, Ok((1, 0)), "{way:?}");
            let entries = scene.list()[field].as_array().unwrap().len();
            assert!(entries >= want, "{way:?}: {entries}");
            assert!(scene.list()[field].as_array().unwrap().contains(&theirs[field][0]), "{way:?}");
            assert_eq!(scene.verify().await, Ok(true), "{way:?}");
        }
    });
}

#[test]
fn an_old_copy_with_a_spoilt_entry_is_waited_for() {
    run(async {
        for way in Way::ALL.into_iter().filter(|way| way.is_tag()) {
            let scene = Scene::new(way).await;
            assert_eq!(scene.sign().await, Ok((1, 0)));
            let mut entry = scene.piece(Piece::Entry);
            entry["mediaType"] = "application/x".into();
            scene.put(Piece::Entry, &entry);
            scene.registry.faults().add(Fault::new(Effect::Stale(2)));
            assert_eq!(scene.sign().await, Ok((1, 0)), "{way:?}");
            assert_eq!(scene.verify().await, Ok(true), "{way:?}");
            assert!(scene.entries().contains(&entry));
        }
    });
}

#[test]
fn what_the_registry_has_lost_is_pushed_again() {
    run(async {
        for way in Way::ALL.into_iter().filter(|way| *way != Way::SignatureTag) {
            let scene = Scene::new(way).await;
            assert_eq!(scene.sign().await, Ok((1, 0)));
            let layer = if way.is_tag() {
                scene.piece(Piece::Entry)
            } else {
                scene.piece(Piece::Referrer)["layers"][0].clone()
            };
            let digest = layer["digest"].as_str().unwrap().parse().unwrap();
            assert!(scene.registry.content().remove_blob(REPOSITORY, &digest));
            assert_eq!(scene.verify().await, Ok(false), "{way:?}");
            assert_eq!(scene.sign().await, Ok((1, 0)), "{way:?}");
            assert_eq!(scene.verify().await, Ok(true), "{way:?}");
            assert_eq!(scene.sign().await, Ok((0, 1)), "{way:?}");
        }
    });
}

#[test]
fn what_never_comes_back_is_an_error_when_the_time_is_over() {
    run(async {
        let scene = Scene::new(Way::SignatureTag).await;
        let tag = scene.tag().unwrap();
        scene.registry.faults().after_manifest_put(move |content, _| {
            content.remove_tag(REPOSITORY, &tag);
        });
        let error = scene.sign_until(Duration::from_secs(1)).await.unwrap_err();
        assert!(error.contains("is missing at"), "{error}");
    });
}
