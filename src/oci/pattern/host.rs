//! The first part of a pattern: which registries it is for.
//!
//! Without a `*` it is a registry's name, brought to its canonical form. Beside a `*` nothing can be brought to it, because it isn't known
//! what the whole is; so what stands there has to be in that form. An error is what can match no canonical name at all.

use std::str::FromStr;

use super::PatternError;
use crate::oci::authority::{Authority, HTTPS_PORT, is_host_label};
use crate::oci::reference::DEFAULT_REGISTRY;
use crate::pattern;

/// The registries that a pattern is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern {
    /// The pattern that a registry's name must match.
    pub(crate) glob: String,
    /// Whether that is the name with its port, also where it is the default: a `*` in a port stands for every port.
    pub(crate) with_port: bool,
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "**" {
            return Ok(Self { glob: text.to_owned(), with_port: false });
        }
        if !text.contains('*') {
            if !text.bytes().all(|b| is_known(b) || b.is_ascii_uppercase()) {
                return Err(PatternError::Character);
            }
            let authority = Authority::parse(text).ok_or(PatternError::Registry)?;
            return Ok(Self { glob: authority.to_string(), with_port: false });
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(PatternError::HostCase);
        }
        if !text.bytes().all(is_known) {
            return Err(PatternError::Character);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => in_brackets(text, rest)?,
            None => {
                let (host, port) =
                    text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                check_host(host)?;
                (host, port)
            }
        };
        port.map_or(Ok(()), check_port)?;
        let with_port = port.is_some_and(|port| port.contains('*'));
        if with_port && !host.contains('*') {
            check_spelled(host, port)?;
        }
        Ok(Self { glob: text.to_owned(), with_port })
    }
}

impl HostPattern {
    /// Whether it is for Docker Hub alone, or for its name on each of several ports.
    pub(crate) fn is_docker_hub(&self) -> bool {
        let (host, port) =
            self.glob.split_once(':').map_or((&*self.glob, None), |(host, port)| (host, Some(port)));
        host == DEFAULT_REGISTRY && port.is_none_or(covers_https)
    }
}

/// What a registry's name, or a pattern for it, consists of.
fn is_known(b: u8) -> bool {
    b.is_ascii_lowercase()
        || b.is_ascii_digit()
        || matches!(b, b'.' | b'_' | b'-' | b'*' | b':' | b'[' | b']')
}

/// The host and the port of `[ADDRESS]:PORT` or `[ADDRESS]*`.
fn in_brackets<'a>(text: &'a str, rest: &'a str) -> Result<(&'a str, Option<&'a str>), PatternError> {
    let (address, behind) = rest.split_once(']').ok_or(PatternError::Registry)?;
    if address.contains('*') {
        return Err(PatternError::Address);
    }
    let host = text.get(..address.len() + 2).unwrap_or_default();
    let canonical = Authority::of(host, None).ok_or(PatternError::Registry)?;
    if canonical.host() != host {
        return Err(PatternError::Address);
    }
    match behind.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if behind == "*" => Ok((text, None)),
        None => Err(PatternError::Registry),
    }
}

/// Whether a host could be like that.
fn check_host(host: &str) -> Result<(), PatternError> {
    // As of paths: what is no label with a letter in the place of each `*` is none with anything else.
    if !host.split('.').all(|label| is_host_label(&label.replace('*', "a"))) {
        return Err(PatternError::Registry);
    }
    // What ends with a number is an address: four decimal numbers up to 255. Where a star stands in the last label, it can also be
    // a name, because a star can stand for dots and letters.
    let is_number = |label: &str| match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    };
    let labels: Vec<&str> = host.split('.').collect();
    if labels.last().is_some_and(|last| !is_number(last)) {
        return Ok(());
    }
    let is_part = |label: &str| label.contains('*') && label.bytes().all(|b| b.is_ascii_digit() || b == b'*');
    if labels.len() > 4 || !labels.iter().all(|label| is_number(label) || is_part(label)) {
        return Err(PatternError::Registry);
    }
    // `0*` can stand for `0.0`, and `01*` for nothing.
    let is_odd =
        |label: &str| label.starts_with('0') && !matches!(label.as_bytes().get(1), None | Some(b'*'));
    if labels.iter().any(|label| is_odd(label)) {
        return Err(PatternError::Address);
    }
    let could_be = |label: &&str| label.contains('*') || label.parse::<u8>().is_ok();
    if labels.iter().all(could_be) { Ok(()) } else { Err(PatternError::Registry) }
}

/// Whether a canonical name could have such a port.
fn check_port(port: &str) -> Result<(), PatternError> {
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit() || b == b'*') {
        return Err(PatternError::Registry);
    }
    if port.starts_with('0') {
        return Err(PatternError::Port);
    }
    let digits = port.replace('*', "");
    match digits.parse::<u16>() {
        Ok(HTTPS_PORT) if digits == port => Err(PatternError::Port),
        Ok(_) => Ok(()),
        Err(_) if digits.is_empty() => Ok(()),
        Err(_) => Err(PatternError::Registry),
    }
}

/// Whether a host that is fully spelled beside a star in its port is in its canonical form.
fn check_spelled(host: &str, port: Option<&str>) -> Result<(), PatternError> {
    let canonical = Authority::of(host, None).ok_or(PatternError::Registry)?;
    if canonical.host() == host {
        return Ok(());
    }
    if !canonical.is_docker_hub() {
        return Err(PatternError::Address);
    }
    // On a port of its own it isn't Docker Hub.
    if port.is_some_and(covers_https) { Err(PatternError::DockerHub) } else { Ok(()) }
}

/// Whether a port's pattern covers the port that names leave out.
fn covers_https(port: &str) -> bool {
    pattern::covers_part(port, &HTTPS_PORT.to_string())
}
