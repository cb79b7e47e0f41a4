//! Kubeconfigs: where they are, and what a kubeconfig that no setting names may do.
//!
//! A kubeconfig can run programs, and name files of any kind. One that `KUBECONFIG` names may do both. So may the one below
//! `$HOME`, except where other steps may share that folder: there it is read if it was mounted, runs no program, and the files that
//! it names relative to itself have to be mounted too.

mod look;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::ExposeSecret as _;
use url::Url;
use zeroize::Zeroizing;

use super::error::{ClusterError, KubeconfigFault};
use crate::foreign;
use crate::input::shared_folder::{Found, HomeFolder, SharedFolder};
use crate::input::{self, InputError};
use crate::net::Environment;
use crate::net::proxy::Proxies;
use crate::process::ProgramEnvironment;

pub use look::Look;

/// The longest kubeconfig that is mounted, and the longest file that it names: Kubernetes lets no Secret be longer.
const FILE_BYTES: u64 = 1024 * 1024;

/// The longest kubeconfig that is a file of the user's: one of a thousand clusters has some megabytes.
const NAMED_BYTES: u64 = 16 * 1024 * 1024;

/// The name of the kubeconfig in its folder below `$HOME`.
const FILE_NAME: &str = "config";

/// The kubeconfigs that there are; the configuration knows which.
#[derive(Clone, Debug, Default)]
pub struct Kubeconfigs {
    /// Those that are named, merged in their order; they go before a pod's token. `None`: none is named.
    pub(crate) named: Option<Vec<PathBuf>>,
    /// The folder below `$HOME`, which is looked at last.
    pub(crate) home: Option<HomeFolder>,
    /// What a plugin that a kubeconfig names gets as its environment. The process' own proxy is in it too.
    pub(crate) programs: ProgramEnvironment,
}

/// A kubeconfig that can be connected with.
pub(super) struct Loaded {
    pub(super) config: kube::Config,
    /// The user's name and the file, for people.
    pub(super) login: String,
}

impl Kubeconfigs {
    /// The named kubeconfigs, merged; `None`: none is named. They are read until `deadline` at most.
    pub(super) async fn load_named(&self, deadline: Instant) -> Option<Result<Loaded, Missing>> {
        let paths: Vec<PathBuf> = self.named.as_ref()?.iter().filter(|path| path.exists()).cloned().collect();
        Some(match paths.first() {
            Some(first) => {
                let merged = read(first, &paths, deadline, &self.programs).await;
                merged.map_err(Missing::Unusable)
            }
            None => Err(Missing::Nowhere),
        })
    }

    /// The kubeconfig below `$HOME`; `None`: there is none that may be read.
    pub(super) async fn load_home(&self, deadline: Instant) -> Result<Option<Loaded>, ClusterError> {
        match self.home.as_ref() {
            None => Ok(None),
            Some(HomeFolder::Private(folder)) => {
                let path = folder.join(FILE_NAME);
                match path.exists() {
                    true => {
                        read(&path, std::slice::from_ref(&path), deadline, &self.programs).await.map(Some)
                    }
                    false => Ok(None),
                }
            }
            Some(HomeFolder::Shared(folder)) => mounted(folder, &self.programs).await,
        }
    }

    /// The kubeconfig below `$HOME` that is there and is not read, and why: text for a hint.
    pub(super) fn unread(&self) -> Option<String> {
        match self.home.as_ref() {
            Some(HomeFolder::Shared(folder)) if self.named.is_none() => {
                let found = folder.find(Path::new(FILE_NAME));
                matches!(found, Found::Unprotected)
                    .then(|| folder.unread(&[folder.path().join(FILE_NAME)]))
                    .flatten()
            }
            _ => None,
        }
    }
}

/// Why a named kubeconfig isn't there.
pub(super) enum Missing {
    /// None of the files exists.
    Nowhere,
    /// One can't be used.
    Unusable(ClusterError),
}

/// Reads and merges the files at `paths`, of which `first` is the first.
async fn read(
    first: &Path,
    paths: &[PathBuf],
    deadline: Instant,
    programs: &ProgramEnvironment,
) -> Result<Loaded, ClusterError> {
    let mut merged = Kubeconfig::default();
    for path in paths {
        let next = read_one(path, deadline).await?;
        merged = merged.merge(next).map_err(|error| unusable(path, error))?;
    }
    load(first, merged, programs).await
}

