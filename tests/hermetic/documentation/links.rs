//! Every relative link in a Markdown file of the repository leads to a file, and every anchor to a heading of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Directories with what builds leave, and with the texts of other projects.
const LEFT_OUT: [&str; 3] = [".git", "target", "corpus"];

/// The source of docs/reliability.md: its links are relative to `docs/`.
const TEMPLATE: &str = "benches/storms/page.md";

/// A page as its reader sees it.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

fn parse(text: &str) -> Page {
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap_or_default());
                let count = counts.entry(anchor.clone()).or_default();
                page.anchors.insert(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
                *count += 1;
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    page
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The Markdown files below a directory.
fn pages(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.file_name().is_some_and(|name| LEFT_OUT.iter().any(|left_out| name == *left_out)) {
                found.extend(pages(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// What is wrong with a link of the page at `path`.
fn fault(path: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { path.to_owned() } else { path.parent().unwrap().join(file) };
    if !target.exists() {
        return Some("there is no such file".to_owned());
    }
    let anchor = anchor?;
    let Ok(text) = fs::read_to_string(&target) else { return Some("not a text file".to_owned()) };
    (!parse(&text).anchors.contains(anchor)).then(|| "there is no such heading".to_owned())
}

#[test]
fn every_link_and_anchor_resolves() {
    let root = super::root("");
    let mut links = 0;
    let mut faults = Vec::new();
    for path in pages(&root) {
        if path.ends_with(TEMPLATE) {
            continue;
        }
        for link in parse(&fs::read_to_string(&path).unwrap()).links {
            links += 1;
            if let Some(fault) = fault(&path, &link) {
                faults.push(format!("{}: {link}: {fault}", path.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    assert!(links > 100, "{links}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_page_says_who_it_is_for() {
    let docs = pages(&super::root("docs"));
    let silent = docs.iter().filter(|path| {
        let text = fs::read_to_string(path).unwrap();
        !text.lines().take(5).any(|line| line.starts_with("For "))
    });
    let silent: Vec<String> = silent.map(|path| path.display().to_string()).collect();
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn the_index_lists_each_page_once() {
    let index = fs::read_to_string(super::root("docs/README.md")).unwrap();
    let links = parse(&index).links;
    for path in pages(&super::root("docs")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name != "README.md" {
            assert_eq!(links.iter().filter(|link| *link == name).count(), 1, "{name}");
        }
    }
}

#[test]
fn broken_links_are_found() {
    let page = super::root("docs/README.md");
    for link in ["no-such-page.md", "keys.md#no-such-heading", "#no-such-heading", "../no-such-directory/"] {
        assert!(fault(&page, link).is_some(), "{link}");
    }
    for link in ["keys.md", "keys.md#rotation-two-keys-at-once", "../tasks", "https://registry.example/x#y"] {
        assert_eq!(fault(&page, link), None, "{link}");
    }
    let page =
        parse("# A `b` C: d\n\n# A b C: d\n\n| x |\n|---|\n| [l](m.md) |\n\n```sh\n[no](link.md)\n```\n");
    assert_eq!(page.links, ["m.md"]);
    assert_eq!(Vec::from_iter(page.anchors), ["a-b-c-d", "a-b-c-d-1"]);
}
