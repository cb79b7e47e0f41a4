//! Discovery and planning: finds the runs and the images, and decides what to sign.

use std::path::PathBuf;

use serde_json::Value;

use super::process::{Notices, ProcessEnvironment};
use super::runs::{self, FindRunsError, FoundRuns};
use super::{RunJob, SignJobError, setup};
use crate::config::{Config, RunArtifact};
use crate::exit::ExitCode;
use crate::explain::{Explanation, explain};
use crate::flow::{self, PlannedRun, RunPlanOptions};
use crate::formats::Claims;
use crate::hint::Discovered;
use crate::oci::{ImageRef, Pattern, PatternError, PlainHttp, Repository};
use crate::payload::Format;
use crate::place::{Encoding, StoreKind};
use crate::plan::{self, Identities, Note, NoteKind, Plan, PlanOptions};
use crate::report::{ExpectedOutcome, OutcomeLabel, ReportSubject};
use crate::run::{HintOptions, Run, RunFormat, RunKind};
use crate::tekton::{Places, Standing, TektonError};
use crate::{run, tekton};

/// The configuration with the plan of what to sign.
pub(crate) struct SignPlan {
    pub(crate) config: Config,
    pub(crate) plan: Plan,
    /// Why the images of the run must not be signed.
    images_blocked: Option<Explanation>,
    /// The runs to sign for, with their payloads.
    pub(crate) runs: Vec<PlannedRun>,
    /// The metadata of each run as the cluster returned it, for writing its annotations.
    known: Vec<Option<Value>>,
    /// How many requests to the cluster the discovery took.
    pub(crate) requests: u64,
    /// This step's position in its Task, if Tekton runs it.
    pub(crate) standing: Option<Standing>,
}

/// The images that arguments name, and the files that list further images.
pub(crate) struct NamedImages {
    /// The image names from the arguments, unparsed.
    pub(crate) images: Vec<String>,
    /// The files with further image names.
    pub(crate) files: Vec<PathBuf>,
}

impl NamedImages {
    /// Whether any image or file is named.
    fn is_any(&self) -> bool {
        !self.images.is_empty() || !self.files.is_empty()
    }

    /// Reads all image names, each with its source.
    pub(crate) fn read(&self) -> Result<Discovered, TektonError> {
        let mut discovered = tekton::from_arguments(&self.images);
        for file in &self.files {
            discovered.extend(tekton::from_file(file)?);
        }
        Ok(discovered)
    }
}

