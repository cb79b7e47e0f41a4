//! What `sign` and `plan` begin with: configuration, discovery, plan.

use std::path::Path;

use clap::ArgMatches;

use super::environment::Environment;
use super::output::Output;
use crate::config::settings::{AGENT_SETTINGS, SETTINGS};
use crate::config::{Config, ConfigError, Encoding, Flags, Sources};
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::payload::{Claims, CosignStatement, Format, SimpleSigning};
use crate::plan::{Pattern, Plan, PlanOptions};
use crate::report::{About, Expected, Label};
use crate::tekton::{self, Discovered, Places, Standing, TektonError};

/// Configuration and plan.
pub(super) struct Subjects {
    pub(super) config: Config,
    pub(super) plan: Plan,
    /// This step's place in its Task, if Tekton runs it.
    pub(super) standing: Option<Standing>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubjectsError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Tekton(#[from] TektonError),
    #[error("--allow: {0:?} is not a pattern of repositories")]
    Pattern(String),
}

impl Explain for SubjectsError {
    fn used(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.used(),
            Self::Tekton(error) => error.used(),
            Self::Pattern(_) => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Tekton(error) => error.hint(),
            Self::Pattern(_) => {
                Some("write REGISTRY/REPOSITORY with * within a path part and ** across parts".into())
            }
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Config(error) => error.exit(),
            Self::Tekton(error) => error.exit(),
            Self::Pattern(_) => ExitCode::Usage,
        }
    }
}

impl Subjects {
    /// Reads everything that decides what is signed, and shows the configuration's warnings.
    pub(super) fn read(
        matches: &ArgMatches,
        environment: &Environment,
        out: &mut Output,
    ) -> Result<Self, SubjectsError> {
        let sources = Sources::read(flags(matches), environment.variables())?;
        let epoch = environment.get("SOURCE_DATE_EPOCH");
        let config = Config::new(&sources, epoch.as_deref())?;
        for warning in &config.warnings {
            out.line(&format!("warning: {warning}"));
        }
        let discovered = discover(matches, &config)?;
        let standing = Standing::find(&config.steps_dir);
        // Images that were named are not what a later step can change.
        let named = matches.contains_id("image") || matches.contains_id("images-file");
        if let Some(warning) = standing.as_ref().filter(|_| !named).and_then(not_the_last) {
            out.line(&format!("warning: {warning}"));
        }
        let allow = config.allow.iter().map(|text| {
            text.parse::<Pattern>().map_err(|_| SubjectsError::Pattern(crate::foreign::shown(text, 120)))
        });
        let options = PlanOptions { allow: allow.collect::<Result<_, _>>()? };
        let plan = crate::plan::plan(&discovered, &options);
        Ok(Self { config, plan, standing })
    }

    /// Why nothing can be signed, if so: malformed hints, no image, or image signatures turned off.
    pub(super) fn refusal(&self) -> Option<Explanation> {
        if !self.plan.problems.is_empty() && !self.config.lenient {
            return Some(malformed(&self.plan));
        }
        if self.config.images.is_none() {
            return Some(Explanation {
                error: "there is nothing to do: artifacts.oci.storage is empty, so image signatures are off"
                    .into(),
                causes: Vec::new(),
                used: None,
                hint: Some("set artifacts.oci.storage to oci, or leave the signing step out".into()),
                exit: ExitCode::Usage,
            });
        }
        let nothing = self.plan.nothing_to_sign()?;
        Some(Explanation {
            error: "there is nothing to sign".into(),
            causes: vec![nothing],
            used: None,
            hint: Some(
                "let the build write IMAGE_URL and IMAGE_DIGEST (or IMAGES) as results, or name the images: \
                 stepseal sign NAME@sha256:…"
                    .into(),
            ),
            exit: ExitCode::Results,
        })
    }

    /// How the report names images' signatures.
    pub(super) fn label(&self) -> Label {
        Label { format: self.format().name(), ..Label::IMAGE }
    }

    /// Everything that is to be signed.
    pub(super) fn expected(&self) -> Vec<Expected> {
        let expected = self.plan.images.iter().map(|planned| Expected {
            label: self.label(),
            subject: About::Image(planned.image.clone()),
            from: planned.from.clone(),
        });
        expected.collect()
    }

    /// What payloads say of an image.
    pub(super) fn claims(&self) -> Claims {
        Claims { identities: self.config.identities.clone(), annotations: self.config.annotations.clone() }
    }

    /// The format that the encoding asks for.
    pub(super) fn format(&self) -> Box<dyn Format> {
        match self.config.images.as_ref().map(|images| images.encoding) {
            Some(Encoding::SigstoreBundle) => Box::new(CosignStatement),
            _ => Box::new(SimpleSigning),
        }
    }
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

/// The malformed hints, all of them at once.
fn malformed(plan: &Plan) -> Explanation {
    let number = plan.problems.len();
    let problems = if number == 1 { "1 problem".to_owned() } else { format!("{number} problems") };
    Explanation {
        error: format!("{problems} with what is to be signed; nothing was signed"),
        causes: plan.problems.iter().map(|problem| format!("{}: {}", problem.place, problem.what)).collect(),
        used: None,
        hint: Some("correct the step that wrote it; --lenient signs the rest".into()),
        exit: ExitCode::Results,
    }
}

/// Images named on the command line or in a file, or else those in the results.
fn discover(matches: &ArgMatches, config: &Config) -> Result<Discovered, TektonError> {
    let images: Vec<String> = matches.get_many::<String>("image").into_iter().flatten().cloned().collect();
    let files: Vec<&String> = matches.get_many::<String>("images-file").into_iter().flatten().collect();
    if images.is_empty() && files.is_empty() {
        return tekton::discover(&Places {
            results_dir: config.results_dir.clone(),
            steps_dir: config.steps_dir.clone(),
        });
    }
    let mut discovered = tekton::from_arguments(&images);
    for file in files {
        discovered.extend(tekton::from_file(Path::new(file))?);
    }
    Ok(discovered)
}

/// The flags as text, by name; `config` checks them.
pub(super) fn flags(matches: &ArgMatches) -> Flags {
    let names = SETTINGS.iter().chain(AGENT_SETTINGS).map(|setting| setting.flag);
    let given = names.chain(["config-dir", "config"]).filter_map(|name| {
        // A command has only some of them.
        let values = matches.try_get_many::<String>(name).ok()??;
        Some((name.to_owned(), values.cloned().collect()))
    });
    given.collect()
}
