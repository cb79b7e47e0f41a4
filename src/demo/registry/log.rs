//! What was asked of the registry, for tests that count and inspect requests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Method, StatusCode};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The most requests that are remembered. A test makes some thousands; a demo that is kept running must
/// not grow without end, so the oldest go first.
const MAX_REQUESTS: usize = 65_536;

/// One request, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method of the request.
    pub method: Method,
    /// The path and the query, as they were sent.
    pub path_and_query: String,
    /// What kind of credentials came with it.
    pub authorization: Authorization,
    /// The status that was answered; `None` while it is worked on, and when it got no answer.
    pub status: Option<StatusCode>,
    /// How many requests were worked on when it came, itself included.
    pub at_once: usize,
}

/// The kind of an `Authorization` header; never its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// The request had no login.
    None,
    /// The request had a user and a password.
    Basic {
        /// The name of the user.
        user: String,
    },
    /// The request had a bearer token.
    Bearer,
    /// Anything else, a malformed header included.
    Other,
}

impl Authorization {
    fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(AUTHORIZATION) else { return Self::None };
        match basic(headers) {
            Some((user, _)) => Self::Basic { user },
            None if value.to_str().is_ok_and(|value| scheme(value, "bearer").is_some()) => Self::Bearer,
            None => Self::Other,
        }
    }
}

/// The user and password of a Basic `Authorization` header.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, Secret)> {
    let encoded = scheme(headers.get(AUTHORIZATION)?.to_str().ok()?, "basic")?;
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(encoded).ok()?);
    let colon = decoded.iter().position(|b| *b == b':')?;
    let (user, password) = decoded.split_at_checked(colon)?;
    Some((String::from_utf8(user.to_vec()).ok()?, Secret::new(password.get(1..)?)))
}

/// What follows the scheme's name, which is compared without regard to case.
pub(super) fn scheme<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then(|| rest.trim())
}

/// The requests so far.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// The number of the first entry that is still there; numbers are never used twice.
    first: u64,
    requests: VecDeque<Request>,
    /// How many requests are worked on.
    at_once: usize,
}

/// A request that is worked on, until this is dropped.
pub(super) struct Working<'a>(&'a Log);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.lock().at_once -= 1;
    }
}

impl Log {
    /// Counts a request as worked on.
    pub(super) fn working(&self) -> Working<'_> {
        self.lock().at_once += 1;
        Working(self)
    }

    /// Notes a request; the number is for [`Log::answered`].
    pub(super) fn asked(&self, method: &Method, path_and_query: &str, headers: &HeaderMap) -> u64 {
        let mut entries = self.lock();
        if entries.requests.len() >= MAX_REQUESTS {
            entries.requests.pop_front();
            entries.first += 1;
        }
        let at_once = entries.at_once;
        entries.requests.push_back(Request {
            method: method.clone(),
            path_and_query: path_and_query.to_owned(),
            authorization: Authorization::of(headers),
            status: None,
            at_once,
        });
        entries.first + (entries.requests.len() as u64).saturating_sub(1)
    }

    /// Notes how request `number` was answered.
    pub(super) fn answered(&self, number: u64, status: StatusCode) {
        let mut entries = self.lock();
        let at = number.checked_sub(entries.first).and_then(|at| usize::try_from(at).ok());
        // It may have been cleared away meanwhile.
        if let Some(request) = at.and_then(|at| entries.requests.get_mut(at)) {
            request.status = Some(status);
        }
    }

    pub(super) fn all(&self) -> Vec<Request> {
        self.lock().requests.iter().cloned().collect()
    }

    pub(super) fn clear(&self) {
        let mut entries = self.lock();
        entries.first += entries.requests.len() as u64;
        entries.requests.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(authorization))])
    }

    #[test]
    fn an_answer_to_a_request_that_was_cleared_away_goes_nowhere() {
        let log = Log::default();
        let old = log.asked(&Method::GET, "/v2/", &HeaderMap::new());
        log.clear();
        let new = log.asked(&Method::PUT, "/v2/x", &HeaderMap::new());
        log.answered(old, StatusCode::IM_A_TEAPOT);
        log.answered(new, StatusCode::CREATED);
        let all = log.all();
        assert_eq!((all.len(), all[0].status), (1, Some(StatusCode::CREATED)));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let log = Log::default();
        for n in 0..=MAX_REQUESTS {
            let number = log.asked(&Method::GET, &n.to_string(), &HeaderMap::new());
            log.answered(number, StatusCode::OK);
        }
        let all = log.all();
        assert_eq!((all.len(), all[0].path_and_query.as_str()), (MAX_REQUESTS, "1"));
        assert!(all.iter().all(|request| request.status == Some(StatusCode::OK)));
    }

    #[test]
    fn only_the_kind_of_a_credential_is_kept() {
        // "ci:hunter2"
        let basic = Authorization::of(&with("Basic Y2k6aHVudGVyMg=="));
        assert_eq!(basic, Authorization::Basic { user: "ci".to_owned() });
        assert_eq!(Authorization::of(&with("bearer abc")), Authorization::Bearer);
        assert_eq!(Authorization::of(&with("Basic %%%")), Authorization::Other);
        assert_eq!(Authorization::of(&HeaderMap::new()), Authorization::None);
    }
}
