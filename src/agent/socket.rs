//! The agent's socket: made so that every user may connect, and taken away at the end.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::explain::explain;
use crate::foreign;
use crate::sign::remote::{FolderError, check_folder};

/// Steps of any user connect; who may have what signed is the policy's business.
const MODE: u32 = 0o666;
/// A folder that is made for the socket: others find the socket in it, and put nothing there.
const FOLDER_MODE: u32 = 0o755;

/// A listening socket with a path.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// What lets another user replace it, if that isn't an error.
    open: Option<FolderError>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Another agent, or whatever else, listens there.
    #[error("another process listens at {}", shown(.path))]
    Taken {
        /// The path that was given for the socket.
        path: PathBuf,
    },
    /// Something else lies there.
    #[error("{} is there and is not a socket; it was not touched", shown(.path))]
    NotASocket {
        /// The path that was given for the socket.
        path: PathBuf,
    },
    /// Another user could put a socket in its place.
    #[error("other users could replace the socket {}", shown(.path))]
    Folder {
        /// The path that was given for the socket.
        path: PathBuf,
        /// Why the directory of the socket is not safe.
        source: FolderError,
    },
    /// It can't be made.
    #[error("cannot make the socket {}", shown(.path))]
    Make {
        /// The path that was given for the socket.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

fn shown(path: &Path) -> String {
    foreign::escape(&path.display().to_string(), 512)
}

explain! { SocketError,
    Self::Taken { .. } => ["socket-taken", Usage, "run one agent for a socket; name another with --socket"],
    Self::NotASocket { .. } => ["socket-taken", Usage, "name another path with --socket"],
    Self::Folder { source, .. } => [of source, exit Usage],
    Self::Make { .. } => ["socket-unwritable", Usage,
        "mount a volume there that this container's user may write, such as an emptyDir, and into the steps read-only"],
}

impl Socket {
    /// Listens at `path`. What an agent that was killed left there is replaced. `in_pod`: the folder may be another user's, and
    /// writable for others, as volumes of a pod are.
    ///
    /// # Errors
    ///
    /// Somebody listens there, or something else than a socket lies there, or it can't be made; outside a pod also if another
    /// user could replace it. In a folder that root opened to everybody that is a [warning](Self::open_to_others).
    pub(crate) fn listen(path: &Path, in_pod: bool) -> Result<Self, SocketError> {
        let make = |source| SocketError::Make { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(make)?;
        let open = if in_pod { None } else { check(path)? };
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(SocketError::NotASocket { path: path.to_owned() });
            }
            match UnixStream::connect(path) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                _ => return Err(SocketError::Taken { path: path.to_owned() }),
            }
        }
        // Under another name until everybody may connect: whoever sees it can use it.
        let early = folder.join(format!(".agent-{}", std::process::id()));
        let _ = fs::remove_file(&early);
        let listener = UnixListener::bind(&early).map_err(make)?;
        let ready = fs::set_permissions(&early, fs::Permissions::from_mode(MODE));
        if let Err(error) = ready.and_then(|()| fs::rename(&early, path)) {
            let _ = fs::remove_file(&early);
            return Err(make(error));
        }
        Ok(Self { listener, path: path.to_owned(), open })
    }

    /// What lets another user replace the socket, where that is not an error; `None`: nothing that was looked for.
    pub(crate) fn open_to_others(&self) -> Option<&FolderError> {
        self.open.as_ref()
    }

    /// Takes the path away; who has connected stays connected.
    pub(super) fn hide(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Checks the folder of the socket at `path`.
fn check(path: &Path) -> Result<Option<FolderError>, SocketError> {
    let user = rustix::process::geteuid().as_raw();
    match check_folder(path, user) {
        Ok(()) => Ok(None),
        Err(error) if is_volume(&error, user) => Ok(Some(error)),
        Err(source) => Err(SocketError::Folder { path: path.to_owned(), source }),
    }
}

/// Whether root opened the folder to every user for an agent of another user, as container engines do for volumes. There the
/// key that the steps name decides which agent they believe.
fn is_volume(error: &FolderError, user: u32) -> bool {
    user != 0 && matches!(error, FolderError::Writable { owner: 0, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_that_root_opened_for_another_user_is_a_volume() {
        let writable = |owner| FolderError::Writable { folder: "/run/stepseal".into(), owner, mode: 0o777 };
        let owned = |owner| FolderError::Owner { folder: "/run/stepseal".into(), owner, user: 1000 };
        for (error, user, volume) in [
            (writable(0), 1000, true),
            (writable(0), 0, false),
            (writable(1000), 1000, false),
            (writable(1001), 1000, false),
            (owned(0), 1000, false),
            (owned(1001), 1000, false),
        ] {
            assert_eq!(is_volume(&error, user), volume, "{error} {user}");
        }
    }
}
