//! The `WWW-Authenticate` header: what a registry asks for.
//!
//! A header may hold several challenges, and an answer several headers. Only `Bearer` and `Basic` are
//! understood; others (`Negotiate`, `Digest`) are skipped, and a malformed header yields the challenges
//! that stand before the fault: the registry's own refusal is then what the reader sees.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1>,
//! <https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/token.md>

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A user name and a password, sent to the registry itself.
    Basic,
    /// A token of a token service.
    Bearer(Bearer),
}

/// A `Bearer` challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The token service's address.
    pub realm: String,
    /// The name by which the token service knows the registry.
    pub service: Option<String>,
    /// The access the registry wants the token to carry. Ours is asked for instead: it names the
    /// repository we work on, where this may name another or none.
    pub scope: Option<String>,
    /// Why a token that was sent did not do: `insufficient_scope`, `invalid_token`.
    pub error: Option<String>,
}

impl Bearer {
    /// What its texts have in memory.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.service, &self.scope, &self.error];
        self.realm.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }
}

/// More challenges than any registry sends; the rest is not read.
const MAX_CHALLENGES: usize = 16;

/// The challenges of one `WWW-Authenticate` header's value.
///
/// ```
/// use stepseal::registry::client::challenge::{Challenge, parse};
///
/// let found = parse(r#"Bearer realm="https://auth.example/token",service="registry.example""#);
/// assert!(matches!(found.as_slice(), [Challenge::Bearer(bearer)] if bearer.realm == "https://auth.example/token"));
/// ```
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = header;
    while found.len() < MAX_CHALLENGES {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((scheme, after)) = token(rest) else { break };
        let (parameters, after) = parameters(after);
        if let Some(challenge) = challenge(scheme, parameters) {
            found.push(challenge);
        }
        rest = after;
    }
    found
}

/// The challenge to answer: `Bearer` before `Basic`, as a registry that offers both gives tokens to
/// users whose password it doesn't keep.
pub(super) fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut best = None;
    for challenge in headers.flat_map(parse) {
        match challenge {
            Challenge::Bearer(_) => return Some(challenge),
            Challenge::Basic => best = Some(challenge),
        }
    }
    best
}

fn challenge(scheme: &str, parameters: Vec<(&str, String)>) -> Option<Challenge> {
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let take = |name: &str| {
        let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let realm = take("realm")?;
    let (service, scope, error) = (take("service"), take("scope"), take("error"));
    Some(Challenge::Bearer(Bearer { realm, service, scope, error }))
}

/// `key=value` pairs up to the next scheme or the end, and what follows them.
fn parameters(text: &str) -> (Vec<(&str, String)>, &str) {
    let mut pairs = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches([' ', '\t', ',']);
        let Some((key, after)) = token(start) else { return (pairs, start) };
        let after = after.trim_start_matches([' ', '\t']);
        let Some(after) = after.strip_prefix('=') else {
            // A token without `=` begins the next challenge, unless it is a token68 (`Negotiate abc==`),
            // which stands right after the scheme; taken for a scheme it yields nothing.
            return (pairs, start);
        };
        let after = after.trim_start_matches([' ', '\t']);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => match quoted_string(quoted) {
                Some(found) => found,
                None => return (pairs, ""),
            },
            // Some registries leave the quotes out, even around a URL.
            None => {
                let end = after.find([',', ' ', '\t']).unwrap_or(after.len());
                let (value, after) = after.split_at(end);
                (value.to_owned(), after)
            }
        };
        pairs.push((key, value));
        rest = after;
    }
}

/// The text up to the closing quote, unescaped, and what follows it.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return text.get(at + 1..).map(|rest| (value, rest)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// A token of RFC 9110 and what follows it; `None` where none begins.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>, error: Option<&str>) -> Challenge {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (service, scope, error) = (own(service), own(scope), own(error));
        Challenge::Bearer(Bearer { realm: realm.into(), service, scope, error })
    }

    #[test]
    fn challenges_as_registries_write_them() {
        let cases = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error="insufficient_scope""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                    Some("insufficient_scope"),
                )],
            ),
            (r#"Basic realm="Registry""#, vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                r#"BEARER Realm = "https://a/t?x=1" , SERVICE="s""#,
                vec![bearer("https://a/t?x=1", Some("s"), None, None)],
            ),
            (
                r#"Basic realm="a, Bearer b", charset="UTF-8", bearer realm="https://a/t""#,
                vec![Challenge::Basic, bearer("https://a/t", None, None, None)],
            ),
            (r#"Bearer realm="https://a/\"t\\""#, vec![bearer(r#"https://a/"t\"#, None, None, None)]),
            ("Bearer realm=https://a/t,service=s", vec![bearer("https://a/t", Some("s"), None, None)]),
            ("Negotiate, Basic realm=x", vec![Challenge::Basic]),
            ("Negotiate abc==, Basic realm=x", vec![Challenge::Basic]),
            // Nothing to answer: no realm, an open quote, no scheme.
            (r#"Bearer service="s""#, vec![]),
            (r#"Bearer realm="https://a"#, vec![]),
            ("", vec![]),
            ("\"", vec![]),
        ];
        for (header, want) in cases {
            assert_eq!(parse(header), want, "{header}");
        }
    }

    #[test]
    fn a_token_is_preferred_to_a_password_in_any_order() {
        let both = ["Basic realm=\"x\"", "Bearer realm=\"https://a/t\""];
        assert_eq!(best(both.into_iter()), Some(bearer("https://a/t", None, None, None)));
        assert_eq!(best(both.into_iter().rev()), Some(bearer("https://a/t", None, None, None)));
        assert_eq!(best(["Digest realm=\"x\""].into_iter()), None);
    }

    proptest! {
        #[test]
        fn any_text_ends_and_keeps_its_limits(header in ".{0,400}") {
            prop_assert!(parse(&header).len() <= MAX_CHALLENGES);
        }
    }
}
