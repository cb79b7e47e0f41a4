//! `HOST[:PORT]` in its one form: what names of one registry have in common, however they are spelled.
//!
//! * Letters are in lower case, and an address is in its usual form: of `0x7f.1` it is `127.0.0.1`, of `[0:0::1]` `[::1]`, and of
//!   the IPv4 address in `[::ffff:10.0.0.1]` that IPv4 address, because both reach the same server. The client reads hosts
//!   the same way, with the same library, so no spelling reaches a server whose name is another here.
//! * A port has no zeros before it, and 443 is left out, because it is the default port of HTTPS. Port 80 stays:
//!   a name doesn't say that its registry speaks plain HTTP, and over HTTPS port 80 is another server than port 443.
//!   [`Repository::canonical_names`](super::Repository::canonical_names) is for those who know.
//! * Docker Hub's names, on the default port, are `index.docker.io`.
//!
//! Refused: what the client couldn't reach either, such as `1.2.3.256`, an empty label, and so a dot after the last label.
//!
//! Spec: <https://url.spec.whatwg.org/#host-parsing>

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Docker Hub's registry, and the registry of names that don't say one.
pub(crate) const DEFAULT_REGISTRY: &str = "index.docker.io";

/// The port that an absent one stands for.
pub(crate) const HTTPS_PORT: u16 = 443;

/// Docker Hub's names; the first is compared.
pub(crate) const DOCKER_HUB: [&str; 4] =
    [DEFAULT_REGISTRY, "docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// A registry's host and port, in the canonical form that is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `HOST[:PORT]`: a DNS name, an IPv4 address, or an IPv6 address in brackets; `None`: it is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        Self::of(host, port.filter(|port| *port != HTTPS_PORT))
    }

    /// The same with the port split off, `None` for the default one.
    pub(crate) fn of(host: &str, port: Option<u16>) -> Option<Self> {
        let host = canonical_host(host)?;
        let is_hub = port.is_none() && DOCKER_HUB.contains(&host.as_str());
        Some(Self { host: if is_hub { DEFAULT_REGISTRY.to_owned() } else { host }, port })
    }

    /// The host: an IPv6 address in its brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port; `None`: 443.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether it is Docker Hub.
    pub(crate) fn is_docker_hub(&self) -> bool {
        self.port.is_none() && self.host == DEFAULT_REGISTRY
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Host and port; `None`: the port is none.
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    // The colons inside the brackets of an IPv6 address don't begin a port.
    let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
    match authority.rfind(':').filter(|colon| *colon >= after_brackets) {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(colon);
            // `parse` would take `+5000`.
            let digits = port.strip_prefix(':').filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?;
            Some((host, Some(digits.parse().ok().filter(|port| *port > 0)?)))
        }
    }
}

/// The canonical form of a host; `None`: it is not a host.
fn canonical_host(host: &str) -> Option<String> {
    if let Some(rest) = host.strip_prefix('[') {
        let address: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
        return Some(match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
    }
    if !host.split('.').all(is_host_label) {
        return None;
    }
    match url::Host::parse(host).ok()? {
        url::Host::Domain(name) => Some(name),
        url::Host::Ipv4(address) => Some(address.to_string()),
        url::Host::Ipv6(_) => None,
    }
}

/// Whether a text is one part of a host's name.
pub(crate) fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_has_its_one_form() {
        for (text, want) in [
            ("registry.example", "registry.example"),
            ("Registry.Example", "registry.example"),
            ("LOCALHOST:5000", "localhost:5000"),
            ("registry.example:443", "registry.example"),
            ("registry.example:0443", "registry.example"),
            ("registry.example:00443", "registry.example"),
            ("registry.example:05000", "registry.example:5000"),
            ("registry.example:80", "registry.example:80"),
            ("registry.example:080", "registry.example:80"),
            ("docker.io", "index.docker.io"),
            ("Docker.IO:0443", "index.docker.io"),
            ("registry-1.docker.io", "index.docker.io"),
            ("registry.hub.docker.com:443", "index.docker.io"),
            ("docker.io:5000", "docker.io:5000"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("127.1:5000", "127.0.0.1:5000"),
            ("0x7f.1:5000", "127.0.0.1:5000"),
            ("0X7F000001", "127.0.0.1"),
            ("2130706433:5000", "127.0.0.1:5000"),
            ("0177.0.0.1", "127.0.0.1"),
            ("010.0.0.1", "8.0.0.1"),
            ("[::1]:5000", "[::1]:5000"),
            ("[0:0:0:0:0:0:0:1]:05000", "[::1]:5000"),
            ("[FD00::00A]:443", "[fd00::a]"),
            ("[::ffff:10.0.0.1]:5000", "10.0.0.1:5000"),
            ("[::FFFF:a00:1]", "10.0.0.1"),
            ("a_b.example", "a_b.example"),
        ] {
            let found = Authority::parse(text).unwrap();
            assert_eq!(found.to_string(), want, "{text}");
            assert_eq!(Authority::parse(want), Some(found), "{want}");
        }
    }

    #[test]
    fn what_no_client_reaches_is_refused() {
        for text in [
            "",
            "registry.example.",
            "LOCALHOST.:5000",
            "127.0.0.1.:5000",
            ".registry.example",
            "registry..example",
            "-x.example",
            "1.2.3.256",
            "256.0.0.1.5",
            "registry.1",
            "registry.0x1",
            "4294967296",
            "xn--.example",
            "registry.example:",
            "registry.example:0",
            "registry.example:+443",
            "registry.example:65536",
            "registry.example:443:443",
            "[::1",
            "::1",
            "[::1]5000",
            "[fe80::1%eth0]",
            "[127.0.0.1]",
            "127.0.0.1%00",
            "user@registry.example",
            "r\u{e9}gistry.example",
            "registry\u{3002}example",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }
}
