//! Files that cosign writes without a Sigstore bundle, and attestations about files: verified by cosign and by us with the same flags.

use std::fs;

use crate::kit::command::Ran;
use crate::kit::scene::KEY_PASSWORD;
use crate::kit::{Scene, peer, run};

pub(crate) const TYPE: &str = "https://ci.example/tests/v1";
pub(crate) const UNLOGGED: [&str; 3] = ["--tlog-upload=false", "--use-signing-config=false", "--yes"];
pub(crate) const OLD: [&str; 1] = ["--new-bundle-format=false"];

/// A scene with a file, and what cosign writes of it.
pub(crate) struct Desk {
    pub(crate) scene: Scene,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { scene: Scene::new() };
        let work = desk.scene.home().join("work");
        fs::write(work.join("file"), "built\n").unwrap();
        fs::write(work.join("other"), "other bytes\n").unwrap();
        fs::write(work.join("predicate"), r#"{"tests":"passed"}"#).unwrap();
        desk
    }

    pub(crate) fn cosign(&self, args: &[&[&str]]) -> Ran {
        run(self.scene.cosign(&args.concat()).current_dir(self.scene.home().join("work")))
    }

    pub(crate) fn stepseal(&self, args: &[&[&str]]) -> Ran {
        let mut command = self.scene.stepseal(&[], &args.concat());
        command.env("COSIGN_PASSWORD", KEY_PASSWORD);
        run(command.env_remove("STEPSEAL_KEY").current_dir(self.scene.home().join("work")))
    }

    /// Both end well, or neither.
    #[track_caller]
    fn both(&self, good: bool, args: &[&[&str]]) {
        for ran in [self.cosign(args), self.stepseal(args)] {
            assert_eq!(ran.code == 0, good, "{ran}");
        }
    }

    pub(crate) fn openssl(&self, args: &str) {
        run(peer("openssl", &self.scene.home().join("work")).args(args.split(' '))).ok();
    }
}

