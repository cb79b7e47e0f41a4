//! What products really answer, and what their users are told to do.

use super::super::failure::Failure;
use super::super::hint;
use super::super::peer::Peer;
use super::super::refusal::{Refusal, read};
use super::*;

const REPOSITORY: &str = "registry.example/team/app";
const SIG: &str = "sha256-4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945.sig";

/// A request that failed with this answer; it was sent with a login.
fn failed(method: Method, below: &str, status: u16, body: &str) -> RequestError {
    let status = StatusCode::from_u16(status).unwrap();
    let refusal = Refusal { status, said: read(None, body.as_bytes()), retry_after: None };
    let writes = method != Method::GET;
    let sent = (method, format!("https://registry.example/v2/team/app/{below}"));
    let repository = REPOSITORY.parse().unwrap();
    let error = RequestError::new(sent, (repository, writes), Peer::Registry, Failure::Refused(refusal));
    RequestError { used: vec!["user \"ci-bot\"".to_owned()], ..error }
}

fn hinted(method: Method, below: &str, status: u16, body: &str) -> String {
    hint::of(&failed(method, below, status, body)).unwrap_or_default()
}

/// `{"errors":[{"code":…,"message":…,"detail":…}]}`
fn listed(code: &str, message: &str, detail: &str) -> String {
    serde_json::json!({ "errors": [{ "code": code, "message": message, "detail": detail }] }).to_string()
}

#[test]
fn immutable_tags_of_all_products_are_called_that() {
    let tag = "sha256-0123456789";
    for (status, body) in [
        // Amazon ECR.
        (400, listed("TAG_INVALID", &format!("The image tag '{tag}' already exists in the 'team/app' repository and cannot be overwritten because the repository is immutable."), "")),
        (400, listed("ImageTagAlreadyExistsException", "", "")),
        // Harbor, now and before 2.0.
        (412, listed("PRECONDITION", &format!("Failed to process request due to 'app:{tag}' configured as immutable."), "")),
        (412, listed("DENIED", &format!("The tag:app:{tag} is immutable, cannot be overwrite."), "")),
        // Google Artifact Registry.
        (400, listed("MANIFEST_INVALID", &format!("cannot update tag {tag}. The repository has enabled tag immutability"), "")),
        // Quay.
        (409, listed("TAG_IMMUTABLE", "tag is immutable and cannot be overwritten", "")),
        // Docker Trusted Registry.
        (400, listed("UNKNOWN", &format!("tag={tag} cannot be overwritten because registry.example/team/app is an immutable repository"), "")),
        // Azure, with a lock.
        (405, listed("REGISTRY_DISALLOWED_OPERATION", "The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq", "")),
        (409, listed("UNAUTHORIZED", "the tag is locked", "")),
        // Nexus without redeployment.
        (400, listed("BLOB_UPLOAD_INVALID", "blob upload invalid", "Repository does not allow updating assets: docker-hosted")),
        (400, listed("UNKNOWN", "docker-hosted/v2/team/app/manifests/x cannot be updated", "")),
        // Artifactory without the right to overwrite.
        (403, listed("DENIED", "Not enough permissions to delete/overwrite artifact 'docker-local:team/app'", "")),
        (400, r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"description":"HTTP 403 Forbidden"}}]}"#.to_owned()),
        (404, r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"description":"Could not locate artifact 'app/x.att/manifest.json'."}}]}"#.to_owned()),
        // Others, by the status alone.
        (409, String::new()),
        (409, listed("CONFLICT", "", "")),
        (412, String::new()),
        (423, String::new()),
        (403, listed("DENIED", "cannot push to protected tag", "")),
        (409, "The tag exists.".to_owned()),
    ] {
        let list = hinted(Method::PUT, &format!("manifests/{SIG}"), status, &body);
        assert!(list.starts_with(&format!("the tag {SIG} is immutable, so")), "{status} {body}: {list}");
        assert!(list.contains("storage.oci.encoding-format=sigstore-bundle"), "{list}");
        assert!(list.contains("storage.oci.repository"), "{list}");
        // The tag that lists bundles is written where bundles were asked for.
        let fallback = hinted(Method::PUT, &format!("manifests/{tag}"), status, &body);
        assert!(fallback.starts_with(&format!("the tag {tag} is immutable, so")), "{status} {body}: {fallback}");
        assert!(!fallback.contains("sigstore-bundle") && fallback.contains("storage.oci.repository"), "{fallback}");
        // What isn't written by tag has no tag to be immutable.
        for (method, below) in [
            (Method::PUT, format!("manifests/sha256:{}", "ab".repeat(32))),
            (Method::PUT, "blobs/uploads/1".to_owned()),
            (Method::GET, format!("manifests/{SIG}")),
        ] {
            let other = hinted(method.clone(), &below, status, &body);
            assert!(!other.contains("immutable"), "{method} {below} {status} {body}: {other}");
        }
    }
    // Other refusals of the same write.
    for (status, body) in [
        (400, listed("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", "")),
        (400, listed("DIGEST_INVALID", "provided digest did not match uploaded content", "")),
        (401, listed("UNAUTHORIZED", "authentication required", "")),
        (404, listed("NAME_UNKNOWN", "repository name not known to registry", "")),
        (429, listed("TOOMANYREQUESTS", "the tag is immutable", "")),
        (500, listed("UNKNOWN", "the tag is immutable", "")),
    ] {
        let other = hinted(Method::PUT, &format!("manifests/{SIG}"), status, &body);
        assert!(!other.contains("is immutable"), "{status} {body}: {other}");
    }
}

