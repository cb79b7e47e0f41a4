//! Whom we trust, and how TLS is spoken: one rustls configuration with the ring provider.
//!
//! Trusted are the system's roots (or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`), or where there are
//! none, as in an image made from nothing, Mozilla's built in; the files given with `--registry-ca`; and
//! OpenShift's service CA. A file that was named and can't be used is an error before the first request:
//! left out, it would end as "not trusted" on some registry, far from its cause.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};

use super::error::SetupError;
use super::issuer::issuer_name;
use super::options::ClientOptions;
use crate::input::{self, Folder, InputError};

/// The largest file of CA certificates: sixty times what all public CAs take.
const CA_BYTES: u64 = 16 * 1024 * 1024;
/// The most files in a folder of CA certificates.
const CA_FILES: usize = 4096;

/// The certificates that were named by somebody, checked.
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

/// The configuration for plain HTTP, which never makes a TLS connection; no root is loaded for it.
pub(super) fn none() -> Result<ClientConfig, SetupError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(SetupError::Tls)?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The configuration for HTTPS.
pub(super) fn config(options: &ClientOptions, named: &NamedRoots) -> Result<ClientConfig, SetupError> {
    let mut roots = system_roots(options)?;
    for certificate in &named.0 {
        roots.add(certificate.clone()).map_err(SetupError::Tls)?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| SetupError::Tls(rustls::Error::General(error.to_string())))?;
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = builder
        .map_err(SetupError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NamesIssuer(verifier)))
        .with_no_client_auth();
    // HTTP/2 gains nothing with requests as small as ours, and is a lot of code.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn system_roots(options: &ClientOptions) -> Result<RootCertStore, SetupError> {
    let environment = &options.environment;
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
        found.extend(certificates(file, input::read_trusted(file, CA_BYTES))?);
    }
    // The library reads regular files only, and looks before it opens one.
    for dir in &environment.ssl_cert_dirs {
        found.extend(rustls_native_certs::load_certs_from_paths(None, Some(dir)).certs);
    }
    let (added, ignored) = roots.add_parsable_certificates(found);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    tracing::debug!(added, ignored, built_in = added == 0, "trusted roots");
    Ok(roots)
}

/// The certificates of a file, or of all files of a folder. A folder may be empty: it is where a ConfigMap is mounted that
/// need not exist. Kubernetes' own entries in it begin with two dots.
fn named(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let names = match Folder::open(path) {
        Err(InputError::NotAFolder) => return certificates(path, input::read(path, CA_BYTES)),
        folder => folder.and_then(|folder| folder.names(CA_FILES)),
    };
    let names = names.map_err(|source| SetupError::ReadRoots { path: path.to_owned(), source })?;
    let mut found = Vec::new();
    for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b"..")) {
        let file = path.join(name);
        found.extend(certificates(&file, input::read(&file, CA_BYTES))?);
    }
    Ok(found)
}

/// The certificates of a PEM file, which was read; one at least.
fn certificates(
    path: &Path,
    read: Result<Vec<u8>, InputError>,
) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let text = read.map_err(|source| SetupError::ReadRoots { path: path.to_owned(), source })?;
    let refused = || SetupError::NoCertificate { path: path.to_owned() };
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|_| refused())?;
    let mut store = RootCertStore::empty();
    for certificate in &found {
        store.add(certificate.clone()).map_err(|_| refused())?;
    }
    if found.is_empty() { Err(refused()) } else { Ok(found) }
}

/// Checks certificates as rustls does, and names the issuer of one that isn't trusted.
#[derive(Debug)]
struct NamesIssuer(Arc<WebPkiServerVerifier>);

/// A certificate whose issuer isn't trusted.
#[derive(Debug)]
pub(super) struct Untrusted {
    pub(super) issuer: Option<String>,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no trusted root issued the certificate")
    }
}

impl std::error::Error for Untrusted {}

impl ServerCertVerifier for NamesIssuer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        checked.map_err(|error| match error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                // The last of the chain that was sent is the one whose issuer the reader lacks.
                let issuer = issuer_name(intermediates.last().unwrap_or(end_entity));
                let untrusted = OtherError(Arc::new(Untrusted { issuer }));
                rustls::Error::InvalidCertificate(CertificateError::Other(untrusted))
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
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

    #[test]
    fn a_named_file_that_can_not_be_used_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let mut options = options(&dir);
        options.extra_roots.push(file.clone());
        let error = |options| NamedRoots::read(options).unwrap_err().to_string();
        assert_eq!(error(&options), format!("cannot read the CA file {}", file.display()));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for content in ["", "garbage", garbage, "-----BEGIN CERTIFICATE-----\n"] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(
                error(&options),
                format!("the CA file {} holds no certificate in PEM form that can be used", file.display())
            );
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
        std::fs::write(folder.join("c.crt"), "garbage").unwrap();
        assert!(NamedRoots::read(&options).unwrap_err().to_string().contains("c.crt"));
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
        assert!(matches!(system_roots(&options), Err(SetupError::ReadRoots { .. })));
        std::fs::write(&file, pem()).unwrap();
        assert_eq!(system_roots(&options).unwrap().len(), 1);
    }

    #[test]
    fn without_any_root_the_built_in_ones_are_used() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(&dir);
        options.environment.ssl_cert_dirs.push(dir.path().to_owned());
        assert_eq!(system_roots(&options).unwrap().len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }
}
