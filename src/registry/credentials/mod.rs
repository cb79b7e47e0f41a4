//! Credentials from files and helpers: the [`Keychain`] of a step.
//!
//! All files of all [`Places`] are read and merged. For a repository, every entry that fits is given, in
//! this order: exact hosts before patterns (`*.example.com`), longer paths before shorter ones, earlier
//! files before later ones, and in one file `credHelpers` before `auths`. Each login is returned once.
//! `credsStore`, the helper for everything else, is asked when no entry gave a login; as in docker, a `credHelpers`
//! entry replaces it for its host, and an empty entry means none.
//!
//! Refused, always with an error and never by anonymous access: files that can't be read or understood
//! (found at once, exit code 2), entries that can't be used (found when a repository would use them, exit code 2), and helpers that fail
//! (found then too, exit code 1). A
//! helper that answers that it has no credential has not failed, whether `credHelpers` or `credsStore`
//! named it: docker then continues without a login, since many registries are public in part, and so does Stepseal, with a
//! warning in the log.
//!
//! Spec: <https://docs.docker.com/reference/cli/docker/login/#credential-stores>

mod entry;
mod format;
mod helper;
mod key;
mod places;

use std::path::PathBuf;
use std::sync::Arc;

pub use entry::EntryError;
pub use format::{Config, FormatError, parse};
pub use helper::HelperError;
pub use places::{FILE_NAMES, MAX_FILE_BYTES, Place, Places};

use self::format::Answer;
use self::helper::{HELPER_LIMIT, HelperName, Helpers};
use self::key::Target;
use self::places::Contents;
use super::keychain::{Credential, Found, Keychain, Login};
use crate::explain::explain;
use crate::oci::PlainHttp;
use crate::oci::reference::Repository;
use crate::process::ProgramEnvironment;

/// Why the credentials for a registry can't be known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A place that the user named isn't there.
    #[error("there are no credentials at {}", .path.display())]
    Missing {
        /// The path of the file or directory.
        path: PathBuf,
    },
    /// A directory that the user named holds none of the files.
    #[error("the credentials directory {} holds none of {}", .path.display(), FILE_NAMES.join(", "))]
    NoFile {
        /// The path of the file or directory.
        path: PathBuf,
    },
    /// It is there, but can't be read.
    #[error("cannot read the credentials in {}", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What was reported about it.
        source: std::io::Error,
    },
    /// It is a directory, a pipe, a device.
    #[error("the credentials in {} are not a regular file", .path.display())]
    NotRegular {
        /// The path of the file or directory.
        path: PathBuf,
    },
    /// It is longer than [`MAX_FILE_BYTES`].
    #[error("the credentials in {} are longer than {MAX_FILE_BYTES} bytes", .path.display())]
    TooBig {
        /// The path of the file or directory.
        path: PathBuf,
    },
    /// It isn't a credentials file.
    #[error("cannot use the credentials in {}", .path.display())]
    Format {
        /// The path of the file or directory.
        path: PathBuf,
        /// What was reported about it.
        source: FormatError,
    },
    /// What a Secret of the cluster holds isn't a credentials file, or the entry of a file or Secret that a repository would use can't be
    /// used.
    #[error("cannot use the credentials in {origin}")]
    Document {
        /// The file; or the Secret, and who names it.
        origin: String,
        /// What was reported about it.
        source: FormatError,
    },
    /// A credential helper failed.
    #[error("cannot get credentials for {server} from {program}")]
    Helper {
        /// The helper's file name.
        program: String,
        /// The registry that the helper was asked for.
        server: String,
        /// The helper, and the part of which file names it.
        origin: String,
        /// Why. Shared by all that waited for the helper.
        source: Arc<HelperError>,
    },
}