const KEY: [&str; 3] = ["--key", "cosign.pub", "--insecure-ignore-tlog"];

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn what_cosign_writes_in_its_old_format_is_verified_by_both() {
    let desk = Desk::new();
    let sign =
        ["sign-blob", "--key", "cosign.key", "--bundle", "old.json", "--output-signature", "sig", "file"];
    desk.cosign(&[&sign, &OLD, &UNLOGGED]).ok();
    for (file, good) in [("file", true), ("other", false)] {
        desk.both(good, &[&["verify-blob", "--bundle", "old.json", file], &KEY]);
        desk.both(good, &[&["verify-blob", "--signature", "sig", file], &KEY]);
        desk.both(good, &[&["verify-blob", "--signature", "sig", "--bundle", "old.json", file], &KEY]);
    }
    let attest = ["attest-blob", "--key", "cosign.key", "--predicate", "predicate", "--type", TYPE];
    let to = ["--bundle", "old-attestation.json", "--output-signature", "envelope", "file"];
    desk.cosign(&[&attest, &to, &OLD, &UNLOGGED]).ok();
    desk.cosign(&[&attest, &["--bundle", "attestation.json", "file"], &UNLOGGED]).ok();
    for from in
        [["--bundle", "old-attestation.json"], ["--signature", "envelope"], ["--bundle", "attestation.json"]]
    {
        let command = ["verify-blob-attestation"];
        desk.both(true, &[&command, &KEY, &from, &["--type", TYPE, "file"]]);
        desk.both(true, &[&command, &KEY, &from, &["--type", TYPE, "--check-claims=false"]]);
        desk.both(false, &[&command, &KEY, &from, &["--type", TYPE, "other"]]);
        desk.both(false, &[&command, &KEY, &from, &["--type", "https://ci.example/other", "file"]]);
        desk.both(false, &[&command, &KEY, &from, &["file"]]);
        desk.both(false, &[&command, &KEY, &from, &["--type", TYPE]]);
    }
    // Where we differ: cosign verifies with the key in the bundle.
    let other = desk.scene.folder("other");
    run(desk.scene.cosign(&["generate-key-pair"]).current_dir(&other)).ok();
    let key = ["--key", "../other/cosign.pub", "--insecure-ignore-tlog"];
    desk.cosign(&[&["verify-blob", "--bundle", "old.json", "file"], &key]).ok();
    desk.stepseal(&[&["verify-blob", "--bundle", "old.json", "file"], &key])
        .ended(1)
        .says("made with another key than --key gives");
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn hashes_are_what_both_are_given() {
    let desk = Desk::new();
    for (kind, key) in
        [("EC -pkeyopt ec_paramgen_curve:P-256", "ec"), ("RSA -pkeyopt rsa_keygen_bits:2048", "rsa")]
    {
        desk.openssl(&format!("genpkey -algorithm {kind} -out {key}.key"));
        desk.openssl(&format!("pkey -in {key}.key -pubout -out {key}.pub"));
        for hash in ["sha256", "sha384", "sha512"] {
            desk.openssl(&format!("dgst -{hash} -sign {key}.key -out sig file"));
            let public = format!("{key}.pub");
            let flags = ["verify-blob", "--insecure-ignore-tlog", "--key", &public, "--signature", "sig"];
            for told in ["sha256", "sha384", "sha512", "SHA512"] {
                let same = told.eq_ignore_ascii_case(hash);
                desk.both(same, &[&flags, &["--signature-digest-algorithm", told, "file"]]);
                desk.both(false, &[&flags, &["--signature-digest-algorithm", told, "other"]]);
            }
            // Stepseal needs no flag for it.
            desk.stepseal(&[&flags, &["file"]]).ok();
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_certificate_beside_a_signature_is_judged_alike() {
    let desk = Desk::new();
    let work = desk.scene.home().join("work");
    // The issuer and the workflow's name are texts, which openssl takes as bytes.
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let extensions = format!(
        "[v3]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\nsubjectAltName=critical,URI:https://ci.example/app\n\
         1.3.6.1.4.1.57264.1.1=DER:{}\n1.3.6.1.4.1.57264.1.4=DER:{}\n",
        hex("https://issuer.example"),
        hex("build")
    );
    fs::write(work.join("ext"), extensions).unwrap();
    let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    desk.openssl(&format!(
        "req -x509 {ec} -keyout ca.key -out ca.pem -subj /CN=ca -days 9 -addext keyUsage=critical,keyCertSign"
    ));
    desk.openssl(&format!("req -x509 {ec} -keyout other.key -out other.pem -subj /CN=ca -days 9 -addext keyUsage=critical,keyCertSign"));
    desk.openssl(&format!("req -new {ec} -keyout leaf.key -out leaf.csr -subj /CN=leaf"));
    desk.openssl(
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 5 -extfile ext -extensions v3 -out leaf.pem",
    );
    desk.openssl("base64 -A -in leaf.pem -out leaf.b64");
    desk.openssl("dgst -sha256 -sign leaf.key -out sig file");
    let flags = ["verify-blob", "--signature", "sig", "--insecure-ignore-tlog", "--insecure-ignore-sct"];
    let identity = [
        "--certificate-identity",
        "https://ci.example/app",
        "--certificate-oidc-issuer",
        "https://issuer.example",
    ];
    for form in ["leaf.pem", "leaf.b64"] {
        let certificate = ["--certificate", form];
        for root in ["--certificate-chain", "--ca-roots"] {
            desk.both(true, &[&flags, &certificate, &identity, &[root, "ca.pem", "file"]]);
            desk.both(false, &[&flags, &certificate, &identity, &[root, "ca.pem", "other"]]);
            desk.both(false, &[&flags, &certificate, &identity, &[root, "other.pem", "file"]]);
        }
        let workflow = "--certificate-github-workflow-name";
        desk.both(
            true,
            &[&flags, &certificate, &identity, &["--ca-roots", "ca.pem", workflow, "build", "file"]],
        );
        desk.both(
            false,
            &[&flags, &certificate, &identity, &["--ca-roots", "ca.pem", workflow, "other", "file"]],
        );
        desk.both(
            false,
            &[
                &flags,
                &certificate,
                &identity,
                &["--ca-roots", "ca.pem", "--certificate-chain", "ca.pem", "file"],
            ],
        );
        desk.both(false, &[&flags, &certificate, &["--ca-roots", "ca.pem", "file"]]);
        desk.both(false, &[&flags, &certificate, &["--key", "cosign.pub", "file"]]);
    }
}
