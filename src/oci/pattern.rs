//! `--allow`: which repositories may be signed.
//!
//! A pattern is matched against the whole `HOST[:PORT]/PATH`: `*` stands for any text within a part of it, `**`
//! for any number of parts. It is read like an image's name, so `team/*` is Docker Hub's. What is matched is the name's canonical form
//! ([`CanonicalRepository`]), and a pattern is brought to that form too. A pattern that could never match such a name,
//! or that means something else than it seems, is refused: it guards what gets signed, and says what an image needs.

mod host;

use std::fmt;
use std::str::FromStr;

use super::{CanonicalRepository, PlainHttp, Repository};
use crate::explain::explain;
use crate::oci::reference::{DEFAULT_REGISTRY, MAX_PATH_BYTES, MAX_REGISTRY_BYTES, is_path_component};
use crate::{foreign, pattern};
use host::HostPattern;

/// A pattern for repositories that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As the user wrote it.
    text: String,
    /// The parts to compare with a repository's; the first is the registry's.
    parts: Vec<String>,
    /// Whether the registry's part is compared with a name that has its port, even the default port.
    with_port: bool,
}

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is nothing, or nothing between two slashes.
    #[error("it has an empty part; write HOST/PATH, as registry.example/team/*")]
    EmptyPart,
    /// The pattern begins with the scheme of a URL.
    #[error("a repository has no \"scheme://\" before it")]
    Scheme,
    /// A tag or a digest.
    #[error("it names a tag or a digest; what is allowed are repositories")]
    NotARepository,
    /// A `**` that is not a whole part.
    #[error("\"**\" stands for whole parts of the path: write /**/ or end with /**")]
    HalfGlobstar,
    /// The pattern has only a host.
    #[error("it names a registry and no repository; put /** behind it for all of its repositories")]
    OnlyHost,
    /// One part with a `*`: a repository has two at least.
    #[error("it matches no repository, because each has a registry and a path; for all of them write **")]
    OnePart,
    /// What no repository's name has.
    #[error("it may hold lower-case letters, digits, . _ - / and * only (a registry also : and [])")]
    Character,
    /// A registry that is none.
    #[error("its registry is not HOST or HOST:PORT")]
    Registry,
    /// A part of the path that is none of any repository.
    #[error(
        "no repository has such a path: a part begins and ends with a letter or digit, and separators stand alone"
    )]
    Path,
    /// Upper case beside a `*`.
    #[error("a registry with a * in it must be in lower case, because names are compared in lower case")]
    HostCase,
    /// A port that no canonical name has, beside a `*`.
    #[error("names are compared without :443 and without zeros before a port: leave them out beside a *")]
    Port,
    /// An address in another form than the canonical form, beside a `*`.
    #[error(
        "an address beside a * must be in its usual form, without zeros before a number, and have no * in its brackets"
    )]
    Address,
    /// A name of Docker Hub that isn't compared, beside a port with a `*`.
    #[error(
        "it has another name of Docker Hub than {DEFAULT_REGISTRY}, by which they are compared, beside a * in its port: write that"
    )]
    DockerHub,
    /// One part of a path with a `*`, on Docker Hub.
    #[error(
        "on Docker Hub each path has two parts: write {DEFAULT_REGISTRY}/library/* for its own images, or {DEFAULT_REGISTRY}/** for all"
    )]
    HubPart,
    /// Longer than a name can be.
    #[error(
        "without its * its path is longer than {MAX_PATH_BYTES} bytes or its registry than {MAX_REGISTRY_BYTES}, which a name's can't be"
    )]
    TooLong,
}

explain! { PatternError,
    _ => ["repository-pattern", Usage, "a pattern is HOST/PATH: * stands for text within a part, ** for whole parts"],
}

