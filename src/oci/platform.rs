//! Platforms: which manifest of an index is meant by `linux/arm64`.
//!
//! Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions>

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::index::{MAX_LISTED, TooMany};
use super::json::{elements, fields};
use super::{Digest, ImageRef, Manifest};
use crate::foreign;

/// The longest descriptor of an image that is read, in bytes: one with a platform and annotations has about 1 KiB.
const MAX_ENTRY_BYTES: usize = 64 * 1024;
/// How many platforms a message lists.
const MAX_SHOWN: usize = 30;

/// `OS[/ARCHITECTURE[/VARIANT]][:OS-VERSION]`; a part that is empty stands for any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    os: String,
    architecture: String,
    variant: String,
    os_version: String,
}

/// A text that is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not OS, OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT")]
pub(crate) struct PlatformError;

/// Why an image has no manifest for a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ChoiceError {
    /// It isn't an index.
    #[error("it is an image for one platform, not an index")]
    NoIndex,
    /// The index has none for it.
    #[error("the index lists none for it; it lists {0}")]
    None(String),
    /// The index has several.
    #[error("the index lists several for it: {0}")]
    Several(String),
    /// The index lists more than is read.
    #[error("the index lists more than {MAX_LISTED} manifests")]
    TooMany,
}

/// A manifest of an index with the platform that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    digest: Digest,
    platform: Platform,
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let (text, os_version) = text.split_once(':').unwrap_or((text, ""));
        let parts: Vec<&str> = text.split('/').collect();
        let is_part = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
        let (os, architecture, variant) = match parts.as_slice() {
            [os] => (*os, "", ""),
            [os, architecture] => (*os, *architecture, ""),
            [os, architecture, variant] => (*os, *architecture, *variant),
            _ => return Err(PlatformError),
        };
        if !parts.iter().all(is_part) {
            return Err(PlatformError);
        }
        let [os, architecture, variant, os_version] =
            [os, architecture, variant, os_version].map(str::to_owned);
        Ok(Self { os, architecture, variant, os_version })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.os, &self.architecture, &self.variant];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let version = if self.os_version.is_empty() { "" } else { ":" };
        let text = format!("{}{version}{}", parts.join("/"), self.os_version);
        f.write_str(&foreign::escape(&text, 120))
    }
}

impl Platform {
    fn of(descriptor: &Value) -> Option<Self> {
        let platform = descriptor.get("platform")?.as_object()?;
        let part = |name: &str| platform.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (os, architecture) = (part("os"), part("architecture"));
        Some(Self { os, architecture, variant: part("variant"), os_version: part("os.version") })
    }

    /// Whether an entry for `other` is meant. An OS version may be given as the beginning of the whole one.
    fn takes(&self, other: &Self) -> bool {
        let same = |own: &str, other: &str| own.is_empty() || own == other;
        let version = other.os_version.strip_prefix(self.os_version.as_str());
        same(&self.os, &other.os)
            && same(&self.architecture, &other.architecture)
            && same(&self.variant, &other.variant)
            && version
                .is_some_and(|rest| self.os_version.is_empty() || rest.is_empty() || rest.starts_with('.'))
    }

    /// The manifest of the index `image` that is for this platform.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one.
    pub(crate) fn choose(&self, image: &ImageRef, manifest: &Manifest) -> Result<ImageRef, ChoiceError> {
        let entries =
            entries(manifest).map_err(|TooMany| ChoiceError::TooMany)?.ok_or(ChoiceError::NoIndex)?;
        let found: Vec<&Entry> = entries.iter().filter(|entry| self.takes(&entry.platform)).collect();
        match found.as_slice() {
            [one] => Ok(ImageRef { repository: image.repository.clone(), digest: one.digest.clone() }),
            [] => Err(ChoiceError::None(list(entries.iter()))),
            several => Err(ChoiceError::Several(list(several.iter().copied()))),
        }
    }
}

/// The platforms that an index lists, for people; `None`: it isn't an index, or lists none.
pub(crate) fn listed(manifest: &Manifest) -> Option<String> {
    entries(manifest).ok()?.filter(|entries| !entries.is_empty()).map(|entries| list(entries.iter()))
}

