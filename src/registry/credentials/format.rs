//! A credentials file's bytes: docker's `config.json`, a Secret's `.dockerconfigjson`, podman's
//! `auth.json`, and the older `.dockercfg`.
//!
//! The content decides the form. With `auths`, `credHelpers` or `credsStore` in it, it is the first three's;
//! with nothing but other settings of docker's, it is a `config.json` without credentials; otherwise it is
//! a `.dockercfg`, whose entries are the top level itself. Field names compare without case, as Go reads
//! them.
//!
//! Refused is a file that can't be understood as a whole: what is not JSON, and a part that is there twice. An entry that can't be used
//! (of a wrong shape, no login, a helper's name that is not a plain file name) is an error only for the registry that it is for: files are
//! shared, and most of their entries are for others. A key that doesn't name a registry is ignored.
//!
//! No error shows what the file holds, beyond the names of entries: JSON errors carry a position only.
//!
//! Spec: <https://github.com/docker/cli/blob/v28.3.0/cli/config/configfile/file.go>

use std::borrow::Cow;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::entry::{EntryError, Fields};
use super::helper::HelperName;
use super::key::{self, Key};
use crate::oci::json::Object;
use crate::registry::keychain::Login;

/// What a credentials file says.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// `credHelpers`, then `auths`: the order in which docker looks at them.
    pub(super) rules: Vec<Rule>,
    /// `credsStore`: the helper for every host that has no rule.
    pub(super) store: Option<HelperName>,
}

/// For a key, where its credential is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) key: Key,
    /// The key as it was written, fit to be shown.
    pub(super) name: String,
    pub(super) answer: Answer,
}

/// Where a credential is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Here.
    Login(Login),
    /// With a helper. `None` is docker's way to except a host from `credsStore`.
    Helper(Option<HelperName>),
    /// It can't be used.
    Broken(FormatError),
}

/// Why bytes are not a credentials file. Never shows their content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It isn't JSON.
    #[error("it is not JSON (line {line}, column {column})")]
    Json {
        /// The line in the input, counted from 1.
        line: usize,
        /// The column in that line, counted from 1.
        column: usize,
    },
    /// It is JSON, but not an object.
    #[error("it is not a JSON object")]
    NotObject,
    /// A part has the wrong type.
    #[error("its \"{part}\" is not {expected}")]
    Shape {
        /// The part's name.
        part: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A part is there more than once, perhaps in upper and in lower case.
    #[error("its \"{part}\" is there more than once")]
    Repeated {
        /// The part's name.
        part: &'static str,
    },
    /// An entry can't be used.
    #[error("its entry \"{entry}\" cannot be used")]
    Entry {
        /// The entry's key, fit to be shown.
        entry: String,
        /// What is wrong with it.
        source: EntryError,
    },
    /// A helper's name could lead out of the search path.
    #[error("its \"{part}\" names a helper that is not plain letters, digits, and . _ -")]
    HelperName {
        /// `credsStore`, or the part and the entry.
        part: String,
    },
}

/// Settings of docker's `config.json` that have nothing to do with credentials, in lower case. Only asked
/// where there is neither `auths` nor a helper, to distinguish a bare `config.json` from a `.dockercfg`.
const OTHER_SETTINGS: [&str; 25] = [
    "aliases",
    "clipluginsextradirs",
    "configformat",
    "currentcontext",
    "detachkeys",
    "experimental",
    "features",
    "httpheaders",
    "imagesformat",
    "kubernetes",
    "networksformat",
    "nodesformat",
    "plugins",
    "pluginsformat",
    "proxies",
    "prunefilters",
    "psformat",
    "secretformat",
    "serviceinspectformat",
    "servicesformat",
    "stackorchestrator",
    "statsformat",
    "swarmformat",
    "tasksformat",
    "volumesformat",
];

/// Understands a credentials file. Pure: this is what is fuzzed.
///
/// # Errors
///
/// If the bytes are not a credentials file.
pub fn parse(bytes: &[u8]) -> Result<Config, FormatError> {
    let top: Object<'_> = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => FormatError::NotObject,
        _ => FormatError::Json { line: error.line(), column: error.column() },
    })?;
    let (auths, helpers, store) = (top.part("auths")?, top.part("credHelpers")?, top.part("credsStore")?);
    if auths.is_none() && helpers.is_none() && store.is_none() {
        let other =
            |(key, _): &(Cow<'_, str>, _)| OTHER_SETTINGS.contains(&key.to_ascii_lowercase().as_str());
        // Without a single key this also is the empty `{}`.
        if top.0.iter().all(other) {
            return Ok(Config { rules: Vec::new(), store: None });
        }
        // Other JSON, such as a single entry where the file belongs, has not one.
        if let Some((name, _)) = top.0.first()
            && !top.0.iter().any(|(_, raw)| matches!(raw.get().as_bytes().first(), Some(b'{' | b'n')))
        {
            return Err(FormatError::Entry { entry: key::shown(name), source: EntryError::NotObject });
        }
        return Ok(Config { rules: entries(&top), store: None });
    }
    let mut rules = Vec::new();
    if let Some(helpers) = object(helpers, "credHelpers")? {
        for (key, raw) in &helpers.0 {
            rules.extend(helper_rule(key, raw));
        }
    }
    if let Some(auths) = object(auths, "auths")? {
        rules.extend(entries(&auths));
    }
    let store = match store {
        Some(raw) => text(raw).ok_or(FormatError::Shape { part: "credsStore", expected: "text" })?,
        None => Zeroizing::default(),
    };
    Ok(Config { rules, store: helper_name(&store, || "credsStore".to_owned())? })
}

