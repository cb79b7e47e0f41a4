//! The proxy variables: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
//!
//! This machine itself is never asked for through a proxy, as with Go's clients: a proxy elsewhere would
//! reach its own loopback. A value that is no proxy's address is an error, not "no proxy": the request
//! would go round a proxy that somebody wanted it to go through.

use reqwest::{NoProxy, Proxy};
use url::Url;

use super::error::SetupError;
use super::options::Environment;

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

fn proxy(
    name: &'static str,
    value: &str,
    make: impl Fn(Url) -> reqwest::Result<Proxy>,
) -> Result<Proxy, SetupError> {
    let refused = || SetupError::Proxy { name };
    // curl and Go take an address without a scheme for an HTTP proxy.
    let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&text).map_err(|_| refused())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refused());
    }
    make(url).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

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
