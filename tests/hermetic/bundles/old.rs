//! What doesn't come as a Sigstore bundle: cosign's old bundle, and a certificate and a timestamp beside a signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cases::{Case, Refusal, at, flip};
use super::keys::Kind;
use super::recipe::*;
use super::sigstore::*;

/// cosign's old form of a bundle of the corpus.
pub(crate) fn old(bundle: &Value) -> Value {
    let material = &bundle["verificationMaterial"];
    let entry = &material["tlogEntries"][0];
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let cert = match &material["certificate"]["rawBytes"] {
        Value::Null => pem("PUBLIC KEY", &spki(&key("signer"))),
        der => pem("CERTIFICATE", &bytes(der)),
    };
    let signature = match &bundle["dsseEnvelope"] {
        Value::Null => bundle["messageSignature"]["signature"].clone(),
        envelope => json!(base64(envelope.to_string())),
    };
    let mut old = json!({ "base64Signature": signature, "cert": base64(cert) });
    if !entry.is_null() {
        old["rekorBundle"] = json!({
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"],
                "integratedTime": number(&entry["integratedTime"]),
                "logIndex": number(&entry["logIndex"]),
                "logID": hex(&bytes(&entry["logId"]["keyId"])),
            },
        });
    }
    old
}

/// The trusted root in pieces, as cosign takes it for its old formats.
pub(crate) fn parts(own: &Authorities) -> [(&'static str, String); 5] {
    let certificate = |der: Vec<u8>| pem("CERTIFICATE", &der);
    let public = |name: &str| pem("PUBLIC KEY", &spki(&key(name)));
    let stamper = stamper(own, "stamper", "Example root", &["1.3.6.1.5.5.7.3.8"]);
    [
        ("rekor.pub", public("rekor")),
        ("ctlog.pub", public("ct log")),
        ("root.pem", certificate(root_certificate(own))),
        ("intermediate.pem", certificate(intermediate(own))),
        ("timestamps.pem", certificate(stamper) + &certificate(root_certificate(own))),
    ]
}

pub(crate) const OLD: &str = "bundle.cosign.json";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = files();
    cases.extend(changed());
    cases.extend(keys());
    cases.extend(attestations());
    cases.extend(detached());
    cases
}

/// The same in cosign's old form.
fn as_old(case: Case) -> Case {
    case.but(|bundle| *bundle = old(bundle)).named(OLD)
}

fn good(name: &str, why: &str, recipe: &Recipe) -> Case {
    as_old(Case::good(name, why, recipe))
}

fn bad(name: &str, check: &'static str, why: &str, recipe: &Recipe) -> Case {
    as_old(Case::bad(name, check, why, recipe))
}

fn unlogged(recipe: Recipe) -> Recipe {
    Recipe { logged: Logged::Nowhere, ..recipe }
}

fn files() -> Vec<Case> {
    let rekor1 = Recipe::rekor1();
    vec![
        good("old", "cosign's old bundle: a signature, its certificate, and the log's promise", &rekor1),
        good("old-key", "the same by a key", &rekor1.clone().with_key()),
        good(
            "old-key-unlogged",
            "by a key, without a log entry, and none is asked for",
            &unlogged(rekor1.clone().with_key()),
        )
        .flags(&["--insecure-ignore-tlog"]),
        good("old-and-timestamp", "with a timestamp beside it", &rekor1)
            .beside("timestamp.json", stamp(&Stamp::at(SIGNED))),
        good(
            "old-certificate-and-signature-beside",
            "with its own signature and certificate beside it",
            &rekor1,
        )
        .beside("signature", base64(sign(&key("signer"), ARTIFACT)))
        .beside("certificate.pem", pem("CERTIFICATE", &leaf(&Leaf::default()))),
        bad("old-another-artifact", "signature", "the signature is over another file", &rekor1)
            .of(b"another file\n"),
        bad("old-without-entry", "log entry", "there is no log entry", &unlogged(rekor1.clone())),
        bad("old-key-without-entry", "log entry", "the same by a key", &unlogged(rekor1.clone().with_key())),
        bad(
            "old-entry-and-late-timestamp",
            "certificate",
            "the timestamp beside it is later than the certificate",
            &rekor1,
        )
        .beside("timestamp.json", stamp(&Stamp::at(SIGNED + 301))),
        bad(
            "old-identity-another",
            "identity",
            "the certificate is of somebody else",
            &Recipe {
                leaf: Leaf { identity: "https://ci.example/other", ..Leaf::default() },
                ..rekor1.clone()
            },
        ),
        bad(
            "old-sct-missing",
            "SCT",
            "the certificate was not logged",
            &Recipe { leaf: Leaf { sct: None, ..Leaf::default() }, ..rekor1 },
        ),
    ]
}

