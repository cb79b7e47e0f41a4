//! Several bundles in one file, one a line: `gh attestation download` writes such files, `sha256:HEX.jsonl`.
//!
//! An artifact may have several attestations, by several signers, so each bundle is judged by itself, and the file counts if one of them
//! does: as `gh attestation verify` decides, and as what is found beside an image is judged. What does not count is named by
//! its line. A document that is not JSON makes the file unusable: it was cut, or is something else.

use super::error::{BundleError, FormatError};
use super::format::{BUNDLE_BYTES, Bundle};
use super::verified::Verified;
use super::{Artifact, Verifier, Wanted};
use crate::explain;
use crate::json_lines::{self, JsonDocument};
use crate::known_format::{self, KnownFormat};

/// The most bundles of one file: GitHub's API gives a thousand at most.
pub const BUNDLES: usize = 1024;

/// How many refused bundles of a file are listed individually.
pub const TOLD: usize = 20;

/// The bundles of a file.
#[derive(Debug)]
pub struct Bundles {
    /// Those that aren't judged yet.
    bundles: Vec<(usize, Bundle)>,
    good: Vec<(usize, Verified)>,
    refused: Vec<(usize, BundleError)>,
}

/// What counts of several bundles, and what does not.
#[derive(Debug)]
pub struct Counted<T, E = BundleError> {
    /// What counts, at least one, with the lines of the file.
    pub good: Vec<(usize, T)>,
    /// What does not count, and why.
    pub refused: Vec<(usize, E)>,
}

impl Bundles {
    /// Reads the bundles of a file: one a line, or one after the other.
    ///
    /// # Errors
    ///
    /// Its only document is not a bundle; or it has several, and some are not JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() as u64 > BUNDLE_BYTES {
            return Err(BundleError::Format(FormatError::TooLarge { limit: BUNDLE_BYTES }));
        }
        let documents = match json_lines::documents(bytes, BUNDLES) {
            Ok(documents) if documents.len() > 1 => documents,
            // The reader of one bundle says what is wrong with it.
            Err(json_lines::LinesError::Json { line: 1, .. }) | Ok(_) => {
                return Ok(Self::new(vec![(1, Bundle::parse(bytes)?)]));
            }
            Err(error) => {
                let other = KnownFormat::other_than(known_format::WantedFormat::Bundle, bytes)
                    .map(FormatError::Other);
                return Err(BundleError::Format(other.unwrap_or(FormatError::Lines(error))));
            }
        };
        let mut all = Self::new(Vec::new());
        for JsonDocument { line, bytes } in documents {
            match Bundle::parse(bytes) {
                Ok(bundle) => all.bundles.push((line, bundle)),
                Err(error) => all.refused.push((line, error)),
            }
        }
        Ok(all)
    }

    /// What must be read of the artifact, for `verifier` to have all it needs.
    ///
    /// # Errors
    ///
    /// Why none of them can be of the policy's signer.
    pub fn wanted(&mut self, verifier: &Verifier) -> Result<Wanted, BundleError> {
        let mut all = Wanted::default();
        let mut kept = Vec::new();
        for (line, bundle) in std::mem::take(&mut self.bundles) {
            match verifier.wanted(&bundle) {
                Ok(wanted) => {
                    all = all.or(wanted);
                    kept.push((line, bundle));
                }
                Err(error) => self.refused.push((line, error)),
            }
        }
        self.bundles = kept;
        match self.bundles.is_empty() {
            true => Err(none(std::mem::take(&mut self.refused))),
            false => Ok(all),
        }
    }

    fn new(bundles: Vec<(usize, Bundle)>) -> Self {
        Self { bundles, good: Vec::new(), refused: Vec::new() }
    }

    /// Judges those that are left. With `again` those for which a digest of the artifact lacks stay, to be judged once more is known of it.
    pub fn judge(&mut self, verifier: &Verifier, artifact: &Artifact, again: bool) {
        for (line, bundle) in std::mem::take(&mut self.bundles) {
            match verifier.verify(&bundle, artifact) {
                Ok(verified) => self.good.push((line, verified)),
                Err(error) if again && error.lacks_digest() => self.bundles.push((line, bundle)),
                Err(error) => self.refused.push((line, error)),
            }
        }
    }

    /// Whether some aren't judged yet.
    pub(crate) fn are_left(&self) -> bool {
        !self.bundles.is_empty()
    }

    /// What counts of those that were judged.
    ///
    /// # Errors
    ///
    /// None counts.
    pub fn counted(self) -> Result<Counted<Verified>, BundleError> {
        let Self { mut good, mut refused, .. } = self;
        if good.is_empty() {
            return Err(none(refused));
        }
        good.sort_by_key(|(line, _)| *line);
        refused.sort_by_key(|(line, _)| *line);
        Ok(Counted { good, refused })
    }
}

impl BundleError {
    /// The error and its causes on one line.
    pub fn reason(&self) -> String {
        explain::line(self, 600)
    }
}

/// Why each of several bundles doesn't count, by its line.
pub(super) fn reasons(refused: &[(usize, BundleError)]) -> String {
    let reason = |(line, error): &(usize, BundleError)| format!("line {line}: {}", error.reason());
    let mut all: Vec<String> = refused.iter().take(TOLD).map(reason).collect();
    if refused.len() > TOLD {
        all.push(format!("and {} more", refused.len() - TOLD));
    }
    all.join("; ")
}

impl<T, E> Counted<T, E> {
    /// Whether the file holds several bundles, so that lines are worth naming.
    pub(crate) fn is_several(&self) -> bool {
        self.good.len() + self.refused.len() > 1
    }
}

impl From<Verified> for Counted<Verified> {
    fn from(verified: Verified) -> Self {
        Self { good: vec![(1, verified)], refused: Vec::new() }
    }
}

/// The error of a file in which nothing counts; that of its one bundle where it has one.
fn none(mut refused: Vec<(usize, BundleError)>) -> BundleError {
    refused.sort_by_key(|(line, _)| *line);
    match refused.len() {
        1 => refused.remove(0).1,
        _ => BundleError::None(refused),
    }
}
