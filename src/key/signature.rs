//! A signature, as the algorithm of its key gives it.

use base64::Engine as _;

/// A signature over bytes, as the key's scheme encodes it (ECDSA: ASN.1 DER; Ed25519: 64 bytes; RSA: PKCS#1 v1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(pub Vec<u8>);

impl Signature {
    /// The signature in standard base64, as annotations and envelopes carry it.
    pub fn base64(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&self.0)
    }
}
