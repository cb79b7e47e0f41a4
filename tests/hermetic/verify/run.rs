//! `verify-run`: what Chains signs for a run verifies, and what was changed afterwards is named.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::chains::AnnotationValues;
use stepseal::explain::Explain as _;
use stepseal::flow::verify_run::{verify, verify_until};
use stepseal::formats::Claims;
use stepseal::payload::provenance::payload;
use stepseal::payload::{CosignStatement, Format as _, SimpleSigning};
use stepseal::run::{ProvenanceOptions, Run, RunError, RunFormat};
use stepseal::sign::{KeySource, Signer};
use stepseal::verify::run::{self, MAX_PAYLOADS, RunRefusal};
use stepseal::verify::trust::Distrust;
use stepseal::verify::{Accepted, Trust, own};

use crate::kit::step::{Ended, Step};
use crate::verify::kit::{envelope, fails, other, passes, signer, step};

/// A run and its TaskRuns, as JSON.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) object: Value,
    pub(crate) children: Vec<Value>,
}

impl Objects {
    pub(crate) fn read(case: &Path) -> Self {
        let run = Run::parse(&std::fs::read(case.join("input.yaml")).unwrap()).unwrap();
        let children = run.children().iter().map(|child| child.value().clone()).collect();
        Self { object: run.object().clone(), children }
    }

    pub(crate) fn run(&self) -> Run {
        self.try_run().unwrap()
    }

    pub(crate) fn try_run(&self) -> Result<Run, RunError> {
        Run::from_objects(self.object.clone(), self.children.clone())
    }

    /// The run's own object, or that of its TaskRun number `part`.
    pub(crate) fn part(&self, part: usize) -> &Value {
        part.checked_sub(1).map_or(&self.object, |at| &self.children[at])
    }

    pub(crate) fn part_mut(&mut self, part: usize) -> &mut Value {
        part.checked_sub(1).map_or(&mut self.object, |at| &mut self.children[at])
    }

    pub(crate) fn annotate(&mut self, part: &str, key: &str, bytes: &[u8]) {
        let metadata = &mut self.object["metadata"];
        if metadata["annotations"].is_null() {
            metadata["annotations"] = json!({});
        }
        metadata["annotations"][format!("chains.tekton.dev/{part}-{key}")] = STANDARD.encode(bytes).into();
    }

    /// Writes a statement as Chains does, with its envelope for a signature.
    fn carry(&mut self, statement: &Value, signer: &dyn Signer) {
        let key = self.run().short_key().unwrap();
        self.annotate("payload", &key, statement.to_string().as_bytes());
        self.annotate("signature", &key, &envelope(signer, statement));
    }

    fn text(&self) -> String {
        let all: Vec<String> =
            [&self.object].into_iter().chain(&self.children).map(Value::to_string).collect();
        all.join("\n---\n")
    }
}

pub(crate) fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chains-cases").join(name)
}

/// What Chains 0.29.2 makes of a case, by format and settings.
pub(crate) fn answers(case: &Path) -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(case.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text.replace("DEFAULT-REGISTRY", "index.docker.io")).unwrap();
    let formats = expected["formats"].as_object().unwrap();
    formats
        .iter()
        .filter(|(_, answer)| answer["statement"].is_object())
        .map(|(key, answer)| (key.clone(), answer["statement"].clone()))
        .collect()
}

/// Whether annotations with these values hold `payload` and a signature of it that counts.
fn counts(trust: &Trust, payload: &[u8], stored: &str, signature: &str) -> bool {
    let there = AnnotationValues { payload: stored, signature };
    there.signature_of(payload).is_some_and(|signature| run::counts(trust, payload, &signature))
}

pub(crate) fn trust() -> Trust {
    Trust {
        signers: vec![Accepted {
            name: "chains".into(),
            signer: stepseal::verify::Signer::Key(Box::new(signer().public_key().clone())),
            log_required: false,
            timestamp_required: false,
            ignore_sct: false,
            allow_certificate_chain: false,
            hash: None,
        }],
        material: std::sync::Arc::new(stepseal::verify::bundle::TrustMaterial::none()),
    }
}

