//! A blank is not "anything": every setting of every command × (absent, empty, blank, separators alone) × (flag, variable), from outside.
//!
//! The table is made from the command line's definition and from the tables of settings, so a new setting is in it by itself.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use stepseal::cli::args;
use stepseal::config::settings::{
    AGENT_SETTINGS, ATTEST_SETTINGS, CHAINS_KEYS, DORMANT_KEYS, SETTINGS, SHARED_WITH_AGENT, VERIFY_TABLES,
};
use stepseal::config::sources::{FOREIGN_VARIABLES, variable};

use crate::kit::effort::stride;

/// What holds nothing, apart from the empty text.
const BLANKS: [&str; 9] = [" ", ",", " , ", ":", ":: ", "\n", "\t,\n", "\u{3000}", "\u{200b},\u{a0}"];

/// Each command that reads settings, with arguments that let it read all of them, and that it ends with before it asks anybody.
const COMMANDS: [&[&str]; 20] = [
    &["plan", "--output=json", IMAGE],
    &["sign", IMAGE],
    &["attest", "--predicate=/nowhere", "--type=custom", IMAGE],
    &["verify", IMAGE],
    &["verify-attestation", IMAGE],
    &["verify-run", "--run=/nowhere"],
    &["agent"],
    &[
        "verify-blob",
        "--bundle=/nowhere",
        "--certificate-identity=a",
        "--certificate-oidc-issuer=b",
        "/nowhere",
    ],
    &["generate-key-pair"],
    &["sign-blob", "/nowhere"],
    &["attest-blob", "--predicate=/nowhere", "/nowhere"],
    &["public-key"],
    &["import-key-pair", "--key=/nowhere"],
    &[
        "verify-blob-attestation",
        "--bundle=/nowhere",
        "--certificate-identity=a",
        "--certificate-oidc-issuer=b",
        "/nowhere",
    ],
    &["tree", "--output=yaml", IMAGE],
    &["triangulate", IMAGE],
    &["download", "signature", "x y"],
    &["download", "attestation", "--platform=/", IMAGE],
    &["download", "sbom", "--platform=/", IMAGE],
    &["attach", "sbom", "--sbom=/nowhere", IMAGE],
];

const IMAGE: &str =
    "registry.invalid/app@sha256:0123456789012345678901234567890123456789012345678901234567890123";

/// How the binary ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
    command.args(args).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Asserts that it was refused, naming `name`, and telling what to do.
#[track_caller]
fn refused(cell: &str, ended: &Ended, name: &str) {
    assert_eq!(ended.code, Some(2), "{cell}: {}", ended.err);
    let first = ended.err.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: ") && first.contains(name), "{cell}: {}", ended.err);
    assert!(ended.err.contains("do:    ") && ended.err.contains("leave "), "{cell}: {}", ended.err);
    assert_eq!(ended.out, "", "{cell}");
}

/// Goes through the cells with a few threads: most of the time is starting processes.
fn each<T: Sync>(cells: &[T], check: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(cell);
                }
            });
        }
    });
}

/// Every argument of every command that takes a value: the command with that above it, the flag (none: positional), its name in messages,
/// whether it is repeatable.
fn arguments() -> Vec<(Vec<String>, Option<String>, String, bool)> {
    let mut all = Vec::new();
    let program = args::command();
    let below = program.get_subcommands().flat_map(|above| {
        above.get_subcommands().map(|command| (vec![above.get_name().to_owned()], command))
    });
    let commands = program.get_subcommands().map(|command| (Vec::new(), command)).chain(below);
    for (mut path, command) in commands {
        path.push(command.get_name().to_owned());
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let flag = arg.get_long().map(|long| format!("--{long}"));
            let name = flag
                .clone()
                .unwrap_or_else(|| arg.get_value_names().unwrap().iter().map(ToString::to_string).collect());
            let many = matches!(arg.get_action(), clap::ArgAction::Append)
                || arg.get_num_args().is_some_and(|range| flag.is_none() && range.max_values() > 1);
            all.push((path.clone(), flag, name, many));
        }
    }
    all
}

/// The arguments that give these values.
fn given(command: &[String], flag: Option<&str>, values: &[&str]) -> Vec<String> {
    let command = command.iter().cloned();
    match flag {
        Some(flag) => command.chain(values.iter().map(|value| format!("{flag}={value}"))).collect(),
        None => command.chain(["--".to_owned()]).chain(values.iter().map(ToString::to_string)).collect(),
    }
}

