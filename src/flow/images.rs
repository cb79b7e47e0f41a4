//! Verifies images: looks each image up, finds its signatures, and judges them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::explain::explain;
use crate::formats::simple_signing;
use crate::found::SearchSink as _;
use crate::oci::index::{EntryError, Listed, MAX_LISTED, TooMany, listed};
use crate::oci::reference::Named;
use crate::oci::{ImageRef, Manifest, Repository, TagRef, Target};
use crate::registry::RegistryError;
use crate::registry::client::Client;
use crate::store::{Looked, Looks, ReferrersApis, Search, StoreError, TagPrefix, Wanted};
use crate::verify::checks::{Check, Judge, Judging, Met};
use crate::verify::{Signer, Verdict};

/// The most images in one run. An index that lists more, including nested indexes, is rejected as hostile.
const MAX_IMAGES: usize = MAX_LISTED;

/// Why an image has no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageVerifyError {
    /// The registry can't be asked for the image.
    #[error("cannot look up {image}")]
    Lookup {
        /// The requested image name.
        image: String,
        /// The error of the registry request.
        source: Box<RegistryError>,
    },
    /// The registry doesn't have the image.
    #[error("{image} is not in the registry")]
    Absent {
        /// The requested image name.
        image: String,
        /// The error of the registry request.
        source: Box<RegistryError>,
    },
    /// A location of signatures can't be read. That differs from a location without signatures.
    #[error("cannot determine whether {image} is signed")]
    Places {
        /// The image to verify.
        image: String,
        /// The error of the store.
        source: StoreError,
    },
    /// An index lists an entry that can't be verified.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// An index, including nested indexes, lists more manifests than a run may verify.
    #[error("the run has more than {MAX_IMAGES} images with the manifests that {image} lists")]
    TooMany {
        /// The name of the index.
        image: String,
    },
}

explain! { ImageVerifyError,
    Self::Lookup { source, .. } => [of source],
    Self::Places { source, .. } => [of source],
    Self::Absent { source, .. } if source.is_page() => [of source, exit Failed],
    Self::Absent { source, .. } => ["image-not-found", Failed, "check the name, the tag and the digest", used source.used()],
    Self::Entry(error) => [of error],
    Self::TooMany { .. } => ["index-large-to-verify", Failed, "verify the index without --recursive, or its parts in several runs"],
}

/// An image, with the name that requested it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedImage {
    /// The requested name, with the registry and the tag or digest.
    pub name: String,
    /// The image that the name refers to.
    pub image: ImageRef,
}

/// The result for one image, or for an index entry that can't be verified.
#[derive(Debug)]
pub struct ImageResult {
    /// The image, or the index of an entry that can't be verified.
    pub asked: RequestedImage,
    /// A verdict for each check, in the order of the checks.
    pub result: Result<Vec<Arc<Verdict>>, ImageVerifyError>,
}

/// Everything that the run has a result for, to enforce the limit.
struct AdmittedImages {
    known: HashSet<ImageRef>,
    /// How many index entries can't be verified.
    unusable: usize,
}

impl AdmittedImages {
    /// Admits the new `children` of an index and returns them, or admits none if there are too many.
    fn admit(&mut self, mut children: Vec<Listed>) -> Result<Vec<Listed>, TooMany> {
        children.retain(|child| !matches!(child, Listed::Image(image) if self.known.contains(image)));
        if !children.is_empty() && self.known.len() + self.unusable + children.len() > MAX_IMAGES {
            return Err(TooMany);
        }
        for child in &children {
            match child {
                Listed::Image(image) => {
                    self.known.insert(image.clone());
                }
                Listed::Unusable(_) => self.unusable += 1,
            }
        }
        Ok(children)
    }
}

/// Verifies images in registries.
#[derive(Clone, Debug)]
pub struct ImageVerifier {
    client: Client,
    /// The repository with the signatures; `None` if they are beside each image.
    repository: Option<Repository>,
    /// The prefix of the signatures' tags.
    prefix: TagPrefix,
    recursive: bool,
    jobs: usize,
    apis: ReferrersApis,
}

