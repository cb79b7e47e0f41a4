//! Each kind of key with each hash, by all that may be known of the artifact.

use ecdsa::signature::hazmat::PrehashSigner as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};

use super::*;
use crate::explain::Explain as _;

const MESSAGE: &[u8] = b"what the pipeline built\n";

/// Signs a digest by a hash.
type Sign = Box<dyn Fn(Hash, &[u8]) -> Vec<u8>>;

/// A key of each kind that signs any hash.
fn keys() -> Vec<(PublicKey, Sign)> {
    let p256 = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let p384 = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
    let mut secret = [7; 66];
    secret[0] = 0;
    let p521 = p521::ecdsa::SigningKey::from_slice(&secret).unwrap();
    let pem = include_str!("../../../../tests/data/keys/rsa2048.pkcs8.pem");
    let rsa = rsa::PrivateKey::from_pkcs8_pem(pem).unwrap();
    let public = |der: p256::pkcs8::Document| PublicKey::from_der(der.as_bytes()).unwrap();
    vec![
        (
            public(p256.verifying_key().to_public_key_der().unwrap()),
            Box::new(move |_, digest| {
                let signature: p256::ecdsa::Signature = p256.sign_prehash(digest).unwrap();
                signature.to_der().as_bytes().to_vec()
            }),
        ),
        (
            public(p384.verifying_key().to_public_key_der().unwrap()),
            Box::new(move |_, digest| {
                let signature: p384::ecdsa::Signature = p384.sign_prehash(digest).unwrap();
                signature.to_der().as_bytes().to_vec()
            }),
        ),
        (
            public(p521.verifying_key().to_public_key_der().unwrap()),
            Box::new(move |_, digest| {
                let signature: p521::ecdsa::Signature = p521.sign_prehash(digest).unwrap();
                signature.to_der().as_bytes().to_vec()
            }),
        ),
        (
            public(rsa.to_public_key().to_public_key_der().unwrap()),
            Box::new(move |hash, digest| {
                let scheme = match hash {
                    Hash::Sha256 => rsa::Pkcs1v15Sign::new::<sha2::Sha256>(),
                    Hash::Sha384 => rsa::Pkcs1v15Sign::new::<sha2::Sha384>(),
                    Hash::Sha512 => rsa::Pkcs1v15Sign::new::<sha2::Sha512>(),
                };
                rsa.sign(scheme, digest).unwrap()
            }),
        ),
    ]
}

/// The artifact with these bytes, of which these digests are known beside SHA-256.
fn read(bytes: &[u8], wanted: Wanted) -> Artifact {
    Artifact::read(bytes, wanted).unwrap()
}

#[test]
fn each_key_verifies_each_hash_and_that_one_alone_where_one_is_given() {
    for (key, sign) in keys() {
        for hash in Hash::ALL {
            let signature = sign(hash, &hash.digest(MESSAGE));
            let what = format!("{} {hash}", key.algorithm());
            for artifact in [
                Artifact::of(MESSAGE),
                read(MESSAGE, Wanted::DIGESTS),
                read(MESSAGE, Wanted::default().and(hash)),
            ] {
                verify(&key, &artifact, &signature, None).unwrap_or_else(|error| panic!("{what}: {error:?}"));
                for only in Hash::ALL {
                    let verified = verify(&key, &artifact, &signature, Some(only));
                    assert_eq!(verified.is_ok(), only == hash, "{what}, {only} alone: {verified:?}");
                }
            }
            let by_digest = Artifact::of(MESSAGE).by_digest(hash).unwrap();
            assert!(verify(&key, &by_digest, &signature, None).is_ok(), "{what} by its digest");
            let other = Artifact::of(*b"something else");
            assert!(verify(&key, &other, &signature, None).is_err(), "{what} of something else");
            for (stranger, _) in keys().into_iter().filter(|(other, _)| *other != key) {
                assert!(
                    verify(&stranger, &Artifact::of(MESSAGE), &signature, None).is_err(),
                    "{what} by another key"
                );
            }
        }
    }
}

