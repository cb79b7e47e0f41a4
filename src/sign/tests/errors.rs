//! Each kind of key problem, and the message that the reader of a step log gets.

use super::*;
use crate::exit::ExitCode;

/// What is shown when the key directory holds `files`, with its path written as `DIR`.
fn shown(files: &[(&str, &[u8])], password: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    shown_at(folder.path(), folder.path(), password)
}

fn shown_at(path: &Path, folder: &Path, password: Option<&str>) -> String {
    let error = unlock(path, password).expect_err("an error");
    let explanation = Explanation::of(&error);
    assert_eq!(explanation.exit, ExitCode::Usage, "{explanation}");
    let shown = explanation.to_string().replace(folder.to_str().unwrap(), "DIR");
    // Not a line of any key, and no password.
    for secret in ["MHcC", "MIGH", "MC4C", "eyJr", "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    shown
}

/// What is shown when `content` is x509.pem.
pub(super) fn unusable(content: &[u8]) -> String {
    let shown = shown(&[("x509.pem", content)], None);
    let rest = shown.strip_prefix("error: cannot use signing key DIR/x509.pem\n  cause: ");
    rest.unwrap_or_else(|| panic!("{shown}")).to_owned()
}

/// The JSON of cosign.key with `from` replaced by `to`, in PEM again.
fn container(from: &str, to: &str) -> Vec<u8> {
    let (_, json) = pem_rfc7468::decode_vec(PEM_64.as_bytes()).unwrap();
    let json = String::from_utf8(json).unwrap();
    assert!(json.contains(from), "{json}");
    pem(&json.replacen(from, to, 1))
}

fn pem(json: &str) -> Vec<u8> {
    let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
    pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, json.as_bytes()).unwrap().into_bytes()
}

const PEM_64: &str = include_str!("../../../tests/data/keys/cosign.key");

#[test]
fn nothing_at_the_path() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        shown_at(&folder.path().join("none"), folder.path(), None),
        "error: there is no signing key at DIR/none: it does not exist\n  \
         do:    mount the Secret that holds cosign.key into this step, or name its place with --key or STEPSEAL_KEY"
    );
}

#[test]
fn an_empty_directory_says_what_it_looked_for_and_found() {
    let empty = shown(&[], None);
    assert_eq!(
        empty,
        "error: there is no signing key in DIR: it holds neither cosign.key nor x509.pem, it is empty\n  \
         do:    make a key and fill the Secret with it: stepseal generate-key-pair k8s://NAMESPACE/signing-secrets"
    );
    let other = shown(&[("cosign.pub", b""), ("tls\u{1b}[31m.key", b"hunter2"), ("..hidden", b"")], None);
    assert!(
        other.contains("it holds neither cosign.key nor x509.pem, only cosign.pub, tls\\u{1b}[31m.key\n"),
        "{other}"
    );
    let many: Vec<String> = (0..20).map(|n| format!("f{n:02}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(shown(&many, None).contains("only f00, f01, f02, f03, f04, f05, f06, f07 and 12 more\n"));
}

#[test]
fn two_keys_in_one_directory() {
    assert_eq!(
        shown(&[("cosign.key", b"x"), ("x509.pem", b"x")], None),
        "error: there are two signing keys in DIR: cosign.key and x509.pem\n  \
         do:    leave one of them in the Secret, or name the file to use with --key"
    );
}

#[test]
fn a_link_that_leads_nowhere_and_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("cosign.key");
    std::os::unix::fs::symlink("..data/cosign.key", &key).unwrap();
    assert_eq!(
        shown_at(folder.path(), folder.path(), None),
        "error: cannot read DIR/cosign.key for the signing key\n  cause: No such file or directory (os error 2)\n  \
         do:    it is a link that leads nowhere: mount the Secret anew, and as a whole"
    );
    // A pipe without a writer: reading it would wait for ever.
    std::fs::remove_file(&key).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &key, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    assert_eq!(
        shown_at(folder.path(), folder.path(), None),
        "error: cannot read DIR/cosign.key for the signing key: it is not a regular file\n  \
         do:    put a regular file there, as a mounted Secret does"
    );
}

#[test]
fn a_file_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("cosign.key");
    std::fs::write(&key, b"hunter2").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&key).is_ok() {
        // Root reads everything; the same error, with another cause, from a file in a directory's place.
        let below = key.join("cosign.key");
        assert!(shown_at(&below, folder.path(), None).contains("cause: Not a directory (os error 20)\n"));
        return;
    }
    assert_eq!(
        shown_at(&key, folder.path(), None),
        "error: cannot read DIR/cosign.key for the signing key\n  cause: Permission denied (os error 13)\n  \
         do:    let this step's user read it: defaultMode of the Secret's volume, fsGroup of the pod"
    );
}

