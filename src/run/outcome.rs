//! Whether a run succeeded, as its condition `Succeeded` says.
//!
//! Whoever can change a run's status, or writes a run into a file, could have it say two things: two such conditions, a status
//! that some readers take for `False` and others for nothing, a field in another spelling. Such a run is refused, whatever it is read for.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/taskruns.md#monitoring-execution-status>

use serde_json::{Map, Value};

use super::text;
use crate::foreign::UntrustedText;
use crate::hint::NAME_SHOWN_BYTES;

/// The type of the condition that every run has from its beginning.
pub(super) const SUCCEEDED: &str = "Succeeded";

/// What the condition `Succeeded` of a run says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The run succeeded: `Succeeded` is `True`.
    True,
    /// The run failed: `Succeeded` is `False`.
    False,
    /// It is still running.
    Unknown,
}

/// Why a status doesn't say whether its run succeeded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// The conditions are not a list.
    #[error("its conditions are not a list")]
    NotAList,
    /// There are several, and readers differ in which they take.
    #[error("it has more than one condition \"{SUCCEEDED}\"")]
    Several,
    /// A reader that ignores case sees another thing in it.
    #[error("it has \"{:.NAME_SHOWN_BYTES$}\" where \"{known}\" is meant", .found)]
    Spelling {
        /// As it is written.
        found: UntrustedText,
        /// As Tekton writes it.
        known: &'static str,
    },
    /// Something that Tekton doesn't write.
    #[error(
        "its condition \"{SUCCEEDED}\" has the status {:.NAME_SHOWN_BYTES$}, and \"True\", \"False\" or \"Unknown\" is needed",
        .0
    )]
    Status(UntrustedText),
    /// It is over, and nothing says how it ended.
    #[error("it has a completion time, and no condition \"{SUCCEEDED}\" that is \"True\" or \"False\"")]
    NoOutcome,
}

impl Outcome {
    /// What `status` says; `None`: nothing yet, as it has no such condition.
    ///
    /// # Errors
    ///
    /// When readers could take it in different ways.
    pub(super) fn of(status: &Value) -> Result<Option<Self>, ConditionError> {
        let Some(fields) = status.as_object() else { return Ok(None) };
        spelled(fields, &["conditions", "completionTime"])?;
        let conditions = match fields.get("conditions") {
            None | Some(Value::Null) => return Ok(None),
            Some(conditions) => conditions.as_array().ok_or(ConditionError::NotAList)?,
        };
        let mut outcome = None;
        for condition in conditions {
            let Some(fields) = condition.as_object() else { continue };
            spelled(fields, &["type", "status"])?;
            let kind = text(condition, "type");
            if kind != SUCCEEDED {
                same_but_for_case(kind, SUCCEEDED)?;
                continue;
            }
            let found = match fields.get("status") {
                Some(Value::String(status)) if status == "True" => Self::True,
                Some(Value::String(status)) if status == "False" => Self::False,
                Some(Value::String(status)) if status == "Unknown" => Self::Unknown,
                // It says nothing yet.
                None => Self::Unknown,
                Some(other) => return Err(ConditionError::Status(other.to_string().into())),
            };
            if outcome.replace(found).is_some() {
                return Err(ConditionError::Several);
            }
        }
        Ok(outcome)
    }

    /// Whether `status`, which says `outcome`, says how a run ended that is over.
    ///
    /// # Errors
    ///
    /// It is over, and doesn't.
    pub(super) fn check_end(outcome: Option<Self>, status: &Value) -> Result<(), ConditionError> {
        let is_over = match status.get("completionTime") {
            None | Some(Value::Null) => false,
            Some(time) => time != "",
        };
        match outcome {
            None | Some(Self::Unknown) if is_over => Err(ConditionError::NoOutcome),
            _ => Ok(()),
        }
    }
}

/// Go's decoder, and programs that use it, take a field in any case.
fn spelled(fields: &Map<String, Value>, known: &[&'static str]) -> Result<(), ConditionError> {
    let pairs = fields.keys().flat_map(|found| known.iter().map(move |known| (found, *known)));
    pairs.into_iter().try_for_each(|(found, known)| same_but_for_case(found, known))
}

/// An error where `found` differs from `known` in case or blanks alone.
fn same_but_for_case(found: &str, known: &'static str) -> Result<(), ConditionError> {
    match found != known && found.trim().eq_ignore_ascii_case(known) {
        true => Err(ConditionError::Spelling { found: found.into(), known }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_says_in_one_way_whether_it_succeeded() {
        let one = |status: Value| json!({ "type": "Succeeded", "status": status });
        let ready = json!({ "type": "Ready", "status": "maybe" });
        for (conditions, want) in [
            (Value::Null, Ok(None)),
            (json!([]), Ok(None)),
            (json!([ready]), Ok(None)),
            (json!([one(json!("True"))]), Ok(Some(Outcome::True))),
            (json!([ready, one(json!("False"))]), Ok(Some(Outcome::False))),
            (json!([one(json!("Unknown")), ready]), Ok(Some(Outcome::Unknown))),
            (json!([one(json!("True")), one(json!("False"))]), Err("more than one condition")),
            (json!([one(json!("True")), one(json!("True"))]), Err("more than one condition")),
            (json!([one(json!(false))]), Err("has the status false,")),
            (json!([one(json!("false"))]), Err("has the status \"false\",")),
            (json!([one(json!("FALSE"))]), Err("has the status \"FALSE\",")),
            (json!([one(json!(""))]), Err("has the status \"\",")),
            (json!([{ "type": "Succeeded" }]), Ok(Some(Outcome::Unknown))),
            (json!([one(Value::Null)]), Err("has the status null,")),
            (json!([{ "type": "succeeded", "status": "False" }]), Err("has \"succeeded\" where")),
            (json!([{ "type": " Succeeded", "status": "False" }]), Err("has \" Succeeded\" where")),
            (json!([{ "Type": "Succeeded", "status": "False" }]), Err("has \"Type\" where")),
            (
                json!([{ "type": "Succeeded", "status": "True", "Status": "False" }]),
                Err("has \"Status\" where"),
            ),
            (one(json!("False")), Err("are not a list")),
        ] {
            let status = json!({ "conditions": conditions });
            match (Outcome::of(&status), want) {
                (Ok(found), Ok(want)) => assert_eq!(found, want, "{status}"),
                (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{status}: {error}"),
                (found, want) => panic!("{status}: {found:?}, and {want:?} is wanted"),
            }
        }
        let other_field = json!({ "Conditions": [one(json!("False"))] });
        assert!(matches!(Outcome::of(&other_field), Err(ConditionError::Spelling { .. })));
    }

    #[test]
    fn a_run_that_is_over_says_how_it_ended() {
        for (time, outcome, says) in [
            (json!("2025-01-01T00:00:00Z"), Some(Outcome::True), true),
            (json!("2025-01-01T00:00:00Z"), Some(Outcome::False), true),
            (json!("2025-01-01T00:00:00Z"), Some(Outcome::Unknown), false),
            (json!("2025-01-01T00:00:00Z"), None, false),
            (json!(1), None, false),
            (json!(""), None, true),
            (Value::Null, None, true),
            (Value::Null, Some(Outcome::Unknown), true),
        ] {
            let status = json!({ "completionTime": time });
            assert_eq!(Outcome::check_end(outcome, &status).is_ok(), says, "{status} {outcome:?}");
        }
    }
}
