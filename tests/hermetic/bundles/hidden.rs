//! What a bundle brings that keeps a verifier busy, or hides what is late or false: mazes of certificates, bent timestamps, entries of unknown logs.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::verify::bundle::{
    Artifact, Bundle, BundleError, Bundles, CertificateError, IdentityPolicy, Match, Policy, Signer,
    SignerCertificate, TimeSource, TimestampError, TrustMaterial, Verified, Verifier, Waivers,
};

use super::asn1::{extension, oid, seq, tlv, utf8};
use super::recipe::{ARTIFACT, Logged, Recipe};
use super::sigstore::{
    Authorities, Brings, IDENTITY, ISSUER, Leaf, SIGNED, Spec, Stamp, YEAR, authority, base64, certificate,
    key, stamper,
};

const STAMP: &str = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";

fn long() -> (i64, i64) {
    Authorities::default().root
}

fn verifier(root: &Value, waivers: Waivers) -> Verifier {
    let (identity, issuer) = (Match::exact(IDENTITY), Match::exact(ISSUER));
    let policy = Policy::new(Signer::Identity(IdentityPolicy::new(identity, issuer)));
    let trust = TrustMaterial::parse(root.to_string().as_bytes()).unwrap();
    Verifier::new(Arc::new(trust.chosen(None, waivers).unwrap()), policy)
}

fn verify(root: &Value, bundle: &Value) -> Result<Verified, BundleError> {
    let bundle = Bundle::parse(bundle.to_string().as_bytes())?;
    verifier(root, Waivers::default()).verify(&bundle, &Artifact::of(ARTIFACT))
}

/// The trusted root of the corpus, whose authorities of one kind have only their last certificate.
fn only_root(kind: &str) -> Value {
    let mut root = Recipe::rekor1().trusted_root();
    let chain = root[kind][0]["certChain"]["certificates"].as_array_mut().unwrap();
    chain.drain(..chain.len() - 1);
    root
}

fn chained(leaf: Leaf, chain: Vec<Vec<u8>>) -> Recipe {
    let media_type = "application/vnd.dev.sigstore.bundle+json;version=0.2";
    Recipe { media_type, leaf: Leaf { sct: None, ..leaf }, chain: Some(chain), ..Recipe::rekor1() }
}

fn path(root: &Value, recipe: &Recipe) -> Result<Verified, BundleError> {
    let bundle = Bundle::parse(recipe.bundle().to_string().as_bytes())?;
    verifier(root, Waivers { sct: true, log: false }).verify(&bundle, &Artifact::of(ARTIFACT))
}

/// Certificates under two names that issue each other, all of them by one key.
fn maze(count: usize) -> Vec<Vec<u8>> {
    let names = ["N0", "N1"];
    let one = |at: usize| {
        let from = long().0 + i64::try_from(at).unwrap();
        authority(names[at % 2], names[(at + 1) % 2], "maze", "maze", (from, long().1))
    };
    (0..count).map(one).collect()
}

#[test]
fn a_maze_of_certificates_is_left_after_a_number_of_checks() {
    let recipe = chained(Leaf { issued_by: "maze", issuer: "N0", ..Leaf::default() }, maze(31));
    let root = Recipe::rekor1().trusted_root();
    let error = path(&root, &recipe).unwrap_err();
    assert!(
        matches!(&error, BundleError::Certificate(CertificateError::Chain { reason, .. }) if reason.starts_with("after 64 signatures")),
        "{error:?}"
    );
    // Nor does any number of them hide what counts.
    let good = Recipe::rekor1().bundle().to_string();
    let lines = format!("{}{good}\n", format!("{}\n", recipe.bundle()).repeat(40));
    let mut bundles = Bundles::parse(lines.as_bytes()).unwrap();
    bundles.judge(&verifier(&root, Waivers::default()), &Artifact::of(ARTIFACT), false);
    let counted = bundles.counted().unwrap();
    assert_eq!((counted.good.len(), counted.refused.len()), (1, 40));
}

#[test]
fn what_stands_between_is_chosen_by_name_and_signature_wherever_it_stands() {
    let root = only_root("certificateAuthorities");
    let between = |name, issuer, key, by| authority(name, issuer, key, by, long());
    let real = || between("Example intermediate", "Example root", "intermediate", "root");
    let others = |count: usize| {
        let one = |at: usize| {
            let validity = (long().0 + i64::try_from(at).unwrap(), long().1);
            authority("Example intermediate", "Example root", "somebody", "somebody", validity)
        };
        (0..count).map(one).collect::<Vec<_>>()
    };
    for at in [0, 17, 30] {
        let mut chain = others(30);
        chain.insert(at, real());
        path(&root, &chained(Leaf::default(), chain)).unwrap();
    }
    assert!(path(&root, &chained(Leaf::default(), others(30))).is_err());
    // As many steps as there are in a path, and one more.
    for (steps, good) in [(1, true), (4, true), (5, false)] {
        let names = ["Example root", "A", "B", "C", "D", "E"];
        let keys = ["root", "key a", "key b", "key c", "key d", "key e"];
        let chain = (1..=steps).map(|at| between(names[at], names[at - 1], keys[at], keys[at - 1])).collect();
        let leaf = Leaf { issuer: names[steps], issued_by: keys[steps], ..Leaf::default() };
        assert_eq!(path(&root, &chained(leaf, chain)).is_ok(), good, "{steps} between");
    }
}

