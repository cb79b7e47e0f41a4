//! Whose signatures count, and what has to come with them.
//!
//! What cosign hangs onto a `.sig` or `.att` layer, a certificate, a log entry, a timestamp, is put together to the bundle that it
//! would be today, so that there is one verifier for all of them. The certificates above the signer's that a layer has are not looked at: as
//! cosign does with a trusted root, the path is built from what that holds.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::bundle::{
    self, Artifact, Bundle, BundleError, Content, Policy, Stored, TimeSource, TrustMaterial,
    UnknownTimestamp, Verified, VerifiedTime, Verifier, Waived, Who,
};
use crate::foreign;
use crate::formats::dsse::{self, Envelope};
use crate::found::LayerAnnotations;
use crate::json::{self, MemoryLimit};
use crate::key::Hash;

pub use super::bundle::Signer;

/// What cosign's JSON of a log entry may take in memory: it has eight values.
const LOG_ENTRY: MemoryLimit = MemoryLimit::memory(4 * 1024 * 1024);

/// How many accepted signers are named where a signature is by none of them.
const NAMED: usize = 20;

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
    /// Whether its certificate counts without a proof that it was logged.
    pub ignore_sct: bool,
    /// Whether a bundle 0.3 of it may have a certificate chain in place of a certificate.
    pub allow_certificate_chain: bool,
    /// The only hash that its signatures may use; `None`: any of the SHA-2 family.
    pub hash: Option<Hash>,
}

/// Whose signatures are accepted.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Any of these.
    pub signers: Vec<Accepted>,
    /// The logs and authorities that are believed.
    pub material: Arc<TrustMaterial>,
}

/// The accepted signer that made a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The name of the accepted signer.
    pub name: String,
    /// The exact signer: a key's fingerprint, or an identity and its issuer. Two signers are the same if this is the same.
    pub who: String,
    /// The identity in the certificate and its issuer; `None`: it was a key.
    pub identity: Option<(String, Option<String>)>,
    /// The times attested by a log or an authority, earliest first.
    pub times: Vec<VerifiedTime>,
    /// Whether a transparency log holds it.
    pub logged: bool,
    /// Whether a timestamp authority has seen it.
    pub timestamped: bool,
    /// Its timestamps by authorities that the trusted root doesn't have, of which nothing was used.
    pub unknown_timestamps: Vec<UnknownTimestamp>,
    /// What it lacks, which its trusted root doesn't demand; `None`: nothing.
    pub waived: Option<Waived>,
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
    /// It is not a bundle, or a part of it isn't good.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The time limit of the run came before it was known.
    #[error("the time limit of the run came before it was verified")]
    Time,
    /// What cosign hung onto a layer can't be read.
    #[error("the layer's annotation {0} can't be read")]
    Attached(&'static str),
}

/// A bundle of which only the envelope is read.
#[derive(Deserialize)]
struct Enveloped<'a> {
    #[serde(rename = "dsseEnvelope", borrow)]
    envelope: Option<&'a RawValue>,
}

/// A simple signing payload and its signature, as far as every signer needs them.
pub(super) struct Simple {
    artifact: Artifact,
    /// A bundle's part with the digest and the signature.
    content: Value,
}

impl Simple {
    pub(super) fn new(payload: &[u8], signature: &[u8]) -> Self {
        let artifact = Artifact::of(payload);
        let digest = artifact.sha256().map(|digest| STANDARD.encode(digest));
        let content = json!({
            "messageDigest": { "algorithm": "SHA2_256", "digest": digest },
            "signature": STANDARD.encode(signature),
        });
        Self { artifact, content }
    }
}

/// The envelope in a bundle.
///
/// # Errors
///
/// When there is none.
pub(super) fn enveloped(bundle: &[u8]) -> Result<Envelope, Distrust> {
    let document: Enveloped<'_> = serde_json::from_slice(bundle).map_err(dsse::DsseError::Json)?;
    let envelope = document.envelope.map(RawValue::get).unwrap_or_default();
    Ok(dsse::read(envelope.as_bytes())?)
}

