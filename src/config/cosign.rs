//! The table of cosign's flags and their meaning here, for scripts that replace cosign with `stepseal`.
//!
//! The command line, the parser of the flags and of the `COSIGN_FLAG` variables, and the table in docs/configuration.md are made from
//! it. A flag that restricts what verifies is either supported or rejected, never ignored. To add a command, add its name to the rows of
//! its flags, and its flags to `tests/data/cosign/flags.txt`.
//!
//! The build script includes this file too, so it imports nothing but `settings`.
//!
//! Spec: <https://github.com/sigstore/cosign/tree/v3.1.2/doc>

use super::settings::{ChainsKey, ENCODING};

/// How cosign parses the values of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagValues {
    /// A single value; the last flag wins.
    Value,
    /// Several values: each is a CSV record, and the flag is repeatable.
    List,
    /// `true` or `false`; without a value it is `true`.
    Switch,
}

/// A condition under which a rejected or noted flag has no effect in cosign either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagExemption {
    /// A key is given, so cosign doesn't contact Fulcio or OIDC providers.
    Key,
    /// `--tlog-upload=false` is given, so cosign sends nothing to a log.
    NoUpload,
}

impl FlagExemption {
    /// How to meet the condition, for the reader of an error.
    pub(crate) fn how(self) -> &'static str {
        match self {
            Self::Key => "give the key with --key",
            Self::NoUpload => "give --tlog-upload=false to do without a log entry",
        }
    }
}

/// Why a flag is rejected, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagRefusal {
    /// The reason for the rejection.
    pub why: &'static str,
    /// What to do other than to leave the flag out; empty if there is nothing else.
    pub instead: &'static str,
    /// The condition under which the flag is accepted.
    pub unless: Option<FlagExemption>,
}

