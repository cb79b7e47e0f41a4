//! What `verify-run` says that a signature covers is what it covers, and the order of lists counts.

pub(crate) mod samples;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stepseal::explain::Explain as _;
use stepseal::flow::verify_run::verify;
use stepseal::payload::provenance::payload;
use stepseal::run::{BuildType, ProvenanceOptions, Run, RunFormat, RunKind};
use stepseal::verify::run::coverage::{Extent, Field, fields};
use stepseal::verify::run::{RunRefusal, SETS};

use crate::kit::effort::stride;
use crate::verify::kit::{envelope, signer};
use crate::verify::run::{Objects, answers, case, trust};
use samples::{alike, pipeline_runs, task_runs};

/// A format, a build type, and whether the results of TaskRuns count.
pub(crate) type Way = (RunFormat, BuildType, bool);

pub(crate) const FORMATS: [(RunFormat, BuildType); 6] = [
    (RunFormat::SlsaV1, BuildType::Slsa),
    (RunFormat::SlsaV2Alpha3, BuildType::Slsa),
    (RunFormat::SlsaV2Alpha3, BuildType::SlsaTekton),
    (RunFormat::SlsaV2Alpha4, BuildType::Slsa),
    (RunFormat::SlsaV2Alpha4, BuildType::SlsaTekton),
    (RunFormat::Tekton, BuildType::Slsa),
];

/// A payload as it is signed, with its signature.
pub(crate) struct Signed {
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    pub(crate) fn new(payload: &Value) -> Self {
        let bytes = payload.to_string().into_bytes();
        let signature = match payload.get("_type") {
            Some(_) => envelope(signer(), payload).to_vec(),
            None => signer().sign(&bytes).unwrap().0,
        };
        Self { payload: bytes, signature }
    }

    /// Whether it counts as the signature of `objects`. The names of annotations aren't signed: whoever gives the run
    /// another UID renames them.
    fn passes(&self, objects: &Objects) -> bool {
        self.refusals(objects).is_empty()
    }

    /// What to do where it doesn't count for `objects`.
    pub(crate) fn hint(&self, objects: &Objects) -> String {
        let mut objects = objects.clone();
        let key = objects.run().short_key().unwrap();
        objects.annotate("payload", &key, &self.payload);
        objects.annotate("signature", &key, &self.signature);
        let verdict = verify(&objects.run(), &trust(), &[]);
        verdict.refused.first().and_then(|(_, refusal)| refusal.hint()).unwrap_or_default()
    }

    /// Why it doesn't count, with the reasons below.
    pub(crate) fn refusals(&self, objects: &Objects) -> Vec<String> {
        let mut objects = objects.clone();
        let run = match objects.try_run() {
            Ok(run) => run,
            Err(error) => {
                let refusal = RunRefusal::from(error);
                return [vec![refusal.to_string()], refusal.causes()].concat();
            }
        };
        let key = run.short_key().unwrap();
        objects.annotate("payload", &key, &self.payload);
        objects.annotate("signature", &key, &self.signature);
        let refused = verify(&objects.run(), &trust(), &[]).refused;
        refused.iter().flat_map(|(_, one)| [vec![one.to_string()], one.causes()].concat()).collect()
    }
}

pub(crate) fn made(run: &Run, (format, build_type, deep_inspection): Way) -> Value {
    let options = ProvenanceOptions { build_type, deep_inspection, ..ProvenanceOptions::default() };
    serde_json::from_slice(&payload(run, format, &options).unwrap().payload.bytes).unwrap()
}

/// A step on the way into a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Toward {
    Key(String),
    Item(usize),
}

fn at<'v>(value: &'v mut Value, path: &[Toward]) -> &'v mut Value {
    path.iter().fold(value, |value, step| match step {
        Toward::Key(key) => value.get_mut(key).unwrap(),
        Toward::Item(item) => value.get_mut(item).unwrap(),
    })
}

/// Every place in `value`, the outer before the inner.
fn places(value: &Value, path: &mut Vec<Toward>, found: &mut Vec<(Vec<Toward>, Value)>) {
    found.push((path.clone(), value.clone()));
    let mut below = |step: Toward, value: &Value| {
        path.push(step);
        places(value, path, found);
        path.pop();
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| below(Toward::Item(at), item)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| below(Toward::Key(key.clone()), field))
        }
        _ => {}
    }
}

