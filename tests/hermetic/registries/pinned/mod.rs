//! What the binary does before each personality, and what the personality itself answers: a file for each file of `personalities/`,
//! with the behaviors that tests pin.

mod acr;
mod artifact_registry;
mod artifactory;
mod crane;
mod crane_with_referrers;
mod distribution_2;
mod distribution_3;
mod docker_hub;
mod ecr;
mod ghcr;
mod gitea;
mod gitlab;
mod harbor;
mod nexus;
mod openshift;
mod quay;
mod zot;

use stepseal::demo::registry::EmbeddedRegistry;
use stepseal::oci::Digest;

use crate::kit::personality::{Personality, Rules};
use crate::kit::step::{Ended, Step, ended, pair};

/// The arguments that choose bundles.
pub(crate) const BUNDLE: &str = "--config=storage.oci.encoding-format=sigstore-bundle";

/// A step before a registry with a personality.
pub(crate) struct Pinned {
    pub(crate) step: Step,
    personality: Personality,
}

impl Pinned {
    pub(crate) fn new(personality: Personality) -> Self {
        Self::with(personality, Rules::default())
    }

    pub(crate) fn with(personality: Personality, rules: Rules) -> Self {
        let step = Step::with((personality.options)());
        (personality.install)(&step.registry, rules);
        std::fs::write(step.path("cosign.pub"), &pair().public_pem).unwrap();
        Self { step, personality }
    }

    /// Signs by tag, once more, and then with an annotation: another signature for the same tag, which is immutable. That must end with
    /// `code` and with what the registry says, `said`.
    #[track_caller]
    pub(crate) fn refuses_a_second_signature(personality: Personality, code: i32, said: &str) -> Self {
        let pinned = Self::with(personality, Rules { immutable_tags: true });
        let (repository, digest) = pinned.built("app");
        pinned.signs(&[], 0, &["1 signed"]);
        // What is there already is not written again.
        pinned.signs(&[], 0, &["already"]);
        let advice = format!("the tag sha256-{}.sig is immutable", digest.hex());
        pinned.signs(&["--annotation=a=b"], code, &[said, &advice, "storage.oci.repository"]);
        assert_eq!(pinned.step.payloads(&repository, &digest).len(), 1);
        pinned
    }

    pub(crate) fn registry(&self) -> &EmbeddedRegistry {
        &self.step.registry
    }

    /// Pushes an image called `name`, which the results name; its repository and its digest.
    pub(crate) fn built(&self, name: &str) -> (String, Digest) {
        let repository = (self.personality.repository)(name);
        let digest = self.step.built(&repository);
        (repository, digest)
    }

    /// Runs the binary, which may speak plain HTTP to the registry and to its token service.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let hosts = format!("{},{}", self.step.host(), self.registry().token_host());
        let mut command = self.step.command(args);
        ended(command.env("STEPSEAL_INSECURE_REGISTRIES", hosts).output().unwrap())
    }

    /// Signs what the results name, which must end with `code` and say each of `words`.
    #[track_caller]
    pub(crate) fn signs(&self, args: &[&str], code: i32, words: &[&str]) -> Ended {
        says(self.run(&[&["sign", "--timeout=20s"], args].concat()), code, words)
    }

    /// Verifies an image, which must end with `code` and say each of `words`.
    #[track_caller]
    pub(crate) fn verifies(&self, image: &(String, Digest), code: i32, words: &[&str]) -> Ended {
        let (repository, digest) = image;
        let image = format!("{}/{repository}@{digest}", self.step.host());
        let key = self.step.path("cosign.pub");
        let args =
            ["verify", "--insecure-ignore-tlog", "--timeout=20s", "--key", key.to_str().unwrap(), &image];
        says(self.run(&args), code, words)
    }
}

#[track_caller]
fn says(ended: Ended, code: i32, words: &[&str]) -> Ended {
    assert_eq!(ended.code, code, "{}{}", ended.stdout, ended.stderr);
    for word in words {
        let said = ended.stderr.contains(word) || ended.stdout.contains(word);
        assert!(said, "{word:?} is missing:\n{}{}", ended.stdout, ended.stderr);
    }
    ended
}
