//! The personalities, one file each. A new one is a file and a line in [`ALL`].

mod acr;
mod artifact_registry;
mod artifactory;
mod crane;
mod crane_with_referrers;
mod distribution_2;
mod distribution_3;
pub(crate) mod docker_hub;
mod ecr;
pub(crate) mod ghcr;
mod gitea;
pub(crate) mod gitlab;
pub(crate) mod harbor;
mod nexus;
pub(crate) mod openshift;
pub(crate) mod quay;
mod zot;

use super::personality::Personality;

/// Every personality, in the order of docs/registries.md.
pub(crate) const ALL: &[Personality] = &[
    distribution_2::PERSONALITY,
    distribution_3::PERSONALITY,
    docker_hub::OLD,
    docker_hub::PERSONALITY,
    ghcr::PERSONALITY,
    quay::PERSONALITY,
    harbor::OLD,
    harbor::PERSONALITY,
    harbor::NEW,
    gitlab::PERSONALITY,
    openshift::PERSONALITY,
    ecr::PERSONALITY,
    acr::PERSONALITY,
    artifact_registry::PERSONALITY,
    artifactory::PERSONALITY,
    artifactory::VIRTUAL,
    nexus::PERSONALITY,
    gitea::PERSONALITY,
    zot::PERSONALITY,
    crane::PERSONALITY,
    crane_with_referrers::PERSONALITY,
];
