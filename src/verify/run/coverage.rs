//! What of a run a signature covers, by format.
//!
//! A payload that is made anew from the run and compares equal proves what stands in it, and nothing else: a TaskRun whose signed
//! provenance is of the format `slsa/v1` may have had another ServiceAccount. The tables here say so for the output of
//! `verify-run` and for docs/verify.md. A test changes every value of sample runs in turn and holds the verdict against them.

use std::fmt;

use crate::chains;
use crate::run::{BuildType, RunFormat, RunKind};

/// How much of a field a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every value in it, and their order.
    All,
    /// What is said here.
    Part(&'static str),
    /// Nothing.
    Nothing,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "yes",
            Self::Part(what) => what,
            Self::Nothing => "no",
        })
    }
}

/// A field of a run, or several that are covered alike.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name for people.
    pub name: &'static str,
    /// Where it is in the run's object: the keys on the way, `[]` for an item of a list; a last key may end in `*`. Where two
    /// fields have a place, the longer path counts.
    pub paths: &'static [&'static [&'static str]],
    /// Whether these are places in each TaskRun of a PipelineRun, in place of the run's own.
    pub of_task_runs: bool,
    /// In `slsa/v1`, which is `in-toto`.
    pub slsa_v1: Extent,
    /// In `slsa/v2alpha3`.
    pub slsa_v2alpha3: Extent,
    /// In `slsa/v2alpha4`.
    pub slsa_v2alpha4: Extent,
    /// In both of these where the build type is `slsa-tekton`; `None`: the same as otherwise.
    pub slsa_tekton: Option<Extent>,
    /// In `tekton`.
    pub tekton: Extent,
}

impl Field {
    /// How much of it a payload of this format and build type covers.
    pub fn extent(&self, format: RunFormat, build_type: BuildType) -> Extent {
        let plain = match format {
            RunFormat::SlsaV1 => return self.slsa_v1,
            RunFormat::Tekton => return self.tekton,
            RunFormat::SlsaV2Alpha3 => self.slsa_v2alpha3,
            RunFormat::SlsaV2Alpha4 => self.slsa_v2alpha4,
        };
        match build_type {
            BuildType::Slsa => plain,
            BuildType::SlsaTekton => self.slsa_tekton.unwrap_or(plain),
        }
    }
}

/// The fields of a run of this kind. All that a run says is in one of them, but its kind and API version.
pub fn fields(kind: RunKind) -> &'static [Field] {
    match kind {
        RunKind::TaskRun => TASK_RUN,
        RunKind::PipelineRun => PIPELINE_RUN,
    }
}

/// What the signature of a payload covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The fields that it covers.
    pub covered: Vec<&'static str>,
    /// Those of which it covers a part, and which.
    pub in_part: Vec<(&'static str, &'static str)>,
    /// Those that may have been anything.
    pub not_covered: Vec<&'static str>,
    /// What must be known besides.
    pub note: Option<&'static str>,
}

/// What must be known of the format `tekton`.
const STATUS_ALONE: &str = "the format tekton signs the status alone: every run with this status passes, whatever its name, UID and spec";
/// What must be known of the payload of an image.
const IMAGE_ALONE: &str =
    "this is the signature of an image that the run's results name, and covers its digest alone";

/// What must be known where TaskRuns are known from the status of their PipelineRun alone.
const EMBEDDED: &str = "TaskRuns that stand in status.taskRuns alone have no UID, labels, annotations, spec and params to cover, and the \
                        defaults of their params are not covered; their names are covered with the build type slsa-tekton alone";
/// The same in the format `tekton`.
const STATUS_WITHOUT_EMBEDDED: &str = "the format tekton signs the status alone, without the TaskRuns in status.taskRuns and status.runs: every run with the rest of this \
     status passes, whatever these TaskRuns, its name, UID and spec";
