//! Several bundles or trusted roots in one file, a line each.

use serde_json::{Value, json};

use super::cases::Case;
use super::recipe::*;
use super::roots::{lines, strict};
use super::sigstore::*;

pub(crate) const ROOTS: &str = "trusted_root.jsonl";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = bundles();
    cases.extend(roots());
    cases
}

fn bundles() -> Vec<Case> {
    let (good, leaf) = (Recipe::rekor1(), Leaf { identity: "https://ci.example/other", ..Leaf::default() });
    let other = Recipe { leaf, ..Recipe::rekor1() };
    let (one, two) = (good.bundle().to_string(), other.bundle().to_string());
    let with = |mut case: Case, lines: &[&str]| {
        case.bundle = lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
        case.named("bundles.jsonl")
    };
    let half = &one[..one.len() / 2];
    vec![
        with(Case::good("lines-two", "two bundles, a line each, and both count", &good), &[&one, &one]),
        with(Case::good("lines-one-of-two", "two bundles, of which the second counts", &good), &[&two, &one]),
        with(
            Case::bad("lines-none-of-two", "identity", "both bundles are of somebody else", &good),
            &[&two, &two],
        ),
        with(
            Case::bad(
                "lines-none-for-two-reasons",
                "every bundle",
                "each of the bundles is wrong in its own way",
                &good,
            ),
            &[&two, "{}"],
        ),
        with(
            Case::bad("lines-one-is-cut", "format", "the second line ends in its middle", &good),
            &[&one, half],
        ),
        with(Case::bad("lines-not-json", "format", "the first line is no JSON", &good), &["bundles:", &one]),
    ]
}

/// Two trusted roots, the second without what the first has alone.
fn divided(list: &str) -> [Value; 2] {
    let lists = ["certificateAuthorities", "tlogs", "ctlogs", "timestampAuthorities"];
    let without = |gone: &dyn Fn(&str) -> bool| {
        let mut root = strict();
        lists.iter().filter(|one| gone(one)).for_each(|one| root[*one] = json!([]));
        root
    };
    [without(&|one| one != list), without(&|one| one == list)]
}

fn roots() -> Vec<Case> {
    let (mut other, own) = (strict(), Recipe::rekor2());
    other["certificateAuthorities"] = json!([]);
    let mut cases = vec![
        Case::good("roots-two", "two trusted roots, a line each, and the second has all of it", &own)
            .beside(ROOTS, lines(&[other.clone(), strict()])),
        Case::good("roots-two-the-other-way", "the same in the other order", &own)
            .beside(ROOTS, lines(&[strict(), other])),
    ];
    for (list, check, what) in [
        ("certificateAuthorities", "log", "the certificate's authority"),
        ("tlogs", "log", "the log"),
        ("ctlogs", "SCT", "the log of certificates"),
        ("timestampAuthorities", "timestamp", "the timestamp's authority"),
    ] {
        let why = format!("{what} is in another trusted root than the rest, which vouches for nothing here");
        let name = |end| format!("roots-{}{end}", list.to_lowercase());
        let [one, two] = divided(list);
        cases.push(
            Case::bad(&name("-in-the-other"), check, &why, &own)
                .beside(ROOTS, lines(&[one.clone(), two.clone()])),
        );
        cases.push(Case::bad(&name("-in-the-first"), check, &why, &own).beside(ROOTS, lines(&[two, one])));
    }
    cases
}
