use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use super::*;

/// Runs `work` in a thread that is restricted to `rules`; `None` if this kernel doesn't have Landlock.
///
/// The rules apply only to that thread, so other tests are not restricted.
fn confined<T: Send>(rules: &LandlockRules, work: impl FnOnce(u32) -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| match rules.enforce() {
            Landlock::Enforced { abi } => Some(work(abi)),
            other => {
                eprintln!("note: this test shows nothing, because Landlock is {other}");
                None
            }
        });
        thread.join().unwrap()
    })
}

/// A directory with `read`, `list`, `put`, `keep` and `other`. Each has a file `file` and a directory `below` with another `file`.
fn folders() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in ["read", "list", "put", "keep", "other"] {
        fs::create_dir_all(root.path().join(name).join("below")).unwrap();
        for file in ["file", "below/file"] {
            fs::write(root.path().join(name).join(file), "text").unwrap();
        }
    }
    root
}

/// An operation in a directory that may be allowed or forbidden.
type Deed = (&'static str, fn(&Path) -> io::Result<()>);

const DEEDS: [Deed; 14] = [
    ("read", |folder| fs::read(folder.join("file")).map(drop)),
    ("read below", |folder| fs::read(folder.join("below/file")).map(drop)),
    ("list", |folder| fs::read_dir(folder).map(drop)),
    ("write", |folder| OpenOptions::new().write(true).open(folder.join("file")).map(drop)),
    ("truncate", |folder| OpenOptions::new().write(true).truncate(true).open(folder.join("file")).map(drop)),
    ("make", |folder| OpenOptions::new().write(true).create_new(true).open(folder.join("new")).map(drop)),
    ("replace", |folder| fs::rename(folder.join("new"), folder.join("file"))),
    ("remove", |folder| fs::remove_file(folder.join("file"))),
    ("make a folder", |folder| fs::create_dir(folder.join("made"))),
    ("remove a folder", |folder| {
        fs::remove_file(folder.join("below/file"))?;
        fs::remove_dir(folder.join("below"))
    }),
    ("link", |folder| symlink("file", folder.join("link"))),
    ("socket", |folder| UnixListener::bind(folder.join("socket")).map(drop)),
    ("fifo", |folder| {
        let (path, mode) = (folder.join("fifo"), Mode::from_raw_mode(0o600));
        Ok(rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, mode, 0)?)
    }),
    ("take out", |folder| {
        fs::write(folder.join("taken"), "")?;
        fs::rename(folder.join("taken"), folder.with_file_name("keep").join("taken"))
    }),
];

#[test]
fn each_right_applies_only_to_the_directories_that_have_it() {
    let root = folders();
    let at = |name: &str| root.path().join(name);
    let mut rules = LandlockRules::default();
    rules.read(&at("read"));
    rules.list(&at("list"));
    rules.put(&at("put"));
    rules.keep(&at("keep"));
    let done = confined(&rules, |abi| {
        let tried =
            |name: &'static str| DEEDS.map(|(deed, act)| (deed, act(&at(name)).map_err(|e| e.kind())));
        (abi, ["read", "list", "put", "keep", "other"].map(|name| (name, tried(name))))
    });
    let Some((abi, folders)) = done else { return };
    for (folder, deeds) in folders {
        let allowed: Vec<&str> = deeds.iter().filter(|(_, end)| end.is_ok()).map(|(deed, _)| *deed).collect();
        let mut wanted = match folder {
            "read" => vec!["read", "read below", "list"],
            "list" => vec!["list"],
            "put" => vec!["write", "make", "replace", "remove"],
            "keep" => vec!["read", "read below", "list", "write", "make", "replace", "remove", "take out"],
            _ => vec![],
        };
        if abi < 3 && ["put", "keep"].contains(&folder) {
            wanted.insert(wanted.len() - 3, "truncate");
        }
        assert_eq!(allowed, wanted, "{folder}, ABI {abi}: {deeds:?}");
        for (deed, end) in deeds.iter().filter(|(_, end)| end.is_err()) {
            let refused = [ErrorKind::PermissionDenied, ErrorKind::CrossesDevices];
            // "replace" takes what "make" made.
            let absent = *deed == "replace" && end == &Err(ErrorKind::NotFound);
            assert!(absent || refused.contains(end.as_ref().unwrap_err()), "{folder}: {deed}: {end:?}");
        }
    }
}

