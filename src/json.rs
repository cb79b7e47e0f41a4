//! Strict JSON parsing, without duplicate keys and within a memory limit.
//!
//! Parsers disagree on the value of a duplicate key, so one program could check a value and another act on a different value.
//! Documents with duplicate keys are rejected, and so is trailing data.
//!
//! A document of a few megabytes can take a hundred times its length in memory (`[[],[],…]`). So the parser counts the memory of
//! each value before it keeps it, and stops at the [`MemoryLimit`].
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc8259#section-4>

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The most memory that a parsed document may take, beside its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    memory_bytes: usize,
}

impl MemoryLimit {
    /// A limit of `bytes`, compared with an estimate from the sizes of the value types.
    pub const fn memory(bytes: usize) -> Self {
        Self { memory_bytes: bytes }
    }
}

/// Parses one JSON document. `serde_json` limits nesting to 128 levels.
///
/// # Errors
///
/// The document isn't JSON, has a duplicate key, takes more memory than `limit`, or has trailing data.
pub fn value(bytes: &[u8], limit: MemoryLimit) -> Result<Value, serde_json::Error> {
    read(bytes, KeepMode::All, KeptPart::Whole, limit)
}

/// Checks one JSON document as [`value`] does, and keeps nothing: only the keys of the objects that are open at a time
/// count for `limit`.
///
/// # Errors
///
/// The same as for [`value`].
pub fn check(bytes: &[u8], limit: MemoryLimit) -> Result<(), serde_json::Error> {
    read(bytes, KeepMode::Nothing, KeptPart::Whole, limit).map(drop)
}

/// Parses one JSON document as [`value`] does, but only checks the value of the top-level key `skipped`, as [`check`] does.
///
/// # Errors
///
/// The same as for [`value`], also in the skipped part.
pub(crate) fn value_without(
    bytes: &[u8],
    skipped: &str,
    limit: MemoryLimit,
) -> Result<Value, serde_json::Error> {
    read(bytes, KeepMode::All, KeptPart::Without(skipped), limit)
}

/// Parses one JSON document as [`value`] does, but keeps only `parts` of it. The rest is checked as by [`check`].
///
/// # Errors
///
/// The same as for [`value`], also in the parts that aren't kept.
pub(crate) fn value_with(
    bytes: &[u8],
    parts: &KeptPaths,
    limit: MemoryLimit,
) -> Result<Value, serde_json::Error> {
    read(bytes, KeepMode::All, parts.part(), limit)
}

/// The parts of a document that the parser keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptPaths {
    /// Keep the whole value.
    whole: bool,
    /// The parts to keep under each key of an object.
    names: HashMap<String, KeptPaths>,
    /// The parts to keep of each value in an object or a list.
    each: Option<Box<KeptPaths>>,
}

/// One step of a path into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// The value under this key of an object.
    Name(String),
    /// Each value in a list or an object.
    Each,
}

impl KeptPaths {
    /// Also keeps the value at `path`, with everything in it.
    pub fn add(&mut self, path: &[PathStep]) {
        match path.split_first() {
            None => self.whole = true,
            Some((PathStep::Name(name), rest)) => self.names.entry(name.clone()).or_default().add(rest),
            Some((PathStep::Each, rest)) => self.each.get_or_insert_default().add(rest),
        }
    }

    fn part(&self) -> KeptPart<'_> {
        if self.whole { KeptPart::Whole } else { KeptPart::Only(self) }
    }

    /// The part to keep of the value under `key`; `None` if nothing.
    fn of(&self, key: &str) -> Option<KeptPart<'_>> {
        match (self.names.get(key), &self.each) {
            (Some(_), Some(_)) => Some(KeptPart::Whole),
            (Some(inner), None) => Some(inner.part()),
            (None, each) => each.as_ref().map(|inner| inner.part()),
        }
    }
}

/// Checks one JSON document as [`value`] does, then deserializes it as a `T`. Each value counts for `limit` as in [`value`].
///
/// # Errors
///
/// The same as for [`value`], or the document isn't a `T`.
pub(crate) fn typed<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    limit: MemoryLimit,
) -> Result<T, serde_json::Error> {
    read(bytes, KeepMode::Counts, KeptPart::Whole, limit)?;
    serde_json::from_slice(bytes)
}

fn read(
    bytes: &[u8],
    keeps: KeepMode,
    part: KeptPart<'_>,
    limit: MemoryLimit,
) -> Result<Value, serde_json::Error> {
    let budget = MemoryBudget { left: Cell::new(limit.memory_bytes), limit };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let document = ValueReader { keeps, part, budget: &budget }.deserialize(&mut json)?;
    json.end()?;
    Ok(document)
}

