//! Regular expressions that mean what they mean to cosign, which is written in Go, whose expressions are RE2's.
//!
//! The `regex` crate has nearly the same syntax and the same guarantee of linear time. Where the two differ, the expression is
//! rewritten for it before it is compiled:
//!
//! * `\w`, `\d`, `\s` and `\b` are ASCII, and `\s` has no vertical tab. The crate would take every alphabet's letters and digits.
//! * In `[…]`, `[`, `&&`, `~~` and `--` are characters, and to the crate operations on sets.
//! * `\<` and `\>` are characters, and to the crate ends of words; `{` is one where no count follows; `\Q…\E` quotes.
//!
//! What can't be had is an error instead of another meaning: the flags `x`, `u` and `R`, octal escapes, and Unicode's categories and
//! scripts (`\pL`), whose tables aren't in this program. `(?i)` folds case as Unicode says, in both.
//!
//! Spec: <https://github.com/google/re2/wiki/Syntax>, <https://pkg.go.dev/regexp/syntax@go1.26.0>

use std::collections::BTreeSet;

/// What Perl's classes are to RE2, inside brackets or not.
const CLASSES: [(char, &str); 6] = [
    ('d', "[0-9]"),
    ('D', "[^0-9]"),
    ('s', r"[\t\n\f\r ]"),
    ('S', r"[^\t\n\f\r ]"),
    ('w', "[0-9A-Za-z_]"),
    ('W', "[^0-9A-Za-z_]"),
];

/// The classes that POSIX names, which are ASCII to both.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// An expression as the `regex` crate understands it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// The expression. No group in it captures.
    pub(super) text: String,
    /// How many characters its ranges have where `(?i)` stands in it: the crate looks at each of them.
    pub(super) folded: usize,
}

/// Writes an expression of RE2's syntax anew. The time is linear in its length.
///
/// # Errors
///
/// A part of it would mean something else here.
pub(super) fn rewrite(text: &str) -> Result<Rewritten, String> {
    let mut rewriter = Rewriter {
        rest: text,
        posix_end: text.rfind(":]").map_or(0, |at| text.len() - at),
        out: String::with_capacity(text.len()),
        names: BTreeSet::new(),
        folds: false,
        range_chars: 0,
    };
    rewriter.all()?;
    let folded = if rewriter.folds { rewriter.range_chars } else { 0 };
    Ok(Rewritten { text: rewriter.out, folded })
}

/// Writes an expression anew as the `regex` crate understands it.
struct Rewriter<'a> {
    rest: &'a str,
    /// How many bytes are left where the last `:]` begins; 0: there is none. Looking for it from each `[:` on would take
    /// quadratic time.
    posix_end: usize,
    out: String,
    /// The names of groups.
    names: BTreeSet<&'a str>,
    /// Whether `i` is among the flags of a group.
    folds: bool,
    /// How many characters the ranges in classes have.
    range_chars: usize,
}

