//! What is too much of a bundle is refused by its name, before much of it is kept.

use super::*;

fn parsed(text: &str) -> String {
    match Bundle::parse(text.as_bytes()) {
        Ok(_) => "good".to_owned(),
        Err(BundleError::Format(FormatError::Json(error))) => error.to_string(),
        Err(BundleError::Format(error)) => error.to_string(),
        Err(other) => other.to_string(),
    }
}

/// A bundle of a message signature with these fields in its material.
fn with_material(version: &str, fields: &str) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle+json;version={version}","messageSignature":{{"signature":"AAAA"}},"verificationMaterial":{{{fields}}}}}"#
    )
}

fn list(item: &str, count: usize) -> String {
    format!("[{}]", vec![item; count].join(","))
}

fn entry(fields: &str) -> String {
    format!(
        r#"{{"logId":{{"keyId":"AAAA"}},"kindVersion":{{"kind":"dsse","version":"0.0.1"}},"inclusionPromise":{{"signedEntryTimestamp":"AAAA"}},{fields}}}"#
    )
}

#[test]
fn each_list_and_part_has_its_limit() {
    let certificates = |count, bytes: usize| {
        let certificate = format!(r#"{{"rawBytes":"{}"}}"#, "AAAA".repeat(bytes / 3));
        format!(r#""x509CertificateChain":{{"certificates":{}}}"#, list(&certificate, count))
    };
    let stamps = |count, bytes: usize| {
        let stamp = |number: usize| {
            let bytes = "AAAA".repeat(bytes / 3);
            format!(r#"{{"signedTimestamp":"{}{bytes}"}}"#, field_text(number))
        };
        let stamps: Vec<String> = (0..count).map(stamp).collect();
        format!(
            r#""publicKey":{{}},"timestampVerificationData":{{"rfc3161Timestamps":[{}]}}"#,
            stamps.join(",")
        )
    };
    let body = |bytes: usize| {
        let body = "AAAA".repeat(bytes / 3);
        format!(r#""publicKey":{{}},"tlogEntries":[{}]"#, entry(&format!(r#""canonicalizedBody":"{body}""#)))
    };
    let entries = |count: usize| {
        let entries: Vec<String> = (0..count)
            .map(|number| entry(&format!(r#""logIndex":"{number}","canonicalizedBody":"AAAA""#)))
            .collect();
        format!(r#""publicKey":{{}},"tlogEntries":[{}]"#, entries.join(","))
    };
    let proof = |fields: String| {
        let proof = format!(r#""canonicalizedBody":"AAAA","inclusionProof":{{{fields}}}"#);
        format!(r#""publicKey":{{}},"tlogEntries":[{}]"#, entry(&proof))
    };
    let hash = format!("\"{}=\"", "A".repeat(43));
    for (what, good, bad) in [
        ("more than 32 certificates", certificates(32, 3), certificates(33, 3)),
        ("its certificates is larger than 65536 bytes", certificates(1, 65_535), certificates(1, 65_538)),
        ("more than 32 rfc3161Timestamps", stamps(32, 3), stamps(33, 3)),
        ("its signedTimestamp is larger than 65536 bytes", stamps(1, 65_532), stamps(1, 65_538)),
        ("more than 32 tlogEntries", entries(32), entries(33)),
        ("its canonicalizedBody is larger than 1048576 bytes", body(1_048_575), body(1_048_578)),
        (
            "more than 64 hashes",
            proof(format!(r#""hashes":{}"#, list(&hash, 64))),
            proof(format!(r#""hashes":{}"#, list(&hash, 65))),
        ),
        (
            "its checkpoint is larger than 65536 bytes",
            proof(format!(r#""checkpoint":{{"envelope":"{}"}}"#, "a".repeat(65_536))),
            proof(format!(r#""checkpoint":{{"envelope":"{}"}}"#, "a".repeat(65_537))),
        ),
    ] {
        assert_eq!(parsed(&with_material("0.1", &good)), "good", "{what}");
        let said = parsed(&with_material("0.1", &bad));
        assert!(said.contains(what), "{what}: {said}");
    }
}

/// Four letters of base64, others for each number.
fn field_text(number: usize) -> String {
    format!("{:04}", 1000 + number)
}

#[test]
fn many_values_end_the_reading() {
    let many = |item: &str| list(item, 200_000);
    for text in [
        with_material("0.3", &format!(r#""tlogEntries":{}"#, many("{}"))),
        with_material("0.3", &format!(r#""unknown":{}"#, many("[]"))),
        with_material(
            "0.3",
            &format!(r#""tlogEntries":[{{"inclusionProof":{{"hashes":{}}}}}]"#, many("\"\"")),
        ),
        format!(r#"{{"dsseEnvelope":{{"signatures":{}}}}}"#, many("{}")),
        many("0"),
    ] {
        let said = parsed(&text);
        assert!(said.contains("takes more than"), "{}: {said}", text.get(..40).unwrap_or_default());
    }
    let twice = with_material("0.3", r#""publicKey":{"hint":"a","hint":"b"}"#);
    assert!(parsed(&twice).contains("appears twice"));
}

#[test]
fn one_large_payload_is_read() {
    let text = format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{{"publicKey":{{}}}},"dsseEnvelope":{{"payloadType":"a","payload":"{}","signatures":[{{"sig":"AAAA"}}]}}}}"#,
        "AAAA".repeat(8 * 1024 * 1024)
    );
    assert_eq!(parsed(&text), "good");
}
