//! Why a file is not signed, and what to do.

use std::path::PathBuf;

use super::refused::Wants;
use crate::cli::access::AccessError;
use crate::cli::output_file::OutputFileError;
use crate::cli::predicate::PredicateError;
use crate::cli::verify_blob::error::MAX_FILE_BYTES;
use crate::config::{ConfigError, Origin};
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::formats::PayloadError;
use crate::input::InputError;
use crate::key::{Scheme, SchemeError};
use crate::sign::{KeyError, SignError};
use crate::store::StoreError;
use crate::verify::bundle::BundleError;
use crate::verify::detached::{DetachedError, PartsError};
use crate::verify::statement::StatementError;

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignBlobError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    File(#[from] OutputFileError),
    #[error(transparent)]
    Predicate(#[from] PredicateError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error("cannot write it as JSON")]
    Format(#[from] StoreError),
    #[error("{origin} is not done here: {}", .wants.reason())]
    Refused { origin: Origin, wants: Wants },
    #[error("an agent signs no files: it has to know what it signs, and knows images and runs")]
    Agent,
    #[error("--new-bundle-format is given without --bundle")]
    NoBundle,
    #[error("{files} files are given, and --{flag} names one file for all of them")]
    OneFile { files: usize, flag: &'static str },
    #[error("{files} files are given, and --b64=false has no line for each")]
    RunTogether { files: usize },
    #[error("standard input (-) is given twice")]
    TwiceStdin,
    #[error("{one} and {other} name the same file")]
    SameFile { one: &'static str, other: &'static str },
    #[error("cannot sign by the algorithm \"{}\" ({origin})", foreign::shown(.name, 80))]
    Scheme { origin: Origin, name: String, source: SchemeError },
    #[error("cannot read {what} {}", foreign::shown(&path.display().to_string(), 512))]
    Read { what: &'static str, path: PathBuf, source: InputError },
    #[error("neither --predicate nor --statement is given")]
    NoPredicate,
    #[error("both --statement and --{0} are given")]
    StatementAnd(&'static str),
    #[error("no file is given that the predicate is about")]
    NoFile,
    #[error("--hash is not a SHA-256: \"{}\"", foreign::shown(.0, 80))]
    Hash(String),
    #[error("cannot sign the statement {}", foreign::shown(&path.display().to_string(), 512))]
    Statement { path: PathBuf, source: StatementError },
    #[error("cannot sign the statement {}: it is the signature of an image", foreign::shown(&path.display().to_string(), 512))]
    ImageSignature { path: PathBuf },
    #[error("what was signed is not verified, and nothing was written")]
    Check(#[source] CheckError),
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("the signing thread ended before it was done")]
    Ended,
    #[error("nothing is signed: {0}")]
    Interrupted(String),
}

/// Why what was signed isn't verified.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Parts(#[from] PartsError),
    #[error(transparent)]
    Form(#[from] DetachedError),
    #[error("it holds no signature")]
    Nothing,
    #[error("it is of another key")]
    Key,
}

impl SignBlobError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Config(error) => Some(error),
            Self::Access(error) => Some(error),
            Self::Sign(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::File(error) => Some(error),
            Self::Predicate(error) => Some(error),
            Self::Payload(error) => Some(error),
            _ => None,
        }
    }
}

impl Explain for SignBlobError {
    fn used(&self) -> Option<String> {
        self.inner()?.used()
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Refused { wants, .. } => wants.hint().into(),
            Self::Agent => "give the key itself with --key, and leave out --agent (STEPSEAL_AGENT)".into(),
            Self::NoBundle => "give --bundle FILE, or leave it out: then the signature goes to standard output".into(),
            Self::OneFile { flag, .. } => {
                format!("run it once for each file; without --{flag} each signature is a line of standard output")
            }
            Self::RunTogether { .. } => "run it once for each file, or leave --b64=false out".into(),
            Self::TwiceStdin => "give the other one as a file".into(),
            Self::SameFile { .. } => "give each a file of its own".into(),
            Self::Scheme { source: SchemeError::Unknown, .. } => {
                format!("leave it out, or give one of {}", Scheme::names().collect::<Vec<_>>().join(", "))
            }
            Self::Scheme { .. } => "leave it out: each key has its algorithm".into(),
            Self::Read { source: InputError::TooLarge { limit: MAX_FILE_BYTES }, .. } => {
                "sign a list of digests instead: sha256sum FILE > FILE.sha256".into()
            }
            Self::Read { source: InputError::Io(error), .. }
                if error.kind() == std::io::ErrorKind::FileTooLarge =>
            {
                "use an ECDSA or RSA key, or sign a list of digests instead: sha256sum FILE > FILE.sha256".into()
            }
            Self::Read { source, .. } => source
                .hint()
                .unwrap_or_else(|| "name a file that this step may read, or - for standard input".into()),
            Self::NoPredicate => "give --predicate FILE with --type TYPE, or a whole --statement FILE".into(),
            Self::StatementAnd(_) => "leave one of them out: a statement says of itself what it is about".into(),
            Self::NoFile => "name the file; with --hash its name is enough".into(),
            Self::Hash(_) => "give 64 hexadecimal digits: sha256sum FILE prints them".into(),
            Self::Statement { .. } => {
                "give an in-toto statement (_type, subject, predicateType, predicate), or what it says with --predicate".into()
            }
            Self::ImageSignature { .. } => "sign the image with `stepseal sign`".into(),
            Self::Check(CheckError::Bundle(BundleError::Content(_))) => {
                "give a statement about this file, or leave FILE out; if you gave none, report it".into()
            }
            Self::Check(_) | Self::Format(_) => "this is a fault of Stepseal's: report it".into(),
            Self::Runtime(_) | Self::Ended => "give the step more memory and processes".into(),
            Self::Interrupted(_) => "run it again, with a longer --timeout where that was over".into(),
            _ => return self.inner().and_then(Explain::hint),
        })
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Check(_) | Self::Format(_) | Self::Runtime(_) | Self::Ended | Self::Interrupted(_) => {
                ExitCode::Failed
            }
            _ => self.inner().map_or(ExitCode::Usage, Explain::exit),
        }
    }
}