/// Reads the file at `path`, which may be a FIFO that nobody writes to: on a thread of its own, as kube's reader would wait for it
/// without end, and a runtime waits for its own threads.
async fn read_one(path: &Path, deadline: Instant) -> Result<Kubeconfig, ClusterError> {
    let failed = |source| ClusterError::KubeconfigFile { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(failed)?;
    if found.file_type().is_char_device() || found.file_type().is_block_device() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is a device")));
    }
    if found.len() > NAMED_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let (send, receive) = tokio::sync::oneshot::channel();
    let file = path.to_owned();
    let reader = move || drop(send.send(Kubeconfig::read_from(file)));
    std::thread::Builder::new().spawn(reader).map_err(failed)?;
    match tokio::time::timeout_at(deadline.into(), receive).await {
        Ok(Ok(read)) => read.map_err(|error| unusable(path, error)),
        Ok(Err(_)) => Err(failed(io::Error::other("its reader ended without an answer"))),
        Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
    }
}

/// Reads the kubeconfig in `folder`, if it was mounted.
async fn mounted(
    folder: &SharedFolder,
    programs: &ProgramEnvironment,
) -> Result<Option<Loaded>, ClusterError> {
    let path = folder.path().join(FILE_NAME);
    let text = match folder.find(Path::new(FILE_NAME)) {
        Found::File(file) => content(file),
        Found::Absent | Found::Unprotected => return Ok(None),
        Found::Failed(source) => Err(source),
    };
    let text = text.and_then(|bytes| {
        let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Zeroizing::new(text.to_owned()))
    });
    let text = text.map_err(|source| ClusterError::KubeconfigFile { path: path.clone(), source })?;
    let mut kubeconfig = Kubeconfig::from_yaml(&text).map_err(|error| unusable(&path, error))?;
    embed(&mut kubeconfig, folder)?;
    let loaded = load(&path, kubeconfig, programs).await?;
    match program(&loaded.config.auth_info) {
        Some(program) => Err(ClusterError::Program { path, program: foreign::escape(program, 200).into() }),
        None => Ok(Some(loaded)),
    }
}

async fn load(
    path: &Path,
    kubeconfig: Kubeconfig,
    programs: &ProgramEnvironment,
) -> Result<Loaded, ClusterError> {
    let context = kubeconfig.current_context.clone().unwrap_or_default();
    let own = kubeconfig.contexts.iter().find(|named| named.name == context);
    let own = own.and_then(|named| named.context.as_ref());
    let user = own.and_then(|context| context.user.clone()).unwrap_or_default();
    let cluster =
        own.and_then(|context| kubeconfig.clusters.iter().find(|named| named.name == context.cluster));
    let has_proxy = cluster
        .and_then(|named| named.cluster.as_ref()?.proxy_url.as_ref())
        .is_some_and(|proxy| !proxy.is_empty());
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| unusable(path, error))?;
    token(&mut config.auth_info)
        .map_err(|fault| ClusterError::Kubeconfig { path: path.to_owned(), source: Box::new(fault) })?;
    // kube reads the variables itself too, but not NO_PROXY, and one with a password is overwritten in the environment.
    if !has_proxy {
        config.proxy_url = proxy(programs, &config.cluster_url)?;
    }
    plugin_environment(&mut config.auth_info, programs);
    Ok(Loaded { config, login: format!("user \"{user}\" of {}", path.display()) })
}

/// Takes the line break off a token's end, which YAML's `|` leaves there, and refuses one that no header can have: kube would panic.
fn token(user: &mut AuthInfo) -> Result<(), KubeconfigFault> {
    let Some(given) = user.token.as_ref() else { return Ok(()) };
    let token = Zeroizing::new(given.expose_secret().trim().to_owned());
    if http::HeaderValue::from_str(&token).is_err() {
        return Err(KubeconfigFault::Token);
    }
    user.token = Some(token.as_str().into());
    Ok(())
}

fn unusable(path: &Path, source: KubeconfigError) -> ClusterError {
    ClusterError::Kubeconfig { path: path.to_owned(), source: Box::new(source.into()) }
}

