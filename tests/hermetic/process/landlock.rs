//! Landlock is in force where it is said to be, every file that a setting names can be used all the same, and nothing is enforced
//! where a program may have to run.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::config::settings::{SETTINGS, VERIFY_TABLES};
use stepseal::oci::Digest;
use stepseal::process::landlock::{Landlock, LandlockRules};
use stepseal::sign::KeySource;

use crate::kit::running::Running;
use crate::kit::step::{Ended, Step, bare, ended, pair};

/// What is in force in a process of this kernel's; asked in a thread, as that alone is confined then.
fn kernel() -> Landlock {
    let here = std::thread::spawn(|| LandlockRules::default().enforce()).join().unwrap();
    if !matches!(here, Landlock::Enforced { .. }) {
        note(&here);
    }
    here
}

/// Says once, also where all tests pass, that they show less here.
#[expect(
    clippy::disallowed_methods,
    reason = "what goes through eprintln is shown only of a test that fails"
)]
fn note(here: &Landlock) {
    static NOTED: Once = Once::new();
    let text = format!("note: the tests of Landlock show less here, as it is {here}\n");
    NOTED.call_once(|| std::io::stderr().write_all(text.as_bytes()).unwrap());
}

/// A step with an image, whose name it returns, and the public key beside the private one.
pub(crate) fn step() -> (Step, String) {
    let step = Step::new();
    let digest = step.built("team/app");
    fs::write(step.path("keys/cosign.pub"), &pair().public_pem).unwrap();
    fs::create_dir(step.path("work")).unwrap();
    let image = format!("{}/team/app@{digest}", step.host());
    (step, image)
}

/// Runs `command` with the log, which must end well and confined, or as the kernel can.
#[track_caller]
pub(crate) fn confined(what: &str, command: &mut Command) -> Ended {
    let ended = ended(command.env("STEPSEAL_LOG", "stepseal::cli=debug").output().unwrap());
    assert_eq!(ended.code, 0, "{what}: {}", ended.stderr);
    let wanted = format!("landlock={}", kernel());
    let line = ended.stderr.lines().find(|line| line.contains("process protection"));
    assert!(line.is_some_and(|line| line.contains(&wanted)), "{what}: no {wanted}: {}", ended.stderr);
    ended
}

/// What the report of `sign` or `attest` says of Landlock.
#[track_caller]
fn reported(text: &str) -> Value {
    let report: Value = serde_json::from_str(text).unwrap();
    let entries = report.as_array().unwrap();
    assert!(!entries.is_empty(), "{text}");
    for entry in entries {
        assert!(entry["protection"]["noNewPrivs"].is_boolean(), "{entry}");
        assert_eq!(entry["protection"], entries[0]["protection"]);
    }
    entries[0]["protection"]["landlock"].clone()
}

#[test]
fn the_report_and_the_log_say_what_is_in_force() {
    let (step, image) = step();
    let file = step.path("work/report.json");
    let wanted = serde_json::to_value(kernel()).unwrap();
    let told = confined("sign", step.command(&["sign", "--output=json", "--report"]).arg(&file));
    assert_eq!(reported(&told.stdout), wanted);
    assert_eq!(fs::read_to_string(&file).unwrap(), told.stdout);
    fs::write(step.path("work/predicate"), "{}").unwrap();
    let args = ["attest", "--output=json", "--type=custom", &image, "--predicate"];
    let told = confined("attest", step.command(&args).arg(step.path("work/predicate")));
    assert_eq!(reported(&told.stdout), wanted);
    let plan = ended(step.command(&["plan"]).env("STEPSEAL_LOG", "stepseal::cli=debug").output().unwrap());
    assert!(plan.stderr.contains("landlock=not used"), "{}", plan.stderr);
    assert!(!step.sign(&[]).stderr.contains("landlock"), "what people read is as before");
}

/// How a setting that takes a path is used: arguments for `sign`, with a path below the folder given.
struct Use {
    flag: &'static str,
    /// The value, relative to the folder of the step.
    value: &'static str,
}

/// A certificate that a registry could have.
fn certificate() -> String {
    rcgen::generate_simple_self_signed(vec!["registry.example".into()]).unwrap().cert.pem()
}

