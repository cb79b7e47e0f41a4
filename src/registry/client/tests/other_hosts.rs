//! Where a login goes, and where it doesn't: every way in which a registry leads to another host, each answer that such a
//! host can give, and what each server saw.

use super::network::{Ca, ca, server_config};
use super::server::{Reply, Seen, Server, answer, refusal};
use super::*;
use crate::exit::ExitCode;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The token that the registry's own token service gives.
pub(super) const TOKEN: &str = "hunter2-token";

/// What is transferred and who listens over TLS, and who is named with `--insecure-registry`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wire {
    /// HTTPS everywhere.
    Https,
    /// Plain HTTP everywhere; the registry is named.
    Named,
    /// Plain HTTP everywhere; all servers are named.
    AllNamed,
    /// Plain HTTP everywhere; nothing is named.
    Unnamed,
    /// The registry and its token service have HTTPS, the others have not.
    Downgrade,
}

/// How the registry wants logins.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scheme {
    Basic,
    /// Its token service is on its own port.
    Bearer,
    /// Its token service is on another port.
    BearerThere,
    /// The same, and the login is a refresh token.
    Identity,
}

/// How the registry leads to the other host.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Manifest,
    Blob,
    Head,
    Referrers,
    Upload,
    Link,
    Realm,
}

/// What the other host answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Says {
    Basic,
    OwnRealm,
    RegistrysRealm,
    ThirdRealm,
    NoChallenge,
    Denied,
    Fine,
    OnToFine,
    OnToRefusal,
    Back,
}

const SCHEMES: [Scheme; 4] = [Scheme::Basic, Scheme::Bearer, Scheme::BearerThere, Scheme::Identity];
const WAYS: [Way; 7] =
    [Way::Manifest, Way::Blob, Way::Head, Way::Referrers, Way::Upload, Way::Link, Way::Realm];
const ANSWERS: [Says; 10] = [
    Says::Basic,
    Says::OwnRealm,
    Says::RegistrysRealm,
    Says::ThirdRealm,
    Says::NoChallenge,
    Says::Denied,
    Says::Fine,
    Says::OnToFine,
    Says::OnToRefusal,
    Says::Back,
];

#[derive(Clone, Copy, Debug)]
struct Case {
    wire: Wire,
    scheme: Scheme,
    way: Way,
    says: Says,
    /// The name of the other host; the registry is `127.0.0.1`.
    name: &'static str,
}

/// The addresses, known when all servers listen.
#[derive(Debug, Default)]
struct Urls {
    registry: String,
    service: String,
    other: String,
    third: String,
}

pub(super) fn realm(url: &str) -> String {
    format!("Bearer realm=\"{url}/token\",service=\"s\"")
}

pub(super) fn wants(challenge: &str) -> Reply {
    refusal(401, &[("WWW-Authenticate", challenge), ("Set-Cookie", "a=hunter2")], "UNAUTHORIZED", "who?")
}

pub(super) fn lead_to(status: u16, url: &str) -> Reply {
    answer(status, &[("Location", url), ("Set-Cookie", "a=hunter2")], "")
}

