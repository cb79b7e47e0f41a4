//! The steps of `attest` in their order: plan, create the report's file, set up, attest, report.

use std::time::Instant;

use super::discover::{self, NamedImages, SignPlanError, malformed};
use super::job::JobRuntime;
use super::process::ProcessEnvironment;
use super::session::{self, Observer, SessionResult, SessionTask};
use super::setup::SignSetupError;
use super::{AttestJob, EventCallback, SignJob};
use crate::config::Config;
use crate::exit::ExitCode;
use crate::explain::{Explain as _, Explanation, explain};
use crate::foreign;
use crate::formats::PayloadError;
use crate::oci::Repository;
use crate::payload::Attestations;
use crate::place::{Encoding, StoreKind};
use crate::plan::{self, Identities, Plan};
use crate::process::Protection;
use crate::report::{ExpectedOutcome, PendingFile, Report, ReportError, ReportSubject};
use crate::tekton::TektonError;

/// How many images without a matching statement an error lists.
const SHOWN_IMAGES: usize = 20;

/// Why `attest` ends without a report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttestRunError {
    #[error(transparent)]
    Subjects(#[from] SignPlanError),
    #[error(transparent)]
    List(#[from] TektonError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error("artifacts.oci.storage has no store for attestations of images")]
    NoStore,
    #[error("--replace works only for attestations under cosign's tags; {0}")]
    Replace(&'static str),
}

explain! { AttestRunError,
    Self::Subjects(error) => [of error],
    Self::List(error) => [of error],
    Self::Report(error) => [of error],
    Self::Payload(error) => [of error],
    Self::NoStore => ["attest-no-store", Usage, "set artifacts.oci.storage to oci, directory, or both"],
    Self::Replace(_) => ["attest-replace", Usage, "leave --replace out to add the new attestation beside the earlier attestations"],
}

/// The images to attest, and the stores to use.
pub(crate) struct AttestPlan {
    pub(crate) config: Config,
    plan: Plan,
    stores: Vec<StoreKind>,
    replace: bool,
}

impl AttestPlan {
    /// Determines which images to attest. With `replace`, earlier attestations are removed.
    ///
    /// # Errors
    ///
    /// No store takes attestations of images, or a file with image names can't be read.
    pub(crate) fn new(config: Config, named: &NamedImages, replace: bool) -> Result<Self, AttestRunError> {
        let stores: Vec<StoreKind> =
            config.images.iter().copied().filter(|store| !store.needs_run()).collect();
        if stores.is_empty() {
            return Err(AttestRunError::NoStore);
        }
        if replace && !stores.iter().all(|store| store.is_beside_images()) {
            return Err(AttestRunError::Replace("artifacts.oci.storage names another store"));
        }
        if replace && config.oci.encodings != [Encoding::Dsse] {
            return Err(AttestRunError::Replace(
                "each Sigstore bundle is a manifest that the signer may not be allowed to delete, and cosign doesn't replace bundles either",
            ));
        }
        let options = discover::options(&config, Identities::Unused)?;
        let plan = plan::plan(&named.read()?, &options);
        Ok(Self { config, plan, stores, replace })
    }

    /// Attests the images with `attestations`. `observer` receives the output for people.
    ///
    /// # Errors
    ///
    /// A payload can't be made, or the report's file can't be written.
    pub(crate) fn attest(
        self,
        mut attestations: Attestations,
        begun: Instant,
        protection: Protection,
        environment: &dyn ProcessEnvironment,
        observer: &mut dyn Observer,
    ) -> Result<SessionResult, AttestRunError> {
        let Self { config, plan, stores, replace } = self;
        if let ([only], false) = (&plan.images[..], config.recursive)
            && attestations.given().all(|given| given.names(&only.image.digest))
        {
            attestations = attestations.made_for(&only.image)?;
        }
        let file = config.report.as_deref().map(PendingFile::new).transpose()?;
        let output = config.output;
        let mut attesting = Attesting { config, plan, job: AttestJob { attestations, stores, replace } };
        let expected = attesting.expected();
        let refused = |why: &Explanation, observer: &mut dyn Observer| {
            observer.explanation(why);
            (Report::refused(&expected, why), why.exit)
        };
        let (report, exit) = match attesting.refusal() {
            Some(refusal) => refused(&refusal, observer),
            None => match attesting.carry_out(environment, begun, observer) {
                Ok(report) => {
                    let exit = report.exit();
                    (report, exit)
                }
                Err(error) => refused(&Explanation::of(&error), observer),
            },
        };
        Ok(SessionResult { report: report.protected_by(protection), exit, output, file, own_results: None })
    }
}

/// An `attest` run: the attestations and the images.
struct Attesting {
    config: Config,
    plan: Plan,
    job: AttestJob,
}

impl Attesting {
    /// Why nothing can be attested: malformed names, no image, or a statement about another subject.
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
        environment: &dyn ProcessEnvironment,
        begun: Instant,
        observer: &mut dyn Observer,
    ) -> Result<Report, SignSetupError> {
        let job = JobRuntime::start()?;
        for problem in &self.plan.problems {
            observer.line(&format!("warning: not attested: {}: {}", problem.place, problem.what));
        }
        let ended = session::run(&job, self, environment, begun, observer);
        job.end();
        let (report, _) = ended?;
        observer.line(&report.summary());
        Ok(report)
    }
}

impl SessionTask for Attesting {
    fn config(&self) -> &Config {
        &self.config
    }

    fn plan(&mut self) -> &mut Plan {
        &mut self.plan
    }

    fn expected(&self) -> Vec<ExpectedOutcome> {
        let mut expected = Vec::new();
        for label in self.job.labels(&self.config.oci.encodings) {
            let of = |subject, from: &Vec<String>| ExpectedOutcome { label, subject, from: from.clone() };
            let images = self.plan.images.iter();
            expected
                .extend(images.map(|planned| of(ReportSubject::Image(planned.image.clone()), &planned.from)));
            let tags = self.plan.tags.iter();
            expected.extend(tags.map(|planned| of(ReportSubject::Tag(planned.tag.clone()), &planned.from)));
        }
        expected
    }

    fn repositories(&self) -> Vec<&Repository> {
        self.plan.repositories().collect()
    }

    fn refusal_of_resolved(&self) -> Option<Explanation> {
        not_named(&self.job.attestations, &self.plan)
    }

    async fn work(&mut self, whole: &SignJob, seen: &mut EventCallback<'_>) {
        whole.attest_images(&self.plan.images, &self.job, seen).await;
    }
}

/// An explanation that lists all images that the given statements don't name.
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
    let error = PayloadError::OtherSubject { place: foreign::escape(first.place(), 512) };
    Some(Explanation {
        code: "statement-other-subject",
        error: "a statement is not about these images; nothing was signed".into(),
        causes,
        used: None,
        hint: error.hint(),
        exit: error.exit(),
    })
}