/// Docker Hub says no more of an immutable tag than that it is forbidden, where the same login has pushed blobs.
#[test]
fn a_forbidden_tag_may_be_an_immutable_one() {
    for body in [
        listed("DENIED", "requested access to the resource is denied", ""),
        listed("DENIED", "the user is blocked", ""),
        String::new(),
    ] {
        let tag = hinted(Method::PUT, &format!("manifests/{SIG}"), 403, &body);
        assert!(tag.starts_with("allow this user to push to team/app"), "{body}: {tag}");
        assert!(tag.contains(&format!("; if the user may, the tag {SIG} is immutable, so")), "{body}: {tag}");
        for (method, below) in [(Method::POST, "blobs/uploads/"), (Method::GET, "manifests/1")] {
            assert!(!hinted(method, below, 403, &body).contains("immutable"), "{body}");
        }
    }
}

/// Token services say of a name, or of a password, what is wrong with it with whatever status they like.
#[test]
fn what_a_token_service_refuses_has_a_hint_of_its_own() {
    for (status, body, want) in [
        (
            400,
            r#"{"details":"invalid repository name"}"#.to_owned(),
            "registry.example has its own rules for names",
        ),
        (
            400,
            listed("NAME_INVALID", "Nested repositories are not supported. Found: a/b/c", ""),
            "registry.example has its own rules for names",
        ),
        (
            401,
            r#"{"details":"repository name \"a/b/c\" invalid: it must be of the format <project>/<name>"}"#
                .to_owned(),
            "registry.example has its own rules for names",
        ),
        (403, listed("DENIED", "denied", ""), "check that this login is right"),
        (401, String::new(), "check that this login is right"),
    ] {
        let failed = failed(Method::GET, "manifests/1", status, &body);
        let hint = hint::of(&RequestError { peer: Peer::TokenService, denied: true, ..failed });
        assert!(hint.clone().unwrap_or_default().starts_with(want), "{status} {body}: {hint:?}");
    }
}

