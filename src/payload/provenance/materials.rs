//! What went into a build: the images its steps ran in, sources, and what results and parameters name.

use super::descriptor::{Material, Materials};
use super::digest;
use super::subjects::whole_object;
use crate::run::{Gap, GapReason, ParamValue, Run, RunObject, RunResult, image_of};

const GIT_URL: &str = "CHAINS-GIT_URL";
const GIT_COMMIT: &str = "CHAINS-GIT_COMMIT";

/// The materials of a TaskRun.
pub(super) fn of_task_run(run: &RunObject, gaps: &mut Vec<Gap>) -> Vec<Material> {
    let mut found = Materials::default();
    found.extend(step_images(run, gaps));
    found.extend(sidecar_images(run, gaps));
    found.extend(task_inputs(run, gaps));
    found.into_vec()
}

/// The materials of a PipelineRun.
pub(super) fn of_pipeline_run(run: &Run, deep: bool, gaps: &mut Vec<Gap>) -> Vec<Material> {
    let mut found = Materials::default();
    found.extend(run.run().ref_source().map(|source| Material::of_source(&source)));
    for child in run.executed() {
        found.extend(step_images(child, gaps));
        found.extend(sidecar_images(child, gaps));
        found.extend(child.ref_source().map(|source| Material::of_source(&source)));
    }
    found.extend(pipeline_inputs(run, deep, gaps));
    found.into_vec()
}

/// The images that the steps of `run` ran in. A step that never ran has none.
pub(super) fn step_images(run: &RunObject, gaps: &mut Vec<Gap>) -> Vec<Material> {
    let steps = run.steps();
    let named = steps.iter().map(|step| (step.name(), step.image_id()));
    images(run, named, |name| GapReason::StepImage(name.into()), gaps)
}

/// The images of the sidecars of `run`.
pub(super) fn sidecar_images(run: &RunObject, gaps: &mut Vec<Gap>) -> Vec<Material> {
    let named = run.sidecars().into_iter();
    images(run, named, |name| GapReason::SidecarImage(name.into()), gaps)
}

fn images<'a>(
    run: &RunObject,
    named: impl Iterator<Item = (&'a str, &'a str)>,
    gap: impl Fn(&str) -> GapReason,
    gaps: &mut Vec<Gap>,
) -> Vec<Material> {
    let mut found = Materials::default();
    for (name, id) in named {
        match image(id) {
            Some(material) => found.add(material),
            None => gaps.push(run.gap(gap(name))),
        }
    }
    found.into_vec()
}

/// `NAME@ALGORITHM:HEX` as a material.
pub(super) fn image(id: &str) -> Option<Material> {
    let (uri, algorithm, hex) = image_of(id)?;
    Some(Material::new(uri, &algorithm, &hex))
}

/// A git commit, gathered from all its places; later values win.
#[derive(Default)]
struct Git {
    url: String,
    commit: String,
}

impl Git {
    fn take(&mut self, name: &str, value: &ParamValue) {
        match name {
            GIT_URL => value.text().clone_into(&mut self.url),
            GIT_COMMIT => value.text().clone_into(&mut self.commit),
            _ => {}
        }
    }

    fn take_results(&mut self, results: &[RunResult<'_>]) {
        results.iter().for_each(|result| self.take(result.name, &result.value));
    }

    fn take_parameters(&mut self, run: &RunObject) {
        run.default_parameters()
            .iter()
            .chain(&run.parameters())
            .for_each(|(name, value)| self.take(name, value));
    }

    /// The commit; a missing URL gives a note.
    fn material(&self, run: &RunObject, gaps: &mut Vec<Gap>) -> Option<Material> {
        if self.commit.is_empty() {
            return None;
        }
        if self.url.is_empty() {
            gaps.push(run.gap(GapReason::NoGitUrl));
        }
        let mut url = self.url.clone();
        if !url.starts_with("git+") {
            url.insert_str(0, "git+");
        }
        if !url.ends_with(".git") {
            url.push_str(".git");
        }
        // Whatever the commit is, Chains calls it so.
        Some(Material::new(url, "sha1", &self.commit))
    }
}

/// What the parameters and results of a TaskRun name: its git commit and `*ARTIFACT_INPUTS`.
pub(super) fn task_inputs(run: &RunObject, gaps: &mut Vec<Gap>) -> Vec<Material> {
    let (mut found, mut git) = (Materials::default(), Git::default());
    let results = run.results();
    git.take_parameters(run);
    git.take_results(&results);
    found.extend(git.material(run, gaps));
    found.extend(artifact_inputs(&results));
    found.into_vec()
}

/// The same of the results of single steps: each step's git commit, then every `*ARTIFACT_INPUTS`.
pub(super) fn step_inputs(run: &RunObject, gaps: &mut Vec<Gap>) -> Vec<Material> {
    let mut found = Materials::default();
    let steps: Vec<Vec<RunResult<'_>>> = run.steps().into_iter().map(|step| step.results()).collect();
    for results in &steps {
        let mut git = Git::default();
        git.take_results(results);
        found.extend(git.material(run, gaps));
    }
    steps.iter().for_each(|results| found.extend(artifact_inputs(results)));
    found.into_vec()
}

/// The same of a PipelineRun, with its TaskRuns' if asked.
pub(super) fn pipeline_inputs(run: &Run, deep: bool, gaps: &mut Vec<Gap>) -> Vec<Material> {
    let (mut found, mut git) = (Materials::default(), Git::default());
    let own = run.run();
    let results = own.results();
    found.extend(artifact_inputs(&results));
    for child in run.executed().into_iter().filter(|_| deep) {
        found.extend(task_inputs(child, gaps));
    }
    git.take_parameters(own);
    git.take_results(&results);
    // Of a TaskRun, Chains takes a commit without a URL for one; of a PipelineRun it doesn't.
    found.extend(git.material(own, gaps).filter(|_| !git.url.is_empty()));
    found.into_vec()
}

fn artifact_inputs<'a>(results: &'a [RunResult<'_>]) -> impl Iterator<Item = Material> + 'a {
    let inputs = results.iter().filter(|result| result.name.ends_with("ARTIFACT_INPUTS"));
    inputs.filter_map(|result| {
        let (uri, digest) = whole_object(result)?;
        let (algorithm, hex) = digest::parse(digest)?;
        Some(Material::new(uri, &algorithm, hex))
    })
}
