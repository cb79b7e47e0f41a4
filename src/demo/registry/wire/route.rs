//! Which endpoint a path names.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints>

use percent_encoding::percent_decode_str;

use super::address::Address;
use crate::oci::{Named, Repository};

/// An endpoint, with every name in it checked against the specification's grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`: is this a registry, and are the credentials good?
    Base,
    /// `/token`: the token service.
    Token,
    /// `/v2/NAME/blobs/DIGEST`: a blob of a repository.
    Blob {
        /// The name of the repository.
        repository: String,
        /// The digest in the path.
        digest: Address,
    },
    /// `/v2/NAME/blobs/uploads/`: the start of an upload.
    Uploads {
        /// The name of the repository.
        repository: String,
    },
    /// `/v2/NAME/blobs/uploads/ID`: a running upload.
    Upload {
        /// The name of the repository.
        repository: String,
        /// The ID of the upload session.
        id: String,
    },
    /// `/v2/NAME/manifests/REFERENCE`: a manifest of a repository.
    Manifest {
        /// The name of the repository.
        repository: String,
        /// The tag or digest.
        reference: Reference,
    },
    /// `/v2/NAME/tags/list`: the tags of a repository.
    Tags {
        /// The name of the repository.
        repository: String,
    },
    /// `/v2/NAME/referrers/DIGEST`: the referrers of a manifest.
    Referrers {
        /// The name of the repository.
        repository: String,
        /// The digest in the path.
        digest: Address,
    },
}

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The reference is a tag.
    Tag(String),
    /// The reference is a digest.
    Digest(Address),
}

/// Why a path names no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// Nothing is served under such a path.
    Path,
    /// The repository's name breaks the grammar.
    Name,
    /// The tag breaks the grammar.
    Tag,
    /// The digest is malformed, or of an unknown algorithm.
    Digest,
}

impl Route {
    /// The repository, where the endpoint has one.
    pub fn repository(&self) -> Option<&str> {
        match self {
            Self::Base | Self::Token => None,
            Self::Blob { repository, .. }
            | Self::Uploads { repository }
            | Self::Upload { repository, .. }
            | Self::Manifest { repository, .. }
            | Self::Tags { repository }
            | Self::Referrers { repository, .. } => Some(repository),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// The endpoint that `path`, without its query, names.
///
/// # Errors
///
/// [`NoRoute`] says which part of the path is wrong.
pub fn route(path: &str) -> Result<Route, NoRoute> {
    let path = percent_decode_str(path).decode_utf8().map_err(|_| NoRoute::Path)?;
    let rest = match path.as_ref() {
        "/token" => return Ok(Route::Token),
        "/v2" | "/v2/" => return Ok(Route::Base),
        path => path.strip_prefix("/v2/").ok_or(NoRoute::Path)?,
    };
    // A repository may itself have a part named `blobs`, so the last parts decide.
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
            Ok(Route::Uploads { repository: repository(name)? })
        }
        [name @ .., "blobs", "uploads", id] => {
            Ok(Route::Upload { repository: repository(name)?, id: (*id).to_owned() })
        }
        [name @ .., "blobs", digest] => {
            Ok(Route::Blob { repository: repository(name)?, digest: address(digest)? })
        }
        [name @ .., "manifests", text] => {
            Ok(Route::Manifest { repository: repository(name)?, reference: reference(text)? })
        }
        [name @ .., "tags", "list"] => Ok(Route::Tags { repository: repository(name)? }),
        [name @ .., "referrers", digest] => {
            Ok(Route::Referrers { repository: repository(name)?, digest: address(digest)? })
        }
        _ => Err(NoRoute::Path),
    }
}

/// The name, checked as the names of images are: with a host before it, by the same code.
pub(in crate::demo::registry) fn repository(parts: &[&str]) -> Result<String, NoRoute> {
    let name = parts.join("/");
    format!("localhost/{name}").parse::<Repository>().map_err(|_| NoRoute::Name)?;
    Ok(name)
}

/// A tag or a digest; what has a `:` in it can only be meant as a digest.
pub(in crate::demo::registry) fn reference(text: &str) -> Result<Reference, NoRoute> {
    if text.contains(':') {
        return address(text).map(Reference::Digest);
    }
    match format!("localhost/x:{text}").parse::<Named>() {
        Ok(Named { tag: Some(tag), digest: None, .. }) if tag == text => Ok(Reference::Tag(tag)),
        _ => Err(NoRoute::Tag),
    }
}

fn address(text: &str) -> Result<Address, NoRoute> {
    text.parse().map_err(|_| NoRoute::Digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest() -> Address {
        Address::of(b"x")
    }

    #[test]
    fn every_endpoint_is_found() {
        let repository = || "team/app".to_owned();
        for (path, want) in [
            ("/v2/".to_owned(), Route::Base),
            ("/v2".to_owned(), Route::Base),
            ("/token".to_owned(), Route::Token),
            (
                format!("/v2/team/app/blobs/{}", digest()),
                Route::Blob { repository: repository(), digest: digest() },
            ),
            ("/v2/team/app/blobs/uploads/".to_owned(), Route::Uploads { repository: repository() }),
            (
                "/v2/team/app/blobs/uploads/1-2".to_owned(),
                Route::Upload { repository: repository(), id: "1-2".to_owned() },
            ),
            (
                "/v2/team/app/manifests/v1".to_owned(),
                Route::Manifest { repository: repository(), reference: Reference::Tag("v1".to_owned()) },
            ),
            (
                format!("/v2/team/app/manifests/{}", digest().as_str().replace(':', "%3A")),
                Route::Manifest { repository: repository(), reference: Reference::Digest(digest()) },
            ),
            ("/v2/team/app/tags/list".to_owned(), Route::Tags { repository: repository() }),
            (
                format!("/v2/team/app/referrers/{}", digest()),
                Route::Referrers { repository: repository(), digest: digest() },
            ),
            (
                "/v2/blobs/manifests/tags/list".to_owned(),
                Route::Tags { repository: "blobs/manifests".to_owned() },
            ),
        ] {
            assert_eq!(route(&path), Ok(want), "{path}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (path, want) in [
            ("/", NoRoute::Path),
            ("/v1/", NoRoute::Path),
            ("/v2/app", NoRoute::Path),
            ("/v2/app/%ff/list", NoRoute::Path),
            ("/v2/tags/list", NoRoute::Name),
            ("/v2/App/tags/list", NoRoute::Name),
            ("/v2/a/../b/tags/list", NoRoute::Name),
            ("/v2/app/manifests/", NoRoute::Tag),
            ("/v2/app/manifests/.hidden", NoRoute::Tag),
            ("/v2/app/manifests/a@b", NoRoute::Tag),
            ("/v2/app/manifests/sha256:ab", NoRoute::Digest),
            ("/v2/app/blobs/latest", NoRoute::Digest),
            ("/v2/app/referrers/md5:ab", NoRoute::Digest),
        ] {
            assert_eq!(route(path), Err(want), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_repository_that_is_found_is_in_the_path(path in "/v2/[a-z0-9._/-]{0,40}/(tags/list|manifests/v1|blobs/uploads/)") {
            if let Ok(found) = route(&path) {
                let name = found.repository().unwrap_or_default();
                let prefix = format!("/v2/{name}/");
                prop_assert!(path.starts_with(&prefix));
            }
        }

        #[test]
        fn no_path_makes_it_panic(path in "\\PC*") {
            let _ = route(&path);
        }
    }
}
