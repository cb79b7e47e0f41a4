//! Which registries have no HTTPS, where plain HTTP is allowed: HTTPS comes first, as in go-containerregistry, so that allowing more
//! does not take it from a registry that has it.
//!
//! Unlike there, plain HTTP never stands in for a certificate that isn't trusted: that is an error of its own. And nothing is decided by
//! which answer comes first.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::failure::Failure;
use super::{Client, ClientOptions, RegistryError, endpoint};
use crate::oci::reference::Repository;
use crate::registry::keychain::{Found, Keychain};

/// How long HTTPS may take to show itself.
const LIMIT: Duration = Duration::from_secs(5);

/// No logins.
#[derive(Debug)]
struct Nobody;

impl Keychain for Nobody {
    fn credentials<'a>(&'a self, _: &'a Repository) -> Found<'a> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Those of `registries` (`HOST[:PORT]`) at whose address nothing speaks TLS. Each is asked once, without a login.
///
/// # Errors
///
/// Only where no client can be made: a registry that can't be reached is an error when it is asked for something.
pub async fn without_https(
    options: &ClientOptions,
    registries: &[String],
) -> Result<Vec<String>, RegistryError> {
    let request_limit = options.request_limit.min(LIMIT);
    let options = ClientOptions { insecure: Vec::new(), request_limit, ..options.clone() };
    let client = Client::new(options, Arc::new(Nobody))?;
    let look = |name: &String| {
        let (client, name) = (client.clone(), name.clone());
        async move { speaks_no_tls(&client, &name).await.then_some(name) }
    };
    Ok(join_all(registries.iter().map(look)).await.into_iter().flatten().collect())
}

async fn speaks_no_tls(client: &Client, name: &str) -> bool {
    let Ok(repository) = format!("{name}/any").parse::<Repository>() else { return false };
    let Ok(request) = client.request(&repository, endpoint::root) else { return false };
    let error = match client.inner.origin.send_anywhere(&request, None).await {
        Ok(_) => return false,
        Err(error) => error,
    };
    // A proxy's failure says nothing of the registry.
    let failure = error.request().filter(|request| request.through.is_none()).map(|request| &request.failure);
    let is_plain = matches!(
        failure,
        Some(
            Failure::NotHttps
                | Failure::ConnectionRefused { .. }
                | Failure::ConnectionLost(_)
                | Failure::TimedOut { .. }
        )
    );
    tracing::debug!(registry = name, is_plain, %error, "HTTPS was asked for first");
    is_plain
}
