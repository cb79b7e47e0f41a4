//! What the fields of protobuf's JSON are made of: bytes in base64, 64-bit numbers, and lists that are bounded.
//!
//! Spec: <https://protobuf.dev/programming-guides/json/>

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer, de};

const BASE64: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, BASE64);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, BASE64);

/// Base64 of protobuf's JSON.
#[derive(Clone, Debug)]
pub(super) struct Bytes(pub(super) Vec<u8>);

/// Decodes base64 in either alphabet, with or without its padding, in one line or several.
pub(in crate::verify) fn base64(text: &str) -> Option<Vec<u8>> {
    // A text may have many megabytes, and this way of looking for a byte is quick in any build.
    let has = |byte: u8| text.as_bytes().contains(&byte);
    let engine = if has(b'-') || has(b'_') { URL_SAFE } else { STANDARD };
    if has(b'\n') || has(b'\r') {
        return engine.decode(text.replace(['\n', '\r'], "")).ok();
    }
    engine.decode(text).ok()
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        // The text itself, which may have many megabytes, is not copied.
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                base64(text).map(Bytes).ok_or_else(|| E::custom("not base64"))
            }
        }
        from.deserialize_str(Visitor)
    }
}

/// A 64-bit number of protobuf's JSON that can't be negative here.
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = u64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number that is not negative")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
                if i64::try_from(number).is_ok() {
                    Ok(number)
                } else {
                    Err(E::custom("the number is too large"))
                }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|_| digits);
                let number = number.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
                self.visit_u64(number)
            }
        }
        from.deserialize_any(Visitor).map(Self)
    }
}

/// The first `LIMIT` items of a list, and whether there are more, of which nothing is kept.
#[derive(Debug)]
pub(super) struct Few<T, const LIMIT: usize> {
    /// Those that are kept.
    pub(super) items: Vec<T>,
    /// Whether there are more.
    pub(super) more: bool,
}

impl<T, const LIMIT: usize> Default for Few<T, LIMIT> {
    fn default() -> Self {
        Self { items: Vec::new(), more: false }
    }
}

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Deserialize<'de> for Few<T, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor<T, const LIMIT: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const LIMIT: usize> de::Visitor<'de> for Visitor<T, LIMIT> {
            type Value = Few<T, LIMIT>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut few = Few::default();
                while few.items.len() < LIMIT {
                    let Some(item) = list.next_element()? else { return Ok(few) };
                    few.items.push(item);
                }
                while list.next_element::<de::IgnoredAny>()?.is_some() {
                    few.more = true;
                }
                Ok(few)
            }
        }
        from.deserialize_seq(Visitor(PhantomData))
    }
}
