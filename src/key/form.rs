//! What a PEM block holds, by its label.

use super::armor::Block;
use super::malformed::Malformed;
use super::other_form::OtherForm;

/// The forms of a private key, by PEM label.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Sealed,
    Pkcs8,
    Sec1,
    Pkcs1,
    OpensslEncrypted,
}

impl Form {
    /// The form that a label names.
    pub(crate) fn of(label: &str) -> Option<Self> {
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

/// Whether there is a private key of any form among `blocks`.
pub(crate) fn has_private(blocks: &[Block<'_>]) -> bool {
    blocks.iter().any(|block| Form::of(block.label).is_some())
}

/// Whether there is a certificate among `blocks`.
pub(crate) fn has_certificate(blocks: &[Block<'_>]) -> bool {
    let labels = ["CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE"];
    blocks.iter().any(|block| labels.contains(&block.label))
}

/// The kind of blocks without a key, by the first known label, or else by the first label.
pub(crate) fn unknown(blocks: &[Block<'_>]) -> Malformed {
    let known = blocks.iter().find_map(|block| OtherForm::of_label(block.label));
    known.map_or_else(
        || Malformed::Label { label: blocks.first().map(Block::shown_label).unwrap_or_default() },
        Malformed::Form,
    )
}
