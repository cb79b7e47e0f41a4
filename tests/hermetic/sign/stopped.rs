//! A signer is stopped between two of its requests for longer than any other signer watches, and then goes on. Another one signs meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use rustix::process::Signal;
use stepseal::demo::registry::{Effect, Fault};

use crate::kit::step::{MANIFEST, ended};
use crate::sign::boundary::{FORMS, Form, Moment, Trapped, each_request};

/// How long it takes to begin an upload.
const UPLOAD: Duration = Duration::from_millis(6);
/// How long a registry stalls.
const STALL: Duration = Duration::from_millis(200);
/// How long it takes to write a list.
const LATE: Duration = Duration::from_millis(2200);
/// How long it stays stopped after the other one has ended: longer than a list may be old when it is replaced.
const STOPPED: Duration = Duration::from_millis(500);

fn nothing_is_lost(form: Form, number: usize) -> bool {
    let step = form.step();
    let digest = step.built("team/app");
    // Otherwise all is done so soon after the first look at the list that it is not looked at again before the write.
    step.registry.faults().add(Fault::new(Effect::Delay(UPLOAD)).method(Method::POST));
    let signer = |name: &str| {
        let mut command = form.sign(&step, &[]);
        command.arg(format!("--annotation=signer={name}"));
        command
    };
    let at = (Moment::BeforeTheAnswer, number);
    let mut trapped = Trapped::start(&step, signer("stopped"), Signal::STOP, at);
    if !trapped.is_caught() {
        return false;
    }
    let other = ended(signer("other").output().unwrap());
    assert_eq!(other.code, 0, "{form:?} {number}: {}", other.stderr);
    std::thread::sleep(STOPPED);
    trapped.signer.signal(Signal::CONT);
    let stopped = ended(trapped.signer.output().expect("it ends"));
    assert_eq!(stopped.code, 0, "{form:?} {number}: {}", stopped.stderr);
    let signatures = form.signatures(&step, "team/app", &digest);
    assert_eq!(signatures, 2, "{form:?}, stopped at request {number}: {}", stopped.stderr);
    true
}

#[test]
fn whenever_a_signer_is_stopped_the_signature_of_another_stays() {
    for form in FORMS {
        let requests = each_request(|number| nothing_is_lost(form, number));
        assert!(requests > 5, "{form:?}: {requests}");
    }
}

/// The registry takes longer to write a list than another signer waits before it looks whether its own signature stays.
#[test]
fn a_write_that_takes_longer_than_others_watch_is_a_warning() {
    for (form, delay, warns) in [
        (Form::Tag, Some(LATE), true),
        (Form::FallbackTag, Some(LATE), true),
        (Form::Referrers, Some(LATE), false),
        (Form::Tag, None, false),
    ] {
        let step = form.step();
        step.built("team/app");
        if let Some(delay) = delay {
            step.registry
                .faults()
                .add(Fault::new(Effect::Delay(delay)).method(Method::PUT).path("/manifests/sha256-"));
        }
        let ended = ended(form.sign(&step, &[]).output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let warning = ended.stderr.contains("may be lost. Verify theirs");
        assert_eq!(warning, warns, "{form:?}: {}", ended.stderr);
    }
}

/// Another signer has read before our write, and its own write comes as late as this registry has shown that one may.
fn is_watched_for_longer(shown_by: Fault) {
    let step = Form::Tag.step();
    let digest = step.built("team/app");
    let faults = step.registry.faults();
    faults.add(shown_by);
    let (tag, done) = (format!("sha256-{}.sig", digest.hex()), AtomicBool::new(false));
    faults.after_manifest_put(move |content, _| {
        if done.swap(true, Ordering::SeqCst) {
            return;
        }
        let (content, tag) = (content.clone(), tag.clone());
        std::thread::spawn(move || {
            std::thread::sleep(STALL);
            let theirs = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","layers":[]}}"#);
            content.put_manifest("team/app", Some(&tag), MANIFEST, theirs).unwrap();
        });
    });
    let ended = ended(Form::Tag.sign(&step, &[]).output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    std::thread::sleep(STALL);
    assert_eq!(Form::Tag.signatures(&step, "team/app", &digest), 1, "{}", ended.stderr);
}

#[test]
fn a_registry_that_stalled_is_watched_for_longer() {
    let storage = Fault::new(Effect::Delay(STALL)).method(Method::PUT);
    is_watched_for_longer(storage.path("/blobs/uploads/"));
}

/// What another signer writes while the list is on its way here would be replaced.
#[test]
fn a_list_that_came_late_is_watched_for_longer() {
    let list = Fault::new(Effect::Delay(STALL)).method(Method::GET);
    is_watched_for_longer(list.path("/manifests/sha256-"));
}
