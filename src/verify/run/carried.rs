//! What a run carries in its annotations, and the judgment of each payload.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::clock::Clock;
use super::coverage::Coverage;
use super::diff::{self, Difference};
use super::{MAX_PAYLOADS, Makers, PAYLOAD, RunRefusal, SignedPayload, SoFar, sidecars, signed, so_far};
use crate::formats::cosign_statement::{self, PREDICATE_TYPE};
use crate::formats::simple_signing;
use crate::found::LayerAnnotations;
use crate::hint::NAME_SHOWN_BYTES;
use crate::run::{GapReason, ProvenanceOptions, Run, RunFormat, RunKind, RunObject, check_status};
use crate::verify::claim::Claim;
use crate::verify::require::Require;
use crate::verify::statement::Statement;
use crate::verify::trust::Trust;
use crate::{chains, foreign, json};

/// What a statement has from the TaskRuns of a PipelineRun, whole or in part.
const FROM_TASK_RUNS: [&str; 5] = [
    "subject",
    "predicate.buildConfig.tasks",
    "predicate.materials",
    "predicate.buildDefinition.resolvedDependencies",
    "predicate.runDetails.byproducts",
];
/// The shortest part of an image's digest that is a key, in hex digits.
const KEY_DIGITS: usize = 12;

/// Something that is signed, with the keys of its signatures, the newest first.
pub(super) struct Thing<'a> {
    pub(super) name: &'a str,
    keys: Vec<&'a str>,
}

/// What is signed, the run first: another, older signature or one by another signer stands under `KEY-2` to `KEY-9`. The
/// run's own are always among them; of the others no more than [`MAX_PAYLOADS`], and how many are left out.
pub(super) fn things<'a>(annotations: &[(&'a str, &'a str)], own: &'a str) -> (Vec<Thing<'a>>, usize) {
    let mut things = vec![Thing { name: own, keys: vec![own] }];
    let mut places: HashMap<&str, usize> = HashMap::from([(own, 0)]);
    let keys = annotations.iter().filter_map(|(name, _)| chains::key_of_payload(name));
    let mut keys: Vec<&str> = keys.filter(|key| *key != own).collect();
    // `KEY` comes before `KEY-2`.
    keys.sort_unstable();
    let (mut others, mut left_out) = (0, 0);
    for key in keys {
        let name = chains::unnumbered(key);
        others += usize::from(name != own);
        if name != own && others > MAX_PAYLOADS {
            left_out += 1;
            continue;
        }
        let at = *places.entry(name).or_insert(things.len());
        match things.get_mut(at) {
            Some(thing) => thing.keys.push(key),
            None => things.push(Thing { name, keys: vec![key] }),
        }
    }
    (things, left_out)
}

