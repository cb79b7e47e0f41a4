//! What is read below `$HOME`, and when.
//!
//! The steps of a Task may share `$HOME`: one of them can leave a kubeconfig there that runs a program in the signing step, or a
//! registry login that wins over the mounted one. So in a pod nothing below `$HOME` is read unless a variable or a flag names it,
//! or it was mounted there: `SharedFolder` decides that. Elsewhere `$HOME` is the user's own.
//!
//! `BELOW_HOME` lists all of it: no other file below `$HOME` is looked at, and this module alone reads the variables. There is
//! no cache (the trusted root is in the program or in a file that is named), `.netrc` is not read, `~` means nothing in a
//! setting, and other files come from variables that name them (`SSL_CERT_FILE`) or from fixed places outside. A credential
//! helper or an exec plugin decides itself what it reads, and some files run programs (`credential_process` of `.aws/config`). So in
//! a pod it gets no `HOME` that lies on a volume ([`unfit_for_programs`]). Variables that name such a program's files are the
//! Task's own words and stay, `XDG_CONFIG_HOME` too: Tekton sets none of them.

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

/// Something that is read below `$HOME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BelowHome {
    /// The folder below `$HOME`.
    pub folder: &'static str,
    /// The file in it that the variable has to name; empty: the variable names the folder.
    pub file: &'static str,
    /// The variable that names it wherever it is.
    pub variable: &'static str,
}

/// docker's logins.
const DOCKER: BelowHome = BelowHome { folder: ".docker", file: "", variable: "DOCKER_CONFIG" };
/// kubectl's configuration.
const KUBE: BelowHome = BelowHome { folder: ".kube", file: "config", variable: "KUBECONFIG" };

/// The variable itself.
pub(super) const HOME: &str = "HOME";

/// Everything that is read below `$HOME`.
#[cfg(test)]
const BELOW_HOME: [BelowHome; 2] = [DOCKER, KUBE];

/// Where a Secret with registry credentials is mounted by default.
const REGISTRY_CREDENTIALS: &str = "/etc/registry-credentials";
/// Where Tekton gives each step the credentials of its ServiceAccount; a memory of its own for each step.
const TEKTON_CREDENTIALS: &str = "/tekton/creds/.docker";
/// What is there in every step of Tekton's.
const TEKTON: &str = "/tekton";

/// The environment, as a look-up.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable's value; one that is empty is not set.
fn variable(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// The places of registry credentials: those that `--registry-config` named, or else the default ones.
pub fn credentials(named: &Option<Vec<PathBuf>>, env: Env<'_>) -> Places {
    match named {
        Some(paths) => Places::explicit(paths.iter().cloned()),
        None => Home::of(env).credentials(env),
    }
}

/// The kubeconfigs: those that `KUBECONFIG` names, and the one below `$HOME`. Their plugins get the environment `programs`.
pub fn kubeconfigs(env: Env<'_>, programs: ProgramEnvironment) -> Kubeconfigs {
    Kubeconfigs {
        programs,
        named: variable(env, KUBE.variable).map(|paths| std::env::split_paths(&paths).collect()),
        home: Home::of(env).folder(KUBE),
    }
}

/// Whether this process runs in a pod, as far as it can tell: in any with the API's variable, and in every step of Tekton's.
pub fn in_pod(env: Env<'_>) -> bool {
    Home::of(env).in_pod
}

/// Why credential helpers and plugins must not get `HOME`; `None`: they may, or it isn't set.
///
/// In a pod the folder has to lie on the container's own root file system: another step of the pod can write to any volume.
pub(crate) fn unfit_for_programs(env: Env<'_>) -> Option<String> {
    Home::of(env).unfit_for_programs()
}

/// `$HOME`, and whether other steps may share it.
struct Home {
    path: Option<PathBuf>,
    in_pod: bool,
    mount_of: MountOf,
}

impl Home {
    fn of(env: Env<'_>) -> Self {
        Self::with(env, Path::new(TEKTON), Arc::new(|file| MountId::of(file)))
    }

    /// `tekton` is there in a step of Tekton's; `mount_of` tells mounts apart.
    fn with(env: Env<'_>, tekton: &Path, mount_of: MountOf) -> Self {
        // One that can't be looked at may be there.
        let no_tekton =
            tekton.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        let in_pod = variable(env, "KUBERNETES_SERVICE_HOST").is_some() || !no_tekton;
        Self { path: variable(env, HOME).map(PathBuf::from), in_pod, mount_of }
    }

    /// A folder below `$HOME`, as far as it may be read.
    fn folder(&self, below: BelowHome) -> Option<HomeFolder> {
        let path = self.path.as_ref()?.join(below.folder);
        if !self.in_pod {
            return Some(HomeFolder::Private(path));
        }
        // `join` with nothing would add a slash.
        let named = if below.file.is_empty() { path.clone() } else { path.join(below.file) };
        let setting = format!("{}={}", below.variable, named.display());
        Some(HomeFolder::Shared(SharedFolder::new(path, setting, Arc::clone(&self.mount_of))))
    }

    /// See [`unfit_for_programs`].
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
        // A folder that isn't there yet would lie where the next one above it does.
        let found = path.ancestors().map(mount).find(|found| !matches!(found, Err(Errno::NOENT)));
        match (found, mount(Path::new("/"))) {
            (Some(Ok(Some(home))), Ok(Some(root))) if home == root => None,
            (Some(Ok(Some(_))), Ok(Some(_))) => Some(format!(
                "{place} lies on a volume, which other steps of the pod may be able to write to"
            )),
            (Some(Err(error)), _) => Some(format!("{place} cannot be looked at: {error}")),
            _ => Some(format!("the system does not tell which mount {place} lies on")),
        }
    }

    /// The default places of registry credentials.
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
