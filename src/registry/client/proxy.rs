//! The proxy variables: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
//!
//! This machine itself is never asked for through a proxy, as with Go's clients: a proxy elsewhere would
//! reach its own loopback. A value that is no proxy's address is an error, not "no proxy": the request
//! would go round a proxy that somebody wanted it to go through.

use reqwest::{NoProxy, Proxy};
use url::Url;
use zeroize::Zeroizing;

use super::error::SetupError;
use super::options::Environment;
use crate::secret::Secret;

/// Added to what `NO_PROXY` lists.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The proxies that the environment names.
pub(super) fn proxies(environment: &Environment) -> Result<Vec<Proxy>, SetupError> {
    let listed = environment.no_proxy.as_deref().unwrap_or_default();
    let except = NoProxy::from_string(&format!("{listed},{LOOPBACK}"));
    let mut proxies = Vec::new();
    if let Some((name, value)) = &environment.https_proxy {
        proxies.push(proxy(name, value, Proxy::https)?.no_proxy(except.clone()));
    }
    if let Some((name, value)) = &environment.http_proxy {
        proxies.push(proxy(name, value, Proxy::http)?.no_proxy(except));
    }
    Ok(proxies)
}

/// The logins for proxies: user and password, as the proxies get them.
pub(super) fn logins(environment: &Environment) -> Vec<(String, Secret)> {
    let named = [&environment.https_proxy, &environment.http_proxy];
    let login = |(_, value): &(&'static str, String)| {
        let url = Url::parse(&with_scheme(value)).ok()?;
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
        let user = String::from_utf8_lossy(&decoded(url.username())).into_owned();
        Some((user, Secret::new(decoded(url.password()?))))
    };
    named.into_iter().flatten().filter_map(login).collect()
}

/// curl and Go take an address without a scheme for an HTTP proxy.
fn with_scheme(value: &str) -> Zeroizing<String> {
    Zeroizing::new(if value.contains("://") { value.to_owned() } else { format!("http://{value}") })
}

fn proxy(
    name: &'static str,
    value: &str,
    make: impl Fn(Url) -> reqwest::Result<Proxy>,
) -> Result<Proxy, SetupError> {
    let refused = || SetupError::Proxy { name };
    let url = Url::parse(&with_scheme(value)).map_err(|_| refused())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refused());
    }
    make(url).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_as_the_proxies_get_them() {
        let https_proxy = Some(("HTTPS_PROXY", "u%40x:p%2F1234@proxy:1".to_owned()));
        let http_proxy = Some(("HTTP_PROXY", "http://proxy".to_owned()));
        let environment = Environment { https_proxy, http_proxy, ..Environment::default() };
        assert_eq!(logins(&environment), [("u@x".to_owned(), Secret::from("p/1234".to_owned()))]);
    }

    #[test]
    fn a_value_that_is_no_address_is_refused_and_not_shown() {
        for value in ["socks5://u:hunter2@proxy:1080", "http://:hunter2@", "http://u:hunter2@h:99999", "://"]
        {
            let environment =
                Environment { https_proxy: Some(("HTTPS_PROXY", value.into())), ..Environment::default() };
            let error = proxies(&environment).unwrap_err();
            assert_eq!(error.to_string(), "HTTPS_PROXY is not the address of an HTTP proxy");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
