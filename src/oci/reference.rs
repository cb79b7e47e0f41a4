//! Names of repositories and images.
//!
//! A name without a host belongs to Docker Hub, written `index.docker.io` as cosign and Chains write it in
//! what they sign; a first part with a `.` or a `:` in it, or `localhost`, is a host. What looks like a URL
//! (`https://`, `oci://`, `docker://`) is refused: Chains takes the scheme for a part of the name.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>

use std::fmt;
use std::str::FromStr;

use super::authority::Authority;
pub(crate) use super::authority::DEFAULT_REGISTRY;
use super::digest::{Digest, DigestError};
use crate::foreign::UntrustedText;

/// A repository: `HOST[:PORT]/PATH`, as it is spelled. [`Repository::canonical`] is the name that is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
    /// What `registry` is in its one form.
    authority: Authority,
}

/// An image named by its digest: what is signed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// The repository that holds it.
    pub repository: Repository,
    /// The digest of its manifest.
    pub digest: Digest,
}

/// A name as it was written: with a tag, a digest, both or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The repository that holds it.
    pub repository: Repository,
    /// The tag, if one was written.
    pub tag: Option<String>,
    /// The digest, if one was written.
    pub digest: Option<Digest>,
}

/// An image named by a tag. What that stands for, only the registry knows, and only now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagRef {
    /// The repository that holds it.
    pub repository: Repository,
    /// The tag in that repository.
    pub tag: String,
}

/// The tag of a name without a tag and without a digest, as every client has it.
const DEFAULT_TAG: &str = "latest";

impl Named {
    /// The image, where a digest names it, or else the tag: `latest` where there is none.
    ///
    /// # Errors
    ///
    /// The tag, whose image only the registry knows.
    pub(crate) fn into_image(self) -> Result<ImageRef, TagRef> {
        let Self { repository, tag, digest } = self;
        match digest {
            Some(digest) => Ok(ImageRef { repository, digest }),
            None => Err(TagRef { repository, tag: tag.unwrap_or_else(|| DEFAULT_TAG.to_owned()) }),
        }
    }
}

impl AsRef<Repository> for ImageRef {
    fn as_ref(&self) -> &Repository {
        &self.repository
    }
}

impl AsRef<Repository> for Repository {
    fn as_ref(&self) -> &Repository {
        self
    }
}

impl fmt::Display for TagRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// Why a text names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The reference has no characters.
    #[error("it is empty")]
    Empty,
    /// It begins with a URL's scheme.
    #[error("an image name has no \"{0:.40}://\" before it")]
    Scheme(UntrustedText),
    /// A path that is longer than clients accept.
    #[error("its repository is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// A registry that is longer than any host and port are.
    #[error("its registry is longer than {MAX_REGISTRY_BYTES} bytes, which no HOST:PORT is")]
    RegistryTooLong,
    /// The host part is not `HOST[:PORT]`.
    #[error("its registry is not HOST or HOST:PORT")]
    Registry,
    /// The path breaks the specification's grammar.
    #[error("its repository must be lower-case letters, digits, and single separators (. _ - /)")]
    Path,
    /// The tag breaks the specification's grammar.
    #[error("its tag must be at most 128 letters, digits, and _ . -")]
    Tag,
    /// The digest is not one.
    #[error("its digest is malformed")]
    Digest(#[source] DigestError),
    /// A name by tag, where a digest is needed.
    #[error(
        "it names a tag and no digest; a tag can be moved between the build and the signature, so only \
         NAME@sha256:… is signed"
    )]
    NoDigest,
}

/// The longest path that clients accept. The specification only notes that some clients count the registry too; distribution's
/// reference package, which docker, podman and containerd use, and go-containerregistry count the path alone.
///
/// Code: <https://github.com/distribution/reference/blob/v0.6.0/reference.go>, `RepositoryNameTotalLengthMax`.
pub(crate) const MAX_PATH_BYTES: usize = 255;

