//! Patterns over paths: `*` within a part, `**` across parts.

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
