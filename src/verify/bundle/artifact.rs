//! What a signature is said to be of: a file, read once and in pieces, or a digest.

use std::fmt;
use std::io::{self, Read};
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::key::Hash;

/// A message that an Ed25519 signature covers is held in memory, as the algorithm wants it whole; no more than this.
pub const WHOLE_BYTES: usize = 256 * 1024 * 1024;

/// What is signed.
#[derive(Clone)]
#[non_exhaustive]
pub enum Artifact {
    /// Bytes that have been read.
    Read(Box<Digests>),
    /// Bytes of which only this digest is known, as long as its algorithm makes it.
    Digest(Hash, Vec<u8>),
    /// Not known: the caller checks the statement's subjects. Only a DSSE envelope can be verified this way.
    Unchecked,
}

/// What of the bytes a signature's check needs, beside their SHA-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Their SHA-384.
    pub sha384: bool,
    /// Their SHA-512.
    pub sha512: bool,
    /// The bytes themselves: Ed25519. Of them each digest can be had.
    pub whole: bool,
}

impl Wanted {
    /// Every digest.
    pub(crate) const DIGESTS: Self = Self { sha384: true, sha512: true, whole: false };

    /// What either wants.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            sha384: self.sha384 || other.sha384,
            sha512: self.sha512 || other.sha512,
            whole: self.whole || other.whole,
        }
    }

    /// The same and this digest.
    #[must_use]
    pub(crate) fn and(self, hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => self,
            Hash::Sha384 => Self { sha384: true, ..self },
            Hash::Sha512 => Self { sha512: true, ..self },
        }
    }
}

/// The digests of bytes that have been read. If the bytes were kept, a missing digest is computed when it is needed.
#[derive(Clone)]
pub struct Digests {
    sha256: [u8; 32],
    sha384: OnceLock<Vec<u8>>,
    /// The state, which Ed25519ph wants.
    sha512: OnceLock<Sha512>,
    whole: Option<Vec<u8>>,
    size: u64,
}

impl Digests {
    fn sha384(&self) -> Option<&Vec<u8>> {
        let made = || self.whole.as_ref().map(|whole| Hash::Sha384.digest(whole));
        self.sha384.get().or_else(|| made().map(|digest| self.sha384.get_or_init(|| digest)))
    }

    fn sha512(&self) -> Option<&Sha512> {
        let made = || self.whole.as_ref().map(Sha512::new_with_prefix);
        self.sha512.get().or_else(|| made().map(|state| self.sha512.get_or_init(|| state)))
    }
}

impl Artifact {
    /// The artifact with these bytes.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::Read(Box::new(Digests {
            sha256: Sha256::digest(&bytes).into(),
            sha384: OnceLock::new(),
            sha512: OnceLock::new(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            whole: Some(bytes),
        }))
    }

    /// Reads an artifact to its end, in constant memory unless the whole of it is wanted.
    ///
    /// # Errors
    ///
    /// Reading fails, or the whole of it is wanted and is larger than [`WHOLE_BYTES`].
    pub fn read(mut from: impl Read, wanted: Wanted) -> io::Result<Self> {
        let mut sha256 = Sha256::new();
        let mut sha384 = wanted.sha384.then(Sha384::new);
        let mut sha512 = wanted.sha512.then(Sha512::new);
        let mut whole = wanted.whole.then(Vec::new);
        let mut size = 0;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let piece = buffer.get(..count).unwrap_or_default();
            size += u64::try_from(count).unwrap_or_default();
            sha256.update(piece);
            if let Some(sha384) = &mut sha384 {
                sha384.update(piece);
            }
            if let Some(sha512) = &mut sha512 {
                sha512.update(piece);
            }
            if let Some(whole) = &mut whole {
                if whole.len() + count > WHOLE_BYTES {
                    return Err(io::Error::new(
                        io::ErrorKind::FileTooLarge,
                        format!(
                            "an Ed25519 signature needs the whole of it, and it is larger than {WHOLE_BYTES} bytes"
                        ),
                    ));
                }
                whole.extend_from_slice(piece);
            }
        }
        Ok(Self::Read(Box::new(Digests {
            sha256: sha256.finalize().into(),
            sha384: sha384.map(|sha384| sha384.finalize().to_vec().into()).unwrap_or_default(),
            sha512: sha512.map(OnceLock::from).unwrap_or_default(),
            whole,
            size,
        })))
    }

    /// The artifact of a digest as `sha256:HEX`, `sha384:HEX` or `sha512:HEX`; `None` for any other text.
    pub fn named(text: &str) -> Option<Self> {
        let (algorithm, hex) = text.split_once(':')?;
        let hash = Hash::named(algorithm)?;
        unhex(hex).filter(|digest| digest.len() == hash.size()).map(|digest| Self::Digest(hash, digest))
    }

    /// The same by this digest alone; `None` if it isn't known.
    pub fn by_digest(&self, hash: Hash) -> Option<Self> {
        self.by(hash).map(|digest| Self::Digest(hash, digest))
    }

    /// How many bytes have been read; `None` if none have.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Read(digests) => Some(digests.size),
            _ => None,
        }
    }

    /// The SHA-256; `None` if it isn't known.
    pub(crate) fn sha256(&self) -> Option<&[u8; 32]> {
        match self {
            Self::Read(digests) => Some(&digests.sha256),
            Self::Digest(Hash::Sha256, digest) => digest.as_slice().try_into().ok(),
            Self::Digest(..) | Self::Unchecked => None,
        }
    }

    /// The digest by `hash`, where it is known.
    pub fn by(&self, hash: Hash) -> Option<Vec<u8>> {
        match (self, hash) {
            (Self::Digest(known, digest), hash) => (*known == hash).then(|| digest.clone()),
            (_, Hash::Sha256) => self.sha256().map(|digest| digest.to_vec()),
            (Self::Read(digests), Hash::Sha384) => digests.sha384().cloned(),
            (Self::Read(digests), Hash::Sha512) => {
                digests.sha512().map(|state| state.clone().finalize().to_vec())
            }
            _ => None,
        }
    }

    /// The state of the SHA-512, which Ed25519ph wants.
    pub(super) fn sha512(&self) -> Option<Sha512> {
        match self {
            Self::Read(digests) => digests.sha512().cloned(),
            _ => None,
        }
    }

    /// All of it, if it was kept.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        match self {
            Self::Read(digests) => digests.whole.as_deref(),
            _ => None,
        }
    }

    /// Whether this is the artifact's digest by the algorithm of that name.
    pub(super) fn has_digest(&self, name: &str, hex: &str) -> bool {
        let known = Hash::named(name).and_then(|hash| self.by(hash));
        known.is_some_and(|known| unhex(hex).is_some_and(|claimed| claimed == known))
    }
}

