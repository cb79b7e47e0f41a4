//! `attest`.

use clap::{Arg, ArgAction, Command};

use super::settings::{ATTEST_SETTINGS, REGISTRY_FLAGS};
use super::{EXIT_CODES, chains, flag, switch};

const ATTEST_ABOUT: &str = "Sign what predicates (SBOM, scan, test report) say of images";

/// `attest`: images, what is said of each, and the settings that concern them.
pub(super) fn attest() -> Command {
    let command = Command::new("attest")
        .about(ATTEST_ABOUT)
        .arg(
            Arg::new("attested")
                .value_name("IMAGE@DIGEST")
                .num_args(0..)
                .required_unless_present("images-file")
                .help("The images; each gets everything that is said"),
        )
        .arg(
            Arg::new("images-file")
                .long("images-file")
                .value_name("FILE")
                .action(ArgAction::Append)
                .help("Images, one a line, - for standard input; repeatable"),
        )
        .arg(
            Arg::new("predicate")
                .long("predicate")
                .value_name("FILE")
                .action(ArgAction::Append)
                .help("What is said of them, JSON, - for standard input; repeatable, up to 64 MiB together"),
        )
        .arg(
            Arg::new("type")
                .long("type")
                .value_name("TYPE")
                .action(ArgAction::Append)
                .help(
                    "The predicate's type: a URI, or cosign's name (spdxjson, cyclonedx, vuln, …); custom where there is none. The first is \
                     the first predicate's, the second the second's",
                ),
        )
        .arg(
            Arg::new("statement")
                .long("statement")
                .value_name("FILE")
                .action(ArgAction::Append)
                .help("A whole in-toto statement that names each image by its digest, signed as it is; repeatable"),
        )
        .arg(switch(
            "replace",
            "Remove what this key attested before of the same predicate types (tags only); others' stays",
        ));
    let settings = ATTEST_SETTINGS.iter().chain(REGISTRY_FLAGS);
    chains(settings.fold(command, |command, setting| command.arg(flag(setting)))).after_help(EXIT_CODES)
}
