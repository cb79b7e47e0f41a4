//! Images that arguments name by a tag: resolves the tags, warns about them, and reports tags that name no image.

use std::collections::HashMap;

use super::process::Notices;
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::oci::TagRef;
use crate::plan::Plan;
use crate::registry::client::Client;
use crate::report::{ExpectedOutcome, ReportSubject, SubjectOutcome};

/// The warning for every run that resolves tags.
const WARNING: &str = "warning: a tag can move at any time, so it may not name the image that was built: name the image as \
                       NAME@sha256:…, as the build reports it (--require-digest refuses tags)";

/// The result of resolving the tags.
pub(super) struct TagResolution {
    /// The tags that can't be resolved, with the reasons.
    failures: HashMap<TagRef, Explanation>,
    /// Why nothing is signed; `None` if the other subjects are signed.
    pub(super) refusal: Option<Explanation>,
}

impl TagResolution {
    /// The failed outcomes of the `expected` subjects whose tags can't be resolved.
    pub(super) fn outcomes(&self, expected: &[ExpectedOutcome]) -> Vec<SubjectOutcome> {
        let failed = |expected: &ExpectedOutcome| match &expected.subject {
            ReportSubject::Tag(tag) => self.failures.get(tag).map(|why| expected.failed(why)),
            _ => None,
        };
        expected.iter().filter_map(failed).collect()
    }
}

/// Resolves the tags in `plan` once, and replaces them with images. Returns `None` if there are no tags.
///
/// If a tag can't be resolved, nothing is signed. With `lenient`, the other subjects are signed.
pub(super) async fn resolve(
    plan: &mut Plan,
    client: &Client,
    jobs: usize,
    lenient: bool,
    notices: &mut Notices<'_>,
) -> Option<TagResolution> {
    if plan.tags.is_empty() {
        return None;
    }
    notices(WARNING);
    let names: Vec<TagRef> = plan.tags.iter().map(|planned| planned.tag.clone()).collect();
    let number = names.len();
    let results = super::resolve(client, names, jobs).await;
    let mut failures = HashMap::new();
    let mut found = Vec::new();
    for (planned, result) in plan.tags.iter().zip(results) {
        match result {
            Ok(image) => {
                notices(&format!("resolved   {} is {image} ({})", planned.tag, planned.from.join(", ")));
                found.push(Some(image));
            }
            Err(error) => {
                failures.insert(planned.tag.clone(), Explanation::of(&error));
                found.push(None);
            }
        }
    }
    plan.resolve(found);
    let exit = failures.values().map(|why: &Explanation| why.exit).reduce(ExitCode::and);
    let refusal = exit.filter(|_| !lenient).map(|exit| refusal(failures.len(), number, exit));
    Some(TagResolution { failures, refusal })
}

/// The explanation that nothing is signed because of unresolved tags.
fn refusal(failed: usize, number: usize, exit: ExitCode) -> Explanation {
    let tags = if number == 1 { "tag names" } else { "tags name" };
    Explanation {
        code: "tag-unresolved",
        error: format!("{failed} of {number} {tags} no image that can be signed; nothing was signed"),
        causes: Vec::new(),
        used: None,
        hint: Some("correct the argument; --lenient signs the rest".into()),
        exit,
    }
}
