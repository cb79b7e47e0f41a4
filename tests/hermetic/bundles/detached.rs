//! Signatures that don't come as a Sigstore bundle: cosign's old bundle, a certificate beside a signature, and their hashes.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha384, Sha512};

use super::asn1::*;
use super::blob::Scratch;
use super::old::old;
use super::recipe::{ARTIFACT, Recipe};
use super::sigstore::*;

const IDENTIFIED: [&str; 4] = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER];
const ROOT: [&str; 2] = ["--trusted-root", "trusted_root.json"];

fn scratch(recipe: &Recipe) -> (Scratch, Value) {
    let scratch = Scratch::new();
    let bundle = old(&recipe.bundle());
    scratch.write("old.json", bundle.to_string());
    scratch.write("leaf.pem", pem("CERTIFICATE", &leaf(&recipe.leaf)));
    scratch.write("root.pem", pem("CERTIFICATE", &root_certificate(&recipe.authorities)));
    let own = intermediate(&recipe.authorities);
    scratch.write("intermediate.pem", pem("CERTIFICATE", &own));
    scratch.write(
        "chain.pem",
        pem("CERTIFICATE", &own) + &pem("CERTIFICATE", &root_certificate(&recipe.authorities)),
    );
    (scratch, bundle)
}

#[track_caller]
fn passes(scratch: &Scratch, flags: &[&[&str]]) -> String {
    let (code, text) = scratch.run(&flags.concat());
    assert_eq!(code, Some(0), "{flags:?}: {text}");
    assert!(text.starts_with("Verified OK\n"), "{text}");
    text
}

#[track_caller]
fn fails(scratch: &Scratch, code: i32, says: &str, flags: &[&[&str]]) {
    let (ended, text) = scratch.run(&flags.concat());
    assert_eq!(ended, Some(code), "{flags:?}: {text}");
    assert!(text.contains(says) && text.contains("  do:"), "no {says:?} in {text}");
}

#[test]
fn an_old_bundle_is_verified_as_the_bundle_it_would_be_today() {
    let (scratch, _) = scratch(&Recipe::rekor1());
    let flags: &[&str] = &["--bundle", "old.json", "artifact"];
    let text = passes(&scratch, &[flags, &ROOT, &IDENTIFIED]);
    assert!(text.contains(IDENTITY) && text.contains("logged in rekor.example"), "{text}");
    passes(
        &scratch,
        &[flags, &ROOT, &IDENTIFIED, &["--certificate", "leaf.pem", "--new-bundle-format=false"]],
    );
    passes(&scratch, &[flags, &ROOT, &IDENTIFIED, &["--signature", "signature"]]);
    let digest = format!("sha256:{}", hex(&sha256(ARTIFACT)));
    passes(&scratch, &[&["--bundle", "old.json", &digest], &ROOT, &IDENTIFIED]);
    // What must stay refused.
    scratch.write("other", "other bytes");
    fails(&scratch, 1, "check: signature", &[&["--bundle", "old.json", "other"], &ROOT, &IDENTIFIED]);
    let other = ["--certificate-identity", "https://ci.example/other", "--certificate-oidc-issuer", ISSUER];
    fails(&scratch, 1, "check: identity", &[flags, &ROOT, &other]);
    fails(&scratch, 1, "check: signer", &[flags, &["--key", "cosign.pub", "--insecure-ignore-tlog"]]);
    fails(&scratch, 1, "check: log", &[flags, &IDENTIFIED]);
    scratch.write("other.sig", base64(sign(&key("signer"), b"other bytes")));
    fails(
        &scratch,
        1,
        "another signature than --signature gives",
        &[flags, &ROOT, &IDENTIFIED, &["--signature", "other.sig"]],
    );
    scratch.write("another.pem", pem("CERTIFICATE", &root_certificate(&Authorities::default())));
    fails(
        &scratch,
        1,
        "another certificate than --certificate gives",
        &[flags, &ROOT, &IDENTIFIED, &["--certificate", "another.pem"]],
    );
}

