//! Bundles that are wrong: each field changed, parts of two good ones mixed, cut short, proofs in another order.

use super::cases::{Case, ENTRY, at, drop_field, edit, flip, graft};
use super::recipe::*;
use super::sigstore::*;
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = formats();
    cases.extend(contents());
    cases.extend(signers());
    cases.extend(certificates());
    cases.extend(timestamps());
    cases.extend(mixed());
    cases
}

pub(crate) fn path(field: &str) -> String {
    format!("{ENTRY}/{field}")
}

/// A bundle of Rekor 1 with one thing done to it.
pub(crate) fn one(name: &str, check: &'static str, why: &str, change: impl FnOnce(&mut Value)) -> Case {
    Case::bad(name, check, why, &Recipe::rekor1()).but(change)
}

pub(crate) fn two(name: &str, check: &'static str, why: &str, change: impl FnOnce(&mut Value)) -> Case {
    Case::bad(&format!("rekor2-{name}"), check, why, &Recipe::rekor2()).but(change)
}

fn formats() -> Vec<Case> {
    let mut cut = Case::bad("cut-short", "format", "the file ends in its middle", &Recipe::rekor1());
    cut.bundle.truncate(cut.bundle.len() / 2);
    let mut twice = Case::bad(
        "field-twice",
        "format",
        "a field is there twice, and who reads it may take either",
        &Recipe::rekor1(),
    );
    let text = String::from_utf8(twice.bundle.clone()).unwrap();
    twice.bundle = text.replacen("\"mediaType\"", "\"mediaType\": \"x\", \"mediaType\"", 1).into_bytes();
    let chain = |media_type, chain| Recipe { media_type, chain: Some(chain), ..Recipe::rekor1() };
    vec![
        cut,
        twice,
        one("unknown-field", "format", "a field that nobody knows may change what the others mean", |b| {
            b["extra"] = json!(1)
        }),
        one("media-type-unknown", "format", "version 0.4 is not known", |b| {
            edit(b, "/mediaType", "0.3", "0.4")
        }),
        one("media-type-missing", "format", "no version is named", |b| drop_field(b, "/mediaType")),
        one("no-material", "format", "nothing says what to verify with", |b| {
            drop_field(b, "/verificationMaterial")
        }),
        one("no-signature", "format", "there is no signature", |b| {
            drop_field(b, "/messageSignature/signature")
        }),
        one("signature-empty", "format", "the signature is empty", |b| {
            *at(b, "/messageSignature/signature") = json!("")
        }),
        one("signature-not-base64", "format", "the signature is not base64", |b| {
            *at(b, "/messageSignature/signature") = json!("%%%")
        }),
        one("two-contents", "format", "both a signature and an envelope: which of them counts?", |b| {
            b["dsseEnvelope"] = at(&mut Recipe::rekor1().envelope().bundle(), "/dsseEnvelope").clone();
        }),
        one("two-materials", "format", "both a certificate and a key", |b| {
            *at(b, "/verificationMaterial") = {
                let mut material = b["verificationMaterial"].clone();
                material["publicKey"] = json!({"hint": "x"});
                material
            };
        }),
        Case::bad("chain-empty", "format", "the chain has no certificate", &chain(V0_2, vec![]))
            .but(|b| *at(b, "/verificationMaterial/x509CertificateChain/certificates") = json!([])),
        Case::bad(
            "v0.3-with-chain",
            "format",
            "since version 0.3 a certificate comes alone",
            &chain(V0_3, vec![]),
        ),
        Case::bad(
            "v0.1-without-promise",
            "format",
            "version 0.1 must have the log's promise",
            &Recipe { promise: false, ..chain(V0_1, vec![]) },
        ),
        Case::bad(
            "v0.2-without-proof",
            "format",
            "version 0.2 must have a proof",
            &Recipe { proof: false, ..chain(V0_2, vec![]) },
        ),
        Case::bad(
            "v0.3-without-proof",
            "format",
            "version 0.3 must have a proof",
            &Recipe { proof: false, ..Recipe::rekor1() },
        ),
        two("without-proof", "format", "an entry of Rekor 2 without a proof is nothing", |b| {
            drop_field(b, &path("inclusionProof"))
        }),
        one("without-checkpoint", "format", "a proof whose root nobody signed", |b| {
            drop_field(b, &path("inclusionProof/checkpoint"))
        }),
        one("log-index-negative", "format", "an index below zero", |b| {
            *at(b, &path("logIndex")) = json!("-1")
        }),
        one("hash-too-short", "format", "a hash of the proof has 31 bytes", |b| {
            *at(b, &path("inclusionProof/hashes/0")) = json!(base64([7; 31]));
        }),
        one("entry-twice", "format", "the same entry twice is not two", |b| {
            let entry = at(b, ENTRY).clone();
            at(b, "/verificationMaterial/tlogEntries").as_array_mut().unwrap().push(entry);
        }),
        Case::bad(
            "dsse-without-signature",
            "format",
            "an envelope that nobody signed",
            &Recipe::rekor1().envelope(),
        )
        .but(|b| *at(b, "/dsseEnvelope/signatures") = json!([])),
        Case::bad(
            "dsse-two-signatures",
            "format",
            "an envelope with two signatures, of which one would be verified",
            &Recipe::rekor1().envelope(),
        )
        .but(|b| {
            let signature = at(b, "/dsseEnvelope/signatures/0").clone();
            at(b, "/dsseEnvelope/signatures").as_array_mut().unwrap().push(signature);
        }),
    ]
}

