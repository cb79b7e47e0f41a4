//! Whose socket it is: who owns its folder, and who listens.
//!
//! A user who can write to a folder can put another socket in the place of the one that is there. So outside a pod the agent listens only
//! in a folder of its own user's (in one that root opened to everybody it warns: such are volumes), and a client that has no key to
//! compare believes only root's agents and its own user's, in a folder that is closed to others.
//!
//! In a pod neither says anything: kubelet makes an `emptyDir` writable for everybody, because containers run as users that
//! are not known before. There it is the read-only mount that keeps steps from making sockets, and the key that tells who
//! listens.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{AgentAddress, AgentError, Expected};
use crate::explain::explain;
use crate::foreign;

/// The bits of a mode that let the group and others write: <https://man7.org/linux/man-pages/man7/inode.7.html>.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The bits of a mode that are shown.
const PERMISSIONS: u32 = 0o7777;

/// Why another user could replace a socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The folder can't be looked at.
    #[error("cannot look at the folder {}", shown(.folder))]
    Look {
        /// The directory of the socket.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is another user's.
    #[error("the folder {} belongs to the user {owner}, not to the agent's user {user}", shown(.folder))]
    Owner {
        /// The directory of the socket.
        folder: PathBuf,
        /// The user ID of its owner.
        owner: u32,
        /// The number of the agent's user.
        user: u32,
    },
    /// Others can write to it.
    #[error("other users can write to the folder {} (mode {mode:04o})", shown(.folder))]
    Writable {
        /// The directory of the socket.
        folder: PathBuf,
        /// The user ID of its owner.
        owner: u32,
        /// The permission bits of the directory.
        mode: u32,
    },
}

fn shown(path: &Path) -> String {
    foreign::escape(&path.display().to_string(), 512)
}

explain! { FolderError,
    Self::Look { .. } => ["socket-folder-unsafe", Failed, "let this user look into it"],
    Self::Owner { .. } => ["socket-folder-unsafe", Failed,
        "give the socket a folder of its own that belongs to the agent's user, such as /run/stepseal"],
    Self::Writable { folder, mode, .. } if mode & 0o1000 != 0 => ["socket-folder-unsafe", Failed,
        "give the socket a folder of its own, such as {folder}/stepseal" with (folder = shown(folder))],
    Self::Writable { folder, .. } => ["socket-folder-unsafe", Failed, "run chmod go-w {folder}" with (folder = shown(folder))],
}

/// Checks that the folder of the socket at `path` belongs to `user`, and that only `user` can write to it (and root).
///
/// # Errors
///
/// What lets another user replace the socket.
pub(crate) fn check_folder(path: &Path, user: u32) -> Result<(), FolderError> {
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    // Where a link leads is what counts: /var/run is one.
    let found = match fs::metadata(&folder) {
        Ok(found) => found,
        Err(source) => return Err(FolderError::Look { folder, source }),
    };
    judge(folder, found.uid(), found.mode() & PERMISSIONS, user)
}

fn judge(folder: PathBuf, owner: u32, mode: u32, user: u32) -> Result<(), FolderError> {
    match (owner == user, mode & WRITABLE_BY_OTHERS) {
        (_, writable) if writable != 0 => Err(FolderError::Writable { folder, owner, mode }),
        (false, _) => Err(FolderError::Owner { folder, owner, user }),
        (true, _) => Ok(()),
    }
}

/// Checks who listens at `address`: `listener`, as the kernel says of the connection.
///
/// # Errors
///
/// Nothing says which key the agent has, and another user could be the one who answers.
pub(super) fn check(address: &AgentAddress, listener: u32, expected: &Expected) -> Result<(), AgentError> {
    if expected.in_pod {
        return Ok(());
    }
    let own = rustix::process::geteuid().as_raw();
    let folder = check_folder(address.path(), listener);
    if expected.key.is_some() {
        // An impostor can't sign with this key. It can keep the agent from answering, though.
        if let Err(error) = folder {
            tracing::warn!(%address, "another process can replace the agent's socket: {error}");
        }
        return Ok(());
    }
    if !is_believed(listener, own) {
        return Err(AgentError::OtherUser { address: address.clone(), user: listener });
    }
    folder.map_err(|source| AgentError::Folder { address: address.clone(), source: Box::new(source) })
}

/// Whether an agent of the user `listener` is believed by the user `own` without a key.
fn is_believed(listener: u32, own: u32) -> bool {
    listener == 0 || listener == own
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::explain::Explain as _;

    #[test]
    fn a_folder_is_its_users_alone() {
        for (owner, mode, user, ok) in [
            (1000, 0o755, 1000, true),
            (1000, 0o700, 1000, true),
            (1000, 0o2755, 1000, true),
            (0, 0o755, 0, true),
            // Another user's, root's too: an agent that isn't root's can't have made a socket there.
            (0, 0o755, 1000, false),
            (1000, 0o755, 0, false),
            (1001, 0o700, 1000, false),
            // Others write to it.
            (1000, 0o775, 1000, false),
            (1000, 0o757, 1000, false),
            (1000, 0o777, 1000, false),
            (0, 0o1777, 0, false),
            (0, 0o1777, 1000, false),
        ] {
            let judged = judge("/run/stepseal".into(), owner, mode, user);
            assert_eq!(judged.is_ok(), ok, "{owner} {mode:o} {user}: {judged:?}");
            assert!(judged.err().is_none_or(|error| error.hint().is_some()));
        }
    }

    #[test]
    fn without_a_key_only_roots_agent_and_the_own_users_are_believed() {
        for (listener, own, believed) in
            [(0, 0, true), (0, 1000, true), (1000, 1000, true), (1000, 0, false), (1001, 1000, false)]
        {
            assert_eq!(is_believed(listener, own), believed, "{listener} {own}");
        }
    }

    #[test]
    fn a_link_to_a_folder_is_judged_by_where_it_leads() {
        let root = tempfile::tempdir().unwrap();
        let (folder, link) = (root.path().join("folder"), root.path().join("link"));
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        let own = rustix::process::geteuid().as_raw();
        for (mode, ok) in [(0o755, true), (0o777, false)] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            for path in [&folder, &link] {
                assert_eq!(check_folder(&path.join("agent.sock"), own).is_ok(), ok, "{path:?} {mode:o}");
            }
        }
        assert!(matches!(check_folder(&root.path().join("absent/x"), own), Err(FolderError::Look { .. })));
    }
}
