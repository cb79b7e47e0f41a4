//! Signatures in a run's annotations, by server-side apply.
//!
//! One request writes everything or nothing. It carries all annotations that are ours (what an earlier apply of ours wrote and this one left out
//! would be taken away), and the `resourceVersion` that was read, so that what somebody wrote in between is never overwritten: the object is read
//! again then, and the annotations are put in anew. Nothing is ever forced: a name that another manager owns is a conflict, and keeps its value. The answer is
//! the object as it is stored, and is compared with what was to be written: an admission webhook may have taken annotations away.
//!
//! Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>

use bytes::Bytes;
use serde_json::{Value, json};

use super::error::{ClusterError, Verb};
use super::kind::Kind;
use super::send::Call;
use super::{Cluster, FIELD_MANAGER, is, text_at};
use crate::chains::{self, ChainsSignature, CountsFn, NoFreeName, ObjectAnnotations, PREFIX};
use crate::explain::explain;
use crate::foreign;
use crate::net::retry;
use crate::object_name::{NameError, ObjectName};

/// The most that an object's annotations may have, names and values together, in bytes.
///
/// Spec: <https://github.com/kubernetes/apimachinery/blob/v0.34.1/pkg/api/validation/objectmeta.go> (`TotalAnnotationSizeLimitB`)
pub const ANNOTATIONS_BYTES: usize = 256 * 1024;

/// How often it is tried when another client writes in between. Tekton's controller writes a few times a second while a run ends.
const MAX_ROUNDS: u32 = 8;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotated {
    /// How many signatures were added.
    pub added: usize,
    /// Whether the run is marked as signed now.
    pub marked: bool,
}

/// Why signatures are not in the annotations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// The object can't be read or written.
    #[error("cannot keep the signature in the annotations of {object}")]
    Cluster {
        /// The object to annotate, as kind and name.
        object: String,
        /// Why the request to the cluster failed.
        source: ClusterError,
    },
    /// The object was deleted, or made again.
    #[error("cannot keep the signature in the annotations of {object}: it was deleted{again}")]
    Deleted {
        /// The object to annotate, as kind and name.
        object: String,
        /// Whether another of the same name is there now.
        again: &'static str,
    },
    /// They would be larger than the API server takes.
    #[error(
        "there is no room for the signature in the annotations of {object}: they would have {size} bytes, of {ANNOTATIONS_BYTES}"
    )]
    TooLarge {
        /// The object to annotate, as kind and name.
        object: String,
        /// The size they would have.
        size: usize,
    },
    /// Too many signatures of the same thing.
    #[error("there is no name left for another signature in the annotations of {object}")]
    NoRoom {
        /// The object to annotate, as kind and name.
        object: String,
    },
    /// Another manager owns a name.
    #[error("cannot keep the signature in the annotations of {object}: {owner} owns {field}")]
    Owned {
        /// The object to annotate, as kind and name.
        object: String,
        /// Who, as the API server says it.
        owner: String,
        /// The part of the object that differs.
        field: String,
        /// The API server's answer.
        source: ClusterError,
    },
    /// Somebody else was faster each time.
    #[error(
        "cannot keep the signature in the annotations of {object}: it was changed {MAX_ROUNDS} times between reading and writing"
    )]
    Busy {
        /// The object to annotate, as kind and name.
        object: String,
        /// Why the request to the cluster failed.
        source: ClusterError,
    },
    /// The object has no name; the API server gives none without.
    #[error("cannot keep the signature in the annotations of a run")]
    Name(#[source] NameError),
    /// What was read back isn't what was written.
    #[error("the signature is not in the annotations of {object}, although the API server took it")]
    Lost {
        /// The object to annotate, as kind and name.
        object: String,
    },
}

explain! { AnnotationError,
    Self::Cluster { source, .. } => [of source],
    Self::Deleted { .. } => ["annotations-deleted", Failed, "nothing is left to sign; keep runs until they are signed"],
    Self::TooLarge { .. } => ["annotations-too-large", Failed,
        "nothing was written; set artifacts.taskrun.storage or artifacts.pipelinerun.storage to oci, where signatures stand beside the images"],
    Self::NoRoom { .. } => ["annotations-no-room", Failed,
        "take away annotations {PREFIX}…-2 to -9 that are no longer needed, or use the storage oci"],
    Self::Owned { source, .. } => ["annotations-owned", Failed,
        "nothing was written; let one of the two sign, or use the storage oci", used source.used()],
    Self::Busy { source, .. } => ["annotations-busy", Failed,
        "nothing was written; run again when the run has come to rest", used source.used()],
    Self::Name(_) => ["annotations-name", Failed, "sign a run of the cluster"],
    Self::Lost { .. } => ["annotations-lost", Failed,
        "see which admission webhook or policy takes annotations away: kubectl get mutatingwebhookconfigurations"],
}

