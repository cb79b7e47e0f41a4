//! What to do about an answer that refuses: by what products say, and else by the status.
//!
//! No specification has codes for most of this, so products are known by their words. Words choose a hint and nothing else:
//! whether a login did, or a request is sent again, is decided by statuses and the specification's codes.

use http::{Method, StatusCode};

use super::error::RequestError;
use super::peer::Peer;
use super::refusal::{Refusal, Said};
use crate::net::retry::leaves_alone;

/// What to do about a registry that has had enough.
pub(super) const WAIT: &str = "wait, use a login with a higher limit, or allow more time with --timeout";

/// A reverse proxy wants a client certificate: nginx, IIS, HAProxy.
const CLIENT_CERTIFICATE: &[&str] = &[
    "required ssl certificate was sent",
    "ssl certificate error",
    "client certificate",
    "certificate required",
];

/// Something is in the tag's place and may not be replaced. In their order: ECR, Google, Harbor, Quay and others; DTR and Harbor 1;
/// Nexus; GitLab and others; Azure; Artifactory without the right to overwrite.
const IMMUTABLE: &[&str] = &[
    "immutab",
    "tag_invalid",
    "taginvalid",
    "alreadyexists",
    "already exists",
    "overwrit",
    "not allow updating",
    "cannot be updated",
    "redeploy",
    "protected",
    "is locked",
    "_locked",
    "operation is disallowed",
    "could not locate artifact",
    "http 403 forbidden",
];

/// There is no room: Harbor, Quay, GitLab and others; file systems.
const FULL: &[&str] = &[
    "quota",
    "upper limit",
    "storage limit",
    "storage size",
    "storage resource",
    "no space left",
    "insufficient storage",
    "insufficient space",
    "disk full",
];

/// Nothing is written now: Harbor, Quay, Nexus, registries in maintenance.
const READ_ONLY: &[&str] =
    &["read only", "read-only", "readonly", "currently disabled", "maintenance", "garbage collection"];

/// A project or repository that only mirrors another registry: Harbor, others.
const MIRROR: &[&str] = &["proxy project", "proxy cache", "pull-through cache", "pull through cache"];

/// A name for several repositories, under which nothing is pushed: Nexus.
const GROUP: &[&str] = &["deploying to groups"];

/// A virtual repository, which says so of what isn't there, too: Artifactory.
const HIDDEN: &[&str] = &["download request for repo:path"];

/// A rule about content refuses: Harbor's policies, Artifactory's patterns and Xray.
const POLICY: &[&str] = &[
    "projectpolicyviolation",
    "configured policy",
    "rejected the resolution",
    "rejected the deployment",
    "rejected the artifact",
    "include/exclude",
    "xray",
    "curation",
];

/// The name breaks the registry's own rules: Docker Hub and distribution; Quay; OpenShift.
const NAME: &[&str] =
    &["invalid repository name", "nested repositories are not supported", "of the format <project>/<name>"];

/// The token is good, and for something else: Docker Hub and GitHub, GitLab.
const SCOPE: &[&str] = &[
    "insufficient scope",
    "insufficient_scope",
    "write_package",
    "read_package",
    "create_package",
    "expected scopes",
    "access forbidden",
    "organization package",
];

/// What is said of repositories that aren't there too: Docker Hub, Google.
const MAY_NOT_EXIST: &[&str] = &["requested access to the resource is denied", "may not exist"];

/// The next action.
pub(super) fn action(request: &RequestError, refusal: &Refusal) -> Option<String> {
    if request.advice.is_some() {
        return request.advice.clone();
    }
    let words = refusal.words();
    let answer = Answer { request, refusal, words: &words };
    answer
        .access()
        .or_else(|| by_another(request, refusal))
        .or_else(|| answer.room())
        .or_else(|| answer.rule())
        .or_else(|| answer.closed())
        .or_else(|| by_status(request, refusal))
}