fn list<'a>(entries: impl ExactSizeIterator<Item = &'a Entry>) -> String {
    let more = entries.len().saturating_sub(MAX_SHOWN);
    let mut shown: Vec<String> = entries.take(MAX_SHOWN).map(|entry| entry.platform.to_string()).collect();
    match (shown.is_empty(), more) {
        (true, _) => return "no platforms".to_owned(),
        (false, 0) => {}
        (false, more) => shown.push(format!("and {more} more")),
    }
    shown.join(", ")
}

/// The manifests of an index that name a platform; `None`: it isn't an index.
fn entries(manifest: &Manifest) -> Result<Option<Vec<Entry>>, TooMany> {
    let (mut found, mut count, mut is_index) = (Vec::new(), 0_usize, false);
    let read = fields(&manifest.bytes, |name, value| {
        if name != "manifests" {
            return;
        }
        is_index = true;
        // What isn't a list has no entries.
        let _ = elements(value, |raw| {
            count += 1;
            if count > MAX_LISTED || raw.get().len() > MAX_ENTRY_BYTES {
                return;
            }
            let descriptor = serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
            let digest = descriptor.get("digest").and_then(Value::as_str).and_then(|text| text.parse().ok());
            found.extend(
                digest.zip(Platform::of(&descriptor)).map(|(digest, platform)| Entry { digest, platform }),
            );
        });
    });
    match (read, count) {
        (_, count) if count > MAX_LISTED => Err(TooMany),
        (Ok(()), _) if is_index => Ok(Some(found)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn index(platforms: &[&str]) -> Manifest {
        let entry = |(number, text): (usize, &&str)| {
            let Platform { os, architecture, variant, os_version } = text.parse().unwrap();
            json!({
                "digest": Digest::of(number.to_string().as_bytes()).as_str(),
                "platform": { "os": os, "architecture": architecture, "variant": variant, "os.version": os_version },
            })
        };
        let entries: Vec<_> = platforms.iter().enumerate().map(entry).collect();
        let bytes = bytes::Bytes::from(json!({ "manifests": entries }).to_string());
        Manifest { media_type: String::new(), digest: Digest::of(&bytes), bytes }
    }

    #[test]
    fn a_platform_chooses_one_manifest_or_says_what_there_is() {
        let all = [
            "linux/amd64",
            "linux/arm/v6",
            "linux/arm/v7",
            "windows/amd64:10.0.17763.1",
            "windows/amd64:10.0.20348.2",
        ];
        let manifest = index(&all);
        let image = ImageRef { repository: "r.example/a".parse().unwrap(), digest: manifest.digest.clone() };
        for (asked, want) in [
            ("linux/amd64", Ok(0)),
            ("linux/arm/v7", Ok(2)),
            ("windows/amd64:10.0.20348", Ok(4)),
            ("windows/amd64:10.0.17763.1", Ok(3)),
            ("linux/arm", Err(ChoiceError::Several("linux/arm/v6, linux/arm/v7".to_owned()))),
            ("windows/amd64:10.0.2", Err(ChoiceError::None(all.join(", ")))),
            ("linux/s390x", Err(ChoiceError::None(all.join(", ")))),
        ] {
            let chosen = asked.parse::<Platform>().unwrap().choose(&image, &manifest);
            let want = want.map(|number: usize| Digest::of(number.to_string().as_bytes()));
            assert_eq!(chosen.map(|chosen| chosen.digest), want, "{asked}");
        }
        let bytes = bytes::Bytes::from_static(br#"{"layers":[]}"#);
        let one = Manifest { media_type: String::new(), digest: Digest::of(&bytes), bytes };
        assert_eq!("linux".parse::<Platform>().unwrap().choose(&image, &one), Err(ChoiceError::NoIndex));
        assert_eq!(listed(&one), None);
        for text in ["", "/", "linux/", "/amd64", "a/b/c/d", "linux /amd64"] {
            assert_eq!(text.parse::<Platform>(), Err(PlatformError), "{text}");
        }
    }
}
