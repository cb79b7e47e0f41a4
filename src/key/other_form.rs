//! The forms that keys come in when they aren't PEM: recognized, so that the error says what the file is and how to turn it into PEM.
//!
//! Only a file's beginning and shape are looked at. Nothing is decoded, and nothing of it is kept.

/// What to do about a file that was copied in part.
pub(crate) const COPY_AGAIN: &str =
    "copy the whole file again, with its BEGIN and END lines, without encoding it a second time";

/// What a key that isn't PEM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherForm {
    /// Text in UTF-16 instead of UTF-8.
    Utf16 {
        /// The encoding's name, as iconv has it.
        encoding: &'static str,
    },
    /// A PKCS#12 store: <https://www.rfc-editor.org/rfc/rfc7292#section-4>.
    Pkcs12,
    /// A Java key store.
    JavaKeyStore,
    /// A private key in DER.
    PrivateDer,
    /// An encrypted private key in DER.
    EncryptedDer,
    /// A public key in DER.
    PublicDer,
    /// A certificate in DER.
    CertificateDer,
    /// OpenSSH's own form of a private key.
    OpenSsh,
    /// A line of an `authorized_keys` file.
    OpenSshPublic,
    /// PuTTY's form of a private key.
    Putty,
    /// A key of GnuPG.
    OpenPgp,
    /// A JSON Web Key: <https://www.rfc-editor.org/rfc/rfc7517#section-4>.
    Jwk,
    /// The JSON of a key that cosign encrypted, without PEM around it.
    CosignJson,
    /// Base64 without the lines around it.
    BareBase64,
    /// A Secret, as kubectl prints it.
    Kubernetes,
}

