//! Each kind of fault that a proxy makes, on docker-registry: what is reported as signed is signed, exactly once.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kit::scene::Place;
use crate::kit::token::TokenService;
use crate::kit::{Registry, Scene};
use crate::proxy::{Conduct, Expected, Fault, Of, Row, TABLE};
use crate::storm::{Ground, Outcome};

/// How many images are signed while one request in five fails in the same way.
const IMAGES: usize = 6;
/// How many kinds are tried at the same time.
const AT_ONCE: usize = 4;

fn one_kind(row: &Row, place: Place) -> Outcome {
    let scene = Scene::quick();
    let service = TokenService::start(scene.home());
    let (registry, tokens) = match row.of {
        Of::Tokens => (Registry::docker_with_tokens(scene.home(), &service), Some(service.host())),
        _ => (Registry::docker(scene.home()), None),
    };
    let ground = Ground { tokens, ..Ground::of(&scene, &registry) };
    let images = ground.push("app", IMAGES);
    let faults: &'static [Fault] = Box::leak(Box::new([row.fault]));
    ground.storm(place, &images, Conduct { percent: 20, faults, ..Conduct::default() })
}

/// All kinds, some at the same time: most of it is waiting.
fn each_kind(place: Place) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = TABLE.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let outcome = one_kind(row, place);
                    assert_eq!(outcome.wrong, 0, "{}: {outcome}", row.name);
                    assert_eq!(outcome.signed + outcome.failed, IMAGES, "{}: {outcome}", row.name);
                    let may_fail = row.expected == Expected::Reported;
                    assert!(may_fail || outcome.failed == 0, "{}: {outcome}", row.name);
                }
            });
        }
    });
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn each_kind_of_fault_by_tag() {
    each_kind(Place::Tag);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn each_kind_of_fault_as_bundles() {
    each_kind(Place::Referrers);
}
