//! The agent's log: a line of JSON for each thing that happened, on standard error.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

use super::{Asked, Kind, Refusal};
use crate::explain::Explanation;
use crate::{foreign, redact};

/// A path that a client sent is shown cut.
const SHOWN_PATH_BYTES: usize = 120;

/// The process at the other end of a connection, as the kernel reports it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// The user ID of the client.
    pub uid: u32,
    /// The group ID of the client.
    pub gid: u32,
    /// The process, if it can be seen from here: another container's can't, and is 0.
    pub pid: Option<i32>,
}

/// Where the lines go. Several may be written at once; none is mixed with another.
pub struct Log(Mutex<Box<dyn Write + Send>>);

#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    time: String,
    event: &'a str,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct Decision<'a> {
    verdict: &'static str,
    peer: Option<Peer>,
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    ms: u64,
}

#[derive(Serialize)]
struct Reason {
    error: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<String>,
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Log {
    /// A log that is written to `out`.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(out)))
    }

    /// Writes a line about anything but a decision.
    pub(crate) fn event(&self, event: &str, content: impl Serialize) {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let Ok(line) = serde_json::to_string(&Line { time, event, content }) else { return };
        let line = format!("{}\n", foreign::json(&redact::text(&line)));
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // If no process reads the log, the agent continues to work.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes what was decided.
    pub(super) fn decision(
        &self,
        peer: Option<Peer>,
        request: &str,
        asked: Option<&Asked>,
        refusal: Option<&Refusal>,
        ms: u64,
    ) {
        let shown = |text: &dyn ToString| foreign::escape(&text.to_string(), 512);
        self.event(
            "decision",
            Decision {
                verdict: if refusal.is_some() { "refused" } else { "signed" },
                peer,
                request: foreign::escape(request, SHOWN_PATH_BYTES),
                kind: asked.map(|asked| asked.kind),
                images: asked.into_iter().flat_map(|asked| &asked.images).map(|image| shown(image)).collect(),
                names: asked.into_iter().flat_map(|asked| &asked.names).map(|name| shown(name)).collect(),
                payload: asked.map(|asked| asked.payload.digest().to_string()),
                code: refusal.map(Refusal::code),
                reason: refusal.map(|refusal| {
                    let Explanation { error, causes, used, .. } = Explanation::of(refusal);
                    Reason { error, causes, used }
                }),
                ms,
            },
        );
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log(..)")
    }
}
