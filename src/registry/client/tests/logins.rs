//! Who is let in, with what, and what is said when nobody is.

use super::server::{Reply, Seen, Server, answer, refusal};
use super::*;
use crate::exit::ExitCode;
use std::sync::Mutex;

const BASIC: &str = "Basic realm=\"r\"";

/// A registry for these users' passwords; everything it is asked for is the manifest `{}`.
async fn password_registry(users: &'static [&'static str]) -> Server {
    Server::start(move |seen, _| match seen.who() {
        Some(who) if users.contains(&who.as_str()) => answer(200, &[], "{}"),
        _ => refusal(401, &[("WWW-Authenticate", BASIC)], "UNAUTHORIZED", "authentication required"),
    })
    .await
}

/// A registry and its token service in one. `token` makes the service's answer, `may` judges what a
/// token is used for.
async fn token_registry(
    token: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    may: impl Fn(&Seen, &str) -> Reply + Send + Sync + 'static,
) -> Server {
    Server::start(move |seen, number| {
        let host = seen.header("host").unwrap();
        if seen.target.starts_with("/token") {
            return token(seen, number);
        }
        match seen.header("authorization").and_then(|header| header.strip_prefix("Bearer ")) {
            Some(token) => may(seen, token),
            None => {
                let challenge = format!("Bearer realm=\"http://{host}/token?x=1\",service=\"the registry\"");
                refusal(401, &[("WWW-Authenticate", &challenge)], "UNAUTHORIZED", "authentication required")
            }
        }
    })
    .await
}

fn token(text: &str) -> Reply {
    answer(200, &[], format!(r#"{{"token":"{text}","expires_in":300}}"#))
}

fn fine(_: &Seen, _: &str) -> Reply {
    answer(200, &[], "{}")
}

#[tokio::test]
async fn a_password_registry_needs_no_challenge() {
    let server = password_registry(&["ci"]).await;
    let keys = keys(&["ci"]);
    let mut options = options();
    options.insecure.push(server.host());
    let client = Client::new(options, keys.clone()).unwrap();
    for name in ["a", "b"] {
        assert!(client.manifest(&server.repository(), &tag(name)).await.unwrap().is_some());
    }
    let other = format!("{}/other", server.host()).parse().unwrap();
    client.manifest(&other, &tag("c")).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /v2/team/app/manifests/a ci",
            "GET /v2/team/app/manifests/b ci",
            "GET /v2/other/manifests/c ci"
        ]
    );
    assert_eq!(keys.asked.load(Ordering::Relaxed), 2, "each repository's logins are looked for once");
    assert_eq!(client.stats(), Stats { requests: 3, ..Stats::default() });
}

#[tokio::test]
async fn a_token_registry_gets_a_token_for_all_that_signing_needs() {
    let server = token_registry(|_, _| token("t"), fine).await;
    let client = client(&server, &["ci"]);
    client.manifest(&server.repository(), &tag("a")).await.unwrap();
    client.put_manifest(&server.repository(), &tag("b"), "x/y", Bytes::from_static(b"{}")).await.unwrap();
    let other = format!("{}/other", server.host()).parse().unwrap();
    client.manifest(&other, &tag("c")).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /v2/team/app/manifests/a ci",
            "GET /token?x=1&service=the+registry&scope=repository%3Ateam%2Fapp%3Apull%2Cpush ci",
            "GET /v2/team/app/manifests/a t",
            "PUT /v2/team/app/manifests/b t",
            // How this registry wants logins is known by now.
            "GET /token?x=1&service=the+registry&scope=repository%3Aother%3Apull%2Cpush ci",
            "GET /v2/other/manifests/c t",
        ]
    );
    assert_eq!(client.stats().tokens, 2);
}

