//! Which results are type hints, by their names alone.
//!
//! A hint is known by the end of its name, case-sensitive, with any prefix before it, glued on or not; pairs
//! belong together by that prefix. Only `IMAGES` and the two `CHAINS-GIT` names take none. A name that no
//! result can have is refused, and so is one that is nearly a hint: both are told to the user, because
//! what stands in them will not be signed.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md#type-hinting>

/// What a result is, judged by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// `*IMAGE_URL`, with its prefix.
    ImageUrl(String),
    /// `*IMAGE_DIGEST`, with its prefix.
    ImageDigest(String),
    /// `IMAGES`: image names with their digests.
    Images,
    /// `*ARTIFACT_URI`, with its prefix.
    ArtifactUri(String),
    /// `*ARTIFACT_DIGEST`, with its prefix.
    ArtifactDigest(String),
    /// `*ARTIFACT_OUTPUTS`: objects with `uri`, `digest` and `isBuildArtifact`.
    ArtifactOutputs,
    /// `*ARTIFACT_INPUTS`, `CHAINS-GIT_URL`, `CHAINS-GIT_COMMIT`: what was built from, never what was built.
    Material,
    /// Not a hint, but so similar that its author probably meant a hint.
    NearMiss {
        /// The name that was probably meant.
        meant: &'static str,
        /// How certain the name of the result is.
        sign: Sign,
    },
    /// Ends like a hint, but no result can have this name.
    NoResultName,
    /// A result that is not a type hint.
    Other,
}

/// How surely a near miss was meant as a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The whole name says so.
    Strong,
    /// Only where no hint is beside it.
    Weak,
    /// Only where a digest of that kind is beside it too, and no source: most results `url` are of a repository or a page.
    WithDigest,
}

/// What is among the results of one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    hint: bool,
    digest: bool,
    source: bool,
}

impl Beside {
    /// Of results with these `names`, which are of these `kinds`.
    pub(super) fn of(names: &[&[u8]], kinds: &[ResultKind]) -> Self {
        let is_digest = |kind: &ResultKind| matches!(kind, ResultKind::NearMiss { meant: IMAGE_DIGEST, .. });
        let is_commit = |name: &&[u8]| name.eq_ignore_ascii_case(b"commit");
        Self {
            hint: kinds.iter().any(ResultKind::names_a_subject),
            digest: kinds.iter().any(is_digest),
            source: kinds.contains(&ResultKind::Material) || names.iter().any(is_commit),
        }
    }

    /// Whether a near miss is worth a note here.
    pub(super) fn makes_likely(self, sign: Sign) -> bool {
        match sign {
            Sign::Strong => true,
            Sign::Weak => !self.hint,
            Sign::WithDigest => !self.hint && self.digest && !self.source,
        }
    }
}

/// The other half of the pair that the hint `name` is half of.
pub(super) fn other_half(name: &str) -> Option<&'static str> {
    match name {
        IMAGE_URL => Some(IMAGE_DIGEST),
        IMAGE_DIGEST => Some(IMAGE_URL),
        ARTIFACT_URI => Some(ARTIFACT_DIGEST),
        ARTIFACT_DIGEST => Some(ARTIFACT_URI),
        _ => None,
    }
}

impl ResultKind {
    /// Whether a result of this kind names something that was built, so that its value is read.
    pub(crate) fn names_a_subject(&self) -> bool {
        !matches!(self, Self::Material | Self::NearMiss { .. } | Self::NoResultName | Self::Other)
    }
}

const IMAGE_URL: &str = "IMAGE_URL";
const IMAGE_DIGEST: &str = "IMAGE_DIGEST";
const IMAGES: &str = "IMAGES";
/// The result in which a signing step names what it signed: no hint, and no slip of the pen either.
pub const SIGNED_IMAGES: &str = "SIGNED_IMAGES";
const ARTIFACT_URI: &str = "ARTIFACT_URI";
const ARTIFACT_DIGEST: &str = "ARTIFACT_DIGEST";
const ARTIFACT_OUTPUTS: &str = "ARTIFACT_OUTPUTS";
const ARTIFACT_INPUTS: &str = "ARTIFACT_INPUTS";

