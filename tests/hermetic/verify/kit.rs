//! What the tests of this crate share: steps whose public key is mounted too, envelopes, and other keys.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use stepseal::formats::cosign_statement::PAYLOAD_TYPE;
use stepseal::formats::{Claims, Envelope, Payload, dsse};
use stepseal::oci::{Digest, ImageRef};
use stepseal::payload::{Format as _, SimpleSigning};
use stepseal::sign::{KeySource, Signer};

use crate::kit::step::{Ended, MANIFEST, Step, pair};

/// The media type of an envelope's layer.
pub(crate) const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The media type of a simple signing layer.
pub(crate) const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation with the signature.
pub(crate) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// A step with the public key mounted beside the private one.
pub(crate) fn step() -> Step {
    with_public_key(Step::new())
}

pub(crate) fn with_public_key(step: Step) -> Step {
    fs::write(step.path("keys/cosign.pub"), &pair().public_pem).unwrap();
    step
}

/// Runs `verify` without a demand for a log; what it ends with is the caller's.
pub(crate) fn verify(step: &Step, args: &[&str]) -> Ended {
    step.run(&[&["verify", "--insecure-ignore-tlog"], args].concat())
}

/// Runs a command, which must end well.
#[track_caller]
pub(crate) fn passes(ended: Ended) -> Ended {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended
}

/// Runs a command, which must end with 1 and say each of `what`.
#[track_caller]
pub(crate) fn fails(ended: Ended, what: &[&str]) -> Ended {
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    for what in what {
        assert!(ended.stderr.contains(what), "no {what:?} in: {}", ended.stderr);
    }
    assert_eq!(ended.stdout, "", "nothing is printed for programs when it fails");
    ended
}

/// The key that steps sign with, opened once.
pub(crate) fn signer() -> &'static dyn Signer {
    static SIGNER: std::sync::OnceLock<Box<dyn Signer>> = std::sync::OnceLock::new();
    &**SIGNER.get_or_init(|| open(&pair().private_pem))
}

/// Another key, opened once.
pub(crate) fn other() -> &'static dyn Signer {
    static OTHER: std::sync::OnceLock<Box<dyn Signer>> = std::sync::OnceLock::new();
    &**OTHER.get_or_init(|| {
        let password = stepseal::secret::Secret::from(crate::kit::step::KEY_PASSWORD.to_owned());
        let pair = stepseal::sign::generate(&password).unwrap();
        open(pair.private_pem.expose_str().unwrap())
    })
}

fn open(pem: &str) -> Box<dyn Signer> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), pem).unwrap();
    let source: KeySource = file.path().to_str().unwrap().parse().unwrap();
    let env = |name: &str| {
        (name == "COSIGN_PASSWORD").then(|| stepseal::secret::Secret::new(crate::kit::step::KEY_PASSWORD))
    };
    source.read(&env).unwrap().unlock().unwrap()
}

/// `HOST/REPOSITORY@DIGEST`.
pub(crate) fn name(step: &Step, repository: &str, digest: &Digest) -> String {
    format!("{}/{repository}@{digest}", step.host())
}

/// The payload that `sign` makes for an image.
pub(crate) fn payload(step: &Step, repository: &str, digest: &Digest) -> Bytes {
    let image: ImageRef = name(step, repository, digest).parse().unwrap();
    SimpleSigning.payloads(&image, &Claims::default()).unwrap().remove(0).bytes
}

/// Writes a manifest of these layers (media type, bytes, signature) under the tag `sha256-HEX.END`.
pub(crate) fn tag(
    step: &Step,
    repository: &str,
    digest: &Digest,
    end: &str,
    layers: &[(&str, &[u8], String)],
) {
    let content = step.registry.content();
    let config = content.put_blob(repository, "{}").unwrap();
    let layers: Vec<Value> = layers
        .iter()
        .map(|(kind, bytes, signature)| {
            let digest = content.put_blob(repository, bytes.to_vec()).unwrap();
            json!({
                "mediaType": kind, "size": bytes.len(), "digest": digest.as_str(),
                "annotations": { SIGNATURE: signature },
            })
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config.as_str() },
    });
    let tag = format!("sha256-{}.{end}", digest.hex());
    content.put_manifest(repository, Some(&tag), MANIFEST, manifest.to_string()).unwrap();
}

/// A layer with a simple signing payload signed by `signer`.
pub(crate) fn signed<'a>(signer: &dyn Signer, payload: &'a [u8]) -> (&'static str, &'a [u8], String) {
    (SIMPLE, payload, STANDARD.encode(signer.sign(payload).unwrap().0))
}

/// The envelope of a statement, signed by `signer`.
pub(crate) fn envelope(signer: &dyn Signer, statement: &Value) -> Bytes {
    let payload =
        Payload { bytes: statement.to_string().into(), media_type: PAYLOAD_TYPE, envelope: Envelope::Dsse };
    let signature = signer.sign(&payload.to_be_signed()).unwrap();
    dsse::envelope(&payload, &signature, &signer.public_key().key_id())
}

/// A provenance of `digest`.
pub(crate) fn provenance(digest: &Digest, finished: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "app", "digest": { "sha256": digest.hex() } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": { "buildType": "https://tekton.dev/chains/v2/slsa" },
            "runDetails": {
                "builder": { "id": "https://tekton.dev/chains/v2" },
                "metadata": { "finishedOn": finished },
            },
        },
    })
}
