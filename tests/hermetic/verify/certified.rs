//! Certificates, logs and timestamps at images: the good cases of `tests/data/bundles`, put beside an image.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::found::LayerAnnotations;
use stepseal::oci::Digest;
use stepseal::verify::bundle::{IdentityPolicy, Match, TrustMaterial};
use stepseal::verify::{Accepted, Signer, Trust};

use crate::kit::step::{Ended, MANIFEST, Step};
use crate::verify::kit::{fails, name, passes, step};

/// Whose certificates the corpus has.
const IDENTITY: &str = "https://ci.example/team/app/build.yaml@refs/heads/main";
/// Who vouches for them.
const ISSUER: &str = "https://issuer.example";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn corpus(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles").join(file)
}

/// A step whose registry holds the corpus' artifact as a manifest, with this bundle among its referrers.
fn attested(case: &str) -> (Step, String) {
    let step = step();
    let content = step.registry.content();
    let artifact = fs::read(corpus("artifact")).unwrap();
    let digest = content.put_manifest("team/app", None, MANIFEST, artifact.clone()).unwrap();
    let bundle = fs::read(corpus(case).join("bundle.sigstore.json")).unwrap();
    let layer = content.put_blob("team/app", bundle.clone()).unwrap();
    let config = content.put_blob("team/app", "{}").unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": config.as_str() },
        "layers": [{ "mediaType": BUNDLE, "size": bundle.len(), "digest": layer.as_str() }],
        "subject": { "mediaType": MANIFEST, "size": artifact.len(), "digest": digest.as_str() },
    });
    content.put_manifest("team/app", None, MANIFEST, manifest.to_string()).unwrap();
    let image = name(&step, "team/app", &digest);
    (step, image)
}

fn verify(step: &Step, args: &[&str]) -> Ended {
    let root = corpus("trusted_root.json");
    let base = ["verify-attestation", "--type=slsaprovenance1", "--trusted-root", root.to_str().unwrap()];
    let mut command = step.command(&[&base[..], args].concat());
    crate::kit::step::ended(command.env_remove("STEPSEAL_KEY").output().unwrap())
}

#[test]
fn an_identity_that_a_log_knows_counts_and_no_other() {
    for case in ["dsse-rekor1", "dsse-intoto", "rekor2-dsse"] {
        let (step, image) = attested(case);
        let issuer = ["--certificate-oidc-issuer", ISSUER];
        let good = ["--certificate-identity", IDENTITY, issuer[0], issuer[1], &image];
        let ended = passes(verify(&step, &good));
        assert!(
            ended.stderr.contains(IDENTITY) && ended.stderr.contains("           at 20"),
            "{}",
            ended.stderr
        );
        passes(verify(&step, &["--certificate-identity-regexp", ".", issuer[0], issuer[1], &image]));
        let other = ["--certificate-identity", "another@example.com", issuer[0], issuer[1], &image];
        fails(verify(&step, &other), &["has no attestation of"]);
        let other = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", "https://x", &image];
        fails(verify(&step, &other), &["has no attestation of"]);
        fails(
            verify(&step, &["--key", step.path("keys").to_str().unwrap(), &image]),
            &["none of the accepted"],
        );
        let half = verify(&step, &["--certificate-identity", IDENTITY, &image]);
        assert_eq!(half.code, 2, "{}", half.stderr);
    }
}

#[test]
fn a_key_with_its_log_entry_needs_no_flag() {
    let (step, image) = attested("key-dsse-rekor1");
    let key = corpus("key-dsse-rekor1/key.pub");
    let ended = passes(verify(&step, &["--key", key.to_str().unwrap(), &image]));
    assert!(ended.stderr.contains("by a transparency log"), "{}", ended.stderr);
}

#[test]
fn a_timestamp_by_nobody_known_is_named_and_counts_for_nothing() {
    let (step, image) = attested("dsse-rekor1-and-unknown-timestamp");
    let who = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER];
    let ended = passes(verify(&step, &[&who[..], &[&image]].concat()));
    assert!(ended.stderr.contains("by a transparency log"), "{}", ended.stderr);
    assert!(ended.stderr.contains("note: the timestamp of 2026-01-10T12:00:01Z by"), "{}", ended.stderr);
    let demanded = verify(&step, &[&who[..], &["--use-signed-timestamps", &image]].concat());
    fails(demanded, &["by an authority that the trusted root does not have"]);
}

