//! The issuer of a certificate, for the message that the certificate isn't trusted.
//!
//! Only the issuer's name is looked for; nothing is decided by it.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc5280.html#section-4.1>

use super::der::{Element, OBJECT_IDENTIFIER, Parts, SEQUENCE};
use crate::foreign;

/// Common name, then organization: the first that is there names the issuer.
const NAMES: [&[u8]; 2] = [&[0x55, 0x04, 0x03], &[0x55, 0x04, 0x0a]];
const MAX_NAME_BYTES: usize = 128;

/// The issuer's common name, or its organization, from a certificate's DER.
pub fn issuer_name(certificate: &[u8]) -> Option<String> {
    let issuer = Parts::read(certificate)?.issuer;
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
                return Some(foreign::escape_bytes(text, MAX_NAME_BYTES));
            }
            pairs = pair.rest;
        }
        name = set.rest;
    }
    None
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
    fn the_common_name_goes_before_the_organization() {
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
