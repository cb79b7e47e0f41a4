//! What went wrong with a request, and whether asking again can help.

use std::time::Duration;

use super::bad_answer::BadAnswer;
use super::distrust::Distrust;
use super::refusal::Refusal;
use crate::net::retry::{Until, status_is_transient};
use crate::oci::digest::Digest;

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The host has no address.
    #[error("no such host: {host} is not known to the name servers")]
    UnknownHost {
        /// The registry in the form `HOST[:PORT]`.
        host: String,
    },
    /// The host's address can't be found out.
    #[error("cannot look up {host}")]
    LookUp {
        /// The registry in the form `HOST[:PORT]`.
        host: String,
        /// Whether there are servers to ask.
        no_servers: bool,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing listens there.
    #[error("connection refused by {host}")]
    ConnectionRefused {
        /// The host and port.
        host: String,
    },
    /// The connection ended before the answer did.
    #[error("the connection was closed before the answer was complete")]
    ConnectionLost(#[source] std::io::Error),
    /// Another fault on the way.
    #[error("the request could not be sent, or its answer not be read")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("no complete answer within {:.1} s", .after.as_secs_f64())]
    TimedOut {
        /// The time that was given to this request.
        after: Duration,
    },
    /// The run's time was over before it was sent.
    #[error("not sent: the time limit of the run was reached")]
    Deadline,
    /// What it replaces was read too long ago by the moment at which it was to be sent. Reading again helps.
    #[error("not sent: what it replaces was read too long ago")]
    Outdated,
    /// An earlier answer of the host asked for a longer wait than the run has time for.
    #[error("not sent: {host} asks to be left alone {until}")]
    LeftAlone {
        /// The host and port.
        host: String,
        /// Until when.
        until: Until,
    },
    /// The certificate is not trusted.
    #[error("its certificate is not trusted: {}", distrust_text(*.reason, .issuer.as_deref()))]
    Untrusted {
        /// The issuer that the certificate names.
        issuer: Option<String>,
        /// Why not.
        reason: Distrust,
    },
    /// The certificate is for other times.
    #[error("its certificate has expired, or is not valid yet")]
    CertificateTime(#[source] rustls::Error),
    /// The certificate is for other names.
    #[error("its certificate is not for {host}")]
    CertificateName {
        /// The host that was asked for.
        host: String,
        /// Whether it has no name at all: a common name doesn't count.
        is_nameless: bool,
        /// What the certificate is for.
        #[source]
        source: rustls::Error,
    },
    /// The certificate is of a version that TLS has no use for.
    #[error("its certificate is of X.509 version 1, which cannot carry the server's name")]
    CertificateVersion,
    /// The server wants a client certificate and got none, or rejects the client certificate.
    #[error("it does not accept this client's certificate")]
    ClientCertificate(#[source] rustls::Error),
    /// Another fault in TLS.
    #[error("TLS failed")]
    Tls(#[source] rustls::Error),
    /// Something that doesn't speak TLS listens where HTTPS was expected.
    #[error("it does not speak HTTPS")]
    NotHttps,
    /// Something that doesn't speak HTTP listens where plain HTTP was expected.
    #[error("it does not speak plain HTTP")]
    NotHttp,
    /// The proxy can't be used. What was asked through it got nothing.
    #[error("the proxy {address} of {variable}: {failure}")]
    Proxy {
        /// The variable that names it.
        variable: &'static str,
        /// Its address, without user and password.
        address: String,
        /// What went wrong with it.
        failure: Box<Failure>,
    },
    /// A proxy asks for a login, or refuses the login.
    #[error("{refusal}{}", offered_text(.schemes))]
    ProxyLogin {
        /// What it says.
        refusal: Refusal,
        /// The kinds of login that it offers.
        schemes: Vec<String>,
        /// Whether it got one.
        sent: bool,
    },
    /// An answer that breaks the rules of HTTP.
    #[error("its answer is not valid HTTP: {what}")]
    Malformed {
        /// Which part of it.
        what: &'static str,
    },
    /// The answer refuses.
    #[error("{0}")]
    Refused(Refusal),
    /// A host that the request was sent on to refuses it. It can't ask for a login: the login is for the host that was asked.
    #[error("{refusal}; {host} is not {asked}, so no login was sent to it")]
    OtherHost {
        /// The host that refuses, with its port.
        host: String,
        /// What was asked: the registry or the token service.
        asked: String,
        /// Whether it is the same host, over HTTPS instead of plain HTTP.
        upgraded: bool,
        /// The refusal.
        refusal: Refusal,
    },
    /// The registry sends us to a token service over plain HTTP, where the login would be seen.
    #[error("the registry asks to send the login to {realm} over plain HTTP")]
    InsecureTokenService {
        /// The token service.
        realm: String,
        /// The token service as `--insecure-registry` would name it; `None` if the registry itself has HTTPS.
        host: Option<String>,
    },
    /// The token service redirects a request that carries the login.
    #[error("the token service redirects to {to}: the login was not sent there")]
    TokenServiceRedirect {
        /// Where it redirects to.
        to: String,
    },
    /// The answer is larger than anything we asked for.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// What was allowed.
        limit: u64,
    },
    /// The content isn't what its digest says.
    #[error("the registry's content has the digest {actual}, not {expected}")]
    WrongBytes {
        /// The digest that was asked for or announced.
        expected: String,
        /// The digest of what came.
        actual: Digest,
    },
    /// A manifest of schema 1, the form before Docker 1.10: its digest is that of the payload inside its signatures.
    ///
    /// Spec: <https://github.com/distribution/distribution/blob/v2.8.3/docs/spec/manifest-v2-1.md#signed-manifests>
    #[error("it is a manifest of schema 1, whose digest {expected} is not that of its bytes")]
    Schema1 {
        /// The digest that was asked for or announced.
        expected: String,
    },
    /// An answer that breaks the specification.
    #[error("{0}")]
    BadAnswer(BadAnswer),
}

impl Failure {
    /// Whether the same request may fare better later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::LookUp { no_servers, .. } => !no_servers,
            Self::Proxy { failure, .. } => failure.is_transient(),
            Self::ConnectionRefused { .. }
            | Self::ConnectionLost(_)
            | Self::Network(_)
            | Self::TimedOut { .. } => true,
            Self::Refused(refusal) => status_is_transient(refusal.status),
            _ => false,
        }
    }

    /// Whether it happened before there was an answer: on the way, in TLS, or with what listens there.
    pub(super) fn is_of_connection(&self) -> bool {
        match self {
            Self::UnknownHost { .. }
            | Self::LookUp { .. }
            | Self::ConnectionRefused { .. }
            | Self::ConnectionLost(_)
            | Self::Network(_)
            | Self::TimedOut { .. }
            | Self::Untrusted { .. }
            | Self::CertificateTime(_)
            | Self::CertificateName { .. }
            | Self::CertificateVersion
            | Self::ClientCertificate(_)
            | Self::Tls(_)
            | Self::NotHttps
            | Self::NotHttp
            | Self::Malformed { .. } => true,
            Self::Proxy { failure, .. } => failure.is_of_connection(),
            _ => false,
        }
    }

    /// Whether TLS, or a certificate, is at fault.
    pub(super) fn is_of_tls(&self) -> bool {
        matches!(
            self,
            Self::Untrusted { .. }
                | Self::CertificateTime(_)
                | Self::CertificateName { .. }
                | Self::CertificateVersion
                | Self::ClientCertificate(_)
                | Self::Tls(_)
        )
    }

    /// Whether an answer came that no such request can have.
    pub(super) fn is_bad_answer(&self) -> bool {
        matches!(self, Self::BadAnswer(_) | Self::TooLarge { .. })
    }
}

fn distrust_text(reason: Distrust, issuer: Option<&str>) -> String {
    let issuer = issuer.map_or_else(|| "an unnamed authority".to_owned(), |name| format!("\"{name}\""));
    match reason {
        Distrust::Issuer => format!("it was issued by {issuer}"),
        reason => format!("{reason}; it was issued by {issuer}"),
    }
}

fn offered_text(schemes: &[String]) -> String {
    if schemes.is_empty() { String::new() } else { format!("; it offers {}", schemes.join(", ")) }
}
