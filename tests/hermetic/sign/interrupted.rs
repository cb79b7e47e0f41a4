//! A run that is ended before its work is over, and indexes that list what can't be signed: neither ends with 0.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use stepseal::demo::registry::{Effect, Fault, Options};
use stepseal::oci::Digest;

use crate::kit::running::{HANGS, Running};
use crate::kit::step::{Ended, INDEX, MANIFEST, Step, ended};

/// Pushes an index that lists these digests.
fn index(step: &Step, digests: &[&str]) -> Digest {
    let entries: Vec<Value> =
        digests.iter().map(|digest| json!({ "mediaType": MANIFEST, "size": 1, "digest": digest })).collect();
    put(step, &json!(entries))
}

/// Pushes an index with this list.
fn put(step: &Step, manifests: &Value) -> Digest {
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }).to_string();
    step.registry.content().put_manifest("team/multi", None, INDEX, index).unwrap()
}

fn named(step: &Step, digest: &Digest) -> String {
    format!("{}/team/multi@{digest}", step.host())
}

fn start(step: &Step, args: &[&str]) -> Running {
    Running::start(step.command(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()))
}

/// Sends `signal` once `due`, and waits for the end.
fn interrupt(mut child: Running, signal: Signal, due: impl Fn() -> bool) -> Ended {
    while !due() {
        assert!(child.try_wait().is_none(), "it ended before the signal");
        assert!(!child.hangs(), "it doesn't come so far");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.signal(signal);
    ended(child.output().expect("it ends"))
}

/// Each of `failed` has its line for people, and why is said once.
#[track_caller]
fn failed_of(ended: &Ended, failed: &[String], why: &str) {
    for subject in failed {
        assert!(ended.stderr.contains(&format!("failed     {subject} (")), "{subject}: {}", ended.stderr);
    }
    let count = |text: &str| ended.stderr.matches(text).count();
    assert_eq!(count("failed     "), failed.len(), "{}", ended.stderr);
    assert_eq!(count(&format!("as before: {why}\n")), failed.len(), "{}", ended.stderr);
    assert_eq!((count(&format!("error: {why}\n")), count("  do:")), (1, 1), "{}", ended.stderr);
}

/// Status and error of each entry of the report, by digest.
fn report(step: &Step) -> Vec<(String, String, String)> {
    let text = fs::read_to_string(step.path("report.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = entries
        .iter()
        .map(|entry| (text(&entry["digest"]), text(&entry["status"]), text(&entry["error"]["error"])))
        .collect();
    all.sort();
    all
}

fn asked(step: &Step, digest: &Digest) -> bool {
    let requests = step.registry.requests();
    requests.iter().any(|request| {
        request.method == Method::GET && request.path_and_query.ends_with(&format!("/manifests/{digest}"))
    })
}

/// An index is signed, and its manifests are looked up at a slow registry.
#[test]
fn what_an_index_lists_and_was_not_signed_is_named_and_the_exit_code_is_5() {
    for (encoding, signal) in [("dsse", Signal::TERM), ("sigstore-bundle", Signal::INT)] {
        let step = Step::new();
        let children: Vec<Digest> =
            (0..3).map(|number| step.image("team/multi", &number.to_string())).collect();
        let index = index(&step, &children.iter().map(Digest::as_str).collect::<Vec<_>>());
        for child in &children {
            let slow = Fault::new(Effect::Stall(HANGS)).method(Method::GET);
            step.registry.faults().add(slow.path(&format!("/manifests/{child}")));
        }
        fs::create_dir(step.path("own")).unwrap();
        let (own, report_file) =
            (step.path("own").display().to_string(), step.path("report.json").display().to_string());
        let encoding = format!("--config=storage.oci.encoding-format={encoding}");
        let name = named(&step, &index);
        let args = ["sign", "--recursive", "--own-results", &own, "--report", &report_file, &encoding, &name];
        // They are looked up while the index waits for its confirmation: what was said shows when it is signed.
        let said = step.path("said");
        let mut command = step.command(&args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&said).unwrap());
        let child = Running::start(&mut command);
        let said = || fs::read_to_string(&said).unwrap();
        let looked_up = || said().contains("signed     ") && children.iter().all(|child| asked(&step, child));
        let ended = interrupt(child, signal, looked_up);
        let ended = Ended { stderr: said(), ..ended };
        assert_eq!(ended.code, 5, "{}", ended.stderr);
        let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGINT" };
        assert!(ended.stderr.contains("1 signed, 3 failed"), "{}", ended.stderr);
        let why = format!("{name} interrupted the run");
        failed_of(&ended, &children.iter().map(|child| named(&step, child)).collect::<Vec<_>>(), &why);
        let mut wanted: Vec<_> =
            children.iter().map(|child| (child.to_string(), "failed".to_owned(), why.clone())).collect();
        wanted.push((index.to_string(), "signed".to_owned(), String::new()));
        wanted.sort();
        assert_eq!(report(&step), wanted);
        let own: Vec<String> =
            serde_json::from_str(&fs::read_to_string(step.path("own/SIGNED_IMAGES")).unwrap()).unwrap();
        assert_eq!(own, [named(&step, &index)]);
        step.registry.faults().clear();
        assert!(step.sign(&args[1..]).stderr.contains("3 signed, 1 unchanged"));
    }
}

#[test]
fn an_index_that_was_not_read_is_named() {
    let step = Step::new();
    let child = step.image("team/multi", "x");
    let index = index(&step, &[child.as_str()]);
    step.registry.faults().add(Fault::new(Effect::Stall(HANGS)).method(Method::GET));
    let (name, file) = (named(&step, &index), step.path("report.json").display().to_string());
    let running = start(&step, &["sign", "--recursive", "--report", &file, &name]);
    let ended = interrupt(running, Signal::TERM, || asked(&step, &index));
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let why = "SIGTERM interrupted the run".to_owned();
    failed_of(&ended, &[name], &why);
    assert_eq!(report(&step), [(index.to_string(), "failed".to_owned(), why)]);
}

/// A manifest of the index comes too slowly.
#[test]
fn the_time_limit_is_no_success_either() {
    let step = Step::new();
    let children = ["a", "b"].map(|text| step.image("team/multi", text));
    let index = index(&step, &[children[0].as_str(), children[1].as_str()]);
    let slow = Fault::new(Effect::Stall(HANGS)).method(Method::GET);
    step.registry.faults().add(slow.path(&format!("/manifests/{}", children[1])));
    let file = step.path("report.json").display().to_string();
    let ended = step.run(&["sign", "--recursive", "--timeout=4s", "--report", &file, &named(&step, &index)]);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    let statuses: Vec<(String, String)> =
        report(&step).into_iter().map(|(digest, status, _)| (digest, status)).collect();
    let mut wanted = vec![
        (index.to_string(), "signed".to_owned()),
        (children[0].to_string(), "signed".to_owned()),
        (children[1].to_string(), "failed".to_owned()),
    ];
    wanted.sort();
    assert_eq!(statuses, wanted);
}

#[test]
fn an_attestation_that_was_not_put_everywhere_is_named() {
    let step = Step::new();
    let digest = step.image("team/multi", "x");
    fs::write(step.path("predicate.json"), "{}").unwrap();
    step.registry.faults().add(Fault::new(Effect::Stall(HANGS)).method(Method::GET));
    let text = |name: &str| step.path(name).display().to_string();
    let (predicate, folder, file) = (text("predicate.json"), text("signatures"), text("report.json"));
    let stores = "--config=artifacts.oci.storage=oci,directory";
    let running = start(
        &step,
        &[
            "attest",
            "--type=https://example.com/x",
            "--predicate",
            &predicate,
            "--signatures-dir",
            &folder,
            "--report",
            &file,
            stores,
            &named(&step, &digest),
        ],
    );
    let ended = interrupt(running, Signal::TERM, || asked(&step, &digest));
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("0 signed, 2 failed"), "{}", ended.stderr);
    let subject = format!("attestation in-toto of {}", named(&step, &digest));
    failed_of(&ended, &[subject.clone(), subject], "SIGTERM interrupted the run");
    assert_eq!(report(&step).len(), 2);
}

/// What an index may list besides sha256 digests, and how the report names it: by the digest as the index has it.
fn entries() -> Vec<(Value, &'static str, String)> {
    let hex = "a".repeat(64);
    let text = |text: &str| (json!({ "mediaType": MANIFEST, "size": 1, "digest": text }), text.to_owned());
    let mut all = Vec::new();
    for (digest, why) in [
        (format!("sha512:{hex}{hex}"), "its algorithm is not sha256"),
        (format!("sha384:{hex}{}", "a".repeat(32)), "its algorithm is not sha256"),
        (format!("sha256:{}", "A".repeat(64)), "must be lower-case"),
        ("sha256:abc".to_owned(), "exactly 64 hex digits"),
        (hex, "it has no algorithm"),
        ("sha256:a\n\u{202e}b".to_owned(), "lists sha256:a\\n\\u{202e}b, which"),
        (format!("sha512:{}", "b".repeat(300)), "its algorithm is not sha256"),
    ] {
        let (entry, shown) = text(&digest);
        all.push((entry, why, shown));
    }
    all.push((json!({ "mediaType": MANIFEST, "size": 1 }), "entry 2 of", String::new()));
    all.push((json!("sha256"), "entry 2 of", String::new()));
    all
}

#[test]
fn an_entry_that_cannot_be_signed_is_named_and_the_exit_code_is_5() {
    for (entry, why, shown) in entries() {
        for encoding in ["dsse", "sigstore-bundle"] {
            let step = Step::with(Options { referrers: encoding == "dsse", ..Options::default() });
            let child = step.image("team/multi", "x");
            let good = json!({ "mediaType": MANIFEST, "size": 1, "digest": child.as_str() });
            // Twice in the list, and once in the report where it has a name.
            let index = put(&step, &json!([good, entry, good]));
            let (name, file) = (named(&step, &index), step.path("report.json").display().to_string());
            let encoding = format!("--config=storage.oci.encoding-format={encoding}");
            let args = ["sign", "--report", &file, &encoding, &name];
            assert_eq!(step.run(&args).code, 0, "without --recursive the entries don't matter");
            let ended = step.run(&[&args[..], &["--recursive"]].concat());
            assert_eq!(ended.code, 5, "{entry}: {}", ended.stderr);
            assert!(ended.stderr.contains(why), "{why:?} is missing: {}", ended.stderr);
            assert!(ended.stderr.contains("1 signed, 1 unchanged, 1 failed"), "{}", ended.stderr);
            let failed: Vec<_> =
                report(&step).into_iter().filter(|(_, status, _)| status == "failed").collect();
            let [(digest, _, error)] = &failed[..] else { panic!("{failed:?}") };
            assert_eq!(*digest, shown);
            assert!(error.contains(&name), "{error}");
        }
    }
}

#[test]
fn a_list_of_manifests_that_is_none_is_an_error() {
    let step = Step::new();
    let index = put(&step, &json!({ "digest": "x" }));
    let ended = step.run(&["sign", "--recursive", &named(&step, &index)]);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert!(ended.stderr.contains("is not an array"), "{}", ended.stderr);
}

#[test]
fn every_store_gets_what_an_index_lists() {
    for stores in ["directory", "oci,directory"] {
        let step = Step::new();
        let child = step.image("team/multi", "x");
        let inner = index(&step, &[child.as_str()]);
        let outer = index(&step, &[inner.as_str(), child.as_str()]);
        let folder = step.path("signatures").display().to_string();
        let config = format!("--config=artifacts.oci.storage={stores}");
        let args = ["--recursive", &config, "--signatures-dir", &folder, &named(&step, &outer)];
        let number = 3 * stores.split(',').count();
        assert!(step.sign(&args).stderr.contains(&format!("{number} signed (")), "{stores}");
        for digest in [&child, &inner, &outer] {
            let kept = fs::read_dir(&folder).unwrap().filter(|file| {
                let name = file.as_ref().unwrap().file_name().into_string().unwrap();
                name.starts_with("signature-") && name.contains(digest.hex())
            });
            assert_eq!(kept.count(), 1, "{stores}");
        }
        assert!(step.sign(&args).stderr.contains(&format!("0 signed, {number} unchanged")), "{stores}");
    }
}

#[test]
fn what_cannot_be_told_is_no_success() {
    let step = Step::new();
    let digest = step.built("team/app");
    fs::create_dir(step.path("own")).unwrap();
    fs::create_dir_all(step.path("report.json/full")).unwrap();
    let text = |name: &str| step.path(name).display().to_string();
    // The report's place turns out to be a folder.
    let ended = step.run(&["sign", "--own-results", &text("own"), "--report", &text("report.json")]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write the report"), "{}", ended.stderr);
    let own = fs::read_to_string(step.path("own/SIGNED_IMAGES")).unwrap();
    assert!(own.contains(digest.as_str()), "what is signed is a result all the same: {own}");
    // Standard output, where the report is what was asked for: a pipe that nobody reads.
    for (args, code) in [
        (&["sign", "--output=json"][..], 1),
        (&["plan", "--output=json"], 1),
        (&["sign"], 0),
        (&["plan"], 0),
        (&["--help"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child =
            Running::start(step.command(args).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()));
        let ended = crate::kit::step::ended(child.output().expect("it ends"));
        assert_eq!(ended.code, code, "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.contains("cannot write to standard output"), code == 1, "{}", ended.stderr);
    }
}
