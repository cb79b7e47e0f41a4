//! Registries: credentials, and the only client that opens sockets to them.

pub mod client;
pub mod credentials;
mod given_login;
pub mod keychain;

pub use client::{Client, ClientOptions, RegistryError, Written};
pub use credentials::CredentialError;
pub use given_login::WithGivenLogin;
pub use keychain::{Credential, Keychain, Login};
