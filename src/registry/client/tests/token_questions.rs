//! Which token service is asked for what, in which way, and what each refusal leads to.

use super::other_hosts::{realm, token, wants};
use super::server::{Reply, Seen, Server, answer};
use super::*;
use crate::exit::ExitCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A registry that gives each repository a token service of its own, `/token/PATH`; one refuses the other's scope with `status`.
async fn with_two_realms(status: u16) -> Server {
    Server::start(move |seen, _| {
        if let Some((path, query)) = seen.target.strip_prefix("/token/").and_then(|rest| rest.split_once('?'))
        {
            let is_own =
                query.contains(&format!("repository%3A{path}%3A")) && seen.who().as_deref() == Some("ci");
            return if is_own { token(path) } else { answer(status, &[], "") };
        }
        let path = seen.target["/v2/".len()..].split('/').next().unwrap();
        match seen.who().as_deref() {
            Some(who) if who == path => answer(200, &[], "{}"),
            _ => {
                let url = format!("http://{}/token/{path}", seen.header("host").unwrap());
                wants(&format!("Bearer realm=\"{url}\",service=\"s\""))
            }
        }
    })
    .await
}

#[tokio::test]
async fn each_repository_has_the_token_service_that_its_own_challenge_names() {
    for status in [400, 401, 403, 404, 405, 410, 418] {
        let server = with_two_realms(status).await;
        let client = client(&server, &["ci"]);
        let repository = |path: &str| format!("{}/{path}", server.host()).parse().unwrap();
        for (path, name) in [("a", "v1"), ("b", "v1"), ("a", "v2"), ("b", "v2")] {
            let found = client.manifest(&repository(path), &tag(name)).await;
            assert!(found.unwrap_or_else(|error| panic!("{status}: {}", shown(&error))).is_some());
            let put =
                client.put_manifest(&repository(path), &tag("new"), "x/y", Bytes::from_static(b"{}")).await;
            put.unwrap_or_else(|error| panic!("{status}: {}", shown(&error)));
        }
        let lines = server.lines();
        let at =
            |path: &str| lines.iter().filter(|line| line.contains(&format!("GET /token/{path}?"))).count();
        // The second repository's token is asked for where the first's is, once, and then where its own challenge says.
        assert_eq!((at("a"), at("b")), (2, 1), "{status}: {lines:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_sent_to_a_token_service_once() {
    let server = Server::start(|seen, _| match seen.target.starts_with("/token") {
        true => answer(401, &[], ""),
        false => {
            let realm = realm(&format!("http://{}", seen.header("host").unwrap()));
            wants(&format!("{realm},scope=\"repository:shared:pull,push\""))
        }
    })
    .await;
    let client = client(&server, &["ci"]);
    for (number, path) in ["team/app", "b", "c"].into_iter().enumerate() {
        let repository = format!("{}/{path}", server.host()).parse().unwrap();
        for name in ["v1", "v2"] {
            let error = client.manifest(&repository, &tag(name)).await.unwrap_err();
            assert_eq!(error.exit(), ExitCode::Refused, "{}", shown(&error));
        }
        if number > 0 {
            let own = format!("repository%3A{path}%3A");
            let asked = server.lines().iter().filter(|line| line.contains(&own)).count();
            assert_eq!(asked, 1, "{:?}", server.lines());
        }
    }
}

/// A token service that `answers`, and its registry.
async fn service(answers: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen, _| match seen.target.starts_with("/token") {
        true => answers(seen),
        false if seen.who().as_deref() == Some("t") => answer(200, &[], "{}"),
        false => wants(&realm(&format!("http://{}", seen.header("host").unwrap()))),
    })
    .await
}

#[tokio::test]
async fn whatever_a_token_service_refuses_one_login_with_the_next_is_tried() {
    for status in [400, 401, 402, 403, 404, 405, 406, 409, 410, 412, 415, 418, 422] {
        let server = service(move |seen| match (seen.method.as_str(), seen.who().as_deref()) {
            ("GET", Some("second")) => token("t"),
            _ => answer(status, &[], r#"{"message":"no"}"#),
        })
        .await;
        let found = client(&server, &["first", "second"]).manifest(&server.repository(), &tag("v1")).await;
        assert!(found.unwrap_or_else(|error| panic!("{status}: {}", shown(&error))).is_some());
        // Alone it is an error that says who refused.
        let error = client(&server, &["first"]).manifest(&server.repository(), &tag("v1")).await.unwrap_err();
        let refused = matches!(status, 400 | 401 | 403);
        assert_eq!(error.exit(), if refused { ExitCode::Refused } else { ExitCode::Failed }, "{status}");
        let text = shown(&error);
        assert!(text.contains("/token") && text.contains("do:    ") && !text.contains("Harbor"), "{text}");
        assert!(text.contains("used:  user \"first\""), "{status}: {text}");
    }
}

#[tokio::test]
async fn a_token_service_that_fails_for_a_moment_is_asked_again_with_the_same_login() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = service(move |_| match first.swap(false, Ordering::Relaxed) {
        true => answer(503, &[], ""),
        false => token("t"),
    })
    .await;
    assert!(
        client(&server, &["ci", "other"]).manifest(&server.repository(), &tag("v1")).await.unwrap().is_some()
    );
    assert!(server.seen().iter().all(|seen| seen.who().as_deref() != Some("other")));
}

/// The pairs of a form.
fn form(seen: &Seen) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&seen.body).into_owned().collect()
}

