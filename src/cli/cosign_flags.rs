//! cosign's flags and `COSIGN_FLAG` variables, as [the table](crate::config::cosign) says what each is here.
//!
//! Before a command line is parsed, [`with_variables`] adds what variables give for flags that are no settings. Afterwards [`read`]
//! finds what stands in for settings, what is worth a note, and what is refused.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::environment::Environment;
use crate::config::cosign::{CosignFlag, FlagExemption, FlagMeaning, FlagRefusal, FlagValues, flags_of};
use crate::config::secret_variables::SECRET_VARIABLES;
use crate::config::settings::{
    KEY_SETTINGS, REGISTRY_FLAGS, SETTINGS, Setting, VERIFY_TABLES, beside_settings,
};
use crate::config::sources::cosign_variable;
use crate::config::stand_ins::{self, CosignValues, ValuesBySetting};
use crate::config::{ConfigError, ValueOrigin, boolean};
use crate::explain::explain;
use crate::foreign;

/// The longest piece of a value that an error repeats, in bytes.
const SHOWN_BYTES: usize = 120;

/// Why a flag of cosign's, or its variable, can't be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum CosignError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{origin}: {}", refusal.why)]
    Refused { origin: ValueOrigin, refusal: FlagRefusal },
    #[error("{origin}={value}: {}", refusal.why)]
    Value { origin: ValueOrigin, value: String, refusal: FlagRefusal },
}

explain! { CosignError,
    Self::Config(error) => [of error],
    Self::Refused { origin, refusal } | Self::Value { origin, refusal, .. } => ["cosign-flag", Usage,
        "leave {origin} out{otherwise}" with (otherwise = otherwise(refusal))],
}

/// What to do where the flag is meant, after "leave it out".
fn otherwise(refusal: &FlagRefusal) -> String {
    let unless = refusal.unless.map(|unless| format!(", or {}", unless.how())).unwrap_or_default();
    let then = if refusal.instead.is_empty() { "" } else { "; " };
    format!("{unless}{then}{}", refusal.instead)
}

/// What cosign's flags and variables come to.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// What stands in for settings.
    pub stand_ins: CosignValues,
    /// What the user should know, in the order of the table.
    pub notes: Vec<String>,
}