/// The places of all settings of `sign` that take a path, each outside of all others.
const OF_SIGN: &[Use] = &[
    Use { flag: "results-dir", value: "results" },
    Use { flag: "steps-dir", value: "tekton/steps" },
    Use { flag: "key", value: "keys" },
    Use { flag: "key", value: "keys/cosign.key" },
    Use { flag: "key", value: "volume/cosign.key" },
    Use { flag: "registry-config", value: "credentials" },
    Use { flag: "registry-config", value: "credentials/.dockerconfigjson" },
    Use { flag: "registry-ca", value: "ca/registry.pem" },
    Use { flag: "registry-ca", value: "ca" },
    Use { flag: "registry-certs-dir", value: "certs.d" },
    Use { flag: "report", value: "work/report.json" },
    Use { flag: "own-results", value: "own" },
    Use { flag: "signatures-dir", value: "signatures/made/here" },
    Use { flag: "images-file", value: "lists/images" },
    Use { flag: "config-dir", value: "chains" },
];

/// The settings that take a path and are tried elsewhere: the other tests of this file, and what asks a cluster.
const ELSEWHERE: [&str; 4] = ["agent", "agent-key", "cluster-credentials", "run"];

fn filled() -> (Step, String) {
    let (step, image) = step();
    let write = |name: &str, text: &str| {
        fs::create_dir_all(step.path(name).parent().unwrap()).unwrap();
        fs::write(step.path(name), text).unwrap();
    };
    write("tekton/run/0/status/results/IMAGES", &image);
    fs::create_dir(step.path("tekton/steps")).unwrap();
    symlink(step.path("tekton/run/0/status"), step.path("tekton/steps/step-build")).unwrap();
    for name in ["cosign.key", "cosign.password"] {
        let text = fs::read_to_string(step.path("keys").join(name)).unwrap();
        write(&format!("volume/..2026/{name}"), &text);
        symlink(format!("..data/{name}"), step.path("volume").join(name)).unwrap();
    }
    symlink("..2026", step.path("volume/..data")).unwrap();
    write("ca/registry.pem", &certificate());
    write("elsewhere/other.pem", &certificate());
    symlink("../elsewhere/other.pem", step.path("ca/linked.pem")).unwrap();
    write("certs.d/registry.example/ca.crt", &certificate());
    write("lists/images", &image);
    write("chains/artifacts.oci.storage", "oci");
    fs::create_dir(step.path("own")).unwrap();
    let client = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    write("client.pem", &client.cert.pem());
    write("client.key", &client.signing_key.serialize_pem());
    (step, image)
}

#[test]
fn every_file_that_a_setting_of_sign_names_can_be_used() {
    let (step, _) = filled();
    for Use { flag, value } in OF_SIGN {
        let mut command = step.command(&["sign", &format!("--{flag}"), step.path(value).to_str().unwrap()]);
        if *flag == "signatures-dir" {
            command.arg("--config=artifacts.oci.storage=oci,directory");
        }
        confined(&format!("--{flag} {value}"), &mut command);
    }
    let at = |name: &str| step.path(name).display().to_string();
    let pair = ["--registry-client-cert", &at("client.pem"), "--registry-client-key", &at("client.key")];
    confined("a client certificate", &mut step.command(&[&["sign"], &pair[..]].concat()));
    assert!(reported(&fs::read_to_string(step.path("work/report.json")).unwrap()).is_object());
    assert!(step.path("own/SIGNED_IMAGES").exists() && step.path("own/SIGNATURES").exists());
    assert_eq!(fs::read_dir(step.path("signatures/made/here")).unwrap().count(), 2);
    // A setting that is new, and takes a path, has a row above.
    let takes_path = |value: &str| ["DIR", "FILE", "PATH", "KEY", "unix:///PATH"].contains(&value);
    let all = SETTINGS.iter().filter(|setting| takes_path(setting.value)).map(|setting| setting.flag);
    let tried = OF_SIGN.iter().map(|row| row.flag).chain(ELSEWHERE).collect::<BTreeSet<_>>();
    let missing: Vec<&str> = all.filter(|flag| !tried.contains(flag)).collect();
    assert_eq!(missing, [""; 0], "settings without a row");
}

