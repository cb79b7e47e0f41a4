//! The kubeconfig below `$HOME`, mounted there and not.

use kube::config::AuthInfo;
use serde_json::{Value, json};

use super::*;
use crate::exit::ExitCode;
use crate::explain::{Explain as _, Explanation};
use crate::input::shared_folder::tests::Disk;

/// The kubeconfig of `user`, for a cluster with these fields beside its address.
fn kubeconfig(cluster: &Value, user: &Value) -> String {
    let mut cluster = cluster.clone();
    cluster["server"] = json!("http://127.0.0.1:1");
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "me", "user": user}, {"name": "other", "user": {"exec": {"command": "/bin/false"}}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "me", "namespace": "ci"}}],
    })
    .to_string()
}

/// The kubeconfigs of a pod, below whose `$HOME` these files are mounts.
fn shared(disk: &Disk, mounts: &[&str]) -> Kubeconfigs {
    let setting = "KUBECONFIG=/h/.kube/config".to_owned();
    let folder = SharedFolder::new(disk.path("home/.kube"), setting, disk.mounts(mounts));
    Kubeconfigs { home: Some(HomeFolder::Shared(folder)), ..Kubeconfigs::default() }
}

/// Later than any of these files takes to be read.
fn soon() -> Instant {
    Instant::now() + std::time::Duration::from_secs(60)
}

async fn user(kubeconfigs: &Kubeconfigs) -> AuthInfo {
    kubeconfigs.load_home(soon()).await.unwrap().unwrap().config.auth_info
}

async fn error(kubeconfigs: &Kubeconfigs) -> Explanation {
    let error = kubeconfigs.load_home(soon()).await.err().expect("an error");
    assert_eq!(error.exit(), ExitCode::Usage);
    Explanation::of(&error)
}

const FOLDER: &[&str] = &["home/.kube"];
const FILE: &[&str] = &["home/.kube/config"];

#[tokio::test]
async fn a_kubeconfig_below_home_is_read_in_a_pod_if_it_is_mounted() {
    let disk = Disk::new();
    assert!(shared(&disk, FOLDER).load_home(soon()).await.unwrap().is_none());
    disk.file("home/.kube/config", &kubeconfig(&json!({}), &json!({"token": "t"})));
    for mounts in [FOLDER, FILE] {
        let kubeconfigs = shared(&disk, mounts);
        assert!(user(&kubeconfigs).await.token.is_some());
        assert_eq!(kubeconfigs.unread(), None);
    }
    let kubeconfigs = shared(&disk, &[]);
    assert!(kubeconfigs.load_home(soon()).await.unwrap().is_none());
    let unread = kubeconfigs.unread().unwrap();
    assert!(
        unread.contains("home/.kube/config") && unread.contains("KUBECONFIG=/h/.kube/config"),
        "{unread}"
    );
    // Elsewhere than in a pod, `$HOME` is the user's own.
    let home = Some(HomeFolder::Private(disk.path("home/.kube")));
    let private = Kubeconfigs { home, ..Kubeconfigs::default() };
    assert!(user(&private).await.token.is_some());
}

#[tokio::test]
async fn a_mounted_kubeconfig_that_nobody_named_runs_no_program() {
    let disk = Disk::new();
    let setting = format!("KUBECONFIG={}", disk.path("home/.kube/config").display());
    let gcp = |config: Value| json!({"auth-provider": {"name": "gcp", "config": config}});
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "/plugin\n", "interactiveMode": "Never"});
    for (user, program) in [
        (json!({"exec": exec}), "/plugin"),
        (json!({"exec": exec, "token": "t"}), "/plugin"),
        (json!({"exec": {}}), ""),
        (gcp(json!({"cmd-path": "/gcloud"})), "/gcloud"),
        (
            gcp(json!({"cmd-path": "/gcloud", "access-token": "t", "expiry": "2999-01-01T00:00:00Z"})),
            "/gcloud",
        ),
    ] {
        disk.file("home/.kube/config", &kubeconfig(&json!({}), &user));
        for mounts in [FOLDER, FILE] {
            let shown = error(&shared(&disk, mounts)).await;
            assert!(shown.error.contains(program) && !shown.error.contains('\n'), "{shown}");
            assert!(shown.hint.as_ref().unwrap().contains(&setting), "{shown}");
        }
        let home = Some(HomeFolder::Private(disk.path("home/.kube")));
        let private = Kubeconfigs { home, ..Kubeconfigs::default() };
        assert!(private.load_home(soon()).await.unwrap().is_some());
        let named = Kubeconfigs { named: Some(vec![disk.path("home/.kube/config")]), ..shared(&disk, &[]) };
        assert!(named.load_named(soon()).await.unwrap().is_ok());
        assert_eq!(named.unread(), None);
    }
}

