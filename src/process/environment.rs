//! Reads the environment of this process once, and overwrites its secrets in memory.
//!
//! The kernel puts the variables on the stack of a new program and shows that memory as `/proc/PID/environ` while the
//! process runs. Programs that the process starts inherit it, and core dumps include it. So secret values are replaced
//! with zero bytes in that memory. An overwritten variable is still set, but empty.
//!
//! Spec: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html> (`env_start`, `env_end`),
//! <https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html>

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use serde::Serialize;
use zeroize::Zeroizing;

use super::memory::OwnMemory;
use crate::secret::Secret;

/// The longest environment that is overwritten, in bytes. The kernel limits arguments and environment to 6 MiB.
const MAX_BLOCK_BYTES: u64 = 64 * 1024 * 1024;
/// The longest `/proc/self/stat`, in bytes. It has 52 numbers and a name of 16 bytes.
const MAX_STAT_BYTES: u64 = 4096;
/// The prefix of a reference to a variable, in arguments and in other variables.
const REFERENCE: &[u8] = b"env://";

/// Rules for which variables and flags are secret.
#[derive(Clone)]
pub struct SecretNames<'a> {
    /// Variables that are always secret.
    pub always: Vec<&'a str>,
    /// Variables with proxy URLs, which are secret if the URL has user information.
    pub proxies: &'a [&'a str],
    /// Flags whose values are secret, without `--`.
    pub flags: Vec<&'a str>,
    /// Settings, which stay readable even if an `env://` names them. Otherwise a value from another program could
    /// hide a restriction.
    pub never: &'a dyn Fn(&str) -> bool,
}

/// The environment variables of this process.
#[derive(Default)]
pub struct Variables {
    /// The variables that are not secret, in the order of the environment.
    pub ordinary: Vec<(OsString, OsString)>,
    /// The secret variables, in the same order.
    pub secret: Vec<(OsString, Secret)>,
}

/// Whether the secrets in the environment are overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum EnvironmentState {
    /// There are no secret variables.
    NothingSecret,
    /// The values are overwritten, so `/proc/PID/environ` doesn't show them.
    Overwritten,
    /// The values are still in memory.
    NotOverwritten {
        /// Why they could not be overwritten.
        why: String,
    },
}

impl fmt::Display for EnvironmentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingSecret => f.write_str("nothing secret in it"),
            Self::Overwritten => f.write_str("overwritten"),
            Self::NotOverwritten { why } => write!(f, "not overwritten: {why}"),
        }
    }
}

impl Variables {
    /// Reads the environment. Variables that `arguments` name as `env://NAME` are secret.
    pub(super) fn read(arguments: &[OsString], names: &SecretNames<'_>) -> Self {
        let all: Vec<(OsString, Zeroizing<Vec<u8>>)> = std::env::vars_os()
            // `into_vec` keeps the allocation, so this is the only copy.
            .map(|(name, value)| (name, Zeroizing::new(value.into_vec())))
            .collect();
        let texts = arguments.iter().map(|argument| argument.as_bytes());
        let texts = texts.chain(all.iter().map(|(_, value)| value.as_slice()));
        let mut secret: BTreeSet<OsString> = texts
            .flat_map(references)
            .filter(|name| !(names.never)(name))
            .chain(names.always.iter().copied())
            .map(OsString::from)
            .collect();
        let is_proxy = |name: &OsStr| names.proxies.iter().any(|proxy| name == *proxy);
        let proxies = all.iter().filter(|(name, value)| is_proxy(name) && value.contains(&b'@'));
        secret.extend(proxies.map(|(name, _)| name.clone()));
        let mut variables = Self::default();
        for (name, mut value) in all {
            let value = std::mem::take(&mut *value);
            if secret.contains(&name) {
                variables.secret.push((name, Secret::new(value)));
            } else {
                variables.ordinary.push((name, OsString::from_vec(value)));
            }
        }
        variables
    }

    /// Overwrites the values of the secret variables in the memory of this process.
    pub(super) fn overwrite(&self) -> EnvironmentState {
        let names: BTreeSet<&[u8]> = self.secret.iter().map(|(name, _)| name.as_bytes()).collect();
        if names.is_empty() {
            return EnvironmentState::NothingSecret;
        }
        match overwrite(&names) {
            // A name can occur twice, so there may be more entries than names.
            Ok(count) if count >= self.secret.len() => EnvironmentState::Overwritten,
            Ok(_) => {
                EnvironmentState::NotOverwritten { why: "a variable is not where the kernel says".into() }
            }
            Err(error) => EnvironmentState::NotOverwritten { why: error },
        }
    }
}

