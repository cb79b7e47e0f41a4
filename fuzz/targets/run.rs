//! A run from a file (`--run`), up to what is signed for it: YAML or JSON in, statements in every format out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::explain::Explanation;
use stepseal::foreign;
use stepseal::payload::provenance::{image_subjects, payload, subjects};
use stepseal::plan::{PlanOptions, plan};
use stepseal::run::{BuildType, HintOptions, ProvenanceOptions, Run, RunFormat, hints};

const FORMATS: [RunFormat; 4] =
    [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4, RunFormat::Tekton];

fuzz_target!(|bytes: &[u8]| {
    let run = match Run::parse(bytes) {
        Ok(run) => run,
        Err(error) => {
            let lines = Explanation::of(&error).lines();
            assert!(lines.iter().all(|line| foreign::line(line) == *line), "{lines:?}");
            return;
        }
    };
    for object in std::iter::once(run.run()).chain(run.children()) {
        let name = object.full_name().to_string();
        let uid = object.uid().map_or("", |uid| uid.as_str());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
        assert!(
            name.chars().all(plain) && name.len() <= 63 + 1 + 253 && name.split('/').count() <= 2,
            "{name}"
        );
        assert!(
            uid.chars().all(plain) && !uid.contains(['/']) && !uid.contains("..") && uid.len() <= 63,
            "{uid}"
        );
    }
    for gap in run.gaps().iter().chain(&run.not_in_status()) {
        assert!(!gap.to_string().chars().any(char::is_control), "{gap}");
    }
    assert!(!run.passed_over().unwrap_or_default().chars().any(char::is_control), "{:?}", run.passed_over());
    for format in FORMATS {
        for build_type in [BuildType::Slsa, BuildType::SlsaTekton] {
            let options =
                ProvenanceOptions { build_type, deep_inspection: true, ..ProvenanceOptions::default() };
            assert!(image_subjects(&run, format, &options).len() <= subjects(&run, format, &options).len());
            let Ok(made) = payload(&run, format, &options) else { continue };
            let again = payload(&run, format, &options).expect("it was made before");
            assert_eq!(made.payload, again.payload, "the same run gives the same bytes");
        }
    }
    drop(plan(&hints(&run, &HintOptions { deep: true, steps: true }), &PlanOptions::default()));
});
