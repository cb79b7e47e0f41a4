//! Folders that the steps of a Task may share, and the files in them that no other step could have written.
//!
//! A volume that is mounted at such a folder, or at a file in it, was put there by whoever wrote the Task. It can be told apart
//! from what a step left behind: its mount isn't the one that holds the folder above it. So a file is read if
//!
//! - its folder is a mount of its own, and the file that is opened in the end lies on it (the files of a Secret are links into
//!   `..data`), or
//! - the file itself is a mount of its own: a Secret that is mounted by sub-path.
//!
//! The folder is opened part by part, and none of the parts may be a link. Everything is decided on what is open already: what is
//! swapped in between is refused, too. If the system doesn't distinguish mounts, nothing is read.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::mount::MountId;

/// Tells the mount of an open file; [`MountId::of`] outside of tests.
pub(crate) type MountOf = Arc<dyn Fn(BorrowedFd<'_>) -> Option<MountId> + Send + Sync>;

/// Opened to be looked at: neither its content is read, nor a device or a FIFO disturbed.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// Opened to be read, without waiting for a FIFO's writer.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A folder that other steps may be able to write to.
#[derive(Clone)]
pub(crate) struct SharedFolder {
    path: PathBuf,
    /// The setting that names what is in it, as the user writes it: `DOCKER_CONFIG=/tekton/home/.docker`.
    setting: String,
    mount_of: MountOf,
}

/// A folder below `$HOME`.
#[derive(Clone, Debug)]
pub(crate) enum HomeFolder {
    /// Nobody but the user writes to it.
    Private(PathBuf),
    /// Other steps may be able to.
    Shared(SharedFolder),
}

/// The result of [`SharedFolder::find`].
#[derive(Debug)]
pub(crate) enum Found {
    /// A file that no other step could have written.
    File(File),
    /// Nothing exists at the path.
    Absent,
    /// Something is there, and another step may have written it.
    Unprotected,
    /// Something is there that no other step could have written, and it can't be opened.
    Failed(io::Error),
}

impl fmt::Debug for SharedFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFolder").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SharedFolder {
    /// The folder at `path`, whose files are read without a check if `setting` names them.
    pub(crate) fn new(path: PathBuf, setting: String, mount_of: MountOf) -> Self {
        Self { path, setting, mount_of }
    }

    /// Returns the path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file `name` in it, if no other step could have written it.
    pub(crate) fn find(&self, name: &Path) -> Found {
        self.open(name).unwrap_or_else(|| match self.path.join(name).symlink_metadata() {
            Ok(_) => Found::Unprotected,
            Err(_) => Found::Absent,
        })
    }

    /// Why `files` in it were not read, and how they would be.
    pub(crate) fn unread(&self, files: &[PathBuf]) -> Option<String> {
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        let verb = match names.len() {
            0 => return None,
            1 => "was",
            _ => "were",
        };
        Some(format!(
            "{} {verb} not read, because in a pod other steps may be able to write below $HOME: to use what is there, set {}",
            names.join(", "),
            self.setting
        ))
    }

    /// `None`: nothing is there, or another step may have written it.
    fn open(&self, name: &Path) -> Option<Found> {
        let mount = |file: &OwnedFd| (self.mount_of)(file.as_fd());
        let (parent, folder) = walk(&self.path)?;
        let inner = mount(&folder)?;
        let look = |flags| rustix::fs::openat(&folder, name, LOOK.union(flags), Mode::empty());
        let mut parts = name.components();
        let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        let entry = look(OFlags::NOFOLLOW).ok().filter(|_| plain).and_then(|entry| mount(&entry));
        let (flags, expected) = match entry {
            Some(entry) if entry != inner => (OFlags::NOFOLLOW, entry),
            _ if mount(&parent)? != inner => match look(OFlags::empty()) {
                Ok(target) if mount(&target)? == inner => (OFlags::empty(), inner),
                // A link that leads nowhere: something was meant to be there.
                Err(error) if rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() => {
                    return Some(Found::Failed(error.into()));
                }
                _ => return None,
            },
            _ => return None,
        };
        match rustix::fs::openat(&folder, name, READ.union(flags), Mode::empty()) {
            // Another file may have come into its place.
            Ok(file) => (mount(&file)? == expected).then(|| Found::File(file.into())),
            Err(error) => Some(Found::Failed(error.into())),
        }
    }
}

/// Opens the folder above `path`, and `path`, without following a link anywhere on the way.
fn walk(path: &Path) -> Option<(OwnedFd, OwnedFd)> {
    const FOLDER: OFlags = LOOK.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);
    let mut parts = path.components();
    // A relative path depends on where the step was started.
    if parts.next() != Some(Component::RootDir) {
        return None;
    }
    let mut folder = rustix::fs::open("/", FOLDER, Mode::empty()).ok()?;
    let mut parent = None;
    for part in parts {
        let next = rustix::fs::openat(&folder, Path::new(part.as_os_str()), FOLDER, Mode::empty()).ok()?;
        parent = Some(std::mem::replace(&mut folder, next));
    }
    Some((parent?, folder))
}

#[cfg(test)]
pub(crate) mod tests;
