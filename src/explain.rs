//! The four facts that every error gives the reader of a step log: what failed, the cause, what was used, what to do.
//!
//! An error's `Display` describes its own level only; its cause is `source()`. A chain of causes can't carry the
//! credentials or key that were used and the next action. [`Explain`] adds those two facts.

use std::error::Error;
use std::fmt;

use crate::exit::ExitCode;
use crate::foreign;

/// The facts about an error that its message and its causes don't include.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The stable code that `docs/troubleshooting.md` lists.
    pub code: &'static str,
    /// The exit code that this error alone leads to.
    pub exit: ExitCode,
    /// The user name and its origin, or the key file, in use when the operation failed. Never a secret.
    pub used: Option<String>,
    /// The next action, for a reader who doesn't know the source code.
    pub hint: Option<String>,
}

impl Facts {
    /// The code and hint of `self` with the other facts of `own`, if `self` has a hint; `own` otherwise.
    pub fn or(self, own: Self) -> Self {
        if self.hint.is_some() { Self { code: self.code, hint: self.hint, ..own } } else { own }
    }
}

/// An error that knows its next action. [`explain!`] implements it from a table with one row for each case.
pub trait Explain: Error {
    /// The facts that the message and the causes don't include.
    fn facts(&self) -> Facts;

    /// The [`used`](Facts::used) fact alone.
    fn used(&self) -> Option<String> {
        self.facts().used
    }

    /// The [`hint`](Facts::hint) fact alone.
    fn hint(&self) -> Option<String> {
        self.facts().hint
    }

    /// The [`exit`](Facts::exit) code alone.
    fn exit(&self) -> ExitCode {
        self.facts().exit
    }
}

/// Implements [`Explain`] for an error type from a table with rows of the form `PATTERN => [CODE, EXIT, HINT]`.
///
/// - `HINT` is a format literal. It may name variables of the pattern, and those that `with (NAME = EXPRESSION)` defines. It may be left out.
/// - `text EXPRESSION` and `hint EXPRESSION` (an `Option<String>`) replace the literal.
/// - `used EXPRESSION` (an `Option<String>`) may follow.
/// - `[of INNER]` copies the facts of an inner error, with its code. `exit EXIT`, or `hint` or `used` with an `Option<String>`, overrides that fact.
/// - `[of INNER, or CODE, EXIT, HINT]` uses its own code and hint if the inner error has no hint.
///
/// A code has the form `area-what`, is never reused for something else, and has a row in `docs/troubleshooting.md`.
macro_rules! explain {
    ($error:ty, $($pattern:pat $(if $guard:expr)? => [$($fact:tt)+],)+) => {
        impl $crate::explain::Explain for $error {
            fn facts(&self) -> $crate::explain::Facts {
                #[allow(unused_imports, reason = "not every table uses an inner error")]
                use $crate::explain::Explain as _;
                match self {
                    $($pattern $(if $guard)? => $crate::explain::facts!($($fact)+),)+
                }
            }
        }
    };
}

/// Builds the facts from one row of [`explain!`].
macro_rules! facts {
    (of $inner:expr) => {
        $inner.facts()
    };
    (of $inner:expr, exit $exit:ident) => {
        $crate::explain::Facts { exit: $crate::exit::ExitCode::$exit, ..$crate::explain::facts!(of $inner) }
    };
    (of $inner:expr, or $($own:tt)+) => {
        $crate::explain::facts!(of $inner).or($crate::explain::facts!($($own)+))
    };
    (of $inner:expr, exit $exit:expr) => {
        $crate::explain::Facts { exit: $exit, ..$crate::explain::facts!(of $inner) }
    };
    (of $inner:expr, hint $hint:expr) => {
        $crate::explain::Facts { hint: $hint, ..$crate::explain::facts!(of $inner) }
    };
    (of $inner:expr, used $used:expr) => {
        $crate::explain::Facts { used: $used, ..$crate::explain::facts!(of $inner) }
    };
    ($code:literal, $exit:ident, hint $hint:expr $(, used $used:expr)?) => {
        $crate::explain::Facts {
            code: $code,
            exit: $crate::exit::ExitCode::$exit,
            used: $crate::explain::facts!(@option $($used)?),
            hint: $hint,
        }
    };
    ($code:literal, $exit:ident, text $text:expr $(, used $used:expr)?) => {
        $crate::explain::facts!($code, $exit, hint Some(String::from($text)) $(, used $used)?)
    };
    ($code:literal, $exit:ident, $hint:literal $(with ($($name:ident = $value:expr),+))? $(, used $used:expr)?) => {
        $crate::explain::facts!($code, $exit, hint Some(format!($hint $($(, $name = $value)+)?)) $(, used $used)?)
    };
    ($code:literal, $exit:ident $(, used $used:expr)?) => {
        $crate::explain::facts!($code, $exit, hint None $(, used $used)?)
    };
    (@option) => { None };
    (@option $some:expr) => { $some };
}

