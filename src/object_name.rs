//! Names, namespaces and UIDs of Kubernetes objects. Each is validated once, so that none can change an API path, leave a directory, or
//! break a line.

use std::fmt;
use std::str::FromStr;

use crate::foreign::UntrustedText;

/// The longest object name, in bytes.
///
/// Spec: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
const NAME_BYTES: usize = 253;
/// The longest namespace name, in bytes.
const NAMESPACE_BYTES: usize = 63;
/// The longest UID, in bytes.
const UID_BYTES: usize = 63;

/// Why a text is not a valid object name, namespace or UID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text doesn't contain exactly one `/`.
    #[error("it is not NAMESPACE/NAME")]
    Form,
    /// The namespace has invalid characters or is too long.
    #[error("{0:.80?} is not a valid namespace: use up to 63 lower-case letters, digits and -")]
    Namespace(UntrustedText),
    /// The name has invalid characters or is too long.
    #[error("{0:.80?} is not a valid name: use up to 253 lower-case letters, digits, - and .")]
    Name(UntrustedText),
    /// The UID has invalid characters or is too long.
    #[error("{0:.80?} is not a valid UID: use up to 63 letters, digits, ., - and _, without \"..\"")]
    Uid(UntrustedText),
}

/// Defines a newtype of a text that `$check` accepts.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The validated text, as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(NameError::$name(text.into())) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked! {
    /// The name of an object, an RFC 1123 subdomain.
    Name, |text| text.len() <= NAME_BYTES && text.split('.').all(is_label)
}
checked! {
    /// The name of a namespace, an RFC 1123 label.
    Namespace, |text| text.len() <= NAMESPACE_BYTES && is_label(text)
}
checked! {
    /// An object's UID: letters, digits, `.`, `-` and `_`, neither only dots nor two dots in a row.
    ///
    /// The API server uses RFC 4122 UUIDs. Other UIDs are accepted if they can be part of an annotation's name and of a file name.
    Uid, |text| {
        let taken = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        !text.is_empty()
            && text.len() <= UID_BYTES
            && text.bytes().all(taken)
            && !text.contains("..")
            && text != "."
    }
}

/// The namespace and the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    namespace: Namespace,
    name: Name,
}

impl ObjectName {
    /// Creates the name of the object `name` in `namespace`.
    ///
    /// # Errors
    ///
    /// Kubernetes doesn't allow the name or the namespace.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        Ok(Self { namespace: namespace.parse()?, name: name.parse()? })
    }

    /// Parses `NAMESPACE/NAME`, or a `NAME` in `namespace`.
    ///
    /// # Errors
    ///
    /// The text has neither form.
    pub(crate) fn within(text: &str, namespace: &str) -> Result<Self, NameError> {
        if text.contains('/') { text.parse() } else { Self::new(namespace, text) }
    }

    /// The object's namespace, without the name.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// The object's name, without the namespace.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl From<(Namespace, Name)> for ObjectName {
    fn from((namespace, name): (Namespace, Name)) -> Self {
        Self { namespace, name }
    }
}

/// Whether `text` is an RFC 1123 label of any length. Kubernetes limits the length of namespaces, not of the parts of names.
fn is_label(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |b: Option<u8>| b.is_some_and(alphanumeric);
    ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(|b| alphanumeric(b) || b == b'-')
}

impl FromStr for ObjectName {
    type Err = NameError;

    /// Parses an object name of the form `NAMESPACE/NAME`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((namespace, name)) if !name.contains('/') => Self::new(namespace, name),
            _ => Err(NameError::Form),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_those_that_kubernetes_allows() {
        let name: ObjectName = "ci/build-1.x".parse().unwrap();
        assert_eq!((name.namespace(), name.name()), ("ci", "build-1.x"));
        assert_eq!(name.to_string(), "ci/build-1.x");
        for text in [
            "ci",
            "ci/",
            "/x",
            "ci/a/b",
            "ci/..",
            "ci/a/../b",
            "c.i/a",
            "ci/A",
            "ci/a?x=1",
            "ci/-a",
            "ci/a%2f",
        ] {
            assert!(text.parse::<ObjectName>().is_err(), "{text}");
        }
        assert!(ObjectName::new(&"n".repeat(64), "a").is_err());
        assert!(ObjectName::new("n", &"a".repeat(254)).is_err());
        assert!("a".repeat(253).parse::<Name>().is_ok() && "a".repeat(254).parse::<Name>().is_err());
        assert_eq!(ObjectName::within("build", "ci"), "ci/build".parse());
        assert_eq!(ObjectName::within("other/build", "ci"), "other/build".parse());
    }

    #[test]
    fn a_uid_fits_into_a_file_name_and_an_annotation_name() {
        for good in ["495215fc-1bc7-4c33-894d-fb6c5ed7f30e", "u-1", "A_b.c", "-", "_", ".a.", &"u".repeat(63)]
        {
            assert_eq!(good.parse::<Uid>().unwrap().as_str(), good);
        }
        let long = "u".repeat(64);
        for bad in [
            "",
            ".",
            "..",
            "...",
            "a..b",
            "../x",
            "a/../../b",
            "a/b",
            "a\\b",
            "a b",
            "a\0",
            "a\nsigned",
            "\u{1b}[2J",
            "\u{202e}",
            "é",
            "a:b",
            "%2e",
            "~",
            &long,
        ] {
            let error = bad.parse::<Uid>().unwrap_err().to_string();
            assert!(!error.contains(char::is_control) && error.contains("is not a valid UID"), "{error}");
        }
    }
}