/// cosign 3.1.2 takes the key in the bundle for the one that is given, and so accepts anybody's.
#[test]
fn an_old_bundle_by_a_key_counts_with_that_key_alone() {
    let (scratch, bundle) = scratch(&Recipe::rekor1().with_key());
    scratch.write("other.pub", pem("PUBLIC KEY", &spki(&key("somebody"))));
    let flags: &[&str] = &["--bundle", "old.json", "artifact"];
    let text = passes(&scratch, &[flags, &ROOT, &["--key", "cosign.pub"]]);
    assert!(text.contains("signed by the key SHA256:"), "{text}");
    fails(&scratch, 1, "another key than --key gives", &[flags, &ROOT, &["--key", "other.pub"]]);
    fails(&scratch, 1, "check: signer", &[flags, &ROOT, &IDENTIFIED]);
    // Without a log entry it counts where none is demanded.
    let bare = json!({ "base64Signature": bundle["base64Signature"] });
    scratch.write("old.json", bare.to_string());
    fails(&scratch, 1, "check: log entry", &[flags, &ROOT, &["--key", "cosign.pub"]]);
    passes(&scratch, &[flags, &["--key", "cosign.pub", "--insecure-ignore-tlog"]]);
    fails(&scratch, 1, "check: signature", &[flags, &["--key", "other.pub", "--insecure-ignore-tlog"]]);
}

#[test]
fn each_part_of_an_old_bundle_that_is_changed_refuses_it() {
    let (scratch, good) = scratch(&Recipe::rekor1());
    let flags: &[&str] = &["--bundle", "old.json", "artifact"];
    let promise = "/rekorBundle/SignedEntryTimestamp";
    let other = Recipe { integrated: SIGNED + 1, ..Recipe::rekor1() };
    let other_key = old(&Recipe::rekor1().with_key().bundle());
    for (at, value, says) in [
        ("/base64Signature", json!(base64(sign(&key("somebody"), ARTIFACT))), "check: signature"),
        ("/base64Signature", json!(""), "holds no signature"),
        ("/base64Signature", json!("!"), "base64Signature is not base64"),
        ("/cert", other_key["cert"].clone(), "check: signer"),
        ("/cert", json!("!"), "cert cannot be read"),
        (promise, old(&other.bundle()).pointer(promise).unwrap().clone(), "check: inclusion promise"),
        ("/rekorBundle/Payload/integratedTime", json!(SIGNED + 1), "check: inclusion promise"),
        ("/rekorBundle/Payload/logIndex", json!(7), "check: inclusion promise"),
        ("/rekorBundle/Payload/logID", json!("00"), "check: log"),
        (
            "/rekorBundle/Payload/body",
            other_key.pointer("/rekorBundle/Payload/body").unwrap().clone(),
            "check: log entry",
        ),
        ("/rekorBundle/Payload/body", json!(7), "entry of the transparency log (rekorBundle) cannot be read"),
        ("/rekorBundle/Payload", json!({}), "entry of the transparency log (rekorBundle) cannot be read"),
        ("/rekorBundle", Value::Null, "check: log entry"),
    ] {
        let mut bundle = good.clone();
        *bundle.pointer_mut(at).unwrap() = value;
        scratch.write("old.json", bundle.to_string());
        fails(&scratch, 1, says, &[flags, &ROOT, &IDENTIFIED]);
    }
    let mut more = good;
    more["more"] = json!(1);
    scratch.write("old.json", more.to_string());
    fails(&scratch, 1, "old format", &[flags, &ROOT, &IDENTIFIED]);
}

