//! `stepseal triangulate`: the name under which something lies beside an image.

use super::super::output::Output;
use super::super::own_flags::OwnFlags;
use super::begin::Begun;
use super::error::BesideCommandError;
use crate::config::ConfigError;
use crate::store::beside::Kind;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// A tag of cosign's.
    Tag(Kind),
    /// The image by its digest, in the repository where its signatures lie.
    Digest,
}

impl Type {
    pub(super) fn new(flags: &OwnFlags<'_>) -> Result<Self, ConfigError> {
        let named = flags.one("type", "signature, attestation, sbom or digest", |text| match text {
            "signature" => Some(Self::Tag(Kind::Signatures)),
            "attestation" => Some(Self::Tag(Kind::Attestations)),
            "sbom" => Some(Self::Tag(Kind::Sbom)),
            "digest" => Some(Self::Digest),
            _ => None,
        })?;
        Ok(named.unwrap_or(Self::Tag(Kind::Signatures)))
    }

    pub(super) async fn run(self, begun: &Begun, out: &mut Output) -> Result<(), BesideCommandError> {
        let image = begun.resolve().await?.image;
        let name = match self {
            Self::Tag(kind) => begun.beside.tag_name(&image, kind),
            Self::Digest => format!("{}@{}", begun.beside.repository(&image), image.digest),
        };
        out.print_data(&format!("{name}\n"));
        Ok(())
    }
}
