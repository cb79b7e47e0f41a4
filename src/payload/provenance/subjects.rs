//! What a run built, from the type hints in its results.
//!
//! Values are read as [`plan`](crate::plan) reads them, so that what the plan calls blank or malformed is no subject, and each image
//! that is signed is one. A hint that is wrong is left out here: that it is wrong is the plan's to say.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md#type-hinting>

use std::collections::{HashMap, HashSet};

use super::{RunFormat, StatementSubject, digest};
use crate::hint::{Output, ResultKind, Value, classify, parse_value};
use crate::oci::{Digest, ImageRef, Named};
use crate::run::{ParamValue, Run, RunKind, RunObject, RunResult};

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

/// Subjects in the order in which they were found, without repetitions.
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
        for output in outputs(results, true) {
            self.artifact(&output.uri, &output.digest);
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
        for (uri, digest) in pairs(results, Family::Artifact) {
            self.artifact(&uri, &digest);
        }
        for output in outputs(results, false) {
            self.artifact(&output.uri, &output.digest);
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
    for (url, digest) in pairs(results, Family::Image) {
        found.extend(image(&url, &digest));
    }
    for result in results.iter().filter(|result| result.name == "IMAGES") {
        // Chains reads none of these in an array.
        if let Some(Value::Names(names)) = value(result) {
            found.extend(names.lines().filter_map(|name| name.parse::<ImageRef>().ok()));
        }
    }
    for output in outputs(results, true) {
        let digest = digest::parse(&output.digest).map(|(algorithm, hex)| format!("{algorithm}:{hex}"));
        found.extend(digest.and_then(|digest| image(&output.uri, &digest)));
    }
    found
}

/// The image with this name and digest; a digest in the name must be the same one.
fn image(name: &str, digest: &str) -> Option<ImageRef> {
    let (named, digest): (Named, Digest) = (name.parse().ok()?, digest.parse().ok()?);
    let same = named.digest.is_none_or(|own| own == digest);
    same.then_some(ImageRef { repository: named.repository, digest })
}

/// The value of the hint in `result`, read as [`plan`](crate::plan) reads it; `None`: it is malformed.
fn value(result: &RunResult<'_>) -> Option<Value> {
    parse_value(&classify(result.name.as_bytes()), result.value.to_file().as_bytes()).ok()
}

/// What a pair names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Image,
    Artifact,
}

/// The family of a pair of which a result of this kind is half, its prefix, and whether it is the name.
fn half(kind: &ResultKind) -> Option<(Family, &str, bool)> {
    match kind {
        ResultKind::ImageUrl(prefix) => Some((Family::Image, prefix, true)),
        ResultKind::ImageDigest(prefix) => Some((Family::Image, prefix, false)),
        ResultKind::ArtifactUri(prefix) => Some((Family::Artifact, prefix, true)),
        ResultKind::ArtifactDigest(prefix) => Some((Family::Artifact, prefix, false)),
        _ => None,
    }
}

/// Pairs of texts whose names differ in their ends only, in the order of the first of each; of two arrays those of each
/// position, if they are of one length. Of duplicates the last wins, whatever it holds.
fn pairs(results: &[RunResult<'_>], family: Family) -> Vec<(String, String)> {
    let mut found: Vec<(Option<Value>, Option<Value>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for result in results {
        let kind = classify(result.name.as_bytes());
        let Some((_, prefix, is_name)) = half(&kind).filter(|half| half.0 == family) else { continue };
        let at = *places.entry(prefix.to_owned()).or_insert_with(|| {
            found.push((None, None));
            found.len() - 1
        });
        if let Some((name, digest)) = found.get_mut(at) {
            *(if is_name { name } else { digest }) = value(result);
        }
    }
    let both = found.into_iter().filter_map(|(name, digest)| Some((name?, digest?)));
    both.flat_map(|pair| match pair {
        (Value::Text(name), Value::Text(digest)) => vec![(name, digest)],
        (Value::List(names), Value::List(digests)) if names.len() == digests.len() => {
            let each = names.into_iter().zip(digests);
            each.filter(|(name, digest)| !name.is_empty() && !digest.is_empty()).collect()
        }
        _ => Vec::new(),
    })
    .collect()
}

/// Each object in `*ARTIFACT_OUTPUTS` that is whole; only build artifacts, if asked.
fn outputs(results: &[RunResult<'_>], built: bool) -> impl Iterator<Item = Output> {
    let values = results.iter().filter(|result| result.name.ends_with("ARTIFACT_OUTPUTS")).filter_map(value);
    let objects = values.flat_map(|value| match value {
        Value::Outputs(outputs) => outputs,
        _ => Vec::new(),
    });
    objects
        .flatten()
        .filter(|output| digest::parse(&output.digest).is_some())
        .filter(move |output| !built || output.is_build_artifact.as_deref() == Some("true"))
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
    if fields.get("isBuildArtifact").map(|flag| flag.trim()) != Some("true") {
        return Ok(false);
    }
    whole_object(result).map(|_| true).ok_or(Malformed)
}
