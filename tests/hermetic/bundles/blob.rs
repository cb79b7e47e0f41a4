//! `stepseal verify-blob` as scripts call it: keys, signatures, artifacts, trusted roots, exit codes.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::recipe::{ARTIFACT, Recipe};
use super::sigstore::{IDENTITY, ISSUER, base64, key, pem, sha256, sign, spki};

/// A folder with an artifact and what is needed to verify it.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        let recipe = Recipe::rekor1();
        scratch.write("artifact", ARTIFACT);
        scratch.write("cosign.pub", pem("PUBLIC KEY", &spki(&key("signer"))));
        scratch.write("signature", base64(sign(&key("signer"), ARTIFACT)));
        scratch.write("bundle.json", serde_json::to_vec(&recipe.bundle()).unwrap());
        scratch.write("trusted_root.json", serde_json::to_vec(&recipe.trusted_root()).unwrap());
        scratch
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
        command.env_clear().current_dir(self.0.path()).arg("verify-blob").args(flags);
        command
    }

    /// Runs `verify-blob-attestation`.
    pub(crate) fn attested(&self, flags: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
        command.env_clear().current_dir(self.0.path()).arg("verify-blob-attestation").args(flags);
        told(command.output().unwrap())
    }

    pub(crate) fn run(&self, flags: &[&str]) -> (Option<i32>, String) {
        told(self.command(flags).output().unwrap())
    }
}

pub(crate) fn told(output: Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "standard output is for programs");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

pub(crate) const IDENTIFIED: [&str; 8] = [
    "--bundle",
    "bundle.json",
    "--trusted-root",
    "trusted_root.json",
    "--certificate-identity",
    IDENTITY,
    "--certificate-oidc-issuer",
    ISSUER,
];

#[test]
fn the_procedure_that_tekton_documents_works_with_another_programs_name() {
    let scratch = Scratch::new();
    for flags in [
        &["--key", "cosign.pub", "--signature", "./signature", "./artifact"][..],
        &["--key", "cosign.pub", "--signature", "./signature", "--insecure-ignore-tlog", "./artifact"],
        &["--key=cosign.pub", "--signature=./signature", "--insecure-ignore-tlog=true", "./artifact"],
        &["--key", ".", "--signature", "./signature", "--offline", "./artifact"],
    ] {
        assert_eq!(scratch.run(flags), (Some(0), "Verified OK\n".to_owned()), "{flags:?}");
    }
}

#[test]
fn a_signature_may_be_the_flag_itself_or_bytes_and_a_key_an_environment_variable() {
    let scratch = Scratch::new();
    let raw = sign(&key("signer"), ARTIFACT);
    scratch.write("raw", &raw);
    scratch.write("lines", format!("{}\n", base64(&raw)));
    for signature in [&base64(&raw), "raw", "lines"] {
        assert_eq!(
            scratch.run(&["--key", "cosign.pub", "--signature", signature, "artifact"]).0,
            Some(0),
            "{signature}"
        );
    }
    let mut command = scratch.command(&["--key", "env://PUBLIC", "--signature", "raw", "artifact"]);
    let output = command.env("PUBLIC", pem("PUBLIC KEY", &spki(&key("signer")))).output().unwrap();
    assert_eq!(told(output).0, Some(0));
}

#[test]
fn every_kind_of_key_that_signs_here_is_verified_here() {
    let scratch = Scratch::new();
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys");
    let mut seen = 0;
    for entry in fs::read_dir(keys).unwrap() {
        let Ok(pem) = fs::read_to_string(entry.unwrap().path()) else { continue };
        let Ok(stepseal::sign::ParsedKey::Open(key)) = stepseal::sign::parse_private(pem.as_bytes()) else {
            continue;
        };
        let signature = stepseal::sign::Signer::sign(&*key, ARTIFACT).unwrap();
        scratch.write("other.pub", stepseal::sign::Signer::public_key(&*key).to_pem());
        let flags = ["--key", "other.pub", "--signature", &signature.base64(), "artifact"];
        assert_eq!(scratch.run(&flags).0, Some(0), "{key:?}");
        scratch.write("other", "other bytes");
        assert_eq!(
            scratch.run(&["--key", "other.pub", "--signature", &signature.base64(), "other"]).0,
            Some(1)
        );
        seen += 1;
    }
    assert!(seen >= 4, "{seen} keys");
}

#[test]
fn another_file_another_key_and_another_signature_are_refused_with_what_to_do() {
    let scratch = Scratch::new();
    scratch.write("other", "other bytes");
    scratch.write("other.pub", pem("PUBLIC KEY", &spki(&key("somebody"))));
    for flags in [
        ["--key", "cosign.pub", "--signature", "signature", "other"],
        ["--key", "other.pub", "--signature", "signature", "artifact"],
        ["--key", "cosign.pub", "--signature", &"MAAA".repeat(24), "artifact"],
    ] {
        let (code, text) = scratch.run(&flags);
        assert_eq!(code, Some(1), "{flags:?}");
        assert!(
            text.contains("is not verified") && text.contains("cause:") && text.contains("do:"),
            "{text}"
        );
    }
}

