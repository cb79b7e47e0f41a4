//! Several trusted roots in one file, and what a policy waives for one of them.

use std::sync::Arc;

use serde_json::{Value, json};
use stepseal::verify::bundle::{
    Artifact, Bundle, BundleError, IdentityPolicy, LogError, Match, Policy, SctError, Signer, TrustError,
    TrustMaterial, Verified, Verifier, Waivers,
};

use super::asn1::{extension, seq, tlv};
use super::recipe::{ARTIFACT, Logged, Recipe};
use super::sigstore::{
    IDENTITY, ISSUER, Leaf, SIGNED, Spec, Stamp, YEAR, base64, certificate, key, pem, spki,
};

/// The trusted root of the Sigstore that the corpus is from.
pub(crate) fn strict() -> Value {
    Recipe::rekor1().trusted_root()
}

/// Another one, in the shape of GitHub's: an authority and a timestamp authority, no logs.
pub(crate) fn weak() -> Value {
    let extensions = vec![
        extension("2.5.29.19", true, &seq(&[tlv(1, &[0xff])])),
        extension("2.5.29.15", true, &[3, 2, 1, 6]),
    ];
    let own = key("weak");
    let name = "Example intermediate";
    let validity = (SIGNED - YEAR, SIGNED + YEAR);
    let root = certificate(
        &Spec { serial: 8, subject: name, issuer: name, validity, key: spki(&own), extensions },
        &own,
    );
    let mut weak = strict();
    weak["tlogs"] = json!([]);
    weak["ctlogs"] = json!([]);
    weak["certificateAuthorities"][0]["uri"] = "weak.example".into();
    weak["certificateAuthorities"][0]["certChain"]["certificates"] = json!([{ "rawBytes": base64(root) }]);
    weak
}

/// A signature as GitHub makes them: neither SCT nor log entry, and a timestamp.
pub(crate) fn unlogged() -> Recipe {
    let leaf = Leaf { issued_by: "weak", sct: None, ..Leaf::default() };
    Recipe { leaf, logged: Logged::Nowhere, stamps: vec![Stamp::at(SIGNED)], ..Recipe::rekor1() }
}

pub(crate) fn lines(roots: &[Value]) -> Vec<u8> {
    roots.iter().map(|root| format!("{root}\n")).collect::<String>().into_bytes()
}

fn identity() -> Policy {
    let (identity, issuer) = (Match::exact(IDENTITY), Match::exact(ISSUER));
    Policy::new(Signer::Identity(IdentityPolicy::new(identity, issuer)))
}

fn verify(trust: TrustMaterial, policy: Policy, recipe: &Recipe) -> Result<Verified, BundleError> {
    let bundle = Bundle::parse(recipe.bundle().to_string().as_bytes())?;
    Verifier::new(Arc::new(trust), policy).verify(&bundle, &Artifact::of(ARTIFACT))
}

/// Both roots; of what the weak one vouches for these aren't demanded.
fn both(sct: bool, log: bool) -> TrustMaterial {
    let file = TrustMaterial::parse(&lines(&[strict(), weak()])).unwrap();
    let strict = file.clone().chosen(Some("ca.example"), Waivers::default()).unwrap();
    let weak = file.chosen(Some("weak.example"), Waivers { sct, log }).unwrap();
    TrustMaterial::together(vec![strict, weak]).unwrap()
}

#[test]
fn trusted_roots_are_read_however_they_are_laid_out() {
    let (one, two) = (strict().to_string(), weak().to_string());
    let pretty = |root: &Value| serde_json::to_string_pretty(root).unwrap();
    let (pretty_one, pretty_two) = (pretty(&strict()), pretty(&weak()));
    for file in [
        format!("{one}\n{two}\n"),
        format!("{two}\n{one}"),
        format!("\u{feff}{one}\r\n{two}\r\n"),
        format!("\n\n{one}\n \n{two}\n\n"),
        format!("{pretty_one}\n{pretty_two}\n"),
        format!("{two}{one}"),
        format!("{one}\n{one}\n"),
        format!("\u{feff}{pretty_one}"),
    ] {
        let trust = TrustMaterial::parse(file.as_bytes()).unwrap();
        verify(trust, identity(), &Recipe::rekor1()).unwrap();
    }
}

