//! The results that the signing step writes itself.

use std::fs;
use std::process::Command;

use stepseal::oci::Digest;

use crate::kit::step::Step;

fn read(step: &Step, name: &str) -> Vec<String> {
    serde_json::from_str(&fs::read_to_string(step.path("own").join(name)).unwrap()).unwrap()
}

fn own(step: &Step) -> [String; 2] {
    fs::create_dir_all(step.path("own")).unwrap();
    ["--own-results".to_owned(), step.path("own").display().to_string()]
}

#[test]
fn they_name_what_is_signed_and_where() {
    let step = Step::new();
    let digest = step.built("team/app");
    let [flag, folder] = own(&step);
    for _ in ["signed", "unchanged"] {
        assert_eq!(step.sign(&[&flag, &folder]).code, 0);
        let name = format!("{}/team/app", step.host());
        assert_eq!(read(&step, "SIGNED_IMAGES"), [format!("{name}@{digest}")]);
        assert_eq!(read(&step, "SIGNATURES"), [format!("{name}:sha256-{}.sig", digest.hex())]);
    }
}

#[test]
fn what_failed_is_not_among_them() {
    let step = Step::new();
    let good = format!("{}/team/app@{}", step.host(), step.image("team/app", "good"));
    let absent = format!("{}/team/app@sha256:{}", step.host(), "0".repeat(64));
    let [flag, folder] = own(&step);
    assert_eq!(step.run(&["sign", &flag, &folder, &good, &absent]).code, 5);
    assert_eq!(read(&step, "SIGNED_IMAGES"), [good]);
    assert_eq!(step.run(&["sign", &flag, &folder, &absent]).code, 1);
    assert!(read(&step, "SIGNED_IMAGES").is_empty() && read(&step, "SIGNATURES").is_empty());
}

#[test]
fn a_folder_that_is_missing_is_told_before_anything_is_signed() {
    let step = Step::new();
    let digest = step.built("team/app");
    let ended = step.run(&["sign", "--own-results", "/nowhere/at/all"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("/nowhere/at/all/SIGNED_IMAGES"), "{}", ended.stderr);
    assert!(step.payloads("team/app", &digest).is_empty());
}

/// The command of docs/results.md, on the report of the same run, gives the digest that the summary names.
#[test]
fn the_summary_is_the_digest_of_what_the_report_lists() {
    let step = Step::new();
    let images: Vec<String> = (0..20)
        .map(|number| format!("{}/app@{}", step.host(), step.image("app", &number.to_string())))
        .collect();
    let [flag, folder] = own(&step);
    let report = step.path("report.json").display().to_string();
    let mut arguments = vec![flag.as_str(), &folder, "--report", &report];
    arguments.extend(images.iter().map(String::as_str));
    assert_eq!(step.sign(&arguments).code, 0);
    let [summary] = &read(&step, "SIGNED_IMAGES")[..] else { panic!("no summary") };
    let mut listed: Vec<String> =
        serde_json::from_str::<Vec<serde_json::Value>>(&fs::read_to_string(&report).unwrap())
            .unwrap()
            .iter()
            .map(|entry| format!("{}@{}", entry["uri"].as_str().unwrap(), entry["digest"].as_str().unwrap()))
            .collect();
    listed.dedup();
    let digest = Digest::of(serde_json::to_string(&listed).unwrap().as_bytes());
    assert_eq!(*summary, format!("20 images: too long for a result; {digest}"));
    // With jq, as documented; a machine without it has the comparison above.
    let filter = r#"[.[] | select(.artifact == "oci" and .status != "failed") | .uri + "@" + .digest]"#;
    assert!(
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/results.md")).unwrap().contains(filter)
    );
    if let Ok(output) = Command::new("jq").args(["-jc", filter, &report]).output() {
        assert_eq!(Digest::of(&output.stdout), digest);
    }
}
