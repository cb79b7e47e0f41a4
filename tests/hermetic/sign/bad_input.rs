//! Each kind of bad input shows its own message, and nothing is signed.

use http::{Method, StatusCode};
use stepseal::demo::registry::{Answer, Effect, Fault, Options, Page, ReadOnly};

use crate::kit::step::{Ended, Step, ended};

/// Runs `sign`, which must end with `code` and say each of `wanted`.
fn refused(step: &Step, args: &[&str], code: i32, wanted: &[&str]) -> Ended {
    let ended = step.run(&[&["sign"], args].concat());
    assert_eq!(ended.code, code, "{}", ended.stderr);
    for want in wanted {
        assert!(ended.stderr.contains(want), "{want:?} is missing:\n{}", ended.stderr);
    }
    for repository in step.registry.content().repositories() {
        let tags = step.registry.content().tags(&repository);
        assert!(!tags.iter().any(|tag| tag.ends_with(".sig")), "something was signed");
    }
    ended
}

#[test]
fn no_results() {
    let step = Step::new();
    refused(&step, &[], 3, &["nothing to sign", "IMAGE_URL and IMAGE_DIGEST"]);
}

#[test]
fn half_a_pair() {
    let step = Step::new();
    step.result("app-IMAGE_URL", "registry.example/app");
    refused(&step, &[], 3, &["app-IMAGE_URL", "app-IMAGE_DIGEST"]);
}

#[test]
fn a_malformed_digest_stops_all_unless_lenient() {
    let step = Step::new();
    let good = step.built("team/app");
    step.result("b-IMAGE_URL", "registry.example/b");
    step.result("b-IMAGE_DIGEST", &"A".repeat(64));
    refused(&step, &[], 3, &["b-IMAGE_DIGEST", "sha256:"]);
    let ended = step.sign(&["--lenient"]);
    assert!(ended.stderr.contains("b-IMAGE_DIGEST"), "{}", ended.stderr);
    assert_eq!(step.payloads("team/app", &good).len(), 1);
}

#[test]
fn every_problem_is_told_at_once() {
    let step = Step::new();
    step.result("a-IMAGE_URL", "https://registry.example/a");
    step.result("a-IMAGE_DIGEST", &format!("sha256:{}", "ab".repeat(32)));
    step.result("b-IMAGE_URL", "registry.example/b");
    refused(&step, &[], 3, &["2 problems", "a-IMAGE_URL", "b-IMAGE_DIGEST"]);
}

#[test]
fn a_digest_the_registry_lacks() {
    let step = Step::new();
    let digest = format!("sha256:{}", "ab".repeat(32));
    let image = format!("{}/team/app@{digest}", step.host());
    refused(&step, &[&image], 1, &["is not in the registry", &digest, "push the image before"]);
}

#[test]
fn a_manifest_whose_bytes_do_not_hash_to_it() {
    let step = Step::new();
    let digest = step.built("team/app");
    step.registry.faults().add(Fault::new(Effect::WrongBytes).path(digest.as_str()));
    refused(&step, &[], 1, &["cannot look up", digest.as_str()]);
}

#[test]
fn refused_credentials() {
    let step = Step::new();
    step.built("team/app");
    step.login(&step.host(), "ci-bot", "wrong");
    refused(&step, &[], 4, &["401", "UNAUTHORIZED", "user \"ci-bot\"", ".dockerconfigjson"]);
}

#[test]
fn no_credentials() {
    let step = Step::new();
    step.built("team/app");
    step.login("other.example", "ci-bot", "x");
    refused(&step, &[], 4, &["401", "dockerconfigjson"]);
}

#[test]
fn credentials_that_cannot_be_read_are_never_anonymous() {
    let step = Step::new();
    step.built("team/app");
    std::fs::write(step.path("credentials/.dockerconfigjson"), "{\"auths\":").unwrap();
    step.registry.clear_requests();
    refused(&step, &[], 2, &[".dockerconfigjson"]);
    assert_eq!(step.registry.requests().len(), 0);
}

#[test]
fn an_unknown_host() {
    let step = Step::new();
    let image = format!("registry.invalid/app@sha256:{}", "ab".repeat(32));
    refused(&step, &[&image, "--timeout=3s"], 1, &["registry.invalid"]);
}

#[test]
fn nothing_listens_there() {
    let step = Step::new();
    let image = format!("127.0.0.1:1/app@sha256:{}", "ab".repeat(32));
    refused(
        &step,
        &[&image, "--timeout=1s", "--insecure-registry=127.0.0.1:1"],
        1,
        &["127.0.0.1:1", "efused"],
    );
}

#[test]
fn https_to_a_registry_that_speaks_http() {
    let step = Step::new();
    step.built("team/app");
    let mut command = step.command(&["sign", "--timeout=2s"]);
    let ended = ended(command.env_remove("STEPSEAL_INSECURE_REGISTRIES").output().unwrap());
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("--insecure-registry"), "{}", ended.stderr);
}