/// The remaining memory of a limit.
#[derive(Debug)]
struct MemoryBudget {
    left: Cell<usize>,
    limit: MemoryLimit,
}

/// The memory of a value in a list. Lists grow by doubling.
const ITEM_BYTES: usize = 2 * size_of::<Value>();
/// The additional memory of a list's first item: a list begins with room for four.
const LIST_BYTES: usize = 2 * size_of::<Value>() + TEXT_BYTES;
/// The memory of a map entry without the text of its key: a hash, the key and the value in a list that grows by doubling,
/// and a slot in a table of twice the size.
const ENTRY_BYTES: usize = 2 * (size_of::<usize>() + size_of::<String>() + size_of::<Value>()) + 32;
/// The additional memory of a map's first entries: room for two more, and the table.
const MAP_BYTES: usize = ENTRY_BYTES + 64;
/// The memory of a key that is only compared: a slot in a set that grows by doubling.
const KEY_BYTES: usize = 64;
/// The overhead of an allocation.
const TEXT_BYTES: usize = 16;

impl MemoryBudget {
    fn take<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom(format_args!(
                "it has so many values that reading it takes more than {} KiB of memory",
                self.limit.memory_bytes / 1024
            ))),
        }
    }

    fn give_back(&self, bytes: usize) {
        self.left.set(self.left.get().saturating_add(bytes));
    }
}

/// Whether the parser keeps a value, and whether it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepMode {
    /// The value is kept and counts.
    All,
    /// An empty value of the same type replaces it. Its keys count only while they are compared.
    Nothing,
    /// An empty value of the same type replaces it, but it counts as if it were kept.
    Counts,
}

/// Deserializes a value and checks all of it.
#[derive(Clone, Copy)]
struct ValueReader<'a> {
    keeps: KeepMode,
    /// The part to keep, if the value is kept.
    part: KeptPart<'a>,
    budget: &'a MemoryBudget,
}

/// The part of a value that the parser keeps.
#[derive(Clone, Copy)]
enum KeptPart<'a> {
    /// The whole value is kept.
    Whole,
    /// Everything but the value under this key is kept, if it is an object.
    Without(&'a str),
    /// Only these parts are kept, if it is an object or a list.
    Only(&'a KeptPaths),
}

impl<'a> ValueReader<'a> {
    fn inner(self, keeps: KeepMode) -> Self {
        Self { keeps, part: KeptPart::Whole, budget: self.budget }
    }

    /// A reader for an inner value that keeps `part` of it.
    fn some(self, part: Option<KeptPart<'a>>) -> Self {
        match part {
            Some(part) => Self { keeps: KeepMode::All, part, budget: self.budget },
            None => self.inner(KeepMode::Nothing),
        }
    }

    /// The part to keep of the value under `key` in this object; `None` if nothing.
    fn under(self, key: &str) -> Option<KeptPart<'a>> {
        match self.part {
            KeptPart::Whole => Some(KeptPart::Whole),
            KeptPart::Without(skipped) => (skipped != key).then_some(KeptPart::Whole),
            KeptPart::Only(parts) => parts.of(key),
        }
    }

    fn take<E: de::Error>(self, bytes: usize) -> Result<(), E> {
        if self.keeps == KeepMode::Nothing { Ok(()) } else { self.budget.take(bytes) }
    }

    /// Reads the entries of an object that isn't kept, and compares their keys.
    fn keys<'de, A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        let mut taken = 0;
        while let Some(key) = entries.next_key::<Box<str>>()? {
            let bytes = KEY_BYTES + TEXT_BYTES + key.len();
            self.budget.take(bytes)?;
            taken += bytes;
            if self.keeps == KeepMode::Counts {
                self.budget.take(ENTRY_BYTES)?;
            }
            if keys.contains(&key) {
                return Err(twice(&key));
            }
            keys.insert(key);
            entries.next_value_seed(self.inner(self.keeps))?;
        }
        self.budget.give_back(taken);
        Ok(())
    }
}

fn twice<E: de::Error>(key: &str) -> E {
    E::custom(format_args!("the key \"{}\" appears twice", crate::foreign::escape(key, 80)))
}

