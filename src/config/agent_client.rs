//! The agent that signs in place of a key, and the key that it must have.

use std::io::ErrorKind;
use std::path::Path;

use super::{ConfigError, Origin, Reader, no_key, settings};
use crate::sign::{AgentAddress, PublicKeySource};

/// The agent's public key, where the Secret that holds its key is mounted into a step: the one entry of it that a step may have.
const MOUNTED_KEY: &str = "/etc/signing-secrets/cosign.pub";

/// The agent, as its client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentClient {
    /// Where it listens.
    pub address: AgentAddress,
    /// The key that it must have; `None`: its signatures are taken whatever key it has.
    pub key: Option<AgentKey>,
}

/// The place of the agent's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// The place.
    pub source: PublicKeySource,
    /// What names the place.
    pub origin: Origin,
}

/// The warning where no key says who listens.
fn unpinned() -> String {
    format!(
        "the agent's key is not pinned: whichever process makes the socket first can sign with a key of its own; give the agent's \
         public key with --{} or {}, or mount it at {MOUNTED_KEY}",
        settings::AGENT_KEY.flag,
        settings::AGENT_KEY.env
    )
}

impl Reader<'_> {
    /// The agent. A key of one's own beside it is a contradiction, and so is the agent's key without it.
    pub(super) fn agent(&self, warnings: &mut Vec<String>) -> Result<Option<AgentClient>, ConfigError> {
        self.agent_with(Path::new(MOUNTED_KEY), warnings)
    }

    /// The same with another place for the key that is mounted.
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
            Err(error) => Err(no_key(origin, &text, "the place of a public key", &error)),
        }
    }
}

/// The key at `path`, if anything is there. What can't be looked at is there: reading it then says what is wrong, and the
/// agent's key doesn't go unchecked meanwhile.
fn mounted_key(path: &Path) -> Option<AgentKey> {
    let absent = path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let origin = Origin::Default(settings::AGENT_KEY.flag.to_owned());
    (!absent).then(|| AgentKey { source: PublicKeySource::Path(path.into()), origin })
}

#[cfg(test)]
mod tests;
