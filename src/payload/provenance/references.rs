//! Which tasks of a Pipeline a task waits for: those it names, and those whose results it uses.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/pipelines.md#configuring-the-task-execution-order>

use std::collections::HashSet;

use serde_json::Value;

use crate::run::{ParamValue, field, list, text};

/// The tasks that `task` runs after, each once: `runAfter` as it is, then the others in the order of their use.
pub(super) fn after(task: &Value) -> Vec<&str> {
    let mut after: Vec<&str> = list(task, "runAfter").iter().filter_map(Value::as_str).collect();
    let mut used = Vec::new();
    for params in parameters(task) {
        for param in params {
            expressions_of_value(field(param, "value"), &mut used);
        }
    }
    for when in list(task, "when") {
        used.extend(expressions(text(when, "input")));
        used.extend(expressions(text(when, "cel")));
        expressions_of_list(when, "values", &mut used);
    }
    let spec = field(task, "taskSpec");
    for container in list(spec, "steps").iter().chain(list(spec, "sidecars")) {
        expressions_of_container(container, &mut used);
    }
    let mut seen: HashSet<&str> = after.iter().copied().collect();
    after.extend(used.into_iter().filter_map(task_of_result).filter(|name| seen.insert(name)));
    after
}

/// Every list of parameters of a task: its own, its matrix's, and those of what its matrix includes.
fn parameters(task: &Value) -> Vec<&[Value]> {
    let matrix = field(task, "matrix");
    let includes = list(matrix, "include").iter().map(|include| list(include, "params"));
    [list(task, "params"), list(matrix, "params")].into_iter().chain(includes).collect()
}

fn expressions_of_value<'a>(value: &'a Value, used: &mut Vec<&'a str>) {
    match (ParamValue::read(Some(value)), value) {
        (ParamValue::Text(_), Value::String(text)) => used.extend(expressions(text)),
        (ParamValue::Array(_), Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).for_each(|text| used.extend(expressions(text)));
        }
        (ParamValue::Object(_), Value::Object(fields)) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            fields
                .iter()
                .filter_map(|(_, item)| item.as_str())
                .for_each(|text| used.extend(expressions(text)));
        }
        _ => {}
    }
}

fn expressions_of_list<'a>(of: &'a Value, name: &str, used: &mut Vec<&'a str>) {
    list(of, name).iter().filter_map(Value::as_str).for_each(|text| used.extend(expressions(text)));
}

fn expressions_of_container<'a>(container: &'a Value, used: &mut Vec<&'a str>) {
    for name in ["name", "image", "imagePullPolicy", "script", "workingDir"] {
        used.extend(expressions(text(container, name)));
    }
    expressions_of_list(container, "command", used);
    expressions_of_list(container, "args", used);
    for variable in list(container, "env") {
        used.extend(expressions(text(variable, "value")));
        for source in ["secretKeyRef", "configMapKeyRef"] {
            let source = field(field(variable, "valueFrom"), source);
            used.extend(expressions(text(source, "key")));
            used.extend(expressions(text(source, "name")));
        }
    }
}

/// The content of each `$(…)` of `text`: letters, digits, `_`, `.`, `-`, and one index behind.
fn expressions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        rest = rest.get(at + 2..).unwrap_or_default();
        let length = expression_bytes(rest.as_bytes());
        // None of these bytes begins another expression, so each byte of the text is looked at once.
        let (expression, tail) = rest.split_at_checked(length).unwrap_or_default();
        if !matches!(expression.as_bytes().first(), None | Some(b'[')) && tail.starts_with(')') {
            found.push(expression);
        }
        rest = tail;
    }
    found
}

