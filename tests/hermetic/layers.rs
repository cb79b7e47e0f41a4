//! Imports point downward: what each module of `src/` imports, held against the table of layers in ARCHITECTURE.md.
//!
//! A row may import the rows below it. Among the modules of one row the table says what is allowed: no imports at all, or none in a
//! circle. Tests may import what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a row of the table says of imports between its modules.
const NONE: &str = "no imports";
const NO_CIRCLES: &str = "no circles";

/// Sources by their path below `src/`.
type Tree = BTreeMap<String, String>;

/// A path that a file names, from the root of the crate.
struct Import {
    file: String,
    line: usize,
    path: Vec<String>,
}

impl Import {
    fn shown(&self) -> String {
        format!("src/{}:{}: {}", self.file, self.line, self.path.join("::"))
    }
}

/// A module's row, counted from the top, and what that row allows.
type Rows<'a> = BTreeMap<&'a str, (usize, &'a str)>;

/// Everything that is wrong with `tree`, by the table in `page`.
fn faults(tree: &Tree, page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let rows = rows(page, &mut faults);
    let modules: BTreeSet<&str> = tree.keys().map(|file| top(file)).collect();
    let unnamed = modules.iter().filter(|module| !rows.contains_key(*module));
    faults.extend(unnamed.map(|module| format!("no row names {module}")));
    let absent = rows.keys().filter(|module| !modules.contains(*module));
    faults.extend(absent.map(|module| format!("a row names {module}, which doesn't exist")));
    let mut sideways: BTreeMap<(&str, &str), String> = BTreeMap::new();
    let imports: Vec<Import> = tree.iter().flat_map(|(file, text)| imports(file, text)).collect();
    for import in &imports {
        let (from, to) = (top(&import.file), import.path.first().map_or("", String::as_str));
        let (Some((above, between)), Some((below, _))) = (rows.get(from), rows.get(to)) else { continue };
        if below < above {
            faults.push(format!("{} points up", import.shown()));
        } else if above == below && from != to && *between == NONE {
            faults.push(format!("{} points sideways", import.shown()));
        } else if above == below && from != to {
            sideways.entry((from, to)).or_insert_with(|| import.shown());
        }
    }
    faults.extend(circle(sideways));
    faults
}

/// The imports that are left when none of a module that imports nothing, or that nothing imports, is looked at.
fn circle(mut imports: BTreeMap<(&str, &str), String>) -> Option<String> {
    loop {
        let (from, to): (BTreeSet<&str>, BTreeSet<&str>) = imports.keys().copied().unzip();
        let before = imports.len();
        imports.retain(|(one, other), _| to.contains(one) && from.contains(other));
        if imports.len() == before {
            break;
        }
    }
    let left: Vec<String> = imports.into_values().collect();
    (!left.is_empty()).then(|| format!("these make a circle: {}", left.join(", ")))
}

/// The rows of the table below `## Layers`: its second column has the modules, its third what is allowed between them.
fn rows<'a>(page: &'a str, faults: &mut Vec<String>) -> Rows<'a> {
    let section = page.split("\n## Layers\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut rows = Rows::new();
    for (number, line) in lines.enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, layer, modules, between, ..] = cells[..] else { continue };
        let names: Vec<&str> = modules.split('`').skip(1).step_by(2).map(top).collect();
        if names.len() > 1 && ![NONE, NO_CIRCLES].contains(&between) {
            faults.push(format!("the row {layer} says neither \"{NONE}\" nor \"{NO_CIRCLES}\""));
        }
        for name in names {
            if rows.insert(name, (number, between)).is_some() {
                faults.push(format!("two rows name {name}"));
            }
        }
    }
    rows
}

/// The module right below `src/` that a file or a cell of the table is of.
fn top(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Every path from `crate`, `self` or `super` in a file.
fn imports(file: &str, text: &str) -> Vec<Import> {
    let tokens = without_tests(&tokens(text));
    let mut here: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    here.pop_if(|last| ["mod", "lib", "main"].contains(last));
    let mut reader = Reader { file, tokens: &tokens, at: 0, here, found: Vec::new() };
    // The depths of braces at which modules in this file begin.
    let (mut depth, mut inline) = (0_usize, Vec::new());
    while let Some(token) = reader.next() {
        match token {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if inline.pop_if(|begun| *begun == depth).is_some() {
                    reader.here.pop();
                }
            }
            "mod" if reader.peek(1) == Some("{") => {
                reader.here.extend(reader.peek(0));
                inline.push(depth);
            }
            "use" => reader.tree(&[]),
            "crate" | "self" | "super" if reader.peek(0) == Some("::") => reader.path(token),
            _ => {}
        }
    }
    reader.found
}

