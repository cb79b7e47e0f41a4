//! The expressions of one policy, and what all of them may take together.
//!
//! An expression of few bytes can take much memory and time: `[^a]{70}` takes 80 KiB, and the crate looks at each character of
//! a range beside `(?i)`.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::expression::{self, Rewritten};
use crate::blank::is_invisible;

/// The longest expression, in bytes: a few hundred alternatives.
pub const EXPRESSION_BYTES: usize = 8 * 1024;

/// How many different expressions a policy may have: several for each of some hundred teams.
const EXPRESSIONS: usize = 1024;

/// The largest compiled expression, in bytes: room for a few hundred alternatives.
const COMPILED_BYTES: usize = 1024 * 1024;

/// What is counted for a small expression, in bytes: usual ones, of an address with a few wildcards, are smaller.
const SMALL_BYTES: usize = 8 * 1024;

/// What all compiled expressions of a policy may have, in bytes. In memory they take at most twice that, because the crate also keeps
/// each expression read backwards.
const ALL_COMPILED_BYTES: usize = 24 * 1024 * 1024;

/// How many characters the ranges of all expressions with `(?i)` may have: eight times all there are, which takes 0.1 s.
const FOLDED_CHARS: usize = 8 * 0x11_0000;

/// Why an expression can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// It is not an expression of RE2's, or has a part that can't have RE2's meaning here.
    #[error("{0}")]
    Syntax(String),
    /// It would accept anything.
    #[error("there is nothing to match in it")]
    Empty,
    /// It is longer than [`EXPRESSION_BYTES`].
    #[error("it has {0} bytes, and an expression has at most {EXPRESSION_BYTES}")]
    TooLong(usize),
    /// It is too large once it is compiled.
    #[error("compiled it is larger than {COMPILED_BYTES} bytes: use lower counts in {{ }}")]
    TooLarge,
    /// Its ranges have too many characters.
    #[error("beside (?i) its ranges, with those before it, have more than {FOLDED_CHARS} characters")]
    Folded,
    /// There are too many.
    #[error("a policy has at most {EXPRESSIONS} different expressions: join some of them with |")]
    TooMany,
    /// All of them together are too large.
    #[error(
        "with those before it, compiled, it is larger than {ALL_COMPILED_BYTES} bytes: use lower counts in {{ }}"
    )]
    AllTooLarge,
}

/// The expressions of one policy.
#[derive(Debug, Default)]
pub struct Expressions {
    /// Each that was compiled.
    known: HashMap<String, Regex>,
    /// What is counted for them, in bytes.
    compiled_bytes: usize,
    /// How many characters their ranges beside `(?i)` have.
    folded: usize,
}

impl Expressions {
    /// Compiles an expression of RE2's syntax, unless the same one was compiled before.
    ///
    /// # Errors
    ///
    /// It is not one, nothing is to match in it, or it is larger than what is left for it.
    pub(super) fn compile(&mut self, text: &str) -> Result<Regex, ExpressionError> {
        if let Some(known) = self.known.get(text) {
            return Ok(known.clone());
        }
        if text.len() > EXPRESSION_BYTES {
            return Err(ExpressionError::TooLong(text.len()));
        }
        if self.known.len() >= EXPRESSIONS {
            return Err(ExpressionError::TooMany);
        }
        let Rewritten { text: rewritten, folded } =
            expression::rewrite(text).map_err(ExpressionError::Syntax)?;
        self.folded = self.folded.saturating_add(folded);
        if self.folded > FOLDED_CHARS {
            return Err(ExpressionError::Folded);
        }
        let parsed = regex_syntax::parse(&rewritten).map_err(|error| syntax(&error.to_string()))?;
        let expression = self.build(&rewritten)?;
        let empty = parsed.properties().maximum_len() == Some(0) || is_blank(text);
        if empty && ["x", text].iter().any(|any| expression.is_match(any)) {
            return Err(ExpressionError::Empty);
        }
        self.known.insert(text.to_owned(), expression.clone());
        Ok(expression)
    }

