//! Spellings of a few repositories, for the tests of everything that compares names.

/// A repository's canonical name, and many spellings of it, itself among them.
#[derive(Debug)]
pub(crate) struct Spelled {
    pub(crate) canonical: String,
    pub(crate) spellings: Vec<String>,
}

/// Hosts: the canonical form, and others of it in lower case. Names without a dot are not hosts unless a port follows.
const HOSTS: [(&str, &[&str]); 6] = [
    ("registry.example", &["registry.example"]),
    ("localhost", &["localhost"]),
    (
        "127.0.0.1",
        &[
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0x7f.1",
            "0177.0.0.1",
            "127.000.000.001",
            "2130706433",
            "0x7f000001",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
        ],
    ),
    ("[::1]", &["[::1]", "[0:0:0:0:0:0:0:1]", "[0::0001]"]),
    ("[fd00::a]", &["[fd00::a]", "[fd00:0::000a]"]),
    ("index.docker.io", &["index.docker.io", "docker.io", "registry-1.docker.io", "registry.hub.docker.com"]),
];

/// Ports: the canonical form, and others of it.
const PORTS: [(&str, &[&str]); 3] =
    [("", &["", ":443", ":0443", ":00000443"]), (":5000", &[":5000", ":05000"]), (":80", &[":80", ":080"])];

/// Every combination of them.
pub(crate) fn spelled() -> Vec<Spelled> {
    let mut all = Vec::new();
    for (host, hosts) in HOSTS {
        for (port, ports) in PORTS {
            let is_hub = host == "index.docker.io" && port.is_empty();
            // On another port Docker Hub's names are those of different registries.
            let hosts = if host == "index.docker.io" && !is_hub { &[host] } else { hosts };
            for (path, paths) in [
                ("team/app", &["team/app"][..]),
                ("library/x", if is_hub { &["library/x", "x"] } else { &["library/x"] }),
            ] {
                all.push(Spelled {
                    canonical: format!("{host}{port}/{path}"),
                    spellings: all_of(hosts, ports, paths),
                });
            }
        }
    }
    all
}

fn all_of(hosts: &[&str], ports: &[&str], paths: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for (host, port, path) in hosts
        .iter()
        .flat_map(|host| ports.iter().map(move |port| (host, port)))
        .flat_map(|(host, port)| paths.iter().map(move |path| (host, port, path)))
    {
        let mixed: String =
            host.char_indices().map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect();
        for host in [(*host).to_owned(), host.to_ascii_uppercase(), mixed] {
            let registry = format!("{host}{port}");
            if registry.contains(['.', ':']) || registry == "localhost" {
                all.push(format!("{registry}/{path}"));
            }
        }
    }
    all
}
