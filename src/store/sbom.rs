//! An SBOM that is attached to an image, and not signed: cosign's tag `sha256-HEX.sbom`, or a referrer.
//!
//! The tag has one SBOM: a new one replaces it, as cosign's does. A referrer goes beside the others. What is attached is read back
//! before it counts. Anyone with the right to push can replace either.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SBOM_SPEC.md>

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::beside::{Beside, BesideError, Kind};
use super::oci_referrers::INDEX_TYPE;
use super::oci_tag::{self, CONFIG_TYPE, MANIFEST_TYPE};
use super::reader::{Named, named};
use super::referrer::ReferrerManifest;
use super::shelf::{Entry, Shelf};
use super::tagged::Tag;
use super::{Descriptor, StoreError, Subject, Written, entry};
use crate::foreign::UntrustedText;
use crate::found::text;
use crate::oci::{Digest, ImageRef, Target};
use crate::registry::RegistryError;

/// The largest SBOM that is attached or read: what cosign reads by default.
pub(crate) const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// The artifact type of a referrer with an SBOM, which is the media type of its config.
const ARTIFACT_TYPE: &str = "application/vnd.dev.cosign.artifact.sbom.v1+json";
/// The config of such a referrer, as cosign writes it.
const REFERRER_CONFIG: &[u8] = br#"{"architecture":"","created":"0001-01-01T00:00:00Z","os":"","rootfs":{"type":"layers","diff_ids":null},"config":{}}"#;
/// The pauses before what was pushed is looked for again: some registries show it a moment later.
const PAUSES_MS: [u64; 5] = [100, 200, 400, 800, 1600];
/// How often the list under the fallback tag is written again after another client wrote it.
const ATTEMPTS: usize = 10;

/// An SBOM as it was found, without any verification.
#[derive(Clone, Debug)]
pub(crate) struct Sbom {
    /// The media type that its layer has.
    pub media_type: UntrustedText,
    /// Its bytes, which are those that its digest names.
    pub bytes: Bytes,
    /// Where it lies, for people.
    pub location: String,
    /// How many others are attached as referrers.
    pub others: usize,
}

/// An SBOM to attach.
#[derive(Clone, Debug)]
pub(crate) struct NewSbom {
    /// Its bytes, at most [`MAX_BYTES`].
    pub bytes: Bytes,
    /// Its media type.
    pub media_type: &'static str,
}

/// What attaching changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing: it was attached already.
    Nothing,
    /// It was added.
    Added,
    /// It replaced what the manifest with this digest names.
    Replaced(Digest),
}

/// The SBOM that counts as attached to `image`: the last referrer that is listed, or else that under the tag. `None`: there is none.
///
/// # Errors
///
/// When a look-up fails, or what is there isn't an SBOM that can be read.
pub(crate) async fn find(beside: &Beside, image: &ImageRef) -> Result<Option<Sbom>, BesideError> {
    let (listed, tagged) = tokio::join!(beside.listed(image, &is_sbom), beside.tagged(image, Kind::Sbom));
    let listed: Vec<Digest> = listed?.descriptors.iter().filter_map(entry::digest_of).collect();
    let (location, manifest) = match listed.last() {
        Some(digest) => {
            let repository = beside.repository(image);
            let location = format!("{repository}@{digest}");
            let manifest = beside.client.manifest(repository, &Target::Digest(digest.clone())).await;
            let manifest = manifest.map_err(|source| BesideError::read(location.clone(), source))?;
            let absent =
                || BesideError::unusable(location.clone(), "it is listed, and the registry doesn't hold it");
            (location.clone(), manifest.ok_or_else(absent)?)
        }
        None => match tagged? {
            Some(manifest) => (beside.tag_name(image, Kind::Sbom), manifest),
            None => return Ok(None),
        },
    };
    let unusable = |what: String| BesideError::unusable(location.clone(), what);
    let read = ReferrerManifest::read(&manifest.bytes);
    let read = read.ok_or_else(|| unusable("its manifest is not a JSON object".to_owned()))?;
    if !listed.is_empty() && read.subject.as_deref() != Some(image.digest.as_str()) {
        return Err(unusable("its manifest names another subject".to_owned()));
    }
    let layer =
        read.only_layer().ok_or_else(|| unusable("its manifest has not exactly one layer".to_owned()))?;
    let Named { digest, size_bytes } = named(layer, MAX_BYTES).map_err(|error| unusable(error.why))?;
    let bytes = beside.blob(image, &digest, size_bytes, &location).await?;
    let media_type = text(layer, "mediaType").unwrap_or_default().into();
    Ok(Some(Sbom { media_type, bytes, others: listed.len().saturating_sub(1), location }))
}

/// Whether referrers with SBOMs are attached to `image`: readers take the last of them instead of what is under the tag.
///
/// # Errors
///
/// When the list can't be read.
pub(crate) async fn has_referrer(beside: &Beside, image: &ImageRef) -> Result<bool, BesideError> {
    Ok(!beside.listed(image, &is_sbom).await?.descriptors.is_empty())
}

