//! Bundles that are right.

use super::cases::{Case, ENTRY, at, drop_field};
use super::recipe::*;
use super::sigstore::*;
use serde_json::json;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = versions();
    cases.extend(kinds());
    cases.extend(keys());
    cases.extend(timestamps());
    cases
}

fn versions() -> Vec<Case> {
    let chain = |media_type| Recipe { media_type, chain: Some(vec![]), ..Recipe::rekor1() };
    vec![
        Case::good(
            "v0.1",
            "version 0.1: a chain, and the log's promise is enough",
            &Recipe { proof: false, ..chain(V0_1) },
        ),
        Case::good("v0.1-with-proof", "version 0.1 with a proof as well", &chain(V0_1)),
        Case::good(
            "v0.1-proof-without-checkpoint",
            "version 0.1: the proof has no checkpoint yet, the promise counts",
            &chain(V0_1),
        )
        .but(|bundle| drop_field(bundle, &format!("{ENTRY}/inclusionProof/checkpoint"))),
        Case::good("v0.2", "version 0.2: a chain and a proof", &chain(V0_2)),
        Case::good(
            "v0.2-chain-with-intermediate",
            "the chain brings the intermediate that the trusted root has too",
            &Recipe { chain: Some(vec![intermediate(&Authorities::default())]), ..chain(V0_2) },
        ),
        Case::good("v0.3", "version 0.3: a certificate alone", &Recipe::rekor1()),
        Case::good(
            "v0.3-old-media-type",
            "version 0.3 by its first media type",
            &Recipe { media_type: V0_3_OLD, ..Recipe::rekor1() },
        ),
        Case::good(
            "names-of-fields-as-in-protobuf",
            "protobuf's readers take its own names of fields as well",
            &Recipe::rekor1(),
        )
        .but(|bundle| {
            let material = bundle.as_object_mut().unwrap().shift_remove("verificationMaterial").unwrap();
            bundle["verification_material"] = material;
        }),
        Case::good("numbers-as-numbers", "a 64-bit number may be a JSON number", &Recipe::rekor1()).but(
            |bundle| {
                *at(bundle, &format!("{ENTRY}/integratedTime")) = json!(SIGNED);
            },
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let intoto = Recipe { logged: Logged::Intoto, ..Recipe::rekor1().envelope() };
    vec![
        Case::good("dsse-rekor1", "an attestation, logged as dsse 0.0.1", &Recipe::rekor1().envelope()),
        Case::good("dsse-intoto", "an attestation, logged as intoto 0.0.2", &intoto),
        Case::good("rekor2", "Rekor 2, with a timestamp", &Recipe::rekor2()),
        Case::good(
            "rekor2-dsse",
            "an attestation in Rekor 2, logged by the hash of what is signed",
            &Recipe::rekor2().envelope(),
        ),
        Case::good(
            "rekor2-dsse-0.0.2",
            "an attestation in Rekor 2, logged as dsse 0.0.2 as it was done at first",
            &Recipe { logged: Logged::Rekor2Dsse, ..Recipe::rekor2().envelope() },
        ),
        Case::good(
            "rekor2-cosigned",
            "witnesses, whose keys nobody knows, have signed the checkpoint too",
            &Recipe { witnesses: (&[], &["witness-a.example", "witness-b.example"]), ..Recipe::rekor2() },
        ),
        Case::good(
            "rekor2-cosigned-first",
            "a witness' signature stands before the log's",
            &Recipe { witnesses: (&["witness-a.example"], &[]), ..Recipe::rekor2() },
        ),
        Case::good(
            "sct-with-extensions",
            "the SCT has extensions, as those of static logs do",
            &Recipe {
                leaf: Leaf { sct_extensions: &[0, 0, 5, 1, 2, 3, 4, 5], ..Leaf::default() },
                ..Recipe::rekor1()
            },
        ),
        Case::good("sha512-statement", "the statement names other digests too", &Recipe::rekor1().envelope()),
        Case::good(
            "digest-empty",
            "a digest without algorithm and value, as cosign writes it for Ed25519, claims nothing",
            &Recipe::rekor1(),
        )
        .but(|bundle| *at(bundle, "/messageSignature/messageDigest") = json!({})),
        Case::good(
            "no-sct-but-told",
            "no SCT is asked for",
            &Recipe { leaf: Leaf { sct: None, ..Leaf::default() }, ..Recipe::rekor1() },
        )
        .flags(&["--insecure-ignore-sct"]),
    ]
}

fn keys() -> Vec<Case> {
    vec![
        Case::good("key-rekor1", "a key, in Rekor 1", &Recipe::rekor1().with_key()),
        Case::good(
            "key-dsse-rekor1",
            "an attestation with a key, in Rekor 1",
            &Recipe::rekor1().envelope().with_key(),
        ),
        Case::good(
            "key-rekor2-without-timestamp",
            "a key's trust hangs on no time, and Rekor 2 tells none",
            &Recipe { stamps: vec![], ..Recipe::rekor2().with_key() },
        ),
        Case::bad(
            "key-rekor2-log-not-begun",
            "log validity",
            "a key, in a log whose own key is not valid yet",
            &Recipe {
                stamps: vec![],
                windows: Windows { tiles: (SIGNED + 50 * YEAR, None), ..Windows::default() },
                ..Recipe::rekor2().with_key()
            },
        ),
        Case::good("key-rekor2", "a key, in Rekor 2, with a timestamp", &Recipe::rekor2().with_key()),
        Case::good(
            "key-unlogged",
            "a key, without a log, and none is asked for",
            &Recipe { logged: Logged::Nowhere, ..Recipe::rekor1().with_key() },
        )
        .flags(&["--insecure-ignore-tlog"]),
        Case::good(
            "key-another-hint",
            "the hint is not authenticated, and says nothing against the key",
            &Recipe::rekor1().with_key(),
        )
        .but(|bundle| *at(bundle, "/verificationMaterial/publicKey/hint") = json!("signing key")),
    ]
}

fn timestamps() -> Vec<Case> {
    let stamped = |stamp| Recipe { stamps: vec![stamp], ..Recipe::rekor2() };
    vec![
        Case::good(
            "timestamp-without-certificate",
            "the timestamp brings no certificate: the trusted root has it",
            &stamped(Stamp { brings: Brings::Nothing, ..Stamp::at(SIGNED) }),
        ),
        Case::good(
            "rekor1-and-timestamp",
            "both Rekor 1 and an authority say when",
            &Recipe { stamps: vec![Stamp::at(SIGNED + 1)], ..Recipe::rekor1() },
        ),
        Case::good(
            "timestamp-alone",
            "no promise, but a proof and a timestamp",
            &Recipe { promise: false, stamps: vec![Stamp::at(SIGNED)], ..Recipe::rekor1() },
        ),
        Case::good(
            "timestamp-unlogged",
            "a timestamp alone, and no log is asked for",
            &Recipe { logged: Logged::Nowhere, stamps: vec![Stamp::at(SIGNED)], ..Recipe::rekor1() },
        )
        .flags(&["--insecure-ignore-tlog", "--use-signed-timestamps"]),
    ]
}
