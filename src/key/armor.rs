//! PEM: finding the blocks of a file, and the bytes in them.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc7468#section-2>, read more leniently than its strict grammar: text before and
//! between blocks, a byte order mark, other line lengths and ends, indentation, and newlines that became spaces or are written out
//! as `\n` (as happens to a key in an environment variable or in JSON) are accepted: base64 has neither blanks nor backslashes, so
//! that nothing else can be meant. A block that begins and doesn't end is refused, and so is text that isn't UTF-8.

use zeroize::Zeroizing;

use super::malformed::Malformed;
use super::other_form::OtherForm;
use crate::foreign;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// What `-----BEGIN` is in base64, as far as whole groups go.
const ENCODED_BEGIN: &str = "LS0tLS1CRUdJ";

/// A label longer than this is shown cut; real labels are below 40 bytes.
const SHOWN_LABEL_BYTES: usize = 60;

/// Whether text is PEM in base64: what a Secret holds whose `data` was made of text that was base64 already.
pub(crate) fn is_encoded(text: &str) -> bool {
    text.trim_start().starts_with(ENCODED_BEGIN)
}

/// One PEM block; its body is still base64 text.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    /// The label after `BEGIN`.
    pub(crate) label: &'a str,
    body: &'a str,
}

impl<'a> Block<'a> {
    /// Every block of `bytes`, in order; at least one.
    pub(crate) fn all(bytes: &'a [u8]) -> Result<Vec<Self>, Malformed> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Malformed::Empty);
        }
        let mut rest = std::str::from_utf8(bytes)
            .map_err(|_| OtherForm::of_bytes(bytes).map_or(Malformed::Binary, Malformed::Form))?;
        let mut blocks = Vec::new();
        while let Some((_, after)) = rest.split_once(BEGIN) {
            let cut = |missing| Malformed::Truncated { missing };
            let (label, after) = after.split_once(DASHES).ok_or(cut("the BEGIN line is not complete"))?;
            let (body, after) = after.split_once(DASHES).ok_or(cut("the END line is missing"))?;
            // `body` stops at the first dashes, so what follows must be this block's END line and no other.
            rest = after
                .strip_prefix(END.trim_start_matches('-'))
                .and_then(|after| after.strip_prefix(label)?.strip_prefix(DASHES))
                .ok_or(cut("the END line is missing or not complete"))?;
            blocks.push(Self { label, body });
        }
        match blocks.as_slice() {
            [] => Err(no_block(rest)),
            _ => Ok(blocks),
        }
    }

    /// Decodes the bytes between the lines.
    pub(crate) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        if self.body.contains(':') && self.body.contains("ENCRYPTED") {
            // `Proc-Type: 4,ENCRYPTED`, RFC 1421's headers: what `openssl ec -aes256` writes.
            return Err(Malformed::OpensslEncrypted);
        }
        let text = without_breaks(self.body);
        if text.is_empty() || !text.len().is_multiple_of(4) {
            return Err(Malformed::Truncated { missing: "the base64 between BEGIN and END is not complete" });
        }
        let damaged = || Malformed::Base64 { of: "the PEM block" };
        // This decoder's time doesn't depend on the bytes, and one growth of an empty vector leaves no copy behind.
        let mut decoder = pem_rfc7468::Base64Decoder::new(&text).map_err(|_| damaged())?;
        let mut bytes = Zeroizing::new(Vec::new());
        decoder.decode_to_end(&mut bytes).map_err(|_| damaged())?;
        Ok(bytes)
    }

    /// The label as it may be shown.
    pub(crate) fn shown_label(&self) -> String {
        foreign::escape(self.label, SHOWN_LABEL_BYTES)
    }
}

/// Why text without a block is refused.
fn no_block(text: &str) -> Malformed {
    if is_encoded(text.trim_start_matches('\u{feff}')) {
        return Malformed::EncodedTwice;
    }
    // UTF-16 without a byte order mark and a short DER file can be UTF-8, too.
    match OtherForm::of_bytes(text.as_bytes()).or_else(|| OtherForm::of_text(text)) {
        Some(form) => Malformed::Form(form),
        None if text.contains('\0') => Malformed::Binary,
        None => Malformed::NotPem,
    }
}

/// Base64 text without its blanks and its line breaks, also those that are written out: `\n`, or `\\n` where they were escaped twice.
fn without_breaks(body: &str) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(body.len()));
    let mut rest = body.bytes().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => {
                while rest.next_if_eq(&b'\\').is_some() {}
                // Anything else stays, and is not base64.
                if rest.next_if(|byte| matches!(byte, b'n' | b'r')).is_none() {
                    text.push(byte);
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            byte => text.push(byte),
        }
    }
    text
}
