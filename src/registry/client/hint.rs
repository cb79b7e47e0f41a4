//! What to do about a failed request, for a reader who knows their pipeline and not our source.

use http::StatusCode;

use super::distrust::Distrust;
use super::error::{BadAnswer, Failure, RequestError};
use super::{peer, refused};

/// The next action; and for a refused login also which credentials were not read.
pub(super) fn of(request: &RequestError) -> Option<String> {
    let all =
        [peer::misnamed(request).or_else(|| action(request)), without_login(request), request.unread.clone()];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// That no login was sent, where that may be why the request was refused.
fn without_login(request: &RequestError) -> Option<String> {
    let Failure::Refused(_) = request.failure else { return None };
    let (host, registry) = (request.without_login.as_ref()?, request.repository.registry());
    Some(format!(
        "no login was sent to {host}, to which {registry} sends us: the login is for {registry} alone"
    ))
}

fn action(request: &RequestError) -> Option<String> {
    let registry = request.repository.registry();
    let text = match &request.failure {
        Failure::Proxy { variable, failure, .. } => of_proxy(variable, failure, registry),
        Failure::UnknownHost { .. } => {
            "check the registry's name; inside a cluster, also that this pod's DNS knows it".to_owned()
        }
        Failure::LookUp { no_servers: true, .. } => {
            "give the pod name servers (dnsPolicy), or the host an entry in its hosts file (hostAliases)"
                .to_owned()
        }
        Failure::LookUp { .. } => "check that this pod can reach its name servers".to_owned(),
        Failure::ConnectionRefused { host } => format!(
            "check that the registry runs at {host}, and that no network policy or proxy setting \
             (HTTPS_PROXY, NO_PROXY) is in the way"
        ),
        // A server that expects TLS often answers plain HTTP with nothing at all.
        Failure::ConnectionLost(_) if request.url.starts_with("http://") => format!(
            "if the registry has HTTPS, drop --insecure-registry {registry}; otherwise check the network, and any proxy \
             (HTTP_PROXY, NO_PROXY), between this pod and the registry; it is safe to run again"
        ),
        Failure::ConnectionLost(_) | Failure::Network(_) => {
            "check the network, and any proxy (HTTPS_PROXY, NO_PROXY), between this pod and the registry; \
             it is safe to run again"
                .to_owned()
        }
        Failure::TimedOut { .. } | Failure::Deadline => {
            "check that the registry is reachable and quick, or allow more time with --timeout; \
             it is safe to run again"
                .to_owned()
        }
        Failure::Untrusted { reason: Distrust::Issuer, .. } => {
            "give the certificate of the CA that issued it with --registry-ca FILE".to_owned()
        }
        Failure::Untrusted { reason, .. } => reason.hint("the registry's"),
        Failure::CertificateTime(_) => {
            "renew the registry's certificate, or set the clock of this node".to_owned()
        }
        Failure::CertificateName { is_nameless: true, host, .. } => format!(
            "the certificate has no subject alternative name, and a common name (CN) does not count: \
             make one with subjectAltName=DNS:{host} (or IP:ADDRESS)"
        ),
        Failure::CertificateName { .. } => {
            "use the name that the certificate is for, or give the registry one for this name".to_owned()
        }
        Failure::CertificateVersion => {
            "give the registry a certificate of version 3, with its name as subject alternative name \
             (openssl req -x509 -addext subjectAltName=DNS:HOST)"
                .to_owned()
        }
        Failure::ClientCertificate(_) => format!(
            "put a client certificate that {registry} accepts and its key into {registry}/client.cert and client.key \
             of a folder for --registry-certs-dir"
        ),
        Failure::Tls(_) => "check what serves TLS in front of the registry".to_owned(),
        Failure::NotHttps => format!(
            "if the registry has plain HTTP only, and the network to it is trusted: --insecure-registry {registry}"
        ),
        Failure::NotHttp => format!("if the registry has HTTPS, drop --insecure-registry {registry}"),
        Failure::Refused(refusal) => return refused::action(request, refusal),
        Failure::OtherHost { upgraded: true, .. } => {
            format!("the registry redirects to HTTPS: drop --insecure-registry {registry}")
        }
        Failure::OtherHost { host, .. } => format!(
            "let {host} answer without a login, as storage and CDNs do, or stop {registry} from sending requests there; \
             if {host} is the registry to use, name the images by it"
        ),
        Failure::InsecureTokenService { host: None, .. } => {
            "let the registry name its token service by https:// (its external address, or X-Forwarded-Proto at the \
             proxy in front of it)"
                .to_owned()
        }
        Failure::InsecureTokenService { host: Some(host), .. } => format!(
            "let the registry name its token service by https://, or, if the network to it is trusted: \
             --insecure-registry {host}"
        ),
        Failure::TokenServiceRedirect { .. } => {
            "let the registry name its token service by the address that answers, without a redirect".to_owned()
        }
        Failure::LeftAlone { .. } => refused::WAIT.to_owned(),
        Failure::TooLarge { .. } => "check what lies in the registry under this name".to_owned(),
        Failure::Schema1 { .. } => {
            "schema 1 can't be signed: push the image again in a current form (docker pull and docker push, or skopeo copy \
             --format v2s2), and sign the digest that it has then"
                .to_owned()
        }
        Failure::WrongBytes { .. } => {
            "do not trust this content: check the registry, and any proxy or cache in front of it".to_owned()
        }
        Failure::BadAnswer(BadAnswer::Downgrade(_)) => {
            "let the proxy in front of the registry send X-Forwarded-Proto: https, or set the registry's \
             external address to https://"
                .to_owned()
        }
        Failure::BadAnswer(BadAnswer::TokenService(_)) => {
            "let the registry name its token service by https://HOST/PATH, without a user name or password in it".to_owned()
        }
        Failure::BadAnswer(BadAnswer::WriteRedirect { .. }) => {
            "what is written follows only a 307 or 308 to the same scheme, host and port: name the images by the address that \
             takes them, or let the registry answer without a redirect"
                .to_owned()
        }
        Failure::BadAnswer(BadAnswer::ElsewherePage(_)) => {
            "let the registry, or the proxy in front of it, link its lists by its own address or by a path alone".to_owned()
        }
        Failure::BadAnswer(BadAnswer::EndlessPages(_)) => {
            "let the registry, or the proxy in front of it, end the list: the last page has no Link header".to_owned()
        }
        Failure::BadAnswer(_) => {
            format!("check that {registry} is an OCI registry, and not a page or a proxy")
        }
    };
    Some(text)
}

fn of_proxy(variable: &str, failure: &Failure, registry: &str) -> String {
    match failure {
        Failure::Refused(refusal) if refusal.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            format!("give the proxy's user and password in {variable}, as USER:PASSWORD@ before its host")
        }
        Failure::Refused(_) => {
            format!(
                "let the proxy connect to {registry}, or put {registry} into NO_PROXY if it can be reached without"
            )
        }
        Failure::Untrusted { reason, .. } => reason.hint("the proxy's"),
        _ => format!(
            "check the proxy's address in {variable}, or put {registry} into NO_PROXY if it can be reached without"
        ),
    }
}
