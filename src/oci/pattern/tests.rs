//! Which patterns there are, and what they allow.

use proptest::prelude::*;

use super::*;
use crate::oci::Repository;
use crate::oci::spelling::spelled;

fn canonical(repository: &str) -> CanonicalRepository {
    repository.parse::<Repository>().unwrap().canonical()
}

fn allows(pattern: &str, repository: &str) -> bool {
    pattern.parse::<Pattern>().unwrap().allows(&canonical(repository))
}

#[test]
fn a_star_stays_within_a_part_and_two_go_across() {
    for (pattern, repository, want) in [
        ("registry.example/team/app", "registry.example/team/app", true),
        ("registry.example/team/app", "registry.example/team/app-b", false),
        ("registry.example/team/*", "registry.example/team/app", true),
        ("registry.example/team/*", "registry.example/team/app/deep", false),
        ("registry.example/team/*", "registry.example/team-b/app", false),
        ("registry.example/team-*/x", "registry.example/team-b/x", true),
        ("registry.example/**", "registry.example/team/app/deep", true),
        ("registry.example/**/app", "registry.example/a/b/app", true),
        ("registry.example/**/app", "registry.example/app", true),
        ("registry.example/**/app", "registry.example/a/b/wrapp", false),
        ("registry.example/**", "registry.example.evil/x", false),
        ("registry.example/**", "evil/registry.example/x", false),
        ("registry.example/**/*b", "registry.example/b/b", true),
        ("registry.example/team/**", "registry.example/team", false),
        ("*.example/**", "a.b.example/x", true),
        ("**", "registry.example:5000/x", true),
        ("**/app", "registry.example/team/app", true),
        ("registry.example:5000/*", "registry.example:5000/x", true),
        ("registry.example:5000/*", "registry.example/x", false),
        ("[::1]:5000/*", "[::1]:5000/x", true),
        ("[::1]:5000/*", "1:5000/x", false),
        ("localhost/*", "localhost/x", true),
    ] {
        assert_eq!(allows(pattern, repository), want, "{pattern} {repository}");
    }
}

#[test]
fn patterns_are_read_like_names() {
    for (pattern, repository) in [
        ("docker.io/org/*", "org/app"),
        ("org/*", "docker.io/org/app"),
        ("alpine", "alpine"),
        ("docker.io/alpine", "alpine"),
        ("docker.io/**", "alpine"),
        ("index.docker.io/library/*", "alpine"),
    ] {
        assert!(allows(pattern, repository), "{pattern} {repository}");
    }
    assert!(!allows("org/*", "registry.example/org/app"));
}

#[test]
fn what_could_never_match_is_refused() {
    for (text, want) in [
        ("", PatternError::EmptyPart),
        ("registry.example/", PatternError::EmptyPart),
        ("registry.example//x", PatternError::EmptyPart),
        ("registry.example", PatternError::OnlyHost),
        ("localhost:5000", PatternError::OnlyHost),
        ("*", PatternError::OnePart),
        ("team*", PatternError::OnePart),
        ("registry.example/team**", PatternError::HalfGlobstar),
        ("registry.example/***", PatternError::HalfGlobstar),
        ("https://registry.example/*", PatternError::Scheme),
        ("registry.example/app:v1", PatternError::NotARepository),
        ("registry.example/app@sha256:00", PatternError::NotARepository),
        ("registry.example/App", PatternError::Character),
        ("!registry.example/app", PatternError::Character),
        ("registry.example/{a,b}", PatternError::Character),
        ("registry.example/a?", PatternError::Character),
        ("registry.example/[ab]", PatternError::Character),
        ("registry.example/a\\*", PatternError::Character),
    ] {
        assert_eq!(text.parse::<Pattern>().unwrap_err(), want, "{text}");
    }
}

