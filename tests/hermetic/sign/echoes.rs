//! A registry or a token service that repeats what it was sent shows it to nobody else.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::kit::echo::{Echo, IDENTITY, Kind, PASSWORD, Place};
use crate::kit::step::{Step, ended};

/// Gives the step the login that `kind` needs, and the image as its result.
fn prepared(kind: Kind, echo: &Echo) -> Step {
    let step = Step::new();
    let auth = STANDARD.encode(format!("ci-bot:{PASSWORD}"));
    let login = match kind {
        Kind::Basic | Kind::Token => json!({ "auth": auth }),
        Kind::Identity => json!({ "identitytoken": IDENTITY }),
    };
    let text = json!({ "auths": { &echo.host: login } }).to_string();
    fs::write(step.path("credentials/.dockerconfigjson"), text).unwrap();
    step.result("IMAGES", &echo.image);
    step
}

/// Runs `sign` and looks at all that it leaves.
fn run(kind: Kind, place: Place, level: &str, format: &str) {
    let what = format!("{kind:?} {place:?} {level} {format}");
    let echo = Echo::start(kind, place);
    let step = prepared(kind, &echo);
    let [report, own] = ["report.json", "own"].map(|name| step.path(name));
    fs::create_dir(&own).unwrap();
    let mut command = step.command(&["sign", "--timeout=2s", "--output", format]);
    command.args(["--report".as_ref(), report.as_os_str(), "--own-results".as_ref(), own.as_os_str()]);
    command.env("STEPSEAL_INSECURE_REGISTRIES", &echo.host).env("STEPSEAL_LOG", level);
    let ended = ended(command.output().unwrap());
    assert!([1, 4].contains(&ended.code), "{what}: {}\n{}", ended.code, ended.stderr);
    assert!(ended.stderr.contains("[hidden]"), "{what}: the place is not shown:\n{}", ended.stderr);
    echo.is_hidden_in(&ended.stderr, &what);
    echo.is_hidden_in(&ended.stdout, &what);
    echo.is_hidden_in(&fs::read_to_string(&report).unwrap(), &what);
    for file in fs::read_dir(&own).unwrap() {
        echo.is_hidden_in(&fs::read_to_string(file.unwrap().path()).unwrap(), &what);
    }
}

#[test]
fn a_secret_that_a_registry_repeats_is_hidden_wherever_it_is_printed() {
    let places = [
        Place::Code,
        Place::Message,
        Place::Denied,
        Place::OtherJson,
        Place::Text,
        Place::Title,
        Place::TitleOfASuccess,
        Place::Busy,
        Place::Realm,
        Place::UnusableRealm,
        Place::Redirect,
        Place::UnusableRedirect,
        Place::Upload,
    ];
    for kind in [Kind::Basic, Kind::Token, Kind::Identity] {
        for place in places {
            run(kind, place, "trace", "json");
        }
    }
    run(Kind::Basic, Place::Message, "warn", "human");
    run(Kind::Token, Place::Upload, "debug", "human");
}

#[test]
fn a_secret_that_a_token_service_repeats_is_hidden_wherever_it_is_printed() {
    for kind in [Kind::Token, Kind::Identity] {
        for place in [Place::TokenService, Place::TokenServiceBusy, Place::TokenServiceRedirect] {
            // A refresh token goes into a POST, which no redirect is followed for.
            run(kind, place, "trace", "json");
        }
    }
}
