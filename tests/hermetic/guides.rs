//! The guides say what the program says: each message in docs/troubleshooting.md is in the source.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of all files below a folder that end like this.
fn texts(folder: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
    found
}

#[test]
fn every_message_stands_in_the_source() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    // What cosign says isn't ours.
    let (ours, _) = page.split_once("## It succeeded").unwrap();
    let source: String = texts(&root().join("src"), ".rs").into_iter().map(|(_, text)| text).collect();
    let rows = ours.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let messages: Vec<&str> = rows.map(|(message, _)| message).collect();
    assert!(messages.len() > 20);
    for message in messages.iter().filter(|message| message.parse::<u16>().is_err()) {
        assert!(source.contains(message), "nothing says {message:?}");
    }
}
