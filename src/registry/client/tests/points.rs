//! Ways of logging in that products have: what they answer to a login that they don't take, and how they ask for another.

use super::server::{Reply, Seen, Server, answer, refusal};
use super::*;
use crate::exit::ExitCode;

const BASIC: &str = "Basic realm=\"harbor\"";

/// What a login is answered, with these headers.
type ToLogin = fn(&[(&str, &str)]) -> Reply;

fn bearer(seen: &Seen, more: &str) -> String {
    format!("Bearer realm=\"http://{}/token\",service=\"s\"{more}", seen.header("host").unwrap())
}

fn challenge(seen: &Seen, more: &str) -> Reply {
    refusal(401, &[("WWW-Authenticate", &bearer(seen, more))], "UNAUTHORIZED", "who?")
}

fn token(text: &str) -> Reply {
    answer(200, &[], format!(r#"{{"token":"{text}","expires_in":300}}"#))
}

fn fine() -> Reply {
    answer(200, &[], "{}")
}

/// What each request carried.
fn who(server: &Server) -> Vec<String> {
    server.seen().iter().map(|seen| seen.who().unwrap_or_default()).collect()
}

fn is_basic(seen: &Seen) -> bool {
    seen.header("authorization").is_some_and(|header| header.starts_with("Basic "))
}

/// A registry that takes tokens only, and answers a login with `to_login`; only a bare request learns of the token service, at all
/// addresses or at the root alone.
async fn tokens_only(at_root: bool, to_login: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen, _| match seen.who().as_deref() {
        Some("ci") if seen.target.starts_with("/token") => token("t"),
        Some("t") => fine(),
        Some(_) if is_basic(seen) => to_login(),
        _ if seen.target == "/v2/" || !at_root => challenge(seen, ""),
        // Anyone may read.
        _ => fine(),
    })
    .await
}

#[tokio::test]
async fn point_5_a_refused_or_useless_login_is_followed_by_what_a_bare_request_is_asked_for() {
    let basic = [("WWW-Authenticate", BASIC)];
    let answers: [ToLogin; 6] = [
        |basic| refusal(401, basic, "UNAUTHORIZED", "no"),
        |_| refusal(401, &[], "UNAUTHORIZED", "no"),
        |_| answer(403, &[], ""),
        |_| refusal(400, &[], "DENIED", "Your Authorization Token is invalid"),
        |_| answer(400, &[], "bad request"),
        |_| refusal(412, &[], "PROJECTPOLICYVIOLATION", "not signed"),
    ];
    for (number, to_login) in answers.into_iter().enumerate() {
        for at_root in [false, true] {
            let server = tokens_only(at_root, move || to_login(&basic)).await;
            let client = client(&server, &["ci"]);
            for name in ["a", "b"] {
                let found = client.manifest(&server.repository(), &tag(name)).await;
                found.map_err(|error| shown(&error)).unwrap();
            }
            let want: &[&str] = match at_root {
                false => &["ci", "", "ci", "t", "t"],
                true => &["ci", "", "", "ci", "t", "t"],
            };
            assert_eq!(who(&server), want, "{number}");
            assert_eq!(server.lines()[1], "GET /v2/team/app/manifests/a", "{number}");
        }
    }
}

#[tokio::test]
async fn point_5_what_is_written_is_never_written_as_nobody() {
    let server = tokens_only(false, || answer(403, &[], "")).await;
    let client = client(&server, &["ci"]);
    client.put_manifest(&server.repository(), &tag("a"), "x/y", Bytes::new()).await.unwrap();
    assert_eq!(server.lines()[1], "GET /v2/");
    assert_eq!(who(&server), ["ci", "", "ci", "t"]);
}

/// What a bare request gets is no failure of the request itself.
#[tokio::test]
async fn point_5_a_bare_answer_of_no_use_leaves_the_question_for_the_root() {
    let page = "x".repeat(5 * 1024 * 1024);
    let useless: [fn(&str) -> Reply; 3] = [
        |_| answer(307, &[("Location", "ftp://elsewhere.example/")], ""),
        |_| answer(307, &[("Location", "/v2/team/app/manifests/a")], ""),
        |page| answer(200, &[], page),
    ];
    for useless in useless {
        let page = page.clone();
        let server = Server::start(move |seen, _| match seen.who().as_deref() {
            Some("ci") if seen.target.starts_with("/token") => token("t"),
            Some("t") => fine(),
            Some(_) => answer(401, &[], ""),
            None if seen.target == "/v2/" => challenge(seen, ""),
            None => useless(&page),
        })
        .await;
        let found = client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await;
        found.map_err(|error| shown(&error)).unwrap();
    }
}

/// Where anyone may read, that is not taken for the answer to a login that was refused.
#[tokio::test]
async fn point_5_a_request_that_has_logins_does_not_end_up_as_nobodys() {
    let server = Server::start(|seen, _| match seen.who() {
        Some(_) => refusal(401, &[("WWW-Authenticate", BASIC)], "UNAUTHORIZED", "wrong"),
        None => fine(),
    })
    .await;
    let error = client(&server, &["a", "b"]).manifest(&server.repository(), &tag("v1")).await.unwrap_err();
    assert!(shown(&error).contains("401 UNAUTHORIZED: wrong"), "{}", shown(&error));
    assert_eq!(error.exit(), ExitCode::Refused);
    assert_eq!(who(&server), ["a", "", "", "b"]);
}

#[tokio::test]
async fn point_5_an_answer_that_is_not_about_the_login_stands_without_another_request() {
    for (status, code) in
        [(400, "MANIFEST_INVALID"), (400, "UNSUPPORTED"), (404, "DENIED"), (409, ""), (412, "")]
    {
        let server = Server::start(move |_, _| refusal(status, &[], code, "no")).await;
        let client = client(&server, &["ci"]);
        let put = client.put_manifest(&server.repository(), &tag("a"), "x/y", Bytes::new()).await;
        assert!(shown(&put.unwrap_err()).contains(&status.to_string()));
        assert_eq!(who(&server), ["ci"], "{status} {code}");
    }
    // A login that has worked is not in doubt because of a 400.
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "PUT" => answer(400, &[], "immutable"),
        _ => fine(),
    })
    .await;
    let client = client(&server, &["ci"]);
    client.manifest(&server.repository(), &tag("a")).await.unwrap();
    client.put_manifest(&server.repository(), &tag("a"), "x/y", Bytes::new()).await.unwrap_err();
    assert_eq!(who(&server), ["ci", "ci"]);
}

