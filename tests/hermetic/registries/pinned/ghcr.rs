//! What the binary does before ghcr.io.

use http::HeaderValue;
use http::header::LOCATION;
use stepseal::demo::registry::wire::route::Route;

use super::{BUNDLE, Pinned};
use crate::kit::answers::{authorization, empty, endpoint, error, storage};
use crate::registries::personalities::ghcr::{PERSONALITY, instead};

/// The look-up of referrers leads to a web page of another host, which has had enough.
fn redirect_referrers(ghcr: &Pinned) {
    ghcr.registry().faults().answer_instead(|asked| {
        if asked.path_and_query.starts_with("/-/v2/packages/") {
            return Some(error(429, "TOOMANYREQUESTS", "too many requests"));
        }
        if let Some(Route::Referrers { .. }) = endpoint(asked)
            && authorization(asked).starts_with("Bearer ")
        {
            let port = asked.headers["host"].to_str().unwrap().rsplit(':').next().unwrap();
            let to = format!("http://localhost:{port}/-/v2/packages/container/package/app");
            let mut answer = empty(303);
            answer.headers_mut().insert(LOCATION, HeaderValue::from_str(&to).unwrap());
            return Some(answer);
        }
        storage(asked).or_else(|| instead(asked))
    });
}

#[test]
fn referrers_that_lead_to_a_page_which_throttles_hide_no_signature() {
    for args in [&[][..], &[BUNDLE]] {
        let ghcr = Pinned::new(PERSONALITY);
        let image = ghcr.built("app");
        redirect_referrers(&ghcr);
        ghcr.verifies(&image, 1, &["cannot determine whether", "429 TOOMANYREQUESTS"]);
        ghcr.signs(args, 0, &["1 signed"]);
        ghcr.verifies(&image, 0, &[]);
    }
}

#[test]
fn a_wrong_token_is_a_refused_login() {
    let ghcr = Pinned::new(PERSONALITY);
    ghcr.built("app");
    ghcr.step.login(&ghcr.step.host(), "ci-bot", "ghp_expired");
    ghcr.signs(&[], 4, &["403 DENIED: denied", "check that this login is right"]);
}