pub(crate) use {explain, facts};

/// The four facts about an error, ready to print: truncated, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The operation that failed, and on what.
    pub error: String,
    /// The causes, outermost first; empty if the error has no source.
    pub causes: Vec<String>,
    /// The credentials or key that were used, if they matter.
    pub used: Option<String>,
    /// The next action for the reader.
    pub hint: Option<String>,
    /// The exit code that this error leads to.
    pub exit: ExitCode,
    /// The stable code that `docs/troubleshooting.md` lists.
    pub code: &'static str,
}

/// The longest line of an explanation, in bytes, so that a registry's error page doesn't fill the log.
const LINE_BYTES: usize = 2048;

impl Explanation {
    /// Collects the message of `error`, its chain of causes, what was used and what to do.
    pub fn of(error: &dyn Explain) -> Self {
        let facts = error.facts();
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = foreign::escape(&cause.to_string(), LINE_BYTES);
            // Some libraries repeat their source's message in their own.
            if !causes.last().is_some_and(|last: &String| last.ends_with(&text)) {
                causes.push(text);
            }
            next = cause.source();
        }
        Self {
            error: foreign::escape(&error.to_string(), LINE_BYTES),
            causes,
            used: facts.used.map(|text| foreign::escape(&text, LINE_BYTES)),
            hint: facts.hint.map(|text| foreign::escape(&text, LINE_BYTES)),
            exit: facts.exit,
            code: facts.code,
        }
    }
}

impl Explanation {
    /// The lines to print: one for each fact, then the code.
    pub fn lines(&self) -> Vec<String> {
        self.facts().chain([format!("  code:  {}", self.code)]).collect()
    }

    fn facts(&self) -> impl Iterator<Item = String> {
        let causes = self.causes.iter().map(|cause| ("  cause: ", cause));
        let used = self.used.iter().map(|used| ("  used:  ", used));
        let hint = self.hint.iter().map(|hint| ("  do:    ", hint));
        let facts = std::iter::once(("error: ", &self.error)).chain(causes).chain(used).chain(hint);
        facts.map(|(title, fact)| format!("{title}{}", foreign::line(fact)))
    }
}

/// An error and its causes on one line of at most `limit` bytes.
pub fn line(error: &dyn Error, limit: usize) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    foreign::escape(&line, limit)
}

/// Prints the four facts without the code.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.facts().collect::<Vec<_>>().join("\n"))
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

    explain! { Push,
        _ => ["push-refused", Refused, "allow it", used Some("user \"ci-bot\"".into())],
    }

    #[test]
    fn four_facts_are_printed_in_order_and_escaped() {
        let explanation = Explanation::of(&Push(Denied));
        assert_eq!(explanation.lines().last().unwrap(), "  code:  push-refused");
        assert_eq!(
            explanation.to_string(),
            "error: cannot push the signature of registry.example/app\n  cause: 403 DENIED: no\\u{1b}[31m\n  \
             used:  user \"ci-bot\"\n  do:    allow it"
        );
    }
}
