//! With real helpers: shell scripts in a temporary directory.

use std::io::Write as _;
use std::time::Instant;

use super::*;

/// Long enough for a script on a busy machine.
const PATIENT: Duration = Duration::from_secs(60);

/// Writes a helper. By another process: while this one had the file open for writing, a test beside it
/// could fork, and the copy of the descriptor would make the kernel refuse to run the script ("text file
/// busy").
pub(in crate::registry::credentials) fn script(folder: &Path, name: &str, body: &str) {
    let mut sh = std::process::Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(folder.join(format!("docker-credential-{name}")))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    sh.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).unwrap();
    assert!(sh.wait().unwrap().success());
}

/// Where the programs are that the scripts call.
const SYSTEM: &str = "/usr/local/bin:/usr/bin:/bin";

/// An environment with this `PATH`.
fn searching(path: &str) -> ProgramEnvironment {
    ProgramEnvironment::new([("PATH".into(), path.into())], [], [])
}

struct Fixture {
    folder: tempfile::TempDir,
    helpers: Helpers,
}

fn fixture(body: &str, limit: Duration) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), "x", body);
    let helpers = Helpers::new(searching(&format!("{}:{SYSTEM}", folder.path().display())), limit);
    Fixture { folder, helpers }
}

impl Fixture {
    async fn ask(&self, server: &str) -> Said {
        self.helpers.ask(&HelperName::parse("x").unwrap(), server).await
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// The process id that the script wrote, if it has.
    fn pid(&self, name: &str) -> Option<String> {
        self.file(name).strip_suffix('\n').map(str::to_owned)
    }
}

/// Whether it runs: neither gone nor a zombie.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn until_gone(pid: &str) {
    let start = Instant::now();
    while runs(pid) {
        assert!(start.elapsed() < PATIENT, "{pid} still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_helper_gets_the_server_and_gives_a_login() {
    let body = r#"[ "$*" = get ] || exit 9
        printf '{"ServerURL":"x","Username":"of %s","Secret":"hunter2"}\n' "$(cat)""#;
    let fixture = fixture(body, PATIENT);
    let want = Login::Basic { user: "of reg.example:5000".into(), password: Secret::new("hunter2") };
    assert_eq!(fixture.ask("reg.example:5000").await.unwrap(), Some(want));
}

#[tokio::test]
async fn the_token_user_means_an_identity_token() {
    let fixture = fixture(r#"echo '{"Username":"<token>","Secret":"refresh"}'"#, PATIENT);
    let login = fixture.ask("reg.example").await.unwrap();
    assert_eq!(login, Some(Login::IdentityToken(Secret::new("refresh"))));
}

#[tokio::test]
async fn only_the_exact_answer_is_no_credential() {
    let none = fixture("echo 'credentials not found in native keychain'; exit 1", PATIENT);
    assert_eq!(none.ask("reg.example").await.unwrap(), None);
    for other in [
        "echo 'credentials not found in native keychain, and more'; exit 1",
        "echo 'credentials not found in native keychain' >&2; exit 1",
        "exit 1",
        "echo 'credentials not found in native keychain'",
    ] {
        fixture(other, PATIENT).ask("reg.example").await.unwrap_err();
    }
}

#[tokio::test]
async fn a_failure_shows_standard_error_and_never_standard_output() {
    let failing = r#"echo '{"Secret":"hunter2"}'; printf 'no \033[31mlogin\n\n' >&2; exit 3"#;
    let error = fixture(failing, PATIENT).ask("reg.example").await.unwrap_err();
    assert_eq!(error.to_string(), "it ended with exit status: 3, and said: no \\u{1b}[31mlogin");
    let error = fixture("echo hunter2; exit 3", PATIENT).ask("reg.example").await.unwrap_err();
    assert_eq!(error.to_string(), "it ended with exit status: 3, and said nothing");
    let error = fixture("kill -9 $$", PATIENT).ask("reg.example").await.unwrap_err();
    assert_eq!(error.to_string(), "it ended with signal: 9 (SIGKILL), and said nothing");
    let much = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 >&2; i=$((i+1)); done; exit 1";
    let error = fixture(much, PATIENT).ask("reg.example").await.unwrap_err().to_string();
    assert!(error.len() < 600 && error.ends_with('…'), "{error}");
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_an_error() {
    for answer in [
        "",
        "echo hunter2",
        "echo '\"hunter2\"'",
        r#"echo '{"Username":"ci"}'"#,
        r#"echo '{"Username":"","Secret":"hunter2"}'"#,
        r#"echo '{"Username":"ci","Secret":""}'"#,
        r#"echo '{"Username":"ci","Secret":["hunter2"]}'"#,
        r#"echo '{"Username":"ci","Secret":"hunter2"} and more'"#,
        r#"printf '{"Username":"ci","Secret":"hunter2","x":"'; head -c 300000 /dev/zero | tr '\0' x; echo '"}'"#,
    ] {
        let error = fixture(answer, PATIENT).ask("reg.example").await.unwrap_err();
        assert!(matches!(*error, HelperError::Answer), "{answer}: {error:?}");
        assert!(!format!("{error:?}{error}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_helper_that_answers_without_reading_is_heard() {
    let fixture = fixture(r#"exec <&-; echo '{"Username":"ci","Secret":"a"}'"#, PATIENT);
    assert!(fixture.ask(&"x".repeat(1_000_000)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_helper_that_hangs_is_killed_with_its_children_and_leaves_no_zombie() {
    let body = r#"sleep 600 & echo $! > "${0%/*}/child"; echo $$ > "${0%/*}/pid"; wait"#;
    // On a busy machine a script may need long to start; then it gets more time.
    for seconds in [1, 5, 25, 125] {
        let fixture = fixture(body, Duration::from_secs(seconds));
        let error = fixture.ask("reg.example").await.unwrap_err();
        assert_eq!(error.to_string(), format!("it gave no answer within {seconds} s"));
        if let (Some(pid), Some(child)) = (fixture.pid("pid"), fixture.pid("child")) {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "gone and waited for");
            until_gone(&child).await;
            return;
        }
    }
    panic!("the script never started");
}

#[tokio::test]
async fn a_run_that_is_given_up_takes_its_helper_along() {
    let fixture = fixture(r#"echo $$ > "${0%/*}/pid"; sleep 600"#, PATIENT);
    let started = async {
        loop {
            match fixture.pid("pid") {
                Some(pid) => return pid,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let pid = tokio::select! {
        _ = fixture.ask("reg.example") => panic!("it answered"),
        pid = started => pid,
    };
    until_gone(&pid).await;
}

#[tokio::test]
async fn each_helper_is_asked_once_for_each_registry() {
    let body = r#"printf '%s\n' "$(cat)" >> "${0%/*}/asked"; echo '{"Username":"ci","Secret":"a"}'"#;
    let fixture = fixture(body, PATIENT);
    let (one, two, three) = tokio::join!(fixture.ask("a"), fixture.ask("a"), fixture.ask("b"));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    fixture.ask("a").await.unwrap();
    let asked = fixture.file("asked");
    let mut asked: Vec<_> = asked.lines().collect();
    asked.sort_unstable();
    assert_eq!(asked, ["a", "b"]);
}

#[tokio::test]
async fn a_failure_is_remembered_too() {
    let fixture = fixture(r#"echo x >> "${0%/*}/asked"; exit 1"#, PATIENT);
    fixture.ask("a").await.unwrap_err();
    fixture.ask("a").await.unwrap_err();
    assert_eq!(fixture.file("asked"), "x\n");
}

#[tokio::test]
async fn helpers_are_programs_in_absolute_folders_of_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    std::fs::create_dir_all(first.join("docker-credential-x")).unwrap();
    std::fs::create_dir(&second).unwrap();
    std::fs::write(first.join("docker-credential-y"), "not executable").unwrap();
    script(&second, "x", r#"echo '{"Username":"ci","Secret":"a"}'"#);
    let path = format!("{}:{}", first.display(), second.display());
    let ask = |path: String, name: &'static str| async move {
        Helpers::new(searching(&path), PATIENT).ask(&HelperName::parse(name).unwrap(), "a").await
    };
    assert!(ask(path.clone(), "x").await.unwrap().is_some());
    for (path, name) in
        [(path.clone(), "y"), (path, "z"), (String::new(), "x"), (".:relative::".to_owned(), "x")]
    {
        assert!(matches!(*ask(path, name).await.unwrap_err(), HelperError::Absent));
    }
    assert!(Helpers::new(searching(".:relative::/bin"), PATIENT).path == [Path::new("/bin")]);
}

#[tokio::test]
async fn what_cannot_be_started_says_so() {
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), "x", "");
    // As after a copy into an empty image: the script is there, its interpreter isn't.
    std::fs::write(folder.path().join("docker-credential-x"), "#!/nonexistent\n").unwrap();
    let helpers = Helpers::new(searching(folder.path().to_str().unwrap()), PATIENT);
    let error = helpers.ask(&HelperName::parse("x").unwrap(), "a").await.unwrap_err();
    assert!(matches!(*error, HelperError::Run(_)), "{error:?}");
}

#[test]
fn helper_names_are_plain_file_names() {
    for name in ["ecr-login", "gcr", "acr-env", "osxkeychain", "a.b_c"] {
        assert_eq!(HelperName::parse(name).unwrap().program(), format!("docker-credential-{name}"));
    }
    for name in ["", "../x", "/bin/sh", "a/b", "a b", "a;b", "a\0", "é"] {
        assert_eq!(HelperName::parse(name), None, "{name:?}");
    }
}

#[tokio::test]
async fn debug_shows_no_answer() {
    let fixture = fixture(r#"echo '{"Username":"ci","Secret":"hunter2"}'"#, PATIENT);
    let said = fixture.ask("a").await;
    assert!(!format!("{said:?}{:?}", fixture.helpers).contains("hunter2"));
}

#[tokio::test]
async fn the_secret_that_a_failing_helper_prints_is_hidden_in_what_it_says() {
    for (stdout, said) in [
        (
            r#"{"Username":"ci","Secret":"hunter2/x"}"#,
            "cannot keep hunter2/x (hunter2%2Fx, aHVudGVyMi94, Y2k6aHVudGVyMi94)",
        ),
        ("noise\nhunter2/x", "cannot keep hunter2/x (hunter2\\u002fx, aHVudGVyMi94, HUNTER2/X)"),
    ] {
        let body = format!("cat <<'END'\n{stdout}\nEND\ncat >&2 <<'END'\n{said}\nEND\nexit 1");
        let error = fixture(&body, PATIENT).ask("registry.example").await.unwrap_err().to_string();
        assert!(error.ends_with("said: cannot keep [hidden] ([hidden], [hidden], [hidden])"), "{error}");
    }
}
