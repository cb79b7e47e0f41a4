//! `stepseal generate-key-pair`: the same files, or the same Secret, as cosign makes.
//!
//! A Secret is made whole by one request, or not at all, and one that is there is never changed: cosign would put its keys beside what else
//! is in it. As with cosign, the public key is written to a file too; the file is there first, and goes away again if there is no Secret.

use std::path::PathBuf;

use clap::ArgMatches;

use super::environment::Environment;
use super::key_files::{self, KeyFiles, KeyFilesError, password};
use super::output::Output;
use super::own_flags::OwnFlags;
use super::sign::fail;
use crate::cluster::{Cluster, ClusterError, Left, Reach};
use crate::exit::ExitCode;
use crate::explain::{Explain as _, explain};
use crate::flow::access;
use crate::flow::job::{JobRuntime, RuntimeError};
use crate::object_name::{NameError, ObjectName};
use crate::secret::Secret;
use crate::sign::{self, KeyError};
use crate::{cluster, foreign};

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
enum PairError {
    #[error("cannot make a key pair")]
    Key(#[source] KeyError),
    #[error(transparent)]
    Files(#[from] KeyFilesError),
    #[error("{0:?} is no place for keys")]
    Place(String),
    #[error("{place} is not a Secret's name")]
    Name { place: String, source: NameError },
    #[error("there is a Secret {name} already{holds}; it was not changed")]
    SecretExists { name: ObjectName, holds: String },
    #[error("cannot put a key pair into Secret {name}")]
    Cluster { name: ObjectName, source: ClusterError },
    #[error("it is not known whether there is a Secret {name} now: no answer says so, and it cannot be read")]
    Open { name: ObjectName, public: PathBuf, source: ClusterError },
    #[error("cannot reach a cluster")]
    Connect(#[source] ClusterError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

explain! { PairError,
    Self::Key(error) => [of error, exit Failed],
    Self::Files(error) => [of error],
    Self::Place(_) => ["key-pair-place", Usage,
        "leave it out to write files, or give - for standard output or k8s://NAMESPACE/NAME for a Secret"],
    Self::Name { .. } => ["key-pair-secret-name", Usage, "write k8s://NAMESPACE/NAME"],
    Self::SecretExists { name, .. } => ["key-pair-secret-exists", Usage, hint Some(format!(
        "choose another name, or take it away yourself, if nothing is signed with it: kubectl -n {} delete secret {}",
        name.namespace(),
        name.name()
    ))],
    Self::Open { name, public, source } => [of source, hint Some(format!(
        "{} was left: compare it with cosign.pub in the Secret (kubectl -n {} get secret {}), and take it away if they differ or there is none",
        foreign::escape(&public.display().to_string(), 512),
        name.namespace(),
        name.name()
    ))],
    Self::Cluster { source, .. } => [of source],
    Self::Connect(source) => [of source, used None],
    Self::Runtime(_) => ["key-pair-no-runtime", Failed, "give it more memory and processes"],
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let given = match OwnFlags::new(matches, environment).text("output-key-prefix") {
        Ok(given) => given,
        Err(error) => return fail(&error, out),
    };
    let prefix = given.as_deref().unwrap_or("cosign");
    let result = match matches.get_one::<String>("destination").map(String::as_str) {
        None => generate(prefix, environment, out),
        Some("-") if matches.contains_id("output-key-prefix") => {
            Err(PairError::Place("- with --output-key-prefix".to_owned()))
        }
        Some("-") => print(environment, out),
        Some(place) => match place.strip_prefix("k8s://") {
            Some(_) => into_secret(place, prefix, environment, out),
            None => Err(PairError::Place(foreign::escape(place, 120))),
        },
    };
    match result {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            out.error(&error);
            error.exit()
        }
    }
}

fn generate(prefix: &str, environment: &Environment, out: &mut Output) -> Result<(), PairError> {
    let files = KeyFiles::new(prefix);
    files.are_free()?;
    let pair = sign::generate(&password(environment)?).map_err(PairError::Key)?;
    files.create(&pair)?;
    files.say(out);
    Ok(())
}

/// Prints both keys, the private one first.
fn print(environment: &Environment, out: &mut Output) -> Result<(), PairError> {
    let pair = sign::generate(&password(environment)?).map_err(PairError::Key)?;
    out.print_data(pair.private_pem.expose_str().unwrap_or_default());
    out.print_data(&pair.public_pem);
    Ok(())
}

/// Makes the Secret `place`, and the public key's file.
fn into_secret(
    place: &str,
    prefix: &str,
    environment: &Environment,
    out: &mut Output,
) -> Result<(), PairError> {
    let name: ObjectName = place
        .trim_start_matches("k8s://")
        .parse()
        .map_err(|source| PairError::Name { place: foreign::escape(place, 120), source })?;
    let public = PathBuf::from(format!("{prefix}.pub"));
    if public.symlink_metadata().is_ok() {
        return Err(KeyFilesError::Exists(public).into());
    }
    let job = JobRuntime::start()?;
    let env = |name: &str| environment.get(name);
    let reach = || access::reach_at_once(environment);
    // Found before a password is asked for.
    job.part(async {
        let cluster = Cluster::connect(&reach(), &env).await.map_err(PairError::Connect)?;
        is_free(&cluster, &name).await
    })?;
    let password = password(environment)?;
    let pair = sign::generate(&password).map_err(PairError::Key)?;
    key_files::create(&public, pair.public_pem.as_bytes(), 0o644)?;
    let public_pem = Secret::from(pair.public_pem);
    let entries =
        [("cosign.key", &pair.private_pem), ("cosign.password", &password), ("cosign.pub", &public_pem)];
    let made = job.part(make(&reach, &env, &name, &entries));
    let made = made.map_err(|(source, left)| match left {
        Left::Unknown => PairError::Open { name: name.clone(), public: public.clone(), source },
        Left::Other => PairError::SecretExists { name: name.clone(), holds: String::new() },
        _ => failed(&name, source),
    });
    if let Err(error) = made {
        // A public key without its private half is of no use.
        if !matches!(error, PairError::Open { .. }) {
            let _ = std::fs::remove_file(&public);
        }
        return Err(error);
    }
    out.line(&format!("private key, password and public key written to Secret {name}"));
    out.line(&format!("public key written to {}", public.display()));
    Ok(())
}

/// Makes the Secret; if it isn't made, says why, and what there is instead.
async fn make(
    reach: &dyn Fn() -> Reach,
    env: cluster::Environment<'_>,
    name: &ObjectName,
    entries: &[(&str, &Secret)],
) -> Result<(), (ClusterError, Left)> {
    // Typing a password may have taken long: the time for this begins now.
    let cluster = Cluster::connect(&reach(), env).await.map_err(|error| (error, Left::Nothing))?;
    let error = match cluster.create_secret(name, entries).await {
        Ok(()) => return Ok(()),
        Err(error) if error.leaves_open() => error,
        Err(error) => return Err((error, Left::Nothing)),
    };
    // The time for making it may be over.
    let left = match Cluster::connect(&reach(), env).await {
        Ok(cluster) => cluster.left_of(name, entries).await,
        Err(_) => Left::Unknown,
    };
    if left == Left::Ours { Ok(()) } else { Err((error, left)) }
}

/// Whether there is no such Secret. Who may make one and not read any is told when it is made.
async fn is_free(cluster: &Cluster, name: &ObjectName) -> Result<(), PairError> {
    match cluster.secret(name).await {
        Ok(secret) => {
            let keys: Vec<String> = secret.keys().map(|key| foreign::escape(key, 60)).take(8).collect();
            let holds =
                if keys.is_empty() { ", empty".into() } else { format!(", with {}", keys.join(", ")) };
            Err(PairError::SecretExists { name: name.clone(), holds })
        }
        Err(error) if error.is_not_found() || error.status() == Some(403) => Ok(()),
        Err(source) => Err(failed(name, source)),
    }
}

fn failed(name: &ObjectName, source: ClusterError) -> PairError {
    let name = name.clone();
    match source.status() {
        Some(409) => PairError::SecretExists { name, holds: String::new() },
        _ => PairError::Cluster { name, source },
    }
}
