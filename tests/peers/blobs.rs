//! Files signed by us and by cosign with the same key, in every form: what one writes the other reads, and openssl too.

use std::fs;
use std::path::PathBuf;

use crate::kit::{peer, run};
use crate::old_format::{Desk, OLD, TYPE, UNLOGGED};

/// A kind of key, the hash that both sign with it, and what openssl makes it with.
struct Kind {
    name: &'static str,
    hash: Option<&'static str>,
    openssl: &'static str,
}

const KINDS: [Kind; 5] = [
    Kind { name: "p256", hash: Some("sha256"), openssl: "EC -pkeyopt ec_paramgen_curve:P-256" },
    Kind { name: "p384", hash: Some("sha384"), openssl: "EC -pkeyopt ec_paramgen_curve:P-384" },
    Kind { name: "p521", hash: Some("sha512"), openssl: "EC -pkeyopt ec_paramgen_curve:P-521" },
    Kind { name: "ed25519", hash: None, openssl: "ED25519" },
    Kind { name: "rsa", hash: Some("sha256"), openssl: "RSA -pkeyopt rsa_keygen_bits:2048" },
];

impl Kind {
    /// What makes cosign look for the hash that it signed.
    fn told(&self) -> Vec<&'static str> {
        self.hash
            .filter(|hash| *hash != "sha256")
            .map_or(Vec::new(), |hash| vec!["--signature-digest-algorithm", hash])
    }

    /// Whether cosign looks for this hash everywhere.
    fn is_usual(&self) -> bool {
        self.told().is_empty()
    }
}

fn work(desk: &Desk) -> PathBuf {
    desk.scene.home().join("work")
}

