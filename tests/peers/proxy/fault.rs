//! What a proxy does wrong, a row for each kind.
//!
//! What real proxies, content networks and registries do: gateways answer 502 and 504 whether or not the work was done; load balancers
//! reset idle connections; content networks serve answers from before a write, the absence of a tag too; a portal answers everything
//! with its login page; a proxy sends a request a second time by itself.

/// A way to fail a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Unavailable,
    TooMany,
    Reset,
    AnswerLost,
    TooManyWithoutTime,
    UnavailableUntil,
    RequestTimeout,
    Internal,
    BadGateway,
    BadGatewayDone,
    GatewayTimeout,
    BodyCut,
    BodyStalled,
    RequestCut,
    Late,
    Twice,
    StaleTag,
    NotThereYet,
    ExpiredToken,
    WrongBytes,
    LoginPage,
}

/// Which requests a fault can happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    All,
    /// GET, where the answer has a body.
    Reads,
    /// GET and HEAD of a tag.
    Tags,
    /// GET and HEAD of what was written a moment ago.
    Written,
    /// Those that come with a token.
    Tokens,
}

/// What a client can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Sending it again, or waiting, helps.
    Signed,
    /// The answer looks like a lasting failure, so the operation that it hits may be reported as failed.
    Reported,
}

/// A kind of fault.
pub(crate) struct Row {
    pub(crate) fault: Fault,
    /// What happens, for people.
    pub(crate) name: &'static str,
    pub(crate) of: Of,
    pub(crate) expected: Expected,
}

const fn row(fault: Fault, name: &'static str, of: Of, expected: Expected) -> Row {
    Row { fault, name, of, expected }
}

/// Every kind of fault with its row.
pub(crate) const TABLE: [Row; 21] = {
    use Expected::{Reported, Signed};
    use Of::{All, Reads, Tags, Tokens, Written};
    [
        row(Fault::Unavailable, "503, nothing done", All, Signed),
        row(Fault::UnavailableUntil, "503 with `Retry-After` as a date a second ahead", All, Signed),
        row(Fault::TooMany, "429 with `Retry-After: 1`", All, Signed),
        row(Fault::TooManyWithoutTime, "429 without `Retry-After`", All, Signed),
        row(Fault::RequestTimeout, "408, and the connection closed", All, Signed),
        row(Fault::Reset, "connection reset before the request is read", All, Signed),
        row(Fault::RequestCut, "connection closed in the middle of the request", All, Signed),
        row(Fault::AnswerLost, "work done, answer lost", All, Signed),
        row(Fault::Internal, "500 with a JSON error", All, Signed),
        row(Fault::BadGateway, "502 with an HTML page, nothing done", All, Signed),
        row(Fault::BadGatewayDone, "502 with an HTML page, work done", All, Signed),
        row(Fault::GatewayTimeout, "504 after 1 s, work done", All, Signed),
        row(Fault::BodyCut, "answer cut in the middle of its body", Reads, Signed),
        row(Fault::BodyStalled, "answer pauses 1 s in its body", Reads, Signed),
        row(Fault::Late, "answer 2 s late", All, Signed),
        row(Fault::Twice, "request sent on twice", All, Signed),
        row(Fault::StaleTag, "a tag's answer up to 1 s old", Tags, Signed),
        row(Fault::NotThereYet, "404 for what was written within 1 s", Written, Signed),
        row(Fault::ExpiredToken, "401, as if the token had expired", Tokens, Reported),
        row(Fault::WrongBytes, "one byte of the answer changed", Reads, Reported),
        row(Fault::LoginPage, "200 with a portal's login page, nothing done", All, Reported),
    ]
};

impl Fault {
    /// The kinds that every client has to pass over.
    pub(crate) const USUAL: [Self; 4] = [Self::Unavailable, Self::TooMany, Self::Reset, Self::AnswerLost];

    /// Returns the row of this fault.
    pub(crate) fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.fault == self).expect("each kind has a row")
    }
}
