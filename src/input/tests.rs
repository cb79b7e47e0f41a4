use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::exceptions::Exception;
use super::mount::MountId;
use super::*;
use crate::explain::{Explain as _, Explanation};

const SECRET: &str = "HUNTER2";

/// A workspace, and a folder on another mount where there is one.
struct Place {
    workspace: TempDir,
    other: TempDir,
}

/// Says once, also where all tests pass, that they check less here.
#[expect(
    clippy::disallowed_methods,
    reason = "what goes through eprintln is shown only of a test that fails"
)]
fn note() {
    static NOTED: Once = Once::new();
    let text = b"note: /dev/shm is not another mount: the tests of input files use /proc\n";
    NOTED.call_once(|| std::io::stderr().write_all(text).unwrap());
}

impl Place {
    fn new() -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let shm =
            tempfile::tempdir_in("/dev/shm").ok().filter(|shm| mount(shm.path()) != mount(workspace.path()));
        let place = Self { workspace, other: shm.unwrap_or_else(|| tempfile::tempdir().unwrap()) };
        place.write("file", "inside");
        place.write("sub/file", "below");
        place.write("config/..2025/key", "value");
        place.link("config/..data", "..2025");
        place.link("config/key", "..data/key");
        fifo(&place.path("fifo"));
        fs::write(place.other.path().join("secret"), SECRET).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// The workspace, without links on the way to it.
    fn root(&self) -> PathBuf {
        self.workspace.path().canonicalize().unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) {
        symlink(target, self.path(name)).unwrap();
    }

    /// A file on another mount than the workspace, what it holds, and its folder.
    fn outside(&self) -> (PathBuf, PathBuf) {
        if mount(self.other.path()) == mount(&self.root()) {
            note();
            return ("/proc/version".into(), "/proc".into());
        }
        let folder = self.other.path().canonicalize().unwrap();
        (folder.join("secret"), folder)
    }

    /// `path` from the workspace, by way of the root.
    fn up_to(&self, path: &Path) -> PathBuf {
        let ups: PathBuf = self.root().components().skip(1).map(|_| "..").collect();
        ups.join(path.strip_prefix("/").unwrap())
    }
}

