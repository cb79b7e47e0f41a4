use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use proptest::prelude::*;

use super::*;

/// Private keys as PEM, for each kind of DER.
fn keys() -> Vec<String> {
    let pem = |label: &str, der: &[u8]| {
        let body = STANDARD.encode(der);
        let lines: Vec<&str> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    let rest: Vec<u8> = (0..90_u8).map(|i| i.wrapping_mul(151) ^ 0xa5).collect();
    let of = |head: &[u8]| [head, &rest].concat();
    vec![
        pem("PRIVATE KEY", &of(b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20")),
        pem(
            "PRIVATE KEY",
            &of(b"\x30\x82\x04\xbd\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"),
        ),
        pem(
            "ENCRYPTED PRIVATE KEY",
            &of(b"\x30\x81\xf0\x30\x57\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d\x30\x4a"),
        ),
        pem("EC PRIVATE KEY", &of(b"\x30\x77\x02\x01\x01\x04\x20")),
        pem("RSA PRIVATE KEY", &of(b"\x30\x82\x04\xa3\x02\x01\x00\x02\x82\x01\x01\x00")),
        pem("ENCRYPTED SIGSTORE PRIVATE KEY", &[br#"{"kdf":{"name":"scrypt","#, rest.as_slice()].concat()),
    ]
}

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("---")).collect()
}

/// Fails if `shown` contains any 12 consecutive characters of `secret`.
#[track_caller]
fn is_hidden(shown: &str, secret: &str) {
    let secret: String = secret.chars().filter(|c| !c.is_whitespace()).collect();
    for piece in secret.as_bytes().windows(12) {
        let piece = std::str::from_utf8(piece).unwrap();
        assert!(!shown.contains(piece), "{piece} in {shown}");
    }
    assert!(shown.contains(HIDDEN), "{shown}");
}

#[test]
fn a_private_key_is_hidden_in_every_form() {
    for pem in keys() {
        let body = body(&pem);
        for form in [
            pem.clone(),
            pem.replace('\n', " "),
            pem.replace('\n', ""),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\\\n"),
            pem.replace('\n', "\\u000a"),
            pem.replace('\n', "%0A").replace(' ', "%20"),
            pem.trim_start_matches('-').to_owned(),
        ] {
            let shown = text(&format!("at '{form}' is not a key")).into_owned();
            is_hidden(&shown, &body);
            assert!(shown.starts_with("at '") && shown.ends_with(" is not a key"), "{shown}");
        }
        is_hidden(&text(&pem[..pem.len() / 2]), &body);
        is_hidden(&text(&format!("unix:///tmp/{body}")), &body);
        is_hidden(&text(&format!("k8s://{}", body.replace('+', "%2B").replace('/', "%2F"))), &body);
        for once in [&body, &pem, &format!("\n{pem}"), &format!(" \n{pem}")] {
            let once = if once == &body { once.clone() } else { STANDARD.encode(once) };
            for form in [
                once.clone(),
                STANDARD.encode(&once),
                once.as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n"),
            ] {
                let shown = text(&format!("at \"{form}\" nothing")).into_owned();
                is_hidden(&shown, &form);
                assert!(shown.ends_with("\" nothing"), "{shown}");
                assert!(holds_private_key(&form));
            }
        }
        is_hidden(&text(&URL_SAFE.encode(&pem)), &URL_SAFE.encode(&pem));
    }
}

#[test]
fn an_encrypted_openssl_key_is_hidden_with_its_headers() {
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0011\n\nabcdefghijklmnopqrstuvwxyz\n-----END RSA PRIVATE KEY-----";
    assert_eq!(text(pem), HIDDEN);
}

#[test]
fn a_login_in_a_url_is_hidden() {
    for (before, after) in [
        ("verify https://ci:PW@registry.example/a:1", "verify https://[hidden]@registry.example/a:1"),
        ("http://ci:p@w@host:5000/a@sha256:00", "http://[hidden]@host:5000/a@sha256:00"),
        ("oci://ci:PW@host@sha256:00", "oci://[hidden]@host@sha256:00"),
        ("idle connection: (\"https\", u:PW@host:9)", "idle connection: (\"https\", [hidden]@host:9)"),
        ("https://ci:p/w?x@host/a", "https://[hidden]@host/a"),
        ("https://:PW@host \"https://a%3Ab@c\"", "https://[hidden]@host \"https://[hidden]@c\""),
        (
            r#"Url { username: "u", password: Some("P\"W"), host: x }"#,
            r#"Url { username: "u", password: Some("[hidden]"), host: x }"#,
        ),
    ] {
        assert_eq!(text(before), after);
    }
}

#[test]
fn a_dockerconfigjson_is_hidden() {
    let json = r#"{"auths":{"r.example":{"auth":"Y2k6cHctMTIzNDU2Nzg5MA==","password": "a\"b\\", "IdentityToken" : "x","username":"ci"}}}"#;
    let want = r#"{"auths":{"r.example":{"auth":"[hidden]","password": "[hidden]", "IdentityToken" : "[hidden]","username":"ci"}}}"#;
    assert_eq!(text(json), want);
    let escaped = serde_json::to_string(json).unwrap();
    assert_eq!(text(&escaped), serde_json::to_string(want).unwrap());
    let cut = r#"{"auths":{"r.example":{"auth":"Y2k6cHctMTIz…"#;
    assert_eq!(text(cut), r#"{"auths":{"r.example":{"auth":"[hidden]"#);
    for form in [STANDARD.encode(json), STANDARD_NO_PAD.encode(format!("{{\n  {}", &json[1..]))] {
        is_hidden(&text(&form), &form);
    }
}

#[test]
fn ordinary_text_is_not_redacted() {
    let certificate = rcgen::generate_simple_self_signed(vec!["registry.example".into()]).unwrap();
    let public = certificate.signing_key.public_key_pem();
    let certificate = certificate.cert.pem();
    for plain in [
        "registry.example:5000/team/app:1@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
        "oci://registry.example:5000/app:1@sha256:00",
        "docker://app:1@sha256:00",
        "http://[::1]:5000/a@b",
        "https://github.com/o/r/.github/workflows/x.yml@refs/heads/main",
        "https://github.example:8443/o/r/x.yml@refs/heads/main",
        "https://host:[0-9]+/x@y ssh://git@github.com/o/r spiffe://a/b",
        "it is not PEM: there is no line \"-----BEGIN PRIVATE KEY-----\"",
        "-----BEGIN PRIVATE KEY----- and what follows it",
        "{\"auth\":\"none\"}",
        "{\"auths\":{\"r\":{\"username\":\"ci\"}}}",
        "MEUCIQDsSl4VFQ9qF1Fqk2vJXcmhgLkgJ0iYkq0dQ2y5p4nYQwIgBqyq1bqR1rW5lX1b5nqZp3v1X0y0V6m3n8w2o7c5e4k=",
        "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbXX0=",
        &public,
        &certificate,
        &STANDARD.encode(&public),
        &STANDARD.encode(&certificate),
        &STANDARD.encode(STANDARD.encode(&public)),
        &body(&public),
        &body(&certificate),
    ] {
        assert_eq!(text(plain), plain);
        assert!(!holds_private_key(plain));
    }
}

/// Generates text as in logs: words, names, digests, base64 and quotes.
fn ordinary() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z]{1,14}",
        "[a-z0-9.-]{1,20}(:[0-9]{1,5})?(/[a-z0-9_-]{1,12}){1,3}(:[a-zA-Z0-9_.-]{1,20})?(@sha256:[0-9a-f]{64})?",
        "(https|oci|docker)://[a-z0-9.-]{1,20}(:[0-9]{1,5})?(/[a-z0-9_-]{1,12}){0,3}(@sha256:[0-9a-f]{64})?",
        "[0-9a-f]{64}",
        "[\\[\\]{}(),.:'\"\\\\\n-]{1,5}",
        prop::collection::vec(any::<u8>(), 24..200).prop_map(|mut bytes| {
            // A signature or hash; the next strategy covers 0x30.
            bytes[0] |= 0x80;
            STANDARD.encode(bytes)
        }),
        prop::collection::vec(any::<u8>(), 70..73).prop_map(|mut bytes| {
            bytes[..4].copy_from_slice(&[0x30, 0x45, 0x02, 0x21]);
            STANDARD.encode(bytes)
        }),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.join(" "))
}

proptest! {
    #[test]
    fn generated_ordinary_text_is_unchanged(plain in ordinary()) {
        prop_assert_eq!(text(&plain), plain.as_str());
    }

    #[test]
    fn redacted_json_stays_valid(key in 0..6_usize, before in any::<String>(), after in any::<String>(), nested in 0..3) {
        let auths = format!(r#"{{"auths":{{"r":{{"auth":"{}"}}}}}}"#, "x".repeat(key));
        let mut value = serde_json::json!([before, keys()[key], after, auths, format!("https://u:{after}@x{before}")]);
        for _ in 0..nested {
            value = serde_json::json!({ "auths": value.to_string(), "password": after, "x": before });
        }
        let shown = text(&value.to_string()).into_owned();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{}", shown);
        prop_assert_eq!(text(&shown), shown.as_str());
    }

    #[test]
    fn redaction_is_idempotent(any in any::<String>()) {
        let once = text(&any).into_owned();
        prop_assert_eq!(text(&once), once.as_str());
    }
}

#[test]
fn the_worst_texts_take_linear_time() {
    let long = |part: &str| part.repeat((1 << 17) / part.len());
    for worst in [
        "LS0tLS1CRUdJ ",
        "LS0tLS1CRUdJ",
        "TUM0",
        "TFMw",
        "eyJh",
        "-----BEGIN PRIVATE KEY-----",
        "://a:b/",
        "://",
        "\"auth\":\"",
        "\\",
        "%250A",
        "-----BEGIN PRIVATE KEY-----\nabcdefghijklmno",
    ] {
        let start = std::time::Instant::now();
        let _ = text(&format!("auths{}", long(worst)));
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{worst}: {:?}", start.elapsed());
    }
}
