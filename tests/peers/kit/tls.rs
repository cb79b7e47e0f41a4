//! A private certificate authority, and a server's certificate by it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The files of a TLS server on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// The authority, for clients.
    pub(crate) ca: PathBuf,
    /// The file of the server's certificate.
    pub(crate) certificate: PathBuf,
    /// The file of the server's private key.
    pub(crate) key: PathBuf,
}

impl Tls {
    /// Makes an authority and a certificate for `localhost` and `127.0.0.1` in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);

        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let certificate = server.signed_by(&key, &issuer).unwrap();

        let files = Self {
            ca: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        fs::write(&files.ca, root.pem()).unwrap();
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// Makes one certificate for both with openssl, self-signed and marked as a CA's, as most guides for a registry do.
    pub(crate) fn self_signed(folder: &Path) -> Self {
        let files = Self {
            ca: folder.join("server.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=registry",
        ]);
        openssl.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"]).arg(&files.key);
        let made = openssl.arg("-out").arg(&files.certificate).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        files
    }
}
