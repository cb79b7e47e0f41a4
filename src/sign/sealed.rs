//! The private key as cosign encrypts it: JSON in a PEM block, a password stretched by scrypt, NaCl's secretbox.
//!
//! Format: <https://github.com/secure-systems-lab/go-securesystemslib/blob/v0.11.0/encrypted/encrypted.go>. Inside is the
//! DER of PKCS#8. cosign wrote N=32768 first and writes N=65536 now; any other setting is refused before a
//! derivation, because the file says how much memory and time it takes. (That library knows a third, N=131072, which cosign
//! never asks for and which would need 128 MiB.)

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::{AeadInPlace as _, KeyInit as _, XSalsa20Poly1305};
use pem_rfc7468::LineEnding;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyError;
use crate::foreign;
use crate::key::Malformed;
use crate::secret::Secret;

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
const SALT_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;
/// Poly1305's authenticator, which comes before the ciphertext.
const TAG_BYTES: usize = 16;
const R: u32 = 8;
const P: u32 = 1;
/// An unknown name is shown cut; known names are below 15 bytes.
const SHOWN_NAME_BYTES: usize = 40;

/// How hard a password is stretched: the two settings that cosign has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// The parameters of older cosign: N=32768, 32 MiB.
    Old,
    /// The parameters of newer cosign: N=65536, 64 MiB.
    New,
}

impl Cost {
    fn log_n(self) -> u8 {
        match self {
            Self::Old => 15,
            Self::New => 16,
        }
    }

    fn of(params: &Params) -> Result<Self, Malformed> {
        match (params.n, params.r, params.p) {
            (32_768, 8, 1) => Ok(Self::Old),
            (65_536, 8, 1) => Ok(Self::New),
            (n, r, p) => Err(Malformed::Scrypt { n, r, p }),
        }
    }
}

/// A private key that cosign encrypted, with parameters that are known to be harmless.
#[derive(Clone)]
pub struct SealedKey {
    cost: Cost,
    salt: Vec<u8>,
    nonce: [u8; NONCE_BYTES],
    tag: [u8; TAG_BYTES],
    ciphertext: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    kdf: Kdf<'a>,
    cipher: Cipher<'a>,
    ciphertext: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Kdf<'a> {
    name: Cow<'a, str>,
    params: Params,
    salt: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
}

#[derive(Serialize, Deserialize)]
struct Cipher<'a> {
    name: Cow<'a, str>,
    nonce: Cow<'a, str>,
}

impl SealedKey {
    /// Reads the JSON inside the PEM block.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, Malformed> {
        // serde_json's own message may quote the file, so only the place of the error is kept.
        let json: Json<'_> = serde_json::from_slice(bytes).map_err(|error| {
            if error.is_eof() {
                Malformed::Truncated { missing: "the encrypted key inside is not complete" }
            } else {
                Malformed::Container { column: error.column() }
            }
        })?;
        let name = |text: &str| foreign::escape(text, SHOWN_NAME_BYTES);
        if json.kdf.name != KDF {
            return Err(Malformed::Kdf { name: name(&json.kdf.name) });
        }
        if json.cipher.name != CIPHER {
            return Err(Malformed::Cipher { name: name(&json.cipher.name) });
        }
        let cost = Cost::of(&json.kdf.params)?;
        let field = |text: &str, of| STANDARD.decode(text).map_err(|_| Malformed::Base64 { of });
        let sealed = field(&json.ciphertext, "the ciphertext")?;
        let (tag, ciphertext) =
            sealed.split_first_chunk().ok_or(Malformed::Length { field: "ciphertext" })?;
        Ok(Self {
            cost,
            salt: field(&json.kdf.salt, "the salt")?,
            nonce: field(&json.cipher.nonce, "the nonce")?
                .try_into()
                .map_err(|_| Malformed::Length { field: "nonce" })?,
            tag: *tag,
            ciphertext: ciphertext.to_vec(),
        })
    }

    /// Decrypts: the DER inside, or `None` if the password is another one or the ciphertext was changed; the format can't tell which.
    ///
    /// Runs scrypt: about 0.2 s and 64 MiB.
    pub(super) fn open(&self, password: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain = Zeroizing::new(self.ciphertext.clone());
        secretbox(password, &self.salt, self.cost)?
            .decrypt_in_place_detached((&self.nonce).into(), &[], &mut plain, (&self.tag).into())
            .ok()?;
        Some(plain)
    }

    /// Encrypts `der` under `password` with a new salt and nonce, and gives the PEM that cosign reads.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub(super) fn seal(der: &[u8], password: &Secret, cost: Cost) -> Result<String, KeyError> {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        getrandom::fill(&mut salt).map_err(KeyError::Random)?;
        getrandom::fill(&mut nonce).map_err(KeyError::Random)?;
        let mut body = Zeroizing::new(der.to_vec());
        let tag = secretbox(password, &salt, cost)
            .and_then(|cipher| cipher.encrypt_in_place_detached((&nonce).into(), &[], &mut body).ok())
            .ok_or(KeyError::Encode)?;
        let json = Json {
            kdf: Kdf {
                name: KDF.into(),
                params: Params { n: 1 << cost.log_n(), r: R.into(), p: P.into() },
                salt: STANDARD.encode(salt).into(),
            },
            cipher: Cipher { name: CIPHER.into(), nonce: STANDARD.encode(nonce).into() },
            ciphertext: STANDARD.encode([tag.as_slice(), &body].concat()).into(),
        };
        let json = serde_json::to_vec(&json).map_err(|_| KeyError::Encode)?;
        pem_rfc7468::encode_string(LABEL, LineEnding::LF, &json).map_err(|_| KeyError::Encode)
    }
}

/// The cipher under the key that scrypt makes of `password`; it wipes its copy of the key.
fn secretbox(password: &Secret, salt: &[u8], cost: Cost) -> Option<XSalsa20Poly1305> {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    // Neither call fails for the two settings and this length.
    let params = scrypt::Params::new(cost.log_n(), R, P).ok()?;
    scrypt::scrypt(password.expose(), salt, &params, key.as_mut_slice()).ok()?;
    let key: &[u8; KEY_BYTES] = &key;
    Some(XSalsa20Poly1305::new(key.into()))
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey").field("cost", &self.cost).finish_non_exhaustive()
    }
}
