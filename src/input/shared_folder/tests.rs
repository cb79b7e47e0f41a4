//! Mounts are made up here: what a made-up mount holds is what lies below its path.

use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A folder with `home`, which steps share, and made-up mounts.
pub(crate) struct Disk {
    _folder: tempfile::TempDir,
    pub(crate) root: PathBuf,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("home")).unwrap();
        Self { _folder: folder, root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn link(&self, target: &str, name: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // A target that begins with `/` is one below the root of this disk.
        let target = target.strip_prefix('/').map_or(PathBuf::from(target), |target| self.path(target));
        symlink(target, path).unwrap();
    }

    /// Tells mounts apart as if each of `points` were one.
    pub(crate) fn mounts(&self, points: &[&str]) -> MountOf {
        let points: Vec<PathBuf> = points.iter().map(|point| self.path(point)).collect();
        Arc::new(move |file| {
            let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
            let fitting = points.iter().enumerate().filter(|(_, point)| path.starts_with(point));
            let deepest = fitting.max_by_key(|(_, point)| point.components().count());
            Some(MountId::numbered(deepest.map_or(0, |(at, _)| at as u64 + 1)))
        })
    }
}

/// What was found, with a file's content.
fn told(found: Found) -> String {
    match found {
        Found::File(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        }
        Found::Absent => "absent".into(),
        Found::Unprotected => "unprotected".into(),
        Found::Failed(_) => "failed".into(),
    }
}

fn find(path: PathBuf, name: &str, mount_of: MountOf) -> String {
    told(SharedFolder::new(path, "SETTING".into(), mount_of).find(Path::new(name)))
}

const FILE: &str = "home/.docker/config.json";

#[test]
fn a_file_is_read_only_from_a_mount_of_its_own() {
    type Make = fn(&Disk);
    let plain: Make = |disk| disk.file(FILE, "good");
    let secret: Make = |disk| {
        disk.file("home/.docker/..2026/config.json", "good");
        disk.link("..2026", "home/.docker/..data");
        disk.link("..data/config.json", FILE);
    };
    let empty: Make = |disk| std::fs::create_dir(disk.path("home/.docker")).unwrap();
    let leads_out: Make = |disk| {
        disk.file("secret/config.json", "bad");
        disk.link("/secret/config.json", FILE);
    };
    let leads_nowhere: Make = |disk| disk.link("nowhere", FILE);
    let folder_is_a_link: Make = |disk| {
        disk.file("secret/config.json", "bad");
        disk.link("/secret", "home/.docker");
    };
    let fifo: Make = |disk| {
        std::fs::create_dir(disk.path("home/.docker")).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR);
        rustix::fs::mknodat(rustix::fs::CWD, disk.path(FILE), kind, mode, 0).unwrap();
    };
    let folder_is_a_file: Make = |disk| disk.file("home/.docker", "bad");
    let folder_leads_in_a_circle: Make = |disk| disk.link(".docker", "home/.docker");

    let cases: &[(&str, Make, &[&str], &str)] = &[
        ("nothing", |_| {}, &[], "absent"),
        ("no mount", plain, &[], "unprotected"),
        ("the folder is a mount", plain, &["home/.docker"], "good"),
        ("the file is a mount", plain, &[FILE], "good"),
        ("both are", plain, &["home/.docker", FILE], "good"),
        ("only $HOME is a mount", plain, &["home"], "unprotected"),
        ("a Secret", secret, &["home/.docker"], "good"),
        ("what looks like a Secret", secret, &[], "unprotected"),
        ("a mount without the file", empty, &["home/.docker"], "absent"),
        ("a link out of a mount", leads_out, &["home/.docker", "secret"], "unprotected"),
        ("a link out of a mount to $HOME's", leads_out, &["home/.docker"], "unprotected"),
        ("a link to a mount", leads_out, &["secret"], "unprotected"),
        ("a link to a mounted file", leads_out, &["secret/config.json"], "unprotected"),
        ("a link to nowhere, in a mount", leads_nowhere, &["home/.docker"], "failed"),
        ("a link to nowhere", leads_nowhere, &[], "unprotected"),
        ("a link to a mounted folder", folder_is_a_link, &["secret"], "unprotected"),
        ("a link to a folder with a mounted file", folder_is_a_link, &["secret/config.json"], "unprotected"),
        ("a FIFO", fifo, &[], "unprotected"),
        ("a file in place of the folder", folder_is_a_file, &[], "absent"),
        ("a file in place of the folder, mounted", folder_is_a_file, &["home/.docker"], "absent"),
        ("a circle", folder_leads_in_a_circle, &[], "absent"),
    ];
    for (name, make, mounts, expected) in cases {
        let disk = Disk::new();
        make(&disk);
        assert_eq!(find(disk.path("home/.docker"), "config.json", disk.mounts(mounts)), *expected, "{name}");
    }
}

