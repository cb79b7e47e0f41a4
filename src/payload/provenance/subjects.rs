//! What a run built, from the type hints in its results.
//!
//! Images as [`plan`](crate::plan) takes them; artifacts as Chains does. A hint that is wrong is left out here: that it
//! is wrong is the plan's to say.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md#type-hinting>

use std::collections::{HashMap, HashSet};

use super::digest;
use super::{RunFormat, StatementSubject};
use crate::registry::{Digest, ImageRef, Named};
use crate::tekton::run::{ParamValue, Run, RunKind, RunObject, RunResult};
use crate::tekton::{ResultKind, Value, classify, parse_value};

/// The subjects of the statement for `run`.
pub(super) fn of_run(run: &Run, format: RunFormat, deep: bool) -> Vec<StatementSubject> {
    let mut found = Subjects::default();
    let own = run.run();
    match (format, run.kind()) {
        (RunFormat::Tekton, _) => {}
        (RunFormat::SlsaV2Alpha4, RunKind::TaskRun) => found.of_task_run(own),
        (RunFormat::SlsaV2Alpha4, RunKind::PipelineRun) => {
            found.built(&own.results());
            for child in run.executed().into_iter().filter(|_| deep) {
                found.of_task_run(child);
            }
        }
        (_, RunKind::TaskRun) => found.all(&own.results()),
        (_, RunKind::PipelineRun) => {
            for child in run.executed().into_iter().filter(|_| deep) {
                found.all(&child.results());
            }
            found.all(&own.results());
        }
    }
    found.found
}

/// Subjects in the order in which they were found; one that is found again is not added.
#[derive(Default)]
struct Subjects {
    found: Vec<StatementSubject>,
    seen: HashSet<(String, String, String)>,
}

impl Subjects {
    /// Of a TaskRun in `slsa/v2alpha4`: its steps', then its own.
    fn of_task_run(&mut self, run: &RunObject) {
        for step in run.steps() {
            self.built(&step.results());
        }
        self.built(&run.results());
    }

