//! The walk along a path, part by part, as the kernel would do it, but for where a link may lead.
//!
//! Each part is opened relative to the folder before it, as a place only (`O_PATH`): that reads nothing, blocks nowhere,
//! and wakes no device. A link is read and its target walked in the same way. At the end, every link that was followed
//! must lie on the mount where the walk ended: a build step can fill a volume with links, and must not make this
//! process read for it what is mounted elsewhere. Entering a mount without a link is what the user asked for.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat, fstat, fstatfs, openat, readlinkat};
use rustix::io::Errno;

use super::InputError;
use super::exceptions::{EXCEPTIONS, Exception};
use super::mount::MountId;

/// The most links on one walk; Linux follows as many.
const MAX_LINKS: usize = 40;

/// Opens whatever it is as a place, a link too.
const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Opens a folder as a place; unlike [`PLACE`] alone, this mounts what is mounted on demand.
const FOLDER: OFlags = PLACE.union(OFlags::DIRECTORY);

/// What a walk is to end at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Anything but a link; what it is, the caller looks at.
    File,
    /// The path leads to a directory.
    Folder,
    /// A folder whose own name is not a link.
    NamedFolder,
}

/// What links are judged by; tests have others.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// The mount of the open file, if the system reports it.
    pub(super) mount: &'a dyn Fn(BorrowedFd<'_>) -> Option<MountId>,
    /// The links that may lead to another mount.
    pub(super) exceptions: &'a [Exception],
}

/// The rules of this system.
pub(super) const RULES: Rules<'static> = Rules { mount: &|place| MountId::of(place), exceptions: EXCEPTIONS };

/// Where a walk ended.
#[derive(Debug)]
pub(super) enum Found {
    /// In a folder, with its full path.
    Folder(OwnedFd, PathBuf),
    /// At the entry of a folder that is neither a folder nor a link, and may be anything else.
    Entry {
        /// The open directory that contains it.
        folder: OwnedFd,
        /// The name in that directory.
        name: OsString,
        /// The entry, open as a place.
        place: OwnedFd,
        /// The type and owner that the system reports.
        stat: Stat,
    },
}

/// Walks along `path`, from the root or from the working folder.
pub(super) fn walk(path: &Path, goal: Goal, rules: Rules<'_>) -> Result<Found, InputError> {
    if path.as_os_str().is_empty() {
        return Err(InputError::Io(Errno::NOENT.into()));
    }
    let mut walk = Walk::begin(path, rules)?;
    // Without a final slash, which would follow a link.
    let named: PathBuf;
    let path = match goal {
        Goal::NamedFolder => {
            named = path.components().collect();
            &named
        }
        _ => path,
    };
    walk.push(path.as_os_str());
    loop {
        let Some(part) = walk.todo.pop() else {
            walk.judge(walk.folder.as_fd(), fstat(&walk.folder).map_err(|error| walk.failed(error))?)?;
            return Ok(Found::Folder(walk.folder, walk.at));
        };
        let name = match part {
            Part::Here => continue,
            Part::Up => {
                walk.folder = walk.open(OsStr::new(".."), FOLDER).map_err(|error| walk.failed(error))?;
                up(&mut walk.at);
                continue;
            }
            Part::Name(name) => name,
        };
        if let Some((name, place, stat)) = walk.step(name, goal)? {
            walk.judge(place.as_fd(), stat)?;
            return Ok(Found::Entry { folder: walk.folder, name, place, stat });
        }
    }
}

/// A part of a path.
enum Part {
    /// `.`, or nothing behind a final slash: what is before it must be a folder.
    Here,
    Up,
    Name(OsString),
}

/// A link that was followed.
struct Link {
    path: PathBuf,
    /// Its target's full path, by its text.
    target: PathBuf,
    mount: Option<MountId>,
    device: u64,
    /// Whether its target's text stays in the folder of the link.
    inside: bool,
    excepted: bool,
    /// How many parts were left to walk behind it.
    left: usize,
}

/// A walk on its way.
struct Walk<'a> {
    rules: Rules<'a>,
    folder: OwnedFd,
    /// The folder's full path, without links and `..`; relative if the working folder's isn't known.
    at: PathBuf,
    /// What is left, the next part last.
    todo: Vec<Part>,
    links: Vec<Link>,
}

impl<'a> Walk<'a> {
    fn begin(path: &Path, rules: Rules<'a>) -> Result<Self, InputError> {
        let at =
            if path.has_root() { PathBuf::from("/") } else { std::env::current_dir().unwrap_or_default() };
        let start = if path.has_root() { "/" } else { "." };
        let folder = openat(CWD, start, FOLDER, Mode::empty()).map_err(std::io::Error::from)?;
        Ok(Self { rules, folder, at, todo: Vec::new(), links: Vec::new() })
    }

    fn open(&self, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat(&self.folder, name, flags, Mode::empty())
    }

