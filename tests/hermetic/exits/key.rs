//! A key without a password: deriving one takes longer than a case.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use stepseal::key::PublicKey;
use stepseal::sign::KeySource;
use tempfile::TempDir;

pub(crate) const PRIVATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keys/p256.sec1.pem");

pub(crate) fn public() -> &'static PublicKey {
    static KEY: OnceLock<PublicKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let source: KeySource = PRIVATE.parse().unwrap();
        let signer = source.read(&|_| None).unwrap().unlock().unwrap();
        PublicKey::from_pem(&signer.public_key().to_pem()).unwrap()
    })
}

/// The file of the public key.
pub(crate) fn public_file() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cosign.pub"), public().to_pem()).unwrap();
        folder
    });
    Path::new(folder.path()).join("cosign.pub")
}
