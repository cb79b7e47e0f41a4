//! Verifies a run's signatures. The check judges them; the payload stage makes the payloads again for comparison.

use std::time::Instant;

use crate::payload::provenance;
use crate::run::Run;
use crate::verify::run::{self, Makers, RunVerdict};
use crate::verify::{Require, Trust};

/// Functions that make the payloads of runs.
const MAKERS: Makers = Makers {
    payload: |run, format, options| Ok(provenance::payload(run, format, options)?.payload.bytes),
    images: provenance::image_subjects,
};

/// Verifies every payload in the annotations of `run`. The run's own payload must be among them.
pub fn verify(run: &Run, trust: &Trust, requires: &[Require]) -> RunVerdict {
    run::verify(run, MAKERS, trust, requires, None)
}

/// The same with a deadline. Payloads that aren't judged by then are refused with [`RunRefusal::Time`](run::RunRefusal::Time).
pub fn verify_until(run: &Run, trust: &Trust, requires: &[Require], deadline: Instant) -> RunVerdict {
    run::verify(run, MAKERS, trust, requires, Some(deadline))
}
