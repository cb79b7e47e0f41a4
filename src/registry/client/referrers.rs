//! Referrers: the manifests that name another as their subject, and what counts as a registry without the API for them.
//!
//! Registries without the API, and proxies before them, answer a request for it in many ways: the specification's 404, an error about
//! the request, a refusal of every login, a page, or other JSON. [`NoApi`] is the rule for all of them, for reading and for writing.
//! A list that fails on the way is never taken for an absent one.
//!
//! Some redirect the request to a host that refuses or throttles it, as ghcr.io did to pages of github.com
//! (<https://github.com/artifacthub/hub/issues/4785>). What is listed there is not known; what lies under the fallback tag is still good.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::answer::Answer;
use super::manifests::{essence, unexpected};
use super::peer::Peer;
use super::redirect::follow;
use super::refusal::MAX_ERROR_BODY_BYTES;
use super::request::{Reply, Request};
use super::retry::given_up;
use super::{BadAnswer, Client, Digest, Failure, RegistryError, Repository, endpoint, link};
use crate::oci::json::{elements, fields};
use crate::oci::media_type::OCI_INDEX;
use crate::oci::{MAX_MANIFEST_BYTES, Target};

/// More pages than this are not a list of one image's signatures. They have 400 MiB at most, one page in memory at a time.
const MAX_PAGES: usize = 100;

/// How many descriptors of a list are kept, over all pages: more are not an image's signatures.
pub const MAX_REFERRERS: usize = 20_000;

/// How many bytes of descriptors are kept, over all pages: 800 for each of [`MAX_REFERRERS`], where cosign's have about 500.
pub const MAX_REFERRERS_BYTES: usize = 16 * 1024 * 1024;

/// How often the first page is asked for where the registry redirects to a host that refuses for the moment.
const ELSEWHERE_ATTEMPTS: u32 = 3;

/// The longest descriptor that is read: with certificates, a log entry and a timestamp it has about 20 KiB. Read as JSON it
/// takes up to seventy times its length in memory.
pub(crate) const MAX_DESCRIPTOR_BYTES: usize = 256 * 1024;

/// What a registry answers to the question for an image's referrers.
#[derive(Debug)]
pub enum Referrers {
    /// It lists these.
    Listed(Listing),
    /// It has no referrers API: a list is under the fallback tag, if there is one.
    NoApi(NoApi),
}

/// Why a registry counts as lacking the referrers API.
#[derive(Debug)]
pub enum NoApi {
    /// It doesn't know the address: 404 with any body, 405, 501.
    Unknown,
    /// Its answer isn't a list of referrers: 400, 406, 410, 415, 422, or a success with nothing, a page, other JSON, or the subject itself.
    NotAList,
    /// It refuses this to a login that may read the repository's manifests, or its token service does, or the host that it redirects to.
    /// The error says how. Only a refusal of the registry itself says that there is no list.
    Refused(Box<RegistryError>),
}

/// What a list of referrers holds that was asked for.
#[derive(Debug, Default)]
pub struct Listing {
    /// The descriptors, in their order, as they are written.
    pub descriptors: Vec<Bytes>,
    /// Whether there are more than these: the list continues after [`MAX_REFERRERS`] or [`MAX_REFERRERS_BYTES`].
    pub is_cut: bool,
    /// Why a later page could not be read, or that the pages don't end. What follows is not known.
    pub failed: Option<Box<RegistryError>>,
}

