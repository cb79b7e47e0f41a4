//! Who issued a certificate, for the message that says it isn't trusted.
//!
//! Only the issuer's name is looked for; nothing is decided by it.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc5280.html#section-4.1>

use crate::foreign;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// Common name, then organisation: the first that is there names the issuer.
const NAMES: [&[u8]; 2] = [&[0x55, 0x04, 0x03], &[0x55, 0x04, 0x0a]];
const MAX_NAME_BYTES: usize = 128;

/// The issuer's common name, or its organisation, from a certificate's DER.
pub fn issuer_name(certificate: &[u8]) -> Option<String> {
    let whole = Element::expect(certificate, SEQUENCE)?;
    let fields = Element::expect(whole.value, SEQUENCE)?.value;
    // Version (left out by version 1), serial number, signature algorithm, issuer.
    let serial = Element::expect(fields, VERSION).map_or(fields, |version| version.rest);
    let algorithm = Element::first(serial)?.rest;
    let issuer = Element::expect(algorithm, SEQUENCE)?.rest;
    let issuer = Element::expect(issuer, SEQUENCE)?.value;
    NAMES.iter().find_map(|name| attribute(issuer, name))
}

/// The value of a name's attribute: a sequence of sets of (identifier, string).
fn attribute(mut name: &[u8], identifier: &[u8]) -> Option<String> {
    while let Some(set) = Element::first(name) {
        let mut pairs = set.value;
        while let Some(pair) = Element::expect(pairs, SEQUENCE) {
            if let Some(found) = Element::expect(pair.value, OBJECT_IDENTIFIER)
                && found.value == identifier
            {
                let text = Element::first(found.rest)?.value;
                return Some(foreign::shown_bytes(text, MAX_NAME_BYTES));
            }
            pairs = pair.rest;
        }
        name = set.rest;
    }
    None
}

/// One element of DER, and the bytes that follow it.
struct Element<'a> {
    tag: u8,
    value: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    /// The element that `bytes` begins with.
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Two length bytes are 64 KiB, more than any certificate has.
            0x81 | 0x82 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        Some(Self { tag, value, rest })
    }

    /// The same, if it has this tag.
    fn expect(bytes: &'a [u8], tag: u8) -> Option<Self> {
        Self::first(bytes).filter(|element| element.tag == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};

    fn issued_by(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.distinguished_name = DistinguishedName::new();
        for (kind, name) in names {
            ca.distinguished_name.push(kind.clone(), *name);
        }
        let issuer = Issuer::new(ca, KeyPair::generate().unwrap());
        let mut leaf = CertificateParams::new(vec!["registry.example".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "the subject");
        leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec()
    }

    #[test]
    fn the_common_name_goes_before_the_organisation() {
        let (org, name) = (DnType::OrganizationName, DnType::CommonName);
        let both = issued_by(&[(org.clone(), "Example Corp"), (name, "Example Root\u{1b} CA")]);
        assert_eq!(issuer_name(&both).as_deref(), Some("Example Root\\u{1b} CA"));
        assert_eq!(issuer_name(&issued_by(&[(org, "Example Corp")])).as_deref(), Some("Example Corp"));
        // Without any name, the subject's isn't taken for it.
        assert_eq!(issuer_name(&issued_by(&[])), None);
    }

    #[test]
    fn cut_certificates_have_no_issuer_and_no_panic() {
        let whole = issued_by(&[(DnType::CommonName, "CA")]);
        for length in 0..whole.len() {
            assert_eq!(issuer_name(&whole[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = issuer_name(&bytes);
        }
    }
}
