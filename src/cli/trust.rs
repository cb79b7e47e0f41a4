//! Whose signature the flags of `verify-blob` accept.

use std::path::Path;
use std::time::Instant;

use clap::ArgMatches;

use super::environment::Environment;
use super::globals;
use crate::config::boolean;
use crate::flow::access;
use crate::flow::trust::{TrustFlagError, claims, material_of, public_key};
use crate::foreign;
use crate::key::{Hash, PublicKey};
use crate::verify::bundle::{IdentityPolicy, Match, Policy, Signer, TrustMaterial, WORKFLOW_CLAIMS};

/// What the flags demand of a signature.
pub(super) fn policy(matches: &ArgMatches, environment: &Environment) -> Result<Policy, TrustFlagError> {
    let mut policy = Policy::new(signer(matches, environment)?);
    // Another name of it.
    policy.ignore_tlog = switch(matches, "insecure-ignore-tlog") || switch(matches, "private-infrastructure");
    policy.ignore_sct = switch(matches, "insecure-ignore-sct");
    policy.signed_timestamps = switch(matches, "use-signed-timestamps");
    policy.allow_certificate_chain = switch(matches, "allow-certificate-chain");
    policy.hash = match matches.get_one::<String>("signature-digest-algorithm") {
        Some(text) => Some(Hash::asked(text).ok_or_else(|| TrustFlagError::Hash(foreign::escape(text, 40)))?),
        None => None,
    };
    Ok(policy)
}

/// Whose signature is accepted.
pub(super) fn signer(matches: &ArgMatches, environment: &Environment) -> Result<Signer, TrustFlagError> {
    let identity = one_of(matches, "certificate-identity", "certificate-identity-regexp")?;
    let issuer = one_of(matches, "certificate-oidc-issuer", "certificate-oidc-issuer-regexp")?;
    let workflow = WORKFLOW_CLAIMS.iter().filter_map(|(end, ..)| {
        let text = matches.get_one::<String>(&format!("certificate-github-workflow-{end}"))?;
        Some((*end, text.clone()))
    });
    let claims = claims(workflow);
    if !claims.is_empty() && identity.is_none() && issuer.is_none() {
        return Err(TrustFlagError::WorkflowOfNobody);
    }
    match (key(matches, environment)?, identity, issuer) {
        (Some(key), None, None) => Ok(Signer::Key(Box::new(key))),
        (Some(_), _, _) => Err(TrustFlagError::KeyAndIdentity),
        (None, Some(identity), Some(issuer)) => {
            Ok(Signer::Identity(IdentityPolicy { claims, ..IdentityPolicy::new(identity, issuer) }))
        }
        (None, Some(_), None) => {
            Err(TrustFlagError::Half { given: "an identity", missing: "--certificate-oidc-issuer" })
        }
        (None, None, Some(_)) => {
            Err(TrustFlagError::Half { given: "an issuer", missing: "--certificate-identity" })
        }
        (None, None, None) => Err(TrustFlagError::Nobody),
    }
}

/// The key of `--key`; `None` without the flag.
fn key(matches: &ArgMatches, environment: &Environment) -> Result<Option<PublicKey>, TrustFlagError> {
    let Some(text) = matches.get_one::<String>("key") else { return Ok(None) };
    let mut reach = access::reach_at_once(environment);
    reach.deadline = reach.deadline.min(Instant::now() + globals::time_limit(matches)?);
    public_key(text, &|name| environment.get(name), &reach).map(Some)
}

/// The trusted root of the flag, of the environment, or else Sigstore's public root in the program.
pub(super) fn material(
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<TrustMaterial, TrustFlagError> {
    let flag = matches.get_one::<String>("trusted-root").map(Path::new);
    material_of(flag, &|name| environment.get(name))
}

/// A flag, or its sibling that is an expression.
fn one_of(
    matches: &ArgMatches,
    exact: &'static str,
    regexp: &'static str,
) -> Result<Option<Match>, TrustFlagError> {
    let text = |flag| matches.get_one::<String>(flag);
    match (text(exact), text(regexp)) {
        (Some(_), Some(_)) => Err(TrustFlagError::Both(exact)),
        (Some(text), None) => Ok(Some(Match::exact(text))),
        (None, Some(text)) => {
            let matched =
                Match::regexp(text).map_err(|source| TrustFlagError::Regexp { flag: regexp, source });
            matched.map(Some)
        }
        (None, None) => Ok(None),
    }
}

/// A switch that cosign knows as `--flag`, `--flag=true` and `--flag=false`.
pub(super) fn switch(matches: &ArgMatches, flag: &str) -> bool {
    let text = matches.try_get_one::<String>(flag).ok().flatten();
    text.is_some_and(|text| boolean(text.trim()) == Some(true))
}

/// Where the trusted root in the program is from, for `--version`.
pub(super) fn built_in() -> String {
    let newest = TrustMaterial::public_good().ok().and_then(|trust| trust.newest());
    let newest = newest.map_or_else(String::new, |at| format!(" of {}", at.strftime("%Y-%m-%d")));
    format!("Sigstore public-good trusted root{newest} ({})", digest())
}

fn digest() -> String {
    let root = crate::oci::Digest::of(sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes());
    format!("sha256:{}", root.hex().get(..12).unwrap_or_default())
}
