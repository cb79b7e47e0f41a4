//! Certificates of single registries, in folders as docker, podman and containerd have them.
//!
//! A folder such as `/etc/docker/certs.d` holds one for each registry, `HOST:PORT`, or `HOST` for the port of HTTPS. As a mount can't
//! have a colon in its path in Kubernetes, `HOST_PORT_` is another way to write it, which containerd has too. In it, `*.crt` are
//! CA certificates that this registry alone may use, and `NAME.cert` is a client certificate with the key `NAME.key`. They are read when
//! the registry is asked first, and used for no other host, wherever a registry sends requests.
//!
//! The first folder with a certificate for the registry counts: those of `--registry-certs-dir`, then podman's, then docker's.
//!
//! Spec: <https://docs.docker.com/engine/security/certificates/>,
//! <https://github.com/containers/image/blob/v5.36.0/docs/containers-certs.d.5.md>,
//! <https://github.com/containerd/containerd/blob/v2.1.0/docs/hosts.md>

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use url::Url;
use zeroize::{Zeroize as _, Zeroizing};

use super::client_keys::ClientKeys;
use super::der::Parts;
use super::options::ClientOptions;
use super::setup_error::{ClientKeyFault, SetupError};
use super::tls::{CA_BYTES, CA_FILES, certificates};
use crate::input::{self, Folder, InputError};
use crate::oci::reference::DEFAULT_REGISTRY;

/// The largest file with a key; the longest RSA keys have four kilobytes.
const KEY_BYTES: u64 = 64 * 1024;

/// The folders with certificates of single registries.
#[derive(Debug)]
pub(super) struct HostCertificates(Vec<PathBuf>);

/// The certificates of one registry.
#[derive(Default)]
pub(super) struct OfHost {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) keys: ClientKeys,
}

impl HostCertificates {
    /// The folders that were named, which must be there, and the system's, which need not.
    pub(super) fn new(options: &ClientOptions) -> Result<Self, SetupError> {
        for path in &options.certs_dirs {
            Folder::open(path).map_err(|source| SetupError::CertsDir { path: path.clone(), source })?;
        }
        Ok(Self(options.certs_dirs.iter().chain(&options.files.certs_dirs).cloned().collect()))
    }

    /// The certificates for the host and port of `url`.
    pub(super) fn of(&self, url: &Url) -> Result<Option<OfHost>, SetupError> {
        for folder in &self.0 {
            let names = match names(folder) {
                Ok(names) => names,
                Err(error) => {
                    if !error.is_missing() {
                        tracing::debug!(%error, folder = %folder.display(), "certificates of registries are not read");
                    }
                    continue;
                }
            };
            // `HOST:443` rather than `HOST`.
            let of_host = names.iter().filter(|name| is_for(name, url)).max_by_key(|name| name.len());
            if let Some(name) = of_host {
                return read(&folder.join(name)).map(Some);
            }
        }
        Ok(None)
    }
}

fn names(folder: &Path) -> Result<Vec<OsString>, InputError> {
    let mut names = Folder::open(folder)?.names(CA_FILES)?;
    // Kubernetes' own entries in a volume.
    names.retain(|name| !name.as_encoded_bytes().starts_with(b".."));
    names.sort();
    Ok(names)
}

/// Whether a folder with this name is for the host and port of `url`.
fn is_for(name: &OsStr, url: &Url) -> bool {
    let Some(name) = name.to_str() else { return false };
    let of_containerd = name.strip_suffix('_').and_then(|name| name.rsplit_once('_'));
    let name = match of_containerd {
        Some((host, port)) => format!("{host}:{port}"),
        None if name.eq_ignore_ascii_case("docker.io") => DEFAULT_REGISTRY.to_owned(),
        None => name.to_owned(),
    };
    let Ok(named) = Url::parse(&format!("https://{name}/")) else { return false };
    let is_host_alone = named.path() == "/" && named.username().is_empty() && named.query().is_none();
    is_host_alone
        && named.host() == url.host()
        && named.port_or_known_default() == url.port_or_known_default()
}

