//! The whole tree is in plain English, as far as a program can tell: no words that make riddles of sentences, and no
//! doc comments of a word or two.
//!
//! The words are those that CONTRIBUTING.md rules out. `cargo test --test hermetic plain_english` lists each use with its file and line.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// How many uses of ruled-out words there may be: quotations and names of others. Lower it when you remove some.
const MOST_USES: usize = 1800;

/// How many doc comments of three words or fewer there may be.
const MOST_SHORT_DOCS: usize = 480;

/// What each expression is called, the expression, and what may stand around a match that is fine.
const RULED_OUT: &[(&str, &str, &[&str])] = &[
    (
        "is no",
        r"\b(?:[Tt]here )?(?:is|are|was|were|be) no\b(?: longer| more than| such)?",
        &["here ", " longer", " more", " such"],
    ),
    ("somebody", r"\b(?:some|no|any)body\b|\bno one\b", &[]),
    ("him", r"\b(?:him|his|himself|he|she)\b", &[]),
    ("told", r"\btold\b|\btells?\b(?: apart| the difference)?|\btelling\b", &[" apart", " difference"]),
    (
        "stands",
        r"\bstands?\b(?:-| for| in for|ing)?|\bstood\b|\bstanding\b",
        &["stand-", " for", "standing", "standalone"],
    ),
    ("bears", r"\bbears?\b|\bborne\b|\bbore\b", &[]),
    ("goes on", r"\b(?:go|goes|went|gone|going) on\b", &[]),
    (
        "one",
        r"\b(?:[Tt]he|[Tt]his|[Tt]hat|[Aa]|[Aa]nother|[Ee]very|[Ee]ach|[Ww]hich|[Aa]ny|[Oo]ther|[Oo]nly|[Ff]irst|[Ll]ast|[Ss]uch|[Gg]ood|[Nn]ew|[Oo]ld|[Oo]wn|[Ww]rong|[Rr]ight|[Bb]ad) one\b(?: (?:image|key|of|TaskRun|run|request|registry|signature|file|step|second|byte|level|place|line|name|value|time|day|thread|connection|word|way)\b)?|\bones\b|\b[Oo]ne (?:that|which|who|with|without|is|has|may|can|alone|more)\b(?: time)?",
        &[
            " image",
            " key",
            " of",
            " TaskRun",
            " run",
            " request",
            " registry",
            " signature",
            " file",
            " step",
            " second",
            " byte",
            " level",
            " place",
            " line",
            " name",
            " value",
            " time",
            " day",
            " thread",
            " connection",
            " word",
            " way",
        ],
    ),
    ("ours", r"\b(?:ours|theirs|hers)\b", &[]),
    ("vouch", r"\bvouch\w*", &[]),
    ("held against", r"\bh(?:eld|old|olds|olding) (?:\w+ ){0,4}against\b", &[]),
    ("hears", r"\bhears?\b|\bheard\b", &[]),
    ("misspelt", r"\bmisspelt\b|\bspoilt\b|\blearnt\b", &[]),
    ("who", r"^Who(?:ever)? [^?]*$", &[]),
];

/// Bytes and texts of other programs, this list, and what is no text.
const LEFT_OUT: &[&str] = &[
    ".git",
    "target",
    "fuzz/target",
    "fuzz/corpus",
    "tests/data",
    "tests/hermetic/registries/answers",
    "tests/hermetic/registries/pinned",
    "tests/hermetic/plain_english.rs",
];

const EXTENSIONS: &[&str] = &["rs", "md", "yaml", "yml", "sh", "toml"];

/// Programs and files for programs that have no extension.
const NAMES: &[&str] = &[
    "run",
    "up",
    "down",
    "smoke",
    "build",
    "sbom",
    "reproducible",
    "reliability",
    "justfile",
    "Containerfile",
    "lint",
    "msrv",
];

fn files(folder: &Path, root: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let below_root = path.strip_prefix(root).unwrap();
        if LEFT_OUT.iter().any(|left_out| below_root == Path::new(left_out)) {
            continue;
        }
        if path.is_dir() {
            files(&path, root, found);
        } else {
            let name = path.file_name().unwrap().to_str().unwrap();
            let extension = path.extension().map_or("", |extension| extension.to_str().unwrap());
            if EXTENSIONS.contains(&extension) || NAMES.contains(&name) {
                found.push(path);
            }
        }
    }
}

