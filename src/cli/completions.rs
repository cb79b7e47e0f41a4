//! What the build made from the command line: completions and the manual page.
//!
//! They are kept compressed: these texts, which few people ask for, would be a fortieth of the program.

use clap::ArgMatches;

use super::output::Output;
use crate::exit::ExitCode;

const BASH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stepseal.bash.deflate"));
const ZSH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/_stepseal.deflate"));
const FISH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stepseal.fish.deflate"));
const ELVISH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stepseal.elv.deflate"));
const MAN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stepseal.1.deflate"));

/// Far more than any of them has.
const MAX_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn completions(matches: &ArgMatches, out: &mut Output) -> ExitCode {
    let script = match matches.get_one::<String>("shell").map(String::as_str) {
        Some("bash") => BASH,
        Some("zsh") => ZSH,
        Some("fish") => FISH,
        Some("elvish") => ELVISH,
        _ => return ExitCode::Usage,
    };
    print(script, out)
}

pub(super) fn man(out: &mut Output) -> ExitCode {
    print(MAN, out)
}

fn print(packed: &[u8], out: &mut Output) -> ExitCode {
    let text = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, MAX_BYTES).unwrap_or_default();
    out.print(&String::from_utf8_lossy(&text));
    ExitCode::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_whole() {
        for packed in [BASH, ZSH, FISH, ELVISH, MAN] {
            let text = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, MAX_BYTES).unwrap();
            let text = String::from_utf8(text).unwrap().to_lowercase().replace('\\', "");
            assert!(text.contains("verify-attestation") && text.ends_with('\n'), "{text}");
        }
    }
}
