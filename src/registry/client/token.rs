//! Token services: a login in exchange for a token that opens one repository for a while.
//!
//! A name and password are sent with a GET, a refresh token (`identitytoken`) with OAuth2's POST, and in the other way where the service
//! doesn't take that one: to the service that the
//! registry named, and nowhere that the service redirects to. Over plain HTTP a login is sent only if the registry was
//! itself named insecure, and only to its own host or to a service that was named too: a registry can name any token service.
//!
//! Spec: <https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/token.md>,
//! <https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/oauth.md>

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;
use url::Url;
use zeroize::{Zeroize as _, Zeroizing};

use super::answer::Answer;
use super::attempts::AuthRejection;
use super::bad_answer::BadAnswer;
use super::call::Call;
use super::challenge::Bearer;
use super::error::RegistryError;
use super::error_maker::ErrorMaker;
use super::failure::Failure;
use super::insecure::Insecure;
use super::redirect::{Redirect, follow};
use super::refusal::Refusal;
use super::request::Request;
use super::retry::Backoff;
use super::session::Ask;
use super::stats::Counters;
use super::{authorization, endpoint};
use crate::net;
use crate::net::retry;
use crate::registry::keychain::{Credential, Login};
use crate::secret::Secret;

/// What a token lives for when its service doesn't say.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);

/// Tokens are a few kilobytes; some services put each permission in.
const MAX_TOKEN_BODY_BYTES: u64 = 256 * 1024;

/// The longest token, in bytes. It is kept, and registries take no longer header.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// The name by which OAuth2 services know us.
const CLIENT_ID: &str = "stepseal";

/// A token, ready to be sent.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    /// How long it is used.
    pub(super) use_for: Duration,
    /// The refresh token to use from now on.
    pub(super) refresh: Option<Secret>,
}

/// Why there is no token.
pub(super) enum NoToken {
    /// The service refuses the login.
    Rejected(AuthRejection),
    /// The service can't be worked with.
    Failed(RegistryError),
}

/// What some servers and editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Asks token services.
pub(super) struct TokenService {
    pub(super) next: Arc<Redirect>,
    pub(super) backoff: Arc<Backoff>,
    pub(super) errors: Arc<ErrorMaker>,
    pub(super) insecure: Arc<Insecure>,
    pub(super) counters: Arc<Counters>,
}

impl TokenService {
    /// Asks for a token that opens the repository of `request`; without a credential, for an anonymous one.
    pub(super) async fn token(
        &self,
        request: &Request<'_>,
        ask: &Ask,
        credential: Option<&Credential>,
        renewed: Option<&Secret>,
    ) -> Result<Token, NoToken> {
        let url = self.address(request, &ask.service, credential.is_some()).map_err(NoToken::Failed)?;
        let login = credential.map(|credential| &credential.login);
        let mut asked = match login {
            Some(Login::IdentityToken(token)) => {
                Asked::by_refresh_token(url.clone(), ask, renewed.unwrap_or(token))
            }
            _ => Asked::by_login(url.clone(), ask, credential.and_then(authorization::basic)),
        };
        self.counters.tokens.fetch_add(1, Ordering::Relaxed);
        let mut answer = self.ask(request, &asked).await.map_err(NoToken::Failed)?;
        if let Some(other) = login.and_then(|login| asked.otherwise(answer.status, url, ask, login)) {
            asked = other;
            answer = self.ask(request, &asked).await.map_err(NoToken::Failed)?;
        }
        let failed = |failure| {
            NoToken::Failed(self.errors.fail_at_token_service(request, &asked.method, &answer.url, failure))
        };
        if answer.refuses_login() && !endpoint::same_origin(&asked.url, &answer.url) {
            let service = format!("the token service {}", net::host(&asked.url));
            return Err(failed(answer.other_host(&asked.url, service)));
        }
        if let Some(location) = answer.headers.get(LOCATION).filter(|_| answer.status.is_redirection()) {
            let to = follow(location, &answer.url);
            let to = to.map_err(|bad| failed(Failure::BadAnswer(bad)))?;
            return Err(failed(Failure::TokenServiceRedirect { to: endpoint::redacted(&to) }));
        }
        if !answer.status.is_success() {
            let refusal = answer.refusal();
            if !answer.status.is_client_error() {
                return Err(failed(Failure::Refused(refusal)));
            }
            let (method, url) = (asked.method.clone(), answer.shown_url());
            return Err(NoToken::Rejected(AuthRejection {
                method,
                url,
                refusal,
                by_token_service: true,
                unspoken: None,
            }));
        }
        // Whatever type it comes with: some services send JSON as text, or as a page.
        let token = read(&answer.body);
        if let (None, Some(status)) = (&token, refused_inside(&answer.body)) {
            return Err(NoToken::Rejected(AuthRejection {
                method: asked.method.clone(),
                url: answer.shown_url(),
                refusal: Refusal { status, ..answer.refusal() },
                by_token_service: true,
                unspoken: None,
            }));
        }
        let token = token.ok_or_else(|| match answer.not_html() {
            Err(page) => page,
            Ok(()) => Failure::BadAnswer(BadAnswer::NotA("token")),
        });
        if let Ok(mut body) = std::mem::take(&mut answer.body).try_into_mut() {
            body.zeroize();
        }
        token.map_err(failed)
    }

