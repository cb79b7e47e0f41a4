//! Scripts that call cosign, with `stepseal` in its place: each flag of cosign's is carried out, or refused with a reason, and so is its
//! variable.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use stepseal::cli::args;
use stepseal::config::cosign::{COSIGN_FLAGS, FlagMeaning, FlagValues, LACKING, flags_of};
use stepseal::config::sources::cosign_variable;

use crate::kit::effort::stride;
use crate::kit::step;

use step::{KEY_PASSWORD, Step, bare, ended, pair, public_key};

/// cosign's commands with flags in the table, each with arguments that end it before it asks anybody.
const COMMANDS: [(&str, &[&str]); 6] = [
    ("sign", &[IMAGE]),
    ("attest", &["--predicate=/nowhere", "--type=custom", IMAGE]),
    ("verify", &["--key=/nowhere", IMAGE]),
    ("verify-attestation", &["--key=/nowhere", IMAGE]),
    ("verify-blob", &["--bundle=/nowhere", "--key=/nowhere", "/nowhere"]),
    ("verify-blob-attestation", &["--bundle=/nowhere", "--key=/nowhere", "/nowhere"]),
];

const IMAGE: &str =
    "registry.invalid/app@sha256:0123456789012345678901234567890123456789012345678901234567890123";

/// cosign's commands that have a file of their own here, by name; some of them come with other changes.
const OTHERS: [&str; 11] = [
    "attach",
    "attest-blob",
    "completion",
    "download",
    "generate-key-pair",
    "help",
    "import-key-pair",
    "public-key",
    "sign-blob",
    "tree",
    "triangulate",
];

/// The flags of cosign 3.1.2, by command: how values are read, and the short form.
fn of_cosign() -> BTreeMap<&'static str, BTreeMap<&'static str, (FlagValues, Option<char>)>> {
    let mut all: BTreeMap<&str, BTreeMap<&str, _>> =
        COMMANDS.iter().map(|(command, _)| (*command, BTreeMap::new())).collect();
    for line in include_str!("../data/cosign/flags.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let takes = match words[2] {
            "value" => FlagValues::Value,
            "list" => FlagValues::List,
            "switch" => FlagValues::Switch,
            other => unreachable!("{other}"),
        };
        let short = words.get(3).and_then(|short| short.chars().next());
        for (command, flags) in &mut all {
            if words[0] == "*" || words[0] == *command {
                flags.insert(words[1], (takes, short));
            }
        }
    }
    all
}

#[test]
fn the_table_has_cosigns_flags_and_no_others() {
    for (command, flags) in of_cosign() {
        let ours: BTreeMap<_, _> =
            flags_of(command).map(|(flag, _)| (flag.name, (flag.takes, flag.short))).collect();
        assert_eq!(ours, flags, "{command}");
    }
    let names: Vec<&str> = COSIGN_FLAGS.iter().map(|flag| flag.name).collect();
    assert!(names.is_sorted() && names.iter().collect::<BTreeSet<_>>().len() == names.len(), "{names:?}");
}

/// The registry flags and some of `attest` come with other changes: where the command lacks one, nothing is tested of it here.
fn is_there(command: &str, flag: &str) -> bool {
    let program = args::command();
    let own = program.find_subcommand(command).unwrap().get_arguments();
    own.chain(program.get_arguments()).any(|arg| arg.get_long() == Some(flag))
}

/// What is not "the same" needs nothing but the table.
#[test]
fn every_flag_is_on_the_command_line_and_hidden_unless_it_is_ours() {
    for (command, _) in COMMANDS {
        for (flag, meaning) in flags_of(command) {
            if matches!(meaning, FlagMeaning::Same) && !is_there(command, flag.name) {
                continue;
            }
            assert!(is_there(command, flag.name), "{command} --{}", flag.name);
            let program = args::command();
            let arg = program.find_subcommand(command).unwrap().get_arguments();
            let arg =
                arg.chain(program.get_arguments()).find(|arg| arg.get_long() == Some(flag.name)).unwrap();
            assert_eq!(arg.get_short(), flag.short, "{command} --{}", flag.name);
            assert!(matches!(meaning, FlagMeaning::Same) || arg.is_hide_set(), "{command} --{}", flag.name);
        }
    }
}