#[test]
fn the_variables_of_other_programs_name_files_that_can_be_used() {
    let (step, _) = filled();
    let sign = || {
        let mut command = step.command(&["sign"]);
        command.env_remove("STEPSEAL_REGISTRY_CONFIG");
        command
    };
    fs::create_dir_all(step.path("home/.docker")).unwrap();
    let login = fs::read_to_string(step.path("credentials/.dockerconfigjson")).unwrap();
    fs::write(step.path("home/.docker/config.json"), login).unwrap();
    for (variable, place) in [
        ("DOCKER_CONFIG", "credentials"),
        ("REGISTRY_AUTH_FILE", "credentials/.dockerconfigjson"),
        ("HOME", "home"),
    ] {
        confined(variable, sign().env(variable, step.path(place)));
    }
    for (variable, place) in [("SSL_CERT_FILE", "ca/linked.pem"), ("SSL_CERT_DIR", "ca")] {
        // Certificates are read where a registry is spoken to over TLS: nothing listens at this one.
        let image = format!("127.0.0.1:1/app@{}", Digest::of(b"x"));
        let mut command = step.command(&["verify", "--insecure-ignore-tlog", "--timeout=3s", &image]);
        command.env(variable, step.path(place)).env("STEPSEAL_LOG", "stepseal=debug");
        let told = ended(command.output().unwrap());
        let roots = told.stderr.lines().find(|line| line.contains("trusted roots")).unwrap_or_default();
        // It is a server's own certificate: one that may issue no others.
        let wanted = if variable == "SSL_CERT_DIR" { "of_servers=2" } else { "of_servers=1" };
        assert!(roots.contains(wanted) && roots.contains("built_in=false"), "{variable}: {}", told.stderr);
    }
}

#[test]
fn every_file_that_the_verify_commands_take_can_be_used() {
    let (step, image) = filled();
    step.sign(&[]);
    let at = |name: &str| step.path(name).to_str().unwrap().to_owned();
    let root = sigstore_root();
    fs::create_dir_all(step.path("policies/keys")).unwrap();
    for (name, text) in [("policies/keys/cosign.pub", pair().public_pem.as_str()), ("root.json", &root)] {
        fs::write(step.path(name), text).unwrap();
    }
    symlink("../root.json", step.path("policies/root.json")).unwrap();
    let policy = "version: 1\ntrustedRoot: root.json\nsigners:\n  ci: { key: keys }\nrules:\n\
        - name: r\n  images: ['**']\n  signature: { by: [ci], log: false }\n";
    fs::write(step.path("policies/policy.yaml"), policy).unwrap();
    let verify = |args: &[&str]| {
        let mut command = step.command(&[&["verify", "--insecure-ignore-tlog"], args].concat());
        confined(&args.join(" "), &mut command)
    };
    for (flag, value) in [
        ("--results-dir", "results"),
        ("--steps-dir", "tekton/steps"),
        ("--key", "keys"),
        ("--key", "keys/cosign.pub"),
        ("--registry-config", "credentials"),
        ("--registry-ca", "ca"),
        ("--registry-certs-dir", "certs.d"),
        ("--images-file", "lists/images"),
        ("--config-dir", "chains"),
        ("--trusted-root", "root.json"),
    ] {
        verify(&[flag, &at(value)]);
    }
    let (certificate, key) = (at("client.pem"), at("client.key"));
    verify(&["--registry-client-cert", &certificate, "--registry-client-key", &key]);
    let mut command = step.command(&["verify", "--policy", &at("policies/policy.yaml"), &image]);
    confined("--policy", command.env_remove("STEPSEAL_KEY"));
    let mut command = step.command(&["verify", "--insecure-ignore-tlog", &image]);
    let told = ended(command.env("STEPSEAL_LOG", "stepseal=trace").output().unwrap());
    let readable = |name: &str| {
        let path = format!("path={} ", step.path(name).display());
        told.stderr.lines().any(|line| line.contains(&path) && line.contains("ReadFile"))
    };
    assert!(readable("keys/cosign.pub"), "{}", told.stderr);
    assert!(!readable("keys") && !readable("keys/cosign.key"), "a private key beside it stays closed");
    let tried = [
        "results-dir",
        "steps-dir",
        "key",
        "registry-config",
        "registry-ca",
        "registry-certs-dir",
        "trusted-root",
        "policy",
        "registry-client-cert",
        "registry-client-key",
    ];
    let paths = VERIFY_TABLES.iter().copied().flatten();
    let paths = paths.filter(|setting| ["DIR", "FILE", "PATH", "KEY"].contains(&setting.value));
    let missing: Vec<&str> = paths
        .map(|setting| setting.flag)
        .filter(|flag| !tried.contains(flag) && !ELSEWHERE.contains(flag))
        .collect();
    assert_eq!(missing, [""; 0], "settings without a row");
}

