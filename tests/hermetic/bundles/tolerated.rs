//! What a bundle may bring that proves nothing, and is passed over: roots, timestamps by authorities that nobody knows, certificates twice. Each
//! beside the case in which it would have to count, which is refused.

use super::cases::{Case, at, flip};
use super::recipe::*;
use super::sigstore::*;
use serde_json::json;

const STAMP: &str = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = roots();
    cases.extend(believed_roots());
    cases.extend(issuers());
    cases.extend(unknown_authorities());
    cases.extend(false_timestamps());
    cases.extend(tokens());
    cases.extend(forms());
    cases
}

fn long() -> (i64, i64) {
    Authorities::default().root
}

fn root() -> Vec<u8> {
    root_certificate(&Authorities::default())
}

fn between() -> Vec<u8> {
    intermediate(&Authorities::default())
}

/// A root that the trusted root doesn't have.
fn own_root(name: &str) -> Vec<u8> {
    authority(name, name, "own root", "own root", long())
}

fn chained(media_type: &'static str, chain: Vec<Vec<u8>>) -> Recipe {
    Recipe { media_type, chain: Some(chain), ..Recipe::rekor1() }
}

fn roots() -> Vec<Case> {
    vec![
        Case::good(
            "root-in-bundle",
            "the chain ends with its root, which is passed over: the trusted root has it",
            &chained(V0_2, vec![between(), root()]),
        ),
        Case::good(
            "root-in-bundle-v0.1",
            "the same in version 0.1, as npm had it until 2023",
            &chained(V0_1, vec![between(), root()]),
        ),
        Case::good(
            "root-in-bundle-before-intermediate",
            "the chain is in no order; roots are passed over wherever they stand",
            &chained(V0_2, vec![root(), between(), root()]),
        ),
        Case::good(
            "root-in-bundle-of-another",
            "roots that nobody knows are passed over as well, and cost a good certificate nothing",
            &chained(V0_2, vec![own_root("Own root"), own_root("Example root"), between()]),
        ),
    ]
}

/// Roots that would have to be believed.
fn believed_roots() -> Vec<Case> {
    let by = |issued_by, issuer, chain| Recipe {
        leaf: Leaf { issued_by, issuer, ..Leaf::default() },
        ..chained(V0_2, chain)
    };
    let own_between = |issuer, key| authority("Own intermediate", issuer, "own intermediate", key, long());
    let named = |key| authority("Example intermediate", "Example root", "own intermediate", key, long());
    vec![
        Case::bad(
            "root-in-bundle-alone",
            "certificate",
            "the chain is whole, and ends in a root that the bundle alone has",
            &by(
                "own intermediate",
                "Own intermediate",
                vec![own_between("Own root", "own root"), own_root("Own root")],
            ),
        ),
        Case::bad(
            "root-in-bundle-named-as-known",
            "certificate",
            "the same under the names of the known authority",
            &by(
                "own intermediate",
                "Example intermediate",
                vec![named("own root"), own_root("Example root")],
            ),
        ),
        Case::bad(
            "root-in-bundle-issued-it",
            "certificate",
            "the root that the bundle brings issued the certificate itself",
            &by("own root", "Own root", vec![own_root("Own root")]),
        ),
        Case::bad(
            "root-in-bundle-forged-intermediate",
            "certificate",
            "the known root is there, and did not sign the intermediate that names it",
            &by("own intermediate", "Example intermediate", vec![named("own root"), root()]),
        ),
        Case::bad(
            "root-as-signer",
            "certificate",
            "the known root stands where the signer's certificate belongs",
            &chained(V0_2, vec![between()]),
        )
        .but(|b| {
            *at(b, "/verificationMaterial/x509CertificateChain/certificates/0/rawBytes") =
                json!(base64(root()));
        }),
        Case::bad(
            "signer-vouches-for-itself",
            "certificate",
            "the signer's certificate is its own root, and stands among the others too",
            &Recipe {
                leaf: Leaf { issued_by: "signer", issuer: "", ..Leaf::default() },
                ..chained(V0_2, vec![leaf(&Leaf { issued_by: "signer", issuer: "", ..Leaf::default() })])
            },
        ),
    ]
}

