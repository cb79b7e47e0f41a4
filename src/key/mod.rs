//! Key values: public keys, algorithms and hashes, signatures, and the PEM text around them.
//!
//! Bytes in, values out: nothing here holds a private key, reads a file or derives anything.
//!
//! Specs: [RFC 5480](https://www.rfc-editor.org/rfc/rfc5480) (keys of elliptic curves), [RFC 8410](https://www.rfc-editor.org/rfc/rfc8410)
//! (Ed25519), [RFC 8017](https://www.rfc-editor.org/rfc/rfc8017) (RSA), [RFC 7468](https://www.rfc-editor.org/rfc/rfc7468) (PEM)

pub(crate) mod algorithm;
pub(crate) mod armor;
mod awaited;
pub(crate) mod form;
mod hash;
mod malformed;
mod other_form;
pub(crate) mod public;
mod rsa_size;
mod scheme;
mod signature;

pub use algorithm::Algorithm;
pub use awaited::AwaitedKey;
pub use hash::Hash;
pub use malformed::Malformed;
pub use other_form::OtherForm;
pub use public::{Opened, PublicKey, VerifyError};
pub use scheme::{Scheme, SchemeError};
pub use signature::Signature;
