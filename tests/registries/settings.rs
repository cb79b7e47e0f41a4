//! What the users of each product have to set, and where what is imitated of it is described: a part of docs/registries.md.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::personalities::ALL;
use crate::personality::Personality;
use crate::suite::page;

#[test]
fn the_page_has_the_settings_of_every_product() {
    page::replace("settings of products", "BLESS=1 cargo test --test registries", |_| {
        let sections: Vec<String> = ALL.iter().map(section).collect();
        sections.join("\n")
    });
}

fn section(personality: &Personality) -> String {
    let mut text = format!("### {} {}\n\n", personality.product, personality.version);
    if personality.settings.is_empty() {
        text.push_str("No setting is needed.\n");
    } else {
        text.push_str("| setting | value | reason |\n|---|---|---|\n");
        for setting in personality.settings {
            writeln!(text, "| `{}` | `{}` | {} |", setting.variable, setting.value, setting.reason).unwrap();
        }
    }
    if !personality.notes.is_empty() {
        text.push('\n');
    }
    for note in personality.notes {
        writeln!(text, "- {note}").unwrap();
    }
    let (file, sources) = sources(personality);
    let sources: Vec<String> = sources.iter().map(|source| format!("<{source}>")).collect();
    let sources = sources.join(", ");
    let imitated = format!("[what is imitated](../tests/registries/personalities/{file})");
    writeln!(text, "\nSources of {imitated}: {sources}").unwrap();
    text
}

/// The file of a personality, and the addresses in its doc comment.
fn sources(personality: &Personality) -> (String, BTreeSet<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/registries/personalities");
    let of = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let named = |field: &str, value: &str| text.contains(&format!("{field}: \"{value}\""));
        (named("product", personality.product) && named("version", personality.version)).then_some(text)
    };
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (path, text) = files.iter().find_map(|path| Some((path, of(path)?))).unwrap_or_else(|| {
        panic!("no file has the literals of {} {}", personality.product, personality.version)
    });
    let comment = text.lines().filter(|line| line.starts_with("//!"));
    let addresses: BTreeSet<String> = comment.flat_map(addresses).collect();
    assert!(!addresses.is_empty(), "{} names no source", path.display());
    (path.file_name().unwrap().to_str().unwrap().to_owned(), addresses)
}

fn addresses(line: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '>' | ')' | ',');
    let at = |(at, _): (usize, &str)| line[at..].split(ends).next().unwrap().trim_end_matches('.').to_owned();
    line.match_indices("https://").map(at).collect()
}