impl ImageVerifier {
    /// Creates a verifier that processes `jobs` images at a time.
    pub fn new(client: Client, repository: Option<Repository>, recursive: bool, jobs: usize) -> Self {
        let (prefix, apis) = (TagPrefix::default(), ReferrersApis::default());
        Self { client, repository, prefix, recursive, jobs, apis }
    }

    /// The same, with tags that begin with `prefix`.
    #[must_use]
    pub(crate) fn with_prefix(self, prefix: TagPrefix) -> Self {
        Self { prefix, ..self }
    }

    fn search(&self, wanted: Wanted) -> Search {
        Search::new(self.client.clone(), self.repository.clone(), wanted).with_prefix(&self.prefix)
    }

    /// Resolves a name to an image. Contacts the registry only if the name has no digest.
    ///
    /// # Errors
    ///
    /// The registry can't resolve the tag.
    pub(crate) async fn resolve(&self, named: &Named) -> Result<RequestedImage, ImageVerifyError> {
        match named.clone().into_image() {
            Ok(image) => Ok(RequestedImage { name: image.to_string(), image }),
            Err(TagRef { repository, tag }) => {
                let name = format!("{repository}:{tag}");
                let digest = self.manifest(&repository, Target::Tag(tag), &name).await?.digest;
                Ok(RequestedImage { name, image: ImageRef { repository, digest } })
            }
        }
    }

    /// Judges every image, and with `recursive` the manifests of each index. `seen` is called with each result in the order
    /// of `images`, with an index before its manifests.
    pub async fn look(
        &self,
        images: Vec<RequestedImage>,
        checks: &(dyn Fn(&ImageRef) -> Vec<Check> + Sync),
        seen: &mut dyn FnMut(ImageResult),
    ) {
        self.look_until(
            images,
            checks,
            &|_, all| all.iter().all(|(_, verdict)| !verdict.good.is_empty()),
            seen,
        )
        .await;
    }

    /// The same, but stops searching an image with very many entries when all checks are `met`.
    pub(crate) async fn look_until(
        &self,
        images: Vec<RequestedImage>,
        checks: &(dyn Fn(&ImageRef) -> Vec<Check> + Sync),
        met: Met<'_>,
        seen: &mut dyn FnMut(ImageResult),
    ) {
        let known = images.iter().map(|asked| asked.image.clone()).collect();
        let mut admitted = AdmittedImages { known, unusable: 0 };
        let mut waiting: VecDeque<(Vec<usize>, RequestedImage)> =
            images.into_iter().enumerate().map(|(at, asked)| (vec![at], asked)).collect();
        let mut running = FuturesUnordered::new();
        let mut done: BTreeMap<Vec<usize>, ImageResult> = BTreeMap::new();
        loop {
            while running.len() < self.jobs.max(1) {
                let Some((at, asked)) = waiting.pop_front() else { break };
                let checks = checks(&asked.image);
                running.push(async move {
                    let (result, children) = self.one(&asked, &checks, met).await;
                    (at, asked, result, children)
                });
            }
            let Some((at, asked, mut result, children)) = running.next().await else { break };
            let children = children.and_then(|children| admitted.admit(children)).unwrap_or_else(|TooMany| {
                result = Err(ImageVerifyError::TooMany { image: asked.name.clone() });
                Vec::new()
            });
            for (number, child) in children.into_iter().enumerate() {
                let place = [at.as_slice(), &[number]].concat();
                match child {
                    Listed::Image(image) => {
                        waiting.push_back((place, RequestedImage { name: image.to_string(), image }));
                    }
                    Listed::Unusable(error) => {
                        done.insert(place, ImageResult { asked: asked.clone(), result: Err(error.into()) });
                    }
                }
            }
            done.insert(at, ImageResult { asked, result });
        }
        done.into_values().for_each(seen);
    }

