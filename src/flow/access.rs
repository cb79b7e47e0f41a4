//! Reads the signing key and the registry credentials from files or through the Kubernetes API.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::process::{Notices, ProcessEnvironment};
use crate::cluster;
use crate::cluster::{ACCOUNT_FOLDER, AccountError, Cluster, ClusterError, Kubeconfigs, Reach};
use crate::config::settings::CLUSTER_CREDENTIALS;
use crate::config::{AgentClient, AgentKey, Config, ValueOrigin, home};
use crate::explain::{Explain, Explanation, explain};
use crate::key::PublicKey;
use crate::object_name::{NameError, ObjectName};
use crate::registry::credentials::{CredentialError, FileKeychain};
use crate::sign::remote::{Expected, PinnedKey};
use crate::sign::{KeyError, KeySource, LockedKey, Unlocking};

/// The time limit for reading the credentials of a ServiceAccount that the configuration doesn't name. After it, signing continues without them.
const UNASKED_LIMIT: Duration = Duration::from_secs(10);

/// The time limit for reading a Secret in commands without a time limit of their own.
const AT_ONCE: Duration = Duration::from_secs(60);

/// The signing key and the registry credentials.
pub(crate) struct SigningAccess {
    pub(crate) key: Unlocking,
    pub(crate) keychain: FileKeychain,
    /// How many requests to the cluster they took.
    pub(crate) requests: u64,
}

/// Why the key or the credentials can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot read the expected public key of the agent ({origin})")]
    AgentKey { origin: ValueOrigin, source: Box<KeyError> },
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("--service-account is not a valid ServiceAccount name")]
    Name(#[from] NameError),
}

explain! { AccessError,
    Self::Key(error) => [of error],
    Self::AgentKey { source, .. } => [of source.as_ref(), hint agent_key_hint(source)],
    Self::Credentials(error) => [of error],
    Self::Cluster(error) => [of error],
    Self::Account(error) => [of error],
    Self::Name(_) => ["service-account-name", Usage, "give NAME, or NAMESPACE/NAME"],
}

/// The cluster access that the configuration describes.
pub(crate) fn reach(config: &Config, environment: &dyn ProcessEnvironment, deadline: Instant) -> Reach {
    let kubeconfigs = kubeconfigs(environment);
    Reach { deadline, folder: config.cluster_credentials.clone(), kubeconfigs }
}

/// The kubeconfigs that the environment names.
pub(crate) fn kubeconfigs(environment: &dyn ProcessEnvironment) -> Kubeconfigs {
    home::kubeconfigs(&|name| environment.get(name), environment.for_programs())
}

/// The cluster access for commands without a configuration. Its time limit starts now.
pub(crate) fn reach_at_once(environment: &dyn ProcessEnvironment) -> Reach {
    let folder = environment.get(CLUSTER_CREDENTIALS.env).filter(|folder| !folder.is_empty());
    let folder = folder.unwrap_or_else(|| ACCOUNT_FOLDER.to_owned());
    let kubeconfigs = kubeconfigs(environment);
    Reach { deadline: Instant::now() + AT_ONCE, folder: folder.into(), kubeconfigs }
}

/// Reads the key and the credentials, and starts to unlock the key. Connects to the cluster only if one of them is there.
pub(crate) async fn open(
    config: &Config,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
    notices: &mut Notices<'_>,
) -> Result<SigningAccess, AccessError> {
    let env = |name: &str| environment.get(name);
    let reach = reach(config, environment, deadline);
    // Errors in files are found before the first request.
    let signer = signer(config, environment, deadline)?;
    let mut keychain = self::keychain(&config.registry_config, environment)?;
    let unasked = asks_unasked(config, &keychain) && cluster::in_pod(&reach, &env);
    let by_flag = config.registry.k8s_keychain && config.service_account.is_none();
    let unasked = unasked || by_flag && is_in_pod(&reach, environment, notices);
    let signer = match signer {
        SignerState::Begun(key) if config.service_account.is_none() && !unasked => {
            return Ok(SigningAccess { key, keychain, requests: 0 });
        }
        signer => signer,
    };
    let cluster = match Cluster::connect(&reach, &env).await {
        Ok(cluster) => cluster,
        // Credentials that the configuration doesn't name are optional.
        Err(error) => match signer {
            SignerState::Begun(key) if unasked => {
                note(notices, &error);
                return Ok(SigningAccess { key, keychain, requests: 0 });
            }
            _ => return Err(error.into()),
        },
    };
    let key = in_cluster(signer, &cluster, environment, deadline).await?;
    if let Some(text) = &config.service_account {
        let account = ObjectName::within(text, cluster.namespace())?;
        add(&mut keychain, &cluster, &account, notices).await?;
    } else if unasked {
        ask_own(&mut keychain, &cluster, notices).await?;
    }
    Ok(SigningAccess { key, keychain, requests: cluster.requests() })
}

