//! Whose signatures count, and what has to come with them.

use std::fmt;

use crate::foreign;
use crate::payload::dsse::{self, Envelope};
use crate::sign::PublicKey;
use crate::store::Attached;

/// Who may have signed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Signer {
    /// The holder of the private half of this key.
    Key(Box<PublicKey>),
}

/// A signer under the name that the user knows it by.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The name: a policy's, or the place of the key.
    pub name: String,
    /// The signer.
    pub signer: Signer,
    /// Whether its signatures count only with an entry in a transparency log.
    pub log_required: bool,
    /// Whether they count only with an RFC 3161 timestamp.
    pub timestamp_required: bool,
}

/// Whose signatures are accepted.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Any of these.
    pub signers: Vec<Accepted>,
}

/// Who made a signature: one of those accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The name of the accepted signer.
    pub name: String,
    /// Who it was exactly: a key's fingerprint, or an identity and its issuer. Two signers are the same if this is.
    pub who: String,
    /// The times that somebody else than the signer vouches for, earliest first.
    pub times: Vec<jiff::Timestamp>,
    /// Whether a transparency log holds it.
    pub logged: bool,
    /// Whether a timestamp authority has seen it.
    pub timestamped: bool,
}

/// Why a signature doesn't count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// None of the accepted signers made it.
    #[error("it was made by none of the accepted signers: {0}")]
    Nobody(String),
    /// It has no entry in a log.
    #[error("the signature is good, and has no entry in a transparency log")]
    NoLog,
    /// It has no timestamp.
    #[error("the signature is good, and has no timestamp of an authority")]
    NoTimestamp,
    /// What should be an envelope is none.
    #[error(transparent)]
    Envelope(#[from] dsse::DsseError),
    /// What should be a bundle is none.
    #[error("it is no Sigstore bundle with a DSSE envelope")]
    Bundle,
}

impl Trust {
    /// Who signed the bytes of a `.sig` layer.
    ///
    /// # Errors
    ///
    /// When it is nobody that is accepted, or what has to come with it isn't there.
    pub fn simple(&self, payload: &[u8], signature: &[u8], _: &Attached) -> Result<By, Distrust> {
        self.by_key(|key| key.verify(payload, signature).is_ok())
    }

    /// Who signed the envelope of an `.att` layer, and what.
    ///
    /// # Errors
    ///
    /// As of [`simple`](Self::simple); also when it is no envelope.
    pub fn envelope(&self, bytes: &[u8], _: &Attached) -> Result<(By, Envelope), Distrust> {
        let envelope = dsse::read(bytes)?;
        let by = self.enveloped(&envelope)?;
        Ok((by, envelope))
    }

    /// Who signed a bundle, and what.
    ///
    /// # Errors
    ///
    /// As of [`envelope`](Self::envelope).
    pub fn bundle(&self, bytes: &[u8]) -> Result<(By, Envelope), Distrust> {
        let document = super::strict::value(bytes).map_err(|_| Distrust::Bundle)?;
        let envelope = document.get("dsseEnvelope").ok_or(Distrust::Bundle)?;
        let envelope = dsse::read(envelope.to_string().as_bytes())?;
        let by = self.enveloped(&envelope)?;
        Ok((by, envelope))
    }

    fn enveloped(&self, envelope: &Envelope) -> Result<By, Distrust> {
        let signed = sigstore_types::pae(&envelope.payload_type, &envelope.payload);
        self.by_key(|key| envelope.signatures.iter().any(|one| key.verify(&signed, &one.signature).is_ok()))
    }

    fn by_key(&self, verifies: impl Fn(&PublicKey) -> bool) -> Result<By, Distrust> {
        for accepted in &self.signers {
            let Signer::Key(key) = &accepted.signer;
            if verifies(key) {
                let by = By {
                    name: accepted.name.clone(),
                    who: format!("key {}", key.key_id()),
                    times: Vec::new(),
                    logged: false,
                    timestamped: false,
                };
                return accepted.complete(by);
            }
        }
        Err(Distrust::Nobody(self.to_string()))
    }
}

impl Accepted {
    /// Whether what has to come with the signature is there.
    fn complete(&self, by: By) -> Result<By, Distrust> {
        if self.log_required && !by.logged {
            return Err(Distrust::NoLog);
        }
        if self.timestamp_required && !by.timestamped { Err(Distrust::NoTimestamp) } else { Ok(by) }
    }
}

impl Signer {
    /// Whether `other` is the same one under another name.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(one), Self::Key(two)) => one == two,
        }
    }
}

impl fmt::Display for Trust {
    /// The names of the accepted signers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.signers.iter().map(|one| foreign::shown(&one.name, 200)).collect();
        f.write_str(&names.join(", "))
    }
}