impl Trust {
    /// Returns the accepted signer of the bytes of a `.sig` layer.
    ///
    /// # Errors
    ///
    /// If the signer isn't accepted, or what has to come with the signature is missing.
    pub fn simple(
        &self,
        payload: &[u8],
        signature: &[u8],
        attached: &LayerAnnotations,
    ) -> Result<By, Distrust> {
        let simple = Simple::new(payload, signature);
        self.first(|_, accepted| self.simple_by(accepted, &simple, signature, attached))
    }

    /// The same for one signer.
    pub(super) fn simple_by(
        &self,
        accepted: &Accepted,
        simple: &Simple,
        signature: &[u8],
        attached: &LayerAnnotations,
    ) -> Result<By, Distrust> {
        let Simple { artifact, content } = simple;
        // Most of what anyone may have put there ends here, before anything that hangs on it is read.
        if let Signer::Key(key) = &accepted.signer {
            Verifier::verify_signature(key, artifact, signature, accepted.hash)?;
        }
        let bundle = assembled(content, &accepted.signer, attached)?;
        self.verified(accepted, &bundle, artifact)
    }

    /// Returns the accepted signer of the envelope of an `.att` layer, and its content.
    ///
    /// # Errors
    ///
    /// As of [`simple`](Self::simple); also if it is not an envelope.
    pub fn envelope(&self, bytes: &[u8], attached: &LayerAnnotations) -> Result<(By, Envelope), Distrust> {
        let envelope = dsse::read(bytes)?;
        let by = self.first(|_, accepted| self.envelope_by(accepted, bytes, &envelope, attached))?;
        Ok((by, envelope))
    }

    /// The same for one signer, of an envelope that was read from `bytes`.
    pub(super) fn envelope_by(
        &self,
        accepted: &Accepted,
        bytes: &[u8],
        envelope: &Envelope,
        attached: &LayerAnnotations,
    ) -> Result<By, Distrust> {
        match &accepted.signer {
            // Without a log there is nothing but the signature; an envelope may have many megabytes.
            Signer::Key(key) if !accepted.log_required && !accepted.timestamp_required => {
                let signed = sigstore_types::pae(&envelope.payload_type, &envelope.payload);
                let artifact = Artifact::of(signed);
                // The caller, which knows all accepted signers, names them.
                let mut refused = Distrust::Nobody(String::new());
                for one in &envelope.signatures {
                    match Verifier::verify_signature(key, &artifact, &one.signature, accepted.hash) {
                        Ok(()) => return Ok(By::key(accepted, &key.key_id())),
                        Err(error) if error.is_by_key() => refused = error.into(),
                        Err(_) => {}
                    }
                }
                Err(refused)
            }
            signer => {
                // Of an envelope the parts alone that the format has: there may be others in it.
                let bundle = without_content(signer, attached)?;
                let stored = Stored::of(bytes, envelope.signatures.len());
                let of =
                    |one| Bundle { content: Content::Dsse(one), stored: stored.clone(), ..bundle.clone() };
                self.any_of(accepted, envelope, of)
            }
        }
    }

    /// Returns the signer of the first signature of an envelope that counts.
    fn any_of(
        &self,
        accepted: &Accepted,
        envelope: &Envelope,
        of: impl Fn(bundle::dsse::Envelope) -> Bundle,
    ) -> Result<By, Distrust> {
        let mut refused = Distrust::Nobody(String::new());
        for (at, one) in bundle::dsse::Envelope::each(envelope).enumerate() {
            // Copies say nothing more, and each costs a hash of the payload.
            if envelope.signatures.iter().take(at).any(|other| other.signature == one.signature()) {
                continue;
            }
            match self.bundle_by(accepted, &of(one)) {
                Ok(by) => return Ok(by),
                // What is wrong with a good signature says more than that another isn't one.
                Err(error)
                    if at == 0 || !matches!(&error, Distrust::Bundle(why) if why.check() == "signature") =>
                {
                    refused = error
                }
                Err(_) => {}
            }
        }
        Err(refused)
    }