pub(super) fn token(text: &str) -> Reply {
    answer(200, &[], format!(r#"{{"token":"{text}","expires_in":300}}"#))
}

fn content(target: &str) -> Reply {
    let body = match target {
        _ if target.contains("/referrers/") => r#"{"manifests":[]}"#,
        _ if target.contains("/blobs/") => "blob",
        _ => "{}",
    };
    answer(200, &[], body)
}

impl Case {
    /// Where the registry's own token service is.
    fn service<'a>(&self, urls: &'a Urls) -> &'a str {
        if self.scheme == Scheme::Bearer { &urls.registry } else { &urls.service }
    }

    fn token_service(&self, seen: &Seen, urls: &Urls) -> Reply {
        let good = match self.scheme {
            Scheme::Identity => String::from_utf8_lossy(&seen.body).contains(SECRET),
            _ => seen.who().as_deref() == Some("ci"),
        };
        match self.way {
            _ if !good => answer(401, &[], ""),
            Way::Realm => lead_to(307, &format!("{}{}", urls.other, seen.target)),
            _ => token(TOKEN),
        }
    }

    fn registry(&self, seen: &Seen, urls: &Urls) -> Reply {
        if seen.target.starts_with("/token") {
            return self.token_service(seen, urls);
        }
        let (user, challenge) = match self.scheme {
            Scheme::Basic => ("ci", "Basic realm=\"r\"".to_owned()),
            _ => (TOKEN, realm(self.service(urls))),
        };
        if seen.who().as_deref() != Some(user) {
            return wants(&challenge);
        }
        let away = format!("{}/away{}", urls.other, seen.target);
        match (self.way, seen.method.as_str()) {
            _ if seen.target.starts_with("/back") => content(&seen.target),
            (Way::Manifest, "GET") if seen.target.ends_with("/away") => lead_to(307, &away),
            (Way::Blob, "GET") if seen.target.contains("/blobs/") => lead_to(302, &away),
            (Way::Referrers, "GET") if seen.target.contains("/referrers/") => lead_to(301, &away),
            (Way::Head, "HEAD") => lead_to(308, &away),
            (Way::Upload, "POST") => lead_to(202, &away),
            (_, "POST") => lead_to(202, "/upload"),
            (Way::Head, "PUT") if seen.target.starts_with("/upload") => Reply::Cut(Vec::new()),
            (Way::Link, "GET") if seen.target.contains("/referrers/") => {
                answer(200, &[("Link", &format!("<{away}>; rel=\"next\""))], r#"{"manifests":[]}"#)
            }
            (_, "PUT") => answer(201, &[], ""),
            _ => content(&seen.target),
        }
    }

    fn other(&self, seen: &Seen, urls: &Urls) -> Reply {
        match self.says {
            _ if seen.target.starts_with("/token") && self.way != Way::Realm => token("theirs"),
            Says::Basic => wants("Basic realm=\"other\""),
            Says::OwnRealm => wants(&realm(&urls.other)),
            Says::RegistrysRealm => wants(&realm(self.service(urls))),
            Says::ThirdRealm => wants(&realm(&urls.third)),
            Says::NoChallenge => answer(401, &[], ""),
            Says::Denied => refusal(403, &[("WWW-Authenticate", &realm(&urls.other))], "DENIED", "no"),
            Says::Fine if self.way == Way::Realm => token("theirs"),
            Says::Fine if seen.method == "PUT" => answer(201, &[], ""),
            Says::Fine => content(&seen.target),
            Says::OnToFine | Says::OnToRefusal => lead_to(307, &format!("{}{}", urls.third, seen.target)),
            Says::Back => lead_to(307, &format!("{}/back{}", urls.registry, seen.target)),
        }
    }

    fn third(&self, seen: &Seen, urls: &Urls) -> Reply {
        match self.says {
            _ if seen.target.starts_with("/token") => token("theirs"),
            Says::OnToRefusal => wants(&realm(&urls.third)),
            _ => content(&seen.target),
        }
    }

    async fn ask(&self, client: &Client, repository: &Repository) -> Result<(), RegistryError> {
        let blob = Bytes::from_static(b"blob");
        let digest = Digest::of(&blob);
        match self.way {
            Way::Manifest | Way::Realm => client.manifest(repository, &tag("away")).await.map(drop),
            Way::Blob => client.blob(repository, &digest, 100).await.map(drop),
            Way::Head | Way::Upload => client.put_blob(repository, blob).await.map(drop),
            Way::Referrers | Way::Link => match client.referrers(repository, &digest, &|_| true).await? {
                Referrers::Listed(Listing { failed: Some(error), .. }) => Err(*error),
                _ => Ok(()),
            },
        }
    }

    /// What the error says, if there is to be one.
    fn fault(&self, urls: &Urls) -> Option<String> {
        let host = |url: &str| url.split("//").nth(1).unwrap().to_owned();
        let not_the_registry = |url: &str| {
            let (host, registry) = (host(url), host(&urls.registry));
            Some(format!("{host} is not the registry {registry}, so no login was sent to it"))
        };
        match (self.wire, self.way, self.says) {
            (Wire::Unnamed, ..) => Some("https://".to_owned()),
            (Wire::Downgrade, ..) => Some("it sends us from HTTPS to plain HTTP: http://".to_owned()),
            (_, Way::Link, _) => {
                Some("the next page of its list is on another host: ".to_owned() + &urls.other)
            }
            (_, Way::Realm, _) => Some(format!("the token service redirects to {}/token", urls.other)),
            (_, _, Says::Fine) => None,
            // What writes isn't sent on.
            (_, Way::Upload, Says::OnToFine | Says::OnToRefusal | Says::Back) => {
                Some("it answered 307, which means nothing here".to_owned())
            }
            (_, _, Says::OnToFine | Says::Back) => None,
            (_, _, Says::OnToRefusal) => not_the_registry(&urls.third),
            _ => not_the_registry(&urls.other),
        }
    }

    /// How often the other host and the third one are asked.
    fn asked(&self) -> (usize, usize) {
        let away = !matches!(self.way, Way::Link | Way::Realm)
            && !matches!(self.wire, Wire::Unnamed | Wire::Downgrade);
        let on = self.way != Way::Upload && matches!(self.says, Says::OnToFine | Says::OnToRefusal);
        (usize::from(away), usize::from(away && on))
    }

    /// What the registry and its token service get in `Authorization`.
    fn logins(&self) -> [BTreeSet<Option<String>>; 2] {
        let (ci, token) = (Some("ci"), Some(TOKEN));
        let (registry, service) = match self.scheme {
            _ if self.wire == Wire::Unnamed => (vec![], vec![]),
            Scheme::Basic => (vec![ci], vec![]),
            Scheme::Bearer => (vec![ci, token], vec![]),
            Scheme::BearerThere => (vec![ci, token], vec![ci]),
            Scheme::Identity => (vec![None, token], vec![None]),
        };
        [registry, service].map(|who| {
            let who = who.into_iter().filter(|who| self.way != Way::Realm || *who != token);
            who.map(|who| who.map(str::to_owned)).collect()
        })
    }

    async fn check(&self, tls: &Tls) {
        let urls: Arc<OnceLock<Urls>> = Arc::default();
        let start = |encrypts: bool, script: fn(&Case, &Seen, &Urls) -> Reply| {
            let (case, urls) = (*self, Arc::clone(&urls));
            let script = move |seen: &Seen, _: usize| match script(&case, seen, urls.get().unwrap()) {
                // The answer to a HEAD is its head.
                Reply::Bytes(mut bytes) if seen.method == "HEAD" => {
                    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
                    bytes.truncate(end + 4);
                    Reply::Bytes(bytes)
                }
                reply => reply,
            };
            Server::start_with(encrypts.then(|| tls.config.clone()), script)
        };
        let (home, away) = match self.wire {
            Wire::Https => (true, true),
            Wire::Downgrade => (true, false),
            Wire::Named | Wire::AllNamed | Wire::Unnamed => (false, false),
        };
        let registry = start(home, Case::registry).await;
        let service = start(home, Case::token_service).await;
        let other = start(away, Case::other).await;
        let third = start(away, Case::third).await;
        let url = |encrypts: bool, name: &str, server: &Server| {
            let scheme = if encrypts { "https" } else { "http" };
            format!("{scheme}://{name}:{}", server.address.port())
        };
        urls.set(Urls {
            registry: url(home, "127.0.0.1", &registry),
            service: url(home, "127.0.0.1", &service),
            other: url(away, self.name, &other),
            third: url(away, "localhost", &third),
        })
        .unwrap();

        let client = tls.client(self, [&registry, &service, &other, &third]);
        let result = self.ask(&client, &registry.repository()).await;
        let urls = urls.get().unwrap();
        for stranger in other.seen().iter().chain(&third.seen()) {
            assert!(!format!("{stranger:?}").contains(SECRET), "{self:?}: {stranger:?}");
            assert_eq!(
                (stranger.header("authorization"), stranger.header("cookie")),
                (None, None),
                "{self:?}"
            );
        }
        for seen in registry.seen().iter().chain(&service.seen()) {
            assert_eq!(seen.header("cookie"), None, "{self:?}");
        }
        match self.fault(urls) {
            None => result.unwrap_or_else(|error| panic!("{self:?}: {}", shown(&error))),
            Some(want) => {
                let error = result.map(|()| panic!("{self:?}: no error")).unwrap_err();
                let text = shown(&error);
                assert!(text.contains(&want), "{self:?}: {text}");
                // No login was refused: it was not sent.
                assert!(error.exit() == ExitCode::Failed && !error.is_denied(), "{self:?}: {text}");
                assert!(text.contains("do:    "), "{self:?}: {text}");
            }
        }
        // The login is still good for the registry.
        if self.way != Way::Realm && self.wire != Wire::Unnamed {
            assert!(client.manifest(&registry.repository(), &tag("here")).await.unwrap().is_some());
        }
        assert_eq!((other.seen().len(), third.seen().len()), self.asked(), "{self:?}");
        let seen = |server: &Server| server.seen().iter().map(Seen::who).collect::<BTreeSet<_>>();
        assert_eq!([seen(&registry), seen(&service)], self.logins(), "{self:?}");
    }
}

/// The servers' certificate, and what a client trusts.
pub(super) struct Tls {
    pub(super) config: rustls::ServerConfig,
    dir: tempfile::TempDir,
}

impl Tls {
    pub(super) fn new() -> Self {
        let (ca, dir): (Ca, _) = (ca(), tempfile::tempdir().unwrap());
        std::fs::write(dir.path().join("ca.pem"), &ca.pem).unwrap();
        let localhost = rcgen::SanType::DnsName("localhost".try_into().unwrap());
        let config =
            server_config(&ca, "127.0.0.1", |params| params.subject_alt_names.push(localhost.clone()));
        Self { config, dir }
    }

    pub(super) fn options(&self) -> ClientOptions {
        let mut options = options();
        // In place of the system's roots, which take longer to load than a case takes.
        options.environment.ssl_cert_file = Some(self.dir.path().join("ca.pem"));
        options
    }

    fn client(&self, case: &Case, servers: [&Server; 4]) -> Client {
        let mut options = self.options();
        let ports = servers.map(|server| server.address.port());
        options.insecure = match case.wire {
            Wire::Https | Wire::Unnamed | Wire::Downgrade => Vec::new(),
            Wire::Named => vec![servers[0].host()],
            Wire::AllNamed => ["127.0.0.1", "localhost"]
                .iter()
                .flat_map(|name| ports.iter().map(move |port| format!("{name}:{port}")))
                .collect(),
        };
        if case.wire == Wire::Unnamed {
            options.deadline = Instant::now() + Duration::from_millis(200);
        }
        let login = match case.scheme {
            Scheme::Identity => identity(),
            _ => login("ci"),
        };
        Client::new(options, Arc::new(Keys { logins: vec![login], asked: AtomicUsize::new(0) })).unwrap()
    }
}

fn identity() -> Credential {
    let login = Login::IdentityToken(Secret::from(format!("{SECRET}-refresh")));
    Credential { login, origin: "entry \"r\" of config.json".into() }
}

/// Checks each combination, the servers of each on a runtime of their own, which ends with it.
fn matrix(wire: Wire, answers: &[Says]) {
    let tls = Tls::new();
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for way in WAYS {
            for says in answers {
                let name = if cases.len() % 2 == 0 { "127.0.0.1" } else { "localhost" };
                cases.push(Case { wire, scheme, way, says: *says, name });
            }
        }
    }
    // Only a token service can redirect.
    cases.retain(|case| case.way != Way::Realm || case.scheme != Scheme::Basic);
    std::thread::scope(|scope| {
        for some in cases.chunks(cases.len().div_ceil(2)) {
            let tls = &tls;
            scope.spawn(move || {
                for case in some {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(case.check(tls));
                }
            });
        }
    });
}

#[test]
fn over_https_no_other_host_gets_the_login() {
    matrix(Wire::Https, &ANSWERS);
}

#[test]
fn over_plain_http_no_other_host_gets_the_login() {
    matrix(Wire::Named, &ANSWERS);
}

#[test]
fn a_host_that_is_named_insecure_gets_no_login_either() {
    matrix(Wire::AllNamed, &ANSWERS);
}

#[test]
fn a_registry_that_is_not_named_insecure_gets_nothing_over_plain_http() {
    matrix(Wire::Unnamed, &[Says::Fine]);
}

#[test]
fn no_way_leads_from_https_to_plain_http() {
    matrix(Wire::Downgrade, &[Says::OwnRealm]);
}
