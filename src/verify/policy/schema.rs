//! The table of what a policy file may hold: its reader and its documentation are made from it.

/// One key of a policy file.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The path of the field: `[]` is each item of a list, an upper-case part any name.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// More keys.
    Object,
    /// A list.
    List,
    /// Text.
    Text,
    /// A whole number from 1.
    Number,
    /// A duration.
    Duration,
    /// `true` or `false`.
    Switch,
}

impl Kind {
    /// The kind as the documentation and errors name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::List => "list",
            Self::Text => "text",
            Self::Number => "whole number from 1",
            Self::Duration => "duration, as 12h or 30d",
            Self::Switch => "true or false",
        }
    }
}

macro_rules! fields {
    ($($path:literal $kind:ident $need:ident $meaning:literal;)*) => {
        /// Every key there is, in the order of the documentation.
        pub const FIELDS: &[Field] = &[$(Field {
            path: $path, kind: Kind::$kind, required: fields!(@$need), meaning: $meaning }),*];
    };
    (@needed) => { true };
    (@optional) => { false };
}

fields! {
    "version" Number needed "the version of this layout: 1";
    "trustedRoot" Text optional "file with the logs, authorities and CAs, in place of Sigstore's public ones; relative to the policy";
    "trustedRoots" List optional "several trusted roots in place of `trustedRoot`; each vouches by itself";
    "trustedRoots[].file" Text needed "file with one trusted root, or one a line; relative to the policy";
    "trustedRoots[].authority" Text optional "host of a certificate authority: only this authority counts, with the logs and timestamp authorities of its root; needed where a file has several roots and `sct` or `log` is false";
    "trustedRoots[].sct" Switch optional "whether certificates of this root need a proof that they were logged, an SCT (default true)";
    "trustedRoots[].log" Switch optional "whether signatures with certificates of this root need an entry in a transparency log (default true); without it they need a timestamp by an authority of this root";
    "signers" Object needed "who may sign, under names that the rules use";
    "signers.NAME" Object optional "one signer: a key, or an identity in certificates";
    "signers.NAME.key" Text optional "place of a public key: a file (relative to the policy), a folder with `cosign.pub`, `env://NAME`, or `k8s://NAMESPACE/NAME`";
    "signers.NAME.publicKey" Text optional "the public key itself, PEM";
    "signers.NAME.identity" Text optional "the identity that a certificate must have, exactly";
    "signers.NAME.identityRegexp" Text optional "a regular expression that is found in it, anywhere unless it has `^` and `$`";
    "signers.NAME.issuer" Text optional "the issuer that a certificate must have, exactly; needed with an identity";
    "signers.NAME.issuerRegexp" Text optional "a regular expression that is found in it, anywhere unless it has `^` and `$`";
    "rules" List needed "every rule whose pattern matches an image must be passed; an image that none matches fails";
    "rules[].name" Text needed "the name that a failure tells";
    "rules[].images" List needed "patterns of repositories: `*` within a path part, `**` across; a registry is the same in all its spellings";
    "rules[].images[]" Text optional "one pattern";
    "rules[].signature" Object optional "the signatures that an image needs";
    "rules[].signature.by" List needed "names of the signers that count";
    "rules[].signature.by[]" Text optional "one name";
    "rules[].signature.atLeast" Number optional "how many different ones of them must have signed (default 1)";
    "rules[].signature.annotations" Object optional "annotations that the signature must have";
    "rules[].signature.annotations.KEY" Text optional "the value of one";
    "rules[].signature.maxAge" Duration optional "how old it may be at most; needs a log entry, a timestamp, or a time in the statement";
    "rules[].signature.log" Switch optional "whether it needs an entry in a transparency log (default: only with identities)";
    "rules[].signature.timestamp" Switch optional "whether it needs an RFC 3161 timestamp (default false)";
    "rules[].attestations" List optional "the attestations that an image needs, all of them";
    "rules[].attestations[].type" Text needed "predicate type: a URI, or a short name as for `verify-attestation --type`";
    "rules[].attestations[].by" List needed "names of the signers that count";
    "rules[].attestations[].by[]" Text optional "one name";
    "rules[].attestations[].atLeast" Number optional "how many different ones of them must have attested it (default 1)";
    "rules[].attestations[].require" List optional "what the statement must say";
    "rules[].attestations[].require[]" Text optional "PATH=VALUE with a JSONPath, as for `verify-attestation --require`";
    "rules[].attestations[].maxAge" Duration optional "how old it may be at most: since the oldest of the log's time, the timestamp's, and those that the statement gives";
    "rules[].attestations[].log" Switch optional "as for signatures";
    "rules[].attestations[].timestamp" Switch optional "as for signatures";
}

/// The fields right below `parent`: the name in it, and the field. The parent of all is empty.
pub(super) fn below(parent: &str) -> impl Iterator<Item = (&'static str, &'static Field)> {
    FIELDS.iter().filter_map(move |field| {
        let rest = field.path.strip_prefix(parent)?;
        let name = if parent.is_empty() { rest } else { rest.strip_prefix('.')? };
        (!name.contains('.') && !name.ends_with("[]")).then_some((name, field))
    })
}

/// Whether a name in the table stands for any.
pub(super) fn is_any(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase())
}
