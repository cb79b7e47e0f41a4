//! The manifests that an index lists.
//!
//! Every entry is returned: those that can be signed and verified as images, the rest with the reason. What a
//! list can't name (another algorithm than sha256, a malformed digest or none) must not go unnoticed, because the
//! index is pulled by it all the same.
//!
//! Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>

use std::collections::HashSet;

use serde_json::Value;

use super::client::Manifest;
use super::{Digest, DigestError, ImageRef};
use crate::explain::Explain;
use crate::foreign;

/// How much of a digest that can't be used is shown: a sha512 one has 135 bytes.
const SHOWN_BYTES: usize = 200;

/// An entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// A manifest by its sha256 digest: an image, an index, or an artifact.
    Image(ImageRef),
    /// An entry that names no manifest that can be signed.
    Unusable(EntryError),
}

/// Why an entry of an index can't be signed or verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Its digest isn't a sha256 digest.
    #[error("{index} lists {digest}, which can't be signed or verified")]
    Digest {
        /// The index.
        index: String,
        /// The digest, escaped and cut.
        digest: String,
        /// What is wrong with it.
        source: DigestError,
    },
    /// It has no digest.
    #[error("entry {number} of {index} has no digest, so it can't be signed or verified")]
    NoDigest {
        /// The index.
        index: String,
        /// Its place in the list, counted from 1.
        number: usize,
    },
    /// The manifest isn't a JSON object.
    #[error("{index} can't be read as JSON, so it is not known what it lists")]
    Unreadable {
        /// The index.
        index: String,
    },
    /// The list of manifests isn't an array.
    #[error(
        "the field \"manifests\" of {index} is not an array, so what it lists can't be signed or verified"
    )]
    NoList {
        /// The index.
        index: String,
    },
}

impl EntryError {
    /// The digest as the index has it, escaped and cut; `None`: there is none.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Digest { digest, .. } => Some(digest),
            Self::NoDigest { .. } | Self::Unreadable { .. } | Self::NoList { .. } => None,
        }
    }
}

impl Explain for EntryError {
    fn hint(&self) -> Option<String> {
        Some("list the manifest by its sha256 digest, or leave out --recursive".to_owned())
    }
}

/// Everything that the index `image` lists, each entry once; nothing for an image manifest.
pub(crate) fn listed(image: &ImageRef, manifest: &Manifest) -> Vec<Listed> {
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(&manifest.bytes) else {
        return vec![Listed::Unusable(EntryError::Unreadable { index: image.to_string() })];
    };
    let mut all = Vec::new();
    // Go's programs take a field's name in any case.
    for (_, list) in fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("manifests")) {
        match list {
            Value::Array(entries) => {
                all.extend(entries.iter().enumerate().map(|(at, entry)| listed_at(image, at + 1, entry)));
            }
            Value::Null => {}
            _ => all.push(Listed::Unusable(EntryError::NoList { index: image.to_string() })),
        }
    }
    let mut known = HashSet::new();
    all.retain(|listed| match listed {
        Listed::Image(image) => known.insert(image.digest.to_string()),
        Listed::Unusable(error) => known.insert(error.to_string()),
    });
    all
}

fn listed_at(image: &ImageRef, number: usize, entry: &Value) -> Listed {
    let index = || image.to_string();
    let Some(text) = entry.get("digest").and_then(Value::as_str).filter(|text| !text.is_empty()) else {
        return Listed::Unusable(EntryError::NoDigest { index: index(), number });
    };
    match text.parse::<Digest>() {
        Ok(digest) => Listed::Image(ImageRef { repository: image.repository.clone(), digest }),
        Err(source) => {
            let digest = foreign::shown(text, SHOWN_BYTES);
            Listed::Unusable(EntryError::Digest { index: index(), digest, source })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(document: &Value) -> Vec<Listed> {
        let bytes = bytes::Bytes::from(document.to_string());
        let digest = Digest::of(&bytes);
        let image = ImageRef { repository: "registry.example/app".parse().unwrap(), digest: digest.clone() };
        listed(&image, &Manifest { media_type: String::new(), bytes, digest })
    }

    /// What is listed: digests, and of what can't be used the digest or `-`.
    fn texts(document: &Value) -> Vec<String> {
        let text = |listed: &Listed| match listed {
            Listed::Image(image) => image.digest.to_string(),
            Listed::Unusable(error) => format!("! {}", error.digest().unwrap_or("-")),
        };
        of(document).iter().map(text).collect()
    }

    #[test]
    fn no_entry_goes_unnoticed() {
        let hex = "a".repeat(64);
        let good = format!("sha256:{hex}");
        for (entry, want) in [
            (json!({ "digest": good }), good.clone()),
            (json!({ "digest": good, "mediaType": "application/x", "urls": ["http://x"] }), good.clone()),
            (json!({ "digest": format!("sha512:{hex}{hex}") }), format!("! sha512:{hex}{hex}")),
            (json!({ "digest": format!("sha384:{hex}") }), format!("! sha384:{hex}")),
            (json!({ "digest": format!("SHA256:{hex}") }), format!("! SHA256:{hex}")),
            (
                json!({ "digest": format!("sha256:{}", "A".repeat(64)) }),
                format!("! sha256:{}", "A".repeat(64)),
            ),
            (json!({ "digest": "sha256:abc" }), "! sha256:abc".to_owned()),
            (json!({ "digest": "a\nb" }), "! a\\nb".to_owned()),
            (json!({ "digest": "" }), "! -".to_owned()),
            (json!({ "digest": 7 }), "! -".to_owned()),
            (json!({ "digest": null }), "! -".to_owned()),
            (json!({ "Digest": "x" }), "! -".to_owned()),
            (json!({}), "! -".to_owned()),
            (json!("sha256:abc"), "! -".to_owned()),
            (json!(null), "! -".to_owned()),
        ] {
            assert_eq!(texts(&json!({ "manifests": [entry] })), [want], "{entry}");
        }
    }

    #[test]
    fn a_list_that_is_none_is_an_error_and_a_missing_one_is_empty() {
        for list in [json!({}), json!("x"), json!(1), json!(true)] {
            assert_eq!(texts(&json!({ "manifests": list })), ["! -"], "{list}");
        }
        for document in [json!({ "manifests": null }), json!({ "manifests": [] }), json!({ "layers": [] })] {
            assert!(of(&document).is_empty(), "{document}");
        }
        for document in [json!([]), json!("x")] {
            assert_eq!(texts(&document), ["! -"], "{document}");
        }
        let good = json!([{ "digest": format!("sha256:{}", "a".repeat(64)) }]);
        assert_eq!(of(&json!({ "Manifests": good })).len(), 1, "as Go reads it");
    }

    #[test]
    fn what_is_listed_twice_is_one() {
        let (one, two) = (format!("sha256:{}", "a".repeat(64)), format!("sha512:{}", "b".repeat(128)));
        let entries: Vec<Value> =
            [&one, &two, &one, &two].iter().map(|digest| json!({ "digest": digest })).collect();
        assert_eq!(texts(&json!({ "manifests": entries })), [one, format!("! {two}")]);
        assert_eq!(texts(&json!({ "manifests": [{}, {}] })).len(), 2, "two entries without a digest are two");
    }
}
