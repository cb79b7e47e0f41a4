//! Which files Stepseal reads below `$HOME`, and when.
//!
//! The steps of a Task may share `$HOME`. Another step can leave a kubeconfig there that runs a program in the signing step, or a
//! registry login that takes precedence over the mounted login. So in a pod nothing below `$HOME` is read unless a variable or a flag names it,
//! or it was mounted there; `SharedFolder` decides that. Outside a pod, `$HOME` belongs to the user.
//!
//! `BELOW_HOME` lists everything that is read below `$HOME`, and only this module reads the variables. There is
//! no cache (the trusted root is built in or in a named file), `.netrc` is not read, `~` has no meaning in
//! settings, and other files come from variables (`SSL_CERT_FILE`) or from fixed paths outside. A credential
//! helper or an exec plugin decides itself what it reads, and some files run programs (`credential_process` in `.aws/config`). So in
//! a pod it gets no `HOME` that is on a volume ([`unfit_for_programs`]). Variables that name such a program's files, such as
//! `XDG_CONFIG_HOME`, are passed on: the Task sets them, because Tekton sets none of them.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::cluster::Kubeconfigs;
use crate::input::mount::MountId;
use crate::input::shared_folder::{HomeFolder, MountOf, SharedFolder};
use crate::process::ProgramEnvironment;
use crate::registry::credentials::{Place, Places};

/// A file or directory that is read below `$HOME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HomeEntry {
    /// The directory below `$HOME`.
    pub folder: &'static str,
    /// The file in it that the variable names; empty if the variable names the directory.
    pub file: &'static str,
    /// The variable that names another location for it.
    pub variable: &'static str,
}

/// Docker's configuration with registry logins.
const DOCKER: HomeEntry = HomeEntry { folder: ".docker", file: "", variable: "DOCKER_CONFIG" };
/// kubectl's configuration with clusters and users.
const KUBE: HomeEntry = HomeEntry { folder: ".kube", file: "config", variable: "KUBECONFIG" };

/// The name of the variable `HOME`.
pub(super) const HOME: &str = "HOME";

/// Everything that Stepseal reads below `$HOME`.
#[cfg(test)]
const BELOW_HOME: [HomeEntry; 2] = [DOCKER, KUBE];

/// Where a Secret with registry credentials is mounted by default.
const REGISTRY_CREDENTIALS: &str = "/etc/registry-credentials";
/// Where Tekton puts the credentials of a step's ServiceAccount. Each step has its own memory volume there.
const TEKTON_CREDENTIALS: &str = "/tekton/creds/.docker";
/// A directory that exists in every Tekton step.
const TEKTON: &str = "/tekton";

/// A function that looks up environment variables.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable's value. An empty variable counts as unset.
fn variable(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// The locations of registry credentials: those in `--registry-config`, or the default locations.
pub fn credentials(named: &Option<Vec<PathBuf>>, env: Env<'_>) -> Places {
    match named {
        Some(paths) => Places::explicit(paths.iter().cloned()),
        None => HomeDir::of(env).credentials(env),
    }
}

/// The kubeconfigs that `KUBECONFIG` names, and the kubeconfig below `$HOME`. Their plugins get the environment `programs`.
pub fn kubeconfigs(env: Env<'_>, programs: ProgramEnvironment) -> Kubeconfigs {
    Kubeconfigs {
        programs,
        named: variable(env, KUBE.variable).map(|paths| std::env::split_paths(&paths).collect()),
        home: HomeDir::of(env).folder(KUBE),
    }
}

/// Whether this process seems to run in a pod: the API server's variable is set, or Tekton's directory exists.
pub fn in_pod(env: Env<'_>) -> bool {
    HomeDir::of(env).in_pod
}

/// Why credential helpers and plugins must not get `HOME`; `None` if they may, or if it isn't set.
///
/// In a pod the directory has to be on the container's own root file system, because other steps of the pod can write to volumes.
pub(crate) fn unfit_for_programs(env: Env<'_>) -> Option<String> {
    HomeDir::of(env).unfit_for_programs()
}

/// `$HOME`, and whether other steps may write to it.
struct HomeDir {
    path: Option<PathBuf>,
    in_pod: bool,
    mount_of: MountOf,
}

impl HomeDir {
    fn of(env: Env<'_>) -> Self {
        Self::with(env, Path::new(TEKTON), Arc::new(|file| MountId::of(file)))
    }

    /// Creates it with the path of Tekton's directory and a function that identifies mounts.
    fn with(env: Env<'_>, tekton: &Path, mount_of: MountOf) -> Self {
        // A directory that can't be examined may exist.
        let no_tekton =
            tekton.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        let in_pod = variable(env, "KUBERNETES_SERVICE_HOST").is_some() || !no_tekton;
        Self { path: variable(env, HOME).map(PathBuf::from), in_pod, mount_of }
    }

    /// A directory below `$HOME`, with the rules for reading it.
    fn folder(&self, below: HomeEntry) -> Option<HomeFolder> {
        let path = self.path.as_ref()?.join(below.folder);
        if !self.in_pod {
            return Some(HomeFolder::Private(path));
        }
        // `join` with nothing would add a slash.
        let named = if below.file.is_empty() { path.clone() } else { path.join(below.file) };
        let setting = format!("{}={}", below.variable, named.display());
        Some(HomeFolder::Shared(SharedFolder::new(path, setting, Arc::clone(&self.mount_of))))
    }

    /// Implements the function [`unfit_for_programs`].
    fn unfit_for_programs(&self) -> Option<String> {
        let path = self.path.as_ref().filter(|_| self.in_pod)?;
        let mount = |path: &Path| {
            let folder = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            Ok::<_, Errno>((self.mount_of)(folder.as_fd()))
        };
        let place = path.display();
        if !path.is_absolute() {
            return Some(format!("{place} is a relative path"));
        }
        // A directory that doesn't exist yet would be on the mount of its nearest existing ancestor.
        let found = path.ancestors().map(mount).find(|found| !matches!(found, Err(Errno::NOENT)));
        match (found, mount(Path::new("/"))) {
            (Some(Ok(Some(home))), Ok(Some(root))) if home == root => None,
            (Some(Ok(Some(_))), Ok(Some(_))) => {
                Some(format!("{place} is on a volume that other steps of the pod may be able to write to"))
            }
            (Some(Err(error)), _) => Some(format!("{place} cannot be examined: {error}")),
            _ => Some(format!("the mount of {place} is unknown")),
        }
    }

    /// The default locations of registry credentials, in order of precedence.
    fn credentials(&self, env: Env<'_>) -> Places {
        let named = |name: &str| variable(env, name).map(|path| Place::optional(path.into()));
        let places = [
            Some(Place::optional(REGISTRY_CREDENTIALS.into())),
            named(DOCKER.variable),
            named("REGISTRY_AUTH_FILE"),
            self.folder(DOCKER).map(|folder| match folder {
                HomeFolder::Private(path) => Place::optional(path),
                HomeFolder::Shared(folder) => Place::shared(folder),
            }),
            Some(Place::optional(TEKTON_CREDENTIALS.into())),
        ];
        Places { paths: places.into_iter().flatten().collect() }
    }
}

#[cfg(test)]
mod tests;
