//! A registry that throttles, fails or lies: never "no signatures".

use http::StatusCode;
use stepseal::demo::registry::{Answer, Effect, Fault, Page};

use crate::verify::kit::{name, step, verify};

#[test]
fn a_lookup_that_fails_is_an_error_and_not_an_absence() {
    let answers = [
        Answer::new(StatusCode::TOO_MANY_REQUESTS),
        Answer::new(StatusCode::TOO_MANY_REQUESTS).retry_after("3600"),
        Answer::new(StatusCode::INTERNAL_SERVER_ERROR),
        Answer::new(StatusCode::OK).page(Page::Huge(5 * 1024 * 1024)),
        Answer::new(StatusCode::FORBIDDEN),
        Answer::new(StatusCode::BAD_REQUEST),
        Answer::new(StatusCode::OK).page(Page::Html),
        Answer::new(StatusCode::OK).page(Page::NotUtf8),
    ];
    // An annotation, so that the payload has to be fetched. The last four mean of the API that there is none.
    let tagged: (&str, &[&str], &[Answer]) = (".sig", &["--annotation=a=b"], &answers);
    let encoding = "--config=storage.oci.encoding-format=sigstore-bundle";
    let listed: (&str, &[&str], &[Answer]) = ("/referrers/", &[encoding], &answers[..4]);
    for (place, args, answers) in [tagged, listed] {
        let step = step();
        let digest = step.built("team/app");
        let image = name(&step, "team/app", &digest);
        step.sign(args);
        for answer in answers {
            step.registry.faults().clear();
            step.registry.faults().add(Fault::answer(answer.clone()).path(place));
            let ended = verify(&step, &["--timeout=2s", &image]);
            assert!([1, 4].contains(&ended.code), "{place} {answer:?}: {} {}", ended.code, ended.stderr);
            assert_eq!(ended.stdout, "");
            assert!(
                ended.stderr.contains("cannot determine whether") || ended.stderr.contains("cannot look up"),
                "{place} {answer:?}: {}",
                ended.stderr
            );
            assert!(!ended.stderr.contains("there is none"), "{place} {answer:?}: {}", ended.stderr);
        }
    }
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    step.sign(&[encoding]);
    // Where there is no API the fallback tag is asked; when that fails, it is an error as well.
    step.registry.faults().add(Fault::answer(Answer::new(StatusCode::NOT_FOUND)).path("/referrers/"));
    let fallback = format!("manifests/sha256-{}", digest.hex());
    step.registry.faults().add(Fault::answer(Answer::new(StatusCode::INTERNAL_SERVER_ERROR)).path(&fallback));
    let ended = verify(&step, &["--timeout=2s", &image]);
    assert!(ended.code == 1 && ended.stderr.contains("cannot determine whether"), "{}", ended.stderr);
}

#[test]
fn weather_passes() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    step.sign(&["--annotation=a=b"]);
    step.registry.faults().add(Fault::one_in(3));
    let ended = verify(&step, &[&image]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn payloads_with_wrong_bytes_are_refused_with_their_place() {
    let step = step();
    let digest = step.built("team/app");
    step.sign(&["--annotation=a=b"]);
    step.registry.faults().add(Fault::new(Effect::WrongBytes).path("/blobs/"));
    let ended = verify(&step, &[&name(&step, "team/app", &digest)]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("layer 1: its bytes are not what its digest names"), "{}", ended.stderr);
}

#[test]
fn an_image_that_is_not_there_is_told_as_such() {
    let step = step();
    let digest = stepseal::oci::Digest::of(b"nothing");
    let ended = verify(&step, &[&name(&step, "team/app", &digest)]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("is not in the registry"), "{}", ended.stderr);
}
