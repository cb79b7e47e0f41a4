//! Basic, Bearer and the token service.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use stepseal::demo::registry::{Auth, Denied, Options, Rights, TokenService, User};

use crate::embedded_registry::{Got, Site};

fn options(auth: Auth) -> Options {
    let users = vec![
        User::new("a", "pw-a").may_pull("team-a/**").may_push("team-a/app").identity_token("refresh-a"),
        User::new("root", "pw-root").may_push("**"),
    ];
    Options { auth, users, ..Options::default() }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

async fn tags(site: &Site, repository: &str, authorization: &str) -> Got {
    let path = format!("/v2/{repository}/tags/list");
    site.send(Method::GET, &path, &[("authorization", authorization)], "").await
}

/// What the token service answers to a GET.
async fn token(site: &Site, query: &str, authorization: Option<&str>) -> Got {
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
    let url = format!("http://{}/token?service=embedded-registry&{query}", site.registry.token_host());
    site.send(Method::GET, &url, &headers, "").await
}

fn bearer(got: &Got) -> String {
    assert_eq!(got.status, StatusCode::OK);
    format!("Bearer {}", got.json()["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn basic_tells_who_from_what() {
    let site = Site::new(options(Auth::Basic)).await;
    let got = site.get("/v2/").await;
    assert_eq!((got.status, got.code().as_str()), (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"));
    assert_eq!(got.header("www-authenticate"), "Basic realm=\"embedded-registry\"");
    // 404: let in, and there is no such repository.
    assert_eq!(tags(&site, "team-a/x", &basic("a", "pw-a")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(tags(&site, "team-a/x", &basic("a", "wrong")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(tags(&site, "team-b/x", &basic("a", "pw-a")).await.code(), "DENIED");
    let headers = [("authorization", basic("a", "pw-a"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    for (repository, want) in [("team-a/app", 202), ("team-a/other", 403)] {
        let path = format!("/v2/{repository}/blobs/uploads/");
        assert_eq!(site.send(Method::POST, &path, &headers, "").await.status.as_u16(), want);
    }
}

#[tokio::test]
async fn a_mount_needs_the_right_to_pull_from_there() {
    let site = Site::new(options(Auth::Basic)).await;
    let content = site.registry.content();
    let secret = content.put_blob("team-b/app", "secret").unwrap();
    let shared = content.put_blob("team-a/base", "shared").unwrap();
    for (digest, query, want) in [(&secret, "&from=team-b/app", 202), (&secret, "", 202), (&shared, "", 201)]
    {
        let path = format!("/v2/team-a/app/blobs/uploads/?mount={digest}{query}");
        let got = site.send(Method::POST, &path, &[("authorization", &basic("a", "pw-a"))], "").await;
        assert_eq!(got.status.as_u16(), want, "{path}");
    }
}

#[tokio::test]
async fn bearer_wants_a_token_for_the_scope() {
    for (denied, refused) in [(Denied::Challenge, 401), (Denied::Forbidden, 403)] {
        let site = Site::new(Options { denied, ..options(Auth::Bearer) }).await;
        let got = tags(&site, "team-a/app", &basic("a", "pw-a")).await;
        let challenge = format!(
            "Bearer realm=\"http://{}/token\",service=\"embedded-registry\",scope=\"repository:team-a/app:pull\"",
            site.registry.host()
        );
        assert_eq!(
            (got.status, got.header("www-authenticate")),
            (StatusCode::UNAUTHORIZED, challenge.as_str())
        );

        let login = basic("a", "pw-a");
        let query = "scope=repository:team-a/app:pull,push&scope=repository:team-b/app:pull";
        let token = bearer(&token(&site, query, Some(&login)).await);
        assert_eq!(tags(&site, "team-a/app", &token).await.status, StatusCode::NOT_FOUND);
        assert_eq!(tags(&site, "team-b/app", &token).await.status.as_u16(), refused);
        let got = tags(&site, "team-a/other", &token).await;
        assert!(got.header("www-authenticate").ends_with("error=\"insufficient_scope\""), "{got:?}");
        site.registry.expire_tokens();
        let got = tags(&site, "team-a/app", &token).await;
        assert!(got.header("www-authenticate").ends_with("error=\"invalid_token\""), "{got:?}");
    }
}

#[tokio::test]
async fn both_takes_tokens_and_passwords_and_asks_for_tokens() {
    let site = Site::new(options(Auth::Both)).await;
    assert!(site.get("/v2/").await.header("www-authenticate").starts_with("Bearer "));
    assert_eq!(tags(&site, "team-a/x", &basic("a", "pw-a")).await.status, StatusCode::NOT_FOUND);
    let wrong = tags(&site, "team-a/x", &basic("a", "wrong")).await;
    assert!(
        wrong.status == StatusCode::UNAUTHORIZED && wrong.header("www-authenticate").starts_with("Bearer ")
    );
    let given = token(&site, "scope=repository:team-a/x:pull", Some(&basic("a", "pw-a"))).await;
    assert_eq!(tags(&site, "team-a/x", &bearer(&given)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_token_service_knows_its_users() {
    let site = Site::new(Options { token_service: TokenService::OwnListener, ..options(Auth::Bearer) }).await;
    let scope = "scope=repository:team-a/app:pull";
    assert_ne!(site.registry.token_host(), site.registry.host());
    assert_eq!(site.get("/token").await.status, StatusCode::NOT_FOUND);
    assert_eq!(token(&site, scope, Some(&basic("a", "wrong"))).await.status, StatusCode::UNAUTHORIZED);

    let url = format!("http://{}/token", site.registry.token_host());
    let post = async |body: &'static str| site.send(Method::POST, &url, &[], body).await;
    for good in [
        "grant_type=refresh_token&service=embedded-registry&client_id=t&refresh_token=refresh-a&scope=repository:team-a/app:pull",
        "grant_type=password&service=embedded-registry&client_id=t&username=a&password=pw-a&scope=repository:team-a/app:pull",
    ] {
        let token = bearer(&post(good).await);
        assert_eq!(tags(&site, "team-a/app", &token).await.status, StatusCode::NOT_FOUND);
    }
    for (bad, want) in [
        ("grant_type=refresh_token&service=embedded-registry&client_id=t&refresh_token=x", 401),
        ("grant_type=password&service=embedded-registry&client_id=t&username=a&password=x", 401),
        ("grant_type=magic&service=embedded-registry&client_id=t", 400),
        ("grant_type=password&service=another&client_id=t&username=a&password=pw-a", 400),
        ("service=embedded-registry", 400),
    ] {
        assert_eq!(post(bad).await.status.as_u16(), want, "{bad}");
    }
}

#[tokio::test]
async fn no_password_and_no_token_is_shown() {
    let site = Site::new(options(Auth::Bearer)).await;
    let scope = "scope=repository:team-a/app:pull";
    let issued = bearer(&token(&site, scope, Some(&basic("a", "pw-a"))).await);
    tags(&site, "team-a/app", &issued).await;
    let shown = format!("{:?} {:?} {:?}", site.registry, site.registry.requests(), site.registry.faults());
    let secrets = ["pw-a", "refresh-a", issued.trim_start_matches("Bearer ")];
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    assert!(shown.contains(site.registry.host()) && shown.contains("user: \"a\""), "{shown}");
}

#[tokio::test]
async fn the_public_may_pull_what_is_public() {
    let anonymous = Rights::default().pull("public/**");
    let site = Site::new(Options { anonymous, ..options(Auth::Bearer) }).await;
    let query = "scope=repository:public/x:pull,push&scope=repository:team-a/app:pull";
    let token = bearer(&token(&site, query, None).await);
    assert_eq!(tags(&site, "public/x", &token).await.status, StatusCode::NOT_FOUND);
    assert_eq!(tags(&site, "team-a/app", &token).await.status, StatusCode::UNAUTHORIZED);
}
