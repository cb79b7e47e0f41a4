//! `stepseal attest`: signs what predicates and statements say of images.

mod files;

use std::time::Instant;

use clap::ArgMatches;

use self::files::{Files, FilesError};
use super::confinement;
use super::environment::Environment;
use super::given;
use super::output::Output;
use super::own_flags::OwnFlags;
use super::progress::Progress;
use super::sign::{self, conclude, fail};
use super::tags;
use crate::config::{Config, ConfigError};
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation, explain};
use crate::flow::AttestJob;
use crate::flow::discover::{self, SubjectsError, malformed};
use crate::flow::job::{Interruption, Job};
use crate::flow::setup::{BeginError, begin};
use crate::foreign;
use crate::formats::PayloadError;
use crate::oci::Repository;
use crate::payload::Attestations;
use crate::place::{Encoding, StoreKind};
use crate::plan::{self, Identities, Plan};
use crate::process::Protection;
use crate::registry::client::Stats;
use crate::report::{About, Event, Expected, Pending, Recorder, Report, ReportError};
use crate::tekton::TektonError;

/// How many images that a statement doesn't name are listed.
const SHOWN_IMAGES: usize = 20;

/// Why nothing can be attested.
#[derive(Debug, thiserror::Error)]
enum AttestError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Subjects(#[from] SubjectsError),
    #[error(transparent)]
    List(#[from] TektonError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error("artifacts.oci.storage has no store that an attestation of an image can go to")]
    NoStore,
    #[error("--replace is for attestations under cosign's tags; {0}")]
    Replace(&'static str),
}

explain! { AttestError,
    Self::Config(error) => [of error],
    Self::Subjects(error) => [of error],
    Self::List(error) => [of error],
    Self::Files(error) => [of error],
    Self::Begin(error) => [of error],
    Self::Report(error) => [of error],
    Self::Payload(error) => [of error],
    Self::NoStore => ["attest-no-store", Usage, "set artifacts.oci.storage to oci, directory, or both"],
    Self::Replace(_) => ["attest-replace", Usage, "leave --replace out: the new attestation is added beside the old ones"],
}

/// What is attested, of which images.
struct Attesting {
    config: Config,
    /// What protects this process.
    protection: Protection,
    plan: Plan,
    job: AttestJob,
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    match attest(matches, environment, out) {
        Ok(code) => code,
        Err(error) => fail(&error, out),
    }
}

fn attest(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<ExitCode, AttestError> {
    let begun = Instant::now();
    let mut attesting = Attesting::read(matches, environment, out)?;
    let file = attesting.config.report.as_deref().map(Pending::new).transpose()?;
    let expected = attesting.expected();
    let (report, exit) = match attesting.refusal() {
        Some(refusal) => {
            out.explanation(&refusal);
            (Report::refused(&expected, &refusal), refusal.exit)
        }
        None => match attesting.carry_out(&expected, environment, begun, out) {
            Ok(report) => {
                let exit = report.exit();
                (report, exit)
            }
            Err(error) => (Report::refused(&expected, &Explanation::of(&error)), fail(&error, out)),
        },
    };
    let report = report.protected_by(attesting.protection.clone());
    Ok(conclude(&report, exit, attesting.config.output, file, None, out))
}

impl Attesting {
    /// Reads everything that decides what is signed.
    fn read(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> Result<Self, AttestError> {
        let config = given::signing("attest", matches, environment, out)?;
        let flags = OwnFlags::new(matches, environment);
        let lists = matches.get_many::<String>("images-file").into_iter().flatten();
        let files = Files::named(&flags, lists)?;
        let protection = confinement::attest(&config, matches, files.paths(), environment);
        let stores: Vec<StoreKind> =
            config.images.iter().copied().filter(|store| *store != StoreKind::Tekton).collect();
        if stores.is_empty() {
            return Err(AttestError::NoStore);
        }
        let replace = flags.switch("replace")?.unwrap_or(false);
        if replace && stores != [StoreKind::Oci] {
            return Err(AttestError::Replace("artifacts.oci.storage has another store"));
        }
        if replace && config.oci.encodings != [Encoding::Dsse] {
            return Err(AttestError::Replace(
                "as bundles each is a manifest of its own, which a signer may not be allowed to delete, and cosign replaces none of them",
            ));
        }
        let options = discover::options(&config, Identities::Unused)?;
        let plan = plan::plan(&given::named(matches, "attested").read()?, &options);
        let mut attestations = files.read(config.created)?;
        if let ([only], false) = (&plan.images[..], config.recursive)
            && attestations.given().all(|given| given.names(&only.image.digest))
        {
            attestations = attestations.made_for(&only.image)?;
        }
        Ok(Self { config, protection, plan, job: AttestJob { attestations, stores, replace } })
    }

    /// Everything that is to be attested.
    fn expected(&self) -> Vec<Expected> {
        let mut expected = Vec::new();
        for label in self.job.labels(&self.config.oci.encodings) {
            let of = |subject, from: &Vec<String>| Expected { label, subject, from: from.clone() };
            let images = self.plan.images.iter();
            expected.extend(images.map(|planned| of(About::Image(planned.image.clone()), &planned.from)));
            let tags = self.plan.tags.iter();
            expected.extend(tags.map(|planned| of(About::Tag(planned.tag.clone()), &planned.from)));
        }
        expected
    }

    /// Why nothing is attested, if so: malformed names, no image, or a statement about something else.
    fn refusal(&self) -> Option<Explanation> {
        if !self.plan.problems.is_empty() && !self.config.lenient {
            return Some(malformed(&self.plan, "correct the names; --lenient attests the rest"));
        }
        if let Some(nothing) = self.plan.nothing_to_sign() {
            return Some(Explanation {
                code: "nothing-to-attest",
                error: "there is nothing to attest".into(),
                causes: vec![nothing],
                used: None,
                hint: Some("name the images as arguments or with --images-file: NAME@sha256:…".into()),
                exit: ExitCode::Results,
            });
        }
        not_named(&self.job.attestations, &self.plan)
    }

    fn carry_out(
        &mut self,
        expected: &[Expected],
        environment: &Environment,
        begun: Instant,
        out: &mut Output,
    ) -> Result<Report, BeginError> {
        let job = Job::start()?;
        for problem in &self.plan.problems {
            out.line(&format!("warning: not attested: {}: {}", problem.place, problem.what));
        }
        let report = job.run(self.work(expected, environment, begun, out))?;
        out.line(&report.summary());
        Ok(report)
    }

    async fn work(
        &mut self,
        expected: &[Expected],
        environment: &Environment,
        begun: Instant,
        out: &mut Output,
    ) -> Result<Report, BeginError> {
        let mut interruption = Interruption::new(begun + self.config.timeout);
        let mut recorder = Recorder::new(expected.to_vec());
        let mut progress = Progress::start(&self.config, expected.len());
        let repositories: Vec<Repository> = self.plan.repositories().cloned().collect();
        let notices = &mut |line: &str| out.line(line);
        let beginning = begin(&self.config, environment, begun, &repositories, false, notices);
        let whole = match interruption.or(beginning).await {
            Ok(whole) => whole?,
            Err(why) => {
                let ended = Err::<(), _>(why);
                return Ok(sign::report(ended, recorder, begun, Stats::default(), &mut progress, out));
            }
        };
        let Config { jobs, lenient, .. } = self.config;
        let resolving = tags::resolve(&mut self.plan, &whole.client, jobs, lenient, out);
        match interruption.or(resolving).await {
            Ok(None) => {}
            Ok(Some(mut resolved)) => {
                resolved.refusal = resolved.refusal.or_else(|| not_named(&self.job.attestations, &self.plan));
                match resolved.recorder(self.expected(), begun, whole.stats(), &mut progress, out) {
                    Ok(rest) => recorder = rest,
                    Err(report) => return Ok(*report),
                }
            }
            Err(why) => {
                let ended = Err::<(), _>(why);
                return Ok(sign::report(ended, recorder, begun, whole.stats(), &mut progress, out));
            }
        }
        let mut seen = |event: Event<'_>| {
            progress.note(out, event);
            recorder.note(event);
        };
        let ended = interruption.or(whole.attest_images(&self.plan.images, &self.job, &mut seen)).await;
        Ok(sign::report(ended, recorder, begun, whole.stats(), &mut progress, out))
    }
}

/// That statements don't name images that they would be put beside, all of them at once.
fn not_named(attestations: &Attestations, plan: &Plan) -> Option<Explanation> {
    let mut causes = Vec::new();
    let mut more = 0;
    for given in attestations.given() {
        for planned in plan.images.iter().filter(|planned| !given.names(&planned.image.digest)) {
            match causes.len() < SHOWN_IMAGES {
                true => {
                    causes.push(format!("{}: no subject has the digest of {}", given.place(), planned.image))
                }
                false => more += 1,
            }
        }
    }
    let first = attestations.given().find(|_| !causes.is_empty())?;
    if more > 0 {
        causes.push(format!("and {more} more"));
    }
    let error = PayloadError::OtherSubject { place: foreign::shown(first.place(), 512) };
    Some(Explanation {
        code: "statement-other-subject",
        error: "a statement is about something else than the images; nothing was signed".into(),
        causes,
        used: None,
        hint: error.hint(),
        exit: error.exit(),
    })
}