#[test]
fn what_products_refuse_has_a_hint_of_its_own() {
    const UPLOAD: &str = "blobs/uploads/";
    let html = |title: &str| format!("<html><head><title>{title}</title></head><body></body></html>");
    for (method, status, body, want) in [
        // A client certificate: nginx, IIS.
        (Method::GET, 400, html("400 No required SSL certificate was sent"), "registry.example wants a client certificate"),
        (Method::GET, 400, html("400 The SSL certificate error"), "--registry-certs-dir"),
        (Method::POST, 403, html("403.7 - Forbidden: Client certificate required"), "client.cert"),
        // No room: Harbor, Quay, GitLab, a file system, a status.
        (Method::POST, 403, listed("DENIED", "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the configured upper limit of 10.0 MiB.", ""), "raise the quota for team/app"),
        (Method::POST, 403, listed("DENIED", "Quota has been exceeded on namespace", ""), "raise the quota for team/app"),
        (Method::PUT, 500, listed("UNKNOWN", "unknown error", "write /var/lib/registry: no space left on device"), "make room in the registry"),
        (Method::POST, 507, String::new(), "make room in the registry"),
        (Method::POST, 413, html("413 Request Entity Too Large"), "raise the limit of the registry"),
        // Read-only: Harbor, Quay.
        (Method::POST, 403, listed("DENIED", "The system is in read only mode. Any modification is prohibited.", ""), "takes no pushes now"),
        (Method::POST, 405, listed("METHOD NOT ALLOWED", "Pushes to the registry are currently disabled. Please contact the administrator for more information.", ""), "takes no pushes now"),
        (Method::POST, 405, listed("UNSUPPORTED", "The operation is unsupported.", ""), "read-only or a mirror"),
        (Method::POST, 403, listed("DENIED", "can not push artifact to a proxy project: team", ""), "team/app only mirrors another registry and takes no pushes: store the signatures elsewhere"),
        (Method::PUT, 405, listed("DENIED", "can not push artifact to a proxy project: team", ""), "storage.oci.repository"),
        (Method::POST, 403, listed("DENIED", "Deploying to groups is a PRO-licensed feature. See https://links.sonatype.com/product-nexus-repository", ""), "team/app is in a group of repositories, which takes no pushes"),
        // No such place: ECR, Harbor, Google, Docker Hub.
        (Method::POST, 404, listed("NAME_UNKNOWN", "The repository with name 'team/app' does not exist in the registry with id '123456789012'", ""), "create the repository team/app"),
        (Method::POST, 404, listed("NOT_FOUND", "project team not found", ""), "create the repository team/app"),
        (Method::POST, 401, listed("UNAUTHORIZED", "project team not found: project team not found", ""), "or the project that it is to lie in"),
        (Method::POST, 404, listed("NAME_UNKNOWN", "Repository \"team\" not found", ""), "as ECR, Harbor and others need it"),
        (Method::POST, 401, listed("DENIED", "requested access to the resource is denied", ""), "team/app may not exist, too: create it first"),
        (Method::GET, 403, listed("DENIED", "Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource \"projects/p/locations/europe/repositories/team\" (or it may not exist)", ""), "team/app may not exist, too: create it first"),
        // A virtual repository of Artifactory.
        (Method::GET, 403, listed("UNAUTHORIZED", "The client does not have permission for manifest: Download request for repo:path 'oci-virtual:app/sha256-a.sig/list.manifest.json' is forbidden for user: 'token:ci-bot'.", ""), "a virtual repository answers like this for what is not there, too"),
        // Scopes: GitHub, Docker Hub, GitLab.
        (Method::POST, 401, listed("UNAUTHORIZED", "access token has insufficient scopes", ""), "scope to push to team/app (GitHub: write:packages"),
        (Method::POST, 403, listed("DENIED", "permission_denied: write_package", ""), "GitHub: write:packages"),
        (Method::POST, 403, listed("DENIED", "permission_denied: The token provided does not match expected scopes.", ""), "GitHub: write:packages"),
        (Method::POST, 403, listed("DENIED", "installation not allowed to Write organization package", ""), "packages: write"),
        (Method::GET, 403, listed("DENIED", "access forbidden", ""), "GitLab: read_registry"),
        // Rules: Harbor, Artifactory, Azure.
        (Method::GET, 412, listed("PROJECTPOLICYVIOLATION", "current image with 3 vulnerabilities cannot be pulled due to configured policy in 'Prevent images with vulnerability severity of \"High\" or higher from running.'", ""), "let that rule allow team/app for this login"),
        (Method::PUT, 409, "The repository 'docker-local' rejected the resolution of an artifact 'docker-local:team/app' due to conflict in the include/exclude patterns.".to_owned(), "its tags sha256-* included"),
        (Method::GET, 403, listed("DENIED", "client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall", ""), "let the firewall of registry.example allow"),
        // Too many: Docker Hub, Google.
        (Method::GET, 429, listed("TOOMANYREQUESTS", "You have reached your pull rate limit.", ""), "use a login with a higher limit"),
        (Method::POST, 429, listed("DENIED", "Quota exceeded for quota metric 'Requests per project per user'", ""), "use a login with a higher limit"),
        // Artifacts that aren't taken.
        (Method::PUT, 400, listed("MANIFEST_INVALID", "manifest invalid", "unknown media type"), "see whether the registry takes OCI manifests"),
        (Method::PUT, 415, String::new(), "storage.oci.encoding-format"),
        (Method::POST, 400, listed("NAME_INVALID", "invalid repository name", ""), "registry.example has its own rules for names"),
        // A 400 that doesn't say why.
        (Method::PUT, 400, String::new(), "see whether the registry takes OCI manifests"),
        (Method::PUT, 400, "Bad Request".to_owned(), "storage.oci.repository"),
        (Method::POST, 400, String::new(), "look at the log of registry.example"),
        (Method::GET, 400, "bad request".to_owned(), "look at the log of registry.example"),
        // No registry.
        (Method::POST, 404, html("404 Not Found"), "check that registry.example is an OCI registry"),
        (Method::POST, 404, "404 page not found\n".to_owned(), "check that registry.example has a repository"),
        (Method::POST, 502, html("502 Bad Gateway"), "it is safe to run again"),
    ] {
        let below = match method {
            Method::PUT => format!("manifests/sha256:{}", "ab".repeat(32)),
            Method::GET => "manifests/v1".to_owned(),
            _ => UPLOAD.to_owned(),
        };
        let found = hinted(method.clone(), &below, status, &body);
        assert!(found.contains(want), "{method} {status} {body}:\n{found}\nlacks {want}");
    }
}

