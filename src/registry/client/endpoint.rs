//! Addresses: where a repository's things are, what of an address may be shown, and where a login may go.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints>

use std::fmt::Write as _;

use url::Url;

use crate::foreign;
use crate::net::host;
use crate::oci::Target;
use crate::oci::digest::Digest;
use crate::oci::reference::Repository;

/// The query parameters whose values are shown. Upload addresses and token services carry others that
/// are as good as a password.
const SHOWN_PARAMETERS: [&str; 8] =
    ["digest", "n", "last", "artifactType", "mount", "from", "service", "scope"];

/// The longest address that is shown.
const MAX_SHOWN_BYTES: usize = 512;

/// A repository's base address: `https://HOST/v2/PATH/`.
pub(super) fn base(repository: &Repository, insecure_http: bool) -> Result<Url, url::ParseError> {
    let scheme = if insecure_http { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{}/v2/{}/", repository.registry(), repository.path()))
}

pub(super) fn manifest(base: &Url, target: &Target) -> Url {
    match target {
        Target::Tag(tag) => below(base, &["manifests", tag]),
        Target::Digest(digest) => below(base, &["manifests", digest.as_str()]),
    }
}

pub(super) fn blob(base: &Url, digest: &Digest) -> Url {
    below(base, &["blobs", digest.as_str()])
}

pub(super) fn uploads(base: &Url) -> Url {
    below(base, &["blobs", "uploads", ""])
}

pub(super) fn referrers(base: &Url, subject: &Digest) -> Url {
    below(base, &["referrers", subject.as_str()])
}

/// Where a registry says how it wants logins.
pub(super) fn root(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_path("/v2/");
    url
}

fn below(base: &Url, parts: &[&str]) -> Url {
    let mut url = base.clone();
    // An https URL always has path segments.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(parts);
    }
    url
}

/// An address that a header names, absolute or relative to `from`, without what no request sends.
pub(super) fn named_by(header: &str, from: &Url) -> Option<Url> {
    let mut url = http_address(header, from)?;
    // A user name in an address would become a login chosen by whoever wrote the address.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(url)
}

/// The address of the token service that a registry names, absolute or relative to `from`.
///
/// A user name or a password in it is refused: the request carries the login that was configured, or none.
pub(super) fn token_service(realm: &str, from: &Url) -> Option<Url> {
    http_address(realm, from).filter(|url| url.username().is_empty() && url.password().is_none())
}

