//! The signer whose key is in another process: `stepseal agent`, asked over a Unix socket.
//!
//! The agent decides by itself, so it is told what a payload is and which images it is about ([`wire`]), never
//! just bytes. Its signature is verified here before anybody stores it. What is refused: a socket that isn't named by an
//! absolute path, an answer that is no agent's, a key that is not the one that the agent must have, a signature that this key doesn't
//! verify.
//!
//! A process that can replace the socket can put another key behind it, unless the client knows the agent's ([`Expected`]). Where it
//! doesn't, mount the socket's folder read-only into every step: a socket can be connected to there all the same. The key that an agent
//! gives first is the one that all its signatures are verified with; `listener.rs` says what else is looked at.

mod error;
mod http;
mod kind;
mod listener;
pub(crate) mod wire;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use serde::Serialize;
use tokio::runtime::Handle;

pub(crate) use error::{AgentError, Said};
pub use kind::{Kind, UnknownKind};
pub(crate) use listener::{FolderError, check_folder};

use super::{KeyError, Signer};
use crate::formats::Payload;
use crate::key::{Hash, PublicKey, Signature};
use crate::oci::ImageRef;
use wire::{Problem, PublicKeyAnswer, SignAnswer, SignRequest};

/// A socket's path in the kernel's structure, less the zero behind it: `man 7 unix`.
const MAX_PATH_BYTES: usize = 107;

/// How long between two looks whether the agent is there.
const AGAIN: Duration = Duration::from_millis(50);

/// How many connections may end without an answer before the agent has sent its key.
const MAX_LOST: u32 = 40;

/// After this time it is said what is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a request may take that the agent answers by itself.
const SHORT: Duration = Duration::from_secs(10);

/// Where an agent listens: `unix:///PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAddress(PathBuf);

impl AgentAddress {
    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for AgentAddress {
    type Err = AgentError;

    fn from_str(text: &str) -> Result<Self, AgentError> {
        let path = text.strip_prefix("unix://").unwrap_or(text);
        if !path.starts_with('/') || text.contains('\0') {
            return Err(AgentError::Address);
        }
        if path.len() > MAX_PATH_BYTES {
            return Err(AgentError::LongAddress { limit: MAX_PATH_BYTES });
        }
        Ok(Self(path.into()))
    }
}

impl fmt::Display for AgentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.0.display())
    }
}

/// What is known of an agent before it has answered.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The key that it must have; `None`: any key is accepted.
    pub key: Option<PinnedKey>,
    /// Whether its clients run in a pod, where the owner of a folder says nothing.
    pub in_pod: bool,
}

/// The key that an agent must have.
#[derive(Clone, Debug)]
pub struct PinnedKey {
    /// The public key of the agent.
    pub key: PublicKey,
    /// Where it came from, for people.
    pub origin: String,
}

/// An agent that has answered, as a signer.
#[derive(Debug)]
pub(crate) struct RemoteSigner {
    address: AgentAddress,
    public: PublicKey,
    deadline: Instant,
    runtime: Handle,
}

impl RemoteSigner {
    /// Waits until an agent listens at `address`, `deadline` at most, and asks for its public key. Everything that is asked
    /// later must be answered by `deadline` too.
    ///
    /// # Errors
    ///
    /// Nobody listens there in time, or what answers isn't an agent, or not the expected one.
    pub(crate) async fn connect(
        address: AgentAddress,
        expected: &Expected,
        deadline: Instant,
    ) -> Result<Self, AgentError> {
        let begun = Instant::now();
        let (mut told, mut lost) = (false, 0);
        let answer = loop {
            let limit = deadline.min(Instant::now() + SHORT);
            let request = http::request(http::Method::GET, wire::PUBLIC_KEY, Full::default())?;
            match http::exchange(&address, request, limit).await {
                // It isn't there yet: containers of a pod start in any order.
                Err(AgentError::Absent { .. }) if Instant::now() + AGAIN < deadline => {}
                // It had no place for this connection.
                Err(error)
                    if http::is_passing(&error) && lost < MAX_LOST && Instant::now() + AGAIN < deadline =>
                {
                    lost += 1
                }
                answer => break answer?,
            }
            if !told && begun.elapsed() > PATIENCE {
                told = true;
                tracing::warn!(%address, "no agent listens yet; waiting for it");
            }
            tokio::time::sleep(AGAIN).await;
        };
        listener::check(&address, answer.listener, expected)?;
        let key: PublicKeyAnswer = read(&address, answer)?;
        let public = PublicKey::from_pem(&key.pem)
            .map_err(|_| AgentError::Answer { address: address.clone(), what: "it gives no public key" })?;
        if let Some(PinnedKey { key, origin }) = &expected.key
            && *key != public
        {
            return Err(AgentError::OtherKey {
                address,
                given: named(&public),
                expected: named(key),
                origin: origin.clone(),
            });
        }
        Ok(Self { address, public, deadline, runtime: Handle::current() })
    }

