//! Signatures in another repository than the image's own: each way of naming it, for every command.

use stepseal::demo::registry::Options;

use crate::kit::step::{Ended, Step, ended};

/// Runs the binary with `COSIGN_REPOSITORY` set.
fn with(step: &Step, repository: &str, args: &[&str]) -> Ended {
    ended(step.command(args).env("COSIGN_REPOSITORY", repository).output().unwrap())
}

#[test]
fn cosigns_variable_counts_for_all_commands() {
    let step = Step::with(Options::default());
    std::fs::write(step.path("keys/cosign.pub"), &crate::kit::step::pair().public_pem).unwrap();
    std::fs::write(step.path("predicate"), "{}").unwrap();
    let predicate = step.path("predicate");
    let predicate = predicate.to_str().unwrap();
    let digest = step.built("team/sub/app");
    let image = format!("{}/team/sub/app@{digest}", step.host());
    // One repository for all, as cosign has it: nothing of the image's own name is added to it.
    let elsewhere = format!("{}/signatures", step.host());
    for (suffix, sign, verify) in [
        ("sig", &["sign"][..], "verify"),
        (
            "att",
            &["attest", "--predicate", predicate, "--type=https://example.com/t", &image],
            "verify-attestation",
        ),
    ] {
        let tag = format!("sha256-{}.{suffix}", digest.hex());
        let plan = with(&step, &elsewhere, &["plan"]);
        assert!(plan.stdout.contains(&format!("{elsewhere}:sha256-")), "{}{}", plan.stdout, plan.stderr);
        let signed = with(&step, &elsewhere, sign);
        assert_eq!(signed.code, 0, "{}", signed.stderr);
        let content = step.registry.content();
        assert!(content.manifest("signatures", &tag).is_some(), "{tag}");
        assert!(content.manifest("team/sub/app", &tag).is_none(), "{tag}");
        let mut verify = vec![verify, "--insecure-ignore-tlog", &image];
        if suffix == "att" {
            verify.push("--type=https://example.com/t");
        }
        assert_eq!(with(&step, &elsewhere, &verify).code, 0);
        assert_eq!(step.run(&verify).code, 1, "it lies elsewhere");
    }
}

#[test]
fn a_value_that_names_no_repository_stops_every_command() {
    let step = Step::new();
    let digest = step.built("team/app");
    let image = format!("{}/team/app@{digest}", step.host());
    for value in ["https://registry.example/x", "Bad Name", "registry.example/x:1", " "] {
        for args in [&["sign"][..], &["plan"], &["verify", &image], &["verify-attestation", &image]] {
            step.registry.clear_requests();
            let ended = with(&step, value, args);
            assert_eq!(ended.code, 2, "{args:?} {value:?}: {}", ended.stderr);
            assert!(ended.stderr.contains("COSIGN_REPOSITORY"), "{args:?} {value:?}: {}", ended.stderr);
            assert!(step.registry.requests().is_empty());
        }
    }
}

/// `storage.oci.repository.insecure` is about that repository's registry, whatever names it.
#[test]
fn its_registry_gets_plain_http_as_the_configured_one() {
    let step = Step::new();
    step.built("team/app");
    let elsewhere = format!("{}/signatures", step.host());
    let run = |args: &[&str]| {
        let mut command = step.command(args);
        let command = command.env("COSIGN_REPOSITORY", &elsewhere).env_remove("STEPSEAL_INSECURE_REGISTRIES");
        ended(command.output().unwrap())
    };
    let ended = run(&["sign", "--timeout=3s"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let ended = run(&["sign", "--config=storage.oci.repository.insecure=true"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}