/// What the folder of one registry holds.
fn read(folder: &Path) -> Result<OfHost, SetupError> {
    let names = names(folder);
    let names = names.map_err(|source| SetupError::CertsDir { path: folder.to_owned(), source })?;
    let mut found = OfHost { authorities: Vec::new(), keys: ClientKeys::default() };
    for path in names.iter().map(|name| folder.join(name)) {
        let has = |end: &str| names.iter().any(|name| folder.join(name) == path.with_extension(end));
        let alone = |missing: &str| {
            let missing = path.with_extension(missing);
            SetupError::ClientKey { path: path.clone(), fault: ClientKeyFault::Alone { missing } }
        };
        match path.extension().and_then(OsStr::to_str) {
            Some("crt") => found.authorities.extend(certificates(&path, input::read(&path, CA_BYTES))?),
            Some("cert") if !has("key") => return Err(alone("key")),
            Some("cert") => {
                found.keys.0.push(client_key(&path, &path.with_extension("key"))?);
            }
            Some("key") if !has("cert") => return Err(alone("cert")),
            _ => {}
        }
    }
    Ok(found)
}

/// The client certificate at `path` with its key.
pub(super) fn client_key(path: &Path, key_path: &Path) -> Result<Arc<CertifiedKey>, SetupError> {
    let of_certificate = |fault| SetupError::ClientKey { path: path.to_owned(), fault };
    let of_key = |fault| SetupError::ClientKey { path: key_path.to_owned(), fault };
    let text = input::read(path, CA_BYTES).map_err(|error| of_certificate(ClientKeyFault::Unread(error)))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(of_certificate(ClientKeyFault::NoCertificate));
    }
    let text = input::read(key_path, KEY_BYTES).map(Zeroizing::new);
    let text = text.map_err(|error| of_key(ClientKeyFault::Unread(error)))?;
    if [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"].iter().any(|mark| contains(&text, mark)) {
        return Err(of_key(ClientKeyFault::Encrypted));
    }
    let mut key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        of_key(match error {
            pem::Error::NoItemsFound => ClientKeyFault::NoKey,
            _ => ClientKeyFault::BadKey,
        })
    })?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&key);
    key.zeroize();
    let signing = signing.map_err(|_| of_key(ClientKeyFault::BadKey))?;
    // rustls compares them too, but refuses certificates of X.509 version 1, of which a server has to think what it will.
    let public_key =
        chain.first().and_then(|certificate| Parts::read(certificate)).map(|parts| parts.public_key);
    let public_key = public_key.ok_or_else(|| of_certificate(ClientKeyFault::NoCertificate))?;
    // For a key whose public half isn't known there is nothing to compare; the server will.
    if signing.public_key().is_some_and(|own| own.as_ref() != public_key) {
        return Err(of_key(ClientKeyFault::OtherKey { certificate: path.to_owned() }));
    }
    Ok(Arc::new(CertifiedKey::new(chain, signing)))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_one_host_and_port() {
        for (name, url, want) in [
            ("r.example", "https://r.example/", true),
            ("r.example:443", "https://r.example/", true),
            ("r.example_443_", "https://r.example/", true),
            ("R.Example:5000", "https://r.example:5000/", true),
            ("r.example_5000_", "https://r.example:5000/", true),
            ("my_registry", "https://my_registry/", true),
            ("my_registry_5000_", "https://my_registry:5000/", true),
            ("[2001:db8::5]:5000", "https://[2001:db8:0::5]:5000/", true),
            ("10.1.2.3:5000", "https://10.1.2.3:5000/", true),
            ("docker.io", "https://index.docker.io/", true),
            ("r.example", "https://r.example:5000/", false),
            ("r.example:5000", "https://r.example/", false),
            ("r.example:5001", "https://r.example:5000/", false),
            ("r.example", "https://a.r.example/", false),
            ("a.r.example", "https://r.example/", false),
            ("u@r.example", "https://r.example/", false),
            ("r.example?", "https://r.example/", false),
            ("*", "https://r.example/", false),
            ("_default", "https://r.example/", false),
            ("_", "https://r.example/", false),
            ("", "https://r.example/", false),
        ] {
            assert_eq!(is_for(OsStr::new(name), &Url::parse(url).unwrap()), want, "{name} {url}");
        }
    }
}
