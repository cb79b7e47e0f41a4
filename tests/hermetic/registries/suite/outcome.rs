//! What became of a feature on a registry, as docs/registries.md has it.

use std::fmt;

use serde_json::Value;

use super::bench::Ended;

/// What an attempt came to: words about it, or why it didn't work.
pub(crate) type Tried = Result<Note, Failure>;

/// What there is to say of something that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// It just works.
    Works,
    /// It works in a way that depends on the registry, or ends as the suite expects.
    As(String),
    /// The product has no such thing.
    Absent(&'static str),
}

/// Why something didn't work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Stepseal ended with this exit code, and an error that says so much.
    Refused(i32, String),
    /// Stepseal's result is wrong: such an outcome is never right, whatever the page says.
    Wrong(String),
}

/// A cell, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) tried: Tried,
    /// The settings that it took, `VARIABLE=value`.
    pub(crate) with: Vec<String>,
}

impl Outcome {
    /// Whether Stepseal itself is at fault.
    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self.tried, Err(Failure::Wrong(_)))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tried {
            Ok(Note::Works) => f.write_str("works")?,
            Ok(Note::As(text)) => f.write_str(text)?,
            Ok(Note::Absent(what)) => f.write_str(what)?,
            Err(Failure::Refused(code, says)) => write!(f, "exit {code}, {says}")?,
            Err(Failure::Wrong(what)) => write!(f, "WRONG: {what}")?,
        }
        if !self.with.is_empty() {
            write!(f, " with {}", self.with.join(", "))?;
        }
        Ok(())
    }
}

/// The failure of a run that was to end well.
pub(crate) fn refused(ended: &Ended) -> Failure {
    // 1, 4 and 5 are what a registry can cause; the rest is a bad command, or a signal.
    match ended.code {
        1 | 4 | 5 => Failure::Refused(ended.code, says(ended)),
        code => Failure::Wrong(format!("exit {code}, {}", says(ended))),
    }
}

/// What the error of a run says, in short: what came back of the registry if anything did.
pub(crate) fn says(ended: &Ended) -> String {
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let error = report.as_array().into_iter().flatten().find_map(|entry| entry.get("error")).cloned();
    let error = error.unwrap_or_default();
    let causes = error["causes"].as_array().and_then(|causes| causes.last());
    let cause = causes.or(error.get("error")).and_then(Value::as_str);
    let printed = || {
        let cause = ended.stderr.lines().rev().find_map(|line| line.trim().strip_prefix("cause:"));
        let last = || ended.stderr.lines().rev().find(|line| !line.contains(" WARN "));
        cause.or_else(last).unwrap_or("nothing is printed")
    };
    short(cause.unwrap_or_else(printed))
}

/// A message without what differs from run to run: the request, the digests.
fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    // `METHOD URL: STATUS …`
    let text = match text.split_once("://") {
        Some((_, rest)) => rest.split_once(": ").map_or(rest, |(_, answer)| answer),
        None => text,
    };
    // What stands in brackets is a detail, such as the repository's name.
    let text = text.split(" (").next().unwrap_or(text);
    let mut out = String::new();
    for word in text.split_whitespace() {
        let masked = without_digests(word);
        if out.chars().count() + masked.chars().count() > LONGEST {
            out.push_str(" …");
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&masked);
    }
    // It stands in a cell of a table.
    format!("`{}`", out.replace('|', "/").replace('`', "'"))
}

/// `word` with `HEX` for each run of 64 hex digits, and `HOST` for an address of the loopback device.
fn without_digests(word: &str) -> String {
    let mut out = String::new();
    let mut hex = String::new();
    for c in word.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            hex.push(c);
            continue;
        }
        out.push_str(if hex.len() == 64 { "HEX" } else { &hex });
        hex.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    match out.find("127.0.0.1:") {
        Some(at) => {
            let (before, address) = out.split_at(at);
            let rest = address.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ':');
            format!("{before}HOST{rest}")
        }
        None => out,
    }
}

#[test]
fn what_differs_from_run_to_run_is_not_in_a_cell() {
    let hex = "ab".repeat(32);
    let cause = format!(
        "PUT http://127.0.0.1:4711/v2/team/app/manifests/sha256-{hex}.sig: 409 DENIED: sha256-{hex}.sig | of 127.0.0.1:4711/team is locked (Name: team/app)"
    );
    assert_eq!(short(&cause), "`409 DENIED: sha256-HEX.sig / of HOST/team is locked`");
    assert_eq!(short(&"word ".repeat(90)).matches("word").count(), 12);
}