#[test]
fn a_certificate_alone_proves_no_time() {
    let long = Leaf { validity: (SIGNED - 300, SIGNED + 20 * YEAR), ..Leaf::default() };
    let far = Authorities {
        root: (SIGNED - 5 * YEAR, SIGNED + 20 * YEAR),
        intermediate: (SIGNED - 5 * YEAR, SIGNED + 20 * YEAR),
        ..Authorities::default()
    };
    let (scratch, _) = scratch(&Recipe { leaf: long, authorities: far, ..Recipe::rekor1() });
    scratch.write("trusted_root.json", trusted_root(&Windows::default(), &far).to_string());
    let flags: &[&str] = &["--certificate", "leaf.pem", "--signature", "signature", "artifact"];
    fails(&scratch, 1, "a certificate alone does not prove when it signed", &[flags, &ROOT, &IDENTIFIED]);
    // It is checked as of now where no log is demanded, as cosign does.
    passes(&scratch, &[flags, &ROOT, &IDENTIFIED, &["--insecure-ignore-tlog"]]);
    fails(&scratch, 2, "no key or identity is given", &[flags, &ROOT]);
    // And with its log entry.
    passes(&scratch, &[flags, &ROOT, &IDENTIFIED, &["--bundle", "old.json"]]);
    let value = base64(pem(
        "CERTIFICATE",
        &leaf(&Leaf { validity: (SIGNED - 300, SIGNED + 20 * YEAR), ..Leaf::default() }),
    ));
    let by_value: &[&str] =
        &["--certificate", &value, "--signature", "signature", "artifact", "--insecure-ignore-tlog"];
    passes(&scratch, &[by_value, &ROOT, &IDENTIFIED]);
    // The usual one has expired.
    scratch.write("leaf.pem", pem("CERTIFICATE", &leaf(&Leaf::default())));
    fails(&scratch, 1, "--rfc3161-timestamp", &[flags, &ROOT, &IDENTIFIED, &["--insecure-ignore-tlog"]]);
}

#[test]
fn a_timestamp_beside_a_certificate_proves_the_time() {
    let (scratch, bundle) = scratch(&Recipe::rekor1());
    let signature = sign(&key("signer"), ARTIFACT);
    let stamp = timestamp(&Authorities::default(), &Stamp::at(SIGNED), &signature);
    scratch.write("stamp.json", json!({ "SignedRFC3161Timestamp": base64(&stamp) }).to_string());
    scratch.write("stamp.b64", base64(&stamp));
    scratch.write("stamp.der", &stamp);
    let flags: &[&str] =
        &["--certificate", "leaf.pem", "--signature", "signature", "artifact", "--insecure-ignore-tlog"];
    for form in ["stamp.json", "stamp.b64", "stamp.der"] {
        passes(&scratch, &[flags, &ROOT, &IDENTIFIED, &["--rfc3161-timestamp", form]]);
        passes(
            &scratch,
            &[flags, &ROOT, &IDENTIFIED, &["--rfc3161-timestamp", form, "--use-signed-timestamps"]],
        );
    }
    passes(
        &scratch,
        &[&["--bundle", "old.json", "artifact", "--rfc3161-timestamp", "stamp.json"], &ROOT, &IDENTIFIED],
    );
    let by_key: &[&str] = &["--key", "cosign.pub", "--signature", "signature", "artifact"];
    passes(&scratch, &[by_key, &ROOT, &["--rfc3161-timestamp", "stamp.json"]]);
    // A demand for a timestamp is one where there is none, too.
    fails(&scratch, 1, "check: time", &[by_key, &ROOT, &["--use-signed-timestamps"]]);
    let late = timestamp(&Authorities::default(), &Stamp::at(SIGNED + 301), &signature);
    scratch.write("late.der", late);
    fails(
        &scratch,
        1,
        "check: certificate",
        &[flags, &ROOT, &IDENTIFIED, &["--rfc3161-timestamp", "late.der"]],
    );
    let other =
        timestamp(&Authorities::default(), &Stamp { of: Some(b"else"), ..Stamp::at(SIGNED) }, &signature);
    scratch.write("other.der", other);
    fails(
        &scratch,
        1,
        "check: timestamp",
        &[flags, &ROOT, &IDENTIFIED, &["--rfc3161-timestamp", "other.der"]],
    );
    scratch.write("no.der", bundle.to_string());
    fails(
        &scratch,
        1,
        "not an RFC 3161 timestamp",
        &[flags, &ROOT, &IDENTIFIED, &["--rfc3161-timestamp", "no.der"]],
    );
}