/// Imports the key by either program, under names of the same public key.
fn import(desk: &Desk, kind: &Kind) -> [String; 2] {
    desk.openssl(&format!("genpkey -algorithm {} -out {}.pem", kind.openssl, kind.name));
    let pem = format!("{}.pem", kind.name);
    let names = ["cosign", "stepseal"].map(|by| format!("{by}-{}", kind.name));
    let import = ["import-key-pair", "--key", &pem, "--output-key-prefix"];
    desk.cosign(&[&import, &[&names[0]]]).ok();
    desk.stepseal(&[&import, &[&names[1]]]).ok();
    let [one, other] = names.each_ref().map(|name| fs::read(work(desk).join(format!("{name}.pub"))).unwrap());
    assert_eq!(one, other, "{}", kind.name);
    names
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn what_one_signs_the_other_verifies() {
    let desk = Desk::new();
    for kind in &KINDS {
        let [by_cosign, by_us] = import(&desk, kind);
        let public = format!("{by_us}.pub");
        let verify = ["verify-blob", "--insecure-ignore-tlog", "--key", &public];
        // Each signs with the key file that the other wrote.
        let (cosigns, stepseal) = (format!("{by_us}.key"), format!("{by_cosign}.key"));
        let sign = |key: &str, to: &[&str]| -> Vec<String> {
            [&["sign-blob", "--key", key][..], &UNLOGGED, to, &["file"]]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        let forms: [(&[&str], &[&str]); 3] = [
            (&["--new-bundle-format=false", "--output-signature", "out"], &["--signature", "out"]),
            (&["--bundle", "out"], &["--bundle", "out"]),
            (
                &["--new-bundle-format=false", "--bundle", "out"],
                &["--bundle", "out", "--new-bundle-format=false"],
            ),
        ];
        for (at, (to, from)) in forms.into_iter().enumerate() {
            let told = if at == 1 { kind.told() } else { Vec::new() };
            let expected = sign(&cosigns, to);
            desk.cosign(&[&expected.iter().map(String::as_str).collect::<Vec<_>>()]).ok();
            desk.stepseal(&[&verify, from, &["file"]]).ok();
            desk.stepseal(&[&verify, from, &["other"]]).ended(1);
            let mine = sign(&stepseal, to);
            desk.stepseal(&[&mine.iter().map(String::as_str).collect::<Vec<_>>()]).ok();
            desk.stepseal(&[&verify, from, &["file"]]).ok();
            // In the two older forms cosign looks for SHA-256 alone, also of what it signed itself.
            let good = at == 1 || kind.is_usual();
            let verified = desk.cosign(&[&verify, from, &told, &["file"]]);
            assert_eq!(verified.code == 0, good, "{}: {verified}", kind.name);
            assert_ne!(desk.cosign(&[&verify, from, &told, &["other"]]).code, 0);
        }
        openssl_verifies(&desk, kind, &stepseal, &public);
    }
}

/// The signature alone, by a program that knows nothing of Sigstore.
fn openssl_verifies(desk: &Desk, kind: &Kind, key: &str, public: &str) {
    desk.stepseal(&[&["sign-blob", "--key", key, "--b64=false", "--output-signature", "raw", "file"]]).ok();
    for (file, good) in [("file", true), ("other", false)] {
        let line = match kind.hash {
            Some(hash) => format!("dgst -{hash} -verify {public} -signature raw {file}"),
            None => format!("pkeyutl -verify -rawin -pubin -inkey {public} -sigfile raw -in {file}"),
        };
        let ran = run(peer("openssl", &work(desk)).args(line.split(' ')));
        assert_eq!(ran.code == 0, good, "{ran}");
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn sha256_is_verified_everywhere_if_it_is_asked_for() {
    let desk = Desk::new();
    for kind in KINDS.iter().filter(|kind| !kind.is_usual()) {
        let [_, name] = import(&desk, kind);
        let (key, public) = (format!("{name}.key"), format!("{name}.pub"));
        let algorithm = format!("--signing-algorithm=ecdsa-sha2-256-nist{}", kind.name);
        for (to, from) in [
            (&["--output-signature", "out"][..], &["--signature", "out"][..]),
            (&["--bundle", "out"], &["--bundle", "out"]),
        ] {
            desk.stepseal(&[&["sign-blob", "--key", &key, &algorithm], to, &["file"]]).ok();
            let verify = ["verify-blob", "--insecure-ignore-tlog", "--key", &public];
            desk.cosign(&[&verify, from, &["file"]]).ok();
            assert_ne!(desk.cosign(&[&verify, from, &["other"]]).code, 0);
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn what_one_attests_the_other_verifies() {
    let desk = Desk::new();
    for kind in &KINDS {
        let [by_cosign, by_us] = import(&desk, kind);
        let public = format!("{by_us}.pub");
        let verify = ["verify-blob-attestation", "--insecure-ignore-tlog", "--key", &public, "--type", TYPE];
        let said = ["--predicate", "predicate", "--type", TYPE, "file"];
        let (cosigns, stepseal) = (format!("{by_us}.key"), format!("{by_cosign}.key"));
        let forms: [(&[&str], &[&str]); 3] = [
            (&["--new-bundle-format=false", "--output-signature", "out"], &["--signature", "out"]),
            (&["--bundle", "out"], &["--bundle", "out"]),
            (
                &["--new-bundle-format=false", "--bundle", "out"],
                &["--bundle", "out", "--new-bundle-format=false"],
            ),
        ];
        for (at, (to, from)) in forms.into_iter().enumerate() {
            desk.cosign(&[&["attest-blob", "--key", &cosigns], &UNLOGGED, to, &said]).ok();
            desk.stepseal(&[&verify, from, &["file"]]).ok();
            desk.stepseal(&[&verify, from, &["other"]]).ended(1);
            desk.stepseal(&[&["attest-blob", "--key", &stepseal], &UNLOGGED, to, &said]).ok();
            desk.stepseal(&[&verify, from, &["file"]]).ok();
            // In its old bundle cosign looks for SHA-256 alone.
            let good = at != 2 || kind.is_usual();
            let verified = desk.cosign(&[&verify, from, &kind.told(), &["file"]]);
            assert_eq!(verified.code == 0, good, "{}: {verified}", kind.name);
            assert_ne!(desk.cosign(&[&verify, from, &kind.told(), &["other"]]).code, 0);
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_statement_is_cosigns_for_every_type() {
    let desk = Desk::new();
    fs::write(work(&desk).join("predicate"), r#"{"a":1,"b":["x"]}"#).unwrap();
    for kind in ["custom", "spdx", "spdxjson", "cyclonedx", "openvex", TYPE] {
        let attest = ["attest-blob", "--key", "cosign.key", "--predicate", "predicate", "--type", kind];
        let to = ["--output-attestation", "statement", "--output-signature", "envelope", "file"];
        let read = |desk: &Desk| -> serde_json::Value {
            let bytes = fs::read(work(desk).join("statement")).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        desk.cosign(&[&attest, &UNLOGGED, &OLD, &to]).ok();
        let mut expected = read(&desk);
        desk.stepseal(&[&attest, &UNLOGGED, &OLD, &to]).ok();
        // Stepseal's statements don't contain the time of day.
        if let Some(predicate) = expected["predicate"].as_object_mut() {
            predicate.remove("Timestamp");
        }
        assert_eq!(expected, read(&desk), "{kind}");
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_same_is_printed_and_the_same_public_key() {
    let desk = Desk::new();
    // RSA signatures are always the same.
    let [by_cosign, by_us] = import(&desk, &KINDS[4]);
    for name in [by_cosign, by_us] {
        let key = format!("{name}.key");
        for flags in [&["file"][..], &["file", "other"], &["--b64=true", "file"], &["--bundle", "b", "file"]]
        {
            let sign = ["sign-blob", "--key", &key];
            let [expected, stepseal] = [
                desk.cosign(&[&sign, &UNLOGGED, &OLD, flags]),
                desk.stepseal(&[&sign, &UNLOGGED, &OLD, flags]),
            ];
            assert_eq!(expected.ok().stdout, stepseal.ok().stdout, "{flags:?}");
        }
        let bundle = |desk: &Desk| fs::read_to_string(work(desk).join("b")).unwrap();
        for format in [&["--new-bundle-format=true"][..], &OLD] {
            let sign = ["sign-blob", "--key", &key, "--bundle", "b", "file"];
            desk.cosign(&[&sign, &UNLOGGED, format]).ok();
            let expected = bundle(&desk);
            desk.stepseal(&[&sign, &UNLOGGED, format]).ok();
            assert_eq!(expected, bundle(&desk), "{format:?}");
        }
        let print = ["public-key", "--key", &key];
        assert_eq!(desk.cosign(&[&print]).ok().stdout, desk.stepseal(&[&print]).ok().stdout);
    }
}
