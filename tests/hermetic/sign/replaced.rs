//! A file that a command writes is none that it reads, and none that it writes for another flag: nothing is begun.

use std::fs;

use crate::kit::step::{Step, pair};

/// The arguments of a call, and what its error says.
type Row<'a> = (&'a [&'a str], &'a str);

#[test]
fn an_output_replaces_no_input_and_no_other_output() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let image = &*format!("{}/team/app@{digest}", step.host());
    let folder = step.path("work");
    fs::create_dir_all(folder.join("keys")).unwrap();
    fs::write(folder.join("keys/cosign.key"), &pair().private_pem).unwrap();
    fs::write(folder.join("keys/cosign.password"), "").unwrap();
    fs::write(folder.join("list"), format!("{image}\n")).unwrap();
    fs::write(folder.join("predicate"), "{}").unwrap();
    let before = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let names = ["keys/cosign.key", "list", "predicate"];
    let kept = names.map(before);
    let rows: &[Row<'_>] = &[
        (&["sign", "--key=keys/cosign.key", "--report=keys/cosign.key", image], "--report would replace"),
        (&["sign", "--key=keys", "--report=keys/cosign.key", image], "--report would replace"),
        (&["sign", "--key=keys", "--report=./keys/../keys/cosign.key", image], "--report would replace"),
        (
            &["sign", "--key=keys", "--output-signature=keys/cosign.key", image],
            "--output-signature would replace",
        ),
        (&["sign", "--images-file=list", "--output-file=list"], "--output-file would replace"),
        (&["sign", "--output-file=list", "--images-file=list"], "--output-file would replace"),
        (&["sign", "--output-signature=new", "--output-payload=new", image], "would replace new"),
        (&["sign", "--report=new", "--output-file=new", image], "would replace new"),
        (&["attest", "--predicate=predicate", "--report=predicate", image], "--report would replace"),
        (
            &["verify", "--key=keys/cosign.key", "--output-file=keys/cosign.key", image],
            "--output-file would replace",
        ),
        (
            &["attach", "sbom", "--sbom=predicate", "--output-file=predicate", image],
            "--output-file would replace",
        ),
        (&["sign-blob", "--output-file=list", "list"], "--output-file would replace"),
    ];
    step.registry.clear_requests();
    for (args, want) in rows {
        let ended = crate::kit::step::ended(step.command(args).current_dir(&folder).output().unwrap());
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(want) && ended.stderr.contains("name another file"),
            "{args:?}: {}",
            ended.stderr
        );
    }
    let mut by_variable = step.command(&["sign", "--key=keys", image]);
    by_variable.current_dir(&folder).env("COSIGN_OUTPUT_SIGNATURE", "keys/cosign.key");
    assert_eq!(crate::kit::step::ended(by_variable.output().unwrap()).code, 2);
    assert_eq!(names.map(before), kept);
    assert!(!folder.join("new").exists() && step.registry.requests().is_empty());
    // A file that is there from before is replaced, and a folder can't be.
    fs::write(folder.join("report"), "before").unwrap();
    let run =
        |args: &[&str]| crate::kit::step::ended(step.command(args).current_dir(&folder).output().unwrap());
    assert_eq!(run(&["sign", "--report=report", image]).code, 0);
    assert_ne!(before("report"), "before");
    assert_eq!(run(&["sign", "--output-signature=keys", image]).code, 1, "a folder");
}

/// What can't be written in the end is a failure, not bad usage: by then it is signed.
#[test]
fn a_file_that_cannot_be_written_in_the_end_is_a_failure() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let image = format!("{}/team/app@{digest}", step.host());
    let ended = step.run(&["sign", "--output-signature=/dev/full", &image]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(step.layers("team/app", &digest).len(), 1);
}
