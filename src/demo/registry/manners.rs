//! What a product answers otherwise than the specification has it: a test says it in three functions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri};

use super::content::Content;
use super::reply::Reply;

/// A request, as a test sees it that imitates a product.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The HTTP method of the request.
    pub method: &'a Method,
    /// The path and the query, as they were sent.
    pub path_and_query: &'a str,
    /// The headers, with the login.
    pub headers: &'a HeaderMap,
    /// The body; empty if it could not be read.
    pub body: &'a [u8],
    /// What the registry holds.
    pub content: &'a Content,
}

type Instead = Arc<dyn Fn(&Asked<'_>) -> Option<Response<Bytes>> + Send + Sync>;
type Rewrite = Arc<dyn Fn(&Asked<'_>) -> Option<String> + Send + Sync>;
type Change = Arc<dyn Fn(&Asked<'_>, &mut Response<Bytes>) + Send + Sync>;

/// The functions that change how the registry answers.
#[derive(Default)]
pub(super) struct Manners {
    rewrite: Mutex<Option<Rewrite>>,
    instead: Mutex<Option<Instead>>,
    change: Mutex<Option<Change>>,
}

impl Manners {
    pub(super) fn rewrite_requests(&self, rewrite: Rewrite) {
        *lock(&self.rewrite) = Some(rewrite);
    }

    pub(super) fn answer_instead(&self, instead: Instead) {
        *lock(&self.instead) = Some(instead);
    }

    pub(super) fn change_answers(&self, change: Change) {
        *lock(&self.change) = Some(change);
    }

    pub(super) fn clear(&self) {
        *lock(&self.rewrite) = None;
        *lock(&self.instead) = None;
        *lock(&self.change) = None;
    }

    /// The request that it is taken for, if it is rewritten.
    pub(super) fn rewritten(&self, asked: &Asked<'_>) -> Option<Uri> {
        let rewrite = lock(&self.rewrite).clone()?;
        rewrite(asked)?.parse().ok()
    }

    /// The answer that replaces the correct answer, if this request gets such an answer.
    pub(super) fn instead(&self, asked: &Asked<'_>) -> Option<Reply> {
        // Called without the lock: requests come at the same time.
        let instead = lock(&self.instead).clone()?;
        instead(asked).map(Reply::from)
    }

    /// The answer as the product gives it.
    pub(super) fn changed(&self, asked: &Asked<'_>, reply: Reply) -> Reply {
        let Some(change) = lock(&self.change).clone() else { return reply };
        let body = reply.body.clone();
        let mut response = reply.into_response(body);
        change(asked, &mut response);
        response.into()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