/// The English in Rust: comments, strings, and names of functions, each with its line. Everything else in other files.
fn pieces(text: &str, is_rust: bool) -> Vec<(usize, String)> {
    if !is_rust {
        return text
            .lines()
            .zip(1..)
            .map(|(line, at)| (at, line.trim_start_matches(['#', '-', ' ']).to_owned()))
            .collect();
    }
    let token = Regex::new(r##"(?s)//[^\n]*|r#".*?"#|b?"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|\bfn [a-z_0-9]+"##)
        .unwrap();
    let mut found = Vec::new();
    let (mut at, mut counted) = (1, 0);
    for piece in token.find_iter(text) {
        at += text[counted..piece.start()].matches('\n').count();
        counted = piece.start();
        let piece = piece.as_str();
        if let Some(name) = piece.strip_prefix("fn ") {
            found.push((at, name.replace('_', " ")));
        } else if let Some(comment) = piece.strip_prefix("//") {
            found.push((at, comment.trim_start_matches(['/', '!', ' ']).to_owned()));
        } else if !piece.starts_with('\'') {
            let string = piece.trim_start_matches(['r', 'b', '#', '"']).trim_end_matches(['#', '"']);
            found.extend(string.lines().zip(at..).map(|(line, at)| (at, line.to_owned())));
        }
    }
    found
}

/// Each use of a ruled-out word in a text, and the sentence.
fn uses(text: &str, is_rust: bool) -> Vec<String> {
    let rules: Vec<(&str, Regex, &[&str])> = RULED_OUT
        .iter()
        .map(|(name, expression, fine)| (*name, Regex::new(expression).unwrap(), *fine))
        .collect();
    let address = Regex::new(r"https?://\S+").unwrap();
    let mut found = Vec::new();
    for (at, piece) in pieces(text, is_rust) {
        let piece = address.replace_all(&piece, "");
        for (name, expression, fine) in &rules {
            for used in expression
                .find_iter(&piece)
                .filter(|used| !fine.iter().any(|fine| used.as_str().contains(fine)))
            {
                found.push(format!("{at}: [{name}] {} in: {}", used.as_str(), piece.trim()));
            }
        }
    }
    found
}

/// Doc comments of three words or fewer, with the line of each.
fn short_docs(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut doc: Option<(usize, String)> = None;
    for (line, at) in text.lines().chain([""]).zip(1..) {
        match line.trim_start().strip_prefix("///") {
            Some(more) => {
                let (_, so_far) = doc.get_or_insert((at, String::new()));
                so_far.push(' ');
                so_far.push_str(more);
            }
            None => {
                if let Some((at, doc)) = doc.take().filter(|(_, doc)| doc.split_whitespace().count() <= 3) {
                    found.push(format!("{at}: {}", doc.trim()));
                }
            }
        }
    }
    found
}

fn everywhere(find: impl Fn(&str, bool) -> Vec<String>) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(root, root, &mut paths);
    assert!(paths.len() > 500, "the tree has hundreds of files, and only {} were read", paths.len());
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let name = path.strip_prefix(root).unwrap().display().to_string();
        found.extend(
            find(&fs::read_to_string(&path).unwrap(), is_rust)
                .into_iter()
                .map(|use_| format!("{name}:{use_}")),
        );
    }
    found
}

#[test]
fn no_word_is_used_that_makes_a_riddle_of_a_sentence() {
    let found = everywhere(uses);
    assert!(
        found.len() <= MOST_USES,
        "{} uses, at most {MOST_USES} may stay: say it in plain words:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn each_doc_comment_says_something() {
    let found = everywhere(|text, is_rust| if is_rust { short_docs(text) } else { Vec::new() });
    assert!(
        found.len() <= MOST_SHORT_DOCS,
        "{} doc comments of three words or fewer, at most {MOST_SHORT_DOCS} may stay:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn the_check_finds_what_it_is_for() {
    for sentence in [
        "// A reader that went away is no error of ours.",
        "/// What is wrong is told.",
        "fn somebody_else_wrote() {}",
        "let text = \"at a time that nobody vouches for\";",
        "// It goes on with the next one.",
        "// Who replaces a list learns what it replaced",
        "//! The last one stands in the list.",
    ] {
        assert!(!uses(sentence, true).is_empty(), "{sentence}");
    }
    for sentence in [
        "// There is no key, and the signer is no longer asked.",
        "let told = stands(one);",
        "// The one image of the run stands for the rest, and one of them is signed.",
        "fn a_standing_order() {}",
    ] {
        assert_eq!(uses(sentence, true), Vec::<String>::new());
    }
    assert_eq!(
        short_docs("/// Where.\nstruct A;\n/// The file that the key\n/// comes from.\nstruct B;\n"),
        ["1: Where."]
    );
}
