//! What is signed, in which format, and where it goes: Chains' keys `artifacts.*`, `builder.*` and `storage.oci.*`.

use std::path::PathBuf;

use crate::oci::reference::Repository;
use crate::place::{Encoding, StoreKind};
use crate::run::{ProvenanceOptions, RunFormat};
use crate::store::MEMBERS;

use super::origin::Origin;
use super::settings::{self, ChainsKey};
use super::{ConfigError, Reader, bad, boolean};

/// How signatures and attestations lie in registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciStorage {
    /// Tags, referrers, or both: one at least, in the order of [`Encoding::ALL`].
    pub encodings: Vec<Encoding>,
    /// Another repository than the image's own.
    pub repository: Option<Repository>,
    /// Plain HTTP for that repository's registry, or for the images' own where none is named.
    pub insecure_http: bool,
}

/// What is signed for a kind of run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunArtifact {
    /// The format.
    pub format: RunFormat,
    /// The format as it is configured: one of them has two names.
    pub format_name: &'static str,
    /// Where it goes; empty: nothing is signed for such runs.
    pub stores: Vec<StoreKind>,
}

/// What is signed for runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// For a TaskRun.
    pub task_run: RunArtifact,
    /// For a PipelineRun.
    pub pipeline_run: RunArtifact,
    /// What their provenance says.
    pub provenance: ProvenanceOptions,
}

/// What is signed, and the folder, if one of the stores is one.
pub(super) struct Artifacts {
    pub(super) images: Vec<StoreKind>,
    pub(super) runs: Runs,
    pub(super) signatures_dir: Option<PathBuf>,
}

impl Reader<'_> {
    /// What is signed and where it goes.
    pub(super) fn artifacts(&self, warnings: &mut Vec<String>) -> Result<Artifacts, ConfigError> {
        let images = self.stores(&settings::OCI_STORAGE, &settings::OCI_SIGNER, warnings)?;
        let runs = self.runs(warnings)?;
        let signatures_dir =
            self.optional(&settings::SIGNATURES_DIR, "a folder", |text| Some(PathBuf::from(text)))?;
        let keys = [
            (&settings::OCI_STORAGE, &images),
            (&settings::TASKRUN_STORAGE, &runs.task_run.stores),
            (&settings::PIPELINERUN_STORAGE, &runs.pipeline_run.stores),
        ];
        let folder = keys.iter().find(|(_, stores)| stores.iter().any(|store| store.needs_folder()));
        if let (Some((key, _)), None) = (folder, &signatures_dir) {
            let (text, origin) = self.0.chains(key)?;
            return Err(bad(origin, &text, "possible without a folder: --signatures-dir is not set"));
        }
        Ok(Artifacts { images, runs, signatures_dir })
    }

    /// A list of stores; empty: off.
    pub(super) fn stores(
        &self,
        key: &ChainsKey,
        signer: &ChainsKey,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<StoreKind>, ConfigError> {
        let all: Vec<_> = MEMBERS.iter().map(|member| (member.kind.name, member.kind)).collect();
        let (mut stores, origin) = self.words(key, &all, warnings)?;
        let (signer, by) = self.chains(signer)?;
        if signer == "none" && !stores.is_empty() {
            if !matches!(origin, Origin::Default(_)) {
                warnings.push(format!("{by} is none, so {} has no effect", key.key));
            }
            stores.clear();
        }
        Ok(stores)
    }

    /// The words of a list between commas, sorted. What stands twice counts once, and an empty entry beside others is named; order
    /// doesn't matter.
    fn words<T: Copy + Ord>(
        &self,
        key: &ChainsKey,
        all: &[(&str, T)],
        warnings: &mut Vec<String>,
    ) -> Result<(Vec<T>, Origin), ConfigError> {
        let (text, origin) = self.0.chains(key)?;
        let mut found = Vec::new();
        for word in text.split(',').map(str::trim) {
            match all.iter().find(|(name, _)| *name == word) {
                Some((_, meant)) if !found.contains(meant) => found.push(*meant),
                Some(_) => {}
                None if word.is_empty() && !text.is_empty() => warnings.push(format!(
                    "{origin}: {:?} has an empty entry, which is left out; Tekton Chains refuses it",
                    crate::foreign::shown(&text, super::SHOWN_BYTES)
                )),
                None if word.is_empty() && key.is_storage() => {}
                None => return Err(self.unsupported(key, origin, word)),
            }
        }
        found.sort_unstable();
        Ok((found, origin))
    }

    /// What is signed for runs.
    pub(super) fn runs(&self, warnings: &mut Vec<String>) -> Result<Runs, ConfigError> {
        let deep = self.chains(&settings::PIPELINERUN_DEEP)?;
        let deep = boolean(&deep.0).ok_or_else(|| bad(deep.1, &deep.0, "true or false"))?;
        let build_type = self.chains(&settings::BUILD_TYPE)?;
        let (builder_id, origin) = self.chains(&settings::BUILDER_ID)?;
        if builder_id.is_empty() {
            return Err(bad(origin, &builder_id, "a URI that names who builds"));
        }
        let provenance = ProvenanceOptions {
            builder_id,
            build_type: build_type
                .0
                .parse()
                .map_err(|error| bad(build_type.1, &build_type.0, &format!("a build type: {error}")))?,
            deep_inspection: deep,
        };
        Ok(Runs {
            task_run: self.run_artifact(
                &settings::TASKRUN_FORMAT,
                &settings::TASKRUN_STORAGE,
                &settings::TASKRUN_SIGNER,
                warnings,
            )?,
            pipeline_run: self.run_artifact(
                &settings::PIPELINERUN_FORMAT,
                &settings::PIPELINERUN_STORAGE,
                &settings::PIPELINERUN_SIGNER,
                warnings,
            )?,
            provenance,
        })
    }

    fn run_artifact(
        &self,
        format: &ChainsKey,
        storage: &ChainsKey,
        signer: &ChainsKey,
        warnings: &mut Vec<String>,
    ) -> Result<RunArtifact, ConfigError> {
        let (text, origin) = self.chains(format)?;
        let known = text.parse::<RunFormat>().ok();
        let name = RunFormat::NAMES.into_iter().find(|name| *name == text);
        let (Some(known), Some(format_name)) = (known, name) else {
            return Err(self.unsupported(format, origin, &text));
        };
        let stores = self.stores(storage, signer, warnings)?;
        if known == RunFormat::Tekton && stores.iter().any(|store| store.is_beside_images()) {
            let (text, origin) = self.0.chains(storage)?;
            let wanted = "a store for the format tekton, which is no in-toto statement: tekton, directory";
            return Err(bad(origin, &text, wanted));
        }
        Ok(RunArtifact { format: known, format_name, stores })
    }

    /// How signatures and attestations lie in registries; checks the keys that must not ask for more.
    pub(super) fn oci(&self, warnings: &mut Vec<String>) -> Result<OciStorage, ConfigError> {
        for key in [&settings::OCI_FORMAT, &settings::FULCIO, &settings::KMSREF, &settings::TRANSPARENCY] {
            self.chains(key)?;
        }
        let all = Encoding::ALL.map(|encoding| (encoding.name(), encoding));
        let (encodings, origin) = self.words(&settings::ENCODING, &all, warnings)?;
        if encodings.is_empty() {
            return Err(self.unsupported(&settings::ENCODING, origin, ""));
        }
        let repository = self.repository()?;
        let insecure_http = self.chains(&settings::OCI_INSECURE)?.0 == "true";
        Ok(OciStorage { encodings, repository, insecure_http })
    }
}