/// The bytes of a text in hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Bytes in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.sha256()) {
            (Self::Digest(hash, digest), _) => write!(f, "{}:{}", hash.name(), hex(digest)),
            (_, Some(digest)) => write!(f, "sha256:{}", hex(digest)),
            (_, None) => f.write_str("an artifact that is not looked at"),
        }
    }
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(digests) => write!(f, "Artifact({self}, {} bytes)", digests.size),
            _ => write!(f, "Artifact({self})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_in_pieces_gives_the_digests_of_the_whole() {
        let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let read = Artifact::read(&*bytes, Wanted::DIGESTS).unwrap();
        let kept = Artifact::read(&*bytes, Wanted { whole: true, ..Wanted::default() }).unwrap();
        let whole = Artifact::of(bytes.clone());
        for hash in Hash::ALL {
            for artifact in [&read, &kept, &whole] {
                assert_eq!(artifact.by(hash), Some(hash.digest(&bytes)));
            }
            let one = Artifact::read(&*bytes, Wanted::default().and(hash)).unwrap();
            for other in Hash::ALL {
                let known = other == hash || other == Hash::Sha256;
                assert_eq!(
                    one.by(other),
                    known.then(|| other.digest(&bytes)),
                    "what isn't wanted costs nothing"
                );
            }
        }
        assert_eq!((read.whole(), kept.whole()), (None, Some(&*bytes)));
        let bare = Artifact::read(&*bytes, Wanted::default()).unwrap();
        assert_eq!((bare.by(Hash::Sha512), bare.whole()), (None, None), "what isn't wanted costs nothing");
    }

    #[test]
    fn a_digest_alone_is_of_one_algorithm() {
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let text = format!("{}:{}", hash.name(), hex(&hash.digest(b"abc")));
            let artifact = Artifact::named(&text).unwrap();
            assert_eq!(artifact.to_string(), text);
            for other in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
                assert_eq!(artifact.by(other), (other == hash).then(|| other.digest(b"abc")));
            }
            assert!(
                Artifact::named(&text[..text.len() - 2]).is_none()
                    && Artifact::named(&format!("{text}00")).is_none()
            );
        }
        for text in ["", "sha256:", "md5:900150983cd24fb0d6963f7d28e17f72", "sha512", "sha256:zz"] {
            assert!(Artifact::named(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_digest_is_compared_as_bytes_and_never_across_algorithms() {
        let artifact = Artifact::of(*b"abc");
        let sha256 = hex(&Hash::Sha256.digest(b"abc"));
        assert!(artifact.has_digest("sha256", &sha256.to_uppercase()));
        assert!(!artifact.has_digest("sha512", &sha256));
        assert!(!artifact.has_digest("gitCommit", &sha256));
        assert!(!artifact.has_digest("sha256", &sha256[..62]));
        assert!(!artifact.has_digest("sha256", "é"));
        assert!(!Artifact::Unchecked.has_digest("sha256", &sha256));
    }
}