/// The name of the field with all of a status that no other field has.
const OTHER_STATUS: &str = "other fields of the status";
/// The name of the field with the names of TaskRuns.
const TASK_RUN_NAME: &str = "TaskRuns: name";

impl Coverage {
    /// The same of a PipelineRun with TaskRuns that its status alone has.
    pub(super) fn of_embedded(mut self) -> Self {
        if self.note == Some(STATUS_ALONE) {
            self.covered.retain(|field| *field != OTHER_STATUS);
            self.in_part.push((OTHER_STATUS, "all but taskRuns and runs"));
            self.note = Some(STATUS_WITHOUT_EMBEDDED);
            return self;
        }
        // Two TaskRuns that change their names give the same provenance, unless it holds them in full.
        if self.in_part.iter().any(|(field, _)| *field == TASK_RUN_NAME) {
            self.in_part.retain(|(field, _)| *field != TASK_RUN_NAME);
            self.not_covered.push(TASK_RUN_NAME);
        }
        self.note = self.note.or(Some(EMBEDDED));
        self
    }

    /// Of a payload that a run of this `kind` gives in each of `formats`, with this build type. Where it could be of several,
    /// what the least of them covers.
    pub(super) fn of(kind: RunKind, formats: &[RunFormat], build_type: BuildType) -> Self {
        let mut coverage = Self::default();
        for field in fields(kind) {
            let mut extents: Vec<Extent> =
                formats.iter().map(|format| field.extent(*format, build_type)).collect();
            extents.sort_by_key(|extent| match extent {
                Extent::Nothing => 0,
                Extent::Part(_) => 1,
                Extent::All => 2,
            });
            match extents.first() {
                Some(Extent::All) => coverage.covered.push(field.name),
                Some(Extent::Part(what)) => coverage.in_part.push((field.name, what)),
                Some(Extent::Nothing) | None => coverage.not_covered.push(field.name),
            }
        }
        coverage.note = (formats == [RunFormat::Tekton]).then_some(STATUS_ALONE);
        coverage
    }

    /// Of an image's payload.
    pub(super) fn of_image() -> Self {
        Self { note: Some(IMAGE_ALONE), ..Self::default() }
    }
}

/// A field that no provenance covers, and the status does not have.
const NEVER: Field = Field {
    name: "",
    paths: &[],
    of_task_runs: false,
    slsa_v1: Extent::Nothing,
    slsa_v2alpha3: Extent::Nothing,
    slsa_v2alpha4: Extent::Nothing,
    slsa_tekton: None,
    tekton: Extent::Nothing,
};
/// A field of the status that no provenance covers.
const STATUS: Field = Field { tekton: Extent::All, ..NEVER };
/// A field of the status that every format covers.
const ALWAYS: Field =
    Field { slsa_v1: Extent::All, slsa_v2alpha3: Extent::All, slsa_v2alpha4: Extent::All, ..STATUS };
/// A field of the spec.
const SPEC: Field = Field { slsa_v2alpha3: Extent::All, slsa_v2alpha4: Extent::All, ..NEVER };
/// A field of a PipelineRun's TaskRun, which stands in its provenance in full with `slsa-tekton`.
const OF_TASK_RUNS: Field = Field { of_task_runs: true, slsa_tekton: Some(Extent::All), ..NEVER };

/// What the provenance of parameters says in `slsa/v1`.
const VALUES: Extent = Extent::Part("values by name, with the defaults; not their order");
/// What becomes of results in `slsa/v2alpha4`.
const RESULTS: Extent = Extent::Part("images and build artifacts as subjects, of all others name and value");
/// What `slsa/v1` says of results.
const HINTS: Extent = Extent::Part("those that name images, artifacts or a git commit");
/// What a git commit in a default or a parameter is covered by.
const GIT: Extent = Extent::Part("a git commit (CHAINS-GIT_URL, CHAINS-GIT_COMMIT)");
/// What provenance v1 says of images: Chains leaves out what it wrote before.
const IMAGES: Extent = Extent::Part("images, each once");
/// And of those of sidecars, which Tekton writes in another order once they are stopped.
const SIDECARS: Extent = Extent::Part("images, each once, in any order");
/// What provenance v1 shows of a PipelineRun's TaskRun where `slsa-tekton` does not repeat it: what went into it, of all TaskRuns each once.
const ADDED: Extent = Extent::Part("that it completed, where no other TaskRun has its images and sources");
/// What provenance v1 says of where a Task came from.
const SOURCE: Extent = Extent::Part("URI and digests; the entry point where a resolver brought it");