/// A refusal with the request that it is for.
struct Answer<'a> {
    request: &'a RequestError,
    refusal: &'a Refusal,
    /// What it says, in lower case.
    words: &'a str,
}

impl Answer<'_> {
    fn says(&self, list: &[&str]) -> bool {
        list.iter().any(|part| self.words.contains(part))
    }

    /// Whether the login is refused, or what it may do.
    fn is_denied(&self) -> bool {
        matches!(self.refusal.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    /// The caller, and how often it asks.
    fn access(&self) -> Option<String> {
        let Self { request, refusal, .. } = self;
        let registry = request.repository.registry();
        let wants_rest = leaves_alone(refusal.status, refusal.retry_after);
        if wants_rest || refusal.has_code("TOOMANYREQUESTS") {
            return Some(WAIT.to_owned());
        }
        if refusal.status.is_client_error() && self.says(CLIENT_CERTIFICATE) {
            return Some(format!(
                "{registry} wants a client certificate that it trusts: give client.cert and client.key in a folder of its name in \
                 --registry-certs-dir, /etc/docker/certs.d or /etc/containers/certs.d"
            ));
        }
        if self.is_denied() && self.words.contains("client with ip") {
            return Some(format!("let the firewall of {registry} allow this pod's address"));
        }
        if refusal.status.is_client_error() && (refusal.has_code("NAME_INVALID") || self.says(NAME)) {
            return Some(name_rules(request));
        }
        let lacks_scope = self.is_denied() && !request.used.is_empty() && self.says(SCOPE);
        lacks_scope.then(|| scope(request))
    }

    /// Where there is no room for what is written.
    fn room(&self) -> Option<String> {
        let is_full = self.says(FULL) || self.refusal.status == StatusCode::INSUFFICIENT_STORAGE;
        (self.request.writes && is_full).then(|| {
            format!(
                "make room in the registry, or raise the quota for {}; or store the signatures elsewhere with \
                 storage.oci.repository; it is safe to run again",
                self.request.repository.path()
            )
        })
    }

    /// A rule about content, or about tags.
    fn rule(&self) -> Option<String> {
        let path = self.request.repository.path();
        let withholds = self.refusal.status == StatusCode::PRECONDITION_FAILED && !self.request.writes;
        if withholds && (self.words.contains("not signed") || !self.says(POLICY)) {
            return Some(format!(
                "a policy of the registry withholds this: Harbor gives an image without signatures only to a login that may push to \
                 {path}"
            ));
        }
        if self.says(POLICY) {
            let elsewhere = match self.request.writes {
                true => {
                    ", its tags sha256-* included; or store the signatures elsewhere with storage.oci.repository"
                }
                false => "",
            };
            return Some(format!(
                "a rule of the registry refuses it: let that rule allow {path} for this login{elsewhere}"
            ));
        }
        let tag = tag_written(self.request)?;
        refuses_replacement(self.refusal, self.says(IMMUTABLE)).then(|| immutable(tag))
    }

    /// Where nothing can be written, now or yet.
    fn closed(&self) -> Option<String> {
        let Self { request, refusal, .. } = self;
        if !request.writes {
            return None;
        }
        if self.says(MIRROR) {
            return Some(format!(
                "{} only mirrors another registry and takes no pushes: store the signatures elsewhere with storage.oci.repository",
                request.repository.path()
            ));
        }
        if self.says(GROUP) {
            return Some(format!(
                "{} is in a group of repositories, which takes no pushes: sign under the name that the image was pushed to, or store the \
                 signatures elsewhere with storage.oci.repository",
                request.repository.path()
            ));
        }
        if self.says(READ_ONLY) {
            return Some(
                "the registry takes no pushes now (read-only, or in maintenance): run again later, or store the signatures elsewhere \
                 with storage.oci.repository"
                    .to_owned(),
            );
        }
        let is_missing = refusal.status == StatusCode::NOT_FOUND || self.is_denied();
        (is_missing && self.lacks_repository()).then(|| {
            format!(
                "create the repository {} (or the project that it is to lie in) in {} first, as ECR, Harbor and others \
                 need it, or store the signatures elsewhere with storage.oci.repository",
                request.repository.path(),
                request.repository.registry()
            )
        })
    }

    /// Whether it says that there is no such repository, or no project for it: ECR, Quay and others by a code, Harbor and Google in words.
    fn lacks_repository(&self) -> bool {
        let codes = ["NAME_UNKNOWN", "REPOSITORY_UNKNOWN", "RepositoryNotFoundException"];
        let is_text = !matches!(self.refusal.said, Said::Html { .. });
        codes.iter().any(|code| self.refusal.has_code(code))
            || (is_text
                && self.says(&["repository", "project", "namespace"])
                && self.says(&["not found", "not exist"]))
    }
}

/// What to do where it wasn't the registry that answered, and no login was refused.
fn by_another(request: &RequestError, refusal: &Refusal) -> Option<String> {
    let registry = request.repository.registry();
    match request.peer {
        Peer::TokenService if !request.denied && refusal.status.is_server_error() => Some(format!(
            "look at the log of the token service that {registry} names; it is safe to run again"
        )),
        Peer::TokenService if !request.denied => Some(format!(
            "check the token service that {registry} names, and whatever stands in front of it: without a token nobody can tell what \
             {registry} holds; it is safe to run again"
        )),
        Peer::Elsewhere if refusal.status.is_server_error() => {
            Some(format!("look at the log of the host that {registry} redirects to; it is safe to run again"))
        }
        Peer::Elsewhere if refusal.status.is_client_error() => Some(format!(
            "check the host that {registry} redirects to (storage, a CDN): only an answer of {registry} itself tells what it holds; it is safe \
             to run again"
        )),
        _ => None,
    }
}

fn by_status(request: &RequestError, refusal: &Refusal) -> Option<String> {
    let registry = request.repository.registry();
    let path = request.repository.path();
    let verb = verb(request);
    let text = match refusal.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if request.used.is_empty() => format!(
            "mount a dockerconfigjson with a login for {registry} that may {verb} {path} (--registry-config)"
        ),
        StatusCode::BAD_REQUEST if request.denied && request.used.is_empty() => {
            format!("see how {registry} gives tokens to those without a login, or mount a dockerconfigjson with a login for it")
        }
        StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST if request.denied || refusal.status != StatusCode::BAD_REQUEST => format!(
            "check that this login is right and may {verb} {path}, or mount a dockerconfigjson with one that is"
        ),
        // Token services, ghcr.io's among them, say so of a wrong password too.
        StatusCode::FORBIDDEN if request.peer == Peer::TokenService => format!(
            "check that this login is right and may {verb} {path}, or mount a dockerconfigjson with one that is"
        ),
        StatusCode::FORBIDDEN => {
            format!("allow this user to {verb} {path}, or mount a dockerconfigjson with one that may")
        }
        StatusCode::METHOD_NOT_ALLOWED if request.writes => {
            "the registry is read-only or a mirror: store the signatures elsewhere with storage.oci.repository"
                .to_owned()
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            "raise the limit of the registry, or of the proxy in front of it".to_owned()
        }
        _ if writes_manifest(request) && (refuses_type(refusal) || is_bare(refusal)) => {
            "see whether the registry takes OCI manifests and this kind of artifact: update it, choose the other \
             storage.oci.encoding-format (dsse, sigstore-bundle), or store the signatures elsewhere with storage.oci.repository"
                .to_owned()
        }
        status if status.is_server_error() => {
            "look at the registry's own log; it is safe to run again".to_owned()
        }
        _ if matches!(refusal.said, Said::Html { .. }) => {
            format!("check that {registry} is an OCI registry, and not a page or a proxy")
        }
        StatusCode::NOT_FOUND => {
            format!("check that {registry} has a repository {path}, and that the login may see it")
        }
        StatusCode::BAD_REQUEST => {
            format!("look at the log of {registry}, or of the proxy in front of it, for what is wrong with this request")
        }
        _ => return None,
    };
    if refusal.status == StatusCode::FORBIDDEN
        && let Some(tag) = tag_written(request).filter(|tag| tag.contains("sha256-"))
    {
        // What the manifest names was pushed by the same login a moment ago, or was there.
        return Some(format!("{text}; if the user may, {}", immutable(tag)));
    }
    let words = refusal.words();
    if !request.writes && HIDDEN.iter().any(|part| words.contains(part)) {
        return Some(format!(
            "{text}; a virtual repository answers like this for what is not there, too, if the login may not read all of its members: let it \
             read them, or sign under the name that the image was pushed to"
        ));
    }
    let is_vague = MAY_NOT_EXIST.iter().any(|part| words.contains(part));
    Some(if is_vague { format!("{text}; {path} may not exist, too: create it first") } else { text })
}