#[test]
fn what_chains_signs_verifies_for_every_case_and_format() {
    let mut verified = 0;
    for entry in std::fs::read_dir(case("")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for (key, statement) in answers(&folder) {
            let mut objects = Objects::read(&folder);
            objects.carry(&statement, signer());
            let verdict = verify(&objects.run(), &trust(), &[]);
            let why: Vec<String> = verdict
                .refused
                .iter()
                .flat_map(|(_, one)| [vec![one.to_string()], one.causes()].concat())
                .collect();
            assert!(why.is_empty(), "{} {key}: {why:#?}", folder.display());
            assert_eq!(verdict.good.len(), 1);
            verified += 1;
        }
    }
    assert!(verified > 80, "{verified}");
}

fn binary(step: &Step, text: &str, args: &[&str]) -> Ended {
    let file = step.path("run.yaml");
    std::fs::write(&file, text).unwrap();
    let base = ["verify-run", "--insecure-ignore-tlog", "--run", file.to_str().unwrap()];
    step.run(&[&base[..], args].concat())
}

/// A TaskRun with parameters and results, signed as provenance v1.
fn signed() -> Objects {
    let folder = case("tr-params-types");
    let (_, statement) =
        answers(&folder).into_iter().find(|(key, _)| key.starts_with("slsa/v2alpha3")).unwrap();
    let mut objects = Objects::read(&folder);
    objects.carry(&statement, signer());
    objects
}

#[test]
fn a_run_is_told_and_what_it_says_can_be_required() {
    let step = step();
    let objects = signed();
    let require = "--require=$.predicate.runDetails.builder.id=https://tekton.dev/chains/v2";
    let ended = passes(binary(&step, &objects.text(), &[require]));
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed["kind"], "TaskRun");
    assert_eq!(printed["payloads"][0]["format"], "slsa/v2alpha3");
    fails(
        binary(&step, &objects.text(), &["--require=$.predicate.runDetails.builder.id=x"]),
        &["and \"x\" is required"],
    );
    let unsigned = Objects::read(&case("tr-params-types"));
    fails(
        binary(&step, &unsigned.text(), &[]),
        &["the run has no annotation chains.tekton.dev/payload-taskrun-"],
    );
    assert_eq!(binary(&step, "no: run", &[]).code, 2);
}

#[test]
fn what_was_changed_after_the_signature_is_named() {
    let step = step();
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 4] = [
        (
            |run| run["spec"]["params"][0]["value"] = json!("changed"),
            "externalParameters.runSpec.params[name=",
        ),
        (|run| run["spec"]["timeout"] = json!("3h"), "externalParameters.runSpec.timeout"),
        (|run| run["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000"), "has no annotation"),
        (|run| run["status"]["startTime"] = json!("2025-01-01T00:00:00Z"), "runDetails.metadata.startedOn"),
    ];
    for (change, want) in changes {
        let mut objects = signed();
        change(&mut objects.object);
        fails(binary(&step, &objects.text(), &[]), &["does not pass", want]);
    }
    // A result that says something else names another subject.
    let folder = case("tr-single-image");
    for (key, statement) in answers(&folder) {
        let mut objects = Objects::read(&folder);
        objects.carry(&statement, signer());
        for result in objects.object["status"]["results"].as_array_mut().unwrap() {
            if result["name"].as_str().unwrap().ends_with("DIGEST") {
                result["value"] = json!(format!("sha256:{}", "0".repeat(64)));
            }
        }
        let verdict = verify(&objects.run(), &trust(), &[]);
        let [(_, RunRefusal::Changed { differences: found, so_far: false, .. })] = verdict.refused.as_slice()
        else {
            unreachable!("{key}: {:?}", verdict.refused)
        };
        assert!(found.iter().any(|one| one.path.starts_with("subject")), "{key}: {found:?}");
    }
}

