//! Content digests.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A sha256 content digest: `sha256:` and 64 lower-case hex digits.
///
/// Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// Why a text is not a digest we sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// There is no `ALGORITHM:` before the hex digits.
    #[error("it has no algorithm: \"sha256:\" must stand before the hex digits")]
    NoAlgorithm,
    /// Another algorithm than sha256.
    #[error("its algorithm is not sha256, the only one that image signatures are made for")]
    Algorithm,
    /// The hex digits are not lower-case.
    #[error("its hex digits must be lower-case")]
    UpperCase,
    /// Not 64 hex digits.
    #[error("\"sha256:\" must be followed by exactly 64 hex digits")]
    Hex,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in Sha256::digest(bytes) {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The 64 hex digits.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }

    /// The whole digest, `sha256:HEX`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::NoAlgorithm)?;
        if algorithm != "sha256" {
            return Err(DigestError::Algorithm);
        }
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DigestError::Hex);
        }
        if hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DigestError::UpperCase);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_malformed_digest_has_its_reason() {
        let hex = "a".repeat(64);
        let error = |text: &str| text.parse::<Digest>().unwrap_err();
        assert_eq!(error(&hex), DigestError::NoAlgorithm);
        assert_eq!(error(&format!("sha512:{hex}{hex}")), DigestError::Algorithm);
        assert_eq!(error(&format!("SHA256:{hex}")), DigestError::Algorithm);
        assert_eq!(error(&format!("sha256:{}", "A".repeat(64))), DigestError::UpperCase);
        assert_eq!(error("sha256:abc"), DigestError::Hex);
        assert_eq!(error(&format!("sha256:{}é", "a".repeat(62))), DigestError::Hex);
        assert_eq!(format!("sha256:{hex}").parse::<Digest>().unwrap().hex(), hex);
    }

    #[test]
    fn of_is_sha256() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
    }
}
