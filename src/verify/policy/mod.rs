//! A policy: for patterns of images, who must have signed and attested what.
//!
//! It is one YAML file. An image passes when it passes every rule whose pattern matches it, and one does; so the
//! order of rules means nothing, and a forgotten image fails. Whatever the reader doesn't know is an error that names
//! its location: a misspelled requirement must not be ignored.

pub mod age;
mod max_age;
mod node;
pub mod schema;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::attestation_type;
use super::bundle::{ExpressionError, Expressions, IdentityPolicy, Match, ROOTS, TrustMaterial, Waivers};
use super::checks::Check;
use super::judge::{Demands, Good, Verdict};
use super::require::Require;
use super::trust::{self, Accepted, Signer, Trust};
use crate::explain::explain;
use crate::foreign;
use crate::key::PublicKey;
use crate::oci::{Pattern, Repository};
use age::Age;
pub use max_age::MaxAge;
use node::Node;

/// The largest policy file.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its rules.
    pub rules: Vec<Rule>,
    /// The files of trusted roots; none: the usual one.
    pub trusted_roots: Vec<RootFile>,
}

/// A file with trusted roots, and what of it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFile {
    /// Its place, as it is written.
    pub file: String,
    /// The host of the only certificate authority in it that counts; `None`: every authority.
    pub authority: Option<String>,
    /// What its signatures need not have.
    pub waivers: Waivers,
}

/// What images of some repositories need.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name that the input has.
    pub name: String,
    images: Vec<Pattern>,
    /// Everything that an image needs.
    pub needs: Vec<Need>,
}

/// Signatures, or attestations of one type.
#[derive(Clone, Debug)]
pub struct Need {
    /// Whose count, and what they must be.
    pub check: Check,
    /// How many different signers there must be.
    pub at_least: usize,
    /// How old they may be; `None`: as old as they are.
    pub max_age: Option<MaxAge>,
    /// Whether the rule itself says that a log entry is needed, so that no trusted root waives it.
    pub log_always: bool,
}

/// Why a policy can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It is too large to be one.
    #[error("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The file is not valid YAML.
    #[error("it is not YAML: {0}")]
    Yaml(String),
    /// Something in it is wrong.
    #[error("{place}: {what}")]
    Place {
        /// The location in the policy file.
        place: String,
        /// What.
        what: String,
    },
}

explain! { PolicyError,
    _ => ["policy-malformed", Usage, "correct the policy; docs/policy.md lists what it may hold"],
}

/// Reads the public key at a place that a policy names.
pub(crate) type KeyReader<'a> = &'a dyn Fn(&str) -> Result<PublicKey, String>;

