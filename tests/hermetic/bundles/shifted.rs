//! Times at, and one second beyond, each end of each validity window.

use super::cases::Case;
use super::recipe::*;
use super::sigstore::*;

/// Which end of a window.
const ENDS: [(&str, i64, i64); 2] = [("begins", 0, YEAR), ("ends", -YEAR, 0)];

/// A window of which one end lies at `at`, shifted away from it by `beyond` seconds.
fn window(end: &str, at: i64, beyond: i64) -> Window {
    match end {
        "begins" => (at + beyond, Some(at + YEAR)),
        _ => (at - YEAR, Some(at - beyond)),
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (end, ..) in ENDS {
        for (member, check, make) in MEMBERS {
            let name = format!("{member}-{end}");
            cases.push(Case::good(
                &format!("window-{name}-at-it"),
                &format!("the validity of the {member} {end} in the very second, which belongs to it"),
                &make(end, 0),
            ));
            cases.push(Case::bad(
                &format!("window-{name}-beyond"),
                check,
                &format!(
                    "the validity of the {member} {end} one second too {}",
                    if end == "begins" { "late" } else { "early" }
                ),
                &make(end, 1),
            ));
        }
    }
    cases
}

type Make = fn(&str, i64) -> Recipe;

/// Whose validity; the check that refuses what lies beyond; and the bundle.
const MEMBERS: [(&str, &str, Make); 10] = [
    ("certificate", "certificate", |end, beyond| {
        let validity = both(window(end, SIGNED, beyond));
        Recipe { leaf: Leaf { validity, ..Leaf::default() }, ..Recipe::rekor1() }
    }),
    ("certificate-by-timestamp", "certificate", |end, beyond| {
        let validity = both(window(end, SIGNED, beyond));
        Recipe { leaf: Leaf { validity, ..Leaf::default() }, ..Recipe::rekor2() }
    }),
    ("intermediate", "certificate", |end, beyond| {
        let intermediate = both(window(end, SIGNED, beyond));
        Recipe { authorities: Authorities { intermediate, ..Authorities::default() }, ..Recipe::rekor1() }
    }),
    ("root", "certificate", |end, beyond| {
        let root = both(window(end, SIGNED, beyond));
        Recipe { authorities: Authorities { root, ..Authorities::default() }, ..Recipe::rekor1() }
    }),
    ("authority", "certificate", |end, beyond| Recipe {
        windows: Windows { authority: window(end, SIGNED, beyond), ..Windows::default() },
        ..Recipe::rekor1()
    }),
    ("ct-log", "SCT", |end, beyond| Recipe {
        windows: Windows { ct_log: window(end, SIGNED - 300, beyond), ..Windows::default() },
        ..Recipe::rekor1()
    }),
    ("rekor1-log", "log validity", |end, beyond| Recipe {
        windows: Windows { rekor: window(end, SIGNED, beyond), ..Windows::default() },
        ..Recipe::rekor1()
    }),
    ("rekor2-log", "log validity", |end, beyond| Recipe {
        windows: Windows { tiles: window(end, SIGNED, beyond), ..Windows::default() },
        ..Recipe::rekor2()
    }),
    ("timestamp-authority", "timestamp", |end, beyond| Recipe {
        windows: Windows { timestamps: window(end, SIGNED, beyond), ..Windows::default() },
        ..Recipe::rekor2()
    }),
    ("timestamp-certificate", "timestamp", |end, beyond| {
        let stamper = both(window(end, SIGNED, beyond));
        Recipe { authorities: Authorities { stamper, ..Authorities::default() }, ..Recipe::rekor2() }
    }),
];

fn both((start, end): Window) -> (i64, i64) {
    (start, end.unwrap())
}
