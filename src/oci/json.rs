//! JSON that is read one level at a time.
//!
//! [`fields`] and [`elements`] keep nothing: a document of 4 MiB can have a million values, and takes a hundred times its length
//! once it is read as a whole.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Calls `each` with every field of the JSON object in `text`, in its order, the value as it is written.
///
/// # Errors
///
/// When `text` isn't one JSON object. `each` may have been called before that is known.
pub(crate) fn fields<'a>(
    text: &'a [u8],
    each: impl FnMut(Cow<'a, str>, &'a RawValue),
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    Fields(each).deserialize(&mut json)?;
    json.end()
}

/// Calls `each` with every element of the JSON array `list`, as it is written; null is an empty list, as Go writes it.
///
/// # Errors
///
/// When `list` is neither.
pub(crate) fn elements<'a>(
    list: &'a RawValue,
    each: impl FnMut(&'a RawValue),
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(list.get());
    Elements(each).deserialize(&mut json)?;
    json.end()
}

struct Fields<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue)> DeserializeSeed<'de> for Fields<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue)> Visitor<'de> for Fields<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            (self.0)(key, map.next_value()?);
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes: as many as fit into a document are read, and few are wanted.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de RawValue)> DeserializeSeed<'de> for Elements<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.0)(item);
        }
        Ok(())
    }
}

/// A JSON object in its order, with its values still as written: each is then read on its own, so that an
/// error can name the entry, nothing that isn't needed takes memory, and no copy of a secret is made on the way.
pub(crate) struct Object<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, raw)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    pairs.push((key, raw));
                }
                Ok(Object(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn fields_and_elements_come_in_their_order_and_as_they_are_written() {
        let mut seen = Vec::new();
        fields(br#"{"a": [1, 2] ,"b":{},"\u0061":null}"#, |key, value| {
            seen.push(format!("{key}={}", value.get()))
        })
        .unwrap();
        assert_eq!(seen, ["a=[1, 2]", "b={}", "a=null"]);
        let mut seen = Vec::new();
        elements(raw(r#"[ 1, {"a" :2},null ]"#), |one| seen.push(one.get())).unwrap();
        assert_eq!(seen, ["1", r#"{"a" :2}"#, "null"]);
        elements(raw("null"), |_| panic!("it is empty")).unwrap();
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for text in ["[]", "1", "{", r#"{"a":1} x"#, r#"{"a":1}{}"#, "", "{1:2}"] {
            assert!(fields(text.as_bytes(), |_, _| {}).is_err(), "{text}");
        }
        for text in ["{}", "1", r#""x""#, "true"] {
            assert!(elements(raw(text), |_| {}).is_err(), "{text}");
        }
    }
}