#[test]
fn running_and_listening_are_forbidden_and_connecting_is_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _agent = UnixListener::bind(&socket).unwrap();
    let mut rules = LandlockRules::default();
    rules.connect(&socket);
    // The rights that are needed to start a program, except the right to run it.
    rules.read(Path::new("/"));
    let kinds = |end: io::Result<()>| end.map_err(|error| error.kind());
    let done = confined(&rules, |abi| {
        let run = kinds(Command::new("/proc/self/exe").arg("--list").status().map(drop));
        let bind = kinds(TcpListener::bind("127.0.0.1:0").map(drop));
        let connect = kinds(TcpStream::connect(address).map(drop));
        let agent = kinds(UnixStream::connect(&socket).map(drop));
        (abi, run, bind, connect, agent)
    });
    let Some((abi, run, bind, connect, agent)) = done else { return };
    assert_eq!(run, Err(ErrorKind::PermissionDenied));
    assert_eq!((connect, agent), (Ok(()), Ok(())));
    if abi >= 4 {
        assert_eq!(bind, Err(ErrorKind::PermissionDenied));
    }
}

#[test]
fn a_rule_follows_links_and_applies_to_the_original_file() {
    let root = folders();
    let at = |name: &str| root.path().join(name);
    symlink("other/file", at("link")).unwrap();
    let mut rules = LandlockRules::default();
    rules.read(&at("link"));
    rules.read(&at("read"));
    rules.read(&at("absent"));
    let before = File::open(at("put/file")).unwrap();
    let done = confined(&rules, |_| {
        let through = fs::read(at("link")).map_err(|error| error.kind());
        let direct = fs::read(at("other/file")).map_err(|error| error.kind());
        let beside = fs::read(at("other/below/file")).map_err(|error| error.kind());
        let absent = fs::read(at("absent")).map_err(|error| error.kind());
        let still_open = io::read_to_string(&before).map_err(|error| error.kind());
        // An unrestricted thread then moves files.
        [through, direct].into_iter().chain([beside, absent]).map(|end| end.map(|_| ())).collect::<Vec<_>>()
            == [Ok(()), Ok(()), Err(ErrorKind::PermissionDenied), Err(ErrorKind::NotFound)]
            && still_open.as_deref() == Ok("text")
    });
    assert_ne!(done, Some(false));
    fs::remove_file(at("link")).unwrap();
    symlink("put/file", at("link")).unwrap();
    fs::write(at("read/later"), "").unwrap();
    let later = confined(&rules, |_| {
        (fs::read(at("link")).map_err(|error| error.kind()).is_err(), fs::read(at("read/later")).is_ok())
    });
    assert!(matches!(later, None | Some((true, true))), "{later:?}");
}

#[test]
fn a_pipe_has_no_rule_and_stays_readable() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"text").unwrap();
    drop(writer);
    let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    let mut rules = LandlockRules::default();
    rules.read(&path);
    // The pipe is opened by its name, as with the shell's `<(...)`.
    let read = confined(&rules, |_| fs::read(&path).map_err(|error| error.kind()));
    assert!(matches!(&read, None | Some(Ok(_))), "{read:?}");
}

#[test]
fn a_thread_that_is_started_later_is_restricted_too() {
    let root = folders();
    let file = root.path().join("other/file");
    let rules = LandlockRules::default();
    let done = confined(&rules, |_| {
        std::thread::scope(|scope| {
            scope.spawn(|| fs::read(&file).map_err(|error| error.kind())).join().unwrap()
        })
    });
    assert!(matches!(done, None | Some(Err(ErrorKind::PermissionDenied))), "{done:?}");
    assert!(fs::read(&file).is_ok(), "other threads are not restricted");
}

#[test]
fn missing_kernel_support_is_reported_and_is_not_a_failure() {
    let available = LandlockStatus::Available { effective_abi: ABI::V3, kernel_abi: None };
    use RulesetStatus::{FullyEnforced, NotEnforced, PartiallyEnforced};
    for (ruleset, kernel, wanted) in [
        (FullyEnforced, available, "enforced, ABI 3"),
        (PartiallyEnforced, available, "enforced, ABI 3"),
        (NotEnforced, available, "not available: the kernel enforces none of it"),
        (NotEnforced, LandlockStatus::NotEnabled, "not available: this kernel has it turned off"),
        (
            NotEnforced,
            LandlockStatus::NotImplemented,
            "not available: this kernel doesn't have it, or a sandbox forbids the system call",
        ),
    ] {
        assert_eq!(state(ruleset, kernel).to_string(), wanted);
    }
}
