//! What can be wrong with the bytes of a key, wherever they came from.

use p256::pkcs8::der;

use super::other_form::{COPY_AGAIN, OtherForm};
use super::rsa_size::{RSA_MAX_BITS, RSA_MIN_BITS};

/// Why bytes are not a key that can be used. No variant carries any of the key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The input has no bytes.
    #[error("it is empty")]
    Empty,
    /// The input has no PEM block.
    #[error("it is not PEM: there is no line \"-----BEGIN … KEY-----\"")]
    NotPem,
    /// A key in another form than PEM.
    #[error("{}", .0.text())]
    Form(OtherForm),
    /// Something that isn't text, and is none of the forms that are known.
    #[error("it is binary, not PEM text")]
    Binary,
    /// The input is PEM, encoded in base64 again.
    #[error("it is PEM text in base64: it was encoded once too often")]
    EncodedTwice,
    /// It begins as a key and stops.
    #[error("it is cut off: {missing}")]
    Truncated {
        /// The part after which the text ends.
        missing: &'static str,
    },
    /// The base64 of a PEM block or of a field.
    #[error("the base64 of {of} is damaged")]
    Base64 {
        /// The part whose base64 is invalid.
        of: &'static str,
    },
    /// The input has several keys.
    #[error("it holds {count} {kind} keys where one is meant")]
    Several {
        /// How many keys the input has.
        count: usize,
        /// The half of the pair: `private` or `public`.
        kind: &'static str,
    },
    /// A public key in the private key's place.
    #[error("it holds a public key, not a private key")]
    PublicKey,
    /// A certificate in the private key's place.
    #[error("it holds a certificate, not a private key")]
    Certificate,
    /// A certificate in the public key's place.
    #[error("it holds a certificate, not a public key")]
    PublicCertificate,
    /// A private key in the public key's place.
    #[error("it holds a private key, not a public key")]
    PrivateKey,
    /// Another kind of PEM.
    #[error("it holds \"{label}\", which is no key that can be used here")]
    Label {
        /// The PEM label, cut and made fit to be shown.
        label: String,
    },
    /// PKCS#8 encrypted by PKCS#5, or the old `Proc-Type: 4,ENCRYPTED`.
    #[error("it is encrypted the way of OpenSSL, which is not supported; cosign's encryption is")]
    OpensslEncrypted,
    /// The JSON of an encrypted key.
    #[error("what is inside the encrypted key is not the JSON that cosign writes (column {column})")]
    Container {
        /// Where the JSON stops making sense.
        column: usize,
    },
    /// Another key derivation function than scrypt.
    #[error("its key derivation function is \"{name}\"; only \"scrypt\" is known")]
    Kdf {
        /// The name in the file, made fit to be shown.
        name: String,
    },
    /// A scrypt setting that no cosign ever wrote; deriving with it could take any time and memory.
    #[error("its scrypt setting is N={n}, r={r}, p={p}; cosign's are N=32768 or N=65536, r=8, p=1")]
    Scrypt {
        /// The cost parameter N of scrypt.
        n: u64,
        /// The block size parameter of scrypt.
        r: u64,
        /// The parallelism parameter of scrypt.
        p: u64,
    },
    /// Another cipher than secretbox.
    #[error("its cipher is \"{name}\"; only \"nacl/secretbox\" is known")]
    Cipher {
        /// The name in the file, made fit to be shown.
        name: String,
    },
    /// A nonce that isn't 24 bytes, or a ciphertext too short to hold its authenticator.
    #[error("its {field} has the wrong length")]
    Length {
        /// The name of the JSON field.
        field: &'static str,
    },
    /// The ASN.1 inside is not a key.
    #[error("its ASN.1 is not that of a key")]
    Der(#[source] der::Error),
    /// A curve that we don't sign with.
    #[error("its elliptic curve is {oid}; P-256, P-384 and P-521 are supported")]
    Curve {
        /// The object identifier, with its name if it is known.
        oid: String,
    },
    /// No curve is named, or its parameters are spelt out.
    #[error("its elliptic curve is not given by name")]
    NoCurve,
    /// An algorithm that we don't sign with.
    #[error("its algorithm is {oid}; ECDSA, Ed25519 and RSA are supported")]
    Algorithm {
        /// The object identifier, with its name if it is known.
        oid: String,
    },
    /// RSA of a size that is weak, or so large that it can only be meant to harm.
    #[error("it is RSA with {bits} bits; {RSA_MIN_BITS} to {RSA_MAX_BITS} are accepted")]
    RsaSize {
        /// The size of its modulus.
        bits: u32,
    },
    /// Numbers that don't belong together, or out of range.
    #[error("its parts do not fit together: the key is damaged")]
    Inconsistent,
}