#[test]
fn an_envelope_in_the_signatures_place_is_named() {
    let scratch = Scratch::new();
    let bundle = Recipe::rekor1().envelope().bundle();
    scratch.write("signature", base64(serde_json::to_vec(&bundle["dsseEnvelope"]).unwrap()));
    let (code, text) = scratch.run(&["--key", "cosign.pub", "--signature", "signature", "artifact"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("DSSE envelope"), "{text}");
}

#[test]
fn the_artifact_may_be_a_file_standard_input_or_a_digest() {
    let scratch = Scratch::new();
    let digest = format!("sha256:{}", super::sigstore::hex(&sha256(ARTIFACT)));
    for artifact in ["artifact", &digest] {
        let (code, text) = scratch.run(&[&IDENTIFIED[..], &[artifact]].concat());
        assert_eq!(code, Some(0), "{text}");
        assert!(
            text.starts_with("Verified OK\n") && text.contains(IDENTITY) && text.contains("rekor.example"),
            "{text}"
        );
    }
    let mut command = scratch.command(&[&IDENTIFIED[..], &["-"]].concat());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ARTIFACT).unwrap();
    assert_eq!(told(child.wait_with_output().unwrap()).0, Some(0));
    let wrong = format!("sha256:{}", "0".repeat(64));
    assert_eq!(scratch.run(&[&IDENTIFIED[..], &[&wrong]].concat()).0, Some(1));
}

#[test]
fn an_identity_may_be_an_expression_and_the_wrong_one_is_refused_with_what_was_found() {
    let scratch = Scratch::new();
    let bundle = ["--bundle", "bundle.json", "--trusted-root", "trusted_root.json"];
    let with = |flags: &[&str]| scratch.run(&[&bundle[..], flags, &["artifact"]].concat());
    let identity = "--certificate-identity-regexp";
    let issuer = "--certificate-oidc-issuer-regexp";
    assert_eq!(with(&[identity, "^https://ci\\.example/team/", issuer, "example"]).0, Some(0));
    let (code, text) = with(&[identity, "^https://ci\\.example/other/", issuer, "example"]);
    assert_eq!(code, Some(1));
    assert!(text.contains(IDENTITY) && text.contains("check: identity"), "{text}");
    let (code, text) = with(&[identity, ".*", "--certificate-oidc-issuer", "https://issuer.example/"]);
    assert_eq!(code, Some(1), "a slash more is another issuer");
    assert!(text.contains("the issuer is \"https://issuer.example\""), "{text}");
}

#[test]
fn usage_that_makes_no_sense_ends_with_2_before_anything_is_read() {
    let scratch = Scratch::new();
    for (flags, says) in [
        (&["artifact", "--key", "cosign.pub"][..], "neither --signature nor --bundle"),
        (&["artifact", "--bundle", "bundle.json"], "no key or identity is given"),
        (
            &["artifact", "--bundle", "bundle.json", "--certificate-identity", "x"],
            "without --certificate-oidc-issuer",
        ),
        (
            &["artifact", "--bundle", "bundle.json", "--certificate-oidc-issuer", "x"],
            "without --certificate-identity",
        ),
        (
            &["artifact", "--bundle", "bundle.json", "--key", "cosign.pub", "--certificate-identity", "x"],
            "both a key and an identity",
        ),
        (
            &[
                "artifact",
                "--bundle",
                "bundle.json",
                "--certificate-identity-regexp",
                "(",
                "--certificate-oidc-issuer",
                "x",
            ],
            "not a valid regular expression",
        ),
        (
            &["artifact", "--signature", "signature", "--bundle", "bundle.json"],
            "both --signature and --bundle",
        ),
        (
            &[
                "artifact",
                "--signature",
                "signature",
                "--certificate-identity",
                "x",
                "--certificate-oidc-issuer",
                "y",
            ],
            "none is given",
        ),
        (&["artifact", "--key", "missing.pub", "--signature", "signature"], "missing.pub"),
        (&["missing", "--key", "cosign.pub", "--signature", "signature"], "missing"),
        (&["artifact", "--key", "trusted_root.json", "--signature", "signature"], "trusted_root.json"),
        (
            &[
                "artifact",
                "--key",
                "cosign.pub",
                "--signature",
                "signature",
                "--signature-digest-algorithm",
                "sha224",
            ],
            "sha224",
        ),
        (
            &["artifact", "--key", "cosign.pub", "--signature", "signature", "--certificate", "cosign.pub"],
            "both --key and --certificate",
        ),
        (
            &[
                "artifact",
                "--key",
                "cosign.pub",
                "--signature",
                "signature",
                "--certificate-github-workflow-ref",
                "main",
            ],
            "a key has no certificate",
        ),
    ] {
        let (code, text) = scratch.run(flags);
        assert_eq!(code, Some(2), "{flags:?}: {text}");
        assert!(text.contains(says) && text.contains("do:"), "{flags:?}: {text}");
    }
}

