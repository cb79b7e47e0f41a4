//! Everything that lies beside an image, whatever it is: the manifests under cosign's tags, and the referrers.
//!
//! Nothing of it is verified. A look-up that fails is an error: it never counts as "nothing there".

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::referrer::ReferrerManifest;
use super::shelf::Shelf;
use super::tag_prefix::TagPrefix;
use super::{StoreError, bundle, entry, oci_tag};
use crate::explain::explain;
use crate::foreign::UntrustedText;
use crate::found::{annotation, text};
use crate::oci::{Digest, ImageRef, Manifest, Repository, Target};
use crate::registry::RegistryError;
use crate::registry::client::{Client, NoApi, Peer, Referrers as Asked};

/// How many referrers are read; of more, the others are counted.
const MAX_READ: usize = 1000;
/// How many manifests of referrers are read at a time.
const AT_A_TIME: usize = 16;

/// What lies under one of cosign's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signatures of the image: the tag ends with `.sig`.
    Signatures,
    /// Attestations about the image: the tag ends with `.att`.
    Attestations,
    /// An SBOM that is not signed: `.sbom`.
    Sbom,
}

impl Kind {
    /// What the tag ends with.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::Signatures => oci_tag::Contents::Signatures.suffix(),
            Self::Attestations => oci_tag::Contents::Attestations.suffix(),
            Self::Sbom => "sbom",
        }
    }
}

/// Why something beside an image can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BesideError {
    /// The registry doesn't say what is there.
    #[error("cannot read what is at {location}")]
    Read {
        /// The tag or digest in the registry.
        location: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// Something is there that can't be read for what it should be.
    #[error("what is at {location} can't be used: {what}")]
    Unusable {
        /// The tag or digest in the registry.
        location: String,
        /// What is wrong with it.
        what: String,
    },
    /// An SBOM can't be pushed.
    #[error("cannot attach the SBOM at {location}")]
    Push {
        /// The tag or digest in the registry.
        location: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// An SBOM was pushed, and isn't what is there now.
    #[error("the SBOM was pushed to {location}, and {what}")]
    NotThere {
        /// Where it should be.
        location: String,
        /// What is there instead.
        what: &'static str,
    },
    /// The list of referrers has no room, or what is written can't be JSON.
    #[error(transparent)]
    List(StoreError),
}

impl From<StoreError> for BesideError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Read { location, source } => Self::Read { location, source },
            // Its words are about a signature.
            StoreError::Push { location, source, .. } => Self::Push { location, source },
            StoreError::Foreign { location, what } => Self::Unusable { location, what: what.to_owned() },
            other => Self::List(other),
        }
    }
}

impl BesideError {
    pub(super) fn read(location: String, source: RegistryError) -> Self {
        Self::Read { location, source: Box::new(source) }
    }

    pub(super) fn unusable(location: String, what: impl Into<String>) -> Self {
        Self::Unusable { location, what: what.into() }
    }
}

explain! { BesideError,
    Self::Read { source, .. } | Self::Push { source, .. } => [of source.as_ref()],
    Self::Unusable { .. } => ["attached-unusable", Failed,
        "nothing was overwritten; look at it with `crane manifest`, and remove it if it is not needed"],
    Self::NotThere { .. } => ["attached-not-there", Failed, "run again; if it happens again, look what else writes there"],
    Self::List(error) => [of error],
}

/// A descriptor, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The digest as it is written.
    pub digest: UntrustedText,
    /// The media type; empty: none is written.
    pub media_type: UntrustedText,
    /// The size in bytes; `None`: none is written.
    pub size_bytes: Option<u64>,
    /// The predicate type that its annotations state.
    pub predicate_type: Option<UntrustedText>,
}

/// A manifest that names the image as its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The digest of the referrer's manifest.
    pub digest: Digest,
    /// What it is: the artifact type, or else the media type of its config; empty: it says neither.
    pub artifact_type: UntrustedText,
    /// The predicate type that its annotations state: that of a Sigstore bundle.
    pub predicate_type: Option<UntrustedText>,
    /// Its layers; `None`: its manifest could not be read, for this reason.
    pub layers: Result<Vec<Layer>, String>,
}

/// The referrers of an image.
#[derive(Debug, Default)]
pub struct Referrers {
    /// Those that were read, in the order of the list.
    pub all: Vec<Referrer>,
    /// How many more are listed, at least.
    pub more: usize,
    /// How the registry refuses its list to a login that may read manifests; `None`: it does not.
    pub refused: Option<String>,
}

