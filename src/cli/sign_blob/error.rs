//! Why a file is not signed, and what to do.

use std::path::PathBuf;

use super::refused::Wants;
use crate::cli::output_file::OutputFileError;
use crate::cli::predicate::PredicateError;
use crate::cli::verify_blob::error::MAX_FILE_BYTES;
use crate::config::{ConfigError, ValueOrigin};
use crate::explain::explain;
use crate::flow::access::AccessError;
use crate::flow::job::RuntimeError;
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
    Refused { origin: ValueOrigin, wants: Wants },
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
    #[error("cannot sign by the algorithm \"{}\" ({origin})", foreign::escape(.name, 80))]
    Scheme { origin: ValueOrigin, name: String, source: SchemeError },
    #[error("cannot read {what} {}", foreign::escape(&path.display().to_string(), 512))]
    Read { what: &'static str, path: PathBuf, source: InputError },
    #[error("neither --predicate nor --statement is given")]
    NoPredicate,
    #[error("both --statement and --{0} are given")]
    StatementAnd(&'static str),
    #[error("no file is given that the predicate is about")]
    NoFile,
    #[error("--hash is not a SHA-256: \"{}\"", foreign::escape(.0, 80))]
    Hash(String),
    #[error("cannot sign the statement {}", foreign::escape(&path.display().to_string(), 512))]
    Statement { path: PathBuf, source: StatementError },
    #[error("cannot sign the statement {}: it is the signature of an image", foreign::escape(&path.display().to_string(), 512))]
    ImageSignature { path: PathBuf },
    #[error("what was signed is not verified, and nothing was written")]
    Check(#[source] CheckError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
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

explain! { SignBlobError,
    Self::Config(error) => [of error],
    Self::Access(error) => [of error],
    Self::Sign(error) => [of error],
    Self::Key(error) => [of error],
    Self::File(error) => [of error],
    Self::Predicate(error) => [of error],
    Self::Payload(error) => [of error],
    Self::Refused { wants, .. } => ["blob-flag-refused", Usage, hint Some(wants.hint().into())],
    Self::Agent => ["blob-agent", Usage, "give the key itself with --key, and leave out --agent (STEPSEAL_AGENT)"],
    Self::NoBundle => ["blob-no-bundle", Usage, "give --bundle FILE, or leave it out: then the signature goes to standard output"],
    Self::OneFile { flag, .. } => ["blob-one-file", Usage,
        "run it once for each file; without --{flag} each signature is a line of standard output"],
    Self::RunTogether { .. } => ["blob-run-together", Usage, "run it once for each file, or leave --b64=false out"],
    Self::TwiceStdin => ["blob-twice-stdin", Usage, "give the other one as a file"],
    Self::SameFile { .. } => ["blob-same-file", Usage, "give each a file of its own"],
    Self::Scheme { source: SchemeError::Unknown, .. } => ["blob-algorithm", Usage, hint Some(format!(
        "leave it out, or give one of {}",
        Scheme::names().collect::<Vec<_>>().join(", ")
    ))],
    Self::Scheme { .. } => ["blob-algorithm", Usage, "leave it out: each key has its algorithm"],
    Self::Read { source: InputError::TooLarge { limit: MAX_FILE_BYTES }, .. } => ["blob-too-large", Usage,
        "sign a list of digests instead: sha256sum FILE > FILE.sha256"],
    Self::Read { source: InputError::Io(error), .. } if error.kind() == std::io::ErrorKind::FileTooLarge => ["blob-too-large", Usage,
        "use an ECDSA or RSA key, or sign a list of digests instead: sha256sum FILE > FILE.sha256"],
    Self::Read { source, .. } if source.hint().is_some() => ["blob-unread", Usage, hint source.hint()],
    Self::Read { .. } => ["blob-unread", Usage, "name a file that this step may read, or - for standard input"],
    Self::NoPredicate => ["blob-no-predicate", Usage, "give --predicate FILE with --type TYPE, or a whole --statement FILE"],
    Self::StatementAnd(_) => ["blob-statement-and", Usage,
        "leave one of them out: a statement says of itself what it is about"],
    Self::NoFile => ["blob-no-file", Usage, "name the file; with --hash its name is enough"],
    Self::Hash(_) => ["sign-blob-hash", Usage, "give 64 hexadecimal digits: sha256sum FILE prints them"],
    Self::Statement { .. } => ["blob-statement", Usage,
        "give an in-toto statement (_type, subject, predicateType, predicate), or what it says with --predicate"],
    Self::ImageSignature { .. } => ["blob-image-signature", Usage, "sign the image with `stepseal sign`"],
    Self::Check(CheckError::Bundle(BundleError::Content(_))) => ["blob-check", Failed,
        "give a statement about this file, or leave FILE out; if you gave none, report it"],
    Self::Check(_) => ["blob-check", Failed, "this is a fault of Stepseal's: report it"],
    Self::Format(_) => ["json-unwritten", Failed, "this is a fault of Stepseal's: report it"],
    Self::Runtime(error) => [of error],
    Self::Ended => ["signing-thread-ended", Failed, "give the step more memory and processes"],
    Self::Interrupted(_) => ["job-interrupted", Failed, "run it again, with a longer --timeout where that was over"],
}
