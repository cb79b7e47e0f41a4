//! The keychain as a whole: files on disk, helpers on a path of their own.

use std::os::unix::fs::symlink;

use super::*;
use crate::exit::ExitCode;
use crate::explain::Explain as _;
use crate::explain::Explanation;
use crate::secret::Secret;

/// A temporary directory with files in it.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(files: &[(&str, &str)]) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            let path = disk.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Loads places that all must be there.
    fn load(&self, places: &[&str]) -> Result<FileKeychain, CredentialError> {
        FileKeychain::load(Places::explicit(places.iter().map(|name| self.path(name))), self.programs())
    }

    /// Loads places that may be absent.
    fn load_defaults(&self, places: &[&str]) -> Result<FileKeychain, CredentialError> {
        let paths = places.iter().map(|name| Place::optional(self.path(name))).collect();
        FileKeychain::load(Places { paths }, self.programs())
    }

    /// Helpers are in `bin`.
    fn programs(&self) -> ProgramEnvironment {
        ProgramEnvironment::new(
            [("PATH".into(), format!("{}:/usr/bin:/bin", self.path("bin").display()).into())],
            [],
            [],
        )
    }

    fn helper(&self, name: &str, body: &str) {
        std::fs::create_dir_all(self.path("bin")).unwrap();
        helper::tests::script(&self.path("bin"), name, body);
    }

    /// `text` with the directory's own name as `DISK`.
    fn anonymous(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "DISK")
    }
}

/// What is found for a repository, as the log says it.
async fn found(keychain: &FileKeychain, disk: &Disk, repository: &str) -> Vec<String> {
    let repository = repository.parse().unwrap();
    let found = keychain.credentials(&repository).await.unwrap();
    found.iter().map(|credential| disk.anonymous(&credential.to_string())).collect()
}

async fn explained(keychain: &FileKeychain, disk: &Disk, repository: &str) -> String {
    let repository = repository.parse().unwrap();
    let error = keychain.credentials(&repository).await.unwrap_err();
    disk.anonymous(&Explanation::of(&error).to_string())
}

/// `{"auths": …}` with a user for each key; each has the password `hunter2`.
fn auths(users: &[(&str, &str)]) -> String {
    let entries = users
        .iter()
        .map(|(key, user)| (key.to_string(), serde_json::json!({"username": user, "password": "hunter2"})));
    serde_json::json!({"auths": entries.collect::<serde_json::Map<_, _>>()}).to_string()
}

#[tokio::test]
async fn every_entry_that_fits_is_given_the_longest_path_first() {
    let first = auths(&[
        ("*.example", "pattern"),
        ("reg.example", "host"),
        ("reg.example/team-b", "other"),
        ("reg.example/team/app", "app"),
        ("reg.example:5000", "port"),
    ]);
    let second = auths(&[
        ("https://reg.example/v2/", "host2"),
        ("reg.example/team", "team"),
        ("*.example/team", "p2"),
    ]);
    let disk = Disk::new(&[("a.json", &first), ("b.json", &second)]);
    let keychain = disk.load(&["a.json", "b.json"]).unwrap();
    assert_eq!(
        found(&keychain, &disk, "reg.example/team/app").await,
        [
            "user \"app\", entry \"reg.example/team/app\" of DISK/a.json",
            "user \"team\", entry \"reg.example/team\" of DISK/b.json",
            "user \"host\", entry \"reg.example\" of DISK/a.json",
            "user \"host2\", entry \"https://reg.example/v2/\" of DISK/b.json",
            "user \"p2\", entry \"*.example/team\" of DISK/b.json",
            "user \"pattern\", entry \"*.example\" of DISK/a.json",
        ]
    );
    assert_eq!(found(&keychain, &disk, "elsewhere.test/team/app").await, [""; 0]);
    assert_eq!(keychain.sources(), [disk.path("a.json"), disk.path("b.json")]);
}

#[tokio::test]
async fn one_login_is_given_once_and_its_first_place_named() {
    let disk = Disk::new(&[
        ("a.json", &auths(&[("reg.example", "ci")])),
        ("b.json", &auths(&[("reg.example/team", "ci"), ("reg.example", "other")])),
    ]);
    let keychain = disk.load(&["a.json", "b.json"]).unwrap();
    assert_eq!(
        found(&keychain, &disk, "reg.example/team/app").await,
        [
            "user \"ci\", entry \"reg.example/team\" of DISK/b.json",
            "user \"other\", entry \"reg.example\" of DISK/b.json"
        ]
    );
}