#[test]
fn roots_that_are_given_stand_for_those_of_the_trusted_root() {
    let (scratch, _) = scratch(&Recipe::rekor1());
    let flags: &[&str] = &["--bundle", "old.json", "artifact"];
    passes(&scratch, &[flags, &ROOT, &IDENTIFIED, &["--certificate-chain", "chain.pem"]]);
    passes(
        &scratch,
        &[flags, &ROOT, &IDENTIFIED, &["--ca-roots", "root.pem", "--ca-intermediates", "intermediate.pem"]],
    );
    // No path, a wrong root, and what contradicts itself.
    fails(&scratch, 1, "check: certificate", &[flags, &ROOT, &IDENTIFIED, &["--ca-roots", "root.pem"]]);
    let other = Spec {
        serial: 1,
        subject: "Other",
        issuer: "Other",
        validity: (SIGNED - YEAR, SIGNED + YEAR),
        key: spki(&key("other root")),
        extensions: Vec::new(),
    };
    scratch.write("other.pem", pem("CERTIFICATE", &certificate(&other, &key("other root"))));
    fails(
        &scratch,
        1,
        "check: certificate",
        &[flags, &ROOT, &IDENTIFIED, &["--ca-roots", "other.pem", "--ca-intermediates", "intermediate.pem"]],
    );
    fails(
        &scratch,
        2,
        "without --ca-roots",
        &[flags, &ROOT, &IDENTIFIED, &["--ca-intermediates", "intermediate.pem"]],
    );
    fails(
        &scratch,
        2,
        "both --certificate-chain and --ca-roots",
        &[flags, &ROOT, &IDENTIFIED, &["--ca-roots", "root.pem", "--certificate-chain", "chain.pem"]],
    );
    fails(
        &scratch,
        1,
        "no certificate in it",
        &[flags, &ROOT, &IDENTIFIED, &["--certificate-chain", "artifact"]],
    );
    // A Sigstore bundle holds its own.
    for (flag, file) in [
        ("--certificate-chain", "chain.pem"),
        ("--certificate", "leaf.pem"),
        ("--rfc3161-timestamp", "artifact"),
    ] {
        fails(
            &scratch,
            2,
            "with a Sigstore bundle",
            &[&["--bundle", "bundle.json", "artifact"], &ROOT, &IDENTIFIED, &[flag, file]],
        );
    }
}

#[test]
fn what_a_certificate_says_of_a_workflow_may_be_demanded() {
    const WORKFLOW: &[(&str, &str)] = &[
        ("1.3.6.1.4.1.57264.1.2", "push"),
        ("1.3.6.1.4.1.57264.1.3", "0123abcd"),
        ("1.3.6.1.4.1.57264.1.4", "build"),
        ("1.3.6.1.4.1.57264.1.5", "team/app"),
        ("1.3.6.1.4.1.57264.1.6", "refs/heads/main"),
    ];
    let recipe = Recipe { leaf: Leaf { workflow: WORKFLOW, ..Leaf::default() }, ..Recipe::rekor1() };
    let (with, _) = scratch(&recipe);
    with.write("bundle.json", recipe.bundle().to_string());
    let (without, _) = scratch(&Recipe::rekor1());
    let ends = ["trigger", "sha", "name", "repository", "ref"];
    for bundle in ["old.json", "bundle.json"] {
        let flags: &[&str] = &["--bundle", bundle, "artifact"];
        let mut all = Vec::new();
        for (end, (_, value)) in ends.iter().zip(WORKFLOW) {
            let flag = format!("--certificate-github-workflow-{end}");
            passes(&with, &[flags, &ROOT, &IDENTIFIED, &[&flag, value]]);
            fails(&with, 1, "check: identity", &[flags, &ROOT, &IDENTIFIED, &[&flag, "other"]]);
            fails(
                &with,
                1,
                "check: identity",
                &[flags, &ROOT, &IDENTIFIED, &[&flag, &value.to_uppercase().replacen('0', "1", 1)]],
            );
            fails(&without, 1, "is not there", &[flags, &ROOT, &IDENTIFIED, &[&flag, value]]);
            all.push(format!("{flag}={value}"));
        }
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        passes(&with, &[flags, &ROOT, &IDENTIFIED, &all]);
    }
}

