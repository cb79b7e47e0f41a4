//! The `WWW-Authenticate` header: what a registry asks for.
//!
//! A header may hold several challenges, and an answer several headers: all of them count. Only `Bearer` and `Basic` are
//! understood; others (`Negotiate`, `Digest`) are skipped, and a malformed header yields the challenges
//! that come before the fault: the registry's own refusal is then what the reader sees.
//!
//! Values are read as registries write them: in double quotes, in single quotes, or without any; with `;` in place of `,`; and as bytes,
//! since a token service has to get its name back as the registry wrote it, in whatever encoding.
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
    /// The name by which the token service knows the registry, byte for byte.
    pub service: Option<Vec<u8>>,
    /// The access the registry wants the token to carry. Ours is asked for first: it names the
    /// repository we work on, where this may name another or none.
    pub scope: Option<String>,
    /// Why a token that was sent did not do: `insufficient_scope`, `invalid_token`.
    pub error: Option<String>,
}

impl Bearer {
    /// What its texts have in memory.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.scope, &self.error];
        let service = self.service.as_ref().map_or(0, Vec::len);
        self.realm.len() + service + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }

    /// Whether a token that was sent is good, and allows too little.
    pub(super) fn wants_more(&self) -> bool {
        self.error.as_deref().is_some_and(|error| error.eq_ignore_ascii_case("insufficient_scope"))
    }

    /// The token service alone, without what was said about one request.
    pub(super) fn token_service(&self) -> Self {
        Self { scope: None, error: None, ..self.clone() }
    }
}

/// What all challenges of an answer offer, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    /// Whether `Basic` is among them.
    pub(super) basic: bool,
    /// The token services. A registry that offers both gives tokens to users whose password it doesn't keep: these come first.
    pub(super) bearers: Vec<Bearer>,
    /// A scheme among them that isn't spoken here.
    other: Option<&'static str>,
}

/// Schemes that registries, and the servers in front of them, offer and that aren't spoken here.
const OTHER_SCHEMES: [&str; 5] = ["Negotiate", "NTLM", "Kerberos", "Digest", "Mutual"];

impl Offered {
    /// The challenges of these headers.
    pub(super) fn of<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut offered = Self::default();
        let note = |header: &&[u8]| {
            let scheme = token(trim(header, SEPARATORS)).map_or(&b""[..], |(scheme, _)| scheme);
            let known = OTHER_SCHEMES.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(scheme));
            offered.other = offered.other.or(known.copied());
        };
        let challenges: Vec<Challenge> = headers.inspect(note).flat_map(parse).take(MAX_CHALLENGES).collect();
        for challenge in challenges {
            match challenge {
                Challenge::Basic => offered.basic = true,
                Challenge::Bearer(bearer) if !offered.bearers.contains(&bearer) => {
                    offered.bearers.push(bearer)
                }
                Challenge::Bearer(_) => {}
            }
        }
        offered
    }

    /// The scheme that is offered, where none is that is spoken here.
    pub(super) fn unspoken(&self) -> Option<&'static str> {
        self.other.filter(|_| self.is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.basic && self.bearers.is_empty()
    }

    /// The token services without what was said about one request, each once.
    pub(super) fn token_services(&self) -> Vec<Bearer> {
        let mut services: Vec<Bearer> = Vec::new();
        for service in self.bearers.iter().map(Bearer::token_service) {
            if !services.contains(&service) {
                services.push(service);
            }
        }
        services
    }

    /// What its texts have in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bearers.iter().map(Bearer::bytes).sum()
    }

    /// The scopes that they name, each once.
    pub(super) fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> = Vec::new();
        for scope in self.bearers.iter().filter_map(|bearer| bearer.scope.as_ref()) {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        scopes
    }
}

/// More challenges than any registry sends; the rest is not read.
const MAX_CHALLENGES: usize = 16;

/// The challenges of one `WWW-Authenticate` header's value.
///
/// ```
/// use stepseal::registry::client::challenge::{Challenge, parse};
///
/// let found = parse(br#"Bearer realm="https://auth.example/token",service="registry.example""#);
/// assert!(matches!(found.as_slice(), [Challenge::Bearer(bearer)] if bearer.realm == "https://auth.example/token"));
/// ```
pub fn parse(header: &[u8]) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = header;
    while found.len() < MAX_CHALLENGES {
        rest = trim(rest, SEPARATORS);
        let Some((scheme, after)) = token(rest) else { break };
        let (parameters, after) = parameters(after);
        if let Some(challenge) = challenge(scheme, &parameters) {
            found.push(challenge);
        }
        rest = after;
    }
    found
}

