//! The settings of a command: its flags, with the variables and files that stand in for them.

use std::path::PathBuf;

use clap::ArgMatches;

use super::cosign_flags;
use super::environment::Environment;
use super::output::Output;
use super::own_flags::OwnFlags;
use crate::config::settings::{AGENT_SETTINGS, REGISTRY_FLAGS, SETTINGS, VERIFY_TABLES};
use crate::config::stand_ins::annotations;
use crate::config::{Config, ConfigError, Flags, Sources, VerifyConfig};
use crate::flow::discover::NamedImages;
use crate::flow::outputs::{FileContent, SignOutputFile};

/// The settings of `command`, which signs, or plans to; their warnings are shown.
pub(super) fn signing(
    command: &str,
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<Config, ConfigError> {
    let sources = Sources::read(flags(matches), environment.variables())?;
    let sources = sources.with_secrets(|setting| environment.secret_setting(setting));
    let sources = sources.with(cosign_flags::stand_ins(command, matches, environment)?);
    let epoch = environment.get("SOURCE_DATE_EPOCH");
    let config = Config::new(&sources, epoch.as_deref())?;
    for warning in &config.warnings {
        out.line(&format!("warning: {warning}"));
    }
    Ok(config)
}

/// The settings of `command`, which reads or verifies what is in registries.
pub(super) fn verification(
    command: &str,
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<VerifyConfig, ConfigError> {
    let sources = Sources::read(verification_flags(matches), environment.variables())?;
    let sources = sources.with_secrets(|setting| environment.secret_setting(setting));
    VerifyConfig::new(&sources.with(cosign_flags::stand_ins(command, matches, environment)?))
}

/// The flags of `verify` as text, by name.
fn verification_flags(matches: &ArgMatches) -> Flags {
    let names = VERIFY_TABLES.iter().copied().flatten().map(|setting| setting.flag);
    let given = names.chain(["config-dir", "config"]).filter_map(|name| {
        let values: Vec<String> = matches.try_get_many::<String>(name).ok()??.cloned().collect();
        let values = match name {
            // As cosign does: `-a a=1,b=2` are two.
            "annotations" => values
                .into_iter()
                .flat_map(|value| annotations(&value).unwrap_or_else(|| vec![value]))
                .collect(),
            _ => values,
        };
        Some((name.to_owned(), values))
    });
    given.collect()
}

/// The flags as text, by name; the configuration checks them.
pub(super) fn flags(matches: &ArgMatches) -> Flags {
    let names = SETTINGS.iter().chain(AGENT_SETTINGS).chain(REGISTRY_FLAGS).map(|setting| setting.flag);
    let given = names.chain(["config-dir", "config"]).filter_map(|name| {
        // A command has only some of them.
        let values = matches.try_get_many::<String>(name).ok()??;
        Some((name.to_owned(), values.cloned().collect()))
    });
    given.collect()
}

/// The images in the arguments `images`, and the files that list more.
pub(super) fn named(matches: &ArgMatches, images: &str) -> NamedImages {
    // A command may have only one of them.
    let given = |name| matches.try_get_many::<String>(name).ok().flatten().into_iter().flatten();
    NamedImages {
        images: given(images).cloned().collect(),
        files: given("images-file").map(PathBuf::from).collect(),
    }
}

/// The flags of `sign` that name files, and what their files get.
const FILE_FLAGS: [(&str, FileContent); 3] = [
    ("output-signature", FileContent::Signature),
    ("output-payload", FileContent::Payload),
    ("bundle", FileContent::Bundle),
];

/// The files that flags or their variables name.
pub(super) fn output_files(flags: &OwnFlags<'_>) -> Result<Vec<SignOutputFile>, ConfigError> {
    let mut files = Vec::new();
    for (flag, what) in FILE_FLAGS {
        let last = flags.values(flag)?.pop();
        files.extend(last.map(|(path, origin)| SignOutputFile { what, path: PathBuf::from(path), origin }));
    }
    Ok(files)
}
