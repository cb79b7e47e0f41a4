//! Keys and credentials in the cluster: Secrets of cosign and Stepseal work with both programs, and errors name what is missing.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::images::Kind;
use crate::kit::scene::{KEY_PASSWORD, PASSWORD, Place, USER, binary, run_quietly};
use crate::kit::{Namespace, Registry, Scene, run};

/// What a ServiceAccount's token begins with.
const TOKEN: &str = "eyJhbGciOi";

/// Stepseal as a pod of `signer` runs it.
fn in_pod(namespace: &Namespace, scene: &Scene, hosts: &[String], arguments: &[&str]) -> Command {
    let mut command = scene.stepseal(hosts, arguments);
    command.envs(namespace.kube.variables()).env("STEPSEAL_CLUSTER_CREDENTIALS", namespace.account(None));
    command.env_remove("STEPSEAL_REGISTRY_CONFIG");
    command
}

/// Stepseal as people run it, with a kubeconfig.
fn outside(namespace: &Namespace, scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().current_dir(scene.home().join("work")).env("KUBECONFIG", namespace.kube.kubeconfig());
    command.env("COSIGN_PASSWORD", KEY_PASSWORD).args(arguments);
    command
}

fn secret_without_values(namespace: &Namespace, name: &str) -> Value {
    let mut secret = namespace.get("secret", name);
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "name"] {
        secret["metadata"].as_object_mut().unwrap().remove(field);
    }
    for (_, value) in secret["data"].as_object_mut().unwrap() {
        let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let kept = if text.contains("-----") {
            text.lines().next().unwrap_or_default().to_owned()
        } else {
            text.into_owned()
        };
        *value = kept.into();
    }
    secret
}