impl NoApi {
    /// What an answer to the first request says; `None`: there is an API, or it isn't certain.
    fn of(answer: &Answer, subject: &Digest) -> Option<Self> {
        match answer.status {
            StatusCode::OK if may_be_list(answer, subject) => None,
            _ if throttles(answer) => None,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Some(Self::Unknown)
            }
            StatusCode::OK
            | StatusCode::NO_CONTENT
            | StatusCode::BAD_REQUEST
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::GONE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY => Some(Self::NotAList),
            status if status.is_success() && is_blank(answer) => Some(Self::NotAList),
            _ => None,
        }
    }

    /// Whether the answer is about the registry, and not only about this repository or this image.
    pub(crate) fn is_everywhere(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

impl Listing {
    /// Keeps `descriptor`, if there is room. It is copied: a page with one good entry need not stay.
    fn keep(&mut self, descriptor: &RawValue, kept_bytes: &mut usize) {
        let text = descriptor.get();
        if self.descriptors.len() >= MAX_REFERRERS || *kept_bytes + text.len() > MAX_REFERRERS_BYTES {
            self.is_cut = true;
            return;
        }
        *kept_bytes += text.len();
        self.descriptors.push(Bytes::copy_from_slice(text.as_bytes()));
    }
}

/// How a walk over the pages of a list ended.
enum Walked {
    /// The registry has no referrers API.
    NoApi(NoApi),
    /// There is no further page.
    Whole,
    /// The reader has enough.
    Cut,
    /// A page after the first can't be read.
    Failed(RegistryError),
}

impl Client {
    /// The descriptors of all referrers of `subject` that `keeps` accepts, all pages.
    ///
    /// Descriptors are filtered while a page is read. A descriptor that is longer than any of a signature is skipped. What a later page
    /// fails with is in the [`Listing`]: the first page shows that there is an API, so no answer to a later one says that there is none.
    ///
    /// # Errors
    ///
    /// If it isn't certain whether there are any: the registry fails, throttles, refuses the login, or its list breaks off.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        keeps: &(dyn Fn(&Value) -> bool + Sync),
    ) -> Result<Referrers, RegistryError> {
        let (mut found, mut kept_bytes) = (Listing::default(), 0);
        let mut take = |reply: &Reply| {
            each_of(reply, &mut |raw, descriptor| {
                if keeps(descriptor) {
                    found.keep(raw, &mut kept_bytes);
                }
            })?;
            Ok(found.is_cut)
        };
        match self.walk(repository, subject, &mut take).await? {
            Walked::NoApi(why) => return Ok(Referrers::NoApi(why)),
            Walked::Cut => found.is_cut = true,
            Walked::Failed(error) => found.failed = Some(Box::new(error)),
            Walked::Whole => {}
        }
        Ok(Referrers::Listed(found))
    }

    /// Has every page taken, until `take` has enough.
    async fn walk(
        &self,
        repository: &Repository,
        subject: &Digest,
        take: &mut (dyn FnMut(&Reply) -> Result<bool, Failure> + Send),
    ) -> Result<Walked, RegistryError> {
        let inner = &self.inner;
        let mut request = self.request(repository, |base| endpoint::referrers(base, subject))?;
        let home = request.url.clone();
        request.accept = Some(OCI_INDEX);
        request.limit_bytes = MAX_MANIFEST_BYTES;
        request.tells_of_login = false;
        let mut asked = HashSet::new();
        for page in 0..MAX_PAGES {
            let failed = |error| if page == 0 { Err(error) } else { Ok(Walked::Failed(error)) };
            let reply = match self.page(&request, page == 0).await {
                Ok(reply) => reply,
                Err(error) if page == 0 && is_refused(&error) => {
                    return self.refused_api(repository, subject, error).await;
                }
                Err(error) => return failed(error),
            };
            if page == 0
                && request.is_answered_by_registry(&reply.answer)
                && let Some(why) = NoApi::of(&reply.answer, subject)
            {
                return Ok(Walked::NoApi(why));
            }
            let taken = match reply.answer.status {
                StatusCode::OK => take(&reply),
                status => Err(unexpected(status, &reply)),
            };
            match taken {
                Ok(true) => break,
                Ok(false) => {}
                Err(failure) => {
                    let error = inner.errors.failed(&request, &reply, failure);
                    if page == 0 && is_refused_elsewhere(&error) {
                        return self.refused_api(repository, subject, error).await;
                    }
                    return failed(error);
                }
            }
            asked.insert(request.url.clone());
            let next = next_page(&reply.answer, &home).and_then(|next| match next {
                Some(url) if asked.contains(&url) => Err(endless(&url, "a page links to one that was read")),
                Some(url) if page + 1 == MAX_PAGES => Err(endless(&url, "it goes on after 100 pages")),
                next => Ok(next),
            });
            match next {
                Ok(Some(url)) => request.url = url,
                Ok(None) => return Ok(Walked::Whole),
                Err(bad) => {
                    let failure = Failure::BadAnswer(bad);
                    return Ok(Walked::Failed(inner.errors.failed(&request, &reply, failure)));
                }
            }
        }
        Ok(Walked::Cut)
    }

    /// Asks for a page; for the first page less often, if another host than the registry answers.
    async fn page(&self, request: &Request<'_>, is_first: bool) -> Result<Reply, RegistryError> {
        let inner = &self.inner;
        let asked = AtomicU32::new(0);
        let attempt = || async {
            let asked = asked.fetch_add(1, Ordering::Relaxed) + 1;
            match inner.sender.send_once(request).await {
                Err(error) if is_first && asked >= ELSEWHERE_ATTEMPTS && is_refused_elsewhere(&error) => {
                    Ok(Err(given_up(error, asked)))
                }
                answered => answered.map(Ok),
            }
        };
        inner.sender.backoff.run(attempt).await.flatten()
    }

    /// What it means that the API is refused to every login: nothing about the API, unless it was the registry that refused, and the
    /// repository's manifests can be read.
    async fn refused_api(
        &self,
        repository: &Repository,
        subject: &Digest,
        error: RegistryError,
    ) -> Result<Walked, RegistryError> {
        let target = Target::Digest(subject.clone());
        // What a token service refuses may be refused for manifests by now, too.
        let reads = error.peer() != Some(Peer::TokenService)
            && self.inner.auth.account(repository).reads_manifests.load(Ordering::Relaxed);
        if reads || self.manifest(repository, &target).await.is_ok() {
            return Ok(Walked::NoApi(NoApi::Refused(Box::new(error))));
        }
        Err(error)
    }
}

