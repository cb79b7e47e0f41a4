//! What skopeo, podman and CRI-O decide by `sigstoreSigned` about what we sign, by their own library.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::kit::command::Ran;
use crate::kit::images::Kind;
use crate::kit::scene::Place;
use crate::kit::{Registry, Scene, peer, run};

/// A policy that allows what `key` signed for the same repository, and the folder that says where signatures lie.
pub(crate) struct Policy {
    policy: PathBuf,
    registries: PathBuf,
}

impl Policy {
    pub(crate) fn new(scene: &Scene, host: &str, key: &Path) -> Self {
        let folder = crate::kit::service::folder(scene.home(), "policy-");
        let (policy, registries) = (folder.join("policy.json"), folder.join("registries.d"));
        let signed = json!({
            "type": "sigstoreSigned", "keyPath": key, "signedIdentity": { "type": "matchRepository" },
        });
        let text =
            json!({ "default": [{ "type": "reject" }], "transports": { "docker": { host: [signed] } } });
        fs::write(&policy, text.to_string()).unwrap();
        fs::create_dir(&registries).unwrap();
        // JSON is YAML.
        let attached = json!({ "docker": { host: { "use-sigstore-attachments": true } } });
        fs::write(registries.join("attached.yaml"), attached.to_string()).unwrap();
        Self { policy, registries }
    }

    pub(crate) fn decides(&self, scene: &Scene, image: &str) -> Ran {
        let mut command = peer("image-policy", scene.home());
        command.arg("-policy").arg(&self.policy).arg("-registries-d").arg(&self.registries);
        run(command.arg("-authfile").arg(scene.home().join("docker/config.json")).arg(image))
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn it_allows_what_we_signed_and_nothing_else() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let other = scene.folder("other");
    run(scene.cosign(&["generate-key-pair"]).current_dir(&other)).ok();
    let policy = Policy::new(&scene, &hosts[0], &scene.public_key());
    let of_another = Policy::new(&scene, &hosts[0], &other.join("cosign.pub"));

    let push = |name: &str, content: &str| scene.crane_pushes(Kind::Oci, &hosts[0], name, content);
    let (stepseal, cosigns) = (push("app", "one").reference(), push("app", "two").reference());
    let unsigned = push("app", "three").reference();
    scene.sign(Place::Tag, &hosts, &[&stepseal]).ok();
    scene.cosign_signs(Place::Tag, &cosigns, &[]);
    for image in [&stepseal, &cosigns] {
        policy.decides(&scene, image).ok();
        of_another.decides(&scene, image).ended(1).says("refused: ");
    }
    policy.decides(&scene, &unsigned).ended(1).says("A signature was required, but no signature exists");

    let members = ["amd64", "arm64"].map(|content| push("multi", content));
    let index = scene.crane_pushes_index(Kind::Oci, &members[0].repository, &members).reference();
    scene.sign(Place::Tag, &hosts, &["--recursive", &index]).ok();
    for image in members.iter().map(|member| member.reference()).chain([index]) {
        policy.decides(&scene, &image).ok();
    }
}
