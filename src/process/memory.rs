//! Accesses the memory of this process by address, without unsafe code.
//!
//! Usually this uses `/proc/self/mem`. A process that isn't dumpable from the start, because its user can't read the program's file,
//! can't open it. Then `process_vm_readv` and `process_vm_writev` work, because the kernel lets every process use them on itself. A
//! sandbox may forbid them.
//!
//! Spec: <https://man7.org/linux/man-pages/man5/proc_pid_mem.5.html>,
//! <https://man7.org/linux/man-pages/man2/process_vm_readv.2.html>

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt as _;

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

/// A way to access the memory of this process.
pub(super) enum OwnMemory {
    /// The open file `/proc/self/mem`.
    File(File),
    /// System calls, because `/proc/self/mem` can't be opened for this reason.
    Calls(io::Error),
}

impl OwnMemory {
    /// Opens `/proc/self/mem`, or falls back to system calls.
    pub(super) fn open() -> Self {
        match OpenOptions::new().read(true).write(true).open("/proc/self/mem") {
            Ok(file) => Self::File(file),
            Err(error) => Self::Calls(error),
        }
    }

    /// Fills `bytes` from the memory at `address`.
    ///
    /// # Errors
    ///
    /// The system refuses the read, or a part of the range is unmapped.
    pub(super) fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(bytes, address),
            Self::Calls(refused) => {
                let remote = remote(address, bytes.len())?;
                let read = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(bytes)], &[remote]);
                whole(read, remote.len, refused)
            }
        }
    }

    /// Writes `bytes` to the memory at `address`.
    ///
    /// # Errors
    ///
    /// The same as for [`read`](Self::read). A part of the bytes may be written.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all_at(bytes, address),
            Self::Calls(refused) => {
                let remote = remote(address, bytes.len())?;
                let written = process_vm_writev(Pid::this(), &[IoSlice::new(bytes)], &[remote]);
                whole(written, remote.len, refused)
            }
        }
    }
}

fn remote(address: u64, len: usize) -> io::Result<RemoteIoVec> {
    Ok(RemoteIoVec { base: usize::try_from(address).map_err(io::Error::other)?, len })
}

fn whole(count: nix::Result<usize>, len: usize, refused: &io::Error) -> io::Result<()> {
    match count {
        Ok(count) if count == len => Ok(()),
        Ok(count) => Err(io::Error::other(format!("{count} of {len} bytes"))),
        Err(error) => Err(io::Error::other(format!("{refused}; by system call: {}", error.desc()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways() -> [OwnMemory; 2] {
        [OwnMemory::open(), OwnMemory::Calls(io::ErrorKind::PermissionDenied.into())]
    }

    #[test]
    fn both_ways_read_and_write_the_memory() {
        for memory in ways() {
            let there = vec![7_u8; 5000];
            let address = there.as_ptr().addr() as u64;
            memory.write(address + 1000, &[9; 4000]).unwrap();
            let mut read = vec![0; 5000];
            memory.read(address, &mut read).unwrap();
            assert_eq!((read[999], read[1000], read[4999]), (7, 9, 9));
            memory.write(address, &[]).unwrap();
        }
    }

    #[test]
    fn an_unmapped_address_is_an_error() {
        for memory in ways() {
            assert!(memory.read(8, &mut [0; 8]).is_err());
            assert!(memory.write(8, &[0; 8]).is_err());
        }
    }
}
