//! The token service behind a Bearer challenge.
//!
//! Spec: <https://distribution.github.io/distribution/spec/auth/token/>,
//! <https://distribution.github.io/distribution/spec/auth/oauth/>

use http::header::{AUTHORIZATION, HeaderMap};
use http::{Method, StatusCode};
use serde_json::json;

use super::guard::{Guard, Scope};
use super::log::basic;
use super::options::Action;
use super::reply::{ErrorCode, Reply};
use crate::secret::Secret;

/// Answers a request for a token: GET with the scopes in the query, or POST with a form.
pub(super) fn answer(guard: &Guard, method: &Method, headers: &HeaderMap, query: &str, body: &[u8]) -> Reply {
    match *method {
        Method::GET => by_get(guard, headers, query),
        Method::POST => by_post(guard, body),
        _ => Reply::error(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, "GET or POST"),
    }
}

fn by_get(guard: &Guard, headers: &HeaderMap, query: &str) -> Reply {
    let form = Form::read(query.as_bytes());
    let user = basic(headers).and_then(|(name, password)| guard.user(&name, &password));
    // Wrong credentials are refused; none at all get what everybody may have.
    if user.is_none() && headers.contains_key(AUTHORIZATION) {
        return refused();
    }
    if form.one("service").is_some_and(|service| !Guard::is_service(service)) {
        return Reply::error(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, "unknown service");
    }
    match guard.issue(user, form.scopes()) {
        Ok(token) => Reply::json(
            StatusCode::OK,
            &json!({ "token": token, "access_token": token, "expires_in": guard.lifetime().as_secs() }),
        ),
        Err(_) => Reply::new(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn by_post(guard: &Guard, body: &[u8]) -> Reply {
    let form = Form::read(body);
    let secret = |name: &str| form.one(name).map(|text| Secret::from(text.to_owned()));
    let user = match (form.one("grant_type"), form.one("service"), form.one("client_id")) {
        (Some(_), Some(service), Some(_)) if !Guard::is_service(service) => {
            return invalid("invalid_request");
        }
        (Some("refresh_token"), Some(_), Some(_)) => {
            secret("refresh_token").and_then(|token| guard.bearer_of(&token))
        }
        (Some("password"), Some(_), Some(_)) => form
            .one("username")
            .zip(secret("password"))
            .and_then(|(name, password)| guard.user(name, &password)),
        (Some(_), Some(_), Some(_)) => return invalid("unsupported_grant_type"),
        _ => return invalid("invalid_request"),
    };
    let Some(user) = user else { return refused() };
    match guard.issue(Some(user), form.scopes()) {
        Ok(token) => {
            let scope = form.all("scope").collect::<Vec<_>>().join(" ");
            let lifetime = guard.lifetime().as_secs();
            Reply::json(
                StatusCode::OK,
                &json!({ "access_token": token, "scope": scope, "expires_in": lifetime, "token_type": "Bearer" }),
            )
        }
        Err(_) => Reply::new(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn refused() -> Reply {
    Reply::error(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, "incorrect username or password")
}

fn invalid(error: &str) -> Reply {
    Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error }))
}

/// The fields of a form or query, decoded.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The repositories that are asked for; scopes of other kinds have no meaning here.
    fn scopes(&self) -> Vec<Scope> {
        self.all("scope").flat_map(str::split_whitespace).filter_map(scope).collect()
    }
}

/// Parses a scope `repository:NAME:ACTION[,ACTION…]`.
fn scope(text: &str) -> Option<Scope> {
    let (repository, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
    let action = actions
        .split(',')
        .filter_map(|action| match action {
            "pull" => Some(Action::Pull),
            "push" | "delete" | "*" => Some(Action::Push),
            _ => None,
        })
        .max()?;
    Some(Scope { repository: repository.to_owned(), action })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_from_all_their_places() {
        let form = Form::read(
            b"scope=repository:a/b:pull&scope=repository:c:push,pull%20registry:catalog:*+repository:d:x",
        );
        let want = [("a/b", Action::Pull), ("c", Action::Push)];
        let want = want.map(|(name, action)| Scope { repository: name.to_owned(), action });
        assert_eq!(form.scopes(), want);
    }
}
