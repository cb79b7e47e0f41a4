//! `stepseal generate-key-pair` from outside.

#![expect(clippy::unwrap_used, reason = "all of this crate is test code, its helpers too")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use stepseal::sign::{KeySource, PublicKey};

fn generate(folder: &Path, args: &[&str], password: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
    command
        .arg("generate-key-pair")
        .args(args)
        .env_clear()
        .current_dir(folder)
        .stdin(std::process::Stdio::null());
    if let Some(password) = password {
        command.env("COSIGN_PASSWORD", password);
    }
    command.output().unwrap()
}

#[test]
fn the_files_hold_a_key_that_the_password_opens() {
    for password in ["pw", ""] {
        let folder = tempfile::tempdir().unwrap();
        assert!(generate(folder.path(), &[], Some(password)).status.success());
        let key = folder.path().join("cosign.key");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let public = std::fs::read_to_string(folder.path().join("cosign.pub")).unwrap();
        let env = |_: &str| Some(password.to_owned());
        let signer = KeySource::Path(key).read(&env).unwrap().unlock().unwrap();
        assert_eq!(signer.public_key(), &PublicKey::from_pem(&public).unwrap());
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.pub"), "mine").unwrap();
    let output = generate(folder.path(), &["--output-key-prefix", "x"], Some("pw"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("x.pub is there already"));
    assert!(!folder.path().join("x.key").exists());
    let output = generate(folder.path(), &["--output-key-prefix", "nowhere/x"], Some("pw"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn both_keys_go_to_standard_output_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let output = generate(folder.path(), &["-"], Some("pw"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"), "{}", text.len());
    assert!(text.contains("-----BEGIN PUBLIC KEY-----"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn without_a_terminal_the_password_has_to_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let output = generate(folder.path(), &[], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("COSIGN_PASSWORD"));
    let output = generate(folder.path(), &["k8s://ns/name"], Some("pw"));
    assert_eq!(output.status.code(), Some(2));
}
