//! Removes secrets from the arguments before other code reads them, and overwrites them in the kernel's view.
//!
//! The kernel shows a program's arguments to everyone as `/proc/PID/cmdline`, which `ps` prints. They can be read until the program
//! overwrites them, which it does first of all. So a variable is a better place for a secret.

use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use zeroize::{Zeroize as _, Zeroizing};

use super::environment::{self, MemoryBlock};
use super::memory::OwnMemory;
use crate::secret::Secret;

/// The replacement for a secret. It is neither blank nor a flag.
const PLACEHOLDER: &str = "(hidden)";
/// The byte that overwrites a secret in memory. A zero byte would end the argument.
const OVERWRITTEN: u8 = b'x';

/// The location of a secret in the arguments.
#[derive(Debug, PartialEq, Eq)]
struct SecretSpan {
    /// The index in the list of flags.
    flag: usize,
    /// The index of the argument.
    at: usize,
    /// The range of the value in the argument.
    value: Range<usize>,
}

/// Finds the values of `flags` (names without `--`): `--flag VALUE` and `--flag=VALUE`, before a `--`. A flag without a value, because another
/// flag follows or the value is empty, is skipped; the command line parser reports it.
fn places<'a>(arguments: impl IntoIterator<Item = &'a [u8]>, flags: &[&str]) -> Vec<SecretSpan> {
    let mut found = Vec::new();
    let mut awaited = None;
    for (at, argument) in arguments.into_iter().enumerate() {
        if let Some(flag) = awaited.take()
            && !is_flag(argument)
        {
            found.push(SecretSpan { flag, at, value: 0..argument.len() });
            continue;
        }
        if argument == b"--" {
            break;
        }
        // cosign also accepts a single hyphen before a long flag.
        let Some(text) = argument.strip_prefix(b"--").or_else(|| argument.strip_prefix(b"-")) else {
            continue;
        };
        for (flag, name) in flags.iter().enumerate() {
            match text.strip_prefix(name.as_bytes()) {
                Some([]) => awaited = Some(flag),
                Some([b'=', value @ ..]) => {
                    found.push(SecretSpan { flag, at, value: argument.len() - value.len()..argument.len() });
                }
                _ => {}
            }
        }
    }
    found.retain(|place| !place.value.is_empty());
    found
}

/// Whether an argument is a flag rather than a value.
fn is_flag(argument: &[u8]) -> bool {
    matches!(argument, [b'-', b'-', first, ..] if first.is_ascii_alphabetic())
}

/// Removes the values of `flags` from the arguments and returns them with their flags. A placeholder replaces each value. Blank values stay.
pub fn take<'a>(arguments: &mut [OsString], flags: &[&'a str]) -> Vec<(&'a str, Secret)> {
    let found = places(arguments.iter().map(|argument| argument.as_bytes()), flags);
    let mut taken = Vec::new();
    for SecretSpan { flag, at, value } in found {
        let (Some(argument), Some(flag)) = (arguments.get_mut(at), flags.get(flag)) else { continue };
        let mut bytes = std::mem::take(argument).into_vec();
        let secret = Zeroizing::new(bytes.get(value.clone()).unwrap_or_default().to_vec());
        if std::str::from_utf8(&secret).is_ok_and(crate::blank::is_blank) {
            *argument = OsString::from_vec(bytes);
            continue;
        }
        let mut rest = bytes.get(..value.start).unwrap_or_default().to_vec();
        bytes.zeroize();
        rest.extend_from_slice(PLACEHOLDER.as_bytes());
        *argument = OsString::from_vec(rest);
        taken.push((*flag, Secret::new(secret.as_slice())));
    }
    taken
}

/// Overwrites the values of `flags` in the memory that the kernel shows as this process' arguments.
///
/// # Errors
///
/// The system refuses access to the memory.
pub(super) fn overwrite(flags: &[&str]) -> Result<(), String> {
    let block = environment::block(MemoryBlock::Arguments)?;
    overwrite_in(&block, flags).map_err(|error| format!("its own memory: {error}"))
}

fn overwrite_in(block: &Range<u64>, flags: &[&str]) -> io::Result<()> {
    let memory = OwnMemory::open();
    let length = usize::try_from(block.end - block.start).map_err(io::Error::other)?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    memory.read(block.start, &mut bytes)?;
    let mut starts = Vec::new();
    let mut start = 0;
    for argument in bytes.split(|byte| *byte == 0) {
        starts.push(start);
        start += argument.len() + 1;
    }
    for place in places(bytes.split(|byte| *byte == 0), flags) {
        let Some(start) = starts.get(place.at) else { continue };
        let address = block.start + (start + place.value.start) as u64;
        memory.write(address, &vec![OVERWRITTEN; place.value.len()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [&str; 2] = ["registry-password", "registry-token"];

    fn taken(arguments: &[&str]) -> (Vec<String>, Vec<(&'static str, String)>) {
        let mut arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let taken = take(&mut arguments, &FLAGS).into_iter();
        let taken = taken.map(|(flag, secret)| (flag, secret.expose_str().unwrap().to_owned())).collect();
        (arguments.into_iter().map(|argument| argument.into_string().unwrap()).collect(), taken)
    }

    #[test]
    fn secrets_are_taken_from_both_forms_of_a_flag() {
        for (given, left, secrets) in [
            (
                &["sign", "--registry-password", "a b"][..],
                &["sign", "--registry-password", "(hidden)"][..],
                &["a b"][..],
            ),
            (&["--registry-token=a=b"], &["--registry-token=(hidden)"], &["a=b"]),
            (&["--registry-password", "-x"], &["--registry-password", "(hidden)"], &["-x"]),
            (&["--registry-password=--key"], &["--registry-password=(hidden)"], &["--key"]),
            (
                &["--registry-password", "a", "--registry-password=b"],
                &["--registry-password", "(hidden)", "--registry-password=(hidden)"],
                &["a", "b"],
            ),
            // Arguments that the parser rejects stay unchanged.
            (&["--registry-password", "--key", "k"], &["--registry-password", "--key", "k"], &[]),
            (&["--registry-password"], &["--registry-password"], &[]),
            (&["--registry-password="], &["--registry-password="], &[]),
            (&["--registry-password", " "], &["--registry-password", " "], &[]),
            (&["--registry-passwords", "a"], &["--registry-passwords", "a"], &[]),
            (&["--", "--registry-password", "a"], &["--", "--registry-password", "a"], &[]),
            (&["-registry-password", "a"], &["-registry-password", "(hidden)"], &["a"]),
        ] {
            let (arguments, taken) = taken(given);
            let values: Vec<&str> = taken.iter().map(|(_, secret)| secret.as_str()).collect();
            assert_eq!(
                (arguments, values),
                (left.iter().map(ToString::to_string).collect(), secrets.to_vec()),
                "{given:?}"
            );
        }
        assert_eq!(taken(&["--registry-token", "t"]).1[0].0, "registry-token");
    }

    #[test]
    fn only_the_value_is_overwritten() {
        let mut there =
            b"stepseal\0sign\0--registry-password\0hunter2\0--registry-token=hunter3\0a\0".to_vec();
        let start = there.as_mut_ptr().addr() as u64;
        overwrite_in(&(start..start + there.len() as u64), &FLAGS).unwrap();
        let want = "stepseal\0sign\0--registry-password\0xxxxxxx\0--registry-token=xxxxxxx\0a\0";
        assert_eq!(std::str::from_utf8(std::hint::black_box(&there)).unwrap(), want);
    }
}