/// What isn't known of a large file is asked for, and only where it can change the verdict.
#[test]
fn a_digest_that_could_change_the_verdict_is_asked_for() {
    for (key, sign) in keys() {
        for hash in Hash::ALL {
            let signature = sign(hash, &hash.digest(MESSAGE));
            for known in Hash::ALL {
                let artifact = read(MESSAGE, Wanted::default().and(known));
                match verify(&key, &artifact, &signature, None) {
                    Ok(()) => assert!(known == hash || hash == Hash::Sha256),
                    Err(error) => {
                        assert!(error.lacks_digest(), "{} {hash}, {known} known: {error:?}", key.algorithm())
                    }
                }
            }
            let error = verify(&key, &read(b"other", Wanted::DIGESTS), &signature, None).unwrap_err();
            assert!(!error.lacks_digest(), "nothing more is to be known: {error:?}");
        }
        let noise = verify(&key, &read(MESSAGE, Wanted::default()), b"noise", None).unwrap_err();
        assert_eq!(noise.check(), "signature");
    }
}

/// An RSA signature can be opened: whose it is, is known even where it is of something else. ECDSA's can't, and its message says what was tried.
#[test]
fn the_message_says_what_is_known() {
    let said =
        |error: &BundleError| std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let (other, all) = (Artifact::of(*b"something else"), keys());
    for (key, sign) in &all {
        let signature = sign(Hash::Sha512, &Hash::Sha512.digest(MESSAGE));
        let error = verify(key, &other, &signature, None).unwrap_err();
        let stranger =
            all.iter().find(|(one, _)| one != key && matches!(one.algorithm(), Algorithm::Rsa { .. }));
        match key.algorithm() {
            Algorithm::Rsa { .. } => {
                assert!(
                    error.is_by_key() && said(&error).contains("over other bytes (their sha512)"),
                    "{error:?}"
                );
                let mut spoilt = signature.clone();
                spoilt[100] ^= 1;
                let error = verify(key, &other, &spoilt, None).unwrap_err();
                assert!(!error.is_by_key(), "{error:?}");
                let error = verify(key, &other, &signature, Some(Hash::Sha256)).unwrap_err();
                assert!(
                    said(&error).contains("sha512") && error.hint().unwrap().contains("digest-algorithm")
                );
            }
            _ => {
                assert!(stranger.is_some() && !error.is_by_key());
                let tried = said(&error);
                assert!(Hash::ALL.iter().all(|hash| tried.contains(hash.name())), "{tried}");
                let error = verify(key, &other, &signature, Some(Hash::Sha384)).unwrap_err();
                assert!(said(&error).ends_with("(tried: sha384)"), "{error:?}");
            }
        }
    }
}

/// SHA-1 and what has no hash at all are well padded, and verify nothing.
#[test]
fn an_rsa_signature_of_another_hash_is_refused_by_its_name() {
    let pem = include_str!("../../../../tests/data/keys/rsa2048.pkcs8.pem");
    let rsa = rsa::PrivateKey::from_pkcs8_pem(pem).unwrap();
    let key = PublicKey::from_der(rsa.to_public_key().to_public_key_der().unwrap().as_bytes()).unwrap();
    let digest = Hash::Sha256.digest(MESSAGE);
    for signature in [
        rsa.sign(rsa::Pkcs1v15Sign::new_unprefixed(), &digest).unwrap(),
        rsa.sign(rsa::Pkcs1v15Sign::new::<sha2::Sha224>(), &digest[..28]).unwrap(),
    ] {
        let error = verify(&key, &Artifact::of(MESSAGE), &signature, None).unwrap_err();
        assert!(error.is_by_key() && !error.lacks_digest(), "{error:?}");
        assert!(matches!(key.open(&signature), Some(Opened::Unknown(_))));
    }
    let named = rsa.sign(rsa::Pkcs1v15Sign::new::<sha2::Sha224>(), &digest[..28]).unwrap();
    assert_eq!(key.open(&named), Some(Opened::Unknown("SHA-224")));
    for size in [0, 1, 255, 257, 256] {
        assert_eq!(key.open(&vec![0xff; size]), None, "{size} bytes");
        assert_eq!(key.open(&vec![0; size]), None, "{size} zeros");
    }
}