fn contents() -> Vec<Case> {
    let envelope = Recipe::envelope;
    vec![
        one("signature-flipped", "signature", "a bit of the signature is another", |b| {
            flip(b, "/messageSignature/signature")
        }),
        one("signature-truncated", "signature", "the signature lacks its end", |b| {
            *at(b, "/messageSignature/signature") = json!(base64([0x30, 0x45, 2]));
        }),
        one("digest-flipped", "artifact", "the bundle's own digest is not the artifact's", |b| {
            flip(b, "/messageSignature/messageDigest/digest")
        }),
        one("digest-algorithm", "format", "a digest of an algorithm that is broken", |b| {
            *at(b, "/messageSignature/messageDigest/algorithm") = json!("SHA1");
        }),
        Case::bad(
            "another-artifact",
            "artifact",
            "the bundle is right, and of another artifact",
            &Recipe::rekor1(),
        )
        .of(b"something else\n"),
        one(
            "another-artifact-without-digest",
            "signature",
            "of another artifact, and the bundle doesn't say of which",
            |b| {
                drop_field(b, "/messageSignature/messageDigest");
            },
        )
        .of(b"something else\n"),
        Case::bad(
            "signed-by-another",
            "signature",
            "the signature is by another key than the certificate's",
            &Recipe { signed_by: "somebody", ..Recipe::rekor1() },
        ),
        Case::bad(
            "dsse-payload-changed",
            "signature",
            "the statement was changed after it was signed",
            &envelope(Recipe::rekor1()),
        )
        .but(|b| {
            flip(b, "/dsseEnvelope/payload");
        }),
        Case::bad(
            "dsse-type-changed",
            "signature",
            "the payload's type was changed after it was signed",
            &envelope(Recipe::rekor1()),
        )
        .but(|b| *at(b, "/dsseEnvelope/payloadType") = json!("application/json")),
        Case::bad(
            "dsse-signature-flipped",
            "signature",
            "a bit of the envelope's signature is another",
            &envelope(Recipe::rekor1()),
        )
        .but(|b| flip(b, "/dsseEnvelope/signatures/0/sig")),
        Case::bad(
            "dsse-another-subject",
            "artifact",
            "the statement is about another artifact",
            &Recipe { subject: b"something else\n", ..envelope(Recipe::rekor1()) },
        ),
        Case::bad(
            "dsse-not-a-statement",
            "artifact",
            "the payload is signed, and no statement about anything",
            &Recipe { payload_type: "text/plain", ..envelope(Recipe::rekor1()) },
        ),
        Case::bad(
            "dsse-statement-version",
            "artifact",
            "the statement is of a version that in-toto never defined",
            &Recipe { statement_type: "https://in-toto.io/Statement/v2", ..envelope(Recipe::rekor1()) },
        ),
        Case::bad(
            "dsse-statement-type",
            "artifact",
            "the payload is JSON of another kind",
            &Recipe { statement_type: "https://example.com/Statement", ..envelope(Recipe::rekor1()) },
        ),
    ]
}