impl OtherForm {
    /// The form of a file that isn't UTF-8 text, or has zeros in it.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        utf16(bytes).map(|encoding| Self::Utf16 { encoding }).or_else(|| match bytes {
            [0xfe, 0xed, 0xfe, 0xed, ..] => Some(Self::JavaKeyStore),
            _ => der(bytes),
        })
    }

    /// The form of text without a PEM block.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}').trim();
        let is_ssh = |word: &str| word.starts_with("ssh-") || word.starts_with("ecdsa-sha2-");
        if text.starts_with("PuTTY-User-Key-File-") {
            return Some(Self::Putty);
        }
        if text.split_ascii_whitespace().next().is_some_and(is_ssh) || text.contains("BEGIN SSH2 PUBLIC KEY")
        {
            return Some(Self::OpenSshPublic);
        }
        if text.contains("\"kty\"") {
            return Some(Self::Jwk);
        }
        if text.starts_with('{') && text.contains("\"ciphertext\"") {
            return Some(Self::CosignJson);
        }
        if text.contains("apiVersion") && text.contains("Secret") {
            return Some(Self::Kubernetes);
        }
        is_bare_base64(text).then_some(Self::BareBase64)
    }

    /// The form that a PEM label names.
    pub(crate) fn of_label(label: &str) -> Option<Self> {
        match label {
            "OPENSSH PRIVATE KEY" => Some(Self::OpenSsh),
            "PGP PRIVATE KEY BLOCK" | "PGP PUBLIC KEY BLOCK" => Some(Self::OpenPgp),
            _ => None,
        }
    }

    /// What it is, for the message.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Utf16 { .. } => "it is text in UTF-16, as PowerShell writes it; a key is plain text",
            Self::Pkcs12 => "it is a PKCS#12 store (.p12, .pfx), not PEM text",
            Self::JavaKeyStore => "it is a Java key store (JKS), not PEM text",
            Self::PrivateDer => "it is a private key in DER, which is binary, not PEM text",
            Self::EncryptedDer => "it is an encrypted private key in DER, which is binary, not PEM text",
            Self::PublicDer => "it is a public key in DER, which is binary, not PEM text",
            Self::CertificateDer => "it is a certificate in DER, which is binary, and not a key",
            Self::OpenSsh => "it is a private key in OpenSSH's own form",
            Self::OpenSshPublic => "it is a public key in OpenSSH's own form",
            Self::Putty => "it is a key in PuTTY's own form (.ppk)",
            Self::OpenPgp => "it is an OpenPGP key, which makes other signatures",
            Self::Jwk => "it is a JSON Web Key (JWK), not PEM text",
            Self::CosignJson => {
                "it is the inside of an encrypted key, without the BEGIN and END lines around it"
            }
            Self::BareBase64 => "it is base64 without the BEGIN and END lines around it",
            Self::Kubernetes => "it is a Secret in YAML or JSON, not the key in it",
        }
    }

    /// Returns the next action for the user.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Utf16 { encoding: "UTF-16LE" } => {
                "turn it into plain text: iconv -f UTF-16LE -t UTF-8 KEY > NEW; its password file too, if it was written the same way"
            }
            Self::Utf16 { encoding: "UTF-16BE" } => {
                "turn it into plain text: iconv -f UTF-16BE -t UTF-8 KEY > NEW; its password file too, if it was written the same way"
            }
            Self::Utf16 { .. } => {
                "turn it into plain text: iconv -f UTF-16 -t UTF-8 KEY > NEW, or in PowerShell Set-Content -Encoding ascii; \
                 its password file too, if it was written the same way"
            }
            Self::Pkcs12 => {
                "take the private key out of it: openssl pkcs12 -in KEY -nocerts -nodes -out x509.pem"
            }
            Self::JavaKeyStore => {
                "turn it into PKCS#12 (keytool -importkeystore -srckeystore KEY -destkeystore new.p12 -deststoretype PKCS12), \
                 then take the key out of that: openssl pkcs12 -in new.p12 -nocerts -nodes -out x509.pem"
            }
            Self::PrivateDer => "turn it into PEM: openssl pkey -inform DER -in KEY -out x509.pem",
            Self::EncryptedDer => {
                "decrypt it (openssl pkey -inform DER -in KEY -out plain.pem), then encrypt it as cosign does: stepseal import-key-pair --key plain.pem"
            }
            Self::PublicDer => "turn it into PEM: openssl pkey -pubin -inform DER -in KEY -out cosign.pub",
            Self::CertificateDer => {
                "give the key in PEM; openssl x509 -inform DER -in CERTIFICATE -noout -pubkey prints a certificate's public key"
            }
            Self::OpenSsh => {
                "turn a copy of it into PEM: ssh-keygen -p -N '' -m PKCS8 -f COPY (OpenSSH 9.6 or later for Ed25519)"
            }
            Self::OpenSshPublic => "turn it into PEM: ssh-keygen -e -m PKCS8 -f KEY > cosign.pub",
            Self::Putty => {
                "export it for OpenSSH (puttygen KEY -O private-openssh -o NEW), then turn it into PEM: ssh-keygen -p -N '' -m PKCS8 -f NEW"
            }
            Self::OpenPgp => "make a new key with `cosign generate-key-pair` or `stepseal generate-key-pair`",
            Self::Jwk => {
                "export it as PEM (PKCS#8 for a private key, SPKI for a public one) with what made it, or make a new key with `stepseal generate-key-pair`"
            }
            Self::CosignJson | Self::BareBase64 => COPY_AGAIN,
            Self::Kubernetes => {
                "write the key itself into the file: kubectl get secret NAME -o 'go-template={{index .data \"cosign.key\" | base64decode}}'"
            }
        }
    }
}

