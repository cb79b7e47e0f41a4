//! A plan as people read it in a step log.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{Note, NoteKind, Plan, PlannedImage, PlannedTag, Problem, Subject};
use crate::foreign;

/// How many lines of one kind are shown; the JSON form has all of them.
const LINES: usize = 200;
/// How many sources, and how many identities, of one subject are shown.
const SOURCES: usize = 8;

/// The plan, for people: the lines of images, other artifacts, problems, results that are not taken, other notes.
pub fn describe(plan: &Plan) -> Vec<String> {
    let mut out = Vec::new();
    let of_image = |planned: &PlannedImage| {
        let PlannedImage { image, identities, .. } = planned;
        ((image.repository.to_string(), image.digest.to_string()), identities.clone())
    };
    let signed: HashMap<(String, String), Vec<String>> = plan.images.iter().map(of_image).collect();
    let identities = |subject: &Subject| signed.get(&(subject.uri.clone(), subject.digest.clone()));
    let is_image = |subject: &&Subject| identities(subject).is_some();
    let (images, artifacts): (Vec<&Subject>, Vec<&Subject>) = plan.subjects.iter().partition(is_image);
    section(&mut out, "image to sign", "images to sign", &images, |one| {
        let named = identities(one).filter(|identities| !identities.is_empty());
        let named = named.map(|identities| format!("    as {}", few(identities)));
        subject(one).into_iter().chain(named).collect()
    });
    section(
        &mut out,
        "image by a tag, which sign resolves when it runs",
        "images by a tag, which sign resolves when it runs",
        &plan.tags,
        |PlannedTag { tag, from }| vec![format!("  {tag}"), sources(from)],
    );
    section(
        &mut out,
        "other artifact, without an image signature",
        "other artifacts, without an image signature",
        &artifacts,
        |one| subject(one),
    );
    section(&mut out, "problem", "problems", &plan.problems, |Problem { place, what }| {
        vec![format!("  {place}: {what}")]
    });
    let (others, results): (Vec<&Note>, Vec<&Note>) =
        plan.notes.iter().partition(|note| note.kind == NoteKind::Other);
    for (one, many, notes) in [("result not taken", "results not taken", results), ("note", "notes", others)]
    {
        section(&mut out, one, many, &notes, |note| vec![format!("  {}: {}", note.place, note.what)]);
    }
    out.extend(plan.nothing_to_sign());
    out
}

fn section<T>(
    out: &mut Vec<String>,
    one: &str,
    many: &str,
    entries: &[T],
    lines: impl Fn(&T) -> Vec<String>,
) {
    let count = entries.len();
    if count == 0 {
        return;
    }
    out.push(format!("{count} {}:", if count == 1 { one } else { many }));
    out.extend(entries.iter().take(LINES).flat_map(lines));
    if count > LINES {
        out.push(format!("  and {} more; --output json shows all", count - LINES));
    }
}

fn subject(subject: &Subject) -> Vec<String> {
    let uri = foreign::escape(&subject.uri, 400);
    vec![format!("  {uri}@{}", subject.digest), sources(&subject.from)]
}

/// The line with what names it.
fn sources(all: &[String]) -> String {
    format!("    from {}", few(all))
}

/// The first few of them, and how many more there are.
fn few(all: &[String]) -> String {
    let mut few: Vec<&str> = all.iter().take(SOURCES).map(String::as_str).collect();
    let more = format!("{} more", all.len().saturating_sub(SOURCES));
    if all.len() > SOURCES {
        few.push(&more);
    }
    few.join(", ")
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
