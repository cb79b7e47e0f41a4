//! The ways in which the registry can be made to misbehave, while it runs.
//!
//! A [`Fault`] says what goes wrong, for which requests and how often. All faults that fit a request take
//! effect on it together; of two that answer it, the first one added does.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::content::Content;
use super::manners::{Asked, Manners, lock};
use super::reply::ErrorCode;

/// Something that goes wrong, for some requests.
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    method: Option<Method>,
    path: String,
    when: When,
    /// How many requests it fitted.
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    First(u64),
    Nth(u64),
    Every(u64),
}

/// The faults that the registry shows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Effect {
    /// This is answered, and nothing is done.
    Answer(Answer),
    /// The connection is reset before anything is done.
    Reset,
    /// The connection is reset after everything was done.
    AnswerLost,
    /// The connection ends in the middle of the answer's body.
    BodyCut,
    /// The answer comes this much later; everything is done before that.
    Delay(Duration),
    /// The answer's body pauses in its middle.
    Stall(Duration),
    /// The answer has no `Location`.
    NoLocation,
    /// The answer has no `Docker-Content-Digest`.
    NoDigestHeader,
    /// `Docker-Content-Digest` is that of other content.
    WrongDigestHeader,
    /// A manifest has one newline too many (so it is still JSON), a blob has another last byte.
    WrongBytes,
    /// 307 to the same path and query behind this `SCHEME://HOST[:PORT]`, for GET and HEAD.
    Redirect(String),
    /// What is written is not seen by the first reads after it.
    Stale(u32),
    /// In turn: 503, 429 with `Retry-After: 1`, reset, answer lost.
    Rotation,
}

/// An answer that replaces the correct answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: StatusCode,
    pub(super) page: Page,
    pub(super) retry_after: Option<String>,
}

/// The body of an [`Answer`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Page {
    /// An error in the specification's form.
    Json(ErrorCode, String),
    /// The page of a proxy.
    Html,
    /// JSON of about so many bytes.
    Huge(usize),
    /// Bytes that are not UTF-8, with terminal escapes in between.
    NotUtf8,
    /// The answer has no body at all.
    Empty,
}

impl Answer {
    /// This status, with the error that the specification has for it, or else an empty body. A 401 comes
    /// with the registry's challenge.
    pub fn new(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => Some(ErrorCode::Unauthorized),
            StatusCode::FORBIDDEN => Some(ErrorCode::Denied),
            StatusCode::METHOD_NOT_ALLOWED => Some(ErrorCode::Unsupported),
            StatusCode::TOO_MANY_REQUESTS => Some(ErrorCode::TooManyRequests),
            _ => None,
        };
        let page = code.map_or(Page::Empty, |code| Page::Json(code, "as the test asked for".to_owned()));
        Self { status, page, retry_after: None }
    }

    /// The same answer with this body.
    #[must_use]
    pub fn page(self, page: Page) -> Self {
        Self { page, ..self }
    }

    /// The same answer with this `Retry-After`: seconds, a date, or nonsense.
    #[must_use]
    pub fn retry_after(self, value: &str) -> Self {
        Self { retry_after: Some(value.to_owned()), ..self }
    }
}

impl Fault {
    /// `effect` on every request, until it is limited.
    pub fn new(effect: Effect) -> Self {
        Self { effect, method: None, path: String::new(), when: When::Always, seen: 0 }
    }

    /// This answer to every request, until it is limited.
    pub fn answer(answer: Answer) -> Self {
        Self::new(Effect::Answer(answer))
    }

    /// One request in `k` fails, in turn with 503, 429, a reset, and an answer that is lost.
    pub fn one_in(k: u64) -> Self {
        Self::new(Effect::Rotation).every(k)
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Only requests with `part` in their path or query.
    #[must_use]
    pub fn path(self, part: &str) -> Self {
        Self { path: part.to_owned(), ..self }
    }

    /// Only the first `n` of the requests that fit.
    #[must_use]
    pub fn first(self, n: u64) -> Self {
        Self { when: When::First(n), ..self }
    }

    /// Only the `n`th of the requests that fit, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self { when: When::Nth(n), ..self }
    }

    /// Only every `k`th of the requests that fit; with 0, none.
    #[must_use]
    pub fn every(self, k: u64) -> Self {
        Self { when: When::Every(k), ..self }
    }

    /// What happens to this request.
    fn apply(&mut self, method: &Method, path_and_query: &str) -> Option<Effect> {
        let fits =
            self.method.as_ref().is_none_or(|own| own == method) && path_and_query.contains(&self.path);
        if !fits {
            return None;
        }
        self.seen += 1;
        let (due, turn) = match self.when {
            When::Always => (true, self.seen - 1),
            When::First(n) => (self.seen <= n, self.seen - 1),
            When::Nth(n) => (self.seen == n, 0),
            When::Every(k) => (
                self.seen.checked_rem(k) == Some(0),
                self.seen.checked_div(k).map_or(0, |n| n.saturating_sub(1)),
            ),
        };
        due.then(|| match &self.effect {
            Effect::Rotation => rotation(turn),
            effect => effect.clone(),
        })
    }
}

fn rotation(turn: u64) -> Effect {
    match turn % 4 {
        0 => Effect::Answer(Answer::new(StatusCode::SERVICE_UNAVAILABLE)),
        1 => Effect::Answer(Answer::new(StatusCode::TOO_MANY_REQUESTS).retry_after("1")),
        2 => Effect::Reset,
        _ => Effect::AnswerLost,
    }
}

