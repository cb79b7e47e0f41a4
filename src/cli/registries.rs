//! The settings of `verify`, and the client for registries that they come to: for every command that asks a registry and signs nothing.

use std::time::Instant;

use clap::ArgMatches;

use super::access::{self, AccessError};
use super::cosign_flags;
use super::environment::Environment;
use super::named_by_run::NamedByRun;
use super::output::Output;
use crate::cluster::Reach;
use crate::config::settings::VERIFY_TABLES;
use crate::config::stand_ins::annotations;
use crate::config::{ConfigError, Flags, Sources, Verification, home};
use crate::explain::explain;
use crate::flow::job::{Job, NoRuntime};
use crate::oci::Repository;
use crate::registry::RegistryError;
use crate::registry::client::{Access, Client, ClientOptions};
use crate::registry::credentials::{CredentialError, FileKeychain};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegistriesError {
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Runtime(#[from] NoRuntime),
}

explain! { RegistriesError,
    Self::Credentials(error) => [of error],
    Self::Registry(error) => [of error],
    Self::Access(error) => [of error],
    Self::Runtime(error) => [of error],
}

/// A client with the credentials and certificates of the settings. `images` are the repositories of those that are asked for: cosign's registry
/// flags are for their registries, and for that of the signatures' repository.
///
/// # Errors
///
/// When the credentials, or a file or address of the client's, can't be used.
pub(super) fn client<'a>(
    config: &'a Verification,
    environment: &Environment,
    images: impl IntoIterator<Item = &'a Repository>,
    access: Access,
    deadline: Instant,
    out: &mut Output,
) -> Result<Client, RegistriesError> {
    let env = |name: &str| environment.get(name);
    let places = home::credentials(&config.registry_config, &env);
    let mut keychain = FileKeychain::load(places, environment.for_programs())?;
    let mut options = ClientOptions {
        insecure: config.insecure_registries.clone(),
        extra_roots: config.registry_ca.clone(),
        certs_dirs: config.registry_certs_dirs.clone(),
        environment: crate::net::Environment::from_variables(|name| env(name).map(Into::into)),
        requests_per_host: u32::try_from(config.jobs * 2).unwrap_or(u32::MAX),
        access,
        ..ClientOptions::new(deadline)
    };
    let named = NamedByRun::new(&config.registry, images, config.repository.as_ref());
    named.add_to(&mut options, out);
    if config.registry.allow_http || config.registry.k8s_keychain {
        Job::start()?.run(async {
            named.allow_http(&mut options).await?;
            if config.registry.k8s_keychain {
                let folder = config.cluster_credentials.clone();
                let reach = Reach { deadline, folder, kubeconfigs: access::kubeconfigs(environment) };
                access::add_own_account(&mut keychain, &reach, environment, out).await?;
            }
            Ok::<_, RegistriesError>(())
        })?;
    }
    let keychain = named.keychain(keychain, &options);
    Ok(Client::new(options, keychain)?)
}

/// The configuration of `command`.
pub(super) fn config(
    command: &str,
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<Verification, ConfigError> {
    let sources = Sources::read(flags(matches), environment.variables())?;
    let sources = sources.with_secrets(|setting| environment.secret_setting(setting));
    Verification::new(&sources.with(cosign_flags::stand_ins(command, matches, environment)?))
}

/// The flags as text, by name.
fn flags(matches: &ArgMatches) -> Flags {
    let names = VERIFY_TABLES.iter().copied().flatten().map(|setting| setting.flag);
    let given = names.chain(["config-dir", "config"]).filter_map(|name| {
        let values: Vec<String> = matches.try_get_many::<String>(name).ok()??.cloned().collect();
        let values = match name {
            // As cosign does: `-a a=1,b=2` are two.
            "annotations" => values
                .into_iter()
                .flat_map(|value| annotations(&value).unwrap_or_else(|| vec![value]))
                .collect(),
            _ => values,
        };
        Some((name.to_owned(), values))
    });
    given.collect()
}
