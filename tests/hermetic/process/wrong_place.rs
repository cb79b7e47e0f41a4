//! A secret in the place of something else is printed nowhere: each place with each kind of secret, at the most talkative log.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use std::process::Command;

use crate::kit::effort::stride;
use crate::kit::step::{Step, pair};

/// No piece of a secret that is as long as this may be printed, in characters.
const PIECE: usize = 12;

/// The kinds of secrets: what stands in the wrong place, and what of it is secret.
fn secrets() -> Vec<(String, String)> {
    let der = STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIKbGzNvU4Q9yYWwAaZ1x0m2k3j4l5n6o7p8q9r0s1t2u").unwrap();
    let plain = STANDARD.encode(&der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{plain}\n-----END PRIVATE KEY-----\n");
    let sealed = pair().private_pem.to_string();
    let login = "Y2k6cGFzc3dvcmQtb2YtdGhlLXJlZ2lzdHJ5";
    let config = format!(r#"{{"auths":{{"registry.example":{{"auth":"{login}"}}}}}}"#);
    let twice = STANDARD.encode(&pem);
    let encoded = STANDARD.encode(&config);
    vec![
        (pem.clone(), plain.clone()),
        (format!(" {pem}"), plain.clone()),
        (sealed.clone(), sealed.lines().filter(|line| !line.starts_with('-')).collect()),
        (twice.clone(), twice),
        (format!("env://{plain}"), plain.clone()),
        (format!("k8s://{plain}"), plain.clone()),
        (format!("unix:///{pem}"), plain.clone()),
        (plain.clone(), plain),
        (config, login.to_owned()),
        (encoded.clone(), encoded),
        (
            "https://ci:pA55word-of-the-registry@127.0.0.1:9/a:1".to_owned(),
            "pA55word-of-the-registry".to_owned(),
        ),
    ]
}

/// Runs a command with all of the log, and gives all that it prints. How it ends differs by place.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat()
}

#[track_caller]
fn is_hidden(text: &str, secret: &str, what: &str) {
    let leaked = secret.as_bytes().windows(PIECE).map(|piece| std::str::from_utf8(piece).unwrap());
    let leaked: Vec<_> = leaked.filter(|piece| text.contains(piece)).take(1).collect();
    assert!(leaked.is_empty(), "{what}: {leaked:?} in {text}");
}

#[test]
fn a_secret_in_the_wrong_place_is_printed_nowhere() {
    const FLAGS: [&str; 9] = [
        "key",
        "allow",
        "registry-config",
        "insecure-registry",
        "config-dir",
        "agent",
        "timeout",
        "results-dir",
        "nothing",
    ];
    const VARIABLES: [&str; 8] = [
        "KEY",
        "REGISTRY_CONFIG",
        "CONFIG_DIR",
        "ALLOW",
        "LOG",
        "STORAGE_OCI_REPOSITORY",
        "AGENT",
        "INSECURE_REGISTRIES",
    ];
    const COMMANDS: [&str; 9] = [
        "sign",
        "attest",
        "verify",
        "verify-run",
        "verify-attestation",
        "verify-blob",
        "plan",
        "generate-key-pair",
        "agent",
    ];
    let step = Step::new();
    step.built("team/app");
    let report = step.path("report.json");
    // Each case runs the binary; which ones a short run tries changes from secret to secret.
    let mut cases = 0_usize..;
    let mut is_tried = || cases.next().is_some_and(|case| case.is_multiple_of(stride(5)));
    for (secret, hidden) in secrets() {
        for flag in FLAGS {
            for args in [vec![format!("--{flag}={secret}")], vec![format!("--{flag}"), secret.clone()]] {
                if !is_tried() {
                    continue;
                }
                let mut command = step.command(&["sign", "--timeout=2s", "--report"]);
                let printed = printed(command.arg(&report).args(&args).env("STEPSEAL_LOG", "trace"));
                is_hidden(&printed, &hidden, &format!("{args:?}"));
                is_hidden(&fs::read_to_string(&report).unwrap_or_default(), &hidden, &format!("{args:?}"));
            }
        }
        for variable in VARIABLES.iter().filter(|_| is_tried()) {
            let variable = format!("STEPSEAL_{variable}");
            let mut command = step.command(&["sign", "--timeout=2s"]);
            let printed = printed(command.env("STEPSEAL_LOG", "trace").env(&variable, &secret));
            is_hidden(&printed, &hidden, &variable);
        }
        let in_result = Step::new();
        in_result.result("IMAGE_URL", &secret);
        in_result.result("IMAGE_DIGEST", &format!("sha256:{}", "0".repeat(64)));
        let printed_of = |format| {
            let mut command = in_result.command(&["sign", "--timeout=2s", "--output", format]);
            printed(command.env("STEPSEAL_LOG", "trace"))
        };
        for format in ["human", "json"] {
            is_hidden(&printed_of(format), &hidden, "IMAGE_URL");
        }
        for name in COMMANDS.into_iter().filter(|_| is_tried()) {
            let mut command = step.command(&[name, &secret]);
            let printed = printed(command.env("STEPSEAL_LOG", "trace").current_dir(step.folder.path()));
            is_hidden(&printed, &hidden, name);
        }
    }
}

#[test]
fn a_key_as_an_argument_is_answered_with_where_it_belongs() {
    let printed = printed(&mut Step::new().command(&["sign", "--key", &pair().private_pem]));
    assert!(printed.contains("an argument holds a private key"), "{printed}");
    assert!(printed.contains("give --key the place of the key"), "{printed}");
}
