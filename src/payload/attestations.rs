//! What `attest` says of images: predicates, each of which becomes a statement about every image, and statements that were given
//! whole.
//!
//! A statement that was given is signed byte for byte, and goes only to images that it names by digest.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::Format;
use crate::formats::cosign_statement::PAYLOAD_TYPE;
use crate::formats::{Claims, Envelope, Payload, PayloadError, statement};
use crate::oci::{Digest, ImageRef};

/// Everything that is said of each image, in a stable order. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct Attestations(Arc<[Attestation]>);

/// One thing that is said of images.
#[derive(Clone, Debug)]
pub enum Attestation {
    /// A statement is made around it for each image.
    Predicate {
        /// Its type, a URI.
        predicate_type: String,
        /// The predicate, JSON already.
        predicate: Box<RawValue>,
    },
    /// It stays as it is.
    Statement(GivenStatement),
}

/// An in-toto statement that another program made.
#[derive(Clone, Debug)]
pub struct GivenStatement {
    payload: Payload,
    /// The sha256 digests of its subjects, in hexadecimal digits as in the statement.
    subjects: HashSet<String>,
    /// Where it comes from, for people.
    place: String,
}

impl GivenStatement {
    /// The statement in `bytes`, which people know as `place`; `None`: it has no subjects of in-toto's shape.
    ///
    /// The caller has checked that it is a statement.
    pub fn new(bytes: Bytes, place: String) -> Option<Self> {
        let head = statement::head(&bytes)?;
        let subjects =
            head.subjects.into_iter().filter_map(|mut subject| subject.digest.remove("sha256")).collect();
        let payload = Payload { bytes, media_type: PAYLOAD_TYPE, envelope: Envelope::Dsse };
        Some(Self { payload, subjects, place })
    }

    /// Whether one of its subjects is the image with this digest, whatever its name.
    pub fn names(&self, digest: &Digest) -> bool {
        self.subjects.contains(digest.hex())
    }

    /// Where it comes from, for people.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl Attestations {
    /// Says all of `all` of each image.
    pub fn new(all: Vec<Attestation>) -> Self {
        Self(all.into())
    }

    /// The statements that were given whole.
    pub fn given(&self) -> impl Iterator<Item = &GivenStatement> {
        self.0.iter().filter_map(|one| match one {
            Attestation::Statement(given) => Some(given),
            Attestation::Predicate { .. } => None,
        })
    }

    /// How many bytes all of it has.
    pub(crate) fn len_bytes(&self) -> usize {
        let bytes = |one: &Attestation| match one {
            Attestation::Predicate { predicate, .. } => predicate.get().len(),
            Attestation::Statement(given) => given.payload.bytes.len(),
        };
        self.0.iter().map(bytes).sum()
    }

    /// The same for `image` alone, with each statement made: a large predicate is not kept beside the statement that holds it.
    ///
    /// # Errors
    ///
    /// As of [`Format::payloads`].
    pub(crate) fn made_for(self, image: &ImageRef) -> Result<Self, PayloadError> {
        let made = |payload: Payload| {
            let subjects = HashSet::from([image.digest.hex().to_owned()]);
            Attestation::Statement(GivenStatement { payload, subjects, place: String::new() })
        };
        Ok(Self::new(self.payloads(image, &Claims::default())?.into_iter().map(made).collect()))
    }
}

impl Format for Attestations {
    fn name(&self) -> &'static str {
        "in-toto"
    }

    fn payloads(&self, image: &ImageRef, _: &Claims) -> Result<Vec<Payload>, PayloadError> {
        let mut payloads = Vec::with_capacity(self.0.len());
        for one in self.0.iter() {
            let payload = match one {
                Attestation::Predicate { predicate_type, predicate } => {
                    statement::of_images(std::slice::from_ref(image), predicate_type, predicate)?
                }
                Attestation::Statement(given) if given.names(&image.digest) => given.payload.clone(),
                Attestation::Statement(given) => {
                    return Err(PayloadError::OtherSubject { place: given.place.clone() });
                }
            };
            // The same file twice is one attestation.
            if !payloads.contains(&payload) {
                payloads.push(payload);
            }
        }
        Ok(payloads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, digest: &str) -> ImageRef {
        format!("{name}@sha256:{}", digest.repeat(32)).parse().unwrap()
    }

    fn predicate(kind: &str, text: &str) -> Attestation {
        let predicate = RawValue::from_string(text.to_owned()).unwrap();
        Attestation::Predicate { predicate_type: kind.to_owned(), predicate }
    }

    fn given(text: &str) -> Attestation {
        let given = GivenStatement::new(Bytes::copy_from_slice(text.as_bytes()), "s.json".to_owned());
        Attestation::Statement(given.unwrap())
    }

    #[test]
    fn each_image_gets_each_predicate_and_a_statement_only_where_it_names_it() {
        let (one, other) = (image("r.example/a", "ab"), image("r.example/b", "cd"));
        let text = format!(
            "{{ \"_type\": \"https://in-toto.io/Statement/v1\", \"subject\": [{{\"digest\": {{\"sha256\": \"{}\"}}}}], \
             \"predicateType\": \"https://e.x/s\", \"predicate\": {{}} }}\n",
            one.digest.hex()
        );
        let said = Attestations::new(vec![
            predicate("https://e.x/a", "{\"x\":1}"),
            predicate("https://e.x/b", "{}"),
            predicate("https://e.x/a", "{\"x\":1}"),
            given(&text),
        ]);
        let payloads = said.payloads(&one, &Claims::default()).unwrap();
        assert_eq!(payloads.len(), 3, "what is said twice is said once");
        assert_eq!(payloads[2].bytes, text, "byte for byte");
        let head = statement::head(&payloads[0].bytes).unwrap();
        assert_eq!(
            (head.predicate_type.as_str(), head.subjects[0].image()),
            ("https://e.x/a", Some(one.clone()))
        );
        let error = said.payloads(&other, &Claims::default()).unwrap_err();
        assert!(error.to_string().contains("s.json"), "{error}");
        let made = said.clone().made_for(&one).unwrap();
        assert_eq!(made.payloads(&one, &Claims::default()).unwrap(), payloads);
        assert!(made.payloads(&other, &Claims::default()).is_err());
        assert!(said.made_for(&other).is_err());
    }
}