/// Harbor's policy: unsigned manifests are for tokens that may push, of a client that names cosign.
async fn harbor(bearer_only: bool) -> Server {
    Server::start(move |seen, _| {
        let agent = seen.header("user-agent").unwrap_or_default();
        let who = seen.who();
        if seen.target.starts_with("/token") {
            return match who.as_deref() {
                Some("puller") => token("reads"),
                Some(_) if seen.target.contains("push") => token("pushes"),
                _ => token("reads"),
            };
        }
        match who.as_deref() {
            None => challenge(seen, ""),
            Some(_) if is_basic(seen) && bearer_only => {
                refusal(401, &[("WWW-Authenticate", BASIC)], "UNAUTHORIZED", "")
            }
            Some("pushes") if agent.contains("cosign") => fine(),
            _ if matches!(seen.method.as_str(), "GET" | "HEAD")
                && seen.target.contains("/manifests/sha256") =>
            {
                refusal(412, &[], "PROJECTPOLICYVIOLATION", "current image is not signed")
            }
            _ => fine(),
        }
    })
    .await
}

#[tokio::test]
async fn point_5_under_harbors_policy_a_token_with_push_is_asked_for_to_read_too() {
    let unsigned = Target::Digest(Digest::of(b"{}"));
    for bearer_only in [false, true] {
        for access in [Access::Pull, Access::PullPush] {
            let server = harbor(bearer_only).await;
            let client = client_with(ClientOptions { access, ..options() }, &server, &["ci"]);
            // Others come first, so that the login has proven itself.
            client.manifest(&server.repository(), &tag("a")).await.unwrap();
            for _ in 0..2 {
                let found = client.manifest(&server.repository(), &unsigned).await;
                found.map_err(|error| shown(&error)).unwrap();
            }
            assert_eq!(who(&server).last().unwrap(), "pushes");
            let asked = server.lines().len();
            client.manifest(&server.repository(), &unsigned).await.unwrap();
            assert_eq!(server.lines().len(), asked + 1, "{:?}", server.lines());
        }
    }
}

