//! Whether a predicate has the shape of the type that one of cosign's short names stands for.
//!
//! What cosign 3.1.2 can't read into its own types it refuses, so a predicate of another shape is a mistake in the call: the file of
//! one type given as another. cosign leaves out fields that it doesn't know; here they stay, as the predicate does as a whole.
//! Of a type that is given as a URI only this is known: in-toto's predicates are JSON objects.
//!
//! Spec: <https://slsa.dev/spec/v0.2/provenance>, <https://slsa.dev/spec/v1.0/provenance>,
//! <https://github.com/in-toto/attestation/blob/v1.1.0/spec/predicates/link.md>,
//! <https://github.com/sigstore/cosign/blob/v3.1.2/specs/COSIGN_VULN_ATTESTATION_SPEC.md>

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use Shape::{Any, Fields, Flag, List, Map, Object, Text};

/// What a value may be; `null` counts as absent.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Any,
    Text,
    Flag,
    /// An object with any fields.
    Object,
    /// A list of these.
    List(&'static Shape),
    /// An object, each of whose values is one of these.
    Map(&'static Shape),
    /// An object whose fields of these names are of these shapes; others may be there.
    Fields(&'static [(&'static str, Shape)]),
}

const TEXTS: Shape = Map(&Text);

const MATERIAL: Shape = Fields(&[("uri", Text), ("digest", TEXTS)]);

const SLSA_02: Shape = Fields(&[
    ("builder", Fields(&[("id", Text)])),
    ("buildType", Text),
    (
        "invocation",
        Fields(&[
            ("configSource", Fields(&[("uri", Text), ("digest", TEXTS), ("entryPoint", Text)])),
            ("parameters", Object),
            ("environment", Object),
        ]),
    ),
    ("buildConfig", Object),
    (
        "metadata",
        Fields(&[
            ("buildInvocationId", Text),
            ("buildStartedOn", Text),
            ("buildFinishedOn", Text),
            ("completeness", Fields(&[("parameters", Flag), ("environment", Flag), ("materials", Flag)])),
            ("reproducible", Flag),
        ]),
    ),
    ("materials", List(&MATERIAL)),
]);

const DESCRIPTOR: Shape = Fields(&[
    ("name", Text),
    ("uri", Text),
    ("digest", TEXTS),
    ("content", Text),
    ("downloadLocation", Text),
    ("mediaType", Text),
    ("annotations", Object),
]);

const SLSA_1: Shape = Fields(&[
    (
        "buildDefinition",
        Fields(&[
            ("buildType", Text),
            ("externalParameters", Object),
            ("internalParameters", Object),
            ("resolvedDependencies", List(&DESCRIPTOR)),
        ]),
    ),
    (
        "runDetails",
        Fields(&[
            (
                "builder",
                Fields(&[("id", Text), ("version", TEXTS), ("builderDependencies", List(&DESCRIPTOR))]),
            ),
            ("metadata", Fields(&[("invocationId", Text), ("startedOn", Text), ("finishedOn", Text)])),
            ("byproducts", List(&DESCRIPTOR)),
        ]),
    ),
]);

/// All of these have to be there.
const LINK: &[(&str, Shape)] = &[
    ("_type", Text),
    ("name", Text),
    ("materials", Map(&TEXTS)),
    ("products", Map(&TEXTS)),
    ("byproducts", Object),
    ("command", List(&Text)),
    ("environment", Object),
];

const VULN: Shape = Fields(&[
    ("invocation", Fields(&[("parameters", Any), ("uri", Text), ("event_id", Text), ("builder.id", Text)])),
    (
        "scanner",
        Fields(&[
            ("uri", Text),
            ("version", Text),
            ("db", Fields(&[("uri", Text), ("version", Text)])),
            ("result", Any),
        ]),
    ),
    ("metadata", Fields(&[("scanStartedOn", Text), ("scanFinishedOn", Text)])),
]);

/// Why a predicate is not of its type's shape.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ShapeError {
    /// A part of it is something else; or it isn't JSON.
    #[error("it has another shape")]
    Other(#[source] serde_json::Error),
    /// A part that must be there isn't.
    #[error("it has no \"{0}\"")]
    Missing(&'static str),
}

/// Checks that `predicate` may be one of the type that `kind` names: cosign's short name, or a URI.
///
/// # Errors
///
/// What of it may not.
pub(crate) fn check(kind: &str, predicate: &[u8]) -> Result<(), ShapeError> {
    let (shape, required) = match kind {
        "slsaprovenance" | "slsaprovenance02" => (SLSA_02, &[][..]),
        "slsaprovenance1" => (SLSA_1, &[][..]),
        "link" => (Fields(LINK), LINK),
        "vuln" => (VULN, &[][..]),
        _ => (Object, &[][..]),
    };
    let mut seen = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(predicate);
    let read = Outermost { shape, seen: &mut seen }.deserialize(&mut json);
    read.and_then(|()| json.end()).map_err(ShapeError::Other)?;
    match required.iter().find(|(name, _)| !seen.contains(name)) {
        Some((name, _)) => Err(ShapeError::Missing(name)),
        None => Ok(()),
    }
}

/// The predicate itself: an object, and not `null`.
struct Outermost<'a> {
    shape: Shape,
    /// The names of the table that it has.
    seen: &'a mut Vec<&'static str>,
}