// Metadata that each format covers in the same way for TaskRuns and PipelineRuns.
const LABELS: Field = Field {
    name: "labels",
    paths: &[&["metadata", "labels"]],
    slsa_v1: Extent::All,
    slsa_tekton: Some(Extent::All),
    ..NEVER
};
const ANNOTATIONS: Field = Field {
    name: "annotations",
    paths: &[&["metadata", "annotations"]],
    slsa_v1: Extent::All,
    slsa_tekton: Some(Extent::All),
    ..NEVER
};
const LAST_APPLIED: Field = Field {
    name: "kubectl's last-applied-configuration",
    paths: &[&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]],
    slsa_tekton: Some(Extent::All),
    ..NEVER
};
const CHAINS_ANNOTATIONS: Field =
    Field { name: "annotations of Chains", paths: &[&["metadata", "annotations", chains::PATTERN]], ..NEVER };
const OTHER_METADATA: Field = Field { name: "other metadata", paths: &[&["metadata"]], ..NEVER };

/// Of a TaskRun.
const TASK_RUN: &[Field] = &[
    Field { name: "UID", paths: &[&["metadata", "uid"]], ..SPEC },
    Field {
        name: "name",
        paths: &[&["metadata", "name"]],
        slsa_v2alpha4: Extent::Part("in the names of results"),
        ..NEVER
    },
    Field { name: "namespace", paths: &[&["metadata", "namespace"]], ..NEVER },
    LABELS,
    ANNOTATIONS,
    LAST_APPLIED,
    CHAINS_ANNOTATIONS,
    OTHER_METADATA,
    Field { name: "params", paths: &[&["spec", "params"]], slsa_v1: VALUES, ..SPEC },
    Field { name: "ServiceAccount", paths: &[&["spec", "serviceAccountName"]], ..SPEC },
    Field { name: "taskRef", paths: &[&["spec", "taskRef"]], ..SPEC },
    Field { name: "taskSpec as given", paths: &[&["spec", "taskSpec"]], ..SPEC },
    Field { name: "workspaces", paths: &[&["spec", "workspaces"]], ..SPEC },
    Field { name: "podTemplate", paths: &[&["spec", "podTemplate"]], ..SPEC },
    Field { name: "timeout", paths: &[&["spec", "timeout"]], ..SPEC },
    Field { name: "other fields of the spec", paths: &[&["spec"]], ..SPEC },
    Field {
        name: "taskSpec as run",
        paths: &[&["status", "taskSpec"]],
        slsa_v1: Extent::Part("script, or command, and arguments of each step; defaults of params"),
        slsa_v2alpha3: GIT,
        slsa_v2alpha4: GIT,
        ..STATUS
    },
    Field {
        name: "results",
        paths: &[&["status", "results"]],
        slsa_v1: HINTS,
        slsa_v2alpha4: RESULTS,
        ..ALWAYS
    },
    Field { name: "types of results", paths: &[&["status", "results", "[]", "type"]], ..STATUS },
    Field {
        name: "steps",
        paths: &[&["status", "steps"]],
        slsa_v1: Extent::Part("names and images"),
        slsa_v2alpha3: IMAGES,
        slsa_v2alpha4: Extent::Part("images, each once, results, sources of StepActions"),
        ..STATUS
    },
    Field {
        name: "sidecars",
        paths: &[&["status", "sidecars"]],
        slsa_v1: SIDECARS,
        slsa_v2alpha3: SIDECARS,
        slsa_v2alpha4: SIDECARS,
        ..STATUS
    },
    Field {
        name: "start and completion time",
        paths: &[&["status", "startTime"], &["status", "completionTime"]],
        ..ALWAYS
    },
    Field {
        name: "source of the Task",
        paths: &[&["status", "provenance", "refSource"]],
        slsa_v2alpha3: SOURCE,
        slsa_v2alpha4: SOURCE,
        ..ALWAYS
    },
    Field {
        name: "feature flags",
        paths: &[&["status", "provenance", "featureFlags"]],
        slsa_v1: Extent::Nothing,
        ..ALWAYS
    },
    Field { name: "conditions (whether it succeeded)", paths: &[&["status", "conditions"]], ..STATUS },
    Field { name: OTHER_STATUS, paths: &[&["status"]], ..STATUS },
];

