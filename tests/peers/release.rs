//! What a release is made of, by the scripts in `release/` around the binary under test: the SBOMs say what is in
//! the binary and in the image, the image is the same each time, and Stepseal itself attests and verifies it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::kit::scene::{PASSWORD, Place, USER, run_quietly, static_binary};
use crate::kit::{Registry, Scene, peer, run};
use crate::runs::statement;

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_sbom_lists_the_crates_in_the_binary_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let before = run(project("git").args(["status", "--porcelain"])).ok().stdout;
    let make = || {
        let mut command = release("sbom");
        command.arg("binary").arg(static_binary()).env_remove("SOURCE_DATE_EPOCH");
        run(&mut command).ok().stdout
    };
    let text = make();
    assert_eq!(text, make(), "made twice, it differs");
    assert_eq!(run(project("git").args(["status", "--porcelain"])).ok().stdout, before);
    // Neither of the checkout nor of the folder in which it is listed.
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")) && !text.contains("file://"), "{text}");

    let sbom: Value = serde_json::from_str(&text).unwrap();
    let file = folder.path().join("stepseal.cdx.json");
    fs::write(&file, &text).unwrap();
    run(peer("cyclonedx-validate", folder.path()).arg(&file)).ok();
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let itself = &sbom["metadata"]["component"];
    assert_eq!(
        (&itself["name"], &itself["version"]),
        (&"stepseal".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!(itself["hashes"][0]["content"], sha256(&static_binary()).as_str());
    assert!(sbom["metadata"]["timestamp"].is_null(), "{}", sbom["metadata"]);

    let components = sbom["components"].as_array().unwrap();
    let named = |scope: &str| -> BTreeSet<String> {
        let crates = components.iter().filter(|component| {
            component["scope"] == scope && component["purl"].as_str().unwrap().starts_with("pkg:cargo/")
        });
        crates
            .map(|component| format!("{} v{}", text_of(component, "name"), text_of(component, "version")))
            .collect()
    };
    let (built, inside) = (tree("normal"), tree("normal,no-proc-macro"));
    assert!(inside.len() > 100 && built.len() > inside.len());
    assert_eq!(named("required"), inside);
    assert_eq!(named("excluded"), built.difference(&inside).cloned().collect());
    for component in components {
        let of_a_crate = component["purl"].as_str().unwrap().starts_with("pkg:cargo/");
        assert!(!of_a_crate || component["hashes"][0]["alg"] == "SHA-256", "{component}");
        assert!(!of_a_crate || component["licenses"][0]["expression"].is_string(), "{component}");
    }
    // A static binary has the C library and Rust's own in it.
    let others: Vec<&str> = components.iter().map(|component| text_of(component, "name")).collect();
    assert!(others.contains(&"rust-std") && ["glibc", "musl"].iter().any(|name| others.contains(name)));
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_release_is_the_same_each_time_and_its_sbom_travels_with_the_image() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let name = format!("{}/team/stepseal", hosts[0]);
    let [one, two] = ["one", "two"].map(|folder| {
        let into = scene.home().join(folder);
        let mut command = release("dist");
        let reference = run(command.arg(&into).arg(&name)).ok().stdout.trim().to_owned();
        (into, reference)
    });
    assert_eq!(one.1, two.1);
    run(peer("diff", scene.home()).arg("-r").args([&one.0, &two.0])).ok();
    let (dist, reference) = one;
    run(peer("sha256sum", &dist).args(["--check", "--strict", "SHA256SUMS"])).ok();
    let file = dist.join("image.cdx.json");
    run(peer("cyclonedx-validate", scene.home()).arg(&file)).ok();

    // What docs/releases.md has a releaser do, and then what it has a user do.
    let layout = format!("oci:{}/image:latest", dist.display());
    let mut copy = peer("skopeo", scene.home());
    copy.args(["copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds"]);
    run(copy.arg(format!("{USER}:{PASSWORD}")).arg(&layout).arg(format!("docker://{name}:latest"))).ok();
    scene.sign(Place::Tag, &hosts, &[&reference]).ok();
    let mut attest = scene.stepseal(&hosts, &["attest", &reference, "--type", "cyclonedx", "--predicate"]);
    run_quietly(attest.arg(&file)).ok();

    assert_eq!(scene.verified(Place::Tag, &reference).len(), 1);
    let mut cosign =
        scene.cosign(&["verify-attestation", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
    cosign.args([Place::Tag.cosign_flag(), "--type", "cyclonedx", "--key"]).arg(scene.public_key());
    run(cosign.arg(&reference)).ok();
    let sbom: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(attested(&scene, &hosts, &reference), sbom);

    let image = &sbom["metadata"]["component"];
    assert_eq!(image["type"], "container");
    assert_eq!(format!("{}@{}", text_of(image, "name"), text_of(image, "version")), reference);
    // The SBOM names the binary in the registry's image, and links that binary's own SBOM by hash.
    let export =
        format!("crane export --insecure {reference} - | tar -xO stepseal | sha256sum | cut -d' ' -f1");
    let exported = run(peer("sh", scene.home()).args(["-c", &export])).ok();
    let binary = &sbom["components"][0];
    assert_eq!(binary["hashes"][0]["content"], exported.stdout.trim());
    let links = binary["externalReferences"].as_array().unwrap();
    let linked = links.iter().find(|link| link["type"] == "bom").unwrap();
    assert_eq!(linked["hashes"][0]["content"], sha256(&dist.join("stepseal.cdx.json")).as_str());
}

/// The predicate of the attestation that Stepseal verifies.
fn attested(scene: &Scene, hosts: &[String], reference: &str) -> Value {
    let mut verify = scene.stepseal(hosts, &["verify-attestation", reference, "--type", "cyclonedx"]);
    verify.args(["--insecure-ignore-tlog", "--output", "json", "--key"]).arg(scene.public_key());
    let ran = run_quietly(&mut verify).ok();
    statement(&serde_json::from_str(&ran.stdout).unwrap())["predicate"].take()
}

/// A script of `release/`, for the binary under test.
fn release(script: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("release").join(script));
    command.env("STEPSEAL_BINARY", static_binary());
    command
}

/// A program in the checkout.
fn project(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// What cargo builds for the binary, as `NAME vVERSION`, without the project itself.
fn tree(edges: &str) -> BTreeSet<String> {
    let host = run(project("rustc").arg("-vV")).ok().stdout;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let target = std::env::var("STEPSEAL_TARGET").unwrap_or(host);
    let mut command = project("cargo");
    command.args(["tree", "--locked", "--prefix", "none", "--edges", edges, "--target", &target]);
    let listed = run(&mut command).ok().stdout;
    let packages = listed.lines().filter(|line| !line.is_empty() && !line.starts_with("stepseal "));
    packages.map(|line| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn sha256(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}
