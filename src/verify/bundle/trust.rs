//! The trusted root: which logs and authorities are believed, and in which times.
//!
//! Spec: <https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_trustroot.proto>. `sigstore-trust-root` reads it and brings the
//! public-good one; the windows are applied here. An algorithm that isn't known doesn't make the rest unusable: that member is
//! left out, and what needs it is refused as unknown.
//!
//! A file may hold several trusted roots, one a line, as `gh attestation trusted-root` prints them. Each counts by itself: what one of them
//! says counts nothing beside what another says. `roots.rs` goes through them.

mod error;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use sigstore_trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_types::TimeRange;

use super::certificate::is_ca;
use super::error::OF_ROOT;
use super::path::X509;
use super::roots::Waivers;
use crate::json_lines;
use crate::key::{Hash, PublicKey};
use crate::known_format::{KnownFormat, WantedFormat};

pub use error::TrustError;

/// The largest trusted root that is read; Sigstore's public trusted root has 7 KiB.
pub const TRUST_BYTES: u64 = 4 * 1024 * 1024;

/// The most logs and authorities of each kind, each of which costs a key or a chain to read; the public-good root has five at most.
const MEMBERS: usize = 1024;

/// The most trusted roots, each of which costs a verification; GitHub's file has two.
pub const ROOTS: usize = 32;

/// What is believed: a trusted root, and others beside it.
#[derive(Clone, Debug, Default)]
pub struct TrustMaterial {
    pub(super) logs: Vec<Log>,
    pub(super) authorities: Vec<Authority>,
    pub(super) ct_logs: Vec<Log>,
    pub(super) timestamp_authorities: Vec<Authority>,
    /// What isn't demanded of a signature that this root verifies.
    pub(super) waivers: Waivers,
    /// The other roots; they have none beside them.
    pub(super) others: Vec<Arc<Self>>,
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
    pub(super) leaf: Option<X509>,
    pub(super) intermediates: Vec<X509>,
    pub(super) root: X509,
    /// Where it is from: the trusted root, or a flag.
    pub(super) of: &'static str,
    window: Option<TimeRange>,
}

impl TrustMaterial {
    /// The trusted root of the public-good Sigstore, as it was when this program was built.
    ///
    /// # Errors
    ///
    /// None that a test wouldn't have found.
    pub(crate) fn public_good() -> Result<Self, TrustError> {
        Self::parse(SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes())
    }