#[test]
fn a_bad_line_makes_the_file_unusable_and_is_named() {
    let one = strict().to_string();
    for (file, line) in [
        (format!("{one}\n{{\"mediaType\":"), "line 2"),
        (format!("{one}\n\n{{}}\n"), "line 3"),
        (format!("{one}\n{}\n{one}", one.replace("\"start\"", "\"stop\"")), "line 2"),
        (format!("{one}\n{}\n", Recipe::rekor1().bundle()), "line 2: this is a Sigstore bundle"),
        (format!("{one}\nrest"), "line 2"),
    ] {
        let error = TrustMaterial::parse(file.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(line), "{error}");
    }
    assert!(matches!(TrustMaterial::parse(&lines(&vec![weak(); 33])), Err(TrustError::Lines(_))));
}

#[test]
fn what_one_root_vouches_for_counts_nothing_beside_another() {
    for list in ["certificateAuthorities", "tlogs", "ctlogs", "timestampAuthorities"] {
        let (mut one, mut two) = (strict(), strict());
        for other in ["certificateAuthorities", "tlogs", "ctlogs", "timestampAuthorities"] {
            if other == list {
                one[other] = json!([]);
            } else {
                two[other] = json!([]);
            }
        }
        let recipe = Recipe::rekor2();
        verify(TrustMaterial::parse(&lines(&[strict()])).unwrap(), identity(), &recipe).unwrap();
        for roots in [[one.clone(), two.clone()], [two, one]] {
            let trust = TrustMaterial::parse(&lines(&roots)).unwrap();
            assert!(verify(trust, identity(), &recipe).is_err(), "{list} of another root");
        }
    }
}

#[test]
fn the_reason_is_that_of_the_root_which_the_signature_is_from() {
    let no_sct = Leaf { sct: None, ..Leaf::default() };
    for roots in [[strict(), weak()], [weak(), strict()]] {
        let trust = || TrustMaterial::parse(&lines(&roots)).unwrap();
        let error = verify(trust(), identity(), &Recipe { leaf: no_sct.clone(), ..Recipe::rekor1() });
        assert!(matches!(error, Err(BundleError::Sct(SctError::Missing))), "{error:?}");
        let mut demands = identity();
        demands.ignore_tlog = true;
        let error = verify(trust(), demands, &unlogged());
        assert!(matches!(error, Err(BundleError::Sct(SctError::Missing))), "{error:?}");
    }
}

#[test]
fn a_log_in_two_roots_has_one_key() {
    let mut other = weak();
    other["tlogs"] = strict()["tlogs"].clone();
    assert!(TrustMaterial::parse(&lines(&[strict(), other.clone()])).is_ok());
    for list in ["tlogs", "ctlogs"] {
        let mut other = weak();
        other[list] = strict()[list].clone();
        other[list][0]["publicKey"]["rawBytes"] = base64(spki(&key("somebody"))).into();
        let error = TrustMaterial::parse(&lines(&[strict(), other])).unwrap_err();
        assert!(matches!(error, TrustError::TwoKeys { .. }), "{list}: {error}");
    }
}

