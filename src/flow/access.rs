//! The signing key and the registries' credentials, from files or through the Kubernetes API.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::process::{Notices, ProcessEnvironment};
use crate::cluster;
use crate::cluster::{ACCOUNT_FOLDER, AccountError, Cluster, ClusterError, Kubeconfigs, Reach};
use crate::config::settings::CLUSTER_CREDENTIALS;
use crate::config::{AgentClient, AgentKey, Config, Origin, home};
use crate::explain::{Explain, Explanation, explain};
use crate::key::PublicKey;
use crate::object_name::{NameError, ObjectName};
use crate::registry::credentials::{CredentialError, FileKeychain};
use crate::sign::remote::{Expected, PinnedKey};
use crate::sign::{KeyError, KeySource, LockedKey, Unlocking};

/// How long a ServiceAccount that nobody named is asked for credentials: where the API can't be reached, signing without any goes on.
const UNASKED_LIMIT: Duration = Duration::from_secs(10);

/// How long a command without a time limit of its own may ask for one Secret.
const AT_ONCE: Duration = Duration::from_secs(60);

/// What opens doors.
pub(crate) struct Access {
    pub(crate) key: Unlocking,
    pub(crate) keychain: FileKeychain,
    /// How many requests to the cluster it took.
    pub(crate) requests: u64,
}

/// Why there is no key, or no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot read the key that the agent must have ({origin})")]
    AgentKey { origin: Origin, source: Box<KeyError> },
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("--service-account names no ServiceAccount")]
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

/// How the configuration says that the cluster is reached.
pub(crate) fn reach(config: &Config, environment: &dyn ProcessEnvironment, deadline: Instant) -> Reach {
    let kubeconfigs = kubeconfigs(environment);
    Reach { deadline, folder: config.cluster_credentials.clone(), kubeconfigs }
}

/// The kubeconfigs that there are.
pub(crate) fn kubeconfigs(environment: &dyn ProcessEnvironment) -> Kubeconfigs {
    home::kubeconfigs(&|name| environment.get(name), environment.for_programs())
}

/// How commands without a configuration reach the cluster, from now on.
pub(crate) fn reach_at_once(environment: &dyn ProcessEnvironment) -> Reach {
    let folder = environment.get(CLUSTER_CREDENTIALS.env).filter(|folder| !folder.is_empty());
    let folder = folder.unwrap_or_else(|| ACCOUNT_FOLDER.to_owned());
    let kubeconfigs = kubeconfigs(environment);
    Reach { deadline: Instant::now() + AT_ONCE, folder: folder.into(), kubeconfigs }
}

