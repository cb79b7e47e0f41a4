//! A plan as people read it in a step log.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::{Note, Plan, Problem, Subject};
use crate::foreign;

/// How many lines of one kind are shown; the JSON form has all of them.
const LINES: usize = 200;
/// How many sources of one subject are shown.
const SOURCES: usize = 8;

/// The plan, for people: images, other artifacts, problems, notes. Ends with a newline unless it is empty.
pub fn describe(plan: &Plan) -> String {
    let mut out = String::new();
    let signed: HashSet<(String, &str)> = plan
        .images
        .iter()
        .map(|planned| (planned.image.repository.to_string(), planned.image.digest.as_str()))
        .collect();
    let is_image = |subject: &&Subject| signed.contains(&(subject.uri.clone(), subject.digest.as_str()));
    let (images, artifacts): (Vec<&Subject>, Vec<&Subject>) = plan.subjects.iter().partition(is_image);
    section(&mut out, images.len(), "image to sign", "images to sign", images.iter().map(|one| subject(one)));
    section(
        &mut out,
        artifacts.len(),
        "other artifact, without an image signature",
        "other artifacts, without an image signature",
        artifacts.iter().map(|one| subject(one)),
    );
    let problems = plan.problems.iter().map(|Problem { place, what }| format!("  {place}: {what}\n"));
    section(&mut out, plan.problems.len(), "problem", "problems", problems);
    let notes = plan.notes.iter().map(|Note { place, what }| format!("  {place}: {what}\n"));
    section(&mut out, plan.notes.len(), "result not taken", "results not taken", notes);
    if let Some(nothing) = plan.nothing_to_sign() {
        let _ = writeln!(out, "{nothing}");
    }
    out
}

fn section(out: &mut String, count: usize, one: &str, many: &str, lines: impl Iterator<Item = String>) {
    if count == 0 {
        return;
    }
    // Writing to a String can't fail.
    let _ = writeln!(out, "{count} {}:", if count == 1 { one } else { many });
    out.extend(lines.take(LINES));
    if count > LINES {
        let _ = writeln!(out, "  and {} more; --output json shows all", count - LINES);
    }
}

fn subject(subject: &Subject) -> String {
    let mut from: Vec<&str> = subject.from.iter().take(SOURCES).map(String::as_str).collect();
    let more = format!("{} more", subject.from.len().saturating_sub(SOURCES));
    if subject.from.len() > SOURCES {
        from.push(&more);
    }
    let uri = foreign::shown(&subject.uri, 400);
    format!("  {uri}@{}\n    from {}\n", subject.digest, from.join(", "))
}

/// Why a plan has no image: what was looked at.
pub(super) fn nothing(plan: &Plan) -> String {
    let mut out = String::from("no image to sign");
    if !plan.subjects.is_empty() {
        let _ = write!(out, " among {} other artifact(s)", plan.subjects.len());
    }
    if !plan.problems.is_empty() {
        let _ = write!(out, ", and {} problem(s)", plan.problems.len());
    }
    for (at, looked) in plan.looked.iter().enumerate() {
        out.push_str(if at == 0 { "; looked at " } else { ", " });
        let _ = match looked.count {
            0 => write!(out, "{} (empty)", looked.place),
            count if looked.names.is_empty() => write!(out, "{} ({count})", looked.place),
            count => {
                let more = if count > looked.names.len() { ", …" } else { "" };
                let files = if count == 1 { "file" } else { "files" };
                write!(out, "{} ({count} {files}: {}{more})", looked.place, looked.names.join(", "))
            }
        };
        if at + 1 == 8 && plan.looked.len() > 8 {
            let _ = write!(out, " and {} more folders", plan.looked.len() - 8);
            break;
        }
    }
    if plan.problems.is_empty() {
        out.push_str(
            "; a build names what it pushed in the results IMAGE_URL and IMAGE_DIGEST, or in IMAGES as NAME@sha256:…",
        );
    }
    out
}