#[tokio::test]
async fn verifying_asks_for_less() {
    let server = token_registry(|_, _| answer(200, &[], r#"{"access_token":"t"}"#), fine).await;
    let client = client_with(ClientOptions { access: Access::Pull, ..options() }, &server, &[]);
    client.manifest(&server.repository(), &tag("a")).await.unwrap();
    let asked = "GET /token?x=1&service=the+registry&scope=repository%3Ateam%2Fapp%3Apull";
    assert_eq!(server.lines()[1], asked);
}

#[tokio::test]
async fn a_registry_that_reads_for_anyone_may_still_want_a_token_to_write() {
    let server = Server::start(|seen, _| {
        let host = seen.header("host").unwrap();
        match (seen.method.as_str(), seen.who().as_deref()) {
            _ if seen.target.starts_with("/token") => token("t"),
            ("GET", _) | ("PUT", Some("t")) => answer(200, &[], "{}"),
            _ => {
                let challenge = format!("Bearer realm=\"http://{host}/token\"");
                refusal(401, &[("WWW-Authenticate", &challenge)], "UNAUTHORIZED", "")
            }
        }
    })
    .await;
    for users in [&["ci"][..], &[]] {
        let client = client(&server, users);
        client.manifest(&server.repository(), &tag("a")).await.unwrap();
        client.put_manifest(&server.repository(), &tag("b"), "x/y", Bytes::new()).await.unwrap();
        assert_eq!(client.stats(), Stats { requests: 4, tokens: 1, ..Stats::default() });
    }
}

#[tokio::test]
async fn many_at_once_make_one_challenge_and_one_token() {
    let late = |reply| Reply::Late(Duration::from_millis(20), Box::new(reply));
    let server = token_registry(move |_, _| late(token("t")), fine).await;
    let client = client(&server, &["ci"]);
    let names: Vec<Target> = (0..16).map(|number| tag(&format!("v{number}"))).collect();
    let repository = server.repository();
    let all =
        futures_util::future::join_all(names.iter().map(|name| client.manifest(&repository, name))).await;
    assert!(all.iter().all(|one| matches!(one, Ok(Some(_)))));
    assert_eq!(client.stats(), Stats { requests: 18, tokens: 1, ..Stats::default() });
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let server = password_registry(&[]).await;
    let client = client(&server, &["ci"]);
    let names: Vec<Target> = (0..16).map(|number| tag(&format!("v{number}"))).collect();
    let repository = server.repository();
    let all =
        futures_util::future::join_all(names.iter().map(|name| client.manifest(&repository, name))).await;
    for one in all {
        let error = one.unwrap_err();
        assert_eq!(error.exit(), ExitCode::Refused);
    }
    // Then the registry is asked once, by nobody, whether a token service knows the login.
    let who: Vec<_> = server.seen().iter().map(Seen::who).collect();
    assert_eq!(who, [Some("ci".into()), None]);
}

#[tokio::test]
async fn logins_are_tried_in_turn_and_the_one_that_works_is_kept() {
    let server = password_registry(&["third"]).await;
    let client = client(&server, &["first", "second", "third"]);
    for name in ["a", "b"] {
        client.manifest(&server.repository(), &tag(name)).await.unwrap();
    }
    let who: Vec<_> = server.seen().iter().map(|seen| seen.who().unwrap_or_default()).collect();
    assert_eq!(who, ["first", "", "second", "third", "third"]);
}

#[tokio::test]
async fn a_login_that_may_not_push_gives_way_to_one_that_may() {
    let server = Server::start(|seen, _| match (seen.method.as_str(), seen.who().as_deref()) {
        ("PUT", Some("reader")) => refusal(403, &[], "DENIED", "no"),
        _ => answer(201, &[], ""),
    })
    .await;
    let client = client(&server, &["reader", "writer"]);
    for name in ["a", "b"] {
        client.put_manifest(&server.repository(), &tag(name), "x/y", Bytes::new()).await.unwrap();
    }
    // The refusal said nothing of how the registry wants logins, so that was asked; but nothing was
    // written as nobody.
    assert_eq!(
        server.lines(),
        [
            "PUT /v2/team/app/manifests/a reader",
            "GET /v2/",
            "PUT /v2/team/app/manifests/a writer",
            "PUT /v2/team/app/manifests/b writer"
        ]
    );
}

#[tokio::test]
async fn a_login_that_may_read_only_gives_way_when_it_is_to_write() {
    let server = Server::start(|seen, _| match (seen.method.as_str(), seen.who().as_deref()) {
        (_, None) => refusal(401, &[("WWW-Authenticate", BASIC)], "UNAUTHORIZED", "who?"),
        ("PUT", Some("reader")) => refusal(403, &[], "DENIED", "no"),
        _ => answer(200, &[], "{}"),
    })
    .await;
    let client = client(&server, &["reader", "writer"]);
    client.manifest(&server.repository(), &tag("a")).await.unwrap();
    for name in ["b", "c"] {
        client.put_manifest(&server.repository(), &tag(name), "x/y", Bytes::new()).await.unwrap();
    }
    let who: Vec<_> = server.seen().iter().map(|seen| seen.who().unwrap_or_default()).collect();
    assert_eq!(who, ["reader", "reader", "", "writer", "writer"]);
    assert_eq!(server.lines()[2], "GET /v2/", "nothing is written as nobody");
}

#[tokio::test]
async fn a_token_service_is_given_the_logins_in_turn() {
    let server = token_registry(
        |seen, _| match seen.who().as_deref() {
            Some("second") => token("t"),
            _ => answer(401, &[], r#"{"details":"incorrect username or password"}"#),
        },
        fine,
    )
    .await;
    let client = client(&server, &["first", "second"]);
    for name in ["a", "b"] {
        client.manifest(&server.repository(), &tag(name)).await.unwrap();
    }
    let who: Vec<_> = server.seen().iter().map(|seen| seen.who().unwrap()).collect();
    assert_eq!(who, ["first", "first", "second", "t", "t"]);
}

#[tokio::test]
async fn a_refusal_keeps_code_message_and_login() {
    let server = Server::start(|seen, _| match (seen.method.as_str(), seen.who()) {
        (_, None) => refusal(401, &[("WWW-Authenticate", BASIC)], "UNAUTHORIZED", "who?"),
        ("GET", _) => answer(200, &[], "{}"),
        _ => refusal(403, &[], "DENIED", "push access refused"),
    })
    .await;
    let client = client(&server, &["ci-bot", "other"]);
    client.manifest(&server.repository(), &tag("a")).await.unwrap();
    let put = client.put_manifest(&server.repository(), &tag("v1"), "x/y", Bytes::new()).await;
    let error = put.unwrap_err();
    assert_eq!(
        shown(&error),
        format!(
            "error: PUT http://{}/v2/team/app/manifests/v1: 403 DENIED: push access refused\n  \
             used:  user \"ci-bot\", entry \"ci-bot\" of config.json; then user \"other\", entry \"other\" of config.json\n  \
             do:    allow this user to push to team/app, or mount a dockerconfigjson with one that may",
            server.host()
        )
    );
    assert!(error.is_denied() && !error.is_transient());
    assert_eq!(error.exit(), ExitCode::Refused);
}

#[tokio::test]
async fn a_refused_login_is_told_with_the_token_services_words() {
    let details = r#"{"details":"incorrect username or password"}"#;
    let server = token_registry(move |_, _| answer(401, &[], details), fine).await;
    let error = client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await.unwrap_err();
    let text = shown(&error);
    let want = format!(
        "GET http://{}/token?x=REDACTED&service=the registry&scope=repository:team/app:pull,push: \
         401 Unauthorized: incorrect username or password",
        server.host()
    );
    assert!(text.contains(&want), "{text}");
    assert!(text.contains("used:  user \"ci\""), "{text}");
    assert_eq!((error.exit(), server.lines().len()), (ExitCode::Refused, 2));
}

#[tokio::test]
async fn without_a_login_the_hint_is_to_mount_one() {
    let server = password_registry(&[]).await;
    let error = client(&server, &[]).manifest(&server.repository(), &tag("a")).await.unwrap_err();
    let text = shown(&error);
    assert!(text.contains("401 UNAUTHORIZED: authentication required"), "{text}");
    let hint = format!(
        "do:    mount a dockerconfigjson with a login for {} that may pull from team/app (--registry-config)",
        server.host()
    );
    assert!(text.contains(&hint) && !text.contains("used:"), "{text}");
    assert_eq!((error.exit(), server.lines().len()), (ExitCode::Refused, 1));
}

#[tokio::test]
async fn an_open_registry_is_asked_without_a_login() {
    let server = Server::start(|_, _| answer(200, &[], "{}")).await;
    let client = client(&server, &[]);
    for name in ["a", "b"] {
        client.manifest(&server.repository(), &tag(name)).await.unwrap();
    }
    assert!(server.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn a_401_loop_ends() {
    let server = token_registry(
        |_, number| token(&format!("t{number}")),
        |seen, _| {
            let host = seen.header("host").unwrap();
            let challenge = format!("Bearer realm=\"http://{host}/token\",error=\"invalid_token\"");
            refusal(401, &[("WWW-Authenticate", &challenge)], "UNAUTHORIZED", "once more")
        },
    )
    .await;
    let error = client(&server, &["a", "b"]).manifest(&server.repository(), &tag("v")).await.unwrap_err();
    assert!(shown(&error).contains("401 UNAUTHORIZED: once more"));
    // Each login gets a token, and one anew; then the answer stands.
    assert!(server.lines().len() <= 12, "{:?}", server.lines());

    // A registry that never decides how it wants logins.
    let server = Server::start(|seen, number| {
        let bearer = format!("Bearer realm=\"http://{}/token\"", seen.header("host").unwrap());
        let challenge = if number % 2 == 0 { BASIC } else { bearer.as_str() };
        refusal(401, &[("WWW-Authenticate", challenge)], "UNAUTHORIZED", "no")
    })
    .await;
    client(&server, &["a", "b"]).manifest(&server.repository(), &tag("v")).await.unwrap_err();
    assert!(server.lines().len() < 40);
}

#[tokio::test]
async fn challenges_in_several_headers() {
    let server = Server::start(|seen, _| {
        let bearer = format!("bearer REALM=\"http://{}/token\"", seen.header("host").unwrap());
        match seen.who().as_deref() {
            Some("t") => answer(200, &[], "{}"),
            _ if seen.target.starts_with("/token") => token("t"),
            _ => {
                let headers = [("WWW-Authenticate", BASIC), ("WWW-Authenticate", &bearer)];
                refusal(401, &headers, "UNAUTHORIZED", "")
            }
        }
    })
    .await;
    assert!(client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_registry_that_answers_403_without_a_challenge_is_asked_bare() {
    let server = token_registry(|_, _| token("t"), fine).await;
    let host = server.host();
    let front = Server::start(move |seen, _| match seen.who().as_deref() {
        Some("t") => answer(200, &[], "{}"),
        Some(_) if !seen.target.starts_with("/token") => answer(403, &[], ""),
        _ => {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
            refusal(401, &[("WWW-Authenticate", &challenge)], "UNAUTHORIZED", "")
        }
    })
    .await;
    assert!(client(&front, &["ci"]).manifest(&front.repository(), &tag("a")).await.unwrap().is_some());
    let who: Vec<_> = front.seen().iter().map(Seen::who).collect();
    assert_eq!(who, [Some("ci".into()), None, Some("t".into())]);
}

#[tokio::test]
async fn a_refresh_token_is_exchanged() {
    let answers = Mutex::new(Vec::new());
    let server = token_registry(
        move |seen, _| {
            answers.lock().unwrap().push(String::from_utf8(seen.body.clone()).unwrap());
            answer(
                200,
                &[],
                format!(r#"{{"access_token":"t","expires_in":1,"refresh_token":"{SECRET}-new"}}"#),
            )
        },
        fine,
    )
    .await;
    let identity = Credential {
        login: Login::IdentityToken(Secret::from(format!("{SECRET}&old"))),
        origin: "entry \"r\" of config.json".into(),
    };
    let keys = Keys { logins: vec![identity], asked: AtomicUsize::new(0) };
    let mut options = options();
    options.insecure.push(server.host());
    let client = Client::new(options, Arc::new(keys)).unwrap();
    client.manifest(&server.repository(), &tag("a")).await.unwrap();
    // Past three quarters of its life it is asked for anew, with the refresh token that came with it.
    tokio::time::sleep(Duration::from_millis(800)).await;
    client.manifest(&server.repository(), &tag("b")).await.unwrap();
    let bodies: Vec<String> = server
        .seen()
        .iter()
        .filter(|seen| seen.method == "POST")
        .map(|seen| String::from_utf8(seen.body.clone()).unwrap())
        .collect();
    let want = |token: &str| {
        format!(
            "grant_type=refresh_token&client_id=stepseal&service=the+registry&\
             scope=repository%3Ateam%2Fapp%3Apull%2Cpush&refresh_token={SECRET}{token}"
        )
    };
    assert_eq!(bodies, [want("%26old"), want("-new")]);
    let lines = server.lines();
    assert_eq!(lines[0], "GET /v2/team/app/manifests/a", "a refresh token is never sent to the registry");
}

#[tokio::test]
async fn a_token_that_expires_in_mid_run_is_renewed_once() {
    let used = AtomicUsize::new(0);
    let server = token_registry(
        |_, number| token(&format!("t{number}")),
        move |seen, token| {
            // The first token does for one request.
            if token == "t1" && used.fetch_add(1, Ordering::Relaxed) > 0 {
                let challenge = format!(
                    "Bearer realm=\"http://{}/token\",error=\"invalid_token\"",
                    seen.header("host").unwrap()
                );
                return refusal(401, &[("WWW-Authenticate", &challenge)], "UNAUTHORIZED", "expired");
            }
            answer(200, &[], "{}")
        },
    )
    .await;
    let client = client(&server, &["ci"]);
    let repository = server.repository();
    client.manifest(&repository, &tag("a")).await.unwrap();
    let names = ["b", "c", "d"].map(tag);
    let all =
        futures_util::future::join_all(names.iter().map(|name| client.manifest(&repository, name))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(client.stats().tokens, 2);
}

#[tokio::test]
async fn a_login_that_may_not_push_reads_with_less() {
    let server = token_registry(
        |seen, _| match seen.target.contains("push") {
            true => refusal(403, &[], "DENIED", "not for you"),
            false => token("t"),
        },
        fine,
    )
    .await;
    let client = client(&server, &["ci"]);
    for name in ["a", "b"] {
        assert!(client.manifest(&server.repository(), &tag(name)).await.unwrap().is_some());
    }
    assert_eq!(client.stats().tokens, 2, "{:?}", server.lines());
    let put = client.put_manifest(&server.repository(), &tag("c"), "x/y", Bytes::new()).await;
    assert!(shown(&put.unwrap_err()).contains("403 DENIED: not for you"));
}

#[tokio::test]
async fn a_token_service_that_fails_is_asked_again_and_one_that_is_a_page_is_told() {
    let server = token_registry(
        |_, number| match number {
            1 => answer(503, &[], ""),
            2 => Reply::Reset,
            _ => token("t"),
        },
        fine,
    )
    .await;
    let client = super::client(&server, &["ci"]);
    client.manifest(&server.repository(), &tag("a")).await.unwrap();
    assert_eq!(client.stats().retries, 2);

    let page = "<html><title>Sign in</title></html>";
    let server = token_registry(move |_, _| answer(200, &[], page), fine).await;
    let error = super::client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await.unwrap_err();
    let text = shown(&error);
    assert!(text.contains("/token?x=REDACTED") && text.contains("an HTML page, \"Sign in\""), "{text}");

    let server = token_registry(|_, _| answer(200, &[], r#"{"toke":"hunter2"}"#), fine).await;
    let error = super::client(&server, &["ci"]).manifest(&server.repository(), &tag("a")).await.unwrap_err();
    assert!(shown(&error).contains("it answered with something that is no token"));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Alone in a process of its own: for each place in the code that logs, `tracing` asks the thread that comes by first whether anyone
/// listens. With other tests beside this one that may be a thread without a log, and this test's log then lacks what is logged there.
#[test]
fn no_secret_is_logged_at_any_level() {
    const ALONE: &str = "STEPSEAL_TEST_IS_ALONE";
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(logs_no_secret());
    }
    let test = std::thread::current().name().unwrap().to_owned();
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let ended = alone.args(["--exact", &test, "--nocapture"]).env(ALONE, "yes").output().unwrap();
    let printed = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && printed.contains("1 passed"),
        "{printed}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

async fn logs_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let server = token_registry(
        |_, _| token(&format!("{SECRET}-token")),
        |seen, _| match seen.method.as_str() {
            "POST" => answer(202, &[("Location", &format!("/up?_state={SECRET}"))], ""),
            _ => answer(201, &[], ""),
        },
    )
    .await;
    let client = client(&server, &["ci"]);
    client.put_blob(&server.repository(), Bytes::from_static(b"x")).await.unwrap();
    drop(guard);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("/up?_state=REDACTED&digest=sha256:"), "{text}");
    let encoded = server.seen()[0].header("authorization").unwrap().replace("Basic ", "");
    assert!(!text.contains(SECRET) && !text.contains(&encoded), "{text}");
    assert!(!format!("{client:?}").contains(SECRET));
}
