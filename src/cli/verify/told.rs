//! What the output says about an image.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::output::Output;
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::flow::images::{ImageVerifier, RequestedImage};
use crate::flow::verifying::VerifySession;
use crate::foreign;
use crate::store::Wanted;
use crate::verify::policy::age::Age;
use crate::verify::policy::{Need, Rule, Unmet};
use crate::verify::{Check, Good, Said, Verdict};

/// How many signatures of an image people see; programs get all.
const TOLD: usize = 20;

/// What to do where not everything was looked at.
const CUT_HINT: &str = "remove what is not a signature from that place (`cosign clean`, `crane delete`), keep signatures in \
                        another repository (COSIGN_REPOSITORY), or raise --timeout";

/// Tells of an image that passed: for programs what cosign prints, for people who, what, when and where. Where a policy asks for an
/// age, both get the time that counts and who says it.
pub(super) fn good(
    asked: &RequestedImage,
    verdicts: &[Arc<Verdict>],
    good: Vec<(&Good, Option<Age>)>,
    begun: &VerifySession,
    out: &mut Output,
) {
    for (one, age) in good.iter().take(TOLD) {
        out.lines(lines(asked, one));
        if let Some(waived) = &one.by.waived {
            out.line(&format!("           {waived}"));
        }
        if let Some(age) = age {
            out.line(&format!("           its age counts from {age}"));
        }
    }
    if good.len() > TOLD {
        out.line(&format!("           and {} more", good.len() - TOLD));
    }
    let copies: usize = verdicts.iter().map(|verdict| verdict.copies).sum();
    if copies > 0 {
        out.line(&format!("           {copies} more entries are copies of these"));
    }
    let mut cuts = verdicts.iter().filter_map(|verdict| verdict.cut.as_ref());
    if let Some(cut) = cuts.next() {
        out.line(&format!("warning: not everything at {} was looked at: {cut}", asked.image));
    }
    let mut notes: Vec<&String> = Vec::new();
    for note in verdicts.iter().flat_map(|verdict| &verdict.notes) {
        if !notes.contains(&note) {
            notes.push(note);
            out.line(&format!("warning: {note}; what was found elsewhere is enough"));
        }
    }
    if !begun.json {
        return;
    }
    let (envelopes, payloads): (Vec<_>, Vec<_>) = good.into_iter().partition(|(one, age)| {
        let told = age.is_some() || one.by.waived.is_some();
        begun.attestations || (!told && is_attestation(one))
    });
    if !payloads.is_empty() {
        let all = payloads.iter().map(|(one, age)| json(asked, one, age.as_ref())).collect();
        out.json(&format!("\n{}\n", Value::Array(all)));
    }
    if begun.attestations {
        for envelope in envelopes.iter().filter_map(|(one, _)| one.envelope_json()) {
            out.json(&format!("{envelope}\n"));
        }
    }
}

/// What programs get of a signature, or of an attestation whose age a policy asks for or that lacks what a policy doesn't demand.
fn json(asked: &RequestedImage, good: &Good, age: Option<&Age>) -> Value {
    let mut told = good.to_json(&asked.name, &asked.image.digest);
    if let (Some(age), Some(told)) = (age, told.as_object_mut()) {
        let said = json!({ "since": age.since.to_string(), "from": age.from.name() });
        told.insert("age".to_owned(), said);
    }
    if let (Some(waived), Some(told)) = (&good.by.waived, told.as_object_mut()) {
        let what: Vec<&str> = waived.what.names().collect();
        told.insert("waived".to_owned(), json!({ "root": waived.root, "what": what }));
    }
    told
}

fn is_attestation(good: &Good) -> bool {
    use crate::formats::cosign_statement::PREDICATE_TYPE;
    matches!(&good.said, Said::Statement { statement, .. } if statement.predicate_type != PREDICATE_TYPE)
}

