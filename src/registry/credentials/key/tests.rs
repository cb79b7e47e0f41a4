//! Which keys fit which repositories.

use proptest::prelude::*;

use super::*;

fn fit(key: &str, repository: &str) -> Option<Fit> {
    fit_over(key, repository, false)
}

fn fit_over(key: &str, repository: &str, plain_http: bool) -> Option<Fit> {
    let repository: Repository = repository.parse().unwrap();
    Key::parse(key).unwrap_or_else(|| panic!("{key} is a key")).fit(&Target::of(&repository, plain_http))
}

/// Key, repository, whether it fits.
const TABLE: &[(&str, &str, bool)] = &[
    // Every dress of a host.
    ("reg.example", "reg.example/team/app", true),
    ("reg.example/", "reg.example/team/app", true),
    ("https://reg.example", "reg.example/team/app", true),
    ("HTTPS://reg.example", "reg.example/team/app", true),
    ("http://reg.example", "reg.example/team/app", true),
    ("https://reg.example/", "reg.example/team/app", true),
    ("https://reg.example/v1/", "reg.example/team/app", true),
    ("https://reg.example/v2/", "reg.example/team/app", true),
    ("https://reg.example/v2", "reg.example/team/app", true),
    ("reg.example/v1/", "reg.example/team/app", true),
    ("Reg.Example", "reg.example/team/app", true),
    ("reg.example", "REG.example/team/app", true),
    ("reg.example", "reg.example:0443/team/app", true),
    ("reg.example:0443", "reg.example/team/app", true),
    ("REG.example:05000", "reg.EXAMPLE:5000/app", true),
    ("127.1:5000", "0x7f.1:5000/app", true),
    ("[::ffff:10.0.0.1]:5000", "10.0.0.1:05000/app", true),
    ("docker.io/library", "registry-1.docker.io/alpine", true),
    // Other hosts.
    ("reg.example", "reg.example.evil/team/app", false),
    ("reg.example", "areg.example/team/app", false),
    ("reg.example", "a.reg.example/team/app", false),
    ("example", "reg.example/team/app", false),
    ("reg.example", "index.docker.io/reg/example", false),
    // Ports.
    ("reg.example", "reg.example:5000/app", false),
    ("reg.example:5000", "reg.example/app", false),
    ("reg.example:5000", "reg.example:5000/app", true),
    ("https://reg.example:5000/v2/", "reg.example:5000/app", true),
    ("reg.example:5000", "reg.example:50/app", false),
    ("reg.example:443", "reg.example/app", true),
    ("reg.example", "reg.example:443/app", true),
    ("https://reg.example:443/", "reg.example/app", true),
    ("http://reg.example:443", "reg.example/app", false),
    ("http://reg.example:80", "reg.example/app", false),
    ("http://reg.example:80", "reg.example:80/app", true),
    ("reg.example", "reg.example:80/app", false),
    ("localhost:5000", "localhost:5000/app", true),
    ("[::1]:5000", "[::1]:5000/app", true),
    ("[0:0::1]:5000", "[::1]:5000/app", true),
    ("[::1]", "[::1]:5000/app", false),
    ("10.0.0.1:5000", "10.0.0.1:5000/app", true),
    // Paths.
    ("reg.example/team", "reg.example/team", true),
    ("reg.example/team", "reg.example/team/app", true),
    ("reg.example/team/", "reg.example/team/app", true),
    ("https://reg.example/team", "reg.example/team/app", true),
    ("https://reg.example/v2/team", "reg.example/team/app", true),
    ("reg.example/team/app", "reg.example/team/app", true),
    ("reg.example/team/app", "reg.example/team/app/deep", true),
    ("reg.example/team", "reg.example/team-b/app", false),
    ("reg.example/team", "reg.example/teams", false),
    ("reg.example/team/app", "reg.example/team", false),
    ("reg.example/team/app", "reg.example/team/other", false),
    ("reg.example/app", "reg.example/team/app", false),
    // `v2` can be a repository's own first part.
    ("reg.example/v2/team", "reg.example/v2/team/app", true),
    ("reg.example/v2/team", "reg.example/team/app", false),
    ("reg.example/v2", "reg.example/v2/app", true),
    ("reg.example/v2", "reg.example/team/app", false),
    ("https://reg.example/v2x", "reg.example/x/app", false),
    // Docker Hub.
    ("docker.io", "alpine", true),
    ("index.docker.io", "docker.io/org/app", true),
    ("https://index.docker.io/v1/", "org/app", true),
    ("registry-1.docker.io", "org/app", true),
    ("https://registry-1.docker.io/v2/", "org/app", true),
    ("docker.io", "registry-1.docker.io/org/app", true),
    // As older tools wrote it.
    ("https://registry.hub.docker.com/v2/", "org/app", true),
    ("docker.io", "registry.hub.docker.com/org/app", true),
    ("hub.docker.com", "org/app", false),
    ("docker.io/org", "org/app", true),
    ("docker.io/org", "org-b/app", false),
    ("docker.io:5000", "org/app", false),
    ("hub.docker.io", "org/app", false),
    // What Docker Desktop keeps beside its login.
    ("https://index.docker.io/v1/access-token", "org/app", false),
    // Patterns.
    ("*.example.com", "a.example.com/app", true),
    ("*.EXAMPLE.com", "a.example.com/app", true),
    ("https://*.example.com/v2/", "a.example.com/app", true),
    ("*.example.com", "example.com/app", false),
    ("*.example.com", "a.b.example.com/app", false),
    ("*.*.example.com", "a.b.example.com/app", true),
    ("*.example.com", "a.example.com.evil/app", false),
    ("*.example.com", "a.example.com:5000/app", false),
    ("*.example.com:5000", "a.example.com:5000/app", true),
    ("*.example.com/team", "a.example.com/team/app", true),
    ("*.example.com/team", "a.example.com/team-b/app", false),
    ("app*.example.com", "app1.example.com/x", true),
    ("reg?.example.com", "reg1.example.com/x", true),
    ("reg?.example.com", "reg.example.com/x", false),
    ("reg[0-9].example.com", "reg1.example.com/x", true),
    ("reg[^0-9].example.com", "reg1.example.com/x", false),
    ("*", "reg.example/app", false),
    ("*.example.com/*", "a.example.com/team/app", false),
];