fn issuers() -> Vec<Case> {
    let none = || Recipe { leaf: Leaf { issuers: ("", ""), ..Leaf::default() }, ..Recipe::rekor1() };
    let nameless = || Recipe { leaf: Leaf { identity: "", ..Leaf::default() }, ..Recipe::rekor1() };
    vec![
        Case::good(
            "issuer-none-and-any-accepted",
            "the certificate names no issuer, and an expression that matches nothing is accepted",
            &none(),
        )
        .flags(&["--certificate-oidc-issuer-regexp", ".*"]),
        Case::bad(
            "issuer-none-and-some-wanted",
            "identity",
            "the certificate names no issuer, and the expression wants some text",
            &none(),
        )
        .flags(&["--certificate-oidc-issuer-regexp", "."]),
        Case::bad(
            "issuer-none",
            "identity",
            "the certificate names no issuer, and one is wanted by name",
            &none(),
        ),
        Case::bad(
            "identity-none-and-any-accepted",
            "identity",
            "a certificate without a name is nobody's, whatever name is accepted",
            &nameless(),
        )
        .flags(&["--certificate-identity-regexp", ".*"]),
        Case::bad("identity-none", "identity", "a certificate without a name is nobody's", &nameless()),
    ]
}

fn unknown(recipe: Recipe) -> Recipe {
    Recipe { stamps: vec![Stamp::unknown()], ..recipe }
}

fn unknown_authorities() -> Vec<Case> {
    let bare =
        |recipe| Recipe { stamps: vec![Stamp { brings: Brings::Nothing, ..Stamp::unknown() }], ..recipe };
    let both = |recipe| Recipe { stamps: vec![Stamp::unknown(), Stamp::at(SIGNED)], ..recipe };
    let late = Recipe { stamps: vec![Stamp { at: SIGNED + YEAR, ..Stamp::unknown() }], ..Recipe::rekor1() };
    vec![
        Case::good(
            "rekor1-and-unknown-timestamp",
            "the log proves the time; a timestamp by an authority that nobody knows proves nothing",
            &unknown(Recipe::rekor1()),
        ),
        Case::good(
            "rekor1-and-unknown-timestamp-without-certificate",
            "the same, without its certificate",
            &bare(Recipe::rekor1()),
        ),
        Case::good(
            "dsse-rekor1-and-unknown-timestamp",
            "the same of an attestation",
            &unknown(Recipe::rekor1().envelope()),
        ),
        Case::good(
            "rekor1-and-unknown-timestamp-of-something-else",
            "nobody knows the authority, which stamped other bytes",
            &Recipe {
                stamps: vec![Stamp { of: Some(b"other bytes"), ..Stamp::unknown() }],
                ..Recipe::rekor1()
            },
        ),
        Case::good("rekor1-and-unknown-timestamp-late", "the same, whatever time is in it", &late),
        Case::good(
            "rekor2-and-unknown-timestamp",
            "a known authority proves the time, beside one that nobody knows",
            &both(Recipe::rekor2()),
        ),
        Case::good(
            "key-rekor2-and-unknown-timestamp",
            "a key's trust hangs on no time",
            &unknown(Recipe::rekor2().with_key()),
        ),
        Case::bad(
            "rekor1-and-unknown-timestamp-demanded",
            "timestamp",
            "a timestamp is demanded, and one by nobody known does not count",
            &unknown(Recipe::rekor1()),
        )
        .flags(&["--use-signed-timestamps"]),
        Case::bad(
            "key-unknown-timestamp-demanded",
            "timestamp",
            "the same of a key",
            &unknown(Recipe::rekor1().with_key()),
        )
        .flags(&["--use-signed-timestamps"]),
        Case::bad(
            "rekor2-unknown-timestamp",
            "timestamp",
            "Rekor 2 tells no time, and an authority that nobody knows proves none",
            &unknown(Recipe::rekor2()),
        ),
        Case::bad(
            "rekor1-unknown-timestamp-without-promise",
            "timestamp",
            "without its promise the log proves no time either",
            &unknown(Recipe { promise: false, ..Recipe::rekor1() }),
        ),
        Case::bad(
            "unknown-timestamp-unlogged",
            "timestamp",
            "no log is asked for, and an authority that nobody knows proves no time",
            &unknown(Recipe { logged: Logged::Nowhere, ..Recipe::rekor1() }),
        )
        .flags(&["--insecure-ignore-tlog"]),
    ]
}

