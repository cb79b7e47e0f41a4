//! cosign's flags for files that get what is signed, beside the registry.

use clap::Command;

use super::{switch, value};

/// Those of `sign`, and of `plan`, which takes what `sign` takes.
pub(super) fn of_sign(command: Command) -> Command {
    command
        .arg(value("output-signature", "FILE", "Write the signature of the one image, in base64").hide(true))
        .arg(value("output-payload", "FILE", "Write the payload of the one image").hide(true))
        .arg(value("bundle", "FILE", "Write the Sigstore bundle of the one image").hide(true))
        .arg(switch("upload", "Store the signature; where it is false, only such a file gets it").hide(true))
}
