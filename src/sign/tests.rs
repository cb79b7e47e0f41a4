//! Keys that cosign and OpenSSL made, signatures that they made, and every error as the user sees it.
//!
//! `tests/data/keys/README.md` says how each file was made.

use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::sealed::Cost;
use super::*;
use crate::explain::Explanation;
use crate::key::{Algorithm, Malformed, VerifyError};
use crate::secret::Secret;

mod errors;
mod forms;
mod places;

/// What the test keys of cosign are encrypted with.
const PASSWORD: &str = "test";
const MESSAGE: &[u8] = b"stepseal test message\n";

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

/// A key without encryption.
fn plain(name: &str) -> Box<MemoryKey> {
    match parse_private(&bytes(name)) {
        Ok(ParsedKey::Open(key)) => key,
        other => panic!("{name}: {other:?}"),
    }
}

fn public(name: &str) -> PublicKey {
    PublicKey::from_pem(&text(name)).unwrap()
}

/// Reads and unlocks `path` with `password` in the environment.
fn unlock(path: &Path, password: Option<&str>) -> Result<Box<dyn Signer>, KeyError> {
    let env = |name: &str| password.filter(|_| name == "COSIGN_PASSWORD").map(Secret::new);
    KeySource::Path(path.into()).read(&env)?.unlock()
}

#[test]
fn every_form_of_a_key_is_the_same_key() {
    for (public_name, forms) in [
        ("p256.pub", &["p256.pkcs8.pem", "p256.sec1.pem"][..]),
        ("p384.pub", &["p384.pkcs8.pem", "p384.sec1.pem"]),
        ("p521.pub", &["p521.pkcs8.pem", "p521.sec1.pem"]),
        ("ed25519.pub", &["ed25519.pkcs8.pem"]),
        ("rsa2048.pub", &["rsa2048.pkcs8.pem", "rsa2048.pkcs1.pem"]),
    ] {
        let public = public(public_name);
        assert_eq!(public.to_pem(), text(public_name), "{public_name}");
        for form in forms {
            let key = plain(form);
            assert_eq!(*key.public_key(), public, "{form}");
            let signature = key.sign(MESSAGE).unwrap();
            assert_eq!(signature, key.sign(MESSAGE).unwrap(), "{form}: equal input gives equal bytes");
            assert_eq!(public.verify(MESSAGE, &signature.0), Ok(()), "{form}");
        }
    }
}

#[test]
fn a_block_of_curve_parameters_before_the_key_is_passed_over() {
    assert_eq!(plain("p256.ecparam.pem").public_key().algorithm(), Algorithm::EcdsaP256);
}

#[test]
fn a_key_is_found_between_other_text_and_with_other_line_breaks() {
    let pem = text("p256.pkcs8.pem");
    let public = public("p256.pub");
    for variant in [
        format!("Bag Attributes\n    friendlyName: build\n{pem}"),
        pem.replace('\n', "\r\n"),
        pem.replace('\n', " "),
        pem.lines().map(|line| format!("    {line}\n")).collect(),
        format!("{pem}{}{}", text("p256.pub"), text("p256.crt")),
    ] {
        match parse_private(variant.as_bytes()) {
            Ok(ParsedKey::Open(key)) => assert_eq!(*key.public_key(), public),
            other => panic!("{variant}\n{other:?}"),
        }
    }
}

#[test]
fn keys_that_cosign_encrypted_open() {
    for (key, public_name, password) in [
        ("cosign.key", "cosign.pub", PASSWORD),
        ("cosign-empty.key", "cosign-empty.pub", ""),
        ("cosign-32768.key", "cosign.pub", PASSWORD),
        ("cosign-p384.key", "p384.pub", PASSWORD),
        ("cosign-p521.key", "p521.pub", PASSWORD),
        ("cosign-ed25519.key", "ed25519.pub", PASSWORD),
        ("cosign-rsa2048.key", "rsa2048.pub", PASSWORD),
    ] {
        let signer =
            unlock(&data().join(key), Some(password)).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(*signer.public_key(), public(public_name), "{key}");
    }
    assert!(text("cosign-32768.key").starts_with("-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----"));
}

/// RFC 6979, A.2.6: the message "sample" with SHA-384 on its own curve, of which a caller gives the digest.
#[test]
fn a_digest_is_signed_with_the_nonce_of_its_own_hash() {
    let scalar = hex(
        "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
    );
    let r =
        "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46";
    let s =
        "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8";
    let der = p384::SecretKey::from_slice(&scalar).unwrap().to_sec1_der().unwrap();
    let key = MemoryKey::from_sec1(&der).unwrap();
    let signature = key.sign_digest(Hash::Sha384, &Hash::Sha384.digest(b"sample")).unwrap();
    let want = p384::ecdsa::Signature::from_slice(&[hex(r), hex(s)].concat()).unwrap();
    assert_eq!(signature.0, want.to_der().as_bytes());
    // A digest that is not the hash's is refused, and so is any of a key that signs whole messages.
    assert!(key.sign_digest(Hash::Sha384, &Hash::Sha256.digest(b"sample")).is_err());
    let whole = plain("ed25519.pkcs8.pem");
    assert!(whole.sign_digest(Hash::Sha512, &Hash::Sha512.digest(b"sample")).is_err());
}