/// The meaning of a pattern, as simply as it can be said.
fn reference(pattern: &[&str], parts: &[&str]) -> bool {
    match (pattern, parts) {
        ([], []) => true,
        (["**", rest @ ..], _) => {
            // Behind everything else, `**` stands for one part at least.
            let least = usize::from(rest.is_empty());
            (least..=parts.len()).any(|skip| reference(rest, &parts[skip..]))
        }
        ([first, rest @ ..], [part, parts @ ..]) => {
            within(first.as_bytes(), part.as_bytes()) && reference(rest, parts)
        }
        _ => false,
    }
}

fn within(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| within(rest, &text[skip..])),
        ([p, rest @ ..], [t, text @ ..]) => p == t && within(rest, text),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn the_matcher_means_what_we_say(
        pattern in proptest::collection::vec("[ab*]{1,3}", 1..5),
        path in proptest::collection::vec("[ab]{1,3}", 1..5),
    ) {
        let pattern = format!("r.io/{}", pattern.join("/"));
        let repository = format!("r.io/{}", path.join("/"));
        if let Ok(parsed) = pattern.parse::<Pattern>() {
            let parts: Vec<&str> = pattern.split('/').collect();
            let names: Vec<&str> = repository.split('/').collect();
            prop_assert_eq!(
                parsed.allows(&canonical(&repository)),
                reference(&parts, &names),
                "{} {}", pattern, repository
            );
        }
    }

    #[test]
    fn any_text_is_a_pattern_or_has_a_reason(text in "\\PC{0,40}") {
        let _ = text.parse::<Pattern>();
    }
}

/// A pattern that is one spelling of a name allows all of them, and none of another name.
#[test]
fn every_spelling_of_a_name_has_the_same_verdict() {
    let all = spelled();
    for one in &all {
        let patterns: Vec<Pattern> = one.spellings.iter().map(|text| text.parse().unwrap()).collect();
        for other in &all {
            for name in &other.spellings {
                let name = canonical(name);
                let want = one.canonical == other.canonical;
                assert!(
                    patterns.iter().all(|pattern| pattern.allows(&name) == want),
                    "{} {name}",
                    one.canonical
                );
            }
        }
    }
}

#[test]
fn patterns_have_the_canonical_form_of_names() {
    for (pattern, repository, want) in [
        ("LOCALHOST:5000/**", "localhost:5000/x", true),
        ("localhost:5000/**", "LocalHost:05000/x", true),
        ("registry.example/**", "Registry.example:0443/x", true),
        ("registry.example:443/x", "registry.example/x", true),
        ("registry.example:80/x", "registry.example/x", false),
        ("registry.example/x", "registry.example:80/x", false),
        ("docker.io/library/*", "index.docker.io/x", true),
        ("docker.io/x", "Registry-1.Docker.io:443/library/x", true),
        ("registry-1.docker.io/x", "x", true),
        ("docker.io/**", "Docker.io/team/app", true),
        ("docker.io:5000/x", "docker.io:5000/x", true),
        ("127.1:5000/**", "[::ffff:127.0.0.1]:5000/x", true),
        ("[0::1]:5000/**", "[::1]:5000/x", true),
        // Beside a star.
        ("*.example/**", "A.EXAMPLE:443/x", true),
        ("*.docker.io/**", "docker.io/x", true),
        ("*/library/x", "x", true),
        ("*:5000/**", "LOCALHOST:05000/x", true),
        ("*:5000/**", "localhost:443/x", false),
        ("127.*/**", "0x7f.1/x", true),
        ("*.1/**", "127.1/x", true),
        ("[::1]*/**", "[0::1]:05000/x", true),
        ("[::1]:*/**", "[::1]/x", true),
        // A star in a port matches every port, so also the port that names leave out.
        ("registry.example:*/**", "registry.example/x", true),
        ("registry.example:*/**", "registry.example:5000/x", true),
        ("registry.example:44*/**", "registry.example:0443/x", true),
        ("registry.example:44*/**", "registry.example:4400/x", true),
        ("registry.example:5*/**", "registry.example/x", false),
        ("*:*/**", "x", true),
    ] {
        assert_eq!(allows(pattern, repository), want, "{pattern} {repository}");
    }
}

