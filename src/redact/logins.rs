//! Finds logins in URLs (<https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1>) and in the JSON of registry credentials.

use super::{ByteRanges, after_blanks, from};

/// The text before an authority in a URL, and in the log of `hyper_util`'s connection pool.
const BEFORE_AUTHORITY: [&str; 3] = ["://", "(\"https\", ", "(\"http\", "];

/// How many bytes after the first `/` of a URL to search for the `@`, in case the password contains a `/`.
const PASSWORD_BYTES: usize = 256;

/// The digest algorithms that may follow an `@` in image names.
const DIGESTS: [&str; 3] = ["sha256", "sha384", "sha512"];

/// The member by which a dockerconfigjson is recognized.
const AUTHS: &str = "auths";

/// The members of a dockerconfigjson that contain secrets.
const MEMBERS: [&[u8]; 5] = [b"auth", b"password", b"identitytoken", b"registrytoken", b"secret"];

/// The password field in the `Debug` output of a URL.
const DEBUG: &[u8] = b"password: Some(\"";

/// Adds the login of each URL that has a password.
pub(super) fn in_addresses(text: &str, found: &mut ByteRanges) {
    for (at, before) in BEFORE_AUTHORITY.iter().flat_map(|before| text.match_indices(before)) {
        let start = at + before.len();
        let length = text.get(start..).and_then(login);
        found.extend(length.map(|length| start..start + length));
    }
}

/// The length of the login at the start of an authority.
fn login(rest: &str) -> Option<usize> {
    let ends = |c: char| matches!(c, '"' | '<' | '>' | '`' | '\\') || c.is_whitespace();
    let authority = rest.split(|c| ends(c) || matches!(c, '/' | '?' | '#')).next()?;
    let name =
        authority.rsplit_once('@').filter(|(_, host)| is_digest(host)).map_or(authority, |(name, _)| name);
    if let Some((login, _)) = name.rsplit_once('@') {
        return (login.contains(':') || login.contains("%3A") || login.contains("%3a"))
            .then_some(login.len());
    }
    // The text after the colon is not a port: it is the beginning of a password that contains a `/`.
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

/// Adds the value of each secret member, if the text contains `auths`, and the password in the `Debug` output of each URL.
pub(super) fn in_members(text: &str, found: &mut ByteRanges) {
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

/// The start of the string value of the member whose name begins at `at`, and the number of backslashes before its quotes.
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

/// The end of a quote that backslashes may precede, and their number.
fn quote(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let escapes = from(bytes, at).iter().take_while(|byte| **byte == b'\\').count();
    (bytes.get(at + escapes) == Some(&b'"')).then_some((at + escapes + 1, escapes))
}

/// The end of a string whose quotes have `escapes` backslashes, and the position after its quote.
fn end_of_string(bytes: &[u8], start: usize, escapes: usize) -> (usize, usize) {
    // This many backslashes encode a single backslash of the string. A quote in the string has more of them before it.
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