#[test]
fn a_signature_that_is_none_is_named() {
    let scratch = Scratch::new();
    for (content, says) in [
        ("", "it is empty"),
        ("\n \n", "it is empty"),
        ("-----BEGIN PGP SIGNATURE-----\n\niQEz\n", "OpenPGP"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", "a certificate"),
        ("{\"a\":1}", "JSON"),
        ("this is no signature at all", "not base64"),
    ] {
        scratch.write("odd", content);
        fails(&scratch, 1, says, &[&["--key", "cosign.pub", "--signature", "odd", "artifact"]]);
    }
    let (code, text) = scratch.run(&["--key", "cosign.pub", "--signature", "", "artifact"]);
    assert!(code == Some(2) && text.contains("--signature is empty"), "{text}");
}

/// A P-256 signature over another hash than SHA-256 of what is read.
fn over(digest: &[u8]) -> String {
    use p256::ecdsa::signature::hazmat::PrehashSigner as _;
    let signature: p256::ecdsa::Signature = key("signer").sign_prehash(digest).unwrap();
    base64(signature.to_der().as_bytes())
}

#[test]
fn another_hash_is_found_and_may_be_the_only_one() {
    use std::io::Write as _;
    use std::process::Stdio;
    let scratch = Scratch::new();
    scratch.write("other", "other bytes");
    for (name, signature) in
        [("sha384", over(&Sha384::digest(ARTIFACT))), ("sha512", over(&Sha512::digest(ARTIFACT)))]
    {
        let flags: &[&str] = &["--key", "cosign.pub", "--signature", &signature];
        passes(&scratch, &[flags, &["artifact"]]);
        passes(&scratch, &[flags, &["artifact", "--signature-digest-algorithm", name]]);
        passes(&scratch, &[flags, &["artifact", "--signature-digest-algorithm", &name.to_uppercase()]]);
        fails(
            &scratch,
            1,
            "(tried: sha256)",
            &[flags, &["artifact", "--signature-digest-algorithm", "sha256"]],
        );
        fails(&scratch, 1, "(tried: sha256, sha384, sha512)", &[flags, &["other"]]);
        // A digest is of one hash; standard input is read once, and kept if it is short.
        let digest = format!("sha256:{}", hex(&sha256(ARTIFACT)));
        fails(&scratch, 1, "give the file itself", &[flags, &[&digest]]);
        let long = [ARTIFACT, &vec![0; 17 * 1024 * 1024][..]].concat();
        let of_long = match name {
            "sha384" => over(&Sha384::digest(&long)),
            _ => over(&Sha512::digest(&long)),
        };
        let only = format!("--signature-digest-algorithm={name}");
        for (signature, bytes, flag, code) in [
            (&signature, ARTIFACT, "--offline", 0),
            (&of_long, &long, "--offline", 1),
            (&of_long, &long, &only, 0),
        ] {
            let mut command = scratch.command(&["--key", "cosign.pub", "--signature", signature, flag, "-"]);
            let mut child =
                command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(bytes).unwrap();
            let (ended, text) = super::blob::told(child.wait_with_output().unwrap());
            assert_eq!(ended, Some(code), "{name} {flag}: {text}");
        }
    }
    fails(
        &scratch,
        1,
        "(tried: sha512)",
        &[&[
            "--key",
            "cosign.pub",
            "--signature",
            "signature",
            "artifact",
            "--signature-digest-algorithm",
            "sha512",
        ]],
    );
}

/// A log that was given a SHA-512 digest has that in its entry.
#[test]
fn an_entry_of_another_hash_is_of_the_same_artifact() {
    let (scratch, _) = scratch(&Recipe::rekor1());
    let signature = over(&Sha512::digest(ARTIFACT));
    let pem = base64(pem("CERTIFICATE", &leaf(&Leaf::default())));
    let entry = |digest: &[u8]| {
        let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha512", "value": hex(digest)}},
            "signature": {"content": signature, "publicKey": {"content": pem}}}});
        entry_v1("hashedrekord", "0.0.1", &body, SIGNED)
    };
    for (digest, code) in [(Sha512::digest(ARTIFACT), 0), (Sha512::digest(b"other"), 1)] {
        let mut bundle = Recipe::rekor1().bundle();
        bundle["verificationMaterial"]["tlogEntries"] = json!([entry(&digest)]);
        bundle["messageSignature"] = json!({ "signature": signature });
        scratch.write("bundle.json", bundle.to_string());
        scratch.write("old.json", old(&bundle).to_string());
        for file in ["bundle.json", "old.json"] {
            let (ended, text) =
                scratch.run(&[&["--bundle", file, "artifact"], &ROOT[..], &IDENTIFIED].concat());
            assert_eq!(ended, Some(code), "{file}: {text}");
        }
    }
}

