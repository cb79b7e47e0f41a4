//! What is found at an image, judged: does it say of this image what it has to, and did somebody sign it who counts?

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::claim::{Claim, ClaimError};
use super::evidence::{Evidence, SignerNumbers};
use super::require::Require;
use super::statement::{self, Statement, StatementError};
use super::trust::{By, Distrust, Trust};
use crate::formats::cosign_statement::{PAYLOAD_TYPE, PREDICATE_TYPE};
use crate::formats::dsse::Envelope;
use crate::found::{HitPosition, SearchHit, SearchLimit, UnreadableEntry};
use crate::oci::{Digest, ImageRef};
use crate::{explain, foreign};

/// How many refused signatures are told one by one; of the others only how many they are.
const TOLD: usize = 20;

/// What a signature or attestation has to be, beside being of somebody who counts.
#[derive(Clone, Debug, Default)]
pub struct Demands {
    /// Annotations that it must have, with these values.
    pub annotations: BTreeMap<String, String>,
    /// The predicate type of an attestation; `None`: a signature of the image itself is wanted.
    pub predicate_type: Option<String>,
    /// What an attestation's statement must say.
    pub requires: Vec<Require>,
}

/// A signature or attestation that counts.
#[derive(Clone, Debug)]
pub struct Good {
    /// The location in the policy file.
    pub place: String,
    /// Who made it.
    pub by: By,
    /// What it says.
    pub said: Said,
}

/// What was signed.
#[derive(Clone, Debug)]
pub enum Said {
    /// A simple signing payload.
    Claim(Box<Claim>),
    /// An in-toto statement and the envelope it came in.
    Statement {
        /// The statement.
        statement: Box<Statement>,
        /// The envelope.
        envelope: Box<Envelope>,
    },
}

/// Something that lies at the image and doesn't count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The location in the policy file.
    pub place: String,
    /// Why it doesn't count.
    pub why: String,
    /// It would count with an entry in a transparency log, or without the demand for one.
    pub only_log_missing: bool,
    /// The registry lists it and doesn't hold it.
    pub absent: bool,
}

/// Everything that was found at one image.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What counts.
    pub good: Vec<Good>,
    /// How often something of it is there again: in the same list, with other annotations that change nothing.
    pub copies: usize,
    /// What doesn't, the first of them.
    pub refused: Vec<Refused>,
    /// How many don't count.
    pub refused_count: usize,
    /// Why not everything was looked at; `None`: it was.
    pub cut: Option<SearchLimit>,
    /// What could not be looked up, a line each; what was found without it is enough.
    pub notes: Vec<String>,
    /// How the registry refuses its referrers API to a login that may read manifests; `None`: it does not.
    pub refused_api: Option<String>,
    /// Where each of `good` stands, and each of `refused`.
    pub(super) positions: Positions,
}

/// Where the parts of a [`Verdict`] stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions {
    good: Vec<HitPosition>,
    refused: Vec<HitPosition>,
    /// What says which of `good` are the same.
    known: HashSet<[u8; 32]>,
    /// Where something stands that counts, or that is a copy of it.
    counted: HashSet<HitPosition>,
    /// What was refused last, of which copies may follow.
    last: Option<(HitPosition, Refused)>,
}

/// Why something doesn't count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It can't be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEntry),
    /// Nobody that counts made it.
    #[error(transparent)]
    Distrust(#[from] Arc<Distrust>),
    /// It is signed, and no simple signing payload.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It is signed, and no statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The envelope holds something else.
    #[error("the envelope's payload is of the type \"{0}\", not an in-toto statement")]
    PayloadType(String),
    /// It is about another image.
    #[error("it is signed for another image, not for {0}")]
    OtherImage(String),
    /// It is an attestation, or one of another type.
    #[error("it states \"{found}\", and {wanted:?} is wanted")]
    PredicateType {
        /// The statement's.
        found: String,
        /// What is wanted.
        wanted: String,
    },
    /// An annotation isn't as it has to be.
    #[error("its annotation {key:?} is {found}, and {wanted:?} is wanted")]
    Annotation {
        /// The annotation.
        key: String,
        /// Its value, or that there is none.
        found: String,
        /// The value that is wanted.
        wanted: String,
    },
    /// The statement doesn't say what it has to.
    #[error("{0}")]
    Require(String),
}

impl Verdict {
    /// Judges one thing that was found at `image`. Things may come in any order: [`in_order`](Self::in_order) is called at the end.
    pub fn see(&mut self, image: &ImageRef, find: SearchHit, trust: &Trust, demands: &Demands) {
        let SearchHit { place, position, content } = find;
        let evidence = content.map(Evidence::new);
        let check = Asking { trust, demands, numbers: &SignerNumbers::default().of(trust) };
        self.judge(image, place, position, evidence.as_ref(), check);
    }

