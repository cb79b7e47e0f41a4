//! Which token service gets the login, by where it is and what is named insecure.

use super::other_hosts::{TOKEN, Tls, lead_to, realm, token, wants};
use super::server::{Seen, Server, answer};
use super::*;

/// A registry that names its token service at `realm`, a client with `insecure`, and whether the service is asked. `REGISTRY`
/// and `SERVICE` stand for their ports; `encrypts` tells which of the two have HTTPS.
struct Row {
    encrypts: (bool, bool),
    realm: &'static str,
    insecure: &'static [&'static str],
    login: bool,
    asked: bool,
}

const fn row(realm: &'static str, insecure: &'static [&'static str], asked: bool) -> Row {
    Row { encrypts: (false, false), realm, insecure, login: true, asked }
}

#[tokio::test]
async fn which_token_service_gets_the_login() {
    let tls = Tls::new();
    let https =
        |service, realm, insecure, asked| Row { encrypts: (true, service), ..row(realm, insecure, asked) };
    let rows = [
        // Over HTTPS, wherever the registry says.
        https(true, "https://127.0.0.1:SERVICE/token", &[], true),
        https(true, "https://localhost:SERVICE/token", &[], true),
        https(true, "https://LOCALHOST.:SERVICE/token", &[], true),
        // Not in the clear, whatever else is named.
        https(false, "http://127.0.0.1:SERVICE/token", &[], false),
        https(false, "http://127.0.0.1:SERVICE/token", &["127.0.0.1:SERVICE"], false),
        https(false, "http://localhost:SERVICE/token", &["localhost:SERVICE", "localhost"], false),
        // The registry is named: its own host, on any port and however it is written.
        row("http://127.0.0.1:SERVICE/token", &["127.0.0.1:REGISTRY"], true),
        row("http://0x7f.1:SERVICE/token", &["127.0.0.1:REGISTRY"], true),
        // Another host: only if it is named too, with its port.
        row("http://localhost:SERVICE/token", &["127.0.0.1:REGISTRY"], false),
        row("http://localhost:SERVICE/token", &["127.0.0.1:REGISTRY", "localhost"], false),
        row("http://localhost:SERVICE/token", &["127.0.0.1:REGISTRY", "localhost:REGISTRY"], false),
        row("http://localhost:SERVICE/token", &["127.0.0.1:REGISTRY", "127.0.0.1:SERVICE"], false),
        row("http://localhost:SERVICE/token", &["127.0.0.1:REGISTRY", "localhost:SERVICE"], true),
        row("http://LocalHost.:SERVICE/token", &["127.0.0.1:REGISTRY", "LOCALHOST:SERVICE"], true),
        // Without a login there is nothing to protect.
        Row { login: false, ..row("http://localhost:SERVICE/token", &["127.0.0.1:REGISTRY"], true) },
        Row { login: false, ..https(false, "http://localhost:SERVICE/token", &[], false) },
        // Addresses that mean something else than they seem to.
        row("http://127.0.0.1:REGISTRY@localhost:SERVICE/token", &["127.0.0.1:REGISTRY"], false),
        row("http://ci:hunter2@127.0.0.1:SERVICE/token", &["127.0.0.1:REGISTRY"], false),
        row("ftp://127.0.0.1:SERVICE/token", &["127.0.0.1:REGISTRY"], false),
        row("//127.0.0.1:SERVICE/token", &["127.0.0.1:REGISTRY"], true),
        https(true, "https://user@127.0.0.1:SERVICE/token", &[], false),
    ];
    for row in rows {
        let what = format!("{} {:?} {}", row.realm, row.insecure, row.encrypts.0);
        let config = |encrypts: bool| encrypts.then(|| tls.config.clone());
        let service = Server::start_with(config(row.encrypts.1), |_, _| token(TOKEN)).await;
        let port = service.address.port();
        let named = row.realm.to_owned();
        let registry = Server::start_with(config(row.encrypts.0), move |seen, _| {
            let own = seen.header("host").unwrap().rsplit(':').next().unwrap().to_owned();
            let named = named.replace("SERVICE", &port.to_string()).replace("REGISTRY", &own);
            match seen.who().as_deref() {
                Some(TOKEN) => answer(200, &[], "{}"),
                _ => wants(&format!("Bearer realm=\"{named}\"")),
            }
        })
        .await;
        let mut options = tls.options();
        let ports = |text: &&str| {
            let text = text.replace("SERVICE", &port.to_string());
            text.replace("REGISTRY", &registry.address.port().to_string())
        };
        options.insecure = row.insecure.iter().map(ports).collect();
        let client = Client::new(options, keys(if row.login { &["ci"] } else { &[] })).unwrap();
        let result = client.manifest(&registry.repository(), &tag("v1")).await;
        let got: Vec<_> = service.seen().iter().map(Seen::who).collect();
        assert_eq!(got.len(), usize::from(row.asked), "{what}");
        assert!(got.iter().all(|who| who.is_some() == row.login), "{what}: {got:?}");
        match result {
            Ok(_) => assert!(row.asked, "{what}"),
            Err(error) => {
                assert!(!row.asked && shown(&error).contains("do:    "), "{what}: {}", shown(&error))
            }
        }
    }
}

#[tokio::test]
async fn a_token_service_in_the_clear_is_named_with_what_allows_it() {
    let service = Server::start(|_, _| token(TOKEN)).await;
    let port = service.address.port();
    let challenge = format!("Bearer realm=\"http://localhost:{port}/token\"");
    let registry = Server::start(move |_, _| wants(&challenge)).await;
    let error = client(&registry, &["ci"]).manifest(&registry.repository(), &tag("v1")).await.unwrap_err();
    let text = shown(&error);
    let want =
        format!("the registry asks to send the login to http://localhost:{port}/token over plain HTTP");
    assert!(
        text.contains(&want) && text.contains(&format!("--insecure-registry localhost:{port}")),
        "{text}"
    );
}

#[tokio::test]
async fn each_registry_gets_its_own_token() {
    let start = |text: &'static str| {
        Server::start(move |seen, _| match seen.who().as_deref() {
            _ if seen.target.starts_with("/token") => token(text),
            Some(who) if who == text => answer(200, &[], "{}"),
            _ => wants(&realm(&format!("http://{}", seen.header("host").unwrap()))),
        })
    };
    let (one, two) = (start("one").await, start("two").await);
    let options = ClientOptions { insecure: vec![one.host(), two.host()], ..options() };
    let client = Client::new(options, keys(&["ci"])).unwrap();
    for name in ["a", "b"] {
        for server in [&one, &two] {
            assert!(client.manifest(&server.repository(), &tag(name)).await.unwrap().is_some());
        }
    }
    for (server, own) in [(one, "one"), (two, "two")] {
        let who: Vec<_> = server.seen().iter().map(|seen| seen.who().unwrap()).collect();
        assert_eq!(who, ["ci", "ci", own, own]);
    }
}