    /// Adds the parts of `path` before what is left.
    fn push(&mut self, path: &OsStr) {
        let bytes = path.as_bytes();
        if bytes.ends_with(b"/") {
            self.todo.push(Part::Here);
        }
        self.todo.extend(bytes.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(|part| {
            match part {
                b"." => Part::Here,
                b".." => Part::Up,
                name => Part::Name(OsStr::from_bytes(name).to_owned()),
            }
        }));
    }

    /// Goes on by `name`: into a folder, along a link, or, at the last part, to what the walk ends at.
    fn step(&mut self, name: OsString, goal: Goal) -> Result<Option<(OsString, OwnedFd, Stat)>, InputError> {
        let last = self.todo.is_empty();
        if !last || goal != Goal::File {
            match self.open(&name, FOLDER) {
                Ok(folder) => {
                    self.enter(folder, &name);
                    return Ok(None);
                }
                // Not a folder, or a link: Linux says either of a link.
                Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        let place = self.open(&name, PLACE).map_err(|error| self.failed(error))?;
        let stat = fstat(&place).map_err(|error| self.failed(error))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink if last && goal == Goal::NamedFolder => Err(InputError::Link),
            FileType::Symlink => self.follow(&place, &stat, &name).map(|()| None),
            FileType::Directory => {
                self.enter(place, &name);
                Ok(None)
            }
            _ if !last => Err(self.failed(Errno::NOTDIR)),
            _ if goal != Goal::File => Err(InputError::NotAFolder),
            _ => Ok(Some((name, place, stat))),
        }
    }

    fn enter(&mut self, folder: OwnedFd, name: &OsStr) {
        self.folder = folder;
        self.at.push(name);
    }

    fn follow(&mut self, link: &OwnedFd, stat: &Stat, name: &OsStr) -> Result<(), InputError> {
        if self.links.len() == MAX_LINKS {
            return Err(InputError::Io(Errno::LOOP.into()));
        }
        // A link of procfs doesn't lead where its text says.
        if fstatfs(link).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC) {
            return Err(self.procfs());
        }
        let target = readlinkat(link, c"", Vec::new()).map_err(|error| self.failed(error))?;
        let target = OsString::from_vec(target.into_bytes());
        let target = Path::new(&target);
        let path = self.at.join(name);
        let leads_to = normal(&self.at.join(target));
        self.links.push(Link {
            mount: (self.rules.mount)(link.as_fd()),
            device: stat.st_dev,
            inside: target
                .components()
                .all(|part| !matches!(part, Component::RootDir | Component::ParentDir)),
            excepted: self.rules.exceptions.iter().any(|exception| exception.covers(&path, &leads_to)),
            left: self.todo.len(),
            path,
            target: leads_to,
        });
        if target.has_root() {
            self.folder = openat(CWD, "/", FOLDER, Mode::empty()).map_err(|error| self.failed(error))?;
            self.at = PathBuf::from("/");
        }
        self.push(target.as_os_str());
        Ok(())
    }

    /// Whether what the walk ended at lies on the mount of every link that it followed.
    fn judge(&self, end: BorrowedFd<'_>, stat: Stat) -> Result<(), InputError> {
        let Some(_) = self.links.first() else { return Ok(()) };
        let mount = (self.rules.mount)(end);
        // The last link that leads out does so by itself.
        for link in self.links.iter().rev().filter(|link| !link.excepted) {
            let (path, target) = (link.path.clone(), link.target.clone());
            match (link.mount, mount) {
                (Some(own), Some(other)) if own == other => {}
                (Some(_), Some(_)) => return Err(InputError::LeadsOut { link: path, target }),
                // Another device is another mount at any rate.
                _ if link.inside && link.device == stat.st_dev => {}
                _ => return Err(InputError::UnknownMount { link: path, target }),
            }
        }
        Ok(())
    }

    /// The error of the system's at this point. Where it is a link's target that can't be opened, the link is named.
    fn failed(&self, error: Errno) -> InputError {
        match self.links.iter().rev().find(|link| self.todo.len() >= link.left) {
            Some(link) => InputError::Dangling {
                link: link.path.clone(),
                target: link.target.clone(),
                source: error.into(),
            },
            None => InputError::Io(error.into()),
        }
    }

    /// The error at a link of procfs: the user named it, by way of `/dev` perhaps, or a link elsewhere leads to it.
    fn procfs(&self) -> InputError {
        match self.links.first().filter(|link| link.path.parent() != Some(Path::new("/dev"))) {
            Some(link) => InputError::LeadsOut { link: link.path.clone(), target: link.target.clone() },
            None => InputError::Procfs { stdin: false },
        }
    }
}

/// `path` without `.` and `..`, by its text alone, as if none of its folders were a link.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => up(&mut out),
            part => out.push(part),
        }
    }
    out
}

/// Takes the last name off `path`.
fn up(path: &mut PathBuf) {
    let unknown = path.components().next_back().is_none_or(|part| part == Component::ParentDir);
    if unknown {
        path.push("..");
    } else {
        path.pop();
    }
}