#[test]
fn a_root_waives_for_its_own_certificates_what_is_missing_and_nothing_else() {
    let verified = verify(both(true, true), identity(), &unlogged()).unwrap();
    let waived = verified.waived.unwrap();
    assert_eq!((waived.root.as_str(), waived.what), ("weak.example", Waivers { sct: true, log: true }));
    // What is there isn't waived.
    assert_eq!(verify(both(true, true), identity(), &Recipe::rekor1()).unwrap().waived, None);
    let refused = |trust, recipe: &Recipe| verify(trust, identity(), recipe).unwrap_err();
    let error = refused(both(false, false), &unlogged());
    assert!(matches!(error, BundleError::NoLogEntry), "{error}");
    let error = refused(both(true, false), &unlogged());
    assert!(matches!(error, BundleError::NoLogEntry), "{error}");
    let error = refused(both(false, true), &unlogged());
    assert!(matches!(error, BundleError::Sct(SctError::Missing)), "{error}");
    // Certificates of the other root need all of it.
    let strict_leaf = Leaf { sct: None, ..Leaf::default() };
    let error = refused(both(true, true), &Recipe { leaf: strict_leaf, ..Recipe::rekor1() });
    assert!(matches!(error, BundleError::Sct(SctError::Missing)), "{error}");
    let error = refused(both(true, true), &Recipe { leaf: Leaf::default(), ..unlogged() });
    assert!(matches!(error, BundleError::NoLogEntry), "{error}");
    // Nothing else proves the time.
    let error = refused(both(true, true), &Recipe { stamps: Vec::new(), ..unlogged() });
    assert!(matches!(error, BundleError::NoTime { timestamp: true }), "{error}");
    // An entry of a log that the root doesn't have is as none; the timestamp proves the time.
    let logged = Recipe { logged: Logged::Rekor1, ..unlogged() };
    assert!(verify(both(true, true), identity(), &logged).unwrap().waived.unwrap().what.log);
    let error = refused(both(true, false), &logged);
    assert!(matches!(error, BundleError::Log { source: LogError::UnknownLog, .. }), "{error}");
}

#[test]
fn nothing_is_waived_for_a_key() {
    let key = stepseal::key::PublicKey::from_pem(&pem("PUBLIC KEY", &spki(&key("signer")))).unwrap();
    let policy = Policy::new(Signer::Key(Box::new(key)));
    let recipe = Recipe { logged: Logged::Nowhere, ..Recipe::rekor1().with_key() };
    let error = verify(both(true, true), policy, &recipe).unwrap_err();
    assert!(matches!(error, BundleError::NoLogEntry), "{error}");
}

#[test]
fn a_timestamp_of_the_other_root_does_not_stand_in_for_the_log() {
    let mut own = weak();
    own["timestampAuthorities"][0]["certChain"]["certificates"] =
        weak()["certificateAuthorities"][0]["certChain"]["certificates"].clone();
    let file = TrustMaterial::parse(&lines(&[strict(), own])).unwrap();
    let strict = file.clone().chosen(Some("ca.example"), Waivers::default()).unwrap();
    let weak = file.chosen(Some("weak.example"), Waivers { sct: true, log: true }).unwrap();
    let trust = TrustMaterial::together(vec![strict, weak]).unwrap();
    assert!(verify(trust, identity(), &unlogged()).is_err());
}

#[test]
fn it_must_be_said_for_which_root_less_is_demanded() {
    let file = || TrustMaterial::parse(&lines(&[strict(), weak()])).unwrap();
    let all = Waivers { sct: true, log: true };
    assert!(matches!(file().chosen(None, all), Err(TrustError::Which { count: 2 })));
    let error = file().chosen(Some("nowhere.example"), all).unwrap_err();
    assert!(
        matches!(&error, TrustError::NoAuthority { there, .. } if there == "ca.example, weak.example"),
        "{error}"
    );
    let mut stampless = weak();
    stampless["timestampAuthorities"] = json!([]);
    let stampless = || TrustMaterial::parse(&lines(&[stampless.clone()])).unwrap();
    assert!(matches!(stampless().chosen(None, all), Err(TrustError::NoStamps)));
    assert!(stampless().chosen(None, Waivers { sct: true, log: false }).is_ok());
    // One root with both authorities: only the one that is named counts.
    let mut merged = strict();
    let other = weak()["certificateAuthorities"][0].clone();
    merged["certificateAuthorities"].as_array_mut().unwrap().push(other);
    let merged = TrustMaterial::parse(&lines(&[merged])).unwrap();
    let chosen = merged.chosen(Some("WEAK.example"), all).unwrap();
    assert!(verify(chosen.clone(), identity(), &unlogged()).is_ok());
    assert!(verify(chosen, identity(), &Recipe { leaf: Leaf::default(), ..unlogged() }).is_err());
    let demanding = both(true, true).demanding_log();
    assert!(matches!(verify(demanding, identity(), &unlogged()), Err(BundleError::NoLogEntry)));
}