#[test]
fn what_no_canonical_name_has_is_refused() {
    for (text, want) in [
        // Upper case.
        ("registry.example/Team/*", PatternError::Character),
        ("Team/*", PatternError::Character),
        ("LOCALHOST/x", PatternError::Character),
        ("REG*.example/**", PatternError::HostCase),
        ("*.Example/**", PatternError::HostCase),
        ("LOCALHOST:*/**", PatternError::HostCase),
        // Another name of the same host.
        ("docker.io:*/**", PatternError::DockerHub),
        ("docker.io:*/x", PatternError::DockerHub),
        ("docker.io:4*3/team/x", PatternError::DockerHub),
        ("registry-1.docker.io:*/**", PatternError::DockerHub),
        ("registry.hub.docker.com:*/team/*", PatternError::DockerHub),
        ("index.docker.io:*/x", PatternError::HubPart),
        ("index.docker.io:4*/*", PatternError::HubPart),
        ("index.docker.io/*", PatternError::HubPart),
        ("docker.io/al*", PatternError::HubPart),
        ("*:443/**", PatternError::Port),
        ("*:0443/**", PatternError::Port),
        ("*.example:05000/**", PatternError::Port),
        ("registry.example:0*/**", PatternError::Port),
        ("*:/**", PatternError::Registry),
        ("*:99999/**", PatternError::Registry),
        ("*:5000:*/**", PatternError::Registry),
        ("127.1:*/**", PatternError::Address),
        ("010.0.0.1:*/**", PatternError::Address),
        ("0x7f000001:5*/**", PatternError::Address),
        ("010.*.1/**", PatternError::Address),
        ("*.0x1/**", PatternError::Address),
        ("*.01/**", PatternError::Address),
        ("01*.1/**", PatternError::Address),
        ("[0::1]*/**", PatternError::Address),
        ("[::ffff:10.0.0.1]:*/**", PatternError::Address),
        ("[fd00:*]:5000/**", PatternError::Address),
        ("[*]/**", PatternError::Address),
        // What no registry is.
        ("registry.example./**", PatternError::Registry),
        ("*.example./**", PatternError::Registry),
        (".example*/**", PatternError::Registry),
        ("*..example/**", PatternError::Registry),
        ("-*.example/**", PatternError::Registry),
        ("1.2.3.256/**", PatternError::Registry),
        ("registry.example:0/**", PatternError::Registry),
        ("registry.example:+443/**", PatternError::Character),
        ("a*.1/**", PatternError::Registry),
        ("*.1.2.3.4/**", PatternError::Registry),
        ("*.256/**", PatternError::Registry),
        ("[::1*/**", PatternError::Registry),
        ("[::1]5000/**", PatternError::Registry),
        ("*[::1]/**", PatternError::Registry),
        // What no path is.
        ("registry.example/-x", PatternError::Path),
        ("registry.example/_*", PatternError::Path),
        ("registry.example/*-", PatternError::Path),
        ("registry.example/a..b", PatternError::Path),
        ("registry.example/a.*_._b", PatternError::Path),
        ("registry.example/a___*", PatternError::Path),
        ("registry.example/../x", PatternError::Path),
    ] {
        assert_eq!(text.parse::<Pattern>().unwrap_err(), want, "{text}");
    }
    for text in
        ["registry.example/a-*", "registry.example/*_*/x", "registry.example/a*--*b", "reg*.example/x"]
    {
        assert!(text.parse::<Pattern>().is_ok(), "{text}");
    }
    let long = |bytes: usize| format!("registry.example/{}", "a".repeat(bytes));
    let host = |bytes: usize| format!("{}.example", "a".repeat(bytes - ".example".len()));
    for (text, is_good) in [
        (long(255), true),
        (long(256), false),
        (format!("{}*/**", long(255)), true),
        (format!("{}*/**", long(256)), false),
        (format!("{}/*", long(253)), true),
        (format!("{}/*", long(254)), false),
        (format!("{}/**", host(259)), true),
        (format!("{}/**", host(260)), false),
        (format!("*.{}/{}", host(258), "a".repeat(255)), true),
        (format!("*.{}/app", host(259)), false),
        (format!("r*/{}", "a/".repeat(200) + "**"), false),
    ] {
        let want = if is_good { Ok(()) } else { Err(PatternError::TooLong) };
        assert_eq!(text.parse::<Pattern>().map(drop), want, "{text}");
    }
}

