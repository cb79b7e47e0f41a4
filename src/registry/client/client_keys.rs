//! Client certificates, and which of them a server gets.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

/// The client certificates for one host, with their keys. `Debug` shows how many there are.
#[derive(Clone, Default)]
pub(super) struct ClientKeys(pub(super) Vec<Arc<CertifiedKey>>);

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKeys({})", self.0.len())
    }
}

impl ResolvesClientCert for ClientKeys {
    /// The first that one of the CAs which the server lists has issued; the first at all if none has, so that the server refuses it
    /// by its name.
    fn resolve(&self, subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let usable = || self.0.iter().filter(|key| key.key.choose_scheme(schemes).is_some());
        let listed = usable().find(|key| issuers(key).any(|issuer| subjects.contains(&issuer.as_slice())));
        listed.or_else(|| usable().next()).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

/// The names of those who issued the certificates of the chain, as DER.
fn issuers(key: &CertifiedKey) -> impl Iterator<Item = Vec<u8>> {
    key.cert.iter().filter_map(|certificate| {
        Certificate::from_der(certificate).ok()?.tbs_certificate.issuer.to_der().ok()
    })
}