/// The credentials in the files of `named`, or in the default places if `named` is `None`.
pub(crate) fn keychain(
    named: &Option<Vec<PathBuf>>,
    environment: &dyn ProcessEnvironment,
) -> Result<FileKeychain, CredentialError> {
    let places = home::credentials(named, &|name| environment.get(name));
    FileKeychain::load(places, environment.for_programs())
}

/// Reads the key at `source`, still locked. Connects to the cluster by `reach` if the key is there.
pub(crate) async fn locked_key(
    source: &KeySource,
    reach: impl FnOnce() -> Reach,
    environment: &dyn ProcessEnvironment,
) -> Result<LockedKey, AccessError> {
    let secrets = |name: &str| environment.secret(name);
    let Some(name) = source.secret() else { return Ok(source.read(&secrets)?) };
    let cluster = Cluster::connect(&reach(), &|name| environment.get(name)).await?;
    Ok(LockedKey::from_secret(&cluster, name, &secrets).await?)
}

/// Reads only the key and starts to unlock it, for commands that use no registry.
pub(crate) async fn key(
    config: &Config,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
) -> Result<Unlocking, AccessError> {
    let signer = match signer(config, environment, deadline)? {
        SignerState::Begun(key) => return Ok(key),
        signer => signer,
    };
    let reach = reach(config, environment, deadline);
    let cluster = Cluster::connect(&reach, &|name| environment.get(name)).await?;
    in_cluster(signer, &cluster, environment, deadline).await
}

/// Completes the signer with the parts of it that are in the cluster.
async fn in_cluster(
    signer: SignerState<'_>,
    cluster: &Cluster,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
) -> Result<Unlocking, AccessError> {
    Ok(match signer {
        SignerState::Begun(key) => key,
        SignerState::Key(name) => {
            start(LockedKey::from_secret(cluster, name, &|name| environment.secret(name)).await?)
        }
        SignerState::AgentKey(client, key, name) => {
            let public = PublicKey::from_secret(cluster, name).await.map_err(|error| unread(key, error))?;
            Unlocking::agent(client.address.clone(), expected(Some((key, public)), environment), deadline)
        }
    })
}

/// Whether to read the credentials of the pod's own ServiceAccount by default: only if there are no other credentials.
pub(crate) fn asks_unasked(config: &Config, keychain: &FileKeychain) -> bool {
    config.service_account.is_none()
        && config.registry_config.is_none()
        && config.registry.login.is_none()
        && keychain.sources().is_empty()
}

/// Whether `--k8s-keychain` has a ServiceAccount to use. Prints a note about what the flag does and doesn't look up.
fn is_in_pod(reach: &Reach, environment: &dyn ProcessEnvironment, notices: &mut Notices<'_>) -> bool {
    let is_in_pod = cluster::in_pod(reach, &|name| environment.get(name));
    let account = match is_in_pod {
        true => "the credentials of the pod's ServiceAccount are used",
        false => "there is no pod, so there is no ServiceAccount to use",
    };
    notices(&format!(
        "note: --k8s-keychain: {account}; credentials of cloud providers are not looked up: name their helper in a dockerconfigjson (credHelpers)"
    ));
    is_in_pod
}

/// Adds the credentials of the pod's own ServiceAccount for `--k8s-keychain`. A failed lookup is only noted: other credentials may suffice.
pub(crate) async fn add_own_account(
    keychain: &mut FileKeychain,
    reach: &Reach,
    environment: &dyn ProcessEnvironment,
    notices: &mut Notices<'_>,
) -> Result<(), AccessError> {
    if !is_in_pod(reach, environment, notices) {
        return Ok(());
    }
    match Cluster::connect(reach, &|name| environment.get(name)).await {
        Ok(cluster) => ask_own(keychain, &cluster, notices).await,
        Err(error) => {
            note(notices, &error);
            Ok(())
        }
    }
}