explain! { CredentialError,
    Self::Missing { .. } => ["credentials-missing", Usage, "mount the Secret there, or correct --registry-config"],
    Self::NoFile { .. } => ["credentials-missing", Usage, "mount a Secret with one of {names} there" with (names = FILE_NAMES.join(", "))],
    Self::Read { .. } => ["credentials-unreadable", Usage, "let this step's user read it, or name other credentials with --registry-config"],
    Self::NotRegular { .. } | Self::TooBig { .. } => ["credentials-not-a-file", Usage, "give a regular file such as docker's config.json"],
    Self::Format { source, .. } | Self::Document { source, .. } => [of source],
    Self::Helper { program, origin, source, .. } if matches!(**source, HelperError::Absent) => ["credentials-helper-absent", Failed,
        "put {program} on the PATH of this step, or mount a dockerconfigjson that holds the credentials themselves",
        used Some(origin.clone())],
    Self::Helper { program, server, origin, .. } => ["credentials-helper-failed", Failed,
        "see what this says in this step: echo {server} | {program} get", used Some(origin.clone())],
}

explain! { FormatError,
    Self::Entry { source: EntryError::Key, .. } => ["credentials-entry", Usage,
        "name the entry as the registry is named in images: HOST[:PORT][/PATH]"],
    Self::Entry { source: EntryError::Contradiction, .. } => ["credentials-entry", Usage,
        "leave out \"auth\", or \"username\" and \"password\""],
    Self::Entry { .. } => ["credentials-entry", Usage, "log in again, or make the Secret with kubectl create secret docker-registry"],
    Self::HelperName { .. } => ["credentials-format", Usage, "write NAME, where the program is docker-credential-NAME on the PATH"],
    Self::Repeated { .. } => ["credentials-format", Usage, "write all entries into one"],
    _ => ["credentials-format", Usage,
        "mount a dockerconfigjson, an object \"auths\" with an entry for each registry (kubectl create secret docker-registry makes one)"],
}

/// The credentials of files, and of the helpers that files name.
#[derive(Debug)]
pub struct FileKeychain {
    sources: Vec<String>,
    /// In the order of the sources.
    rules: Vec<Rule>,
    stores: Vec<Store>,
    helpers: Helpers,
    /// What is there and was not read, and why.
    unread: Option<String>,
    /// Registries whose default port is 80.
    plain_http: PlainHttp,
}

/// An entry, and the number of its source.
#[derive(Debug)]
struct Rule {
    source: usize,
    rule: format::Rule,
}

/// A `credsStore`, and the number of its source.
#[derive(Debug)]
struct Store {
    source: usize,
    helper: HelperName,
}

impl FileKeychain {
    /// Reads and merges every file of `places`. No helper is asked yet; they will be looked for in the `PATH` of
    /// `programs`, and run with this environment.
    ///
    /// # Errors
    ///
    /// If a place that must be there isn't, and if any file can't be read or understood.
    pub fn load(places: Places, programs: ProgramEnvironment) -> Result<Self, CredentialError> {
        let helpers = Helpers::new(programs, HELPER_LIMIT);
        let Contents { files, unread } = places.read()?;
        let mut keychain = Self {
            sources: Vec::new(),
            rules: Vec::new(),
            stores: Vec::new(),
            helpers,
            unread,
            plain_http: PlainHttp::default(),
        };
        for file in files {
            let config = parse(&file.bytes)
                .map_err(|source| CredentialError::Format { path: file.path.clone(), source })?;
            keychain.merge(file.path.display().to_string(), config);
        }
        Ok(keychain)
    }

    /// The same for a client that speaks plain HTTP to these registries: a name of theirs without a port means port 80, so an entry for port 443
    /// is another server's.
    #[must_use]
    pub(crate) fn over_plain_http(self, plain_http: PlainHttp) -> Self {
        Self { plain_http, ..self }
    }

    /// Adds what a Secret of the cluster holds, after everything that is there; `origin` names it in messages.
    ///
    /// # Errors
    ///
    /// If it can't be understood.
    pub fn add(&mut self, origin: &str, bytes: &[u8]) -> Result<(), CredentialError> {
        let config =
            parse(bytes).map_err(|source| CredentialError::Document { origin: origin.to_owned(), source })?;
        self.merge(origin.to_owned(), config);
        Ok(())
    }

    fn merge(&mut self, origin: String, config: Config) {
        let source = self.sources.len();
        self.sources.push(origin);
        self.rules.extend(config.rules.into_iter().map(|rule| Rule { source, rule }));
        self.stores.extend(config.store.map(|helper| Store { source, helper }));
    }

