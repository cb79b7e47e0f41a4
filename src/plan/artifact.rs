//! Artifacts other than images: their URIs and digests.
//!
//! Four algorithms, those that Chains knows. As in Chains the algorithm's case doesn't matter and blanks around
//! both parts are dropped; the hex digits must be lower-case and complete.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md#type-hinting>

use crate::foreign;

/// The longest URI of an artifact: longer texts aren't names.
const MAX_URI_BYTES: usize = 2048;

/// Why a text is not the digest of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ArtifactDigestError {
    #[error("it is not ALGORITHM:HEX")]
    NoAlgorithm,
    #[error("its algorithm is none of sha1, sha256, sha384 and sha512")]
    Algorithm,
    #[error("its hex digits must be lower-case")]
    UpperCase,
    #[error("its algorithm takes exactly {0} hex digits")]
    Hex(usize),
}

/// The digest as `algorithm:hex`, or why it is none.
pub(super) fn digest(text: &str) -> Result<String, ArtifactDigestError> {
    let (algorithm, hex) = text.split_once(':').ok_or(ArtifactDigestError::NoAlgorithm)?;
    let (algorithm, hex) = (algorithm.trim().to_ascii_lowercase(), hex.trim());
    let digits = match algorithm.as_str() {
        "sha1" => 40,
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err(ArtifactDigestError::Algorithm),
    };
    if hex.len() != digits || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ArtifactDigestError::Hex(digits));
    }
    if hex.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ArtifactDigestError::UpperCase);
    }
    Ok(format!("{algorithm}:{hex}"))
}

/// An artifact's URI may be nearly anything; what would deceive its reader is refused.
pub(super) fn check_uri(uri: &str) -> Result<(), &'static str> {
    if uri.len() > MAX_URI_BYTES {
        Err("is longer than 2048 bytes, which no URI is")
    } else if foreign::escape(uri, usize::MAX) != uri {
        Err("has control or invisible characters in it, which no URI has")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_algorithms_each_with_its_length() {
        for (algorithm, digits) in [("sha1", 40), ("sha256", 64), ("sha384", 96), ("sha512", 128)] {
            let good = format!("{algorithm}:{}", "a".repeat(digits));
            assert_eq!(digest(&good), Ok(good.clone()));
            let loose = format!("{} : {}", algorithm.to_uppercase(), "a".repeat(digits));
            assert_eq!(digest(&loose), Ok(good));
            let short = format!("{algorithm}:{}", "a".repeat(digits - 1));
            assert_eq!(digest(&short), Err(ArtifactDigestError::Hex(digits)));
            let upper = format!("{algorithm}:{}", "A".repeat(digits));
            assert_eq!(digest(&upper), Err(ArtifactDigestError::UpperCase));
        }
        assert_eq!(digest("md5:00"), Err(ArtifactDigestError::Algorithm));
        assert_eq!(digest(&"a".repeat(64)), Err(ArtifactDigestError::NoAlgorithm));
        assert_eq!(digest(&format!("sha256:sha256:{}", "a".repeat(57))), Err(ArtifactDigestError::Hex(64)));
    }
}
