use serde_json::{Map, Value, json};

use super::*;

/// An example file of each format, with the name of its row.
fn examples() -> Vec<(&'static str, String)> {
    let bundle =
        json!({ "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {} });
    let root =
        json!({ "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [] });
    let pep740 = json!({
        "version": 1,
        "verification_material": { "certificate": "AAAA", "transparency_entries": [{ "logIndex": "1" }] },
        "envelope": { "statement": "e30=", "signature": "BBBB" },
    });
    let dsse = json!({ "payloadType": "application/vnd.in-toto+json", "payload": "e30=", "signatures": [{ "sig": "AAAA" }] });
    let entry =
        json!({ "body": "e30=", "integratedTime": 1, "logID": "c0d2", "logIndex": 1, "verification": {} });
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let json: Vec<(&'static str, Value)> = vec![
        (rows::BUNDLE, bundle.clone()),
        (rows::TRUSTED_ROOT, root.clone()),
        (
            "a Sigstore signing configuration",
            json!({ "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json" }),
        ),
        (
            "a Sigstore client trust configuration",
            json!({ "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json", "trustedRoot": root, "signingConfig": {} }),
        ),
        (
            "a PyPI provenance object (PEP 740)",
            json!({ "version": 1, "attestation_bundles": [{ "publisher": { "kind": "GitHub" }, "attestations": [pep740] }] }),
        ),
        ("a PyPI attestation (PEP 740)", pep740.clone()),
        (
            "npm's list of attestations",
            json!({ "attestations": [{ "predicateType": "https://slsa.dev/provenance/v1", "bundle": bundle }] }),
        ),
        (
            "GitHub's list of attestations",
            json!({ "attestations": [{ "bundle": bundle, "repository_id": 1 }] }),
        ),
        (
            "GitHub's list of attestations, with links instead of bundles",
            json!({ "attestations": [{ "bundle": null, "bundle_url": "https://tmaproduction.blob.example/1.json.sn" }] }),
        ),
        (
            "npm's package metadata",
            json!({ "name": "sigstore", "dist": { "attestations": { "url": "https://registry.npmjs.org/-/npm/v1/attestations/sigstore@1.3.0" } } }),
        ),
        (
            "the output of `gh attestation verify --format json`",
            json!([{ "attestation": { "bundle": bundle }, "verificationResult": {} }]),
        ),
        ("a list of bundles", json!([bundle, bundle])),
        ("a list of trusted roots", json!([root])),
        (
            "a bundle in cosign's old format",
            json!({ "base64Signature": "AAAA", "cert": "AAAA", "rekorBundle": {} }),
        ),
        (
            "the log entry that cosign attaches to a signature",
            json!({ "SignedEntryTimestamp": "AAAA", "Payload": { "body": "e30=" } }),
        ),
        ("a Rekor log entry", json!({ "108e9186e8c5677a": entry })),
        ("a Rekor log entry", json!([{ "108e9186e8c5677a": entry }])),
        ("a DSSE envelope", dsse),
        (
            "an in-toto statement",
            json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1", "subject": [] }),
        ),
        ("TUF repository metadata", json!({ "signed": { "_type": "root", "version": 1 }, "signatures": [] })),
        ("a CycloneDX document", json!({ "bomFormat": "CycloneDX", "specVersion": "1.6" })),
        ("an SPDX document", json!({ "spdxVersion": "SPDX-2.3" })),
        (
            "an SPDX document",
            json!({ "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [] }),
        ),
        (
            "the payload of an image's signature (simple signing)",
            json!({ "critical": { "identity": {}, "image": { "docker-manifest-digest": "sha256:00" }, "type": "cosign container image signature" } }),
        ),
        (
            "a Notary Project signature",
            json!({ "payload": "e30", "protected": "e30", "header": {}, "signature": "AAAA" }),
        ),
        ("an image manifest or index", json!({ "schemaVersion": 2, "config": {}, "layers": [] })),
        ("an image manifest or index", json!({ "schemaVersion": 2, "manifests": [] })),
        (rows::RUN, json!({ "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {} })),
        (rows::OBJECT, json!({ "apiVersion": "v1", "kind": "Pod", "metadata": {} })),
        (rows::OBJECT, json!({ "apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": {} })),
        (rows::OBJECT, json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {} })),
        (rows::ANSWER, json!({ "apiVersion": "v1", "kind": "Status", "code": 404, "message": "not found" })),
        (
            "a watch event",
            json!({ "type": "ADDED", "object": { "apiVersion": "tekton.dev/v1", "kind": "TaskRun" } }),
        ),
        ("only the status of a run", json!({ "conditions": [], "podName": "build-pod" })),
        (
            "an error response of GitHub's API",
            json!({ "message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404" }),
        ),
    ];
    let mut all: Vec<_> = json.into_iter().map(|(name, value)| (name, value.to_string())).collect();
    all.extend([
        (rows::RUN, "apiVersion: tekton.dev/v1\nkind: \"PipelineRun\"\nmetadata:\n  name: a\n".to_owned()),
        (rows::OBJECT, "# a Task\nkind: Task\napiVersion: tekton.dev/v1\n".to_owned()),
        ("a private key", pem("ENCRYPTED SIGSTORE PRIVATE KEY")),
        ("a public key", pem("PUBLIC KEY")),
        ("a certificate", pem("CERTIFICATE")),
        ("an OpenPGP signature", pem("PGP SIGNATURE")),
        ("a minisign or signify signature", "untrusted comment: signature\nAAAA\n".to_owned()),
        (
            "a Git LFS pointer instead of the file",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n".to_owned(),
        ),
        ("an HTML page", "<!DOCTYPE html>\n<html><body>Sign in</body></html>".to_owned()),
        ("an XML document", "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>".to_owned()),
        (
            "a CycloneDX document",
            "<?xml version=\"1.0\"?><bom xmlns=\"http://cyclonedx.org/schema/bom/1.6\"/>".to_owned(),
        ),
        ("an SPDX document", "SPDXVersion: SPDX-2.3\n".to_owned()),
        ("an empty file", " \r\n".to_owned()),
        ("a compressed file", "PK\u{3}\u{4}rest".to_owned()),
        ("a base64 signature without a bundle", format!("{}\n", "MEUC".repeat(24))),
    ]);
    all
}

#[test]
fn every_row_is_recognized() {
    let examples = examples();
    for (name, file) in &examples {
        assert_eq!(KnownFormat::of(file.as_bytes()).map(|known| known.row.name), Some(*name), "{file}");
        let with_mark = format!("\u{feff}{file}\r\n");
        assert_eq!(KnownFormat::of(with_mark.as_bytes()).map(|known| known.row.name), Some(*name), "{file}");
    }
    for row in ROWS {
        assert!(examples.iter().any(|(name, _)| *name == row.name), "no example of {}", row.name);
    }
    assert_eq!(KnownFormat::of(b"\x1f\x8b\x08\x00").map(|known| known.row.name), Some("a compressed file"));
}

#[test]
fn unknown_files_are_not_recognized() {
    for file in [
        "{}",
        "[]",
        "null",
        "1",
        "{\"a\":1}",
        "text",
        "AAAA",
        "key: value",
        "<<: *a",
        "a: <bom xmlns=\"http://cyclonedx.org/schema/bom/1.6\"/>",
        "{\"kind\":\"hashedrekord\"",
        "\u{0}\u{1}",
    ] {
        assert!(KnownFormat::of(file.as_bytes()).is_none(), "{file}");
    }
    assert!(KnownFormat::other_than(WantedFormat::Bundle, examples()[0].1.as_bytes()).is_none());
    assert!(KnownFormat::other_than(WantedFormat::TrustedRoot, examples()[1].1.as_bytes()).is_none());
}

/// A parsed document is recognized like its file.
#[test]
fn a_document_is_recognized_like_its_file() {
    let documents = examples().into_iter().filter(|(_, file)| file.starts_with('{'));
    for (name, file) in documents {
        let (known, document) =
            (KnownFormat::of(file.as_bytes()).unwrap(), serde_json::from_str(&file).unwrap());
        let same = KnownFormat::of_document(&document).unwrap();
        assert_eq!((same.row.name, same.name()), (name, known.name()));
        assert_eq!(same.hint(WantedFormat::Run), known.hint(WantedFormat::Run));
    }
    assert!(
        [json!({}), json!([]), json!(null), json!("text")]
            .iter()
            .all(|value| KnownFormat::of_document(value).is_none())
    );
}

#[test]
fn details_from_a_file_are_escaped() {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod\u{1b}[2J" }).to_string();
    assert_eq!(KnownFormat::of(pod.as_bytes()).unwrap().name(), "a Kubernetes object (v1 Pod\\u{1b}[2J)");
}

#[test]
fn each_command_converts_its_example_to_the_wanted_format() {
    let mut ran = 0;
    for (name, file) in examples() {
        let known = KnownFormat::of(file.as_bytes()).unwrap();
        for (wanted, prefix) in [
            (WantedFormat::Bundle, "application/vnd.dev.sigstore.bundle"),
            (WantedFormat::TrustedRoot, "application/vnd.dev.sigstore.trustedroot"),
        ] {
            let hint = known.hint(wanted);
            assert!(!hint.is_empty() && hint.len() < 600, "{name}");
            let Some((_, rest)) = hint.split_once("jq -c ") else { continue };
            let program = match rest.strip_prefix('\'') {
                Some(quoted) => quoted.split_once('\'').unwrap().0,
                None => rest.split_once(' ').unwrap().0,
            };
            // The program for npm's description applies to the document at its URL.
            let input = if hint.contains("curl") {
                json!({ "attestations": [{ "bundle": { "mediaType": prefix } }] })
            } else {
                serde_json::from_str(&file).unwrap()
            };
            let made = Jq(program).pipeline(vec![input]);
            assert!(!made.is_empty(), "{name}: {program}");
            for value in made {
                assert!(value["mediaType"].as_str().unwrap().starts_with(prefix), "{name}: {value}");
                ran += 1;
            }
        }
    }
    assert!(ran >= 9, "{ran}");
}

#[test]
fn a_pypi_attestation_becomes_a_complete_bundle() {
    let (_, file) = examples().into_iter().find(|(name, _)| *name == "a PyPI attestation (PEP 740)").unwrap();
    let hint = KnownFormat::of(file.as_bytes()).unwrap().hint(WantedFormat::Bundle);
    let program = hint.split('\'').nth(1).unwrap();
    let made = Jq(program).pipeline(vec![serde_json::from_str(&file).unwrap()]);
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "certificate": { "rawBytes": "AAAA" }, "tlogEntries": [{ "logIndex": "1" }] },
        "dsseEnvelope": { "payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{ "sig": "BBBB" }] },
    });
    assert_eq!(made, [bundle]);
}

#[test]
fn a_file_that_is_too_large_is_not_examined() {
    let mut file = examples().remove(0).1.into_bytes();
    file.resize(LOOKED_BYTES + 1, b' ');
    assert!(KnownFormat::of(&file).is_none());
}

/// The part of jq that the commands need: paths, pipes, objects, lists and strings.
struct Jq<'a>(&'a str);

impl Jq<'_> {
    fn pipeline(&mut self, mut values: Vec<Value>) -> Vec<Value> {
        loop {
            let program = self.0;
            let mut rest = program;
            values = values
                .into_iter()
                .flat_map(|value| {
                    self.0 = program;
                    let made = self.term(&value);
                    rest = self.0;
                    made
                })
                .collect();
            self.0 = rest.trim_start();
            match self.0.strip_prefix('|') {
                Some(next) => self.0 = next,
                None => return values,
            }
        }
    }

    fn term(&mut self, input: &Value) -> Vec<Value> {
        self.0 = self.0.trim_start();
        match self.0.as_bytes()[0] {
            b'"' => {
                let (text, rest) = self.0[1..].split_once('"').unwrap();
                self.0 = rest;
                vec![text.into()]
            }
            b'[' => {
                self.0 = &self.0[1..];
                let made = self.term(input);
                self.0 = self.0.strip_prefix(']').unwrap();
                vec![made.into()]
            }
            b'{' => vec![self.object(input).into()],
            b'.' => self.path(input),
            other => panic!("{:?} at {}", char::from(other), self.0),
        }
    }

    fn object(&mut self, input: &Value) -> Map<String, Value> {
        let mut object = Map::new();
        while !self.0.starts_with('}') {
            let (key, rest) = self.0[1..].split_once(':').unwrap();
            self.0 = rest;
            object.insert(key.to_owned(), self.term(input).remove(0));
        }
        self.0 = &self.0[1..];
        object
    }

    fn path(&mut self, input: &Value) -> Vec<Value> {
        let mut values = vec![input.clone()];
        loop {
            if let Some(rest) = self.0.strip_prefix("[]").or_else(|| self.0.strip_prefix(".[]")) {
                self.0 = rest;
                values = values.iter().flat_map(|value| value.as_array().unwrap().clone()).collect();
            } else if let Some(rest) = self.0.strip_prefix('.') {
                let end =
                    rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_').unwrap_or(rest.len());
                let (key, rest) = rest.split_at(end);
                self.0 = rest;
                values = values.into_iter().map(|value| value[key].clone()).collect();
            } else {
                return values;
            }
        }
    }
}
