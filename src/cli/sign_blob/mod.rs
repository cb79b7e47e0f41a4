//! `stepseal sign-blob` and `attest-blob`: files and statements about files, signed with a key, with the flags of cosign's commands.
//!
//! What is written, and when something is printed, is as cosign 3.1.2 has it; docs/sign-blob.md lists what differs. Nothing is written or
//! printed before all of it is signed, and verified by the code of `verify-blob` ([`check`]).

mod attest;
mod check;
mod error;
mod outputs;
mod refused;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ArgMatches;

use super::environment::Environment;
use super::output::Output;
use super::own_flags::OwnFlags;
use super::sign::fail;
use super::verify_blob::blob;
use super::{confinement, given};
use crate::config::{Config, ValueOrigin};
use crate::exit::ExitCode;
use crate::flow::access;
use crate::flow::job::JobRuntime;
use crate::input;
use crate::key::{Algorithm, Hash, Scheme, Signature};
use crate::sign::Signer;
use crate::store::bundle;
use crate::verify::bundle::{Artifact, Wanted};
use check::Check;
use error::SignBlobError;
use outputs::{BundleFormat, Outputs, Written};

/// Which command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// The command is `sign-blob`.
    Sign,
    /// The command is `attest-blob`.
    Attest,
}

pub(super) fn run(
    command: Command,
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> ExitCode {
    let done = match command {
        Command::Sign => sign(matches, environment, out),
        Command::Attest => attest::attest(matches, environment, out),
    };
    match done {
        Ok(()) => ExitCode::Done,
        Err(error) => fail(&error, out),
    }
}

/// What both commands begin with.
struct Setup {
    begun: Instant,
    config: Config,
    /// The value of `--signing-algorithm`.
    algorithm: Option<(String, ValueOrigin)>,
    /// Whether the consent to a log's entry is given, and nothing says that there is to be none.
    expects_log: bool,
}

impl Setup {
    fn read(
        command: &str,
        matches: &ArgMatches,
        environment: &Environment,
        out: &mut Output,
    ) -> Result<Self, SignBlobError> {
        let begun = Instant::now();
        let flags = OwnFlags::new(matches, environment);
        if let Some((origin, wants)) = refused::find(matches, &flags)? {
            return Err(SignBlobError::Refused { origin, wants });
        }
        let config = given::signing(command, matches, environment, out)?;
        if config.agent.is_some() {
            return Err(SignBlobError::Agent);
        }
        let off = |flag| Ok::<_, SignBlobError>(flags.switch(flag)? == Some(false));
        let no_log = off("tlog-upload")? || off("use-signing-config")?;
        let expects_log = flags.switch("yes")?.unwrap_or_default() && !no_log;
        Ok(Self { begun, config, algorithm: flags.values("signing-algorithm")?.pop(), expects_log })
    }

    /// Confines the process, which reads `inputs` and writes what `outputs` asks for, and takes the places of the latter.
    fn confine(
        &self,
        inputs: &[&Path],
        outputs: &Outputs,
        environment: &Environment,
    ) -> Result<outputs::Files, SignBlobError> {
        confinement::with_key(&self.config, environment, inputs, &outputs.paths());
        let keys = self.config.key.paths();
        let all: Vec<&Path> = inputs.iter().copied().chain(keys.iter().map(PathBuf::as_path)).collect();
        outputs.open(&all)
    }

    /// Does `work` with the key, on a thread of its own, within the time limit.
    fn with_key<T: Send + 'static>(
        &self,
        environment: &Environment,
        work: impl FnOnce(&dyn Signer, Scheme) -> Result<T, SignBlobError> + Send + 'static,
    ) -> Result<T, SignBlobError> {
        let deadline = self.begun + self.config.timeout;
        let done = JobRuntime::start()?.run_until(deadline, async {
            let key = access::key(&self.config, environment, deadline).await?;
            environment.forget_keys();
            let signer = key.signer().await?;
            let scheme = self.scheme(signer.public_key().algorithm())?;
            let task = tokio::task::spawn_blocking(move || work(&*signer, scheme));
            task.await.map_err(|_| SignBlobError::Ended)?
        });
        done.map_err(SignBlobError::Interrupted)?
    }

    /// What the key signs.
    fn scheme(&self, key: Algorithm) -> Result<Scheme, SignBlobError> {
        let Some((name, origin)) = &self.algorithm else { return Ok(Scheme::of(key)) };
        Scheme::named(name, key).map_err(|source| SignBlobError::Scheme {
            origin: origin.clone(),
            name: name.clone(),
            source,
        })
    }

    /// The last line for people.
    fn say(&self, hash: Option<Hash>, out: &mut Output) {
        if let Some(hash) = hash.filter(|hash| *hash != Hash::Sha256) {
            out.line(&format!(
                "note: signed over {hash}, as cosign signs with such a key; cosign itself verifies that from a Sigstore bundle alone, with \
                 --signature-digest-algorithm {hash}"
            ));
        }
        if self.expects_log {
            out.line("note: nothing was uploaded to a transparency log; verify with --insecure-ignore-tlog");
        }
    }
}