    /// What was read, in its order: the files, and what was added to them.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// A helper that may have to run, and the part of which file names it. One whose program isn't there can't.
    pub(crate) fn helper(&self) -> Option<(PathBuf, String)> {
        let of_rules = self.rules.iter().filter_map(|Rule { source, rule }| match &rule.answer {
            Answer::Helper(Some(helper)) => {
                Some((helper, self.place(&format!("credHelpers \"{}\"", rule.name), *source)))
            }
            _ => None,
        });
        let of_stores =
            self.stores.iter().map(|store| (&store.helper, self.place("credsStore", store.source)));
        of_rules.chain(of_stores).find_map(|(helper, place)| Some((self.helpers.find(helper)?, place)))
    }

    /// A program that credentials which aren't read yet could name as their helper; `None`: there is none.
    pub(crate) fn any_helper(&self) -> Option<PathBuf> {
        self.helpers.any()
    }

    async fn find(&self, repository: &Repository) -> Result<Vec<Credential>, CredentialError> {
        let target = Target::of(repository, self.plain_http.has(repository));
        let mut fitting: Vec<_> =
            self.rules.iter().filter_map(|rule| rule.rule.key.fit(&target).map(|fit| (fit, rule))).collect();
        // Stable, so equal entries stay in the order of their sources.
        fitting.sort_by_key(|(fit, _)| *fit);

        let mut found = Vec::new();
        for (_, Rule { source, rule }) in &fitting {
            // A registry's `credHelpers` and `auths` may have the same key: which of them it is, is said.
            let place = |part: &str| self.place(&format!("{part} \"{}\"", rule.name), *source);
            match &rule.answer {
                Answer::Login(login) => add(&mut found, login.clone(), place("entry")),
                Answer::Helper(None) => {}
                // It would be used first.
                Answer::Broken(error) if found.is_empty() => {
                    let origin = self.sources.get(*source).cloned().unwrap_or_default();
                    return Err(CredentialError::Document { origin, source: error.clone() });
                }
                Answer::Broken(_) => {
                    tracing::warn!(
                        entry = place("entry"),
                        "this entry for credentials cannot be used, and others were found"
                    );
                }
                Answer::Helper(Some(helper)) => {
                    if let Some(credential) = self.ask(helper, &target, &place("credHelpers")).await? {
                        add(&mut found, credential.login, credential.origin);
                    }
                }
            }
        }
        if found.is_empty() {
            for store in &self.stores {
                let replaced = |(_, rule): &(_, &Rule)| {
                    rule.source == store.source && matches!(rule.rule.answer, Answer::Helper(_))
                };
                if fitting.iter().any(replaced) {
                    continue;
                }
                let place = self.place("credsStore", store.source);
                if let Some(credential) = self.ask(&store.helper, &target, &place).await? {
                    add(&mut found, credential.login, credential.origin);
                }
            }
        }
        Ok(found)
    }

    /// Asks a helper for the registry's canonical name, and for the name as it is spelled if it has nothing for that.
    async fn ask(
        &self,
        helper: &HelperName,
        target: &Target,
        place: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        let origin = format!("helper \"{}\" ({place})", helper.as_str());
        for server in std::iter::once(target.server()).chain(target.spelled()) {
            match self.helpers.ask(helper, server).await {
                Ok(None) => {}
                Ok(Some(login)) => return Ok(Some(Credential { login, origin })),
                Err(source) => {
                    return Err(CredentialError::Helper {
                        program: helper.program(),
                        server: server.to_owned(),
                        origin,
                        source,
                    });
                }
            }
        }
        Ok(None)
    }

    /// `entry "registry.example" of /path/config.json`
    fn place(&self, part: &str, source: usize) -> String {
        let origin = self.sources.get(source).map(String::as_str).unwrap_or_default();
        format!("{part} of {origin}")
    }
}

impl Keychain for FileKeychain {
    fn credentials<'a>(&'a self, repository: &'a Repository) -> Found<'a> {
        Box::pin(self.find(repository))
    }

    fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }
}

/// Adds a credential, unless an earlier one sends the same.
fn add(found: &mut Vec<Credential>, login: Login, origin: String) {
    if !found.iter().any(|credential| credential.login == login) {
        found.push(Credential { login, origin });
    }
}

#[cfg(test)]
mod tests;
