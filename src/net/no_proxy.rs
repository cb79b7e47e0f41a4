//! `NO_PROXY`, read as Go's clients read it.
//!
//! Entries stand between commas. `*` means every host. An IP address, or a range of them in CIDR notation, means these addresses.
//! `NAME` means the host and all below it, `.NAME` and `*.NAME` only what is below it. An address or a name may end in `:PORT`. An
//! entry that is none of these means nothing.
//!
//! Two things are wider than in Go: an IPv6 address may have brackets without a port too, and a dot at the end of a name
//! makes no difference.
//!
//! Spec: <https://pkg.go.dev/golang.org/x/net@v0.57.0/http/httpproxy#Config>

use std::net::{IpAddr, Ipv6Addr};

use url::{Host, Url};

/// The hosts that `NO_PROXY` lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NoProxy {
    every_host: bool,
    entries: Vec<Entry>,
}

/// One entry, with its port if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Address(IpAddr, Option<String>),
    Range {
        network: u128,
        bits: u32,
        of_v4: bool,
    },
    /// A name in lower case, without a dot at either end.
    Name {
        name: String,
        itself: bool,
        port: Option<String>,
    },
}

impl NoProxy {
    /// Reads the value of the variable.
    pub(crate) fn read(value: &str) -> Self {
        let entries = || value.split(',').map(str::trim).filter(|text| !text.is_empty());
        if entries().any(|text| text == "*") {
            return Self { every_host: true, entries: Vec::new() };
        }
        Self { every_host: false, entries: entries().filter_map(Entry::read).collect() }
    }

    /// Whether the variable names the host of `url`.
    pub(crate) fn names(&self, url: &Url) -> bool {
        let port = url.port_or_known_default().map(|port| port.to_string()).unwrap_or_default();
        self.every_host
            || match url.host() {
                Some(Host::Domain(name)) => {
                    let name = name.trim_end_matches('.').to_ascii_lowercase();
                    self.entries.iter().any(|entry| entry.names(&name, &port))
                }
                Some(Host::Ipv4(ip)) => self.has_address(ip.into(), &port),
                Some(Host::Ipv6(ip)) => self.has_address(ip.into(), &port),
                None => false,
            }
    }

    fn has_address(&self, ip: IpAddr, port: &str) -> bool {
        let ip = ip.to_canonical();
        self.entries.iter().any(|entry| entry.has_address(ip, port))
    }
}

impl Entry {
    fn read(text: &str) -> Option<Self> {
        if let Some(range) = range(text) {
            return Some(range);
        }
        let (host, port) = split_port(text);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Self::Address(ip.to_canonical(), port));
        }
        let below = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let name = below.strip_prefix('.').unwrap_or(below);
        let itself = name.len() == below.len();
        let name = ascii(name.trim_end_matches('.'));
        (!name.is_empty()).then_some(Self::Name { name, itself, port })
    }

    fn names(&self, host: &str, asked: &str) -> bool {
        let Self::Name { name, itself, port } = self else { return false };
        let matches = match host.strip_suffix(name.as_str()) {
            Some("") => *itself,
            Some(before) => before.ends_with('.'),
            None => false,
        };
        matches && port.as_deref().is_none_or(|port| port == asked)
    }

    fn has_address(&self, ip: IpAddr, asked: &str) -> bool {
        match self {
            Self::Address(own, port) => *own == ip && port.as_deref().is_none_or(|port| port == asked),
            Self::Range { network, bits, of_v4 } => {
                let (number, width) = number(ip);
                *of_v4 == ip.is_ipv4() && masked(number, width, *bits) == *network
            }
            Self::Name { .. } => false,
        }
    }
}

/// Parses an address range `ADDRESS/BITS`.
fn range(text: &str) -> Option<Entry> {
    let (address, bits) = text.split_once('/')?;
    let ip = address.parse::<IpAddr>().ok()?;
    let bits =
        Some(bits).filter(|bits| bits.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<u32>().ok()?;
    let (number, width) = number(ip);
    let network = (bits <= width).then(|| masked(number, width, bits))?;
    // A range of IPv4 addresses that is written as one of IPv6 addresses.
    let mapped = (width == 128).then(|| Ipv6Addr::from(network).to_ipv4_mapped()).flatten();
    Some(match mapped {
        Some(ip) => {
            Entry::Range { network: u32::from(ip).into(), bits: bits.saturating_sub(96), of_v4: true }
        }
        None => Entry::Range { network, bits, of_v4: ip.is_ipv4() },
    })
}

/// An address as a number, and how many bits it has.
fn number(ip: IpAddr) -> (u128, u32) {
    match ip {
        IpAddr::V4(ip) => (u32::from(ip).into(), 32),
        IpAddr::V6(ip) => (ip.into(), 128),
    }
}

/// The first `bits` of the `width` bits of an address, the others zero.
fn masked(number: u128, width: u32, bits: u32) -> u128 {
    let rest = width - bits.min(width);
    number.checked_shr(rest).and_then(|number| number.checked_shl(rest)).unwrap_or(0)
}

/// `HOST:PORT`, or a host alone; an IPv6 address with a port has brackets.
fn split_port(text: &str) -> (&str, Option<String>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, Some(port.to_owned()).filter(|port| !port.is_empty()))
        }
        _ => (text, None),
    }
}

/// A name as addresses have it: in lower case, other letters than ASCII's encoded.
fn ascii(name: &str) -> String {
    let encoded = (!name.is_ascii()).then(|| Host::parse(name).ok()).flatten();
    encoded.map_or_else(|| name.to_ascii_lowercase(), |host| host.to_string())
}

#[cfg(test)]
mod tests;
