//! Each way to misbehave does what it says, and only to the requests it is for.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use stepseal::demo::registry::{Answer, Auth, Effect, Fault, Options, Page};
use stepseal::oci::Digest;

use crate::embedded_registry::{OCI_IMAGE, Site, image};

const TAG: &str = "/v2/app/manifests/v1";

/// A registry with one image.
async fn site() -> (Site, Digest) {
    let site = Site::new(Options::default()).await;
    site.registry.content().put_blob("app", "{}").unwrap();
    let digest = site.registry.content().put_manifest("app", Some("v1"), OCI_IMAGE, image("")).unwrap();
    (site, digest)
}

#[tokio::test]
async fn answers_come_in_every_shape() {
    let (site, _) = site().await;
    let once = |answer: Answer| Fault::answer(answer).path("/manifests/").first(1);
    let faults = site.registry.faults();
    faults.add(once(Answer::new(StatusCode::TOO_MANY_REQUESTS).retry_after("7")));
    let got = site.get(TAG).await;
    assert_eq!((got.code().as_str(), got.header("retry-after")), ("TOOMANYREQUESTS", "7"));
    assert_eq!(site.get(TAG).await.status, StatusCode::OK);

    faults.add(once(Answer::new(StatusCode::BAD_GATEWAY).page(Page::Html)));
    let got = site.get(TAG).await;
    assert_eq!((got.status, got.header("content-type")), (StatusCode::BAD_GATEWAY, "text/html"));
    faults.add(once(Answer::new(StatusCode::FORBIDDEN).page(Page::Huge(1 << 20))));
    assert!(site.get(TAG).await.body.len() > 1 << 20);
    faults.add(once(Answer::new(StatusCode::FORBIDDEN).page(Page::NotUtf8)));
    assert!(String::from_utf8(site.get(TAG).await.body).is_err());
    faults.add(once(Answer::new(StatusCode::INTERNAL_SERVER_ERROR)));
    assert_eq!(site.get(TAG).await.body, b"");
}

#[tokio::test]
async fn a_401_comes_with_the_challenge_of_the_registry() {
    let site = Site::new(Options { auth: Auth::Bearer, ..Options::default() }).await;
    site.registry.faults().add(Fault::answer(Answer::new(StatusCode::UNAUTHORIZED)).path("/v2/"));
    for _ in 0..3 {
        let got = site.get(TAG).await;
        let challenge = got.header("www-authenticate");
        assert!(got.status == 401 && challenge.contains("scope=\"repository:app:pull\""), "{challenge}");
    }
}

#[tokio::test]
async fn headers_are_left_out_or_wrong() {
    let (site, digest) = site().await;
    let faults = site.registry.faults();
    faults.add(Fault::new(Effect::NoLocation).method(Method::POST));
    let got = site.send(Method::POST, "/v2/app/blobs/uploads/", &[], "").await;
    assert_eq!((got.status, got.header("location")), (StatusCode::ACCEPTED, ""));
    faults.clear();
    faults.add(Fault::new(Effect::NoDigestHeader).nth(1));
    faults.add(Fault::new(Effect::WrongDigestHeader).nth(2));
    assert_eq!(site.get(TAG).await.header("docker-content-digest"), "");
    let wrong = site.get(TAG).await.header("docker-content-digest").to_owned();
    assert!(wrong.starts_with("sha256:") && wrong != digest.as_str());
    assert_eq!(site.get(TAG).await.header("docker-content-digest"), digest.as_str());
}

#[tokio::test]
async fn content_is_served_wrong_and_kept_right() {
    let (site, digest) = site().await;
    site.registry.faults().add(Fault::new(Effect::WrongBytes));
    let got = site.get(TAG).await;
    assert_eq!(got.header("docker-content-digest"), digest.as_str());
    assert_ne!(Digest::of(&got.body), digest);
    // It is still the same JSON, so only the digest gives it away.
    assert_eq!(got.json(), serde_json::from_str::<serde_json::Value>(&image("")).unwrap());
    let got = site.get(&format!("/v2/app/blobs/{}", Digest::of(b"{}"))).await;
    assert_eq!((got.body.len(), got.body == b"{}"), (2, false));
    assert_eq!(site.registry.content().manifest("app", "v1").unwrap().1, image(""));
}

