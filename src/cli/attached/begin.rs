//! What the commands begin with: settings, the image, the client; and what an image's name stands for.

use std::path::Path;
use std::time::Instant;

use clap::ArgMatches;

use super::super::environment::Environment;
use super::super::output::Output;
use super::super::own_flags::OwnFlags;
use super::error::BesideCommandError;
use crate::cli::{confinement, given};
use crate::flow::images::{ImageVerifier, RequestedImage};
use crate::flow::registries;
use crate::foreign;
use crate::oci::platform::Platform;
use crate::oci::{ImageRef, Manifest, Named, Repository, Target};
use crate::registry::client::{Access, Client};
use crate::store::TagPrefix;
use crate::store::beside::Beside;

/// An image, and how its registry is asked.
pub(super) struct Begun {
    pub(super) client: Client,
    /// Where signatures lie, if not beside the image.
    pub(super) repository: Option<Repository>,
    /// What the tags begin with.
    pub(super) prefix: TagPrefix,
    pub(super) beside: Beside,
    pub(super) deadline: Instant,
    named: Named,
    looker: ImageVerifier,
}

impl Begun {
    /// Reads everything; asks no registry yet.
    pub(super) fn new(
        command: &str,
        matches: &ArgMatches,
        environment: &Environment,
        access: Access,
        from: Instant,
        out: &mut Output,
    ) -> Result<Self, BesideCommandError> {
        let config = given::verification(command, matches, environment)?;
        for warning in &config.warnings {
            out.line(&format!("warning: {warning}"));
        }
        let takes_sbom = matches.try_contains_id("sbom").is_ok();
        let sbom = if takes_sbom { OwnFlags::new(matches, environment).text("sbom")? } else { None };
        confinement::beside(&config, sbom.as_deref().map(Path::new), environment);
        let text = matches.get_one::<String>("image").map(String::as_str).unwrap_or_default();
        let named: Named = text
            .parse()
            .map_err(|source| BesideCommandError::Image { name: foreign::escape(text, 300), source })?;
        let repository = config.repository.clone();
        let deadline = from + config.timeout;
        let asked = std::iter::once(&named.repository);
        let client: Client =
            registries::client(&config, environment, asked, access, deadline, &mut |line| out.line(line))?;
        let prefix = config.registry.tag_prefix.clone();
        let beside = Beside::new(client.clone(), repository.clone()).with_prefix(prefix.clone());
        let looker =
            ImageVerifier::new(client.clone(), repository.clone(), false, 1).with_prefix(prefix.clone());
        Ok(Self { client, repository, prefix, beside, deadline, named, looker })
    }

    /// What the name stands for now. Asks the registry only where there is no digest.
    pub(super) async fn resolve(&self) -> Result<RequestedImage, BesideCommandError> {
        Ok(self.looker.resolve(&self.named).await?)
    }

    /// The image with its manifest, which has to be in the registry.
    pub(super) async fn held(&self) -> Result<(RequestedImage, Manifest), BesideCommandError> {
        let Named { repository, tag, digest } = &self.named;
        let (target, name) = match (digest, tag) {
            (Some(digest), _) => (Target::Digest(digest.clone()), format!("{repository}@{digest}")),
            (None, tag) => {
                let tag = tag.as_deref().unwrap_or("latest");
                (Target::Tag(tag.to_owned()), format!("{repository}:{tag}"))
            }
        };
        let manifest = self.looker.manifest(repository, target, &name).await?;
        let image = ImageRef { repository: repository.clone(), digest: manifest.digest.clone() };
        Ok((RequestedImage { name, image }, manifest))
    }

    /// What the name stands for, or the image for `platform` that it lists.
    pub(super) async fn for_platform(
        &self,
        platform: Option<&Platform>,
    ) -> Result<RequestedImage, BesideCommandError> {
        let Some(platform) = platform else { return self.resolve().await };
        let (RequestedImage { name, image }, manifest) = self.held().await?;
        let chosen = platform.choose(&image, &manifest);
        let image = chosen.map_err(|source| BesideCommandError::Choice {
            image: name.clone(),
            platform: platform.to_string(),
            source,
        })?;
        Ok(RequestedImage { name: image.to_string(), image })
    }
}