/// `--certificate "$(cat leaf.pem)"`: PEM begins with hyphens, and is not a flag.
#[test]
fn pem_is_a_value_of_the_flags_and_no_message_shows_it_whole() {
    let (scratch, _) = scratch(&Recipe::rekor1());
    let certificate = pem("CERTIFICATE", &leaf(&Leaf::default()));
    let trimmed = certificate.trim_end();
    let joined = format!("--certificate={certificate}");
    let old: &[&str] = &["--bundle", "old.json", "artifact"];
    for given in [&["--certificate", &certificate][..], &["--certificate", trimmed], &[&joined]] {
        passes(&scratch, &[old, &ROOT, &IDENTIFIED, given]);
    }
    // What isn't taken as a value, or is in the wrong place.
    let escaped = certificate.replace('\n', "\\n");
    let body = certificate.lines().nth(2).unwrap();
    for (code, says, given) in [
        (2, "cannot read the certificate", ["--certificate", &escaped]),
        (2, "cannot read the CA certificates", ["--certificate-chain", &certificate]),
        (2, "cannot read the CA certificates", ["--ca-roots", trimmed]),
        (2, "cannot read the timestamp", ["--rfc3161-timestamp", &certificate]),
        (2, "--certificate has no value: --signature follows", ["--certificate", "--signature"]),
    ] {
        let (ended, text) = scratch.run(&[old, &ROOT, &IDENTIFIED, &given].concat());
        assert!(ended == Some(code) && text.contains(says), "{given:?}: {text}");
        assert!(text.contains("  do:") && !text.contains(body), "{given:?}: {text}");
    }
    let (code, text) = scratch.run(&["--key", "cosign.pub", "--signature", &certificate, "artifact"]);
    assert!(code == Some(2) && text.contains("cannot read the signature") && !text.contains(body), "{text}");
    // An unknown flag with it shows its beginning alone.
    let (code, text) = scratch.run(&["--unknown", &certificate, "artifact"]);
    assert!(code == Some(2) && !text.contains(body), "{text}");
}

