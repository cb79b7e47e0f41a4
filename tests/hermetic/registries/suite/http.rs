//! Asks a registry for things as the suite itself: with its login, whichever kind the registry wants.
//!
//! HTTP/1.0 without keep-alive is enough for that: one request a connection, and a body that ends with it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::site::Login;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that a manifest can be.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// An answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, as it was sent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Somebody who asks a registry.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    host: String,
    login: Option<Login>,
}

impl Caller {
    pub(crate) fn new(host: String, login: Option<Login>) -> Self {
        Self { host, login }
    }

    /// The answer to `METHOD path`; a challenge is answered with the login.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let first = send(&self.host, method, path, headers, body);
        let Some(challenge) = first.header("www-authenticate").filter(|_| first.status == 401) else {
            return first;
        };
        let Some(login) = &self.login else { return first };
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", login.user, login.password)));
        let authorization = match bearer(challenge) {
            Some((host, realm)) => {
                let path = format!("{realm}{}", scope(path));
                let answer = send(&host, "GET", &path, &[("authorization", &basic)], &[]).json();
                let token = answer["token"].as_str().or(answer["access_token"].as_str());
                let Some(token) = token else { return first };
                format!("Bearer {token}")
            }
            None => basic,
        };
        let headers = [headers, &[("authorization", authorization.as_str())]].concat();
        send(&self.host, method, path, &headers, body)
    }

    /// A manifest by tag or digest; `None` where the registry has none.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<Vec<u8>> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.ask("GET", &path, &[("accept", MANIFESTS)], &[]);
        (answer.status == 200).then_some(answer.body)
    }

    /// What the referrers API lists for a digest; `None` where there is no such API.
    pub(crate) fn referrers(&self, repository: &str, digest: &str) -> Option<Vec<Value>> {
        let answer = self.ask("GET", &format!("/v2/{repository}/referrers/{digest}"), &[], &[]);
        if answer.status != 200 {
            return None;
        }
        answer.json()["manifests"].as_array().cloned()
    }
}

/// The scope that a client asks for by itself, beside the one that the registry names.
fn scope(path: &str) -> String {
    let below = path.strip_prefix("/v2/").unwrap_or_default();
    let ends = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
    match ends.iter().find_map(|end| below.split_once(end)) {
        Some((repository, _)) => format!("&scope=repository:{repository}:pull,push"),
        None => String::new(),
    }
}

/// One request as it is.
pub(crate) fn send(host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.0\r\nhost: {host}\r\nconnection: close\r\nuser-agent: suite cosign\r\n"
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method, "PUT" | "POST" | "PATCH") {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    // A server that closes over a body it didn't read resets the connection, after its answer.
    let _ = stream.read_to_end(&mut answer);
    parse(&answer)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else { return Answer::default() };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let header =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    Answer {
        status,
        headers: head.lines().skip(1).filter_map(header).collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

/// Host and path of the token service, with what it is asked for, if the challenge names one.
fn bearer(challenge: &str) -> Option<(String, String)> {
    let fields = challenge.strip_prefix("Bearer ").or_else(|| challenge.strip_prefix("bearer "))?;
    let field = |name: &str| {
        let (_, rest) = fields.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let realm = field("realm")?.strip_prefix("http://")?;
    let (host, path) = realm.split_once('/').unwrap_or((realm, ""));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in ["service", "scope"] {
        if let Some(value) = field(name) {
            query.append_pair(name, value);
        }
    }
    let sign = if path.contains('?') { '&' } else { '?' };
    Some((host.to_owned(), format!("/{path}{sign}{}", query.finish())))
}
