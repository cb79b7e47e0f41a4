//! How large one object may be.
//!
//! A run from a file may be anything, and what is made of it in some formats is many times its size. One that no cluster holds was not
//! signed as it is, so it is refused before anything is made of it.
//!
//! Spec: <https://github.com/kubernetes/apiserver/blob/v0.34.0/pkg/server/config.go> (`MaxRequestBodyBytes`),
//! <https://etcd.io/docs/v3.6/dev-guide/limit/>

use std::io;

use serde_json::Value;

use super::{RunError, RunKind, room};

/// The most JSON of one object: what the API server takes from a client, and twice what etcd stores by default.
const MAX_OBJECT_BYTES: usize = 3 * MIB;
/// The most memory that one object may take, which is 16 times what etcd stores; most objects take less than ten times their JSON. A
/// TaskRun with 100 steps takes about 200 KiB.
const MAX_OBJECT_MEMORY_BYTES: usize = 24 * MIB;

const MIB: usize = 1024 * 1024;

/// Whether the object `value` may have come from a cluster, by its size.
///
/// # Errors
///
/// It is larger than the API server takes, or takes many times as much memory.
pub(super) fn check(kind: RunKind, name: &str, value: &Value) -> Result<(), RunError> {
    let large = |what: String, most: usize| {
        Err(RunError::LargeObject { kind, name: name.into(), what, most: most / MIB })
    };
    let bytes = json_bytes(value);
    if bytes > MAX_OBJECT_BYTES {
        return large(format!("{bytes} bytes of JSON"), MAX_OBJECT_BYTES);
    }
    let memory = room::of(value);
    if memory > MAX_OBJECT_MEMORY_BYTES {
        return large(format!("values that take {memory} bytes of memory"), MAX_OBJECT_MEMORY_BYTES);
    }
    Ok(())
}

/// The length of `value` as the API server writes it: in one line, with Go's escapes.
fn json_bytes(value: &Value) -> usize {
    let mut length = Length(0);
    // It can't fail: the keys are strings, and counting does no input or output.
    let _ = serde_json::to_writer(&mut length, value);
    length.0
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // `<`, `>` and `&` become six letters, as `\u003c`.
        let escaped = bytes.iter().filter(|byte| matches!(byte, b'<' | b'>' | b'&')).count();
        self.0 = self.0.saturating_add(bytes.len()).saturating_add(5 * escaped);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_length_is_that_of_gos_json() {
        for value in [json!({}), json!({"a<b": [1, -2.5, null, true, "x&y>\n\u{1}"]}), json!("ä\"\\")] {
            let written = crate::go_json::to_vec(&value).unwrap();
            assert_eq!(json_bytes(&value), written.len(), "{value}");
        }
    }

    #[test]
    fn an_object_that_no_cluster_holds_is_refused_by_its_size() {
        let texts = |count: usize, text: &str| Value::from(vec![text; count]);
        let rows = [
            // What etcd stores, of every shape that takes more memory than its JSON has bytes.
            (Value::from("x".repeat(3 * MIB / 2)), true),
            (texts(3 * MIB / 2 / 12, "registry.a"), true),
            (texts(250_000, "v"), true),
            // More of the same.
            (Value::from("x".repeat(3 * MIB)), false),
            (Value::from("<".repeat(MIB / 2)), false),
            (Value::from("\u{1}".repeat(MIB / 2)), false),
            (texts(700_000, "v"), false),
            (json!(vec![json!({}); 50_000]), false),
            (json!(vec![0; 1_000_000]), false),
            ((0..200_000).map(|at| (format!("k{at}"), Value::Null)).collect(), false),
        ];
        for (large, accepted) in rows {
            let shape = large.to_string().chars().take(40).collect::<String>();
            let result = check(RunKind::TaskRun, "build", &json!({"spec": {"any": large}}));
            assert_eq!(result.is_ok(), accepted, "{shape}: {result:?}");
        }
    }
}
