//! Attestations as cosign stored them until July 2023: an envelope in an `.att` layer, logged as `intoto` 0.0.1. The entry holds the hash of the
//! layer's bytes, so it is of them and of nothing that says the same.
//!
//! The corpus in `tests/data/layers` is made of them, a folder a case, good and bad: `layer`, `annotations.json`, `README`, and `key.pub` where it is of a key.
//! The image that they are about is `manifest`. `cargo test --test hermetic bundles:: -- --ignored layers_are_written` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::found::LayerAnnotations;
use stepseal::key::PublicKey;
use stepseal::verify::bundle::{IdentityPolicy, Match, TrustMaterial};
use stepseal::verify::{Accepted, Signer, Trust};

use super::recipe::{IN_TOTO, Recipe};
use super::sigstore::*;

/// The image that every attestation is about: a manifest without layers.
const IMAGE: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#;

/// What a layer and its entry are made of; `with_key` is who signs and who must have signed.
struct Layer {
    with_key: bool,
    /// The envelope, as it is signed and logged.
    envelope: Value,
    /// What is logged, and how.
    content: Value,
    public_key: String,
    /// What the layer has beside what was logged.
    appended: &'static str,
    chain: Option<String>,
    leaf: Leaf,
}

impl Layer {
    fn new(with_key: bool) -> Self {
        let statement = Recipe { subject: IMAGE, ..Recipe::rekor1() }.statement();
        let signature = sign(&key("signer"), &sigstore_types::pae(IN_TOTO, &statement));
        let envelope = json!({
            "payloadType": IN_TOTO, "payload": base64(&statement), "signatures": [{"keyid": "", "sig": base64(signature)}],
        });
        let content = json!({"hash": hash(envelope.to_string().as_bytes()), "payloadHash": hash(&statement)});
        let public_key = match with_key {
            true => pem("PUBLIC KEY", &spki(&key("signer"))),
            false => pem("CERTIFICATE", &leaf(&Leaf::default())),
        };
        Self { with_key, envelope, content, public_key, appended: "", chain: None, leaf: Leaf::default() }
    }

    /// Logs the envelope as it is now.
    fn logged_anew(mut self) -> Self {
        self.content["hash"] = hash(self.envelope.to_string().as_bytes());
        self
    }

    /// What cosign hung onto the layer.
    fn annotations(&self) -> Value {
        let spec = json!({"content": self.content, "publicKey": base64(&self.public_key)});
        self.annotated("intoto", &json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": spec}))
    }

    /// The same with another entry, of version 0.0.1 of its kind.
    fn annotated(&self, kind: &str, body: &Value) -> Value {
        let entry = entry_v1(kind, "0.0.1", body, SIGNED);
        let number = |field: &str| entry[field].as_str().unwrap().parse::<u64>().unwrap();
        let log = json!({
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"], "integratedTime": number("integratedTime"), "logIndex": number("logIndex"),
                "logID": hex(&STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap()),
            },
        });
        let mut annotations =
            json!({"dev.cosignproject.cosign/signature": "", "dev.sigstore.cosign/bundle": log.to_string()});
        if !self.with_key {
            annotations["dev.sigstore.cosign/certificate"] = json!(pem("CERTIFICATE", &leaf(&self.leaf)));
        }
        if let Some(chain) = &self.chain {
            annotations["dev.sigstore.cosign/chain"] = json!(chain);
        }
        annotations
    }

    fn bytes(&self) -> Vec<u8> {
        format!("{}{}", self.envelope, self.appended).into_bytes()
    }

    /// What the library says of the layer; `Ok` is whether the log counted.
    fn judged(&self) -> Result<bool, String> {
        self.judged_with(&self.annotations())
    }

    fn judged_with(&self, annotations: &Value) -> Result<bool, String> {
        let signer = match self.with_key {
            true => {
                Signer::Key(Box::new(PublicKey::from_pem(&pem("PUBLIC KEY", &spki(&key("signer")))).unwrap()))
            }
            false => Signer::Identity(IdentityPolicy::new(Match::exact(IDENTITY), Match::exact(ISSUER))),
        };
        let root = serde_json::to_vec(&Recipe::rekor1().trusted_root()).unwrap();
        let accepted = Accepted {
            name: "ci".to_owned(),
            signer,
            log_required: true,
            timestamp_required: false,
            ignore_sct: false,
            allow_certificate_chain: false,
            hash: None,
        };
        let trust =
            Trust { signers: vec![accepted], material: TrustMaterial::parse(&root).unwrap().shared() };
        let text = |name: &str| annotations.get(name).and_then(Value::as_str).map(str::to_owned);
        let attached = LayerAnnotations {
            certificate: text("dev.sigstore.cosign/certificate"),
            chain: text("dev.sigstore.cosign/chain"),
            log: text("dev.sigstore.cosign/bundle"),
            timestamp: None,
        };
        let judged = trust.envelope(&self.bytes(), &attached);
        judged.map(|(by, _)| by.logged).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| cause.to_string());
            format!("{error}: {}", cause.unwrap_or_default())
        })
    }
}

