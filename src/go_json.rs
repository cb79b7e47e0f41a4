//! JSON serialization that matches Go's `encoding/json` byte for byte.
//!
//! cosign and Chains are Go programs. They compare and hash JSON that a signer made, so the bytes matter:
//! Go writes compact JSON and escapes `<`, `>`, `&`, U+2028 and U+2029.
//!
//! Spec: <https://pkg.go.dev/encoding/json@go1.26#HTMLEscape>

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// Serializes `value` as Go would. Keys keep the order in which `value` serializes them.
///
/// # Errors
///
/// `value` can't be written as JSON, such as a map whose keys aren't strings.
pub fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, GoFormatter))?;
    Ok(out)
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size == 0.0 || (1e-6..1e21).contains(&size) {
            return write!(writer, "{value}");
        }
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((mantissa, power)) if !power.starts_with('-') => write!(writer, "{mantissa}e+{power}"),
            _ => writer.write_all(text.as_bytes()),
        }
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            CompactFormatter.write_string_fragment(writer, plain)?;
            let mut chars = tail.chars();
            if let Some(c) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = chars.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_as_go_formats_them() {
        let numbers = [1.0, -0.5, 100_000.0, 1e-6, 1e-7, 1.5e20, 1e21, -2.5e300, 0.1 + 0.2];
        let text = String::from_utf8(to_vec(&numbers).unwrap()).unwrap();
        assert_eq!(
            text,
            "[1,-0.5,100000,0.000001,1e-7,150000000000000000000,1e+21,-2.5e+300,0.30000000000000004]"
        );
    }

    #[test]
    fn the_characters_that_go_escapes_are_escaped() {
        let text = to_vec(&"a<b>&\u{2028}\u{2029}é\"\n").unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "\"a\\u003cb\\u003e\\u0026\\u2028\\u2029é\\\"\\n\"");
    }
}
