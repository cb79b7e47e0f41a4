//! Patterns for paths, with `*` within a part and `**` across parts, and for the labels of a host, as the kubelet matches them.

/// Whether a pattern, given by its parts, matches the whole path `name`.
pub(crate) fn covers<P: AsRef<str>>(parts: &[P], name: &str) -> bool {
    let names: Vec<&str> = name.split('/').collect();
    wildcard(
        parts,
        &names,
        |pattern| pattern.as_ref() == "**",
        |pattern, part| covers_part(pattern.as_ref(), part),
    )
}

/// Whether `pattern` matches the whole of `text`, a single part of a path.
pub(crate) fn covers_part(pattern: &str, text: &str) -> bool {
    wildcard(pattern.as_bytes(), text.as_bytes(), |b| *b == b'*', |p, b| p == b)
}

/// A pattern for a single host label. `*`, `?` and classes (`[a-z]`, `[^a]`) match characters as in Go's `path.Match`.
///
/// Escapes are not supported, and classes can contain only characters that are valid in a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelPattern(Vec<LabelItem>);

/// A pattern element that matches one character, or any number of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelItem {
    /// Matches any number of characters.
    Star,
    /// Matches one character inside the ranges, or outside them if `negated`.
    One { negated: bool, ranges: Vec<(u8, u8)> },
}

impl LabelPattern {
    /// Parses a label; `None` if it is not a valid pattern.
    pub(crate) fn parse(label: &str) -> Option<Self> {
        let (mut items, mut rest) = (Vec::new(), label.as_bytes());
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            items.push(match first {
                b'*' => LabelItem::Star,
                b'?' => LabelItem::One { negated: true, ranges: Vec::new() },
                b'[' => {
                    let end = rest.iter().position(|byte| *byte == b']')?;
                    let (class, after) = rest.split_at_checked(end)?;
                    rest = after.get(1..)?;
                    LabelItem::class(class)?
                }
                byte if is_plain(byte) => LabelItem::One { negated: false, ranges: vec![(*byte, *byte)] },
                _ => return None,
            });
        }
        (!items.is_empty()).then_some(Self(items))
    }

    /// Whether the pattern matches the whole of `label`.
    pub(crate) fn covers(&self, label: &str) -> bool {
        wildcard(&self.0, label.as_bytes(), |item| *item == LabelItem::Star, LabelItem::is_one)
    }
}

impl LabelItem {
    /// Parses a class without its `[` and `]`.
    fn class(class: &[u8]) -> Option<Self> {
        // Only the first `^` negates. A further `^` can't match, because no host name contains it.
        let (negated, mut members) = match class {
            [b'^', members @ ..] => (true, members),
            members => (false, members),
        };
        let named = members.iter().skip_while(|byte| **byte == b'^');
        if named.clone().next().is_none() || !named.clone().all(is_plain) {
            return None;
        }
        let mut ranges = Vec::new();
        loop {
            members = match members {
                [low, b'-', high, rest @ ..] => {
                    ranges.push((*low, *high));
                    rest
                }
                [one, rest @ ..] => {
                    ranges.push((*one, *one));
                    rest
                }
                [] => break,
            };
        }
        Some(Self::One { negated, ranges })
    }

    fn is_one(&self, byte: &u8) -> bool {
        match self {
            Self::Star => false,
            Self::One { negated, ranges } => {
                ranges.iter().any(|(low, high)| (low..=high).contains(&byte)) != *negated
            }
        }
    }
}

/// Whether a host label can contain this character.
fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether `pattern` matches the whole of `text`. A `star` matches any number of items, and every other pattern item
/// matches a single text item, as `one` decides.
///
/// After a mismatch the last star takes another item. Earlier stars never need to, so the time is at most the
/// product of the lengths. (The `glob-match` crate wrongly rejects `r/b/b` for `r/**/*b`.)
fn wildcard<P, T>(
    pattern: &[P],
    text: &[T],
    star: impl Fn(&P) -> bool,
    one: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(item), _) if star(item) => {
                retry = Some((p, t));
                p += 1;
                continue;
            }
            (Some(item), Some(found)) if one(item, found) => {
                p += 1;
                t += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((star_at, taken)) if taken < text.len() => {
                retry = Some((star_at, taken + 1));
                (p, t) = (star_at + 1, taken + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_match_as_the_kubelet_matches_them() {
        for (pattern, label, covers) in [
            ("a[b-d]?", "acx", true),
            ("a[b-d]?", "ac", false),
            ("a[^b-d]", "ae", true),
            ("a[^b-d]", "ab", false),
            ("[a-]*", "-x", true),
            ("*a*b", "xaxab", true),
            ("*a*b", "xaxba", false),
            ("?", "", false),
            ("[z-a]", "b", false),
        ] {
            assert_eq!(LabelPattern::parse(pattern).unwrap().covers(label), covers, "{pattern} {label}");
        }
        for invalid in ["", "[]", "[^]", "[a", "a]", "[a[]", "a\\*", "{a}", "a.b"] {
            assert_eq!(LabelPattern::parse(invalid), None, "{invalid}");
        }
    }
}
