//! The secret environment variables, and the environment of the programs that Stepseal starts.
//!
//! Before anything else happens, the values of secret variables are moved into memory that is wiped after use, and overwritten in the process'
//! environment. Only those of settings get into [`Sources`](super::sources::Sources), as secrets. These variables are secret: those in [`SECRET_VARIABLES`],
//! those that an `env://NAME` in an argument or in another variable names, and proxy variables with user information. Names in a
//! policy file or a `chains-config` directory are not known that early, but they are names of public keys.

use std::ffi::{OsStr, OsString};

use super::home;
use super::settings::SECRET_SETTINGS;
use super::sources::{FOREIGN_VARIABLES, is_variable};
use crate::process::{ProgramEnvironment, SecretNames};
use crate::secret::Secret;

/// A variable whose value is always secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecretVariable {
    /// The name of the variable.
    pub name: &'static str,
    /// The description of its value.
    pub holds: &'static str,
}

/// The variables whose values are always secret. Add every new variable with a password or a token here.
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

/// The variables with proxy URLs.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The system's variables that Stepseal reads.
const SYSTEM: [&str; 7] = [
    "PATH",
    home::HOME,
    "HOSTNAME",
    "NO_PROXY",
    "no_proxy",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
];

/// The prefixes of Stepseal's own variables, and of cosign's.
const OWN_PREFIXES: [&str; 2] = ["STEPSEAL_", "COSIGN_"];

/// Rules for which variables are secret.
pub(crate) fn names() -> SecretNames<'static> {
    SecretNames {
        always: SECRET_VARIABLES.each_ref().map(|variable| variable.name).to_vec(),
        flags: SECRET_SETTINGS.each_ref().map(|setting| setting.flag).to_vec(),
        proxies: &PROXIES,
        never: &|name| is_variable(name) || FOREIGN_VARIABLES.contains(&name) || SYSTEM.contains(&name),
    }
}

/// Whether this variable has a proxy URL.
pub(crate) fn is_proxy(name: &OsStr) -> bool {
    PROXIES.iter().any(|proxy| name == *proxy)
}

/// The environment for credential helpers and plugins: this process' variables without Stepseal's and cosign's variables, without secrets, and
/// without `HOME` if other steps may have written to that directory. Proxy variables keep their user information, because the programs need it.
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
    fn an_env_reference_does_not_hide_a_setting() {
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
    fn programs_get_every_variable_except_stepseals_own() {
        let all = |names: &[&str]| -> Vec<(OsString, OsString)> {
            names.iter().map(|name| (name.into(), "x".into())).collect()
        };
        let ordinary = all(&["PATH", "AWS_PROFILE", "NO_PROXY", "STEPSEAL_KEY", "COSIGN_KEY", "GOOGLE_X"]);
        let secret =
            ["COSIGN_PASSWORD", "SIGNING_KEY", "HTTPS_PROXY"].map(|name| (name.into(), Secret::new("x")));
        // This case assumes that the tests don't run in a pod.
        let programs = for_programs(ordinary, secret, &|_| None);
        let names: Vec<_> = programs.variables().map(|(name, _)| name).collect();
        assert_eq!(names, ["AWS_PROFILE", "GOOGLE_X", "NO_PROXY", "PATH", "HTTPS_PROXY"]);
        let left_out: Vec<_> = programs.left_out().collect();
        assert_eq!(left_out, ["COSIGN_KEY", "COSIGN_PASSWORD", "SIGNING_KEY", "STEPSEAL_KEY"]);
    }
}
