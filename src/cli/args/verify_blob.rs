//! `verify-blob` and `verify-blob-attestation`.

use clap::{Arg, Command};

use super::{content, switch, value};

const VERIFY_BLOB_ABOUT: &str = "Verify a file's signature or Sigstore bundle";
const VERIFY_BLOB_ATTESTATION_ABOUT: &str =
    "Verify what is attested of a file, by an envelope or a Sigstore bundle";

/// What `verify-blob` and `verify-blob-attestation` say at the end of their help.
const BLOB_AFTER: &str = "Nothing is fetched. Without --trusted-root the public-good Sigstore is believed, as it was when this\n\
program was built (stepseal --version); STEPSEAL_TRUSTED_ROOT or SIGSTORE_ROOT_FILE name another.";

pub(super) fn verify_blob() -> Command {
    parts(signers(Command::new("verify-blob").about(VERIFY_BLOB_ABOUT)))
        .arg(
            Arg::new("blob").value_name("FILE").required(true).help(
                "The file, - for standard input, or its digest as sha256:HEX, sha384:HEX or sha512:HEX",
            ),
        )
        .arg(content("signature", "FILE|BASE64", "The signature over the file"))
        .arg(value(
            "type",
            "TYPE",
            "Take an attestation of this type for a signature: a URI, or cosign's name",
        ))
        .after_help(BLOB_AFTER)
}

pub(super) fn verify_blob_attestation() -> Command {
    parts(signers(Command::new("verify-blob-attestation").about(VERIFY_BLOB_ATTESTATION_ABOUT)))
        .arg(Arg::new("blob").value_name("FILE").help("The file that is attested, - for standard input"))
        .arg(content("signature", "FILE", "The DSSE envelope with the attestation"))
        .arg(
            value(
                "type",
                "TYPE",
                "The predicate's type: a URI, or cosign's name (spdxjson, cyclonedx, vuln, …)",
            )
            .default_value("custom"),
        )
        .arg(value("digest", "HEX", "The attested digest, in place of the file"))
        .arg(value("digestAlg", "HASH", "Its hash: sha256, sha384 or sha512"))
        .arg(switch(
            "check-claims",
            "Demand that the attestation is about the file or digest; true by default",
        ))
        .after_help(BLOB_AFTER)
}

/// What a signature consists of, beside itself, where it isn't in a Sigstore bundle.
fn parts(command: Command) -> Command {
    command
        .arg(value(
            "bundle",
            "FILE",
            "The bundle: Sigstore's, 0.1 to 0.3, one or several (one a line), or cosign's old format",
        ))
        .arg(content(
            "certificate",
            "FILE|PEM|BASE64",
            "The signer's certificate, beside --signature or an old bundle",
        ))
        .arg(content(
            "certificate-chain",
            "FILE",
            "CA certificates up to the root, which is believed, in PEM",
        ))
        .arg(content("ca-roots", "FILE", "Root CA certificates that are believed, in PEM"))
        .arg(content("ca-intermediates", "FILE", "CA certificates between them and the signer's, in PEM"))
        .arg(content(
            "timestamp-certificate-chain",
            "FILE",
            "The timestamp authority that is believed, its root last, in PEM; demands a timestamp",
        ))
        .arg(content("rfc3161-timestamp", "FILE", "The timestamp of the signature, as cosign writes it"))
}

/// What GitHub's older certificates say of a workflow.
const WORKFLOW_FLAGS: [(&str, &str); 5] = [
    ("certificate-github-workflow-name", "The name of GitHub's workflow"),
    ("certificate-github-workflow-ref", "The git ref that the workflow ran on"),
    ("certificate-github-workflow-repository", "The repository that the workflow ran on"),
    ("certificate-github-workflow-sha", "The commit that the workflow ran on"),
    ("certificate-github-workflow-trigger", "The event that triggered the workflow"),
];

/// Whose signature is accepted, and what must be there beside it: named as cosign's flags are.
fn signers(command: Command) -> Command {
    command
        .arg(value(
            "key",
            "KEY",
            "The signer's public key: a file, a directory with cosign.pub, env://NAME, k8s://NAMESPACE/NAME",
        ))
        .arg(value("certificate-identity", "NAME", "The signer's identity: an e-mail address, a URI"))
        .arg(value("certificate-identity-regexp", "REGEXP", "An expression that the identity matches"))
        .arg(value("certificate-oidc-issuer", "URL", "Who vouches for the identity"))
        .arg(value("certificate-oidc-issuer-regexp", "REGEXP", "An expression that the issuer matches"))
        .args(WORKFLOW_FLAGS.map(|(flag, help)| value(flag, "TEXT", help)))
        .arg(value(
            "trusted-root",
            "FILE",
            "The logs and authorities that are believed, as trusted_root.json; several one a line",
        ))
        .arg(switch("insecure-ignore-tlog", "Demand no entry in a transparency log, and look at none"))
        .arg(switch("insecure-ignore-sct", "Demand no proof that the certificate was logged"))
        .arg(switch("use-signed-timestamps", "Demand a timestamp of an RFC 3161 authority"))
        .arg(switch("allow-certificate-chain", "Accept a certificate chain in a bundle 0.3"))
        .arg(value(
            "signature-digest-algorithm",
            "HASH",
            "Accept only signatures over this digest: sha256, sha384 or sha512",
        ))
        .arg(value("timeout", "DURATION", "Time limit for the whole run"))
}