#[test]
fn the_trusted_root_may_come_from_the_environment_and_the_flag_wins() {
    let scratch = Scratch::new();
    scratch.write("broken.json", "{}");
    let without = [
        "--bundle",
        "bundle.json",
        "--certificate-identity",
        IDENTITY,
        "--certificate-oidc-issuer",
        ISSUER,
        "artifact",
    ];
    let (code, text) = scratch.run(&without);
    assert_eq!(code, Some(1), "the public-good Sigstore does not know this log");
    assert!(text.contains("the trusted root does not have this log"), "{text}");
    for variable in ["SIGSTORE_ROOT_FILE", "STEPSEAL_TRUSTED_ROOT"] {
        let output = scratch.command(&without).env(variable, "trusted_root.json").output().unwrap();
        assert_eq!(told(output).0, Some(0), "{variable}");
        let flagged = scratch
            .command(&[&IDENTIFIED[..], &["artifact"]].concat())
            .env(variable, "broken.json")
            .output()
            .unwrap();
        assert_eq!(told(flagged).0, Some(0), "{variable}");
        let output = scratch.command(&without).env(variable, "broken.json").output().unwrap();
        assert_eq!(told(output).0, Some(2), "{variable}");
    }
}

#[test]
fn the_version_says_how_old_the_trusted_root_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_stepseal")).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Sigstore public-good trusted root of 20"), "{text}");
}

#[test]
fn a_large_file_is_read_in_pieces() {
    let scratch = Scratch::new();
    let large = vec![7; 64 * 1024 * 1024];
    scratch.write("large", &large);
    let signature = base64(sign(&key("signer"), &large));
    let script = format!(
        "ulimit -v 600000; exec {} verify-blob --key cosign.pub --signature {signature} large",
        env!("CARGO_BIN_EXE_stepseal")
    );
    let output = Command::new("sh").args(["-c", &script]).current_dir(scratch.0.path()).output().unwrap();
    assert_eq!(told(output).0, Some(0));
}

#[test]
fn what_is_no_signature_no_digest_and_no_file_is_named() {
    let scratch = Scratch::new();
    let envelope = |count: usize| {
        let sigs = vec![serde_json::json!({ "sig": "AAAA" }); count];
        serde_json::json!({ "payload": "e30=", "payloadType": "application/json", "signatures": sigs })
            .to_string()
    };
    let statement = String::from_utf8(Recipe::rekor1().envelope().statement()).unwrap();
    let signed = [
        ("none", envelope(0)),
        ("many", envelope(65)),
        ("statement", statement.clone()),
        ("coded", base64(statement)),
    ];
    signed.iter().for_each(|(name, text)| scratch.write(name, text));
    scratch.write("rsa", base64([7; 256]));
    scratch.write("raw", base64([7; 64]));
    for (code, says, signature) in [
        (1, "has 0 signatures", "none"),
        (1, "has 65 signatures", "many"),
        (1, "nobody signed", "statement"),
        (1, "nobody signed", "coded"),
        (1, "the form of an RSA signature, and the key is ECDSA P-256", "rsa"),
        (1, "IEEE P1363", "raw"),
        (2, "cannot read the signature signature1", "signature1"),
        (2, "give a file that exists", "blobsigs"),
        (
            2,
            "give a file that exists",
            "out/signature/of/the/whole/bundle/that/is/not/there/ab/cd/ef/gh/ijkl/mnop/qrst/uvwxyz/0123",
        ),
    ] {
        let (ended, text) = scratch.run(&["--key", "cosign.pub", "--signature", signature, "artifact"]);
        assert!(ended == Some(code) && text.contains(says) && text.contains("  do:"), "{says}: {text}");
    }
    for digest in ["sha256:abcd", "sha256:", "SHA256:00", "md5:900150983cd24fb0d6963f7d28e17f72"] {
        let (ended, text) = scratch.run(&["--key", "cosign.pub", "--signature", "signature", digest]);
        assert!(ended == Some(2) && text.contains("nor a whole digest") && text.contains("do:"), "{text}");
    }
    // A digest of another hash than the likeliest is tried, and is not said to be the wrong one.
    let digest = format!("sha384:{}", "0".repeat(96));
    let (ended, text) = scratch.run(&["--key", "cosign.pub", "--signature", "signature", &digest]);
    assert!(
        ended == Some(1) && text.contains("(tried: sha384)") && text.contains("give the file itself"),
        "{text}"
    );
}