#[test]
fn a_time_that_nothing_proves_is_called_now() {
    let (scratch, _) = scratch(&Recipe::rekor1());
    // The log's entry is there, and would prove the time.
    let old: &[&str] = &["--bundle", "old.json", "artifact", "--insecure-ignore-tlog"];
    fails(&scratch, 1, "is checked as of now", &[old, &ROOT, &IDENTIFIED]);
    fails(&scratch, 1, "do:    leave out --insecure-ignore-tlog", &[old, &ROOT, &IDENTIFIED]);
    let long = Leaf { validity: (SIGNED - 300, SIGNED + 20 * YEAR), ..Leaf::default() };
    let far = (SIGNED - 5 * YEAR, SIGNED + 20 * YEAR);
    let far = Authorities { root: far, intermediate: far, ..Authorities::default() };
    scratch.write("leaf.pem", pem("CERTIFICATE", &leaf(&long)));
    scratch.write("trusted_root.json", trusted_root(&Windows::default(), &far).to_string());
    let flags =
        ["--certificate", "leaf.pem", "--signature", "signature", "artifact", "--insecure-ignore-tlog"];
    let text = passes(&scratch, &[&flags, &ROOT, &IDENTIFIED]);
    assert!(text.contains("as of now (20") && !text.contains("at the latest"), "{text}");
}

#[test]
fn an_error_about_given_roots_names_the_flag_in_words() {
    let (scratch, _) = scratch(&Recipe::rekor1());
    let old: &[&str] = &["--bundle", "old.json", "artifact"];
    scratch.write("empty.pem", "");
    for (code, says, roots) in [
        (1, "authority of --ca-roots: none of them issued it", ["--ca-roots", "root.pem"]),
        (1, "authority of --certificate-chain: none of them", ["--certificate-chain", "root.pem"]),
        (1, "wrote nothing", ["--ca-roots", "empty.pem"]),
    ] {
        fails(&scratch, code, says, &[old, &ROOT, &IDENTIFIED, &roots]);
        let (_, text) = scratch.run(&[old, &ROOT, &IDENTIFIED, &roots].concat());
        assert!(!text.contains("UnknownIssuer") && !text.contains("--trusted-root"), "{text}");
    }
}

/// The first is the signer's, as for `--certificate`; what follows is not looked at.
#[test]
fn an_old_bundle_may_have_the_chain_behind_the_certificate() {
    let (scratch, mut bundle) = scratch(&Recipe::rekor1());
    let own = pem("CERTIFICATE", &leaf(&Leaf::default()));
    let above = pem("CERTIFICATE", &intermediate(&Authorities::default()));
    let old: &[&str] = &["--bundle", "old.json", "artifact"];
    for (chain, code) in [(own.clone() + &above, 0), (above + &own, 1)] {
        bundle["cert"] = json!(base64(chain));
        scratch.write("old.json", bundle.to_string());
        assert_eq!(scratch.run(&[old, &ROOT, &IDENTIFIED].concat()).0, Some(code));
    }
}

