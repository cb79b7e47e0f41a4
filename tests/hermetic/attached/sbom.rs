//! SBOMs that are attached, unsigned: by tag and as referrers.

use serde_json::Value;
use stepseal::oci::Digest;

use crate::attached::kit::{REPOSITORY, Scene};
use crate::kit::step::{INDEX, MANIFEST};

const MODES: [&str; 2] = ["--registry-referrers-mode=legacy", "--registry-referrers-mode=oci-1-1"];

/// Bytes with what a reader would like to change: escapes, a secret, no newline at the end, what isn't UTF-8.
const SBOM: &[u8] =
    b"{\"a\":\"\x1b[2J\",\"auth\":\"Y2k6cGFzcw==\",\r\n \"u\":\"https://ci:pass@r.example/\"}\xff\x00";

impl Scene {
    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.step.path(name);
        std::fs::write(&path, bytes).unwrap();
        format!("--sbom={}", path.display())
    }

    /// The bytes that `download sbom` prints.
    fn downloaded(&self) -> Vec<u8> {
        let output = self.step.command(&["download", "sbom", &self.by_digest()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The only layer's media type and digest under the tag.
    fn under_tag(&self) -> (String, String) {
        let (_, manifest) = self.step.registry.content().manifest(REPOSITORY, &self.tag("sbom")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let [layer] = manifest["layers"].as_array().unwrap().as_slice() else { panic!("{manifest}") };
        (layer["mediaType"].as_str().unwrap().into(), layer["digest"].as_str().unwrap().into())
    }

    fn writes(&self) -> usize {
        self.step
            .registry
            .requests()
            .iter()
            .filter(|request| !["GET", "HEAD"].contains(&request.method.as_str()))
            .count()
    }
}

#[test]
fn what_is_attached_is_read_back_byte_for_byte() {
    for mode in MODES {
        for scene in Scene::both() {
            let file = scene.file("app.json", SBOM);
            let ended = scene.ok(&["attach", "sbom", mode, &file]);
            assert!(ended.stderr.starts_with("attached   text/spdx+json of "), "{}", ended.stderr);
            assert!(ended.stderr.contains("not signed") && ended.stderr.contains("`stepseal attest`"));
            assert_eq!(ended.stdout, "");
            assert_eq!(scene.downloaded(), SBOM);
        }
    }
}

#[test]
fn the_same_again_adds_nothing_and_another_one_replaces_what_is_under_the_tag() {
    for scene in Scene::both() {
        for mode in MODES {
            let one = scene.file("one", b"one");
            scene.ok(&["attach", "sbom", mode, &one]);
            scene.step.registry.clear_requests();
            let again = scene.ok(&["attach", "sbom", mode, &one]);
            assert!(again.stderr.starts_with("already "), "{mode}: {}", again.stderr);
            assert_eq!(scene.writes(), 0, "{:#?}", scene.step.registry.requests());
        }
        let two = scene.file("two", b"two");
        let replaced = scene.ok(&["attach", "sbom", "--type=syft", &two]);
        assert!(
            replaced.stderr.contains("it replaces the SBOM of the manifest sha256:"),
            "{}",
            replaced.stderr
        );
        assert!(replaced.stderr.contains("attached as referrers, too"), "{}", replaced.stderr);
        let want = ("application/vnd.syft+json".to_owned(), Digest::of(b"two").to_string());
        assert_eq!(scene.under_tag(), want);
        // The same bytes as something else are another SBOM.
        scene.ok(&["attach", "sbom", "--type=cyclonedx", &two]);
        assert_eq!(scene.under_tag().0, "application/vnd.cyclonedx+xml");
        // A referrer is what counts, as for cosign.
        assert_eq!(scene.downloaded(), b"one");
        scene.ok(&["attach", "sbom", MODES[1], &two]);
        let ended = scene.ok(&["download", "sbom"]);
        assert!(ended.stderr.contains("note: 1 more SBOMs are attached to "), "{}", ended.stderr);
    }
}

/// A list of referrers that others write, too, is merged.
#[test]
fn a_referrer_goes_beside_those_of_others() {
    for scene in Scene::both() {
        scene.step.sign(&[&scene.by_digest(), crate::attached::kit::BUNDLE]);
        scene.ok(&["attach", "sbom", MODES[1], &scene.file("one", b"one")]);
        scene.attest("custom", &[crate::attached::kit::BUNDLE]);
        let tree = scene.ok(&["tree"]).stdout;
        assert_eq!(tree.matches("artifacts via OCI referrer").count(), 3, "{tree}");
    }
}

#[test]
fn standard_input_is_attached() {
    let scene = Scene::new(true);
    let ended = scene.with_stdin(&["attach", "sbom", "--sbom=-", "--type=cyclonedx"], b" {\"bomFormat\":1}");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("note: it looks like JSON and is labeled application/vnd.cyclonedx+xml"));
    assert_eq!(scene.downloaded(), b" {\"bomFormat\":1}");
}

#[test]
fn what_is_lost_is_attached_again() {
    for scene in Scene::both() {
        let file = scene.file("one", b"one");
        for mode in MODES {
            scene.ok(&["attach", "sbom", mode, &file]);
            assert!(scene.step.registry.content().remove_blob(REPOSITORY, &Digest::of(b"one")));
            scene.fails(1, &["download", "sbom"], &["can't be used", "the registry lacks its layer"]);
            let ended = scene.ok(&["attach", "sbom", mode, &file]);
            assert!(ended.stderr.starts_with("attached "), "{mode}: {}", ended.stderr);
            assert_eq!(scene.downloaded(), b"one");
        }
    }
}

#[test]
fn bad_input_is_refused_before_anything_is_written() {
    let scene = Scene::new(true);
    let (good, empty) = (scene.file("good", b"x"), scene.file("empty", b""));
    let absent = format!("--sbom={}", scene.step.path("absent").display());
    scene.step.registry.clear_requests();
    for (args, what) in [
        ([good.as_str(), "--type=spdx", "--input-format=xml"], "is not written as xml"),
        ([&good, "--type=cyclonedx", "--input-format=text"], "is not written as text"),
        ([&good, "--type=syft", "--input-format=xml"], "is not written as xml"),
        ([&good, "--type=x", "--input-format=xml"], "is not spdx, cyclonedx or syft"),
        ([&good, "--type=spdx", "--input-format=yaml"], "is not json, xml or text"),
        ([&good, "--type=spdx", "--registry-referrers-mode=x"], "is not legacy or oci-1-1"),
        ([&empty, "--type=spdx", MODES[0]], "is empty"),
        ([&absent, "--type=spdx", MODES[0]], "cannot read the SBOM"),
        (["--type=spdx", "--input-format=json", MODES[0]], "--sbom names no file"),
    ] {
        scene.fails(2, &[&["attach", "sbom"], args.as_slice()].concat(), &[what]);
    }
    assert_eq!(scene.step.registry.requests().len(), 0);
    // An image that isn't there.
    let absent = format!("{}@{}", scene.repository(), Digest::of(b"absent"));
    let ended = scene.step.run(&["attach", "sbom", &good, &absent]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("is not in the registry") && scene.writes() == 0, "{}", ended.stderr);
}

/// As cosign reads all of its flags.
#[test]
fn cosigns_variables_stand_in_for_flags() {
    let scene = Scene::new(true);
    let path = scene.step.path("app.xml");
    std::fs::write(&path, "<bom/>").unwrap();
    let mut attach = scene.step.command(&["attach", "sbom", &scene.by_tag()]);
    attach.env("COSIGN_SBOM", &path).env("COSIGN_TYPE", "cyclonedx").env("COSIGN_INPUT_FORMAT", "");
    assert!(attach.output().unwrap().status.success());
    assert_eq!(scene.under_tag().0, "application/vnd.cyclonedx+xml");
    let mut attach = scene.step.command(&["attach", "sbom", &scene.by_tag()]);
    let output = attach.env("COSIGN_SBOM", &path).env("COSIGN_TYPE", "x").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && stderr.contains("COSIGN_TYPE: \"x\" is not spdx"), "{stderr}");
}

/// What another writer does between two requests of ours.
#[test]
fn another_writer_is_noticed_and_nothing_of_a_list_is_lost() {
    for scene in Scene::both() {
        let file = scene.file("one", b"one");
        let others = "{\"schemaVersion\":2,\"layers\":[]}";
        scene.step.registry.faults().after_manifest_put(move |content, put| {
            content.put_manifest(&put.repository, Some(&put.reference), MANIFEST, others).unwrap();
        });
        scene.fails(1, &["attach", "sbom", &file], &["the SBOM was pushed to", "somebody else has attached"]);
        scene.step.registry.faults().clear();
        // Not an SBOM, and told so.
        scene.fails(1, &["download", "sbom"], &["can't be used: its manifest has not exactly one layer"]);
    }
    let scene = Scene::new(false);
    let fallback = format!("sha256-{}", scene.digest.hex());
    let entry = |number: u8| {
        let digest = scene.step.image(REPOSITORY, &number.to_string());
        let size = scene.step.manifest(REPOSITORY, &number.to_string()).len();
        format!("{{\"mediaType\":\"{MANIFEST}\",\"size\":{size},\"digest\":\"{digest}\",\"x\":{number}}}")
    };
    let index = move |entries: &[String]| {
        format!("{{\"schemaVersion\":2,\"mediaType\":\"{INDEX}\",\"manifests\":[{}]}}", entries.join(","))
    };
    let (one, two) = (index(&[entry(1)]), index(&[entry(1), entry(2)]));
    scene.step.registry.content().put_manifest(REPOSITORY, Some(&fallback), INDEX, one).unwrap();
    // After it was read, right before our manifest goes out, another writer adds one.
    let listed = fallback.clone();
    let mut waits = Some(two);
    scene.step.registry.faults().before_manifest_put(move |content, put| {
        if put.reference.starts_with("sha256:")
            && let Some(two) = waits.take()
        {
            content.put_manifest(&put.repository, Some(&listed), INDEX, two).unwrap();
        }
    });
    scene.ok(&["attach", "sbom", MODES[1], &scene.file("one", b"one")]);
    let (_, list) = scene.step.registry.content().manifest(REPOSITORY, &fallback).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let list = list["manifests"].as_array().unwrap();
    assert_eq!(list.len(), 3, "{list:#?}");
    assert_eq!((&list[0]["x"], &list[1]["x"]), (&Value::from(1), &Value::from(2)), "fields of others stay");
    assert_eq!(list[2]["artifactType"], "application/vnd.dev.cosign.artifact.sbom.v1+json");
}