#[test]
fn keys_fit_what_they_name_and_nothing_else() {
    for (key, repository, want) in TABLE {
        assert_eq!(fit(key, repository).is_some(), *want, "{key} for {repository}");
    }
}

/// Keys, the repository, and whether they fit over HTTPS and over plain HTTP.
#[test]
fn point_10_no_port_is_the_default_one_of_https_or_of_plain_http() {
    for (keys, repository, https, plain) in [
        (
            &["reg.example", "https://reg.example", "http://reg.example/v2/"][..],
            "reg.example/app",
            true,
            true,
        ),
        (
            &["reg.example:443", "https://reg.example:0443/v1/", "*.example:443"],
            "reg.example/app",
            true,
            false,
        ),
        (&["reg.example:80", "http://reg.example:80", "*.example:080"], "reg.example/app", false, true),
        (&["http://reg.example:443"], "reg.example/app", false, false),
        (&["reg.example", "*.example"], "reg.example:80/app", false, true),
        (&["reg.example:80", "*.example:80"], "reg.example:80/app", true, true),
        (&["reg.example:443", "*.example:443"], "reg.example:80/app", false, false),
        (&["reg.example", "*.example"], "reg.example:443/app", true, false),
        (&["reg.example:443", "https://reg.example:443/"], "Reg.example:0443/app", true, true),
        (&["http://reg.example:443"], "reg.example:443/app", false, true),
        (&["reg.example:80"], "reg.example:443/app", false, false),
        (&["reg.example:5000", "*.example:5000"], "reg.example:5000/app", true, true),
        (&["reg.example", "reg.example:80", "reg.example:443"], "reg.example:5000/app", false, false),
        (&["docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"], "app", true, true),
        (&["docker.io:80", "index.docker.io:80"], "app", false, true),
        (&["docker.io:443", "index.docker.io:443"], "app", true, false),
    ] {
        for key in keys {
            assert_eq!(fit(key, repository).is_some(), https, "{key} for {repository} over HTTPS");
            assert_eq!(fit_over(key, repository, true).is_some(), plain, "{key} for {repository} over HTTP");
        }
    }
}

/// A key for one spelling of a registry fits every other, and no other registry's.
#[test]
fn every_spelling_of_a_name_has_the_same_credentials() {
    let all = crate::oci::spelling::spelled();
    let registry = |name: &str| name.split_once('/').unwrap().0.to_owned();
    for one in &all {
        let keys: Vec<Key> = one.spellings.iter().map(|name| Key::parse(&registry(name)).unwrap()).collect();
        for other in &all {
            let want = registry(&one.canonical) == registry(&other.canonical);
            let mut servers = Vec::new();
            for name in &other.spellings {
                let target = Target::of(&name.parse().unwrap(), false);
                assert!(
                    keys.iter().all(|key| key.fit(&target).is_some() == want),
                    "{} {name}",
                    one.canonical
                );
                servers.push(target.server().to_owned());
            }
            servers.dedup();
            assert_eq!(servers.len(), 1, "helpers are asked for one name: {servers:?}");
        }
    }
}

