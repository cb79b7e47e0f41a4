//! Writing a list of descriptors under a tag that others write too.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::shelf::Shelf;
use super::{LONGEST_WATCH, StoreError, Written};
use crate::oci::{Digest, ImageRef, Repository};
use crate::registry::RegistryError;
use crate::registry::client::Client;

/// Registries take manifests of 4 MiB at least, and most take no more.
///
/// Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests>
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// How old a list may be that is written without being read again.
const FRESH: Duration = Duration::from_millis(4);

/// How old a list may be when what replaces it goes out, at first: a read and a write from nearby take a fiftieth of it, and a third on a busy machine.
const OUTDATED: Duration = Duration::from_millis(250);
/// The same in quickest answers: a write may need a new connection, and that its TLS session.
const OUTDATED_ANSWERS: u32 = 4;

/// A tag that holds a list of signatures.
pub(super) struct Tag<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) name: String,
    /// What the list is about.
    pub(super) subject: &'a Digest,
    /// The manifest's field with the list: `layers` or `manifests`.
    pub(super) field: &'static str,
}

impl Tag<'_> {
    pub(super) fn location(&self) -> String {
        format!("{}:{}", self.repository, self.name)
    }

    /// Reads the list; an absent tag is an empty one.
    pub(super) async fn read(&self) -> Result<Shelf, StoreError> {
        // What an answer says may be as old as the question.
        let asked = Instant::now();
        let manifest = self.client.list(self.repository, &self.name, self.subject).await;
        let manifest = manifest.map_err(|source| StoreError::read(self.location(), source))?;
        let shelf = manifest.map(|manifest| Shelf::of(&manifest, self.field, &self.location()));
        Ok(Shelf { read_at: Some(asked), ..shelf.transpose()?.unwrap_or_default() })
    }

    /// Puts `bytes`, unless what was there has changed since `merged` was read.
    ///
    /// What was read just now isn't read again. Otherwise it is, and the write waits for the answer, however often it takes: a registry can't compare
    /// and swap, so what lies there has to be known right before. A write beside a read that then failed, or was sent again after it,
    /// would replace what another signer wrote, and nobody would know. For the same reason a write whose read is old by the moment at which
    /// its bytes go out is not sent, and the list is read again: this process may have been stopped in between.
    pub(super) async fn replace(
        &self,
        image: &ImageRef,
        merged: &Shelf,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Written, StoreError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(StoreError::Full { location: self.location(), size: bytes.len() });
        }
        let mut read_at = merged.read_at.filter(|at| self.is_fresh(*at));
        let mut most_age =
            OUTDATED.max(self.client.fastest(self.repository).unwrap_or_default() * OUTDATED_ANSWERS);
        let mut last_read = Duration::ZERO;
        loop {
            let asked = match read_at.take() {
                Some(asked) => asked,
                None => {
                    let asked = Instant::now();
                    let before = self.read().await?;
                    if before.version != merged.version {
                        return Ok(Written::Met(before));
                    }
                    last_read = asked.elapsed();
                    asked
                }
            };
            let send_by = asked + most_age;
            let put = self.client.put_list(self.repository, &self.name, media_type, bytes.clone(), send_by);
            match put.await {
                // A registry whose answers always take that long gets twice the time of its read, but not at the first attempt: a read also
                // takes long when this process is stopped meanwhile.
                Err(error) if error.is_outdated() => most_age = most_age.max(last_read) * 2,
                put => {
                    let may_be_done = put.as_ref().map_or_else(RegistryError::is_transient, |_| true);
                    if may_be_done && asked.elapsed() > LONGEST_WATCH {
                        self.warn_of(asked.elapsed());
                    }
                    put.map_err(|source| StoreError::push(image, self.location(), source))?;
                    // What another signer wrote between the request for the list and this write was replaced unseen. Signers have to watch for
                    // longer than such a gap, and this registry has just shown how long one can be. The round trip of the read is left out.
                    let round_trip = self.client.fastest(self.repository).unwrap_or_default();
                    return Ok(Written::Alone { took: asked.elapsed().saturating_sub(round_trip) });
                }
            }
        }
    }

    /// Warns that this write may have replaced the entries of other signers that have ended.
    fn warn_of(&self, age: Duration) {
        tracing::warn!(
            "it took {:.1} s from reading the list at {} to the answer that it is written, longer than other signers watch theirs: a \
             signature that another signer added meanwhile may be lost. Verify theirs, and let a signer whose signature is missing sign again",
            age.as_secs_f64(),
            self.location()
        );
    }

    /// Whether a list was read just now, and from nearby: nothing lies between that and a write.
    fn is_fresh(&self, read_at: Instant) -> bool {
        read_at.elapsed() < FRESH && self.client.is_near(self.repository)
    }
}