/// What a round of reading and writing came to.
enum Round {
    Done(Annotated),
    Again(ClusterError),
}

/// What an apply came to.
enum Applied {
    Stored(Value),
    Changed(ClusterError),
}

/// What the annotations must contain.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The signatures to write into annotations.
    pub entries: &'a [ChainsSignature],
    /// Says which of them are there already.
    pub counts: &'a CountsFn<'a>,
    /// Whether the run is marked as signed, which keeps Tekton Chains from signing it.
    pub mark: bool,
}

impl Cluster {
    /// Puts what is `wanted` into the annotations of the run `name`, whose UID is `uid`, all of it or nothing. What is there already is
    /// not written again.
    ///
    /// # Errors
    ///
    /// Each reason is an error of its own; in all of them but [`AnnotationError::Lost`] nothing was written.
    pub async fn annotate(
        &self,
        kind: Kind,
        name: &ObjectName,
        uid: &str,
        wanted: Wanted<'_>,
    ) -> Result<Annotated, AnnotationError> {
        self.rounds(&Target { kind, name, uid }, None, wanted).await
    }

    /// The same with the object as it was read a while ago, which saves reading it: one that has changed since is read again.
    ///
    /// # Errors
    ///
    /// As [`annotate`](Self::annotate).
    pub(crate) async fn annotate_known(
        &self,
        kind: Kind,
        object: Value,
        wanted: Wanted<'_>,
    ) -> Result<Annotated, AnnotationError> {
        let uid = text_at(&object, "/metadata/uid").to_owned();
        let name =
            ObjectName::new(text_at(&object, "/metadata/namespace"), text_at(&object, "/metadata/name"));
        let name = name.map_err(AnnotationError::Name)?;
        self.rounds(&Target { kind, name: &name, uid: &uid }, Some(object), wanted).await
    }

    async fn rounds(
        &self,
        target: &Target<'_>,
        mut known: Option<Value>,
        wanted: Wanted<'_>,
    ) -> Result<Annotated, AnnotationError> {
        let mut round = 0;
        loop {
            let object = match known.take() {
                Some(object) => object,
                None => self.read(target).await?,
            };
            match self.round(target, &object, wanted).await? {
                Round::Done(done) => return Ok(done),
                Round::Again(source) if round + 1 == MAX_ROUNDS => {
                    return Err(AnnotationError::Busy { object: target.shown(), source });
                }
                Round::Again(_) => {
                    // Below a second: who writes in between is done in a moment.
                    tokio::time::sleep(retry::wait(round.min(3), None)).await;
                }
            }
            round += 1;
        }
    }

    async fn round(
        &self,
        target: &Target<'_>,
        object: &Value,
        wanted: Wanted<'_>,
    ) -> Result<Round, AnnotationError> {
        let before = annotations(object);
        let (mut there, mut ours) = (before.clone(), owned(object, &before));
        let Wanted { entries, counts, mark } = wanted;
        let added = chains::add(&mut there, &mut ours, entries, counts, mark)
            .map_err(|NoFreeName| AnnotationError::NoRoom { object: target.shown() })?;
        let marked = chains::is_marked(&there);
        let done = Annotated { added, marked };
        if there == before {
            return Ok(Round::Done(done));
        }
        let size = there.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size > ANNOTATIONS_BYTES {
            return Err(AnnotationError::TooLarge { object: target.shown(), size });
        }
        let found = match self.apply(target, text_at(object, "/metadata/resourceVersion"), &ours).await? {
            Applied::Stored(stored) => annotations(&stored),
            Applied::Changed(error) => return Ok(Round::Again(error)),
        };
        let is_lost = |entry| chains::find(&found, entry, counts).is_none();
        let lost = entries.iter().any(is_lost) || marked != chains::is_marked(&found);
        if lost { Err(AnnotationError::Lost { object: target.shown() }) } else { Ok(Round::Done(done)) }
    }