#[test]
fn what_names_no_registry_is_no_key() {
    for text in [
        "",
        "/",
        "/team",
        "https://",
        "ftp://reg.example",
        "https:/reg.example",
        "reg example",
        "reg.example:",
        "reg.example:port",
        "reg.example:+5000",
        "reg.example:0",
        "reg.example:65536",
        "reg.example:*",
        "user@reg.example",
        "https://user:password@reg.example",
        "[::1",
        "[x]",
        "reg[.example",
        "reg[].example",
        "*.{a,b}.example",
        "!*.example",
        "*\\.example",
        "reg..example",
    ] {
        assert_eq!(Key::parse(text), None, "{text:?}");
    }
}

#[test]
fn exact_hosts_come_first_then_longer_paths() {
    let repository = "a.example.com/team/app";
    let keys = [
        "a.example.com/team/app",
        "a.example.com/team",
        "a.example.com",
        "*.example.com/team",
        "*.example.com",
    ];
    let fits: Vec<Fit> = keys.iter().map(|key| fit(key, repository).unwrap()).collect();
    assert!(fits.is_sorted() && fits.windows(2).all(|pair| pair[0] != pair[1]), "{fits:?}");
}

#[test]
fn helpers_are_asked_as_docker_asks_them() {
    for (repository, want) in [
        ("alpine", "https://index.docker.io/v1/"),
        ("registry-1.docker.io/org/app", "https://index.docker.io/v1/"),
        ("registry.hub.docker.com/org/app", "https://index.docker.io/v1/"),
        ("Docker.IO:0443/org/app", "https://index.docker.io/v1/"),
        ("Reg.example:5000/team/app", "reg.example:5000"),
        ("Reg.example:0443/team/app", "reg.example"),
    ] {
        let repository: Repository = repository.parse().unwrap();
        assert_eq!(Target::of(&repository, false).server(), want);
    }
}

#[test]
fn over_plain_http_a_helper_is_asked_for_the_port_that_is_meant() {
    for (repository, want) in [
        ("reg.example/app", "reg.example"),
        ("reg.example:80/app", "reg.example"),
        ("reg.example:0443/app", "reg.example:443"),
        ("reg.example:5000/app", "reg.example:5000"),
        ("app", "https://index.docker.io/v1/"),
    ] {
        assert_eq!(Target::of(&repository.parse().unwrap(), true).server(), want, "{repository}");
    }
}

#[test]
fn a_password_in_a_key_is_not_shown() {
    assert_eq!(shown("https://user:hunter2@reg.example/team"), "reg.example/team");
    assert_eq!(shown("a\nb"), "a\\nb");
    assert!(shown(&"x".repeat(1000)).len() < 400);
}

fn components(range: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-c]{1,2}(-[a-c])?", range)
}

proptest! {
    /// Small alphabets, so that one name often is the beginning of another.
    #[test]
    fn no_key_fits_across_a_boundary(
        key_host in components(2..4), key_port in proptest::option::of(5000..5002u16), key_path in components(0..3),
        host in components(2..4), port in proptest::option::of(5000..5002u16), path in components(1..4),
        url in any::<bool>(), slash in any::<bool>(),
    ) {
        let port_text = |port: Option<u16>| port.map(|port| format!(":{port}")).unwrap_or_default();
        let mut key = format!("{}{}", key_host.join("."), port_text(key_port));
        if url { key.insert_str(0, "https://"); }
        for part in &key_path { key.push('/'); key.push_str(part); }
        if slash { key.push('/'); }
        let repository = format!("{}{}/{}", host.join("."), port_text(port), path.join("/"));
        let want = key_host == host && key_port == port && path.starts_with(&key_path);
        prop_assert_eq!(fit(&key, &repository).is_some(), want, "{} for {}", key, repository);
    }

    #[test]
    fn a_longer_name_is_another_name(
        host in components(2..4), path in components(1..4), more in "-?[a-z0-9]{1,3}",
    ) {
        let (host, path) = (host.join("."), path.join("/"));
        let key = format!("{host}/{path}");
        prop_assert!(fit(&key, &key).is_some());
        prop_assert_eq!(fit(&key, &format!("{key}{more}")), None);
        prop_assert_eq!(fit(&key, &format!("{host}{more}/{path}")), None);
        prop_assert_eq!(fit(&key, &format!("{host}:5000/{path}")), None);
        prop_assert_eq!(fit(&host, &format!("{host}.x{more}/{path}")), None);
    }

    #[test]
    fn any_text_is_a_key_or_none(text in any::<String>()) {
        let _ = Key::parse(&text);
        let _ = shown(&text);
    }
}