/// Judges the payloads of one run.
pub(super) struct Judge<'a> {
    run: &'a Run,
    annotations: HashMap<&'a str, &'a str>,
    makers: Makers,
    trust: &'a Trust,
    requires: &'a [Require],
    clock: &'a Clock,
    /// The digests of the images that the run's results name, in hex digits; gathered once they are needed.
    images: OnceCell<HashSet<String>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        run: &'a Run,
        annotations: Vec<(&'a str, &'a str)>,
        makers: Makers,
        trust: &'a Trust,
        requires: &'a [Require],
        clock: &'a Clock,
    ) -> Self {
        let annotations = annotations.into_iter().collect();
        Self { run, annotations, makers, trust, requires, clock, images: OnceCell::new() }
    }

    /// The first payload of `thing` that counts; otherwise why the newest doesn't.
    pub(super) fn thing(&self, thing: &Thing<'_>, own: bool) -> Result<SignedPayload, RunRefusal> {
        let mut first = None;
        for key in &thing.keys {
            self.clock.ask()?;
            match self.payload(key, thing.name, own) {
                Err(RunRefusal::Time) => return Err(RunRefusal::Time),
                Err(refusal) => first = first.or(Some(refusal)),
                good => return good,
            }
        }
        Err(first.unwrap_or_else(|| RunRefusal::Missing(chains::part("payload", thing.name))))
    }

    fn payload(&self, key: &str, name: &str, own: bool) -> Result<SignedPayload, RunRefusal> {
        if !own && chains::is_of_run(name) {
            return Err(RunRefusal::OtherRun);
        }
        let payload = self.bytes("payload", key)?;
        let signature = self.bytes("signature", key)?;
        let attached = LayerAnnotations {
            certificate: self.text("cert", key).map(str::to_owned),
            chain: self.text("chain", key).map(str::to_owned),
            ..LayerAnnotations::default()
        };
        let (by, written) = signed(self.trust, &payload, &signature, &attached)?;
        let document = json::value(&payload, PAYLOAD).map_err(RunRefusal::Json)?;
        written.fits(document.get("_type").is_some())?;
        let said = if own { self.own(&payload, &document)? } else { self.image(&payload, &document, name)? };
        if own {
            for require in self.requires {
                require.check(&document).map_err(RunRefusal::Require)?;
            }
        }
        let Said { format, so_far, coverage } = said;
        Ok(SignedPayload { key: key.to_owned(), by, payload: document, format, so_far, coverage })
    }

    /// What the run's own payload is, if the run still says what it says.
    fn own(&self, payload: &[u8], document: &Value) -> Result<Said, RunRefusal> {
        let kind = self.run.kind();
        let formats: &[RunFormat] = if document.get("_type").is_some() {
            match Statement::read_any(payload)?.predicate_type.as_str() {
                "https://slsa.dev/provenance/v0.2" => &[RunFormat::SlsaV1],
                "https://slsa.dev/provenance/v1" => &[RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4],
                other => return Err(RunRefusal::OtherPredicate(foreign::escape(other, 200))),
            }
        } else {
            check_status(kind, document).map_err(|source| RunRefusal::NotAStatus { kind, source })?;
            &[RunFormat::Tekton]
        };
        let embedded = self.run.children().iter().any(RunObject::is_embedded);
        let coverage = |formats: &[RunFormat]| {
            let coverage = Coverage::of(kind, formats, options(document).build_type);
            if embedded { coverage.of_embedded() } else { coverage }
        };
        let run = sidecars::as_signed(self.run, document);
        let mut best = match self.nearest(document, &run, formats)? {
            Nearest::Same(formats) => return Ok(Said::new(&formats, None, coverage(&formats))),
            Nearest::Differs(differences) => differences,
        };
        let so_far = so_far::is_so_far(document, &run);
        // The format tekton is the whole status: no earlier status can be derived from it.
        for moment in so_far::moments(&run).filter(|_| so_far && formats != [RunFormat::Tekton]) {
            match self.nearest(document, &moment.run, formats)? {
                Nearest::Same(formats) => {
                    let so_far = SoFar { later: moment.later };
                    return Ok(Said::new(&formats, Some(so_far), coverage(&formats)));
                }
                Nearest::Differs(differences) if differences.len() < best.len() => best = differences,
                Nearest::Differs(_) => {}
            }
        }
        let task_runs = other_task_runs(self.run, &best);
        Err(RunRefusal::Changed { differences: best, so_far, task_runs })
    }

    /// The formats in which `run` gives `document`; otherwise the differences to the one in which they are fewest.
    fn nearest(&self, document: &Value, run: &Run, formats: &[RunFormat]) -> Result<Nearest, RunRefusal> {
        let mut best: Option<Vec<Difference>> = None;
        let mut same = Vec::new();
        for format in formats {
            for deep_inspection in [false, true] {
                // Only a PipelineRun has TaskRuns whose results may count.
                if deep_inspection && (run.kind() == RunKind::TaskRun || *format == RunFormat::Tekton) {
                    continue;
                }
                self.clock.ask()?;
                let options = ProvenanceOptions { deep_inspection, ..options(document) };
                let made = self.made(run, *format, &options)?;
                let found = diff::differences(document, &made, self.clock)?;
                if found.is_empty() {
                    same.push(*format);
                    break;
                }
                if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                    best = Some(found);
                }
            }
        }
        Ok(if same.is_empty() { Nearest::Differs(best.unwrap_or_default()) } else { Nearest::Same(same) })
    }

    /// What `run` gives, read as what is signed is read. Its text, which is as long, isn't kept beside it.
    fn made(&self, run: &Run, format: RunFormat, options: &ProvenanceOptions) -> Result<Value, RunRefusal> {
        let made = (self.makers.payload)(run, format, options)?;
        serde_json::from_slice(&made).map_err(RunRefusal::Json)
    }

    /// What the payload of an image is, if the run names the image.
    fn image(&self, payload: &[u8], document: &Value, name: &str) -> Result<Said, RunRefusal> {
        let images = self.images.get_or_init(|| {
            let options = ProvenanceOptions { deep_inspection: true, ..ProvenanceOptions::default() };
            let images = (self.makers.images)(self.run, RunFormat::SlsaV1, &options);
            images.iter().map(|image| image.digest.hex().to_owned()).collect()
        });
        let is_named = |hex: &str| name.len() >= KEY_DIGITS && hex.starts_with(name) && images.contains(hex);
        let (found, format) = if document.get("_type").is_some() {
            let statement = Statement::read(payload)?;
            if statement.predicate_type != PREDICATE_TYPE {
                return Err(RunRefusal::NoSignature(foreign::escape(&statement.predicate_type, 200)));
            }
            let subjects = statement.head.get("subject").and_then(Value::as_array).into_iter().flatten();
            let mut digests = subjects.filter_map(|subject| subject.pointer("/digest/sha256")?.as_str());
            (digests.any(is_named), cosign_statement::NAME)
        } else {
            (is_named(Claim::read(payload)?.digest.hex()), simple_signing::NAME)
        };
        let said = Said { format, so_far: None, coverage: Coverage::of_image() };
        if found { Ok(said) } else { Err(RunRefusal::OtherImage) }
    }

    fn bytes(&self, part: &str, key: &str) -> Result<Vec<u8>, RunRefusal> {
        let shown = || chains::part(part, &foreign::escape(key, 100));
        let text = self.text(part, key).ok_or_else(|| RunRefusal::Missing(shown()))?;
        STANDARD.decode(text).map_err(|_| RunRefusal::Base64(shown()))
    }

    /// The text of an annotation; `None`: it is empty, or isn't there.
    fn text(&self, part: &str, key: &str) -> Option<&'a str> {
        let found = self.annotations.get(chains::part(part, key).as_str());
        found.copied().filter(|text| !text.is_empty())
    }
}

