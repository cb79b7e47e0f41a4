//! `stepseal verify-blob`: a file's signature or bundle, with the flags of `cosign verify-blob`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ArgMatches;

use crate::cli::confinement;
use crate::cli::environment::Environment;
use crate::cli::output::Output;
use crate::cli::trust::{self, TrustFlagError};
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::input::{self, InputError};
use crate::sign::{Algorithm, PublicKey};
use crate::verify::bundle::dsse::Envelope;
use crate::verify::bundle::{
    Artifact, BUNDLE_BYTES, BundleError, Bundles, Policy, Signer, TOLD, TrustMaterial, Verified, Verifier,
    Wanted, Who,
};

/// The largest signature of its own: an RSA 8192 one in base64 has 1.4 KiB.
const SIGNATURE_BYTES: u64 = 64 * 1024;

/// Why a file is not verified.
#[derive(Debug, thiserror::Error)]
enum BlobError {
    #[error(transparent)]
    Flags(#[from] TrustFlagError),
    #[error("both --signature and --bundle are given")]
    SignatureAndBundle,
    #[error("neither --signature nor --bundle is given")]
    NoSignature,
    #[error("--signature is verified with a key, and none is given")]
    NoKey,
    #[error("cannot read {what} {}", foreign::shown(&.path.display().to_string(), 512))]
    Read { what: &'static str, path: PathBuf, source: InputError },
    #[error("{} is not verified: --signature is a DSSE envelope, whose signature is not over the file", foreign::shown(.artifact, 512))]
    Envelope { artifact: String },
    #[error("{} is not verified (check: {})", foreign::shown(.artifact, 512), .source.check())]
    Bundle { artifact: String, source: BundleError },
}

impl Explain for BlobError {
    fn used(&self) -> Option<String> {
        match self {
            Self::Flags(error) => error.used(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Flags(error) => return error.hint(),
            Self::Bundle { source, .. } => return source.hint(),
            Self::SignatureAndBundle => "give one of them: a bundle holds its signature".into(),
            Self::NoSignature => "give the bundle with --bundle, or the signature and its --key".into(),
            Self::NoKey => "give --key, or --bundle for a signature by an identity".into(),
            Self::Read { source: InputError::TooLarge { limit: MAX_FILE_BYTES }, .. } => {
                "give its digest in place of the file, as sha256:HEX: sha256sum prints it".into()
            }
            Self::Read { source, .. } => {
                source.hint().unwrap_or_else(|| "give a file that can be read".into())
            }
            Self::Envelope { .. } => {
                "for in-toto formats verify the envelope: cosign verify-blob-attestation --signature, or stepseal verify-run"
                    .into()
            }
        })
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Flags(error) => error.exit(),
            Self::SignatureAndBundle | Self::NoSignature | Self::NoKey | Self::Read { .. } => ExitCode::Usage,
            Self::Envelope { .. } | Self::Bundle { .. } => ExitCode::Failed,
        }
    }
}

/// The largest file that is hashed here: at a gigabyte in a second or two, this takes minutes. A sparse file can be far larger.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// What is verified: a file, standard input, or a digest.
enum Blob {
    File(PathBuf),
    Digest(Artifact),
}

impl Blob {
    /// A file of that name comes before a digest, as in cosign.
    fn named(text: &str) -> Self {
        match Artifact::named(text) {
            Some(digest) if !Path::new(text).exists() => Self::Digest(digest),
            _ => Self::File(text.into()),
        }
    }

