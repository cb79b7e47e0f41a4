//! Makes the shell completions and the manual page from the command line's own definition.

use std::path::Path;
use std::{env, fs, io};

use clap::Command;
use clap_complete::aot::{Shell, generate_to};

#[path = "src/config/settings.rs"]
#[allow(dead_code, unreachable_pub, reason = "the crate uses all of it, this script only a part")]
mod settings;

#[path = "src/config/cosign.rs"]
#[allow(dead_code, unreachable_pub, reason = "the crate uses all of it, this script only a part")]
mod cosign;

#[path = "src/blank.rs"]
#[allow(dead_code, unreachable_pub, reason = "the crate uses all of it, this script only a part")]
mod blank;

#[path = "src/cli/args/mod.rs"]
#[allow(unreachable_pub, reason = "public in the crate")]
mod args;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=src/cli/args");
    println!("cargo::rerun-if-changed=src/config/settings.rs");
    println!("cargo::rerun-if-changed=src/config/cosign.rs");
    println!("cargo::rerun-if-changed=src/blank.rs");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets no OUT_DIR"))?;
    let out = Path::new(&out);
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish] {
        generate_to(shell, &mut shown(args::command()), "stepseal", out)?;
    }
    fs::write(out.join("stepseal.1"), man()?)?;
    for name in ["stepseal.bash", "_stepseal", "stepseal.fish", "stepseal.elv", "stepseal.1"] {
        let packed = miniz_oxide::deflate::compress_to_vec(&fs::read(out.join(name))?, 10);
        fs::write(out.join(format!("{name}.deflate")), packed)?;
    }
    Ok(())
}

/// A copy of `command` without hidden arguments. Scripts use cosign's hundred flags, so shells needn't complete them.
fn shown(command: Command) -> Command {
    let mut shown = Command::new(text(command.get_name()));
    if let Some(about) = command.get_about() {
        shown = shown.about(about.clone());
    }
    if let Some(version) = command.get_version() {
        shown = shown.version(text(version));
    }
    let args = command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_global_set()).cloned();
    let below = command.get_subcommands().filter(|command| !command.is_hide_set()).cloned().map(self::shown);
    shown.args(args).subcommands(below)
}

/// Leaks `text`: clap wants `'static` names, and the build script ends soon.
fn text(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// The manual: the program's page, a section for each command, the environment, and the exit codes.
fn man() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let command = args::command();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    for (name, command) in commands(&command) {
        let name = name.to_uppercase();
        let man = clap_mangen::Man::new(command.clone());
        page.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
        let mut section = Vec::new();
        man.render_description_section(&mut section)?;
        man.render_options_section(&mut section)?;
        let section = String::from_utf8(section).map_err(io::Error::other)?;
        page.extend_from_slice(section.replace(".SH ", ".SS ").as_bytes());
    }
    page.extend_from_slice(b".SH ENVIRONMENT\n");
    for setting in settings::SETTINGS.iter().chain(settings::REGISTRY_FLAGS) {
        let text = format!(
            ".TP\n{}\n{} (\\-\\-{}; default: {})\n",
            setting.env, setting.help, setting.flag, setting.default
        );
        page.extend_from_slice(text.as_bytes());
    }
    page.extend_from_slice(b".TP\nSTEPSEAL_LOG\nLog level on standard error: error, warn, info, debug or trace (default: warn)\n");
    page.extend_from_slice(b".TP\nCOSIGN_FLAG\nAny cosign flag that a command accepts, in upper case with _ for \\-; the variables above take precedence\n");
    page.extend_from_slice(b".SH \"EXIT STATUS\"\n0 done; 1 failed; 2 bad usage or configuration; 3 the results name nothing to sign, or are malformed; 4 the registry or the cluster refused the credentials; 5 some subjects are signed and some are not.\n");
    Ok(page)
}

/// Every command and subcommand with its full name, such as `download signature`.
fn commands(program: &clap::Command) -> Vec<(String, &clap::Command)> {
    let named = |command: &'_ clap::Command| command.get_name().to_owned();
    let all = program.get_subcommands().flat_map(|command| {
        let below = command
            .get_subcommands()
            .map(move |below| (format!("{} {}", named(command), named(below)), below));
        std::iter::once((named(command), command)).chain(below)
    });
    all.collect()
}
