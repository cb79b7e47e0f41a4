//! Files whose content comes from elsewhere: what a build step may have written, or may have replaced by a link.

#[cfg_attr(not(test), expect(dead_code, reason = "the readers that need it come next"))]
pub(crate) mod mount;
