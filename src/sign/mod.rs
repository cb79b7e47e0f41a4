//! Stage sign: bytes in, signature out.
//!
//! [`Signer`] is the seam. Its members, one a file:
//!
//! | member | file |
//! |---|---|
//! | a private key in this process's memory | `memory.rs` |
//! | an agent beside this process, which decides by itself | `remote/` |
//!
//! A key comes from a [`KeySource`], in two steps: [`KeySource::read`] touches the disk and finds every error that
//! needs no key derivation; [`LockedKey::unlock`] runs scrypt where the key is encrypted, which takes a
//! fifth of a second and 64 MiB, so the caller runs it on a blocking thread beside its first requests.
//! [`parse_private`] and [`PublicKey::from_pem`] are the parsers alone, without a file or a derivation.
//!
//! For images, ECDSA signs SHA-256 on every curve, with the nonces of [RFC 6979], so that equal input gives equal bytes; Ed25519 is
//! pure [RFC 8032]; RSA is PKCS#1 v1.5 with SHA-256 ([RFC 8017 §8.2]), blinded. That is what `cosign verify --key` checks by
//! default, and what Chains makes. (cosign 3.1 itself *signs* SHA-384 with P-384 and SHA-512 with P-521, and then refuses
//! its own signature unless told the hash; [`Scheme`](crate::key::Scheme) has that for files.) What is refused: RSA below 2048 and above 8192 bits, RSA-PSS keys,
//! other curves, scrypt settings that cosign never wrote, PKCS#5 encryption, two keys where one is meant.
//!
//! # Why this is not sigstore-rs
//!
//! The `sigstore` crate 0.15 reads the same files (`crypto/signing_key`). There, a wrong password is reported as a failure
//! to *encrypt* (`kdf.rs`, `decrypt`), the key derived from it is a plain `Vec<u8>` that is not wiped, and P-384
//! keys sign SHA-384, which `cosign verify --key` refuses by default (`ecdsa/mod.rs`, `to_sigstore_signer`).
//!
//! # What is wiped, and what can't be
//!
//! File contents, passwords, the derived key, decrypted DER and the keys themselves are wiped when dropped. Left to the crates below:
//! `scrypt` 0.12 doesn't wipe its working memory, the 64 MiB vector and two buffers of 1 KiB. They hold no key: who finds them can
//! try passwords without the cost of scrypt, no more. `rsa` 0.10 doesn't wipe one precomputed number (`q⁻¹ mod p`).
//!
//! [RFC 6979]: https://www.rfc-editor.org/rfc/rfc6979#section-3.2
//! [RFC 8032]: https://www.rfc-editor.org/rfc/rfc8032#section-5.1.6
//! [RFC 8017 §8.2]: https://www.rfc-editor.org/rfc/rfc8017#section-8.2

use std::fmt;

use crate::formats::Payload;
use crate::key::{Hash, PublicKey, Signature};
use crate::oci::ImageRef;

mod error;
mod file;
mod generate;
mod memory;
mod parse;
mod public_source;
pub(crate) mod remote;
mod sealed;
mod source;
#[cfg(test)]
mod tests;
mod unlock;

pub use error::KeyError;
pub use generate::{KeyPair, generate, read_plain};
pub use memory::MemoryKey;
pub use parse::{ParsedKey, parse_private};
pub use public_source::PublicKeySource;
pub use remote::AgentAddress;
pub use sealed::SealedKey;
pub use source::{KEY_FILES, KeySource, LockedKey};
pub use unlock::{SignError, Unlocking};

/// What signs. The seam: one member a file.
pub trait Signer: Send + Sync + fmt::Debug {
    /// Signs `message` itself; where the scheme signs a hash, the signer makes it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the signature from being made: the system's random numbers, an unreachable service.
    fn sign(&self, message: &[u8]) -> Result<Signature, KeyError>;

    /// Signs the message whose digest by `hash` this is, so that a large file need not be in memory.
    ///
    /// # Errors
    ///
    /// As [`Signer::sign`]; and [`KeyError::Digest`] where the scheme signs whole messages (Ed25519), or the digest is not as long as
    /// that hash makes it; and from an agent, which has to know what it signs.
    fn sign_digest(&self, hash: Hash, digest: &[u8]) -> Result<Signature, KeyError>;

    /// Signs `payload`, which is about `images`: for a signer that looks at what it signs. A key signs the bytes.
    ///
    /// # Errors
    ///
    /// As [`Signer::sign`], and whatever the signer has against it.
    fn sign_payload(&self, payload: &Payload, _images: &[ImageRef]) -> Result<Signature, KeyError> {
        self.sign(&payload.to_be_signed())
    }

    /// The public key that verifies the signatures.
    fn public_key(&self) -> &PublicKey;
}
