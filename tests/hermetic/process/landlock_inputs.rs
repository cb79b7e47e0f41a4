//! What commands read beside keys and credentials: each file can be read, and nothing beside it.

use std::fs;

use serde_json::json;

use crate::process::landlock::{confined, step};

/// By flag and by cosign's variable; what else lies there stays closed, and the others need nothing of it.
#[test]
fn what_lies_beside_an_image_is_read_and_the_sbom_alone() {
    let (step, image) = step();
    fs::create_dir(step.path("work/below")).unwrap();
    let sbom = step.path("work/below/sbom.json");
    fs::write(&sbom, "{}").unwrap();
    confined("attach", step.command(&["attach", "sbom", &image, "--sbom"]).arg(&sbom));
    confined("attach", step.command(&["attach", "sbom", &image]).env("COSIGN_SBOM", &sbom));
    confined(
        "attach",
        step.command(&["attach", "sbom", &image, "--sbom=-"]).stdin(fs::File::open(&sbom).unwrap()),
    );
    for args in [["tree"].as_slice(), &["triangulate"], &["download", "sbom"]] {
        confined("look", step.command(args).arg(&image).current_dir(step.path("work")));
    }
}

/// Each file is in a folder of its own, which nothing else names.
#[test]
fn attest_reads_its_lists_predicates_and_statements() {
    let (step, image) = step();
    let digest = image.split_once("@sha256:").unwrap().1;
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { "sha256": digest } }],
        "predicateType": "https://e.x/s", "predicate": {},
    });
    let file = |name: &str, text: &str| {
        let folder = step.path(&format!("of-{name}"));
        fs::create_dir(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let list = file("images", &image);
    let (sbom, scan) = (file("sbom", "{}"), file("scan", "{\"n\":1}"));
    let whole = file("statement", &statement.to_string());
    let mut command = step.command(&["attest", "--images-file", &list, "--statement", &whole]);
    command.args(["--predicate", &sbom, "--type", "cyclonedx", "--predicate", &scan, "--type", "vuln"]);
    let told = confined("attest", &mut command);
    assert!(told.stderr.contains("1 signed"), "{}", told.stderr);
    let mut command = step.command(&["attest", &image]);
    let told = confined("attest", command.env("COSIGN_PREDICATE", &scan).env("COSIGN_TYPE", "openvex"));
    assert!(told.stderr.contains("1 signed"), "{}", told.stderr);
}
