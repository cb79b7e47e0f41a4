//! The trusted root: which logs and authorities are believed, and in which times.
//!
//! Spec: <https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_trustroot.proto>. `sigstore-trust-root` reads it and brings the
//! public-good one; the windows are applied here. An algorithm that isn't known doesn't make the rest unusable: that member is
//! left out, and what needs it is refused as coming from nobody known.

use std::sync::Arc;

use jiff::Timestamp;
use sigstore_trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_types::TimeRange;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::certificate::is_ca;
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::sign::{Hash, PublicKey};

/// The largest trusted root that is read; the public-good one has 7 KiB.
pub const TRUST_BYTES: u64 = 4 * 1024 * 1024;

/// The most logs and authorities of each kind, each of which costs a key or a chain to read; the public-good root has five at most.
const MEMBERS: usize = 1024;

/// What is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustMaterial {
    pub(super) logs: Vec<Log>,
    pub(super) authorities: Vec<Authority>,
    pub(super) ct_logs: Vec<Log>,
    pub(super) timestamp_authorities: Vec<Authority>,
    newest: Option<Timestamp>,
}

/// A transparency log, or a certificate transparency log.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) id: Vec<u8>,
    /// The host that it is at, which is its name in Rekor 2.
    pub(super) name: String,
    pub(super) key: PublicKey,
    pub(super) hash: Hash,
    window: Option<TimeRange>,
}

/// A certificate authority, or a timestamp authority.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    pub(super) name: String,
    /// The certificate that signs timestamps, where the trusted root names it.
    pub(super) leaf: Option<Vec<u8>>,
    pub(super) intermediates: Vec<Vec<u8>>,
    pub(super) root: Vec<u8>,
    window: Option<TimeRange>,
}

/// Why a trusted root can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not one.
    #[error("this is no trusted root: {0}")]
    Json(#[source] sigstore_trust_root::Error),
    /// Not text, or too large.
    #[error("this is no trusted root: it is not text, or larger than {TRUST_BYTES} bytes")]
    Text,
    /// Another format.
    #[error("this is no trusted root: its media type is \"{found}\"")]
    MediaType {
        /// The media type, made fit to be shown.
        found: String,
    },
    /// More than anybody believes.
    #[error("this is no trusted root: it has more than {MEMBERS} logs or authorities of one kind")]
    Members,
    /// A window that ends before it begins, two logs of one id, a chain that is empty or no certificate.
    #[error("the trusted root cannot be used: {what} of {name}")]
    Member {
        /// What is wrong.
        what: &'static str,
        /// Which member.
        name: String,
    },
}

