//! The commands that make keys.

use clap::{Arg, Command};

const KEYS_ABOUT: &str = "Make a key pair, in files or in a Secret, as cosign makes them";

pub(super) fn generate_key_pair() -> Command {
    Command::new("generate-key-pair")
        .about(KEYS_ABOUT)
        .after_help(
            "The password is COSIGN_PASSWORD, or else what is typed at a terminal; it may be empty.\n\
             Files and Secrets that exist are not overwritten.",
        )
        .arg(Arg::new("destination").value_name("PLACE").help(
            "k8s://NAMESPACE/NAME makes a Secret (and PREFIX.pub); - prints both keys to standard output",
        ))
        .arg(
            Arg::new("output-key-prefix")
                .long("output-key-prefix")
                .value_name("PREFIX")
                .default_value("cosign")
                .help("Write PREFIX.key and PREFIX.pub"),
        )
}