#[test]
fn a_503_with_a_time_asks_to_be_left_alone() {
    for (status, seconds, wants) in
        [(503, Some(60), true), (503, None, false), (503, Some(0), false), (429, None, true)]
    {
        let mut request = failed(Method::GET, "manifests/v1", status, "");
        if let Failure::Refused(refusal) = &mut request.failure {
            refusal.retry_after = seconds.map(std::time::Duration::from_secs);
        }
        assert_eq!(hint::of(&request).as_deref() == Some(WAIT), wants, "{status} {seconds:?}");
    }
}

/// What hides logins that were put in the wrong place hides none of these words.
#[test]
fn no_hint_has_a_login_in_it() {
    for variable in ["HTTP_PROXY", "HTTPS_PROXY"] {
        let mut request = failed(Method::GET, "manifests/v1", 407, "");
        let failure = Box::new(request.failure);
        request.failure = Failure::Proxy { variable, address: "http://proxy.example".into(), failure };
        let hint = hint::of(&request).unwrap();
        assert_eq!(crate::redact::text(&hint), hint);
    }
}

#[test]
fn without_a_login_the_hint_is_to_mount_one() {
    for message in ["access token has insufficient scopes", "authentication required", "access forbidden"] {
        let mut request = failed(Method::POST, "blobs/uploads/", 401, &listed("UNAUTHORIZED", message, ""));
        request.used.clear();
        let hint = hint::of(&request).unwrap();
        assert!(hint.starts_with("mount a dockerconfigjson with a login for registry.example"), "{hint}");
    }
}

#[test]
fn a_lost_plain_connection_may_be_one_that_wants_https() {
    let mut request = failed(Method::GET, "manifests/v1", 400, "");
    request.failure = Failure::ConnectionLost(std::io::ErrorKind::UnexpectedEof.into());
    assert!(!hint::of(&request).unwrap().contains("--insecure-registry"));
    request.url = request.url.replace("https://", "http://");
    assert!(
        hint::of(&request)
            .unwrap()
            .starts_with("if the registry has HTTPS, drop --insecure-registry registry.example;")
    );
}