/// What the result called `name` is. A file's name may be any bytes; only a result's name can be a hint.
///
/// ```
/// use stepseal::hint::{ResultKind, classify};
/// assert_eq!(classify(b"app-IMAGE_URL"), ResultKind::ImageUrl("app-".into()));
/// assert_eq!(classify(b"commit"), ResultKind::Other);
/// ```
pub fn classify(name: &[u8]) -> ResultKind {
    let Some(text) = std::str::from_utf8(name).ok().filter(|text| is_result_name(text)) else {
        let text = String::from_utf8_lossy(name);
        let hint = suffix_kind(&text).is_some_and(|kind| kind.names_a_subject());
        return if hint { ResultKind::NoResultName } else { ResultKind::Other };
    };
    suffix_kind(text).or_else(|| near_miss(text)).unwrap_or(ResultKind::Other)
}

fn suffix_kind(name: &str) -> Option<ResultKind> {
    let before = |suffix: &str| name.strip_suffix(suffix).map(str::to_owned);
    if let Some(prefix) = before(IMAGE_URL) {
        return Some(ResultKind::ImageUrl(prefix));
    }
    if let Some(prefix) = before(IMAGE_DIGEST) {
        return Some(ResultKind::ImageDigest(prefix));
    }
    if let Some(prefix) = before(ARTIFACT_URI) {
        return Some(ResultKind::ArtifactUri(prefix));
    }
    if let Some(prefix) = before(ARTIFACT_DIGEST) {
        return Some(ResultKind::ArtifactDigest(prefix));
    }
    match name {
        IMAGES => Some(ResultKind::Images),
        "CHAINS-GIT_URL" | "CHAINS-GIT_COMMIT" => Some(ResultKind::Material),
        _ if name.ends_with(ARTIFACT_OUTPUTS) => Some(ResultKind::ArtifactOutputs),
        _ if name.ends_with(ARTIFACT_INPUTS) => Some(ResultKind::Material),
        _ => None,
    }
}

