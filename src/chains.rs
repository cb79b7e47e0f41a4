//! Tekton Chains' annotations: their names, their values, and which annotations of an object a signature uses.
//!
//! The names are `chains.tekton.dev/{payload,signature,cert,chain}-SHORTKEY`, where SHORTKEY is `taskrun-UID`, `pipelinerun-UID`, or the first 12 hex
//! digits of an image's digest, and `chains.tekton.dev/signed` (<https://github.com/tektoncd/chains/blob/v0.26.2/docs/signing.md>). Payload and
//! signature are base64. Two signatures can want the same name. Neither is ever lost:
//!
//! - Two images have digests that begin with the same 12 digits: the second is stored under its first 24 or 48 digits.
//! - One subject has two signatures (of an unfinished and of the finished run, or by two keys): the newest is stored under Chains' name, so that the
//!   documented commands find it, and the earlier signature moves to `SHORTKEY-2` up to `-9`. Annotations that another field manager wrote can't be
//!   moved. In that case the new signature gets the number.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::object_name::Uid;
use crate::oci::Digest;

/// The prefix of every annotation of Chains.
pub(crate) const PREFIX: &str = "chains.tekton.dev/";
/// A pattern that matches every annotation of Chains.
pub(crate) const PATTERN: &str = "chains.tekton.dev/*";
/// The annotation that keeps Tekton Chains from signing a run.
pub(crate) const SIGNED: &str = "chains.tekton.dev/signed";
/// The label that marks a run's build as reproducible.
pub(crate) const REPRODUCIBLE: &str = "chains.tekton.dev/reproducible";

/// The annotations that make up one signature.
const PARTS: [&str; 4] = ["payload", "signature", "cert", "chain"];
/// The prefix of a TaskRun's short key.
const TASK_RUN: &str = "taskrun-";
const PIPELINE_RUN: &str = "pipelinerun-";
/// How many hex digits of an image's digest form its short key: Chains' number first, then the numbers to use after a collision.
const DIGITS: [usize; 3] = [12, 24, 48];

/// How many signatures of one subject are kept.
const MAX_SAME: usize = 9;

/// All annotations of an object, or those that Stepseal owns.
pub(crate) type ObjectAnnotations = BTreeMap<String, String>;

/// The subject of a signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShortKey {
    /// A TaskRun, by its UID.
    TaskRun(Uid),
    /// A PipelineRun, by its UID.
    PipelineRun(Uid),
    /// An image, by its digest.
    Image(Digest),
}

/// A signature as the annotations store it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainsSignature {
    /// The subject of a signature.
    pub key: ShortKey,
    /// The signed payload as Chains stores it: the raw statement, the simple signing JSON, or the run's status.
    pub payload: Vec<u8>,
    /// The DSSE envelope for in-toto formats, the plain signature for the others.
    pub signature: Vec<u8>,
    /// The certificate; empty with a key pair.
    pub cert: String,
    /// The certificate chain; empty with a key pair.
    pub chain: String,
}

/// The values under one name; empty if an annotation is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnotationValues<'a> {
    /// The payload, in base64.
    pub payload: &'a str,
    /// The signature, in base64.
    pub signature: &'a str,
}

impl AnnotationValues<'_> {
    /// The signature under this name, if the payload there is `payload`.
    pub fn signature_of(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let there = STANDARD.decode(self.payload).ok()?;
        (there == payload).then(|| STANDARD.decode(self.signature).ok())?
    }
}

/// Decides whether the values under a name count as this entry, by `verify-run`'s verdict.
pub(crate) type CountsFn<'a> = dyn Fn(&ChainsSignature, &AnnotationValues<'_>) -> bool + Send + Sync + 'a;

/// Every annotation name for a signature is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoFreeName;

impl ChainsSignature {
    /// The values of the annotations in [`PARTS`].
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
    /// The short key that Chains uses.
    pub fn name(&self) -> String {
        self.names().swap_remove(0)
    }

    /// Chains' short key, then the longer keys to use after a collision. Never empty.
    fn names(&self) -> Vec<String> {
        match self {
            Self::TaskRun(uid) => vec![format!("{TASK_RUN}{uid}")],
            Self::PipelineRun(uid) => vec![format!("{PIPELINE_RUN}{uid}")],
            // An annotation name has at most 63 characters, including "signature-".
            Self::Image(digest) => {
                DIGITS.iter().map(|digits| digest.hex().chars().take(*digits).collect()).collect()
            }
        }
    }

