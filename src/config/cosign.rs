//! The one table of cosign's flags: what each is here, for the scripts that put `stepseal` in cosign's place.
//!
//! The command line, the reader of the flags and of the `COSIGN_FLAG` variables, and the table in docs/configuration.md are made from
//! it. A flag that restricts what counts is carried out or refused, never passed over. To add a command, add its name to the rows of
//! its flags, and its flags to `tests/data/cosign/flags.txt`.
//!
//! The build script reads this file too: it imports nothing but `settings`.
//!
//! Spec: <https://github.com/sigstore/cosign/tree/v3.1.2/doc>

use super::settings::{ChainsKey, ENCODING};

/// How cosign reads the values of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// One value; the last one counts.
    Value,
    /// Several: a CSV record each, and the flag is repeatable.
    List,
    /// `true` or `false`; on its own it is `true`.
    Switch,
}

/// When a flag that is refused, or noted, has no effect in cosign either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unless {
    /// A key is named: nothing is asked of Fulcio and of OIDC providers then.
    Key,
    /// `--tlog-upload=false` is given: nothing is sent to a log then.
    NoUpload,
}

impl Unless {
    /// How to bring it about, for the reader of an error.
    pub(crate) fn how(self) -> &'static str {
        match self {
            Self::Key => "name the key with --key",
            Self::NoUpload => "say with --tlog-upload=false that no log entry is wanted",
        }
    }
}

/// Why a flag is refused, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub why: &'static str,
    /// What to do, beside leaving the flag out; empty: nothing else.
    pub instead: &'static str,
    /// When it is accepted all the same.
    pub unless: Option<Unless>,
}