impl<'a> Rewriter<'a> {
    fn all(&mut self) -> Result<(), String> {
        while let Some(next) = self.next() {
            match next {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '{' => {
                    // A count stays one; anything else is a brace.
                    self.out.push_str(if is_count(self.rest) { "{" } else { r"\{" });
                }
                other => self.out.push(other),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
        Some(next)
    }

    fn take_prefix(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The text before `end`, which is taken too; `None`: it doesn't come.
    fn take_until(&mut self, end: &str) -> Option<&'a str> {
        let (text, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(text)
    }

    /// A character that stands for itself.
    fn literal(&mut self, c: char) {
        // The crate takes a backslash before these two for something else, and nothing without it.
        if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// What follows a backslash outside of brackets.
    fn escape(&mut self) -> Result<(), String> {
        let Some(c) = self.next() else { return Err("a backslash at its end escapes nothing".to_owned()) };
        match c {
            'b' | 'B' => {
                self.out.push_str(if c == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" });
                Ok(())
            }
            'A' | 'z' => {
                self.out.extend(['\\', c]);
                Ok(())
            }
            'Q' => {
                let quoted = self.take_until(r"\E").unwrap_or_else(|| std::mem::take(&mut self.rest));
                quoted.chars().for_each(|c| self.literal(c));
                Ok(())
            }
            _ if self.perl_class(c) => Ok(()),
            _ => self.escaped_char(c).map(drop),
        }
    }

    /// Writes Perl's class `\c`, or says that it is none.
    fn perl_class(&mut self, c: char) -> bool {
        let class = CLASSES.iter().find(|(name, _)| *name == c);
        self.out.push_str(class.map_or("", |(_, class)| class));
        class.is_some()
    }

    /// Writes the one character that `\c` stands for, with what belongs to it, and returns it.
    fn escaped_char(&mut self, c: char) -> Result<char, String> {
        match c {
            'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
                self.out.extend(['\\', c]);
                // All of them are ASCII characters below `~`.
                Ok('\t')
            }
            'x' => {
                let hex = if self.take_prefix("{") { self.take_until("}") } else { self.two() };
                let found = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
                let found = found.ok_or(r"\x is without the hexadecimal digits of a character")?;
                self.literal(found);
                Ok(found)
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => {
                self.literal(c);
                Ok(c)
            }
            c => Err(format!("the escape \\{} is not supported", crate::foreign::escape(&c.to_string(), 8))),
        }
    }

    fn two(&mut self) -> Option<&'a str> {
        let (two, rest) = self.rest.split_at_checked(2)?;
        self.rest = rest;
        Some(two)
    }

    /// What follows a parenthesis: a name or flags, if anything. What a group captures is never asked for, so none does: groups that
    /// capture take more memory.
    fn group(&mut self) -> Result<(), String> {
        if !self.take_prefix("?") {
            self.out.push_str("(?:");
            return Ok(());
        }
        if self.take_prefix("P<") || self.take_prefix("<") {
            let is_name =
                |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let name = self.take_until(">").filter(|name| is_name(name));
            if !self.names.insert(name.ok_or("a group has an invalid name")?) {
                return Err("two groups have the same name".to_owned());
            }
            self.out.push_str("(?:");
            return Ok(());
        }
        self.out.push_str("(?");
        while let Some(flag) = self.next() {
            self.out.push(flag);
            match flag {
                ':' | ')' => return Ok(()),
                'i' => self.folds = true,
                'm' | 's' | 'U' | '-' => {}
                _ => break,
            }
        }
        Err("a group has flags other than i, m, s and U".to_owned())
    }

    /// A class in brackets, to its end.
    fn class(&mut self) -> Result<(), String> {
        let unclosed = || "a class has no ] at its end".to_owned();
        self.out.push('[');
        if self.take_prefix("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            if !first && self.take_prefix("]") {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if self.posix_class()? {
                continue;
            }
            let from = self.next().ok_or_else(unclosed)?;
            if from == '\\' && self.rest.starts_with(|c| CLASSES.iter().any(|(name, _)| *name == c)) {
                let class = self.next().ok_or_else(unclosed)?;
                self.perl_class(class);
                continue;
            }
            let from = self.class_char(from)?;
            // Before the end a `-` is itself.
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.take_prefix("-");
                self.out.push('-');
                let to = self.next().ok_or_else(unclosed)?;
                let to = self.class_char(to)?;
                let chars = u32::from(to).saturating_sub(u32::from(from));
                self.range_chars =
                    self.range_chars.saturating_add(usize::try_from(chars).unwrap_or(usize::MAX));
            }
        }
    }

    /// Writes a class such as `[:alpha:]`, or says that there is none.
    fn posix_class(&mut self) -> Result<bool, String> {
        let closed = |rest: &&str| rest.len() >= self.posix_end && self.posix_end > 0;
        let found = self.rest.strip_prefix("[:").filter(closed).and_then(|rest| rest.split_once(":]"));
        let Some((name, rest)) = found else { return Ok(false) };
        if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err("a class in brackets has a name that is not known".to_owned());
        }
        self.out.extend(["[:", name, ":]"]);
        self.rest = rest;
        Ok(true)
    }