/// How far the signer gets without the cluster.
enum SignerState<'a> {
    /// The key is being unlocked, or the agent is being contacted.
    Begun(Unlocking),
    /// The signing key is in this Secret of the cluster.
    Key(&'a ObjectName),
    /// The expected public key of the agent is in this Secret.
    AgentKey(&'a AgentClient, &'a AgentKey, &'a ObjectName),
}

/// Starts the signer, unless a part of it is in the cluster.
fn signer<'a>(
    config: &'a Config,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
) -> Result<SignerState<'a>, AccessError> {
    let env = |name: &str| environment.get(name);
    let Some(client) = &config.agent else {
        return Ok(match config.key.secret() {
            Some(name) => SignerState::Key(name),
            None => SignerState::Begun(start(config.key.read(&|name| environment.secret(name))?)),
        });
    };
    let pinned = match &client.key {
        None => None,
        Some(key) => match key.source.secret() {
            Some(name) => return Ok(SignerState::AgentKey(client, key, name)),
            None => Some((key, key.source.read(&env).map_err(|error| unread(key, error))?)),
        },
    };
    let expected = expected(pinned, environment);
    Ok(SignerState::Begun(Unlocking::agent(client.address.clone(), expected, deadline)))
}

/// The expected key of the agent, with its location, and whether this process runs in a pod.
fn expected(pinned: Option<(&AgentKey, PublicKey)>, environment: &dyn ProcessEnvironment) -> Expected {
    let key = pinned.map(|(place, key)| PinnedKey { key, origin: place.source.to_string() });
    Expected { key, in_pod: home::in_pod(&|name| environment.get(name)) }
}

fn unread(key: &AgentKey, source: KeyError) -> AccessError {
    AccessError::AgentKey { origin: key.origin.clone(), source: Box::new(source) }
}

/// The hint for an expected public key of the agent that can't be read.
fn agent_key_hint(error: &KeyError) -> Option<String> {
    Some(match error {
        // The error's own hint is about the key of `verify`.
        KeyError::PublicMissing { .. } => {
            "mount cosign.pub of the Secret with the agent's key there, or give its location with --agent-key"
                .into()
        }
        // The error's own hint also suggests removing the file, which would accept any key.
        KeyError::PublicFile { .. } | KeyError::PublicKey(_) => {
            "write it again: stepseal public-key --key cosign.key > cosign.pub, with the agent's key".into()
        }
        error => return error.hint(),
    })
}

/// Adds the credentials in the Secrets of `account`.
async fn add(
    keychain: &mut FileKeychain,
    cluster: &Cluster,
    account: &ObjectName,
    notices: &mut Notices<'_>,
) -> Result<(), AccessError> {
    let found = cluster.registry_credentials(account).await?;
    for note in &found.notes {
        notices(&format!("note: {note}"));
    }
    for document in &found.documents {
        keychain.add(&document.origin, &document.bytes)?;
    }
    Ok(())
}

/// Adds the credentials of the pod's own ServiceAccount. A failed lookup is logged as a note.
async fn ask_own(
    keychain: &mut FileKeychain,
    cluster: &Cluster,
    notices: &mut Notices<'_>,
) -> Result<(), AccessError> {
    let Some(claims) = cluster.who().claims else { return Ok(()) };
    match tokio::time::timeout(UNASKED_LIMIT, add(keychain, cluster, &claims.account, notices)).await {
        Ok(Err(AccessError::Account(AccountError::Nothing { account, .. }))) => {
            tracing::info!(%account, "the pod's ServiceAccount has no registry credentials");
        }
        Ok(Err(AccessError::Account(error))) => note(notices, &error),
        Ok(result) => return result,
        Err(_) => notices(&format!(
            "note: no registry credentials: the API server did not answer for {}",
            humantime::format_duration(UNASKED_LIMIT)
        )),
    }
    Ok(())
}

/// Prints a note on a single line that says why there are no credentials.
fn note(notices: &mut Notices<'_>, error: &dyn Explain) {
    let Explanation { error, causes, hint, .. } = Explanation::of(error);
    let causes: String = causes.iter().map(|cause| format!(": {cause}")).collect();
    let hint = hint.map(|hint| format!("; to use them, {hint}")).unwrap_or_default();
    notices(&format!("note: no registry credentials: {error}{causes}{hint}"));
}

/// Starts to unlock the key in the background.
fn start(locked: LockedKey) -> Unlocking {
    tracing::info!(key = locked.origin(), "signing key");
    Unlocking::start(locked)
}
