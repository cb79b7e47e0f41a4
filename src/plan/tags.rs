//! Images that arguments name by a tag: `sign` asks the registry what they are.

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::Plan;
use super::known::Known;
use crate::oci::{ImageRef, Repository, TagRef};

/// An image that arguments name by a tag. As JSON: `{"uri":…,"tag":…,"from":[…]}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTag {
    /// The tag, with its repository.
    pub tag: TagRef,
    /// Where it is named, for people: `argument 1 tag 1.0`.
    pub from: Vec<String>,
}

impl Serialize for PlannedTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("PlannedTag", 3)?;
        fields.serialize_field("uri", &self.tag.repository.to_string())?;
        fields.serialize_field("tag", &self.tag.tag)?;
        fields.serialize_field("from", &self.from)?;
        fields.end()
    }
}

impl Plan {
    /// The repository of every image, by digest or by tag.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        let images = self.images.iter().map(|planned| &planned.image.repository);
        images.chain(self.tags.iter().map(|planned| &planned.tag.repository))
    }

    /// Whether there is an image to sign, by digest or by tag.
    pub(crate) fn has_images(&self) -> bool {
        !self.images.is_empty() || !self.tags.is_empty()
    }

    /// Takes images for the tags that name them. `found` has what each of the tags names, in their order; a tag without an image stays.
    /// Two tags of one image are one subject, named by both.
    pub(crate) fn resolve(&mut self, found: impl IntoIterator<Item = Option<ImageRef>>) {
        let mut known = Known::of(self);
        for (planned, image) in std::mem::take(&mut self.tags).into_iter().zip(found) {
            match image {
                Some(image) => {
                    known.image(self, image, &planned.from);
                }
                None => self.tags.push(planned),
            }
        }
    }
}