/// What a flag of cosign's is here.
#[derive(Clone, Copy, Debug)]
pub enum Meaning {
    /// The flag of the same name.
    Same,
    /// The flag of ours with this name.
    Flag(&'static str),
    /// A switch that stands for a value of a key of `chains-config`: this one where it is on, that one where it is off.
    Key(&'static ChainsKey, &'static str, &'static str),
    /// Accepted, because it is how things are: for this reason.
    Accepted(&'static str),
    /// Accepted with a note, as the user might otherwise believe something untrue; a switch only where it is on.
    Noted(&'static str, Option<Unless>),
    /// Accepted with this value, refused with any other.
    Only(&'static str, Refusal),
    /// Refused.
    Refused(Refusal),
}

/// Commands, and what a flag is for them.
pub(crate) type Use = (&'static [&'static str], Meaning);

/// A flag of cosign's.
#[derive(Clone, Copy, Debug)]
pub struct CosignFlag {
    /// Its name, without `--`.
    pub name: &'static str,
    /// Another spelling that cosign takes for it; empty: none.
    pub also: &'static str,
    /// Its short form.
    pub short: Option<char>,
    /// How its values are read.
    pub takes: Takes,
    /// What it is, by commands. A command that is in none of them does not have it.
    pub uses: &'static [Use],
}

impl CosignFlag {
    /// What it is for `command`; `None`: cosign's command of that name does not have it. `plan` shows what `sign` would do, and takes
    /// what that takes.
    pub fn meaning(&self, command: &str) -> Option<Meaning> {
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

/// The flags that `command` has.
pub fn flags_of(command: &str) -> impl Iterator<Item = (&'static CosignFlag, Meaning)> + '_ {
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
/// `verify-run` is Stepseal's own; it takes what has the same meaning for every command that verifies.
const ANY_VERIFYING: &[&str] =
    &["verify", "verify-attestation", "verify-blob", "verify-blob-attestation", "verify-run"];
const REGISTRY: &[&str] = &["sign", "attest", "verify", "verify-attestation"];
const ALL: &[&str] =
    &["sign", "attest", "verify", "verify-attestation", "verify-blob", "verify-blob-attestation"];

const fn refusal(why: &'static str, instead: &'static str) -> Refusal {
    Refusal { why, instead, unless: None }
}

const fn unless(when: Unless, why: &'static str, instead: &'static str) -> Refusal {
    Refusal { why, instead, unless: Some(when) }
}

const KEYLESS: Refusal =
    unless(Unless::Key, "signing without a key, with a certificate of Fulcio's, is not in this version", "");
const NO_FULCIO: Refusal = refusal(
    "signing without a key, with a certificate of Fulcio's, is not in this version",
    "sign with --key alone",
);
const LOG: Refusal = unless(
    Unless::NoUpload,
    "entries in a transparency log are not in this version",
    "verify with --insecure-ignore-tlog",
);
const UPLOAD: Refusal = refusal(
    "entries in a transparency log are not in this version",
    "give --tlog-upload=false, and verify with --insecure-ignore-tlog",
);
const TIMESTAMP: Refusal = refusal("timestamps of an authority are not in this version when signing", "");
const SIGNING_CONFIG: Refusal = refusal(
    "signing with services (Fulcio, a transparency log, a timestamp authority) is not in this version",
    "sign with --key alone",
);
const CERTIFICATE: Refusal = refusal(
    "a certificate beside the signature is not in this version when signing",
    "let verifiers use the public key",
);
const HARDWARE: Refusal =
    refusal("hardware keys are not in this version", "give the key with --key: a file, env:// or k8s://");
const ATTACHMENT: Refusal = refusal(
    "what is attached to an image is not resolved in this version",
    "name it by its own digest, as an image",
);
const TRUST: Refusal = refusal(
    "certificates of authorities in files of their own are not in this version for images",
    "give --trusted-root a file with them",
);
const DETACHED: Refusal = refusal(
    "a signature of an image beside its registry is not in this version",
    "leave the signature in the registry, or verify the payload with verify-blob --signature",
);
const NO_CLAIMS: Refusal = refusal(
    "a signature whose claims are not checked may be about any other image",
    "read what is stored with `cosign download`",
);
const LOCAL: Refusal = refusal(
    "images that were saved to a folder are not read in this version",
    "name the image in its registry",
);

const STORED: Refusal = refusal(
    "an attestation always goes to a store in this version",
    "let --signatures-dir with artifacts.oci.storage=directory keep it in a folder instead of the registry",
);

const NO_LOG_ENTRY: &str =
    "nothing is uploaded to a transparency log, so verifiers need --insecure-ignore-tlog";
const NO_LOOKUP: &str =
    "the log itself is not asked: the proof that comes with the signature is verified, by the trusted root";

const fn flag(name: &'static str, takes: Takes, uses: &'static [Use]) -> CosignFlag {
    CosignFlag { name, also: "", short: None, takes, uses }
}

use Meaning::{Accepted, Flag, Key, Noted, Only, Refused, Same};
use Takes::{List, Switch, Value};

/// cosign 3.1.2's flags, by name.
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
                    "the bundle of an attestation is not written to a file in this version",
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
                    "a signer's certificate in a file is not in this version for images",
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
        &[(ANY_VERIFYING, Accepted("signatures are looked for in tags and among referrers in any case"))],
    ),
    flag("fulcio-auth-flow", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("fulcio-url", Value, &[(SIGNING, Refused(NO_FULCIO))]),
    flag("identity-token", Value, &[(SIGNING, Refused(NO_FULCIO))]),
    flag("insecure-ignore-sct", Switch, &[(VERIFYING, Same)]),
    flag("insecure-ignore-tlog", Switch, &[(VERIFYING, Same)]),
    flag(
        "insecure-skip-verify",
        Switch,
        &[(SIGNING, Accepted("there is no certificate with a proof to verify when a key signs"))],
    ),
    flag(
        "issue-certificate",
        Switch,
        &[(
            SIGNING,
            Only("false", refusal("certificates of Fulcio's are not in this version", "sign with the key")),
        )],
    ),
    flag("k8s-keychain", Switch, &[(REGISTRY, Same)]),
    flag("key", Value, &[(ALL, Same)]),
    flag("local-image", Switch, &[(IMAGES, Only("false", LOCAL))]),
    flag(
        "max-workers",
        Value,
        &[(IMAGES, Flag("jobs")), (BLOBS, Accepted("one file is verified, which needs no workers"))],
    ),
    flag(
        "new-bundle-format",
        Switch,
        &[
            (SIGNING, Key(&ENCODING, "sigstore-bundle", "dsse")),
            (ANY_VERIFYING, Accepted("both formats are looked for in any case")),
        ],
    ),
    flag("no-upload", Switch, &[(ATTEST, Only("false", STORED))]),
    flag("offline", Switch, &[(ANY_VERIFYING, Accepted("nothing but the registry is asked in any case"))]),
    flag("oidc-client-id", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("oidc-client-secret-file", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag(
        "oidc-disable-ambient-providers",
        Switch,
        &[(SIGNING, Accepted("no identity of the environment is used in any case"))],
    ),
    flag("oidc-issuer", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("oidc-provider", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("oidc-redirect-url", Value, &[(SIGNING, Refused(KEYLESS))]),
    flag("output", Value, &[(IMAGES, Same), (&["verify-run"], Same)]).short('o'),
    flag(
        "output-certificate",
        Value,
        &[(SIGN, Refused(refusal("a signature by a key has no certificate", "take the key's public half")))],
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
                    "the payload is made from the image's digest: one from elsewhere may be about another image",
                    "sign files as files",
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
                "say what the statement must have with --require PATH=VALUE, or use verify --policy",
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
                    "set SOURCE_DATE_EPOCH for the time that referrers carry",
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
                    "cosign's experimental form of referrers is not written",
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
                "a certificate's proof in a file of its own is not in this version",
                "use certificates that carry it",
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
                    "what is signed is read back and verified with the key, which needs no trusted root",
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
    flag("yes", Switch, &[(SIGNING, Noted(NO_LOG_ENTRY, Some(Unless::NoUpload)))]).short('y'),
];

/// cosign's commands that Stepseal lacks, each with what to do instead.
pub const LACKING: &[(&str, &str)] = &[
    ("bundle", "use cosign for it; verify-blob and verify-blob-attestation read bundles of every version"),
    ("clean", "delete the tags sha256-….sig, .att and .sbom with a registry client: crane delete"),
    ("copy", "copy the image with its tags and referrers: oras copy -r, or crane copy"),
    ("debug", "use cosign for it"),
    ("dockerfile", "verify the images that it names with `stepseal verify`"),
    ("env", "`stepseal man` lists the variables"),
    ("generate", "`stepseal plan --payloads DIR IMAGE@DIGEST` writes what would be signed"),
    ("initialize", "give the verify commands the trusted root of your Sigstore: --trusted-root FILE"),
    ("load", "it is not in this version: use cosign for it"),
    ("login", "use docker login or crane auth login; --registry-config names the file"),
    ("manifest", "verify the images that it names with `stepseal verify`"),
    ("piv-tool", "hardware keys are not in this version"),
    ("pkcs11-tool", "hardware keys are not in this version"),
    ("save", "it is not in this version: use cosign for it"),
    ("signing-config", "signing with services is not in this version: sign with --key"),
    ("trusted-root", "use cosign for it; --trusted-root reads what it makes"),
    ("upload", "push files with oras push"),
];

/// What to do instead of cosign's command of this name.
pub(crate) fn instead_of(command: &str) -> Option<&'static str> {
    LACKING.iter().find(|(name, _)| *name == command).map(|(_, instead)| *instead)
}