fn mount(folder: &Path) -> Option<MountId> {
    MountId::of(fs::File::open(folder).unwrap())
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

type Reader = fn(&Path) -> Result<Vec<u8>, InputError>;

/// Every way to a file's content.
const READERS: [(&str, Reader); 4] = [
    ("read", |path| read(path, 1024)),
    ("read_or_stdin", |path| read_or_stdin(path, 1024)),
    ("open", |path| all(open(path, u64::MAX)?)),
    ("open_or_stdin", |path| all(open_or_stdin(path, u64::MAX)?)),
];

fn all(mut source: impl Read) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn without_mounts(path: &Path) -> Result<Vec<u8>, InputError> {
    let opened = opened(path, Rules { mount: &|_| None, exceptions: &[] })?;
    file::read_all(opened.file, opened.size, 1024)
}

#[test]
fn a_link_is_followed_within_its_mount() {
    let place = Place::new();
    place.link("same", "file");
    place.link("same again", "same");
    place.link("down and up", "sub/../file");
    place.link("out and in", Path::new("..").join(place.root().file_name().unwrap()).join("file"));
    place.link("by the root", place.up_to(&place.path("file")));
    place.link("absolute", place.path("file"));
    place.link("folder", "sub/");
    place.link("sub/back", "../file");
    for (path, want) in [
        ("file", "inside"),
        ("./sub/../file", "inside"),
        ("same", "inside"),
        ("same again", "inside"),
        ("down and up", "inside"),
        ("out and in", "inside"),
        ("by the root", "inside"),
        ("absolute", "inside"),
        ("folder/file", "below"),
        ("folder/../file", "inside"),
        ("folder/back", "inside"),
        ("config/key", "value"),
        ("config/..data/key", "value"),
    ] {
        for (name, reader) in READERS {
            assert_eq!(reader(&place.path(path)).unwrap(), want.as_bytes(), "{name} {path}");
        }
    }
    assert!(!read(Path::new("src/../Cargo.toml"), 1 << 20).unwrap().is_empty(), "a relative path");
}

#[test]
fn a_link_to_another_mount_is_refused_and_named() {
    let place = Place::new();
    let (secret, folder) = place.outside();
    let name = secret.file_name().unwrap().to_owned();
    place.link("absolute", &secret);
    place.link("relative", place.up_to(&secret));
    place.link("hop", "absolute");
    place.link("folder", &folder);
    place.link("hop to folder", "folder");
    place.link("slash", folder.join(""));
    place.link("config/out", Path::new("..data/out"));
    place.link("config/..2025/out", &secret);
    place.link("nothing there", folder.join("nothing"));
    let mut rows = vec![
        ("absolute".into(), "absolute", secret.clone()),
        ("relative".into(), "relative", secret.clone()),
        ("sub/../relative".into(), "relative", secret.clone()),
        ("hop".into(), "absolute", secret.clone()),
        (Path::new("folder").join(&name), "folder", folder.clone()),
        (Path::new("hop to folder").join(&name), "folder", folder.clone()),
        (Path::new("slash").join(&name), "slash", folder.clone()),
        ("config/out".into(), "config/..2025/out", secret.clone()),
    ];
    if folder != Path::new("/proc") {
        symlink("secret", folder.join("link")).unwrap();
        symlink(place.path("file"), folder.join("back")).unwrap();
        place.link("to a link", folder.join("link"));
        rows.push(("to a link".into(), "to a link", folder.join("link")));
    }
    for (path, link, target) in rows {
        for (name, reader) in READERS {
            let error = reader(&place.path("").join(&path)).unwrap_err();
            let InputError::LeadsOut { link: named, target: leads_to } = &error else {
                panic!("{name} {path:?}: {error:?}")
            };
            assert_eq!((named, leads_to), (&place.path(link), &target), "{name} {path:?}");
            let told = error.to_string();
            assert!(told.contains(&place.path(link).display().to_string()), "{told}");
            assert!(error.hint().unwrap().contains("name the file itself"));
        }
    }
    if folder != Path::new("/proc") {
        // The other mount's link leads out of it, though it leads back.
        place.link("round", folder.join("back"));
        let error = read(&place.path("round"), 1024).unwrap_err();
        assert!(
            matches!(&error, InputError::LeadsOut { link, .. } if *link == folder.join("back")),
            "{error:?}"
        );
        assert_eq!(read(&folder.join("link"), 1024).unwrap(), SECRET.as_bytes(), "inside the other mount");
    }
    let error = read(&place.path("nothing there"), 1024).unwrap_err();
    assert!(matches!(error, InputError::Dangling { .. }) && !error.is_missing(), "{error:?}");
}

#[test]
fn without_a_link_every_mount_may_be_entered() {
    let place = Place::new();
    let (secret, folder) = place.outside();
    for (name, reader) in READERS {
        assert!(!reader(&secret).unwrap().is_empty(), "{name}");
        assert!(!reader(&place.path("").join(place.up_to(&secret))).unwrap().is_empty(), "{name}");
    }
    assert_eq!(Folder::open(&folder).unwrap().path(), folder);
}

#[test]
fn an_excepted_link_may_lead_to_its_one_place_and_opens_no_way_for_others() {
    let place = Place::new();
    let (secret, folder) = place.outside();
    let name = secret.file_name().unwrap();
    place.link("way", &folder);
    place.link("elsewhere", folder.parent().unwrap());
    place.link("hostile", Path::new("way").join(name));
    let text =
        |path: PathBuf| -> &'static str { Box::leak(path.to_str().unwrap().to_owned().into_boxed_str()) };
    let exceptions = [
        Exception { link: text(place.path("way")), target: text(folder.clone()) },
        Exception { link: text(place.path("elsewhere")), target: text(folder.clone()) },
    ];
    let rules = Rules { exceptions: &exceptions, ..RULES };
    assert!(opened(&place.path("way").join(name), rules).is_ok());
    for path in [Path::new("elsewhere").join(folder.file_name().unwrap()).join(name), "hostile".into()] {
        let error = opened(&place.path("").join(&path), rules).unwrap_err();
        assert!(matches!(&error, InputError::LeadsOut { .. }), "{path:?}: {error:?}");
    }
    let nowhere = Rules { mount: &|_| None, exceptions: &exceptions };
    assert!(opened(&place.path("way").join(name), nowhere).is_ok());
    assert!(opened(&place.path("hostile"), nowhere).is_err());
}

#[test]
fn where_no_mount_is_told_a_link_stays_in_its_folder() {
    let place = Place::new();
    let (secret, _) = place.outside();
    place.link("same", "file");
    place.link("below", "sub/file");
    place.link("folder", "sub");
    place.link("down and up", "sub/../file");
    place.link("sub/up", "../file");
    place.link("absolute", place.path("file"));
    place.link("out", &secret);
    place.link("hop", "out");
    for (path, want) in [
        ("file", "inside"),
        ("same", "inside"),
        ("below", "below"),
        ("folder/file", "below"),
        ("config/key", "value"),
    ] {
        assert_eq!(without_mounts(&place.path(path)).unwrap(), want.as_bytes(), "{path}");
    }
    for path in ["down and up", "sub/up", "absolute", "out", "hop"] {
        let error = without_mounts(&place.path(path)).unwrap_err();
        assert!(matches!(error, InputError::UnknownMount { .. }), "{path}: {error:?}");
        assert!(error.to_string().contains("does not tell"), "{error}");
    }
}

#[test]
fn only_regular_files_are_read_and_nothing_blocks() {
    let place = Place::new();
    let _socket = UnixListener::bind(place.path("socket")).unwrap();
    place.link("to fifo", "fifo");
    place.link("to folder", "sub");
    for (path, want) in [
        ("fifo", "a FIFO"),
        ("to fifo", "a FIFO"),
        ("socket", "a socket"),
        ("sub", "a folder"),
        ("sub/.", "a folder"),
        ("to folder", "a folder"),
        ("to folder/", "a folder"),
        ("..", "a folder"),
        ("/dev/null", "a device"),
        ("/", "a folder"),
    ] {
        for (name, reader) in READERS {
            let error = reader(&place.path(path)).unwrap_err();
            let stdin = name.ends_with("stdin");
            assert!(
                matches!(error, InputError::NotAFile { kind, stdin: taken } if kind == want && taken == stdin),
                "{name} {path}: {error:?}"
            );
            assert_eq!(error.hint().unwrap().contains("- for standard input"), stdin, "{name}");
        }
        assert!(read_trusted(&place.path(path), 1024).is_err(), "{path}");
    }
    place.link("to device", "/dev/null");
    assert!(read(&place.path("to device"), 1024).is_err());
}

#[test]
fn what_is_not_there_or_leads_nowhere_says_so() {
    let place = Place::new();
    place.link("dangling", "nothing");
    place.link("dangling folder", "nothing/");
    place.link("loop", "pool");
    place.link("pool", "loop");
    place.link("into a file", "file/x");
    for path in ["nothing", "nothing/x", "sub/nothing", ""] {
        let path = if path.is_empty() { PathBuf::new() } else { place.path(path) };
        assert!(read(&path, 1024).unwrap_err().is_missing(), "{path:?}");
    }
    place.link("ok", "sub");
    assert!(
        read(&place.path("ok/nothing"), 1024).unwrap_err().is_missing(),
        "the link is good, what is behind it is missing"
    );
    for path in ["dangling", "dangling folder/x", "into a file"] {
        let error = read(&place.path(path), 1024).unwrap_err();
        assert!(matches!(error, InputError::Dangling { .. }), "{path}: {error:?}");
    }
    let code = |path: &str| match read(&place.path(path), 1024) {
        Err(InputError::Io(error)) => error.raw_os_error(),
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(code("loop"), Some(rustix::io::Errno::LOOP.raw_os_error()));
    for path in ["file/", "file/.", "file/..", "file/x"] {
        assert_eq!(code(path), Some(rustix::io::Errno::NOTDIR.raw_os_error()), "{path}");
    }
}

#[test]
fn as_many_links_as_linux_follows() {
    let place = Place::new();
    place.link("0", "file");
    for number in 1..41 {
        place.link(&number.to_string(), (number - 1).to_string());
    }
    for (path, followed) in [("39", true), ("40", false)] {
        assert_eq!(fs::read(place.path(path)).is_ok(), followed, "Linux, {path}");
        assert_eq!(read(&place.path(path), 1024).is_ok(), followed, "{path}");
    }
}

#[test]
fn links_of_procfs_are_refused_with_what_to_do_instead() {
    let place = Place::new();
    for path in
        ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/proc/self/status", "/proc/thread-self/status"]
    {
        if fs::symlink_metadata(path).is_err() {
            continue;
        }
        for (name, reader) in READERS {
            let error = reader(Path::new(path)).unwrap_err();
            assert!(matches!(error, InputError::Procfs { .. }), "{name} {path}: {error:?}");
            let hint = error.hint().unwrap();
            assert_eq!(
                hint.contains("write - to read standard input"),
                name.ends_with("stdin"),
                "{name} {hint}"
            );
        }
        // Of a link in a workspace the user knows nothing.
        fs::remove_file(place.path("link")).ok();
        place.link("link", path);
        let error = read(&place.path("link"), 1024).unwrap_err();
        assert!(
            matches!(&error, InputError::LeadsOut { link, .. } if *link == place.path("link")),
            "{path}: {error:?}"
        );
    }
}

#[test]
fn a_limit_holds_also_for_a_file_that_grows() {
    let place = Place::new();
    assert_eq!(read(&place.path("file"), 6).unwrap(), b"inside");
    let error = read(&place.path("file"), 5).unwrap_err();
    assert_eq!(error.to_string(), "it is longer than 5 bytes");
    // A file that claims to be small, and has no end.
    assert!(matches!(file::read_all(io::repeat(0), 3, 100), Err(InputError::TooLarge { limit: 100 })));
    let sparse = fs::File::create(place.path("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    assert!(matches!(read(&place.path("sparse"), 1024), Err(InputError::TooLarge { limit: 1024 })));

    assert!(matches!(open(&place.path("file"), 5), Err(InputError::TooLarge { limit: 5 })));
    let mut stream = open(&place.path("file"), 6).unwrap();
    assert_eq!(all(&mut stream).unwrap(), b"inside");
    let mut writer = fs::OpenOptions::new().append(true).open(place.path("file")).unwrap();
    writer.write_all(b" and more").unwrap();
    assert_eq!(all(stream).unwrap_err().to_string(), "it grew while it was read");
}

#[test]
fn folders_obey_the_same_rule() {
    let place = Place::new();
    let (_, outside) = place.outside();
    place.link("inside", "sub");
    place.link("out", &outside);
    place.link("loop", "loop");
    place.link("above", ".");
    assert_eq!(Folder::open(&place.path("inside")).unwrap().path(), place.path("sub"));
    assert!(matches!(Folder::open(&place.path("out")), Err(InputError::LeadsOut { .. })));
    assert!(matches!(Folder::open(&place.path("loop")), Err(InputError::Io(_))));
    for path in ["file", "fifo"] {
        assert!(matches!(Folder::open(&place.path(path)), Err(InputError::NotAFolder)), "{path}");
    }
    for path in ["inside", "inside/", "inside/.", "out", "loop"] {
        assert!(matches!(Folder::open_named(&place.path(path)), Err(InputError::Link)), "{path}");
    }
    assert_eq!(Folder::open_named(&place.path("above/sub")).unwrap().path(), place.path("sub"));
    let out = fs::read_dir(&outside).unwrap().flatten().find(|entry| entry.path().is_dir());
    if let Some(folder) = out {
        let path = place.path("out").join(folder.file_name());
        assert!(matches!(Folder::open_named(&path), Err(InputError::LeadsOut { .. })), "{path:?}");
    }
    let folder = Folder::open(&place.root()).unwrap();
    assert!(matches!(folder.below("inside".as_ref()), Err(InputError::Link)));
    assert!(matches!(folder.below("file".as_ref()), Err(InputError::NotAFolder)));
    assert!(matches!(folder.read("out".as_ref(), 10), Err(InputError::Link)));
    assert!(matches!(folder.names(3), Err(InputError::TooManyEntries { limit: 3 })));
}

#[test]
fn names_in_messages_are_escaped() {
    let place = Place::new();
    let (secret, _) = place.outside();
    place.link("x\nerror: all is lost\u{1b}[2J", &secret);
    let error = read(&place.path("x\nerror: all is lost\u{1b}[2J"), 1024).unwrap_err();
    let told = Explanation::of(&error).to_string() + &error.to_string();
    assert!(!told.contains("\nerror: all") && !told.contains('\u{1b}'), "{told}");
}

/// What another step can do at any moment: replace a name by a file, a FIFO, and a link to a Secret.
#[test]
fn what_is_swapped_in_meanwhile_is_not_read() {
    let place = Place::new();
    let (secret, outside) = place.outside();
    let name = secret.file_name().unwrap();
    fs::create_dir(place.path("folder-0")).unwrap();
    fs::write(place.path("folder-0").join(name), "inside").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for make in 0..3 {
                    let new = place.path("new");
                    match make {
                        0 => fs::write(&new, "inside").unwrap(),
                        1 => fifo(&new),
                        _ => symlink(&secret, &new).unwrap(),
                    }
                    fs::rename(&new, place.path("swapped")).unwrap();
                }
                fs::rename(place.path("folder-0"), place.path("folder")).unwrap();
                fs::rename(place.path("folder"), place.path("folder-0")).unwrap();
                symlink(&outside, place.path("folder")).unwrap();
                fs::remove_file(place.path("folder")).unwrap();
            }
        });
        let mut wrong = Vec::new();
        for _ in 0..3000 {
            for path in [place.path("swapped"), place.path("folder").join(name)] {
                wrong.extend(read(&path, 1 << 20).ok().filter(|bytes| bytes != b"inside"));
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(wrong.is_empty(), "{:?}", wrong.first());
    });
}

/// One entry of a random tree: below the workspace or the other mount, by its parts, and what it is.
#[derive(Clone, Debug)]
struct Node {
    at: Parts,
    kind: NodeKind,
}

#[derive(Clone, Debug)]
enum NodeKind {
    File,
    Folder,
    Fifo,
    Link(Parts),
}

/// A path: from the workspace (`Some(true)`), from the other mount, or relative.
#[derive(Clone, Debug)]
struct Parts {
    root: Option<bool>,
    names: Vec<&'static str>,
}

impl Parts {
    fn on(&self, place: &Place) -> PathBuf {
        let names: PathBuf = self.names.iter().collect();
        match self.root {
            Some(true) => place.root().join(names),
            Some(false) => place.other.path().canonicalize().unwrap().join(names),
            None => names,
        }
    }
}

fn parts(root: impl Strategy<Value = Option<bool>>, most: usize) -> impl Strategy<Value = Parts> {
    let name = prop_oneof![4 => Just("a"), 4 => Just("b"), 3 => Just("c"), 2 => Just(".."), 1 => Just(".")];
    (root, proptest::collection::vec(name, 1..=most)).prop_map(|(root, names)| Parts { root, names })
}

fn tree() -> impl Strategy<Value = Vec<Node>> {
    let target = parts(prop_oneof![3 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))], 4);
    let kind = prop_oneof![
        2 => Just(NodeKind::File),
        3 => Just(NodeKind::Folder),
        1 => Just(NodeKind::Fifo),
        5 => target.prop_map(NodeKind::Link),
    ];
    let node = (parts(any::<bool>().prop_map(Some), 3), kind).prop_map(|(at, kind)| Node { at, kind });
    proptest::collection::vec(node, 1..16)
}

