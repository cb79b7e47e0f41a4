//! Where keys and passwords are found.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::explain::Explain as _;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn read(path: &Path) -> Result<LockedKey, KeyError> {
    KeySource::Path(path.into()).read(&|_| None)
}

#[test]
fn a_mounted_secret_with_password_and_public_key() {
    // As Kubernetes mounts it: each entry is a link into `..data`, which is a link itself.
    let secret = tempfile::tempdir().unwrap();
    let version = secret.path().join("..2026_01_01");
    std::fs::create_dir(&version).unwrap();
    symlink("..2026_01_01", secret.path().join("..data")).unwrap();
    for (name, content) in [
        ("cosign.key", bytes("cosign.key")),
        ("cosign.pub", bytes("cosign.pub")),
        ("cosign.password", b"test\n".to_vec()),
    ] {
        std::fs::write(version.join(name), content).unwrap();
        symlink(format!("..data/{name}"), secret.path().join(name)).unwrap();
    }
    let locked = read(secret.path()).unwrap();
    assert!(locked.origin().ends_with("/cosign.key"));
    // The newline at the end of cosign.password is not part of the password.
    assert_eq!(*locked.unlock().unwrap().public_key(), public("cosign.pub"));
    // One file of the folder finds its password too.
    assert!(read(&secret.path().join("cosign.key")).is_ok());
}

#[test]
fn a_password_may_end_in_a_newline() {
    let password = Secret::from("ends in\r\n".to_owned());
    let pair = generate(&password).unwrap();
    let folder = folder(&[("cosign.key", pair.private_pem.expose()), ("cosign.password", password.expose())]);
    assert!(read(folder.path()).unwrap().unlock().is_ok());
    // One newline is taken away, and no more.
    std::fs::write(folder.path().join("cosign.password"), "ends in\r\n\r\n").unwrap();
    assert!(read(folder.path()).unwrap().unlock().is_ok());
    std::fs::write(folder.path().join("cosign.password"), "ends in\r\n\n\n").unwrap();
    assert!(matches!(read(folder.path()).unwrap().unlock(), Err(KeyError::WrongPassword { .. })));
}

#[test]
fn an_empty_password_file_is_an_empty_password() {
    let folder = folder(&[("cosign.key", &bytes("cosign-empty.key")), ("cosign.password", b"")]);
    assert!(read(folder.path()).unwrap().unlock().is_ok());
}

#[test]
fn the_password_file_goes_before_the_environment() {
    let folder = folder(&[("cosign.key", &bytes("cosign.key")), ("cosign.password", b"test")]);
    assert!(unlock(folder.path(), Some("wrong")).is_ok());
    std::fs::remove_file(folder.path().join("cosign.password")).unwrap();
    assert!(unlock(folder.path(), Some("test")).is_ok());
}

#[test]
fn the_password_of_cosign_key_is_not_tried_on_another_file() {
    let folder = folder(&[("other.key", &bytes("cosign.key")), ("cosign.password", b"test")]);
    let path = folder.path().join("other.key");
    assert!(matches!(read(&path), Err(KeyError::NoPassword { .. })));
    assert!(unlock(&path, Some("test")).is_ok());
}

#[test]
fn x509_pem_alone_is_a_key_and_needs_no_password() {
    let folder = folder(&[("x509.pem", &bytes("p384.pkcs8.pem"))]);
    let signer = read(folder.path()).unwrap().unlock().unwrap();
    assert_eq!(*signer.public_key(), public("p384.pub"));
}

#[test]
fn a_key_in_the_environment() {
    let source: KeySource = "env://SIGNING_KEY".parse().unwrap();
    let env = |name: &str| match name {
        "SIGNING_KEY" => Some(Secret::from(text("cosign.key"))),
        "COSIGN_PASSWORD" => Some(Secret::new(PASSWORD)),
        _ => None,
    };
    let locked = source.read(&env).unwrap();
    assert_eq!(locked.origin(), "env://SIGNING_KEY");
    assert_eq!(*locked.unlock().unwrap().public_key(), public("cosign.pub"));
}

#[test]
fn the_setting_is_a_path_or_a_known_scheme() {
    let path = |text: &str| matches!(text.parse(), Ok(KeySource::Path(path)) if path == Path::new(text));
    assert!(path("/etc/signing-secrets"));
    assert!(path("keys/cosign.key"));
    assert!(path("C:/odd name"));
    let scheme = |text: &str| match text.parse::<KeySource>() {
        Err(KeyError::Scheme { scheme }) => scheme,
        other => panic!("{text}: {other:?}"),
    };
    for known in ["awskms", "gcpkms", "azurekms", "hashivault", "pkcs11", "file"] {
        assert_eq!(scheme(&format!("{known}://name")), known);
    }
    assert_eq!("env://A_1".parse::<KeySource>().unwrap().to_string(), "env://A_1");
    let secret: KeySource = "k8s://ci/signing-secrets".parse().unwrap();
    assert_eq!(secret.to_string(), "k8s://ci/signing-secrets");
    assert_eq!(secret.secret().unwrap().name(), "signing-secrets");
    let public: PublicKeySource = "k8s://ci/signing-secrets".parse().unwrap();
    assert_eq!((public.secret(), public.to_string()), (secret.secret(), secret.to_string()));
    for text in ["k8s://", "k8s://name", "k8s://a/b/c", "k8s://A/b", "k8s://a/../b"] {
        assert!(matches!(text.parse::<KeySource>(), Err(KeyError::SecretName(_))), "{text}");
        assert!(matches!(text.parse::<PublicKeySource>(), Err(KeyError::SecretName(_))), "{text}");
    }
}

#[test]
fn a_public_key_that_is_not_there_is_not_told_as_a_private_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cosign.pub");
    let source: PublicKeySource = path.to_str().unwrap().parse().unwrap();
    let error = source.read(&|_| None).unwrap_err();
    assert_eq!(error.to_string(), format!("there is no public key {}", path.display()));
    assert!(error.hint().unwrap().contains("--key"));
}