/// What stands in for the settings of `command`.
///
/// # Errors
///
/// A flag or a variable that is refused, or has a value that it doesn't take.
pub(super) fn stand_ins(
    command: &str,
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<CosignValues, ConfigError> {
    match read(command, matches, environment) {
        Ok(read) => Ok(read.stand_ins),
        Err(CosignError::Config(error)) => Err(error),
        // The command line was read before the command began, and refused then.
        Err(CosignError::Refused { .. } | CosignError::Value { .. }) => Ok(CosignValues::default()),
    }
}

/// Reads cosign's flags of `command`, and the variables that stand in for them.
///
/// # Errors
///
/// A flag or a variable that is refused, or has a value that it doesn't take.
pub(super) fn read(
    command: &str,
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<Read, CosignError> {
    let given = Given { command, matches, environment };
    let mut read = Read::default();
    for setting in of_others(command).filter(|setting| matches.try_contains_id(setting.flag).is_ok()) {
        // The only flag of these that cosign names differently.
        let name = if setting.flag == "registry-ca" { "registry-cacert" } else { setting.flag };
        let variable = cosign_variable(name);
        let text = if is_secret(&variable) { None } else { environment.text(&variable)? };
        if let Some(text) = text {
            let value = (vec![text.trim().to_owned()], ValueOrigin::Env(variable));
            read.stand_ins.variables.settings.insert(setting.flag, value);
        }
    }
    for (flag, meaning) in flags_of(command) {
        let Some((values, origin)) = given.values(flag)? else { continue };
        let value = values.last().map(String::as_str).unwrap_or_default();
        let is_on = flag.takes != FlagValues::Switch || switch(value, &origin)?;
        let places = match origin {
            ValueOrigin::Flag(_) => &mut read.stand_ins.flags,
            _ => &mut read.stand_ins.variables,
        };
        match meaning {
            FlagMeaning::Same => {
                let by_variable = matches!(origin, ValueOrigin::Env(_));
                if flag.takes == FlagValues::List {
                    listed(flag, &values, &origin)?;
                }
                if let Some(setting) = setting(command, flag.name).filter(|_| by_variable) {
                    stand_in(places, setting.flag, flag, values, origin)?;
                }
            }
            // What is off by default says nothing where it is off.
            FlagMeaning::Flag(_) if !is_on => {}
            FlagMeaning::Flag(own) => stand_in(places, own, flag, values, origin)?,
            FlagMeaning::Key(key, on, off) => {
                places.keys.insert(key.key, (if is_on { on } else { off }.to_owned(), origin));
            }
            FlagMeaning::Accepted(_) => {}
            FlagMeaning::Noted(note, unless) => {
                if is_on && !given.is_so(unless)? {
                    read.notes.push(format!("note: {origin}: {note}"));
                }
            }
            FlagMeaning::Only(allowed, refusal) => {
                let value = match flag.takes {
                    FlagValues::Switch => is_on.to_string(),
                    _ => value.trim().to_owned(),
                };
                if value != allowed {
                    let value = foreign::escape(&value, SHOWN_BYTES);
                    return Err(CosignError::Value { origin, value, refusal });
                }
            }
            FlagMeaning::Refused(refusal) if !given.is_so(refusal.unless)? => {
                return Err(CosignError::Refused { origin, refusal });
            }
            FlagMeaning::Refused(refusal) => {
                if refusal.unless == Some(FlagExemption::Key) {
                    read.notes.push(format!("note: {origin} has no effect with a key"));
                }
            }
        }
    }
    Ok(read)
}

/// Puts what `flag` gives in the place of the setting `own`.
fn stand_in(
    places: &mut ValuesBySetting,
    own: &'static str,
    flag: &CosignFlag,
    values: Vec<String>,
    origin: ValueOrigin,
) -> Result<(), ConfigError> {
    let values = match flag.takes {
        FlagValues::Value | FlagValues::Switch => values,
        FlagValues::List => listed(flag, &values, &origin)?,
    };
    match places.settings.get(own) {
        Some((known, one)) if flag.takes == FlagValues::Switch && *known != values => {
            Err(ConfigError::Both { one: one.clone(), other: origin })
        }
        _ => {
            places.settings.insert(own, (values, origin));
            Ok(())
        }
    }
}

/// The elements of a list, none of which is blank.
fn listed(flag: &CosignFlag, values: &[String], origin: &ValueOrigin) -> Result<Vec<String>, ConfigError> {
    let mut all = Vec::new();
    for value in values {
        let elements = match flag.name {
            "annotations" => stand_ins::annotations(value),
            _ => stand_ins::csv(value),
        };
        all.extend(elements.ok_or_else(|| ConfigError::Value {
            origin: origin.clone(),
            value: foreign::escape(value, SHOWN_BYTES),
            wanted: "a list between commas, with quotes (\") only around whole elements".to_owned(),
        })?);
    }
    Ok(all)
}

/// The setting that `command` has for this flag.
fn setting(command: &str, flag: &str) -> Option<&'static Setting> {
    let tables: &[&'static [Setting]] = match command {
        "sign" | "plan" | "attest" => &[SETTINGS, REGISTRY_FLAGS],
        "verify" | "verify-attestation" | "verify-run" => &VERIFY_TABLES,
        _ => &[],
    };
    tables.iter().copied().flatten().find(|setting| setting.flag == flag)
}

/// The settings of cosign's commands that have no rows in the table: their flags are on the command line by their own names.
fn of_others(command: &str) -> impl Iterator<Item = &'static Setting> {
    let is_key = matches!(command, "sign-blob" | "attest-blob" | "public-key");
    let is_beside = matches!(command, "tree" | "triangulate" | "download" | "attach");
    let of_key = KEY_SETTINGS.iter().filter(move |_| is_key);
    of_key.chain(beside_settings().filter(move |_| is_beside))
}

/// Whether cosign has `command` too, so that its variables mean it.
pub(super) fn is_cosigns(command: &str) -> bool {
    flags_of(command).next().is_some() || of_others(command).next().is_some()
}

