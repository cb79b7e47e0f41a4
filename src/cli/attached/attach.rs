//! `stepseal attach sbom`: puts an SBOM beside an image, unsigned, as cosign does.

use std::path::PathBuf;

use super::super::output::Output;
use super::super::own_flags::OwnFlags;
use super::begin::Begun;
use super::error::BesideCommandError;
use crate::config::ConfigError;
use crate::input;
use crate::store::sbom::{self, Change, NewSbom};
use crate::store::{Descriptor, Subject};

/// Which kind of SBOM it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Spdx,
    CycloneDx,
    Syft,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Xml,
    Text,
}

/// What is asked for.
pub(super) struct AttachSbom {
    sbom: NewSbom,
    as_referrer: bool,
}

impl AttachSbom {
    /// Reads the flags and the SBOM.
    pub(super) fn new(flags: &OwnFlags<'_>, out: &mut Output) -> Result<Self, BesideCommandError> {
        let kind = flags.one("type", "spdx, cyclonedx or syft", |text| match text {
            "spdx" => Some(Type::Spdx),
            "cyclonedx" => Some(Type::CycloneDx),
            "syft" => Some(Type::Syft),
            _ => None,
        })?;
        let format = flags.one("input-format", "json, xml or text", |text| match text {
            "json" => Some(Format::Json),
            "xml" => Some(Format::Xml),
            "text" => Some(Format::Text),
            _ => None,
        })?;
        let as_referrer = by_referrer(flags)?.unwrap_or_default();
        let file = flags.text("sbom")?.ok_or(BesideCommandError::NoFile)?;
        let media_type = kind.unwrap_or(Type::Spdx).media_type(format, file.ends_with(".json"))?;
        let path = PathBuf::from(file);
        let bytes = input::read_or_stdin(&path, sbom::MAX_BYTES);
        let bytes = bytes.map_err(|source| BesideCommandError::File { path: path.clone(), source })?;
        if bytes.is_empty() {
            return Err(BesideCommandError::Empty { path });
        }
        if !media_type.ends_with("json") && bytes.trim_ascii_start().starts_with(b"{") {
            out.line(&format!(
                "note: it looks like JSON and is labeled {media_type}: --input-format json labels it so"
            ));
        }
        Ok(Self { sbom: NewSbom { bytes: bytes.into(), media_type }, as_referrer })
    }

    pub(super) async fn run(&self, begun: &Begun, out: &mut Output) -> Result<(), BesideCommandError> {
        let (asked, manifest) = begun.held().await?;
        let image = asked.image;
        let (location, change) = if self.as_referrer {
            let descriptor = Descriptor {
                media_type: manifest.media_type,
                size: manifest.bytes.len() as u64,
                digest: manifest.digest.as_str().to_owned(),
            };
            let subject = Subject { image: image.clone(), descriptor };
            sbom::attach_by_referrer(&begun.beside, &subject, &self.sbom).await?
        } else {
            sbom::attach_by_tag(&begun.beside, &image, &self.sbom).await?
        };
        let media_type = self.sbom.media_type;
        out.line(&match change {
            Change::Nothing => format!("already    {media_type} of {image} at {location}"),
            Change::Added => format!("attached   {media_type} of {image} at {location}"),
            Change::Replaced(old) => {
                format!("attached   {media_type} of {image} at {location}; it replaces the SBOM of the manifest {old}")
            }
        });
        // Only for the note: it was attached, whatever the list says.
        if !self.as_referrer && sbom::has_referrer(&begun.beside, &image).await.unwrap_or(false) {
            out.line(
                "note: SBOMs are attached as referrers, too: `download sbom` and cosign print the last of those",
            );
        }
        out.line(
            "note: the SBOM is not signed: anyone who may push can replace it; `stepseal attest` signs one",
        );
        Ok(())
    }
}

/// Whether `--registry-referrers-mode` asks for referrers; `None`: it isn't given.
pub(super) fn by_referrer(flags: &OwnFlags<'_>) -> Result<Option<bool>, ConfigError> {
    flags.one("registry-referrers-mode", "legacy or oci-1-1", |text| match text {
        "legacy" => Some(false),
        "oci-1-1" => Some(true),
        _ => None,
    })
}

impl Type {
    /// The media type that cosign gives it. `is_json_file`: the file's name ends so, which counts where no format is given.
    ///
    /// Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SBOM_SPEC.md#sbom-types>
    fn media_type(
        self,
        format: Option<Format>,
        is_json_file: bool,
    ) -> Result<&'static str, BesideCommandError> {
        let format = format.or_else(|| is_json_file.then_some(Format::Json));
        let (kind, allowed) = match (self, format) {
            (Self::Spdx, Some(Format::Json)) => return Ok("text/spdx+json"),
            (Self::Spdx, None | Some(Format::Text)) => return Ok("text/spdx"),
            (Self::CycloneDx, Some(Format::Json)) => return Ok("application/vnd.cyclonedx+json"),
            (Self::CycloneDx, None | Some(Format::Xml)) => return Ok("application/vnd.cyclonedx+xml"),
            (Self::Syft, None | Some(Format::Json)) => return Ok("application/vnd.syft+json"),
            (Self::Spdx, Some(Format::Xml)) => ("spdx", "json or text"),
            (Self::CycloneDx, Some(Format::Text)) => ("cyclonedx", "json or xml"),
            (Self::Syft, Some(Format::Xml | Format::Text)) => ("syft", "json"),
        };
        let format = if format == Some(Format::Xml) { "xml" } else { "text" };
        Err(BesideCommandError::Format { kind, format, allowed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every type with every format, as cosign 3.1.2 names them; `-`: refused.
    #[test]
    fn media_types_are_cosigns() {
        let formats = [None, Some(Format::Json), Some(Format::Xml), Some(Format::Text)];
        let (spdx, cyclonedx) = ("text/spdx", "application/vnd.cyclonedx");
        let (json, xml, syft) =
            (format!("{cyclonedx}+json"), format!("{cyclonedx}+xml"), "application/vnd.syft+json");
        for (kind, is_json_file, want) in [
            (Type::Spdx, false, [spdx, "text/spdx+json", "-", spdx]),
            (Type::Spdx, true, ["text/spdx+json", "text/spdx+json", "-", spdx]),
            (Type::CycloneDx, false, [&xml, &json, &xml, "-"]),
            (Type::CycloneDx, true, [&json, &json, &xml, "-"]),
            (Type::Syft, false, [syft, syft, "-", "-"]),
            (Type::Syft, true, [syft, syft, "-", "-"]),
        ] {
            let found = formats.map(|format| kind.media_type(format, is_json_file).unwrap_or("-"));
            assert_eq!(found, want, "{kind:?} {is_json_file}");
        }
    }
}
