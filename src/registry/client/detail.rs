//! The `detail` of a registry's error: unstructured by the specification, so that it can be a text, an object or a list.
//!
//! What is shown of it says more than the message does, and isn't secret: a name or a value that looks like a token is left out, whoever
//! it belongs to.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>

use serde_json::Value;

/// How many values of a detail are shown.
const MAX_VALUES: usize = 16;

/// Parts of names whose values aren't shown.
const SECRET_NAMES: [&str; 7] =
    ["token", "passw", "secret", "authorization", "cookie", "credential", "signature"];

/// What `detail` says that isn't in `message`: the values with their names, each once. Empty: nothing.
pub(super) fn read(detail: &Value, message: &str) -> String {
    let mut found = Values { message: message.to_ascii_lowercase(), values: Vec::new() };
    found.collect(None, detail);
    found.values.join(", ")
}

struct Values {
    message: String,
    values: Vec<String>,
}

impl Values {
    fn collect(&mut self, name: Option<&str>, value: &Value) {
        if self.values.len() >= MAX_VALUES || name.is_some_and(is_secret_name) {
            return;
        }
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.collect(Some(name), value)),
            Value::Array(items) => items.iter().for_each(|item| self.collect(name, item)),
            Value::String(text) => self.add(name, text.trim()),
            Value::Number(number) => self.add(name, &number.to_string()),
            Value::Bool(_) if name.is_some() => self.add(name, &value.to_string()),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn add(&mut self, name: Option<&str>, text: &str) {
        if text.is_empty() || has_token(text) || self.message.contains(&text.to_ascii_lowercase()) {
            return;
        }
        let value = name.map_or_else(|| text.to_owned(), |name| format!("{name}: {text}"));
        if !self.values.contains(&value) {
            self.values.push(value);
        }
    }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Whether a text has an `Authorization` value or a JSON Web Token in it.
fn has_token(text: &str) -> bool {
    let is_token = |word: &str| word.len() > 16 && word.contains("eyJ") && word.contains('.');
    let words = || text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';'));
    words().any(is_token)
        || words().any(|word| ["bearer", "basic"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_says_more_than_the_message_is_shown_with_its_names() {
        for (detail, message, want) in [
            (json!("no space left"), "unknown error", "no space left"),
            (json!("Unknown Error"), "unknown error: disk", ""),
            (
                json!({"description": "Could not locate artifact"}),
                "manifest invalid",
                "description: Could not locate artifact",
            ),
            (json!({"Tag": "v1"}), "manifest unknown", "Tag: v1"),
            (json!({"name": "team/app"}), "repository team/app is not known", ""),
            (
                json!([
                    {"Type": "repository", "Class": "", "Name": "team/app", "Action": "pull"},
                    {"Type": "repository", "Class": "", "Name": "team/app", "Action": "push"},
                ]),
                "authentication required",
                "Type: repository, Name: team/app, Action: pull, Action: push",
            ),
            (json!(["a", ["b", {"c": [1, true]}]]), "", "a, b, c: 1, c: true"),
            (json!(null), "", ""),
            (json!({}), "", ""),
            (json!([null, "", [], {}, true, false]), "", ""),
            (json!({"a": {"b": {"c": " x "}}}), "", "c: x"),
        ] {
            assert_eq!(read(&detail, message), want, "{detail} beside {message:?}");
        }
    }

    #[test]
    fn tokens_are_left_out_and_so_is_what_is_long() {
        let token = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA";
        for detail in [
            json!({"token": "hunter2"}),
            json!({"access_token": ["hunter2"]}),
            json!({"Authorization": "hunter2", "userPassword": "hunter2", "Set-Cookie": "hunter2"}),
            json!({"a": {"clientSecret": {"b": "hunter2"}}}),
            json!(token),
            json!(format!("the token \"{token}\" is not good")),
            json!({"header": "Bearer hunter2"}),
            json!(["Basic aHVudGVyMg=="]),
        ] {
            assert_eq!(read(&detail, ""), "", "{detail}");
        }
        let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(read(&json!(many), "").matches(", ").count(), MAX_VALUES - 1);
    }
}
