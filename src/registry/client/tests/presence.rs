//! What a registry holds, and what it is known to keep.

use super::server::{Server, answer};
use super::*;

#[tokio::test]
async fn what_is_there_is_asked_without_reading_it() {
    for (status, want) in [(200, Some(true)), (404, Some(false)), (403, None), (400, None)] {
        let server = Server::start(move |_, _| answer(status, &[], "")).await;
        let (client, digest) = (client(&server, &[]), Digest::of(b"it"));
        let blob = client.holds_blob(&server.repository(), &digest).await;
        let manifest = client.holds_manifest(&server.repository(), &digest).await;
        assert_eq!((blob.ok(), manifest.ok()), (want, want), "{status}");
        let seen = server.seen();
        assert!(seen.iter().all(|seen| seen.method == "HEAD"), "{status}");
        assert!(seen.iter().any(|seen| seen.target.contains("/blobs/")), "{status}");
        let manifest = seen.iter().find(|seen| seen.target.contains("/manifests/")).unwrap();
        assert!(manifest.header("accept").is_some_and(|accept| accept.contains("oci.image.index")));
    }
}

#[tokio::test]
async fn only_dockers_distribution_is_known_to_keep_what_is_overwritten() {
    for (location, keeps) in [
        ("/v2/team/app/blobs/uploads/1?_state=abc", true),
        ("/v2/team/app/blobs/uploads/1?x=y&_state=", true),
        ("/v2/team/app/blobs/uploads/1", false),
        ("/v2/team/app/blobs/uploads/1?state=abc", false),
        ("/v2/team/app/blobs/uploads/_state", false),
    ] {
        let server = Server::start(move |_, _| answer(202, &[("Location", location)], "")).await;
        let client = client(&server, &[]);
        assert!(!client.keeps_overwritten(&server.repository()));
        client.begin_blob(&server.repository()).await.unwrap();
        assert_eq!(client.keeps_overwritten(&server.repository()), keeps, "{location}");
        assert!(!client.keeps_overwritten(&"other.example/app".parse().unwrap()));
    }
}
