//! Where the signing step gets the registry's credentials from.

use serde_json::json;
use stepseal::demo::registry::{Auth, Options, User};

use crate::kit::steps::{build, sign, task_run};
use crate::kit::{registry, scenario, succeed};

/// Tekton merges the Secrets of the ServiceAccount and gives them to every step: nothing is mounted by hand.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_secret_of_the_service_account() {
    scenario("a_secret_of_the_service_account", |place| {
        let repository = place.for_main_registry();
        let host = &registry::main().host;
        place.login("pusher", host, registry::USER, registry::PASSWORD);
        succeed(place.kubectl().args(["delete", "secret", "registry-credentials"]));
        place.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"},
            "secrets": [{"name": "pusher"}]}));
        let mut spec = task_run(&[build(&repository), sign(&[])]);
        spec["serviceAccountName"] = json!("builder");
        let run = place.succeeds("account", &spec);
        place.verified(&run.image());
    });
}

/// Each login may push to one repository; the longest matching entry applies.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn two_secrets_for_one_host() {
    scenario("two_secrets_for_one_host", |place| {
        let users = vec![
            User::new("blue", "blue-pa55word").may_push("blue/**"),
            User::new("green", "green-pa55word").may_push("green/**"),
        ];
        let options = Options { auth: Auth::Basic, users, ..Options::default() };
        let (registry, embedded) = registry::embedded(options, false);
        place.config_map("registry-ca", "ca.crt", registry.ca_pem());
        for team in ["blue", "green"] {
            let (entry, password) = (format!("{}/{team}", registry.host), format!("{team}-pa55word"));
            place.login(&format!("{team}-credentials"), &entry, team, &password);
        }
        for team in ["blue", "green"] {
            // The build logs in to the host as such; crane knows no entries with a path.
            place.login("build-credentials", &registry.host, team, &format!("{team}-pa55word"));
            let mut step = sign(&["--registry-config", "/etc/blue", "--registry-config", "/etc/green"]);
            for secret in ["blue", "green"] {
                let mount = json!({"name": secret, "mountPath": format!("/etc/{secret}"), "readOnly": true});
                step["volumeMounts"].as_array_mut().unwrap().push(mount);
            }
            let mut spec = task_run(&[build(&format!("{}/{team}/app", registry.host)), step]);
            for secret in ["blue", "green"] {
                let volume =
                    json!({"name": secret, "secret": {"secretName": format!("{secret}-credentials")}});
                spec["taskSpec"]["volumes"].as_array_mut().unwrap().push(volume);
            }
            let run = place.succeeds(team, &spec);
            let digest = run.result("IMAGE_DIGEST").as_str().unwrap().replace(':', "-");
            let signed = embedded.requests().iter().any(|request| {
                request.method == "PUT"
                    && request.path_and_query.ends_with(&format!("/{team}/app/manifests/{digest}.sig"))
                    && request.status.is_some_and(|status| status.is_success())
            });
            assert!(signed, "{team}");
        }
    });
}