/// Tekton's own rule: `^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`.
///
/// Spec: <https://github.com/tektoncd/pipeline/blob/v1.0.0/docs/tasks.md#emitting-results>
fn is_result_name(name: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Names that people write when they mean a hint. The list is short on purpose: a false alarm in every run
/// teaches people not to read the log.
fn near_miss(name: &str) -> Option<ResultKind> {
    let squeezed: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let near = |meant| Some(ResultKind::NearMiss { meant, sign: Sign::Strong });
    let weak = |meant| Some(ResultKind::NearMiss { meant, sign: Sign::Weak });
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| squeezed.ends_with(suffix));
    if ends(&["IMAGEURL", "IMAGEURLS", "IMAGEURI", "IMAGEURIS"]) {
        near(IMAGE_URL)
    } else if ends(&["IMAGEDIGEST", "IMAGEDIGESTS"]) {
        near(IMAGE_DIGEST)
    } else if ends(&["ARTIFACTURI", "ARTIFACTURIS", "ARTIFACTURL", "ARTIFACTURLS"]) {
        near(ARTIFACT_URI)
    } else if ends(&["ARTIFACTDIGEST", "ARTIFACTDIGESTS"]) {
        near(ARTIFACT_DIGEST)
    } else if ends(&["ARTIFACTOUTPUT", "ARTIFACTOUTPUTS", "ARTIFACTSOUTPUTS"]) {
        near(ARTIFACT_OUTPUTS)
    } else if squeezed == IMAGES {
        near(IMAGES)
    } else if name == SIGNED_IMAGES {
        None
    } else if name.ends_with(IMAGES) || matches!(squeezed.as_str(), "IMAGE" | "IMAGEREF" | "IMAGEREFS") {
        weak(IMAGES)
    } else if matches!(squeezed.as_str(), "URL" | "URI") {
        Some(ResultKind::NearMiss { meant: IMAGE_URL, sign: Sign::WithDigest })
    } else if squeezed == "DIGEST" {
        weak(IMAGE_DIGEST)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hints_are_known_by_the_end_of_their_name() {
        use ResultKind::{ArtifactDigest, ArtifactOutputs, ArtifactUri, ImageDigest, ImageUrl, Images};
        for (name, want) in [
            ("IMAGE_URL", ImageUrl(String::new())),
            ("app-IMAGE_URL", ImageUrl("app-".into())),
            ("MYIMAGE_URL", ImageUrl("MY".into())),
            ("app_1.x-IMAGE_DIGEST", ImageDigest("app_1.x-".into())),
            ("IMAGES", Images),
            ("jar-ARTIFACT_URI", ArtifactUri("jar-".into())),
            ("jar-ARTIFACT_DIGEST", ArtifactDigest("jar-".into())),
            ("ARTIFACT_OUTPUTS", ArtifactOutputs),
            ("GARTIFACT_OUTPUTS", ArtifactOutputs),
        ] {
            assert_eq!(classify(name.as_bytes()), want, "{name}");
            assert!(want.names_a_subject(), "{name}");
        }
    }

    #[test]
    fn materials_and_other_results_pass_without_a_word() {
        for name in ["ARTIFACT_INPUTS", "src-ARTIFACT_INPUTS", "CHAINS-GIT_URL", "CHAINS-GIT_COMMIT"] {
            assert_eq!(classify(name.as_bytes()), ResultKind::Material, "{name}");
        }
        for name in [
            "commit",
            "BASE_IMAGES_DIGESTS",
            "SBOM_BLOB_URL",
            "source-digest",
            "chart-url",
            SIGNED_IMAGES,
            "",
            "..",
        ] {
            assert_eq!(classify(name.as_bytes()), ResultKind::Other, "{name}");
        }
    }

    #[test]
    fn near_misses_name_what_was_meant() {
        for (name, meant, sign) in [
            ("image_url", IMAGE_URL, Sign::Strong),
            ("IMAGE-URL", IMAGE_URL, Sign::Strong),
            ("imageUrl", IMAGE_URL, Sign::Strong),
            ("IMAGE_URLS", IMAGE_URL, Sign::Strong),
            ("IMAGE_URI", IMAGE_URL, Sign::Strong),
            ("app-image-digest", IMAGE_DIGEST, Sign::Strong),
            ("images", IMAGES, Sign::Strong),
            ("BUILT_IMAGES", IMAGES, Sign::Weak),
            ("IMAGE_REF", IMAGES, Sign::Weak),
            ("URL", IMAGE_URL, Sign::WithDigest),
            ("DIGEST", IMAGE_DIGEST, Sign::Weak),
            ("artifact-uri", ARTIFACT_URI, Sign::Strong),
            ("ARTIFACT_OUTPUT", ARTIFACT_OUTPUTS, Sign::Strong),
        ] {
            assert_eq!(classify(name.as_bytes()), ResultKind::NearMiss { meant, sign }, "{name}");
        }
    }

    #[test]
    fn a_hint_needs_a_name_that_a_result_can_have() {
        for name in
            [&b".IMAGE_URL"[..], b"_IMAGE_URL", b"a\nIMAGE_URL", b"\xffIMAGE_DIGEST", b"a b-ARTIFACT_URI"]
        {
            assert_eq!(classify(name), ResultKind::NoResultName);
        }
        // Backup files of editors are neither hints nor near misses.
        assert_eq!(classify(b"IMAGE_URL~"), ResultKind::Other);
        assert_eq!(classify(b".IMAGE_URL.swp"), ResultKind::Other);
    }

    proptest! {
        #[test]
        fn any_name_has_a_kind(name in proptest::collection::vec(any::<u8>(), 0..80)) {
            classify(&name);
        }

        #[test]
        fn a_prefix_never_changes_what_a_hint_is(prefix in "[A-Za-z0-9][-A-Za-z0-9_.]{0,12}") {
            prop_assert_eq!(
                classify(format!("{prefix}IMAGE_URL").as_bytes()),
                ResultKind::ImageUrl(prefix.clone())
            );
        }
    }
}
