//! Stage store: a signed payload in, its location out.
//!
//! Each place for signatures is a member of this folder and a [`Store`]. A run goes through the stores that it is asked for, in their
//! turns: beside images, by subject, and last what is written into the run itself.
//!
//! A list beside an image is one place that several signers write to. None of the registries' interfaces has a compare-and-swap, so adding
//! is: read, merge, write, read back. A [`SignatureList`] does the single steps; [`flow`](crate::flow) repeats them until everything is there.

pub mod beside;
pub mod bundle;
mod candidates;
mod entry;
pub mod error;
mod failures;
mod memory;
pub(crate) mod oci_referrers;
pub(crate) mod oci_tag;
mod pace;
mod parts;
mod reader;
mod referrer;
mod referrer_lists;
pub(crate) mod referrers_api;
pub(crate) mod sbom;
pub(crate) mod search;
pub mod shelf;
mod tag_prefix;
mod tagged;
mod uploads;
mod wanted;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::formats::{Payload, dsse};
use crate::found::EntryJudge;
use crate::key::{PublicKey, Signature};
use crate::object_name::Uid;
use crate::oci::{Digest, ImageRef, Repository};
use crate::place::{Encoding, StorageKey, StoreKind};
use crate::registry::client::Client;
use crate::run::{RunKind, RunName};

pub use error::StoreError;
pub use failures::Failures;
pub use oci_referrers::OciReferrers;
pub use oci_tag::{Contents, OciTag};
pub use parts::Mended;
pub use reader::Wanted;
pub use referrers_api::ReferrersApis;
pub use search::{Looked, Looks, Search};
pub use shelf::{Entry, Shelf};
pub use tag_prefix::TagPrefix;

macro_rules! members {
    ($(mod $name:ident;)*) => {
        $(pub mod $name;)*
        /// The stores, by the names that the configuration has for them.
        pub(crate) const MEMBERS: &[Member] = &[$($name::MEMBER),*];
    };
}

// A file each.
members! {
    mod oci;
    mod directory;
    mod annotations;
}

/// A store that can be named.
pub(crate) struct Member {
    /// Its name, and what it needs.
    pub kind: StoreKind,
    /// Makes it: where it has encodings, a store each.
    pub open: fn(&Setup<'_>, Contents) -> Vec<Arc<dyn Store>>,
}

/// What stores are made of.
pub struct Setup<'a> {
    /// The client for all registries of the run.
    pub client: &'a Client,
    /// How signatures lie in registries: all of these, side by side.
    pub encodings: &'a [Encoding],
    /// Another repository for signatures than each image's own.
    pub repository: Option<&'a Repository>,
    /// What tags begin with.
    pub tag_prefix: &'a TagPrefix,
    /// The time that manifests carry.
    pub created: Option<SystemTime>,
    /// The folder for signatures.
    pub folder: Option<&'a Path>,
    /// The cluster, where there is a run.
    pub cluster: Option<&'a Cluster>,
}

/// All stores, for `contents`.
pub fn open(contents: Contents, setup: &Setup<'_>) -> Vec<Arc<dyn Store>> {
    MEMBERS.iter().flat_map(|member| (member.open)(setup, contents)).collect()
}

/// A place for signatures: one member a file.
pub trait Store: Send + Sync {
    /// Its name, and what it needs.
    fn kind(&self) -> StoreKind;

    /// How signatures lie in it; `None`: there is one way.
    fn encoding(&self) -> Option<Encoding> {
        None
    }

    /// When a run writes to it, and by which steps.
    fn turn(&self) -> Turn<'_>;
}

/// When a run writes to a store, and by which steps.
pub enum Turn<'a> {
    /// First, for all such stores at the same time: into a list beside each image.
    Image(&'a dyn SignatureList),
    /// Then: what is signed of one subject, once it is signed.
    Subject(&'a dyn Keyed),
    /// Last: everything that belongs to one run together, with the mark that it is signed.
    Run(&'a dyn Keyed),
}

/// Keeps each signature under a key of its own.
pub trait Keyed: Send + Sync {
    /// Keeps everything in `filing`. What is there already and counts stays.
    ///
    /// # Errors
    ///
    /// When something can't be written, or doesn't count when it is read back.
    fn keep<'a>(&'a self, filing: &'a Filing<'a>) -> Step<'a, Kept>;
}

/// What is kept together.
#[derive(Clone, Copy)]
pub struct Filing<'a> {
    /// The signatures to write into the object.
    pub filed: &'a [Filed],
    /// The run that they belong to.
    pub run: Option<&'a OfRun<'a>>,
    /// Whether the run is marked as signed.
    pub mark: bool,
    /// Says whether a signature that is there, the second, is one of a payload, the first, that counts: the verdict of `verify-run`.
    pub counts: &'a (dyn Fn(&[u8], &[u8]) -> bool + Send + Sync),
}

/// The run that signatures belong to.
pub struct OfRun<'a> {
    /// Whether it is a TaskRun or a PipelineRun.
    pub kind: RunKind,
    /// The name of the run with its namespace.
    pub name: &'a RunName,
    /// Its UID, without which nothing is signed for it.
    pub uid: Option<&'a Uid>,
    /// The object as the cluster gave it a moment ago; `None`: it has to be read.
    pub known: Option<&'a Value>,
}