    /// Writes one character of a class and returns it.
    fn class_char(&mut self, c: char) -> Result<char, String> {
        if c != '\\' {
            self.literal(c);
            return Ok(c);
        }
        let escaped = self.next().ok_or("a class has no ] at its end")?;
        self.escaped_char(escaped)
    }
}

/// Whether the text behind a `{` makes it a count: `N}`, `N,}` or `N,M}`, without zeros before a number.
fn is_count(rest: &str) -> bool {
    let number = |text: &str| {
        text == "0"
            || (!text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()))
    };
    // Only as far as a count could go: a `}` at the end of the expression is far from most braces.
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ',');
    let Some((count, behind)) = end.and_then(|end| rest.split_at_checked(end)) else { return false };
    let (least, most) = count.split_once(',').map_or((count, None), |(least, most)| (least, Some(most)));
    behind.starts_with('}') && number(least) && most.is_none_or(|most| most.is_empty() || number(most))
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    fn compile(text: &str) -> Result<regex::Regex, String> {
        regex::Regex::new(&rewrite(text)?.text).map_err(|error| error.to_string())
    }

    /// Expression, text, and whether Go 1.26's `regexp.MatchString` says that it matches.
    const TABLE: &[(&str, &str, bool)] = &[
        // Perl's classes are ASCII.
        (r"^\w+$", "\u{e9}", false),
        (r"^\w+$", "aZ_9", true),
        (r"^\W$", "\u{e9}", true),
        (r"^\d$", "\u{663}", false),
        (r"^\D$", "\u{663}", true),
        (r"^\d$", "3", true),
        (r"^\s$", "\u{a0}", false),
        (r"^\s$", "\u{b}", false),
        (r"^\S$", "\u{b}", true),
        (r"^\s$", "\u{c}", true),
        (r"a\b", "a\u{e9}", true),
        ("\u{e9}\\b", "\u{e9}", false),
        ("\\b\u{e9}", "\u{e9}", false),
        (r"^a\b@", "a@", true),
        (r"^\B", "\u{e9}", true),
        (r"\B", "a\u{e9}a", false),
        ("^a\\B\u{e9}", "a\u{e9}", false),
        (r"^a\Bb", "ab", true),
        // Case is folded as Unicode says.
        ("(?i)^k$", "\u{212a}", true),
        ("(?i)^s$", "\u{17f}", true),
        (r"(?i)^\w$", "\u{212a}", true),
        (r"(?i)^\w$", "\u{17f}", true),
        (r"(?i)^\W$", "\u{212a}", false),
        (r"(?i)^[\W]$", "\u{212a}", false),
        (r"(?i)^[^\w]$", "\u{212a}", false),
        ("(?i)^[[:alpha:]]$", "\u{212a}", true),
        ("(?i)^\u{e9}$", "\u{c9}", true),
        ("(?i)^\u{df}$", "\u{1e9e}", true),
        ("(?i)^ss$", "\u{df}", false),
        ("(?i)^\u{3a3}$", "\u{3c2}", true),
        ("(?i-s:a)", "A", true),
        ("(?U)a+", "a", true),
        // POSIX's classes, dots, ends.
        ("^[[:alpha:]]$", "\u{e9}", false),
        ("^[[:word:]]$", "\u{e9}", false),
        ("^[[:space:]]$", "\u{b}", true),
        ("^[[:alpha]$", "[", true),
        ("[[=a=]]", "a", false),
        ("^.$", "\n", false),
        ("^.$", "\u{e9}", true),
        ("(?s)^.$", "\n", true),
        ("a$", "a\n", false),
        ("(?m)a$", "a\n", true),
        (r"a\z", "a\n", false),
        // What is an operation on sets elsewhere.
        ("^[a[b]$", "[", true),
        ("^[a[b]]$", "[]", true),
        ("^[a&&b]$", "&", true),
        ("^[a~~b]$", "~", true),
        ("^[+--]$", ",", true),
        ("^[]a]$", "]", true),
        ("^[^]a]$", "]", false),
        (r"^[\d-z]$", "-", true),
        (r"^[\d-z]$", "m", false),
        (r"^[\w-]$", "-", true),
        (r"^[\]x]$", "]", true),
        (r"^[\x41]$", "A", true),
        (r"^[\x{41}-C]$", "B", true),
        ("^[-a]$", "-", true),
        ("^[a-c-e]$", "d", false),
        ("^[<-?]$", "=", true),
        // Escapes and braces.
        (r"^\<a\>$", "<a>", true),
        (r"\b{start}", "a", false),
        ("^a{,5}$", "a{,5}", true),
        ("^a{,5}$", "aaa", false),
        ("^a{2}$", "aa", true),
        ("^a{01}$", "a{01}", true),
        ("a{", "a{", true),
        (r"^\Qa.[b\E.$", "a.[bc", true),
        (r"^\Qa.b", "a.b", true),
        (r"^\Qa.b", "axb", false),
        (r"^\x{e9}$", "\u{e9}", true),
        (r"^\_\ \/\-$", "_ /-", true),
        (r"^\v$", "\u{b}", true),
        ("^(?P<n>a)(?<m>b)$", "ab", true),
        ("^(?P<1>a)$", "a", true),
        ("^]}$", "]}", true),
        ("^[[:alpha:][:]$", ":", true),
        ("^[[:a]$", "a", true),
        ("^a{1{2}$", "a{11", true),
    ];

    #[test]
    fn expressions_match_what_go_matches() {
        for (expression, text, want) in TABLE {
            let compiled = compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
            assert_eq!(compiled.is_match(text), *want, "{expression} {text:?}");
        }
    }

    #[test]
    fn what_go_refuses_or_means_otherwise_is_an_error() {
        for expression in [
            r"^[A-\d]$",
            "[a--]",
            "[z-a]",
            r"\Z",
            r"\C",
            r"\K",
            "(?x)a b",
            "(?u)a",
            "(?-u:a)",
            "(?R)a",
            "(?=a)",
            "(?<=a)",
            r"\1",
            r"\12",
            r"\07",
            "\\\u{e9}",
            "[[:foo:]]",
            r"[\b]",
            r"[a\Q]\E]",
            "a{2,1}",
            r"\pL",
            r"\p{Greek}",
            r"\x4",
            r"\x{110000}",
            "a\\",
            "[a",
            "[",
            "[a-",
            "(",
            "(?i",
            "(?P<n",
            "(?P<>a)",
            "(?P<n-m>a)",
            "(?P<n>a)(?<n>b)",
            "(?P=n)",
            "[[:a[:alpha:]]",
        ] {
            assert!(compile(expression).is_err(), "{expression}");
        }
    }

    /// In quadratic time each of these would take minutes.
    #[test]
    fn a_long_text_is_rewritten_in_linear_time() {
        for (unit, is_good) in [
            ("[[:a", false),
            ("a{", true),
            ("{", true),
            ("{1", true),
            ("a{1,", true),
            ("(?P<n", false),
            (r"\x{", false),
            (r"\Q", true),
            ("[:", false),
            ("[[:alpha:]]", true),
            ("(", true),
        ] {
            let text = unit.repeat(1_000_000 / unit.len());
            assert_eq!(rewrite(&text).is_ok(), is_good, "{unit}");
            for end in ["}", ":]", "]", ">"] {
                let _ = rewrite(&format!("{text}{end}"));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_expression_or_an_error(text in r"[\[\]\\^a-c{}&~()?:,<>QExdb0-9-]{0,24}") {
            let _ = compile(&text);
        }

        /// What is quoted matches itself, and not with something behind it.
        #[test]
        fn a_quoted_text_is_itself(text in "[ -~\u{e9}\u{212a}]{1,20}") {
            proptest::prop_assume!(!text.contains(r"\E") && !text.ends_with('\\'));
            let compiled = compile(&format!(r"^\Q{text}\E$")).unwrap();
            proptest::prop_assert!(compiled.is_match(&text));
            let longer = format!("{text}x");
            proptest::prop_assert!(!compiled.is_match(&longer));
        }
    }
}
