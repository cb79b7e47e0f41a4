//! docs/tutorial.md works as it is: its blocks run in their order, and the commands print what the page shows.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::kit::registry::{PASSWORD, main};
use crate::kit::{Place, given, output, scenario, succeed};

/// The mark between the outputs of two blocks.
const NEXT: &str = "-- next block --";

/// A block of the page, in the order of the page.
enum Block {
    /// Commands, with the line on which the block begins.
    Shell { line: usize, text: String },
    /// A file that the reader saves, with the name from the paragraph above it.
    File { name: String, text: String },
    /// What the commands above print.
    Output(String),
}

/// What the reader replaces, and what differs in a test: the text of the page, and the text that is run.
fn replacements(place: &Place) -> Vec<(&'static str, String)> {
    let root = env!("CARGO_MANIFEST_DIR");
    vec![
        // The scenario has its namespace already.
        ("kubectl create namespace stepseal-tutorial", format!("kubectl get namespace {}", place.namespace)),
        ("stepseal-tutorial", place.namespace.clone()),
        ("registry.example/you", format!("{}/{}", main().host, place.namespace)),
        ("registry.example", main().host.clone()),
        ("ghcr.io/stepseal/stepseal:0.2.0", given("STEPSEAL_IMAGE")),
        ("gcr.io/go-containerregistry/crane:debug", given("STEPSEAL_TOOLS_IMAGE")),
        ("#!/busybox/sh", "#!/bin/sh".to_owned()),
        ("https://raw.githubusercontent.com/stepseal/stepseal/main", root.to_owned()),
    ]
}

/// The fenced blocks of a page.
fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut paragraph) = (Vec::new(), "");
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            paragraph = if line.is_empty() { paragraph } else { line };
            continue;
        };
        let mut text = String::new();
        for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
            writeln!(text, "{line}").unwrap();
        }
        blocks.push(match language {
            "sh" => Block::Shell { line: number + 1, text },
            "yaml" => {
                let name = paragraph.strip_suffix("`:").and_then(|text| text.rsplit('`').next());
                Block::File { name: name.expect("a name above a file").to_owned(), text }
            }
            "text" => Block::Output(text),
            other => panic!("line {}: a block of {other:?}", number + 1),
        });
    }
    blocks
}

/// Whether a command printed what the page shows, where `…` stands for any text within its line.
fn shows(page: &str, printed: &str) -> bool {
    let pattern = regex::escape(page.trim()).replace('…', ".*");
    Regex::new(&format!("^{pattern}$")).unwrap().is_match(printed.trim())
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn the_tutorial_works() {
    scenario("the_tutorial_works", |place| {
        place.for_main_registry();
        // The page makes these itself.
        succeed(place.kubectl().args(["delete", "secret", "signing-secrets", "registry-credentials"]));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut page = fs::read_to_string(root.join("docs/tutorial.md")).unwrap();
        for (text, replacement) in replacements(place) {
            assert!(page.contains(text), "the page doesn't contain {text:?}");
            page = page.replace(text, &replacement);
        }
        let blocks = blocks(&page);

        let folder = tempfile::tempdir().unwrap();
        // One shell runs all blocks, as variables last from one block to the next.
        let mut script = "set -eu\nexec 2>&1\n".to_owned();
        let mut expected = Vec::new();
        for block in &blocks {
            match block {
                Block::Shell { line, text } => {
                    writeln!(script, "echo '{NEXT}'\n{text}").unwrap();
                    expected.push((line, None));
                }
                Block::File { name, text } => fs::write(folder.path().join(name), text).unwrap(),
                Block::Output(text) => {
                    expected.last_mut().expect("commands above their output").1 = Some(text)
                }
            }
        }
        assert!(expected.len() > 10 && expected.iter().filter(|(_, shown)| shown.is_some()).count() > 8);

        let docker = folder.path().join("docker");
        fs::create_dir(&docker).unwrap();
        fs::write(docker.join("config.json"), main().judges_config()).unwrap();
        let programs = folder.path().join("bin");
        fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(given("STEPSEAL_BINARY"), programs.join("stepseal")).unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(folder.path());
        command.env("PATH", format!("{}:{}", programs.display(), given("PATH")));
        command.env("DOCKER_CONFIG", &docker).env("SSL_CERT_FILE", main().ca_file());
        command.env("REGISTRY_PASSWORD", PASSWORD);
        // Those of the test are not settings of Stepseal, and each would be a warning.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STEPSEAL_")) {
            command.env_remove(name);
        }
        let output = output(&mut command);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}");

        let parts: Vec<&str> = printed.split(&format!("{NEXT}\n")).skip(1).collect();
        assert_eq!(parts.len(), expected.len(), "{printed}");
        let mut differences = String::new();
        for ((line, shown), printed) in expected.into_iter().zip(parts) {
            if let Some(shown) = shown.filter(|shown| !shows(shown, printed)) {
                writeln!(differences, "line {line} shows\n{shown}and it prints\n{printed}").unwrap();
            }
        }
        assert!(differences.is_empty(), "docs/tutorial.md:\n{differences}");
    });
}