#[tokio::test]
async fn files_that_a_mounted_kubeconfig_names_are_mounted_too() {
    let pem = include_str!("../../../tests/data/keys/p256.crt");
    let files = [
        ("certificate-authority", pem),
        ("client-certificate", "cert"),
        ("client-key", "key"),
        ("tokenFile", "t\n"),
    ];
    for (at, (field, content)) in files.iter().enumerate() {
        let part = json!({(*field): "pki/file"});
        let (cluster, of_user) = if at == 0 { (part, json!({})) } else { (json!({}), part) };
        let disk = Disk::new();
        disk.file("home/.kube/config", &kubeconfig(&cluster, &of_user));
        let shown = error(&shared(&disk, FOLDER)).await;
        assert!(shown.error.contains("home/.kube/pki/file"), "{shown}");
        disk.file("home/.kube/pki/file", content);
        let found = shared(&disk, FOLDER).load_home(soon()).await.unwrap().unwrap().config;
        match at {
            0 => assert!(found.root_cert.is_some_and(|certificates| certificates.len() == 1)),
            1 => assert_eq!(found.auth_info.client_certificate_data, Some(STANDARD.encode("cert"))),
            2 => assert!(found.auth_info.client_key_data.is_some() && found.auth_info.client_key.is_none()),
            _ => assert!(found.auth_info.token.is_some() && found.auth_info.token_file.is_none()),
        }
        // The kubeconfig alone is mounted: another step may have written the file beside it.
        let shown = error(&shared(&disk, FILE)).await;
        assert!(shown.error.contains("home/.kube/pki/file"), "{shown}");
        // A link to a mount is a link all the same.
        disk.file("elsewhere/file", content);
        std::fs::remove_file(disk.path("home/.kube/pki/file")).unwrap();
        disk.link("/elsewhere/file", "home/.kube/pki/file");
        error(&shared(&disk, &["home/.kube", "elsewhere"])).await;
        error(&shared(&disk, &["home/.kube/config", "elsewhere"])).await;
    }
}

#[tokio::test]
async fn a_mounted_kubeconfig_that_can_not_be_read_is_named() {
    let disk = Disk::new();
    let write = |bytes: &[u8]| {
        disk.file("home/.kube/config", "");
        std::fs::write(disk.path("home/.kube/config"), bytes).unwrap();
    };
    let long = vec![b' '; usize::try_from(FILE_BYTES).unwrap() + 1];
    for bytes in [b"{".as_slice(), b"\xff", &long] {
        write(bytes);
        let shown = error(&shared(&disk, FOLDER)).await;
        assert!(shown.error.contains("home/.kube/config"), "{shown}");
    }
    std::fs::remove_file(disk.path("home/.kube/config")).unwrap();
    std::fs::create_dir(disk.path("home/.kube/config")).unwrap();
    error(&shared(&disk, FOLDER)).await;
}

#[tokio::test]
async fn a_fifo_that_nobody_writes_to_is_waited_for_until_the_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let kubeconfigs = Kubeconfigs { named: Some(vec![path]), ..Kubeconfigs::default() };
    let deadline = Instant::now() + std::time::Duration::from_millis(50);
    let Some(Err(Missing::Unusable(error))) = kubeconfigs.load_named(deadline).await else {
        panic!("it is read")
    };
    assert!(error.hint().unwrap().contains("regular file"));
    for device in ["/dev/zero", "/dev/null"] {
        let kubeconfigs = Kubeconfigs { named: Some(vec![device.into()]), ..Kubeconfigs::default() };
        let Some(Err(Missing::Unusable(error))) = kubeconfigs.load_named(soon()).await else {
            panic!("{device} is read")
        };
        assert!(Explanation::of(&error).to_string().contains("it is a device"));
    }
}

#[tokio::test]
async fn an_error_shows_nothing_of_a_kubeconfig() {
    let folder = tempfile::tempdir().unwrap();
    for text in
        ["hunter2\nhunter3", "users:\n- name: a\n  user: {token: [hunter2]}", "a:\n\tb: hunter2", "\"hunter2"]
    {
        let path = folder.path().join("config");
        std::fs::write(&path, text).unwrap();
        let kubeconfigs = Kubeconfigs { named: Some(vec![path]), ..Kubeconfigs::default() };
        let Some(Err(Missing::Unusable(error))) = kubeconfigs.load_named(soon()).await else {
            panic!("{text} is read")
        };
        let shown = Explanation::of(&error).to_string();
        assert!(!shown.contains("hunter") && shown.contains("line "), "{shown}");
    }
}

#[test]
fn an_error_shows_nothing_that_an_exec_plugin_printed() {
    use crate::cluster::SetupFault;
    use std::os::unix::process::ExitStatusExt as _;
    let status = std::process::ExitStatus::from_raw(0x100);
    let out =
        Box::new(std::process::Output { status, stdout: b"hunter2".to_vec(), stderr: b"hunter2".to_vec() });
    let error = kube::client::AuthError::AuthExecRun { cmd: "aws".to_owned(), out };
    let shown = SetupFault::from(kube::Error::Auth(error)).to_string();
    assert_eq!(shown, "the exec plugin \"aws\" ended with exit status: 1");
}

