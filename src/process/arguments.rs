//! Secrets among the arguments: taken out before anything reads these, and overwritten where the kernel keeps them.
//!
//! The kernel shows a program's arguments to everyone as `/proc/PID/cmdline`, which is what `ps` prints. Between the start of the
//! program and the overwriting, which comes first, they can be read: a variable is the better place for a secret.

use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use zeroize::{Zeroize as _, Zeroizing};

use super::environment::{self, Block};
use super::memory::OwnMemory;
use crate::secret::Secret;

/// What is put in the place of a secret; not blank, and no flag.
const PLACEHOLDER: &str = "(hidden)";
/// What a secret is overwritten with in memory: a zero byte would end the argument there.
const OVERWRITTEN: u8 = b'x';

/// Where a secret stands among the arguments.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// The flag, as it is in the list of flags.
    flag: usize,
    /// The number of the argument.
    at: usize,
    /// The bytes of it that are the value.
    value: Range<usize>,
}

/// The places of the values of `flags` (names without `--`): `--flag VALUE` and `--flag=VALUE`, before a `--`. What another flag follows has
/// no value, and an empty one is none: the command line's parser says so.
fn places<'a>(arguments: impl IntoIterator<Item = &'a [u8]>, flags: &[&str]) -> Vec<Place> {
    let mut found = Vec::new();
    let mut awaited = None;
    for (at, argument) in arguments.into_iter().enumerate() {
        if let Some(flag) = awaited.take()
            && !is_flag(argument)
        {
            found.push(Place { flag, at, value: 0..argument.len() });
            continue;
        }
        if argument == b"--" {
            break;
        }
        // cosign takes one hyphen before a long flag, too.
        let Some(text) = argument.strip_prefix(b"--").or_else(|| argument.strip_prefix(b"-")) else {
            continue;
        };
        for (flag, name) in flags.iter().enumerate() {
            match text.strip_prefix(name.as_bytes()) {
                Some([]) => awaited = Some(flag),
                Some([b'=', value @ ..]) => {
                    found.push(Place { flag, at, value: argument.len() - value.len()..argument.len() });
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

/// Takes the values of `flags` out of the arguments, with the flag of each; of those that are blank none is taken. A placeholder stands there then.
pub fn take<'a>(arguments: &mut [OsString], flags: &[&'a str]) -> Vec<(&'a str, Secret)> {
    let found = places(arguments.iter().map(|argument| argument.as_bytes()), flags);
    let mut taken = Vec::new();
    for Place { flag, at, value } in found {
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

/// Overwrites the values of `flags` in the memory of this process that the kernel shows as its arguments.
///
/// # Errors
///
/// What the system refuses.
pub(super) fn overwrite(flags: &[&str]) -> Result<(), String> {
    let block = environment::block(Block::Arguments)?;
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
    fn secrets_are_taken_from_where_the_flag_has_its_value() {
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
            // What the parser says something about stays as it is.
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
    fn what_is_overwritten_is_the_value_alone() {
        let mut there =
            b"stepseal\0sign\0--registry-password\0hunter2\0--registry-token=hunter3\0a\0".to_vec();
        let start = there.as_mut_ptr().addr() as u64;
        overwrite_in(&(start..start + there.len() as u64), &FLAGS).unwrap();
        let want = "stepseal\0sign\0--registry-password\0xxxxxxx\0--registry-token=xxxxxxx\0a\0";
        assert_eq!(std::str::from_utf8(std::hint::black_box(&there)).unwrap(), want);
    }
}
