//! Which mount a file lies on.
//!
//! A Secret, a ConfigMap and a workspace of a Pod are mounts of their own: what lies on one of them was put there by
//! whoever may write to that mount, and to no other.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _};

use rustix::fs::{AtFlags, StatxFlags};

/// The longest answer of the kernel that is read: it has five short lines for a file or a folder.
const FDINFO_BYTES: u64 = 4096;

/// A mount, by the number that the kernel gives it as long as it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MountId(u64);

impl MountId {
    /// The mount of what is open as `file`; `None`: the kernel says it in neither way.
    ///
    /// `statx` reports it since Linux 5.8, `/proc/self/fdinfo` since 3.15, unless a sandbox has neither.
    pub(crate) fn of(file: impl AsFd) -> Option<Self> {
        Self::by_statx(&file).or_else(|| Self::by_fdinfo(&file))
    }

    /// The mount with this number, for tests that make mounts up.
    #[cfg(test)]
    pub(crate) fn numbered(number: u64) -> Self {
        Self(number)
    }

    fn by_statx(file: impl AsFd) -> Option<Self> {
        let found = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
        (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(Self(found.stx_mnt_id))
    }

    fn by_fdinfo(file: impl AsFd) -> Option<Self> {
        let path = format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd());
        let mut text = String::new();
        File::open(path).ok()?.take(FDINFO_BYTES).read_to_string(&mut text).ok()?;
        Self::in_fdinfo(&text)
    }

    /// The number in the text of a file of `/proc/PID/fdinfo`.
    ///
    /// Spec: <https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html>
    fn in_fdinfo(text: &str) -> Option<Self> {
        let number = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
        number.trim().parse().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_tell_the_same() {
        let folder = File::open("/").unwrap();
        let told = MountId::by_fdinfo(&folder);
        assert!(told.is_some());
        assert_eq!(MountId::by_statx(&folder).or(told), told);
    }

    #[test]
    fn another_mount_has_another_number() {
        let (root, proc) = (File::open("/").unwrap(), File::open("/proc").unwrap());
        assert_ne!(MountId::of(&root), MountId::of(&proc));
    }

    #[test]
    fn what_says_nothing_is_no_number() {
        assert_eq!(MountId::in_fdinfo("pos:\t0\nflags:\t0100000\nmnt_id:\t29\nino:\t7\n"), Some(MountId(29)));
        for text in ["", "pos:\t0\n", "mnt_id:\t\n", "mnt_id:\tx\n", "xmnt_id:\t1\n"] {
            assert_eq!(MountId::in_fdinfo(text), None, "{text}");
        }
    }
}