/// One thing done to a good old bundle.
fn changed() -> Vec<Case> {
    let one = |name: &str, check, why: &str, change: &dyn Fn(&mut Value)| {
        bad(&format!("old-{name}"), check, why, &Recipe::rekor1()).but(change)
    };
    let of = |recipe: &Recipe, path: &str| old(&recipe.bundle()).pointer(path).unwrap().clone();
    let other =
        Recipe { leaf: Leaf { identity: "https://ci.example/other", ..Leaf::default() }, ..Recipe::rekor1() };
    let later = Recipe {
        leaf: Leaf { validity: (SIGNED - 200, SIGNED + 200), ..Leaf::default() },
        ..Recipe::rekor1()
    };
    let of_attestation = Recipe::rekor1().envelope();
    vec![
        one("signature-flipped", "signature", "the signature is of nothing", &|b| {
            flip(b, "/base64Signature")
        }),
        one("promise-flipped", "inclusion promise", "the promise is not by the log", &|b| {
            flip(b, "/rekorBundle/SignedEntryTimestamp")
        }),
        one("time-changed", "inclusion promise", "the time was changed after the log signed it", &|b| {
            *at(b, "/rekorBundle/Payload/integratedTime") = json!(SIGNED + 1);
        }),
        one("index-changed", "inclusion promise", "the index was changed after the log signed it", &|b| {
            *at(b, "/rekorBundle/Payload/logIndex") = json!(7);
        }),
        one("log-unknown", "log", "a log that nobody knows", &|b| {
            *at(b, "/rekorBundle/Payload/logID") = json!(hex(&sha256("log")));
        }),
        one(
            "entry-of-attestation",
            "log entry",
            "the log's entry is of an attestation by the same signer",
            &|b| {
                *at(b, "/rekorBundle") = of(&of_attestation, "/rekorBundle");
            },
        ),
        one("entry-of-another-certificate", "log entry", "the log's entry is of another certificate", &|b| {
            *at(b, "/rekorBundle") = of(&other, "/rekorBundle");
        }),
        one("certificate-swapped", "log entry", "another certificate of the same key and identity", &|b| {
            *at(b, "/cert") = of(&later, "/cert");
        }),
        one("key-for-certificate", "signer", "a key stands in the certificate's place", &|b| {
            *at(b, "/cert") = of(&Recipe::rekor1().with_key(), "/cert");
        }),
        one("own-root", "certificate", "a root that nobody knows issued the certificate", &|b| {
            let own = Leaf { issued_by: "own root", issuer: "Own root", ..Leaf::default() };
            *b = old(&Recipe { leaf: own, ..Recipe::rekor1() }.bundle());
        }),
    ]
}

/// An old bundle's key is no more than what it says of itself.
fn keys() -> Vec<Case> {
    let with_key = || Recipe::rekor1().with_key();
    let key_of = |name: &str| json!(base64(pem("PUBLIC KEY", &spki(&key(name)))));
    let says = |name: &str, says, why: &str| good(name, why, &with_key()).refused(Refusal::Says(says));
    let mut of_another = says(
        "old-key-of-another",
        "its bundle was made with another key than --key gives",
        "another key is given than the one in the bundle, which made the signature and was logged",
    );
    of_another.key = Some(pem("PUBLIC KEY", &spki(&key("somebody"))));
    vec![
        of_another,
        says(
            "old-key-another-in-it",
            "its bundle was made with another key than --key gives",
            "the key that is given made the signature, and another stands in the bundle",
        )
        .but(|b| *at(b, "/cert") = key_of("somebody")),
        bad("old-key-entry-of-certificate", "log entry", "the log's entry is of a certificate", &with_key())
            .but(|b| *at(b, "/rekorBundle") = old(&Recipe::rekor1().bundle())["rekorBundle"].clone()),
        bad("old-key-promise-flipped", "inclusion promise", "the promise is not by the log", &with_key())
            .but(|b| flip(b, "/rekorBundle/SignedEntryTimestamp")),
        good(
            "old-key-not-named",
            "the bundle does not say whose it is, and the key that is given made it",
            &with_key(),
        )
        .but(|b| *at(b, "/cert") = json!("")),
    ]
}