#[tokio::test]
async fn a_registry_named_insecure_that_has_https_is_told() {
    let tls = Tls::new();
    let secure = Server::start_with(Some(tls.config.clone()), |_, _| wants("Basic realm=\"r\"")).await;
    let there = format!("https://{}", secure.host());
    let plain = Server::start(move |seen, _| lead_to(301, &format!("{there}{}", seen.target))).await;
    let options = ClientOptions { insecure: vec![plain.host()], ..tls.options() };
    let client = Client::new(options, keys(&["ci"])).unwrap();
    let text = shown(&client.manifest(&plain.repository(), &tag("v1")).await.unwrap_err());
    let want =
        format!("https://{} is not http://{}, so no login was sent to it", secure.host(), plain.host());
    assert!(text.contains(&want), "{text}");
    assert!(text.contains(&format!("drop --insecure-registry {}", plain.host())), "{text}");
    assert_eq!(secure.lines(), ["GET /v2/team/app/manifests/v1"]);
}

#[tokio::test]
async fn what_a_proxy_asks_for_is_no_challenge() {
    let service = Server::start(|_, _| token(TOKEN)).await;
    let challenge = realm(&format!("http://{}", service.host()));
    let proxy = Server::start(move |_, _| {
        answer(407, &[("Proxy-Authenticate", &challenge), ("WWW-Authenticate", &challenge)], "")
    })
    .await;
    let mut options = options();
    options.insecure = vec!["registry.example".into(), service.host()];
    options.environment.http_proxy = Some(("HTTP_PROXY", format!("http://{}", proxy.host())));
    let client = Client::new(options, keys(&["ci"])).unwrap();
    let error = client.manifest(&"registry.example/app".parse().unwrap(), &tag("v1")).await.unwrap_err();
    assert!(shown(&error).contains("407 Proxy Authentication Required"), "{}", shown(&error));
    assert!(service.seen().is_empty() && !error.is_denied());
}
