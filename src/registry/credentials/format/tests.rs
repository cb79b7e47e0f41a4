//! Which files are understood, and what is said of those that are not.

use proptest::prelude::*;

use super::*;
use crate::secret::Secret;

/// The names of the rules, with what they lead to.
fn summary(config: &Config) -> Vec<String> {
    let rules = config.rules.iter().map(|rule| match &rule.answer {
        Answer::Login(Login::Basic { user, .. }) => format!("{}={user}", rule.name),
        Answer::Login(Login::IdentityToken(_) | Login::RegistryToken(_)) => format!("{}=token", rule.name),
        Answer::Broken(_) => format!("{}!", rule.name),
        Answer::Helper(helper) => {
            format!("{}=>{}", rule.name, helper.as_ref().map_or("", HelperName::as_str))
        }
    });
    rules.chain(config.store.iter().map(|store| format!("*=>{}", store.as_str()))).collect()
}

#[test]
fn every_form_is_told_by_its_content() {
    for (json, want) in [
        // .dockerconfigjson, config.json, auth.json
        (
            r#"{"auths":{"b.example":{"auth":"Y2k6YQ=="},"a.example":{"username":"u","password":"p"}}}"#,
            vec!["b.example=ci", "a.example=u"],
        ),
        (
            r#"{"auths":{"a.example":{"auth":"Y2k6YQ==","email":"x@y"}},"HttpHeaders":{"User-Agent":"x"}}"#,
            vec!["a.example=ci"],
        ),
        (r#"{"auths":{"a.example":{"auth":"","identitytoken":"t"}}}"#, vec!["a.example=token"]),
        (r#"{"Auths":{"a.example":{"Auth":"Y2k6YQ=="}}}"#, vec!["a.example=ci"]),
        // .dockercfg
        (
            r#"{"https://index.docker.io/v1/":{"auth":"Y2k6YQ==","email":"x@y"}}"#,
            vec!["https://index.docker.io/v1/=ci"],
        ),
        // Hosts that no client reaches.
        (
            r#"{"auths":{"a.example":{"auth":"Y2k6YQ=="},"registry.1:5000":{"auth":"Y2k6YQ=="},"https://1.2.3.256/v1/":{"auth":"Y2k6YQ=="}},"credHelpers":{"4294967296":"gcr"}}"#,
            vec!["a.example=ci"],
        ),
        // Nothing in it.
        ("{}", vec![]),
        (r#"{"auths":{}}"#, vec![]),
        (r#"{"auths":null,"credHelpers":null,"credsStore":null}"#, vec![]),
        (r#"{"auths":{"a.example":{},"b.example":null,"c.example":{"email":"x@y"},"no host":{}}}"#, vec![]),
        (r#"{"currentContext":"default","HttpHeaders":{"User-Agent":"x"},"proxies":{}}"#, vec![]),
        // Helpers.
        (
            r#"{"auths":{"a.example":{"auth":"Y2k6YQ=="}},"credHelpers":{"a.example":"gcr","b.example/team":"ecr-login","c.example":""},"credsStore":"desktop"}"#,
            vec!["a.example=>gcr", "b.example/team=>ecr-login", "c.example=>", "a.example=ci", "*=>desktop"],
        ),
        (r#"{"credsStore":"pass"}"#, vec!["*=>pass"]),
        (r#"{"credsStore":""}"#, vec![]),
    ] {
        assert_eq!(summary(&parse(json.as_bytes()).unwrap()), want, "{json}");
    }
}

#[test]
fn escapes_in_json_are_read() {
    let config = parse(br#"{"auths":{"a\u002eexample":{"username":"u","password":"\u00e9\"\n"}}}"#).unwrap();
    assert_eq!(
        config.rules[0].answer,
        Answer::Login(Login::Basic { user: "u".into(), password: Secret::new("\u{e9}\"\n") })
    );
    assert_eq!(config.rules[0].name, "a.example");
}

/// Every bad file, with its whole message. `hunter2` is what must not be in one.
const BAD: &[(&str, &str)] = &[
    (r#"{"auths":{"a.example":{"auth":"hunter2"}},"auths":{}}"#, "its \"auths\" is there more than once"),
    (r#"{"credHelpers":{"a.example":"x"},"CredHelpers":{}}"#, "its \"credHelpers\" is there more than once"),
    ("", "it is not JSON (line 1, column 0)"),
    ("hunter2", "it is not JSON (line 1, column 1)"),
    ("{\"auths\":{\"hunter2\"", "it is not JSON (line 1, column 19)"),
    ("{\"auths\":{}} hunter2", "it is not JSON (line 1, column 14)"),
    ("\u{feff}{}", "it is not JSON (line 1, column 1)"),
    ("[\"hunter2\"]", "it is not a JSON object"),
    ("\"hunter2\"", "it is not a JSON object"),
    ("null", "it is not a JSON object"),
    (r#"{"auths":"hunter2"}"#, "its \"auths\" is not a JSON object"),
    (r#"{"auths":["hunter2"]}"#, "its \"auths\" is not a JSON object"),
    (r#"{"credHelpers":"hunter2"}"#, "its \"credHelpers\" is not a JSON object"),
    (r#"{"credsStore":{"x":"hunter2"}}"#, "its \"credsStore\" is not text"),
    // An entry where the file belongs.
    (r#"{"auth":"hunter2"}"#, "its entry \"auth\" cannot be used: it is not a JSON object"),
    (
        r#"{"credsStore":"/bin/hunter2"}"#,
        "its \"credsStore\" names a helper that is not plain letters, digits, and . _ -",
    ),
];

/// Every entry that can't be used, with its whole message.
const BROKEN: &[(&str, &str)] = &[
    (
        r#"{"auths":{"a.example":"hunter2"}}"#,
        "its entry \"a.example\" cannot be used: it is not a JSON object",
    ),
    (
        r#"{"auths":{"a.example":{"auth":["hunter2"]}}}"#,
        "its entry \"a.example\" cannot be used: its \"auth\" is not text",
    ),
    (
        r#"{"auths":{"a.example":{"auth":"hunter2!"}}}"#,
        "its entry \"a.example\" cannot be used: its \"auth\" is not base64 of USER:PASSWORD",
    ),
    (
        r#"{"auths":{"a.example":{"auth":"aHVudGVyMg=="}}}"#,
        "its entry \"a.example\" cannot be used: its \"auth\" is not base64 of USER:PASSWORD",
    ),
    (
        r#"{"auths":{"a.example":{"auth":"Y2k6YQ==","username":"ci","password":"hunter2"}}}"#,
        "its entry \"a.example\" cannot be used: its \"auth\" says something else than its \"username\" and \"password\"",
    ),
    (
        r#"{"auths":{"a.example":{"password":"hunter2"}}}"#,
        "its entry \"a.example\" cannot be used: it has a \"username\" without a \"password\", or the other way round",
    ),
    (
        r#"{"auths":{"a.example":{"password":"\ud800hunter2"}}}"#,
        "its entry \"a.example\" cannot be used: its \"password\" is not text",
    ),
    (
        r#"{"a.example":{"auth":"hunter2"}}"#,
        "its entry \"a.example\" cannot be used: its \"auth\" is not base64 of USER:PASSWORD",
    ),
    (
        r#"{"credHelpers":{"a.example":["hunter2"]}}"#,
        "its entry \"a.example\" cannot be used: its \"credHelpers\" is not text",
    ),
    (
        r#"{"credHelpers":{"a.example":"../hunter2"}}"#,
        "its \"credHelpers\" entry \"a.example\" names a helper that is not plain letters, digits, and . _ -",
    ),
    (
        r#"{"auths":{"a.example":{"auth":"Og=="}}}"#,
        "its entry \"a.example\" cannot be used: its \"auth\" is not base64 of USER:PASSWORD",
    ),
    (
        r#"{"auths":{"a.example":{"username":"hunter2"}}}"#,
        "its entry \"a.example\" cannot be used: it has a \"username\" without a \"password\", or the other way round",
    ),
    (
        r#"{"auths":{"a.example":{"auth":"Y2k6/w=="}}}"#,
        "its entry \"a.example\" cannot be used: its \"auth\" is not base64 of USER:PASSWORD",
    ),
    (
        r#"{"auths":{"a.example":{"username":7,"password":"hunter2"}}}"#,
        "its entry \"a.example\" cannot be used: its \"username\" is not text",
    ),
    (
        r#"{"auths":{"a.example":["hunter2"]}}"#,
        "its entry \"a.example\" cannot be used: it is not a JSON object",
    ),
    (r#"{"auths":{"a.example":true}}"#, "its entry \"a.example\" cannot be used: it is not a JSON object"),
];

#[test]
fn point_10_an_entry_that_cannot_be_used_stops_nothing_else() {
    for (json, want) in BROKEN {
        let config = parse(json.as_bytes()).unwrap();
        let [Rule { name, answer: Answer::Broken(error), .. }] = config.rules.as_slice() else {
            panic!("{json}: {config:?}")
        };
        assert_eq!(name, "a.example");
        assert_eq!(text_of(error), *want, "{json}");
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }
    let many = r#"{"auths":{
        "a.example":{"auth":"Y2k6YQ=="},"b.example":{"auth":"Og=="},"c.example":7,"":{"auth":"Y2k6YQ=="},
        "git:https://github.com":{"auth":"Y2k6YQ=="},"evil@a.example":{"auth":"Y2k6YQ=="},"a\nb":{"auth":"%"},
        "https://u:hunter2@a.example":{"auth":"Y2k6YQ=="},"*":{"auth":"x"}
    },"credHelpers":{"d.example":["x"],"e.example":"../x","no host":"gcr"}}"#;
    let config = parse(many.as_bytes()).unwrap();
    assert_eq!(
        summary(&config),
        ["d.example!", "e.example!", "a.example=ci", "b.example!", "c.example!", "*!"]
    );
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

fn text_of(error: &FormatError) -> String {
    std::error::Error::source(error).map_or(error.to_string(), |source| format!("{error}: {source}"))
}

#[test]
fn a_bad_file_says_what_is_wrong_and_nothing_it_holds() {
    for (json, want) in BAD {
        let error = parse(json.as_bytes()).unwrap_err();
        let text = text_of(&error);
        assert_eq!(text, *want, "{json}");
        assert!(!format!("{error:?}{text}").contains("hunter2"), "{error:?}");
    }
    assert!(matches!(parse(b"{\"auths\":{\"\xff\":{}}}"), Err(FormatError::Json { .. })));
}

#[test]
fn debug_shows_no_secret() {
    let config = parse(br#"{"auths":{"a.example":{"username":"ci","password":"hunter2"},"b.example":{"identitytoken":"hunter2"}}}"#);
    let debug = format!("{config:?}");
    assert!(debug.contains("ci") && !debug.contains("hunter2"), "{debug}");
}

proptest! {
    #[test]
    fn any_bytes_are_a_file_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_entry_is_read_or_refused(key in any::<String>(), auth in any::<String>(), password in any::<String>()) {
        let file = serde_json::json!({"auths": {&key: {"auth": auth, "password": password}}});
        let _ = parse(file.to_string().as_bytes());
    }
}
