//! cosign's registry flags, in flags and variables, for each command that asks a registry.

use std::fs;
use std::process::Command;

use stepseal::demo::registry::{Effect, EmbeddedRegistry, Fault, Options};
use stepseal::oci::Digest;

use crate::kit::step::{Ended, REGISTRY_PASSWORD, Step, ended, pair};
use crate::sign::network::{SelfSigned, behind_tls};
use crate::sign::other_hosts::OtherHost;

/// A step without mounted credentials or registries named insecure, before a registry with a password, whose image it returns by name.
fn step() -> (Step, String, Digest) {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    fs::write(step.path("credentials/.dockerconfigjson"), "{}").unwrap();
    fs::write(step.path("keys/cosign.pub"), &pair().public_pem).unwrap();
    let image = format!("{}/team/app@{digest}", step.host());
    (step, image, digest)
}

/// A command without anything that says how registries are reached.
fn command(step: &Step, args: &[&str]) -> Command {
    let mut command = step.command(args);
    command.env_remove("STEPSEAL_INSECURE_REGISTRIES").env("STEPSEAL_TIMEOUT", "20s");
    command
}

/// Each command for `image`, in an order in which each can end well.
fn commands(step: &Step, image: &str) -> Vec<Vec<String>> {
    fs::write(step.path("predicate.json"), "{}").unwrap();
    let predicate = step.path("predicate.json").display().to_string();
    [
        &["sign", image][..],
        &["attest", "--predicate", &predicate, "--type", "https://x.example/a", image],
        &["verify", "--insecure-ignore-tlog", image],
        &["verify-attestation", "--insecure-ignore-tlog", "--type", "https://x.example/a", image],
    ]
    .iter()
    .map(|command| command.iter().map(ToString::to_string).collect())
    .collect()
}

/// Runs each command with `more`, all of which must end with `code`.
#[track_caller]
fn each(step: &Step, image: &str, more: &[&str], code: i32) -> Vec<Ended> {
    let run = |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let ended = ended(command(step, &args).output().unwrap());
        assert_eq!(ended.code, code, "{args:?}: {}", ended.stderr);
        ended
    };
    commands(step, image).into_iter().map(run).collect()
}

const PLAIN: &str = "--allow-http-registry";
const LOGIN: [&str; 3] = [PLAIN, "--registry-username=ci-bot", "--registry-password"];

