//! An answer, and what can be read off it.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, PROXY_AUTHENTICATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Duration;
use url::Url;

use super::bad_answer::BadAnswer;
use super::endpoint;
use super::failure::Failure;
use super::refusal::{self, Refusal};
use crate::mask::Mask;
use crate::net::retry;
use crate::{foreign, net};

/// How much of the name of an encoding or a kind of login is shown, in bytes.
const MAX_NAME_BYTES: usize = 32;
/// How many kinds of login are shown at most.
const MAX_OFFERED: usize = 8;

/// What came back. No `Debug`: a token service's body is a secret.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Where it came from, after redirects.
    pub(super) url: Url,
    /// The login that the request had: what is shown of the answer doesn't repeat it.
    pub(super) sent: Option<HeaderValue>,
    /// Whether it was not sent, as a redirect led to another scheme, host or port.
    pub(super) withheld: bool,
}

impl Answer {
    /// A header's value, if it is text.
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    /// Hides the login that the request had.
    fn mask(&self) -> Mask {
        let mut mask = Mask::default();
        if let Some(header) = &self.sent {
            mask.authorization(header);
        }
        mask
    }

    /// Its address, as it may be shown.
    pub(super) fn shown_url(&self) -> String {
        let mut url = endpoint::redacted(&self.url);
        self.mask().hide(&mut url);
        url
    }

    /// What it says, as a refusal.
    pub(super) fn refusal(&self) -> Refusal {
        let mut refusal = refusal(self.status, &self.headers, &self.body);
        refusal.hide(&self.mask());
        refusal
    }

    /// The refusal of another host than `home`, which was asked.
    pub(super) fn other_host(&self, home: &Url, asked: String) -> Failure {
        let upgraded = endpoint::same_host(home, &self.url) && self.url.scheme() != home.scheme();
        // Without the scheme both could read alike.
        let (host, asked) = match upgraded {
            true => (net::origin(&self.url).to_owned(), net::origin(home).to_owned()),
            false => (net::host(&self.url).to_owned(), asked),
        };
        Failure::OtherHost { host, asked, upgraded, refusal: self.refusal() }
    }

    /// The fault of an answer whose status means nothing where it came.
    pub(super) fn strange_status(&self) -> BadAnswer {
        let to = self.headers.get(LOCATION).filter(|_| self.status.is_redirection());
        match to.and_then(|to| endpoint::named_by(&String::from_utf8_lossy(to.as_bytes()), &self.url)) {
            Some(to) => BadAnswer::WriteRedirect { status: self.status, to: endpoint::redacted(&to) },
            None => BadAnswer::Status(self.status),
        }
    }

    /// How its content is encoded, as proxies that compress do; `None`: it is as it is.
    pub(super) fn encoded(&self) -> Option<Failure> {
        let encoding = self.header(CONTENT_ENCODING)?.trim();
        let is_plain = encoding.is_empty() || encoding.eq_ignore_ascii_case("identity");
        (!is_plain).then(|| Failure::BadAnswer(BadAnswer::Encoded(foreign::escape(encoding, MAX_NAME_BYTES))))
    }

    /// Whether it refuses the login.
    pub(super) fn refuses_login(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    /// A success that is a web page doesn't come from a registry.
    pub(super) fn not_html(&self) -> Result<(), Failure> {
        if refusal::is_html(self.header(CONTENT_TYPE), &self.body) {
            return Err(Failure::BadAnswer(BadAnswer::Html(refusal::title(&self.body))));
        }
        Ok(())
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry::retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, SystemTime::now())
}

/// The kinds of login that a proxy offers, by their names alone.
pub(super) fn offered(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(PROXY_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    // Several may share a header: a name is a lone word, or a word without `=` after it.
    let names = values.flat_map(|value| value.split(',')).filter_map(|part| {
        let name = part.split_whitespace().next()?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_name && name.len() <= MAX_NAME_BYTES).then(|| name.to_owned())
    });
    let mut names: Vec<String> = names.take(MAX_OFFERED).collect();
    names.dedup();
    names
}

/// What a refusing answer says.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    Refusal { status, said: refusal::read(kind, body), retry_after: retry_after(headers) }
}
