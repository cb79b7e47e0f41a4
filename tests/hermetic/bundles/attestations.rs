//! What `verify-blob-attestation` is asked: the type, the digest, and whether either is to be looked at.

use super::cases::{Case, Refusal};
use super::recipe::*;
use super::sigstore::*;

const TYPE: [&str; 2] = ["--type", "https://slsa.dev/provenance/v1"];
/// `sha256sum` and `sha512sum` of the artifact.
const SHA256: &str = "ee9b61e1786e3b1f79f0f22cd51f6839d26c8c66a87f82eac505de01cad27d47";
const SHA512: &str = "ed2975687d8734263a2972f593a6039ed659f871b77a2f4c40cc8d83f5c9c04b75d0beab7d44129a2a5af6d5ad4a9d49c1e26618bbde6ba3fe6d204f702b32ad";
const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Every flag beside the right type, or another one.
macro_rules! typed {
    ($($flag:expr),*) => { &[TYPE[0], TYPE[1], $($flag),*] };
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (by, recipe) in [("", Recipe::rekor1().envelope()), ("key-", Recipe::rekor1().envelope().with_key())]
    {
        cases.extend(good(by, &recipe));
        cases.extend(bad(by, &recipe));
    }
    cases.extend(statements());
    cases
}

fn good(by: &str, recipe: &Recipe) -> [Case; 5] {
    let good = |name: &str, why: &str, flags| {
        Case::good(&format!("attestation-{by}{name}"), why, recipe).attestation(flags)
    };
    [
        good("type", "an attestation of the type that is asked for", typed!()),
        good("type-by-short-name", "the type by cosign's name for it", &["--type", "slsaprovenance1"]),
        good(
            "digest",
            "the digest in place of the file",
            typed!("--digest", SHA256, "--digestAlg", "sha256"),
        ),
        good("claims-unchecked", "no subject is asked for", typed!("--check-claims=false")),
        good(
            "claims-unchecked-of-another",
            "no subject is asked for, whatever file is given",
            typed!("--check-claims=false"),
        )
        .of(b"another file\n"),
    ]
}

fn bad(by: &str, recipe: &Recipe) -> [Case; 9] {
    let name = |name: &str| format!("attestation-{by}{name}");
    let bad =
        |end: &str, check, why: &str, flags| Case::bad(&name(end), check, why, recipe).attestation(flags);
    let other_type = |end: &str, why: &str, flags| {
        let says = Refusal::Says("the attestation is of the type \"https://slsa.dev/provenance/v1\"");
        Case::good(&name(end), why, recipe).attestation(flags).refused(says)
    };
    let leaf = Leaf { identity: "https://ci.example/other", ..Leaf::default() };
    let somebody = match recipe.with_key {
        true => ("signature", Recipe { signed_by: "somebody", ..recipe.clone() }),
        false => ("identity", Recipe { leaf, ..recipe.clone() }),
    };
    let by_another = |(check, recipe): (&'static str, Recipe)| {
        Case::bad(&name("claims-unchecked-by-another"), check, "somebody else signed it", &recipe)
            .attestation(typed!("--check-claims=false"))
    };
    [
        other_type("type-default", "cosign's default type is asked for", &[]),
        other_type(
            "type-another",
            "another type is asked for",
            &["--type", "https://slsa.dev/provenance/v0.2"],
        ),
        other_type(
            "type-prefix",
            "the beginning of the type is another type",
            &["--type", "https://slsa.dev/provenance/v"],
        ),
        other_type(
            "claims-unchecked-type-another",
            "no subject is asked for, but a type",
            &["--type", "spdxjson", "--check-claims=false"],
        ),
        bad("another-artifact", "artifact", "it is about another file", typed!()).of(b"another file\n"),
        bad(
            "digest-another",
            "artifact",
            "it is about another digest",
            typed!("--digest", OTHER, "--digestAlg", "sha256"),
        ),
        bad(
            "digest-of-another-hash",
            "artifact",
            "it says no digest by this hash",
            typed!("--digest", SHA512, "--digestAlg", "sha512"),
        ),
        bad("unlogged-promise", "inclusion promise", "the promise is not by the log", typed!())
            .but(|b| super::cases::flip(b, &super::forged::path("inclusionPromise/signedEntryTimestamp"))),
        by_another(somebody),
    ]
}

fn statements() -> Vec<Case> {
    let of = |name: &str, says, why: &str, recipe: &Recipe, flags| {
        Case::good(&format!("attestation-{name}"), why, recipe)
            .attestation(flags)
            .refused(Refusal::Says(says))
    };
    let envelope = Recipe::rekor1().envelope();
    let version = Recipe { statement_type: "https://in-toto.io/Statement/v2", ..envelope.clone() };
    let text = Recipe { payload_type: "text/plain", ..envelope };
    vec![
        of(
            "of-a-file",
            "an attestation is asked for",
            "the file itself is signed",
            &Recipe::rekor1(),
            typed!(),
        ),
        of(
            "statement-version",
            "is not verified",
            "a version of statements that nobody has defined",
            &version,
            typed!(),
        ),
        of(
            "statement-version-claims-unchecked",
            "is not verified",
            "the same, and no subject is asked for",
            &version,
            typed!("--check-claims=false"),
        ),
        of("payload-type", "is not verified", "what is signed is no statement", &text, typed!()),
        of(
            "payload-type-claims-unchecked",
            "is not verified",
            "the same, and no subject is asked for",
            &text,
            typed!("--check-claims=false"),
        ),
    ]
}