/// How an attestation in an old bundle is logged.
const KINDS: [(&str, Logged); 4] = [
    ("dsse", Logged::Rekor1),
    ("intoto-0.0.1", Logged::IntotoHash),
    ("intoto-0.0.2", Logged::Intoto),
    ("hashedrekord", Logged::Rekor1Hashed),
];

const TYPE: &[&str] = &["--type", "slsaprovenance1"];

fn attestations() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, logged) in KINDS {
        for (by, recipe) in [("", Recipe::rekor1()), ("key-", Recipe::rekor1().with_key())] {
            let recipe = Recipe { logged, sent_as_stored: true, ..recipe.envelope() };
            let name = format!("old-attestation-{by}{kind}");
            let other = old(&Recipe { payload_type: IN_TOTO, subject: b"other", ..recipe.clone() }.bundle());
            cases.push(
                good(&name, "an attestation in an old bundle, and its log entry", &recipe).attestation(TYPE),
            );
            cases.push(
                bad(
                    &format!("{name}-of-another"),
                    "log entry",
                    "the log's entry is of another attestation",
                    &recipe,
                )
                .but(|b| *at(b, "/rekorBundle") = other["rekorBundle"].clone())
                .attestation(TYPE),
            );
        }
    }
    let recipe = Recipe { logged: Logged::IntotoHash, ..Recipe::rekor1().envelope() };
    let stored = |change: fn(&[u8]) -> Vec<u8>| {
        move |b: &mut Value| {
            let envelope = STANDARD.decode(b["base64Signature"].as_str().unwrap()).unwrap();
            b["base64Signature"] = json!(base64(change(&envelope)));
        }
    };
    let reordered = |envelope: &[u8]| {
        let mut envelope: Value = serde_json::from_slice(envelope).unwrap();
        let payload = envelope.as_object_mut().unwrap().shift_remove("payload").unwrap();
        envelope["payload"] = payload;
        envelope.to_string().into_bytes()
    };
    cases.push(
        bad(
            "old-attestation-reordered",
            "log entry",
            "the same fields in another order were not logged",
            &recipe,
        )
        .but(stored(reordered))
        .attestation(TYPE),
    );
    cases.push(
        bad(
            "old-attestation-blank-added",
            "log entry",
            "the envelope was logged without the blank after it",
            &recipe,
        )
        .but(stored(|envelope| [envelope, b" "].concat()))
        .attestation(TYPE),
    );
    cases.push(
        good(
            "old-attestation-sent-in-another-form",
            "the log was sent the same envelope in another form, and has its payload and its signature",
            &Recipe::rekor1().envelope(),
        )
        .attestation(TYPE),
    );
    let unlogged = unlogged(Recipe::rekor1().envelope());
    cases.push(
        bad("old-attestation-unlogged", "log entry", "an attestation without a log entry", &unlogged)
            .attestation(TYPE),
    );
    cases.push(
        good(
            "old-attestation-as-signature",
            "an attestation where a signature of the file is asked for",
            &recipe,
        )
        .refused(Refusal::Says("whose signature is not over the file")),
    );
    cases
}

/// A timestamp of the signature of the artifact, as cosign writes it.
fn stamp(stamp: &Stamp) -> String {
    let stamp = timestamp(&Authorities::default(), stamp, &sign(&key("signer"), ARTIFACT));
    json!({ "SignedRFC3161Timestamp": base64(stamp) }).to_string()
}

const UNLOGGED: &[&str] = &["--insecure-ignore-tlog"];
const STAMPED: &[&str] = &["--insecure-ignore-tlog", "--use-signed-timestamps"];