    /// Returns the signer of a bundle, and its content. The caller checks that its statement is about the right image.
    ///
    /// # Errors
    ///
    /// As of [`envelope`](Self::envelope).
    pub fn bundle(&self, bytes: &[u8]) -> Result<(By, Envelope), Distrust> {
        let bundle = Bundle::parse(bytes)?;
        let by = self.first(|_, accepted| self.bundle_by(accepted, &bundle))?;
        // It may have many megabytes, and is in `bytes` still.
        drop(bundle);
        Ok((by, enveloped(bytes)?))
    }

    /// The same for one signer.
    pub(super) fn bundle_by(&self, accepted: &Accepted, bundle: &Bundle) -> Result<By, Distrust> {
        self.verified(accepted, bundle, &Artifact::Unchecked)
    }

    /// The first of the signers for which `by` succeeds; otherwise the most specific reason.
    pub(super) fn first<E: Borrow<Distrust> + From<Distrust>>(
        &self,
        mut by: impl FnMut(usize, &Accepted) -> Result<By, E>,
    ) -> Result<By, E> {
        let mut said: Option<E> = None;
        for (at, accepted) in self.signers.iter().enumerate() {
            let error = match by(at, accepted) {
                Ok(by) => return Ok(by),
                Err(error) => error,
            };
            match error.borrow() {
                // Nothing more is found out.
                Distrust::Time => return Err(error),
                // The signature is good: nothing says more.
                Distrust::Bundle(BundleError::NoLogEntry) => said = Some(Distrust::NoLog.into()),
                Distrust::Bundle(BundleError::NoTime { timestamp: true }) => {
                    said = Some(Distrust::NoTimestamp.into());
                }
                Distrust::Nobody(_) => {}
                // An RSA key distinguishes its own signature of something else from another key's.
                Distrust::Bundle(why) if why.is_by_key() => said = said.or(Some(error)),
                Distrust::Bundle(error) if matches!(error.check(), "signature" | "signer") => {}
                _ if said.is_none() => said = Some(error),
                _ => {}
            }
        }
        Err(said.unwrap_or_else(|| Distrust::Nobody(format!("{self}{}", self.tried())).into()))
    }

    /// What is said beside "nobody": a signature of other content looks like another key's, and was tried with these hashes.
    fn tried(&self) -> String {
        match self.signers.first().and_then(|accepted| accepted.hash) {
            Some(hash) => {
                format!("; or it is of other content, or not of its {hash} digest, which alone is accepted")
            }
            None => "; or it is of other content (tried: sha256, sha384, sha512)".to_owned(),
        }
    }

    fn verified(&self, accepted: &Accepted, bundle: &Bundle, artifact: &Artifact) -> Result<By, Distrust> {
        let verify = |ignore_tlog| {
            let policy = Policy {
                ignore_tlog,
                ignore_sct: accepted.ignore_sct,
                signed_timestamps: accepted.timestamp_required,
                allow_certificate_chain: accepted.allow_certificate_chain,
                hash: accepted.hash,
                ..Policy::new(accepted.signer.clone())
            };
            Verifier::new(Arc::clone(&self.material), policy).verify(bundle, artifact)
        };
        // An entry that isn't demanded still proves the time, if it is good.
        let verified = match accepted.log_required {
            true => verify(false),
            false if bundle.entries.is_empty() => verify(true),
            false => verify(false).or_else(|_| verify(true)),
        };
        Ok(By::new(accepted, &verified?))
    }
}

impl By {
    fn key(accepted: &Accepted, key_id: &str) -> Self {
        Self {
            name: accepted.name.clone(),
            who: format!("key {key_id}"),
            identity: None,
            times: Vec::new(),
            logged: false,
            timestamped: false,
            unknown_timestamps: Vec::new(),
            waived: None,
        }
    }

    fn new(accepted: &Accepted, verified: &Verified) -> Self {
        let (who, identity) = match &verified.who {
            Who::Key { key_id, .. } => (format!("key {key_id}"), None),
            Who::Identity { kind, name, issuer, .. } => {
                let issued =
                    issuer.as_ref().map_or_else(String::new, |issuer| format!(", vouched for by {issuer}"));
                (format!("{kind} {name}{issued}"), Some((name.clone(), issuer.clone())))
            }
        };
        let vouched = verified.times.iter().filter(|time| time.by != TimeSource::Now);
        Self {
            name: accepted.name.clone(),
            who,
            identity,
            times: vouched.clone().cloned().collect(),
            logged: !verified.log_entries.is_empty(),
            timestamped: vouched.clone().any(|time| matches!(time.by, TimeSource::Authority(_))),
            unknown_timestamps: verified.unknown_timestamps.clone(),
            waived: verified.waived.clone(),
        }
    }
}

