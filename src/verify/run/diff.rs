//! Where two JSON documents differ, by path.
//!
//! Order counts, but for the lists that `order` names. The work grows with the size of the documents alone, whatever
//! they hold: each value is looked at once, items are found by name in maps, and no more differences are gathered than
//! [`GATHERED`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::clock::Clock;
use super::place::Place;
use super::{PAYLOAD, RunRefusal, order};
use crate::{chains, foreign, json};

/// Above this number of differences, only their number is reported.
pub(super) const TOLD: usize = 40;
/// More than these aren't looked for: what was signed and what is there now have little in common then.
pub(super) const GATHERED: usize = 1000;
/// The longest piece of a value that is shown, in bytes.
const SHOWN_BYTES: usize = 160;
/// How much text is made of lists to see that only their order changed, in bytes. Longer lists differ item by item.
const ORDERED_BYTES: usize = 8 * 1024 * 1024;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, as `predicate.buildDefinition.externalParameters.runSpec.params[name=x].value`.
    pub path: String,
    /// What is signed; `None`: nothing.
    pub signed: Option<String>,
    /// What the run says now; `None`: nothing.
    pub now: Option<String>,
    /// Whether a list has the same items in another order.
    pub reordered: bool,
}

/// Every difference between what is `signed` and what the run says `now`, up to [`GATHERED`].
///
/// # Errors
///
/// When the time is over.
pub(super) fn differences(signed: &Value, now: &Value, clock: &Clock) -> Result<Vec<Difference>, RunRefusal> {
    let mut diff = Diff { clock, found: Vec::new(), text_left: ORDERED_BYTES };
    diff.walk(&Place::ROOT, Some(signed), Some(now))?;
    Ok(diff.found)
}

struct Diff<'c> {
    clock: &'c Clock,
    found: Vec<Difference>,
    /// How much text may still be made of lists.
    text_left: usize,
}

