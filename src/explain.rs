//! What every error tells the reader of a step log: what failed, what came back, what was used, what to do.
//!
//! An error's `Display` says its own level only; its cause is `source()`. The two facts that a chain of
//! causes can't carry, the credentials or key that were used and the next action, come through [`Explain`].

use std::error::Error;
use std::fmt;

use crate::exit::ExitCode;
use crate::foreign;

/// An error that can say what to do about it.
pub trait Explain: Error {
    /// What was used when it failed: a user name and where it came from, a key file. Never a secret.
    fn used(&self) -> Option<String> {
        None
    }

    /// The next action, for a reader who doesn't know our source.
    fn hint(&self) -> Option<String>;

    /// The exit code that this error alone leads to.
    fn exit(&self) -> ExitCode {
        ExitCode::Failed
    }
}

/// An error as it is shown: the four facts, each already cut and free of control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was being done, on what, and that it failed.
    pub error: String,
    /// What came back, outermost first; empty when the error is its own cause.
    pub causes: Vec<String>,
    /// What was used, if that matters.
    pub used: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// The exit code that it leads to.
    pub exit: ExitCode,
}

/// The longest line of an explanation, in bytes: a registry's error page doesn't fill the log.
const LINE_BYTES: usize = 2048;

impl Explanation {
    /// Explains `error`: its own words, its chain of causes, what was used and what to do.
    pub fn of(error: &dyn Explain) -> Self {
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = foreign::shown(&cause.to_string(), LINE_BYTES);
            // Some libraries repeat their source's words in their own; once is enough.
            if !causes.last().is_some_and(|last: &String| last.ends_with(&text)) {
                causes.push(text);
            }
            next = cause.source();
        }
        Self {
            error: foreign::shown(&error.to_string(), LINE_BYTES),
            causes,
            used: error.used().map(|text| foreign::shown(&text, LINE_BYTES)),
            hint: error.hint().map(|text| foreign::shown(&text, LINE_BYTES)),
            exit: error.exit(),
        }
    }
}

impl Explanation {
    /// The lines that are printed of it, each of its facts in one.
    pub fn lines(&self) -> Vec<String> {
        let causes = self.causes.iter().map(|cause| ("  cause: ", cause));
        let used = self.used.iter().map(|used| ("  used:  ", used));
        let hint = self.hint.iter().map(|hint| ("  do:    ", hint));
        let facts = std::iter::once(("error: ", &self.error)).chain(causes).chain(used).chain(hint);
        facts.map(|(title, fact)| format!("{title}{}", foreign::line(fact))).collect()
    }
}

/// An error and its causes on one line, of at most `limit` bytes.
pub fn line(error: &dyn Error, limit: usize) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    foreign::shown(&line, limit)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot push the signature of registry.example/app")]
    struct Push(#[source] Denied);

    #[derive(Debug, thiserror::Error)]
    #[error("403 DENIED: no\u{1b}[31m")]
    struct Denied;

    impl Explain for Push {
        fn used(&self) -> Option<String> {
            Some("user \"ci-bot\"".into())
        }
        fn hint(&self) -> Option<String> {
            Some("allow it".into())
        }
    }

    #[test]
    fn four_facts_in_order_and_nothing_that_moves_the_cursor() {
        let shown = Explanation::of(&Push(Denied)).to_string();
        assert_eq!(
            shown,
            "error: cannot push the signature of registry.example/app\n  cause: 403 DENIED: no\\u{1b}[31m\n  \
             used:  user \"ci-bot\"\n  do:    allow it"
        );
    }
}
