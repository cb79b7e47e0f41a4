//! Logins: in addresses (<https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1>) and in the JSON of registry credentials.

use super::{Found, after_blanks, from};

/// What stands before an authority: in an address, and in the log of `hyper_util`'s pool of connections.
const BEFORE_AUTHORITY: [&str; 3] = ["://", "(\"https\", ", "(\"http\", "];

/// How far after its first `/` the `@` of an address is looked for whose password holds a `/`, in bytes.
const PASSWORD_BYTES: usize = 256;

/// The digests that follow an `@` in names of images.
const DIGESTS: [&str; 3] = ["sha256", "sha384", "sha512"];

/// The member that makes JSON a dockerconfigjson.
const AUTHS: &str = "auths";

/// Its members that hold secrets.
const MEMBERS: [&[u8]; 5] = [b"auth", b"password", b"identitytoken", b"registrytoken", b"secret"];

/// How addresses show their password to programmers.
const DEBUG: &[u8] = b"password: Some(\"";

/// Adds the login of each address that has a password.
pub(super) fn in_addresses(text: &str, found: &mut Found) {
    for (at, before) in BEFORE_AUTHORITY.iter().flat_map(|before| text.match_indices(before)) {
        let start = at + before.len();
        let length = text.get(start..).and_then(login);
        found.extend(length.map(|length| start..start + length));
    }
}

/// How long the login is that an authority begins with.
fn login(rest: &str) -> Option<usize> {
    let ends = |c: char| matches!(c, '"' | '<' | '>' | '`' | '\\') || c.is_whitespace();
    let authority = rest.split(|c| ends(c) || matches!(c, '/' | '?' | '#')).next()?;
    let name =
        authority.rsplit_once('@').filter(|(_, host)| is_digest(host)).map_or(authority, |(name, _)| name);
    if let Some((login, _)) = name.rsplit_once('@') {
        return (login.contains(':') || login.contains("%3A") || login.contains("%3a"))
            .then_some(login.len());
    }
    // Where a port should be, part of a password stands: one with a `/` in it.
    let (host, port) = name.split_once(':').filter(|(host, _)| !host.is_empty() && !host.starts_with('['))?;
    let is_password = |c: char| c.is_ascii_alphanumeric() || "%+=_~!$&;.-".contains(c);
    if name.len() < authority.len()
        || port.bytes().all(|b| b.is_ascii_digit())
        || !port.chars().all(is_password)
    {
        return None;
    }
    let path = rest.get(authority.len()..)?;
    let path = path.get(..path.floor_char_boundary(PASSWORD_BYTES))?.split(ends).next()?;
    let (password, after) = path.split_once('@')?;
    let is_name = is_digest(after) || after.starts_with("refs/");
    (!is_name).then_some(host.len() + 1 + port.len() + password.len())
}

fn is_digest(text: &str) -> bool {
    DIGESTS.iter().any(|algorithm| text.starts_with(algorithm))
}

/// Adds the value of each member that holds a secret, where the text has `auths`, and the password of each address that is shown field by field.
pub(super) fn in_members(text: &str, found: &mut Found) {
    let has_auths = text.contains(AUTHS);
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let value = match byte {
            b'"' if has_auths => value_of_member(bytes, at + 1),
            b'p' if from(bytes, at).starts_with(DEBUG) => Some((at + DEBUG.len(), 0)),
            _ => None,
        };
        let Some((start, escapes)) = value else {
            at += 1;
            continue;
        };
        let (end, after) = end_of_string(bytes, start, escapes);
        if start < end {
            found.push(start..end);
        }
        at = after;
    }
}

/// Where the string begins that is the value of the member whose name begins `at` a place, and how many backslashes its quotes have.
fn value_of_member(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let name = MEMBERS.iter().find(|name| {
        let head = from(bytes, at).get(..name.len());
        let next = from(bytes, at).get(name.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(name)) && matches!(next, Some(b'"' | b'\\'))
    })?;
    let (after, _) = quote(bytes, at + name.len())?;
    let colon = after_blanks(bytes, after);
    (bytes.get(colon) == Some(&b':')).then_some(())?;
    quote(bytes, after_blanks(bytes, colon + 1))
}

/// Where a quote with backslashes before it ends, and how many these are.
fn quote(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let escapes = from(bytes, at).iter().take_while(|byte| **byte == b'\\').count();
    (bytes.get(at + escapes) == Some(&b'"')).then_some((at + escapes + 1, escapes))
}

/// Where a string ends whose quotes have so many backslashes, and where what follows begins.
fn end_of_string(bytes: &[u8], start: usize, escapes: usize) -> (usize, usize) {
    // So many stand for one backslash of the string. A quote in it has one more before it than these and its own.
    let one = 2 * (escapes + 1);
    let mut backslashes = 0;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'\\' => backslashes += 1,
            b'"' if backslashes % one <= escapes => return (at - backslashes % one, at + 1),
            _ => backslashes = 0,
        }
    }
    (bytes.len(), bytes.len())
}
