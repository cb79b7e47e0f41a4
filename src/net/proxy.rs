//! The proxy variables: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. One function says for each address which proxy it
//! is asked through, for registries, token services and the API server alike.
//!
//! This machine itself is never asked for through a proxy, as with Go's clients: a proxy elsewhere would
//! reach its own loopback. The names below `localhost` are this machine too, as `dns.rs` looks them up. A value that is not a
//! proxy's address is an error for each address that it is for, not "no proxy": the request would go round a proxy that somebody wanted it to go
//! through. A value that nothing needs does no harm.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::dns::is_localhost;
use super::no_proxy::NoProxy;
use super::{Environment, host, origin};
use crate::explain::explain;
use crate::secret::Secret;

/// The proxies that the environment names, and what is asked directly.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    except: NoProxy,
    /// The origins to which a proxy has led on.
    led: Mutex<HashSet<String>>,
}

/// What a variable names: a proxy, or nothing that can be one.
type Named = Result<Arc<Proxy>, NotAProxy>;

/// A proxy that a request went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThroughProxy {
    /// The variable that names it.
    pub variable: &'static str,
    /// Its address, without user and password.
    pub address: String,
}

/// A proxy variable's value that is not the address of an HTTP proxy. It isn't shown, as it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {}", not_a_proxy(*.is_socks))]
pub struct NotAProxy {
    /// The variable that names the proxy.
    pub variable: &'static str,
    /// Whether it names a SOCKS proxy.
    pub is_socks: bool,
}

fn not_a_proxy(is_socks: bool) -> &'static str {
    match is_socks {
        true => "names a SOCKS proxy, which is not supported",
        false => "is not the address of an HTTP proxy",
    }
}

explain! { NotAProxy,
    Self { variable, .. } => ["proxy-address", Usage,
        "set {variable} to the address of an HTTP proxy, http://HOST:PORT, or unset it, or put the registry into NO_PROXY; \
         special characters in a user's name or a password are percent-encoded there (@ is %40, / is %2F)"],
}

/// A proxy. `Debug` shows neither its user nor its password.
pub(crate) struct Proxy {
    /// The variable that names it.
    pub(crate) variable: &'static str,
    url: Url,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("variable", &self.variable).field("at", &self.address()).finish()
    }
}

impl Proxies {
    /// Reads the proxies from the variables.
    pub(crate) fn new(environment: &Environment) -> Self {
        let read = |named: &Option<(&'static str, String)>| {
            named.as_ref().map(|(name, value)| Proxy::read(name, value).map(Arc::new))
        };
        Self {
            https: read(&environment.https_proxy),
            http: read(&environment.http_proxy),
            except: environment.no_proxy.as_deref().map(NoProxy::read).unwrap_or_default(),
            led: Mutex::default(),
        }
    }

    /// The proxy that `url` is asked through; `None`: it is asked directly.
    ///
    /// # Errors
    ///
    /// It would be asked through a proxy, and what is named is not the address of an HTTP proxy.
    pub(crate) fn of(&self, url: &Url) -> Result<Option<&Arc<Proxy>>, NotAProxy> {
        let named = match url.scheme() {
            "https" => self.https.as_ref(),
            "http" => self.http.as_ref(),
            _ => None,
        };
        match named.filter(|_| !is_this_machine(url) && !self.except.names(url)) {
            None => Ok(None),
            Some(Ok(proxy)) => Ok(Some(proxy)),
            Some(Err(refused)) => Err(*refused),
        }
    }

    /// The same where an address that can't be used has been an error already.
    pub(crate) fn used(&self, url: &Url) -> Option<&Arc<Proxy>> {
        self.of(url).ok().flatten()
    }

    /// Notes that a proxy has led on to the server of `url`.
    pub(crate) fn note_led(&self, url: &Url) {
        self.led().insert(origin(url).to_owned());
    }

    /// The proxy that has yet to lead on to the server of `url`: a timeout counts as its fault.
    pub(crate) fn not_led_yet(&self, url: &Url) -> Option<&Arc<Proxy>> {
        self.used(url).filter(|_| !self.led().contains(origin(url)))
    }

    fn led(&self) -> MutexGuard<'_, HashSet<String>> {
        self.led.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

impl Proxy {
    fn read(variable: &'static str, value: &str) -> Result<Self, NotAProxy> {
        let is_socks = value.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("socks"));
        let refused = NotAProxy { variable, is_socks: is_socks && value.contains("://") };
        let url = Url::parse(&with_scheme(value)).map_err(|_| refused)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refused);
        }
        Ok(Self { variable, url })
    }

    /// The proxy in messages: address and variable.
    pub(crate) fn told(&self) -> ThroughProxy {
        ThroughProxy { variable: self.variable, address: self.address() }
    }

    /// Its address with the user and the password.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// `SCHEME://HOST[:PORT]`: its address as it may be shown.
    pub(crate) fn address(&self) -> String {
        format!("{}://{}", self.url.scheme(), host(&self.url))
    }

    /// The address to connect to.
    pub(crate) fn uri(&self) -> Result<Uri, http::uri::InvalidUri> {
        self.address().parse()
    }

    /// The value of `Proxy-Authorization`, if the address has a user.
    pub(crate) fn login(&self) -> Option<HeaderValue> {
        login(self.url.username(), self.url.password())
    }
}