/// Why the plan can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignPlanError {
    #[error(transparent)]
    Tekton(#[from] TektonError),
    #[error(transparent)]
    Find(#[from] FindRunsError),
    #[error("--allow: \"{0}\" is not a repository pattern")]
    Pattern(String, #[source] PatternError),
}

explain! { SignPlanError,
    Self::Tekton(error) => [of error],
    Self::Find(error) => [of error],
    Self::Pattern(..) => ["allow-not-a-pattern", Usage, "write REGISTRY/REPOSITORY with * within a path part and ** across parts"],
}

impl SignPlan {
    /// Finds the runs and the images, and plans what to sign.
    pub(crate) fn read(
        config: Config,
        named: &NamedImages,
        environment: &dyn ProcessEnvironment,
        notices: &mut Notices<'_>,
    ) -> Result<Self, SignPlanError> {
        let found = runs::find(&config, environment)?;
        let discovered = discover(named, &config, &found)?;
        let standing = Standing::find(&config.steps_dir);
        // Later steps can't change images that the arguments name.
        let named = named.is_any();
        if let Some(warning) = standing.as_ref().filter(|_| !named).and_then(not_the_last) {
            notices(&format!("warning: {warning}"));
        }
        let identities = match config.oci.encodings.contains(&Encoding::SigstoreBundle) {
            false => Identities::Signed,
            true => Identities::NoPlace,
        };
        let options = options(&config, identities)?;
        let mut plan = crate::plan::plan(&discovered, &options);
        let runs = plan_runs(&config, &found, named, &options, &mut plan);
        let images_blocked = found.runs.first().filter(|_| found.outside).and_then(|first| {
            let refused = flow::refused_outcome(&first.run, config.include_failed);
            refused.or_else(|| first.blocked.clone())
        });
        let FoundRuns { runs: found, requests, .. } = found;
        let known = found.into_iter().map(|found| found.known).collect();
        Ok(Self { config, plan, images_blocked, runs, known, requests, standing })
    }

    /// The runs to sign for, each with its artifact settings.
    pub(crate) fn run_artifacts(&self) -> impl Iterator<Item = (&PlannedRun, &RunArtifact)> {
        self.runs
            .iter()
            .map(|run| (run, artifact(&self.config, run.kind)))
            .filter(|(_, to)| !to.stores.is_empty())
    }

    /// Why nothing can be signed: malformed hints, no image, or image signatures turned off.
    pub(crate) fn refusal(&self) -> Option<Explanation> {
        if !self.plan.problems.is_empty() && !self.config.lenient {
            return Some(malformed(&self.plan, "correct the step that wrote it; --lenient signs the rest"));
        }
        // The images of a run are signed only together with the run.
        if let Some(blocked) = self.images_blocked.clone() {
            return Some(blocked);
        }
        // Otherwise an encoding could sign a claim that the other can't express.
        if let Some(unsayable) = self.unsayable() {
            return Some(unsayable);
        }
        let signs_images = !self.config.images.is_empty() && self.plan.has_images();
        let mut runs = self.run_artifacts().map(|(run, _)| run).peekable();
        if let Some(first) = runs.peek() {
            let blocked = first.blocked.clone().filter(|_| !signs_images);
            return blocked.filter(|_| runs.all(|run| run.blocked.is_some()));
        }
        if self.config.images.is_empty() {
            return Some(Explanation {
                code: "images-off",
                error: "there is nothing to do: artifacts.oci.storage is empty, so image signatures are off"
                    .into(),
                causes: Vec::new(),
                used: None,
                hint: Some(
                    "set artifacts.oci.storage to oci, or artifacts.taskrun.storage, or leave the signing step out"
                        .into(),
                ),
                exit: ExitCode::Usage,
            });
        }
        let nothing = self.plan.nothing_to_sign()?;
        Some(Explanation {
            code: "nothing-to-sign",
            error: "there is nothing to sign".into(),
            causes: std::iter::once(nothing).chain(self.plan.half_pairs()).collect(),
            used: None,
            hint: Some(
                "let the build write IMAGE_URL and IMAGE_DIGEST (or IMAGES) as results, or name the images: \
                 stepseal sign NAME@sha256:…"
                    .into(),
            ),
            exit: ExitCode::Results,
        })
    }

    /// The failures that `sign` will report although it starts, and the resulting exit code; empty if everything can be signed.
    pub(crate) fn shortfall(&self) -> (Vec<(String, Explanation)>, ExitCode) {
        let mut failures = Vec::new();
        let of_images = self.config.images.iter().filter(|_| self.plan.has_images());
        let mut codes: Vec<ExitCode> = of_images.map(|_| ExitCode::Done).collect();
        for (run, to) in self.run_artifacts() {
            for store in &to.stores {
                let no_place = store.is_beside_images() && run.images.is_empty();
                let no_place = no_place.then(|| Explanation::of(&SignJobError::NoImage(run.shown())));
                let failure = run.blocked.clone().or(no_place);
                codes.push(failure.as_ref().map_or(ExitCode::Done, |failure| failure.exit));
                // A blocked run is already among the problems.
                failures.extend(failure.filter(|_| run.blocked.is_none()).map(|why| (run.shown(), why)));
            }
        }
        (failures, codes.into_iter().reduce(ExitCode::and).unwrap_or(ExitCode::Done))
    }

    /// The expected outcome of each subject in each store.
    pub(crate) fn expected(&self) -> Vec<ExpectedOutcome> {
        let mut expected = Vec::new();
        for label in setup::image_labels(&self.config) {
            let of = |subject, from: &Vec<String>| ExpectedOutcome { label, subject, from: from.clone() };
            let images = self.plan.images.iter();
            expected
                .extend(images.map(|planned| of(ReportSubject::Image(planned.image.clone()), &planned.from)));
            let tags = self.plan.tags.iter();
            expected.extend(tags.map(|planned| of(ReportSubject::Tag(planned.tag.clone()), &planned.from)));
        }
        for (run, to) in self.run_artifacts() {
            let encodings = &self.config.oci.encodings;
            expected.extend(to.stores.iter().flat_map(|store| expected_of_run(run, to, *store, encodings)));
        }
        expected
    }

    /// The runs, with the format and the stores of each.
    pub(crate) fn jobs(&self) -> Vec<RunJob> {
        let job = |(planned, known): (&PlannedRun, &Option<Value>)| {
            let to = artifact(&self.config, planned.kind);
            RunJob {
                planned: planned.clone(),
                format: to.format_name,
                stores: to.stores.clone(),
                known: known.clone(),
            }
        };
        self.runs.iter().zip(&self.known).map(job).collect()
    }

    /// Whether signing writes annotations in the cluster.
    pub(crate) fn annotates(&self) -> bool {
        let of_images = self.config.images.iter().any(|store| store.needs_run());
        let of_runs = self.run_artifacts().any(|(_, to)| to.stores.iter().any(|store| store.needs_run()));
        !self.runs.is_empty() && (of_images || of_runs || self.config.mark_signed)
    }

    /// The repository of every image that may get a signature or attestation.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = &Repository> {
        let of_runs = self.runs.iter().flat_map(|run| &run.images).map(|image| &image.repository);
        self.plan.repositories().chain(of_runs)
    }

    /// Notes about the runs to sign for: unchecked facts, and missing data.
    pub(crate) fn run_notes(&self) -> Vec<(String, Vec<String>)> {
        let of_run = |run: &PlannedRun| {
            let signed = !artifact(&self.config, run.kind).stores.is_empty();
            let notes = run.notes.iter().filter(|_| signed);
            (run.shown(), notes.chain(&run.half_pairs).cloned().collect())
        };
        self.runs.iter().map(of_run).filter(|(_, notes): &(_, Vec<_>)| !notes.is_empty()).collect()
    }

    /// The same notes by the name that outcomes give in `from`. A run that is not signed itself has no outcome, so its notes
    /// go to the first of its images.
    pub(crate) fn report_notes(&self) -> Vec<(String, Vec<String>)> {
        let signed: Vec<String> = self.run_artifacts().map(|(run, _)| run.shown()).collect();
        let first = self.plan.images.first().and_then(|planned| planned.from.first());
        let noted = self.run_notes().into_iter();
        noted
            .filter_map(|(run, notes)| {
                Some((if signed.contains(&run) { run } else { first?.clone() }, notes))
            })
            .collect()
    }

    /// The claims that payloads make about an image.
    pub(crate) fn claims(&self) -> Claims {
        setup::claims(&self.config)
    }

    /// Each encoding with its payload format and the names of the stores that get it.
    pub(crate) fn image_formats(&self) -> Vec<(Encoding, Box<dyn Format>, Vec<&'static str>)> {
        let labels = setup::image_labels(&self.config);
        let with_stores = |encoding: &Encoding| {
            let format = setup::format(*encoding)();
            let stores = labels.iter().filter(|label| label.format == format.name());
            let stores: Vec<&'static str> = stores.map(|label| label.store).collect();
            (!stores.is_empty()).then_some((*encoding, format, stores))
        };
        self.config.oci.encodings.iter().filter_map(with_stores).collect()
    }

    /// Why payloads can't be made. All images have the same claims, so the first image decides.
    fn unsayable(&self) -> Option<Explanation> {
        let (first, claims) = (&self.plan.images.first()?.image, self.claims());
        let mut formats = self.image_formats().into_iter();
        formats.find_map(|(_, format, _)| Some(Explanation::of(&format.payloads(first, &claims).err()?)))
    }
}

/// The artifact settings for runs of this kind.
pub(crate) fn artifact(config: &Config, kind: RunKind) -> &RunArtifact {
    match kind {
        RunKind::TaskRun => &config.runs.task_run,
        RunKind::PipelineRun => &config.runs.pipeline_run,
    }
}

/// Plans the payload of each run and adds notes to `plan`. If the first run is from outside and no images were `named`, `plan`
/// was made from its results.
fn plan_runs(
    config: &Config,
    all: &FoundRuns,
    named: bool,
    allowed: &PlanOptions,
    plan: &mut Plan,
) -> Vec<PlannedRun> {
    let mut runs = Vec::new();
    for (at, found) in all.runs.iter().enumerate() {
        let to = artifact(config, found.run.kind());
        let options = RunPlanOptions {
            format: to.format,
            provenance: &config.runs.provenance,
            include_failed: config.include_failed,
        };
        let mut run = flow::plan_run(&found.run, &options);
        run.blocked = run.blocked.or_else(|| found.blocked.clone());
        run.notes.extend(found.notes.iter().cloned());
        if at == 0 && all.outside && !named {
            run.half_pairs = plan.half_pairs();
        } else {
            run.notes.extend(left_out(config, &found.run, allowed));
        }
        let place = run.shown();
        let (images, others): (Vec<ImageRef>, Vec<ImageRef>) =
            run.images.into_iter().partition(|image| allowed.allows(&image.repository));
        run.images = images;
        let refused =
            |image: &ImageRef| format!("{image} gets no attestation: --allow does not cover its repository");
        run.notes.extend(others.iter().map(refused));
        if to.stores.is_empty() {
            let key = format!("artifacts.{}.storage", run.artifact());
            let what = format!("nothing is signed for the run itself: {key} is empty");
            plan.notes.push(Note { place, what, kind: NoteKind::Other });
        } else {
            let note =
                |what: &String| Note { place: place.clone(), what: what.clone(), kind: NoteKind::Other };
            plan.notes.extend(run.notes.iter().map(note));
        }
        runs.push(run);
    }
    runs
}

/// The images that a run's results name and its statement leaves out, unless the plan was made from these results.
fn left_out(config: &Config, run: &Run, allowed: &PlanOptions) -> Vec<String> {
    let format = artifact(config, run.kind()).format;
    // This step's own run is still running. The plan was made from its results, which are in its directories.
    let is_own = run.kind() == RunKind::TaskRun && run.run().completion_time().is_none();
    if is_own || format == RunFormat::Tekton {
        return Vec::new();
    }
    let discovered = run::hints(run, &hint_options(config, run.kind()));
    let any = PlanOptions { plain_http: allowed.plain_http.clone(), ..PlanOptions::default() };
    plan::plan(&discovered, &any).left_out()
}

/// Which of a run's results to search for type hints.
fn hint_options(config: &Config, kind: RunKind) -> HintOptions {
    let steps = artifact(config, kind).format.reads_step_results();
    HintOptions { deep: config.runs.provenance.deep_inspection, steps }
}

/// The expected outcomes of a run in a store: in registries, an attestation for each image.
fn expected_of_run(
    run: &PlannedRun,
    to: &RunArtifact,
    store: StoreKind,
    encodings: &[Encoding],
) -> Vec<ExpectedOutcome> {
    let subjects: Vec<ReportSubject> = match store.is_beside_images() && !run.images.is_empty() {
        true => run.images.iter().cloned().map(ReportSubject::Image).collect(),
        false => vec![about_run(run)],
    };
    let labels = OutcomeLabel::each(run.artifact(), to.format_name, store, encodings);
    let expected = |label: &OutcomeLabel, subject: &ReportSubject| ExpectedOutcome {
        label: *label,
        subject: subject.clone(),
        from: vec![run.shown()],
    };
    labels.iter().flat_map(|label| subjects.iter().map(|subject| expected(label, subject))).collect()
}

/// The run as a subject in the report.
pub(crate) fn about_run(run: &PlannedRun) -> ReportSubject {
    ReportSubject::Run { name: run.name.clone(), uid: run.uid.clone() }
}

/// A warning if later steps can change the results.
fn not_the_last(standing: &Standing) -> Option<String> {
    let steps = match &standing.later[..] {
        [] => return None,
        [step] => format!("the step {step} runs"),
        steps => format!("the steps {} run", steps.join(", ")),
    };
    Some(format!(
        "{steps} after this step and can change the results that the TaskRun reports; make the signing step the last step, \
         or use its own results SIGNED_IMAGES and SIGNATURES, which no other step can write"
    ))
}

/// An explanation that lists all malformed type hints.
pub(crate) fn malformed(plan: &Plan, hint: &str) -> Explanation {
    let number = plan.problems.len();
    let problems = if number == 1 { "1 problem".to_owned() } else { format!("{number} problems") };
    Explanation {
        code: "results-problems",
        error: format!("{problems} in the images to sign; nothing was signed"),
        causes: plan.problems.iter().map(|problem| format!("{}: {}", problem.place, problem.what)).collect(),
        used: None,
        hint: Some(hint.to_owned()),
        exit: ExitCode::Results,
    }
}

/// The images named on the command line or in a file, or else those in the results.
fn discover(named: &NamedImages, config: &Config, found: &FoundRuns) -> Result<Discovered, TektonError> {
    if named.is_any() {
        return named.read();
    }
    if found.outside
        && let Some(first) = found.runs.first()
    {
        return Ok(run::hints(&first.run, &hint_options(config, first.run.kind())));
    }
    tekton::discover(&Places { results_dir: config.results_dir.clone(), steps_dir: config.steps_dir.clone() })
}

/// The plan options from the configuration.
pub(crate) fn options(config: &Config, identities: Identities) -> Result<PlanOptions, SignPlanError> {
    let allow = config.allow.iter().map(|text| {
        let parsed = text.parse::<Pattern>();
        parsed.map_err(|why| SignPlanError::Pattern(crate::foreign::escape(text, 120), why))
    });
    Ok(PlanOptions {
        allow: allow.collect::<Result<_, _>>()?,
        plain_http: PlainHttp::new(&config.insecure_registries),
        tags: !config.require_digest,
        identities,
    })
}
