//! The settings for an agent that signs in place of a key, and for its expected public key.

use std::io::ErrorKind;
use std::path::Path;

use super::{ConfigError, ConfigReader, ValueOrigin, no_key, settings};
use crate::sign::{AgentAddress, PublicKeySource};

/// The location of the agent's public key if its Secret is mounted into a step. A step may have only this entry of the Secret.
const MOUNTED_KEY: &str = "/etc/signing-secrets/cosign.pub";

/// The agent's address and expected key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentClient {
    /// The socket that the agent listens on.
    pub address: AgentAddress,
    /// The expected key; `None` to accept signatures by any key.
    pub key: Option<AgentKey>,
}

/// The location of the agent's expected public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// The location to read it from.
    pub source: PublicKeySource,
    /// The setting that names the location.
    pub origin: ValueOrigin,
}

/// The warning for an agent without an expected key.
fn unpinned() -> String {
    format!(
        "the agent's key is not pinned: whichever process creates the socket first can sign with its own key; give the agent's \
         public key with --{} or {}, or mount it at {MOUNTED_KEY}",
        settings::AGENT_KEY.flag,
        settings::AGENT_KEY.env
    )
}

impl ConfigReader<'_> {
    /// Reads the agent's settings. Both an agent and a signing key are a contradiction, and so is the agent's key without an agent.
    pub(super) fn agent(&self, warnings: &mut Vec<String>) -> Result<Option<AgentClient>, ConfigError> {
        self.agent_with(Path::new(MOUNTED_KEY), warnings)
    }

    /// The same with another location for the mounted key.
    fn agent_with(
        &self,
        mounted: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Option<AgentClient>, ConfigError> {
        let named = self.agent_key()?;
        let Some((_, origin)) = self.0.values(&settings::AGENT)? else {
            return match named {
                Some(AgentKey { origin, .. }) => Err(ConfigError::Incomplete {
                    given: origin,
                    missing: settings::AGENT.flag,
                    value: settings::AGENT.value,
                }),
                None => Ok(None),
            };
        };
        if let Some((_, key)) = self.0.values(&settings::KEY)? {
            return Err(ConfigError::Contradiction { one: origin, other: key });
        }
        let wanted = "unix:///PATH, the socket of an agent";
        let address = self.one(&settings::AGENT, wanted, |text| text.parse().ok())?;
        let key = named.or_else(|| mounted_key(mounted));
        if key.is_none() {
            warnings.push(unpinned());
        }
        Ok(Some(AgentClient { address, key }))
    }

    fn agent_key(&self) -> Result<Option<AgentKey>, ConfigError> {
        let Some((text, origin)) = self.last(&settings::AGENT_KEY)? else { return Ok(None) };
        match text.parse() {
            Ok(source) => Ok(Some(AgentKey { source, origin })),
            Err(error) => Err(no_key(origin, &text, "the location of a public key", &error)),
        }
    }
}

/// The key at `path`, if the path exists. A path that can't be examined counts as existing: then reading it reports the
/// error, and the agent's key is never left unchecked.
fn mounted_key(path: &Path) -> Option<AgentKey> {
    let absent = path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let origin = ValueOrigin::Default(settings::AGENT_KEY.flag.to_owned());
    (!absent).then(|| AgentKey { source: PublicKeySource::Path(path.into()), origin })
}

#[cfg(test)]
mod tests;