impl Policy {
    /// Reads a policy; keys that it names by their place are read with `read_key`.
    ///
    /// # Errors
    ///
    /// The first thing in it that isn't as it has to be.
    pub fn read(bytes: &[u8], read_key: KeyReader<'_>) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_BYTES {
            return Err(PolicyError::TooLarge);
        }
        let yaml = |error: serde_saphyr::Error| {
            PolicyError::Yaml(foreign::escape(&error.without_snippet().to_string(), 400))
        };
        let value: Value = serde_saphyr::from_slice(bytes).map_err(yaml)?;
        let root = Node::root(&value)?;
        let version = root.need("version")?;
        if version.number() != 1 {
            return Err(version.wrong("this version reads policies of version 1"));
        }
        let signers = signers(&root.need("signers")?, read_key)?;
        let rules = root.need("rules")?.items()?;
        let rules = rules.iter().map(|node| rule(node, &signers)).collect::<Result<Vec<_>, _>>()?;
        let mut names = BTreeSet::new();
        if let Some(twice) = rules.iter().find(|rule| !names.insert(&rule.name)) {
            return Err(root.need("rules")?.wrong(format!("two rules have the name {:?}", twice.name)));
        }
        let mut policy = Self { rules, trusted_roots: trusted_roots(&root)? };
        // One for all: a signer whom different rules believe for the same reasons is verified once.
        policy.believe(&Arc::new(TrustMaterial::none()));
        Ok(policy)
    }

    /// The places of keys that the policy in `bytes` names, and the files of its trusted roots. What is wrong with it,
    /// [`read`](Self::read) says.
    pub fn places(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
        let value: Option<Value> =
            (bytes.len() <= MAX_BYTES).then(|| serde_saphyr::from_slice(bytes).ok()).flatten();
        let value = value.unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let signers = value.get("signers").and_then(Value::as_object).into_iter().flatten();
        let keys = signers.filter_map(|(_, signer)| signer.get("key").and_then(text));
        let roots = value.get("trustedRoots").and_then(Value::as_array).into_iter().flatten();
        let files = roots.filter_map(|root| root.get("file")).chain(value.get("trustedRoot"));
        (keys.collect(), files.filter_map(text).collect())
    }

    /// Whether anything of it asks for logs, authorities or times, so that a trusted root is needed.
    pub(crate) fn needs_trusted_root(&self) -> bool {
        let mut needs = self.rules.iter().flat_map(|rule| &rule.needs);
        needs.any(|need| {
            let mut signers = need.check.trust.signers.iter();
            need.max_age.is_some()
                || signers.any(|one| {
                    one.log_required || one.timestamp_required || matches!(one.signer, Signer::Identity(_))
                })
        })
    }

    /// Lets all of it believe the logs and authorities in `material`.
    pub(crate) fn believe(&mut self, material: &Arc<TrustMaterial>) {
        let demanding = Arc::new(material.demanding_log());
        for need in self.rules.iter_mut().flat_map(|rule| &mut rule.needs) {
            need.check.trust.material = Arc::clone(if need.log_always { &demanding } else { material });
        }
    }

    /// The rules for images of `repository`, whatever its spelling; `plain_http`: its registry is spoken to over plain HTTP,
    /// so that patterns with port 80 and without a port both match it.
    pub(crate) fn rules_for(
        &self,
        repository: &Repository,
        plain_http: bool,
    ) -> impl Iterator<Item = &Rule> + use<'_> {
        let names = repository.canonical_names(plain_http);
        let matches = move |pattern: &Pattern| names.iter().any(|name| pattern.allows(name));
        self.rules.iter().filter(move |rule| rule.images.iter().any(&matches))
    }
}

/// The trusted roots: one, or a list.
fn trusted_roots(root: &Node<'_>) -> Result<Vec<RootFile>, PolicyError> {
    let one = root.get("trustedRoot")?;
    let Some(several) = root.get("trustedRoots")? else {
        let whole = |node: Node<'_>| RootFile {
            file: node.text().to_owned(),
            authority: None,
            waivers: Waivers::default(),
        };
        return Ok(one.map(whole).into_iter().collect());
    };
    if let Some(one) = one {
        return Err(one.wrong("there is trustedRoots too: list this file there"));
    }
    let items = several.items()?;
    if items.len() > ROOTS {
        return Err(several.wrong(format!("there are more than {ROOTS}")));
    }
    let demanded = |node: &Node<'_>, name: &str| {
        Ok::<_, PolicyError>(node.get(name)?.is_none_or(|switch| switch.is_true()))
    };
    let file = |node: &Node<'_>| {
        Ok(RootFile {
            file: node.need("file")?.text().to_owned(),
            authority: node.get("authority")?.map(|node| node.text().to_owned()),
            waivers: Waivers { sct: !demanded(node, "sct")?, log: !demanded(node, "log")? },
        })
    };
    items.iter().map(file).collect()
}

fn signers(node: &Node<'_>, read_key: KeyReader<'_>) -> Result<BTreeMap<String, Signer>, PolicyError> {
    let mut all: BTreeMap<String, Signer> = BTreeMap::new();
    let mut names: HashMap<String, String> = HashMap::new();
    let mut expressions = Expressions::default();
    for (name, node) in node.named()? {
        let signer = signer(&node, read_key, &mut expressions)?;
        if let Some(other) = names.insert(trust::identified(&signer), name.clone()) {
            // Two names for one key would pass for two signers.
            return Err(node.wrong(format!("it is the same signer as {other:?}")));
        }
        all.insert(name, signer);
    }
    Ok(all)
}

