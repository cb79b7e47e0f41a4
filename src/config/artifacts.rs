//! What to sign, in which format, and which stores to use: Chains' keys `artifacts.*`, `builder.*` and `storage.oci.*`.

use std::path::PathBuf;

use crate::oci::reference::Repository;
use crate::place::{Encoding, StoreKind};
use crate::run::{ProvenanceOptions, RunFormat};
use crate::store::MEMBERS;

use super::origin::ValueOrigin;
use super::settings::{self, ChainsKey};
use super::{ConfigError, ConfigReader, bad, boolean};

/// The settings for signatures and attestations in registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciStorage {
    /// The encodings in the order of [`Encoding::ALL`], never empty.
    pub encodings: Vec<Encoding>,
    /// The repository for signatures; `None` for the image's own.
    pub repository: Option<Repository>,
    /// Whether that repository's registry, or the images' registries if it is `None`, get plain HTTP.
    pub insecure_http: bool,
}

/// The settings for a kind of run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunArtifact {
    /// The format of the payload.
    pub format: RunFormat,
    /// The format's name in the configuration. One format has two names.
    pub format_name: &'static str,
    /// The stores that get the signatures; empty to sign nothing for such runs.
    pub stores: Vec<StoreKind>,
}

/// The settings for TaskRuns and PipelineRuns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunArtifacts {
    /// The settings for TaskRuns.
    pub task_run: RunArtifact,
    /// The settings for PipelineRuns.
    pub pipeline_run: RunArtifact,
    /// The options for provenance.
    pub provenance: ProvenanceOptions,
}

/// The artifact settings, with the directory for signatures.
pub(super) struct Artifacts {
    pub(super) images: Vec<StoreKind>,
    pub(super) runs: RunArtifacts,
    pub(super) signatures_dir: Option<PathBuf>,
}

impl ConfigReader<'_> {
    /// Reads the artifact settings.
    pub(super) fn artifacts(&self, warnings: &mut Vec<String>) -> Result<Artifacts, ConfigError> {
        let images = self.stores(&settings::OCI_STORAGE, &settings::OCI_SIGNER, warnings)?;
        let runs = self.runs(warnings)?;
        let signatures_dir =
            self.optional(&settings::SIGNATURES_DIR, "a directory", |text| Some(PathBuf::from(text)))?;
        let keys = [
            (&settings::OCI_STORAGE, &images),
            (&settings::TASKRUN_STORAGE, &runs.task_run.stores),
            (&settings::PIPELINERUN_STORAGE, &runs.pipeline_run.stores),
        ];
        let folder = keys.iter().find(|(_, stores)| stores.iter().any(|store| store.needs_folder()));
        if let (Some((key, _)), None) = (folder, &signatures_dir) {
            let (text, origin) = self.0.chains(key)?;
            return Err(bad(origin, &text, "possible without a directory: --signatures-dir is not set"));
        }
        Ok(Artifacts { images, runs, signatures_dir })
    }

    /// Reads a list of stores; empty if signing is off.
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
            if !matches!(origin, ValueOrigin::Default(_)) {
                warnings.push(format!("{by} is none, so {} has no effect", key.key));
            }
            stores.clear();
        }
        Ok(stores)
    }

    /// Parses a comma-separated list, sorted and without duplicates. An empty entry beside others is ignored with a
    /// warning.
    fn words<T: Copy + Ord>(
        &self,
        key: &ChainsKey,
        all: &[(&str, T)],
        warnings: &mut Vec<String>,
    ) -> Result<(Vec<T>, ValueOrigin), ConfigError> {
        let (text, origin) = self.0.chains(key)?;
        let mut found = Vec::new();
        for word in text.split(',').map(str::trim) {
            match all.iter().find(|(name, _)| *name == word) {
                Some((_, meant)) if !found.contains(meant) => found.push(*meant),
                Some(_) => {}
                None if word.is_empty() && !text.is_empty() => warnings.push(format!(
                    "{origin}: {:?} has an empty entry, which is ignored; Tekton Chains rejects it",
                    crate::foreign::escape(&text, super::SHOWN_BYTES)
                )),
                None if word.is_empty() && key.is_storage() => {}
                None => return Err(self.unsupported(key, origin, word)),
            }
        }
        found.sort_unstable();
        Ok((found, origin))
    }

    /// The settings for TaskRuns and PipelineRuns.
    pub(super) fn runs(&self, warnings: &mut Vec<String>) -> Result<RunArtifacts, ConfigError> {
        let deep = self.chains(&settings::PIPELINERUN_DEEP)?;
        let deep = boolean(&deep.0).ok_or_else(|| bad(deep.1, &deep.0, "true or false"))?;
        let build_type = self.chains(&settings::BUILD_TYPE)?;
        let (builder_id, origin) = self.chains(&settings::BUILDER_ID)?;
        if builder_id.is_empty() {
            return Err(bad(origin, &builder_id, "a URI of the builder"));
        }
        let provenance = ProvenanceOptions {
            builder_id,
            build_type: build_type
                .0
                .parse()
                .map_err(|error| bad(build_type.1, &build_type.0, &format!("a build type: {error}")))?,
            deep_inspection: deep,
        };
        Ok(RunArtifacts {
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
            let wanted =
                "a store for the format tekton, which is not an in-toto statement: tekton, directory";
            return Err(bad(origin, &text, wanted));
        }
        Ok(RunArtifact { format: known, format_name, stores })
    }

    /// Reads the settings for registries, and validates the keys whose features this version doesn't have.
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
