//! What is shown of what lies beside an image, and under which names it lies.

use serde_json::{Value, json};
use stepseal::oci::Digest;

use crate::attached::kit::{BUNDLE, REPOSITORY, Scene};
use crate::kit::step::MANIFEST;

#[test]
fn a_name_is_worked_out_and_only_a_tag_is_asked_for() {
    let scene = Scene::new(true);
    let (repository, digest) = (scene.repository(), &scene.digest);
    for (kind, want) in [
        (None, format!("{repository}:{}\n", scene.tag("sig"))),
        (Some("signature"), format!("{repository}:{}\n", scene.tag("sig"))),
        (Some("attestation"), format!("{repository}:{}\n", scene.tag("att"))),
        (Some("sbom"), format!("{repository}:{}\n", scene.tag("sbom"))),
        (Some("digest"), format!("{repository}@{digest}\n")),
    ] {
        for (image, requests) in [(scene.by_tag(), 1), (scene.by_digest(), 0)] {
            scene.step.registry.clear_requests();
            let kind = kind.map(|kind| format!("--type={kind}"));
            let args: Vec<&str> =
                ["triangulate"].into_iter().chain(kind.as_deref()).chain([image.as_str()]).collect();
            let ended = scene.step.run(&args);
            assert_eq!((ended.code, ended.stdout.as_str()), (0, want.as_str()), "{}", ended.stderr);
            assert_eq!(scene.step.registry.requests().len(), requests);
        }
    }
    scene.fails(
        2,
        &["triangulate", "--type=x"],
        &["--type: \"x\" is not signature, attestation, sbom or digest"],
    );
    let ended = scene.step.run(&["triangulate", &format!("{repository}:absent")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.contains("is not in the registry"), "{}", ended.stderr);
}

#[test]
fn everything_is_drawn_as_cosign_draws_it() {
    for scene in Scene::both() {
        let image = scene.by_digest();
        let head = format!("📦 Supply Chain Security Related artifacts for an image: {}\n", scene.by_tag());
        let nothing =
            format!("No Supply Chain Security Related Artifacts found for image {}\n", scene.by_tag());
        assert_eq!(scene.ok(&["tree"]).stdout, format!("{head}{nothing}"));
        let empty: Value = serde_json::from_str(&scene.ok(&["tree", "-o", "json"]).stdout).unwrap();
        let want = json!({
            "image": scene.by_tag(), "digest": scene.digest.as_str(),
            "signatures": null, "attestations": null, "sboms": null, "referrers": [], "moreReferrers": 0,
        });
        assert_eq!(empty, want);
        scene.step.sign(&[&image, "--annotation=a=1"]);
        scene.step.sign(&[&image]);
        scene.attest("custom", &[]);
        scene.attest("https://x.example/t", &[BUNDLE]);
        let file = scene.step.path("app.json");
        std::fs::write(&file, "{}").unwrap();
        scene.ok(&["attach", "sbom", "--sbom", file.to_str().unwrap()]);

        let found: Value = serde_json::from_str(&scene.ok(&["tree", "--output=json"]).stdout).unwrap();
        let layer =
            |field: &str, at: usize| found[field]["layers"][at]["digest"].as_str().unwrap().to_owned();
        let (repository, tag) = (scene.repository(), |end: &str| scene.tag(end));
        let referrer = found["referrers"][0]["reference"].as_str().unwrap();
        let bundle = found["referrers"][0]["layers"][0]["digest"].as_str().unwrap();
        let drawn = format!(
            "{head}\
             └── 🔐 Signatures for an image tag: {repository}:{}\n   ├── 🍒 {}\n   └── 🍒 {}\n\
             └── 💾 Attestations for an image tag: {repository}:{}\n   └── 🍒 {}\n\
             └── 📦 SBOMs for an image tag: {repository}:{}\n   └── 🍒 {}\n\
             └── 🔗 https://x.example/t artifacts via OCI referrer: {referrer}\n   └── 🍒 {bundle}\n",
            tag("sig"),
            layer("signatures", 0),
            layer("signatures", 1),
            tag("att"),
            layer("attestations", 0),
            tag("sbom"),
            Digest::of(b"{}"),
        );
        assert_eq!(scene.ok(&["tree"]).stdout, drawn);
        assert_eq!(
            found["attestations"]["layers"][0]["predicateType"],
            "https://cosign.sigstore.dev/attestation/v1"
        );
        assert_eq!(found["referrers"][0]["predicateType"], "https://x.example/t");
        assert_eq!(found["referrers"][0]["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
        // cosign's flags.
        let without = scene.ok(&["tree", "--experimental-oci11=false"]).stdout;
        assert!(drawn.starts_with(&without) && !without.contains("referrer"), "{without}");
        let modes = ["tree", "--experimental-oci11=false", "--registry-referrers-mode=oci-1-1"];
        assert_eq!(scene.ok(&modes).stdout, drawn);
    }
}

/// What is written by others can't draw a line of ours.
#[test]
fn referrers_of_any_kind_are_shown_and_none_can_forge_a_line() {
    let scene = Scene::new(true);
    let content = scene.step.registry.content();
    let config = content.put_blob(REPOSITORY, "{}").unwrap();
    let subject = json!({ "mediaType": MANIFEST, "size": 1, "digest": scene.digest.as_str() });
    for (kind, layers) in [("application/x\n└── 🔐 Signatures\u{1b}[2J", json!([])), ("", json!({}))]
    {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "layers": layers, "subject": subject,
            "config": { "mediaType": "application/vnd.x.config", "size": 2, "digest": config.as_str() },
        });
        content.put_manifest(REPOSITORY, None, MANIFEST, manifest.to_string()).unwrap();
    }
    let ended = scene.ok(&["tree"]);
    assert_eq!(ended.stdout.lines().count(), 3, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("application/x\\n└── 🔐 Signatures\\u{1b}[2J artifacts"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("🔗 application/vnd.x.config artifacts"), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("note: ") && ended.stderr.contains("no list of descriptors"),
        "{}",
        ended.stderr
    );
}