impl OtherForm {
    /// The next action where a public key is wanted.
    pub(crate) fn public_hint(self) -> &'static str {
        match self {
            Self::Pkcs12 | Self::JavaKeyStore => {
                "write the public key of its certificate into a file: openssl pkcs12 -in KEY -nokeys | openssl x509 -noout -pubkey > cosign.pub"
            }
            Self::PrivateDer | Self::EncryptedDer => {
                "write its public key into a file: openssl pkey -inform DER -in KEY -pubout -out cosign.pub"
            }
            Self::CertificateDer => {
                "write its public key into a file: openssl x509 -inform DER -in CERTIFICATE -noout -pubkey > cosign.pub"
            }
            Self::OpenSsh | Self::Putty => {
                "write its public key into a file: ssh-keygen -e -m PKCS8 -f KEY > cosign.pub"
            }
            Self::Kubernetes => {
                "write the key itself into the file: kubectl get secret NAME -o 'go-template={{index .data \"cosign.pub\" | base64decode}}'"
            }
            other => other.hint(),
        }
    }
}

/// Which UTF-16 it is: by its byte order mark, or as ASCII has a zero beside each byte.
fn utf16(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Some("UTF-16");
    }
    let head = bytes.get(..bytes.len().min(64)).unwrap_or(bytes);
    let has_zeros = |at: usize, other: usize| {
        let pairs = || head.chunks_exact(2);
        let is = |pair: &[u8]| pair.get(at) == Some(&0) && pair.get(other).is_some_and(|byte| *byte != 0);
        pairs().len() >= 4 && pairs().all(is)
    };
    match (has_zeros(1, 0), has_zeros(0, 1)) {
        (true, _) => Some("UTF-16LE"),
        (_, true) => Some("UTF-16BE"),
        _ => None,
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;

/// What a DER file holds, by the types of its first fields.
fn der(bytes: &[u8]) -> Option<OtherForm> {
    let Field { tag, content: value, rest } = Field::first(content(bytes, SEQUENCE)?)?;
    match (tag, value, rest.first().copied()) {
        // PFX: version 3 and a content info, which begins with its type.
        (INTEGER, [3], Some(SEQUENCE)) if content(rest, SEQUENCE)?.first() == Some(&OBJECT) => {
            Some(OtherForm::Pkcs12)
        }
        // PKCS#8, SEC1 and PKCS#1.
        (INTEGER, [0 | 1], Some(SEQUENCE | OCTET_STRING | INTEGER)) => Some(OtherForm::PrivateDer),
        (SEQUENCE, _, Some(BIT_STRING)) => Some(OtherForm::PublicDer),
        (SEQUENCE, _, Some(OCTET_STRING)) => Some(OtherForm::EncryptedDer),
        (SEQUENCE, _, Some(SEQUENCE)) => Some(OtherForm::CertificateDer),
        // PKCS#1's public key: a modulus and an exponent.
        (INTEGER, modulus, Some(INTEGER)) if modulus.len() >= 128 => Some(OtherForm::PublicDer),
        _ => None,
    }
}

/// The content of the field of this type that `bytes` begin with, as far as it goes.
fn content(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (found, length) = (*bytes.first()?, *bytes.get(1)?);
    let header = match length {
        0x80 => 2,
        0x81..=0x84 => 2 + usize::from(length & 0x7f),
        0x85.. => return None,
        _ => 2,
    };
    (found == tag).then(|| bytes.get(header..)).flatten()
}

/// One field of DER, and what comes after it.
struct Field<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Field<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (tag, length) = (*bytes.first()?, *bytes.get(1)?);
        let after = content(bytes, tag)?;
        let length = match length {
            0x81..=0x84 => {
                let digits = bytes.get(2..2 + usize::from(length & 0x7f))?;
                digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit))
            }
            0x80.. => return None,
            short => usize::from(short),
        };
        Some(Self { tag, content: after.get(..length)?, rest: after.get(length..)? })
    }
}

/// Whether it is the base64 of DER, or of cosign's JSON, and long enough for a key.
fn is_bare_base64(text: &str) -> bool {
    let is_digit =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    // `{"kdf"` in base64, and the beginning of a SEQUENCE.
    (text.starts_with("eyJr") || text.starts_with('M'))
        && text.len() >= 40
        && text.bytes().all(|byte| is_digit(byte) || byte.is_ascii_whitespace())
}
