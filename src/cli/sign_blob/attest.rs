//! `attest-blob`: a statement about a file, made of a predicate or given whole, in a signed envelope.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde_json::value::RawValue;

use super::check::Check;
use super::error::SignBlobError;
use super::outputs::{BundleFormat, Outputs, Written};
use super::{Setup, read, sign_bytes};
use crate::cli::environment::Environment;
use crate::cli::output::Output;
use crate::cli::own_flags::OwnFlags;
use crate::cli::predicate::{self, MAX_PREDICATE_BYTES};
use crate::formats::cosign_statement::{self, PAYLOAD_TYPE};
use crate::formats::{Envelope, Payload, statement};
use crate::key::Scheme;
use crate::sign::Signer;
use crate::store::{Signed, bundle};
use crate::verify::bundle::{Artifact, Wanted};
use crate::verify::statement::Statement;
use crate::{foreign, input};

/// cosign's default.
const TYPE: &str = "custom";

/// What is said of a file.
enum Said {
    /// A predicate of this type.
    Predicate { predicate_type: String, predicate: Box<RawValue> },
    /// A whole statement.
    Statement(Payload),
}

/// The file that something is said of.
enum About {
    /// It is read.
    File(PathBuf),
    /// Its digest is given, and its name.
    Digest(PathBuf, Artifact),
    /// The statement contains it, and no file is compared with it.
    Unchecked,
}

/// The flags that say what is attested.
struct Given {
    predicate: Option<PathBuf>,
    kind: String,
    statement: Option<PathBuf>,
    about: About,
}

impl Given {
    fn read(matches: &ArgMatches, flags: &OwnFlags<'_>) -> Result<Self, SignBlobError> {
        let predicate = flags.text("predicate")?.map(PathBuf::from);
        let statement = flags.text("statement")?.map(PathBuf::from);
        let (kind, hash) = (flags.text("type")?, flags.text("hash")?);
        let file = matches.get_one::<String>("blob").map(PathBuf::from);
        if statement.is_some() {
            let given =
                [("predicate", predicate.is_some()), ("type", kind.is_some()), ("hash", hash.is_some())];
            if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
                return Err(SignBlobError::StatementAnd(flag));
            }
        } else if predicate.is_none() {
            return Err(SignBlobError::NoPredicate);
        }
        let about = match (file, hash) {
            (Some(file), Some(hex)) => {
                let digest = Artifact::named(&format!("sha256:{}", hex.to_ascii_lowercase()));
                About::Digest(file, digest.ok_or(SignBlobError::Hash(hex))?)
            }
            (Some(file), None) => About::File(file),
            (None, _) if statement.is_some() => About::Unchecked,
            (None, _) => return Err(SignBlobError::NoFile),
        };
        let given = Self { predicate, kind: kind.unwrap_or_else(|| TYPE.to_owned()), statement, about };
        match given.inputs().into_iter().filter(|path| input::is_stdin(path)).count() {
            0 | 1 => Ok(given),
            _ => Err(SignBlobError::TwiceStdin),
        }
    }

    /// The files that are read.
    fn inputs(&self) -> Vec<&Path> {
        let file = match &self.about {
            About::File(path) => Some(path),
            _ => None,
        };
        [self.predicate.as_ref(), self.statement.as_ref(), file]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect()
    }

    /// What is said, which is read.
    fn said(&self, setup: &Setup) -> Result<Said, SignBlobError> {
        match (&self.statement, &self.predicate) {
            (Some(path), _) => whole(path).map(Said::Statement),
            (None, Some(path)) => {
                let place = format!("the predicate {}", foreign::escape(&path.display().to_string(), 512));
                let predicate_type = predicate::predicate_type(&self.kind, &place)?.to_owned();
                let bytes = predicate::read(path, &place)?;
                let predicate = predicate::predicate(bytes, place, &self.kind, setup.config.created)?;
                Ok(Said::Predicate { predicate_type, predicate })
            }
            (None, None) => Err(SignBlobError::NoPredicate),
        }
    }
}