/// The object of a part; an absent part and `null` are none.
fn object<'a>(part: Option<&'a RawValue>, name: &'static str) -> Result<Option<Object<'a>>, FormatError> {
    part.map_or(Ok(None), |raw| serde_json::from_str(raw.get()))
        .map_err(|_| FormatError::Shape { part: name, expected: "a JSON object" })
}

/// Every entry that says something. `{}`, which docker writes beside `credsStore`, doesn't.
fn entries(object: &Object<'_>) -> Vec<Rule> {
    let rules = |(name, raw): &(Cow<'_, str>, &RawValue)| {
        let broken = |source| vec![Answer::Broken(FormatError::Entry { entry: key::shown(name), source })];
        let logins = fields(raw).and_then(|fields| fields.logins());
        let logins = logins.map(|logins| logins.into_iter().map(Answer::Login).collect());
        let answers: Vec<Answer> = logins.unwrap_or_else(broken);
        answers.into_iter().filter_map(|answer| rule(name, answer)).collect::<Vec<Rule>>()
    };
    object.0.iter().flat_map(rules).collect()
}

/// The rule of an entry; `None`: its key matches no registry.
fn rule(name: &str, answer: Answer) -> Option<Rule> {
    let (key, name) = (key_of(name)?, key::shown(name));
    if let Answer::Broken(error) = &answer {
        let reason = std::error::Error::source(error).map(ToString::to_string);
        tracing::debug!(entry = name, reason, "this entry for credentials cannot be used");
    }
    Some(Rule { key, name, answer })
}

fn fields(raw: &RawValue) -> Result<Fields, EntryError> {
    let object: Option<Object<'_>> = serde_json::from_str(raw.get()).map_err(|_| EntryError::NotObject)?;
    let mut fields = Fields::default();
    for (name, raw) in object.map(|object| object.0).unwrap_or_default() {
        let (name, field) = match name.to_ascii_lowercase().as_str() {
            "auth" => ("auth", &mut fields.auth),
            "username" => ("username", &mut fields.username),
            "password" => ("password", &mut fields.password),
            "identitytoken" => ("identitytoken", &mut fields.identity_token),
            "registrytoken" => ("registrytoken", &mut fields.registry_token),
            _ => continue,
        };
        *field = text(raw).ok_or(EntryError::NotText(name))?;
    }
    Ok(fields)
}

/// The key of an entry; `None`: it names no registry, or one whose host no client reaches, so that it fits nothing.
fn key_of(name: &str) -> Option<Key> {
    let key = Key::parse(name);
    if key.is_none() && key::is_out_of_reach(name) {
        tracing::warn!(entry = key::shown(name), "no client reaches the host of this entry for credentials");
    } else if key.is_none() {
        let reason = EntryError::Key.to_string();
        tracing::debug!(entry = key::shown(name), reason, "this entry for credentials is for no registry");
    }
    key
}

fn helper_rule(name: &str, raw: &RawValue) -> Option<Rule> {
    let shown = key::shown(name);
    let helper = match text(raw) {
        Some(helper) => helper_name(&helper, || format!("credHelpers\" entry \"{shown}")),
        None => {
            let source = EntryError::NotText("credHelpers");
            Err(FormatError::Entry { entry: shown.clone(), source })
        }
    };
    rule(name, helper.map_or_else(Answer::Broken, Answer::Helper))
}

fn helper_name(text: &str, part: impl Fn() -> String) -> Result<Option<HelperName>, FormatError> {
    if text.is_empty() {
        return Ok(None);
    }
    HelperName::parse(text).map(Some).ok_or_else(|| FormatError::HelperName { part: part() })
}

/// A JSON string, or nothing for `null`; `None` if it is neither.
fn text(raw: &RawValue) -> Option<Zeroizing<String>> {
    let text: Option<String> = serde_json::from_str(raw.get()).ok()?;
    Some(Zeroizing::new(text.unwrap_or_default()))
}

impl<'a> Object<'a> {
    /// The value of the one key that is `name`, whatever its case.
    fn part(&self, name: &'static str) -> Result<Option<&'a RawValue>, FormatError> {
        let mut named = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, raw)| *raw);
        match (named.next(), named.next()) {
            // To take one of them would leave the registries of the other without their credentials.
            (_, Some(_)) => Err(FormatError::Repeated { part: name }),
            (part, None) => Ok(part),
        }
    }
}

#[cfg(test)]
mod tests;