fn verb(request: &RequestError) -> &'static str {
    if request.writes { "push to" } else { "pull from" }
}

/// What to do about a name that the registry doesn't take.
fn name_rules(request: &RequestError) -> String {
    let (registry, path) = (request.repository.registry(), request.repository.path());
    let elsewhere = match request.writes {
        true => ", or store the signatures elsewhere with storage.oci.repository",
        false => "",
    };
    format!("{registry} has its own rules for names, and {path} breaks them: see what it accepts{elsewhere}")
}

/// What to do where the login's token lacks a scope.
fn scope(request: &RequestError) -> String {
    let path = request.repository.path();
    let scopes = match request.writes {
        true => {
            "GitHub: write:packages, or packages: write for a workflow's token; GitLab: write_registry; Docker Hub: Read & Write"
        }
        false => "GitHub: read:packages; GitLab: read_registry; Docker Hub: Read-only or more",
    };
    format!(
        "give this login's token the scope to {} {path} ({scopes}), and its user the right to",
        verb(request)
    )
}

fn writes_manifest(request: &RequestError) -> bool {
    request.method == Method::PUT && request.url.contains("/manifests/")
}

/// Whether a manifest was refused for what it is.
fn refuses_type(refusal: &Refusal) -> bool {
    let codes = ["MANIFEST_INVALID", "UNSUPPORTED"];
    match refusal.status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => true,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => {
            codes.iter().any(|code| refusal.has_code(code))
        }
        _ => false,
    }
}

