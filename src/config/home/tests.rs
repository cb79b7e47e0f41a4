//! Tests of what is read below `$HOME`, in a pod and outside.

use std::collections::BTreeMap;

use super::*;
use crate::input::shared_folder::tests::Disk;
use crate::registry::Keychain as _;
use crate::registry::credentials::FileKeychain;

type Variables = BTreeMap<&'static str, String>;

/// A dockerconfigjson with a login of `user`.
fn login(user: &str) -> String {
    serde_json::json!({"auths": {"reg.example": {"username": user, "password": "p"}}}).to_string()
}

/// The files that are read, and the note about those that aren't, without the disk's root path.
fn read(disk: &Disk, variables: &Variables, mounts: &[&str]) -> (Vec<String>, String) {
    let env = |name: &str| variables.get(name).cloned();
    let home = HomeDir::with(&env, &disk.path("tekton"), disk.mounts(mounts));
    let mut places = home.credentials(&env);
    // Ignores the real locations of this machine.
    places.paths.retain(|place| !place.path().starts_with("/etc") && !place.path().starts_with("/tekton"));
    let keychain = FileKeychain::load(places, ProgramEnvironment::default()).unwrap();
    let short = |text: &str| text.replace(disk.root.to_str().unwrap(), "");
    let sources = keychain.sources().iter().map(|source| short(source)).collect();
    (sources, short(keychain.unread().unwrap_or_default()))
}

/// How a pod is recognized, or that there is no pod.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Surroundings {
    Variable,
    Tekton,
    NoPod,
}

/// The form of the login below `$HOME`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Below {
    File,
    Mount,
    FileMount,
    Link,
    FolderLink,
}

#[test]
fn a_login_below_home_is_read_in_a_pod_only_if_named_or_mounted() {
    use {Below::*, Surroundings::*};
    for surroundings in [Variable, Tekton, NoPod] {
        for below in [File, Mount, FileMount, Link, FolderLink] {
            for named in [None, Some("DOCKER_CONFIG"), Some("REGISTRY_AUTH_FILE")] {
                let disk = Disk::new();
                disk.file("secret/config.json", &login("ci"));
                match below {
                    Link => disk.link("/secret/config.json", "home/.docker/config.json"),
                    FolderLink => disk.link("/secret", "home/.docker"),
                    _ => disk.file("home/.docker/config.json", &login("ci")),
                }
                let mounts: &[&str] = match below {
                    Mount => &["secret", "home/.docker"],
                    FileMount => &["secret", "home/.docker/config.json"],
                    _ => &["secret"],
                };
                let mut variables = Variables::from([("HOME", disk.path("home").display().to_string())]);
                match surroundings {
                    Variable => drop(variables.insert("KUBERNETES_SERVICE_HOST", "10.0.0.1".into())),
                    Tekton => std::fs::create_dir(disk.path("tekton")).unwrap(),
                    NoPod => {}
                }
                if let Some(name) = named {
                    variables.insert(name, disk.path("home/.docker/config.json").display().to_string());
                }
                let (files, unread) = read(&disk, &variables, mounts);
                let case = format!("{surroundings:?} {below:?} {named:?}: {files:?} {unread}");
                let allowed = surroundings == NoPod || [Mount, FileMount].contains(&below) || named.is_some();
                let expected: &[&str] = if allowed { &["/home/.docker/config.json"] } else { &[] };
                assert_eq!(files, expected, "{case}");
                assert_eq!(unread.is_empty(), allowed, "{case}");
                assert!(allowed || unread.contains("DOCKER_CONFIG=/home/.docker"), "{case}");
            }
        }
    }
}

#[test]
fn ignored_files_below_home_are_not_opened() {
    let disk = Disk::new();
    disk.file("home/.docker/config.json", "not JSON");
    std::fs::create_dir(disk.path("home/.docker/.dockercfg")).unwrap();
    disk.link("nowhere", "home/.docker/.dockerconfigjson");
    let variables = Variables::from([
        ("HOME", disk.path("home").display().to_string()),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1".into()),
    ]);
    let (files, unread) = read(&disk, &variables, &[]);
    assert!(files.is_empty(), "{files:?}");
    for name in ["config.json", ".dockercfg", ".dockerconfigjson"] {
        assert!(unread.contains(&format!("/home/.docker/{name}")), "{unread}");
    }
}

#[test]
fn no_value_of_home_bypasses_the_rules() {
    let disk = Disk::new();
    disk.file("home/.docker/config.json", &login("planted"));
    disk.file("mounted/config.json", &login("ci"));
    disk.link("home", "link");
    disk.link("mounted", "home/.docker-link");
    let path = |name: &str| disk.path(name).display().to_string();
    let cwd = std::env::current_dir().unwrap();
    let up = "../".repeat(cwd.components().count());
    for home in [
        String::new(),
        path("home"),
        path("home") + "/",
        path("home") + "//",
        path("home/."),
        path("home/../home"),
        path("link"),
        path("link") + "/",
        format!("{up}{}", path("home")),
        "/".into(),
        "//".into(),
        ".".into(),
        "~".into(),
        path("mounted"),
        path("home/.docker"),
        path("nowhere"),
        path("home/.docker/config.json"),
    ] {
        let variables = Variables::from([
            ("HOME", home.clone()),
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1".into()),
            ("DOCKER_CONFIG", path("mounted")),
        ]);
        let (files, _) = read(&disk, &variables, &["mounted"]);
        assert_eq!(files, ["/mounted/config.json"], "HOME={home:?}");
    }
}

