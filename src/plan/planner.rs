//! The judging itself: one pass over the hints, in their order.

use std::collections::HashSet;

use super::known::Known;
use super::{Identities, Note, NoteKind, Plan, PlanOptions, PlannedImage, Problem, pairs, reason};
use crate::foreign;
use crate::hint::{Discovered, Hint, MAX_IDENTITIES, Scope, Value};
use crate::oci::reference::is_identity;
use crate::oci::{ImageRef, Named, ReferenceError, Repository, TagRef};

/// How many wrong entries of a list are listed individually.
pub(super) const ENTRIES_TOLD: usize = 16;
/// How many patterns a refusal names.
const PATTERNS_TOLD: usize = 8;

/// An artifact that will get no image signature, unless a later hint calls it an image.
struct Unsigned {
    subject: usize,
    /// The hint that contains it.
    hint: String,
    place: String,
    what: String,
}

/// A plan in the making.
pub(super) struct Planner<'a> {
    options: &'a PlanOptions,
    pub(super) plan: Plan,
    known: Known,
    unsigned: Vec<Unsigned>,
    /// The place of the hint whose entries are judged.
    hint: String,
}

impl<'a> Planner<'a> {
    pub(super) fn new(options: &'a PlanOptions) -> Self {
        Self {
            options,
            plan: Plan::default(),
            known: Known::default(),
            unsigned: Vec::new(),
            hint: String::new(),
        }
    }

    pub(super) fn run(mut self, discovered: &Discovered) -> Plan {
        self.plan.looked.clone_from(&discovered.looked);
        self.plan.problems.clone_from(&discovered.problems);
        self.plan.notes.clone_from(&discovered.notes);
        let halves = pairs::halves(&discovered.hints);
        let mut paired = HashSet::new();
        for hint in &discovered.hints {
            match pairs::half(&hint.kind) {
                Some((family, prefix, _)) if paired.insert((&hint.scope, family, prefix)) => {
                    self.pair(&hint.scope, family, prefix, &halves);
                }
                // Judged with its other half.
                Some(_) => {}
                None => self.single(hint),
            }
        }
        self.note_unsigned();
        self.leave_out_crowds();
        self.plan
    }

    /// Takes the images with too many identities out of the plan: each is among the problems.
    fn leave_out_crowds(&mut self) {
        let is_crowd = |planned: &PlannedImage| planned.identities.len() > MAX_IDENTITIES;
        let crowds: HashSet<usize> = self
            .plan
            .images
            .iter()
            .filter(|planned| is_crowd(planned))
            .filter_map(|planned| self.known.subject_of(&planned.image))
            .collect();
        self.plan.images.retain(|planned| !is_crowd(planned));
        let mut at = 0..;
        self.plan.subjects.retain(|_| at.next().is_none_or(|at| !crowds.contains(&at)));
    }

    pub(super) fn problem(&mut self, place: String, what: String) {
        self.plan.problems.push(Problem { place, what });
    }

    pub(super) fn note(&mut self, place: String, what: String, kind: NoteKind) {
        self.plan.notes.push(Note { place, what, kind });
    }

    /// What `hint` says is blank, and rightly not signed.
    pub(super) fn note_blank(&mut self, hint: &Hint, what: &str) {
        let kind = if hint.scope.has_results() { NoteKind::Result } else { NoteKind::Other };
        self.note(hint.place(), what.to_owned(), kind);
    }

    /// The entries that follow are those of the hint at `place`: of very many the first few are told.
    pub(super) fn begin(&mut self, place: String) {
        self.hint = place;
    }

    /// A hint that needs no other.
    fn single(&mut self, hint: &Hint) {
        self.begin(hint.place());
        match &hint.value {
            Err(error) => self.problem(hint.place(), reason::with_cause(error)),
            Ok(Value::Blank) => self.note_blank(hint, "it is blank, so it names nothing"),
            Ok(Value::Text(name)) => self.listed(hint, &mut std::iter::once(name.as_str())),
            Ok(Value::Names(names)) => self.listed(hint, &mut names.lines()),
            Ok(Value::Named { name, identities }) => self.named(hint, name, identities),
            Ok(Value::List(names)) => self.listed(hint, &mut names.iter().map(String::as_str)),
            Ok(Value::Outputs(outputs)) => {
                let several = outputs.len() > 1;
                for (at, output) in outputs.iter().enumerate() {
                    let place =
                        if several { format!("{} entry {}", hint.place(), at + 1) } else { hint.place() };
                    match output {
                        Ok(output) => self.output(&hint.scope, place, output),
                        Err(error) => self.problem(place, error.to_string()),
                    }
                }
            }
        }
    }

    /// Names with their digests.
    fn listed(&mut self, hint: &Hint, names: &mut dyn Iterator<Item = &str>) {
        let mut wrong = 0;
        let mut told = HashSet::new();
        for name in names {
            match name.parse::<Named>().map(Named::into_image) {
                Ok(Ok(image)) => self.image(image, &[hint.place()]),
                Ok(Err(tag)) if self.options.tags && hint.scope == Scope::Arguments => {
                    self.tag(tag, &hint.place());
                }
                failed => {
                    let error = failed.err().unwrap_or(ReferenceError::NoDigest);
                    wrong += 1;
                    if told.len() < ENTRIES_TOLD && told.insert(name) {
                        self.problem(hint.place(), reason::listed(&hint.scope, name, &error));
                    }
                }
            }
        }
        // A repeated wrong name is reported once; a long list of wrong names is reported in part, and says so.
        if wrong > told.len() {
            self.problem(hint.place(), format!("{} more entries are no image names", wrong - told.len()));
        }
    }

