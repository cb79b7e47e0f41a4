//! Each personality is on the list that the suite runs through, and pinned by a test.

use std::fs;
use std::path::Path;

/// What a personality's file lacks: a place in `ALL`, or a test in the file of the same name in `pinned/` that names it.
fn lacking(module: &str, file: &str, all: &str, pinned: &str) -> Vec<String> {
    let declared = file.lines().filter_map(|line| line.strip_prefix("pub(crate) const "));
    let names: Vec<&str> =
        declared.filter_map(|rest| rest.strip_suffix(": Personality = Personality {")).collect();
    if names.is_empty() {
        return vec![format!("{module} declares no personality")];
    }
    let is_tested =
        |name: &str| pinned.split("#[test]").skip(1).any(|test| words(test).any(|word| word == name));
    let lacks = |name: &&str| {
        let (listed, tested) = (all.contains(&format!("{module}::{name},")), is_tested(name));
        (!listed)
            .then(|| format!("{module}::{name} is not in ALL"))
            .or_else(|| (!tested).then(|| format!("no test in pinned/{module}.rs is about {module}::{name}")))
    };
    names.iter().filter_map(lacks).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

#[test]
fn each_personality_is_listed_and_pinned() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hermetic/registries");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let (all, pinned) = (read("personalities/mod.rs"), read("pinned/mod.rs"));
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder.join("personalities")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap();
        if module == "mod" {
            continue;
        }
        wrong.extend(lacking(
            module,
            &read(&format!("personalities/{name}")),
            &all,
            &read(&format!("pinned/{name}")),
        ));
        if !pinned.contains(&format!("\nmod {module};\n")) {
            wrong.push(format!("pinned/mod.rs has no module {module}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_personality_without_a_test_is_found() {
    let file = "pub(crate) const OLD: Personality = Personality {\n};\npub(crate) const NEW: Personality = Personality {\n};\n";
    let all = "    zot::OLD,\n    zot::NEW,\n";
    let test = "use x::{NEW, OLD};\n#[test]\nfn a_test() {\n    Pinned::new(NEW);\n}\n";
    assert_eq!(lacking("zot", file, all, test), ["no test in pinned/zot.rs is about zot::OLD"]);
    assert_eq!(
        lacking("zot", file, "    zot::OLD,\n", ""),
        ["no test in pinned/zot.rs is about zot::OLD", "zot::NEW is not in ALL"]
    );
    assert!(lacking("zot", file, all, &test.replace("(NEW)", "(NEW, OLD)")).is_empty());
    assert_eq!(lacking("zot", "", all, test), ["zot declares no personality"]);
}
