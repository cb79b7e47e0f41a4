//! Certificates of servers: which are trusted, and what is said of the others.

use super::network::ca;
use super::server::{Server, answer};
use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};

const CA: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

/// A certificate and what a server needs for it.
pub(super) struct Own {
    pub(super) pem: String,
    pub(super) key: KeyPair,
    params: CertificateParams,
}

impl Own {
    /// A self-signed one, as `openssl req -x509` makes it, for these names.
    pub(super) fn signed(names: &[&str], change: impl Fn(&mut CertificateParams)) -> Self {
        Self::with(KeyPair::generate().unwrap(), names, change)
    }

    fn with(key: KeyPair, names: &[&str], change: impl Fn(&mut CertificateParams)) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = CA;
        change(&mut params);
        Self { pem: params.self_signed(&key).unwrap().pem(), key, params }
    }

    pub(super) fn config(&self) -> rustls::ServerConfig {
        serving(&self.pem, &self.key.serialize_pem())
    }
}

pub(super) fn serving(certificate: &str, key: &str) -> rustls::ServerConfig {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    // Whether the key is the certificate's is not looked at.
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let key = rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(chain, key));
    builder.unwrap().with_no_client_auth().with_cert_resolver(Arc::new(key))
}

/// How a certificate is given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    File,
    Folder,
    OfHost,
    SslCertFile,
    SslCertDir,
    ServiceCa,
}

const WAYS: [Way; 6] =
    [Way::File, Way::Folder, Way::OfHost, Way::SslCertFile, Way::SslCertDir, Way::ServiceCa];

impl Way {
    pub(super) fn options(self, dir: &Path, pem: &str, host: &str) -> ClientOptions {
        let mut options = options();
        // In place of the system's roots, which take long to load.
        options.environment.ssl_cert_file = Some(write(dir, "other.pem", &ca().pem));
        match self {
            Self::File => options.extra_roots.push(write(dir, "ca.pem", pem)),
            Self::Folder => {
                write(dir, "folder/registry.crt", pem);
                options.extra_roots.push(dir.join("folder"));
            }
            Self::OfHost => {
                write(dir, &format!("certs.d/{host}/ca.crt"), pem);
                options.certs_dirs.push(dir.join("certs.d"));
            }
            Self::SslCertFile => options.environment.ssl_cert_file = Some(write(dir, "ca.pem", pem)),
            Self::SslCertDir => {
                options.environment.ssl_cert_file = None;
                write(dir, "folder/0123abcd.0", pem);
                options.environment.ssl_cert_dirs.push(dir.join("folder"));
            }
            Self::ServiceCa => options.files.service_ca = write(dir, "service-ca.crt", pem),
        }
        options
    }
}

pub(super) fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

pub(super) async fn serve(config: rustls::ServerConfig) -> Server {
    Server::start_tls(config, |_, _| answer(200, &[], "{}")).await
}

