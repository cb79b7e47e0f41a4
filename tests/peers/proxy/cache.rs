//! What passed a moment ago: the memory of a content network, which serves answers that are no longer true.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::message::Message;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Cache {
    answers: Mutex<HashMap<String, (Instant, Message)>>,
    written: Mutex<HashMap<String, Instant>>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    /// Takes note of a request and its answer.
    pub(super) fn note(&self, request: &Message, answer: &Message) {
        let now = Instant::now();
        if reads_tag(request) {
            let mut answers = self.answers.lock().unwrap();
            let key = request.summary();
            if answers.get(&key).is_none_or(|(at, _)| now.duration_since(*at) > KEPT) {
                answers.insert(key, (now, answer.clone()));
            }
        }
        if answer.status() == "201" {
            self.written.lock().unwrap().insert(written(request.target()), now);
        }
    }

    /// The answer of a moment ago.
    pub(super) fn old(&self, request: &Message) -> Option<Message> {
        let answers = self.answers.lock().unwrap();
        let (at, answer) = answers.get(&request.summary())?;
        (at.elapsed() <= KEPT).then(|| answer.clone())
    }

    /// Whether what it reads was written a moment ago.
    pub(super) fn reads_written(&self, request: &Message) -> bool {
        let written = self.written.lock().unwrap();
        reads(request) && written.get(request.target()).is_some_and(|at| at.elapsed() <= KEPT)
    }
}

pub(super) fn reads(request: &Message) -> bool {
    matches!(request.method(), "GET" | "HEAD")
}

/// Whether it reads a manifest by its tag.
pub(super) fn reads_tag(request: &Message) -> bool {
    reads(request) && request.target().split_once("/manifests/").is_some_and(|(_, name)| !name.contains(':'))
}

/// Where what was written is read: a blob is not read where its upload ended.
fn written(target: &str) -> String {
    let Some((repository, upload)) = target.split_once("/blobs/uploads/") else { return target.to_owned() };
    let digest = upload.split(['?', '&']).find_map(|part| part.strip_prefix("digest="));
    format!("{repository}/blobs/{}", digest.unwrap_or_default().replace("%3A", ":"))
}