fn lines(asked: &RequestedImage, good: &Good) -> Vec<String> {
    let by = &good.by;
    let what = match &good.said {
        Said::Claim(claim) => format!(
            "signed as {}{}",
            foreign::escape(&claim.docker_reference, 200),
            if claim.optional.is_empty() { String::new() } else { annotations(&claim.optional) }
        ),
        Said::Statement { statement, .. } => {
            format!("states {}", foreign::escape(&statement.predicate_type, 200))
        }
    };
    let when = match by.times.first() {
        Some(time) => format!(
            "at {}, by {}",
            time.at,
            if by.timestamped { "a timestamp authority" } else { "a transparency log" }
        ),
        None => "at a time that nobody vouches for".to_owned(),
    };
    let name = foreign::escape(&by.name, 200);
    let who = foreign::escape(&by.who, 400);
    let mut lines = vec![
        format!("good       {}", asked.image),
        format!("           by {who} ({name})"),
        format!("           {what}"),
        format!("           {when}"),
        format!("           stored at {}", good.place),
    ];
    lines.extend(by.unknown_timestamps.iter().map(|stamp| format!("           note: {stamp}")));
    lines
}

fn annotations(optional: &serde_json::Map<String, serde_json::Value>) -> String {
    let pairs: Vec<String> = optional.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!(" with {}", foreign::escape(&pairs.join(", "), 300))
}

/// Why an image doesn't pass; `None`: something of it counts.
pub(super) fn refusal(
    asked: &RequestedImage,
    check: &Check,
    verdict: &Verdict,
    looker: &ImageVerifier,
) -> Option<Explanation> {
    if !verdict.good.is_empty() {
        return None;
    }
    let image = &asked.image;
    let (wanted, error) = match &check.demands.predicate_type {
        None => (Wanted::Signatures, format!("{image} has no signature that counts")),
        Some(kind) => {
            let kind = foreign::escape(kind, 200);
            (Wanted::Attestations, format!("{image} has no attestation of {kind} that counts"))
        }
    };
    let mut causes = verdict.reasons();
    if causes.is_empty() {
        causes.push(format!("there is none at {}", looker.places(image, wanted)));
    }
    causes.extend(verdict.refused_api.as_deref().map(refused_api));
    let only_log = verdict.refused.iter().any(|refused| refused.only_log_missing);
    let hint = if verdict.cut.is_some() {
        CUT_HINT
    } else if only_log {
        "if its signer uses no transparency log, pass --insecure-ignore-tlog"
    } else if verdict.refused_count == 0 {
        "sign it, or name the repository of its signatures with COSIGN_REPOSITORY or storage.oci.repository"
    } else if verdict.refused.len() == verdict.refused_count && verdict.refused.iter().all(|one| one.absent) {
        "if it was signed a moment ago, try again; otherwise sign it again, as the registry has lost what it lists"
    } else {
        "name the key or identity that signed it, or have it signed by one that is accepted"
    };
    Some(Explanation {
        code: "image-not-signed",
        error,
        causes,
        used: Some(check.trust.to_string()),
        hint: Some(hint.to_owned()),
        exit: ExitCode::Failed,
    })
}

/// That the referrers API counts as absent, although something may be listed there.
fn refused_api(why: &str) -> String {
    format!("only tags were looked at, as the registry refuses its referrers API to this login: {why}")
}

/// That no rule of the policy is about an image.
pub(super) fn no_rule(asked: &RequestedImage) -> Explanation {
    Explanation {
        code: "policy-no-rule",
        error: format!("{} passes no rule: no pattern of the policy matches it", asked.image),
        causes: Vec::new(),
        used: None,
        hint: Some("add a rule for its repository, or leave the image out".to_owned()),
        exit: ExitCode::Failed,
    }
}

/// That an image hasn't what a rule needs.
pub(super) fn unmet(
    asked: &RequestedImage,
    rule: &Rule,
    need: &Need,
    (unmet, verdict): (Unmet, &Verdict),
    looker: &ImageVerifier,
) -> Explanation {
    let mut causes = vec![format!("it needs {}", unmet.needed)];
    if unmet.reasons.is_empty() {
        let wanted = match need.check.demands.predicate_type {
            None => Wanted::Signatures,
            Some(_) => Wanted::Attestations,
        };
        causes.push(format!("there is none at {}", looker.places(&asked.image, wanted)));
    }
    causes.extend(unmet.reasons);
    causes.extend(verdict.refused_api.as_deref().map(refused_api));
    Explanation {
        code: "policy-rule-failed",
        error: format!("{} does not pass the rule \"{}\"", asked.image, foreign::escape(&rule.name, 200)),
        causes,
        used: None,
        hint: Some(
            if verdict.cut.is_some() {
                CUT_HINT
            } else {
                "have it signed as the rule says, or change the rule"
            }
            .to_owned(),
        ),
        exit: ExitCode::Failed,
    }
}
