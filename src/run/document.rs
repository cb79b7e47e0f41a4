//! Bytes in, Kubernetes objects out: YAML with several documents, JSON, arrays, `List` objects.
//!
//! What a parser might take in two ways is refused: a key that stands twice, and numbers that can't be kept as they
//! are. Size, depth and number of nodes are bounded, and so is what YAML's aliases may repeat. The reader counts what each value
//! takes in memory before it keeps it (`room.rs`).
//!
//! Spec: <https://yaml.org/spec/1.2.2/>, <https://www.rfc-editor.org/rfc/rfc8259>

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{RunError, object, other, room};

/// The most that is read: a PipelineRun with hundreds of TaskRuns, each of which the API server bounds at 1.5 MiB.
pub(super) const MAX_RUN_BYTES: usize = 64 * 1024 * 1024;
/// The deepest nesting that is read; a run's deepest fields lie about 20 levels down.
pub(super) const MAX_DEPTH: usize = 100;
/// The deepest nesting of YAML, each level of which takes 21 KiB of stack in a debug build: a thread has 2 MiB.
const MAX_YAML_DEPTH: usize = 64;
/// The most nodes of a YAML file, of which an entry of an object has two: twice those of a PipelineRun with 300 TaskRuns, each
/// with 20 steps. Reading them takes about a second.
const MAX_NODES: usize = 1_000_000;
/// The most that the objects of a text up to [`LONG_BYTES`] may take in memory together: twice what a PipelineRun with 300 TaskRuns
/// takes. What is made of it, to compare it with what was signed, still fits into 128 MiB.
const MAX_MEMORY_BYTES: usize = 36 * 1024 * 1024;
/// Longer texts, such as a PipelineRun with 900 TaskRuns, may take 3.5 times their length: real runs take about three times.
const LONG_BYTES: usize = 16 * 1024 * 1024;

/// How much memory the objects of a text may take.
pub(super) const fn max_memory(text_bytes: usize) -> usize {
    if text_bytes > LONG_BYTES { text_bytes / 2 * 7 } else { MAX_MEMORY_BYTES }
}

/// The byte order mark.
const MARK: char = '\u{feff}';
/// The most documents in a YAML file.
const MAX_DOCUMENTS: usize = 10_000;
/// The largest whole number below which a float holds every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// The most nodes that all aliases of a YAML file may repeat together.
const MAX_REPEATED: usize = 100_000;

/// Every object in `bytes`, in their order.
pub(super) fn objects(bytes: &[u8]) -> Result<Vec<Value>, RunError> {
    read(bytes).map_err(|error| match error {
        RunError::NotText | RunError::Json(_) | RunError::Yaml(_) | RunError::NoRun { .. } => {
            other::known(bytes).unwrap_or(error)
        }
        error => error,
    })
}