    /// The same of what was read already, with the numbers of those who count.
    pub(super) fn judge(
        &mut self,
        image: &ImageRef,
        place: String,
        position: HitPosition,
        evidence: Result<&Evidence, &UnreadableEntry>,
        asking: Asking<'_>,
    ) {
        let simple = evidence.ok().and_then(Evidence::simple);
        match evidence.map_err(|error| error.clone().into()).and_then(|it| judged(image, it, asking)) {
            Ok((by, said)) => {
                self.positions.counted.insert(position);
                if !self.positions.known.insert(identity(position, &by, &said, simple)) {
                    self.copies += 1;
                    return;
                }
                self.good.push(Good { place, by, said });
                self.positions.good.push(position);
            }
            Err(refusal) => {
                let only_log_missing =
                    matches!(&refusal, Refusal::Distrust(why) if matches!(**why, Distrust::NoLog));
                let absent = matches!(&refusal, Refusal::Unreadable(why) if why.absent);
                let refused = Refused { place, why: told(&refusal), only_log_missing, absent };
                self.positions.last = Some((position, refused.clone()));
                self.refuse(position, refused);
            }
        }
    }

    /// Takes one more entry for the content of the one at `of`, which was judged before.
    pub fn copy(&mut self, of: HitPosition, place: String, position: HitPosition) {
        if self.positions.counted.contains(&of) {
            self.copies += 1;
            return;
        }
        let told = self.positions.refused.iter().zip(&self.refused);
        let last = self.positions.last.iter().map(|(position, refused)| (position, refused));
        let first = last.chain(told).find(|(position, _)| **position == of);
        let refused = match first {
            Some((_, first)) => Refused { place, ..first.clone() },
            None => {
                let why = "it names the same as another entry, which doesn't count".to_owned();
                Refused { place, why, only_log_missing: false, absent: false }
            }
        };
        self.refuse(position, refused);
    }

    fn refuse(&mut self, position: HitPosition, refused: Refused) {
        self.refused_count += 1;
        // The first ones are told, in whatever order they come.
        let last = (0..).zip(&self.positions.refused).max_by_key(|(_, position)| **position);
        if let (true, Some((at, last))) = (self.refused.len() >= TOLD, last) {
            if position > *last {
                return;
            }
            self.refused.swap_remove(at);
            self.positions.refused.swap_remove(at);
        }
        self.refused.push(refused);
        self.positions.refused.push(position);
    }

    /// Puts everything in the order in which it is listed.
    pub(crate) fn in_order(&mut self) {
        sort(&mut self.good, &mut self.positions.good);
        sort(&mut self.refused, &mut self.positions.refused);
    }

    /// The reasons of what doesn't count, a line each.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let told = self.refused.iter().map(|refused| format!("{}: {}", refused.place, refused.why));
        let more = self.refused_count - self.refused.len();
        let more = (more > 0).then(|| format!("and {more} more that don't count"));
        let cut = self.cut.as_ref().map(|cut| format!("not everything was looked at: {cut}"));
        told.chain(more).chain(cut).collect()
    }
}

fn sort<T>(all: &mut Vec<T>, positions: &mut Vec<HitPosition>) {
    if all.len() != positions.len() {
        return;
    }
    let mut both: Vec<(HitPosition, T)> = std::mem::take(positions).into_iter().zip(all.drain(..)).collect();
    both.sort_by_key(|(position, _)| *position);
    (*positions, *all) = both.into_iter().unzip();
}

/// A hash of what makes a signature or attestation another one than the next: its list, its signer, what is signed, and the
/// signatures. A copy of a good one with annotations that mean nothing is the same, however many there are.
fn identity(position: HitPosition, by: &By, said: &Said, simple: Option<(&Bytes, &[u8])>) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    let mut all = Sha256::new();
    let mut add = |bytes: &[u8]| {
        all.update((bytes.len() as u64).to_be_bytes());
        all.update(bytes);
    };
    add(&[u8::from(position.is_referrer)]);
    // A timestamp that counts for nothing makes no other signature.
    let by = By { unknown_timestamps: Vec::new(), ..by.clone() };
    add(format!("{by:?}").as_bytes());
    if let Some((payload, signature)) = simple {
        add(payload);
        add(signature);
    }
    if let Said::Statement { envelope, .. } = said {
        add(envelope.payload_type.as_bytes());
        add(&envelope.payload);
        envelope.signatures.iter().for_each(|one| add(&one.signature));
    }
    all.finalize().into()
}

/// A refusal with its causes, for people.
pub(super) fn told(refusal: &Refusal) -> String {
    explain::line(refusal, 1000)
}

/// What is asked of something that was found.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    /// Whether it is by one of these.
    pub(super) trust: &'a Trust,
    /// Their numbers.
    pub(super) numbers: &'a [usize],
    /// Whether it is this.
    pub(super) demands: &'a Demands,
}