#[test]
fn a_policy_names_identities_logs_and_ages() {
    let (step, image) = attested("dsse-rekor1");
    let gate = |more: &str| {
        let policy = format!(
            "version: 1\ntrustedRoot: {}\nsigners:\n  ci: {{ identity: \"{IDENTITY}\", issuerRegexp: \"^https://\" }}\nrules:\n  - name: provenance\n    images: ['**']\n    attestations: [{{ type: slsaprovenance1, by: [ci]{more} }}]\n",
            corpus("trusted_root.json").display()
        );
        let file = step.path("policy.yaml");
        fs::write(&file, policy).unwrap();
        let mut command = step.command(&["verify", "--policy", file.to_str().unwrap(), &image]);
        crate::kit::step::ended(command.env_remove("STEPSEAL_KEY").output().unwrap())
    };
    passes(gate(""));
    passes(gate(", log: true, maxAge: 100years"));
    fails(gate(", timestamp: true"), &["the rule \"provenance\""]);
    fails(gate(", maxAge: 1s"), &["and may be 1 second old at most"]);
}

/// A file of two trusted roots, one a line: the public-good one, and the corpus' without its logs.
fn two_roots(step: &Step) -> PathBuf {
    let mut weak: Value = serde_json::from_slice(&fs::read(corpus("trusted_root.json")).unwrap()).unwrap();
    weak["tlogs"] = json!([]);
    weak["ctlogs"] = json!([]);
    weak["certificateAuthorities"][0]["uri"] = "https://weak.example".into();
    let good: Value = serde_json::from_str(sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
    let file = step.path("roots.jsonl");
    fs::write(&file, format!("{good}\r\n\n{weak}\n")).unwrap();
    file
}

#[test]
fn a_policy_says_for_one_trusted_root_what_is_not_demanded_and_the_output_tells() {
    let (step, image) = attested("rekor2-dsse");
    let file = two_roots(&step);
    let gate = |roots: &str, rule: &str| {
        let policy = format!(
            "version: 1\n{}\nsigners:\n  ci: {{ identity: \"{IDENTITY}\", issuer: \"{ISSUER}\" }}\nrules:\n  - name: provenance\n    images: ['**']\n    attestations: [{{ type: slsaprovenance1, by: [ci]{rule} }}]\n",
            roots.replace("FILE", &file.display().to_string())
        );
        let place = step.path("policy.yaml");
        fs::write(&place, policy).unwrap();
        let mut command = step.command(&["verify", "--policy", place.to_str().unwrap(), &image]);
        crate::kit::step::ended(command.env_remove("STEPSEAL_KEY").output().unwrap())
    };
    let of = |weak: &str| {
        format!(
            "trustedRoots: [{{ file: FILE, authority: fulcio.sigstore.dev }}, {{ file: FILE, authority: weak.example{weak} }}]"
        )
    };
    let ended = passes(gate(&of(", sct: false, log: false"), ""));
    let told = "without a log entry and without a proof that the certificate was logged (SCT), which the policy does not demand of weak.example";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed[0]["waived"], json!({ "root": "weak.example", "what": ["log", "sct"] }));
    let refused = ["the rule \"provenance\""];
    for weak in ["", ", sct: true, log: true", ", sct: false", ", log: false"] {
        fails(gate(&of(weak), ""), &refused);
    }
    // What the rule itself demands, no root waives.
    fails(gate(&of(", sct: false, log: false"), ", log: true"), &refused);
    passes(gate(&of(", sct: false, log: false"), ", timestamp: true"));
    for (roots, told) in [
        (of(", stc: false"), "the key \"stc\" is unknown"),
        (of(", sct: \"false\""), "is no true or false"),
        ("trustedRoots: [{ file: FILE, sct: false, log: false }]".to_owned(), "nothing says of which"),
        ("trustedRoots: []".to_owned(), "the list is empty"),
        ("trustedRoots: [{ authority: weak.example }]".to_owned(), "file is missing"),
        (
            "trustedRoots: [{ file: FILE, authority: nowhere.example }]".to_owned(),
            "fulcio.sigstore.dev, weak.example",
        ),
        ("trustedRoot: FILE\ntrustedRoots: [{ file: FILE }]".to_owned(), "there is trustedRoots too"),
    ] {
        let ended = gate(&roots, "");
        assert_eq!(ended.code, 2, "{roots}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{roots}: {}", ended.stderr);
    }
}

