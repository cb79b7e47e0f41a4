//! The embedded registry over real HTTP, judged by its specification and by other people's clients.

mod auth;
mod faults;
mod judges;
mod protocol;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use stepseal::demo::registry::{EmbeddedRegistry, Options};
use stepseal::oci::Digest;

pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry, and a client that follows no redirect and keeps no connection.
pub(crate) struct Site {
    pub(crate) registry: EmbeddedRegistry,
    http: reqwest::Client,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the first error in the body.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn client() -> reqwest::ClientBuilder {
    // Several tests of one process may come here; the first one installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .retry(reqwest::retry::never())
}

impl Site {
    pub(crate) async fn new(options: Options) -> Self {
        Self { registry: EmbeddedRegistry::start(options).await.unwrap(), http: client().build().unwrap() }
    }

    /// Sends a request to a path of the registry.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Got> {
        let url = if path.starts_with("http://") {
            path.to_owned()
        } else {
            format!("http://{}{path}", self.registry.host())
        };
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        });
        let request = self.http.request(method, url).headers(headers.collect()).body(body);
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok(Got { status, headers, body: answer.bytes().await?.to_vec() })
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Got {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn put_manifest(&self, path: &str, media_type: &str, body: String) -> Got {
        self.send(Method::PUT, path, &[("content-type", media_type)], body).await
    }

    /// Begins an upload; its location.
    pub(crate) async fn begin_upload(&self, repository: &str) -> String {
        let got = self.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], "").await;
        assert_eq!(got.status, StatusCode::ACCEPTED);
        got.header("location").to_owned()
    }
}

/// An image manifest with a config of `{}` and no layers; `more` are further fields, each with a comma.
pub(crate) fn image(more: &str) -> String {
    let digest = Digest::of(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_IMAGE}",{more}"config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{digest}","size":2}},"layers":[]}}"#
    )
}
