//! cosign's flags that ask for what isn't done with a key alone: refused with the reason, so that nothing is claimed that wasn't done.

use clap::ArgMatches;

use crate::cli::own_flags::OwnFlags;
use crate::config::{ConfigError, ValueOrigin};

/// What a flag asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// A certificate for an identity.
    Certificate,
    /// An entry in a transparency log, or the services that a signing configuration lists.
    Log,
    /// A timestamp of an authority.
    Timestamp,
    /// A key on a token.
    Token,
}

impl Wants {
    /// Why it is refused.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Certificate => "there is no certificate: this version signs with a key alone",
            Self::Log => "nothing is uploaded to a transparency log, and no service of Sigstore's is asked",
            Self::Timestamp => "no timestamp authority is asked",
            Self::Token => "no hardware token is used",
        }
    }

    /// What to do.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Certificate => "leave it out, and give --key; verifiers need the public key",
            Self::Log => {
                "leave it out (--tlog-upload=false and --use-signing-config=false are accepted), and verify with --insecure-ignore-tlog"
            }
            Self::Timestamp => "leave it out; a signature by a key needs no timestamp",
            Self::Token => "leave it out, and give --key FILE, env://NAME or k8s://NAMESPACE/NAME",
        }
    }
}

/// Those with a value.
const VALUES: [(&str, Wants); 23] = [
    ("certificate", Wants::Certificate),
    ("certificate-chain", Wants::Certificate),
    ("output-certificate", Wants::Certificate),
    ("fulcio-url", Wants::Certificate),
    ("fulcio-auth-flow", Wants::Certificate),
    ("identity-token", Wants::Certificate),
    ("oidc-issuer", Wants::Certificate),
    ("oidc-client-id", Wants::Certificate),
    ("oidc-client-secret-file", Wants::Certificate),
    ("oidc-redirect-url", Wants::Certificate),
    ("oidc-provider", Wants::Certificate),
    ("rekor-url", Wants::Log),
    ("rekor-entry-type", Wants::Log),
    ("signing-config", Wants::Log),
    ("trusted-root", Wants::Log),
    ("slot", Wants::Token),
    ("timestamp-server-url", Wants::Timestamp),
    ("timestamp-server-name", Wants::Timestamp),
    ("timestamp-client-cacert", Wants::Timestamp),
    ("timestamp-client-cert", Wants::Timestamp),
    ("timestamp-client-key", Wants::Timestamp),
    ("rfc3161-timestamp", Wants::Timestamp),
    ("rfc3161-timestamp-bundle", Wants::Timestamp),
];

/// Those that are refused when they are on.
const SWITCHES: [(&str, Wants); 6] = [
    ("tlog-upload", Wants::Log),
    ("use-signing-config", Wants::Log),
    ("issue-certificate", Wants::Certificate),
    ("insecure-skip-verify", Wants::Certificate),
    ("oidc-disable-ambient-providers", Wants::Certificate),
    ("sk", Wants::Token),
];

/// The first flag, or variable in its place, that asks for what isn't done.
///
/// # Errors
///
/// One is blank, or neither true nor false.
pub(super) fn find(
    matches: &ArgMatches,
    flags: &OwnFlags<'_>,
) -> Result<Option<(ValueOrigin, Wants)>, ConfigError> {
    // A variable counts for the commands that have its flag.
    let has = |flag: &str| matches.try_contains_id(flag).is_ok();
    for (flag, wants) in VALUES.into_iter().filter(|(flag, _)| has(flag)) {
        if let Some((_, origin)) = flags.values(flag)?.pop() {
            return Ok(Some((origin, wants)));
        }
    }
    for (flag, wants) in SWITCHES.into_iter().filter(|(flag, _)| has(flag)) {
        if flags.switch(flag)? == Some(true)
            && let Some((_, origin)) = flags.values(flag)?.pop()
        {
            return Ok(Some((origin, wants)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;
    use crate::config::settings::KEY_SETTINGS;

    /// Otherwise it would be accepted, and do nothing.
    #[test]
    fn every_hidden_flag_has_a_reason_or_a_meaning() {
        let command = args::command();
        for name in ["sign-blob", "attest-blob"] {
            let command = command.find_subcommand(name).unwrap();
            for arg in command.get_arguments().filter(|arg| arg.is_hide_set()) {
                let flag = arg.get_long().unwrap();
                let is_setting = KEY_SETTINGS.iter().any(|setting| setting.flag == flag);
                let known = VALUES.iter().chain(&SWITCHES).any(|(known, _)| *known == flag);
                assert!(known || is_setting || flag == "yes", "{name} --{flag}");
            }
        }
        for (flag, _) in VALUES.iter().chain(&SWITCHES) {
            let has = |name: &str| {
                let command = command.find_subcommand(name).unwrap();
                command.get_arguments().any(|arg| arg.get_long() == Some(flag))
            };
            assert!(has("sign-blob") || has("attest-blob"), "--{flag}");
        }
    }
}