fn run(args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
    command.args(args).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Values that show what a flag does.
fn values(flag: &str, takes: FlagValues, meaning: FlagMeaning) -> Vec<&'static str> {
    match (takes, flag) {
        (FlagValues::Switch, _) => vec!["true", "false", "T", "maybe"],
        (FlagValues::List, _) => vec!["a=b,c=d", "\"a=1,2\",b=3", "a=b\"", "registry.example/a"],
        (_, "timeout") => vec!["1m30.5s", "soon", "0"],
        (_, "max-workers") => vec!["3", "none"],
        (_, "output") => vec!["text", "x"],
        (_, "type") => vec!["slsaprovenance", "no type"],
        (_, "digestAlg" | "signature-digest-algorithm") => vec!["sha512", "x"],
        (_, "output-file") => vec!["/nowhere/x"],
        _ => match meaning {
            FlagMeaning::Only(allowed, _) => vec![allowed, "x"],
            _ => vec!["x", "/nowhere/y"],
        },
    }
}

/// Every flag × command × value: by flag and by variable it is the same but for its name.
#[test]
fn a_variable_means_what_its_flag_means() {
    let mut cells = Vec::new();
    for (command, rest) in COMMANDS {
        for (flag, meaning) in flags_of(command).filter(|(flag, _)| is_there(command, flag.name)) {
            let rest: Vec<&str> =
                rest.iter().filter(|arg| !arg.starts_with(&format!("--{}=", flag.name))).copied().collect();
            for value in values(flag.name, flag.takes, meaning) {
                cells.push((command, rest.clone(), flag.name, meaning, value));
            }
        }
    }
    assert!(cells.len() > 500, "{}", cells.len());
    let cells: Vec<_> = cells.into_iter().step_by(stride(5)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((command, rest, flag, meaning, value)) =
                    cells.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    same(command, rest, flag, *meaning, value);
                }
            });
        }
    });
}

fn same(command: &str, rest: &[&str], flag: &str, meaning: FlagMeaning, value: &str) {
    let cell = format!("{command} --{flag}={value}");
    let variable = cosign_variable(flag);
    let by_flag = run(&[&[command, &format!("--{flag}={value}")], rest].concat(), &[]);
    let by_variable = run(&[&[command], rest].concat(), &[(&variable, value)]);
    // The debug log has times in it.
    if flag == "verbose" {
        assert_eq!((by_flag.0, by_flag.1), (by_variable.0, by_variable.1), "{cell}");
        return;
    }
    let named = |text: &str| {
        // clap's usage, and the line that says which variable gave a flag.
        let lines = text.lines().filter(|line| !line.contains(" is from COSIGN_") && !line.is_empty());
        let text: Vec<&str> = lines.collect();
        text.join("\n").replace(&variable, "NAME").replace(&format!("--{flag}"), "NAME")
    };
    assert_eq!(
        (by_flag.0, &by_flag.1, named(&by_flag.2)),
        (by_variable.0, &by_variable.1, named(&by_variable.2)),
        "{cell}"
    );
    if let FlagMeaning::Refused(refusal) = meaning
        && refusal.unless.is_none()
    {
        for ((code, out, err), name) in [(by_flag, format!("--{flag}")), (by_variable, variable)] {
            assert_eq!(code, Some(2), "{cell}: {err}");
            assert!(out.is_empty() && err.starts_with(&format!("error: {name}: ")), "{cell}: {err}");
            assert!(err.contains(refusal.why) && err.contains(&format!("do:    leave {name} out")), "{err}");
        }
    }
}

