//! What several test modules use: the files of a step, the running binary, registries that answer like products.

pub(crate) mod answers;
pub(crate) mod echo;
pub(crate) mod effort;
pub(crate) mod peak;
pub(crate) mod personality;
pub(crate) mod running;
pub(crate) mod step;
