//! What a Secret holds, read without a copy that stays.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::mask::Mask;
use crate::object_name::ObjectName;
use crate::secret::Secret;

/// The name and values of a Secret.
pub struct SecretData {
    name: ObjectName,
    kind: String,
    data: BTreeMap<String, Secret>,
}

impl SecretData {
    pub(super) fn parse(json: &[u8], name: &ObjectName) -> Option<Self> {
        let wire: Wire<'_> = serde_json::from_slice(json).ok()?;
        let metadata = wire.metadata?;
        if (metadata.namespace, metadata.name) != (name.namespace(), name.name()) {
            return None;
        }
        let mut data = BTreeMap::new();
        for (key, raw) in wire.data.unwrap_or_default() {
            let text: &str = serde_json::from_str(raw.get()).ok()?;
            // Room for all of it at once, so that no outgrown copy stays behind.
            let mut bytes = Vec::with_capacity(text.len());
            STANDARD.decode_vec(text, &mut bytes).ok()?;
            data.insert(key, Secret::new(bytes));
        }
        Some(Self { name: name.clone(), kind: wire.kind, data })
    }

    /// Returns the name of the Secret with its namespace.
    pub fn name(&self) -> &ObjectName {
        &self.name
    }

    /// Its type, such as `kubernetes.io/dockerconfigjson`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The value of `key`.
    pub fn value(&self, key: &str) -> Option<&Secret> {
        self.data.get(key)
    }

    /// Adds the values to what the log hides.
    pub(super) fn hide(&self, mask: &mut Mask) {
        self.data.values().for_each(|value| mask.secret(value.expose()));
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.data.keys().map(String::as_str)
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretData")
            .field("name", &self.name)
            .field("type", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The parts of a Secret that are read. Values stay where they are until they are decoded: base64 has no escapes in JSON.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow, default)]
    data: Option<BTreeMap<String, &'a RawValue>>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
}
