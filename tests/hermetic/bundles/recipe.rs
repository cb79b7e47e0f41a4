//! How a bundle of the corpus is made: everything good, but for what a case changes.

use serde_json::{Value, json};

use stepseal::key::Hash;

use super::sigstore::*;

/// The artifact of every case that has none of its own.
pub(crate) const ARTIFACT: &[u8] = b"what the pipeline built\n";
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";
pub(crate) const V0_1: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
pub(crate) const V0_2: &str = "application/vnd.dev.sigstore.bundle+json;version=0.2";
pub(crate) const V0_3_OLD: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";
pub(crate) const V0_3: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Message,
    Envelope,
}

/// Where it is logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logged {
    Rekor1,
    /// In Rekor 1 by the hash of what is signed, whatever it is.
    Rekor1Hashed,
    /// As the older kind of entry for attestations.
    Intoto,
    /// As the oldest kind of entry for attestations, which holds the hash of the stored envelope.
    IntotoHash,
    Rekor2,
    /// As the kind that Rekor 2 had for envelopes at first.
    Rekor2Dsse,
    Nowhere,
}

/// How a bundle is made.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) media_type: &'static str,
    /// With the bare key `signer` in place of a certificate.
    pub(crate) with_key: bool,
    pub(crate) what: What,
    pub(crate) logged: Logged,
    pub(crate) promise: bool,
    pub(crate) proof: bool,
    pub(crate) integrated: i64,
    pub(crate) leaf: Leaf,
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) windows: Windows,
    pub(crate) authorities: Authorities,
    /// The witnesses that signed the checkpoint before and after the log.
    pub(crate) witnesses: (&'static [&'static str], &'static [&'static str]),
    pub(crate) payload_type: &'static str,
    pub(crate) statement_type: &'static str,
    pub(crate) subject: &'static [u8],
    pub(crate) signed_by: &'static str,
    /// The hash that is signed, and logged where the entry has one of what is signed.
    pub(crate) hash: Hash,
    /// This in place of a signature.
    pub(crate) signature: Option<Vec<u8>>,
    /// Whether the log was sent the envelope as it is stored: its hash is in entries, and cosign's old bundles keep those bytes.
    pub(crate) sent_as_stored: bool,
    /// Chain instead of a certificate alone: what stands behind the leaf.
    pub(crate) chain: Option<Vec<Vec<u8>>>,
}

impl Recipe {
    /// By an identity, in Rekor 1, with promise and proof.
    pub(crate) fn rekor1() -> Self {
        Self {
            media_type: V0_3,
            with_key: false,
            what: What::Message,
            logged: Logged::Rekor1,
            promise: true,
            proof: true,
            integrated: SIGNED,
            leaf: Leaf::default(),
            stamps: Vec::new(),
            windows: Windows::default(),
            authorities: Authorities::default(),
            witnesses: (&[], &[]),
            payload_type: IN_TOTO,
            statement_type: "https://in-toto.io/Statement/v1",
            subject: ARTIFACT,
            signed_by: "signer",
            hash: Hash::Sha256,
            signature: None,
            sent_as_stored: false,
            chain: None,
        }
    }

    /// By an identity, in Rekor 2, with a timestamp.
    pub(crate) fn rekor2() -> Self {
        Self { logged: Logged::Rekor2, stamps: vec![Stamp::at(SIGNED)], ..Self::rekor1() }
    }

    /// With a key.
    pub(crate) fn with_key(self) -> Self {
        Self { with_key: true, ..self }
    }

    pub(crate) fn envelope(self) -> Self {
        Self { what: What::Envelope, ..self }
    }

    pub(crate) fn statement(&self) -> Vec<u8> {
        serde_json::to_vec(&json!({
            "_type": self.statement_type, "subject": [{"name": "app", "digest": {"sha256": hex(&sha256(self.subject))}}],
            "predicateType": "https://slsa.dev/provenance/v1", "predicate": {},
        }))
        .unwrap()
    }

