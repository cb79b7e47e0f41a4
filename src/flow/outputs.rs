//! The files of `sign` that get what is signed, beside the registry: cosign's `--output-signature`, `--output-payload`, `--bundle`.
//!
//! They are written after everything else is done; with `--upload=false` nothing else is. The signature is made once more for them, as the one in the registry may be older
//! than this run, and by another tool: it is the same text with every key that signs deterministically, as all do here.

use std::path::PathBuf;

use bytes::Bytes;

use super::discover::Subjects;
use super::{PipelineError, Whole, look_up, setup, sign};
use crate::config::Origin;
use crate::explain::explain;
use crate::formats::PayloadError;
use crate::place::Encoding;
use crate::report::{Done, Expected, Outcome, Pending, ReportError};
use crate::sign::SignError;
use crate::store::{Signed, StoreError, bundle};

/// What a file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileContent {
    /// The signature in base64, without a line break at its end; of several identities one a line.
    Signature,
    /// The payload; of several identities one a line.
    Payload,
    /// The Sigstore bundle.
    Bundle,
}

impl FileContent {
    /// The encoding that it belongs to.
    fn encoding(self) -> Encoding {
        match self {
            Self::Signature | Self::Payload => Encoding::Dsse,
            Self::Bundle => Encoding::SigstoreBundle,
        }
    }
}

/// A file that is asked for.
pub(crate) struct OutputFile {
    /// What it gets.
    pub(crate) what: FileContent,
    /// Where it will be.
    pub(crate) path: PathBuf,
    /// What asks for it.
    pub(crate) origin: Origin,
}

/// Why such a file can't be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputsError {
    #[error(transparent)]
    File(#[from] ReportError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("--upload=false: nothing says where the signature goes")]
    Nowhere,
    #[error("--upload=false is about an image's signature, and something is to be signed for a run")]
    Runs,
    #[error("{0} gets what is signed of one image, and {1} are signed")]
    Several(Origin, usize),
    #[error("{0} gets what is signed of one image, and --recursive signs those that it lists too")]
    Recursive(Origin),
    #[error("{0}: there is no Sigstore bundle with the encoding dsse")]
    NoBundle(Origin),
    #[error("{0}: with Sigstore bundles there is no signature of a payload of its own")]
    OnlyBundle(Origin),
    #[error("{0}: no image is signed for the registry")]
    NoImages(Origin),
}

explain! { OutputsError,
    Self::File(error) => [of error, used None],
    Self::Sign(error) => [of error],
    Self::Payload(error) => [of error, exit Usage],
    Self::Store(error) => [of error],
    Self::Pipeline(error) => [of error],
    Self::Nowhere => ["output-nowhere", Usage,
        "give --output-signature FILE and --output-payload FILE, or --bundle FILE with --new-bundle-format"],
    Self::Runs => ["output-of-runs", Usage, "leave --upload=false out, or turn artifacts.*.storage of runs off"],
    Self::Several(..) => ["output-of-several", Usage, "sign the images one by one, each with a file of its own"],
    Self::Recursive(_) => ["output-of-several", Usage, "leave --recursive out, or sign the images one by one"],
    Self::NoBundle(_) => ["output-no-bundle", Usage, "give --new-bundle-format, which stores it in the registry too"],
    Self::OnlyBundle(_) => ["output-only-bundle", Usage,
        "give --bundle FILE, or --new-bundle-format=false for cosign's older format"],
    Self::NoImages(origin) => ["output-no-images", Usage, "leave {origin} out, or set artifacts.oci.storage to oci"],
}

/// The files that are asked for; none of them is there before [`write`](Self::write).
pub(crate) struct Outputs {
    files: Vec<(FileContent, Pending)>,
    /// Where the first of them will be.
    location: String,
    /// Whether the signature goes to the stores too.
    pub(crate) uploads: bool,
}

