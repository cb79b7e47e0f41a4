//! What is sent again, when, and what isn't.

use super::server::{Reply, Seen, Server, answer, head, refusal};
use super::*;
use std::collections::HashSet;
use std::sync::Mutex;

/// A registry that keeps blobs; `trouble` may answer in its place, before or after the work.
async fn blobs(trouble: impl Fn(&Seen, usize) -> Option<(bool, Reply)> + Send + Sync + 'static) -> Server {
    let held = Mutex::new(HashSet::new());
    Server::start(move |seen, number| {
        let trouble = trouble(seen, number);
        if let Some((false, reply)) = trouble {
            return reply;
        }
        let done = match seen.method.as_str() {
            "POST" => answer(202, &[("Location", &format!("/upload/{number}?_state=a%2Fb"))], ""),
            "PUT" => {
                held.lock().unwrap().insert(Digest::of(&seen.body).to_string());
                answer(201, &[], "")
            }
            "HEAD" => {
                let digest = seen.target.rsplit('/').next().unwrap();
                answer(if held.lock().unwrap().contains(digest) { 200 } else { 404 }, &[], "")
            }
            _ => answer(200, &[], "{}"),
        };
        trouble.map_or(done, |(_, reply)| reply)
    })
    .await
}

fn methods(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.method).collect()
}

async fn put(server: &Server) -> Result<Digest, RegistryError> {
    client(server, &["ci"]).put_blob(&server.repository(), Bytes::from_static(b"payload")).await
}

