//! The subjects of a run: those in the plan, and those that indexes list.
//!
//! The manifests of an index are announced as soon as the index is read, before any of them is signed. So an
//! interrupted run still reports what it didn't sign.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::fair::{self, FairQueue};
use super::{EventCallback, PipelineError};
use crate::explain::Explanation;
use crate::oci::index::{EntryError, Listed, MAX_LISTED, TooMany, listed};
use crate::oci::{ImageRef, Manifest};
use crate::plan::PlannedImage;
use crate::report::{ExpectedOutcome, OutcomeLabel, ReportSubject, RunEvent, SubjectOutcome};

/// The most subjects in one run. An index that lists more, including nested indexes, is rejected as hostile.
pub(super) const MAX_SUBJECTS: usize = MAX_LISTED;

/// The subjects to sign: a queue, and an outcome for each subject and label.
pub(super) struct SubjectQueue<'a, 's> {
    /// The labels of each subject's outcomes.
    labels: Vec<OutcomeLabel>,
    /// Further labels under which each subject is signed later.
    later: Vec<OutcomeLabel>,
    seen: RefCell<&'a mut EventCallback<'s>>,
    /// The subjects that wait for a slot.
    pub(super) queue: FairQueue<QueuedSubject>,
    known: RefCell<KnownSubjects>,
    outcomes: RefCell<Vec<SubjectOutcome>>,
}

/// A subject in the queue.
pub(super) struct QueuedSubject {
    pub(super) planned: PlannedImage,
    /// Its position in the plan. Manifests that an index lists come after all planned subjects.
    pub(super) number: usize,
}

/// A slot, shared by the stores of a subject.
pub(super) type SharedSlot<'a> = Rc<fair::WorkSlot<'a, QueuedSubject>>;

struct KnownSubjects {
    /// The images, with the identities of the index that lists them; `None` if the plan names the image, which then has its own.
    images: HashMap<ImageRef, Option<Vec<String>>>,
    /// The names of entries that can't be signed, or their errors if they have no name.
    unusable: HashSet<String>,
}

impl<'a, 's> SubjectQueue<'a, 's> {
    pub(super) fn new(
        labels: Vec<OutcomeLabel>,
        later: Vec<OutcomeLabel>,
        images: &[PlannedImage],
        jobs: usize,
        seen: &'a mut EventCallback<'s>,
    ) -> Self {
        let known = KnownSubjects {
            images: images.iter().map(|planned| (planned.image.clone(), None)).collect(),
            unusable: HashSet::new(),
        };
        let queue = FairQueue::new(jobs);
        for (number, planned) in images.iter().enumerate() {
            let next = QueuedSubject { planned: planned.clone(), number };
            queue.push(planned.image.repository.registry(), next);
        }
        let (seen, known) = (RefCell::new(seen), RefCell::new(known));
        Self { labels, later, seen, queue, known, outcomes: RefCell::default() }
    }

    /// Records the outcome of a subject.
    pub(super) fn ended(&self, outcome: SubjectOutcome) {
        (self.seen.borrow_mut())(RunEvent::Ended(&outcome));
        self.outcomes.borrow_mut().push(outcome);
    }

    pub(super) fn into_outcomes(self) -> Vec<SubjectOutcome> {
        self.outcomes.into_inner()
    }

    /// Adds every manifest of an index as a subject. An entry that can't be signed fails immediately.
    ///
    /// # Errors
    ///
    /// There are too many subjects, or another index lists a manifest with different identities. Then none is added.
    pub(super) fn admit(&self, planned: &PlannedImage, manifest: &Manifest) -> Result<(), PipelineError> {
        let PlannedImage { image: index, identities, .. } = planned;
        let from = vec![format!("index {index}")];
        // `seen` is the caller's code, so nothing may stay borrowed while it runs.
        let admitted = self.known.borrow_mut().admit(planned, manifest)?;
        for image in admitted.iter().filter_map(|entry| match entry {
            Listed::Image(image) => Some(image),
            Listed::Unusable(_) => None,
        }) {
            let identities = identities.clone();
            let planned = PlannedImage { identities, ..PlannedImage::new(image.clone(), from.clone()) };
            self.queue.push(image.repository.registry(), QueuedSubject { planned, number: usize::MAX });
        }
        for entry in admitted {
            let (subject, unusable) = match entry {
                Listed::Image(image) => (ReportSubject::Image(image), None),
                Listed::Unusable(error) => {
                    let repository = index.repository.to_string();
                    let digest = error.digest().cloned();
                    (ReportSubject::Entry { repository, digest }, Some(Explanation::of(&error)))
                }
            };
            let expected = |label: &OutcomeLabel| ExpectedOutcome {
                label: *label,
                subject: subject.clone(),
                from: from.clone(),
            };
            for expected in self.labels.iter().chain(&self.later).map(expected) {
                (self.seen.borrow_mut())(RunEvent::Found(&expected));
            }
            let Some(why) = unusable else { continue };
            self.labels.iter().map(expected).for_each(|expected| self.ended(expected.failed(&why)));
        }
        Ok(())
    }
}

