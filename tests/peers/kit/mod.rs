//! Building blocks of the scenarios: registries, their token services and proxies, the programs of other projects, and Stepseal.

pub(crate) mod command;
pub(crate) mod gitea;
pub(crate) mod images;
pub(crate) mod kube;
pub(crate) mod pulp;
pub(crate) mod registry;
pub(crate) mod scene;
pub(crate) mod service;
pub(crate) mod tls;
pub(crate) mod token;

pub(crate) use command::{peer, run};
pub(crate) use kube::Namespace;
pub(crate) use registry::Registry;
pub(crate) use scene::Scene;
