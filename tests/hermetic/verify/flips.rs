//! Every byte changed in turn: nothing that changes meaning is accepted, nothing panics.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepseal::found::LayerAnnotations;
use stepseal::oci::{Digest, ImageRef};
use stepseal::process::ProgramEnvironment;
use stepseal::registry::client::{Client, ClientOptions};
use stepseal::registry::credentials::{FileKeychain, Places};
use stepseal::store::{Search, Wanted};
use stepseal::verify::{Accepted, Demands, Said, Signer, Trust, Verdict};

use crate::kit::step::MANIFEST;
use crate::verify::kit::{SIGNATURE, SIMPLE, envelope, other, provenance, signed, signer};

fn trust() -> Trust {
    Trust {
        signers: vec![Accepted {
            name: "ours".into(),
            signer: Signer::Key(Box::new(signer().public_key().clone())),
            log_required: false,
            timestamp_required: false,
            ignore_sct: false,
            allow_certificate_chain: false,
            hash: None,
        }],
        material: std::sync::Arc::new(stepseal::verify::bundle::TrustMaterial::none()),
    }
}

/// What differs from `bytes` in one byte: a bit of it, all of it, and its absence.
fn changed(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).flat_map(move |at| {
        let flip = move |mask: u8| {
            let mut copy = bytes.to_vec();
            copy[at] ^= mask;
            copy
        };
        let mut without = bytes.to_vec();
        without.remove(at);
        [flip(1), flip(0x20), flip(0xff), without]
    })
}

#[test]
fn no_changed_payload_or_signature_counts() {
    let payload = br#"{"critical":{}}"#;
    let signature = signer().sign(payload).unwrap().0;
    let trust = trust();
    let attached = LayerAnnotations::default();
    assert!(trust.simple(payload, &signature, &attached).is_ok());
    for payload in changed(payload) {
        assert!(trust.simple(&payload, &signature, &attached).is_err());
    }
    for signature in changed(&signature) {
        assert!(trust.simple(payload, &signature, &attached).is_err());
    }
}

#[test]
fn no_changed_bundle_says_something_else() {
    let envelope = envelope(signer(), &provenance(&Digest::of(b"x"), "2026-01-01T00:00:00Z"));
    let envelope: Value = serde_json::from_slice(&envelope).unwrap();
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": signer().public_key().hint() } },
        "dsseEnvelope": envelope,
    })
    .to_string();
    let trust = trust();
    let (_, good) = trust.bundle(bundle.as_bytes()).unwrap();
    let mut accepted = 0;
    for bytes in changed(bundle.as_bytes()) {
        if let Ok((_, read)) = trust.bundle(&bytes) {
            assert_eq!((&read.payload_type, &read.payload), (&good.payload_type, &good.payload));
            accepted += 1;
        }
    }
    // The hint and the key id say nothing that counts.
    assert!(accepted < bundle.len() * 2, "{accepted}");
}

/// Answers each path with what is in the map, and 404 with everything else.
type Files = Arc<Mutex<HashMap<String, (&'static str, Vec<u8>)>>>;

fn serve(files: Files) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let files = Arc::clone(&files);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    while reader.read_line(&mut line).unwrap_or(0) > 2 {}
                    let found = files.lock().unwrap().get(&path).cloned();
                    let (status, kind, body) = match found {
                        Some((kind, body)) => ("200 OK", kind, body),
                        None => (
                            "404 Not Found",
                            "application/json",
                            br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#.to_vec(),
                        ),
                    };
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    if reader.get_mut().write_all(&[head.as_bytes(), &body].concat()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    host
}

#[test]
fn no_changed_manifest_of_signatures_gives_another_signature() {
    let files = Files::default();
    let host = serve(Arc::clone(&files));
    let digest = Digest::of(b"the image");
    let image: ImageRef = format!("{host}/app@{digest}").parse().unwrap();
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"a"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    );
    let blob = Digest::of(payload.as_bytes());
    let layer = |text: &str| {
        json!({
            "mediaType": SIMPLE, "size": payload.len(), "digest": blob.as_str(), "annotations": { SIGNATURE: text },
        })
    };
    let layers = [other(), signer()].map(|signer| layer(&signed(signer, payload.as_bytes()).2));
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers }).to_string();
    let tag = format!("/v2/app/manifests/sha256-{}.sig", digest.hex());
    files
        .lock()
        .unwrap()
        .insert(format!("/v2/app/blobs/{blob}"), ("application/octet-stream", payload.clone().into()));

    let options = ClientOptions {
        insecure: vec![host],
        ..ClientOptions::new(Instant::now() + Duration::from_secs(500))
    };
    let keychain = FileKeychain::load(Places::explicit([]), ProgramEnvironment::default()).unwrap();
    let client = Client::new(options, Arc::new(keychain)).unwrap();
    let search = Search::new(client, None, Wanted::Signatures);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let trust = trust();
    let look = |bytes: Vec<u8>| {
        files.lock().unwrap().insert(tag.clone(), (MANIFEST, bytes));
        let mut verdict = Verdict::default();
        let found = runtime.block_on(search.run(&image, &[], &mut |find| {
            verdict.see(&image, find, &trust, &Demands::default());
        }));
        found.failures.into_first().map_or(Ok(verdict), Err)
    };
    assert_eq!(look(manifest.clone().into()).unwrap().good.len(), 1);
    let mut refused = 0;
    for (at, _) in manifest.bytes().enumerate() {
        let mut bytes = manifest.clone().into_bytes();
        bytes[at] ^= 1 << (at % 8);
        match look(bytes) {
            Ok(verdict) => {
                assert!(verdict.good.len() <= 1);
                for good in &verdict.good {
                    let Said::Claim(claim) = &good.said else { unreachable!("it is a claim") };
                    assert_eq!(claim.document.to_string(), payload);
                }
                refused += usize::from(verdict.good.is_empty());
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 200, "{refused} of {}", manifest.len());
}
