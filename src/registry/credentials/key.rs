//! Which registry and which paths a key of a credentials file is for.
//!
//! A key is `HOST[:PORT][/PATH]`, as docker, podman and the kubelet write it, in any of its dresses: with
//! `http://` or `https://`, a slash at its end, the API's `/v1/` or `/v2/`, or one of Docker Hub's old names.
//!
//! * Hosts and ports compare in their canonical form (`registry/authority.rs`): without case, and no port stands for the default one:
//!   443, or 80 for a registry that is spoken to over plain HTTP. So `HOST:443` never fits `HOST` there, as that is another server. (The
//!   scheme of `http://HOST` says nothing about the port: docker and the kubelet drop it too.)
//! * A path fits itself and what lies below it: `reg/team` fits `reg/team/x` and never `reg/team-b`.
//! * A host may be a pattern, as the kubelet reads it: `*`, `?` and `[a-z]` stand for characters of one
//!   label, so `*.example.com` fits `a.example.com` and neither `example.com` nor `a.b.example.com`. A port
//!   and a path never are patterns.
//!
//! No key, so that it fits nothing: what is not a host, another scheme, and a user name before the host. The log says so at the level debug,
//! and warns of a host that no client reaches (`1.2.3.256`).
//!
//! Spec: <https://kubernetes.io/docs/concepts/containers/images/#config-json>,
//! <https://github.com/containers/image/blob/v5.36.2/docs/containers-auth.json.5.md>

use crate::foreign;
use crate::oci::authority::{Authority, HTTPS_PORT, is_host_label, split_port};
use crate::oci::canonical::HTTP_PORT;
use crate::oci::{CanonicalRepository, Repository};
use crate::pattern::LabelPattern;

/// The longest key that is shown, in bytes: a host name and a path of ordinary length.
const SHOWN_BYTES: usize = 300;

/// What docker asks credential helpers for, where Docker Hub is meant.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

/// A key of `auths` or `credHelpers`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    host: Host,
    /// The port that is written; `None`: the default one.
    port: Option<u16>,
    /// It is `http://HOST:443`, which is no registry's address over HTTPS.
    plain_http: bool,
    /// Without a slash at either end; empty: the whole registry.
    path: String,
}

/// Which registries a key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// This one.
    Exact {
        /// The registry in the form `HOST[:PORT]`.
        host: String,
        /// The host's one name on the default port, which Docker Hub's hosts share.
        by_default: String,
    },
    /// Those whose labels fit these.
    Pattern(Vec<LabelPattern>),
}

/// A repository, as keys are compared with it.
#[derive(Debug)]
pub(super) struct Target {
    repository: CanonicalRepository,
    /// The registry's host; on the default port its one name.
    host: String,
    port: u16,
    is_default_port: bool,
    plain_http: bool,
    /// The registry's name as helpers are asked for it.
    server: String,
    /// The registry's name as it is spelled, if that differs.
    spelled: Option<String>,
}

/// How well a key fits; the smaller, the earlier its credential is tried.
///
/// Exact hosts come before patterns, as in the kubelet, and longer paths before shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    pattern: bool,
    path_bytes: std::cmp::Reverse<usize>,
}

impl Key {
    /// Understands a key; `None` if it names no registry.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (rest, scheme) = without_scheme(text);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let authority = authority.to_ascii_lowercase();
        let (host, port) = split_port(&authority)?;
        let host = if host.contains(['*', '?', '[']) && !host.starts_with('[') {
            Host::Pattern(host.split('.').map(LabelPattern::parse).collect::<Option<_>>()?)
        } else {
            // With a port of its own a host is not Docker Hub's.
            let own = Authority::of(host, Some(HTTP_PORT))?.host().to_owned();
            Host::Exact { host: own, by_default: Authority::of(host, None)?.host().to_owned() }
        };
        let plain_http = scheme == Some("http") && port == Some(HTTPS_PORT);
        let path = without_api_version(path, scheme.is_some()).to_owned();
        Some(Self { host, port, plain_http, path })
    }

    /// How well it fits `target`; `None` if it is for something else.
    pub(super) fn fit(&self, target: &Target) -> Option<Fit> {
        let port = self.port.map_or(target.is_default_port, |port| port == target.port);
        let (host, pattern) = match &self.host {
            Host::Exact { by_default, .. } if target.is_default_port => (*by_default == target.host, false),
            Host::Exact { host, .. } => (*host == target.host, false),
            Host::Pattern(labels) => (fits_labels(labels, &target.host), true),
        };
        let is_fit = host && port && (target.plain_http || !self.plain_http);
        (is_fit && is_at_or_below(target.repository.path(), &self.path))
            .then_some(Fit { pattern, path_bytes: std::cmp::Reverse(self.path.len()) })
    }
}

