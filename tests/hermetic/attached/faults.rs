//! A look-up that fails is never "nothing there": nothing is printed, and the exit code says so.

use http::StatusCode;
use stepseal::demo::registry::{Answer, Effect, Fault};

use crate::attached::kit::{BUNDLE, Scene};

/// Every place that commands look at, by the end of its path.
const LOOKS: [(&[&str], &[&str]); 4] = [
    (&["download", "signature"], &[".sig", "/referrers/"]),
    (&["download", "attestation"], &[".att", "/referrers/"]),
    (&["download", "sbom"], &[".sbom", "/referrers/"]),
    (&["tree"], &[".sig", ".att", ".sbom", "/referrers/"]),
];

#[test]
fn a_look_up_that_fails_is_an_error_and_nothing_is_printed() {
    let scene = Scene::new(true);
    let file = scene.step.path("sbom");
    std::fs::write(&file, "x").unwrap();
    scene.step.sign(&[&scene.by_digest()]);
    scene.attest("custom", &[]);
    scene.ok(&["attach", "sbom", "--sbom", file.to_str().unwrap()]);
    for (args, places) in LOOKS {
        for place in places {
            for status in [StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS] {
                // A registry that refuses its list to a login that may read manifests has none.
                if *place == "/referrers/" && status == StatusCode::FORBIDDEN {
                    continue;
                }
                let fault = Fault::answer(Answer::new(status)).path(place);
                let faults = scene.step.registry.faults();
                faults.add(fault);
                let code = if status == StatusCode::FORBIDDEN { 4 } else { 1 };
                scene.fails(code, &[args, &["--timeout=2s"]].concat(), &["cannot "]);
                faults.clear();
            }
        }
        scene.ok(args);
    }
}

#[test]
fn an_image_without_anything_says_where_was_looked() {
    for scene in Scene::both() {
        for (args, what) in [
            (&["download", "signature"][..], "no signatures at"),
            (&["download", "attestation", "--predicate-type=vuln"], "no attestations of the type"),
            (&["download", "sbom"], "no SBOM is attached to"),
        ] {
            scene.fails(1, args, &[what]);
        }
        // As with cosign, for scripts that look through all that there is.
        let ended = scene.ok(&["download", "attestation"]);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("has no attestations: looked at"), "{}", ended.stderr);
        // What is something else doesn't count.
        scene.attest("custom", &[BUNDLE]);
        scene.fails(1, &["download", "signature"], &["no signatures at"]);
    }
}

/// What was pushed and isn't there afterwards isn't attached.
#[test]
fn an_sbom_that_the_registry_forgets_is_an_error() {
    let scene = Scene::new(true);
    let file = scene.step.path("sbom");
    std::fs::write(&file, "x").unwrap();
    let file = format!("--sbom={}", file.display());
    let faults = scene.step.registry.faults();
    faults.add(Fault::new(Effect::Stale(1000)).path(".sbom"));
    scene.fails(1, &["attach", "sbom", &file], &["the SBOM was pushed to", "there is nothing"]);
    faults.clear();
    // A moment later it is there.
    let scene = Scene::new(true);
    std::fs::write(scene.step.path("sbom"), "x").unwrap();
    let file = format!("--sbom={}", scene.step.path("sbom").display());
    scene.step.registry.faults().add(Fault::new(Effect::Stale(2)).path(".sbom"));
    scene.ok(&["attach", "sbom", &file]);
}
