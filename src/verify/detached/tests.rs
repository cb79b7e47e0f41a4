//! Every form, and every other thing that lies in its place.

use super::*;
use crate::explain::Explain as _;

/// As long as a P-256 signature, in a few bytes that aren't text.
const SIGNATURE: &[u8] = &[0x30, 0x45, 0x02, 0x21, 0x00, 0xff, 0x80, 0x01, 0x02, 0x03];

fn certificate() -> String {
    let pem = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys/p256.crt");
    std::fs::read_to_string(pem).unwrap()
}

fn der() -> Vec<u8> {
    CertificateDer::pem_slice_iter(certificate().as_bytes()).next().unwrap().unwrap().to_vec()
}

#[test]
fn a_signature_is_read_in_each_form_and_another_thing_is_named() {
    let text = STANDARD.encode(SIGNATURE);
    let lines = format!("{}\r\n{}\n", &text[..8], &text[8..]);
    for good in [text.as_bytes(), format!("  {text}\n\n").as_bytes(), lines.as_bytes(), SIGNATURE] {
        assert_eq!(signature(good).unwrap(), SIGNATURE);
    }
    for (bad, says) in [
        ("", "empty"),
        (" \n\t\r\n", "empty"),
        ("-----BEGIN PGP SIGNATURE-----\n\niQ==\n", "OpenPGP"),
        ("-----BEGIN SSH SIGNATURE-----\nU1NI\n", "SSH"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", "a certificate"),
        ("-----BEGIN PUBLIC KEY-----\nMFkw\n", "PEM"),
        ("untrusted comment: signature from minisign\nRUQ=\n", "minisign"),
        ("{\"a\":1}", "JSON"),
        ("this is no signature", "text, and not base64"),
    ] {
        for form in [bad.to_owned(), STANDARD.encode(bad)] {
            // A text in base64 is bytes like any others.
            let Err(error) = signature(form.as_bytes()) else {
                assert!(says.starts_with("text"), "{form}");
                continue;
            };
            assert!(error.to_string().contains(says) && error.hint().is_some(), "{form}: {error}");
        }
    }
}

#[test]
fn certificates_are_read_in_each_form() {
    let (pem, der) = (certificate(), der());
    for good in [
        pem.clone().into_bytes(),
        STANDARD.encode(&pem).into_bytes(),
        format!("{}\n", STANDARD.encode(&pem)).into_bytes(),
        der.clone(),
        STANDARD.encode(&der).into_bytes(),
    ] {
        assert_eq!(certificates(&good).unwrap(), std::slice::from_ref(&der));
    }
    assert_eq!(certificates(pem.repeat(CERTIFICATES).as_bytes()).unwrap().len(), CERTIFICATES);
    for bad in [
        String::new(),
        "x".to_owned(),
        pem.replace("CERTIFICATE", "PUBLIC KEY"),
        pem.repeat(CERTIFICATES + 1),
        pem.replacen("MII", "!!!", 1),
    ] {
        assert!(certificates(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_timestamp_is_read_in_each_form() {
    let token = [0x30, 0x03, 0x02, 0x01, 0x00];
    let json = json!({ "SignedRFC3161Timestamp": STANDARD.encode(token) }).to_string();
    for good in [json.as_bytes(), STANDARD.encode(token).as_bytes(), &token, format!(" {json}\n").as_bytes()]
    {
        assert_eq!(timestamp(good).unwrap(), token);
    }
    for bad in [
        "",
        "{}",
        "x",
        "AAAA",
        r#"{"SignedRFC3161Timestamp":"!"}"#,
        r#"{"SignedRFC3161Timestamp":"MA==","SignedRFC3161Timestamp":"MA=="}"#,
    ] {
        assert!(timestamp(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn an_old_bundle_is_told_from_sigstores_and_read_strictly() {
    let key = include_str!("../../../tests/data/keys/p256.pub");
    let signature = STANDARD.encode(SIGNATURE);
    for (cert, is_key) in [
        (certificate(), false),
        (STANDARD.encode(certificate()), false),
        (certificate().repeat(2), false),
        (key.to_owned(), true),
        (STANDARD.encode(key), true),
    ] {
        let text = json!({ "base64Signature": signature, "cert": cert, "rekorBundle": {"a": 1} }).to_string();
        assert!(OldBundle::is_one(text.as_bytes()));
        let old = OldBundle::parse(text.as_bytes()).unwrap();
        assert_eq!((old.signature.as_deref(), old.log.as_deref()), (Some(SIGNATURE), Some(r#"{"a":1}"#)));
        assert_eq!(matches!(old.by, Some(By::Key(_))), is_key);
    }
    let bare = OldBundle::parse(br#"{"base64Signature":"","cert":"","rekorBundle":null}"#).unwrap();
    assert!(bare.signature.is_none() && bare.by.is_none() && bare.log.is_none());
    for other in ["", "{}", "[]", r#"{"mediaType":"x","base64Signature":""}"#, r#"{"dsseEnvelope":{}}"#] {
        assert!(!OldBundle::is_one(other.as_bytes()), "{other}");
    }
    for bad in [
        json!({ "base64Signature": "!" }),
        json!({ "base64Signature": signature, "cert": "no certificate" }),
        json!({ "base64Signature": signature, "cert": certificate().repeat(CERTIFICATES + 1) }),
        json!({ "base64Signature": signature, "more": 1 }),
        json!({ "base64Signature": 1 }),
    ] {
        assert!(OldBundle::parse(bad.to_string().as_bytes()).is_err(), "{bad}");
    }
    let twice = r#"{"base64Signature":"AAAA","base64Signature":"AAAA"}"#;
    assert!(OldBundle::parse(twice.as_bytes()).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), prefix in "(|\\{|0|-----BEGIN |\\{\"base64Signature\":\")") {
        let bytes = [prefix.as_bytes(), &bytes].concat();
        let _ = (signature(&bytes), certificates(&bytes), timestamp(&bytes), OldBundle::is_one(&bytes));
        let _ = (OldBundle::parse(&bytes), contents(&bytes));
    }
}

#[test]
fn an_envelope_is_hashed_as_it_is() {
    let one = json!({"payloadType": "t", "payload": "e30=", "signatures": [{"sig": "AQ=="}]}).to_string();
    for text in [one.clone(), format!("{one}\n"), format!(" \r\n{one} ")] {
        let hash = Stored::Sha256(crate::key::Hash::Sha256.digest(text.as_bytes()));
        for given in [text.clone(), STANDARD.encode(&text), format!("{}\n", STANDARD.encode(&text))] {
            assert_eq!(contents(given.as_bytes()).unwrap().stored, hash, "{given:?}");
        }
    }
    let two = one.replace("]}", ", {\"sig\": \"Ag==\"}]}");
    let two = contents(two.as_bytes()).unwrap();
    assert_eq!((two.each.len(), two.stored), (2, Stored::Several));
}

#[test]
fn bytes_of_a_signature_may_begin_like_json_or_pem() {
    for start in ["{", "-----BEGIN ", "untrusted comment:", " {\"a\":1}"] {
        let mut bytes = start.as_bytes().to_vec();
        bytes.extend([0xff, 0x80, 0xc3].iter().cycle().take(64 - bytes.len()));
        assert_eq!(signature(&bytes).unwrap(), bytes, "{start}");
    }
    assert!(matches!(signature(b"{\"a\":1}"), Err(DetachedError::Other { .. })));
}