impl KnownSubjects {
    /// The manifests of an index that are new, after checking the limit and the identities.
    fn admit(&mut self, planned: &PlannedImage, manifest: &Manifest) -> Result<Vec<Listed>, PipelineError> {
        let PlannedImage { image: index, identities, .. } = planned;
        let name = |error: &EntryError| match error.digest() {
            Some(digest) => format!("{}@{}", index.repository, digest.raw()),
            None => error.to_string(),
        };
        let too_many = || PipelineError::TooMany { image: index.to_string() };
        let mut new = listed(index, manifest).map_err(|TooMany| too_many())?;
        let is_otherwise_named = |entry: &&Listed| {
            let Listed::Image(image) = entry else { return false };
            self.images
                .get(image)
                .is_some_and(|known| known.as_ref().is_some_and(|known| known != identities))
        };
        if let Some(Listed::Image(listed)) = new.iter().find(is_otherwise_named) {
            return Err(PipelineError::OtherNames { image: index.to_string(), listed: listed.to_string() });
        }
        new.retain(|entry| match entry {
            Listed::Image(image) => !self.images.contains_key(image),
            Listed::Unusable(error) => !self.unusable.contains(&name(error)),
        });
        if !new.is_empty() && self.images.len() + self.unusable.len() + new.len() > MAX_SUBJECTS {
            return Err(too_many());
        }
        for entry in &new {
            match entry {
                Listed::Image(image) => {
                    self.images.insert(image.clone(), Some(identities.clone()));
                }
                Listed::Unusable(error) => {
                    self.unusable.insert(name(error));
                }
            }
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;
    use serde_json::json;

    fn image(number: usize) -> ImageRef {
        let digest = Digest::of(&number.to_be_bytes());
        ImageRef { repository: "registry.example/app".parse().unwrap(), digest }
    }

    fn planned_as(number: usize) -> PlannedImage {
        PlannedImage::new(image(number), Vec::new())
    }

    fn index(digests: &[String]) -> Manifest {
        let entries: Vec<_> = digests.iter().map(|digest| json!({ "digest": digest })).collect();
        let bytes = bytes::Bytes::from(json!({ "manifests": entries }).to_string());
        Manifest { media_type: String::new(), digest: Digest::of(&bytes), bytes }
    }

    fn next(subjects: &SubjectQueue<'_, '_>) -> Option<PlannedImage> {
        subjects.queue.next().map(|(next, ..)| next.planned)
    }

    fn digests(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| image(number).digest.to_string()).collect()
    }

    #[test]
    fn an_index_that_is_too_large_is_an_error_and_adds_no_subject() {
        let planned = [PlannedImage::new(image(0), Vec::new())];
        let mut events = 0;
        let mut seen = |_: RunEvent<'_>| events += 1;
        let subjects = SubjectQueue::new(vec![OutcomeLabel::IMAGE], Vec::new(), &planned, 16, &mut seen);
        assert_eq!(next(&subjects), Some(planned[0].clone()));
        let error = subjects.admit(&planned_as(0), &index(&digests(0..MAX_SUBJECTS + 1))).unwrap_err();
        assert!(error.to_string().contains("more than 10000"));
        assert!(next(&subjects).is_none() && subjects.outcomes.borrow().is_empty());
        subjects.admit(&planned_as(0), &index(&digests(0..3))).unwrap();
        subjects.admit(&planned_as(1), &index(&digests(0..3))).unwrap();
        let from = vec![format!("index {}", image(0))];
        assert_eq!(next(&subjects), Some(PlannedImage::new(image(1), from.clone())));
        assert_eq!(next(&subjects), Some(PlannedImage::new(image(2), from)));
        assert!(next(&subjects).is_none());
        drop(subjects);
        assert_eq!(events, 2, "each subject is announced once");
    }

    #[test]
    fn the_plan_may_exceed_the_limit() {
        let planned: Vec<_> =
            (0..MAX_SUBJECTS + 5).map(|n| PlannedImage::new(image(n), Vec::new())).collect();
        let mut seen = |_: RunEvent<'_>| {};
        let subjects = SubjectQueue::new(vec![OutcomeLabel::IMAGE], Vec::new(), &planned, 16, &mut seen);
        subjects.admit(&planned_as(0), &index(&digests(0..9))).unwrap();
        assert!(subjects.admit(&planned_as(0), &index(&["sha512:x".to_owned()])).is_err());
    }

    #[test]
    fn long_digests_with_a_common_prefix_are_two_subjects() {
        let mut seen = |_: RunEvent<'_>| {};
        let subjects = SubjectQueue::new(vec![OutcomeLabel::IMAGE], Vec::new(), &[], 16, &mut seen);
        let digests = ["x", "y"].map(|end| format!("sha512:{}{end}", "a".repeat(300)));
        subjects.admit(&planned_as(0), &index(&digests)).unwrap();
        let subjects: HashSet<ReportSubject> =
            subjects.into_outcomes().into_iter().map(|outcome| outcome.subject).collect();
        assert_eq!(subjects.len(), 2);
    }

    #[test]
    fn an_entry_that_cannot_be_signed_fails_immediately_in_each_store() {
        let other = OutcomeLabel { store: "directory", ..OutcomeLabel::IMAGE };
        let later = OutcomeLabel { store: "tekton", ..OutcomeLabel::IMAGE };
        let mut found = Vec::new();
        let mut seen = |event: RunEvent<'_>| {
            if let RunEvent::Found(expected) = event {
                found.push(expected.label.store);
            }
        };
        let subjects = SubjectQueue::new(vec![OutcomeLabel::IMAGE, other], vec![later], &[], 16, &mut seen);
        for _ in 0..2 {
            subjects.admit(&planned_as(0), &index(&["sha512:x".to_owned()])).unwrap();
        }
        let outcomes = subjects.into_outcomes();
        assert_eq!(found, ["oci", "directory", "tekton"]);
        assert_eq!(outcomes.len(), 2);
        for outcome in outcomes {
            assert_eq!(outcome.subject.to_string(), "registry.example/app@sha512:x");
            assert!(outcome.result.unwrap_err().error.contains("lists sha512:x, which can't be signed"));
        }
    }

