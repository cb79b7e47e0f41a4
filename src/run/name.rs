//! The name of a run, with its namespace where its object has one.

use std::fmt;

use crate::object_name::{Name, NameError, Namespace, ObjectName};

/// `NAMESPACE/NAME`, or the name alone: a file may hold a run without a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunName {
    namespace: Option<Namespace>,
    name: Name,
}

impl RunName {
    /// Makes the name of a run in a namespace.
    pub fn new(namespace: Option<Namespace>, name: Name) -> Self {
        Self { namespace, name }
    }

    /// The name in the namespace.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The namespace; empty where its object has none.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_ref().map_or("", Namespace::as_str)
    }

    /// The object in the cluster.
    ///
    /// # Errors
    ///
    /// If there is no namespace.
    pub fn object(&self) -> Result<ObjectName, NameError> {
        let namespace = self.namespace.clone().ok_or_else(|| NameError::Namespace("".into()))?;
        Ok((namespace, self.name.clone()).into())
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        self.name.fmt(f)
    }
}
