//! What the API server refused, or why it wasn't reached.
//!
//! An error says what was being done to which object, what came back, as whom it was asked, and what would help: for a 403 that
//! is the rule that a Role lacks, word for word.

mod fault;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use http::Method;
use kube::core::Status;

pub use fault::{KubeconfigFault, SetupFault};

use super::kind::Kind;
use super::who::Who;
use crate::explain::explain;
use crate::foreign;
use crate::mask::Mask;
use crate::object_name::ObjectName;

/// How much of an answer's words is kept, in bytes.
const WORDS_BYTES: usize = 600;

/// Why something can't be known from the cluster, or not be written to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There is no cluster to ask.
    #[error("there is no cluster to ask: no ServiceAccount token in {}, and no kubeconfig", .folder.display())]
    NoCluster {
        /// Where the token would be.
        folder: PathBuf,
        /// A kubeconfig that is there and was not read, and why.
        unread: Option<Box<str>>,
    },
    /// A file of the pod's ServiceAccount can't be used.
    #[error("cannot use the pod's ServiceAccount: {}", .path.display())]
    Account {
        /// The path of the kubeconfig or credential file.
        path: PathBuf,
        /// What the system reported when it was read.
        source: io::Error,
    },
    /// The address in the environment is none.
    #[error("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT make no address: {0}")]
    Address(String),
    /// A kubeconfig can't be used.
    #[error("cannot use the kubeconfig {}", .path.display())]
    Kubeconfig {
        /// The path of the kubeconfig or credential file.
        path: PathBuf,
        /// What is wrong with its content.
        source: Box<KubeconfigFault>,
    },
    /// A kubeconfig, or a file that it names, can't be read.
    #[error("cannot read {} for the connection to the cluster", .path.display())]
    KubeconfigFile {
        /// The path of the kubeconfig or credential file.
        path: PathBuf,
        /// What the system reported when it was read.
        source: io::Error,
    },
    /// A kubeconfig that no setting names wants to run a program in a pod.
    #[error("the kubeconfig {} runs the program \"{program}\", and in a pod that is done only if KUBECONFIG names the file", .path.display())]
    Program {
        /// The path of the kubeconfig or credential file.
        path: PathBuf,
        /// The program, cut and escaped.
        program: Box<str>,
    },
    /// What the kubeconfig asks for can't be set up.
    #[error("cannot set up the connection to the API server {server}")]
    Setup {
        /// The address of the API server.
        server: String,
        /// What is wrong with the settings of the connection.
        source: Box<SetupFault>,
    },
    /// A proxy of a kind that isn't spoken.
    #[error("cannot reach the API server through a proxy that is not http://")]
    Proxy,
    /// A request to the API server failed.
    #[error(transparent)]
    Request(Box<RequestError>),
}

/// A request to the API server that failed.
#[derive(Debug)]
pub struct RequestError {
    /// What was to be done.
    pub verb: Verb,
    /// To what kind of object.
    pub kind: Kind,
    /// The object that was asked for, with its namespace.
    pub object: ObjectName,
    /// The identity that the request used.
    pub who: Who,
    /// The request and what came back.
    pub exchange: Exchange,
    /// A kubeconfig that is there and was not read, and why.
    pub unread: Option<String>,
}

/// A request, and what came of it.
#[derive(Debug)]
pub struct Exchange {
    /// The HTTP method of the request.
    pub method: Method,
    /// The address of the request.
    pub url: String,
    /// The answer, or why there was none.
    pub failure: Failure,
    /// How often it was sent.
    pub attempts: u32,
}

/// What is done to an object, as Roles name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The request read the object.
    Get,
    /// Reading all of a kind that belong to it.
    List,
    /// The request created the object.
    Create,
    /// The request changed the object.
    Patch,
}

impl Verb {
    /// The verb, as Roles name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Patch => "patch",
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Self::Get => "read",
            Self::List => "list",
            Self::Create => "create",
            Self::Patch => "change",
        }
    }
}

