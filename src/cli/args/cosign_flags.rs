//! cosign's flags on the command line, made from their table. They are hidden in `--help`, which is about Stepseal's own; the table in
//! docs/configuration.md has all of them.

use clap::{Arg, ArgAction, Command};

use super::cosign::{CosignFlag, FlagMeaning, FlagValues, flags_of};

/// `command` with cosign's flags that it lacks, and with the short forms and other spellings of those that it has.
pub(super) fn with_cosign_flags(command: Command) -> Command {
    let name = command.get_name().to_owned();
    flags_of(&name).fold(command, |command, (flag, meaning)| {
        if command.get_arguments().any(|arg| arg.get_id() == flag.name) {
            return command.mut_arg(flag.name, |arg| spelled(arg, flag));
        }
        match meaning {
            // Of a command that lacks a flag which is to have the same meaning here.
            FlagMeaning::Same => command,
            _ => command.arg(spelled(hidden(flag), flag)),
        }
    })
}

/// `arg` with cosign's other ways to write it.
fn spelled(arg: Arg, flag: &'static CosignFlag) -> Arg {
    let arg = match flag.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    if flag.also.is_empty() { arg } else { arg.alias(flag.also) }
}

fn hidden(flag: &'static CosignFlag) -> Arg {
    let arg = Arg::new(flag.name).long(flag.name).hide(true);
    match flag.takes {
        FlagValues::Value => arg.value_name("VALUE").overrides_with(flag.name),
        FlagValues::List => arg.value_name("VALUE").action(ArgAction::Append),
        FlagValues::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .overrides_with(flag.name)
            .value_name("BOOL"),
    }
}

/// The flags that cosign has before the command too, each hidden: the time limit, the log, and where standard output goes.
pub(super) fn global_flags() -> [Arg; 3] {
    let global = |arg: Arg| arg.global(true).hide(true);
    let value = |name: &'static str, value: &'static str| {
        Arg::new(name).long(name).value_name(value).overrides_with(name)
    };
    [
        global(value("timeout", "DURATION").short('t')),
        global(value("output-file", "FILE")),
        global(
            Arg::new("verbose")
                .long("verbose")
                .short('d')
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_name("BOOL"),
        ),
    ]
}