#[tokio::test]
async fn point_5_the_policys_answer_is_what_a_login_without_push_is_told() {
    let unsigned = Target::Digest(Digest::of(b"{}"));
    for access in [Access::Pull, Access::PullPush] {
        let server = harbor(true).await;
        let client = client_with(ClientOptions { access, ..options() }, &server, &["puller"]);
        let error = client.manifest(&server.repository(), &unsigned).await.unwrap_err();
        let text = shown(&error);
        assert!(text.contains("412 PROJECTPOLICYVIOLATION: current image is not signed"), "{text}");
        assert!(text.contains("used:  user \"puller\"") && text.contains("may push"), "{text}");
        assert!(server.lines().len() < 10, "{:?}", server.lines());
    }
    // The next login may have it.
    let server = harbor(true).await;
    let client = client(&server, &["puller", "ci"]);
    client.manifest(&server.repository(), &unsigned).await.unwrap();
}

#[tokio::test]
async fn point_5_every_way_to_write_a_challenge_leads_to_the_token_service() {
    for form in [
        "Bearer realm=\"REALM\",service=\"s\"",
        "bearer Realm = 'REALM' , Service = 's'",
        "Bearer realm=REALM;service=s",
        "Basic, Bearer realm=\"REALM\",service=\"s\"",
        "Negotiate, Basic realm=\"a, b\", Bearer service=\"s\",realm=\"REALM\"",
        "Bearer, Bearer realm=\"REALM\",service=\"s\"",
        // Over several lines.
        "Bearer\r\n realm=\"REALM\",\r\n\tservice=\"s\"",
        // In several headers.
        "Basic realm=x\r\nWWW-Authenticate: Bearer realm=\"REALM\",service=\"s\"",
        "Digest\r\nwww-authenticate: Bearer service=x\r\nWWW-AUTHENTICATE: Bearer realm='REALM',service='s'",
    ] {
        let server = Server::start(move |seen, _| match seen.who().as_deref() {
            Some("t") => fine(),
            _ if seen.target == "/token?service=s&scope=repository%3Ateam%2Fapp%3Apull%2Cpush" => token("t"),
            _ => {
                let realm = format!("http://{}/token", seen.header("host").unwrap());
                answer(401, &[("WWW-Authenticate", &form.replace("REALM", &realm))], "")
            }
        })
        .await;
        let found = client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await;
        found.unwrap_or_else(|error| panic!("{form}: {}", shown(&error)));
    }
}

#[tokio::test]
async fn point_5_a_service_comes_back_byte_for_byte() {
    for (service, want) in [
        (&b"r\xe9gistre & co"[..], "r%E9gistre+%26+co"),
        ("r\u{e9}gistre".as_bytes(), "r%C3%A9gistre"),
        (b"\xff", "%FF"),
    ] {
        let server = Server::start(move |seen, _| match seen.who().as_deref() {
            Some("t") => fine(),
            _ if seen.target.starts_with("/token") => token("t"),
            _ => {
                let host = seen.header("host").unwrap();
                let mut bytes = b"HTTP/1.1 401 X\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer ".to_vec();
                bytes.extend(format!("realm=\"http://{host}/token?x=%20y\",service=\"").as_bytes());
                bytes.extend_from_slice(service);
                bytes.extend_from_slice(b"\"\r\n\r\n");
                Reply::Bytes(bytes)
            }
        })
        .await;
        client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await.unwrap();
        let asked =
            format!("GET /token?x=%20y&service={want}&scope=repository%3Ateam%2Fapp%3Apull%2Cpush ci");
        assert_eq!(server.lines()[1], asked);
    }
}

#[tokio::test]
async fn point_5_of_several_token_services_the_first_that_can_be_used_is_asked() {
    for (unusable, answers) in [
        ("ftp://HOST/token", fine as fn() -> Reply),
        ("https://user:pw@HOST/token", fine),
        ("http://elsewhere.example/token", fine),
        ("http://HOST/page", || answer(200, &[], "<html>")),
        ("http://HOST/gone", || answer(404, &[], "")),
        ("http://HOST/refuses", || answer(401, &[], "")),
    ] {
        let server = Server::start(move |seen, _| match seen.who().as_deref() {
            Some("t") => fine(),
            _ if seen.target.starts_with("/token") => token("t"),
            _ if !seen.target.starts_with("/v2/") => answers(),
            _ => {
                let host = seen.header("host").unwrap();
                let first = unusable.replace("HOST", host);
                let both = format!("Bearer realm=\"{first}\", Bearer realm=\"http://{host}/token\"");
                answer(401, &[("WWW-Authenticate", &both)], "")
            }
        })
        .await;
        let found = client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await;
        found.unwrap_or_else(|error| panic!("{unusable}: {}", shown(&error)));
    }
}

