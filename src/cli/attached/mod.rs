//! The commands for what lies beside an image: `tree`, `triangulate`, `download` and `attach`.
//!
//! Nothing of what they show is verified. What is absent is an error only where the registry itself says so: a look-up that fails is
//! another error.

mod attach;
mod begin;
mod certificate;
mod download;
mod error;
mod lines;
mod sbom;
mod tree;
mod triangulate;

use std::time::Instant;

use clap::ArgMatches;

use super::environment::Environment;
use super::output::Output;
use crate::exit::ExitCode;
use crate::explain::Explain as _;
use crate::flow::job::JobRuntime;
use crate::registry::client::Access;
use begin::Begun;
use error::BesideCommandError;

/// What a command was asked for, its own flags read.
enum Asked {
    Tree(tree::Tree),
    Triangulate(triangulate::Type),
    Download(download::Download),
    DownloadSbom(sbom::DownloadSbom),
    AttachSbom(attach::AttachSbom),
}

/// Runs the command `name`, which is one of these.
pub(super) fn run(name: &str, matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let from = Instant::now();
    let (name, matches) = match matches.subcommand() {
        Some((below, matches)) => (format!("{name} {below}"), matches),
        None => (name.to_owned(), matches),
    };
    match attempt(&name, matches, environment, from, out) {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            out.error(&error);
            error.exit()
        }
    }
}

fn attempt(
    name: &str,
    matches: &ArgMatches,
    environment: &Environment,
    from: Instant,
    out: &mut Output,
) -> Result<(), BesideCommandError> {
    let flags = super::own_flags::OwnFlags::new(matches, environment);
    let command = name.split(' ').next().unwrap_or_default();
    let access = if name == "attach sbom" { Access::PullPush } else { Access::Pull };
    let begun = Begun::new(command, matches, environment, access, from, out)?;
    let asked = match name {
        "tree" => Asked::Tree(tree::Tree::new(&flags)?),
        "triangulate" => Asked::Triangulate(triangulate::Type::new(&flags)?),
        "download signature" => Asked::Download(download::Download::signatures()),
        "download attestation" => Asked::Download(download::Download::attestations(&flags)?),
        "download sbom" => Asked::DownloadSbom(sbom::DownloadSbom::new(&flags)?),
        _ => Asked::AttachSbom(attach::AttachSbom::new(&flags, out)?),
    };
    let ended = JobRuntime::start()?.run_until(begun.deadline, asked.run(&begun, out));
    ended.unwrap_or_else(|why| Err(BesideCommandError::Ended(why)))
}

impl Asked {
    async fn run(&self, begun: &Begun, out: &mut Output) -> Result<(), BesideCommandError> {
        match self {
            Asked::Tree(tree) => tree.run(begun, out).await,
            Asked::Triangulate(kind) => kind.run(begun, out).await,
            Asked::Download(download) => download.run(begun, out).await,
            Asked::DownloadSbom(download) => download.run(begun, out).await,
            Asked::AttachSbom(attach) => attach.run(begun, out).await,
        }
    }
}