/// The rule that lets `signer` read the Secret `name`.
fn may_read(name: &str) -> Value {
    json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}])
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_keys"]
fn the_secret_is_like_cosigns_and_both_sign_with_either() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    let work = scene.folder("made-by-cosign");
    let cosigns = format!("k8s://{}", namespace.named("cosigns"));
    run(scene
        .cosign(&["generate-key-pair", &cosigns])
        .current_dir(&work)
        .env("KUBECONFIG", namespace.kube.kubeconfig()))
    .ok();
    let stepseal = format!("k8s://{}", namespace.named("stepseal"));
    let mut generate =
        outside(&namespace, &scene, &["generate-key-pair", &stepseal, "--output-key-prefix", "stepseal"]);
    run_quietly(&mut generate).ended(0).says("private key, password and public key written to Secret");
    assert_eq!(secret_without_values(&namespace, "stepseal"), secret_without_values(&namespace, "cosigns"));

    for (index, (name, public)) in
        [("cosigns", work.join("cosign.pub")), ("stepseal", scene.home().join("work/stepseal.pub"))]
            .into_iter()
            .enumerate()
    {
        let key = format!("k8s://{}", namespace.named(name));
        let image = scene.crane_pushes(Kind::Oci, &registry.host(), &format!("team/app{index}"), name);
        namespace.allow(&may_read(name));
        let mut sign =
            in_pod(&namespace, &scene, &[registry.host()], &["sign", "--key", &key, &image.reference()]);
        sign.env("STEPSEAL_REGISTRY_CONFIG", scene.credentials());
        let ran = run_quietly(&mut sign).ended(0);
        assert!(!ran.stderr.contains(TOKEN));
        let mut verify =
            scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry", "--key"]);
        verify.arg(&public).arg(Place::Tag.cosign_flag()).arg(image.reference());
        run(&mut verify).ok();
        // cosign signs with the same Secret, and verifies by its name.
        let mut cosign = scene.cosign(&[
            "sign",
            "-y",
            "--use-signing-config=false",
            "--tlog-upload=false",
            "--allow-http-registry",
        ]);
        cosign.args([Place::Tag.cosign_flag(), "--key", &key, "-a", "by=cosign"]).arg(image.reference());
        run(cosign.env("KUBECONFIG", namespace.kube.kubeconfig())).ok();
        let mut verify =
            scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry", "--key", &key]);
        verify
            .arg(Place::Tag.cosign_flag())
            .arg(image.reference())
            .env("KUBECONFIG", namespace.kube.kubeconfig());
        let values: Vec<Value> = serde_json::from_str(&run(&mut verify).ok().stdout).unwrap();
        assert_eq!(values.len(), 2);
    }
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_keys"]
fn a_secret_that_is_there_is_never_changed_and_nothing_is_left_behind() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    namespace.kubectl(&["create", "secret", "generic", "there", "--from-literal=other=x"]).ok();
    let before = namespace.get("secret", "there");
    let there = format!("k8s://{}", namespace.named("there"));
    let prefix = ["--output-key-prefix", "new"];
    let mut command = outside(&namespace, &scene, &[&["generate-key-pair", &there], &prefix[..]].concat());
    run_quietly(&mut command).ended(2).says("there is a Secret").says("with other; it was not changed");
    assert_eq!(namespace.get("secret", "there"), before);
    let public = scene.home().join("work/new.pub");
    assert!(!public.exists());

    // An account that may neither read nor create Secrets gets the missing rule, and no public key without its private half.
    namespace.allow(&json!([]));
    let fresh = format!("k8s://{}", namespace.named("fresh"));
    let arguments = [&["generate-key-pair", &fresh], &prefix[..]].concat();
    let as_signer = || {
        let mut command = in_pod(&namespace, &scene, &[], &arguments);
        command.env("COSIGN_PASSWORD", "pw");
        command
    };
    run_quietly(&mut as_signer())
        .ended(4)
        .says(r#"{apiGroups: [""], resources: ["secrets"], verbs: ["create"]}"#);
    assert!(!public.exists());
    // The smallest Role may only create. An existing Secret still isn't changed.
    namespace.allow(&json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]));
    run_quietly(&mut as_signer()).ended(0);
    std::fs::remove_file(&public).unwrap();
    run_quietly(&mut as_signer()).ended(2).says("there is a Secret");
    assert!(!public.exists());
    let mut nowhere =
        in_pod(&namespace, &scene, &[], &["generate-key-pair", &fresh, "--output-key-prefix", "none/new"]);
    run_quietly(nowhere.env("COSIGN_PASSWORD", "pw")).ended(1);
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_keys"]
fn what_is_wrong_with_a_key_in_the_cluster_is_said_as_of_a_folder() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    let image = format!("127.0.0.1:1/app@sha256:{}", "0".repeat(64));
    let sign = |name: &str| {
        let key = format!("k8s://{}", namespace.named(name));
        run_quietly(&mut in_pod(&namespace, &scene, &[], &["sign", "--key", &key, &image]))
    };
    namespace.allow(&json!([]));
    let refused = sign("signing-secrets").ended(4);
    let refused = refused.says("cannot read signing key k8s://").says("403 Forbidden");
    let refused = refused.says(&format!("used:  ServiceAccount {}/signer", namespace.name));
    refused.says(
        r#"{apiGroups: [""], resources: ["secrets"], resourceNames: ["signing-secrets"], verbs: ["get"]}"#,
    );
    namespace.allow(&json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]));
    sign("none").ended(1).says("stepseal generate-key-pair k8s://");
    namespace
        .kubectl(&["create", "secret", "generic", "empty", "--from-literal=a=x", "--from-literal=b=x"])
        .ok();
    sign("empty").ended(2).says("it holds neither cosign.key nor x509.pem, only a, b");
    let keys = scene.keys();
    let from = |name: &str| format!("--from-file={name}={}", keys.join(name).display());
    let key = from("cosign.key");
    namespace.kubectl(&["create", "secret", "generic", "locked", &key]).ok();
    sign("locked").ended(2).says("is encrypted and no password is given");
    namespace
        .kubectl(&["create", "secret", "generic", "wrong", &key, "--from-literal=cosign.password=x"])
        .ok();
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    let pushed = scene.crane_pushes(Kind::Oci, &registry.host(), "team/app", "x").reference();
    let wrong = format!("k8s://{}", namespace.named("wrong"));
    let mut command = in_pod(&namespace, &scene, &[registry.host()], &["sign", "--key", &wrong, &pushed]);
    command.env("STEPSEAL_REGISTRY_CONFIG", scene.credentials());
    run_quietly(&mut command).says("password of k8s://").says("wrong/cosign.password");
    let both = format!("--from-file=x509.pem={}", keys.join("cosign.key").display());
    namespace.kubectl(&["create", "secret", "generic", "both", &key, &both]).ok();
    sign("both").ended(2).says("there are two signing keys in k8s://");
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_keys"]
fn every_command_that_verifies_reads_the_public_key_of_a_secret_and_says_what_is_wrong_with_it() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    let key = |name: &str| format!("k8s://{}", namespace.named(name));
    run_quietly(&mut outside(
        &namespace,
        &scene,
        &["generate-key-pair", &key("signing-secrets"), "--output-key-prefix=new"],
    ))
    .ended(0);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "team/app", "x").reference();
    let stepseal = |arguments: &[&str]| {
        let mut command = in_pod(&namespace, &scene, &[registry.host()], arguments);
        command.env("STEPSEAL_REGISTRY_CONFIG", scene.credentials());
        command.env_remove("STEPSEAL_KEY");
        run_quietly(&mut command)
    };
    namespace.allow(&may_read("signing-secrets"));
    stepseal(&["sign", "--key", &key("signing-secrets"), &image]).ended(0);
    let verify = |name: &str| stepseal(&["verify", "--insecure-ignore-tlog", "--key", &key(name), &image]);
    verify("signing-secrets").ended(0).says("verified   1 image");
    let policy = scene.home().join("work/policy.yaml");
    let by_policy = |name: &str| {
        let rules = "- { name: stepseal, images: [\"**\"], signature: { by: [ci] } }";
        let text = format!("version: 1\nsigners:\n  ci: {{ key: \"{}\" }}\nrules:\n  {rules}\n", key(name));
        std::fs::write(&policy, text).unwrap();
        stepseal(&["verify", "--policy", &policy.display().to_string(), &image])
    };
    by_policy("signing-secrets").ended(0).says("verified   1 image");

    let rule = r#"{apiGroups: [""], resources: ["secrets"], resourceNames: ["other"], verbs: ["get"]}"#;
    let blob = |name: &str| stepseal(&["verify-blob", "--key", &key(name), "--signature", "s", "payload"]);
    for refused in [verify("other"), blob("other")] {
        let refused = refused.ended(4).says("cannot read public key k8s://").says("403 Forbidden").says(rule);
        refused.says(&format!("used:  ServiceAccount {}/signer", namespace.name));
    }
    by_policy("other").ended(4).says("signers.ci.key: cannot read public key k8s://").says("403 Forbidden");

    namespace.allow(&json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]));
    let private = format!("--from-file=cosign.key={}", scene.keys().join("cosign.key").display());
    namespace
        .kubectl(&["create", "secret", "generic", "private", &private, "--from-literal=cosign.password=x"])
        .ok();
    for refused in [verify("private"), blob("private")] {
        let refused = refused.ended(2).says("there is no public key in k8s://");
        refused.says("it does not hold cosign.pub, only cosign.key, cosign.password");
    }
    let pem = "--from-literal=cosign.pub=-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    namespace.kubectl(&["create", "secret", "generic", "broken", pem]).ok();
    verify("broken").ended(2).says("cannot use public key k8s://").says("broken/cosign.pub");
    blob("none").says("cannot read public key k8s://").says("404");
}

