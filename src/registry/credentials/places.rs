//! Where credentials files are, and how they are read.
//!
//! A place is a file, or a directory that may hold any of [`FILE_NAMES`]. Links are followed: a mounted
//! Secret's files are links into `..data`, and whoever mounts credentials is trusted. Read are regular
//! files alone, up to [`MAX_FILE_BYTES`], without ever waiting for one. A directory that other steps may be able to
//! write to is a place only as far as what is in it was mounted: `input::shared_folder` says how that is known.
//!
//! Refused: what is there and can't be read. Only a default place may be absent.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::CredentialError;
use crate::input::shared_folder::{Found, SharedFolder};
use crate::input::{self, InputError};

/// The files that a directory may hold, in the order in which they are read: Kubernetes' name, docker's,
/// docker's old format of the file.
pub const FILE_NAMES: [&str; 3] = [".dockerconfigjson", "config.json", ".dockercfg"];

/// The longest credentials file: Kubernetes lets no Secret be longer.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A file or a directory that credentials are read from.
#[derive(Clone, Debug)]
pub struct Place {
    /// The path of the file or directory.
    path: PathBuf,
    /// Whether it was asked for by name, so that its absence is an error.
    required: bool,
    /// The directory, where other steps may be able to write to it.
    shared: Option<SharedFolder>,
}

/// Every place that credentials are read from, in order. The configuration has the defaults.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The places, in their order.
    pub paths: Vec<Place>,
}

/// What is at all places.
pub(super) struct Contents {
    /// The files, in their order.
    pub(super) files: Vec<CredentialsFile>,
    /// What is there and was not read, and why: text for a hint.
    pub(super) unread: Option<String>,
}

impl Places {
    /// Places that the user named; all of them must be there.
    pub fn explicit(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let named = |path| Place { path, required: true, shared: None };
        Self { paths: paths.into_iter().map(named).collect() }
    }

    /// Every file that may be read of every place, whether or not it is there.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.paths.iter().flat_map(|place| {
            let named = if place.path.is_dir() { &FILE_NAMES[..] } else { &[] };
            let below = named.iter().map(|name| place.path.join(name));
            std::iter::once(place.path.clone()).filter(|_| named.is_empty()).chain(below)
        })
    }

    /// Reads every file of every place; a file that several places name is read once.
    pub(super) fn read(&self) -> Result<Contents, CredentialError> {
        let mut files: Vec<CredentialsFile> = Vec::new();
        let mut unread = Vec::new();
        for place in &self.paths {
            let (found, left) = place.open()?;
            for (path, file) in found {
                let id = identity(&file.metadata().map_err(|source| failed(&path, source))?);
                if !files.iter().any(|file| file.id == id) {
                    files.push(CredentialsFile { bytes: read(&path, file)?, path, id });
                }
            }
            unread.extend(place.shared.as_ref().map(|folder| (folder, left)));
        }
        let is_read = |path: &PathBuf| {
            let id = std::fs::metadata(path).ok().map(|metadata| identity(&metadata));
            files.iter().any(|file| Some(file.id) == id)
        };
        let unread = unread.into_iter().find_map(|(folder, mut left)| {
            left.retain(|path| !is_read(path));
            folder.unread(&left)
        });
        Ok(Contents { files, unread })
    }
}

/// A credentials file, read.
pub(super) struct CredentialsFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    id: Identity,
}

/// What two names of one file have in common: device and inode.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Files with their paths, opened.
type Opened = Vec<(PathBuf, File)>;

impl Place {
    /// A place that may be absent.
    pub(crate) fn optional(path: PathBuf) -> Self {
        Self { path, required: false, shared: None }
    }

    /// A directory that may be absent, and that other steps may be able to write to.
    pub(crate) fn shared(folder: SharedFolder) -> Self {
        Self { path: folder.path().to_owned(), required: false, shared: Some(folder) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the files that are there; the paths of those that other steps may have written instead.
    fn open(&self) -> Result<(Opened, Vec<PathBuf>), CredentialError> {
        let Some(folder) = &self.shared else {
            let open = |path: PathBuf| Ok((path.clone(), open(&path)?));
            return Ok((self.files()?.into_iter().map(open).collect::<Result<_, _>>()?, Vec::new()));
        };
        let (mut opened, mut unread) = (Vec::new(), Vec::new());
        for name in FILE_NAMES {
            let path = self.path.join(name);
            match folder.find(Path::new(name)) {
                Found::File(file) => opened.push((path, file)),
                Found::Absent => {}
                Found::Unprotected => unread.push(path),
                Found::Failed(source) => return Err(failed(&path, source)),
            }
        }
        Ok((opened, unread))
    }

    /// The files that are there.
    fn files(&self) -> Result<Vec<PathBuf>, CredentialError> {
        let missing = || CredentialError::Missing { path: self.path.clone() };
        match kind(&self.path)? {
            Kind::Absent if self.required => Err(missing()),
            Kind::Absent => Ok(Vec::new()),
            Kind::Other => Ok(vec![self.path.clone()]),
            Kind::Directory => {
                let mut files = Vec::new();
                for name in FILE_NAMES {
                    let path = self.path.join(name);
                    if kind(&path)? != Kind::Absent {
                        files.push(path);
                    }
                }
                if files.is_empty() && self.required {
                    return Err(CredentialError::NoFile { path: self.path.clone() });
                }
                Ok(files)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Absent,
    Directory,
    Other,
}

/// What is at `path`. A link that leads nowhere is an error: something was meant to be there.
fn kind(path: &Path) -> Result<Kind, CredentialError> {
    let nothing = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            && std::fs::symlink_metadata(path).is_err()
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Kind::Directory),
        Ok(_) => Ok(Kind::Other),
        Err(error) if nothing(&error) => Ok(Kind::Absent),
        Err(source) => Err(CredentialError::Read { path: path.to_owned(), source }),
    }
}

fn failed(path: &Path, source: io::Error) -> CredentialError {
    CredentialError::Read { path: path.to_owned(), source }
}

fn open(path: &Path) -> Result<File, CredentialError> {
    // Opening a FIFO for reading would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed(path, errno.into()))?;
    Ok(file.into())
}

fn read(path: &Path, file: File) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    input::read_secret(file, MAX_FILE_BYTES as u64).map_err(|error| match error {
        InputError::NotAFile { .. } => CredentialError::NotRegular { path: path.to_owned() },
        InputError::TooLarge { .. } => CredentialError::TooBig { path: path.to_owned() },
        InputError::Io(source) => failed(path, source),
        other => failed(path, io::Error::other(other)),
    })
}