/// The PipelineRun while its last `count` TaskRuns went on.
fn while_it_went_on(objects: &Objects, count: usize) -> Run {
    let mut object = objects.object.clone();
    let mut children = objects.children.clone();
    let remove = |object: &mut Value, field: &str| object["status"].as_object_mut().unwrap().remove(field);
    remove(&mut object, "completionTime");
    remove(&mut object, "results");
    let known = children.len() - count;
    for child in &mut children[known..] {
        remove(child, "completionTime");
        remove(child, "steps");
        remove(child, "results");
    }
    Run::from_objects(object, children).unwrap()
}

/// `objects`, carrying what was signed while the last `count` TaskRuns went on.
fn signed_so_far(mut objects: Objects, count: usize, format: RunFormat) -> Objects {
    let options = ProvenanceOptions { deep_inspection: true, ..ProvenanceOptions::default() };
    let made = payload(&while_it_went_on(&objects, count), format, &options).unwrap();
    objects.carry(&serde_json::from_slice(&made.payload.bytes).unwrap(), signer());
    objects
}

#[test]
fn a_pipeline_run_that_its_own_task_signed_verifies_when_it_is_over() {
    let mut named = 0;
    for name in
        ["pr-finally", "pr-matrix", "pr-remote", "pr-results-vs-tasks", "pr-simple", "pr-step-actions"]
    {
        for format in [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4] {
            let children = Objects::read(&case(name)).children;
            for count in 0..=children.len() {
                let objects = signed_so_far(Objects::read(&case(name)), count, format);
                let verdict = verify(&objects.run(), &trust(), &[]);
                let told: Vec<String> = verdict.refused.iter().flat_map(|(_, one)| one.causes()).collect();
                let [good] = verdict.good.as_slice() else { panic!("{name} {format:?} {count}: {told:#?}") };
                let later = &good.so_far.as_ref().unwrap().later;
                let last = children.iter().rev().take(later.len());
                assert!(
                    later.len() <= count
                        && last.zip(later).all(|(one, name)| one["metadata"]["name"] == **name)
                );
                named += later.len();
            }
        }
    }
    assert!(named > 20, "{named}");
}

#[test]
fn what_was_changed_of_a_run_that_was_signed_so_far_is_named() {
    type Change = fn(&mut Objects);
    let changes: [(Change, &str); 3] = [
        (
            |run| run.object["spec"]["timeouts"] = json!({"pipeline": "9h"}),
            "externalParameters.runSpec.timeouts",
        ),
        // Of a TaskRun that was over when it was signed.
        (
            |run| {
                run.children[0]["status"]["steps"][0]["imageID"] =
                    json!(format!("r/x@sha256:{}", "0".repeat(64)))
            },
            "uri=oci://r/x",
        ),
        (
            |run| run.children[0]["status"]["completionTime"] = json!("2025-03-04T05:09:59Z"),
            "resolvedDependencies",
        ),
    ];
    for (change, want) in changes {
        let mut objects = signed_so_far(Objects::read(&case("pr-finally")), 1, RunFormat::SlsaV2Alpha4);
        change(&mut objects);
        let verdict = verify(&objects.run(), &trust(), &[]);
        let [(_, refusal @ RunRefusal::Changed { so_far: true, .. })] = verdict.refused.as_slice() else {
            panic!("{want}: {verdict:?}")
        };
        assert!(refusal.causes().iter().any(|cause| cause.contains(want)), "{want}: {:#?}", refusal.causes());
    }
}

#[test]
fn what_somebody_else_signed_or_mixed_does_not_count() {
    let step = step();
    let (_, statement) = answers(&case("tr-params-types"))
        .into_iter()
        .find(|(key, _)| key.starts_with("slsa/v2alpha3"))
        .unwrap();
    let mut objects = Objects::read(&case("tr-params-types"));
    objects.carry(&statement, other());
    fails(binary(&step, &objects.text(), &[]), &["none of the accepted signers"]);
    let mut objects = signed();
    let key = objects.run().short_key().unwrap();
    let mut another = statement.clone();
    another["predicateType"] = json!("https://slsa.dev/provenance/v0.2");
    objects.annotate("payload", &key, another.to_string().as_bytes());
    fails(binary(&step, &objects.text(), &[]), &["the envelope holds another payload"]);
    let mut objects = signed();
    objects.object["metadata"]["annotations"][format!("chains.tekton.dev/signature-{key}")] = json!("!");
    fails(binary(&step, &objects.text(), &[]), &["is not base64"]);
    let mut objects = signed();
    objects.annotate("payload", "taskrun-another", b"{}");
    fails(binary(&step, &objects.text(), &[]), &["the payload is of another run"]);
}

