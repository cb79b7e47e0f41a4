//! What was given for the registries of one run, and which addresses it is for.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use url::Url;

use super::endpoint;
use super::host_certificates::client_key;
use super::insecure::registry_name;
use super::options::NamedRegistries;
use super::setup_error::SetupError;
use crate::foreign;

/// The same as the options have it, read and checked.
pub(super) struct Named {
    /// The addresses of the registries.
    homes: Vec<Url>,
    unchecked_tls: bool,
    key: Option<Arc<CertifiedKey>>,
    server_name: Option<ServerName<'static>>,
}

impl Named {
    /// Reads the client certificate.
    ///
    /// # Errors
    ///
    /// A file that can't be used, or what is not a name.
    pub(super) fn read(given: &NamedRegistries) -> Result<Self, SetupError> {
        let mut homes = Vec::new();
        for name in &given.registries {
            // What has no address is never asked.
            homes.extend(Url::parse(&format!("https://{}/", registry_name(name)?)));
        }
        let key = given.client_certificate.as_ref();
        let key = key.map(|(certificate, key)| client_key(certificate, key)).transpose()?;
        let parsed = |name: &String| {
            let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
            let parsed = ServerName::try_from(name.to_owned());
            parsed.map_err(|_| SetupError::ServerName(foreign::escape(name, 200)))
        };
        let server_name = given.server_name.as_ref().map(parsed).transpose()?;
        Ok(Self { homes, unchecked_tls: given.unchecked_tls, key, server_name })
    }

    /// Whether the certificate of the server of `url` isn't checked: the registry's, and of a token service that it has on another port
    /// of its host. Another host may belong to anyone.
    pub(super) fn is_unchecked(&self, url: &Url) -> bool {
        self.unchecked_tls && self.homes.iter().any(|home| endpoint::same_host(home, url))
    }

    /// The client certificate for the server of `url`.
    pub(super) fn keys(&self, url: &Url) -> Option<Arc<CertifiedKey>> {
        self.key.clone().filter(|_| self.is_home(url))
    }

    /// The name that the certificate of the server of `url` must have.
    pub(super) fn server_name(&self, url: &Url) -> Option<ServerName<'static>> {
        self.server_name.clone().filter(|_| self.is_home(url))
    }

    fn is_home(&self, url: &Url) -> bool {
        self.homes.iter().any(|home| endpoint::same_origin(home, url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_for_the_registries_that_are_named() {
        let given = NamedRegistries {
            registries: vec!["Registry.example:5000".into(), "docker.io".into(), "[2001:db8::5]".into()],
            unchecked_tls: true,
            client_certificate: None,
            server_name: Some("other.example".into()),
        };
        let named = Named::read(&given).unwrap();
        for (url, is_unchecked, has_name) in [
            ("https://registry.example:5000/v2/", true, true),
            ("https://registry.example/token", true, false),
            ("https://registry.example.:5000/v2/", false, false),
            ("https://a.registry.example:5000/", false, false),
            ("https://example:5000/", false, false),
            ("https://index.docker.io/v2/", true, true),
            ("https://auth.docker.io/token", false, false),
            ("https://[2001:db8:0::5]:443/", true, true),
            ("https://storage.example/", false, false),
        ] {
            let parsed = Url::parse(url).unwrap();
            let seen = (named.is_unchecked(&parsed), named.server_name(&parsed).is_some());
            assert_eq!(seen, (is_unchecked, has_name), "{url}");
        }
        let checked = Named::read(&NamedRegistries { unchecked_tls: false, ..given.clone() }).unwrap();
        assert!(!checked.is_unchecked(&Url::parse("https://registry.example:5000/").unwrap()));
        for name in ["", "a:5000", "https://a", "a b", "*"] {
            let given = NamedRegistries { server_name: Some(name.into()), ..given.clone() };
            assert!(matches!(Named::read(&given), Err(SetupError::ServerName(_))), "{name}");
        }
        for name in ["[2001:db8::5]", "10.1.2.3", "a.example"] {
            let given = NamedRegistries { server_name: Some(name.into()), ..given.clone() };
            assert!(Named::read(&given).is_ok(), "{name}");
        }
    }
}
