//! What a plan has already: each subject and each image is in it once.

use std::collections::HashMap;

use super::{Plan, PlannedImage, PlannedTag, Subject};
use crate::oci::{ImageRef, TagRef};

/// The positions of subjects and images in a plan.
#[derive(Default)]
pub(super) struct Known {
    subjects: HashMap<(String, String), usize>,
    pub(super) images: HashMap<ImageRef, usize>,
    tags: HashMap<TagRef, usize>,
}

impl Known {
    /// Collects what the plan already has.
    pub(super) fn of(plan: &Plan) -> Self {
        let subject = |(at, subject): (usize, &Subject)| ((subject.uri.clone(), subject.digest.clone()), at);
        let image = |(at, planned): (usize, &PlannedImage)| (planned.image.clone(), at);
        Self {
            subjects: plan.subjects.iter().enumerate().map(subject).collect(),
            images: plan.images.iter().enumerate().map(image).collect(),
            tags: plan.tags.iter().enumerate().map(|(at, planned)| (planned.tag.clone(), at)).collect(),
        }
    }

    /// The place of a subject in `plan`, which has it from now on.
    pub(super) fn subject(&mut self, plan: &mut Plan, uri: String, digest: String, from: &[String]) -> usize {
        let subjects = &mut plan.subjects;
        let at = *self.subjects.entry((uri, digest)).or_insert_with_key(|(uri, digest)| {
            subjects.push(Subject { uri: uri.clone(), digest: digest.clone(), from: Vec::new() });
            subjects.len() - 1
        });
        if let Some(subject) = subjects.get_mut(at) {
            add(&mut subject.from, from);
        }
        at
    }

    /// The image in `plan`, which has it and its subject from now on.
    pub(super) fn image<'a>(
        &mut self,
        plan: &'a mut Plan,
        image: ImageRef,
        from: &[String],
    ) -> Option<&'a mut PlannedImage> {
        self.subject(plan, image.repository.to_string(), image.digest.to_string(), from);
        let images = &mut plan.images;
        let at = *self.images.entry(image).or_insert_with_key(|image| {
            images.push(PlannedImage::new(image.clone(), Vec::new()));
            images.len() - 1
        });
        let planned = images.get_mut(at)?;
        add(&mut planned.from, from);
        Some(planned)
    }

    /// Plans the image that the argument at `place` names by `tag`.
    pub(super) fn tag(&mut self, plan: &mut Plan, tag: TagRef, place: &str) {
        let from = format!("{place} tag {}", tag.tag);
        let tags = &mut plan.tags;
        let at = *self.tags.entry(tag).or_insert_with_key(|tag| {
            tags.push(PlannedTag { tag: tag.clone(), from: Vec::new() });
            tags.len() - 1
        });
        if let Some(planned) = tags.get_mut(at) {
            add(&mut planned.from, &[from]);
        }
    }

    /// The position of the subject of `image`.
    pub(super) fn subject_of(&self, image: &ImageRef) -> Option<usize> {
        self.subjects.get(&(image.repository.to_string(), image.digest.to_string())).copied()
    }
}

/// Adds what `known` lacks, in its order.
fn add(known: &mut Vec<String>, more: &[String]) {
    for one in more {
        if !known.contains(one) {
            known.push(one.clone());
        }
    }
}