/// Of a PipelineRun.
const PIPELINE_RUN: &[Field] = &[
    Field { name: "UID", paths: &[&["metadata", "uid"]], ..SPEC },
    Field {
        name: "name",
        paths: &[&["metadata", "name"]],
        slsa_v2alpha4: Extent::Part("in the names of results"),
        ..NEVER
    },
    Field {
        name: "namespace",
        paths: &[&["metadata", "namespace"]],
        slsa_tekton: Some(Extent::Part("that of its TaskRuns")),
        ..NEVER
    },
    LABELS,
    ANNOTATIONS,
    LAST_APPLIED,
    CHAINS_ANNOTATIONS,
    OTHER_METADATA,
    Field { name: "params", paths: &[&["spec", "params"]], slsa_v1: VALUES, ..SPEC },
    Field {
        name: "ServiceAccount",
        paths: &[&["spec", "taskRunTemplate", "serviceAccountName"]],
        slsa_v1: Extent::Part("where a TaskRun has completed"),
        ..SPEC
    },
    Field { name: "pipelineRef", paths: &[&["spec", "pipelineRef"]], ..SPEC },
    Field { name: "pipelineSpec as given", paths: &[&["spec", "pipelineSpec"]], ..SPEC },
    Field { name: "workspaces", paths: &[&["spec", "workspaces"]], ..SPEC },
    Field { name: "podTemplate", paths: &[&["spec", "taskRunTemplate", "podTemplate"]], ..SPEC },
    Field { name: "timeouts", paths: &[&["spec", "timeouts"]], ..SPEC },
    Field { name: "other fields of the spec", paths: &[&["spec"]], ..SPEC },
    Field {
        name: "pipelineSpec as run",
        paths: &[&["status", "pipelineSpec"]],
        slsa_v1: Extent::Part(
            "names, order, taskRefs and predecessors of the tasks that completed; defaults of params",
        ),
        slsa_v2alpha3: GIT,
        slsa_v2alpha4: GIT,
        slsa_tekton: Some(Extent::Part("names and order of the tasks that completed; a git commit")),
        ..STATUS
    },
    Field {
        name: "results",
        paths: &[&["status", "results"]],
        slsa_v1: HINTS,
        slsa_v2alpha4: RESULTS,
        ..ALWAYS
    },
    Field {
        name: "start and completion time",
        paths: &[&["status", "startTime"], &["status", "completionTime"]],
        ..ALWAYS
    },
    Field {
        name: "source of the Pipeline",
        paths: &[&["status", "provenance", "refSource"]],
        slsa_v2alpha3: SOURCE,
        slsa_v2alpha4: SOURCE,
        ..ALWAYS
    },
    Field {
        name: "feature flags",
        paths: &[&["status", "provenance", "featureFlags"]],
        slsa_v1: Extent::Nothing,
        ..ALWAYS
    },
    Field {
        name: "childReferences",
        paths: &[&["status", "childReferences"]],
        slsa_v1: Extent::Part("which TaskRuns completed, and their order within a task"),
        slsa_v2alpha3: Extent::Part("images and sources that the completed TaskRuns have, each once"),
        slsa_v2alpha4: Extent::Part("images and sources that the completed TaskRuns have, each once"),
        slsa_tekton: Some(Extent::Part("which TaskRuns completed, and their order within a task")),
        ..STATUS
    },
    Field { name: "conditions (whether it succeeded)", paths: &[&["status", "conditions"]], ..STATUS },
    Field { name: OTHER_STATUS, paths: &[&["status"]], ..STATUS },
    Field {
        name: TASK_RUN_NAME,
        paths: &[&["metadata", "name"]],
        slsa_v1: Extent::Part("that it is the one in childReferences"),
        slsa_v2alpha3: ADDED,
        slsa_v2alpha4: ADDED,
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: labels",
        paths: &[&["metadata", "labels"]],
        slsa_v1: Extent::All,
        slsa_v2alpha3: ADDED,
        slsa_v2alpha4: ADDED,
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: annotations",
        paths: &[&["metadata", "annotations"]],
        slsa_v1: Extent::All,
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: kubectl's last-applied-configuration",
        paths: &[&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]],
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: annotations of Chains",
        paths: &[&["metadata", "annotations", chains::PATTERN]],
        slsa_tekton: None,
        ..OF_TASK_RUNS
    },
    Field { name: "TaskRuns: UID, namespace, other metadata", paths: &[&["metadata"]], ..OF_TASK_RUNS },
    Field {
        name: "TaskRuns: params",
        paths: &[&["spec", "params"]],
        slsa_v1: VALUES,
        slsa_v2alpha3: Extent::Part("a git commit, with deep inspection"),
        slsa_v2alpha4: Extent::Part("a git commit, with deep inspection"),
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: other fields of the spec (ServiceAccount, taskRef, workspaces, podTemplate, …)",
        paths: &[&["spec"]],
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: taskSpec as run",
        paths: &[&["status", "taskSpec"]],
        slsa_v1: Extent::Part("script, or command, and arguments of each step; defaults of params"),
        slsa_v2alpha3: Extent::Part("a git commit, with deep inspection"),
        slsa_v2alpha4: Extent::Part("a git commit, with deep inspection"),
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: results",
        paths: &[&["status", "results"]],
        slsa_v1: Extent::All,
        slsa_v2alpha3: Extent::Part("with deep inspection those that name images, artifacts or a git commit"),
        slsa_v2alpha4: Extent::Part("with deep inspection, but for halves of pairs"),
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: steps",
        paths: &[&["status", "steps"]],
        slsa_v1: Extent::Part("names and images"),
        slsa_v2alpha3: IMAGES,
        slsa_v2alpha4: Extent::Part(
            "images, each once, sources of StepActions; results with deep inspection",
        ),
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: sidecars",
        paths: &[&["status", "sidecars"]],
        slsa_v1: SIDECARS,
        slsa_v2alpha3: SIDECARS,
        slsa_v2alpha4: SIDECARS,
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: start and completion time",
        paths: &[&["status", "startTime"], &["status", "completionTime"]],
        slsa_v1: Extent::All,
        slsa_v2alpha3: ADDED,
        slsa_v2alpha4: ADDED,
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: source of the Task",
        paths: &[&["status", "provenance", "refSource"]],
        slsa_v1: Extent::All,
        slsa_v2alpha3: Extent::Part("URI and digests, each once"),
        slsa_v2alpha4: Extent::Part("URI and digests, each once"),
        ..OF_TASK_RUNS
    },
    Field {
        name: "TaskRuns: conditions (whether it succeeded)",
        paths: &[&["status", "conditions"]],
        slsa_v1: Extent::Part("the status of the first"),
        ..OF_TASK_RUNS
    },
    Field { name: "TaskRuns: other fields of the status", paths: &[&["status"]], ..OF_TASK_RUNS },
];
