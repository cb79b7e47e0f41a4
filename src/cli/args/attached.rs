//! `tree`, `triangulate`, `download` and `attach`: what lies beside an image.

use clap::{Arg, Command};

use super::settings::beside_settings;
use super::{chains_keys, flag, switch, value};

const TREE_ABOUT: &str = "Show what lies beside an image: signatures, attestations, SBOMs, referrers";
const TRIANGULATE_ABOUT: &str = "Print the tag under which an image's signatures, attestations or SBOM lie";
const DOWNLOAD_ABOUT: &str = "Print what lies beside an image; nothing of it is verified";
const DOWNLOAD_SIGNATURE_ABOUT: &str = "Print an image's signatures, a JSON object a line";
const DOWNLOAD_ATTESTATION_ABOUT: &str = "Print an image's attestations, an envelope or bundle a line";
const DOWNLOAD_SBOM_ABOUT: &str = "Print the SBOM that is attached to an image, unsigned, byte for byte";
const ATTACH_ABOUT: &str = "Put something beside an image";
const ATTACH_SBOM_ABOUT: &str = "Attach an SBOM to an image, unsigned; `attest` signs one";

const PLATFORM: &str = "The image for OS/ARCH[/VARIANT] that an index lists, instead of the index";

pub(super) fn tree() -> Command {
    let command = beside(Command::new("tree").about(TREE_ABOUT))
        .arg(value("output", "text|json", "What to print: cosign's tree, or JSON").short('o'))
        .arg(switch("experimental-oci11", "Show referrers, too: on by default").hide(true))
        .arg(value("registry-referrers-mode", "MODE", "oci-1-1: show referrers in any case").hide(true));
    chains_keys(command)
}

pub(super) fn triangulate() -> Command {
    let command = beside(Command::new("triangulate").about(TRIANGULATE_ABOUT));
    let kinds = "signature, attestation, sbom, or digest for the image itself [default: signature]";
    chains_keys(command.arg(value("type", "TYPE", kinds)))
}

pub(super) fn download() -> Command {
    let signature = beside(Command::new("signature").about(DOWNLOAD_SIGNATURE_ABOUT));
    let attestation = beside(Command::new("attestation").about(DOWNLOAD_ATTESTATION_ABOUT))
        .arg(value("predicate-type", "TYPE", "Only those of this type: a URI, or cosign's name"))
        .arg(value("platform", "OS/ARCH", PLATFORM));
    let sbom = beside(Command::new("sbom").about(DOWNLOAD_SBOM_ABOUT));
    let sbom = sbom.arg(value("platform", "OS/ARCH", PLATFORM));
    parent("download", DOWNLOAD_ABOUT).subcommands([signature, attestation, sbom].map(chains_keys))
}

pub(super) fn attach() -> Command {
    let sbom = beside(Command::new("sbom").about(ATTACH_SBOM_ABOUT))
        .arg(value("sbom", "FILE", "The SBOM, up to 128 MiB; - for standard input"))
        .arg(value("type", "TYPE", "spdx, cyclonedx or syft [default: spdx]"))
        .arg(value("input-format", "FORMAT", "json, xml or text [default: json if FILE ends with .json]"))
        .arg(value(
            "registry-referrers-mode",
            "MODE",
            "legacy: a tag that has one SBOM; oci-1-1: a referrer [default: legacy]",
        ));
    parent("attach", ATTACH_ABOUT).subcommand(chains_keys(sbom))
}

fn parent(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).subcommand_required(true).arg_required_else_help(true)
}

/// What these commands share: an image, and how its registry is reached.
fn beside(command: Command) -> Command {
    beside_settings()
        .fold(command, |command, setting| {
            let arg = flag(setting);
            command.arg(if setting.flag == "registry-ca" { arg.alias("registry-cacert") } else { arg })
        })
        .arg(Arg::new("image").value_name("IMAGE").required(true).help("The image, by digest or tag"))
}
