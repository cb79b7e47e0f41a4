//! What a list names has to be in the registry, too.
//!
//! Some registries delete what a tag pointed to when the tag is overwritten: Gitea deletes the manifest and the blobs
//! that only it named. Of two signers that write at once, the second one's list then lacks the first one's entry; and as soon as a
//! list names both again, the registry refuses it, because the first one's content is gone.
//!
//! So content that is missing is put back before the list is written again, from what this run has made and from what
//! it has read of others'. The run reads others' content only where it has met another writer, on a registry that isn't known
//! to keep what is overwritten: elsewhere that would be requests for nothing. It is kept in the [`Memory`](super::memory::Memory), which bounds it to 16 MiB a store.
//! What isn't known here is left to its own signer, who reads the list again too; the flow decides how long.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Entry, StoreError, Written, entry};
use crate::oci::json::{elements, fields};
use crate::oci::{Digest, Repository, Target};
use crate::registry::RegistryError;
use crate::registry::client::Client;

/// How many blobs of a manifest are put back with it: a signature's has two, and what has more than this is none.
const MAX_BLOBS: usize = 16;

/// How many parts are looked up, or put back, at a time.
pub(super) const AT_A_TIME: usize = 8;

/// How long after the first look a part that was missing is looked for again. A registry that keeps its links in files
/// loses sight of a part for a moment while another signer uploads it again.
const GLANCE: Duration = Duration::from_millis(50);

/// Something that a list names.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The entry that names it; `None`: it is the config of the list.
    pub(super) entry: Option<Entry>,
    /// The blob or manifest that is kept.
    pub(super) content: Content,
    /// What it names itself, where it is a manifest.
    pub(super) blobs: Vec<Content>,
}

/// Something that a registry holds, by its digest.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) name: Name,
    /// Its bytes; `None`: they aren't known here.
    pub(super) bytes: Option<Bytes>,
}

/// By what content is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// A blob with this digest.
    Blob(Digest),
    /// A manifest, with its media type.
    Manifest(Digest, String),
}

/// What was missing of a list.
#[derive(Clone, Debug, Default)]
pub struct Mended {
    /// Whether anything was missing that is there now, or comes with the next list.
    pub put_back: bool,
    /// The entries whose content is missing and isn't known here.
    pub gone: Vec<Entry>,
}

impl Content {
    pub(super) fn blob(digest: Digest, bytes: Option<Bytes>) -> Self {
        Self { name: Name::Blob(digest), bytes }
    }
}

impl Part {
    /// A part that is a blob.
    pub(super) fn blob(entry: Option<Entry>, digest: Digest, bytes: Option<Bytes>) -> Self {
        Self { entry, content: Content::blob(digest, bytes), blobs: Vec::new() }
    }

    /// What it names comes first: a manifest is refused where its blobs are missing.
    fn contents(&self) -> impl Iterator<Item = &Content> {
        self.blobs.iter().chain([&self.content])
    }
}

/// Puts back parts of lists, and knows which repositories lose them.
pub(super) struct Parts {
    client: Client,
    seen: Mutex<HashMap<Repository, Risk>>,
}

/// What parts of lists are exposed to in a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Risk {
    /// Nothing is known about lost content.
    #[default]
    Unknown,
    /// Another writer overwrites lists.
    Met,
    /// The registry deleted some of the content.
    Lost,
}

impl Parts {
    pub(super) fn new(client: Client) -> Self {
        Self { client, seen: Mutex::default() }
    }

    /// Whether a part of a list was missing in `repository`, so that all of them have to be looked for.
    pub(super) fn are_lost(&self, repository: &Repository) -> bool {
        self.risk(repository) == Risk::Lost
    }

    /// Whether others' content is to be kept, as it may have to be put back.
    pub(super) fn are_at_risk(&self, repository: &Repository) -> bool {
        self.risk(repository) >= Risk::Met
    }

    /// Whether the registry may delete what a write replaces.
    pub(super) fn may_be_lost(&self, repository: &Repository) -> bool {
        self.are_lost(repository) || !self.client.keeps_overwritten(repository)
    }

    fn risk(&self, repository: &Repository) -> Risk {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(repository).copied().unwrap_or_default()
    }

