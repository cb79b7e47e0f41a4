//! Stage plan: every subject to sign and every problem, before anything is signed.
//!
//! Pairs are put together, names and digests checked, the same subject from several results made one. A hint
//! that names something wrongly is a [`Problem`] with its reason; one that rightly isn't signed is a
//! [`Note`], and so is half a pair in a PipelineRun's TaskRun, whose Task may be anyone's. Where Tekton Chains drops a hint and only its controller's log knows, the user is told.
//!
//! Pure: no file, no clock, no network. The same hints in the same order give the same plan.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md#type-hinting>

mod artifact;
mod describe;
mod known;
mod outputs;
mod pairs;
mod planner;
mod reason;
mod tags;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use describe::describe;
pub use tags::PlannedTag;

use crate::hint::{Discovered, Looked};
pub use crate::hint::{Note, NoteKind, Problem};
use crate::oci::{ImageRef, Pattern, PlainHttp, Repository, allows};

/// What the user decides about a plan.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// The repositories whose images may be signed; any, when empty.
    pub allow: Vec<Pattern>,
    /// The registries of which port 80 is the default one.
    pub plain_http: PlainHttp,
    /// Whether an argument may name its image by a tag, for the caller to [resolve](Plan::resolve). Results and lists never may.
    pub tags: bool,
    /// What becomes of the identities in a list of images.
    pub identities: Identities,
}

/// What becomes of the identities that a list of images gives an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identities {
    /// They are a problem: what they ask for is not done with this plan.
    #[default]
    Unused,
    /// They are a problem: the format of signatures has no place for them.
    NoPlace,
    /// The images of the run are signed.
    Signed,
}

impl PlanOptions {
    /// Whether anything may be signed in `repository`.
    pub fn allows(&self, repository: &Repository) -> bool {
        allows(&self.allow, repository, &self.plain_http)
    }
}

/// What would be signed, and what is wrong.
///
/// As JSON: `{"subjects":[…],"problems":[…],"notes":[…]}`, with `"tags":[…]` where there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Everything that was built: images and other artifacts.
    pub subjects: Vec<Subject>,
    /// The images among the subjects: each distinct one once.
    #[serde(skip)]
    pub images: Vec<PlannedImage>,
    /// The images that arguments name by a tag: each distinct one once. Their digests are not known yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<PlannedTag>,
    /// What is wrong. Unless this is empty, nothing is signed without the user's leave.
    pub problems: Vec<Problem>,
    /// What is rightly not signed, and what else the user should know.
    pub notes: Vec<Note>,
    /// The places that were searched, for the report.
    #[serde(skip)]
    pub looked: Vec<Looked>,
}

/// Something that was built, by name and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// An image's repository, or an artifact's URI as the step wrote it.
    pub uri: String,
    /// `ALGORITHM:HEX`: sha256 for images; sha1, sha256, sha384 or sha512 for artifacts.
    pub digest: String,
    /// Where it is named, for people: `result app-IMAGE_URL`, `argument 1`.
    pub from: Vec<String>,
}

/// An image to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedImage {
    /// The image with its digest.
    pub image: ImageRef,
    /// Where it is named, for people.
    pub from: Vec<String>,
    /// The names to sign it under, of all the lines of lists that name it; empty: those of all images.
    pub identities: Vec<String>,
}

impl PlannedImage {
    /// An image that has no identities of its own.
    pub fn new(image: ImageRef, from: Vec<String>) -> Self {
        Self { image, from, identities: Vec::new() }
    }
}

/// Judges every hint.
///
/// Subjects are in the order of the hints that name them first.
pub fn plan(discovered: &Discovered, options: &PlanOptions) -> Plan {
    planner::Planner::new(options).run(discovered)
}

/// How many half pairs are listed of one run; `plan` shows all.
const HALF_PAIRS_LISTED: usize = 64;

impl Plan {
    /// The half pairs in TaskRuns of a PipelineRun, as a report lists them: of very many only the first.
    pub(crate) fn half_pairs(&self) -> Vec<String> {
        let halves = self.notes.iter().filter(|note| note.kind == NoteKind::HalfPair);
        let mut listed: Vec<String> = halves
            .clone()
            .take(HALF_PAIRS_LISTED)
            .map(|note| format!("{}: {}", note.place, note.what))
            .collect();
        let more = halves.count() - listed.len();
        if more > 0 {
            listed.push(format!("{more} more half pairs, which stepseal plan shows"));
        }
        listed
    }

    /// What a run that is signed names and its statement leaves out: what is wrong, and half pairs.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let wrong = self.problems.iter().take(HALF_PAIRS_LISTED);
        let mut listed: Vec<String> = wrong
            .map(|problem| format!("not among its subjects: {}: {}", problem.place, problem.what))
            .collect();
        let more = self.problems.len() - listed.len();
        if more > 0 {
            listed.push(format!("{more} more results are not among its subjects"));
        }
        listed.extend(self.half_pairs());
        listed
    }

    /// Why there is no image to sign, and where one was looked for; `None` when there is one.
    pub(crate) fn nothing_to_sign(&self) -> Option<String> {
        (!self.has_images()).then(|| describe::nothing(self))
    }
}