impl Explain for TrustError {
    fn hint(&self) -> Option<String> {
        Some("give a trusted_root.json, as Sigstore's TUF repository has it, or as `cosign trusted-root create` makes it".into())
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl TrustMaterial {
    /// The trusted root of the public-good Sigstore, as it was when this program was built.
    ///
    /// # Errors
    ///
    /// None that a test wouldn't have found.
    pub fn public_good() -> Result<Self, TrustError> {
        Self::parse(SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes())
    }

    /// Nobody: enough for a key, without log and timestamps.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a trusted root.
    ///
    /// # Errors
    ///
    /// It is none, or something in it can't be.
    pub fn parse(json: &[u8]) -> Result<Self, TrustError> {
        let json = std::str::from_utf8(json).ok().filter(|json| json.len() as u64 <= TRUST_BYTES);
        let root = TrustedRoot::from_json(json.ok_or(TrustError::Text)?).map_err(TrustError::Json)?;
        if !root.media_type.starts_with("application/vnd.dev.sigstore.trustedroot") {
            return Err(TrustError::MediaType { found: crate::foreign::shown(&root.media_type, 120) });
        }
        let counts = [
            root.tlogs.len(),
            root.ctlogs.len(),
            root.certificate_authorities.len(),
            root.timestamp_authorities.len(),
        ];
        if counts.into_iter().any(|count| count > MEMBERS) {
            return Err(TrustError::Members);
        }
        let mut trust = Self::default();
        for log in &root.tlogs {
            let hash = signed_hash(log.public_key.key_details.as_str());
            let window = log.public_key.valid_for;
            trust.add_log(
                true,
                &log.base_url,
                log.log_id.key_id.as_bytes(),
                log.public_key.raw_bytes.as_bytes(),
                hash,
                window,
            )?;
        }
        for log in &root.ctlogs {
            let hash = signed_hash(log.public_key.key_details.as_str());
            let window = log.public_key.valid_for;
            trust.add_log(
                false,
                &log.base_url,
                log.log_id.key_id.as_bytes(),
                log.public_key.raw_bytes.as_bytes(),
                hash,
                window,
            )?;
        }
        for authority in &root.certificate_authorities {
            let chain = authority.cert_chain.certificates.iter().map(|one| one.raw_bytes.as_bytes().to_vec());
            let authority = Authority::new(&authority.uri, chain.collect(), authority.valid_for, false)?;
            trust.see(authority.window);
            trust.authorities.push(authority);
        }
        for authority in &root.timestamp_authorities {
            let chain = authority.cert_chain.certificates.iter().map(|one| one.raw_bytes.as_bytes().to_vec());
            let name =
                authority.uri.as_deref().or(authority.subject.common_name.as_deref()).unwrap_or_default();
            let authority = Authority::new(name, chain.collect(), authority.valid_for, true)?;
            trust.see(authority.window);
            trust.timestamp_authorities.push(authority);
        }
        Ok(trust)
    }

    fn add_log(
        &mut self,
        rekor: bool,
        url: &str,
        id: &[u8],
        key: &[u8],
        hash: Hash,
        window: Option<TimeRange>,
    ) -> Result<(), TrustError> {
        let name = host(url);
        check_window(window, &name)?;
        self.see(window);
        let logs = if rekor { &mut self.logs } else { &mut self.ct_logs };
        if logs.iter().any(|log| log.id == id) {
            return Err(TrustError::Member { what: "the id, which another log has too,", name });
        }
        // A key of a kind that isn't known: nothing of this log can be verified, everything else can.
        if let Ok(key) = PublicKey::from_der(key).or_else(|_| PublicKey::from_pkcs1_der(key)) {
            logs.push(Log { id: id.to_vec(), name, key, hash, window });
        }
        Ok(())
    }

    fn see(&mut self, window: Option<TimeRange>) {
        self.newest = self.newest.max(window.map(|window| window.start));
    }

    /// The transparency log of that id.
    pub(super) fn log(&self, id: &[u8]) -> Option<&Log> {
        self.logs.iter().find(|log| log.id == id)
    }

    /// The certificate transparency log of that id.
    pub(super) fn ct_log(&self, id: &[u8]) -> Option<&Log> {
        self.ct_logs.iter().find(|log| log.id == id)
    }

    /// When the youngest member began to be valid: how new this is.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// For a [`Verifier`](super::Verifier).
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}

impl Log {
    /// Whether the log's key was valid then; both ends belong to the window.
    pub(super) fn valid_at(&self, at: Timestamp) -> bool {
        self.window.is_none_or(|window| window.contains(at))
    }

    /// Whether the log's key had begun to be valid by then.
    pub(super) fn begun_by(&self, at: Timestamp) -> bool {
        self.window.is_none_or(|window| window.has_started_by(at))
    }
}

impl Authority {
    fn new(
        name: &str,
        mut chain: Vec<Vec<u8>>,
        window: Option<TimeRange>,
        timestamps: bool,
    ) -> Result<Self, TrustError> {
        let name = host(name);
        check_window(window, &name)?;
        let wrong = |what| TrustError::Member { what, name: name.clone() };
        let parsed: Vec<Certificate> = chain
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("a certificate, which is malformed,"))?;
        let has_leaf = timestamps && parsed.first().is_some_and(|first| !is_ca(first));
        let root = chain.pop().ok_or_else(|| wrong("the certificate chain, which is empty,"))?;
        let leaf = match has_leaf {
            // A self-signed one is its own root.
            true if chain.is_empty() => Some(root.clone()),
            true => Some(chain.remove(0)),
            false => None,
        };
        Ok(Self { name, leaf, intermediates: chain, root, window })
    }

    /// Whether the authority was valid then; both ends belong to the window.
    pub(super) fn valid_at(&self, at: Timestamp) -> bool {
        self.window.is_none_or(|window| window.contains(at))
    }
}

fn check_window(window: Option<TimeRange>, name: &str) -> Result<(), TrustError> {
    match window {
        Some(TimeRange { start, end: Some(end) }) if end < start => Err(TrustError::Member {
            what: "the validity, which ends before it begins,",
            name: name.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The host of a URL, or the text as it is.
fn host(url: &str) -> String {
    let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    crate::foreign::shown(&host.unwrap_or_else(|| url.to_owned()), 200)
}

/// The hash that goes with a `PublicKeyDetails`.
fn signed_hash(details: &str) -> Hash {
    match details {
        details if details.ends_with("SHA_384") => Hash::Sha384,
        details if details.ends_with("SHA_512") => Hash::Sha512,
        _ => Hash::Sha256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trusted_root_in_the_binary_is_whole() {
        let trust = TrustMaterial::public_good().unwrap();
        assert!(trust.logs.iter().any(|log| log.name == "rekor.sigstore.dev"));
        assert!(trust.authorities.len() >= 2 && trust.ct_logs.len() >= 2);
        assert!(trust.timestamp_authorities.iter().all(|authority| authority.leaf.is_some()));
        assert!(trust.newest().unwrap() > "2025-01-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn more_members_than_anybody_believes_are_refused() {
        let root: serde_json::Value = serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
        for kind in ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"] {
            let mut many = root.clone();
            let member = many[kind][0].clone();
            many[kind] = vec![member; MEMBERS + 1].into();
            let error = TrustMaterial::parse(many.to_string().as_bytes()).unwrap_err();
            assert!(matches!(error, TrustError::Members), "{kind}: {error}");
        }
    }

    #[test]
    fn a_window_without_a_beginning_is_refused() {
        let json = SIGSTORE_PRODUCTION_TRUSTED_ROOT.replacen("\"start\"", "\"end\"", 1);
        assert!(TrustMaterial::parse(json.as_bytes()).is_err());
    }
}