    fn read(&self, wanted: Wanted) -> Result<Artifact, BlobError> {
        let path = match self {
            Self::File(path) => path,
            Self::Digest(digest) => return Ok(digest.clone()),
        };
        let failed = |source| BlobError::Read { what: "the file", path: path.clone(), source };
        let file = input::open_or_stdin(path, MAX_FILE_BYTES).map_err(failed)?;
        // A file that grew says so in the reader's own words, with its hint.
        let own = |error: io::Error| error.downcast::<InputError>().unwrap_or_else(InputError::Io);
        Artifact::read(file, wanted).map_err(|error| failed(own(error)))
    }
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    match verify(matches, environment) {
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

/// Verifies, and gives what people are told.
fn verify(matches: &ArgMatches, environment: &Environment) -> Result<Vec<String>, BlobError> {
    confinement::verify_blob(matches, environment);
    let name = matches.get_one::<String>("blob").cloned().unwrap_or_default();
    let blob = Blob::named(&name);
    let signature = matches.get_one::<String>("signature");
    match (signature, matches.get_one::<String>("bundle")) {
        (Some(_), Some(_)) => Err(BlobError::SignatureAndBundle),
        (None, None) => Err(BlobError::NoSignature),
        (Some(signature), None) => {
            let policy = trust::policy(matches, environment)?;
            let Signer::Key(key) = policy.signer else { return Err(BlobError::NoKey) };
            with_signature(&name, &blob, signature, &key)
        }
        (None, Some(bundle)) => {
            let policy = trust::policy(matches, environment)?;
            let material =
                match &policy {
                    // Nothing of the trusted root is asked for.
                    Policy {
                        signer: Signer::Key(_), ignore_tlog: true, signed_timestamps: false, ..
                    } if !matches.contains_id("trusted-root") => TrustMaterial::none(),
                    _ => trust::material(matches, environment)?,
                };
            with_bundle(&name, &blob, Path::new(bundle), Verifier::new(Arc::new(material), policy))
        }
    }
}

fn with_signature(
    name: &str,
    blob: &Blob,
    signature: &str,
    key: &PublicKey,
) -> Result<Vec<String>, BlobError> {
    let signature = read_signature(name, signature)?;
    let ed25519 = key.algorithm() == Algorithm::Ed25519;
    let artifact = blob.read(Wanted { wide: true, whole: ed25519 })?;
    let verified = Verifier::verify_signature(key, &artifact, &signature);
    verified.map_err(|source| BlobError::Bundle { artifact: name.to_owned(), source })?;
    Ok(vec![OK.to_owned()])
}

/// What cosign says.
const OK: &str = "Verified OK";

/// A signature as a file holds it or as the flag gives it: base64, or the bytes.
fn read_signature(name: &str, text: &str) -> Result<Vec<u8>, BlobError> {
    let decode = |bytes: &[u8]| STANDARD.decode(bytes.trim_ascii()).ok();
    let path = Path::new(text);
    let bytes = match input::read(path, SIGNATURE_BYTES) {
        Ok(bytes) => bytes,
        // No file has such a name: it is the signature itself.
        Err(source)
            if source.is_missing()
                || matches!(&source, InputError::Io(error) if error.kind() == io::ErrorKind::InvalidFilename) =>
        {
            return decode(text.as_bytes())
                .filter(|bytes| !bytes.is_empty())
                .ok_or_else(|| BlobError::Read { what: "the signature", path: path.into(), source });
        }
        Err(source) => return Err(BlobError::Read { what: "the signature", path: path.into(), source }),
    };
    let bytes = decode(&bytes).unwrap_or(bytes);
    if Envelope::parse(&bytes).is_ok() {
        return Err(BlobError::Envelope { artifact: name.to_owned() });
    }
    Ok(bytes)
}

fn with_bundle(name: &str, blob: &Blob, bundle: &Path, verifier: Verifier) -> Result<Vec<String>, BlobError> {
    let bytes = input::read(bundle, BUNDLE_BYTES).map_err(|source| BlobError::Read {
        what: "the bundle",
        path: bundle.into(),
        source,
    })?;
    let refused = |source| BlobError::Bundle { artifact: name.to_owned(), source };
    let mut bundles = Bundles::parse(&bytes).map_err(refused)?;
    let artifact = blob.read(bundles.wanted(&verifier).map_err(refused)?)?;
    let counted = bundles.verify(&verifier, &artifact).map_err(refused)?;
    let mut lines = vec![OK.to_owned()];
    for (line, verified) in &counted.good {
        if counted.is_several() {
            lines.push(format!("  line {line}:"));
        }
        lines.extend(described(verified));
    }
    let told = counted.refused.iter().take(TOLD);
    lines.extend(told.map(|(line, error)| format!("  line {line} does not count: {}", error.reason())));
    if counted.refused.len() > TOLD {
        lines.push(format!("  and {} more lines do not count", counted.refused.len() - TOLD));
    }
    Ok(lines)
}

/// Who signed, when, and where it is logged.
fn described(verified: &Verified) -> Vec<String> {
    let mut lines = vec![match &verified.who {
        Who::Key { key_id, .. } => format!("  signed by the key {key_id}"),
        Who::Identity { name, issuer, .. } => {
            let issuer = issuer.as_deref().unwrap_or("nobody");
            format!(
                "  signed by {}, for whom {} vouches",
                foreign::shown(name, 300),
                foreign::shown(issuer, 300)
            )
        }
    }];
    lines.extend(verified.times.first().map(|time| format!("  at {} at the latest", time.at)));
    lines.extend(
        verified
            .log_entries
            .iter()
            .map(|entry| format!("  logged in {} as entry {}", entry.log, entry.index)),
    );
    lines.extend(verified.unknown_timestamps.iter().map(|stamp| format!("  note: {stamp}")));
    lines
}
