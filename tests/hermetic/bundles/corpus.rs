//! The corpus as files: written by the cases, read by the binary.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use stepseal::key::Hash;

use super::cases::{self, Case, Refusal};
use super::folder::{Found, corpus, found};
use super::old::parts;
use super::recipe::{ARTIFACT, Recipe};
use super::sigstore::Authorities;

impl Found {
    fn ours(&self, artifact: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
        command.env_clear().args(self.arguments(artifact)).output().unwrap()
    }
}

fn write(case: &Case, into: &Path) {
    fs::create_dir_all(into).unwrap();
    let readme = match case.refusal {
        Some(Refusal::Check(check)) => format!("{}\nRefused by: {check}\n", case.why),
        Some(Refusal::Says(what)) => format!("{}\nRefused with: {what}\n", case.why),
        None => format!("{}\n", case.why),
    };
    fs::write(into.join("README"), readme).unwrap();
    fs::write(into.join(case.file), &case.bundle).unwrap();
    for (file, bytes) in &case.beside {
        fs::write(into.join(file), bytes).unwrap();
    }
    if case.command != "verify-blob" {
        fs::write(into.join("command"), format!("{}\n", case.command)).unwrap();
    }
    if case.trusted_root != Recipe::rekor1().trusted_root() {
        fs::write(into.join("trusted_root.json"), serde_json::to_vec_pretty(&case.trusted_root).unwrap())
            .unwrap();
    }
    if let Some(key) = &case.key {
        fs::write(into.join("key.pub"), key).unwrap();
    }
    if let Some(artifact) = &case.artifact {
        fs::write(into.join("artifact"), artifact).unwrap();
    }
    if !case.flags.is_empty() {
        fs::write(into.join("flags"), case.flags.join(" ")).unwrap();
    }
}

/// What lies beside the cases, for all of them.
fn common() -> Vec<(&'static str, Vec<u8>)> {
    let root = serde_json::to_vec_pretty(&Recipe::rekor1().trusted_root()).unwrap();
    let mut files = vec![("artifact", ARTIFACT.to_vec()), ("trusted_root.json", root)];
    files.extend(parts(&Authorities::default()).map(|(file, pem)| (file, pem.into_bytes())));
    files
}

fn files(folder: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
#[ignore = "writes tests/data/bundles: cargo test --test hermetic bundles:: -- --ignored corpus_is_written"]
fn corpus_is_written() {
    fs::create_dir_all(corpus()).unwrap();
    for old in found() {
        fs::remove_dir_all(old.folder).unwrap();
    }
    for (file, bytes) in common() {
        fs::write(corpus().join(file), bytes).unwrap();
    }
    for case in cases::all() {
        write(&case, &corpus().join(&case.name));
    }
}

#[test]
fn the_corpus_is_what_the_cases_make() {
    let cases = cases::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "no two cases have one name");
    let there = found();
    assert_eq!(names, there.iter().map(|found| found.name.as_str()).collect());
    for (file, bytes) in common() {
        assert_eq!(bytes, fs::read(corpus().join(file)).unwrap(), "{file}");
    }
    let scratch = tempfile::tempdir().unwrap();
    for case in &cases {
        let into = scratch.path().join(&case.name);
        write(case, &into);
        assert_eq!(files(&into), files(&corpus().join(&case.name)), "{}", case.name);
    }
}

/// The word that an error must hold for each check: the check is the library's, the text is what people read.
#[test]
fn every_case_has_its_verdict_and_every_bad_one_its_reason() {
    let mut wrong = Vec::new();
    for found in found() {
        let output = found.ours(found.artifact().to_str().unwrap());
        let text = String::from_utf8(output.stderr).unwrap();
        let readme = fs::read_to_string(found.folder.join("README")).unwrap();
        let line = |start: &str| readme.lines().find_map(|line| line.strip_prefix(start));
        let refusal = line("Refused by: ")
            .map(|check| format!("(check: {check})"))
            .or(line("Refused with: ").map(str::to_owned));
        let (code, told) = match &refusal {
            None => (0, text.starts_with("Verified OK")),
            Some(says) => (1, text.contains("  do:") && text.contains(says)),
        };
        if output.status.code() != Some(code) || !told || refusal.is_some() != found.name.ends_with("_fail") {
            wrong.push(format!("{}: {} {text}", found.name, output.status));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_timestamp_that_is_not_used_is_named_with_its_time_and_its_maker() {
    let mut named = 0;
    for found in found().iter().filter(|found| !found.name.ends_with("_fail")) {
        let output = found.ours(found.artifact().to_str().unwrap());
        let text = String::from_utf8(output.stderr).unwrap();
        let unknown = found.name.contains("unknown-timestamp");
        assert_eq!(text.contains("  note: the timestamp of 20"), unknown, "{}: {text}", found.name);
        if unknown {
            let by = match found.name.contains("without-certificate") {
                true => "a certificate of CN=Another root",
                false => "CN=Example timestamps",
            };
            let said = format!(" by {by} is not used: the trusted root does not have this authority");
            assert!(text.contains(&said), "{}: {text}", found.name);
            named += 1;
        }
    }
    assert!(named >= 5, "{named}");
}

/// Of a signature over another hash than SHA-256 that digest is needed.
#[test]
fn a_digest_in_place_of_the_file_gives_the_same_verdicts() {
    for found in found().into_iter().filter(|found| !found.tells_digest()) {
        let hash = Hash::ALL.into_iter().find(|hash| found.name.contains(&format!("-{hash}-of-file")));
        let hash = hash.unwrap_or(Hash::Sha256);
        let digest = hash.digest(&fs::read(found.artifact()).unwrap());
        let output = found.ours(&format!("{hash}:{}", super::sigstore::hex(&digest)));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), !found.name.ends_with("_fail"), "{}: {text}", found.name);
    }
}
