//! Whom we trust, and how TLS is spoken: one rustls configuration with the ring provider.
//!
//! Trusted are the system's roots (or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`), or where there are
//! none, as in an image made from nothing, Mozilla's built in; the files given with `--registry-ca`; and
//! OpenShift's service CA. A host may have certificates of its own ([`super::host_certificates`]). A file that was named and can't be used is an error before the first request:
//! left out, it would end as "not trusted" on some registry, far from its cause.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::client_keys::ClientKeys;
use super::host_certificates::{HostCertificates, OfHost};
use super::named::Named;
use super::options::ClientOptions;
use super::setup_error::SetupError;
use super::verifier::{Given, Unchecked, Verifier, may_issue};
use crate::input::{self, Folder, InputError};
use crate::net;
use crate::net::Environment;

/// The largest file of CA certificates: sixty times what all public CAs take.
pub(super) const CA_BYTES: u64 = 16 * 1024 * 1024;
/// The most files in a folder of CA certificates.
pub(super) const CA_FILES: usize = 4096;

/// The certificates that the user named, after their check.
#[derive(Clone, Debug)]
pub(super) struct NamedRoots(Vec<CertificateDer<'static>>);

impl NamedRoots {
    /// Reads the extra roots, and OpenShift's service CA if it is there.
    pub(super) fn read(options: &ClientOptions) -> Result<Self, SetupError> {
        let mut found = Vec::new();
        for path in &options.extra_roots {
            found.extend(named(path)?);
        }
        if options.files.service_ca.exists() {
            match certificates(&options.files.service_ca, input::read(&options.files.service_ca, CA_BYTES)) {
                Ok(certificates) => found.extend(certificates),
                // Nobody named it; clusters exist where it is there and empty.
                Err(error) => tracing::debug!(%error, "the cluster's service CA is not used"),
            }
        }
        Ok(Self(found))
    }
}

/// The configurations for HTTPS. Nothing is loaded before the first is needed: the system's roots take longer than a whole request.
pub(super) struct Tls {
    environment: Environment,
    named: NamedRoots,
    certificates: HostCertificates,
    of_named: Named,
    shared: OnceLock<Shared>,
    /// Those of the hosts that were asked, by their origin.
    hosts: Mutex<HashMap<String, Arc<ClientConfig>>>,
}

/// What all hosts share.
struct Shared {
    roots: RootCertStore,
    given: Given,
    config: Arc<ClientConfig>,
    /// The configuration for proxies, which forward any protocol.
    of_proxy: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the certificates that were named.
    pub(super) fn new(options: &ClientOptions) -> Result<Self, SetupError> {
        Ok(Self {
            environment: options.environment.clone(),
            named: NamedRoots::read(options)?,
            certificates: HostCertificates::new(options)?,
            of_named: Named::read(&options.named)?,
            shared: OnceLock::new(),
            hosts: Mutex::default(),
        })
    }

    /// The configuration for the host and port of `url`: only this configuration has its client certificate.
    pub(super) fn of(&self, url: &Url) -> Result<Arc<ClientConfig>, SetupError> {
        let hosts = || self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = net::origin(url);
        if let Some(config) = hosts().get(host) {
            return Ok(Arc::clone(config));
        }
        let shared = self.shared()?;
        let (of_host, more_keys) = (self.certificates.of(url)?, self.of_named.keys(url));
        let is_unchecked = self.of_named.is_unchecked(url);
        let config = match (of_host, more_keys) {
            (None, None) if !is_unchecked => Arc::clone(&shared.config),
            (of_host, more_keys) => {
                let OfHost { authorities, mut keys } = of_host.unwrap_or_default();
                // What was named for this run goes before what lies there for all.
                keys.0.splice(..0, more_keys);
                let (mut roots, mut given) = (shared.roots.clone(), shared.given.clone());
                add(&authorities, &mut roots, &mut given)?;
                Arc::new(match is_unchecked {
                    false => config(roots, given, keys)?,
                    true => with_verifier(Unchecked::new(&provider()), keys)?,
                })
            }
        };
        hosts().insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    /// The name that the certificate of the server of `url` must have, where that is not its host.
    pub(super) fn server_name(&self, url: &Url) -> Option<ServerName<'static>> {
        self.of_named.server_name(url)
    }

    /// The configuration for a proxy.
    pub(super) fn of_proxy(&self) -> Result<Arc<ClientConfig>, SetupError> {
        Ok(Arc::clone(&self.shared()?.of_proxy))
    }

    fn shared(&self) -> Result<&Shared, SetupError> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let (mut roots, mut given) = system_roots(&self.environment)?;
        add(&self.named.0, &mut roots, &mut given)?;
        let config = config(roots.clone(), given.clone(), ClientKeys::default())?;
        let mut of_proxy = config.clone();
        of_proxy.alpn_protocols.clear();
        let (config, of_proxy) = (Arc::new(config), Arc::new(of_proxy));
        Ok(self.shared.get_or_init(|| Shared { roots, given, config, of_proxy }))
    }
}

