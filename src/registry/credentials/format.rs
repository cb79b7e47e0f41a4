//! A credentials file's bytes: docker's `config.json`, a Secret's `.dockerconfigjson`, podman's
//! `auth.json`, and the older `.dockercfg`.
//!
//! The form is told by content. With `auths`, `credHelpers` or `credsStore` in it, it is the first three's;
//! with nothing but other settings of docker's, it is a `config.json` without credentials; otherwise it is
//! a `.dockercfg`, whose entries are the top level itself. Field names compare without case, as Go reads
//! them.
//!
//! Refused is all that would silently leave a registry without its credential: what is not JSON, a part that
//! is there twice, entries of a wrong shape, keys that name no registry, and helper names that are not plain
//! file names. No error shows what the file holds, beyond the names of entries: JSON errors carry a
//! position only.
//!
//! Spec: <https://github.com/docker/cli/blob/v28.3.0/cli/config/configfile/file.go>

use std::borrow::Cow;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::entry::{EntryError, Fields};
use super::helper::HelperName;
use super::key::{self, Key};
use crate::registry::json::Object;
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
}

/// Why bytes are no credentials file. Never shows what they hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It isn't JSON.
    #[error("it is not JSON (line {line}, column {column})")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
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
/// where there is neither `auths` nor a helper, to tell a bare `config.json` from a `.dockercfg`.
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
/// If the bytes are no credentials file, or one entry in them can't be used.
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
        let rules = if top.0.iter().all(other) { Vec::new() } else { entries(&top)? };
        return Ok(Config { rules, store: None });
    }
    let mut rules = Vec::new();
    if let Some(helpers) = object(helpers, "credHelpers")? {
        for (key, raw) in &helpers.0 {
            rules.extend(helper_rule(key, raw)?);
        }
    }
    if let Some(auths) = object(auths, "auths")? {
        rules.extend(entries(&auths)?);
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
fn entries(object: &Object<'_>) -> Result<Vec<Rule>, FormatError> {
    let mut rules = Vec::new();
    for (name, raw) in &object.0 {
        let error = |source| FormatError::Entry { entry: key::shown(name), source };
        if let Some(login) = fields(raw).and_then(|fields| fields.login()).map_err(error)? {
            let answer = Answer::Login(login);
            rules.extend(key_of(name)?.map(|key| Rule { key, name: key::shown(name), answer }));
        }
    }
    Ok(rules)
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

/// The key of an entry; `None`: no client reaches its host, so that it fits nothing.
fn key_of(name: &str) -> Result<Option<Key>, FormatError> {
    match Key::parse(name) {
        None if key::is_out_of_reach(name) => {
            tracing::warn!(
                entry = key::shown(name),
                "no client reaches the host of this entry for credentials"
            );
            Ok(None)
        }
        None => Err(FormatError::Entry { entry: key::shown(name), source: EntryError::Key }),
        key => Ok(key),
    }
}

fn helper_rule(name: &str, raw: &RawValue) -> Result<Option<Rule>, FormatError> {
    let shown = key::shown(name);
    let error = |source| FormatError::Entry { entry: shown.clone(), source };
    let helper = text(raw).ok_or_else(|| error(EntryError::NotText("credHelpers")))?;
    let helper = helper_name(&helper, || format!("credHelpers\" entry \"{shown}"))?;
    Ok(key_of(name)?.map(|key| Rule { key, name: shown, answer: Answer::Helper(helper) }))
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    /// The names of the rules, with what they lead to.
    fn summary(config: &Config) -> Vec<String> {
        let rules = config.rules.iter().map(|rule| match &rule.answer {
            Answer::Login(Login::Basic { user, .. }) => format!("{}={user}", rule.name),
            Answer::Login(Login::IdentityToken(_)) => format!("{}=token", rule.name),
            Answer::Helper(helper) => {
                format!("{}=>{}", rule.name, helper.as_ref().map_or("", HelperName::as_str))
            }
        });
        rules.chain(config.store.iter().map(|store| format!("*=>{}", store.as_str()))).collect()
    }

    #[test]
    fn every_form_is_told_by_its_content() {
        for (json, want) in [
            // .dockerconfigjson, config.json, auth.json
            (
                r#"{"auths":{"b.example":{"auth":"Y2k6YQ=="},"a.example":{"username":"u","password":"p"}}}"#,
                vec!["b.example=ci", "a.example=u"],
            ),
            (
                r#"{"auths":{"a.example":{"auth":"Y2k6YQ==","email":"x@y"}},"HttpHeaders":{"User-Agent":"x"}}"#,
                vec!["a.example=ci"],
            ),
            (r#"{"auths":{"a.example":{"auth":"","identitytoken":"t"}}}"#, vec!["a.example=token"]),
            (r#"{"Auths":{"a.example":{"Auth":"Y2k6YQ=="}}}"#, vec!["a.example=ci"]),
            // .dockercfg
            (
                r#"{"https://index.docker.io/v1/":{"auth":"Y2k6YQ==","email":"x@y"}}"#,
                vec!["https://index.docker.io/v1/=ci"],
            ),
            // Hosts that no client reaches.
            (
                r#"{"auths":{"a.example":{"auth":"Y2k6YQ=="},"registry.1:5000":{"auth":"Y2k6YQ=="},"https://1.2.3.256/v1/":{"auth":"Y2k6YQ=="}},"credHelpers":{"4294967296":"gcr"}}"#,
                vec!["a.example=ci"],
            ),
            // Nothing in it.
            ("{}", vec![]),
            (r#"{"auths":{}}"#, vec![]),
            (r#"{"auths":null,"credHelpers":null,"credsStore":null}"#, vec![]),
            (
                r#"{"auths":{"a.example":{},"b.example":null,"c.example":{"email":"x@y"},"no host":{}}}"#,
                vec![],
            ),
            (r#"{"currentContext":"default","HttpHeaders":{"User-Agent":"x"},"proxies":{}}"#, vec![]),
            // Helpers.
            (
                r#"{"auths":{"a.example":{"auth":"Y2k6YQ=="}},"credHelpers":{"a.example":"gcr","b.example/team":"ecr-login","c.example":""},"credsStore":"desktop"}"#,
                vec![
                    "a.example=>gcr",
                    "b.example/team=>ecr-login",
                    "c.example=>",
                    "a.example=ci",
                    "*=>desktop",
                ],
            ),
            (r#"{"credsStore":"pass"}"#, vec!["*=>pass"]),
            (r#"{"credsStore":""}"#, vec![]),
        ] {
            assert_eq!(summary(&parse(json.as_bytes()).unwrap()), want, "{json}");
        }
    }

    #[test]
    fn escapes_in_json_are_read() {
        let config =
            parse(br#"{"auths":{"a\u002eexample":{"username":"u","password":"\u00e9\"\n"}}}"#).unwrap();
        assert_eq!(
            config.rules[0].answer,
            Answer::Login(Login::Basic { user: "u".into(), password: Secret::new("\u{e9}\"\n") })
        );
        assert_eq!(config.rules[0].name, "a.example");
    }

    /// Every bad file, with its whole message. `hunter2` is what must not be in one.
    const BAD: &[(&str, &str)] = &[
        (r#"{"auths":{"a.example":{"auth":"hunter2"}},"auths":{}}"#, "its \"auths\" is there more than once"),
        (
            r#"{"credHelpers":{"a.example":"x"},"CredHelpers":{}}"#,
            "its \"credHelpers\" is there more than once",
        ),
        ("", "it is not JSON (line 1, column 0)"),
        ("hunter2", "it is not JSON (line 1, column 1)"),
        ("{\"auths\":{\"hunter2\"", "it is not JSON (line 1, column 19)"),
        ("{\"auths\":{}} hunter2", "it is not JSON (line 1, column 14)"),
        ("\u{feff}{}", "it is not JSON (line 1, column 1)"),
        ("[\"hunter2\"]", "it is not a JSON object"),
        ("\"hunter2\"", "it is not a JSON object"),
        ("null", "it is not a JSON object"),
        (r#"{"auths":"hunter2"}"#, "its \"auths\" is not a JSON object"),
        (r#"{"auths":["hunter2"]}"#, "its \"auths\" is not a JSON object"),
        (r#"{"credHelpers":"hunter2"}"#, "its \"credHelpers\" is not a JSON object"),
        (r#"{"credsStore":{"x":"hunter2"}}"#, "its \"credsStore\" is not text"),
        (
            r#"{"auths":{"a.example":"hunter2"}}"#,
            "its entry \"a.example\" cannot be used: it is not a JSON object",
        ),
        (
            r#"{"auths":{"a.example":{"auth":["hunter2"]}}}"#,
            "its entry \"a.example\" cannot be used: its \"auth\" is not text",
        ),
        (
            r#"{"auths":{"a.example":{"auth":"hunter2!"}}}"#,
            "its entry \"a.example\" cannot be used: its \"auth\" is not base64 of USER:PASSWORD",
        ),
        (
            r#"{"auths":{"a.example":{"auth":"aHVudGVyMg=="}}}"#,
            "its entry \"a.example\" cannot be used: its \"auth\" is not base64 of USER:PASSWORD",
        ),
        (
            r#"{"auths":{"a.example":{"auth":"Y2k6YQ==","username":"ci","password":"hunter2"}}}"#,
            "its entry \"a.example\" cannot be used: its \"auth\" says something else than its \"username\" and \"password\"",
        ),
        (
            r#"{"auths":{"a.example":{"password":"hunter2"}}}"#,
            "its entry \"a.example\" cannot be used: it has a \"username\" without a \"password\", or the other way round",
        ),
        (
            r#"{"auths":{"a.example":{"password":"\ud800hunter2"}}}"#,
            "its entry \"a.example\" cannot be used: its \"password\" is not text",
        ),
        (
            r#"{"auths":{"https://u:hunter2@a.example":{"auth":"Y2k6YQ=="}}}"#,
            "its entry \"a.example\" cannot be used: its name is not HOST[:PORT][/PATH]",
        ),
        (
            r#"{"auths":{"a\nb":{"auth":"Y2k6YQ=="}}}"#,
            "its entry \"a\\nb\" cannot be used: its name is not HOST[:PORT][/PATH]",
        ),
        // An entry where the file belongs.
        (r#"{"auth":"hunter2"}"#, "its entry \"auth\" cannot be used: it is not a JSON object"),
        (
            r#"{"a.example":{"auth":"hunter2"}}"#,
            "its entry \"a.example\" cannot be used: its \"auth\" is not base64 of USER:PASSWORD",
        ),
        (
            r#"{"credHelpers":{"a.example":["hunter2"]}}"#,
            "its entry \"a.example\" cannot be used: its \"credHelpers\" is not text",
        ),
        (
            r#"{"credHelpers":{"no host":"gcr"}}"#,
            "its entry \"no host\" cannot be used: its name is not HOST[:PORT][/PATH]",
        ),
        (
            r#"{"credHelpers":{"a.example":"../hunter2"}}"#,
            "its \"credHelpers\" entry \"a.example\" names a helper that is not plain letters, digits, and . _ -",
        ),
        (
            r#"{"credsStore":"/bin/hunter2"}"#,
            "its \"credsStore\" names a helper that is not plain letters, digits, and . _ -",
        ),
    ];

    #[test]
    fn a_bad_file_says_what_is_wrong_and_nothing_it_holds() {
        for (json, want) in BAD {
            let error = parse(json.as_bytes()).unwrap_err();
            let mut text = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                text = format!("{text}: {source}");
            }
            assert_eq!(text, *want, "{json}");
            assert!(!format!("{error:?}{text}").contains("hunter2"), "{error:?}");
        }
        assert!(matches!(parse(b"{\"auths\":{\"\xff\":{}}}"), Err(FormatError::Json { .. })));
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = parse(br#"{"auths":{"a.example":{"username":"ci","password":"hunter2"},"b.example":{"identitytoken":"hunter2"}}}"#);
        let debug = format!("{config:?}");
        assert!(debug.contains("ci") && !debug.contains("hunter2"), "{debug}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_file_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_entry_is_read_or_refused(key in any::<String>(), auth in any::<String>(), password in any::<String>()) {
            let file = serde_json::json!({"auths": {&key: {"auth": auth, "password": password}}});
            let _ = parse(file.to_string().as_bytes());
        }
    }
}