/// Whether the descriptor of a referrer says that it is an SBOM.
fn is_sbom(descriptor: &Value) -> bool {
    text(descriptor, "artifactType") == Some(ARTIFACT_TYPE)
}

/// Attaches `sbom` under the tag of `image`, and reads it back. Returns where, and what that changed.
///
/// # Errors
///
/// When the registry refuses it, or something else is there afterwards.
pub(crate) async fn attach_by_tag(
    beside: &Beside,
    image: &ImageRef,
    sbom: &NewSbom,
) -> Result<(String, Change), BesideError> {
    let (location, repository) = (beside.tag_name(image, Kind::Sbom), beside.repository(image));
    let layer = descriptor(sbom.media_type, &sbom.bytes);
    let before = beside.tagged(image, Kind::Sbom).await?;
    if let Some(before) = &before
        && has_only(&before.bytes, &layer)
        && beside
            .client
            .blob(repository, &layer_digest(sbom), sbom.bytes.len() as u64)
            .await
            .is_ok_and(|held| held.is_some())
    {
        return Ok((location, Change::Nothing));
    }
    let config = oci_tag::config(std::iter::once(layer.digest.clone()))?;
    let manifest = Manifest::new(descriptor(CONFIG_TYPE, &config), layer, None).to_bytes()?;
    let digest = Digest::of(&manifest);
    let failed = |source| BesideError::Push { location: location.clone(), source: Box::new(source) };
    let client = &beside.client;
    let uploads = [sbom.bytes.clone(), config].map(|bytes| client.put_blob(repository, bytes));
    futures_util::future::try_join_all(uploads).await.map_err(failed)?;
    // The last writer's counts, so that it does no harm to send it again.
    let target = Target::Tag(beside.tag(image, Kind::Sbom));
    let mut attempt = 0;
    while let Err(error) = client.put_manifest(repository, &target, MANIFEST_TYPE, manifest.clone()).await {
        if !client.pause(attempt, &error).await {
            return Err(failed(error));
        }
        attempt += 1;
    }
    let mut pauses = PAUSES_MS.into_iter();
    let old = before.map(|before| before.digest);
    loop {
        let now = beside.tagged(image, Kind::Sbom).await?.map(|now| now.digest);
        if now.as_ref() == Some(&digest) {
            break;
        }
        let what = match (&now, &old) {
            (None, _) => "there is nothing",
            (Some(now), Some(old)) if now == old => "there is what was there before",
            _ => return Err(not_there(&location, "somebody else has attached another one since")),
        };
        match pauses.next() {
            Some(pause) => tokio::time::sleep(Duration::from_millis(pause)).await,
            None => return Err(not_there(&location, what)),
        }
    }
    beside.blob(image, &layer_digest(sbom), sbom.bytes.len() as u64, &location).await?;
    Ok((location, old.filter(|old| *old != digest).map_or(Change::Added, Change::Replaced)))
}

