//! `verify`, `verify-attestation` and `verify-run`.

use clap::{Arg, ArgAction, Command};

use super::settings::{
    REGISTRY_FLAGS, Setting, VERIFY_ATTESTATION_SETTINGS, VERIFY_IMAGE_SETTINGS, VERIFY_REGISTRY_SETTINGS,
    VERIFY_RUN_SETTINGS, VERIFY_SETTINGS,
};
use super::{chains_keys, flag, value};

const VERIFY_ABOUT: &str = "Verify the signatures of images; with --policy a gate for a Pipeline";
const VERIFY_ATTESTATION_ABOUT: &str = "Verify attestations about images, and what they say";
const VERIFY_RUN_ABOUT: &str = "Verify a run against the signatures that its annotations carry";

pub(super) fn verify() -> Command {
    let tables = [VERIFY_SETTINGS, VERIFY_REGISTRY_SETTINGS, REGISTRY_FLAGS, VERIFY_IMAGE_SETTINGS];
    let command = verifying(Command::new("verify").about(VERIFY_ABOUT), &tables).arg(
        Arg::new("images-file")
            .long("images-file")
            .value_name("FILE")
            .action(ArgAction::Append)
            .help("Images to verify, NAME@DIGEST one a line, - for standard input"),
    );
    command.arg(Arg::new("image").value_name("IMAGE").num_args(0..).help("Images, by digest or tag"))
}

pub(super) fn verify_attestation() -> Command {
    let tables = [VERIFY_SETTINGS, VERIFY_REGISTRY_SETTINGS, REGISTRY_FLAGS, VERIFY_ATTESTATION_SETTINGS];
    let command = Command::new("verify-attestation").about(VERIFY_ATTESTATION_ABOUT);
    verifying(command, &tables).arg(
        Arg::new("image").value_name("IMAGE").num_args(1..).required(true).help("Images, by digest or tag"),
    )
}

pub(super) fn verify_run() -> Command {
    let command = verifying(
        Command::new("verify-run").about(VERIFY_RUN_ABOUT),
        &[VERIFY_SETTINGS, VERIFY_RUN_SETTINGS],
    );
    command
        .arg(value(
            "run",
            "FILE",
            "The TaskRun, or the PipelineRun followed by its TaskRuns; YAML or JSON, - for standard input",
        ))
        .arg(value("taskrun", "NAMESPACE/NAME", "The TaskRun in the cluster"))
        .arg(value("pipelinerun", "NAMESPACE/NAME", "The PipelineRun in the cluster"))
        .group(clap::ArgGroup::new("what").args(["run", "taskrun", "pipelinerun"]).required(true))
}

/// What the verify commands share.
fn verifying(command: Command, tables: &[&'static [Setting]]) -> Command {
    let settings = tables.iter().copied().flatten();
    chains_keys(settings.fold(command, |command, setting| command.arg(flag(setting))))
}
