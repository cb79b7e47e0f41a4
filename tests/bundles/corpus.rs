//! The corpus as files: written by the cases, read by the binary.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stepseal::sign::Hash;

use super::cases::{self, Case};
use super::recipe::{ARTIFACT, Recipe};
use super::sigstore::{IDENTITY, ISSUER};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles")
}

/// A case's folder, as it is read: whoever made it.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

pub(crate) fn found() -> Vec<Found> {
    let mut found: Vec<Found> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|folder| Found { name: folder.file_name().unwrap().to_str().unwrap().to_owned(), folder })
        .collect();
    found.sort_by(|one, two| one.name.cmp(&two.name));
    found
}

impl Found {
    fn own(&self, file: &str) -> PathBuf {
        let own = self.folder.join(file);
        if own.exists() { own } else { folder().join(file) }
    }

    pub(crate) fn artifact(&self) -> PathBuf {
        self.own("artifact")
    }

    /// The flags of `verify-blob`, cosign's or ours.
    pub(crate) fn flags(&self) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut flags = vec!["--bundle".to_owned(), path(self.folder.join("bundle.sigstore.json"))];
        flags.extend(["--trusted-root".to_owned(), path(self.own("trusted_root.json"))]);
        let more = fs::read_to_string(self.folder.join("flags")).unwrap_or_default();
        let key = self.folder.join("key.pub");
        match key.exists() {
            true => flags.extend(["--key".to_owned(), path(key)]),
            false => flags.extend(signer(&more)),
        }
        flags.extend(more.split_whitespace().map(str::to_owned));
        flags
    }

    pub(crate) fn ours(&self, artifact: &str) -> Output {
        let flags = self.flags();
        Command::new(env!("CARGO_BIN_EXE_stepseal"))
            .env_clear()
            .arg("verify-blob")
            .args(flags)
            .arg(artifact)
            .output()
            .unwrap()
    }
}

/// Who must have signed, but for what a case's own flags say of it.
fn signer(more: &str) -> Vec<String> {
    let pairs = [["--certificate-identity", IDENTITY], ["--certificate-oidc-issuer", ISSUER]];
    pairs.into_iter().filter(|[flag, _]| !more.contains(flag)).flatten().map(str::to_owned).collect()
}

fn write(case: &Case, into: &Path) {
    fs::create_dir_all(into).unwrap();
    let readme = match case.check {
        Some(check) => format!("{}\nRefused by: {check}\n", case.why),
        None => format!("{}\n", case.why),
    };
    fs::write(into.join("README"), readme).unwrap();
    fs::write(into.join("bundle.sigstore.json"), &case.bundle).unwrap();
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

fn files(folder: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
#[ignore = "writes tests/data/bundles: cargo test --test bundles -- --ignored corpus_is_written"]
fn corpus_is_written() {
    fs::create_dir_all(folder()).unwrap();
    for old in found() {
        fs::remove_dir_all(old.folder).unwrap();
    }
    fs::write(folder().join("artifact"), ARTIFACT).unwrap();
    let root = Recipe::rekor1().trusted_root();
    fs::write(folder().join("trusted_root.json"), serde_json::to_vec_pretty(&root).unwrap()).unwrap();
    for case in cases::all() {
        write(&case, &folder().join(&case.name));
    }
}

#[test]
fn the_corpus_is_what_the_cases_make() {
    let cases = cases::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "no two cases have one name");
    let there = found();
    assert_eq!(names, there.iter().map(|found| found.name.as_str()).collect());
    let scratch = tempfile::tempdir().unwrap();
    for case in &cases {
        let into = scratch.path().join(&case.name);
        write(case, &into);
        assert_eq!(files(&into), files(&folder().join(&case.name)), "{}", case.name);
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
        let check = readme.lines().find_map(|line| line.strip_prefix("Refused by: "));
        let (code, told) = match check {
            None => (0, text.starts_with("Verified OK")),
            Some(check) => (1, text.contains("  do:") && text.contains(&format!("(check: {check})"))),
        };
        if output.status.code() != Some(code) || !told || check.is_some() != found.name.ends_with("_fail") {
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
    for found in found().into_iter() {
        let hash = Hash::ALL.into_iter().find(|hash| found.name.contains(&format!("-{hash}-of-file")));
        let hash = hash.unwrap_or(Hash::Sha256);
        let digest = hash.digest(&fs::read(found.artifact()).unwrap());
        let output = found.ours(&format!("{hash}:{}", super::sigstore::hex(&digest)));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), !found.name.ends_with("_fail"), "{}: {text}", found.name);
    }
}
