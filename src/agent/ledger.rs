//! How many signatures were given, in a folder of the agent's own: a restarted agent continues the count.
//!
//! The count is on disk before a signature leaves: the file is written beside, synchronized and renamed. It is never less than
//! what was given. Refused are a count that can't be read, a folder that another agent uses, and one that the socket's volume
//! holds, where a step could take the count away.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::explain::explain;
use crate::foreign;
use crate::input::{self, InputError};
use crate::json::{self, MemoryLimit};

/// The file with the count.
const FILE: &str = "signatures.json";
/// What is written before it takes the place of [`FILE`].
const NEW: &str = "signatures.json.new";
/// Locked as long as an agent uses the folder.
const LOCK: &str = "lock";
/// The file has 40 bytes.
const MAX_FILE_BYTES: u64 = 1024;
/// What reading it takes in memory: two keys.
const MEMORY: MemoryLimit = MemoryLimit::memory(4096);
/// The version of the file's format.
const VERSION: u32 = 1;
/// Nobody else needs the folder or its files.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A count of signatures that outlives the process.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    /// What the file holds.
    written: Mutex<u64>,
    /// Unlocked when it is closed, also when the process is killed.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    version: u32,
    signatures: u64,
}

/// Why the count can't be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The folder can't be made or used.
    #[error("cannot use the folder {} for the count of signatures", shown(.path))]
    Folder {
        /// The path of the file that keeps the count.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It holds the socket, or lies in the folder that does.
    #[error("the folder {} for the count of signatures is the socket's, or one of them lies in the other", shown(.path))]
    Sockets {
        /// The path of the file that keeps the count.
        path: PathBuf,
    },
    /// Another agent uses it.
    #[error("another agent keeps its count of signatures in {}", shown(.path))]
    Taken {
        /// The path of the file that keeps the count.
        path: PathBuf,
    },
    /// The count can't be read.
    #[error("cannot read the count of signatures in {}", shown(.path))]
    Read {
        /// The path of the file that keeps the count.
        path: PathBuf,
        /// What reading the file reported.
        source: InputError,
    },
    /// The file holds something else.
    #[error("{} is damaged: it holds no count of signatures", shown(.path))]
    Damaged {
        /// The path of the file that keeps the count.
        path: PathBuf,
    },
    /// The count can't be written.
    #[error("cannot write the count of signatures to {}", shown(.path))]
    Write {
        /// The path of the file that keeps the count.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn shown(path: &Path) -> String {
    foreign::escape(&path.display().to_string(), 512)
}

explain! { LedgerError,
    Self::Folder { .. } | Self::Write { .. } => ["state-dir-unwritable", Usage,
        "mount a volume there that this container's user may write, such as an emptyDir, into the agent alone"],
    Self::Sockets { .. } => ["state-dir-taken", Usage, "name a folder on a volume that no step mounts with --state-dir"],
    Self::Taken { .. } => ["state-dir-taken", Usage, "give each agent a --state-dir of its own"],
    Self::Read { source, .. } => [of source],
    Self::Damaged { .. } => ["state-damaged", Usage, "find out what changed the file; after that, remove it to begin the count anew"],
}

impl Ledger {
    /// Takes the folder over, and reads the count in it: zero where there is none yet. `socket` is where the agent will listen.
    ///
    /// # Errors
    ///
    /// The folder can't be used or belongs to the socket, or the count in it can't be read or written.
    pub fn open(folder: &Path, socket: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Folder { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
        let folder = fs::canonicalize(folder).map_err(failed)?;
        if is_shared(&folder, socket).map_err(failed)? {
            return Err(LedgerError::Sockets { path: folder });
        }
        let lock = open(&folder.join(LOCK), false).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Taken { path: folder }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let count = read(&folder.join(FILE))?;
        // Whether it can be written is known before the first signature.
        write(&folder, count)?;
        Ok(Self { folder, written: Mutex::new(count), _lock: lock })
    }

    /// How many signatures were given, at most.
    pub fn count(&self) -> u64 {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the count of `number` signatures, unless more are counted already. It waits for the disk.
    ///
    /// # Errors
    ///
    /// The count can't be written.
    pub(crate) fn record(&self, number: u64) -> Result<(), LedgerError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written < number {
            write(&self.folder, number)?;
            *written = number;
        }
        Ok(())
    }
}

/// Whether one of the two folders is the other or lies in it, by whatever paths they are named.
fn is_shared(folder: &Path, socket: &Path) -> io::Result<bool> {
    let Some(sockets) = socket.parent() else { return Ok(true) };
    let is_there = sockets.exists();
    let nearest = sockets.ancestors().find_map(|path| fs::canonicalize(path).ok());
    let nearest = nearest.unwrap_or_else(|| PathBuf::from("/"));
    // What isn't there yet will be made in the nearest folder that is.
    Ok(lies_in(&nearest, folder)? || is_there && lies_in(folder, &nearest)?)
}

fn lies_in(path: &Path, folder: &Path) -> io::Result<bool> {
    let id = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    let folder = id(folder)?;
    for path in path.ancestors() {
        if id(path)? == folder {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(path: &Path) -> Result<u64, LedgerError> {
    let bytes = match input::read(path, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(0),
        Err(source) => return Err(LedgerError::Read { path: path.to_owned(), source }),
    };
    // serde takes a list of the values for an object.
    match json::typed(&bytes, MEMORY) {
        Ok(Count { version: VERSION, signatures }) if bytes.starts_with(b"{") => Ok(signatures),
        _ => Err(LedgerError::Damaged { path: path.to_owned() }),
    }
}

/// Opens a file of the folder's to write to it, and makes it where it isn't there. It doesn't wait, and follows no link.
fn open(path: &Path, empty: bool) -> io::Result<File> {
    let other = || {
        let name = path.file_name().unwrap_or_default().display().to_string();
        io::Error::other(format!("{} in it is not a regular file", foreign::escape(&name, 64)))
    };
    // A FIFO without a reader blocks whoever opens it.
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let mode = Mode::from_raw_mode(FILE_MODE);
    let opened = rustix::fs::open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | flags, mode);
    let file = File::from(opened.map_err(|error| match error {
        Errno::NXIO | Errno::LOOP | Errno::ISDIR | Errno::NODEV => other(),
        error => error.into(),
    })?);
    if !file.metadata()?.is_file() {
        return Err(other());
    }
    if empty {
        file.set_len(0)?;
    }
    Ok(file)
}

fn write(folder: &Path, signatures: u64) -> Result<(), LedgerError> {
    let (path, new) = (folder.join(FILE), folder.join(NEW));
    let written = || {
        let text = serde_json::to_vec(&Count { version: VERSION, signatures })?;
        let mut file = open(&new, true)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        // The name is on disk only when the folder is.
        File::open(folder)?.sync_all()
    };
    written().map_err(|source| LedgerError::Write { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let (state, socket) = (place.path().join("state"), place.path().join("run/agent.sock"));
        (place, state, socket)
    }

    #[test]
    fn the_count_goes_on_and_never_back() {
        let (_place, state, socket) = place();
        let ledger = Ledger::open(&state, &socket).unwrap();
        assert_eq!(ledger.count(), 0);
        ledger.record(3).unwrap();
        ledger.record(2).unwrap();
        assert!(matches!(Ledger::open(&state, &socket), Err(LedgerError::Taken { .. })));
        drop(ledger);
        // What a killed agent left half written doesn't count.
        fs::write(state.join(NEW), "{\"vers").unwrap();
        assert_eq!(Ledger::open(&state, &socket).unwrap().count(), 3);
    }

    #[test]
    fn what_is_no_count_is_not_zero() {
        for damaged in [
            "",
            "0",
            "{}",
            "[1,3]",
            r#"{"version":1}"#,
            r#"{"version":2,"signatures":3}"#,
            r#"{"version":1,"signatures":-3}"#,
            r#"{"version":1,"signatures":3,"signatures":0}"#,
            r#"{"version":1,"signatures":3,"more":0}"#,
            r#"{"version":1,"signatures":3"#,
        ] {
            let (_place, state, socket) = place();
            fs::create_dir(&state).unwrap();
            fs::write(state.join(FILE), damaged).unwrap();
            let refused = Ledger::open(&state, &socket).map(|ledger| ledger.count());
            assert!(matches!(refused, Err(LedgerError::Damaged { .. })), "{damaged}: {refused:?}");
        }
        let (_place, state, socket) = place();
        fs::create_dir_all(state.join(FILE)).unwrap();
        assert!(matches!(Ledger::open(&state, &socket), Err(LedgerError::Read { .. })));
        let (_place, state, socket) = place();
        fs::write(&state, "").unwrap();
        assert!(matches!(Ledger::open(&state, &socket), Err(LedgerError::Folder { .. })));
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        use rustix::fs::{CWD, FileType, mknodat};
        for name in [LOCK, NEW, FILE] {
            for kind in ["FIFO", "FIFO with a reader", "link", "folder"] {
                let (place, state, socket) = place();
                fs::create_dir(&state).unwrap();
                let path = state.join(name);
                let _reader = match kind {
                    "link" => {
                        let target = place.path().join("target");
                        fs::write(&target, r#"{"version":1,"signatures":7}"#).unwrap();
                        std::os::unix::fs::symlink(target, &path).unwrap();
                        None
                    }
                    "folder" => {
                        fs::create_dir(&path).unwrap();
                        None
                    }
                    _ => {
                        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
                        let reads = OFlags::RDONLY | OFlags::NONBLOCK;
                        kind.ends_with("reader")
                            .then(|| rustix::fs::open(&path, reads, Mode::empty()).unwrap())
                    }
                };
                let opened = Ledger::open(&state, &socket).map(|ledger| ledger.count());
                // A link in the place of the count is judged by the reader of such files.
                assert!(opened.is_err() || (name, kind) == (FILE, "link"), "{name} {kind}: {opened:?}");
                if kind == "link" {
                    let target = fs::read_to_string(place.path().join("target")).unwrap();
                    assert_eq!(target, r#"{"version":1,"signatures":7}"#);
                }
            }
        }
    }

    #[test]
    fn the_sockets_folder_is_refused_by_every_name() {
        let (place, _, socket) = place();
        let run = place.path().join("run");
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&run, &link).unwrap();
        for made in [false, true] {
            if made {
                fs::create_dir_all(&run).unwrap();
            }
            for folder in [run.clone(), run.join("../run"), place.path().to_owned()] {
                let refused = Ledger::open(&folder, &socket);
                assert!(matches!(refused, Err(LedgerError::Sockets { .. })), "{}", folder.display());
            }
        }
        for folder in [link.clone(), link.join("state"), run.join("state")] {
            let refused = Ledger::open(&folder, &socket);
            assert!(matches!(refused, Err(LedgerError::Sockets { .. })), "{}", folder.display());
        }
        assert!(Ledger::open(&run, &link.join("agent.sock")).is_err());
        assert!(Ledger::open(&place.path().join("other"), &socket).is_ok());
    }
}