#[test]
fn the_format_tekton_is_the_status_with_a_plain_signature() {
    let step = step();
    let mut objects = Objects::read(&case("tr-minimal"));
    let key = objects.run().short_key().unwrap();
    let status = objects.object["status"].to_string();
    objects.annotate("payload", &key, status.as_bytes());
    objects.annotate("signature", &key, &signer().sign(status.as_bytes()).unwrap().0);
    let ended = passes(binary(&step, &objects.text(), &[]));
    assert!(ended.stderr.contains("(tekton)"), "{}", ended.stderr);
    objects.object["status"]["podName"] = json!("another");
    fails(binary(&step, &objects.text(), &[]), &["podName: ", "was signed, and it is \"another\""]);
}

/// Anybody can take a signature that was made of something else, and hang it onto a run that says the same in its status.
#[test]
fn what_was_signed_for_something_else_is_no_run() {
    let image = format!("registry.example/app@sha256:{}", "a".repeat(64)).parse().unwrap();
    let claim = SimpleSigning.payloads(&image, &Claims::default()).unwrap().remove(0).bytes;
    let conditions = json!([{ "type": "Succeeded", "status": "True" }]);
    let statement = |kind: &str| json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": kind, "subject": [], "predicate": {} });
    let rows = [
        (serde_json::from_slice(&claim).unwrap(), false),
        (statement("https://slsa.dev/provenance/v1"), false),
        (statement("https://cyclonedx.org/bom"), false),
        (json!({ "conditions": conditions, "pipelineSpec": { "tasks": [] }, "childReferences": [] }), false),
        (json!({ "conditions": conditions, "extra": 1 }), false),
        (json!({ "conditions": [] }), false),
        (json!({ "podName": "p" }), false),
        (json!({}), false),
        (json!([{ "conditions": conditions }]), false),
        (json!(1), false),
        (json!("status"), false),
        (Value::Null, false),
        (json!({ "conditions": conditions, "podName": "p" }), true),
    ];
    for (payload, accepted) in rows {
        let mut objects = Objects::read(&case("tr-minimal"));
        objects.object["status"] = payload.clone();
        let key = objects.run().short_key().unwrap();
        let bytes = payload.to_string();
        objects.annotate("payload", &key, bytes.as_bytes());
        for (signature, fits) in [
            (signer().sign(bytes.as_bytes()).unwrap().0, true),
            // A status in an envelope is none, whatever it says.
            (envelope(signer(), &payload).to_vec(), false),
        ] {
            objects.annotate("signature", &key, &signature);
            let verdict = verify(&objects.run(), &trust(), &[]);
            assert_eq!(verdict.refused.is_empty(), accepted && fits, "{payload}: {:?}", verdict.refused);
        }
    }
}

/// A statement counts in an envelope alone, here and for what `sign` finds there.
/// A field of a status that this version doesn't know may be one of a newer Tekton's, to whoever signs it and whoever verifies it.
#[test]
fn an_unknown_field_of_a_status_is_said_to_be_one() {
    let mut objects = Objects::read(&case("tr-single-image"));
    objects.object["status"]["newField"] = json!(1);
    let run = objects.run();
    let made = payload(&run, RunFormat::Tekton, &ProvenanceOptions::default());
    let status = objects.object["status"].to_string();
    let key = run.short_key().unwrap();
    objects.annotate("payload", &key, status.as_bytes());
    objects.annotate("signature", &key, &signer().sign(status.as_bytes()).unwrap().0);
    let verdict = verify(&objects.run(), &trust(), &[]);
    let (made, refused) = (made.unwrap_err(), &verdict.refused[0].1);
    for (error, hint) in [(&made as &dyn std::error::Error, made.hint()), (refused, refused.hint())] {
        assert!(hint.as_ref().unwrap().contains("a newer Stepseal"), "{error}: {hint:?}");
        assert!(error.source().unwrap().to_string().contains("newField"), "{error:?}");
    }
}

