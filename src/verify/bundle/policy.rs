//! The accepted signers, and what must come with the signature.

use std::fmt;
use std::sync::Arc;

use regex::Regex;

use super::expressions::{ExpressionError, Expressions};
use crate::key::{Hash, PublicKey};

/// What is demanded of a bundle.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who may have signed.
    pub signer: Signer,
    /// Log entries are not looked at, and none is needed: for signatures that were never logged.
    pub ignore_tlog: bool,
    /// No proof is asked for that the certificate is in a certificate transparency log.
    pub ignore_sct: bool,
    /// A timestamp of an RFC 3161 authority must be there; the log's own time doesn't do.
    pub signed_timestamps: bool,
    /// A bundle 0.3 may have a certificate chain in place of a certificate; it is read as those of older versions are.
    pub allow_certificate_chain: bool,
    /// The one hash that signatures may be of; `None`: any of the SHA-2 family. Ed25519 leaves no choice, and isn't held to it.
    pub hash: Option<Hash>,
}

impl Policy {
    /// A log entry, and for certificates an SCT, as cosign demands by default.
    pub fn new(signer: Signer) -> Self {
        Self {
            signer,
            ignore_tlog: false,
            ignore_sct: false,
            signed_timestamps: false,
            allow_certificate_chain: false,
            hash: None,
        }
    }
}

/// Who may have signed.
#[derive(Clone, Debug)]
pub enum Signer {
    /// The holder of this key.
    Key(Box<PublicKey>),
    /// Any holder of a certificate with such an identity.
    Identity(IdentityPolicy),
}

/// Which identities are accepted.
#[derive(Clone, Debug)]
pub struct IdentityPolicy {
    /// The certificate's subject alternative name.
    pub identity: Match,
    /// The OIDC issuer of the identity.
    pub issuer: Match,
    /// What else the certificate must say, by the names of [`Identity::claims`](super::Identity::claims).
    pub claims: Vec<(&'static str, String)>,
}

impl IdentityPolicy {
    /// This identity and issuer, and nothing else.
    pub fn new(identity: Match, issuer: Match) -> Self {
        Self { identity, issuer, claims: Vec::new() }
    }
}

/// What a text must be.
#[derive(Clone, Debug)]
pub enum Match {
    /// This text.
    Exact(Arc<str>),
    /// A text in which this expression is found, anywhere unless it is anchored, as cosign does it.
    Regexp {
        /// As the user wrote it.
        text: Arc<str>,
        /// What is matched.
        expression: Regex,
    },
    /// Anything.
    Any,
}

impl Match {
    /// This text.
    pub fn exact(text: impl AsRef<str>) -> Self {
        Self::Exact(text.as_ref().into())
    }

    /// A regular expression, which means what it means to cosign: <https://github.com/google/re2/wiki/Syntax>.
    ///
    /// # Errors
    ///
    /// It is not one, has a part that can't have RE2's meaning here, or is so large that it could only harm; or there is nothing to
    /// match in it, as in `|`, which empty parameters of a Task leave behind, and which would accept anything.
    pub(crate) fn regexp(text: &str) -> Result<Self, ExpressionError> {
        Self::regexp_of(&mut Expressions::default(), text)
    }

    /// A regular expression that is one of several.
    ///
    /// # Errors
    ///
    /// As of [`regexp`](Self::regexp), or all of them together are too large.
    pub(crate) fn regexp_of(all: &mut Expressions, text: &str) -> Result<Self, ExpressionError> {
        Ok(Self::Regexp { text: text.into(), expression: all.compile(text)? })
    }

    /// Whether `text` is what it must be. An empty one, which stands for what a certificate doesn't say, is that only for an expression that it
    /// matches, as in cosign: `.*` does, and nothing that is wanted by name.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => !text.is_empty() && **wanted == *text,
            // A clone has a working memory of its own, which goes with it: those of all expressions of a policy would add up.
            Self::Regexp { expression, .. } => expression.clone().is_match(text),
            Self::Any => true,
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "\"{text}\""),
            Self::Regexp { text, .. } => write!(f, "something like /{text}/"),
            Self::Any => f.write_str("anything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_found_anywhere_unless_it_is_anchored() {
        let open = Match::regexp("example\\.com").unwrap();
        assert!(open.accepts("a@example.com.evil"));
        let anchored = Match::regexp("^.*@example\\.com$").unwrap();
        assert!(anchored.accepts("a@example.com") && !anchored.accepts("a@example.com.evil"));
        assert!(!Match::exact("a@example.com").accepts("A@example.com"));
    }

    #[test]
    fn an_expression_that_would_eat_the_memory_is_refused() {
        assert!(Match::regexp("(((a{100}){100}){100}){100}").is_err());
        assert!(Match::regexp("(").is_err());
    }

    #[test]
    fn an_expression_with_nothing_to_match_is_refused() {
        for text in [
            "",
            " ",
            "\t",
            "\u{3000}",
            "\u{200b}",
            "|",
            " | ",
            "()",
            "(|)",
            "^",
            "$",
            "^|$",
            "(?i)",
            "(?i:|)",
            "\\b",
            "(?P<n>)",
            "(?<n>|)",
            "()*",
            "^*",
            "x{0}",
            "(?:x{0}|$)+",
            "[a-z]{0}",
            "\\Q\\E",
            "(?m)^",
        ] {
            assert!(Match::regexp(text).is_err(), "{text:?}");
        }
        // Expressions that match only an empty text accept no identity; the others say what they accept.
        for text in ["^$", "^(|)$", ".*", "a|", "[ ]", "(?i)a", " a", "\\s"] {
            assert!(Match::regexp(text).is_ok(), "{text:?}");
        }
    }
}
