//! `stepseal tree`: what lies beside an image, as cosign draws it, or as JSON.

use serde::Serialize;

use super::super::output::Output;
use super::super::own_flags::OwnFlags;
use super::attach;
use super::begin::Begun;
use super::error::BesideCommandError;
use crate::flow::images::RequestedImage;
use crate::foreign::UntrustedText;
use crate::store::beside::{Kind, Layer, Referrer, Referrers};

/// The kinds of tags in their order, with cosign's words for each.
const KINDS: [(Kind, &str); 3] =
    [(Kind::Signatures, "🔐 Signatures"), (Kind::Attestations, "💾 Attestations"), (Kind::Sbom, "📦 SBOMs")];

/// What is asked for.
pub(super) struct Tree {
    json: bool,
    referrers: bool,
}

/// What was found.
struct Found {
    asked: RequestedImage,
    /// The tags that there are, with their layers.
    tags: Vec<(Kind, String, Vec<Layer>)>,
    referrers: Referrers,
    /// Where referrers lie, up to their digest.
    repository: String,
}

impl Tree {
    pub(super) fn new(flags: &OwnFlags<'_>) -> Result<Self, BesideCommandError> {
        let json = flags.one("output", "text or json", |text| match text {
            "json" => Some(true),
            "text" => Some(false),
            _ => None,
        })?;
        let referrers = attach::by_referrer(flags)?.unwrap_or_default()
            || flags.switch("experimental-oci11")?.unwrap_or(true);
        Ok(Self { json: json.unwrap_or_default(), referrers })
    }

    /// Prints what is there; nothing, if a look-up fails.
    pub(super) async fn run(&self, begun: &Begun, out: &mut Output) -> Result<(), BesideCommandError> {
        let (asked, _) = begun.held().await?;
        let (beside, image) = (&begun.beside, &asked.image);
        let tags = KINDS.map(|(kind, _)| async move {
            Ok::<_, BesideCommandError>((kind, beside.layers(image, kind).await?))
        });
        let referrers = async {
            Ok::<_, BesideCommandError>(if self.referrers {
                beside.referrers(image).await?
            } else {
                Referrers::default()
            })
        };
        let (tags, referrers) =
            futures_util::future::try_join(futures_util::future::try_join_all(tags), referrers).await?;
        let tags =
            tags.into_iter().filter_map(|(kind, layers)| Some((kind, beside.tag_name(image, kind), layers?)));
        let (tags, repository) = (tags.collect(), beside.repository(image).to_string());
        let found = Found { tags, referrers, repository, asked };
        if let Some(why) = &found.referrers.refused {
            out.line(&format!("note: this login may not list referrers, so that some may be missing: {why}"));
        }
        for referrer in &found.referrers.all {
            if let Err(why) = &referrer.layers {
                out.line(&format!("note: {}@{}: {why}", found.repository, referrer.digest));
            }
        }
        if found.referrers.more > 0 {
            out.line(&format!(
                "note: the list of referrers goes on: at least {} more are not shown",
                found.referrers.more
            ));
        }
        if self.json {
            let json = serde_json::to_string(&found.json()).map_err(BesideCommandError::Json)?;
            out.json(&format!("{json}\n"));
        } else {
            out.print_lines(found.lines());
        }
        Ok(())
    }
}

impl Found {
    fn lines(&self) -> Vec<String> {
        let name = &self.asked.name;
        let mut lines = vec![format!("📦 Supply Chain Security Related artifacts for an image: {name}")];
        for (kind, tag, layers) in &self.tags {
            let words = KINDS.iter().find(|(known, _)| known == kind).map(|(_, words)| *words);
            lines.push(format!("└── {} for an image tag: {tag}", words.unwrap_or_default()));
            lines.extend(drawn(layers));
        }
        for referrer in &self.referrers.all {
            let kind = referrer.predicate_type.as_ref().unwrap_or(&referrer.artifact_type);
            let place = format!("{}@{}", self.repository, referrer.digest);
            lines.push(format!("└── 🔗 {kind} artifacts via OCI referrer: {place}"));
            lines.extend(referrer.layers.iter().flat_map(|layers| drawn(layers)));
        }
        if lines.len() == 1 {
            lines.push(format!("No Supply Chain Security Related Artifacts found for image {name}"));
        }
        lines
    }

    fn json(&self) -> Shown<'_> {
        let tag = |kind: Kind| {
            let (_, tag, layers) = self.tags.iter().find(|(found, ..)| *found == kind)?;
            Some(ShownTag { tag, layers: layers.iter().map(ShownLayer::of).collect() })
        };
        let referrer = |one: &'_ Referrer| ShownReferrer {
            reference: format!("{}@{}", self.repository, one.digest),
            artifact_type: one.artifact_type.clone(),
            predicate_type: one.predicate_type.clone(),
            layers: one.layers.as_ref().ok().map(|layers| layers.iter().map(ShownLayer::of).collect()),
            error: one.layers.as_ref().err().cloned(),
        };
        Shown {
            image: &self.asked.name,
            digest: self.asked.image.digest.as_str(),
            signatures: tag(Kind::Signatures),
            attestations: tag(Kind::Attestations),
            sboms: tag(Kind::Sbom),
            referrers: self.referrers.all.iter().map(referrer).collect(),
            more_referrers: self.referrers.more,
        }
    }
}

/// What was found, as it is printed as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    image: &'a str,
    digest: &'a str,
    /// `None`: there is no such tag.
    signatures: Option<ShownTag<'a>>,
    attestations: Option<ShownTag<'a>>,
    sboms: Option<ShownTag<'a>>,
    referrers: Vec<ShownReferrer>,
    /// How many are listed, at least, beside those.
    more_referrers: usize,
}

#[derive(Serialize)]
struct ShownTag<'a> {
    tag: &'a str,
    layers: Vec<ShownLayer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownReferrer {
    reference: String,
    artifact_type: UntrustedText,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<UntrustedText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<ShownLayer>>,
    /// Why there are no layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownLayer {
    digest: UntrustedText,
    media_type: UntrustedText,
    /// The size in bytes, if known.
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<UntrustedText>,
}

impl ShownLayer {
    fn of(layer: &Layer) -> Self {
        Self {
            digest: layer.digest.clone(),
            media_type: layer.media_type.clone(),
            size: layer.size_bytes,
            predicate_type: layer.predicate_type.clone(),
        }
    }
}

fn drawn(layers: &[Layer]) -> Vec<String> {
    let last = layers.len().saturating_sub(1);
    let line = |(at, layer): (usize, &Layer)| {
        format!("   {}── 🍒 {}", if at == last { '└' } else { '├' }, layer.digest)
    };
    layers.iter().enumerate().map(line).collect()
}
