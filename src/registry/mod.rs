//! Registries: names, credentials, and the one client that opens sockets to them.

pub(crate) mod authority;
mod canonical;
pub mod client;
pub mod credentials;
pub mod digest;
mod given_login;
pub(crate) mod index;
pub(crate) mod json;
pub mod keychain;
pub mod platform;
pub mod reference;
#[cfg(test)]
pub(crate) mod spelling;

pub use canonical::{CanonicalRepository, PlainHttp};
pub use client::{Client, ClientOptions, Manifest, RegistryError, Target, Written};
pub use credentials::CredentialError;
pub use digest::{Digest, DigestError};
pub use given_login::WithGivenLogin;
pub use keychain::{Credential, Keychain, Login};
pub use reference::{ImageRef, Named, ReferenceError, Repository, TagRef};
