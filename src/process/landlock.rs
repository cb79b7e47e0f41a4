//! Landlock: the files that this process may read and write.
//!
//! [`Rules`] lists them, and [`Rules::enforce`] forbids everything else for the thread that calls it and for those that it starts:
//! reading, writing, making, removing and running files, ioctls of devices, listening on TCP ports, abstract sockets and signals
//! of other processes. What is open already stays open. It can't be undone.
//!
//! A rule is about the file or folder that is there when the rule is made, wherever links lead then. A file that replaces it later
//! is another file; whatever comes into a folder is in the folder.
//!
//! Landlock is a second line of defense: where the kernel lacks it, or only knows a part of it, that is reported and never a
//! failure.
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

/// The newest interface that is asked for; of an older kernel, as much of it as it has.
const NEWEST: ABI = ABI::V10;

/// Opens whatever it is as a place, which reads nothing and waits for nothing.
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Making a new file beside the one that it replaces, and removing it again: what a report needs.
const PUT: BitFlags<AccessFs> = make_bitflags!(AccessFs::{WriteFile | MakeReg | RemoveFile});

/// Whether Landlock is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Landlock {
    /// The command doesn't use it.
    #[default]
    NotUsed,
    /// It is in force.
    Enforced {
        /// The version of the kernel's interface whose rights are restricted.
        abi: u32,
    },
    /// The kernel doesn't have it, or a sandbox forbids it.
    NotAvailable {
        /// What the kernel says.
        why: String,
    },
    /// It is left out, because a program may have to run whose files aren't known.
    NotEnforced {
        /// Which program.
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

/// Leaves Landlock out from now on: this process runs more than one command, and the files of the first are not those of the next.
pub(crate) fn forgo() {
    SEVERAL_COMMANDS.store(true, Ordering::Relaxed);
}

/// A file or folder, and what may be done with it.
#[derive(Debug)]
struct Rule {
    /// Where it was found, for the log.
    path: PathBuf,
    place: OwnedFd,
    rights: BitFlags<AccessFs>,
}

/// The files that may be used. What isn't there, or can't be opened, has no rule.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Lets the file at `path` be read, or the folder with all that is in it; links are followed wherever they lead.
    pub fn read(&mut self, path: &Path) {
        if let Some(place) = open(path) {
            self.read_place(path, place);
        }
    }

    /// The same of what is open as `place`; `path` names it in the log.
    pub(crate) fn read_place(&mut self, path: &Path, place: OwnedFd) {
        self.add(path, place, make_bitflags!(AccessFs::{ReadFile | ReadDir}));
    }

    /// Lets the names in `folder` be listed, and in the folders below it.
    pub fn list(&mut self, folder: &Path) {
        if let Some(place) = open(folder) {
            self.add(folder, place, AccessFs::ReadDir.into());
        }
    }

    /// Lets files be made in `folder`, and replace those that are there. None can be read.
    pub fn put(&mut self, folder: &Path) {
        if let Some(place) = open(folder) {
            self.add(folder, place, PUT);
        }
    }

    /// Lets what is at `path` be written, wherever links lead.
    pub fn write(&mut self, path: &Path) {
        if let Some(place) = open(path) {
            self.add(path, place, AccessFs::WriteFile.into());
        }
    }

    /// Lets files be made in `folder`, replace those that are there, and be read. If it isn't there, it can be made, and so can
    /// others in the nearest folder above that is there.
    pub fn keep(&mut self, folder: &Path) {
        let keep = PUT | AccessFs::ReadFile | AccessFs::ReadDir;
        match open(folder) {
            Some(place) => self.add(folder, place, keep),
            None => self.add_above(folder, keep | AccessFs::MakeDir),
        }
    }

    /// Lets the socket at `path` be connected to, also one that is made later: in its folder, or in the nearest one above that is there.
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
        self.0.push(Rule { path: path.to_owned(), place, rights });
    }

    /// Forbids everything else, for this thread and those that it starts.
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
            // Connecting is not restricted: where registries and clusters listen isn't known before they are asked for.
            .handle_access(AccessNet::BindTcp)?
            .scope(Scope::from_all(NEWEST))?
            .create()?;
        for Rule { path, place, rights } in &self.0 {
            tracing::trace!(path = %path.display(), rights = ?rights, "Landlock rule");
            match (&mut ruleset).add_rule(PathBeneath::new(place, *rights)) {
                // Without its rule, a file that is needed couldn't be read.
                Err(error) if !needs_no_rule(&error) => return Err(error),
                _ => {}
            }
        }
        ruleset.restrict_self()
    }
}

/// Whether the kernel takes no rule because the file is out of Landlock's reach: a pipe that `/dev/fd` names, for example.
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

/// What the kernel made of the rules.
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

/// An error with its causes, in a line.
fn described(error: &(dyn Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors repeat their cause.
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