impl Pattern {
    /// Whether it allows `repository`.
    pub fn allows(&self, repository: &CanonicalRepository) -> bool {
        let registry = if self.with_port { repository.registry_with_port() } else { repository.registry() };
        pattern::covers(&self.parts, &format!("{registry}/{}", repository.path()))
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        if text.contains("://") {
            return Err(PatternError::Scheme);
        }
        if text.contains('@') {
            return Err(PatternError::NotARepository);
        }
        for part in text.split('/') {
            if part.is_empty() {
                return Err(PatternError::EmptyPart);
            }
            if part != "**" && part.contains("**") {
                return Err(PatternError::HalfGlobstar);
            }
        }
        let (registry, path) = split(text)?;
        check_path(path)?;
        let registry: HostPattern = registry.parse()?;
        let is_hub = registry.is_docker_hub();
        let HostPattern { glob, with_port } = registry;
        let path = match (is_hub, path.split_once('/')) {
            // `docker.io/alpine` lies in `library`; `docker.io/**` speaks of all there is. On other ports no `library` is added, so
            // that one part can't be meant for all of them.
            (true, None) if path != "**" && (with_port || path.contains('*')) => {
                return Err(PatternError::HubPart);
            }
            (true, None) if path != "**" => format!("library/{path}"),
            _ => path.to_owned(),
        };
        if least_bytes(&glob) > MAX_REGISTRY_BYTES || least_bytes(&path) > MAX_PATH_BYTES {
            return Err(PatternError::TooLong);
        }
        let mut parts = vec![glob];
        parts.extend(path.split('/').filter(|part| !part.is_empty()).map(str::to_owned));
        if parts.last().is_some_and(|last| last == "**") {
            // At the end it stands for one part at least: `HOST/team/**` is what lies below `team`.
            parts.insert(parts.len() - 1, "*".to_owned());
        }
        Ok(Self { text: text.to_owned(), parts, with_port })
    }
}

/// The registry's part and the path's, which is empty for `**` alone.
fn split(text: &str) -> Result<(&str, &str), PatternError> {
    let (first, rest) = match text.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    };
    // The same question that a name is asked: is its first part a registry?
    let is_host = first.contains(['.', ':', '*']) || first == "localhost";
    match rest {
        None if first == "**" => Ok((first, "")),
        None if first.contains('*') => Err(PatternError::OnePart),
        None if is_host => Err(PatternError::OnlyHost),
        Some(rest) if is_host => Ok((first, rest)),
        _ => Ok((DEFAULT_REGISTRY, text)),
    }
}

/// How many bytes each registry, or path, has that a pattern matches: those that aren't stars, and a `/` between parts that aren't `**`.
fn least_bytes(pattern: &str) -> usize {
    let fixed = |part: &str| part.bytes().filter(|b| *b != b'*').count();
    let parts = pattern.split('/').filter(|part| *part != "**" && !part.is_empty());
    parts.map(|part| 1 + fixed(part).max(1)).sum::<usize>().saturating_sub(1)
}

/// Whether repositories could have such a path.
fn check_path(path: &str) -> Result<(), PatternError> {
    let known =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'*' | b'/');
    if path.contains(':') {
        return Err(PatternError::NotARepository);
    }
    if !path.bytes().all(known) {
        return Err(PatternError::Character);
    }
    // A `*` can stand for a letter. What is no part with a letter there is none with anything else: a separator stays at an
    // end, or beside another that it can't stand beside.
    let could_be = |part: &str| part == "**" || is_path_component(&part.replace('*', "a"));
    if path.is_empty() || path.split('/').all(could_be) { Ok(()) } else { Err(PatternError::Path) }
}

impl fmt::Display for Pattern {
    /// As the user wrote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&foreign::escape(&self.text, 200))
    }
}

/// Whether one of `patterns` is for `repository`, or there are none.
pub fn allows(patterns: &[Pattern], repository: &Repository, plain_http: &PlainHttp) -> bool {
    let names = repository.canonical_names(plain_http.has(repository));
    patterns.is_empty() || patterns.iter().any(|pattern| names.iter().any(|name| pattern.allows(name)))
}

#[cfg(test)]
mod tests;
