//! The manifests that an index lists.
//!
//! Every entry is returned: those that can be signed and verified as images, the rest with the reason. What a
//! list can't name (another algorithm than sha256, a malformed digest or none) must not go unnoticed, because the
//! index is pulled by it all the same.
//!
//! Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::json::{elements, fields};
use super::{Digest, DigestError, ImageRef, Manifest};
use crate::explain::explain;
use crate::foreign::UntrustedText;

/// An index that lists more is rejected as hostile.
pub(crate) const MAX_LISTED: usize = 10_000;

/// The longest digest that is repeated: a sha512 digest has 135 bytes.
const MAX_DIGEST_BYTES: usize = 512;

/// An index lists more than [`MAX_LISTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

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
    #[error("{index} lists {digest:.200}, which can't be signed or verified")]
    Digest {
        /// The reference of the image index.
        index: String,
        /// The digest that the entry has.
        digest: UntrustedText,
        /// What is wrong with it.
        source: DigestError,
    },
    /// It has no digest, or none that can be repeated.
    #[error(
        "entry {number} of {index} has no digest, or one that is too long, so it can't be signed or verified"
    )]
    NoDigest {
        /// The reference of the image index.
        index: String,
        /// Its place among all entries, counted from 1.
        number: usize,
    },
    /// The manifest isn't a JSON object.
    #[error("{index} can't be read as JSON, so it is not known what it lists")]
    Unreadable {
        /// The reference of the image index.
        index: String,
    },
    /// The list of manifests isn't an array.
    #[error(
        "the field \"manifests\" of {index} is not an array, so what it lists can't be signed or verified"
    )]
    NoList {
        /// The reference of the image index.
        index: String,
    },
}

impl EntryError {
    /// The digest as the index has it; `None`: there is none.
    pub fn digest(&self) -> Option<&UntrustedText> {
        match self {
            Self::Digest { digest, .. } => Some(digest),
            Self::NoDigest { .. } | Self::Unreadable { .. } | Self::NoList { .. } => None,
        }
    }
}

explain! { EntryError,
    _ => ["index-entry", Failed, "list the manifest by its sha256 digest, or leave out --recursive"],
}

/// Everything that the index `image` lists, each digest once; nothing for an image manifest.
///
/// The entries are counted while they are read, and nothing is kept of more than [`MAX_LISTED`]: millions fit into one manifest.
pub(crate) fn listed(image: &ImageRef, manifest: &Manifest) -> Result<Vec<Listed>, TooMany> {
    let index = || image.to_string();
    let (mut entries, mut count, mut no_list) = (Vec::new(), 0_usize, false);
    let read = fields(&manifest.bytes, |name, list| {
        // Go's programs take a field's name in any case.
        if !name.eq_ignore_ascii_case("manifests") {
            return;
        }
        let listed = elements(list, |entry| {
            count += 1;
            if count <= MAX_LISTED {
                entries.push(entry);
            }
        });
        no_list |= listed.is_err();
    });
    if read.is_err() {
        return Ok(vec![Listed::Unusable(EntryError::Unreadable { index: index() })]);
    }
    if count > MAX_LISTED {
        return Err(TooMany);
    }
    let mut known = HashSet::new();
    let new = |(at, entry): (usize, &&RawValue)| {
        let digest = digest_of(entry);
        let new = digest.as_ref().is_none_or(|digest| known.insert(digest.clone()));
        new.then(|| listed_at(image, at + 1, digest))
    };
    let mut all: Vec<Listed> = entries.iter().enumerate().filter_map(new).collect();
    if no_list {
        all.push(Listed::Unusable(EntryError::NoList { index: index() }));
    }
    Ok(all)
}

/// The digest of an entry: a text of which all can be repeated.
fn digest_of(entry: &RawValue) -> Option<String> {
    let mut digest = None;
    let read = fields(entry.get().as_bytes(), |name, value| {
        if name == "digest" {
            digest = Some(value);
        }
    });
    read.ok()?;
    let text: String = serde_json::from_str(digest?.get()).ok()?;
    Some(text).filter(|text| !text.is_empty() && text.len() <= MAX_DIGEST_BYTES)
}