/// What came back instead of the object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// An answer that refuses.
    #[error("{0}")]
    Refused(Refusal),
    /// No answer in time.
    #[error("no answer for {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The login of the kubeconfig can't be had, or not renewed.
    #[error("the kubeconfig gives no login")]
    Login(#[source] SetupFault),
    /// No connection, or a connection that broke.
    #[error("the API server cannot be reached")]
    Unreachable(#[source] Box<kube::Error>),
    /// A connection that broke in the middle of the answer.
    #[error("the answer broke off")]
    BrokeOff(#[source] Box<kube::Error>),
    /// The token can't be read any more.
    #[error("the ServiceAccount's token {} cannot be read", .0.display())]
    Token(PathBuf, #[source] io::Error),
    /// An answer without end.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
    /// A success that isn't the object, or the list.
    #[error("the answer is not a {0}")]
    NotTheObject(Kind),
    /// A list without an end.
    #[error("the list has more than {0} pages")]
    Pages(usize),
}

/// An answer that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The reason in a word, as the API server gives it; perhaps empty.
    pub reason: String,
    /// Its words, cut and fit to be shown.
    pub message: String,
    /// What each cause is about: a field's path and its words.
    pub causes: Vec<(String, String)>,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads an answer: a `Status` object or, from something in between, any text.
    ///
    /// What `mask` knows is hidden in it: an answer can repeat the token, or the Secret, that was sent.
    pub(super) fn new(status: u16, body: &[u8], retry_after: Option<Duration>, mask: &Mask) -> Self {
        let shown = |text: &str| mask.text(&foreign::escape(text, WORDS_BYTES)).into_owned();
        match serde_json::from_slice::<Status>(body) {
            Ok(said) if !(said.message.is_empty() && said.reason.is_empty()) => {
                let causes = said.details.iter().flat_map(|details| &details.causes);
                let asked = said.details.as_ref().map(|details| details.retry_after_seconds);
                let asked = asked.filter(|seconds| *seconds > 0).map(|s| Duration::from_secs(s.into()));
                Self {
                    status,
                    reason: mask.text(&foreign::escape(&said.reason, 60)).into_owned(),
                    message: shown(&said.message),
                    causes: causes.map(|cause| (shown(&cause.field), shown(&cause.message))).collect(),
                    retry_after: retry_after.or(asked),
                }
            }
            _ => Self {
                status,
                reason: String::new(),
                message: mask.text(&foreign::escape_bytes(body, WORDS_BYTES)).into_owned(),
                causes: Vec::new(),
                retry_after,
            },
        }
    }
}

impl Refusal {
    /// Whether a 404 is about the object: an address that the API server doesn't know gets the text "404 page not found".
    /// So is the `Status` for an API group that isn't served.
    fn is_of_the_object(&self) -> bool {
        self.reason == "NotFound" && self.message != "the server could not find the requested resource"
    }

    /// Whether a 404 is about the namespace.
    fn is_of_the_namespace(&self) -> bool {
        self.is_of_the_object() && self.message.starts_with("namespaces \"")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for part in [&self.reason, &self.message].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{} {part}", if std::ptr::eq(part, &self.reason) { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, kind, object, .. } = self;
        match verb {
            Verb::List => write!(f, "cannot list the {} of PipelineRun {object}", kind.resource()),
            _ => write!(f, "cannot {} {kind} {object}", verb.doing()),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.exchange)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.url, self.failure)?;
        if self.attempts > 1 {
            write!(f, " (sent {} times)", self.attempts)?;
        }
        Ok(())
    }
}

impl std::error::Error for Exchange {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failure.source()
    }
}

impl RequestError {
    /// The answer that refused, if it came to one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.exchange.failure {
            Failure::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    fn status(&self) -> u16 {
        self.refusal().map_or(0, |refusal| refusal.status)
    }

    /// The rule that a Role needs for this request.
    fn rule(&self) -> String {
        let (group, resource, name) = (self.kind.group(), self.kind.resource(), self.object.name());
        // Names can't restrict lists, nor what doesn't exist yet.
        let names = match self.verb {
            Verb::Create | Verb::List => String::new(),
            _ => format!(", resourceNames: [\"{name}\"]"),
        };
        format!(
            "{{apiGroups: [\"{group}\"], resources: [\"{resource}\"]{names}, verbs: [\"{}\"]}}",
            self.verb.name()
        )
    }

    fn hint(&self) -> Option<String> {
        let unread = self.unread.as_deref().filter(|_| matches!(self.status(), 401 | 403));
        self.action().map(|action| and(action, unread))
    }

    fn action(&self) -> Option<String> {
        let (kind, object) = (self.kind, &self.object);
        Some(match &self.exchange.failure {
            Failure::Refused(refusal) => match refusal.status {
                401 => match self.who.claims.as_ref().and_then(|claims| claims.expired(SystemTime::now())) {
                    Some(ago) => format!(
                        "the token expired {} ago: mount a projected token that the kubelet renews, or log in again",
                        humantime::format_duration(Duration::from_secs(ago.as_secs()))
                    ),
                    None => "the API server does not know this token or certificate: is it of this cluster, and does its \
                             Pod or ServiceAccount still exist?"
                        .into(),
                },
                403 => format!(
                    "in namespace {}, give it a Role with the rule {} (the smallest Roles are in tasks/sign-images/0.1/rbac)",
                    object.namespace(),
                    self.rule()
                ),
                404 if !refusal.is_of_the_object() => return Some(unserved(kind)),
                404 if refusal.is_of_the_namespace() => format!(
                    "there is no namespace {}: see whether that is its name, and whether this is the right cluster",
                    object.namespace()
                ),
                404 => format!("see whether {kind} {} is there, in namespace {}", object.name(), object.namespace()),
                409 => "run again: somebody changed it at the same moment".into(),
                _ => return None,
            },
            Failure::TimedOut(_) | Failure::Unreachable(_) | Failure::BrokeOff(_) => {
                "see whether the API server answers, and whether a NetworkPolicy keeps this pod from it".into()
            }
            Failure::Login(_) => "see whether `kubectl version` works with the same kubeconfig".into(),
            Failure::Token(..) => "let this step's user read the token: fsGroup of the pod".into(),
            Failure::TooLarge(_) | Failure::NotTheObject(_) | Failure::Pages(_) => {
                "see what answers at this address: it is not a Kubernetes API server".into()
            }
        })
    }
}