/// The statement in a file, signed as it is.
fn whole(path: &Path) -> Result<Payload, SignBlobError> {
    let bytes = input::read_or_stdin(path, MAX_PREDICATE_BYTES);
    let bytes = bytes.map_err(|source| SignBlobError::Read {
        what: "the statement",
        path: path.to_owned(),
        source,
    })?;
    let statement = Statement::read(&bytes)
        .map_err(|source| SignBlobError::Statement { path: path.to_owned(), source })?;
    // It would count as a signature, whatever the predicate says.
    if cosign_statement::is_signature(&statement.predicate_type) {
        return Err(SignBlobError::ImageSignature { path: path.to_owned() });
    }
    Ok(Payload { bytes: bytes.into(), media_type: PAYLOAD_TYPE, envelope: Envelope::Dsse })
}

pub(super) fn attest(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<(), SignBlobError> {
    let setup = Setup::read("attest-blob", matches, environment, out)?;
    let flags = OwnFlags::new(matches, environment);
    let outputs = Outputs::read(&flags)?.and_attestation(&flags)?;
    let given = Given::read(matches, &flags)?;
    let places = setup.confine(&given.inputs(), &outputs, environment)?;
    let said = given.said(&setup)?;
    let format = outputs.format;
    let (hash, written) = setup.with_key(environment, move |signer, scheme| {
        Ok((scheme.hash(), signed(signer, scheme, &given.about, said, format)?))
    })?;
    if outputs.prints() {
        out.print_bytes(&written.signature);
        out.print_data("\n");
    }
    places.write(&written, out)?;
    setup.say(hash, out);
    Ok(())
}

/// Signs what is said, and verifies it against the file.
fn signed(
    signer: &dyn Signer,
    scheme: Scheme,
    about: &About,
    said: Said,
    format: BundleFormat,
) -> Result<Written, SignBlobError> {
    let artifact = match about {
        // A statement may name it by any of them.
        About::File(path) => read(path, Wanted::DIGESTS)?,
        About::Digest(_, digest) => digest.clone(),
        About::Unchecked => Artifact::Unchecked,
    };
    let payload = match (said, about) {
        (Said::Statement(payload), _) => payload,
        (Said::Predicate { predicate_type, predicate }, About::File(path) | About::Digest(path, _)) => {
            let digest = artifact.to_string();
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            statement::of_file(&base_name(path), hex, &predicate_type, &predicate)?
        }
        (Said::Predicate { .. }, About::Unchecked) => return Err(SignBlobError::NoFile),
    };
    let key = signer.public_key();
    let signature = sign_bytes(signer, scheme, &payload.to_be_signed())?;
    let signed = Signed::new(payload, signature, key);
    let check = Check::new(key, scheme);
    let envelope = bundle::envelope(&signed)?;
    check.detached(&envelope, &artifact).map_err(SignBlobError::Check)?;
    let bundle = match format {
        BundleFormat::Sigstore => {
            let bundle = bundle::bundle(&signed)?;
            check.bundle(&bundle, &artifact).map_err(SignBlobError::Check)?;
            bundle
        }
        BundleFormat::Old => {
            let bundle = bundle::old(key, &envelope)?;
            check.old(&bundle, &artifact).map_err(SignBlobError::Check)?;
            bundle
        }
    };
    let attestation = signed.payload.bytes.into();
    Ok(Written { bundle: bundle.into(), signature: envelope.into(), attestation })
}

/// The last part of a path, as Go's `path.Base` gives it, which cosign names the file by.
fn base_name(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.trim_end_matches('/').rsplit('/').next() {
        Some("") | None if text.is_empty() => ".".to_owned(),
        Some("") | None => "/".to_owned(),
        Some(name) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_as_cosign_names_it() {
        for (path, name) in [
            ("a", "a"),
            ("/x/a.tar", "a.tar"),
            ("x/a/", "a"),
            ("-", "-"),
            ("/", "/"),
            ("../a", "a"),
            ("..", ".."),
        ] {
            assert_eq!(base_name(Path::new(path)), name, "{path}");
        }
    }
}
