//! Why a file or a folder is not read.

use std::io;
use std::path::{Path, PathBuf};

use crate::explain::explain;
use crate::foreign;

/// The longest part of a path that is shown.
const SHOWN_BYTES: usize = 512;

/// Why a file or a folder is not read. It says what is wrong there; which input it is, the caller's error says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The system refused to open or read it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A link leads to what can't be opened.
    #[error("the link {} leads to {}, which cannot be opened", shown(.link), shown(.target))]
    Dangling {
        /// The link, by its full path.
        link: PathBuf,
        /// Where it leads, by its full path.
        target: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A link leads to another mount than its own: whoever made it may not be allowed to read what is there.
    #[error("the link {} leads to {}, on another mount, and is not followed", shown(.link), shown(.target))]
    LeadsOut {
        /// The link, by its full path.
        link: PathBuf,
        /// Where it leads, by its full path.
        target: PathBuf,
    },
    /// A link leads out of its folder, and the system doesn't say to which mount.
    #[error(
        "the link {} leads to {} and is not followed: this system does not tell which mount that is on",
        shown(.link), shown(.target)
    )]
    UnknownMount {
        /// The link, by its full path.
        link: PathBuf,
        /// Where it leads, by its full path.
        target: PathBuf,
    },
    /// A link of procfs, such as `/dev/stdin` and what a shell makes of `<(command)`.
    #[error(
        "it is reached by a link of /proc, such as an open file of a process, and none of those is followed"
    )]
    Procfs {
        /// Whether this input takes `-` for standard input.
        stdin: bool,
    },
    /// A FIFO would block, and a device might do worse.
    #[error("it is {kind}, and only regular files are read")]
    NotAFile {
        /// What it is, with its article.
        kind: &'static str,
        /// Whether this input takes `-` for standard input.
        stdin: bool,
    },
    /// Something else where a folder is needed.
    #[error("it is not a folder")]
    NotAFolder,
    /// A link where none may be.
    #[error("it is a symbolic link")]
    Link,
    /// More bytes than such a file has.
    #[error("it is longer than {limit} bytes")]
    TooLarge {
        /// How many bytes are read at most.
        limit: u64,
    },
    /// Another process writes the file while it is read.
    #[error("it grew while it was read")]
    Grew,
    /// Another process replaced the file.
    #[error("it was replaced while it was opened")]
    Replaced,
    /// More entries than such a folder has.
    #[error("it has more than {limit} entries")]
    TooManyEntries {
        /// How many entries are listed at most.
        limit: usize,
    },
}

impl InputError {
    /// Whether there is nothing of that name. A link that leads nowhere is something.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// The same error of an input that takes `-` for standard input.
    pub(super) fn of_stdin(self) -> Self {
        match self {
            Self::Procfs { .. } => Self::Procfs { stdin: true },
            Self::NotAFile { kind, .. } => Self::NotAFile { kind, stdin: true },
            other => other,
        }
    }
}

explain! { InputError,
    Self::LeadsOut { .. } | Self::UnknownMount { .. } => ["file-link", Usage,
        "name the file itself, or copy it to where the link is; if you did not make the link, a build step did"],
    Self::Procfs { stdin: true } => ["file-procfs", Usage, "write - to read standard input"],
    Self::Procfs { stdin: false } => ["file-procfs", Usage, "write the content to a file first, and name that file"],
    Self::NotAFile { stdin: true, .. } => ["file-not-regular", Usage, "give a regular file, or - for standard input"],
    Self::NotAFile { stdin: false, .. } => ["file-not-regular", Usage, "give a regular file"],
    Self::Grew | Self::Replaced => ["file-changed", Usage, "run again when no other process writes that file"],
    // What to do depends on what the file is for.
    _ => ["file-unreadable", Usage],
}

fn shown(path: &Path) -> String {
    foreign::escape(&path.to_string_lossy(), SHOWN_BYTES)
}
