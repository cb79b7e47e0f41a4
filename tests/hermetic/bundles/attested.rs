//! `stepseal verify-blob-attestation`, and attestations that `verify-blob` is given.

use serde_json::{Value, json};

use super::blob::Scratch;
use super::recipe::{ARTIFACT, IN_TOTO, Recipe};
use super::sigstore::*;

const TYPE: &str = "https://slsa.dev/provenance/v1";
const KEY: [&str; 3] = ["--key", "cosign.pub", "--insecure-ignore-tlog"];

/// A folder with an envelope and a bundle about the artifact, each by the key.
fn scratch() -> (Scratch, Value) {
    let scratch = Scratch::new();
    let bundle =
        Recipe { logged: super::recipe::Logged::Nowhere, ..Recipe::rekor1().with_key().envelope() }.bundle();
    scratch.write("bundle.json", bundle.to_string());
    scratch.write("envelope", bundle["dsseEnvelope"].to_string());
    scratch.write(
        "old.json",
        json!({ "base64Signature": base64(bundle["dsseEnvelope"].to_string()) }).to_string(),
    );
    scratch.write("other", "other bytes");
    (scratch, bundle)
}

const FORMS: [[&str; 2]; 3] =
    [["--bundle", "bundle.json"], ["--signature", "envelope"], ["--bundle", "old.json"]];

#[track_caller]
fn ends(code: i32, says: &str, (ended, text): (Option<i32>, String)) {
    assert_eq!(ended, Some(code), "{text}");
    assert!(text.contains(says), "no {says:?} in {text}");
    assert!(code == 0 || text.contains("  do:"), "{text}");
}

#[test]
fn an_attestation_is_verified_with_its_type_and_its_subject() {
    let (scratch, _) = scratch();
    let hex256 = hex(&sha256(ARTIFACT));
    for form in FORMS {
        let run = |flags: &[&str]| scratch.attested(&[&KEY[..], &form, flags].concat());
        ends(
            0,
            &format!("Verified OK\n  an attestation of the type {TYPE}\n"),
            run(&["--type", TYPE, "artifact"]),
        );
        ends(0, "Verified OK", run(&["--type", "slsaprovenance1", "artifact"]));
        ends(0, "Verified OK", run(&["--type", TYPE, "--digest", &hex256, "--digestAlg", "sha256"]));
        ends(0, "Verified OK", run(&["--type", TYPE, "--digestAlg", "sha256", "artifact"]));
        ends(0, "Verified OK", run(&["--type", TYPE, "--digest", &hex256, "artifact"]));
        ends(0, "Verified OK", run(&["--type", TYPE, "--check-claims=false"]));
        ends(0, "Verified OK", run(&["--type", TYPE, "--check-claims=false", "other"]));
        // The type: cosign's default is `custom`.
        ends(1, TYPE, run(&["artifact"]));
        ends(1, TYPE, run(&["--type", "https://slsa.dev/provenance/v0.2", "artifact"]));
        ends(1, TYPE, run(&["--type", "spdxjson", "--check-claims=false"]));
        ends(2, "predicate type", run(&["--type", "what ever", "artifact"]));
        // The subject.
        ends(1, "check: artifact", run(&["--type", TYPE, "other"]));
        ends(
            1,
            "check: artifact",
            run(&["--type", TYPE, "--digest", &"0".repeat(64), "--digestAlg", "sha256"]),
        );
        ends(
            1,
            "check: artifact",
            run(&["--type", TYPE, "--digest", &"0".repeat(128), "--digestAlg", "sha512"]),
        );
        // The statement has no SHA-512, which alone is to count.
        ends(1, "check: artifact", run(&["--type", TYPE, "--digestAlg", "sha512", "artifact"]));
        ends(1, "--digest says", run(&["--type", TYPE, "--digest", &"0".repeat(64), "artifact"]));
        ends(2, "neither a file nor", run(&["--type", TYPE]));
        ends(2, "neither a file nor", run(&["--type", TYPE, "--digest", &hex256]));
        ends(2, "--digestAlg", run(&["--type", TYPE, "--digest", &hex256, "--digestAlg", "sha512"]));
        ends(2, "--digestAlg", run(&["--type", TYPE, "--digestAlg", "md5", "artifact"]));
        // The key, which --check-claims=false does not spare.
        scratch.write("other.pub", pem("PUBLIC KEY", &spki(&key("somebody"))));
        let other = ["--key", "other.pub", "--insecure-ignore-tlog", "--type", TYPE];
        for claims in [&["artifact"][..], &["--check-claims=false"]] {
            ends(1, "check: signature", scratch.attested(&[&other[..], &form, claims].concat()));
        }
        ends(
            2,
            "no key or identity is given",
            scratch.attested(&[&form[..], &["--type", TYPE, "artifact"]].concat()),
        );
    }
    ends(2, "neither --signature nor --bundle", scratch.attested(&["--key", "cosign.pub", "artifact"]));
}

