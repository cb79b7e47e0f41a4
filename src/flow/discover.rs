//! Discovery and plan: the runs and the images that there are, and what is signed of them.

use std::path::PathBuf;

use serde_json::Value;

use super::process::{Notices, ProcessEnvironment};
use super::runs::{self, FindError, Found};
use super::{RunJob, WholeError, setup};
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
use crate::report::{About, Expected, Label};
use crate::run::{HintOptions, Run, RunFormat, RunKind};
use crate::tekton::{Places, Standing, TektonError};
use crate::{run, tekton};

/// Configuration and plan.
pub(crate) struct Subjects {
    pub(crate) config: Config,
    pub(crate) plan: Plan,
    /// Why nothing of what the run built is signed.
    images_blocked: Option<Explanation>,
    /// The runs that are signed for, with what is signed.
    pub(crate) runs: Vec<PlannedRun>,
    /// Of each run what the cluster gave of it, for writing its annotations.
    known: Vec<Option<Value>>,
    /// How many requests to the cluster finding them took.
    pub(crate) requests: u64,
    /// This step's place in its Task, if Tekton runs it.
    pub(crate) standing: Option<Standing>,
}

/// The images that arguments name, and the files that list more.
pub(crate) struct Named {
    /// The images, as they are written.
    pub(crate) images: Vec<String>,
    /// The files.
    pub(crate) files: Vec<PathBuf>,
}

impl Named {
    /// Whether there are any.
    fn is_any(&self) -> bool {
        !self.images.is_empty() || !self.files.is_empty()
    }

