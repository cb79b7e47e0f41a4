//! Patterns: over paths, with `*` within a part and `**` across parts; and over the labels of a host, as the kubelet reads them.

/// Whether the parts of a pattern cover all of the path `name`.
pub(crate) fn covers<P: AsRef<str>>(parts: &[P], name: &str) -> bool {
    let names: Vec<&str> = name.split('/').collect();
    wildcard(
        parts,
        &names,
        |pattern| pattern.as_ref() == "**",
        |pattern, part| covers_part(pattern.as_ref(), part),
    )
}

/// Whether `pattern` covers all of `text`, which is one part of a path.
pub(crate) fn covers_part(pattern: &str, text: &str) -> bool {
    wildcard(pattern.as_bytes(), text.as_bytes(), |b| *b == b'*', |p, b| p == b)
}

/// A pattern for one label of a host: `*`, `?` and classes (`[a-z]`, `[^a]`) stand for characters, as for Go's `path.Match`.
///
/// Nothing else of that language is let in: no escapes, and in classes only what a host can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelPattern(Vec<Item>);

/// What a pattern has for one character, or for any number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// Any number of characters.
    Star,
    /// One character that is in the ranges, or isn't.
    One { negated: bool, ranges: Vec<(u8, u8)> },
}

impl LabelPattern {
    /// Reads a label; `None`: it is not a pattern.
    pub(crate) fn parse(label: &str) -> Option<Self> {
        let (mut items, mut rest) = (Vec::new(), label.as_bytes());
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            items.push(match first {
                b'*' => Item::Star,
                b'?' => Item::One { negated: true, ranges: Vec::new() },
                b'[' => {
                    let end = rest.iter().position(|byte| *byte == b']')?;
                    let (class, after) = rest.split_at_checked(end)?;
                    rest = after.get(1..)?;
                    Item::class(class)?
                }
                byte if is_plain(byte) => Item::One { negated: false, ranges: vec![(*byte, *byte)] },
                _ => return None,
            });
        }
        (!items.is_empty()).then_some(Self(items))
    }

    /// Whether it covers all of `label`.
    pub(crate) fn covers(&self, label: &str) -> bool {
        wildcard(&self.0, label.as_bytes(), |item| *item == Item::Star, Item::is_one)
    }
}

impl Item {
    /// What stands between `[` and `]`.
    fn class(class: &[u8]) -> Option<Self> {
        // Only the first `^` negates; a further one is a character that no host has.
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

/// Whether a host can have it, but for the dots.
fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether `pattern` covers all of `text`, where a `star` stands for any number of items and every other
/// item for the `one` that it matches.
///
/// After a mismatch the last star takes one item more; earlier stars never need to, so the time is at most the
/// product of the lengths. (The `glob-match` crate says that `r/**/*b` doesn't match `r/b/b`.)
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
    fn a_label_is_read_as_the_kubelet_reads_it() {
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
        for no_pattern in ["", "[]", "[^]", "[a", "a]", "[a[]", "a\\*", "{a}", "a.b"] {
            assert_eq!(LabelPattern::parse(no_pattern), None, "{no_pattern}");
        }
    }
}
