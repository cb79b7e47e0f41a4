//! `attest`.

use clap::{Arg, Command};

use super::settings::{ATTEST_SETTINGS, REGISTRY_FLAGS};
use super::{chains, flag};

const ATTEST_ABOUT: &str = "Sign what a predicate (SBOM, scan, test report) says of an image";

/// `attest`: an image, a predicate, and the settings that concern them.
pub(super) fn attest() -> Command {
    let command = Command::new("attest")
        .about(ATTEST_ABOUT)
        .arg(
            Arg::new("attested")
                .value_name("IMAGE@DIGEST")
                .required(true)
                .help("The image that the predicate is about"),
        )
        .arg(
            Arg::new("predicate")
                .long("predicate")
                .value_name("FILE")
                .required(true)
                .help("What is said of it, up to 64 MiB of JSON; - for standard input"),
        )
        .arg(
            Arg::new("type")
                .long("type")
                .value_name("TYPE")
                .required(true)
                .help("The predicate's type: a URI, or cosign's name (spdxjson, cyclonedx, vuln, …)"),
        );
    let settings = ATTEST_SETTINGS.iter().chain(REGISTRY_FLAGS);
    chains(settings.fold(command, |command, setting| command.arg(flag(setting))))
}