fn hash(bytes: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": hex(&sha256(bytes))})
}

/// A change to what is right.
type Change = fn(Layer) -> Layer;

/// A case: its name, why it is good or bad, what the refusal says (nothing: it is good), and what is done to a good layer.
struct Case(&'static str, &'static str, Option<&'static str>, Change);

const CASES: [Case; 13] = [
    Case("intoto", "as cosign made it", None, |layer| layer),
    Case(
        "intoto-without-payload-hash",
        "the oldest entries have no hash of the payload",
        None,
        |mut layer| {
            layer.content.as_object_mut().unwrap().remove("payloadHash");
            layer
        },
    ),
    Case(
        "intoto-with-blanks",
        "the layer ends with a line break, which was logged too",
        None,
        |mut layer| {
            layer.appended = "\n";
            layer.content["hash"] = hash(&layer.bytes());
            layer
        },
    ),
    Case("intoto-with-root", "the chain beside the certificate ends with its root", None, |mut layer| {
        let own = Authorities::default();
        let chain = [intermediate(&own), root_certificate(&own)];
        layer.chain = Some(chain.map(|der| pem("CERTIFICATE", &der)).concat());
        layer
    }),
    Case("intoto-blank-added", "a blank was added to what was logged", Some("the envelope"), |mut layer| {
        layer.appended = " ";
        layer
    }),
    Case(
        "intoto-reordered",
        "the same fields in another order were not logged",
        Some("the envelope"),
        |mut layer| {
            let payload = layer.envelope.as_object_mut().unwrap().shift_remove("payload").unwrap();
            layer.envelope["payload"] = payload;
            layer
        },
    ),
    Case(
        "intoto-another-algorithm",
        "the hash says it is of another algorithm",
        Some("the envelope"),
        |mut layer| {
            layer.content["hash"]["algorithm"] = json!("sha512");
            layer
        },
    ),
    Case("intoto-without-hash", "the entry is of no envelope", Some("read as intoto"), |mut layer| {
        layer.content.as_object_mut().unwrap().remove("hash");
        layer
    }),
    Case(
        "intoto-another-payload",
        "the hash of the payload is of another one",
        Some("the payload"),
        |mut layer| {
            layer.content["payloadHash"] = hash(b"other");
            layer
        },
    ),
    Case(
        "intoto-another-signer",
        "the entry is of another signer",
        Some("entry of something else"),
        |mut layer| {
            layer.public_key = pem("PUBLIC KEY", &spki(&key("somebody")));
            layer
        },
    ),
    Case(
        "intoto-two-signatures",
        "two signatures, and the entry is of one signer",
        Some("this envelope has several"),
        |mut layer| {
            let one = layer.envelope["signatures"][0].clone();
            layer.envelope["signatures"].as_array_mut().unwrap().push(one);
            layer.logged_anew()
        },
    ),
    Case(
        "intoto-signed-by-another",
        "another key signed the envelope that was logged",
        Some(""),
        |mut layer| {
            layer.envelope["signatures"][0]["sig"] = json!(base64(sign(&key("somebody"), b"x")));
            layer.logged_anew()
        },
    ),
    // Of a key nothing hangs on a certificate: only the other half of the pair is bad.
    Case(
        "intoto-own-root",
        "the root that the chain brings issued the certificate",
        Some("certificate of the signer"),
        |mut layer| {
            let own = authority("Own root", "Own root", "own root", "own root", Authorities::default().root);
            layer.chain = Some(pem("CERTIFICATE", &own));
            layer.leaf = Leaf { issued_by: "own root", issuer: "Own root", ..Leaf::default() };
            layer.public_key = pem("CERTIFICATE", &leaf(&layer.leaf));
            layer
        },
    ),
];

/// Every case of a key and of a certificate, with its name and why it is refused, if it is.
fn all() -> Vec<(String, &'static str, Option<&'static str>, Layer)> {
    let each = CASES.iter().flat_map(|case| [true, false].map(|with_key| (case, with_key)));
    let each = each.filter(|(case, with_key)| !with_key || case.0 != "intoto-own-root");
    each.map(|(Case(name, why, refusal, change), with_key)| {
        let end = if refusal.is_some() { "_fail" } else { "" };
        let by = if with_key { "key-" } else { "" };
        (format!("{by}{name}{end}"), *why, *refusal, change(Layer::new(with_key)))
    })
    .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/layers")
}

fn write(into: &Path) {
    fs::write(into.join("manifest"), IMAGE).unwrap();
    for (name, why, _, layer) in all() {
        let folder = into.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("README"), format!("{why}\n")).unwrap();
        fs::write(folder.join("layer"), layer.bytes()).unwrap();
        fs::write(folder.join("annotations.json"), serde_json::to_vec_pretty(&layer.annotations()).unwrap())
            .unwrap();
        if layer.with_key {
            fs::write(folder.join("key.pub"), pem("PUBLIC KEY", &spki(&key("signer")))).unwrap();
        }
    }
}

