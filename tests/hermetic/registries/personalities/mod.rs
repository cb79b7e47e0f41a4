//! The personalities, one file each. A new one is a file and a line in [`ALL`].

pub(crate) mod acr;
pub(crate) mod artifact_registry;
pub(crate) mod artifactory;
pub(crate) mod crane;
pub(crate) mod crane_with_referrers;
pub(crate) mod distribution_2;
pub(crate) mod distribution_3;
pub(crate) mod docker_hub;
pub(crate) mod ecr;
pub(crate) mod ghcr;
pub(crate) mod gitea;
pub(crate) mod gitlab;
pub(crate) mod harbor;
pub(crate) mod nexus;
pub(crate) mod openshift;
pub(crate) mod quay;
pub(crate) mod zot;

use crate::kit::personality::Personality;

/// Every personality in the order of docs/registries.md: by product, then from old to new.
pub(crate) const ALL: &[Personality] = &[
    ecr::PERSONALITY,
    acr::PERSONALITY,
    crane::PERSONALITY,
    distribution_2::PERSONALITY,
    distribution_3::PERSONALITY,
    docker_hub::OLD,
    docker_hub::PERSONALITY,
    ghcr::PERSONALITY,
    gitea::PERSONALITY,
    gitlab::PERSONALITY,
    crane_with_referrers::PERSONALITY,
    artifact_registry::PERSONALITY,
    harbor::OLD,
    harbor::PERSONALITY,
    harbor::NEW,
    artifactory::PERSONALITY,
    openshift::PERSONALITY,
    quay::PERSONALITY,
    nexus::PERSONALITY,
    zot::PERSONALITY,
];
