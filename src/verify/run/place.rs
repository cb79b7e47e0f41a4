//! Where in a document something is.

use crate::foreign;

/// The longest part of a key or name in a path that is shown, in bytes.
const PART_BYTES: usize = 120;
/// The longest path that is shown, in bytes.
const PATH_BYTES: usize = 600;

/// A way into a document, the last step first. It lives on the stack of the function that walks there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p> {
    above: Option<&'p Place<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    /// The document itself.
    Root,
    /// A field of an object.
    Key(&'p str),
    /// An item of a list, by its number.
    Item(usize),
    /// An item of a list, by what one of its fields says.
    Named(&'p str, &'p str),
}

impl<'p> Place<'p> {
    /// The document itself.
    pub(super) const ROOT: Place<'static> = Place { above: None, step: Step::Root };

    /// The field `key` of what is here.
    pub(super) fn key<'q>(&'q self, key: &'q str) -> Place<'q> {
        Place { above: Some(self), step: Step::Key(key) }
    }

    /// The item number `at` of what is here.
    pub(super) fn item<'q>(&'q self, at: usize) -> Place<'q> {
        Place { above: Some(self), step: Step::Item(at) }
    }

    /// The item of what is here whose `field` is `name`.
    pub(super) fn named<'q>(&'q self, field: &'q str, name: &'q str) -> Place<'q> {
        Place { above: Some(self), step: Step::Named(field, name) }
    }

    /// Whether this is `path`, in which `[]` is any item of a list.
    pub(super) fn is(&self, path: &str) -> bool {
        let mut here = self;
        for part in path.rsplit('.') {
            let same = match here.step {
                Step::Root => false,
                Step::Key(key) => key == part,
                Step::Item(_) | Step::Named(..) => part == "[]",
            };
            let (true, Some(above)) = (same, here.above) else { return false };
            here = above;
        }
        here.above.is_none()
    }

    /// The path for people, as `spec.params[name=x].value`.
    pub(super) fn shown(&self) -> String {
        let mut steps = Vec::new();
        let mut next = Some(self);
        while let Some(place) = next {
            steps.push(place.step);
            next = place.above;
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&foreign::escape(key, PART_BYTES));
                }
                Step::Item(at) => path.push_str(&format!("[{at}]")),
                Step::Named(field, name) => {
                    path.push_str(&format!("[{field}={}]", foreign::escape(name, PART_BYTES)));
                }
            }
        }
        foreign::escape(&path, PATH_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_path_that_leads_there_and_no_other() {
        let (subject, predicate) = (Place::ROOT.key("subject"), Place::ROOT.key("predicate"));
        let (first, named) = (subject.item(0), subject.named("name", "a"));
        let (below, dotted) = (predicate.key("subject"), Place::ROOT.key("predicate.subject"));
        assert!(subject.is("subject") && !below.is("subject") && below.is("predicate.subject"));
        assert!(!dotted.is("predicate.subject"), "a key with a dot is one key");
        assert!(first.is("subject.[]") && named.is("subject.[]") && !subject.is("subject.[]"));
        assert!(!Place::ROOT.key("[]").is("subject.[]") && !Place::ROOT.is("subject"));
        assert_eq!(named.key("b").shown(), "subject[name=a].b");
        assert_eq!(first.shown(), "subject[0]");
    }
}
