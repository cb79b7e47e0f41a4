//! Exit code 0 means that everything asked for is done: for any fault of the registry and any signal at any moment,
//! `verify` accepts every subject of a `sign` that ended with 0, and the report says the same.
//!
//! Each case is chosen by a seed. A case that fails prints it:
//!
//! - `STEPSEAL_SEED=7 cargo test --test hermetic exits::` repeats the case of the seed 7.
//! - `STEPSEAL_CASES=5000 cargo test --test hermetic exits::` runs more than the usual number; with `STEPSEAL_SEED`, from that seed on.

mod case;
mod check;
mod images;
mod key;
mod random;
mod run;
mod trouble;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many cases are run where nothing else is asked for.
const CASES: u64 = 100;

/// Cases mostly wait for retries and delays, so that several are run at once.
const AT_ONCE: u64 = 6;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, and is {text:?}")))
}

#[test]
fn exit_code_0_implies_that_verify_of_every_subject_passes() {
    let (seed, cases) = (number("STEPSEAL_SEED"), number("STEPSEAL_CASES"));
    let first = seed.unwrap_or(1);
    let cases = cases.unwrap_or(if seed.is_some() { 1 } else { CASES });
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let codes = Mutex::new(std::collections::BTreeMap::<String, u64>::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(cases) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + cases {
                        return;
                    }
                    match case::Case::of(seed).run() {
                        Ok(code) => *codes.lock().unwrap().entry(code).or_default() += 1,
                        Err(what) => failed.lock().unwrap().push(what),
                    }
                }
            });
        }
    });
    eprintln!(
        "{cases} cases in {:.1} s, ended with {:?}",
        begun.elapsed().as_secs_f64(),
        codes.lock().unwrap()
    );
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {cases} cases failed\n\n{}", failed.len(), failed.join("\n\n"));
    // A test whose runs all fail, or all succeed, shows nothing.
    let codes = codes.into_inner().unwrap();
    if cases >= CASES {
        for code in ["0", "1", "5"] {
            assert!(codes.contains_key(code), "no run ended with {code}: {codes:?}");
        }
    }
}
