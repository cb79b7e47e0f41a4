//! How an embedded registry is set up.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::pattern;
use crate::secret::Secret;

/// How an [`EmbeddedRegistry`](super::EmbeddedRegistry) is set up. The default is an open registry on a free
/// port, with everything on that the specification knows.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// How clients say who they are.
    pub auth: Auth,
    /// Which logins the registry accepts, and their rights.
    pub users: Vec<User>,
    /// What may be done without credentials; without [`Auth`] everything may.
    pub anonymous: Rights,
    /// The answer to a known caller without the right that the request needs.
    pub denied: Denied,
    /// How long a Bearer token is good for.
    pub token_lifetime: Duration,
    /// Where the token service listens.
    pub token_service: TokenService,
    /// The address that challenges name as the token service; `None` for the real one.
    pub realm: Option<String>,
    /// `SCHEME://HOST[:PORT]` as clients see it, where something stands in front; `None` for the real one.
    pub public_url: Option<String>,
    /// Whether `Location` is a whole URL or a path.
    pub absolute_locations: bool,
    /// Whether the location of an upload is complete without a query; with it, the query must come back.
    pub plain_uploads: bool,
    /// Whether there is a referrers API; without it, the answers are those of docker-registry 2.8.
    pub referrers: bool,
    /// Whether, and how, everything that writes is refused.
    pub read_only: Option<ReadOnly>,
    /// Whether one POST can hold a whole blob; without it, the POST only begins an upload.
    pub monolithic_post: bool,
    /// Whether a manifest is stored without a look at what it names, as some registries do.
    pub unchecked_manifests: bool,
    /// Whether a tag that is overwritten takes with it the manifest that it pointed to, and what only that manifest
    /// named, as in Gitea.
    pub deletes_overwritten: bool,
    /// The most entries in one page of tags or referrers; `None` for all of them.
    pub page_size: Option<NonZeroUsize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            auth: Auth::None,
            users: Vec::new(),
            anonymous: Rights::default(),
            denied: Denied::Challenge,
            token_lifetime: Duration::from_secs(300),
            token_service: TokenService::SameListener,
            realm: None,
            public_url: None,
            absolute_locations: false,
            plain_uploads: false,
            referrers: true,
            read_only: None,
            monolithic_post: true,
            unchecked_manifests: false,
            deletes_overwritten: false,
            page_size: None,
        }
    }
}

/// How clients say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all: everybody may do everything.
    None,
    /// User and password with each request.
    Basic,
    /// A token of the token service with each request; passwords are good only there.
    Bearer,
    /// As [`Bearer`](Self::Bearer), and the registry takes passwords too, although no challenge says so.
    Both,
}

/// Where the token service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenService {
    /// On the registry's own port, as `/token`.
    SameListener,
    /// On a port of its own, as `/token`.
    OwnListener,
}

/// The answer to a known caller without the right that the request needs, in [`Auth::Bearer`]. With
/// [`Auth::Basic`] it is always 403: another challenge could only bring the same credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// 401 with `error="insufficient_scope"`, as docker-registry answers, however often it is asked.
    Challenge,
    /// 403 DENIED once the token service has refused the right; 401 while it has not been asked for it.
    Forbidden,
}

/// How a registry that takes no writes refuses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// 405 UNSUPPORTED, as docker-registry in maintenance.
    Unsupported,
    /// Answers with 403 and the code DENIED.
    Denied,
}

/// Somebody with a password.
#[derive(Clone, Debug)]
pub struct User {
    pub(super) name: String,
    pub(super) password: Secret,
    pub(super) identity_token: Option<Secret>,
    pub(super) rights: Rights,
}

impl User {
    /// A user who may do nothing yet.
    pub fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: Secret::from(password.to_owned()),
            identity_token: None,
            rights: Rights::default(),
        }
    }

    /// The refresh token that stands for the user at the token service.
    #[must_use]
    pub fn identity_token(mut self, token: &str) -> Self {
        self.identity_token = Some(Secret::from(token.to_owned()));
        self
    }

    /// The user may also pull from repositories that match `pattern` (`*` within a part, `**` across).
    #[must_use]
    pub fn may_pull(mut self, pattern: &str) -> Self {
        self.rights = self.rights.pull(pattern);
        self
    }

    /// The user may also pull from, push to and delete from repositories that match `pattern`.
    #[must_use]
    pub fn may_push(mut self, pattern: &str) -> Self {
        self.rights = self.rights.push(pattern);
        self
    }
}

/// What may be done to which repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(Vec<(String, Action)>);

impl Rights {
    /// These rights, and pulling from repositories that match `pattern`.
    #[must_use]
    pub fn pull(mut self, pattern: &str) -> Self {
        self.0.push((pattern.to_owned(), Action::Pull));
        self
    }

    /// These rights, and pulling, pushing and deleting in repositories that match `pattern`.
    #[must_use]
    pub fn push(mut self, pattern: &str) -> Self {
        self.0.push((pattern.to_owned(), Action::Push));
        self
    }

    /// Whether `action` may be done to `repository`.
    pub(super) fn allow(&self, repository: &str, action: Action) -> bool {
        self.0.iter().any(|(text, most)| {
            let parts: Vec<&str> = text.split('/').collect();
            action <= *most && pattern::covers(&parts, repository)
        })
    }
}

/// What is done to a repository; the greater one includes the lesser one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Pull,
    Push,
}

impl Action {
    /// The actions that a token's scope names.
    pub(super) const fn scope(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_end_at_path_boundaries() {
        let rights = Rights::default().pull("team-a/**").push("team-a/app");
        assert!(rights.allow("team-a/x/y", Action::Pull) && !rights.allow("team-a/x/y", Action::Push));
        assert!(rights.allow("team-a/app", Action::Push) && rights.allow("team-a/app", Action::Pull));
        assert!(!rights.allow("team-ab/x", Action::Pull) && !rights.allow("team-a/app2", Action::Push));
    }

    #[test]
    fn options_show_no_password() {
        let users = vec![User::new("ci", "hunter2").identity_token("r3fresh")];
        let shown = format!("{:?}", Options { users, ..Options::default() });
        assert!(!shown.contains("hunter2") && !shown.contains("r3fresh"), "{shown}");
    }
}
