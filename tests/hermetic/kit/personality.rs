//! A product that the embedded registry imitates.

use stepseal::demo::registry::{EmbeddedRegistry, Options};

/// How a product's registry answers, as far as it differs from the distribution specification.
///
/// The doc comment of each personality's file names the public source of every behavior. Where nothing public says what
/// the product answers, it answers as distribution does, and the file says so.
#[derive(Clone, Copy)]
pub(crate) struct Personality {
    /// The product, as docs/registries.md names it.
    pub(crate) product: &'static str,
    /// The versions that answer like this; `hosted` where there are none.
    pub(crate) version: &'static str,
    /// The setup of the embedded registry, without users: the suite adds them.
    pub(crate) options: fn() -> Options,
    /// Installs what the options cannot express, through [`stepseal::demo::registry::Faults`].
    pub(crate) install: fn(&EmbeddedRegistry, Rules),
    /// The whole name of the repository for an image called `name`, such as `project/app`.
    pub(crate) repository: fn(name: &str) -> String,
    /// Whether the product can make tags immutable. If so, `install` heeds [`Rules::immutable_tags`].
    pub(crate) has_immutable_tags: bool,
    /// What a user of the product has to set, each with the reason.
    pub(crate) settings: &'static [Setting],
    /// Other things that a user of the product should know, a sentence each.
    pub(crate) notes: &'static [&'static str],
}

/// What an administrator of the product has turned on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// A tag that exists cannot be overwritten.
    pub(crate) immutable_tags: bool,
}

/// A setting that the product needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The environment variable.
    pub(crate) variable: &'static str,
    /// Its value.
    pub(crate) value: &'static str,
    /// Why the product needs it.
    pub(crate) reason: &'static str,
}
