//! The referrers API, and what counts as a registry without it.

use serde_json::Value;

use super::server::{Reply, Server, answer, refusal};
use super::*;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const SUBJECT: &[u8] = br#"{"manifests":[{"digest":"sha256:child"}]}"#;

/// A registry that answers the referrers API with `reply`, and has the subject.
async fn says(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Server, Client) {
    let server = Server::start(move |seen, _| match seen.target.contains("/manifests/") {
        true => answer(200, &[], SUBJECT),
        false => reply(),
    })
    .await;
    let client = client(&server, &["ci"]);
    (server, client)
}

async fn ask(server: &Server, client: &Client) -> Result<Referrers, RegistryError> {
    client.referrers(&server.repository(), &Digest::of(SUBJECT), &|_| true).await
}

#[track_caller]
fn listed(answer: Result<Referrers, RegistryError>) -> Listing {
    match answer {
        Ok(Referrers::Listed(listing)) => listing,
        other => panic!("no list: {other:?}"),
    }
}

fn numbers(listing: &Listing) -> Vec<u64> {
    let number = |text: &Bytes| serde_json::from_slice::<Value>(text).unwrap()["n"].as_u64().unwrap();
    listing.descriptors.iter().map(number).collect()
}

#[tokio::test]
async fn no_referrers_api_is_one_rule() {
    // Whether it is true of every image in the registry.
    let refusals: [(u16, &str, &str, bool); 19] = [
        (404, "text/plain", "404 page not found\n", true),
        (404, "application/json", r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, true),
        (404, "application/json", r#"{"errors":[{"code":"DENIED"}]}"#, true),
        (404, "text/html", "<html>", true),
        (404, "", "", true),
        (405, "application/json", r#"{"errors":[{"code":"UNSUPPORTED"}]}"#, true),
        (501, "text/plain", "not implemented", true),
        (400, "application/json", r#"{"errors":[{"code":"NAME_INVALID"}]}"#, false),
        (400, "text/html", "<html>", false),
        (406, "application/json", r#"{"errors":[{"code":"UNSUPPORTED"}]}"#, false),
        (406, "text/plain", "", false),
        (406, "application/json", r#"{"errors":[{"status":406}]}"#, false),
        (410, "text/html", "<html>", false),
        (415, "application/json", r#"{"errors":[{"code":"UNSUPPORTED"}]}"#, false),
        (422, "application/json", r#"{"message":"no such route"}"#, false),
        (201, INDEX, "", false),
        (202, "text/plain", "", false),
        (204, INDEX, "", false),
        (204, "", "", false),
    ];
    let image = format!(r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{}},"layers":[]}}"#);
    let docker =
        r#"{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#;
    let others = [
        ("text/html", "<!DOCTYPE html><html></html>"),
        (INDEX, "<html><title>Sign in</title>"),
        ("application/json", "[]"),
        (INDEX, "[1]"),
        ("application/json", "{}"),
        (INDEX, "{}"),
        ("application/json", r#"{"message":"blocked"}"#),
        ("application/json", r#"{"errors":[{"code":"UNSUPPORTED"}]}"#),
        (INDEX, r#"{"manifests":{}}"#),
        (INDEX, r#"{"manifests":"none"}"#),
        (IMAGE, &image),
        (INDEX, docker),
        (INDEX, std::str::from_utf8(SUBJECT).unwrap()),
        ("application/json", "null"),
        ("application/json", r#"{"manifests":[{"n":1}"#),
        ("text/plain", "ok"),
        ("", ""),
        (INDEX, ""),
        (INDEX, "\n"),
        ("application/json", " \r\n"),
    ];
    let others = others.map(|(kind, body)| (200, kind, body, false));
    for (status, kind, body, everywhere) in refusals.into_iter().chain(others) {
        let sent = (kind.to_owned(), body.to_owned());
        let (server, client) = says(move || answer(status, &[("Content-Type", &sent.0)], &sent.1)).await;
        match ask(&server, &client).await.unwrap() {
            Referrers::NoApi(why) => assert_eq!(why.is_everywhere(), everywhere, "{status} {kind} {body}"),
            Referrers::Listed(_) => panic!("{status} {kind} {body}"),
        }
        // A 400 may be about a login that nothing has proven yet: the registry is asked, as nobody, how it wants logins.
        let with_login = server.seen().iter().filter(|asked| asked.who().is_some()).count();
        assert_eq!(with_login, 1, "{status} {kind} {body}");
    }
}

#[tokio::test]
async fn a_login_that_may_read_manifests_is_refused_only_where_there_is_no_api() {
    for status in [401, 403] {
        for challenge in [None, Some("Basic realm=\"r\"")] {
            let headers: Vec<_> = challenge.map(|value| ("WWW-Authenticate", value)).into_iter().collect();
            let (server, client) = says(move || refusal(status, &headers, "DENIED", "no")).await;
            let answer = ask(&server, &client).await.unwrap();
            let Referrers::NoApi(NoApi::Refused(error)) = answer else { panic!("{answer:?}") };
            assert!(shown(&error).contains(&format!("{status} DENIED: no")), "{}", shown(&error));
            let manifests = || server.lines().iter().filter(|line| line.contains("/manifests/")).count();
            assert_eq!(manifests(), 1);
            // It is known from then on, and the login was not given up.
            assert!(matches!(ask(&server, &client).await, Ok(Referrers::NoApi(NoApi::Refused(_)))));
            assert_eq!(manifests(), 1);
            assert!(client.manifest(&server.repository(), &tag("v1")).await.unwrap().is_some());
            let last = server.seen().pop().unwrap();
            assert_eq!(last.who().as_deref(), Some("ci"), "{status} {challenge:?}");
        }
    }
}

/// How a registry wants logins for everything but the referrers API.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wants {
    Nothing,
    Basic,
    Token,
}

/// A registry whose referrers API alone wants a token that its token service refuses with `status`; `realm` is the path of the service.
async fn wants_other_token(wants: Wants, realm: &'static str, scope: &'static str, status: u16) -> Server {
    Server::start(move |seen, _| {
        let host = seen.header("host").unwrap().to_owned();
        let unauthorized = |challenge: String| {
            refusal(401, &[("WWW-Authenticate", &challenge)], "UNAUTHORIZED", "a login is needed")
        };
        let path = seen.target.as_str();
        if path.contains("/referrers/") {
            return unauthorized(format!("Bearer realm=\"http://{host}{realm}\",service=\"s\"{scope}"));
        }
        if path.starts_with("/other") || path.contains("metadata_read") {
            return refusal(status, &[], "DENIED", "not this");
        }
        if path.starts_with("/token") {
            return answer(200, &[], r#"{"token":"good"}"#);
        }
        match (wants, seen.who().as_deref()) {
            (Wants::Basic, None) => unauthorized("Basic realm=\"r\"".to_owned()),
            (Wants::Token, who) if who != Some("good") => {
                unauthorized(format!("Bearer realm=\"http://{host}/token\",service=\"s\""))
            }
            _ => answer(200, &[], SUBJECT),
        }
    })
    .await
}

/// Whatever the referrers API wants, and whichever request comes first: the login goes on being good for the rest.
#[tokio::test]
async fn what_the_api_alone_wants_changes_nothing_for_other_requests() {
    let metadata = ",scope=\"repository:team/app:metadata_read\"";
    for wants in [Wants::Nothing, Wants::Basic, Wants::Token] {
        for (realm, scope) in [("/token", metadata), ("/other", ""), ("/other", metadata)] {
            for (status, api_first) in
                [400, 401, 403, 404].into_iter().flat_map(|one| [(one, true), (one, false)])
            {
                let row = format!("{wants:?} {realm}{scope} {status} {api_first}");
                let users: &[&str] = if wants == Wants::Nothing { &[] } else { &["ci"] };
                let server = wants_other_token(wants, realm, scope, status).await;
                let client = client(&server, users);
                let reads = || async { client.manifest(&server.repository(), &tag("v1")).await };
                if !api_first {
                    assert!(reads().await.unwrap().is_some(), "{row}");
                }
                let mut refused = Vec::new();
                for _ in 0..2 {
                    let answer = ask(&server, &client).await;
                    let Ok(Referrers::NoApi(NoApi::Refused(error))) = answer else {
                        panic!("{row}: {answer:?}")
                    };
                    // Whichever refusal came last.
                    let told = shown(&error);
                    let ours = told.contains("401 UNAUTHORIZED: a login is needed");
                    let theirs = told.contains(&format!("{status} DENIED: not this"));
                    assert!(theirs || ours, "{row}: {told}");
                    assert!(reads().await.unwrap().is_some(), "{row}");
                    let lines = server.lines();
                    let is_refused =
                        |line: &&String| line.contains("metadata_read") || line.contains("/other");
                    refused.push(lines.iter().filter(is_refused).count());
                }
                // What was refused is not asked for again; a 404 refuses nothing.
                assert!(status == 404 || refused[0] == refused[1], "{row}: {:#?}", server.lines());
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_the_api_alone_wants_is_used_for_it_alone() {
    let server = Server::start(|seen, _| {
        let host = seen.header("host").unwrap();
        let bearer = format!("Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"referrers\"");
        match (seen.target.as_str(), seen.who().as_deref()) {
            (path, _) if path.starts_with("/token") && !path.contains("scope=referrers") => {
                refusal(403, &[], "DENIED", "")
            }
            (path, _) if path.starts_with("/token") => answer(200, &[], r#"{"token":"hunter2-lists"}"#),
            (path, Some("hunter2-lists")) if path.contains("/referrers/") => {
                answer(200, &[], r#"{"manifests":[{"n":1}]}"#)
            }
            (path, _) if path.contains("/referrers/") => {
                refusal(401, &[("WWW-Authenticate", &bearer)], "UNAUTHORIZED", "")
            }
            (path, Some("ci")) if path.ends_with("/v2") => refusal(403, &[], "DENIED", "not hunter2-lists"),
            (_, Some("ci")) => answer(200, &[], SUBJECT),
            _ => refusal(401, &[("WWW-Authenticate", "Basic realm=\"r\"")], "UNAUTHORIZED", ""),
        }
    })
    .await;
    let client = client(&server, &["ci"]);
    for _ in 0..2 {
        assert!(client.manifest(&server.repository(), &tag("v1")).await.unwrap().is_some());
        assert_eq!(numbers(&listed(ask(&server, &client).await)), [1]);
    }
    // It is hidden wherever it comes back.
    let error = client.manifest(&server.repository(), &tag("v2")).await.unwrap_err();
    assert!(shown(&error).contains("not [hidden]"), "{}", shown(&error));
    let tokens = server.lines().iter().filter(|line| line.contains("/token?")).count();
    assert_eq!(tokens, 2, "the usual scope, and the one that was asked for: {:#?}", server.lines());
}

#[tokio::test]
async fn a_login_that_may_read_nothing_is_an_error() {
    for (status, manifests) in [(401, 401), (403, 403), (401, 403), (403, 500)] {
        let server = Server::start(move |seen, _| {
            let status = if seen.target.contains("/manifests/") { manifests } else { status };
            refusal(status, &[("Retry-After", "99")], "DENIED", "no")
        })
        .await;
        let error = ask(&server, &client(&server, &["ci"])).await.unwrap_err();
        assert!(error.is_denied() && shown(&error).contains("/referrers/"), "{}", shown(&error));
    }
}

#[tokio::test]
async fn a_look_up_of_referrers_that_is_refused_or_answered_otherwise_is_an_error() {
    type Says = fn() -> Reply;
    let rows: [(Says, &str); 12] = [
        (|| refusal(429, &[("Retry-After", "99")], "TOOMANYREQUESTS", "later"), "429 TOOMANYREQUESTS: later"),
        (|| refusal(404, &[], "TOOMANYREQUESTS", "later"), "404 TOOMANYREQUESTS: later"),
        (|| refusal(405, &[], "TOOMANYREQUESTS", "later"), "405 TOOMANYREQUESTS: later"),
        (|| refusal(200, &[], "TOOMANYREQUESTS", ""), "list of referrers"),
        (|| refusal(500, &[("Retry-After", "99")], "UNKNOWN", ""), "500 UNKNOWN"),
        (|| answer(503, &[("Retry-After", "99")], ""), "503 Service Unavailable"),
        (|| answer(402, &[], ""), "402 Payment Required"),
        (|| answer(409, &[], ""), "409 Conflict"),
        (|| answer(412, &[], ""), "412 Precondition Failed"),
        (|| answer(451, &[], ""), "451"),
        (|| answer(202, &[], "{}"), "it answered 202, which means nothing here"),
        (|| answer(200, &[("Content-Type", INDEX)], r#"{"manifests":[{"n":1},"#), "list of referrers"),
    ];
    for (reply, want) in rows {
        let (server, client) = says(reply).await;
        let error = ask(&server, &client).await.unwrap_err();
        assert!(shown(&error).contains(want), "{want}: {}", shown(&error));
    }
}

#[tokio::test]
async fn referrers_are_collected_from_all_pages() {
    let server = Server::start(|seen, number| match number {
        0 => answer(
            200,
            &[("Link", "</v2/team/app/referrers/next?last=1>; rel=\"next\"")],
            r#"{"mediaType":"","manifests":[{"n":1},{"x":1},{"n":2}]}"#,
        ),
        1 => {
            assert_eq!(seen.target, "/v2/team/app/referrers/next?last=1");
            answer(200, &[("Link", "<?last=2>; rel=next")], r#"{"manifests":[{"n":4}]}"#)
        }
        _ => answer(200, &[], r#"{"manifests":null}"#),
    })
    .await;
    let keeps = |descriptor: &Value| descriptor.get("n").is_some();
    let client = client(&server, &["ci"]);
    let found = listed(client.referrers(&server.repository(), &Digest::of(b""), &keeps).await);
    assert_eq!((numbers(&found), found.is_cut), (vec![1, 2, 4], false));
    assert!(found.failed.is_none());
    assert_eq!(server.seen().len(), 3);
}

/// The first page has shown that there is an API: whatever a later one answers, the list goes on in a way that is not known.
#[tokio::test]
async fn a_later_page_is_never_absent() {
    type Says = fn() -> Reply;
    let rows: [(Says, &str); 8] = [
        (|| refusal(404, &[], "NAME_UNKNOWN", ""), "404 NAME_UNKNOWN"),
        (|| answer(405, &[], ""), "405 Method Not Allowed"),
        (|| answer(406, &[], ""), "406 Not Acceptable"),
        (|| refusal(401, &[], "UNAUTHORIZED", ""), "401 UNAUTHORIZED"),
        (|| answer(501, &[], ""), "501 Not Implemented"),
        (|| answer(503, &[("Retry-After", "99")], ""), "503 Service Unavailable"),
        (|| answer(200, &[], "[]"), "list of referrers"),
        (|| answer(200, &[("Content-Type", "text/html")], "<html>"), "HTML page"),
    ];
    for (reply, want) in rows {
        let (server, client) = says_after_one_page(reply, "<?last=1>; rel=next").await;
        let found = listed(ask(&server, &client).await);
        let error = found.failed.as_ref().expect(want);
        assert!(shown(error).contains(want), "{want}: {}", shown(error));
        assert_eq!(numbers(&found), [1]);
    }
    let elsewhere = "<http://other.example/>; rel=next";
    let (server, client) = says_after_one_page(|| unreachable!(), elsewhere).await;
    let found = listed(ask(&server, &client).await);
    let text = shown(&found.failed.unwrap());
    assert!(text.contains("is on another host: http://other.example/"), "{text}");
    assert_eq!(server.seen().len(), 1);
}

async fn says_after_one_page(reply: fn() -> Reply, link: &'static str) -> (Server, Client) {
    let server = Server::start(move |seen, _| match seen.target.contains("last=1") {
        true => reply(),
        false => answer(200, &[("Link", link)], r#"{"manifests":[{"n":1}]}"#),
    })
    .await;
    let client = client(&server, &["ci"]);
    (server, client)
}

/// A page that links to one that was read, or pages without end: what is behind them is not known.
#[tokio::test]
async fn pages_that_do_not_end_are_named() {
    let number = |seen: &server::Seen| -> usize {
        seen.target.split_once("last=").map_or(0, |(_, last)| last.parse().unwrap())
    };
    type Next = fn(usize, &str) -> String;
    let rows: [(Next, usize, &str); 4] = [
        (|_, path| path.to_owned(), 1, "a page links to one that was read"),
        (|_, _| "?last=1".to_owned(), 2, "a page links to one that was read"),
        (|number, _| format!("?last={}", (number + 1) % 3), 4, "a page links to one that was read"),
        (|number, _| format!("?last={}", number + 1), 100, "it goes on after 100 pages"),
    ];
    for (next, requests, want) in rows {
        let server = Server::start(move |seen, _| {
            let path = seen.target.split('?').next().unwrap();
            let link = format!("<{}>; rel=next", next(number(seen), path));
            answer(200, &[("Link", &link)], format!(r#"{{"manifests":[{{"n":{}}}]}}"#, number(seen)))
        })
        .await;
        let found = listed(ask(&server, &client(&server, &["ci"])).await);
        let text = shown(&found.failed.expect(want));
        assert!(text.contains("its list of referrers doesn't end") && text.contains(want), "{text}");
        assert_eq!(server.seen().len(), requests, "{want}");
        assert!(!found.is_cut && !found.descriptors.is_empty());
    }
}

/// However many pages and descriptors there are, and however long they are: those that are wanted are kept up to the limits.
#[tokio::test]
async fn a_list_of_referrers_is_filtered_while_it_is_read_and_cut_where_it_is_too_long() {
    // Each page links to one that was not read yet, if any.
    let list = |body: String, goes_on: bool| {
        let pages = AtomicUsize::new(0);
        move || {
            let link = format!("<?last={}>; rel=next", pages.fetch_add(1, Ordering::Relaxed));
            let headers: &[(&str, &str)] = if goes_on { &[("Link", &link)] } else { &[] };
            answer(200, headers, &body)
        }
    };
    let of = |entry: &str, count: usize| format!(r#"{{"manifests":[{}]}}"#, vec![entry; count].join(","));
    let long = |bytes: usize| format!(r#"{{"digest":"{}"}}"#, "x".repeat(bytes - 13));
    for (body, goes_on, kept, is_cut, requests) in [
        (of(r#"{"digest":1}"#, 3), false, 3, false, 1),
        (of("{}", 1_000_000), false, 0, false, 1),
        (of(r#"{"digest":1},{}"#, MAX_REFERRERS), false, MAX_REFERRERS, false, 1),
        (of(r#"{"digest":1}"#, MAX_REFERRERS + 1), false, MAX_REFERRERS, true, 1),
        (of(&long(100_000), 40), true, MAX_REFERRERS_BYTES / 100_000, true, 5),
        (of(&long(MAX_DESCRIPTOR_BYTES), 2), false, 2, false, 1),
        (of(&long(MAX_DESCRIPTOR_BYTES + 1), 2), false, 0, false, 1),
        (r#"{"manifests":null}"#.to_owned(), false, 0, false, 1),
    ] {
        let shown = body.chars().take(40).collect::<String>();
        let (server, client) = says(list(body, goes_on)).await;
        let keeps = |descriptor: &serde_json::Value| descriptor.get("digest").is_some();
        let found = listed(client.referrers(&server.repository(), &Digest::of(b""), &keeps).await);
        assert_eq!((found.descriptors.len(), found.is_cut), (kept, is_cut), "{shown}");
        assert_eq!(server.seen().len(), requests, "{shown}");
    }
}