#[test]
fn a_login_by_flags_does_for_every_command() {
    let (step, image, _) = step();
    each(&step, &image, &[PLAIN], 4);
    let given = [&LOGIN[..], &[REGISTRY_PASSWORD]].concat();
    each(&step, &image, &given, 0);
    // Wrong, it is refused, and the error says whose it was.
    let wrong =
        each(&step, &image, &[PLAIN, "--registry-username=ci-bot", "--registry-password=wrong-pa55"], 4);
    for ended in wrong {
        assert!(ended.stderr.contains("used:  user \"ci-bot\", --registry-username"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("wrong-pa55"), "{}", ended.stderr);
    }
    // What is mounted is tried next.
    step.login(&step.host(), "ci-bot", REGISTRY_PASSWORD);
    each(&step, &image, &[PLAIN, "--registry-username=ci-bot", "--registry-password=wrong-pa55"], 0);
    each(&step, &image, &[PLAIN, "--registry-token=wrong-pa55"], 0);
}

#[test]
fn a_password_is_read_from_each_variable_and_the_flag_goes_first() {
    let (step, image, _) = step();
    for (variable, value, flag, code) in [
        ("STEPSEAL_REGISTRY_PASSWORD", REGISTRY_PASSWORD, None, 0),
        ("COSIGN_REGISTRY_PASSWORD", REGISTRY_PASSWORD, None, 0),
        ("COSIGN_REGISTRY_PASSWORD", "wrong", Some(REGISTRY_PASSWORD), 0),
        ("STEPSEAL_REGISTRY_PASSWORD", REGISTRY_PASSWORD, Some("wrong"), 4),
        ("COSIGN_REGISTRY_PASSWORD", "wrong", None, 4),
        ("COSIGN_REGISTRY_PASSWORD", "", None, 2),
    ] {
        let mut sign = command(&step, &["sign", PLAIN, "--registry-username", "ci-bot", &image]);
        flag.iter().for_each(|value| {
            sign.args(["--registry-password", value]);
        });
        let ended = ended(sign.env(variable, value).output().unwrap());
        assert_eq!(ended.code, code, "{variable} {flag:?}: {}", ended.stderr);
    }
}

#[test]
fn half_a_login_and_two_logins_are_errors_before_anything_is_asked() {
    let (step, image, _) = step();
    for (args, want) in [
        (&["--registry-username=ci"][..], "--registry-username is given without --registry-password"),
        (&["--registry-password=s3cr3t-x"], "--registry-password is given without --registry-username"),
        (&["--registry-username=a:b", "--registry-password=s3cr3t-x"], "without a colon"),
        (&["--registry-token=s3cr3t-x", "--registry-username=ci"], "contradict each other"),
        (&["--registry-token=s3cr3t-x", "--registry-password=s3cr3t-x"], "contradict each other"),
        (&["--registry-token=s3cr3t x"], "is not a token"),
        (&["--registry-client-cert=c.pem"], "without --registry-client-key"),
        (&["--registry-client-key=k.pem"], "without --registry-client-cert"),
        (&["--registry-server-name=a:5000"], "without a port"),
        (&["--attachment-tag-prefix=-a"], "a tag prefix"),
        (&["--allow-insecure-registry=maybe"], "true or false"),
    ] {
        for ended in each(&step, &image, args, 2) {
            assert!(
                ended.stderr.contains(want) && ended.stderr.contains("do:    "),
                "{args:?}: {}",
                ended.stderr
            );
            assert!(!ended.stderr.contains("s3cr3t"), "{}", ended.stderr);
        }
        let plan = ended(command(&step, &[&["plan", &image], args].concat()).output().unwrap());
        assert_eq!(plan.code, 2, "{}", plan.stderr);
    }
    assert!(step.registry.requests().is_empty());
}

#[test]
fn nothing_that_is_written_has_the_password() {
    let (step, image, _) = step();
    let given = [&LOGIN[..], &[REGISTRY_PASSWORD, &image]].concat();
    let report = step.path("report.json").display().to_string();
    let mut sign = command(&step, &[&["sign", "--output=json", "--report", &report], &given[..]].concat());
    // `ended` looks at what is printed.
    let signed = ended(sign.env("STEPSEAL_LOG", "trace").output().unwrap());
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert!(!fs::read_to_string(report).unwrap().contains(REGISTRY_PASSWORD));
    let plan = ended(command(&step, &[&["plan", "--output=json"], &given[..]].concat()).output().unwrap());
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    // A flag that this command lacks is named, and not its value.
    let mistaken =
        ended(command(&step, &["verify-run", "--registry-password", REGISTRY_PASSWORD]).output().unwrap());
    assert_eq!(mistaken.code, 2, "{}", mistaken.stderr);
}

#[test]
fn a_login_by_flags_goes_to_no_host_that_the_registry_leads_to() {
    let (step, image, _) = step();
    let other = OtherHost::start();
    let given = [&LOGIN[..], &[REGISTRY_PASSWORD, &image]].concat();
    let faults = step.registry.faults();
    faults.add(Fault::new(Effect::Redirect(format!("http://{}", other.host))).path("/manifests/sha256:"));
    let ended = ended(command(&step, &[&["sign"], &given[..]].concat()).output().unwrap());
    assert_ne!(ended.code, 0, "{}", ended.stderr);
    let seen = other.seen();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|head| !head.contains("authorization:")), "{seen:?}");
}

/// Before a registry with TLS, whose certificate is for `name`.
fn with_tls(name: &str, client: Option<&SelfSigned>) -> (Step, String, SelfSigned, u16) {
    let (step, _, digest) = step();
    let made = SelfSigned::new(name);
    let port = behind_tls(made.config(client), step.host().parse().unwrap());
    step.login(&format!("localhost:{port}"), "ci-bot", REGISTRY_PASSWORD);
    fs::write(step.path("registry.crt"), &made.pem).unwrap();
    (step, format!("localhost:{port}/team/app@{digest}"), made, port)
}

#[test]
fn an_unchecked_certificate_is_warned_of_by_every_command() {
    let (step, image, _, port) = with_tls("other.example", None);
    for ended in each(&step, &image, &[], 1) {
        assert!(ended.stderr.contains("certificate"), "{}", ended.stderr);
    }
    // Allowing plain HTTP is not to do without a good certificate.
    each(&step, &image, &[PLAIN], 1);
    let warning = format!(
        "warning: --allow-insecure-registry: the TLS certificate of localhost:{port} is not checked; anyone who controls the network in between can \
         read the credentials"
    );
    for more in [&["--allow-insecure-registry"][..], &["--allow-insecure-registry", PLAIN]] {
        for ended in each(&step, &image, more, 0) {
            assert_eq!(ended.stderr.matches("warning:").count(), 1, "{}", ended.stderr);
            assert!(ended.stderr.contains(&warning), "{}", ended.stderr);
        }
    }
    let plan = ended(command(&step, &["plan", "--allow-insecure-registry", &image]).output().unwrap());
    assert!(plan.code == 0 && !plan.stderr.contains("warning"), "{}", plan.stderr);
}