/// Reads paths out of tokens.
struct Reader<'a> {
    file: &'a str,
    /// Each with its line.
    tokens: &'a [(usize, &'a str)],
    at: usize,
    /// The module that the tokens are in.
    here: Vec<&'a str>,
    found: Vec<Import>,
}

impl<'a> Reader<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a str> {
        self.tokens.get(self.at + ahead).map(|(_, token)| *token)
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek(0)?;
        self.at += 1;
        Some(token)
    }

    /// The rest of a path outside `use`.
    fn path(&mut self, first: &'a str) {
        let mut path = vec![first];
        while self.peek(0) == Some("::") && self.peek(1).is_some_and(is_name) {
            path.extend(self.peek(1));
            self.at += 2;
        }
        self.add(&path);
    }

    /// A tree of `use` below `base`, up to what ends it.
    fn tree(&mut self, base: &[&'a str]) {
        let mut path = base.to_vec();
        while let Some(token) = self.next() {
            match token {
                "{" => {
                    while !matches!(self.peek(0), None | Some("}")) {
                        self.tree(&path);
                        self.at += usize::from(self.peek(0) == Some(","));
                    }
                    self.at += 1;
                    return;
                }
                "as" => self.at += 1,
                name if is_name(name) => path.push(name),
                _ => {}
            }
            if matches!(self.peek(0), None | Some(";" | "," | "}")) {
                break;
            }
        }
        self.add(&path);
    }

    /// Keeps a path from the root of the crate, if it is one of this crate.
    fn add(&mut self, path: &[&str]) {
        let line = self.tokens.get(self.at - 1).map_or(0, |(line, _)| *line);
        let above = path.iter().take_while(|segment| **segment == "super").count();
        let base = match path.first() {
            Some(&"crate") => &[],
            Some(&"self") => self.here.as_slice(),
            Some(&"super") => self.here.get(..self.here.len().saturating_sub(above)).unwrap_or_default(),
            _ => return,
        };
        let rest = path.get(above.max(1)..).unwrap_or_default().iter().filter(|segment| **segment != "self");
        let path = base.iter().chain(rest).map(|segment| (*segment).to_owned()).collect();
        self.found.push(Import { file: self.file.to_owned(), line, path });
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

/// What is left of `tokens` without the items below `#[cfg(test)]`.
fn without_tests<'a>(tokens: &[(usize, &'a str)]) -> Vec<(usize, &'a str)> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut left, mut rest) = (Vec::new(), tokens);
    while let [first, others @ ..] = rest {
        let begins = rest.iter().take(MARK.len()).map(|(_, token)| *token).eq(MARK);
        if !begins {
            left.push(*first);
            rest = others;
            continue;
        }
        rest = rest.get(MARK.len()..).unwrap_or_default();
        // The item ends with its `;` or its braces.
        let mut depth = 0_i32;
        let end = rest.iter().position(|(_, token)| {
            depth += i32::from(["{", "(", "["].contains(token)) - i32::from(["}", ")", "]"].contains(token));
            depth < 0 || depth == 0 && [";", "}"].contains(token)
        });
        rest = rest.get(end.map_or(rest.len(), |end| end + 1)..).unwrap_or_default();
    }
    left
}

/// Names, `::` and other single characters, each with its line. Comments, strings and characters are left out.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if let Some(length) = literal(rest) {
            length
        } else if rest.starts_with("r#") {
            2
        } else {
            let length = if rest.starts_with("::") { 2 } else { name.max(first.len_utf8()) };
            if !first.is_whitespace() {
                tokens.push((line, rest.split_at(length).0));
            }
            length
        };
        let (read, left) = rest.split_at(length);
        line += read.matches('\n').count();
        rest = left;
    }
    tokens
}

/// How long the comment, string or character is that `text` begins with.
fn literal(text: &str) -> Option<usize> {
    let until = |from: usize, end: &str| {
        let length = text.get(from..).and_then(|rest| rest.find(end)).map(|at| from + at + end.len());
        Some(length.unwrap_or(text.len()))
    };
    if text.starts_with("//") {
        return until(0, "\n");
    }
    if text.starts_with("/*") {
        return until(2, "*/");
    }
    if let Some(rest) = text.strip_prefix('\'') {
        // Otherwise it is a lifetime, whose name does no harm.
        let mut characters = rest.chars();
        return match (characters.next()?, characters.next()?) {
            ('\\', second) => until(2 + second.len_utf8(), "'"),
            (first, '\'') => Some(first.len_utf8() + 2),
            _ => Some(1),
        };
    }
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let rest = text.strip_prefix(prefix)?;
    if prefix.ends_with('r') {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        return until(prefix.len() + hashes + 1, &format!("\"{}", "#".repeat(hashes)));
    }
    let mut escaped = false;
    let end = rest.strip_prefix('"')?.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Some(end.map_or(text.len(), |end| prefix.len() + end + 2))
}

