//! Whether two distinguished names are the same one.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc5280#section-7.1>: the types of the strings, the case of letters, and how many blanks there are make no difference.

use der::asn1::{Any, BmpString, Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use der::{Tag, Tagged as _};
use x509_cert::name::Name;

/// Whether `one` and `other` are the same name.
pub(super) fn same(one: &Name, other: &Name) -> bool {
    one == other || folded(one) == folded(other)
}

/// Each part of a name: its attributes in one order, each in one spelling.
fn folded(name: &Name) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let parts = name.0.iter().map(|part| {
        let attributes = part.0.iter().map(|one| (one.oid.as_bytes().to_vec(), spelled(&one.value)));
        let mut attributes: Vec<_> = attributes.collect();
        attributes.sort();
        attributes
    });
    parts.collect()
}

/// A text in small letters with single blanks; of anything else its tag and bytes.
fn spelled(value: &Any) -> Vec<u8> {
    let text = match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::PrintableString => {
            value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.as_str().to_owned())
        }
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::TeletexString => {
            value.decode_as::<TeletexStringRef<'_>>().ok().map(|text| text.as_str().to_owned())
        }
        Tag::BmpString => value.decode_as::<BmpString>().ok().map(|text| text.to_string()),
        _ => None,
    };
    match text {
        Some(text) => text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ").into_bytes(),
        None => [&[u8::from(value.tag())], value.value()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use der::Decode as _;

    use super::*;

    /// A name of one common name, whose text has that tag.
    fn name(tag: u8, text: &[u8]) -> Name {
        let tlv = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let attribute = tlv(0x30, &[&[6, 3, 0x55, 4, 3][..], &tlv(tag, text)].concat());
        Name::from_der(&tlv(0x30, &tlv(0x31, &attribute))).unwrap()
    }

    #[test]
    fn the_type_of_a_string_case_and_blanks_make_no_difference() {
        let plain = name(12, b"Example root");
        for (tag, text) in [
            (0x13, &b"Example root"[..]),
            (0x14, b"Example root"),
            (0x16, b"Example root"),
            (12, b"EXAMPLE  Root "),
            (0x1e, b"\0E\0x\0a\0m\0p\0l\0e\0 \0r\0o\0o\0t"),
        ] {
            assert!(same(&plain, &name(tag, text)), "{tag:x} {text:?}");
        }
        for (tag, text) in [(12, &b"Exampleroot"[..]), (0x13, b"Example"), (4, b"Example root"), (12, b"")] {
            assert!(!same(&plain, &name(tag, text)), "{tag:x} {text:?}");
        }
        assert!(same(&name(4, b"\0"), &name(4, b"\0")) && !same(&name(4, b"a"), &name(4, b"A")));
    }
}
