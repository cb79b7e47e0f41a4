//! What every error tells the reader of a step log: what failed, what came back, what was used, what to do.
//!
//! An error's `Display` says its own level only; its cause is `source()`. The two facts that a chain of
//! causes can't carry, the credentials or key that were used and the next action, come through [`Explain`].

use std::error::Error;
use std::fmt;

use crate::exit::ExitCode;
use crate::foreign;

/// What an error says beside its words and its causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its stable code, by which `docs/troubleshooting.md` is found.
    pub code: &'static str,
    /// The exit code that this error alone leads to.
    pub exit: ExitCode,
    /// What was used when it failed: a user name and where it came from, a key file. Never a secret.
    pub used: Option<String>,
    /// The next action, for a reader who doesn't know our source.
    pub hint: Option<String>,
}

impl Facts {
    /// These, if they say what to do, with the exit code and what was used of `own`; else `own`.
    pub fn or(self, own: Self) -> Self {
        if self.hint.is_some() { Self { code: self.code, hint: self.hint, ..own } } else { own }
    }
}

/// An error that can say what to do about it. `explain!` implements it, from a table with a row a case.
pub trait Explain: Error {
    /// Everything it says beside its words and its causes.
    fn facts(&self) -> Facts;

    /// What was used when it failed.
    fn used(&self) -> Option<String> {
        self.facts().used
    }

    /// The next action.
    fn hint(&self) -> Option<String> {
        self.facts().hint
    }

    /// The exit code that this error alone leads to.
    fn exit(&self) -> ExitCode {
        self.facts().exit
    }
}

/// Implements [`Explain`] for an error, by a table: a row a case, `PATTERN => [CODE, EXIT, HINT]`.
///
/// The hint is a literal in which names of the pattern stand in braces, and others that `with (NAME = EXPRESSION)` gives. Where the hint
/// is made elsewhere it is `text EXPRESSION` or, as an `Option<String>`, `hint EXPRESSION`; it may be left out. `used EXPRESSION` (an
/// `Option<String>`) may follow. `[of INNER]` says what the error within says, with its code; `[of INNER, exit EXIT]` with another exit
/// code, and so with `hint` or `used` and an `Option<String>`; `[of INNER, or CODE, EXIT, HINT]` is for an error that may know no hint.
///
/// A code has the form `area-what`, is never used for something else, and has a row in `docs/troubleshooting.md`.
macro_rules! explain {
    ($error:ty, $($pattern:pat $(if $guard:expr)? => [$($fact:tt)+],)+) => {
        impl $crate::explain::Explain for $error {
            fn facts(&self) -> $crate::explain::Facts {
                #[allow(unused_imports, reason = "not each table asks an error within")]
                use $crate::explain::Explain as _;
                match self {
                    $($pattern $(if $guard)? => $crate::explain::facts!($($fact)+),)+
                }
            }
        }
    };
}

/// The facts in a row of [`explain!`].
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
    /// Its stable code.
    pub code: &'static str,
}

/// The longest line of an explanation, in bytes: a registry's error page doesn't fill the log.
const LINE_BYTES: usize = 2048;

impl Explanation {
    /// Explains `error`: its own words, its chain of causes, what was used and what to do.
    pub fn of(error: &dyn Explain) -> Self {
        let facts = error.facts();
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
            used: facts.used.map(|text| foreign::shown(&text, LINE_BYTES)),
            hint: facts.hint.map(|text| foreign::shown(&text, LINE_BYTES)),
            exit: facts.exit,
            code: facts.code,
        }
    }
}

impl Explanation {
    /// The lines that are printed of it: each of its facts in one, and its code.
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

/// The four facts, without the code.
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
    fn four_facts_in_order_and_nothing_that_moves_the_cursor() {
        let explanation = Explanation::of(&Push(Denied));
        assert_eq!(explanation.lines().last().unwrap(), "  code:  push-refused");
        assert_eq!(
            explanation.to_string(),
            "error: cannot push the signature of registry.example/app\n  cause: 403 DENIED: no\\u{1b}[31m\n  \
             used:  user \"ci-bot\"\n  do:    allow it"
        );
    }
}
