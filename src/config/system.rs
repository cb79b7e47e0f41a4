//! The files of the system that every command may read.

use std::path::PathBuf;

use crate::net::SystemFiles;

/// Random numbers, where a static program doesn't find the system call by its name, and the numbers of mounts.
const ALWAYS: [&str; 3] = ["/dev/urandom", "/dev/random", "/proc/self/fdinfo"];

/// The files and folders that every command may read.
pub(crate) fn always() -> impl Iterator<Item = PathBuf> {
    ALWAYS.iter().map(PathBuf::from)
}

/// The files that looking up names reads.
pub(crate) fn names() -> [PathBuf; 2] {
    let SystemFiles { hosts, resolv_conf, .. } = SystemFiles::default();
    [hosts, resolv_conf]
}

/// The file and the folders with certificates that are trusted: those that the variables name, and the system's.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The folders, whose entries may be links to elsewhere.
    pub folders: Vec<PathBuf>,
}

/// The folders with certificates of single registries.
pub(crate) fn registry_certificates() -> Vec<PathBuf> {
    SystemFiles::default().certs_dirs
}

/// Where certificates are that are trusted beside those of the settings.
pub(crate) fn certificates(env: &dyn Fn(&str) -> Option<String>) -> Certificates {
    let set = |name: &str| env(name).filter(|text| !text.is_empty());
    let probed = openssl_probe::probe();
    let named = set("SSL_CERT_FILE").map(PathBuf::from);
    let files = named.into_iter().chain(probed.cert_file).chain([SystemFiles::default().service_ca]);
    let named = set("SSL_CERT_DIR").map(|text| std::env::split_paths(&text).collect::<Vec<_>>());
    let folders = named.into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty());
    Certificates { files: files.collect(), folders: folders.chain(probed.cert_dir).collect() }
}