impl<'de> DeserializeSeed<'de> for ValueReader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueReader<'_> {
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

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.take(TEXT_BYTES + value.len())?;
        Ok(Value::String(if self.keeps == KeepMode::All { value.to_owned() } else { String::new() }))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        let inner = match (self.keeps, self.part) {
            (KeepMode::All, KeptPart::Only(parts)) => {
                self.some(parts.each.as_ref().map(|inner| inner.part()))
            }
            _ => self.inner(self.keeps),
        };
        let mut more = LIST_BYTES;
        while let Some(item) = items.next_element_seed(inner)? {
            inner.take(ITEM_BYTES + std::mem::take(&mut more))?;
            if inner.keeps == KeepMode::All {
                all.push(item);
            }
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        if self.keeps != KeepMode::All {
            self.take(MAP_BYTES)?;
            self.keys(entries)?;
            return Ok(Value::Object(all));
        }
        // Skipped entries keep only their keys, until all keys are compared.
        let mut others = HashSet::new();
        let mut taken = 0;
        while let Some(key) = entries.next_key::<String>()? {
            if all.contains_key(&key) || others.contains(&key) {
                return Err(twice(&key));
            }
            let part = self.under(&key);
            if part.is_some() {
                self.take(ENTRY_BYTES + TEXT_BYTES + key.len() + if all.is_empty() { MAP_BYTES } else { 0 })?;
            } else {
                let bytes = KEY_BYTES + TEXT_BYTES + key.len();
                self.take(bytes)?;
                taken += bytes;
            }
            let value = entries.next_value_seed(self.some(part))?;
            if part.is_some() {
                all.insert(key, value);
            } else {
                others.insert(key);
            }
        }
        self.budget.give_back(taken);
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: MemoryLimit = MemoryLimit::memory(1024 * 1024);
    const PLENTY: MemoryLimit = MemoryLimit::memory(512 * 1024 * 1024);

    #[test]
    fn a_document_without_duplicate_keys_is_parsed() {
        let text = r#"{"a":[1,-2,3.5,null,true,"x"],"b":{"a":{}}}"#;
        let want: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value(text.as_bytes(), ENOUGH).unwrap(), want);
        assert_eq!(typed::<Value>(text.as_bytes(), ENOUGH).unwrap(), want);
    }

    #[test]
    fn duplicate_keys_and_trailing_data_are_rejected() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, "{} {}", "{}x", "", "{", "[1,]"] {
            assert!(value(text.as_bytes(), ENOUGH).is_err(), "{text}");
            assert!(check(text.as_bytes(), ENOUGH).is_err(), "{text}");
            assert!(typed::<Value>(text.as_bytes(), ENOUGH).is_err(), "{text}");
        }
        assert!(value("[".repeat(100_000).as_bytes(), ENOUGH).is_err());
    }

    #[test]
    fn skipped_parts_are_checked_too() {
        let text = r#"{"a":{"b":[1,"x"]},"p":{"q":[{"r":"s"}],"p":1},"z":0}"#;
        let kept = value_without(text.as_bytes(), "p", ENOUGH).unwrap();
        assert_eq!(kept.to_string(), r#"{"a":{"b":[1,"x"]},"z":0}"#);
        assert_eq!(value_without(b"[1]", "p", ENOUGH).unwrap(), serde_json::json!([1]));
        for bad in [
            r#"{"p":{"q":{"r":1,"r":2}}}"#,
            r#"{"p":[{"q":1,"q":1}]}"#,
            r#"{"p":1,"p":2}"#,
            r#"{"p":1} x"#,
            r#"{"p":1"#,
        ] {
            assert!(value(bad.as_bytes(), ENOUGH).is_err(), "{bad}");
            assert!(value_without(bad.as_bytes(), "p", ENOUGH).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_requested_parts_are_kept() {
        let text =
            r#"{"a":{"b":[{"c":1,"d":2},{"d":3},[4]],"e":"x"},"f":{"g":{},"h":{"c":5}},"i":[1,{"c":2}]}"#;
        let name = |name: &str| PathStep::Name(name.to_owned());
        for (paths, want) in [
            (vec![], r#"{}"#),
            (vec![vec![]], text),
            (vec![vec![name("a"), name("e")]], r#"{"a":{"e":"x"}}"#),
            (vec![vec![name("a"), name("b")]], r#"{"a":{"b":[{"c":1,"d":2},{"d":3},[4]]}}"#),
            (vec![vec![name("a"), name("b"), PathStep::Each, name("c")]], r#"{"a":{"b":[{"c":1},{},[]]}}"#),
            (vec![vec![name("a"), name("b"), name("c")]], r#"{"a":{"b":[]}}"#),
            (vec![vec![name("f"), PathStep::Each, name("c")]], r#"{"f":{"g":{},"h":{"c":5}}}"#),
            (
                vec![vec![name("i"), PathStep::Each, name("x")], vec![name("a"), name("e")]],
                r#"{"a":{"e":"x"},"i":[1,{}]}"#,
            ),
            (vec![vec![name("z")], vec![name("a"), name("e"), name("y")]], r#"{"a":{"e":"x"}}"#),
        ] {
            let mut parts = KeptPaths::default();
            paths.iter().for_each(|path| parts.add(path));
            let kept = value_with(text.as_bytes(), &parts, ENOUGH).unwrap();
            assert_eq!(kept.to_string(), want, "{paths:?}");
            for bad in [
                r#"{"f":{"r":1,"r":2}}"#,
                r#"{"f":1,"f":2}"#,
                r#"{"a":1,"a":2}"#,
                r#"{"i":[{"q":1,"q":1}]}"#,
                "{} x",
            ] {
                assert!(value_with(bad.as_bytes(), &parts, ENOUGH).is_err(), "{bad}: {paths:?}");
            }
        }
        // Skipped values take no memory; kept values count.
        let mut parts = KeptPaths::default();
        parts.add(&[name("a")]);
        let many = vec!["[]"; 100_000].join(",");
        let of = |key: &str| format!(r#"{{"{key}":[{many}],"z":0}}"#);
        assert_eq!(value_with(of("b").as_bytes(), &parts, ENOUGH).unwrap().to_string(), "{}");
        assert!(value_with(of("a").as_bytes(), &parts, ENOUGH).is_err());
    }

    /// Documents that take much more memory than their length, one for each technique.
    fn swollen() -> Vec<String> {
        let many = |item: &str| format!("[{}{item}]", format!("{item},").repeat(100_000));
        let keys: Vec<String> = (0..100_000).map(|number| format!("\"{number}\":0")).collect();
        vec![
            many("0"),
            many("[]"),
            many("{}"),
            many("\"\""),
            many(r#"{"a":0}"#),
            many("[0]"),
            many("[[[[0]]]]"),
            many(r#"{"a":{"a":{"a":0}}}"#),
            format!("{{{}}}", keys.join(",")),
            many(&format!("\"{}\"", "x".repeat(50))),
        ]
    }

    #[test]
    fn the_memory_limit_stops_parsing() {
        for text in swollen() {
            let start = text.get(..20).unwrap();
            for limited in [
                value(text.as_bytes(), ENOUGH).map(drop),
                value_without(text.as_bytes(), "p", ENOUGH).map(drop),
                typed::<de::IgnoredAny>(text.as_bytes(), ENOUGH).map(drop),
            ] {
                let message = limited.unwrap_err().to_string();
                assert!(message.contains("more than 1024 KiB of memory"), "{start}: {message}");
            }
            assert!(value(text.as_bytes(), PLENTY).is_ok(), "{start}");
        }
    }

    #[test]
    fn skipped_keys_count_while_they_are_compared() {
        for text in swollen() {
            let large = text.starts_with(r#"{"0":0"#);
            assert_eq!(check(text.as_bytes(), ENOUGH).is_err(), large, "{}", text.get(..20).unwrap());
            let under = format!(r#"{{"p":{text},"a":1}}"#);
            assert_eq!(value_without(under.as_bytes(), "p", ENOUGH).is_err(), large);
        }
        let objects = format!(r#"[{}0]"#, r#"{"key":{"key":1}},"#.repeat(100_000));
        assert!(
            check(objects.as_bytes(), MemoryLimit::memory(1024)).is_ok(),
            "a closed object returns its memory"
        );
    }

    /// The estimate is at least the memory that the kept values take, by the sizes of their types.
    #[test]
    fn the_estimate_is_an_upper_bound() {
        fn least(value: &Value) -> usize {
            match value {
                Value::String(text) => text.capacity(),
                Value::Array(items) => {
                    items.capacity() * size_of::<Value>() + items.iter().map(least).sum::<usize>()
                }
                Value::Object(entries) => entries
                    .iter()
                    .map(|(key, value)| {
                        size_of::<usize>()
                            + size_of::<String>()
                            + size_of::<Value>()
                            + key.capacity()
                            + least(value)
                    })
                    .sum(),
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            }
        }
        for text in swollen() {
            let kept = value(text.as_bytes(), PLENTY).unwrap();
            let limit = MemoryLimit::memory(least(&kept) - 1);
            assert!(value(text.as_bytes(), limit).is_err(), "{}", text.get(..20).unwrap());
        }
    }
}
