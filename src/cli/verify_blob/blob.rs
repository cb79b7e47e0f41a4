//! What is verified: a file, standard input, a digest, or nothing at all.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ArgMatches;

use super::Command;
use super::error::{BlobError, MAX_FILE_BYTES};
use super::timed::{self, Over};
use crate::input::{self, InputError};
use crate::key::Hash;
use crate::verify::bundle::{Artifact, Wanted};

/// As much of standard input is kept, to be hashed once more where the signature turns out to be of another hash.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// What is verified.
pub(super) struct Blob {
    source: Source,
    /// The digest that alone counts, and what it must be.
    only: Option<(Hash, Option<String>)>,
    /// Standard input, if it was short.
    kept: Option<Vec<u8>>,
    /// When the time for reading it is over.
    deadline: Instant,
}

enum Source {
    File(PathBuf),
    Known(Artifact),
}

impl Blob {
    /// What the arguments of `command` name.
    pub(super) fn new(matches: &ArgMatches, command: Command, deadline: Instant) -> Result<Self, BlobError> {
        let file = matches.get_one::<String>("blob");
        if command == Command::Blob {
            return Ok(Self::of(deadline, Source::named(file.map(String::as_str).unwrap_or_default())?));
        }
        if matches.get_one::<String>("check-claims").is_some_and(|text| text == "false") {
            return Ok(Self::of(deadline, Source::Known(Artifact::Unchecked)));
        }
        let text = |flag| matches.get_one::<String>(flag);
        match (file, text("digest"), text("digestAlg")) {
            (Some(file), None, None) => Ok(Self::of(deadline, Source::named(file)?)),
            (Some(file), digest, algorithm) => {
                let name = algorithm.map_or("sha256", String::as_str);
                let hash = Hash::named(name).ok_or_else(|| BlobError::DigestAlg(name.to_owned()))?;
                let wanted = digest.map(|hex| digested(name, hex)).transpose()?;
                let only = Some((hash, wanted.map(|wanted| wanted.to_string())));
                Ok(Self { only, ..Self::of(deadline, Source::named(file)?) })
            }
            (None, Some(digest), Some(algorithm)) => {
                Ok(Self::of(deadline, Source::Known(digested(algorithm, digest)?)))
            }
            (None, ..) => Err(BlobError::NoSubject),
        }
    }

    fn of(deadline: Instant, source: Source) -> Self {
        Self { source, only: None, kept: None, deadline }
    }

    /// Reads as much of it as is `wanted`.
    pub(super) fn read(&mut self, name: &str, wanted: Wanted) -> Result<Artifact, BlobError> {
        let only = self.only.clone();
        let wanted = only.iter().fold(wanted, |wanted, (hash, _)| wanted.and(*hash));
        let artifact = self.whole(wanted)?;
        let Some((hash, digest)) = only else { return Ok(artifact) };
        let found = artifact.by_digest(hash).ok_or_else(|| BlobError::OtherAlg(hash, name.to_owned()))?;
        match digest {
            Some(wanted) if wanted != found.to_string() => {
                Err(BlobError::OtherDigest { artifact: name.to_owned(), found: found.to_string(), wanted })
            }
            _ => Ok(found),
        }
    }

    fn whole(&mut self, wanted: Wanted) -> Result<Artifact, BlobError> {
        let path = match &self.source {
            Source::File(path) => path,
            Source::Known(artifact) => return Ok(artifact.clone()),
        };
        let failed = |source| match &source {
            InputError::Io(error) if error.get_ref().is_some_and(|error| error.is::<Over>()) => {
                BlobError::TimedOut { path: path.clone() }
            }
            _ => BlobError::Read { what: "the file", path: path.clone(), source },
        };
        if let Some(kept) = &self.kept {
            return Artifact::read(&**kept, wanted).map_err(|error| failed(own(error)));
        }
        let mut file = timed::open(path, MAX_FILE_BYTES, self.deadline).map_err(failed)?;
        if !input::is_stdin(path) {
            return read_from(file, wanted).map_err(failed);
        }
        let mut start = Vec::new();
        let limit = KEPT_BYTES as u64 + 1;
        file.by_ref().take(limit).read_to_end(&mut start).map_err(|error| failed(own(error)))?;
        let artifact = Artifact::read(start.as_slice().chain(file), wanted);
        let artifact = artifact.map_err(|error| failed(own(error)))?;
        self.kept = Some(start).filter(|start| start.len() <= KEPT_BYTES);
        Ok(artifact)
    }

    /// Whether it can be read once more.
    pub(super) fn is_there_again(&self) -> bool {
        match &self.source {
            Source::File(path) => !input::is_stdin(path) || self.kept.is_some(),
            Source::Known(_) => false,
        }
    }
}

/// Reads as much of the file at `path`, or of standard input, as is `wanted`.
pub(in crate::cli) fn read(path: &Path, wanted: Wanted) -> Result<Artifact, InputError> {
    read_from(input::open_or_stdin(path, MAX_FILE_BYTES)?, wanted)
}

fn read_from(file: impl Read, wanted: Wanted) -> Result<Artifact, InputError> {
    let artifact = Artifact::read(file, wanted).map_err(own)?;
    // Of a longer standard input only the beginning was read.
    match artifact.size() {
        Some(size) if size > MAX_FILE_BYTES => Err(InputError::TooLarge { limit: MAX_FILE_BYTES }),
        _ => Ok(artifact),
    }
}

/// A file that grew says so in the reader's own words, with its hint.
fn own(error: io::Error) -> InputError {
    error.downcast::<InputError>().unwrap_or_else(InputError::Io)
}

impl Source {
    /// A file of that name comes before a digest, as in cosign.
    fn named(text: &str) -> Result<Self, BlobError> {
        let is_digest = is_digest(text) && !Path::new(text).exists();
        match Artifact::named(text) {
            Some(digest) if is_digest => Ok(Self::Known(digest)),
            None if is_digest => Err(BlobError::NotADigest(text.to_owned())),
            _ => Ok(Self::File(text.into())),
        }
    }
}

/// The artifact with this digest, in hexadecimal digits.
fn digested(algorithm: &str, hex: &str) -> Result<Artifact, BlobError> {
    let hash = Hash::named(algorithm).ok_or_else(|| BlobError::DigestAlg(algorithm.to_owned()))?;
    Artifact::named(&format!("{algorithm}:{hex}")).ok_or(BlobError::Digest(hash))
}

/// Whether a text means a digest, whole and verified here or not: the name of a hash, a colon, hexadecimal digits.
fn is_digest(text: &str) -> bool {
    let Some((name, hex)) = text.split_once(':') else { return false };
    let name = name.to_ascii_lowercase();
    let is_hash = name.starts_with("sha") || name.starts_with("md5") || name.starts_with("blake");
    is_hash && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}
