//! A run is killed at each of its requests, and at random moments, and started again: every image is signed exactly once.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::running::Running;
use crate::kit::step::{Step, ended};
use crate::sign::boundary::{FORMS, Form, Moment, Trapped, each_request};
use stepseal::oci::Digest;

/// Images of one run.
const IMAGES: usize = 2;
/// Runs that are killed at a random moment, for each form.
const RANDOM: u64 = 12;

struct Images {
    step: Step,
    digests: Vec<(String, Digest)>,
    names: Vec<String>,
}

impl Images {
    fn new(form: Form) -> Self {
        let step = form.step();
        let image = |number| {
            let repository = format!("team/app{number}");
            let digest = step.image(&repository, &repository);
            (repository, digest)
        };
        let digests: Vec<_> = (0..IMAGES).map(image).collect();
        let host = step.host();
        let names = digests.iter().map(|(repository, digest)| format!("{host}/{repository}@{digest}"));
        Self { names: names.collect(), digests, step }
    }

    /// Starts the run again; then each image must have one signature, which verifies.
    fn are_signed_once(&self, form: Form, killed: &str) {
        let again = ended(form.sign(&self.step, &self.names).output().unwrap());
        assert_eq!(again.code, 0, "{form:?}, {killed}: {}", again.stderr);
        for (repository, digest) in &self.digests {
            let signatures = form.signatures(&self.step, repository, digest);
            assert_eq!(signatures, 1, "{form:?}, {killed}: {repository}: {}", again.stderr);
        }
        assert!(form.verifies(&self.step, &self.names), "{form:?}, {killed}");
    }
}

fn killed_at_request(form: Form, moment: Moment, number: usize) -> bool {
    let images = Images::new(form);
    let command = form.sign(&images.step, &images.names);
    let mut trapped = Trapped::start(&images.step, command, Signal::KILL, (moment, number));
    if !trapped.is_caught() {
        return false;
    }
    drop(trapped.signer.output());
    images.step.registry.faults().clear();
    images.are_signed_once(form, &format!("killed at request {number}, {moment:?}"));
    true
}

#[test]
fn a_run_killed_at_any_request_and_started_again_signs_each_image_once() {
    for form in FORMS {
        for moment in [Moment::BeforeTheWork, Moment::BeforeTheAnswer] {
            let requests = each_request(|number| killed_at_request(form, moment, number));
            assert!(requests > 5, "{form:?}: {requests}");
        }
    }
}

#[test]
fn a_run_killed_at_a_random_moment_and_started_again_signs_each_image_once() {
    for form in FORMS {
        let start = |images: &Images| {
            let mut command = form.sign(&images.step, &images.names);
            Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()))
        };
        let whole = Instant::now();
        drop(start(&Images::new(form)).output());
        let whole = whole.elapsed();
        for number in 0..RANDOM {
            let images = Images::new(form);
            let run = start(&images);
            // By the golden ratio, which spreads any number of moments evenly over the run.
            let share = (number as f64 * 0.618_033_988_75).fract();
            std::thread::sleep(whole.mul_f64(share).max(Duration::from_millis(1)));
            run.signal(Signal::KILL);
            drop(run.output());
            images.are_signed_once(form, &format!("killed after {share:.2} of its time"));
        }
    }
}