fn switch(text: &str, origin: &ValueOrigin) -> Result<bool, ConfigError> {
    boolean(text.trim()).ok_or_else(|| ConfigError::Value {
        origin: origin.clone(),
        value: foreign::escape(text, SHOWN_BYTES),
        wanted: "true or false".to_owned(),
    })
}

/// Whether a variable's value is a secret, which only its own reader may see.
fn is_secret(variable: &str) -> bool {
    SECRET_VARIABLES.iter().any(|secret| secret.name == variable)
}

/// What is given to one command.
struct Given<'a> {
    command: &'a str,
    matches: &'a ArgMatches,
    environment: &'a Environment,
}

impl Given<'_> {
    /// The values of a flag, or the value of its variable, and where they come from.
    fn values(&self, flag: &CosignFlag) -> Result<Option<(Vec<String>, ValueOrigin)>, ConfigError> {
        let by_flag = self.matches.try_get_many::<String>(flag.name).ok().flatten();
        if self.matches.try_contains_id(flag.name).is_ok()
            && self.matches.value_source(flag.name) == Some(ValueSource::CommandLine)
            && let Some(values) = by_flag
        {
            return Ok(Some((values.cloned().collect(), ValueOrigin::Flag(flag.name.to_owned()))));
        }
        let variable = cosign_variable(flag.name);
        if is_secret(&variable) {
            // Its own reader reads it. Where there is none, it counts that it is given, not what it is.
            let is_given =
                self.environment.secret(&variable).is_some_and(|secret| !secret.expose().is_empty());
            let is_read =
                flag.meaning(self.command).is_some_and(|meaning| matches!(meaning, FlagMeaning::Same));
            return Ok((is_given && !is_read).then(|| (vec![String::new()], ValueOrigin::Env(variable))));
        }
        let text = self.environment.text(&variable)?;
        Ok(text.map(|text| (vec![text.trim().to_owned()], ValueOrigin::Env(variable))))
    }

    /// Whether it is so that a flag has no effect in cosign either.
    fn is_so(&self, unless: Option<FlagExemption>) -> Result<bool, ConfigError> {
        let flag = |name: &str| flags_of(self.command).find(|(flag, _)| flag.name == name);
        match unless {
            None => Ok(false),
            Some(FlagExemption::Key) => {
                let named = |name: &str| self.matches.try_get_one::<String>(name).ok().flatten().is_some();
                let set = |name: &str| self.environment.text(name).map(|text| text.is_some());
                Ok(named("key")
                    || named("agent")
                    || set("STEPSEAL_KEY")?
                    || set("STEPSEAL_AGENT")?
                    || set("COSIGN_KEY")?)
            }
            Some(FlagExemption::NoUpload) => {
                let Some((flag, _)) = flag("tlog-upload") else { return Ok(false) };
                match self.values(flag)? {
                    Some((values, origin)) => {
                        Ok(!switch(values.last().map(String::as_str).unwrap_or_default(), &origin)?)
                    }
                    None => Ok(false),
                }
            }
        }
    }
}

/// A command line with what variables give for flags that aren't settings.
pub(super) struct Line {
    /// The arguments, the program's name first.
    pub args: Vec<OsString>,
    /// The flags that were added, and the variables that gave them.
    pub added: Vec<(String, String)>,
}

impl Line {
    /// Which variables gave which flags, for whoever reads an error about a flag; `None`: none did.
    pub(super) fn note(&self) -> Option<String> {
        let each: Vec<String> =
            self.added.iter().map(|(flag, variable)| format!("--{flag} is from {variable}")).collect();
        (!each.is_empty()).then(|| format!("note: {}", each.join(", ")))
    }
}