#[test]
fn a_statement_with_a_bare_signature_does_not_count() {
    let mut objects = Objects::read(&case("tr-minimal"));
    let made =
        payload(&objects.run(), RunFormat::SlsaV1, &ProvenanceOptions::default()).unwrap().payload.bytes;
    let signature = signer().sign(&made).unwrap().0;
    let key = objects.run().short_key().unwrap();
    objects.annotate("payload", &key, &made);
    objects.annotate("signature", &key, &signature);
    let verdict = verify(&objects.run(), &trust(), &[]);
    assert!(matches!(verdict.refused[..], [(_, RunRefusal::OtherSignature { .. })]), "{:?}", verdict.refused);
    assert!(!counts(&trust(), &made, &STANDARD.encode(&made), &STANDARD.encode(&signature)));
}

#[test]
fn of_many_payloads_that_do_not_pass_some_are_told_and_how_many() {
    let step = step();
    for (junk, more) in [
        (20, None),
        (21, Some("and 1 more payloads do not pass")),
        (500, Some("and 480 more payloads do not pass")),
    ] {
        let mut objects = signed();
        for number in 0..junk {
            objects.annotate("payload", &format!("{number:012x}"), b"{}");
        }
        let ended = binary(&step, &objects.text(), &[]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("error:").count(), 20, "{}", ended.stderr);
        let told = ended.stderr.lines().find(|line| line.ends_with("do not pass"));
        assert_eq!(told, more, "{}", ended.stderr);
    }
}

/// Junk neither hides the run's own payload nor keeps it waiting.
#[test]
fn more_payloads_than_any_run_has_are_left_out_and_told() {
    let step = step();
    let mut objects = signed();
    let key = objects.run().short_key().unwrap();
    // Another, older signature of the run's own, behind the junk.
    for part in ["payload", "signature"] {
        let annotations = &mut objects.object["metadata"]["annotations"];
        annotations[format!("chains.tekton.dev/{part}-{key}-2")] =
            annotations[format!("chains.tekton.dev/{part}-{key}")].clone();
        annotations[format!("chains.tekton.dev/{part}-{key}")] = json!("AAAA");
    }
    let mut junk = objects.clone();
    for number in 0..MAX_PAYLOADS + 7 {
        junk.annotate("payload", &format!("{number:012x}"), b"{}");
    }
    let verdict = verify(&junk.run(), &trust(), &[]);
    assert_eq!((verdict.good.len(), verdict.refused.len(), verdict.left_out), (1, MAX_PAYLOADS, 7));
    assert_eq!(verdict.good[0].key, format!("{key}-2"));
    let over = verify_until(&junk.run(), &trust(), &[], std::time::Instant::now());
    assert!(matches!(over.refused[..], [(_, RunRefusal::Time)]) && over.good.is_empty(), "{over:?}");
    let ended = passes(binary(&step, &objects.text(), &[]));
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
}

