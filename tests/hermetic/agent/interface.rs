//! docs/agent-openapi.yaml is what the agent speaks.

use std::collections::BTreeSet;
use std::path::Path;

use stepseal::agent::ROUTES;
use yaml_rust2::{Yaml, YamlLoader};

use crate::agent::kit::{agent, image_request, named};
use crate::kit::step::{Step, pair};

fn openapi() -> Yaml {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agent-openapi.yaml");
    YamlLoader::load_from_str(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0)
}

fn keys(yaml: &Yaml) -> BTreeSet<String> {
    yaml.as_hash().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// An object fits a schema: every field is described, and every required one is there.
fn fits(api: &Yaml, schema: &str, object: &serde_json::Value) {
    let schema = &api["components"]["schemas"][schema];
    let described = keys(&schema["properties"]);
    let object = object.as_object().unwrap();
    for field in object.keys() {
        assert!(described.contains(field), "{field} is not described");
    }
    for required in schema["required"].as_vec().unwrap() {
        assert!(object.contains_key(required.as_str().unwrap()), "{required:?} is missing");
    }
}

#[test]
fn the_routes_are_those_of_the_code() {
    let api = openapi();
    let mut described = BTreeSet::new();
    for path in keys(&api["paths"]) {
        for method in keys(&api["paths"][path.as_str()]) {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routes = ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(described, routes.collect());
}

#[test]
fn what_is_answered_fits_its_schema() {
    let api = openapi();
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let running = agent(&step, &[]);
    let key = running.get("/v1/public-key").json();
    fits(&api, "PublicKey", &key);
    assert_eq!(key["pem"], pair().public_pem);
    fits(&api, "Health", &running.get("/v1/health").json());
    let image = named(&step, "team/app", &digest);
    fits(&api, "Signature", &running.post("/v1/sign-image", &image_request(&image)).json());
    let refused = running.post("/v1/sign-image", &image_request("x")).json();
    fits(&api, "Problem", &refused);
    fits(&api, "ProblemDetail", &refused["error"]);
}

/// Each field that is described is taken, and one that isn't is refused.
#[test]
fn what_is_asked_fits_its_schema() {
    let api = openapi();
    for (path, schema) in [("/v1/sign", "SignRequest"), ("/v1/sign-image", "SignImageRequest")] {
        let step = Step::new();
        let running = agent(&step, &[]);
        let body =
            &api["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(body.as_str().unwrap(), format!("#/components/schemas/{schema}"));
        let properties = &api["components"]["schemas"][schema]["properties"];
        let mut request = serde_json::Map::new();
        for field in keys(properties) {
            let value = match properties[field.as_str()]["type"].as_str().unwrap() {
                "array" => serde_json::json!([]),
                "object" => serde_json::json!({}),
                _ => serde_json::json!("x"),
            };
            request.insert(field, value);
        }
        // Its fields are known, so what is wrong is what they hold.
        let reply = running.post(path, &request.clone().into());
        let message = reply.json()["error"]["causes"][0].as_str().unwrap().to_owned();
        assert!(!message.contains("not the JSON object"), "{message}");
        request.insert("more".into(), true.into());
        let reply = running.post(path, &request.into());
        let message = reply.json()["error"]["causes"][0].as_str().unwrap().to_owned();
        assert!(message.contains("unknown field \"more\""), "{message}");
    }
}

#[test]
fn every_code_of_a_refusal_is_described() {
    let api = openapi();
    let codes = &api["components"]["schemas"]["ProblemDetail"]["properties"]["code"]["enum"];
    let described: BTreeSet<&str> =
        codes.as_vec().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    let source =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/agent/refusal.rs")).unwrap();
    let (_, code) = source.split_once("pub fn code(&self)").unwrap();
    let (code, _) = code.split_once("pub fn status").unwrap();
    let coded: BTreeSet<&str> = code.split('"').skip(1).step_by(2).collect();
    assert_eq!(described, coded);
}
