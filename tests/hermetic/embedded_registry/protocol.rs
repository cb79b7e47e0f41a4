//! The specification's endpoints, one behaviour a test.

use std::num::NonZeroUsize;

use http::{Method, StatusCode};
use stepseal::demo::registry::{Options, ReadOnly};
use stepseal::oci::Digest;

use crate::embedded_registry::{OCI_IMAGE, OCI_INDEX, Site, image};

#[tokio::test]
async fn the_base_path_answers() {
    let site = Site::new(Options::default()).await;
    assert_eq!(site.get("/v2/").await.status, StatusCode::OK);
    assert_eq!(site.get("/v1/").await.status, StatusCode::NOT_FOUND);
    let got = site.get("/v2/Bad/tags/list").await;
    assert_eq!((got.status, got.code().as_str()), (StatusCode::BAD_REQUEST, "NAME_INVALID"));
}

#[tokio::test]
async fn a_blob_is_pushed_in_two_requests_and_pulled_whole_and_in_part() {
    for (absolute_locations, plain_uploads) in [(false, false), (true, false), (false, true)] {
        let site = Site::new(Options { absolute_locations, plain_uploads, ..Options::default() }).await;
        let digest = Digest::of(b"hello world");
        let location = site.begin_upload("team/app").await;
        assert_eq!(location.starts_with("http://"), absolute_locations, "{location}");
        assert_eq!(location.contains('?'), !plain_uploads, "{location}");
        let mark = if plain_uploads { '?' } else { '&' };
        let put = format!("{location}{mark}digest={digest}");
        let got = site.send(Method::PUT, &put, &[], "hello world").await;
        assert_eq!(got.status, StatusCode::CREATED);
        assert_eq!(got.header("docker-content-digest"), digest.as_str());
        let blob = got.header("location").to_owned();

        let got = site.get(&blob).await;
        assert_eq!((got.status, got.body.as_slice()), (StatusCode::OK, b"hello world".as_slice()));
        let got = site.send(Method::HEAD, &blob, &[], "").await;
        assert_eq!((got.header("content-length"), got.body.len()), ("11", 0));
        let got = site.send(Method::GET, &blob, &[("range", "bytes=6-")], "").await;
        assert_eq!((got.status, got.body.as_slice()), (StatusCode::PARTIAL_CONTENT, b"world".as_slice()));
        assert_eq!(got.header("content-range"), "bytes 6-10/11");
        let got = site.send(Method::GET, &blob, &[("range", "bytes=11-")], "").await;
        assert_eq!(got.status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(got.header("content-range"), "bytes */11");

        assert_eq!(site.send(Method::DELETE, &blob, &[], "").await.status, StatusCode::ACCEPTED);
        let got = site.get(&blob).await;
        assert_eq!((got.status, got.code().as_str()), (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"));
    }
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_digest_says_is_refused() {
    let site = Site::new(Options::default()).await;
    let wrong = Digest::of(b"else");
    let location = site.begin_upload("app").await;
    let got = site.send(Method::PUT, &format!("{location}&digest={wrong}"), &[], "hello").await;
    assert_eq!((got.status, got.code().as_str()), (StatusCode::BAD_REQUEST, "DIGEST_INVALID"));
    let path = format!("/v2/app/blobs/uploads/?digest={wrong}");
    let got = site.send(Method::POST, &path, &[], "hello").await;
    assert_eq!((got.status, got.code().as_str()), (StatusCode::BAD_REQUEST, "DIGEST_INVALID"));
    assert!(site.registry.content().repositories().is_empty());
}

#[tokio::test]
async fn one_post_may_hold_a_blob() {
    let digest = Digest::of(b"hello");
    let path = format!("/v2/app/blobs/uploads/?digest={digest}");
    let site = Site::new(Options::default()).await;
    assert_eq!(site.send(Method::POST, &path, &[], "hello").await.status, StatusCode::CREATED);
    assert_eq!(site.registry.content().blob("app", &digest).unwrap(), "hello");

    let site = Site::new(Options { monolithic_post: false, ..Options::default() }).await;
    let got = site.send(Method::POST, &path, &[], "hello").await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    assert!(got.header("location").contains("/blobs/uploads/"));
    assert_eq!(site.registry.content().blob("app", &digest), None);
}

#[tokio::test]
async fn chunks_come_in_order() {
    let site = Site::new(Options::default()).await;
    let location = site.begin_upload("app").await;
    let chunk = async |range: &str, bytes: &'static str| {
        site.send(Method::PATCH, &location, &[("content-range", range)], bytes).await
    };
    let got = chunk("0-4", "hello").await;
    assert_eq!((got.status, got.header("range")), (StatusCode::ACCEPTED, "0-4"));
    for (range, bytes) in [("0-4", "hello"), ("6-6", "x")] {
        let got = chunk(range, bytes).await;
        assert_eq!((got.status, got.header("range")), (StatusCode::RANGE_NOT_SATISFIABLE, "0-4"), "{range}");
    }
    let got = chunk("5-9", "x").await;
    assert_eq!((got.status, got.code().as_str()), (StatusCode::BAD_REQUEST, "SIZE_INVALID"));
    let got = chunk("5+9", "x").await;
    assert_eq!((got.status, got.code().as_str()), (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"));
    let got = site.get(&location).await;
    assert_eq!((got.status, got.header("range")), (StatusCode::NO_CONTENT, "0-4"));
    // A chunk without a range goes to the end, and the last one may come with the PUT.
    let got = site.send(Method::PATCH, &location, &[], ", ").await;
    assert_eq!((got.status, got.header("range")), (StatusCode::ACCEPTED, "0-6"));
    let put = format!("{location}&digest={}", Digest::of(b"hello, world"));
    let got = site.send(Method::PUT, &put, &[("content-range", "0-4")], "world").await;
    assert_eq!(got.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let got = site.send(Method::PUT, &put, &[("content-range", "7-11")], "world").await;
    assert_eq!(got.status, StatusCode::CREATED);
    assert_eq!(site.get(got.header("location")).await.body, b"hello, world");
}

#[tokio::test]
async fn an_upload_keeps_to_its_location_and_can_be_cancelled() {
    let site = Site::new(Options::default()).await;
    let location = site.begin_upload("app").await;
    let (path, _) = location.split_once('?').unwrap();
    let put = format!("{path}?digest={}", Digest::of(b"x"));
    assert_eq!(site.send(Method::PUT, &put, &[], "x").await.code(), "BLOB_UPLOAD_INVALID");
    let elsewhere = location.replace("/app/", "/other/");
    assert_eq!(site.get(&elsewhere).await.code(), "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(site.send(Method::DELETE, &location, &[], "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.get(&location).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_blob_is_mounted_if_it_is_there() {
    let site = Site::new(Options::default()).await;
    let digest = site.registry.content().put_blob("base", "layer").unwrap();
    for (query, want) in [
        (format!("mount={digest}&from=base"), StatusCode::CREATED),
        (format!("mount={digest}"), StatusCode::CREATED),
        (format!("mount={digest}&from=empty"), StatusCode::ACCEPTED),
        (format!("mount={}&from=base", Digest::of(b"x")), StatusCode::ACCEPTED),
    ] {
        let got = site.send(Method::POST, &format!("/v2/app/blobs/uploads/?{query}"), &[], "").await;
        assert_eq!(got.status, want, "{query}");
    }
    assert_eq!(site.registry.content().blob("app", &digest).unwrap(), "layer");
}

#[tokio::test]
async fn a_manifest_is_kept_byte_for_byte() {
    let site = Site::new(Options::default()).await;
    site.registry.content().put_blob("app", "{}").unwrap();
    let text = image("") + "\n";
    let digest = Digest::of(text.as_bytes());
    let parameters = format!("{OCI_IMAGE}; charset=utf-8");
    let got = site.put_manifest("/v2/app/manifests/v1", &parameters, text.clone()).await;
    assert_eq!(got.status, StatusCode::CREATED);
    assert_eq!(got.header("docker-content-digest"), digest.as_str());
    assert_eq!(got.header("location"), format!("/v2/app/manifests/{digest}"));
    for reference in ["v1", digest.as_str()] {
        let path = format!("/v2/app/manifests/{reference}");
        let got = site.get(&path).await;
        assert_eq!((got.body, got.status), (text.clone().into_bytes(), StatusCode::OK));
        let got = site.send(Method::HEAD, &path, &[], "").await;
        assert_eq!(
            (got.header("content-type"), got.header("docker-content-digest")),
            (OCI_IMAGE, digest.as_str())
        );
        assert_eq!(got.header("content-length"), text.len().to_string());
    }
    let by_digest = format!("/v2/app/manifests/{}", Digest::of(b"else"));
    assert_eq!(site.put_manifest(&by_digest, OCI_IMAGE, text).await.code(), "DIGEST_INVALID");
}

#[tokio::test]
async fn manifests_are_deleted_with_their_tags() {
    let site = Site::new(Options::default()).await;
    let content = site.registry.content();
    let digest = content.put_manifest("app", Some("v1"), OCI_IMAGE, image("")).unwrap();
    content.put_manifest("app", Some("v2"), OCI_IMAGE, image("")).unwrap();
    let delete = async |reference: &str| {
        site.send(Method::DELETE, &format!("/v2/app/manifests/{reference}"), &[], "").await
    };
    assert_eq!(delete("v1").await.status, StatusCode::ACCEPTED);
    assert_eq!(delete("v1").await.code(), "MANIFEST_UNKNOWN");
    assert_eq!(content.tags("app"), ["v2"]);
    assert_eq!(delete(digest.as_str()).await.status, StatusCode::ACCEPTED);
    assert_eq!(site.get("/v2/app/manifests/v2").await.code(), "MANIFEST_UNKNOWN");
    assert_eq!(site.get("/v2/none/manifests/v2").await.code(), "NAME_UNKNOWN");
}

#[tokio::test]
async fn a_manifest_that_does_not_hold_together_is_refused() {
    let site = Site::new(Options::default()).await;
    let put = async |media_type: &str, text: String| {
        let got = site.put_manifest("/v2/app/manifests/v1", media_type, text).await;
        (got.status.as_u16(), got.code())
    };
    let unknown = (404, "MANIFEST_BLOB_UNKNOWN".to_owned());
    let invalid = (400, "MANIFEST_INVALID".to_owned());
    assert_eq!(put(OCI_IMAGE, image("")).await, unknown);
    site.registry.content().put_blob("app", "{}").unwrap();
    let child = format!(r#"{{"mediaType":"{OCI_IMAGE}","digest":"{}","size":1}}"#, Digest::of(b"child"));
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{child}]}}"#);
    assert_eq!(put(OCI_INDEX, index).await, unknown);
    assert_eq!(put(OCI_INDEX, image("")).await, invalid);
    assert_eq!(put("text/plain", image("")).await, invalid);
    assert_eq!(put(OCI_IMAGE, "{".to_owned()).await, invalid);
    assert_eq!(put(OCI_IMAGE, image("").replace("\"size\":2", "\"size\":3")).await, invalid);
    let got = site.put_manifest("/v2/app/manifests/-v1", OCI_IMAGE, image("")).await;
    assert_eq!(got.code(), "MANIFEST_INVALID");
    for more in [0, 1] {
        // At 4 MiB it is merely no manifest; one byte more is too long.
        let got = site.put_manifest("/v2/app/manifests/v1", OCI_IMAGE, "x".repeat((4 << 20) + more)).await;
        let want = if more == 0 { StatusCode::BAD_REQUEST } else { StatusCode::PAYLOAD_TOO_LARGE };
        assert_eq!(got.status, want);
    }
    let got = site.put_manifest("/v2/app/manifests/v1", OCI_IMAGE, "x".repeat(5 << 20)).await;
    assert_eq!((got.status, got.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"));
    assert!(site.registry.content().tags("app").is_empty());
}

#[tokio::test]
async fn tags_come_in_pages() {
    let page_size = NonZeroUsize::new(3);
    let site = Site::new(Options { page_size, ..Options::default() }).await;
    for tag in ["c", "a", "B", "d", "_"] {
        site.registry.content().put_manifest("app", Some(tag), OCI_IMAGE, image("")).unwrap();
    }
    let mut seen = Vec::new();
    let mut path = "/v2/app/tags/list?n=2".to_owned();
    loop {
        let got = site.get(&path).await;
        let tags = got.json()["tags"].as_array().unwrap().clone();
        assert!(tags.len() <= 2);
        seen.extend(tags);
        let link = got.header("link");
        let Some(next) = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) else {
            assert_eq!(link, "");
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(seen, ["B", "_", "a", "c", "d"]);
    let got = site.get("/v2/app/tags/list").await;
    assert_eq!(got.json()["tags"].as_array().unwrap().len(), 3);
    assert!(got.header("link").contains("last=a"));
    let got = site.get("/v2/app/tags/list?n=0").await;
    assert_eq!((got.json()["tags"].as_array().unwrap().len(), got.header("link")), (0, ""));
    assert_eq!(site.get("/v2/app/tags/list?n=-1").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.get("/v2/none/tags/list").await.code(), "NAME_UNKNOWN");
}

#[tokio::test]
async fn referrers_are_listed_and_filtered() {
    let page_size = NonZeroUsize::new(1);
    let site = Site::new(Options { page_size, ..Options::default() }).await;
    site.registry.content().put_blob("app", "{}").unwrap();
    let subject = Digest::of(b"a manifest that nobody has pushed yet");
    let more = |kind: &str| {
        format!(
            r#""artifactType":"{kind}","annotations":{{"k":"v"}},"subject":{{"mediaType":"{OCI_IMAGE}","digest":"{subject}","size":9}},"#
        )
    };
    for kind in ["sig/a", "sig/b"] {
        let text = image(&more(kind));
        let path = format!("/v2/app/manifests/{}", Digest::of(text.as_bytes()));
        let got = site.put_manifest(&path, OCI_IMAGE, text).await;
        assert_eq!((got.status, got.header("oci-subject")), (StatusCode::CREATED, subject.as_str()));
    }
    let path = format!("/v2/app/referrers/{subject}");
    let first = site.get(&path).await;
    assert_eq!(first.header("content-type"), OCI_INDEX);
    assert_eq!(first.header("oci-filters-applied"), "");
    let next = first.header("link").trim_start_matches('<').split('>').next().unwrap();
    let second = site.get(next).await;
    assert_eq!(second.header("link"), "");
    let kinds =
        [&first, &second].map(|got| got.json()["manifests"][0]["artifactType"].as_str().unwrap().to_owned());
    assert!(kinds.contains(&"sig/a".to_owned()) && kinds.contains(&"sig/b".to_owned()), "{kinds:?}");

    let got = site.get(&format!("{path}?artifactType=sig%2Fb")).await;
    assert_eq!((got.header("oci-filters-applied"), got.header("link")), ("artifactType", ""));
    let entry = &got.json()["manifests"][0];
    assert_eq!((&entry["artifactType"], &entry["annotations"]["k"]), (&"sig/b".into(), &"v".into()));
    let got = site.get(&format!("/v2/none/referrers/{subject}")).await;
    assert_eq!((got.status, got.json()["manifests"].as_array().unwrap().len()), (StatusCode::OK, 0));
    assert_eq!(site.get("/v2/app/referrers/sha256:1").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_a_referrers_api_it_answers_as_docker_registry_does() {
    let site = Site::new(Options { referrers: false, ..Options::default() }).await;
    site.registry.content().put_blob("app", "{}").unwrap();
    let subject = Digest::of(b"x");
    let text = image(&format!(r#""subject":{{"mediaType":"{OCI_IMAGE}","digest":"{subject}","size":9}},"#));
    let got = site.put_manifest("/v2/app/manifests/v1", OCI_IMAGE, text).await;
    assert_eq!((got.status, got.header("oci-subject")), (StatusCode::CREATED, ""));
    let got = site.get(&format!("/v2/app/referrers/{subject}")).await;
    assert_eq!(
        (got.status, got.body.as_slice()),
        (StatusCode::NOT_FOUND, b"404 page not found\n".as_slice())
    );
}

#[tokio::test]
async fn a_read_only_registry_refuses_writes_alone() {
    for (how, want) in [(ReadOnly::Unsupported, (405, "UNSUPPORTED")), (ReadOnly::Denied, (403, "DENIED"))] {
        let site = Site::new(Options { read_only: Some(how), ..Options::default() }).await;
        let digest = site.registry.content().put_blob("app", "x").unwrap();
        assert_eq!(site.get(&format!("/v2/app/blobs/{digest}")).await.status, StatusCode::OK);
        for (method, path) in [
            (Method::POST, "/v2/app/blobs/uploads/"),
            (Method::PUT, "/v2/app/manifests/v1"),
            (Method::DELETE, &format!("/v2/app/blobs/{digest}")),
        ] {
            let got = site.send(method, path, &[], "").await;
            assert_eq!((got.status.as_u16(), got.code().as_str()), want, "{path}");
        }
    }
}

#[tokio::test]
async fn the_log_has_every_request_with_its_status() {
    let site = Site::new(Options::default()).await;
    site.get("/v2/").await;
    site.registry.clear_requests();
    site.send(Method::HEAD, "/v2/app/manifests/v1", &[("authorization", "Bearer secret")], "").await;
    site.get("/v2/app/tags/list?n=1").await;
    let seen: Vec<String> = site
        .registry
        .requests()
        .iter()
        .map(|r| format!("{} {} {:?} {:?}", r.method, r.path_and_query, r.authorization, r.status))
        .collect();
    assert_eq!(
        seen,
        ["HEAD /v2/app/manifests/v1 Bearer Some(404)", "GET /v2/app/tags/list?n=1 None Some(404)"]
    );
}

#[tokio::test]
async fn an_overwritten_tag_takes_along_what_only_its_manifest_named() {
    for deletes_overwritten in [false, true] {
        let site = Site::new(Options { deletes_overwritten, ..Options::default() }).await;
        let content = site.registry.content();
        let empty = content.put_blob("app", "{}").unwrap();
        let layer = |text: &str| {
            let digest = content.put_blob("app", text.to_owned()).unwrap();
            let layer = format!(r#"{{"mediaType":"l","digest":"{digest}","size":{}}}"#, text.len());
            (digest, image("").replace("\"layers\":[]", &format!("\"layers\":[{layer}]")))
        };
        let ((lost, first), (kept, second)) = (layer("first"), layer("second"));
        let listed = content.put_manifest("app", None, OCI_IMAGE, second.clone()).unwrap();
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_IMAGE}","digest":"{listed}","size":{}}}]}}"#,
            second.len()
        );
        for (tag, media_type, manifest) in [
            ("one", OCI_IMAGE, first.clone()),
            ("two", OCI_INDEX, index),
            // Not overwritten, but pushed again.
            ("two", OCI_IMAGE, second.clone()),
            ("two", OCI_IMAGE, second.clone()),
            ("one", OCI_IMAGE, image("")),
        ] {
            let got = site.put_manifest(&format!("/v2/app/manifests/{tag}"), media_type, manifest).await;
            assert_eq!(got.status, StatusCode::CREATED);
        }
        assert_eq!(content.blob("app", &lost).is_none(), deletes_overwritten);
        let old = Digest::of(first.as_bytes());
        assert_eq!(content.manifest("app", old.as_str()).is_none(), deletes_overwritten);
        assert!(content.blob("app", &kept).is_some() && content.blob("app", &empty).is_some());

        let other = content.put_manifest("app", None, OCI_IMAGE, first.clone()).unwrap();
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_IMAGE}","digest":"{other}","size":{}}}]}}"#,
            first.len()
        );
        content.put_manifest("app", Some("list"), OCI_INDEX, index).unwrap();
        let got = site.put_manifest("/v2/app/manifests/list", OCI_IMAGE, image("")).await;
        assert_eq!(got.status, StatusCode::CREATED);
        assert_eq!(content.manifest("app", other.as_str()).is_none(), deletes_overwritten);
    }
}
