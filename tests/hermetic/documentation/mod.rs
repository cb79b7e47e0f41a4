//! What is documented is what the program does: tables are made from the code, and flags named in prose exist.

mod codes;
mod links;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use stepseal::config::cosign::{COSIGN_FLAGS, FlagExemption, FlagMeaning, LACKING};
use stepseal::config::settings::{
    AGENT_SETTINGS, CHAINS_KEYS, DORMANT_KEYS, REGISTRY_FLAGS, SETTINGS, Setting, SettingKind, VERIFY_TABLES,
};
use stepseal::config::sources::variable;
use stepseal::exit::ExitCode;
use stepseal::run::{BuildType, RunFormat, RunKind};
use stepseal::verify::attestation_type::SHORT_NAMES;
use stepseal::verify::policy::age::STATED;
use stepseal::verify::policy::schema::FIELDS;
use stepseal::verify::run::SETS;
use stepseal::verify::run::coverage::fields;

/// The text between the two marks of a generated part.
fn generated(name: &str) -> String {
    let mut text = String::new();
    match name {
        "settings" => settings(&mut text, SETTINGS),
        "registry flags" => settings(&mut text, REGISTRY_FLAGS),
        "agent settings" => settings(&mut text, AGENT_SETTINGS),
        "verify settings" => {
            let tables = VERIFY_TABLES.iter().copied().flatten();
            let mut seen = std::collections::BTreeSet::new();
            let once: Vec<Setting> = tables.filter(|setting| seen.insert(setting.flag)).copied().collect();
            settings(&mut text, &once);
        }
        "calls of cosign" => calls_of_cosign(&mut text),
        "predicate types" => {
            writeln!(text, "| name | predicate type |\n|---|---|").unwrap();
            for (name, uri) in SHORT_NAMES {
                writeln!(text, "| `{name}` | `{uri}` |").unwrap();
            }
        }
        "policy" => {
            writeln!(text, "| key | holds | needed | meaning |\n|---|---|---|---|").unwrap();
            for field in FIELDS {
                let needed = if field.required { "yes" } else { "" };
                writeln!(text, "| `{}` | {} | {needed} | {} |", field.path, field.kind.name(), field.meaning)
                    .unwrap();
            }
        }
        "ages" => {
            writeln!(text, "| in | fields |\n|---|---|").unwrap();
            for row in STATED {
                writeln!(text, "| {} | `{}` |", row.kind, row.fields.join("`, else `")).unwrap();
            }
        }
        "chains" => chains(&mut text),
        "dormant" => {
            let names: Vec<String> = DORMANT_KEYS.iter().map(|key| format!("`{key}`")).collect();
            writeln!(text, "{}", names.join(", ")).unwrap();
        }
        "coverage of a TaskRun" => coverage(&mut text, RunKind::TaskRun),
        "coverage of a PipelineRun" => coverage(&mut text, RunKind::PipelineRun),
        "lists in any order" => {
            writeln!(text, "| list | reason |\n|---|---|").unwrap();
            for (path, reason) in SETS {
                writeln!(text, "| `{path}` | {reason} |").unwrap();
            }
        }
        "cosign's flags" => cosign(&mut text),
        "cosign's commands" => {
            writeln!(text, "| command | instead |\n|---|---|").unwrap();
            for (name, instead) in LACKING {
                writeln!(text, "| `{name}` | {instead} |").unwrap();
            }
        }
        "codes" => codes::table(&mut text),
        "exit codes" => {
            writeln!(text, "| code | meaning |\n|---|---|").unwrap();
            for code in ExitCode::ALL {
                writeln!(text, "| {} | {} |", code.number(), code.meaning()).unwrap();
            }
        }
        _ => unreachable!("no generated part has the name {name}"),
    }
    text
}

fn settings(text: &mut String, table: &[Setting]) {
    writeln!(text, "| flag | environment | default | meaning |\n|---|---|---|---|").unwrap();
    for setting in table {
        let value = if setting.value.is_empty() { String::new() } else { format!(" {}", setting.value) };
        let several = match setting.kind {
            SettingKind::Switch | SettingKind::One => "",
            SettingKind::Words => " (several: `,` or one a line)",
            SettingKind::Paths => " (several: `:`)",
        };
        let flag = format!("--{}{}", setting.flag, value.replace('|', "\\|"));
        let help = setting.help.replace('|', "\\|");
        writeln!(text, "| `{flag}` | `{}`{several} | {} | {help} |", setting.env, setting.default).unwrap();
    }
}

/// What is not "the same", by flag; and below it the names of what is.
fn cosign(text: &mut String) {
    writeln!(text, "| cosign's flag | of | here |\n|---|---|---|").unwrap();
    let mut same = Vec::new();
    for flag in COSIGN_FLAGS {
        let short = flag.short.map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let also = if flag.also.is_empty() { String::new() } else { format!(", `--{}`", flag.also) };
        let name = format!("{short}`--{}`{also}", flag.name);
        for (commands, meaning) in flag.uses {
            let here = match meaning {
                FlagMeaning::Same => {
                    same.push(name.clone());
                    continue;
                }
                FlagMeaning::Flag(own) => format!("`--{own}`"),
                FlagMeaning::Key(key, on, off) => {
                    format!("`{}`: `{on}`, or `{off}` where it is `false`", key.key)
                }
                FlagMeaning::Accepted(why) => format!("accepted: {why}"),
                FlagMeaning::Noted(note, unless) => format!("accepted, with a note{}: {note}", told(*unless)),
                FlagMeaning::Only(allowed, refusal) => format!("`{allowed}` alone: {}", refusal.why),
                FlagMeaning::Refused(refusal) => {
                    let instead = if refusal.instead.is_empty() { "" } else { "; " };
                    format!("refused{}: {}{instead}{}", told(refusal.unless), refusal.why, refusal.instead)
                }
            };
            let commands =
                commands.iter().map(|command| format!("`{command}`")).collect::<Vec<_>>().join(", ");
            writeln!(text, "| {name} | {commands} | {} |", here.replace('|', "\\|")).unwrap();
        }
    }
    same.dedup();
    writeln!(text, "\nThese have their own name and meaning here: {}.", same.join("; ")).unwrap();
}

