//! What goes wrong fails the TaskRun, and the end of its log says why.

use std::net::SocketAddr;

use serde_json::{Value, json};
use stepseal::demo::registry::{Auth, Options, User};
use tokio::net::TcpSocket;

use crate::kit::steps::{build, shell, sign, task_run};
use crate::kit::{Place, given, registry, scenario};

/// The TaskRun fails in the signing step; the end of the log, as `tkn` shows it, has these words; no secret is in it.
fn fails(place: &Place, name: &str, spec: &Value, exit: i64, words: &[&str]) {
    let run = place.task_run(name, spec);
    assert!(!run.succeeded(), "{name} succeeded");
    let logs = place.logs(&run);
    let signing: Vec<&str> = logs
        .lines()
        .filter_map(|line| line.strip_prefix("[sign] "))
        .filter(|line| !line.is_empty())
        .collect();
    let end = signing[signing.len().saturating_sub(8)..].join("\n");
    for word in words {
        assert!(end.contains(word), "{name}: {word:?} is not in the end of\n{logs}");
    }
    for secret in [registry::PASSWORD, crate::kit::place::KEY_PASSWORD, "wrong-pa55word"] {
        assert!(!logs.contains(secret), "{name}: {logs}");
    }
    let steps = run.object["status"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "sign").unwrap();
    assert_eq!(step["terminated"]["exitCode"], exit, "{name}: {logs}");
    let described = place.tkn(&["taskrun", "describe", name]);
    let line = described.lines().find(|line| line.contains(" sign ")).unwrap_or_default();
    assert!(line.contains("Error"), "{name}: {described}");
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn wrong_passwords() {
    scenario("wrong_passwords", |place| {
        let repository = place.for_main_registry();
        let host = &registry::main().host;
        place.login("registry-credentials", host, registry::USER, "wrong-pa55word");
        let spec = task_run(&[build(&repository), sign(&[])]);
        fails(place, "registry", &spec, 4, &["401", registry::USER, "do:"]);
        place.login("registry-credentials", host, registry::USER, registry::PASSWORD);
        let mut step = sign(&[]);
        step["args"] = json!(["sign", "--key", "/etc/signing-secrets/cosign.key"]);
        let mut spec = task_run(&[build(&repository), step]);
        // The key with another password beside it.
        place.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong"},
            "stringData": {"cosign.password": "wrong-pa55word"}}));
        for volume in spec["taskSpec"]["volumes"].as_array_mut().unwrap() {
            if volume["name"] == "signing-secrets" {
                *volume = json!({"name": "signing-secrets", "projected": {"sources": [
                    {"secret": {"name": "signing-secrets", "items": [{"key": "cosign.key", "path": "cosign.key"}]}},
                    {"secret": {"name": "wrong"}},
                ]}});
            }
        }
        fails(place, "key", &spec, 2, &["password", "/etc/signing-secrets/cosign.key", "do:"]);
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_push_that_is_refused() {
    scenario("a_push_that_is_refused", |place| {
        let users = vec![
            User::new("builder", "builder-pa55word").may_push("**"),
            User::new("reader", "reader-pa55word").may_pull("**"),
        ];
        let options = Options { auth: Auth::Basic, users, ..Options::default() };
        let (registry, _embedded) = registry::embedded(options, false);
        place.for_registry(&registry, "builder", "builder-pa55word");
        place.login("registry-credentials", &registry.host, "reader", "reader-pa55word");
        let repository = format!("{}/team/app", registry.host);
        let spec = task_run(&[build(&repository), sign(&[])]);
        fails(place, "refused", &spec, 4, &["403", "reader", &repository, "do:"]);
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn results_that_name_nothing_or_half() {
    scenario("results_that_name_nothing_or_half", |place| {
        let repository = place.for_main_registry();
        let nothing = task_run(&[shell("build", "true"), sign(&[])]);
        fails(place, "nothing", &nothing, 3, &["there is nothing to sign", "IMAGE_URL", "do:"]);
        let half = format!("printf %s {repository} >$(results.IMAGE_URL.path)");
        let half = task_run(&[shell("build", &half), sign(&[])]);
        fails(place, "half", &half, 3, &["IMAGE_DIGEST", "do:"]);
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_registry_that_is_away() {
    scenario("a_registry_that_is_away", |place| {
        place.for_main_registry();
        // A port without a listener, reserved while the scenario lasts.
        let refusing = TcpSocket::new_v4().unwrap();
        refusing.bind(SocketAddr::new(given("STEPSEAL_NODE_IP").parse().unwrap(), 0)).unwrap();
        let address = refusing.local_addr().unwrap();
        let image = format!("{address}/team/app@sha256:{}", "0".repeat(64));
        let spec = task_run(&[shell("build", "true"), sign(&["--timeout", "5s", &image])]);
        fails(place, "away", &spec, 1, &[&address.to_string(), "refused", "do:"]);
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn an_expired_certificate() {
    scenario("an_expired_certificate", |place| {
        place.for_main_registry();
        let (expired, _embedded) = registry::embedded(Options::default(), true);
        place.config_map("registry-ca", "ca.crt", expired.ca_pem());
        let image = format!("{}/team/app@sha256:{}", expired.host, "0".repeat(64));
        let spec = task_run(&[shell("build", "true"), sign(&["--timeout", "10s", &image])]);
        fails(place, "expired", &spec, 1, &["expired", &expired.host, "do:"]);
    });
}

/// A step after the signing step changes the results. A signing step that comes last, as it should, signs nothing of it.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn results_that_change_after_signing() {
    scenario("results_that_change_after_signing", |place| {
        let repository = place.for_main_registry();
        let mut early = sign(&[]);
        early["name"] = json!("sign-early");
        let other = format!("sha256:{}", "0".repeat(64));
        let change = shell("change", &format!("printf %s {other} >$(results.IMAGE_DIGEST.path)"));
        let spec = task_run(&[build(&repository), early, change, sign(&[])]);
        fails(
            place,
            "changed",
            &spec,
            1,
            &["is not in the registry: nothing was signed for it", &other, "do:"],
        );
        let digest = registry::main().crane(&["digest", &format!("{repository}:1")]);
        place.verified(&format!("{repository}@{digest}"));
    });
}