/// The bundle of what comes with a signature. The signature in it stands in for the content, which the caller puts in: an envelope
/// may have many megabytes.
///
/// # Errors
///
/// A part can't be read, or there is no certificate where an identity is accepted.
pub(super) fn without_content(signer: &Signer, attached: &LayerAnnotations) -> Result<Bundle, Distrust> {
    assembled(&json!({ "signature": "AA==" }), signer, attached)
}

/// The bundle of a signature, a bundle's `messageSignature`, and what comes with it.
fn assembled(signature: &Value, signer: &Signer, attached: &LayerAnnotations) -> Result<Bundle, Distrust> {
    let mut material = match signer {
        Signer::Key(key) => json!({ "publicKey": { "hint": key.hint() } }),
        Signer::Identity(_) => {
            let pem = attached.certificate.as_deref().ok_or(Distrust::Attached("certificate"))?;
            let certificate = pem_rfc7468::decode_vec(pem.trim().as_bytes());
            let (_, der) = certificate.map_err(|_| Distrust::Attached("certificate"))?;
            json!({ "x509CertificateChain": { "certificates": [{ "rawBytes": STANDARD.encode(der) }] } })
        }
    };
    let entries =
        attached.log.as_deref().map(|log| entry(log).ok_or(Distrust::Attached("bundle"))).transpose()?;
    let stamp = |text: &str| {
        let token: Value = serde_json::from_str(text).ok()?;
        token.get("SignedRFC3161Timestamp")?.as_str().map(str::to_owned)
    };
    let stamp =
        attached.timestamp.as_deref().map(|text| stamp(text).ok_or(Distrust::Attached("rfc3161timestamp")));
    if let Some(fields) = material.as_object_mut() {
        fields.insert("tlogEntries".to_owned(), entries.into_iter().collect());
        if let Some(stamp) = stamp.transpose()? {
            fields.insert(
                "timestampVerificationData".to_owned(),
                json!({ "rfc3161Timestamps": [{ "signedTimestamp": stamp }] }),
            );
        }
    }
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": material,
        "messageSignature": signature,
    });
    Ok(Bundle::parse(bundle.to_string().as_bytes())?)
}

/// The entry of a log in the layout of bundles; `None`: it is none.
fn entry(text: &str) -> Option<Value> {
    let log = json::value(text.as_bytes(), LOG_ENTRY).ok()?;
    let payload = log.get("Payload")?;
    let body = payload.get("body")?.as_str()?;
    let decoded: Value = serde_json::from_slice(&STANDARD.decode(body).ok()?).ok()?;
    let id: Option<Vec<u8>> = payload
        .get("logID")?
        .as_str()?
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    Some(json!({
        "logIndex": payload.get("logIndex")?.as_u64()?.to_string(),
        "logId": { "keyId": STANDARD.encode(id?) },
        "kindVersion": { "kind": decoded.get("kind")?, "version": decoded.get("apiVersion")? },
        "integratedTime": payload.get("integratedTime")?.as_u64()?.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": log.get("SignedEntryTimestamp")? },
        "canonicalizedBody": body,
    }))
}

/// Who a signer is: the same text for the same one, and another for each other one.
pub(crate) fn identified(signer: &Signer) -> String {
    match signer {
        Signer::Key(key) => format!("key {}", key.hint()),
        Signer::Identity(of) => {
            format!("identity {:?}", (of.identity.to_string(), of.issuer.to_string(), &of.claims))
        }
    }
}

impl fmt::Display for Trust {
    /// The names of the accepted signers, the first of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.signers.iter().take(NAMED);
        let names: Vec<String> = named.map(|one| foreign::escape(&one.name, 200)).collect();
        f.write_str(&names.join(", "))?;
        match self.signers.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
