//! Only the registry itself says that something isn't there, or that it has no referrers API: not its token service, and not a host that it
//! redirects to.

use super::other_hosts::{Tls, lead_to, realm, token, wants};
use super::server::{Server, answer, refusal};
use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// A look-up, with what it says if nothing is there.
#[derive(Clone, Copy, Debug)]
enum Question {
    Manifest,
    Subject,
    Blob,
    HoldsBlob,
    HoldsManifest,
    Referrers,
}

const QUESTIONS: [Question; 6] = [
    Question::Manifest,
    Question::Subject,
    Question::Blob,
    Question::HoldsBlob,
    Question::HoldsManifest,
    Question::Referrers,
];

impl Question {
    /// Whether it is there; for referrers, whether there is an API.
    async fn ask(self, client: &Client, repository: &Repository) -> Result<bool, RegistryError> {
        let digest = Digest::of(b"it");
        match self {
            Self::Manifest => Ok(client.manifest(repository, &tag("sha256-1.sig")).await?.is_some()),
            Self::Subject => match client.subject(repository, &tag("sha256-1.sig")).await {
                Err(error) if error.is_absence() => Ok(false),
                other => other.map(|_| true),
            },
            Self::Blob => Ok(client.blob(repository, &digest, 100).await?.is_some()),
            Self::HoldsBlob => client.holds_blob(repository, &digest).await,
            Self::HoldsManifest => client.holds_manifest(repository, &digest).await,
            Self::Referrers => match client.referrers(repository, &digest, &|_| true).await? {
                // Nothing is known of a list that others refuse.
                Referrers::NoApi(NoApi::Refused(error)) if error.peer() != Some(Peer::Registry) => {
                    Err(*error)
                }
                Referrers::NoApi(_) => Ok(false),
                Referrers::Listed(_) => Ok(true),
            },
        }
    }
}

/// A registry whose tokens are good until they are all revoked; then its token service answers with this.
async fn revoking(status: u16, body: &'static str, revoked: &Arc<AtomicBool>) -> Server {
    let revoked = Arc::clone(revoked);
    Server::start(move |seen, _| match (seen.target.starts_with("/token"), revoked.load(Ordering::Relaxed)) {
        (true, true) => answer(status, &[], body),
        (true, false) => token("t"),
        (false, false) if seen.who().as_deref() == Some("t") => answer(200, &[], "{}"),
        (false, _) => wants(&realm(&format!("http://{}", seen.header("host").unwrap()))),
    })
    .await
}

#[tokio::test]
async fn what_a_token_service_answers_is_not_about_what_was_asked_for() {
    for status in [400, 401, 403, 404, 405, 406, 409, 410, 412, 418, 422, 501] {
        for question in QUESTIONS {
            let revoked = Arc::default();
            let registry = revoking(status, "default backend - 404", &revoked).await;
            let client = client(&registry, &["ci"]);
            let repository = registry.repository();
            assert!(client.manifest(&repository, &tag("v1")).await.unwrap().is_some());
            revoked.store(true, Ordering::Relaxed);
            let what = format!("{question:?} {status}");
            let error = question.ask(&client, &repository).await.expect_err(&what);
            assert!(!error.is_absence() && error.refusal().is_none(), "{what}");
            assert_eq!(error.peer(), Some(Peer::TokenService), "{what}");
            let text = shown(&error);
            assert!(text.contains("/token") && text.contains("do:    "), "{what}: {text}");
            assert!(!text.contains("has a repository"), "{what}: {text}");
            if !error.is_denied() {
                assert!(text.contains("the token service answered"), "{what}: {text}");
                assert!(text.contains("token service that"), "{what}: {text}");
            }
        }
        // Nor about what was written.
        let revoked = Arc::default();
        let registry = revoking(status, r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#, &revoked).await;
        let client = client(&registry, &["ci"]);
        let repository = registry.repository();
        client.manifest(&repository, &tag("v1")).await.unwrap();
        revoked.store(true, Ordering::Relaxed);
        let put = client.put_manifest(&repository, &tag("sha256-1.sig"), "x/y", Bytes::new()).await;
        let error = put.unwrap_err();
        assert!(error.refusal().is_none(), "{status}");
        assert!(!shown(&error).contains("immutable"), "{status}: {}", shown(&error));
    }
}

#[tokio::test]
async fn what_another_host_answers_is_not_about_what_the_registry_holds() {
    for status in [400, 404, 405, 406, 501, 200] {
        for question in QUESTIONS {
            let page = if status == 200 { "<html><title>Sign in</title></html>" } else { "" };
            let other = Server::start(move |_, _| answer(status, &[], page)).await;
            let there = format!("http://localhost:{}", other.address.port());
            let registry =
                Server::start(move |seen, _| lead_to(307, &format!("{there}{}", seen.target))).await;
            let client = client(&registry, &[]);
            let what = format!("{question:?} {status}");
            match question.ask(&client, &registry.repository()).await {
                // A head has nothing that could be wrong.
                Ok(there) => {
                    assert!(there && status == 200, "{what}");
                    assert!(matches!(question, Question::HoldsBlob | Question::HoldsManifest), "{what}");
                }
                Err(error) => {
                    assert!(!error.is_absence() && error.refusal().is_none(), "{what}");
                    let text = shown(&error);
                    assert!(text.contains("http://localhost:") && text.contains("do:    "), "{what}: {text}");
                }
            }
        }
    }
}

/// ghcr.io led look-ups of referrers to pages of github.com, which throttled: nothing is known of a list there, and it is not asked for long.
#[tokio::test]
async fn referrers_alone_that_lead_to_a_host_which_refuses_are_a_refusal_of_that_host() {
    for status in [400, 404, 405, 429, 501, 503] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let other = Server::start(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            refusal(status, &[], "TOOMANYREQUESTS", "a page")
        })
        .await;
        let there = format!("http://localhost:{}/packages", other.address.port());
        let registry = Server::start(move |seen, _| match seen.target.contains("/referrers/") {
            true => lead_to(303, &there),
            false => answer(200, &[], "{}"),
        })
        .await;
        let (client, repository) = (client(&registry, &[]), registry.repository());
        assert!(client.manifest(&repository, &tag("v1")).await.unwrap().is_some());
        let found = client.referrers(&repository, &Digest::of(b"it"), &|_| true).await;
        let Ok(Referrers::NoApi(NoApi::Refused(error))) = found else { panic!("{status}: {found:?}") };
        assert_eq!(error.peer(), Some(Peer::Elsewhere), "{status}");
        assert!(shown(&error).contains("redirects to"), "{status}: {}", shown(&error));
        assert!(asked.load(Ordering::Relaxed) <= 3, "{status}: asked {asked:?} times");
    }
}

