//! The binary against the programs it has to get on with: cosign, crane, skopeo, docker-registry, Kubernetes' API server.
//!
//! Every test here is ignored by `cargo test`, which needs nothing but Rust; `tests/peers/run` installs the
//! peers and runs them. A peer that is missing is a failure. A module is one question.
//!
//! The modules carry `cfg(test)` so that the lints know helpers of tests for what they are.

#[cfg(test)]
mod kit;
#[cfg(test)]
#[allow(dead_code, unused_imports, reason = "shared with the measurements, which need more of it")]
mod proxy;
#[cfg(test)]
#[allow(dead_code, reason = "shared with the measurements, which need more of it")]
mod storm;

#[cfg(test)]
mod attached;
#[cfg(test)]
mod attest;
#[cfg(test)]
mod blobs;
#[cfg(test)]
mod both_encodings;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod chains_formats;
#[cfg(test)]
mod conditional;
#[cfg(test)]
mod cosign_calls;
#[cfg(test)]
mod cosign_flags;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod faults;
#[cfg(test)]
#[path = "../hermetic/bundles/folder.rs"]
mod folder;
#[cfg(test)]
mod go_types;
#[cfg(test)]
mod image;
#[cfg(test)]
mod image_policy;
#[cfg(test)]
mod key_kinds;
#[cfg(test)]
mod kube_annotations;
#[cfg(test)]
mod kube_home;
#[cfg(test)]
mod kube_keys;
#[cfg(test)]
mod kube_procedure;
#[cfg(test)]
mod kube_roles;
#[cfg(test)]
mod kube_runs;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod logged;
#[cfg(test)]
mod old_format;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registries;
#[cfg(test)]
mod registry_flags;
#[cfg(test)]
mod release;
#[cfg(test)]
mod results;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod side_by_side;
#[cfg(test)]
mod sigstore_go;
#[cfg(test)]
#[path = "../hermetic/registries/suite/mod.rs"]
mod suite;
#[cfg(test)]
mod suite_on;
#[cfg(test)]
mod tag_and_referrers;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod verify;