fn listed_at(image: &ImageRef, number: usize, digest: Option<String>) -> Listed {
    let index = image.to_string();
    let Some(text) = digest else { return Listed::Unusable(EntryError::NoDigest { index, number }) };
    match text.parse::<Digest>() {
        Ok(digest) => Listed::Image(ImageRef { repository: image.repository.clone(), digest }),
        Err(source) => Listed::Unusable(EntryError::Digest { index, digest: text.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(document: &Value) -> Vec<Listed> {
        of_text(document.to_string()).unwrap()
    }

    fn of_text(document: String) -> Result<Vec<Listed>, TooMany> {
        let bytes = bytes::Bytes::from(document);
        let digest = Digest::of(&bytes);
        let image = ImageRef { repository: "registry.example/app".parse().unwrap(), digest: digest.clone() };
        listed(&image, &Manifest { media_type: String::new(), bytes, digest })
    }

    /// What is listed: digests, and of what can't be used the digest or `-`.
    fn texts(document: &Value) -> Vec<String> {
        let text = |listed: &Listed| match listed {
            Listed::Image(image) => image.digest.to_string(),
            Listed::Unusable(error) => format!("! {}", error.digest().map_or("-", UntrustedText::raw)),
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
            (json!({ "digest": "a\nb" }), "! a\nb".to_owned()),
            (
                json!({ "digest": "a".repeat(MAX_DIGEST_BYTES) }),
                format!("! {}", "a".repeat(MAX_DIGEST_BYTES)),
            ),
            (json!({ "digest": "a".repeat(MAX_DIGEST_BYTES + 1) }), "! -".to_owned()),
            (json!([good]), "! -".to_owned()),
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

    #[test]
    fn two_digests_that_differ_late_are_two() {
        let digest = |end: &str| format!("sha512:{}{end}", "a".repeat(300));
        let entries = json!([{ "digest": digest("x") }, { "digest": digest("y") }]);
        let all = of(&json!({ "manifests": entries }));
        assert_eq!(all.len(), 2);
        let Listed::Unusable(error) = &all[0] else { panic!("{all:?}") };
        assert!(error.to_string().len() < 400, "shown cut: {error}");
    }

    #[test]
    fn an_index_that_lists_too_much_is_an_error_whatever_its_entries_are() {
        let list = |entry: &str, number: usize| format!("[{}]", vec![entry; number].join(","));
        for entry in ["0", "{}", "null", r#"{"digest":"sha512:x"}"#] {
            let (most, half) = (list(entry, MAX_LISTED), list(entry, MAX_LISTED / 2));
            let more = list(entry, MAX_LISTED + 1);
            assert!(of_text(format!(r#"{{"manifests":{most}}}"#)).is_ok(), "{entry}");
            for document in [
                format!(r#"{{"manifests":{more}}}"#),
                format!(r#"{{"manifests":{half},"Manifests":{half},"MANIFESTS":[0]}}"#),
                format!(r#"{{"manifests":{most},"manifests":[0]}}"#),
            ] {
                assert_eq!(of_text(document), Err(TooMany), "{entry}");
            }
        }
        assert_eq!(of_text(format!(r#"{{"manifests":{}}}"#, list("0", 2_000_000))), Err(TooMany));
        let none = r#""manifests":0,"#.repeat(1000);
        assert_eq!(of_text(format!("{{{none}\"Manifests\":1}}")).unwrap().len(), 1, "one error is enough");
    }

    #[test]
    fn entries_without_a_digest_are_counted_over_all_lists() {
        let all = of_text(r#"{"manifests":[{},{}],"Manifests":[{}]}"#.to_owned()).unwrap();
        let numbers: Vec<_> = all
            .iter()
            .map(|listed| match listed {
                Listed::Unusable(EntryError::NoDigest { number, .. }) => *number,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}