/// Whether it is a 400 that doesn't say why.
fn is_bare(refusal: &Refusal) -> bool {
    refusal.status == StatusCode::BAD_REQUEST && refusal.codes().next().is_none()
}

/// The tag that a request was to write.
fn tag_written(request: &RequestError) -> Option<&str> {
    let (_, target) = request.url.rsplit_once("/manifests/").filter(|_| writes_manifest(request))?;
    // A digest has a colon, as it is or escaped.
    (!target.contains([':', '%', '/'])).then_some(target)
}

/// Whether a tag's write was refused because something is under the tag.
fn refuses_replacement(refusal: &Refusal, says_so: bool) -> bool {
    match refusal.status {
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED | StatusCode::LOCKED => true,
        StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::UNPROCESSABLE_ENTITY => says_so,
        _ => false,
    }
}

/// What to do about a tag that may not be replaced.
fn immutable(tag: &str) -> String {
    // The fallback tag of referrers is written where bundles are asked for, and there is no referrers API.
    let bundle = match tag.contains('.') {
        true => {
            "use storage.oci.encoding-format=sigstore-bundle, which needs no tag where the registry has a referrers API; or "
        }
        false => "",
    };
    format!(
        "the tag {tag} is immutable, so that no signature can be added to it: {bundle}store the signatures elsewhere with \
         storage.oci.repository; or exempt the tags sha256-* from that rule, and let this login overwrite them"
    )
}

#[cfg(test)]
mod tests;
