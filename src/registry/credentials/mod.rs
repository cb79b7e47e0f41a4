//! Credentials from files and helpers.

use crate::explain::Explain;

/// Why the credentials for a registry can't be known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {}

impl Explain for CredentialError {
    fn hint(&self) -> Option<String> {
        None
    }
}
