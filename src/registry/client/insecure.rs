//! Which registries are spoken to over plain HTTP, as they were named insecure, and where their logins may go in the clear.

use std::collections::HashSet;

use url::Url;

use super::endpoint;
use super::setup_error::SetupError;
use crate::oci::reference::{DEFAULT_REGISTRY, Repository, is_host};

/// The registries that were named insecure.
pub(super) struct Insecure(HashSet<String>);

impl Insecure {
    /// Those of these names.
    ///
    /// # Errors
    ///
    /// A name that is none.
    pub(super) fn new(names: &[String]) -> Result<Self, SetupError> {
        names.iter().map(|name| registry_name(name)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the registry of `repository` was named.
    pub(super) fn names(&self, repository: &Repository) -> bool {
        // Names are compared as they are written, port included: nothing else becomes insecure with it.
        !self.0.is_empty() && self.0.contains(&repository.registry().to_ascii_lowercase())
    }

    /// Whether a token service of the registry that `home` is of may get the login over plain HTTP.
    ///
    /// The registry must be named insecure, and the token service be on its host, or be named itself: what a registry says in the
    /// clear can come from any host, and must not lead the login further over networks that the user didn't declare trusted.
    pub(super) fn may_get_login_in_clear(&self, repository: &Repository, home: &Url, service: &Url) -> bool {
        let named = |name: &String| {
            let url = Url::parse(&format!("http://{name}/"));
            url.is_ok_and(|url| endpoint::same_origin(&url, service))
        };
        self.names(repository) && (endpoint::same_host(home, service) || self.0.iter().any(named))
    }
}

/// A registry's name as in a [`Repository`].
pub(super) fn registry_name(name: &str) -> Result<String, SetupError> {
    let lower = name.to_ascii_lowercase();
    if !is_host(&lower) {
        return Err(SetupError::Insecure(crate::foreign::escape(name, 200)));
    }
    Ok(if lower == "docker.io" { DEFAULT_REGISTRY.to_owned() } else { lower })
}
