//! The setup for `verify`, `verify-attestation` and `verify-run`: keys, images, and the registry client.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::job::RuntimeError;
use super::process::{Notices, ProcessEnvironment};
use super::registries::{self, RegistriesError};
use super::trust::{self, TrustFlagError};
use super::{access, discover};
use crate::cluster::{ClusterError, Reach, RunsError};
use crate::config::{ConfigError, VerifyConfig};
use crate::exit::ExitCode;
use crate::explain::{Explain as _, Explanation, explain};
use crate::flow::images::ImageVerifier;
use crate::foreign;
use crate::input::{self, InputError};
use crate::object_name::NameError;
use crate::oci::reference::{Named, ReferenceError};
use crate::plan::PlanOptions;
use crate::registry::client::Access;
use crate::run::RunError;
use crate::tekton::{self, TektonError};
use crate::verify::attestation_type::{self, TypeError};
use crate::verify::bundle::{IdentityPolicy, Match, TrustMaterial};
use crate::verify::policy::{self, Policy, PolicyError};
use crate::verify::{Accepted, Check, Demands, Require, RequireError, Signer, Trust};

/// The command that verifies images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerifyCommand {
    Images,
    Attestations,
}

impl VerifyCommand {
    /// The command's name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Images => "verify",
            Self::Attestations => "verify-attestation",
        }
    }
}

/// The requirement for an image.
pub(crate) enum Gate {
    /// A single check from the flags.
    Check(Box<Check>),
    /// The rules of a policy, and the time from which ages are computed.
    Policy(Box<Policy>, jiff::Timestamp),
}

/// A verification that is ready to start.
pub(crate) struct VerifySession {
    pub(crate) images: Vec<Named>,
    pub(crate) gate: Gate,
    pub(crate) looker: ImageVerifier,
    pub(crate) json: bool,
    pub(crate) attestations: bool,
    pub(crate) deadline: Instant,
}