/// Blanks, and what a header that was folded over several lines has in their place.
const BLANKS: &[u8] = b" \t\r\n";
/// The same, with the separators between challenges and between parameters.
const SEPARATORS: &[u8] = b" \t\r\n,;";

type Parameter<'a> = (&'a [u8], Vec<u8>);

fn challenge(scheme: &[u8], parameters: &[Parameter<'_>]) -> Option<Challenge> {
    if scheme.eq_ignore_ascii_case(b"basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    let take = |name: &[u8]| {
        let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let text = |name: &[u8]| take(name).map(|value| String::from_utf8_lossy(&value).into_owned());
    let realm = text(b"realm")?;
    Some(Challenge::Bearer(Bearer {
        realm,
        service: take(b"service"),
        scope: text(b"scope"),
        error: text(b"error"),
    }))
}

/// `key=value` pairs up to the next scheme or the end, and what follows them.
fn parameters(text: &[u8]) -> (Vec<Parameter<'_>>, &[u8]) {
    let mut pairs = Vec::new();
    let mut rest = text;
    loop {
        let start = trim(rest, SEPARATORS);
        let Some((key, after)) = token(start) else { return (pairs, start) };
        let Some(after) = trim(after, BLANKS).strip_prefix(b"=") else {
            // A token without `=` begins the next challenge, unless it is a token68 (`Negotiate abc==`),
            // which comes right after the scheme; taken for a scheme it yields nothing.
            return (pairs, start);
        };
        let after = trim(after, BLANKS);
        let quoted = match after {
            [b'"', quoted @ ..] => match quoted_string(quoted, b'"') {
                Some(found) => Some(found),
                None => return (pairs, b""),
            },
            // A single quote may also be a value's own.
            [b'\'', quoted @ ..] => quoted_string(quoted, b'\''),
            _ => None,
        };
        let (value, after) = quoted.unwrap_or_else(|| {
            // Some registries leave the quotes out, even around a URL.
            let end = after.iter().position(|b| SEPARATORS.contains(b)).unwrap_or(after.len());
            let (value, after) = after.split_at(end);
            (value.to_vec(), after)
        });
        pairs.push((key, value));
        rest = after;
    }
}

/// The bytes up to the closing quote, unescaped, and what follows it.
fn quoted_string(text: &[u8], quote: u8) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            byte if *byte == quote => return text.get(at + 1..).map(|rest| (value, rest)),
            b'\\' => value.push(*bytes.next()?.1),
            byte => value.push(*byte),
        }
    }
    None
}

