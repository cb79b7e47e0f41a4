//! Folders that other steps write: opened, listed and read so that nothing in them can trick the reader.
//!
//! Every name is opened relative to a folder that is already open, without following a link, without
//! blocking, and is looked at again once it is open: what another step swaps in between is refused like
//! what was there before. Files and lists have upper limits.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::value::ValueError;

/// The most that is read of one file. Results share 4 KiB through the termination message, and about
/// 1.5 MB (what etcd stores in one object) with sidecar logs; 1 MiB names more than 8,000 images.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The most that is read of all results in one run: several times what a TaskRun can report.
pub(super) const MAX_ALL_BYTES: u64 = 8 * 1024 * 1024;
/// The most entries that one run looks at. A Task declares dozens of results at most; without a limit a step
/// could keep the signer busy, or let it forget the results that come last.
pub(super) const MAX_ENTRIES: usize = 4096;

/// What may still be read in this run.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: u64,
    entries: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MAX_ALL_BYTES, entries: MAX_ENTRIES }
    }
}

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// Why a folder can't be used.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is none.
    Missing,
    /// It is a symbolic link.
    Link,
    /// It is something else than a folder.
    NotAFolder,
    /// It has more entries than a run may look at.
    TooMany,
    /// The system refused.
    Io(io::Error),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT => Self::Missing,
            Errno::LOOP => Self::Link,
            Errno::NOTDIR => Self::NotAFolder,
            other => Self::Io(other.into()),
        }
    }
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Link,
    Folder,
    Other,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the folder at `path`; the folder itself may not be a link, those above it may.
    pub(super) fn open(path: &Path) -> Result<Self, Refusal> {
        // Without a final slash, which would follow a link.
        let path: PathBuf = path.components().collect();
        rustix::fs::open(&path, FOLDER, Mode::empty()).map(Self).map_err(|error| {
            // Linux says "not a directory" of a link that may not be followed.
            let link = || path.symlink_metadata().is_ok_and(|found| found.is_symlink());
            if error == Errno::NOTDIR && link() { Refusal::Link } else { error.into() }
        })
    }

    /// Opens the folder `name` in this one.
    pub(super) fn below(&self, name: &OsStr) -> Result<Self, Refusal> {
        rustix::fs::openat(&self.0, name, FOLDER, Mode::empty()).map(Self).map_err(|error| {
            let link = || self.entry(name).is_ok_and(|entry| entry == Entry::Link);
            if error == Errno::NOTDIR && link() { Refusal::Link } else { error.into() }
        })
    }

    /// The names in it, sorted by their bytes.
    pub(super) fn names(&self, budget: &mut Budget) -> Result<Vec<OsString>, Refusal> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            budget.entries = budget.entries.checked_sub(1).ok_or(Refusal::TooMany)?;
            names.push(OsString::from_vec(name.to_vec()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What `name` is, without following it.
    pub(super) fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        let found = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => Entry::Link,
            FileType::Directory => Entry::Folder,
            _ => Entry::Other,
        })
    }

    /// Where the link `name` leads, as it is written.
    pub(super) fn link_target(&self, name: &OsStr) -> io::Result<PathBuf> {
        let target = rustix::fs::readlinkat(&self.0, name, Vec::new())?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// Which folder this is, however it was reached.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        let found = File::from(self.0.try_clone()?).metadata()?;
        Ok((found.dev(), found.ino()))
    }

    /// The bytes of the regular file `name`.
    pub(super) fn read(&self, name: &OsStr, budget: &mut Budget) -> Result<Vec<u8>, ValueError> {
        // Looked at first, because merely opening some devices does something.
        let found = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map_err(unreadable)?;
        regular(FileType::from_raw_mode(found.st_mode))?;
        let file = rustix::fs::openat(&self.0, name, FILE, Mode::empty()).map_err(unreadable)?;
        let found = rustix::fs::fstat(&file).map_err(unreadable)?;
        regular(FileType::from_raw_mode(found.st_mode))?;
        let size = u64::try_from(found.st_size).unwrap_or(u64::MAX);
        if size > MAX_FILE_BYTES {
            return Err(ValueError::TooBig);
        }
        if size > budget.bytes {
            return Err(ValueError::AllTooBig);
        }
        // The file may grow while it is read.
        let bytes = read_at_most(File::from(file), MAX_FILE_BYTES).map_err(ValueError::Unreadable)?;
        let bytes = bytes.ok_or(ValueError::TooBig)?;
        budget.bytes = budget.bytes.checked_sub(bytes.len() as u64).ok_or(ValueError::AllTooBig)?;
        Ok(bytes)
    }
}

/// All of `source`, or `None` if it has more than `limit` bytes.
pub(super) fn read_at_most(source: impl io::Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

fn unreadable(error: Errno) -> ValueError {
    match error {
        Errno::LOOP => ValueError::Link,
        // A socket can't be opened at all.
        Errno::NXIO => ValueError::NotAFile("a socket"),
        other => ValueError::Unreadable(other.into()),
    }
}

fn regular(kind: FileType) -> Result<(), ValueError> {
    match kind {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(ValueError::Link),
        FileType::Directory => Err(ValueError::NotAFile("a folder")),
        FileType::Fifo => Err(ValueError::NotAFile("a FIFO")),
        FileType::Socket => Err(ValueError::NotAFile("a socket")),
        FileType::CharacterDevice | FileType::BlockDevice => Err(ValueError::NotAFile("a device")),
        _ => Err(ValueError::NotAFile("of an unknown type")),
    }
}
