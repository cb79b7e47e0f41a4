//! What lies in a registry: lists of signatures, indexes, referrers and what they name, from a server that checks nothing.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::oci::Digest;

use super::shapes::JSON;
use super::{Case, INPUT_BYTES, Job, Scene, TIMEOUT};

/// The longest manifest that is read.
const MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// How many entries a crowded list has.
const CROWD: usize = 10_000;
/// The longest payload of a signature.
const PAYLOAD_BYTES: usize = 1024 * 1024;

const PUBLIC_KEY: &str = include_str!("../../tests/data/keys/p256.pub");
const PRIVATE_KEY: &str = include_str!("../../tests/data/keys/p256.pkcs8.pem");
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Every case of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = crowds();
    cases.extend(lists());
    cases.extend(contents());
    cases
}

/// Thousands of entries that look like signatures.
fn crowds() -> Vec<Case> {
    let mut cases = Vec::new();
    for command in [VERIFY, SIGN] {
        for (name, junk) in [
            ("wrong signatures", wrong as fn(&mut Registry, usize) -> Value),
            ("absent payloads", absent),
            ("other payloads", other_payload),
            ("junk certificates", certificate),
            ("junk of a log", log),
        ] {
            cases.push(Case::new(format!("{}: {CROWD} layers, {name}", command[0]), move |scene| {
                let mut registry = Registry::new();
                let layers: Vec<Value> = (0..CROWD).map(|number| junk(&mut registry, number)).collect();
                registry.tag(".sig", &manifest("layers", &json!(layers).to_string()));
                registry.job(scene, command)
            }));
        }
    }
    cases.push(Case::new(format!("verify: {CROWD} layers, payloads of 1 MiB in turn"), |scene| {
        let mut registry = Registry::new();
        let layers: Vec<Value> = (0..CROWD)
            .map(|number| {
                let mut payload = vec![b' '; PAYLOAD_BYTES];
                payload[0] = b'a' + u8::try_from(number % 12).unwrap();
                let mut layer = layer(SIMPLE, &registry.blob(payload), PAYLOAD_BYTES);
                layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature(number) });
                layer
            })
            .collect();
        registry.tag(".sig", &manifest("layers", &json!(layers).to_string()));
        registry.job(scene, VERIFY)
    }));
    cases
}

/// Lists of as many values as fit.
fn lists() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text) in JSON {
        for (tag, field, command) in [
            (".sig", "layers", VERIFY),
            (".sig", "layers", SIGN),
            (".att", "layers", VERIFY_ATTESTATION),
            ("", "manifests", VERIFY),
            ("", "manifests", SIGN_BUNDLE),
        ] {
            let what = format!("{}: sha256-…{tag} of {name}", command[0]);
            cases.push(Case::new(what, move |scene| {
                let mut registry = Registry::new();
                let room = MANIFEST_BYTES - 200;
                registry.tag(tag, &manifest(field, &text(room)));
                registry.job(scene, command)
            }));
        }
        cases.push(Case::new(format!("verify: 4 pages of referrers of {name}"), move |scene| {
            let mut registry = Registry::new();
            registry.pages(4, &manifest("manifests", &text(INPUT_BYTES / 4 - 400)));
            registry.job(scene, VERIFY)
        }));
        cases.push(Case::new(format!("verify --recursive: an index of {name}"), move |scene| {
            let mut registry = Registry::new();
            registry.image = registry.manifest(manifest("manifests", &text(MANIFEST_BYTES - 200)));
            registry.job(scene, VERIFY_RECURSIVE)
        }));
        cases.push(Case::new(format!("verify: 16 images with lists of {name}"), move |scene| {
            let mut registry = Registry::new();
            let images: Vec<String> = (0..16)
                .map(|number| {
                    registry.image = registry.manifest(manifest("layers", &format!("[{number}]")));
                    registry.tag(".sig", &manifest("layers", &text(INPUT_BYTES / 16 - 400)));
                    registry.image.clone()
                })
                .collect();
            registry.job_for(scene, VERIFY, &images)
        }));
    }
    let referrer = |number: usize| {
        let digest = Digest::of(&number.to_be_bytes());
        json!({ "mediaType": MANIFEST, "digest": digest.as_str(), "size": 1, "artifactType": BUNDLE })
    };
    cases.push(Case::new("verify: 45,000 referrers", move |scene| {
        let mut registry = Registry::new();
        let page: Vec<Value> = (0..15_000).map(referrer).collect();
        registry.pages(3, &manifest("manifests", &json!(page).to_string()));
        registry.job(scene, VERIFY)
    }));
    cases
}

