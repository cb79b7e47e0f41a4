//! The command line, made from the table of settings.
//!
//! The build script reads this file too, for the completions and the man page: it imports clap, the
//! tables and the check of blanks, nothing else.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};

mod attached;
mod attest;
mod cosign_flags;
mod keys;
mod outputs;
mod sign_blob;
mod verify;
mod verify_blob;

use super::settings::{
    self, AGENT_SETTINGS, REGISTRY_FLAGS, SETTINGS, SHARED_WITH_AGENT, Setting, SettingKind,
};
use super::{blank, cosign};

/// What Stepseal is, in a line.
const ABOUT: &str = "The signing step of a Tekton pipeline: signs what the TaskRun built, and reads it back";

const SIGN_ABOUT: &str = "Sign the images that the results name, or those given";
const PLAN_ABOUT: &str = "Show what `sign` would do and why; touches no key and no registry";
const DEMO_ABOUT: &str = "The whole job in one process: registry, key, results, sign, verify";
const AGENT_ABOUT: &str = "Hold the key beside steps that never see it, and sign for them over a Unix socket";
const COMPLETIONS_ABOUT: &str = "Print the completion script of a shell";
const VERSION_ABOUT: &str = "Print the version, as --version does";
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
        .subcommand(outputs::of_sign(subjects(Command::new("sign").about(SIGN_ABOUT))).after_help(EXIT_CODES))
        .subcommand(
            outputs::of_sign(subjects(Command::new("plan").about(PLAN_ABOUT))).arg(
                Arg::new("payloads")
                    .long("payloads")
                    .value_name("DIR")
                    .help("Write the exact bytes of each payload into DIR"),
            ),
        )
        .subcommand(attest::attest())
        .subcommand(verify::verify())
        .subcommand(verify::verify_attestation())
        .subcommand(verify::verify_run())
        .subcommand(attached::tree())
        .subcommand(attached::triangulate())
        .subcommand(attached::download())
        .subcommand(attached::attach())
        .subcommand(agent())
        .subcommand(demo())
        .subcommand(keys::generate_key_pair())
        .subcommand(keys::public_key())
        .subcommand(keys::import_key_pair())
        .subcommand(sign_blob::sign_blob())
        .subcommand(sign_blob::attest_blob())
        .subcommand(verify_blob::verify_blob())
        .subcommand(verify_blob::verify_blob_attestation())
        .subcommand(completions())
        .subcommand(Command::new("man").about(MAN_ABOUT))
        .subcommand(Command::new("version").about(VERSION_ABOUT).hide(true))
        .args(cosign_flags::global_flags())
        .mut_args(without_blanks)
        .mut_subcommands(in_all)
}

/// `command` and its subcommands with cosign's flags, none of which takes a blank value.
fn in_all(command: Command) -> Command {
    let command = cosign_flags::with_cosign_flags(command).mut_args(without_blanks);
    command.mut_args(with_short_timeout).mut_subcommands(in_all)
}

/// Adds cosign's short form to `arg` if it is the time limit, which may also come before the command.
fn with_short_timeout(arg: Arg) -> Arg {
    if arg.get_id() == "timeout" { arg.short('t') } else { arg }
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
                .help("Images to sign, instead of those in the results; a tag only with a warning"),
        )
        .arg(
            Arg::new("images-file")
                .long("images-file")
                .value_name("FILE")
                .action(ArgAction::Append)
                .help("Images, IMAGE@DIGEST [IDENTITY…] a line, - for standard input"),
        );
    let settings = SETTINGS.iter().chain(REGISTRY_FLAGS);
    chains(settings.fold(command, |command, setting| command.arg(flag(setting))))
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

/// The flag of a setting. Values stay text here: `config` checks them, whatever source they come from.
fn flag(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.flag).long(setting.flag).help(setting.help).hide(setting.is_rare());
    match setting.kind {
        SettingKind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true)
            .value_name("BOOL"),
        SettingKind::One => arg.value_name(setting.value).overrides_with(setting.flag),
        SettingKind::Words | SettingKind::Paths => arg.value_name(setting.value).action(ArgAction::Append),
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

fn completions() -> Command {
    Command::new("completions").alias("completion").about(COMPLETIONS_ABOUT).arg(
        Arg::new("shell").value_name("SHELL").required(true).value_parser(["bash", "zsh", "fish", "elvish"]),
    )
}
