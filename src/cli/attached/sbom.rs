//! `stepseal download sbom`: the SBOM that is attached to an image, byte for byte.

use super::super::output::Output;
use super::super::own_flags::OwnFlags;
use super::begin::Begun;
use super::download::platform;
use super::error::BesideCommandError;
use crate::oci::Target;
use crate::oci::platform::{self, Platform};
use crate::store::sbom;

/// What is asked for.
pub(super) struct DownloadSbom {
    platform: Option<Platform>,
}

impl DownloadSbom {
    pub(super) fn new(flags: &OwnFlags<'_>) -> Result<Self, BesideCommandError> {
        Ok(Self { platform: platform(flags)? })
    }

    pub(super) async fn run(&self, begun: &Begun, out: &mut Output) -> Result<(), BesideCommandError> {
        let asked = begun.for_platform(self.platform.as_ref()).await?;
        let Some(found) = sbom::find(&begun.beside, &asked.image).await? else {
            // Only for the advice: whether it can be had says nothing of the SBOM.
            let target = Target::Digest(asked.image.digest.clone());
            let manifest = begun.client.manifest(&asked.image.repository, &target).await;
            let platforms = manifest.ok().flatten().as_ref().and_then(platform::listed);
            return Err(BesideCommandError::NoSbom { image: asked.name, platforms });
        };
        out.line(&format!("found      {} at {}", found.media_type, found.location));
        if found.others > 0 {
            out.line(&format!(
                "note: {} more SBOMs are attached to {}; this is the last that the registry lists",
                found.others, asked.image
            ));
        }
        out.line("note: nobody has signed it: `stepseal verify-attestation` checks an SBOM that `attest` has signed");
        out.print_foreign(&found.bytes);
        Ok(())
    }
}
