//! A signal that reaches a signer at one of its requests: the moments between two requests, one after the other.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use stepseal::demo::registry::Options;
use stepseal::oci::Digest;

use crate::kit::running::Running;
use crate::kit::step::Step;

/// How many cases run at the same time.
const AT_A_TIME: usize = 4;

/// Where the signal falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The registry has the request and does nothing about it.
    BeforeTheWork,
    /// The registry has done the work, and the answer is about to leave.
    BeforeTheAnswer,
}

/// A signer that gets a signal at one of its requests.
pub(crate) struct Trapped {
    pub(crate) signer: Running,
    /// The request has come: the signal is on its way.
    due: Arc<AtomicBool>,
    sprung: Arc<AtomicBool>,
}

impl Trapped {
    /// Starts `command`, which gets `signal` at its request `number`, counted from 0. Requests of other signers that begin after the
    /// signal are not counted.
    pub(crate) fn start(
        step: &Step,
        mut command: Command,
        signal: Signal,
        (moment, number): (Moment, usize),
    ) -> Self {
        let (pid, sprung) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicBool::new(false)));
        let due = Arc::new(AtomicBool::new(false));
        let is_due = Arc::clone(&due);
        let (seen, count) = ((Arc::clone(&pid), Arc::clone(&sprung)), AtomicUsize::new(0));
        let springs = move || {
            let (pid, sprung) = &seen;
            if sprung.load(Ordering::SeqCst) || count.fetch_add(1, Ordering::SeqCst) != number {
                return false;
            }
            is_due.store(true, Ordering::SeqCst);
            // The first request may come before the number of the process is noted.
            while pid.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            kill_process(Pid::from_raw(pid.load(Ordering::SeqCst)).unwrap(), signal).unwrap();
            sprung.store(true, Ordering::SeqCst);
            true
        };
        let faults = step.registry.faults();
        match moment {
            Moment::BeforeTheWork => faults.answer_instead(move |_| {
                let mut refused = Response::new(Bytes::new());
                *refused.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                springs().then_some(refused)
            }),
            Moment::BeforeTheAnswer => faults.change_answers(move |_, _| {
                springs();
            }),
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let signer = Running::start(&mut command);
        pid.store(signer.id(), Ordering::SeqCst);
        Self { signer, due, sprung }
    }

    /// Waits for the signal; `false`: the signer has ended without it, having made fewer requests.
    pub(crate) fn is_caught(&mut self) -> bool {
        loop {
            if self.sprung.load(Ordering::SeqCst) {
                return true;
            }
            if self.signer.try_wait().is_some() {
                // It may have been killed before that is noted.
                return self.due.load(Ordering::SeqCst);
            }
            assert!(!self.signer.hangs(), "it neither ends nor comes so far");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A form of signatures, on a registry that keeps them in a certain way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Under the `.sig` tag.
    Tag,
    /// The same, where an overwritten tag takes with it what it pointed to.
    TagThatDeletes,
    /// As bundles, which the referrers API lists.
    Referrers,
    /// As bundles under the fallback tag.
    FallbackTag,
}

pub(crate) const FORMS: [Form; 4] = [Form::Tag, Form::TagThatDeletes, Form::Referrers, Form::FallbackTag];

impl Form {
    pub(crate) fn encoding(self) -> &'static str {
        match self {
            Self::Tag | Self::TagThatDeletes => "dsse",
            Self::Referrers | Self::FallbackTag => "sigstore-bundle",
        }
    }

    /// A step before such a registry, with a key that takes no time to be opened.
    pub(crate) fn step(self) -> Step {
        let step = Step::with(Options {
            referrers: self != Self::FallbackTag,
            deletes_overwritten: self == Self::TagThatDeletes,
            ..Options::default()
        });
        std::fs::copy(key("p256.pkcs8.pem"), step.path("keys/cosign.key")).unwrap();
        std::fs::remove_file(step.path("keys/cosign.password")).unwrap();
        step
    }

    /// `stepseal sign` of these images, in this form.
    pub(crate) fn sign(self, step: &Step, images: &[String]) -> Command {
        let mut command = step.command(&["sign"]);
        command.args(images).env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", self.encoding());
        command
    }

    /// How many signatures there are of an image, each with its content.
    pub(crate) fn signatures(self, step: &Step, repository: &str, digest: &Digest) -> usize {
        let content = step.registry.content();
        let named = |entry: &Value| entry["digest"].as_str().unwrap().parse::<Digest>().unwrap();
        let list = |tag: &str, field: &str| {
            let manifest = content.manifest(repository, tag).map(|(_, bytes)| bytes);
            let manifest: Value = serde_json::from_slice(&manifest.unwrap_or_default()).unwrap_or_default();
            manifest[field].as_array().cloned().unwrap_or_default()
        };
        match self {
            Self::Tag | Self::TagThatDeletes => {
                let layers = list(&format!("sha256-{}.sig", digest.hex()), "layers");
                assert!(layers.iter().all(|layer| content.blob(repository, &named(layer)).is_some()));
                layers.len()
            }
            Self::Referrers => content.referrers(repository, digest).len(),
            Self::FallbackTag => {
                let listed = list(&format!("sha256-{}", digest.hex()), "manifests");
                assert!(
                    listed.iter().all(|entry| content.manifest(repository, named(entry).as_str()).is_some())
                );
                listed.len()
            }
        }
    }

    /// Whether `verify` accepts each of these images.
    pub(crate) fn verifies(self, step: &Step, images: &[String]) -> bool {
        let key = key("p256.pub");
        let mut command = step.command(&["verify", "--insecure-ignore-tlog", "--key", &key]);
        command.args(images).env_remove("STEPSEAL_KEY");
        crate::kit::step::ended(command.output().unwrap()).code == 0
    }
}

fn key(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys").join(name).display().to_string()
}

/// Runs `case` for 0, 1, 2 and so on, some at a time, until it says that there is no such request; how many there were.
pub(crate) fn each_request(case: impl Fn(usize) -> bool + Sync) -> usize {
    let (next, end) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= end.load(Ordering::SeqCst) {
                        break;
                    }
                    if !case(number) {
                        end.fetch_min(number, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    end.load(Ordering::SeqCst)
}
