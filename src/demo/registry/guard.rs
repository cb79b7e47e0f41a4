//! Access control: Basic and Bearer challenges, and the tokens that answer the latter.
//!
//! Spec: <https://distribution.github.io/distribution/spec/auth/token/>

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};

use super::log::{basic, scheme};
use super::options::{Action, Auth, Denied, Options, Rights, User};
use super::reply::{ErrorCode, Reply};
use crate::secret::Secret;

/// What challenges call this registry.
const SERVICE: &str = "embedded-registry";

/// The most tokens that are good at one time; the oldest go first.
const MAX_TOKENS: usize = 4096;

/// What a request needs: a repository, and what is done to it.
pub(super) type Need<'a> = Option<(&'a str, Action)>;

/// One repository that a token is asked or good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) repository: String,
    pub(super) action: Action,
}

/// The sender of a request.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// There are no rights to check.
    Anyone,
    /// Somebody with these rights.
    Known(Rights),
    /// The bearer of a token.
    Token(Vec<Scope>),
}

impl Caller {
    pub(super) fn may(&self, repository: &str, action: Action) -> bool {
        match self {
            Self::Anyone => true,
            Self::Known(rights) => rights.allow(repository, action),
            Self::Token(scopes) => covers(scopes, repository, action),
        }
    }
}

fn covers(scopes: &[Scope], repository: &str, action: Action) -> bool {
    scopes.iter().any(|scope| scope.repository == repository && action <= scope.action)
}

/// The users, their rights and the tokens they have.
pub(super) struct Guard {
    auth: Auth,
    users: Vec<User>,
    anonymous: Rights,
    denied: Denied,
    lifetime: Duration,
    realm: String,
    tokens: Mutex<HashMap<String, Token>>,
}

struct Token {
    granted: Vec<Scope>,
    asked: Vec<Scope>,
    issued: Instant,
}

impl Guard {
    /// The guard of a registry whose token service is at `realm`.
    pub(super) fn new(options: &Options, realm: String) -> Self {
        Self {
            auth: options.auth,
            users: options.users.clone(),
            anonymous: options.anonymous.clone(),
            denied: options.denied,
            lifetime: options.token_lifetime,
            realm,
            tokens: Mutex::default(),
        }
    }

    /// Returns the sender of a request that needs `need`, or the answer that refuses it.
    pub(super) fn admit(&self, headers: &HeaderMap, need: Need<'_>) -> Result<Caller, Reply> {
        let caller = match self.auth {
            Auth::None => return Ok(Caller::Anyone),
            Auth::Basic => self.basic_caller(headers, need)?,
            Auth::Both if basic(headers).is_some() => self.basic_caller(headers, need)?,
            Auth::Bearer | Auth::Both => self.bearer_caller(headers, need)?,
        };
        match need {
            Some((repository, action)) if !caller.may(repository, action) => Err(denied()),
            _ => Ok(caller),
        }
    }

    fn basic_caller(&self, headers: &HeaderMap, need: Need<'_>) -> Result<Caller, Reply> {
        if !headers.contains_key(AUTHORIZATION) {
            let open = need.is_some_and(|(repository, action)| self.anonymous.allow(repository, action));
            return if open {
                Ok(Caller::Known(self.anonymous.clone()))
            } else {
                Err(self.unauthorized(need, None))
            };
        }
        let user = basic(headers).and_then(|(name, password)| self.user(&name, &password));
        user.map(|user| Caller::Known(user.rights.clone())).ok_or_else(|| self.unauthorized(need, None))
    }

