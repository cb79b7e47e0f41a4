//! Passwords as they come out of files and helpers.

use super::server::{Seen, Server, answer, refusal};
use super::*;
use crate::exit::ExitCode;

/// Keys with these passwords; `Server` may not look at them.
fn passwords(logins: &[(&str, &str)]) -> Arc<Keys> {
    let login = |(user, password): &(&str, &str)| Credential {
        login: Login::Basic { user: (*user).to_owned(), password: Secret::new(*password) },
        origin: "entry \"r\" of config.json".into(),
    };
    Arc::new(Keys { logins: logins.iter().map(login).collect(), asked: AtomicUsize::new(0) })
}

fn sent(seen: &Seen) -> String {
    use base64::Engine as _;
    let header = seen.header("authorization").and_then(|header| header.strip_prefix("Basic "));
    let plain = header.map(|text| base64::engine::general_purpose::STANDARD.decode(text).unwrap());
    String::from_utf8(plain.unwrap_or_default()).unwrap()
}

#[tokio::test]
async fn point_10_a_line_break_at_the_end_is_left_out_after_it_was_refused() {
    for by_token in [false, true] {
        for (password, right) in [("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n", "pw\n")] {
            let right = format!("ci:{right}");
            let server = Server::start(move |seen, _| {
                let is_right = sent(seen) == right;
                match seen.header("authorization") {
                    Some("Bearer t") => answer(200, &[], "{}"),
                    _ if is_right && seen.target.starts_with("/token") => {
                        answer(200, &[], r#"{"token":"t"}"#)
                    }
                    _ if is_right && !by_token => answer(200, &[], "{}"),
                    _ if by_token => {
                        let realm = format!("Bearer realm=\"http://{}/token\"", seen.header("host").unwrap());
                        answer(401, &[("WWW-Authenticate", &realm)], "")
                    }
                    _ => refusal(401, &[("WWW-Authenticate", "Basic realm=\"r\"")], "UNAUTHORIZED", "no"),
                }
            })
            .await;
            let mut options = options();
            options.insecure.push(server.host());
            let client = Client::new(options, passwords(&[("ci", password)])).unwrap();
            for name in ["a", "b"] {
                client.manifest(&server.repository(), &tag(name)).await.unwrap();
            }
            let first = server.seen().iter().map(sent).find(|sent| !sent.is_empty());
            assert_eq!(first, Some(format!("ci:{password}")));
            let tries = server.seen().iter().filter(|seen| sent(seen) == format!("ci:{password}")).count();
            assert!(
                tries <= 2,
                "{by_token} {password:?}: {:?}",
                server.seen().iter().map(sent).collect::<Vec<_>>()
            );
        }
    }
}

#[tokio::test]
async fn point_10_an_ecr_login_that_has_expired_is_named() {
    use base64::Engine as _;
    let of = |expiration: u64| {
        let json = format!(r#"{{"payload":"x","version":"2","type":"DATA_KEY","expiration":{expiration}}}"#);
        base64::engine::general_purpose::STANDARD.encode(json)
    };
    let (old, new) = (of(1_600_000_000), of(9_600_000_000));
    let expired = "Your authorization token has expired. Reauthenticate and try again.";
    for (user, password, message, named) in [
        ("AWS", old.as_str(), "no", true),
        ("AWS", "opaque", expired, true),
        ("AWS", new.as_str(), "no", false),
        ("AWS", "opaque", "no", false),
        ("ci", "opaque", "no", false),
        ("ci", old.as_str(), "no", false),
    ] {
        let server = Server::start(move |_, _| refusal(403, &[], "DENIED", message)).await;
        let mut options = options();
        options.insecure.push(server.host());
        let client = Client::new(options, passwords(&[(user, password)])).unwrap();
        let error = client.manifest(&server.repository(), &tag("a")).await.unwrap_err();
        let text = shown(&error);
        assert_eq!(text.contains("12 hours"), named, "{user} {message}: {text}");
        assert_eq!(error.exit(), ExitCode::Refused);
    }
}
