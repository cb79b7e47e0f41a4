//! From an error of the HTTP library to what it means for the reader.
//!
//! What matters is deep in the chain of causes: our own resolver's error, rustls' reason inside an I/O
//! error, the operating system's code.

use std::error::Error;
use std::io::{self, ErrorKind};

use http::StatusCode;
use rustls::{AlertDescription, CertificateError};
use tower::BoxError;
use url::Url;

use super::client_keys::Wanted;
use super::connect::{ConnectError, ConnectFault};
use super::failure::Failure;
use super::refusal::Refusal;
use super::timed_body::Outdated;
use super::verifier::Untrusted;
use crate::net;
use crate::net::dns::DnsError;
use crate::net::proxy::Proxy;

/// What an error of the HTTP library means. `proxy` is the proxy that a request over plain HTTP was sent to.
pub(super) fn classify(error: BoxError, url: &Url, proxy: Option<&Proxy>) -> Failure {
    if find::<Outdated>(&*error).is_some() {
        return Failure::Outdated;
    }
    if let Some(connect) = find::<ConnectError>(&*error) {
        let at = connect.proxy.clone();
        let failure = match &connect.fault {
            ConnectFault::Refused(refusal, schemes) => match &at {
                Some(proxy) => refused(proxy, refusal.clone(), schemes.clone()),
                None => Failure::Refused(refusal.clone()),
            },
            ConnectFault::TimedOut(limit) if at.is_some() => Failure::TimedOut { after: *limit },
            ConnectFault::TimedOut(_) | ConnectFault::Broken(_) => {
                known_or_network(error, at.as_deref().map_or(url, Proxy::url))
            }
        };
        return at_proxy(failure, at.as_deref());
    }
    match proxy {
        Some(proxy) => at_proxy(known_or_network(error, proxy.url()), Some(proxy)),
        None => known_or_network(error, url),
    }
}

/// What an answer of `proxy` that doesn't lead on means.
pub(super) fn refused(proxy: &Proxy, refusal: Refusal, schemes: Vec<String>) -> Failure {
    match refusal.status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Failure::ProxyLogin { refusal, schemes, sent: proxy.login().is_some() }
        }
        _ => Failure::Refused(refusal),
    }
}

/// The failure as one of `proxy`, where there is one.
pub(super) fn at_proxy(failure: Failure, proxy: Option<&Proxy>) -> Failure {
    match proxy {
        None => failure,
        Some(proxy) => {
            Failure::Proxy { variable: proxy.variable, address: proxy.address(), failure: Box::new(failure) }
        }
    }
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

fn known_or_network(error: BoxError, url: &Url) -> Failure {
    known(&*error, url).unwrap_or(Failure::Network(error))
}

fn known(error: &(dyn Error + 'static), url: &Url) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(dns) = cause.downcast_ref::<DnsError>() {
            return Some(look_up(dns, url));
        }
        if let Some(Wanted(error)) = inner::<Wanted>(cause) {
            return Some(Failure::ClientCertificate(error.clone()));
        }
        if let Some(tls) = inner::<rustls::Error>(cause) {
            return Some(tls_failure(tls, url));
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            if http.is_incomplete_message() {
                return Some(Failure::ConnectionLost(ErrorKind::UnexpectedEof.into()));
            }
            if http.is_parse() {
                return Some(malformed(http, url));
            }
        }
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && let Some(failure) = io_failure(io, url)
        {
            return Some(failure);
        }
        next = cause.source();
    }
    None
}

/// What is wrong with an answer that can't be read. hyper has no other sign than its words for most of it.
fn malformed(error: &hyper::Error, url: &Url) -> Failure {
    let words = error.to_string();
    let what = match () {
        () if error.is_parse_too_large() => "its headers are too long, or more than 256",
        () if error.is_parse_status() => "its status is not a number from 100 to 999",
        () if words.contains("content-length") => "its Content-Length is not a number, or it has several",
        () if words.contains("transfer-encoding") => "its Transfer-Encoding is not allowed there",
        // What doesn't begin with `HTTP/1.`.
        () if words.contains("version") && url.scheme() == "http" => return Failure::NotHttp,
        () if words.contains("version") => "it does not begin with HTTP/1.0 or HTTP/1.1",
        () => "one of its header lines is malformed",
    };
    Failure::Malformed { what }
}

fn look_up(error: &DnsError, url: &Url) -> Failure {
    let host = url.host_str().unwrap_or_default().to_owned();
    let copy = |error: &DnsError| error.to_string().into();
    match error {
        DnsError::Unknown => Failure::UnknownHost { host },
        DnsError::Servers(source) => {
            Failure::LookUp { host, no_servers: false, source: Box::new(source.clone()) }
        }
        DnsError::NoServers { .. } => Failure::LookUp { host, no_servers: true, source: copy(error) },
    }
}

/// An error of TLS, which the stack carries inside one or two I/O errors, where `source()` doesn't lead to it.
fn inner<'a, T: Error + 'static>(cause: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut cause = cause;
    loop {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        cause = cause.downcast_ref::<io::Error>()?.get_ref()?;
    }
}

fn tls_failure(error: &rustls::Error, url: &Url) -> Failure {
    use CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::Other(other) => match other.0.downcast_ref::<Untrusted>() {
                Some(untrusted) => {
                    Failure::Untrusted { issuer: untrusted.issuer.clone(), reason: untrusted.reason }
                }
                None if is_version_1(&*other.0) => Failure::CertificateVersion,
                None => Failure::Tls(error.clone()),
            },
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => Failure::CertificateTime(error.clone()),
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                let is_nameless = matches!(certificate,
                    Certificate::NotValidForNameContext { presented, .. } if presented.is_empty());
                let host = url.host_str().unwrap_or_default().to_owned();
                Failure::CertificateName { host, is_nameless, source: error.clone() }
            }
            _ => Failure::Tls(error.clone()),
        },
        // Of TLS 1.3; servers of TLS 1.2 say only that the handshake failed.
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => Failure::ClientCertificate(error.clone()),
        // Bytes that aren't a TLS record are most often a plain HTTP server's "400 Bad Request".
        rustls::Error::InvalidMessage(_) => Failure::NotHttps,
        _ => Failure::Tls(error.clone()),
    }
}

fn is_version_1(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(webpki::Error::UnsupportedCertVersion))
}

fn io_failure(error: &io::Error, url: &Url) -> Option<Failure> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(Failure::ConnectionRefused { host: net::host(url).to_owned() }),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(Failure::ConnectionLost(error.kind().into())),
        _ => None,
    }
}
