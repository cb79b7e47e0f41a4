//! Signatures and attestations: a line each, wherever they lie.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::attached::kit::{BUNDLE, REPOSITORY, Scene, lines};
use crate::kit::step::{INDEX, MANIFEST};

const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// The predicate type that a line's envelope states.
fn kind(line: &Value) -> String {
    let envelope = line.get("dsseEnvelope").unwrap_or(line);
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    statement["predicateType"].as_str().unwrap().to_owned()
}

#[test]
fn a_signature_is_printed_as_cosign_prints_it_and_a_bundle_as_it_is() {
    for scene in Scene::both() {
        let image = scene.by_digest();
        scene.step.sign(&[&image]);
        scene.step.sign(&[&image, BUNDLE]);
        scene.attest("https://x.example/t", &[BUNDLE]);
        let printed = lines(&scene.ok(&["download", "signature"]));
        // Bundles first; an attestation is none.
        assert_eq!(printed.len(), 2, "{printed:#?}");
        assert_eq!(kind(&printed[0]), SIGN);
        assert_eq!(printed[0]["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
        let fields: Vec<&str> = printed[1].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["Base64Signature", "Payload", "Cert", "Chain", "Bundle", "RFC3161Timestamp"]);
        let layer = &scene.step.layers(REPOSITORY, &scene.digest)[0];
        assert_eq!(printed[1]["Base64Signature"], layer["annotations"]["dev.cosignproject.cosign/signature"]);
        let payload = STANDARD.decode(printed[1]["Payload"].as_str().unwrap()).unwrap();
        let blob = layer["digest"].as_str().unwrap().parse().unwrap();
        assert_eq!(scene.step.registry.content().blob(REPOSITORY, &blob).unwrap(), payload);
    }
}

#[test]
fn attestations_are_printed_in_their_order_and_by_type() {
    for scene in Scene::both() {
        scene.step.sign(&[&scene.by_digest(), BUNDLE]);
        for kind in ["https://x.example/one", "custom"] {
            scene.attest(kind, &[]);
            scene.attest(kind, &[BUNDLE]);
        }
        let (one, custom) = ("https://x.example/one", "https://cosign.sigstore.dev/attestation/v1");
        let printed = lines(&scene.ok(&["download", "attestation"]));
        let mut kinds: Vec<String> = printed.iter().map(kind).collect();
        // The registry orders its list of referrers by digest.
        kinds[..2].sort();
        assert_eq!(kinds, [custom, one, one, custom]);
        let bundles: Vec<bool> = printed.iter().map(|line| line.get("dsseEnvelope").is_some()).collect();
        assert_eq!(bundles, [true, true, false, false]);
        let keys: Vec<&String> = printed[2].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["payloadType", "payload", "signatures"]);
        for (asked, want) in [(one, one), ("custom", custom), (custom, custom), (SIGN, SIGN)] {
            let printed = lines(&scene.ok(&["download", "attestation", "--predicate-type", asked]));
            assert_eq!(printed.len(), if asked == SIGN { 1 } else { 2 }, "{asked}");
            assert!(printed.iter().all(|line| kind(line) == want), "{asked}");
        }
        let typed = ["download", "attestation", "--predicate-type=vuln"];
        scene.fails(
            1,
            &typed,
            &["no attestations of the type https://cosign.sigstore.dev/attestation/vuln/v1"],
        );
        scene.fails(2, &["download", "attestation", "--predicate-type=a b"], &["is no predicate type"]);
    }
}