fn sigstore_root() -> String {
    sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.to_owned()
}

#[test]
fn a_blob_its_signature_and_its_key_are_read_wherever_they_are() {
    let step = Step::new();
    let key: KeySource = step.path("keys").to_str().unwrap().parse().unwrap();
    let signer = key.read(&|_| None).unwrap().unlock().unwrap();
    fs::create_dir_all(step.path("work/below")).unwrap();
    fs::write(step.path("work/blob"), "built").unwrap();
    let signature = STANDARD.encode(signer.sign(b"built").unwrap().0);
    fs::write(step.path("work/below/signature"), &signature).unwrap();
    fs::write(step.path("keys/cosign.pub"), &pair().public_pem).unwrap();
    for (key, given, blob) in [
        ("../keys/cosign.pub", "below/signature", "blob"),
        ("../keys", "./below/../below/signature", "./blob"),
        ("../keys", &signature, "../work/blob"),
    ] {
        let mut command = bare(&["verify-blob", "--key", key, "--signature", given, blob]);
        confined(&format!("{key} {given} {blob}"), command.current_dir(step.path("work")));
    }
    let mut command = bare(&["verify-blob", "--key", "cosign.pub", "--signature", &signature, "-"]);
    let stdin = fs::File::open(step.path("work/blob")).unwrap();
    confined("-", command.current_dir(step.path("keys")).stdin(stdin));
}

/// What `sign-blob`, `attest-blob` and `public-key` read and write, each outside of all others.
#[test]
fn what_is_signed_and_where_it_goes_can_be_used_wherever_it_is() {
    let (step, _) = filled();
    for folder in ["work/below", "out", "bundles", "statements"] {
        fs::create_dir_all(step.path(folder)).unwrap();
    }
    fs::write(step.path("work/below/predicate"), "{}").unwrap();
    fs::write(step.path("work/blob"), "built").unwrap();
    let at = |name: &str| step.path(name).to_str().unwrap().to_owned();
    let (blob, out, bundle) = (at("work/blob"), at("out/signature"), at("bundles/bundle"));
    let (predicate, statement) = (at("work/below/predicate"), at("statements/statement"));
    for key in ["keys", "keys/cosign.key", "volume/cosign.key"].map(at) {
        for args in [
            &["sign-blob", "--key", &key, &blob][..],
            &["sign-blob", "--key", &key, "--output-signature", &out, "--bundle", &bundle, &blob],
            &["sign-blob", "--key", &key, "--output-signature", "/dev/stdout", &blob],
            &["attest-blob", "--key", &key, "--predicate", &predicate, "--bundle", &bundle, &blob],
            &[
                "attest-blob",
                "--key",
                &key,
                "--predicate",
                &predicate,
                "--output-attestation",
                &statement,
                &blob,
            ],
            &["attest-blob", "--key", &key, "--statement", &statement, &blob],
            &["public-key", "--key", &key],
            &["public-key", "--key", &key, "--outfile", &out],
        ] {
            confined(&args.join(" "), &mut bare(args));
        }
    }
    confined("cosign.pub", &mut bare(&["public-key", "--key", &at("keys/cosign.pub")]));
    let mut command = bare(&["sign-blob", "--key=../keys", "--bundle=bundle", "blob"]);
    confined("relative", command.current_dir(step.path("work")));
    let mut command = bare(&["attest-blob", "--key=../keys", "blob"]);
    command.env("COSIGN_PREDICATE", "below/predicate").env("COSIGN_BUNDLE", "../bundles/by-variable");
    confined("variables", command.current_dir(step.path("work")));
    assert!(step.path("bundles/by-variable").exists());
}

