//! Opening and reading one file whose place is known.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::InputError;
use super::walk::Rules;

/// How a regular file is opened: without waiting, and without becoming anyone's terminal.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A file that says it is empty, as those of procfs do, is read up to this all the same.
const UNSIZED_BYTES: u64 = 64 * 1024 * 1024;

/// A regular file that is open, and how large it was then.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) size: u64,
}

/// Opens the entry `name` of `folder` for reading, which was seen at `place`: a regular file, and the same file.
pub(super) fn open(
    folder: &OwnedFd,
    name: &OsStr,
    place: &OwnedFd,
    seen: &Stat,
    rules: Rules<'_>,
) -> Result<Opened, InputError> {
    regular(seen)?;
    let file = openat(folder, name, FILE | OFlags::NOFOLLOW, Mode::empty()).map_err(|error| match error {
        // It was a regular file, and none of these comes of opening one.
        Errno::LOOP | Errno::NXIO | Errno::NOENT | Errno::NOTDIR => InputError::Replaced,
        other => InputError::Io(other.into()),
    })?;
    let opened = fstat(&file).map_err(io::Error::from)?;
    let identity = |stat: &Stat| (stat.st_dev, stat.st_ino, FileType::from_raw_mode(stat.st_mode));
    if identity(&opened) != identity(seen) || (rules.mount)(file.as_fd()) != (rules.mount)(place.as_fd()) {
        return Err(InputError::Replaced);
    }
    Ok(Opened { file: file.into(), size: u64::try_from(opened.st_size).unwrap_or(u64::MAX) })
}

/// Opens the regular file at `path`, wherever links lead on the way.
pub(super) fn open_trusted(path: &Path) -> Result<Opened, InputError> {
    let file = rustix::fs::open(path, FILE, Mode::empty()).map_err(io::Error::from)?;
    let opened = fstat(&file).map_err(io::Error::from)?;
    regular(&opened)?;
    Ok(Opened { file: file.into(), size: u64::try_from(opened.st_size).unwrap_or(u64::MAX) })
}

fn regular(stat: &Stat) -> Result<(), InputError> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Symlink => return Err(InputError::Link),
        FileType::Directory => "a folder",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "of an unknown type",
    };
    Err(InputError::NotAFile { kind, stdin: false })
}

/// All of `source`, which says that it has `size` bytes.
pub(super) fn read_all(source: impl Read, size: u64, limit: u64) -> Result<Vec<u8>, InputError> {
    if size > limit {
        return Err(InputError::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    // Another byte, so that the end is found without growing; without room for it, reading fails.
    let _ = bytes.try_reserve_exact(usize::try_from(size).unwrap_or(0).saturating_add(1));
    // It may have grown since it said so.
    source.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(InputError::TooLarge { limit }) } else { Ok(bytes) }
}

/// All of `file`, which holds a login or a token: in memory that is wiped, in one piece, as a buffer that grows leaves copies behind.
pub(super) fn read_secret(file: File, limit: u64) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let stat = fstat(&file).map_err(io::Error::from)?;
    regular(&stat)?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if size > limit {
        return Err(InputError::TooLarge { limit });
    }
    // Another byte, so that the reader finds the end without growing the buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1)));
    // It may have grown since.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(InputError::TooLarge { limit }) } else { Ok(bytes) }
}

/// A regular file of any size, read in pieces, up to the size that it had when it was opened: one that grows as fast as
/// it is read would have no end.
#[derive(Debug)]
pub struct Stream {
    file: File,
    left: u64,
}

impl Stream {
    pub(super) fn new(Opened { file, size }: Opened) -> Self {
        Self { file, left: if size == 0 { UNSIZED_BYTES } else { size } }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(InputError::Grew))?;
        Ok(count)
    }
}