fn sign(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> Result<(), SignBlobError> {
    let setup = Setup::read("sign-blob", matches, environment, out)?;
    let flags = OwnFlags::new(matches, environment);
    let outputs = Outputs::read(&flags)?;
    let encoded = flags.switch("b64")?.unwrap_or(true);
    let blobs = matches.get_many::<String>("blob").into_iter().flatten();
    let blobs: Vec<PathBuf> = blobs.map(PathBuf::from).collect();
    let files = blobs.len();
    if files > 1 {
        if let Some(flag) = outputs.one_file() {
            return Err(SignBlobError::OneFile { files, flag });
        }
        if !encoded {
            return Err(SignBlobError::RunTogether { files });
        }
        if blobs.iter().filter(|path| input::is_stdin(path)).count() > 1 {
            return Err(SignBlobError::TwiceStdin);
        }
    }
    let inputs: Vec<&Path> = blobs.iter().map(PathBuf::as_path).collect();
    let places = setup.confine(&inputs, &outputs, environment)?;
    let format = outputs.format;
    let (hash, signed) = setup.with_key(environment, move |signer, scheme| {
        let signed: Result<Vec<Written>, _> =
            blobs.iter().map(|path| file(signer, scheme, path, format, encoded)).collect();
        Ok((scheme.hash(), signed?))
    })?;
    if outputs.prints() {
        for written in &signed {
            out.print_bytes(&written.signature);
            if encoded {
                out.print_data("\n");
            }
        }
    }
    if let [one] = signed.as_slice() {
        places.write(one, out)?;
    }
    setup.say(hash, out);
    Ok(())
}

/// Signs the file at `path`, and verifies what it gives.
fn file(
    signer: &dyn Signer,
    scheme: Scheme,
    path: &Path,
    format: BundleFormat,
    encoded: bool,
) -> Result<Written, SignBlobError> {
    let wanted = match scheme {
        Scheme::Digest(hash) => Wanted::default().and(hash),
        Scheme::Whole => Wanted { whole: true, ..Wanted::default() },
    };
    let artifact = read(path, wanted)?;
    // What was read has both.
    let digest_by = |hash| artifact.by(hash).unwrap_or_default();
    let signature = match scheme {
        Scheme::Digest(hash) => signer.sign_digest(hash, &digest_by(hash))?,
        Scheme::Whole => signer.sign(artifact.whole().unwrap_or_default())?,
    };
    let key = signer.public_key();
    let check = Check::new(key, scheme);
    let bundle = match format {
        BundleFormat::Sigstore => {
            let hash = scheme.hash().unwrap_or(Hash::Sha256);
            let bundle = bundle::of_message(key, hash, &digest_by(hash), &signature)?;
            check.bundle(&bundle, &artifact).map_err(SignBlobError::Check)?;
            bundle
        }
        BundleFormat::Old => {
            let bundle = bundle::old(key, &signature.0)?;
            check.old(&bundle, &artifact).map_err(SignBlobError::Check)?;
            bundle
        }
    };
    let signature = if encoded { signature.base64().into_bytes() } else { signature.0 };
    check.detached(&signature, &artifact).map_err(SignBlobError::Check)?;
    Ok(Written { bundle: bundle.into(), signature, attestation: Vec::new() })
}

/// As much of a file as is wanted.
fn read(path: &Path, wanted: Wanted) -> Result<Artifact, SignBlobError> {
    let failed = |source| SignBlobError::Read { what: "the file", path: path.to_owned(), source };
    blob::read(path, wanted).map_err(failed)
}

/// Signs bytes that are in memory.
fn sign_bytes(signer: &dyn Signer, scheme: Scheme, bytes: &[u8]) -> Result<Signature, SignBlobError> {
    Ok(match scheme {
        Scheme::Digest(hash) => signer.sign_digest(hash, &hash.digest(bytes))?,
        Scheme::Whole => signer.sign(bytes)?,
    })
}