#[tokio::test]
async fn connections_end_before_and_after_the_work() {
    let (site, _) = site().await;
    let put = async |tag: &str| {
        let path = format!("/v2/app/manifests/{tag}");
        site.try_send(Method::PUT, &path, &[("content-type", OCI_IMAGE)], image("")).await
    };
    site.registry.faults().add(Fault::new(Effect::Reset).path("/reset"));
    site.registry.faults().add(Fault::new(Effect::AnswerLost).path("/lost"));
    site.registry.faults().add(Fault::new(Effect::BodyCut).method(Method::GET));
    let error = put("reset").await.unwrap_err();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset), "{error:?}");
    put("lost").await.unwrap_err();
    assert_eq!(site.registry.content().tags("app"), ["lost", "v1"]);
    assert!(site.registry.requests().iter().all(|request| request.status.is_none()));
    site.try_send(Method::GET, TAG, &[], "").await.unwrap_err();
}

#[tokio::test]
async fn slow_answers_come_late_and_whole() {
    let (site, _) = site().await;
    let time = Duration::from_millis(60);
    for effect in [Effect::Delay(time), Effect::Stall(time)] {
        site.registry.faults().add(Fault::new(effect).first(1));
        let begun = Instant::now();
        assert_eq!(site.get(TAG).await.body, image("").into_bytes());
        assert!(begun.elapsed() >= time);
        site.registry.faults().clear();
    }
}