/// What a signature covers is told for people and for programs.
#[test]
fn what_a_signature_covers_is_told() {
    let step = step();
    let ended = passes(binary(&step, &signed().text(), &[]));
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let payload = &printed["payloads"][0];
    let has = |list: &str, name: &str| {
        payload[list].as_array().unwrap().iter().any(|one| *one == name || one["field"] == name)
    };
    assert!(
        has("covers", "UID") && has("coversInPart", "steps") && has("doesNotCover", "namespace"),
        "{payload}"
    );
    assert_eq!(payload["note"], Value::Null);
    assert!(printed["protection"]["landlock"]["state"].is_string(), "{printed}");
    for text in ["covers UID", "covers in part ", "doesn't cover name, namespace"] {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
    let mut objects = Objects::read(&case("tr-minimal"));
    let key = objects.run().short_key().unwrap();
    let status = objects.object["status"].to_string();
    objects.annotate("payload", &key, status.as_bytes());
    objects.annotate("signature", &key, &signer().sign(status.as_bytes()).unwrap().0);
    let ended = passes(binary(&step, &objects.text(), &[]));
    assert!(ended.stderr.contains("note: the format tekton signs the status alone"), "{}", ended.stderr);
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let payload = &printed["payloads"][0];
    assert!(payload["note"].as_str().unwrap().contains("the status alone"), "{payload}");
    assert!(payload["doesNotCover"].as_array().unwrap().contains(&json!("UID")), "{payload}");
}

/// What `sign` counts as there in annotations is what `verify-run` accepts.
#[test]
fn annotations_count_if_and_only_if_they_verify() {
    let names = std::fs::read_dir(case("")).unwrap().map(|entry| entry.unwrap().path());
    let mut objects = names
        .filter(|path| path.join("expected.json").exists())
        .map(|path| Objects::read(&path))
        .find(|objects| objects.children.is_empty())
        .unwrap();
    let statement = payload(&objects.run(), RunFormat::SlsaV1, &ProvenanceOptions::default()).unwrap();
    let bytes = statement.payload.bytes;
    objects.carry(&serde_json::from_slice(&bytes).unwrap(), signer());
    let key = objects.run().short_key().unwrap();
    let name = |part: &str| format!("chains.tekton.dev/{part}-{key}");
    // As it is kept, the payload is what was signed, byte for byte.
    let signature = signer().sign_payload(&statement_payload(&bytes), &[]).unwrap();
    let envelope = stepseal::formats::dsse::envelope(&statement_payload(&bytes), &signature, "k");
    let good = (STANDARD.encode(&bytes), STANDARD.encode(&envelope));
    let json: Value = serde_json::from_slice(&envelope).unwrap();
    let changed = |field: &str, value: Value| {
        let mut json = json.clone();
        json[field] = value;
        (good.0.clone(), STANDARD.encode(json.to_string()))
    };
    let rows = [
        (good.clone(), true),
        ((good.0.clone(), format!("{}\n", good.1)), false),
        ((good.0.clone(), String::new()), false),
        ((String::new(), good.1.clone()), false),
        (("?".into(), good.1.clone()), false),
        ((STANDARD.encode("{}"), good.1.clone()), false),
        ((good.0.clone(), STANDARD.encode("x")), false),
        ((good.0.clone(), STANDARD.encode("{}")), false),
        ((good.0.clone(), STANDARD.encode(&signature.0)), false),
        (changed("payload", "e30=".into()), false),
        (changed("payloadType", "text/plain".into()), false),
        (changed("signatures", json!([])), false),
        (changed("signatures", json!([{ "sig": "AAAA" }])), false),
        (changed("x", json!(1)), true),
    ];
    for (row, ((payload, signature), accepted)) in rows.into_iter().enumerate() {
        let annotations = &mut objects.object["metadata"]["annotations"];
        annotations[name("payload")] = payload.clone().into();
        annotations[name("signature")] = signature.clone().into();
        annotations[name("cert")] = "what stands here decides nothing".into();
        let verdict = verify(&objects.run(), &trust(), &[]);
        assert_eq!(!verdict.good.is_empty(), accepted, "row {row}: {:?}", verdict.refused);
        let counted = counts(&trust(), &bytes, &payload, &signature);
        assert_eq!(counted, accepted, "row {row}");
    }
}

/// A signature's own first byte may be the `{` with which an envelope begins: one of 256 Ed25519 or RSA signatures.
#[test]
fn a_signature_that_begins_like_an_envelope_counts() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keys/ed25519.pkcs8.pem");
    let source: KeySource = path.parse().unwrap();
    let ed25519 = source.read(&|_| None).unwrap().unlock().unwrap();
    let trust = own::trust(ed25519.public_key());
    let mut objects = Objects::read(&case("tr-minimal"));
    let key = objects.run().short_key().unwrap();
    let (status, signature) = (0..100_000)
        .find_map(|number| {
            objects.object["status"]["podName"] = format!("pod-{number}").into();
            let status = objects.object["status"].to_string();
            let signature = ed25519.sign(status.as_bytes()).unwrap().0;
            (signature[0] == b'{').then_some((status, signature))
        })
        .unwrap();
    let mut changed = signature.clone();
    changed[40] ^= 1;
    for (signature, accepted) in [(&signature, true), (&changed, false)] {
        objects.annotate("payload", &key, status.as_bytes());
        objects.annotate("signature", &key, signature);
        let verdict = verify(&objects.run(), &trust, &[]);
        assert_eq!(!verdict.good.is_empty(), accepted, "{:?}", verdict.refused);
        let counted =
            counts(&trust, status.as_bytes(), &STANDARD.encode(&status), &STANDARD.encode(signature));
        assert_eq!(counted, accepted);
    }
    // With a log demanded, what is told is what is missing.
    let mut logged = trust.clone();
    logged.signers[0].log_required = true;
    objects.annotate("signature", &key, &signature);
    let verdict = verify(&objects.run(), &logged, &[]);
    let [(_, RunRefusal::Distrust(Distrust::NoLog))] = &verdict.refused[..] else {
        panic!("{:?}", verdict.refused);
    };
}

