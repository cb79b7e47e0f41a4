//! Checkpoints: a log's signed statement of its size and root, as a note.
//!
//! Spec: <https://github.com/C2SP/C2SP/blob/main/tlog-checkpoint.md>, <https://github.com/C2SP/C2SP/blob/main/signed-note.md>.
//!
//! A note may have signatures of several parties. One by the log's own key must be there and right; those by unknown keys are
//! passed over, as the specification wants it: of witnesses (cosignatures), whose keys no trusted root holds yet, or of a key that a log
//! is about to change to.
//!
//! `sigstore-types` 0.15 reads the same text, but trims lines, passes over what stands after a second blank line, and lets `sigstore-verify`
//! take a signature by any log of the trusted root under any name. Here the note is read as it is specified, and the signature
//! must be by the log of the entry, under the name that the note begins with.

use super::error::LogError;
use super::field;

/// A checkpoint, taken apart.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    /// The first line: the log's name, and in Rekor 1 the number of its tree.
    pub origin: &'a str,
    /// How many entries the tree has.
    pub tree_size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// What is signed: everything up to the blank line.
    pub text: &'a str,
    /// The signatures.
    pub signatures: Vec<NoteSignature<'a>>,
}

/// One signature of a note.
#[derive(Debug)]
pub struct NoteSignature<'a> {
    /// The name that the input has.
    pub name: &'a str,
    /// The first bytes of a hash that says which key.
    pub hint: [u8; 4],
    /// The signature.
    pub signature: Vec<u8>,
}

/// The most signatures of one note: C2SP's own limit for witnesses is lower.
const SIGNATURES: usize = 64;

impl<'a> Checkpoint<'a> {
    /// Reads a checkpoint.
    ///
    /// # Errors
    ///
    /// [`LogError::Checkpoint`]: it is none.
    pub fn parse(note: &'a str) -> Result<Self, LogError> {
        let wrong = LogError::Checkpoint;
        // The last blank line ends the text: lines after it can only be signatures.
        let end = note.rfind("\n\n").ok_or(wrong("it has no blank line before its signatures"))?;
        let (text, signatures) = note.split_at(end + 1);
        if text.contains("\n\n") || text.chars().any(|c| c != '\n' && c.is_control()) {
            return Err(wrong("it has blank lines or control characters in its text"));
        }
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(wrong("it has no origin"))?;
        let tree_size = lines.next().and_then(decimal).ok_or(wrong("its second line is not a size"))?;
        let root = lines.next().and_then(field::base64).and_then(|root| root.try_into().ok());
        let root = root.ok_or(wrong("its third line is not a hash"))?;
        let lines = signatures.trim_start_matches('\n').split_terminator('\n');
        let signatures: Vec<_> = lines
            .take(SIGNATURES + 1)
            .map(NoteSignature::parse)
            .collect::<Option<_>>()
            .ok_or(wrong("a line after the blank one is not a signature"))?;
        if signatures.is_empty() || signatures.len() > SIGNATURES {
            return Err(wrong("it has no signature, or too many"));
        }
        Ok(Self { origin, tree_size, root, text, signatures })
    }

    /// The log's name: the origin, without the number of the tree that Rekor 1 puts behind it.
    pub fn name(&self) -> &'a str {
        match self.origin.rsplit_once(" - ") {
            Some((name, tree)) if decimal(tree).is_some() => name,
            _ => self.origin,
        }
    }
}

impl<'a> NoteSignature<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = field::base64(signature)?;
        let (hint, signature) = bytes.split_first_chunk::<4>()?;
        if name.is_empty() || signature.is_empty() {
            return None;
        }
        Some(Self { name, hint: *hint, signature: signature.to_vec() })
    }
}

/// A number as notes write it: decimal digits, without zeros before them.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "rekor.example - 42\n7\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\nTimestamp: 1\n\n\u{2014} rekor.example AAAAAQI=\n";

    #[test]
    fn a_note_is_taken_apart() {
        let checkpoint = Checkpoint::parse(NOTE).unwrap();
        assert_eq!(
            (checkpoint.origin, checkpoint.name(), checkpoint.tree_size),
            ("rekor.example - 42", "rekor.example", 7)
        );
        assert!(checkpoint.text.ends_with("Timestamp: 1\n"));
        assert_eq!(
            (checkpoint.signatures[0].hint, &*checkpoint.signatures[0].signature),
            ([0, 0, 0, 1], &[2][..])
        );
    }

    #[test]
    fn what_is_no_note_is_refused_with_the_reason() {
        for (from, to, reason) in [
            ("\n\n", "\n", "no blank line"),
            ("rekor.example - 42\n7", "7", "not a size"),
            ("\n7\n", "\n", "not a size"),
            ("\n7\n", "\n07\n", "not a size"),
            ("\n7\n", "\n-7\n", "not a size"),
            ("qqqq", "qqq", "not a hash"),
            ("Timestamp", "\n\nTimestamp", "blank lines"),
            ("\u{2014}", "-", "not a signature"),
            ("AAAAAQI=", "AAAAAQ==", "not a signature"),
            ("\u{2014} rekor.example AAAAAQI=\n", "", "no signature"),
        ] {
            let note = NOTE.replacen(from, to, 1);
            let error = Checkpoint::parse(&note).unwrap_err().to_string();
            assert!(error.contains(reason), "{from:?} to {to:?}: {error}");
        }
    }
}