#[test]
#[ignore = "writes tests/data/layers: cargo test --test hermetic bundles:: -- --ignored layers_are_written"]
fn layers_are_written() {
    fs::create_dir_all(folder()).unwrap();
    for old in fs::read_dir(folder()).unwrap().map(|old| old.unwrap().path()).filter(|path| path.is_dir()) {
        fs::remove_dir_all(old).unwrap();
    }
    write(&folder());
}

#[test]
fn the_layers_are_what_the_cases_make() {
    let scratch = tempfile::tempdir().unwrap();
    write(scratch.path());
    let read = |place: &Path| {
        let mut all: Vec<(String, Vec<u8>)> = Vec::new();
        for folder in fs::read_dir(place).unwrap().map(|one| one.unwrap().path()).filter(|path| path.is_dir())
        {
            for file in fs::read_dir(&folder).unwrap().map(|one| one.unwrap().path()) {
                all.push((file.strip_prefix(place).unwrap().display().to_string(), fs::read(&file).unwrap()));
            }
        }
        all.sort();
        all
    };
    assert_eq!(read(scratch.path()), read(&folder()));
    assert_eq!(fs::read(folder().join("manifest")).unwrap(), IMAGE);
}

#[test]
fn an_entry_counts_for_the_stored_bytes_and_their_signer_alone() {
    for (name, _, refusal, layer) in all() {
        match (layer.judged(), refusal) {
            (judged, None) => assert_eq!(judged, Ok(true), "{name}"),
            (Err(error), Some(why)) => assert!(error.contains(why), "{name}: {error}"),
            (Ok(_), Some(_)) => panic!("{name} is accepted"),
        }
    }
}

/// The specification of DSSE lets an envelope have other fields, and cosign reads over them.
#[test]
fn an_envelope_may_have_fields_that_nobody_knows() {
    for with_key in [true, false] {
        let more = |mut layer: Layer| {
            layer.envelope["x"] = json!({"a": [1]});
            layer.envelope["signatures"][0]["cert"] = json!("-----BEGIN CERTIFICATE-----");
            layer
        };
        assert_eq!(more(Layer::new(with_key)).logged_anew().judged(), Ok(true), "key: {with_key}");
        // They are part of what was logged.
        let error = more(Layer::new(with_key)).judged().unwrap_err();
        assert!(error.contains("the envelope"), "{error}");
    }
}

/// Each signature is judged with the entry, which says of which it is.
#[test]
fn one_good_signature_of_several_is_enough_where_the_entry_says_which_it_is() {
    let other = json!({"keyid": "", "sig": base64(sign(&key("somebody"), b"x"))});
    for with_key in [true, false] {
        for (at, of_good, counts) in [(0, true, true), (1, true, true), (0, false, false), (1, false, false)]
        {
            let mut layer = Layer::new(with_key);
            let good = layer.envelope["signatures"][0].clone();
            layer.envelope["signatures"].as_array_mut().unwrap().insert(at, other.clone());
            let logged = if of_good { &good } else { &other };
            let payload = STANDARD.decode(layer.envelope["payload"].as_str().unwrap()).unwrap();
            let spec = json!({
                "payloadHash": hash(&payload), "envelopeHash": hash(layer.envelope.to_string().as_bytes()),
                "signatures": [{"signature": logged["sig"], "verifier": base64(&layer.public_key)}],
            });
            let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec});
            let judged = layer.judged_with(&layer.annotated("dsse", &body));
            assert_eq!(judged.is_ok(), counts, "key: {with_key}, other at {at}: {judged:?}");
            if let Err(error) = judged {
                assert!(error.contains("the entry of something else"), "{error}");
            }
        }
    }
}
