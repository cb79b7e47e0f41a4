//! `stepseal verify-run`.

use std::path::Path;
use std::time::Instant;

use clap::ArgMatches;
use serde_json::{Value, json};

use crate::cli::environment::Environment;
use crate::cli::output::Output;
use crate::cli::{confinement, given};
use crate::cluster::Cluster;
use crate::config::VerifyConfig;
use crate::exit::ExitCode;
use crate::explain::{Explain as _, Explanation};
use crate::flow::job::JobRuntime;
use crate::flow::verify_run;
use crate::flow::verifying::{self, VerifySetupError};
use crate::foreign;
use crate::input::{self, InputError};
use crate::object_name::{ObjectName, Uid};
use crate::run::Run;
use crate::verify::run::{MAX_PAYLOADS, SignedPayload, SoFar};

/// The largest file of a run: a PipelineRun with thousands of TaskRuns, each as large as the cluster takes.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Above this number, refused payloads are only counted; the run's own comes first.
const MAX_TOLD: usize = 20;

pub(super) fn run(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<ExitCode, VerifySetupError> {
    let begun = Instant::now();
    let config = given::verification("verify-run", matches, environment)?;
    for warning in &config.warnings {
        out.line(&format!("warning: {warning}"));
    }
    let protection = confinement::verify(&config, matches, environment);
    let trust = verifying::trust(&config, environment, begun)?;
    let requires = verifying::requires(&config)?;
    let run = match matches.get_one::<String>("run") {
        Some(place) => {
            let bytes = input::read_or_stdin(Path::new(place), MAX_BYTES);
            let run = Run::parse(&bytes.map_err(|source| unread(place, source))?);
            run.map_err(|source| VerifySetupError::RunOf { place: foreign::escape(place, 512), source })?
        }
        None => from_cluster(matches, &config, environment, begun)?,
    };
    let verdict = verify_run::verify_until(&run, &trust, &requires, begun + config.timeout);
    let name = format!("{} {}", run.kind(), run.full_name());
    for good in &verdict.good {
        out.lines(lines(&name, good));
    }
    for (key, refusal) in verdict.refused.iter().take(MAX_TOLD) {
        out.explanation(&Explanation {
            code: "run-signature-refused",
            error: format!(
                "{name} does not pass, {}: {}",
                foreign::escape(key, 100),
                foreign::escape(&refusal.to_string(), 500)
            ),
            causes: refusal.causes().iter().map(|cause| foreign::escape(cause, 1200)).collect(),
            used: Some(trust.to_string()),
            hint: refusal.hint(),
            exit: ExitCode::Failed,
        });
    }
    if let Some(more) = verdict.refused.len().checked_sub(MAX_TOLD).filter(|more| *more > 0) {
        out.line(&format!("and {more} more payloads do not pass"));
    }
    if !verdict.refused.is_empty() {
        return Ok(ExitCode::Failed);
    }
    if verdict.left_out > 0 {
        out.line(&format!(
            "warning: {} payloads of images are not looked at, being more than {MAX_PAYLOADS}",
            verdict.left_out
        ));
    }
    if config.json {
        let payloads: Vec<Value> = verdict.good.iter().map(json_of).collect();
        let told = json!({
            "kind": run.kind().name(), "namespace": run.namespace(), "name": run.name(), "uid": run.uid().map_or("", Uid::as_str),
            "payloads": payloads, "payloadsLeftOut": verdict.left_out, "protection": protection,
        });
        out.json(&format!("{told}\n"));
    }
    out.line(&format!("verified   {name}"));
    Ok(ExitCode::Done)
}

/// A payload that counts: what it is, who signed it, and what that covers.
fn lines(name: &str, good: &SignedPayload) -> Vec<String> {
    let so_far = good.so_far.as_ref().map(told).unwrap_or_default();
    let mut lines = vec![
        format!("good       {name}, {} ({}{so_far})", foreign::escape(&good.key, 100), good.format),
        format!(
            "           by {} ({})",
            foreign::escape(&good.by.who, 300),
            foreign::escape(&good.by.name, 200)
        ),
    ];
    let coverage = &good.coverage;
    let in_part: Vec<String> =
        coverage.in_part.iter().map(|(field, what)| format!("{field} ({what})")).collect();
    for (begins, fields) in [
        ("covers", coverage.covered.join(", ")),
        ("covers in part", in_part.join("; ")),
        ("doesn't cover", coverage.not_covered.join(", ")),
    ] {
        if !fields.is_empty() {
            lines.push(format!("           {begins} {fields}"));
        }
    }
    lines.extend(coverage.note.map(|note| format!("           note: {note}")));
    lines
}

/// The same for programs.
fn json_of(good: &SignedPayload) -> Value {
    let coverage = &good.coverage;
    let in_part: Vec<Value> =
        coverage.in_part.iter().map(|(field, what)| json!({ "field": field, "part": what })).collect();
    json!({
        "key": good.key, "format": good.format, "by": good.by.who, "soFar": good.so_far.is_some(),
        "laterTaskRuns": good.so_far.as_ref().map_or(&[][..], |so_far| &so_far.later),
        "covers": coverage.covered, "coversInPart": in_part, "doesNotCover": coverage.not_covered,
        "note": coverage.note, "payload": good.payload,
    })
}

/// That a payload was made before the run ended, and what came later.
fn told(so_far: &SoFar) -> String {
    let names: Vec<String> = so_far.later.iter().map(|name| foreign::escape(name, 100)).collect();
    let before = ", signed before the run ended";
    if names.is_empty() { before.to_owned() } else { format!("{before}, without {}", names.join(", ")) }
}

fn unread(place: &str, source: InputError) -> VerifySetupError {
    VerifySetupError::RunFile { place: foreign::escape(place, 512), source }
}

/// The run that a flag names, from the Kubernetes API.
fn from_cluster(
    matches: &ArgMatches,
    config: &VerifyConfig,
    environment: &Environment,
    begun: Instant,
) -> Result<Run, VerifySetupError> {
    let name = |flag: &str| {
        let text = matches.get_one::<String>(flag)?;
        let parsed = text.parse::<ObjectName>();
        Some(parsed.map_err(|error| VerifySetupError::RunName(foreign::escape(text, 200), error)))
    };
    let (task_run, pipeline_run) = (name("taskrun").transpose()?, name("pipelinerun").transpose()?);
    let reach = verifying::reach(config, environment, begun);
    JobRuntime::start()?.run(async {
        let cluster = Cluster::connect(&reach, &|name| environment.get(name)).await?;
        if let Some(name) = task_run {
            return Ok(Run::from_objects(cluster.task_run(&name).await?, Vec::new())?);
        }
        let Some(name) = pipeline_run else {
            return Err(unread("", std::io::Error::from(std::io::ErrorKind::NotFound).into()));
        };
        let object = cluster.pipeline_run(&name).await?;
        let children = cluster.task_runs_of(&object).await?;
        Ok(Run::from_objects(object, children.task_runs)?)
    })
}