/// What to do where the API server doesn't know the resource itself.
fn unserved(kind: Kind) -> String {
    match kind {
        Kind::TaskRun | Kind::PipelineRun => format!(
            "this says nothing of the {kind}: the API server does not serve {}; see kubectl api-versions, and install Tekton Pipelines 0.43 \
             or newer (older ones serve tekton.dev/v1beta1 alone: pass such a run with --run FILE)",
            kind.api_version()
        ),
        Kind::Pod | Kind::Secret | Kind::ServiceAccount => {
            "see what answers at this address: it is not a Kubernetes API server".into()
        }
    }
}

/// A hint, and what was not read.
fn and(hint: String, unread: Option<&str>) -> String {
    unread.map(|unread| format!("{hint}; {unread}")).unwrap_or(hint)
}

impl Failure {
    /// What it means that a request was not sent, or not answered. kube's own words show what an exec plugin printed.
    pub(super) fn unsent(error: kube::Error) -> Self {
        let error = match error {
            kube::Error::Service(source) => match source.downcast::<kube::client::AuthError>() {
                Ok(login) => kube::Error::Auth(*login),
                Err(source) => kube::Error::Service(source),
            },
            error => error,
        };
        match error {
            kube::Error::Auth(_) => Self::Login(error.into()),
            error => Self::Unreachable(Box::new(error)),
        }
    }
}

impl ClusterError {
    /// The request that failed, if it came to one.
    pub fn request(&self) -> Option<&RequestError> {
        match self {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }

    /// The status of the answer that refused.
    pub fn status(&self) -> Option<u16> {
        self.request().and_then(RequestError::refusal).map(|refusal| refusal.status)
    }

    /// Whether the object isn't there. Where the API server doesn't serve its kind, or something else answers, nothing is known of it.
    pub fn is_not_found(&self) -> bool {
        let refusal = self.request().and_then(RequestError::refusal);
        refusal.is_some_and(|refusal| refusal.status == 404 && refusal.is_of_the_object())
    }

    /// Whether what was asked may have been done all the same: an answer was lost, or is none.
    pub(crate) fn leaves_open(&self) -> bool {
        self.request().is_some_and(|request| match &request.exchange.failure {
            Failure::Refused(refusal) => {
                refusal.status >= 500 || refusal.status == 408 || request.exchange.attempts > 1
            }
            _ => true,
        })
    }

    /// Whether the account lacks the right.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }
}

explain! { ClusterError,
    Self::NoCluster { unread, .. } => ["cluster-none", Usage,
        "let the pod have its ServiceAccount's token (automountServiceAccountToken), or set KUBECONFIG{more}"
        with (more = and(String::new(), unread.as_deref()))],
    Self::KubeconfigFile { source, .. } if source.kind() == io::ErrorKind::TimedOut => ["kubeconfig-unreadable", Usage,
        "name a regular file: nothing could be read from this one before the time limit"],
    Self::KubeconfigFile { .. } => ["kubeconfig-unreadable", Usage, "mount it together with the kubeconfig, readable by this step's user"],
    Self::Program { path, .. } => ["kubeconfig-program", Usage,
        "if this program is meant to run in this step, set KUBECONFIG={path}; a token or a client certificate needs no program"
        with (path = path.display())],
    Self::Account { .. } => ["account-unreadable", Usage,
        "mount the ServiceAccount's token, ca.crt and namespace, readable by this step's user"],
    Self::Address(_) => ["cluster-address", Usage, "leave both as Kubernetes sets them"],
    Self::Kubeconfig { .. } | Self::Setup { .. } => ["kubeconfig-unusable", Usage,
        "see whether `kubectl version` works with the same kubeconfig"],
    Self::Proxy => ["cluster-proxy", Usage, "use an http:// proxy, or add the API server to NO_PROXY"],
    Self::Request(request) if matches!(request.status(), 401 | 403) => ["cluster-denied", Refused,
        hint request.hint(), used Some(request.who.to_string())],
    Self::Request(request) if request.status() == 404 => ["cluster-not-found", Failed,
        hint request.hint(), used Some(request.who.to_string())],
    Self::Request(request) if request.status() != 0 => ["cluster-refused", Failed, hint request.hint(), used Some(request.who.to_string())],
    Self::Request(request) => ["cluster-unreachable", Failed, hint request.hint(), used Some(request.who.to_string())],
}

#[cfg(test)]
mod tests;