/// Overwrites the values of `names`, and returns how many entries have these names.
fn overwrite(names: &BTreeSet<&[u8]>) -> Result<usize, String> {
    let block = block(MemoryBlock::Environment)?;
    overwrite_in(&block, names).map_err(|error| format!("its own memory: {error}"))
}

fn overwrite_in(block: &Range<u64>, names: &BTreeSet<&[u8]>) -> io::Result<usize> {
    let memory = OwnMemory::open();
    let length = usize::try_from(block.end - block.start).map_err(io::Error::other)?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    memory.read(block.start, &mut bytes)?;
    let found = values(&bytes, names);
    for value in &found {
        let (zeros, start) = (vec![0; value.len()], block.start + value.start as u64);
        memory.write(start, &zeros)?;
        // A sandbox may accept the write and discard it.
        let mut left = Zeroizing::new(vec![1; value.len()]);
        memory.read(start, &mut left)?;
        if *left != zeros {
            return Err(io::Error::other("the write had no effect"));
        }
    }
    Ok(found.len())
}

/// A part of this process' memory that the kernel exposes.
#[derive(Clone, Copy, Debug)]
pub(super) enum MemoryBlock {
    /// The arguments, shown as `/proc/PID/cmdline`.
    Arguments,
    /// The environment, shown as `/proc/PID/environ`.
    Environment,
}

/// Finds the addresses of a block.
///
/// # Errors
///
/// The system doesn't provide the addresses.
pub(super) fn block(which: MemoryBlock) -> Result<Range<u64>, String> {
    let mut stat = Vec::new();
    File::open("/proc/self/stat")
        .and_then(|file| file.take(MAX_STAT_BYTES).read_to_end(&mut stat))
        .map_err(|error| format!("/proc/self/stat: {error}"))?;
    addresses(&stat, which).ok_or_else(|| "/proc/self/stat: no address".to_owned())
}

/// Finds the addresses of a block in the content of `/proc/self/stat`; `None` if they are missing or invalid.
///
/// The second field is the program's name in parentheses, and may contain blanks and parentheses.
fn addresses(stat: &[u8], which: MemoryBlock) -> Option<Range<u64>> {
    /// The number of the first field after the name.
    const FIRST: usize = 3;
    // `arg_start` and `arg_end`, `env_start` and `env_end`.
    let number = match which {
        MemoryBlock::Arguments => 48,
        MemoryBlock::Environment => 50,
    };
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace().skip(number - FIRST).map(str::parse);
    let (start, end): (u64, u64) = (fields.next()?.ok()?, fields.next()?.ok()?);
    let length = end.checked_sub(start)?;
    (start > 0 && length > 0 && length <= MAX_BLOCK_BYTES).then_some(start..end)
}

/// The ranges of the values of `names` in the environment `block`, including duplicate names.
fn values(block: &[u8], names: &BTreeSet<&[u8]>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for entry in block.split(|byte| *byte == 0) {
        // As in the standard library, a name has at least one byte, which may be `=`. An entry without `=` is not a variable.
        let equals = entry.iter().skip(1).position(|byte| *byte == b'=').map(|position| position + 1);
        if let Some(equals) = equals
            && entry.get(..equals).is_some_and(|name| names.contains(name))
        {
            found.push(start + equals + 1..start + entry.len());
        }
        start += entry.len() + 1;
    }
    found
}