/// The longest `HOST:PORT`: DNS has no names of more than 253 characters, and a port has five digits. The clients have no limit, but
/// names come from outside and are kept.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4>
pub(crate) const MAX_REGISTRY_BYTES: usize = 253 + ":65535".len();

const MAX_TAG_BYTES: usize = 128;

impl Repository {
    /// The registry as the name has it: `HOST[:PORT]`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry, without a `/` before it.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ReferenceError::Scheme(scheme.into()));
        }
        let (registry, path) = match text.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path.to_owned()),
            Some(_) => (DEFAULT_REGISTRY, text.to_owned()),
            None => (DEFAULT_REGISTRY, format!("library/{text}")),
        };
        let registry = if registry == "docker.io" { DEFAULT_REGISTRY } else { registry };
        let path = match path.split_once('/') {
            None if registry == DEFAULT_REGISTRY => format!("library/{path}"),
            _ => path,
        };
        if registry.len() > MAX_REGISTRY_BYTES {
            return Err(ReferenceError::RegistryTooLong);
        }
        let authority = Authority::parse(registry).ok_or(ReferenceError::Registry)?;
        // With the `library/` of Docker Hub, however that is spelled: the canonical name must be a name too.
        let library = if authority.is_docker_hub() && !path.contains('/') { "library/" } else { "" };
        if library.len() + path.len() > MAX_PATH_BYTES {
            return Err(ReferenceError::TooLong);
        }
        if !path.split('/').all(is_path_component) {
            return Err(ReferenceError::Path);
        }
        Ok(Self { registry: registry.to_owned(), path, authority })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl FromStr for Named {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().map_err(ReferenceError::Digest)?)),
            None => (text, None),
        };
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        let (_, last) = name.split_at(slash);
        let (name, tag) = match last.split_once(':') {
            Some((_, tag)) => (name.get(..name.len() - tag.len() - 1).unwrap_or(name), Some(tag)),
            None => (name, None),
        };
        // The repository first: of `https://x:1` the scheme is what is wrong, not the tag.
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ReferenceError::Scheme(scheme.into()));
        }
        let repository = name.parse()?;
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag);
        }
        Ok(Self { repository, tag: tag.map(str::to_owned), digest })
    }
}

/// Whether `text` can be signed as a `docker-reference`: `REGISTRY/REPOSITORY`, with or without a tag. The digest is signed beside it.
pub(crate) fn is_identity(text: &str) -> bool {
    text.parse::<Named>().is_ok_and(|named| named.digest.is_none())
}

impl FromStr for ImageRef {
    type Err = ReferenceError;

    /// Parses `NAME[:TAG]@sha256:HEX`; the tag is dropped, as cosign drops it from what is signed.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        text.parse::<Named>()?.into_image().map_err(|_| ReferenceError::NoDigest)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

/// `HOST[:PORT]`: a DNS name, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_host(text: &str) -> bool {
    Authority::parse(text).is_some()
}

