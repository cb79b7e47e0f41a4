//! What a bundle may bring that proves nothing, and is passed over: roots, timestamps by authorities that nobody knows, certificates twice. Each
//! beside the case in which it would have to count, which is refused.

use super::cases::{Case, at};
use super::recipe::*;
use super::sigstore::*;
use serde_json::json;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = roots();
    cases.extend(believed_roots());
    cases.extend(issuers());
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
