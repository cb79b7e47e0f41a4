//! What the binary does before one personality, a file each for those whose behaviors tests pin.

mod docker_hub;
mod ghcr;
mod gitlab;
mod harbor;
mod openshift;
mod quay;

use stepseal::demo::registry::EmbeddedRegistry;
use stepseal::registry::Digest;

use crate::personality::{Personality, Rules};
use crate::step::{Ended, Step, ended, pair};

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