#[tokio::test]
async fn a_directory_may_hold_all_three_files() {
    let legacy = r#"{"https://reg.example/v1/": {"auth": "bGVnYWN5OmE="}}"#;
    let disk = Disk::new(&[
        ("creds/.dockercfg", legacy),
        ("creds/config.json", &auths(&[("reg.example", "docker")])),
        ("creds/.dockerconfigjson", &auths(&[("reg.example", "kubernetes")])),
        ("creds/other.json", "not looked at"),
    ]);
    let keychain = disk.load(&["creds"]).unwrap();
    assert_eq!(
        found(&keychain, &disk, "reg.example/app").await,
        [
            "user \"kubernetes\", entry \"reg.example\" of DISK/creds/.dockerconfigjson",
            "user \"docker\", entry \"reg.example\" of DISK/creds/config.json",
            "user \"legacy\", entry \"https://reg.example/v1/\" of DISK/creds/.dockercfg",
        ]
    );
}

#[tokio::test]
async fn a_mounted_secret_is_a_link_into_its_data_directory() {
    let disk = Disk::new(&[("creds/..2024/.dockerconfigjson", &auths(&[("reg.example", "ci")]))]);
    symlink("..2024", disk.path("creds/..data")).unwrap();
    symlink("..data/.dockerconfigjson", disk.path("creds/.dockerconfigjson")).unwrap();
    let keychain = disk.load(&["creds"]).unwrap();
    assert_eq!(found(&keychain, &disk, "reg.example/app").await.len(), 1);
}

#[test]
fn a_file_with_two_names_is_read_once() {
    let disk = Disk::new(&[("creds/config.json", "{}")]);
    symlink(disk.path("creds"), disk.path("link")).unwrap();
    symlink("config.json", disk.path("creds/.dockerconfigjson")).unwrap();
    let keychain = disk.load(&["creds/config.json", "link", "creds/../creds/config.json"]).unwrap();
    assert_eq!(keychain.sources(), [disk.path("creds/config.json")]);
}

#[test]
fn only_default_places_may_be_absent_or_empty() {
    let disk = Disk::new(&[("file", "{}")]);
    std::fs::create_dir(disk.path("empty")).unwrap();
    let keychain = disk.load_defaults(&["absent", "empty", "file/.docker", "file"]).unwrap();
    assert_eq!(keychain.sources(), [disk.path("file")]);
    assert!(matches!(disk.load(&["absent"]), Err(CredentialError::Missing { .. })));
    assert!(matches!(disk.load(&["file/.docker"]), Err(CredentialError::Missing { .. })));
    assert!(matches!(disk.load(&["empty"]), Err(CredentialError::NoFile { .. })));
}

/// What is there and can't be used is an error, also at a default place.
#[test]
fn what_is_there_and_cannot_be_used_is_an_error_everywhere() {
    let disk = Disk::new(&[
        ("big.json", &" ".repeat(MAX_FILE_BYTES + 1)),
        ("fits.json", &("{}".to_owned() + &" ".repeat(MAX_FILE_BYTES - 2))),
        ("bad/config.json", "hunter2"),
    ]);
    std::fs::create_dir_all(disk.path("dir/config.json")).unwrap();
    symlink("loop", disk.path("loop")).unwrap();
    symlink("nowhere", disk.path("dangling")).unwrap();
    std::fs::create_dir(disk.path("secret")).unwrap();
    symlink("..data/config.json", disk.path("secret/config.json")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, disk.path("fifo"), fifo, rustix::fs::Mode::RUSR, 0).unwrap();

    type Check = fn(&CredentialError) -> bool;
    let cases: [(&str, Check); 7] = [
        ("big.json", |error| matches!(error, CredentialError::TooBig { .. })),
        ("bad", |error| matches!(error, CredentialError::Format { .. })),
        ("dir", |error| matches!(error, CredentialError::NotRegular { .. })),
        ("fifo", |error| matches!(error, CredentialError::NotRegular { .. })),
        ("loop", |error| matches!(error, CredentialError::Read { .. })),
        ("dangling", |error| matches!(error, CredentialError::Read { .. })),
        ("secret", |error| matches!(error, CredentialError::Read { .. })),
    ];
    for (place, want) in cases {
        for result in [disk.load(&[place]), disk.load_defaults(&[place])] {
            let error = result.unwrap_err();
            assert!(want(&error), "{place}: {error:?}");
            assert_eq!(error.exit(), ExitCode::Usage);
            let shown = Explanation::of(&error);
            assert!(
                shown.error.contains(disk.path(place).to_str().unwrap()) && shown.hint.is_some(),
                "{shown}"
            );
            assert!(!format!("{error:?}{shown}").contains("hunter2"), "{shown}");
        }
    }
    disk.load(&["fits.json"]).unwrap();
}