fn read(bytes: &[u8]) -> Result<Vec<Value>, RunError> {
    if bytes.len() > MAX_RUN_BYTES {
        return Err(RunError::TooBig);
    }
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = bytes {
        return Err(RunError::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| RunError::NotText)?;
    let text = &*without_marks(text);
    match text.trim_start().bytes().next() {
        None => return Err(RunError::Empty),
        Some(b'<') => other::known(bytes).map_or(Ok(()), Err)?,
        Some(_) => {}
    }
    // JSON with `---` between its documents is YAML.
    let several = text.lines().any(|line| line.trim_end() == "---");
    let documents = room::within(max_memory(text.len()), || {
        match text.trim_start().starts_with(['{', '[']) && !several {
            true => json(text),
            false => yaml(text),
        }
    })?;
    let mut found = Vec::new();
    for document in documents {
        flatten(document, &mut found, 0)?;
    }
    Ok(found)
}

/// `text` without the byte order mark at the start of each document: files that were put together keep theirs. A mark within a text of JSON stays,
/// and so does a mark in YAML that isn't next to `---`.
fn without_marks(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    if !text.contains(MARK) {
        return Cow::Borrowed(text);
    }
    let is_json = text.trim_start().starts_with(['{', '['])
        && !text.lines().any(|line| line.trim_start_matches(MARK).trim_end() == "---");
    let mut kept = String::with_capacity(text.len());
    if is_json {
        let (mut depth, mut in_text, mut escaped) = (0_i64, false, false);
        for char in text.chars() {
            if char == '"' && !escaped {
                in_text = !in_text;
            }
            escaped = in_text && char == '\\' && !escaped;
            match char {
                '{' | '[' if !in_text => depth += 1,
                '}' | ']' if !in_text => depth -= 1,
                _ => {}
            }
            if char != MARK || in_text || depth != 0 {
                kept.push(char);
            }
        }
        return Cow::Owned(kept);
    }
    let mut begins = false;
    for line in text.split_inclusive('\n') {
        let bare = line.strip_prefix(MARK).unwrap_or(line);
        let is_mark_of_document = bare.trim_end() == "---" || bare.starts_with("--- ");
        kept.push_str(if begins || is_mark_of_document { bare } else { line });
        begins = bare.trim_end() == "---";
    }
    Cow::Owned(kept)
}

/// The objects of lists and arrays, one after the other.
fn flatten(value: Value, found: &mut Vec<Value>, depth: usize) -> Result<(), RunError> {
    if depth > 4 {
        return Err(RunError::TooDeep);
    }
    match value {
        Value::Array(items) => items.into_iter().try_for_each(|item| flatten(item, found, depth + 1)),
        Value::Object(mut fields) => {
            let Some(kind) = text(&fields, "kind").strip_suffix("List").map(str::to_owned) else {
                found.push(Value::Object(fields));
                return Ok(());
            };
            let version = text(&fields, "apiVersion").to_owned();
            let Some(Value::Array(mut items)) = fields.remove("items") else { return Ok(()) };
            // The API server's own lists don't say again what each item is; kubectl's, of kind List, do.
            for item in items.iter_mut().filter_map(Value::as_object_mut).filter(|_| !kind.is_empty()) {
                for (name, text) in [("kind", &kind), ("apiVersion", &version)] {
                    item.entry(name).or_insert_with(|| text.as_str().into());
                }
            }
            items.into_iter().try_for_each(|item| flatten(item, found, depth + 1))
        }
        Value::Null => Ok(()),
        Value::String(words) => Err(other::no_object(&words)),
        other => Err(RunError::NotAnObject(object::type_name(&other))),
    }
}

/// The text in the field `name`, or "".
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn json(text: &str) -> Result<Vec<Value>, RunError> {
    let stream = serde_json::Deserializer::from_str(text).into_iter::<Strict>();
    stream.map(|document| document.map(|strict| strict.0).map_err(RunError::Json)).collect()
}

fn yaml(text: &str) -> Result<Vec<Value>, RunError> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPEATED,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 10_000,
        },
        budget: serde_saphyr::budget! {
            max_depth: MAX_YAML_DEPTH,
            flow_nesting_limit: MAX_YAML_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_aliases: 10_000,
            max_anchors: 10_000,
            enforce_alias_anchor_ratio: false,
            max_documents: MAX_DOCUMENTS,
            max_recorded_anchor_events: MAX_NODES,
            max_total_scalar_bytes: MAX_RUN_BYTES,
        },
    };
    let documents = serde_saphyr::from_multiple_with_options::<Strict>(text, options);
    Ok(documents
        .map_err(|error| RunError::Yaml(Box::new(error)))?
        .into_iter()
        .map(|strict| strict.0)
        .collect())
}

/// A JSON value in which keys are unique and no number was changed by reading it.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if value.fract() != 0.0 {
            let number = Number::from_f64(value).map(Value::Number);
            return number.ok_or_else(|| E::custom("a number that is none"));
        }
        // An integer of more than 64 bits arrives here with its last digits lost.
        if value.abs() > EXACT {
            return Err(E::custom("a number that can't be kept as it is"));
        }
        // Kubernetes writes 1.0 as 1.
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 53 bits")]
        let whole = value as i64;
        Ok(Value::Number(whole.into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        room::take(room::TEXT_BYTES + value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, mut value: String) -> Result<Value, E> {
        room::take(room::TEXT_BYTES + value.len())?;
        value.shrink_to_fit();
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        room::take(room::LIST_BYTES)?;
        let mut found = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            room::take(room::ITEM_BYTES)?;
            found.push(item);
        }
        found.shrink_to_fit();
        Ok(Value::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        room::take(room::MAP_BYTES)?;
        let mut found: Vec<(String, Value)> = Vec::new();
        while let Some(mut key) = entries.next_key::<String>()? {
            room::take(room::ENTRY_BYTES + room::TEXT_BYTES + key.len())?;
            key.shrink_to_fit();
            let Strict(value) = entries.next_value()?;
            found.push((key, value));
        }
        object_of(found).map_err(de::Error::custom)
    }
}

/// The object of these entries; an error names the key that it has twice. Apart from what reads them, whose frames lie on the stack as
/// deep as the values are nested.
fn object_of(entries: Vec<(String, Value)>) -> Result<Value, String> {
    let mut names = HashSet::with_capacity(entries.len());
    if let Some((twice, _)) = entries.iter().find(|(name, _)| !names.insert(name)) {
        let key = crate::foreign::escape(twice, super::NAME_SHOWN_BYTES);
        return Err(format!("the key \"{key}\" stands twice in one object"));
    }
    drop(names);
    room::give_back(entries.len() * room::LISTED_ENTRY_BYTES);
    // With its length known it gets no spare room: growing entry by entry, a small object takes several times as much.
    Ok(Value::Object(entries.into_iter().collect()))
}