fn signer(
    node: &Node<'_>,
    read_key: KeyReader<'_>,
    expressions: &mut Expressions,
) -> Result<Signer, PolicyError> {
    let names = ["key", "publicKey", "identity", "identityRegexp", "issuer", "issuerRegexp"];
    let [key, pem, identity, identity_regexp, issuer, issuer_regexp] = {
        let mut found = [const { None }; 6];
        for (slot, name) in found.iter_mut().zip(names) {
            *slot = node.get(name)?;
        }
        found
    };
    let any_identity = [&identity, &identity_regexp, &issuer, &issuer_regexp].iter().any(|one| one.is_some());
    match (key, pem) {
        (Some(place), None) if !any_identity => {
            let key = read_key(place.text()).map_err(|why| place.wrong(why))?;
            Ok(Signer::Key(Box::new(key)))
        }
        (None, Some(pem)) if !any_identity => {
            let key = PublicKey::from_pem(pem.text())
                .map_err(|error| pem.wrong(format!("cannot use the public key: {error}")))?;
            Ok(Signer::Key(Box::new(key)))
        }
        (None, None) if any_identity => {
            let identity =
                one_of(node, identity.as_ref(), identity_regexp.as_ref(), "identity", expressions)?;
            let issuer = one_of(node, issuer.as_ref(), issuer_regexp.as_ref(), "issuer", expressions)?;
            Ok(Signer::Identity(IdentityPolicy::new(identity, issuer)))
        }
        _ => Err(node.wrong("a signer is one of key, publicKey, or an identity with its issuer")),
    }
}

/// A text or the expression in its place; exactly one of them must be there.
fn one_of(
    node: &Node<'_>,
    exact: Option<&Node<'_>>,
    regexp: Option<&Node<'_>>,
    name: &str,
    expressions: &mut Expressions,
) -> Result<Match, PolicyError> {
    match (exact, regexp) {
        (Some(text), None) => Ok(Match::exact(text.text())),
        (None, Some(text)) => Match::regexp_of(expressions, text.text()).map_err(|error| match error {
            ExpressionError::Syntax(_) | ExpressionError::Empty => {
                text.wrong(format!("it is no regular expression: {error}"))
            }
            other => text.wrong(other.to_string()),
        }),
        _ => Err(node.wrong(format!("an identity needs one of {name} and {name}Regexp"))),
    }
}

fn rule(node: &Node<'_>, signers: &BTreeMap<String, Signer>) -> Result<Rule, PolicyError> {
    let mut images = Vec::new();
    for pattern in node.need("images")?.items()? {
        images.push(pattern.text().parse::<Pattern>().map_err(|error| pattern.wrong(error.to_string()))?);
    }
    let mut needs = Vec::new();
    if let Some(signature) = node.get("signature")? {
        let mut annotations = BTreeMap::new();
        if let Some(node) = signature.get("annotations")? {
            for (key, value) in node.named()? {
                annotations.insert(key, value.text().to_owned());
            }
        }
        needs.push(need(&signature, signers, Demands { annotations, ..Demands::default() })?);
    }
    for attestation in node.get("attestations")?.map(|node| node.items()).transpose()?.unwrap_or_default() {
        let kind = attestation.need("type")?;
        let uri = attestation_type::uri(kind.text()).map_err(|error| kind.wrong(error.to_string()))?;
        let mut demands = Demands { predicate_type: Some(uri), ..Demands::default() };
        for text in attestation.get("require")?.map(|node| node.items()).transpose()?.unwrap_or_default() {
            let require = text.text().parse::<Require>();
            demands.requires.push(require.map_err(|error| text.wrong(error.to_string()))?);
        }
        needs.push(need(&attestation, signers, demands)?);
    }
    if needs.is_empty() {
        return Err(node.wrong("it demands nothing: there is neither signature nor attestations"));
    }
    Ok(Rule { name: node.need("name")?.text().to_owned(), images, needs })
}