fn signers() -> Vec<Case> {
    let other = || Some(pem("PUBLIC KEY", &spki(&key("somebody"))));
    vec![
        Case {
            key: other(),
            ..Case::bad(
                "key-another",
                "signature",
                "the key is somebody else's",
                &Recipe::rekor1().with_key(),
            )
        },
        Case {
            key: other(),
            ..Case::bad(
                "key-for-certificate",
                "signer",
                "a key is given, and the bundle has a certificate",
                &Recipe::rekor1(),
            )
        },
        Case {
            key: None,
            ..Case::bad(
                "key-not-given",
                "signer",
                "the bundle is of a key, and proves no identity",
                &Recipe::rekor1().with_key(),
            )
        },
        Case::bad(
            "key-unlogged",
            "log entry",
            "a log entry is demanded, and there is none",
            &Recipe { logged: Logged::Nowhere, ..Recipe::rekor1().with_key() },
        ),
        Case::bad(
            "unlogged",
            "log entry",
            "a log entry is demanded, and there is none",
            &Recipe { logged: Logged::Nowhere, stamps: vec![Stamp::at(SIGNED)], ..Recipe::rekor1() },
        ),
        Case::bad(
            "issuers-differ",
            "certificate",
            "the two ways to say the issuer say different ones",
            &Recipe {
                leaf: Leaf { issuers: ("https://other.example", ISSUER), ..Leaf::default() },
                ..Recipe::rekor1()
            },
        ),
        Case::bad(
            "issuer-another",
            "identity",
            "another issuer vouches for the same name",
            &Recipe {
                leaf: Leaf { issuers: ("https://other.example", "https://other.example"), ..Leaf::default() },
                ..Recipe::rekor1()
            },
        ),
    ]
}

fn certificates() -> Vec<Case> {
    let leaf = |leaf| Recipe { leaf, ..Recipe::rekor1() };
    let certificate = "/verificationMaterial/certificate/rawBytes";
    vec![
        one("certificate-not-der", "certificate", "the certificate is none", |b| {
            *at(b, certificate) = json!(base64("certificate"))
        }),
        one("certificate-cut", "certificate", "the certificate lacks its end", |b| {
            let text = at(b, certificate).as_str().unwrap().to_owned();
            *at(b, certificate) = json!(text[..text.len() / 2 / 4 * 4]);
        }),
        Case::bad(
            "certificate-self-made",
            "certificate",
            "the intermediate's name, and somebody's key",
            &leaf(Leaf { issued_by: "somebody", ..Leaf::default() }),
        ),
        Case::bad(
            "certificate-for-servers",
            "certificate",
            "a certificate for servers",
            &leaf(Leaf { usage: "1.3.6.1.5.5.7.3.1", ..Leaf::default() }),
        ),
        Case::bad(
            "certificate-for-encryption",
            "certificate",
            "a certificate whose key is not for signatures",
            &leaf(Leaf { key_usage: 0x20, ..Leaf::default() }),
        ),
        Case::bad(
            "certificate-of-authority",
            "certificate",
            "an authority's certificate signs no artifacts",
            &leaf(Leaf { is_ca: true, ..Leaf::default() }),
        ),
        Case::bad(
            "sct-missing",
            "SCT",
            "the certificate was never logged",
            &leaf(Leaf { sct: None, ..Leaf::default() }),
        ),
        Case::bad(
            "sct-unknown-log",
            "SCT",
            "a log that nobody knows promised the certificate",
            &leaf(Leaf { ct_log: "somebody", ..Leaf::default() }),
        ),
    ]
}

