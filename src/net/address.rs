//! Parts of an address.

use url::{Position, Url};

/// Scheme, host and port, as the key of what is kept for a host.
pub(crate) fn origin(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

/// Returns `HOST[:PORT]` of an address, for people.
pub(crate) fn host(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}