/// Every variable that a setting, a key of Chains' or another program's convention has.
fn variables() -> BTreeSet<String> {
    let tables = VERIFY_TABLES.iter().copied().flatten();
    let settings =
        tables.chain(SETTINGS).chain(AGENT_SETTINGS).chain(SHARED_WITH_AGENT).chain(ATTEST_SETTINGS);
    let ours = settings.map(|setting| setting.env.to_owned());
    let chains = CHAINS_KEYS.iter().map(|key| variable(key.key));
    let others = FOREIGN_VARIABLES.iter().chain(&["STEPSEAL_CONFIG_DIR", "STEPSEAL_LOG"]);
    ours.chain(chains).chain(others.map(ToString::to_string)).collect()
}

/// In the process, every blank; a flag without the check would parse, and fail here.
#[test]
fn the_command_line_takes_no_blank_value() {
    let arguments = arguments();
    assert!(arguments.len() > 150, "{}", arguments.len());
    for (command, flag, name, many) in arguments.iter().step_by(stride(5)) {
        for blank in BLANKS.into_iter().chain([""]) {
            let values: &[&[&str]] =
                if *many { &[&[blank], &["x", blank], &[blank, "x"]] } else { &[&[blank]] };
            for values in values {
                let line = given(command, flag.as_deref(), values);
                let error =
                    args::command().try_get_matches_from([&["stepseal".to_owned()], &line[..]].concat());
                let error = error.expect_err(&format!("{line:?}")).to_string();
                assert!(error.contains(&format!("error: {name} ")), "{line:?}: {error}");
            }
        }
    }
}

#[test]
fn an_empty_or_blank_flag_or_argument_is_refused_by_name() {
    let mut cells = Vec::new();
    for (at, (command, flag, name, _)) in arguments().into_iter().enumerate() {
        for blank in ["", BLANKS[at % BLANKS.len()]] {
            cells.push((given(&command, flag.as_deref(), &[blank]), name.clone()));
        }
    }
    let cells: Vec<_> = cells.into_iter().step_by(stride(7)).collect();
    each(&cells, |(line, name)| {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        refused(&format!("{line:?}"), &run(&line, &[]), name);
    });
    // The value on its own, and cosign's short flags.
    for line in [
        ["sign", "--allow", ""],
        ["verify", "-a", " "],
        ["verify", "-o", ""],
        ["verify", "--max-workers", ""],
    ] {
        assert_eq!(run(&line, &[]).code, Some(2), "{line:?}");
    }
}

#[test]
fn a_blank_variable_is_refused_by_name_whatever_command_reads_it() {
    let variables: Vec<String> = variables().into_iter().collect();
    assert!(variables.len() > 75, "{}", variables.len());
    let mut cells = Vec::new();
    for (at, name) in variables.iter().enumerate() {
        cells.extend(COMMANDS.iter().zip(at..).map(|(line, at)| (*line, name, BLANKS[at % BLANKS.len()])));
    }
    let cells: Vec<_> = cells.into_iter().step_by(stride(7)).collect();
    each(&cells, |(line, name, blank)| {
        refused(&format!("{name}={blank:?} {line:?}"), &run(line, &[(name, blank)]), name);
    });
}

/// Which the shipped Tasks rely on: their parameters are empty by default.
#[test]
fn an_empty_variable_counts_as_unset() {
    let absent: Vec<Ended> = COMMANDS.iter().map(|line| run(line, &[])).collect();
    assert_eq!(absent[0].code, Some(0), "{:?}", absent[0]);
    let cells: Vec<_> = variables()
        .into_iter()
        .flat_map(|name| COMMANDS.iter().zip(&absent).map(move |cell| (name.clone(), cell)))
        .step_by(stride(7))
        .collect();
    each(&cells, |(name, (line, absent))| {
        let ended = run(line, &[(name, "")]);
        match (line[0], name.as_str()) {
            // Chains' meaning of an empty value: off. Nothing is left to do.
            ("plan" | "sign", "STEPSEAL_ARTIFACTS_OCI_STORAGE") => {
                assert_eq!(ended.code, Some(2), "{line:?}: {}", ended.err);
                assert!(ended.err.contains("artifacts.oci.storage is empty"), "{}", ended.err);
            }
            ("attest", "STEPSEAL_ARTIFACTS_OCI_STORAGE") => assert_eq!(ended.code, Some(2), "{}", ended.err),
            _ => assert_eq!(ended, **absent, "{name}= {line:?}"),
        }
    });
}