fn stamped(stamp: Stamp, authorities: Authorities) -> Value {
    Recipe { stamps: vec![stamp], authorities, ..Recipe::rekor1() }.bundle()
}

/// The same bundle with `from` replaced by `to` in its timestamp, once.
fn bent(mut bundle: Value, from: &[u8], to: &[u8]) -> Value {
    assert_eq!(from.len(), to.len());
    let value = bundle.pointer_mut(STAMP).unwrap();
    let mut token = STANDARD.decode(value.as_str().unwrap()).unwrap();
    let at = token.windows(from.len()).position(|window| window == from).unwrap();
    token[at..at + from.len()].copy_from_slice(to);
    *value = base64(token).into();
    bundle
}

#[test]
fn a_late_time_of_a_known_authority_cannot_pass_as_an_unknown_ones() {
    let (with_leaf, without) = (Recipe::rekor1().trusted_root(), only_root("timestampAuthorities"));
    let late = |brings| stamped(Stamp { brings, ..Stamp::at(SIGNED + 3600) }, Authorities::default());
    let short = Authorities { stamper: (SIGNED - YEAR, SIGNED + 60), ..Authorities::default() };
    let of_another = Stamp { issuer: "Another root", ..Stamp::at(SIGNED) };
    for (what, root, bundle) in [
        ("as it is", &with_leaf, late(Brings::Own)),
        ("without a leaf in the root", &without, late(Brings::Own)),
        (
            "its name in another type of string",
            &with_leaf,
            bent(late(Brings::Nothing), b"\x0c\x0cExample root", b"\x13\x0cExample root"),
        ),
        ("its name in capitals", &with_leaf, bent(late(Brings::Nothing), b"Example root", b"EXAMPLE ROOT")),
        ("another name", &with_leaf, bent(late(Brings::Nothing), b"Example root", b"Exbmple root")),
        ("another certificate of its key", &with_leaf, stamped(of_another.clone(), Authorities::default())),
        ("a certificate that had expired", &without, stamped(Stamp::at(SIGNED + 90), short)),
    ] {
        let error = verify(root, &bundle).map(|verified| verified.unknown_timestamps);
        // What its authority says is judged; the certificate refuses a time beyond its own.
        let refused = matches!(
            error,
            Err(BundleError::Timestamp(_) | BundleError::Certificate(CertificateError::Validity { .. }))
        );
        assert!(refused, "{what}: {error:?}");
    }
    // Nobody can tell whose it is.
    let unknown = verify(&without, &late(Brings::Nothing)).unwrap().unknown_timestamps;
    assert_eq!(unknown.len(), 1);
    // The same name, spelled otherwise, is good where the time is.
    let spelled = bent(
        stamped(Stamp { brings: Brings::Nothing, ..Stamp::at(SIGNED) }, Authorities::default()),
        b"Example root",
        b"EXAMPLE ROOT",
    );
    assert!(verify(&with_leaf, &spelled).unwrap().unknown_timestamps.is_empty());
}

#[test]
fn a_false_certificate_before_the_right_one_makes_no_timestamp_false() {
    let own = Authorities::default();
    let usages = &["1.3.6.1.5.5.7.3.8"];
    let twice = |stamp: &Stamp, key: &str| {
        let right = stamper(&own, stamp.by, stamp.issuer, stamp.usages);
        let mut names = (0..).map(|number| format!("{key} {number}"));
        let wrong = names.find_map(|name| {
            let wrong = stamper(&own, &name, stamp.issuer, usages);
            (wrong.len() == right.len()).then_some(wrong)
        });
        bent(stamped(Stamp { brings: Brings::OwnTwice, ..stamp.clone() }, own), &right, &wrong.unwrap())
    };
    let by_authority =
        |verified: &Verified| verified.times.iter().any(|time| matches!(time.by, TimeSource::Authority(_)));
    for root in [Recipe::rekor1().trusted_root(), only_root("timestampAuthorities")] {
        let verified = verify(&root, &twice(&Stamp::at(SIGNED), "false")).unwrap();
        assert!(by_authority(&verified));
        let verified = verify(&root, &twice(&Stamp::unknown(), "false")).unwrap();
        assert!(!by_authority(&verified) && verified.unknown_timestamps.len() == 1);
        // Late it stays.
        assert!(verify(&root, &twice(&Stamp::at(SIGNED + 3600), "false")).is_err());
        let somebody = Stamp { by: "somebody", brings: Brings::OwnTwice, ..Stamp::at(SIGNED) };
        let error = verify(&root, &stamped(somebody, own));
        let unknown = matches!(&error, Ok(verified) if verified.unknown_timestamps.len() == 1);
        let refused = matches!(
            error,
            Err(BundleError::Timestamp(
                TimestampError::Signature { .. } | TimestampError::Certificate { .. }
            ))
        );
        assert!(refused || unknown && root == only_root("timestampAuthorities"), "{error:?}");
    }
}