/// What to give where `differences` are in what the statement of a PipelineRun has from its TaskRuns, and others may have been given
/// when it was signed.
fn other_task_runs(run: &Run, differences: &[Difference]) -> Option<String> {
    let of_task_runs =
        |difference: &&Difference| FROM_TASK_RUNS.iter().any(|place| difference.path.starts_with(place));
    let mut differences = differences.iter().filter(of_task_runs).peekable();
    if run.kind() == RunKind::TaskRun || differences.peek().is_none() {
        return None;
    }
    let gaps = run.gaps().into_iter();
    let missing: Vec<String> = gaps
        .filter(|gap| gap.why == GapReason::NotGiven)
        .map(|gap| foreign::escape(gap.name.raw(), NAME_SHOWN_BYTES))
        .collect();
    if let Some(first) = missing.first() {
        let more = if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
        return Some(format!(
            "{first}{more} is named by the PipelineRun and not given; give it with all of its TaskRuns (kubectl get taskruns -l \
             tekton.dev/pipelineRun={} -o yaml)",
            run.name()
        ));
    }
    if run.has_embedded_beside() {
        return Some(
            "if the PipelineRun was signed without them, give it alone: its status has them too".to_owned(),
        );
    }
    if run.children().iter().any(RunObject::is_embedded) {
        return Some("if it was signed with the TaskRuns' own objects, give them beside it: here its status alone has them".to_owned());
    }
    let is_new = differences.any(|difference| difference.signed.is_none());
    is_new.then(|| {
        "if some of these were gone, or were not given, when it was signed, leave them out".to_owned()
    })
}

/// What a payload that counts is.
struct Said {
    format: &'static str,
    so_far: Option<SoFar>,
    coverage: Coverage,
}

impl Said {
    fn new(formats: &[RunFormat], so_far: Option<SoFar>, coverage: Coverage) -> Self {
        Self { format: formats.first().map_or("", |format| format.name()), so_far, coverage }
    }
}

/// How what a run gives compares to what is signed.
enum Nearest {
    /// It is the same, in these formats: where there is nothing that they write in different ways, in several.
    Same(Vec<RunFormat>),
    /// It is something else.
    Differs(Vec<Difference>),
}

/// What the payload says of how it was made.
fn options(document: &Value) -> ProvenanceOptions {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let builder = text("/predicate/builder/id").or_else(|| text("/predicate/runDetails/builder/id"));
    let build_type = text("/predicate/buildDefinition/buildType").and_then(|text| text.parse().ok());
    ProvenanceOptions {
        builder_id: builder.unwrap_or_default().to_owned(),
        build_type: build_type.unwrap_or_default(),
        deep_inspection: false,
    }
}
