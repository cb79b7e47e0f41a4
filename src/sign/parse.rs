//! The bytes of a private key file, made into a key or into an encrypted key; no derivation happens here.

use zeroize::Zeroizing;

use super::memory::MemoryKey;
use super::sealed::SealedKey;
use crate::key::Malformed;
use crate::key::armor::Block;
use crate::key::form::{Form, has_certificate, unknown};

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
