//! Tekton Chains' annotations: their names, their values, and where in an object's annotations a signature goes.
//!
//! The names are `chains.tekton.dev/{payload,signature,cert,chain}-SHORTKEY`, where SHORTKEY is `taskrun-UID`, `pipelinerun-UID`, or the first 12 hex
//! digits of an image's digest, and `chains.tekton.dev/signed` (<https://github.com/tektoncd/chains/blob/v0.26.2/docs/signing.md>). Payload and
//! signature are in base64. Two things can want the same name, and neither is ever lost:
//!
//! - two images whose digests begin with the same 12 digits: the second stands under its first 24, or 48;
//! - two signatures of one thing (the run so far and the run at its end; two keys): the newest stands under Chains' name, so that the documented commands
//!   find it, and what stood there moves to `SHORTKEY-2` up to `-9`. What another manager wrote is not ours to move: beside that, it is ours that gets the number.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::object_name::Uid;
use crate::oci::Digest;

/// The prefix of all of Chains' annotations.
pub(crate) const PREFIX: &str = "chains.tekton.dev/";
/// All of Chains' annotations, as a pattern.
pub(crate) const PATTERN: &str = "chains.tekton.dev/*";
/// The mark that keeps Tekton Chains from signing a run.
pub(crate) const SIGNED: &str = "chains.tekton.dev/signed";
/// The label of a run that says that its build can be repeated.
pub(crate) const REPRODUCIBLE: &str = "chains.tekton.dev/reproducible";

/// What a signature consists of.
const PARTS: [&str; 4] = ["payload", "signature", "cert", "chain"];
/// The begin of a run's short key.
const TASK_RUN: &str = "taskrun-";
const PIPELINE_RUN: &str = "pipelinerun-";
/// How many hex digits of an image's digest its short key has: Chains' number first, then those for an image that finds another there.
const DIGITS: [usize; 3] = [12, 24, 48];

/// How many signatures of one thing are kept.
const MAX_SAME: usize = 9;

/// An object's annotations, or those of them that are ours.
pub(crate) type Annotations = BTreeMap<String, String>;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShortKey {
    /// A TaskRun, by its UID.
    TaskRun(Uid),
    /// A PipelineRun, by its UID.
    PipelineRun(Uid),
    /// An image.
    Image(Digest),
}

/// A signature, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is signed.
    pub key: ShortKey,
    /// What was signed, as Chains keeps it: the raw statement, the simple signing JSON, or the run's status.
    pub payload: Vec<u8>,
    /// The DSSE envelope for in-toto formats, the signature itself for the others.
    pub signature: Vec<u8>,
    /// The certificate; empty with a key pair.
    pub cert: String,
    /// Its chain; empty with a key pair.
    pub chain: String,
}

/// What stands under one name; empty where there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The payload, in base64.
    pub payload: &'a str,
    /// The signature, in base64.
    pub signature: &'a str,
}

impl Standing<'_> {
    /// The signature that stands there, if it stands beside `payload`.
    pub fn signature_of(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let there = STANDARD.decode(self.payload).ok()?;
        (there == payload).then(|| STANDARD.decode(self.signature).ok())?
    }
}

/// Says whether what stands under a name counts as an entry: `verify-run`'s verdict.
pub(crate) type Counts<'a> = dyn Fn(&Entry, &Standing<'_>) -> bool + Send + Sync + 'a;

/// There is no name left for a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Entry {
    /// The values of the four parts.
    fn values(&self) -> [String; 4] {
        [
            STANDARD.encode(&self.payload),
            STANDARD.encode(&self.signature),
            self.cert.clone(),
            self.chain.clone(),
        ]
    }
}

impl ShortKey {
    /// Chains' name.
    pub fn name(&self) -> String {
        self.names().swap_remove(0)
    }

    /// Chains' name, then those for a thing that finds another there: one at least.
    fn names(&self) -> Vec<String> {
        match self {
            Self::TaskRun(uid) => vec![format!("{TASK_RUN}{uid}")],
            Self::PipelineRun(uid) => vec![format!("{PIPELINE_RUN}{uid}")],
            // A name of an annotation has up to 63 characters, "signature-" included.
            Self::Image(digest) => {
                DIGITS.iter().map(|digits| digest.hex().chars().take(*digits).collect()).collect()
            }
        }
    }

    /// Whether what `there` holds under `name` is about something else: an image with another digest.
    fn is_other(&self, there: &Annotations, name: &str) -> bool {
        let Self::Image(digest) = self else { return false };
        let Some(payload) = there.get(&part("payload", name)) else { return false };
        let json =
            STANDARD.decode(payload).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let digests = json.map(|json| {
            let simple = json.pointer("/critical/image/docker-manifest-digest").cloned();
            let hex = json
                .pointer("/subject/0/digest/sha256")
                .and_then(Value::as_str)
                .map(|hex| format!("sha256:{hex}"));
            (simple, hex)
        });
        match digests {
            Some((Some(Value::String(found)), _)) | Some((_, Some(found))) => found != digest.as_str(),
            _ => false,
        }
    }
}

