//! What a search could not look up.

use super::StoreError;
use crate::explain;

/// How many failures are kept; the others are counted.
const KEPT: usize = 20;

/// Look-ups that failed, the first of them with their errors.
#[derive(Debug, Default)]
pub struct Failures {
    first: Vec<StoreError>,
    others: usize,
}

impl Failures {
    pub(super) fn add(&mut self, error: StoreError) {
        if self.first.len() < KEPT {
            self.first.push(error);
        } else {
            self.others += 1;
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        self.extend(other.first);
        self.others += other.others;
    }

    pub(super) fn extend(&mut self, errors: impl IntoIterator<Item = StoreError>) {
        errors.into_iter().for_each(|error| self.add(error));
    }

    /// Returns the first error, if any.
    pub fn into_first(self) -> Option<StoreError> {
        self.first.into_iter().next()
    }

    /// Each in one line, and how many more there are.
    pub(crate) fn notes(&self) -> Vec<String> {
        let more = (self.others > 0).then(|| format!("{} more look-ups failed", self.others));
        self.first.iter().map(|error| explain::line(error, 1000)).chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_told_and_the_others_counted() {
        let mut failures = Failures::default();
        assert!(failures.notes().is_empty());
        let error = |number: usize| StoreError::Foreign {
            location: format!("r/app:{number}"),
            what: "it is not JSON",
        };
        failures.extend((0..KEPT - 1).map(error));
        let mut more = Failures::default();
        more.extend((KEPT - 1..2 * KEPT + 3).map(error));
        failures.append(more);
        let notes = failures.notes();
        assert_eq!((notes.len(), notes[KEPT].as_str()), (KEPT + 1, "23 more look-ups failed"));
        assert_eq!(notes[0], "what is at r/app:0 is not a list of signatures: it is not JSON");
        assert!(failures.into_first().unwrap().to_string().contains("r/app:0 "));
    }
}