/// A signature alone, which is no JSON.
fn signature(mut case: Case, flags: &'static [&'static str]) -> Case {
    case.bundle = base64(sign(&key("signer"), ARTIFACT)).into_bytes();
    case.named("signature").flags(flags)
}

fn detached() -> Vec<Case> {
    let certificate = |case: Case, own: &Leaf| case.beside("certificate.pem", pem("CERTIFICATE", &leaf(own)));
    let good = |name: &str, why: &str| {
        let case = signature(Case::good(&format!("detached-{name}"), why, &Recipe::rekor1()), STAMPED);
        certificate(case, &Leaf::default())
    };
    let bad = |name: &str, check, why: &str, own: &Leaf, token: &Stamp| {
        let case = signature(Case::bad(&format!("detached-{name}"), check, why, &Recipe::rekor1()), STAMPED);
        certificate(case, own).beside("timestamp.json", stamp(token))
    };
    let (own, now) = (Leaf::default(), Stamp::at(SIGNED));
    let entry = old(&Recipe::rekor1().bundle());
    vec![
        good("certificate-and-timestamp", "a certificate, a signature and a timestamp, each a file")
            .beside("timestamp.json", stamp(&now)),
        good("certificate-and-timestamp-not-demanded", "the same, and nothing demands the timestamp")
            .beside("timestamp.json", stamp(&now))
            .flags(UNLOGGED),
        good("certificate-and-entry", "a certificate and a signature, and the log's entry in an old bundle")
            .beside(OLD, serde_json::to_vec_pretty(&entry).unwrap())
            .flags(&[]),
        signature(
            Case::good(
                "detached-key-and-timestamp",
                "a key, a signature and a timestamp",
                &Recipe::rekor1().with_key(),
            ),
            STAMPED,
        )
        .beside("timestamp.json", stamp(&now)),
        bad(
            "timestamp-late",
            "certificate",
            "the certificate had expired by then",
            &own,
            &Stamp::at(SIGNED + 301),
        ),
        bad(
            "timestamp-early",
            "certificate",
            "the certificate was not valid yet",
            &own,
            &Stamp::at(SIGNED - 301),
        ),
        bad(
            "timestamp-of-something-else",
            "timestamp",
            "the timestamp is of other bytes",
            &own,
            &Stamp { of: Some(b"other bytes"), ..now.clone() },
        ),
        bad(
            "timestamp-unknown",
            "timestamp",
            "the timestamp is by an authority that nobody knows",
            &own,
            &Stamp::unknown(),
        ),
        bad(
            "timestamp-false",
            "timestamp",
            "another key under the name of the known authority",
            &own,
            &Stamp { by: "somebody", ..now.clone() },
        ),
        bad(
            "certificate-of-another-key",
            "signature",
            "the certificate is of another key",
            &Leaf { kind: Kind::P384, ..own.clone() },
            &now,
        ),
        bad(
            "certificate-of-another-identity",
            "identity",
            "the certificate is of somebody else",
            &Leaf { identity: "https://ci.example/other", ..own.clone() },
            &now,
        ),
        bad(
            "certificate-of-own-root",
            "certificate",
            "a root that nobody knows issued the certificate",
            &Leaf { issued_by: "own root", issuer: "Own root", ..own.clone() },
            &now,
        ),
        bad(
            "certificate-unlogged",
            "SCT",
            "the certificate was not logged",
            &Leaf { sct: None, ..own.clone() },
            &now,
        ),
        bad("log-demanded", "log entry", "a log entry is demanded, and a timestamp is none", &own, &now)
            .flags(&["--use-signed-timestamps"]),
        certificate(
            signature(
                Case::bad(
                    "detached-certificate-alone",
                    "certificate",
                    "it expired long ago, and nothing proves an earlier time",
                    &Recipe::rekor1(),
                ),
                UNLOGGED,
            ),
            &own,
        ),
        certificate(
            signature(
                Case::bad(
                    "detached-timestamp-missing",
                    "time",
                    "a timestamp is demanded, and there is none",
                    &Recipe::rekor1(),
                ),
                STAMPED,
            ),
            &own,
        ),
    ]
}
