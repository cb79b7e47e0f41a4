//! `stepseal verify-blob` and `verify-blob-attestation`: a file's signature, bundle or attestation, with the flags of cosign's commands.

pub(super) mod blob;
pub(super) mod error;
mod given;
mod timed;

use std::sync::Arc;
use std::time::Instant;

use clap::ArgMatches;

use crate::cli::environment::Environment;
use crate::cli::output::Output;
use crate::cli::{confinement, globals, trust};
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::formats::cosign_statement::PAYLOAD_TYPE;
use crate::verify::bundle::{
    Bundle, BundleError, Bundles, Counted, Signed, TOLD, TimeSource, Verified, Verifier, Wanted, Who,
};
use crate::verify::statement::Statement;
use blob::Blob;
use error::BlobError;
use given::{Given, Signatures};

/// Which command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// The command is `verify-blob`.
    Blob,
    /// The command is `verify-blob-attestation`.
    Attestation,
}

pub(super) fn run(
    command: Command,
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> ExitCode {
    match verify(command, matches, environment) {
        Ok(lines) => {
            lines.iter().for_each(|line| out.line(line));
            ExitCode::Done
        }
        Err(error) => {
            out.error(&error);
            error.exit()
        }
    }
}

/// The line that cosign prints on success.
const OK: &str = "Verified OK";

/// Verifies, and returns the lines for people.
fn verify(
    command: Command,
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<Vec<String>, BlobError> {
    let deadline = Instant::now() + globals::time_limit(matches)?;
    confinement::verify_blob(matches, environment);
    let name = matches.get_one::<String>("blob").or_else(|| matches.get_one("digest"));
    let name = name.map_or("the attestation", String::as_str);
    let wanted = given::wanted_type(matches)?;
    let given = Given::new(matches, name, wanted.is_some())?;
    let mut policy = trust::policy(matches, environment)?;
    given.fit(&mut policy)?;
    let mut blob = Blob::new(matches, command, deadline)?;
    let material = given::material(&given, &policy, environment)?;
    let signatures = given.signatures(&policy.signer)?;
    let alone = given.is_alone(&policy);
    let verifier = Verifier::new(Arc::new(material), policy);
    let counted = match signatures {
        Signatures::Lines(bundles) => lines(name, &verifier, bundles, &mut blob)?,
        Signatures::Any(bundles) => first(name, &verifier, &bundles, &mut blob, alone)?.into(),
    };
    let described = of_type(name, counted, wanted.as_deref())?;
    // A bare signature by a key has nothing more to show.
    let is_bare = matches.get_one::<String>("bundle").is_none();
    Ok(match described.good.as_slice() {
        [(_, (Verified { who: Who::Key { .. }, .. }, None))] if is_bare => vec![OK.to_owned()],
        _ => told(&described),
    })
}

/// What counts of the bundles in a file.
fn lines(
    name: &str,
    verifier: &Verifier,
    mut bundles: Bundles,
    blob: &mut Blob,
) -> Result<Counted<Verified>, BlobError> {
    let refused = |source| BlobError::refused(name, source, false);
    let artifact = blob.read(name, bundles.wanted(verifier).map_err(refused)?)?;
    bundles.judge(verifier, &artifact, blob.is_there_again());
    if bundles.are_left() {
        // A signature is of another hash than most: only then is a large file read once more.
        let artifact = blob.read(name, Wanted::DIGESTS)?;
        bundles.judge(verifier, &artifact, false);
    }
    bundles.counted().map_err(refused)
}

/// The first of `bundles` that is good; they differ in nothing but their signatures.
fn first(
    name: &str,
    verifier: &Verifier,
    bundles: &[Bundle],
    blob: &mut Blob,
    alone: bool,
) -> Result<Verified, BlobError> {
    let refused = |source| BlobError::refused(name, source, alone);
    let Some((bundle, others)) = bundles.split_first() else { return Err(refused(BundleError::NoLogEntry)) };
    let artifact = blob.read(name, verifier.wanted(bundle).map_err(refused)?)?;
    match verifier.verify(bundle, &artifact) {
        // It is of another hash than most: only then is a large file read once more.
        Err(error) if error.lacks_digest() && blob.is_there_again() => {
            let artifact = blob.read(name, Wanted::DIGESTS)?;
            verifier.verify(bundle, &artifact).map_err(refused)
        }
        Err(error) => {
            let good = others.iter().find_map(|bundle| verifier.verify(bundle, &artifact).ok());
            good.ok_or_else(|| refused(error))
        }
        Ok(verified) => Ok(verified),
    }
}

/// Those that are of the type `wanted`, with the type of each that is an attestation.
fn of_type(
    name: &str,
    counted: Counted<Verified>,
    wanted: Option<&str>,
) -> Result<Counted<(Verified, Option<String>), String>, BlobError> {
    let is_several = counted.is_several();
    let mut refused: Vec<(usize, String)> =
        counted.refused.iter().map(|(line, error)| (*line, error.reason())).collect();
    let (mut good, mut other) = (Vec::new(), None);
    for (line, verified) in counted.good {
        match predicate_type(name, &verified.content, wanted) {
            Ok(kind) => good.push((line, (verified, kind))),
            Err(error) => {
                refused.push((line, foreign::escape(&error.to_string(), 600)));
                other.get_or_insert((line, error));
            }
        }
    }
    match other {
        Some((line, error)) if good.is_empty() => Err(match is_several {
            true => BlobError::Line { line, source: Box::new(error) },
            false => error,
        }),
        _ => {
            refused.sort_by_key(|(line, _)| *line);
            Ok(Counted { good, refused })
        }
    }
}

/// The type of the attestation that was verified, if it is `wanted`; `None`: it is a signature.
fn predicate_type(name: &str, signed: &Signed, wanted: Option<&str>) -> Result<Option<String>, BlobError> {
    let artifact = || name.to_owned();
    let (payload_type, payload) = match (signed, wanted) {
        (Signed::Envelope { payload_type, payload }, _) => (payload_type, payload),
        (Signed::Message, None) => return Ok(None),
        (Signed::Message, Some(_)) => return Err(BlobError::NotAnAttestation { artifact: artifact() }),
    };
    let read = Statement::read_any(payload);
    let Some(wanted) = wanted else {
        return Ok(read.ok().map(|statement| statement.predicate_type));
    };
    if payload_type != PAYLOAD_TYPE {
        let found = foreign::escape(payload_type, 120);
        return Err(BlobError::PayloadType { artifact: artifact(), found });
    }
    let found = read.map_err(|source| BlobError::Statement { artifact: artifact(), source })?.predicate_type;
    if found != wanted {
        let (found, wanted) = (foreign::escape(&found, 200), wanted.to_owned());
        return Err(BlobError::OtherType { artifact: artifact(), found, wanted });
    }
    Ok(Some(found))
}

/// What people are told.
fn told(counted: &Counted<(Verified, Option<String>), String>) -> Vec<String> {
    let mut lines = vec![OK.to_owned()];
    for (line, (verified, kind)) in &counted.good {
        if counted.is_several() {
            lines.push(format!("  line {line}:"));
        }
        lines.extend(described(verified, kind.as_deref()));
    }
    let refused = counted.refused.iter().take(TOLD);
    lines.extend(refused.map(|(line, reason)| format!("  line {line} does not count: {reason}")));
    if counted.refused.len() > TOLD {
        lines.push(format!("  and {} more lines do not count", counted.refused.len() - TOLD));
    }
    lines
}

/// Of which type it is, who signed, when, and where it is logged.
fn described(verified: &Verified, kind: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(kind.map(|kind| format!("  an attestation of the type {}", foreign::escape(kind, 200))));
    lines.push(match &verified.who {
        Who::Key { key_id, .. } => format!("  signed by the key {key_id}"),
        Who::Identity { name, issuer: Some(issuer), .. } => format!(
            "  signed by {}, for whom {} vouches",
            foreign::escape(name, 300),
            foreign::escape(issuer, 300)
        ),
        Who::Identity { name, issuer: None, .. } => {
            format!("  signed by {}; the certificate names no issuer", foreign::escape(name, 300))
        }
    });
    lines.extend(verified.times.first().map(|time| match time.by {
        TimeSource::Now => format!("  as of now ({:.0}): nothing proves when", time.at),
        _ => format!("  at {} at the latest", time.at),
    }));
    lines.extend(
        verified
            .log_entries
            .iter()
            .map(|entry| format!("  logged in {} as entry {}", entry.log, entry.index)),
    );
    lines.extend(verified.waived.iter().map(|waived| format!("  {waived}")));
    lines.extend(verified.unknown_timestamps.iter().map(|stamp| format!("  note: {stamp}")));
    lines
}
