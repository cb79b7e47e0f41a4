//! What the objects of one text may still take in memory.
//!
//! The readers of several documents, in JSON and in YAML, make values of a type, which can't carry what is left: so it belongs to
//! the thread while it reads. The sizes are those of the types that keep the values; objects and lists are kept without
//! spare room.

use std::cell::Cell;

use serde::de;
use serde_json::Value;

/// A text beside its letters: what the allocator adds to it.
pub(super) const TEXT_BYTES: usize = 16;
/// A value in a list.
pub(super) const ITEM_BYTES: usize = size_of::<Value>();
/// A list beside its values.
pub(super) const LIST_BYTES: usize = 16;
/// An entry of an object that is not yet complete, without the letters of its key.
pub(super) const LISTED_ENTRY_BYTES: usize = size_of::<(String, Value)>();
/// An entry of an object, without the letters of its key: it is listed until the object is complete, and then kept with a hash
/// and, twice as far as there is room, its place in a table.
pub(super) const ENTRY_BYTES: usize = 2 * LISTED_ENTRY_BYTES + 4 * size_of::<usize>();
/// An object beside its entries.
pub(super) const MAP_BYTES: usize = 96;

thread_local! {
    static LEFT: Cell<Room> = const { Cell::new(Room { bytes: 0, of: 0 }) };
}

#[derive(Clone, Copy)]
struct Room {
    /// How many bytes are left.
    bytes: usize,
    /// How many of them the limit covers.
    of: usize,
}

/// Lets `read` make values of `bytes` bytes at most.
pub(super) fn within<T>(bytes: usize, read: impl FnOnce() -> T) -> T {
    LEFT.set(Room { bytes, of: bytes });
    read()
}

/// As how many entries an object counts at least: of an object that has none, Tekton's types write some all the same.
const LEAST_ENTRIES: usize = 3;

/// What `value` takes, and what it becomes where it is written as Tekton's types write it.
pub(super) fn of(value: &Value) -> usize {
    match value {
        Value::String(text) => TEXT_BYTES + text.len(),
        Value::Array(items) => LIST_BYTES + items.iter().map(|item| ITEM_BYTES + of(item)).sum::<usize>(),
        Value::Object(fields) => {
            let missing = LEAST_ENTRIES.saturating_sub(fields.len());
            let texts = fields.iter().map(|(key, value)| TEXT_BYTES + key.len() + of(value));
            MAP_BYTES + (fields.len() + missing) * (ENTRY_BYTES - LISTED_ENTRY_BYTES) + texts.sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Counts `bytes` that are about to be kept.
///
/// # Errors
///
/// They are more than are left.
pub(super) fn take<E: de::Error>(bytes: usize) -> Result<(), E> {
    let room = LEFT.get();
    let Some(left) = room.bytes.checked_sub(bytes) else {
        let limit = room.of / 1024 / 1024;
        return Err(E::custom(format_args!(
            "it has so many values that reading it takes more than {limit} MiB of memory"
        )));
    };
    LEFT.set(Room { bytes: left, ..room });
    Ok(())
}

/// Counts `bytes` that are no longer kept.
pub(super) fn give_back(bytes: usize) {
    let room = LEFT.get();
    LEFT.set(Room { bytes: room.bytes.saturating_add(bytes).min(room.of), ..room });
}