/// Each is shown to match by a name that it matches.
#[test]
fn what_can_match_a_name_is_accepted() {
    for (pattern, repository) in [
        ("*.com/**", "registry.example.com/x"),
        ("registry.*/**", "registry.example/x"),
        ("registry*/**", "registry.example/x"),
        ("registry.*.com/**", "registry.hub.example.com/x"),
        ("reg*/**", "registry.example/x"),
        ("r*/**", "registry.example/x"),
        ("*hub*/**", "hub.example/x"),
        ("0*/**", "0x7f.example/x"),
        ("0*.1/**", "0.0.0.1/x"),
        ("docker.*/**", "docker.example/x"),
        ("docker.io*/**", "docker.iox/x"),
        ("docker.io*/**", "docker.io:5000/x"),
        ("docker.io:5*/**", "docker.io:5000/x"),
        ("registry-1.docker.i*/**", "registry-1.docker.io:5000/x"),
        ("*.hub.docker.com/**", "a.hub.docker.com/x"),
        ("index.docker.io:*/**", "x"),
        ("index.docker.io:5*/x", "index.docker.io:5000/x"),
        ("010.0.0.*/**", "010.0.0.example/x"),
        ("0x7f.*/**", "0x7f.example/x"),
        ("127.*:*/**", "127.1/x"),
    ] {
        assert!(allows(pattern, repository), "{pattern} {repository}");
    }
    // And what such a pattern covers of Docker Hub's other names doesn't count.
    assert!(!allows("docker.*/**", "docker.io/x"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// A pattern without a star that is accepted is a name's, and matches it.
    #[test]
    fn a_pattern_without_a_star_is_a_name(text in "[a-cA-C0-9.:_/\\[\\]-]{1,16}") {
        if let Ok(pattern) = text.parse::<Pattern>() {
            let name = text.parse::<Repository>();
            prop_assert!(name.is_ok(), "{}: {:?}", text, name);
            prop_assert!(pattern.allows(&name.unwrap().canonical()), "{}", text);
        }
    }

    /// Some text in the place of each star makes a name that is its own canonical form, so the pattern can match.
    #[test]
    fn a_pattern_with_stars_can_match(text in "([a-c*.-]{1,6}(:[0-9*]{1,4})?|\\[::1\\](:[0-9*]{1,4})?)(/[a-c0-9*_.-]{1,6}){1,2}") {
        if let Ok(pattern) = text.parse::<Pattern>() {
            let (registry, path) = text.split_once('/').unwrap();
            let (host, port) = match registry.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
                Some((host, port)) => (host, format!(":{port}")),
                None => (registry, String::new()),
            };
            let stars = ["a", "b.c", "1", "44", ""];
            let fits = stars.iter().flat_map(|host| stars.iter().map(move |port| (host, port))).any(|(h, p)| {
                let name = format!("{}{}/{}", host.replace('*', h), port.replace('*', p), path.replace('*', "a"));
                name.parse::<Repository>().is_ok_and(|name| pattern.allows(&name.canonical()))
            });
            prop_assert!(fits, "{}", text);
        }
    }
}
