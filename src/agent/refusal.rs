//! Why the agent doesn't sign: for the step, with a code for programs, and for the log.

use http::StatusCode;

use super::{Kind, LedgerError};
use crate::explain::{Explanation, explain};
use crate::flow::PipelineError;
use crate::foreign;
use crate::formats::PayloadError;
use crate::oci::reference::ReferenceError;
use crate::sign::KeyError;
use crate::sign::remote::wire::{Problem, ProblemDetail};

/// A request that isn't answered with a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is nothing at this path.
    #[error("there is nothing at this path")]
    Path,
    /// The path takes another method.
    #[error("this path takes another method")]
    Method {
        /// The fields or values that are allowed.
        allowed: &'static str,
    },
    /// The body's length isn't announced.
    #[error("the request does not say how long its body is")]
    NoLength,
    /// The body is longer than is taken.
    #[error(
        "the request's body is longer than {limit} bytes, the most that an artifact of this agent's kinds needs"
    )]
    TooLarge {
        /// How many bytes are taken.
        limit: usize,
    },
    /// The payload is longer than one of its kind may be.
    #[error("the payload is longer than {limit} bytes, the most that is signed of its type")]
    LongPayload {
        /// How many bytes are signed.
        limit: usize,
    },
    /// Other requests take all the room that there is for long bodies, or all turns to be decided.
    #[error("the agent is busy with other requests")]
    Busy,
    /// The body ended early, or came too slowly.
    #[error("the request's body did not come whole and in time")]
    Cut,
    /// The body is not what the path takes.
    #[error("the request is malformed")]
    Request(#[source] Malformed),
    /// The agent doesn't sign such a payload.
    #[error("the payload is malformed")]
    Payload(#[source] Malformed),
    /// Such artifacts aren't signed by this agent.
    #[error("this agent does not sign artifacts of the kind \"{kind}\"")]
    Kind {
        /// The kind of signature that was asked for.
        kind: Kind,
        /// The kinds that this agent signs.
        allowed: Vec<Kind>,
    },
    /// Images of this repository aren't signed by this agent.
    #[error("this agent signs nothing for {repository}: no pattern that it allows covers it")]
    Repository {
        /// The repository that was asked for.
        repository: String,
    },
    /// There have been too many.
    #[error("this agent has given all of its {most} signatures")]
    Limit {
        /// How many there are.
        most: u64,
    },
    /// The registry doesn't hold the image, or can't be asked.
    #[error("the agent does not find what it is to sign")]
    Image(#[source] Box<PipelineError>),
    /// The key doesn't sign.
    #[error("the agent's key cannot sign")]
    Key(#[source] Box<KeyError>),
    /// It takes longer than a request may.
    #[error("the request took longer than {seconds} s")]
    TimedOut {
        /// What it may take.
        seconds: u64,
    },
    /// The signature can't be counted where a restarted agent finds the count.
    #[error("the agent cannot keep its count of signatures, so it signs nothing")]
    Ledger(#[source] Box<LedgerError>),
    /// A fault of this program.
    #[error("the agent failed")]
    Internal,
}

/// What is wrong with a request or its payload. None of its text is repeated, but for what was checked, and the name of a field.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Not the JSON that is expected.
    #[error("it is not the JSON object that is expected here (line {line}, column {column})")]
    Json {
        /// The line in the request, counted from 1.
        line: usize,
        /// The column in that line, counted from 1.
        column: usize,
    },
    /// A field that the agent doesn't know, so its meaning is unknown.
    #[error("it has the unknown field \"{field}\" (line {line}, column {column})")]
    UnknownField {
        /// Its name, cut and escaped.
        field: String,
        /// The line in the request, counted from 1.
        line: usize,
        /// The column in that line, counted from 1.
        column: usize,
    },
    /// Bytes that readers make different texts of.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A key that some readers take the first value of, and others the last.
    #[error("a key appears twice in one of its objects (line {line}, column {column})")]
    KeyTwice {
        /// The line in the request, counted from 1.
        line: usize,
        /// The column in that line, counted from 1.
        column: usize,
    },
    /// More keys than are compared.
    #[error("its objects have too many keys (line {line}, column {column})")]
    ManyKeys {
        /// The line in the request, counted from 1.
        line: usize,
        /// The column in that line, counted from 1.
        column: usize,
    },
    /// The payload is not standard base64.
    #[error("the payload is not standard base64")]
    Base64,
    /// An unknown payload type.
    #[error("its payloadType is none that is signed")]
    PayloadType,
    /// The format of the payload is unknown.
    #[error("its format is neither simplesigning nor cosign-sign-v1")]
    Format,
    /// An image that is none.
    #[error("one of its images is not REPOSITORY@sha256:…")]
    Image(#[source] ReferenceError),
    /// More images than one payload is about.
    #[error("it names more than {limit} images")]
    ManyImages {
        /// How many are taken.
        limit: usize,
    },
    /// A name in the payload is not the name of a repository.
    #[error("a name that it signs is not a repository's")]
    Name(#[source] ReferenceError),
    /// Its bytes aren't those that this program writes for what they say.
    #[error("its bytes are not exactly those that Stepseal writes for what they say")]
    NotCanonical,
    /// It is about another image than the request says.
    #[error("it is about other images than the request names")]
    OtherImage,
    /// It says of no image where it is.
    #[error("neither it nor the request says in which repository its subject is")]
    NoRepository,
    /// A statement about nothing.
    #[error("it is about no image")]
    NoSubject,
    /// A subject without a digest that registries know.
    #[error("one of its subjects has no sha256 digest, so it cannot be looked up")]
    NoDigest,
    /// A digest that isn't looked up.
    #[error("one of its subjects has another digest beside sha256, which the agent cannot look up")]
    OtherDigest,
    /// A claim of a subject that isn't looked up.
    #[error("one of its subjects has the field \"{field}\", which the agent cannot check")]
    SubjectField {
        /// The name of the field in the request.
        field: &'static str,
    },
    /// The type of the payload is not a statement type.
    #[error("its _type is none of in-toto's statements")]
    NotAStatement,
    /// A statement that says nothing.
    #[error("it has no predicate, or null in its place")]
    NoPredicate,
    /// A statement that doesn't say what its predicate is.
    #[error("its predicateType is empty or blank")]
    NoPredicateType,
    /// A run's status has no such field.
    #[error("it is not the status of a TaskRun or PipelineRun")]
    NotAStatus,
    /// A claim that the format has no place for.
    #[error("cannot make the payload")]
    Claims(#[source] PayloadError),
}

/// A field's name is shown cut.
const SHOWN_FIELD_BYTES: usize = 64;

/// The field that serde doesn't know: [`serde::de::Error::unknown_field`].
fn unknown_field(said: &str) -> Option<&str> {
    let rest = said.strip_prefix("unknown field `")?;
    rest.rsplit_once("`, expected").or_else(|| rest.rsplit_once("`, there are")).map(|(field, _)| field)
}

impl From<serde_json::Error> for Malformed {
    /// serde_json's own message may quote the text.
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        // The reader of `crate::json` has its own words for what only it refuses.
        let said = if error.is_data() { error.to_string() } else { String::new() };
        if said.starts_with("the key \"") {
            Self::KeyTwice { line, column }
        } else if said.starts_with("it has so many values") {
            Self::ManyKeys { line, column }
        } else if let Some(field) = unknown_field(&said) {
            Self::UnknownField { field: foreign::escape(field, SHOWN_FIELD_BYTES), line, column }
        } else {
            Self::Json { line, column }
        }
    }
}

impl Refusal {
    /// The reason, for programs. The codes are part of the interface.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path => "not_found",
            Self::Method { .. } => "method_not_allowed",
            Self::NoLength => "length_required",
            Self::TooLarge { .. } | Self::LongPayload { .. } => "too_large",
            Self::Busy => "busy",
            Self::Cut => "body_cut",
            Self::Request(_) => "bad_request",
            Self::Payload(_) => "bad_payload",
            Self::Kind { .. } => "kind_not_allowed",
            Self::Repository { .. } => "repository_not_allowed",
            Self::Limit { .. } => "limit_reached",
            Self::Image(error) if is_missing(error) => "not_in_registry",
            Self::Image(_) => "registry_failed",
            Self::Key(_) => "signing_failed",
            Self::TimedOut { .. } => "timed_out",
            Self::Ledger(_) => "count_not_kept",
            Self::Internal => "internal",
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoLength => StatusCode::LENGTH_REQUIRED,
            Self::TooLarge { .. } | Self::LongPayload { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Cut => StatusCode::REQUEST_TIMEOUT,
            Self::Request(_) | Self::Payload(_) => StatusCode::BAD_REQUEST,
            Self::Kind { .. } | Self::Repository { .. } | Self::Limit { .. } => StatusCode::FORBIDDEN,
            Self::Image(error) if is_missing(error) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Image(_) => StatusCode::BAD_GATEWAY,
            Self::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Key(_) | Self::Ledger(_) | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer for the step. The login that the agent used stays with the agent.
    pub fn problem(&self) -> Problem {
        let Explanation { error, causes, hint, .. } = Explanation::of(self);
        Problem { error: ProblemDetail { code: self.code().to_owned(), message: error, causes, hint } }
    }
}

/// The registry has answered that it isn't there, or isn't an image.
fn is_missing(error: &PipelineError) -> bool {
    matches!(error, PipelineError::Absent { .. } | PipelineError::NotAManifest { .. })
}

explain! { Refusal,
    Self::Path | Self::NoLength | Self::Request(_) => ["agent-request", Failed, "see docs/agent-openapi.yaml for what is taken"],
    Self::Method { allowed } => ["agent-request", Failed, "use {allowed}"],
    Self::TooLarge { .. } | Self::LongPayload { .. } => ["agent-too-large", Failed,
        "sign what is smaller, such as a statement that names the large file by digest; an agent that signs \
         attestations (--kind attestation) takes 6 MiB of them"],
    Self::Busy => ["agent-busy", Failed, "run again; docs/agent.md lists how much the agent does at once"],
    Self::Cut | Self::TimedOut { .. } => ["agent-too-slow", Failed, "run again; a registry that is slow needs a longer --request-timeout"],
    Self::Payload(Malformed::NoSubject) => ["agent-no-subject", Failed,
        "a run that built no image can't be signed by an agent: sign it in a step with the key, or leave out \
         artifacts.taskrun.storage (or artifacts.pipelinerun.storage)"],
    Self::Payload(_) => ["agent-payload", Failed, "use stepseal sign --agent, or POST /v1/sign-image, which makes the payload"],
    Self::Kind { allowed, .. } => ["agent-kind", Failed, "sign only {kinds}, or start the agent with another --kind" with
        (kinds = allowed.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "))],
    Self::Repository { .. } => ["agent-repository", Failed, "sign in an allowed repository, or change the agent's --allow"],
    Self::Limit { .. } => ["agent-limit", Failed, "see the agent's log for what it signed; --max-signatures allows more"],
    Self::Ledger(error) => [of error, exit Failed],
    Self::Image(error) => [of error, exit Failed],
    Self::Key(error) => [of error, exit Failed],
    Self::Internal => ["agent-internal", Failed, "see the agent's log"],
}