#[test]
fn an_entry_of_an_unknown_log_hides_no_other_where_the_log_is_waived() {
    let root = Recipe::rekor1().trusted_root();
    let waived = Waivers { sct: false, log: true };
    let stamps = || vec![Stamp::at(SIGNED)];
    let entries = |recipe: &Recipe| recipe.bundle()["verificationMaterial"]["tlogEntries"][0].clone();
    let good = entries(&Recipe::rekor1());
    let late = entries(&Recipe { integrated: SIGNED + YEAR, ..Recipe::rekor1() });
    let mut forged = good.clone();
    forged["inclusionPromise"]["signedEntryTimestamp"] = base64("forged").into();
    let mut unknown = good.clone();
    unknown["logId"]["keyId"] = base64([7; 32]).into();
    let with = |list: &[&Value], stamps: Vec<Stamp>| {
        let mut bundle = Recipe { stamps, logged: Logged::Nowhere, ..Recipe::rekor1() }.bundle();
        bundle["verificationMaterial"]["tlogEntries"] = json!(list);
        let bundle = Bundle::parse(bundle.to_string().as_bytes()).unwrap();
        verifier(&root, waived).verify(&bundle, &Artifact::of(ARTIFACT))
    };
    for wrong in [&late, &forged] {
        for list in [vec![wrong], vec![&unknown, wrong], vec![wrong, &unknown]] {
            assert!(with(&list, stamps()).is_err(), "{list:?}");
        }
    }
    // What counts stands for itself; what is unknown is as if it weren't there.
    for (list, lacks) in [
        (vec![], true),
        (vec![&unknown], true),
        (vec![&unknown, &good], false),
        (vec![&good, &unknown], false),
    ] {
        assert_eq!(with(&list, stamps()).unwrap().waived.is_some(), lacks, "{list:?}");
        assert_eq!(with(&list, Vec::new()).is_ok(), !lacks, "{list:?}");
    }
}

#[test]
fn a_root_without_the_log_demands_a_timestamp_though_nobody_asks_for_the_log() {
    let now: jiff::Timestamp = jiff::Timestamp::from_second(SIGNED).unwrap();
    let root = Recipe::rekor1().trusted_root();
    let (identity, issuer) = (Match::exact(IDENTITY), Match::exact(ISSUER));
    let policy =
        Policy { ignore_tlog: true, ..Policy::new(Signer::Identity(IdentityPolicy::new(identity, issuer))) };
    for (log, stamps, good) in [
        (false, vec![], true),
        (true, vec![], false),
        (true, vec![Stamp::at(SIGNED)], true),
        (true, vec![Stamp::unknown()], false),
    ] {
        let trust = TrustMaterial::parse(root.to_string().as_bytes()).unwrap();
        let trust = trust.chosen(None, Waivers { sct: false, log }).unwrap();
        let bundle = Recipe { logged: Logged::Nowhere, stamps, ..Recipe::rekor1() }.bundle();
        let bundle = Bundle::parse(bundle.to_string().as_bytes()).unwrap();
        let verified =
            Verifier::new(Arc::new(trust), policy.clone()).at(now).verify(&bundle, &Artifact::of(ARTIFACT));
        assert_eq!(verified.is_ok(), good, "waived: {log}: {verified:?}");
    }
}

#[test]
fn an_empty_name_is_nobodys_and_an_empty_issuer_is_none() {
    for (name, v1, v2, names, issuer) in [
        ("", Some(""), Some(""), 0, None),
        ("", None, Some(ISSUER), 0, Some(ISSUER)),
        (IDENTITY, Some(""), None, 1, None),
        (IDENTITY, None, Some(""), 1, None),
        (IDENTITY, Some(ISSUER), Some(ISSUER), 1, Some(ISSUER)),
    ] {
        let mut extensions = vec![
            extension("2.5.29.37", false, &seq(&[oid("1.3.6.1.5.5.7.3.3")])),
            extension("2.5.29.17", true, &seq(&[tlv(0x86, name.as_bytes())])),
        ];
        extensions.extend(v1.map(|text| extension("1.3.6.1.4.1.57264.1.1", false, text.as_bytes())));
        extensions.extend(v2.map(|text| extension("1.3.6.1.4.1.57264.1.8", false, &utf8(text))));
        let key = key("signer");
        let spec = Spec {
            serial: 1,
            subject: "",
            issuer: "Example root",
            validity: long(),
            key: super::sigstore::spki(&key),
            extensions,
        };
        let parsed = SignerCertificate::parse(&certificate(&spec, &key), &[]).unwrap();
        let identity = parsed.identity().unwrap();
        assert_eq!(
            (identity.names.len(), identity.issuer.as_deref()),
            (names, issuer),
            "{name:?} {v1:?} {v2:?}"
        );
    }
}
