//! What the user decides about what is signed for a run: its format, and what provenance says.

use std::fmt;
use std::str::FromStr;

/// The builder that Chains names by default.
pub const DEFAULT_BUILDER_ID: &str = "https://tekton.dev/chains/v2";

/// A format of what is signed for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunFormat {
    /// `slsa/v1`, called `in-toto` too: an in-toto statement with SLSA provenance v0.2.
    SlsaV1,
    /// `slsa/v2alpha3`: an in-toto statement with SLSA provenance v1.
    SlsaV2Alpha3,
    /// `slsa/v2alpha4`: the same, with the results of steps.
    SlsaV2Alpha4,
    /// `tekton`: the run's status as it is.
    Tekton,
}

impl RunFormat {
    /// Every name that Chains has for them.
    pub(crate) const NAMES: [&'static str; 5] =
        ["in-toto", "slsa/v1", "slsa/v2alpha3", "slsa/v2alpha4", "tekton"];

    /// The name of the format; of two names, the more telling name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SlsaV1 => "slsa/v1",
            Self::SlsaV2Alpha3 => "slsa/v2alpha3",
            Self::SlsaV2Alpha4 => "slsa/v2alpha4",
            Self::Tekton => "tekton",
        }
    }

    /// The type of its predicate; `None` for the format without one.
    pub(crate) fn predicate_type(self) -> Option<&'static str> {
        match self {
            Self::SlsaV1 => Some("https://slsa.dev/provenance/v0.2"),
            Self::SlsaV2Alpha3 | Self::SlsaV2Alpha4 => Some("https://slsa.dev/provenance/v1"),
            Self::Tekton => None,
        }
    }

    /// Whether the results of single steps count in it.
    pub(crate) fn reads_step_results(self) -> bool {
        self == Self::SlsaV2Alpha4
    }
}

impl fmt::Display for RunFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no format of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of {}", RunFormat::NAMES.join(", "))]
pub struct UnknownFormat;

impl FromStr for RunFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "in-toto" | "slsa/v1" => Ok(Self::SlsaV1),
            "slsa/v2alpha3" => Ok(Self::SlsaV2Alpha3),
            "slsa/v2alpha4" => Ok(Self::SlsaV2Alpha4),
            "tekton" => Ok(Self::Tekton),
            _ => Err(UnknownFormat),
        }
    }
}

/// The `buildType` of provenance v1: how much of Tekton's own it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BuildType {
    /// What verifiers of SLSA read.
    #[default]
    Slsa,
    /// All labels and annotations, and each TaskRun of a PipelineRun in full, too.
    SlsaTekton,
}

impl BuildType {
    /// The URIs of the configuration and the provenance.
    pub(crate) const URIS: [&'static str; 2] =
        ["https://tekton.dev/chains/v2/slsa", "https://tekton.dev/chains/v2/slsa-tekton"];

    /// Returns the URI of the build type.
    pub fn uri(self) -> &'static str {
        let [slsa, tekton] = Self::URIS;
        match self {
            Self::Slsa => slsa,
            Self::SlsaTekton => tekton,
        }
    }
}

/// The text names no build type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of {}", BuildType::URIS.join(", "))]
pub struct UnknownBuildType;

impl FromStr for BuildType {
    type Err = UnknownBuildType;

    fn from_str(text: &str) -> Result<Self, UnknownBuildType> {
        [Self::Slsa, Self::SlsaTekton].into_iter().find(|known| known.uri() == text).ok_or(UnknownBuildType)
    }
}

/// What the user decides about provenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenanceOptions {
    /// The builder of the run: `builder.id`.
    pub builder_id: String,
    /// The value of `builddefinition.buildtype` in Chains.
    pub build_type: BuildType,
    /// Whether the results of a PipelineRun's TaskRuns count as its own.
    pub deep_inspection: bool,
}

impl Default for ProvenanceOptions {
    fn default() -> Self {
        Self {
            builder_id: DEFAULT_BUILDER_ID.to_owned(),
            build_type: BuildType::default(),
            deep_inspection: false,
        }
    }
}
