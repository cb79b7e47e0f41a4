//! Keys in other forms than the PEM that cosign writes.

use std::path::Path;

use crate::kit::step::{KEY_PASSWORD, Step, ended, pair};

fn key_data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys").join(name)).unwrap()
}

#[test]
fn keys_in_other_forms_are_named() {
    let step = Step::new();
    step.built("team/app");
    let utf16: Vec<u8> =
        [0xfeff].into_iter().chain(pair().private_pem.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (content, what, action) in [
        (utf16, "it is text in UTF-16", "iconv"),
        (key_data("p256.p12"), "it is a PKCS#12 store", "openssl pkcs12"),
        (key_data("p256.jks"), "it is a Java key store", "keytool"),
        (key_data("p256.openssh"), "OpenSSH", "ssh-keygen -p -N '' -m PKCS8"),
        (br#"{"kty":"EC"}"#.to_vec(), "JSON Web Key", "PEM"),
    ] {
        std::fs::write(step.path("keys/cosign.key"), content).unwrap();
        let ended = step.run(&["sign"]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        for want in ["cannot use signing key", what, action] {
            assert!(ended.stderr.contains(want), "{want:?} is missing:\n{}", ended.stderr);
        }
    }
}

#[test]
fn keys_with_written_out_line_breaks_sign() {
    let pem = &pair().private_pem;
    for text in [
        pem.replace('\n', "\\n"),
        format!("\u{feff}{}", pem.replace('\n', "\r\n")),
        format!("\"{}\"", pem.replace('\n', "\\\\n")),
    ] {
        let step = Step::new();
        let digest = step.built("team/app");
        step.key(&text, KEY_PASSWORD);
        step.sign(&[]);
        assert_eq!(step.payloads("team/app", &digest).len(), 1);
        // From a variable, as a Secret's value gets there.
        let mut command = step.command(&["sign", "--key=env://SIGNING_KEY"]);
        let ended =
            ended(command.env("SIGNING_KEY", &text).env("COSIGN_PASSWORD", KEY_PASSWORD).output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
}