impl Target {
    /// What keys are compared with for `repository`; `plain_http`: its registry is spoken to over plain HTTP, whose default port is 80.
    pub(super) fn of(repository: &Repository, plain_http: bool) -> Self {
        let default = if plain_http { HTTP_PORT } else { HTTPS_PORT };
        let port = split_port(repository.registry()).and_then(|(_, port)| port).unwrap_or(default);
        let is_default_port = port == default;
        let mut names = repository.canonical_names(plain_http).into_iter();
        let canonical = names.next().unwrap_or_else(|| repository.canonical());
        let registry = match canonical.authority().port() {
            // A name leaves 443 out, which is not the default here.
            None if port != default => format!("{}:{port}", canonical.authority().host()),
            _ => canonical.registry(),
        };
        let spelled = Some(repository.registry()).filter(|spelled| **spelled != registry).map(str::to_owned);
        let server =
            if canonical.authority().is_docker_hub() { DOCKER_HUB_SERVER.to_owned() } else { registry };
        let host = canonical.authority().host().to_owned();
        Self { repository: canonical, host, port, is_default_port, plain_http, server, spelled }
    }

    /// The name that a credential helper is asked for: `HOST[:PORT]`, or docker's URL for Docker Hub.
    ///
    /// Never with a path, also where the helper's key has one: helpers keep one login a registry.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// The name to ask for where a helper has nothing for [`server`](Self::server): `docker login HOST:443` stores what it was given.
    /// `None`: it is the same.
    pub(super) fn spelled(&self) -> Option<&str> {
        self.spelled.as_deref()
    }
}

/// Whether a text that is no [`Key`] names a host that no client reaches, such as `1.2.3.256`. It fits nothing, and does no harm.
pub(super) fn is_out_of_reach(text: &str) -> bool {
    let (rest, _) = without_scheme(text);
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    split_port(authority).is_some_and(|(host, _)| host.split('.').all(is_host_label))
}

/// A key as messages show it: cut, escaped, and without the user and password of `https://user:password@host`.
pub(super) fn shown(text: &str) -> String {
    let name = text.rfind('@').and_then(|at| text.get(at + 1..)).unwrap_or(text);
    foreign::escape(name, SHOWN_BYTES)
}

/// The text behind `http://` or `https://`, and which of them it was.
fn without_scheme(text: &str) -> (&str, Option<&'static str>) {
    for scheme in ["https", "http"] {
        let rest = text.split_once("://").filter(|(found, _)| found.eq_ignore_ascii_case(scheme));
        if let Some((_, rest)) = rest {
            return (rest, Some(scheme));
        }
    }
    (text, None)
}

/// The path without the API's version before it, and without slashes around it.
///
/// In a URL a first `v1` or `v2` is the API's, as the kubelet reads it. In a bare name it is only if nothing
/// but a slash follows: `host/v2/team` is how podman writes the repositories below `v2/team`.
fn without_api_version(path: &str, url: bool) -> &str {
    let bare = path.trim_matches('/');
    for version in ["v1", "v2"] {
        match bare.strip_prefix(version) {
            Some("") if url || path.ends_with('/') => return "",
            Some(rest) if url && rest.starts_with('/') => return rest.trim_start_matches('/'),
            _ => {}
        }
    }
    bare
}

fn is_at_or_below(path: &str, parent: &str) -> bool {
    parent.is_empty()
        || path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether each label of `host` fits the pattern in its place.
fn fits_labels(patterns: &[LabelPattern], host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    patterns.len() == labels.len()
        && patterns.iter().zip(labels).all(|(pattern, label)| pattern.covers(label))
}

#[cfg(test)]
mod tests;
