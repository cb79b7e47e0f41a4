//! cosign's registry flags: how to access the registries of a run's images and of the signatures' repository.

use std::path::PathBuf;

use super::origin::ValueOrigin;
use super::settings::{self, Setting};
use super::{ConfigError, ConfigReader, bad};
use crate::oci::reference::is_host;
use crate::registry::keychain::{Credential, Login};
use crate::store::TagPrefix;

/// The values of cosign's registry flags.
#[derive(Debug, Default)]
pub struct RegistryAccess {
    /// Whether to use plain HTTP if a registry has no HTTPS.
    pub allow_http: bool,
    /// Whether to skip the check of TLS certificates.
    pub allow_insecure: bool,
    /// The login to try first.
    pub login: Option<Credential>,
    /// The PEM files with the client certificate and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The name that server certificates must have, instead of the host.
    pub server_name: Option<String>,
    /// Whether to also use the credentials of the pod's ServiceAccount.
    pub k8s_keychain: bool,
    /// The prefix of the tags of signatures and attestations.
    pub tag_prefix: TagPrefix,
}

impl RegistryAccess {
    /// The files that the flags name.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.client_certificate.iter().flat_map(|(certificate, key)| [certificate, key])
    }
}

impl ConfigReader<'_> {
    /// Reads the registry flags.
    pub(super) fn registry_access(&self) -> Result<RegistryAccess, ConfigError> {
        Ok(RegistryAccess {
            allow_http: self.switch(&settings::ALLOW_HTTP)?,
            allow_insecure: self.switch(&settings::ALLOW_INSECURE)?,
            login: self.login()?,
            client_certificate: self.client_certificate()?,
            server_name: self.optional(
                &settings::REGISTRY_SERVER_NAME,
                "a host name or address without a port",
                |text| is_server_name(text).then(|| text.to_owned()),
            )?,
            k8s_keychain: self.switch(&settings::K8S_KEYCHAIN)?,
            tag_prefix: self
                .optional(
                    &settings::TAG_PREFIX,
                    &format!(
                        "a tag prefix: up to {} letters, digits, _, . and -, not starting with . or -",
                        TagPrefix::MAX_BYTES
                    ),
                    TagPrefix::new,
                )?
                .unwrap_or_default(),
        })
    }

    /// Reads the login: a user with a password, or a token.
    fn login(&self) -> Result<Option<Credential>, ConfigError> {
        let user = self.last(&settings::REGISTRY_USERNAME)?;
        let password = self.0.secret(&settings::REGISTRY_PASSWORD)?;
        let token = self.0.secret(&settings::REGISTRY_TOKEN)?;
        let half = |given: &ValueOrigin, missing: &'static str, value: &'static str| {
            ConfigError::Incomplete { given: given.clone(), missing, value }
        };
        match (user, password, token) {
            (None, None, None) => Ok(None),
            (Some((_, one)), _, Some((_, other))) => Err(two_logins(one, other)),
            (None, Some((_, one)), Some((_, other))) => Err(two_logins(one.clone(), other)),
            (Some((_, origin)), None, None) => {
                Err(half(&origin, settings::REGISTRY_PASSWORD.flag, settings::REGISTRY_PASSWORD.value))
            }
            (None, Some((_, origin)), None) => {
                Err(half(origin, settings::REGISTRY_USERNAME.flag, settings::REGISTRY_USERNAME.value))
            }
            // In a login, a colon ends the user name, so the rest of the name would become the password.
            (Some((user, origin)), Some(_), None) if user.contains([':', '\n', '\r', '\0']) => {
                Err(bad(origin, &user, "a user name without a colon"))
            }
            (Some((user, origin)), Some((password, _)), None) => {
                let login = Login::Basic { user, password: password.clone() };
                Ok(Some(Credential { login, origin: origin.to_string() }))
            }
            (None, None, Some((token, origin))) => {
                let login = Login::registry_token(token.expose());
                let login = login
                    .ok_or_else(|| bad(origin.clone(), "…", "a token of letters, digits and punctuation"))?;
                Ok(Some(Credential { login, origin: origin.to_string() }))
            }
        }
    }

    /// Reads the client certificate with its key.
    fn client_certificate(&self) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
        let (certificate, key) = (&settings::REGISTRY_CLIENT_CERT, &settings::REGISTRY_CLIENT_KEY);
        let half = |origin, missing: &Setting| {
            Err(ConfigError::Incomplete { given: origin, missing: missing.flag, value: missing.value })
        };
        match (self.last(certificate)?, self.last(key)?) {
            (None, None) => Ok(None),
            (Some((_, origin)), None) => half(origin, key),
            (None, Some((_, origin))) => half(origin, certificate),
            (Some((certificate, _)), Some((key, _))) => Ok(Some((certificate.into(), key.into()))),
        }
    }
}

fn two_logins(one: ValueOrigin, other: &ValueOrigin) -> ConfigError {
    ConfigError::TwoLogins { one, other: other.clone() }
}

/// Whether a text is a host as in image names, without a port.
fn is_server_name(text: &str) -> bool {
    let has_port = text.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    !has_port && is_host(text)
}