#[test]
fn the_way_to_the_folder_has_no_link() {
    let disk = Disk::new();
    disk.file(FILE, "good");
    disk.link("home", "link");
    disk.link(".", "home/here");
    let mounts = disk.mounts(&["home/.docker"]);
    for (path, expected) in [
        ("home/.docker", "good"),
        ("home/./.docker/", "good"),
        ("home//.docker//", "good"),
        ("home/../home/.docker", "good"),
        ("link/.docker", "unprotected"),
        ("link/../home/.docker", "unprotected"),
        ("home/here/.docker", "unprotected"),
        ("nowhere/.docker", "absent"),
    ] {
        assert_eq!(find(disk.path(path), "config.json", Arc::clone(&mounts)), expected, "{path}");
    }
    // Where the step was started is another step's choice, too.
    let depth = std::env::current_dir().unwrap().components().count();
    let relative = Path::new(&"../".repeat(depth)).join(disk.path("home/.docker").strip_prefix("/").unwrap());
    assert_eq!(find(relative, "config.json", mounts), "unprotected");
    for path in ["/", "//", ""] {
        let found = find(path.into(), "config.json", Arc::new(|file| MountId::of(file)));
        assert!(["absent", "unprotected"].contains(&found.as_str()), "{path}: {found}");
    }
}

#[test]
fn a_name_of_several_parts_stays_on_the_mount() {
    let disk = Disk::new();
    disk.file("home/.kube/pki/ca.crt", "good");
    disk.file("home/ca.crt", "bad");
    disk.file("secret/ca.crt", "bad");
    disk.link("/secret", "home/.kube/out");
    let absolute = disk.path("secret/ca.crt").display().to_string();
    let all: &[&str] = &["home/.kube", "secret"];
    for (name, mounts, expected) in [
        ("pki/ca.crt", all, "good"),
        ("./pki/../pki/ca.crt", all, "good"),
        ("../ca.crt", all, "unprotected"),
        ("out/ca.crt", all, "unprotected"),
        (absolute.as_str(), all, "unprotected"),
        ("pki/ca.crt", &[], "unprotected"),
        ("out/ca.crt", &["secret"], "unprotected"),
        ("pki/ca.crt", &["home/.kube/pki"], "unprotected"),
        ("..", all, "unprotected"),
        ("", &[], "unprotected"),
        (".", &[], "unprotected"),
    ] {
        assert_eq!(find(disk.path("home/.kube"), name, disk.mounts(mounts)), expected, "{name} {mounts:?}");
    }
}

#[test]
fn nothing_is_read_where_mounts_are_not_told_apart() {
    let disk = Disk::new();
    disk.file(FILE, "bad");
    assert_eq!(find(disk.path("home/.docker"), "config.json", Arc::new(|_| None)), "unprotected");
    // Each question in turn gets no answer.
    for unknown in 0..6 {
        let asked = AtomicUsize::new(0);
        let mounts = disk.mounts(&["home/.docker"]);
        let mount_of: MountOf =
            Arc::new(move |file| match asked.fetch_add(1, Ordering::Relaxed) == unknown {
                true => None,
                false => mounts(file),
            });
        let found = find(disk.path("home/.docker"), "config.json", mount_of);
        // The file's own mount is asked for first, which doesn't matter in a folder that is a mount.
        let expected = if unknown == 1 || unknown == 5 { "bad" } else { "unprotected" };
        assert_eq!(found, expected, "question {unknown}");
    }
}

/// Another step takes a mount away, or puts a link or a file in a name's place, between two looks at it.
#[test]
fn what_is_swapped_in_between_is_not_read() {
    for mounted in ["home/.docker", FILE] {
        for moment in 0..5 {
            let disk = Disk::new();
            disk.file(FILE, "good");
            disk.file("home/planted", "bad");
            let (path, planted) = (disk.path(FILE), disk.path("home/planted"));
            let (asked, mounts) = (AtomicUsize::new(0), disk.mounts(&[mounted]));
            let mount_of: MountOf = Arc::new(move |file| {
                let id = mounts(file);
                if asked.fetch_add(1, Ordering::Relaxed) == moment {
                    let _ = std::fs::remove_file(&path);
                    symlink(&planted, &path).unwrap();
                }
                id
            });
            let found = find(disk.path("home/.docker"), "config.json", mount_of);
            assert_ne!(found, "bad", "{mounted}, {moment}");
        }
    }
}

#[test]
fn a_real_mount_is_told_from_the_folder_above_it() {
    let mount = |path: &str| MountId::of(File::open(path).ok()?);
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
    if mount("/dev").is_none() || mount("/dev") == mount("/dev/shm") {
        return;
    }
    let name = folder.path().strip_prefix("/dev/shm").unwrap().join("config");
    std::fs::write(folder.path().join("config"), "good").unwrap();
    let real: MountOf = Arc::new(|file| MountId::of(file));
    let name = name.to_str().unwrap();
    assert_eq!(find("/dev/shm".into(), name, Arc::clone(&real)), "good");
    assert_eq!(find(folder.path().to_owned(), "config", real), "unprotected");
}

#[test]
fn what_was_not_read_is_named_with_what_to_set() {
    let folder =
        SharedFolder::new("/h/.docker".into(), "DOCKER_CONFIG=/h/.docker".into(), Arc::new(|_| None));
    assert_eq!(folder.unread(&[]), None);
    let text = folder.unread(&["/h/.docker/config.json".into(), "/h/.docker/.dockercfg".into()]).unwrap();
    assert!(text.starts_with("/h/.docker/config.json, /h/.docker/.dockercfg were not read"), "{text}");
    assert!(text.ends_with("set DOCKER_CONFIG=/h/.docker"), "{text}");
}