    /// All of them, with where each is named.
    pub(crate) fn read(&self) -> Result<Discovered, TektonError> {
        let mut discovered = tekton::from_arguments(&self.images);
        for file in &self.files {
            discovered.extend(tekton::from_file(file)?);
        }
        Ok(discovered)
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubjectsError {
    #[error(transparent)]
    Tekton(#[from] TektonError),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("--allow: \"{0}\" is not a pattern of repositories")]
    Pattern(String, #[source] PatternError),
}

explain! { SubjectsError,
    Self::Tekton(error) => [of error],
    Self::Find(error) => [of error],
    Self::Pattern(..) => ["allow-not-a-pattern", Usage, "write REGISTRY/REPOSITORY with * within a path part and ** across parts"],
}

impl Subjects {
    /// Reads everything that decides what is signed.
    pub(crate) fn read(
        config: Config,
        named: &Named,
        environment: &dyn ProcessEnvironment,
        notices: &mut Notices<'_>,
    ) -> Result<Self, SubjectsError> {
        let found = runs::find(&config, environment)?;
        let discovered = discover(named, &config, &found)?;
        let standing = Standing::find(&config.steps_dir);
        // Images that were named are not what a later step can change.
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
        let Found { runs: found, requests, .. } = found;
        let known = found.into_iter().map(|found| found.known).collect();
        Ok(Self { config, plan, images_blocked, runs, known, requests, standing })
    }

    /// The runs for which something is to be signed, with where it goes.
    pub(crate) fn run_artifacts(&self) -> impl Iterator<Item = (&PlannedRun, &RunArtifact)> {
        self.runs
            .iter()
            .map(|run| (run, artifact(&self.config, run.kind)))
            .filter(|(_, to)| !to.stores.is_empty())
    }

    /// Why nothing can be signed, if so: malformed hints, no image, or image signatures turned off.
    pub(crate) fn refusal(&self) -> Option<Explanation> {
        if !self.plan.problems.is_empty() && !self.config.lenient {
            return Some(malformed(&self.plan, "correct the step that wrote it; --lenient signs the rest"));
        }
        // What a run built is signed with it, or not at all.
        if let Some(blocked) = self.images_blocked.clone() {
            return Some(blocked);
        }
        // Or one encoding would take what the other has no place for.
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

    /// What `sign` fails of although it begins, and the exit code that it ends with then; nothing, where all can be signed.
    pub(crate) fn shortfall(&self) -> (Vec<(String, Explanation)>, ExitCode) {
        let mut failures = Vec::new();
        let of_images = self.config.images.iter().filter(|_| self.plan.has_images());
        let mut codes: Vec<ExitCode> = of_images.map(|_| ExitCode::Done).collect();
        for (run, to) in self.run_artifacts() {
            for store in &to.stores {
                let no_place = store.is_beside_images() && run.images.is_empty();
                let no_place = no_place.then(|| Explanation::of(&WholeError::NoImage(run.shown())));
                let failure = run.blocked.clone().or(no_place);
                codes.push(failure.as_ref().map_or(ExitCode::Done, |failure| failure.exit));
                // What blocks a run is among the problems already.
                failures.extend(failure.filter(|_| run.blocked.is_none()).map(|why| (run.shown(), why)));
            }
        }
        (failures, codes.into_iter().reduce(ExitCode::and).unwrap_or(ExitCode::Done))
    }

    /// Everything that is to be signed.
    pub(crate) fn expected(&self) -> Vec<Expected> {
        let mut expected = Vec::new();
        for label in setup::image_labels(&self.config) {
            let of = |subject, from: &Vec<String>| Expected { label, subject, from: from.clone() };
            let images = self.plan.images.iter();
            expected.extend(images.map(|planned| of(About::Image(planned.image.clone()), &planned.from)));
            let tags = self.plan.tags.iter();
            expected.extend(tags.map(|planned| of(About::Tag(planned.tag.clone()), &planned.from)));
        }
        for (run, to) in self.run_artifacts() {
            let encodings = &self.config.oci.encodings;
            expected.extend(to.stores.iter().flat_map(|store| expected_of_run(run, to, *store, encodings)));
        }
        expected
    }

    /// The runs, and where what is signed for each goes.
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

    /// Whether something is written into annotations.
    pub(crate) fn annotates(&self) -> bool {
        let of_images = self.config.images.iter().any(|store| store.needs_run());
        let of_runs = self.run_artifacts().any(|(_, to)| to.stores.iter().any(|store| store.needs_run()));
        !self.runs.is_empty() && (of_images || of_runs || self.config.mark_signed)
    }

    /// The repository of every image that something may be put beside.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = &Repository> {
        let of_runs = self.runs.iter().flat_map(|run| &run.images).map(|image| &image.repository);
        self.plan.repositories().chain(of_runs)
    }

    /// What is to be known of the runs that are signed for: what was not checked, what is missing.
    pub(crate) fn run_notes(&self) -> Vec<(String, Vec<String>)> {
        let of_run = |run: &PlannedRun| {
            let signed = !artifact(&self.config, run.kind).stores.is_empty();
            let notes = run.notes.iter().filter(|_| signed);
            (run.shown(), notes.chain(&run.half_pairs).cloned().collect())
        };
        self.runs.iter().map(of_run).filter(|(_, notes): &(_, Vec<_>)| !notes.is_empty()).collect()
    }

    /// The same by what the report names as where outcomes come from. A run for which nothing is signed itself has no outcome:
    /// the first of its images has its notes.
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

    /// What payloads say of an image.
    pub(crate) fn claims(&self) -> Claims {
        setup::claims(&self.config)
    }

    /// In what each image is signed: the encoding and its format, with the names of the stores that it goes to.
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

    /// Why an image's payload can't be made; what they say is the same for all images.
    fn unsayable(&self) -> Option<Explanation> {
        let (first, claims) = (&self.plan.images.first()?.image, self.claims());
        let mut formats = self.image_formats().into_iter();
        formats.find_map(|(_, format, _)| Some(Explanation::of(&format.payloads(first, &claims).err()?)))
    }
}

/// What the configuration says of such runs.
pub(crate) fn artifact(config: &Config, kind: RunKind) -> &RunArtifact {
    match kind {
        RunKind::TaskRun => &config.runs.task_run,
        RunKind::PipelineRun => &config.runs.pipeline_run,
    }
}

/// Plans what is signed for each run; what is to be said of them goes into `plan`, which is of the first run's results, if it is
/// from outside and no images were `named`.
fn plan_runs(
    config: &Config,
    all: &Found,
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
            |image: &ImageRef| format!("no attestation goes beside {image}: --allow has no such repository");
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

/// What the results of a run name that its statement leaves out, where they are not what the plan was made of.
fn left_out(config: &Config, run: &Run, allowed: &PlanOptions) -> Vec<String> {
    let format = artifact(config, run.kind()).format;
    // The run of this very step goes on still: the plan is of its results, which are in its folders.
    let is_own = run.kind() == RunKind::TaskRun && run.run().completion_time().is_none();
    if is_own || format == RunFormat::Tekton {
        return Vec::new();
    }
    let discovered = run::hints(run, &hint_options(config, run.kind()));
    let any = PlanOptions { plain_http: allowed.plain_http.clone(), ..PlanOptions::default() };
    plan::plan(&discovered, &any).left_out()
}

/// Which of a run's results name what it built.
fn hint_options(config: &Config, kind: RunKind) -> HintOptions {
    let steps = artifact(config, kind).format.reads_step_results();
    HintOptions { deep: config.runs.provenance.deep_inspection, steps }
}

/// What is expected of a store for a run: in registries, something beside each image.
fn expected_of_run(
    run: &PlannedRun,
    to: &RunArtifact,
    store: StoreKind,
    encodings: &[Encoding],
) -> Vec<Expected> {
    let subjects: Vec<About> = match store.is_beside_images() && !run.images.is_empty() {
        true => run.images.iter().cloned().map(About::Image).collect(),
        false => vec![about_run(run)],
    };
    let labels = Label::each(run.artifact(), to.format_name, store, encodings);
    let expected = |label: &Label, subject: &About| Expected {
        label: *label,
        subject: subject.clone(),
        from: vec![run.shown()],
    };
    labels.iter().flat_map(|label| subjects.iter().map(|subject| expected(label, subject))).collect()
}

/// How the report names a run.
pub(crate) fn about_run(run: &PlannedRun) -> About {
    About::Run { name: run.name.clone(), uid: run.uid.clone() }
}

/// What to say of results that later steps can change.
fn not_the_last(standing: &Standing) -> Option<String> {
    let steps = match &standing.later[..] {
        [] => return None,
        [step] => format!("the step {step} runs"),
        steps => format!("the steps {} run", steps.join(", ")),
    };
    Some(format!(
        "{steps} after this one and can change the results that the TaskRun reports; let the signing step be the last, \
         or use its own results SIGNED_IMAGES and SIGNATURES, which no other step can write"
    ))
}

/// The malformed hints, all of them at once; `hint` says what to do.
pub(crate) fn malformed(plan: &Plan, hint: &str) -> Explanation {
    let number = plan.problems.len();
    let problems = if number == 1 { "1 problem".to_owned() } else { format!("{number} problems") };
    Explanation {
        code: "results-problems",
        error: format!("{problems} with what is to be signed; nothing was signed"),
        causes: plan.problems.iter().map(|problem| format!("{}: {}", problem.place, problem.what)).collect(),
        used: None,
        hint: Some(hint.to_owned()),
        exit: ExitCode::Results,
    }
}

/// Images named on the command line or in a file, or else those in the results.
fn discover(named: &Named, config: &Config, found: &Found) -> Result<Discovered, TektonError> {
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

/// What the configuration decides about a plan.
pub(crate) fn options(config: &Config, identities: Identities) -> Result<PlanOptions, SubjectsError> {
    let allow = config.allow.iter().map(|text| {
        let parsed = text.parse::<Pattern>();
        parsed.map_err(|why| SubjectsError::Pattern(crate::foreign::shown(text, 120), why))
    });
    Ok(PlanOptions {
        allow: allow.collect::<Result<_, _>>()?,
        plain_http: PlainHttp::new(&config.insecure_registries),
        tags: !config.require_digest,
        identities,
    })
}