/// An `http` or `https` address, its host in the one spelling that is compared: [`Url`] writes letters in lower case, leaves
/// default ports out and has one form for each IP address. A dot after the host's name is dropped here, from the address
/// itself: a name with one would be compared as one host and looked up as another where there are search domains.
fn http_address(text: &str, from: &Url) -> Option<Url> {
    let mut url = from.join(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let dotless = url.host_str()?.strip_suffix('.').map(str::to_owned);
    if let Some(host) = dotless {
        url.set_host(Some(&host)).ok()?;
    }
    url.set_fragment(None);
    Some(url)
}

/// Where the login of `home` may go: the same scheme, host and port. Hosts are compared by name: `localhost` and `127.0.0.1` differ.
pub(super) fn same_origin(home: &Url, other: &Url) -> bool {
    home.scheme() == other.scheme()
        && same_host(home, other)
        && home.port_or_known_default() == other.port_or_known_default()
}

/// Whether the host is the same, on any port.
pub(super) fn same_host(home: &Url, other: &Url) -> bool {
    home.host_str() == other.host_str()
}

/// An address as it may be shown: no user name, and of the query only the values known to be harmless.
pub(super) fn redacted(url: &Url) -> String {
    let mut text = format!("{}://{}{}", url.scheme(), host(url), url.path());
    if let Some(query) = url.query() {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        for (at, (name, value)) in pairs.enumerate() {
            let value = if SHOWN_PARAMETERS.contains(&name.as_ref()) { value } else { "REDACTED".into() };
            let mark = if at == 0 { '?' } else { '&' };
            // Writing to a String can't fail.
            let _ = write!(text, "{mark}{name}={value}");
            if text.len() > MAX_SHOWN_BYTES {
                break;
            }
        }
    }
    foreign::escape(&text, MAX_SHOWN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn repository(text: &str) -> Repository {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_the_specifications() {
        let base = base(&repository("registry.example:5000/team/app"), false).unwrap();
        let digest = Digest::of(b"");
        let text = |url: Url| url.to_string();
        let root = "https://registry.example:5000/v2/team/app";
        assert_eq!(text(manifest(&base, &Target::Tag("v1".into()))), format!("{root}/manifests/v1"));
        assert_eq!(
            text(manifest(&base, &Target::Digest(digest.clone()))),
            format!("{root}/manifests/{digest}")
        );
        assert_eq!(text(blob(&base, &digest)), format!("{root}/blobs/{digest}"));
        assert_eq!(text(uploads(&base)), format!("{root}/blobs/uploads/"));
        assert_eq!(text(referrers(&base, &digest)), format!("{root}/referrers/{digest}"));
        // A tag can't lead out of its repository.
        assert_eq!(
            text(manifest(&base, &Target::Tag("../x?y".into()))),
            format!("{root}/manifests/..%2Fx%3Fy")
        );
    }

    #[test]
    fn docker_hub_is_asked_where_cosign_asks_it() {
        let base = base(&repository("alpine"), false).unwrap();
        assert_eq!(base.as_str(), "https://index.docker.io/v2/library/alpine/");
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        let url = Url::parse(
            "https://user:hunter2@r.example/v2/a/blobs/uploads/1?_state=hunter2&digest=sha256%3Aab&X-Amz-Signature=hunter2#hunter2",
        )
        .unwrap();
        assert_eq!(
            redacted(&url),
            "https://r.example/v2/a/blobs/uploads/1?_state=REDACTED&digest=sha256:ab&X-Amz-Signature=REDACTED"
        );
        let long = Url::parse(&format!("https://r.example/?{}", "n=1&".repeat(9000))).unwrap();
        assert!(redacted(&long).len() < 600);
    }

    #[test]
    fn a_header_names_an_address_relative_or_absolute_and_no_login() {
        let from = Url::parse("https://r.example/v2/a/blobs/uploads/").unwrap();
        let named = |header: &str| named_by(header, &from).map(String::from);
        assert_eq!(named("/x?y=z").as_deref(), Some("https://r.example/x?y=z"));
        assert_eq!(
            named("1?_state=a%2Fb").as_deref(),
            Some("https://r.example/v2/a/blobs/uploads/1?_state=a%2Fb")
        );
        assert_eq!(named("https://u:p@s3.example/k").as_deref(), Some("https://s3.example/k"));
        assert_eq!(named("//other.example/k").as_deref(), Some("https://other.example/k"));
        assert_eq!(named("ftp://r.example/"), None);
        assert_eq!(named("https://:0"), None);
        assert_eq!(named("https://S3.example.:443/k").as_deref(), Some("https://s3.example/k"));
        assert_eq!(named("https://./"), None);
    }

    #[test]
    fn a_token_service_has_an_address_without_a_user() {
        let from = Url::parse("https://r.example/v2/").unwrap();
        let named = |realm: &str| token_service(realm, &from).map(String::from);
        assert_eq!(
            named("https://auth.example/token?a=b#c").as_deref(),
            Some("https://auth.example/token?a=b")
        );
        assert_eq!(named("/token").as_deref(), Some("https://r.example/token"));
        for refused in [
            "https://r.example@auth.example/token",
            "https://ci:pw@r.example/token",
            "https://:pw@r.example/token",
            "ftp://r.example/token",
            "file:///token",
            "data:application/json,{}",
            "unix:///token",
            "https://",
        ] {
            assert_eq!(named(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_login_stays_with_its_scheme_host_and_port() {
        let home = Url::parse("https://r.example/v2/").unwrap();
        let same = |other: &str| same_origin(&home, &Url::parse(other).unwrap());
        assert!(same("https://R.example:443/other"));
        assert!(!same("http://r.example/v2/"));
        assert!(!same("https://r.example:8443/v2/"));
        assert!(!same("https://r.example.evil/v2/"));
        assert!(!same("https://r.example@evil.example/v2/"));
    }

    proptest! {
        #[test]
        fn any_text_is_no_address_or_one_that_is_read_the_same_again(
            text in "(https?|HTTP|ftp|)(:|:/|:///?)?(u(:p)?@)?[a-zA-Z0-9.@:/\\\\\\[\\]?#%\u{e4}\u{3002} \t-]{0,40}"
        ) {
            let home = Url::parse("https://r.example/v2/").unwrap();
            for url in [named_by(&text, &home), token_service(&text, &home)].into_iter().flatten() {
                prop_assert!(matches!(url.scheme(), "http" | "https"));
                prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
                prop_assert!(!url.host_str().unwrap().is_empty());
                let again = Url::parse(url.as_str()).unwrap();
                prop_assert_eq!(&again, &url);
                // What is shown is what is asked.
                prop_assert!(redacted(&url).contains(url.host_str().unwrap()));
            }
        }
    }

    #[test]
    fn a_host_has_one_spelling() {
        for (one, others) in [
            ("http://[::1]:5000/", &["http://[0:0:0:0:0:0:0:1]:5000/x", "http://[0::0001]:5000/"][..]),
            ("http://127.0.0.1:80/", &["http://0x7f.1/", "http://2130706433:80/", "http://127.0.0.1./"]),
            (
                "https://r.example:443/",
                &["https://R.EXAMPLE/", "HTTPS://r.example./", "https:\\\\r%2eexample"],
            ),
        ] {
            let home = Url::parse(one).unwrap();
            for other in others {
                assert!(same_origin(&home, &named_by(other, &home).unwrap()), "{one} {other}");
            }
        }
        let home = Url::parse("http://127.0.0.1:80/").unwrap();
        assert!(same_host(&home, &named_by("http://127.1:5000/", &home).unwrap()));
        assert!(!same_host(&home, &named_by("http://localhost/", &home).unwrap()));
    }
}