/// Files that are named relative to the working folder, and standard output as a file.
#[test]
fn relative_paths_and_what_is_open_already_stay_usable() {
    let (step, image) = filled();
    for (report, file) in
        [("report.json", "report.json"), ("./r2.json", "r2.json"), ("../own/r3.json", "../own/r3.json")]
    {
        let mut command = step.command(&["sign", "--report", report, "--key=../keys", &image]);
        confined(report, command.current_dir(step.path("work")));
        let text = fs::read_to_string(step.path("work").join(file)).unwrap();
        assert_eq!(reported(&text), serde_json::to_value(kernel()).unwrap());
        // The same again replaces it.
        let mut command = step.command(&["sign", "--report", report, "--key=../keys", &image]);
        confined(report, command.current_dir(step.path("work")));
    }
    let out = fs::File::create(step.path("out.json")).unwrap();
    confined("standard output", step.command(&["sign", "--output=json", &image]).stdout(out));
    let mut command = step.command(&["sign", "--images-file=-"]);
    confined("standard input", command.stdin(fs::File::open(step.path("lists/images")).unwrap()));
    let absent = step.run(&["sign", "--report", step.path("absent/report.json").to_str().unwrap()]);
    assert_eq!(absent.code, 2, "{}", absent.stderr);
    assert!(absent.stderr.contains("No such file"), "{}", absent.stderr);
}

#[test]
fn a_folder_without_a_key_is_told_with_the_names_in_it() {
    let (step, image) = step();
    fs::create_dir(step.path("other")).unwrap();
    fs::copy(step.path("keys/cosign.key"), step.path("other/signing.key")).unwrap();
    let ended = step.run(&["sign", "--key", step.path("other").to_str().unwrap(), &image]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("only signing.key"), "{}", ended.stderr);
}

#[test]
fn an_agent_that_comes_later_is_found() {
    let (step, image) = filled();
    let socket = format!("unix://{}", step.path("late/agent.sock").display());
    let mut command = step.command(&["sign", "--agent", &socket, &image]);
    command.env_remove("STEPSEAL_KEY").env("STEPSEAL_LOG", "stepseal::cli=debug");
    command.args(["--agent-key", step.path("keys/cosign.pub").to_str().unwrap()]);
    let signing = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::create_dir(step.path("late")).unwrap();
    fs::set_permissions(step.path("late"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut agent = step.command(&["agent", "--socket", &socket, "--kind=image"]);
    let _agent = Running::start(agent.stdout(Stdio::null()).stderr(Stdio::null()));
    let signed = ended(signing.output().expect("it ends"));
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert!(signed.stderr.contains(&format!("landlock={}", kernel())), "{}", signed.stderr);
}

/// A credentials file that names a helper, and a folder with its program.
fn with_helper(step: &Step) {
    let login = json!({ "credHelpers": { step.host(): "ours" } });
    fs::write(step.path("credentials/.dockerconfigjson"), login.to_string()).unwrap();
    fs::create_dir(step.path("bin")).unwrap();
    let answer = json!({ "Username": "ci-bot", "Secret": crate::kit::step::REGISTRY_PASSWORD });
    let program = step.path("bin/docker-credential-ours");
    fs::write(&program, format!("#!/bin/sh\nread -r _\necho '{answer}'\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn where_a_helper_may_run_nothing_is_enforced_and_that_is_said() {
    let (step, image) = step();
    with_helper(&step);
    let mut command = step.command(&["sign", "--output=json", &image]);
    let told = ended(command.env("PATH", step.path("bin")).output().unwrap());
    assert_eq!(told.code, 0, "{}", told.stderr);
    let landlock = reported(&told.stdout);
    assert_eq!(landlock["state"], "notEnforced");
    let why = landlock["why"].as_str().unwrap();
    let named = format!("credHelpers \"{}\" of ", step.host());
    assert!(why.contains("bin/docker-credential-ours") && why.contains(&named), "{why}");
}

#[test]
fn a_helper_without_a_program_keeps_nothing_from_being_enforced() {
    let (step, image) = step();
    with_helper(&step);
    // Relative folders are not looked in.
    for path in ["/nowhere", "bin"] {
        let mut command = step.command(&["sign", "--output=json", &image]);
        let told = ended(command.env("PATH", path).current_dir(step.folder.path()).output().unwrap());
        assert_eq!(told.code, 1, "{}", told.stderr);
        assert!(told.stderr.contains("there is no such program on the PATH"), "{}", told.stderr);
        assert_eq!(reported(&told.stdout), serde_json::to_value(kernel()).unwrap());
    }
}

/// What a plugin prints is what the API server is asked with; here nothing listens, so that running it is all that is seen.
#[test]
fn where_a_kubeconfig_names_a_plugin_it_runs() {
    let (step, image) = step();
    let plugin = step.path("work/plugin");
    fs::write(&plugin, format!("#!/bin/sh\n: >'{}'\nexit 1\n", step.path("ran").display())).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k, cluster: {{server: 'http://127.0.0.1:1'}}}}]\n\
         users: [{{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: '{}'}}}}}}]\n",
        plugin.display()
    );
    fs::write(step.path("kubeconfig"), kubeconfig).unwrap();
    let with = |args: &[&str]| {
        let mut command = step.command(&[&["sign", "--timeout=3s", &image], args].concat());
        command.env("KUBECONFIG", step.path("kubeconfig")).env("STEPSEAL_LOG", "stepseal::cli=debug");
        ended(command.output().unwrap())
    };
    let asked = with(&["--key=k8s://ns/key"]);
    assert!(asked.stderr.contains("landlock=not enforced: the kubeconfig's plugin"), "{}", asked.stderr);
    assert!(step.path("ran").exists(), "{}", asked.stderr);
    // Where the cluster isn't asked, no plugin runs.
    fs::remove_file(step.path("ran")).unwrap();
    let unasked = with(&[]);
    assert_eq!(unasked.code, 0, "{}", unasked.stderr);
    assert!(unasked.stderr.contains(&format!("landlock={}", kernel())), "{}", unasked.stderr);
    assert!(!step.path("ran").exists());
}

