//! `stepseal verify` and `stepseal verify-attestation`.
//!
//! Standard output gets what cosign prints, standard error what people want to know; the checks are the library's.

mod of_run;
mod told;

use std::sync::Arc;
use std::time::Instant;

use clap::ArgMatches;

use super::environment::Environment;
use super::output::Output;
use super::{confinement, given};
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::flow::images::{ImageResult, ImageVerifier, RequestedImage};
use crate::flow::job::JobRuntime;
use crate::flow::verifying::{Gate, VerifyCommand, VerifySession, VerifySetupError};
use crate::oci::ImageRef;
use crate::verify::policy::age::Age;
use crate::verify::policy::{Need, Policy, Rule};
use crate::verify::{Check, Good, Verdict};

/// Runs the command `stepseal verify`.
pub(super) fn images(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    registry(matches, environment, out, VerifyCommand::Images)
}

/// Runs the command `stepseal verify-attestation`.
pub(super) fn attestations(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    registry(matches, environment, out, VerifyCommand::Attestations)
}

/// Runs the command `stepseal verify-run`.
pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    of_run::run(matches, environment, out).unwrap_or_else(|error| fail(&error, out))
}

fn registry(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
    command: VerifyCommand,
) -> ExitCode {
    let begun = match begin(matches, environment, command, out) {
        Ok(begun) => begun,
        Err(error) => return fail(&error, out),
    };
    let job = match JobRuntime::start() {
        Ok(job) => job,
        Err(error) => return fail(&error, out),
    };
    let exit = job.run_until(begun.deadline, look(&begun, out));
    exit.unwrap_or_else(|why| {
        out.explanation(&Explanation {
            code: "verify-ended-early",
            error: format!("{why}; nothing is verified"),
            causes: Vec::new(),
            used: None,
            hint: Some("run again, or raise --timeout".to_owned()),
            exit: ExitCode::Failed,
        });
        ExitCode::Failed
    })
}

/// Reads what is verified, and how; the process is confined to that.
fn begin(
    matches: &ArgMatches,
    environment: &Environment,
    command: VerifyCommand,
    out: &mut Output,
) -> Result<VerifySession, VerifySetupError> {
    let from = Instant::now();
    let config = given::verification(command.name(), matches, environment)?;
    for warning in &config.warnings {
        out.line(&format!("warning: {warning}"));
    }
    confinement::verify(&config, matches, environment);
    let named = given::named(matches, "image");
    VerifySession::new(config, &named, command, environment, from, &mut |line| out.line(line))
}

/// Verifies everything and reports each image. The run is good only if all images are.
async fn look(begun: &VerifySession, out: &mut Output) -> ExitCode {
    let mut exit = ExitCode::Done;
    let mut images = Vec::new();
    let resolving = begun.images.iter().map(|named| begun.looker.resolve(named));
    for resolved in futures_util::future::join_all(resolving).await {
        match resolved {
            Ok(asked) => images.push(asked),
            Err(error) => exit = worse(exit, fail(&error, out)),
        }
    }
    for asked in &images {
        if !asked.name.contains('@') {
            out.line(&format!("resolved   {} is {}", asked.name, asked.image));
        }
    }
    let mut seen = Vec::new();
    let checks = |image: &ImageRef| -> Vec<Check> { begun.gate.checks(image, &begun.looker) };
    let met =
        |image: &ImageRef, verdicts: &[(usize, &Verdict)]| begun.gate.are_met(image, &begun.looker, verdicts);
    begun.looker.look_until(images, &checks, &met, &mut |one| seen.push(one)).await;
    let number = seen.len();
    for one in seen {
        exit = worse(exit, tell(begun, one, out));
    }
    if exit == ExitCode::Done {
        let images = if number == 1 { "1 image".to_owned() } else { format!("{number} images") };
        out.line(&format!("verified   {images}"));
    }
    exit
}

/// Tells of one image; returns the exit code that it leads to.
fn tell(begun: &VerifySession, seen: ImageResult, out: &mut Output) -> ExitCode {
    let ImageResult { asked, result } = seen;
    let verdicts = match result {
        Ok(verdicts) => verdicts,
        Err(error) => return fail(&error, out),
    };
    match begun.gate.refusals(&asked, &verdicts, &begun.looker) {
        refusals if refusals.is_empty() => {
            let good = begun.gate.good(&asked.image, &verdicts, &begun.looker);
            told::good(&asked, &verdicts, good, begun, out);
            ExitCode::Done
        }
        refusals => {
            for refusal in &refusals {
                out.explanation(refusal);
            }
            ExitCode::Failed
        }
    }
}

