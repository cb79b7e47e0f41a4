//! The output files of `sign`, in addition to the registry: cosign's `--output-signature`, `--output-payload` and `--bundle`.
//!
//! They are written after everything else is done; with `--upload=false`, nothing else is written. The files get a new signature, because the
//! registry's signature may be from an earlier run or another tool. Both are equal, because all keys here sign deterministically.

use std::path::PathBuf;

use bytes::Bytes;

use super::discover::SignPlan;
use super::{PipelineError, SignJob, look_up, setup, sign};
use crate::config::ValueOrigin;
use crate::explain::explain;
use crate::formats::PayloadError;
use crate::place::Encoding;
use crate::report::{ExpectedOutcome, PendingFile, ReportError, SignedOutcome, SubjectOutcome};
use crate::sign::SignError;
use crate::store::{Signed, StoreError, bundle};

/// The content of an output file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileContent {
    /// The signature in base64 without a trailing line break. With several identities, each signature is on its own line.
    Signature,
    /// The payload. With several identities, each payload is on its own line.
    Payload,
    /// The Sigstore bundle as JSON.
    Bundle,
}

impl FileContent {
    /// The encoding that the content belongs to.
    fn encoding(self) -> Encoding {
        match self {
            Self::Signature | Self::Payload => Encoding::Dsse,
            Self::Bundle => Encoding::SigstoreBundle,
        }
    }
}

/// A requested output file.
pub(crate) struct SignOutputFile {
    /// The content to write.
    pub(crate) what: FileContent,
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// The flag or variable that requests it.
    pub(crate) origin: ValueOrigin,
}

/// Why an output file can't be written.
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
    #[error("--upload=false is given without an output file")]
    Nowhere,
    #[error("--upload=false works only for image signatures, but the configuration also signs a run")]
    Runs,
    #[error("{0} can be written for one image only, but {1} are signed")]
    Several(ValueOrigin, usize),
    #[error("{0} can be written for one image only, but --recursive also signs the manifests of an index")]
    Recursive(ValueOrigin),
    #[error("{0}: the encoding dsse has no Sigstore bundle")]
    NoBundle(ValueOrigin),
    #[error("{0}: the encoding sigstore-bundle has no separate signature and payload")]
    OnlyBundle(ValueOrigin),
    #[error("{0}: image signatures are turned off")]
    NoImages(ValueOrigin),
}

explain! { OutputsError,
    Self::File(error) => [of error, used None],
    Self::Sign(error) => [of error],
    Self::Payload(error) => [of error, exit Usage],
    Self::Store(error) => [of error],
    Self::Pipeline(error) => [of error],
    Self::Nowhere => ["output-nowhere", Usage,
        "give --output-signature FILE and --output-payload FILE, or --bundle FILE with --new-bundle-format"],
    Self::Runs => ["output-of-runs", Usage, "leave --upload=false out, or set artifacts.taskrun.storage and artifacts.pipelinerun.storage to empty"],
    Self::Several(..) => ["output-of-several", Usage, "sign the images one by one, each with a file of its own"],
    Self::Recursive(_) => ["output-of-several", Usage, "leave --recursive out, or sign the images one by one"],
    Self::NoBundle(_) => ["output-no-bundle", Usage, "give --new-bundle-format, which stores it in the registry too"],
    Self::OnlyBundle(_) => ["output-only-bundle", Usage,
        "give --bundle FILE, or --new-bundle-format=false for cosign's older format"],
    Self::NoImages(origin) => ["output-no-images", Usage, "leave {origin} out, or set artifacts.oci.storage to oci"],
}

/// The requested files. None of them exists before [`write`](Self::write).
pub(crate) struct SignOutputs {
    files: Vec<(FileContent, PendingFile)>,
    /// The path of the first file.
    location: String,
    /// Whether the signature is also written to the stores.
    pub(crate) uploads: bool,
}

impl SignOutputs {
    /// Checks that the flags fit the configuration and the subjects, and that each file can be written.
    ///
    /// # Errors
    ///
    /// The flags don't fit, or a file can't be written.
    pub(crate) fn prepare(
        asked: Vec<SignOutputFile>,
        uploads: bool,
        subjects: &SignPlan,
    ) -> Result<Self, OutputsError> {
        let config = &subjects.config;
        let images = subjects.plan.images.len() + subjects.plan.tags.len();
        for SignOutputFile { what, origin, .. } in &asked {
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
        let pending = |file: SignOutputFile| {
            Ok((file.what, PendingFile::new(&file.path).map_err(ReportError::of_file)?))
        };
        let files = asked.into_iter().map(pending).collect::<Result<_, ReportError>>()?;
        Ok(Self { files, location, uploads })
    }

    /// The expected outcomes, for the stores or only for the files.
    pub(crate) fn expected(&self, subjects: &SignPlan) -> Vec<ExpectedOutcome> {
        let mut expected = subjects.expected();
        if !self.uploads {
            expected.truncate(1);
            expected.iter_mut().for_each(|expected| expected.label.store = "file");
        }
        expected
    }

    /// Signs the image only for the files, and returns the outcome.
    pub(crate) async fn sign_alone(
        &mut self,
        whole: &SignJob,
        subjects: &SignPlan,
    ) -> Option<SubjectOutcome> {
        let expected = self.expected(subjects).into_iter().next()?;
        let planned = subjects.plan.images.first()?;
        let location = self.location.clone();
        let result = async {
            look_up(&whole.client, &planned.image).await?;
            let added = self.write(whole, subjects).await?;
            let key_id = whole.key.signer().await?.public_key().key_id();
            Ok::<_, OutputsError>(SignedOutcome { location, added, present: 0, replaced: 0, key_id })
        };
        Some(SubjectOutcome::of_image(expected.label, planned.image.clone(), expected.from, result.await))
    }

    /// Writes the files, and returns the number of signatures in them.
    ///
    /// # Errors
    ///
    /// The key can't sign, or a file can't be written.
    pub(crate) async fn write(
        &mut self,
        whole: &SignJob,
        subjects: &SignPlan,
    ) -> Result<usize, OutputsError> {
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

/// The bytes of a file with these signatures.
fn content(what: FileContent, all: &[Signed]) -> Result<Vec<u8>, StoreError> {
    let each: Vec<Bytes> = match what {
        FileContent::Signature => all.iter().map(|signed| signed.signature.base64().into()).collect(),
        FileContent::Payload => all.iter().map(|signed| signed.payload.bytes.clone()).collect(),
        FileContent::Bundle => all.iter().map(bundle::bundle).collect::<Result<_, _>>()?,
    };
    Ok(each.join(&b'\n'))
}
