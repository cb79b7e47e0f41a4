use serde_json::json;

use super::*;
use crate::agent::Malformed as M;
use crate::explain::Explain as _;

const HEX: &str = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";

fn image() -> ImageRef {
    format!("registry.example/team/app@sha256:{HEX}").parse().unwrap()
}

fn body(payload_type: &str, payload: &[u8], images: &[&str]) -> Vec<u8> {
    let request = json!({"payloadType": payload_type, "payload": STANDARD.encode(payload), "images": images});
    request.to_string().into_bytes()
}

fn asked(payload_type: &str, payload: &[u8], images: &[&str]) -> Result<Asked, Malformed> {
    sign(body(payload_type, payload, images), &Kind::ALL).map_err(|refusal| match refusal {
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
        assert!(matches!(refused, M::NotCanonical | M::KeyTwice { .. }), "{wrong}: {refused:?}");
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
    let refused = |text: &str| asked(cosign_statement::PAYLOAD_TYPE, text.as_bytes(), &[]).unwrap_err();
    assert!(matches!(refused(&twice), M::KeyTwice { .. }));
    assert!(matches!(refused(&other_case), M::UnknownField { field, .. } if field == "PredicateType"));
}

#[test]
fn a_statement_without_an_image_to_look_up_is_refused() {
    let with = |field: &str, value: Value| {
        let mut statement = statement("https://spdx.dev/Document");
        statement[field] = value;
        in_toto(&statement, &[]).unwrap_err()
    };
    assert!(matches!(with("subject", json!([])), M::NoSubject));
    assert!(matches!(with("subject", json!(null)), M::NoSubject));
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
    assert!(matches!(with("predicate", json!(null)), M::NoPredicate));
    for blank in ["", " ", "\u{200b}", ",:"] {
        assert!(matches!(with("predicateType", json!(blank)), M::NoPredicateType), "{blank:?}");
    }
    assert!(with("more", json!(1)).to_string().starts_with("it has the unknown field \"more\" (line 1, "));
    // What a client calls a field is escaped and cut.
    for field in ["a\nb", "`, expected", "\u{1b}[2J", &"x".repeat(5000)] {
        let said = with(field, json!(1)).to_string();
        assert!(said.contains("unknown field") && said.len() < 200, "{said}");
        assert!(!said.contains(['\n', '\u{1b}']), "{said:?}");
    }
    let hint = Refusal::Payload(M::NoSubject).hint().unwrap();
    assert!(hint.contains("a run that built no image"), "{hint}");
}

#[test]
fn a_status_is_a_run_and_nothing_else_is() {
    let done = json!([{"type": "Succeeded", "status": "True"}]);
    for status in [
        json!({"conditions": done, "podName": "x", "steps": []}),
        json!({"conditions": done, "pipelineSpec": {"tasks": []}, "childReferences": []}),
        json!({"conditions": [{"type": "Succeeded", "status": "Unknown"}]}),
        json!({"conditions": [{"type": "Succeeded"}]}),
    ] {
        assert_eq!(asked(RUN_TYPE, status.to_string().as_bytes(), &[]).unwrap().kind, Kind::Run);
    }
    let simple = one(&SimpleSigning, &image(), &Claims::default()).unwrap();
    let statement = statement("x").to_string();
    let others = [
        json!({"conditions": done, "Critical": {}}),
        json!({"conditions": done, "pipelineSpec": {}, "steps": []}),
        json!({"conditions": done, "podName": 1}),
        json!({"conditions": [], "podName": "x"}),
        json!({"conditions": [{"type": "Ready", "status": "True"}]}),
        json!({"conditions": [done[0], {"type": "Succeeded", "status": "False"}]}),
        json!({"podName": "x"}),
        json!([done]),
        json!({}),
    ]
    .map(|other| other.to_string());
    let others = others.iter().map(String::as_bytes);
    for wrong in [&simple.bytes[..], statement.as_bytes()].into_iter().chain(others) {
        assert!(matches!(asked(RUN_TYPE, wrong, &[]), Err(M::NotAStatus)));
    }
    assert!(matches!(asked(RUN_TYPE, b"DSSEv1 28 x 1 y", &[]), Err(M::Json { .. })));
}

#[test]
fn a_request_is_its_fields_and_no_other() {
    let list = format!(r#"["{RUN_TYPE}", "e30="]"#);
    let bom = format!("\u{feff}{}", json!({"image": image().to_string()}));
    for wrong in [&b""[..], b"[]", b"{}", b"null", list.as_bytes(), bom.as_bytes()] {
        assert!(matches!(sign(wrong.to_vec(), &Kind::ALL), Err(Refusal::Request(M::Json { .. }))));
        assert!(matches!(sign_image(wrong), Err(Refusal::Request(M::Json { .. }))));
    }
    assert!(matches!(sign_image(b"\xff"), Err(Refusal::Request(M::NotUtf8))));
    let more = json!({"image": image().to_string(), "allow": ["**"]}).to_string();
    assert!(
        matches!(sign_image(more.as_bytes()), Err(Refusal::Request(M::UnknownField { field, .. })) if field == "allow")
    );
    for field in ["format", "identity", "annotations", "image"] {
        let mut null = json!({"image": image().to_string()});
        null[field] = Value::Null;
        let null = null.to_string();
        assert!(matches!(sign_image(null.as_bytes()), Err(Refusal::Request(M::Json { .. }))), "{field}");
    }
    let tag = json!({"image": "registry.example/app:1"}).to_string();
    assert!(matches!(sign_image(tag.as_bytes()), Err(Refusal::Request(M::Image(_)))));
    let payload_type = body("text/plain", b"x", &[]);
    assert!(matches!(sign(payload_type, &Kind::ALL), Err(Refusal::Request(M::PayloadType))));
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

/// `value` as JSON once for each key in it, at every depth, with that key twice: written alike, and with an escape.
fn doubled(value: &Value) -> Vec<String> {
    fn write(value: &Value, left: &mut usize, escaped: bool) -> String {
        match value {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| write(item, left, escaped)).collect();
                format!("[{}]", items.join(","))
            }
            Value::Object(entries) => {
                let mut all = Vec::new();
                for (key, value) in entries {
                    *left = left.wrapping_sub(1);
                    if *left == 0 {
                        let first = u32::from(key.chars().next().unwrap());
                        let again =
                            if escaped { format!("\\u{first:04x}{}", &key[1..]) } else { key.clone() };
                        all.push(format!("\"{again}\":{value}"));
                    }
                    all.push(format!("\"{key}\":{}", write(value, left, escaped)));
                }
                format!("{{{}}}", all.join(","))
            }
            other => other.to_string(),
        }
    }
    let mut all = Vec::new();
    for escaped in [false, true] {
        for number in 1.. {
            let mut left = number;
            let text = write(value, &mut left, escaped);
            if left > 0 && left <= number {
                break;
            }
            all.push(text);
        }
    }
    all
}

#[test]
fn a_key_that_appears_twice_is_refused_wherever_it_is() {
    let mut statement = statement("https://slsa.dev/provenance/v1");
    statement["predicate"] = json!({"a": [{"b": {"c": 1, "d": [[{"e": null}]]}}]});
    assert!(in_toto(&statement, &[]).is_ok());
    let texts = doubled(&statement);
    assert_eq!(texts.len(), 2 * 12);
    for text in texts {
        let refused = asked(cosign_statement::PAYLOAD_TYPE, text.as_bytes(), &[]);
        assert!(matches!(refused, Err(M::KeyTwice { .. })), "{text}: {refused:?}");
    }
    let status = json!({"conditions": [{"type": "Succeeded", "status": "True"}], "podName": "x", "taskSpec": {"params": [{"name": "a", "default": {"k": "v"}}]}});
    assert!(asked(RUN_TYPE, status.to_string().as_bytes(), &[]).is_ok());
    for text in doubled(&status) {
        assert!(matches!(asked(RUN_TYPE, text.as_bytes(), &[]), Err(M::KeyTwice { .. })), "{text}");
    }
    let request: Value = serde_json::from_slice(&body(RUN_TYPE, status.to_string().as_bytes(), &[])).unwrap();
    for text in doubled(&request) {
        let refused = sign(text.clone().into_bytes(), &Kind::ALL);
        assert!(matches!(refused, Err(Refusal::Request(M::KeyTwice { .. }))), "{text}");
    }
    for text in doubled(&json!({"image": image().to_string(), "annotations": {"a": "b"}})) {
        assert!(matches!(sign_image(text.as_bytes()), Err(Refusal::Request(M::KeyTwice { .. }))), "{text}");
    }
}

#[test]
fn a_subject_is_its_name_and_the_digest_that_is_looked_up() {
    let good = json!({"name": "registry.example/team/app", "digest": {"sha256": HEX}});
    let with = |subject: Value| {
        let mut statement = statement("https://slsa.dev/provenance/v1");
        statement["subject"] = json!([good, subject]);
        in_toto(&statement, &[])
    };
    assert!(with(good.clone()).is_ok());
    for field in ["uri", "downloadLocation", "mediaType", "content", "annotations"] {
        for value in [json!(null), json!(""), json!("x"), json!({}), json!({"a": "b"}), json!(false)] {
            let mut subject = good.clone();
            subject[field] = value;
            let refused = with(subject.clone());
            assert!(matches!(refused, Err(M::SubjectField { field: told }) if told == field), "{subject}");
        }
    }
    for field in ["purl", "Name", "Digest", "URI", "digests", ""] {
        let mut subject = good.clone();
        subject[field] = json!({"sha256": HEX});
        assert!(matches!(with(subject.clone()), Err(M::UnknownField { .. })), "{subject}");
    }
    for algorithm in ["sha512", "sha1", "SHA256", "Sha256", "sha256 ", "gitCommit", "a", "z", ""] {
        for value in [json!(HEX), json!("00"), json!(null), json!(["x"])] {
            let mut subject = good.clone();
            subject["digest"][algorithm] = value;
            assert!(matches!(with(subject.clone()), Err(M::OtherDigest)), "{subject}");
        }
        let alone = json!({"name": "registry.example/team/app", "digest": {algorithm: HEX}});
        assert!(matches!(with(alone), Err(M::NoDigest)), "{algorithm}");
    }
    for digest in [HEX.to_uppercase(), format!("sha256:{HEX}"), HEX[1..].to_owned(), String::new()] {
        let subject = json!({"name": "registry.example/team/app", "digest": {"sha256": digest}});
        assert!(matches!(with(subject.clone()), Err(M::NoDigest)), "{subject}");
    }
    let tagged = json!({"name": "registry.example/team/app:1", "digest": {"sha256": HEX}});
    assert!(matches!(with(tagged), Err(M::Name(_))));
    // serde reads a list of the values as the object.
    for subject in [json!(["registry.example/team/app", {"sha256": HEX}]), json!(HEX), json!(null)] {
        assert!(matches!(with(subject.clone()), Err(M::Json { .. })), "{subject}");
    }
}

#[test]
fn what_readers_read_differently_is_refused() {
    let text = statement("https://slsa.dev/provenance/v1").to_string();
    let sign = |bytes: &[u8]| asked(cosign_statement::PAYLOAD_TYPE, bytes, &[]);
    assert!(sign(text.as_bytes()).is_ok());
    assert!(matches!(sign(text.replace("\"anything\"", "\"\u{1}\"").as_bytes()), Err(M::Json { .. })));
    for wrong in [
        format!("\u{feff}{text}"),
        format!("{text}{text}"),
        format!("{text},"),
        format!("[{text}]"),
        format!("{text}\0"),
        text.replace("[1,", "[1e400,"),
        text.replace("[1,", "[01,"),
        text.replace("[1,", "[NaN,"),
        text.replace("\"anything\"", r#""\ud800""#),
        text.replace(r#""predicate":{"#, r#""predicate":{/**/"#),
        text.replace("anything", "\n"),
        format!(r#"["https://in-toto.io/Statement/v1",[{{"digest":{{"sha256":"{HEX}"}}}}],"x",{{}}]"#),
    ] {
        assert!(matches!(sign(wrong.as_bytes()), Err(M::Json { .. })), "{wrong}");
    }
    let mut bytes = text.clone().into_bytes();
    let at = text.find("anything").unwrap();
    bytes[at] = 0xff;
    assert!(matches!(sign(&bytes), Err(M::NotUtf8)));
    for wrong in [r#"{"conditions":[1e400]}"#, r#"{"conditions":[]} {}"#, r#"{"conditions":["\ud800"]}"#] {
        assert!(matches!(asked(RUN_TYPE, wrong.as_bytes(), &[]), Err(M::Json { .. })), "{wrong}");
    }
}

#[test]
fn what_is_longer_than_its_kind_is_not_decoded() {
    let long = |kind: Kind, more: usize| "A".repeat((kind.max_payload_bytes() / 3 + more) * 4);
    let sign = |payload_type: &str, payload: String, kinds: &[Kind]| {
        let request = json!({"payloadType": payload_type, "payload": payload});
        sign(request.to_string().into_bytes(), kinds).unwrap_err()
    };
    for (payload_type, kind, kinds) in [
        (simple_signing::MEDIA_TYPE, Kind::Image, &Kind::ALL[..]),
        (cosign_statement::PAYLOAD_TYPE, Kind::Image, &[Kind::Image, Kind::Run]),
        (cosign_statement::PAYLOAD_TYPE, Kind::Attestation, &Kind::ALL),
        (RUN_TYPE, Kind::Run, &Kind::ALL),
    ] {
        let refused = sign(payload_type, long(kind, 2), kinds);
        let limit = kind.max_payload_bytes();
        assert!(matches!(refused, Refusal::LongPayload { limit: told } if told == limit), "{refused:?}");
        let refused = sign(payload_type, long(kind, 0), kinds);
        assert!(matches!(refused, Refusal::Payload(_)), "{refused:?}");
    }
}

#[test]
fn lists_without_an_end_are_refused() {
    let mut many = statement("https://slsa.dev/provenance/v1");
    let subject = many["subject"][0].clone();
    many["subject"] = vec![subject; MAX_IMAGES].into();
    assert!(in_toto(&many, &[]).is_ok());
    many["subject"].as_array_mut().unwrap().push(json!({}));
    assert!(matches!(in_toto(&many, &[]), Err(M::ManyImages { .. })));
    let image = image().to_string();
    let images = vec![image.as_str(); MAX_IMAGES + 1];
    assert!(matches!(in_toto(&many, &images), Err(M::ManyImages { .. })));
    // 200,000 keys in one object.
    let keys: String = (0..200_000).map(|number| format!("\"{number}\":0,")).collect();
    let text = statement("x").to_string().replace("\"anything\"", &format!("{keys}\"anything\""));
    let refused = asked(cosign_statement::PAYLOAD_TYPE, text.as_bytes(), &[]);
    assert!(matches!(refused, Err(M::ManyKeys { .. })), "{refused:?}");
}

/// A strict reader finds one digest in each subject, sha256, of an image that is looked up under the subject's name.
fn says_only_what_is_looked_up(asked: &Asked) {
    let statement = json::value(&asked.payload.bytes, MemoryLimit::memory(1 << 30)).unwrap();
    for subject in statement["subject"].as_array().unwrap() {
        let fields: Vec<&String> = subject.as_object().unwrap().keys().collect();
        assert!(fields.iter().all(|field| ["name", "digest"].contains(&field.as_str())), "{statement}");
        assert_eq!(subject["digest"].as_object().unwrap().len(), 1, "{statement}");
        let name = subject["name"].as_str().unwrap();
        let digest = format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap());
        let looked_up = |image: &ImageRef| {
            image.digest.as_str() == digest && name.parse() == Ok(image.repository.clone())
        };
        assert!(asked.images.iter().any(looked_up), "{statement}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_put_into_a_statement_only_what_is_looked_up_is_signed(
        edits in proptest::collection::vec((proptest::num::usize::ANY, 0..14usize, 0..3usize), 1..4)
    ) {
        let other = "0".repeat(64);
        let parts = [
            format!("\"sha256\":\"{other}\","), format!("\"SHA256\":\"{other}\","), "\"sha512\":\"00\",".to_owned(),
            "\"uri\":\"x\",".to_owned(), "\"digest\":{},".to_owned(), "\"subject\":[],".to_owned(), "{},".to_owned(),
            "\"Subject\":[{}],".to_owned(), "\"name\":\"a.example/b\",".to_owned(), "[".to_owned(), "]".to_owned(),
            "\\u0061".to_owned(), " ".to_owned(), "\"mediaType\":null,".to_owned(),
        ];
        let mut text = statement("https://slsa.dev/provenance/v1").to_string();
        for (at, part, removed) in edits {
            // Behind a character that ends something, so that the edit often makes JSON.
            let places: Vec<usize> = text.match_indices(['{', ',', '[', '"']).map(|(at, _)| at + 1).collect();
            let at = places[at % places.len()];
            let end = (at + removed).min(text.len());
            text.replace_range(at..end, &parts[part]);
        }
        if let Ok(found) = asked(cosign_statement::PAYLOAD_TYPE, text.as_bytes(), &[]) {
            says_only_what_is_looked_up(&found);
        }
    }
}
