//! Registries: names, credentials, and the one client that opens sockets to them.

pub mod credentials;
pub mod digest;
pub mod keychain;
pub mod reference;

pub use credentials::CredentialError;
pub use digest::{Digest, DigestError};
pub use keychain::{Credential, Keychain, Login};
pub use reference::{ImageRef, Named, ReferenceError, Repository};