/// Adds certificates that were named: each for itself, and a CA's as a root too.
fn add(
    named: &[CertificateDer<'static>],
    roots: &mut RootCertStore,
    given: &mut Given,
) -> Result<(), SetupError> {
    for certificate in named {
        given.insert(certificate.to_vec());
        if may_issue(certificate) {
            roots.add(certificate.clone()).map_err(SetupError::Tls)?;
        }
    }
    Ok(())
}

fn config(roots: RootCertStore, given: Given, keys: ClientKeys) -> Result<ClientConfig, SetupError> {
    with_verifier(Verifier::new(roots, given, provider()).map_err(SetupError::Tls)?, keys)
}

fn with_verifier(
    verifier: impl ServerCertVerifier + 'static,
    keys: ClientKeys,
) -> Result<ClientConfig, SetupError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = builder
        .map_err(SetupError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(keys));
    // HTTP/2 gains nothing with such small requests, and is a lot of code.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The system's roots, and the same certificates as they were given.
fn system_roots(environment: &Environment) -> Result<(RootCertStore, Given), SetupError> {
    let mut roots = RootCertStore::empty();
    let mut found = Vec::new();
    if environment.ssl_cert_file.is_none() && environment.ssl_cert_dirs.is_empty() {
        let system = rustls_native_certs::load_native_certs();
        for error in system.errors {
            tracing::debug!(%error, "a certificate of the system is not used");
        }
        found = system.certs;
    }
    if let Some(file) = &environment.ssl_cert_file {
        // The container's own store: some images have links there to where a ConfigMap is mounted (OpenShift).
        found.extend(usable_certificates(file, input::read_trusted(file, CA_BYTES))?);
    }
    // The library reads regular files only, and looks before it opens one.
    for dir in &environment.ssl_cert_dirs {
        found.extend(rustls_native_certs::load_certs_from_paths(None, Some(dir)).certs);
    }
    let given = found.iter().map(|certificate| certificate.to_vec()).collect();
    // Not a CA's: trusted for itself alone.
    let of_servers = found.extract_if(.., |certificate| !may_issue(certificate)).count();
    let (added, ignored) = roots.add_parsable_certificates(found);
    let built_in = added == 0 && of_servers == 0;
    if built_in {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    tracing::debug!(added, ignored, of_servers, built_in, "trusted roots");
    Ok((roots, given))
}

/// The certificates of a file, or of those files of a folder that have any. A folder may be empty: it is where a ConfigMap is mounted that
/// need not exist. Kubernetes' own entries in it begin with two dots.
fn named(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let folder = match Folder::open(path) {
        Err(InputError::NotAFolder) => return certificates(path, input::read(path, CA_BYTES)),
        folder => folder,
    };
    let unread = |source| SetupError::ReadRoots { path: path.to_owned(), source };
    let names = folder.and_then(|folder| folder.names(CA_FILES)).map_err(unread)?;
    let mut found = Vec::new();
    let mut passed_over = false;
    for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b"..")) {
        let file = path.join(name);
        let read = match Folder::open(&file) {
            Ok(_) => Ok(Vec::new()),
            Err(_) => input::read(&file, CA_BYTES),
        };
        if read.as_ref().is_ok_and(|text| !has_block(text)) {
            tracing::debug!(file = %file.display(), "passed over: there is no certificate in it");
            passed_over = true;
            continue;
        }
        found.extend(certificates(&file, read)?);
    }
    match found.is_empty() && passed_over {
        true => Err(SetupError::NoCertificate { path: path.to_owned() }),
        false => Ok(found),
    }
}