/// The header for the user and the password of a proxy's address, percent-encoded as they are there.
pub(crate) fn login(user: &str, password: Option<&str>) -> Option<HeaderValue> {
    if user.is_empty() && password.is_none() {
        return None;
    }
    let decoded = |text: &str| Zeroizing::new(percent_decode_str(text).collect::<Vec<u8>>());
    let login = [decoded(user).as_slice(), b":", decoded(password.unwrap_or_default()).as_slice()].concat();
    let login = Zeroizing::new(STANDARD.encode(&*Zeroizing::new(login)));
    let mut header = HeaderValue::from_str(&Zeroizing::new(format!("Basic {}", *login))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The logins for proxies: user and password, as the proxies get them.
pub(crate) fn logins(environment: &Environment) -> Vec<(String, Secret)> {
    let named = [&environment.https_proxy, &environment.http_proxy];
    let login = |(_, value): &(&'static str, String)| {
        let url = Url::parse(&with_scheme(value)).ok()?;
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let user = String::from_utf8_lossy(&decoded(url.username())).into_owned();
        Some((user, Secret::new(decoded(url.password()?))))
    };
    named.into_iter().flatten().filter_map(login).collect()
}

/// curl and Go take an address without a scheme for an HTTP proxy.
fn with_scheme(value: &str) -> Zeroizing<String> {
    Zeroizing::new(if value.contains("://") { value.to_owned() } else { format!("http://{value}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::Explain as _;

    fn environment(https: &str, http: &str, no_proxy: &str) -> Environment {
        Environment {
            https_proxy: Some(("HTTPS_PROXY", https.to_owned())),
            http_proxy: Some(("HTTP_PROXY", http.to_owned())),
            no_proxy: Some(no_proxy.to_owned()),
            ..Environment::default()
        }
    }

    #[test]
    fn logins_are_as_the_proxies_get_them() {
        let environment = environment("u%40x:p%2F1234@proxy:1", "http://proxy", "");
        assert_eq!(logins(&environment), [("u@x".to_owned(), Secret::from("p/1234".to_owned()))]);
        let header = |url: &str| Proxy::read("HTTPS_PROXY", url).unwrap().login();
        assert_eq!(header("http://ci:p%40ss@proxy:1").unwrap(), "Basic Y2k6cEBzcw==");
        assert_eq!(header("ci@proxy:1").unwrap(), "Basic Y2k6");
        assert_eq!(header("http://proxy:1"), None);
        assert_eq!(format!("{:?}", header("http://ci:p%40ss@proxy:1").unwrap()), "Sensitive");
    }

    #[test]
    fn a_value_that_is_no_address_is_refused_and_not_shown() {
        for value in [
            "socks5://u:hunter2@proxy:1080",
            "SOCKS5H://proxy",
            "http://:hunter2@",
            "http://u:hunter2/p#@proxy:1",
            "http://u:hunter2@h:99999",
            "://",
        ] {
            let proxies = Proxies::new(&environment(value, "http://proxy", "direct.example"));
            let of = |url: &str| proxies.of(&Url::parse(url).unwrap());
            let error = of("https://r.example/").unwrap_err();
            let want = match value.to_ascii_lowercase().starts_with("socks") {
                true => "HTTPS_PROXY names a SOCKS proxy, which is not supported",
                false => "HTTPS_PROXY is not the address of an HTTP proxy",
            };
            assert_eq!(error.to_string(), want);
            let hint = error.hint().unwrap();
            assert!(hint.contains("percent-encoded"), "{hint}");
            assert!(!format!("{error:?} {proxies:?} {hint}").contains("hunter2"));
            // Where nothing would go through it, it does no harm.
            for direct in ["https://direct.example/", "https://127.0.0.1:5000/"] {
                assert!(of(direct).unwrap().is_none(), "{value} {direct}");
            }
            assert_eq!(of("http://r.example/").unwrap().unwrap().address(), "http://proxy");
        }
        let proxies = Proxies::new(&environment("http://u:hunter2@proxy:1", "http://proxy", ""));
        assert!(!format!("{proxies:?}").contains("hunter2"), "{proxies:?}");
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_has_none() {
        let proxies = Proxies::new(&environment("secure:1", "https://plain", "a.example"));
        let of = |url: &str| proxies.of(&Url::parse(url).unwrap()).unwrap().map(|proxy| proxy.address());
        assert_eq!(of("https://r.example/v2/").as_deref(), Some("http://secure:1"));
        assert_eq!(of("http://r.example:443/").as_deref(), Some("https://plain"));
        for direct in [
            "https://a.example/",
            "https://localhost/",
            "http://LOCALHOST:5000/",
            "https://localhost./",
            "https://registry.localhost/",
            "http://127.0.0.1/",
            "http://127.9.9.9:1/",
            "http://[::1]:1/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert_eq!(of(direct), None, "{direct}");
        }
        for proxied in
            ["https://localhost.net/", "http://[::2]/", "http://128.0.0.1/", "https://127.0.0.1.example/"]
        {
            assert!(of(proxied).is_some(), "{proxied}");
        }
        let one = Environment { no_proxy: None, http_proxy: None, ..environment("secure:1", "", "") };
        assert!(Proxies::new(&one).of(&Url::parse("http://r.example/").unwrap()).unwrap().is_none());
    }
}