/// Asks `server` at `host`; what the reader sees, if it fails.
pub(super) async fn ask(options: ClientOptions, host: &str, server: &Server) -> Result<(), String> {
    let client = Client::new(options, keys(&["ci"])).map_err(|error| shown(&error))?;
    let repository = format!("{host}:{}/team/app", server.address.port()).parse().unwrap();
    let found = client.manifest(&repository, &tag("v1")).await.map_err(|error| shown(&error))?;
    assert!(found.is_some());
    Ok(())
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_however_it_is_given() {
    for (algorithm, is_ca) in [
        (&PKCS_ECDSA_P256_SHA256, CA),
        (&PKCS_ECDSA_P384_SHA384, CA),
        (&PKCS_ED25519, CA),
        (&PKCS_ECDSA_P256_SHA256, IsCa::NoCa),
        (&PKCS_ECDSA_P256_SHA256, IsCa::ExplicitNoCa),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let own = Own::with(key, &["localhost", "127.0.0.1"], |params| params.is_ca = is_ca);
        let server = serve(own.config()).await;
        for way in WAYS {
            for host in ["localhost", "127.0.0.1"] {
                let dir = tempfile::tempdir().unwrap();
                let authority = format!("{host}:{}", server.address.port());
                let options = way.options(dir.path(), &own.pem, &authority);
                let asked = ask(options, host, &server).await;
                assert_eq!(asked, Ok(()), "{algorithm:?} {is_ca:?} {way:?} {host}");
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_given_counts_for_its_names_while_it_is_valid_and_for_servers() {
    let in_2001 = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    let in_3001 = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(3001, 1, 1);
        params.not_after = rcgen::date_time_ymd(3002, 1, 1);
    };
    let of_client = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let time = "its certificate has expired, or is not valid yet";
    let nameless = "do:    the certificate has no subject alternative name, and a common name (CN) does not count: \
                    make one with subjectAltName=DNS:";
    for (own, host, want) in [
        (Own::signed(&["localhost"], |_| ()), "127.0.0.1", "its certificate is not for 127.0.0.1"),
        (Own::signed(&["127.0.0.1"], |_| ()), "localhost", "its certificate is not for localhost"),
        (Own::signed(&["localhost.example"], |_| ()), "localhost", "its certificate is not for localhost"),
        (Own::signed(&[], |_| ()), "localhost", nameless),
        (Own::signed(&["localhost"], in_2001), "localhost", time),
        (Own::signed(&["localhost"], in_3001), "localhost", time),
        (Own::signed(&["localhost"], of_client), "localhost", "it is not for servers"),
    ] {
        let server = serve(own.config()).await;
        for way in [Way::File, Way::SslCertFile, Way::OfHost] {
            let dir = tempfile::tempdir().unwrap();
            let authority = format!("{host}:{}", server.address.port());
            let text = ask(way.options(dir.path(), &own.pem, &authority), host, &server).await.unwrap_err();
            assert!(text.contains(want), "{way:?} {want}: {text}");
        }
        assert!(server.seen().is_empty(), "{want}: nothing is sent");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_given_is_not_trusted() {
    let own = Own::signed(&["127.0.0.1"], |_| ());
    // The same names and the same key, made again.
    let again = Own::with(KeyPair::from_pem(&own.key.serialize_pem()).unwrap(), &["127.0.0.1"], |params| {
        params.serial_number = Some(7.into());
    });
    let other_host = Own::signed(&["127.0.0.1"], |_| ());
    let (server, dir) = (serve(own.config()).await, tempfile::tempdir().unwrap());
    let given = [
        Way::File.options(dir.path(), &ca().pem, ""),
        Way::File.options(dir.path(), &again.pem, ""),
        Way::File.options(dir.path(), &other_host.pem, ""),
        // Given for another registry.
        Way::OfHost.options(dir.path(), &own.pem, "localhost"),
        Way::OfHost.options(dir.path(), &own.pem, "127.0.0.1:1"),
    ];
    for (number, options) in given.into_iter().enumerate() {
        assert!(ask(options, "127.0.0.1", &server).await.is_err(), "{number}");
    }
    assert!(server.seen().is_empty());
    // The key of what is presented has to sign the handshake: another's certificate doesn't help.
    let own_key = serving(&Own::signed(&["127.0.0.1"], |_| ()).pem, &again.key.serialize_pem());
    let server = serve(own_key).await;
    assert!(ask(Way::File.options(dir.path(), &own.pem, ""), "127.0.0.1", &server).await.is_err());
}

#[tokio::test]
async fn only_the_certificate_of_a_ca_is_trusted_to_issue_others() {
    for (is_ca, may) in [(CA, true), (IsCa::NoCa, false), (IsCa::ExplicitNoCa, false)] {
        let own = Own::signed(&["registry.example"], |params| params.is_ca = is_ca);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let issuer = rcgen::Issuer::new(own.params.clone(), &own.key);
        let issued = params.signed_by(&key, &issuer).unwrap().pem();
        let server = serve(serving(&issued, &key.serialize_pem())).await;
        for way in WAYS {
            let dir = tempfile::tempdir().unwrap();
            let options = way.options(dir.path(), &own.pem, &server.host());
            assert_eq!(ask(options, "127.0.0.1", &server).await.is_ok(), may, "{is_ca:?} {way:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_says_why_who_issued_it_and_what_to_do() {
    let authority = Own::signed(&[], |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "Example Root CA");
    });
    let issued = |change: &dyn Fn(&mut CertificateParams)| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let issuer = rcgen::Issuer::new(authority.params.clone(), &authority.key);
        let pem = params.signed_by(&key, &issuer).unwrap().pem();
        (pem, key.serialize_pem())
    };
    let itself = Own::signed(&["127.0.0.1"], |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "registry");
    });
    let critical = |params: &mut CertificateParams| {
        let mut unknown = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    };
    let of_client = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let of_ca = |params: &mut CertificateParams| params.is_ca = CA;
    for ((pem, key), given, reason, issuer, hint) in [
        // As `openssl req -x509` makes them.
        (
            (itself.pem.clone(), itself.key.serialize_pem()),
            &authority.pem,
            "it is marked as a CA's (CA:TRUE)",
            "registry",
            "do:    give the registry's certificate itself with --registry-ca FILE",
        ),
        (
            issued(&of_ca),
            &authority.pem,
            "it is marked as a CA's (CA:TRUE)",
            "Example Root CA",
            "do:    give the registry's certificate itself with --registry-ca FILE",
        ),
        (
            issued(&of_client),
            &authority.pem,
            "it is not for servers",
            "Example Root CA",
            "do:    make the registry's certificate anew for servers: extendedKeyUsage=serverAuth",
        ),
        (
            issued(&critical),
            &authority.pem,
            "it, or one above it, has a critical extension",
            "Example Root CA",
            "do:    give the registry's certificate itself with --registry-ca FILE",
        ),
        (
            issued(&|_| ()),
            &itself.pem,
            "it was issued by",
            "Example Root CA",
            "do:    give the certificate of the CA that issued it with --registry-ca FILE",
        ),
    ] {
        let (server, dir) = (serve(serving(&pem, &key)).await, tempfile::tempdir().unwrap());
        let text = ask(Way::File.options(dir.path(), given, ""), "127.0.0.1", &server).await.unwrap_err();
        let cause = format!("its certificate is not trusted: {reason}");
        let issued = format!("it was issued by \"{issuer}\"");
        assert!(text.contains(&cause) && text.contains(&issued) && text.contains(hint), "{reason}: {text}");
        assert!(server.seen().is_empty(), "{reason}: nothing is sent");
    }
}

#[tokio::test]
async fn a_certificate_of_version_1_is_named_as_that() {
    // Made with `openssl x509 -req -signkey`, for 127.0.0.1.
    let pem = include_str!("version1.pem");
    let (server, dir) = (serve(serving(pem, pem)).await, tempfile::tempdir().unwrap());
    let certificate = pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    for given in [certificate, &ca().pem] {
        let options = Way::File.options(dir.path(), given, "");
        let text = ask(options, "127.0.0.1", &server).await.unwrap_err();
        assert!(text.contains("its certificate is of X.509 version 1, which cannot carry"), "{text}");
        assert!(text.contains("do:    give the registry a certificate of version 3"), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_given_may_have_a_longer_serial_number_than_the_rules_allow() {
    let own = Own::signed(&["127.0.0.1"], |params| {
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[7; 24]));
    });
    let (server, dir) = (serve(own.config()).await, tempfile::tempdir().unwrap());
    assert_eq!(ask(Way::File.options(dir.path(), &own.pem, ""), "127.0.0.1", &server).await, Ok(()));
}
