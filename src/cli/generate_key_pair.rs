//! `stepseal generate-key-pair`: the same files, or the same Secret, as cosign makes.
//!
//! A Secret is made whole by one request, or not at all, and one that is there is never changed: cosign would put its keys beside what else
//! is in it. As with cosign, the public key is written to a file too; the file is there first, and goes away again if there is no Secret.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::access;
use super::environment::Environment;
use super::output::Output;
use super::runtime;
use crate::cluster::{self, Cluster, ClusterError, Left, NameError, ObjectName, Reach};
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::secret::Secret;
use crate::sign::{self, KeyError};

/// The variable that cosign reads the password from.
const PASSWORD_VARIABLE: &str = "COSIGN_PASSWORD";

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
enum PairError {
    #[error("cannot make a key pair")]
    Key(#[source] KeyError),
    #[error("{} is there already; it was not overwritten", foreign::shown(&.0.display().to_string(), 512))]
    Exists(PathBuf),
    #[error("cannot write {}", foreign::shown(&path.display().to_string(), 512))]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot ask for a password: there is no terminal, and COSIGN_PASSWORD is not set")]
    NoPassword,
    #[error("cannot read the password from the terminal")]
    Terminal(#[source] std::io::Error),
    #[error("the two passwords are not the same")]
    Mismatch,
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
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
}

impl Explain for PairError {
    fn used(&self) -> Option<String> {
        match self {
            Self::Cluster { source, .. } | Self::Open { source, .. } => source.used(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Key(error) => return error.hint(),
            Self::Exists(_) => "choose another --output-key-prefix, or move the old key away".into(),
            Self::Write { .. } => "choose a folder that can be written with --output-key-prefix".into(),
            Self::NoPassword => "set COSIGN_PASSWORD; an empty one is allowed".into(),
            Self::Terminal(_) | Self::Mismatch => "try again, or set COSIGN_PASSWORD".into(),
            Self::Place(_) => {
                "leave it out to write files, or give - for standard output or k8s://NAMESPACE/NAME for a Secret".into()
            }
            Self::Name { .. } => "write k8s://NAMESPACE/NAME".into(),
            Self::SecretExists { name, .. } => format!(
                "choose another name, or take it away yourself, if nothing is signed with it: kubectl -n {} delete secret {}",
                name.namespace(),
                name.name()
            ),
            Self::Open { name, public, .. } => format!(
                "{} was left: compare it with cosign.pub in the Secret (kubectl -n {} get secret {}), and take it away if they differ or there is none",
                foreign::shown(&public.display().to_string(), 512),
                name.namespace(),
                name.name()
            ),
            Self::Cluster { source, .. } | Self::Connect(source) => return source.hint(),
            Self::Runtime(_) => "give it more memory and processes".into(),
        })
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::NoPassword
            | Self::Mismatch
            | Self::Exists(_)
            | Self::Place(_)
            | Self::Name { .. }
            | Self::SecretExists { .. } => ExitCode::Usage,
            Self::Cluster { source, .. } | Self::Connect(source) | Self::Open { source, .. } => source.exit(),
            _ => ExitCode::Failed,
        }
    }
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let prefix = matches.get_one::<String>("output-key-prefix").map_or("cosign", String::as_str);
    let result = match matches.get_one::<String>("destination").map(String::as_str) {
        None => generate(prefix, environment, out),
        Some("-") if matches.value_source("output-key-prefix") == Some(ValueSource::CommandLine) => {
            Err(PairError::Place("- with --output-key-prefix".to_owned()))
        }
        Some("-") => print(environment, out),
        Some(place) => match place.strip_prefix("k8s://") {
            Some(_) => into_secret(place, matches, environment, out),
            None => Err(PairError::Place(foreign::shown(place, 120))),
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
    let key = PathBuf::from(format!("{prefix}.key"));
    let public = PathBuf::from(format!("{prefix}.pub"));
    if let Some(there) = [&key, &public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(PairError::Exists(there.clone()));
    }
    let pair = sign::generate(&password(environment)?).map_err(PairError::Key)?;
    create(&key, pair.private_pem.expose(), 0o600)?;
    if let Err(error) = create(&public, pair.public_pem.as_bytes(), 0o644) {
        // A private key without its public half is of no use: neither is left behind.
        let _ = std::fs::remove_file(&key);
        return Err(error);
    }
    out.line(&format!("private key written to {}", key.display()));
    out.line(&format!("public key written to {}", public.display()));
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
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<(), PairError> {
    let name: ObjectName = place
        .trim_start_matches("k8s://")
        .parse()
        .map_err(|source| PairError::Name { place: foreign::shown(place, 120), source })?;
    let prefix = matches.get_one::<String>("output-key-prefix").map_or("cosign", String::as_str);
    let public = PathBuf::from(format!("{prefix}.pub"));
    if public.symlink_metadata().is_ok() {
        return Err(PairError::Exists(public));
    }
    let runtime = runtime::start().map_err(PairError::Runtime)?;
    let env = |name: &str| environment.get(name);
    let reach = || access::reach_at_once(environment);
    // Found before a password is asked for.
    runtime.block_on(async {
        let cluster = Cluster::connect(&reach(), &env).await.map_err(PairError::Connect)?;
        is_free(&cluster, &name).await
    })?;
    let password = password(environment)?;
    let pair = sign::generate(&password).map_err(PairError::Key)?;
    create(&public, pair.public_pem.as_bytes(), 0o644)?;
    let public_pem = Secret::from(pair.public_pem);
    let entries =
        [("cosign.key", &pair.private_pem), ("cosign.password", &password), ("cosign.pub", &public_pem)];
    let made = runtime.block_on(make(&reach, &env, &name, &entries));
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
            let keys: Vec<String> = secret.keys().map(|key| foreign::shown(key, 60)).take(8).collect();
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

/// Writes a new file; one that is there already is never touched.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PairError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => PairError::Exists(path.to_owned()),
        _ => PairError::Write { path: path.to_owned(), source },
    })
}

fn password(environment: &Environment) -> Result<Secret, PairError> {
    if let Some(password) = environment.secret(PASSWORD_VARIABLE) {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        return Err(PairError::NoPassword);
    }
    let ask = |prompt| rpassword::prompt_password(prompt).map(Secret::from).map_err(PairError::Terminal);
    let first = ask("password for the private key: ")?;
    let second = ask("the same again: ")?;
    if first == second { Ok(first) } else { Err(PairError::Mismatch) }
}