/// Whether a certificate begins somewhere in a file.
fn has_block(text: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    text.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// The certificates of a PEM file, which was read: one at least, and each of them fit to be used.
pub(super) fn certificates(
    path: &Path,
    read: Result<Vec<u8>, InputError>,
) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let (found, damaged) = blocks(path, read)?;
    match damaged.first() {
        Some(&number) => Err(SetupError::DamagedCertificate { path: path.to_owned(), number }),
        None if found.is_empty() => Err(SetupError::NoCertificate { path: path.to_owned() }),
        None => Ok(found),
    }
}

/// The same of `SSL_CERT_FILE`, which can be a system's bundle: as for Go's clients and OpenSSL, a damaged certificate is no reason to do
/// without the others.
fn usable_certificates(
    path: &Path,
    read: Result<Vec<u8>, InputError>,
) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let (found, damaged) = blocks(path, read)?;
    match (found.is_empty(), damaged.first()) {
        (true, Some(&number)) => Err(SetupError::DamagedCertificate { path: path.to_owned(), number }),
        (true, None) => Err(SetupError::NoCertificate { path: path.to_owned() }),
        (false, _) => {
            for number in damaged {
                tracing::warn!(file = %path.display(), number, "a damaged certificate is skipped");
            }
            Ok(found)
        }
    }
}