impl Diff<'_> {
    fn walk(
        &mut self,
        place: &Place<'_>,
        signed: Option<&Value>,
        now: Option<&Value>,
    ) -> Result<(), RunRefusal> {
        self.clock.step()?;
        if self.is_full() {
            return Ok(());
        }
        if order::has_later_annotations(place) && is_map(signed) && is_map(now) {
            return self.annotations(place, signed, now);
        }
        match (signed, now) {
            (Some(Value::Object(one)), Some(Value::Object(two))) => {
                let keys: BTreeSet<&str> = one.keys().chain(two.keys()).map(String::as_str).collect();
                keys.into_iter().try_for_each(|key| self.field(&place.key(key), one.get(key), two.get(key)))
            }
            (Some(Value::Array(one)), Some(Value::Array(two))) => self.lists(place, one, two),
            // What a list lacks counts for each item, also where all of them, and the list with them, are missing.
            (Some(Value::Array(one)), None) if !one.is_empty() => self.lists(place, one, &[]),
            (None, Some(Value::Array(two))) if !two.is_empty() => self.lists(place, &[], two),
            (one, two) => {
                if one != two {
                    self.found.push(difference(place, signed, now));
                }
                Ok(())
            }
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= GATHERED
    }

    fn field(
        &mut self,
        place: &Place<'_>,
        signed: Option<&Value>,
        now: Option<&Value>,
    ) -> Result<(), RunRefusal> {
        if order::is_content(place) && signed != now {
            // A result's value is in the provenance as base64 of its JSON, and so is a whole TaskRun.
            if let (Some(signed), Some(now)) = (signed.and_then(decoded), now.and_then(decoded)) {
                return self.walk(place, Some(&signed), Some(&now));
            }
        }
        self.walk(place, signed, now)
    }

    /// Annotations but for those of Chains; none are the same as no map of them.
    fn annotations(
        &mut self,
        place: &Place<'_>,
        signed: Option<&Value>,
        now: Option<&Value>,
    ) -> Result<(), RunRefusal> {
        let none = Map::new();
        let one = signed.and_then(Value::as_object).unwrap_or(&none);
        let two = now.and_then(Value::as_object).unwrap_or(&none);
        let keys: BTreeSet<&str> = one.keys().chain(two.keys()).map(String::as_str).collect();
        let mut others = keys.into_iter().filter(|key| !key.starts_with(chains::PREFIX));
        others.try_for_each(|key| self.walk(&place.key(key), one.get(key), two.get(key)))
    }

    fn lists(&mut self, place: &Place<'_>, one: &[Value], two: &[Value]) -> Result<(), RunRefusal> {
        let is_set = order::is_set(place);
        for field in ["name", "uri"] {
            if let (Some(ones), Some(twos)) = (named(one, field), named(two, field)) {
                return self.named_lists(place, field, (&ones, &twos), is_set);
            }
        }
        if is_set {
            let (one, two) = only_in_either(one, two);
            return self.items(place, &one, &two);
        }
        let before = self.found.len();
        let (ones, twos): (Vec<&Value>, Vec<&Value>) = (one.iter().collect(), two.iter().collect());
        self.items(place, &ones, &twos)?;
        if self.found.len() > before && !self.is_full() && self.is_same_in_another_order(one, two) {
            self.found.truncate(before);
            self.found.push(reordered(place, &ones, &twos));
        }
        Ok(())
    }

    /// Lists whose items are found by a name that each of them has for itself.
    fn named_lists(
        &mut self,
        place: &Place<'_>,
        field: &str,
        (one, two): (&Named<'_>, &Named<'_>),
        is_set: bool,
    ) -> Result<(), RunRefusal> {
        let names: BTreeSet<&str> = one.names.iter().chain(&two.names).copied().collect();
        for name in names {
            let (one, two) = (one.items.get(name).copied(), two.items.get(name).copied());
            self.walk(&place.named(field, name), one, two)?;
        }
        let in_both = |of: &Named<'_>, other: &Named<'_>| -> Vec<Value> {
            let names = of.names.iter().filter(|name| other.items.contains_key(*name));
            names.map(|name| Value::from(*name)).collect()
        };
        let (ones, twos) = (in_both(one, two), in_both(two, one));
        if !is_set && ones != twos && !self.is_full() {
            let (ones, twos): (Vec<&Value>, Vec<&Value>) = (ones.iter().collect(), twos.iter().collect());
            self.found.push(reordered(place, &ones, &twos));
        }
        Ok(())
    }

    fn items(&mut self, place: &Place<'_>, one: &[&Value], two: &[&Value]) -> Result<(), RunRefusal> {
        for at in 0..one.len().max(two.len()) {
            self.walk(&place.item(at), one.get(at).copied(), two.get(at).copied())?;
        }
        Ok(())
    }

    /// Whether the lists have the same items, as far as that can be seen with the text that is left.
    fn is_same_in_another_order(&mut self, one: &[Value], two: &[Value]) -> bool {
        if one.len() != two.len() {
            return false;
        }
        let mut sorted = |list: &[Value]| {
            let mut texts = Vec::new();
            for item in list {
                let text = canonical(item, self.text_left)?;
                self.text_left -= text.len();
                texts.push(text);
            }
            texts.sort_unstable();
            Some(texts)
        };
        matches!((sorted(one), sorted(two)), (Some(one), Some(two)) if one == two)
    }
}

fn is_map(value: Option<&Value>) -> bool {
    matches!(value, None | Some(Value::Null | Value::Object(_)))
}

/// The items of a list by their names.
struct Named<'a> {
    /// In the order of the list.
    names: Vec<&'a str>,
    items: HashMap<&'a str, &'a Value>,
}

/// The items of a list, if each has a name of its own.
fn named<'a>(list: &'a [Value], field: &str) -> Option<Named<'a>> {
    let mut found = Named { names: Vec::new(), items: HashMap::new() };
    for item in list {
        let name = item.get(field)?.as_str()?;
        found.names.push(name);
        if found.items.insert(name, item).is_some() {
            return None;
        }
    }
    Some(found)
}

