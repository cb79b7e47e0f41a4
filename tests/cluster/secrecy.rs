//! A build step that tries to get at what is mounted into the signing step.

use crate::kit::place::KEY_PASSWORD;
use crate::kit::steps::{
    SOCKET, build, shell, sign, sign_by_agent, task_run, task_run_with_agent, with_socket,
};
use crate::kit::{registry, scenario};

/// Looks through every file system and every process that it can see, while the pod's other containers wait beside it.
const SEARCH: &str = r#"
for path in /etc/signing-secrets /etc/registry-credentials /tekton/creds /tekton/creds-secrets /tekton/home \
            /proc/[0-9]*/root/etc/signing-secrets /proc/[0-9]*/root/etc/registry-credentials /var/run/secrets; do
  for file in $path $path/* $path/*/* $path/.docker*; do
    if [ -f "$file" ] && cat "$file" 2>/dev/null; then echo "READ $file"; fi
  done
done
for process in /proc/[0-9]*; do
  tr '\0' '\n' <$process/environ 2>/dev/null || true
  cat $process/cmdline 2>/dev/null | tr '\0' ' ' || true
done
grep -rls -e 'BEGIN ENCRYPTED' -e 'auths' /etc /tekton /workspace /run /var/run /home /root 2>/dev/null | grep -v build-credentials || true
echo searched
"#;

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn the_build_step_cannot_read_the_key() {
    scenario("the_build_step_cannot_read_the_key", |place| {
        let repository = place.for_main_registry();
        place.login("registry-credentials", &registry::main().host, registry::USER, registry::PASSWORD);
        let steps = [build(&repository), shell("steal", SEARCH), sign(&[])];
        let run = place.succeeds("steal", &task_run(&steps));
        place.verified(&run.image());
        let logs = place.logs(&run);
        let stolen: Vec<&str> = logs.lines().filter(|line| line.starts_with("[steal]")).collect();
        let stolen = stolen.join("\n");
        assert!(stolen.contains("searched"), "{logs}");
        for secret in
            ["READ ", "BEGIN ENCRYPTED", KEY_PASSWORD, registry::PASSWORD, "/etc/signing-secrets", "auths"]
        {
            assert!(!stolen.contains(secret), "{secret}: {stolen}");
        }
    });
}

/// Beside an agent neither the build nor the signing step has the key, and no step can put another socket in its place.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn no_step_can_read_the_key_of_an_agent() {
    scenario("no_step_can_read_the_key_of_an_agent", |place| {
        let repository = place.for_main_registry();
        let replace = format!(
            "for change in 'rm -f {SOCKET}' 'mv {SOCKET} /run/stepseal/old' 'touch /run/stepseal/x' 'chmod 0 {SOCKET}'; do\n\
             if $change 2>/dev/null; then echo \"CHANGED: $change\"; fi; done"
        );
        let steal = with_socket(shell("steal", &format!("{SEARCH}\n{replace}")));
        let steps = [build(&repository), steal, sign_by_agent(&[])];
        let run = place.succeeds("steal", &task_run_with_agent(&steps, &["--allow", &repository]));
        place.verified(&run.image());
        let logs = place.logs(&run);
        let stolen: Vec<&str> = logs.lines().filter(|line| line.starts_with("[steal]")).collect();
        let stolen = stolen.join("\n");
        assert!(stolen.contains("searched"), "{logs}");
        for secret in [
            "READ ",
            "CHANGED",
            "BEGIN ENCRYPTED",
            KEY_PASSWORD,
            registry::PASSWORD,
            "/etc/signing-secrets",
            "auths",
        ] {
            assert!(!stolen.contains(secret), "{secret}: {stolen}");
        }
    });
}
