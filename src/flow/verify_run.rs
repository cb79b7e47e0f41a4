//! A run against what it carries: the check judges it, and what was signed is made anew by the payload stage.

use std::time::Instant;

use crate::payload::provenance;
use crate::run::Run;
use crate::verify::run::{self, Makers, RunVerdict};
use crate::verify::{Require, Trust};

/// How payloads of runs are made.
const MAKERS: Makers = Makers {
    payload: |run, format, options| Ok(provenance::payload(run, format, options)?.payload.bytes),
    images: provenance::image_subjects,
};

/// Verifies every payload that `run` carries; its own must be among them.
pub fn verify(run: &Run, trust: &Trust, requires: &[Require]) -> RunVerdict {
    run::verify(run, MAKERS, trust, requires, None)
}

/// The same until `deadline`: what isn't judged then is refused with [`RunRefusal::Time`](run::RunRefusal::Time).
pub fn verify_until(run: &Run, trust: &Trust, requires: &[Require], deadline: Instant) -> RunVerdict {
    run::verify(run, MAKERS, trust, requires, Some(deadline))
}