    fn bearer_caller(&self, headers: &HeaderMap, need: Need<'_>) -> Result<Caller, Reply> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = header.and_then(|value| scheme(value, "bearer")) else {
            return Err(self.unauthorized(need, None));
        };
        let tokens = self.tokens();
        let Some(token) = tokens.get(token).filter(|token| token.issued.elapsed() < self.lifetime) else {
            return Err(self.unauthorized(need, Some("invalid_token")));
        };
        if let Some((repository, action)) = need {
            let refused = self.denied == Denied::Forbidden && covers(&token.asked, repository, action);
            if !covers(&token.granted, repository, action) && !refused {
                return Err(self.unauthorized(need, Some("insufficient_scope")));
            }
        }
        Ok(Caller::Token(token.granted.clone()))
    }

    /// 401 with a challenge for what the request needs.
    fn unauthorized(&self, need: Need<'_>, error: Option<&str>) -> Reply {
        let reply =
            Reply::error(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, "authentication required");
        self.challenge(reply, need, error)
    }

    /// `reply` with a challenge for what the request needs.
    pub(super) fn challenge(&self, reply: Reply, need: Need<'_>, error: Option<&str>) -> Reply {
        use std::fmt::Write as _;
        if matches!(self.auth, Auth::None | Auth::Basic) {
            return reply.header(WWW_AUTHENTICATE, &format!("Basic realm=\"{SERVICE}\""));
        }
        let mut value = format!("Bearer realm=\"{}\",service=\"{SERVICE}\"", self.realm);
        // Writing to a String can't fail.
        if let Some((repository, action)) = need {
            let _ = write!(value, ",scope=\"repository:{repository}:{}\"", action.scope());
        }
        if let Some(error) = error {
            let _ = write!(value, ",error=\"{error}\"");
        }
        reply.header(WWW_AUTHENTICATE, &value)
    }

    /// The user with this name and password.
    pub(super) fn user(&self, name: &str, password: &Secret) -> Option<&User> {
        self.users.iter().find(|user| user.name == name && user.password == *password)
    }

    /// The user that this refresh token stands for.
    pub(super) fn bearer_of(&self, identity_token: &Secret) -> Option<&User> {
        self.users.iter().find(|user| user.identity_token.as_ref() == Some(identity_token))
    }

    /// Whether `name` is what challenges call this registry.
    pub(super) fn is_service(name: &str) -> bool {
        name == SERVICE
    }

    /// How long tokens are good for.
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new token: for all that is asked for and that the user, or anybody, has a right to.
    pub(super) fn issue(&self, user: Option<&User>, asked: Vec<Scope>) -> Result<String, getrandom::Error> {
        let rights = user.map_or(&self.anonymous, |user| &user.rights);
        let most = |scope: &Scope| {
            let actions = [Action::Push, Action::Pull].into_iter().filter(|action| *action <= scope.action);
            let action = actions.into_iter().find(|action| rights.allow(&scope.repository, *action))?;
            Some(Scope { repository: scope.repository.clone(), action })
        };
        let granted = asked.iter().filter_map(most).collect();
        let name = random_hex()?;
        let mut tokens = self.tokens();
        if tokens.len() >= MAX_TOKENS {
            let oldest = tokens.iter().min_by_key(|(_, token)| token.issued);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                tokens.remove(&name);
            }
        }
        tokens.insert(name.clone(), Token { granted, asked, issued: Instant::now() });
        Ok(name)
    }

    /// Makes every token that was issued so far invalid.
    pub(super) fn expire_tokens(&self) {
        self.tokens().clear();
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn denied() -> Reply {
    Reply::error(StatusCode::FORBIDDEN, ErrorCode::Denied, "requested access to the resource is denied")
}

/// 32 hex digits that can't be guessed.
pub(super) fn random_hex() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn guard(auth: Auth, denied: Denied) -> Guard {
        let users = vec![User::new("ci", "pw").may_pull("team-a/**").may_push("team-a/app")];
        let anonymous = Rights::default().pull("public/**");
        Guard::new(
            &Options { auth, users, denied, anonymous, ..Options::default() },
            "http://t/token".to_owned(),
        )
    }

    fn authorization(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    fn status(guard: &Guard, headers: &HeaderMap, need: Need<'_>) -> (u16, String) {
        match guard.admit(headers, need) {
            Ok(_) => (200, String::new()),
            Err(reply) => {
                let challenge = reply.headers.get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
                (reply.status.as_u16(), challenge.unwrap_or_default().to_owned())
            }
        }
    }

    #[test]
    fn basic_knows_users_and_their_rights() {
        let guard = guard(Auth::Basic, Denied::Challenge);
        let ci = authorization("Basic Y2k6cHc="); // ci:pw
        let challenge = "Basic realm=\"embedded-registry\"".to_owned();
        assert_eq!(status(&guard, &ci, Some(("team-a/app", Action::Push))).0, 200);
        assert_eq!(status(&guard, &ci, Some(("team-b/app", Action::Pull))), (403, String::new()));
        assert_eq!(status(&guard, &ci, None).0, 200);
        assert_eq!(status(&guard, &HeaderMap::new(), Some(("public/x", Action::Pull))).0, 200);
        for headers in [HeaderMap::new(), authorization("Basic Y2k6cHg="), authorization("Bearer x")] {
            assert_eq!(
                status(&guard, &headers, Some(("team-a/app", Action::Pull))),
                (401, challenge.clone())
            );
            assert_eq!(status(&guard, &headers, None).0, 401);
        }
    }

    #[test]
    fn a_token_is_good_for_its_scopes_only() {
        for (kind, refused) in [(Denied::Challenge, 401), (Denied::Forbidden, 403)] {
            let guard = guard(Auth::Bearer, kind);
            let asked = vec![
                Scope { repository: "team-a/app".to_owned(), action: Action::Pull },
                Scope { repository: "team-a/other".to_owned(), action: Action::Push },
            ];
            let token = guard.issue(guard.users.first(), asked).unwrap();
            let headers = authorization(&format!("Bearer {token}"));
            assert_eq!(status(&guard, &headers, Some(("team-a/app", Action::Pull))).0, 200);
            // The user may push there, but the token was not asked to.
            let (code, challenge) = status(&guard, &headers, Some(("team-a/app", Action::Push)));
            assert_eq!(code, 401);
            assert_eq!(
                challenge,
                "Bearer realm=\"http://t/token\",service=\"embedded-registry\",\
                 scope=\"repository:team-a/app:pull,push\",error=\"insufficient_scope\""
            );
            // It was asked to, and the user may not.
            assert_eq!(status(&guard, &headers, Some(("team-a/other", Action::Push))).0, refused);
            assert_eq!(status(&guard, &headers, Some(("team-a/other", Action::Pull))).0, 200);
            guard.expire_tokens();
            assert!(status(&guard, &headers, None).1.ends_with("error=\"invalid_token\""));
        }
    }

    #[test]
    fn a_token_without_lifetime_is_never_good() {
        let mut guard = guard(Auth::Bearer, Denied::Challenge);
        guard.lifetime = Duration::ZERO;
        let token = guard.issue(None, Vec::new()).unwrap();
        assert_eq!(status(&guard, &authorization(&format!("Bearer {token}")), None).0, 401);
    }
}