/// The meaning of a cosign flag for Stepseal.
#[derive(Clone, Copy, Debug)]
pub enum FlagMeaning {
    /// Stepseal's flag of the same name.
    Same,
    /// Stepseal's flag with this name.
    Flag(&'static str),
    /// A switch for a `chains-config` key: the first value if it is on, the second if it is off.
    Key(&'static ChainsKey, &'static str, &'static str),
    /// Accepted, because Stepseal always behaves that way, for this reason.
    Accepted(&'static str),
    /// Accepted with a note that prevents a wrong assumption. A switch gives the note only if it is on.
    Noted(&'static str, Option<FlagExemption>),
    /// Accepted with this value, rejected with any other.
    Only(&'static str, FlagRefusal),
    /// Rejected with any value.
    Refused(FlagRefusal),
}

/// Commands, with the meaning of a flag for them.
pub(crate) type FlagUse = (&'static [&'static str], FlagMeaning);

/// A cosign flag, with its meaning for each command.
#[derive(Clone, Copy, Debug)]
pub struct CosignFlag {
    /// The flag's name, without `--`.
    pub name: &'static str,
    /// Another spelling that cosign accepts; empty if there is none.
    pub also: &'static str,
    /// The flag's short form.
    pub short: Option<char>,
    /// How cosign parses its values.
    pub takes: FlagValues,
    /// Its meaning for each command. Other commands don't have the flag.
    pub uses: &'static [FlagUse],
}

impl CosignFlag {
    /// The flag's meaning for `command`; `None` if cosign's command doesn't have the flag. `plan` accepts the flags of
    /// `sign`.
    pub fn meaning(&self, command: &str) -> Option<FlagMeaning> {
        let command = if command == "plan" { "sign" } else { command };
        self.uses.iter().find(|(commands, _)| commands.contains(&command)).map(|(_, meaning)| *meaning)
    }

    const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    const fn also(mut self, also: &'static str) -> Self {
        self.also = also;
        self
    }
}

/// The flags of `command`, with their meanings.
pub fn flags_of(command: &str) -> impl Iterator<Item = (&'static CosignFlag, FlagMeaning)> + '_ {
    COSIGN_FLAGS.iter().filter_map(move |flag| Some((flag, flag.meaning(command)?)))
}

const SIGN: &[&str] = &["sign"];
const ATTEST: &[&str] = &["attest"];
const SIGNING: &[&str] = &["sign", "attest"];
const VERIFY: &[&str] = &["verify"];
const ATTESTATIONS: &[&str] = &["verify-attestation"];
const IMAGES: &[&str] = &["verify", "verify-attestation"];
const BLOBS: &[&str] = &["verify-blob", "verify-blob-attestation"];
const BLOB_ATTESTATIONS: &[&str] = &["verify-blob-attestation"];
const VERIFYING: &[&str] = &["verify", "verify-attestation", "verify-blob", "verify-blob-attestation"];
/// All verify commands, including Stepseal's own `verify-run`, for flags with the same meaning everywhere.
const ANY_VERIFYING: &[&str] =
    &["verify", "verify-attestation", "verify-blob", "verify-blob-attestation", "verify-run"];
const REGISTRY: &[&str] = &["sign", "attest", "verify", "verify-attestation"];
const ALL: &[&str] =
    &["sign", "attest", "verify", "verify-attestation", "verify-blob", "verify-blob-attestation"];

const fn refusal(why: &'static str, instead: &'static str) -> FlagRefusal {
    FlagRefusal { why, instead, unless: None }
}

const fn unless(when: FlagExemption, why: &'static str, instead: &'static str) -> FlagRefusal {
    FlagRefusal { why, instead, unless: Some(when) }
}

const KEYLESS: FlagRefusal = unless(
    FlagExemption::Key,
    "keyless signing with a Fulcio certificate is not supported in this version",
    "",
);
const NO_FULCIO: FlagRefusal = refusal(
    "keyless signing with a Fulcio certificate is not supported in this version",
    "sign with --key alone",
);
const LOG: FlagRefusal = unless(
    FlagExemption::NoUpload,
    "transparency log entries are not supported in this version",
    "verify with --insecure-ignore-tlog",
);
const UPLOAD: FlagRefusal = refusal(
    "transparency log entries are not supported in this version",
    "give --tlog-upload=false, and verify with --insecure-ignore-tlog",
);
const TIMESTAMP: FlagRefusal =
    refusal("timestamps from an authority are not supported for signing in this version", "");
const SIGNING_CONFIG: FlagRefusal = refusal(
    "signing with services (Fulcio, a transparency log, a timestamp authority) is not supported in this version",
    "sign with --key alone",
);
const CERTIFICATE: FlagRefusal = refusal(
    "a certificate with the signature is not supported for signing in this version",
    "let verifiers use the public key",
);
const HARDWARE: FlagRefusal = refusal(
    "hardware keys are not supported in this version",
    "give the key with --key: a file, env:// or k8s://",
);
const ATTACHMENT: FlagRefusal = refusal(
    "attachments of an image are not resolved in this version",
    "name the attachment by its own digest, as an image",
);
const TRUST: FlagRefusal = refusal(
    "separate files with CA certificates are not supported for images in this version",
    "give a --trusted-root file that contains them",
);
const DETACHED: FlagRefusal = refusal(
    "image signatures outside the registry are not supported in this version",
    "leave the signature in the registry, or verify the payload with verify-blob --signature",
);
const NO_CLAIMS: FlagRefusal = refusal(
    "without a check of its claims, a signature may be about any other image",
    "read the stored signatures with `cosign download`",
);
const LOCAL: FlagRefusal = refusal(
    "images in a local directory are not supported in this version",
    "name the image in its registry",
);

const STORED: FlagRefusal = refusal(
    "an attestation always goes to a store in this version",
    "use --signatures-dir with artifacts.oci.storage=directory to keep it in a directory instead of the registry",
);

const NO_LOG_ENTRY: &str =
    "nothing is uploaded to a transparency log, so verifiers need --insecure-ignore-tlog";
const NO_LOOKUP: &str =
    "the log itself is not contacted: the proof in the signature is verified with the trusted root";

const fn flag(name: &'static str, takes: FlagValues, uses: &'static [FlagUse]) -> CosignFlag {
    CosignFlag { name, also: "", short: None, takes, uses }
}

use FlagMeaning::{Accepted, Flag, Key, Noted, Only, Refused, Same};
use FlagValues::{List, Switch, Value};

/// The flags of cosign 3.1.2, sorted by name.
pub const COSIGN_FLAGS: &[CosignFlag] = &[
    flag("allow-http-registry", Switch, &[(REGISTRY, Same)]),
    flag("allow-insecure-registry", Switch, &[(REGISTRY, Same)]),
    flag("annotations", List, &[(SIGN, Flag("annotation")), (VERIFY, Same)]).short('a'),
    flag("attachment", Value, &[(SIGN, Refused(ATTACHMENT)), (VERIFY, Refused(ATTACHMENT))]),
    flag("attachment-tag-prefix", Value, &[(REGISTRY, Same)]),
    flag(
        "bundle",
        Value,
        &[
            (SIGN, Same),
            (
                ATTEST,
                Refused(refusal(
                    "writing an attestation's bundle to a file is not supported in this version",
                    "--new-bundle-format stores it in the registry",
                )),
            ),
            (BLOBS, Same),
        ],
    ),
    flag("ca-intermediates", Value, &[(IMAGES, Refused(TRUST)), (BLOBS, Same)]),
    flag("ca-roots", Value, &[(IMAGES, Refused(TRUST)), (BLOBS, Same)]),
    flag(
        "certificate",
        Value,
        &[
            (SIGNING, Refused(CERTIFICATE)),
            (
                IMAGES,
                Refused(refusal(
                    "a file with the signer's certificate is not supported for images in this version",
                    "give --certificate-identity and --certificate-oidc-issuer",
                )),
            ),
            (BLOBS, Same),
        ],
    )
    .also("cert"),
    flag(
        "certificate-chain",
        Value,
        &[(SIGNING, Refused(CERTIFICATE)), (IMAGES, Refused(TRUST)), (BLOBS, Same)],
    )
    .also("cert-chain"),
    flag("certificate-github-workflow-name", Value, &[(VERIFYING, Same)]),
    flag("certificate-github-workflow-ref", Value, &[(VERIFYING, Same)]),
    flag("certificate-github-workflow-repository", Value, &[(VERIFYING, Same)]),
    flag("certificate-github-workflow-sha", Value, &[(VERIFYING, Same)]),
    flag("certificate-github-workflow-trigger", Value, &[(VERIFYING, Same)]),
    flag("certificate-identity", Value, &[(VERIFYING, Same)]).also("cert-identity"),
    flag("certificate-identity-regexp", Value, &[(VERIFYING, Same)]),
    flag("certificate-oidc-issuer", Value, &[(VERIFYING, Same)]).also("cert-oidc-issuer"),
    flag("certificate-oidc-issuer-regexp", Value, &[(VERIFYING, Same)]),
    flag("check-claims", Switch, &[(IMAGES, Only("true", NO_CLAIMS)), (BLOB_ATTESTATIONS, Same)]),
    flag("digest", Value, &[(BLOB_ATTESTATIONS, Same)]),
    flag("digestAlg", Value, &[(BLOB_ATTESTATIONS, Same)]),
    flag(
        "experimental-oci11",
        Switch,
        &[(ANY_VERIFYING, Accepted("Stepseal always searches both tags and referrers for signatures"))],
    ),
    flag("fulcio-auth-flow", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("fulcio-url", Value, &[(SIGNING, Refused(NO_FULCIO))]),
    flag("identity-token", Value, &[(SIGNING, Refused(NO_FULCIO))]),
    flag("insecure-ignore-sct", Switch, &[(VERIFYING, Same)]),
    flag("insecure-ignore-tlog", Switch, &[(VERIFYING, Same)]),
    flag(
        "insecure-skip-verify",
        Switch,
        &[(SIGNING, Accepted("a signature by a key has no certificate to verify"))],
    ),
    flag(
        "issue-certificate",
        Switch,
        &[(
            SIGNING,
            Only(
                "false",
                refusal("Fulcio certificates are not supported in this version", "sign with the key"),
            ),
        )],
    ),
    flag("k8s-keychain", Switch, &[(REGISTRY, Same)]),
    flag("key", Value, &[(ALL, Same)]),
    flag("local-image", Switch, &[(IMAGES, Only("false", LOCAL))]),
    flag(
        "max-workers",
        Value,
        &[(IMAGES, Flag("jobs")), (BLOBS, Accepted("verifying a single file needs no workers"))],
    ),
    flag(
        "new-bundle-format",
        Switch,
        &[
            (SIGNING, Key(&ENCODING, "sigstore-bundle", "dsse")),
            (ANY_VERIFYING, Accepted("Stepseal always searches for both formats")),
        ],
    ),
    flag("no-upload", Switch, &[(ATTEST, Only("false", STORED))]),
    flag(
        "offline",
        Switch,
        &[(ANY_VERIFYING, Accepted("Stepseal never contacts anything but the registry"))],
    ),
    flag("oidc-client-id", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("oidc-client-secret-file", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag(
        "oidc-disable-ambient-providers",
        Switch,
        &[(SIGNING, Accepted("Stepseal never uses an identity from the environment"))],
    ),
    flag("oidc-issuer", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("oidc-provider", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("oidc-redirect-url", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("output", Value, &[(IMAGES, Same), (&["verify-run"], Same)]).short('o'),
    flag(
        "output-certificate",
        Value,
        &[(SIGN, Refused(refusal("a signature by a key has no certificate", "use the public key instead")))],
    )
    .also("output-cert"),
    flag("output-file", Value, &[(ALL, Same)]),
    flag("output-payload", Value, &[(SIGN, Same)]),
    flag("output-signature", Value, &[(SIGN, Same)]),
    flag(
        "payload",
        Value,
        &[
            (
                SIGN,
                Refused(refusal(
                    "Stepseal makes the payload from the image's digest: another payload may be about another image",
                    "sign files with sign-blob",
                )),
            ),
            (VERIFY, Refused(DETACHED)),
        ],
    ),
    flag(
        "policy",
        List,
        &[(
            ATTESTATIONS,
            Refused(refusal(
                "policies in CUE and Rego are not evaluated",
                "give conditions for the statement with --require PATH=VALUE, or use verify --policy",
            )),
        )],
    ),
    flag("predicate", Value, &[(ATTEST, Same)]),
    flag("private-infrastructure", Switch, &[(ANY_VERIFYING, Flag("insecure-ignore-tlog"))]),
    flag(
        "record-creation-timestamp",
        Switch,
        &[(
            SIGNING,
            Only(
                "false",
                refusal(
                    "the time of signing is not recorded, so that the same input gives the same bytes",
                    "set SOURCE_DATE_EPOCH to set the time in referrers",
                ),
            ),
        )],
    ),
    flag("recursive", Switch, &[(SIGN, Same)]).short('r'),
    flag("registry-cacert", Value, &[(REGISTRY, Flag("registry-ca"))]),
    flag("registry-client-cert", Value, &[(REGISTRY, Same)]),
    flag("registry-client-key", Value, &[(REGISTRY, Same)]),
    flag("registry-password", Value, &[(REGISTRY, Same)]),
    flag(
        "registry-referrers-mode",
        Value,
        &[(
            SIGN,
            Only(
                "legacy",
                refusal(
                    "cosign's experimental referrers format is not supported",
                    "give --new-bundle-format for Sigstore bundles as referrers",
                ),
            ),
        )],
    ),
    flag("registry-server-name", Value, &[(REGISTRY, Same)]),
    flag("registry-token", Value, &[(REGISTRY, Same)]),
    flag("registry-username", Value, &[(REGISTRY, Same)]),
    flag("rekor-entry-type", Value, &[(ATTEST, Refused(LOG))]),
    flag("rekor-url", Value, &[(SIGNING, Refused(LOG)), (VERIFYING, Noted(NO_LOOKUP, None))]),
    flag("replace", Switch, &[(ATTEST, Same)]),
    flag("rfc3161-timestamp", Value, &[(BLOBS, Same)]),
    flag(
        "sct",
        Value,
        &[(
            VERIFYING,
            Refused(refusal(
                "a separate file with a certificate's SCT is not supported in this version",
                "use certificates with an embedded SCT",
            )),
        )],
    ),
    flag("sign-container-identity", List, &[(SIGN, Flag("identity"))]),
    flag("signature", Value, &[(VERIFY, Refused(DETACHED)), (BLOBS, Same)]),
    flag("signature-digest-algorithm", Value, &[(VERIFYING, Same)]),
    flag("signing-config", Value, &[(SIGNING, Refused(SIGNING_CONFIG))]),
    flag("sk", Switch, &[(ALL, Only("false", HARDWARE))]),
    flag("slot", Value, &[(ALL, Refused(HARDWARE))]),
    flag("statement", Value, &[(ATTEST, Same)]),
    flag("timeout", Value, &[(ALL, Same)]).short('t'),
    flag("timestamp-certificate-chain", Value, &[(IMAGES, Refused(TRUST)), (BLOBS, Same)]),
    flag("timestamp-client-cacert", Value, &[(SIGNING, Refused(TIMESTAMP))]),
    flag("timestamp-client-cert", Value, &[(SIGNING, Refused(TIMESTAMP))]),
    flag("timestamp-client-key", Value, &[(SIGNING, Refused(TIMESTAMP))]),
    flag("timestamp-server-name", Value, &[(SIGNING, Refused(TIMESTAMP))]),
    flag("timestamp-server-url", Value, &[(SIGNING, Refused(TIMESTAMP))]),
    flag("tlog-upload", Switch, &[(SIGNING, Only("false", UPLOAD))]),
    flag(
        "trusted-root",
        Value,
        &[
            (
                SIGNING,
                Refused(refusal(
                    "signatures are read back and verified with the key, which needs no trusted root",
                    "",
                )),
            ),
            (VERIFYING, Same),
        ],
    ),
    flag("type", Value, &[(ATTEST, Same), (ATTESTATIONS, Same), (BLOB_ATTESTATIONS, Same)]),
    flag("upload", Switch, &[(SIGN, Same)]),
    flag("use-signed-timestamps", Switch, &[(VERIFYING, Same)]),
    flag("use-signing-config", Switch, &[(SIGNING, Only("false", SIGNING_CONFIG))]),
    flag("verbose", Switch, &[(ALL, Same)]).short('d'),
    flag("yes", Switch, &[(SIGNING, Noted(NO_LOG_ENTRY, Some(FlagExemption::NoUpload)))]).short('y'),
];

/// The cosign commands that Stepseal lacks, each with an alternative.
pub const LACKING: &[(&str, &str)] = &[
    ("bundle", "use cosign for it; verify-blob and verify-blob-attestation read bundles of every version"),
    ("clean", "delete the tags sha256-….sig, .att and .sbom with a registry client: crane delete"),
    ("copy", "copy the image with its tags and referrers: oras copy -r, or crane copy"),
    ("debug", "use cosign for it"),
    ("dockerfile", "verify the images in it with `stepseal verify`"),
    ("env", "`stepseal man` lists the variables"),
    ("generate", "`stepseal plan --payloads DIR IMAGE@DIGEST` writes the payloads to files"),
    ("initialize", "give the verify commands your Sigstore's trusted root with --trusted-root FILE"),
    ("load", "it is not supported in this version; use cosign"),
    ("login", "use docker login or crane auth login, and give the file with --registry-config"),
    ("manifest", "verify the images in it with `stepseal verify`"),
    ("piv-tool", "hardware keys are not supported in this version"),
    ("pkcs11-tool", "hardware keys are not supported in this version"),
    ("save", "it is not supported in this version; use cosign"),
    ("signing-config", "signing with services is not supported in this version; sign with --key"),
    ("trusted-root", "use cosign for it; --trusted-root reads the output"),
    ("upload", "push files with oras push"),
];

/// The alternative to a cosign command that Stepseal lacks.
pub(crate) fn instead_of(command: &str) -> Option<&'static str> {
    LACKING.iter().find(|(name, _)| *name == command).map(|(_, instead)| *instead)
}