#[tokio::test]
async fn reads_are_redirected_to_another_host() {
    let (site, _) = site().await;
    let (other, _) = self::site().await;
    let base = format!("http://{}", other.registry.host());
    site.registry.faults().add(Fault::new(Effect::Redirect(base.clone())));
    let got = site.get(TAG).await;
    assert_eq!(
        (got.status, got.header("location")),
        (StatusCode::TEMPORARY_REDIRECT, format!("{base}{TAG}").as_str())
    );
    assert_eq!(site.get(got.header("location")).await.status, StatusCode::OK);
    assert_eq!(site.send(Method::POST, "/v2/app/blobs/uploads/", &[], "").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn another_writer_comes_between() {
    let (site, _) = site().await;
    let other = image(r#""artifactType":"other","#);
    let digest = Digest::of(other.as_bytes());
    let written = other.clone();
    site.registry.faults().before_manifest_put(move |content, put| {
        content.put_manifest(&put.repository, Some(&put.reference), OCI_IMAGE, written.clone()).unwrap();
    });
    site.put_manifest(TAG, OCI_IMAGE, image("")).await;
    // The other one came first and was overwritten.
    assert_eq!(site.registry.content().manifest("app", "v1").unwrap().1, image(""));
    assert!(site.registry.content().manifest("app", digest.as_str()).is_some());

    site.registry.faults().clear();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    site.registry.faults().after_manifest_put(move |content, put| {
        counted.fetch_add(1, Ordering::SeqCst);
        content.put_manifest(&put.repository, Some(&put.reference), OCI_IMAGE, other.clone()).unwrap();
    });
    site.put_manifest(TAG, OCI_IMAGE, image("")).await;
    assert_eq!(site.get(TAG).await.header("docker-content-digest"), digest.as_str());
    // What is refused was not put.
    site.put_manifest(TAG, OCI_IMAGE, "{".to_owned()).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_hook_may_wait_for_the_registry_itself() {
    let (site, _) = site().await;
    let host = site.registry.host().to_owned();
    site.registry.faults().before_manifest_put(move |content, _| {
        let mut stream = std::net::TcpStream::connect(&host).unwrap();
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        content.put_blob("heard", answer.split("\r\n").next().unwrap().to_owned()).unwrap();
    });
    assert_eq!(site.put_manifest(TAG, OCI_IMAGE, image("")).await.status, StatusCode::CREATED);
    assert!(site.registry.content().blob("heard", &Digest::of(b"HTTP/1.1 200 OK")).is_some());
}

#[tokio::test]
async fn writes_are_seen_late() {
    let (site, old) = site().await;
    site.registry.faults().add(Fault::new(Effect::Stale(2)).method(Method::PUT));
    let subject = format!(r#""subject":{{"mediaType":"{OCI_IMAGE}","digest":"{old}","size":9}},"#);
    site.put_manifest(TAG, OCI_IMAGE, image(&subject)).await;
    let new = Digest::of(image(&subject).as_bytes());
    let mut seen = Vec::new();
    let mut listed = Vec::new();
    for _ in 0..3 {
        seen.push(site.get(TAG).await.header("docker-content-digest").to_owned());
        let list = site.get(&format!("/v2/app/referrers/{old}")).await.json();
        listed.push(list["manifests"].as_array().unwrap().len());
    }
    assert_eq!(seen, [old.as_str(), old.as_str(), new.as_str()]);
    assert_eq!(listed, [0, 0, 1]);
}

#[tokio::test]
async fn one_request_in_three_fails() {
    let (site, _) = site().await;
    site.registry.faults().add(Fault::one_in(3));
    let mut outcomes = Vec::new();
    for _ in 0..12 {
        let outcome = site.try_send(Method::GET, TAG, &[], "").await;
        outcomes.push(outcome.map_or(0, |got| got.status.as_u16()));
    }
    assert_eq!(outcomes, [200, 200, 503, 200, 200, 429, 200, 200, 0, 200, 200, 0]);
}

#[tokio::test]
async fn a_product_is_imitated_by_two_functions() {
    let (site, _) = site().await;
    let faults = site.registry.faults();
    faults.answer_instead(|asked| {
        let tag = asked.path_and_query.ends_with("/v2") && asked.content.tags("app") == ["v1"];
        let answer = http::Response::builder().status(404).header("x-product", "one");
        tag.then(|| answer.body("TAG_EXPIRED".into()).unwrap())
    });
    faults.change_answers(|asked, answer| {
        if asked.method == Method::GET {
            answer.headers_mut().insert("x-version", "2".parse().unwrap());
        }
    });
    let got = site.get("/v2/app/manifests/v2").await;
    assert_eq!((got.status, got.body.as_slice()), (StatusCode::NOT_FOUND, b"TAG_EXPIRED".as_slice()));
    assert_eq!((got.header("x-product"), got.header("x-version")), ("one", "2"));
    let got = site.get(TAG).await;
    assert_eq!((got.status, got.header("x-version")), (StatusCode::OK, "2"));
    faults.clear();
    assert_eq!(site.get("/v2/app/manifests/v2").await.code(), "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_request_is_taken_for_another_one() {
    let (site, _) = site().await;
    let faults = site.registry.faults();
    faults.rewrite_requests(|asked| Some(asked.path_and_query.strip_prefix("/api")?.replace("latest", "v1")));
    faults.change_answers(|asked, answer| {
        let body = asked.body.len().into();
        answer.headers_mut().insert("x-body", body);
    });
    let got = site.get("/api/v2/app/manifests/latest").await;
    assert_eq!((got.status, got.header("x-body")), (StatusCode::OK, "0"));
    assert_eq!(site.get("/v2/app/manifests/latest").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.send(Method::PUT, "/v2/app/tags/list", &[], "four").await.header("x-body"), "4");
    // The log has what was sent.
    assert_eq!(site.registry.requests()[0].path_and_query, "/api/v2/app/manifests/latest");
    faults.clear();
    assert_eq!(site.get("/api/v2/app/manifests/latest").await.status, StatusCode::NOT_FOUND);
}
