//! The command line, made from the table of settings.
//!
//! The build script reads this file too, for the completions and the man page: it imports clap, the
//! table and the check of blanks, nothing else.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};

use super::blank;
use super::settings::{
    AGENT_SETTINGS, ATTEST_SETTINGS, Kind, SETTINGS, SHARED_WITH_AGENT, Setting, VERIFY_ATTESTATION_SETTINGS,
    VERIFY_IMAGE_SETTINGS, VERIFY_REGISTRY_SETTINGS, VERIFY_RUN_SETTINGS, VERIFY_SETTINGS,
};

/// What Stepseal is, in a line.
const ABOUT: &str = "The signing step of a Tekton pipeline: signs what the TaskRun built, and reads it back";

const SIGN_ABOUT: &str = "Sign the images that the results name, or those given";
const PLAN_ABOUT: &str = "Show what `sign` would do and why; touches no key and no registry";
const VERIFY_ABOUT: &str = "Verify the signatures of images; with --policy a gate for a Pipeline";
const VERIFY_ATTESTATION_ABOUT: &str = "Verify attestations about images, and what they say";
const VERIFY_RUN_ABOUT: &str = "Verify a run against the signatures that its annotations carry";
const DEMO_ABOUT: &str = "The whole job in one process: registry, key, results, sign, verify";
const ATTEST_ABOUT: &str = "Sign what a predicate (SBOM, scan, test report) says of an image";
const AGENT_ABOUT: &str = "Hold the key beside steps that never see it, and sign for them over a Unix socket";
const KEYS_ABOUT: &str = "Make a key pair, in files or in a Secret, as cosign makes them";
const VERIFY_BLOB_ABOUT: &str = "Verify a file's signature or Sigstore bundle";
const VERIFY_BLOB_ATTESTATION_ABOUT: &str =
    "Verify what is attested of a file, by an envelope or a Sigstore bundle";
const COMPLETIONS_ABOUT: &str = "Print the completion script of a shell";
const MAN_ABOUT: &str = "Print the manual page";

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 bad usage or configuration; 3 nothing to sign, or\n\
named wrongly; 4 credentials refused; 5 some signed, some not (safe to run again).";

/// The whole command line.
pub fn command() -> Command {
    Command::new("stepseal")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(EXIT_CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .subcommand(subjects(Command::new("sign").about(SIGN_ABOUT)).after_help(EXIT_CODES))
        .subcommand(
            subjects(Command::new("plan").about(PLAN_ABOUT)).arg(
                Arg::new("payloads")
                    .long("payloads")
                    .value_name("DIR")
                    .help("Write the exact bytes of each payload into DIR"),
            ),
        )
        .subcommand(attest())
        .subcommand(verify())
        .subcommand(verify_attestation())
        .subcommand(verify_run())
        .subcommand(agent())
        .subcommand(demo())
        .subcommand(generate_key_pair())
        .subcommand(verify_blob())
        .subcommand(verify_blob_attestation())
        .subcommand(completions())
        .subcommand(Command::new("man").about(MAN_ABOUT))
        .mut_subcommands(|command| command.mut_args(without_blanks))
}

/// `arg`, refusing a blank value: an empty flag must not be read as "no restriction". The one place for all flags
/// and positional arguments.
fn without_blanks(arg: Arg) -> Arg {
    if !arg.get_action().takes_values() {
        return arg;
    }
    let given = Given(arg.get_possible_values());
    match arg.get_id().as_str() {
        "port" => arg.value_parser(given.try_map(|text| text.parse::<u16>())),
        _ => arg.value_parser(given),
    }
}

/// Takes any text but a blank one, or else one of these values.
#[derive(Clone)]
struct Given(Vec<PossibleValue>);

impl TypedValueParser for Given {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        if let Some(text) = value.to_str().filter(|text| blank::is_blank(text)) {
            let name = arg.map(|arg| match arg.get_long() {
                Some(long) => format!("--{long}"),
                None => arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect(),
            });
            let message = format!(
                "{} {}\n  do:    leave it out, or give it a value\n",
                name.unwrap_or_default(),
                blank::described(text)
            );
            return Err(clap::Error::raw(ErrorKind::ValueValidation, message));
        }
        // What may begin with hyphens, as PEM does, must not swallow the next flag.
        if let Some(long) = arg.filter(|arg| arg.is_allow_hyphen_values_set()).and_then(Arg::get_long)
            && let Some(flag) = value.to_str().filter(|text| is_flag(text))
        {
            let message = format!("--{long} has no value: {flag} follows\n  do:    give it a value\n");
            return Err(clap::Error::raw(ErrorKind::ValueValidation, message));
        }
        if self.0.is_empty() {
            return StringValueParser::new().parse_ref(command, arg, value);
        }
        PossibleValuesParser::new(self.0.clone()).parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        (!self.0.is_empty()).then(|| Box::new(self.0.iter().cloned()) as Box<dyn Iterator<Item = _>>)
    }
}