#[test]
fn a_file_without_permission_is_an_error() {
    use std::os::unix::fs::PermissionsExt as _;
    let disk = Disk::new(&[("config.json", "{}")]);
    std::fs::set_permissions(disk.path("config.json"), std::fs::Permissions::from_mode(0o000)).unwrap();
    match disk.load_defaults(&["config.json"]) {
        Err(CredentialError::Read { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
        }
        // To root no permission is missing.
        other => assert!(rustix::process::geteuid().is_root() && other.is_ok(), "{other:?}"),
    }
}

#[tokio::test]
async fn point_10_an_entry_is_an_error_where_it_would_be_used_and_names_file_and_entry() {
    let config = r#"{"auths":{"reg.example/team":{"auth":"hunter2"},"reg.example":{"auth":"Y2k6YQ=="},"evil@x.example":{"auth":"Og=="}}}"#;
    let disk =
        Disk::new(&[("config.json", config), ("more.json", &auths(&[("reg.example/team/app", "app")]))]);
    let keychain = disk.load(&["config.json"]).unwrap();
    // Others go on: above it, beside it, and where a key only looks like the registry's name.
    let ci = "user \"ci\", entry \"reg.example\" of DISK/config.json";
    assert_eq!(found(&keychain, &disk, "reg.example/other").await, [ci]);
    assert_eq!(found(&keychain, &disk, "x.example/app").await, [""; 0]);
    // So does a login that goes before it.
    let both = disk.load(&["config.json", "more.json"]).unwrap();
    let app = "user \"app\", entry \"reg.example/team/app\" of DISK/more.json";
    assert_eq!(found(&both, &disk, "reg.example/team/app").await, [app, ci]);
    let repository = "reg.example/team/x".parse().unwrap();
    assert_eq!(keychain.credentials(&repository).await.unwrap_err().exit(), ExitCode::Usage);
    assert_eq!(
        explained(&keychain, &disk, "reg.example/team/x").await,
        "error: cannot use the credentials in DISK/config.json\n  \
         cause: its entry \"reg.example/team\" cannot be used\n  \
         cause: its \"auth\" is not base64 of USER:PASSWORD\n  \
         do:    log in again, or make the Secret with kubectl create secret docker-registry"
    );
}

#[tokio::test]
async fn helpers_stand_beside_entries_and_the_store_behind_them() {
    let config = serde_json::json!({
        "auths": {"reg.example": {"username": "host", "password": "p"}, "stored.example": {}},
        "credHelpers": {"reg.example/team": "x", "none.example": "nothing", "plain.example": ""},
        "credsStore": "store",
    });
    let disk = Disk::new(&[("config.json", &config.to_string())]);
    disk.helper("x", r#"printf '{"Username":"x of %s","Secret":"a"}' "$(cat)""#);
    disk.helper("store", r#"printf '{"Username":"store of %s","Secret":"a"}' "$(cat)""#);
    disk.helper("nothing", "echo credentials not found in native keychain; exit 1");
    let keychain = disk.load(&["config.json"]).unwrap();
    for (repository, want) in [
        (
            "reg.example/team/app",
            vec![
                "user \"x of reg.example\", helper \"x\" (credHelpers \"reg.example/team\" of DISK/config.json)",
                "user \"host\", entry \"reg.example\" of DISK/config.json",
            ],
        ),
        ("reg.example/app", vec!["user \"host\", entry \"reg.example\" of DISK/config.json"]),
        (
            "stored.example/app",
            vec!["user \"store of stored.example\", helper \"store\" (credsStore of DISK/config.json)"],
        ),
        (
            "alpine",
            vec![
                "user \"store of https://index.docker.io/v1/\", helper \"store\" (credsStore of DISK/config.json)",
            ],
        ),
        // As in docker, a `credHelpers` entry stands in the store's place.
        ("none.example/app", vec![]),
        ("plain.example/app", vec![]),
    ] {
        assert_eq!(found(&keychain, &disk, repository).await, want, "{repository}");
    }
}

#[tokio::test]
async fn a_store_is_replaced_in_its_own_file_only() {
    let disk = Disk::new(&[
        ("a.json", r#"{"credHelpers":{"reg.example":"nothing"},"credsStore":"broken"}"#),
        ("b.json", r#"{"credsStore":"store"}"#),
    ]);
    disk.helper("nothing", "echo credentials not found in native keychain; exit 1");
    disk.helper("broken", "exit 1");
    disk.helper("store", r#"echo '{"Username":"ci","Secret":"a"}'"#);
    let keychain = disk.load(&["a.json", "b.json"]).unwrap();
    assert_eq!(
        found(&keychain, &disk, "reg.example/app").await,
        ["user \"ci\", helper \"store\" (credsStore of DISK/b.json)"]
    );
}

#[tokio::test]
async fn a_failing_helper_is_an_error_for_its_registry_alone() {
    let config = r#"{"auths":{"good.example":{"auth":"Y2k6YQ=="}},"credHelpers":{"bad.example":"bad"},"credsStore":"absent"}"#;
    let disk = Disk::new(&[("config.json", config)]);
    disk.helper("bad", "echo hunter2; echo 'token expired' >&2; exit 1");
    let keychain = disk.load(&["config.json"]).unwrap();
    assert_eq!(found(&keychain, &disk, "good.example/app").await.len(), 1);
    assert_eq!(
        explained(&keychain, &disk, "bad.example/app").await,
        "error: cannot get credentials for bad.example from docker-credential-bad\n  \
         cause: it ended with exit status: 1, and said: token expired\n  \
         used:  helper \"bad\" (credHelpers \"bad.example\" of DISK/config.json)\n  \
         do:    see what this says in this step: echo bad.example | docker-credential-bad get"
    );
    assert_eq!(
        explained(&keychain, &disk, "else.example/app").await,
        "error: cannot get credentials for else.example from docker-credential-absent\n  \
         cause: there is no such program on the PATH\n  \
         used:  helper \"absent\" (credsStore of DISK/config.json)\n  \
         do:    put docker-credential-absent on the PATH of this step, or mount a dockerconfigjson that holds the \
         credentials themselves"
    );
    let repository = "bad.example/app".parse().unwrap();
    let error = keychain.credentials(&repository).await.unwrap_err();
    assert_eq!(error.exit(), ExitCode::Failed);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn tokens_and_passwords_are_found_and_not_shown() {
    let config = r#"{"auths":{"reg.example":{"auth":"Y2k6aHVudGVyMg==","identitytoken":"hunter2"}}}"#;
    let disk = Disk::new(&[("a.json", config), ("b.json", &auths(&[("reg.example", "ci")]))]);
    let keychain = disk.load(&["a.json", "b.json"]).unwrap();
    let repository = "reg.example/app".parse().unwrap();
    let found = keychain.credentials(&repository).await.unwrap();
    assert_eq!(found[0].login, Login::IdentityToken(Secret::new("hunter2")));
    assert_eq!(found[1].login, Login::Basic { user: "ci".into(), password: Secret::new("hunter2") });
    let shown = format!("{keychain:?} {keychain:#?} {found:?} {} {}", found[0], found[1]);
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
}

#[tokio::test]
async fn no_files_means_anonymous_access() {
    let disk = Disk::new(&[]);
    let keychain = disk.load_defaults(&["absent"]).unwrap();
    assert!(keychain.sources().is_empty());
    assert_eq!(found(&keychain, &disk, "reg.example/app").await, [""; 0]);
}

/// `docker login HOST:443` stores what it was given.
#[tokio::test]
async fn a_helper_is_asked_for_the_spelling_after_the_canonical_name() {
    let disk =
        Disk::new(&[("config.json", r#"{"credsStore":"only","credHelpers":{"both.example":"both"}}"#)]);
    let only = r#"read -r server; case $server in
        reg.example:443|registry-1.docker.io) printf '{"Username":"%s","Secret":"a"}' "$server";;
        *) echo credentials not found in native keychain; exit 1;; esac"#;
    disk.helper("only", only);
    disk.helper("both", r#"printf '{"Username":"%s","Secret":"a"}' "$(cat)""#);
    let keychain = disk.load(&["config.json"]).unwrap();
    for (name, want) in [
        ("reg.example:443/app", Some("reg.example:443")),
        ("reg.example:0443/app", None),
        ("reg.example/app", None),
        ("registry-1.docker.io/team/app", Some("registry-1.docker.io")),
        ("both.example:443/app", Some("both.example")),
    ] {
        let found = found(&keychain, &disk, name).await;
        assert_eq!(found.len(), usize::from(want.is_some()), "{name}");
        assert!(want.is_none_or(|want| found[0].contains(&format!("user \"{want}\""))), "{name}: {found:?}");
    }
}