    /// The address of the token service, if it may be asked, with a login or without.
    fn address(
        &self,
        request: &Request<'_>,
        service: &Bearer,
        with_login: bool,
    ) -> Result<Url, RegistryError> {
        let fail = |failure| self.errors.fail(request, &request.method, &request.url, failure);
        let Some(url) = endpoint::token_service(&service.realm, &request.home) else {
            // Without its query, and without the user that it may name.
            let end = service.realm.split('?').next().unwrap_or_default();
            let end = end.rsplit('@').next().unwrap_or_default();
            return Err(fail(Failure::BadAnswer(BadAnswer::TokenService(crate::foreign::escape(end, 200)))));
        };
        let insecure = self.insecure.names(request.repository);
        let may = match with_login {
            true => self.insecure.may_get_login_in_clear(request.repository, &request.home, &url),
            false => insecure,
        };
        if url.scheme() == "https" || may {
            return Ok(url);
        }
        let host = insecure.then(|| net::host(&url).to_owned());
        Err(fail(Failure::InsecureTokenService { realm: endpoint::redacted(&url), host }))
    }

    /// Sends the question, and again while that can help.
    async fn ask(&self, request: &Request<'_>, asked: &Asked) -> Result<Answer, RegistryError> {
        let call = Call {
            method: &asked.method,
            url: &asked.url,
            authorization: asked.authorization.as_ref(),
            accept: None,
            content_type: asked.body.is_some().then_some(&FORM),
            body: asked.body.as_ref(),
            send_by: None,
            limit_bytes: MAX_TOKEN_BODY_BYTES,
            urgent: false,
            leaves_origin: asked.authorization.is_none(),
            registry: None,
        };
        self.backoff
            .run(|| async {
                let fail = |url: &Url, failure| {
                    self.errors.fail_at_token_service(request, &asked.method, url, failure)
                };
                let answer = self.next.send(&call).await;
                let answer =
                    answer.map_err(|error| error.into_error(|fault| fail(&fault.url, fault.failure)))?;
                if retry::status_is_transient(answer.status) {
                    return Err(fail(&answer.url, Failure::Refused(answer.refusal())));
                }
                Ok(answer)
            })
            .await
    }
}

static FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// The question for a token.
struct Asked {
    method: Method,
    url: Url,
    authorization: Option<HeaderValue>,
    body: Option<Bytes>,
}

