//! The parts of a TaskRun.

use serde_json::{Value, json};

use super::{Place, given, registry};

/// What the level `restricted` asks for, and a read-only root. The user is the image's own.
pub(crate) fn locked_down() -> Value {
    json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// A step of the image with crane and a shell, which has the push credentials of a build.
pub(crate) fn shell(name: &str, script: &str) -> Value {
    let mut context = locked_down();
    context["runAsUser"] = json!(4000);
    json!({
        "name": name, "image": given("STEPSEAL_TOOLS_IMAGE"), "script": format!("#!/bin/sh\nset -eu\n{script}"),
        "securityContext": context,
        "env": [
            {"name": "SSL_CERT_FILE", "value": "/etc/registry-ca/ca.crt"},
            {"name": "DOCKER_CONFIG", "value": "/etc/build-credentials"},
        ],
        "volumeMounts": [
            {"name": "registry-ca", "mountPath": "/etc/registry-ca", "readOnly": true},
            {"name": "build-credentials", "mountPath": "/etc/build-credentials", "readOnly": true},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    })
}

/// A step that pushes an image of random bytes and writes the two results.
pub(crate) fn build(repository: &str) -> Value {
    shell(
        "build",
        &format!(
            "head -c 1000 /dev/urandom >/tmp/blob; tar -C /tmp -cf /tmp/layer.tar blob\n\
             ref=$(crane append --oci-empty-base -f /tmp/layer.tar -t {repository}:1)\n\
             printf %s {repository} >$(results.IMAGE_URL.path)\n\
             printf %s \"${{ref##*@}}\" >$(results.IMAGE_DIGEST.path)"
        ),
    )
}

/// The step of the README.
pub(crate) fn sign(arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = [&["sign"], arguments].concat();
    json!({
        "name": "sign", "image": given("STEPSEAL_IMAGE"), "command": ["/stepseal"], "args": arguments,
        "securityContext": locked_down(),
        "computeResources": {"limits": {"memory": "128Mi"}},
        "env": [{"name": "STEPSEAL_REGISTRY_CA", "value": "/etc/registry-ca/ca.crt"}],
        "volumeMounts": [
            {"name": "registry-ca", "mountPath": "/etc/registry-ca", "readOnly": true},
            {"name": "signing-secrets", "mountPath": "/etc/signing-secrets", "readOnly": true},
            {"name": "registry-credentials", "mountPath": "/etc/registry-credentials", "readOnly": true},
        ],
    })
}

/// Where the agent's socket is.
pub(crate) const SOCKET: &str = "/run/stepseal/agent.sock";

/// A signing step that has no key, but asks the agent, which must have the public key that is mounted where keys are by default.
pub(crate) fn sign_by_agent(arguments: &[&str]) -> Value {
    let address = format!("unix://{SOCKET}");
    let mut step = sign(&[&["--agent", &address], arguments].concat());
    let mounts = step["volumeMounts"].as_array_mut().unwrap();
    let key = mounts.iter_mut().find(|mount| mount["name"] == "signing-secrets").unwrap();
    key["name"] = json!("agent-public-key");
    with_socket(step)
}

/// A step that can reach the agent's socket, and not put another in its place.
pub(crate) fn with_socket(mut step: Value) -> Value {
    let mount = json!({"name": "agent-socket", "mountPath": "/run/stepseal", "readOnly": true});
    step["volumeMounts"].as_array_mut().unwrap().push(mount);
    step
}

/// A TaskRun of these steps beside an agent with these arguments: the sidecar of docs/agent.md.
pub(crate) fn task_run_with_agent(steps: &[Value], arguments: &[&str]) -> Value {
    let mut spec = task_run(steps);
    let arguments: Vec<&str> = [&["agent"], arguments].concat();
    spec["taskSpec"]["sidecars"] = json!([{
        "name": "agent", "image": given("STEPSEAL_IMAGE"), "args": arguments,
        "securityContext": locked_down(),
        "computeResources": {"limits": {"memory": "128Mi"}},
        "env": [{"name": "STEPSEAL_REGISTRY_CA", "value": "/etc/registry-ca/ca.crt"}],
        "volumeMounts": [
            {"name": "registry-ca", "mountPath": "/etc/registry-ca", "readOnly": true},
            {"name": "signing-secrets", "mountPath": "/etc/signing-secrets", "readOnly": true},
            {"name": "agent-credentials", "mountPath": "/etc/registry-credentials", "readOnly": true},
            {"name": "agent-socket", "mountPath": "/run/stepseal"},
        ],
    }]);
    let volumes = spec["taskSpec"]["volumes"].as_array_mut().unwrap();
    volumes.push(json!({"name": "agent-socket", "emptyDir": {}}));
    volumes.push(json!({"name": "agent-public-key", "secret": {"secretName": "signing-secrets",
        "items": [{"key": "cosign.pub", "path": "cosign.pub"}]}}));
    volumes.push(json!({"name": "agent-credentials", "secret": {"secretName": "agent-credentials"}}));
    spec
}

/// A TaskRun of these steps, with everything that they mount.
pub(crate) fn task_run(steps: &[Value]) -> Value {
    json!({
        "podTemplate": {"automountServiceAccountToken": false},
        "taskSpec": task(steps),
    })
}

/// The Task in it.
pub(crate) fn task(steps: &[Value]) -> Value {
    json!({
        "results": [{"name": "IMAGE_URL"}, {"name": "IMAGE_DIGEST"}],
        "steps": steps,
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "registry-ca", "configMap": {"name": "registry-ca"}},
            {"name": "signing-secrets", "secret": {"secretName": "signing-secrets"}},
            {"name": "registry-credentials", "secret": {"secretName": "registry-credentials", "optional": true}},
            {"name": "build-credentials", "secret": {"secretName": "build-credentials",
                "items": [{"key": ".dockerconfigjson", "path": "config.json"}]}},
        ],
    })
}

impl Place {
    /// The Secrets and the CA for a registry, whose user may push.
    pub(crate) fn for_registry(&self, registry: &registry::Registry, user: &str, password: &str) {
        self.config_map("registry-ca", "ca.crt", registry.ca_pem());
        for secret in ["registry-credentials", "build-credentials", "agent-credentials"] {
            self.login(secret, &registry.host, user, password);
        }
    }

    /// The same for the docker-registry; returns a repository in it for this scenario.
    pub(crate) fn for_main_registry(&self) -> String {
        let registry = registry::main();
        self.for_registry(registry, registry::USER, registry::PASSWORD);
        format!("{}/{}", registry.host, self.namespace)
    }
}
