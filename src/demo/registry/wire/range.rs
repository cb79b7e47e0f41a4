//! The two ranges of the specification: `Range` asks for part of a blob, `Content-Range` says where a chunk
//! of an upload belongs.
//!
//! Several ranges in one request are not served in parts: such a request gets the whole blob. A range that ends
//! before it begins is refused. RFC 9110 leaves both to the server.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9110#section-14>,
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>

/// What a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// Everything: there is no range, or none that is understood.
    Whole,
    /// The bytes from `first` to `last`, both included; both lie within the content.
    Part {
        /// The first byte, counted from 0.
        first: usize,
        /// The last byte, which belongs to the range.
        last: usize,
    },
    /// Nothing of what is asked for is there.
    Unsatisfiable,
}

/// What the `Range` header asks for, of content that is `length` bytes long.
pub fn byte_range(header: &str, length: usize) -> ByteRange {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return ByteRange::Whole;
    };
    let end = length.checked_sub(1);
    let (first, last) = match (first.trim(), last.trim()) {
        ("", suffix) => match (number(suffix), end) {
            (None, _) => return ByteRange::Whole,
            (Some(0), _) | (_, None) => return ByteRange::Unsatisfiable,
            (Some(count), Some(end)) => (length.saturating_sub(count), end),
        },
        (first, last) => match (number(first), number(last), end) {
            (None, _, _) => return ByteRange::Whole,
            (Some(_), None, _) if !last.is_empty() => return ByteRange::Whole,
            (Some(first), Some(last), _) if last < first => return ByteRange::Unsatisfiable,
            (_, _, None) => return ByteRange::Unsatisfiable,
            (Some(first), last, Some(end)) => (first, last.unwrap_or(end).min(end)),
        },
    };
    if first >= length { ByteRange::Unsatisfiable } else { ByteRange::Part { first, last } }
}

/// The first and last byte of a chunk: `^[0-9]+-[0-9]+$`, the first not after the last.
pub fn content_range(header: &str) -> Option<(usize, usize)> {
    let (first, last) = header.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// Digits only: `parse` alone would let a sign through.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let part = |first, last| ByteRange::Part { first, last };
        for (header, length, want) in [
            ("bytes=0-4", 10, part(0, 4)),
            ("bytes=5-", 10, part(5, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-30", 10, part(0, 9)),
            ("bytes=8-100", 10, part(8, 9)),
            ("bytes=10-", 10, ByteRange::Unsatisfiable),
            ("bytes=10-12", 10, ByteRange::Unsatisfiable),
            ("bytes=-0", 10, ByteRange::Unsatisfiable),
            ("bytes=0-0", 0, ByteRange::Unsatisfiable),
            ("bytes=4-2", 10, ByteRange::Unsatisfiable),
            ("bytes=0-1,3-4", 10, ByteRange::Whole),
            ("bytes=a-b", 10, ByteRange::Whole),
            ("bytes=-", 10, ByteRange::Whole),
            ("lines=0-1", 10, ByteRange::Whole),
        ] {
            assert_eq!(byte_range(header, length), want, "{header} of {length}");
        }
    }

    #[test]
    fn chunk_ranges_are_two_plain_numbers() {
        assert_eq!(content_range("0-0"), Some((0, 0)));
        assert_eq!(content_range("5-9"), Some((5, 9)));
        for header in ["", "-", "9-5", "+1-2", "1- 2", "bytes 0-1/2", "0-99999999999999999999999"] {
            assert_eq!(content_range(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_content(header in "bytes=[0-9]{0,4}-[0-9]{0,4}", length in 0_usize..2000) {
            if let ByteRange::Part { first, last } = byte_range(&header, length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