/// The items of each list that the other list lacks; a repeated item counts each time.
fn only_in_either<'a>(one: &'a [Value], two: &'a [Value]) -> (Vec<&'a Value>, Vec<&'a Value>) {
    let texts = |list: &[Value]| -> Vec<String> {
        list.iter().map(|item| canonical(item, usize::MAX).unwrap_or_default()).collect()
    };
    let (texts_one, texts_two) = (texts(one), texts(two));
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, text) in texts_two.iter().enumerate() {
        places.entry(text).or_default().push(at);
    }
    let mut paired = HashSet::new();
    let lost = one.iter().zip(&texts_one).filter(|(_, text)| {
        match places.get_mut(text.as_str()).and_then(Vec::pop) {
            Some(at) => {
                paired.insert(at);
                false
            }
            None => true,
        }
    });
    let lost = lost.map(|(item, _)| item).collect();
    let new = two.iter().enumerate().filter(|(at, _)| !paired.contains(at)).map(|(_, item)| item);
    (lost, new.collect())
}

fn decoded(value: &Value) -> Option<Value> {
    json::value(&STANDARD.decode(value.as_str()?).ok()?, PAYLOAD).ok()
}

fn difference(place: &Place<'_>, signed: Option<&Value>, now: Option<&Value>) -> Difference {
    let shown = |value: &Value| shown(|text| write!(text, "{value}"));
    Difference { path: place.shown(), signed: signed.map(shown), now: now.map(shown), reordered: false }
}

/// That two lists have the same items in another order; what they begin with alike isn't shown.
fn reordered<'v>(place: &Place<'_>, one: &[&'v Value], two: &[&'v Value]) -> Difference {
    let alike = one.iter().zip(two).take_while(|(one, two)| one == two).count();
    let list = |items: &[&Value]| {
        shown(|text| {
            text.write_str(if alike > 0 { "[…" } else { "[" })?;
            for (at, item) in items.iter().enumerate().skip(alike) {
                write!(text, "{}{item}", if at > 0 { "," } else { "" })?;
            }
            text.write_str("]")
        })
    };
    Difference { path: place.shown(), signed: Some(list(one)), now: Some(list(two)), reordered: true }
}

/// What `write` writes, as far as it is shown: no more is made of a value of many megabytes.
fn shown(write: impl Fn(&mut Beginning) -> fmt::Result) -> String {
    let mut beginning = Beginning(String::new());
    // It fails where enough is there.
    let _ = write(&mut beginning);
    foreign::escape(&beginning.0, SHOWN_BYTES)
}

/// The beginning of a text, a little more than is shown.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() > SHOWN_BYTES {
            return Err(fmt::Error);
        }
        self.0.extend(text.chars().take(SHOWN_BYTES + 1));
        Ok(())
    }
}

/// The JSON of `value` with the keys of its objects sorted, and nothing that could be taken for something else; `None`: it
/// has more than `limit` bytes.
fn canonical(value: &Value, limit: usize) -> Option<String> {
    fn write(value: &Value, text: &mut String, limit: usize) -> Option<()> {
        match value {
            Value::Array(items) => {
                text.push('[');
                for item in items {
                    write(item, text, limit)?;
                    text.push(',');
                }
                text.push(']');
            }
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_unstable_by_key(|(key, _)| *key);
                text.push('{');
                for (key, item) in fields {
                    text.push_str(&serde_json::to_string(key).ok()?);
                    text.push(':');
                    write(item, text, limit)?;
                    text.push(',');
                }
                text.push('}');
            }
            scalar => text.push_str(&scalar.to_string()),
        }
        (text.len() <= limit).then_some(())
    }
    let mut text = String::new();
    write(value, &mut text, limit)?;
    Some(text)
}

#[cfg(test)]
mod tests;
