//! The client for registries, as the settings of `verify` say it: for every command that asks a registry and signs nothing.

use std::sync::Arc;
use std::time::Instant;

use super::environment::Environment;
use crate::config::{Verification, home};
use crate::registry::client::{self, Access, Client, ClientOptions};
use crate::registry::credentials::{CredentialError, FileKeychain};
use crate::registry::{PlainHttp, RegistryError, Repository};

/// A client with the credentials and certificates of the settings. `named` are the repositories that are asked: with
/// `--allow-http-registry`, their registries get plain HTTP.
///
/// # Errors
///
/// When the credentials, or a file or address of the client's, can't be used.
pub(super) fn client<'a, E: From<CredentialError> + From<RegistryError>>(
    config: &Verification,
    environment: &Environment,
    named: impl Iterator<Item = &'a Repository>,
    access: Access,
    deadline: Instant,
) -> Result<Client, E> {
    let env = |name: &str| environment.get(name);
    let places = home::credentials(&config.registry_config, &env);
    let keychain = FileKeychain::load(places, environment.for_programs())?;
    let mut insecure = config.insecure_registries.clone();
    if config.allow_http {
        insecure.extend(named.map(|repository| repository.registry().to_owned()));
    }
    let options = ClientOptions {
        insecure,
        extra_roots: config.registry_ca.clone(),
        certs_dirs: config.registry_certs_dirs.clone(),
        environment: client::Environment::from_variables(|name| env(name).map(Into::into)),
        requests_per_host: u32::try_from(config.jobs * 2).unwrap_or(u32::MAX),
        access,
        ..ClientOptions::new(deadline)
    };
    let keychain = keychain.over_plain_http(PlainHttp::new(&options.insecure));
    Ok(Client::new(options, Arc::new(keychain))?)
}
