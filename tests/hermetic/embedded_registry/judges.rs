//! What other people's clients say of the registry.

use std::process::Command;
use std::sync::Arc;

use http::StatusCode;
use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::OciImageManifest;
use oci_client::secrets::RegistryAuth;
use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options, User};
use stepseal::oci::Digest;

use crate::embedded_registry::{Site, client};

const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

fn options(auth: Auth) -> Options {
    Options { auth, users: vec![User::new("ci", "pw").may_push("team/**")], ..Options::default() }
}

/// Pushes an image and a referrer with oci-client, and finds them again.
async fn push_and_pull(options: Options, monolithic: bool) {
    let auth = match options.auth {
        Auth::None => RegistryAuth::Anonymous,
        Auth::Basic | Auth::Bearer | Auth::Both => RegistryAuth::Basic("ci".to_owned(), "pw".to_owned()),
    };
    let site = Site::new(options).await;
    let config = ClientConfig {
        protocol: ClientProtocol::Http,
        use_monolithic_push: monolithic,
        ..ClientConfig::default()
    };
    let client = Client::new(config);
    let image: Reference = format!("{}/team/app:v1", site.registry.host()).parse().unwrap();
    // More than one of the chunks that oci-client makes.
    let layer = ImageLayer::new(vec![7; 5 << 20], LAYER_TYPE.to_owned(), None);
    let config = Config::oci_v1(b"{}".to_vec(), None);
    client.push(&image, std::slice::from_ref(&layer), config.clone(), &auth, None).await.unwrap();

    let pulled = client.pull(&image, &auth, vec![LAYER_TYPE]).await.unwrap();
    assert_eq!(pulled.layers, [layer]);
    let tags = client.list_tags(&image, &auth, None, None).await.unwrap();
    assert_eq!(tags.tags, ["v1"]);

    let (manifest, digest) = client.pull_image_manifest(&image, &auth).await.unwrap();
    let size = site.registry.content().manifest("team/app", "v1").unwrap().1.len();
    let subject = oci_client::manifest::OciDescriptor {
        media_type: oci_client::manifest::OCI_IMAGE_MEDIA_TYPE.to_owned(),
        digest: digest.clone(),
        size: i64::try_from(size).unwrap(),
        ..Default::default()
    };
    let referrer = OciImageManifest {
        subject: Some(subject),
        artifact_type: Some("application/x-test".to_owned()),
        layers: Vec::new(),
        ..manifest
    };
    let place: Reference = format!("{}/team/app:referrer", site.registry.host()).parse().unwrap();
    client.push_manifest(&place, &referrer.into()).await.unwrap();
    let subject = image.clone_with_digest(digest);
    let found = client.pull_referrers(&subject, Some("application/x-test")).await.unwrap();
    assert_eq!(found.manifests.len(), 1);
}

#[tokio::test]
async fn oci_client_pushes_and_pulls() {
    push_and_pull(options(Auth::None), false).await;
    push_and_pull(options(Auth::Basic), true).await;
    push_and_pull(options(Auth::Bearer), false).await;
    let docker_like = Options { monolithic_post: false, absolute_locations: true, ..options(Auth::Bearer) };
    push_and_pull(docker_like, true).await;
}

#[tokio::test]
async fn it_works_behind_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());

    let behind = Options { public_url: Some(url.clone()), absolute_locations: true, ..options(Auth::Bearer) };
    let registry = Arc::new(EmbeddedRegistry::start(behind).await.unwrap());
    let digest = registry.content().put_blob("team/app", "layer").unwrap();
    let served = Arc::clone(&registry);
    let front = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that doesn't trust us ends the handshake; the next one may.
            if let Ok(stream) = tls.accept(stream).await {
                tokio::spawn(served.serve_stream(stream));
            }
        }
    });

    let blob = format!("{url}/v2/team/app/blobs/{digest}");
    client().build().unwrap().get(&blob).send().await.unwrap_err();
    let trusted = reqwest::Certificate::from_der(made.cert.der()).unwrap();
    let http = client().tls_certs_only([trusted]).build().unwrap();
    let got = http.get(&blob).send().await.unwrap();
    let challenge = got.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert_eq!(got.status(), StatusCode::UNAUTHORIZED);
    assert!(challenge.starts_with(&format!("Bearer realm=\"{url}/token\"")), "{challenge}");
    let token = http.get(format!("{url}/token?scope=repository:team/app:pull")).basic_auth("ci", Some("pw"));
    let token: serde_json::Value =
        serde_json::from_slice(&token.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let got = http.get(&blob).bearer_auth(token["token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(Digest::of(&got.bytes().await.unwrap()), digest);
    front.abort();
}

#[test]
fn a_registry_of_its_own_thread_frees_its_port() {
    let registry = EmbeddedRegistry::start_blocking(Options::default()).unwrap();
    let port = registry.host().rsplit(':').next().unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{}/v2/", registry.host());
    let http = client().build().unwrap();
    assert_eq!(runtime.block_on(http.get(&url).send()).unwrap().status(), StatusCode::OK);
    drop(registry);
    runtime.block_on(http.get(&url).send()).unwrap_err();
    let again = EmbeddedRegistry::start_blocking(Options { port, ..Options::default() }).unwrap();
    assert_eq!(runtime.block_on(http.get(&url).send()).unwrap().status(), StatusCode::OK);
    assert_eq!(again.requests().len(), 1);
    // A port that is taken is an error, not a hang.
    EmbeddedRegistry::start_blocking(Options { port, ..Options::default() }).unwrap_err();
}

/// Lets another program judge: a shell command in `STEPSEAL_JUDGE`, with the registry in `$REGISTRY` and a
/// user `ci` with the password `pw`. `STEPSEAL_JUDGE_AUTH` is `none`, `basic` or `bearer`. For the conformance
/// suite of the specification (Go module `github.com/opencontainers/distribution-spec/conformance`):
///
/// ```text
/// STEPSEAL_JUDGE='OCI_REGISTRY=$REGISTRY OCI_TLS=disabled OCI_USERNAME=ci OCI_PASSWORD=pw conformance' \
///     STEPSEAL_JUDGE_AUTH=bearer cargo test --test hermetic another_program -- --ignored --nocapture
/// ```
#[test]
#[ignore = "needs STEPSEAL_JUDGE, a command of another project"]
fn another_program_is_content() {
    let command = std::env::var("STEPSEAL_JUDGE").expect("STEPSEAL_JUDGE holds a shell command");
    let auth = match std::env::var("STEPSEAL_JUDGE_AUTH").as_deref() {
        Ok("basic") => Auth::Basic,
        Ok("bearer") => Auth::Bearer,
        Ok("none") | Err(_) => Auth::None,
        Ok(other) => panic!("STEPSEAL_JUDGE_AUTH is {other:?}"),
    };
    let users = vec![User::new("ci", "pw").may_push("**")];
    let registry = EmbeddedRegistry::start_blocking(Options { auth, users, ..Options::default() }).unwrap();
    println!("the registry is {}", registry.host());
    let status = Command::new("sh").args(["-c", &command]).env("REGISTRY", registry.host()).status().unwrap();
    println!("it answered {} requests", registry.requests().len());
    assert!(status.success(), "{command}: {status}");
}