#[test]
fn a_variable_that_is_not_text_is_not_one_that_is_unset() {
    for line in COMMANDS {
        for name in ["STEPSEAL_ALLOW", "STEPSEAL_REQUIRE", "SIGSTORE_ROOT_FILE"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
            command.args(line).env_clear().env(name, OsString::from_vec(vec![0xa0]));
            let output = command.stdin(Stdio::null()).output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{line:?}: {err}");
            assert!(err.contains(&format!("{name} is not UTF-8")), "{line:?}: {err}");
        }
    }
}

#[test]
fn what_takes_no_settings_does_not_ask_for_them() {
    for line in [["completions", "bash"].as_slice(), &["man"], &["--version"]] {
        assert_eq!(run(line, &[("STEPSEAL_ALLOW", ","), ("KUBECONFIG", " ")]).code, Some(0), "{line:?}");
    }
}

/// In a `chains-config` directory and by `--config`: off for `artifacts.*.storage`; a blank is an error for every key.
#[test]
fn an_empty_key_of_chains_config_is_what_its_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let absent = run(COMMANDS[0], &[]);
    for key in CHAINS_KEYS {
        let file = folder.path().join(key.key);
        let by_flag =
            |value: &str| run(&[COMMANDS[0], &["--config", &format!("{}={value}", key.key)]].concat(), &[]);
        let in_folder = |value: &str| {
            std::fs::write(&file, value).unwrap();
            let ended = run(COMMANDS[0], &[("STEPSEAL_CONFIG_DIR", path)]);
            std::fs::remove_file(&file).unwrap();
            ended
        };
        for ended in [by_flag(""), in_folder("")] {
            match (key.key, key.empty()) {
                ("artifacts.oci.storage", "off") => {
                    assert!(ended.err.contains("artifacts.oci.storage is empty"), "{}", ended.err);
                }
                (_, "off" | "the default") => assert_eq!(ended, absent, "{}", key.key),
                (_, "an error") => {
                    assert_eq!(ended.code, Some(2), "{}", key.key);
                    assert!(ended.err.contains(key.key), "{}", ended.err);
                }
                (key, other) => unreachable!("{key}: {other}"),
            }
        }
        for blank in BLANKS {
            refused(key.key, &by_flag(blank), key.key);
            refused(key.key, &in_folder(blank), key.key);
        }
        // Before a good one, and where the key isn't used.
        let (blank, good) = (format!("{}= ,", key.key), format!("{}={}", key.key, key.default));
        for line in [COMMANDS[0], COMMANDS[3]] {
            let ended = run(&[line, &["--config", &blank, "--config", &good]].concat(), &[]);
            refused(key.key, &ended, key.key);
        }
    }
    // Those that have no effect are checked too.
    for key in DORMANT_KEYS {
        std::fs::write(folder.path().join(key), " , ").unwrap();
        refused(key, &run(COMMANDS[0], &[("STEPSEAL_CONFIG_DIR", path)]), key);
        std::fs::remove_file(folder.path().join(key)).unwrap();
    }
}

/// By flag, by variable, and where the other half is an empty variable.
#[test]
fn half_an_identity_is_refused_by_every_command_that_verifies() {
    let halves = [
        "certificate-identity",
        "certificate-identity-regexp",
        "certificate-oidc-issuer",
        "certificate-oidc-issuer-regexp",
    ];
    for line in [COMMANDS[3], COMMANDS[4], COMMANDS[5], &["verify-blob", "--bundle=/nowhere", "/nowhere"]] {
        for (at, half) in halves.into_iter().enumerate() {
            let name = |half: &str| format!("STEPSEAL_{}", half.to_ascii_uppercase().replace('-', "_"));
            let others: Vec<(String, &str)> = halves
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .map(|(_, half)| (name(half), ""))
                .collect();
            let mut variables: Vec<(&str, &str)> =
                others.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let by_flag = run(&[line, &[&format!("--{half}=x")]].concat(), &variables);
            let name = name(half);
            variables.push((&name, "x"));
            // verify-blob takes them as flags alone.
            let by_variable = (line[0] != "verify-blob").then(|| run(line, &variables));
            for ended in std::iter::once(by_flag).chain(by_variable) {
                assert_eq!(ended.code, Some(2), "{line:?} {half}: {}", ended.err);
                let missing = if half.contains("issuer") {
                    "--certificate-identity"
                } else {
                    "--certificate-oidc-issuer"
                };
                assert!(ended.err.contains(&format!("is given without {missing}")), "{half}: {}", ended.err);
            }
        }
    }
}
