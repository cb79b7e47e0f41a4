//! Client certificates, and which of them a server gets.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::{fmt, io};

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

tokio::task_local! {
    /// Whether the server of the handshake under way has asked for a certificate.
    static ASKED: Cell<bool>;
}

/// A handshake failed after the server had asked for a client certificate, and it said no more than that. Servers of TLS 1.2 say so if they
/// don't get one.
#[derive(Debug, thiserror::Error)]
#[error("the handshake failed after a client certificate was asked for")]
pub(super) struct Wanted(pub(super) rustls::Error);

/// What comes of a TLS handshake.
pub(super) async fn connected<T>(handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    ASKED
        .scope(Cell::new(false), async {
            handshake.await.map_err(|error| match tls_error(&error) {
                Some(alert @ rustls::Error::AlertReceived(kind))
                    if ASKED.with(Cell::get) && is_vague(*kind) =>
                {
                    io::Error::new(error.kind(), Wanted(alert.clone()))
                }
                _ => error,
            })
        })
        .await
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn is_vague(alert: AlertDescription) -> bool {
    matches!(alert, AlertDescription::HandshakeFailure | AlertDescription::AccessDenied)
}

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
        let _ = ASKED.try_with(|asked| asked.set(true));
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