    /// What the results call built: outputs that are build artifacts, and images.
    fn built(&mut self, results: &[RunResult<'_>]) {
        for (uri, digest) in outputs(results, true) {
            self.artifact(uri, digest);
        }
        for image in images(results) {
            self.image(&image);
        }
    }

    /// Everything the results name: images, artifacts, and outputs of any kind.
    fn all(&mut self, results: &[RunResult<'_>]) {
        for image in images(results) {
            self.image(&image);
        }
        for (uri, digest) in pairs(results, "ARTIFACT_URI", "ARTIFACT_DIGEST") {
            self.artifact(&uri, &digest);
        }
        for (uri, digest) in outputs(results, false) {
            self.artifact(uri, digest);
        }
    }

    fn image(&mut self, image: &ImageRef) {
        self.add(image.repository.to_string(), "sha256", image.digest.hex());
    }

    fn artifact(&mut self, uri: &str, digest: &str) {
        if let Some((algorithm, hex)) = digest::as_written(digest) {
            self.add(uri.to_owned(), algorithm, hex);
        }
    }

    fn add(&mut self, name: String, algorithm: &str, hex: &str) {
        if self.seen.insert((name.clone(), algorithm.to_owned(), hex.to_owned())) {
            let digest = [(algorithm.to_owned(), hex.to_owned())].into();
            self.found.push(StatementSubject { name, digest });
        }
    }
}

/// The images among `results`: pairs, then `IMAGES`, then build artifacts that are images.
fn images(results: &[RunResult<'_>]) -> Vec<ImageRef> {
    let mut found = Vec::new();
    for (url, digest) in pairs(results, "IMAGE_URL", "IMAGE_DIGEST") {
        found.extend(image(&url, &digest));
    }
    for result in results.iter().filter(|result| result.name == "IMAGES") {
        // Chains reads none of these in an array.
        if let Ok(Value::Names(names)) = parse_value(&ResultKind::Images, result.value.to_file().as_bytes()) {
            found.extend(names.lines().filter_map(|name| name.parse::<ImageRef>().ok()));
        }
    }
    for (uri, digest) in outputs(results, true) {
        found.extend(image(uri, digest));
    }
    found
}

/// The image with this name and digest; a digest in the name must be the same one.
fn image(name: &str, digest: &str) -> Option<ImageRef> {
    let (named, digest): (Named, Digest) = (name.parse().ok()?, digest.parse().ok()?);
    let same = named.digest.is_none_or(|own| own == digest);
    same.then_some(ImageRef { repository: named.repository, digest })
}

/// Half of a pair.
enum Half<'a> {
    /// A text, which Chains takes as it is.
    Text(&'a str),
    /// An array, as [`plan`](crate::plan) takes it. `None`: it can't be taken.
    List(Option<Vec<String>>),
}

impl<'a> Half<'a> {
    /// The half in a result; `None`: it is blank.
    fn of(result: &'a RunResult<'_>, kind: &ResultKind) -> Option<Self> {
        let text = result.value.text().trim();
        if !text.is_empty() && !text.starts_with('[') {
            return Some(Self::Text(text));
        }
        match (&result.value, parse_value(kind, result.value.to_file().as_bytes())) {
            (_, Ok(Value::List(texts))) => Some(Self::List(Some(texts))),
            (ParamValue::Text(_), Ok(Value::Text(_))) => Some(Self::Text(text)),
            (ParamValue::Object(_), _) | (_, Ok(_)) => None,
            (_, Err(_)) => Some(Self::List(None)),
        }
    }
}

/// Pairs of texts whose names differ in their ends only, in the order of the first of each; of two arrays those of each
/// position, if they are of one length. Of duplicates the last wins, and a blank one is none.
fn pairs(results: &[RunResult<'_>], name_end: &str, digest_end: &str) -> Vec<(String, String)> {
    let mut found: Vec<(Option<Half<'_>>, Option<Half<'_>>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for result in results {
        let (prefix, is_name) = match result.name.strip_suffix(name_end) {
            Some(prefix) => (prefix, true),
            None => match result.name.strip_suffix(digest_end) {
                Some(prefix) => (prefix, false),
                None => continue,
            },
        };
        let Some(half) = Half::of(result, &classify(result.name.as_bytes())) else { continue };
        let at = *places.entry(prefix).or_insert_with(|| {
            found.push((None, None));
            found.len() - 1
        });
        if let Some((name, digest)) = found.get_mut(at) {
            *(if is_name { name } else { digest }) = Some(half);
        }
    }
    let both = found.into_iter().filter_map(|(name, digest)| Some((name?, digest?)));
    both.flat_map(|pair| match pair {
        (Half::Text(name), Half::Text(digest)) => vec![(name.to_owned(), digest.to_owned())],
        (Half::List(Some(names)), Half::List(Some(digests))) if names.len() == digests.len() => {
            let each = names.into_iter().zip(digests);
            each.filter(|(name, digest)| !name.is_empty() && !digest.is_empty()).collect()
        }
        _ => Vec::new(),
    })
    .collect()
}

/// URI and digest of each `*ARTIFACT_OUTPUTS` object that is whole; only build artifacts, if asked.
fn outputs<'a>(results: &'a [RunResult<'_>], built: bool) -> impl Iterator<Item = (&'a str, &'a str)> {
    let results = results.iter().filter(move |result| match built {
        true => is_build_artifact(result) == Ok(true),
        false => result.name.ends_with("ARTIFACT_OUTPUTS"),
    });
    results.filter_map(|result| whole_object(result))
}

/// A result's `uri` and `digest`, if it is an object that has both and the digest is one.
pub(super) fn whole_object<'a>(result: &'a RunResult<'_>) -> Option<(&'a str, &'a str)> {
    let ParamValue::Object(fields) = &result.value else { return None };
    let field = |name: &str| fields.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let (uri, digest) = (field("uri")?, field("digest")?);
    digest::parse(digest)?;
    Some((uri, digest))
}

/// Something that calls itself an artifact and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Whether the result is an `*ARTIFACT_OUTPUTS` that calls itself a build artifact.
pub(super) fn is_build_artifact(result: &RunResult<'_>) -> Result<bool, Malformed> {
    if !result.name.ends_with("ARTIFACT_OUTPUTS") {
        return Ok(false);
    }
    let ParamValue::Object(fields) = &result.value else { return Err(Malformed) };
    if fields.get("isBuildArtifact").map(String::as_str) != Some("true") {
        return Ok(false);
    }
    whole_object(result).map(|_| true).ok_or(Malformed)
}
