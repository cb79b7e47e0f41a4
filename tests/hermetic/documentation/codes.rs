//! The codes of errors, as the sources have them: in the tables of `explain!`, and in each `Explanation` that is made without one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use stepseal::exit::ExitCode;

/// A case of an error that has a code of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Case {
    /// The error's type, or the file.
    of: String,
    code: String,
    /// As the source names it; `None`: the program chooses.
    exit: Option<String>,
    hint: Hint,
}

/// What a case says to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hint {
    None,
    Text(String),
    /// Made elsewhere.
    Elsewhere,
}

/// Where the string ends that begins at the start of `text`, behind its closing quote.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    panic!("a string without an end: {text:.60}")
}

/// Splits `text` at each `separator` outside of strings and brackets, up to the bracket that closes what is around it: the parts, and
/// the rest behind that bracket.
fn parts<'a>(text: &'a str, separator: &str) -> (Vec<&'a str>, &'a str) {
    let (mut found, mut begin, mut at, mut depth) = (Vec::new(), 0, 0, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' => at += string_end(&text[at..]),
            '/' if text[at..].starts_with("//") => at += text[at..].find('\n').unwrap(),
            '(' | '[' | '{' => (depth, at) = (depth + 1, at + 1),
            ')' | ']' | '}' if depth == 0 => {
                found.push(text[begin..at].trim());
                return (found, &text[at + 1..]);
            }
            ')' | ']' | '}' => (depth, at) = (depth - 1, at + 1),
            _ if depth == 0 && text[at..].starts_with(separator) => {
                found.push(text[begin..at].trim());
                at += separator.len();
                begin = at;
            }
            _ => at += c.len_utf8(),
        }
    }
    panic!("a bracket without an end: {text:.60}")
}

/// The first string in `text`, as `format!` takes it.
fn string(text: &str) -> Option<String> {
    let text = &text[text.find('"')?..];
    let inner = &text[1..string_end(text) - 1];
    let lines: Vec<&str> = inner.split("\\\n").collect();
    let joined: String =
        lines.iter().enumerate().map(|(n, line)| if n == 0 { line } else { line.trim_start() }).collect();
    Some(joined.replace("\\\"", "\"").replace("{{", "{").replace("}}", "}"))
}

/// A row's facts: `CODE, EXIT` and what may follow. `None`: those of an error within.
fn case(of: &str, facts: &[&str]) -> Option<Case> {
    let (first, rest) = facts.split_first().unwrap();
    if first.starts_with("of ") {
        let own = rest.first()?.strip_prefix("or ")?;
        return case(of, &[&[own], &rest[1..]].concat());
    }
    let hint = match rest.get(1) {
        Some(fact) if fact.starts_with('"') => Hint::Text(string(fact).unwrap()),
        Some(fact) if fact.starts_with("text ") || fact.starts_with("hint ") => Hint::Elsewhere,
        _ => Hint::None,
    };
    Some(Case { of: of.to_owned(), code: string(first).unwrap(), exit: Some(rest[0].to_owned()), hint })
}

/// The cases of each `explain!` in a source.
fn of_tables(source: &str) -> Vec<Case> {
    let mut found = Vec::new();
    for (at, start) in source.match_indices("explain! {") {
        let (entries, _) = parts(&source[at + start.len()..], ",");
        let (of, rows) = entries.split_first().unwrap();
        for row in rows.iter().filter(|row| !row.is_empty()) {
            let row = format!("{row}}}");
            let (sides, _) = parts(&row, "=>");
            let facts = sides[1].strip_prefix('[').unwrap();
            found.extend(case(of, &parts(facts, ",").0));
        }
    }
    found
}

/// The cases of each `Explanation` that a source makes with a code of its own.
fn of_values(file: &str, source: &str) -> Vec<Case> {
    let mut found = Vec::new();
    let begins = |before: &str| ["-> ", "impl ", "for ", "let "].iter().any(|end| before.ends_with(end));
    for (at, start) in source.match_indices("Explanation {").filter(|(at, _)| !begins(&source[..*at])) {
        let (fields, _) = parts(&source[at + start.len()..], ",");
        let field = |name: &str| fields.iter().find_map(|field| field.strip_prefix(name)?.strip_prefix(": "));
        let Some(code) = field("code") else { continue };
        let hint = match field("hint") {
            Some("None") => Hint::None,
            Some(hint) if is_text(hint) => Hint::Text(string(hint).unwrap()),
            _ => Hint::Elsewhere,
        };
        let exit = field("exit").and_then(|exit| exit.strip_prefix("ExitCode::")).map(str::to_owned);
        found.push(Case { of: file.to_owned(), code: string(code).unwrap_or_default(), exit, hint });
    }
    found
}

/// Whether an `Option` is made of one string.
fn is_text(made: &str) -> bool {
    let Some(made) = made.strip_prefix("Some(").map(str::trim_start) else { return false };
    made.strip_prefix("format!(").map_or(made, str::trim_start).starts_with('"')
}

/// All cases of a folder's sources, without their tests.
fn of_folder(folder: &Path, found: &mut Vec<Case>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "tests" {
            of_folder(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" && !path.ends_with("src/explain.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let source = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            found.extend(of_tables(source));
            found.extend(of_values(&path.to_string_lossy(), source));
        }
    }
}

fn all() -> Vec<Case> {
    let mut found = Vec::new();
    of_folder(&super::root("src"), &mut found);
    found
}

