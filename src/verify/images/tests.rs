use super::*;
use crate::oci::Digest;

fn image(number: usize) -> Listed {
    let digest = Digest::of(&number.to_be_bytes());
    Listed::Image(ImageRef { repository: "registry.example/app".parse().unwrap(), digest })
}

fn unusable(number: usize) -> Listed {
    Listed::Unusable(EntryError::NoDigest { index: "registry.example/app".to_owned(), number })
}

/// However many indexes there are, and whatever they list.
#[test]
fn the_limit_is_for_all_indexes_and_counts_what_cannot_be_looked_at() {
    let mut admitted = Admitted { known: HashSet::new(), unusable: 0 };
    let mut admit = |children: Vec<Listed>| admitted.admit(children).map(|new| new.len());
    assert_eq!(admit((0..MAX_IMAGES - 1000).map(unusable).collect()), Ok(MAX_IMAGES - 1000));
    for _ in 0..10 {
        assert_eq!(admit((0..1001).map(unusable).collect()), Err(TooMany));
        assert_eq!(admit((0..1001).map(image).collect()), Err(TooMany));
    }
    assert_eq!(admit((0..999).map(image).collect()), Ok(999));
    assert_eq!(admit((0..999).map(image).collect()), Ok(0), "what is known counts once");
    assert_eq!(admit(vec![unusable(1)]), Ok(1));
    assert_eq!(admit(vec![image(2000)]), Err(TooMany));
}

/// However many rules a policy has: what differs is judged, and no signer is verified twice.
#[test]
fn rules_that_ask_for_the_same_are_judged_once() {
    let rule = |name: usize, by: &str, more: &str| {
        format!(r#"{{"name":"{name}","images":["**"],"signature":{{"by":[{by}]{more}}}}}"#)
    };
    let identity = |name: &str| format!(r#""{name}":{{"identity":"{name}","issuer":"i"}}"#);
    let one = r#""a","b""#;
    let mut rules: Vec<String> = (0..50).map(|name| rule(name, one, "")).collect();
    for (name, (by, more)) in [
        (r#""b","a""#, ""),
        (r#""a""#, ""),
        (r#""a""#, r#","atLeast":1"#),
        (one, r#","maxAge":"1h""#),
        (one, r#","annotations":{"x":"y"}"#),
        (one, r#","log":false"#),
        (one, r#","timestamp":true"#),
    ]
    .into_iter()
    .enumerate()
    {
        rules.push(rule(100 + name, by, more));
    }
    let text = format!(
        r#"{{"version":1,"signers":{{{},{}}},"rules":[{}]}}"#,
        identity("a"),
        identity("b"),
        rules.join(",")
    );
    let policy = crate::verify::policy::Policy::read(text.as_bytes(), &|_| unreachable!()).unwrap();
    let checks: Vec<&Check> =
        policy.rules.iter().flat_map(|rule| &rule.needs).map(|need| &need.check).collect();
    let judging = Judging::all(checks.into_iter().enumerate());
    let numbers: Vec<usize> = judging.iter().map(|one| one.numbers.len()).collect();
    assert_eq!(numbers, [51, 1, 2, 1, 1, 1]);
    let signers: HashSet<usize> = judging.iter().flat_map(|one| one.signers.clone()).collect();
    assert_eq!(signers.len(), 6, "two signers, each with three demands");
}
