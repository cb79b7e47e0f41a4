//! The objects of `ARTIFACT_OUTPUTS`.
//!
//! All of them are subjects. As in Chains since v0.29, one whose `isBuildArtifact` is exactly `"true"`, with a
//! sha256 digest and a URI that is an image's name, is signed as an image. Unlike there, a URL of another scheme
//! is not taken for a name.

use std::slice::from_ref;

use super::artifact::{self, check_uri};
use super::planner::Planner;
use super::reason;
use crate::hint::{Output, Scope};
use crate::oci::{Digest, ImageRef, Named, ReferenceError};

impl Planner<'_> {
    /// One object of `ARTIFACT_OUTPUTS`: an image if it is a build artifact with an image's name and digest.
    pub(super) fn output(&mut self, scope: &Scope, place: String, output: &Output) {
        if let Err(what) = check_uri(&output.uri) {
            self.problem(place, format!("its URI {} {what}", reason::quoted(scope, &output.uri, "URI")));
            return;
        }
        let digest = match artifact::digest(&output.digest) {
            Ok(digest) => digest,
            Err(error) => {
                self.problem(place, reason::artifact_digest(scope, &output.digest, error));
                return;
            }
        };
        if output.is_build_artifact.as_deref() != Some("true") {
            let what = match &output.is_build_artifact {
                Some(flag) if flag != "false" => format!(
                    "no image signature: its isBuildArtifact is {}, and only \"true\" makes it one of the build's images",
                    reason::quoted(scope, flag, "isBuildArtifact")
                ),
                Some(_) => "no image signature: its isBuildArtifact is \"false\"".to_owned(),
                None => "no image signature: it has no isBuildArtifact, and \"true\" is needed".to_owned(),
            };
            self.artifact(&output.uri, digest, from_ref(&place), place.clone(), what);
            return;
        }
        match output.uri.parse::<Named>() {
            Ok(named) => self.output_image(place, &named, output, digest),
            // These name an image in a form that the registry's client can't use.
            Err(error @ ReferenceError::Scheme(_))
                if output.uri.starts_with("oci://") || output.uri.starts_with("docker://") =>
            {
                self.problem(place, reason::name(scope, &output.uri, &error));
            }
            Err(error) => {
                let what = format!("no image signature: {}", reason::name(scope, &output.uri, &error));
                self.artifact(&output.uri, digest, from_ref(&place), place.clone(), what);
            }
        }
    }

    fn output_image(&mut self, place: String, named: &Named, output: &Output, digest: String) {
        match (digest.parse::<Digest>(), &named.digest) {
            (Ok(hex), Some(own)) if *own != hex => {
                let what =
                    format!("its URI holds the digest {own}, and its digest is {hex}; write one of them");
                self.problem(place, what);
            }
            (Ok(hex), _) => {
                self.image(ImageRef { repository: named.repository.clone(), digest: hex }, &[place]);
            }
            (Err(_), _) => {
                let what = "no image signature: images are signed by their sha256 digest only".to_owned();
                self.artifact(&output.uri, digest, from_ref(&place), place.clone(), what);
            }
        }
    }
}
