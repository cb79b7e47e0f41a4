//! Values that stand in for settings of ours under another program's names: cosign's flags and variables.

use std::collections::BTreeMap;

use super::origin::Origin;

/// What cosign's flags and variables give. A flag counts before the variables of Stepseal's, a variable after them.
#[derive(Debug, Default)]
pub struct StandIns {
    /// What flags give.
    pub flags: Named,
    /// What variables give.
    pub variables: Named,
}

/// Values by what they stand in for.
#[derive(Debug, Default)]
pub struct Named {
    /// By the setting's flag, without `--`: values, one at least, and where they stand.
    pub settings: BTreeMap<&'static str, (Vec<String>, Origin)>,
    /// By the key of `chains-config`: a value, and where it stands.
    pub keys: BTreeMap<&'static str, (String, Origin)>,
}

/// The fields of the first CSV record in `text`, as cosign splits the value of a list; `None`: it is not one record.
///
/// Spec: <https://pkg.go.dev/encoding/csv>, by <https://pkg.go.dev/github.com/spf13/pflag#StringSlice>
pub(crate) fn csv(text: &str) -> Option<Vec<String>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                // What comes behind a line break cosign passes over in silence.
                if field.contains(['"', '\n']) {
                    return None;
                }
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

/// A field behind its first quote, and what follows it.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Some((field, after)),
        }
    }
}

/// The annotations in one value of `-a`: as cosign splits it; but one that is whole only with its commas, as `a=1,2`, stays whole.
pub(crate) fn annotations(text: &str) -> Option<Vec<String>> {
    let fields = csv(text)?;
    let whole = !text.contains('"') && fields.iter().any(|field| !field.contains('='));
    Some(if whole { vec![text.to_owned()] } else { fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_split_as_go_splits_it() {
        let cases: [(&str, Option<&[&str]>); 14] = [
            ("a", Some(&["a"])),
            ("a,b", Some(&["a", "b"])),
            ("a, b", Some(&["a", " b"])),
            ("a,", Some(&["a", ""])),
            ("\"a,b\",c", Some(&["a,b", "c"])),
            ("\"a\"\"b\"", Some(&["a\"b"])),
            ("\"a\nb\"", Some(&["a\nb"])),
            ("a\n", Some(&["a"])),
            ("\"\"", Some(&[""])),
            ("a\"b", None),
            ("\"a\"b", None),
            ("\"a", None),
            ("a\nb", None),
            ("a,\"b", None),
        ];
        for (text, fields) in cases {
            assert_eq!(
                csv(text).as_deref(),
                fields.map(|f| f.iter().map(ToString::to_string).collect::<Vec<_>>()).as_deref(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_annotation_keeps_its_commas() {
        let split = |text| annotations(text).unwrap();
        assert_eq!(split("a=1,b=2"), ["a=1", "b=2"]);
        assert_eq!(split("a=1,2"), ["a=1,2"]);
        assert_eq!(split("\"a=1,2\",b=3"), ["a=1,2", "b=3"]);
        assert_eq!(annotations("a=\"1\""), None);
    }
}