#[test]
fn key_problems() {
    let step = Step::new();
    step.built("team/app");
    let pem = &crate::kit::step::pair().private_pem;
    step.key(pem, "not the password");
    refused(&step, &[], 2, &["password", "cosign.key"]);
    step.key(&pem[..pem.len() / 2], "x");
    refused(&step, &[], 2, &["cosign.key"]);
    step.key(&crate::kit::step::pair().public_pem, "x");
    refused(&step, &[], 2, &["public key"]);
    std::fs::remove_dir_all(step.path("keys")).unwrap();
    refused(&step, &[], 2, &["keys"]);
}

#[test]
fn a_read_only_registry() {
    for read_only in [ReadOnly::Unsupported, ReadOnly::Denied] {
        let step = Step::with(Options { read_only: Some(read_only), ..Options::default() });
        step.built("team/app");
        let code = if matches!(read_only, ReadOnly::Denied) { 4 } else { 1 };
        refused(&step, &[], code, &["cannot push the signature of", "team/app"]);
    }
}

#[test]
fn a_registry_that_answers_html() {
    let step = Step::new();
    step.built("team/app");
    let page = Answer::new(StatusCode::OK).page(Page::Html);
    step.registry.faults().add(Fault::answer(page).method(Method::GET).path("/manifests/"));
    refused(&step, &[], 1, &["HTML"]);
}

#[test]
fn somebody_elses_content_under_the_tag_is_not_overwritten() {
    let step = Step::new();
    let digest = step.built("team/app");
    let tag = format!("sha256-{}.sig", digest.hex());
    let content = step.registry.content();
    content.put_manifest("team/app", Some(&tag), "text/plain", "a note").unwrap();
    let ended = step.run(&["sign"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("is not a list of signatures"), "{}", ended.stderr);
    assert_eq!(content.manifest("team/app", &tag).unwrap().1, "a note");
}

#[test]
fn one_failure_does_not_hide_the_others() {
    let step = Step::new();
    let good = step.built("team/app");
    let absent = format!("{}/team/gone@sha256:{}", step.host(), "ab".repeat(32));
    step.result("IMAGES", &absent);
    let ended = step.run(&["sign"]);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert!(ended.stderr.contains("1 signed, 1 failed"), "{}", ended.stderr);
    assert_eq!(step.payloads("team/app", &good).len(), 1);
}

#[test]
fn image_signatures_turned_off_and_an_identity_in_a_bundle() {
    let step = Step::new();
    step.built("team/app");
    refused(&step, &["--config", "artifacts.oci.storage="], 2, &["artifacts.oci.storage"]);
    let bundle =
        ["--config", "storage.oci.encoding-format=sigstore-bundle", "--identity", "registry.example/x"];
    refused(&step, &bundle, 2, &["no place for an identity"]);
}

#[test]
fn a_repository_that_is_not_allowed() {
    let step = Step::new();
    step.built("team/app");
    refused(&step, &["--allow", "registry.example/**"], 3, &["registry.example/**", "team/app"]);
}

#[test]
fn a_pattern_that_could_never_match_is_refused() {
    let step = Step::new();
    step.built("team/app");
    for (pattern, why) in [
        ("registry.example/Team/*", "lower-case"),
        ("*:443/**", ":443"),
        ("docker.io:*/**", "index.docker.io"),
        ("REG*/**", "lower case"),
    ] {
        refused(&step, &["--allow", pattern], 2, &[pattern, why]);
    }
}

/// `--allow` is about a registry, however it is spelled; what is signed, stored and reported has the spelling that was given.
#[test]
fn every_spelling_of_a_registry_is_allowed_or_none() {
    let port = |step: &Step| step.host().rsplit_once(':').unwrap().1.to_owned();
    for start in ["127.0.0.1:", "127.1:0", "0X7f.1:", "2130706433:"] {
        let step = Step::new();
        let digest = step.image("team/app", "x");
        let host = format!("{start}{}", port(&step));
        let image = format!("{host}/team/app@{digest}");
        refused(&step, &["--allow", &format!("127.0.0.1:{}/other/*", port(&step)), &image], 3, &[&host]);
        for allowed in ["127.0.0.1:", "127.1:0"] {
            let allow = format!("{allowed}{}/team/*", port(&step));
            let ended = step.run(&["sign", "--allow", &allow, "--insecure-registry", &host, &image]);
            assert_eq!(ended.code, 0, "{image} {allow}: {}", ended.stderr);
        }
        std::fs::write(step.path("keys/cosign.pub"), &crate::kit::step::pair().public_pem).unwrap();
        let ended = step.run(&["verify", "--insecure-ignore-tlog", "--insecure-registry", &host, &image]);
        assert!(
            ended.stdout.contains(&format!(r#""docker-reference":"{host}/team/app""#)),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
        let ended = step.run(&["plan", "--output", "json", &image]);
        assert!(ended.stdout.contains(&format!("{host}/team/app")), "{}", ended.stdout);
    }
}

#[test]
fn hostile_text_reaches_no_log_unescaped() {
    let step = Step::new();
    step.result("IMAGE_URL", "registry.example/\u{1b}[2Japp\nerror: all is well");
    step.result("IMAGE_DIGEST", "sha256:\u{202e}00");
    let ended = refused(&step, &[], 3, &["IMAGE_URL"]);
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\u{202e}'), "{}", ended.stderr);
    assert!(!ended.stderr.lines().any(|line| line.starts_with("error: all is well")));
}