#[test]
fn a_blank_variable_is_refused_and_one_that_is_no_text() {
    for (command, rest) in COMMANDS {
        for (flag, _) in flags_of(command).filter(|(flag, _)| is_there(command, flag.name)) {
            if rest.iter().any(|arg| arg.starts_with(&format!("--{}=", flag.name))) {
                continue;
            }
            let name = cosign_variable(flag.name);
            // A secret is any text.
            if name == "COSIGN_IDENTITY_TOKEN" {
                continue;
            }
            let (code, _, err) = run(&[&[command], rest].concat(), &[(&name, " ,")]);
            assert_eq!(code, Some(2), "{command} {name}: {err}");
            assert!(err.contains(&name) && err.contains("leave "), "{command} {name}: {err}");
            let empty = run(&[&[command], rest].concat(), &[(&name, "")]);
            assert_eq!(empty, run(&[&[command], rest].concat(), &[]), "{command} {name}");
        }
    }
}

#[test]
fn what_is_not_cosigns_is_passed_over() {
    let all = [("COSIGN_FROBNICATE", " "), ("COSIGN_EXPERIMENTAL", "1"), ("COSIGN_DOCKER_MEDIA_TYPES", "1")];
    for (command, rest) in COMMANDS {
        let line = [&[command], rest].concat();
        assert_eq!(run(&line, &all), run(&line, &[]), "{command}");
        // A flag that this command lacks.
        if flags_of(command).all(|(flag, _)| flag.name != "no-upload") {
            assert_eq!(run(&line, &[("COSIGN_NO_UPLOAD", "maybe")]), run(&line, &[]), "{command}");
        }
    }
}

#[test]
fn commands_that_are_not_cosigns_read_none_of_its_variables() {
    let all = [("COSIGN_OUTPUT_FILE", "/nowhere/x"), ("COSIGN_VERBOSE", "maybe"), ("COSIGN_TIMEOUT", "soon")];
    for line in [&["agent", "--key=/nowhere"][..], &["completions", "bash"], &["man"]] {
        assert_eq!(run(line, &all), run(line, &[]), "{line:?}");
    }
}

