//! The `Link` header: where the next page of a list is.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc8288.html#section-3>,
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>

/// The target of the first link with the relation `next`, as it was written: often relative.
///
/// ```
/// use stepseal::registry::client::link::next;
/// assert_eq!(next(r#"</v2/a/referrers/x?last=1>; rel="next""#), Some("/v2/a/referrers/x?last=1"));
/// assert_eq!(next(r#"</v2/a>; rel="prev""#), None);
/// ```
pub fn next(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let (parameters, after) = split_unquoted(after, ',');
        if is_next(parameters) {
            return Some(target);
        }
        rest = after;
    }
}

fn is_next(parameters: &str) -> bool {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, after) = split_unquoted(rest, ';');
        if let Some((name, value)) = parameter.split_once('=') {
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            if name.trim().eq_ignore_ascii_case("rel") && relations.any(|r| r.eq_ignore_ascii_case("next")) {
                return true;
            }
        }
        rest = after;
    }
    false
}

/// The text before the first `separator` outside of quotes, and what follows it.
fn split_unquoted(text: &str, separator: char) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                return (text.get(..at).unwrap_or(text), text.get(at + c.len_utf8()..).unwrap_or_default());
            }
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_page_is_found_among_others() {
        for (header, want) in [
            ("<https://r/v2/a?n=1>; rel=next", Some("https://r/v2/a?n=1")),
            ("<a>; rel=\"prev\", <b,c>; title=\"x, y; rel=next\"; REL=\"last next\"", Some("b,c")),
            ("<a>;rel=\"prev\"", None),
            ("<a>", None),
            ("<a", None),
            ("", None),
            ("<>; rel=next", Some("")),
        ] {
            assert_eq!(next(header), want, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends(header in "[<>;,=\"\\\\a-z ]{0,200}") {
            let _ = next(&header);
        }
    }
}
