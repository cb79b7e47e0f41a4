//! Looking at images: what each is, what lies there, and the verdicts.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::explain::explain;
use crate::formats::simple_signing;
use crate::found::Found as _;
use crate::oci::index::{EntryError, Listed, MAX_LISTED, TooMany, listed};
use crate::oci::reference::Named;
use crate::oci::{ImageRef, Manifest, Repository, TagRef, Target};
use crate::registry::RegistryError;
use crate::registry::client::Client;
use crate::store::{Looked, Looks, ReferrersApis, Search, StoreError, TagPrefix, Wanted};
use crate::verify::checks::{Check, Judge, Judging, Met};
use crate::verify::{Signer, Verdict};

/// An index that lists more, with what its own indexes list, is rejected as hostile.
const MAX_IMAGES: usize = MAX_LISTED;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The image can't be looked up.
    #[error("cannot look up {image}")]
    Lookup {
        /// The image, as it was asked for.
        image: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// The registry doesn't hold the image.
    #[error("{image} is not in the registry")]
    Absent {
        /// The image, as it was asked for.
        image: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// A place of signatures can't be read. That is not the same as a place without signatures.
    #[error("cannot tell whether {image} is signed")]
    Places {
        /// The image.
        image: String,
        /// Why.
        source: StoreError,
    },
    /// An index lists something that can't be verified.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// An index, with those it lists, names more manifests than are looked at in one run.
    #[error("with the manifests that {image} lists there are more than {MAX_IMAGES} images")]
    TooMany {
        /// The index.
        image: String,
    },
}

explain! { VerifyError,
    Self::Lookup { source, .. } => [of source],
    Self::Places { source, .. } => [of source],
    Self::Absent { source, .. } if source.is_page() => [of source, exit Failed],
    Self::Absent { source, .. } => ["image-not-found", Failed, "check the name, the tag and the digest", used source.used()],
    Self::Entry(error) => [of error],
    Self::TooMany { .. } => ["index-large-to-verify", Failed, "verify the index without --recursive, or its parts in several runs"],
}

/// An image and the name that it was asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name, with the registry and the tag or digest.
    pub name: String,
    /// The image.
    pub image: ImageRef,
}

/// What became of one image, or of an entry of an index that can't be looked at.
#[derive(Debug)]
pub struct Seen {
    /// The image; of such an entry, the index.
    pub asked: Asked,
    /// A verdict for each check, in their order.
    pub result: Result<Vec<Arc<Verdict>>, VerifyError>,
}

/// Everything that one run gives a result for.
struct Admitted {
    known: HashSet<ImageRef>,
    /// How many entries of indexes can't be looked at.
    unusable: usize,
}

impl Admitted {
    /// What of `children`, which an index lists, is new; none of it is admitted where it is too much.
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

/// Looks at images.
#[derive(Clone, Debug)]
pub struct Looker {
    client: Client,
    /// Where signatures lie, if not beside each image.
    repository: Option<Repository>,
    /// What their tags begin with.
    prefix: TagPrefix,
    recursive: bool,
    jobs: usize,
    apis: ReferrersApis,
}

impl Looker {
    /// Looks with `client`, at `jobs` images at a time.
    pub fn new(client: Client, repository: Option<Repository>, recursive: bool, jobs: usize) -> Self {
        let (prefix, apis) = (TagPrefix::default(), ReferrersApis::default());
        Self { client, repository, prefix, recursive, jobs, apis }
    }

    /// The same, looking under tags that begin with `prefix`.
    #[must_use]
    pub(crate) fn with_prefix(self, prefix: TagPrefix) -> Self {
        Self { prefix, ..self }
    }

    fn search(&self, wanted: Wanted) -> Search {
        Search::new(self.client.clone(), self.repository.clone(), wanted).with_prefix(&self.prefix)
    }

    /// What a name stands for now. Asks the registry only where there is no digest.
    ///
    /// # Errors
    ///
    /// When the registry doesn't say.
    pub(crate) async fn resolve(&self, named: &Named) -> Result<Asked, VerifyError> {
        match named.clone().into_image() {
            Ok(image) => Ok(Asked { name: image.to_string(), image }),
            Err(TagRef { repository, tag }) => {
                let name = format!("{repository}:{tag}");
                let digest = self.manifest(&repository, Target::Tag(tag), &name).await?.digest;
                Ok(Asked { name, image: ImageRef { repository, digest } })
            }
        }
    }