fn all_places(value: &Value) -> Vec<(Vec<Toward>, Value)> {
    let mut found = Vec::new();
    places(value, &mut Vec::new(), &mut found);
    found
}

/// Another value of the same kind.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(yes) => json!(!yes),
        Value::Number(number) => json!(number.as_i64().unwrap() + 1),
        // A condition has one of these statuses, or the run is refused.
        Value::String(text) if text == "True" => json!("False"),
        Value::String(text) if text == "False" => json!("True"),
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => json!((time + std::time::Duration::from_secs(1)).to_string()),
            Err(_) if text.len() == 36 && text.matches('-').count() == 4 => json!(text.replace('0', "1")),
            Err(_) if text.starts_with("sha256:") || text.ends_with('a') => {
                json!(format!("{}b", &text[..text.len() - 1]))
            }
            Err(_) => json!(format!("{text}x")),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => unreachable!("{value}"),
    }
}

/// The field of the table that a place belongs to.
fn field_of(kind: RunKind, of_task_run: bool, path: &[Toward]) -> &'static Field {
    let fits = |pattern: &&&[&str]| {
        pattern.len() <= path.len()
            && pattern.iter().zip(path).all(|(part, step)| match step {
                Toward::Item(_) => *part == "[]",
                Toward::Key(key) => match part.strip_suffix('*') {
                    Some(begin) => key.starts_with(begin),
                    None => key == part,
                },
            })
    };
    let candidates = fields(kind).iter().filter(|field| field.of_task_runs == of_task_run);
    let longest = candidates
        .filter_map(|field| Some((field.paths.iter().filter(fits).map(|path| path.len()).max()?, field)));
    longest.max_by_key(|(length, _)| *length).unwrap_or_else(|| panic!("no field for {path:?}")).1
}

/// One change of a run, with the field that it is in.
struct Change {
    field: &'static Field,
    what: String,
    objects: Objects,
}

/// A run, and what of it is changed.
struct Sample {
    objects: Objects,
    /// The objects of which each value is changed: the run's own is 0, its first TaskRun 1.
    parts: std::ops::Range<usize>,
    /// Whether its first TaskRun gets another name, and is one that goes on.
    task_run: bool,
    /// The only keys of an object below which values are changed; none: all of them.
    below: &'static [&'static str],
}

impl Sample {
    fn new(objects: Objects, parts: std::ops::Range<usize>, task_run: bool) -> Self {
        Self { objects, parts, task_run, below: &[] }
    }

    fn below(self, below: &'static [&'static str]) -> Self {
        Self { below, ..self }
    }

    fn is_below(&self, path: &[Toward]) -> bool {
        self.below.is_empty()
            || path.iter().any(|step| matches!(step, Toward::Key(key) if self.below.contains(&key.as_str())))
    }

    /// The run with each of its values changed in turn, and the entries of each of its lists.
    fn changes(&self, format: RunFormat) -> Vec<Change> {
        let kind = self.objects.run().kind();
        let mut found = Vec::new();
        for part in self.parts.clone() {
            let object = self.objects.part(part);
            for (path, value) in all_places(object) {
                let is_leaf = !matches!(value, Value::Null | Value::Array(_) | Value::Object(_));
                // What kind of object it is decides what it is compared as.
                let is_kind =
                    matches!(path.as_slice(), [Toward::Key(key)] if key == "kind" || key == "apiVersion");
                // And without this condition a run that is over is refused.
                let is_kind =
                    is_kind || value == "Succeeded" && path.last() == Some(&Toward::Key("type".into()));
                if !is_leaf || is_kind || !self.is_below(&path) {
                    continue;
                }
                let mut objects = self.objects.clone();
                if path == ["metadata", "namespace"].map(|key| Toward::Key(key.into())) {
                    // A PipelineRun and its TaskRuns are in one.
                    let all = 0..=objects.children.len();
                    all.for_each(|part| objects.part_mut(part)["metadata"]["namespace"] = json!("elsewhere"));
                } else {
                    *at(objects.part_mut(part), &path) = other(&value);
                }
                let what = format!("{part} {} {value}", notation(&path));
                found.push(Change { field: field_of(kind, part > 0, &path), what, objects });
            }
            for (path, changed) in swapped(object).into_iter().filter(|(path, _)| self.is_below(path)) {
                let mut objects = self.objects.clone();
                *objects.part_mut(part) = changed;
                let what = format!("{part} {} in another order", notation(&path));
                found.push(Change { field: field_of(kind, part > 0, &path), what, objects });
            }
        }
        if self.task_run {
            // The status, which has its name, is what tekton signs.
            found.extend((format != RunFormat::Tekton).then(|| renamed(&self.objects, 1)));
            let mut objects = self.objects.clone();
            objects.children[0]["status"].as_object_mut().unwrap().remove("completionTime");
            let path = ["status", "completionTime"].map(|key| Toward::Key(key.into()));
            let field = field_of(RunKind::PipelineRun, true, &path);
            found.push(Change { field, what: "goes on".to_owned(), objects });
        }
        found
    }
}