    /// Whether `there` holds a signature of an image with another digest under `name`.
    fn is_other(&self, there: &ObjectAnnotations, name: &str) -> bool {
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

/// The annotation that holds `part` of the signature with the short key `name`.
pub fn part(part: &str, name: &str) -> String {
    format!("{PREFIX}{part}-{name}")
}

/// The short key in the name of a payload annotation; `None` for any other annotation.
pub(crate) fn key_of_payload(annotation: &str) -> Option<&str> {
    annotation.strip_prefix(PREFIX)?.strip_prefix("payload-")
}

/// The short key without the number of a further signature: `KEY` for `KEY-2` to `KEY-9`.
pub(crate) fn unnumbered(key: &str) -> &str {
    match key.rsplit_once('-') {
        Some((name, "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9")) => name,
        _ => key,
    }
}

/// Whether a short key belongs to a run.
pub(crate) fn is_of_run(key: &str) -> bool {
    key.starts_with(TASK_RUN) || key.starts_with(PIPELINE_RUN)
}

/// Whether the annotations mark a run as signed.
pub(crate) fn is_marked(annotations: &ObjectAnnotations) -> bool {
    annotations.get(SIGNED).is_some_and(|value| value == "true")
}

/// Adds the missing `entries` to `there`, and to `owned`, the part of it that Stepseal owns. Adds the mark if `mark` is set. Returns how many
/// signatures it added.
///
/// # Errors
///
/// Returns [`NoFreeName`] if every name for an entry is taken.
pub fn add(
    there: &mut ObjectAnnotations,
    owned: &mut ObjectAnnotations,
    entries: &[ChainsSignature],
    counts: &CountsFn<'_>,
    mark: bool,
) -> Result<usize, NoFreeName> {
    let mut added = 0;
    for entry in entries {
        if find(there, entry, counts).is_none() {
            place(there, owned, entry)?;
            added += 1;
        }
    }
    if mark && !is_marked(there) {
        there.insert(SIGNED.into(), "true".into());
        owned.insert(SIGNED.into(), "true".into());
    }
    Ok(added)
}

fn numbered(name: &str) -> impl Iterator<Item = String> + '_ {
    (1..=MAX_SAME).map(move |number| if number == 1 { name.to_owned() } else { format!("{name}-{number}") })
}

fn is_free(there: &ObjectAnnotations, name: &str) -> bool {
    PARTS.iter().all(|what| !there.contains_key(&part(what, name)))
}

/// The name under which `there` holds a signature that counts as `entry`.
pub fn find(there: &ObjectAnnotations, entry: &ChainsSignature, counts: &CountsFn<'_>) -> Option<String> {
    let is_entry = |name: &String| {
        let text = |what| there.get(&part(what, name)).map(String::as_str).unwrap_or_default();
        let standing = AnnotationValues { payload: text("payload"), signature: text("signature") };
        !standing.payload.is_empty() && counts(entry, &standing)
    };
    entry.key.names().iter().flat_map(|name| numbered(name)).find(is_entry)
}

/// Adds `entry` to `there`, and to `owned`, the part of it that Stepseal owns. Every earlier value is kept.
///
/// # Errors
///
/// Returns [`NoFreeName`] if every name is taken.
fn place(
    there: &mut ObjectAnnotations,
    owned: &mut ObjectAnnotations,
    entry: &ChainsSignature,
) -> Result<(), NoFreeName> {
    let names = entry.key.names();
    let name = names.iter().find(|name| !entry.key.is_other(there, name)).ok_or(NoFreeName)?;
    let into = if is_free(there, name) {
        name.clone()
    } else {
        let free = numbered(name).find(|name| is_free(there, name)).ok_or(NoFreeName)?;
        let is_ours = PARTS.iter().all(|what| {
            let key = part(what, name);
            there.contains_key(&key) == owned.contains_key(&key)
        });
        if is_ours {
            for what in PARTS {
                if let Some(value) = there.remove(&part(what, name)) {
                    owned.remove(&part(what, name));
                    there.insert(part(what, &free), value.clone());
                    owned.insert(part(what, &free), value);
                }
            }
            name.clone()
        } else {
            free
        }
    };
    for (what, value) in PARTS.into_iter().zip(entry.values()) {
        there.insert(part(what, &into), value.clone());
        owned.insert(part(what, &into), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: ShortKey, payload: &str) -> ChainsSignature {
        ChainsSignature {
            key,
            payload: payload.into(),
            signature: b"s".to_vec(),
            cert: String::new(),
            chain: String::new(),
        }
    }

    /// Whether the values are this entry's payload and the test signature.
    fn same(entry: &ChainsSignature, standing: &AnnotationValues<'_>) -> bool {
        standing.payload == STANDARD.encode(&entry.payload) && standing.signature == "cw=="
    }

    fn image(end: char) -> (ShortKey, String) {
        let text = format!("sha256:{}{}", "0123456789ab", end.to_string().repeat(52));
        let payload = format!(r#"{{"critical":{{"image":{{"docker-manifest-digest":"{text}"}}}}}}"#);
        (ShortKey::Image(text.parse().unwrap()), payload)
    }

    fn decoded(annotations: &ObjectAnnotations, name: &str) -> String {
        let value = annotations.get(name).unwrap_or_else(|| panic!("{name} of {annotations:?}"));
        String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
    }

    #[test]
    fn annotations_have_the_names_that_chains_uses() {
        let (mut there, mut owned) = (ObjectAnnotations::new(), ObjectAnnotations::new());
        place(&mut there, &mut owned, &entry(ShortKey::TaskRun("u-1".parse().unwrap()), "x")).unwrap();
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
    fn images_whose_digests_share_a_prefix_are_all_kept() {
        let (mut there, mut owned) = (ObjectAnnotations::new(), ObjectAnnotations::new());
        for end in ['c', 'd', 'e'] {
            let (key, payload) = image(end);
            let result = place(&mut there, &mut owned, &entry(key, &payload));
            // A third collision within 24 digits would be deliberate.
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
    fn the_newest_signature_takes_the_documented_name_and_earlier_signatures_are_kept() {
        let (mut there, mut owned) = (ObjectAnnotations::new(), ObjectAnnotations::new());
        let key = || ShortKey::TaskRun("u".parse().unwrap());
        for payload in ["first", "second", "third"] {
            place(&mut there, &mut owned, &entry(key(), payload)).unwrap();
        }
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u"), "third");
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u-2"), "first");
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u-3"), "second");
        assert_eq!(there, owned);
        for number in 4..=9 {
            place(&mut there, &mut owned, &entry(key(), &number.to_string())).unwrap();
        }
        let before = there.clone();
        assert_eq!(place(&mut there, &mut owned, &entry(key(), "ten")), Err(NoFreeName));
        assert_eq!(there, before);
    }

    #[test]
    fn an_invalid_signature_is_kept_and_a_valid_one_takes_its_name() {
        let key = || ShortKey::TaskRun("u".parse().unwrap());
        for part in ["payload", "signature"] {
            let (mut there, mut owned) = (ObjectAnnotations::new(), ObjectAnnotations::new());
            place(&mut there, &mut owned, &entry(key(), "p")).unwrap();
            let name = format!("chains.tekton.dev/{part}-taskrun-u");
            there.insert(name.clone(), "corrupt".into());
            owned.insert(name, "corrupt".into());
            assert_eq!(find(&there, &entry(key(), "p"), &same), None);
            place(&mut there, &mut owned, &entry(key(), "p")).unwrap();
            assert_eq!(find(&there, &entry(key(), "p"), &same).as_deref(), Some("taskrun-u"));
            assert_eq!(there[&format!("chains.tekton.dev/{part}-taskrun-u-2")], "corrupt");
        }
        // Changing the certificate annotation doesn't affect the result.
        let (mut there, mut owned) = (ObjectAnnotations::new(), ObjectAnnotations::new());
        place(&mut there, &mut owned, &entry(key(), "p")).unwrap();
        there.insert("chains.tekton.dev/cert-taskrun-u".into(), "x".into());
        assert!(find(&there, &entry(key(), "p"), &same).is_some());
    }

    #[test]
    fn annotations_of_another_manager_stay_in_place() {
        let (mut there, mut owned) = (ObjectAnnotations::new(), ObjectAnnotations::new());
        let key = || ShortKey::TaskRun("u".parse().unwrap());
        place(&mut there, &mut ObjectAnnotations::new(), &entry(key(), "chains")).unwrap();
        place(&mut there, &mut owned, &entry(key(), "owned")).unwrap();
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u"), "chains");
        assert_eq!(decoded(&there, "chains.tekton.dev/payload-taskrun-u-2"), "owned");
        assert_eq!(owned.len(), 4);
    }
}
