//! The suite of tests/registries on the products themselves: the same features, judged by cosign, and the answers that their personalities imitate.

use std::path::Path;

use crate::kit::images::{Image, Kind};
use crate::kit::scene::{PASSWORD, Place, USER};
use crate::kit::{Registry, Scene, run};
use crate::proxy::{Conduct, Proxy};
use crate::suite::bench::{KEYS, data};
use crate::suite::page::{self, Table};
use crate::suite::site::{Form, Login, Pushed};
use crate::suite::{Site, features, probe};

/// A product that runs here.
struct Product {
    /// As docs/registries.md names it.
    name: &'static str,
    version: &'static str,
    start: fn(&Path) -> Registry,
    has_login: bool,
    /// The record of its answers.
    record: &'static str,
}

const DOCKER: Product = Product {
    name: "distribution",
    version: "2.8",
    start: Registry::docker,
    has_login: true,
    record: "distribution-2",
};

const DISTRIBUTION_3: Product = Product {
    name: "distribution",
    version: "3.1.2",
    start: Registry::distribution_3,
    has_login: true,
    record: "distribution-3",
};

const GITEA: Product =
    Product { name: "Gitea", version: "1.24.0", start: Registry::gitea, has_login: true, record: "gitea" };

const CRANE: Product = Product {
    name: "crane registry serve",
    version: "0.22.1",
    start: Registry::crane,
    has_login: false,
    record: "crane",
};

const CRANE_WITH_REFERRERS: Product = Product {
    name: "go-containerregistry with the referrers API",
    version: "0.22.1",
    start: Registry::with_referrers,
    has_login: false,
    record: "crane-with-referrers",
};

/// A product with somebody in front who counts passwords.
struct Real {
    scene: Scene,
    /// Kept running.
    _registry: Registry,
    proxy: Proxy,
    has_login: bool,
}

impl Real {
    fn start(product: &Product) -> Self {
        let scene = Scene::new();
        let registry = (product.start)(scene.home());
        let proxy = Proxy::start(registry.address(), Conduct::default()).unwrap();
        scene.allow(&[proxy.host()]);
        Self { scene, _registry: registry, proxy, has_login: product.has_login }
    }

    fn image(&self, pushed: &Pushed) -> Image {
        Image { repository: format!("{}/{}", self.host(), pushed.repository), digest: pushed.digest.clone() }
    }
}

impl Site for Real {
    fn host(&self) -> String {
        self.proxy.host()
    }

    fn login(&self) -> Option<Login> {
        self.has_login.then(|| Login { user: USER.to_owned(), password: PASSWORD.to_owned() })
    }

    fn repository(&self, name: &str) -> String {
        format!("{USER}/{name}")
    }

    fn settings(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn push_image(&self, repository: &str, tag: &str, text: &str) -> Pushed {
        let place = format!("{}/{repository}", self.host());
        let image = self.scene.crane_pushes_as(Kind::Oci, &place, tag, text);
        Pushed { repository: repository.to_owned(), digest: image.digest }
    }

    fn push_index(&self, members: &[Pushed]) -> Pushed {
        let images: Vec<Image> = members.iter().map(|member| self.image(member)).collect();
        let index = self.scene.crane_pushes_index(Kind::Oci, &images[0].repository, &images);
        Pushed { repository: members[0].repository.clone(), digest: index.digest }
    }

    fn passwords_seen(&self) -> Option<usize> {
        Some(self.proxy.passwords())
    }

    fn with_immutable_tags(&self) -> Option<Box<dyn Site>> {
        None
    }

    fn judge(&self, form: Form, image: &Pushed) -> Option<usize> {
        let place = match form {
            Form::Tag => Place::Tag,
            Form::Bundle => Place::Referrers,
        };
        let mut command = self.scene.cosign(&[
            "verify",
            "--insecure-ignore-tlog=true",
            "--allow-http-registry",
            place.cosign_flag(),
        ]);
        command.arg("--key").arg(data(&format!("{}.pub", KEYS[0]))).arg(image.reference(self));
        let ran = run(&mut command).ok();
        let verified: Vec<serde_json::Value> = serde_json::from_str(&ran.stdout).unwrap();
        Some(verified.len())
    }
}

/// The suite, and the record of the product's answers. `BLESS=1` writes both.
fn try_out(product: &Product) {
    probe::compare(&Real::start(product), product.record, &[], std::env::var_os("BLESS").is_some());
    let results = features::run(&Real::start(product));
    let wrong = results.wrong();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    page::has(Table::Real, &page::row(product.name, product.version, &results));
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn docker_registry_2() {
    try_out(&DOCKER);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn distribution_3() {
    try_out(&DISTRIBUTION_3);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn gitea() {
    try_out(&GITEA);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn crane() {
    try_out(&CRANE);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn crane_with_referrers() {
    try_out(&CRANE_WITH_REFERRERS);
}
