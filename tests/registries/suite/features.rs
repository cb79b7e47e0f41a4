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

/// A column that is tried by tag and as bundle.
macro_rules! both {
    ($attempt:path) => {
        &[
            Part { label: "by tag", attempt: |bench| $attempt(bench, Form::Tag) },
            Part { label: "as bundle", attempt: |bench| $attempt(bench, Form::Bundle) },
        ]
    };
}

/// Every column, in the order of the page.
pub(crate) const COLUMNS: &[Column] = &[
    Column { heading: "sign", parts: both!(places::sign) },
    Column { heading: "a bundle is found by", parts: &[Part { label: "", attempt: places::listed }] },
    Column { heading: "sign or attest again", parts: both!(places::again) },
    Column { heading: "attest", parts: both!(places::attest) },
    Column { heading: "verify", parts: both!(places::verify) },
    Column { heading: "verify-attestation", parts: both!(places::verify_attestation) },
    Column { heading: "verify --recursive", parts: both!(places::recursive) },
    Column { heading: "verify-attestation --recursive", parts: both!(places::recursive_attestation) },
    Column { heading: "20 signers at once", parts: both!(crowd::twenty) },
    Column { heading: "signatures in another repository", parts: both!(places::elsewhere) },
    Column {
        heading: "immutable tags",
        parts: &[
            Part { label: "first signer by tag", attempt: immutable::first },
            Part { label: "second signer by tag", attempt: immutable::second },
            Part { label: "way out", attempt: immutable::way_out },
        ],
    },
    Column {
        heading: "login",
        parts: &[
            Part { label: "right", attempt: login::right },
            Part { label: "wrong", attempt: login::bad },
            Part { label: "second of two", attempt: login::second_of_two },
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

/// One outcome where all parts have the same, else each with its label.
fn cell(parts: &[(&str, Outcome)]) -> String {
    let [(_, first), rest @ ..] = parts else { return String::new() };
    if rest.iter().all(|(_, outcome)| outcome == first) {
        return first.to_string();
    }
    let named: Vec<String> = parts.iter().map(|(label, outcome)| format!("{label}: {outcome}")).collect();
    named.join("; ")
}
