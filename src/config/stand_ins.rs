//! Values of Stepseal's settings from cosign's flags and variables.

use std::collections::BTreeMap;

use super::origin::ValueOrigin;

/// The values of cosign's flags and variables. The flags take precedence over Stepseal's variables, which take precedence over cosign's
/// variables.
#[derive(Debug, Default)]
pub struct CosignValues {
    /// The values from cosign's flags.
    pub flags: ValuesBySetting,
    /// The values from cosign's variables.
    pub variables: ValuesBySetting,
}

/// Values by the setting or key of Stepseal that they set.
#[derive(Debug, Default)]
pub struct ValuesBySetting {
    /// The values by the setting's flag, without `--`, with their source. Each has at least one value.
    pub settings: BTreeMap<&'static str, (Vec<String>, ValueOrigin)>,
    /// The value by the `chains-config` key, with its source.
    pub keys: BTreeMap<&'static str, (String, ValueOrigin)>,
}

/// The fields of the CSV record in `text`, split as cosign splits a list's value; `None` if it is not a single record.
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
                // cosign silently ignores everything after a line break.
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

/// Parses a field after its opening quote. Returns the field and the rest.
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

/// Splits a value of `-a` into annotations as cosign does, but keeps a value such as `a=1,2` whole, because its parts aren't annotations.
pub(crate) fn annotations(text: &str) -> Option<Vec<String>> {
    let fields = csv(text)?;
    let whole = !text.contains('"') && fields.iter().any(|field| !field.contains('='));
    Some(if whole { vec![text.to_owned()] } else { fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_records_are_split_as_go_splits_them() {
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
