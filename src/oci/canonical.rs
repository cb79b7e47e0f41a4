//! The one name that a repository has, however it is spelled.
//!
//! Patterns, policies and credentials compare this name; requests, signatures and reports have the name that was given.

use std::fmt;

use super::authority::{Authority, DEFAULT_REGISTRY, DOCKER_HUB, HTTPS_PORT, split_port};
use super::reference::Repository;

/// The port of plain HTTP where a name has none.
pub(crate) const HTTP_PORT: u16 = 80;

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
    pub(crate) fn new(authority: Authority, path: &str) -> Self {
        let library = authority.is_docker_hub() && !path.contains('/');
        let path = if library { format!("library/{path}") } else { path.to_owned() };
        Self { authority, path }
    }

    /// Returns the registry as `HOST[:PORT]`.
    pub fn registry(&self) -> String {
        self.authority.to_string()
    }

    /// The registry with the port that it has, also where that is the default: `HOST:PORT`.
    pub(crate) fn registry_with_port(&self) -> String {
        format!("{}:{}", self.authority.host(), self.authority.port().unwrap_or(HTTPS_PORT))
    }

    /// The path in the registry, without a `/` before it.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// The registries that are spoken to over plain HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainHttp {
    /// Their names as in a [`Repository`], in lower case.
    hosts: Vec<String>,
}

impl PlainHttp {
    /// The registries of these names, `HOST[:PORT]`.
    pub fn new(hosts: &[String]) -> Self {
        let name = |host: &String| match host.to_ascii_lowercase() {
            host if host == "docker.io" => DEFAULT_REGISTRY.to_owned(),
            host => host,
        };
        Self { hosts: hosts.iter().map(name).collect() }
    }

    /// Whether the registry of `repository` is one of them. Names are compared as they are written, as the client does it.
    pub fn has(&self, repository: &Repository) -> bool {
        !self.hosts.is_empty() && self.hosts.contains(&repository.registry().to_ascii_lowercase())
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

    /// The names that it is compared by; `plain_http`: its registry is spoken to over plain HTTP, whose default port is 80.
    ///
    /// `HOST` and `HOST:80` are one server then, and Docker Hub on port 80 is Docker Hub. `HOST:443` is another server.
    pub(crate) fn canonical_names(&self, plain_http: bool) -> Vec<CanonicalRepository> {
        let name = self.canonical();
        let authority = &name.authority;
        let has_port = split_port(self.registry()).is_some_and(|(_, port)| port.is_some());
        let without_port = match authority.port() {
            _ if !plain_http => None,
            None if has_port => None,
            None => Some(authority.clone()),
            Some(HTTP_PORT) => Authority::of(authority.host(), None),
            Some(_) => None,
        };
        let Some(without_port) = without_port else { return vec![name] };
        let hosts = match without_port.is_docker_hub() {
            true => DOCKER_HUB.to_vec(),
            false => vec![without_port.host()],
        };
        let with_port = hosts.into_iter().filter_map(|host| Authority::of(host, Some(HTTP_PORT)));
        let without = CanonicalRepository::new(without_port.clone(), self.path());
        let path = without.path.clone();
        let others = with_port.map(|authority| CanonicalRepository { authority, path: path.clone() });
        std::iter::once(without).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::spelling::spelled;

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
            ("registry.example/app", &["registry.example/app", "registry.example:80/app"][..]),
            ("Registry.example:080/app", &["registry.example/app", "registry.example:80/app"]),
            ("127.1:80/app", &["127.0.0.1/app", "127.0.0.1:80/app"]),
            ("registry.example:443/app", &["registry.example/app"]),
            ("registry.example:5000/app", &["registry.example:5000/app"]),
        ] {
            let names: Vec<String> =
                repository(text).canonical_names(true).iter().map(ToString::to_string).collect();
            assert_eq!(names, want, "{text}");
            assert_eq!(repository(text).canonical_names(false), [repository(text).canonical()]);
        }
    }

    /// Docker Hub is Docker Hub on port 80 too, under each of its names, with `library/`.
    #[test]
    fn over_plain_http_docker_hub_is_one_registry() {
        let want = repository("docker.io/library/app").canonical_names(true);
        assert_eq!(want.len(), 5);
        assert_eq!(want[0].to_string(), "index.docker.io/library/app");
        for host in DOCKER_HUB {
            for (port, path) in [("", "app"), (":80", "library/app"), (":080", "app"), (":80", "app")] {
                let name = repository(&format!("{}{port}/{path}", host.to_ascii_uppercase()));
                assert_eq!(name.canonical_names(true), want, "{host}{port}/{path}");
            }
        }
    }

    #[test]
    fn plain_http_is_for_the_name_as_it_is_written() {
        let plain = PlainHttp::new(&["LOCALHOST:80".to_owned(), "docker.io".to_owned()]);
        for (name, want) in [
            ("localhost:80/app", true),
            ("LocalHost:80/app", true),
            ("localhost:080/app", false),
            ("localhost/app", false),
            ("docker.io/app", true),
            ("app", true),
            ("registry-1.docker.io/app", false),
        ] {
            assert_eq!(plain.has(&repository(name)), want, "{name}");
        }
        assert!(!PlainHttp::default().has(&repository("app")));
    }
}
