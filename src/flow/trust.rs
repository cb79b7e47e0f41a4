//! Shared by the commands that verify: reads public keys and trusted roots.

use std::path::{Path, PathBuf};

use super::job::{JobRuntime, RuntimeError};
use crate::cluster::{self, Cluster, Reach};
use crate::config::ConfigError;
use crate::explain::explain;
use crate::input::{self, InputError};
use crate::key::PublicKey;
use crate::sign::{KeyError, PublicKeySource};
use crate::verify::bundle::{ExpressionError, TRUST_BYTES, TrustError, TrustMaterial, WORKFLOW_CLAIMS};
use crate::verify::policy::RootFile;

/// The variables for a trusted root's file, of Stepseal and of cosign.
const ROOT_VARIABLES: [&str; 2] = ["STEPSEAL_TRUSTED_ROOT", "SIGSTORE_ROOT_FILE"];

/// The claims that a certificate must have about a workflow. `given` names them by the suffixes of the flags.
pub(crate) fn claims(given: impl Iterator<Item = (&'static str, String)>) -> Vec<(&'static str, String)> {
    // An unknown suffix is kept as a name that no certificate has, so it accepts nothing.
    let name = |end| WORKFLOW_CLAIMS.iter().find(|(of, ..)| *of == end).map_or(end, |(_, name, _)| *name);
    given.map(|(end, text)| (name(end), text)).collect()
}

/// Why the trust flags can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustFlagError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("no key or identity is given whose signature is accepted")]
    Nobody,
    #[error("both a key and an identity are given")]
    KeyAndIdentity,
    #[error("{given} is given without {missing}")]
    Half { given: &'static str, missing: &'static str },
    #[error("--certificate-github-workflow flags are given without an identity; a key has no certificate")]
    WorkflowOfNobody,
    #[error("--signature-digest-algorithm \"{0}\" is not supported")]
    Hash(String),
    #[error("both --{0} and --{0}-regexp are given")]
    Both(&'static str),
    #[error("--{flag} is not a valid regular expression")]
    Regexp { flag: &'static str, source: ExpressionError },
    #[error("cannot use the trusted root {}", .path.display())]
    Root { path: PathBuf, source: TrustError },
    #[error("cannot read the trusted root {}", .path.display())]
    ReadRoot { path: PathBuf, source: InputError },
    #[error("the built-in trusted root cannot be used")]
    OwnRoot(#[source] TrustError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

explain! { TrustFlagError,
    Self::Config(error) => [of error, exit Usage],
    Self::Key(error) => [of error],
    Self::Nobody => ["trust-nobody", Usage,
        "give --key, or --certificate-identity[-regexp] with --certificate-oidc-issuer[-regexp]"],
    Self::KeyAndIdentity => ["trust-key-and-identity", Usage,
        "give only one of them: a signature is either by a key or by a certified identity"],
    Self::Half { missing, .. } => ["trust-half-identity", Usage,
        "give {missing} as well: an identity counts only with its issuer"],
    Self::WorkflowOfNobody => ["trust-workflow-alone", Usage,
        "give --certificate-identity and --certificate-oidc-issuer as well, or leave these flags out"],
    Self::Hash(_) => ["trust-hash", Usage, "give sha256, sha384 or sha512, or leave it out to try all of them"],
    Self::Both(_) => ["trust-exact-and-regexp", Usage, "give one of them"],
    Self::Regexp { .. } => ["trust-regexp", Usage, "use RE2 syntax, and quote it for the shell"],
    Self::Root { source, .. } | Self::OwnRoot(source) => [of source, exit Usage],
    Self::ReadRoot { source, .. } if source.hint().is_some() => ["trusted-root-unread", Usage, hint source.hint()],
    Self::ReadRoot { .. } => ["trusted-root-unread", Usage, "give a file that can be read"],
    Self::Runtime(error) => [of error],
}

/// Reads the public key at the location `text`. A key in the cluster is read by `reach`.
pub(crate) fn public_key(
    text: &str,
    env: cluster::Environment<'_>,
    reach: &Reach,
) -> Result<PublicKey, TrustFlagError> {
    let source: PublicKeySource = text.parse()?;
    let Some(name) = source.secret() else { return Ok(source.read(env)?) };
    let key = JobRuntime::start()?.run(async {
        let cluster = Cluster::connect(reach, env).await;
        let cluster = cluster
            .map_err(|source| KeyError::PublicCluster { name: name.clone(), source: Box::new(source) })?;
        PublicKey::from_secret(&cluster, name).await
    });
    Ok(key?)
}

/// Reads the trusted root from the file that `named` or the environment names, or uses the built-in public-good root.
pub(crate) fn material_of(
    named: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<TrustMaterial, TrustFlagError> {
    match root_place(named, env) {
        Some(path) => read_roots(&path),
        None => TrustMaterial::public_good().map_err(TrustFlagError::OwnRoot),
    }
}

/// Reads the trusted roots of a policy whose file is in `folder`. A policy without roots uses the default root.
pub(crate) fn material_of_policy(
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

/// Reads the trusted roots in a file.
fn read_roots(path: &Path) -> Result<TrustMaterial, TrustFlagError> {
    let bytes = input::read(path, TRUST_BYTES)
        .map_err(|source| TrustFlagError::ReadRoot { path: path.into(), source })?;
    TrustMaterial::parse(&bytes).map_err(|source| TrustFlagError::Root { path: path.into(), source })
}

/// The trusted root's file that `named` or the environment names; `None` for the built-in root.
pub(crate) fn root_place(named: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let variable = || ROOT_VARIABLES.iter().find_map(|name| env(name).filter(|path| !path.is_empty()));
    named.map(Path::to_owned).or_else(|| variable().map(PathBuf::from))
}
