//! What goes wrong in a case: faults of the registry, other writers, and signals.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::json;
use stepseal::demo::registry::{
    Answer, Content, Effect, EmbeddedRegistry, ErrorCode, Fault, ManifestPut, Page,
};

use crate::exits::images::{INDEX, MANIFEST};
use crate::exits::random::Random;

/// A signal, and when it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) signal: Signal,
    pub(crate) when: When,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// So long after the start.
    After(Duration),
    /// When the registry has been asked so often.
    Request(u64),
}

impl Sent {
    pub(crate) fn choose(random: &mut Random) -> Option<Self> {
        let signal = random.one_of(&[Signal::TERM, Signal::INT]);
        let when = match random.percent(70) {
            true => When::Request(random.between(1, 60)),
            false => When::After(Duration::from_millis(random.between(0, 600))),
        };
        random.percent(45).then_some(Self { signal, when })
    }
}

/// The faults of a case, as they are shown when it fails.
pub(crate) fn faults(random: &mut Random, registry: &EmbeddedRegistry) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..random.between(0, 3) {
        let fault = fault(random);
        all.push(format!("{fault:?}"));
        registry.faults().add(fault);
    }
    if random.percent(40) {
        let delay = Fault::new(Effect::Delay(Duration::from_millis(random.between(1, 40))));
        all.push(format!("{delay:?}"));
        registry.faults().add(delay);
    }
    if random.percent(25) {
        all.push(writers(random, registry));
    }
    all
}

fn fault(random: &mut Random) -> Fault {
    let statuses = [500, 502, 503, 504];
    let status = StatusCode::from_u16(random.one_of(&statuses)).unwrap();
    let manifests = |fault: Fault| fault.method(Method::PUT).path("/manifests/");
    match random.between(0, 13) {
        0 => limited(random, Fault::answer(Answer::new(status))),
        1 => Fault::answer(Answer::new(StatusCode::TOO_MANY_REQUESTS).retry_after("1")).first(1),
        2 => limited(random, Fault::answer(Answer::new(StatusCode::TOO_MANY_REQUESTS))),
        3 => limited(random, Fault::new(Effect::Reset)),
        4 => limited(random, Fault::new(Effect::AnswerLost).method(Method::PUT)),
        5 => limited(random, Fault::new(Effect::BodyCut).method(Method::GET)),
        6 => Fault::new(Effect::Delay(Duration::from_millis(random.between(300, 1500))))
            .nth(random.between(1, 30)),
        7 => Fault::new(Effect::Stall(Duration::from_millis(random.between(300, 1500))))
            .nth(random.between(1, 30)),
        8 => Fault::new(Effect::Stale(u32::try_from(random.between(1, 3)).unwrap())),
        // A write that is acknowledged and lost.
        9 => limited(random, manifests(Fault::answer(Answer::new(StatusCode::CREATED)))),
        10 => {
            let page = Page::Json(ErrorCode::ManifestBlobUnknown, "blob unknown to registry".into());
            let answer = Answer::new(StatusCode::BAD_REQUEST).page(page);
            manifests(Fault::answer(answer)).first(random.between(1, 3))
        }
        11 => limited(random, Fault::new(Effect::WrongBytes).method(Method::GET)),
        12 => {
            let status = random.one_of(&[400, 401, 403, 404, 405]);
            let answer = Answer::new(StatusCode::from_u16(status).unwrap());
            let method = random.one_of(&[0, 1, 2]);
            let fault = Fault::answer(answer).nth(random.between(1, 30));
            fault.method([Method::GET, Method::PUT, Method::POST][method].clone())
        }
        // One that never ends: the time limit does.
        _ => {
            Fault::answer(Answer::new(status)).method(Method::PUT).path("/blobs/").every(random.between(1, 3))
        }
    }
}

fn limited(random: &mut Random, fault: Fault) -> Fault {
    match random.between(0, 2) {
        0 => fault.first(random.between(1, 2)),
        1 => fault.nth(random.between(1, 30)),
        _ => fault.every(random.between(4, 9)),
    }
}

/// Another writer, who replaces or removes what was just written, or is about to be, a few times.
fn writers(random: &mut Random, registry: &EmbeddedRegistry) -> String {
    let (times, after, removes) = (random.between(1, 3), random.percent(50), random.percent(30));
    let left = AtomicU64::new(times);
    let hook = move |content: &Content, put: &ManifestPut| {
        if !put.reference.starts_with("sha256-") || left.load(Ordering::Relaxed) == 0 {
            return;
        }
        left.fetch_sub(1, Ordering::Relaxed);
        if removes {
            content.remove_tag(&put.repository, &put.reference);
        } else {
            replace(content, put);
        }
    };
    match after {
        true => registry.faults().after_manifest_put(hook),
        false => registry.faults().before_manifest_put(hook),
    }
    format!("another writer, {times} times, after the write: {after}, removes: {removes}")
}

fn replace(content: &Content, put: &ManifestPut) {
    let blob = content.put_blob(&put.repository, "{}").unwrap();
    let (media_type, list) = match put.reference.contains('.') {
        true => (MANIFEST, "layers"),
        false => (INDEX, "manifests"),
    };
    let theirs = match list {
        "layers" => json!([{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "size": 2, "digest": blob.as_str(),
            "annotations": { "dev.cosignproject.cosign/signature": "AAAA" },
        }]),
        _ => json!([]),
    };
    let config = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": blob.as_str(),
    });
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": media_type });
    manifest[list] = theirs;
    if list == "layers" {
        manifest["config"] = config;
    }
    content.put_manifest(&put.repository, Some(&put.reference), media_type, manifest.to_string()).unwrap();
}