/// The certificates of a PEM file, and the numbers (the first is 1) of those that can't be used.
fn blocks(
    path: &Path,
    read: Result<Vec<u8>, InputError>,
) -> Result<(Vec<CertificateDer<'static>>, Vec<usize>), SetupError> {
    let text = read.map_err(|source| SetupError::ReadRoots { path: path.to_owned(), source })?;
    let mut store = RootCertStore::empty();
    let (mut found, mut damaged) = (Vec::new(), Vec::new());
    for (at, block) in CertificateDer::pem_slice_iter(&text).enumerate() {
        match block {
            Ok(certificate) if store.add(certificate.clone()).is_ok() => found.push(certificate),
            _ => damaged.push(at + 1),
        }
    }
    Ok((found, damaged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn options(dir: &tempfile::TempDir) -> ClientOptions {
        let mut options = ClientOptions::new(Instant::now());
        options.files.service_ca = dir.path().join("service-ca.crt");
        options
    }

    fn pem() -> String {
        rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap().cert.pem()
    }

    fn ca_pem() -> String {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_named_file_that_can_not_be_used_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let mut options = options(&dir);
        options.extra_roots.push(file.clone());
        let error = |options| NamedRoots::read(options).unwrap_err().to_string();
        assert_eq!(error(&options), format!("cannot read the CA file {}", file.display()));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for content in ["", "garbage"] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(error(&options), format!("{} holds no certificate in PEM form", file.display()));
        }
        let good = pem();
        let bad_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        for (content, number) in [
            (garbage.to_owned(), 1),
            ("-----BEGIN CERTIFICATE-----\n".to_owned(), 1),
            (good.clone() + garbage + &good, 2),
            (good.clone() + &good + bad_base64 + &good, 3),
            (good.clone() + good.trim_end().trim_end_matches('-'), 2),
        ] {
            std::fs::write(&file, content).unwrap();
            let want = format!("certificate number {number} in {} is damaged", file.display());
            assert_eq!(error(&options), want);
        }
        std::fs::write(&file, pem() + &pem()).unwrap();
        assert_eq!(NamedRoots::read(&options).unwrap().0.len(), 2);
    }

    #[test]
    fn of_a_folder_every_file_counts_and_it_may_be_empty() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cas");
        std::fs::create_dir(&folder).unwrap();
        let mut options = options(&dir);
        options.extra_roots.push(folder.clone());
        assert_eq!(NamedRoots::read(&options).unwrap().0.len(), 0);
        // As Kubernetes mounts a ConfigMap.
        std::fs::create_dir(folder.join("..2026")).unwrap();
        for name in ["a.crt", "b.crt"] {
            std::fs::write(folder.join("..2026").join(name), pem()).unwrap();
            std::os::unix::fs::symlink(format!("..data/{name}"), folder.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("..2026", folder.join("..data")).unwrap();
        assert_eq!(NamedRoots::read(&options).unwrap().0.len(), 2);
        // Many folders also hold files that aren't certificates.
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for (name, text) in [("README", "garbage"), ("ca.key", &key), ("ca.srl", "01\n"), ("empty", "")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        std::fs::create_dir(folder.join("java")).unwrap();
        assert_eq!(NamedRoots::read(&options).unwrap().0.len(), 2);
        let damaged = pem().replacen("MII", "M!I", 1);
        std::fs::write(folder.join("c.crt"), damaged).unwrap();
        let want = format!("certificate number 1 in {} is damaged", folder.join("c.crt").display());
        assert_eq!(NamedRoots::read(&options).unwrap_err().to_string(), want);
        for name in ["a.crt", "b.crt", "c.crt"] {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        let want = format!("{} holds no certificate in PEM form", folder.display());
        assert_eq!(NamedRoots::read(&options).unwrap_err().to_string(), want);
    }

    #[test]
    fn the_clusters_service_ca_is_trusted_if_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir);
        assert_eq!(NamedRoots::read(&options).unwrap().0.len(), 0);
        std::fs::write(&options.files.service_ca, "").unwrap();
        assert_eq!(NamedRoots::read(&options).unwrap().0.len(), 0);
        std::fs::write(&options.files.service_ca, pem()).unwrap();
        assert_eq!(NamedRoots::read(&options).unwrap().0.len(), 1);
    }

    #[test]
    fn ssl_cert_file_stands_in_for_the_systems_roots() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("roots.pem");
        let mut options = options(&dir);
        options.environment.ssl_cert_file = Some(file.clone());
        assert!(matches!(system_roots(&options.environment), Err(SetupError::ReadRoots { .. })));
        let roots = || system_roots(&options.environment).map(|(roots, given)| (roots.len(), given.len()));
        // rcgen's are not a CA's: nothing at all may issue others then, Mozilla's neither.
        std::fs::write(&file, pem()).unwrap();
        assert_eq!(roots().unwrap(), (0, 1));
        std::fs::write(&file, ca_pem()).unwrap();
        assert_eq!(roots().unwrap(), (1, 1));
        // A damaged certificate is skipped if there is a good certificate.
        let damaged = pem().replacen("MII", "M!I", 1);
        std::fs::write(&file, damaged.clone() + &ca_pem() + &damaged).unwrap();
        assert_eq!(roots().unwrap(), (1, 1));
        std::fs::write(&file, damaged).unwrap();
        let want = format!("certificate number 1 in {} is damaged", file.display());
        assert_eq!(roots().unwrap_err().to_string(), want);
    }

    #[test]
    fn without_any_root_the_built_in_ones_are_used() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(&dir);
        options.environment.ssl_cert_dirs.push(dir.path().to_owned());
        assert_eq!(system_roots(&options.environment).unwrap().0.len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }
}
