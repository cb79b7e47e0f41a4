//! The first part of a pattern: which registries it is for.
//!
//! Without a `*` it is a registry's name, brought to its canonical form. Beside a `*` nothing can be brought to it, because it isn't known
//! what the whole is; so what stands there has to be in that form, and what covers another spelling alone is an error.

use std::str::FromStr;

use super::PatternError;
use crate::pattern;
use crate::registry::authority::{Authority, DOCKER_HUB, HTTPS_PORT, is_host_label};
use crate::registry::reference::DEFAULT_REGISTRY;

/// The registries that a pattern is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPattern {
    /// What a registry's name is held against.
    pub(super) glob: String,
    /// Whether that is the name with its port, also where it is the default: a `*` in a port stands for every port.
    pub(super) with_port: bool,
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
        // On a port of its own it isn't Docker Hub.
        if port.is_none() || with_port {
            check_docker_hub(host, port)?;
        }
        Ok(Self { glob: text.to_owned(), with_port })
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
    // An address in another form, as far as it stands there: numbers only, and one of them octal or hexadecimal.
    let is_number = |label: &str| match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit() || b == b'*'),
        None => label.bytes().all(|b| b.is_ascii_digit() || b == b'*'),
    };
    let odd = |label: &str| label.len() > 1 && label.starts_with('0');
    let labels: Vec<&str> = host.split('.').collect();
    if labels.iter().all(|label| is_number(label)) && labels.iter().any(|label| odd(label)) {
        return Err(PatternError::Address);
    }
    // What ends with a number is an address, of four numbers up to 255.
    let ends_with_number = labels.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let could_be = |label: &&str| is_number(label) && (label.contains('*') || label.parse::<u8>().is_ok());
    if ends_with_number && !(labels.len() <= 4 && labels.iter().all(could_be)) {
        return Err(PatternError::Registry);
    }
    Ok(())
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

/// Whether it covers Docker Hub by its canonical name, if it covers it at all.
fn check_docker_hub(host: &str, port: Option<&str>) -> Result<(), PatternError> {
    let covers = |name: &str| {
        pattern::covers_part(host, name)
            && port.is_none_or(|port| pattern::covers_part(port, &HTTPS_PORT.to_string()))
    };
    if DOCKER_HUB.into_iter().any(covers) && !covers(DEFAULT_REGISTRY) {
        return Err(PatternError::DockerHub);
    }
    Ok(())
}