impl<'de> DeserializeSeed<'de> for Outermost<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Outermost<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Self { shape, seen } = self;
        fields(shape, map, |name| seen.push(name))
    }

    // A text may be as long as the file: it is not repeated in the error.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("text"), &self))
    }
}

/// Reads the fields of an object of this shape; `known` is called with each that the shape has.
fn fields<'de, A: MapAccess<'de>>(
    shape: Shape,
    mut map: A,
    mut known: impl FnMut(&'static str),
) -> Result<(), A::Error> {
    // Only their place in the file distinguishes the values of a map: a key may be any text.
    while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
        let (name, inner) = match shape {
            Fields(table) => match table.iter().find(|(name, _)| *name == key) {
                Some((name, inner)) => (Some(*name), *inner),
                None => (None, Any),
            },
            Map(inner) => (None, *inner),
            _ => (None, Any),
        };
        let value = map.next_value_seed(inner);
        match name {
            Some(name) => {
                value.map_err(|error| de::Error::custom(format_args!("\"{name}\": {error}")))?;
                known(name);
            }
            None => value?,
        }
    }
    Ok(())
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Any => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Any => "anything",
            Text => "text",
            Flag => "true or false",
            List(_) => "a list",
            Object | Map(_) | Fields(_) => "a JSON object",
        })
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        match self {
            Flag => Ok(()),
            _ => Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        match self {
            Text => Ok(()),
            _ => Err(E::invalid_type(Unexpected::Other("text"), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let List(inner) = self else { return Err(de::Error::invalid_type(Unexpected::Seq, &self)) };
        while seq.next_element_seed(*inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self {
            Object | Map(_) | Fields(_) => fields(self, map, |_| {}),
            _ => Err(de::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row was given to cosign 3.1.2; `tests/peers/attest.rs` does so again.
    #[test]
    fn what_is_taken_is_what_cosign_takes() {
        let link = r#"{"_type":"link","name":"x","materials":{},"products":{"a":{"sha256":"b"}},"byproducts":{},"command":[],"environment":{}}"#;
        let good = [
            ("slsaprovenance", "{}"),
            (
                "slsaprovenance02",
                r#"{"builder":{"id":"b"},"materials":[{"uri":"u","digest":{"sha1":"a"}}],"x":[1]}"#,
            ),
            ("slsaprovenance", r#"{"builder":null,"metadata":{"reproducible":false}}"#),
            ("slsaprovenance1", r#"{"buildDefinition":{"buildType":"t","externalParameters":{"a":[1]}}}"#),
            ("link", link),
            ("vuln", r#"{"x":1}"#),
            (
                "vuln",
                r#"{"scanner":{"uri":"u","result":[1]},"metadata":{"scanStartedOn":"2026-01-01T00:00:00Z"}}"#,
            ),
            ("spdxjson", r#"{"packages":3}"#),
            ("https://e.x/t", "{}"),
        ];
        for (kind, predicate) in good {
            check(kind, predicate.as_bytes()).unwrap_or_else(|error| panic!("{kind} {predicate}: {error:?}"));
        }
        let bad = [
            (
                "slsaprovenance",
                r#"{"builder":"b"}"#,
                "\"builder\": invalid type: text, expected a JSON object",
            ),
            (
                "slsaprovenance",
                r#"{"builder":{"id":1}}"#,
                "\"builder\": \"id\": invalid type: integer `1`, expected text",
            ),
            ("slsaprovenance02", r#"{"materials":{}}"#, "\"materials\": invalid type: map, expected a list"),
            (
                "slsaprovenance",
                r#"{"materials":[{"digest":["a"]}]}"#,
                "invalid type: sequence, expected a JSON object",
            ),
            ("slsaprovenance", r#"{"metadata":{"reproducible":"no"}}"#, "expected true or false"),
            ("slsaprovenance1", r#"{"runDetails":{"builder":{"version":{"a":1}}}}"#, "expected text"),
            ("vuln", r#"{"scanner":[]}"#, "\"scanner\": invalid type: sequence"),
            ("link", r#"{"name":"x"}"#, "it has no \"_type\""),
        ];
        for (kind, predicate, want) in bad {
            let error = check(kind, predicate.as_bytes()).unwrap_err();
            let text = match &error {
                ShapeError::Other(source) => source.to_string(),
                ShapeError::Missing(_) => error.to_string(),
            };
            assert!(text.contains(want), "{kind} {predicate}: {text}");
        }
        for kind in [
            "slsaprovenance",
            "slsaprovenance1",
            "link",
            "vuln",
            "spdxjson",
            "cyclonedx",
            "openvex",
            "https://e.x/t",
        ] {
            for predicate in ["[]", "1", "null", "\"x\"", "true", ""] {
                assert!(check(kind, predicate.as_bytes()).is_err(), "{kind} {predicate}");
            }
        }
        for missing in LINK.iter().map(|(name, _)| name) {
            let mut document: serde_json::Value = serde_json::from_str(link).unwrap();
            document.as_object_mut().unwrap().remove(*missing);
            let error = check("link", document.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), format!("it has no \"{missing}\""));
        }
    }

    #[test]
    fn a_long_text_is_not_repeated_in_the_error() {
        let long = format!("\"{}\"", "x".repeat(10_000));
        for predicate in [long.clone(), format!("{{\"builder\":{long}}}")] {
            let ShapeError::Other(source) = check("slsaprovenance", predicate.as_bytes()).unwrap_err() else {
                panic!("another error")
            };
            assert!(source.to_string().len() < 200, "{source}");
        }
    }
}
