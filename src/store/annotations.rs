//! The store `tekton`: the annotations of the run, as Tekton Chains keeps signatures.
//!
//! Everything that belongs to a run is written in one request, with the mark that keeps Chains from signing it. Names and values are those of
//! [`chains`](crate::chains), and the request is the cluster's client's.

use std::sync::Arc;

use super::{Filed, Filing, Kept, Keyed, Member, OfRun, Step, Store, StoreError, Turn};
use crate::chains::{AnnotationValues, ChainsSignature, ShortKey};
use crate::cluster::{Cluster, Kind, Wanted};
use crate::formats::Envelope;
use crate::object_name::Uid;
use crate::place::{StoreHolder, StoreKind};
use crate::run::RunKind;

/// How the list of stores makes this store.
pub(crate) const MEMBER: Member = Member {
    kind: StoreKind { holder: StoreHolder::Run, name: "tekton" },
    open: |setup, _| vec![Arc::new(Annotations { cluster: setup.cluster.cloned() })],
};

/// The annotations of runs.
struct Annotations {
    /// The client; `None`: no run is known, and each signature fails.
    cluster: Option<Cluster>,
}

impl Annotations {
    async fn annotate(&self, filing: &Filing<'_>) -> Result<Kept, StoreError> {
        let Filing { filed, run, mark, counts } = *filing;
        let (Some(cluster), Some(run)) = (&self.cluster, run) else {
            let subject = filed.last().map(|filed| filed.key.full.clone());
            return Err(StoreError::NoRun(run.map(OfRun::shown).or(subject).unwrap_or_default()));
        };
        let name = run.name.object().map_err(|source| StoreError::Name(run.name.clone(), source))?;
        let kind = match run.kind {
            RunKind::TaskRun => Kind::TaskRun,
            RunKind::PipelineRun => Kind::PipelineRun,
        };
        let entries: Vec<ChainsSignature> = filed.iter().filter_map(|filed| entry(filed, run)).collect();
        let counts = |entry: &ChainsSignature, there: &AnnotationValues<'_>| {
            there.signature_of(&entry.payload).is_some_and(|signature| counts(&entry.payload, &signature))
        };
        let wanted = Wanted { entries: &entries, counts: &counts, mark };
        let annotated = match run.known {
            Some(object) => cluster.annotate_known(kind, object.clone(), wanted).await,
            None => cluster.annotate(kind, &name, run.uid.map_or("", Uid::as_str), wanted).await,
        };
        let annotated = annotated.map_err(|error| StoreError::Annotations(Box::new(error)))?;
        let marked = if annotated.marked { ", marked as signed" } else { "" };
        let location = format!("the annotations of {}{marked}", run.shown());
        Ok(Kept { location, added: annotated.added })
    }
}

impl Store for Annotations {
    fn kind(&self) -> StoreKind {
        MEMBER.kind
    }

    fn turn(&self) -> Turn<'_> {
        Turn::Run(self)
    }
}

impl Keyed for Annotations {
    fn keep<'a>(&'a self, filing: &'a Filing<'a>) -> Step<'a, Kept> {
        Box::pin(self.annotate(filing))
    }
}

/// What annotations hold of a signature; `None`: it is of a run without a UID, for which nothing is signed.
fn entry(filed: &Filed, run: &OfRun<'_>) -> Option<ChainsSignature> {
    let key = match (&filed.key.image, run.kind) {
        (Some(digest), _) => ShortKey::Image(digest.clone()),
        (None, RunKind::TaskRun) => ShortKey::TaskRun(run.uid?.clone()),
        (None, RunKind::PipelineRun) => ShortKey::PipelineRun(run.uid?.clone()),
    };
    let signed = &filed.signed;
    let signature = match signed.payload.envelope {
        Envelope::Dsse => signed.envelope().to_vec(),
        Envelope::Bare => signed.signature.0.clone(),
    };
    let payload = signed.payload.bytes.to_vec();
    Some(ChainsSignature { key, payload, signature, cert: String::new(), chain: String::new() })
}