/// A token of RFC 9110 and what follows it; `None` where none begins.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let end = text.iter().position(|b| !is_token(b)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// What follows these bytes.
fn trim<'a>(text: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    let start = text.iter().position(|b| !bytes.contains(b)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>, error: Option<&str>) -> Challenge {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (scope, error) = (own(scope), own(error));
        Challenge::Bearer(Bearer { realm: realm.into(), service: service.map(Into::into), scope, error })
    }

    #[test]
    fn challenges_as_registries_write_them() {
        let plain = |realm: &str| bearer(realm, None, None, None);
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
                vec![Challenge::Basic, plain("https://a/t")],
            ),
            (r#"Bearer realm="https://a/\"t\\""#, vec![plain(r#"https://a/"t\"#)]),
            ("Bearer realm=https://a/t,service=s", vec![bearer("https://a/t", Some("s"), None, None)]),
            ("Negotiate, Basic realm=x", vec![Challenge::Basic]),
            ("Negotiate abc==, Basic realm=x", vec![Challenge::Basic]),
            // Single quotes, and a quote that belongs to a value.
            (
                "Bearer realm='https://a/t',service='a, b' , scope='repository:a:pull,push'",
                vec![bearer("https://a/t", Some("a, b"), Some("repository:a:pull,push"), None)],
            ),
            ("Bearer realm=https://a/t,service='s", vec![bearer("https://a/t", Some("'s"), None, None)]),
            ("Basic realm='r', Bearer realm='https://a/t'", vec![Challenge::Basic, plain("https://a/t")]),
            // Without parameters, with blanks, folded over lines, and with other separators.
            ("Basic,Bearer realm=https://a/t", vec![Challenge::Basic, plain("https://a/t")]),
            ("Basic , , Bearer\trealm\t=\t\"https://a/t\"", vec![Challenge::Basic, plain("https://a/t")]),
            (
                "Bearer\r\n realm=\"https://a/t\",\r\n\tservice=\"s\"",
                vec![bearer("https://a/t", Some("s"), None, None)],
            ),
            ("Bearer realm=\"https://a/t\"; service=s;", vec![bearer("https://a/t", Some("s"), None, None)]),
            // Several token services, and a service without an address beside a login.
            (
                "Bearer realm=https://a/t, Bearer realm=https://b/t",
                vec![plain("https://a/t"), plain("https://b/t")],
            ),
            ("Bearer, Basic realm=x", vec![Challenge::Basic]),
            (r#"Bearer service="s", Basic"#, vec![Challenge::Basic]),
            (r#"Bearer realm="", Basic"#, vec![Challenge::Basic]),
            // Nothing to answer: no realm, an open quote, no scheme.
            (r#"Bearer service="s""#, vec![]),
            (r#"Bearer realm="https://a"#, vec![]),
            ("", vec![]),
            ("\"", vec![]),
            (" \r\n ,;", vec![]),
        ];
        for (header, want) in cases {
            assert_eq!(parse(header.as_bytes()), want, "{header}");
        }
    }

    #[test]
    fn a_service_keeps_its_bytes() {
        for service in [&b"r\xe9gistre"[..], "r\u{e9}gistre".as_bytes(), b"\xff\xfe", "\u{2603}".as_bytes()] {
            for quote in [&b"\""[..], b"'", b""] {
                let header = [b"Bearer realm=https://a/t,service=", quote, service, quote].concat();
                let found = parse(&header);
                assert!(
                    matches!(&found[..], [Challenge::Bearer(bearer)] if bearer.service.as_deref() == Some(service)),
                    "{header:?}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn all_headers_count_and_tokens_come_first() {
        let headers =
            ["Basic realm=\"x\"", "Bearer realm=\"https://a/t\"", "Bearer realm=https://b/t", "Digest"];
        for headers in [headers.to_vec(), headers.into_iter().rev().collect()] {
            let offered = Offered::of(headers.iter().map(|header| header.as_bytes()));
            let mut realms: Vec<&str> = offered.bearers.iter().map(|bearer| bearer.realm.as_str()).collect();
            realms.sort_unstable();
            assert_eq!((offered.basic, realms), (true, vec!["https://a/t", "https://b/t"]));
        }
        assert!(
            Offered::of(["Digest realm=\"x\"", "Negotiate"].iter().map(|header| header.as_bytes()))
                .is_empty()
        );
    }

    #[test]
    fn a_scheme_that_is_not_spoken_is_named_where_there_is_no_other() {
        for (headers, want) in [
            (&["Negotiate"][..], Some("Negotiate")),
            (&["negotiate YII="], Some("Negotiate")),
            (&["Digest realm=\"x\", nonce=\"y\""], Some("Digest")),
            (&["NTLM", "Digest"], Some("NTLM")),
            (&["Negotiate", "Basic realm=\"x\""], None),
            (&["Negotiate, Bearer realm=\"https://a/t\""], None),
            (&["Unheard"], None),
            (&[], None),
        ] {
            let offered = Offered::of(headers.iter().map(|header| header.as_bytes()));
            assert_eq!(offered.unspoken(), want, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_keep_their_limits(header in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(parse(&header).len() <= MAX_CHALLENGES);
        }

        /// Whatever a value is, it comes back from between its quotes.
        #[test]
        fn any_value_comes_back(service in proptest::collection::vec(any::<u8>(), 1..40), single in any::<bool>()) {
            let quote = if single { b'\'' } else { b'"' };
            let mut header = b"Basic realm=x, Bearer realm=https://a/t,service=".to_vec();
            header.push(quote);
            for byte in &service {
                if [b'\\', quote].contains(byte) {
                    header.push(b'\\');
                }
                header.push(*byte);
            }
            header.push(quote);
            let found = parse(&header);
            prop_assert!(
                matches!(&found[..], [Challenge::Basic, Challenge::Bearer(bearer)] if bearer.service.as_ref() == Some(&service)),
                "{found:?}"
            );
        }
    }
}