/// Why the setup of a verification fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifySetupError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Trust(#[from] TrustFlagError),
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    #[error(transparent)]
    Tekton(#[from] TektonError),
    #[error(transparent)]
    Type(#[from] TypeError),
    #[error(transparent)]
    Require(#[from] RequireError),
    #[error("\"{name}\" is not a valid image name")]
    Image { name: String, source: ReferenceError },
    #[error("there is nothing to verify")]
    Nothing(#[source] NothingError),
    #[error(
        "--policy cannot be combined with keys, identities, annotations or related flags: the policy contains all of them"
    )]
    Contradiction,
    #[error("cannot read policy {path}")]
    PolicyFile { path: String, source: InputError },
    #[error("cannot use policy {path}")]
    Policy { path: String, source: PolicyError, exit: ExitCode },
    #[error("cannot read the run {place}")]
    RunFile { place: String, source: InputError },
    #[error("{place} contains no run that can be verified")]
    RunOf { place: String, source: RunError },
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Runs(#[from] RunsError),
    #[error("\"{0}\" is not a valid run name")]
    RunName(String, #[source] NameError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// The reason why there is nothing to verify.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NothingError(String);

explain! { VerifySetupError,
    Self::Config(error) => [of error],
    Self::Trust(error) => [of error],
    Self::Registries(error) => [of error],
    Self::Tekton(error) => [of error],
    Self::Type(error) => [of error, exit Usage],
    Self::Require(error) => [of error, exit Usage],
    Self::Image { .. } => ["image-name", Usage, "write NAME@sha256:DIGEST or NAME:TAG"],
    Self::Nothing(_) => ["nothing-to-verify", Results,
        "name the images, or run in a Task whose results name them: stepseal verify NAME@sha256:…"],
    Self::Contradiction => ["policy-and-flags", Usage,
        "leave out --policy (STEPSEAL_POLICY), or --key (STEPSEAL_KEY) and the other flags"],
    Self::PolicyFile { source, .. } if source.hint().is_some() => ["policy-unread", Usage, hint source.hint()],
    Self::PolicyFile { .. } => ["policy-unread", Usage, "mount the ConfigMap with the policy into this step"],
    Self::Policy { source, exit, .. } => [of source, exit *exit],
    Self::RunFile { source, .. } if source.hint().is_some() => ["verify-run-file", Usage, hint source.hint()],
    Self::RunFile { .. } => ["verify-run-file", Usage, "give a file with the run, or - for standard input"],
    Self::Run(error) | Self::RunOf { source: error, .. } => [of error, used None],
    Self::Cluster(error) => [of error, used None],
    Self::Runs(error) => [of error, used None],
    Self::RunName(..) => ["run-name", Usage, "write NAMESPACE/NAME"],
    Self::Runtime(error) => [of error],
}

impl VerifySession {
    /// Reads everything that is needed to verify the `named` images, without contacting a registry.
    ///
    /// # Errors
    ///
    /// A setting, a file or a key can't be used, or there is no image.
    pub(crate) fn new(
        config: VerifyConfig,
        named: &discover::NamedImages,
        command: VerifyCommand,
        environment: &dyn ProcessEnvironment,
        from: Instant,
        notices: &mut Notices<'_>,
    ) -> Result<Self, VerifySetupError> {
        let gate = match &config.policy {
            Some(path) if command == VerifyCommand::Images => {
                Gate::Policy(Box::new(policy(path, &config, environment, from)?), jiff::Timestamp::now())
            }
            _ => Gate::Check(Box::new(check(&config, command, environment, from)?)),
        };
        let images = images(named, &config, command)?;
        let deadline = from + config.timeout;
        let repositories = images.iter().map(|named| &named.repository);
        let client = registries::client(&config, environment, repositories, Access::Pull, deadline, notices)?;
        Ok(Self {
            images,
            gate,
            looker: ImageVerifier::new(client, config.repository, config.recursive, config.jobs)
                .with_prefix(config.registry.tag_prefix.clone()),
            json: config.json,
            attestations: command == VerifyCommand::Attestations,
            deadline,
        })
    }
}

/// Reads a policy file. Flags for accepted signers or claims contradict it.
fn policy(
    path: &Path,
    config: &VerifyConfig,
    environment: &dyn ProcessEnvironment,
    from: Instant,
) -> Result<Policy, VerifySetupError> {
    let flags = config.keys_named
        || config.identity.is_some()
        || config.issuer.is_some()
        || config.trusted_root.is_some()
        || config.ignore_tlog
        || config.ignore_sct
        || config.signed_timestamps
        || config.allow_certificate_chain
        || config.hash.is_some()
        || !config.workflow.is_empty()
        || !config.annotations.is_empty();
    if flags {
        return Err(VerifySetupError::Contradiction);
    }
    let shown = || foreign::escape(&path.display().to_string(), 512);
    let bytes = input::read(path, policy::MAX_BYTES as u64);
    let bytes = bytes.map_err(|source| VerifySetupError::PolicyFile { path: shown(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let reach = reach(config, environment, from);
    let exit = Cell::new(ExitCode::Usage);
    let read_key = |place: &str| {
        // `join` keeps an absolute path as it is.
        let place =
            if place.contains("://") { place.to_owned() } else { folder.join(place).display().to_string() };
        trust::public_key(&place, &|name| environment.get(name), &reach).map_err(|error| {
            exit.set(error.exit());
            let Explanation { error, causes, .. } = Explanation::of(&error);
            std::iter::once(error).chain(causes).collect::<Vec<_>>().join(": ")
        })
    };
    let read = Policy::read(&bytes, &read_key);
    let mut policy =
        read.map_err(|source| VerifySetupError::Policy { path: shown(), source, exit: exit.get() })?;
    if policy.needs_trusted_root() {
        let roots = trust::material_of_policy(&policy.trusted_roots, folder, &|name| environment.get(name));
        policy.believe(&Arc::new(roots?));
    }
    Ok(policy)
}

/// The check that the flags describe.
fn check(
    config: &VerifyConfig,
    command: VerifyCommand,
    environment: &dyn ProcessEnvironment,
    from: Instant,
) -> Result<Check, VerifySetupError> {
    let trust = trust(config, environment, from)?;
    let mut demands = Demands { annotations: config.annotations.clone(), ..Demands::default() };
    if command == VerifyCommand::Attestations {
        demands.predicate_type = Some(attestation_type::uri(&config.predicate_type)?);
        demands.requires = requires(config)?;
    }
    Ok(Check { trust, demands })
}

/// The parsed `--require` conditions.
pub(crate) fn requires(config: &VerifyConfig) -> Result<Vec<Require>, VerifySetupError> {
    config.requires.iter().map(|text| text.parse::<Require>().map_err(VerifySetupError::from)).collect()
}

/// The cluster access of the settings. The time limit counts from `from`.
pub(crate) fn reach(config: &VerifyConfig, environment: &dyn ProcessEnvironment, from: Instant) -> Reach {
    let (folder, kubeconfigs) = (config.cluster_credentials.clone(), access::kubeconfigs(environment));
    Reach { deadline: from + config.timeout, folder, kubeconfigs }
}

/// The accepted signers and the trusted root of the flags.
pub(crate) fn trust(
    config: &VerifyConfig,
    environment: &dyn ProcessEnvironment,
    from: Instant,
) -> Result<Trust, VerifySetupError> {
    let reach = reach(config, environment, from);
    let key = |place: &String| {
        let key = trust::public_key(place, &|name| environment.get(name), &reach)?;
        Ok::<_, TrustFlagError>((place.clone(), Signer::Key(Box::new(key))))
    };
    let signers = match (&config.identity, &config.issuer) {
        (None, None) if !config.workflow.is_empty() => return Err(TrustFlagError::WorkflowOfNobody.into()),
        (None, None) => config.keys.iter().map(key).collect::<Result<Vec<_>, _>>()?,
        (Some(_), Some(_)) if config.keys_named => return Err(TrustFlagError::KeyAndIdentity.into()),
        (Some(identity), Some(issuer)) => {
            let identity = matched("certificate-identity-regexp", identity)?;
            let issuer = matched("certificate-oidc-issuer-regexp", issuer)?;
            let name = format!("{identity}, issued by {issuer}");
            let claims = config.workflow.iter().cloned();
            let policy =
                IdentityPolicy { claims: trust::claims(claims), ..IdentityPolicy::new(identity, issuer) };
            vec![(name, Signer::Identity(policy))]
        }
        (Some(_), None) => {
            return Err(
                TrustFlagError::Half { given: "an identity", missing: "--certificate-oidc-issuer" }.into()
            );
        }
        (None, Some(_)) => {
            return Err(TrustFlagError::Half { given: "an issuer", missing: "--certificate-identity" }.into());
        }
    };
    let keys_only = config.identity.is_none() && config.ignore_tlog && !config.signed_timestamps;
    let material = if keys_only {
        TrustMaterial::none()
    } else {
        trust::material_of(config.trusted_root.as_deref(), &|name| environment.get(name))?
    };
    let accepted = |(name, signer)| Accepted {
        name,
        signer,
        log_required: !config.ignore_tlog,
        timestamp_required: config.signed_timestamps,
        ignore_sct: config.ignore_sct,
        allow_certificate_chain: config.allow_certificate_chain,
        hash: config.hash,
    };
    Ok(Trust { signers: signers.into_iter().map(accepted).collect(), material: Arc::new(material) })
}

/// A condition on a text in a certificate: exact, or a regular expression.
fn matched(flag: &'static str, (text, regexp): &(String, bool)) -> Result<Match, TrustFlagError> {
    if *regexp {
        Match::regexp(text).map_err(|source| TrustFlagError::Regexp { flag, source })
    } else {
        Ok(Match::exact(text))
    }
}

/// The named images, or the images in the results if none is named.
fn images(
    named: &discover::NamedImages,
    config: &VerifyConfig,
    command: VerifyCommand,
) -> Result<Vec<Named>, VerifySetupError> {
    let mut images = named.images.iter().map(|name| parse(name)).collect::<Result<Vec<_>, _>>()?;
    if command == VerifyCommand::Attestations {
        return Ok(images);
    }
    let discovered = if images.is_empty() && named.files.is_empty() {
        tekton::discover(&tekton::Places {
            results_dir: config.results_dir.clone(),
            steps_dir: config.steps_dir.clone(),
        })?
    } else {
        discover::NamedImages { images: Vec::new(), files: named.files.clone() }.read()?
    };
    let plan = crate::plan::plan(&discovered, &PlanOptions::default());
    if let Some(problem) = plan.problems.first() {
        return Err(VerifySetupError::Nothing(NothingError(format!("{}: {}", problem.place, problem.what))));
    }
    images.extend(plan.images.iter().map(|planned| Named {
        repository: planned.image.repository.clone(),
        tag: None,
        digest: Some(planned.image.digest.clone()),
    }));
    if images.is_empty() {
        let why = plan.nothing_to_sign().unwrap_or_default();
        return Err(VerifySetupError::Nothing(NothingError(why)));
    }
    Ok(images)
}

fn parse(name: &str) -> Result<Named, VerifySetupError> {
    name.parse().map_err(|source| VerifySetupError::Image { name: foreign::escape(name, 300), source })
}