fn need(node: &Node<'_>, signers: &BTreeMap<String, Signer>, demands: Demands) -> Result<Need, PolicyError> {
    let log = node.get("log")?.map(|node| node.is_true());
    let timestamp = node.get("timestamp")?.is_some_and(|node| node.is_true());
    let mut accepted: Vec<Accepted> = Vec::new();
    let mut seen = HashSet::new();
    for name in node.need("by")?.items()? {
        let text = name.text();
        let signer =
            signers.get(text).ok_or_else(|| name.wrong(format!("{text:?} is no name of a signer")))?;
        if !seen.insert(text) {
            return Err(name.wrong(format!("{text:?} stands twice")));
        }
        accepted.push(Accepted {
            name: text.to_owned(),
            log_required: log.unwrap_or(!matches!(signer, Signer::Key(_))),
            timestamp_required: timestamp,
            ignore_sct: false,
            allow_certificate_chain: false,
            hash: None,
            signer: signer.clone(),
        });
    }
    let at_least = node.get("atLeast")?;
    let keys_only = accepted.iter().all(|one| matches!(one.signer, Signer::Key(_)));
    if let Some(number) = &at_least
        && keys_only
        && number.number() > accepted.len()
    {
        return Err(number.wrong(format!("there are only {} signers to choose from", accepted.len())));
    }
    Ok(Need {
        check: Check {
            trust: Trust { signers: accepted, material: Arc::new(TrustMaterial::none()) },
            demands,
        },
        at_least: at_least.map_or(1, |node| node.number()),
        max_age: node.get("maxAge")?.map(|node| MaxAge::new(node.text(), node.duration())),
        log_always: log == Some(true),
    })
}

impl Need {
    /// Why `verdict` doesn't fulfill it; `None`: it does.
    pub(crate) fn unmet(&self, verdict: &Verdict, now: jiff::Timestamp) -> Option<Unmet> {
        let mut ages = Vec::new();
        let mut who = BTreeSet::new();
        for good in &verdict.good {
            match self.age(good, now) {
                Ok(_) => {
                    who.insert(&good.by.who);
                }
                Err(why) => ages.push(format!("{}: {why}", good.place)),
            }
        }
        if who.len() >= self.at_least {
            return None;
        }
        let mut reasons = verdict.reasons();
        reasons.extend(ages);
        let what = match &self.check.demands.predicate_type {
            None => "a signature".to_owned(),
            Some(kind) => format!("an attestation of {}", foreign::escape(kind, 200)),
        };
        let signers = &self.check.trust;
        let needed = if self.at_least == 1 {
            format!("{what} by one of {signers}")
        } else {
            format!(
                "{what} by {} different ones of {signers}; {} made one that counts",
                self.at_least,
                who.len()
            )
        };
        Some(Unmet { needed, reasons })
    }

    /// Since when `good` is there, where that matters here; `None`: it may be as old as it is.
    ///
    /// # Errors
    ///
    /// Why it doesn't count, for people: it is too old, or nothing says how old it is.
    pub fn age(&self, good: &Good, now: jiff::Timestamp) -> Result<Option<Age>, String> {
        let Some(max_age) = &self.max_age else { return Ok(None) };
        let age = age::age(good, now)?;
        if Duration::try_from(now.duration_since(age.since)).is_ok_and(|since| since > max_age.limit) {
            return Err(format!(
                "it was made at {}, and may be {max_age} old at most ({} says so)",
                age.since, age.from
            ));
        }
        Ok(Some(age))
    }
}

/// Something that an image needs and hasn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// What is needed.
    pub needed: String,
    /// What was found instead.
    pub reasons: Vec<String>,
}

#[cfg(test)]
mod tests;
