//! What the binary does before Harbor.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BUNDLE, Pinned};
use crate::kit::personality::Rules;
use crate::kit::step::{MANIFEST, REGISTRY_PASSWORD};
use crate::registries::personalities::harbor::{NEW, OLD, PERSONALITY};

/// The answer to a GET with this login, from the status line on.
fn got(harbor: &Pinned, path: &str, authorization: &str) -> String {
    let host = harbor.step.host();
    let mut stream = TcpStream::connect(&host).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {authorization}\r\naccept: {MANIFEST}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The status of a manifest that is pulled by a client that only pulls.
fn pulled(harbor: &Pinned, repository: &str, reference: &str) -> u16 {
    let login = STANDARD.encode(format!("ci-bot:{REGISTRY_PASSWORD}"));
    let path = format!("/service/token?service=harbor-registry&scope=repository:{repository}:pull");
    let answer = got(harbor, &path, &format!("Basic {login}"));
    let (_, token) = answer.split_once("\"token\":\"").unwrap();
    let token = token.split('"').next().unwrap();
    let answer = got(harbor, &format!("/v2/{repository}/manifests/{reference}"), &format!("Bearer {token}"));
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_image_under_the_policy_is_signed_and_verified() {
    for personality in [OLD, PERSONALITY, NEW] {
        let harbor = Pinned::new(personality);
        let image = harbor.built("app");
        // `verify` asks for a token that may pull; under the policy for more.
        let ended = harbor.verifies(&image, 1, &[]);
        assert!(!ended.stderr.contains("412"), "{}", ended.stderr);
        harbor.signs(&[], 0, &["1 signed"]);
        assert_eq!(harbor.step.payloads(&image.0, &image.1).len(), 1);
        harbor.verifies(&image, 0, &[]);
    }
}

#[test]
fn signatures_under_tags_in_the_list_of_referrers_are_no_bundles() {
    let harbor = Pinned::new(PERSONALITY);
    let image = harbor.built("app");
    harbor.signs(&[], 0, &["1 signed"]);
    harbor.signs(&[BUNDLE], 0, &["1 signed"]);
    assert_eq!(harbor.registry().content().referrers(&image.0, &image.1).len(), 1);
    harbor.registry().content().remove_tag(&image.0, &format!("sha256-{}.sig", image.1.hex()));
    harbor.verifies(&image, 0, &[]);
}

#[test]
fn a_project_that_is_not_there_is_called_that() {
    let harbor = Pinned::new(PERSONALITY);
    harbor.step.built("other/app");
    harbor.signs(&[], 4, &["project other not found"]);
}

/// A bundle is all that the policy of 2.15 asks for; that of 2.14 goes on withholding the image.
#[test]
fn the_policy_counts_bundles_from_2_15_on() {
    for (personality, status) in [(PERSONALITY, 412), (NEW, 200)] {
        let harbor = Pinned::new(personality);
        let (repository, digest) = harbor.built("app");
        assert_eq!(pulled(&harbor, &repository, digest.as_str()), 412, "{}", personality.version);
        harbor.signs(&[BUNDLE], 0, &["1 signed"]);
        assert_eq!(pulled(&harbor, &repository, digest.as_str()), status, "{}", personality.version);
    }
}

/// The token of a wrong password is good for nothing, and the next login is tried.
#[test]
fn a_wrong_password_is_a_refused_login() {
    let harbor = Pinned::new(PERSONALITY);
    harbor.built("app");
    harbor.step.login(&harbor.step.host(), "ci-bot", "wrong");
    harbor.signs(&[], 4, &["unauthorized to access repository: team/app", "check that this login is right"]);
}

/// Each token that a wrong password gets may count towards locking its account.
#[test]
fn a_wrong_password_asks_for_two_tokens_however_many_images_there_are() {
    for more in [0, 19] {
        let harbor = Pinned::new(PERSONALITY);
        let (repository, _) = harbor.built("app");
        let image = |number: usize| {
            let digest = harbor.step.image(&repository, &format!("{repository} {number}"));
            format!("{}/{repository}@{digest}", harbor.step.host())
        };
        if more > 0 {
            harbor.step.result("IMAGES", &(0..more).map(image).collect::<Vec<_>>().join(","));
        }
        harbor.step.login(&harbor.step.host(), "ci-bot", "wrong");
        harbor.registry().clear_requests();
        harbor.signs(&[], 4, &["check that this login is right"]);
        let requests = harbor.registry().requests();
        let tokens = requests.iter().filter(|request| request.path_and_query.starts_with("/service/token"));
        assert_eq!(tokens.count(), 2, "{more} more: {requests:?}");
    }
}

#[test]
fn an_immutable_tag_is_called_that() {
    let harbor = Pinned::with(PERSONALITY, Rules { immutable_tags: true });
    harbor.built("app");
    harbor.signs(&["--annotation=signer=1"], 0, &[]);
    harbor.signs(&["--annotation=signer=2"], 1, &["412 PRECONDITION", "is immutable", "sigstore-bundle"]);
    harbor.signs(&[BUNDLE, "--annotation=signer=2"], 0, &["1 signed"]);
}