fn docker_secret(namespace: &Namespace, name: &str, host: &str) {
    let (user, password) = (format!("--docker-username={USER}"), format!("--docker-password={PASSWORD}"));
    let server = format!("--docker-server={host}");
    namespace.kubectl(&["create", "secret", "docker-registry", name, &server, &user, &password]).ok();
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_keys"]
fn image_pull_secrets_push_a_signature_without_any_file() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "team/app", "x");
    docker_secret(&namespace, "regcred", &registry.host());
    namespace.kubectl(&["create", "secret", "generic", "git", "--from-literal=token=x"]).ok();
    let pull = r#"{"imagePullSecrets":[{"name":"gone"},{"name":"git"},{"name":"regcred"}],"secrets":[{"name":"git"},{"name":"hidden"}]}"#;
    namespace.kubectl(&["patch", "serviceaccount", "signer", "-p", pull]).ok();
    let rules = json!([
        {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["signer"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["regcred", "gone", "git"], "verbs": ["get"]},
    ]);
    namespace.allow(&rules);
    // The pod's own, where nothing is mounted, and the same by its name.
    for more in
        [&[][..], &["--service-account", "signer"], &["--service-account", &namespace.named("signer")]]
    {
        let reference = image.reference();
        let arguments = [&["sign", &reference], more].concat();
        let ran = run_quietly(&mut in_pod(&namespace, &scene, &hosts, &arguments)).ended(0);
        let ran = ran.says("there is no Secret").says("is of type Opaque and holds no registry credentials");
        ran.says("hidden may not be read");
    }
    assert_eq!(scene.verified(Place::Tag, &image.reference()).len(), 1);

    // A registry that refuses it: the message names the Secret.
    namespace.kubectl(&["delete", "secret", "regcred"]).ok();
    let server = format!("--docker-server={}", registry.host());
    let wrong = [
        "create",
        "secret",
        "docker-registry",
        "regcred",
        &server,
        "--docker-username=robot",
        "--docker-password=no",
    ];
    namespace.kubectl(&wrong).ok();
    let sign = |more: &[&str]| {
        let reference = image.reference();
        run_quietly(&mut in_pod(&namespace, &scene, &hosts, &[&["sign", &reference], more].concat()))
    };
    sign(&["--service-account", "signer"])
        .ended(4)
        .says(&format!("of Secret {}", namespace.named("regcred")));

    // Taken away, one rule after the other.
    for (left, missing) in [
        (0, r#"resources: ["secrets"], resourceNames: ["gone"]"#),
        (1, r#"resources: ["serviceaccounts"], resourceNames: ["signer"]"#),
    ] {
        namespace.allow(&json!([rules[left]]));
        sign(&["--service-account", "signer"]).ended(4).says(missing);
        // No setting names it: a note says so, and the registry says the rest.
        sign(&[]).ended(4).says("note: no registry credentials").says(missing);
    }
    namespace.allow(&rules);
    namespace
        .kubectl(&[
            "patch",
            "serviceaccount",
            "signer",
            "--type=merge",
            "-p",
            r#"{"imagePullSecrets":[],"secrets":[]}"#,
        ])
        .ok();
    sign(&["--service-account", "signer"]).ended(2).says("has no registry credentials");
    sign(&["--service-account", "none"]).ended(4).says(r#"resourceNames: ["none"]"#);
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_keys"]
fn an_old_dockercfg_is_accepted_and_a_broken_file_is_named() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "team/app", "x");
    let secret = |content: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "old"}, "type": "kubernetes.io/dockercfg",
            "data": {".dockercfg": STANDARD.encode(content)}})
    };
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    namespace.create(secret(&json!({ registry.host(): {"auth": auth} }).to_string()));
    namespace.kubectl(&["patch", "serviceaccount", "signer", "-p", r#"{"secrets":[{"name":"old"}]}"#]).ok();
    namespace
        .allow(&json!([{"apiGroups": [""], "resources": ["serviceaccounts", "secrets"], "verbs": ["get"]}]));
    let reference = image.reference();
    let sign = || {
        run_quietly(&mut in_pod(
            &namespace,
            &scene,
            &[registry.host()],
            &["sign", "--service-account=signer", &reference],
        ))
    };
    sign().ended(0);
    namespace.kubectl(&["delete", "secret", "old"]).ok();
    namespace.create(secret(&json!({ registry.host(): {"auth": "%%%"} }).to_string()));
    sign().ended(2).says(&format!("cannot use the credentials in Secret {}", namespace.named("old")));
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_keys"]
fn a_token_that_expired_is_said() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    let image = format!("127.0.0.1:1/app@sha256:{}", "0".repeat(64));
    let key = format!("k8s://{}", namespace.named("k"));
    let folder = namespace.account(None);
    // A token of another cluster, by its form a ServiceAccount's, that expired an hour after 1970 began.
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = format!(
        r#"{{"exp":3600,"kubernetes.io":{{"namespace":"{}","serviceaccount":{{"name":"signer","uid":"u"}}}}}}"#,
        namespace.name
    );
    let token = format!("{}.{}.{}", encode(r#"{"alg":"RS256"}"#), encode(&claims), encode("x"));
    std::fs::write(folder.join("token"), token).unwrap();
    let mut sign = in_pod(&namespace, &scene, &[], &["sign", "--key", &key, &image]);
    let ran = run_quietly(sign.env("STEPSEAL_CLUSTER_CREDENTIALS", folder)).ended(4);
    ran.says("401 Unauthorized").says("the token expired").says("ServiceAccount");
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_keys"]
fn an_api_server_that_is_away_is_said_within_the_time_limit() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    let image = format!("127.0.0.1:1/app@sha256:{}", "0".repeat(64));
    let key = format!("k8s://{}", namespace.named("k"));
    let mut sign = in_pod(&namespace, &scene, &[], &["sign", "--timeout=2s", "--key", &key, &image]);
    let begun = std::time::Instant::now();
    let ran = run_quietly(sign.env("KUBERNETES_SERVICE_PORT", "1")).ended(1);
    ran.says("the API server cannot be reached").says("see whether the API server answers");
    assert!(begun.elapsed() < std::time::Duration::from_secs(4));
}
