//! Why no client can be made, or no request begun: options, variables and files that can't be used. Nothing is sent then.

use std::path::PathBuf;

use crate::explain::explain;
use crate::input::InputError;
use crate::net::proxy::NotAProxy;

/// Options or files that no client can be made with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A file of trusted certificates can't be read.
    #[error("cannot read the CA file {}", .path.display())]
    ReadRoots {
        /// The path of the file or directory.
        path: PathBuf,
        /// What was reported about it.
        source: InputError,
    },
    /// A file of trusted certificates has none.
    #[error("{} holds no certificate in PEM form", .path.display())]
    NoCertificate {
        /// The file, or the folder.
        path: PathBuf,
    },
    /// One of the certificates in a file can't be used.
    #[error("certificate number {number} in {} is damaged", .path.display())]
    DamagedCertificate {
        /// The path of the file or directory.
        path: PathBuf,
        /// Which: the first is 1.
        number: usize,
    },
    /// A proxy variable's value.
    #[error(transparent)]
    Proxy(#[from] NotAProxy),
    /// An `--insecure-registry` that is not the name of a registry.
    #[error("\"{0}\" is not a registry, HOST or HOST:PORT")]
    Insecure(String),
    /// A `--registry-server-name` that no certificate can have.
    #[error("\"{0}\" is not the name of a server")]
    ServerName(String),
    /// TLS can't be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// A folder with certificates of registries can't be read.
    #[error("cannot read the certificates in {}", .path.display())]
    CertsDir {
        /// The path of the file or directory.
        path: PathBuf,
        /// What was reported about it.
        source: InputError,
    },
    /// A client certificate or its key can't be used.
    #[error("cannot use {} as a client certificate: {fault}", .path.display())]
    ClientKey {
        /// The path of the file or directory.
        path: PathBuf,
        /// Why not.
        fault: ClientKeyFault,
    },
}

/// Why a client certificate or its key can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientKeyFault {
    /// One of the two files isn't there.
    #[error("there is no {} for it", .missing.display())]
    Alone {
        /// The file that isn't there.
        missing: PathBuf,
    },
    /// It can't be read.
    #[error("{0}")]
    Unread(InputError),
    /// There is no certificate in it.
    #[error("it holds no certificate in PEM form that can be used")]
    NoCertificate,
    /// There is no key in it.
    #[error("it holds no private key in PEM form")]
    NoKey,
    /// The key can't be read, or is of a kind that isn't known.
    #[error(
        "its key is damaged, or not an RSA key from 2048 bits, an ECDSA key (P-256, P-384) or an Ed25519 key"
    )]
    BadKey,
    /// The key is encrypted.
    #[error("its key is encrypted")]
    Encrypted,
    /// The key is another certificate's.
    #[error("its key is not the one of the certificate {}", .certificate.display())]
    OtherKey {
        /// The certificate.
        certificate: PathBuf,
    },
}

impl ClientKeyFault {
    fn hint(&self) -> &'static str {
        match self {
            Self::Alone { .. } => {
                "put both NAME.cert and NAME.key there, or name a CA's certificate NAME.crt"
            }
            Self::Encrypted => {
                "decrypt the key (openssl pkey -in FILE): nobody is there to ask for its password"
            }
            Self::OtherKey { .. } => "put the key there that the certificate was made for",
            _ => {
                "give the client certificate and its private key in PEM form: --registry-client-cert and --registry-client-key, or NAME.cert and \
                 NAME.key in the folder of the registry"
            }
        }
    }
}

explain! { SetupError,
    Self::ReadRoots { source, .. } if source.hint().is_some() => [of source],
    Self::ReadRoots { .. } | Self::NoCertificate { .. } => ["registry-ca-file", Usage,
        "name a PEM file with the CA's certificate (--registry-ca, SSL_CERT_FILE, or *.crt in certs.d), and mount it into this step; \
         openssl x509 -inform DER -in FILE -out FILE.pem makes PEM of DER"],
    Self::DamagedCertificate { .. } => ["registry-ca-damaged", Usage,
        "copy that certificate again, from -----BEGIN to -----END, or take it out of the file"],
    Self::Proxy(refused) => [of refused],
    Self::Insecure(_) => ["registry-name", Usage, "name the registry as the images name it: --insecure-registry HOST:PORT"],
    Self::ServerName(_) => ["registry-server-name", Usage, "give a host's name or an IP address, without a port: --registry-server-name HOST"],
    Self::CertsDir { source, .. } => [of source, or "registry-certs-dir", Usage,
        "name a folder with HOST[:PORT]/ca.crt, client.cert and client.key (--registry-certs-dir)"],
    Self::ClientKey { fault, .. } => ["registry-client-key", Usage, text fault.hint()],
    Self::Tls(_) => ["tls-setup", Usage],
}