/// The object without the results of its run and steps.
fn without_results(object: &mut Value) {
    let status = object["status"].as_object_mut().unwrap();
    status.remove("results");
    for step in status.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten() {
        step.as_object_mut().unwrap().remove("results");
    }
}

fn samples(kind: RunKind) -> Vec<Sample> {
    let runs = match kind {
        RunKind::TaskRun => task_runs(),
        RunKind::PipelineRun => pipeline_runs(),
    };
    let [given, by_resolver] = <[Objects; 2]>::try_from(runs).unwrap_or_else(|_| unreachable!("two samples"));
    let mut bare = by_resolver.clone();
    (0..=bare.children.len()).for_each(|part| without_results(bare.part_mut(part)));
    // What doesn't depend on where the Task came from, or on results, is seen in the first.
    let by_resolver = Sample::new(by_resolver, 0..1, false).below(&["spec", "provenance"]);
    let given =
        Sample::new(given, 0..1 + usize::from(kind == RunKind::PipelineRun), kind == RunKind::PipelineRun);
    if kind == RunKind::TaskRun {
        return vec![given, by_resolver, Sample::new(bare, 0..1, false).below(&["metadata"])];
    }
    let mut alone = bare.clone();
    alone.children.clear();
    alone.object["status"]["childReferences"] = json!([]);
    let alone = Sample::new(alone, 0..1, false).below(&["metadata", "spec"]);
    vec![given, by_resolver, Sample::new(bare, 0..0, true), alone]
}

/// A TaskRun with another name, in the PipelineRun too.
fn renamed(objects: &Objects, part: usize) -> Change {
    let mut changed = objects.clone();
    let name = changed.part(part)["metadata"]["name"].clone();
    changed.part_mut(part)["metadata"]["name"] = json!("renamed");
    for reference in changed.object["status"]["childReferences"].as_array_mut().unwrap() {
        if reference["name"] == name {
            reference["name"] = json!("renamed");
        }
    }
    let path = ["metadata", "name"].map(|key| Toward::Key(key.into()));
    Change {
        field: field_of(RunKind::PipelineRun, true, &path),
        what: format!("{part} renamed"),
        objects: changed,
    }
}

#[test]
fn the_table_says_of_every_field_of_a_task_run_what_is_covered() {
    the_table_is_right(RunKind::TaskRun);
}

#[test]
fn the_table_says_of_every_field_of_a_pipeline_run_what_is_covered() {
    the_table_is_right(RunKind::PipelineRun);
}

