//! The one reader of files whose content comes from elsewhere: what a build step may have written, or may have replaced
//! by a link, a FIFO, or a file without an end.
//!
//! It never blocks, reads regular files only, and reads no more than the caller's limit. A link on the way is followed
//! only where what is opened in the end lies on the mount that holds the link: a Secret is another mount than a
//! workspace, and a step that can write to the workspace could otherwise let the signing step publish the Secret.
//! `exceptions.rs` lists the links that may lead elsewhere. Where the system doesn't tell which mount a file lies on,
//! only links that stay in their own folder are followed, as those of a mounted ConfigMap do.
//!
//! Not read here: signing keys and registry credentials, which are named by the user and wiped from memory
//! (`sign/file.rs` and `registry/credentials/places.rs`); and what is the container's own, such as `/etc/hosts` and the
//! ServiceAccount's token.

mod error;
mod exceptions;
mod file;
mod folder;
pub(crate) mod mount;
pub(crate) mod shared_folder;
mod walk;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use zeroize::Zeroizing;

pub use error::InputError;
pub use file::Stream;
pub(crate) use folder::{Entry, Folder};

pub(crate) use walk::normal;
use walk::{Found, Goal, RULES, Rules, walk};

/// What stands for standard input, where an input takes it.
const STDIN: &str = "-";

/// The bytes of the file at `path`, `limit` of them at most.
///
/// # Errors
///
/// There is no such file, it is not a regular one or larger, or a link on the way leads out of its mount.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, InputError> {
    let opened = opened(path, RULES)?;
    file::read_all(opened.file, opened.size, limit)
}

/// The same of an input that takes `-` for standard input.
///
/// # Errors
///
/// As for [`read`]; and standard input has more bytes.
pub(crate) fn read_or_stdin(path: &Path, limit: u64) -> Result<Vec<u8>, InputError> {
    if is_stdin(path) {
        return file::read_all(io::stdin().lock(), 0, limit);
    }
    read(path, limit).map_err(InputError::of_stdin)
}

/// The file at `path`, of `limit` bytes at most, to be read in pieces.
///
/// # Errors
///
/// As for [`read`]. Reading fails if the file grows meanwhile.
pub fn open(path: &Path, limit: u64) -> Result<Stream, InputError> {
    let opened = opened(path, RULES)?;
    if opened.size > limit { Err(InputError::TooLarge { limit }) } else { Ok(Stream::new(opened)) }
}

/// The same of an input that takes `-` for standard input.
///
/// # Errors
///
/// As for [`open`]. Of a longer standard input one byte more than `limit` is read.
pub(crate) fn open_or_stdin(path: &Path, limit: u64) -> Result<Box<dyn Read>, InputError> {
    if is_stdin(path) {
        return Ok(Box::new(io::stdin().lock().take(limit.saturating_add(1))));
    }
    Ok(Box::new(open(path, limit).map_err(InputError::of_stdin)?))
}

/// The bytes of a file that belongs to this container alone, `limit` of them at most: links are followed wherever they
/// lead. Everything else is as for [`read`].
///
/// # Errors
///
/// There is no such file, or it is not a regular one or larger.
pub(crate) fn read_trusted(path: &Path, limit: u64) -> Result<Vec<u8>, InputError> {
    let opened = file::open_trusted(path)?;
    file::read_all(opened.file, opened.size, limit)
}

/// The bytes of an open file that holds a login or a token, `limit` of them at most, in memory that is wiped.
///
/// # Errors
///
/// It is not a regular file, or larger, or can't be read.
pub(crate) fn read_secret(file: File, limit: u64) -> Result<Zeroizing<Vec<u8>>, InputError> {
    file::read_secret(file, limit)
}

/// The file or folder at `path`, as a place that can't be read: where [`read`] and the others would find it.
///
/// # Errors
///
/// There is nothing there, or a link on the way leads out of its mount.
pub(crate) fn place(path: &Path) -> Result<OwnedFd, InputError> {
    Ok(match walk(path, Goal::File, RULES)? {
        Found::Folder(folder, _) => folder,
        Found::Entry { place, .. } => place,
    })
}

/// Whether `path` stands for standard input, where an input takes it.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

fn opened(path: &Path, rules: Rules<'_>) -> Result<file::Opened, InputError> {
    match walk(path, Goal::File, rules)? {
        Found::Folder(..) => Err(InputError::NotAFile { kind: "a folder", stdin: false }),
        Found::Entry { folder, name, place, stat } => file::open(&folder, &name, &place, &stat, rules),
    }
}
