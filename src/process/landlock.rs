//! Landlock: restricts the files that this process may access.
//!
//! [`LandlockRules`] lists the allowed files. [`LandlockRules::enforce`] forbids everything else for the calling thread and the threads that it starts:
//! reading, writing, creating, removing and running files, device ioctls, listening on TCP ports, and abstract sockets and signals
//! of other processes. Files that are already open stay open. The restriction can't be undone.
//!
//! A rule applies to the file or directory that exists when the rule is added, after following links. A file that replaces it later
//! is not covered; files that are added to a covered directory are.
//!
//! Landlock is a second line of defense. If the kernel doesn't have it, or only an older version, that is reported and is never
//! a failure.
//!
//! Spec: <https://docs.kernel.org/userspace-api/landlock.html>

use std::error::Error;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, make_bitflags,
};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use serde::Serialize;

/// The newest interface version to use. Older kernels enforce the part that they support.
const NEWEST: ABI = ABI::V10;

/// Flags to open a path without reading it and without blocking.
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// The rights to write a report: to create a temporary file, rename it, and remove it.
const PUT: BitFlags<AccessFs> = make_bitflags!(AccessFs::{WriteFile | MakeReg | RemoveFile});

/// The state of Landlock for this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Landlock {
    /// The command doesn't use it.
    #[default]
    NotUsed,
    /// Landlock restricts this process.
    Enforced {
        /// The version of the kernel interface that is in use.
        abi: u32,
    },
    /// The kernel doesn't have Landlock, or a sandbox forbids it.
    NotAvailable {
        /// The reason from the kernel.
        why: String,
    },
    /// Not used, because a program with unknown files may have to run.
    NotEnforced {
        /// The program, or another reason.
        why: String,
    },
}

impl fmt::Display for Landlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUsed => f.write_str("not used"),
            Self::Enforced { abi } => write!(f, "enforced, ABI {abi}"),
            Self::NotAvailable { why } => write!(f, "not available: {why}"),
            Self::NotEnforced { why } => write!(f, "not enforced: {why}"),
        }
    }
}

/// Whether this process runs more than one command.
static SEVERAL_COMMANDS: AtomicBool = AtomicBool::new(false);

/// Disables Landlock from now on, for processes that run several commands: each command needs different files.
pub(crate) fn forgo() {
    SEVERAL_COMMANDS.store(true, Ordering::Relaxed);
}

/// A file or directory with the allowed access.
#[derive(Debug)]
struct LandlockRule {
    /// The original path, for the log.
    path: PathBuf,
    place: OwnedFd,
    rights: BitFlags<AccessFs>,
}

/// The allowed files. A path that doesn't exist or can't be opened has no rule.
#[derive(Debug, Default)]
pub struct LandlockRules(Vec<LandlockRule>);

impl LandlockRules {
    /// Allows reading the file at `path`, or the directory with everything in it. Follows links.
    pub fn read(&mut self, path: &Path) {
        if let Some(place) = open(path) {
            self.read_place(path, place);
        }
    }

    /// The same for the open file `place`; `path` names it in the log.
    pub(crate) fn read_place(&mut self, path: &Path, place: OwnedFd) {
        self.add(path, place, make_bitflags!(AccessFs::{ReadFile | ReadDir}));
    }

    /// Allows listing `folder` and the directories below it.
    pub fn list(&mut self, folder: &Path) {
        if let Some(place) = open(folder) {
            self.add(folder, place, AccessFs::ReadDir.into());
        }
    }

    /// Allows creating and replacing files in `folder`, but not reading them.
    pub fn put(&mut self, folder: &Path) {
        if let Some(place) = open(folder) {
            self.add(folder, place, PUT);
        }
    }

    /// Allows writing to the file at `path`. Follows links.
    pub fn write(&mut self, path: &Path) {
        if let Some(place) = open(path) {
            self.add(path, place, AccessFs::WriteFile.into());
        }
    }

    /// Allows creating, replacing and reading files in `folder`. If it doesn't exist, the same applies to the nearest existing
    /// directory above it, where directories can be created too.
    pub fn keep(&mut self, folder: &Path) {
        let keep = PUT | AccessFs::ReadFile | AccessFs::ReadDir;
        match open(folder) {
            Some(place) => self.add(folder, place, keep),
            None => self.add_above(folder, keep | AccessFs::MakeDir),
        }
    }

    /// Allows connecting to sockets in the directory of `path`, or in the nearest existing directory above it, even to sockets created later.
    pub fn connect(&mut self, path: &Path) {
        self.add_above(path, AccessFs::ResolveUnix.into());
    }

    fn add_above(&mut self, path: &Path, rights: BitFlags<AccessFs>) {
        let found = path.ancestors().skip(1).find_map(|folder| Some((folder, open(folder)?)));
        if let Some((folder, place)) = found {
            self.add(folder, place, rights);
        }
    }

    fn add(&mut self, path: &Path, place: OwnedFd, rights: BitFlags<AccessFs>) {
        let is_folder =
            fstat(&place).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        let rights = if is_folder { rights } else { rights & AccessFs::from_file(NEWEST) };
        self.0.push(LandlockRule { path: path.to_owned(), place, rights });
    }

    /// Forbids all other access for this thread and the threads that it starts.
    pub fn enforce(&self) -> Landlock {
        if SEVERAL_COMMANDS.load(Ordering::Relaxed) {
            return Landlock::NotEnforced { why: "this process runs more than one command".to_owned() };
        }
        match self.restrict() {
            Ok(status) => state(status.ruleset, status.landlock),
            Err(error) => Landlock::NotAvailable { why: described(&error) },
        }
    }

    fn restrict(&self) -> Result<RestrictionStatus, RulesetError> {
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            // Connecting is not restricted, because the addresses of registries and clusters are not known in advance.
            .handle_access(AccessNet::BindTcp)?
            .scope(Scope::from_all(NEWEST))?
            .create()?;
        for LandlockRule { path, place, rights } in &self.0 {
            tracing::trace!(path = %path.display(), rights = ?rights, "Landlock rule");
            match (&mut ruleset).add_rule(PathBeneath::new(place, *rights)) {
                // Without this rule, a required file would be unreadable.
                Err(error) if !needs_no_rule(&error) => return Err(error),
                _ => {}
            }
        }
        ruleset.restrict_self()
    }
}

/// Whether the kernel rejected a rule because Landlock doesn't apply to the file, such as a pipe in `/dev/fd`.
fn needs_no_rule(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.raw_os_error() == Some(Errno::BADFD.raw_os_error());
        }
        cause = error.source();
    }
    false
}

fn open(path: &Path) -> Option<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    rustix::fs::open(path, PLACE, Mode::empty()).ok()
}

/// The state that results from the kernel's response.
fn state(ruleset: RulesetStatus, kernel: LandlockStatus) -> Landlock {
    let why = match (kernel, ruleset) {
        (LandlockStatus::NotEnabled, _) => "this kernel has it turned off",
        (LandlockStatus::NotImplemented, _) => {
            "this kernel doesn't have it, or a sandbox forbids the system call"
        }
        (LandlockStatus::Available { .. }, RulesetStatus::NotEnforced) => "the kernel enforces none of it",
        (LandlockStatus::Available { effective_abi, .. }, _) => {
            return Landlock::Enforced { abi: effective_abi as u32 };
        }
    };
    Landlock::NotAvailable { why: why.to_owned() }
}

/// An error with its causes on one line.
fn described(error: &(dyn Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors repeat their cause's text.
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests;