#[test]
fn a_timestamp_authority_that_is_given_stands_for_those_of_the_trusted_root() {
    let (scratch, _) = scratch(&Recipe::rekor1());
    let own = Authorities::default();
    let root: Value = serde_json::from_str(&trusted_root(&Windows::default(), &own).to_string()).unwrap();
    let chain = root["timestampAuthorities"][0]["certChain"]["certificates"].as_array().unwrap();
    let pems: String = chain
        .iter()
        .map(|one| {
            format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                one["rawBytes"].as_str().unwrap()
            )
        })
        .collect();
    scratch.write("stamper.pem", pems);
    let mut without = root;
    without["timestampAuthorities"] = json!([]);
    scratch.write("trusted_root.json", without.to_string());
    let signature = sign(&key("signer"), ARTIFACT);
    scratch.write("stamp.der", timestamp(&own, &Stamp::at(SIGNED), &signature));
    let stamped = [
        "--signature",
        "signature",
        "artifact",
        "--insecure-ignore-tlog",
        "--rfc3161-timestamp",
        "stamp.der",
    ];
    let stamper = ["--timestamp-certificate-chain", "stamper.pem"];
    let with_leaf = ["--certificate", "leaf.pem"];
    passes(&scratch, &[&stamped, &ROOT, &IDENTIFIED, &with_leaf, &stamper]);
    passes(&scratch, &[&stamped, &ROOT, &["--key", "cosign.pub"], &stamper]);
    let bundle = Recipe { stamps: vec![Stamp::at(SIGNED)], ..Recipe::rekor1() }.bundle();
    scratch.write("bundle.json", bundle.to_string());
    let new = ["--bundle", "bundle.json", "artifact"];
    passes(&scratch, &[&new, &ROOT, &IDENTIFIED, &stamper]);
    // What must stay refused: no authority, another one, and no timestamp at all.
    fails(&scratch, 1, "check: timestamp", &[&stamped, &ROOT, &IDENTIFIED, &with_leaf]);
    let spec = Spec {
        serial: 1,
        subject: "Other",
        issuer: "Other",
        validity: own.root,
        key: spki(&key("other root")),
        extensions: Vec::new(),
    };
    scratch.write("other.pem", pem("CERTIFICATE", &certificate(&spec, &key("other root"))));
    let other = ["--timestamp-certificate-chain", "other.pem"];
    fails(&scratch, 1, "check: timestamp", &[&stamped, &ROOT, &IDENTIFIED, &with_leaf, &other]);
    fails(&scratch, 1, "check: time", &[&["--bundle", "old.json", "artifact"], &ROOT, &IDENTIFIED, &stamper]);
    fails(
        &scratch,
        2,
        "cannot read",
        &[&new, &ROOT, &IDENTIFIED, &["--timestamp-certificate-chain", "none"]],
    );
}

/// Any of several names may be the one that is asked for; an address is none.
#[test]
fn a_dns_name_of_a_certificate_counts_and_an_address_does_not() {
    let far = (SIGNED - 5 * YEAR, SIGNED + 20 * YEAR);
    let far = Authorities { root: far, intermediate: far, ..Authorities::default() };
    let (scratch, _) = scratch(&Recipe { authorities: far, ..Recipe::rekor1() });
    scratch.write("trusted_root.json", trusted_root(&Windows::default(), &far).to_string());
    let names = [tlv(0x81, b"dev@ci.example"), tlv(0x82, b"ci.example"), tlv(0x87, &[127, 0, 0, 1])];
    let code_signing = extension("2.5.29.37", false, &seq(&[oid("1.3.6.1.5.5.7.3.3")]));
    for (usage, codes) in [(Some(code_signing), [0, 0, 1, 1]), (None, [1; 4])] {
        let mut extensions = vec![
            extension("2.5.29.17", true, &seq(&names)),
            extension("1.3.6.1.4.1.57264.1.8", false, &utf8(ISSUER)),
        ];
        extensions.extend(usage);
        let signer = key("signer");
        let spec = Spec {
            serial: 9,
            subject: "",
            issuer: "Example intermediate",
            validity: far.root,
            key: spki(&signer),
            extensions,
        };
        scratch.write("leaf.pem", pem("CERTIFICATE", &certificate(&spec, &key("intermediate"))));
        for (name, code) in ["dev@ci.example", "ci.example", "127.0.0.1", "example"].iter().zip(codes) {
            let identity = ["--certificate-identity", name, "--certificate-oidc-issuer", ISSUER];
            let flags = ["--certificate", "leaf.pem", "--signature", "signature", "artifact"];
            let waived = ["--insecure-ignore-tlog", "--insecure-ignore-sct"];
            let (ended, text) = scratch.run(&[&flags[..], &ROOT, &identity, &waived].concat());
            assert_eq!(ended, Some(code), "{name}: {text}");
            assert!(code == 1 || text.contains(&format!("signed by {name},")), "{text}");
            let wanted = if codes == [1; 4] { "no extended key usage" } else { "check: identity" };
            assert!(code == 0 || text.contains(wanted), "{text}");
        }
    }
}