#[tokio::test]
async fn a_blob_takes_two_requests() {
    let server = blobs(|_, _| None).await;
    assert_eq!(put(&server).await.unwrap(), Digest::of(b"payload"));
    let digest = Digest::of(b"payload").to_string().replace(':', "%3A");
    assert_eq!(
        server.lines(),
        [
            "POST /v2/team/app/blobs/uploads/ ci".to_owned(),
            format!("PUT /upload/0?_state=a%2Fb&digest={digest} ci")
        ]
    );
    assert_eq!(server.seen()[0].header("content-length"), Some("0"));
    assert_eq!(server.seen()[1].header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_before_the_blob_is_sent_again() {
    let cut = || Reply::Cut(Vec::new());
    let server = blobs(move |_, number| (number == 1).then(|| (true, cut()))).await;
    put(&server).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PUT", "HEAD"]);

    let server = blobs(|_, number| (number == 1).then_some((false, Reply::Reset))).await;
    put(&server).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PUT", "HEAD", "POST", "PUT"]);

    let server = blobs(|_, number| (number == 1).then(|| (false, answer(502, &[], "")))).await;
    put(&server).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PUT", "HEAD", "POST", "PUT"]);
}

#[tokio::test]
async fn an_upload_that_is_gone_is_begun_anew() {
    for (status, code) in [(404, "BLOB_UPLOAD_UNKNOWN"), (416, "BLOB_UPLOAD_INVALID")] {
        let server =
            blobs(move |_, number| (number == 1).then(|| (false, refusal(status, &[], code, "")))).await;
        put(&server).await.unwrap();
        assert_eq!(methods(&server), ["POST", "PUT", "POST", "PUT"]);
    }
    // One that is always gone is not begun for ever.
    let gone = || refusal(404, &[], "BLOB_UPLOAD_UNKNOWN", "");
    let server = blobs(move |seen, _| (seen.method == "PUT").then(|| (false, gone()))).await;
    let error = put(&server).await.unwrap_err();
    assert!(shown(&error).contains("404 BLOB_UPLOAD_UNKNOWN (sent 12 times)"), "{}", shown(&error));
    assert_eq!(server.seen().len(), 24);
    // And one that is refused is not begun again at all.
    let bad = || refusal(400, &[], "DIGEST_INVALID", "");
    let server = blobs(move |seen, _| (seen.method == "PUT").then(|| (false, bad()))).await;
    put(&server).await.unwrap_err();
    assert_eq!(methods(&server), ["POST", "PUT", "HEAD"]);
}

#[tokio::test]
async fn a_blob_that_is_refused_and_there_is_written() {
    for (status, code) in [(400, "BLOB_UPLOAD_INVALID"), (403, "DENIED"), (405, "UNSUPPORTED"), (409, "")] {
        let refused = move |is_there| {
            blobs(move |seen, _| {
                (seen.method == "PUT").then(|| (is_there, refusal(status, &[], code, "it exists")))
            })
        };
        let server = refused(true).await;
        put(&server).await.unwrap();
        let sent = methods(&server);
        // A 403 may be about the login: the registry is asked how it wants one.
        assert!(sent.starts_with(&["POST", "PUT"].map(str::to_owned)), "{status}: {sent:?}");
        assert_eq!(sent.last().unwrap(), "HEAD", "{status}");
        assert_eq!(sent.iter().filter(|method| *method == "PUT").count(), 1, "{status}");
        // What isn't there is refused for another reason.
        let server = refused(false).await;
        let error = put(&server).await.unwrap_err();
        assert!(shown(&error).contains(&status.to_string()), "{}", shown(&error));
    }
}

#[tokio::test]
async fn a_tag_is_written_once_a_digest_until_it_is() {
    let server = Server::start(|_, number| match number {
        0 => answer(503, &[], ""),
        1 => Reply::Reset,
        _ => answer(201, &[], ""),
    })
    .await;
    let client = client(&server, &["ci"]);
    let bytes = Bytes::from_static(b"{}");
    let (repository, digest) = (server.repository(), Target::Digest(Digest::of(b"{}")));
    for (attempt, said) in [(0, "503 Service Unavailable"), (1, "the connection was closed")] {
        let error = client.put_manifest(&repository, &tag("v1"), "x/y", bytes.clone()).await.unwrap_err();
        assert!(error.is_transient() && shown(&error).contains(said), "{}", shown(&error));
        assert_eq!(server.seen().len(), attempt + 1);
        assert!(client.pause(0, &error).await);
    }
    client.put_manifest(&repository, &tag("v1"), "x/y", bytes.clone()).await.unwrap();

    let server = Server::start(|_, number| answer(if number < 2 { 503 } else { 201 }, &[], "")).await;
    let client = super::client(&server, &["ci"]);
    client.put_manifest(&server.repository(), &digest, "x/y", bytes).await.unwrap();
    assert_eq!((server.seen().len(), client.stats().retries), (3, 2));
}

/// The registry asks for a token, and the token service takes its time.
#[tokio::test]
async fn a_list_is_not_written_once_what_it_replaces_is_old_whatever_came_between() {
    const OLD: Duration = Duration::from_millis(400);
    for (token_takes, written) in [(Duration::ZERO, true), (OLD * 2, false)] {
        let server = Server::start(move |seen, _| {
            let host = seen.header("host").unwrap();
            match seen.who().as_deref() {
                _ if seen.target.starts_with("/token") => {
                    Reply::Late(token_takes, Box::new(answer(200, &[], r#"{"token":"t"}"#)))
                }
                Some("t") => answer(201, &[], ""),
                _ => {
                    let challenge = format!("Bearer realm=\"http://{host}/token\"");
                    refusal(401, &[("WWW-Authenticate", &challenge)], "UNAUTHORIZED", "")
                }
            }
        })
        .await;
        let (client, repository) = (super::client(&server, &["ci"]), server.repository());
        let put = || async {
            let send_by = Instant::now() + OLD;
            client.put_list(&repository, "v1", "x/y", Bytes::from_static(b"{}"), send_by).await
        };
        let first = put().await;
        assert_eq!(first.is_ok(), written, "{first:?}");
        assert_eq!(server.seen().len(), if written { 3 } else { 2 });
        if let Err(error) = first {
            assert!(error.is_outdated() && !error.is_transient(), "{}", shown(&error));
            // Now there is a token.
            put().await.unwrap();
        }
    }
}

#[tokio::test]
async fn trouble_on_the_way_passes() {
    let lost: fn(usize) -> Reply = |number| match number {
        0 => Reply::Reset,
        1 => Reply::Cut(head(200, &[], 2)),
        2 => Reply::Cut([head(200, &[], 2), b"{".to_vec()].concat()),
        _ => answer(200, &[], "{}"),
    };
    let refused: fn(usize) -> Reply = |number| match number {
        0 => Reply::Stall,
        1 => answer(408, &[], ""),
        2 => answer(500, &[], b"\xff\xfe"),
        _ => answer(200, &[], "{}"),
    };
    for script in [lost, refused] {
        let server = Server::start(move |_, number| script(number)).await;
        let options = ClientOptions { request_limit: Duration::from_millis(200), ..options() };
        let client = client_with(options, &server, &["ci"]);
        assert!(client.manifest(&server.repository(), &tag("a")).await.unwrap().is_some());
        assert_eq!(client.stats(), Stats { requests: 4, retries: 3, ..Stats::default() });
    }
}

#[tokio::test]
async fn what_will_not_pass_is_not_sent_again() {
    for status in [400, 404, 405, 409, 413, 501, 505] {
        let server = Server::start(move |_, _| refusal(status, &[], "UNSUPPORTED", "no")).await;
        let client = client(&server, &["ci"]);
        let error = client.subject(&server.repository(), &tag("a")).await.unwrap_err();
        assert!(!error.is_transient() && !client.pause(0, &error).await);
        assert_eq!((server.seen().len(), client.stats().retries), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_honored() {
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (value, least) in [("1", Duration::from_secs(1)), (past, Duration::ZERO)] {
        let server = Server::start(move |_, number| match number {
            0 => answer(429, &[("Retry-After", value)], ""),
            _ => answer(200, &[], "{}"),
        })
        .await;
        let client = client(&server, &["ci"]);
        let begun = Instant::now();
        client.manifest(&server.repository(), &tag("a")).await.unwrap();
        assert!(begun.elapsed() >= least);
        assert_eq!(client.stats(), Stats { requests: 2, retries: 1, throttled: 1, tokens: 0 });
    }
}

#[tokio::test]
async fn a_registry_that_asks_for_more_time_than_there_is_ends_it_at_once() {
    let server = Server::start(|_, _| {
        refusal(429, &[("Retry-After", "3600")], "TOOMANYREQUESTS", "pull rate limit exceeded")
    })
    .await;
    let begun = Instant::now();
    let error = client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await.unwrap_err();
    let text = shown(&error);
    assert!(text.contains("429 TOOMANYREQUESTS: pull rate limit exceeded"), "{text}");
    assert!(text.contains("do:    wait, use a login with a higher limit, or allow more time with --timeout"));
    assert!(text.contains("; it asks to be left alone until ") && text.contains(" UTC (in 1h)"), "{text}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(begun.elapsed() < Duration::from_secs(10) && !error.is_transient());
}

/// A 429 holds the whole host: what waits for it, or comes later, is not sent and doesn't wait for the time limit.
#[tokio::test]
async fn point_9_all_requests_to_a_host_that_asks_for_too_much_time_end_at_once() {
    for value in ["3600", "18446744073709551615"] {
        let server = Server::start(move |_, _| answer(429, &[("Retry-After", value)], "")).await;
        let one = ClientOptions { requests_per_host: 1, ..options() };
        let client = client_with(one, &server, &["ci"]);
        let repository = server.repository();
        let names = ["a", "b", "c", "d"].map(tag);
        let begun = Instant::now();
        let all =
            futures_util::future::join_all(names.iter().map(|name| client.manifest(&repository, name))).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
        for error in all {
            let text = shown(&error.unwrap_err());
            assert!(
                text.contains("asks to be left alone") && text.contains("do:    wait, use a login"),
                "{text}"
            );
        }
        assert_eq!(server.lines().len(), 1);
    }
}

#[tokio::test]
async fn the_deadline_ends_everything() {
    let server = Server::start(|_, _| answer(503, &[], "")).await;
    let soon =
        |millis| ClientOptions { deadline: Instant::now() + Duration::from_millis(millis), ..options() };
    // Long enough for a second try on a machine where the first takes a second.
    let error = client_with(soon(3000), &server, &["ci"]).manifest(&server.repository(), &tag("a")).await;
    let error = error.unwrap_err();
    let sent = server.seen().len();
    assert!((2..=12).contains(&sent), "{sent}");
    let text = shown(&error);
    assert!(text.contains(&format!("503 Service Unavailable (sent {sent} times)")), "{text}");

    let late = client_with(soon(0), &server, &["ci"]);
    let error = late.manifest(&server.repository(), &tag("a")).await.unwrap_err();
    let text = shown(&error);
    assert!(text.contains("not sent: the time limit of the run was reached"), "{text}");
    // Nobody has asked the registry.
    assert!(text.contains("do:    allow more time with --timeout") && !text.contains("reachable"), "{text}");
    assert_eq!(server.seen().len(), sent);

    let stall = Server::start(|_, _| Reply::Stall).await;
    let error = client_with(soon(300), &stall, &["ci"]).manifest(&stall.repository(), &tag("a")).await;
    assert!(shown(&error.unwrap_err()).contains("no complete answer within"));
}

#[tokio::test]
async fn one_request_in_five_may_fail() {
    let server = blobs(|_, number| {
        if number % 5 != 4 {
            return None;
        }
        Some(match (number / 5) % 4 {
            0 => (false, answer(503, &[], "")),
            1 => (false, answer(429, &[("Retry-After", "0")], "")),
            2 => (false, Reply::Reset),
            _ => (true, Reply::Cut(Vec::new())),
        })
    })
    .await;
    let client = client(&server, &["ci"]);
    let repository = server.repository();
    let begun = Instant::now();
    let image = |number: usize| {
        let (client, repository) = (&client, &repository);
        async move {
            client.manifest(repository, &tag("subject")).await?;
            client.manifest(repository, &tag("signatures")).await?;
            client.put_blob(repository, Bytes::from(format!("payload {number}"))).await?;
            client.put_blob(repository, Bytes::from(format!("config {number}"))).await?;
            let digest = Target::Digest(Digest::of(b"{}"));
            client.put_manifest(repository, &digest, "x/y", Bytes::from_static(b"{}")).await?;
            client.manifest(repository, &tag("signatures")).await.map(drop)
        }
    };
    let all = futures_util::future::join_all((0..40).map(image)).await;
    for one in all {
        one.map_err(|error| shown(&error)).unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(client.stats().retries >= 64, "{:?}", client.stats());
}

/// What writes a tag is sent once, and says as much as what is given up on.
#[tokio::test]
async fn whatever_is_to_be_left_alone_for_too_long_says_until_when() {
    for status in [429, 503] {
        let server = Server::start(move |_, _| answer(status, &[("Retry-After", "3600")], "")).await;
        let repository = server.repository();
        let put = |target| {
            let (client, repository) = (client(&server, &[]), repository.clone());
            async move {
                client.put_manifest(&repository, &target, "x/y", Bytes::from_static(b"{}")).await.unwrap_err()
            }
        };
        let by_digest = Target::Digest(Digest::of(b"{}"));
        for error in [put(tag("v1")).await, put(by_digest).await] {
            let text = shown(&error);
            assert!(text.contains("; it asks to be left alone until "), "{status}: {text}");
            assert!(text.contains("do:    wait, use a login with a higher limit"), "{status}: {text}");
        }
    }
}

#[tokio::test]
async fn a_host_that_asks_to_be_left_alone_gets_no_other_request() {
    for status in [429, 503] {
        let server = Server::start(move |_, _| answer(status, &[("Retry-After", "3600")], "")).await;
        let client = client(&server, &[]);
        for name in ["a", "b", "c"] {
            let repository = format!("{}/{name}", server.host()).parse().unwrap();
            let error = client.manifest(&repository, &tag("v1")).await.unwrap_err();
            assert!(shown(&error).contains("asks to be left alone until "), "{}", shown(&error));
        }
        assert_eq!(server.lines().len(), 1, "{status}");
    }
}
