//! Folders that other steps may write to: every name is opened relative to a folder that is open, and no link in it is
//! followed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::walk::{Found, Goal, RULES, walk};
use super::{InputError, file};

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory that stays open while it is read.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Link,
    Folder,
    Other,
}

impl Folder {
    /// Opens the folder at `path`; links on the way must stay on their mounts, and so must the last part if it is one.
    pub(crate) fn open(path: &Path) -> Result<Self, InputError> {
        Self::walked(path, Goal::Folder)
    }

    /// Opens the folder at `path`, whose own name is not a link; links above it must stay on their mounts.
    pub(crate) fn open_named(path: &Path) -> Result<Self, InputError> {
        Self::walked(path, Goal::NamedFolder)
    }

    fn walked(path: &Path, goal: Goal) -> Result<Self, InputError> {
        match walk(path, goal, RULES)? {
            Found::Folder(place, path) => {
                let fd = openat(&place, ".", FOLDER, Mode::empty()).map_err(io::Error::from)?;
                Ok(Self { fd, path })
            }
            Found::Entry { .. } => Err(InputError::NotAFolder),
        }
    }

    /// Its full path without links, as it was walked.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory `name` in this directory.
    pub(crate) fn below(&self, name: &OsStr) -> Result<Self, InputError> {
        match openat(&self.fd, name, FOLDER, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: self.path.join(name) }),
            // Linux says "not a directory" of a link that may not be followed.
            Err(Errno::LOOP | Errno::NOTDIR) => match self.entry(name)? {
                Entry::Link => Err(InputError::Link),
                _ => Err(InputError::NotAFolder),
            },
            Err(error) => Err(InputError::Io(error.into())),
        }
    }

    /// The names in it, `limit` of them at most, sorted by their bytes.
    pub(crate) fn names(&self, limit: usize) -> Result<Vec<OsString>, InputError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(io::Error::from)? {
            let entry = entry.map_err(io::Error::from)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if names.len() == limit {
                return Err(InputError::TooManyEntries { limit });
            }
            names.push(OsString::from_vec(name.to_vec()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What `name` is, without following it.
    pub(crate) fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        let found = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => Entry::Link,
            FileType::Directory => Entry::Folder,
            _ => Entry::Other,
        })
    }

    /// Where the link `name` leads, as it is written.
    pub(crate) fn link_target(&self, name: &OsStr) -> io::Result<PathBuf> {
        let target = readlinkat(&self.fd, name, Vec::new())?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// Which folder this is, however it was reached.
    pub(crate) fn identity(&self) -> io::Result<(u64, u64)> {
        let found = fstat(&self.fd)?;
        Ok((found.st_dev, found.st_ino))
    }

    /// The bytes of the regular file `name`, `limit` of them at most.
    pub(crate) fn read(&self, name: &OsStr, limit: u64) -> Result<Vec<u8>, InputError> {
        let place = openat(&self.fd, name, PLACE, Mode::empty()).map_err(io::Error::from)?;
        let seen = fstat(&place).map_err(io::Error::from)?;
        let opened = file::open(&self.fd, name, &place, &seen, RULES)?;
        file::read_all(opened.file, opened.size, limit)
    }
}
