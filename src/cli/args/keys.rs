//! The commands that make keys.

use clap::{Arg, Command};

use super::settings::KEY_SETTINGS;
use super::{flag, switch, value};

const PUBLIC_KEY_ABOUT: &str = "Print the public key of a signing key, or of an agent";
const IMPORT_ABOUT: &str =
    "Encrypt a private key of another program as cosign does, and write its public key";
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
                .help("Write PREFIX.key and PREFIX.pub; cosign by default"),
        )
}

pub(super) fn public_key() -> Command {
    let command = Command::new("public-key").about(PUBLIC_KEY_ABOUT);
    KEY_SETTINGS.iter().fold(command, |command, setting| command.arg(flag(setting))).arg(value(
        "outfile",
        "FILE",
        "Write it to FILE instead of standard output",
    ))
}

pub(super) fn import_key_pair() -> Command {
    Command::new("import-key-pair")
        .about(IMPORT_ABOUT)
        .after_help(
            "The password is COSIGN_PASSWORD, or else what is typed at a terminal; it may be empty.\n\
             Files that exist are not overwritten without --yes.",
        )
        .arg(
            value(
                "key",
                "FILE",
                "The private key in PEM, not encrypted: PKCS#8, PKCS#1 or SEC1; RSA, ECDSA, Ed25519",
            )
            .short('k'),
        )
        .arg(
            value("output-key-prefix", "PREFIX", "Write PREFIX.key and PREFIX.pub; import-cosign by default")
                .short('o'),
        )
        .arg(switch("yes", "Replace both files if they exist").short('y'))
}
