//! Referrers: the manifests that name another as their subject.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>

use bytes::Bytes;
use http::header::LINK;
use http::{HeaderValue, StatusCode};
use oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use serde_json::Value;
use serde_json::value::RawValue;

use super::manifests::unexpected;
use super::refusal::Refusal;
use super::send::Reply;
use super::{
    BadAnswer, Client, Digest, Failure, MAX_MANIFEST_BYTES, RegistryError, Repository, endpoint, link,
    transport,
};
use crate::registry::json::{elements, fields};

/// More pages than this are not a list of one image's signatures. They have 400 MiB at most, one page in memory at a time.
const MAX_PAGES: usize = 100;

/// How many descriptors of a list are kept, over all pages: more are not an image's signatures.
pub const MAX_REFERRERS: usize = 20_000;

/// How many bytes of descriptors are kept, over all pages: 800 for each of [`MAX_REFERRERS`], where cosign's have about 500.
pub const MAX_REFERRERS_BYTES: usize = 16 * 1024 * 1024;

/// The longest descriptor that is read: with certificates, a log entry and a timestamp it has about 20 KiB. Read as JSON it
/// takes up to seventy times its length in memory.
pub(crate) const MAX_DESCRIPTOR_BYTES: usize = 256 * 1024;

/// The media type of a config that says nothing.
///
/// Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor>
const EMPTY_CONFIG_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// What a list of referrers holds that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The descriptors, in their order, as they are written.
    pub descriptors: Vec<Bytes>,
    /// Whether there are more than these: the list goes on behind [`MAX_REFERRERS`], [`MAX_REFERRERS_BYTES`] or the last page that
    /// is read.
    pub is_cut: bool,
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
    NoApi,
    /// There is no further page.
    Whole,
    /// There are more pages than are read, or the reader has enough; the error says so.
    Cut(RegistryError),
}

impl Client {
    /// The descriptors of the referrers of `subject` that [may have](may_be) this artifact type, all pages;
    /// `None` if the registry has no referrers API.
    ///
    /// # Errors
    ///
    /// Also when the list is too long, or a page is no list.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Option<Vec<Value>>, RegistryError> {
        let (mut found, mut kept_bytes) = (Listing::default(), 0);
        let mut take = |reply: &Reply| {
            let filtered = is_filtered(reply);
            each_of(reply, &mut |raw, descriptor| {
                if filtered || may_be(descriptor, artifact_type) {
                    found.keep(raw, &mut kept_bytes);
                }
            })?;
            Ok(found.is_cut)
        };
        match self.walk(repository, subject, Some(artifact_type), &mut take).await? {
            Walked::NoApi => return Ok(None),
            Walked::Cut(error) => return Err(error),
            Walked::Whole => {}
        }
        Ok(Some(found.descriptors.iter().filter_map(|text| serde_json::from_slice(text).ok()).collect()))
    }

    /// The descriptors of all referrers of `subject` that `keeps` accepts, all pages; `None` if the registry has no referrers API.
    ///
    /// Descriptors are filtered while a page is read. One that is longer than any of a signature is passed over.
    ///
    /// # Errors
    ///
    /// Also when a page is no list.
    pub async fn all_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        keeps: &(dyn Fn(&Value) -> bool + Sync),
    ) -> Result<Option<Listing>, RegistryError> {
        let (mut found, mut kept_bytes) = (Listing::default(), 0);
        let mut take = |reply: &Reply| {
            each_of(reply, &mut |raw, descriptor| {
                if keeps(descriptor) {
                    found.keep(raw, &mut kept_bytes);
                }
            })?;
            Ok(found.is_cut)
        };
        match self.walk(repository, subject, None, &mut take).await? {
            Walked::NoApi => return Ok(None),
            Walked::Cut(_) => found.is_cut = true,
            Walked::Whole => {}
        }
        Ok(Some(found))
    }

    /// Has every page taken, until `take` has enough.
    async fn walk(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
        take: &mut (dyn FnMut(&Reply) -> Result<bool, Failure> + Send),
    ) -> Result<Walked, RegistryError> {
        let inner = &self.inner;
        let mut request =
            inner.request(repository, |base| endpoint::referrers(base, subject, artifact_type))?;
        let home = request.url.clone();
        request.accept = Some(OCI_IMAGE_INDEX_MEDIA_TYPE);
        request.limit_bytes = MAX_MANIFEST_BYTES;
        for page in 0..MAX_PAGES {
            let reply = inner.send(&request).await?;
            match reply.answer.status {
                StatusCode::OK => {}
                // The specification's 404, and what registries from before it say to an unknown address.
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                    if page == 0 && !withholds(&reply.answer.refusal()) =>
                {
                    return Ok(Walked::NoApi);
                }
                status => return Err(inner.failed(&request, &reply, unexpected(status, &reply))),
            }
            let failed = |failure| inner.failed(&request, &reply, failure);
            if take(&reply).map_err(failed)? {
                break;
            }
            let Some(next) = reply.answer.headers.get_all(LINK).iter().find_map(next) else {
                return Ok(Walked::Whole);
            };
            let next = transport::follow(&next, &reply.answer.url);
            let next = next.map_err(|bad| failed(Failure::BadAnswer(bad)))?;
            // A list has one owner. Without the login another host's page could only be a stranger's: what it
            // leaves out would be signatures that nobody sees.
            if !endpoint::same_origin(&home, &next) {
                return Err(failed(Failure::BadAnswer(BadAnswer::ElsewherePage(endpoint::redacted(&next)))));
            }
            request.url = next;
        }
        let too_long = Failure::BadAnswer(BadAnswer::Pages(MAX_PAGES));
        Ok(Walked::Cut(inner.fail(&request, &request.method, &home, too_long)))
    }
}

/// Whether a refusal says that there is something which isn't shown, or not now.
fn withholds(refusal: &Refusal) -> bool {
    ["DENIED", "UNAUTHORIZED", "TOOMANYREQUESTS"].iter().any(|code| refusal.has_code(code))
}

fn next(header: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_str(link::next(header.to_str().ok()?)?).ok()
}

/// Whether a referrer may have this artifact type, as far as its descriptor says.
///
/// Some registries don't know the field in manifests and say the config's media type, that of an empty config
/// (go-containerregistry's, as of 0.22.1), or nothing: only the manifest itself tells then.
pub fn may_be(descriptor: &Value, artifact_type: &str) -> bool {
    match descriptor.get("artifactType").and_then(Value::as_str) {
        None | Some("" | EMPTY_CONFIG_TYPE) => true,
        Some(named) => named == artifact_type,
    }
}

/// Whether a page holds only referrers of the artifact type that was asked for.
fn is_filtered(reply: &Reply) -> bool {
    reply.answer.header("oci-filters-applied").is_some_and(|applied| {
        applied.split(',').any(|filter| filter.trim().eq_ignore_ascii_case("artifactType"))
    })
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
                // What nests too deep is no descriptor.
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