#[test]
fn every_line_of_a_file_of_trusted_roots_counts() {
    let (step, image) = attested("dsse-rekor1");
    let own = fs::read_to_string(corpus("trusted_root.json")).unwrap();
    let good = sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
    let file = step.path("both.json");
    fs::write(&file, format!("{good}\n{own}")).unwrap();
    let root = ["verify-attestation", "--type=slsaprovenance1", "--trusted-root", file.to_str().unwrap()];
    let who = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER, &image];
    let mut command = step.command(&[&root[..], &who].concat());
    passes(crate::kit::step::ended(command.env_remove("STEPSEAL_KEY").output().unwrap()));
}

/// What cosign hung onto a `.sig` layer for this bundle, before there were bundles.
fn attached(bundle: &Value) -> LayerAnnotations {
    let material = &bundle["verificationMaterial"];
    let entry = &material["tlogEntries"][0];
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let id = STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap();
    let log = json!({
        "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        "Payload": {
            "body": entry["canonicalizedBody"],
            "integratedTime": number(&entry["integratedTime"]),
            "logIndex": number(&entry["logIndex"]),
            "logID": id.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        },
    });
    let der = material["x509CertificateChain"]["certificates"][0]["rawBytes"].as_str().unwrap();
    LayerAnnotations {
        certificate: Some(format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            wrapped(der)
        )),
        log: Some(log.to_string()),
        ..LayerAnnotations::default()
    }
}

fn wrapped(text: &str) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

#[test]
fn what_cosign_hung_onto_a_layer_is_judged_as_a_bundle() {
    let artifact = fs::read(corpus("artifact")).unwrap();
    let bundle: Value =
        serde_json::from_slice(&fs::read(corpus("v0.1/bundle.sigstore.json")).unwrap()).unwrap();
    let signature = STANDARD.decode(bundle["messageSignature"]["signature"].as_str().unwrap()).unwrap();
    let root = fs::read(corpus("trusted_root.json")).unwrap();
    let identity = IdentityPolicy::new(Match::exact(IDENTITY), Match::exact(ISSUER));
    let trust = Trust {
        signers: vec![Accepted {
            name: "ci".into(),
            signer: Signer::Identity(identity),
            log_required: true,
            timestamp_required: false,
            ignore_sct: false,
            allow_certificate_chain: false,
            hash: None,
        }],
        material: Arc::new(TrustMaterial::parse(&root).unwrap()),
    };
    let good = attached(&bundle);
    let by = trust.simple(&artifact, &signature, &good).unwrap();
    assert!(by.logged && by.times.len() == 1 && by.who.contains(IDENTITY), "{by:?}");
    assert!(trust.simple(b"another", &signature, &good).is_err());
    let without_log = LayerAnnotations { log: None, ..good.clone() };
    assert!(trust.simple(&artifact, &signature, &without_log).is_err());
    let without_certificate = LayerAnnotations { certificate: None, ..good.clone() };
    assert!(trust.simple(&artifact, &signature, &without_certificate).is_err());
    let changed = good.log.as_ref().unwrap().replacen("\"logIndex\":", "\"logIndex\":1", 1);
    assert!(
        trust
            .simple(&artifact, &signature, &LayerAnnotations { log: Some(changed), ..good.clone() })
            .is_err()
    );
    let twice = good.log.as_ref().unwrap().replacen('{', "{\"Payload\":{},", 1);
    assert!(trust.simple(&artifact, &signature, &LayerAnnotations { log: Some(twice), ..good }).is_err());
    assert_ne!(Digest::of(&artifact), Digest::of(b"another"));
}
