//! What is read of folders that other steps write, and no more: files, lists and all of them together have upper limits.

use std::ffi::{OsStr, OsString};
use std::io;

use crate::hint::{MAX_ALL_BYTES, MAX_FILE_BYTES, ValueError};
use crate::input::{Folder, InputError};

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

impl Budget {
    /// The names in `folder`, sorted by their bytes.
    pub(super) fn names(&mut self, folder: &Folder) -> Result<Vec<OsString>, InputError> {
        let names = folder.names(self.entries)?;
        self.entries = self.entries.saturating_sub(names.len());
        Ok(names)
    }

    /// The bytes of the regular file `name` in `folder`.
    pub(super) fn read(&mut self, folder: &Folder, name: &OsStr) -> Result<Vec<u8>, ValueError> {
        let limit = self.bytes.min(MAX_FILE_BYTES);
        let bytes = folder.read(name, limit).map_err(|error| match error {
            InputError::Link => ValueError::Link,
            InputError::NotAFile { kind, .. } => ValueError::NotAFile(kind),
            InputError::TooLarge { limit: MAX_FILE_BYTES } => ValueError::TooBig,
            InputError::TooLarge { .. } => ValueError::AllTooBig,
            InputError::Io(error) => ValueError::Unreadable(error),
            other => ValueError::Unreadable(io::Error::other(other)),
        })?;
        self.bytes = self.bytes.saturating_sub(bytes.len() as u64);
        Ok(bytes)
    }
}
