//! JSON that says each thing once.
//!
//! Where a key stands twice, one reader takes the first value and another the last: what one of them has checked is
//! then not what the other acts on. Such a document is refused, as is anything behind its end.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one JSON document; nesting is limited by `serde_json` (128 levels).
///
/// # Errors
///
/// When it isn't JSON, has a key twice in an object, or something follows it.
pub fn value(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(bytes).map(|strict| strict.0)
}

/// Checks one JSON document as [`value`] does, and keeps nothing of it.
///
/// # Errors
///
/// As of [`value`].
pub fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Reader { keeps: false, skipped: None }.deserialize(&mut json)?;
    json.end()
}

/// Reads one JSON document as [`value`] does, and keeps nothing of what stands under `skipped` in its outermost object.
///
/// # Errors
///
/// As of [`value`], also for what isn't kept.
pub fn value_without(bytes: &[u8], skipped: &str) -> Result<Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let document = Reader { keeps: true, skipped: Some(skipped) }.deserialize(&mut json)?;
    json.end()?;
    Ok(document)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Reader { keeps: true, skipped: None }.deserialize(deserializer).map(Self)
    }
}

/// Reads a value, and checks it to its end.
#[derive(Clone, Copy)]
struct Reader<'a> {
    /// Whether it is kept; otherwise something empty of its kind stands for it.
    keeps: bool,
    /// The key of this object, if it is one, whose value isn't kept.
    skipped: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(if self.keeps { value.to_owned() } else { String::new() }))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(if self.keeps { value } else { String::new() }))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        let inner = Reader { keeps: self.keeps, skipped: None };
        while let Some(item) = items.next_element_seed(inner)? {
            if self.keeps {
                all.push(item);
            }
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let keeps = self.keeps && self.skipped.is_none_or(|skipped| skipped != key);
            let value = entries.next_value_seed(Reader { keeps, skipped: None })?;
            if all.contains_key(&key) {
                let key = crate::foreign::shown(&key, 80);
                return Err(de::Error::custom(format!("the key \"{key}\" appears twice")));
            }
            all.insert(key, value);
        }
        if !self.keeps {
            all.clear();
        }
        if let Some(skipped) = self.skipped {
            all.remove(skipped);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_once_is_read_as_ever() {
        let text = r#"{"a":[1,-2,3.5,null,true,"x"],"b":{"a":{}}}"#;
        assert_eq!(value(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn what_is_said_twice_or_goes_on_is_refused() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, "{} {}", "{}x", "", "{", "[1,]"] {
            assert!(value(text.as_bytes()).is_err(), "{text}");
        }
        assert!(value("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn what_is_not_kept_is_checked_all_the_same() {
        let text = r#"{"a":{"b":[1,"x"]},"p":{"q":[{"r":"s"}],"p":1}}"#;
        let kept = value_without(text.as_bytes(), "p").unwrap();
        assert_eq!(kept, serde_json::json!({ "a": { "b": [1, "x"] } }));
        assert_eq!(value_without(b"[1]", "p").unwrap(), serde_json::json!([1]));
        for bad in [
            r#"{"p":{"q":{"r":1,"r":2}}}"#,
            r#"{"p":[{"q":1,"q":1}]}"#,
            r#"{"p":1,"p":2}"#,
            r#"{"p":1} x"#,
            r#"{"p":1"#,
        ] {
            assert!(value(bad.as_bytes()).is_err() && value_without(bad.as_bytes(), "p").is_err(), "{bad}");
        }
    }
}
