//! docs/threat-model.md names a test for each thing that an actor can't do. Each of them exists, and is run.

use std::fs;
use std::path::{Path, PathBuf};

/// The column that names the tests of a table's row.
const COLUMN: &str = "Shown by";

/// The scripts that run the tests which `cargo test` leaves out.
const RUNNERS: [&str; 2] = ["tests/cluster/run", "tests/peers/run"];

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| format!("// {}: {error}", path.display()))
}

/// The texts between backquotes that begin with a folder of tests or code.
fn named(text: &str) -> Vec<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    spans.filter(|span| ["tests/", "src/", "fuzz/"].iter().any(|folder| span.starts_with(folder))).collect()
}

/// What is wrong with a name of the page: `FILE: TEST`, or a file alone.
fn wrong(span: &str) -> Option<String> {
    let Some((file, test)) = span.split_once(": ") else {
        let target = Path::new(span).file_stem().filter(|_| span.starts_with("fuzz/targets/"));
        let listed =
            target.is_none_or(|_| read(&root("fuzz/Cargo.toml")).contains(span.trim_start_matches("fuzz/")));
        return (!root(span).is_file() || !listed)
            .then(|| "there is no such file, or no such fuzz target".to_owned());
    };
    let path = root(file);
    if !path.is_file() {
        return Some(format!("there is no {file}"));
    }
    (!is_compiled(file))
        .then(|| format!("no module declares {file}"))
        .or_else(|| wrong_in(&read(&path), test))
}

/// Whether the file is a test program, or a module of the folder or file above it.
fn is_compiled(file: &str) -> bool {
    let path = Path::new(file);
    let folder = path.parent().unwrap();
    let stem = path.file_stem().unwrap().to_str().unwrap();
    if folder == Path::new("tests") || stem == "main" || stem == "lib" {
        return true;
    }
    let (folder, stem) = match stem {
        "mod" => (folder.parent().unwrap(), folder.file_name().unwrap().to_str().unwrap()),
        _ => (folder, stem),
    };
    let declaration = format!("mod {stem};");
    let above = folder.with_extension("rs");
    let parents = ["mod.rs", "main.rs", "lib.rs"].map(|name| folder.join(name));
    parents.into_iter().chain([above]).any(|parent| {
        let text = read(&root(parent.to_str().unwrap()));
        let visible = |line: &str| line.split_once(' ').is_some_and(|(word, _)| word.starts_with("pub"));
        let mut lines = text.lines().map(str::trim);
        lines.any(|line| line == declaration || visible(line) && line.ends_with(&format!(" {declaration}")))
    })
}

/// What keeps the function `name` in `source` from being a test that is run.
fn wrong_in(source: &str, name: &str) -> Option<String> {
    let mut attributes = Vec::new();
    let mut in_comment = false;
    for line in source.lines().map(str::trim) {
        in_comment |= line.starts_with("/*");
        if in_comment {
            in_comment = !line.contains("*/");
            continue;
        }
        let function = line.trim_start_matches("async ").strip_prefix("fn ");
        if function.and_then(|rest| rest.split(['(', '<']).next()) == Some(name) {
            return wrong_with(&attributes);
        }
        if line.starts_with("#[") {
            attributes.push(line);
        } else if !line.starts_with("//") {
            attributes.clear();
        }
    }
    Some("there is no such function".to_owned())
}

fn wrong_with(attributes: &[&str]) -> Option<String> {
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    if !attributes.iter().any(is_test) {
        return Some("it is not a test".to_owned());
    }
    let left_out = |line: &&&str| {
        line.starts_with("#[cfg")
            || line.starts_with("#[ignore") && !RUNNERS.iter().any(|runner| line.contains(runner))
    };
    attributes.iter().find(left_out).map(|line| format!("it is not run: {line}"))
}

/// The cells of a table's line; `None` for other lines.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// The rows of the tables that have the column, the text under each heading apart: heading, first and last cell.
fn rows(page: &str) -> Vec<(&str, &str, &str)> {
    let (mut heading, mut counts) = ("", false);
    let mut rows = Vec::new();
    for line in page.lines() {
        if line.starts_with('#') {
            heading = line;
        }
        let Some(cells) = cells(line) else {
            counts = false;
            continue;
        };
        let (first, last) = (*cells.first().unwrap(), *cells.last().unwrap());
        if last == COLUMN {
            counts = true;
        } else if counts && !first.starts_with("---") {
            rows.push((heading, first, last));
        }
    }
    rows
}

#[test]
fn every_test_that_the_page_names_exists_and_is_run() {
    let page = fs::read_to_string(root("docs/threat-model.md")).unwrap();
    let names = named(&page);
    assert!(names.len() > 100, "{}", names.len());
    let wrong: Vec<String> =
        names.iter().filter_map(|name| Some(format!("{name}: {}", wrong(name)?))).collect();
    assert!(wrong.is_empty(), "docs/threat-model.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_row_and_every_actor_has_a_test() {
    let page = fs::read_to_string(root("docs/threat-model.md")).unwrap();
    let rows = rows(&page);
    let without: Vec<_> = rows
        .iter()
        .filter(|(_, _, last)| !named(last).iter().any(|name| name.contains(": ")))
        .map(|(heading, first, _)| format!("{heading}: {first}"))
        .collect();
    assert!(without.is_empty(), "docs/threat-model.md, rows without a test:\n{}", without.join("\n"));
    let (_, actors) = page.split_once("\n## Actors\n").unwrap();
    let (actors, _) = actors.split_once("\n## ").unwrap();
    let actors: Vec<&str> = actors.lines().filter(|line| line.starts_with("### ")).collect();
    assert!(actors.len() >= 11, "{actors:?}");
    for actor in actors {
        assert!(rows.iter().any(|(heading, ..)| *heading == actor), "{actor}: no table with {COLUMN:?}");
    }
}

#[test]
fn a_name_that_is_wrong_is_found() {
    let source = "
        #[test]
        fn good() {}
        #[tokio::test(flavor = \"current_thread\")]
        // A reason.
        async fn also_good() {}
        #[test]
        #[ignore = \"needs the cluster: tests/cluster/run\"]
        fn run_by_a_script() {}
        #[test]
        #[ignore = \"broken\"]
        fn ignored() {}
        #[cfg(windows)]
        #[test]
        fn elsewhere() {}
        fn helper() {}
        // #[test]
        // fn commented() {}
        /*
        #[test]
        fn in_a_comment() {}
        */
        #[test]
        fn after() {}
    ";
    for name in ["good", "also_good", "run_by_a_script", "after"] {
        assert_eq!(wrong_in(source, name), None, "{name}");
    }
    for name in ["ignored", "elsewhere", "helper", "commented", "in_a_comment", "goo", "goods"] {
        assert!(wrong_in(source, name).is_some(), "{name}");
    }
    for span in [
        "tests/hermetic/threat_model.rs: a_name_that_is_right",
        "tests/no_such_file.rs: good",
        "tests/no_such_file",
        "fuzz/targets/no_such_target.rs",
        "src/secret.rs: new",
    ] {
        assert!(wrong(span).is_some(), "{span}");
    }
    for span in [
        "tests/hermetic/threat_model.rs: a_name_that_is_wrong_is_found",
        "tests/cluster/run",
        "fuzz/targets/run.rs",
    ] {
        assert_eq!(wrong(span), None, "{span}");
    }
    let page = "# A\n| x | Shown by |\n|---|---|\n| y | `tests/a.rs: b` |\n\n## B\n| x | z |\n|---|---|\n| v | w |\n";
    assert_eq!(rows(page), [("# A", "y", "`tests/a.rs: b`")]);
}
