//! Images that arguments name by a tag: what each is now, what the user has to know of it, and what becomes of tags that name nothing.

use std::collections::HashMap;

use super::output::Output;
use super::subjects::Subjects;
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::pipeline;
use crate::registry::TagRef;
use crate::registry::client::Client;
use crate::report::{About, Outcome};

/// What a tag is worth.
const WARNING: &str = "warning: a tag can be moved at any time, so what it names now may not be what was built: name the image as \
                       NAME@sha256:…, as the build reports it (--require-digest refuses tags)";

/// The tags that name no image.
pub(super) struct Unresolved {
    /// How they ended, in each store.
    pub(super) outcomes: Vec<Outcome>,
    /// Why nothing else is signed either; `None`: the rest is.
    pub(super) refusal: Option<Explanation>,
}

/// Asks the registries, once, for what the tags in the plan name, which then stand in the plan as images. `None`: there are no tags.
///
/// Nothing is signed where one of them names nothing, unless the user lets the rest be signed.
pub(super) async fn resolve(
    subjects: &mut Subjects,
    client: &Client,
    out: &mut Output,
) -> Option<Unresolved> {
    if subjects.plan.tags.is_empty() || subjects.config.images.is_empty() {
        return None;
    }
    out.line(WARNING);
    let names: Vec<TagRef> = subjects.plan.tags.iter().map(|planned| planned.tag.clone()).collect();
    let number = names.len();
    let results = pipeline::resolve(client, names, subjects.config.jobs).await;
    let mut failures: HashMap<TagRef, Explanation> = HashMap::new();
    let mut found = Vec::new();
    for (planned, result) in subjects.plan.tags.iter().zip(results) {
        match result {
            Ok(image) => {
                out.line(&format!("resolved   {} is {image} ({})", planned.tag, planned.from.join(", ")));
                found.push(Some(image));
            }
            Err(error) => {
                failures.insert(planned.tag.clone(), Explanation::of(&error));
                found.push(None);
            }
        }
    }
    subjects.plan.resolve(found);
    let failed = |expected: &crate::report::Expected| match &expected.subject {
        About::Tag(tag) => failures.get(tag).map(|why| expected.failed(why)),
        _ => None,
    };
    let outcomes: Vec<Outcome> = subjects.expected().iter().filter_map(failed).collect();
    let exit = failures.values().map(|why| why.exit).reduce(ExitCode::and);
    let refusal = exit.filter(|_| !subjects.config.lenient).map(|exit| refusal(failures.len(), number, exit));
    Some(Unresolved { outcomes, refusal })
}

/// Why nothing is signed.
fn refusal(failed: usize, number: usize, exit: ExitCode) -> Explanation {
    let tags = if number == 1 { "tag names" } else { "tags name" };
    Explanation {
        error: format!("{failed} of {number} {tags} no image that can be signed; nothing was signed"),
        causes: Vec::new(),
        used: None,
        hint: Some("correct the argument; --lenient signs the rest".into()),
        exit,
    }
}
