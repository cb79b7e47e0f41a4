//! What personalities share: what a request asks for, and how products answer: errors, token services with other names, storage elsewhere.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stepseal::demo::registry::Asked;
use stepseal::demo::registry::wire::route::{Route, route};

/// What the embedded registry calls itself in challenges.
pub(crate) const OWN_SERVICE: &str = "embedded-registry";

/// Where blobs are stored that a registry redirects to.
pub(crate) const STORAGE: &str = "/storage/";

/// An answer with a JSON body.
pub(crate) fn answer(status: u16, body: &Value) -> Response<Bytes> {
    let text = body.to_string();
    Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(text.into()).unwrap()
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

/// The code of an error; empty without one.
pub(crate) fn code(answer: &Response<Bytes>) -> String {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

/// Whether an answer says that there is no such manifest.
pub(crate) fn lacks_manifest(answer: &Response<Bytes>) -> bool {
    answer.status() == StatusCode::NOT_FOUND && code(answer) == "MANIFEST_UNKNOWN"
}

/// Sets a header of an answer.
pub(crate) fn set_header(answer: &mut Response<Bytes>, name: HeaderName, value: &str) {
    answer.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
}

/// Gives what is missing the code of a manifest or a blob, for products that don't tell whether the repository is there.
pub(crate) fn without_name_unknown(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    if answer.status() != StatusCode::NOT_FOUND || code(answer) != "NAME_UNKNOWN" {
        return;
    }
    if manifest(asked).is_some() {
        *answer = error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    } else if is_of_blob(asked) {
        *answer = error(404, "BLOB_UNKNOWN", "blob unknown to registry");
    }
}

/// The `Authorization` header of a request; empty without one.
pub(crate) fn authorization<'a>(asked: &Asked<'a>) -> &'a str {
    asked.headers.get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap())
}

/// The endpoint that a request is for.
pub(crate) fn endpoint(asked: &Asked<'_>) -> Option<Route> {
    route(asked.path_and_query.split('?').next().unwrap()).ok()
}

/// The repository that a request is for.
pub(crate) fn repository(asked: &Asked<'_>) -> Option<String> {
    endpoint(asked)?.repository().map(str::to_owned)
}

/// Whether the repository that a request is for holds something.
pub(crate) fn repository_exists(asked: &Asked<'_>) -> bool {
    repository(asked).is_some_and(|repository| asked.content.repositories().contains(&repository))
}

/// Whether a request is for a blob, a malformed digest included; uploads are not.
pub(crate) fn is_of_blob(asked: &Asked<'_>) -> bool {
    asked.path_and_query.contains("/blobs/") && !asked.path_and_query.contains("/blobs/uploads/")
}

/// Whether a request reads.
pub(crate) fn reads(asked: &Asked<'_>) -> bool {
    matches!(*asked.method, Method::GET | Method::HEAD)
}

/// The repository and the tag or digest of the manifest that a request is for.
pub(crate) fn manifest(asked: &Asked<'_>) -> Option<(String, String)> {
    match endpoint(asked)? {
        Route::Manifest { repository, reference } => Some((repository, reference.to_string())),
        _ => None,
    }
}

/// The same of a request that reads the manifest.
pub(crate) fn manifest_read(asked: &Asked<'_>) -> Option<(String, String)> {
    manifest(asked).filter(|_| reads(asked))
}

/// The same of a request that writes the manifest.
pub(crate) fn manifest_write(asked: &Asked<'_>) -> Option<(String, String)> {
    manifest(asked).filter(|_| *asked.method == Method::PUT)
}

/// The repository and the tag that a request writes.
pub(crate) fn tag_write(asked: &Asked<'_>) -> Option<(String, String)> {
    manifest_write(asked).filter(|(_, reference)| !reference.contains(':'))
}

/// The same, if something is under the tag and the request has a login: without one, it is asked for a login first.
pub(crate) fn tag_overwrite(asked: &Asked<'_>) -> Option<(String, String)> {
    let exists = |(repository, tag): &(String, String)| asked.content.manifest(repository, tag).is_some();
    tag_write(asked).filter(exists).filter(|_| !authorization(asked).is_empty())
}

/// The repository and the subject's digest of a manifest that a request writes.
pub(crate) fn subject_written(asked: &Asked<'_>) -> Option<(String, String)> {
    let (repository, _) = manifest_write(asked)?;
    let manifest: Value = serde_json::from_slice(asked.body).ok()?;
    Some((repository, manifest.pointer("/subject/digest")?.as_str()?.to_owned()))
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
    set_header(answer, WWW_AUTHENTICATE, text);
}

/// Names the path of a token service in a challenge.
pub(crate) fn name_token_service(answer: &mut Response<Bytes>, path: &str) {
    if challenge(answer).starts_with("Bearer ") {
        let named = challenge(answer).replacen("/token\"", &format!("{path}\""), 1);
        set_challenge(answer, &named);
    }
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
            name_token_service(answer, self.path);
            let named = match self.service {
                "" => challenge(answer).split(',').next().unwrap().to_owned(),
                service => challenge(answer).replace(OWN_SERVICE, service),
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

/// Redirects the reader of a blob to an address that begins with `to`.
pub(crate) fn redirect_blob(asked: &Asked<'_>, answer: &mut Response<Bytes>, (status, to): (u16, &str)) {
    if let Some(Route::Blob { repository, digest }) = endpoint(asked)
        && *asked.method == Method::GET
        && answer.status() == StatusCode::OK
    {
        *answer = empty(status);
        set_header(answer, LOCATION, &format!("{to}{repository}@{digest}?signature=0"));
    }
}

/// What is stored at such an address, whose path begins with `below`.
pub(crate) fn stored(asked: &Asked<'_>, below: &str) -> Option<Response<Bytes>> {
    let object = asked.path_and_query.strip_prefix(below)?.split('?').next()?;
    let (repository, digest) = object.split_once('@')?;
    let blob = asked.content.blob(repository, &digest.parse().ok()?);
    Some(blob.map_or_else(|| empty(404), Response::new))
}

/// Sends the readers of blobs to a storage under another name, which wants no login.
pub(crate) fn redirect_to_storage(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    let host = asked.headers.get(HOST).map_or("", |host| host.to_str().unwrap());
    let port = host.rsplit(':').next().unwrap();
    redirect_blob(asked, answer, (307, &format!("http://localhost:{port}{STORAGE}")));
}

/// What that storage answers. A login that is sent there is refused, as S3 refuses it beside the signature of its own addresses.
pub(crate) fn storage(asked: &Asked<'_>) -> Option<Response<Bytes>> {
    let object = stored(asked, STORAGE)?;
    Some(if authorization(asked).is_empty() { object } else { empty(400) })
}