#[test]
fn files_larger_than_any_key_or_password() {
    assert_eq!(
        shown(&[("cosign.key", &[b'A'; 65_537])], None),
        "error: cannot read DIR/cosign.key for the signing key: it is larger than 65536 bytes\n  \
         do:    mount the right file: a key has a few kilobytes, a password less"
    );
    let password = shown(&[("cosign.key", &bytes("cosign.key")), ("cosign.password", &[b'A'; 4097])], None);
    assert!(
        password.contains("DIR/cosign.password for the signing key: it is larger than 4096 bytes"),
        "{password}"
    );
}

#[test]
fn wrong_and_missing_passwords() {
    let key = bytes("cosign.key");
    assert_eq!(
        shown(&[("cosign.key", &key), ("cosign.password", b"hunter2")], None),
        "error: the password does not open signing key DIR/cosign.key\n  used:  password of DIR/cosign.password\n  \
         do:    give the password that the key was made with; if it is right, the key file was changed after it was made"
    );
    assert!(
        shown(&[("cosign.key", &key)], Some("hunter2")).contains("\n  used:  password of COSIGN_PASSWORD\n")
    );
    assert_eq!(
        shown(&[("cosign.key", &key)], None),
        "error: signing key DIR/cosign.key is encrypted and no password is given\n  \
         do:    put cosign.password beside it in the Secret, or set COSIGN_PASSWORD (empty, if its password is empty)"
    );
}

#[test]
fn a_public_key_that_belongs_to_another_key() {
    let want = "error: public key DIR/cosign.pub does not belong to signing key DIR/KEY\n  \
                do:    write it anew (stepseal public-key --key cosign.key > cosign.pub), or take it out of the Secret";
    let other = bytes("p384.pub");
    let plain = shown(&[("x509.pem", &bytes("p256.pkcs8.pem")), ("cosign.pub", &other)], None);
    assert_eq!(plain, want.replace("KEY\n", "x509.pem\n"));
    let sealed = shown(&[("cosign.key", &bytes("cosign.key")), ("cosign.pub", &other)], Some(PASSWORD));
    assert_eq!(sealed, want.replace("KEY\n", "cosign.key\n"));
    let swapped =
        shown(&[("x509.pem", &bytes("p256.pkcs8.pem")), ("cosign.pub", &bytes("p256.pkcs8.pem"))], None);
    assert!(
        swapped.starts_with(
            "error: cannot use public key DIR/cosign.pub\n  cause: it holds a private key, not a public key\n"
        ),
        "{swapped}"
    );
}

#[test]
fn another_thing_in_the_private_keys_place() {
    assert_eq!(
        unusable(&bytes("p256.pub")),
        "it holds a public key, not a private key\n  do:    give the private key: cosign.key, not cosign.pub"
    );
    assert_eq!(
        unusable(&bytes("p256.crt")),
        "it holds a certificate, not a private key\n  do:    give the private key that belongs to the certificate"
    );
    let empty = "\n  do:    put a key in PEM there: `cosign generate-key-pair` and `stepseal generate-key-pair` make a private and a public one";
    assert_eq!(unusable(b" \n"), format!("it is empty{empty}"));
    assert_eq!(
        unusable(b"hunter2"),
        format!("it is not PEM: there is no line \"-----BEGIN … KEY-----\"{empty}")
    );
    assert!(unusable(b"\xff\x00hunter2").starts_with("it is binary, not PEM text\n"));
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes("p256.pkcs8.pem"));
    assert_eq!(
        unusable(encoded.as_bytes()),
        "it is PEM text in base64: it was encoded once too often\n  \
         do:    decode it once (base64 -d); in a Secret, PEM goes under stringData, or under data encoded once"
    );
    assert_eq!(
        unusable(&[bytes("p256.pkcs8.pem"), bytes("p256.sec1.pem")].concat()),
        "it holds 2 private keys where one is meant\n  do:    leave one key in it"
    );
    let other = b"-----BEGIN X PRIVATE KEY-----\nMC4C\n-----END X PRIVATE KEY-----\n";
    assert!(
        unusable(other).starts_with("it holds \"X PRIVATE KEY\", which is no key that can be used here\n")
    );
}

#[test]
fn openssl_encryption() {
    for name in ["p256.pbes2.pem", "p256.legacy-encrypted.pem"] {
        assert_eq!(
            unusable(&bytes(name)),
            "it is encrypted the way of OpenSSL, which is not supported; cosign's encryption is\n  \
             do:    decrypt it (openssl pkey -in KEY -out plain.pem), then encrypt it as cosign does: \
             stepseal import-key-pair --key plain.pem",
            "{name}"
        );
    }
}

