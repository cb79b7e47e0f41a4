//! What the refusal of a login means, and what is tried then.
//!
//! A login that was sent to the registry itself and was refused, or was of no use, may be one that a token service wants: the registry is
//! asked once, by a bare request, how it wants logins. Some answer that only without a login: Harbor answers a login
//! that only its token service knows with `Basic`, ECR answers 400, and Harbor's policy about signatures answers 412 to all but tokens that may push.
//!
//! Harbor: <https://github.com/goharbor/harbor/blob/v2.13.0/src/server/middleware/util/util.go> (`SkipPolicyChecking`)

use std::sync::atomic::Ordering;

use http::StatusCode;
use tokio::time::Instant;

use super::account::{Manner, Scheme};
use super::answer::Answer;
use super::attempts::{AuthAttempts, AuthRejection};
use super::caller::Caller;
use super::challenge::Bearer;
use super::error::RegistryError;
use super::options::Access;
use super::ping::{Ping, offered_by};
use super::request::{Reply, Request};
use super::session::{Authorization, Kind, State};

/// Records that `request` was refused with `authorization`; a returned reply is final.
pub(super) async fn reconsider(
    ping: &Ping,
    request: &Request<'_>,
    caller: &Caller<'_>,
    authorization: &Authorization,
    answer: Answer,
    tried: &mut AuthAttempts,
) -> Result<Option<Reply>, RegistryError> {
    let mut state = caller.session.lock().await;
    if !state.is_current(authorization) {
        return Ok(None);
    }
    if let Kind::Token(login) = authorization.kind {
        let offered = offered_by(request, &answer);
        if !offered.bearers.is_empty() {
            caller.account.manner.lock().await.learn(&offered);
            state.named = Some(offered);
        }
        return Ok(token_refused(request, caller, &mut state, (authorization, login), answer, tried));
    }
    let mut manner = caller.account.manner.lock().await;
    refused_as(ping, request, caller, (&mut state, &mut manner), authorization.kind, answer, tried).await
}

/// Records that `request` was refused with this kind of authorization, which isn't a token.
pub(super) async fn refused_as(
    ping: &Ping,
    request: &Request<'_>,
    caller: &Caller<'_>,
    (state, manner): (&mut State, &mut Manner),
    kind: Kind,
    answer: Answer,
    tried: &mut AuthAttempts,
) -> Result<Option<Reply>, RegistryError> {
    let rejection = rejection(request, &answer);
    let unauthorized = answer.status == StatusCode::UNAUTHORIZED;
    let mut offered = offered_by(request, &answer);
    let knows_tokens = matches!(manner.scheme, Some(Scheme::Bearer(_)));
    if matches!(kind, Kind::Basic(_)) {
        if unauthorized && request.tells_of_login && !caller.session.is_proven(kind) {
            state.reject(kind, rejection.clone());
        }
        if offered.bearers.is_empty() && !knows_tokens && !manner.asked_bare {
            let bare = ping.send(request).await?;
            manner.asked_bare = true;
            offered.basic |= bare.basic;
            offered.bearers = bare.bearers;
        }
    }
    if !offered.bearers.is_empty() {
        state.named = Some(offered.clone());
        state.expire();
    }
    if !(offered.bearers.is_empty() && knows_tokens) {
        manner.learn(&offered);
    }
    if refuses(&answer) {
        tried.refuse(kind, rejection);
        return Ok(None);
    }
    if !matches!(manner.scheme, Some(Scheme::Bearer(_))) {
        return Ok(Some(caller.unproven_reply(answer, kind)));
    }
    tried.exhaust(kind);
    tried.useless = Some(caller.unproven_reply(answer, kind));
    Ok(None)
}

/// Takes in that a token was refused, or is of no use.
fn token_refused(
    request: &Request<'_>,
    caller: &Caller<'_>,
    state: &mut State,
    (authorization, login): (&Authorization, Option<usize>),
    answer: Answer,
    tried: &mut AuthAttempts,
) -> Option<Reply> {
    let kind = authorization.kind;
    if answer.status == StatusCode::PRECONDITION_FAILED {
        if caller.access == Access::Pull {
            caller.account.push_to_read.store(true, Ordering::Relaxed);
        }
        tried.exhaust(kind);
        tried.useless = Some(caller.unproven_reply(answer, kind));
        return None;
    }
    let rejection = rejection(request, &answer);
    let proven = caller.session.is_proven(kind);
    let unauthorized = match answer.status {
        // Of a token that worked it may say that it has expired, or was revoked.
        StatusCode::FORBIDDEN => proven,
        status => matches!(status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST),
    };
    // A good token may have expired, whatever the registry calls that. A new token that allows as little does no better.
    let too_narrow = offered_by(request, &answer).bearers.iter().any(Bearer::wants_more);
    let may_have_expired = unauthorized && (!too_narrow || proven);
    // Another request that was refused with the same token has already asked for a new token: all of them use it.
    let is_being_renewed = || state.pass(Instant::now()).is_none();
    if may_have_expired
        && !tried.renewed.contains(&login)
        && (is_being_renewed() || caller.session.may_renew(login, request.writes))
    {
        tried.renewed.push(login);
        state.expire();
    } else {
        tried.refuse_token(login, authorization.ask.as_ref());
    }
    tried.last = Some(rejection);
    None
}

/// Whether an answer is about who asks: it refuses the login, or another kind of login may do better.
pub(super) fn is_about_login(
    request: &Request<'_>,
    caller: &Caller<'_>,
    answer: &Answer,
    kind: Kind,
) -> bool {
    if answer.refuses_login() {
        return true;
    }
    // The login was not sent to another host.
    if !request.is_home(&answer.url) {
        return false;
    }
    match (answer.status, kind) {
        // No request here has a precondition.
        (StatusCode::PRECONDITION_FAILED, Kind::Basic(_) | Kind::Token(_)) => request.reads(),
        // ECR Public answers like this to a token that has expired.
        (StatusCode::BAD_REQUEST, Kind::Token(_)) => refuses(answer),
        (StatusCode::BAD_REQUEST, Kind::Basic(_)) => {
            refuses(answer) || (!caller.session.is_proven(kind) && answer.refusal().codes().next().is_none())
        }
        _ => false,
    }
}

/// Whether the answer refuses the login, also in the words of ECR Public, which answers 400 and `DENIED` to a login that its token
/// service wants, and to a token that has expired.
///
/// <https://github.com/aws/containers-roadmap/issues/2835>, <https://github.com/dependabot/proxy/issues/157>
fn refuses(answer: &Answer) -> bool {
    let denies = |code: &str| matches!(code, "DENIED" | "UNAUTHORIZED");
    answer.refuses_login()
        || (answer.status == StatusCode::BAD_REQUEST && answer.refusal().codes().any(denies))
}

fn rejection(request: &Request<'_>, answer: &Answer) -> AuthRejection {
    AuthRejection {
        method: request.method.clone(),
        url: answer.shown_url(),
        refusal: answer.refusal(),
        by_token_service: false,
        unspoken: offered_by(request, answer).unspoken(),
    }
}