#[tokio::test]
async fn a_plugin_gets_the_environment_of_programs_and_what_the_kubeconfig_adds() {
    let disk = Disk::new();
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/plugin", "interactiveMode": "Never",
        "env": [{"name": "USER", "value": "own"}, {"name": "https_proxy", "value": "http://own"}],
        "drop_env": ["X"],
    });
    let user = json!({"exec": exec, "auth-provider": {"name": "gcp", "config": {"cmd-path": "gcloud"}}});
    let path = disk.path("kubeconfig");
    let text = kubeconfig(&json!({}), &user).replace("http://127.0.0.1:1", "https://api.example");
    std::fs::write(&path, text).unwrap();
    let secret = |text: &str| crate::secret::Secret::new(text);
    let programs = ProgramEnvironment::new(
        [],
        [
            ("HTTPS_PROXY".into(), secret("http://u:p@proxy:1")),
            ("https_proxy".into(), secret("http://u:p@other:1")),
        ],
        ["USER".into(), "COSIGN_PASSWORD".into(), "STEPSEAL_KEY".into()],
    );
    let kubeconfigs = Kubeconfigs { named: Some(vec![path]), programs, ..Kubeconfigs::default() };
    let Some(Ok(Loaded { config, .. })) = kubeconfigs.load_named(soon()).await else { panic!("it is read") };
    assert_eq!(config.proxy_url.unwrap(), "http://u:p@proxy:1", "the proxy of this process");
    let exec = config.auth_info.exec.unwrap();
    let dropped = exec.drop_env.unwrap();
    assert!(dropped.ends_with(&["COSIGN_PASSWORD".to_owned(), "STEPSEAL_KEY".to_owned()]), "{dropped:?}");
    assert!(!dropped.contains(&"USER".to_owned()), "kube would take away what the kubeconfig adds");
    let added = exec.env.unwrap().into_iter();
    let added: Vec<String> = added.map(|pair| format!("{}={}", pair["name"], pair["value"])).collect();
    assert_eq!(added, ["USER=own", "https_proxy=http://own", "HTTPS_PROXY=http://u:p@proxy:1"]);
    let provider = config.auth_info.auth_provider.unwrap();
    assert_eq!(provider.config["cmd-drop-env"], " COSIGN_PASSWORD STEPSEAL_KEY USER");
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_unless_no_proxy_names_the_server() {
    let disk = Disk::new();
    let proxy_of = async |server: &str, own: Option<&str>, no_proxy: &str| {
        let cluster = own.map_or_else(|| json!({}), |own| json!({ "proxy-url": own }));
        let text = kubeconfig(&cluster, &json!({})).replace("http://127.0.0.1:1", server);
        let path = disk.path("kubeconfig");
        std::fs::write(&path, text).unwrap();
        let variables =
            [("HTTPS_PROXY", "proxy:1"), ("HTTP_PROXY", "http://plain:1"), ("NO_PROXY", no_proxy)];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let programs = ProgramEnvironment::new(variables, [], []);
        let kubeconfigs = Kubeconfigs { named: Some(vec![path]), programs, ..Kubeconfigs::default() };
        let Some(Ok(Loaded { config, .. })) = kubeconfigs.load_named(soon()).await else {
            panic!("it is read")
        };
        config.proxy_url.map(|proxy| proxy.to_string())
    };
    for (server, own, no_proxy, want) in [
        ("https://api.example:6443", None, "", Some("http://proxy:1/")),
        ("http://api.example:6443", None, "", Some("http://plain:1/")),
        ("https://api.example:6443", None, "other.example,api.example:443", Some("http://proxy:1/")),
        ("https://api.example:6443", None, "*.example", None),
        ("https://api.example:6443", None, "api.example:6443", None),
        ("https://10.1.2.3:6443", None, "10.0.0.0/8", None),
        ("https://127.0.0.1:6443", None, "", None),
        // What the kubeconfig says itself counts, as with kubectl.
        ("https://api.example:6443", Some("http://own:1"), "*", Some("http://own:1/")),
    ] {
        assert_eq!(proxy_of(server, own, no_proxy).await.as_deref(), want, "{server} {own:?} {no_proxy}");
    }
}

#[tokio::test]
async fn a_token_loses_its_line_break_and_one_that_no_header_can_have_is_an_error() {
    use secrecy::ExposeSecret as _;
    let disk = Disk::new();
    for (token, wanted) in [("t\n", Some("t")), (" t ", Some("t")), ("a\nb", None), ("a\u{1}b", None)] {
        disk.file("home/.kube/config", &kubeconfig(&json!({}), &json!({ "token": token })));
        let kubeconfigs = shared(&disk, FOLDER);
        match wanted {
            Some(wanted) => {
                assert_eq!(user(&kubeconfigs).await.token.unwrap().expose_secret(), wanted, "{token:?}");
            }
            None => assert!(error(&kubeconfigs).await.to_string().contains("no HTTP header"), "{token:?}"),
        }
    }
}
