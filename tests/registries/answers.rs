//! What several personalities answer alike: errors, token services with other names, tags that may not be replaced, storage elsewhere.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stepseal::demo::registry::Asked;
use stepseal::demo::registry::wire::route::{Reference, Route, route};

/// What the embedded registry calls itself in challenges.
const OWN_SERVICE: &str = "embedded-registry";

/// Where blobs are stored that a registry redirects to.
const STORAGE: &str = "/storage/";

/// An answer with a JSON body.
pub(crate) fn answer(status: u16, body: &Value) -> Response<Bytes> {
    let text = body.to_string();
    Response::builder().status(status).header("content-type", "application/json").body(text.into()).unwrap()
}

/// An answer without a body.
pub(crate) fn empty(status: u16) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::new()).unwrap()
}

/// One error, in the specification's form.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response<Bytes> {
    answer(status, &json!({ "errors": [{ "code": code, "message": message }] }))
}

/// One error, with the thing that it is about.
pub(crate) fn error_about(status: u16, code: &str, message: &str, detail: &Value) -> Response<Bytes> {
    answer(status, &json!({ "errors": [{ "code": code, "message": message, "detail": detail }] }))
}

/// The `Authorization` header of a request; empty without one.
pub(crate) fn authorization<'a>(asked: &Asked<'a>) -> &'a str {
    asked.headers.get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap())
}

/// The endpoint that a request is for.
pub(crate) fn endpoint(asked: &Asked<'_>) -> Option<Route> {
    route(asked.path_and_query.split('?').next().unwrap()).ok()
}

/// Whether a request reads.
pub(crate) fn reads(asked: &Asked<'_>) -> bool {
    matches!(*asked.method, Method::GET | Method::HEAD)
}

/// The repository and the tag or digest of a manifest that a request reads.
pub(crate) fn manifest_read(asked: &Asked<'_>) -> Option<(String, String)> {
    match endpoint(asked)? {
        Route::Manifest { repository, reference } if reads(asked) => {
            Some((repository, reference.to_string()))
        }
        _ => None,
    }
}

/// The repository and the tag that a request writes.
pub(crate) fn tag_write(asked: &Asked<'_>) -> Option<(String, String)> {
    match endpoint(asked)? {
        Route::Manifest { repository, reference: Reference::Tag(tag) } if *asked.method == Method::PUT => {
            Some((repository, tag))
        }
        _ => None,
    }
}

/// The same, if something is under the tag.
pub(crate) fn tag_overwrite(asked: &Asked<'_>) -> Option<(String, String)> {
    tag_write(asked).filter(|(repository, tag)| asked.content.manifest(repository, tag).is_some())
}

/// The repository and the subject's digest of a manifest that a request writes.
pub(crate) fn subject_written(asked: &Asked<'_>) -> Option<(String, String)> {
    let Route::Manifest { repository, .. } = endpoint(asked)? else { return None };
    let manifest: Value = serde_json::from_slice(asked.body).ok()?;
    let subject = manifest.pointer("/subject/digest")?.as_str()?.to_owned();
    (*asked.method == Method::PUT).then_some((repository, subject))
}

/// The same, if the repository doesn't hold the subject.
pub(crate) fn absent_subject(asked: &Asked<'_>) -> Option<String> {
    let (repository, subject) = subject_written(asked)?;
    asked.content.manifest(&repository, &subject).is_none().then_some(subject)
}

/// The repositories in the scopes of a request for a token.
pub(crate) fn repositories_asked(asked: &Asked<'_>) -> Vec<String> {
    let query = asked.path_and_query.split_once('?').map_or("", |(_, query)| query);
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let scopes = pairs.filter(|(name, _)| name == "scope").map(|(_, scope)| scope);
    let repository = |scope: String| Some(scope.strip_prefix("repository:")?.rsplit_once(':')?.0.to_owned());
    scopes.filter_map(repository).collect()
}

/// The value of `WWW-Authenticate`; empty without one.
pub(crate) fn challenge(answer: &Response<Bytes>) -> &str {
    answer.headers().get(WWW_AUTHENTICATE).map_or("", |value| value.to_str().unwrap())
}

/// Replaces the challenge of an answer.
pub(crate) fn set_challenge(answer: &mut Response<Bytes>, text: &str) {
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_str(text).unwrap());
}

/// How a product names its token service, and what that answers.
pub(crate) struct TokenService {
    pub(crate) path: &'static str,
    /// What challenges call the registry; empty: they call it nothing, and name no scope either.
    pub(crate) service: &'static str,
    /// The fields of an answer with a token.
    pub(crate) fields: &'static [&'static str],
}

impl TokenService {
    /// Whether a request is for it.
    pub(crate) fn is_asked(&self, asked: &Asked<'_>) -> bool {
        asked.path_and_query.split('?').next() == Some(self.path)
    }

    /// The request as the embedded registry knows it.
    pub(crate) fn rewrite(&self, asked: &Asked<'_>) -> Option<String> {
        let query = asked.path_and_query.strip_prefix(self.path).filter(|_| self.is_asked(asked))?;
        let ours = format!("service={OWN_SERVICE}");
        let query = if self.service.is_empty() {
            query.to_owned()
        } else {
            query.replace(&format!("service={}", self.service), &ours)
        };
        Some(format!("/token{query}"))
    }

    /// Names it in a challenge as the product does, and leaves out of a token's answer what the product leaves out.
    pub(crate) fn change(&self, asked: &Asked<'_>, answer: &mut Response<Bytes>) {
        if challenge(answer).starts_with("Bearer ") {
            let named = challenge(answer).replace("/token\"", &format!("{}\"", self.path));
            let named = match self.service {
                "" => named.split(',').next().unwrap().to_owned(),
                service => named.replace(OWN_SERVICE, service),
            };
            set_challenge(answer, &named);
        }
        if self.is_asked(asked) && answer.status() == StatusCode::OK {
            let mut body: serde_json::Map<String, Value> = serde_json::from_slice(answer.body()).unwrap();
            body.retain(|field, _| self.fields.contains(&field.as_str()));
            *answer.body_mut() = Value::Object(body).to_string().into();
        }
    }
}

/// Sends the readers of blobs to storage under another name, which wants no login.
pub(crate) fn redirect_to_storage(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    if let Some(Route::Blob { repository, digest }) = endpoint(asked)
        && *asked.method == Method::GET
        && answer.status() == StatusCode::OK
    {
        let host = asked.headers.get(HOST).map_or("", |host| host.to_str().unwrap());
        let port = host.rsplit(':').next().unwrap();
        let to = format!("http://localhost:{port}{STORAGE}{repository}@{digest}");
        *answer = empty(307);
        answer.headers_mut().insert(LOCATION, HeaderValue::from_str(&to).unwrap());
    }
}

/// What that storage answers. A login that is sent there is refused, as S3 refuses it beside its own.
pub(crate) fn storage(asked: &Asked<'_>) -> Option<Response<Bytes>> {
    let (repository, digest) = asked.path_and_query.strip_prefix(STORAGE)?.split_once('@')?;
    if !authorization(asked).is_empty() {
        return Some(empty(400));
    }
    let blob = asked.content.blob(repository, &digest.parse().ok()?);
    Some(blob.map_or_else(|| empty(404), Response::new))
}