impl OfRun<'_> {
    /// The run, for people.
    pub fn shown(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// Where signatures are, once they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The place, for people.
    pub location: String,
    /// How many of them were not there before.
    pub added: usize,
}

/// The longest time that a signer without rivals watches, after its write, whether its signature stays.
pub(crate) const LONGEST_WATCH: Duration = Duration::from_secs(2);

/// What a store's steps return.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A manifest that the registry holds, hashed: what a signature is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The image that the signature is about.
    pub image: ImageRef,
    /// What the registry holds under that name.
    pub descriptor: Descriptor,
}

/// An OCI content descriptor.
///
/// Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#properties>
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Descriptor {
    /// The media type of the content.
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// The content's length in bytes.
    pub size: u64,
    /// The digest of the signed content.
    pub digest: String,
}

/// A payload and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The payload that was signed.
    pub payload: Payload,
    /// The signature over [`Payload::to_be_signed`].
    pub signature: Signature,
    /// The signing key's hint in Sigstore bundles.
    pub key_hint: String,
    /// The signing key's fingerprint: its `keyid` in DSSE envelopes.
    pub key_id: String,
}

impl Signed {
    /// `payload` with its signature by `key`.
    pub fn new(payload: Payload, signature: Signature, key: &PublicKey) -> Self {
        Self { payload, signature, key_hint: key.hint(), key_id: key.key_id() }
    }

    /// The DSSE envelope of both. It is made anew each time: with a large payload it is better not kept.
    pub fn envelope(&self) -> Bytes {
        dsse::envelope(&self.payload, &self.signature, &self.key_id)
    }
}

/// A signature with the names it is kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The key under which stores keep it.
    pub key: StorageKey,
    /// Which of several payloads of the same subject it is.
    pub number: usize,
    /// The payload with its signature.
    pub signed: Signed,
}

/// An entry of this run, as it is written into a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    /// The descriptor as the list has it.
    pub descriptor: Value,
    /// The digest of the payload that it says.
    pub payload: Digest,
    /// The kind of signature that it holds.
    pub wanted: Wanted,
}

/// What an attempt to write showed.
#[derive(Debug)]
pub enum Written {
    /// It was written, and as far as known it keeps everything that was there.
    Alone {
        /// The time between the answer to the read before it and the answer to the write, about.
        took: Duration,
    },
    /// Another writer had been there: this is what it left. Whether this write replaced it is not known.
    Met(Shelf),
    /// The registry refused it, because it doesn't hold what these entries name; what they name isn't known here.
    Lacks {
        /// What the registry said.
        refusal: Box<StoreError>,
        /// The entries that the registry lost.
        gone: Vec<Entry>,
    },
}

/// How much of what is there a read has to bring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Depth<'a> {
    /// The signatures that may be of these payloads, and of the others only that they are there.
    Of(&'a [Payload]),
    /// The same, and whatever else may be of the predicate types of these payloads, in any size.
    Types(&'a [Payload]),
    /// These entries and changed copies of them, and of the others only that they exist.
    Only(&'a [Own]),
}

/// A list of signatures beside each image, to which others write too: its single steps.
pub trait SignatureList: Send + Sync {
    /// Where the signatures of `image` lie, for people.
    fn location(&self, image: &ImageRef) -> String;

    /// The repository of the signatures of `image`: its own, or the repository that is set for all.
    fn repository<'a>(&'a self, image: &'a ImageRef) -> &'a Repository;

    /// Reads what is there for `image`, and has `judge` say what of it counts.
    ///
    /// # Errors
    ///
    /// When the registry doesn't answer, or something else than signatures lies there.
    fn read<'a>(
        &'a self,
        image: &'a ImageRef,
        depth: Depth<'a>,
        judge: &'a dyn EntryJudge,
    ) -> Step<'a, Shelf>;

    /// Uploads what can be uploaded before the signatures exist.
    ///
    /// # Errors
    ///
    /// When the registry refuses it.
    fn prepare<'a>(&'a self, shelf: &'a Shelf, image: &'a ImageRef, payloads: &'a [Payload]) -> Step<'a, ()>;

    /// Writes `shelf` with `signed` added, once. The manifest that names everything is sent a single time:
    /// when that fails, what is there has to be read again before anything is written.
    ///
    /// # Errors
    ///
    /// When the registry refuses it; [`StoreError::registry`] says whether reading again and writing
    /// once more can help.
    fn write<'a>(&'a self, shelf: &'a Shelf, subject: &'a Subject, signed: &'a [Signed])
    -> Step<'a, Written>;

    /// Looks whether the registry holds everything that `shelf`, which was read after a write of `signed`, names, and puts back
    /// what is known. Only a registry that has lost such things is asked.
    ///
    /// # Errors
    ///
    /// When the registry doesn't answer, or doesn't take them.
    fn mend<'a>(&'a self, shelf: &'a Shelf, subject: &'a Subject, signed: &'a [Signed]) -> Step<'a, Mended>;

    /// Whether the registry may delete what a write of a list like `shelf` replaces.
    fn may_lose(&self, shelf: &Shelf, image: &ImageRef) -> bool;

    /// The entries that [`write`](Self::write) adds for `signed`, in their order.
    ///
    /// # Errors
    ///
    /// If an entry can't be written as JSON.
    fn own(&self, subject: &Subject, signed: &[Signed]) -> Result<Vec<Own>, StoreError>;
}
