//! The names of cosign's tags, with the text that `--attachment-tag-prefix` puts before them.

use crate::oci::Digest;

/// The longest tag, in bytes.
///
/// Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>
const MAX_TAG_BYTES: usize = 128;

/// What follows the prefix: `sha256-`, the hex digits, and `.sig` or `.att`.
const REST_BYTES: usize = "sha256-".len() + 64 + ".sig".len();

/// The text before `sha256-` in the names of tags with signatures and attestations; empty unless it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagPrefix(String);

impl TagPrefix {
    /// The longest prefix, in bytes.
    pub(crate) const MAX_BYTES: usize = MAX_TAG_BYTES - REST_BYTES;

    /// Takes a text with which a tag can begin; `None`: no tag can, or the whole tag would be too long.
    pub fn new(text: &str) -> Option<Self> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let fits = text.len() <= Self::MAX_BYTES
            && text.starts_with(is_word)
            && text.chars().all(|c| is_word(c) || matches!(c, '.' | '-'));
        fits.then(|| Self(text.to_owned()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the image `digest` that ends with `end`: `sig` or `att`.
    pub fn tag(&self, digest: &Digest, end: &str) -> String {
        format!("{}sha256-{}.{end}", self.0, digest.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_with_a_prefix_is_a_tag() {
        let longest = "a".repeat(TagPrefix::MAX_BYTES);
        let digest = Digest::of(b"");
        for text in ["a", "_", "team-1.", "A..b", longest.as_str()] {
            let tag = TagPrefix::new(text).unwrap().tag(&digest, "sig");
            assert_eq!(tag, format!("{text}sha256-{}.sig", digest.hex()));
            assert!(tag.len() <= MAX_TAG_BYTES);
        }
        assert_eq!(TagPrefix::new(&longest).unwrap().tag(&digest, "att").len(), MAX_TAG_BYTES);
        let too_long = longest.clone() + "a";
        for text in ["", ".a", "-a", "a/b", "a:b", "a@b", "a b", "é", "a\n", too_long.as_str()] {
            assert_eq!(TagPrefix::new(text), None, "{text}");
        }
        assert_eq!(TagPrefix::default().tag(&digest, "att"), format!("sha256-{}.att", digest.hex()));
    }
}