/// The sources in `folder`, but for tests.
fn read(folder: &Path, below: &str, tree: &mut Tree) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = format!("{below}{name}");
        if path.is_dir() && name != "tests" {
            read(&path, &format!("{file}/"), tree);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            tree.insert(file, std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn imports_point_downward_and_not_sideways() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Tree::new();
    read(&root.join("src"), "", &mut tree);
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let faults = faults(&tree, &page);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is wrong with a flow above two stages above two values, where `files` are added.
fn faults_with(files: &[(&str, &str)]) -> Vec<String> {
    let page = "\n## Layers\n\n| layer | modules | between them | |\n|---|---|---|---|\n| top | `flow/` | | |\n\
                | stages | `sign/`, `store/` | no imports | |\n| values | `key/`, `oci.rs` | no circles | |\n";
    let known = ["flow/mod.rs", "sign/mod.rs", "store/mod.rs", "key/mod.rs", "oci.rs"];
    let mut tree: Tree = known.iter().map(|file| ((*file).to_owned(), String::new())).collect();
    tree.extend(files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())));
    faults(&tree, page)
}

#[test]
fn what_points_down_is_allowed_and_so_are_tests_texts_and_other_crates() {
    let stage = r##"
        //! As crate::flow::Pipeline does.
        use crate::{key::{self, Key}, oci as images};
        use store::Store; // crate::store
        use super::super::key;
        /* use crate::flow; */
        const TEXTS: [&str; 3] = ["crate::store \" crate::flow", r#"crate::"flow""#, "\\"];
        const LETTERS: [char; 3] = ['"', '\'', '\u{22}'];
        fn run<'a>(key: &'a crate::key::Key) {}
        #[cfg(test)]
        use crate::store::{A, B};
        #[cfg(test)]
        mod tests { use crate::flow::Pipeline; }
    "##;
    let files = [("sign/remote.rs", stage), ("key/a.rs", "use crate::oci::Digest;")];
    assert_eq!(faults_with(&files), Vec::<String>::new());
}

#[test]
fn each_fault_is_found_with_its_place() {
    let up = "src/sign/a.rs:2: flow::Pipeline points up";
    let sideways = "src/sign/a.rs:2: store::shelf::Shelf points sideways";
    for (text, fault) in [
        ("\nuse crate::flow::Pipeline;", up),
        ("use crate::{key::{Key as K, A},\nflow::Pipeline};", up),
        ("\npub use super::super::flow::Pipeline;", up),
        ("mod inline {\nuse super::super::super::flow::Pipeline;\n}", up),
        ("#[cfg(test)] mod tests;\nfn a() { crate::flow::Pipeline }", up),
        ("/* \" */ fn a<'a>() {}\nfn b(c: &'a crate::store::shelf::Shelf) {} // \"", sideways),
        ("use std::fmt;\nuse crate::store::shelf::{self as a, Shelf};", sideways),
        ("const A: char = '\"';\nuse crate::{ key, store::{shelf::{Shelf}} };", sideways),
    ] {
        assert!(faults_with(&[("sign/a.rs", text)]).iter().any(|found| found == fault), "{text}");
    }
    assert_eq!(faults_with(&[("other/mod.rs", "")]), ["no row names other"]);
    let circle = faults_with(&[("oci.rs", "use crate::key;"), ("key/a.rs", "\nuse crate::oci::Digest;")]);
    assert_eq!(circle, ["these make a circle: src/key/a.rs:2: oci::Digest, src/oci.rs:1: key"]);
}

#[test]
fn a_table_that_says_something_else_than_the_folder_is_a_fault() {
    let page = |rows: &str| format!("\n## Layers\n| a | b | c | d |\n|---|---|---|---|\n{rows}");
    let tree = Tree::from([("flow/mod.rs".to_owned(), String::new())]);
    assert_eq!(faults(&tree, &page("| top | `flow/` | | |")), Vec::<String>::new());
    let twice = faults(&tree, &page("| top | `flow/` | | |\n| low | `flow.rs` | | |"));
    assert_eq!(twice, ["two rows name flow"]);
    let absent = faults(&tree, &page("| top | `flow/` | | |\n| low | `key/` | | |"));
    assert_eq!(absent, ["a row names key, which doesn't exist"]);
    let unsaid = faults(&tree, &page("| top | `flow/`, `key/` | | |"));
    assert!(unsaid.iter().any(|fault| fault.contains("says neither")), "{unsaid:?}");
    assert_eq!(faults(&tree, "# No table"), ["no row names flow"]);
}
