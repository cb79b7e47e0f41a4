//! What to do about a failed request, for a reader who knows their pipeline and not our source.

use http::StatusCode;

use super::bad_answer::BadAnswer;
use super::distrust::Distrust;
use super::error::RequestError;
use super::failure::Failure;
use super::refusal::{Refusal, Said};
use super::{peer, refused};

/// Where a registry has its external address from.
const EXTERNAL: &str = "its own setting, or the headers Host, X-Forwarded-Host and X-Forwarded-Proto that the proxy in front of it sends";

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
        failure if is_sent_astray(request, failure) => astray(request),
        Failure::Deadline if let Some(proxy) = &request.through => {
            of_proxy(proxy.variable, &request.failure, registry)
        }
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
        // This request says nothing about the registry: earlier work took the time.
        Failure::Deadline => {
            "allow more time with --timeout: what came before this request took it, earlier answers of the registry or the signatures that were \
             verified; it is safe to run again"
                .to_owned()
        }
        Failure::Outdated => "run again".to_owned(),
        Failure::TimedOut { .. } => {
            "check that the registry is reachable and quick, or allow more time with --timeout; \
             it is safe to run again"
                .to_owned()
        }
        Failure::Untrusted { reason: Distrust::Issuer, .. } => {
            "give the certificate of the CA that issued it with --registry-ca FILE (one with CA:TRUE), or its own certificate".to_owned()
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
             of a folder for --registry-certs-dir, or name them with --registry-client-cert and --registry-client-key"
        ),
        Failure::Tls(_) => "check what serves TLS in front of the registry".to_owned(),
        Failure::NotHttps if let Some(proxy) = &request.through => format!(
            "if the proxy of {} answers in the registry's place, put {registry} into NO_PROXY, or let the proxy lead on; if the registry \
             has plain HTTP only, and the network to it is trusted: --insecure-registry {registry}",
            proxy.variable
        ),
        Failure::NotHttps => format!(
            "if the registry has plain HTTP only, and the network to it is trusted: --insecure-registry {registry}"
        ),
        Failure::NotHttp => format!("if the registry has HTTPS, drop --insecure-registry {registry}"),
        Failure::Malformed { .. } => {
            format!("check what answers for {registry}: the registry, or a proxy in front of it, breaks the rules of HTTP")
        }
        Failure::ProxyLogin { .. } => format!("check the proxy between this pod and {registry}"),
        Failure::Refused(refusal) => return of_refusal(request, refusal),
        Failure::OtherHost { upgraded: true, .. } => {
            format!("the registry redirects to HTTPS: drop --insecure-registry {registry}")
        }
        Failure::OtherHost { host, .. } if request.writes => format!(
            "let {host} take uploads without a login, or, if it is the registry itself, correct the registry's external address ({EXTERNAL}); \
             if {host} is the registry to use, name the images by it"
        ),
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
        Failure::BadAnswer(BadAnswer::WriteRedirect { to, .. })
            if request.url.starts_with("http://") && to.starts_with("https://") =>
        {
            format!("if {registry} is spoken to over HTTPS, drop --insecure-registry {registry}: it leads there")
        }
        Failure::BadAnswer(BadAnswer::WriteRedirect { .. }) => {
            "what is written follows only a 307 or 308 to the same scheme, host and port: name the images by the address that \
             takes them, or let the registry answer without a redirect"
                .to_owned()
        }
        Failure::BadAnswer(BadAnswer::Encoded(_)) => {
            "let the registry, and each proxy in front of it, send manifests and blobs as they are, without compression".to_owned()
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

/// Whether the registry sent an upload to another place, which can't take it.
fn is_sent_astray(request: &RequestError, failure: &Failure) -> bool {
    let is_strange = match failure {
        Failure::Refused(refusal) => {
            let statuses = [
                StatusCode::BAD_REQUEST,
                StatusCode::NOT_FOUND,
                StatusCode::METHOD_NOT_ALLOWED,
                StatusCode::MISDIRECTED_REQUEST,
                StatusCode::NOT_IMPLEMENTED,
            ];
            matches!(refusal.said, Said::Html { .. }) || statuses.contains(&refusal.status)
        }
        failure => failure.is_bad_answer() || failure.is_of_connection(),
    };
    request.writes && request.without_login.is_some() && is_strange
}

/// What to do about that.
fn astray(request: &RequestError) -> String {
    let registry = request.repository.registry();
    let place = request.url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!(
        "{registry} itself sends the upload to {place}: correct the registry's external address ({EXTERNAL}), or let this pod reach {place}"
    )
}

/// What to do about a refusal that may be the answer of a proxy.
fn of_refusal(request: &RequestError, refusal: &Refusal) -> Option<String> {
    let action = refused::action(request, refusal);
    let Some(proxy) = request.through.as_ref().filter(|_| !matches!(refusal.said, Said::Errors(_))) else {
        return action;
    };
    let registry = request.repository.registry();
    let own = format!(
        "if this is the answer of the proxy of {}, let it ask {registry}, or put {registry} into NO_PROXY if it can be reached without",
        proxy.variable
    );
    Some(action.map_or_else(|| own.clone(), |action| format!("{own}; else {action}")))
}

fn of_proxy(variable: &str, failure: &Failure, registry: &str) -> String {
    match failure {
        Failure::ProxyLogin { schemes, .. }
            if !schemes.is_empty() && !schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) =>
        {
            format!(
                "only Basic logins are supported: let the proxy offer them, or let requests to {registry} pass without a login, or put \
                 {registry} into NO_PROXY if it can be reached without"
            )
        }
        Failure::ProxyLogin { sent: true, .. } => format!(
            "the proxy refused this login: correct the user and the password in {variable}, with special characters percent-encoded (@ is \
             %40, / is %2F)"
        ),
        Failure::ProxyLogin { sent: false, .. } => format!(
            "give the proxy's user and password in {variable}: USER:PASSWORD@ before the proxy's host, with special characters \
             percent-encoded (@ is %40, / is %2F)"
        ),
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