/// The descriptors of an image's referrers.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) descriptors: Vec<Value>,
    /// Whether there are more.
    is_cut: bool,
    /// How the registry refuses the list.
    pub(super) refused: Option<String>,
}

/// Looks beside images.
#[derive(Clone, Debug)]
pub struct Beside {
    pub(super) client: Client,
    repository: Option<Repository>,
    prefix: TagPrefix,
}

impl Beside {
    /// Looks in each image's repository, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>) -> Self {
        Self { client, repository, prefix: TagPrefix::default() }
    }

    /// The same if the names of tags begin with `prefix`.
    #[must_use]
    pub(crate) fn with_prefix(self, prefix: TagPrefix) -> Self {
        Self { prefix, ..self }
    }

    /// The tag of `image`.
    ///
    /// Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SIGNATURE_SPEC.md#tag-based-discovery>
    pub fn tag(&self, image: &ImageRef, kind: Kind) -> String {
        self.prefix.tag(&image.digest, kind.end())
    }

    /// Where it looks for what is beside `image`.
    pub fn repository<'a>(&'a self, image: &'a ImageRef) -> &'a Repository {
        self.repository.as_ref().unwrap_or(&image.repository)
    }

    /// The name of a tag of `image`.
    pub(crate) fn tag_name(&self, image: &ImageRef, kind: Kind) -> String {
        format!("{}:{}", self.repository(image), self.tag(image, kind))
    }

    /// The manifest under a tag; `None`: there is none.
    ///
    /// # Errors
    ///
    /// When the registry doesn't say.
    pub(crate) async fn tagged(&self, image: &ImageRef, kind: Kind) -> Result<Option<Manifest>, BesideError> {
        let found = self.client.list(self.repository(image), &self.tag(image, kind), &image.digest).await;
        found.map_err(|source| BesideError::read(self.tag_name(image, kind), source))
    }

    /// The layers under a tag; `None`: there is none.
    ///
    /// # Errors
    ///
    /// When the registry doesn't say, or it isn't a manifest with layers.
    pub async fn layers(&self, image: &ImageRef, kind: Kind) -> Result<Option<Vec<Layer>>, BesideError> {
        let Some(manifest) = self.tagged(image, kind).await? else { return Ok(None) };
        let location = self.tag_name(image, kind);
        let layers = layers(&manifest, &location);
        layers.map(Some).map_err(|what| BesideError::unusable(location, what))
    }

    /// The referrers of `image`, each with what its manifest holds.
    ///
    /// # Errors
    ///
    /// When they can't be listed, or a manifest can't be looked up.
    pub async fn referrers(&self, image: &ImageRef) -> Result<Referrers, BesideError> {
        let listed = self.listed(image, &|_| true).await?;
        let more = listed.descriptors.len().saturating_sub(MAX_READ) + usize::from(listed.is_cut);
        let reads = listed.descriptors.iter().take(MAX_READ).filter_map(|descriptor| {
            let digest = entry::digest_of(descriptor)?;
            Some(async move { self.referrer(image, descriptor, digest).await })
        });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffered(AT_A_TIME);
        let mut all = Vec::new();
        while let Some(read) = reads.next().await {
            all.push(read?);
        }
        Ok(Referrers { all, more, refused: listed.refused })
    }

    async fn referrer(
        &self,
        image: &ImageRef,
        descriptor: &Value,
        digest: Digest,
    ) -> Result<Referrer, BesideError> {
        let repository = self.repository(image);
        let location = format!("{repository}@{digest}");
        let manifest = self.client.manifest(repository, &Target::Digest(digest.clone())).await;
        let (manifest, why) = match manifest {
            Ok(Some(manifest)) => (Some(manifest), ""),
            Ok(None) => (None, "the registry lists it and doesn't hold it"),
            Err(source) => {
                let error = StoreError::read(location.clone(), source);
                if !error.is_bad_content() {
                    return Err(error.into());
                }
                (None, "it is not what its digest names")
            }
        };
        let read = manifest.as_ref().and_then(|manifest| ReferrerManifest::read(&manifest.bytes));
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(UntrustedText::from);
        let listed_type = owned(text(descriptor, "artifactType"));
        let own_type = || read.as_ref().and_then(|read| owned(read.kind.as_deref()));
        let listed_predicate = owned(annotation(descriptor, bundle::PREDICATE_ANNOTATION));
        let own_predicate = || read.as_ref().and_then(|read| owned(read.predicate_type.as_deref()));
        Ok(Referrer {
            artifact_type: listed_type.or_else(own_type).unwrap_or_default(),
            predicate_type: listed_predicate.or_else(own_predicate),
            layers: match &manifest {
                Some(manifest) => layers(manifest, &location),
                None => Err(why.to_owned()),
            },
            digest,
        })
    }

    /// The descriptors of the referrers that `keeps` accepts, each once: those that the registry lists, then what the fallback tag lists
    /// beside them. Old tags stay when a registry gets the API, and some registries answer with an empty list whatever they hold.
    pub(super) async fn listed(
        &self,
        image: &ImageRef,
        keeps: &(dyn Fn(&Value) -> bool + Sync),
    ) -> Result<Listed, BesideError> {
        let repository = self.repository(image);
        let location = format!("{repository}@{} (referrers)", image.digest);
        let failed = |source| BesideError::read(location.clone(), source);
        let asked = self.client.referrers(repository, &image.digest, keeps);
        let (asked, tagged) = tokio::join!(asked, self.fallback(image));
        let mut listed = Listed::default();
        match asked.map_err(failed)? {
            Asked::Listed(listing) => {
                if let Some(error) = listing.failed {
                    return Err(failed(*error));
                }
                listed.is_cut = listing.is_cut;
                listed.descriptors =
                    listing.descriptors.iter().filter_map(|text| entry::read(text)).collect();
            }
            // A token service that refuses may be at fault itself, and so may the host that the registry redirects to.
            Asked::NoApi(NoApi::Refused(error)) if error.peer() != Some(Peer::Registry) => {
                return Err(failed(*error));
            }
            Asked::NoApi(NoApi::Refused(error)) => listed.refused = Some(error.to_string()),
            Asked::NoApi(NoApi::Unknown | NoApi::NotAList) => {}
        }
        for descriptor in tagged?.into_iter().filter(|descriptor| keeps(descriptor)) {
            let digest = text(&descriptor, "digest");
            if !listed.descriptors.iter().any(|known| text(known, "digest") == digest) {
                listed.descriptors.push(descriptor);
            }
        }
        Ok(listed)
    }

    /// What the fallback tag lists.
    async fn fallback(&self, image: &ImageRef) -> Result<Vec<Value>, BesideError> {
        let (repository, tag) = (self.repository(image), format!("sha256-{}", image.digest.hex()));
        let location = format!("{repository}:{tag}");
        let manifest = self.client.list(repository, &tag, &image.digest).await;
        let manifest = manifest.map_err(|source| BesideError::read(location.clone(), source))?;
        let Some(manifest) = manifest else { return Ok(Vec::new()) };
        let shelf = Shelf::of(&manifest, "manifests", &location)?;
        Ok(shelf.entries.iter().filter_map(super::Entry::descriptor).collect())
    }

    /// The bytes of a blob beside `image`, at most `limit_bytes`.
    pub(super) async fn blob(
        &self,
        image: &ImageRef,
        digest: &Digest,
        limit_bytes: u64,
        location: &str,
    ) -> Result<Bytes, BesideError> {
        let bytes = self.client.blob(self.repository(image), digest, limit_bytes).await;
        let bytes = bytes.map_err(|source| BesideError::read(location.to_owned(), source))?;
        bytes.ok_or_else(|| {
            BesideError::unusable(location.to_owned(), format!("the registry lacks its layer {digest}"))
        })
    }
}

/// The layers of a manifest.
fn layers(manifest: &Manifest, location: &str) -> Result<Vec<Layer>, String> {
    let shelf = Shelf::of(manifest, "layers", location).map_err(|error| match error {
        StoreError::Foreign { what, .. } => what.to_owned(),
        other => other.to_string(),
    })?;
    let layer = |descriptor: Value| Layer {
        digest: text(&descriptor, "digest").unwrap_or_default().into(),
        media_type: text(&descriptor, "mediaType").unwrap_or_default().into(),
        size_bytes: descriptor.get("size").and_then(Value::as_u64),
        predicate_type: annotation(&descriptor, oci_tag::PREDICATE_ANNOTATION).map(UntrustedText::from),
    };
    Ok(shelf.entries.iter().filter_map(super::Entry::descriptor).map(layer).collect())
}