fn the_table_is_right(kind: RunKind) {
    let mut wrong = BTreeSet::new();
    let samples = samples(kind);
    for (format, build_type) in FORMATS.into_iter().step_by(stride(3)) {
        // By field: changes that are refused, and changes that pass.
        let mut seen: BTreeMap<&str, [Vec<String>; 2]> = BTreeMap::new();
        for sample in &samples {
            let signed = Signed::new(&made(&sample.objects.run(), (format, build_type, true)));
            assert!(signed.passes(&sample.objects), "{kind} {format} {build_type:?}");
            for change in sample.changes(format) {
                let passes = signed.passes(&change.objects);
                seen.entry(change.field.name).or_default()[usize::from(passes)].push(change.what);
            }
        }
        for field in fields(kind) {
            let [refused, passed] = seen.remove(field.name).unwrap_or_default();
            let extent = field.extent(format, build_type);
            let about = format!("{kind} {format} {build_type:?} {}: {extent:?}", field.name);
            let (refused_first, passed_first) = (refused.first(), passed.first());
            let right = match extent {
                Extent::All => passed.is_empty() && !refused.is_empty(),
                Extent::Nothing => refused.is_empty() && !passed.is_empty(),
                Extent::Part(_) => !refused.is_empty() && !passed.is_empty(),
            };
            if !right {
                wrong.insert(format!(
                    "{about}\n    refused {} {refused_first:?}\n    passed {} {passed_first:?}",
                    refused.len(),
                    passed.len()
                ));
            }
        }
    }
    let all: Vec<String> = wrong.into_iter().collect();
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all.join("\n"));
}

/// What a table promises where it says so in a field that it covers in part; a field that it covers whole promises it too.
struct Promise {
    field: &'static str,
    words: &'static str,
    what: &'static str,
    change: fn(&mut Objects),
}

const PROMISES: [Promise; 6] = [
    Promise {
        field: "childReferences",
        words: "which TaskRuns",
        what: "a TaskRun more",
        change: |of| added(of),
    },
    Promise {
        field: "childReferences",
        words: "which TaskRuns",
        what: "a TaskRun less",
        change: |of| dropped(of),
    },
    Promise {
        field: "childReferences",
        words: "order within a task",
        what: "the TaskRuns of a task reversed",
        change: |of| reversed(&mut of.object["status"]["childReferences"]),
    },
    Promise {
        field: "pipelineSpec as run",
        words: "names",
        what: "a task renamed",
        change: |of| task_renamed(of),
    },
    Promise {
        field: "pipelineSpec as run",
        words: "order",
        what: "the tasks reversed",
        change: |of| reversed(&mut of.object["status"]["pipelineSpec"]["tasks"]),
    },
    Promise {
        field: "TaskRuns: labels",
        words: "the task of the Pipeline",
        what: "a TaskRun of the other task",
        change: |of| of.children[0]["metadata"]["labels"]["tekton.dev/pipelineTask"] = json!("test"),
    },
];

/// A copy of the first TaskRun with another ServiceAccount, as a child of its own.
fn added(objects: &mut Objects) {
    let mut child = objects.children[0].clone();
    child["metadata"]["name"] = json!("evil");
    child["metadata"]["uid"] = json!("0d3b3a9c-0000-4000-8000-00000000000e");
    child["spec"]["serviceAccountName"] = json!("evil");
    objects.children.push(child);
    let references = objects.object["status"]["childReferences"].as_array_mut().unwrap();
    let mut reference = references[0].clone();
    reference["name"] = json!("evil");
    references.push(reference);
}

fn dropped(objects: &mut Objects) {
    objects.children.pop();
    objects.object["status"]["childReferences"].as_array_mut().unwrap().pop();
}

/// The first task under another name, wherever it has one.
fn task_renamed(objects: &mut Objects) {
    let status = &mut objects.object["status"];
    status["pipelineSpec"]["tasks"][0]["name"] = json!("renamed");
    for reference in status["childReferences"].as_array_mut().unwrap() {
        if reference["pipelineTaskName"] == "build" {
            reference["pipelineTaskName"] = json!("renamed");
        }
    }
    for child in &mut objects.children {
        let label = &mut child["metadata"]["labels"]["tekton.dev/pipelineTask"];
        if *label == "build" {
            *label = json!("renamed");
        }
    }
}

fn reversed(list: &mut Value) {
    list.as_array_mut().unwrap().reverse();
}

