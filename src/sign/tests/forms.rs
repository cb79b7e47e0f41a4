//! Keys in other forms than PEM as cosign writes it: which are read, and what is said of the others.

use super::errors::unusable;
use super::*;

fn utf16(text: &str, mark: &[u8], unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    mark.iter().copied().chain(text.encode_utf16().flat_map(unit)).collect()
}

fn der(name: &str) -> Vec<u8> {
    pem_rfc7468::decode_vec(&bytes(name)).unwrap().1
}

/// The base64 of a file, without the lines around it.
fn body(name: &str) -> String {
    text(name).lines().filter(|line| !line.starts_with('-')).collect()
}

#[test]
fn line_breaks_and_marks_of_every_kind_are_read() {
    let escaped = |text: &str, as_text: &str| text.trim_end().replace('\n', as_text);
    let forms: &[fn(&str) -> String] = &[
        |pem| format!("\u{feff}{pem}"),
        |pem| format!("\u{feff}{}", pem.replace('\n', "\r\n")),
        |pem| pem.replace('\n', "\r"),
        |pem| pem.replace('\n', "\\n"),
        |pem| pem.replace('\n', "\\r\\n"),
        |pem| pem.replace('\n', "\\\\n"),
        // As a line of an .env file, and as a JSON string.
        |pem| format!("COSIGN_KEY=\"{}\"\n", pem.replace('\n', "\\n")),
        |pem| serde_json::to_string(pem).unwrap(),
        // The lines broken and written out, too.
        |pem| pem.replace('\n', "\\n\n"),
        |pem| format!("  \t{}", pem.replace('\n', "\n  \t")),
        |pem| pem.replace('\n', "\n\n"),
        |pem| pem.trim_end().to_owned(),
    ];
    for (at, form) in forms.iter().enumerate() {
        for (private, public) in [("p256.pkcs8.pem", "p256.pub"), ("rsa2048.pkcs1.pem", "rsa2048.pub")] {
            let key = parse_private(form(&text(private)).as_bytes());
            let Ok(ParsedKey::Open(key)) = key else { panic!("{private} in form {at}: {key:?}") };
            let public = PublicKey::from_pem(&form(&text(public))).unwrap();
            assert_eq!(*key.public_key(), public, "{private} in form {at}");
        }
        let sealed = form(&text("cosign-empty.key"));
        assert!(matches!(parse_private(sealed.as_bytes()), Ok(ParsedKey::Sealed(_))), "form {at}");
    }
    // Another backslash is damage: what it stands for isn't known.
    for damage in ["\\t", "\\x0a", "\\u000a", "\\ n", "\\"] {
        let broken = escaped(&text("p256.pkcs8.pem"), damage);
        assert!(
            matches!(
                parse_private(broken.as_bytes()),
                Err(Malformed::Base64 { .. } | Malformed::Truncated { .. })
            ),
            "{damage}"
        );
    }
}

#[test]
fn a_public_key_of_pkcs1_is_the_same_key() {
    let key = PublicKey::from_pem(&text("rsa2048.pkcs1.pub")).unwrap();
    assert_eq!(key, public("rsa2048.pub"));
    let both = text("rsa2048.pkcs1.pub") + &text("rsa2048.pub");
    let several = PublicKey::parse(both.as_bytes()).unwrap_err();
    assert_eq!(several, Malformed::Several { count: 2, kind: "public" });
}