#[tokio::test]
async fn point_5_beside_a_token_service_of_no_use_the_logins_are_tried_themselves() {
    let server = Server::start(|seen, _| match seen.who().as_deref() {
        Some("second") => fine(),
        _ => {
            let headers =
                [("WWW-Authenticate", "Bearer realm=\"ftp://x/token\""), ("WWW-Authenticate", BASIC)];
            answer(401, &headers, "")
        }
    })
    .await;
    client(&server, &["first", "second"]).manifest(&server.repository(), &tag("a")).await.unwrap();
    assert_eq!(who(&server), ["first", "second"]);
}

/// The registry knows the repository by another name.
#[tokio::test]
async fn point_5_the_challenges_own_scope_is_asked_for_when_ours_is_refused() {
    let own = ",scope=\"repository:mirror/team/app:pull,push repository:base:pull\"";
    for status in [400, 401, 403] {
        let server = Server::start(move |seen, _| match seen.who().as_deref() {
            Some("t") => fine(),
            Some(_) if seen.target.starts_with("/token") && seen.target.contains("mirror") => token("t"),
            _ if seen.target.starts_with("/token") => answer(status, &[], ""),
            _ => challenge(seen, own),
        })
        .await;
        let client = client(&server, &["ci"]);
        client.manifest(&server.repository(), &tag("a")).await.unwrap();
        let asked = "GET /token?service=s&scope=repository%3Amirror%2Fteam%2Fapp%3Apull%2Cpush&\
                     scope=repository%3Abase%3Apull ci";
        assert_eq!(server.lines()[2], asked);
        client.put_manifest(&server.repository(), &tag("a"), "x/y", Bytes::new()).await.unwrap();
        assert_eq!(client.stats().tokens, 2, "what was refused isn't asked for again");
    }
}

/// Of two repositories, only the first gets a challenge; the other's scope is its own.
#[tokio::test]
async fn point_5_a_scope_is_asked_for_its_own_repository_alone() {
    let server = Server::start(|seen, _| match seen.who().as_deref() {
        Some("one") if seen.target.contains("/one/") => fine(),
        Some("two") if seen.target.contains("/two/") => fine(),
        _ if seen.target.contains("mirror-one") => token("one"),
        _ if seen.target.contains("mirror-two") => token("two"),
        _ if seen.target.starts_with("/token") => answer(403, &[], ""),
        _ => {
            let name = if seen.target.contains("/one/") { "one" } else { "two" };
            challenge(seen, &format!(",scope=\"repository:mirror-{name}:pull\""))
        }
    })
    .await;
    let client = client(&server, &["ci"]);
    for name in ["one", "two"] {
        let repository = format!("{}/{name}", server.host()).parse().unwrap();
        client.manifest(&repository, &tag("a")).await.unwrap();
    }
}

#[tokio::test]
async fn point_5_a_token_that_allows_too_little_gives_way_to_another_scope_and_login() {
    let narrow = ",scope=\"repository:team/app:pull,push,special\",error=\"insufficient_scope\"";
    // The scope that is asked for does.
    let server = Server::start(move |seen, _| match seen.who().as_deref() {
        Some("special") => fine(),
        _ if seen.target.contains("special") => token("special"),
        _ if seen.target.starts_with("/token") => token("t"),
        _ => challenge(seen, if seen.who().as_deref() == Some("t") { narrow } else { "" }),
    })
    .await;
    client(&server, &["ci"])
        .put_manifest(&server.repository(), &tag("a"), "x/y", Bytes::new())
        .await
        .unwrap();
    assert_eq!(who(&server), ["ci", "ci", "t", "ci", "special"]);

    // The service gives what the login may have: only the second may push.
    let server = Server::start(|seen, _| match (seen.method.as_str(), seen.who().as_deref()) {
        ("GET", Some("reads" | "writes")) | ("PUT", Some("writes")) => fine(),
        _ if seen.target.starts_with("/token") => {
            token(if seen.who().as_deref() == Some("second") { "writes" } else { "reads" })
        }
        (_, Some("reads")) => {
            challenge(seen, ",scope=\"repository:team/app:pull,push\",error=\"insufficient_scope\"")
        }
        _ => challenge(seen, ",scope=\"repository:team/app:pull\""),
    })
    .await;
    let client = client(&server, &["first", "second"]);
    client.manifest(&server.repository(), &tag("a")).await.unwrap();
    client.put_manifest(&server.repository(), &tag("a"), "x/y", Bytes::new()).await.unwrap();
    assert_eq!(who(&server).last().unwrap(), "writes");
    assert!(server.lines().len() <= 9, "{:?}", server.lines());
}

