//! A predicate of 64 MiB, in bounded memory.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::kit::peak::peak_kib;
use crate::kit::step::{ended, pair};
use crate::runs::place::Place;

/// The most memory that a predicate of 64 MiB may take: the statement, its envelope, what is read back, and what is decoded of that.
const MAX_MEMORY_KIB: u64 = 400 * 1024;
/// And the most for verifying two of them, of which the one is kept while the other is read.
const MAX_VERIFY_MEMORY_KIB: u64 = 640 * 1024;
const MIB: usize = 1024 * 1024;

/// JSON of just so many bytes.
fn predicate(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes);
    text.push_str("{\"packages\":[\"");
    let mut number = 0;
    while text.len() < bytes - 64 {
        write!(text, "pkg:{number},").unwrap();
        number += 1;
    }
    text.extend(std::iter::repeat_n('x', bytes - text.len() - 3));
    text.push_str("\"]}");
    assert_eq!(text.len(), bytes);
    text
}

/// Runs `command`, which must succeed; the most memory it had, in KiB.
fn memory_of(mut command: Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak_kib(child.id()).unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    peak
}

#[test]
fn a_predicate_of_64_mib_takes_bounded_memory_by_tag_and_by_referrers() {
    let place = Place::new();
    let (name, digest) = place.image("team/app");
    let file = place.step.path("predicate");
    std::fs::write(&file, predicate(64 * MIB)).unwrap();
    std::fs::write(place.step.path("keys/cosign.pub"), &pair().public_pem).unwrap();
    let image = format!("{name}@{digest}");
    for encoding in ["dsse", "sigstore-bundle"] {
        let mut command = place.step.command(&["attest", &image, "--type", "cyclonedx", "--predicate"]);
        command.arg(&file).arg("--config").arg(format!("storage.oci.encoding-format={encoding}"));
        let attest = memory_of(command);
        // At last both are found, the one in the tag and the one among the referrers.
        let mut command =
            place.step.command(&["verify-attestation", &image, "--type", "cyclonedx", "-o", "text"]);
        command.arg("--insecure-ignore-tlog").arg("--key").arg(place.step.path("keys/cosign.pub"));
        let verify = memory_of(command);
        eprintln!("{encoding}: attest {} MiB, verify-attestation {} MiB", attest / 1024, verify / 1024);
        assert!((1024..=MAX_MEMORY_KIB).contains(&attest), "{encoding}: {attest} KiB");
        assert!((1024..=MAX_VERIFY_MEMORY_KIB).contains(&verify), "{encoding}: {verify} KiB");
    }
    assert_eq!(place.layers("team/app", &digest).len(), 1);
}

/// Of many images as few are worked on at a time as fit, so that it is as for one.
#[test]
fn large_predicates_of_many_images_take_no_more_memory_than_one() {
    let place = Place::new();
    let images: Vec<_> = (0..4).map(|number| place.image(&format!("team/app-{number}"))).collect();
    let mut command = place.step.command(&["attest"]);
    command.args(images.iter().map(|(name, digest)| format!("{name}@{digest}")));
    for (name, kind) in [("sbom", "cyclonedx"), ("scan", "vuln")] {
        let file = place.step.path(name);
        std::fs::write(&file, predicate(16 * MIB)).unwrap();
        command.args(["--type", kind, "--predicate"]).arg(file);
    }
    let attest = memory_of(command);
    eprintln!("four images, 32 MiB each: attest {} MiB", attest / 1024);
    assert!((1024..=MAX_MEMORY_KIB).contains(&attest), "{attest} KiB");
    for (number, (_, digest)) in images.iter().enumerate() {
        assert_eq!(place.layers(&format!("team/app-{number}"), digest).len(), 2);
    }
}

#[test]
fn a_longer_one_is_refused_before_anything_is_asked() {
    let place = Place::new();
    let (name, digest) = place.image("team/app");
    let file = place.step.path("predicate");
    std::fs::write(&file, predicate(64 * MIB + 1)).unwrap();
    place.step.registry.clear_requests();
    let image = format!("{name}@{digest}");
    let mut command = place.step.command(&["attest", &image, "--type", "cyclonedx", "--predicate"]);
    let ended = ended(command.arg(&file).output().unwrap());
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("longer than 67108864 bytes"), "{}", ended.stderr);
    assert!(place.step.registry.requests().is_empty());
}