/// `args`, with a flag for each variable whose command has no setting for it, unless the flag is there.
///
/// The command's code sees flags alone then, and so do the rules of the command line about what is required.
///
/// # Errors
///
/// A variable that is blank, or not UTF-8.
pub(super) fn with_variables(
    args: Vec<OsString>,
    program: &clap::Command,
    environment: &Environment,
) -> Result<Line, ConfigError> {
    let Some(at) = command_at(&args) else { return Ok(Line { args, added: Vec::new() }) };
    let name = args.get(at).and_then(|name| name.to_str()).unwrap_or_default();
    let Some(command) = program.find_subcommand(name) else { return Ok(Line { args, added: Vec::new() }) };
    let reads_settings = !matches!(name, "verify-blob" | "verify-blob-attestation");
    let mut added = Vec::new();
    for arg in command.get_arguments() {
        let Some(long) = arg.get_long().filter(|long| !is_there(&args, long, arg)) else { continue };
        // Flags say whose signature it has to be before variables do.
        if long == "key" && !reads_settings && names_identity(&args, command) {
            continue;
        }
        let cosign = flags_of(name).find(|(flag, _)| flag.name == long);
        // Flags that stand for other flags, and refused flags, are handled later, where their position is known.
        let is_own = match cosign {
            Some((_, FlagMeaning::Same)) => !reads_settings || setting(name, long).is_none(),
            Some((_, FlagMeaning::Flag(_))) => !reads_settings,
            _ => false,
        };
        // A setting of the other commands that verify has its variable for files too.
        let setting = VERIFY_TABLES.iter().copied().flatten().find(|setting| setting.flag == long);
        let ours = setting.filter(|_| !reads_settings).map(|setting| setting.env.to_owned());
        for variable in ours.into_iter().chain(is_own.then(|| cosign_variable(long))) {
            if is_secret(&variable) {
                continue;
            }
            if let Some(text) = environment.text(&variable)? {
                added.push((long.to_owned(), text, variable));
                break;
            }
        }
    }
    let mut line = Line { args, added: Vec::new() };
    for (long, text, variable) in added {
        line.args.insert(at + 1, format!("--{long}={}", text.trim()).into());
        line.added.push((long, variable));
    }
    Ok(line)
}

/// Whether flags name the identity that has signed.
fn names_identity(args: &[OsString], command: &clap::Command) -> bool {
    let of_identity = ["certificate-identity", "certificate-identity-regexp"];
    let mut named = command.get_arguments().filter(|arg| of_identity.contains(&arg.get_id().as_str()));
    named.any(|arg| is_there(args, arg.get_long().unwrap_or_default(), arg))
}

/// `args` with two hyphens before the long flags that have one, as cosign reads them. Otherwise `-allow=x` would be `-a llow=x`: an annotation
/// in place of a restriction. For the same reason no short flag has its value, or another flag, behind it without a blank.
pub(super) fn with_two_hyphens(mut args: Vec<OsString>) -> Vec<OsString> {
    let before_files = args.iter().skip(1).take_while(|arg| *arg != OsStr::new("--")).count();
    for arg in args.iter_mut().skip(1).take(before_files) {
        let is_long = matches!(arg.as_bytes(), [b'-', first, second, ..] if *first != b'-' && !first.is_ascii_digit() && *second != b'=');
        if is_long {
            let mut long = OsString::from("-");
            long.push(&*arg);
            *arg = long;
        }
    }
    args
}

/// The place of the command in `args`, behind the flags that come before it.
fn command_at(args: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let arg = args.get(at)?.to_str()?;
        match arg {
            "-t" | "--timeout" | "--output-file" => at += 2,
            _ if arg.starts_with('-') => at += 1,
            _ => return Some(at),
        }
    }
}

/// Whether a flag is in a command line. No value looks like a flag: the parser takes none that does.
fn is_there(args: &[OsString], long: &str, arg: &clap::Arg) -> bool {
    let names: Vec<String> = std::iter::once(long)
        .chain(arg.get_all_aliases().into_iter().flatten())
        .map(|name| format!("--{name}"))
        .collect();
    let short = arg.get_short();
    let before_files = args.iter().take_while(|arg| *arg != OsStr::new("--"));
    before_files.filter_map(|given| given.to_str()).any(|given| {
        let name = given.split_once('=').map_or(given, |(name, _)| name);
        let is_long = names.iter().any(|long| name == long);
        let is_short = !given.starts_with("--")
            && given.starts_with('-')
            && short.is_some_and(|short| given.chars().nth(1) == Some(short));
        is_long || is_short
    })
}