/// Attaches `sbom` as a referrer of `subject`, and reads it back. Returns where, and what that changed.
///
/// Where the registry takes no note of the subject, the list under the fallback tag is written too, merged with what is there.
///
/// # Errors
///
/// When the registry refuses it, or doesn't list it afterwards.
pub(crate) async fn attach_by_referrer(
    beside: &Beside,
    subject: &Subject,
    sbom: &NewSbom,
) -> Result<(String, Change), BesideError> {
    let (image, repository, client) = (&subject.image, beside.repository(&subject.image), &beside.client);
    let (layer, config) = (descriptor(sbom.media_type, &sbom.bytes), Bytes::from_static(REFERRER_CONFIG));
    let manifest =
        Manifest::new(descriptor(ARTIFACT_TYPE, &config), layer, Some(&subject.descriptor)).to_bytes()?;
    let digest = Digest::of(&manifest);
    let location = format!("{repository}@{digest}");
    let failed =
        |source: RegistryError| BesideError::Push { location: location.clone(), source: Box::new(source) };
    let is_own = |descriptor: &Value| entry::digest_of(descriptor).as_ref() == Some(&digest);
    let target = Target::Digest(digest.clone());
    let lists =
        || async { Ok::<_, BesideError>(!beside.listed(image, &is_own).await?.descriptors.is_empty()) };
    let was_listed = lists().await?;
    if was_listed
        && client.manifest(repository, &target).await.is_ok_and(|held| held.is_some())
        && client
            .blob(repository, &layer_digest(sbom), sbom.bytes.len() as u64)
            .await
            .is_ok_and(|held| held.is_some())
    {
        return Ok((location, Change::Nothing));
    }
    let uploads = [sbom.bytes.clone(), config].map(|bytes| client.put_blob(repository, bytes));
    futures_util::future::try_join_all(uploads).await.map_err(failed)?;
    let written = client.put_manifest(repository, &target, MANIFEST_TYPE, manifest.clone()).await;
    if !written.map_err(failed)?.subject_accepted {
        let own = Listed { descriptor: descriptor(MANIFEST_TYPE, &manifest), artifact_type: ARTIFACT_TYPE };
        let own = Entry::of(&serde_json::to_value(own).map_err(StoreError::Json)?);
        match list_by_tag(beside, image, own).await {
            // Some registries keep the tag to themselves.
            Err(refusal) if refusal.refuses_tag() && lists().await? => {}
            written => written?,
        }
    }
    for pause in PAUSES_MS.map(Some).into_iter().chain([None]) {
        if lists().await? {
            beside.blob(image, &layer_digest(sbom), sbom.bytes.len() as u64, &location).await?;
            return Ok((location, Change::Added));
        }
        if let Some(pause) = pause {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    Err(not_there(&location, "the registry does not list it"))
}

/// Adds `own` to the list under the fallback tag of `image`: read, merge, write, read back.
async fn list_by_tag(beside: &Beside, image: &ImageRef, own: Entry) -> Result<(), StoreError> {
    let tag = Tag {
        client: &beside.client,
        repository: beside.repository(image),
        name: format!("sha256-{}", image.digest.hex()),
        subject: &image.digest,
        field: "manifests",
    };
    let own = Shelf { entries: vec![own], ..Shelf::default() };
    let (mut list, mut failures) = (tag.read().await?, 0);
    for _ in 0..ATTEMPTS {
        if list.contains(&own) {
            return Ok(());
        }
        let mut merged = list.clone();
        merged.absorb(&own);
        let bytes = merged.with_room(&tag.location())?.to_bytes("manifests", INDEX_TYPE, None)?;
        list = match tag.replace(image, &list, INDEX_TYPE, bytes.into()).await {
            Ok(Written::Met(others)) => others,
            Ok(Written::Alone { .. } | Written::Lacks { .. }) => tag.read().await?,
            Err(error) => {
                let can_pass = match error.registry() {
                    Some(source) => beside.client.pause(failures, source).await,
                    None => false,
                };
                if !can_pass {
                    return Err(error);
                }
                failures += 1;
                tag.read().await?
            }
        };
    }
    if list.contains(&own) {
        return Ok(());
    }
    Err(StoreError::Foreign { location: tag.location(), what: "others replace it as fast as it is written" })
}

fn not_there(location: &str, what: &'static str) -> BesideError {
    BesideError::NotThere { location: location.to_owned(), what }
}

fn layer_digest(sbom: &NewSbom) -> Digest {
    Digest::of(&sbom.bytes)
}

fn descriptor(media_type: &str, bytes: &Bytes) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        size: bytes.len() as u64,
        digest: Digest::of(bytes).as_str().to_owned(),
    }
}

/// Whether a manifest has this layer, and no other.
fn has_only(manifest: &[u8], layer: &Descriptor) -> bool {
    ReferrerManifest::read(manifest).is_some_and(|read| {
        read.only_layer().is_some_and(|only| {
            text(only, "digest") == Some(&layer.digest) && text(only, "mediaType") == Some(&layer.media_type)
        })
    })
}

/// The manifest of an SBOM, as cosign writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a Descriptor>,
}

impl<'a> Manifest<'a> {
    fn new(config: Descriptor, layer: Descriptor, subject: Option<&'a Descriptor>) -> Self {
        Self { schema_version: 2, media_type: MANIFEST_TYPE, config, layers: [layer], subject }
    }

    fn to_bytes(&self) -> Result<Bytes, StoreError> {
        serde_json::to_vec(self).map(Bytes::from).map_err(StoreError::Json)
    }
}

/// The entry of such a manifest in the list of an image's referrers.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    descriptor: Descriptor,
    #[serde(rename = "artifactType")]
    artifact_type: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cosign 3.1.2 wrote for the same SBOM, by tag and as a referrer.
    #[test]
    fn manifests_are_cosigns() {
        let bytes = Bytes::from_static(br#"{"spdxVersion":"SPDX-2.3"}"#);
        let layer = || descriptor("text/spdx+json", &bytes);
        let config = oci_tag::config(std::iter::once(layer().digest)).unwrap();
        let manifest = Manifest::new(descriptor(CONFIG_TYPE, &config), layer(), None).to_bytes().unwrap();
        let want = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":233,"digest":"sha256:c6a65ac9b8e81662b60eb8824473563dfc133b7529e04c52f60d160bc74a4985"},"layers":[{"mediaType":"text/spdx+json","size":26,"digest":"sha256:d4f269605ffe72fbe7a3021d68284798ec364111376ee2eace17688bb52a9e1d"}]}"#;
        assert_eq!(std::str::from_utf8(&manifest).unwrap(), want);
        let subject = Descriptor {
            media_type: MANIFEST_TYPE.to_owned(),
            size: 401,
            digest: "sha256:4afc5d3131894fbd598cc8a76487930e95a93f58ffb76a4f87d51dbdad19f815".to_owned(),
        };
        let config = descriptor(ARTIFACT_TYPE, &Bytes::from_static(REFERRER_CONFIG));
        let manifest = Manifest::new(config, layer(), Some(&subject)).to_bytes().unwrap();
        let want = "sha256:37749ba7dfe442b73875ce3528307902d0f863f1394e36ac7cd9f7d7aafef6a1";
        assert_eq!(Digest::of(&manifest).as_str(), want, "{}", String::from_utf8_lossy(&manifest));
    }
}