/// The table of all codes.
pub(super) fn table(text: &mut String) {
    let mut codes: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in all() {
        codes.entry(case.code.clone()).or_default().push(case);
    }
    writeln!(text, "| code | exit code | do |\n|---|---|---|").unwrap();
    for (code, cases) in codes {
        let numbers: BTreeSet<u8> = cases.iter().filter_map(|case| number(case.exit.as_deref()?)).collect();
        let numbers: Vec<String> = numbers.iter().map(u8::to_string).collect();
        let mut hints = Vec::new();
        for case in &cases {
            let hint = match &case.hint {
                Hint::None => "see its `cause:`".to_owned(),
                Hint::Elsewhere => "what its `do:` says".to_owned(),
                Hint::Text(hint) => hint.replace('|', "\\|").replace('*', "\\*").replace('<', "&lt;"),
            };
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        writeln!(text, "| `{code}` | {} | {} |", numbers.join(", "), hints.join("<br>")).unwrap();
    }
}

fn number(name: &str) -> Option<u8> {
    ExitCode::ALL.iter().find(|code| format!("{code:?}") == name).map(|code| code.number())
}

/// What is wrong with the codes of these cases.
fn faults(cases: &[Case]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut first: BTreeMap<&str, &Case> = BTreeMap::new();
    for case in cases {
        let words: Vec<&str> = case.code.split('-').collect();
        let is_word = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        if words.len() < 2 || !words.iter().all(is_word) || case.code.len() > 32 {
            faults.push(format!(
                "{}: the code {:?} is not area-what, of at most 32 characters",
                case.of, case.code
            ));
        }
        if case.exit.as_deref().is_some_and(|exit| number(exit).is_none()) {
            faults.push(format!("{}: the exit code {:?} of {} is unknown", case.of, case.exit, case.code));
        }
        let other = first.entry(&case.code).or_insert(case);
        if other.of != case.of && (other.hint != case.hint || case.hint == Hint::Elsewhere) {
            faults.push(format!(
                "{} and {} have the code {} for different things",
                other.of, case.of, case.code
            ));
        }
    }
    faults
}

#[test]
fn each_code_has_the_form_and_one_meaning() {
    let cases = all();
    assert!(cases.len() > 150, "{}", cases.len());
    assert_eq!(faults(&cases), Vec::<String>::new());
}

#[test]
fn each_code_beside_a_message_exists() {
    let known: BTreeSet<String> = all().into_iter().map(|case| case.code).collect();
    let page = fs::read_to_string(super::root("docs/troubleshooting.md")).unwrap();
    let (messages, _) = page.split_once("## It succeeded").unwrap();
    let (mut column, mut named) = (None, 0);
    for line in messages.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if line.starts_with("| message ") {
            column = cells.iter().position(|cell| *cell == "code");
            assert!(column.is_some(), "{line}");
        } else if let Some(cell) = column.filter(|_| line.starts_with("| ")).and_then(|at| cells.get(at)) {
            let codes = cell.split(", ").filter(|code| !code.is_empty());
            for code in codes.map(|code| code.trim_matches('`')) {
                assert!(known.contains(code), "no error has the code {code:?}: {line}");
                named += 1;
            }
        }
    }
    assert!(named > 50, "{named}");
}

#[test]
fn the_sources_are_read_as_they_are_meant() {
    let source = r#"
explain! { KeyError,
    Self::Inner(error) => [of error],
    Self::Other { source, .. } if source.is(&["a", "b"]) => [of source, or "key-other", Usage, "name {path}, as \
        \"this\"" with (path = shown(&[1, 2]))],
    // One for all.
    Self::A { .. } | Self::B(_) => ["key-a", Failed, text of(source, "no hint"), used Some(format!("x"))],
    _ => ["key-rest", Results],
}
fn other() { Explanation { code: "key-made", error: f("a, b"), hint: Some(format!("do {x}")), exit: ExitCode::Partial } }
fn none() { let Explanation { error, .. } = x; }
"#;
    let case = |of: &str, code: &str, exit: &str, hint: Hint| Case {
        of: of.to_owned(),
        code: code.to_owned(),
        exit: Some(exit.to_owned()),
        hint,
    };
    let text = |text: &str| Hint::Text(text.to_owned());
    let table = [
        case("KeyError", "key-other", "Usage", text("name {path}, as \"this\"")),
        case("KeyError", "key-a", "Failed", Hint::Elsewhere),
        case("KeyError", "key-rest", "Results", Hint::None),
    ];
    assert_eq!(of_tables(source), table);
    assert_eq!(of_values("x.rs", source), [case("x.rs", "key-made", "Partial", text("do {x}"))]);

    assert_eq!(faults(&table), Vec::<String>::new());
    let one = case("A", "key-a", "Failed", text("do"));
    assert_eq!(faults(&[one.clone(), Case { of: "B".to_owned(), ..one.clone() }]), Vec::<String>::new());
    for wrong in [
        Case { of: "B".to_owned(), hint: text("do not"), ..one.clone() },
        Case { code: "key".to_owned(), ..one.clone() },
        Case { code: "Key-a".to_owned(), ..one.clone() },
        Case { code: "key--a".to_owned(), ..one.clone() },
        Case { exit: Some("Nowhere".to_owned()), ..one.clone() },
    ] {
        assert_eq!(faults(&[one.clone(), wrong.clone()]).len(), 1, "{wrong:?}");
    }
}