/// A manifest that a client pushes, as a hook sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestPut {
    /// The name of the repository.
    pub repository: String,
    /// The tag or digest it is pushed as.
    pub reference: String,
}

type Hook = Box<dyn FnMut(&Content, &ManifestPut) + Send>;

/// The faults, hooks and manners of a registry; they can be changed while it runs.
#[derive(Default)]
pub struct Faults {
    pub(super) manners: Manners,
    faults: Mutex<Vec<Fault>>,
    before: Mutex<Option<Hook>>,
    after: Mutex<Option<Hook>>,
}

impl Faults {
    /// Adds a fault to those that are there.
    pub fn add(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    /// Takes all faults, hooks and manners away.
    pub fn clear(&self) {
        self.manners.clear();
        lock(&self.faults).clear();
        *lock(&self.before) = None;
        *lock(&self.after) = None;
    }

    /// Calls `hook` before a manifest that a client pushes is stored: another writer can come between.
    ///
    /// The hook runs on a thread where it may block, even on a program that talks to this registry. It isn't
    /// called for pushes that arrive while it runs.
    pub fn before_manifest_put(&self, hook: impl FnMut(&Content, &ManifestPut) + Send + 'static) {
        *lock(&self.before) = Some(Box::new(hook));
    }

    /// Calls `hook` after a manifest was stored and before the client hears of it; as
    /// [`Self::before_manifest_put`] otherwise.
    pub fn after_manifest_put(&self, hook: impl FnMut(&Content, &ManifestPut) + Send + 'static) {
        *lock(&self.after) = Some(Box::new(hook));
    }

    /// Asks `instead` about each request before anything is done; the answer that it gives is sent, and nothing is done.
    pub fn answer_instead(
        &self,
        instead: impl Fn(&Asked<'_>) -> Option<http::Response<Bytes>> + Send + Sync + 'static,
    ) {
        self.manners.answer_instead(Arc::new(instead));
    }

    /// Takes a request for another one: `rewrite` gives its path and query. The other two functions, the faults and the log see what was sent.
    pub fn rewrite_requests(&self, rewrite: impl Fn(&Asked<'_>) -> Option<String> + Send + Sync + 'static) {
        self.manners.rewrite_requests(Arc::new(rewrite));
    }

    /// Has `change` change the answers, also those that [`answer_instead`](Self::answer_instead) gave.
    pub fn change_answers(
        &self,
        change: impl Fn(&Asked<'_>, &mut http::Response<Bytes>) + Send + Sync + 'static,
    ) {
        self.manners.change_answers(Arc::new(change));
    }

    /// Everything that happens to this request, in the order in which it was added.
    pub(super) fn of(&self, method: &Method, path_and_query: &str) -> Vec<Effect> {
        lock(&self.faults).iter_mut().filter_map(|fault| fault.apply(method, path_and_query)).collect()
    }

    pub(super) fn has_hook(&self, moment: Moment) -> bool {
        lock(self.hook(moment)).is_some()
    }

    pub(super) fn call_hook(&self, moment: Moment, content: &Content, put: &ManifestPut) {
        // Taken out while it runs, so that a push that the hook makes itself doesn't call it again.
        let Some(mut hook) = lock(self.hook(moment)).take() else { return };
        hook(content, put);
        lock(self.hook(moment)).get_or_insert(hook);
    }

    fn hook(&self, moment: Moment) -> &Mutex<Option<Hook>> {
        match moment {
            Moment::Before => &self.before,
            Moment::After => &self.after,
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("faults", &lock(&self.faults)).finish_non_exhaustive()
    }
}

/// When a hook is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    Before,
    After,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of ten requests a fault takes effect on.
    fn hits(mut fault: Fault) -> Vec<u64> {
        (1..=10).filter(|_| fault.apply(&Method::GET, "/v2/a/tags/list").is_some()).collect()
    }

    #[test]
    fn a_fault_keeps_to_its_limits() {
        let fault = || Fault::new(Effect::Reset);
        assert_eq!(hits(fault()).len(), 10);
        assert_eq!(hits(fault().first(2)), [1, 2]);
        assert_eq!(hits(fault().nth(3)), [3]);
        assert_eq!(hits(fault().every(4)), [4, 8]);
        assert_eq!(hits(fault().every(0)), [0; 0]);
        assert_eq!(hits(fault().method(Method::PUT)), [0; 0]);
        assert_eq!(hits(fault().path("/tags/").first(1)), [1]);
        assert_eq!(hits(fault().path("/blobs/")), [0; 0]);
    }

    #[test]
    fn the_rotation_goes_round() {
        let mut fault = Fault::one_in(2);
        let kinds: Vec<String> = (0..10)
            .filter_map(|_| fault.apply(&Method::GET, "/"))
            .map(|effect| match effect {
                Effect::Answer(answer) => answer.status.as_u16().to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, ["503", "429", "Reset", "AnswerLost", "503"]);
    }

    #[test]
    fn a_hook_is_not_called_within_itself() {
        let faults = std::sync::Arc::new(Faults::default());
        let put = ManifestPut { repository: "r".to_owned(), reference: "v1".to_owned() };
        let (again, same) = (std::sync::Arc::clone(&faults), put.clone());
        faults.before_manifest_put(move |content, _| {
            content.put_blob("r", content.repositories().len().to_string()).unwrap();
            again.call_hook(Moment::Before, content, &same);
        });
        let content = Content::default();
        faults.call_hook(Moment::Before, &content, &put);
        faults.call_hook(Moment::Before, &content, &put);
        assert!(content.blob("r", &crate::oci::Digest::of(b"1")).is_some());
    }
}