/// A named directory is read, and no note claims that it wasn't.
#[test]
fn a_named_directory_may_be_home_or_below_it() {
    let disk = Disk::new();
    disk.file("home/.docker/config.json", &login("ci"));
    disk.file("home/config.json", &login("ci"));
    for (docker_config, expected) in [
        ("home", "/home/config.json"),
        ("home/.docker", "/home/.docker/config.json"),
        ("home/.docker/", "/home/.docker/config.json"),
        ("home/.docker/config.json", "/home/.docker/config.json"),
    ] {
        let variables = Variables::from([
            ("HOME", disk.path("home").display().to_string()),
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1".into()),
            ("DOCKER_CONFIG", disk.path(docker_config).display().to_string()),
        ]);
        let (files, unread) = read(&disk, &variables, &[]);
        assert_eq!(files, [expected]);
        assert_eq!(unread.is_empty(), docker_config != "home", "{docker_config}: {unread}");
    }
}

#[test]
fn a_pod_is_recognized_by_its_variable_or_by_tektons_directory() {
    let disk = Disk::new();
    let in_pod = |host: Option<&str>, tekton: &str| {
        let env = |name: &str| host.filter(|_| name == "KUBERNETES_SERVICE_HOST").map(str::to_owned);
        HomeDir::with(&env, &disk.path(tekton), disk.mounts(&[])).in_pod
    };
    disk.file("file", "");
    disk.link("nowhere", "link");
    assert!(in_pod(Some("10.0.0.1"), "absent"));
    assert!(in_pod(Some(" "), "absent"));
    assert!(!in_pod(Some(""), "absent"));
    assert!(!in_pod(None, "absent"));
    for there in ["home", "file", "link", "file/below"] {
        assert!(in_pod(None, there), "{there}");
    }
}

#[test]
fn the_default_locations_match_the_documented_order() {
    let disk = Disk::new();
    let paths = |variables: &Variables| {
        let env = |name: &str| variables.get(name).cloned();
        let places = HomeDir::with(&env, &disk.path("tekton"), disk.mounts(&[])).credentials(&env).paths;
        places.iter().map(|place| place.path().display().to_string()).collect::<Vec<_>>()
    };
    let mut variables = Variables::from([
        ("DOCKER_CONFIG", "/docker".to_owned()),
        ("REGISTRY_AUTH_FILE", "/auth.json".to_owned()),
        ("HOME", "/".to_owned()),
    ]);
    let all = ["/etc/registry-credentials", "/docker", "/auth.json", "/.docker", "/tekton/creds/.docker"];
    assert_eq!(paths(&variables), all);
    variables.insert("KUBERNETES_SERVICE_HOST", "10.0.0.1".into());
    assert_eq!(paths(&variables), all);
    let empty = variables.into_keys().map(|name| (name, String::new())).collect();
    assert_eq!(paths(&empty), ["/etc/registry-credentials", "/tekton/creds/.docker"]);
}

/// Only this module uses the variables and functions that lead below `$HOME`.
#[test]
fn no_other_module_reads_below_home() {
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            if path.ends_with("config/home.rs") || path.ends_with("config/home/tests.rs") {
                seen += 1;
                continue;
            }
            let ways = [
                "\"HOME\"",
                "XDG_",
                "home_dir(",
                "Config::infer",
                "Kubeconfig::read()",
                "Kubeconfig::from_env",
                "try_default()",
            ];
            // `config/sources.rs` names the variables to reject blanks in them, and reads no file.
            let names_only = path.ends_with("config/sources.rs");
            let variables = BELOW_HOME.iter().filter(|_| !names_only);
            let variables = variables.map(|below| format!("\"{}\"", below.variable));
            for way in variables.chain(ways.map(str::to_owned)) {
                assert!(!text.contains(&way), "{} has {way}", path.display());
            }
        }
    }
    assert_eq!(seen, 2);
}

/// Other steps can write to a directory on a volume, but not on the root file system.
#[test]
fn programs_in_a_pod_get_no_home_on_a_volume() {
    let disk = Disk::new();
    std::fs::create_dir_all(disk.path("volume/home")).unwrap();
    std::fs::create_dir_all(disk.path("root/home")).unwrap();
    disk.link("/volume/home", "root/link");
    let why = |home: &str, pod: bool| {
        let mut variables = Variables::from([("HOME", home.to_owned())]);
        if pod {
            variables.insert("KUBERNETES_SERVICE_HOST", "10.0.0.1".into());
        }
        let env = |name: &str| variables.get(name).cloned();
        HomeDir::with(&env, &disk.path("tekton"), disk.mounts(&["volume"])).unfit_for_programs()
    };
    let at = |name: &str| disk.path(name).display().to_string();
    for (home, fit) in [
        (at("root/home"), true),
        (at("root/not/there/yet"), true),
        ("/".into(), true),
        (String::new(), true),
        (at("volume"), false),
        (at("volume/home"), false),
        (at("volume/not/there/yet"), false),
        (at("root/link"), false),
        ("relative".into(), false),
    ] {
        assert_eq!(why(&home, true).is_none(), fit, "{home}: {:?}", why(&home, true));
        assert_eq!(why(&home, false), None, "{home} outside a pod");
    }
    let env = |name: &str| Some(if name == "HOME" { at("root/home") } else { "10.0.0.1".to_owned() });
    let unknown = HomeDir::with(&env, &disk.path("tekton"), Arc::new(|_| None)).unfit_for_programs();
    assert!(unknown.unwrap().contains("is unknown"));
}
