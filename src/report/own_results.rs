//! The results of the signing step itself, for later Tasks: `SIGNED_IMAGES` and `SIGNATURES`.
//!
//! Both are arrays of strings, in the same order. All results of a step must fit into the 4,096 bytes of its
//! container's termination message, and a Task may report these twice, as the step's and as its own. So the two may
//! take 1,500 bytes in total, as they are written there. A longer result becomes a summary with the digest of the full list.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.0.0/docs/tasks.md#larger-results-using-sidecar-logs>

use std::collections::HashSet;
use std::path::PathBuf;

use super::{PendingFile, Report, ReportError};
use crate::hint::SIGNED_IMAGES;
use crate::oci::Digest;

/// The result with the locations of the signatures.
pub(crate) const SIGNATURES: &str = "SIGNATURES";

/// The most bytes that both results may take in the termination message.
const MAX_BYTES: usize = 1500;

/// The files of the two results, in each directory that gets them.
#[derive(Debug)]
pub(crate) struct StepResults(Vec<[PendingFile; 2]>);

impl StepResults {
    /// Creates the files before anything is signed.
    ///
    /// # Errors
    ///
    /// A directory can't be written to.
    pub(crate) fn prepare(folders: &[PathBuf]) -> Result<Self, ReportError> {
        let files = folders.iter().map(|folder| {
            Ok([PendingFile::new(&folder.join(SIGNED_IMAGES))?, PendingFile::new(&folder.join(SIGNATURES))?])
        });
        files.collect::<Result<_, _>>().map(Self)
    }

    /// Writes the signed images of `report` to every directory, even after a failure.
    ///
    /// # Errors
    ///
    /// The first file that can't be written.
    pub(crate) fn write(self, report: &Report) -> Result<(), ReportError> {
        let [images, signatures] = texts(report)?;
        let mut written = Ok(());
        for [of_images, of_signatures] in self.0 {
            written = written.and(of_images.write(images.as_bytes()));
            written = written.and(of_signatures.write(signatures.as_bytes()));
        }
        written
    }
}

/// The two results as JSON arrays, or their summaries.
fn texts(report: &Report) -> Result<[String; 2], ReportError> {
    // An image in several stores is listed once.
    let mut named = HashSet::new();
    let signed = report.outcomes().iter().filter_map(|outcome| {
        let done = outcome.result.as_ref().ok()?;
        named.insert(outcome.image_signature()?).then_some(())?;
        Some((outcome.image_signature()?.to_string(), done.location.clone()))
    });
    let (images, signatures): (Vec<String>, Vec<String>) = signed.unzip();
    let arrays = [serde_json::to_string(&images)?, serde_json::to_string(&signatures)?];
    let mut bytes = 0;
    for array in &arrays {
        // In the message each result is a JSON string, which escapes its quotation marks again.
        bytes += serde_json::to_string(array)?.len();
    }
    if bytes <= MAX_BYTES {
        return Ok(arrays);
    }
    let summary = |array: &str, what: &str| {
        let digest = Digest::of(array.as_bytes());
        serde_json::to_string(&[format!("{} {what}: too long for a result; {digest}", images.len())])
    };
    let [of_images, of_signatures] = &arrays;
    Ok([summary(of_images, "images")?, summary(of_signatures, "signatures")?])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exit::ExitCode;
    use crate::explain::Explanation;
    use crate::registry::client::Stats;
    use crate::report::{OutcomeLabel, ReportSubject, SignedOutcome, SubjectOutcome};
    use crate::tekton;

    fn report(signed: usize, failed: usize) -> Report {
        let outcome = |number: usize, ok: bool| {
            let digest = Digest::of(number.to_string().as_bytes());
            let location = format!("registry.example/app:sha256-{}.sig", digest.hex());
            let done = SignedOutcome { location, added: 1, present: 0, replaced: 0, key_id: "k".into() };
            let error = Explanation {
                code: "test-error",
                error: "no".into(),
                causes: Vec::new(),
                used: None,
                hint: None,
                exit: ExitCode::Failed,
            };
            let image = format!("registry.example/app@{digest}").parse().unwrap();
            SubjectOutcome {
                label: OutcomeLabel::IMAGE,
                subject: ReportSubject::Image(image),
                from: Vec::new(),
                result: if ok { Ok(done) } else { Err(error) },
            }
        };
        let outcomes = (0..signed + failed).map(|number| outcome(number, number < signed)).collect();
        Report::new(outcomes, Duration::ZERO, Stats::default())
    }

    fn parsed(text: &str) -> Vec<String> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn both_results_list_the_signed_images_in_the_same_order() {
        let [images, signatures] = texts(&report(3, 2)).unwrap();
        let (images, signatures) = (parsed(&images), parsed(&signatures));
        assert_eq!((images.len(), signatures.len()), (3, 3));
        for (image, signature) in images.iter().zip(&signatures) {
            let (name, digest) = image.split_once('@').unwrap();
            assert_eq!(*signature, format!("{name}:{}.sig", digest.replace(':', "-")));
        }
        assert_eq!(texts(&report(0, 4)).unwrap(), ["[]", "[]"]);
    }

    #[test]
    fn a_result_that_is_too_long_becomes_a_summary_with_its_digest() {
        for signed in 1..60 {
            let whole = report(signed, 0);
            let texts = texts(&whole).unwrap();
            let bytes: usize = texts.iter().map(|text| serde_json::to_string(text).unwrap().len()).sum();
            assert!(bytes <= MAX_BYTES, "{signed}: {bytes}");
            if parsed(&texts[0]).len() < signed {
                let images: Vec<String> = whole.outcomes().iter().map(|o| o.subject.to_string()).collect();
                let digest = Digest::of(serde_json::to_string(&images).unwrap().as_bytes());
                let summary = parsed(&texts[0]);
                assert_eq!(summary, [format!("{signed} images: too long for a result; {digest}")]);
            }
        }
    }

    #[test]
    fn the_results_are_not_type_hints() {
        let folder = tempfile::tempdir().unwrap();
        StepResults::prepare(&[folder.path().to_owned()]).unwrap().write(&report(2, 0)).unwrap();
        let places =
            tekton::Places { results_dir: folder.path().to_owned(), steps_dir: folder.path().join("steps") };
        let found = tekton::discover(&places).unwrap();
        assert!(found.hints.is_empty() && found.problems.is_empty() && found.notes.is_empty(), "{found:?}");
    }

    #[test]
    fn an_existing_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "unrelated").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join(SIGNED_IMAGES)).unwrap();
        StepResults::prepare(&[folder.path().to_owned()]).unwrap().write(&report(1, 0)).unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "unrelated");
        assert_eq!(parsed(&std::fs::read_to_string(folder.path().join(SIGNED_IMAGES)).unwrap()).len(), 1);
    }
}