/// RFC 6979, A.2.5 to A.2.7: the message "sample" with SHA-256 on each curve.
#[test]
fn nonces_are_those_of_rfc_6979() {
    for (scalar, r, s) in [
        (
            "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
            "21B13D1E013C7FA1392D03C5F99AF8B30C570C6F98D4EA8E354B63A21D3DAA33BDE1E888E63355D92FA2B3C36D8FB2CD",
            "F3AA443FB107745BF4BD77CB3891674632068A10CA67E3D45DB2266FA7D1FEEBEFDC63ECCD1AC42EC0CB8668A4FA0AB0",
        ),
        (
            "00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538",
            "01511BB4D675114FE266FC4372B87682BAECC01D3CC62CF2303C92B3526012659D16876E25C7C1E57648F23B73564D67F61C6F14D527D54972810421E7D87589E1A7",
            "004A171143A83163D6DF460AAF61522695F207A58B95C0644D87E52AA1A347916E4F7A72930B1BC06DBE22CE3F58264AFD23704CBB63B29B931F7DE6C9D949A7ECFC",
        ),
    ] {
        let scalar = hex(scalar);
        let der = match scalar.len() {
            32 => p256::SecretKey::from_slice(&scalar).unwrap().to_sec1_der(),
            48 => p384::SecretKey::from_slice(&scalar).unwrap().to_sec1_der(),
            _ => p521::SecretKey::from_slice(&scalar).unwrap().to_sec1_der(),
        }
        .unwrap();
        let signature = MemoryKey::from_sec1(&der).unwrap().sign(b"sample").unwrap();
        let fixed = [hex(r), hex(s)].concat();
        let want = match scalar.len() {
            32 => p256::ecdsa::Signature::from_slice(&fixed).unwrap().to_der().as_bytes().to_vec(),
            48 => p384::ecdsa::Signature::from_slice(&fixed).unwrap().to_der().as_bytes().to_vec(),
            _ => p521::ecdsa::Signature::from_slice(&fixed).unwrap().to_der().as_bytes().to_vec(),
        };
        assert_eq!(signature.0, want, "{} bytes", scalar.len());
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn signatures_of_openssl_and_cosign_verify() {
    assert_eq!(bytes("signatures/message"), MESSAGE);
    for (public_name, signature) in [
        ("p256.pub", "p256.openssl.sig"),
        ("p384.pub", "p384.openssl.sig"),
        ("p521.pub", "p521.openssl.sig"),
        ("ed25519.pub", "ed25519.openssl.sig"),
        ("rsa2048.pub", "rsa2048.openssl.sig"),
        ("cosign.pub", "cosign.cosign.sig"),
        ("ed25519.pub", "ed25519.cosign.sig"),
        ("rsa2048.pub", "rsa2048.cosign.sig"),
    ] {
        let (key, signature) = (public(public_name), bytes(&format!("signatures/{signature}")));
        assert_eq!(key.verify(MESSAGE, &signature), Ok(()), "{public_name}");
        let mismatch = Err(VerifyError::Mismatch(key.algorithm()));
        assert_eq!(key.verify(b"another message", &signature), mismatch, "{public_name}");
        let malformed = Err(VerifyError::Malformed(key.algorithm()));
        assert_eq!(key.verify(MESSAGE, b""), malformed, "{public_name}");
        assert_eq!(key.verify(MESSAGE, &[&signature[..], b"\0"].concat()), malformed, "{public_name}");
        assert_eq!(key.verify(MESSAGE, &signature[1..]), malformed, "{public_name}");
    }
}

/// cosign 3.1.2 signs with a P-384 key over SHA-384, and verifies over SHA-256: it refuses its own signature, and accepts Stepseal's.
#[test]
fn a_signature_over_sha384_is_refused_as_cosign_verify_refuses_it() {
    let key = public("p384.pub");
    let signature = bytes("signatures/p384.cosign-sha384.sig");
    assert_eq!(key.verify(MESSAGE, &signature), Err(VerifyError::Mismatch(Algorithm::EcdsaP384)));
}

#[test]
fn names_of_a_key_are_those_of_ssh_keygen_and_cosign() {
    for (name, algorithm, key_id, hint) in [
        (
            "p256.pub",
            "ECDSA P-256",
            "TM8e3J3wDFhNV7Noh3FWmrHWOSjpILBSXNL61vWcf/g",
            "SqMEsOdbpscmYkQnN/aG3TMWVYBrgi4Z/Em+mEUUrQM=",
        ),
        (
            "p384.pub",
            "ECDSA P-384",
            "85vsMF4NbiGDCuxc9o+MvuNgrb4W5NFyJHxYoVJYGv4",
            "JWst0n5GJHBn+bLvLvATyNwNNehMrAVFi4BLEzNoFU0=",
        ),
        (
            "p521.pub",
            "ECDSA P-521",
            "KL8kflfdpRL03+Al4ELgjQU+z3vt2osPce84MUHaza8",
            "6NeAfNdz7oMhYn1lX5jHjUyyfBruajY9yl1Fj9sYXSU=",
        ),
        (
            "ed25519.pub",
            "Ed25519",
            "jgyeDcRS0DzE5U1eTrATAqx/PFHShoJ7KCAdgwaRGJs",
            "GbjMIYr/TYGLFjsCIzg9zu4wqFNS+Gir0P4h/b+b+7k=",
        ),
        (
            "rsa2048.pub",
            "RSA 2048",
            "Mbnzn8kQXbAnsiN880XnA9ewnfoiAKpukzkwEfRoSGw",
            "48QBg87lMzVdYM2QfVf3QSoDxSoTFMLr7+4Ckj+HhVM=",
        ),
    ] {
        let key = public(name);
        assert_eq!(key.algorithm().to_string(), algorithm);
        assert_eq!(key.key_id(), format!("SHA256:{key_id}"));
        assert_eq!(key.hint(), hint);
    }
}

#[test]
fn a_generated_pair_belongs_together_and_is_new_each_time() {
    let password = Secret::from("päss word".to_owned());
    let pair = generate(&password).unwrap();
    let pem = pair.private_pem.expose_str().unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
    assert!(pem.lines().all(|line| line.len() <= 64));
    let Ok(ParsedKey::Sealed(sealed)) = parse_private(pem.as_bytes()) else { panic!("not encrypted") };
    let der = sealed.open(&password).unwrap();
    let key = MemoryKey::from_pkcs8(&der).unwrap();
    assert_eq!(key.public_key().to_pem(), pair.public_pem);
    assert_eq!(key.public_key().algorithm(), Algorithm::EcdsaP256);

    // The container is JSON with cosign's fields in cosign's order.
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let json = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let json = String::from_utf8(json).unwrap();
    assert!(
        json.starts_with(r#"{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":""#),
        "{json}"
    );

    let other = generate(&password).unwrap();
    assert_ne!(other.public_pem, pair.public_pem);
}

#[test]
fn debug_of_every_type_shows_no_secret() {
    let pem = bytes("cosign.key");
    let locked = KeySource::Path(data().join("cosign.key")).read(&|_| Some(Secret::new("hunter2"))).unwrap();
    let parsed = parse_private(&pem).unwrap();
    assert_eq!(format!("{parsed:?}"), "Sealed(SealedKey { cost: New, .. })");
    let shown = format!("{locked:?}");
    assert!(shown.ends_with("cosign.key\", state: \"encrypted\", .. }"), "{shown}");
    assert!(!shown.contains("hunter2"));

    let key = plain("p256.pkcs8.pem");
    let signer: &dyn Signer = key.as_ref();
    assert_eq!(
        format!("{signer:?}"),
        "MemoryKey { public: PublicKey(ECDSA P-256, SHA256:TM8e3J3wDFhNV7Noh3FWmrHWOSjpILBSXNL61vWcf/g), .. }"
    );
    for name in ["p384.pkcs8.pem", "p521.pkcs8.pem", "ed25519.pkcs8.pem", "rsa2048.pkcs8.pem"] {
        let shown = format!("{:#?}", parse_private(&bytes(name)).unwrap());
        assert!(shown.len() < 200, "more than the public key's name: {shown}");
    }
    let pair = KeyPair { private_pem: Secret::new(pem), public_pem: String::new() };
    assert_eq!(format!("{pair:?}"), "KeyPair { private_pem: Secret(..), public_pem: \"\" }");
    assert_eq!(format!("{:?}", "env://KEY".parse::<KeySource>().unwrap()), "Env(\"KEY\")");
}

/// For the checks by hand: `KEYS_OUT=DIR cargo test --lib sign::tests::write_for_other_tools -- --ignored` writes a signature by
/// each key and a new key pair; tests/data/keys/README.md has the commands of openssl and cosign that accept them.
#[test]
#[ignore = "writes files for openssl and cosign to check"]
fn write_for_other_tools() {
    let out = PathBuf::from(std::env::var_os("KEYS_OUT").expect("KEYS_OUT names a directory"));
    for name in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        let signature = plain(&format!("{name}.pkcs8.pem")).sign(MESSAGE).unwrap();
        std::fs::write(out.join(format!("{name}.sig")), &signature.0).unwrap();
        std::fs::write(out.join(format!("{name}.b64")), signature.base64()).unwrap();
    }
    let password = Secret::from(PASSWORD.to_owned());
    let pair = generate(&password).unwrap();
    std::fs::write(out.join("new.key"), pair.private_pem.expose()).unwrap();
    std::fs::write(out.join("new.pub"), pair.public_pem).unwrap();
    // The container as cosign wrote it before 2.0.
    let Ok(ParsedKey::Sealed(sealed)) = parse_private(&bytes("cosign.key")) else { panic!("cosign.key") };
    let der = sealed.open(&password).unwrap();
    let old = SealedKey::seal(&der, &password, Cost::Old).unwrap();
    std::fs::write(out.join("cosign-32768.key"), old.replace("SIGSTORE", "COSIGN")).unwrap();
}