#[test]
fn a_truncated_file_is_called_that_wherever_it_is_cut() {
    for name in ["p256.pkcs8.pem", "p384.sec1.pem", "rsa2048.pkcs1.pem", "ed25519.pkcs8.pem", "cosign.key"] {
        let pem = bytes(name);
        // From within the BEGIN line to within the END line.
        for length in 12..pem.len() - 2 {
            match parse_private(&pem[..length]) {
                Err(Malformed::Truncated { .. }) => {}
                other => panic!("{name} cut to {length} of {}: {other:?}", pem.len()),
            }
        }
    }
    assert_eq!(
        unusable(&bytes("p256.pkcs8.pem")[..100]),
        "it is cut off: the END line is missing\n  \
         do:    copy the whole file again, with its BEGIN and END lines, without encoding it a second time"
    );
    // Lines lost from the middle: the frame is whole and what it holds isn't.
    let lines = text("cosign.key").lines().map(|line| format!("{line}\n")).collect::<Vec<_>>();
    let short = [&lines[..3], &lines[lines.len() - 1..]].concat().concat();
    assert!(
        unusable(short.as_bytes()).starts_with("it is cut off: the encrypted key inside is not complete\n")
    );
    let lines = text("rsa2048.pkcs8.pem").lines().map(|line| format!("{line}\n")).collect::<Vec<_>>();
    let short = [&lines[..9], &lines[lines.len() - 1..]].concat().concat();
    assert!(unusable(short.as_bytes()).starts_with("it is cut off: the key ends before its own length\n"));
    let half = format!("{}A\n{}", lines[..3].concat(), lines[lines.len() - 1]);
    assert!(
        unusable(half.as_bytes())
            .starts_with("it is cut off: the base64 between BEGIN and END is not complete\n")
    );
}

#[test]
fn damaged_base64_json_and_asn1() {
    let key = text("p256.pkcs8.pem");
    let copy = "\n  do:    copy the whole file again, with its BEGIN and END lines, without encoding it a second time";
    assert_eq!(
        unusable(key.replacen("MIG", "!!!", 1).as_bytes()),
        format!("the base64 of the PEM block is damaged{copy}")
    );
    assert_eq!(
        unusable(&container("{\"kdf\":", "{\"kdf\":[],\"x\":")),
        format!("what is inside the encrypted key is not the JSON that cosign writes (column 9){copy}")
    );
    assert_eq!(
        unusable(&container("\"ciphertext\":\"", "\"ciphertext\":\"*")),
        format!("the base64 of the ciphertext is damaged{copy}")
    );
    assert_eq!(
        unusable(&container("\"salt\":\"", "\"salt\":\"*")),
        format!("the base64 of the salt is damaged{copy}")
    );
    assert_eq!(
        unusable(&container("\"nonce\":\"", "\"nonce\":\"AAAA")),
        format!("its nonce has the wrong length{copy}")
    );
    let short = r#"{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":""},"cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":"AAAA"}"#;
    assert_eq!(unusable(&pem(short)), format!("its ciphertext has the wrong length{copy}"));
    // A SEC1 key under the label of PKCS#8, and the other way round.
    let swapped = text("p256.sec1.pem").replace("EC PRIVATE", "PRIVATE");
    assert!(unusable(swapped.as_bytes()).starts_with("its ASN.1 is not that of a key\n  cause: "));
    let swapped = text("p256.pkcs8.pem").replace("PRIVATE", "EC PRIVATE");
    assert!(unusable(swapped.as_bytes()).starts_with("its ASN.1 is not that of a key\n  cause: "));
}