/// Where the links on `path` lie, by its text and the system's own words; `None` if it leads nowhere.
fn links(path: &Path, left: &mut usize, folders: &mut Vec<PathBuf>) -> Option<PathBuf> {
    let mut at = PathBuf::from("/");
    for part in path.strip_prefix("/").unwrap().components() {
        match part {
            std::path::Component::ParentDir => {
                at.pop();
            }
            std::path::Component::Normal(name) => {
                let next = at.join(name);
                if fs::symlink_metadata(&next).ok()?.is_symlink() {
                    *left = left.checked_sub(1)?;
                    folders.push(at.clone());
                    at = links(&at.join(fs::read_link(&next).unwrap()), left, folders)?;
                } else {
                    at = next;
                }
            }
            _ => {}
        }
    }
    Some(at)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Of any tree: what is read is what the system would read, if every link on the way lies on the mount of the file.
    #[test]
    fn any_tree_is_read_as_the_system_reads_it_within_a_mount(nodes in tree(), paths in proptest::collection::vec(parts(any::<bool>().prop_map(Some), 5), 1..8)) {
        let place = Place { workspace: tempfile::tempdir().unwrap(), ..Place::new() };
        for (number, node) in nodes.iter().enumerate() {
            let at = node.at.on(&place);
            // Links made before may lead anywhere: nothing is made outside of the two folders.
            let folder = at.parent().and_then(|folder| folder.canonicalize().ok());
            let roots = [place.root(), place.other.path().canonicalize().unwrap()];
            let name = at.components().next_back();
            if !folder.is_some_and(|folder| roots.iter().any(|root| folder.starts_with(root)))
                || !matches!(name, Some(std::path::Component::Normal(_)))
            {
                continue;
            }
            // What is there already is left out.
            let _ = match &node.kind {
                NodeKind::File if fs::symlink_metadata(&at).is_err() => fs::write(&at, format!("{number}")),
                NodeKind::Folder => fs::create_dir(&at),
                NodeKind::Fifo => {
                    mknodat(CWD, &at, FileType::Fifo, Mode::RUSR, 0).map_err(io::Error::from)
                }
                NodeKind::Link(target) => symlink(target.on(&place), &at),
                NodeKind::File => Ok(()),
            };
        }
        for path in paths.iter().chain(nodes.iter().map(|node| &node.at)) {
            let path = path.on(&place);
            let found = read(&path, 1024);
            let Ok(real) = fs::canonicalize(&path) else {
                prop_assert!(found.is_err(), "{path:?} leads nowhere: {found:?}");
                continue;
            };
            let mut folders = Vec::new();
            let by_text = links(&path, &mut 40, &mut folders);
            prop_assert_eq!(by_text.as_ref(), Some(&real));
            if !real.is_file() {
                prop_assert!(found.is_err(), "{path:?} is not a file: {found:?}");
                continue;
            }
            let end = mount(real.parent().unwrap());
            if folders.iter().all(|folder| mount(folder) == end) {
                prop_assert_eq!(found.unwrap(), fs::read(&real).unwrap());
            } else {
                prop_assert!(matches!(found, Err(InputError::LeadsOut { .. })), "{path:?}: {found:?}");
            }
        }
    }
}
