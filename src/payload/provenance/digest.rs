//! Digests of artifacts, as Chains takes them apart.

/// `ALGORITHM:HEX` in its two parts, the algorithm in lower case and both without blanks; `None` if it is no digest
/// by one of the four algorithms.
pub(super) fn parse(text: &str) -> Option<(String, &str)> {
    let (algorithm, hex) = text.split_once(':')?;
    let (algorithm, hex) = (algorithm.trim().to_lowercase(), hex.trim());
    let digits = match algorithm.as_str() {
        "sha1" => 40,
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return None,
    };
    let fits = hex.len() == digits && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    fits.then_some((algorithm, hex))
}

/// The two parts of a digest that [`parse`] takes, as they were written: so subjects have them.
pub(super) fn as_written(text: &str) -> Option<(&str, &str)> {
    parse(text)?;
    text.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_digests_of_four_algorithms_are_any() {
        let hex = "a".repeat(64);
        assert_eq!(parse(&format!(" SHA256 : {hex} ")), Some(("sha256".to_owned(), hex.as_str())));
        assert_eq!(
            parse(&format!("sha1:{}", "b".repeat(40))).map(|(algorithm, _)| algorithm),
            Some("sha1".into())
        );
        for wrong in
            [hex.clone(), format!("sha256:sha256:{hex}"), format!("md5:{hex}"), "sha256:AA".to_owned()]
        {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
    }
}