/// Returns whether text matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
pub(crate) fn is_path_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(alphanumeric)
        && bytes.last().copied().is_some_and(alphanumeric)
        && text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    text.len() <= MAX_TAG_BYTES
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";

    #[test]
    fn names_are_read_as_cosign_reads_them() {
        for (text, want) in [
            ("registry.example/team/app", "registry.example/team/app"),
            ("localhost:5000/a", "localhost:5000/a"),
            ("localhost/x", "localhost/x"),
            ("alpine", "index.docker.io/library/alpine"),
            ("docker.io/alpine", "index.docker.io/library/alpine"),
            ("docker.io/org/app", "index.docker.io/org/app"),
            ("org/app", "index.docker.io/org/app"),
            ("10.77.0.1:5000/bulk/x-1", "10.77.0.1:5000/bulk/x-1"),
            ("[::1]:5000/a/b__c/d--e", "[::1]:5000/a/b__c/d--e"),
            // The spelling stays; what is compared is the canonical name.
            ("LOCALHOST:05000/a", "LOCALHOST:05000/a"),
            ("Registry.example:0443/a", "Registry.example:0443/a"),
            ("Docker.IO/alpine", "Docker.IO/alpine"),
            ("127.1:5000/a", "127.1:5000/a"),
        ] {
            assert_eq!(text.parse::<Repository>().unwrap().to_string(), want, "{text}");
        }
    }

    #[test]
    fn wrong_names_have_their_reason() {
        for (text, want) in [
            ("", ReferenceError::Empty),
            ("https://registry.example/app", ReferenceError::Scheme("https".into())),
            ("registry.example/App", ReferenceError::Path),
            ("registry.example//app", ReferenceError::Path),
            ("registry.example/a/../b", ReferenceError::Path),
            ("registry.example/a___b", ReferenceError::Path),
            ("registry.example/", ReferenceError::Path),
            ("registry.example:port/a", ReferenceError::Registry),
            ("registry.example:0/a", ReferenceError::Registry),
            ("-x.example/a", ReferenceError::Registry),
            ("[::1/a", ReferenceError::Registry),
            ("registry.example:+5000/a", ReferenceError::Registry),
            ("registry.example./a", ReferenceError::Registry),
            ("1.2.3.256/a", ReferenceError::Registry),
            ("LOCALHOST/a", ReferenceError::Path),
        ] {
            assert_eq!(text.parse::<Repository>().unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn the_limit_of_a_name_is_on_its_path() {
        let part = |bytes: usize| "a".repeat(bytes);
        let longest_host = format!("{}.example:65535", [part(63), part(63), part(63), part(53)].join("."));
        for (name, want) in [
            (format!("registry.example/{}", part(255)), None),
            (format!("registry.example/{}", part(256)), Some(ReferenceError::TooLong)),
            (format!("registry.example:5000/{}/{}", part(200), part(54)), None),
            (format!("registry.example:5000/{}/{}", part(200), part(55)), Some(ReferenceError::TooLong)),
            (format!("org/{}", part(251)), None),
            (format!("org/{}", part(252)), Some(ReferenceError::TooLong)),
            // What is written out counts too.
            (part(255 - "library/".len()), None),
            (part(256 - "library/".len()), Some(ReferenceError::TooLong)),
            (format!("docker.io/{}", part(256 - "library/".len())), Some(ReferenceError::TooLong)),
            (format!("Docker.IO/{}", part(255 - "library/".len())), None),
            (format!("registry-1.docker.io/{}", part(256 - "library/".len())), Some(ReferenceError::TooLong)),
            (format!("{longest_host}/{}", part(255)), None),
            (format!("a{longest_host}/app"), Some(ReferenceError::RegistryTooLong)),
            (format!("registry.example:{}443/app", "0".repeat(300)), Some(ReferenceError::RegistryTooLong)),
        ] {
            match (name.parse::<Repository>(), want) {
                (Ok(named), None) => assert_eq!(named.to_string().parse(), Ok(named), "{name}"),
                (found, want) => assert_eq!(found.err(), want, "{name}"),
            }
        }
    }

    #[test]
    fn an_image_needs_its_digest() {
        let image: ImageRef = format!("registry.example:5000/app:v1@sha256:{HEX}").parse().unwrap();
        assert_eq!(image.to_string(), format!("registry.example:5000/app@sha256:{HEX}"));
        assert_eq!("registry.example/app:v1".parse::<ImageRef>(), Err(ReferenceError::NoDigest));
        assert_eq!("app:v 1".parse::<Named>(), Err(ReferenceError::Tag));
        assert_eq!(
            "https://registry.example/app:v1".parse::<Named>(),
            Err(ReferenceError::Scheme("https".into()))
        );
        assert_eq!("app@sha256:abc".parse::<ImageRef>(), Err(ReferenceError::Digest(DigestError::Hex)));
    }
}
