//! The kinds of objects that are ever asked for, and their paths.

use std::fmt;

/// What kind of object it is, of those that are ever asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A TaskRun of Tekton's.
    TaskRun,
    /// A PipelineRun of Tekton's.
    PipelineRun,
    /// A Pod: `v1`, kind `Pod`.
    Pod,
    /// A Secret: `v1`, kind `Secret`.
    Secret,
    /// A ServiceAccount: `v1`, kind `ServiceAccount`.
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
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::TaskRun | Self::PipelineRun => "tekton.dev",
            Self::Pod | Self::Secret | Self::ServiceAccount => "",
        }
    }

    /// The group and version, as objects name it.
    pub(crate) fn api_version(self) -> &'static str {
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
    fn paths_are_those_of_the_api() {
        assert_eq!(Kind::TaskRun.path("ci"), "/apis/tekton.dev/v1/namespaces/ci/taskruns");
        assert_eq!(Kind::Secret.path("ci"), "/api/v1/namespaces/ci/secrets");
    }
}
