//! A registry that the suite runs on.

use super::http::Caller;

/// A user of the registry who may push.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// An image or an index in the registry.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    /// The repository, without the host.
    pub(crate) repository: String,
    /// `sha256:…`
    pub(crate) digest: String,
}

/// Where signatures go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// cosign's tags `sha256-HEX.sig` and `sha256-HEX.att`.
    Tag,
    /// Sigstore bundles, as OCI 1.1 referrers.
    Bundle,
}

impl Form {
    /// The value of `storage.oci.encoding-format`.
    pub(crate) const fn encoding(self) -> &'static str {
        match self {
            Self::Tag => "dsse",
            Self::Bundle => "sigstore-bundle",
        }
    }

    /// A part of a repository's name.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Bundle => "bundle",
        }
    }
}

/// A registry, real or imitated.
pub(crate) trait Site: Sync {
    /// `HOST:PORT`.
    fn host(&self) -> String;

    /// Everything that speaks plain HTTP: the registry, and its token service where that is elsewhere.
    fn insecure(&self) -> Vec<String> {
        vec![self.host()]
    }

    /// The login that may push; `None` where the registry asks for no login.
    fn login(&self) -> Option<Login>;

    /// The whole name of the repository for an image called `name`.
    fn repository(&self, name: &str) -> String;

    /// The settings that a user of the product needs, as environment variables; their values are of this registry.
    fn settings(&self) -> Vec<(String, String)>;

    /// Pushes an image whose layer is `text`, as other programs do. Some products delete what a tag pointed to before.
    fn push_image(&self, repository: &str, tag: &str, text: &str) -> Pushed;

    /// Pushes an index of `members` as `latest`, as other programs do.
    fn push_index(&self, members: &[Pushed]) -> Pushed;

    /// How often a password has reached the registry or its token service; `None` where that can't be counted.
    fn passwords_seen(&self) -> Option<usize>;

    /// The same product with tags that can't be overwritten; `None` where it has no such setting.
    fn with_immutable_tags(&self) -> Option<Box<dyn Site>>;

    /// How many signatures of `image` another program verifies with the suite's first key; `None` where none is asked.
    fn judge(&self, form: Form, image: &Pushed) -> Option<usize>;

    /// The same of attestations of `predicate_type`.
    fn judge_attestations(&self, form: Form, image: &Pushed, predicate_type: &str) -> Option<usize>;

    /// Asks the registry with the login that may push.
    fn caller(&self) -> Caller {
        Caller::new(self.host(), self.login())
    }
}

impl Pushed {
    /// `HOST:PORT/REPOSITORY@DIGEST`.
    pub(crate) fn reference(&self, site: &dyn Site) -> String {
        format!("{}/{}@{}", site.host(), self.repository, self.digest)
    }

    /// The tag that is derived from the digest, with `suffix` behind it.
    pub(crate) fn tag(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.digest.replace(':', "-"))
    }
}
