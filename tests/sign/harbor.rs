//! Harbor with the policy that images must be signed, imitated by the embedded registry.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use serde_json::Value;
use stepseal::demo::registry::{Asked, EmbeddedRegistry};

const POLICY: &[u8] =
    br#"{"errors":[{"code":"PROJECTPOLICYVIOLATION","message":"current image is not signed"}]}"#;

/// The `Authorization` header of a request; empty without one.
pub(crate) fn authorization<'a>(asked: &Asked<'a>) -> &'a str {
    asked.headers.get("authorization").map_or("", |value| value.to_str().unwrap())
}

/// "Deployment security: Cosign" of Harbor: an image without signatures is for tokens that may push, of clients that name cosign.
pub(crate) fn with_policy(registry: &EmbeddedRegistry) {
    let may_push = Arc::new(Mutex::new(HashSet::new()));
    let given = Arc::clone(&may_push);
    let faults = registry.faults();
    faults.change_answers(move |asked, answer| {
        if asked.path_and_query.starts_with("/token") && asked.path_and_query.contains("push") {
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            given.lock().unwrap().insert(format!("Bearer {}", body["token"].as_str().unwrap()));
        }
    });
    faults.answer_instead(move |asked| {
        let digest = asked.path_and_query.strip_prefix("/v2/team/app/manifests/sha256:")?;
        let signed = asked.content.tags("team/app").contains(&format!("sha256-{digest}.sig"));
        let reads = matches!(asked.method.as_str(), "GET" | "HEAD") && !authorization(asked).is_empty();
        let names_cosign = asked.headers["user-agent"].to_str().unwrap().contains("cosign");
        let passes = names_cosign && may_push.lock().unwrap().contains(authorization(asked));
        (reads && !signed && !passes)
            .then(|| Response::builder().status(412).body(Bytes::from_static(POLICY)).unwrap())
    });
}