/// How many bytes at the beginning of `text` an expression may have: a name, and an index if it is a whole one.
fn expression_bytes(text: &[u8]) -> usize {
    let length = |from: usize, of: fn(&u8) -> bool| text.iter().skip(from).take_while(|b| of(b)).count();
    let name = length(0, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if text.get(name) != Some(&b'[') {
        return name;
    }
    let index = match text.get(name + 1) {
        Some(b'*') => 1,
        _ => length(name + 1, u8::is_ascii_digit),
    };
    match text.get(name + 1 + index) {
        Some(b']') if index > 0 => name + index + 2,
        _ => name,
    }
}

/// The task in `tasks.TASK.results.RESULT`, with or without a key behind.
fn task_of_result(expression: &str) -> Option<&str> {
    let parts: Vec<&str> = expression.split('.').collect();
    match parts.as_slice() {
        ["tasks" | "finally", task, "results", _] | ["tasks" | "finally", task, "results", _, _] => {
            Some(task)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_found_wherever_a_task_may_use_them() {
        let task = json!({
            "runAfter": ["first", "first"],
            "params": [
                {"name": "a", "value": "x $(tasks.p1.results.r) $(tasks.p2.results.r[0])$(params.p)"},
                {"name": "b", "value": ["$(tasks.p3.results.r[*])", "$(tasks.p4.results.o.key)"]},
                {"name": "c", "value": {"z": "$(tasks.p6.results.r)", "a": "$(tasks.p5.results.r)"}},
            ],
            "matrix": {"params": [{"name": "m", "value": ["$(tasks.m1.results.r)"]}],
                "include": [{"name": "i", "params": [{"name": "n", "value": "$(finally.m2.results.r)"}]}]},
            "when": [{"input": "$(tasks.w1.results.r)", "operator": "in", "values": ["$(tasks.w2.results.r)"]},
                {"cel": "'$(tasks.w3.results.r)' == ''"}],
            "taskSpec": {"steps": [{"script": "$(tasks.s1.results.r)",
                "env": [{"value": "$(tasks.s2.results.r)", "valueFrom": {"secretKeyRef": {"name": "$(tasks.s3.results.r)"}}}]}],
                "sidecars": [{"args": ["$(tasks.s4.results.r)"]}]},
        });
        assert_eq!(
            after(&task),
            [
                "first", "first", "p1", "p2", "p3", "p4", "p5", "p6", "m1", "m2", "w1", "w2", "w3", "s1",
                "s2", "s3", "s4"
            ]
        );
    }

    #[test]
    fn what_only_looks_like_a_result_is_none() {
        let value = "$(tasks.a.status) $(tasks.b.results.r.x.y) $(tasks.c.results) $((tasks.d.results.r)) \
                     $(tasks.e f.results.r) $(tasks.g.results.r[x]) $([0]) $(tasks.i.results.r[0]1) \
                     $(tasks.j.results.r[]) $(tasks.k.results.r[**]) $(tasks.h.results.r";
        let task = json!({"params": [{"name": "a", "value": value}, {"name": "b", "value": 5}], "when": 7});
        assert_eq!(after(&task), [""; 0]);
        assert_eq!(after(&Value::Null), [""; 0]);
    }

    #[test]
    fn an_expression_begins_wherever_the_one_before_broke_off() {
        let rows = [
            ("$(tasks.a.results.r$(tasks.b.results.r)", vec!["tasks.b.results.r"]),
            ("$(a[0$(b[1])", vec!["b[1]"]),
            ("$(a[$(b)", vec!["b"]),
            ("$$((a)$(b)", vec!["b"]),
            ("$(ä$(b)$(c", vec!["b"]),
            ("$(a)$(b))", vec!["a", "b"]),
        ];
        for (text, found) in rows {
            assert_eq!(expressions(text), found, "{text}");
        }
    }

    #[test]
    fn each_byte_of_a_text_is_looked_at_once() {
        // Reading to the end of the text for each `$(` takes minutes.
        for unclosed in ["$(", "$(tasks.", "$(tasks.a.results.r[0", "$(tasks.a.results.r[0]", "$(a[*"] {
            assert_eq!(expressions(&unclosed.repeat(200_000)), [""; 0], "{unclosed}");
        }
    }
}