/// The code of a run in which something ended with `one` and something with `other`: nothing is "partly" verified.
fn worse(one: ExitCode, other: ExitCode) -> ExitCode {
    match (one, other) {
        (ExitCode::Done, code) | (code, ExitCode::Done) => code,
        (one, other) if one == other => one,
        _ => ExitCode::Failed,
    }
}

fn fail(error: &dyn Explain, out: &mut Output) -> ExitCode {
    out.error(error);
    error.exit()
}

impl Gate {
    /// Why `asked` doesn't pass; empty: it does.
    fn refusals(
        &self,
        asked: &RequestedImage,
        verdicts: &[Arc<Verdict>],
        looker: &ImageVerifier,
    ) -> Vec<Explanation> {
        // An image without a verdict does not pass.
        let none = Arc::default();
        match self {
            Self::Check(check) => {
                let verdict = verdicts.first().unwrap_or(&none);
                told::refusal(asked, check, verdict, looker).into_iter().collect()
            }
            Self::Policy(policy, now) => {
                let rules: Vec<&Rule> = rules(policy, &asked.image, looker).collect();
                if rules.is_empty() {
                    return vec![told::no_rule(asked)];
                }
                let needs = rules.iter().flat_map(|rule| rule.needs.iter().map(move |need| (rule, need)));
                let verdicts = verdicts.iter().chain(std::iter::repeat(&none));
                let unmet = needs.zip(verdicts).filter_map(|((rule, need), verdict)| {
                    let unmet = need.unmet(verdict, *now)?;
                    Some(told::unmet(asked, rule, need, (unmet, verdict), looker))
                });
                unmet.collect()
            }
        }
    }

    /// What counts of what was found at `image`, with its age where a rule asks for it.
    fn good<'a>(
        &self,
        image: &ImageRef,
        verdicts: &'a [Arc<Verdict>],
        looker: &ImageVerifier,
    ) -> Vec<(&'a Good, Option<Age>)> {
        match self {
            Self::Check(_) => {
                verdicts.iter().flat_map(|verdict| &verdict.good).map(|good| (good, None)).collect()
            }
            Self::Policy(policy, now) => {
                let needs = rules(policy, image, looker).flat_map(|rule| &rule.needs);
                let found = needs.zip(verdicts).flat_map(|(need, verdict)| {
                    verdict.good.iter().map(move |good| need.age(good, *now).map(|age| (good, age)))
                });
                found.flatten().collect()
            }
        }
    }

    /// Whether these verdicts are good enough for what is checked of `image` under their numbers.
    fn are_met(&self, image: &ImageRef, looker: &ImageVerifier, verdicts: &[(usize, &Verdict)]) -> bool {
        match self {
            Self::Check(_) => verdicts.iter().all(|(_, verdict)| !verdict.good.is_empty()),
            Self::Policy(policy, now) => {
                let needs: Vec<&Need> = rules(policy, image, looker).flat_map(|rule| &rule.needs).collect();
                verdicts.iter().all(|(number, verdict)| {
                    needs.get(*number).is_some_and(|need| need.unmet(verdict, *now).is_none())
                })
            }
        }
    }

    /// What is checked of `image`.
    fn checks(&self, image: &ImageRef, looker: &ImageVerifier) -> Vec<Check> {
        match self {
            Self::Check(check) => vec![(**check).clone()],
            Self::Policy(policy, _) => {
                let needs = rules(policy, image, looker).flat_map(|rule| &rule.needs);
                needs.map(|need| need.check.clone()).collect()
            }
        }
    }
}

/// The rules of `policy` for `image`.
fn rules<'a>(
    policy: &'a Policy,
    image: &ImageRef,
    looker: &ImageVerifier,
) -> impl Iterator<Item = &'a Rule> + use<'a> {
    let repository = &image.repository;
    policy.rules_for(repository, looker.uses_plain_http(repository))
}