impl Asked {
    fn by_login(mut url: Url, ask: &Ask, authorization: Option<HeaderValue>) -> Self {
        let mut query = url.query().filter(|query| !query.is_empty()).map(str::to_owned).unwrap_or_default();
        if let Some(service) = &ask.service.service {
            append(&mut query, "service", service);
        }
        // One each: not every service takes several in one.
        for scope in ask.scope.split_ascii_whitespace() {
            append(&mut query, "scope", scope.as_bytes());
        }
        url.set_query(Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
        Self { method: Method::GET, url, authorization, body: None }
    }

    fn by_refresh_token(url: Url, ask: &Ask, token: &Secret) -> Self {
        Self::by_form(url, ask, "refresh_token", &[("refresh_token", token.expose())])
    }

    fn by_password(url: Url, ask: &Ask, user: &str, password: &Secret) -> Self {
        Self::by_form(url, ask, "password", &[("username", user.as_bytes()), ("password", password.expose())])
    }

    fn by_form(url: Url, ask: &Ask, grant_type: &str, login: &[(&str, &[u8])]) -> Self {
        let mut form = Zeroizing::new(String::new());
        let mut pair = |name: &str, value: &[u8]| append(&mut form, name, value);
        pair("grant_type", grant_type.as_bytes());
        pair("client_id", CLIENT_ID.as_bytes());
        if let Some(service) = &ask.service.service {
            pair("service", service);
        }
        pair("scope", ask.scope.as_bytes());
        login.iter().for_each(|(name, value)| pair(name, value));
        Self { method: Method::POST, url, authorization: None, body: Some(Bytes::from_owner(form)) }
    }

    /// The other kind of request, if the service refuses this kind: a GET by 405, a POST by 405 or 404.
    ///
    /// <https://github.com/containerd/containerd/blob/v2.1.0/core/remotes/docker/authorizer.go> (`fetchTokenWithOAuth`)
    fn otherwise(&self, status: StatusCode, url: Url, ask: &Ask, login: &Login) -> Option<Self> {
        let is_post = self.method == Method::POST;
        match (status, login) {
            (StatusCode::METHOD_NOT_ALLOWED, Login::Basic { user, password }) if !is_post => {
                Some(Self::by_password(url, ask, user, password))
            }
            (StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND, Login::IdentityToken(token))
                if is_post =>
            {
                Some(Self::by_login(url, ask, authorization::of("", token)))
            }
            _ => None,
        }
    }
}

/// Adds a pair to a query or a form. As bytes: the service's name has to come back as the registry wrote it.
fn append(pairs: &mut String, name: &str, value: &[u8]) {
    if !pairs.is_empty() {
        pairs.push('&');
    }
    pairs.push_str(name);
    pairs.push('=');
    pairs.extend(url::form_urlencoded::byte_serialize(value));
}

/// The status by which a success says in its body that the login is refused, as Artifactory's `{"statusCode":401,"details":"BAD_CREDENTIAL"}`.
///
/// <https://github.com/concourse/registry-image-resource/issues/47>
fn refused_inside(body: &[u8]) -> Option<StatusCode> {
    let answer: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
    let number = |name: &str| match answer.get(name)? {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let statuses = ["statusCode", "status", "code"].into_iter().filter_map(number);
    let mut statuses = statuses.filter_map(|status| StatusCode::from_u16(status).ok());
    let named = statuses.find(|status| matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN));
    named.or_else(|| match answer.get("errors")?.get(0)?.get("code")?.as_str()? {
        "UNAUTHORIZED" => Some(StatusCode::UNAUTHORIZED),
        "DENIED" => Some(StatusCode::FORBIDDEN),
        _ => None,
    })
}

fn read(body: &[u8]) -> Option<Token> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let mut answer: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
    // What isn't text is none.
    let mut text = |name: &str| match answer.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (token, access_token, refresh_token) = (text("token"), text("access_token"), text("refresh_token"));
    let expires_in = answer.remove("expires_in").unwrap_or_default();
    let token = Zeroizing::new(token.or(access_token)?);
    // Made with `echo`, or read from a file with a mark.
    let token = Some(token.trim_matches(['\r', '\n', '\u{feff}'])).filter(|token| !token.is_empty())?;
    let refresh = refresh_token.map(Secret::from);
    let refresh_bytes = refresh.as_ref().map_or(0, |token| token.expose().len());
    if token.len().max(refresh_bytes) > MAX_TOKEN_BYTES {
        return None;
    }
    Some(Token { header: authorization::bearer(token)?, use_for: use_for(&expires_in), refresh })
}