#[test]
fn what_lies_in_another_repository_is_found_there() {
    for scene in Scene::both() {
        let elsewhere = format!("{}/signatures", scene.step.host());
        let mut sign = scene.step.command(&["sign", &scene.by_digest()]);
        assert!(sign.env("STEPSEAL_STORAGE_OCI_REPOSITORY", &elsewhere).status().unwrap().success());
        scene.fails(1, &["download", "signature"], &["no signatures at"]);
        for variable in ["COSIGN_REPOSITORY", "STEPSEAL_STORAGE_OCI_REPOSITORY"] {
            for args in [["download", "signature"].as_slice(), &["tree"], &["triangulate"]] {
                let mut command = scene.step.command(&[args, &[&scene.by_tag()]].concat());
                let output = command.env(variable, &elsewhere).output().unwrap();
                let printed = String::from_utf8(output.stdout).unwrap();
                let want = if args[0] == "download" {
                    "Base64Signature".to_owned()
                } else {
                    format!("{elsewhere}:{}", scene.tag("sig"))
                };
                assert!(output.status.success() && printed.contains(&want), "{variable} {args:?}: {printed}");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_printed() {
    let scene = Scene::new(true);
    scene.attest("custom", &[]);
    let content = scene.step.registry.content();
    let (_, manifest) = content.manifest(REPOSITORY, &scene.tag("att")).unwrap();
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let envelope = "application/vnd.dsse.envelope.v1+json";
    for text in ["{}", "\u{1b}[2J", r#"{"payloadType":"a","payload":"!","signatures":[{"sig":"AA=="}]}"#] {
        let digest = content.put_blob(REPOSITORY, text.to_owned()).unwrap();
        let layer = json!({ "mediaType": envelope, "size": text.len(), "digest": digest.as_str() });
        manifest["layers"].as_array_mut().unwrap().insert(0, layer);
    }
    content.put_manifest(REPOSITORY, Some(&scene.tag("att")), MANIFEST, manifest.to_string()).unwrap();
    let ended = scene.ok(&["download", "attestation"]);
    assert_eq!(lines(&ended).len(), 1);
    assert_eq!(ended.stderr.matches("note: left out: ").count(), 3, "{}", ended.stderr);
    assert!(ended.stderr.contains(".att layer 1: "), "{}", ended.stderr);
}

#[test]
fn a_platform_of_an_index_is_looked_at_instead_of_the_index() {
    let scene = Scene::new(true);
    scene.attest("custom", &[]);
    let other = scene.step.image(REPOSITORY, "other");
    let entry = |digest: &str, architecture: &str| {
        json!({
            "mediaType": MANIFEST, "size": 1, "digest": digest,
            "platform": { "os": "linux", "architecture": architecture },
        })
    };
    let entries = [entry(scene.digest.as_str(), "amd64"), entry(other.as_str(), "arm64")];
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    let content = scene.step.registry.content();
    content.put_manifest(REPOSITORY, Some("index"), INDEX, index.to_string()).unwrap();
    let run = |args: &[&str]| scene.step.run(&[args, &[&format!("{}:index", scene.repository())]].concat());
    let of = |platform: &str| run(&["download", "attestation", &format!("--platform={platform}")]);
    assert_eq!(lines(&of("linux/amd64")).len(), 1);
    for (platform, code, what) in [
        ("linux/arm64", 0, "has no attestations"),
        ("linux", 1, "lists several for it: linux/amd64, linux/arm64"),
        ("linux/s390x", 1, "lists none for it; it lists linux/amd64, linux/arm64"),
        ("linux/", 2, "is not OS/ARCH"),
    ] {
        let ended = of(platform);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{platform}: {}", ended.stderr);
        assert!(ended.stderr.contains(what), "{platform}: {}", ended.stderr);
    }
    let ended = run(&["download", "sbom"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("try --platform with one of linux/amd64, linux/arm64"), "{}", ended.stderr);
    scene.fails(
        1,
        &["download", "sbom", "--platform=linux/amd64"],
        &["not an index", "leave out --platform"],
    );
}

#[test]
fn what_is_printed_has_the_prefix_that_is_given() {
    let scene = Scene::new(false);
    let prefix = "--attachment-tag-prefix=team-";
    scene.step.sign(&["--annotation=of=none", &scene.by_digest()]);
    assert_ne!(
        scene.step.run(&["download", "signature", "--attachment-tag-prefix=none-", &scene.by_digest()]).code,
        0
    );
    scene.step.sign(&[prefix, "--annotation=of=team", &scene.by_digest()]);
    scene.attest("custom", &[prefix]);
    assert_eq!(lines(&scene.ok(&["download", "signature", prefix])).len(), 1);
    assert_eq!(lines(&scene.ok(&["download", "attestation", prefix])).len(), 1);
    assert_eq!(lines(&scene.ok(&["download", "attestation"])).len(), 0);
}
