//! Answers that break the specification.

use http::StatusCode;

use crate::foreign::UntrustedText;

/// An answer that breaks the specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAnswer {
    /// An upload was begun, and the answer doesn't say where it continues.
    #[error("it began an upload without saying where (no Location header)")]
    NoLocation,
    /// A `Location` with nothing in it.
    #[error("its Location header is empty")]
    EmptyLocation,
    /// A content that is compressed, or encoded in another way that wasn't asked for.
    #[error("its content is encoded as {0} (Content-Encoding), so that its digest cannot be checked")]
    Encoded(String),
    /// A `Location` that can't be followed.
    #[error("it sends us to an address that cannot be used: {0}")]
    Location(String),
    /// What was written is redirected where it isn't sent.
    #[error("it answered {}, which means nothing here: it redirects what is written to {to}", .status.as_u16())]
    WriteRedirect {
        /// The HTTP status of the answer.
        status: StatusCode,
        /// Where to.
        to: String,
    },
    /// A next page of a list on another host.
    #[error("the next page of its list is on another host: {0}")]
    ElsewherePage(String),
    /// A list whose pages lead back, or continue for longer than any list.
    #[error("its list of referrers doesn't end: {0}")]
    EndlessPages(String),
    /// A token service without an address that a login may be sent to.
    #[error("it names a token service whose address cannot be used: {0}")]
    TokenService(String),
    /// From HTTPS to plain HTTP.
    #[error("it sends us from HTTPS to plain HTTP: {0}")]
    Downgrade(String),
    /// From address to address without end.
    #[error("it sends us from address to address, more than {0} times")]
    Redirects(usize),
    /// A success that is a web page.
    #[error("it answered with an HTML page{}", title_text(.0.as_ref()))]
    Html(Option<UntrustedText>),
    /// A success that isn't the JSON it should be.
    #[error("it answered with something that is no {0}")]
    NotA(&'static str),
    /// A success that the specification doesn't have there.
    #[error("it answered {}, which means nothing here", .0.as_u16())]
    Status(StatusCode),
    /// Unknown names in the address.
    #[error("its name makes no address")]
    Address,
}

fn title_text(title: Option<&UntrustedText>) -> String {
    title.map(|title| format!(", {title:.300?}")).unwrap_or_default()
}
