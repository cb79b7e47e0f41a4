//! What is signed by who counts, wherever it lies.

use serde_json::{Value, json};
use stepseal::demo::registry::Options;

use crate::kit::step::{INDEX, Step, public_key};
use crate::verify::kit::{fails, name, passes, step, verify, with_public_key};

#[test]
fn a_signature_is_found_by_tag_and_by_referrers_in_one_pass() {
    for referrers in [true, false] {
        let step = with_public_key(Step::with(Options { referrers, ..Options::default() }));
        let digest = step.built("team/app");
        let image = name(&step, "team/app", &digest);
        step.sign(&["--annotation=by=tag"]);
        step.sign(&["--annotation=by=bundle", "--config=storage.oci.encoding-format=sigstore-bundle"]);
        step.registry.clear_requests();
        let ended = passes(verify(&step, &[&image]));
        let printed: Value = serde_json::from_str(ended.stdout.trim()).unwrap();
        let said = |kind: &str, reference: &str, by: &str| {
            json!({
                "critical": {
                    "identity": { "docker-reference": reference },
                    "image": { "docker-manifest-digest": digest.as_str() },
                    "type": kind,
                },
                "optional": { "by": by },
            })
        };
        let reference = format!("{}/team/app", step.host());
        let want = [
            said("cosign container image signature", &reference, "tag"),
            said("https://sigstore.dev/cosign/sign/v1", &image, "bundle"),
        ];
        assert_eq!(printed, Value::from(want.to_vec()));
        let who = format!("by key {}", public_key().key_id());
        assert_eq!(ended.stderr.matches(&who).count(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("stored at {reference}:sha256-{}.sig layer 1", digest.hex())));
        // Tag, payload, list, referrer, bundle; without the API the fallback tag too.
        let requests = step.registry.requests().len();
        assert_eq!(requests, if referrers { 5 } else { 6 }, "{:#?}", step.registry.requests());
    }
}

#[test]
fn the_usual_payload_is_not_fetched() {
    let step = step();
    let digest = step.built("team/app");
    step.sign(&[]);
    step.registry.clear_requests();
    passes(verify(&step, &[&name(&step, "team/app", &digest)]));
    // The tag, the list, and, as that is empty, the fallback tag.
    assert_eq!(step.registry.requests().len(), 3, "{:#?}", step.registry.requests());
}