/// The proxy that the environment has for the API server, as for registries.
fn proxy(programs: &ProgramEnvironment, server: &http::Uri) -> Result<Option<http::Uri>, ClusterError> {
    let environment = Environment::from_variables(|name| programs.get(name).map(OsStr::to_owned));
    let proxies = Proxies::new(&environment);
    let Ok(server) = Url::parse(&server.to_string()) else { return Ok(None) };
    let Some(proxy) = proxies.of(&server).map_err(|_| ClusterError::Proxy)? else { return Ok(None) };
    let address = Zeroizing::new(proxy.url().as_str().trim_end_matches('/').to_owned());
    address.parse().map(Some).map_err(|_| ClusterError::Proxy)
}

/// Gives a plugin the environment `programs`. kube starts it with that of this process and what the kubeconfig adds, and takes
/// away the names in `drop_env` last of all, so that these must not be among the added ones.
fn plugin_environment(user: &mut AuthInfo, programs: &ProgramEnvironment) {
    let left_out = || programs.left_out().filter_map(OsStr::to_str);
    if let Some(exec) = user.exec.as_mut() {
        let added = exec.env.get_or_insert_default();
        let is_added = |name: &str| added.iter().any(|pair| pair.get("name").is_some_and(|n| n == name));
        exec.drop_env
            .get_or_insert_default()
            .extend(left_out().filter(|name| !is_added(name)).map(str::to_owned));
        let missing: Vec<_> = programs
            .secret()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
            .filter(|(name, _)| !is_added(name))
            .map(|(name, value)| {
                HashMap::from([("name".to_owned(), name.to_owned()), ("value".to_owned(), value.to_owned())])
            })
            .collect();
        added.extend(missing);
    }
    if let Some(provider) = user.auth_provider.as_mut() {
        let dropped = provider.config.entry("cmd-drop-env".to_owned()).or_default();
        for name in left_out() {
            dropped.push(' ');
            dropped.push_str(name);
        }
    }
}

/// The program that `user` would have run: an exec plugin's, or that of the older provider for Google's cloud.
fn program(user: &AuthInfo) -> Option<&str> {
    let plugin = user.exec.as_ref().map(|exec| exec.command.as_deref().unwrap_or_default());
    plugin.or_else(|| user.auth_provider.as_ref()?.config.get("cmd-path").map(String::as_str))
}

/// Reads the files that `kubeconfig` names relative to itself and puts their content in their place, so that none of them is
/// opened by its name later.
fn embed(kubeconfig: &mut Kubeconfig, folder: &SharedFolder) -> Result<(), ClusterError> {
    let relative = |name: &Option<String>| name.clone().filter(|name| Path::new(name).is_relative());
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        if let Some(name) = relative(&cluster.certificate_authority) {
            cluster.certificate_authority = None;
            let bytes = referenced(folder, &name)?;
            cluster.certificate_authority_data.get_or_insert_with(|| STANDARD.encode(&*bytes));
        }
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        if let Some(name) = relative(&user.client_certificate) {
            user.client_certificate = None;
            let bytes = referenced(folder, &name)?;
            user.client_certificate_data.get_or_insert_with(|| STANDARD.encode(&*bytes));
        }
        if let Some(name) = relative(&user.client_key) {
            user.client_key = None;
            let bytes = referenced(folder, &name)?;
            user.client_key_data.get_or_insert_with(|| STANDARD.encode(&*bytes).into());
        }
        if let Some(name) = relative(&user.token_file) {
            user.token_file = None;
            let bytes = referenced(folder, &name)?;
            let token = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
            user.token.get_or_insert_with(|| token.into());
        }
    }
    Ok(())
}

/// The content of a file that the kubeconfig in `folder` names.
fn referenced(folder: &SharedFolder, name: &str) -> Result<Zeroizing<Vec<u8>>, ClusterError> {
    let content = match folder.find(Path::new(name)) {
        Found::File(file) => content(file),
        Found::Absent => Err(io::ErrorKind::NotFound.into()),
        Found::Unprotected => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "other steps may be able to write it: it is not on the mount of the kubeconfig",
        )),
        Found::Failed(source) => Err(source),
    };
    let path = folder.path().join(foreign::escape(name, 200));
    content.map_err(|source| ClusterError::KubeconfigFile { path, source })
}

fn content(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    input::read_secret(file, FILE_BYTES).map_err(|error| match error {
        InputError::NotAFile { .. } => {
            io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
        }
        InputError::TooLarge { .. } => io::ErrorKind::FileTooLarge.into(),
        InputError::Io(source) => source,
        other => io::Error::other(other),
    })
}

#[cfg(test)]
mod tests;
