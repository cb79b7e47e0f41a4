//! What personalities have in common: answers in the specification's form, what a request asks for, and tests with the binary.

use bytes::Bytes;
use http::{Method, Response};
use serde_json::{Value, json};
use stepseal::demo::registry::Asked;

use crate::personality::{Personality, Rules};
use crate::step::{Ended, Step};

/// What makes `sign` write bundles.
pub(crate) const BUNDLE: &str = "--config=storage.oci.encoding-format=sigstore-bundle";

/// An answer with a JSON body.
pub(crate) fn answer(status: u16, body: &Value) -> Response<Bytes> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(body.to_string().into()).unwrap()
}

/// One error in the specification's form; a `detail` of null is left out.
pub(crate) fn error(status: u16, code: &str, message: &str, detail: &Value) -> Response<Bytes> {
    let mut error = json!({ "code": code, "message": message });
    if !detail.is_null() {
        error["detail"] = detail.clone();
    }
    answer(status, &json!({ "errors": [error] }))
}

/// The `Authorization` header; empty without one.
pub(crate) fn authorization<'a>(asked: &Asked<'a>) -> &'a str {
    asked.headers.get("authorization").map_or("", |value| value.to_str().unwrap())
}

/// The repository that a request names.
pub(crate) fn repository<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    let path = asked.path_and_query.split('?').next()?.strip_prefix("/v2/")?;
    let kinds = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
    kinds.iter().find_map(|kind| path.rsplit_once(kind)).map(|(name, _)| name.trim_end_matches("/blobs"))
}

/// The tag or digest of the manifest that a request names.
pub(crate) fn reference<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    asked.path_and_query.rsplit_once("/manifests/").map(|(_, reference)| reference)
}

/// The repository and tag of a manifest that is pushed where the tag has one already.
pub(crate) fn overwrites<'a>(asked: &Asked<'a>) -> Option<(&'a str, &'a str)> {
    let (repository, tag) = (repository(asked)?, reference(asked)?);
    let is_put = *asked.method == Method::PUT && !tag.contains(':') && !authorization(asked).is_empty();
    (is_put && asked.content.manifest(repository, tag).is_some()).then_some((repository, tag))
}

/// Whether the answer says that the repository is not there, or that nothing of that name is.
pub(crate) fn is_missing(answer: &Response<Bytes>, code: &str) -> bool {
    answer.status() == 404
        && serde_json::from_slice(answer.body())
            .is_ok_and(|body: Value| body["errors"][0]["code"].as_str() == Some(code))
}

/// Turns the answer with a blob into a redirect with this status to a storage, whose address comes before the digest.
pub(crate) fn redirect_blobs(asked: &Asked<'_>, answer: &mut Response<Bytes>, (status, to): (u16, &str)) {
    let blob = asked.path_and_query.strip_prefix("/v2/").and_then(|path| path.rsplit_once("/blobs/"));
    if let Some((_, digest)) = blob.filter(|_| *asked.method == Method::GET && answer.status() == 200) {
        let location = format!("{to}{digest}?signature=0");
        *answer = Response::builder().status(status).header("location", location).body(Bytes::new()).unwrap();
    }
}

/// What a storage answers whose objects lie below `below`.
pub(crate) fn stored(asked: &Asked<'_>, below: &str) -> Option<Response<Bytes>> {
    let object = asked.path_and_query.strip_prefix(below)?;
    let digest = object.split('?').next()?.parse().unwrap();
    let names = asked.content.repositories();
    let found = names.iter().find_map(|name| asked.content.blob(name, &digest));
    let status = if found.is_some() { 200 } else { 403 };
    Some(Response::builder().status(status).body(found.unwrap_or_default()).unwrap())
}

/// The same in the words of S3 where a login comes beside the signature in the URL.
pub(crate) fn stored_elsewhere(asked: &Asked<'_>, below: &str) -> Option<Response<Bytes>> {
    if asked.path_and_query.starts_with(below) && !authorization(asked).is_empty() {
        let text = "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed; only the X-Amz-Algorithm query \
                    parameter, Signature query string parameter or the Authorization header should be specified</Message></Error>";
        return Some(Response::builder().status(400).body(text.into()).unwrap());
    }
    stored(asked, below)
}

/// Changes the address of the token service in a challenge.
pub(crate) fn name_token_service(answer: &mut Response<Bytes>, path: &str) {
    if let Some(challenge) = answer.headers().get("www-authenticate") {
        let challenge = challenge.to_str().unwrap().replacen("/token\"", &format!("{path}\""), 1);
        answer.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
    }
}

/// A signing step before a registry that answers like `personality`.
pub(crate) fn step(personality: &Personality, rules: Rules) -> Step {
    let step = Step::with((personality.options)());
    (personality.install)(&step.registry, rules);
    step
}

/// Runs `sign`, which must end with `code` and say each of `wanted`.
#[track_caller]
pub(crate) fn signs(step: &Step, args: &[&str], code: i32, wanted: &[&str]) -> Ended {
    let ended = step.run(&[&["sign", "--timeout=20s"], args].concat());
    assert_eq!(ended.code, code, "{}", ended.stderr);
    for want in wanted {
        assert!(ended.stderr.contains(want), "{want:?} is missing:\n{}", ended.stderr);
    }
    ended
}

/// Signs by tag, then once more with an annotation: another signature for the same tag, which is immutable. `said` is what the registry
/// answers to that, and the exit code is `code`.
#[track_caller]
pub(crate) fn second_signature_is_refused(personality: &Personality, code: i32, said: &str) -> Step {
    let step = step(personality, Rules { immutable_tags: true });
    let repository = (personality.repository)("app");
    let digest = step.built(&repository);
    signs(&step, &[], 0, &["1 signed"]);
    // What is there already is not written again.
    signs(&step, &[], 0, &["already"]);
    let advice = format!("the tag sha256-{}.sig is immutable", digest.hex());
    signs(&step, &["--annotation=a=b"], code, &[said, &advice, "storage.oci.repository"]);
    assert_eq!(step.payloads(&repository, &digest).len(), 1);
    step
}
