//! Reading the small files of a signing key: bounded, regular files only, without ever waiting.
//!
//! [`input`](crate::input) doesn't read them: the user names the key, links to wherever a Secret is mounted are theirs, and
//! what is read is wiped from memory. Public keys to verify with are read by it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::KeyError;

/// The largest key file. RSA 8192 in PEM is 6.4 KiB, encrypted 10 KiB; the rest is room for text beside it.
pub(super) const KEY_BYTES: usize = 64 * 1024;
/// The largest password: no one types, and no generator makes, four kilobytes.
pub(super) const PASSWORD_BYTES: usize = 4 * 1024;

/// The content of the file at `path`, links followed: Kubernetes mounts each entry of a Secret as one, and they are trusted.
///
/// # Errors
///
/// The file can't be read, is not a regular file, or larger than `limit`.
pub(super) fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |source: io::Error| KeyError::Read { path: path.into(), source };
    // Without NONBLOCK, opening a FIFO waits for somebody to write into it.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file =
        File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(KeyError::NotRegular { path: path.into() });
    }
    // One allocation of the whole limit and a byte: a vector that grows would leave copies of the key behind.
    let mut bytes = Zeroizing::new(vec![0; limit + 1]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if length > limit {
        return Err(KeyError::TooLarge { path: path.into(), limit });
    }
    bytes.truncate(length);
    Ok(bytes)
}