#[tokio::test]
async fn a_token_service_without_get_gets_the_password_by_post() {
    let server = service(|seen| match seen.method.as_str() {
        "POST" => {
            let want = [
                ("grant_type", "password".to_owned()),
                ("client_id", "stepseal".to_owned()),
                ("service", "s".to_owned()),
                ("scope", "repository:team/app:pull,push".to_owned()),
                ("username", "ci".to_owned()),
                ("password", format!("{SECRET}-ci")),
            ];
            let is_good = form(seen)
                .iter()
                .map(|(name, value)| (name.as_str(), value))
                .eq(want.iter().map(|(name, value)| (*name, value)));
            if is_good { token("t") } else { answer(400, &[], "") }
        }
        _ => answer(405, &[], ""),
    })
    .await;
    let client = client(&server, &["ci"]);
    assert!(client.manifest(&server.repository(), &tag("v1")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_token_service_without_post_gets_the_refresh_token_by_get() {
    use base64::Engine as _;
    for status in [404, 405] {
        let server = service(move |seen| {
            let login = base64::engine::general_purpose::STANDARD.encode(format!(":{SECRET}-refresh"));
            match (seen.method.as_str(), seen.header("authorization")) {
                ("GET", Some(header)) if header == format!("Basic {login}") => token("t"),
                ("GET", _) => answer(401, &[], ""),
                _ => answer(status, &[], ""),
            }
        })
        .await;
        let login = Login::IdentityToken(Secret::from(format!("{SECRET}-refresh")));
        let keys = Keys { logins: vec![Credential { login, origin: "here".into() }], ..Keys::default() };
        let options = ClientOptions { insecure: vec![server.host()], ..options() };
        let client = Client::new(options, Arc::new(keys)).unwrap();
        let found = client.manifest(&server.repository(), &tag("v1")).await;
        assert!(found.unwrap_or_else(|error| panic!("{status}: {}", shown(&error))).is_some());
    }
}

#[tokio::test]
async fn a_good_token_counts_whatever_type_it_comes_with() {
    for kind in ["text/html; charset=UTF-8", "text/plain", "application/octet-stream", ""] {
        let server = service(move |_| answer(200, &[("Content-Type", kind)], r#"{"token":"t"}"#)).await;
        let found = client(&server, &["ci"]).manifest(&server.repository(), &tag("v1")).await;
        assert!(found.unwrap().is_some(), "{kind}");
    }
    let server =
        service(|_| answer(200, &[("Content-Type", "text/html")], "<html><title>Sign in</title>")).await;
    let error = client(&server, &["ci"]).manifest(&server.repository(), &tag("v1")).await.unwrap_err();
    assert!(shown(&error).contains("it answered with an HTML page, \"Sign in\""), "{}", shown(&error));
}

#[tokio::test]
async fn a_token_service_with_the_wrong_scheme_is_named() {
    // HTTPS is named, and plain HTTP is spoken.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_host = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.read(&mut [0; 16]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    // Plain HTTP is named, and HTTPS is spoken.
    let wants_https =
        Server::start(|_, _| answer(400, &[], "Client sent an HTTP request to an HTTPS server.\n")).await;
    for (url, has) in [
        (format!("https://{plain_host}/token"), "plain HTTP only"),
        (format!("http://{}/token", wants_https.host()), "HTTPS"),
    ] {
        let challenge = format!("Bearer realm=\"{url}\",service=\"s\"");
        let registry = Server::start(move |_, _| wants(&challenge)).await;
        let error =
            client(&registry, &["ci"]).manifest(&registry.repository(), &tag("v1")).await.unwrap_err();
        let text = shown(&error);
        assert!(text.contains(&format!("in front of it): {url} has {has}")), "{text}");
        assert!(!text.contains("--insecure-registry"), "{text}");
    }
}

#[tokio::test]
async fn a_token_that_worked_and_is_refused_is_made_anew_once() {
    for status in [401, 403] {
        for recovers in [true, false] {
            let tokens = AtomicUsize::new(0);
            let server = Server::start(move |seen, _| {
                if seen.target.starts_with("/token") {
                    return token(&format!("t{}", tokens.fetch_add(1, Ordering::Relaxed)));
                }
                match seen.who().as_deref() {
                    Some("t0") if seen.target.ends_with("v1") => answer(200, &[], "{}"),
                    Some("t1") if recovers => answer(200, &[], "{}"),
                    Some(who) if who.starts_with('t') => answer(status, &[], ""),
                    _ => wants(&realm(&format!("http://{}", seen.header("host").unwrap()))),
                }
            })
            .await;
            let client = client(&server, &["ci"]);
            client.manifest(&server.repository(), &tag("v1")).await.unwrap();
            let found = client.manifest(&server.repository(), &tag("v2")).await;
            assert_eq!(found.is_ok(), recovers, "{status}");
            assert_eq!(client.stats().tokens, 2, "{status} {recovers}");
        }
    }
}

#[tokio::test]
async fn a_scheme_that_is_not_spoken_is_named() {
    for (header, named) in [("Negotiate", "Negotiate"), ("Digest realm=\"x\", nonce=\"y\"", "Digest")] {
        for users in [&["ci"][..], &[]] {
            let server = Server::start(move |_, _| wants(header)).await;
            let error = client(&server, users).manifest(&server.repository(), &tag("v1")).await.unwrap_err();
            let text = shown(&error);
            assert!(text.contains(&format!("offers only logins by {named}")), "{text}");
            assert_eq!(error.exit(), ExitCode::Refused);
        }
    }
}

/// A client whose login is ECR's and expires at this time, in seconds since 1970.
fn ecr_client(server: &Server, expiration: u64) -> Client {
    use base64::Engine as _;
    let token = serde_json::json!({ "payload": SECRET, "version": "2", "expiration": expiration });
    let password = Secret::from(base64::engine::general_purpose::STANDARD.encode(token.to_string()));
    let login = Login::Basic { user: "AWS".into(), password };
    let keys = Keys { logins: vec![Credential { login, origin: "here".into() }], ..Keys::default() };
    let options = ClientOptions { insecure: vec![server.host()], ..options() };
    Client::new(options, Arc::new(keys)).unwrap()
}

#[tokio::test]
async fn what_ecr_refuses_a_login_with_is_understood() {
    let denied = r#"{"errors":[{"code":"DENIED","message":"Your Authorization Token is invalid."}]}"#;
    for body in [denied, "Your Authorization Token is invalid."] {
        for (expiration, want) in [
            (1, "this login for Amazon ECR has expired"),
            (u64::MAX, "Amazon ECR refuses this login: make it for the account and region of this registry"),
        ] {
            let server = Server::start(move |seen, _| match seen.header("authorization") {
                Some(_) => answer(400, &[], body),
                None => answer(
                    401,
                    &[("WWW-Authenticate", "Basic realm=\"ecr\",service=\"ecr.amazonaws.com\"")],
                    "",
                ),
            })
            .await;
            let client = ecr_client(&server, expiration);
            let error = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
            let text = shown(&error);
            assert!(text.contains(want) && text.contains("used:  user \"AWS\""), "{body}: {text}");
            assert_eq!(error.exit(), ExitCode::Refused, "{text}");
        }
    }
    // Another 400 is not about the login.
    let server = Server::start(|_, _| answer(400, &[], r#"{"errors":[{"code":"TAG_INVALID"}]}"#)).await;
    let client = ecr_client(&server, 1);
    let error = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
    assert_eq!(error.exit(), ExitCode::Failed, "{}", shown(&error));
}

/// How often a token service is asked where `images` images are looked for at once, and then written beside: it gives a token to each login, and
/// `may` says what the registry lets them do.
async fn tokens_for(images: usize, users: &[&str], may: fn(&Seen) -> bool) -> u64 {
    let server = Server::start(move |seen, number| {
        if seen.target.starts_with("/token") {
            return Reply::Late(Duration::from_millis(20), Box::new(token(&format!("t{number}"))));
        }
        match seen.who().as_deref() {
            Some(who) if who.starts_with('t') && may(seen) => answer(200, &[], "{}"),
            _ => wants(&realm(&format!("http://{}", seen.header("host").unwrap()))),
        }
    })
    .await;
    let (client, repository) = (client(&server, users), server.repository());
    let image = |number: usize| {
        let (client, repository) = (&client, &repository);
        async move {
            let (image, list) = (tag(&format!("v{number}")), tag(&format!("v{number}.sig")));
            let read = tokio::join!(client.manifest(repository, &image), client.manifest(repository, &list));
            let write = client.put_manifest(repository, &list, "x/y", Bytes::new()).await;
            for error in [read.0.err(), read.1.err(), write.err()].into_iter().flatten() {
                assert_eq!(error.exit(), ExitCode::Refused, "{}", shown(&error));
            }
        }
    };
    futures_util::future::join_all((0..images).map(image)).await;
    client.stats().tokens
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_to_read_and_once_to_write_however_many_requests_there_are() {
    for images in [1, 20] {
        // A wrong password, as Harbor gives it tokens.
        assert!(tokens_for(images, &["ci"], |_| false).await <= 3, "{images}");
        // Nobody may do anything.
        assert!(tokens_for(images, &[], |_| false).await <= 3, "{images}");
        // A login that may only read.
        assert_eq!(tokens_for(images, &["ci"], |seen| seen.method == "GET").await, 2, "{images}");
        assert_eq!(tokens_for(images, &["ci"], |_| true).await, 1, "{images}");
    }
}