/// The token of a pod, which is read for each request, and the CA: a connection that nobody answers is all that fails.
#[test]
fn the_account_of_a_pod_can_be_read() {
    let (step, image) = step();
    fs::create_dir(step.path("account")).unwrap();
    for (name, text) in [("token", "t"), ("namespace", "ns"), ("ca.crt", certificate().as_str())] {
        fs::write(step.path("account").join(name), text).unwrap();
    }
    let account = step.path("account");
    let args =
        ["sign", "--timeout=2s", "--key=k8s://ns/key", "--cluster-credentials", account.to_str().unwrap()];
    let mut command = step.command(&[&args[..], &[&image]].concat());
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "1");
    let told = ended(command.env("STEPSEAL_LOG", "stepseal::cli=debug").output().unwrap());
    assert!(told.stderr.contains(&format!("landlock={}", kernel())), "{}", told.stderr);
    assert!(told.stderr.contains("refused") && !told.stderr.contains("ermission"), "{}", told.stderr);
}

/// It runs several commands in one process, beside a registry, and removes its files in the end.
#[test]
fn the_demo_is_not_confined_and_works() {
    let told = ended(bare(&["demo"]).env("STEPSEAL_LOG", "stepseal::cli=debug").output().unwrap());
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stderr.contains("not enforced"), "{}", told.stderr);
    let folder = told.stdout.split_whitespace().find(|word| word.contains("stepseal-demo-")).unwrap();
    assert!(!Path::new(folder).exists(), "it removes its files");
}

/// Not with `/dev/null` and `/dev/stdout` themselves, which a program that replaces them would take away from this machine.
#[test]
fn a_report_to_a_device_is_written_to_it_and_does_not_replace_it() {
    let (step, image) = step();
    let null = step.path("work/null");
    let device = rustix::fs::makedev(1, 3);
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    // Only root can make one.
    if rustix::fs::mknodat(rustix::fs::CWD, &null, rustix::fs::FileType::CharacterDevice, mode, device)
        .is_ok()
    {
        confined("a device", step.command(&["sign", "--report"]).arg(&null).arg(&image));
        assert_eq!(fs::symlink_metadata(&null).unwrap().rdev(), device);
    }
    // Standard output as a pipe, and as a file with something in it.
    let told = confined("/dev/fd/1", &mut step.command(&["sign", "--report", "/dev/fd/1", &image]));
    assert_eq!(reported(&told.stdout), serde_json::to_value(kernel()).unwrap());
    fs::write(step.path("out"), "before\n").unwrap();
    let out = fs::OpenOptions::new().append(true).open(step.path("out")).unwrap();
    let mut command = step.command(&["sign", "--report", "/dev/fd/1", &image]);
    assert!(command.stdout(out).stderr(Stdio::null()).status().unwrap().success());
    let text = fs::read_to_string(step.path("out")).unwrap();
    assert!(reported(text.strip_prefix("before\n").unwrap()).is_object());
}