    async fn read(&self, target: &Target<'_>) -> Result<Value, AnnotationError> {
        let deleted = |again| AnnotationError::Deleted { object: target.shown(), again };
        match self.object(target.kind, target.name).await {
            Ok(object) if text_at(&object, "/metadata/uid") == target.uid => Ok(object),
            Ok(_) => Err(deleted(", and another of the same name is there now")),
            Err(error) if error.is_not_found() => Err(deleted("")),
            Err(source) => Err(AnnotationError::Cluster { object: target.shown(), source }),
        }
    }

    /// Applies the entries, unless the object has changed since `version`.
    async fn apply(
        &self,
        target: &Target<'_>,
        version: &str,
        ours: &ObjectAnnotations,
    ) -> Result<Applied, AnnotationError> {
        let body = json!({
            "apiVersion": target.kind.api_version(),
            "kind": target.kind.name(),
            "metadata": {
                "namespace": target.name.namespace(),
                "name": target.name.name(),
                "uid": target.uid,
                "resourceVersion": version,
                "annotations": ours,
            },
        });
        let body = Some(Bytes::from(body.to_string()));
        let call = Call { verb: Verb::Patch, kind: target.kind, object: target.name, page: None, body };
        let object = target.shown();
        let error = match self.send(&call).await {
            Ok(reply) => {
                let stored: Option<Value> = serde_json::from_slice(&reply.bytes).ok();
                let stored = stored.filter(|stored| is(stored, target.kind, target.name));
                return stored.map(Applied::Stored).ok_or_else(|| {
                    let source = self.not_the_object(&call, reply.attempts);
                    AnnotationError::Cluster { object, source }
                });
            }
            Err(error) => error,
        };
        refused(object, error, ours)
    }
}

/// What is to be done about an apply that was refused.
fn refused(
    object: String,
    error: ClusterError,
    ours: &ObjectAnnotations,
) -> Result<Applied, AnnotationError> {
    let Some(refusal) = error.request().and_then(|request| request.refusal()) else {
        return Err(AnnotationError::Cluster { object, source: error });
    };
    if error.is_not_found() {
        return Err(AnnotationError::Deleted { object, again: "" });
    }
    if matches!(refusal.status, 413 | 422) && refusal.message.contains("annotations") {
        let size = ours.iter().map(|(key, value)| key.len() + value.len()).sum();
        return Err(AnnotationError::TooLarge { object, size });
    }
    if refusal.status != 409 {
        return Err(AnnotationError::Cluster { object, source: error });
    }
    // Of the two kinds of conflict, the one of server-side apply has a cause for each field.
    match refusal.causes.iter().find(|(field, _)| field.contains("annotations")) {
        Some((field, words)) => {
            let (field, owner) = (field.clone(), words.trim_start_matches("conflict with ").to_owned());
            Err(AnnotationError::Owned { object, owner, field, source: error })
        }
        None => Ok(Applied::Changed(error)),
    }
}

/// The object whose annotations are written.
struct Target<'a> {
    kind: Kind,
    name: &'a ObjectName,
    uid: &'a str,
}

impl Target<'_> {
    fn shown(&self) -> String {
        foreign::escape(&format!("{} {}", self.kind, self.name), 400)
    }
}

fn annotations(object: &Value) -> ObjectAnnotations {
    let found = object.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten();
    found.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The annotations that earlier applies by Stepseal own, with their values.
fn owned(object: &Value, all: &ObjectAnnotations) -> ObjectAnnotations {
    let managed = object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let ours = managed.filter(|entry| {
        text_at(entry, "/manager") == FIELD_MANAGER
            && text_at(entry, "/operation") == "Apply"
            && text_at(entry, "/subresource").is_empty()
    });
    let fields = ours.filter_map(|entry| entry.pointer("/fieldsV1/f:metadata/f:annotations")?.as_object());
    let names = fields.flat_map(|fields| fields.keys().filter_map(|key| key.strip_prefix("f:")));
    names.filter_map(|name| Some((name.to_owned(), all.get(name)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_the_annotations_that_our_applies_own() {
        let object = json!({"metadata": {
            "annotations": {"a": "1", "b": "2", "c": "3"},
            "managedFields": [
                {"manager": "stepseal", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:annotations": {"f:a": {}, "f:gone": {}}}}},
                {"manager": "stepseal", "operation": "Update", "fieldsV1": {"f:metadata": {"f:annotations": {"f:b": {}}}}},
                {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:annotations": {"f:c": {}}}}},
            ],
        }});
        let all = annotations(&object);
        assert_eq!(all.len(), 3);
        assert_eq!(owned(&object, &all), ObjectAnnotations::from([("a".to_owned(), "1".to_owned())]));
    }
}
