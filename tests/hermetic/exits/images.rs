//! What is signed: images and indexes, nested, with what an index lists twice, by sha512, or without having it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stepseal::demo::registry::{Content, EmbeddedRegistry};
use stepseal::oci::Digest;

use crate::exits::random::Random;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How deep indexes are nested.
const DEPTH: u64 = 3;

/// `REPOSITORY@DIGEST`, the host left out; the digest may be none that can be signed.
pub(crate) type Name = String;

/// Everything that the registry holds before the run.
#[derive(Debug, Default)]
pub(crate) struct Images {
    host: String,
    /// What `sign` is given.
    pub(crate) named: Vec<Name>,
    /// What each manifest that is there lists.
    lists: BTreeMap<Name, Vec<Name>>,
    made: u64,
}

impl Images {
    pub(crate) fn push(random: &mut Random, registry: &EmbeddedRegistry) -> Self {
        let mut images = Self { host: registry.host().to_owned(), ..Self::default() };
        for _ in 0..random.between(1, 4) {
            let repository = random.one_of(&["team/app", "team/app", "team/other"]);
            let name = images.node(random, registry.content(), repository, 0);
            images.named.push(name);
        }
        if random.percent(10) {
            images.named.push(images.named[0].clone());
        }
        if random.percent(4) {
            images.named.push(absent("team/app", random));
        }
        images
    }

    /// An image or an index.
    fn node(&mut self, random: &mut Random, content: &Content, repository: &str, depth: u64) -> Name {
        let earlier: Vec<&Name> =
            self.lists.keys().filter(|name| name.starts_with(&format!("{repository}@"))).collect();
        if depth > 0 && !earlier.is_empty() && random.percent(15) {
            return random.one_of(&earlier).clone();
        }
        self.made += 1;
        if depth == DEPTH || random.percent(55) {
            return self.image(content, repository);
        }
        let mut lists = Vec::new();
        for _ in 0..random.between(0, 3) {
            let child = if random.percent(4) {
                format!("{repository}@sha512:{:0128x}", random.between(1, u64::MAX))
            } else if random.percent(4) {
                absent(repository, random)
            } else {
                self.node(random, content, repository, depth + 1)
            };
            lists.push(child);
        }
        self.index(content, repository, lists)
    }

    fn image(&mut self, content: &Content, repository: &str) -> Name {
        let text = format!("layer {}", self.made);
        let layer = content.put_blob(repository, text.clone()).unwrap();
        let config = content.put_blob(repository, "{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config.as_str(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "size": text.len(), "digest": layer.as_str(),
            }],
        });
        self.put(content, repository, MANIFEST, &manifest, Vec::new())
    }

    fn index(&mut self, content: &Content, repository: &str, lists: Vec<Name>) -> Name {
        let entries: Vec<Value> = lists
            .iter()
            .map(
                |name| json!({ "mediaType": MANIFEST, "size": 1, "digest": name.split_once('@').unwrap().1 }),
            )
            .collect();
        let number = self.made.to_string();
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": entries, "annotations": { "number": number },
        });
        self.put(content, repository, INDEX, &index, lists)
    }

    fn put(
        &mut self,
        content: &Content,
        repository: &str,
        media_type: &str,
        manifest: &Value,
        lists: Vec<Name>,
    ) -> Name {
        let digest = content.put_manifest(repository, None, media_type, manifest.to_string()).unwrap();
        let name = format!("{repository}@{digest}");
        self.lists.insert(name.clone(), lists);
        name
    }

    /// With its host, as `sign` and `verify` take it.
    pub(crate) fn full(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// What the manifest `name` lists; nothing where there is none.
    pub(crate) fn listed_by(&self, name: &str) -> &[Name] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every subject of a run, with those that can't be signed.
    pub(crate) fn subjects(&self, recursive: bool) -> BTreeSet<Name> {
        let mut all = BTreeSet::new();
        let mut next: Vec<&Name> = self.named.iter().collect();
        while let Some(name) = next.pop() {
            if all.insert(name.clone()) && recursive {
                next.extend(self.listed_by(name));
            }
        }
        all
    }

    /// Whether it can be signed at all.
    pub(crate) fn is_there(&self, name: &str) -> bool {
        self.lists.contains_key(name)
    }
}

fn absent(repository: &str, random: &mut Random) -> Name {
    format!("{repository}@{}", Digest::of(&random.between(0, u64::MAX - 1).to_be_bytes()))
}