    async fn ask(&self, payload: &Payload, images: &[ImageRef]) -> Result<Signature, AgentError> {
        let question = SignRequest {
            payload_type: payload.media_type.to_owned(),
            payload: STANDARD.encode(&payload.bytes),
            images: images.iter().map(ToString::to_string).collect(),
        };
        let answer: SignAnswer = read(&self.address, self.post(wire::SIGN, &question).await?)?;
        let signature = STANDARD.decode(&answer.signature).map_err(|_| AgentError::Answer {
            address: self.address.clone(),
            what: "its signature is not base64",
        })?;
        self.public
            .verify(&payload.to_be_signed(), &signature)
            .map_err(|source| AgentError::Signature { address: self.address.clone(), source })?;
        Ok(Signature(signature))
    }

    async fn post(&self, route: &str, question: &impl Serialize) -> Result<http::Answer, AgentError> {
        let body = serde_json::to_vec(question).map_err(AgentError::Json)?;
        if body.len() > wire::MAX_BODY_BYTES {
            return Err(AgentError::TooLong { address: self.address.clone(), limit: wire::MAX_BODY_BYTES });
        }
        let body = Bytes::from(body);
        let make = || http::request(http::Method::POST, route, Full::new(body.clone()));
        http::exchange_again(&self.address, make, self.deadline).await
    }
}

/// A key's fingerprint, and what it verifies.
fn named(key: &PublicKey) -> String {
    format!("{} ({})", key.key_id(), key.algorithm())
}

/// The answer's content, or the refusal in it.
fn read<T: serde::de::DeserializeOwned>(
    address: &AgentAddress,
    answer: http::Answer,
) -> Result<T, AgentError> {
    let unknown = |what| AgentError::Answer { address: address.clone(), what };
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|_| unknown("its answer is none of an agent's"));
    }
    let problem: Problem = serde_json::from_slice(&answer.body)
        .map_err(|_| unknown("it refuses without the reason that an agent gives"))?;
    Err(AgentError::Refused { address: address.clone(), said: Box::new(Said::of(problem.error)) })
}

impl Signer for RemoteSigner {
    /// Always an error: an agent has to know what it signs.
    fn sign(&self, _message: &[u8]) -> Result<Signature, KeyError> {
        Err(KeyError::Agent(AgentError::OnlyPayloads))
    }

    /// Always an error, as [`sign`](Signer::sign) is.
    fn sign_digest(&self, _hash: Hash, _digest: &[u8]) -> Result<Signature, KeyError> {
        Err(KeyError::Agent(AgentError::OnlyPayloads))
    }

    /// Must not be called on a thread of the runtime's own.
    fn sign_payload(&self, payload: &Payload, images: &[ImageRef]) -> Result<Signature, KeyError> {
        self.runtime.block_on(self.ask(payload, images)).map_err(KeyError::Agent)
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_absolute_path() {
        let path = |text: &str| text.parse::<AgentAddress>().map(|address| address.to_string());
        assert_eq!(path("unix:///run/agent.sock").unwrap(), "unix:///run/agent.sock");
        assert_eq!(path("/run/agent.sock").unwrap(), "unix:///run/agent.sock");
        for wrong in ["", "unix://", "unix://run/agent.sock", "agent.sock", "http://127.0.0.1/", "/a\0b"] {
            assert!(matches!(path(wrong), Err(AgentError::Address)), "{wrong:?}");
        }
        let long = format!("unix:///{}", "a".repeat(MAX_PATH_BYTES));
        assert!(matches!(path(&long), Err(AgentError::LongAddress { .. })));
    }
}
