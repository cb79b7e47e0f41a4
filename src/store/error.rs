//! Why a store can't keep a signature.

use std::path::PathBuf;

use http::StatusCode;

use crate::cluster::AnnotationError;
use crate::explain::explain;
use crate::object_name::NameError;
use crate::oci::ImageRef;
use crate::registry::RegistryError;
use crate::registry::client::Failure;
use crate::run::RunName;

/// Why a store can't keep or give a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The signatures that are there can't be read.
    #[error("cannot read the signatures at {location}")]
    Read {
        /// The tag or digest in the registry.
        location: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// A signature can't be pushed.
    #[error("cannot push the signature of {image} to {location}")]
    Push {
        /// The image that was signed.
        image: String,
        /// The tag or digest in the registry.
        location: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// The registry takes a bundle only beside the image that it is about.
    #[error("cannot push the signature of {image} to {location}, a repository without this image")]
    SubjectElsewhere {
        /// The image that was signed.
        image: String,
        /// The tag or digest in the registry.
        location: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// Something else is where the signatures should be.
    #[error("what is at {location} is not a list of signatures: {what}")]
    Foreign {
        /// The tag or digest in the registry.
        location: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The list of signatures would be larger than registries take.
    #[error("there is no room for another signature at {location}: the manifest would have {size} bytes")]
    Full {
        /// The tag or digest in the registry.
        location: String,
        /// The size it would have, in bytes.
        size: usize,
    },
    /// The list of signatures would exceed the limit for reading.
    #[error("there is no room for another signature at {location}: it would list more than 20,000")]
    TooMany {
        /// The tag or digest in the registry.
        location: String,
    },
    /// A file of the store `directory` can't be written, or isn't what was written.
    #[error("cannot keep the signature in {}", crate::foreign::escape(&path.display().to_string(), 512))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What was written into a file of the store `directory`, or was there already, doesn't verify.
    #[error("what was written to {} does not verify", crate::foreign::escape(&path.display().to_string(), 512))]
    Spoilt {
        /// The file with the signature.
        path: PathBuf,
    },
    /// There is no folder, or nothing to keep in it.
    #[error("there is no place for the signature of {0}, or no signature: nothing was kept")]
    NothingKept(String),
    /// Annotations need a run.
    #[error("there is no run in whose annotations the signature of {0} could be kept")]
    NoRun(String),
    /// The API server can't be asked for such a name.
    #[error("{0} is no name of an object")]
    Name(RunName, #[source] NameError),
    /// The annotations don't take it.
    #[error(transparent)]
    Annotations(Box<AnnotationError>),
    /// What must be written can't be written as JSON.
    #[error("cannot write a manifest as JSON")]
    Json(#[source] serde_json::Error),
}

impl StoreError {
    /// The signatures at `location` can't be read.
    pub(super) fn read(location: String, source: RegistryError) -> Self {
        Self::Read { location, source: Box::new(source) }
    }

    /// A signature of `image` can't be pushed to `location`.
    pub(super) fn push(image: &ImageRef, location: String, source: RegistryError) -> Self {
        Self::Push { image: image.to_string(), location, source: Box::new(source) }
    }

    /// Whether the registry answered, with content that isn't what its name says.
    pub(crate) fn is_bad_content(&self) -> bool {
        let failure = self.registry().and_then(RegistryError::request).map(|request| &request.failure);
        matches!(
            failure,
            Some(Failure::TooLarge { .. } | Failure::WrongBytes { .. } | Failure::Schema1 { .. })
        )
    }

    /// Whether the registry may have refused a list because it doesn't hold something that the list names. Registries
    /// say so in several ways, and with the same codes refuse a manifest for other reasons: only a look shows it.
    pub(crate) fn may_lack_parts(&self) -> bool {
        let Self::Push { source, .. } = self else { return false };
        let status = source.refusal().map(|refusal| refusal.status);
        status.is_some_and(|status| {
            matches!(
                status,
                StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY
            )
        })
    }

    /// Whether the registry says that something which a manifest names is absent.
    pub(super) fn lacks_something(&self) -> bool {
        let Self::Push { source, .. } = self else { return false };
        let codes = ["MANIFEST_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"];
        source.refusal().is_some_and(|refusal| codes.iter().any(|code| refusal.has_code(code)))
    }

    /// The same refusal, where all that the manifest names is there but its subject.
    pub(super) fn for_absent_subject(self) -> Self {
        match self {
            Self::Push { image, location, source } => Self::SubjectElsewhere { image, location, source },
            other => other,
        }
    }

    /// Whether the registry refuses that a tag is written.
    pub(super) fn refuses_tag(&self) -> bool {
        let Self::Push { source, .. } = self else { return false };
        source.refusal().is_some_and(|refusal| {
            matches!(
                refusal.status,
                StatusCode::BAD_REQUEST
                    | StatusCode::FORBIDDEN
                    | StatusCode::METHOD_NOT_ALLOWED
                    | StatusCode::CONFLICT
                    | StatusCode::PRECONDITION_FAILED
            )
        })
    }

    /// What the registry said, if it was the registry.
    pub fn registry(&self) -> Option<&RegistryError> {
        match self {
            Self::Read { source, .. } | Self::Push { source, .. } | Self::SubjectElsewhere { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}

explain! { StoreError,
    Self::Read { source, .. } | Self::Push { source, .. } => [of source.as_ref()],
    Self::SubjectElsewhere { source, .. } => ["store-subject-elsewhere", Failed,
        "this registry wants the image in the repository of its bundles: leave storage.oci.repository (COSIGN_REPOSITORY) \
         out, copy the image there, or choose storage.oci.encoding-format=dsse", used source.used()],
    Self::Foreign { what: super::shelf::TOO_MANY, .. } => ["store-too-many", Failed,
        "remove signatures that are no longer needed, or choose another storage.oci.repository"],
    Self::Foreign { .. } => ["store-foreign", Failed,
        "nothing was overwritten; look at it with `crane manifest`, remove it if it is no signature, \
         or choose another storage.oci.repository"],
    Self::Full { .. } | Self::TooMany { .. } => ["store-full", Failed, "remove signatures that are no longer needed (`cosign clean`)"],
    Self::File { .. } => ["store-folder", Failed,
        "let --signatures-dir name a folder that this step's user may write, such as a workspace"],
    Self::Spoilt { .. } => ["store-spoilt", Failed,
        "don't use the file; look whether something else writes into the folder, and whether the key or the agent \
         signs with the key that it names"],
    Self::NothingKept(_) => ["store-no-folder", Failed, "name a folder with --signatures-dir"],
    Self::NoRun(_) => ["store-no-run", Results,
        "say which run it is (--run, --taskrun), or set artifacts.oci.storage to oci"],
    Self::Name(..) => ["store-run-name", Failed, "give the object as the cluster has it, with its namespace"],
    Self::Annotations(error) => [of error.as_ref()],
    Self::Json(_) => ["store-json", Failed],
}
