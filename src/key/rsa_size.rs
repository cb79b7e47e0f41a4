//! The sizes of RSA keys that are used.

/// Fewer bits are too few to sign with: NIST SP 800-131A revision 2, table 2.
pub(crate) const RSA_MIN_BITS: u32 = 2048;
/// The work grows with the cube of the size, and the file gives the size; Go's TLS has the same limit.
pub(crate) const RSA_MAX_BITS: u32 = 8192;