impl Outputs {
    /// Checks that each file can be written, and that there is one thing to write.
    ///
    /// # Errors
    ///
    /// Flags that can't be carried out for these subjects with this configuration; a file that can't be written.
    pub(crate) fn prepare(
        asked: Vec<OutputFile>,
        uploads: bool,
        subjects: &Subjects,
    ) -> Result<Self, OutputsError> {
        let config = &subjects.config;
        let images = subjects.plan.images.len() + subjects.plan.tags.len();
        for OutputFile { what, origin, .. } in &asked {
            let origin = origin.clone();
            match what {
                _ if config.images.is_empty() => return Err(OutputsError::NoImages(origin)),
                _ if images != 1 => return Err(OutputsError::Several(origin, images)),
                _ if config.recursive => return Err(OutputsError::Recursive(origin)),
                _ if config.oci.encodings.contains(&what.encoding()) => {}
                FileContent::Bundle => return Err(OutputsError::NoBundle(origin)),
                FileContent::Signature | FileContent::Payload => {
                    return Err(OutputsError::OnlyBundle(origin));
                }
            }
        }
        if !uploads && asked.is_empty() {
            return Err(OutputsError::Nowhere);
        }
        if !uploads && subjects.jobs().iter().any(|job| !job.stores.is_empty()) {
            return Err(OutputsError::Runs);
        }
        let location = asked.first().map(|file| file.path.display().to_string()).unwrap_or_default();
        let pending =
            |file: OutputFile| Ok((file.what, Pending::new(&file.path).map_err(ReportError::of_file)?));
        let files = asked.into_iter().map(pending).collect::<Result<_, ReportError>>()?;
        Ok(Self { files, location, uploads })
    }

    /// What is to be signed: for the stores, or else for the files alone.
    pub(crate) fn expected(&self, subjects: &Subjects) -> Vec<Expected> {
        let mut expected = subjects.expected();
        if !self.uploads {
            expected.truncate(1);
            expected.iter_mut().for_each(|expected| expected.label.store = "file");
        }
        expected
    }

    /// Signs the image for the files alone, and returns how that ended.
    pub(crate) async fn sign_alone(&mut self, whole: &Whole, subjects: &Subjects) -> Option<Outcome> {
        let expected = self.expected(subjects).into_iter().next()?;
        let planned = subjects.plan.images.first()?;
        let location = self.location.clone();
        let result = async {
            look_up(&whole.client, &planned.image).await?;
            let added = self.write(whole, subjects).await?;
            let key_id = whole.key.signer().await?.public_key().key_id();
            Ok::<_, OutputsError>(Done { location, added, present: 0, replaced: 0, key_id })
        };
        Some(Outcome::of_image(expected.label, planned.image.clone(), expected.from, result.await))
    }

    /// Writes the files, and returns the number of signatures in them.
    ///
    /// # Errors
    ///
    /// The key doesn't sign, or a file can't be written after all.
    pub(crate) async fn write(&mut self, whole: &Whole, subjects: &Subjects) -> Result<usize, OutputsError> {
        let Some(planned) = subjects.plan.images.first().filter(|_| !self.files.is_empty()) else {
            return Ok(0);
        };
        let claims = setup::claims(&subjects.config);
        let claims = claims.with(&planned.identities);
        let mut signed: Vec<(Encoding, Vec<Signed>)> = Vec::new();
        for encoding in &subjects.config.oci.encodings {
            if !self.files.iter().any(|(what, _)| what.encoding() == *encoding) {
                continue;
            }
            let mut all = Vec::new();
            for payload in setup::format(*encoding)().payloads(&planned.image, &claims)? {
                all.push(sign(&whole.key, payload, vec![planned.image.clone()]).await?);
            }
            signed.push((*encoding, all));
        }
        for (what, file) in std::mem::take(&mut self.files) {
            if let Some((_, all)) = signed.iter().find(|(encoding, _)| *encoding == what.encoding()) {
                file.write(&content(what, all)?).map_err(ReportError::of_file)?;
            }
        }
        Ok(signed.iter().map(|(_, all)| all.len()).sum())
    }
}

/// What a file gets of what is signed.
fn content(what: FileContent, all: &[Signed]) -> Result<Vec<u8>, StoreError> {
    let each: Vec<Bytes> = match what {
        FileContent::Signature => all.iter().map(|signed| signed.signature.base64().into()).collect(),
        FileContent::Payload => all.iter().map(|signed| signed.payload.bytes.clone()).collect(),
        FileContent::Bundle => all.iter().map(bundle::bundle).collect::<Result<_, _>>()?,
    };
    Ok(each.join(&b'\n'))
}
