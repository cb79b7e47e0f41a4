//! Where a signature goes: standard output, or the files that flags name. Nothing is written before all of it is verified.

use std::path::{Path, PathBuf};

use super::error::SignBlobError;
use crate::cli::output::Output;
use crate::cli::output_file::OutputFile;
use crate::cli::own_flags::OwnFlags;

/// The formats of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BundleFormat {
    /// Sigstore's 0.3.
    Sigstore,
    /// cosign's own, of before.
    Old,
}

/// What is asked for.
pub(super) struct Outputs {
    bundle: Option<PathBuf>,
    signature: Option<PathBuf>,
    attestation: Option<PathBuf>,
    pub(super) format: BundleFormat,
}

/// What is written of one file.
pub(super) struct Written {
    /// The bundle, of the format that is asked for.
    pub(super) bundle: Vec<u8>,
    /// The signature, or the envelope.
    pub(super) signature: Vec<u8>,
    /// The statement.
    pub(super) attestation: Vec<u8>,
}

/// The files whose places are taken.
#[derive(Default)]
pub(super) struct Files {
    bundle: Option<OutputFile>,
    signature: Option<OutputFile>,
    attestation: Option<OutputFile>,
}

impl Outputs {
    /// What the flags that both commands have ask for.
    pub(super) fn read(flags: &OwnFlags<'_>) -> Result<Self, SignBlobError> {
        let path = |flag| Ok::<_, SignBlobError>(flags.text(flag)?.map(PathBuf::from));
        let new = flags.switch("new-bundle-format")?;
        let outputs = Self {
            bundle: path("bundle")?,
            signature: path("output-signature")?,
            attestation: None,
            format: if new == Some(false) { BundleFormat::Old } else { BundleFormat::Sigstore },
        };
        if new == Some(true) && outputs.bundle.is_none() {
            return Err(SignBlobError::NoBundle);
        }
        Ok(outputs)
    }

    /// With the file for the statement.
    pub(super) fn and_attestation(mut self, flags: &OwnFlags<'_>) -> Result<Self, SignBlobError> {
        self.attestation = flags.text("output-attestation")?.map(PathBuf::from);
        Ok(self)
    }

    /// Whether the signature goes to standard output: as with cosign it doesn't where a Sigstore bundle holds it.
    pub(super) fn prints(&self) -> bool {
        self.signature.is_none() && (self.bundle.is_none() || self.format == BundleFormat::Old)
    }

    /// A flag that names one file, for an error.
    pub(super) fn one_file(&self) -> Option<&'static str> {
        let flag = self.bundle.as_ref().map(|_| "bundle");
        flag.or_else(|| self.signature.as_ref().map(|_| "output-signature"))
    }

    /// Every file that is written.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        [&self.bundle, &self.signature, &self.attestation].into_iter().flatten().cloned().collect()
    }

    /// Takes the files' places; none may be one of `inputs`.
    pub(super) fn open(&self, inputs: &[&Path]) -> Result<Files, SignBlobError> {
        let named = [
            ("--bundle", &self.bundle),
            ("--output-signature", &self.signature),
            ("--output-attestation", &self.attestation),
        ];
        for (at, (one, path)) in named.iter().enumerate().filter(|(_, (_, path))| path.is_some()) {
            if let Some((other, _)) = named.iter().skip(at + 1).find(|(_, other)| other == path) {
                return Err(SignBlobError::SameFile { one, other });
            }
        }
        let open = |what, path: &Option<PathBuf>| {
            path.as_deref().map(|path| OutputFile::new(what, path, inputs)).transpose()
        };
        Ok(Files {
            bundle: open("bundle", &self.bundle)?,
            signature: open("signature", &self.signature)?,
            attestation: open("statement", &self.attestation)?,
        })
    }
}

impl Files {
    /// Writes them.
    pub(super) fn write(self, written: &Written, out: &mut Output) -> Result<(), SignBlobError> {
        let Self { bundle, signature, attestation } = self;
        let each =
            [(bundle, &written.bundle), (attestation, &written.attestation), (signature, &written.signature)];
        for (file, bytes) in each {
            let Some(file) = file else { continue };
            let line = file.line();
            file.write(bytes)?;
            out.line(&line);
        }
        Ok(())
    }
}
