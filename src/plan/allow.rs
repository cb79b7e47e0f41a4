//! `--allow`: which repositories may be signed.
//!
//! A pattern is matched against the whole `HOST[:PORT]/PATH`: `*` stands for any text within a part of it, `**`
//! for any number of parts. It is read like an image's name, so `team/*` is Docker Hub's. A pattern that could
//! never match, or that means something else than it seems, is refused: it guards what gets signed.

use std::fmt;
use std::str::FromStr;

use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::pattern;
use crate::registry::Repository;
use crate::registry::reference::DEFAULT_REGISTRY;

/// A checked pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As the user wrote it.
    text: String,
    /// The parts that a repository's are held against.
    parts: Vec<String>,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is nothing, or nothing between two slashes.
    #[error("it has an empty part; write HOST/PATH, as registry.example/team/*")]
    EmptyPart,
    /// A URL's scheme.
    #[error("a repository has no \"scheme://\" before it")]
    Scheme,
    /// A tag or a digest.
    #[error("it names a tag or a digest; what is allowed are repositories")]
    NotARepository,
    /// A `**` that is not a whole part.
    #[error("\"**\" stands for whole parts of the path: write /**/ or end with /**")]
    HalfGlobstar,
    /// Only a host.
    #[error("it names a registry and no repository; put /** behind it for all of its repositories")]
    OnlyHost,
    /// One part with a `*`: a repository has two at least.
    #[error("it matches no repository, because each has a registry and a path; for all of them write **")]
    OnePart,
    /// What no repository's name has.
    #[error("it may hold lower-case letters, digits, . _ - / and * only (a registry also : and upper-case)")]
    Character,
}

