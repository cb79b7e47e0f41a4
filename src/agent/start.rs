//! The start of the agent: it opens the key and the credentials as `sign` does, listens, and lives until a signal.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Agent, LARGE_MANIFESTS, Ledger, LedgerError, Log, Policy, Socket, SocketError, serve};
use crate::cluster::Reach;
use crate::config::{AgentConfig, home};
use crate::exit::ExitCode;
use crate::explain::explain;
use crate::flow::access::{self, AccessError};
use crate::flow::job::{JobRuntime, RuntimeError, interrupted};
use crate::flow::process::ProcessEnvironment;
use crate::flow::registries::network;
use crate::oci::PlainHttp;
use crate::registry::RegistryError;
use crate::registry::client::{Access, Client, ClientOptions};
use crate::registry::credentials::CredentialError;
use crate::sign::{SignError, Unlocking};

/// No agent lives so long. Its client wants to know when everything must be done; each request has a limit of its own.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long the Kubernetes API may take to give a key.
const CLUSTER_LIMIT: Duration = Duration::from_secs(60);

/// How long a connection to a registry is kept: clients name registries, each of which has connections of its own.
const IDLE_LIMIT: Duration = Duration::from_secs(2);

/// Threads that sign, and wait for the disk. Each has a stack and memory that the allocator keeps for it.
const MAX_BLOCKING_THREADS: usize = 8;

/// What the log says where the count isn't kept.
const COUNT_IN_MEMORY: &str =
    "the count of signatures is in memory: a restarted agent begins it anew; --state-dir keeps it";

/// Why the agent can't begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

explain! { StartError,
    Self::Access(error) => [of error],
    Self::Sign(error) => [of error],
    Self::Credentials(error) => [of error],
    Self::Registry(error) => [of error],
    Self::Socket(error) => [of error],
    Self::Ledger(error) => [of error],
    Self::Runtime(_) => ["agent-no-runtime", Failed, "give the sidecar more memory and processes"],
}

/// Signs for others until a signal comes; every decision is written to `log`.
///
/// # Errors
///
/// The key, the credentials, the folder of the count or the socket can't be used.
pub(crate) fn live(
    config: &AgentConfig,
    environment: &dyn ProcessEnvironment,
    log: Log,
) -> Result<ExitCode, StartError> {
    JobRuntime::with_threads(MAX_BLOCKING_THREADS)?.run(async {
        // As the first process of its container it is sent no signal that it doesn't catch.
        let mut interrupted = pin!(interrupted());
        let (agent, socket) = tokio::select! {
            started = start(config, environment, log) => started?,
            _ = &mut interrupted => return Ok(ExitCode::Done),
        };
        let stop = async {
            let signal = interrupted.await;
            agent.log().event("ending", json!({ "signal": signal }));
        };
        let ended = serve(&socket, &agent, stop).await;
        agent.log().event("ended", json!({ "cut": ended.cut }));
        Ok(if ended.cut == 0 { ExitCode::Done } else { ExitCode::Failed })
    })
}

/// Opens the key, and listens only then: who finds the socket is answered.
async fn start(
    config: &AgentConfig,
    environment: &dyn ProcessEnvironment,
    log: Log,
) -> Result<(Arc<Agent>, Socket), StartError> {
    let ledger = config.state_dir.as_deref().map(|folder| Ledger::open(folder, config.socket.path()));
    let ledger = ledger.transpose()?;
    let reach = || Reach {
        deadline: Instant::now() + CLUSTER_LIMIT,
        folder: config.cluster_credentials.clone(),
        kubeconfigs: access::kubeconfigs(environment),
    };
    let key = Unlocking::start(access::locked_key(&config.key, reach, environment).await?);
    environment.forget_keys();
    let keychain = access::keychain(&config.registry_config, environment)?;
    let options = ClientOptions {
        insecure: config.insecure_registries.clone(),
        extra_roots: config.registry_ca.clone(),
        certs_dirs: config.registry_certs_dirs.clone(),
        environment: network(environment),
        access: Access::Pull,
        request_limit: config.request_timeout,
        large_answers: Some(LARGE_MANIFESTS),
        idle_limit: IDLE_LIMIT,
        ..ClientOptions::new(Instant::now() + LIFE)
    };
    let keychain = keychain.over_plain_http(PlainHttp::new(&options.insecure));
    let client = Client::new(options, Arc::new(keychain))?;
    let signer = key.signer().await?;
    let mut policy = Policy::new(config.kinds.clone(), config.allow.clone(), config.max_signatures)
        .over_plain_http(PlainHttp::new(&config.insecure_registries));
    let is_kept = ledger.is_some();
    if let Some(ledger) = ledger {
        policy = policy.counted_in(ledger);
    }
    let socket = Socket::listen(config.socket.path(), home::in_pod(&|name| environment.get(name)))?;
    let kinds: Vec<String> = config.kinds.iter().map(ToString::to_string).collect();
    let allow: Vec<String> = config.allow.iter().map(ToString::to_string).collect();
    log.event(
        "listening",
        json!({
            "socket": config.socket.to_string(),
            "keyId": signer.public_key().key_id(),
            "kinds": kinds,
            "allow": allow,
            "maxSignatures": config.max_signatures,
            "signatures": policy.given(),
        }),
    );
    if let Some(open) = socket.open_to_others() {
        let warning = format!(
            "{open}: another process can replace the socket; name this key to each step with --agent-key"
        );
        log.event("warning", json!({ "warning": warning }));
    }
    if !is_kept {
        log.event("warning", json!({ "warning": COUNT_IN_MEMORY }));
    }
    Ok((Arc::new(Agent::new(signer, client, policy, log, config.request_timeout)), socket))
}