/// The log proves the time, and the timestamp beside it is wrong.
fn false_timestamps() -> Vec<Case> {
    let stamped = |name, why, stamp| {
        Case::bad(name, "timestamp", why, &Recipe { stamps: vec![stamp], ..Recipe::rekor1() })
    };
    vec![
        stamped(
            "rekor1-and-false-timestamp",
            "another key under the name of the known authority",
            Stamp { by: "somebody", ..Stamp::at(SIGNED) },
        ),
        stamped(
            "rekor1-and-false-timestamp-without-certificate",
            "the same, without its certificate",
            Stamp { by: "somebody", brings: Brings::Nothing, ..Stamp::at(SIGNED) },
        ),
        stamped(
            "rekor1-and-timestamp-of-something-else",
            "the known authority stamped other bytes",
            Stamp { of: Some(b"other bytes"), ..Stamp::at(SIGNED) },
        ),
        stamped(
            "rekor1-and-unknown-timestamp-changed",
            "nobody knows the authority, and the certificate that it brings did not sign this",
            Stamp::unknown(),
        )
        .but(|b| {
            let value = at(b, STAMP);
            let mut bytes =
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value.as_str().unwrap())
                    .unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            *value = json!(super::sigstore::base64(&bytes));
        }),
        stamped("rekor1-and-unknown-timestamp-flipped", "a bit in its middle is another", Stamp::unknown())
            .but(|b| flip(b, STAMP)),
        stamped("rekor1-and-timestamp-not-der", "what should be a timestamp is none", Stamp::unknown())
            .but(|b| *at(b, STAMP) = json!(super::sigstore::base64("timestamp"))),
    ]
}

fn tokens() -> Vec<Case> {
    let brings = |brings| Recipe { stamps: vec![Stamp { brings, ..Stamp::at(SIGNED) }], ..Recipe::rekor2() };
    vec![
        Case::good(
            "timestamp-certificate-twice",
            "the timestamp brings its signer's certificate twice",
            &brings(Brings::OwnTwice),
        ),
        Case::good(
            "timestamp-with-chain",
            "the timestamp brings its whole chain, in no order and the root twice",
            &brings(Brings::Chain),
        ),
        Case::bad(
            "timestamp-certificate-twice-by-another",
            "timestamp",
            "another key under the known authority's name brings its own certificate twice",
            &Recipe {
                stamps: vec![Stamp { by: "somebody", brings: Brings::OwnTwice, ..Stamp::at(SIGNED) }],
                ..Recipe::rekor2()
            },
        ),
    ]
}

fn forms() -> Vec<Case> {
    let with = |chain| chained(V0_3, chain);
    vec![
        Case::good(
            "v0.3-with-chain-allowed",
            "a chain in version 0.3, which is allowed",
            &with(vec![between()]),
        )
        .flags(&["--allow-certificate-chain"]),
        Case::good(
            "v0.3-with-chain-and-root-allowed",
            "the same with its root, which is passed over",
            &with(vec![between(), root()]),
        )
        .flags(&["--allow-certificate-chain"]),
        Case::bad(
            "v0.3-with-own-chain-allowed",
            "certificate",
            "a chain is allowed, and ends in a root that the bundle alone has",
            &Recipe {
                leaf: Leaf { issued_by: "own root", issuer: "Own root", ..Leaf::default() },
                ..with(vec![own_root("Own root")])
            },
        )
        .flags(&["--allow-certificate-chain"]),
        Case::bad(
            "dsse-intoto-0.0.1",
            "log entry",
            "an entry that is of an envelope's bytes as a registry stores them, which a bundle doesn't keep",
            &Recipe { logged: Logged::IntotoHash, ..Recipe::rekor1().envelope() },
        ),
    ]
}
