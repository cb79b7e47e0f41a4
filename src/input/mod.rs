//! Files whose content comes from elsewhere: what a build step may have written, or may have replaced by a link.

pub(crate) mod mount;
pub(crate) mod shared_folder;