fn told(unless: Option<FlagExemption>) -> &'static str {
    match unless {
        None => "",
        Some(FlagExemption::Key) => " unless a key is named (`--key`)",
        Some(FlagExemption::NoUpload) => " unless `--tlog-upload=false` is given",
    }
}

fn coverage(text: &mut String, kind: RunKind) {
    let formats = [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4, RunFormat::Tekton];
    let names = formats.map(|format| format!("`{format}`")).join(" | ");
    writeln!(text, "| of the run | {names} | with `slsa-tekton` |\n|---|---|---|---|---|---|").unwrap();
    for field in fields(kind) {
        let extents = formats.map(|format| field.extent(format, BuildType::Slsa).to_string()).join(" | ");
        let full = field.slsa_tekton.map(|extent| extent.to_string()).unwrap_or_default();
        writeln!(text, "| {} | {extents} | {full} |", field.name).unwrap();
    }
}

fn chains(text: &mut String) {
    writeln!(text, "| key | environment | default | values | empty | meaning |\n|---|---|---|---|---|---|")
        .unwrap();
    for key in CHAINS_KEYS {
        let show = |value: &&str| if value.is_empty() { "empty".to_owned() } else { format!("`{value}`") };
        let allowed: Vec<String> = key.allowed.iter().map(show).collect();
        let allowed = if allowed.is_empty() { "any".to_owned() } else { allowed.join(", ") };
        let default = show(&key.default);
        writeln!(
            text,
            "| `{}` | `{}` | {default} | {allowed} | {} | {} |",
            key.key,
            variable(key.key),
            key.empty(),
            key.meaning
        )
        .unwrap();
    }
}

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The calls that `tests/peers` runs, with what becomes of each.
fn calls_of_cosign(text: &mut String) {
    writeln!(text, "| | call | with `stepseal` in cosign's place |\n|---|---|---|").unwrap();
    for line in include_str!("../../data/cosign/calls.tsv").lines() {
        let mut fields = line.splitn(3, '\t');
        let mut field = || fields.next().unwrap();
        let (number, verdict, call) = (field(), field(), field());
        writeln!(text, "| {number} | `{call}` | {verdict} |").unwrap();
    }
}

/// Replaces every generated part; `BLESS=1 cargo test --test hermetic documentation::` writes the file.
#[test]
fn tables_are_made_from_the_code() {
    for page in [
        "docs/configuration.md",
        "docs/from-a-cosign-script.md",
        "docs/verify.md",
        "docs/policy.md",
        "docs/troubleshooting.md",
    ] {
        page_is_made_from_the_code(page);
    }
}

fn page_is_made_from_the_code(page: &str) {
    let path = root(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut made = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("<!-- generated: ") {
        let (name, after) = after.split_once(" -->\n").unwrap();
        let (_, after) = after.split_once("<!-- end -->").unwrap();
        write!(made, "{before}<!-- generated: {name} -->\n{}<!-- end -->", generated(name)).unwrap();
        rest = after;
    }
    made.push_str(rest);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(text, made, "run BLESS=1 cargo test --test hermetic documentation::");
}

#[test]
fn every_flag_named_in_prose_exists() {
    let output = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_stepseal");
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let overview = output(&["--help"]);
    let (_, listed) = overview.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> =
        listed.lines().map_while(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    assert!(commands.contains(&"sign") && commands.contains(&"verify"), "{commands:?}");
    let program = stepseal::cli::args::command();
    let below = program.get_subcommands().flat_map(|above| {
        above.get_subcommands().map(|command| output(&[above.get_name(), command.get_name(), "--help"]))
    });
    let help: String = commands.iter().map(|command| output(&[command, "--help"])).chain(below).collect();
    // Flags of cargo, cosign, curl, kubectl, podman and fuzz/smoke, which the prose names too.
    let others = [
        "--release",
        "--key",
        "--insecure-ignore-tlog",
        "--test",
        "--from-file",
        "--from-literal",
        "--unix-socket",
        "--json",
        "--long",
        "--experimental-oci",
        "--watch",
    ];
    let pages = ["configuration", "agent", "runs", "verify", "policy", "threat-model", "looking"]
        .map(|page| format!("docs/{page}.md"));
    for name in ["README.md", "ARCHITECTURE.md"].into_iter().chain(pages.iter().map(String::as_str)) {
        let text = std::fs::read_to_string(root(name)).unwrap();
        for (at, _) in text.match_indices("--") {
            let flag: String =
                text.split_at(at).1.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            // `-->` and table rules are no flags.
            if flag.trim_start_matches('-').is_empty() || text.split_at(at).0.ends_with(['-', '!']) {
                continue;
            }
            let mut settings = SETTINGS.iter().chain(REGISTRY_FLAGS);
            let known = settings.any(|setting| flag == format!("--{}", setting.flag))
                || COSIGN_FLAGS
                    .iter()
                    .any(|known| [known.name, known.also].contains(&flag.trim_start_matches('-')));
            assert!(known || help.contains(&flag) || others.contains(&flag.as_str()), "{name} names {flag}");
        }
    }
}