/// The verdict on one thing that was found at `image`: who made it and what it says, or why it doesn't count.
pub(super) fn judged(
    image: &ImageRef,
    evidence: &Evidence,
    asking: Asking<'_>,
) -> Result<(By, Said), Refusal> {
    let Asking { trust, numbers, demands } = asking;
    let by = evidence.by(trust, numbers)?;
    if let Some((payload, _)) = evidence.simple() {
        return Ok((by, Said::Claim(Box::new(claimed(image, payload, demands)?))));
    }
    let none = || Refusal::PayloadType(String::new());
    let envelope = evidence.envelope()?.ok_or_else(none)?;
    let statement = statement_of(image, &envelope.payload_type, &envelope.payload, demands)?;
    Ok((by, Said::Statement { statement: Box::new(statement), envelope: Box::new(envelope.clone()) }))
}

/// What a simple signing payload claims, if it claims what it has to.
pub(super) fn claimed(image: &ImageRef, payload: &[u8], demands: &Demands) -> Result<Claim, Refusal> {
    let claim = Claim::read(payload)?;
    if claim.digest != image.digest {
        return Err(Refusal::OtherImage(image.digest.to_string()));
    }
    annotated(&claim.optional, demands)?;
    Ok(claim)
}

/// The statement in an envelope's payload, if it says what it has to.
pub(super) fn statement_of(
    image: &ImageRef,
    payload_type: &str,
    payload: &[u8],
    demands: &Demands,
) -> Result<Statement, Refusal> {
    if payload_type != PAYLOAD_TYPE {
        return Err(Refusal::PayloadType(foreign::escape(payload_type, 120)));
    }
    let statement = Statement::read(payload)?;
    let wanted = demands.predicate_type.as_deref().unwrap_or(PREDICATE_TYPE);
    if statement.predicate_type != wanted {
        let found = foreign::escape(&statement.predicate_type, 200);
        return Err(Refusal::PredicateType { found, wanted: wanted.to_owned() });
    }
    let Some(subject) = statement.subject(&image.digest) else {
        return Err(Refusal::OtherImage(image.digest.to_string()));
    };
    if demands.predicate_type.is_none() {
        let none = Map::new();
        annotated(subject.get("annotations").and_then(Value::as_object).unwrap_or(&none), demands)?;
    }
    // The predicate may be large: nothing is kept but what is asked for.
    let document = match demands.requires.is_empty() {
        true => Value::Null,
        false => statement::required(payload, &demands.requires)?,
    };
    for require in &demands.requires {
        require.check(&document).map_err(Refusal::Require)?;
    }
    Ok(statement)
}

fn annotated(have: &Map<String, Value>, demands: &Demands) -> Result<(), Refusal> {
    for (key, wanted) in &demands.annotations {
        let found = have.get(key);
        if found.and_then(Value::as_str) != Some(wanted) {
            let found = found
                .map_or_else(|| "not there".to_owned(), |value| foreign::escape(&value.to_string(), 200));
            return Err(Refusal::Annotation { key: key.clone(), found, wanted: wanted.clone() });
        }
    }
    Ok(())
}

impl Good {
    /// What cosign prints of a signature: the payload; of a statement what a payload would say. `name` is the image
    /// as it was asked for.
    pub(crate) fn to_json(&self, name: &str, digest: &Digest) -> Value {
        let mut told = self.payload_json(name, digest);
        if let (Some((identity, issuer)), Some(told)) = (&self.by.identity, told.as_object_mut()) {
            let optional = told.entry("optional").or_insert(Value::Null);
            if !optional.is_object() {
                *optional = json!({});
            }
            if let Some(optional) = optional.as_object_mut() {
                optional.insert("Subject".to_owned(), identity.as_str().into());
                optional.insert("Issuer".to_owned(), issuer.as_deref().unwrap_or_default().into());
            }
        }
        told
    }

    fn payload_json(&self, name: &str, digest: &Digest) -> Value {
        match &self.said {
            Said::Claim(claim) => claim.document.clone(),
            Said::Statement { statement, .. } => {
                let annotations = statement.subject(digest).and_then(|subject| subject.get("annotations"));
                json!({
                    "critical": {
                        "identity": { "docker-reference": name },
                        "image": { "docker-manifest-digest": digest.as_str() },
                        "type": statement.predicate_type,
                    },
                    "optional": annotations,
                })
            }
        }
    }

    /// The DSSE envelope as one line of JSON, as cosign prints attestations; `None`: it is a signature's payload.
    pub(crate) fn envelope_json(&self) -> Option<String> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let Said::Statement { envelope, .. } = &self.said else { return None };
        let signature = |one: &crate::formats::dsse::KeyedSignature| {
            let sig = STANDARD.encode(&one.signature);
            if one.key_id.is_empty() {
                json!({ "sig": sig })
            } else {
                json!({ "keyid": one.key_id, "sig": sig })
            }
        };
        let signatures: Vec<Value> = envelope.signatures.iter().map(signature).collect();
        let document = json!({
            "payload": STANDARD.encode(&envelope.payload),
            "payloadType": envelope.payload_type,
            "signatures": signatures,
        });
        Some(document.to_string())
    }
}
