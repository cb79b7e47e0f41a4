//! The one name that a repository has, however it is spelled.
//!
//! Patterns, policies and credentials compare this name; requests, signatures and reports have the name that was given.

use std::fmt;

use super::authority::{Authority, HTTPS_PORT};
use super::reference::Repository;

/// The port of plain HTTP where a name has none.
const HTTP_PORT: u16 = 80;

/// A repository's one name; only [`Repository::canonical`] makes it.
///
/// Its host is in lower case, or an address in its usual form; its port has no zeros before it, and 443 is left out; Docker Hub is
/// `index.docker.io`, where a path of one part lies below `library/`. The path needs nothing else: it can't be spelled in two ways.
///
/// Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalRepository {
    authority: Authority,
    path: String,
}

impl CanonicalRepository {
    pub(super) fn new(authority: Authority, path: &str) -> Self {
        let library = authority.is_docker_hub() && !path.contains('/');
        let path = if library { format!("library/{path}") } else { path.to_owned() };
        Self { authority, path }
    }

    /// The registry: `HOST[:PORT]`.
    pub fn registry(&self) -> String {
        self.authority.to_string()
    }

    /// The registry with the port that it has, also where that is the default: `HOST:PORT`.
    pub fn registry_with_port(&self) -> String {
        format!("{}:{}", self.authority.host(), self.authority.port().unwrap_or(HTTPS_PORT))
    }

    /// The path in the registry, without a `/` before it.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The other name that the repository has if its registry is spoken to over plain HTTP, whose default port is 80: `HOST`
    /// and `HOST:80` are one server then. `None`: it has no other.
    #[must_use]
    pub fn over_plain_http(&self) -> Option<Self> {
        let port = match self.authority.port() {
            None => Some(HTTP_PORT),
            Some(HTTP_PORT) => None,
            Some(_) => return None,
        };
        Some(Self { authority: self.authority.on_port(port), path: self.path.clone() })
    }
}

impl fmt::Display for CanonicalRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.authority, self.path)
    }
}

impl Repository {
    /// The one name that it is compared by.
    pub fn canonical(&self) -> CanonicalRepository {
        CanonicalRepository::new(self.authority().clone(), self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::spelling::spelled;

    fn repository(text: &str) -> Repository {
        text.parse().unwrap()
    }

    /// Each spelling keeps its text, and all have one name, which is its own.
    #[test]
    fn all_spellings_have_one_name() {
        let all = spelled();
        for (at, one) in all.iter().enumerate() {
            assert_eq!(repository(&one.canonical).canonical().to_string(), one.canonical);
            for spelling in &one.spellings {
                let repository = repository(spelling);
                assert_eq!(repository.canonical().to_string(), one.canonical, "{spelling}");
                let (host, _) = spelling.split_once('/').unwrap();
                let kept = if host == "docker.io" { "index.docker.io" } else { host };
                assert_eq!(repository.registry(), kept, "the spelling stays");
            }
            assert!(all[at + 1..].iter().all(|other| other.canonical != one.canonical));
        }
        assert!(all.iter().map(|one| one.spellings.len()).sum::<usize>() > 400);
    }

    #[test]
    fn over_plain_http_no_port_is_port_80() {
        for (text, want) in [
            ("registry.example/app", Some("registry.example:80/app")),
            ("registry.example:080/app", Some("registry.example/app")),
            ("registry.example:443/app", Some("registry.example:80/app")),
            ("registry.example:5000/app", None),
        ] {
            let other = repository(text).canonical().over_plain_http();
            assert_eq!(other.map(|other| other.to_string()).as_deref(), want, "{text}");
        }
    }
}