    #[test]
    fn listed_manifests_have_the_identities_of_a_single_index() {
        let named = |number: usize, name: &str| {
            let identities = vec![format!("registry.example/{name}")];
            PlannedImage { identities, ..PlannedImage::new(image(number), Vec::new()) }
        };
        let planned = [named(0, "a"), named(1, "b"), named(2, "c")];
        let mut seen = |_: RunEvent<'_>| {};
        let subjects = SubjectQueue::new(vec![OutcomeLabel::IMAGE], Vec::new(), &planned, 16, &mut seen);
        for _ in &planned {
            next(&subjects).unwrap();
        }
        let digest = |number: usize| image(number).digest.to_string();
        subjects.admit(&planned[0], &index(&[digest(2), digest(3)])).unwrap();
        let listed = next(&subjects).unwrap();
        assert_eq!((&listed.image, &listed.identities), (&image(3), &planned[0].identities));
        assert!(next(&subjects).is_none(), "the planned image has its own identities");
        subjects.admit(&planned[0], &index(&[digest(3)])).unwrap();
        let error = subjects.admit(&planned[1], &index(&[digest(3), digest(4)])).unwrap_err();
        assert!(matches!(error, PipelineError::OtherNames { .. }), "{error}");
        assert!(next(&subjects).is_none(), "no manifest of the second index is added");
    }
}
