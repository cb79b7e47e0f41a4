//! What of a system decides how hosts are reached: variables and files.

use std::ffi::OsString;
use std::path::PathBuf;

/// The environment variables that a network client honors, read once.
///
/// Proxy addresses may hold a password, so `Debug` shows only which are set.
#[derive(Clone, Default)]
pub struct Environment {
    /// `HTTPS_PROXY`, or `ALL_PROXY`: the variable's name and value.
    pub https_proxy: Option<(&'static str, String)>,
    /// `HTTP_PROXY`, or `ALL_PROXY`: the variable's name and value.
    pub http_proxy: Option<(&'static str, String)>,
    /// The value of `NO_PROXY`, if it is set.
    pub no_proxy: Option<String>,
    /// `SSL_CERT_FILE`: the trusted certificates, in place of the system's.
    pub ssl_cert_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: directories of trusted certificates, in place of the system's.
    pub ssl_cert_dirs: Vec<PathBuf>,
}

impl Environment {
    /// Reads the variables through `variable`, which is `std::env::var_os` outside of tests.
    ///
    /// The upper-case name goes before the lower-case one, an empty value counts as none.
    pub(crate) fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let first = |names: &[&'static str]| {
            let found = names.iter().find_map(|name| set(name).map(|value| (*name, value)));
            // Text that isn't UTF-8 is not an address; the client names the variable.
            found.map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        };
        Self {
            https_proxy: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            http_proxy: first(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            no_proxy: first(&["NO_PROXY", "no_proxy"]).map(|(_, value)| value),
            ssl_cert_file: set("SSL_CERT_FILE").map(PathBuf::from),
            ssl_cert_dirs: set("SSL_CERT_DIR")
                .map(|dirs| std::env::split_paths(&dirs).filter(|dir| !dir.as_os_str().is_empty()).collect())
                .unwrap_or_default(),
        }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("https_proxy", &self.https_proxy.as_ref().map(|(name, _)| name))
            .field("http_proxy", &self.http_proxy.as_ref().map(|(name, _)| name))
            .field("no_proxy", &self.no_proxy)
            .field("ssl_cert_file", &self.ssl_cert_file)
            .field("ssl_cert_dirs", &self.ssl_cert_dirs)
            .finish()
    }
}

/// The files that a system has in fixed places.
#[derive(Clone, Debug)]
pub struct SystemFiles {
    /// Names that need no look-up.
    pub hosts: PathBuf,
    /// The name servers and search domains.
    pub resolv_conf: PathBuf,
    /// The CA of OpenShift's services, trusted if it is there: its internal registry has such a certificate.
    pub service_ca: PathBuf,
    /// The folders with certificates of single registries that podman and docker have.
    pub certs_dirs: Vec<PathBuf>,
}

impl Default for SystemFiles {
    fn default() -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            service_ca: "/var/run/secrets/kubernetes.io/serviceaccount/service-ca.crt".into(),
            certs_dirs: vec!["/etc/containers/certs.d".into(), "/etc/docker/certs.d".into()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Environment {
        Environment::from_variables(|name| {
            set.iter().find(|(have, _)| *have == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_usual_variables_in_the_usual_order() {
        let read = read(&[
            ("https_proxy", "lower"),
            ("HTTPS_PROXY", "upper"),
            ("ALL_PROXY", "all"),
            ("NO_PROXY", ""),
            ("no_proxy", "a,b"),
            ("SSL_CERT_DIR", "/a::/b"),
        ]);
        assert_eq!(read.https_proxy, Some(("HTTPS_PROXY", "upper".into())));
        assert_eq!(read.http_proxy, Some(("ALL_PROXY", "all".into())));
        assert_eq!(read.no_proxy.as_deref(), Some("a,b"));
        assert_eq!(read.ssl_cert_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }

    #[test]
    fn debug_shows_no_proxy_password() {
        let read = read(&[("HTTPS_PROXY", "http://u:hunter2@proxy:1")]);
        assert!(!format!("{read:?}").contains("hunter2"), "{read:?}");
    }
}
