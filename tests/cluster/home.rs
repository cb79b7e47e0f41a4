//! `$HOME` as a volume that the steps of a Task share: what was mounted below it is used, what another step left there is not.

use serde_json::{Value, json};

use crate::kit::place::Run;
use crate::kit::steps::{build, sign, task_run};
use crate::kit::{Place, registry, scenario, succeed};

/// The home directory that the steps share.
const HOME: &str = "/home/shared";

/// A build that leaves a login of its own for the image in the shared `$HOME`, where it can.
fn build_and_plant(repository: &str, user: &str, password: &str) -> Value {
    let login = json!({"auths": {repository: {"username": user, "password": password}}}).to_string();
    let mut step = build(repository);
    let script = step["script"].as_str().unwrap();
    let plant = format!(
        "\nmkdir -p {HOME}/.docker || true\nprintf %s '{login}' >{HOME}/.docker/config.json || echo nothing planted"
    );
    step["script"] = json!(format!("{script}{plant}"));
    mount(&mut step, "home", HOME, None);
    step
}

/// A signing step whose `$HOME` is the shared folder, and which has no credentials yet.
fn sign_at_home() -> Value {
    let mut step = sign(&[]);
    step["volumeMounts"].as_array_mut().unwrap().retain(|mount| mount["name"] != "registry-credentials");
    step["env"].as_array_mut().unwrap().push(json!({"name": "HOME", "value": HOME}));
    mount(&mut step, "home", HOME, None);
    step
}

fn mount(step: &mut Value, volume: &str, path: &str, sub_path: Option<&str>) {
    let mut mount = json!({"name": volume, "mountPath": path});
    if let Some(sub_path) = sub_path {
        mount["subPath"] = json!(sub_path);
    }
    step["volumeMounts"].as_array_mut().unwrap().push(mount);
}

fn spec(steps: &[Value]) -> Value {
    let mut spec = task_run(steps);
    spec["taskSpec"]["volumes"].as_array_mut().unwrap().push(json!({"name": "home", "emptyDir": {}}));
    spec
}

/// Another step's login would be tried first, as its path is longer, and its refusal would be in the log.
fn used_what_was_mounted(place: &Place, run: &Run) {
    place.verified(&run.image());
    assert!(!place.logs(run).contains("mallory"), "{}", place.logs(run));
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_secret_mounted_below_home() {
    scenario("a_secret_mounted_below_home", |place| {
        let repository = place.for_main_registry();
        for (name, path, sub_path) in [
            ("folder", format!("{HOME}/.docker"), None),
            ("file", format!("{HOME}/.docker/config.json"), Some(".dockerconfigjson")),
        ] {
            let mut step = sign_at_home();
            mount(&mut step, "registry-credentials", &path, sub_path);
            let run = place.succeeds(name, &spec(&[build_and_plant(&repository, "mallory", "m"), step]));
            used_what_was_mounted(place, &run);
        }
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_workspace_that_docker_config_names() {
    scenario("a_workspace_that_docker_config_names", |place| {
        let repository = place.for_main_registry();
        let mut step = sign_at_home();
        let variable = json!({"name": "DOCKER_CONFIG", "value": "$(workspaces.dockerconfig.path)"});
        step["env"].as_array_mut().unwrap().push(variable);
        let mut spec = spec(&[build_and_plant(&repository, "mallory", "m"), step]);
        spec["taskSpec"]["workspaces"] = json!([{"name": "dockerconfig", "readOnly": true}]);
        spec["workspaces"] =
            json!([{"name": "dockerconfig", "secret": {"secretName": "registry-credentials"}}]);
        let run = place.succeeds("workspace", &spec);
        used_what_was_mounted(place, &run);
    });
}

/// The login is good, so only where it lies can be the reason that it isn't used; named, it is.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_login_that_another_step_left_at_home() {
    scenario("a_login_that_another_step_left_at_home", |place| {
        let repository = place.for_main_registry();
        succeed(place.kubectl().args(["delete", "secret", "registry-credentials"]));
        let build = build_and_plant(&repository, registry::USER, registry::PASSWORD);
        let run = place.task_run("left", &spec(&[build.clone(), sign_at_home()]));
        let logs = place.logs(&run);
        assert!(!run.succeeded() && !logs.contains("nothing planted"), "{logs}");
        assert!(logs.contains(&format!("{HOME}/.docker/config.json")), "{logs}");
        assert!(logs.contains(&format!("DOCKER_CONFIG={HOME}/.docker")), "{logs}");
        assert!(!logs.contains(registry::PASSWORD), "{logs}");

        let mut named = sign_at_home();
        let variable = json!({"name": "DOCKER_CONFIG", "value": format!("{HOME}/.docker")});
        named["env"].as_array_mut().unwrap().push(variable);
        let run = place.succeeds("named", &spec(&[build, named]));
        place.verified(&run.image());
    });
}
