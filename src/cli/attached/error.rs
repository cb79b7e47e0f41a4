//! Why a command for what lies beside an image has failed.

use std::path::PathBuf;

use crate::cli::registries::RegistriesError;
use crate::config::ConfigError;
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::flow::images::VerifyError;
use crate::foreign;
use crate::found::Cut;
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
    Lookup(#[from] VerifyError),
    #[error(transparent)]
    Beside(#[from] BesideError),
    #[error("\"{name}\" names no image")]
    Image { name: String, source: ReferenceError },
    #[error("{image} has no image for {platform}")]
    Choice { image: String, platform: String, source: ChoiceError },
    /// The registry says that nothing of the kind is there.
    #[error("no {what} at {image}")]
    Nothing { what: String, image: String, source: Places, hint: &'static str },
    /// The registry says that no SBOM is there.
    #[error("no SBOM is attached to {image}")]
    NoSbom { image: String, platforms: Option<String> },
    /// It can't be told whether all that is there was found.
    #[error("cannot tell what lies beside {image}")]
    Search { image: String, source: StoreError },
    /// There is more than is printed.
    #[error("more lies beside {image} than is printed at once: {why}")]
    Cut { image: String, why: String },
    #[error("--sbom names no file")]
    NoFile,
    #[error("cannot read the SBOM {}", foreign::shown(&path.display().to_string(), 512))]
    File { path: PathBuf, source: InputError },
    #[error("the SBOM {} is empty", foreign::shown(&path.display().to_string(), 512))]
    Empty { path: PathBuf },
    #[error("an SBOM of type {kind} is not written as {format}")]
    Format { kind: &'static str, format: &'static str, allowed: &'static str },
    #[error("cannot write JSON")]
    Json(#[source] serde_json::Error),
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("{0}; nothing more is done")]
    Ended(String),
}

/// Where was looked.
#[derive(Debug, thiserror::Error)]
#[error("looked at {0}")]
pub(super) struct Places(pub(super) String);

impl BesideCommandError {
    /// More lies there than a search looks at.
    pub(super) fn cut(image: &str, cut: &Cut) -> Self {
        Self::Cut { image: image.to_owned(), why: cut.to_string() }
    }

    fn inner(&self) -> Option<&dyn Explain> {
        Some(match self {
            Self::Config(error) => error,
            Self::Registries(error) => error,
            Self::Type(error) => error,
            Self::Lookup(error) => error,
            Self::Beside(error) => error,
            Self::Search { source, .. } => source,
            _ => return None,
        })
    }
}

impl Explain for BesideCommandError {
    fn used(&self) -> Option<String> {
        self.inner()?.used()
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Image { .. } => "write NAME@sha256:DIGEST or NAME:TAG".to_owned(),
            Self::Choice { source: ChoiceError::NoIndex, .. } => "leave out --platform".to_owned(),
            Self::Choice { .. } => "give --platform as OS/ARCH or OS/ARCH/VARIANT, so that it names one of them".to_owned(),
            Self::Nothing { hint, .. } => (*hint).to_owned(),
            Self::NoSbom { platforms: Some(platforms), .. } => {
                format!("the image is an index: try --platform with one of {platforms}")
            }
            Self::NoSbom { platforms: None, .. } => {
                "attach one with `stepseal attach sbom`; a signed one is read with `stepseal download attestation`".to_owned()
            }
            Self::Cut { .. } => {
                "ask for less: give --predicate-type, or raise --timeout if that was over".to_owned()
            }
            Self::NoFile => "give --sbom FILE, or --sbom - for standard input".to_owned(),
            Self::File { source: InputError::TooLarge { .. }, .. } => {
                "attach an SBOM of at most 128 MiB".to_owned()
            }
            Self::File { source, .. } => source
                .hint()
                .unwrap_or_else(|| "name a file that this step may read, or - for standard input".to_owned()),
            Self::Empty { .. } => "look whether the step that writes it has ended well".to_owned(),
            Self::Format { allowed, .. } => format!("give --input-format {allowed}, or leave it out"),
            Self::Runtime(_) => "give the step more memory and processes".to_owned(),
            Self::Ended(_) => "run again, or raise --timeout".to_owned(),
            _ => return self.inner().and_then(Explain::hint),
        })
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Image { .. }
            | Self::NoFile
            | Self::File { .. }
            | Self::Empty { .. }
            | Self::Format { .. } => ExitCode::Usage,
            _ => self.inner().map_or(ExitCode::Failed, Explain::exit),
        }
    }
}