    /// Compiles within a limit that is doubled as long as it is too low. The crate doesn't say how large an expression is, so the limit
    /// is what is counted.
    fn build(&mut self, rewritten: &str) -> Result<Regex, ExpressionError> {
        let mut limit = SMALL_BYTES;
        loop {
            if self.compiled_bytes + limit > ALL_COMPILED_BYTES {
                return Err(ExpressionError::AllTooLarge);
            }
            match RegexBuilder::new(rewritten).size_limit(limit).build() {
                Ok(expression) => {
                    self.compiled_bytes += limit;
                    return Ok(expression);
                }
                Err(regex::Error::CompiledTooBig(_)) if limit < COMPILED_BYTES => limit *= 2,
                Err(regex::Error::CompiledTooBig(_)) => return Err(ExpressionError::TooLarge),
                Err(error) => return Err(syntax(&error.to_string())),
            }
        }
    }
}

/// The crate's error. It has several lines that show the rewritten expression; the last line says what is wrong.
fn syntax(text: &str) -> ExpressionError {
    let last = text.lines().last().unwrap_or_default();
    ExpressionError::Syntax(last.strip_prefix("error: ").unwrap_or(last).to_owned())
}

/// Whether there is nothing in an expression but blanks and what matches no character.
fn is_blank(text: &str) -> bool {
    EMPTY_FRAME.as_ref().is_ok_and(|frame| is_invisible(&frame.replace_all(text, "")))
}

/// The parts of an expression that match no character: groups, flags, alternatives, anchors.
static EMPTY_FRAME: LazyLock<Result<Regex, regex::Error>> =
    LazyLock::new(|| Regex::new(r"\(\?[a-zA-Z-]*:?|\\[AbBzQE]|[|()^$]"));

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: impl IntoIterator<Item = String>) -> Result<Expressions, ExpressionError> {
        let mut expressions = Expressions::default();
        for text in texts {
            expressions.compile(&text)?;
        }
        Ok(expressions)
    }

    #[test]
    fn one_expression_has_a_length() {
        for unit in ["[[:a", "a{", "{", "[[:alpha:]", "(?P<n", r"\x{", r"\Q", "(", "[", "a"] {
            let text = unit.repeat(250_000 / unit.len());
            assert_eq!(all([text.clone()]).unwrap_err(), ExpressionError::TooLong(text.len()), "{unit}");
        }
        assert!(all(["a".repeat(EXPRESSION_BYTES)]).is_ok());
        assert_eq!(
            all(["a".repeat(EXPRESSION_BYTES + 1)]).unwrap_err().to_string(),
            "it has 8193 bytes, and an expression has at most 8192"
        );
    }

    #[test]
    fn all_expressions_have_a_number_and_a_size() {
        let usual = |at| {
            format!(r"^https://github\.com/org{at}/[^/]+/\.github/workflows/release\.ya?ml@refs/tags/v\d+.*$")
        };
        assert!(all((0..EXPRESSIONS).map(usual)).is_ok());
        assert_eq!(all((0..=EXPRESSIONS).map(usual)).unwrap_err(), ExpressionError::TooMany);
        // The same text is compiled once.
        let same = all((0..20_000).map(|at| usual(at % 500))).unwrap();
        assert_eq!(same.known.len(), 500);

        for (unit, want) in [
            ("[^a]{70}", ExpressionError::AllTooLarge),
            ("(?i).{60}", ExpressionError::AllTooLarge),
            (r"(?P<n>\w{60})", ExpressionError::TooMany),
        ] {
            let many = all((0..4000).map(|at| format!("a{at}{unit}")));
            assert_eq!(many.unwrap_err(), want, "{unit}");
        }
        assert!(all((0..150).map(|at| format!("a{at}[^a]{{70}}"))).is_ok());
        assert_eq!(all(["[^a]{70}{70}".to_owned()]).unwrap_err(), ExpressionError::TooLarge);
    }

    #[test]
    fn what_is_folded_is_counted() {
        let wide = "[ -\u{10ffff}]".to_owned();
        assert!(all([format!("(?i){wide}")]).is_ok());
        assert_eq!(all([format!("(?i){}", wide.repeat(9))]).unwrap_err(), ExpressionError::Folded);
        assert_eq!(
            all((0..9).map(|at| format!(r"{at}[\x01-\x{{10ffff}}](?i:a)"))).unwrap_err(),
            ExpressionError::Folded
        );
        assert!(all([wide.repeat(9), "(?i)[a-z0-9]".repeat(500)]).is_ok());
    }

    #[test]
    fn no_group_captures() {
        for text in ["(a)(b(c))", "(?P<n>a)(?<m>b)", "(?i:a)"] {
            assert_eq!(Expressions::default().compile(text).unwrap().captures_len(), 1, "{text}");
        }
    }
}
