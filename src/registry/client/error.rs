//! What can go wrong between us and a registry.
//!
//! A failed request keeps its method and its address (without what must not be shown), what came back,
//! the logins it was tried with, and whether asking again can help.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};

use super::distrust::Distrust;
use super::hint;
use super::peer::Peer;
use super::refusal::{Refusal, Said};
use super::setup_error::SetupError;
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign::Text;
use crate::net::proxy::ThroughProxy;
use crate::net::retry::{Until, status_is_transient};
use crate::oci::digest::Digest;
use crate::oci::reference::Repository;
use crate::registry::credentials::CredentialError;

/// Why a registry could not be worked with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The client can't be made as it was asked for. Nothing was sent.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The credentials can't be known. Nothing was sent.
    #[error("cannot find the credentials for {repository}")]
    Credentials {
        /// The repository they are for.
        repository: Repository,
        /// Why not.
        #[source]
        source: Box<CredentialError>,
    },
    /// A request failed.
    #[error(transparent)]
    Request(Box<RequestError>),
}

/// A request that failed.
#[derive(Debug)]
pub struct RequestError {
    /// The method.
    pub method: Method,
    /// The address, without what must not be shown.
    pub url: String,
    /// Who answered, or was to.
    pub peer: Peer,
    /// The repository it was about.
    pub repository: Repository,
    /// Whether it was to change something in the repository.
    pub writes: bool,
    /// What went wrong.
    pub failure: Failure,
    /// The logins that were tried, as [`Credential`](crate::registry::Credential) shows itself. Empty: none was configured.
    pub used: Vec<String>,
    /// Whether no login did: none was accepted, or none may do this.
    pub denied: bool,
    /// Credentials that are there and were not read, and why: set where `denied` is.
    pub unread: Option<String>,
    /// What to do, where the logins show it.
    pub advice: Option<String>,
    /// Until when the registry wants to be left alone: set where it was given up on, and the registry said so.
    pub until: Option<Until>,
    /// The host that it was sent to without the login, as that is for another scheme, host or port.
    pub without_login: Option<String>,
    /// The proxy that it went through, where that can have to do with the failure.
    pub through: Option<ThroughProxy>,
    /// How often it was sent.
    pub attempts: u32,
    /// Whether it was given up on after trying as often as makes sense.
    pub given_up: bool,
}

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The host has no address.
    #[error("no such host: {host} is not known to the name servers")]
    UnknownHost {
        /// The host.
        host: String,
    },
    /// The host's address can't be found out.
    #[error("cannot look up {host}")]
    LookUp {
        /// The host.
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
    #[error("not sent: the time limit of the run is over")]
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
        /// Who issued it.
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
    /// The server wants a client certificate and got none, or doesn't accept the one it got.
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
    /// A proxy asks for a login, or refuses the one that it got.
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

/// An answer that breaks the specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAnswer {
    /// An upload was begun, and nothing says where it goes on.
    #[error("it began an upload without saying where (no Location header)")]
    NoLocation,
    /// A `Location` with nothing in it.
    #[error("its Location header is empty")]
    EmptyLocation,
    /// A content that is compressed, or encoded in another way that wasn't asked for.
    #[error("its content is encoded as {0} (Content-Encoding), so that its digest cannot be checked")]
    Encoded(String),
    /// A `Location` that can't be followed.
    #[error("it sends us to an address that cannot be used: {0}")]
    Location(String),
    /// What was written is redirected where it isn't sent.
    #[error("it answered {}, which means nothing here: it redirects what is written to {to}", .status.as_u16())]
    WriteRedirect {
        /// The status.
        status: StatusCode,
        /// Where to.
        to: String,
    },
    /// A next page of a list on another host.
    #[error("the next page of its list is on another host: {0}")]
    ElsewherePage(String),
    /// A list whose pages lead back, or go on for longer than any list.
    #[error("its list of referrers doesn't end: {0}")]
    EndlessPages(String),
    /// A token service without an address that a login may be sent to.
    #[error("it names a token service whose address cannot be used: {0}")]
    TokenService(String),
    /// From HTTPS to plain HTTP.
    #[error("it sends us from HTTPS to plain HTTP: {0}")]
    Downgrade(String),
    /// From address to address without end.
    #[error("it sends us from address to address, more than {0} times")]
    Redirects(usize),
    /// A success that is a web page.
    #[error("it answered with an HTML page{}", title_text(.0.as_ref()))]
    Html(Option<Text>),
    /// A success that isn't the JSON it should be.
    #[error("it answered with something that is no {0}")]
    NotA(&'static str),
    /// A success that the specification doesn't have there.
    #[error("it answered {}, which means nothing here", .0.as_u16())]
    Status(StatusCode),
    /// Unknown names in the address.
    #[error("its name makes no address")]
    Address,
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

fn title_text(title: Option<&Text>) -> String {
    title.map(|title| format!(", {title:.300?}")).unwrap_or_default()
}

impl Failure {
    /// Whether the same request may fare better later.
    pub fn is_transient(&self) -> bool {
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
}

impl Failure {
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

    /// Whether an answer came, which is not one that the request can have.
    pub(super) fn is_bad_answer(&self) -> bool {
        matches!(self, Self::BadAnswer(_) | Self::TooLarge { .. })
    }
}

impl RequestError {
    /// A request that was sent once, without a login, to `peer`: what else is known of it is set afterwards.
    pub(super) fn new(
        (method, url): (Method, String),
        (repository, writes): (Repository, bool),
        peer: Peer,
        failure: Failure,
    ) -> Self {
        Self {
            method,
            url,
            peer,
            repository,
            writes,
            failure,
            used: Vec::new(),
            denied: false,
            unread: None,
            advice: None,
            until: None,
            without_login: None,
            through: None,
            attempts: 1,
            given_up: false,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.method, self.url)?;
        // A 401 or 403 there is what a refused login usually is.
        let is_usual = self.denied;
        match (&self.failure, self.peer) {
            (Failure::Refused(refusal), Peer::TokenService) if !is_usual => {
                write!(f, "the token service answered {refusal}")?;
            }
            (Failure::Refused(refusal), Peer::Elsewhere) => {
                write!(f, "the host that {} redirects to answered {refusal}", self.repository.registry())?;
            }
            (failure, _) => write!(f, "{failure}")?,
        }
        if let Some(ThroughProxy { variable, address }) = &self.through {
            write!(f, " (through the proxy {address} of {variable})")?;
        }
        if self.attempts > 1 {
            write!(f, " (sent {} times)", self.attempts)?;
        }
        if let Some(until) = &self.until {
            write!(f, "; it asks to be left alone {until}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.failure {
            Failure::Proxy { failure, .. } => failure.source(),
            failure => failure.source(),
        }
    }
}

impl RegistryError {
    /// Whether the same call may fare better later. After retries that were given up on it may not.
    pub fn is_transient(&self) -> bool {
        self.request().is_some_and(|request| !request.given_up && request.failure.is_transient())
    }

    /// How long the registry wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal_by_any().and_then(|refusal| refusal.retry_after)
    }

    /// The request that failed, if it came to one.
    pub fn request(&self) -> Option<&RequestError> {
        match self {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }

    /// The registry's own refusing answer, if it came to one: what a token service or another host says is not about the content.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal_by_any().filter(|_| self.peer() == Some(Peer::Registry))
    }

    /// Who answered the request that failed, or was to.
    pub fn peer(&self) -> Option<Peer> {
        self.request().map(|request| request.peer)
    }

    fn refusal_by_any(&self) -> Option<&Refusal> {
        match &self.request()?.failure {
            Failure::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the registry says that what was asked for isn't there. One that throttles says nothing about that.
    pub fn is_absence(&self) -> bool {
        self.refusal().is_some_and(|refusal| {
            refusal.status == StatusCode::NOT_FOUND && !refusal.has_code("TOOMANYREQUESTS")
        })
    }

    /// Whether it was not sent because what it replaces was read too long ago.
    pub fn is_outdated(&self) -> bool {
        self.request().is_some_and(|request| matches!(request.failure, Failure::Outdated))
    }

    /// Whether the answer is a web page, which no registry gives.
    pub fn is_page(&self) -> bool {
        self.refusal().is_some_and(|refusal| matches!(refusal.said, Said::Html { .. }))
    }

    /// Whether the registry (or its token service) doesn't accept the login, or what it may do.
    pub fn is_denied(&self) -> bool {
        self.request().is_some_and(|request| request.denied)
    }
}

impl Explain for RegistryError {
    fn used(&self) -> Option<String> {
        match self {
            Self::Setup(_) => None,
            Self::Credentials { source, .. } => source.used(),
            Self::Request(request) => (!request.used.is_empty()).then(|| request.used.join("; then ")),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Setup(error) => error.hint(),
            Self::Credentials { source, .. } => source.hint(),
            Self::Request(request) => hint::of(request),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Setup(error) => error.exit(),
            Self::Credentials { source, .. } => source.exit(),
            Self::Request(_) if self.is_denied() => ExitCode::Refused,
            Self::Request(_) => ExitCode::Failed,
        }
    }
}
