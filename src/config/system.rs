//! The system files that every command may read.

use std::path::PathBuf;

use crate::net::SystemFiles;

/// Devices for random numbers, in case a static program can't use the system call, and the directory with mount IDs.
const ALWAYS: [&str; 3] = ["/dev/urandom", "/dev/random", "/proc/self/fdinfo"];

/// The files and directories that every command may read.
pub(crate) fn always() -> impl Iterator<Item = PathBuf> {
    ALWAYS.iter().map(PathBuf::from)
}

/// The files that name resolution reads.
pub(crate) fn names() -> [PathBuf; 2] {
    let SystemFiles { hosts, resolv_conf, .. } = SystemFiles::default();
    [hosts, resolv_conf]
}

/// The files and directories with trusted certificates, from variables and from the system.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The files with trusted certificates.
    pub files: Vec<PathBuf>,
    /// The directories, whose entries may be links to elsewhere.
    pub folders: Vec<PathBuf>,
}

/// The directories with certificates of single registries.
pub(crate) fn registry_certificates() -> Vec<PathBuf> {
    SystemFiles::default().certs_dirs
}

/// The locations of trusted certificates in addition to those of the settings.
pub(crate) fn certificates(env: &dyn Fn(&str) -> Option<String>) -> Certificates {
    let set = |name: &str| env(name).filter(|text| !text.is_empty());
    let probed = openssl_probe::probe();
    let named = set("SSL_CERT_FILE").map(PathBuf::from);
    let files = named.into_iter().chain(probed.cert_file).chain([SystemFiles::default().service_ca]);
    let named = set("SSL_CERT_DIR").map(|text| std::env::split_paths(&text).collect::<Vec<_>>());
    let folders = named.into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty());
    Certificates { files: files.collect(), folders: folders.chain(probed.cert_dir).collect() }
}
