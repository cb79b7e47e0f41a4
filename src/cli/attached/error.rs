//! Why a command for what lies beside an image has failed.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::explain::explain;
use crate::flow::images::ImageVerifyError;
use crate::flow::job::RuntimeError;
use crate::flow::registries::RegistriesError;
use crate::foreign;
use crate::found::SearchLimit;
use crate::input::InputError;
use crate::oci::platform::ChoiceError;
use crate::oci::reference::ReferenceError;
use crate::store::StoreError;
use crate::store::beside::BesideError;
use crate::verify::attestation_type::TypeError;

/// Why it has failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BesideCommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    #[error(transparent)]
    Type(#[from] TypeError),
    #[error(transparent)]
    Lookup(#[from] ImageVerifyError),
    #[error(transparent)]
    Beside(#[from] BesideError),
    #[error("\"{name}\" is not a valid image name")]
    Image { name: String, source: ReferenceError },
    #[error("{image} has no image for {platform}")]
    Choice { image: String, platform: String, source: ChoiceError },
    /// The registry says that nothing of the kind is there.
    #[error("no {what} at {image}")]
    Nothing { what: String, image: String, source: Places, hint: &'static str },
    /// The registry says that no SBOM is there.
    #[error("no SBOM is attached to {image}")]
    NoSbom { image: String, platforms: Option<String> },
    /// The search may have missed something.
    #[error("cannot tell what lies beside {image}")]
    Search { image: String, source: StoreError },
    /// There is more than is printed.
    #[error("more lies beside {image} than is printed at once: {why}")]
    Cut { image: String, why: String },
    #[error("--sbom names no file")]
    NoFile,
    #[error("cannot read the SBOM {}", foreign::escape(&path.display().to_string(), 512))]
    File { path: PathBuf, source: InputError },
    #[error("the SBOM {} is empty", foreign::escape(&path.display().to_string(), 512))]
    Empty { path: PathBuf },
    #[error("an SBOM of type {kind} is not written as {format}")]
    Format { kind: &'static str, format: &'static str, allowed: &'static str },
    #[error("cannot write JSON")]
    Json(#[source] serde_json::Error),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("{0}; nothing more is done")]
    Ended(String),
}

/// Where was looked.
#[derive(Debug, thiserror::Error)]
#[error("looked at {0}")]
pub(super) struct Places(pub(super) String);

impl BesideCommandError {
    /// More lies there than a search looks at.
    pub(super) fn cut(image: &str, cut: &SearchLimit) -> Self {
        Self::Cut { image: image.to_owned(), why: cut.to_string() }
    }
}

explain! { BesideCommandError,
    Self::Config(error) => [of error],
    Self::Registries(error) => [of error],
    Self::Type(error) => [of error],
    Self::Lookup(error) => [of error],
    Self::Beside(error) => [of error],
    Self::Image { .. } => ["image-name", Usage, "write NAME@sha256:DIGEST or NAME:TAG"],
    Self::Choice { source: ChoiceError::NoIndex, .. } => ["platform-no-index", Failed, "leave out --platform"],
    Self::Choice { .. } => ["platform-not-found", Failed,
        "give --platform as OS/ARCH or OS/ARCH/VARIANT, so that it names one of them"],
    Self::Nothing { hint, .. } => ["beside-nothing", Failed, hint Some((*hint).to_owned())],
    Self::NoSbom { platforms: Some(platforms), .. } => ["sbom-none", Failed,
        "the image is an index: try --platform with one of {platforms}"],
    Self::NoSbom { platforms: None, .. } => ["sbom-none", Failed,
        "attach one with `stepseal attach sbom`; a signed one is read with `stepseal download attestation`"],
    Self::Search { source, .. } => [of source],
    Self::Cut { .. } => ["beside-too-many", Failed, "ask for less: give --predicate-type, or raise --timeout if that was over"],
    Self::NoFile => ["sbom-file", Usage, "give --sbom FILE, or --sbom - for standard input"],
    Self::File { source: InputError::TooLarge { .. }, .. } => ["sbom-file", Usage, "attach an SBOM of at most 128 MiB"],
    Self::File { source, .. } if source.hint().is_some() => ["sbom-file", Usage, hint source.hint()],
    Self::File { .. } => ["sbom-file", Usage, "name a file that this step may read, or - for standard input"],
    Self::Empty { .. } => ["sbom-empty", Usage, "look whether the step that writes it has ended well"],
    Self::Format { allowed, .. } => ["sbom-format", Usage, "give --input-format {allowed}, or leave it out"],
    Self::Json(_) => ["attached-json", Failed],
    Self::Runtime(error) => [of error],
    Self::Ended(_) => ["attached-interrupted", Failed, "run again, or raise --timeout"],
}
