//! Names, namespaces and UIDs of objects: checked once, so that none becomes another path of the API server's, leads out of a folder, or
//! breaks a line.

use std::fmt;
use std::str::FromStr;

use crate::foreign::Text;

/// The longest name of an object, the longest of a namespace, and the longest UID.
///
/// Spec: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
const NAME_BYTES: usize = 253;
const NAMESPACE_BYTES: usize = 63;
const UID_BYTES: usize = 63;

/// Why a text is not a name of an object, or not a UID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is not one `/`.
    #[error("it is not NAMESPACE/NAME")]
    Form,
    /// The namespace has characters that none can have.
    #[error("{0:.80?} is not a namespace: lower-case letters, digits and -, up to 63")]
    Namespace(Text),
    /// The name has characters that none can have.
    #[error("{0:.80?} is not a name: lower-case letters, digits, - and ., up to 253")]
    Name(Text),
    /// The UID has characters that none can have.
    #[error("{0:.80?} is not a UID: letters, digits, ., - and _, up to 63, without \"..\"")]
    Uid(Text),
}

/// A text that was checked when it was read. `$check` says what it may be.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text.
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
    /// The name of an object: RFC 1123's subdomain.
    Name, |text| text.len() <= NAME_BYTES && text.split('.').all(is_label)
}
checked! {
    /// The name of a namespace: RFC 1123's label.
    Namespace, |text| text.len() <= NAMESPACE_BYTES && is_label(text)
}
checked! {
    /// An object's UID: letters, digits, `.`, `-` and `_`, neither only dots nor two dots in a row.
    ///
    /// The API server's own are RFC 4122's UUIDs; of others, what can be a part of an annotation's name and of a file's is taken.
    Uid, |text| {
        let taken = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        !text.is_empty()
            && text.len() <= UID_BYTES
            && text.bytes().all(taken)
            && !text.contains("..")
            && text != "."
    }
}

/// A namespace and a name in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    namespace: Namespace,
    name: Name,
}

impl ObjectName {
    /// The object `name` in `namespace`.
    ///
    /// # Errors
    ///
    /// If Kubernetes allows no such name.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        Ok(Self { namespace: namespace.parse()?, name: name.parse()? })
    }

    /// `NAMESPACE/NAME`, or `NAME` in `namespace`.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub(crate) fn within(text: &str, namespace: &str) -> Result<Self, NameError> {
        if text.contains('/') { text.parse() } else { Self::new(namespace, text) }
    }

    /// The namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// The name in the namespace.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl From<(Namespace, Name)> for ObjectName {
    fn from((namespace, name): (Namespace, Name)) -> Self {
        Self { namespace, name }
    }
}

/// RFC 1123's label, without its limit of 63: Kubernetes has it for namespaces and not for the parts of names.
fn is_label(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |b: Option<u8>| b.is_some_and(alphanumeric);
    ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(|b| alphanumeric(b) || b == b'-')
}

impl FromStr for ObjectName {
    type Err = NameError;

    /// Reads `NAMESPACE/NAME`.
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
    fn a_name_is_what_kubernetes_allows_and_no_other_path() {
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
    fn a_uid_is_one_part_of_a_file_name_and_of_an_annotation() {
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
            assert!(!error.contains(char::is_control) && error.contains("is not a UID"), "{error}");
        }
    }
}
