//! Images that arguments name by a tag: what each is now, what the user has to know of it, and what becomes of tags that name nothing.

use std::collections::HashMap;

use super::process::Notices;
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::oci::TagRef;
use crate::plan::Plan;
use crate::registry::client::Client;
use crate::report::{About, Expected, Outcome};

/// What a tag is worth.
const WARNING: &str = "warning: a tag can be moved at any time, so what it names now may not be what was built: name the image as \
                       NAME@sha256:…, as the build reports it (--require-digest refuses tags)";

/// What became of the tags.
pub(super) struct Resolved {
    /// Of each that names no image, why.
    failures: HashMap<TagRef, Explanation>,
    /// Why nothing else is signed either; `None`: the rest is.
    pub(super) refusal: Option<Explanation>,
}

impl Resolved {
    /// How those of `expected` ended whose tags name no image.
    pub(super) fn outcomes(&self, expected: &[Expected]) -> Vec<Outcome> {
        let failed = |expected: &Expected| match &expected.subject {
            About::Tag(tag) => self.failures.get(tag).map(|why| expected.failed(why)),
            _ => None,
        };
        expected.iter().filter_map(failed).collect()
    }
}

/// Asks the registries, once, for what the tags in `plan` name, which then stand in it as images. `None`: there are no tags.
///
/// Nothing is signed where one of them names nothing, unless the user is `lenient` and lets the rest be signed.
pub(super) async fn resolve(
    plan: &mut Plan,
    client: &Client,
    jobs: usize,
    lenient: bool,
    notices: &mut Notices<'_>,
) -> Option<Resolved> {
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
    Some(Resolved { failures, refusal })
}

/// Why nothing is signed.
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
