//! The setup for `sign` and `attest`: the key, the credentials, the registry client, and the stores.

use std::time::Instant;

use super::access::{self, AccessError, SigningAccess, reach};
use super::job::RuntimeError;
use super::named_by_run::RunRegistries;
use super::process::{Notices, ProcessEnvironment};
use super::registries::network;
use super::{ImageStore, SignJob, TagLocks};
use crate::cluster::{Cluster, ClusterError};
use crate::config::{Config, OciStorage};
use crate::explain::explain;
use crate::formats::Claims;
use crate::oci::Repository;
use crate::payload::{CosignStatement, Format, SimpleSigning};
use crate::place::Encoding;
use crate::registry::RegistryError;
use crate::registry::client::{Client, ClientOptions};
use crate::report::OutcomeLabel;
use crate::sign::SignError;
use crate::store::{self, Contents, Setup, Store};

/// Why the setup of a run fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignSetupError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

explain! { SignSetupError,
    Self::Access(error) => [of error],
    Self::Sign(error) => [of error],
    Self::Registry(error) => [of error],
    Self::Cluster(error) => [of error],
    Self::Runtime(error) => [of error],
}

/// The claims about images.
pub(crate) fn claims(config: &Config) -> Claims {
    Claims { identities: config.identities.clone(), annotations: config.annotations.clone() }
}

/// The payload format of image signatures in this encoding.
pub(crate) fn format(encoding: Encoding) -> fn() -> Box<dyn Format> {
    match encoding {
        Encoding::SigstoreBundle => || Box::new(CosignStatement),
        Encoding::Dsse => || Box::new(SimpleSigning),
    }
}

/// The payload format of image signatures in stores without an encoding. If both encodings are set, it is the format that Tekton Chains uses.
pub(crate) fn keyed_format(config: &Config) -> fn() -> Box<dyn Format> {
    format(config.oci.encodings.first().copied().unwrap_or(Encoding::Dsse))
}

/// The labels of image signatures in all stores.
pub(crate) fn image_labels(config: &Config) -> Vec<OutcomeLabel> {
    let elsewhere = keyed_format(config)().name();
    let labels = config.images.iter().flat_map(|store| {
        OutcomeLabel::each(OutcomeLabel::IMAGE.artifact, elsewhere, *store, &config.oci.encodings).into_iter()
    });
    let of_encoding = |label: OutcomeLabel| match label.encoding {
        Some(encoding) => OutcomeLabel { format: format(encoding)().name(), ..label },
        None => label,
    };
    labels.map(of_encoding).collect()
}

/// Sets up everything that a run needs. Unlocking the key starts here and continues in the background. The registries of `images` get plain
/// HTTP if `storage.oci.repository.insecure` is set. `annotates` says whether the run writes to the cluster.
pub(crate) async fn setup(
    config: &Config,
    environment: &dyn ProcessEnvironment,
    begun: Instant,
    images: &[impl AsRef<Repository>],
    annotates: bool,
    notices: &mut Notices<'_>,
) -> Result<SignJob, SignSetupError> {
    let deadline = begun + config.timeout;
    let SigningAccess { key, keychain, requests } =
        access::open(config, environment, deadline, notices).await?;
    environment.forget_keys();
    if config.agent.is_some() {
        // Payloads are pushed while a key is being unlocked. An agent is checked first, because it may have an unexpected key.
        key.signer().await?;
    }
    let mut options = client_options(config, environment, deadline, images);
    let repositories = images.iter().map(AsRef::as_ref);
    let named = RunRegistries::new(&config.registry, repositories, config.oci.repository.as_ref());
    named.add_to(&mut options, notices);
    named.allow_http(&mut options).await?;
    let keychain = named.keychain(keychain, &options);
    let client = Client::new(options, keychain)?;
    let cluster = if annotates {
        let reach = reach(config, environment, deadline);
        Some(Cluster::connect(&reach, &|name| environment.get(name)).await?)
    } else {
        None
    };
    let setup = Setup {
        client: &client,
        encodings: &config.oci.encodings,
        repository: config.oci.repository.as_ref(),
        tag_prefix: &config.registry.tag_prefix,
        created: config.created,
        folder: config.signatures_dir.as_deref(),
        cluster: cluster.as_ref(),
    };
    let mut signatures = store::open(Contents::Signatures, &setup);
    signatures.retain(|store| config.images.contains(&store.kind()));
    let format_in = |store: &dyn Store| store.encoding().map_or(keyed_format(config), format);
    Ok(SignJob {
        images: signatures
            .into_iter()
            .map(|store| ImageStore { format: format_in(&*store), store })
            .collect(),
        attestations: store::open(Contents::Attestations, &setup),
        client: client.clone(),
        key,
        writers: TagLocks::default(),
        jobs: config.jobs,
        recursive: config.recursive,
        deadline,
        claims: claims(config),
        cluster,
        asked: requests,
        mark_signed: config.mark_signed,
    })
}

fn client_options(
    config: &Config,
    environment: &dyn ProcessEnvironment,
    deadline: Instant,
    images: &[impl AsRef<Repository>],
) -> ClientOptions {
    ClientOptions {
        insecure: insecure(config, images),
        extra_roots: config.registry_ca.clone(),
        certs_dirs: config.registry_certs_dirs.clone(),
        environment: network(environment),
        requests_per_host: u32::try_from(config.jobs * 2).unwrap_or(u32::MAX),
        ..ClientOptions::new(deadline)
    }
}

/// The hosts that get plain HTTP: those in the settings, and those to which `storage.oci.repository.insecure` applies.
fn insecure(config: &Config, images: &[impl AsRef<Repository>]) -> Vec<String> {
    let mut hosts = config.insecure_registries.clone();
    if let OciStorage { insecure_http: true, repository, .. } = &config.oci {
        match repository {
            Some(repository) => hosts.push(repository.registry().to_owned()),
            None => hosts.extend(images.iter().map(|image| image.as_ref().registry().to_owned())),
        }
    }
    hosts
}