#[tokio::test]
async fn point_5_a_token_that_has_expired_as_ecr_public_says_it_is_asked_for_anew() {
    let used = AtomicUsize::new(0);
    let server = Server::start(move |seen, number| match seen.who().as_deref() {
        _ if seen.target.starts_with("/token") => token(&format!("t{number}")),
        None => challenge(seen, ""),
        Some(_) if is_basic(seen) => refusal(400, &[], "DENIED", "Your Authorization Token is invalid."),
        // The first token does for one request.
        Some("t2") if used.fetch_add(1, Ordering::Relaxed) > 0 => {
            refusal(400, &[], "DENIED", "Your Authorization Token has expired.")
        }
        Some(_) => fine(),
    })
    .await;
    let client = client(&server, &["ci"]);
    for name in ["a", "b"] {
        let found = client.manifest(&server.repository(), &tag(name)).await;
        found.map_err(|error| shown(&error)).unwrap();
    }
    assert_eq!(who(&server), ["ci", "", "ci", "t2", "t2", "ci", "t5"]);
}

/// Each wrong password once at the registry and once at the token service, however many requests there are.
#[tokio::test]
async fn point_5_wrong_passwords_are_sent_once() {
    let server = Server::start(|seen, _| match seen.who() {
        _ if seen.target.starts_with("/token") => answer(401, &[], r#"{"details":"incorrect password"}"#),
        Some(_) => refusal(401, &[("WWW-Authenticate", BASIC)], "UNAUTHORIZED", "no"),
        None => challenge(seen, ",scope=\"repository:team/app:pull\""),
    })
    .await;
    for access in [Access::Pull, Access::PullPush] {
        let before = server.seen().len();
        let client = client_with(ClientOptions { access, ..options() }, &server, &["a", "b"]);
        let names: Vec<Target> = (0..8).map(|number| tag(&format!("v{number}"))).collect();
        let repository = server.repository();
        let all =
            futures_util::future::join_all(names.iter().map(|name| client.manifest(&repository, name))).await;
        assert!(all.into_iter().all(|one| one.unwrap_err().exit() == ExitCode::Refused));
        let who = who(&server).split_off(before);
        let sent = |login: &str| who.iter().filter(|who| *who == login).count();
        assert_eq!((sent("a"), sent("b"), sent("")), (2, 1, 1), "{who:?}");
    }
}

/// The bare request fails for a moment: it is repeated, and not the login that was refused.
#[tokio::test]
async fn point_5_trouble_with_the_bare_request_does_not_repeat_the_login() {
    let server = Server::start(|seen, number| match seen.who().as_deref() {
        Some("t") => fine(),
        Some(_) if seen.target.starts_with("/token") => token("t"),
        Some(_) => answer(401, &[], ""),
        None if number < 3 => answer(503, &[], ""),
        None => challenge(seen, ""),
    })
    .await;
    client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await.unwrap();
    assert_eq!(who(&server), ["ci", "", "", "", "ci", "t"]);
}

#[tokio::test]
async fn point_5_registries_and_token_services_see_a_user_agent_that_names_cosign() {
    let server = tokens_only(false, || answer(401, &[], "")).await;
    client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await.unwrap();
    let want = concat!("stepseal/", env!("CARGO_PKG_VERSION"), " (cosign-compatible)");
    assert!(server.seen().iter().all(|seen| seen.header("user-agent") == Some(want)));
}
