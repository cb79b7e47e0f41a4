//! The parts of a certificate's DER that libraries don't give, or give only of certificates that they find perfect: the issuer, whether it may
//! issue others, and its public key. What can't be read has no parts, and counts as nothing that would be trusted more.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc5280.html#section-4.1>

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// `basicConstraints`, 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// The parts of a certificate.
pub(super) struct Parts<'a> {
    /// Its version as it is written: 2 is X.509 version 3; version 1 leaves it out.
    version: Option<&'a [u8]>,
    /// The name of its issuer, without its tag and length.
    pub(super) issuer: &'a [u8],
    /// The `SubjectPublicKeyInfo`, whole.
    pub(super) public_key: &'a [u8],
    /// What follows the public key.
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Reads a certificate's DER.
    pub(super) fn read(certificate: &'a [u8]) -> Option<Self> {
        let whole = Element::expect(certificate, SEQUENCE)?;
        let fields = Element::expect(whole.value, SEQUENCE)?.value;
        // Version, serial number, signature algorithm, issuer, validity, subject, public key.
        let version = Element::expect(fields, VERSION);
        let serial = version.as_ref().map_or(fields, |version| version.rest);
        let version = version.and_then(|version| Element::first(version.value)).map(|version| version.value);
        let algorithm = Element::first(serial)?.rest;
        let issuer = Element::expect(Element::first(algorithm)?.rest, SEQUENCE)?;
        let validity = Element::expect(issuer.rest, SEQUENCE)?;
        let subject = Element::expect(validity.rest, SEQUENCE)?;
        let rest = Element::expect(subject.rest, SEQUENCE)?.rest;
        let public_key = subject.rest.get(..subject.rest.len() - rest.len())?;
        Some(Self { version, issuer: issuer.value, public_key, rest })
    }

    /// Whether it may issue others: a CA's certificate, or one of X.509 version 1 or 2, which can't say.
    pub(super) fn may_issue(&self) -> bool {
        match self.version {
            None | Some([0 | 1]) => true,
            _ => self.is_authority().unwrap_or_default(),
        }
    }

    fn is_authority(&self) -> Option<bool> {
        let mut fields = self.rest;
        // Unique identifiers may precede the extensions; hardly any certificate has them.
        let extensions = loop {
            let field = Element::first(fields)?;
            if field.tag == EXTENSIONS {
                break Element::expect(field.value, SEQUENCE)?.value;
            }
            fields = field.rest;
        };
        let mut left = extensions;
        loop {
            let extension = Element::expect(left, SEQUENCE)?;
            let name = Element::expect(extension.value, OBJECT_IDENTIFIER)?;
            if name.value == BASIC_CONSTRAINTS {
                let value = Element::expect(name.rest, BOOLEAN).map_or(name.rest, |critical| critical.rest);
                let constraints = Element::expect(Element::expect(value, OCTET_STRING)?.value, SEQUENCE)?;
                return Some(Element::expect(constraints.value, BOOLEAN)?.value == [0xff]);
            }
            left = extension.rest;
        }
    }
}

/// One element of DER, and the bytes that follow it.
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) value: &'a [u8],
    pub(super) rest: &'a [u8],
}

impl<'a> Element<'a> {
    /// The element that `bytes` begins with.
    pub(super) fn first(bytes: &'a [u8]) -> Option<Self> {
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
    pub(super) fn expect(bytes: &'a [u8], tag: u8) -> Option<Self> {
        Self::first(bytes).filter(|element| element.tag == tag)
    }
}
