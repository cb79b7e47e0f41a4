//! Applies cosign's registry flags to the registries of a run's images and of the signatures' repository.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::process::Notices;
use crate::config::RegistryAccess;
use crate::oci::{PlainHttp, Repository};
use crate::registry::client::{ClientOptions, NamedRegistries, without_https};
use crate::registry::credentials::FileKeychain;
use crate::registry::{Keychain, RegistryError, WithGivenLogin};

/// The most registries that a warning lists.
const SHOWN: usize = 10;

/// The repositories of a run, to which cosign's registry flags apply.
pub(crate) struct RunRegistries<'a> {
    access: &'a RegistryAccess,
    repositories: Vec<&'a Repository>,
}

impl<'a> RunRegistries<'a> {
    /// Collects the repositories of `images` and the `repository` of the signatures.
    pub(crate) fn new(
        access: &'a RegistryAccess,
        images: impl IntoIterator<Item = &'a Repository>,
        repository: Option<&'a Repository>,
    ) -> Self {
        Self { access, repositories: images.into_iter().chain(repository).collect() }
    }

    /// The registries, in lower case and without duplicates.
    fn registries(&self) -> Vec<String> {
        let names = self.repositories.iter().map(|repository| repository.registry().to_ascii_lowercase());
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Adds the flags to `options`, and warns about flags that weaken checks.
    pub(crate) fn add_to(&self, options: &mut ClientOptions, notices: &mut Notices<'_>) {
        let access = self.access;
        options.named = NamedRegistries {
            registries: self.registries(),
            unchecked_tls: access.allow_insecure,
            client_certificate: access.client_certificate.clone(),
            server_name: access.server_name.clone(),
        };
        if access.allow_insecure {
            let names = list(&self.registries());
            notices(&format!(
                "warning: --allow-insecure-registry: the TLS certificate of {names} is not checked; anyone who controls the network in between can \
                 read the credentials and change what is read and written"
            ));
        }
    }

    /// Probes each registry, and adds those without HTTPS to the plain HTTP registries of `options` if the flags allow plain HTTP.
    ///
    /// # Errors
    ///
    /// A client can't be built with the options.
    pub(crate) async fn allow_http(&self, options: &mut ClientOptions) -> Result<(), RegistryError> {
        if self.access.allow_http {
            let known = PlainHttp::new(&options.insecure);
            let open = self.repositories.iter().filter(|repository| !known.has(repository));
            let open: BTreeSet<String> =
                open.map(|repository| repository.registry().to_ascii_lowercase()).collect();
            let open: Vec<String> = open.into_iter().collect();
            let plain = without_https(options, &open).await?;
            options.insecure.extend(plain);
        }
        Ok(())
    }

    /// The keychain of a client with these options: the flags' login first, then the mounted credentials.
    pub(crate) fn keychain(&self, mounted: FileKeychain, options: &ClientOptions) -> Arc<dyn Keychain> {
        let mounted = mounted.over_plain_http(PlainHttp::new(&options.insecure));
        match &self.access.login {
            None => Arc::new(mounted),
            Some(login) => {
                Arc::new(WithGivenLogin::new(login.clone(), self.repositories.iter().copied(), mounted))
            }
        }
    }
}

fn list(names: &[String]) -> String {
    let mut shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len().checked_sub(SHOWN).filter(|more| *more > 0).map(|more| format!("{more} more"));
    shown.extend(more.as_deref());
    shown.join(", ")
}