impl Malformed {
    /// The next action, for whoever holds the key.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty | Self::NotPem => {
                "put a key in PEM there: `cosign generate-key-pair` and `stepseal generate-key-pair` make a private and a public one"
            }
            Self::Form(form) => form.hint(),
            Self::Binary => {
                "give a key in PEM; one in DER becomes PEM with openssl pkey -inform DER -in KEY -out x509.pem"
            }
            Self::EncodedTwice => {
                "decode it once (base64 -d); in a Secret, PEM goes under stringData, or under data encoded once"
            }
            Self::Truncated { .. } | Self::Base64 { .. } | Self::Container { .. } | Self::Length { .. } => {
                COPY_AGAIN
            }
            Self::Der(_) | Self::Inconsistent => "copy the key again from where it was made",
            Self::Several { .. } => "leave one key in it",
            Self::PublicKey => "give the private key: cosign.key, not cosign.pub",
            Self::Certificate => "give the private key that belongs to the certificate",
            Self::PublicCertificate => {
                "write its public key into a file: openssl x509 -in CERTIFICATE -noout -pubkey > cosign.pub"
            }
            Self::PrivateKey => "give the public key: cosign.pub, not cosign.key",
            Self::Label { .. } => "give a PEM key: PKCS#8, SEC1, PKCS#1, or one that cosign made",
            Self::OpensslEncrypted => {
                "decrypt it (openssl pkey -in KEY -out plain.pem), then encrypt it as cosign does: stepseal import-key-pair --key plain.pem"
            }
            Self::Kdf { .. } | Self::Scrypt { .. } | Self::Cipher { .. } => {
                "encrypt the key again as cosign does: stepseal import-key-pair --key KEY"
            }
            Self::Curve { .. } | Self::NoCurve | Self::Algorithm { .. } | Self::RsaSize { .. } => {
                "make a new key with `cosign generate-key-pair` or `stepseal generate-key-pair`"
            }
        }
    }
}

impl Malformed {
    /// The next action, for whoever verifies; `None`: nothing is known that is better than to give the right public key.
    pub(crate) fn public_hint(&self) -> Option<&'static str> {
        match self {
            Self::Form(form) => Some(form.public_hint()),
            Self::Curve { .. } | Self::NoCurve | Self::Algorithm { .. } | Self::RsaSize { .. } => Some(
                "signatures by such a key are not verified here: have it signed by a key of ECDSA P-256, P-384 or P-521, Ed25519, or RSA with \
                 2048 bits or more",
            ),
            Self::EncodedTwice | Self::PublicCertificate | Self::PrivateKey => Some(self.hint()),
            _ => None,
        }
    }
}

impl From<der::Error> for Malformed {
    fn from(error: der::Error) -> Self {
        match error.kind() {
            der::ErrorKind::Incomplete { .. } => {
                Self::Truncated { missing: "the key ends before its own length" }
            }
            _ => Self::Der(error),
        }
    }
}

impl From<p256::pkcs8::Error> for Malformed {
    fn from(error: p256::pkcs8::Error) -> Self {
        match error {
            p256::pkcs8::Error::Asn1(error) => error.into(),
            _ => Self::Inconsistent,
        }
    }
}

impl From<p256::pkcs8::spki::Error> for Malformed {
    fn from(error: p256::pkcs8::spki::Error) -> Self {
        match error {
            p256::pkcs8::spki::Error::Asn1(error) => error.into(),
            _ => Self::Inconsistent,
        }
    }
}