/// registry.k8s.io sends whoever pulls on to another registry, which then answers for it.
#[tokio::test]
async fn a_registry_that_is_led_to_may_say_that_nothing_is_there() {
    for code in ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"] {
        for question in [Question::Manifest, Question::Subject, Question::Blob, Question::Referrers] {
            for status in [404, 403] {
                let other = Server::start(move |_, _| refusal(status, &[], code, "not here")).await;
                let there = format!("http://localhost:{}", other.address.port());
                let registry =
                    Server::start(move |seen, _| lead_to(307, &format!("{there}{}", seen.target))).await;
                for access in [Access::Pull, Access::PullPush] {
                    let client = client_with(ClientOptions { access, ..options() }, &registry, &[]);
                    let found = question.ask(&client, &registry.repository()).await;
                    let what = format!("{question:?} {code} {access:?}");
                    match (status, access) {
                        (404, Access::Pull) => assert!(!found.unwrap(), "{what}"),
                        // Who writes would overwrite what the registry itself may hold.
                        _ => assert!(!found.unwrap_err().is_absence(), "{what}"),
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn the_registry_itself_may_answer_over_https_or_from_another_path() {
    let tls = Tls::new();
    for question in QUESTIONS {
        // Elsewhere in the same registry.
        let registry = Server::start(|seen, _| match seen.target.starts_with("/there") {
            true => answer(404, &[], ""),
            false => lead_to(307, &format!("/there{}", seen.target)),
        })
        .await;
        let there = question.ask(&client(&registry, &[]), &registry.repository()).await;
        assert!(!there.unwrap(), "{question:?}");
        // Over HTTPS, though it was asked over plain HTTP.
        let secure = Server::start_tls(tls.config.clone(), |_, _| answer(404, &[], "")).await;
        let url = format!("https://{}", secure.host());
        let registry = Server::start(move |seen, _| lead_to(307, &format!("{url}{}", seen.target))).await;
        let client = client_with(tls.options(), &registry, &[]);
        assert!(!question.ask(&client, &registry.repository()).await.unwrap(), "{question:?}");
    }
}

/// A registry that refuses its referrers to everyone, in the words of a token of another scope, which its token service gives to nobody.
#[tokio::test]
async fn referrers_that_the_registry_refuses_to_a_new_token_have_no_api() {
    for status in [400, 401, 403, 404] {
        let registry = Server::start(move |seen, _| {
            let realm = realm(&format!("http://{}", seen.header("host").unwrap()));
            match seen.target.as_str() {
                target if target.starts_with("/token") && target.contains("special") => {
                    answer(status, &[], "")
                }
                target if target.starts_with("/token") => token("t"),
                target if target.contains("/referrers/") => wants(&format!("{realm},scope=\"special\"")),
                _ if seen.who().as_deref() == Some("t") => answer(200, &[], "{}"),
                _ => wants(&realm),
            }
        })
        .await;
        let client = client(&registry, &["ci"]);
        let repository = registry.repository();
        assert!(client.manifest(&repository, &tag("v1")).await.unwrap().is_some());
        let found = client.referrers(&repository, &Digest::of(b"it"), &|_| true).await;
        assert!(matches!(found, Ok(Referrers::NoApi(NoApi::Refused(_)))), "{status}: {found:?}");
        // The login is as good as before.
        assert!(client.manifest(&repository, &tag("v2")).await.unwrap().is_some(), "{status}");
    }
}