/// The name of the annotation with this part of what stands under the short key `name`.
pub fn part(part: &str, name: &str) -> String {
    format!("{PREFIX}{part}-{name}")
}

/// The short key in the name of an annotation with a payload; `None`: it is another annotation.
pub(crate) fn key_of_payload(annotation: &str) -> Option<&str> {
    annotation.strip_prefix(PREFIX)?.strip_prefix("payload-")
}

/// The short key without the number of an older signature, or one by another signer: `KEY` of `KEY-2` to `KEY-9`.
pub(crate) fn unnumbered(key: &str) -> &str {
    match key.rsplit_once('-') {
        Some((name, "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9")) => name,
        _ => key,
    }
}

/// Whether a short key is a run's.
pub(crate) fn is_of_run(key: &str) -> bool {
    key.starts_with(TASK_RUN) || key.starts_with(PIPELINE_RUN)
}

/// Whether a run is marked as signed.
pub(crate) fn is_marked(annotations: &Annotations) -> bool {
    annotations.get(SIGNED).is_some_and(|value| value == "true")
}

/// Puts those of `entries` that are missing into `there`, and into `ours`, and the mark with `mark`: how many signatures that were.
///
/// # Errors
///
/// If every name for one is taken.
pub fn add(
    there: &mut Annotations,
    ours: &mut Annotations,
    entries: &[Entry],
    counts: &Counts<'_>,
    mark: bool,
) -> Result<usize, NoRoom> {
    let mut added = 0;
    for entry in entries {
        if find(there, entry, counts).is_none() {
            place(there, ours, entry)?;
            added += 1;
        }
    }
    if mark && !is_marked(there) {
        there.insert(SIGNED.into(), "true".into());
        ours.insert(SIGNED.into(), "true".into());
    }
    Ok(added)
}

fn numbered(name: &str) -> impl Iterator<Item = String> + '_ {
    (1..=MAX_SAME).map(move |number| if number == 1 { name.to_owned() } else { format!("{name}-{number}") })
}

fn is_free(there: &Annotations, name: &str) -> bool {
    PARTS.iter().all(|what| !there.contains_key(&part(what, name)))
}

/// Under which name something stands that counts as `entry`.
pub fn find(there: &Annotations, entry: &Entry, counts: &Counts<'_>) -> Option<String> {
    let is_entry = |name: &String| {
        let text = |what| there.get(&part(what, name)).map(String::as_str).unwrap_or_default();
        let standing = Standing { payload: text("payload"), signature: text("signature") };
        !standing.payload.is_empty() && counts(entry, &standing)
    };
    entry.key.names().iter().flat_map(|name| numbered(name)).find(is_entry)
}