#[test]
fn plain_http_is_allowed_and_used_where_there_is_no_https() {
    let (step, image, _) = step();
    step.login(&step.host(), "ci-bot", REGISTRY_PASSWORD);
    for ended in each(&step, &image, &[], 1) {
        assert!(ended.stderr.contains("it does not speak HTTPS"), "{}", ended.stderr);
    }
    each(&step, &image, &[PLAIN], 0);
    // A registry with HTTPS keeps it.
    let (step, image, _, _) = with_tls("localhost", None);
    let ca = step.path("registry.crt").display().to_string();
    each(&step, &image, &[PLAIN, "--registry-ca", &ca], 0);
    // The signatures' own registry is one of them.
    let other = EmbeddedRegistry::start_blocking(Options::default()).unwrap();
    let mut sign = command(&step, &["sign", PLAIN, "--registry-ca", &ca, &image]);
    sign.env("STEPSEAL_STORAGE_OCI_REPOSITORY", format!("{}/signatures", other.host()));
    let signed = ended(sign.output().unwrap());
    assert_eq!(signed.code, 0, "{}", signed.stderr);
}

#[test]
fn a_client_certificate_and_a_server_name_are_given_by_flags() {
    let client = SelfSigned::with("client", rcgen::IsCa::NoCa);
    let (step, image, made, _) = with_tls("registry.internal", Some(&client));
    let at = |name: &str| step.path(name).display().to_string();
    fs::write(step.path("client.pem"), &client.pem).unwrap();
    fs::write(step.path("client.key"), client.key.serialize_pem()).unwrap();
    let (ca, certificate, key) = (at("registry.crt"), at("client.pem"), at("client.key"));
    let trusted = ["--registry-ca", &ca];
    let name = ["--registry-server-name", "registry.internal"];
    let pair = ["--registry-client-cert", &certificate, "--registry-client-key", &key];
    each(&step, &image, &[&trusted[..], &pair].concat(), 1);
    each(&step, &image, &[&trusted[..], &name].concat(), 1);
    each(&step, &image, &[&trusted[..], &name, &pair].concat(), 0);
    each(&step, &image, &[&["--allow-insecure-registry"][..], &pair].concat(), 0);
    // A file that can't be used is wrong configuration.
    let wrong = ["--registry-client-cert", &certificate, "--registry-client-key", &ca];
    for ended in each(&step, &image, &wrong, 2) {
        assert!(ended.stderr.contains("it holds no private key in PEM form"), "{}", ended.stderr);
    }
    drop(made);
}

#[test]
fn tags_have_the_prefix_that_is_given() {
    let (step, image, digest) = step();
    step.login(&step.host(), "ci-bot", REGISTRY_PASSWORD);
    let prefix = "--attachment-tag-prefix=team-";
    each(&step, &image, &[PLAIN, prefix], 0);
    let content = step.registry.content();
    for end in ["sig", "att"] {
        let tag = format!("sha256-{}.{end}", digest.hex());
        assert!(content.manifest("team/app", &format!("team-{tag}")).is_some(), "{end}");
        assert!(content.manifest("team/app", &tag).is_none(), "{end}");
    }
    let plan = ended(command(&step, &["plan", "--output=json", prefix, &image]).output().unwrap());
    assert!(plan.stdout.contains(&format!("team/app:team-sha256-{}.sig", digest.hex())), "{}", plan.stdout);
    // Who looks elsewhere finds nothing.
    for more in [&[PLAIN][..], &[PLAIN, "--attachment-tag-prefix=other-"]] {
        let verify = ended(
            command(&step, &[&["verify", "--insecure-ignore-tlog", &image], more].concat()).output().unwrap(),
        );
        assert_eq!(verify.code, 1, "{}", verify.stderr);
    }
    let mut bundle = command(&step, &["sign", PLAIN, prefix, &image]);
    let bundle =
        ended(bundle.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle").output().unwrap());
    assert!(
        bundle.code == 0 && bundle.stderr.contains("--attachment-tag-prefix has no effect"),
        "{}",
        bundle.stderr
    );
}

#[test]
fn the_keychain_of_the_cluster_says_what_it_is_outside_of_one() {
    let (step, image, _) = step();
    step.login(&step.host(), "ci-bot", REGISTRY_PASSWORD);
    for (flag, notes) in [("--k8s-keychain", 1), ("--k8s-keychain=false", 0)] {
        let ended = ended(
            command(&step, &["verify", "--insecure-ignore-tlog", PLAIN, flag, &image]).output().unwrap(),
        );
        assert_eq!(
            ended.stderr.matches("note: --k8s-keychain: there is no pod").count(),
            notes,
            "{}",
            ended.stderr
        );
        let ended = crate::kit::step::ended(command(&step, &["sign", PLAIN, flag, &image]).output().unwrap());
        assert_eq!(
            (ended.code, ended.stderr.matches("note: --k8s-keychain").count()),
            (0, notes),
            "{}",
            ended.stderr
        );
    }
}