/// Reads the key, which begins to unlock, and the credentials. The cluster is asked only if one of them is there.
pub(crate) async fn open(
    config: &Config,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
    notices: &mut Notices<'_>,
) -> Result<Access, AccessError> {
    let env = |name: &str| environment.get(name);
    let reach = reach(config, environment, deadline);
    // What is wrong with files is found before anybody is asked.
    let signer = signer(config, environment, deadline)?;
    let mut keychain = self::keychain(&config.registry_config, environment)?;
    let unasked = asks_unasked(config, &keychain) && cluster::in_pod(&reach, &env);
    let by_flag = config.registry.k8s_keychain && config.service_account.is_none();
    let unasked = unasked || by_flag && is_in_pod(&reach, environment, notices);
    let signer = match signer {
        Beginning::Begun(key) if config.service_account.is_none() && !unasked => {
            return Ok(Access { key, keychain, requests: 0 });
        }
        signer => signer,
    };
    let cluster = match Cluster::connect(&reach, &env).await {
        Ok(cluster) => cluster,
        // A ServiceAccount that nobody named is no reason to fail.
        Err(error) => match signer {
            Beginning::Begun(key) if unasked => {
                note(notices, &error);
                return Ok(Access { key, keychain, requests: 0 });
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
    Ok(Access { key, keychain, requests: cluster.requests() })
}

/// The credentials in files: those that `named` says, or else those in the usual places.
pub(crate) fn keychain(
    named: &Option<Vec<PathBuf>>,
    environment: &dyn ProcessEnvironment,
) -> Result<FileKeychain, CredentialError> {
    let places = home::credentials(named, &|name| environment.get(name));
    FileKeychain::load(places, environment.for_programs())
}

/// The key at the place `source`, still locked; the cluster is reached by `reach` if it is there.
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

/// Reads the key alone, which begins to unlock: for commands that ask no registry.
pub(crate) async fn key(
    config: &Config,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
) -> Result<Unlocking, AccessError> {
    let signer = match signer(config, environment, deadline)? {
        Beginning::Begun(key) => return Ok(key),
        signer => signer,
    };
    let reach = reach(config, environment, deadline);
    let cluster = Cluster::connect(&reach, &|name| environment.get(name)).await?;
    in_cluster(signer, &cluster, environment, deadline).await
}

/// The signer, with what of it is in the cluster.
async fn in_cluster(
    signer: Beginning<'_>,
    cluster: &Cluster,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
) -> Result<Unlocking, AccessError> {
    Ok(match signer {
        Beginning::Begun(key) => key,
        Beginning::Key(name) => {
            start(LockedKey::from_secret(cluster, name, &|name| environment.secret(name)).await?)
        }
        Beginning::AgentKey(client, key, name) => {
            let public = PublicKey::from_secret(cluster, name).await.map_err(|error| unread(key, error))?;
            Unlocking::agent(client.address.clone(), expected(Some((key, public)), environment), deadline)
        }
    })
}

/// Whether the pod's own ServiceAccount is asked for credentials although nobody said so: where there are no others.
pub(crate) fn asks_unasked(config: &Config, keychain: &FileKeychain) -> bool {
    config.service_account.is_none()
        && config.registry_config.is_none()
        && config.registry.login.is_none()
        && keychain.sources().is_empty()
}

/// Whether `--k8s-keychain` has an account to ask; says what it does and doesn't look up.
fn is_in_pod(reach: &Reach, environment: &dyn ProcessEnvironment, notices: &mut Notices<'_>) -> bool {
    let is_in_pod = cluster::in_pod(reach, &|name| environment.get(name));
    let account = match is_in_pod {
        true => "the pod's ServiceAccount is asked for credentials",
        false => "there is no pod whose ServiceAccount could be asked",
    };
    notices(&format!(
        "note: --k8s-keychain: {account}; those of cloud providers are not looked up: name their helper in a dockerconfigjson (credHelpers)"
    ));
    is_in_pod
}

/// Adds what the pod's own ServiceAccount has, as `--k8s-keychain` says. That it can't be known is no error: other credentials may do.
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

/// How far the signer is without the cluster.
enum Beginning<'a> {
    /// It is being unlocked, or waited for.
    Begun(Unlocking),
    /// The signing key is in this Secret.
    Key(&'a ObjectName),
    /// The key that the agent must have is in this Secret.
    AgentKey(&'a AgentClient, &'a AgentKey, &'a ObjectName),
}

/// Begins with the signer, unless something of it is in the cluster.
fn signer<'a>(
    config: &'a Config,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
) -> Result<Beginning<'a>, AccessError> {
    let env = |name: &str| environment.get(name);
    let Some(client) = &config.agent else {
        return Ok(match config.key.secret() {
            Some(name) => Beginning::Key(name),
            None => Beginning::Begun(start(config.key.read(&|name| environment.secret(name))?)),
        });
    };
    let pinned = match &client.key {
        None => None,
        Some(key) => match key.source.secret() {
            Some(name) => return Ok(Beginning::AgentKey(client, key, name)),
            None => Some((key, key.source.read(&env).map_err(|error| unread(key, error))?)),
        },
    };
    let expected = expected(pinned, environment);
    Ok(Beginning::Begun(Unlocking::agent(client.address.clone(), expected, deadline)))
}

/// What is known of the agent: its key, with the place that it was read from.
fn expected(pinned: Option<(&AgentKey, PublicKey)>, environment: &dyn ProcessEnvironment) -> Expected {
    let key = pinned.map(|(place, key)| PinnedKey { key, origin: place.source.to_string() });
    Expected { key, in_pod: home::in_pod(&|name| environment.get(name)) }
}

fn unread(key: &AgentKey, source: KeyError) -> AccessError {
    AccessError::AgentKey { origin: key.origin.clone(), source: Box::new(source) }
}

/// What to do about a key that the agent must have and that can't be read.
fn agent_key_hint(error: &KeyError) -> Option<String> {
    Some(match error {
        // Its own words are about the key of `verify`.
        KeyError::PublicMissing { .. } => {
            "mount cosign.pub of the Secret with the agent's key there, or name its place with --agent-key"
                .into()
        }
        // Taking it away, the other half of its advice, would be to believe any key.
        KeyError::PublicFile { .. } | KeyError::PublicKey(_) => {
            "write it anew: stepseal public-key --key cosign.key > cosign.pub, with the agent's key".into()
        }
        error => return error.hint(),
    })
}

/// Adds what the Secrets of `account` hold.
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

/// Adds what the pod's own ServiceAccount has, where no other credentials are. It is no error if that can't be known, and it is told.
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

/// Says why there are no credentials, in a line.
fn note(notices: &mut Notices<'_>, error: &dyn Explain) {
    let Explanation { error, causes, hint, .. } = Explanation::of(error);
    let causes: String = causes.iter().map(|cause| format!(": {cause}")).collect();
    let hint = hint.map(|hint| format!("; to use them, {hint}")).unwrap_or_default();
    notices(&format!("note: no registry credentials: {error}{causes}{hint}"));
}

/// Begins to unlock the key.
fn start(locked: LockedKey) -> Unlocking {
    tracing::info!(key = locked.origin(), "signing key");
    Unlocking::start(locked)
}