/// Puts `entry` into `there`, and into `ours`, which is what we own of it. Nothing that was there is lost.
///
/// # Errors
///
/// If every name is taken.
fn place(there: &mut Annotations, ours: &mut Annotations, entry: &Entry) -> Result<(), NoRoom> {
    let names = entry.key.names();
    let name = names.iter().find(|name| !entry.key.is_other(there, name)).ok_or(NoRoom)?;
    let into = if is_free(there, name) {
        name.clone()
    } else {
        let free = numbered(name).find(|name| is_free(there, name)).ok_or(NoRoom)?;
        let is_ours = PARTS.iter().all(|what| {
            let key = part(what, name);
            there.contains_key(&key) == ours.contains_key(&key)
        });
        if is_ours {
            for what in PARTS {
                if let Some(value) = there.remove(&part(what, name)) {
                    ours.remove(&part(what, name));
                    there.insert(part(what, &free), value.clone());
                    ours.insert(part(what, &free), value);
                }
            }
            name.clone()
        } else {
            free
        }
    };
    for (what, value) in PARTS.into_iter().zip(entry.values()) {
        there.insert(part(what, &into), value.clone());
        ours.insert(part(what, &into), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: ShortKey, payload: &str) -> Entry {
        Entry {
            key,
            payload: payload.into(),
            signature: b"s".to_vec(),
            cert: String::new(),
            chain: String::new(),
        }
    }

    /// Whether it says the same, as our signature.
    fn same(entry: &Entry, standing: &Standing<'_>) -> bool {
        standing.payload == STANDARD.encode(&entry.payload) && standing.signature == "cw=="
    }

    fn image(end: char) -> (ShortKey, String) {
        let text = format!("sha256:{}{}", "0123456789ab", end.to_string().repeat(52));
        let payload = format!(r#"{{"critical":{{"image":{{"docker-manifest-digest":"{text}"}}}}}}"#);
        (ShortKey::Image(text.parse().unwrap()), payload)
    }

    fn decoded(annotations: &Annotations, name: &str) -> String {
        let value = annotations.get(name).unwrap_or_else(|| panic!("{name} of {annotations:?}"));
        String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
    }

    #[test]
    fn names_are_those_of_chains() {
        let (mut there, mut ours) = (Annotations::new(), Annotations::new());
        place(&mut there, &mut ours, &entry(ShortKey::TaskRun("u-1".parse().unwrap()), "x")).unwrap();
        let names: Vec<&str> = there.keys().map(String::as_str).collect();
        let want = ["cert", "chain", "payload", "signature"]
            .map(|part| format!("chains.tekton.dev/{part}-taskrun-u-1"));
        assert_eq!(names, want);
        assert_eq!(there["chains.tekton.dev/cert-taskrun-u-1"], "");
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u-1"), "x");
        assert!(find(&there, &entry(ShortKey::TaskRun("u-1".parse().unwrap()), "x"), &same).is_some());
        assert!(find(&there, &entry(ShortKey::TaskRun("u-1".parse().unwrap()), "y"), &same).is_none());
    }

    #[test]
    fn images_whose_digests_begin_alike_are_both_kept() {
        let (mut there, mut ours) = (Annotations::new(), Annotations::new());
        for end in ['c', 'd', 'e'] {
            let (key, payload) = image(end);
            let result = place(&mut there, &mut ours, &entry(key, &payload));
            // Three that share 24 digits would be no accident.
            assert!(result.is_ok(), "{end}");
            let (key, payload) = image(end);
            assert!(find(&there, &entry(key, &payload), &same).is_some());
        }
        let (_, first) = image('c');
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-0123456789ab"), first);
        assert!(there.contains_key(&format!("chains.tekton.dev/payload-0123456789ab{}", "d".repeat(12))));
        assert!(there.keys().all(|key| key.len() <= PREFIX.len() + 63));
    }

    #[test]
    fn the_newest_stands_under_the_documented_name_and_what_was_there_stays() {
        let (mut there, mut ours) = (Annotations::new(), Annotations::new());
        let key = || ShortKey::TaskRun("u".parse().unwrap());
        for payload in ["first", "second", "third"] {
            place(&mut there, &mut ours, &entry(key(), payload)).unwrap();
        }
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u"), "third");
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u-2"), "first");
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u-3"), "second");
        assert_eq!(there, ours);
        for number in 4..=9 {
            place(&mut there, &mut ours, &entry(key(), &number.to_string())).unwrap();
        }
        let before = there.clone();
        assert_eq!(place(&mut there, &mut ours, &entry(key(), "ten")), Err(NoRoom));
        assert_eq!(there, before);
    }

    #[test]
    fn what_does_not_count_stays_and_a_good_one_takes_its_name() {
        let key = || ShortKey::TaskRun("u".parse().unwrap());
        for part in ["payload", "signature"] {
            let (mut there, mut ours) = (Annotations::new(), Annotations::new());
            place(&mut there, &mut ours, &entry(key(), "p")).unwrap();
            let name = format!("chains.tekton.dev/{part}-taskrun-u");
            there.insert(name.clone(), "spoilt".into());
            ours.insert(name, "spoilt".into());
            assert_eq!(find(&there, &entry(key(), "p"), &same), None);
            place(&mut there, &mut ours, &entry(key(), "p")).unwrap();
            assert_eq!(find(&there, &entry(key(), "p"), &same).as_deref(), Some("taskrun-u"));
            assert_eq!(there[&format!("chains.tekton.dev/{part}-taskrun-u-2")], "spoilt");
        }
        // What decides nothing makes no difference.
        let (mut there, mut ours) = (Annotations::new(), Annotations::new());
        place(&mut there, &mut ours, &entry(key(), "p")).unwrap();
        there.insert("chains.tekton.dev/cert-taskrun-u".into(), "x".into());
        assert!(find(&there, &entry(key(), "p"), &same).is_some());
    }

    #[test]
    fn what_another_wrote_stays_where_it_is() {
        let (mut there, mut ours) = (Annotations::new(), Annotations::new());
        let key = || ShortKey::TaskRun("u".parse().unwrap());
        place(&mut there, &mut Annotations::new(), &entry(key(), "chains")).unwrap();
        place(&mut there, &mut ours, &entry(key(), "ours")).unwrap();
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u"), "chains");
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u-2"), "ours");
        assert_eq!(ours.len(), 4);
    }
}
