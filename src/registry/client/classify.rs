//! From an error of the HTTP library to what it means for the reader.
//!
//! What matters is deep in the chain of causes: our own resolver's error, rustls' reason inside an I/O
//! error, the operating system's code.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;
use url::Url;

use super::dns::DnsError;
use super::endpoint;
use super::error::Failure;
use super::tls::Untrusted;

/// What an error of the HTTP library means.
pub(super) fn classify(error: reqwest::Error, url: &Url) -> Failure {
    // It would show the query.
    let error = error.without_url();
    if let Some(failure) = known(&error, url) {
        return failure;
    }
    Failure::Network(Box::new(error))
}

fn known(error: &reqwest::Error, url: &Url) -> Option<Failure> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(dns) = cause.downcast_ref::<DnsError>() {
            return Some(look_up(dns, url));
        }
        if let Some(tls) = rustls_error(cause) {
            return Some(tls_failure(tls, url));
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            if http.is_incomplete_message() {
                return Some(Failure::ConnectionLost(ErrorKind::UnexpectedEof.into()));
            }
            if http.is_parse() && url.scheme() == "http" {
                return Some(Failure::NotHttp);
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

/// rustls' error, which the stack carries inside one or two I/O errors, where `source()` doesn't lead to it.
fn rustls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = cause;
    loop {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
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
                Some(untrusted) => Failure::Untrusted { issuer: untrusted.issuer.clone() },
                None => Failure::Tls(error.clone()),
            },
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => Failure::CertificateTime(error.clone()),
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                let host = url.host_str().unwrap_or_default().to_owned();
                Failure::CertificateName { host, source: error.clone() }
            }
            _ => Failure::Tls(error.clone()),
        },
        // What is no TLS record is most often a plain HTTP server's "400 Bad Request".
        rustls::Error::InvalidMessage(_) => Failure::NotHttps,
        _ => Failure::Tls(error.clone()),
    }
}

fn io_failure(error: &io::Error, url: &Url) -> Option<Failure> {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            Some(Failure::ConnectionRefused { host: endpoint::host(url).to_owned() })
        }
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(Failure::ConnectionLost(error.kind().into())),
        _ => None,
    }
}