/// Whether a host refuses that the registry redirects to. A host that wants a login of its own is another failure.
fn is_refused_elsewhere(error: &RegistryError) -> bool {
    let request = error.request();
    request.is_some_and(|r| r.peer == Peer::Elsewhere && matches!(r.failure, Failure::Refused(_)))
}

/// Whether the registry refuses a request to every login, or a token service refuses what the registry wants for it, or a host that it
/// redirects to.
fn is_refused(error: &RegistryError) -> bool {
    if is_refused_elsewhere(error) {
        return true;
    }
    let Some(request) = error.request() else { return false };
    match (request.peer, &request.failure) {
        (_, Failure::Refused(refusal)) if refusal.has_code("TOOMANYREQUESTS") => false,
        (Peer::TokenService, Failure::Refused(refusal)) => {
            refusal.status.is_client_error() && !error.is_transient()
        }
        (peer, _) => peer == Peer::Registry && error.is_denied(),
    }
}

fn endless(next: &Url, why: &str) -> BadAnswer {
    BadAnswer::EndlessPages(format!("{why}, {}", endpoint::redacted(next)))
}

/// The address of the next page of the list.
fn next_page(page: &Answer, home: &Url) -> Result<Option<Url>, BadAnswer> {
    let Some(next) = page.headers.get_all(LINK).iter().find_map(next) else { return Ok(None) };
    let next = follow(&next, &page.url)?;
    // A list has one owner. Without the login another host's page could only be a stranger's: what it
    // leaves out would be signatures that no reader finds.
    if !endpoint::same_origin(home, &next) {
        return Err(BadAnswer::ElsewherePage(endpoint::redacted(&next)));
    }
    Ok(Some(next))
}

/// Whether an answer says that there were too many requests, whatever its status is.
fn throttles(answer: &Answer) -> bool {
    answer.body.len() <= MAX_ERROR_BODY_BYTES && answer.refusal().has_code("TOOMANYREQUESTS")
}

/// Whether an answer has no body: nothing, not a list that breaks off.
fn is_blank(answer: &Answer) -> bool {
    answer.body.trim_ascii().is_empty()
}

/// Whether a success may be a list of referrers: an image index, or an incomplete index.
fn may_be_list(answer: &Answer, subject: &Digest) -> bool {
    if is_blank(answer) || answer.not_html().is_err() || Digest::of(&answer.body) == *subject {
        return false;
    }
    let (mut lists, mut is_index) = (false, true);
    let read = fields(&answer.body, |name, value| match &*name {
        "manifests" => lists = value.get().starts_with(['[', 'n']),
        "mediaType" => {
            let kind = serde_json::from_str::<Option<String>>(value.get()).unwrap_or_default();
            is_index = kind.is_none_or(|kind| kind.is_empty() || kind == OCI_INDEX);
        }
        _ => {}
    });
    match read {
        Ok(()) => lists && is_index,
        Err(error) => {
            let kind = answer.header(CONTENT_TYPE).map(essence);
            !error.is_data() && kind.is_some_and(|kind| kind.eq_ignore_ascii_case(OCI_INDEX))
        }
    }
}

fn next(header: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_str(link::next(header.to_str().ok()?)?).ok()
}

/// Calls `each` with every descriptor of one page, as it is written and as it is read. None is kept: millions fit into one page.
fn each_of<'a>(reply: &'a Reply, each: &mut dyn FnMut(&'a RawValue, &Value)) -> Result<(), Failure> {
    let answer = &reply.answer;
    answer.not_html()?;
    // An object without the list is something else, such as an error with the status 200.
    let (mut no_list, mut is_there) = (false, false);
    let read = fields(&answer.body, |name, list| {
        if name == "manifests" {
            is_there = true;
            let listed = elements(list, |raw| {
                if raw.get().len() > MAX_DESCRIPTOR_BYTES {
                    return;
                }
                // JSON that nests too deep is not a descriptor.
                if let Ok(descriptor) = serde_json::from_str(raw.get()) {
                    each(raw, &descriptor);
                }
            });
            no_list |= listed.is_err();
        }
    });
    if read.is_err() || no_list || !is_there {
        return Err(Failure::BadAnswer(BadAnswer::NotA("list of referrers")));
    }
    Ok(())
}
