//! The environment variables that are secret, and the variables that programs which Stepseal starts get.
//!
//! The values of secret variables are taken into memory that is wiped and overwritten in the process' environment before anything
//! else happens. Only those of settings get into [`Sources`](super::sources::Sources), as secrets. Secret are the variables of [`SECRET_VARIABLES`], those
//! that an `env://NAME` in an argument or in another variable names, and proxy variables with user information. A name that only a
//! policy file or a `chains-config` directory has can't be known that early; such names are those of public keys.

use std::ffi::{OsStr, OsString};

use super::home;
use super::settings::SECRET_SETTINGS;
use super::sources::{FOREIGN_VARIABLES, is_variable};
use crate::process::{ProgramEnvironment, SecretNames};
use crate::secret::Secret;

/// A variable that is secret whenever it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecretVariable {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: &'static str,
}

/// The variables that are secret whenever they are set. A new variable with a password or a token gets a line here.
pub(crate) const SECRET_VARIABLES: [SecretVariable; 8] = [
    SecretVariable { name: "COSIGN_PASSWORD", holds: "the password of the signing key" },
    SecretVariable { name: "STEPSEAL_SIGNERS_KMS_AUTH_TOKEN", holds: "the token of a key service" },
    SecretVariable { name: "STEPSEAL_REGISTRY_PASSWORD", holds: "the password of a registry" },
    SecretVariable { name: "STEPSEAL_REGISTRY_TOKEN", holds: "the token of a registry" },
    SecretVariable { name: "COSIGN_REGISTRY_PASSWORD", holds: "the password of a registry" },
    SecretVariable { name: "COSIGN_REGISTRY_TOKEN", holds: "the token of a registry" },
    SecretVariable { name: "COSIGN_IDENTITY_TOKEN", holds: "cosign's identity token" },
    SecretVariable { name: "SIGSTORE_ID_TOKEN", holds: "an identity token for Sigstore" },
];

/// The variables with the address of a proxy.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The system's variables that are read.
const SYSTEM: [&str; 7] = [
    "PATH",
    home::HOME,
    "HOSTNAME",
    "NO_PROXY",
    "no_proxy",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
];

/// What the names of our own variables begin with, and of those that are read because cosign reads them.
const OWN_PREFIXES: [&str; 2] = ["STEPSEAL_", "COSIGN_"];

/// Which variables are secret.
pub(crate) fn names() -> SecretNames<'static> {
    SecretNames {
        always: SECRET_VARIABLES.each_ref().map(|variable| variable.name).to_vec(),
        flags: SECRET_SETTINGS.each_ref().map(|setting| setting.flag).to_vec(),
        proxies: &PROXIES,
        never: &|name| is_variable(name) || FOREIGN_VARIABLES.contains(&name) || SYSTEM.contains(&name),
    }
}

/// Whether this variable has the address of a proxy.
pub(crate) fn is_proxy(name: &OsStr) -> bool {
    PROXIES.iter().any(|proxy| name == *proxy)
}

/// What credential helpers and plugins get of the variables of this process: all but our own, the secrets, and, where other steps
/// may have written to that folder, `HOME`. Proxies are passed on with their user information, because those programs need them.
pub(crate) fn for_programs(
    ordinary: impl IntoIterator<Item = (OsString, OsString)>,
    secret: impl IntoIterator<Item = (OsString, Secret)>,
    env: &dyn Fn(&str) -> Option<String>,
) -> ProgramEnvironment {
    let (ordinary, secret): (Vec<_>, Vec<_>) = (ordinary.into_iter().collect(), secret.into_iter().collect());
    let is_own = |name: &OsStr| {
        let name = name.to_string_lossy();
        OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut left_out: Vec<OsString> =
        ordinary.iter().map(|(name, _)| name).filter(|name| is_own(name)).cloned().collect();
    left_out.extend(secret.iter().map(|(name, _)| name).filter(|name| !is_proxy(name)).cloned());
    if let Some(why) = home::unfit_for_programs(env) {
        tracing::debug!(why, "HOME is not passed on to credential helpers and plugins");
        left_out.push(home::HOME.into());
    }
    ProgramEnvironment::new(ordinary, secret, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_reference_hides_no_setting() {
        let never = names().never;
        for name in [
            "STEPSEAL_ALLOW",
            "STEPSEAL_STORAGE_OCI_REPOSITORY",
            "SSL_CERT_FILE",
            "PATH",
            home::HOME,
            "HTTPS_PROXY",
        ] {
            assert!(never(name), "{name}");
        }
        for name in ["SIGNING_KEY", "STEPSEAL_PEM", "COSIGN_PRIVATE_KEY"] {
            assert!(!never(name), "{name}");
        }
    }

    #[test]
    fn programs_get_everything_but_what_is_ours() {
        let all = |names: &[&str]| -> Vec<(OsString, OsString)> {
            names.iter().map(|name| (name.into(), "x".into())).collect()
        };
        let ordinary = all(&["PATH", "AWS_PROFILE", "NO_PROXY", "STEPSEAL_KEY", "COSIGN_KEY", "GOOGLE_X"]);
        let secret =
            ["COSIGN_PASSWORD", "SIGNING_KEY", "HTTPS_PROXY"].map(|name| (name.into(), Secret::new("x")));
        // Not in a pod, unless these tests are.
        let programs = for_programs(ordinary, secret, &|_| None);
        let names: Vec<_> = programs.variables().map(|(name, _)| name).collect();
        assert_eq!(names, ["AWS_PROFILE", "GOOGLE_X", "NO_PROXY", "PATH", "HTTPS_PROXY"]);
        let left_out: Vec<_> = programs.left_out().collect();
        assert_eq!(left_out, ["COSIGN_KEY", "COSIGN_PASSWORD", "SIGNING_KEY", "STEPSEAL_KEY"]);
    }
}