/// What a list names.
fn contents() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text) in JSON {
        cases.push(Case::new(format!("verify: 3 referrers of 4 MiB of {name}"), move |scene| {
            let mut registry = Registry::new();
            let all: Vec<Value> = (0..3)
                .map(|number| {
                    let fields = format!(r#"[{{}}],"n":{number},"x":{}"#, text(MANIFEST_BYTES - 400));
                    let digest = registry.manifest(manifest("layers", &fields));
                    json!({ "mediaType": MANIFEST, "digest": digest, "size": 1, "artifactType": BUNDLE })
                })
                .collect();
            registry.pages(1, &manifest("manifests", &json!(all).to_string()));
            registry.job(scene, VERIFY)
        }));
        cases.push(Case::new(format!("verify-attestation: 2 envelopes of {name}"), move |scene| {
            let mut registry = Registry::new();
            let layers: Vec<Value> = (0..2)
                .map(|number| {
                    let envelope = format!(r#"{{"n":{number},"x":{}}}"#, text(INPUT_BYTES / 2 - 4000));
                    let bytes = envelope.len();
                    layer(ENVELOPE, &registry.blob(envelope), bytes)
                })
                .collect();
            registry.tag(".att", &manifest("layers", &json!(layers).to_string()));
            registry.job(scene, VERIFY_ATTESTATION)
        }));
        cases.push(Case::new(format!("verify: 15 payloads of {name}"), move |scene| {
            let mut registry = Registry::new();
            let layers: Vec<Value> = (0..15)
                .map(|number| {
                    let payload = format!(r#"[{number},{}]"#, text(PAYLOAD_BYTES - 1000));
                    let bytes = payload.len();
                    let mut layer = layer(SIMPLE, &registry.blob(payload), bytes);
                    layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature(number) });
                    layer
                })
                .collect();
            registry.tag(".sig", &manifest("layers", &json!(layers).to_string()));
            registry.job(scene, VERIFY)
        }));
    }
    cases
}

const VERIFY: &[&str] = &["verify", "--insecure-ignore-tlog", "--key", "cosign.pub"];
const VERIFY_RECURSIVE: &[&str] = &["verify", "--recursive", "--insecure-ignore-tlog", "--key", "cosign.pub"];
const VERIFY_ATTESTATION: &[&str] =
    &["verify-attestation", "--insecure-ignore-tlog", "--type", "spdx", "--key", "cosign.pub"];
const SIGN: &[&str] = &["sign", "--key", "key.pem"];
const SIGN_BUNDLE: &[&str] =
    &["sign", "--key", "key.pem", "--config", "storage.oci.encoding-format=sigstore-bundle"];

/// A manifest whose list `field` is `list`.
fn manifest(field: &str, list: &str) -> String {
    let kind = if field == "layers" { MANIFEST } else { INDEX };
    format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","{field}":{list}}}"#)
}

fn layer(kind: &str, digest: &str, bytes: usize) -> Value {
    json!({ "mediaType": kind, "digest": digest, "size": bytes })
}

/// The DER of a signature by an unknown key.
fn signature(number: usize) -> String {
    let half: [u8; 32] = std::array::from_fn(|at| if at < 8 { 0x11 } else { (number >> (at % 4 * 8)) as u8 });
    let integer = [&[2, 32][..], &half].concat();
    STANDARD.encode([&[0x30, 68][..], &integer, &integer].concat())
}

fn signed(registry: &Registry, number: usize, annotations: Value) -> Value {
    let payload = registry.payload();
    let mut layer = layer(SIMPLE, Digest::of(payload.as_bytes()).as_str(), payload.len());
    layer["annotations"] = annotations;
    layer["annotations"]["dev.cosignproject.cosign/signature"] = signature(number).into();
    layer
}

fn wrong(registry: &mut Registry, number: usize) -> Value {
    signed(registry, number, json!({}))
}

fn certificate(registry: &mut Registry, number: usize) -> Value {
    signed(registry, number, json!({ "dev.sigstore.cosign/certificate": format!("{number}") }))
}

fn log(registry: &mut Registry, number: usize) -> Value {
    signed(registry, number, json!({ "dev.sigstore.cosign/bundle": "[[],[],[],[],[],[],[],[]]" }))
}

