//! Inputs that are one document: bundles, runs, predicates, policies, trusted roots, keys, credentials, folders.

use super::shapes::{JSON, YAML};
use super::{Case, INPUT_BYTES, Job, Scene, TIMEOUT};

/// Room for what stands around the hostile part.
const BYTES: usize = INPUT_BYTES - 4096;
const PUBLIC_KEY: &str = include_str!("../../tests/data/keys/p256.pub");

/// Every case of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text) in JSON {
        cases.push(Case::new(format!("verify-blob --bundle: {name}"), move |scene| {
            bundle(scene, text(BYTES))
        }));
        cases.push(Case::new(format!("verify-run: {name}"), move |scene| verify_run(scene, text(BYTES))));
    }
    for (name, text) in YAML {
        cases.push(Case::new(format!("verify-run: YAML, {name}"), move |scene| {
            verify_run(scene, text(BYTES))
        }));
    }
    cases
}

fn key(scene: &Scene) -> std::path::PathBuf {
    scene.file("cosign.pub", PUBLIC_KEY)
}

fn bundle(scene: &Scene, text: String) -> Job {
    let (artifact, bundle) = (scene.file("artifact", "x"), scene.file("bundle", &text));
    let mut command = scene.command(&["verify-blob", "--key"]);
    command.arg(key(scene)).arg("--bundle").arg(bundle).arg(artifact);
    Job::new(command, text.len())
}

fn verify_run(scene: &Scene, text: String) -> Job {
    let run = scene.file("run", &text);
    let mut command = scene.command(&["verify-run", "--insecure-ignore-tlog", "--timeout", TIMEOUT, "--key"]);
    command.arg(key(scene)).arg("--run").arg(run);
    Job::new(command, text.len())
}