    fn note(&self, repository: &Repository, risk: Risk) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(repository.clone()).or_default();
        *known = risk.max(*known);
    }

    /// Writes a list of `parts` by `write`, and once more after putting back what was missing.
    pub(super) async fn write<W: Future<Output = Result<Written, StoreError>>>(
        &self,
        repository: &Repository,
        failed: impl Fn(RegistryError) -> StoreError,
        parts: impl Fn() -> Vec<Part>,
        write: impl Fn() -> W,
    ) -> Result<Written, StoreError> {
        let mut mended = Mended::default();
        if self.are_lost(repository) {
            mended = self.mend(repository, parts()).await.map_err(&failed)?;
        }
        let refusal = match write().await {
            Err(error) if error.may_lack_parts() => error,
            written => {
                if matches!(written, Ok(Written::Met(_))) && self.may_be_lost(repository) {
                    self.note(repository, Risk::Met);
                }
                return written;
            }
        };
        if mended.gone.is_empty() {
            mended = self.mend(repository, parts()).await.map_err(&failed)?;
        }
        match mended {
            Mended { put_back: false, gone } if gone.is_empty() => Err(refusal),
            Mended { gone, .. } if gone.is_empty() => write().await,
            Mended { gone, .. } => Ok(Written::Lacks { refusal: Box::new(refusal), gone }),
        }
    }

    /// Looks for `parts`, and puts back those that are missing and known.
    ///
    /// # Errors
    ///
    /// When the registry doesn't answer, or doesn't take them.
    pub(super) async fn mend(
        &self,
        repository: &Repository,
        parts: Vec<Part>,
    ) -> Result<Mended, RegistryError> {
        let names: HashSet<Name> =
            parts.iter().flat_map(Part::contents).map(|content| content.name.clone()).collect();
        let mut missing = self.missing(repository, names).await?;
        if !missing.is_empty() && !self.are_lost(repository) {
            tokio::time::sleep(GLANCE).await;
            missing = self.missing(repository, missing).await?;
        }
        if missing.is_empty() {
            return Ok(Mended::default());
        }
        tracing::debug!(%repository, missing = missing.len(), "the registry has lost parts of a list");
        self.note(repository, Risk::Lost);
        let put_back = self.put_back(repository, &parts, &missing).await?;
        let lacks = |content: &Content| missing.contains(&content.name) && !put_back.contains(&content.name);
        let (mut gone, mut config_is_gone) = (Vec::new(), false);
        for part in parts {
            if part.contents().any(lacks) {
                config_is_gone |= part.entry.is_none();
                gone.extend(part.entry);
            }
        }
        Ok(Mended { put_back: !put_back.is_empty() || config_is_gone, gone })
    }

    /// Which of `names` the registry doesn't hold.
    async fn missing(
        &self,
        repository: &Repository,
        names: HashSet<Name>,
    ) -> Result<HashSet<Name>, RegistryError> {
        let look = |name: Name| async move {
            let holds = match &name {
                Name::Blob(digest) => self.client.holds_blob(repository, digest).await?,
                Name::Manifest(digest, _) => self.client.holds_manifest(repository, digest).await?,
            };
            Ok((!holds).then_some(name))
        };
        let looks = stream::iter(names).map(look).buffer_unordered(AT_A_TIME);
        looks.try_filter_map(|missing| async { Ok(missing) }).try_collect().await
    }

    /// Puts back those of `missing` that are known; the names of those. Blobs first, and a manifest only if all its blobs are there.
    async fn put_back(
        &self,
        repository: &Repository,
        parts: &[Part],
        missing: &HashSet<Name>,
    ) -> Result<HashSet<Name>, RegistryError> {
        let (mut blobs, mut manifests) = (HashMap::new(), HashMap::new());
        for part in parts {
            let lacks = |content: &Content| missing.contains(&content.name) && content.bytes.is_none();
            if part.contents().any(lacks) {
                continue;
            }
            for content in part.contents().filter(|content| missing.contains(&content.name)) {
                let kind = match content.name {
                    Name::Blob(_) => &mut blobs,
                    Name::Manifest(..) => &mut manifests,
                };
                kind.insert(content.name.clone(), content.bytes.clone().unwrap_or_default());
            }
        }
        let names = blobs.keys().chain(manifests.keys()).cloned().collect();
        for contents in [blobs, manifests] {
            let put = |(name, bytes)| self.put(repository, name, bytes);
            stream::iter(contents).map(put).buffer_unordered(AT_A_TIME).try_collect::<Vec<_>>().await?;
        }
        Ok(names)
    }

    async fn put(&self, repository: &Repository, name: Name, bytes: Bytes) -> Result<(), RegistryError> {
        match name {
            Name::Blob(_) => self.client.put_blob(repository, bytes).await.map(|_| ()),
            Name::Manifest(digest, media_type) => {
                let target = Target::Digest(digest);
                self.client.put_manifest(repository, &target, &media_type, bytes).await.map(|_| ())
            }
        }
    }
}

/// The digest and the size that an entry says.
pub(super) fn named(entry: &Entry) -> Option<(Digest, u64)> {
    named_in(&entry.descriptor()?)
}

fn named_in(descriptor: &Value) -> Option<(Digest, u64)> {
    Some((entry::digest_of(descriptor)?, descriptor.get("size")?.as_u64()?))
}

/// The digests and sizes of the config and the layers of a manifest; empty: it is not the manifest of a signature.
pub(super) fn blobs_of(manifest: &[u8]) -> Vec<(Digest, u64)> {
    let mut texts = Vec::new();
    let read = fields(manifest, |name, value| match &*name {
        "config" => texts.push(value),
        "layers" => {
            // A value that is not a list has no layers.
            let _ = elements(value, |layer| {
                if texts.len() <= MAX_BLOBS {
                    texts.push(layer);
                }
            });
        }
        _ => {}
    });
    if read.is_err() || texts.len() > MAX_BLOBS {
        return Vec::new();
    }
    let named = |text: &&RawValue| named_in(&entry::read(text.get().as_bytes())?);
    texts.iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blobs_of_a_signature_are_named() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let text = format!(
            r#"{{"config":{{"digest":"{one}","size":1}},"layers":[{{"digest":"{two}","size":2}},{{"digest":"x","size":3}},7]}}"#
        );
        assert_eq!(blobs_of(text.as_bytes()), [(one, 1), (two, 2)]);
        let layers = vec!["{}"; MAX_BLOBS + 1].join(",");
        for text in ["", "[]", "{}", r#"{"layers":{}}"#, &format!(r#"{{"layers":[{layers}]}}"#)] {
            assert!(blobs_of(text.as_bytes()).is_empty(), "{text}");
        }
    }
}
