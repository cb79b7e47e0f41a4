//! What the commands that verify share: whose signature is accepted, and whom the trusted root believes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ArgMatches;

use super::environment::Environment;
use super::globals;
use crate::cluster::{self, Cluster, Reach};
use crate::config::{ConfigError, boolean};
use crate::explain::explain;
use crate::flow::access;
use crate::flow::job::{Job, NoRuntime};
use crate::foreign;
use crate::input::{self, InputError};
use crate::key::{Hash, PublicKey};
use crate::sign::{KeyError, PublicKeySource};
use crate::verify::bundle::{
    ExpressionError, IdentityPolicy, Match, Policy, Signer, TRUST_BYTES, TrustError, TrustMaterial,
    WORKFLOW_CLAIMS,
};
use crate::verify::policy::RootFile;

/// cosign's own variable for a trusted root's file, and Stepseal's.
const ROOT_VARIABLES: [&str; 2] = ["STEPSEAL_TRUSTED_ROOT", "SIGSTORE_ROOT_FILE"];

/// What a certificate must say of a workflow, of what is given by the ends of the flags.
pub(super) fn claims(given: impl Iterator<Item = (&'static str, String)>) -> Vec<(&'static str, String)> {
    // An end that is none of them is a name that no certificate has: it accepts nothing.
    let name = |end| WORKFLOW_CLAIMS.iter().find(|(of, ..)| *of == end).map_or(end, |(_, name, _)| *name);
    given.map(|(end, text)| (name(end), text)).collect()
}

/// What can be wrong with what the flags say.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrustFlagError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("nothing says whose signature is accepted")]
    Nobody,
    #[error("both a key and an identity are given")]
    KeyAndIdentity,
    #[error("{given} is given without {missing}")]
    Half { given: &'static str, missing: &'static str },
    #[error(
        "--certificate-github-workflow flags are given without an identity, and a key has no certificate"
    )]
    WorkflowOfNobody,
    #[error("--signature-digest-algorithm is \"{0}\", which is not verified")]
    Hash(String),
    #[error("both --{0} and --{0}-regexp are given")]
    Both(&'static str),
    #[error("--{flag} is no regular expression")]
    Regexp { flag: &'static str, source: ExpressionError },
    #[error("cannot use the trusted root {}", .path.display())]
    Root { path: PathBuf, source: TrustError },
    #[error("cannot read the trusted root {}", .path.display())]
    ReadRoot { path: PathBuf, source: InputError },
    #[error("the trusted root in this program cannot be used")]
    OwnRoot(#[source] TrustError),
    #[error(transparent)]
    Runtime(#[from] NoRuntime),
}

explain! { TrustFlagError,
    Self::Config(error) => [of error, exit Usage],
    Self::Key(error) => [of error],
    Self::Nobody => ["trust-nobody", Usage,
        "give --key, or --certificate-identity[-regexp] with --certificate-oidc-issuer[-regexp]"],
    Self::KeyAndIdentity => ["trust-key-and-identity", Usage,
        "give one of them: a signature is by a key, or by a certified identity"],
    Self::Half { missing, .. } => ["trust-half-identity", Usage,
        "give {missing} as well: an identity counts only with who vouched for it"],
    Self::WorkflowOfNobody => ["trust-workflow-alone", Usage,
        "give --certificate-identity and --certificate-oidc-issuer as well, or leave these flags out"],
    Self::Hash(_) => ["trust-hash", Usage, "give sha256, sha384 or sha512, or leave it out: each of them is tried"],
    Self::Both(_) => ["trust-exact-and-regexp", Usage, "give one of them"],
    Self::Regexp { .. } => ["trust-regexp", Usage, "write it as RE2 does, and quote it for the shell"],
    Self::Root { source, .. } | Self::OwnRoot(source) => [of source, exit Usage],
    Self::ReadRoot { source, .. } if source.hint().is_some() => ["trusted-root-unread", Usage, hint source.hint()],
    Self::ReadRoot { .. } => ["trusted-root-unread", Usage, "give a file that can be read"],
    Self::Runtime(error) => [of error],
}

/// What the flags demand of a signature.
pub(super) fn policy(matches: &ArgMatches, environment: &Environment) -> Result<Policy, TrustFlagError> {
    let mut policy = Policy::new(signer(matches, environment)?);
    // Another name of it.
    policy.ignore_tlog = switch(matches, "insecure-ignore-tlog") || switch(matches, "private-infrastructure");
    policy.ignore_sct = switch(matches, "insecure-ignore-sct");
    policy.signed_timestamps = switch(matches, "use-signed-timestamps");
    policy.allow_certificate_chain = switch(matches, "allow-certificate-chain");
    policy.hash = match matches.get_one::<String>("signature-digest-algorithm") {
        Some(text) => Some(Hash::asked(text).ok_or_else(|| TrustFlagError::Hash(foreign::shown(text, 40)))?),
        None => None,
    };
    Ok(policy)
}

/// Whose signature is accepted.
pub(super) fn signer(matches: &ArgMatches, environment: &Environment) -> Result<Signer, TrustFlagError> {
    let identity = one_of(matches, "certificate-identity", "certificate-identity-regexp")?;
    let issuer = one_of(matches, "certificate-oidc-issuer", "certificate-oidc-issuer-regexp")?;
    let workflow = WORKFLOW_CLAIMS.iter().filter_map(|(end, ..)| {
        let text = matches.get_one::<String>(&format!("certificate-github-workflow-{end}"))?;
        Some((*end, text.clone()))
    });
    let claims = claims(workflow);
    if !claims.is_empty() && identity.is_none() && issuer.is_none() {
        return Err(TrustFlagError::WorkflowOfNobody);
    }
    match (key(matches, environment)?, identity, issuer) {
        (Some(key), None, None) => Ok(Signer::Key(Box::new(key))),
        (Some(_), _, _) => Err(TrustFlagError::KeyAndIdentity),
        (None, Some(identity), Some(issuer)) => {
            Ok(Signer::Identity(IdentityPolicy { claims, ..IdentityPolicy::new(identity, issuer) }))
        }
        (None, Some(_), None) => {
            Err(TrustFlagError::Half { given: "an identity", missing: "--certificate-oidc-issuer" })
        }
        (None, None, Some(_)) => {
            Err(TrustFlagError::Half { given: "an issuer", missing: "--certificate-identity" })
        }
        (None, None, None) => Err(TrustFlagError::Nobody),
    }
}

/// The key of `--key`; `None` without the flag.
fn key(matches: &ArgMatches, environment: &Environment) -> Result<Option<PublicKey>, TrustFlagError> {
    let Some(text) = matches.get_one::<String>("key") else { return Ok(None) };
    let mut reach = access::reach_at_once(environment);
    reach.deadline = reach.deadline.min(Instant::now() + globals::time_limit(matches)?);
    public_key(text, &|name| environment.get(name), &reach).map(Some)
}

/// The public key at the place `text`; one in the cluster is read as `reach` says.
pub(super) fn public_key(
    text: &str,
    env: cluster::Environment<'_>,
    reach: &Reach,
) -> Result<PublicKey, TrustFlagError> {
    let source: PublicKeySource = text.parse()?;
    let Some(name) = source.secret() else { return Ok(source.read(env)?) };
    let key = Job::start()?.run(async {
        let cluster = Cluster::connect(reach, env).await;
        let cluster = cluster
            .map_err(|source| KeyError::PublicCluster { name: name.clone(), source: Box::new(source) })?;
        PublicKey::from_secret(&cluster, name).await
    });
    Ok(key?)
}

/// The trusted root of the flag, of the environment, or else the public-good one in the program.
pub(super) fn material(
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<TrustMaterial, TrustFlagError> {
    let flag = matches.get_one::<String>("trusted-root").map(Path::new);
    material_of(flag, &|name| environment.get(name))
}

/// The trusted root in the file that is named, or that the environment names, or else the public-good one in the program.
pub(super) fn material_of(
    named: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<TrustMaterial, TrustFlagError> {
    match root_place(named, env) {
        Some(path) => read_roots(&path),
        None => TrustMaterial::public_good().map_err(TrustFlagError::OwnRoot),
    }
}

/// The trusted roots of a policy whose file lies in `folder`; where it names none, the usual one.
pub(super) fn material_of_policy(
    files: &[RootFile],
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<TrustMaterial, TrustFlagError> {
    if files.is_empty() {
        return material_of(None, env);
    }
    let mut last = PathBuf::new();
    let mut all = Vec::new();
    for file in files {
        last = folder.join(&file.file);
        let chosen = read_roots(&last)?.chosen(file.authority.as_deref(), file.waivers);
        all.push(chosen.map_err(|source| TrustFlagError::Root { path: last.clone(), source })?);
    }
    TrustMaterial::together(all).map_err(|source| TrustFlagError::Root { path: last, source })
}

/// The trusted roots in a file.
fn read_roots(path: &Path) -> Result<TrustMaterial, TrustFlagError> {
    let bytes = input::read(path, TRUST_BYTES)
        .map_err(|source| TrustFlagError::ReadRoot { path: path.into(), source })?;
    TrustMaterial::parse(&bytes).map_err(|source| TrustFlagError::Root { path: path.into(), source })
}

/// The file of the trusted root: the one that is named, or that the environment names; `None`: the one in the program.
pub(super) fn root_place(named: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let variable = || ROOT_VARIABLES.iter().find_map(|name| env(name).filter(|path| !path.is_empty()));
    named.map(Path::to_owned).or_else(|| variable().map(PathBuf::from))
}

/// A flag, or its sibling that is an expression.
fn one_of(
    matches: &ArgMatches,
    exact: &'static str,
    regexp: &'static str,
) -> Result<Option<Match>, TrustFlagError> {
    let text = |flag| matches.get_one::<String>(flag);
    match (text(exact), text(regexp)) {
        (Some(_), Some(_)) => Err(TrustFlagError::Both(exact)),
        (Some(text), None) => Ok(Some(Match::exact(text))),
        (None, Some(text)) => {
            let matched =
                Match::regexp(text).map_err(|source| TrustFlagError::Regexp { flag: regexp, source });
            matched.map(Some)
        }
        (None, None) => Ok(None),
    }
}

/// A switch that cosign knows as `--flag`, `--flag=true` and `--flag=false`.
pub(super) fn switch(matches: &ArgMatches, flag: &str) -> bool {
    let text = matches.try_get_one::<String>(flag).ok().flatten();
    text.is_some_and(|text| boolean(text.trim()) == Some(true))
}

/// Where the trusted root in the program is from, for `--version`.
pub(super) fn built_in() -> String {
    let newest = TrustMaterial::public_good().ok().and_then(|trust| trust.newest());
    let newest = newest.map_or_else(String::new, |at| format!(" of {}", at.strftime("%Y-%m-%d")));
    format!("Sigstore public-good trusted root{newest} ({})", digest())
}

fn digest() -> String {
    let root = crate::oci::Digest::of(sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes());
    format!("sha256:{}", root.hex().get(..12).unwrap_or_default())
}