/// Flag, then `STEPSEAL_`, then `COSIGN_`.
#[test]
fn ours_win_over_cosigns() {
    let annotations = |args: &[&str], variables: &[(&str, &str)]| {
        let (code, out, err) = run(&[&["plan", "--output=json", IMAGE], args].concat(), variables);
        assert_eq!(code, Some(0), "{err}");
        let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
        plan["payloads"][0]["statement"]["optional"].clone()
    };
    let cosigns = ("COSIGN_ANNOTATIONS", "a=1,\"b=2,3\"");
    let ours = ("STEPSEAL_ANNOTATIONS", "c=3");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(annotations(&[], &[cosigns]), json(r#"{"a":"1","b":"2,3"}"#));
    assert_eq!(annotations(&[], &[cosigns, ours]), json(r#"{"c":"3"}"#));
    assert_eq!(annotations(&["-a", "d=4,e=5"], &[cosigns, ours]), json(r#"{"d":"4","e":"5"}"#));
    assert_eq!(
        annotations(&["-a", "d=4", "--annotation=f=6,g=7"], &[cosigns]),
        json(r#"{"d":"4","f":"6,g=7"}"#)
    );
    let (code, _, err) = run(&["verify", "--jobs=3", "--max-workers=4", IMAGE], &[]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--jobs and --max-workers contradict each other"), "{err}");
    // A pod's key for signing is no reason to refuse the identity that a call names.
    let identity =
        ["--certificate-identity=a", "--certificate-oidc-issuer=b", "--bundle=/nowhere", "/nowhere"];
    for variable in ["STEPSEAL_KEY", "COSIGN_KEY"] {
        let (code, _, err) = run(&[&["verify-blob"], &identity[..]].concat(), &[(variable, "/absent")]);
        assert_eq!(code, Some(2));
        assert!(err.contains("bundle") && !err.contains("both a key and an identity"), "{err}");
    }
    let (code, _, err) =
        run(&["sign", "--new-bundle-format", "--config=storage.oci.encoding-format=dsse", IMAGE], &[]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--new-bundle-format and --config storage.oci.encoding-format contradict"), "{err}");
}

#[test]
fn consent_to_a_log_entry_is_answered() {
    let note = "nothing is uploaded to a transparency log";
    for (args, variables, told) in [
        (&["-y"][..], &[][..], Some("note: --yes: ")),
        (&[], &[("COSIGN_YES", "true")], Some("note: COSIGN_YES: ")),
        (&["--yes", "--tlog-upload=false"], &[], None),
        (&["--yes"], &[("COSIGN_TLOG_UPLOAD", "0")], None),
        (&["--yes=false"], &[("COSIGN_YES", "true")], None),
        (&[], &[], None),
    ] {
        let (_, _, err) = run(&[&["sign"], args, &[IMAGE]].concat(), variables);
        assert_eq!(err.contains(note), told.is_some(), "{args:?} {err}");
        assert!(told.is_none_or(|told| err.starts_with(told)), "{args:?} {err}");
    }
}

/// What has no effect in cosign either is no reason to fail.
#[test]
fn services_are_refused_unless_cosign_would_not_ask_them() {
    let refused = |args: &[&str], variables: &[(&str, &str)]| {
        let (code, _, err) = run(&[&["sign"], args, &[IMAGE]].concat(), variables);
        (code == Some(2) && err.contains("not supported in this version"), err)
    };
    for (args, variables) in [
        (&["--fulcio-url=https://f"][..], &[][..]),
        // It says whom to ask: that a key is named, too, is no reason to ask nobody.
        (&["--fulcio-url=https://f", "--key=/nowhere"], &[]),
        (&["--key=/nowhere"], &[("COSIGN_FULCIO_URL", "https://f")]),
        (&[], &[("COSIGN_OIDC_ISSUER", "https://o")]),
        (&["--rekor-url=https://r", "--key=/nowhere"], &[]),
        (&["--issue-certificate", "--key=/nowhere"], &[]),
        (&["--tlog-upload", "--key=/nowhere"], &[]),
        (&["--identity-token=/token"], &[]),
    ] {
        let (is, err) = refused(args, variables);
        assert!(is, "{args:?}: {err}");
    }
    for (args, variables) in [
        (&["--oidc-issuer=https://o", "--key=/nowhere"][..], &[][..]),
        (&["--oidc-issuer=https://o"], &[("COSIGN_KEY", "/nowhere")]),
        (&["--rekor-url=https://r", "--tlog-upload=false", "--key=/nowhere"], &[]),
        (&["--issue-certificate=false", "--use-signing-config=false"], &[]),
    ] {
        let (is, err) = refused(args, variables);
        assert!(!is, "{args:?}: {err}");
    }
}

#[test]
fn a_script_signs_as_it_did() {
    let step = Step::new();
    let digest = step.image("team/app", "app");
    let image = format!("{}/team/app@{digest}", step.host());
    let identity = format!("{}/team/app:1.0", step.host());
    let mut command = bare(&[
        "-t",
        "3m0s",
        "sign",
        "-y",
        "--key",
        step.path("keys/cosign.key").to_str().unwrap(),
        "-r",
        "-a",
        "team=blue,stage=two",
        "--sign-container-identity",
        &identity,
        "--upload=true",
        &image,
    ]);
    command
        .env("COSIGN_PASSWORD", KEY_PASSWORD)
        .env("COSIGN_TLOG_UPLOAD", "false")
        .env("STEPSEAL_REGISTRY_CONFIG", step.path("credentials"))
        .env("STEPSEAL_INSECURE_REGISTRIES", step.host());
    let signed = ended(command.output().unwrap());
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    let payload = &step.payloads("team/app", &digest)[0];
    assert_eq!(payload["critical"]["identity"]["docker-reference"], identity.as_str());
    assert_eq!(payload["optional"], serde_json::json!({"team": "blue", "stage": "two"}));

    std::fs::write(step.path("cosign.pub"), &pair().public_pem).unwrap();
    let key = step.path("cosign.pub");
    let file = step.path("verified.json");
    let verified = step.run(&[
        "verify",
        "--key",
        key.to_str().unwrap(),
        "--private-infrastructure",
        "--rekor-url=https://rekor.invalid",
        "--max-workers=2",
        "--offline",
        "--check-claims",
        "-a",
        "team=blue",
        "-o",
        "json",
        "--output-file",
        file.to_str().unwrap(),
        &image,
    ]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    assert_eq!(verified.stdout, "");
    assert!(
        verified.stderr.contains("note: --rekor-url: the log itself is not contacted"),
        "{}",
        verified.stderr
    );
    let printed: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(printed[0]["optional"]["team"], "blue");
}

#[test]
fn files_get_what_is_signed() {
    let step = Step::new();
    let digest = step.image("team/app", "app");
    let image = format!("{}/team/app@{digest}", step.host());
    let path = |name: &str| step.path(name).to_str().unwrap().to_owned();
    let (signature, payload) = (path("app.sig"), path("app.payload"));
    let files = ["--output-signature", &signature, "--output-payload", &payload];
    // The second time the registry has it already.
    for _ in 0..2 {
        step.sign(&[&[image.as_str()], &files[..]].concat());
        let bytes = std::fs::read(&payload).unwrap();
        let text = std::fs::read_to_string(&signature).unwrap();
        let decoded = base64::engine::general_purpose::STANDARD.decode(&text).unwrap();
        public_key().verify(&bytes, &decoded).expect("our signature");
        let in_registry = &step.payloads("team/app", &digest)[0];
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap(), *in_registry);
        std::fs::remove_file(&payload).unwrap();
        std::fs::remove_file(&signature).unwrap();
    }
    let bundle = path("app.json");
    step.sign(&["--new-bundle-format", "--bundle", &bundle, &image]);
    std::fs::write(step.path("cosign.pub"), &pair().public_pem).unwrap();
    let verified = ended(
        bare(&[
            "verify-blob-attestation",
            "--key",
            &path("cosign.pub"),
            "--bundle",
            &bundle,
            "--insecure-ignore-tlog",
            "--type=https://sigstore.dev/cosign/sign/v1",
            "--digestAlg=sha256",
            "--digest",
            digest.hex(),
        ])
        .output()
        .unwrap(),
    );
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    // For the file alone.
    let alone = format!("{}/team/alone@{}", step.host(), step.image("team/alone", "alone"));
    let made = step.sign(&["--upload=false", "--output-signature", &signature, "--output=json", &alone]);
    let report: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    assert!(report.to_string().contains(r#""store":"file""#), "{report}");
    assert!(step.layers("team/alone", &alone.split_once('@').unwrap().1.parse().unwrap()).is_empty());
    std::fs::remove_file(&signature).unwrap();
    // Not one image, or not this encoding: refused before anything is signed, and no file is left.
    let other = format!("{}/team/other@{}", step.host(), step.image("team/other", "other"));
    for (args, why) in [
        (&[image.as_str(), other.as_str(), "--output-signature", &signature][..], "2 are signed"),
        (&[&other, "-r", "--output-payload", &payload], "--recursive"),
        (&[&other, "--bundle", &payload], "--new-bundle-format"),
        (&[&other, "--new-bundle-format", "--output-payload", &payload], "--bundle FILE"),
        (&[&other, "--output-signature", "/nowhere/x"], "cannot write /nowhere/x"),
        (&[&other, "--upload=false"], "without an output file"),
    ] {
        let refused = step.run(&[&["sign"], args].concat());
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains(why), "{args:?}: {}", refused.stderr);
        assert!(!step.path("app.sig").exists() && !step.path("app.payload").exists());
        let digest = other.split_once('@').unwrap().1.parse().unwrap();
        assert!(step.layers("team/other", &digest).is_empty(), "{args:?}");
    }
}

#[test]
fn global_flags_stand_before_the_command_or_behind_it() {
    for line in [&["-d", "sign", IMAGE][..], &["sign", "-d", IMAGE], &["sign", "--verbose=true", IMAGE]] {
        let (_, _, err) = run(line, &[]);
        assert!(err.contains("DEBUG"), "{line:?}: {err}");
    }
    let (_, _, err) = run(&["sign", IMAGE], &[]);
    assert!(!err.contains("DEBUG"), "{err}");
    for line in [
        &["-t", "soon", "sign", IMAGE][..],
        &["--timeout=soon", "sign", IMAGE],
        &["sign", "-t", "soon", IMAGE],
        &["-t=soon", "verify", IMAGE],
        &["-t=soon", "verify-blob", "--key=/nowhere", "--bundle=/nowhere", "/nowhere"],
    ] {
        let (code, _, err) = run(line, &[]);
        assert_eq!(code, Some(2), "{line:?}: {err}");
        assert!(err.starts_with("error: --timeout: \"soon\" is not a duration"), "{line:?}: {err}");
    }
    let (code, _, err) = run(&["-t", "1m", "demo"], &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("`demo` has no time limit"), "{err}");
}

/// A writer that never ends must not keep the step.
#[test]
fn standard_input_is_read_within_the_time_limit() {
    let step = Step::new();
    std::fs::write(step.path("cosign.pub"), &pair().public_pem).unwrap();
    // Some signature of ECDSA's form.
    let number = [&[2, 32][..], &[1; 32]].concat();
    let der = [&[0x30, 68][..], &number, &number].concat();
    std::fs::write(step.path("sig"), base64::engine::general_purpose::STANDARD.encode(der)).unwrap();
    let signature = step.path("sig").to_str().unwrap().to_owned();
    let mut command = bare(&["verify-blob", "--timeout=200ms", "--signature", &signature, "-"]);
    command.env("COSIGN_KEY", step.path("cosign.pub")).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let held = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(held);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("cannot read the file -: the time limit is over"), "{err}");
    assert!(err.contains("note: --key is from COSIGN_KEY"), "{err}");
}

#[test]
fn commands_of_cosigns_that_are_not_here_say_what_to_do() {
    for (name, instead) in LACKING {
        for line in [&[*name][..], &["-t", "1m", name, "--mirror", "x"]] {
            let (code, out, err) = run(line, &[]);
            assert_eq!((code, out.as_str()), (Some(2), ""), "{name}: {err}");
            assert!(err.contains(&format!("`{name}`")) && err.contains(instead), "{name}: {err}");
        }
    }
    let (code, _, err) = run(&["frobnicate"], &[]);
    assert!(code == Some(2) && err.contains("unrecognized subcommand"), "{err}");
}

#[test]
fn every_command_of_cosigns_is_here_or_is_told() {
    let program = args::command();
    for line in include_str!("../data/cosign/commands.txt").lines() {
        let ours = program.find_subcommand(line).is_some();
        let lacking = LACKING.iter().any(|(name, _)| *name == line);
        assert!(ours != lacking || (!lacking && OTHERS.contains(&line)), "{line}");
    }
}

#[test]
fn the_version_is_a_command_too() {
    assert_eq!(run(&["version"], &[]), run(&["--version"], &[]));
    assert_eq!(run(&["version"], &[]).0, Some(0));
}

/// As cosign reads them. `-allow=x` is not `-a llow=x`.
#[test]
fn a_long_flag_may_have_one_hyphen_and_a_short_one_has_nothing_behind_it() {
    let plan = |args: &[&str]| run(&[&["plan", "--output=json", IMAGE], args].concat(), &[]);
    let (code, out, _) = plan(&["-annotations=k=v", "-allow=**"]);
    assert_eq!(code, Some(0));
    assert!(out.contains(r#""k": "v""#) && !out.contains("llow"), "{out}");
    let (code, _, err) = plan(&["-allow=other.example/**"]);
    assert_eq!(code, Some(3), "{err}");
    let (code, _, err) = run(&["sign", "-attachment=sbom", IMAGE], &[]);
    assert!(code == Some(2) && err.contains("--attachment: attachments of an image"), "{err}");
    for args in [&["-ak=v"][..], &["-t3m"], &["-dt", "3m"], &["-ra", "k=v"]] {
        let (code, _, err) = plan(args);
        assert!(code == Some(2) && err.contains("unexpected argument"), "{args:?}: {err}");
    }
    // Behind `--` are files.
    let (_, _, err) =
        run(&["verify-blob", "--key=/absent", "--signature=/absent", "--", "-annotations"], &[]);
    assert!(!err.contains("unexpected argument"), "{err}");
    let secret = "hunter2hunter2";
    let (code, out, err) = run(
        &["sign", "--key=/absent", &format!("-registry-password={secret}"), "-registry-username=u", IMAGE],
        &[],
    );
    assert!(code == Some(2) && !out.contains(secret) && !err.contains(secret), "{err}");
}
