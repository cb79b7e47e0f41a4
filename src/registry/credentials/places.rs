//! Where credentials files are, and how they are read.
//!
//! A place is a file, or a directory that may hold any of [`FILE_NAMES`]. Links are followed: a mounted
//! Secret's files are links into `..data`, and whoever mounts credentials is trusted. Read are regular
//! files alone, up to [`MAX_FILE_BYTES`], without ever waiting for one.
//!
//! Refused: what is there and can't be read. Only a default place may be absent.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::CredentialError;

/// The files that a directory may hold, in the order in which they are read: Kubernetes' name, docker's,
/// docker's old one.
pub const FILE_NAMES: [&str; 3] = [".dockerconfigjson", "config.json", ".dockercfg"];

/// The longest credentials file: Kubernetes lets no Secret be longer.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A file or a directory that credentials are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub path: PathBuf,
    /// Whether it was asked for by name, so that its absence is an error.
    pub required: bool,
}

/// Every place that credentials are read from, the first one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The places, in their order.
    pub paths: Vec<Place>,
}

impl Places {
    /// Places that the user named; all of them must be there.
    pub fn explicit(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { paths: paths.into_iter().map(|path| Place { path, required: true }).collect() }
    }

    /// The places that are looked at when none is named. A variable that is unset or empty names none.
    ///
    /// ```
    /// # use stepseal::registry::credentials::Places;
    /// let places = Places::standard(&|name| (name == "HOME").then(|| "/home/ci".to_owned()));
    /// let paths: Vec<_> = places.paths.iter().map(|place| place.path.to_string_lossy()).collect();
    /// assert_eq!(paths, ["/etc/registry-credentials", "/home/ci/.docker", "/tekton/creds/.docker"]);
    /// ```
    pub fn standard(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let paths = [
            Some(PathBuf::from("/etc/registry-credentials")),
            variable("DOCKER_CONFIG"),
            variable("REGISTRY_AUTH_FILE"),
            variable("HOME").map(|home| home.join(".docker")),
            Some(PathBuf::from("/tekton/creds/.docker")),
        ];
        Self { paths: paths.into_iter().flatten().map(|path| Place { path, required: false }).collect() }
    }

    /// Reads every file of every place; one that several places name is read once.
    pub(super) fn read(&self) -> Result<Vec<CredentialsFile>, CredentialError> {
        let mut files: Vec<CredentialsFile> = Vec::new();
        for place in &self.paths {
            for path in place.files()? {
                let id =
                    identity(&path).map_err(|source| CredentialError::Read { path: path.clone(), source })?;
                if !files.iter().any(|file| file.id == id) {
                    files.push(CredentialsFile { bytes: read(&path)?, path, id });
                }
            }
        }
        Ok(files)
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

fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Place {
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

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let failed = |source| CredentialError::Read { path: path.to_owned(), source };
    // Opening a FIFO for reading would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: File =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?.into();
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(CredentialError::NotRegular { path: path.to_owned() });
    }
    let too_big = || CredentialError::TooBig { path: path.to_owned() };
    let size =
        usize::try_from(metadata.len()).ok().filter(|size| *size <= MAX_FILE_BYTES).ok_or_else(too_big)?;
    // One more, so that the reader sees the end without growing the buffer and leaving a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    // It may have grown since.
    let limit = MAX_FILE_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_FILE_BYTES { Err(too_big()) } else { Ok(bytes) }
}
