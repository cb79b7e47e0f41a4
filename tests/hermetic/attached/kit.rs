//! What the tests of this crate share: registries with and without the referrers API, an image in each, and how commands end.

use std::process::Stdio;

use serde_json::Value;
use stepseal::demo::registry::Options;
use stepseal::oci::Digest;

use crate::kit::step::{Ended, MANIFEST, Step, ended};

/// The repository of the image.
pub(crate) const REPOSITORY: &str = "team/app";
/// The setting with which bundles are signed.
pub(crate) const BUNDLE: &str = "--config=storage.oci.encoding-format=sigstore-bundle";

/// A step before a registry, and an image in it.
pub(crate) struct Scene {
    pub(crate) step: Step,
    pub(crate) digest: Digest,
}

impl Scene {
    /// A registry that lists referrers itself, or one that doesn't.
    pub(crate) fn new(referrers: bool) -> Self {
        Self::with(Options { referrers, ..Options::default() })
    }

    pub(crate) fn with(options: Options) -> Self {
        let step = Step::with(options);
        let manifest = step.manifest(REPOSITORY, "app");
        let content = step.registry.content();
        let digest = content.put_manifest(REPOSITORY, Some("v1"), MANIFEST, manifest).unwrap();
        Self { step, digest }
    }

    /// Both registries.
    pub(crate) fn both() -> [Self; 2] {
        [true, false].map(Self::new)
    }

    /// The repository with its host.
    pub(crate) fn repository(&self) -> String {
        format!("{}/{REPOSITORY}", self.step.host())
    }

    pub(crate) fn by_digest(&self) -> String {
        format!("{}@{}", self.repository(), self.digest)
    }

    pub(crate) fn by_tag(&self) -> String {
        format!("{}:v1", self.repository())
    }

    /// A tag of cosign's.
    pub(crate) fn tag(&self, end: &str) -> String {
        format!("sha256-{}.{end}", self.digest.hex())
    }

    /// Runs a command about the image by its tag, which must end well.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.step.run(&[args, &[&self.by_tag()]].concat());
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended
    }

    /// Runs a command about the image, which must end with `code`, print nothing, and say each of `what` with what to do.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, args: &[&str], what: &[&str]) {
        let ended = self.step.run(&[args, &[&self.by_digest()]].concat());
        assert_eq!(ended.code, code, "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{args:?}: nothing is printed for programs when it fails");
        for what in what.iter().chain(&["error: ", "  do:    "]) {
            assert!(ended.stderr.contains(what), "{args:?}: no {what:?} in: {}", ended.stderr);
        }
    }

    /// Attests a predicate of this type.
    pub(crate) fn attest(&self, kind: &str, more: &[&str]) {
        let path = self.step.path("predicate.json");
        std::fs::write(&path, r#"{"a":1}"#).unwrap();
        let predicate = format!("--predicate={}", path.display());
        let kind = format!("--type={kind}");
        let ended = self.step.run(&[&["attest", &predicate, &kind, &self.by_digest()], more].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }

    /// Runs a command with this on standard input.
    pub(crate) fn with_stdin(&self, args: &[&str], text: &[u8]) -> Ended {
        use std::io::Write as _;
        let mut command = self.step.command(&[args, &[&self.by_tag()]].concat());
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        ended(child.wait_with_output().unwrap())
    }
}

/// What a command printed, a JSON object a line.
pub(crate) fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
