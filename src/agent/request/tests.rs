use serde_json::json;

use super::*;
use crate::agent::Malformed as M;

const HEX: &str = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";

fn image() -> ImageRef {
    format!("registry.example/team/app@sha256:{HEX}").parse().unwrap()
}

fn body(payload_type: &str, payload: &[u8], images: &[&str]) -> Vec<u8> {
    let request = json!({"payloadType": payload_type, "payload": STANDARD.encode(payload), "images": images});
    request.to_string().into_bytes()
}

fn asked(payload_type: &str, payload: &[u8], images: &[&str]) -> Result<Asked, Malformed> {
    sign(&body(payload_type, payload, images)).map_err(|refusal| match refusal {
        Refusal::Request(malformed) | Refusal::Payload(malformed) => malformed,
        other => panic!("{other:?}"),
    })
}

fn in_toto(statement: &Value, images: &[&str]) -> Result<Asked, Malformed> {
    asked(cosign_statement::PAYLOAD_TYPE, statement.to_string().as_bytes(), images)
}

#[test]
fn what_sign_makes_is_taken_as_it_is() {
    let claims = Claims { identities: vec![], annotations: [("a".into(), "<1>".into())].into() };
    for format in [&SimpleSigning as &dyn Format, &CosignStatement] {
        let [payload] = &format.payloads(&image(), &claims).unwrap()[..] else { panic!() };
        let found = asked(payload.media_type, &payload.bytes, &[&image().to_string()]).unwrap();
        assert_eq!((found.kind, &found.payload, &found.images[..]), (Kind::Image, payload, &[image()][..]));
    }
}

#[test]
fn an_identity_is_a_name_that_the_policy_sees() {
    let claims = Claims { identities: vec!["prod.example/app:1".into()], ..Claims::default() };
    let payload = one(&SimpleSigning, &image(), &claims).unwrap();
    let found = asked(payload.media_type, &payload.bytes, &[&image().to_string()]).unwrap();
    assert_eq!(found.names, ["prod.example/app".parse().unwrap()]);
    // Where no image is named, the identity is where it must be.
    let found = asked(payload.media_type, &payload.bytes, &[]).unwrap();
    assert_eq!(found.images[0].repository.to_string(), "prod.example/app");
}

#[test]
fn bytes_that_can_be_read_in_two_ways_are_refused() {
    let payload = one(&SimpleSigning, &image(), &Claims::default()).unwrap();
    let text = String::from_utf8(payload.bytes.to_vec()).unwrap();
    let other = "0".repeat(64);
    for wrong in [
        text.replace("\"type\"", "\"Type\""),
        text.replace("{\"critical\"", "{ \"critical\""),
        text.replace("\"optional\":null", "\"optional\":null,\"critical\":{}"),
        text.replace("\"image\":{", &format!("\"image\":{{\"Docker-manifest-digest\":\"sha256:{other}\",")),
        format!("{text}\n"),
        text.replace(",\"optional\":null", ""),
    ] {
        let refused = asked(simple_signing::MEDIA_TYPE, wrong.as_bytes(), &[]).unwrap_err();
        assert!(matches!(refused, M::NotCanonical), "{wrong}: {refused:?}");
    }
    let elsewhere = format!("registry.example/team/app@sha256:{other}");
    assert!(matches!(asked(simple_signing::MEDIA_TYPE, text.as_bytes(), &[&elsewhere]), Err(M::OtherImage)));
}

fn statement(predicate_type: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "registry.example/team/app", "digest": {"sha256": HEX}}],
        "predicateType": predicate_type,
        "predicate": {"anything": [1, {"a": 2}]},
    })
}

#[test]
fn any_other_statement_is_an_attestation_about_its_subjects() {
    let found = in_toto(&statement("https://spdx.dev/Document"), &[]).unwrap();
    assert_eq!((found.kind, &found.images[..]), (Kind::Attestation, &[image()][..]));
    assert!(found.payload.to_be_signed().starts_with(b"DSSEv1 28 application/vnd.in-toto+json "));
    // A subject's own name is looked up even if the request names another place.
    let elsewhere = format!("other.example/x@sha256:{HEX}");
    let found = in_toto(&statement("https://spdx.dev/Document"), &[&elsewhere]).unwrap();
    assert_eq!(found.images, [elsewhere.parse().unwrap(), image()]);
}