    /// The verdicts on one image, and the manifests that it lists if it is an index.
    async fn one(
        &self,
        asked: &RequestedImage,
        checks: &[Check],
        met: Met<'_>,
    ) -> (Result<Vec<Arc<Verdict>>, ImageVerifyError>, Result<Vec<Listed>, TooMany>) {
        let image = &asked.image;
        let look_up = || {
            let target = Target::Digest(image.digest.clone());
            self.manifest(&image.repository, target, &asked.name)
        };
        if !self.recursive {
            // A signature is about the digest, so the image itself is looked up only if no signature counts.
            let verdicts = match self.verdicts(image, checks, met).await {
                Ok(verdicts) => verdicts,
                Err(error) => return (Err(error), Ok(Vec::new())),
            };
            let none = verdicts.iter().all(|verdict| verdict.good.is_empty());
            let there = if none { look_up().await.map(|_| ()) } else { Ok(()) };
            return (there.map(|()| verdicts), Ok(Vec::new()));
        }
        let (manifest, verdicts) = tokio::join!(look_up(), self.verdicts(image, checks, met));
        match (manifest, verdicts) {
            (Ok(manifest), Ok(verdicts)) => (Ok(verdicts), listed(image, &manifest)),
            (Err(error), _) | (_, Err(error)) => (Err(error), Ok(Vec::new())),
        }
    }

    /// Fetches the manifest of a tag or digest. `name` names it in errors.
    ///
    /// # Errors
    ///
    /// The registry doesn't have the manifest, or the request fails.
    pub async fn manifest(
        &self,
        repository: &Repository,
        target: Target,
        name: &str,
    ) -> Result<Manifest, ImageVerifyError> {
        self.client.subject(repository, &target).await.map_err(|source| {
            let (image, source) = (name.to_owned(), Box::new(source));
            match source.is_absence() {
                true => ImageVerifyError::Absent { image, source },
                false => ImageVerifyError::Lookup { image, source },
            }
        })
    }

    async fn verdicts(
        &self,
        image: &ImageRef,
        checks: &[Check],
        met: Met<'_>,
    ) -> Result<Vec<Arc<Verdict>>, ImageVerifyError> {
        let mut verdicts: Vec<Arc<Verdict>> = vec![Arc::default(); checks.len()];
        let known = simple_signing::usual(image);
        for wanted in [Wanted::Signatures, Wanted::Attestations] {
            let is_wanted =
                |check: &Check| (wanted == Wanted::Attestations) == check.demands.predicate_type.is_some();
            let some = checks.iter().enumerate().filter(|(_, check)| is_wanted(check));
            let mut judging = Judging::all(some);
            if judging.is_empty() {
                continue;
            }
            let looks = looks(judging.iter().map(|one| one.check));
            let search = self.search(wanted).sharing(&self.apis).first(looks);
            let deadline = self.client.deadline();
            let mut judge = Judge { image, all: &mut judging, met, deadline };
            let Looked { cut, failures, refused_api } = search.run(image, &known, &mut judge).await;
            let notes = failures.notes();
            // Found signatures count despite failures. But an unread location may have the wanted signature.
            if !notes.is_empty()
                && !judge.is_enough()
                && let Some(source) = failures.into_first()
            {
                return Err(ImageVerifyError::Places { image: image.to_string(), source });
            }
            for Judging { numbers, mut verdict, .. } in judging {
                verdict.in_order();
                verdict.cut.clone_from(&cut);
                verdict.notes.clone_from(&notes);
                verdict.refused_api.clone_from(&refused_api);
                let verdict = Arc::new(verdict);
                for number in numbers {
                    if let Some(of) = verdicts.get_mut(number) {
                        *of = Arc::clone(&verdict);
                    }
                }
            }
        }
        Ok(verdicts)
    }

    /// Whether the client uses plain HTTP for the registry of `repository`.
    pub(crate) fn uses_plain_http(&self, repository: &Repository) -> bool {
        self.client.uses_plain_http(repository)
    }

    /// The locations of signatures or attestations of `image`, for people.
    pub fn places(&self, image: &ImageRef, wanted: Wanted) -> String {
        self.search(wanted).places(image)
    }
}

/// The properties of signatures that can pass one of `checks`.
fn looks<'a>(checks: impl Iterator<Item = &'a Check>) -> Looks {
    let mut looks = Looks::default();
    for check in checks {
        for accepted in &check.trust.signers {
            match accepted.signer {
                Signer::Key(_) => looks.keys = true,
                Signer::Identity(_) => looks.certificates = true,
            }
        }
        looks.predicate_types.extend(check.demands.predicate_type.clone());
    }
    looks
}

#[cfg(test)]
mod tests;