impl Explain for PatternError {
    fn hint(&self) -> Option<String> {
        Some("a pattern is HOST/PATH: * stands for text within a part, ** for whole parts".to_owned())
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl Pattern {
    /// Whether it allows `repository`.
    pub fn allows(&self, repository: &Repository) -> bool {
        pattern::covers(&self.parts, &repository.to_string())
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        if text.contains("://") {
            return Err(PatternError::Scheme);
        }
        if text.contains('@') {
            return Err(PatternError::NotARepository);
        }
        let (first, rest) = match text.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (text, None),
        };
        for part in text.split('/') {
            if part.is_empty() {
                return Err(PatternError::EmptyPart);
            }
            if part != "**" && part.contains("**") {
                return Err(PatternError::HalfGlobstar);
            }
        }
        // The same question that a name is asked: is its first part a registry?
        let is_host = first.contains(['.', ':', '*']) || first == "localhost";
        let full = match rest {
            None if first == "**" => first.to_owned(),
            None if first.contains('*') => return Err(PatternError::OnePart),
            None if is_host => return Err(PatternError::OnlyHost),
            None => format!("{DEFAULT_REGISTRY}/library/{first}"),
            Some(rest) if matches!(first, "docker.io" | DEFAULT_REGISTRY) => {
                // `docker.io/alpine` lies in `library`; `docker.io/**` and `docker.io/*` speak of all there is.
                let library = if rest.contains(['/', '*']) { "" } else { "library/" };
                format!("{DEFAULT_REGISTRY}/{library}{rest}")
            }
            Some(_) if is_host => text.to_owned(),
            Some(_) => format!("{DEFAULT_REGISTRY}/{text}"),
        };
        check_characters(&full)?;
        let mut parts: Vec<String> = full.split('/').map(str::to_owned).collect();
        if parts.last().is_some_and(|last| last == "**") {
            // At the end it stands for one part at least: `HOST/team/**` is what lies below `team`.
            parts.insert(parts.len() - 1, "*".to_owned());
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

fn check_characters(full: &str) -> Result<(), PatternError> {
    let (host, path) = full.split_once('/').unwrap_or((full, ""));
    let in_path =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'*' | b'/');
    let in_host = |b: u8| in_path(b) || b.is_ascii_uppercase() || matches!(b, b':' | b'[' | b']');
    if path.contains(':') {
        return Err(PatternError::NotARepository);
    }
    if host.bytes().all(in_host) && path.bytes().all(in_path) { Ok(()) } else { Err(PatternError::Character) }
}

impl fmt::Display for Pattern {
    /// As the user wrote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&foreign::shown(&self.text, 200))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allows(pattern: &str, repository: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().allows(&repository.parse().unwrap())
    }

    #[test]
    fn a_star_stays_within_a_part_and_two_go_across() {
        for (pattern, repository, want) in [
            ("registry.example/team/app", "registry.example/team/app", true),
            ("registry.example/team/app", "registry.example/team/app-b", false),
            ("registry.example/team/*", "registry.example/team/app", true),
            ("registry.example/team/*", "registry.example/team/app/deep", false),
            ("registry.example/team/*", "registry.example/team-b/app", false),
            ("registry.example/team-*/x", "registry.example/team-b/x", true),
            ("registry.example/**", "registry.example/team/app/deep", true),
            ("registry.example/**/app", "registry.example/a/b/app", true),
            ("registry.example/**/app", "registry.example/app", true),
            ("registry.example/**/app", "registry.example/a/b/wrapp", false),
            ("registry.example/**", "registry.example.evil/x", false),
            ("registry.example/**", "evil/registry.example/x", false),
            ("registry.example/**/*b", "registry.example/b/b", true),
            ("registry.example/team/**", "registry.example/team", false),
            ("*.example/**", "a.b.example/x", true),
            ("**", "registry.example:5000/x", true),
            ("**/app", "registry.example/team/app", true),
            ("registry.example:5000/*", "registry.example:5000/x", true),
            ("registry.example:5000/*", "registry.example/x", false),
            ("[::1]:5000/*", "[::1]:5000/x", true),
            ("[::1]:5000/*", "1:5000/x", false),
            ("localhost/*", "localhost/x", true),
        ] {
            assert_eq!(allows(pattern, repository), want, "{pattern} {repository}");
        }
    }

    #[test]
    fn patterns_are_read_like_names() {
        for (pattern, repository) in [
            ("docker.io/org/*", "org/app"),
            ("org/*", "docker.io/org/app"),
            ("alpine", "alpine"),
            ("docker.io/alpine", "alpine"),
            ("docker.io/**", "alpine"),
            ("index.docker.io/library/*", "alpine"),
        ] {
            assert!(allows(pattern, repository), "{pattern} {repository}");
        }
        assert!(!allows("org/*", "registry.example/org/app"));
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for (text, want) in [
            ("", PatternError::EmptyPart),
            ("registry.example/", PatternError::EmptyPart),
            ("registry.example//x", PatternError::EmptyPart),
            ("registry.example", PatternError::OnlyHost),
            ("localhost:5000", PatternError::OnlyHost),
            ("*", PatternError::OnePart),
            ("team*", PatternError::OnePart),
            ("registry.example/team**", PatternError::HalfGlobstar),
            ("registry.example/***", PatternError::HalfGlobstar),
            ("https://registry.example/*", PatternError::Scheme),
            ("registry.example/app:v1", PatternError::NotARepository),
            ("registry.example/app@sha256:00", PatternError::NotARepository),
            ("registry.example/App", PatternError::Character),
            ("!registry.example/app", PatternError::Character),
            ("registry.example/{a,b}", PatternError::Character),
            ("registry.example/a?", PatternError::Character),
            ("registry.example/[ab]", PatternError::Character),
            ("registry.example/a\\*", PatternError::Character),
        ] {
            assert_eq!(text.parse::<Pattern>().unwrap_err(), want, "{text}");
        }
    }

    /// The meaning of a pattern, as simply as it can be said.
    fn reference(pattern: &[&str], parts: &[&str]) -> bool {
        match (pattern, parts) {
            ([], []) => true,
            (["**", rest @ ..], _) => {
                // Behind everything else, `**` stands for one part at least.
                let least = usize::from(rest.is_empty());
                (least..=parts.len()).any(|skip| reference(rest, &parts[skip..]))
            }
            ([first, rest @ ..], [part, parts @ ..]) => {
                within(first.as_bytes(), part.as_bytes()) && reference(rest, parts)
            }
            _ => false,
        }
    }

    fn within(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| within(rest, &text[skip..])),
            ([p, rest @ ..], [t, text @ ..]) => p == t && within(rest, text),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn the_matcher_means_what_we_say(
            pattern in proptest::collection::vec("[ab*]{1,3}", 1..5),
            path in proptest::collection::vec("[ab]{1,3}", 1..5),
        ) {
            let pattern = format!("r.io/{}", pattern.join("/"));
            let repository = format!("r.io/{}", path.join("/"));
            if let Ok(parsed) = pattern.parse::<Pattern>() {
                let parts: Vec<&str> = pattern.split('/').collect();
                let names: Vec<&str> = repository.split('/').collect();
                prop_assert_eq!(
                    parsed.allows(&repository.parse().unwrap()),
                    reference(&parts, &names),
                    "{} {}", pattern, repository
                );
            }
        }

        #[test]
        fn any_text_is_a_pattern_or_has_a_reason(text in "\\PC{0,40}") {
            let _ = text.parse::<Pattern>();
        }
    }
}