/// What is said of a file in the private key's place: its first line, and the action in it.
#[test]
fn each_other_form_is_named_with_what_to_do() {
    let plain = text("p256.pkcs8.pem");
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","d":"hunter2"}"#;
    let inside = String::from_utf8(der("cosign.key")).unwrap();
    let secret = "apiVersion: v1\nkind: Secret\ndata:\n  cosign.key: aHVudGVyMg==\n";
    for (content, what, action) in [
        (utf16(&plain, b"\xff\xfe", u16::to_le_bytes), "it is text in UTF-16", "iconv -f UTF-16 -t"),
        (utf16(&plain, b"\xfe\xff", u16::to_be_bytes), "it is text in UTF-16", "iconv -f UTF-16 -t"),
        (utf16(&plain, b"", u16::to_le_bytes), "it is text in UTF-16", "iconv -f UTF-16LE -t"),
        (utf16(&plain, b"", u16::to_be_bytes), "it is text in UTF-16", "iconv -f UTF-16BE -t"),
        (utf16(jwk, b"\xff\xfe", u16::to_le_bytes), "it is text in UTF-16", "iconv -f UTF-16 -t"),
        (bytes("p256.p12"), "it is a PKCS#12 store", "openssl pkcs12 -in KEY -nocerts"),
        (bytes("p256.jks"), "it is a Java key store", "keytool -importkeystore"),
        (der("p256.pkcs8.pem"), "it is a private key in DER", "openssl pkey -inform DER -in KEY"),
        (der("p256.sec1.pem"), "it is a private key in DER", "openssl pkey -inform DER -in KEY"),
        (der("rsa2048.pkcs1.pem"), "it is a private key in DER", "openssl pkey -inform DER -in KEY"),
        (der("ed25519.pkcs8.pem"), "it is a private key in DER", "openssl pkey -inform DER -in KEY"),
        (der("p256.pbes2.pem"), "it is an encrypted private key in DER", "stepseal import-key-pair"),
        (der("p256.pub"), "it is a public key in DER", "openssl pkey -pubin -inform DER"),
        (der("rsa2048.pub"), "it is a public key in DER", "openssl pkey -pubin -inform DER"),
        (der("p256.crt"), "it is a certificate in DER", "openssl x509 -inform DER"),
        (bytes("p256.openssh"), "it is a private key in OpenSSH's own form", "ssh-keygen -p -N '' -m PKCS8"),
        (bytes("p256.openssh.pub"), "it is a public key in OpenSSH's own form", "ssh-keygen -e -m PKCS8"),
        (b"ssh-ed25519 AAAA user@host\n".to_vec(), "it is a public key in OpenSSH's own form", "ssh-keygen"),
        (b"PuTTY-User-Key-File-3: ssh-rsa\n".to_vec(), "it is a key in PuTTY's own form", "puttygen"),
        (jwk.into(), "it is a JSON Web Key (JWK)", "PKCS#8"),
        (format!("\u{feff}\n[{jwk}]").into(), "it is a JSON Web Key (JWK)", "PKCS#8"),
        (inside.clone().into(), "it is the inside of an encrypted key", "copy the whole file again"),
        (
            body("p256.pkcs8.pem").into(),
            "it is base64 without the BEGIN and END lines",
            "copy the whole file",
        ),
        (body("cosign.key").into(), "it is base64 without the BEGIN and END lines", "copy the whole file"),
        (secret.into(), "it is a Secret in YAML or JSON", "kubectl get secret"),
    ] {
        let shown = unusable(&content);
        let (cause, hint) = shown.split_once("\n  do:    ").unwrap();
        assert!(cause.starts_with(what), "{what}: {shown}");
        assert!(hint.contains(action), "{what}: {shown}");
        // The same in the public key's place.
        let public = PublicKey::parse(&content).unwrap_err();
        assert!(public.to_string().starts_with(what), "{what}");
        assert!(public.public_hint().is_some(), "{what}");
    }
    let pgp = b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nMC4C\n-----END PGP PRIVATE KEY BLOCK-----\n";
    assert!(unusable(pgp).starts_with("it is an OpenPGP key"));
    let marked = format!("\u{feff}{}", base64::engine::general_purpose::STANDARD.encode(plain));
    assert_eq!(parse_private(marked.as_bytes()).unwrap_err(), Malformed::EncodedTwice);
}

#[test]
fn a_certificate_is_not_taken_for_a_key_in_either_place() {
    let crt = bytes("p256.crt");
    assert!(
        unusable(&crt).contains("it holds a certificate, not a private key\n  do:    give the private key")
    );
    let public = PublicKey::parse(&crt).unwrap_err();
    assert_eq!(public.to_string(), "it holds a certificate, not a public key");
    assert!(public.hint().contains("openssl x509 -in CERTIFICATE -noout -pubkey"));
}

/// The report says how to get the public key, for each source of a key.
#[test]
fn in_a_public_keys_place_the_way_to_the_public_key_is_shown() {
    for (content, action) in [
        (bytes("p256.p12"), "openssl pkcs12 -in KEY -nokeys | openssl x509 -noout -pubkey"),
        (der("p256.pkcs8.pem"), "openssl pkey -inform DER -in KEY -pubout"),
        (der("p256.crt"), "openssl x509 -inform DER -in CERTIFICATE -noout -pubkey"),
        (bytes("p256.openssh"), "ssh-keygen -e -m PKCS8"),
        (bytes("p256.crt"), "openssl x509 -in CERTIFICATE -noout -pubkey"),
        (bytes("p256.pkcs8.pem"), "give the public key: cosign.pub"),
        (bytes("p256.openssh.pub"), "ssh-keygen -e -m PKCS8"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cosign.pub");
        std::fs::write(&path, &content).unwrap();
        for place in [path, folder.path().to_owned()] {
            let error = PublicKeySource::Path(place).read(&|_| None).unwrap_err();
            let shown = Explanation::of(&error).to_string();
            assert!(shown.contains(action), "{action}: {shown}");
        }
        if let Ok(text) = String::from_utf8(content) {
            let shown =
                Explanation::of(&KeyError::PublicKey(PublicKey::from_pem(&text).unwrap_err())).to_string();
            assert!(shown.contains(action), "{action}: {shown}");
        }
    }
}

#[test]
fn a_password_in_utf_16_is_called_that() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    write("cosign.key", &bytes("cosign.key"));
    write("cosign.password", &utf16(PASSWORD, b"\xff\xfe", u16::to_le_bytes));
    let shown = Explanation::of(&unlock(folder.path(), None).unwrap_err()).to_string();
    assert!(shown.contains("the password is text in UTF-16"), "{shown}");
    assert!(shown.contains("used:  password of ") && shown.contains("write it as plain text"), "{shown}");
    // A short password can look like anything.
    write("cosign.password", b"a\0");
    let shown = Explanation::of(&unlock(folder.path(), None).unwrap_err()).to_string();
    assert!(!shown.contains("UTF-16"), "{shown}");
}

#[test]
fn cut_files_of_other_forms_are_no_fault() {
    for name in ["p256.p12", "p256.jks"] {
        let whole = bytes(name);
        for length in 0..whole.len() {
            parse_private(&whole[..length]).unwrap_err();
        }
    }
    for name in ["p256.pkcs8.pem", "p256.pub", "p256.crt", "rsa2048.pkcs1.pem", "p256.pbes2.pem"] {
        let whole = der(name);
        for length in 0..whole.len() {
            parse_private(&whole[..length]).unwrap_err();
        }
    }
}