    /// Nobody: enough for a key, without log and timestamps.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a trusted root, or several: one a line, or one after the other.
    ///
    /// # Errors
    ///
    /// It is none, or something in it can't be; of several, the line says which.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= TRUST_BYTES);
        let text = text.ok_or_else(|| other(bytes).unwrap_or(TrustError::Text))?;
        let roots = match json_lines::documents(text.as_bytes(), ROOTS) {
            Ok(roots) => roots,
            Err(error) => return Err(other(bytes).unwrap_or(TrustError::Lines(error))),
        };
        match roots.as_slice() {
            [] => Self::one(text.as_bytes()),
            [root] => Self::one(root.bytes),
            roots => {
                let one = |root: &json_lines::JsonDocument<'_>| {
                    let line = |source| TrustError::Line { line: root.line, source: Box::new(source) };
                    Self::one(root.bytes).map_err(line)
                };
                Self::together(roots.iter().map(one).collect::<Result<_, _>>()?)
            }
        }
    }

    /// Reads one trusted root.
    fn one(bytes: &[u8]) -> Result<Self, TrustError> {
        let json = std::str::from_utf8(bytes).map_err(|_| TrustError::Text)?;
        let wrong = |error| other(bytes).unwrap_or(TrustError::Json(error));
        let root = TrustedRoot::from_json(json).map_err(wrong)?;
        if !root.media_type.starts_with("application/vnd.dev.sigstore.trustedroot") {
            let found = crate::foreign::escape(&root.media_type, 120);
            return Err(other(bytes).unwrap_or(TrustError::MediaType { found }));
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
        let logs = root.tlogs.iter().map(|log| (true, &log.base_url, &log.log_id, &log.public_key));
        let ct_logs = root.ctlogs.iter().map(|log| (false, &log.base_url, &log.log_id, &log.public_key));
        for (rekor, url, id, key) in logs.chain(ct_logs) {
            let (hash, der) = (signed_hash(key.key_details.as_str()), key.raw_bytes.as_bytes());
            trust.add_log(rekor, url, id.key_id.as_bytes(), der, hash, key.valid_for)?;
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

    /// Several roots as one value; each counts by itself.
    ///
    /// # Errors
    ///
    /// They are too many, or two of them have different keys for one log.
    pub fn together(several: Vec<Self>) -> Result<Self, TrustError> {
        let mut roots = Vec::new();
        for mut material in several {
            let others = std::mem::take(&mut material.others);
            roots.push(Arc::new(material));
            roots.extend(others);
        }
        let sum = |count: fn(&Self) -> usize| roots.iter().map(|root| count(root)).sum::<usize>();
        let counts = [
            sum(|root| root.logs.len()),
            sum(|root| root.ct_logs.len()),
            sum(|root| root.authorities.len()),
            sum(|root| root.timestamp_authorities.len()),
        ];
        if roots.len() > ROOTS || counts.into_iter().any(|count| count > MEMBERS) {
            return Err(TrustError::TooMany);
        }
        let logs: [fn(&Self) -> &[Log]; 2] = [|root| &root.logs, |root| &root.ct_logs];
        for logs in logs {
            let mut keys: HashMap<&[u8], &PublicKey> = HashMap::new();
            for log in roots.iter().flat_map(|root| logs(root)) {
                if *keys.entry(&log.id).or_insert(&log.key) != &log.key {
                    return Err(TrustError::TwoKeys { name: log.name.clone() });
                }
            }
        }
        let mut roots = roots.into_iter();
        let first = roots.next().map(Arc::unwrap_or_clone).unwrap_or_default();
        Ok(Self { others: roots.collect(), ..first })
    }

    /// What a policy takes of a file: the root or roots with a certificate authority at the host `authority`, and of their certificate
    /// authorities only that one; `None`: everything. Of a signature that it verifies, `waivers` aren't demanded.
    ///
    /// # Errors
    ///
    /// There is no such authority; or nothing says for which of several roots less is demanded; or nothing else would prove a time.
    pub fn chosen(self, authority: Option<&str>, waivers: Waivers) -> Result<Self, TrustError> {
        let mut roots = self.apart();
        if let Some(wanted) = authority.map(host) {
            let is_wanted = |one: &Authority| one.name.eq_ignore_ascii_case(&wanted);
            let mut there: Vec<String> = Vec::new();
            for root in &mut roots {
                there.extend(root.authorities.iter().map(|one| one.name.clone()));
                root.authorities.retain(is_wanted);
            }
            roots.retain(|root| !root.authorities.is_empty());
            if roots.is_empty() {
                there.sort();
                there.dedup();
                let there = crate::foreign::escape(&there.join(", "), 600);
                return Err(TrustError::NoAuthority { wanted, there });
            }
        }
        if waivers != Waivers::default() {
            if authority.is_none() && roots.len() > 1 {
                return Err(TrustError::Which { count: roots.len() });
            }
            if waivers.log && roots.iter().any(|root| root.timestamp_authorities.is_empty()) {
                return Err(TrustError::NoStamps);
            }
            roots.iter_mut().for_each(|root| root.waivers = waivers);
        }
        Self::together(roots)
    }

    /// The same, of which each demands a log entry.
    #[must_use]
    pub fn demanding_log(&self) -> Self {
        let mut roots = self.clone().apart();
        roots.iter_mut().for_each(|root| root.waivers.log = false);
        let mut roots = roots.into_iter();
        let first = roots.next().unwrap_or_default();
        Self { others: roots.map(Arc::new).collect(), ..first }
    }

    /// Each root by itself.
    fn apart(mut self) -> Vec<Self> {
        let others = std::mem::take(&mut self.others);
        std::iter::once(self).chain(others.into_iter().map(Arc::unwrap_or_clone)).collect()
    }

    /// What the root is known by: the host of its certificate authority.
    pub(super) fn name(&self) -> String {
        self.authorities.first().map(|authority| authority.name.clone()).unwrap_or_default()
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

    /// The same logs and timestamp authorities, and in place of the certificate authorities these `roots`, with what may stand between, in DER. `of`
    /// is the flag that gave them.
    ///
    /// # Errors
    ///
    /// One of them is not a certificate.
    pub(crate) fn with_roots(
        self,
        roots: Vec<Vec<u8>>,
        between: &[Vec<u8>],
        of: &'static str,
    ) -> Result<Self, TrustError> {
        let chain = |root| between.iter().cloned().chain([root]).collect();
        let authorities =
            roots.into_iter().map(|root| Authority::new("the given roots", chain(root), None, false));
        let mut authorities: Vec<Authority> = authorities.collect::<Result<_, _>>()?;
        authorities.iter_mut().for_each(|authority| authority.of = of);
        let mut trusted = self.apart();
        trusted.iter_mut().for_each(|root| root.authorities.clone_from(&authorities));
        Self::together(trusted)
    }

    /// The same logs and certificate authorities, and in place of the timestamp authorities the one with this `chain`, in DER: the certificate that
    /// signs timestamps if it is given, and the root at the end.
    ///
    /// # Errors
    ///
    /// There is no certificate, or something that is not one.
    pub(crate) fn with_stamper(self, chain: Vec<Vec<u8>>) -> Result<Self, TrustError> {
        let authority = Authority::new("the given timestamp authority", chain, None, true)?;
        let mut trusted = self.apart();
        trusted.iter_mut().for_each(|root| root.timestamp_authorities = vec![authority.clone()]);
        Self::together(trusted)
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
        self.others.iter().map(|root| root.newest).fold(self.newest, Option::max)
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
        chain: Vec<Vec<u8>>,
        window: Option<TimeRange>,
        timestamps: bool,
    ) -> Result<Self, TrustError> {
        let name = host(name);
        check_window(window, &name)?;
        let wrong = |what| TrustError::Member { what, name: name.clone() };
        let mut chain: Vec<X509> = chain
            .iter()
            .map(|der| X509::parse(der))
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("a certificate, which is malformed,"))?;
        let has_leaf = timestamps && chain.first().is_some_and(|first| !is_ca(&first.parsed));
        let root = chain.pop().ok_or_else(|| wrong("the certificate chain, which is empty,"))?;
        let leaf = match has_leaf {
            // A self-signed certificate is its own root.
            true if chain.is_empty() => Some(root.clone()),
            true => Some(chain.remove(0)),
            false => None,
        };
        Ok(Self { name, leaf, intermediates: chain, root, of: OF_ROOT, window })
    }

    /// Whether the authority was valid then; both ends belong to the window.
    pub(super) fn valid_at(&self, at: Timestamp) -> bool {
        self.window.is_none_or(|window| window.contains(at))
    }
}

/// What a file is that isn't a trusted root, where that is known.
fn other(bytes: &[u8]) -> Option<TrustError> {
    KnownFormat::other_than(WantedFormat::TrustedRoot, bytes).map(TrustError::Other)
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
    crate::foreign::escape(&host.unwrap_or_else(|| url.to_owned()), 200)
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
