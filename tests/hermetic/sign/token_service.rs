//! A token service that fails while signatures are looked for: what it answers is not about the signatures.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use stepseal::demo::registry::{Auth, Options};

use crate::kit::answers::authorization;
use crate::kit::step::Step;

const BUNDLE: &str = "--config=storage.oci.encoding-format=sigstore-bundle";

/// Each look-up of the list is refused to its token, and the next question to the token service is answered with `status`.
fn fail_at_look_ups(step: &Step, status: u16) {
    let fails = AtomicBool::new(false);
    step.registry.faults().answer_instead(move |asked| {
        let answer = |status: u16| {
            Response::builder().status(status).body(Bytes::from_static(b"default backend - 404")).unwrap()
        };
        let path = asked.path_and_query;
        if path.starts_with("/token") {
            return fails.swap(false, Ordering::Relaxed).then(|| answer(status));
        }
        let looks = path.contains("/manifests/sha256-") || path.contains("/referrers/");
        let with_token = authorization(asked).starts_with("Bearer ");
        (looks && with_token && matches!(*asked.method, Method::GET | Method::HEAD)).then(|| {
            fails.store(true, Ordering::Relaxed);
            answer(StatusCode::UNAUTHORIZED.as_u16())
        })
    });
}

#[test]
fn what_a_token_service_hides_is_not_overwritten() {
    for referrers in [false, true] {
        for args in [&[][..], &[BUNDLE]] {
            for status in [400, 401, 403, 404, 410, 501] {
                let step = Step::with(Options { auth: Auth::Bearer, referrers, ..Options::default() });
                let digest = step.built("team/app");
                step.sign(&[&["--annotation=signer=1"], args].concat());
                let tags = step.registry.content().tags("team/app");
                let lists = || {
                    tags.iter()
                        .map(|tag| step.registry.content().manifest("team/app", tag))
                        .collect::<Vec<_>>()
                };
                let before = lists();
                fail_at_look_ups(&step, status);
                let ended = step.run(&[&["sign", "--timeout=20s", "--annotation=signer=2"], args].concat());
                let what = format!("referrers {referrers}, {args:?}, {status}: {}", ended.stderr);
                assert_ne!(ended.code, 0, "{what}");
                assert!(ended.stderr.contains("/token") && ended.stderr.contains("do:    "), "{what}");
                assert!(!ended.stderr.contains("is not in the registry"), "{what}");
                assert_eq!(lists(), before, "{what}");
                // Afterwards both signers' signatures are there.
                step.registry.faults().clear();
                step.sign(&[&["--annotation=signer=2"], args].concat());
                let image = format!("{}/team/app@{digest}", step.host());
                let key = step.path("keys/cosign.pub");
                std::fs::write(&key, &crate::kit::step::pair().public_pem).unwrap();
                for signer in ["1", "2"] {
                    let annotation = format!("--annotations=signer={signer}");
                    let key = format!("--key={}", key.display());
                    let verify = ["verify", "--insecure-ignore-tlog", image.as_str(), &key, &annotation];
                    let ended = step.run(if args.is_empty() { &verify } else { &verify[..4] });
                    assert_eq!(ended.code, 0, "{}", ended.stderr);
                }
            }
        }
    }
}

/// One refusal of the token service, at the look-up of the referrers: the list may have what is wanted.
#[test]
fn what_a_token_service_hides_once_is_not_called_absent() {
    for status in [400, 401, 403, 404, 405] {
        let step = Step::with(Options { auth: Auth::Bearer, ..Options::default() });
        let image = format!("{}/team/app@{}", step.host(), step.built("team/app"));
        step.sign(&[BUNDLE]);
        let (refused, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        step.registry.faults().answer_instead(move |asked| {
            let answer = |status: u16| {
                Response::builder().status(status).body(Bytes::from_static(b"default backend - 404")).unwrap()
            };
            let path = asked.path_and_query;
            if path.starts_with("/token") && refused.load(Ordering::Relaxed) {
                return (!failed.swap(true, Ordering::Relaxed)).then(|| answer(status));
            }
            let looks = path.contains("/referrers/") && authorization(asked).starts_with("Bearer ");
            (looks && !refused.swap(true, Ordering::Relaxed)).then(|| answer(401))
        });
        let key = step.path("keys/cosign.pub");
        std::fs::write(&key, &crate::kit::step::pair().public_pem).unwrap();
        let key = format!("--key={}", key.display());
        let ended = step.run(&["verify", "--insecure-ignore-tlog", image.as_str(), &key]);
        let told = &ended.stderr;
        let is_told = told.contains("cannot determine whether") && told.contains("/token");
        assert!(ended.code == 0 || is_told, "{status}: {} {told}", ended.code);
        assert!(!told.contains("has no signature that counts"), "{status}: {told}");
    }
}
