//! DER, written by hand: certificates and timestamps that no library would make.

/// A value with its tag and length.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..128 => out.push(u8::try_from(length).unwrap()),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap()..];
            out.push(0x80 | u8::try_from(bytes.len()).unwrap());
            out.extend(bytes);
        }
    }
    out.extend(content);
    out
}

pub(crate) fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A SET OF, in DER's order.
pub(crate) fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = parts.to_vec();
    parts.sort();
    tlv(0x31, &parts.concat())
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    tlv(6, x509_cert::der::oid::ObjectIdentifier::new_unwrap(text).as_bytes())
}

pub(crate) fn int(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(3);
    let sign: &[u8] = if bytes[from] & 0x80 != 0 { &[0] } else { &[] };
    tlv(2, &[sign, &bytes[from..]].concat())
}

pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(4, bytes)
}

pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], bytes].concat())
}

pub(crate) fn utf8(text: &str) -> Vec<u8> {
    tlv(12, text.as_bytes())
}

/// `[n] EXPLICIT`.
pub(crate) fn explicit(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, content)
}

pub(crate) fn utc_time(at: i64) -> Vec<u8> {
    tlv(0x17, time(at, "%y%m%d%H%M%SZ").as_bytes())
}

pub(crate) fn generalized_time(at: i64) -> Vec<u8> {
    tlv(0x18, time(at, "%Y%m%d%H%M%SZ").as_bytes())
}

fn time(at: i64, format: &str) -> String {
    jiff::Timestamp::from_second(at).unwrap().strftime(format).to_string()
}

/// A distinguished name with a common name alone.
pub(crate) fn name(common: &str) -> Vec<u8> {
    seq(&[set(&[seq(&[oid("2.5.4.3"), utf8(common)])])])
}

pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv(1, &[0xff]) } else { Vec::new() };
    seq(&[oid(id), critical, octets(value)])
}

pub(crate) fn ecdsa_sha256() -> Vec<u8> {
    seq(&[oid("1.2.840.10045.4.3.2")])
}

pub(crate) fn sha256_id() -> Vec<u8> {
    seq(&[oid("2.16.840.1.101.3.4.2.1")])
}