fn timestamps() -> Vec<Case> {
    let stamp = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
    let stamped = |name: &str, check, why: &str, stamp| {
        Case::bad(name, check, why, &Recipe { stamps: vec![stamp], ..Recipe::rekor2() })
    };
    vec![
        two("without-timestamp", "time", "Rekor 2 tells no time, and nobody else does", |b| {
            drop_field(b, "/verificationMaterial/timestampVerificationData");
        }),
        Case::bad(
            "timestamp-demanded",
            "time",
            "a timestamp is demanded, and the log's time is all there is",
            &Recipe::rekor1(),
        )
        .flags(&["--use-signed-timestamps"]),
        two("timestamp-not-der", "timestamp", "the timestamp is none", |b| {
            *at(b, stamp) = json!(base64("timestamp"))
        }),
        two("timestamp-flipped", "timestamp", "a bit of the timestamp is another", |b| flip(b, stamp)),
        stamped(
            "timestamp-of-something-else",
            "timestamp",
            "a good timestamp of other bytes",
            Stamp { of: Some(b"other bytes"), ..Stamp::at(SIGNED) },
        ),
        stamped(
            "timestamp-unknown-authority",
            "timestamp",
            "an authority that nobody knows, which takes a known one's name",
            Stamp { by: "somebody", ..Stamp::at(SIGNED) },
        ),
        stamped(
            "timestamp-unknown-authority-without-certificate",
            "timestamp",
            "the same, without its certificate",
            Stamp { by: "somebody", brings: Brings::Nothing, ..Stamp::at(SIGNED) },
        ),
        stamped(
            "timestamp-before-certificate",
            "certificate",
            "the timestamp is older than the certificate",
            Stamp::at(SIGNED - 301),
        ),
        stamped(
            "timestamp-after-certificate",
            "certificate",
            "the timestamp is younger than the certificate",
            Stamp::at(SIGNED + 301),
        ),
        Case::bad(
            "timestamps-one-late",
            "certificate",
            "one time within the certificate's validity does not cover another without",
            &Recipe { stamps: vec![Stamp::at(SIGNED), Stamp::at(SIGNED + 301)], ..Recipe::rekor2() },
        ),
        Case::bad(
            "rekor1-and-timestamp-late",
            "certificate",
            "the log's time does not cover a timestamp that came too late",
            &Recipe { stamps: vec![Stamp::at(SIGNED + 301)], ..Recipe::rekor1() },
        ),
    ]
}

fn mixed() -> Vec<Case> {
    let other = || Recipe {
        leaf: Leaf { validity: (SIGNED - 299, SIGNED + 299), ..Leaf::default() },
        ..Recipe::rekor1()
    };
    let attestation = || Recipe::rekor1().envelope();
    vec![
        one(
            "mixed-certificate",
            "log entry",
            "another good certificate of the same key, and the entry of the first",
            |b| {
                graft(b, &other(), "/verificationMaterial/certificate");
            },
        ),
        one("mixed-entry", "log entry", "the good entry of another bundle", |b| graft(b, &other(), ENTRY)),
        one("mixed-entry-of-key", "log entry", "the entry that was made with the bare key", |b| {
            graft(b, &Recipe::rekor1().with_key(), ENTRY)
        }),
        one("mixed-body", "log entry", "what is logged from another bundle", |b| {
            graft(b, &other(), &path("canonicalizedBody"))
        }),
        one("mixed-proof", "inclusion proof", "the good proof of another entry", |b| {
            graft(b, &other(), &path("inclusionProof"))
        }),
        one("mixed-promise", "inclusion promise", "the good promise of another entry", |b| {
            graft(b, &other(), &path("inclusionPromise"))
        }),
        one("mixed-checkpoint", "checkpoint", "the good checkpoint of another tree", |b| {
            graft(b, &other(), &path("inclusionProof/checkpoint"))
        }),
        one(
            "mixed-entry-of-attestation",
            "log entry",
            "the entry of an attestation under a signature",
            |b| graft(b, &attestation(), ENTRY),
        ),
        Case::bad(
            "mixed-entry-of-signature",
            "log entry",
            "the entry of a signature under an attestation",
            &attestation(),
        )
        .but(|b| graft(b, &Recipe::rekor1(), ENTRY)),
        Case::bad("mixed-envelope", "log entry", "another good envelope of the same signer", &attestation())
            .but(|b| {
                graft(
                    b,
                    &Recipe { statement_type: "https://in-toto.io/Statement/v0.1", ..attestation() },
                    "/dsseEnvelope",
                );
            }),
        Case::bad(
            "rekor2-mixed-envelope",
            "timestamp",
            "another good envelope of the same signer",
            &Recipe { logged: Logged::Nowhere, ..Recipe::rekor2().envelope() },
        )
        .but(|b| {
            graft(
                b,
                &Recipe { statement_type: "https://in-toto.io/Statement/v0.1", ..attestation() },
                "/dsseEnvelope",
            );
        })
        .flags(&["--insecure-ignore-tlog"]),
        Case::bad(
            "mixed-timestamp",
            "timestamp",
            "the good timestamp of another signature",
            &Recipe::rekor2(),
        )
        .but(|b| {
            graft(b, &Recipe::rekor2().envelope(), "/verificationMaterial/timestampVerificationData");
        }),
    ]
}