/// Three quarters of its life: the rest is for requests under way, and for clocks that differ.
fn use_for(expires_in: &Value) -> Duration {
    let seconds = expires_in.as_u64().filter(|seconds| *seconds > 0);
    // Past a day it makes no difference, and no sum with it overflows.
    let life = seconds.map_or(DEFAULT_LIFE, |seconds| Duration::from_secs(seconds.min(86_400)));
    life * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_can_refuse_the_login_in_its_body() {
        let refused = |body: &str| refused_inside(body.as_bytes()).map(|status| status.as_u16());
        assert_eq!(refused(r#"{"statusCode":401,"details":"BAD_CREDENTIAL"}"#), Some(401));
        assert_eq!(refused(r#"{"status":"403"}"#), Some(403));
        assert_eq!(refused(r#"{"code":401,"message":"no"}"#), Some(401));
        assert_eq!(refused(r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#), Some(401));
        assert_eq!(refused(r#"{"errors":[{"code":"DENIED","message":"no"}]}"#), Some(403));
        for other in [
            "",
            "[]",
            r#"{"status":"ok"}"#,
            r#"{"statusCode":500}"#,
            r#"{"statusCode":99999999}"#,
            r#"{"code":-401}"#,
            r#"{"errors":[]}"#,
            r#"{"errors":[{"code":"UNKNOWN"}]}"#,
        ] {
            assert_eq!(refused(other), None, "{other}");
        }
    }

    #[test]
    fn tokens_by_either_name_and_their_life() {
        let read = |body: &str| {
            read(body.as_bytes()).map(|token| {
                (String::from_utf8_lossy(token.header.as_bytes()).into_owned(), token.use_for.as_secs())
            })
        };
        assert_eq!(read(r#"{"token":"a","expires_in":300}"#), Some(("Bearer a".into(), 225)));
        assert_eq!(read(r#"{"access_token":"b","token":""}"#), Some(("Bearer b".into(), 45)));
        assert_eq!(read(r#"{"token":"a","expires_in":0}"#), Some(("Bearer a".into(), 45)));
        assert_eq!(read(r#"{"token":"a","expires_in":18446744073709551615}"#).unwrap().1, 64_800);
        let long = |bytes: usize| format!(r#"{{"token":"{0}","access_token":"{0}"}}"#, "a".repeat(bytes));
        assert!(read(&long(MAX_TOKEN_BYTES)).is_some());
        assert_eq!(read(&long(MAX_TOKEN_BYTES + 1)), None);
        assert_eq!(
            read(&format!(r#"{{"token":"a","refresh_token":"{}"}}"#, "a".repeat(MAX_TOKEN_BYTES + 1))),
            None
        );
        for good in [
            r#"{"token":"a","refresh_token":5}"#,
            r#"{"token":"a","refresh_token":false}"#,
            r#"{"token":"a","refresh_token":{"a":1},"expires_in":"x"}"#,
            "\u{feff}{\"token\":\"a\"}",
            r#"{"token":"a\n"}"#,
            r#"{"token":"b","token":"a"}"#,
            r#"{"token":1,"access_token":"a"}"#,
            r#"{"token":"\ufeffa\r\n","refresh_token":null}"#,
        ] {
            assert_eq!(read(good), Some(("Bearer a".into(), 45)), "{good}");
        }
        for none in
            ["", "{}", r#"{"token":""}"#, r#"{"token":"\n"}"#, r#"{"token":"a\nb"}"#, "[]", r#"{"token":1}"#]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