    /// The bundle.
    pub(crate) fn bundle(&self) -> Value {
        let certificate = leaf(&self.leaf);
        let statement = self.statement();
        let signed = match self.what {
            What::Message => ARTIFACT.to_vec(),
            What::Envelope => sigstore_types::pae(self.payload_type, &statement),
        };
        let signature = match (&self.signature, self.signed_by) {
            (Some(signature), _) => signature.clone(),
            (None, "signer") => self.leaf.kind.sign(self.hash, &signed),
            (None, other) => sign(&key(other), &signed),
        };
        let envelope = json!({
            "payload": base64(&statement), "payloadType": self.payload_type, "signatures": [{"sig": base64(&signature)}],
        });
        let mut material = match (&self.chain, self.with_key) {
            (_, true) => json!({"publicKey": {"hint": base64(sha256(self.leaf.kind.spki()))}}),
            (Some(others), false) => {
                let chain = std::iter::once(&certificate).chain(others);
                let chain: Vec<Value> = chain.map(|der| json!({"rawBytes": base64(der)})).collect();
                json!({"x509CertificateChain": {"certificates": chain}})
            }
            (None, false) => json!({"certificate": {"rawBytes": base64(&certificate)}}),
        };
        if self.logged != Logged::Nowhere {
            material["tlogEntries"] = json!([self.entry(&certificate, &statement, &signed, &envelope)]);
        }
        if !self.stamps.is_empty() {
            let stamps = self.stamps.iter().map(|stamp| timestamp(&self.authorities, stamp, &signature));
            let stamps: Vec<Value> = stamps.map(|stamp| json!({"signedTimestamp": base64(stamp)})).collect();
            material["timestampVerificationData"] = json!({"rfc3161Timestamps": stamps});
        }
        let mut bundle = json!({"mediaType": self.media_type, "verificationMaterial": material});
        match self.what {
            What::Message => {
                bundle["messageSignature"] = json!({
                    "messageDigest": {"algorithm": self.algorithm(), "digest": base64(self.hash.digest(&signed))}, "signature": base64(&signature),
                });
            }
            What::Envelope => bundle["dsseEnvelope"] = envelope,
        }
        bundle
    }

    /// The name of the hash as Sigstore's messages have it.
    fn algorithm(&self) -> String {
        format!("SHA2_{}", self.hash.size() * 8)
    }

    fn entry(&self, certificate: &[u8], statement: &[u8], signed: &[u8], envelope: &Value) -> Value {
        let public = self.leaf.kind.spki();
        let details = self.leaf.kind.details(self.hash);
        let signature = &envelope["signatures"][0]["sig"];
        let pem = match self.with_key {
            true => pem("PUBLIC KEY", &public),
            false => pem("CERTIFICATE", certificate),
        };
        let verifier = match self.with_key {
            true => {
                json!({"keyDetails": details, "publicKey": {"rawBytes": base64(&public)}})
            }
            false => {
                json!({"keyDetails": details, "x509Certificate": {"rawBytes": base64(certificate)}})
            }
        };
        let hash = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex(&sha256(bytes))});
        let envelope = envelope.to_string();
        let sent = if self.sent_as_stored { hash(envelope.as_bytes()) } else { hash(b"as it was sent") };
        let mut entry = match (self.logged, self.what) {
            (Logged::Rekor1, What::Message) | (Logged::Rekor1Hashed, _) => {
                let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
                    "data": {"hash": {"algorithm": self.hash.name(), "value": hex(&self.hash.digest(signed))}}, "signature": {"content": signature, "publicKey": {"content": base64(pem)}}}});
                entry_v1("hashedrekord", "0.0.1", &body, self.integrated)
            }
            (Logged::Rekor1, What::Envelope) => {
                let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
                    "envelopeHash": sent, "payloadHash": hash(statement),
                    "signatures": [{"signature": signature, "verifier": base64(pem)}]}});
                entry_v1("dsse", "0.0.1", &body, self.integrated)
            }
            (Logged::Intoto, _) => {
                let body = json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
                    "envelope": {"payloadType": self.payload_type, "signatures": [{"publicKey": base64(pem), "sig": base64(signature.as_str().unwrap())}]},
                    "hash": sent, "payloadHash": hash(statement)}}});
                entry_v1("intoto", "0.0.2", &body, self.integrated)
            }
            (Logged::IntotoHash, _) => {
                let body = json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": {
                    "content": {"hash": hash(envelope.as_bytes()), "payloadHash": hash(statement)}, "publicKey": base64(pem)}});
                entry_v1("intoto", "0.0.1", &body, self.integrated)
            }
            (Logged::Rekor2Dsse, _) => {
                let body = json!({"apiVersion": "0.0.2", "kind": "dsse", "spec": {"dsseV002": {
                    "payloadHash": {"algorithm": "SHA2_256", "digest": base64(sha256(statement))},
                    "signatures": [{"content": signature, "verifier": verifier}]}}});
                entry_v2("dsse", &body, self.witnesses.0, self.witnesses.1)
            }
            _ => {
                let body = json!({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
                    "data": {"algorithm": self.algorithm(), "digest": base64(self.hash.digest(signed))},
                    "signature": {"content": signature, "verifier": verifier}}}});
                entry_v2("hashedrekord", &body, self.witnesses.0, self.witnesses.1)
            }
        };
        let fields = entry.as_object_mut().unwrap();
        if !self.promise {
            fields.remove("inclusionPromise");
        }
        if !self.proof {
            fields.remove("inclusionProof");
        }
        entry
    }

    pub(crate) fn trusted_root(&self) -> Value {
        trusted_root(&self.windows, &self.authorities)
    }
}
