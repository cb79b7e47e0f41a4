//! Files that a command would write over what it reads, or over each other: refused before anything begins.
//!
//! Every value of the command line and of Stepseal's and cosign's variables may name a file that is read. A file is written whole, in place of
//! what is there: of a key nothing would be left.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::environment::Environment;
use super::own_flags::OwnFlags;
use crate::config::ConfigError;
use crate::config::settings::REPORT;
use crate::config::sources::cosign_variable;
use crate::explain::explain;
use crate::foreign;
use crate::sign::KEY_FILES;

/// The flag of all commands that names a file to write.
const OUTPUT_FILE: &str = "output-file";

/// Why files can't be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplacedError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--{flag} would replace {}, which {other} names", foreign::escape(&path.display().to_string(), 512))]
    Named { flag: &'static str, other: String, path: PathBuf },
}

explain! { ReplacedError,
    Self::Config(error) => [of error],
    Self::Named { .. } => ["output-is-input", Usage, "name another file"],
}

/// The flags with which `command` names files to write, but for those that have a look of their own.
fn written_by(command: &str) -> &'static [&'static str] {
    match command {
        "sign" => &["report", "output-signature", "output-payload", "bundle", OUTPUT_FILE],
        "attest" => &["report", OUTPUT_FILE],
        _ => &[OUTPUT_FILE],
    }
}

/// Looks whether a file that `matches` of `command` name to be written is named for something else as well.
///
/// # Errors
///
/// One is.
pub(super) fn check(
    command: &str,
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<(), ReplacedError> {
    let own = OwnFlags::new(matches, environment);
    let mut values = named(matches);
    let of_variables = environment.variables().filter(|(name, value)| {
        !value.is_empty() && (name.starts_with("STEPSEAL_") || name.starts_with("COSIGN_"))
    });
    values.extend(of_variables);
    for flag in written_by(command) {
        let path = match own.text(flag)? {
            None if *flag == REPORT.flag => environment.text(REPORT.env)?,
            given => given,
        };
        let Some(path) = path.map(PathBuf::from) else { continue };
        let mine = [format!("--{flag}"), cosign_variable(flag), REPORT.env.to_owned()];
        let is_mine = |name: &String| match *flag == REPORT.flag {
            true => mine.contains(name),
            false => mine.iter().take(2).any(|mine| mine == name),
        };
        let other = values.iter().find(|(name, value)| !is_mine(name) && is_there(Path::new(value), &path));
        if let Some((other, _)) = other {
            return Err(ReplacedError::Named { flag, other: other.clone(), path });
        }
    }
    Ok(())
}

/// The values of the arguments, of a command below the command too, by what gives them.
fn named(matches: &ArgMatches) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for id in matches.ids() {
        let Ok(Some(values)) = matches.try_get_many::<String>(id.as_str()) else { continue };
        all.extend(values.map(|value| (format!("--{id}"), value.clone())));
    }
    if let Some((_, below)) = matches.subcommand() {
        all.extend(named(below));
    }
    all
}

/// Whether `path` names the file `value`, or, where that is a folder, a key in it. Devices and pipes lose nothing.
fn is_there(value: &Path, path: &Path) -> bool {
    let is_file = |path: &Path| fs::metadata(path).is_ok_and(|file| file.is_file());
    let place = |path: &Path| fs::canonicalize(path).ok();
    if value.is_dir() {
        let is_key = path.file_name().is_some_and(|name| KEY_FILES.iter().any(|key| name == *key));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return is_key && is_file(path) && place(folder) == place(value);
    }
    match fs::symlink_metadata(path) {
        Ok(_) => is_file(path) && place(path).is_some_and(|path| place(value) == Some(path)),
        // It isn't there yet: another flag names it, too, to write it.
        Err(_) => value == path,
    }
}