/// The names in all `env://NAME` references of a text.
fn references(text: &[u8]) -> Vec<&str> {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut names = Vec::new();
    for (position, window) in text.windows(REFERENCE.len()).enumerate() {
        let before = position.checked_sub(1).and_then(|before| text.get(before));
        if window != REFERENCE || before.is_some_and(in_name) {
            continue;
        }
        let rest = text.get(position + REFERENCE.len()..).unwrap_or_default();
        let end = rest.iter().position(|byte| !in_name(byte)).unwrap_or(rest.len());
        let name = rest.get(..end).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        if !name.is_empty() {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(stat: &[u8]) -> Option<Range<u64>> {
        addresses(stat, MemoryBlock::Environment)
    }

    fn stat(name: &str, start: &str, end: &str) -> Vec<u8> {
        let before: Vec<String> = (4..50).map(|field| field.to_string()).collect();
        format!("1 ({name}) S {} {start} {end} 0\n", before.join(" ")).into_bytes()
    }

    #[test]
    fn the_addresses_are_found_after_any_program_name() {
        for name in ["stepseal", "a b", "a) S 1 2 (b", "))", "", "\u{e9} )"] {
            assert_eq!(block(&stat(name, "4096", "5000")), Some(4096..5000), "{name}");
            let arguments = addresses(&stat(name, "4096", "5000"), MemoryBlock::Arguments);
            assert_eq!(arguments, Some(48..49), "{name}");
        }
        let mut odd = stat("x", "4096", "5000");
        odd[3] = 0xff;
        assert_eq!(block(&odd), Some(4096..5000), "a name that is not UTF-8");
    }

    #[test]
    fn invalid_addresses_are_rejected() {
        for (start, end) in [
            ("0", "0"),
            ("0", "10"),
            ("10", "10"),
            ("11", "10"),
            ("x", "10"),
            ("-1", "10"),
            ("1", "99999999999"),
        ] {
            assert_eq!(block(&stat("x", start, end)), None, "{start} {end}");
        }
        for text in ["", "1", "1 (x", "1 (x)", "1 (x) S 1 2 3"] {
            assert_eq!(block(text.as_bytes()), None, "{text}");
        }
        assert!(block(&std::fs::read("/proc/self/stat").unwrap()).is_some(), "this process");
    }

    fn found<'a>(block: &'a [u8], names: &[&str]) -> Vec<&'a [u8]> {
        let names = names.iter().map(|name| name.as_bytes()).collect();
        values(block, &names).into_iter().map(|range| &block[range]).collect()
    }

    #[test]
    fn every_value_of_a_name_and_no_other_is_found() {
        let block = b"A=1\0NOT\0=X=2\0PW=first\0XPW=3\0PW\0PW=\0B=PW=4\0PW=\xff=x\0\0\0PW=last";
        let want: [&[u8]; 4] = [b"first", b"", b"\xff=x", b"last"];
        assert_eq!(found(block, &["PW"]), want);
        assert_eq!(found(block, &["=X"]), [b"2"]);
        assert!(found(block, &["NOT", "C", ""]).is_empty());
        assert!(found(b"", &["PW"]).is_empty());
    }

    #[test]
    fn references_are_found_anywhere_in_a_text() {
        for (text, want) in [
            ("env://A", vec!["A"]),
            ("--key=env://A_1", vec!["A_1"]),
            ("env://A,env://B\nenv://C:x", vec!["A", "B", "C"]),
            ("key: 'env://D'", vec!["D"]),
            ("env://", vec![]),
            ("myenv://A", vec![]),
            ("ENV://A", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(references(text.as_bytes()), want, "{text}");
        }
        assert_eq!(references(b"\xffenv://A\xff"), ["A"]);
    }

    #[test]
    fn the_json_has_the_documented_form() {
        for (state, json) in [
            (EnvironmentState::NothingSecret, r#"{"state":"nothingSecret"}"#),
            (EnvironmentState::Overwritten, r#"{"state":"overwritten"}"#),
            (EnvironmentState::NotOverwritten { why: "x".into() }, r#"{"state":"notOverwritten","why":"x"}"#),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), json);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(stat in proptest::collection::vec(any::<u8>(), 0..400), text in any::<Vec<u8>>()) {
            let _ = (block(&stat), references(&text));
            for range in values(&text, &BTreeSet::from([b"A".as_slice()])) {
                prop_assert!(!text[range].contains(&0));
            }
        }

        #[test]
        fn a_variable_is_found_in_any_environment(before in "([A-Z]{1,3}=?[a-z=]{0,3}\0){0,4}", value in "[^\0]{0,9}") {
            let block = format!("{before}SECRET={value}\0Z=1\0");
            prop_assert_eq!(found(block.as_bytes(), &["SECRET"]), [value.as_bytes()]);
        }
    }
}
