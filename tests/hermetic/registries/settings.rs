//! What the users of each product have to set, and where what is imitated of it is described: a part of docs/registries.md.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::kit::personality::Personality;
use crate::registries::personalities::ALL;
use crate::registries::suite::page;

#[test]
fn the_page_has_the_settings_of_every_product() {
    page::replace("settings of products", "BLESS=1 cargo test --test hermetic registries::", |_| {
        let mut files = BTreeSet::new();
        let sections: Vec<String> = ALL.iter().map(|personality| section(personality, &mut files)).collect();
        sections.join("\n")
    });
}

/// The product, with its version where it has any.
fn heading(personality: &Personality) -> String {
    let (product, version) = (personality.product, personality.version);
    match version {
        "hosted" => product.to_owned(),
        _ if version.starts_with(|c: char| c.is_ascii_digit()) => format!("{product} {version}"),
        _ => format!("{product}: {version}"),
    }
}

/// The section of a personality; the sources come once for each file, which `files` remembers.
fn section(personality: &Personality, files: &mut BTreeSet<String>) -> String {
    let mut text = format!("### {}\n\n", heading(personality));
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
    if !files.insert(file.clone()) {
        writeln!(text, "\nThe sources are those of the section before.").unwrap();
        return text;
    }
    let sources: Vec<String> =
        sources.iter().map(|source| format!("[{}]({source})", label(source))).collect();
    let sources = sources.join(", ");
    let imitated = format!("[what is imitated](../tests/hermetic/registries/personalities/{file})");
    writeln!(text, "\nSources of {imitated}: {sources}").unwrap();
    text
}

/// The file of a personality, and the addresses in its doc comment.
fn sources(personality: &Personality) -> (String, BTreeSet<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hermetic/registries/personalities");
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

/// What stands between `<` and `>`; other addresses are part of a description.
fn addresses(line: &str) -> Vec<String> {
    let at = |(at, _): (usize, &str)| line[at + 1..].split('>').next().unwrap().to_owned();
    line.match_indices("<https://").map(at).collect()
}

/// A short name of a source: `OWNER/NAME#NUMBER`, a file with its repository and tag, or the address itself.
fn label(address: &str) -> String {
    let parts: Vec<&str> = address.trim_start_matches("https://").trim_end_matches('/').split('/').collect();
    match parts.as_slice() {
        ["github.com", owner, name, "issues" | "pull", number] => format!("{owner}/{name}#{number}"),
        ["github.com", _, name, "blob", commit, .., file] if commit.len() == 40 => format!("{name} {file}"),
        ["github.com", _, name, "blob", tag, .., file] => format!("{name} {tag} {file}"),
        _ => parts.join("/"),
    }
}

#[test]
fn sources_have_short_names() {
    let commit = "ab".repeat(20);
    for (address, short) in [
        ("https://github.com/goharbor/harbor/issues/22643", "goharbor/harbor#22643"),
        (
            "https://github.com/goharbor/harbor/blob/v2.8.0/src/server/registry/referrers.go",
            "harbor v2.8.0 referrers.go",
        ),
        (
            &format!("https://github.com/o/image-registry/blob/{commit}/pkg/token.go"),
            "image-registry token.go",
        ),
        ("https://docs.docker.com/docker-hub/usage/pulls/", "docs.docker.com/docker-hub/usage/pulls"),
    ] {
        assert_eq!(label(address), short);
    }
    assert_eq!(
        addresses("//! named (`https://gitlab.com/jwt/auth`, <https://a.example/b>)."),
        ["https://a.example/b"]
    );
}
