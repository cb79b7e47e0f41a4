//! The suite of tests/hermetic/registries on the products themselves: the same features, judged by cosign, and the answers that their personalities imitate.

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
    /// Whether passwords can be counted: a token service whose address the product is started with is not behind the proxy.
    counts_passwords: bool,
    /// The record of its answers; `None` where no personality imitates them.
    record: Option<&'static str>,
}

const DOCKER: Product = Product {
    name: "distribution",
    version: "2.8",
    start: Registry::docker,
    has_login: true,
    counts_passwords: true,
    record: Some("distribution-2"),
};

const DISTRIBUTION_3: Product = Product {
    name: "distribution",
    version: "3.1.2",
    start: Registry::distribution_3,
    has_login: true,
    counts_passwords: true,
    record: Some("distribution-3"),
};

const GITEA: Product = Product {
    name: "Gitea",
    version: "1.24.0",
    start: Registry::gitea,
    has_login: true,
    counts_passwords: true,
    record: Some("gitea"),
};

const CRANE: Product = Product {
    name: "crane registry serve",
    version: "0.22.1",
    start: Registry::crane,
    has_login: false,
    counts_passwords: true,
    record: Some("crane"),
};

const CRANE_WITH_REFERRERS: Product = Product {
    name: "go-containerregistry with the referrers API",
    version: "0.22.1",
    start: Registry::with_referrers,
    has_login: false,
    counts_passwords: true,
    record: Some("crane-with-referrers"),
};

/// No personality is made of it.
const PULP: Product = Product {
    name: "Pulp",
    version: "container plugin 2.30.0",
    start: Registry::pulp,
    has_login: true,
    counts_passwords: false,
    record: None,
};

/// A product, with a proxy in front if that counts passwords.
struct Real {
    scene: Scene,
    registry: Registry,
    proxy: Option<Proxy>,
    has_login: bool,
}

impl Real {
    fn start(product: &Product) -> Self {
        let scene = Scene::new();
        let registry = (product.start)(scene.home());
        let in_front = || Proxy::start(registry.address(), Conduct::default()).unwrap();
        let proxy = product.counts_passwords.then(in_front);
        let real = Self { scene, registry, proxy, has_login: product.has_login };
        real.scene.allow(&[real.host()]);
        real
    }

    fn image(&self, pushed: &Pushed) -> Image {
        Image { repository: format!("{}/{}", self.host(), pushed.repository), digest: pushed.digest.clone() }
    }

    /// What cosign prints of an image that it verifies with the suite's first key.
    fn cosign(&self, command: &str, form: Form, image: &Pushed, more: &[&str]) -> String {
        let place = match form {
            Form::Tag => Place::Tag,
            Form::Bundle => Place::Referrers,
        };
        let always = [command, "--insecure-ignore-tlog=true", "--allow-http-registry", place.cosign_flag()];
        let mut command = self.scene.cosign(&[&always, more].concat());
        command.arg("--key").arg(data(&format!("{}.pub", KEYS[0]))).arg(image.reference(self));
        run(&mut command).ok().stdout
    }
}

impl Site for Real {
    fn host(&self) -> String {
        self.proxy.as_ref().map_or_else(|| self.registry.host(), Proxy::host)
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
        self.proxy.as_ref().map(Proxy::passwords)
    }

    fn with_immutable_tags(&self) -> Option<Box<dyn Site>> {
        None
    }

    fn judge(&self, form: Form, image: &Pushed) -> Option<usize> {
        let verified: Vec<serde_json::Value> =
            serde_json::from_str(&self.cosign("verify", form, image, &[])).unwrap();
        Some(verified.len())
    }

    fn judge_attestations(&self, form: Form, image: &Pushed, predicate_type: &str) -> Option<usize> {
        Some(self.cosign("verify-attestation", form, image, &["--type", predicate_type]).lines().count())
    }
}

/// The suite, and the record of the product's answers. `BLESS=1` writes both.
fn try_out(product: &Product) {
    if let Some(record) = product.record {
        probe::compare(&Real::start(product), record, &[], std::env::var_os("BLESS").is_some());
    }
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

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn pulp() {
    try_out(&PULP);
}
