//! Names of objects: checked once, so that no name becomes another path of the API server's.

use std::fmt;
use std::str::FromStr;

use crate::foreign;

/// The longest name of an object, and the longest of a namespace.
///
/// Spec: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
const NAME_BYTES: usize = 253;
const NAMESPACE_BYTES: usize = 63;

/// A namespace and a name in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    namespace: String,
    name: String,
}

/// Why a text is no name of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is not one `/`.
    #[error("it is not NAMESPACE/NAME")]
    Form,
    /// The namespace has characters that none can have.
    #[error("{0:?} is not a namespace: lower-case letters, digits and -, up to 63")]
    Namespace(String),
    /// The name has characters that none can have.
    #[error("{0:?} is not a name: lower-case letters, digits, - and ., up to 253")]
    Name(String),
}

impl ObjectName {
    /// The object `name` in `namespace`.
    ///
    /// # Errors
    ///
    /// If Kubernetes allows no such name.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        let shown = |text| foreign::shown(text, 80);
        if !is_label(namespace) || namespace.len() > NAMESPACE_BYTES {
            return Err(NameError::Namespace(shown(namespace)));
        }
        if name.len() > NAME_BYTES || !name.split('.').all(is_label) {
            return Err(NameError::Name(shown(name)));
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// `NAMESPACE/NAME`, or `NAME` in `namespace`.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn within(text: &str, namespace: &str) -> Result<Self, NameError> {
        if text.contains('/') { text.parse() } else { Self::new(namespace, text) }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name in the namespace.
    pub fn name(&self) -> &str {
        &self.name
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

/// What kind of object it is, of those that are ever asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A TaskRun of Tekton's.
    TaskRun,
    /// A PipelineRun of Tekton's.
    PipelineRun,
    /// A Pod.
    Pod,
    /// A Secret.
    Secret,
    /// A ServiceAccount.
    ServiceAccount,
}

impl Kind {
    /// The kind, as objects name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskRun => "TaskRun",
            Self::PipelineRun => "PipelineRun",
            Self::Pod => "Pod",
            Self::Secret => "Secret",
            Self::ServiceAccount => "ServiceAccount",
        }
    }

    /// The resource, as addresses and Roles name it.
    pub fn resource(self) -> &'static str {
        match self {
            Self::TaskRun => "taskruns",
            Self::PipelineRun => "pipelineruns",
            Self::Pod => "pods",
            Self::Secret => "secrets",
            Self::ServiceAccount => "serviceaccounts",
        }
    }

    /// The API group, as Roles name it.
    pub fn group(self) -> &'static str {
        match self {
            Self::TaskRun | Self::PipelineRun => "tekton.dev",
            Self::Pod | Self::Secret | Self::ServiceAccount => "",
        }
    }

    /// The group and version, as objects name it.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::TaskRun | Self::PipelineRun => "tekton.dev/v1",
            Self::Pod | Self::Secret | Self::ServiceAccount => "v1",
        }
    }

    /// The path of the objects of this kind in `namespace`.
    pub(super) fn path(self, namespace: &str) -> String {
        let root = if self.group().is_empty() { "/api" } else { "/apis" };
        format!("{root}/{}/namespaces/{namespace}/{}", self.api_version(), self.resource())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
        assert_eq!(ObjectName::within("build", "ci"), "ci/build".parse());
        assert_eq!(ObjectName::within("other/build", "ci"), "other/build".parse());
    }

    #[test]
    fn paths_are_those_of_the_api() {
        assert_eq!(Kind::TaskRun.path("ci"), "/apis/tekton.dev/v1/namespaces/ci/taskruns");
        assert_eq!(Kind::Secret.path("ci"), "/api/v1/namespaces/ci/secrets");
    }
}