#[test]
fn an_attestation_by_an_identity_is_verified_with_its_log_entry() {
    let (scratch, _) = scratch();
    let identity = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER];
    let flags =
        ["--trusted-root", "trusted_root.json", "--bundle", "identity.json", "--type", TYPE, "artifact"];
    for recipe in [Recipe::rekor1(), Recipe::rekor2()] {
        scratch.write("identity.json", recipe.envelope().bundle().to_string());
        ends(0, IDENTITY, scratch.attested(&[&identity[..], &flags].concat()));
    }
    let unlogged = Recipe { logged: super::recipe::Logged::Nowhere, ..Recipe::rekor1().envelope() };
    scratch.write("identity.json", unlogged.bundle().to_string());
    ends(1, "check: log entry", scratch.attested(&[&identity[..], &flags].concat()));
}

#[test]
fn of_several_signatures_one_is_enough_and_none_is_not() {
    let (scratch, bundle) = scratch();
    let mut envelope = bundle["dsseEnvelope"].clone();
    let bad = json!({ "sig": base64(sign(&key("somebody"), b"x")) });
    let good = envelope["signatures"][0].clone();
    let flags = [&KEY[..], &["--signature", "envelope", "--type", TYPE, "artifact"]].concat();
    for (signatures, code) in
        [(json!([bad, good]), 0), (json!([good, bad]), 0), (json!([bad, bad]), 1), (json!([]), 1)]
    {
        envelope["signatures"] = signatures;
        scratch.write("envelope", envelope.to_string());
        ends(code, "", scratch.attested(&flags));
    }
}

#[test]
fn what_is_no_attestation_says_what_it_is() {
    let (scratch, _) = scratch();
    let message = Recipe { logged: super::recipe::Logged::Nowhere, ..Recipe::rekor1().with_key() }.bundle();
    scratch.write("message.json", message.to_string());
    let run = |flags: &[&str]| scratch.attested(&[&KEY[..], flags, &["--type", TYPE, "artifact"]].concat());
    ends(1, "an attestation is asked for", run(&["--bundle", "message.json"]));
    ends(1, "an attestation is asked for", run(&["--signature", "signature"]));
    scratch.write("empty", "");
    ends(1, "it is empty", run(&["--signature", "empty"]));
    let other = |statement_type, payload_type| {
        let recipe = Recipe { statement_type, payload_type, ..Recipe::rekor1().with_key().envelope() };
        Recipe { logged: super::recipe::Logged::Nowhere, ..recipe }.bundle()
    };
    scratch.write("v2.json", other("https://in-toto.io/Statement/v2", IN_TOTO).to_string());
    scratch.write("text.json", other("https://in-toto.io/Statement/v1", "text/plain").to_string());
    for file in ["v2.json", "text.json"] {
        ends(1, "is not verified", run(&["--bundle", file]));
        let flags = [&KEY[..], &["--bundle", file, "--type", TYPE, "--check-claims=false"]].concat();
        ends(1, "is not verified", scratch.attested(&flags));
    }
}

/// cosign's `verify-blob` accepts a bundle with a statement about the file, whatever its type.
#[test]
fn verify_blob_says_the_type_of_an_attestation_and_holds_it_to_the_one_that_is_asked_for() {
    let (scratch, _) = scratch();
    let run = |flags: &[&str]| scratch.run(&[&KEY[..], flags, &["artifact"]].concat());
    ends(
        0,
        &format!("Verified OK\n  an attestation of the type {TYPE}\n"),
        run(&["--bundle", "bundle.json"]),
    );
    for form in FORMS {
        ends(0, TYPE, run(&[&form[..], &["--type", "slsaprovenance1"]].concat()));
        ends(1, TYPE, run(&[&form[..], &["--type", "vuln"]].concat()));
    }
    // Its signature is not over the file: nobody takes it for one.
    for form in [["--signature", "envelope"], ["--bundle", "old.json"]] {
        ends(1, &format!("an attestation of the type \"{TYPE}\""), run(&form));
        ends(1, "verify-blob-attestation", run(&form));
    }
    ends(1, "an attestation is asked for", run(&["--signature", "signature", "--type", TYPE]));
}
