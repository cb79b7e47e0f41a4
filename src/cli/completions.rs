//! What the build made from the command line: completions and the manual page.

use clap::ArgMatches;

use super::output::Output;
use crate::exit::ExitCode;

const BASH: &str = include_str!(concat!(env!("OUT_DIR"), "/stepseal.bash"));
const ZSH: &str = include_str!(concat!(env!("OUT_DIR"), "/_stepseal"));
const FISH: &str = include_str!(concat!(env!("OUT_DIR"), "/stepseal.fish"));
const ELVISH: &str = include_str!(concat!(env!("OUT_DIR"), "/stepseal.elv"));
const MAN: &str = include_str!(concat!(env!("OUT_DIR"), "/stepseal.1"));

pub(super) fn completions(matches: &ArgMatches, out: &mut Output) -> ExitCode {
    let script = match matches.get_one::<String>("shell").map(String::as_str) {
        Some("bash") => BASH,
        Some("zsh") => ZSH,
        Some("fish") => FISH,
        Some("elvish") => ELVISH,
        _ => return ExitCode::Usage,
    };
    out.print(script);
    ExitCode::Done
}

pub(super) fn man(out: &mut Output) -> ExitCode {
    out.print(MAN);
    ExitCode::Done
}