#[test]
fn scrypt_settings_that_cosign_never_wrote_are_refused_before_deriving() {
    let again = "\n  do:    encrypt the key again as cosign does: stepseal import-key-pair --key KEY";
    for (n, r, p) in [
        ("1048576", "8", "1"),
        ("4611686018427387904", "8", "1"),
        ("65536", "4096", "1"),
        ("65536", "8", "4294967295"),
        ("65535", "8", "1"),
        ("0", "0", "0"),
    ] {
        let key = container(r#""N":65536,"r":8,"p":1"#, &format!(r#""N":{n},"r":{r},"p":{p}"#));
        assert_eq!(
            unusable(&key),
            format!(
                "its scrypt setting is N={n}, r={r}, p={p}; cosign's are N=32768 or N=65536, r=8, p=1{again}"
            )
        );
    }
    assert_eq!(
        unusable(&container("\"scrypt\"", "\"argon\\u001b[2Jid\"")),
        format!("its key derivation function is \"argon\\u{{1b}}[2Jid\"; only \"scrypt\" is known{again}")
    );
    assert_eq!(
        unusable(&container("nacl/secretbox", "aes-gcm")),
        format!("its cipher is \"aes-gcm\"; only \"nacl/secretbox\" is known{again}")
    );
}

#[test]
fn algorithms_and_sizes_that_are_not_signed_with() {
    let new = "\n  do:    make a new key with `cosign generate-key-pair` or `stepseal generate-key-pair`";
    for (name, want) in [
        (
            "k1.pkcs8.pem",
            "its elliptic curve is 1.3.132.0.10 (secp256k1); P-256, P-384 and P-521 are supported",
        ),
        (
            "k1.sec1.pem",
            "its elliptic curve is 1.3.132.0.10 (secp256k1); P-256, P-384 and P-521 are supported",
        ),
        ("p256.explicit.sec1.pem", "its elliptic curve is not given by name"),
        ("p256.explicit.pkcs8.pem", "its elliptic curve is not given by name"),
        ("ed448.pkcs8.pem", "its algorithm is 1.3.101.113 (Ed448); ECDSA, Ed25519 and RSA are supported"),
        (
            "rsapss.pkcs8.pem",
            "its algorithm is 1.2.840.113549.1.1.10 (RSA-PSS); ECDSA, Ed25519 and RSA are supported",
        ),
        ("rsa1024.pkcs8.pem", "it is RSA with 1024 bits; 2048 to 8192 are accepted"),
        ("rsa8200.pkcs8.pem", "it is RSA with 8200 bits; 2048 to 8192 are accepted"),
    ] {
        assert_eq!(unusable(&bytes(name)), format!("{want}{new}"), "{name}");
    }
}

#[test]
fn a_key_whose_parts_do_not_fit_together() {
    // One bit of the private number of a P-256 key; its public key is beside it in the file.
    let (_, mut der) = pem_rfc7468::decode_vec(PLAIN.as_bytes()).unwrap();
    der[50] ^= 1;
    assert_eq!(MemoryKey::from_pkcs8(&der).unwrap_err(), Malformed::Inconsistent);
    let rsa = text("rsa2048.pkcs1.pem");
    let (_, mut der) = pem_rfc7468::decode_vec(rsa.as_bytes()).unwrap();
    der[400] ^= 1;
    assert_eq!(MemoryKey::from_pkcs1(&der).unwrap_err(), Malformed::Inconsistent);
}

const PLAIN: &str = include_str!("../../../tests/data/keys/p256.pkcs8.pem");

#[test]
fn settings_that_name_no_place() {
    let shown = |text: &str| Explanation::of(&text.parse::<KeySource>().unwrap_err()).to_string();
    let places =
        "\n  do:    give a directory (a mounted Secret), a file, env://NAME, or k8s://NAMESPACE/NAME";
    assert_eq!(shown(" "), format!("error: the key setting is empty{places}"));
    // The key itself, given where its place is meant, is not repeated.
    let encoded = base64::engine::general_purpose::STANDARD.encode(PLAIN);
    for key in [PLAIN, &PLAIN.replace('\n', " "), &encoded] {
        assert_eq!(shown(key), format!("error: the key setting holds a key, not the place of one{places}"));
    }
    assert_eq!(
        shown("hashivault://hunter2"),
        format!("error: this version cannot use a signing key from hashivault://{places}")
    );
    let name = format!("error: env:// must be followed by the name of an environment variable{places}");
    for text in ["env://", "env://1A", "env://A-B", "env://A B"] {
        assert_eq!(shown(text), name);
    }
    let unset = KeySource::Env("SIGNING_KEY".into()).read(&|_| None).unwrap_err();
    assert_eq!(
        Explanation::of(&unset).to_string(),
        "error: environment variable SIGNING_KEY, which should hold the signing key, is not set\n  \
         do:    set it from a Secret (env.valueFrom.secretKeyRef) in this step"
    );
}

#[test]
fn public_keys_that_are_none() {
    let cause = |pem: &str| match PublicKey::from_pem(pem).map_err(KeyError::PublicKey) {
        Err(KeyError::PublicKey(cause)) => cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(cause(""), Malformed::Empty);
    assert_eq!(cause(PEM_64), Malformed::PrivateKey);
    assert_eq!(cause(&text("p256.crt")), Malformed::PublicCertificate);
    assert_eq!(cause(&text("p256.pub").repeat(2)), Malformed::Several { count: 2, kind: "public" });
    assert_eq!(cause(&text("rsa1024.pub")), Malformed::RsaSize { bits: 1024 });
    assert_eq!(cause(&text("k1.pub")), Malformed::Curve { oid: "1.3.132.0.10 (secp256k1)".into() });
    // A point that is not on its curve.
    let (_, mut der) = pem_rfc7468::decode_vec(include_bytes!("../../../tests/data/keys/p256.pub")).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let pem = pem_rfc7468::encode_string("PUBLIC KEY", pem_rfc7468::LineEnding::LF, &der).unwrap();
    assert!(matches!(cause(&pem), Malformed::Der(_)));
}
