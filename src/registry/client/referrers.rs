//! Referrers: the manifests that name another as their subject.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>

use http::header::LINK;
use http::{HeaderValue, StatusCode};
use oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::manifests::unexpected;
use super::send::Reply;
use super::{
    BadAnswer, Client, Digest, Failure, MAX_MANIFEST_BYTES, RegistryError, Repository, endpoint, link,
    transport,
};

/// More pages than this are no list of one image's signatures.
const MAX_PAGES: usize = 100;

/// The media type of a config that says nothing.
///
/// Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor>
const EMPTY_CONFIG_TYPE: &str = "application/vnd.oci.empty.v1+json";

#[derive(Deserialize)]
struct Page {
    /// Go writes an empty list as null.
    #[serde(default)]
    manifests: Option<Vec<Value>>,
}

impl Client {
    /// The descriptors of the referrers of `subject` that [may have](may_be) this artifact type, all pages;
    /// `None` if the registry has no referrers API.
    ///
    /// # Errors
    ///
    /// Also when the list has too many pages, or a page is no list.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Option<Vec<Value>>, RegistryError> {
        self.list_referrers(repository, subject, Some(artifact_type)).await
    }

    /// The descriptors of all referrers of `subject`, all pages; `None` if the registry has no referrers API.
    ///
    /// # Errors
    ///
    /// Also when the list has too many pages, or a page is no list.
    pub async fn all_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Vec<Value>>, RegistryError> {
        self.list_referrers(repository, subject, None).await
    }

    async fn list_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Value>>, RegistryError> {
        let inner = &self.inner;
        let mut request =
            inner.request(repository, |base| endpoint::referrers(base, subject, artifact_type))?;
        let home = request.url.clone();
        request.accept = Some(OCI_IMAGE_INDEX_MEDIA_TYPE);
        request.limit_bytes = MAX_MANIFEST_BYTES;
        let mut found = Vec::new();
        for page in 0..MAX_PAGES {
            let reply = inner.send(&request).await?;
            match reply.answer.status {
                StatusCode::OK => {}
                // The specification's 404, and what registries from before it say to an unknown address.
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if page == 0 => return Ok(None),
                status => return Err(inner.failed(&request, &reply, unexpected(status, &reply))),
            }
            let failed = |failure| inner.failed(&request, &reply, failure);
            found.extend(descriptors(&reply, artifact_type).map_err(failed)?);
            let Some(next) = reply.answer.headers.get_all(LINK).iter().find_map(next) else {
                return Ok(Some(found));
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
        Err(inner.fail(&request, &request.method, &home, Failure::BadAnswer(BadAnswer::Pages(MAX_PAGES))))
    }
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

/// One page's descriptors, without those of other artifact types.
fn descriptors(reply: &Reply, artifact_type: Option<&str>) -> Result<Vec<Value>, Failure> {
    let answer = &reply.answer;
    answer.not_html()?;
    let page: Page = serde_json::from_slice(&answer.body)
        .map_err(|_| Failure::BadAnswer(BadAnswer::NotA("list of referrers")))?;
    let mut manifests = page.manifests.unwrap_or_default();
    let filtered = answer.header("oci-filters-applied").is_some_and(|applied| {
        applied.split(',').any(|filter| filter.trim().eq_ignore_ascii_case("artifactType"))
    });
    if let Some(artifact_type) = artifact_type
        && !filtered
    {
        manifests.retain(|one| may_be(one, artifact_type));
    }
    Ok(manifests)
}