/// With `sigstore-bundle`, an image's signature is a statement in annotations too.
#[test]
fn an_image_that_is_signed_in_a_statement_verifies_if_the_run_names_it() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let other = format!("sha256:{}", "cd".repeat(32));
    let mut objects = Objects::read(&case("tr-minimal"));
    objects.object["status"]["results"] = json!([
        { "name": "IMAGE_URL", "type": "string", "value": "registry.example/app" },
        { "name": "IMAGE_DIGEST", "type": "string", "value": digest },
    ]);
    let key = objects.run().short_key().unwrap();
    let status = objects.object["status"].to_string();
    objects.annotate("payload", &key, status.as_bytes());
    objects.annotate("signature", &key, &signer().sign(status.as_bytes()).unwrap().0);
    let statement = |digest: &str| -> Value {
        let image = format!("registry.example/app@{digest}").parse().unwrap();
        let payload = CosignStatement.payloads(&image, &Claims::default()).unwrap().remove(0);
        serde_json::from_slice(&payload.bytes).unwrap()
    };
    let mut provenance = statement(&digest);
    provenance["predicateType"] = json!("https://slsa.dev/provenance/v1");
    let mut nothing = statement(&digest);
    nothing["subject"] = json!([]);
    let hex = |digest: &str| digest["sha256:".len()..].to_owned();
    let rows = [
        (statement(&digest), &hex(&digest)[..12], true),
        (statement(&digest), &hex(&digest)[..24], true),
        (statement(&digest), &hex(&digest)[..11], false),
        (statement(&digest), &hex(&other)[..12], false),
        (statement(&other), &hex(&other)[..12], false),
        (statement(&other), &hex(&digest)[..12], false),
        (provenance, &hex(&digest)[..12], false),
        (nothing, &hex(&digest)[..12], false),
        (json!({ "_type": "x" }), &hex(&digest)[..12], false),
    ];
    for (row, (statement, name, accepted)) in rows.into_iter().enumerate() {
        let mut objects = Objects { object: objects.object.clone(), children: Vec::new() };
        let bytes = statement.to_string();
        objects.annotate("payload", name, bytes.as_bytes());
        objects.annotate("signature", name, &envelope(signer(), &statement));
        let verdict = verify(&objects.run(), &trust(), &[]);
        let good: Vec<(&str, &str)> =
            verdict.good.iter().map(|good| (good.key.as_str(), good.format)).collect();
        assert_eq!(good.contains(&(name, "cosign-sign-v1")), accepted, "row {row}: {:?}", verdict.refused);
        assert_eq!(verdict.refused.is_empty(), accepted, "row {row}: {:?}", verdict.refused);
    }
}

fn statement_payload(bytes: &[u8]) -> stepseal::formats::Payload {
    stepseal::formats::Payload {
        bytes: bytes.to_vec().into(),
        media_type: stepseal::formats::cosign_statement::PAYLOAD_TYPE,
        envelope: stepseal::formats::Envelope::Dsse,
    }
}
