//! The most memory that a process has had, as the kernel counts it (`VmHWM` in
//! <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>). The tests and the measurements share it.

/// The peak so far of the process `pid`, in KiB; `None`: it has ended.
pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}
