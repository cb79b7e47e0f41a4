//! Signatures over other hashes than SHA-256, and by other keys than P-256's.
//!
//! A case's name says the key and the hash; `of-file` in it: the artifact's digest by that hash is what is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::key::Hash;

use super::cases::{Case, ENTRY, at};
use super::keys::{Kind, rsa_pkcs1, rsa_pss};
use super::recipe::*;
use super::sigstore::*;

pub(crate) fn cases() -> Vec<Case> {
    let pairs = Kind::ALL.into_iter().flat_map(|kind| Hash::ALL.map(|hash| (kind, hash)));
    // What every other case of the corpus is of.
    let pairs = pairs.filter(|pair| *pair != (Kind::P256, Hash::Sha256));
    let mut cases: Vec<Case> = pairs.flat_map(|(kind, hash)| of(kind, hash)).collect();
    cases.extend(registered().map(|(kind, hash)| {
        let (name, why) = (format!("hash-{}-{hash}-of-file-rekor2", kind.name()), "the same in Rekor 2");
        Case::good(
            &name,
            why,
            &Recipe { stamps: vec![Stamp::at(SIGNED)], logged: Logged::Rekor2, ..by(kind, hash) },
        )
    }));
    cases.extend(entries());
    cases.extend(refused());
    cases
}

/// The pairs of Sigstore's registry of algorithms, which Rekor 2 keeps to.
fn registered() -> impl Iterator<Item = (Kind, Hash)> {
    [(Kind::P384, Hash::Sha384), (Kind::P521, Hash::Sha512), (Kind::Rsa, Hash::Sha256)].into_iter()
}

fn by(kind: Kind, hash: Hash) -> Recipe {
    Recipe { leaf: Leaf { kind, ..Leaf::default() }, hash, ..Recipe::rekor1() }
}

/// The flags that say the hash.
fn told(hash: Hash) -> &'static [&'static str] {
    match hash {
        Hash::Sha256 => &["--signature-digest-algorithm", "sha256"],
        Hash::Sha384 => &["--signature-digest-algorithm", "sha384"],
        Hash::Sha512 => &["--signature-digest-algorithm", "sha512"],
    }
}

fn another(hash: Hash) -> Hash {
    if hash == Hash::Sha256 { Hash::Sha512 } else { Hash::Sha256 }
}

fn of(kind: Kind, hash: Hash) -> [Case; 6] {
    let name = |end: &str| format!("hash-{}-{hash}{end}", kind.name());
    let (own, key) = (by(kind, hash), by(kind, hash).with_key());
    let undigested = |case: Case| case.but(|b| *at(b, "/messageSignature/messageDigest") = json!({}));
    [
        Case::good(&name("-of-file"), "a certificate on such a key, and a signature over this hash", &own),
        Case::good(&name("-dsse"), "the same of an attestation", &own.clone().envelope()),
        Case::good(&name("-of-file-key"), "a key, and nothing says the hash", &key),
        Case::good(&name("-of-file-key-told"), "a key, and the hash is said", &key).flags(told(hash)),
        Case::bad(
            &name("-of-file-key-told-another"),
            "signature",
            "another hash is said, which alone counts",
            &key,
        )
        .flags(told(another(hash))),
        undigested(
            Case::bad(
                &name("-of-file-another-artifact"),
                "signature",
                "the signature is over another file",
                &own,
            )
            .of(b"another file\n"),
        ),
    ]
}

/// Changes what is logged, and has the log sign it.
fn logged_anew(bundle: &mut Value, change: impl FnOnce(&mut Value)) {
    let entry = at(bundle, ENTRY);
    let mut body: Value =
        serde_json::from_slice(&STANDARD.decode(entry["canonicalizedBody"].as_str().unwrap()).unwrap())
            .unwrap();
    change(&mut body);
    *entry = entry_v1("hashedrekord", "0.0.1", &body, SIGNED);
}

fn entries() -> Vec<Case> {
    let hash = "/spec/data/hash";
    let wrong = |name: &str, why, change: fn(&mut Value)| {
        let name = format!("hash-p256-sha512-of-file-entry-{name}");
        Case::bad(&name, "log entry", why, &by(Kind::P256, Hash::Sha512))
            .but(|b| logged_anew(b, |body| change(body.pointer_mut(hash).unwrap())))
    };
    vec![
        wrong("of-another", "the SHA-512 digest that is logged is of something else", |logged| {
            logged["value"] = json!(hex(&Hash::Sha512.digest(b"other")));
        }),
        wrong("algorithm", "the digest that is logged is not of the hash that the entry names", |logged| {
            logged["algorithm"] = json!("sha384");
        }),
        wrong("cut", "half of the digest is logged", |logged| {
            let half = hex(&Hash::Sha512.digest(ARTIFACT))[..64].to_owned();
            logged["value"] = json!(half);
        }),
    ]
}

/// `sha1sum` of the artifact.
const SHA1: &str = "17be1f883a47875b2621eb6982ea096d6db04af9";

fn refused() -> Vec<Case> {
    let signed = |name: &str, why: &str, signature: Vec<u8>| {
        let recipe = Recipe { signature: Some(signature), ..by(Kind::Rsa, Hash::Sha256) };
        let by_key = recipe.clone().with_key();
        [
            Case::bad(&format!("hash-rsa-{name}"), "signature", why, &recipe),
            Case::bad(&format!("hash-rsa-{name}-key"), "signature", why, &by_key),
        ]
    };
    let sha1: Vec<u8> =
        (0..20).map(|at| u8::from_str_radix(&SHA1[2 * at..2 * at + 2], 16).unwrap()).collect();
    let raw = sha256(ARTIFACT);
    let mut cases = Vec::new();
    cases.extend(signed(
        "pss",
        "an RSA-PSS signature, which Sigstore does not have by default",
        rsa_pss(ARTIFACT),
    ));
    cases.extend(signed(
        "sha1",
        "SHA-1, of which two files may have the same digest",
        rsa_pkcs1("1.3.14.3.2.26", &sha1),
    ));
    cases.extend(signed(
        "unknown-hash",
        "SHA-224, which no Sigstore client signs",
        rsa_pkcs1("2.16.840.1.101.3.4.2.4", &raw[..28]),
    ));
    cases.extend(signed(
        "digest-cut",
        "a SHA-256 digest of which half is there",
        rsa_pkcs1("2.16.840.1.101.3.4.2.1", &raw[..16]),
    ));
    cases
}
