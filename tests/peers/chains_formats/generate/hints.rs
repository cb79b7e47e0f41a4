//! Values, and results with type hints, well and badly formed.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::list;

pub(super) const HEX: [&str; 3] = [
    "2f05d4b689d270cafb02285f35f44866f7dc8a2d368a3f9d1124373eeab31fb1",
    "df6b07176a9b17cc4c9afc257bd404732e7d09b76436c7890f7b7be14e579794",
    "991518789782dd51e7766c301fb09324e2ffa4b913d2fa99f265f8d1b63934f3",
];

pub(super) fn text() -> impl Strategy<Value = Value> {
    let odd = [
        "",
        "plain",
        "a<b>&c",
        "é \u{2028}\u{2029}😀",
        " blank ",
        "\"quoted\\\"\n",
        "\u{7f}\u{1}",
        "$(params.p)",
    ];
    prop_oneof![select(odd.to_vec()).prop_map(Value::from), "[ -~]{0,12}".prop_map(Value::from)]
}

/// The value of a parameter or result.
pub(super) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text(),
        1 => list(text(), 3),
        1 => texts(),
        1 => select(vec![json!(5), json!(-1.5), json!(true), json!([1, "a"]), json!({"b": {"a": [null]}, "a": "<"}),
            json!(["a", null]), json!({"k": null}), json!([]), json!({})]),
    ]
}

/// An object of texts.
fn texts() -> impl Strategy<Value = Value> {
    vec((select(vec!["a", "b.c/d", "Z", "ö"]), text()), 0..3).prop_map(|members| {
        Value::Object(members.into_iter().map(|(key, text)| (key.to_owned(), text)).collect())
    })
}

fn digest() -> impl Strategy<Value = String> {
    let bad = ["", "sha256:", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "abc", "sha256:x@y", " "];
    let hex = || select(&HEX[..]);
    prop_oneof![
        6 => hex().prop_map(|hex| format!("sha256:{hex}")),
        1 => hex().prop_map(|hex| format!(" sha256:{hex}\n")),
        1 => hex().prop_map(|hex| format!("sha256:{}", hex.to_uppercase())),
        1 => hex().prop_map(str::to_owned),
        1 => hex().prop_map(|hex| format!("sha512:{hex}{hex}")),
        1 => hex().prop_map(|hex| format!("SHA256:{hex}")),
        1 => hex().prop_map(|hex| format!("sha1:{}", &hex[..40])),
        1 => select(bad.to_vec()).prop_map(str::to_owned),
    ]
}

fn image_name() -> impl Strategy<Value = String> {
    let names = [
        "reg.example.com/team/app",
        "reg.example.com/team/app",
        "reg.example.com:5000/b",
        "reg.example.com/team/app:v1",
        "library/nginx",
        "nginx",
        "a",
        "https://reg.example.com/x/y",
        "oci://reg.example.com/x/y",
        "UPPER/case",
        "reg.example.com/team/app@sha256:2f05d4b689d270cafb02285f35f44866f7dc8a2d368a3f9d1124373eeab31fb1",
        "",
        " reg.example.com/blank \n",
        "reg.example.com/a b",
        "docker.io/library/x",
        "index.docker.io/org/y",
    ];
    select(names.to_vec()).prop_map(str::to_owned)
}

/// A URI of something other than an image.
fn uri() -> impl Strategy<Value = String> {
    let uris = [
        "pkg:maven/g/a@1",
        "https://files.example/a.jar",
        "git+https://git.example/r.git",
        "",
        "gs://b/o<&>",
    ];
    prop_oneof![select(uris.to_vec()).prop_map(str::to_owned), image_name()]
}

/// A result, or several that belong together.
fn hint() -> impl Strategy<Value = Vec<Value>> {
    let prefix = || select(vec!["", "A_", "my-", "second."]).prop_map(str::to_owned);
    let result = |name: String, value: Value| json!({"name": name, "type": type_of(&value), "value": value});
    let pair = move |first: &'static str, second: &'static str, names: BoxedStrategy<String>| {
        (prefix(), names, digest(), any::<bool>(), 0..8_u8).prop_map(
            move |(prefix, name, digest, swapped, lost)| {
                let mut pair = vec![
                    result(format!("{prefix}{first}"), name.into()),
                    result(format!("{prefix}{second}"), digest.into()),
                ];
                if swapped {
                    pair.reverse();
                }
                if lost == 0 {
                    pair.pop();
                }
                pair
            },
        )
    };
    let arrays = move |first: &'static str, second: &'static str, names: BoxedStrategy<String>| {
        // Not those of texts: Tekton has no two results of one name.
        let prefix = select(vec!["many-", "all."]);
        (prefix, vec((names, digest()), 0..4), 0..8_u8).prop_map(move |(prefix, pairs, lost)| {
            let (mut names, digests): (Vec<String>, Vec<_>) = pairs.into_iter().unzip();
            if lost == 0 {
                names.pop();
            }
            vec![
                result(format!("{prefix}{first}"), json!(names)),
                result(format!("{prefix}{second}"), json!(digests)),
            ]
        })
    };
    let artifact = |end: &'static str| {
        let flag = option::of(select(vec!["true", "false", "True", ""]));
        (prefix(), uri(), digest(), flag, 0..8_u8).prop_map(move |(prefix, uri, digest, flag, broken)| {
            let mut fields = Map::new();
            fields.insert("uri".into(), uri.into());
            if broken != 0 {
                fields.insert("digest".into(), digest.into());
            }
            if let Some(flag) = flag {
                fields.insert("isBuildArtifact".into(), flag.into());
            }
            vec![result(format!("{prefix}{end}"), Value::Object(fields))]
        })
    };
    let images = vec((image_name(), digest()).prop_map(|(name, digest)| format!("{name}@{digest}")), 0..4);
    prop_oneof![
        3 => pair("IMAGE_URL", "IMAGE_DIGEST", image_name().boxed()),
        2 => pair("ARTIFACT_URI", "ARTIFACT_DIGEST", uri().boxed()),
        1 => arrays("IMAGE_URL", "IMAGE_DIGEST", image_name().boxed()),
        1 => arrays("ARTIFACT_URI", "ARTIFACT_DIGEST", uri().boxed()),
        2 => artifact("ARTIFACT_OUTPUTS"),
        2 => artifact("ARTIFACT_INPUTS"),
        1 => (images, select(vec![",", "\n", ", \n", ";"]))
            .prop_map(move |(images, by)| vec![result("IMAGES".into(), images.join(by).into())]),
        1 => (git_url(), select(&["", "abc123", HEX[0]][..])).prop_map(move |(url, commit)| vec![
            result("CHAINS-GIT_URL".into(), url.into()), result("CHAINS-GIT_COMMIT".into(), commit.into())]),
        3 => (select(vec!["note", "size", "images", "IMAGE", "x_IMAGE_URL_y"]), value())
            .prop_map(move |(name, value)| vec![result(name.into(), value)]),
    ]
}

pub(super) fn git_url() -> impl Strategy<Value = &'static str> {
    select(vec!["https://git.example/r", "https://git.example/r.git", "git+https://git.example/r.git", ""])
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_null()) => "array",
        Value::Object(fields) if fields.values().all(|item| item.is_string() || item.is_null()) => "object",
        _ => "string",
    }
}

pub(super) fn results() -> impl Strategy<Value = Value> {
    vec(hint(), 0..4).prop_map(|hints| Value::Array(hints.into_iter().flatten().collect()))
}
