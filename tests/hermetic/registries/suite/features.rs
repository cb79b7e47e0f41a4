//! The columns of docs/registries.md, and how each is filled.

use super::bench::{Bench, guarded, settings};
use super::outcome::{Outcome, Tried};
use super::site::{Form, Site};
use super::{crowd, immutable, login, places};

/// A column of the table.
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    parts: &'static [Part],
}

/// A part of a cell, with what it is called where the parts of a cell differ.
struct Part {
    label: &'static str,
    attempt: fn(&Bench<'_>) -> Tried,
}

/// What is tried by tag and as bundle; where a column has two such things, each with its name.
macro_rules! both {
    ($attempt:path) => {
        &[
            Part { label: "by tag", attempt: |bench| $attempt(bench, Form::Tag) },
            Part { label: "as bundle", attempt: |bench| $attempt(bench, Form::Bundle) },
        ]
    };
    ($($name:literal $attempt:path),+) => {
        &[$(
            Part { label: concat!($name, " by tag"), attempt: |bench| $attempt(bench, Form::Tag) },
            Part { label: concat!($name, " as bundle"), attempt: |bench| $attempt(bench, Form::Bundle) },
        )+]
    };
}

/// Every column, in the order of the page.
pub(crate) const COLUMNS: &[Column] = &[
    Column { heading: "sign, attest", parts: both!("sign" places::sign, "attest" places::attest) },
    Column { heading: "a bundle is found by", parts: &[Part { label: "", attempt: places::listed }] },
    Column { heading: "again", parts: both!(places::again) },
    Column {
        heading: "verify, verify-attestation",
        parts: both!("verify" places::verify, "verify-attestation" places::verify_attestation),
    },
    Column {
        heading: "with --recursive",
        parts: both!("verify" places::recursive, "verify-attestation" places::recursive_attestation),
    },
    Column { heading: "20 signers at once", parts: both!(crowd::twenty) },
    Column { heading: "in another repository", parts: both!(places::elsewhere) },
    Column {
        heading: "immutable tags",
        parts: &[
            Part { label: "first signer", attempt: immutable::first },
            Part { label: "second", attempt: immutable::second },
            Part { label: "way out", attempt: immutable::way_out },
        ],
    },
    Column {
        heading: "login",
        parts: &[
            Part { label: "right", attempt: login::right },
            Part { label: "second of two", attempt: login::second_of_two },
            Part { label: "wrong", attempt: login::bad },
        ],
    },
];

/// What became of every feature on one registry.
pub(crate) struct Results(Vec<(&'static Column, Vec<(&'static str, Outcome)>)>);

/// Tries every feature on `site`; those that fail once more with the settings that the product needs.
pub(crate) fn run(site: &dyn Site) -> Results {
    run_columns(site, COLUMNS)
}

/// The same with some of the features.
pub(crate) fn run_columns(site: &dyn Site, columns: &'static [Column]) -> Results {
    let plain = Bench::new(site, false);
    let with: Vec<String> = settings(site).iter().map(|(variable, _)| format!("`{variable}`")).collect();
    let set = (!with.is_empty()).then(|| Bench::new(site, true));
    let outcome = |part: &'static Part| {
        let tried = guarded(|| (part.attempt)(&plain));
        if tried.is_err()
            && let Some(set) = &set
            && let Ok(note) = guarded(|| (part.attempt)(set))
        {
            return (part.label, Outcome { tried: Ok(note), with: with.clone() });
        }
        (part.label, Outcome { tried, with: Vec::new() })
    };
    Results(columns.iter().map(|column| (column, column.parts.iter().map(outcome).collect())).collect())
}

impl Results {
    /// The cells of the table, one a column.
    pub(crate) fn cells(&self) -> Vec<String> {
        self.0.iter().map(|(_, parts)| cell(parts)).collect()
    }

    /// Everything that Stepseal itself got wrong.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let parts = self.0.iter().flat_map(|(column, parts)| parts.iter().map(move |part| (column, part)));
        let wrong = parts.filter(|(_, (_, outcome))| outcome.is_wrong());
        wrong.map(|(column, (label, outcome))| format!("{} {label}: {outcome}", column.heading)).collect()
    }
}

/// One outcome where all parts have the same, else each outcome with the labels of its parts.
fn cell(parts: &[(&str, Outcome)]) -> String {
    let mut outcomes: Vec<(Vec<&str>, &Outcome)> = Vec::new();
    for (label, outcome) in parts {
        match outcomes.iter_mut().find(|(_, other)| *other == outcome) {
            Some((labels, _)) => labels.push(label),
            None => outcomes.push((vec![label], outcome)),
        }
    }
    if let [(_, only)] = outcomes.as_slice() {
        return only.to_string();
    }
    let named = outcomes.iter().map(|(labels, outcome)| format!("{}: {outcome}", labels.join(", ")));
    named.collect::<Vec<_>>().join("; ")
}

#[test]
fn parts_with_the_same_outcome_are_named_together() {
    let ends =
        |note: &str| Outcome { tried: Ok(super::outcome::Note::As(note.to_owned())), with: Vec::new() };
    let parts = [("right", ends("works")), ("wrong", ends("exit 4")), ("second of two", ends("works"))];
    assert_eq!(cell(&parts), "right, second of two: works; wrong: exit 4");
    assert_eq!(cell(&[parts[0].clone(), parts[2].clone()]), "works");
}