#[test]
fn an_image_signature_can_not_pass_for_an_attestation() {
    for predicate_type in [
        "https://sigstore.dev/cosign/sign/v1",
        "HTTPS://sigstore.dev/cosign/sign/v1",
        " https://sigstore.dev/cosign/sign/v1 ",
        "https://sigstore.dev/cosign/sign/v2",
    ] {
        let refused = in_toto(&statement(predicate_type), &[&image().to_string()]).unwrap_err();
        assert!(matches!(refused, M::NotCanonical), "{predicate_type:?}: {refused:?}");
    }
    let twice = statement("x").to_string().replacen(
        "\"predicateType\"",
        "\"predicateType\":\"https://sigstore.dev/cosign/sign/v1\",\"predicateType\"",
        1,
    );
    let other_case = twice.replacen("\"predicateType\"", "\"PredicateType\"", 1);
    for wrong in [twice, other_case] {
        let refused = asked(cosign_statement::PAYLOAD_TYPE, wrong.as_bytes(), &[]).unwrap_err();
        assert!(matches!(refused, M::Json { .. }), "{wrong}: {refused:?}");
    }
}

#[test]
fn a_statement_without_an_image_to_look_up_is_refused() {
    let with = |field: &str, value: Value| {
        let mut statement = statement("https://spdx.dev/Document");
        statement[field] = value;
        in_toto(&statement, &[]).unwrap_err()
    };
    assert!(matches!(with("subject", json!([])), M::NoSubject));
    assert!(matches!(
        with("subject", json!([{"name": "a.example/b", "digest": {"sha1": "00"}}])),
        M::NoDigest
    ));
    assert!(matches!(with("subject", json!([{"digest": {"sha256": HEX}}])), M::NoRepository));
    assert!(matches!(
        with("subject", json!([{"name": "A File.tgz", "digest": {"sha256": HEX}}])),
        M::Name(_)
    ));
    assert!(matches!(with("_type", json!("https://in-toto.io/Statement/v9")), M::NotAStatement));
}

#[test]
fn a_status_is_a_run_and_nothing_else_is() {
    let status = json!({"conditions": [], "podName": "x", "steps": []}).to_string();
    assert_eq!(asked(RUN_TYPE, status.as_bytes(), &[]).unwrap().kind, Kind::Run);
    let simple = one(&SimpleSigning, &image(), &Claims::default()).unwrap();
    let hidden = json!({"conditions": [], "Critical": {}}).to_string();
    let statement = statement("x").to_string();
    for wrong in [&simple.bytes[..], hidden.as_bytes(), statement.as_bytes(), b"{}"] {
        assert!(matches!(asked(RUN_TYPE, wrong, &[]), Err(M::NotAStatus)));
    }
    assert!(matches!(asked(RUN_TYPE, b"DSSEv1 28 x 1 y", &[]), Err(M::Json { .. })));
}

#[test]
fn a_request_is_its_fields_and_no_other() {
    for wrong in [&b""[..], b"[]", b"{}", b"null", b"\xff"] {
        assert!(matches!(sign(wrong), Err(Refusal::Request(M::Json { .. }))));
        assert!(matches!(sign_image(wrong), Err(Refusal::Request(M::Json { .. }))));
    }
    let more = json!({"image": image().to_string(), "allow": ["**"]}).to_string();
    assert!(matches!(sign_image(more.as_bytes()), Err(Refusal::Request(M::Json { .. }))));
    let tag = json!({"image": "registry.example/app:1"}).to_string();
    assert!(matches!(sign_image(tag.as_bytes()), Err(Refusal::Request(M::Image(_)))));
    let payload_type = body("text/plain", b"x", &[]);
    assert!(matches!(sign(&payload_type), Err(Refusal::Request(M::PayloadType))));
}

#[test]
fn an_image_alone_gets_the_payload_of_sign() {
    let request = json!({"image": image().to_string(), "annotations": {"team": "blue"}}).to_string();
    let found = sign_image(request.as_bytes()).unwrap();
    let claims = Claims { identities: vec![], annotations: [("team".into(), "blue".into())].into() };
    assert_eq!(found.payload, one(&SimpleSigning, &image(), &claims).unwrap());
    assert!(found.made_here);
    let request =
        json!({"image": image().to_string(), "format": "cosign-sign-v1", "identity": "a.example/b"});
    let refused = sign_image(request.to_string().as_bytes()).unwrap_err();
    assert!(matches!(refused, Refusal::Request(M::Claims(_))));
}