/// Chains writes what went into several TaskRuns once, so in some formats one of them may come or go unseen.
#[test]
fn what_the_table_promises_of_the_task_runs_of_a_pipeline_run_is_refused() {
    let (apart, alike) = (pipeline_runs().remove(0), alike());
    let mut unseen = BTreeSet::new();
    for (format, build_type) in FORMATS {
        for promise in &PROMISES {
            let field =
                fields(RunKind::PipelineRun).iter().find(|field| field.name == promise.field).unwrap();
            let extent = field.extent(format, build_type);
            let promised = match extent {
                Extent::All => true,
                Extent::Part(what) => what.contains(promise.words),
                Extent::Nothing => false,
            };
            let about = format!("{format} {build_type:?} {}: {extent:?}", promise.what);
            let passes = |sample: &Objects| {
                let signed = Signed::new(&made(&sample.run(), (format, build_type, false)));
                assert!(signed.passes(sample), "{about}");
                let mut changed = sample.clone();
                (promise.change)(&mut changed);
                signed.passes(&changed)
            };
            // The status of a PipelineRun alone says nothing that its TaskRuns say.
            if format == RunFormat::Tekton && promise.field.starts_with("TaskRuns") {
                continue;
            }
            let (apart, alike) = (passes(&apart), passes(&alike));
            assert!(!promised || !alike, "{about}");
            assert!(!promised || !apart || promise.words == "order within a task", "{about}");
            if alike {
                unseen.insert((format!("{format} {build_type:?}"), promise.what));
            }
        }
    }
    // As long as one isn't promised for want of words, the test would not see it.
    assert_eq!(unseen.len(), 2 * PROMISES.len(), "{unseen:#?}");
}

/// The lists of `value` with two entries that differ exchanged, each in turn.
fn swapped(value: &Value) -> Vec<(Vec<Toward>, Value)> {
    let lists = all_places(value).into_iter().filter_map(|(path, list)| {
        let items = list.as_array()?;
        let other = items.iter().position(|item| *item != items[0])?;
        let mut changed = value.clone();
        at(&mut changed, &path).as_array_mut().unwrap().swap(0, other);
        Some((path, changed))
    });
    lists.collect()
}

/// A path in the notation of the table of sets.
fn notation(path: &[Toward]) -> String {
    let parts = path.iter().map(|step| match step {
        Toward::Key(key) => key.as_str(),
        Toward::Item(_) => "[]",
    });
    parts.collect::<Vec<_>>().join(".")
}

fn is_set(path: &[Toward]) -> bool {
    SETS.iter().any(|(set, _)| *set == notation(path))
}

/// What is signed, with the lists that are sets sorted.
fn ordered(mut payload: Value) -> Value {
    for (path, _) in all_places(&payload).into_iter().filter(|(path, _)| is_set(path)) {
        at(&mut payload, &path).as_array_mut().unwrap().sort_by_key(Value::to_string);
    }
    payload
}

