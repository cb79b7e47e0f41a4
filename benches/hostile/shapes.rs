//! Texts of a given length that are costly to read: many small values, deep nesting, long values.

use std::fmt::Write as _;

/// How deep nested values are: shallower than any reader here refuses at once.
const DEPTH: usize = 90;

/// A JSON value of about `bytes` bytes, and what is hostile in it.
pub(crate) type Shape = (&'static str, fn(usize) -> String);

/// Shapes of costly JSON values.
pub(crate) const JSON: [Shape; 18] = [
    ("numbers", |bytes| array("0", bytes)),
    ("empty arrays", |bytes| array("[]", bytes)),
    ("empty objects", |bytes| array("{}", bytes)),
    ("empty strings", |bytes| array("\"\"", bytes)),
    ("strings of a letter", |bytes| array("\"a\"", bytes)),
    ("objects of a key", |bytes| array("{\"a\":0}", bytes)),
    ("arrays of a number", |bytes| array("[0]", bytes)),
    ("keys", |bytes| keys(bytes, "0")),
    ("keys of empty objects", |bytes| keys(bytes, "{}")),
    ("objects in objects", |bytes| array(&nested("{\"a\":", "0", "}"), bytes)),
    ("arrays in arrays", |bytes| array(&nested("[", "0", "]"), bytes)),
    ("too deep", |bytes| "[".repeat(bytes)),
    ("one string", |bytes| format!("\"{}\"", "a".repeat(bytes))),
    ("one string of escapes", |bytes| format!("\"{}\"", "\\u0041".repeat(bytes / 6))),
    ("one number", |bytes| "1".repeat(bytes)),
    ("fractions", |bytes| array("1.5e-7", bytes)),
    ("blanks", |bytes| format!("[{}]", " \n".repeat(bytes / 2))),
    ("a key twice, at the end", |bytes| {
        let keys = keys(bytes, "0");
        format!("{},\"00\":1}}", keys.trim_end_matches('}'))
    }),
];

/// Shapes of costly YAML documents.
pub(crate) const YAML: [Shape; 19] = [
    ("a block of numbers", |bytes| "- 0\n".repeat(bytes / 4)),
    ("a flow of numbers", |bytes| format!("a: {}", array("0", bytes))),
    ("a flow of empty objects", |bytes| format!("a: {}", array("{}", bytes))),
    ("a flow of objects of a key", |bytes| format!("a: {}", array("{a: 0}", bytes))),
    ("a flow of objects in objects", |bytes| format!("a: {}", array(&nested("{a: ", "0", "}"), bytes))),
    ("a flow of empty strings", |bytes| format!("a: {}", array("''", bytes))),
    ("keys", |bytes| lines(bytes, |text, number| writeln!(text, "k{number}: 0"))),
    ("blocks in blocks", |bytes| format!("{}0\n", "- ".repeat(40)).repeat(bytes / 82)),
    ("documents", |bytes| "---\na: 0\n".repeat(bytes / 9)),
    ("empty documents", |bytes| "---\n".repeat(bytes / 4)),
    ("anchors", |bytes| lines(bytes, |text, number| writeln!(text, "- &a{number} 0"))),
    ("aliases", |bytes| format!("- &a [0, 0, 0, 0]\n{}", "- *a\n".repeat(bytes / 5))),
    ("aliases of aliases", laughs),
    ("comments", |bytes| "# a\n".repeat(bytes / 4)),
    ("one block scalar", |bytes| format!("a: |\n{}", "  a\n".repeat(bytes / 4))),
    ("one string of escapes", |bytes| format!("a: \"{}\"\n", "\\x41".repeat(bytes / 4))),
    ("one plain scalar", |bytes| format!("a: {}\n", "b ".repeat(bytes / 2))),
    ("explicit keys", |bytes| lines(bytes, |text, number| writeln!(text, "? k{number}\n: 0"))),
    ("tags", |bytes| "- !!str a\n".repeat(bytes / 10)),
];

/// Makes an array `[item,item,…]` of about `bytes` bytes.
pub(crate) fn array(item: &str, bytes: usize) -> String {
    let count = (bytes / (item.len() + 1)).max(1);
    let mut text = String::with_capacity(bytes + item.len());
    text.push('[');
    for number in 0..count {
        if number > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
    text.push(']');
    text
}

/// An object of many keys, the first of which is `00`.
pub(crate) fn keys(bytes: usize, value: &str) -> String {
    let mut text = format!("{{\"00\":{value}");
    let mut number = 0;
    while text.len() < bytes {
        let _ = write!(text, ",\"{number:x}\":{value}");
        number += 1;
    }
    text.push('}');
    text
}

/// One value inside of many others.
pub(crate) fn nested(open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(DEPTH), close.repeat(DEPTH))
}

/// As many lines as fit.
pub(crate) fn lines(bytes: usize, line: fn(&mut String, usize) -> std::fmt::Result) -> String {
    let mut text = String::with_capacity(bytes);
    let mut number = 0;
    while text.len() + 32 < bytes {
        let _ = line(&mut text, number);
        number += 1;
    }
    text
}

/// Each anchor repeats the previous anchor ten times.
fn laughs(_: usize) -> String {
    let mut text = "a0: &a0 [0]\n".to_owned();
    for number in 1..30 {
        let _ = writeln!(text, "a{number}: &a{number} {}", array(&format!("*a{}", number - 1), 50));
    }
    text
}