/// Whether a text is a flag rather than a value: `-----BEGIN` is none.
fn is_flag(text: &str) -> bool {
    text.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// What `sign` and `plan` share: the subjects and every setting.
fn subjects(command: Command) -> Command {
    let command = command
        .arg(
            Arg::new("image")
                .value_name("IMAGE@DIGEST")
                .num_args(0..)
                .help("Images to sign, instead of those in the results"),
        )
        .arg(
            Arg::new("images-file")
                .long("images-file")
                .value_name("FILE")
                .action(ArgAction::Append)
                .help("Images to sign, one a line, - for standard input"),
        );
    chains(SETTINGS.iter().fold(command, |command, setting| command.arg(flag(setting))))
}

/// `attest`: an image, a predicate, and the settings that concern them.
fn attest() -> Command {
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
    chains(ATTEST_SETTINGS.iter().fold(command, |command, setting| command.arg(flag(setting))))
}

/// Where `chains-config` is.
fn chains(command: Command) -> Command {
    chains_keys(command).after_help("Every flag has its environment variable: `stepseal man`.")
}

/// The flags that say where the keys of `chains-config` are.
fn chains_keys(command: Command) -> Command {
    command
        .arg(
            Arg::new("config-dir")
                .long("config-dir")
                .value_name("DIR")
                .help("A mounted chains-config ConfigMap, one file a key"),
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("KEY=VALUE")
                .action(ArgAction::Append)
                .help("One key of chains-config; repeatable"),
        )
}

fn verify() -> Command {
    let tables = [VERIFY_SETTINGS, VERIFY_REGISTRY_SETTINGS, VERIFY_IMAGE_SETTINGS];
    let command = verifying(Command::new("verify").about(VERIFY_ABOUT), &tables).arg(
        Arg::new("images-file")
            .long("images-file")
            .value_name("FILE")
            .action(ArgAction::Append)
            .help("Images to verify, NAME@DIGEST one a line, - for standard input"),
    );
    command.arg(Arg::new("image").value_name("IMAGE").num_args(0..).help("Images, by digest or tag"))
}

fn verify_attestation() -> Command {
    let tables = [VERIFY_SETTINGS, VERIFY_REGISTRY_SETTINGS, VERIFY_ATTESTATION_SETTINGS];
    let command = Command::new("verify-attestation").about(VERIFY_ATTESTATION_ABOUT);
    verifying(command, &tables).arg(
        Arg::new("image").value_name("IMAGE").num_args(1..).required(true).help("Images, by digest or tag"),
    )
}

fn verify_run() -> Command {
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
    let command = settings.fold(command, |command, setting| {
        let arg = flag(setting);
        // cosign's short and other names.
        command.arg(match setting.flag {
            "annotations" => arg.short('a'),
            "output" => arg.short('o'),
            "jobs" => arg.alias("max-workers"),
            "insecure-ignore-tlog" => arg.alias("private-infrastructure"),
            _ => arg,
        })
    });
    // Nothing is fetched in any case, and both formats are looked for in any case.
    let command =
        ["offline", "new-bundle-format", "experimental-oci11"].iter().fold(command, |command, name| {
            let any = Arg::new(*name).long(*name).num_args(0..=1).require_equals(true);
            command.arg(any.default_missing_value("true").value_parser(["true", "false"]).hide(true))
        });
    chains_keys(command)
}

/// The flag of a setting. Values stay text here: `config` checks them, whatever source they come from.
fn flag(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.flag).long(setting.flag).help(setting.help).hide(setting.is_rare());
    match setting.kind {
        Kind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true)
            .value_name("BOOL"),
        Kind::One => arg.value_name(setting.value).overrides_with(setting.flag),
        Kind::Words | Kind::Paths => arg.value_name(setting.value).action(ArgAction::Append),
    }
}

fn agent() -> Command {
    let settings = AGENT_SETTINGS.iter().chain(SHARED_WITH_AGENT);
    settings
        .fold(Command::new("agent").about(AGENT_ABOUT), |command, setting| command.arg(flag(setting)))
        .after_help(
            "It ends on SIGTERM, after it has finished what it began. Each decision is a line of JSON.",
        )
}

fn demo() -> Command {
    Command::new("demo")
        .about(DEMO_ABOUT)
        .arg(
            Arg::new("keep")
                .long("keep")
                .action(ArgAction::SetTrue)
                .help("Keep the registry running afterwards, until interrupted"),
        )
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("PORT")
                .help("Port of the registry on loopback; a free one by default"),
        )
        .arg(
            Arg::new("referrers")
                .long("referrers")
                .action(ArgAction::SetTrue)
                .help("Store Sigstore bundles as OCI 1.1 referrers instead of .sig tags"),
        )
}

fn generate_key_pair() -> Command {
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

/// What `verify-blob` and `verify-blob-attestation` say at the end of their help.
const BLOB_AFTER: &str = "Nothing is fetched. Without --trusted-root the public-good Sigstore is believed, as it was when this\n\
program was built (stepseal --version); STEPSEAL_TRUSTED_ROOT or SIGSTORE_ROOT_FILE name another.";

fn verify_blob() -> Command {
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

fn verify_blob_attestation() -> Command {
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

/// A flag with one value.
fn value(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// A flag whose value may be what a file holds, which may begin with hyphens.
fn content(name: &'static str, form: &'static str, help: &'static str) -> Arg {
    value(name, form, help).allow_hyphen_values(true)
}

/// A flag that is on or off, as cosign's are.
fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .hide_possible_values(true)
        .value_parser(["true", "false"])
        .value_name("BOOL")
        .help(help)
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
    // Their meaning is what happens anyway; scripts give them.
    let accepted = |name: &'static str| switch(name, "Accepted, as it is how things are").hide(true);
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
        .arg(accepted("offline"))
        .arg(accepted("new-bundle-format"))
        .arg(accepted("private-infrastructure"))
}

fn completions() -> Command {
    Command::new("completions").about(COMPLETIONS_ABOUT).arg(
        Arg::new("shell").value_name("SHELL").required(true).value_parser(["bash", "zsh", "fish", "elvish"]),
    )
}
