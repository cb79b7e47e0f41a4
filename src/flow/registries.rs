//! Builds the registry client from the settings of `verify`, for every command that uses a registry and signs nothing.

use std::time::Instant;

use super::access::{self, AccessError};
use super::job::{JobRuntime, RuntimeError};
use super::named_by_run::RunRegistries;
use super::process::{Notices, ProcessEnvironment};
use crate::cluster::Reach;
use crate::config::VerifyConfig;
use crate::explain::explain;
use crate::oci::Repository;
use crate::registry::RegistryError;
use crate::registry::client::{Access, Client, ClientOptions};
use crate::registry::credentials::CredentialError;

/// Why the client can't be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistriesError {
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

explain! { RegistriesError,
    Self::Credentials(error) => [of error],
    Self::Registry(error) => [of error],
    Self::Access(error) => [of error],
    Self::Runtime(error) => [of error],
}

/// Builds a client with the credentials and certificates of the settings. cosign's registry flags apply to the registries of `images`, the
/// requested repositories, and of the signatures' repository.
///
/// # Errors
///
/// The credentials, a file or an address can't be used.
pub(crate) fn client<'a>(
    config: &'a VerifyConfig,
    environment: &dyn ProcessEnvironment,
    images: impl IntoIterator<Item = &'a Repository>,
    access: Access,
    deadline: Instant,
    notices: &mut Notices<'_>,
) -> Result<Client, RegistriesError> {
    let mut keychain = access::keychain(&config.registry_config, environment)?;
    let mut options = ClientOptions {
        insecure: config.insecure_registries.clone(),
        extra_roots: config.registry_ca.clone(),
        certs_dirs: config.registry_certs_dirs.clone(),
        environment: network(environment),
        requests_per_host: u32::try_from(config.jobs * 2).unwrap_or(u32::MAX),
        access,
        ..ClientOptions::new(deadline)
    };
    let named = RunRegistries::new(&config.registry, images, config.repository.as_ref());
    named.add_to(&mut options, notices);
    if config.registry.allow_http || config.registry.k8s_keychain {
        JobRuntime::start()?.run(async {
            named.allow_http(&mut options).await?;
            if config.registry.k8s_keychain {
                let folder = config.cluster_credentials.clone();
                let reach = Reach { deadline, folder, kubeconfigs: access::kubeconfigs(environment) };
                access::add_own_account(&mut keychain, &reach, environment, notices).await?;
            }
            Ok::<_, RegistriesError>(())
        })?;
    }
    let keychain = named.keychain(keychain, &options);
    Ok(Client::new(options, keychain)?)
}

/// The proxies and certificates that the variables name.
pub(crate) fn network(environment: &dyn ProcessEnvironment) -> crate::net::Environment {
    crate::net::Environment::from_variables(|name| environment.get(name).map(Into::into))
}
