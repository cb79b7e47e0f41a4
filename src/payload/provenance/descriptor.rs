//! Things by URI and digest: a material of provenance v0.2, a resource descriptor of v1.
//!
//! Spec: <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/resource_descriptor.md>

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::run::RefSource;

/// Something that went into a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Material {
    /// The URI of the material.
    pub(super) uri: String,
    /// Digests in hex by the name of the algorithm.
    pub(super) digest: BTreeMap<String, String>,
}

impl Material {
    pub(super) fn new(uri: impl Into<String>, algorithm: &str, hex: &str) -> Self {
        Self { uri: uri.into(), digest: [(algorithm.to_owned(), hex.to_owned())].into() }
    }

    pub(super) fn of_source(source: &RefSource<'_>) -> Self {
        Self { uri: source.uri.to_owned(), digest: digests(source) }
    }

    pub(super) fn json(&self) -> Value {
        Descriptor { material: self.clone(), ..Descriptor::default() }.into_json()
    }
}

/// The digests of `source`.
fn digests(source: &RefSource<'_>) -> BTreeMap<String, String> {
    source.digest.iter().map(|(algorithm, hex)| ((*algorithm).to_owned(), (*hex).to_owned())).collect()
}

/// Materials in the order in which they were found.
///
/// A descriptor with the name and a digest of a known descriptor is the same: its other fields are added to that.
#[derive(Debug, Default)]
pub(super) struct Materials {
    found: Vec<Material>,
    /// The position of the descriptor with this URI, algorithm and hex digits.
    places: HashMap<(String, String, String), usize>,
}

impl Materials {
    pub(super) fn add(&mut self, material: Material) {
        let names = material.digest.iter();
        let names: Vec<_> =
            names.map(|(algorithm, hex)| (material.uri.clone(), algorithm.clone(), hex.clone())).collect();
        let known = names.iter().filter_map(|name| self.places.get(name).copied()).min();
        let at = known.unwrap_or(self.found.len());
        match self.found.get_mut(at) {
            Some(known) => known.digest.extend(material.digest),
            None => self.found.push(material),
        }
        for name in names {
            self.places.entry(name).or_insert(at);
        }
    }

    /// Returns the materials in their order.
    pub(super) fn into_vec(self) -> Vec<Material> {
        self.found
    }

    pub(super) fn extend(&mut self, materials: impl IntoIterator<Item = Material>) {
        materials.into_iter().for_each(|material| self.add(material));
    }
}

/// An in-toto resource descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// What it is to the build; may be empty.
    pub(super) name: String,
    /// Its URI and digests; may be empty.
    pub(super) material: Material,
    /// The content of the resource itself.
    pub(super) content: Vec<u8>,
    /// What kind of bytes `content` has; may be empty.
    pub(super) media_type: &'static str,
}

impl Descriptor {
    pub(super) fn named(name: impl Into<String>, material: Material) -> Self {
        Self { name: name.into(), material, ..Self::default() }
    }

    /// Its JSON; what is empty is left out. The content is as large as a whole TaskRun, so nothing is kept twice.
    pub(super) fn into_json(self) -> Value {
        let mut fields = Map::new();
        let mut text = |name: &str, text: String| {
            if !text.is_empty() {
                fields.insert(name.to_owned(), Value::String(text));
            }
        };
        text("name", self.name);
        text("uri", self.material.uri);
        text("content", STANDARD.encode(self.content));
        text("mediaType", self.media_type.to_owned());
        if !self.material.digest.is_empty() {
            let digest = self.material.digest.into_iter();
            let digest = digest.map(|(algorithm, hex)| (algorithm, Value::from(hex)));
            fields.insert("digest".to_owned(), Value::Object(digest.collect()));
        }
        Value::Object(fields)
    }
}
