//! The bytes of a private key file, made into a key or into an encrypted key; no derivation happens here.

use zeroize::Zeroizing;

use super::armor::Block;
use super::malformed::Malformed;
use super::memory::MemoryKey;
use super::other_form::OtherForm;
use super::sealed::SealedKey;

/// What a private key file holds.
#[derive(Debug)]
pub enum ParsedKey {
    /// A key that is ready.
    Open(Box<MemoryKey>),
    /// A key that cosign encrypted; its parameters are checked, its password is not.
    Sealed(SealedKey),
}

/// The private key in PEM text: cosign's encrypted keys of all generations, PKCS#8, SEC1 and PKCS#1.
///
/// Certificates, public keys and curve parameters beside the one private key are passed over, as Go's parsers do. It derives
/// nothing and takes time in the size of `bytes` only, so it is safe to feed with anything.
///
/// # Errors
///
/// What is wrong with the bytes, never with any of them in the message.
pub fn parse_private(bytes: &[u8]) -> Result<ParsedKey, Malformed> {
    let blocks = Block::all(bytes)?;
    let private: Vec<&Block<'_>> = blocks.iter().filter(|block| Form::of(block.label).is_some()).collect();
    match private.as_slice() {
        [] => Err(not_private(&blocks)),
        [block] => parse_block(block),
        several => Err(Malformed::Several { count: several.len(), kind: "private" }),
    }
}

/// The forms of a private key, by PEM label.
#[derive(Clone, Copy)]
enum Form {
    Sealed,
    Pkcs8,
    Sec1,
    Pkcs1,
    OpensslEncrypted,
}

impl Form {
    fn of(label: &str) -> Option<Self> {
        Some(match label {
            // The first generation of cosign wrote COSIGN; since 2.0 it writes SIGSTORE, with the same content.
            "ENCRYPTED COSIGN PRIVATE KEY" | "ENCRYPTED SIGSTORE PRIVATE KEY" => Self::Sealed,
            "PRIVATE KEY" => Self::Pkcs8,
            "EC PRIVATE KEY" => Self::Sec1,
            "RSA PRIVATE KEY" => Self::Pkcs1,
            "ENCRYPTED PRIVATE KEY" => Self::OpensslEncrypted,
            _ => return None,
        })
    }
}

fn parse_block(block: &Block<'_>) -> Result<ParsedKey, Malformed> {
    let open = |key: fn(&[u8]) -> Result<MemoryKey, Malformed>| {
        let der: Zeroizing<Vec<u8>> = block.decode()?;
        Ok(ParsedKey::Open(Box::new(key(&der)?)))
    };
    match Form::of(block.label) {
        Some(Form::Sealed) => SealedKey::from_json(&block.decode()?).map(ParsedKey::Sealed),
        Some(Form::Pkcs8) => open(MemoryKey::from_pkcs8),
        Some(Form::Sec1) => open(MemoryKey::from_sec1),
        Some(Form::Pkcs1) => open(MemoryKey::from_pkcs1),
        Some(Form::OpensslEncrypted) => Err(Malformed::OpensslEncrypted),
        None => Err(Malformed::Label { label: block.shown_label() }),
    }
}

/// Whether there is a private key of any form among `blocks`.
pub(super) fn has_private(blocks: &[Block<'_>]) -> bool {
    blocks.iter().any(|block| Form::of(block.label).is_some())
}

/// Whether there is a certificate among `blocks`.
pub(super) fn has_certificate(blocks: &[Block<'_>]) -> bool {
    let labels = ["CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE"];
    blocks.iter().any(|block| labels.contains(&block.label))
}

/// What blocks are that hold no key, by the label of one that is known, or else of the first.
pub(super) fn unknown(blocks: &[Block<'_>]) -> Malformed {
    let known = blocks.iter().find_map(|block| OtherForm::of_label(block.label));
    known.map_or_else(
        || Malformed::Label { label: blocks.first().map(Block::shown_label).unwrap_or_default() },
        Malformed::Form,
    )
}

/// Why blocks without a private key are refused.
fn not_private(blocks: &[Block<'_>]) -> Malformed {
    if blocks.iter().any(|block| ["PUBLIC KEY", "RSA PUBLIC KEY"].contains(&block.label)) {
        Malformed::PublicKey
    } else if has_certificate(blocks) {
        Malformed::Certificate
    } else {
        unknown(blocks)
    }
}