fn absent(registry: &mut Registry, number: usize) -> Value {
    let mut layer = wrong(registry, number);
    layer["digest"] = Digest::of(&number.to_be_bytes()).as_str().into();
    layer
}

fn other_payload(registry: &mut Registry, number: usize) -> Value {
    let payload = format!("{number}");
    let mut layer = wrong(registry, number);
    layer["size"] = payload.len().into();
    layer["digest"] = registry.blob(payload).into();
    layer
}

/// Answers each path with what is in the map, and 404 with everything else.
struct Registry {
    listener: TcpListener,
    host: String,
    files: HashMap<String, File>,
    /// The digest of the image.
    image: String,
    bytes: usize,
}

#[derive(Clone)]
struct File {
    kind: &'static str,
    body: Arc<[u8]>,
    link: Option<String>,
}

impl Registry {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let mut registry = Self { listener, host, files: HashMap::new(), image: String::new(), bytes: 0 };
        registry.image = registry.manifest(manifest("layers", "[]"));
        registry
    }

    /// What `sign` makes for the image.
    fn payload(&self) -> String {
        format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"{}/app"}},"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":null}}"#,
            self.host, self.image
        )
    }

    fn put(&mut self, path: String, kind: &'static str, body: Vec<u8>, link: Option<String>) {
        self.bytes += body.len();
        self.files.insert(path, File { kind, body: body.into(), link });
    }

    fn blob(&mut self, body: impl Into<Vec<u8>>) -> String {
        let body = body.into();
        let digest = Digest::of(&body).to_string();
        let path = format!("/v2/app/blobs/{digest}");
        if !self.files.contains_key(&path) {
            self.put(path, "application/octet-stream", body, None);
        }
        digest
    }

    fn manifest(&mut self, body: String) -> String {
        let digest = Digest::of(body.as_bytes()).to_string();
        self.put(format!("/v2/app/manifests/{digest}"), MANIFEST, body.into(), None);
        digest
    }

    fn tag(&mut self, end: &str, body: &str) {
        let tag = self.image.replace(':', "-");
        self.put(format!("/v2/app/manifests/{tag}{end}"), MANIFEST, body.into(), None);
    }

    /// A list of referrers with so many pages; only the first counts where they are all the same.
    fn pages(&mut self, count: usize, page: &str) {
        let path = format!("/v2/app/referrers/{}", self.image);
        for number in 0..count {
            let at = if number == 0 { path.clone() } else { format!("{path}?n={number}") };
            let link =
                (number + 1 < count).then(|| format!("Link: <{path}?n={}>; rel=\"next\"\r\n", number + 1));
            self.put(at, INDEX, page.into(), link);
        }
    }

    fn job(self, scene: &Scene, command: &[&str]) -> Job {
        let image = self.image.clone();
        self.job_for(scene, command, &[image])
    }

    fn job_for(self, scene: &Scene, arguments: &[&str], images: &[String]) -> Job {
        scene.file("cosign.pub", PUBLIC_KEY);
        scene.file("key.pem", PRIVATE_KEY);
        let mut command = scene.command(arguments);
        command.args(["--timeout", TIMEOUT, "--insecure-registry", &self.host]);
        command.args(images.iter().map(|digest| format!("{}/app@{digest}", self.host)));
        let bytes = self.bytes;
        let files = Arc::new(self.files);
        std::thread::spawn(move || {
            for stream in self.listener.incoming().flatten() {
                let files = Arc::clone(&files);
                std::thread::spawn(move || serve(stream, &files));
            }
        });
        Job::new(command, bytes)
    }
}

fn serve(stream: std::net::TcpStream, files: &HashMap<String, File>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0_u64;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) <= 2 {
                break;
            }
            if let Some((_, value)) = header.to_ascii_lowercase().split_once("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let _ = std::io::copy(&mut std::io::Read::take(&mut reader, length), &mut std::io::sink());
        let none = File {
            kind: "application/json",
            body: br#"{"errors":[{"code":"NOT_FOUND"}]}"#.to_vec().into(),
            link: None,
        };
        let (status, file) =
            files.get(&path).map_or(("404 Not Found", none), |file| ("200 OK", file.clone()));
        let File { kind, body, link } = file;
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{}Content-Length: {}\r\n\r\n",
            link.unwrap_or_default(),
            body.len()
        );
        let out = reader.get_mut();
        if out.write_all(head.as_bytes()).and_then(|()| out.write_all(&body)).is_err() {
            return;
        }
    }
}