    /// Judges every image, and with `recursive` the manifests of each index; `seen` hears of each in the order
    /// of `images`, an index before what it lists.
    pub async fn look(
        &self,
        images: Vec<Asked>,
        checks: &(dyn Fn(&ImageRef) -> Vec<Check> + Sync),
        seen: &mut dyn FnMut(Seen),
    ) {
        self.look_until(
            images,
            checks,
            &|_, all| all.iter().all(|(_, verdict)| !verdict.good.is_empty()),
            seen,
        )
        .await;
    }

    /// The same. Where very much lies at an image, it stops looking at that image once all checks are `met`.
    pub(crate) async fn look_until(
        &self,
        images: Vec<Asked>,
        checks: &(dyn Fn(&ImageRef) -> Vec<Check> + Sync),
        met: Met<'_>,
        seen: &mut dyn FnMut(Seen),
    ) {
        let known = images.iter().map(|asked| asked.image.clone()).collect();
        let mut admitted = Admitted { known, unusable: 0 };
        let mut waiting: VecDeque<(Vec<usize>, Asked)> =
            images.into_iter().enumerate().map(|(at, asked)| (vec![at], asked)).collect();
        let mut running = FuturesUnordered::new();
        let mut done: BTreeMap<Vec<usize>, Seen> = BTreeMap::new();
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
                result = Err(VerifyError::TooMany { image: asked.name.clone() });
                Vec::new()
            });
            for (number, child) in children.into_iter().enumerate() {
                let place = [at.as_slice(), &[number]].concat();
                match child {
                    Listed::Image(image) => {
                        waiting.push_back((place, Asked { name: image.to_string(), image }));
                    }
                    Listed::Unusable(error) => {
                        done.insert(place, Seen { asked: asked.clone(), result: Err(error.into()) });
                    }
                }
            }
            done.insert(at, Seen { asked, result });
        }
        done.into_values().for_each(seen);
    }

    /// The verdicts on one image, and the manifests that it lists.
    async fn one(
        &self,
        asked: &Asked,
        checks: &[Check],
        met: Met<'_>,
    ) -> (Result<Vec<Arc<Verdict>>, VerifyError>, Result<Vec<Listed>, TooMany>) {
        let image = &asked.image;
        let look_up = || {
            let target = Target::Digest(image.digest.clone());
            self.manifest(&image.repository, target, &asked.name)
        };
        if !self.recursive {
            // A signature is about the digest; only where none counts it matters whether the image is there at all.
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

    /// The manifest that has to be there under a name.
    ///
    /// # Errors
    ///
    /// When the registry doesn't hold it, or doesn't say.
    pub async fn manifest(
        &self,
        repository: &Repository,
        target: Target,
        name: &str,
    ) -> Result<Manifest, VerifyError> {
        self.client.subject(repository, &target).await.map_err(|source| {
            let (image, source) = (name.to_owned(), Box::new(source));
            match source.is_absence() {
                true => VerifyError::Absent { image, source },
                false => VerifyError::Lookup { image, source },
            }
        })
    }

    async fn verdicts(
        &self,
        image: &ImageRef,
        checks: &[Check],
        met: Met<'_>,
    ) -> Result<Vec<Arc<Verdict>>, VerifyError> {
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
            // Nothing takes away from what was found; but what wasn't looked at may be what is wanted.
            if !notes.is_empty()
                && !judge.is_enough()
                && let Some(source) = failures.into_first()
            {
                return Err(VerifyError::Places { image: image.to_string(), source });
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

    /// Whether the registry of `repository` is spoken to over plain HTTP.
    pub(crate) fn uses_plain_http(&self, repository: &Repository) -> bool {
        self.client.uses_plain_http(repository)
    }

    /// Where signatures or attestations of `image` are looked for, for people.
    pub fn places(&self, image: &ImageRef, wanted: Wanted) -> String {
        self.search(wanted).places(image)
    }
}

/// What signatures that pass one of `checks` look like.
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