#[test]
fn another_order_in_a_run_is_refused_where_its_signature_covers_it() {
    let mut refused = 0;
    let cases =
        std::fs::read_dir(case("")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    for sample in cases.map(|folder| Objects::read(&folder)) {
        for (format, build_type) in FORMATS {
            let way = (format, build_type, true);
            let payload = made(&sample.run(), way);
            let signed = Signed::new(&payload);
            for part in 0..=sample.children.len().min(1) {
                for (path, changed) in swapped(sample.part(part)) {
                    let field = field_of(sample.run().kind(), part > 0, &path);
                    let mut other = sample.clone();
                    *other.part_mut(part) = changed;
                    let passes = signed.passes(&other);
                    let about = format!("{format} {build_type:?} {part} {}", notation(&path));
                    // What is made of it is the same, but for the order of sets; sidecars are no set where they are signed whole.
                    let same = ordered(made(&other.run(), way)) == ordered(payload.clone());
                    let whole =
                        format == RunFormat::Tekton || (part > 0 && build_type == BuildType::SlsaTekton);
                    let sidecars = notation(&path) == "status.sidecars" && !whole;
                    assert_eq!(passes, same || sidecars, "{about}");
                    match field.extent(format, build_type) {
                        Extent::All => assert!(!passes, "{about}"),
                        Extent::Nothing => assert!(passes, "{about}"),
                        Extent::Part(_) => {}
                    }
                    refused += usize::from(!passes);
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn another_order_in_what_is_signed_is_refused_but_for_the_sets() {
    let mut seen = BTreeSet::new();
    let mut check = |objects: &Objects, statement: &Value| {
        for (path, changed) in swapped(statement) {
            let passes = Signed::new(&changed).passes(objects);
            assert_eq!(passes, is_set(&path), "{}", notation(&path));
            seen.insert(notation(&path));
        }
    };
    for entry in std::fs::read_dir(case("")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            answers(&folder).iter().for_each(|(_, statement)| check(&Objects::read(&folder), statement));
        }
    }
    for sample in task_runs().into_iter().chain(pipeline_runs()) {
        for (format, build_type) in FORMATS {
            check(&sample, &made(&sample.run(), (format, build_type, true)));
        }
    }
    let unseen: Vec<&str> = SETS.iter().map(|(path, _)| *path).filter(|path| !seen.contains(*path)).collect();
    assert!(unseen.is_empty(), "no sample has {unseen:?}");
}

/// Where the order alone changed, the difference says so, with the path.
#[test]
fn another_order_is_named() {
    let sample = task_runs().remove(0);
    let signed = Signed::new(&made(&sample.run(), (RunFormat::SlsaV2Alpha3, BuildType::Slsa, false)));
    let mut changed = sample;
    let steps = changed.object["spec"]["taskSpec"]["steps"].as_array_mut().unwrap();
    steps[0]["args"].as_array_mut().unwrap().swap(0, 2);
    steps.swap(0, 1);
    let key = changed.run().short_key().unwrap();
    changed.annotate("payload", &key, &signed.payload);
    changed.annotate("signature", &key, &signed.signature);
    let verdict = verify(&changed.run(), &trust(), &[]);
    let [(_, refusal @ RunRefusal::Changed { .. })] = verdict.refused.as_slice() else {
        panic!("{verdict:?}")
    };
    let spec = "predicate.buildDefinition.externalParameters.runSpec.taskSpec.steps";
    let causes = refusal.causes();
    for path in [
        format!("{spec}: the order changed: [\"scan\",\"push\"]"),
        format!("{spec}[name=scan].args: the order changed: [\"--deny\""),
    ] {
        assert!(causes.iter().any(|cause| cause.starts_with(&path)), "{path}: {causes:#?}");
    }
}

/// Tekton writes the sidecars of a TaskRun in another order once they are stopped. Their images stand behind those of the steps.
#[test]
fn the_images_of_sidecars_may_be_in_any_order_and_nothing_else_may() {
    let image =
        |digit: char| json!(format!("registry.example/tools@sha256:{}", digit.to_string().repeat(64)));
    let entries = |kind: &str, digits: &str| -> Value {
        let entry = |(at, digit)| json!({ "name": format!("{kind}{at}"), "container": format!("{kind}-{at}"), "imageID": image(digit) });
        digits.chars().enumerate().map(entry).collect()
    };
    // The images of steps and of sidecars when it was signed, and later.
    let rows = [
        (("12", "345"), ("12", "543"), true),
        (("12", "345"), ("12", "453"), true),
        (("12", "325"), ("12", "532"), true),
        (("12", "335"), ("12", "353"), true),
        (("12", "345"), ("21", "345"), false),
        (("12", "345"), ("13", "245"), false),
        (("12", "345"), ("12", "346"), false),
        (("12", "345"), ("12", "34"), false),
        (("12", "345"), ("12", "3456"), false),
    ];
    for sample in [task_runs().remove(0), pipeline_runs().remove(0)] {
        let with = |(steps, sidecars): (&str, &str)| {
            let mut sample = sample.clone();
            let last = sample.children.len();
            let status = &mut sample.part_mut(last)["status"];
            status["steps"] = entries("step", steps);
            status["sidecars"] = entries("sidecar", sidecars);
            sample
        };
        for (format, build_type) in FORMATS {
            let whole = format == RunFormat::Tekton || build_type == BuildType::SlsaTekton;
            for (signed, now, passes) in rows.into_iter().filter(|_| !whole) {
                let (signed_run, now_run) = (with(signed), with(now));
                let payload = Signed::new(&made(&signed_run.run(), (format, build_type, true)));
                assert_eq!(payload.passes(&now_run), passes, "{format} {signed:?} {now:?}");
            }
        }
    }
}
