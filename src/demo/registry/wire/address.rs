//! Content addresses: what a blob or manifest is stored under.
//!
//! Stepseal signs sha256 digests only, but a registry must also keep what other clients push with the other
//! algorithm that the specification registers. Any third algorithm is refused.
//!
//! Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#registered-algorithms>

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha512};

use crate::oci::Digest;

/// The digest under which content is stored: `sha256:` or `sha512:` and lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// The text is not a digest of a registered algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not sha256: or sha512: and lower-case hex digits")]
pub struct BadAddress;

const SHA512: &str = "sha512:";
const SHA512_HEX_DIGITS: usize = 128;

impl Address {
    /// The sha256 address of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Digest::of(bytes).to_string())
    }

    /// Whether `bytes` hash to this address.
    pub(crate) fn is_of(&self, bytes: &[u8]) -> bool {
        if self.0.starts_with(SHA512) { *self == Self::sha512(bytes) } else { *self == Self::of(bytes) }
    }

    /// The address as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn sha512(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let mut text = SHA512.to_owned();
        for byte in Sha512::digest(bytes) {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let ok = match text.strip_prefix(SHA512) {
            Some(hex) => {
                hex.len() == SHA512_HEX_DIGITS && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            }
            None => text.parse::<Digest>().is_ok(),
        };
        ok.then(|| Self(text.to_owned())).ok_or(BadAddress)
    }
}

impl From<&Digest> for Address {
    fn from(digest: &Digest) -> Self {
        Self(digest.to_string())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST's vector for "abc".
    const ABC_512: &str = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                           2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn both_algorithms_check_content() {
        let long: Address = ABC_512.parse().unwrap();
        assert!(long.is_of(b"abc") && !long.is_of(b"abd"));
        assert!(Address::of(b"abc").is_of(b"abc") && !Address::of(b"abc").is_of(b"abd"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "sha256:", "sha512:ab", "md5:900150983cd24fb0d6963f7d28e17f72", &ABC_512.to_uppercase()]
        {
            assert_eq!(text.parse::<Address>(), Err(BadAddress), "{text}");
        }
    }
}
