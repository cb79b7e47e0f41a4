//! Inputs that are one document: bundles, runs, predicates, policies, trusted roots, keys, credentials, folders.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::shapes::{self, JSON, YAML};
use super::{Case, INPUT_BYTES, Job, Scene, TIMEOUT};

/// Space for what surrounds the hostile part.
const BYTES: usize = INPUT_BYTES - 4096;
const PUBLIC_KEY: &str = include_str!("../../tests/data/keys/p256.pub");
const ROOT: &str = sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
const IMAGE: &str =
    "127.0.0.1:1/team/app@sha256:93472adaebf5c6574304b63ba42c22466360efadcc936d0eaae5a5b44de1b6c0";

/// Every case of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text) in JSON {
        cases.push(Case::new(format!("verify-run: {name}"), move |scene| {
            run(scene, text(BYTES), "verify-run")
        }));
        cases.push(Case::new(format!("verify-blob --bundle: {name}"), move |scene| {
            bundle(scene, text(BYTES))
        }));
        cases.push(Case::new(format!("verify-blob --bundle: unknown, {name}"), move |scene| {
            bundle(scene, format!(r#"{{"verificationMaterial":{{"unknown":{}}}}}"#, text(BYTES)))
        }));
        cases.push(Case::new(format!("verify-blob --bundle: payload, {name}"), move |scene| {
            let payload = STANDARD.encode(text(BYTES / 4 * 3));
            bundle(scene, enveloped(&payload, r#"{"sig":"AAAA"}"#))
        }));
        cases.push(Case::new(format!("attest --predicate: {name}"), move |scene| attest(scene, text(BYTES))));
    }
    for (name, text) in YAML {
        cases.push(Case::new(format!("verify-run: YAML, {name}"), move |scene| {
            run(scene, text(BYTES), "verify-run")
        }));
        cases
            .push(Case::new(format!("verify --policy: {name}"), move |scene| policy(scene, text(1_000_000))));
    }
    bundles(&mut cases);
    runs(&mut cases);
    others(&mut cases);
    cases
}

/// Bundles in which a list that is known has too many parts.
fn bundles(cases: &mut Vec<Case>) {
    for part in ["{}", r#"{"logIndex":"1"}"#, r#"{"inclusionProof":{},"logId":{}}"#] {
        cases.push(Case::new(format!("verify-blob --bundle: log entries {part}"), move |scene| {
            material(scene, &format!(r#""tlogEntries":{}"#, shapes::array(part, BYTES)))
        }));
    }
    type Lists = [(&'static str, fn() -> String); 5];
    let lists: Lists = [
        ("hashes", || {
            let hashes = shapes::array(r#""""#, BYTES);
            format!(r#""tlogEntries":[{{"inclusionProof":{{"hashes":{hashes}}}}}]"#)
        }),
        ("hashes of 32 bytes", || {
            let hashes = shapes::array(&format!("\"{}=\"", "A".repeat(43)), BYTES);
            format!(r#""tlogEntries":[{{"inclusionProof":{{"hashes":{hashes}}}}}]"#)
        }),
        ("timestamps", || {
            let stamps = shapes::array("{}", BYTES);
            format!(r#""timestampVerificationData":{{"rfc3161Timestamps":{stamps}}}"#)
        }),
        ("certificates", || {
            format!(r#""x509CertificateChain":{{"certificates":{}}}"#, shapes::array("{}", BYTES))
        }),
        ("one certificate", || format!(r#""certificate":{{"rawBytes":"{}"}}"#, "MIIA".repeat(BYTES / 4))),
    ];
    for (name, text) in lists {
        cases.push(Case::new(format!("verify-blob --bundle: {name}"), move |scene| material(scene, &text())));
    }
    for part in [r#"{"sig":""}"#, "{}", r#"{"keyid":"","sig":"AAAA"}"#] {
        cases.push(Case::new(format!("verify-blob --bundle: signatures {part}"), move |scene| {
            let signatures = shapes::array(part, BYTES);
            bundle(scene, enveloped("e30=", signatures.trim_matches(['[', ']'])))
        }));
    }
}

/// Runs of the right shape, with very much in one place.
fn runs(cases: &mut Vec<Case>) {
    let places: [shapes::Shape; 7] = [
        ("annotations", |bytes| task_run(&format!(r#""annotations":{}"#, shapes::keys(bytes, "\"\"")), "")),
        ("annotations of payloads", |bytes| {
            let mut text = String::with_capacity(bytes + 200);
            for number in 0..bytes / 120 {
                text += &format!(
                    r#","chains.tekton.dev/payload-{number}":"e30=","chains.tekton.dev/signature-{number}":"e30=""#
                );
            }
            task_run(&format!(r#""annotations":{{"a":""{text}}}"#), "")
        }),
        ("labels", |bytes| task_run(&format!(r#""labels":{}"#, shapes::keys(bytes, "\"\"")), "")),
        ("results", |bytes| {
            let results = shapes::array(r#"{"name":"IMAGE_URL","type":"string","value":"a"}"#, bytes);
            task_run(r#""labels":{}"#, &format!(r#","results":{results}"#))
        }),
        ("steps", |bytes| {
            let steps = shapes::array(r#"{"name":"a","imageID":"b","terminated":{}}"#, bytes);
            task_run(r#""labels":{}"#, &format!(r#","steps":{steps}"#))
        }),
        ("conditions", |bytes| {
            let conditions = shapes::array(r#"{"type":"Succeeded","status":"True"}"#, bytes);
            task_run(r#""labels":{}"#, &format!(r#","conditions":{conditions}"#))
        }),
        ("one annotation", |bytes| {
            let value = "e30=".repeat(bytes / 4);
            task_run(&format!(r#""annotations":{{"chains.tekton.dev/payload-taskrun-u-1":"{value}"}}"#), "")
        }),
    ];
    for (name, text) in places {
        // As much as fits below the limits is worse than what is refused.
        let sizes =
            [("all", BYTES), ("a quarter", BYTES / 4), ("a sixth", BYTES / 6), ("an eighth", BYTES / 8)];
        for (size, bytes) in sizes {
            for command in ["verify-run", "plan", "sign"] {
                cases.push(Case::new(format!("{command} --run: {name}, {size}"), move |scene| {
                    run(scene, text(bytes), command)
                }));
            }
        }
    }
    cases.push(Case::new("verify-run: YAML, aliases of a long text", |scene| {
        let text = format!("- &a {}\n{}", "a".repeat(BYTES / 2), "- *a\n".repeat(9_000));
        run(scene, text, "verify-run")
    }));
    cases.push(Case::new("verify-run: YAML, long comments", |scene| {
        run(scene, format!("# {}\n", "a".repeat(96)).repeat(BYTES / 99), "verify-run")
    }));
}

/// Everything else that a command reads.
fn others(cases: &mut Vec<Case>) {
    for (name, text) in JSON {
        cases.push(Case::new(format!("verify-blob --trusted-root: {name}"), move |scene| {
            trusted_root(scene, text(4_000_000))
        }));
        cases.push(Case::new(format!("sign --registry-config: {name}"), move |scene| {
            let text = format!(r#"{{"auths":{}}}"#, text(1_000_000));
            let config = scene.file("config.json", &text);
            let mut command = scene.command(&["sign", IMAGE, "--timeout", TIMEOUT, "--insecure-registry"]);
            command.arg("127.0.0.1:1").arg("--key").arg(private(scene)).arg("--registry-config").arg(config);
            Job::new(command, text.len())
        }));
    }
    cases.push(Case::new("verify-blob --trusted-root: logs", |scene| {
        let root: serde_json::Value = serde_json::from_str(ROOT).unwrap();
        let log = &root["tlogs"][0];
        let mut text =
            r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":["#
                .to_owned();
        let mut number = 0_u64;
        while text.len() < 4_000_000 {
            let mut log = log.clone();
            log["logId"]["keyId"] = STANDARD.encode(number.to_be_bytes()).into();
            text += &format!("{log},");
            number += 1;
        }
        text.pop();
        trusted_root(scene, text + "]}")
    }));
    cases.push(Case::new("verify-blob --key: PEM", |scene| {
        let text = PUBLIC_KEY.repeat(BYTES / PUBLIC_KEY.len());
        let (artifact, key) = (scene.file("artifact", "x"), scene.file("many.pub", &text));
        let mut command = scene.command(&["verify-blob", "--signature", "AAAA", "--key"]);
        command.arg(key).arg(artifact);
        Job::new(command, text.len())
    }));
    cases.push(Case::new("sign --registry-ca: PEM", |scene| {
        let text = PUBLIC_KEY.replace("PUBLIC KEY", "CERTIFICATE").repeat(BYTES / (PUBLIC_KEY.len() + 2));
        let ca = scene.file("ca.pem", &text);
        let mut command = scene.command(&["sign", IMAGE, "--timeout", TIMEOUT, "--key"]);
        command.arg(private(scene)).arg("--registry-ca").arg(ca);
        Job::new(command, text.len())
    }));
    folders(cases);
}

/// Folders with many files or large files.
fn folders(cases: &mut Vec<Case>) {
    for (name, count, bytes) in
        [("many results", 16_000, 1), ("large results", 16, 990_000), ("lists", 8, 990_000)]
    {
        cases.push(Case::new(format!("plan --results-dir: {name}"), move |scene| {
            let text = if name == "lists" { "a,".repeat(bytes / 2) } else { "a".repeat(bytes) };
            for number in 0..count {
                scene.file(&format!("results/{number}IMAGES"), &text);
                scene.file(&format!("results/{number}_IMAGE_URL"), &text);
            }
            scene.file("results/IMAGES", &text);
            let mut command = scene.command(&["plan", "--timeout", TIMEOUT, "--results-dir", "results"]);
            command.args(["--steps-dir", "none", "--key"]).arg(private(scene));
            Job::new(command, 2 * count * text.len())
        }));
    }
    cases.push(Case::new("plan --config-dir: many keys", |scene| {
        (0..10_000).for_each(|number| {
            scene.file(&format!("config/{number}"), "a".repeat(1_000));
        });
        let mut command = scene.command(&["plan", IMAGE, "--config-dir", "config", "--key"]);
        command.arg(private(scene));
        Job::new(command, 10_000_000)
    }));
    cases.push(Case::new("plan --images-file: lines", |scene| {
        let text = "a\n".repeat(BYTES / 2);
        scene.file("images", &text);
        let mut command = scene.command(&["plan", "--images-file", "images", "--key"]);
        command.arg(private(scene));
        Job::new(command, text.len())
    }));
    cases.push(Case::new("plan --images-file: references", |scene| {
        let text = format!("{IMAGE}\n").repeat(BYTES / (IMAGE.len() + 1));
        scene.file("images", &text);
        let mut command = scene.command(&["plan", "--images-file", "images", "--key"]);
        command.arg(private(scene));
        Job::new(command, text.len())
    }));
}

fn public(scene: &Scene) -> PathBuf {
    scene.file("p256.pub", PUBLIC_KEY)
}

fn private(scene: &Scene) -> PathBuf {
    scene.file("p256.pem", include_str!("../../tests/data/keys/p256.pkcs8.pem"))
}

/// A bundle without a media type, which is looked at last.
fn enveloped(payload: &str, signatures: &str) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{{"publicKey":{{}}}},"dsseEnvelope":{{"payloadType":"application/vnd.in-toto+json","payload":"{payload}","signatures":[{signatures}]}}}}"#
    )
}

fn material(scene: &Scene, fields: &str) -> Job {
    let text = format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{{"signature":"AAAA"}},"verificationMaterial":{{{fields}}}}}"#
    );
    bundle(scene, text)
}

fn bundle(scene: &Scene, text: String) -> Job {
    let (artifact, bundle) = (scene.file("artifact", "x"), scene.file("bundle", &text));
    let mut command = scene.command(&["verify-blob", "--key"]);
    command.arg(public(scene)).arg("--bundle").arg(bundle).arg(artifact);
    Job::new(command, text.len())
}

/// A TaskRun with these fields in its metadata, and these in its status.
fn task_run(metadata: &str, status: &str) -> String {
    let succeeded = r#","conditions":[{"type":"Succeeded","status":"True"}]"#;
    let succeeded = if status.contains(r#""conditions""#) { "" } else { succeeded };
    format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{{"name":"a","namespace":"b","uid":"u-1",{metadata}}},"spec":{{}},"status":{{"startTime":"2026-01-01T00:00:00Z","completionTime":"2026-01-01T00:01:00Z"{succeeded}{status}}}}}"#
    )
}

fn run(scene: &Scene, text: String, name: &str) -> Job {
    let run = scene.file("run", &text);
    let mut command = scene.command(&[name, "--timeout", TIMEOUT, "--run"]);
    command.arg(run).arg("--key");
    if name == "verify-run" {
        command.arg(public(scene)).arg("--insecure-ignore-tlog");
    } else {
        command.arg(private(scene));
        command.args(["--config", "artifacts.taskrun.storage=directory", "--signatures-dir", "signatures"]);
        command.args(["--lenient", "--include-failed"]);
    }
    Job::new(command, text.len())
}

fn attest(scene: &Scene, text: String) -> Job {
    let predicate = scene.file("predicate", &text);
    let mut command = scene.command(&["attest", IMAGE, "--type", "slsaprovenance1", "--predicate"]);
    command.arg(predicate).arg("--key").arg(private(scene));
    command.args(["--config", "artifacts.oci.storage=directory", "--signatures-dir", "signatures"]);
    command.args(["--insecure-registry", "127.0.0.1:1", "--timeout", "1s"]);
    Job::new(command, text.len())
}

fn policy(scene: &Scene, text: String) -> Job {
    let policy = scene.file("policy.yaml", &text);
    let mut command = scene.command(&["verify", IMAGE, "--timeout", TIMEOUT, "--policy"]);
    command.arg(policy);
    Job::new(command, text.len())
}

fn trusted_root(scene: &Scene, text: String) -> Job {
    let (artifact, root) = (scene.file("artifact", "x"), scene.file("root.json", &text));
    let bundle = scene.file("bundle", enveloped("e30=", r#"{"sig":"AAAA"}"#));
    let mut command = scene.command(&["verify-blob", "--key"]);
    command.arg(public(scene)).arg("--bundle").arg(bundle).arg("--trusted-root").arg(root).arg(artifact);
    Job::new(command, text.len())
}