#[test]
fn a_registry_is_asked_once_for_the_referrers_api_that_it_lacks() {
    let step = with_public_key(Step::with(Options { referrers: false, ..Options::default() }));
    let named = |number| format!("team/app{number}");
    let images: Vec<_> = (0..30).map(|number| (named(number), step.image(&named(number), "layer"))).collect();
    let names: Vec<String> =
        images.iter().map(|(repository, digest)| name(&step, repository, digest)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    step.sign(&names);
    step.registry.clear_requests();
    passes(verify(&step, &names));
    let requests = step.registry.requests();
    let asked = requests.iter().filter(|request| request.path_and_query.contains("/referrers/")).count();
    // Of each image its tag and its fallback tag; the payload is known.
    assert_eq!((asked, requests.len()), (1, 61), "{requests:#?}");
}

#[test]
fn a_tag_is_resolved_once_and_its_digest_told() {
    let step = step();
    let manifest = step.manifest("team/app", "app");
    let content = step.registry.content();
    let digest = content.put_manifest("team/app", Some("v1"), crate::kit::step::MANIFEST, manifest).unwrap();
    let image = name(&step, "team/app", &digest);
    step.sign(&[&image]);
    let tag = format!("{}/team/app:v1", step.host());
    let ended = passes(verify(&step, &["-o", "text", &tag]));
    assert!(ended.stderr.contains(&format!("resolved   {tag} is {image}")), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    let by_tag = |request: &&stepseal::demo::registry::Request| request.path_and_query.ends_with("/v1");
    assert_eq!(step.registry.requests().iter().filter(by_tag).count(), 1);
}

#[test]
fn an_index_and_with_recursive_each_of_its_manifests() {
    let step = step();
    let children = [step.image("team/multi", "amd64"), step.image("team/multi", "arm64")];
    let entries: Vec<Value> = children
        .iter()
        .map(|digest| {
            let (media_type, bytes) =
                step.registry.content().manifest("team/multi", digest.as_str()).unwrap();
            json!({ "mediaType": media_type, "size": bytes.len(), "digest": digest.as_str() })
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    let digest = step.registry.content().put_manifest("team/multi", None, INDEX, index).unwrap();
    let image = name(&step, "team/multi", &digest);
    step.sign(&[&image]);
    passes(verify(&step, &[&image]));
    let ended = verify(&step, &["--recursive", &image]);
    assert_eq!(ended.code, 1);
    for child in &children {
        assert!(ended.stderr.contains(&format!("{child} has no signature that counts")), "{}", ended.stderr);
    }
    step.sign(&["--recursive", &image]);
    let ended = passes(verify(&step, &["--recursive", &image]));
    assert!(ended.stderr.contains("verified   3 images"), "{}", ended.stderr);
}

/// What is listed by another algorithm, or not by a digest at all, is pulled all the same and is not verified.
#[test]
fn with_recursive_an_entry_that_cannot_be_verified_fails() {
    let hex = "a".repeat(64);
    let step = step();
    let child = step.image("team/multi", "amd64");
    for (entry, what) in [
        (json!({ "digest": format!("sha512:{hex}{hex}") }), "its algorithm is not sha256"),
        (json!({ "digest": format!("sha256:{}", "A".repeat(64)) }), "must be lower-case"),
        (json!({ "digest": "sha256:abc" }), "exactly 64 hex digits"),
        (json!({ "size": 1 }), "entry 2 of"),
        (json!(7), "entry 2 of"),
    ] {
        let entries = json!([{ "digest": child.as_str() }, entry]);
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
        let digest = step.registry.content().put_manifest("team/multi", None, INDEX, index).unwrap();
        let image = name(&step, "team/multi", &digest);
        assert_eq!(step.run(&["sign", "--recursive", &image]).code, 5);
        passes(verify(&step, &[&image]));
        let ended = verify(&step, &["--recursive", &image]);
        assert_eq!(ended.code, 1, "{entry}: {}", ended.stderr);
        assert!(ended.stderr.contains(what) && ended.stderr.contains(&image), "{}", ended.stderr);
    }
}

/// Each index is below the limit, and all together are not.
#[test]
fn entries_that_cannot_be_verified_count_in_the_limit_of_images() {
    let step = step();
    let content = step.registry.content();
    let push = |manifests: Value| {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }).to_string();
        content.put_manifest("team/multi", None, INDEX, index).unwrap()
    };
    let inner = [6000, 6001].map(|number| push(json!(vec![0; number])));
    let outer = push(json!(inner.each_ref().map(|digest| json!({ "digest": digest.as_str() }))));
    let ended = verify(&step, &["--recursive", &name(&step, "team/multi", &outer)]);
    assert_eq!(ended.code, 1);
    let named = ended.stderr.matches("error: entry ").count();
    assert!(named == 6000 || named == 6001, "{named}");
    assert!(ended.stderr.contains("more than 10000 images"), "{}", ended.stderr.len());
}

/// What programs read is what was asked for: if it is lost, the command has failed.
#[test]
fn output_that_nobody_reads_is_no_success() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    step.sign(&[]);
    for (args, code) in [
        (&["verify", "--insecure-ignore-tlog"][..], 1),
        (&["verify", "--insecure-ignore-tlog", "-o", "text"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = step.command(&[args, &[&image]].concat());
        let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let ended = crate::kit::step::ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, code, "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn annotations_must_be_there_with_their_values() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    step.sign(&["--annotation=env=prod", "--annotation=n=1"]);
    passes(verify(&step, &["-a", "env=prod", "--annotations", "n=1", &image]));
    passes(verify(&step, &["-a", "env=prod,n=1", &image]));
    fails(
        verify(&step, &["-a", "env=test", &image]),
        &[r#"its annotation "env" is "prod", and "test" is wanted"#],
    );
    fails(verify(&step, &["-a", "x=1", &image]), &[r#"its annotation "x" is not there"#]);
}

#[test]
fn any_of_several_keys_counts_from_wherever_it_comes() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    step.sign(&[]);
    let other = step.path("other.pub");
    std::fs::write(&other, crate::verify::kit::other().public_key().to_pem()).unwrap();
    let other = other.to_str().unwrap();
    let file = step.path("keys/cosign.pub");
    let file = file.to_str().unwrap();
    passes(verify(&step, &["--key", other, "--key", file, &image]));
    fails(verify(&step, &["--key", other, &image]), &["none of the accepted signers"]);
    let mut command = step.command(&["verify", "--insecure-ignore-tlog", "--key", "env://PUB", &image]);
    let ended =
        crate::kit::step::ended(command.env("PUB", &crate::kit::step::pair().public_pem).output().unwrap());
    passes(ended);
    let ended = verify(&step, &["--key", "env://NOTHING", &image]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
}

#[test]
fn without_a_log_entry_it_counts_only_when_told_so() {
    let step = step();
    let digest = step.built("team/app");
    step.sign(&[]);
    let ended = step.run(&["verify", &name(&step, "team/app", &digest)]);
    fails(
        ended,
        &["the signature is good, and has no entry in a transparency log", "--insecure-ignore-tlog"],
    );
}

#[test]
fn signatures_may_lie_in_another_repository() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let elsewhere = format!("{}/signatures", step.host());
    step.sign(&[&format!("--config=storage.oci.repository={elsewhere}")]);
    fails(verify(&step, &[&image]), &["there is none at"]);
    passes(verify(&step, &[&format!("--config=storage.oci.repository={elsewhere}"), &image]));
    let mut command = step.command(&["verify", "--insecure-ignore-tlog", &image]);
    passes(crate::kit::step::ended(command.env("COSIGN_REPOSITORY", &elsewhere).output().unwrap()));
}

#[test]
fn the_results_and_files_name_images_as_for_sign() {
    let step = step();
    let digest = step.built("team/app");
    step.sign(&[]);
    passes(verify(&step, &[]));
    let file = step.path("images");
    std::fs::write(&file, format!("{}\n", name(&step, "team/app", &digest))).unwrap();
    passes(verify(&step, &["--images-file", file.to_str().unwrap()]));
    step.result("IMAGE_DIGEST", "sha256:1");
    assert_eq!(verify(&step, &[]).code, 3);
}

/// As an RSA key of a KMS does it, or `openssl dgst -sha512`.
#[test]
fn a_signature_over_another_hash_counts_unless_one_is_demanded() {
    use p256::ecdsa::signature::hazmat::PrehashSigner as _;
    use p256::pkcs8::EncodePublicKey as _;
    use sha2::Digest as _;
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let payload = crate::verify::kit::payload(&step, "team/app", &digest);
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let der = key.verifying_key().to_public_key_der().unwrap();
    let public = step.path("another.pub");
    std::fs::write(&public, stepseal::key::PublicKey::from_der(der.as_bytes()).unwrap().to_pem()).unwrap();
    let flags = ["--key", public.to_str().unwrap()];
    for (hash, signed) in [
        ("sha384", sha2::Sha384::digest(&payload).to_vec()),
        ("sha512", sha2::Sha512::digest(&payload).to_vec()),
    ] {
        let signature: p256::ecdsa::Signature = key.sign_prehash(&signed).unwrap();
        let signature =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature.to_der().as_bytes());
        crate::verify::kit::tag(
            &step,
            "team/app",
            &digest,
            "sig",
            &[(crate::verify::kit::SIMPLE, &payload[..], signature)],
        );
        let demanding = |demand: &str| {
            verify(&step, &[&flags[..], &["--signature-digest-algorithm", demand, &image]].concat())
        };
        passes(verify(&step, &[&flags[..], &[&image]].concat()));
        passes(demanding(hash));
        fails(demanding("sha256"), &["none of the accepted signers", "not of its sha256 digest"]);
        let ended = demanding("sha224");
        assert!(ended.code == 2 && ended.stderr.contains("sha224"), "{}", ended.stderr);
    }
}
