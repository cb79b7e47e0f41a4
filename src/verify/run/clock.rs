//! The time that judging a run may take.

use std::cell::Cell;
use std::time::Instant;

use super::RunRefusal;

/// How many small steps are taken between two looks at the time; so many take about a millisecond.
const STEPS: u32 = 4096;

/// Asks for the time while a run is judged, as a run of many megabytes keeps a processor busy for long.
#[derive(Debug)]
pub(super) struct Clock {
    deadline: Option<Instant>,
    steps: Cell<u32>,
}

impl Clock {
    /// Until `deadline`; `None`: as long as it takes.
    pub(super) fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, steps: Cell::new(0) }
    }

    /// Whether there is time left.
    pub(super) fn ask(&self) -> Result<(), RunRefusal> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(RunRefusal::Time),
            _ => Ok(()),
        }
    }

    /// The same for one of many small steps.
    pub(super) fn step(&self) -> Result<(), RunRefusal> {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(STEPS) { self.ask() } else { Ok(()) }
    }
}
