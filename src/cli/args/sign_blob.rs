//! `sign-blob` and `attest-blob`.

use clap::{Arg, Command};

use super::settings::KEY_SETTINGS;
use super::{flag, switch, value};

const SIGN_BLOB_ABOUT: &str = "Sign files with a key; the signature goes to standard output or into files";
const ATTEST_BLOB_ABOUT: &str = "Sign what a predicate (SBOM, scan, test report) says of a file";

/// What both say at the end of their help.
const AFTER: &str = "Nothing is asked for and nothing is uploaded: there is no certificate, no timestamp and no entry in a\n\
transparency log; verify with --key and --insecure-ignore-tlog. Every flag of its own has a variable\n\
too: COSIGN_ and the flag in upper case.";

/// cosign's flags that ask for more than a key can give: they are known, so that the error gives the reason.
const OF_COSIGN: [&str; 20] = [
    "certificate",
    "certificate-chain",
    "output-certificate",
    "fulcio-url",
    "fulcio-auth-flow",
    "identity-token",
    "oidc-issuer",
    "oidc-client-id",
    "oidc-client-secret-file",
    "oidc-redirect-url",
    "oidc-provider",
    "rekor-url",
    "signing-config",
    "trusted-root",
    "slot",
    "timestamp-server-url",
    "timestamp-server-name",
    "timestamp-client-cacert",
    "timestamp-client-cert",
    "timestamp-client-key",
];

/// The same that are on or off: off is how things are.
const SWITCHES_OF_COSIGN: [&str; 6] = [
    "tlog-upload",
    "use-signing-config",
    "issue-certificate",
    "insecure-skip-verify",
    "oidc-disable-ambient-providers",
    "sk",
];

pub(super) fn sign_blob() -> Command {
    let command = Command::new("sign-blob").about(SIGN_BLOB_ABOUT).arg(
        Arg::new("blob")
            .value_name("FILE")
            .num_args(1..)
            .required(true)
            .help("The files, - for standard input; several go to standard output, a signature a line"),
    );
    shared(command)
        .arg(
            // cosign's older name; a flag of its own would be read as the setting of that name.
            value("output-signature", "FILE", "Write the signature to FILE instead of standard output")
                .alias("output"),
        )
        .arg(switch("b64", "Write the signature in base64; true by default"))
        .arg(refused("rfc3161-timestamp"))
}

pub(super) fn attest_blob() -> Command {
    let command = Command::new("attest-blob")
        .about(ATTEST_BLOB_ABOUT)
        .arg(
            Arg::new("blob")
                .value_name("FILE")
                .help("The file that the predicate is about, - for standard input"),
        )
        .arg(value("predicate", "FILE", "What is said of it, up to 64 MiB of JSON; - for standard input"))
        .arg(value(
            "type",
            "TYPE",
            "The predicate's type: a URI, or cosign's name (spdxjson, cyclonedx, vuln, …); custom by default",
        ))
        .arg(value(
            "statement",
            "FILE",
            "A whole in-toto statement, signed as it is, in place of --predicate",
        ))
        .arg(value("hash", "HEX", "The SHA-256 of the file, which then isn't read: FILE is its name alone"));
    shared(command)
        .arg(value(
            "output-signature",
            "FILE",
            "Write the signed envelope to FILE instead of standard output",
        ))
        .arg(value("output-attestation", "FILE", "Write the statement to FILE"))
        .arg(refused("rfc3161-timestamp-bundle"))
        .arg(refused("rekor-entry-type"))
}

/// What both have.
fn shared(command: Command) -> Command {
    let command = KEY_SETTINGS.iter().fold(command, |command, setting| {
        let arg = flag(setting);
        command.arg(match setting.flag {
            "agent" | "agent-key" => arg.hide(true),
            _ => arg,
        })
    });
    command
        .arg(value("bundle", "FILE", "Write everything that verifies it to FILE, a Sigstore bundle"))
        .arg(switch(
            "new-bundle-format",
            "Whether the bundle is Sigstore's (0.3); true by default, false: cosign's old format",
        ))
        .arg(value(
            "signing-algorithm",
            "NAME",
            "The hash for the key: ecdsa-sha2-256-nistp384, …; by default SHA-384 for P-384, SHA-512 for P-521",
        ))
        .arg(switch("yes", "Accepted, as nothing is asked").short('y').hide(true))
        .args(OF_COSIGN.map(refused))
        .args(SWITCHES_OF_COSIGN.map(|name| switch(name, "Only off in this version").hide(true)))
        .after_help(AFTER)
}

/// A flag that is refused with the reason.
fn refused(name: &'static str) -> Arg {
    value(name, "VALUE", "Not in this version").hide(true)
}
