//! Attestations that cosign stored as layers and logged as `intoto` 0.0.1: the corpus in `tests/data/layers`, at an image.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::kit::step::{MANIFEST, ended};
use crate::verify::kit::{name, step};

fn corpus(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

#[test]
fn an_attestation_counts_as_it_is_stored_and_logged() {
    let mut cases: Vec<PathBuf> =
        fs::read_dir(corpus("layers")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    assert!(cases.len() > 20, "{} cases", cases.len());
    let root = corpus("bundles/trusted_root.json");
    for case in &cases {
        let step = step();
        let content = step.registry.content();
        let image = content
            .put_manifest("team/app", None, MANIFEST, fs::read(corpus("layers/manifest")).unwrap())
            .unwrap();
        let bytes = fs::read(case.join("layer")).unwrap();
        let annotations: Value =
            serde_json::from_slice(&fs::read(case.join("annotations.json")).unwrap()).unwrap();
        let layer = content.put_blob("team/app", bytes.clone()).unwrap();
        let config = content.put_blob("team/app", "{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config.as_str() },
            "layers": [{
                "mediaType": "application/vnd.dsse.envelope.v1+json", "size": bytes.len(), "digest": layer.as_str(),
                "annotations": annotations,
            }],
        });
        let tag = format!("{}.att", image.as_str().replace(':', "-"));
        content.put_manifest("team/app", Some(&tag), MANIFEST, manifest.to_string()).unwrap();
        let image = name(&step, "team/app", &image);
        let mut command = step.command(&["verify-attestation", "--type=slsaprovenance1", "--trusted-root"]);
        command.env_remove("STEPSEAL_KEY").arg(&root);
        match case.join("key.pub") {
            key if key.exists() => command.arg("--key").arg(key),
            _ => command.args([
                "--certificate-identity=https://ci.example/team/app/build.yaml@refs/heads/main",
                "--certificate-oidc-issuer=https://issuer.example",
            ]),
        };
        let ended = ended(command.arg(&image).output().unwrap());
        let bad = case.display().to_string().ends_with("_fail");
        assert_eq!(ended.code, i32::from(bad), "{}: {}", case.display(), ended.stderr);
        assert!(bad || ended.stderr.contains("by a transparency log"), "{}", ended.stderr);
    }
}