    /// A name with its digest, and the identities to sign it under.
    fn named(&mut self, hint: &Hint, name: &str, identities: &[String]) {
        let wrong = self.wrong_identities(hint, identities);
        match name.parse::<ImageRef>() {
            Err(error) => self.problem(hint.place(), reason::listed(&hint.scope, name, &error)),
            Ok(_) if wrong => {}
            Ok(image) if self.may_be_signed(&image.repository, &hint.place()) => {
                let Some(planned) = self.known.image(&mut self.plan, image, &[hint.place()]) else { return };
                let before = planned.identities.len();
                add_few(&mut planned.identities, identities);
                // The line that exceeds the limit is reported; later lines say nothing new.
                if before <= MAX_IDENTITIES && planned.identities.len() > MAX_IDENTITIES {
                    let what = format!("its lines give the image more than {MAX_IDENTITIES} identities");
                    self.problem(hint.place(), what);
                }
            }
            Ok(_) => {}
        }
    }

    /// Whether identities can't be signed; then that is a problem.
    fn wrong_identities(&mut self, hint: &Hint, identities: &[String]) -> bool {
        let what = match self.options.identities {
            Identities::Unused => Some(reason::IDENTITIES_UNUSED.to_owned()),
            Identities::NoPlace => Some(reason::IDENTITIES_WITHOUT_A_PLACE.to_owned()),
            Identities::Signed => {
                let mut numbered = (1..).zip(identities);
                let wrong = numbered.find(|(_, text)| !is_identity(text));
                let many = || format!("more than {MAX_IDENTITIES} identities stand behind it");
                wrong
                    .map(|(number, text)| reason::identity(&hint.scope, number, text))
                    .or_else(|| (identities.len() > MAX_IDENTITIES).then(many))
            }
        };
        let wrong = what.is_some();
        what.into_iter().for_each(|what| self.problem(hint.place(), what));
        wrong
    }

    pub(super) fn image(&mut self, image: ImageRef, from: &[String]) {
        let place = from.first().map_or("", String::as_str);
        if self.may_be_signed(&image.repository, place) {
            self.known.image(&mut self.plan, image, from);
        }
    }

    /// An image that the argument at `place` names by a tag.
    fn tag(&mut self, tag: TagRef, place: &str) {
        if self.may_be_signed(&tag.repository, place) {
            self.known.tag(&mut self.plan, tag, place);
        }
    }

    /// Whether `--allow` has the repository; otherwise it is a problem of the hint at `place`.
    fn may_be_signed(&mut self, repository: &Repository, place: &str) -> bool {
        if self.options.allows(repository) {
            return true;
        }
        let patterns: Vec<String> =
            self.options.allow.iter().take(PATTERNS_TOLD).map(|pattern| format!("\"{pattern}\"")).collect();
        let more = if self.options.allow.len() > PATTERNS_TOLD { " and others" } else { "" };
        let what = format!(
            "{} may not be signed: --allow has only {}{more}",
            foreign::escape(&repository.to_string(), 300),
            patterns.join(", ")
        );
        self.problem(place.to_owned(), what);
        false
    }

    /// An artifact that `place` names, with `what` to say where no other hint calls it an image.
    pub(super) fn artifact(
        &mut self,
        uri: &str,
        digest: String,
        from: &[String],
        place: String,
        what: String,
    ) {
        let subject = self.known.subject(&mut self.plan, uri.to_owned(), digest, from);
        self.unsigned.push(Unsigned { subject, hint: self.hint.clone(), place, what });
    }

    fn note_unsigned(&mut self) {
        let signed: HashSet<usize> =
            self.known.images.keys().filter_map(|image| self.known.subject_of(image)).collect();
        let mut left = std::mem::take(&mut self.unsigned);
        left.retain(|unsigned| !signed.contains(&unsigned.subject));
        for of_one in left.chunk_by(|one, two| one.hint == two.hint) {
            for unsigned in of_one.iter().take(ENTRIES_TOLD) {
                self.note(unsigned.place.clone(), unsigned.what.clone(), NoteKind::Other);
            }
            if let Some(more) = of_one.len().checked_sub(ENTRIES_TOLD).filter(|more| *more > 0) {
                let what = format!("{more} more entries are artifacts, which get no image signature");
                self.note(
                    of_one.first().map(|one| one.hint.clone()).unwrap_or_default(),
                    what,
                    NoteKind::Other,
                );
            }
        }
    }
}

/// Adds what `known` lacks, in its order, until an image has one too many.
fn add_few(known: &mut Vec<String>, more: &[String]) {
    for one in more {
        if known.len() <= MAX_IDENTITIES && !known.contains(one) {
            known.push(one.clone());
        }
    }
}
