//! Why an agent gives no signature.

use super::AgentAddress;
use super::listener::FolderError;
use super::wire::ProblemDetail;
use crate::explain::explain;
use crate::key::VerifyError;

/// What kept the agent's signature from us.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// Not the address of an agent.
    #[error("an agent's address is unix:// and an absolute path")]
    Address,
    /// The kernel takes no longer path for a socket.
    #[error("the path of an agent's socket has {limit} bytes at most")]
    LongAddress {
        /// The limit in bytes.
        limit: usize,
    },
    /// No process listens at the address.
    #[error("no agent listens at {address}")]
    Absent {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// What the system says.
        source: std::io::Error,
    },
    /// The socket is there and can't be used.
    #[error("cannot connect to the agent at {address}")]
    Connect {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// What the system says.
        source: std::io::Error,
    },
    /// More than any agent takes.
    #[error(
        "the request for the agent at {address} would be longer than {limit} bytes, the most that an agent takes"
    )]
    TooLong {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// The limit in bytes.
        limit: usize,
    },
    /// The connection ended before the answer did.
    #[error("the agent at {address} ended the connection without an answer")]
    Lost {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// What the HTTP library reported.
        source: hyper::Error,
    },
    /// No answer in time.
    #[error("the agent at {address} has not answered within the time limit of the run")]
    TimedOut {
        /// The address of the agent that was asked.
        address: AgentAddress,
    },
    /// Not what an agent says.
    #[error("what listens at {address} is no agent of Stepseal's: {what}")]
    Answer {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It has another key than it must have.
    #[error("the agent at {address} has the key {given}, and must have {expected} of {origin}")]
    OtherKey {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// The fingerprint of its key.
        given: String,
        /// The fingerprint of the one that it must have.
        expected: String,
        /// The place of that one.
        origin: String,
    },
    /// No key says that it is the agent, and it is another user's.
    #[error("what listens at {address} belongs to the user {user}, and no key says that it is the agent")]
    OtherUser {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// Whose it is, by number.
        user: u32,
    },
    /// No key says that it is the agent, and another user could have made the socket.
    #[error(
        "another process could have made the socket of the agent at {address}, and no key says that it is the agent"
    )]
    Folder {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// Why the directory of the socket is not safe.
        source: Box<FolderError>,
    },
    /// The agent has decided against it.
    #[error("the agent at {address} refuses to sign ({})", said.code())]
    Refused {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// The reasons that the agent gave.
        #[source]
        said: Box<Said>,
    },
    /// It signed something else, or with another key.
    #[error("the signature of the agent at {address} is not one of this payload by the key that it names")]
    Signature {
        /// The address of the agent that was asked.
        address: AgentAddress,
        /// What is wrong with it.
        source: VerifyError,
    },
    /// Somebody asked it to sign bytes without saying what they are.
    #[error("an agent signs payloads, not bytes")]
    OnlyPayloads,
    /// The question can't be written down.
    #[error("cannot write the question for the agent")]
    Json(#[source] serde_json::Error),
    /// The request can't be written as JSON.
    #[error("cannot write the question for the agent")]
    Http(#[source] ::http::Error),
}

/// What an agent says, as a chain of causes.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Said {
    message: String,
    code: String,
    hint: Option<String>,
    #[source]
    cause: Option<Box<Said>>,
}

/// More causes than these are no agent's.
const MAX_CAUSES: usize = 16;

impl Said {
    pub(super) fn of(detail: ProblemDetail) -> Self {
        let inner = detail.causes.into_iter().take(MAX_CAUSES).rev().fold(None, |cause, message| {
            Some(Box::new(Self { message, code: String::new(), hint: None, cause }))
        });
        Self { message: detail.message, code: detail.code, hint: detail.hint, cause: inner }
    }

    /// The reason, for programs.
    pub fn code(&self) -> &str {
        &self.code
    }
}

explain! { AgentError,
    Self::Address | Self::LongAddress { .. } => ["agent-address", Usage, "write unix:///PATH, as the agent's --socket has it"],
    Self::Absent { .. } => ["agent-absent", Failed,
        "run stepseal agent as a sidecar of this Task, with its socket on a volume that both mount"],
    Self::Connect { .. } => ["agent-socket-access", Failed, "let this step's user write to the socket; the agent makes it for all"],
    Self::TooLong { .. } => ["agent-payload-long", Failed,
        "sign what is smaller, such as a statement that names the large file by digest, or sign with the key in the step"],
    Self::Lost { .. } | Self::TimedOut { .. } => ["agent-no-answer", Failed, "see the agent's own log for what it decided, and run again"],
    Self::Answer { .. } | Self::Signature { .. } => ["agent-impostor", Failed,
        "mount the socket's folder read-only into every step, so that only the agent can make a socket there"],
    Self::OtherKey { .. } => ["agent-other-key", Failed,
        "if the agent's key was changed, give its new public key; if not, another process made the socket first: \
         mount the socket's folder read-only into every step"],
    Self::OtherUser { .. } => ["agent-unpinned", Failed, "give the agent's public key with --agent-key"],
    Self::Folder { source, .. } => ["agent-unpinned", Failed,
        "give the agent's public key with --agent-key{more}" with (more = source.hint().map(|hint| format!(", or {hint}")).unwrap_or_default())],
    Self::Refused { said, .. } => ["agent-refused", Failed, hint said.hint.clone()],
    Self::OnlyPayloads | Self::Json(_) | Self::Http(_) => ["fault-agent-client", Failed,
        "this is a fault of Stepseal's: report it with the configuration used"],
}
