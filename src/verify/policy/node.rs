//! A value of a policy file with its location, which every error names.

use std::time::Duration;

use serde_json::Value;

use super::PolicyError;
use super::schema::{self, Kind};
use crate::blank::{is_blank, is_invisible};
use crate::foreign;

/// A value with its path in the file and its path in the table of fields.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    value: &'a Value,
    place: String,
    field: String,
}

impl<'a> Node<'a> {
    /// The whole file.
    pub(super) fn root(value: &'a Value) -> Result<Self, PolicyError> {
        let root = Self { value, place: String::new(), field: String::new() };
        root.check_keys()?;
        Ok(root)
    }

    /// An error about this place.
    pub(super) fn wrong(&self, what: impl Into<String>) -> PolicyError {
        let place = if self.place.is_empty() { "the file".to_owned() } else { self.place.clone() };
        PolicyError::Place { place: foreign::escape(&place, 200), what: what.into() }
    }

    /// The value below the key `name`; `None`: there is none.
    pub(super) fn get(&self, name: &str) -> Result<Option<Self>, PolicyError> {
        self.child(name, name)
    }

    fn child(&self, name: &str, field: &str) -> Result<Option<Self>, PolicyError> {
        let Some(value) = self.value.get(name) else { return Ok(None) };
        let dotted = |before: &str, name: &str| {
            if before.is_empty() { name.to_owned() } else { format!("{before}.{name}") }
        };
        let node = Self { value, place: dotted(&self.place, name), field: dotted(&self.field, field) };
        let kind = schema::FIELDS.iter().find(|known| known.path == node.field).map(|known| known.kind);
        node.check_kind(kind)?;
        Ok(Some(node))
    }

    /// The value below a key that must be there, as the table says.
    pub(super) fn need(&self, name: &str) -> Result<Self, PolicyError> {
        self.get(name)?.ok_or_else(|| self.wrong(format!("{name} is missing")))
    }

    /// The members of an object whose names are free, as of signers: name and value. There must be one at least, and no name may be blank.
    pub(super) fn named(&self) -> Result<Vec<(String, Self)>, PolicyError> {
        let any = schema::below(&self.field).map(|(name, _)| name).find(|name| schema::is_any(name));
        let (Some(entries), Some(any)) = (self.value.as_object(), any) else { return Ok(Vec::new()) };
        if entries.is_empty() {
            return Err(self.wrong("it is empty"));
        }
        if let Some(blank) = entries.keys().find(|name| is_blank(name)) {
            return Err(self.wrong(format!("the name {blank:?} is blank")));
        }
        let mut all = Vec::new();
        for name in entries.keys() {
            if let Some(node) = self.child(name, any)? {
                all.push((name.clone(), node));
            }
        }
        Ok(all)
    }

    /// The items of a list; it must have one at least.
    pub(super) fn items(&self) -> Result<Vec<Self>, PolicyError> {
        let items = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return Err(self.wrong("the list is empty"));
        }
        let node = |(at, value): (usize, &'a Value)| {
            let node =
                Self { value, place: format!("{}[{at}]", self.place), field: format!("{}[]", self.field) };
            let listed = schema::FIELDS.iter().find(|known| known.path == node.field);
            node.check_kind(Some(listed.map_or(Kind::Object, |known| known.kind)))?;
            Ok(node)
        };
        items.iter().enumerate().map(node).collect()
    }

    /// Its text.
    pub(super) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    pub(super) fn is_true(&self) -> bool {
        self.value.as_bool().unwrap_or_default()
    }

    pub(super) fn number(&self) -> usize {
        self.value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX)
    }

    pub(super) fn duration(&self) -> Duration {
        humantime::parse_duration(self.text()).unwrap_or_default()
    }

    fn check_kind(&self, kind: Option<Kind>) -> Result<(), PolicyError> {
        let Some(kind) = kind else { return Ok(()) };
        let fits = match kind {
            Kind::Object => self.value.is_object(),
            Kind::List => self.value.is_array(),
            // The value of an annotation may be a separator alone: it is compared as it is.
            Kind::Text if self.field.ends_with(".KEY") => {
                self.value.as_str().is_some_and(|text| !is_invisible(text))
            }
            Kind::Text => self.value.as_str().is_some_and(|text| !is_blank(text)),
            Kind::Number => self.value.as_u64().is_some_and(|number| number > 0),
            Kind::Duration => {
                let duration = self.value.as_str().and_then(|text| humantime::parse_duration(text).ok());
                duration.is_some_and(|duration| !duration.is_zero())
            }
            Kind::Switch => self.value.is_boolean(),
        };
        if !fits {
            let found = foreign::escape(&self.value.to_string(), 80);
            return Err(self.wrong(format!("{found} is no {}", kind.name())));
        }
        if kind == Kind::Object { self.check_keys() } else { Ok(()) }
    }

    /// Every key must be in the table, and every needed key of the table here.
    fn check_keys(&self) -> Result<(), PolicyError> {
        let Some(entries) = self.value.as_object() else { return Err(self.wrong("it is no object")) };
        let known: Vec<_> = schema::below(&self.field).collect();
        if known.iter().any(|(name, _)| schema::is_any(name)) {
            return Ok(());
        }
        if let Some(unknown) = entries.keys().find(|key| !known.iter().any(|(name, _)| name == key)) {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let unknown = foreign::escape(unknown, 80);
            return Err(self.wrong(format!("the key {unknown:?} is unknown; known are {}", names.join(", "))));
        }
        match known.iter().find(|(name, field)| field.required && !entries.contains_key(*name)) {
            Some((name, _)) => Err(self.wrong(format!("{name} is missing"))),
            None => Ok(()),
        }
    }
}
